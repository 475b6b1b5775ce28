//! Getting an issuer's key set from where it is published.
//! Not here: when to do so (`refresh`), and what becomes of it (`issuer`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::CACHE_CONTROL;
use symbolon_http::client::GuardedClient;
use symbolon_jws::JwkSet;
use tokio::io::AsyncReadExt as _;
use url::Url;

use crate::discovery::{Discovery, fetch, may_be_asked};
use crate::error::Document;
use crate::{CustomKeys, FetchError, IssuerSettings, KeySource, SetupError};

/// Where the keys of one issuer come from, ready to be asked.
#[derive(Debug)]
pub(crate) struct Source {
    place: Place,
    client: Arc<GuardedClient>,
}

#[derive(Debug)]
enum Place {
    Discovery(Discovery),
    Url(Url),
    File(PathBuf),
    Custom(CustomKeys),
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
            KeySource::Custom(keys) => Place::Custom(keys.clone()),
            KeySource::JwksFile(path) => Place::File(path.clone()),
            KeySource::Discovery => Place::Discovery(Discovery::of(settings, Arc::clone(&client))?),
            KeySource::JwksUri(text) => match Url::parse(text) {
                Ok(url) if may_be_asked(&url, settings.dev) => Place::Url(url),
                Ok(url) if url.scheme() == "http" => return Err(SetupError::Plaintext { issuer }),
                Ok(_) | Err(_) => return Err(SetupError::Url { issuer }),
            },
        };
        Ok(Self { place, client })
    }

    /// Whether asking again can bring something new.
    pub(crate) fn can_change(&self) -> bool {
        !matches!(self.place, Place::Inline)
    }

    /// Whether the keys come over the network, so that a copy on disk is worth keeping.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self.place, Place::Discovery(_) | Place::Url(_) | Place::Custom(_))
    }

    /// What the keys are tied to; a copy from another place is not used.
    pub(crate) fn description(&self) -> String {
        match &self.place {
            Place::Discovery(_) => "discovery".to_owned(),
            Place::Url(url) => url.to_string(),
            Place::File(path) => path.display().to_string(),
            Place::Custom(keys) => keys.0.place(),
            Place::Inline => "configuration".to_owned(),
        }
    }

    /// Fetches the key set.
    pub(crate) async fn fetch(&self) -> Result<KeyText, FetchError> {
        let fetched = match &self.place {
            Place::Discovery(discovery) => {
                let url = discovery.url("jwks_uri").await?;
                fetch(&self.client, &url, Document::Keys).await?
            }
            Place::Url(url) => fetch(&self.client, url, Document::Keys).await?,
            Place::File(path) => return read_file(path).await,
            Place::Custom(keys) => {
                let json = keys.0.fetch().await.map_err(FetchError::Custom)?;
                return Ok(KeyText { json, max_age: None });
            }
            Place::Inline => return Err(FetchError::NoUsableKey),
        };
        Ok(KeyText { max_age: max_age(&fetched.headers), json: fetched.body.into() })
    }
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
