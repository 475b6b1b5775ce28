//! The forms and the failures of introspection (RFC 7662 §2) and revocation (RFC 7009 §2).
//! Not here: whom a token concerns.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use symbolon_e2e::http::Call;
use symbolon_e2e::issuer::TestIssuer;
use symbolon_e2e::machine::now;
use symbolon_e2e::process::wait_for;
use symbolon_e2e::programs::Broker;
use symbolon_identity::Timestamp;
use symbolon_jws::Algorithm;
use symbolon_proof::{ProofKey, ProofRequest};

use super::{BACK, Exchanging, FRONT, assert_refused, claims, said};

const INTROSPECT: &str = "/oauth2/introspect";
const REVOKE: &str = "/oauth2/revoke";

impl Exchanging {
    /// Whether a token is good, by the answer to the client that operates what it is for.
    async fn is_active(&self, token: &str) -> Value {
        self.post(0, INTROSPECT, &[("token", token)]).await.json()["active"].clone()
    }
}

#[tokio::test]
async fn only_a_posted_form_is_read_at_these_endpoints_too() {
    let exchanging = Exchanging::start().await;
    let (broker, token) = (&exchanging.broker, exchanging.front_token().await);
    for path in [INTROSPECT, REVOKE] {
        let asked = format!("{path}?token={token}");
        let answer = Call::get(&asked).send(broker.address).await.unwrap();
        assert_eq!((answer.status, answer.header("allow").as_str()), (405, "POST"), "{path}");
        let fields = [("token", token.as_str())];
        let twice = [fields[0], fields[0]];
        for (what, call) in [
            ("a query", Call::form(&asked, &fields)),
            ("JSON", Call::json(path, &json!({"token": token}))),
            ("a token twice", Call::form(path, &twice)),
            ("no token", Call::form(path, &[])),
        ] {
            let answer = call.send(broker.socket().as_path()).await.unwrap();
            assert_refused(&format!("{path}: {what}"), &answer, "invalid_request", "malformed_request");
        }
        // X19: a page in a browser neither asks nor learns that it may not.
        let page = Call::form(path, &fields).header("origin", "https://evil.test");
        let answer = page.send(broker.socket().as_path()).await.unwrap();
        assert_eq!(answer.status, 403, "{}", said(&answer));
        assert!(answer.text("error_description").starts_with("origin_not_allowed"), "{}", said(&answer));
        assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
        let stranger = Call::form(path, &fields).send(broker.address).await.unwrap();
        assert_eq!((stranger.status, stranger.text("error").as_str()), (401, "invalid_client"), "{path}");
        assert!(!stranger.header("www-authenticate").is_empty());
    }
    assert_eq!(exchanging.is_active(&token).await, true, "nothing of this revoked it");
}

#[tokio::test]
async fn nobody_tries_tokens_out_without_end() {
    let limits = "limits: { requests_per_second: 1, burst: 3 }\n";
    for path in [INTROSPECT, REVOKE] {
        let broker = Broker::start("tester", &TestIssuer::new("tester").jwks().to_string(), limits).await;
        let mut answers = Vec::new();
        for _ in 0..20 {
            let call = Call::form(path, &[("token", "guessed")]);
            answers.push(call.send(broker.socket().as_path()).await.unwrap());
        }
        assert_eq!(answers[0].status, 200, "{path}");
        let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
        assert!(!refused.is_empty(), "{path}: twenty at once, three and one a second are allowed");
        for answer in refused {
            assert_eq!(answer.status, 429, "{path}: {}", said(answer));
            assert!(answer.text("error_description").starts_with("rate_limited"), "{}", said(answer));
            assert!(!answer.header("retry-after").is_empty());
        }
    }
}

#[tokio::test]
async fn who_gives_back_what_is_anothers_has_the_same_allowance() {
    let exchanging = Exchanging::start().await;
    let subject = exchanging.front_token().await;
    let mut statuses = Vec::new();
    for _ in 0..8 {
        let answer = exchanging.post(2, REVOKE, &[("token", subject.as_str())]).await;
        statuses.push(answer.status);
    }
    // The hour of the clock may end once on the way.
    assert!(statuses.starts_with(&[200]) && statuses.contains(&429), "{statuses:?}");
    assert_eq!(exchanging.pass_on(0, &subject, BACK).await.status, 200, "and it is not taken back");
}

#[tokio::test]
async fn a_hint_never_hides_a_token() {
    let exchanging = Exchanging::start().await;
    for hint in ["access_token", "refresh_token", "nonsense"] {
        let token = exchanging.front_token().await;
        let fields = [("token", token.as_str()), ("token_type_hint", hint)];
        assert_eq!(exchanging.post(0, INTROSPECT, &fields).await.json()["active"], true, "{hint}");
        let call = Call::form(REVOKE, &fields);
        assert_eq!(call.send(exchanging.broker.socket().as_path()).await.unwrap().status, 200);
        assert_eq!(exchanging.is_active(&token).await, false, "{hint}");
    }
}

#[tokio::test]
async fn a_bound_token_says_which_key_it_is_bound_to() {
    let exchanging = Exchanging::start().await;
    let (key, broker) = (ProofKey::generate(Algorithm::Es256).unwrap(), &exchanging.broker);
    let target = format!("{}/oauth2/token", broker.url);
    let request = ProofRequest { method: "POST", target_uri: &target, access_token: None, nonce: None };
    let proof = key.prove(&request, Timestamp::from_secs(now()).unwrap()).unwrap();
    let fields = [("grant_type", "client_credentials"), ("resource", FRONT), ("scope", "front:read")];
    let call = Call::form("/oauth2/token", &fields).header("dpop", &proof);
    let answer = call.send(broker.socket().as_path()).await.unwrap();
    assert_eq!(answer.text("token_type"), "DPoP", "{}", said(&answer));
    let seen = exchanging.post(0, INTROSPECT, &[("token", &answer.text("access_token"))]).await;
    assert!(seen.header("content-type").starts_with("application/json"), "{:?}", seen.headers);
    let seen = seen.json();
    assert_eq!((&seen["active"], &seen["token_type"]), (&json!(true), &json!("DPoP")));
    assert_eq!(seen["cnf"], json!({"jkt": key.thumbprint().to_string()}));
}

#[tokio::test]
async fn a_token_that_has_expired_is_inactive_and_buys_nothing() {
    let short = "@id(\"short\") @ttl(\"2s\") permit (principal, action == Symbolon::Action::\"issue\", resource == Symbolon::Resource::\"front\");\n";
    let exchanging = Exchanging::start_with("", short).await;
    let token = exchanging.front_token().await;
    assert_eq!(exchanging.is_active(&token).await, true);
    wait_for("the token expires", Duration::from_secs(20), async || {
        exchanging.is_active(&token).await == false
    })
    .await;
    assert!(claims(&token)["exp"].as_u64().unwrap() <= now());
    let answer = exchanging.post(0, INTROSPECT, &[("token", &token)]).await;
    assert_eq!(answer.json(), json!({"active": false}));
    let answer = exchanging.pass_on(0, &token, BACK).await;
    assert_refused("X4 an expired token of ours", &answer, "invalid_request", "expired");
}

#[tokio::test]
async fn a_revocation_that_cannot_be_put_on_record_is_an_outage_and_no_success() {
    let exchanging = Exchanging::start().await;
    let token = exchanging.front_token().await;
    let file = exchanging.broker.folder.path().join("broker.db");
    let mut other = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    let blocking = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let give_back = Call::form(REVOKE, &[("token", token.as_str())]);
    let answer = give_back.clone().send(exchanging.broker.socket().as_path()).await.unwrap();
    assert_eq!(
        (answer.status, answer.text("error").as_str()),
        (503, "temporarily_unavailable"),
        "X10: {}",
        said(&answer)
    );
    assert!(!answer.header("retry-after").is_empty());
    ready(&exchanging, 503).await;
    blocking.rollback().await.unwrap();
    ready(&exchanging, 200).await;
    assert_eq!(exchanging.is_active(&token).await, true, "what was refused still stands");
    let answer = give_back.send(exchanging.broker.socket().as_path()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", said(&answer));
    assert_eq!(exchanging.is_active(&token).await, false);
}

async fn ready(exchanging: &Exchanging, status: u16) {
    wait_for("the store is noticed", Duration::from_secs(20), async || {
        let answer = Call::get("/readyz").send(exchanging.broker.admin).await.unwrap();
        answer.status == status
    })
    .await;
}
