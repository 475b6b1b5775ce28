//! Watches whether the platform keeps our evidence fresh, by what the evidence says about itself.
//! Nothing here is a decision: stale evidence is sent like any other, and the broker says what it is worth.

use std::sync::{Mutex, PoisonError};

use symbolon_evidence::{Evidence, Freshness, Life, UnverifiedClaims};
use symbolon_identity::Timestamp;

use crate::metrics::EvidenceMetrics;

/// Measures each piece of evidence that is used, and warns once of one that should have been replaced.
#[derive(Debug)]
pub(crate) struct EvidenceWatch {
    metrics: EvidenceMetrics,
    /// The life of the token that was warned of: a token has no other name that may be kept.
    warned: Mutex<Option<Life>>,
}

impl EvidenceWatch {
    pub(crate) fn new(metrics: EvidenceMetrics) -> Self {
        Self { metrics, warned: Mutex::new(None) }
    }

    /// Takes in evidence that is about to be used.
    pub(crate) fn seen(&self, evidence: &Evidence, now: Timestamp) {
        if let Some(written) = evidence.written_at() {
            self.metrics.age(now.saturating_since(written));
        }
        let Some(life) = evidence.unverified_claims().and_then(UnverifiedClaims::life) else { return };
        self.metrics.life(life, now);
        let freshness = life.freshness(now);
        if freshness != Freshness::Fresh && self.is_news(life) {
            tracing::warn!(
                event.name = "evidence.stale",
                age_permille = life.age_permille(now),
                expired = freshness == Freshness::Expired,
                expires_at = life.end().as_secs(),
                "the platform should have renewed our evidence by now"
            );
        }
    }

    fn is_news(&self, life: Life) -> bool {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        warned.replace(life) != Some(life)
    }
}

#[cfg(test)]
mod tests {
    use symbolon_daemon::Registry;

    use super::*;

    fn life(iat: u64, exp: u64) -> Life {
        let at = |seconds| Timestamp::from_secs(seconds).unwrap();
        let claims =
            UnverifiedClaims { issued_at: Some(at(iat)), expires_at: Some(at(exp)), ..Default::default() };
        claims.life().unwrap()
    }

    #[test]
    fn a_token_is_news_once() {
        let metrics = crate::metrics::BrokerMetrics::register(&mut Registry::new());
        let watch = EvidenceWatch::new(metrics.evidence);
        let news =
            [life(0, 600), life(0, 600), life(300, 900), life(300, 900)].map(|life| watch.is_news(life));
        assert_eq!(news, [true, false, true, false]);
    }
}
