//! The `issuers:` section: as it is written, and as `symbolon-issuers` wants it.
//! Not here: fetching keys.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_config::HumanDuration;
use symbolon_identity::{Audience, IssuerName, IssuerUrl, TrustDomain};
use symbolon_issuers::{IssuerSettings, KeySource};
use symbolon_jws::Algorithm;
use symbolon_token::TokenType;

use super::{Findings, RevocationsConfig};
use crate::stages::verify::TrustedIssuer;

/// Whether tokens must be bound to a key. There is no "off": a bound token is always checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    /// Only tokens that are bound to a key are accepted.
    #[default]
    Required,
    /// Tokens without `cnf` are accepted as bearer tokens; tokens with `cnf` need their proof.
    WhenBound,
}

/// An issuer and all that it owns.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// The name that stages refer to.
    pub name: IssuerName,
    /// The exact `iss` of its tokens.
    pub issuer: IssuerUrl,
    /// The most that any route may ask for; an empty list is refused.
    pub audiences: Vec<Audience>,
    /// Allowed algorithms; default: what the keys say. Never HS*, never none.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub algorithms: Option<Vec<Algorithm>>,
    /// Allowed `typ` values: `at+jwt` (default), `JWT`, `JOSE`, `client-authentication+jwt`, `absent`.
    #[serde(default)]
    pub token_types: Option<Vec<String>>,
    /// The longest accepted life of a token; default 1 h.
    #[serde(default)]
    pub max_lifetime: Option<HumanDuration>,
    /// `required` (default) or `when_bound`.
    #[serde(default)]
    pub binding: Binding,
    /// The SPIFFE trust domain that it speaks for: only then is a subject of this domain a `Workload` to policies.
    #[serde(default)]
    pub trust_domain: Option<TrustDomain>,
    /// Where the keys are; default: by discovery at the issuer.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// A local file with the keys instead.
    #[serde(default)]
    pub jwks_file: Option<PathBuf>,
    /// Follows the issuer's revocation feed, if it is a Symbolon broker.
    #[serde(default)]
    pub revocations: Option<RevocationsConfig>,
    /// Allows plain http to this machine, for development only.
    #[serde(default)]
    pub dev: bool,
}

/// A feed is asked several times within its `max_stale`.
const SHORTEST_STALE: Duration = Duration::from_secs(3);
const DEFAULT_LIFETIME: Duration = Duration::from_hours(1);

impl IssuerConfig {
    /// The finished settings, or `None` with what is wrong added to `findings`.
    pub fn settings(&self, path: &str, findings: &mut Findings) -> Option<IssuerSettings> {
        if self.audiences.is_empty() {
            findings.add(
                format!("{path}.audiences"),
                "an issuer without audiences opens nothing; name at least one",
            );
        }
        if self.algorithms.as_ref().is_some_and(Vec::is_empty) {
            findings.add(
                format!("{path}.algorithms"),
                "an empty list allows nothing; leave it out to use what the keys say",
            );
        }
        if self.issuer.is_plaintext() && !self.dev {
            findings.add(format!("{path}.issuer"), "plain http is for development only: say `dev: true`");
        }
        if let Some(revocations) = &self.revocations {
            if revocations.evidence.needs_socket() && revocations.socket.is_none() {
                findings.add(format!("{path}.revocations"), "`unix` evidence needs `socket`");
            }
            if revocations.max_stale.as_duration() < SHORTEST_STALE {
                let message = "less than 3 s is no time in which to hear of the feed again";
                findings.add(format!("{path}.revocations.max_stale"), message);
            }
        }
        let token_types = self.types(path, findings);
        let keys = match (&self.jwks_uri, &self.jwks_file) {
            (Some(_), Some(_)) => {
                findings.add(path, "`jwks_uri` and `jwks_file` exclude each other");
                return None;
            }
            (Some(uri), None) => KeySource::JwksUri(uri.clone()),
            (None, Some(file)) => KeySource::JwksFile(file.clone()),
            (None, None) => KeySource::Discovery,
        };
        Some(IssuerSettings {
            name: self.name.clone(),
            issuer: self.issuer.clone(),
            audiences: self.audiences.iter().cloned().collect::<BTreeSet<_>>(),
            algorithms: self.algorithms.clone(),
            token_types,
            max_lifetime: self.max_lifetime.map_or(DEFAULT_LIFETIME, HumanDuration::as_duration),
            keys,
            dev: self.dev,
        })
    }

    /// What a route needs to know of it.
    #[must_use]
    pub fn trusted(&self) -> TrustedIssuer {
        TrustedIssuer {
            name: self.name.clone(),
            url: self.issuer.clone(),
            audiences: self.audiences.clone(),
            binding: self.binding,
            trust_domain: self.trust_domain.clone(),
        }
    }

    fn types(&self, path: &str, findings: &mut Findings) -> Vec<TokenType> {
        let Some(names) = &self.token_types else { return vec![TokenType::AccessToken] };
        if names.is_empty() {
            findings.add(format!("{path}.token_types"), "an empty list allows nothing");
        }
        let read = |(index, name): (usize, &String)| {
            findings.keep(&format!("{path}.token_types[{index}]"), name.parse())
        };
        names.iter().enumerate().filter_map(read).collect()
    }
}
