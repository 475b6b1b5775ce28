//! The webhook as a service: paths, methods, sizes and times.
//! What a question says is read in `review.rs`, what a pod gets is decided in `inject.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use symbolon_http::{Body, BodyError};
use tokio::time::Instant;

use crate::inject::{Circumstances, Selection};
use crate::metrics::{Admitted, Metrics};
use crate::settings::Settings;

mod review;
mod weight;

/// The API server's own limit for an object is half of it.
pub(crate) const MAX_BODY: usize = 3 * 1024 * 1024;
/// The API server waits 10 seconds at most, usually 3.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything an answer depends on.
#[derive(Debug)]
pub(crate) struct Webhook {
    pub(crate) settings: Arc<ArcSwap<Settings>>,
    pub(crate) native: Arc<AtomicBool>,
    pub(crate) metrics: Metrics,
}

impl Webhook {
    /// The answer to one request.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let selection = match request.uri().path() {
            "/pods" => Selection::Labelled,
            "/enabled" => Selection::Enabled,
            "/enforced" => Selection::Enforced,
            _ => return self.invalid(StatusCode::NOT_FOUND, "the paths are /pods, /enabled and /enforced"),
        };
        if request.method() != Method::POST {
            let mut answer = self.invalid(StatusCode::METHOD_NOT_ALLOWED, "questions are posted");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return answer;
        }
        let kind =
            request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.split(';').next().map(str::trim) != Some("application/json") {
            return self.invalid(StatusCode::UNSUPPORTED_MEDIA_TYPE, "questions are application/json");
        }
        let body = match request.into_body().read(MAX_BODY, PATIENCE).await {
            Ok(body) => body,
            Err(error) => return self.unread(&error),
        };
        let begun = Instant::now();
        let circumstances = Circumstances { selection, native: self.native.load(Ordering::Relaxed) };
        let answer = review::answer(&body, &self.settings.load(), circumstances);
        self.metrics.duration.observe(begun.elapsed().as_secs_f64());
        match answer {
            Ok((review, admitted)) => {
                self.metrics.admitted(admitted);
                reply(StatusCode::OK, "application/json", review.to_string())
            }
            Err(message) => self.invalid(StatusCode::BAD_REQUEST, &message),
        }
    }

    fn invalid(&self, status: StatusCode, message: &str) -> Response<Body> {
        self.metrics.admitted(Admitted::Invalid);
        tracing::warn!(
            event.name = "webhook.invalid",
            status = status.as_u16(),
            message,
            "not a question for us"
        );
        reply(status, "text/plain; charset=utf-8", format!("{message}\n"))
    }

    fn unread(&self, error: &BodyError) -> Response<Body> {
        self.metrics.admitted(Admitted::Unread);
        tracing::warn!(event.name = "webhook.unread", %error, "a question could not be read");
        let status = match error {
            BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Stalled { .. } => StatusCode::REQUEST_TIMEOUT,
            BodyError::Broken(_) | BodyError::Ended(_) | BodyError::Unwanted => StatusCode::BAD_REQUEST,
        };
        reply(status, "text/plain; charset=utf-8", format!("{error}\n"))
    }
}

fn reply(status: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests;
