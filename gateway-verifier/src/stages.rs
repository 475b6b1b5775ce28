//! What a request has to pass: the stages of a route in their order, one file a kind.
//! Not here: the walk through them (`judge.rs`), and how they are read (`plan/stages.rs`).

pub mod authorize;
pub mod verify;
pub mod when;

use authorize::Authorize;
use verify::VerifyRule;
use when::{RouteFacts, When};

/// The most stages of one route.
pub const MOST: usize = 64;

/// The stages of one route.
#[derive(Debug, Default)]
pub struct Stages {
    list: Vec<Stage>,
    facts: RouteFacts,
}

/// One stage, finished.
#[derive(Debug)]
pub struct Stage {
    /// What it does.
    pub kind: Kind,
    /// The condition without which it is skipped.
    pub when: Option<When>,
}

/// What a stage does.
#[derive(Debug)]
pub enum Kind {
    /// Verifies the caller's token.
    Verify(Box<VerifyRule>),
    /// Asks policies about the request.
    Authorize(Authorize),
}

/// How far a request came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// The stage that it is at; beyond the last one when it passed them all.
    pub at: usize,
    skipped: u64,
}

impl Stages {
    /// These stages, at most [`MOST`], on a route with these facts.
    #[must_use]
    pub fn new(list: Vec<Stage>, facts: RouteFacts) -> Self {
        Self { list, facts }
    }

    /// The stages in their order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Stage> {
        self.list.iter()
    }

    /// What conditions know about the route.
    #[must_use]
    pub fn facts(&self) -> &RouteFacts {
        &self.facts
    }

    /// The rule of the first `verify`.
    #[must_use]
    pub fn verify(&self) -> Option<&VerifyRule> {
        self.list.iter().find_map(Stage::verify)
    }

    /// The rule of the `verify` that a request is at, else of the first one.
    #[must_use]
    pub fn verify_at(&self, progress: Option<Progress>) -> Option<&VerifyRule> {
        let at = progress.and_then(|progress| self.list.get(progress.at)).and_then(Stage::verify);
        at.or_else(|| self.verify())
    }
}

impl Stage {
    fn verify(&self) -> Option<&VerifyRule> {
        match &self.kind {
            Kind::Verify(rule) => Some(rule),
            Kind::Authorize(_) => None,
        }
    }
}

impl Kind {
    /// Its name in the configuration.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Verify(_) => "verify",
            Self::Authorize(_) => "authorize",
        }
    }
}

impl Progress {
    /// Notes that the stage it is at was skipped.
    pub fn skip(&mut self) {
        let bit = u32::try_from(self.at).ok().and_then(|at| 1_u64.checked_shl(at));
        self.skipped |= bit.unwrap_or_default();
    }

    /// Whether a stage was skipped.
    #[must_use]
    pub fn has_skipped(&self, stage: usize) -> bool {
        let bit = u32::try_from(stage).ok().and_then(|stage| self.skipped.checked_shr(stage));
        bit.unwrap_or_default() & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_skipped_stage_is_remembered_and_no_other() {
        let mut progress = Progress::default();
        for at in [0, 5, MOST - 1] {
            progress.at = at;
            progress.skip();
        }
        let skipped: Vec<usize> = (0..MOST + 8).filter(|stage| progress.has_skipped(*stage)).collect();
        assert_eq!(skipped, [0, 5, MOST - 1]);
    }
}
