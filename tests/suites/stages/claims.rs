//! Claims of a resource from the broker to a condition at the gateway.
//! Not here: what evidence proves.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use symbolon_e2e::api::Api;
use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::issuer::{TestIssuer, decode, encode, random};
use symbolon_e2e::machine::{now, uid};
use symbolon_e2e::process::binary;
use symbolon_e2e::programs::{Broker, Gateway};

const CLIENT: &str = "tester";
const NOTES: &str = "https://notes.test";
const USUAL: &str = "binding: bearer_allowed }";

/// A broker whose resource `notes` adds these claims.
async fn broker(client: &TestIssuer, claims: &str) -> Broker {
    let mut broker = Broker::start(CLIENT, &client.jwks().to_string(), "limits: { targets: 2 }\n").await;
    broker.process.stop(Signal::TERM).await;
    add(&broker.folder.path().join("broker.yaml"), claims);
    broker.restart().await;
    broker
}

fn add(file: &Path, claims: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(USUAL));
    fs::write(file, text.replace(USUAL, &format!("binding: bearer_allowed, claims: {{ {claims} }} }}")))
        .unwrap();
}

async fn by_socket(broker: &Broker) -> Answer {
    let fields = [("grant_type", "client_credentials"), ("resource", NOTES)];
    Call::form("/oauth2/token", &fields).send(broker.socket().as_path()).await.unwrap()
}

async fn by_assertion(broker: &Broker, client: &TestIssuer) -> Answer {
    let claims = json!({
        "iss": CLIENT, "sub": CLIENT, "aud": broker.url, "jti": encode(&random()), "iat": now(), "exp": now() + 60
    });
    let assertion = client.sign(&json!({"alg": "ES256", "typ": "JWT", "kid": "test-key-1"}), &claims);
    let fields = [
        ("grant_type", "client_credentials"),
        ("resource", NOTES),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion.as_str()),
    ];
    Call::form("/oauth2/token", &fields).send(broker.address).await.unwrap()
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&decode(token.split('.').nth(1).unwrap())).unwrap()
}

#[tokio::test]
async fn a_claim_of_attested_facts_reaches_a_condition_at_the_gateway() {
    let client = TestIssuer::new(CLIENT);
    let broker = broker(
        &client,
        "uid: attested.uid, method: workload.method, local: 'workload.provider == \"local\"'",
    )
    .await;
    let token = by_socket(&broker).await.text("access_token");
    let said = claims(&token);
    assert_eq!(
        (&said["uid"], &said["method"], &said["local"]),
        (&json!(uid()), &json!("unix"), &json!(true))
    );

    let api = Api::start().await;
    let config = |uid: u32| {
        format!(
            "issuers: [{{ name: broker, issuer: \"{url}\", dev: true, audiences: [\"{NOTES}\"], binding: when_bound }}]\n\
             routes:\n\
             \x20 - name: notes\n\
             \x20   match: {{ path: /notes/** }}\n\
             \x20   resource: \"{NOTES}\"\n\
             \x20   upstream: {{ url: \"http://{api}\" }}\n\
             \x20   stages:\n\
             \x20     - verify: {{ issuers: [broker] }}\n\
             \x20     - {{ verify: {{ issuers: [broker], scopes: [\"notes:write\"] }}, when: 'token.claims.uid != {uid} || token.claims.method != \"unix\"' }}\n",
            url = broker.url,
            api = api.address
        )
    };
    let call = Call::get("/notes/1").bearer(&token);
    let gateway = Gateway::start(&config(uid()), &[]).await;
    gateway.ready().await;
    assert_eq!(call.clone().send(gateway.address).await.unwrap().status, 200);
    let stricter = Gateway::start(&config(uid() + 1), &[]).await;
    stricter.ready().await;
    let refused = call.send(stricter.address).await.unwrap();
    assert_eq!((refused.status, refused.text("code").as_str()), (403, "insufficient_scope"));
}

#[tokio::test]
async fn a_claim_that_cannot_be_told_refuses_and_what_was_told_is_on_record() {
    let client = TestIssuer::new(CLIENT);
    let broker = broker(&client, "uid: attested.uid").await;
    let refused = by_assertion(&broker, &client).await;
    assert_eq!((refused.status, refused.text("error").as_str()), (400, "access_denied"));
    assert!(
        refused.text("error_description").starts_with("claim_undetermined"),
        "{}",
        refused.text("error_description")
    );
    assert!(refused.json().get("access_token").is_none());
    let document = explain(&broker, &refused.text("decision_id")).await;
    assert_eq!(
        (&document["reason"], &document["outcome"]),
        (&json!("claim_undetermined"), &json!("refused"))
    );
    assert!(document["detail"].as_str().unwrap().contains("`uid`"), "{document}");

    assert_eq!(by_socket(&broker).await.status, 200);
    let url = format!("sqlite://{}?mode=ro", broker.folder.path().join("broker.db").display());
    let mut store = SqliteConnection::connect(&url).await.unwrap();
    let lines: Vec<String> =
        sqlx::query_scalar("SELECT line FROM audit").fetch_all(&mut store).await.unwrap();
    let issued = lines.iter().find(|line| line.contains("token.issued")).unwrap();
    let id = issued.split("\"decision_id\":\"").nth(1).unwrap().split('"').next().unwrap();
    let document = explain(&broker, id).await;
    assert_eq!(document["facts"]["token"]["claims"], json!({"uid": uid()}), "{document}");
}

async fn explain(broker: &Broker, id: &str) -> Value {
    let call = Call::get(&format!("/v1/decisions/{id}"));
    call.send(broker.admin_socket().as_path()).await.unwrap().json()
}

#[tokio::test]
async fn claims_that_cannot_be_are_refused_at_load() {
    let client = TestIssuer::new(CLIENT);
    let broker = Broker::start(CLIENT, &client.jwks().to_string(), "").await;
    let file = broker.folder.path().join("broker.yaml");
    let good = fs::read_to_string(&file).unwrap();
    for (written, message) in [
        ("sub: workload.id", "has a meaning of its own"),
        ("Scope: workload.id", "has a meaning of its own"),
        ("may_act: workload.id", "has a meaning of its own"),
        ("\"a b\": workload.id", "printable ASCII"),
        ("tenant: attested.uidd", "did you mean `uid`?"),
        ("tenant: subject.id", "unknown variable `subject`"),
        ("tenant: workload", "this is a record"),
        ("tenant: '1.5'", "this is a double"),
    ] {
        fs::write(&file, &good).unwrap();
        add(&file, written);
        let mut command = Command::new(binary("symbolon-broker"));
        command.args(["config", "validate", "--config"]).arg(&file).stdin(Stdio::null());
        let run = command.output().unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(3), "{written}: {said}");
        assert!(said.contains("resources[0].claims") && said.contains(message), "{written}: {said}");
    }
}

#[tokio::test]
async fn a_token_for_several_targets_has_the_claims_of_all_unless_they_differ() {
    let resource = |name: &str, more: &str| {
        format!(
            "  - {{ name: {name}, audience: \"https://{name}.test\", binding: bearer_allowed, groups: [open], {more} }}\n"
        )
    };
    let rest = [
        resource("one", "claims: { uid: attested.uid, method: workload.method }"),
        resource("two", "claims: { uid: attested.uid, tier: '\"gold\"' }"),
        resource("three", "claims: { uid: '\"another\"' }"),
        resource("four", "algorithm: EdDSA"),
        "limits: { targets: 2 }\n".to_owned(),
    ];
    let broker = Broker::start(CLIENT, &TestIssuer::new(CLIENT).jwks().to_string(), &rest.concat()).await;
    let socket = broker.socket();
    let buy = async |names: &[&str]| {
        let targets: Vec<String> = names.iter().map(|name| format!("https://{name}.test")).collect();
        let targets = targets.iter().map(|target| ("resource", target.as_str()));
        let fields: Vec<_> = [("grant_type", "client_credentials")].into_iter().chain(targets).collect();
        Call::form("/oauth2/token", &fields).send(socket.as_path()).await.unwrap()
    };
    let both = buy(&["one", "two"]).await;
    assert_eq!(both.status, 200, "{}", both.text("error_description"));
    let said = claims(&both.text("access_token"));
    assert_eq!(
        (&said["uid"], &said["method"], &said["tier"]),
        (&json!(uid()), &json!("unix"), &json!("gold"))
    );
    for name in ["one", "three", "four"] {
        assert_eq!(buy(&[name]).await.status, 200, "{name}");
    }
    for names in [["one", "three"], ["three", "two"], ["one", "four"]] {
        let answer = buy(&names).await;
        assert_eq!((answer.status, answer.text("error").as_str()), (400, "invalid_target"), "{names:?}");
    }
}
