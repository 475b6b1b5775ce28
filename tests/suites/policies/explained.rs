use std::fs;

use serde_json::{Value, json};
use symbolon_e2e::http::Call;
use symbolon_e2e::machine::uid;
use symbolon_identity::ReasonCode;

use super::{Judging, said};

fn stages(document: &Value) -> Vec<(String, String)> {
    let text = |stage: &Value, member: &str| stage[member].as_str().unwrap_or_default().to_owned();
    let all = document["stages"].as_array().cloned().unwrap_or_default();
    all.iter().map(|stage| (text(stage, "stage"), text(stage, "outcome"))).collect()
}

#[tokio::test]
async fn a_denial_is_explained_stage_by_stage_down_to_the_condition() {
    let judging = Judging::start("").await;
    let denied = judging.ask("notes:write").await;
    let id = denied.text("decision_id");
    let run = judging.symbolon(&["explain", &id, "-o", "json"]);
    assert_eq!(run.status.code(), Some(2), "{}", said(&run));
    let document: Value = serde_json::from_slice(&run.stdout).unwrap();
    let expected = [
        ("received", "passed"),
        ("evidence", "passed"),
        ("caller", "passed"),
        ("target", "passed"),
        ("policy", "stopped"),
        ("token", "not_reached"),
    ];
    assert_eq!(stages(&document), expected.map(|(stage, outcome)| (stage.to_owned(), outcome.to_owned())));
    let nearest = &document["near_misses"][0];
    assert_eq!(nearest["policy"], "local-notes");
    assert!(nearest["place"].as_str().unwrap().ends_with("test.cedar:3"), "{nearest}");
    assert_eq!(nearest["failed"][0]["condition"], "context.scope == \"notes:read\"");
    assert_eq!(nearest["failed"][0]["actual"], "\"notes:write\"");
    assert_eq!(nearest["failed"][0]["source"], "the request");
    assert_eq!(document["smallest_change"], json!(["context.scope == \"notes:read\""]));
    let page = judging.symbolon(&["explain", &id]);
    let text = said(&page);
    for line in [
        "  ✓ target    resource `notes`, scope \"notes:write\"",
        "  · token     not reached",
        "     ✗ context.scope == \"notes:read\"",
        "         actual    \"notes:write\"   from the request",
        "  would be allowed if   context.scope == \"notes:read\"",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}\nis missing in\n{text}");
    }
    assert!(text.contains(&format!("principal.unix.uid == {}", uid())), "{text}");
}

#[tokio::test]
async fn what_is_allowed_and_what_is_refused_beside_policy_has_its_stages_too() {
    let judging = Judging::start("").await;
    let explain = |id: String| {
        let run = judging.symbolon(&["explain", &id, "-o", "json"]);
        (run.status.code(), serde_json::from_slice::<Value>(&run.stdout).unwrap_or_default())
    };
    let unknown = [("grant_type", "client_credentials"), ("resource", "https://nowhere.test")];
    let refused =
        Call::form("/oauth2/token", &unknown).send(judging.broker.socket().as_path()).await.unwrap();
    let (code, document) = explain(refused.text("decision_id"));
    assert_eq!(code, Some(2));
    assert_eq!(stages(&document)[3], ("target".to_owned(), "stopped".to_owned()), "{document}");
    let unbound = [("grant_type", "client_credentials"), ("resource", "https://orders.test")];
    let refused =
        Call::form("/oauth2/token", &unbound).send(judging.broker.socket().as_path()).await.unwrap();
    let (_, document) = explain(refused.text("decision_id"));
    assert_eq!((&document["reason"], &document["outcome"]), (&json!("proof_missing"), &json!("refused")));
    assert_eq!(stages(&document)[3].1, "stopped");
    assert_eq!(judging.ask("notes:read").await.status, 200);
    let (code, document) = explain(judging.last_allowed().await);
    assert_eq!(code, Some(0));
    assert!(stages(&document).iter().all(|(_, outcome)| outcome == "passed"), "{document}");
    assert_eq!(document["policies"], json!(["local-notes"]));
}

#[tokio::test]
async fn a_forbid_is_shown_with_its_owner_and_what_would_lift_it() {
    let judging = Judging::start("").await;
    let text = "@id(\"freeze\") @owner(\"team-security\") @runbook(\"https://runbooks.test/freeze\") @reason(\"year end\")\n\
                forbid (principal, action == Symbolon::Action::\"issue\", resource) when { context.scope like \"notes:*\" };";
    let before = judging.loaded().await;
    fs::write(judging.policies().join("freeze.cedar"), text).unwrap();
    judging.reaches("symbolon_broker_policies", before + 1).await;
    let id = judging.ask("notes:read").await.text("decision_id");
    let page = judging.symbolon(&["explain", &id]);
    let text = said(&page);
    assert!(text.contains("forbids     freeze") && text.contains("owner team-security"), "{text}");
    assert!(
        text.contains("runbook   https://runbooks.test/freeze") && text.contains("because   year end"),
        "{text}"
    );
    assert!(text.contains("would be allowed if   !(context.scope like \"notes:*\")"), "{text}");
}

#[tokio::test]
async fn a_forbid_that_cannot_be_evaluated_is_named_with_its_error() {
    let judging = Judging::start("").await;
    let text = "@id(\"overflows\") forbid (principal, action == Symbolon::Action::\"issue\", resource) \
                when { principal has unix && principal.unix.uid + 9223372036854775807 + 1 > 0 };";
    let before = judging.loaded().await;
    fs::write(judging.policies().join("overflows.cedar"), text).unwrap();
    judging.reaches("symbolon_broker_policies", before + 1).await;
    let refused = judging.ask("notes:read").await;
    assert_eq!(refused.status, 400);
    assert!(refused.text("error_description").starts_with("undetermined:"), "{}", refused.json());
    let run = judging.symbolon(&["explain", &refused.text("decision_id"), "-o", "json"]);
    let document: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(stages(&document)[4], ("policy".to_owned(), "stopped".to_owned()), "{document}");
    let shown = document["forbids"].to_string();
    assert!(shown.contains("overflows") && shown.contains("error: "), "{document}");
}

#[tokio::test]
async fn a_workload_may_read_its_own_decision_and_nothing_of_the_policies() {
    let judging = Judging::start("").await;
    let id = judging.ask("notes:write").await.text("decision_id");
    let own = async |id: &str| {
        let call = Call::get(&format!("/v1/decisions/{id}"));
        call.send(judging.broker.socket().as_path()).await.unwrap()
    };
    let answer = own(&id).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store".to_owned()));
    let told = answer.json();
    assert_eq!((&told["reason"], &told["outcome"]), (&json!("denied"), &json!("denied")));
    assert_eq!(told["failed"], json!(["context.scope"]));
    let members: Vec<&String> = told.as_object().unwrap().keys().collect();
    assert_eq!(members, ["id", "time", "outcome", "reason", "failed"], "{told}");
    for secret in ["notes:read", "local-notes", "permit", "uid"] {
        assert!(!told.to_string().contains(secret), "{secret} is told: {told}");
    }
    for nobodys in ["b-00000000000000000000000000", "nonsense", "g-00000000000000000000000000"] {
        assert_eq!(own(nobodys).await.status, 404, "{nobodys}");
    }
    let list = Call::get("/v1/decisions").send(judging.broker.socket().as_path()).await.unwrap();
    assert_eq!(list.status, 404, "the list is for operators");
}

#[tokio::test]
async fn a_workload_may_not_read_the_decision_of_another() {
    let client = symbolon_e2e::issuer::TestIssuer::new("tester");
    let broker = symbolon_e2e::programs::Broker::start("tester", &client.jwks().to_string(), "").await;
    let claims = json!({
        "iss": "tester", "sub": "tester", "aud": broker.url, "jti": "one", "iat": symbolon_e2e::machine::now(),
        "exp": symbolon_e2e::machine::now() + 60
    });
    let assertion = client.sign(&json!({"alg": "ES256", "typ": "JWT", "kid": "test-key-1"}), &claims);
    let fields = [
        ("grant_type", "client_credentials"),
        ("resource", "https://notes.test"),
        ("scope", "notes:write"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion.as_str()),
    ];
    let denied = Call::form("/oauth2/token", &fields).send(broker.address).await.unwrap();
    assert_eq!(denied.text("error"), "access_denied", "{}", String::from_utf8_lossy(&denied.body));
    let path = format!("/v1/decisions/{}", denied.text("decision_id"));
    let others = Call::get(&path).send(broker.socket().as_path()).await.unwrap();
    assert_eq!(others.status, 404);
    assert_eq!(Call::get(&path).send(broker.admin_socket().as_path()).await.unwrap().status, 200);
    assert_eq!(Call::get(&path).send(broker.address).await.unwrap().status, 404);
}

#[test]
fn every_reason_code_is_explained_in_one_line() {
    for code in ReasonCode::ALL {
        let mut command = std::process::Command::new(symbolon_e2e::process::binary("symbolon"));
        let run = command.args(["explain", code.as_str()]).output().unwrap();
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        assert_eq!(run.status.code(), Some(0), "{code}");
        let (meaning, next) = text.trim_end().split_once("; ").unwrap_or((text.trim_end(), ""));
        assert_eq!(text.lines().count(), 1, "{code}: {text}");
        assert!(meaning.len() > 10 && next.len() > 5, "{code} says no next step: {text}");
    }
}
