//! Asking the broker for a token: evidence and proof in, an answer out.
//! When to ask and what to do with the answer is the account's matter.

mod reply;

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use symbolon_evidence::{AssertionType, Evidence, EvidenceError, Source};
use symbolon_http::client::{AddressPolicy, ClientError, ClientSetupError, Fetched, GuardedClient};
use symbolon_proof::{ProofKey, ProofKeyError, ProofRequest};
use symbolon_wire::{client_assertion_type, grant_type, header, paths};
use url::Url;

use std::sync::Arc;

use crate::config::BrokerConfig;
use crate::credentials::Answer;
use crate::dice::Dice;
use crate::metrics::{AskOutcome, BrokerMetrics};
use crate::settings::Want;
use crate::time::{Now, Time};
use reply::Reply;

/// The broker's answers are small.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The broker, as the token endpoint that we ask.
#[derive(Debug)]
pub(crate) struct Broker {
    client: GuardedClient,
    token_endpoint: Url,
    source: Source,
    timeout: Duration,
    key: Arc<ProofKey>,
    time: Time,
    metrics: BrokerMetrics,
}

/// Why the broker cannot even be asked.
#[derive(Debug, thiserror::Error)]
pub enum BrokerSetupError {
    /// The HTTP client cannot be made.
    #[error("cannot set up the connection to the broker")]
    Client(#[from] ClientSetupError),
    /// The URL of the token endpoint is none.
    #[error("`{url}` is no URL of a token endpoint")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        #[source]
        source: url::ParseError,
    },
}

/// Why one question was not put, or got no answer.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    #[error("the evidence could not be collected in time")]
    EvidenceTimedOut,
    #[error(transparent)]
    Proof(#[from] ProofKeyError),
    #[error("the proof cannot be sent")]
    NotAHeader,
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Broker {
    /// The broker of this configuration. It is not called yet.
    ///
    /// # Errors
    /// The CA file cannot be used, or the URL is none.
    pub(crate) fn new(
        config: &BrokerConfig,
        source: Source,
        key: Arc<ProofKey>,
        time: Time,
        metrics: BrokerMetrics,
    ) -> Result<Self, BrokerSetupError> {
        let url = config.url.join(paths::TOKEN);
        let token_endpoint = Url::parse(&url).map_err(|source| BrokerSetupError::Url { url, source })?;
        let addresses = AddressPolicy::public().allow_loopback().allow_private();
        let timeout = config.timeout.as_duration();
        let mut client =
            GuardedClient::builder().addresses(addresses).timeout(timeout).max_body(MAX_ANSWER_BYTES);
        if let Some(path) = &config.ca_file {
            client = client.ca_file(path);
        }
        if let Some(path) = &config.socket {
            client = client.unix_socket(path);
        }
        Ok(Self { client: client.build()?, token_endpoint, source, timeout, key, time, metrics })
    }

    /// Asks once. What fails on the way is an answer too.
    pub(crate) async fn ask(&self, want: &Want, asked: Now, dice: &mut Dice) -> Answer {
        let (outcome, answer) = match self.post(want, asked).await {
            Ok(fetched) => {
                let reply = Reply::read(&fetched);
                reply.log(want.audience.as_str(), fetched.status);
                reply.into_answer(want, asked, dice)
            }
            Err(error) => {
                let audience = want.audience.as_str();
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                tracing::warn!(event.name = "token.failed", audience, %error, cause, "the broker could not be asked");
                let outcome = match error {
                    AskError::Evidence(_) | AskError::EvidenceTimedOut => AskOutcome::NoEvidence,
                    AskError::Proof(_) | AskError::NotAHeader | AskError::Client(_) => {
                        AskOutcome::Unavailable
                    }
                };
                (outcome, Answer::Failed { not_before: None })
            }
        };
        self.metrics.asked(outcome, self.took(asked));
        answer
    }

    fn took(&self, asked: Now) -> Duration {
        self.time.now().tick.saturating_duration_since(asked.tick)
    }

    async fn post(&self, want: &Want, asked: Now) -> Result<Fetched, AskError> {
        let evidence = self.evidence().await?;
        if let Some(written) = evidence.written_at() {
            self.metrics.evidence_age(asked.wall.saturating_since(written));
        }
        let headers = self.proof(asked)?;
        Ok(self.client.post_form(&self.token_endpoint, &form(want, &evidence), headers).await?)
    }

    /// The evidence, if the platform's file system hands it over in time.
    async fn evidence(&self) -> Result<Evidence, AskError> {
        let collected = tokio::time::timeout(self.timeout, self.source.collect()).await;
        Ok(collected.map_err(|_| AskError::EvidenceTimedOut)??)
    }

    /// A proof for the advertised token endpoint, whichever way the request goes (RFC 9449 §5).
    fn proof(&self, asked: Now) -> Result<HeaderMap, AskError> {
        let request = ProofRequest {
            method: "POST",
            target_uri: self.token_endpoint.as_str(),
            access_token: None,
            nonce: None,
        };
        let proof = self.key.prove(&request, asked.wall)?;
        let proof = HeaderValue::try_from(proof).map_err(|_| AskError::NotAHeader)?;
        Ok(HeaderMap::from_iter([(HeaderName::from_static(header::DPOP), proof)]))
    }
}

/// The token request (RFC 6749 §4.4.2, RFC 8707 §2, RFC 7521 §4.2).
fn form<'a>(want: &'a Want, evidence: &'a Evidence) -> Vec<(&'a str, &'a str)> {
    let mut pairs =
        vec![("grant_type", grant_type::CLIENT_CREDENTIALS), ("resource", want.audience.as_str())];
    if !want.scopes.is_empty() {
        pairs.push(("scope", want.scopes.as_str()));
    }
    if let Some(assertion) = evidence.assertion() {
        let kind = match assertion.kind() {
            AssertionType::JwtBearer => client_assertion_type::JWT_BEARER,
        };
        pairs.push(("client_assertion_type", kind));
        pairs.push(("client_assertion", assertion.expose()));
    }
    if let Some(provider) = evidence.trust_provider() {
        pairs.push(("trust_provider", provider.as_str()));
    }
    pairs
}

#[cfg(test)]
mod tests;
