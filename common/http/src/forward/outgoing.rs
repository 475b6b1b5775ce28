//! The body of a request on its way to an upstream.
//! Not stored anywhere: it reads from the client as fast as the upstream takes it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use crate::body::{Body, BodyError};

/// A request's body with a limit, without trailers, and with its progress shown.
#[derive(Debug)]
pub(super) struct Outgoing {
    body: Body,
    sent: u64,
    limit: Option<u64>,
    progress: Option<Arc<Progress>>,
}

/// How far a body has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    frames: AtomicU64,
    ended: AtomicBool,
}

impl Progress {
    /// A number that changes whenever something has been sent, the end included.
    pub(super) fn mark(&self) -> (u64, bool) {
        (self.frames.load(Relaxed), self.ended.load(Relaxed))
    }
}

impl Outgoing {
    /// Wraps `body`. There is progress to show only if there is a body.
    pub(super) fn new(body: Body, limit: Option<u64>) -> (Self, Option<Arc<Progress>>) {
        let progress = (!body.is_end_stream()).then(Arc::<Progress>::default);
        (Self { body, sent: 0, limit, progress: progress.clone() }, progress)
    }

    fn admit(&mut self, data: Bytes) -> Result<Frame<Bytes>, BodyError> {
        self.sent = self.sent.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        match self.limit {
            Some(limit) if self.sent > limit => Err(BodyError::TooLarge { limit }),
            _ => Ok(Frame::data(data)),
        }
    }

    fn end(&self) {
        if let Some(progress) = &self.progress {
            progress.ended.store(true, Relaxed);
        }
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let Some(frame) = frame else {
            self.end();
            return Poll::Ready(None);
        };
        if let Some(progress) = &self.progress {
            progress.frames.fetch_add(1, Relaxed);
        }
        // SECURITY: request trailers end here (RFC 9110 §6.5.1 allows it). They arrive after the decision, and
        // some servers merge them into the header fields, where they could speak for us.
        Poll::Ready(match frame.map(Frame::into_data) {
            Ok(Ok(data)) => Some(self.admit(data)),
            Ok(Err(_trailers)) => {
                self.end();
                None
            }
            Err(error) => Some(Err(error)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
