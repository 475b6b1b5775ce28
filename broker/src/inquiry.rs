//! What policies are asked about a request: each scope is one question.
//! Not here: the answers.

use std::sync::Arc;

use symbolon_identity::{Scopes, Timestamp};
use symbolon_policies::{Action, Context, Question};

use crate::attest::Attested;
use crate::grants::TokenRequest;
use crate::groups::Groups;
use crate::presented::Presented;
use crate::proofs::ProvedKey;
use crate::refusal::Refusal;
use crate::resources::{Resource, Resources};

/// Puts requests into questions.
#[derive(Debug)]
pub(crate) struct Inquirer {
    pub(crate) resources: Resources,
    pub(crate) groups: Groups,
}

/// A caller that was attested, and the key that it holds now.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) attested: Attested,
    pub(crate) key: Option<ProvedKey>,
}

/// All questions about one request, and what they are about.
#[derive(Debug)]
pub(crate) struct Inquiry {
    resource: Arc<Resource>,
    scopes: Scopes,
    questions: Vec<Question>,
}

impl Inquirer {
    /// The questions about a request.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such resource or scope, if the resource demands a key that was not proved, or if
    /// the caller's groups cannot be told.
    pub(crate) fn about(
        &self,
        caller: &Caller,
        request: &TokenRequest,
        presented: &Presented,
        now: Timestamp,
    ) -> Result<Inquiry, Refusal> {
        let resource = self.resources.find(&request.target)?;
        let scopes = resource.scopes(request.scopes.as_ref())?;
        if resource.needs_key() && caller.key.is_none() {
            return Err(Refusal::ProofMissing);
        }
        let principal = caller.attested.principal(self.groups.of(&caller.attested)?);
        let context = Context {
            now,
            source_ip: presented.source,
            evidence_age: caller.attested.age(),
            key_bound: caller.key.is_some(),
        };
        let question = |scope| Question {
            principal: principal.clone(),
            action: Action::Issue { resource: resource.policy.clone(), scope },
            context: context.clone(),
        };
        let questions = if scopes.is_empty() {
            vec![question(None)]
        } else {
            scopes.iter().map(|scope| question(Some(scope.clone()))).collect()
        };
        Ok(Inquiry { resource, scopes, questions })
    }
}

impl Inquiry {
    /// The questions, at least one.
    pub(crate) fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// The resource that was asked for.
    pub(crate) fn resource(&self) -> &Resource {
        &self.resource
    }

    /// The scopes that were asked for, with defaults filled in.
    pub(crate) fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    pub(crate) fn into_parts(self) -> (Arc<Resource>, Scopes) {
        (self.resource, self.scopes)
    }
}
