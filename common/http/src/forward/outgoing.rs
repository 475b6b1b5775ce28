//! The body of a request on its way to an upstream.
//! Not stored anywhere: it reads from the client as fast as the upstream takes it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};

use super::upload::Upload;
use crate::body::{Body, BodyError};
use crate::streams::{Ending, View};

/// What may stay of a request's trailers. They arrive after the decision.
pub type TrailerFilter = fn(&mut HeaderMap);

/// A request's body with a limit, and with its progress shown.
#[derive(Debug)]
pub(super) struct Outgoing {
    body: Body,
    sent: u64,
    limit: Option<u64>,
    /// Without one, trailers are not sent on.
    trailers: Option<TrailerFilter>,
    upload: Option<Arc<Upload>>,
    /// Of the exchange that it belongs to. Whoever reads the answer looks as well, but a client that does not read it would
    /// have nobody look.
    view: Option<View>,
}

impl Outgoing {
    /// Wraps `body`. There is an upload to watch only if there is a body.
    pub(super) fn new(
        body: Body,
        limit: Option<u64>,
        trailers: Option<TrailerFilter>,
    ) -> (Self, Option<Arc<Upload>>) {
        let upload = (!body.is_end_stream()).then(Arc::<Upload>::default);
        (Self { body, sent: 0, limit, trailers, upload: upload.clone(), view: None }, upload)
    }

    /// The same, ending with the right to the exchange.
    pub(super) fn seen_by(mut self, view: Option<View>) -> Self {
        self.view = view;
        self
    }

    /// Whether the right to send it has ended. The first frame follows a look at the time.
    fn over(&mut self) -> Option<Ending> {
        let first = self.sent == 0;
        self.view.as_mut().and_then(if first { View::revoked } else { View::over })
    }

    fn admit(&mut self, data: Bytes) -> Result<Frame<Bytes>, BodyError> {
        self.sent = self.sent.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        match self.limit {
            Some(limit) if self.sent > limit => Err(BodyError::TooLarge { limit }),
            _ => Ok(Frame::data(data)),
        }
    }

    fn end(&self) {
        if let Some(upload) = &self.upload {
            upload.end();
        }
    }

    /// SECURITY: trailers arrive after the decision, and some servers merge them into the header fields, where they
    /// could speak for us. HTTP/1.1 upstreams get none (RFC 9110 §6.5.1 allows it); others, what the filter leaves.
    fn last(&self, trailers: Option<HeaderMap>) -> Option<Frame<Bytes>> {
        self.end();
        let (mut trailers, filter) = (trailers?, self.trailers?);
        filter(&mut trailers);
        (!trailers.is_empty()).then(|| Frame::trailers(trailers))
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.upload.as_ref().is_some_and(|upload| upload.is_cut()) {
            return Poll::Ready(Some(Err(BodyError::Unwanted)));
        }
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            let cut = self.upload.as_ref().map_or(Poll::Pending, |upload| upload.poll_cut(cx));
            return cut.map(|()| Some(Err(BodyError::Unwanted)));
        };
        let Some(frame) = frame else {
            self.end();
            return Poll::Ready(None);
        };
        if let Some(ending) = self.over() {
            return Poll::Ready(Some(Err(BodyError::Ended(ending))));
        }
        if let Some(upload) = &self.upload {
            upload.sent();
        }
        Poll::Ready(match frame.map(Frame::into_data) {
            Ok(Ok(data)) => Some(self.admit(data)),
            Ok(Err(trailers)) => self.last(trailers.into_trailers().ok()).map(Ok),
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
