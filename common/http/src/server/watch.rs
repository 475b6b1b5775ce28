//! What a connection is doing, seen from its bytes and its requests, so that slowness can be told from work.
//! Not a protocol parser.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::stream::Stream;
use super::untaken::Untaken;
use crate::executor::TaskEnd;
use crate::places::Place;
use crate::tunnel::Switch;

/// The largest piece of an answer that is handed to HTTP/2 at once: the least that a peer must take to show that it
/// reads. As large as the smallest limit of a frame (RFC 9113 §4.2).
const PIECE: usize = 16 * 1024;

/// HTTP/2 requests that a connection may take back at once, and the part of all its requests that is then too much: rapid
/// reset costs us work and its sender nothing, and hyper counts only the streams that it has not begun.
const ABANDONED: u64 = 200;
const ABANDONED_PART: u64 = 2;

/// A request that waited this long for its answer to begin was meant.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The activity of one connection, counted by its socket and its requests.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Requests that are not answered to the last byte.
    open: AtomicU64,
    /// Requests so far.
    started: AtomicU64,
    /// HTTP/2 requests that were taken back at once, before their answers began.
    abandoned: AtomicU64,
    /// Reads that brought something.
    reads: AtomicU64,
    /// `reads` when the last request began or ended.
    reads_then: AtomicU64,
    /// Writes that took something.
    writes: AtomicU64,
    /// Whether the last write found the peer's window full.
    write_blocked: AtomicBool,
    /// Whether the last flush did. Only TLS flushes; a flush of TCP says nothing about a blocked write.
    flush_blocked: AtomicBool,
    /// Whether the connection began with the first letters of the HTTP/2 preface.
    http2: AtomicBool,
    /// The pieces that HTTP/2 answers handed out, and have not been asked for more since.
    untaken: Untaken,
    /// What the connection becomes once HTTP is over.
    switch: Mutex<Option<Switch>>,
}

/// What a connection is doing. Two equal values mean that nothing has happened in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// A request is being answered.
    Busy,
    /// We want to write and the peer does not read.
    Stalled {
        /// The writes so far.
        writes: u64,
    },
    /// Bytes have come, but not yet a whole request head; or nothing at all on a new connection.
    Head {
        /// The requests so far.
        started: u64,
    },
    /// Between two requests.
    Idle {
        /// The requests so far.
        started: u64,
    },
}

impl Activity {
    /// What the connection is doing now.
    pub(super) fn phase(&self) -> Phase {
        // First, because hyper may hold the last of an answer whose body it has already dropped.
        if self.write_blocked.load(Relaxed) || self.flush_blocked.load(Relaxed) {
            return Phase::Stalled { writes: self.writes.load(Relaxed) };
        }
        let started = self.started.load(Relaxed);
        if self.open.load(Relaxed) > 0 {
            return Phase::Busy;
        }
        // HTTP/2 peers may send pings and settings between requests; those are not a slow head.
        let quiet = self.http2.load(Relaxed) || self.reads.load(Relaxed) == self.reads_then.load(Relaxed);
        if started > 0 && quiet { Phase::Idle { started } } else { Phase::Head { started } }
    }

    /// Marks a request as open until the answer is dropped, and keeps its place among those of the listener.
    pub(super) fn open(self: &Arc<Self>, place: Option<Place>) -> OpenRequest {
        self.open.fetch_add(1, Relaxed);
        let number = self.started.fetch_add(1, Relaxed);
        let unanswered = self.http2.load(Relaxed).then(Instant::now);
        OpenRequest { activity: Arc::clone(self), number, place, unanswered, end: None }
    }

    /// Whether most requests are taken back as soon as they are made.
    pub(super) fn is_wasteful(&self) -> bool {
        let abandoned = self.abandoned.load(Relaxed);
        abandoned >= ABANDONED && abandoned.saturating_mul(ABANDONED_PART) > self.started.load(Relaxed)
    }

    /// What the connection becomes, if a request changed its protocol.
    pub(super) fn take_switch(&self) -> Option<Switch> {
        self.switch.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// For how long the peer has left a piece of some answer untaken.
    pub(super) fn longest_untaken(&self) -> Option<Duration> {
        self.untaken.longest()
    }

    /// Ends the requests of which the peer has taken nothing for so long; says whether that is the whole connection, which
    /// is better ended itself.
    pub(super) fn end_stalled(&self, limit: Duration) -> bool {
        self.untaken.end_stalled(limit, self.open.load(Relaxed))
    }
}

/// A request that is not answered to the last byte.
#[derive(Debug)]
pub(super) struct OpenRequest {
    activity: Arc<Activity>,
    number: u64,
    place: Option<Place>,
    /// Since when it waits for its answer to begin; only on HTTP/2, where requests can be taken back one by one.
    unanswered: Option<Instant>,
    /// Ends it alone; only on HTTP/2.
    end: Option<TaskEnd>,
}

impl OpenRequest {
    /// Whether it is within the limit of its listener.
    pub(super) const fn has_place(&self) -> bool {
        self.place.is_some()
    }

    /// Its answer begins.
    pub(super) fn answered(&mut self) {
        self.unanswered = None;
    }

    /// It can be ended alone from here on.
    pub(super) fn ends_by(&mut self, end: Option<TaskEnd>) {
        self.end = end;
    }

    /// The connection is a tunnel once this answer is sent.
    pub(super) fn switch(&self, switch: Switch) {
        *self.activity.switch.lock().unwrap_or_else(PoisonError::into_inner) = Some(switch);
    }

    fn is_http2(&self) -> bool {
        self.activity.http2.load(Relaxed)
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        if self.unanswered.is_some_and(|since| since.elapsed() < AT_ONCE) {
            self.activity.abandoned.fetch_add(1, Relaxed);
        }
        self.activity.untaken.take(self.number);
        self.activity.open.fetch_sub(1, Relaxed);
        self.activity.reads_then.store(self.activity.reads.load(Relaxed), Relaxed);
    }
}

/// A connection that reports its bytes.
#[derive(Debug)]
pub(super) struct Watched {
    stream: Stream,
    activity: Arc<Activity>,
}

impl Watched {
    pub(super) fn new(stream: Stream, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }

    fn wrote(&self, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Pending => self.activity.write_blocked.store(true, Relaxed),
            Poll::Ready(_) => {
                self.activity.write_blocked.store(false, Relaxed);
                self.activity.writes.fetch_add(1, Relaxed);
            }
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Some(news) = buf.filled().get(before..).filter(|news| !news.is_empty()) {
            // No HTTP/1 method begins with the first letters of the preface (RFC 9113 §3.4) and goes on.
            if self.activity.reads.fetch_add(1, Relaxed) == 0 && news.starts_with(b"PRI ") {
                self.activity.http2.store(true, Relaxed);
            }
        }
        result
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(&result);
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.activity.flush_blocked.store(result.is_pending(), Relaxed);
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// An answer's body that keeps its request open.
#[derive(Debug)]
pub(super) struct Answering<B> {
    /// The handler's; none if the request never came to it.
    body: Option<B>,
    /// What is left of a frame that is handed out in pieces.
    rest: Bytes,
    open: OpenRequest,
}

impl<B> Answering<B> {
    pub(super) fn new(body: B, open: OpenRequest) -> Self {
        Self { body: Some(body), rest: Bytes::new(), open }
    }

    /// A text in place of a handler's answer.
    pub(super) const fn refusal(text: Bytes, open: OpenRequest) -> Self {
        Self { body: None, rest: text, open }
    }

    /// At most one piece of `data`; the rest is kept.
    fn piece(&mut self, mut data: Bytes) -> Frame<Bytes> {
        let piece = data.split_to(data.len().min(PIECE));
        self.rest = data;
        Frame::data(piece)
    }
}

impl<B: http_body::Body<Data = Bytes> + Unpin> Answering<B> {
    fn poll_handler(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(cx))
    }

    /// The handler's frames as they are, behind what is left.
    fn poll_whole(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.rest.is_empty() {
            return self.poll_handler(cx);
        }
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.rest)))))
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            return Poll::Ready(Some(Ok(self.piece(rest))));
        }
        let frame = ready!(self.poll_handler(cx));
        Poll::Ready(frame.map(|frame| match frame?.into_data() {
            Ok(data) => Ok(self.piece(data)),
            Err(trailers) => Ok(trailers),
        }))
    }
}

impl<B: http_body::Body<Data = Bytes> + Unpin> http_body::Body for Answering<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if !self.open.is_http2() {
            return self.poll_whole(cx);
        }
        let piece = self.poll_piece(cx);
        let OpenRequest { activity, number, end, .. } = &self.open;
        match piece {
            Poll::Ready(Some(Ok(_))) => activity.untaken.hand_out(*number, end.as_ref()),
            Poll::Ready(Some(Err(_)) | None) | Poll::Pending => activity.untaken.take(*number),
        }
        piece
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        let body = self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), B::size_hint);
        let mut hint = SizeHint::new();
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(body.lower().saturating_add(rest));
        hint
    }
}
