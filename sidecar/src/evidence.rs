//! Watches whether the platform keeps our evidence fresh, by what the evidence says about itself.
//! Nothing here is a decision: stale evidence is sent like any other, and the broker says what it is worth.

use std::sync::{Mutex, PoisonError};

use symbolon_evidence::{Evidence, Freshness, Life};
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
        let Some(life) = evidence.unverified_claims().and_then(|claims| claims.life()) else { return };
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
