//! The record before the answer: nothing leaves the token endpoint that was not put on record first.
//! Not here: how the store keeps it. An [`Audited`] is made here and nowhere else.

use std::net::IpAddr;

use symbolon_audit::{RefusalCounters, Repeated, Repeats};
use symbolon_identity::{DecisionId, ReasonCode, Timestamp};
use symbolon_wire::{TokenAnswer, TokenType};

use crate::metrics::TokenMetrics;
use crate::mint::Minted;
use crate::presented::Presented;
use crate::record::Receipt;
use crate::refusal::Refusal;
use crate::routes::error::face;
use crate::store::{Conflict, Entry, Keep, Ledger, LedgerError, Verdict};
use crate::unrecorded::{Stranger, Unrecorded};

/// Puts outcomes on record.
#[derive(Debug)]
pub(crate) struct Audit {
    pub(crate) ledger: Ledger,
    pub(crate) strangers: std::sync::Arc<RefusalCounters>,
    pub(crate) repeats: std::sync::Arc<Repeats>,
    pub(crate) unrecorded: std::sync::Arc<Unrecorded>,
    pub(crate) metrics: TokenMetrics,
}

/// A token that was made, with what has to be on record before it is given.
#[derive(Debug)]
pub(crate) struct Issued {
    minted: Minted,
    receipt: Box<Receipt>,
}

/// A refusal, with what has to be on record if the caller was attested.
#[derive(Debug)]
pub(crate) struct Refused {
    refusal: Refusal,
    whom: Whom,
}

#[derive(Debug)]
enum Whom {
    /// Anybody: counted, not recorded, so that garbage can neither fill the disk nor stop the fleet.
    Stranger { id: DecisionId, source: Option<IpAddr>, now: Timestamp },
    /// Somebody who was attested: recorded.
    Caller(Box<Receipt>),
}

/// An answer that is on record, in the same commit as what it used up. The token route answers with nothing else.
#[derive(Debug)]
pub(crate) struct Audited {
    id: DecisionId,
    answer: Result<TokenAnswer, Refusal>,
}

/// Why an answer is not on record; it is then not given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    /// The random generator fails.
    #[error("no decision id can be made")]
    NoId(#[source] symbolon_jws::CryptoError),
    /// The store does not take it.
    #[error("decision `{id}` is not on record")]
    NotRecorded {
        /// The id that it would have had.
        id: DecisionId,
        /// Why.
        #[source]
        source: LedgerError,
    },
}

impl Issued {
    /// A token and its receipt.
    pub(crate) fn new(minted: Minted, mut receipt: Receipt) -> Self {
        receipt.issue(&minted);
        Self { minted, receipt: Box::new(receipt) }
    }
}

impl Refused {
    /// A refusal before anybody was attested.
    pub(crate) fn stranger(presented: &Presented, refusal: Refusal, now: Timestamp) -> Self {
        Self::at_the_door(presented.id.clone(), presented.source, refusal, now)
    }

    /// A refusal before the request was looked at.
    pub(crate) fn at_the_door(
        id: DecisionId,
        source: Option<IpAddr>,
        refusal: Refusal,
        now: Timestamp,
    ) -> Self {
        Self { refusal, whom: Whom::Stranger { id, source, now } }
    }

    /// A refusal of an attested caller.
    pub(crate) fn caller(refusal: Refusal, mut receipt: Receipt) -> Self {
        receipt.refuse(&refusal, face(&refusal).reason);
        Self { refusal, whom: Whom::Caller(Box::new(receipt)) }
    }
}

impl Audit {
    /// Puts an outcome on record. What it uses up may turn out to be used already; then the answer is a refusal.
    ///
    /// # Errors
    /// [`AuditError`] if it is not on record.
    pub(crate) async fn record(&self, outcome: Result<Issued, Refused>) -> Result<Audited, AuditError> {
        let (receipt, answer) = match outcome {
            Ok(Issued { minted, receipt }) => (receipt, Ok(answer_of(&minted))),
            Err(Refused { refusal, whom: Whom::Caller(receipt) }) => (receipt, Err(refusal)),
            Err(Refused { refusal, whom: Whom::Stranger { id, source, now } }) => {
                return Ok(self.count(id, source, refusal, now));
            }
        };
        let Receipt { record, uses } = *receipt;
        let id = record.id.clone();
        let workload = record.caller.id.clone();
        let shadow = record.shadow.clone();
        self.metrics.count_failed(&record.failed_policies);
        let whom = record.repeated();
        let keep = self.keep(&whom, record.reason);
        let repeated = (keep != Keep::ALL).then(|| record.clone());
        let entry = if keep == Keep::ALL {
            Entry::Decision { uses, record: Box::new(record) }
        } else {
            Entry::Repeated { uses, record: Box::new(record), keep }
        };
        let (answer, is_recorded) = match self.ledger.record(entry).await {
            Ok(Verdict::Recorded) => (answer, keep.as_meant),
            Ok(Verdict::Conflict(conflict)) => (Err(Refusal::Conflict(conflict)), keep.as_conflict),
            Err(source) => return Err(AuditError::NotRecorded { id, source }),
        };
        if let (false, Some(mut record)) = (is_recorded, repeated) {
            if let Err(Refusal::Conflict(conflict)) = &answer {
                record.refuse(conflict.reason(), conflict.stage());
            }
            self.unrecorded.keep_caller(record);
        }
        let reason = answer.as_ref().err().map(|refusal| face(refusal).reason);
        if let Some(reason) = reason {
            self.repeats.count(&whom, reason, is_recorded);
        }
        if let Some(reason) = reason.filter(|reason| is_alarming(*reason)) {
            tracing::warn!(
                event.name = "evidence.conflict", reason = reason.as_str(), decision.id = %id, %workload,
                "evidence or a proof was presented again, or with another key"
            );
        }
        self.metrics.count(reason);
        if let Some(shadow) = &shadow {
            self.metrics.count_shadow(shadow);
        }
        Ok(Audited { id, answer })
    }

    /// What of a decision is put on record: a token always is, a refusal unless the caller got it many times just now.
    fn keep(&self, whom: &Repeated, reason: Option<ReasonCode>) -> Keep {
        let enough = |reason| self.repeats.are_enough(whom, reason);
        Keep {
            as_meant: !reason.is_some_and(enough),
            as_conflict: !Conflict::ALL.iter().any(|conflict| enough(conflict.reason())),
        }
    }

    fn count(&self, id: DecisionId, source: Option<IpAddr>, refusal: Refusal, now: Timestamp) -> Audited {
        let reason: ReasonCode = face(&refusal).reason;
        self.strangers.count(reason, source, now);
        self.metrics.count(Some(reason));
        let detail = crate::error_chain(&refusal);
        tracing::debug!(event.name = "token.turned_away", reason = reason.as_str(), decision.id = %id, detail, "refused");
        self.unrecorded.keep_stranger(Stranger::new(id.clone(), source, &refusal, now));
        Audited { id, answer: Err(refusal) }
    }
}

impl Audited {
    /// The id of the decision.
    pub(crate) fn id(&self) -> &DecisionId {
        &self.id
    }

    /// What to answer.
    pub(crate) fn answer(&self) -> Result<&TokenAnswer, &Refusal> {
        self.answer.as_ref()
    }
}

/// Whether a refusal of an attested caller is a sign that evidence or a proof was stolen.
pub(crate) const fn is_alarming(reason: ReasonCode) -> bool {
    matches!(
        reason,
        ReasonCode::EvidenceKeyMismatch | ReasonCode::EvidenceReplayed | ReasonCode::ProofReplayed
    )
}

fn answer_of(minted: &Minted) -> TokenAnswer {
    TokenAnswer {
        access_token: minted.token.expose().to_owned().into(),
        token_type: if minted.is_bound { TokenType::Dpop } else { TokenType::Bearer },
        expires_in: minted.lifetime.as_secs(),
        scope: minted.scopes.as_str().to_owned(),
        issued_token_type: minted.kind.map(|kind| kind.as_str().to_owned()),
    }
}
