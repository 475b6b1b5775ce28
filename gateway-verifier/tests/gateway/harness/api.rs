//! An API that answers with the request as it saw it.
//! Not here: any judgement.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use serde_json::json;
use symbolon_daemon::Lifecycle;
use symbolon_http::Body;
use symbolon_http::server::{Bind, Handler, Server};

#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) address: String,
    seen: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Echo {
    seen: Arc<AtomicUsize>,
}

impl Api {
    pub(crate) fn start(lifecycle: &Lifecycle) -> Self {
        let bound = "127.0.0.1:0".parse::<Bind>().unwrap().listen().unwrap();
        let api = Self { address: bound.address().to_string(), seen: Arc::default() };
        Server::new("api", bound).serve(Echo { seen: Arc::clone(&api.seen) }, lifecycle);
        api
    }

    /// How many requests arrived.
    pub(crate) fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

impl Handler for Echo {
    type Body = Body;

    fn handle(&self, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send + 'static {
        self.seen.fetch_add(1, Ordering::SeqCst);
        async move {
            let (head, body) = request.into_parts();
            let body = body.read(1 << 20, Duration::from_secs(5)).await.unwrap_or_default();
            let headers: Vec<_> = head
                .headers
                .iter()
                .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
                .collect();
            let seen = json!({
                "method": head.method.as_str(),
                "target": head.uri.to_string(),
                "headers": headers,
                "body": String::from_utf8_lossy(&body),
            });
            let mut answer = Response::new(Body::from(seen.to_string()));
            // An API that echoes credentials must not be able to hand them out.
            answer.headers_mut().insert("authorization", "Bearer leaked".parse().unwrap());
            answer
        }
    }
}
