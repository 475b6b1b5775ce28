use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use symbolon_identity::{
    GroupName, IssuerName, LocalTimeName, ResourceName, RouteName, Scope, Scopes, TrustDomain,
};

use super::{issue, question, set, workload};
use crate::{
    Action, Assurance, Decision, DenialKind, LocalTimes, Permit, PolicyFile, PolicyId, PolicySet, Principal,
    Question, RequestFacts, Resource, Shadow, Subject, TokenFacts, User,
};

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
    let ids: Vec<_> = permit.policies().iter().map(PolicyId::as_str).collect();
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
    let unix = workload(&mut hidden).unix.as_mut().unwrap();
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
    workload(&mut other).unix = None;
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
        workload(&mut question).tags.insert("team".to_owned(), value.to_owned());
        assert_eq!(set.decide(&question).is_permit(), permitted, "{value:?}");
    }
    workload(&mut question).tags.clear();
    workload(&mut question).tags.insert("team\"".to_owned(), "x".to_owned());
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
    workload(&mut question).groups.insert(GroupName::parse("shop").unwrap());
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
    question.action = call("GET", "/orders/1");
    assert_eq!(permit(&set, &question).policies()[0].as_str(), "call");
    question.action = call("POST", "/orders/1");
    assert_eq!(kind(&set, &question), DenialKind::NoPermit);
}

/// A call of the route `orders` with a token for two scopes.
pub(super) fn call(method: &str, path: &str) -> Action {
    Action::Call {
        route: RouteName::parse("orders").unwrap(),
        request: RequestFacts {
            method: method.to_owned(),
            path: path.to_owned(),
            host: "orders.example.com".to_owned(),
        },
        token: TokenFacts {
            scopes: Scopes::parse("orders:read orders:write").unwrap(),
            claims: BTreeMap::from([("tenant".to_owned(), "acme".to_owned())]),
            ..TokenFacts::new(IssuerName::parse("keycloak").unwrap(), "alice")
        },
    }
}

#[test]
fn a_part_of_the_path_can_be_compared_with_a_claim() {
    let set = set(r#"
        @id("a") permit (principal is Symbolon::User, action == Symbolon::Action::"call", resource)
        when { principal == Symbolon::User::"keycloak:alice" && context.host == "orders.example.com" }
        when { context.segments.count == 3 && context.segments.getTag("1") == "tenants" }
        when { context.token.hasTag("tenant") && context.segments.getTag("2") == context.token.getTag("tenant") };
    "#);
    let errors = set.unwrap_err();
    assert!(errors.to_string().contains("hasTag"), "a tag has to be asked for first: {errors}");
    let set = self::set(r#"
        @id("a") permit (principal is Symbolon::User, action == Symbolon::Action::"call", resource)
        when { principal == Symbolon::User::"keycloak:alice" && context.host == "orders.example.com" }
        when { context.segments.count == 3 && context.segments.hasTag("1") && context.segments.getTag("1") == "tenants" }
        when { context.token.hasTag("tenant") && context.segments.hasTag("2") }
        when { context.segments.getTag("2") == context.token.getTag("tenant") };
    "#)
    .unwrap();
    let mut question = question();
    question.principal =
        User { issuer: IssuerName::parse("keycloak").unwrap(), subject: "alice".to_owned() }.into();
    for (path, permitted) in [
        ("/tenants/acme/invoices", true),
        ("/tenants/other/invoices", false),
        ("/tenants/acme", false),
        ("/tenants/acme/invoices/", false),
        ("/tenants//acme", false),
        ("/", false),
        ("", false),
    ] {
        question.action = call("GET", path);
        assert_eq!(set.decide(&question).is_permit(), permitted, "{path:?}");
    }
}

#[test]
fn a_token_makes_a_workload_only_if_its_issuer_speaks_for_the_trust_domain() {
    let issuer = IssuerName::parse("keycloak").unwrap();
    let ours = TrustDomain::parse("example.com").unwrap();
    let theirs = TrustDomain::parse("example.org").unwrap();
    let token = TokenFacts::new(issuer, "spiffe://example.com/shop");
    let workload = Principal::of_token(&token, Some(&ours));
    assert_eq!(workload.workload().map(|workload| workload.assurance), Some(Assurance::Token));
    for domain in [None, Some(&theirs)] {
        assert_eq!(Principal::of_token(&token, domain).id(), "keycloak:spiffe://example.com/shop");
    }
}

/// The workload asks for a token that speaks for Alice, whose token names one actor.
pub(super) fn exchange(audience: &str) -> Action {
    Action::Exchange {
        resource: Resource::new(ResourceName::parse("orders").unwrap()),
        scope: Some(Scope::parse("orders:read").unwrap()),
        subject: alice(audience),
        actors: vec!["spiffe://example.com/front".to_owned()],
    }
}

pub(super) fn alice(audience: &str) -> Subject {
    Subject {
        issuer: "https://keycloak.example.com".to_owned(),
        id: "keycloak:alice".to_owned(),
        audiences: BTreeSet::from([audience.to_owned()]),
        scopes: Scopes::parse("orders:read profile").unwrap(),
        claims: BTreeMap::from([("email".to_owned(), "alice@example.com".to_owned())]),
    }
}

const DELEGATION: &str = r#"
    @id("delegate") @max_actors("2") permit (principal, action == Symbolon::Action::"exchange", resource)
    when { context.subject.audiences.contains("shop") && context.subject.scopes.contains(context.scope) }
    when { context.subject.hasTag("email") && context.subject.getTag("email") like "*@example.com" }
    when { context.actors.contains("spiffe://example.com/front") && context.actor_depth == 2 };
    @id("wide") @max_actors("9") permit (principal, action in [Symbolon::Action::"exchange", Symbolon::Action::"issue"], resource)
    when { context.scope == "orders:read" };
    @id("impersonate") permit (principal, action == Symbolon::Action::"impersonate", resource)
    when { context.subject == Symbolon::Subject::"keycloak:alice" && context.actor_depth == 1 };
"#;

#[test]
fn an_exchange_is_about_its_subject_and_the_actors_before_it() {
    let set = set(DELEGATION).unwrap();
    let mut question = question();
    question.action = exchange("shop");
    let delegated = permit(&set, &question);
    assert_eq!((delegated.policies().len(), delegated.max_actors()), (2, Some(2)));
    question.action = exchange("elsewhere");
    assert_eq!(permit(&set, &question).max_actors(), Some(9), "only the wide one decides");
    question.action = issue("orders", "orders:read");
    assert_eq!(permit(&set, &question).policies()[0].as_str(), "wide");
}

#[test]
fn delegation_does_not_permit_impersonation() {
    let set = set(DELEGATION).unwrap();
    let mut question = question();
    let Action::Exchange { resource, scope, subject, actors } = exchange("shop") else { unreachable!() };
    let impersonate = |subject: Subject| Action::Impersonate {
        resource: resource.clone(),
        scope: scope.clone(),
        subject,
        actors: actors.clone(),
    };
    question.action = impersonate(subject.clone());
    let permit = permit(&set, &question);
    assert_eq!((permit.policies()[0].as_str(), permit.max_actors()), ("impersonate", None));
    question.action = impersonate(Subject { id: "keycloak:bob".to_owned(), ..subject });
    assert_eq!(kind(&set, &question), DenialKind::NoPermit);
}

#[test]
fn the_time_of_day_can_be_asked_for_at_places_that_are_configured() {
    let text = r#"
        @id("a") permit (principal, action, resource)
        when { context.local.berlin.time >= duration("8h") && context.local.berlin.time < duration("18h30m") }
        unless { ["saturday", "sunday"].contains(context.local.berlin.weekday) };
    "#;
    let section = BTreeMap::from([(LocalTimeName::parse("berlin").unwrap(), "Europe/Berlin".to_owned())]);
    let times = LocalTimes::new(&section).unwrap();
    let files = vec![PolicyFile::new("p.cedar", text)];
    let set = PolicySet::from_files(files.clone(), &times.names()).unwrap();
    let errors = PolicySet::from_files(files.clone(), &BTreeSet::new()).unwrap_err();
    assert!(errors.to_string().contains("`local`"), "{errors}");
    let other = BTreeSet::from([LocalTimeName::parse("tokyo").unwrap()]);
    let errors = PolicySet::from_files(files.clone(), &other).unwrap_err();
    assert!(errors.to_string().contains("`local.berlin`"), "{errors}");
    let again = PolicySet::from_files(files, &other).unwrap_err();
    assert_eq!(errors, again, "the same folder says the same");
    let mut question = question();
    assert_eq!(kind(&set, &question), DenialKind::NoPermit, "a question without the time is not permitted");
    // 2026-11-23, a Monday, at 06:59:59, 07:00 and 17:30 in UTC; then Sunday at noon.
    for (seconds, permitted) in
        [(1_795_417_199, false), (1_795_417_200, true), (1_795_455_000, false), (1_795_348_800, false)]
    {
        question.context.now = symbolon_identity::Timestamp::from_secs(seconds).unwrap();
        question.context.local = times.at(question.context.now);
        assert_eq!(set.decide(&question).is_permit(), permitted, "{}", question.context.now);
    }
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
    workload(&mut full).groups.insert(GroupName::parse("shop").unwrap());
    workload(&mut full).tags.insert("team".to_owned(), "orders".to_owned());
    let of = |action: Action| Question { action, ..full.clone() };
    let times = BTreeMap::from([(LocalTimeName::parse("utc").unwrap(), "UTC".to_owned())]);
    let mut user = of(call("GET", "/orders/1"));
    user.principal =
        User { issuer: IssuerName::parse("keycloak").unwrap(), subject: "alice".to_owned() }.into();
    user.context.local = LocalTimes::new(&times).unwrap().at(user.context.now);
    let all = [question(), of(exchange("shop")), of(call("GET", "/orders/1")), user, full];
    for asked in all {
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

const SHADOWED: &str = r#"
    @id("all") permit (principal, action, resource == Symbolon::Resource::"orders");
    @id("guard") @mode("shadow") forbid (principal, action, resource) when { context.key_bound };
    @id("broken") @mode("shadow") forbid (principal, action, resource == Symbolon::Resource::"billing")
    when { principal has unix && principal.unix.uid * 9223372036854775807 > 0 };
    @id("new") @mode("shadow") @ttl("1s") permit (principal, action, resource);
    @id("enforced") @mode("enforce") permit (principal, action, resource == Symbolon::Resource::"public");
"#;

#[test]
fn a_shadow_policy_never_changes_the_answer_but_tells_what_it_would_have_changed() {
    let set = set(SHADOWED).unwrap();
    let mut question = question();
    let decision = set.decide(&question);
    let shadow = Some(Shadow::WouldDeny { kind: DenialKind::Forbidden, policies: vec![id("guard")] });
    assert_eq!((decision.is_permit(), decision.shadow()), (true, shadow.as_ref()));
    question.context.key_bound = false;
    let decision = set.decide(&question);
    assert_eq!(decision.shadow(), None, "the other permit changes nothing");
    assert_eq!(decision.into_result().unwrap().ceiling(), None, "its limit does not count");
    question.action = issue("elsewhere", "x");
    let decision = set.decide(&question);
    let shadow = Some(Shadow::WouldPermit { policies: vec![id("new")] });
    assert_eq!((decision.is_permit(), decision.shadow()), (false, shadow.as_ref()));
    question.action = issue("billing", "x");
    assert_eq!(set.decide(&question).shadow(), None, "denied is denied, also by an error");
    question.action = issue("public", "x");
    assert!(set.decide(&question).is_permit());
}

fn id(text: &str) -> PolicyId {
    PolicyId(text.into())
}
