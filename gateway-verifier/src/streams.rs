//! Streams of verified callers: each ends with its token, or when its caller's right is withdrawn.
//! Not here: how bytes move and how a stream is cut (`symbolon-http`).

mod reaper;
mod renewable;
mod sockets;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::ORIGIN;
use symbolon_daemon::Lifecycle;
use symbolon_http::streams::Streams;
use tokio::time::Instant;

pub use reaper::Reaper;
pub use renewable::{Found, Opening};
pub use sockets::{Handshake, Sockets};
/// The place of one stream among the open ones; free again when it is dropped.
pub use symbolon_http::streams::Guard;

use crate::caller::VerifiedCaller;
use crate::clock::Moment;
use crate::config::{Origin, StreamsConfig};
use renewable::Renewable;

/// The exchanges that are open now, by caller. Clones share them.
#[derive(Debug, Clone)]
pub struct Open {
    streams: Streams,
}

impl Open {
    /// None yet; their timer runs under `lifecycle`.
    #[must_use]
    pub fn new(lifecycle: &Lifecycle) -> Self {
        Self { streams: Streams::new(lifecycle) }
    }

    /// Takes an exchange in, before its request goes up. It ends at `deadline` at the latest.
    ///
    /// Whoever withdraws rights must do so where callers are judged first and call [`Open::end_where`] then. A request
    /// that was judged just before and is registered just after escapes both: look once more after registering.
    #[must_use]
    pub fn register(&self, caller: &Arc<VerifiedCaller>, deadline: Instant) -> Guard {
        // A second name for the same memory.
        let holder: Arc<VerifiedCaller> = Arc::clone(caller);
        self.streams.register(holder, Some(deadline))
    }

    /// Ends every exchange whose caller fits, as a revocation; says how many.
    pub fn end_where(&self, fits: impl Fn(&VerifiedCaller) -> bool) -> usize {
        self.streams.end_where(|holder| match holder.downcast_ref::<VerifiedCaller>() {
            Some(caller) => fits(caller),
            None => holder.downcast_ref::<Renewable>().is_some_and(|stream| stream.callers().any(&fits)),
        })
    }

    /// How many exchanges are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }
}

/// How the streams of a route are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRule {
    /// How long a stream may outlast its token.
    pub grace: Duration,
    /// The longest silence.
    pub idle_timeout: Duration,
    /// Whether a stream may go on with another token.
    pub renewal: bool,
    /// Web pages that may open a WebSocket.
    origins: Vec<Origin>,
}

impl StreamRule {
    /// The rule of a route behind a gateway that clients call by these origins.
    #[must_use]
    pub fn new(config: &StreamsConfig, ours: &[Origin]) -> Self {
        Self {
            grace: config.grace.into(),
            idle_timeout: config.idle_timeout.into(),
            renewal: config.renewal,
            origins: ours.iter().chain(&config.origins).cloned().collect(),
        }
    }

    /// When a stream of this caller must end; none if that cannot be said, because it is centuries away.
    #[must_use]
    pub fn deadline(&self, caller: &VerifiedCaller, now: Moment) -> Option<Instant> {
        let left = now.until(caller.token().claims().expires_at).saturating_add(self.grace);
        Instant::now().checked_add(left)
    }

    /// Whether a handshake with these headers comes from a program, or from a page that may (RFC 6455 §10.2).
    #[must_use]
    pub fn admits_origin(&self, headers: &HeaderMap) -> bool {
        let mut said = headers.get_all(ORIGIN).iter();
        let known = |said: &http::HeaderValue| {
            self.origins.iter().any(|origin| origin.as_str().as_bytes() == said.as_bytes())
        };
        match (said.next(), said.next()) {
            (None, _) => true,
            (Some(said), None) => known(said),
            (Some(_), Some(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> StreamRule {
        let config = StreamsConfig {
            origins: vec![Origin::parse("https://app.example.com").unwrap()],
            ..StreamsConfig::default()
        };
        StreamRule::new(&config, &[Origin::parse("https://orders.example.com").unwrap()])
    }

    fn admits(origins: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for origin in origins {
            headers.append(ORIGIN, origin.parse().unwrap());
        }
        rule().admits_origin(&headers)
    }

    #[test]
    fn programs_and_known_pages_may_open_a_socket_and_others_not() {
        assert!(admits(&[]));
        assert!(admits(&["https://orders.example.com"]));
        assert!(admits(&["https://app.example.com"]));
        for foreign in [
            "null",
            "",
            "https://evil.example",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.example",
        ] {
            assert!(!admits(&[foreign]), "{foreign}");
        }
        assert!(!admits(&["https://app.example.com", "https://app.example.com"]));
    }
}
