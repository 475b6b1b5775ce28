use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use symbolon_identity::{DecisionId, Origin, ProviderName, ResourceName, Scopes, WorkloadId};
use symbolon_policies::{
    Action, Assurance, Context, KubernetesFacts, PodFacts, PodPosture, Resource, Workload,
};
use symbolon_wire::Outcome;

use super::*;
use crate::attest::Method;

const POLICIES: &str = r#"
@id("calm-pods") permit (principal, action == Symbolon::Action::"issue", resource == Symbolon::Resource::"orders")
when { principal has kubernetes && principal.kubernetes.pod has posture && context.now > datetime("2026-11-25") };
@id("no-debugging") forbid (principal, action, resource)
when { principal has kubernetes && principal.kubernetes.pod has posture && principal.kubernetes.pod.posture.ephemeral_containers };
@id("ready-nodes") forbid (principal, action, resource)
when { principal has kubernetes && principal.kubernetes.pod has posture
       && principal.kubernetes.pod.posture has node_ready && !principal.kubernetes.pod.posture.node_ready };
@id("stage-label") forbid (principal, action, resource)
when { principal has kubernetes && principal.kubernetes.pod.hasTag("quarantine") };
"#;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds).unwrap()
}

fn policies(text: &str) -> CurrentSet {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pods.cedar"), text).unwrap();
    CurrentSet::load(folder.path(), &BTreeSet::new()).unwrap()
}

fn pod() -> PodName {
    PodName { provider: ProviderName::parse("prod").unwrap(), uid: "u1".to_owned() }
}

fn calm() -> PodNow {
    PodNow {
        labels: BTreeMap::new(),
        posture: PodPosture { node_ready: Some(true), ..PodPosture::default() },
    }
}

/// What the pod was given on the 26th of November 2026.
fn granted() -> DecisionRecord {
    let id = WorkloadId::parse("spiffe://example.com/prod/cart").unwrap();
    let mut caller = Workload::new(id, pod().provider, Assurance::Live);
    let facts = PodFacts {
        name: "cart-1".to_owned(),
        uid: pod().uid,
        labels: BTreeMap::new(),
        posture: Some(calm().posture),
    };
    caller.kubernetes = Some(Box::new(KubernetesFacts {
        cluster: "prod".to_owned(),
        namespace: "shop".to_owned(),
        service_account: "cart".to_owned(),
        pod: facts,
        node: None,
    }));
    let resource = Resource::new(ResourceName::parse("orders").unwrap());
    let action = Action::Issue { resource, scope: None };
    let context = Context::at(at(1_795_651_200));
    let question = Question { principal: Principal::Workload(caller.clone()), action, context };
    DecisionRecord {
        id: DecisionId::new(Origin::Broker, at(1_795_651_200), [1; 10]),
        time: at(1_795_651_200),
        outcome: Outcome::Allowed,
        reason: None,
        stage: None,
        detail: None,
        caller,
        method: Method::Kubernetes,
        key: None,
        source: None,
        target: "orders".to_owned(),
        resources: Vec::new(),
        exchange: None,
        scopes: Scopes::default(),
        policies: Vec::new(),
        failed_policies: Vec::new(),
        policy_set: None,
        shadow: None,
        questions: vec![question],
        token: None,
    }
}

fn is_worse_than_calm(change: impl FnOnce(&mut PodNow)) -> bool {
    let mut now = calm();
    change(&mut now);
    is_worse(&policies(POLICIES), &granted(), &pod(), &now)
}

#[test]
fn only_what_policies_mind_is_worse() {
    assert!(!is_worse_than_calm(|_| {}));
    assert!(!is_worse_than_calm(|now| drop(now.labels.insert("mood".to_owned(), "good".to_owned()))));
    assert!(!is_worse_than_calm(|now| now.posture.privileged = true));
    assert!(is_worse_than_calm(|now| now.posture.ephemeral_containers = true));
    assert!(is_worse_than_calm(|now| now.posture.node_ready = Some(false)));
    assert!(is_worse_than_calm(|now| drop(now.labels.insert("quarantine".to_owned(), "yes".to_owned()))));
}

#[test]
fn an_outage_is_not_worse() {
    assert!(!is_worse_than_calm(|now| now.posture.node_ready = None));
}

#[test]
fn what_policies_no_longer_give_anybody_is_not_the_pods_fault() {
    let mut now = calm();
    now.posture.privileged = true;
    assert!(!is_worse(
        &policies("@id(\"nobody\") forbid (principal, action, resource);"),
        &granted(),
        &pod(),
        &now
    ));
}

#[test]
fn another_pods_change_is_not_its_own() {
    let mut now = calm();
    now.posture.ephemeral_containers = true;
    for other in [
        PodName { uid: "u2".to_owned(), ..pod() },
        PodName { provider: ProviderName::parse("stage").unwrap(), ..pod() },
    ] {
        assert!(!is_worse(&policies(POLICIES), &granted(), &other, &now), "{other:?}");
    }
}

#[test]
fn a_pod_is_asked_about_again_when_it_is_not_as_it_was() {
    let (mut asked, mut now) = (Asked::default(), calm());
    assert!(asked.is_news("u1", &now));
    asked.note("u1".to_owned(), now.clone());
    assert!(!asked.is_news("u1", &now));
    now.posture.privileged = true;
    assert!(asked.is_news("u1", &now));
    asked.keep(&[]);
    assert!(asked.is_news("u1", &calm()));
}
