//! A JWKS endpoint that a test can take down and bring back.
//! Not here: the keys (`issuer.rs`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::Full;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::api::serve;
use crate::machine::free_address;

/// The endpoint; it is down until it is brought up.
#[derive(Debug)]
pub struct JwksEndpoint {
    /// Where it listens while it is up.
    pub address: SocketAddr,
    document: String,
    fetches: Arc<AtomicU64>,
    task: Option<JoinSet<()>>,
}

impl JwksEndpoint {
    /// An endpoint for a key set, not yet up.
    #[must_use]
    pub fn new(document: &str) -> Self {
        Self { address: free_address(), document: document.to_owned(), fetches: Arc::default(), task: None }
    }

    /// The URL of the key set.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/jwks.json", self.address)
    }

    /// Brings it up.
    ///
    /// # Panics
    /// If somebody took its port.
    pub async fn up(&mut self) {
        let mut listener = TcpListener::bind(self.address).await;
        for _ in 0..100 {
            if listener.is_ok() {
                break;
            }
            // The connections of the last time may not be gone yet.
            tokio::time::sleep(Duration::from_millis(10)).await;
            listener = TcpListener::bind(self.address).await;
        }
        let (document, fetches) = (self.document.clone(), Arc::clone(&self.fetches));
        let mut task = JoinSet::new();
        task.spawn(serve(listener.unwrap(), move |_| {
            fetches.fetch_add(1, Ordering::SeqCst);
            let answer = http::Response::builder().header("content-type", "application/jwk-set+json");
            answer.body(Full::from(document.clone())).ok()
        }));
        self.task = Some(task);
    }

    /// Takes it down: nobody listens, open connections break.
    pub async fn down(&mut self) {
        if let Some(mut task) = self.task.take() {
            task.shutdown().await;
        }
    }

    /// How often the keys were fetched.
    #[must_use]
    pub fn fetches(&self) -> u64 {
        self.fetches.load(Ordering::SeqCst)
    }
}
