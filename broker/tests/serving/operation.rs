//! What operators see and do: health, reloads, explanations, restarts, a store in trouble.
//! Not here: what callers get.

use std::collections::BTreeSet;
use std::fs;

use sqlx::{ConnectOptions, Connection};

use crate::EVERYTHING;
use crate::harness::{JWT_BEARER, Running, Setup, eventually};

const NOTES: (&str, &str) = ("audience", "notes");

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_is_explained_to_operators_with_expected_and_actual_values() {
    let setup = Setup::new(
        "@id(\"known-program\") permit (principal, action == Symbolon::Action::\"issue\", resource == Symbolon::Resource::\"notes\")\n\
         when { principal has unix && principal.unix has executable_sha256 && principal.unix.executable_sha256 == \"00ff\" };",
    );
    let broker = setup.start().await;
    let denied = broker.ask_local(&[NOTES], None).await;
    assert_eq!((denied.status, denied.text("error"), denied.reason()), (400, "access_denied", "denied"));
    assert!(!denied.body.to_string().contains("00ff"), "callers are not told what policy expects");
    let decision = broker.decision(denied.text("decision_id")).await;
    assert_eq!((decision.status, decision.text("outcome")), (200, "denied"));
    assert_eq!(decision.body["near_misses"][0]["policy"], "known-program");
    let atom = &decision.body["near_misses"][0]["failed"][0];
    let actual = decision.body["facts"]["principal"]["unix"]["executable_sha256"].as_str().unwrap();
    assert!(atom["expected"].as_str().unwrap().contains("00ff"), "{atom}");
    assert!(atom["actual"].as_str().unwrap().contains(actual), "{atom}");
    assert_eq!(decision.body["facts"]["policies_changed_since"], false);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_counted_and_remembered_without_a_record() {
    let setup = Setup::new(EVERYTHING);
    let broker = setup.start().await;
    let refused = broker.ask(&[NOTES], None).await;
    let explained = broker.decision(refused.text("decision_id")).await;
    assert_eq!((explained.status, explained.text("reason")), (200, "evidence_missing"));
    assert_eq!(broker.decision("b-nonsense").await.status, 400);
    let (_, metrics) = broker.admin("/metrics").await;
    let line = "symbolon_broker_token_answers_total{outcome=\"refused\",reason=\"evidence_missing\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    broker.stop().await;
    assert_eq!(recorded(&setup, "evidence_missing").await, 0);
}

/// How many decisions with this reason the store has.
async fn recorded(setup: &Setup, reason: &str) -> usize {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(setup.file("broker.db"));
    let mut store = options.connect().await.unwrap();
    let records: Vec<String> =
        sqlx::query_scalar("SELECT record FROM decisions").fetch_all(&mut store).await.unwrap();
    let records = records.iter().map(|record| serde_json::from_str::<serde_json::Value>(record).unwrap());
    records.filter(|record| record["reason"] == reason).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_policies_take_effect_and_broken_ones_do_not() {
    let setup = Setup::new("");
    let broker = setup.start().await;
    assert_eq!(broker.ask_local(&[NOTES], None).await.reason(), "denied");
    setup.policies(EVERYTHING);
    eventually(|| async { broker.ask_local(&[NOTES], None).await.status == 200 }).await;
    setup.policies("permit (principal, action, resource);");
    broker.reload();
    let refused = "symbolon_broker_policy_reloads_total{outcome=\"refused\"}";
    eventually(|| async { broker.admin("/metrics").await.1.contains(refused) }).await;
    assert_eq!(broker.ask_local(&[NOTES], None).await.status, 200);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undetermined_group_denies() {
    let setup = Setup::new(EVERYTHING);
    let groups = "groups: { shop: 'attested.client_id == \"batch\"' }\n";
    let broker = setup.try_start("http://127.0.0.1:0", groups).await.unwrap();
    let answer = broker.ask_local(&[NOTES], None).await;
    assert_eq!((answer.status, answer.reason()), (400, "group_undetermined"));
    let assertion = broker.jwt(&setup.client, "batch", "batch", 60);
    let fields = [NOTES, ("client_assertion_type", JWT_BEARER), ("client_assertion", &assertion)];
    assert_eq!(broker.ask(&fields, None).await.status, 200);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_is_ready_when_it_says_so_and_keeps_its_key() {
    let setup = Setup::new(EVERYTHING);
    let broker = setup.start().await;
    let ready: serde_json::Value =
        serde_json::from_slice(&fs::read(setup.file("ready.json")).unwrap()).unwrap();
    assert_eq!(ready["public"], broker.addresses.public);
    assert_eq!(ready["issuer"], format!("http://{}", broker.addresses.public));
    assert_eq!(broker.admin("/readyz").await.0, 200);
    let keys = |broker: Running| async move {
        let keys = broker.get("/.well-known/jwks.json", http::HeaderMap::new()).await.body;
        broker.stop().await;
        keys
    };
    let before = keys(broker).await;
    assert_eq!(keys(setup.start().await).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sealing_key_does_not_start_and_says_why() {
    let setup = Setup::new(EVERYTHING);
    setup.start().await.stop().await;
    setup.seal([8; 32]);
    let Err(error) = setup.try_start("http://127.0.0.1:0", "").await else {
        unreachable!("the key is another one")
    };
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    assert!(text.contains("the sealing key or passphrase is another one"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_trouble_is_an_outage_and_recovers_without_a_restart() {
    let setup = Setup::new(EVERYTHING);
    let broker = setup.start().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(setup.file("broker.db"));
    let mut other = options.connect().await.unwrap();
    let blocking = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let answer = broker.ask_local(&[NOTES], None).await;
    assert_eq!((answer.status, answer.text("error")), (503, "temporarily_unavailable"));
    assert_eq!(answer.reason(), "store_unavailable");
    assert!(answer.headers.contains_key("retry-after"));
    eventually(|| async { broker.admin("/readyz").await.0 == 503 }).await;
    blocking.rollback().await.unwrap();
    // Nobody asks us for anything while we are not ready: we notice by ourselves.
    eventually(|| async { broker.admin("/readyz").await.0 == 200 }).await;
    assert_eq!(broker.ask_local(&[NOTES], None).await.status, 200);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_asks_too_often_is_told_to_wait() {
    let setup = Setup::new(EVERYTHING);
    let limits = "limits: { requests_per_second: 1, burst: 3 }\n";
    let broker = setup.try_start("http://127.0.0.1:0", limits).await.unwrap();
    for _ in 0..3 {
        assert_eq!(broker.ask_local(&[NOTES], None).await.status, 200);
    }
    let answer = broker.ask_local(&[NOTES], None).await;
    assert_eq!((answer.status, answer.reason()), (429, "rate_limited"));
    assert!(answer.headers.contains_key("retry-after"));
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_policies_are_not_in_force_before_that_is_on_record() {
    let setup = Setup::new(EVERYTHING);
    let broker = setup.start().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(setup.file("broker.db"));
    let mut other = options.connect().await.unwrap();
    let blocking = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    setup.policies("");
    let unrecorded = "symbolon_broker_policy_reloads_total{outcome=\"refused\"}";
    eventually(|| async { broker.admin("/metrics").await.1.contains(unrecorded) }).await;
    let (_, metrics) = broker.admin("/metrics").await;
    assert!(metrics.contains("symbolon_broker_policies 1"), "the old ones stay: {metrics}");
    blocking.rollback().await.unwrap();
    // Nothing changes in the folder any more: it is tried again by itself.
    eventually(|| async { broker.ask_local(&[NOTES], None).await.reason() == "denied" }).await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_names_the_source_and_nobody_else_does() {
    let here = "@id(\"here\") permit (principal, action, resource)\n\
        when { context has source_ip && context.source_ip.isInRange(ip(\"198.51.100.0/24\")) };";
    let setup = Setup::new(here);
    let trusting = setup.try_start("http://127.0.0.1:0", "").await.unwrap();
    let ask = async |broker: &Running, forwarded: &str| {
        let assertion = broker.jwt(&setup.client, "batch", "batch", 60);
        let fields = [NOTES, ("client_assertion_type", JWT_BEARER), ("client_assertion", &assertion)];
        broker.ask_through(&fields, forwarded).await
    };
    assert_eq!(ask(&trusting, "198.51.100.1").await.reason(), "denied", "by default nobody is trusted");
    trusting.stop().await;
    let broker = setup.try_start_listening("trusted_proxies: [127.0.0.1/32]").await.unwrap();
    for (forwarded, is_permitted) in [
        ("198.51.100.1", true),
        ("192.0.2.1, 198.51.100.1", true),
        ("198.51.100.1, 127.0.0.1", true),
        ("198.51.100.1, 192.0.2.1", false),
        ("junk", false),
        ("198.51.100.1, junk", false),
    ] {
        let answer = ask(&broker, forwarded).await;
        assert_eq!(answer.status == 200, is_permitted, "{forwarded}: {answer:?}");
    }
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_do_not_arrive_keep_nobody_out() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let setup = Setup::new(EVERYTHING);
    // One source may have one request under way, and two bodies on their way.
    let limits = "limits: { concurrent_requests: 8 }\n";
    let broker = setup.try_start("http://127.0.0.1:0", limits).await.unwrap();
    let mut slow = tokio::net::TcpStream::connect(&broker.addresses.public).await.unwrap();
    let head =
        b"POST /oauth2/token HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
        Content-Length: 100\r\nExpect: 100-continue\r\n\r\n";
    slow.write_all(head).await.unwrap();
    let mut said = [0; 12];
    slow.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"HTTP/1.1 100", "its body is awaited now");
    assert_eq!(broker.ask(&[NOTES], None).await.reason(), "evidence_missing");
    assert_eq!(broker.ask_local(&[NOTES], None).await.status, 200);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_a_caller_gets_again_and_again_is_counted_and_not_recorded() {
    let setup = Setup::new("");
    let broker = setup.start().await;
    let mut ids = Vec::new();
    // Even if ten seconds end meanwhile, more than twenty fall into one of them.
    for _ in 0..50 {
        let denied = broker.ask_local(&[NOTES], None).await;
        assert_eq!(denied.reason(), "denied");
        ids.push(denied.text("decision_id").to_owned());
    }
    for id in &ids {
        let explained = broker.decision(id).await;
        assert_eq!(
            (explained.status, explained.text("reason")),
            (200, "denied"),
            "also what is on no record"
        );
    }
    assert_eq!(broker.ask_local(&[("audience", "orders")], None).await.reason(), "proof_missing");
    broker.stop().await;
    let kept = recorded(&setup, "denied").await;
    assert!((20..=40).contains(&kept), "{kept}");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(setup.file("broker.db"));
    let mut store = options.connect().await.unwrap();
    let lines: Vec<String> =
        sqlx::query_scalar("SELECT line FROM audit ORDER BY seq").fetch_all(&mut store).await.unwrap();
    let counted = lines.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let counted =
        counted.filter(|line| line["event.name"] == "refusals.counted" && line["reason"] == "denied");
    let counted: u64 = counted.map(|line| line["details"]["count"].as_u64().unwrap()).sum();
    assert_eq!(usize::try_from(counted).unwrap() + kept, ids.len(), "none is lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permit_that_cannot_be_evaluated_is_counted_and_on_record() {
    let setup = Setup::new(
        "@id(\"all\") permit (principal, action, resource);\n\
         @id(\"broken\") permit (principal, action, resource)\n\
         when { principal has unix && (principal.unix.uid + 1) * 9223372036854775807 * 4 > 0 };",
    );
    let broker = setup.start().await;
    assert_eq!(broker.ask_local(&[NOTES], None).await.status, 200);
    let (_, metrics) = broker.admin("/metrics").await;
    assert!(metrics.contains("symbolon_broker_policy_errors_total{effect=\"permit\"} 1"), "{metrics}");
    setup.policies(
        "@id(\"broken\") permit (principal, action, resource)\n\
         when { principal has unix && (principal.unix.uid + 1) * 9223372036854775807 * 4 > 0 };",
    );
    eventually(|| async { broker.ask_local(&[NOTES], None).await.reason() == "denied" }).await;
    let denied = broker.ask_local(&[NOTES], None).await;
    let decision = broker.decision(denied.text("decision_id")).await;
    assert_eq!(decision.body["facts"]["failed_policies"][0]["id"], "broken", "{decision:?}");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_finds_what_a_start_would_fail_on_and_leaves_no_trace() {
    let setup = Setup::new(EVERYTHING);
    setup.rehearse().await.unwrap();
    assert!(!setup.file("broker.db").exists());
    let broker = setup.start().await;
    setup.rehearse().await.unwrap();
    broker.stop().await;
    let files = || {
        let files = fs::read_dir(setup.folder.path()).unwrap();
        files.map(|file| file.unwrap().path()).collect::<BTreeSet<_>>()
    };
    let before = files();
    setup.rehearse().await.unwrap();
    setup.seal([8; 32]);
    let error = setup.rehearse().await.unwrap_err();
    assert!(format!("{error:?}").contains("DoesNotOpen"), "{error:?}");
    // The broker may tidy up behind us, but nothing of ours stays.
    assert!(files().is_subset(&before), "{:?}", files());
}

#[tokio::test]
async fn contradictions_and_traps_are_found_at_load() {
    let setup = Setup::new(EVERYTHING);
    for issuer in ["/:t", "/*x", "/{t}", "/a//b", "/a b", "/+", "/a,b"] {
        let said = setup.refused(&format!("http://127.0.0.1:0{issuer}"), "");
        assert!(said.contains("issuer"), "{issuer}: {said}");
    }
    for network in ["0.0.0.0/0", "169.254.0.0/16", "169.254.169.254/31", "fe80::/10"] {
        let said = setup.refused("http://127.0.0.1:0", &format!("outbound: {{ allow: ['{network}'] }}\n"));
        assert!(said.contains("only a single address"), "{network}: {said}");
    }
    let good = "outbound: { allow: ['169.254.169.254/32', '10.0.0.0/8', 'fd00:ec2::254/128'] }\n";
    assert_eq!(setup.refused("http://127.0.0.1:0/tenant-1/a.b_c~d/", good), "");
}

#[tokio::test]
async fn a_section_that_could_send_a_token_to_the_wrong_party_is_found_at_load() {
    let setup = Setup::new(EVERYTHING);
    let issuer = |name: &str, introspection: &str| {
        format!(
            "  - {{ name: {name}, issuer: \"https://{name}.test\", introspection: {{ client_id: us, {introspection} }} }}\n"
        )
    };
    let refused = |issuers: &[String]| {
        setup.refused("http://127.0.0.1:0", &format!("subject_issuers:\n{}", issuers.concat()))
    };
    fs::write(setup.file("client-secret"), "s3cret").unwrap();
    let secret = format!("${{file:{}}}", setup.file("client-secret").display());
    for good in [
        vec![issuer("a", "token_prefix: ''"), issuer("b", "jwts: true")],
        vec![issuer("a", "token_prefix: a_"), issuer("b", "token_prefix: b_")],
        vec![issuer(
            "a",
            "token_prefix: a_, endpoint: 'https://a.test/introspect', authentication: private_key_jwt",
        )],
        vec![issuer("a", &format!("token_prefix: a_, authentication: {{ client_secret: '{secret}' }}"))],
    ] {
        assert_eq!(refused(&good), "", "{good:?}");
    }
    for (said, bad) in [
        ("could be another issuer's", vec![issuer("a", "token_prefix: ''"), issuer("b", "token_prefix: b_")]),
        (
            "could be another issuer's",
            vec![issuer("a", "token_prefix: t_"), issuer("b", "token_prefix: t_b_")],
        ),
        ("could be another issuer's", vec![issuer("a", "token_prefix: t_"), issuer("b", "token_prefix: t_")]),
        ("asked about nothing", vec![issuer("a", "endpoint: 'https://a.test/introspect'")]),
        ("no bearer token", vec![issuer("a", "token_prefix: 'a b'")]),
        ("is no https URL", vec![issuer("a", "token_prefix: a_, endpoint: 'http://a.test/introspect'")]),
        ("is no https URL", vec![issuer("a", "token_prefix: a_, endpoint: 'http://127.0.0.1:1/introspect'")]),
        ("is no https URL", vec![issuer("a", "token_prefix: a_, endpoint: '/introspect'")]),
        ("zero", vec![issuer("a", "token_prefix: a_, concurrent_requests: 0")]),
        ("zero", vec![issuer("a", "token_prefix: a_, inactive_per_minute: 0")]),
        ("zero", vec![issuer("a", "token_prefix: a_, requests_per_second: 0")]),
        (
            "a secret is given as",
            vec![issuer("a", "token_prefix: a_, authentication: { client_secret: s3cret }")],
        ),
        (
            "look like a token",
            vec![issuer("a", "token_prefix: a_").replace("client_id: us", "client_id: 'http://127.0.0.1:0'")],
        ),
    ] {
        let found = refused(&bad);
        assert!(found.contains(said), "{bad:?}: {found}");
    }
}
