//! The document in which an issuer says where its endpoints are (OpenID Connect Discovery §4, RFC 8414 §3).
//! Not here: what is fetched from those endpoints.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use serde_json::{Map, Value};
use symbolon_http::client::{Fetched, GuardedClient};
use symbolon_identity::IssuerUrl;
use symbolon_jws::strict_json;
use symbolon_wire::{paths, well_known_inserted};
use url::{Host, Url};

use crate::error::Document;
use crate::{FetchError, IssuerSettings, SetupError};

/// How long one document may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Where one issuer's discovery document is, ready to be asked.
#[derive(Debug)]
pub(crate) struct Discovery {
    /// In the order in which they are tried.
    documents: [Url; 2],
    issuer: IssuerUrl,
    dev: bool,
    client: Arc<GuardedClient>,
}

impl Discovery {
    /// The discovery of an issuer.
    pub(crate) fn of(settings: &IssuerSettings, client: Arc<GuardedClient>) -> Result<Self, SetupError> {
        let documents = discovery_urls(&settings.issuer);
        let documents = documents.ok_or_else(|| SetupError::Url { issuer: settings.name.clone() })?;
        Ok(Self { documents, issuer: settings.issuer.clone(), dev: settings.dev, client })
    }

    /// Asks for the URL that the document has under this name; the second document only if the first is not there.
    pub(crate) async fn url(&self, member: &'static str) -> Result<Url, FetchError> {
        let mut missing = FetchError::Metadata;
        for url in &self.documents {
            match fetch(&self.client, url, Document::Metadata).await {
                Ok(fetched) => return self.member(&fetched.body, member),
                Err(error @ FetchError::Status { status: 404 | 405 | 410, .. }) => missing = error,
                Err(error) => return Err(error),
            }
        }
        Err(missing)
    }

    fn member(&self, metadata: &[u8], member: &'static str) -> Result<Url, FetchError> {
        let document: Map<String, Value> =
            strict_json::from_slice(metadata).map_err(|_| FetchError::Metadata)?;
        let text = |name: &str| document.get(name).and_then(Value::as_str).ok_or(FetchError::Metadata);
        // OpenID Connect Discovery §4.3, RFC 8414 §3.3: identical, or anybody's document would do.
        if text("issuer")? != self.issuer.as_str() {
            return Err(FetchError::OtherIssuer);
        }
        let url = Url::parse(text(member)?).map_err(|_| FetchError::Url { member })?;
        if may_be_asked(&url, self.dev) { Ok(url) } else { Err(FetchError::Url { member }) }
    }
}

/// Gets one document.
pub(crate) async fn fetch(client: &GuardedClient, url: &Url, what: Document) -> Result<Fetched, FetchError> {
    let answer = tokio::time::timeout(TIMEOUT, client.get(url, HeaderMap::new())).await;
    let fetched = match answer {
        Ok(fetched) => fetched.map_err(|source| FetchError::Http { what, source })?,
        Err(_) => return Err(FetchError::TimedOut { what }),
    };
    match fetched.status.as_u16() {
        200 => Ok(fetched),
        status => Err(FetchError::Status { what, status }),
    }
}

/// https anywhere that the client may go, plain http on this machine for development.
pub(crate) fn may_be_asked(url: &Url, dev: bool) -> bool {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    url.scheme() == "https" || url.scheme() == "http" && dev && loopback
}

fn discovery_urls(issuer: &IssuerUrl) -> Option<[Url; 2]> {
    let openid = Url::parse(&issuer.join(paths::OPENID_CONFIGURATION)).ok()?;
    let mut oauth = Url::parse(issuer.as_str()).ok()?;
    let inserted = well_known_inserted(paths::AUTHORIZATION_SERVER_METADATA, oauth.path());
    oauth.set_path(&inserted);
    Some([openid, oauth])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discovery_is_tried_in_both_forms() {
        let urls = |issuer| {
            let urls = discovery_urls(&IssuerUrl::parse(issuer).unwrap()).unwrap();
            urls.map(|url| url.to_string())
        };
        assert_eq!(
            urls("https://a.example"),
            [
                "https://a.example/.well-known/openid-configuration",
                "https://a.example/.well-known/oauth-authorization-server"
            ]
        );
        assert_eq!(
            urls("https://a.example/t/1"),
            [
                "https://a.example/t/1/.well-known/openid-configuration",
                "https://a.example/.well-known/oauth-authorization-server/t/1"
            ]
        );
    }

    #[test]
    fn plain_http_is_asked_only_on_this_machine_and_in_development() {
        let asked = |url: &str, dev| may_be_asked(&Url::parse(url).unwrap(), dev);
        assert!(asked("https://a.example/keys", false));
        assert!(asked("http://127.0.0.1:8700/keys", true) && asked("http://[::1]/keys", true));
        assert!(!asked("http://127.0.0.1:8700/keys", false));
        assert!(!asked("http://a.example/keys", true) && !asked("http://10.0.0.1/keys", true));
        assert!(!asked("file:///etc/passwd", true) && !asked("data:,x", true));
    }
}
