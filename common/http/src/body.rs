//! The body of every request that we receive and every answer that we forward.
//! Not a buffer: what is received streams through, frame by frame, unless somebody asks for all of it.

mod leash;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{self, HeaderName};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Sleep;

pub(crate) use leash::{Leash, Manner};

use crate::streams::Ending;

/// A body: nothing, some bytes, or a stream from a peer.
#[derive(Debug, Default)]
pub struct Body {
    content: Content,
}

#[derive(Debug, Default)]
enum Content {
    #[default]
    Empty,
    Whole(Bytes),
    Stream(Stream),
}

#[derive(Debug)]
struct Stream {
    incoming: Incoming,
    limits: StreamLimits,
    received: u64,
    stalled: Option<Pin<Box<Sleep>>>,
    leash: Leash,
}

/// What a received body may cost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StreamLimits {
    /// The most bytes, if there is a most.
    pub(crate) bytes: Option<u64>,
    /// The longest wait for the next frame, if there is a longest.
    pub(crate) idle: Option<Duration>,
}

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The peer went away or sent something that is not a body.
    #[error("the body ended early or is malformed")]
    Broken(#[source] hyper::Error),
    /// It is larger than allowed.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The most that is allowed.
        limit: u64,
    },
    /// Nothing arrived for too long.
    #[error("no part of the body arrived for {} seconds", after.as_secs())]
    Stalled {
        /// How long we waited.
        after: Duration,
    },
    /// Its holder has no right to it any more.
    #[error("the right to this stream has ended")]
    Ended(Ending),
    /// The exchange that it belonged to is over.
    #[error("nobody waits for the rest of this body")]
    Unwanted,
}

impl BodyError {
    /// Whether we, rather than the peer, are to blame.
    #[must_use]
    pub const fn is_our_fault(&self) -> bool {
        false
    }
}

impl Body {
    /// A body without bytes.
    #[must_use]
    pub const fn empty() -> Self {
        Self { content: Content::Empty }
    }

    /// A body that a peer sends us.
    pub(crate) fn received(incoming: Incoming, limits: StreamLimits) -> Self {
        Self::leashed(incoming, limits, Leash::default())
    }

    /// A body that a peer sends us, for as long as `leash` lets it.
    pub(crate) fn leashed(incoming: Incoming, limits: StreamLimits, leash: Leash) -> Self {
        if http_body::Body::is_end_stream(&incoming) {
            return Self::empty();
        }
        Self { content: Content::Stream(Stream { incoming, limits, received: 0, stalled: None, leash }) }
    }

    /// Lets the sender pause for up to `idle` instead of what its listener allows strangers.
    #[must_use]
    pub fn with_patience(mut self, idle: Duration) -> Self {
        if let Content::Stream(stream) = &mut self.content {
            stream.limits.idle = Some(idle);
        }
        self
    }

    /// Reads all of it, at most `limit` bytes in at most `within`.
    ///
    /// # Errors
    /// When it is larger, slower, or ends early.
    pub async fn read(mut self, limit: usize, within: Duration) -> Result<Bytes, BodyError> {
        if let Content::Stream(stream) = &mut self.content {
            let limit = u64::try_from(limit).unwrap_or(u64::MAX);
            stream.limits.bytes = Some(stream.limits.bytes.map_or(limit, |already| already.min(limit)));
        }
        match tokio::time::timeout(within, self.collect()).await {
            Ok(collected) => Ok(collected?.to_bytes()),
            Err(_elapsed) => Err(BodyError::Stalled { after: within }),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::empty() } else { Self { content: Content::Whole(bytes) } }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from(Bytes::from(bytes))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::from(Bytes::from(text))
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::from(Bytes::from_static(text.as_bytes()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.content {
            Content::Empty => Poll::Ready(None),
            Content::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.content = Content::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Content::Stream(stream) => {
                let ending = match stream.leash.over() {
                    Some(ending) => ending,
                    None => match stream.poll_frame(cx) {
                        Poll::Ready(frame) => return Poll::Ready(frame),
                        Poll::Pending => ready!(stream.leash.poll_over(cx)),
                    },
                };
                let last = stream.leash.end(ending);
                self.content = Content::Empty;
                Poll::Ready(Some(last))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Whole(_) => false,
            Content::Stream(stream) => stream.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Whole(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Content::Stream(stream) => stream.incoming.size_hint(),
        }
    }
}

impl Stream {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(limit) = self.limits.bytes {
            let announced = http_body::Body::size_hint(&self.incoming).lower();
            if self.received.saturating_add(announced) > limit {
                return Poll::Ready(Some(Err(BodyError::TooLarge { limit })));
            }
        }
        let Poll::Ready(frame) = http_body::Body::poll_frame(Pin::new(&mut self.incoming), cx) else {
            return self.poll_stalled(cx);
        };
        self.stalled = None;
        Poll::Ready(frame.map(|frame| self.admit(frame.map_err(BodyError::Broken)?)))
    }

    /// Waits for the peer, but not for ever.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(idle) = self.limits.idle else {
            return Poll::Pending;
        };
        let sleep = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyError::Stalled { after: idle })))
    }

    fn admit(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, BodyError> {
        match frame.into_data() {
            Ok(data) => {
                let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                self.received = self.received.saturating_add(length);
                match self.limits.bytes {
                    Some(limit) if self.received > limit => Err(BodyError::TooLarge { limit }),
                    _ => Ok(Frame::data(data)),
                }
            }
            Err(frame) => Ok(frame.into_trailers().map_or_else(
                |_unknown| Frame::data(Bytes::new()),
                |mut trailers| {
                    remove_forbidden_trailers(&mut trailers);
                    Frame::trailers(trailers)
                },
            )),
        }
    }
}

/// Removes what must not be said after the fact: framing, routing, credentials, connection options
/// (RFC 9110 §6.5.1).
fn remove_forbidden_trailers(trailers: &mut HeaderMap) {
    const FORBIDDEN: [HeaderName; 15] = [
        header::AUTHORIZATION,
        HeaderName::from_static("dpop"),
        header::CACHE_CONTROL,
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::CONTENT_TYPE,
        header::COOKIE,
        header::HOST,
        header::PROXY_AUTHORIZATION,
        header::SET_COOKIE,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    for name in &FORBIDDEN {
        trailers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;

    use super::*;

    #[tokio::test]
    async fn a_whole_body_is_read_once_and_knows_its_size() {
        let body = Body::from("hello");
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(body.read(10, Duration::from_secs(1)).await.unwrap(), "hello");
    }

    #[test]
    fn an_empty_body_is_at_its_end() {
        assert!(Body::empty().is_end_stream());
        assert!(Body::from("").is_end_stream());
    }

    #[test]
    fn credentials_and_framing_do_not_survive_in_trailers() {
        let mut trailers = HeaderMap::new();
        for name in ["authorization", "host", "content-length", "transfer-encoding", "grpc-status"] {
            trailers.insert(name, "1".parse().unwrap());
        }
        remove_forbidden_trailers(&mut trailers);
        assert_eq!(trailers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["grpc-status"]);
    }
}
