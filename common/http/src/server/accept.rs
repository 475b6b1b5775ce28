//! The accept loop: takes connections for as long as it may, and outlives a lack of descriptors.
//! Not what happens on a connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use symbolon_daemon::Lifecycle;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio_rustls::server::TlsStream;

use super::Handler;
use super::bind::{Bound, Listener};
use super::connection::{self, End, Protocol, Terms};
use super::crowd::{Crowd, Crowder};
use super::limits::Limits;
use super::metrics::ListenerMetrics;
use super::peer::{ConnectionInfo, Peer, PeerCredentials};
use super::stream::Stream;
use crate::executor::LifecycleExecutor;
use crate::places::Places;
use crate::tls::ServerTls;

/// The pauses after an error that only time can cure.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Everything an accept loop needs but its socket.
pub(super) struct Acceptor {
    pub(super) name: &'static str,
    pub(super) limits: Limits,
    pub(super) tls: Option<ServerTls>,
    pub(super) connections: ListenerMetrics,
    pub(super) lifecycle: Lifecycle,
}

/// What the connections of one listener share.
struct Shared {
    acceptor: Acceptor,
    protocol: Protocol,
    /// Of the requests under way.
    places: Places,
}

/// A connection as the kernel hands it over.
enum Accepted {
    Tcp(TcpStream, std::net::SocketAddr),
    Unix(UnixStream),
}

impl Accepted {
    /// Whom the connection is counted for, if for anybody.
    fn crowder(&self, ours: u32) -> Option<Crowder> {
        match self {
            Self::Tcp(_, peer) => Crowder::at(peer.ip()),
            // A peer without credentials is turned away when it is greeted.
            Self::Unix(stream) => stream.peer_cred().ok().and_then(|peer| Crowder::user(peer.uid(), ours)),
        }
    }
}

impl Acceptor {
    /// Accepts until shutdown.
    pub(super) async fn run<H: Handler>(self, bound: Bound, handler: H) {
        let lifecycle = self.lifecycle.clone();
        let permits = Arc::new(Semaphore::new(self.limits.max_connections));
        let executor = LifecycleExecutor::foreground("http_stream", &lifecycle);
        let protocol = connection::protocol(&self.limits, executor);
        let (crowd, ours) = (Crowd::new(self.limits.per_peer()), rustix::process::geteuid().as_raw());
        let places = Places::new(self.limits.requests(), self.limits.requests_per_peer());
        let shared = Arc::new(Shared { acceptor: self, protocol, places });
        let accepting = async {
            // INVARIANT: the semaphore is never closed, so this loop ends with the select below.
            while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
                let accepted = shared.acceptor.accept(&bound).await;
                let crowder = accepted.crowder(ours);
                let place = match crowder.map(|crowder| crowd.enter(crowder)) {
                    Some(None) => {
                        shared.acceptor.connections.accept_errors.inc();
                        continue;
                    }
                    Some(place @ Some(_)) => place,
                    None => None,
                };
                let (shared, handler) = (Arc::clone(&shared), handler.clone());
                lifecycle.spawn("http_connection", async move {
                    shared.serve((accepted, crowder), handler).await;
                    drop((place, permit));
                });
            }
        };
        tokio::select! {
            () = accepting => {}
            () = lifecycle.shutting_down() => {}
        }
    }

    /// The next connection. Never gives up: what cannot be cured at once is waited for.
    async fn accept(&self, bound: &Bound) -> Accepted {
        let mut pause = FIRST_PAUSE;
        loop {
            let accepted = match &bound.listener {
                Listener::Tcp(listener) => {
                    listener.accept().await.map(|(stream, peer)| Accepted::Tcp(stream, peer))
                }
                Listener::Unix(socket) => {
                    socket.listener.accept().await.map(|(stream, _)| Accepted::Unix(stream))
                }
            };
            let error = match accepted {
                Ok(accepted) => {
                    self.connections.accepted.inc();
                    return accepted;
                }
                Err(error) => error,
            };
            self.connections.accept_errors.inc();
            if is_the_peers(&error) {
                continue;
            }
            // Out of descriptors or memory: the connection stays in the queue, and others will end.
            tracing::warn!(
                event.name = "server.accept_failed", listener = self.name, %error,
                pause_seconds = pause.as_secs_f64(), "cannot accept, waiting"
            );
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    /// Learns who is there, and shakes hands.
    async fn greet(&self, accepted: Accepted) -> io::Result<(Stream, ConnectionInfo)> {
        let (stream, peer) = match accepted {
            Accepted::Unix(stream) => {
                let credentials = PeerCredentials::of(&stream)?;
                return Ok((Stream::Unix(stream), ConnectionInfo::new(Peer::Unix(credentials), false)));
            }
            Accepted::Tcp(stream, peer) => (stream, peer),
        };
        stream.set_nodelay(true)?;
        keep_alive(&stream, self.limits.keepalive)?;
        let Some(tls) = &self.tls else {
            return Ok((Stream::Tcp(stream), ConnectionInfo::new(Peer::Tcp(peer), false)));
        };
        let stream = self.shake_hands(tls, stream).await.inspect_err(|_| {
            self.connections.handshakes_failed.inc();
        })?;
        Ok((Stream::Tls(Box::new(stream)), ConnectionInfo::new(Peer::Tcp(peer), true)))
    }

    async fn shake_hands(&self, tls: &ServerTls, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let handshake = tokio_rustls::TlsAcceptor::from(tls.config()).accept(stream);
        match tokio::time::timeout(self.limits.head_timeout, handshake).await {
            Ok(shaken) => shaken,
            Err(elapsed) => {
                self.connections.timed_out.inc();
                Err(elapsed.into())
            }
        }
    }
}

impl Shared {
    async fn serve<H: Handler>(&self, (accepted, crowder): (Accepted, Option<Crowder>), handler: H) {
        let acceptor = &self.acceptor;
        let _open = Open::new(&acceptor.connections);
        let shutdown = acceptor.lifecycle.shutting_down();
        let (stream, info) = match acceptor.greet(accepted).await {
            Ok(greeted) => greeted,
            Err(error) => {
                tracing::debug!(event.name = "server.greeting_failed", listener = acceptor.name, %error, "closing");
                return;
            }
        };
        let terms = Terms {
            protocol: &self.protocol,
            limits: &acceptor.limits,
            places: &self.places,
            crowder: self.places.limited(crowder),
            busy: &acceptor.connections.busy,
        };
        if connection::serve(stream, info, handler, terms, shutdown).await == End::TooSlow {
            acceptor.connections.timed_out.inc();
        }
    }
}

/// Counts a connection while it is open.
struct Open<'a>(&'a ListenerMetrics);

impl<'a> Open<'a> {
    fn new(metrics: &'a ListenerMetrics) -> Self {
        metrics.open.inc();
        Self(metrics)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.dec();
    }
}

/// Unanswered probes after which a peer counts as gone.
const PROBES: u32 = 4;

/// Has the kernel ask a silent peer whether it is still there: a machine that lost its power says no goodbye, and a
/// connection that only reads would wait for it for ever.
fn keep_alive(stream: &TcpStream, after: Duration) -> io::Result<()> {
    // The kernel counts in whole seconds and takes no zero.
    let (least, between) = (Duration::from_secs(1), after.checked_div(PROBES).unwrap_or(after));
    sockopt::set_tcp_keepidle(stream, after.max(least))?;
    sockopt::set_tcp_keepintvl(stream, between.max(least))?;
    sockopt::set_tcp_keepcnt(stream, PROBES)?;
    sockopt::set_socket_keepalive(stream, true)?;
    Ok(())
}

/// Whether the error is of this one connection, and the next may be fine (accept(2)).
fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
