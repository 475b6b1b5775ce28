//! What an operator learns of a refusal, and its sender does not: the stages, what was expected and what was seen.
//! Not here: the command that prints it.

use serde_json::{Value, json};
use symbolon_e2e::http::{Answer, Call};

use super::{ORDERS, Staged, assert_refused, steps, stopped, text};

const POLICIES: &str = r#"
@id("readers") permit (principal, action == Symbolon::Action::"call", resource == Symbolon::Route::"orders")
when { context.method == "GET" && context.token.hasTag("tenant") && context.token.getTag("tenant") == "gold" };
"#;

const STAGES: [&str; 3] = [
    "verify: { issuers: [a], scopes: [\"orders:read\"] }",
    "{ verify: { issuers: [a], scopes: [\"orders:admin\"] }, when: 'request.method == \"DELETE\"' }",
    "authorize: { policies: policies }",
];

fn step(name: &str, outcome: &str) -> (String, String) {
    (name.to_owned(), outcome.to_owned())
}

#[tokio::test]
async fn a_denial_shows_its_stages_in_order_and_the_condition_that_failed() {
    let staged = Staged::start(&STAGES, POLICIES).await;
    let denied =
        staged.call_as(Call::get("/orders/7?canary=1"), |claims| super::tenant(claims, "silver")).await;
    assert_refused("silver", &denied, 403, "denied");
    assert!(!String::from_utf8_lossy(&denied.body).contains("gold"));
    let document = staged.explain(&denied).await;
    let expected = [
        step("request", "passed"),
        step("route", "passed"),
        step("verify", "passed"),
        step("verify", "skipped"),
        step("authorize", "stopped"),
        step("admit", "not_reached"),
        step("forward", "not_reached"),
    ];
    assert_eq!(steps(&document), expected, "{document}");
    assert_eq!(document["stages"][3]["when"], "request.method == \"DELETE\"");
    assert_eq!((text(&document["outcome"]), text(&document["reason"])), ("denied", "denied"));
    assert_eq!(document["target"], "orders");
    let near = &document["near_misses"][0];
    assert_eq!(near["policy"], "readers");
    let failed = near["failed"].as_array().unwrap();
    assert_eq!(failed.len(), 1, "{document}");
    assert_eq!(
        (text(&failed[0]["expected"]), text(&failed[0]["actual"])),
        ("\"gold\"", "\"silver\""),
        "{document}"
    );
    let policy = &document["facts"]["policy"];
    assert_eq!(policy["question"]["action"]["request"]["path"], "/orders/7");
    assert_eq!(policy["policies_changed_since"], false);
    assert!(!document.to_string().contains("canary"), "the query is not kept: {document}");
}

#[tokio::test]
async fn an_explanation_says_when_the_policies_have_changed_since() {
    let staged = Staged::start(&STAGES, POLICIES).await;
    let denied = staged.call("/orders/7").await;
    let file = staged.gateway.folder.path().join("policies/calls.cedar");
    std::fs::write(file, POLICIES.replace("gold", "bronze")).unwrap();
    staged.wait_for_metric("symbolon_gateway_policy_reloads_total{outcome=\"taken\"} 1").await;
    assert_eq!(staged.explain(&denied).await["facts"]["policy"]["policies_changed_since"], true);
}

/// The requests of one kind of refusal each: what, the answer, its code, the stage that ends it.
async fn refusals(staged: &Staged) -> Vec<(&'static str, Answer, &'static str, &'static str)> {
    let orders = || Call::get("/orders/1");
    let claims =
        |name: &'static str, value: Value| staged.call_as(orders(), move |claims| claims[name] = value);
    let other_key = symbolon_e2e::issuer::TestIssuer::new(super::ISSUER);
    let unknown = staged
        .issuer
        .sign(&json!({"alg": "ES256", "typ": "at+jwt", "kid": "no"}), &staged.issuer.claims(ORDERS));
    let typed = staged
        .issuer
        .sign(&json!({"alg": "ES256", "typ": "JWT", "kid": "test-key-1"}), &staged.issuer.claims(ORDERS));
    vec![
        ("nothing", staged.send(orders()).await, "token_missing", "verify"),
        ("garbage", staged.send(orders().bearer("a.b.c")).await, "malformed", "verify"),
        ("two", staged.send(orders().bearer("a.b.c").bearer("a.b.c")).await, "multiple_tokens", "verify"),
        ("issuer", claims("iss", json!("https://else.test")).await, "unknown_issuer", "verify"),
        ("audience", claims("aud", json!("https://else.test")).await, "wrong_audience", "verify"),
        ("expired", claims("exp", json!(1_600_000_000)).await, "expired", "verify"),
        ("early", claims("nbf", json!(4_000_000_000_u64)).await, "not_yet_valid", "verify"),
        ("long", claims("exp", json!(4_000_000_000_u64)).await, "lifetime_too_long", "verify"),
        ("scope", claims("scope", json!("x")).await, "insufficient_scope", "verify"),
        ("bound", claims("cnf", json!({"jkt": "A".repeat(43)})).await, "proof_missing", "verify"),
        ("key", staged.send(orders().bearer(&other_key.token(ORDERS))).await, "bad_signature", "verify"),
        ("kid", staged.send(orders().bearer(&unknown)).await, "jwks_unavailable", "verify"),
        ("type", staged.send(orders().bearer(&typed)).await, "wrong_type", "verify"),
        ("path", staged.call("/orders//1").await, "path_not_canonical", "request"),
        (
            "upgrade",
            staged.send(orders().header("upgrade", "h2c").header("connection", "upgrade")).await,
            "upgrade_not_allowed",
            "request",
        ),
        ("host", staged.send(orders().header("host", "a b")).await, "malformed_request", "request"),
        ("route", staged.call("/elsewhere").await, "route_not_found", "route"),
        ("policy", staged.call("/orders/1").await, "denied", "authorize"),
        ("condition", staged.call("/open/condition").await, "condition_error", "authorize"),
    ]
}

#[tokio::test]
async fn every_refusal_names_the_one_stage_that_ended_it_and_why() {
    let open = [
        "verify: { issuers: [a] }",
        "{ authorize: { policies: policies }, when: 'token.claims.absent == \"\"' }",
    ];
    let staged = Staged::with("", &STAGES, &open, POLICIES).await;
    for (what, answer, code, stage) in refusals(&staged).await {
        assert_eq!(answer.text("code"), code, "{what}");
        let document = staged.explain(&answer).await;
        let stopped = stopped(&document);
        assert_eq!((text(&document["reason"]), text(&stopped["stage"])), (code, stage), "{what}: {document}");
        assert!(!text(&stopped["detail"]).is_empty(), "{what}: {document}");
    }
}

#[tokio::test]
async fn an_upstream_that_is_away_is_the_last_stage() {
    let mut staged = Staged::start(&["verify: { issuers: [a] }"], "").await;
    staged.api = symbolon_e2e::api::Api::start().await;
    let answer = staged.call("/orders/1").await;
    assert_refused("no upstream", &answer, 502, "upstream_unavailable");
    let document = staged.explain(&answer).await;
    assert_eq!(stopped(&document)["stage"], "forward", "{document}");
    assert_eq!(steps(&document)[3], step("admit", "passed"));
}
