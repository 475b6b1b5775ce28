//! What a forwarded answer's body hangs on: its holder's right to it, and its places on a connection and at an upstream.
//! Not the body: it streams by itself and only asks here whether it may.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;

use super::BodyError;
use crate::forward::{Kept, Lane, Place, Upload};
use crate::streams::{Ending, Guard};

/// The status of a gRPC call whose caller has no right to it any more: `UNAUTHENTICATED`.
const UNAUTHENTICATED: HeaderValue = HeaderValue::from_static("16");
/// The status of a gRPC call that may be made again elsewhere.
const UNAVAILABLE: HeaderValue = HeaderValue::from_static("14");

/// How a body ends before its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It breaks off, so that nobody takes it for whole.
    #[default]
    Abort,
    /// With the trailers that end every gRPC call.
    GrpcStatus,
}

/// The leash of one answer. The usual is empty.
#[derive(Debug, Default)]
pub(crate) struct Leash {
    pub(crate) guard: Option<Guard>,
    pub(crate) manner: Manner,
    /// The request's body, which ends at the latest when this is dropped.
    pub(crate) upload: Option<Arc<Upload>>,
    /// Free for another request when this is dropped: its places on a connection and at the upstream.
    pub(crate) places: (Option<Lane>, Option<Place>),
    /// Dropped when the body has ended.
    pub(crate) kept: Option<Kept>,
    /// The body was asked for a frame before.
    pub(crate) begun: bool,
}

impl Leash {
    /// The leash of a request that has its place at the upstream.
    pub(crate) fn new(guard: Option<Guard>, place: Place) -> Self {
        let manner = Manner::default();
        Self { guard, manner, upload: None, places: (None, Some(place)), kept: None, begun: false }
    }

    /// Whether the body must end now.
    ///
    /// The first frame follows the head, for which the time was looked at: most answers have no other, and ask no clock.
    pub(super) fn over(&mut self) -> Option<Ending> {
        let first = !std::mem::replace(&mut self.begun, true);
        self.guard.as_mut().and_then(if first { Guard::revoked } else { Guard::over })
    }

    /// Ready once the body must end.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        self.guard.as_mut().map_or(Poll::Pending, |guard| guard.poll_over(cx))
    }

    /// How the body ends, if it must.
    pub(super) fn end(&self, ending: Ending) -> Result<Frame<Bytes>, BodyError> {
        match self.manner {
            Manner::Abort => Err(BodyError::Ended(ending)),
            Manner::GrpcStatus => Ok(Frame::trailers(grpc_trailers(ending))),
        }
    }
}

/// SECURITY: hyper sends the rest of a request's body whether or not its answer has ended or is still waited for, and
/// without the guard nothing would stop it: neither its deadline nor a revocation.
impl Drop for Leash {
    fn drop(&mut self) {
        if let Some(upload) = &self.upload {
            upload.cut();
        }
    }
}

fn grpc_trailers(ending: Ending) -> HeaderMap {
    let (status, message) = match ending {
        Ending::Expired => (UNAUTHENTICATED, "token_expired"),
        Ending::Revoked => (UNAUTHENTICATED, "revoked"),
        Ending::Shutdown => (UNAVAILABLE, "shutdown"),
    };
    let mut trailers = HeaderMap::with_capacity(2);
    trailers.insert("grpc-status", status);
    trailers.insert("grpc-message", HeaderValue::from_static(message));
    trailers
}
