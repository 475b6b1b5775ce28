//! Introspection (RFC 7662) and revocation (RFC 7009): by whom, about what, and from when on: X2, X10–X13.
//! Not here: the gateway, which learns of revocations by the feed.

use std::time::Duration;

use serde_json::{Value, json};
use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::process::wait_for;

use super::{BACK, CLIENT, Exchanging, assert_refused, local, said, workload};

const INTROSPECT: &str = "/oauth2/introspect";
const REVOKE: &str = "/oauth2/revoke";

impl Exchanging {
    async fn ask(&self, client: usize, token: &str) -> Value {
        let answer = self.post(client, INTROSPECT, &[("token", token)]).await;
        assert_eq!(
            (answer.status, answer.header("cache-control").as_str()),
            (200, "no-store"),
            "{}",
            said(&answer)
        );
        answer.json()
    }

    async fn give_back(&self, client: usize, token: &str) -> Answer {
        self.post(client, REVOKE, &[("token", token), ("token_type_hint", "access_token")]).await
    }

    async fn operator(&self, order: &Value) -> Answer {
        let call = Call::json("/v1/revocations", order);
        call.send(self.broker.admin_socket().as_path()).await.unwrap()
    }
}

#[tokio::test]
async fn whom_a_token_concerns_sees_its_claims_and_nobody_else_does() {
    let exchanging = Exchanging::start().await;
    let subject = exchanging.front_token().await;
    let passed_on = exchanging.pass_on(0, &subject, BACK).await.text("access_token");
    let seen = exchanging.ask(0, &passed_on).await;
    assert_eq!((&seen["active"], &seen["sub"]), (&json!(true), &json!(local())));
    assert_eq!((&seen["act"], &seen["token_type"]), (&json!({"sub": workload(CLIENT)}), &json!("Bearer")));
    for member in ["scope", "client_id", "exp", "iat", "nbf", "aud", "iss", "jti"] {
        assert!(seen.get(member).is_some(), "{member}: {seen}");
    }
    // The second client operates the service that it is for; the third has nothing to do with it (X12).
    assert_eq!(exchanging.ask(1, &passed_on).await["active"], true);
    let inactive = json!({"active": false});
    assert_eq!(exchanging.ask(2, &passed_on).await, inactive);
    for token in ["opaque", "a.b.c", &format!("{passed_on}x"), &exchanging.assertion(0), ""] {
        if token.is_empty() {
            let answer = exchanging.post(0, INTROSPECT, &[]).await;
            assert_refused("no token", &answer, "invalid_request", "malformed_request");
        } else {
            assert_eq!(exchanging.ask(0, token).await, inactive, "{token}");
        }
    }
    let stranger =
        Call::form(INTROSPECT, &[("token", &passed_on)]).send(exchanging.broker.address).await.unwrap();
    assert_eq!((stranger.status, stranger.text("error").as_str()), (401, "invalid_client"));
}

#[tokio::test]
async fn evidence_buys_one_answer_at_these_endpoints_too() {
    let exchanging = Exchanging::start().await;
    let token = exchanging.front_token().await;
    let assertion = exchanging.assertion(0);
    let fields = [
        ("client_assertion_type", super::JWT_BEARER),
        ("client_assertion", assertion.as_str()),
        ("token", token.as_str()),
    ];
    let ask = async || Call::form(INTROSPECT, &fields).send(exchanging.broker.address).await.unwrap();
    assert_eq!(ask().await.status, 200);
    let again = ask().await;
    assert_eq!((again.status, again.text("error").as_str()), (401, "invalid_client"), "{}", said(&again));
    assert!(again.text("error_description").starts_with("evidence_replayed"));
}

#[tokio::test]
async fn what_is_given_back_is_over_with_all_that_came_of_it() {
    let exchanging = Exchanging::start().await;
    let subject = exchanging.front_token().await;
    let passed_on = exchanging.pass_on(0, &subject, BACK).await.text("access_token");
    // X13: somebody else's token is left alone, and the answer does not tell.
    for client in [1, 2] {
        let answer = exchanging.give_back(client, &passed_on).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0));
    }
    assert_eq!(exchanging.ask(0, &passed_on).await["active"], true);
    assert_eq!(exchanging.give_back(0, "unknown").await.status, 200);
    let fields = [("token", subject.as_str())];
    let call = Call::form(REVOKE, &fields);
    assert_eq!(call.send(exchanging.broker.socket().as_path()).await.unwrap().status, 200);
    assert_eq!(exchanging.ask(0, &subject).await, json!({"active": false}));
    assert_eq!(exchanging.ask(0, &passed_on).await, json!({"active": false}), "it was derived from it");
    let answer = exchanging.pass_on(0, &subject, BACK).await;
    assert_refused("X2 a revoked subject", &answer, "invalid_request", "revoked");
}

#[tokio::test]
async fn a_revocation_survives_a_kill() {
    let mut exchanging = Exchanging::start().await;
    let subject = exchanging.front_token().await;
    let call = Call::form(REVOKE, &[("token", subject.as_str())]);
    assert_eq!(call.send(exchanging.broker.socket().as_path()).await.unwrap().status, 200);
    exchanging.broker.process.kill();
    exchanging.broker.restart().await;
    assert_eq!(exchanging.ask(0, &subject).await, json!({"active": false}));
}

#[tokio::test]
async fn an_operator_revokes_by_workload_and_blocks_until_it_is_lifted() {
    let exchanging = Exchanging::start().await;
    let before = exchanging.front_token().await;
    assert_eq!(exchanging.ask(0, &before).await["active"], true);
    for (kind, value) in [("workload", local()), ("subject", local()), ("client", local())] {
        let order = json!({"kind": kind, "value": value, "note": "suspected"});
        assert_eq!(exchanging.operator(&order).await.status, 200);
        assert_eq!(exchanging.ask(0, &before).await["active"], false, "{kind}");
        let fields = [("grant_type", "client_credentials"), ("resource", super::FRONT)];
        let call = Call::form("/oauth2/token", &fields);
        let answer = call.send(exchanging.broker.socket().as_path()).await.unwrap();
        assert_refused(kind, &answer, "unauthorized_client", "revoked");
        let listed =
            Call::get("/v1/revocations").send(exchanging.broker.admin_socket().as_path()).await.unwrap();
        assert!(said(&listed).contains(&value), "{}", said(&listed));
        assert_eq!(
            exchanging.operator(&json!({"kind": kind, "value": value, "lift": true})).await.status,
            200
        );
        assert_eq!(exchanging.ask(0, &before).await["active"], true, "{kind} was lifted");
    }
    // A user of another issuer, by its name in our tokens.
    let user = exchanging.users.sign(&exchanging.users.header(), &exchanging.user_claims());
    assert_eq!(exchanging.pass_on(0, &user, BACK).await.status, 200);
    assert_eq!(exchanging.operator(&json!({"kind": "subject", "value": "idp:alice"})).await.status, 200);
    assert_refused("a user", &exchanging.pass_on(0, &user, BACK).await, "invalid_request", "revoked");
}

#[tokio::test]
async fn a_block_ends_when_it_says_and_the_revoked_tokens_stay_revoked_beyond_a_restart() {
    let mut exchanging = Exchanging::start().await;
    let before = exchanging.front_token().await;
    let order = json!({"kind": "workload", "value": local(), "block_seconds": 2});
    assert_eq!(exchanging.operator(&order).await.status, 200);
    let fields = [("grant_type", "client_credentials"), ("resource", super::FRONT)];
    let call = Call::form("/oauth2/token", &fields);
    let socket = exchanging.broker.socket();
    let answer = call.clone().send(socket.as_path()).await.unwrap();
    assert_refused("while it lasts", &answer, "unauthorized_client", "revoked");
    wait_for("the block is over", Duration::from_secs(10), async || {
        call.clone().send(socket.as_path()).await.unwrap().status == 200
    })
    .await;
    assert_eq!(exchanging.ask(0, &before).await, json!({"active": false}));
    exchanging.broker.process.kill();
    exchanging.broker.restart().await;
    assert_eq!(exchanging.ask(0, &before).await, json!({"active": false}));
    assert_eq!(call.send(socket.as_path()).await.unwrap().status, 200);
}

#[tokio::test]
async fn only_operators_revoke_and_only_what_they_mean() {
    let exchanging = Exchanging::start().await;
    for bad in [
        json!({"kind": "everything", "value": "x"}),
        json!({"kind": "workload"}),
        json!({"kind": "workload", "value": ""}),
        json!({"kind": "workload", "value": "x".repeat(3000)}),
        json!({"kind": "workload", "value": "x", "untl": 1}),
        json!({"kind": "workload", "value": "no-registered-client"}),
        json!({"kind": "client", "value": "https://no.workload"}),
        json!([]),
    ] {
        let answer = exchanging.operator(&bad).await;
        assert_eq!(answer.status, 400, "{bad}");
        assert!(!answer.text("error").is_empty());
    }
    let order = json!({"kind": "workload", "value": local()});
    for place in [exchanging.broker.address, exchanging.broker.admin] {
        assert_eq!(Call::json("/v1/revocations", &order).send(place).await.unwrap().status, 404);
    }
    let attestation = exchanging.broker.socket();
    assert_eq!(Call::json("/v1/revocations", &order).send(attestation.as_path()).await.unwrap().status, 404);
    assert!(!exchanging.front_token().await.is_empty());
}

#[tokio::test]
async fn a_workload_may_give_back_so_many_tokens_and_others_still_may() {
    let exchanging = Exchanging::start_with("", "").await;
    let mut tokens = Vec::new();
    for _ in 0..4 {
        tokens.push(exchanging.front_token().await);
    }
    let socket = exchanging.broker.socket();
    let give =
        async |token: &str| Call::form(REVOKE, &[("token", token)]).send(socket.as_path()).await.unwrap();
    for token in &tokens[..3] {
        assert_eq!(give(token).await.status, 200);
    }
    let answer = give(&tokens[3]).await;
    assert_eq!(answer.status, 429, "{}", said(&answer));
    assert!(
        said(&answer).contains("rate_limited") && !answer.header("retry-after").is_empty(),
        "{}",
        said(&answer)
    );
    assert_eq!(give(&tokens[0]).await.status, 200, "what is given back already costs nothing");
    let other = exchanging.pass_on(0, &tokens[3], BACK).await.text("access_token");
    assert_eq!(
        exchanging.give_back(0, &other).await.status,
        200,
        "another workload has an allowance of its own"
    );
    assert_eq!(exchanging.ask(0, &tokens[3]).await["active"], true, "what was refused still stands");
}

#[tokio::test]
async fn an_expired_token_is_inactive() {
    let short = "@id(\"short\") @ttl(\"2s\") permit (principal, action == Symbolon::Action::\"issue\", resource == Symbolon::Resource::\"front\");\n";
    let exchanging = Exchanging::start_with("", short).await;
    let token = exchanging.front_token().await;
    assert_eq!(exchanging.ask(0, &token).await["active"], true);
    wait_for("it has expired", Duration::from_secs(10), async || {
        exchanging.ask(0, &token).await == json!({"active": false})
    })
    .await;
    let answer = exchanging.pass_on(0, &token, BACK).await;
    assert_refused("an expired subject", &answer, "invalid_request", "expired");
}

#[tokio::test]
async fn a_revocation_names_a_token() {
    let exchanging = Exchanging::start().await;
    let answer = exchanging.post(0, REVOKE, &[]).await;
    assert_refused("no token", &answer, "invalid_request", "malformed_request");
    let twice = exchanging.post(0, REVOKE, &[("token", "a"), ("token", "b")]).await;
    assert_refused("two tokens", &twice, "invalid_request", "malformed_request");
    let token = exchanging.front_token().await;
    let stranger = Call::form(REVOKE, &[("token", &token)]).send(exchanging.broker.address).await.unwrap();
    assert_eq!((stranger.status, stranger.text("error").as_str()), (401, "invalid_client"));
    assert_eq!(exchanging.ask(0, &token).await["active"], true, "nobody has taken it back");
}

#[tokio::test]
async fn a_registered_client_is_revoked_by_its_id_too() {
    let exchanging = Exchanging::start().await;
    let ask = async || {
        let fields = [("grant_type", "client_credentials"), ("resource", "https://notes.test")];
        exchanging.post(0, "/oauth2/token", &fields).await
    };
    let before = ask().await.text("access_token");
    assert_eq!(exchanging.ask(0, &before).await["active"], true);
    assert_eq!(exchanging.operator(&json!({"kind": "client", "value": CLIENT})).await.status, 200);
    assert_refused("its next token", &ask().await, "unauthorized_client", "revoked");
    let listed = Call::get("/v1/revocations").send(exchanging.broker.admin_socket().as_path()).await.unwrap();
    assert_eq!(listed.json()["revocations"][0]["value"], workload(CLIENT), "as tokens name it");
    assert_eq!(
        exchanging.operator(&json!({"kind": "client", "value": CLIENT, "lift": true})).await.status,
        200
    );
    assert_eq!(ask().await.status, 200);
}
