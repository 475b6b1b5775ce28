//! The `authorize` stage: what policies permit, forbid and cannot say, and what happens when their folder changes.
//! Not here: Cedar itself, and how a denial is explained.

use std::fs;

use serde_json::json;
use symbolon_e2e::http::Call;

use super::{Staged, assert_refused, stopped, text};

const STAGES: [&str; 2] = ["verify: { issuers: [a] }", "authorize: { policies: ./policies }"];

/// Reading is permitted to one workload; one path is forbidden, one makes a `forbid` fail.
const POLICIES: &str = r#"
@id("callers-may-read")
permit (
  principal == Symbolon::Workload::"spiffe://test.example/caller",
  action == Symbolon::Action::"call",
  resource == Symbolon::Route::"orders"
) when { context.method == "GET" && context.scopes.contains("orders:read") };

@id("no-secrets") @owner("team-orders") @reason("secrets stay here")
forbid (principal, action == Symbolon::Action::"call", resource)
when { context.path == "/orders/secret!" };

@id("broken-rule")
forbid (principal, action == Symbolon::Action::"call", resource)
when { context.path like "/orders/broken*" && 9223372036854775807 + context.segments.count > 0 };
"#;

#[tokio::test]
async fn what_is_permitted_passes_and_everything_else_is_denied() {
    let staged = Staged::start(&STAGES, POLICIES).await;
    assert_eq!(staged.call("/orders/1").await.status, 200);
    let posted = staged.call_as(Call::form("/orders/1", &[]), |_| ()).await;
    assert_refused("another method", &posted, 403, "denied");
    let scope = staged.call_as(Call::get("/orders/1"), |claims| claims["scope"] = json!("orders:list")).await;
    assert_refused("another scope", &scope, 403, "denied");
    for sub in ["spiffe://test.example/other", "spiffe://other.example/caller", "caller"] {
        let answer = staged.call_as(Call::get("/orders/1"), |claims| claims["sub"] = json!(sub)).await;
        assert_refused(sub, &answer, 403, "denied");
    }
    assert_refused("nobody", &staged.send(Call::get("/orders/1")).await, 401, "token_missing");
    assert_eq!(staged.api.requests(), 1);
    let body = String::from_utf8_lossy(&posted.body).into_owned();
    assert!(!body.contains("callers-may-read") && !body.contains("context"), "{body}");
}

#[tokio::test]
async fn a_forbid_wins_in_every_spelling_and_one_that_fails_denies() {
    let staged = Staged::start(&STAGES, POLICIES).await;
    for path in ["/orders/secret!", "/orders/secret%21", "/orders/secret!/", "/orders/secret!?page=2"] {
        let answer = staged.call(path).await;
        assert_refused(path, &answer, 403, "denied");
        let document = staged.explain(&answer).await;
        assert_eq!(document["policies"], json!(["no-secrets"]), "{path}");
        assert_eq!(document["facts"]["policy"]["notes"]["owner"], "team-orders");
    }
    let broken = staged.call("/orders/broken").await;
    assert_refused("a forbid that cannot be evaluated", &broken, 403, "denied");
    let document = staged.explain(&broken).await;
    assert_eq!(document["policies"], json!(["broken-rule"]));
    assert_eq!(document["facts"]["policy"]["denial"], "error");
    assert!(text(&document["detail"]).contains("could not be evaluated"), "{document}");
    assert_eq!(staged.api.requests(), 0);
}

#[tokio::test]
async fn a_changed_folder_takes_effect_and_a_broken_one_leaves_the_last_good_one() {
    let mut staged = Staged::start(&STAGES, POLICIES).await;
    let file = staged.gateway.folder.path().join("policies/calls.cedar");
    assert_eq!(staged.call("/orders/1").await.status, 200);

    fs::write(&file, POLICIES.replace("context.method", "context.metod")).unwrap();
    staged.wait_for_metric("symbolon_gateway_policy_reloads_total{outcome=\"refused\"} 1").await;
    assert_eq!(staged.call("/orders/1").await.status, 200, "the last good ones stay");
    assert_refused("still", &staged.call("/orders/secret!").await, 403, "denied");

    fs::write(&file, POLICIES.replace("/orders/secret!", "/orders/1")).unwrap();
    staged.wait_for_metric("symbolon_gateway_policy_reloads_total{outcome=\"taken\"} 1").await;
    assert_refused("now forbidden", &staged.call("/orders/1").await, 403, "denied");
    assert_eq!(staged.call("/orders/secret!").await.status, 200);

    staged.gateway.process.stop(rustix::process::Signal::TERM).await;
    let audit = fs::read_to_string(staged.gateway.folder.path().join("audit.jsonl")).unwrap();
    let count = |part: &str| audit.lines().filter(|line| line.contains(part)).count();
    assert_eq!((count("policies.refused"), count("policies.reloaded")), (1, 1), "{audit}");
    let denied = audit.lines().find(|line| line.contains("request.rejected")).unwrap();
    let denied: serde_json::Value = serde_json::from_str(denied).unwrap();
    let denied = denied.get("record").unwrap_or(&denied);
    assert_eq!(
        (&denied["policies"], &denied["reason"]),
        (&json!(["no-secrets"]), &json!("denied")),
        "{audit}"
    );
    let admitted = audit.lines().find(|line| line.contains("request.admitted")).unwrap();
    assert!(admitted.contains("callers-may-read"), "{admitted}");
}

#[tokio::test]
async fn a_file_that_disappears_takes_its_permits_along() {
    let staged = Staged::start(&STAGES, POLICIES).await;
    assert_eq!(staged.call("/orders/1").await.status, 200);
    fs::remove_file(staged.gateway.folder.path().join("policies/calls.cedar")).unwrap();
    staged.wait_for_metric("symbolon_gateway_policy_reloads_total{outcome=\"taken\"} 1").await;
    assert_refused("an empty folder permits nothing", &staged.call("/orders/1").await, 403, "denied");
}

#[tokio::test]
async fn a_condition_chooses_what_is_asked_about_and_nobody_is_asked_about_strangers() {
    let when = "{ authorize: { policies: policies }, when: 'request.path_segments[1] == \"restricted\"' }";
    let staged = Staged::with("", &[STAGES[0]], &[STAGES[0], when], POLICIES).await;
    assert_eq!(staged.send(Call::get("/open/1")).await.status, 200);
    assert_eq!(staged.call("/open/1").await.status, 200);
    let stranger = staged.send(Call::get("/open/restricted")).await;
    assert_refused("a stranger", &stranger, 401, "token_missing");
    assert!(!stranger.header("www-authenticate").is_empty());
    let denied = staged.call("/open/restricted").await;
    assert_refused("a caller", &denied, 403, "denied");
    assert_eq!(stopped(&staged.explain(&denied).await)["stage"], "authorize");
    let short = staged.call("/open").await;
    assert_refused("an index beyond the end", &short, 500, "condition_error");
}

#[tokio::test]
async fn a_policy_in_shadow_mode_is_counted_and_changes_nothing() {
    let trial = r#"
@id("no-reading") @mode("shadow") forbid (principal, action == Symbolon::Action::"call", resource)
when { context.method == "GET" };
@id("posting") @mode("shadow") permit (principal, action == Symbolon::Action::"call", resource)
when { context.method == "POST" };
"#;
    let staged = Staged::start(&STAGES, &format!("{POLICIES}{trial}")).await;
    assert_eq!(staged.call("/orders/1").await.status, 200);
    staged.wait_for_metric("symbolon_gateway_shadow_verdicts_total{verdict=\"would_deny\"} 1").await;
    let denied = staged.call_as(Call::form("/orders/1", &[]), |_| ()).await;
    assert_refused("still denied", &denied, 403, "denied");
    staged.wait_for_metric("symbolon_gateway_shadow_verdicts_total{verdict=\"would_permit\"} 1").await;
    let document = staged.explain(&denied).await;
    assert_eq!(
        document["facts"]["policy"]["shadow"]["would_permit"]["policies"],
        json!(["posting"]),
        "{document}"
    );
}

#[tokio::test]
async fn the_time_of_day_at_a_configured_place_decides() {
    // It is never the same time at both places: they are fourteen hours apart.
    let places = "local_times: { here: Etc/UTC, there: Pacific/Kiritimati }\n";
    let closed = r#"
@id("closed") forbid (principal, action == Symbolon::Action::"call", resource)
when { context.path == "/orders/late" && context.local.here.time != context.local.there.time };
"#;
    let staged = Staged::with(places, &STAGES, &[], &format!("{POLICIES}{closed}")).await;
    assert_eq!(staged.call("/orders/1").await.status, 200);
    let late = staged.call("/orders/late").await;
    assert_refused("closed", &late, 403, "denied");
    assert_eq!(staged.explain(&late).await["policies"], json!(["closed"]));
}
