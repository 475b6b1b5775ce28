//! Appraised evidence as the operator reads it.
//! What the evidence says of itself is named only where it does not fit, and never the evidence.

use symbolon_identity::{ReasonCode, Timestamp};
use symbolon_issuers::KeyStatus;
use symbolon_wire::{Appraisal, KeysSeen, ProviderAppraisal, ProviderVerdict};

use crate::attest::{Appraised, Attested, Considered, Method, Unattested, Verdict};
use crate::grants::{Credential, PresentedClient};
use crate::refusal::Refusal;
use crate::routes::error::face;

/// So much is shown of a name that a stranger may have chosen.
const MOST_SHOWN: usize = 200;

/// The word of the provider that was asked.
struct Word {
    verdict: ProviderVerdict,
    workload: Option<String>,
    not_after: Option<Timestamp>,
    refusal: Option<(ReasonCode, String)>,
}

/// The appraisal, which names the client only if it could be read.
pub(super) fn of(appraised: &Appraised<'_>, client: Option<&PresentedClient>, now: Timestamp) -> Appraisal {
    let word = Word::of(&appraised.outcome);
    let provider = |considered: &Considered<'_>| provider(considered, &word, client, now);
    let providers = appraised.considered.iter().map(provider).collect();
    word.appraisal(now, providers)
}

impl Word {
    fn of(outcome: &Result<Attested, Unattested>) -> Self {
        let told = |refusal: &Refusal| (face(refusal).reason, crate::error_chain(refusal));
        match outcome {
            Ok(attested) => Self {
                verdict: ProviderVerdict::Takes,
                workload: Some(attested.workload().to_string()),
                not_after: attested.not_after(),
                refusal: None,
            },
            Err(Unattested::WrongKey { owner, refusal }) => Self {
                // Nobody proves a key here, so that every such refusal is about that alone.
                verdict: ProviderVerdict::TakesWithKey,
                workload: Some(owner.workload().to_string()),
                not_after: owner.not_after(),
                refusal: Some(told(refusal)),
            },
            Err(Unattested::Stranger(refusal)) => Self {
                verdict: ProviderVerdict::Refuses,
                workload: None,
                not_after: None,
                refusal: Some(told(refusal)),
            },
        }
    }

    fn why(&self) -> String {
        let said = self.refusal.as_ref().map(|(_, said)| said.as_str()).unwrap_or_default();
        match self.verdict {
            ProviderVerdict::Takes => "the evidence is good".to_owned(),
            ProviderVerdict::TakesWithKey => format!("the evidence is good; {said}"),
            ProviderVerdict::Refuses | ProviderVerdict::NotAsked => said.to_owned(),
        }
    }

    fn appraisal(self, now: Timestamp, providers: Vec<ProviderAppraisal>) -> Appraisal {
        let (reason, detail) = self.refusal.unzip();
        Appraisal { now, workload: self.workload, not_after: self.not_after, reason, detail, providers }
    }
}

fn provider(
    considered: &Considered<'_>,
    word: &Word,
    client: Option<&PresentedClient>,
    now: Timestamp,
) -> ProviderAppraisal {
    let wants = &considered.wants;
    let asked = considered.verdict == Verdict::Asked;
    ProviderAppraisal {
        name: considered.provider.to_string(),
        method: wants.method.as_str().to_owned(),
        verdict: if asked { word.verdict } else { ProviderVerdict::NotAsked },
        why: if asked { word.why() } else { passed_over(considered, client) },
        issuer: wants.issuer.map(|issuer| issuer.url().to_string()),
        audiences: wants.audiences.iter().map(ToString::to_string).collect(),
        keys: wants.issuer.map(|issuer| seen(issuer.status(now))),
    }
}

fn seen(status: KeyStatus) -> KeysSeen {
    let KeyStatus { keys: count, fetched_at, usable, failures } = status;
    KeysSeen { count, fetched_at, usable, failures }
}

/// Why a provider was not asked.
fn passed_over(considered: &Considered<'_>, client: Option<&PresentedClient>) -> String {
    let wants = &considered.wants;
    let Some(client) = client else { return "this is no evidence at all".to_owned() };
    match considered.verdict {
        Verdict::OtherKind if wants.method == Method::Unix => {
            "it attests the process at the other end of a socket; this is a token".to_owned()
        }
        Verdict::OtherKind => "it takes tokens; this is a connection".to_owned(),
        Verdict::OtherIssuer => {
            let wanted = wants.issuer.map(|issuer| issuer.url().to_string()).unwrap_or_default();
            other_issuer(&wanted, claimed(client))
        }
        Verdict::NotRegistered => match claimed(client) {
            Some(name) => format!("no client is registered as `{}`", shown(name)),
            None => "the token has no `iss`, which names the client".to_owned(),
        },
        Verdict::NotNamed => "the caller names another provider by `trust_provider`".to_owned(),
        Verdict::LacksKey => format!(
            "its issuer is the token's, and it has not the key `{}`: another cluster's token, or keys that are yet to be fetched",
            key_id(client).map(shown).unwrap_or_default()
        ),
        Verdict::Ambiguous => {
            "others would take it as well: name one by `trust_provider`; clusters that share a key cannot be told apart"
                .to_owned()
        }
        Verdict::Asked => String::new(),
    }
}

fn other_issuer(wanted: &str, claimed: Option<&str>) -> String {
    match claimed {
        None => format!("it takes tokens of `{wanted}`; this one has no `iss`"),
        Some(claimed) if claimed.trim_end_matches('/') == wanted.trim_end_matches('/') => {
            format!(
                "it takes tokens of `{wanted}`; this one is of `{}`: the slash at the end counts",
                shown(claimed)
            )
        }
        Some(claimed) => format!("it takes tokens of `{wanted}`; this one is of `{}`", shown(claimed)),
    }
}

fn claimed(client: &PresentedClient) -> Option<&str> {
    match &client.credential {
        Credential::Assertion(assertion) => assertion.token.issuer_hint(),
        Credential::Connection => None,
    }
}

fn key_id(client: &PresentedClient) -> Option<&str> {
    match &client.credential {
        Credential::Assertion(assertion) => assertion.token.key_id_hint(),
        Credential::Connection => None,
    }
}

fn shown(name: &str) -> String {
    name.chars().take(MOST_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_at_the_end_is_named_as_the_difference() {
        let said = other_issuer("https://a.example", Some("https://a.example/"));
        assert!(said.contains("the slash at the end counts"), "{said}");
        assert!(!other_issuer("https://a.example", Some("https://b.example")).contains("slash"));
        assert!(other_issuer("https://a.example", None).contains("no `iss`"));
    }
}
