//! Asking an issuer what one of its tokens stands for (RFC 7662).
//! Not here: which issuer a token belongs to; a token goes to its issuer only, since whoever gets it can use it.

mod answer;
mod authentication;
mod bounds;
mod endpoint;
mod error;

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use symbolon_http::client::GuardedClient;
use symbolon_identity::{IssuerName, IssuerUrl, Timestamp, WorkloadId};
use symbolon_token::{
    AudienceRule, DEFAULT_LEEWAY, Expectations, IntrospectedToken, OpaqueToken, TokenHash, TokenType,
    VerifiedToken,
};
use tokio::time::Instant;
use url::Url;

use crate::discovery::may_be_asked;
use crate::{IssuerSettings, SetupError};
pub use authentication::{Authentication, Credential};
use bounds::Bounds;
use endpoint::Endpoint;
pub use error::{IntrospectionError, IntrospectionFailure};

/// From the first byte of discovery to the last byte of the answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer.
const MAX_ANSWER: usize = 64 * 1024;

/// How an issuer is asked about its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntrospectionSettings {
    /// The endpoint; none = as its discovery document says.
    pub endpoint: Option<Url>,
    /// The most questions at one time.
    pub concurrent: u32,
    /// The most questions in one second.
    pub per_second: u32,
}

/// Who asks, and when.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// How we authenticate.
    pub client: &'a Authentication<'a>,
    /// For whom: each workload has its share of the questions.
    pub workload: &'a WorkloadId,
    /// When.
    pub now: Timestamp,
}

/// One issuer that is asked about its tokens.
///
/// Nothing is kept: each question is a call, so that a token that its issuer takes back is over at once.
#[derive(Debug)]
pub struct Introspection {
    name: IssuerName,
    issuer: IssuerUrl,
    max_lifetime: Duration,
    endpoint: Endpoint,
    client: Arc<GuardedClient>,
    bounds: Bounds,
}

impl IntrospectionSettings {
    /// Checks the URL of an endpoint.
    ///
    /// # Errors
    /// [`SetupError::Endpoint`] if it is none, or neither https nor, with `dev`, plain http to this machine.
    pub fn endpoint(text: &str, issuer: &IssuerName, dev: bool) -> Result<Url, SetupError> {
        let url = Url::parse(text).ok().filter(|url| may_be_asked(url, dev));
        url.ok_or_else(|| SetupError::Endpoint { issuer: issuer.clone() })
    }
}

impl Introspection {
    /// Prepares to ask an issuer. Nothing is sent before the first question.
    ///
    /// # Errors
    /// [`SetupError`] if the endpoint may not be asked or discovered.
    pub fn new(
        issuer: &IssuerSettings,
        settings: IntrospectionSettings,
        client: &GuardedClient,
    ) -> Result<Self, SetupError> {
        let client = Arc::new(client.with_max_body(MAX_ANSWER));
        let endpoint = Endpoint::of(issuer, settings.endpoint, &client)?;
        Ok(Self {
            name: issuer.name.clone(),
            issuer: issuer.issuer.clone(),
            max_lifetime: issuer.max_lifetime,
            endpoint,
            client,
            bounds: Bounds::new(settings.concurrent, settings.per_second),
        })
    }

    /// Asks what an opaque token of this issuer stands for, and holds the answer against what a JWT of it has to meet.
    ///
    /// # Errors
    /// [`IntrospectionError`]: `Inactive` and `Token` if the token is refused; everything else is an outage and not the
    /// caller's fault.
    pub async fn ask(
        &self,
        token: &OpaqueToken,
        asker: Asker<'_>,
        audience: AudienceRule<'_>,
    ) -> Result<IntrospectedToken, IntrospectionError> {
        let members = self.answer(token.expose(), asker).await?;
        let members = members.ok_or_else(|| self.inactive(token.hash()))?;
        let expectations = Expectations {
            issuer: self.issuer.as_str(),
            audience,
            token_types: &[TokenType::AccessToken],
            max_lifetime: self.max_lifetime,
            leeway: DEFAULT_LEEWAY,
            required: &[],
        };
        IntrospectedToken::check(members, token.hash(), &expectations, asker.now)
            .map_err(|source| IntrospectionError::Token { issuer: self.name.clone(), source })
    }

    /// Asks whether a JWT of this issuer, which was verified by its keys, still counts.
    ///
    /// # Errors
    /// [`IntrospectionError`]: `Inactive` if it does not; everything else is an outage and not the caller's fault.
    pub async fn confirm(
        &self,
        (jwt, verified): (&SecretString, &VerifiedToken),
        asker: Asker<'_>,
    ) -> Result<(), IntrospectionError> {
        let members = self.answer(jwt.expose_secret(), asker).await?;
        let members = members.ok_or_else(|| self.inactive(verified.hash()))?;
        answer::is_about(&members, verified).map_err(|source| IntrospectionError::Unavailable {
            issuer: self.name.clone(),
            retry_after: bounds::SOON,
            source,
        })
    }

    /// The members of the answer about a token; none if it is not active.
    async fn answer(
        &self,
        token: &str,
        Asker { client, workload, now }: Asker<'_>,
    ) -> Result<Option<Map<String, Value>>, IntrospectionError> {
        let place = self.bounds.admit(workload, now).map_err(|held| held.of(&self.name))?;
        let began = Instant::now();
        let answered = tokio::time::timeout(TIMEOUT, self.exchange(token, client, now)).await;
        let answered = answered.unwrap_or(Err(IntrospectionFailure::TimedOut));
        drop(place);
        answered.inspect(|_| self.bounds.succeeded()).map_err(|source| {
            // An endpoint that fails may have moved.
            self.endpoint.forget();
            let retry_after = if source.may_be_the_tokens() {
                bounds::SOON
            } else {
                self.bounds.failed(workload, now.saturating_add(began.elapsed()))
            };
            IntrospectionError::Unavailable { issuer: self.name.clone(), retry_after, source }
        })
    }

    fn inactive(&self, token: TokenHash) -> IntrospectionError {
        IntrospectionError::Inactive { issuer: self.name.clone(), token }
    }

    async fn exchange(
        &self,
        token: &str,
        client: &Authentication<'_>,
        now: Timestamp,
    ) -> Result<Option<Map<String, Value>>, IntrospectionFailure> {
        let url = self.endpoint.url(now).await?;
        let mut form = vec![("token", token), ("token_type_hint", "access_token")];
        let headers = client.present(&mut form)?;
        let fetched = self.client.post_form(&url, &form, headers).await?;
        answer::read(&fetched)
    }
}
