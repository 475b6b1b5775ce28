//! Asking other issuers about their tokens (RFC 7662): whose an opaque one is and what it stands for, whether a JWT counts.
//! Not here: reading the answer (`symbolon-issuers`), and what its claims have to meet, which is what a JWT has to.

use secrecy::SecretString;
use symbolon_identity::{Timestamp, WorkloadId};
use symbolon_issuers::{Asker, Introspection, IntrospectionError, IntrospectionSettings, SetupError};
use symbolon_token::{AudienceRule, VerifiedToken};
use tokio::time::Instant;

use super::client::OwnClient;
use super::{ForeignIssuers, ForeignSurroundings};
use crate::config::{Config, IntrospectionConfig, SubjectIssuerConfig};
use crate::findings::Findings;
use crate::grants::OpaquePresented;
use crate::metrics::IntrospectionMetrics;
use crate::refusal::{Party, Refusal};
use crate::resources::Resources;
use crate::revoke::{Allowance, Guess};
use crate::subject::party::VerifiedParty;

/// An issuer that is asked about its tokens.
#[derive(Debug)]
pub(super) struct Asked {
    /// How its opaque tokens begin, if they are taken.
    prefix: Option<String>,
    /// Whether it is asked about JWTs too.
    pub(super) jwts: bool,
    introspection: Introspection,
    client: OwnClient,
    /// Wrong guesses of each caller.
    guesses: Allowance,
    metrics: IntrospectionMetrics,
}

/// Checks the sections `introspection` of all issuers.
pub(super) fn check(config: &Config, findings: &mut Findings) {
    let asked = |issuer: &SubjectIssuerConfig| issuer.introspection.clone();
    let all: Vec<(usize, &SubjectIssuerConfig, IntrospectionConfig)> = config
        .subject_issuers
        .iter()
        .enumerate()
        .filter_map(|(index, issuer)| Some((index, issuer, asked(issuer)?)))
        .collect();
    for (index, issuer, introspection) in &all {
        let path = format!("subject_issuers[{index}].introspection");
        check_one(&path, issuer, introspection, findings);
        if introspection.client_id.as_str() == config.issuer.as_str() {
            let problem = "our own issuer as the client id would make an assertion look like a token of ours";
            findings.add(format!("{path}.client_id"), problem);
        }
        let is_shared = all.iter().any(|(other, _, others)| {
            let (own, others) = (introspection.token_prefix.as_ref(), others.token_prefix.as_ref());
            other != index && own.zip(others).is_some_and(|(own, others)| own.starts_with(others))
        });
        if is_shared {
            let problem = "tokens with this prefix could be another issuer's, which must not get them";
            findings.add(format!("{path}.token_prefix"), problem);
        }
    }
}

fn check_one(
    path: &str,
    issuer: &SubjectIssuerConfig,
    introspection: &IntrospectionConfig,
    findings: &mut Findings,
) {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    if !introspection.token_prefix.iter().flat_map(|prefix| prefix.bytes()).all(fits) {
        findings.add(format!("{path}.token_prefix"), "no bearer token begins like this");
    }
    if introspection.token_prefix.is_none() && !introspection.jwts {
        findings
            .add(path, "it is asked about nothing: `token_prefix` for opaque tokens, `jwts: true` for JWTs");
    }
    if let Some(endpoint) = &introspection.endpoint
        && let Err(error) = IntrospectionSettings::endpoint(endpoint, &issuer.name, issuer.dev)
    {
        findings.add(format!("{path}.endpoint"), error);
    }
    for (name, value) in [
        ("requests_per_second", introspection.requests_per_second),
        ("concurrent_requests", introspection.concurrent_requests),
        ("inactive_per_minute", introspection.inactive_per_minute),
    ] {
        if value == 0 {
            findings.add(format!("{path}.{name}"), "zero would let nobody in");
        }
    }
}

impl Asked {
    /// Prepares to ask an issuer, if the configuration says so.
    pub(super) fn build(
        config: &SubjectIssuerConfig,
        around: &ForeignSurroundings<'_>,
    ) -> Result<Option<Self>, SetupError> {
        let Some(introspection) = &config.introspection else { return Ok(None) };
        let endpoint = introspection.endpoint.as_ref();
        let endpoint = endpoint.map(|url| IntrospectionSettings::endpoint(url, &config.name, config.dev));
        let questions = IntrospectionSettings {
            endpoint: endpoint.transpose()?,
            concurrent: introspection.concurrent_requests,
            per_second: introspection.requests_per_second,
        };
        let settings = super::settings(config, around.ourselves, around.resources);
        let unusable = |_| SetupError::Url { issuer: config.name.clone() };
        Ok(Some(Self {
            prefix: introspection.token_prefix.clone(),
            jwts: introspection.jwts,
            introspection: Introspection::new(&settings, questions, around.outbound)?,
            client: OwnClient::of(introspection, &config.issuer, around.keys).map_err(unusable)?,
            guesses: Allowance::per_minute(introspection.inactive_per_minute),
            metrics: around.metrics.clone(),
        }))
    }
}

impl ForeignIssuers {
    /// Asks the issuer of an opaque token what it stands for.
    ///
    /// # Errors
    /// [`Refusal`] if no issuer has such tokens, if its issuer does not say that it is good, or cannot say now.
    pub(in crate::subject) async fn introspect(
        &self,
        (party, caller): (Party, &WorkloadId),
        presented: &OpaquePresented,
        resources: &Resources,
        now: Timestamp,
    ) -> Result<VerifiedParty, Refusal> {
        let is_of =
            |asked: &Asked| asked.prefix.as_ref().is_some_and(|prefix| presented.token.starts_with(prefix));
        let mut asked = self.all.values().filter_map(|foreign| Some((foreign, foreign.asked.as_ref()?)));
        let Some((foreign, asked)) = asked.find(|(_, asked)| is_of(asked)) else {
            return Err(Refusal::PresentedMalformed { party, error: presented.not_a_jwt.clone() });
        };
        // Our tokens name actors of our own only: nobody has to be asked about this one.
        if party == Party::Actor {
            return Err(Refusal::MayAct);
        }
        let guess = Guess::begin(&asked.guesses, caller, now).ok_or(Refusal::RateLimited)?;
        let client = asked.client.authentication(now)?;
        let (rule, began) = (AudienceRule::ContainsAny(&foreign.audiences), Instant::now());
        let whom = Asker { client: &client, workload: caller, now };
        let answer = asked.introspection.ask(&presented.token, whom, rule).await;
        asked.count(answer.as_ref().err(), began);
        if !answer.as_ref().err().is_some_and(IntrospectionError::may_come_of_the_token) {
            guess.forgive();
        }
        let token = answer.map_err(|source| Refusal::Presented { party, source: source.into() })?;
        foreign.party(party, (token.claims(), token.hash()), resources)
    }
}

impl Asked {
    /// Asks whether a JWT that was verified still counts.
    ///
    /// # Errors
    /// [`Refusal`] if its issuer says that it does not, or cannot say now.
    pub(super) async fn confirm(
        &self,
        (party, caller): (Party, &WorkloadId),
        jwt: (&SecretString, &VerifiedToken),
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let guess = Guess::begin(&self.guesses, caller, now).ok_or(Refusal::RateLimited)?;
        let (client, began) = (self.client.authentication(now)?, Instant::now());
        let confirmed =
            self.introspection.confirm(jwt, Asker { client: &client, workload: caller, now }).await;
        self.count(confirmed.as_ref().err(), began);
        if !confirmed.as_ref().err().is_some_and(IntrospectionError::may_come_of_the_token) {
            guess.forgive();
        }
        confirmed.map_err(|source| Refusal::Presented { party, source: source.into() })
    }

    fn count(&self, error: Option<&IntrospectionError>, began: Instant) {
        let took = error.is_none_or(IntrospectionError::was_asked).then(|| began.elapsed());
        self.metrics.observe(error.map_or("active", IntrospectionError::kind), took);
    }
}
