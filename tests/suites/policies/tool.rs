use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use symbolon_e2e::http::Call;
use symbolon_e2e::issuer::TestIssuer;
use symbolon_e2e::machine::now;
use symbolon_e2e::process::{binary, workspace};
use symbolon_e2e::programs::Broker;

use super::{Judging, said};

fn symbolon(arguments: &[&str]) -> Output {
    Command::new(binary("symbolon")).env_clear().args(arguments).output().unwrap()
}

fn json_of(run: &Output) -> Value {
    serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(run)))
}

#[test]
fn lint_tells_errors_with_their_place_and_what_a_reviewer_would_ask() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    fs::write(folder.path().join("a.cedar"), "@id(\"a\")\npermit (principal, action, resource);").unwrap();
    let run = symbolon(&["policy", "lint", path, "-o", "json"]);
    assert_eq!(run.status.code(), Some(0));
    let rules: Vec<Value> =
        json_of(&run)["warnings"].as_array().unwrap().iter().map(|it| it["rule"].clone()).collect();
    assert_eq!(rules, ["no_condition", "no_owner", "any_principal"]);
    assert!(
        said(&symbolon(&["policy", "lint", path]))
            .contains("a.cedar:1:1: warning: `a` permits without a condition")
    );
    fs::write(
        folder.path().join("b.cedar"),
        "@id(\"b\")\npermit (principal, action, resource) when { principal.x };",
    )
    .unwrap();
    let run = symbolon(&["policy", "lint", path, "-o", "json"]);
    assert_eq!(run.status.code(), Some(3), "{}", said(&run));
    assert_eq!(json_of(&run)["errors"][0]["line"], 2);
    fs::write(folder.path().join("b.cedar"), "@id(\"b\") permit (principal, action, resource) when { context.local.berlin.weekday == \"monday\" };").unwrap();
    assert_eq!(symbolon(&["policy", "lint", path]).status.code(), Some(3));
    assert_eq!(symbolon(&["policy", "lint", path, "--local-time", "berlin"]).status.code(), Some(0));
    assert_eq!(symbolon(&["policy", "lint", path, "--local-time", "Not A Name"]).status.code(), Some(64));
    assert_eq!(symbolon(&["policy", "lint", "/nonexistent"]).status.code(), Some(3));
}

#[test]
fn test_runs_the_stories_and_tells_what_no_test_decides() {
    let story = workspace().join("policies/examples/one-service-reads-one-api");
    let run = symbolon(&["policy", "test", story.to_str().unwrap(), "-o", "json"]);
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    assert_eq!((&json_of(&run)["failed"], &json_of(&run)["untested"]), (&json!(0), &json!([])));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    copy(&story, folder.path());
    fs::write(
        folder.path().join("new.cedar"),
        "@id(\"lonely\") permit (principal in Symbolon::Group::\"x\", action, resource);",
    )
    .unwrap();
    let run = symbolon(&["policy", "test", path]);
    assert!(
        run.status.code() == Some(0) && said(&run).contains("no test is decided by `lonely`"),
        "{}",
        said(&run)
    );
    assert_eq!(symbolon(&["policy", "test", path, "--require-coverage"]).status.code(), Some(1));
    let text = fs::read_to_string(folder.path().join("policy.cedar")).unwrap();
    fs::write(
        folder.path().join("policy.cedar"),
        text.replacen("permit", "forbid", 1).replacen("@ttl(\"5m\")\n", "", 1),
    )
    .unwrap();
    let run = symbolon(&["policy", "test", path]);
    assert!(run.status.code() == Some(1) && said(&run).contains("✗ the shop reads orders"), "{}", said(&run));
    fs::write(folder.path().join("tests.json"), "[]").unwrap();
    assert_eq!(symbolon(&["policy", "test", path]).status.code(), Some(3));
}

fn copy(from: &Path, to: &Path) {
    for name in ["policy.cedar", "tests.json"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

#[tokio::test]
async fn a_recorded_decision_is_put_to_other_policies() {
    let judging = Judging::start("").await;
    let id = judging.ask("notes:write").await.text("decision_id");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let simulate = |text: &str| {
        fs::write(folder.path().join("a.cedar"), text).unwrap();
        let run =
            judging.symbolon(&["policy", "simulate", "--decision", &id, "--policies", path, "-o", "json"]);
        (run.status.code(), json_of(&run))
    };
    let (code, simulated) = simulate("@id(\"a\") permit (principal, action, resource);");
    assert_eq!(
        (code, &simulated["change"], &simulated["after"]),
        (Some(0), &json!("gained"), &json!("allowed"))
    );
    let (code, simulated) =
        simulate("@id(\"a\") permit (principal, action, resource) when { context.key_bound };");
    assert_eq!((code, &simulated["change"]), (Some(2), &json!("unchanged")));
    assert_eq!(simulated["questions"][0]["smallest_change"], json!(["context.key_bound"]));
    let overflow = "@id(\"a\") forbid (principal, action, resource) when { principal has unix && principal.unix.uid * 9223372036854775807 - 9223372036854775807 > 0 };";
    let (code, _) = simulate(overflow);
    assert!(code == Some(4) || code == Some(2), "{code:?}");
    fs::write(folder.path().join("a.cedar"), "permit").unwrap();
    let run = judging.symbolon(&["policy", "simulate", "--decision", &id, "--policies", path]);
    assert_eq!(run.status.code(), Some(3));
    let nobody = ["policy", "simulate", "--decision", "b-00000000000000000000000000", "--policies", path];
    assert_eq!(judging.symbolon(&nobody).status.code(), Some(1));
    assert_eq!(judging.ask("notes:read").await.status, 200);
    let allowed = judging.last_allowed().await;
    fs::remove_file(folder.path().join("a.cedar")).unwrap();
    let run = judging.symbolon(&["policy", "simulate", "--decision", &allowed, "--policies", path]);
    assert!(run.status.code() == Some(2) && said(&run).starts_with("LOST"), "{}", said(&run));
}

#[tokio::test]
async fn a_permit_for_a_group_tells_who_else_would_be_admitted() {
    let groups = "groups: { testers: 'true', locals: 'workload.provider == \"local\"' }\n";
    let client = TestIssuer::new("tester");
    let judging = Judging { broker: Broker::start("tester", &client.jwks().to_string(), groups).await };
    let claims = json!({
        "iss": "tester", "sub": "tester", "aud": judging.broker.url, "jti": "one", "iat": now(), "exp": now() + 60
    });
    let assertion = client.sign(&json!({"alg": "ES256", "typ": "JWT", "kid": "test-key-1"}), &claims);
    let fields = [
        ("grant_type", "client_credentials"),
        ("resource", "https://notes.test"),
        ("scope", "notes:write"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion.as_str()),
    ];
    let other = Call::form("/oauth2/token", &fields).send(judging.broker.address).await.unwrap();
    assert_eq!(other.text("error"), "access_denied", "{}", String::from_utf8_lossy(&other.body));
    let id = judging.ask("notes:write").await.text("decision_id");
    let new =
        |group: &str| judging.symbolon(&["policy", "new", "--from", &id, "--group", group, "-o", "json"]);
    let everybody = json_of(&new("testers"));
    let expected =
        json!([{"workload": "spiffe://test.example/client/tester", "target": "notes", "decisions": 1}]);
    assert_eq!(everybody["would_also_admit"], expected, "{everybody}");
    assert_eq!(json_of(&new("locals"))["would_also_admit"], json!([]));
    assert_eq!(new("strangers").status.code(), Some(64));
}

#[tokio::test]
async fn a_permit_is_written_for_a_denial_with_tests_that_pass_and_lets_it_through() {
    let judging = Judging::start("").await;
    let id = judging.ask("notes:write").await.text("decision_id");
    let printed = judging.symbolon(&["policy", "new", "--from", &id, "--owner", "team-notes"]);
    assert_eq!(printed.status.code(), Some(0), "{}", said(&printed));
    assert!(
        said(&printed).contains("would admit nobody else among the last 1 recorded decisions"),
        "{}",
        said(&printed)
    );
    let before = judging.loaded().await;
    let folder = judging.policies();
    let path = folder.to_str().unwrap();
    let arguments =
        ["policy", "new", "--from", &id, "--owner", "team-notes", "--id", "writes", "--into", path];
    let written = judging.symbolon(&arguments);
    assert_eq!(written.status.code(), Some(0), "{}", said(&written));
    let tested = symbolon(&["policy", "test", path]);
    assert_eq!(tested.status.code(), Some(0), "{}", said(&tested));
    assert!(said(&tested).contains("writes notes:write is allowed"), "{}", said(&tested));
    judging.reaches("symbolon_broker_policies", before + 1).await;
    assert_eq!(judging.ask("notes:write").await.status, 200);
    let again = judging.symbolon(&arguments);
    assert_eq!(again.status.code(), Some(1), "a policy is never overwritten: {}", said(&again));
}
