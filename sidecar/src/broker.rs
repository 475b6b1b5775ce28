//! Asking the broker for a token: evidence and proof in, an answer out.
//! When to ask and what to do with the answer is the account's matter.

mod reply;

use std::sync::Arc;
use std::time::Duration;

use symbolon_evidence::Source;
use symbolon_http::client::Fetched;
use symbolon_proof::ProofKey;
use symbolon_token_endpoint::{AskError, Place, Reply, SetupError, TokenEndpoint};

use crate::config::BrokerConfig;
use crate::credentials::Answer;
use crate::dice::Dice;
use crate::evidence::EvidenceWatch;
use crate::metrics::{AskOutcome, BrokerMetrics};
use crate::settings::Want;
use crate::time::{Now, Time};

/// The broker, as the token endpoint that we ask.
#[derive(Debug)]
pub(crate) struct Broker {
    endpoint: TokenEndpoint,
    time: Time,
    metrics: BrokerMetrics,
    evidence: EvidenceWatch,
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
    ) -> Result<Self, SetupError> {
        let place = Place {
            issuer: config.url.clone(),
            socket: config.socket.clone(),
            ca_file: config.ca_file.clone(),
            timeout: config.timeout.as_duration(),
        };
        let evidence = EvidenceWatch::new(metrics.evidence.clone());
        Ok(Self { endpoint: TokenEndpoint::new(&place, source, key)?, time, metrics, evidence })
    }

    /// Asks once. What fails on the way is an answer too.
    pub(crate) async fn ask(&self, want: &Want, asked: Now, dice: &mut Dice) -> Answer {
        let (outcome, answer) = match self.post(want, asked).await {
            Ok(fetched) => {
                let reply = Reply::read(&fetched);
                reply::log(&reply, want.audience.as_str(), fetched.status);
                reply::answer(reply, want, asked, dice)
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
        let evidence = self.endpoint.evidence().await?;
        self.evidence.seen(&evidence, asked.wall);
        self.endpoint.ask(want.audience.as_str(), &want.scopes, &evidence, asked.wall).await
    }
}

#[cfg(test)]
mod tests;
