//! Getting an issuer's key set from where it is published.
//! Not here: when to do so (`refresh`), and what becomes of it (`issuer`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::CACHE_CONTROL;
use serde_json::{Map, Value};
use symbolon_http::client::{Fetched, GuardedClient};
use symbolon_identity::IssuerUrl;
use symbolon_jws::{JwkSet, strict_json};
use symbolon_wire::{paths, well_known_inserted};
use tokio::io::AsyncReadExt as _;
use url::{Host, Url};

use crate::error::Document;
use crate::{FetchError, IssuerSettings, KeySource, SetupError};

/// How long one document may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Where the keys of one issuer come from, ready to be asked.
#[derive(Debug)]
pub(crate) struct Source {
    place: Place,
    issuer: IssuerUrl,
    dev: bool,
    client: Arc<GuardedClient>,
}

#[derive(Debug)]
enum Place {
    /// Discovery documents, in the order in which they are tried.
    Discovery(Vec<Url>),
    Url(Url),
    File(PathBuf),
    Inline,
}

/// A key set as text, not yet parsed.
#[derive(Debug)]
pub(crate) struct KeyText {
    pub(crate) json: Vec<u8>,
    /// How long it may be used without asking again, if its publisher said so.
    pub(crate) max_age: Option<Duration>,
}

impl Source {
    pub(crate) fn new(settings: &IssuerSettings, client: Arc<GuardedClient>) -> Result<Self, SetupError> {
        let issuer = settings.name.clone();
        if settings.issuer.is_plaintext() && !settings.dev {
            return Err(SetupError::Plaintext { issuer });
        }
        let place = match &settings.keys {
            KeySource::Inline(_) => Place::Inline,
            KeySource::JwksFile(path) => Place::File(path.clone()),
            KeySource::Discovery => match discovery_urls(&settings.issuer) {
                Some(urls) => Place::Discovery(urls),
                None => return Err(SetupError::Url { issuer }),
            },
            KeySource::JwksUri(text) => match Url::parse(text) {
                Ok(url) if may_be_asked(&url, settings.dev) => Place::Url(url),
                Ok(url) if url.scheme() == "http" => return Err(SetupError::Plaintext { issuer }),
                Ok(_) | Err(_) => return Err(SetupError::Url { issuer }),
            },
        };
        Ok(Self { place, issuer: settings.issuer.clone(), dev: settings.dev, client })
    }

    /// Whether asking again can bring something new.
    pub(crate) fn can_change(&self) -> bool {
        !matches!(self.place, Place::Inline)
    }

    /// Whether the keys come over the network, so that a copy on disk is worth keeping.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self.place, Place::Discovery(_) | Place::Url(_))
    }

    /// What the keys are tied to; a copy from another place is not used.
    pub(crate) fn description(&self) -> String {
        match &self.place {
            Place::Discovery(_) => "discovery".to_owned(),
            Place::Url(url) => url.to_string(),
            Place::File(path) => path.display().to_string(),
            Place::Inline => "configuration".to_owned(),
        }
    }

    /// Fetches the key set.
    pub(crate) async fn fetch(&self) -> Result<KeyText, FetchError> {
        let fetched = match &self.place {
            Place::Discovery(documents) => {
                let url = self.discover(documents).await?;
                self.get(&url, Document::Keys).await?
            }
            Place::Url(url) => self.get(url, Document::Keys).await?,
            Place::File(path) => return read_file(path).await,
            Place::Inline => return Err(FetchError::NoUsableKey),
        };
        Ok(KeyText { max_age: max_age(&fetched.headers), json: fetched.body.into() })
    }

    /// Asks the discovery documents for the key set's URL; the second only if the first is not there.
    async fn discover(&self, documents: &[Url]) -> Result<Url, FetchError> {
        let mut missing = FetchError::Metadata;
        for url in documents {
            match self.get(url, Document::Metadata).await {
                Ok(fetched) => return self.keys_url(&fetched.body),
                Err(error @ FetchError::Status { status: 404 | 405 | 410, .. }) => missing = error,
                Err(error) => return Err(error),
            }
        }
        Err(missing)
    }

    fn keys_url(&self, metadata: &[u8]) -> Result<Url, FetchError> {
        let document: Map<String, Value> =
            strict_json::from_slice(metadata).map_err(|_| FetchError::Metadata)?;
        let text = |name: &str| document.get(name).and_then(Value::as_str).ok_or(FetchError::Metadata);
        // OpenID Connect Discovery §4.3, RFC 8414 §3.3: identical, or anybody's document would do.
        if text("issuer")? != self.issuer.as_str() {
            return Err(FetchError::OtherIssuer);
        }
        let url = Url::parse(text("jwks_uri")?).map_err(|_| FetchError::KeysUrl)?;
        if may_be_asked(&url, self.dev) { Ok(url) } else { Err(FetchError::KeysUrl) }
    }

    async fn get(&self, url: &Url, what: Document) -> Result<Fetched, FetchError> {
        let answer = tokio::time::timeout(TIMEOUT, self.client.get(url, HeaderMap::new())).await;
        let fetched = match answer {
            Ok(fetched) => fetched.map_err(|source| FetchError::Http { what, source })?,
            Err(_) => return Err(FetchError::TimedOut { what }),
        };
        match fetched.status.as_u16() {
            200 => Ok(fetched),
            status => Err(FetchError::Status { what, status }),
        }
    }
}

/// https anywhere that the client may go, plain http on this machine for development.
fn may_be_asked(url: &Url, dev: bool) -> bool {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    url.scheme() == "https" || url.scheme() == "http" && dev && loopback
}

fn discovery_urls(issuer: &IssuerUrl) -> Option<Vec<Url>> {
    let openid = Url::parse(&issuer.join(paths::OPENID_CONFIGURATION)).ok()?;
    let mut oauth = Url::parse(issuer.as_str()).ok()?;
    let inserted = well_known_inserted(paths::AUTHORIZATION_SERVER_METADATA, oauth.path());
    oauth.set_path(&inserted);
    Some(vec![openid, oauth])
}

/// `max-age` of `Cache-Control` (RFC 9111 §5.2.2.1); `no-cache` and the like say nothing about how often to ask.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let seconds = directives.flat_map(|value| value.split(',')).find_map(|directive| {
        let (name, value) = directive.trim().split_once('=')?;
        if !name.eq_ignore_ascii_case("max-age") {
            return None;
        }
        value.trim_matches('"').parse::<u32>().ok()
    });
    seconds.map(|seconds| Duration::from_secs(seconds.into()))
}

async fn read_file(path: &Path) -> Result<KeyText, FetchError> {
    let unreadable = |error: std::io::Error| FetchError::File(error.kind());
    let limit = u64::try_from(JwkSet::MAX_BYTES).unwrap_or(u64::MAX);
    // A pipe or a device would block or never end.
    if !tokio::fs::metadata(path).await.map_err(unreadable)?.is_file() {
        return Err(FetchError::File(std::io::ErrorKind::InvalidInput));
    }
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let mut json = Vec::new();
    file.take(limit + 1).read_to_end(&mut json).await.map_err(unreadable)?;
    Ok(KeyText { json, max_age: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discovery_is_tried_in_both_forms() {
        let urls = |issuer| {
            let urls = discovery_urls(&IssuerUrl::parse(issuer).unwrap()).unwrap();
            urls.iter().map(ToString::to_string).collect::<Vec<_>>()
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

    #[test]
    fn only_a_plain_max_age_counts() {
        let age = |value: &str| {
            let headers = HeaderMap::from_iter([(CACHE_CONTROL, value.parse().unwrap())]);
            max_age(&headers).map(|age| age.as_secs())
        };
        assert_eq!(age("public, max-age=60"), Some(60));
        assert_eq!(age("Max-Age=\"60\""), Some(60));
        for none in ["no-store", "s-maxage=5", "max-age=", "max-age=-1", "max-age=1.5", "max-age=99999999999"]
        {
            assert_eq!(age(none), None, "{none}");
        }
    }
}
