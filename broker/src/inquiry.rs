//! What policies are asked about a request: each scope of each target is one question.
//! Not here: the answers.

use std::sync::Arc;

use symbolon_identity::{Scope, Scopes, Timestamp};
use symbolon_policies::{Action, Context, LocalTimes, Principal, Question};

use crate::attest::Attested;
use crate::config::ExchangeMode;
use crate::grants::TokenRequest;
use crate::groups::Groups;
use crate::presented::Presented;
use crate::proofs::ProvedKey;
use crate::refusal::{Party, Refusal};
use crate::resources::{Resource, Resources};
use crate::subject::{PassedOn, VerifiedSubject};

/// Puts requests into questions.
#[derive(Debug)]
pub(crate) struct Inquirer {
    pub(crate) resources: Arc<Resources>,
    pub(crate) groups: Groups,
    pub(crate) local_times: LocalTimes,
    /// The most targets of one token.
    pub(crate) most_targets: usize,
}

/// A caller that was attested, and the key that it holds now.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) attested: Attested,
    pub(crate) key: Option<ProvedKey>,
}

/// A request with what was proven about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) subject: &'a VerifiedSubject,
    pub(crate) request: &'a TokenRequest,
    pub(crate) presented: &'a Presented,
    pub(crate) now: Timestamp,
}

/// All questions about one request, and what they are about.
#[derive(Debug)]
pub(crate) struct Inquiry {
    resources: Vec<Arc<Resource>>,
    scopes: Scopes,
    questions: Vec<Question>,
    operated: Vec<(Party, Vec<Question>)>,
}

/// One target with its share of the scopes.
#[derive(Debug)]
struct Share {
    resource: Arc<Resource>,
    scopes: Scopes,
}

impl Inquirer {
    /// The questions about a request.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such resource or scope, if a resource demands a key that was not proved, or if the
    /// caller's groups cannot be told.
    pub(crate) fn about(&self, asked: &Asked<'_>) -> Result<Inquiry, Refusal> {
        let shares = self.shares(asked)?;
        let needs_key = shares.iter().any(|share| share.resource.needs_key());
        if needs_key && asked.caller.key.is_none() {
            return Err(Refusal::ProofMissing);
        }
        let mold = self.mold(asked.caller, asked.presented, asked.now)?;
        let (passed_on, mut questions) = (asked.subject.passed_on(), Vec::new());
        for share in &shares {
            let ask = |scope| mold.question(action(&share.resource, scope, passed_on));
            if share.scopes.is_empty() {
                questions.push(ask(None));
            } else {
                questions.extend(share.scopes.iter().map(|scope| ask(Some(scope.clone()))));
            }
        }
        let operates =
            |resource: &Arc<Resource>| mold.question(Action::Operate { resource: resource.policy.clone() });
        let addressed = passed_on.map(|passed_on| passed_on.addressed_to.as_slice()).unwrap_or_default();
        Ok(Inquiry {
            scopes: shares.iter().flat_map(|share| share.scopes.iter().cloned()).collect(),
            resources: shares.into_iter().map(|share| share.resource).collect(),
            questions,
            operated: addressed
                .iter()
                .map(|(party, resources)| (*party, resources.iter().map(operates).collect()))
                .collect(),
        })
    }

    /// Whether the caller operates one of these resources: one question each.
    ///
    /// # Errors
    /// [`Refusal`] if the caller's groups cannot be told.
    pub(crate) fn operates(
        &self,
        caller: &Caller,
        resources: &[Arc<Resource>],
        presented: &Presented,
        now: Timestamp,
    ) -> Result<Vec<Question>, Refusal> {
        let mold = self.mold(caller, presented, now)?;
        let ask =
            |resource: &Arc<Resource>| mold.question(Action::Operate { resource: resource.policy.clone() });
        Ok(resources.iter().map(ask).collect())
    }

    fn mold(&self, caller: &Caller, presented: &Presented, now: Timestamp) -> Result<Mold, Refusal> {
        Ok(Mold {
            principal: Principal::from(caller.attested.principal(self.groups.of(&caller.attested)?)),
            context: Context {
                now,
                source_ip: presented.source,
                evidence_age: caller.attested.age(),
                key_bound: caller.key.is_some(),
                key_changed: caller.attested.key_changed(),
                local: self.local_times.at(now),
            },
        })
    }

    /// The targets, all or none, each with its share of the scopes.
    fn shares(&self, asked: &Asked<'_>) -> Result<Vec<Share>, Refusal> {
        let request = asked.request;
        if request.targets.len() > self.most_targets {
            return Err(Refusal::InvalidTarget("one of more than one token may be for"));
        }
        let mut resources: Vec<Arc<Resource>> = Vec::with_capacity(request.targets.len());
        for target in &request.targets {
            let resource = self.resources.find(target)?;
            if !resources.iter().any(|named| named.audience == resource.audience) {
                resources.push(resource);
            }
        }
        // What one token says about its actors it says to all that it is for.
        if resources.windows(2).any(|pair| matches!(pair, [one, other] if one.exchange != other.exchange)) {
            return Err(Refusal::InvalidTarget("one of several that differ in `exchange`"));
        }
        if resources.windows(2).any(|pair| matches!(pair, [one, other] if one.algorithm != other.algorithm)) {
            return Err(Refusal::InvalidTarget("one of several that differ in `algorithm`"));
        }
        if let Some(requested) = &request.scopes {
            let is_offered = |scope| resources.iter().any(|resource| resource.offered.contains(scope));
            if !requested.iter().all(is_offered) {
                return Err(Refusal::InvalidScope("not offered by the resource"));
            }
        }
        let share = |resource: Arc<Resource>| {
            let scopes = share(&resource, request.scopes.as_ref(), asked.subject.passed_on())?;
            Ok::<Share, Refusal>(Share { resource, scopes })
        };
        let shares = resources.into_iter().map(share).collect::<Result<Vec<_>, _>>()?;
        // SECURITY: a token says its scopes to all that it is for, so that what is granted for one must not be a scope of
        // another for which it was not asked.
        let is_more = |share: &Share| {
            let others = shares.iter().flat_map(|share| share.scopes.iter());
            others
                .into_iter()
                .any(|scope| share.resource.offered.contains(scope) && !share.scopes.contains(scope))
        };
        if shares.iter().any(is_more) {
            return Err(Refusal::InvalidScope("not the same by default for all targets; name the scopes"));
        }
        Ok(shares)
    }
}

/// The scopes that a request means for one resource. For the resource that the subject's token is for, an exchange
/// can only narrow.
fn share(
    resource: &Resource,
    requested: Option<&Scopes>,
    passed_on: Option<&PassedOn>,
) -> Result<Scopes, Refusal> {
    let same = passed_on.filter(|passed_on| passed_on.facts.audiences.contains(resource.audience.as_str()));
    let offered =
        |scopes: &Scopes| scopes.iter().filter(|scope| resource.offered.contains(scope)).cloned().collect();
    match (requested, same) {
        (None, None) => resource.default_scopes().cloned(),
        (None, Some(same)) => Ok(offered(&same.facts.scopes)),
        (Some(requested), None) => Ok(offered(requested)),
        (Some(requested), Some(same)) => {
            let share: Scopes = offered(requested);
            if share.is_subset_of(&same.facts.scopes) { Ok(share) } else { Err(Refusal::ScopeExceedsSubject) }
        }
    }
}

fn action(resource: &Resource, scope: Option<Scope>, passed_on: Option<&PassedOn>) -> Action {
    let target = resource.policy.clone();
    let Some(passed_on) = passed_on else { return Action::Issue { resource: target, scope } };
    let (subject, actors) = (passed_on.facts.clone(), passed_on.earlier_ids());
    match resource.exchange {
        ExchangeMode::Delegate => Action::Exchange { resource: target, scope, subject, actors },
        ExchangeMode::Impersonate => Action::Impersonate { resource: target, scope, subject, actors },
    }
}

/// What all questions about one request have in common.
#[derive(Debug)]
struct Mold {
    principal: Principal,
    context: Context,
}

impl Mold {
    fn question(&self, action: Action) -> Question {
        Question { principal: self.principal.clone(), action, context: self.context.clone() }
    }
}

impl Inquiry {
    /// The questions, at least one; all must be permitted.
    pub(crate) fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// Whose token is addressed to resources: for each, one of the questions must be permitted.
    pub(crate) fn operated(&self) -> &[(Party, Vec<Question>)] {
        &self.operated
    }

    /// The resources that were asked for, at least one.
    pub(crate) fn resources(&self) -> &[Arc<Resource>] {
        &self.resources
    }

    /// The scopes that were asked for, with defaults filled in.
    pub(crate) fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    pub(crate) fn into_parts(self) -> (Vec<Arc<Resource>>, Scopes) {
        (self.resources, self.scopes)
    }
}
