//! Where an upstream's requests go: exactly one scheme, host and port.
//! Nothing the app sends can change it, and no redirect is followed.

use std::net::IpAddr;

use symbolon_config::{ConfigError, Loaded};
use symbolon_http::forward::Upstream;
use url::{Host, Url};

use crate::config::{Config, UpstreamConfig};

/// The origin that a credential may be sent to.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    origin: Upstream,
    /// The host in lower case, and the port also where it is the scheme's default.
    host: String,
    port: u16,
}

impl Target {
    pub(super) fn new(
        loaded: &Loaded<Config>,
        at: &str,
        config: &UpstreamConfig,
        errors: &mut Vec<ConfigError>,
    ) -> Option<Self> {
        if config.ca_file.is_some() && config.target.scheme() == "http" {
            let message = "the target is not reached by TLS, so `ca_file` would have no effect";
            errors.push(loaded.contradiction(&format!("{at}.ca_file"), message));
        }
        match Self::read(&config.target, config.allow_plaintext) {
            Ok(target) => Some(target),
            Err(message) => {
                errors.push(loaded.contradiction(&format!("{at}.target"), message));
                None
            }
        }
    }

    fn read(url: &Url, allow_plaintext: bool) -> Result<Self, &'static str> {
        match url.scheme() {
            "https" => {}
            "http" if allow_plaintext || is_this_machine(url) => {}
            "http" => {
                return Err(
                    "the token could be read on the way: use `https`, or say `allow_plaintext: true`",
                );
            }
            _ => return Err("the scheme is `https` or `http`"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("no user and no password in the URL");
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err("scheme, host and port only: the path comes from each request");
        }
        let (host, port) = url.host_str().zip(url.port_or_known_default()).ok_or("the URL has no host")?;
        let origin = url.origin().ascii_serialization();
        let origin = origin.parse().map_err(|_| "the host cannot be sent in a request")?;
        Ok(Self { origin, host: host.to_owned(), port })
    }

    /// Where the forwarder sends it.
    pub(crate) const fn origin(&self) -> &Upstream {
        &self.origin
    }

    /// What a proof of a request for this path names (RFC 9449 §4.2: without query and fragment).
    pub(crate) fn proof_uri(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Whether a caller's `Host` means this target. An app that says `http://name/` names no port.
    pub(crate) fn is_called(&self, host: &str, port: Option<u16>) -> bool {
        host.eq_ignore_ascii_case(&self.host) && port.is_none_or(|port| port == self.port)
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}
