//! The stages of a route, in an order that makes sense.
//! Not here: what a stage of one kind means, which is beside the stage.

use crate::config::{Findings, GatewayConfig, RouteConfig, StageConfig};
use crate::policies::PolicyFolders;
use crate::routes::Place;
use crate::stages::authorize::Authorize;
use crate::stages::verify::VerifyRule;
use crate::stages::when::{Language, RouteFacts};
use crate::stages::{Kind, MOST, Stage, Stages};

/// Plans the stages of one route.
pub(super) struct StagePlanner<'a> {
    pub(super) config: &'a GatewayConfig,
    pub(super) route: &'a RouteConfig,
    pub(super) route_path: &'a str,
    pub(super) matched: Option<&'a Place>,
    pub(super) language: &'a Language,
}

/// Where a stage stands: what a stage may look at while it is planned.
pub(crate) struct StagePlace<'a> {
    /// The whole configuration.
    pub(crate) config: &'a GatewayConfig,
    /// Its route.
    pub(crate) route: &'a RouteConfig,
    /// The path of its route in the configuration.
    pub(crate) route_path: &'a str,
    /// Which requests the route answers.
    pub(crate) matched: Option<&'a Place>,
    /// Its own path in the configuration.
    pub(crate) path: String,
}

/// The stages so far.
struct Row<'f> {
    stages: Vec<Stage>,
    folders: &'f mut PolicyFolders,
    /// Whether a `verify` stands in it.
    verifies: bool,
    /// Whether one of them applies to every request.
    verifies_always: bool,
}

impl<'a> StagePlanner<'a> {
    /// The finished stages: those of all routes, then the route's own.
    pub(super) fn plan(&self, folders: &mut PolicyFolders, findings: &mut Findings) -> Option<Stages> {
        let shared =
            self.config.stages.iter().enumerate().map(|(index, stage)| (format!("stages[{index}]"), stage));
        let own = self.route.stages.iter().enumerate();
        let own = own.map(|(index, stage)| (format!("{}.stages[{index}]", self.route_path), stage));
        let mut row = Row { stages: Vec::new(), folders, verifies: false, verifies_always: false };
        let mut complete = true;
        for (number, (path, stage)) in shared.chain(own).enumerate() {
            if number >= MOST {
                findings.add(&path, format!("a route has at most {MOST} stages"));
                return None;
            }
            complete &= self.add(&mut row, path, stage, findings).is_some();
        }
        if !row.verifies && complete && !self.route.public {
            let message = "no `verify` stage: every request would be refused; add one or say `public: true`";
            findings.add(self.route_path, message);
            return None;
        }
        let conditions = row.stages.iter().filter_map(|stage| stage.when.as_ref());
        let facts = RouteFacts::of(&self.route.name, conditions);
        complete.then(|| Stages::new(row.stages, facts))
    }

    fn add(
        &self,
        row: &mut Row<'_>,
        path: String,
        stage: &'a StageConfig,
        findings: &mut Findings,
    ) -> Option<()> {
        let when = stage.when.as_ref().map(|source| {
            let compiled = self.language.compile(source, row.verifies);
            findings.keep(&format!("{path}.when"), compiled)
        });
        let place = StagePlace {
            config: self.config,
            route: self.route,
            route_path: self.route_path,
            matched: self.matched,
            path,
        };
        let kind = match stage {
            StageConfig { verify: Some(verify), authorize: None, .. } => {
                row.note_verify(stage.when.is_some(), &place, findings);
                VerifyRule::plan(verify, &place, findings).map(|rule| Kind::Verify(Box::new(rule)))
            }
            StageConfig { verify: None, authorize: Some(authorize), .. } => {
                row.note_authorize(self, &place, findings);
                Authorize::plan(authorize, &place, row.folders, findings).map(Kind::Authorize)
            }
            StageConfig { .. } => {
                findings.add(&place.path, "a stage has exactly one of `verify` and `authorize`");
                None
            }
        };
        let when = when.map_or(Some(None), |compiled| compiled.map(Some))?;
        let stage = Stage { kind: kind?, when };
        self.look_at(&stage, &place.path, row, findings);
        row.stages.push(stage);
        Some(())
    }

    /// What is valid about a condition and deserves a look.
    fn look_at(&self, stage: &Stage, path: &str, row: &Row<'_>, findings: &mut Findings) {
        let Some(when) = &stage.when else { return };
        let path = format!("{path}.when");
        match when.constant() {
            Some(Some(true)) => findings.warn(&path, "always true: leave it out"),
            Some(Some(false)) => findings.warn(&path, "never true: this stage is never reached"),
            Some(None) => findings.warn(&path, "never has a result: every request is refused here"),
            None => {}
        }
        if when.needs_token() && (self.route.public || !row.verifies_always) {
            let message = "a request may come here unverified, and is then refused (`condition_error`); ask                            `has(token.sub)` first";
            findings.warn(&path, message);
        }
        let skipping_opens = match &stage.kind {
            // Without it a request is refused at the end, unless the route is public or another one verifies.
            Kind::Authorize(_) => true,
            Kind::Verify(_) => {
                self.route.public || row.stages.iter().any(|stage| matches!(stage.kind, Kind::Verify(_)))
            }
        };
        let words: Vec<_> = when.clients_words().collect();
        if skipping_opens && !words.is_empty() {
            let message = format!(
                "the client decides by `request.{}` whether this stage protects anything",
                words.join("`, `request.")
            );
            findings.warn(&path, message);
        }
    }
}

impl Row<'_> {
    fn note_verify(&mut self, conditional: bool, place: &StagePlace<'_>, findings: &mut Findings) {
        if self.verifies_always && !conditional {
            findings.add(&place.path, "a route verifies once, or each time with a `when` of its own");
        }
        self.verifies = true;
        self.verifies_always |= !conditional;
    }
    fn note_authorize(&self, planner: &StagePlanner<'_>, place: &StagePlace<'_>, findings: &mut Findings) {
        if !self.verifies {
            let message = "`authorize` asks about a verified caller: put a `verify` before it";
            findings.add(&place.path, message);
        }
        if planner.config.issuers.iter().all(|issuer| issuer.trust_domain.is_none()) {
            let message = "no issuer has a `trust_domain`: to these policies every caller is a `User`, none a `Workload`";
            findings.warn(&place.path, message);
        }
    }
}
