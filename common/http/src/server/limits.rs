//! What a listener gives to strangers before it says no.
//! Not rate limits: those know who is asking.

use std::time::Duration;

/// The smallest read buffer that hyper works with.
const SMALLEST_HEAD: usize = 8 * 1024;

/// Connections that one peer may have in any case.
const LEAST_PER_PEER: usize = 64;

/// The limits of one listener. Every value has a default that suits a public listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at one time; more wait in the kernel's queue. Default 4096.
    pub max_connections: usize,
    /// Connections at one time of one peer, counted by source address (IPv6: by /64) or user id; more are closed at
    /// once. Not counted: loopback addresses, and on Unix sockets root and our own user. Default `None`: an eighth of
    /// `max_connections`, at least 64.
    pub max_connections_per_peer: Option<usize>,
    /// Requests at one time, whose answers have not ended; more are answered 503 `busy`. Only HTTP/2 has several on one
    /// connection. Default `None`: as many as connections. One peer that is counted has half of them at most, here and at
    /// each upstream, unless it may have all connections.
    pub max_requests: Option<usize>,
    /// Header fields in one request. Default 100.
    pub max_headers: usize,
    /// Bytes of one request head. Default 64 KiB, at least 8 KiB.
    pub max_head_bytes: usize,
    /// From the first byte of a request head to its last; also the TLS handshake. Default 10 s.
    pub head_timeout: Duration,
    /// How long a connection may be open without a request. Default 75 s.
    pub idle_timeout: Duration,
    /// How long a TCP peer may be silent until the kernel asks whether it is still there; it is given up after as
    /// long again. Default 60 s.
    pub keepalive: Duration,
    /// How long a peer may leave an answer unread while we want to write. Default 60 s.
    pub write_timeout: Duration,
    /// The longest pause within a request body. Default 60 s.
    pub body_idle_timeout: Duration,
    /// Bytes of one request body; `None` leaves it to the handler. Default `None`.
    pub max_body_bytes: Option<u64>,
    /// Requests at one time on one HTTP/2 connection. Default 128.
    pub max_concurrent_streams: u32,
    /// Bytes of one HTTP/2 request that may arrive before its handler takes them. Default 256 KiB.
    pub stream_window: u32,
    /// The same for all requests of one HTTP/2 connection together. Default 1 MiB.
    pub connection_window: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            max_connections_per_peer: None,
            max_requests: None,
            max_headers: 100,
            max_head_bytes: 64 * 1024,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            keepalive: Duration::from_mins(1),
            write_timeout: Duration::from_mins(1),
            body_idle_timeout: Duration::from_mins(1),
            max_body_bytes: None,
            max_concurrent_streams: 128,
            stream_window: 256 * 1024,
            connection_window: 1024 * 1024,
        }
    }
}

impl Limits {
    /// The most connections of one peer.
    pub(super) fn per_peer(&self) -> usize {
        self.max_connections_per_peer.unwrap_or((self.max_connections / 8).max(LEAST_PER_PEER))
    }

    /// The most requests at one time.
    pub(super) fn requests(&self) -> usize {
        self.max_requests.unwrap_or(self.max_connections).clamp(1, tokio::sync::Semaphore::MAX_PERMITS)
    }

    /// The most requests at one time of one peer: half of all, so that HTTP/2 does not give back what is kept from it in
    /// connections. Who may have all connections may have all requests too: a balancer, or the one app of a door.
    pub(super) fn requests_per_peer(&self) -> Option<usize> {
        (self.per_peer() < self.max_connections).then(|| self.requests().div_ceil(2))
    }

    /// The same, with values that cannot work replaced by the nearest that can.
    pub(super) fn sane(mut self) -> Self {
        // INVARIANT: hyper panics on smaller buffers.
        self.max_head_bytes = self.max_head_bytes.max(SMALLEST_HEAD);
        self.max_connections = self.max_connections.clamp(1, tokio::sync::Semaphore::MAX_PERMITS);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_peer_gets_an_eighth_of_the_connections_unless_told_otherwise() {
        let limits = |max_connections, max_connections_per_peer| Limits {
            max_connections,
            max_connections_per_peer,
            ..Limits::default()
        };
        assert_eq!(limits(4096, None).per_peer(), 512);
        assert_eq!(limits(100, None).per_peer(), 64);
        assert_eq!(limits(4096, Some(3)).per_peer(), 3);
        assert_eq!(limits(4096, None).requests_per_peer(), Some(2048));
        assert_eq!(limits(4096, Some(4096)).requests_per_peer(), None);
    }
}
