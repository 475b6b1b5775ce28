//! The connections of a forwarder: HTTP/1.1 by a pool, HTTP/2 by as many connections as its streams need.
//! Not where they lead (`connector.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use hyper_util::client::legacy::{Builder, Client};
use hyper_util::rt::TokioTimer;
use rustls::ClientConfig;
use symbolon_daemon::Lifecycle;

use super::ForwardOptions;
use super::connector::{TimedConnector, connector};
use super::outgoing::Outgoing;
use crate::executor::LifecycleExecutor;

/// What sends requests.
pub(super) type Sender = Client<TimedConnector, Outgoing>;

/// How many requests share an HTTP/2 connection before the next one is used: below the least that servers are asked to
/// allow (RFC 9113 §6.5.2: 100), so that none waits for another to end.
const STREAMS: usize = 96;

/// How many HTTP/2 connections there may be; beyond `LANES * STREAMS` requests the emptiest is shared further.
const LANES: usize = 16;

/// What an HTTP/2 answer may have sent without being read. All streams of a connection together fit its window, so that
/// a client that does not read holds back nobody but itself.
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = 12 * 1024 * 1024;

/// What a stream holds of a request that the upstream does not take.
const SEND_BUFFER: usize = 64 * 1024;

/// The connections of one forwarder.
#[derive(Debug, Clone)]
pub(super) struct Lanes {
    /// Also every WebSocket handshake, which HTTP/2 does not know.
    http1: Sender,
    http2: Option<Arc<[Shared]>>,
}

/// An HTTP/2 connection, once it is needed, and how many requests are on it.
#[derive(Debug)]
struct Shared {
    sender: Sender,
    open: Arc<AtomicUsize>,
}

/// A request's place on an HTTP/2 connection; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Lane(Arc<AtomicUsize>);

impl Lanes {
    pub(super) fn new(options: &ForwardOptions, tls: &ClientConfig, lifecycle: &Lifecycle) -> Self {
        let http1 = builder(options, lifecycle).build(connector(tls.clone(), options.connect_timeout, false));
        let http2 = options.http2.then(|| {
            let lane = |_| {
                let connector = connector(tls.clone(), options.connect_timeout, true);
                Shared { sender: http2(options, lifecycle).build(connector), open: Arc::default() }
            };
            (0..LANES).map(lane).collect()
        });
        Self { http1, http2 }
    }

    /// Whether requests go by HTTP/2.
    pub(super) const fn is_http2(&self) -> bool {
        self.http2.is_some()
    }

    /// The pool of HTTP/1.1 connections.
    pub(super) const fn http1(&self) -> &Sender {
        &self.http1
    }

    /// What sends the next request, and its place there if places are counted.
    pub(super) fn next(&self) -> (&Sender, Option<Lane>) {
        let Some(lanes) = &self.http2 else { return (&self.http1, None) };
        let load = |lane: &&Shared| lane.open.load(Relaxed);
        let free = lanes.iter().find(|lane| load(lane) < STREAMS);
        let Some(Shared { sender, open }) = free.or_else(|| lanes.iter().min_by_key(load)) else {
            return (&self.http1, None);
        };
        open.fetch_add(1, Relaxed);
        (sender, Some(Lane(Arc::clone(open))))
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn builder(options: &ForwardOptions, lifecycle: &Lifecycle) -> Builder {
    let mut builder = Client::builder(LifecycleExecutor::background("http_upstream", lifecycle));
    builder
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(options.idle_timeout)
        .pool_max_idle_per_host(options.max_idle);
    builder
}

fn http2(options: &ForwardOptions, lifecycle: &Lifecycle) -> Builder {
    let mut builder = builder(options, lifecycle);
    builder
        .http2_only(true)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_frame_size(16 * 1024)
        .http2_max_send_buf_size(SEND_BUFFER)
        .http2_max_header_list_size(64 * 1024)
        .http2_max_concurrent_reset_streams(STREAMS)
        // An upstream that is gone without a word is found out while somebody waits for it.
        .http2_keep_alive_interval(options.idle_timeout)
        .http2_keep_alive_timeout(options.connect_timeout);
    builder
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn one_connection_serves_until_it_is_full_and_again_once_it_is_not() {
        let options = ForwardOptions { http2: true, ..ForwardOptions::default() };
        let tls = crate::tls::client_config(None).unwrap();
        let lanes = Lanes::new(&options, &tls, &Lifecycle::new(Duration::ZERO));
        let loads = || -> Vec<usize> {
            lanes.http2.as_ref().unwrap().iter().map(|lane| lane.open.load(Relaxed)).collect()
        };
        let mut places: Vec<_> =
            std::iter::repeat_with(|| lanes.next().1.unwrap()).take(STREAMS + 1).collect();
        assert!(loads().starts_with(&[STREAMS, 1, 0]), "{:?}", loads());
        places.truncate(1);
        places.push(lanes.next().1.unwrap());
        assert!(loads().starts_with(&[2, 0]), "{:?}", loads());
        places.extend(std::iter::repeat_with(|| lanes.next().1.unwrap()).take(LANES * STREAMS));
        assert!(loads().iter().all(|load| (STREAMS..=STREAMS + 1).contains(load)), "{:?}", loads());
        places.clear();
        assert_eq!(loads(), [0; LANES]);
    }
}
