//! The server behind: where it is and what it is called.
//! Not whether it is well.

use std::fmt;
use std::str::FromStr;

use http::HeaderValue;
use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::target::has_sound_port;

/// An upstream's base URL: `http` or `https`, a host, perhaps a port and a path to put before every path.
///
/// Host, port, `Host` field and TLS name all come from here and from nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Upstream {
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    /// Without its last `/`; empty if there is none.
    base: String,
}

/// Why a text is no upstream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// It is no absolute URL.
    #[error("`{text}` is not an absolute URL")]
    NotAUrl {
        /// The text.
        text: String,
    },
    /// Neither `http` nor `https`.
    #[error("`{text}` is neither http nor https")]
    Scheme {
        /// The text.
        text: String,
    },
    /// User information, a query or a fragment.
    #[error("an upstream has no user information, query or fragment")]
    Excess,
    /// The joined path is no path.
    #[error("the path cannot be sent to the upstream")]
    Path,
}

impl Upstream {
    /// The scheme is `https`.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Host and port as configured.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// The value of `Host`: the authority without the scheme's default port.
    pub const fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// The absolute URI of `path` here.
    pub(super) fn uri(&self, path: Option<&PathAndQuery>) -> Result<Uri, UpstreamError> {
        let path = match path {
            Some(path) if self.base.is_empty() => path.clone(),
            Some(path) => {
                PathAndQuery::try_from(format!("{}{path}", self.base)).map_err(|_| UpstreamError::Path)?
            }
            None => PathAndQuery::from_static("/"),
        };
        let builder = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone());
        builder.path_and_query(path).build().map_err(|_| UpstreamError::Path)
    }
}

impl FromStr for Upstream {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Self, UpstreamError> {
        let not_a_url = || UpstreamError::NotAUrl { text: text.to_owned() };
        let excess = text.contains(['#', '@']);
        let parts = text.parse::<Uri>().map_err(|_| not_a_url())?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(not_a_url());
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(UpstreamError::Scheme { text: text.to_owned() });
        }
        let path = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        if excess || path.query().is_some() {
            return Err(UpstreamError::Excess);
        }
        if authority.host().is_empty() || !has_sound_port(&authority) {
            return Err(not_a_url());
        }
        let default_port = if scheme == Scheme::HTTPS { 443 } else { 80 };
        let host =
            if authority.port_u16() == Some(default_port) { authority.host() } else { authority.as_str() };
        let host = HeaderValue::from_str(host).map_err(|_| not_a_url())?;
        let base = path.path().trim_end_matches('/').to_owned();
        Ok(Self { scheme, authority, host, base })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}{}", self.scheme, self.authority, self.base)
    }
}

impl TryFrom<String> for Upstream {
    type Error = UpstreamError;

    fn try_from(text: String) -> Result<Self, UpstreamError> {
        text.parse()
    }
}

impl From<Upstream> for String {
    fn from(upstream: Upstream) -> Self {
        upstream.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(text: &str) -> Upstream {
        text.parse().unwrap()
    }

    #[test]
    fn the_host_field_leaves_out_the_default_port() {
        assert_eq!(upstream("https://orders.internal:443").host(), "orders.internal");
        assert_eq!(upstream("http://orders.internal:443/").host(), "orders.internal:443");
        assert_eq!(upstream("http://[::1]:9000").host(), "[::1]:9000");
    }

    #[test]
    fn paths_are_sent_as_they_are_below_the_base() {
        let path = PathAndQuery::from_static("/a%20b?c=d");
        assert_eq!(upstream("http://a:1").uri(Some(&path)).unwrap(), "http://a:1/a%20b?c=d");
        assert_eq!(upstream("http://a:1/base/").uri(Some(&path)).unwrap(), "http://a:1/base/a%20b?c=d");
        assert_eq!(upstream("http://a:1").uri(None).unwrap(), "http://a:1/");
    }

    #[test]
    fn what_is_no_upstream_is_refused() {
        for text in
            ["", "orders", "/orders", "ftp://a", "http://u@a", "http://a/?q", "http://a/#f", "http://a:99999"]
        {
            assert!(text.parse::<Upstream>().is_err(), "{text}");
        }
    }
}
