//! Evidence appraised for an operator: by the very steps of a grant, and for every other attestor why it was not asked.
//! Nothing is issued, recorded or used up. Not here: the words that the operator reads (`routes::evidence`).

use symbolon_http::server::ConnectionInfo;
use symbolon_identity::{ProviderName, Timestamp};

use super::{Attested, Attestor, Attestors, Evidence, Unattested, Wanted, attest_by};
use crate::grants::{Credential, PresentedClient};
use crate::refusal::Refusal;

/// What came of evidence, and what each attestor has to do with it.
#[derive(Debug)]
pub(crate) struct Appraised<'a> {
    /// What a grant would get.
    pub(crate) outcome: Result<Attested, Unattested>,
    /// All attestors.
    pub(crate) considered: Vec<Considered<'a>>,
}

/// One attestor.
#[derive(Debug)]
pub(crate) struct Considered<'a> {
    pub(crate) provider: &'a ProviderName,
    pub(crate) wants: Wanted<'a>,
    pub(crate) verdict: Verdict,
}

/// What an attestor has to do with evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was asked; the outcome is its word.
    Asked,
    /// It takes another kind of evidence.
    OtherKind,
    /// It takes tokens of another issuer.
    OtherIssuer,
    /// No client is registered by this name.
    NotRegistered,
    /// The caller names another provider.
    NotNamed,
    /// Others have its issuer, and it lacks the key.
    LacksKey,
    /// Others would take the evidence just as well, so that nobody was asked.
    Ambiguous,
}

impl Attestors {
    /// Does what [`Attestors::attest`] does for a caller who proves no key, and keeps who was asked.
    pub(crate) async fn appraise(
        &self,
        client: &PresentedClient,
        connection: &ConnectionInfo,
        now: Timestamp,
    ) -> Appraised<'_> {
        let evidence = Evidence { credential: &client.credential, connection, key: None };
        let named = client.provider.as_deref();
        let chosen = self.choose(&evidence, named, now);
        let asked = chosen.as_ref().ok().map(|attestor| attestor.provider());
        let verdict = |attestor: &dyn Attestor| {
            if Some(attestor.provider()) == asked {
                return Verdict::Asked;
            }
            passed_over(attestor, &evidence, named, now)
        };
        let considered = self.all.iter().map(|attestor| Considered {
            provider: attestor.provider(),
            wants: attestor.wants(),
            verdict: verdict(&**attestor),
        });
        let considered = considered.collect();
        let outcome = match chosen {
            Ok(attestor) => attest_by(attestor, client, evidence, now).await,
            Err(refusal) => Err(refusal.into()),
        };
        Appraised { outcome, considered }
    }

    /// All attestors, of evidence that is none.
    pub(crate) fn unasked(&self, refusal: Refusal) -> Appraised<'_> {
        let considered = self.all.iter().map(|attestor| Considered {
            provider: attestor.provider(),
            wants: attestor.wants(),
            verdict: Verdict::OtherKind,
        });
        Appraised { outcome: Err(refusal.into()), considered: considered.collect() }
    }
}

fn passed_over(
    attestor: &dyn Attestor,
    evidence: &Evidence<'_>,
    named: Option<&str>,
    now: Timestamp,
) -> Verdict {
    let wants = attestor.wants();
    match (evidence.credential, wants.issuer) {
        _ if attestor.is_for(evidence) => match (evidence.credential, wants.issuer) {
            _ if named.is_some_and(|name| name != attestor.provider().as_str()) => Verdict::NotNamed,
            (Credential::Assertion(it), Some(issuer)) if !issuer.may_verify(&it.token, now) => {
                Verdict::LacksKey
            }
            _ => Verdict::Ambiguous,
        },
        (Credential::Assertion(_), Some(_)) => Verdict::OtherIssuer,
        (Credential::Assertion(_), None) if !wants.audiences.is_empty() => Verdict::NotRegistered,
        _ => Verdict::OtherKind,
    }
}
