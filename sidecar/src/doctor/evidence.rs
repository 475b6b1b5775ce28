//! Checks of the evidence: where it comes from, what it says, whether it is young, and for whom it is.
//! It is shown without its signature and nothing it says is believed; that is the broker's part.

use serde_json::json;
use symbolon_evidence::{Choice, Evidence, Freshness, NoSource, Source, UnverifiedClaims};
use symbolon_identity::{IssuerUrl, Timestamp};
use symbolon_program::chain;
use tokio::time::timeout;

use super::PATIENCE;
use super::report::Check;
use crate::settings::Settings;

const SOURCE: &str = "evidence.source";
const READ: &str = "evidence.read";
const CLAIMS: &str = "evidence.claims";
const AGE: &str = "evidence.age";
const AUDIENCE: &str = "evidence.audience";

/// What there is of evidence.
pub(super) struct Looked {
    choice: Result<Choice, NoSource>,
    /// What was collected, or why nothing was.
    evidence: Result<Evidence, String>,
}

/// Collects evidence as the sidecar would.
pub(super) async fn look(settings: &Settings) -> Looked {
    let choice = Source::choose(&settings.evidence, settings.broker.socket.as_deref());
    let evidence = match &choice {
        Ok(choice) => match timeout(PATIENCE, choice.source.collect()).await {
            Ok(collected) => collected.map_err(|error| chain(&error)),
            Err(_) => Err("the file cannot be read in time".to_owned()),
        },
        Err(_) => Err("no source of evidence".to_owned()),
    };
    Looked { choice, evidence }
}

impl Looked {
    /// All checks; `issuer` is what the broker calls itself, or should.
    pub(super) fn checks(&self, now: Timestamp, issuer: &IssuerUrl) -> Vec<Check> {
        let choice = match &self.choice {
            Ok(choice) => choice,
            Err(error) => {
                let next = "mount a projected token, set `broker.socket`, or name a source in `evidence`";
                return vec![Check::failed(SOURCE, error.to_string(), next)];
            }
        };
        let (source, reason) = (&choice.source, &choice.reason);
        let place = source.file().map_or_else(String::new, |file| format!(" `{}`", file.display()));
        let mut checks = vec![Check::ok(SOURCE, format!("{}{place}: {reason}", source.kind()))];
        match &self.evidence {
            Err(why) => checks.push(Check::failed(READ, why, missing(source))),
            Ok(evidence) if evidence.assertion().is_none() => {
                checks.push(Check::ok(READ, "the connection itself, which the broker's kernel describes"));
            }
            Ok(evidence) => {
                let written = evidence.written_at().map_or_else(String::new, |at| format!(", written {at}"));
                checks.push(Check::ok(READ, format!("one compact JWT{written}")));
                checks.extend(of_token(source, evidence.unverified_claims(), now, issuer));
            }
        }
        checks
    }
}

fn missing(source: &Source) -> &'static str {
    match source {
        Source::Kubernetes(_) => {
            "mount a projected volume with a `serviceAccountToken` there, without `subPath`, readable by our user or `fsGroup`"
        }
        Source::Oidc(_) | Source::Unix(_) => {
            "have the platform write the token there, owned by root or our user and writable by nobody else"
        }
    }
}

fn of_token(
    source: &Source,
    claims: Option<&UnverifiedClaims>,
    now: Timestamp,
    issuer: &IssuerUrl,
) -> Vec<Check> {
    let Some(claims) = claims else {
        let next = "look at the file with `symbolon token inspect`: the broker will refuse it";
        return vec![Check::failed(CLAIMS, "the token's payload is no set of JWT claims", next)];
    };
    vec![shown(source, claims), age(source, claims, now), audience(source, claims, issuer)]
}

/// The claims that say who this is. Others may be anything, and are left out.
fn shown(source: &Source, claims: &UnverifiedClaims) -> Check {
    let details = json!({
        "iss": claims.issuer, "sub": claims.subject, "aud": claims.audiences, "iat": claims.issued_at,
        "exp": claims.expires_at, "kubernetes.io": claims.kubernetes,
    });
    let said = |claim: &Option<String>| claim.clone().unwrap_or_else(|| "nobody".to_owned());
    let pod = claims.kubernetes.as_ref().and_then(|kubernetes| kubernetes.pod.as_ref());
    let in_pod = pod.map_or_else(String::new, |pod| format!(", pod `{}` ({})", pod.name, pod.uid));
    let found = format!("sub `{}` by iss `{}`{in_pod}", said(&claims.subject), said(&claims.issuer));
    if matches!(source, Source::Kubernetes(_)) && pod.is_none() {
        let next = "use a projected volume; the token of a Secret, or of `kubectl create token` without `--bound-object-kind Pod`, is refused";
        return Check::failed(CLAIMS, format!("{found}: bound to no pod"), next).with(details);
    }
    Check::ok(CLAIMS, found).with(details)
}

fn age(source: &Source, claims: &UnverifiedClaims, now: Timestamp) -> Check {
    let Some(life) = claims.life() else {
        let next = "evidence needs `iat` and `exp`: ask the platform for a token that has them";
        return Check::failed(AGE, "the token does not say how long it lives", next);
    };
    let (permille, freshness) = (life.age_permille(now), life.freshness(now));
    let shown = format!("{}.{} % of its life is over, it ends {}", permille / 10, permille % 10, life.end());
    let details = json!({
        "age_permille": permille, "expires_at": life.end().as_secs(), "freshness": freshness,
    });
    let next = if matches!(source, Source::Kubernetes(_)) {
        "the kubelet of this node does not renew it: look at its log for `token_manager`, at the node's clock, and for a `subPath` mount"
    } else {
        "whoever writes the file does not renew it: look there, and at the clock"
    };
    match freshness {
        Freshness::Fresh => Check::ok(AGE, shown),
        Freshness::Stale => Check::failed(AGE, format!("stale: {shown}"), next),
        Freshness::Expired => Check::failed(AGE, format!("expired: {shown}"), next),
    }
    .with(details)
}

fn audience(source: &Source, claims: &UnverifiedClaims, issuer: &IssuerUrl) -> Check {
    let details = json!({"audiences": claims.audiences.len(), "wanted": issuer.as_str()});
    let check = match claims.audiences.as_slice() {
        [one] if one == issuer.as_str() => Check::ok(AUDIENCE, format!("one, the broker's issuer `{one}`")),
        // A provider of the broker may name one dedicated audience, which only the broker knows of.
        [one] if matches!(source, Source::Oidc(_)) => Check::warning(
            AUDIENCE,
            format!("`{one}` is not the broker's issuer `{issuer}`"),
            "have the token made for the issuer, unless the broker's provider says `audience` for this one",
        ),
        [one] => Check::failed(
            AUDIENCE,
            format!("`{one}` is not the broker's issuer `{issuer}`"),
            format!("set `audience: {issuer}` in the volume's `serviceAccountToken`"),
        ),
        none_or_many => Check::failed(
            AUDIENCE,
            format!("{} audiences, and exactly one is accepted", none_or_many.len()),
            format!("have the token made for `{issuer}` alone"),
        ),
    };
    check.with(details)
}

#[cfg(test)]
mod tests;
