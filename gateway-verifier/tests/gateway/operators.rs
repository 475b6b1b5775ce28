//! What operators see: explanations, the audit file, metrics, reloads.

use symbolon_identity::ReasonCode;
use symbolon_jws::Algorithm;
use symbolon_proof::ProofKey;
use symbolon_wire::{DecisionDocument, Outcome, RecentDecision};

use crate::harness::wire::{Answer, ask, ask_socket};
use crate::harness::{NOW, ORIGIN, Twist, World, prove};
use crate::tokens::assert_rejected;

async fn explain(world: &World, answer: &Answer) -> DecisionDocument {
    let id = answer.json()["decision_id"].as_str().unwrap().to_owned();
    let found = ask_socket(&world.socket(), &format!("/v1/decisions/{id}")).await;
    assert_eq!(found.status, 200, "{found:?}");
    serde_json::from_value(found.json()).unwrap()
}

#[tokio::test]
async fn the_admin_socket_explains_what_the_client_was_not_told() {
    let world = World::start().await;
    let token = world.mint().with("aud", "https://reports.internal").sign();
    let answer = world.call("GET", "/orders/7?secret=canary", &token).await;
    assert_rejected(&answer, 401, "wrong_audience");
    assert!(!answer.text().contains("reports"), "{}", answer.text());
    let document = explain(&world, &answer).await;
    assert_eq!(document.reason, Some(ReasonCode::WrongAudience));
    assert_eq!(document.target.as_deref(), Some("orders"));
    assert_eq!(document.workload.as_deref(), Some("spiffe://example.com/shop"));
    let atom = &document.near_misses[0].failed[0];
    assert_eq!(atom.expected.as_deref(), Some("https://orders.internal"));
    assert_eq!(atom.actual.as_deref(), Some("https://reports.internal"));
    assert_eq!(document.facts["request"], "GET /orders/7");
    let text = serde_json::to_string(&document).unwrap();
    assert!(!text.contains("canary") && !text.contains(&token), "{text}");

    let anonymous = explain(&world, &world.send("GET", "/orders/7", "").await).await;
    assert_eq!((anonymous.reason, anonymous.workload), (Some(ReasonCode::TokenMissing), None));
    world.end().await;
}

#[tokio::test]
async fn what_is_kept_of_a_rejection_is_short_and_harmless_on_a_terminal() {
    let world = World::start().await;
    let scopes: Vec<String> = (0..30).map(|number| format!("a-rather-long-scope-{number}")).collect();
    let token = world.mint().with("scope", scopes.join(" ")).sign();
    let answer = world.call("GET", "/orders/7", &token).await;
    assert_rejected(&answer, 403, "insufficient_scope");
    let document = explain(&world, &answer).await;
    let actual = document.near_misses[0].failed[0].actual.clone().unwrap();
    assert!(
        actual.starts_with("a-rather-long-scope-") && actual.ends_with('…') && actual.len() < 300,
        "{actual}"
    );

    let path = format!("/orders/\u{202e}{}", "a".repeat(2_000));
    let raw = format!("GET {path} HTTP/1.1\r\nHost: orders.example.com\r\nConnection: close\r\n\r\n");
    let answer = world.raw(raw.as_bytes()).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    if !answer.text().is_empty() {
        let request = explain(&world, &answer).await.facts["request"].to_string();
        assert!(request.len() < 400 && !request.contains('\u{202e}'), "{request}");
    }
    world.end().await;
}

#[tokio::test]
async fn the_last_rejections_are_listed_for_operators_with_or_without_a_caller() {
    let world = World::start().await;
    let token = world.mint().with("aud", "https://reports.internal").sign();
    let known = world.call("GET", "/orders/7", &token).await;
    let stranger = world.send("GET", "/orders/7", "").await;
    let list: Vec<RecentDecision> =
        serde_json::from_value(ask_socket(&world.socket(), "/v1/decisions").await.json()).unwrap();
    let workload = |answer: &Answer| {
        let id = answer.json()["decision_id"].clone();
        list.iter().find(|one| one.id.as_str() == id).map(|one| one.workload.as_str())
    };
    assert_eq!(
        (list.len(), workload(&known), workload(&stranger)),
        (2, Some("spiffe://example.com/shop"), Some(""))
    );
    assert!(list.iter().all(|one| one.outcome == Outcome::Refused && one.target == "orders"), "{list:?}");
    world.end().await;
}

#[tokio::test]
async fn the_admin_socket_answers_nothing_else() {
    let world = World::start().await;
    for (target, status) in [
        ("/", 404),
        ("/metrics", 404),
        ("/v1/decisionsx", 404),
        ("/v1/decisions/", 400),
        ("/v1/decisions/x", 400),
        ("/v1/decisions/g-00000000000000000000000000", 404),
    ] {
        assert_eq!(ask_socket(&world.socket(), target).await.status, status, "{target}");
    }
    let mode = std::fs::metadata(world.socket()).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o600);
    world.end().await;
}

#[tokio::test]
async fn the_admin_port_serves_health_and_metrics_only() {
    let world = World::start().await;
    for (target, status) in [
        ("/livez", 200),
        ("/readyz?verbose", 200),
        ("/startupz", 200),
        ("/metrics", 200),
        ("/v1/decisions/g-00000000000000000000000000", 404),
        ("/metrics/../x", 404),
    ] {
        let raw = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(ask(&world.admin, raw.as_bytes()).await.status, status, "{target}");
    }
    assert_rejected(&world.send("GET", "/metrics", "").await, 404, "route_not_found");
    world.end().await;
}

#[tokio::test]
async fn metrics_count_by_reason_and_kind_of_caller() {
    let world = World::start().await;
    let token = world.mint().sign();
    world.call("GET", "/orders/7", &token).await;
    world.call("GET", "/orders/7", &token).await;
    world.send("GET", "/public", "").await;
    world.send("GET", "/orders/7", "").await;
    let metrics = world.metrics().await;
    for line in [
        "symbolon_gateway_admitted_total{caller=\"fresh\"} 1",
        "symbolon_gateway_admitted_total{caller=\"known\"} 1",
        "symbolon_gateway_admitted_total{caller=\"anonymous\"} 1",
        "symbolon_gateway_rejected_total{reason=\"token_missing\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(!metrics.contains("spiffe") && !metrics.contains("orders"), "{metrics}");
    world.end().await;
}

#[tokio::test]
async fn the_audit_file_holds_callers_one_by_one_and_strangers_as_numbers() {
    let world = World::start().await;
    let token = world.mint().sign();
    for _ in 0..3 {
        assert_eq!(world.call("GET", "/orders/7", &token).await.status, 200);
    }
    assert_eq!(world.call("GET", "/orders/admin/7", &token).await.status, 403);
    for _ in 0..20 {
        world.send("GET", "/orders/7", "Authorization: DPoP canary.canary.canary\r\n").await;
    }
    let folder = world.end().await;
    let text = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    let count = |part: &str| text.lines().filter(|line| line.contains(part)).count();
    assert_eq!(count("program.started"), 1, "{text}");
    assert_eq!(count("request.admitted"), 1, "{text}");
    assert_eq!(count("request.rejected"), 1, "{text}");
    assert_eq!(count("insufficient_scope"), 1, "{text}");
    assert!(count("refusals.counted") >= 1 && count("\"count\":20") == 1, "{text}");
    assert!(!text.contains("canary") && !text.contains(&token), "{text}");
    symbolon_audit::verify(text.as_bytes()).unwrap();
}

#[tokio::test]
async fn who_has_a_copy_of_a_bound_token_puts_nothing_on_record_in_its_owners_name() {
    let world = World::start().await;
    let (token, old) =
        (world.mint().sign(), world.mint().with("exp", NOW - 100).with("iat", NOW - 200).sign());
    assert_eq!(world.call("GET", "/orders/7", &token).await.status, 200);
    let thief = ProofKey::generate(Algorithm::Es256).unwrap();
    let proof = prove(&thief, "GET", &format!("{ORIGIN}/orders/7"), &token, world.now());
    let copied = world.proof("GET", "/orders/7", &token);
    let with = |token: &str, proof: &str| format!("Authorization: DPoP {token}\r\nDPoP: {proof}\r\n");
    assert_eq!(world.send("GET", "/orders/7", &with(&token, &copied)).await.status, 200);
    for _ in 0..5 {
        for (path, header) in [
            ("/orders/7", format!("Authorization: DPoP {token}\r\n")),
            ("/orders/7", with(&token, "a.b.c")),
            ("/orders/7", with(&token, &proof)),
            ("/orders/7", with(&token, &copied)),
            ("/orders/7", with(&old, "a.b.c")),
            ("/billing/7", format!("Authorization: Bearer {token}\r\n")),
        ] {
            assert_eq!(world.send("GET", path, &header).await.status, 401, "{path} {header}");
        }
    }
    let folder = world.end().await;
    let text = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    assert!(!text.contains("request.rejected"), "{text}");
    assert!(text.contains("binding_mismatch") && text.contains("proof_replayed"), "{text}");
}

#[tokio::test]
async fn a_caller_that_is_rejected_again_and_again_is_counted() {
    let world = World::start().await;
    let token = world.mint().sign();
    for _ in 0..50 {
        assert_eq!(world.call("GET", "/orders/admin/7", &token).await.status, 403);
    }
    let folder = world.end().await;
    let text = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    assert_eq!(text.lines().filter(|line| line.contains("request.rejected")).count(), 20, "{text}");
    let counted: Vec<_> = text.lines().filter(|line| line.contains("refusals.counted")).collect();
    assert!(counted.len() == 1 && counted[0].contains("\"count\":30"), "{text}");
    assert!(counted[0].contains("insufficient_scope") && counted[0].contains("spiffe://"), "{text}");
}

#[tokio::test]
async fn each_route_that_a_token_opens_is_on_record_also_when_it_was_first_rejected() {
    let world = World::start().await;
    let narrow = world.mint().sign();
    assert_eq!(world.call("GET", "/orders/admin/7", &narrow).await.status, 403);
    let wide = world.mint().with("scope", "orders:read orders:admin").sign();
    for _ in 0..3 {
        assert_eq!(world.call("GET", "/orders/7", &narrow).await.status, 200);
        assert_eq!(world.call("GET", "/orders/7", &wide).await.status, 200);
        assert_eq!(world.call("GET", "/orders/admin/7", &wide).await.status, 200);
    }
    let metrics = world.metrics().await;
    assert!(metrics.contains("symbolon_gateway_admitted_total{caller=\"fresh\"} 1"), "{metrics}");
    let folder = world.end().await;
    let text = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    let admitted = |target: &str| {
        let lines = text.lines().filter(|line| line.contains("request.admitted"));
        lines.filter(|line| line.contains(&format!("\"{target}\""))).count()
    };
    assert_eq!((admitted("orders"), admitted("orders-admin")), (2, 1), "{text}");
}

#[tokio::test]
async fn a_changed_file_takes_effect_and_a_broken_one_does_not() {
    let world = World::start().await;
    let path = world.path("gateway.yaml");
    let before = std::fs::read_to_string(&path).unwrap();
    assert_eq!(world.send("GET", "/other", "").await.status, 404);

    let broken = before.replace("routes:\n", "routes:\n  - { name: x }\n");
    std::fs::write(&path, &broken).unwrap();
    wait_for_metric(&world, "symbolon_gateway_config_reloads_total{outcome=\"refused\"} 1").await;
    assert_eq!(world.send("GET", "/public", "").await.status, 200, "the last good one stays");

    let token = world.mint().sign();
    assert_eq!(world.call("GET", "/orders/7", &token).await.status, 200);
    world.issuer.set_down(true);
    std::fs::write(&path, before.replace("/public/**", "/other/**")).unwrap();
    wait_for_metric(&world, "symbolon_gateway_config_reloads_total{outcome=\"taken\"}").await;
    assert_eq!(world.send("GET", "/other", "").await.status, 200);
    assert_eq!(world.send("GET", "/public", "").await.status, 404);
    assert_eq!(world.call("GET", "/orders/7", &token).await.status, 200, "the issuers' keys survive");
    world.end().await;
}

#[tokio::test]
async fn who_was_not_changed_keeps_keys_and_verdicts_when_another_issuer_is() {
    let world = World::start().await;
    let (token, bearer) = (world.mint().sign(), world.issuer.bearer(world.now()).sign());
    let bearer = format!("Authorization: Bearer {bearer}\r\n");
    assert_eq!(world.call("GET", "/orders/7", &token).await.status, 200);
    assert_eq!(world.send("GET", "/billing/7", &bearer).await.status, 200);
    // Neither the issuer nor the copy on disk can help.
    world.issuer.set_down(true);
    std::fs::remove_dir_all(world.path("keys")).unwrap();
    let path = world.path("gateway.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let changed =
        text.replace("['https://billing.internal']", "['https://billing.internal', 'https://more.internal']");
    assert_ne!(text, changed);
    std::fs::write(&path, changed).unwrap();
    wait_for_metric(&world, "symbolon_gateway_config_reloads_total{outcome=\"taken\"} 1").await;
    assert_eq!(world.call("GET", "/orders/7", &token).await.status, 200);
    let metrics = world.metrics().await;
    assert!(metrics.contains("symbolon_gateway_admitted_total{caller=\"known\"} 1"), "{metrics}");
    let fresh = world.mint().with("jti", "token-2").sign();
    assert_eq!(world.call("GET", "/orders/7", &fresh).await.status, 200);
    let lent = world.send("GET", "/billing/7", &bearer).await;
    assert_rejected(&lent, 503, "jwks_unavailable");
    world.end().await;
}

async fn wait_for_metric(world: &World, line: &str) {
    let waiting = async {
        while !world.metrics().await.contains(line) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await;
    assert!(waited.is_ok(), "waited in vain for {line}");
}

#[tokio::test]
async fn with_its_cache_off_every_token_is_verified_anew() {
    let world =
        World::with(Twist { more: "token_cache: { entries: 0 }".to_owned(), ..Twist::default() }).await;
    let token = world.mint().sign();
    for _ in 0..2 {
        assert_eq!(world.call("GET", "/orders/7", &token).await.status, 200);
    }
    assert!(world.metrics().await.contains("symbolon_gateway_admitted_total{caller=\"fresh\"} 2"));
    world.end().await;
}
