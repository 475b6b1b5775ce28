//! Who may come in at a local listener, judged by what only a local caller can be or send.
//! It knows nothing of tokens: a request that passes has earned none yet.

use http::HeaderValue;
use http::header::ORIGIN;
use http::request::Parts;
use symbolon_http::server::{ConnectionInfo, Peer};
use symbolon_http::target::RequestTarget;

use crate::settings::{Door, Upstream};
use crate::turned_away::TurnedAway;

/// The names under which callers reach this machine.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The checks of one listener.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    /// The only users, for a Unix socket.
    uids: Option<Vec<u32>>,
    /// The port that callers name beside a local name; any for a Unix socket.
    port: Option<u16>,
    /// The upstream behind, whose own host callers may name as well.
    upstream: Option<Upstream>,
}

impl Gate {
    /// The gate of a door that was bound at `port`, before an upstream or the token endpoint.
    pub(crate) fn new(door: &Door, port: Option<u16>, upstream: Option<&Upstream>) -> Self {
        let uids = match door {
            Door::Unix { .. } => Some(door.users()),
            Door::Tcp(_) => None,
        };
        Self { uids, port, upstream: upstream.cloned() }
    }

    /// Lets the request in, or says why not.
    pub(crate) fn check<'a>(&self, head: &'a Parts) -> Result<RequestTarget<'a>, TurnedAway> {
        self.check_user(head)?;
        let target = RequestTarget::parse(head).map_err(|_| TurnedAway::Malformed)?;
        if !self.knows(&target) {
            return Err(TurnedAway::ForeignHost);
        }
        if is_of_a_web_page(head) {
            return Err(TurnedAway::CrossOrigin);
        }
        Ok(target)
    }

    fn check_user(&self, head: &Parts) -> Result<(), TurnedAway> {
        let Some(uids) = &self.uids else { return Ok(()) };
        match head.extensions.get::<ConnectionInfo>().map(ConnectionInfo::peer) {
            Some(Peer::Unix(peer)) if uids.contains(&peer.uid()) => Ok(()),
            _ => Err(TurnedAway::ForeignUser),
        }
    }

    fn knows(&self, asked: &RequestTarget<'_>) -> bool {
        let named = |name: &str| asked.host().eq_ignore_ascii_case(name);
        let right_port = self.port.is_none_or(|port| asked.port().unwrap_or(80) == port);
        let local = right_port && LOCAL_NAMES.into_iter().any(named);
        local
            || self.upstream.as_ref().is_some_and(|upstream| {
                let listed = upstream.hosts.iter().any(|host| named(host));
                listed || upstream.target.is_called(asked.host(), asked.port())
            })
    }
}

/// Whether a browser sent it for a page: programs send neither header (Fetch standard; Fetch Metadata).
fn is_of_a_web_page(head: &Parts) -> bool {
    let foreign = |site: &HeaderValue| !matches!(site.as_bytes(), b"none" | b"same-origin");
    head.headers.contains_key(ORIGIN) || head.headers.get_all("sec-fetch-site").iter().any(foreign)
}

#[cfg(test)]
mod tests {
    use http::Request;
    use symbolon_config::{Environment, parse_str};

    use super::*;
    use crate::config::Config;
    use crate::settings::Settings;

    const CONFIG: &str = r#"
broker: { url: "http://127.0.0.1:8700", socket: /attest.sock }
evidence: { unix: {} }
upstreams:
  - name: orders
    listen: { tcp: "127.0.0.1:8711", allow_any_local_process: true }
    target: https://orders.example.com
    resource: https://orders.internal
    hosts: [orders.local]
"#;

    fn verdict(fields: &[(&str, &str)], uri: &str) -> Result<(), TurnedAway> {
        let loaded = parse_str::<Config>(CONFIG, "sidecar.yaml", &Environment::empty()).unwrap();
        let settings = Settings::new(&loaded).unwrap();
        let upstream = settings.upstreams.first().unwrap();
        let gate = Gate::new(upstream.door.as_ref().unwrap(), Some(8711), Some(upstream));
        let mut request = Request::builder().uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let head = request.body(()).unwrap().into_parts().0;
        gate.check(&head).map(drop)
    }

    #[test]
    fn callers_name_this_machine_the_target_or_a_configured_host() {
        let good = [
            "127.0.0.1:8711",
            "localhost:8711",
            "LOCALHOST:8711",
            "[::1]:8711",
            "orders.example.com",
            "Orders.Example.com:443",
            "orders.local",
            "orders.local:8711",
        ];
        for host in good {
            assert_eq!(verdict(&[("host", host)], "/orders/1"), Ok(()), "{host}");
        }
    }

    #[test]
    fn any_other_host_is_turned_away() {
        let bad = [
            "evil.example",
            "127.0.0.1:8712",
            "localhost",
            "orders.example.com:8443",
            "orders.example.com.evil.example",
            "sub.orders.local",
        ];
        for host in bad {
            assert_eq!(verdict(&[("host", host)], "/"), Err(TurnedAway::ForeignHost), "{host}");
        }
    }

    #[test]
    fn a_request_without_one_clear_target_is_turned_away() {
        let local = ("host", "127.0.0.1:8711");
        assert_eq!(verdict(&[], "/"), Err(TurnedAway::Malformed));
        assert_eq!(verdict(&[local, local], "/"), Err(TurnedAway::Malformed));
        assert_eq!(verdict(&[local], "http://127.0.0.1:8711/"), Err(TurnedAway::Malformed));
        assert_eq!(verdict(&[("host", "u@127.0.0.1:8711")], "/"), Err(TurnedAway::Malformed));
    }

    #[test]
    fn what_a_web_page_sends_is_turned_away() {
        let local = ("host", "127.0.0.1:8711");
        for field in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert_eq!(verdict(&[local, field], "/"), Err(TurnedAway::CrossOrigin), "{field:?}");
        }
        assert_eq!(verdict(&[local, ("sec-fetch-site", "none")], "/"), Ok(()));
    }
}
