//! The guarded client: every call that a program makes on its own account.
//! Not for forwarded requests, which belong to `forward`.

mod builder;
mod egress;
mod error;
mod resolver;

use std::fmt;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use reqwest::{Method, RequestBuilder};
use url::{Host, Url};

pub use builder::{ClientBuilder, ClientSetupError};
pub use egress::AddressPolicy;
pub use error::ClientError;
pub(crate) use error::cause;

/// An HTTP client that goes only where it may and takes only so much.
///
/// It follows no redirect, uses no proxy, sends no cookies, connects only to addresses that its policy
/// allows *after* resolution, speaks plaintext only to loopback, and stops reading at a limit.
/// A cheap clone with one pool of connections.
#[derive(Debug, Clone)]
pub struct GuardedClient {
    client: reqwest::Client,
    policy: AddressPolicy,
    max_body: usize,
    unix_socket: bool,
}

/// An answer, read to its end. What it says may be secret, so its debug form does not show it.
#[derive(Clone)]
pub struct Fetched {
    /// The status. Redirects come back as they are.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl GuardedClient {
    /// Begins a client that may reach public addresses only.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// The same client, with the same connections, that takes no larger answers than this.
    #[must_use]
    pub fn with_max_body(&self, bytes: usize) -> Self {
        Self { max_body: self.max_body.min(bytes), ..self.clone() }
    }

    /// Asks for `url`. Conditional requests put their validators into `headers`.
    ///
    /// # Errors
    /// When the URL or its addresses are refused, when no answer comes in time, or when it is too large. An
    /// answer of any status is no error.
    pub async fn get(&self, url: &Url, headers: HeaderMap) -> Result<Fetched, ClientError> {
        self.send(self.request(Method::GET, url, headers)?).await
    }

    /// Posts `pairs` as a form (RFC 6749 appendix B).
    ///
    /// # Errors
    /// As [`GuardedClient::get`].
    pub async fn post_form(
        &self,
        url: &Url,
        pairs: &[(&str, &str)],
        headers: HeaderMap,
    ) -> Result<Fetched, ClientError> {
        self.send(self.request(Method::POST, url, headers)?.form(pairs)).await
    }

    /// Replaces what is at `url` with `body`, whose type is in `headers`.
    ///
    /// # Errors
    /// As [`GuardedClient::get`].
    pub async fn put(&self, url: &Url, body: Vec<u8>, headers: HeaderMap) -> Result<Fetched, ClientError> {
        self.send(self.request(Method::PUT, url, headers)?.body(body)).await
    }

    /// Changes what is at `url` as `body` says (RFC 5789), whose type is in `headers`.
    ///
    /// # Errors
    /// As [`GuardedClient::get`].
    pub async fn patch(&self, url: &Url, body: Vec<u8>, headers: HeaderMap) -> Result<Fetched, ClientError> {
        self.send(self.request(Method::PATCH, url, headers)?.body(body)).await
    }

    fn request(&self, method: Method, url: &Url, headers: HeaderMap) -> Result<RequestBuilder, ClientError> {
        self.check(url)?;
        Ok(self.client.request(method, self.spoken(url)?).headers(headers))
    }

    /// The URL as it is asked for. A service that has `https:` URLs for everybody else speaks no TLS on its Unix socket:
    /// who may connect is a matter of the socket's permissions.
    fn spoken(&self, url: &Url) -> Result<Url, ClientError> {
        let mut spoken = url.clone();
        if self.unix_socket && spoken.set_scheme("http").is_err() {
            return Err(ClientError::UnsupportedScheme { scheme: url.scheme().to_owned() });
        }
        Ok(spoken)
    }

    /// Checks what can be checked before a name is resolved. The resolver checks the rest.
    fn check(&self, url: &Url) -> Result<(), ClientError> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ClientError::UserInformation);
        }
        let Some(host) = url.host() else {
            return Err(ClientError::UnsupportedScheme { scheme: url.scheme().to_owned() });
        };
        if self.unix_socket {
            return scheme(url, true);
        }
        let literal = match host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        };
        if let Some(address) = literal
            && !self.policy.permits(address)
        {
            return Err(ClientError::AddressRefused { host: host.to_string() });
        }
        let loopback = match host {
            Host::Domain(name) => egress::is_localhost(name),
            Host::Ipv4(_) | Host::Ipv6(_) => {
                literal.is_some_and(|address| address.to_canonical().is_loopback())
            }
        };
        scheme(url, loopback || self.policy.permits_plaintext())
    }

    async fn send(&self, request: RequestBuilder) -> Result<Fetched, ClientError> {
        let limit = self.max_body;
        let mut answer = request.send().await.map_err(ClientError::classify)?;
        if answer
            .content_length()
            .is_some_and(|length| usize::try_from(length).map_or(true, |len| len > limit))
        {
            return Err(ClientError::TooLarge { limit });
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(ClientError::classify)? {
            if body.len().saturating_add(chunk.len()) > limit {
                return Err(ClientError::TooLarge { limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Fetched {
            status: answer.status(),
            headers: std::mem::take(answer.headers_mut()),
            body: body.freeze(),
        })
    }
}

fn scheme(url: &Url, plaintext: bool) -> Result<(), ClientError> {
    match url.scheme() {
        "https" => Ok(()),
        "http" if plaintext => Ok(()),
        "http" => Err(ClientError::Plaintext),
        other => Err(ClientError::UnsupportedScheme { scheme: other.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_debug_form_of_an_answer_shows_nothing_of_what_it_says() {
        let headers = HeaderMap::from_iter([(http::header::SET_COOKIE, "cookie-secret".parse().unwrap())]);
        let body = Bytes::from_static(b"{\"access_token\":\"token-secret\"}");
        let shown = format!("{:?}", Fetched { status: StatusCode::OK, headers, body });
        assert!(!shown.contains("secret"), "{shown}");
        assert_eq!(shown, "Fetched { status: 200, body_bytes: 31, .. }");
    }
}
