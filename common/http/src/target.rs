//! Whom and what a request addresses, read once and strictly.
//! Not routing and not path rules: it only makes sure that there is one answer to read.

use http::header::{HOST, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::uri::Authority;
use http::{Method, Version};

/// Why a request has no single, clear target or framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedRequest {
    /// HTTP/1.1 wants exactly one `Host` (RFC 9112 §3.2).
    #[error("no host is named")]
    HostMissing,
    /// More than one `Host`.
    #[error("more than one host is named")]
    HostRepeated,
    /// A host with a path, user information, spaces or other things that are no host.
    #[error("the host is malformed")]
    HostInvalid,
    /// `:authority` and `Host` differ (RFC 9113 §8.3.1).
    #[error("the authority and the host differ")]
    HostMismatch,
    /// Absolute-form, authority-form or asterisk-form, which only proxies and servers themselves serve.
    #[error("the request target is not a path")]
    TargetNotPath,
    /// A transfer coding other than `chunked`, alone (RFC 9112 §6.1).
    #[error("the transfer coding is not exactly `chunked`")]
    TransferCoding,
    /// A method that echoes the request, or another spelling of one that means the connection.
    #[error("requests of this method are not forwarded")]
    Method,
}

/// A request's host and path, borrowed from its head.
#[derive(Debug, Clone)]
pub struct RequestTarget<'a> {
    authority: Authority,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> RequestTarget<'a> {
    /// Reads the target of `head`.
    ///
    /// # Errors
    /// When it names no host, several, or something that is no host, or when its target is not a path.
    pub fn parse(head: &'a Parts) -> Result<Self, MalformedRequest> {
        check_form(head)?;
        let mut hosts = head.headers.get_all(HOST).iter();
        let named = hosts.next();
        if hosts.next().is_some() {
            return Err(MalformedRequest::HostRepeated);
        }
        let named = named.map(|host| parse_host(host.as_bytes())).transpose()?;
        let authority = match (head.uri.authority(), named) {
            (Some(authority), Some(host)) if !same(authority, &host) => {
                return Err(MalformedRequest::HostMismatch);
            }
            (Some(authority), _) => parse_host(authority.as_str().as_bytes())?,
            (None, Some(host)) => host,
            (None, None) => return Err(MalformedRequest::HostMissing),
        };
        Ok(Self { authority, path: head.uri.path(), query: head.uri.query() })
    }

    /// The host with its port, if one is named, as the client wrote it.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// The host without its port, as the client wrote it. Compare it without regard to ASCII case.
    #[must_use]
    pub fn host(&self) -> &str {
        self.authority.host()
    }

    /// The port, if one is named.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.authority.port_u16()
    }

    /// The path, byte for byte as received. It begins with `/`.
    #[must_use]
    pub const fn path(&self) -> &'a str {
        self.path
    }

    /// The query without its `?`, byte for byte as received.
    #[must_use]
    pub const fn query(&self) -> Option<&'a str> {
        self.query
    }
}

/// Whether `head` asks to leave HTTP: `Upgrade`, `CONNECT`.
#[must_use]
pub fn asks_for_upgrade(head: &Parts) -> bool {
    head.method == Method::CONNECT || head.headers.contains_key(UPGRADE)
}

/// Checks that the method asks for a resource and not for the request or the connection itself.
///
/// SECURITY: a server answers `TRACE` (RFC 9110 §9.3.8; `TRACK` in old servers) with the request as it arrived, so
/// that its sender could read the credential that was added on the way. Methods are case-sensitive, but not for
/// every server.
///
/// # Errors
/// For `TRACE` and `TRACK`, and for `CONNECT` in another spelling; exactly so written it [asks for an upgrade](asks_for_upgrade).
pub fn check_method(head: &Parts) -> Result<(), MalformedRequest> {
    let method = head.method.as_str();
    let refused = ["TRACE", "TRACK", "CONNECT"].iter().any(|refused| method.eq_ignore_ascii_case(refused));
    if refused { Err(MalformedRequest::Method) } else { Ok(()) }
}

/// Checks that the body's framing has one meaning.
///
/// hyper has already refused or resolved the conflicts between `Transfer-Encoding` and `Content-Length`, and
/// closes such connections. What it accepts and we do not: codings stacked below `chunked`, whose bytes we
/// would forward without saying so.
///
/// # Errors
/// When a transfer coding is named that is not exactly `chunked`.
pub fn check_framing(head: &Parts) -> Result<(), MalformedRequest> {
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        (Some(_), _) => Err(MalformedRequest::TransferCoding),
    }
}

fn check_form(head: &Parts) -> Result<(), MalformedRequest> {
    // HTTP/2 always carries scheme and authority; in HTTP/1 they mean a proxy's absolute-form.
    let absolute = head.version < Version::HTTP_2 && head.uri.authority().is_some();
    if absolute || !head.uri.path().starts_with('/') {
        return Err(MalformedRequest::TargetNotPath);
    }
    Ok(())
}

fn parse_host(bytes: &[u8]) -> Result<Authority, MalformedRequest> {
    let authority = Authority::try_from(bytes).map_err(|_| MalformedRequest::HostInvalid)?;
    let well_formed =
        !authority.host().is_empty() && !authority.as_str().contains('@') && has_sound_port(&authority);
    if well_formed { Ok(authority) } else { Err(MalformedRequest::HostInvalid) }
}

/// Whether nothing, or one port that is a number, follows the host. [`Authority::port`] cannot tell a port
/// that is missing from one that is no number.
pub(crate) fn has_sound_port(authority: &Authority) -> bool {
    match authority.as_str().strip_prefix(authority.host()) {
        Some("") => true,
        Some(rest) => rest.strip_prefix(':').is_some_and(|port| {
            port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
        }),
        None => false,
    }
}

fn same(one: &Authority, two: &Authority) -> bool {
    one.as_str().eq_ignore_ascii_case(two.as_str())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(version: Version, uri: &str, hosts: &[&str]) -> Parts {
        let mut request = Request::builder().version(version).uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn refusal(version: Version, uri: &str, hosts: &[&str]) -> MalformedRequest {
        RequestTarget::parse(&head(version, uri, hosts)).unwrap_err()
    }

    #[test]
    fn host_path_and_query_are_read_as_received() {
        let head = head(Version::HTTP_11, "/a%20b?c=/d", &["Orders.Example.com:8080"]);
        let target = RequestTarget::parse(&head).unwrap();
        assert_eq!(target.authority(), "Orders.Example.com:8080");
        assert_eq!(target.host(), "Orders.Example.com");
        assert_eq!(target.port(), Some(8080));
        assert_eq!(target.path(), "/a%20b");
        assert_eq!(target.query(), Some("c=/d"));
    }

    #[test]
    fn a_request_names_exactly_one_host() {
        assert_eq!(refusal(Version::HTTP_11, "/", &[]), MalformedRequest::HostMissing);
        assert_eq!(refusal(Version::HTTP_11, "/", &["a", "a"]), MalformedRequest::HostRepeated);
    }

    #[test]
    fn a_host_is_nothing_but_a_host() {
        for host in ["", "a/b", "user@a", "a b", "a:", "a:99999", "a:b", "a:+1", "a?b", "a#b", ":80", "[::1"]
        {
            assert_eq!(refusal(Version::HTTP_11, "/", &[host]), MalformedRequest::HostInvalid, "{host}");
        }
    }

    #[test]
    fn only_paths_are_targets() {
        for uri in ["http://other/", "*"] {
            assert_eq!(refusal(Version::HTTP_11, uri, &["other"]), MalformedRequest::TargetNotPath, "{uri}");
        }
    }

    #[test]
    fn http2_authority_and_host_must_agree() {
        let agree = head(Version::HTTP_2, "http://A.example/x", &["a.example"]);
        assert_eq!(RequestTarget::parse(&agree).unwrap().host(), "A.example");
        let differ = refusal(Version::HTTP_2, "http://a.example/x", &["b.example"]);
        assert_eq!(differ, MalformedRequest::HostMismatch);
        assert_eq!(refusal(Version::HTTP_2, "http://u@a.example/", &[]), MalformedRequest::HostInvalid);
    }

    #[test]
    fn only_chunked_alone_is_a_transfer_coding() {
        for (codings, fine) in [
            (&[][..], true),
            (&["chunked"], true),
            (&["Chunked"], true),
            (&["gzip, chunked"], false),
            (&["chunked", "chunked"], false),
            (&["xchunked"], false),
        ] {
            let mut head = head(Version::HTTP_11, "/", &["a"]);
            for coding in codings {
                head.headers.append(TRANSFER_ENCODING, coding.parse().unwrap());
            }
            assert_eq!(check_framing(&head).is_ok(), fine, "{codings:?}");
        }
    }
}
