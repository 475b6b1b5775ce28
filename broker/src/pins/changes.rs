//! Policies are asked again about what a pod was given, with the pod as it is now.
//! Not here: when (`following`). Time, place and the age of evidence stay as they were: only the pod is judged anew.

use std::collections::HashMap;
use std::slice::from_ref;
use std::sync::Arc;

use symbolon_identity::Timestamp;
use symbolon_policies::{Principal, Question};

use super::{Because, PinError, Pins, PodName, unavailable};
use crate::attest::PodNow;
use crate::policies::{CurrentSet, Policies};
use crate::record::DecisionRecord;

/// Takes back what a pod would not be given again.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) pins: Arc<Pins>,
    pub(super) policies: Arc<Policies>,
    /// Whether names or groups of workloads are made of labels: then other labels may make another workload.
    pub(super) labels_name: bool,
}

/// How pods were when policies were asked about them last.
#[derive(Debug, Default)]
pub(super) struct Asked(HashMap<String, PodNow>);

impl Changes {
    /// Revokes the tokens of a pod's key if one of them was given for what the pod no longer is.
    ///
    /// # Errors
    /// [`PinError::Unavailable`] if the store fails; it has to be tried again.
    pub(super) async fn ask_again(
        &self,
        pod: &PodName,
        now: &PodNow,
        time: Timestamp,
    ) -> Result<(), PinError> {
        let policies = self.policies.current();
        for page in 0.. {
            let granted = self.pins.store.granted(pod, time, page).await;
            let granted = granted.map_err(|error| unavailable(&error))?;
            if granted.is_empty() {
                break;
            }
            for record in granted {
                if self.is_other(&record, pod, now) || is_worse(&policies, &record, pod, now) {
                    return self.pins.revoke(pod, Because::PodChanged(record.id), time).await;
                }
                // Hundreds of them must not keep requests waiting.
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }
}

impl Changes {
    /// Whether a pod may no longer be the workload that it was, by its labels.
    fn is_other(&self, record: &DecisionRecord, pod: &PodName, now: &PodNow) -> bool {
        let before = record.caller.kubernetes.as_deref().filter(|facts| facts.pod.uid == pod.uid);
        self.labels_name && before.is_some_and(|facts| facts.pod.labels != now.labels)
    }
}

/// Whether policies say yes to a question as it was asked, and not with the pod as it is now.
///
/// That they were changed since is not the pod's fault, so that both are asked of the set in force.
fn is_worse(policies: &CurrentSet, record: &DecisionRecord, pod: &PodName, now: &PodNow) -> bool {
    let permits = |question: &Question| policies.any(from_ref(question), &mut Vec::new()).is_some();
    record.questions.iter().any(|before| {
        let mut after = before.clone();
        renew(&mut after, pod, now) && after != *before && permits(before) && !permits(&after)
    })
}

/// Puts the pod as it is now into a question; false if the question is about somebody else.
fn renew(question: &mut Question, pod: &PodName, now: &PodNow) -> bool {
    let Principal::Workload(workload) = &mut question.principal else { return false };
    let Some(facts) = workload.kubernetes.as_deref_mut() else { return false };
    if facts.pod.uid != pod.uid || facts.cluster != pod.provider.as_str() {
        return false;
    }
    let known = facts.pod.posture.as_ref().and_then(|posture| posture.node_ready);
    let mut posture = now.posture.clone();
    // An outage says nothing against a pod: its node counts as it was seen last.
    posture.node_ready = posture.node_ready.or(known);
    facts.pod.posture = Some(posture);
    facts.pod.labels.clone_from(&now.labels);
    true
}

impl Asked {
    /// Forgets all others.
    pub(super) fn keep(&mut self, pods: &[String]) {
        let pods: std::collections::HashSet<&String> = pods.iter().collect();
        self.0.retain(|uid, _| pods.contains(uid));
    }

    /// Whether a pod is not as it was when its tokens were looked at last.
    pub(super) fn is_news(&self, uid: &str, now: &PodNow) -> bool {
        self.0.get(uid) != Some(now)
    }

    pub(super) fn note(&mut self, uid: String, now: PodNow) {
        self.0.insert(uid, now);
    }
}

#[cfg(test)]
mod tests;
