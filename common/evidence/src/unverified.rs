//! What a token says about itself, for the eyes of an operator and for metrics.
//! Nothing here is verified, so nothing here may ever be part of a decision: that is the broker's, who sees the signature.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use symbolon_identity::Timestamp;

/// Claims of a JWT that nobody has verified. Without the signature they are worth nothing, so they can be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnverifiedClaims {
    /// `iss`.
    pub issuer: Option<String>,
    /// `sub`.
    pub subject: Option<String>,
    /// `aud`, one or several.
    pub audiences: Vec<String>,
    /// `iat`.
    pub issued_at: Option<Timestamp>,
    /// `exp`.
    pub expires_at: Option<Timestamp>,
    /// `kubernetes.io`, if it is a service account token.
    pub kubernetes: Option<UnverifiedKubernetes>,
}

/// The claim `kubernetes.io` of a service account token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct UnverifiedKubernetes {
    /// The namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The service account.
    #[serde(rename = "serviceaccount", skip_serializing_if = "Option::is_none")]
    pub service_account: Option<UnverifiedObject>,
    /// The pod that the token is bound to; a token without one is not accepted as evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<UnverifiedObject>,
    /// The node that the pod runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<UnverifiedObject>,
    /// Where the API server has extended the token's life: the end that was asked for.
    #[serde(rename = "warnafter", skip_serializing_if = "Option::is_none")]
    pub warn_after: Option<Timestamp>,
}

/// An object of the cluster, by name and by the uid that no later one of the same name has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct UnverifiedObject {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

#[derive(Deserialize)]
struct Payload {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<OneOrMany>,
    iat: Option<Timestamp>,
    exp: Option<Timestamp>,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Option<UnverifiedKubernetes>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl UnverifiedClaims {
    /// Reads them; none where the payload is not what one expects of a JWT.
    pub(crate) fn of(token: &str) -> Option<Self> {
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let payload: Payload = serde_json::from_slice(&payload).ok()?;
        Some(Self {
            issuer: payload.iss,
            subject: payload.sub,
            audiences: match payload.aud {
                None => Vec::new(),
                Some(OneOrMany::One(audience)) => vec![audience],
                Some(OneOrMany::Many(audiences)) => audiences,
            },
            issued_at: payload.iat,
            expires_at: payload.exp,
            kubernetes: payload.kubernetes,
        })
    }

    /// From when to when the token lives, if it says so. Where the API server extended the life, only the part that was
    /// asked for counts: at its end the kubelet should long have written a new token.
    #[must_use]
    pub fn life(&self) -> Option<Life> {
        let (begin, end) = (self.issued_at?, self.expires_at?);
        let asked_for = self.kubernetes.as_ref().and_then(|kubernetes| kubernetes.warn_after);
        let end =
            asked_for.filter(|asked_for| *asked_for > begin).map_or(end, |asked_for| asked_for.min(end));
        (end > begin).then_some(Life { begin, end })
    }
}

/// From when to when a token lives, as it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    begin: Timestamp,
    end: Timestamp,
}

/// Whether whoever keeps a token fresh still does so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Freshness {
    /// The token is as young as it should be.
    Fresh,
    /// A new one should have been there already.
    Stale,
    /// It is over.
    Expired,
}

/// The kubelet writes a new token at 80 % of the life of the old one; past 85 % it is late.
const STALE_PERMILLE: u64 = 850;
/// It looks at each pod about once a minute, which matters for lives below half an hour.
const SYNC: Duration = Duration::from_secs(90);
/// It writes a new token at least once a day, however long the token lives.
const DAY: Duration = Duration::from_hours(24);

impl Life {
    /// The end.
    #[must_use]
    pub const fn end(self) -> Timestamp {
        self.end
    }

    /// How much of the life is over, in thousandths; more than 1000 once it has ended.
    #[must_use]
    pub fn age_permille(self, now: Timestamp) -> u32 {
        let age = u128::from(now.saturating_since(self.begin).as_secs());
        let whole = u128::from(self.seconds().max(1));
        u32::try_from(age.saturating_mul(1000) / whole).unwrap_or(u32::MAX)
    }

    /// Whether a newer token should be there.
    #[must_use]
    pub fn freshness(self, now: Timestamp) -> Freshness {
        if now >= self.end {
            return Freshness::Expired;
        }
        let age = now.saturating_since(self.begin).as_secs();
        let whole = self.seconds();
        let late = whole.saturating_mul(STALE_PERMILLE) / 1000;
        let synced = (whole.saturating_mul(4) / 5).saturating_add(SYNC.as_secs());
        let daily = DAY.as_secs().saturating_add(2 * SYNC.as_secs());
        if age > late.max(synced).min(daily) { Freshness::Stale } else { Freshness::Fresh }
    }

    fn seconds(self) -> u64 {
        self.end.saturating_since(self.begin).as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds).unwrap()
    }

    fn life(payload: &str) -> Life {
        UnverifiedClaims::of(&token(payload)).unwrap().life().unwrap()
    }

    #[test]
    fn a_projected_token_is_read() {
        let claims = UnverifiedClaims::of(&token(
            r#"{"iss":"https://k8s","sub":"system:serviceaccount:shop:orders","aud":["https://broker"],"iat":1000,"exp":4600,
                "jti":"x","kubernetes.io":{"namespace":"shop","serviceaccount":{"name":"orders","uid":"1"},
                "pod":{"name":"orders-0","uid":"2"},"node":{"name":"n","uid":"3"},"future":{}}}"#,
        ))
        .unwrap();
        assert_eq!(claims.audiences, ["https://broker"]);
        let kubernetes = claims.kubernetes.as_ref().unwrap();
        assert_eq!(kubernetes.pod.as_ref().unwrap().name, "orders-0");
        assert_eq!(claims.life(), Some(Life { begin: at(1000), end: at(4600) }));
    }

    #[test]
    fn what_is_no_jwt_says_nothing() {
        for wrong in ["a.b.c", "e30", "", &token("[]"), &token(r#"{"iat":-1}"#), &token(r#"{"aud":7}"#)] {
            assert_eq!(UnverifiedClaims::of(wrong), None, "{wrong}");
        }
        assert_eq!(UnverifiedClaims::of(&token("{}")).unwrap().life(), None);
        assert_eq!(UnverifiedClaims::of(&token(r#"{"iat":9,"exp":9}"#)).unwrap().life(), None);
    }

    #[test]
    fn a_kubelet_that_is_late_is_told_from_one_that_is_not_yet_due() {
        let hour = life(r#"{"iat":1000,"exp":4600}"#);
        for (now, permille, freshness) in [
            (0, 0, Freshness::Fresh),
            (1000, 0, Freshness::Fresh),
            (4060, 850, Freshness::Fresh),
            (4061, 850, Freshness::Stale),
            (4600, 1000, Freshness::Expired),
            (8200, 2000, Freshness::Expired),
        ] {
            assert_eq!((hour.age_permille(at(now)), hour.freshness(at(now))), (permille, freshness), "{now}");
        }
        // Of ten minutes 85 % are over before the kubelet has looked at the pod again.
        let short = life(r#"{"iat":1000,"exp":1600}"#);
        assert_eq!(short.freshness(at(1560)), Freshness::Fresh);
        assert_eq!(short.freshness(at(1571)), Freshness::Stale);
        let week = life(r#"{"iat":1000,"exp":605800}"#);
        assert_eq!(week.freshness(at(1000 + 86_400)), Freshness::Fresh);
        assert_eq!(week.freshness(at(1000 + 90_000)), Freshness::Stale);
    }

    #[test]
    fn a_life_that_the_api_server_extended_counts_as_asked_for() {
        let extended = r#"{"iat":1000,"exp":31537000,"kubernetes.io":{"warnafter":4607}}"#;
        assert_eq!(life(extended).end(), at(4607));
        let nonsense = r#"{"iat":1000,"exp":4600,"kubernetes.io":{"warnafter":7}}"#;
        assert_eq!(life(nonsense).end(), at(4600));
    }
}
