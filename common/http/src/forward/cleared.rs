//! What a request needs to leave.
//! Only a type that proves a decision should implement this: `Admitted`, `Armed`.

use std::any::Any;

use http::HeaderMap;
use http::response::Parts;
use http::uri::PathAndQuery;

use super::outgoing::TrailerFilter;
use super::upstream::Upstream;
use crate::streams::Guard;
use crate::tunnel::Terms;

/// Something that is dropped when a stream ends, and tells its maker so.
pub type Kept = Box<dyn Any + Send + Sync>;

/// Proof that a request may be sent to an upstream, and how it looks when it is.
///
/// The implementor is the decision's own type with private fields, so that a program cannot forward what it
/// has not decided about. The forwarder takes it by value: one decision, one request.
pub trait Cleared: Send + Sync {
    /// Where the request goes.
    fn upstream(&self) -> &Upstream;

    /// The path and query to send; `None` sends the received ones. A gateway answers with the bytes it
    /// judged.
    fn path_and_query(&self) -> Option<&PathAndQuery> {
        None
    }

    /// The last word on the header fields.
    ///
    /// Hop-by-hop fields, `Content-Length`, `Trailer` and `Expect` are gone; `Host` is the upstream's, and may
    /// be set to another. Remove what the client may not say, then set what we vouch for.
    fn edit_request(&self, headers: &mut HeaderMap);

    /// The last word on the answer's header fields, whose hop-by-hop fields and `Authorization` are gone.
    fn edit_response(&mut self, _headers: &mut HeaderMap) {}

    /// What removes from a request's trailers all that the client may not say. Without it they are not forwarded; to an
    /// HTTP/1.1 upstream they never are.
    fn trailer_filter(&self) -> Option<TrailerFilter> {
        None
    }

    /// Whether the caller of a gRPC call may wait for its answer as long as it says itself. Something else must end a call
    /// that says too much.
    fn may_wait(&self) -> bool {
        false
    }

    /// What ends the exchange before its end. Asked once.
    fn take_guard(&mut self) -> Option<Guard> {
        None
    }

    /// Told when an answer has begun whose end is not known: a WebSocket, or a body that is still to come. The head is as it
    /// will be passed back, and what is returned is kept until the stream has ended.
    fn opened(&mut self, _guard: Option<&Guard>, _answer: &mut Parts) -> Option<Kept> {
        None
    }

    /// How a WebSocket is kept that comes of it. Asked once, and only if one does.
    fn tunnel_terms(&mut self) -> Terms {
        Terms::default()
    }
}
