//! Where an issuer is asked: the URL in the configuration, or the one that its discovery document names.
//! Not here: what is asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use symbolon_http::client::GuardedClient;
use symbolon_identity::Timestamp;
use url::Url;

use super::{IntrospectionFailure, IntrospectionSettings};
use crate::discovery::Discovery;
use crate::{IssuerSettings, SetupError};

/// How long the URL that discovery names is used without asking again.
const DISCOVERED_FOR: Duration = Duration::from_hours(1);

/// The endpoint of one issuer.
#[derive(Debug)]
pub(super) enum Endpoint {
    /// It stands in the configuration.
    Configured(Url),
    /// The discovery document names it.
    Discovered(Box<Discovered>),
}

/// What discovery said last.
#[derive(Debug)]
pub(super) struct Discovered {
    discovery: Discovery,
    last: Mutex<Option<(Url, Timestamp)>>,
}

impl Endpoint {
    pub(super) fn of(
        issuer: &IssuerSettings,
        configured: Option<Url>,
        client: &Arc<GuardedClient>,
    ) -> Result<Self, SetupError> {
        if let Some(url) = configured {
            let url = IntrospectionSettings::endpoint(url.as_str(), &issuer.name, issuer.dev)?;
            return Ok(Self::Configured(url));
        }
        let discovery = Discovery::of(issuer, Arc::clone(client))?;
        Ok(Self::Discovered(Box::new(Discovered { discovery, last: Mutex::default() })))
    }

    /// The URL, discovered if it has to be.
    pub(super) async fn url(&self, now: Timestamp) -> Result<Url, IntrospectionFailure> {
        match self {
            Self::Configured(url) => Ok(url.clone()),
            Self::Discovered(discovered) => discovered.url(now).await,
        }
    }

    /// Forgets what was discovered.
    pub(super) fn forget(&self) {
        if let Self::Discovered(discovered) = self {
            *discovered.last() = None;
        }
    }
}

impl Discovered {
    async fn url(&self, now: Timestamp) -> Result<Url, IntrospectionFailure> {
        let is_fresh = |since: Timestamp| since <= now && now.saturating_since(since) < DISCOVERED_FOR;
        let last = self.last().clone();
        if let Some((url, _)) = last.filter(|(_, since)| is_fresh(*since)) {
            return Ok(url);
        }
        let url = self.discovery.url("introspection_endpoint").await?;
        *self.last() = Some((url.clone(), now));
        Ok(url)
    }

    fn last(&self) -> MutexGuard<'_, Option<(Url, Timestamp)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
