//! What goes on record: new callers and rejected callers one by one, strangers counted, off the request path.
//! Not here: the file and its chain (`symbolon-audit`).

use std::sync::Arc;
use std::time::Duration;

use symbolon_audit::{Actor, Event, FileSink, Outcome, Record, RefusalCounters, Target, Token};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::caller::VerifiedCaller;
use crate::clock::Now;
use crate::decisions::{Circumstances, Recent, Rejected};
use crate::metrics::Metrics;
use crate::rejection::verdict;

/// Records that wait for the file at most; then they are lost and counted.
const QUEUE: usize = 4_096;
/// Counters of strangers at one time.
const STRANGERS: usize = 4_096;
const BATCH: usize = 64;
const TICK: Duration = Duration::from_secs(10);

/// Where the fronts report.
#[derive(Debug)]
pub struct Trail {
    queue: mpsc::Sender<Record>,
    strangers: Arc<RefusalCounters>,
    recent: Recent,
    metrics: Metrics,
}

/// The task that writes what was reported.
#[derive(Debug)]
pub struct Scribe {
    queue: mpsc::Receiver<Record>,
    strangers: Arc<RefusalCounters>,
    sink: Option<FileSink>,
    metrics: Metrics,
    now: Now,
}

/// A trail and its scribe; without a sink nothing is written and only recent rejections can be looked up.
#[must_use]
pub fn trail(sink: Option<FileSink>, metrics: &Metrics, now: &Now) -> (Trail, Scribe) {
    let (sender, queue) = mpsc::channel(QUEUE);
    let strangers = Arc::new(RefusalCounters::new(STRANGERS));
    let trail = Trail {
        queue: sender,
        strangers: Arc::clone(&strangers),
        recent: Recent::default(),
        metrics: metrics.clone(),
    };
    (trail, Scribe { queue, strangers, sink, metrics: metrics.clone(), now: now.clone() })
}

impl Trail {
    /// Reports a rejection: on record if the caller was verified, counted otherwise; kept for explaining in both cases.
    pub fn rejected(&self, rejected: Rejected) {
        let (code, at) = (rejected.rejection.code(), &rejected.at);
        self.metrics.rejected(code);
        match rejected.rejection.caller() {
            None => self.strangers.count(code, at.source, at.time),
            Some(caller) => {
                let ours = verdict(code).status.is_server_error();
                let outcome = if ours { Outcome::Failed } else { Outcome::Denied };
                let mut record = Record::new(Event::RequestRejected, at.time, outcome);
                record.reason = Some(code);
                describe(&mut record, caller, at);
                self.report(record);
            }
        }
        self.recent.keep(rejected);
    }

    /// Reports a caller whose token was verified for the first time.
    pub fn admitted(&self, caller: &VerifiedCaller, at: &Circumstances) {
        let mut record = Record::new(Event::RequestAdmitted, at.time, Outcome::Success);
        describe(&mut record, caller, at);
        self.report(record);
    }

    /// Reports what happened to the program itself.
    pub fn report(&self, record: Record) {
        if self.queue.try_send(record).is_err() {
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

fn describe(record: &mut Record, caller: &VerifiedCaller, at: &Circumstances) {
    let claims = caller.token().claims();
    let key = claims.confirmation.and_then(|confirmation| confirmation.jkt);
    let acts = claims.actor.is_some();
    let rule = at.route.as_ref().and_then(|route| route.verify.as_ref());
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
    });
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
                    self.write(batch.drain(..)).await;
                }
                _ = tick.tick() => {
                    let finished = self.strangers.take_finished(self.now.now());
                    self.write(finished.iter().map(symbolon_audit::RefusalCount::record)).await;
                }
            }
        }
        let rest = self.strangers.take_all();
        self.write(rest.iter().map(symbolon_audit::RefusalCount::record)).await;
    }

    /// Appends all at once, so that the file groups them into few flushes.
    async fn write(&self, records: impl Iterator<Item = Record>) {
        let Some(sink) = &self.sink else { return };
        let written = futures_util::future::join_all(records.map(|record| sink.append(record))).await;
        for outcome in written {
            if outcome.is_ok() {
                self.metrics.audit_written.inc()
            } else {
                self.metrics.audit_lost.inc()
            };
        }
    }
}
