//! What is put on record about a decision on an attested caller.
//! Not here: refusals of strangers, which are counted, and where records are kept.

use serde::{Deserialize, Serialize};
use symbolon_audit::{Actor, Event, Record, Repeated, Token};
use symbolon_identity::{DecisionId, ReasonCode, ResourceName, Scopes, Timestamp, TokenId};
use symbolon_jws::Thumbprint;
use symbolon_policies::{Denial, PolicyId, Question, Shadow, Workload};
use symbolon_wire::Outcome;

use crate::attest::Method;
use crate::grants::{Target, TokenRequest};
use crate::inquiry::{Caller, Inquiry};
use crate::mint::{Minted, TokenNote};
use crate::policies::FailedPolicy;
use crate::presented::Presented;
use crate::proofs::ProvedKey;
use crate::refusal::{Refusal, StageName};
use crate::store::Use;
use crate::subject::VerifiedSubject;

/// A decision with the questions it answered, so that it can be explained later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DecisionRecord {
    /// Its id.
    pub(crate) id: DecisionId,
    /// When.
    pub(crate) time: Timestamp,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Why, unless it was allowed.
    pub(crate) reason: Option<ReasonCode>,
    /// The stage at which it ended, unless it was allowed. Older records lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stage: Option<StageName>,
    /// One sentence for operators.
    pub(crate) detail: Option<String>,
    /// Who asked, with all that was attested.
    pub(crate) caller: Workload,
    /// How it was attested.
    pub(crate) method: Method,
    /// The key that was proved.
    pub(crate) key: Option<Thumbprint>,
    /// The address that it came from; none on the Unix socket.
    pub(crate) source: Option<std::net::IpAddr>,
    /// The target as the caller named it.
    pub(crate) target: String,
    /// The resources, if there are some of that name.
    #[serde(default)]
    pub(crate) resources: Vec<ResourceName>,
    /// On whose behalf, if it was an exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) exchange: Option<ExchangeNote>,
    /// The scopes that were asked for, with defaults filled in.
    pub(crate) scopes: Scopes,
    /// The policies that decided.
    pub(crate) policies: Vec<PolicyId>,
    /// The policies that could not be evaluated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) failed_policies: Vec<FailedPolicy>,
    /// The content of the policy set that was asked.
    pub(crate) policy_set: Option<String>,
    /// What policies in shadow mode would have changed.
    pub(crate) shadow: Option<Shadow>,
    /// What it was asked.
    pub(crate) questions: Vec<Question>,
    /// The token, if one was issued.
    pub(crate) token: Option<TokenNote>,
}

/// What a record says about an exchange: never a token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExchangeNote {
    /// The issuer of the subject's token.
    pub(crate) issuer: String,
    /// The subject, as our tokens name it.
    pub(crate) subject: String,
    /// The actors that its token named, newest first.
    pub(crate) actors: Vec<String>,
    /// The token at the root of the chain.
    pub(crate) lineage: TokenId,
}

/// A record that is being written while a request is judged, with what the answer will use up.
#[derive(Debug)]
pub(crate) struct Receipt {
    pub(crate) record: DecisionRecord,
    pub(crate) uses: Vec<Use>,
}

impl Receipt {
    /// Begins when a caller has been attested: from here on each answer is put on record.
    pub(crate) fn open(
        caller: &Caller,
        request: &TokenRequest,
        presented: &Presented,
        now: Timestamp,
    ) -> Self {
        let Caller { attested, key } = caller;
        let uses = attested.uses().iter().cloned().chain(key.as_ref().map(ProvedKey::once)).collect();
        let record = DecisionRecord {
            id: presented.id.clone(),
            time: now,
            outcome: Outcome::Refused,
            reason: None,
            stage: None,
            detail: None,
            caller: attested.principal(std::collections::BTreeSet::new()),
            method: attested.method(),
            key: key.as_ref().map(ProvedKey::thumbprint),
            source: presented.source,
            target: request.targets.iter().map(Target::as_str).collect::<Vec<_>>().join(" "),
            resources: Vec::new(),
            exchange: None,
            scopes: request.scopes.clone().unwrap_or_default(),
            policies: Vec::new(),
            failed_policies: Vec::new(),
            policy_set: None,
            shadow: None,
            questions: Vec::new(),
            token: None,
        };
        Self { record, uses }
    }

    /// Notes what policies are asked.
    pub(crate) fn ask(&mut self, inquiry: &Inquiry, policy_set: &str) {
        self.record.resources =
            inquiry.resources().iter().map(|resource| resource.policy.name.clone()).collect();
        self.record.scopes = inquiry.scopes().clone();
        let operated = inquiry.operated().iter().flat_map(|(_, questions)| questions);
        self.record.questions = inquiry.questions().iter().chain(operated).cloned().collect();
        self.record.policy_set = Some(policy_set.to_owned());
        if let Some(caller) = inquiry.questions().first().and_then(|question| question.principal.workload()) {
            self.record.caller = caller.clone();
        }
    }

    /// Notes on whose behalf a token is wanted.
    pub(crate) fn behalf(&mut self, subject: &VerifiedSubject) {
        self.record.exchange = subject.passed_on().map(|passed_on| ExchangeNote {
            issuer: passed_on.facts.issuer.clone(),
            subject: passed_on.facts.id.clone(),
            actors: passed_on.earlier_ids(),
            lineage: passed_on.lineage.clone(),
        });
    }

    /// Notes the token.
    pub(crate) fn issue(&mut self, minted: &Minted) {
        self.record.outcome = Outcome::Allowed;
        self.record.policies.clone_from(&minted.policies);
        self.record.token = Some(minted.note.clone());
    }

    /// Notes the refusal.
    pub(crate) fn refuse(&mut self, refusal: &Refusal, reason: ReasonCode) {
        self.record.refuse(reason, refusal.stage());
        self.record.detail = Some(crate::error_chain(refusal));
        if let Some(denial) = refusal.denial() {
            self.record.deny(denial);
        }
    }
}

/// The caller as the audit chain names it.
pub(crate) fn actor(caller: &Caller) -> Actor {
    let Caller { attested, key } = caller;
    Actor {
        id: attested.workload().as_str().to_owned(),
        provider: Some(attested.provider().as_str().to_owned()),
        method: Some(attested.method().as_str().to_owned()),
        key: key.as_ref().map(|key| key.thumbprint().to_string()),
        on_behalf_of: Vec::new(),
    }
}

impl DecisionRecord {
    /// Turns it into a refusal, whatever it was.
    pub(crate) fn refuse(&mut self, reason: ReasonCode, stage: StageName) {
        self.outcome = Outcome::Refused;
        self.reason = Some(reason);
        self.stage = Some(stage);
        self.detail = None;
        self.token = None;
        self.policies.clear();
    }

    /// What makes refusals alike, but for their reason: the caller, and of several resources the first.
    pub(crate) fn repeated(&self) -> Repeated {
        let whom = Repeated::by(self.caller.id.as_str(), self.time);
        whom.at_resource(self.resources.first().map(ResourceName::as_str))
    }

    /// The names of the resources, else what the caller named.
    pub(crate) fn target_name(&self) -> String {
        if self.resources.is_empty() {
            return self.target.clone();
        }
        self.resources.iter().map(ResourceName::as_str).collect::<Vec<_>>().join(" ")
    }

    fn deny(&mut self, denial: &Denial) {
        self.outcome = Outcome::Denied;
        self.policies = denial.policies().to_vec();
        self.shadow = denial.shadow().cloned();
    }

    /// The record as the audit chain keeps it: without the questions.
    pub(crate) fn audit_record(&self) -> Record {
        let (event, outcome) = match self.outcome {
            Outcome::Allowed => (Event::TokenIssued, symbolon_audit::Outcome::Success),
            Outcome::Denied | Outcome::Refused => (Event::TokenRefused, symbolon_audit::Outcome::Denied),
        };
        let mut record = Record::new(event, self.time, outcome);
        record.reason = self.reason;
        record.decision_id = Some(self.id.clone());
        record.actor = Some(Actor {
            id: self.caller.id.as_str().to_owned(),
            provider: Some(self.caller.provider.as_str().to_owned()),
            method: Some(self.method.as_str().to_owned()),
            key: self.key.map(|key| key.to_string()),
            on_behalf_of: self.exchange.iter().map(|exchange| exchange.subject.clone()).collect(),
        });
        record.target = Some(symbolon_audit::Target {
            resource: self.target_name(),
            route: None,
            scopes: self.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        });
        record.token = self.token.as_ref().map(|token| Token {
            id: token.id.as_str().to_owned(),
            expires_at: token.expires_at,
            bounded_by: Some(token.bounded_by.as_str().to_owned()),
            key: token.key.map(|key| key.to_string()),
        });
        record.policies = self.policies.iter().take(64).map(|policy| policy.as_str().to_owned()).collect();
        if let Some(shadow) = &self.shadow {
            record = record.with_detail("shadow", shadow.as_str());
        }
        if self.reason == Some(ReasonCode::EvidenceKeyMismatch) {
            record = record.with_detail("alarm", true);
        }
        record.source = Some(self.source.map_or_else(|| "unix".to_owned(), |source| source.to_string()));
        record
    }
}
