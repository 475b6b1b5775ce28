//! Where a request comes from when a TLS terminator stands before us: what trusted proxies say, and nobody else.
//! Not here: the connection itself, and what its source may do.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::FORWARDED;
use ipnet::IpNet;
use symbolon_http::server::ConnectionInfo;

use crate::config::{ForwardedHeader, ListenConfig};
use crate::presented::source_ip;

/// A longer list of addresses is not read: no chain of proxies is that long.
const HOPS: usize = 32;
const MAX_BYTES: usize = 4096;
const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// The proxies whose word about their clients counts.
#[derive(Debug)]
pub(crate) struct Proxies {
    trusted: Vec<IpNet>,
    header: ForwardedHeader,
}

impl Proxies {
    /// The proxies of the configuration.
    pub(crate) fn new(listen: &ListenConfig) -> Self {
        Self { trusted: listen.trusted_proxies.clone(), header: listen.forwarded_header }
    }

    /// The address that a request comes from; none on the Unix socket, and none if a trusted proxy does not say it
    /// in a way that can be read. Of what others claim in these headers nothing counts.
    pub(crate) fn source(&self, connection: &ConnectionInfo, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = source_ip(connection)?;
        if self.trusts(peer) { self.forwarded(headers) } else { Some(peer) }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// The last address that is not a trusted proxy: each proxy appends whom it was asked by, so what stands before
    /// that one is the client's own invention.
    fn forwarded(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let (name, parse): (_, fn(&str) -> Option<IpAddr>) = match self.header {
            ForwardedHeader::XForwardedFor => (X_FORWARDED_FOR, address),
            ForwardedHeader::Forwarded => (FORWARDED.as_str(), forwarded_for),
        };
        let lines = headers.get_all(name).iter().map(|line| line.to_str().ok());
        let text = lines.collect::<Option<Vec<_>>>()?.join(",");
        if text.len() > MAX_BYTES {
            return None;
        }
        let hops: Vec<&str> = split(&text, b',').collect();
        for hop in hops.iter().rev().take(HOPS) {
            let address = parse(hop.trim())?;
            if !self.trusts(address) {
                return Some(address);
            }
        }
        None
    }
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()));
    address.map(|address| address.to_canonical())
}

/// The `for` of one element of `Forwarded` (RFC 7239 §4), which names an address and is there once.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = split(element, b';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value.trim())
    });
    let value = found.next().filter(|_| found.next().is_none())?;
    address(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

/// The parts between separators that do not stand in quotes.
fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |character: char| {
        is_quoted ^= character == '"';
        !is_quoted && character == char::from(separator)
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use symbolon_http::server::Peer;

    use super::*;

    fn source(header: ForwardedHeader, peer: &str, lines: &[&str]) -> Option<String> {
        let trusted = ["10.0.0.0/8", "fd00::/8", "127.0.0.1/32"].map(|network| network.parse().unwrap());
        let proxies = Proxies { trusted: trusted.to_vec(), header };
        let name = match header {
            ForwardedHeader::XForwardedFor => HeaderName::from_static(X_FORWARDED_FOR),
            ForwardedHeader::Forwarded => FORWARDED,
        };
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let connection = ConnectionInfo::new(Peer::Tcp(SocketAddr::new(peer.parse().unwrap(), 1)), false);
        proxies.source(&connection, &headers).map(|address| address.to_string())
    }

    fn forwarded(lines: &[&str]) -> Option<String> {
        source(ForwardedHeader::XForwardedFor, "10.0.0.1", lines)
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        for lines in [&["198.51.100.1"][..], &["junk"], &[]] {
            let seen = source(ForwardedHeader::XForwardedFor, "192.0.2.7", lines);
            assert_eq!(seen.as_deref(), Some("192.0.2.7"), "{lines:?}");
        }
        assert_eq!(forwarded(&["198.51.100.1"]).as_deref(), Some("198.51.100.1"));
        let mapped = source(ForwardedHeader::XForwardedFor, "::ffff:10.0.0.1", &["198.51.100.1"]);
        assert_eq!(mapped.as_deref(), Some("198.51.100.1"));
    }

    #[test]
    fn the_last_address_that_is_no_proxy_counts_and_not_what_the_client_wrote_before_it() {
        for (lines, expected) in [
            (&["1.1.1.1, 198.51.100.1"][..], "198.51.100.1"),
            (&["junk, 198.51.100.1"], "198.51.100.1"),
            (&["1.1.1.1", "198.51.100.1, 10.9.9.9"], "198.51.100.1"),
            (&["198.51.100.1:4711"], "198.51.100.1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["::ffff:198.51.100.1"], "198.51.100.1"),
        ] {
            assert_eq!(forwarded(lines).as_deref(), Some(expected), "{lines:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_address() {
        let long = "1.1.1.1,".repeat(1000) + "198.51.100.1";
        let proxies_only = "10.0.0.2,".repeat(40) + "10.0.0.2";
        for lines in [
            &[][..],
            &[""],
            &["junk"],
            &["198.51.100.1,"],
            &["198.51.100.1, junk"],
            &["unknown"],
            &["10.1.1.1"],
            &[&long],
            &[&proxies_only],
            &["198.51.100.1 10.0.0.1"],
        ] {
            assert_eq!(forwarded(lines), None, "{lines:?}");
        }
    }

    #[test]
    fn the_standard_header_is_read_if_the_configuration_says_so() {
        let standard = |lines: &[&str]| source(ForwardedHeader::Forwarded, "127.0.0.1", lines);
        for (lines, expected) in [
            (&["for=1.1.1.1, for=198.51.100.1;proto=https"][..], "198.51.100.1"),
            (&["proto=https;For=\"[2001:db8::1]:4711\""], "2001:db8::1"),
            (&["for=\"198.51.100.1:80\";by=\"a,b;c\", for=10.0.0.3"], "198.51.100.1"),
        ] {
            assert_eq!(standard(lines).as_deref(), Some(expected), "{lines:?}");
        }
        for lines in
            [&["for=unknown"][..], &["for=_hidden"], &["by=1.1.1.1"], &["for=1.1.1.1;for=198.51.100.1"]]
        {
            assert_eq!(standard(lines), None, "{lines:?}");
        }
        let crossed = source(ForwardedHeader::XForwardedFor, "127.0.0.1", &[]);
        assert_eq!(crossed, None);
    }
}
