//! The answer to a request above the limit of its listener.
//! Not a decision about its sender: nobody has looked at the request.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use super::watch::{Answering, OpenRequest};

/// A problem document (RFC 9457) in which an OAuth client finds its members too (RFC 6749 §5.2).
const DOCUMENT: &[u8] = br#"{"type":"about:blank","title":"too many requests are under way; try again after the time in Retry-After","status":503,"code":"busy","error":"temporarily_unavailable","error_description":"busy: too many requests are under way"}"#;

/// 503 `busy`.
pub(super) fn answer<B>(open: OpenRequest) -> Response<Answering<B>> {
    let mut answer = Response::new(Answering::refusal(Bytes::from_static(DOCUMENT), open));
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}
