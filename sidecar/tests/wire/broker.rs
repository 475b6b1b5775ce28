//! A fake broker: a token endpoint that answers as the test says and remembers what it was asked.
//! Its tokens are opaque texts; nothing in the sidecar could tell.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use symbolon_daemon::Lifecycle;
use symbolon_http::Body;
use symbolon_http::server::{Bind, ConnectionInfo, Peer, Server};
use tokio::sync::watch;
use url::form_urlencoded;

pub(crate) const DECISION: &str = "b-00000000000000000000000001";

/// How the broker answers.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    Grant { life: u64, token_type: &'static str },
    Deny,
    Away { retry_after: Option<u64> },
}

pub(crate) const GRANT: Mood = Mood::Grant { life: 300, token_type: "DPoP" };
pub(crate) const AWAY: Mood = Mood::Away { retry_after: None };

/// One request, as the broker saw it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) form: BTreeMap<String, String>,
    pub(crate) proof: String,
    pub(crate) over_unix: bool,
}

/// A fake broker. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Broker {
    mood: Arc<Mutex<Mood>>,
    asked: Arc<watch::Sender<Vec<Asked>>>,
    held: Arc<watch::Sender<bool>>,
}

impl Broker {
    /// Serves at this address.
    pub(crate) fn start(bind: &Bind, mood: Mood, lifecycle: &Lifecycle) -> (Self, String) {
        let broker = Self {
            mood: Arc::new(Mutex::new(mood)),
            asked: Arc::new(watch::Sender::new(Vec::new())),
            held: Arc::new(watch::Sender::new(false)),
        };
        let bound = bind.listen().unwrap();
        let address = bound.address().to_string();
        let this = broker.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let this = this.clone();
            async move { Ok::<_, Infallible>(this.answer(request).await) }
        });
        Server::new("broker", bound).serve(service, lifecycle);
        (broker, address)
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Lets requests wait, or go on.
    pub(crate) fn hold(&self, hold: bool) {
        self.held.send_replace(hold);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.asked.borrow().len()
    }

    /// Waits until it was asked this often.
    pub(crate) async fn was_asked(&self, times: usize) {
        let mut changes = self.asked.subscribe();
        let reached = changes.wait_for(|asked| asked.len() >= times);
        tokio::time::timeout(Duration::from_secs(10), reached).await.unwrap().unwrap();
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        assert_eq!((head.method.as_str(), head.uri.path()), ("POST", "/oauth2/token"));
        let body = body.read(65_536, Duration::from_secs(5)).await.unwrap();
        let over_unix = matches!(head.extensions.get::<ConnectionInfo>().unwrap().peer(), Peer::Unix(_));
        let proof = head.headers["dpop"].to_str().unwrap().to_owned();
        let form = form_urlencoded::parse(&body).into_owned().collect();
        self.asked.send_modify(|asked| asked.push(Asked { form, proof, over_unix }));
        let number = self.count();
        self.held.subscribe().wait_for(|held| !held).await.unwrap();
        let mood = self.mood.lock().unwrap().clone();
        match mood {
            Mood::Grant { life, token_type } => json(
                200,
                &format!(
                    r#"{{"access_token":"opaque-{number}","token_type":"{token_type}","expires_in":{life},"scope":"orders:read"}}"#
                ),
            ),
            Mood::Deny => json(
                403,
                &format!(
                    r#"{{"error":"access_denied","error_description":"denied: no","decision_id":"{DECISION}"}}"#
                ),
            ),
            Mood::Away { retry_after } => {
                let mut answer = json(503, "{}");
                if let Some(seconds) = retry_after {
                    answer.headers_mut().insert("retry-after", seconds.into());
                }
                answer
            }
        }
    }
}

fn json(status: u16, body: &str) -> Response<Body> {
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(Body::from(body.to_owned())).unwrap()
}
