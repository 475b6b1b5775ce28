//! A request as it is judged: one host, one canonical path, one method, read from the bytes that are forwarded.
//! Not here: routes and credentials.

use std::borrow::Cow;
use std::net::IpAddr;

use http::{HeaderMap, Method, request};
use symbolon_http::server::{ConnectionInfo, Peer};
use symbolon_http::target::{RequestTarget, check_framing, check_method};
use symbolon_http::upgrade::{self, Asked};
use symbolon_identity::ReasonCode;

use crate::paths::CanonicalPath;
use crate::rejection::Rejection;

/// What a decision may read of a request.
#[derive(Debug)]
pub struct RequestView<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path.
    pub path: CanonicalPath<'a>,
    /// The headers as they arrived.
    pub headers: &'a HeaderMap,
    /// What it asks for beside an answer.
    pub asked: Asked,
    target: RequestTarget<'a>,
    connection: Option<&'a ConnectionInfo>,
    /// Of the request that brought the credentials, where that is another one.
    proved: Option<(&'a Method, &'a str)>,
}

impl<'a> RequestView<'a> {
    /// Reads the request head, or says why it could be read in two ways.
    ///
    /// # Errors
    /// `malformed_request`, `path_not_canonical` or `upgrade_not_allowed`.
    pub fn read(head: &'a request::Parts) -> Result<Self, Rejection> {
        let asked = upgrade::asked(head)
            .map_err(|error| Rejection::new(ReasonCode::UpgradeNotAllowed).because(error.to_string()))?;
        let malformed = |why: String| Rejection::new(ReasonCode::MalformedRequest).because(why);
        let target = RequestTarget::parse(head).map_err(|error| malformed(error.to_string()))?;
        check_framing(head)
            .and_then(|()| check_method(head))
            .map_err(|error| malformed(error.to_string()))?;
        if host_name(target.authority()).is_none() {
            return Err(malformed("the host is not a name or an address".to_owned()));
        }
        let path = CanonicalPath::parse(target.path())
            .map_err(|error| Rejection::new(ReasonCode::PathNotCanonical).because(error.to_string()))?;
        let connection = head.extensions.get::<ConnectionInfo>();
        Ok(Self {
            method: &head.method,
            path,
            headers: &head.headers,
            asked,
            target,
            connection,
            proved: None,
        })
    }

    /// The same request with the credentials of `other`, whose method and path their proof must name.
    #[must_use]
    pub fn proved_by(mut self, other: &'a RequestView<'_>) -> Self {
        self.proved = Some((other.method, other.path.as_str()));
        self
    }

    /// The method and path that a proof must name.
    #[must_use]
    pub fn proof_target(&self) -> (&Method, &str) {
        self.proved.unwrap_or((self.method, self.path.as_str()))
    }

    /// The host without port, in lower case.
    #[must_use]
    pub fn host(&self) -> Cow<'_, str> {
        let host = self.target.host();
        let upper = host.bytes().any(|byte| byte.is_ascii_uppercase());
        if upper { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) }
    }

    /// The query as it arrived.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        self.target.query()
    }

    /// The address of the socket's peer; none on a Unix socket. What the peer says about others is not believed.
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        source(self.connection?)
    }

    /// `https` if the connection is encrypted, else `http`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.connection.is_some_and(ConnectionInfo::is_tls) { "https" } else { "http" }
    }
}

/// The address at the other end of a connection; none for a Unix socket.
pub(crate) fn source(connection: &ConnectionInfo) -> Option<IpAddr> {
    match connection.peer() {
        Peer::Tcp(address) => Some(address.ip()),
        Peer::Unix(_) => None,
    }
}

/// The host of `host[:port]`: letters, digits, `-`, `.`, `_`, or an IPv6 address in brackets. No user, path or dot at
/// the end, which would be a second spelling of the same name.
pub(crate) fn host_name(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (
                authority.get(..address.len().checked_add(2)?)?,
                port.strip_prefix(':').or(port.is_empty().then_some("0"))?,
            )
        }
        None => authority.split_once(':').unwrap_or((authority, "0")),
    };
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let plain = host.starts_with('[') || (!host.is_empty() && host.bytes().all(named));
    let dotted = host.ends_with('.') || host.starts_with('.') || host.contains("..");
    let numeric = port.parse::<u16>().is_ok() && port.bytes().all(|byte| byte.is_ascii_digit());
    (plain && !dotted && numeric).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Request, Version};

    fn read(
        version: Version,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Result<(String, String), ReasonCode> {
        let mut request = Request::builder().version(version).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let view = RequestView::read(&head).map_err(|rejection| rejection.code())?;
        Ok((view.host().into_owned(), view.path.as_str().to_owned()))
    }

    #[test]
    fn the_host_is_read_without_its_port_and_in_lower_case() {
        for (value, host) in [
            ("orders.example.com", "orders.example.com"),
            ("Orders.Example.COM:8443", "orders.example.com"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[::1]:8720", "[::1]"),
        ] {
            assert_eq!(read(Version::HTTP_11, "/a", &[("host", value)]).unwrap().0, host);
        }
    }

    #[test]
    fn hosts_with_a_second_reading_are_refused() {
        for bad in [
            "", "a b", "user@a", "a/b", "a.", ".a", "a..b", "a:", "a:x", "a:99999", "a:+80", "[::1", "[x]",
            "a,b", "a:80:80", "a?b",
        ] {
            assert_eq!(
                read(Version::HTTP_11, "/", &[("host", bad)]),
                Err(ReasonCode::MalformedRequest),
                "{bad}"
            );
        }
    }

    #[test]
    fn one_host_in_one_place() {
        let refused = Err(ReasonCode::MalformedRequest);
        assert_eq!(read(Version::HTTP_11, "/", &[]), refused);
        assert_eq!(read(Version::HTTP_11, "/", &[("host", "a"), ("host", "a")]), refused);
        assert_eq!(read(Version::HTTP_11, "http://a/", &[("host", "a")]), refused);
        assert_eq!(read(Version::HTTP_2, "http://a/", &[("host", "b")]), refused);
        assert_eq!(read(Version::HTTP_2, "/", &[("host", "b")]), Ok(("b".to_owned(), "/".to_owned())));
        assert_eq!(read(Version::HTTP_2, "http://a/x", &[]), Ok(("a".to_owned(), "/x".to_owned())));
        assert_eq!(
            read(Version::HTTP_2, "http://a/x", &[("host", "a")]),
            Ok(("a".to_owned(), "/x".to_owned()))
        );
    }

    #[test]
    fn asterisk_upgrade_and_connect_are_refused() {
        assert_eq!(read(Version::HTTP_11, "*", &[("host", "a")]), Err(ReasonCode::MalformedRequest));
        assert_eq!(
            read(Version::HTTP_11, "/", &[("host", "a"), ("upgrade", "h2c")]),
            Err(ReasonCode::UpgradeNotAllowed)
        );
        let (head, ()) = Request::builder().method("CONNECT").uri("a:80").body(()).unwrap().into_parts();
        assert_eq!(RequestView::read(&head).unwrap_err().code(), ReasonCode::UpgradeNotAllowed);
    }
}
