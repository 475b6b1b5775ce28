//! What the doctor says of tokens: young and old, for us and for others, bound and not.
//! Files and sockets are in `tests/suites/doctor.rs`.

use symbolon_evidence::{
    KubernetesConfig, SourceConfig, TokenFileConfig, UnverifiedKubernetes, UnverifiedObject,
};

use super::super::report::Verdict;
use super::*;

const ISSUER: &str = "https://broker.example.com";

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds).unwrap()
}

fn kubernetes() -> Source {
    Source::choose(&SourceConfig::Kubernetes(KubernetesConfig::default()), None).unwrap().source
}

fn oidc() -> Source {
    let config = TokenFileConfig { path: "/token".into(), provider: None };
    Source::choose(&SourceConfig::TokenFile(config), None).unwrap().source
}

fn claims() -> UnverifiedClaims {
    let pod = Some(UnverifiedObject { name: "orders-0".to_owned(), uid: "u".to_owned() });
    UnverifiedClaims {
        issuer: Some("https://cluster".to_owned()),
        subject: Some("system:serviceaccount:shop:orders".to_owned()),
        audiences: vec![ISSUER.to_owned()],
        issued_at: Some(at(1000)),
        expires_at: Some(at(4600)),
        kubernetes: Some(UnverifiedKubernetes { pod, ..UnverifiedKubernetes::default() }),
    }
}

fn verdicts(source: &Source, claims: &UnverifiedClaims, now: u64) -> [Verdict; 3] {
    let checks = of_token(source, Some(claims), at(now), &IssuerUrl::parse(ISSUER).unwrap());
    for check in &checks {
        assert_eq!(check.next.is_some(), matches!(check.verdict, Verdict::Failed | Verdict::Warning));
    }
    [checks[0].verdict, checks[1].verdict, checks[2].verdict]
}

#[test]
fn a_young_token_for_the_broker_alone_is_fine() {
    assert_eq!(verdicts(&kubernetes(), &claims(), 2000), [Verdict::Ok; 3]);
}

#[test]
fn an_old_token_tells_of_the_kubelet() {
    for now in [4200, 9000] {
        assert_eq!(verdicts(&kubernetes(), &claims(), now), [Verdict::Ok, Verdict::Failed, Verdict::Ok]);
    }
    let endless = UnverifiedClaims { expires_at: None, ..claims() };
    assert_eq!(verdicts(&kubernetes(), &endless, 2000)[1], Verdict::Failed);
}

#[test]
fn one_audience_and_the_brokers_issuer_it_is() {
    let with = |audiences: &[&str]| UnverifiedClaims {
        audiences: audiences.iter().map(|&audience| audience.to_owned()).collect(),
        ..claims()
    };
    for audiences in [&[][..], &["https://kubernetes.default.svc"], &[ISSUER, "https://other"]] {
        assert_eq!(verdicts(&kubernetes(), &with(audiences), 2000)[2], Verdict::Failed, "{audiences:?}");
    }
    // The broker's provider may name one.
    assert_eq!(verdicts(&oidc(), &with(&["api://dedicated"]), 2000)[2], Verdict::Warning);
    assert_eq!(verdicts(&oidc(), &with(&["a", "b"]), 2000)[2], Verdict::Failed);
}

#[test]
fn a_token_that_is_bound_to_no_pod_is_none() {
    let unbound = UnverifiedClaims { kubernetes: None, ..claims() };
    assert_eq!(verdicts(&kubernetes(), &unbound, 2000)[0], Verdict::Failed);
    assert_eq!(verdicts(&oidc(), &unbound, 2000)[0], Verdict::Ok);
}
