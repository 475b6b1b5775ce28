//! The refusal of somebody who was not attested, as operators read it.
//! Not here: remembering it (`unrecorded`).

use serde_json::json;
use symbolon_wire::{DecisionDocument, Outcome, Stage, StageOutcome};

use crate::refusal::StageName;
use crate::unrecorded::Stranger;

/// The document: nothing in it was verified.
pub(super) fn document(stranger: &Stranger) -> DecisionDocument {
    DecisionDocument {
        reason: Some(stranger.reason),
        detail: Some(stranger.detail.clone()),
        stages: stages(stranger),
        facts: json!({
            "source": stranger.source.map(|address| address.to_string()),
            "kept": "in memory only: refusals before attestation are counted, and not on record",
        }),
        ..DecisionDocument::new(stranger.id.clone(), stranger.time, Outcome::Refused)
    }
}

fn stages(stranger: &Stranger) -> Vec<Stage> {
    let mut outcome = StageOutcome::Passed;
    // Those of an exchange are left out: whether it would have been one, nobody knows.
    let of_exchange = |name: &StageName| matches!(name, StageName::Subject | StageName::Actor);
    let shown = StageName::ALL.into_iter().filter(|name| !of_exchange(name));
    shown
        .map(|name| {
            let stops = name == stranger.stage;
            let here = if stops { StageOutcome::Stopped } else { outcome };
            if stops {
                outcome = StageOutcome::NotReached;
            }
            Stage { detail: stops.then(|| stranger.detail.clone()), ..Stage::new(name.as_str(), here) }
        })
        .collect()
}
