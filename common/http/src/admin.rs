//! The health and metrics routes, as a service to mount or to serve alone.
//! Nothing else of the admin API: that is each program's own.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use symbolon_daemon::{Readiness, Registry, metrics};
use tower::Service;

use crate::body::Body;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Answers `/livez`, `/readyz`, `/startupz` (each with `?verbose`) and `/metrics`.
#[derive(Debug, Clone)]
pub struct Admin {
    startup: Readiness,
    ready: Readiness,
    registry: Arc<Registry>,
}

impl Admin {
    /// Answers from these. `startup` may be the same as `ready`.
    #[must_use]
    pub fn new(startup: Readiness, ready: Readiness, registry: Arc<Registry>) -> Self {
        Self { startup, ready, registry }
    }

    /// The answer to `request`.
    #[must_use]
    pub fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let verbose = request.uri().query().is_some_and(|query| query.split('&').any(is_verbose));
        let answer = match request.uri().path() {
            // A process that can answer this lives; nothing that a restart would not cure is asked.
            "/livez" => text(StatusCode::OK, "ok\n".to_owned()),
            "/readyz" => health(&self.ready, verbose),
            "/startupz" => health(&self.startup, verbose),
            "/metrics" => self.metrics(),
            _ => return text(StatusCode::NOT_FOUND, "not found\n".to_owned()),
        };
        if matches!(*request.method(), Method::GET | Method::HEAD) { answer } else { method_not_allowed() }
    }

    fn metrics(&self) -> Response<Body> {
        match self.registry.encode() {
            Ok(encoded) => {
                let mut answer = text(StatusCode::OK, encoded);
                answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
                answer
            }
            Err(error) => {
                tracing::error!(event.name = "metrics.failed", %error, "the metrics cannot be written");
                text(StatusCode::INTERNAL_SERVER_ERROR, "metrics failed\n".to_owned())
            }
        }
    }
}

impl<B> Service<Request<B>> for Admin {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.answer(&request)))
    }
}

fn is_verbose(parameter: &str) -> bool {
    parameter == "verbose" || parameter.starts_with("verbose=")
}

fn health(readiness: &Readiness, verbose: bool) -> Response<Body> {
    let waiting = readiness.waiting_for();
    let (status, verdict) = if waiting.is_empty() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    };
    let mut body = String::new();
    if verbose {
        for name in waiting {
            body.push_str("[-] waiting for ");
            body.push_str(&name);
            body.push('\n');
        }
    }
    body.push_str(verdict);
    text(status, body)
}

fn method_not_allowed() -> Response<Body> {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n".to_owned());
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    answer
}

fn text(status: StatusCode, body: String) -> Response<Body> {
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, TEXT);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn ask(admin: &Admin, method: Method, uri: &str) -> (StatusCode, String) {
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        let (head, body) = admin.answer(&request).into_parts();
        let body = body.read(1 << 20, Duration::from_secs(1)).await.unwrap();
        (head.status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn admin(ready: &Readiness) -> Admin {
        Admin::new(Readiness::new(), ready.clone(), Arc::new(Registry::new()))
    }

    #[tokio::test]
    async fn readiness_follows_its_guards_and_says_what_it_waits_for() {
        let ready = Readiness::new();
        let admin = admin(&ready);
        let keys = ready.block("signing keys");
        let (status, body) = ask(&admin, Method::GET, "/readyz?verbose").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body, "[-] waiting for signing keys\nnot ready\n");
        assert_eq!(ask(&admin, Method::GET, "/livez").await.0, StatusCode::OK);
        assert_eq!(ask(&admin, Method::GET, "/startupz").await.0, StatusCode::OK);
        drop(keys);
        assert_eq!(ask(&admin, Method::GET, "/readyz").await, (StatusCode::OK, "ok\n".to_owned()));
    }

    #[tokio::test]
    async fn metrics_are_openmetrics() {
        let (status, body) = ask(&admin(&Readiness::new()), Method::GET, "/metrics").await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "# EOF\n"));
    }

    #[tokio::test]
    async fn other_paths_and_methods_are_refused() {
        let admin = admin(&Readiness::new());
        assert_eq!(ask(&admin, Method::GET, "/metrics/../debug").await.0, StatusCode::NOT_FOUND);
        assert_eq!(ask(&admin, Method::GET, "/").await.0, StatusCode::NOT_FOUND);
        assert_eq!(ask(&admin, Method::POST, "/readyz").await.0, StatusCode::METHOD_NOT_ALLOWED);
    }
}
