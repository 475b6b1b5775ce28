//! `authorize`: may this verified caller make this request? Asked of Cedar policies, action `call`.
//! Not here: the policies (`policies.rs`), and explaining an answer (`decisions/explained.rs`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use symbolon_identity::{ReasonCode, RouteName, Timestamp};
use symbolon_policies::{Action, Context, Denial, Permit, Question, RequestFacts};

use crate::caller::{Asker, VerifiedCaller};
use crate::config::{AuthorizeConfig, Findings};
use crate::plan::StagePlace;
use crate::policies::{PolicyFolder, PolicyFolders};
use crate::rejection::Rejection;
use crate::request::RequestView;

/// The stage, finished.
#[derive(Debug)]
pub struct Authorize {
    policies: Arc<PolicyFolder>,
    route: RouteName,
}

/// A question that was denied, to be explained later.
#[derive(Debug, Clone)]
pub struct Denied {
    /// The folder that was asked.
    pub folder: PathBuf,
    /// The content of the set that answered.
    pub policy_set: Arc<str>,
    /// What was asked.
    pub question: Question,
    /// What was answered.
    pub denial: Denial,
}

impl Authorize {
    /// The stage as it is written.
    pub(crate) fn plan(
        authorize: &AuthorizeConfig,
        place: &StagePlace<'_>,
        folders: &mut PolicyFolders,
        findings: &mut Findings,
    ) -> Option<Self> {
        let path = format!("{}.authorize.policies", place.path);
        let policies = folders.get(&authorize.policies, &path, findings)?;
        Some(Self { policies, route: place.route.name.clone() })
    }

    /// Asks about one request of a verified caller.
    ///
    /// # Errors
    /// `denied`, with the question; also if a `forbid` could not be evaluated.
    pub fn ask(
        &self,
        caller: &VerifiedCaller,
        request: &RequestView<'_>,
        now: Timestamp,
    ) -> Result<Permit, Rejection> {
        let current = self.policies.current();
        let question = self.question(caller, request, now);
        current.set.decide(&question).into_result().map_err(|denial| {
            let policy_set = Arc::clone(&current.fingerprint);
            let because = denial.to_string();
            let denied = Denied { folder: self.folder().to_owned(), policy_set, question, denial };
            Rejection::new(ReasonCode::Denied).because(because).by_policy(denied)
        })
    }

    /// Where the policies are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.policies.path()
    }

    fn question(&self, caller: &VerifiedCaller, request: &RequestView<'_>, now: Timestamp) -> Question {
        let Asker { principal, token } = caller.asker();
        let request_facts = RequestFacts {
            method: request.method.as_str().to_owned(),
            path: request.path.judged().into_owned(),
            host: request.host().into_owned(),
        };
        Question {
            principal: principal.clone(),
            action: Action::Call { route: self.route.clone(), request: request_facts, token: token.clone() },
            context: Context {
                source_ip: request.source(),
                // INVARIANT: `verify` let a bound token pass only with the proof of its key.
                key_bound: caller.token().claims().confirmation.is_some(),
                local: self.policies.local_times().at(now),
                ..Context::at(now)
            },
        }
    }
}
