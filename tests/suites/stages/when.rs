//! Conditions: what runs, what is skipped, and what has no result.
//! Not here: conditions that are refused at load.

use serde_json::json;
use symbolon_e2e::http::Call;

use super::{CALLER, Staged, assert_refused, tenant};

const VERIFY: &str = "verify: { issuers: [a] }";
const ADMIN: &str = "{ verify: { issuers: [a], scopes: [\"orders:admin\"] }, when: 'request.path_segments.exists(part, part == \"admin\")' }";

#[tokio::test]
async fn a_stage_runs_where_its_condition_holds_and_is_skipped_elsewhere() {
    let staged = Staged::start(&[VERIFY, ADMIN], "").await;
    assert_eq!(staged.call("/orders/1").await.status, 200);
    for path in ["/orders/admin", "/orders/admin/1", "/orders/%61dmin"] {
        let answer = staged.call(path).await;
        // An escaped letter is refused before any stage: there is no second spelling of the segment.
        assert!(
            matches!(answer.text("code").as_str(), "insufficient_scope" | "path_not_canonical"),
            "{path}"
        );
    }
    let both = |claims: &mut serde_json::Value| claims["scope"] = json!("orders:read orders:admin");
    assert_eq!(staged.call_as(Call::get("/orders/admin/1"), both).await.status, 200);
    assert_eq!(staged.api.requests(), 2);
}

#[tokio::test]
async fn a_condition_without_a_result_refuses() {
    let when =
        "{ verify: { issuers: [a], scopes: [\"orders:admin\"] }, when: 'token.claims.tenant == \"gold\"' }";
    let staged = Staged::start(&[VERIFY, when], "").await;
    assert_refused("no such claim", &staged.call("/orders/1").await, 500, "condition_error");
    assert_eq!(staged.api.requests(), 0);
    assert!(staged.metrics().await.contains("symbolon_gateway_rejected_total{reason=\"condition_error\"} 1"));
    let silver = staged.call_as(Call::get("/orders/1"), |claims| tenant(claims, "silver")).await;
    assert_eq!(silver.status, 200);
    let gold = staged.call_as(Call::get("/orders/1"), |claims| tenant(claims, "gold")).await;
    assert_refused("gold", &gold, 403, "insufficient_scope");
    let number = staged.call_as(Call::get("/orders/1"), |claims| claims["tenant"] = json!(7)).await;
    assert_eq!(number.status, 200, "a number is another value than a text");
}

#[tokio::test]
async fn skipping_every_verify_ends_in_a_refusal() {
    let when = "{ verify: { issuers: [a] }, when: 'request.headers[\"x-skip\"] == \"\"' }";
    let staged = Staged::start(&[when], "").await;
    assert_eq!(staged.call("/orders/1").await.status, 200);
    let skipping = || Call::get("/orders/1").header("X-Skip", "yes");
    assert_refused("nothing presented", &staged.send(skipping()).await, 401, "token_missing");
    assert_refused("an honest token", &staged.call_as(skipping(), |_| ()).await, 403, "denied");
    assert_refused("garbage", &staged.send(skipping().bearer("a.b.c")).await, 403, "denied");
    let two = skipping().bearer("a.b.c").bearer("d.e.f");
    assert_refused("two tokens", &staged.send(two).await, 400, "multiple_tokens");
    assert_eq!(staged.api.requests(), 1);
}

#[tokio::test]
async fn headers_and_query_are_total_and_a_repeated_header_is_one_list() {
    let when = "{ verify: { issuers: [a], scopes: [\"orders:admin\"] }, when: 'request.headers[\"X-Plan\"] != \"free\" || request.query.plan == \"pro\"' }";
    let staged = Staged::start(&[VERIFY, when], "").await;
    let call = |call: Call| staged.call_as(call, |_| ());
    assert_eq!(call(Call::get("/orders/1").header("x-PLAN", "free")).await.status, 200);
    let absent = call(Call::get("/orders/1")).await;
    assert_refused("absent is the empty text", &absent, 403, "insufficient_scope");
    let twice = Call::get("/orders/1").header("x-plan", "free").header("x-plan", "pro");
    assert_refused("none hides behind another", &call(twice).await, 403, "insufficient_scope");
    let query = Call::get("/orders/1?plan=%70ro").header("x-plan", "free");
    assert_refused("a decoded query", &call(query).await, 403, "insufficient_scope");
    assert_eq!(call(Call::get("/orders/1?Plan=pro").header("x-plan", "free")).await.status, 200);
}

#[tokio::test]
async fn a_repeated_query_parameter_lets_nothing_hide_behind_its_first_value() {
    let when = "{ verify: { issuers: [a], scopes: [\"orders:admin\"] }, when: 'request.query[\"dry_run\"] != \"true\"' }";
    let staged = Staged::start(&[VERIFY, when], "").await;
    let call = |target: &'static str| staged.call(target);
    assert_eq!(call("/orders/1?dry_run=true&tag=a&tag=b").await.status, 200);
    assert_refused("another value", &call("/orders/1?dry_run=false").await, 403, "insufficient_scope");
    for target in ["/orders/1?dry_run=true&dry_run=false", "/orders/1?dry_run=true&dry%5Frun=true"] {
        assert_refused(target, &call(target).await, 500, "condition_error");
    }
    assert_eq!(staged.api.requests(), 1);
}

#[tokio::test]
async fn a_condition_sees_no_header_that_the_api_will_not_see() {
    let when = "{ verify: { issuers: [a], scopes: [\"orders:admin\"] }, when: 'request.headers[\"x-dry-run\"] == \"\" && request.content_type != \"text/dry\"' }";
    let staged = Staged::start(&[VERIFY, when], "").await;
    let call = |call: Call| staged.call_as(call, |_| ());
    let dry = || Call::get("/orders/1").header("x-dry-run", "1");
    assert_eq!(call(dry()).await.status, 200);
    for connection in ["x-dry-run", "close, X-Dry-Run", "keep-alive,x-dry-run"] {
        let answer = call(dry().header("connection", connection)).await;
        assert_refused(connection, &answer, 403, "insufficient_scope");
    }
    let of_type = || Call::get("/orders/1").header("content-type", "text/dry");
    assert_eq!(call(of_type()).await.status, 200);
    let answer = call(of_type().header("connection", "content-type")).await;
    assert_refused("a type that ends here", &answer, 403, "insufficient_scope");
    let when = "{ verify: { issuers: [a], scopes: [\"orders:admin\"] }, when: 'request.headers[\"te\"] + request.headers[\"keep-alive\"] + request.headers[\"proxy-authorization\"] == \"\"' }";
    let staged = Staged::start(&[VERIFY, when], "").await;
    for (name, value) in [("te", "trailers"), ("keep-alive", "timeout=5"), ("proxy-authorization", "x")] {
        let answer = staged.call_as(Call::get("/orders/1").header(name, value), |_| ()).await;
        assert!(answer.status == 403 || answer.status == 400, "{name}: {}", answer.status);
    }
    // A name that only the gateway may set is removed on the way, so that it says nothing.
    let reserved = "{ verify: { issuers: [a], scopes: [\"orders:admin\"] }, when: 'request.headers[\"x-workload-id\"] == \"\"' }";
    let staged = Staged::start(&[VERIFY, reserved], "").await;
    let forged = staged.call_as(Call::get("/orders/1").header("x-workload-id", "root"), |_| ()).await;
    assert_refused("a forged name", &forged, 403, "insufficient_scope");
}

#[tokio::test]
async fn a_public_route_can_ask_whether_there_is_a_caller() {
    let verified = "{ verify: { issuers: [a], scopes: [\"orders:admin\"] }, when: 'has(token.sub) && request.method != \"GET\"' }";
    let staged = Staged::with("", &[VERIFY], &[VERIFY, verified], "").await;
    assert_eq!(staged.send(Call::get("/open/1")).await.status, 200);
    assert_eq!(staged.send(Call::form("/open/1", &[])).await.status, 200);
    assert_eq!(staged.call("/open/1").await.status, 200);
    let post = staged.call_as(Call::form("/open/1", &[]), |_| ()).await;
    assert_refused("a caller who posts", &post, 403, "insufficient_scope");
    let garbage = staged.send(Call::get("/open/1").bearer("a.b.c")).await;
    assert_eq!(garbage.status, 401, "an invalid credential is never taken for none");
}

#[tokio::test]
async fn shared_stages_come_before_those_of_each_route() {
    let shared = "stages:\n  - verify: { issuers: [a] }\n    when: route.name == \"orders\"\n";
    let extra = "{ verify: { issuers: [a], scopes: [\"orders:admin\"] }, condition: 'token.client_id != \"spiffe://test.example/caller\"' }";
    let staged = Staged::with(
        shared,
        &[extra],
        &["{ verify: { issuers: [a] }, when: 'request.method == \"POST\"' }"],
        "",
    )
    .await;
    let answer = staged.call("/orders/1").await;
    assert_eq!(answer.status, 200, "{}", answer.text("code"));
    assert_eq!(answer.json()["headers"]["x-workload-id"], json!([CALLER]));
    assert_refused("nobody", &staged.send(Call::get("/orders/1")).await, 401, "token_missing");
    let other = staged.call_as(Call::get("/orders/1"), |claims| claims["client_id"] = json!("other")).await;
    assert_refused("another client", &other, 403, "insufficient_scope");
    assert_eq!(staged.send(Call::get("/open/1")).await.status, 200);
}
