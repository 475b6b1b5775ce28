//! What goes on record: new callers and rejected callers one by one, strangers counted, off the request path.
//! Not here: the file and its chain (`symbolon-audit`).

use std::sync::Arc;
use std::time::Duration;

use symbolon_audit::{
    Actor, Event, FileSink, Outcome, Record, RefusalCount, RefusalCounters, Repeated, Repeats, Repetition,
    Target, Token,
};
use symbolon_identity::{ReasonCode, RouteName};
use symbolon_policies::{Permit, PolicyId};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::caller::VerifiedCaller;
use crate::clock::Now;
use crate::decisions::{Circumstances, Company, Recent, Rejected};
use crate::metrics::Metrics;
use crate::rejection;
use crate::stages::authorize::Denied;

/// Entries that wait for the file at most; then they are lost and counted.
const QUEUE: usize = 8_192;
/// Counters of strangers at one time.
const STRANGERS: usize = 4_096;
/// The most entries that are written in one go.
const BATCH: usize = 512;
/// How long entries gather before they are written, so that a busy gateway is not woken for each.
const GATHER: Duration = Duration::from_millis(20);
/// The most policies that one record names.
const MOST_POLICIES: usize = 64;
const TICK: Duration = Duration::from_secs(10);

/// Where the fronts report.
#[derive(Debug)]
pub struct Trail {
    ledger: Option<Ledger>,
    repeats: Arc<Repeats>,
    recent: Recent,
    metrics: Metrics,
}

/// The way to the audit file, if there is one.
#[derive(Debug)]
struct Ledger {
    queue: mpsc::Sender<Entry>,
    strangers: Arc<RefusalCounters>,
}

/// What happened; it becomes a record when it is written, not while a request waits.
#[derive(Debug)]
enum Entry {
    /// A caller was decided about.
    Caller { caller: Arc<VerifiedCaller>, at: Circumstances, verdict: Verdict, answer: Answer },
    /// Something happened to the program itself.
    Program(Box<Record>),
}

/// What was decided about a caller.
#[derive(Debug, Clone, Copy)]
enum Verdict {
    Admitted,
    /// An open stream goes on with this token.
    Renewed,
    Rejected(ReasonCode),
}

/// What policies said, if they were asked.
#[derive(Debug, Default)]
struct Answer {
    policies: Vec<PolicyId>,
    denied: Option<Arc<Denied>>,
}

/// The task that writes what was reported.
#[derive(Debug)]
pub struct Scribe {
    queue: mpsc::Receiver<Entry>,
    strangers: Arc<RefusalCounters>,
    repeats: Arc<Repeats>,
    sink: FileSink,
    metrics: Metrics,
    now: Now,
}

impl Trail {
    /// A trail that writes nothing; recent rejections can still be looked up.
    #[must_use]
    pub fn without_file(metrics: Metrics) -> Self {
        Self { ledger: None, repeats: Arc::default(), recent: Recent::default(), metrics }
    }

    /// A trail that leads to a file, and the task that writes it.
    #[must_use]
    pub fn to_file(sink: FileSink, metrics: Metrics, now: Now) -> (Self, Scribe) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let strangers = Arc::new(RefusalCounters::new(STRANGERS));
        let repeats = Arc::<Repeats>::default();
        let ledger = Some(Ledger { queue: sender, strangers: Arc::clone(&strangers) });
        let (recent, counted) = (Recent::default(), metrics.clone());
        let trail = Self { ledger, repeats: Arc::clone(&repeats), recent, metrics: counted };
        (trail, Scribe { queue, strangers, repeats, sink, metrics, now })
    }

    /// Reports a rejection: on record if the caller proved who it is and is not rejected for the same again and again,
    /// counted otherwise; kept for explaining in all cases.
    pub fn rejected(&self, rejected: Rejected) {
        let (code, at) = (rejected.rejection.code(), &rejected.at);
        self.metrics.rejected(code);
        let denied = rejected.rejection.denied();
        if let Some(shadow) = denied.and_then(|denied| denied.denial.shadow()) {
            self.metrics.shadowed(shadow);
        }
        let Some(caller) = rejected.rejection.proven_caller() else {
            if let Some(ledger) = &self.ledger {
                ledger.strangers.count(code, at.source, at.time);
            }
            self.recent.keep(rejected, Company::Crowd);
            return;
        };
        let route = at.route.as_ref().map(|route| route.name.as_str());
        let whom = Repeated::by(caller.id(), at.time).of(caller.issuer_name().as_str()).on_route(route);
        let is_recorded = !self.repeats.are_enough(&whom, code);
        self.repeats.count(&whom, code, is_recorded);
        if is_recorded && self.ledger.is_some() {
            let policies = denied.map(|denied| denied.denial.policies().to_vec()).unwrap_or_default();
            let answer = Answer { policies, denied: denied.cloned() };
            let (caller, at, verdict) = (Arc::clone(caller), at.clone(), Verdict::Rejected(code));
            self.enter(Entry::Caller { caller, at, verdict, answer });
        }
        self.recent.keep(rejected, if is_recorded { Company::Callers } else { Company::Crowd });
    }

    /// Reports a caller whose token opens a route for the first time, and what policies permitted.
    pub fn admitted(
        &self,
        caller: &Arc<VerifiedCaller>,
        permits: &[Permit],
        at: impl FnOnce() -> Circumstances,
    ) {
        self.passed(caller, permits, Verdict::Admitted, at);
    }

    /// Reports that an open stream of this route goes on with this caller's token, and what policies permitted. On record
    /// is the first one for each token.
    pub fn renewed(
        &self,
        caller: &Arc<VerifiedCaller>,
        permits: &[Permit],
        (route, at): (&RouteName, impl FnOnce() -> Circumstances),
    ) {
        self.metrics.renewed_streams.inc();
        if caller.is_first_renewal_on(route) {
            self.passed(caller, permits, Verdict::Renewed, at);
        }
    }

    fn passed(
        &self,
        caller: &Arc<VerifiedCaller>,
        permits: &[Permit],
        verdict: Verdict,
        at: impl FnOnce() -> Circumstances,
    ) {
        if self.ledger.is_some() {
            let policies = permits.iter().flat_map(Permit::policies).cloned().collect();
            let answer = Answer { policies, denied: None };
            self.enter(Entry::Caller { caller: Arc::clone(caller), at: at(), verdict, answer });
        }
    }

    /// Counts what policies in shadow mode would have decided otherwise about a request that was let through.
    pub fn permitted(&self, permits: &[Permit]) {
        permits.iter().filter_map(Permit::shadow).for_each(|shadow| self.metrics.shadowed(shadow));
    }

    /// Reports what happened to the program itself.
    pub fn report(&self, record: Record) {
        self.enter(Entry::Program(Box::new(record)));
    }

    fn enter(&self, entry: Entry) {
        if self.ledger.as_ref().is_some_and(|ledger| ledger.queue.try_send(entry).is_err()) {
            self.metrics.audit_lost.inc();
        }
    }

    /// The recent rejections.
    #[must_use]
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl Entry {
    fn record(self) -> Record {
        match self {
            Self::Program(record) => *record,
            Self::Caller { caller, at, verdict, answer } => {
                by_policy(of_caller(&caller, &at, verdict), &answer)
            }
        }
    }
}

/// The record with what policies said; the question itself is only kept for explaining.
fn by_policy(mut record: Record, answer: &Answer) -> Record {
    record.policies = answer.policies.iter().take(MOST_POLICIES).map(ToString::to_string).collect();
    match &answer.denied {
        Some(denied) => record
            .with_detail("denial", denied.denial.kind().as_str())
            .with_detail("policy_set", denied.policy_set.as_ref()),
        None => record,
    }
}

fn of_caller(caller: &VerifiedCaller, at: &Circumstances, verdict: Verdict) -> Record {
    let (event, outcome, reason) = match verdict {
        Verdict::Admitted => (Event::RequestAdmitted, Outcome::Success, None),
        Verdict::Renewed => (Event::StreamRenewed, Outcome::Success, None),
        Verdict::Rejected(code) if rejection::verdict(code).status.is_server_error() => {
            (Event::RequestRejected, Outcome::Failed, Some(code))
        }
        Verdict::Rejected(code) => (Event::RequestRejected, Outcome::Denied, Some(code)),
    };
    let claims = caller.token().claims();
    let key = claims.confirmation.and_then(|confirmation| confirmation.jkt);
    let acts = claims.actor.is_some();
    let rule = at.route.as_ref().and_then(|route| route.stages.verify());
    let mut record = Record::new(event, at.time, outcome);
    record.reason = reason;
    record.decision_id = Some(at.id.clone());
    record.source = Some(at.source.map_or_else(|| "unix".to_owned(), |address| address.to_string()));
    record.actor = Some(Actor {
        id: caller.id().to_owned(),
        provider: Some(caller.issuer_name().to_string()),
        method: Some("token".to_owned()),
        key: key.map(|key| key.to_string()),
        on_behalf_of: if acts { vec![claims.subject.to_string()] } else { Vec::new() },
    });
    record.target = Some(Target {
        resource: rule.map(|rule| rule.resource.to_string()).unwrap_or_default(),
        route: at.route.as_ref().map(|route| route.name.to_string()),
        scopes: claims.scopes.iter().map(ToString::to_string).collect(),
    });
    record.token = Some(Token {
        // A token without `jti` is named by its hash.
        id: claims.token_id.as_ref().map_or_else(|| caller.token().hash().to_string(), ToString::to_string),
        expires_at: claims.expires_at,
        bounded_by: None,
        key: Some(caller.token().key_thumbprint().to_string()),
    });
    record
}

impl Scribe {
    /// Writes until every reporter is gone, then what is left.
    pub async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                received = self.queue.recv_many(&mut batch, BATCH) => {
                    if received == 0 {
                        break;
                    }
                    self.write(batch.drain(..).map(Entry::record)).await;
                    tokio::time::sleep(GATHER).await;
                }
                _ = tick.tick() => {
                    let now = self.now.now();
                    let (strangers, repeats) =
                        (self.strangers.take_finished(now), self.repeats.take_finished(now));
                    self.write_counts(&strangers, &repeats).await;
                }
            }
        }
        let (strangers, repeats) = (self.strangers.take_all(), self.repeats.take_all());
        self.write_counts(&strangers, &repeats).await;
    }

    async fn write_counts(&self, strangers: &[RefusalCount], repeats: &[Repetition]) {
        let strangers = strangers.iter().map(RefusalCount::record);
        self.write(strangers.chain(repeats.iter().map(Repetition::record))).await;
    }

    /// Appends all at once, so that the file groups them into few flushes.
    async fn write(&self, records: impl Iterator<Item = Record>) {
        let written = futures_util::future::join_all(records.map(|record| self.sink.append(record))).await;
        for outcome in written {
            let counter =
                if outcome.is_ok() { &self.metrics.audit_written } else { &self.metrics.audit_lost };
            counter.inc();
        }
    }
}
