use std::time::Duration;

use symbolon_identity::{GroupName, RouteName, Scopes};

use super::{issue, question, set};
use crate::{Action, Decision, DenialKind, Permit, PolicySet, Question};

const OVERFLOW: &str = "principal has unix && principal.unix.uid * 9223372036854775807 > 0";

fn permit(set: &PolicySet, question: &Question) -> Permit {
    set.decide(question).into_result().unwrap()
}

fn kind(set: &PolicySet, question: &Question) -> DenialKind {
    set.decide(question).into_result().unwrap_err().kind()
}

#[test]
fn the_smallest_ttl_among_the_deciding_permits_is_the_ceiling() {
    let set = set(r#"
        @id("long") @ttl("1h") permit (principal, action, resource);
        @id("short") @ttl("5m") permit (principal, action, resource == Symbolon::Resource::"orders");
        @id("shorter-but-elsewhere") @ttl("1s") permit (principal, action, resource == Symbolon::Resource::"billing");
        @id("unlimited") permit (principal, action, resource);
    "#)
    .unwrap();
    let permit = permit(&set, &question());
    assert_eq!(permit.ceiling(), Some(Duration::from_mins(5)));
    let ids: Vec<_> = permit.policies().iter().map(crate::PolicyId::as_str).collect();
    assert_eq!(ids, ["long", "short", "unlimited"]);
}

#[test]
fn a_forbid_wins_over_every_permit_and_speaks_for_itself() {
    let set = set(r#"
        @id("all") permit (principal, action, resource);
        @id("guard") @owner("security") @reason("no") @runbook("https://r.example")
        forbid (principal, action, resource == Symbolon::Resource::"orders");
    "#)
    .unwrap();
    let denial = set.decide(&question()).into_result().unwrap_err();
    assert_eq!(denial.kind(), DenialKind::Forbidden);
    assert_eq!(denial.policies()[0].as_str(), "guard");
    assert_eq!(denial.notes().owner.as_deref(), Some("security"));
    assert_eq!(denial.notes().runbook.as_deref(), Some("https://r.example"));
}

#[test]
fn an_unreadable_executable_does_not_let_a_user_escape_what_is_forbidden_to_it() {
    let set = set(r#"
        @id("all") permit (principal, action, resource);
        @id("not-this-user") forbid (principal, action, resource)
        when { principal has unix && principal.unix.uid == 1000 };
    "#)
    .unwrap();
    let mut hidden = question();
    let unix = hidden.principal.unix.as_mut().unwrap();
    (unix.executable, unix.executable_sha256) = (None, None);
    assert_eq!(kind(&set, &hidden), DenialKind::Forbidden);
}

#[test]
fn a_forbid_that_cannot_be_evaluated_denies() {
    let set = set(&format!(
        "@id(\"all\") permit (principal, action, resource);
         @id(\"broken\") forbid (principal, action, resource) when {{ {OVERFLOW} }};"
    ))
    .unwrap();
    let denial = set.decide(&question()).into_result().unwrap_err();
    assert_eq!(denial.kind(), DenialKind::Error);
    assert_eq!(denial.policies()[0].as_str(), "broken");
    let mut other = question();
    other.principal.unix = None;
    assert!(set.decide(&other).is_permit(), "it is not reached");
}

#[test]
fn a_permit_that_cannot_be_evaluated_does_not_count_but_is_reported() {
    let broken = format!("@id(\"broken\") permit (principal, action, resource) when {{ {OVERFLOW} }};");
    let alone = set(&broken).unwrap();
    let denial = alone.decide(&question()).into_result().unwrap_err();
    assert_eq!((denial.kind(), denial.errors().len()), (DenialKind::NoPermit, 1));
    let with = set(&format!("{broken} @id(\"all\") permit (principal, action, resource);")).unwrap();
    let permit = permit(&with, &question());
    assert_eq!((permit.policies().len(), permit.errors().len()), (1, 1));
}

#[test]
fn names_with_quotes_and_colons_match_only_themselves() {
    let set = set(r#"
        @id("a") permit (principal, action, resource) when { principal.hasTag("team") && principal.getTag("team") == "x" };
    "#)
    .unwrap();
    let mut question = question();
    for (value, permitted) in
        [("x", true), ("x\"", false), ("x\" || true", false), ("*", false), ("x\n", false)]
    {
        question.principal.tags.insert("team".to_owned(), value.to_owned());
        assert_eq!(set.decide(&question).is_permit(), permitted, "{value:?}");
    }
    question.principal.tags.clear();
    question.principal.tags.insert("team\"".to_owned(), "x".to_owned());
    assert_eq!(kind(&set, &question), DenialKind::NoPermit);
}

#[test]
fn groups_of_workloads_and_of_resources_are_honoured() {
    let set = set(r#"
        @id("a") permit (
          principal in Symbolon::Group::"shop",
          action == Symbolon::Action::"issue",
          resource in Symbolon::ResourceGroup::"public"
        );
    "#)
    .unwrap();
    let mut question = question();
    assert_eq!(kind(&set, &question), DenialKind::NoPermit);
    question.principal.groups.insert(GroupName::parse("shop").unwrap());
    assert_eq!(kind(&set, &question), DenialKind::NoPermit);
    if let Action::Issue { resource, .. } = &mut question.action {
        resource.groups.insert(GroupName::parse("public").unwrap());
    }
    assert!(set.decide(&question).is_permit());
}

#[test]
fn issuing_is_not_calling_and_a_route_is_not_a_resource() {
    let set = set(r#"
        @id("issue") permit (principal, action == Symbolon::Action::"issue", resource);
        @id("call") permit (principal, action == Symbolon::Action::"call", resource == Symbolon::Route::"orders")
        when { context.scopes.contains("orders:read") && context.method == "GET" && context.path like "/orders/*" };
    "#)
    .unwrap();
    let mut question = question();
    assert_eq!(permit(&set, &question).policies()[0].as_str(), "issue");
    let call = |method: &str| Action::Call {
        route: RouteName::parse("orders").unwrap(),
        method: method.to_owned(),
        path: "/orders/1".to_owned(),
        scopes: Scopes::parse("orders:read orders:write").unwrap(),
    };
    question.action = call("GET");
    assert_eq!(permit(&set, &question).policies()[0].as_str(), "call");
    question.action = call("POST");
    assert_eq!(kind(&set, &question), DenialKind::NoPermit);
}

#[test]
fn a_question_without_a_scope_asks_for_the_empty_one() {
    let set = set(r#"
        @id("a") permit (principal, action == Symbolon::Action::"issue", resource) when { context.scope == "" };
    "#)
    .unwrap();
    let mut question = question();
    assert!(!set.decide(&question).is_permit());
    if let Action::Issue { scope, .. } = &mut question.action {
        *scope = None;
    }
    assert!(set.decide(&question).is_permit());
}

#[test]
fn time_address_and_age_can_be_compared() {
    let set = set(r#"
        @id("a") permit (principal, action == Symbolon::Action::"issue", resource)
        when { context.now < datetime("2027-01-16T00:00:00Z") }
        when { context has source_ip && context.source_ip.isInRange(ip("fd00::/8")) }
        when { context has evidence_age && context.evidence_age <= duration("1m") };
    "#)
    .unwrap();
    let mut question = question();
    question.context.source_ip = Some("fd00::1".parse().unwrap());
    question.context.evidence_age = Some(Duration::from_mins(1));
    assert!(set.decide(&question).is_permit());
    question.context.source_ip = Some("::ffff:10.0.0.1".parse().unwrap());
    assert_eq!(kind(&set, &question), DenialKind::NoPermit);
    question.context.source_ip = Some("fd00::1".parse().unwrap());
    question.context.evidence_age = Some(Duration::MAX);
    assert_eq!(kind(&set, &question), DenialKind::NoPermit);
}

#[test]
fn a_question_survives_its_record_and_is_answered_alike() {
    let set =
        set(r#"@id("a") permit (principal, action, resource == Symbolon::Resource::"orders");"#).unwrap();
    let mut full = question();
    full.action = issue("orders", "orders:read");
    full.context.evidence_age = Some(Duration::from_secs(7));
    full.context.source_ip = Some("192.0.2.1".parse().unwrap());
    full.principal.groups.insert(GroupName::parse("shop").unwrap());
    full.principal.tags.insert("team".to_owned(), "orders".to_owned());
    for asked in [question(), full] {
        let record = serde_json::to_string(&asked).unwrap();
        let again: Question = serde_json::from_str(&record).unwrap();
        assert_eq!(again, asked);
        assert_eq!(set.decide(&again), set.decide(&asked));
    }
    assert!(matches!(set.decide(&question()), Decision::Permit(_)));
}

#[test]
fn a_record_with_unknown_members_is_refused_and_not_judged_without_them() {
    let record = serde_json::to_string(&question()).unwrap();
    let newer = record.replacen("\"key_bound\":true", "\"key_bound\":true,\"posture\":{}", 1);
    assert_ne!(newer, record);
    assert!(serde_json::from_str::<Question>(&newer).is_err());
}
