//! Bytes from one side of a tunnel to the other, in one direction.
//! Not a buffer: what the writer does not take at once is kept, and nothing more is read until it has.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is read at once.
const PIECE: usize = 16 * 1024;

thread_local! {
    /// One for each thread rather than two for each tunnel: most tunnels are silent most of the time.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; PIECE].into());
}

/// One direction of a tunnel.
#[derive(Debug, Default)]
pub(super) struct Copy {
    /// Read and not yet written.
    pending: Bytes,
    /// Written since the last flush.
    unflushed: bool,
    ended: bool,
    done: bool,
    passed: u64,
}

/// Which side failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    Reader,
    Writer,
}

/// What became of one read.
enum Read {
    Wait,
    End,
    Some,
}

impl Copy {
    /// How many bytes were passed on.
    pub(super) const fn passed(&self) -> u64 {
        self.passed
    }

    /// Whether the reader has ended and everything was passed on, the end included.
    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    /// Copies as much as it can; ready when the reader has ended and the writer knows. `note` sees what was passed on.
    pub(super) fn poll<R, W>(
        &mut self,
        reader: &mut R,
        writer: &mut W,
        note: &mut impl FnMut(&[u8]),
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            while !self.pending.is_empty() {
                let taken = ready!(write(writer, &self.pending, cx))?;
                let written = self.pending.split_to(taken.min(self.pending.len()));
                self.wrote(written.len());
                note(&written);
            }
            if self.ended {
                ready!(Pin::new(writer).poll_shutdown(cx)).map_err(|_| Broken::Writer)?;
                self.done = true;
                return Poll::Ready(Ok(()));
            }
            match self.read(reader, writer, note, cx)? {
                Read::Some => {}
                Read::End => self.ended = true,
                Read::Wait => {
                    if self.unflushed {
                        ready!(Pin::new(writer).poll_flush(cx)).map_err(|_| Broken::Writer)?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// Reads once, and writes what the writer takes at once.
    fn read<R, W>(
        &mut self,
        reader: &mut R,
        writer: &mut W,
        note: &mut impl FnMut(&[u8]),
        cx: &mut Context<'_>,
    ) -> Result<Read, Broken>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match Pin::new(reader).poll_read(cx, &mut buffer) {
                Poll::Pending => return Ok(Read::Wait),
                Poll::Ready(read) => read.map_err(|_| Broken::Reader)?,
            }
            let read = buffer.filled();
            if read.is_empty() {
                return Ok(Read::End);
            }
            let taken = match write(writer, read, cx) {
                Poll::Pending => 0,
                Poll::Ready(taken) => taken?,
            };
            let (written, rest) = read.split_at_checked(taken).unwrap_or((read, &[]));
            self.wrote(written.len());
            note(written);
            if !rest.is_empty() {
                self.pending = Bytes::copy_from_slice(rest);
            }
            Ok(Read::Some)
        })
    }

    fn wrote(&mut self, count: usize) {
        self.unflushed |= count > 0;
        self.passed = self.passed.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

fn write<W: AsyncWrite + Unpin>(
    writer: &mut W,
    bytes: &[u8],
    cx: &mut Context<'_>,
) -> Poll<Result<usize, Broken>> {
    let written: io::Result<usize> = ready!(Pin::new(writer).poll_write(cx, bytes));
    Poll::Ready(match written {
        Ok(taken @ 1..) => Ok(taken),
        Ok(0) | Err(_) => Err(Broken::Writer),
    })
}
