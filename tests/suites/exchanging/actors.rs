//! The chain of actors: who may be added, `may_act`, loops, and how long it may be: X7.
//! Not here: whose tokens may be exchanged at all.

use serde_json::{Value, json};

use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::issuer::twin;
use symbolon_e2e::machine::now;
use symbolon_identity::Timestamp;
use symbolon_jws::Algorithm;
use symbolon_proof::{ProofKey, ProofRequest};

use super::{
    ACCESS_TOKEN, BACK, CLIENT, EXCHANGE, Exchanging, ID_TOKEN, JWT_BEARER, assert_refused, claims, local,
    said, workload,
};

/// The third client is an agent, with a token for the front service that is bound to a key.
const AGENT: &str = r#"
@id("agent") permit (principal, action == Symbolon::Action::"issue", resource == Symbolon::Resource::"front")
when { principal has client && principal.client.id == "third" };
"#;
impl Exchanging {
    fn user_token(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.user_claims();
        change(&mut claims);
        self.users.sign(&self.users.header(), &claims)
    }

    /// Asks for a token as one of the registered clients, with a proof of a key.
    pub(super) async fn proving(&self, client: usize, key: &ProofKey, fields: &[(&str, &str)]) -> Answer {
        let target = format!("{}/oauth2/token", self.broker.url);
        let request = ProofRequest { method: "POST", target_uri: &target, access_token: None, nonce: None };
        let proof = key.prove(&request, Timestamp::from_secs(now()).unwrap()).unwrap();
        let assertion = self.assertion(client);
        let evidence = [("client_assertion_type", JWT_BEARER), ("client_assertion", assertion.as_str())];
        let call = Call::form("/oauth2/token", &[&evidence, fields].concat()).header("dpop", &proof);
        call.send(self.broker.address).await.unwrap()
    }
}

#[tokio::test]
async fn may_act_names_who_may_and_nobody_else() {
    let exchanging = Exchanging::start().await;
    for allowed in [
        json!({"sub": workload(CLIENT)}),
        json!({"sub": CLIENT}),
        json!({"client_id": CLIENT}),
        json!({"sub": workload(CLIENT), "client_id": CLIENT}),
    ] {
        let token = exchanging.user_token(|claims| claims["may_act"] = allowed.clone());
        let answer = exchanging.pass_on(0, &token, BACK).await;
        assert_eq!(answer.status, 200, "{allowed}: {}", said(&answer));
    }
    for other in [
        json!({"sub": workload("second")}),
        json!({"sub": workload(CLIENT), "client_id": "second"}),
        json!({"sub": workload(CLIENT), "iss": "https://elsewhere.test"}),
        json!({}),
        json!([]),
        json!("middle"),
        json!(null),
        json!({"sub": [workload(CLIENT)]}),
    ] {
        let token = exchanging.user_token(|claims| claims["may_act"] = other.clone());
        let answer = exchanging.pass_on(0, &token, BACK).await;
        assert_refused(&other.to_string(), &answer, "invalid_request", "actor_not_allowed");
    }
}

#[tokio::test]
async fn an_actor_does_not_act_twice() {
    let exchanging = Exchanging::start_with(
        "",
        "@id(\"middle-operates-back\") permit (principal, action == Symbolon::Action::\"operate\", resource == Symbolon::Resource::\"back\") when { principal has client && principal.client.id == \"middle\" };\n",
    )
    .await;
    let subject = exchanging.front_token().await;
    let once = exchanging.pass_on(0, &subject, BACK).await.text("access_token");
    let twice = exchanging.pass_on(0, &once, "https://deep.test").await;
    assert_refused("again", &twice, "invalid_request", "actor_loop");
    // Whoever exchanges its own token acts for nobody else, so nobody is added.
    let own = exchanging
        .post(0, "/oauth2/token", &[("grant_type", "client_credentials"), ("resource", "https://notes.test")])
        .await;
    let own = own.text("access_token");
    let answer = exchanging.pass_on(0, &own, BACK).await;
    assert_refused("notes are somebody else's", &answer, "invalid_request", "subject_not_addressed");
}

#[tokio::test]
async fn the_chain_has_an_end() {
    let exchanging = Exchanging::start().await;
    let chain = |length: usize| {
        (0..length).fold(Value::Null, |earlier, nth| {
            let mut actor = json!({"sub": format!("actor-{nth}")});
            if !earlier.is_null() {
                actor["act"] = earlier;
            }
            actor
        })
    };
    let token = exchanging.user_token(|claims| claims["act"] = chain(3));
    let answer = exchanging.pass_on(0, &token, BACK).await;
    assert_eq!(answer.status, 200, "{}", said(&answer));
    let after = claims(&answer.text("access_token"));
    assert_eq!(after["act"]["sub"], workload(CLIENT));
    // Actors of another issuer stay that issuer's in our tokens, whatever it calls them.
    let token = exchanging.user_token(|claims| {
        claims["act"] = json!({"sub": workload(CLIENT), "iss": exchanging.broker.url});
    });
    let posing = claims(&exchanging.pass_on(0, &token, BACK).await.text("access_token"));
    assert_eq!(posing["act"]["act"], json!({"sub": workload(CLIENT), "iss": exchanging.users.url}));
    assert_eq!(
        after["act"]["act"],
        json!({"sub": "actor-2", "iss": exchanging.users.url, "act": {"sub": "actor-1", "iss": exchanging.users.url, "act": {"sub": "actor-0", "iss": exchanging.users.url}}})
    );
    for length in [4, 10] {
        let token = exchanging.user_token(|claims| claims["act"] = chain(length));
        let answer = exchanging.pass_on(0, &token, BACK).await;
        assert_refused(&length.to_string(), &answer, "invalid_request", "actor_chain_too_long");
    }
    let token = exchanging.user_token(|claims| claims["act"] = chain(40));
    assert_refused(
        "beyond reading",
        &exchanging.pass_on(0, &token, BACK).await,
        "invalid_request",
        "malformed",
    );
}

#[tokio::test]
async fn a_policy_may_allow_fewer_actors() {
    let exchanging = Exchanging::start_with(
        "",
        "@id(\"one-actor\") @max_actors(\"1\") permit (principal, action == Symbolon::Action::\"exchange\", resource == Symbolon::Resource::\"deep\");\n",
    )
    .await;
    let subject = exchanging.front_token().await;
    assert_eq!(exchanging.pass_on(0, &subject, "https://deep.test").await.status, 200);
    let once = exchanging.pass_on(0, &subject, BACK).await.text("access_token");
    let answer = exchanging.pass_on(1, &once, "https://deep.test").await;
    assert_refused("two actors", &answer, "invalid_request", "actor_chain_too_long");
}

#[tokio::test]
async fn an_actor_token_is_the_callers_own_and_bounds_the_life() {
    let short = "@id(\"short\") @ttl(\"20s\") permit (principal, action == Symbolon::Action::\"issue\", resource == Symbolon::Resource::\"front\") when { principal has client && principal.client.id == \"middle\" };\n";
    let exchanging = Exchanging::start_with("", &format!("{AGENT}{short}")).await;
    let subject = exchanging.front_token().await;
    let key = ProofKey::generate(Algorithm::Es256).unwrap();
    let own = [("grant_type", "client_credentials"), ("resource", super::FRONT)];
    let acting = exchanging.post(0, "/oauth2/token", &own).await.text("access_token");
    let agent = exchanging.proving(2, &key, &own).await.text("access_token");
    let with_actor = async |actor: &str, key: Option<&ProofKey>| {
        let fields = [
            ("grant_type", EXCHANGE),
            ("subject_token", subject.as_str()),
            ("subject_token_type", ACCESS_TOKEN),
            ("actor_token", actor),
            ("actor_token_type", ACCESS_TOKEN),
            ("resource", BACK),
        ];
        match key {
            Some(key) => exchanging.proving(0, key, &fields).await,
            None => exchanging.post(0, "/oauth2/token", &fields).await,
        }
    };
    let answer = with_actor(&acting, None).await;
    assert_eq!(answer.status, 200, "{}", said(&answer));
    let after = claims(&answer.text("access_token"));
    assert_eq!((&after["sub"], &after["act"]), (&json!(local()), &json!({"sub": workload(CLIENT)})));
    assert!(after["exp"].as_u64() <= claims(&acting)["exp"].as_u64(), "it outlives the actor's token");
    assert!(claims(&acting)["exp"].as_u64() < claims(&subject)["exp"].as_u64());
    // Whoever is called holds its callers' tokens; that makes it none of them, whatever key it proves.
    for key in [None, Some(&key)] {
        for (what, actor) in [("another's token", &agent), ("the subject's own token", &subject)] {
            assert_refused(what, &with_actor(actor, key).await, "invalid_request", "actor_not_allowed");
        }
    }
    let elsewhere = exchanging
        .post(0, "/oauth2/token", &[("grant_type", "client_credentials"), ("resource", "https://notes.test")])
        .await
        .text("access_token");
    let answer = with_actor(&elsewhere, None).await;
    assert_refused("an actor token for another service", &answer, "invalid_request", "subject_not_addressed");
    let user = exchanging.user_token(|_| {});
    let answer = with_actor(&user, None).await;
    assert_refused("a user as actor", &answer, "invalid_request", "actor_not_allowed");
    let delegated = exchanging.pass_on(0, &subject, super::FRONT).await.text("access_token");
    let answer = with_actor(&delegated, None).await;
    assert_refused("an actor for whom somebody acts", &answer, "invalid_request", "actor_not_allowed");
}

#[tokio::test]
async fn an_actor_token_goes_with_its_type_and_is_verified_like_a_subject_token() {
    let exchanging = Exchanging::start().await;
    let subject = exchanging.front_token().await;
    let usual =
        [("subject_token", subject.as_str()), ("subject_token_type", ACCESS_TOKEN), ("resource", BACK)];
    for half in [("actor_token", subject.as_str()), ("actor_token_type", ACCESS_TOKEN)] {
        let answer = exchanging.exchange(0, &[&usual[..], &[half]].concat()).await;
        assert_refused(half.0, &answer, "invalid_request", "malformed_request");
    }
    let (signed, _) = subject.rsplit_once('.').unwrap();
    let other = exchanging.assertion(0);
    let (_, signature) = other.rsplit_once('.').unwrap();
    let given_back = exchanging.front_token().await;
    let call = Call::form("/oauth2/revoke", &[("token", &given_back)]);
    assert_eq!(call.send(exchanging.broker.socket().as_path()).await.unwrap().status, 200);
    for (actor, kind, code) in [
        (format!("{signed}.{signature}"), ACCESS_TOKEN, "bad_signature"),
        ("opaque".to_owned(), ACCESS_TOKEN, "malformed"),
        (exchanging.user_token(|claims| claims["exp"] = json!(now() - 1)), ACCESS_TOKEN, "expired"),
        (
            exchanging.user_token(|claims| claims["iss"] = json!("https://evil.test")),
            ACCESS_TOKEN,
            "unknown_issuer",
        ),
        (subject.clone(), ID_TOKEN, "wrong_type"),
        (subject.clone(), "urn:ietf:params:oauth:token-type:saml2", "unsupported_token_type"),
        (given_back, ACCESS_TOKEN, "revoked"),
    ] {
        let named = [("actor_token", actor.as_str()), ("actor_token_type", kind)];
        let answer = exchanging.exchange(0, &[&usual[..], &named].concat()).await;
        assert_refused(code, &answer, "invalid_request", code);
    }
}

#[tokio::test]
async fn impersonation_needs_the_resource_and_the_policy_to_say_so() {
    let exchanging = Exchanging::start_with(
        "",
        "@id(\"second-operates-front\") permit (principal, action == Symbolon::Action::\"operate\", resource == Symbolon::Resource::\"front\") when { principal has client && principal.client.id == \"second\" };\n",
    )
    .await;
    let subject = exchanging.front_token().await;
    let answer = exchanging.pass_on(0, &subject, "https://borrowed.test").await;
    assert_eq!(answer.status, 200, "{}", said(&answer));
    let after = claims(&answer.text("access_token"));
    assert_eq!(after["sub"], local());
    assert!(after.get("act").is_none(), "{after}");
    assert_eq!(after["client_id"], workload(CLIENT));
    let answer = exchanging.pass_on(1, &subject, "https://borrowed.test").await;
    assert_refused("exchange alone does not permit it", &answer, "invalid_target", "denied");
}

#[tokio::test]
async fn a_revoked_token_of_another_issuer_buys_nothing_more() {
    let exchanging = Exchanging::start().await;
    let (stolen, other) = (
        exchanging.user_token(|claims| claims["jti"] = json!("stolen")),
        exchanging.user_token(|claims| claims["jti"] = json!("other")),
    );
    assert_eq!(exchanging.pass_on(0, &stolen, BACK).await.status, 200);
    let order = Call::json("/v1/revocations", &json!({"kind": "lineage", "value": "idp:stolen"}));
    assert_eq!(order.send(exchanging.broker.admin_socket().as_path()).await.unwrap().status, 200);
    let answer = exchanging.pass_on(0, &stolen, BACK).await;
    assert_refused("a revoked user token", &answer, "invalid_request", "revoked");
    assert_eq!(exchanging.pass_on(0, &other, BACK).await.status, 200);
}

#[tokio::test]
async fn what_is_no_identity_does_not_come_through_in_act() {
    let exchanging = Exchanging::start().await;
    let token = exchanging.user_token(|claims| {
        claims["act"] = json!({"sub": "agent", "exp": 1, "nbf": now() + 900, "aud": BACK, "scope": "all", "admin": true});
    });
    let answer = exchanging.pass_on(0, &token, BACK).await;
    assert_eq!(answer.status, 200, "times within `act` mean nothing: {}", said(&answer));
    let after = claims(&answer.text("access_token"));
    assert_eq!(after["act"]["act"], json!({"sub": "agent", "iss": exchanging.users.url}));
}

#[tokio::test]
async fn a_revoked_token_without_an_id_stays_revoked_under_the_twin_of_its_signature() {
    let exchanging = Exchanging::start().await;
    let token = exchanging.user_token(|claims| drop(claims.as_object_mut().unwrap().remove("jti")));
    let first = exchanging.pass_on(0, &token, BACK).await;
    assert_eq!(first.status, 200, "{}", said(&first));
    let lineage = claims(&first.text("access_token"))["lineage"].clone();
    let order = Call::json("/v1/revocations", &json!({"kind": "lineage", "value": lineage}));
    assert_eq!(order.send(exchanging.broker.admin_socket().as_path()).await.unwrap().status, 200);
    for spelling in [token.clone(), twin(&token)] {
        let answer = exchanging.pass_on(0, &spelling, BACK).await;
        assert_refused("J20: both forms of a signature", &answer, "invalid_request", "revoked");
    }
}

#[tokio::test]
async fn scopes_do_not_grow_again_by_a_detour() {
    let exchanging = Exchanging::start_with(
        "",
        "@id(\"middle-operates-borrowed\") permit (principal, action == Symbolon::Action::\"operate\", resource == Symbolon::Resource::\"borrowed\") when { principal has client && principal.client.id == \"middle\" };\n",
    )
    .await;
    let narrow = exchanging.user_token(|claims| {
        claims["aud"] = json!(super::FRONT);
        claims["scope"] = json!("front:read");
    });
    let wider = |subject: String| {
        let fields =
            [("subject_token_type", ACCESS_TOKEN), ("resource", super::FRONT), ("scope", "front:write")];
        (subject, fields)
    };
    let ask = async |(subject, fields): (String, [(&str, &str); 3])| {
        exchanging.exchange(0, &[&[("subject_token", subject.as_str())][..], &fields].concat()).await
    };
    assert_refused("at once", &ask(wider(narrow.clone())).await, "invalid_scope", "scope_exceeds_subject");
    let borrowed = exchanging.pass_on(0, &narrow, "https://borrowed.test").await;
    assert_eq!(borrowed.status, 200, "{}", said(&borrowed));
    let detour = ask(wider(borrowed.text("access_token"))).await;
    assert_refused("by what was borrowed", &detour, "invalid_request", "actor_loop");
}
