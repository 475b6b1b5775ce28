//! A rejection as the admin socket shows it: its stages in order, the one that ended it, what was expected and seen.
//! Not here: what policies say about it (`explained.rs`). Nobody pays for this but who asks.

use std::sync::Arc;

use serde_json::{Value, json};
use symbolon_identity::ReasonCode;
use symbolon_wire::StageOutcome::{NotReached, Passed, Skipped, Stopped};
use symbolon_wire::{Atom, DecisionDocument, NearMiss, Outcome, RecentDecision, Stage};

use super::Rejected;
use super::explained::Explained;
use crate::caller::VerifiedCaller;
use crate::policies::PolicyFolder;
use crate::rejection::Notes;
use crate::routes::Route;

/// The stages that every request passes, beside those of its route.
mod always {
    /// The request can be read in one way only.
    pub(super) const REQUEST: &str = "request";
    /// A route answers it.
    pub(super) const ROUTE: &str = "route";
    /// Some `verify` admitted its caller, or the route is public.
    pub(super) const ADMIT: &str = "admit";
    /// The API answers.
    pub(super) const FORWARD: &str = "forward";
}

impl Rejected {
    /// The document for the admin socket, with near misses among the policies in force.
    #[must_use]
    pub fn document(&self, policies: &[Arc<PolicyFolder>]) -> DecisionDocument {
        let code = self.rejection.code();
        let caller = self.rejection.caller();
        let route = self.at.route.as_ref().map(|route| route.name.as_str());
        let explained = self.rejection.denied().map(|denied| Explained::of(denied, policies));
        let mut explained = explained.unwrap_or_default();
        explained.near_misses.extend(self.comparison(route));
        let Explained { policies, forbids, near_misses, smallest_change, question } = explained;
        DecisionDocument {
            reason: Some(code),
            detail: self.rejection.notes().and_then(|notes| notes.detail.clone()),
            workload: caller.map(|caller| caller.id().to_owned()),
            target: route.map(str::to_owned),
            stages: self.stages(),
            policies,
            forbids,
            near_misses,
            smallest_change,
            facts: json!({
                "request": self.request,
                "source": self.at.source.map(|address| address.to_string()),
                "token": caller.map(|caller| token(caller)),
                "policy": question,
            }),
            ..DecisionDocument::new(self.at.id.clone(), self.at.time, self.outcome())
        }
    }

    /// The rejection in a list.
    #[must_use]
    pub fn brief(&self) -> RecentDecision {
        let question = self.rejection.denied().map(|denied| json!(denied.question));
        RecentDecision {
            id: self.at.id.clone(),
            outcome: self.outcome(),
            workload: self.rejection.caller().map(|caller| caller.id().to_owned()).unwrap_or_default(),
            target: self.at.route.as_ref().map(|route| route.name.to_string()).unwrap_or_default(),
            questions: question.into_iter().collect(),
        }
    }

    /// Only policies deny; everything else refuses.
    fn outcome(&self) -> Outcome {
        if self.rejection.denied().is_some() { Outcome::Denied } else { Outcome::Refused }
    }

    /// What a check of our own compared.
    fn comparison(&self, route: Option<&str>) -> Option<NearMiss> {
        let notes = self.rejection.notes()?;
        if notes.expected.is_none() && notes.actual.is_none() {
            return None;
        }
        let atom = Atom {
            condition: self.rejection.code().as_str().to_owned(),
            expected: notes.expected.clone(),
            actual: notes.actual.clone(),
            ..Atom::default()
        };
        let stage = self.stages().into_iter().find(|stage| stage.outcome == Stopped);
        let stage = stage.map_or_else(String::new, |stage| stage.stage);
        Some(NearMiss {
            policy: format!("route {} {stage}", route.unwrap_or("-")),
            failed: vec![atom],
            ..NearMiss::default()
        })
    }

    /// Where the request came and where it ended.
    fn stages(&self) -> Vec<Stage> {
        let found = self.rejection.code() != ReasonCode::RouteNotFound;
        match &self.at.route {
            Some(route) => self.stages_of(route),
            None if found => vec![self.stop(always::REQUEST), Stage::new(always::ROUTE, NotReached)],
            None => vec![Stage::new(always::REQUEST, Passed), self.stop(always::ROUTE)],
        }
    }

    fn stages_of(&self, route: &Route) -> Vec<Stage> {
        let mut stages = vec![Stage::new(always::REQUEST, Passed), Stage::new(always::ROUTE, Passed)];
        let progress = self.rejection.progress();
        for (index, stage) in route.stages.iter().enumerate() {
            let name = stage.kind.name();
            let shown = match progress {
                Some(progress) if progress.has_skipped(index) => Stage::new(name, Skipped),
                Some(progress) if index == progress.at => self.stop(name),
                Some(progress) if index > progress.at => Stage::new(name, NotReached),
                Some(_) | None => Stage::new(name, Passed),
            };
            let when = stage.when.as_ref().map(|when| when.source().to_owned());
            stages.push(Stage { when, ..shown });
        }
        let passed_all = progress.is_some_and(|progress| progress.at >= route.stages.iter().len());
        stages.extend(match (progress, passed_all) {
            (None, _) => [Stage::new(always::ADMIT, Passed), self.stop(always::FORWARD)],
            (Some(_), true) => [self.stop(always::ADMIT), Stage::new(always::FORWARD, NotReached)],
            (Some(_), false) => [always::ADMIT, always::FORWARD].map(|name| Stage::new(name, NotReached)),
        });
        stages
    }

    /// The stage that ended the request.
    fn stop(&self, name: &str) -> Stage {
        let Notes { detail, expected, actual } = self.rejection.notes().cloned().unwrap_or_default();
        let detail = detail.or_else(|| Some(self.rejection.code().advice().to_owned()));
        Stage { detail, expected, actual, ..Stage::new(name, Stopped) }
    }
}

/// What an operator may see of a verified token.
fn token(caller: &VerifiedCaller) -> Value {
    let claims = caller.token().claims();
    json!({
        "hash": caller.token().hash().to_string(),
        "issuer": caller.issuer_name(),
        "subject": claims.subject.as_str(),
        "client_id": claims.client_id,
        "audiences": claims.audiences,
        "scopes": claims.scopes,
        "expires_at": claims.expires_at,
        "bound": claims.confirmation.is_some(),
    })
}
