//! Whose tokens may be exchanged, and by whom: X1–X4, X8.
//! Not here: actors and targets.

use serde_json::{Value, json};
use symbolon_e2e::issuer::TestIssuer;
use symbolon_e2e::machine::now;

use super::{
    ACCESS_TOKEN, BACK, DEEP, Exchanging, FRONT, ID_TOKEN, JWT, KEY_ID, assert_refused, claims, said,
    workload,
};

#[tokio::test]
async fn a_token_is_passed_on_only_by_who_operates_what_it_is_for() {
    let exchanging = Exchanging::start().await;
    let subject = exchanging.front_token().await;
    for client in [1, 2] {
        let answer = exchanging.pass_on(client, &subject, BACK).await;
        assert_refused("another service", &answer, "invalid_request", "subject_not_addressed");
    }
    assert_eq!(exchanging.pass_on(0, &subject, BACK).await.status, 200);
}

#[tokio::test]
async fn a_users_token_of_another_issuer_becomes_ours_in_a_namespace_of_its_own() {
    let exchanging = Exchanging::start().await;
    let subject = exchanging.users.sign(&exchanging.users.header(), &exchanging.user_claims());
    let answer = exchanging.pass_on(0, &subject, BACK).await;
    assert_eq!(answer.status, 200, "{}", said(&answer));
    let after = claims(&answer.text("access_token"));
    assert_eq!((&after["sub"], &after["act"]["sub"]), (&json!("idp:alice"), &json!(workload("middle"))));
    assert!(after["lineage"].as_str().unwrap().starts_with("idp:"), "{after}");
    // A subject of that issuer cannot name a workload, whatever it calls itself.
    let mut posing = exchanging.user_claims();
    posing["sub"] = json!("spiffe://test.example/client/middle");
    let answer =
        exchanging.pass_on(0, &exchanging.users.sign(&exchanging.users.header(), &posing), BACK).await;
    assert_eq!(claims(&answer.text("access_token"))["sub"], "idp:spiffe://test.example/client/middle");
}

#[tokio::test]
async fn a_foreign_token_that_is_not_good_buys_nothing() {
    let exchanging = Exchanging::start().await;
    let users = &exchanging.users;
    let changed = |member: &str, value: Value| {
        let mut claims = exchanging.user_claims();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(member);
        } else {
            claims[member] = value;
        }
        users.sign(&users.header(), &claims)
    };
    let stranger = TestIssuer::new(&users.url);
    let cases = [
        ("X3 another signer", stranger.sign(&stranger.header(), &exchanging.user_claims()), "bad_signature"),
        ("X1 an unknown issuer", changed("iss", json!("https://evil.test")), "unknown_issuer"),
        ("X4 no exp", changed("exp", Value::Null), "malformed"),
        ("X4 no iat", changed("iat", Value::Null), "malformed"),
        ("X4 expired", changed("exp", json!(now() - 1)), "expired"),
        ("X4 not yet valid", changed("nbf", json!(now() + 600)), "not_yet_valid"),
        ("another audience", changed("aud", json!("https://other.test")), "wrong_audience"),
        ("our own issuer in its name", changed("iss", json!(exchanging.broker.url)), "unknown_kid"),
        ("no claim that a mapping needs", changed("team", Value::Null), "mapping_failed"),
        ("a subject that is no word", changed("sub", json!("a b")), "mapping_failed"),
    ];
    for (what, subject, code) in cases {
        let answer = exchanging.pass_on(0, &subject, BACK).await;
        assert_refused(what, &answer, "invalid_request", code);
    }
    let rival = changed("team", json!("rivals"));
    assert_refused(
        "denied by its claims",
        &exchanging.pass_on(0, &rival, BACK).await,
        "invalid_target",
        "denied",
    );
}

#[tokio::test]
async fn x8_a_token_is_what_it_is_and_not_what_the_caller_says() {
    let exchanging = Exchanging::start().await;
    let users = &exchanging.users;
    let id_token =
        users.sign(&json!({"alg": "ES256", "typ": "JWT", "kid": KEY_ID}), &exchanging.user_claims());
    let access_token = users.sign(&users.header(), &exchanging.user_claims());
    let ours = exchanging.front_token().await;
    let exchange = async |token: &str, kind: &str| {
        let fields = [("subject_token", token), ("subject_token_type", kind), ("resource", BACK)];
        exchanging.exchange(0, &fields).await
    };
    for (token, kind) in [
        (&id_token, ID_TOKEN),
        (&access_token, ACCESS_TOKEN),
        (&access_token, JWT),
        (&ours, ACCESS_TOKEN),
        (&ours, JWT),
    ] {
        let answer = exchange(token, kind).await;
        assert_eq!(answer.status, 200, "{kind}: {}", said(&answer));
    }
    for (token, kind) in [(&id_token, ACCESS_TOKEN), (&access_token, ID_TOKEN), (&ours, ID_TOKEN)] {
        assert_refused(kind, &exchange(token, kind).await, "invalid_request", "wrong_type");
    }
    for kind in [
        "urn:ietf:params:oauth:token-type:saml1",
        "urn:ietf:params:oauth:token-type:saml2",
        "urn:ietf:params:oauth:token-type:refresh_token",
        "jwt",
    ] {
        assert_refused(kind, &exchange(&ours, kind).await, "invalid_request", "unsupported_token_type");
    }
    let unknown_wish = [
        ("subject_token", ours.as_str()),
        ("subject_token_type", ACCESS_TOKEN),
        ("resource", BACK),
        ("requested_token_type", ID_TOKEN),
    ];
    let answer = exchanging.exchange(0, &unknown_wish).await;
    assert_refused("an ID token wanted", &answer, "invalid_request", "unsupported_token_type");
    let mut wish = unknown_wish;
    wish[3].1 = JWT;
    let answer = exchanging.exchange(0, &wish).await;
    assert_eq!((answer.status, answer.text("issued_token_type").as_str()), (200, JWT));
}

#[tokio::test]
async fn our_own_token_that_is_not_good_buys_nothing() {
    let exchanging = Exchanging::start().await;
    let subject = exchanging.front_token().await;
    let (signed, signature) = subject.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let mut changed = claims(&subject);
    changed["scope"] = json!("front:read back:write");
    let payload = symbolon_e2e::issuer::encode(changed.to_string().as_bytes());
    for (what, token, code) in [
        ("changed", format!("{header}.{payload}.{signature}"), "bad_signature"),
        ("no signature", format!("{signed}."), "bad_signature"),
        ("no token", "opaque".to_owned(), "malformed"),
        ("alg none", format!("eyJhbGciOiJub25lIn0.{payload}."), "alg_not_allowed"),
    ] {
        assert_refused(what, &exchanging.pass_on(0, &token, BACK).await, "invalid_request", code);
    }
    // A client's own assertion is evidence and nothing else.
    let assertion = exchanging.assertion(0);
    let answer = exchanging.pass_on(0, &assertion, BACK).await;
    assert_refused("an assertion", &answer, "invalid_request", "unknown_issuer");
}

#[tokio::test]
async fn the_issuers_keys_away_is_an_outage_and_no_refusal() {
    let mut exchanging = Exchanging::start().await;
    exchanging.keys.down().await;
    exchanging.broker.process.kill();
    std::fs::remove_dir_all(exchanging.broker.folder.path().join("broker.db.issuer-keys")).unwrap();
    exchanging.broker.restart().await;
    let subject = exchanging.users.sign(&exchanging.users.header(), &exchanging.user_claims());
    let answer = exchanging.pass_on(0, &subject, BACK).await;
    assert_eq!(
        (answer.status, answer.text("error").as_str()),
        (503, "temporarily_unavailable"),
        "{}",
        said(&answer)
    );
    assert!(!answer.header("retry-after").is_empty());
}

#[tokio::test]
async fn who_asks_is_attested_like_for_any_grant() {
    let exchanging = Exchanging::start().await;
    let subject = exchanging.front_token().await;
    let fields = [
        ("grant_type", super::EXCHANGE),
        ("subject_token", subject.as_str()),
        ("subject_token_type", ACCESS_TOKEN),
        ("resource", BACK),
    ];
    let call = symbolon_e2e::http::Call::form("/oauth2/token", &fields);
    let answer = call.send(exchanging.broker.address).await.unwrap();
    assert_eq!((answer.status, answer.text("error").as_str()), (401, "invalid_client"), "{}", said(&answer));
    for incomplete in [
        vec![("resource", BACK)],
        vec![("subject_token", subject.as_str()), ("resource", BACK)],
        vec![("subject_token_type", ACCESS_TOKEN), ("resource", BACK)],
    ] {
        let answer = exchanging.exchange(0, &incomplete).await;
        assert_refused("incomplete", &answer, "invalid_request", "malformed_request");
    }
    let answer =
        exchanging.exchange(0, &[("subject_token", &subject), ("subject_token_type", ACCESS_TOKEN)]).await;
    assert_refused("no target", &answer, "invalid_target", "invalid_target");
    assert_eq!(exchanging.pass_on(0, &subject, DEEP).await.status, 200);
    assert_eq!(claims(&subject)["aud"], FRONT);
}

#[tokio::test]
async fn each_parameter_of_an_exchange_stands_once() {
    let exchanging = Exchanging::start().await;
    let subject = exchanging.front_token().await;
    let honest = [
        ("subject_token", subject.as_str()),
        ("subject_token_type", ACCESS_TOKEN),
        ("actor_token", subject.as_str()),
        ("actor_token_type", ACCESS_TOKEN),
        ("requested_token_type", ACCESS_TOKEN),
        ("scope", "back:read"),
    ];
    for twice in honest {
        let fields = [&honest[..], &[("resource", BACK), twice]].concat();
        assert_refused(
            twice.0,
            &exchanging.exchange(0, &fields).await,
            "invalid_request",
            "malformed_request",
        );
    }
}

#[tokio::test]
async fn facts_about_a_service_are_no_facts_about_the_subject_that_it_acts_for() {
    let exchanging = Exchanging::start_with(
        "",
        "@id(\"facts\") forbid (principal, action == Symbolon::Action::\"exchange\", resource == Symbolon::Resource::\"deep\") when { context.subject.hasTag(\"provider\") };\n\
         @id(\"also-deep\") permit (principal, action == Symbolon::Action::\"exchange\", resource == Symbolon::Resource::\"deep\");\n",
    )
    .await;
    let subject = exchanging.front_token().await;
    assert_eq!(claims(&subject)["provider"], "local", "the subject asked for itself");
    let denied = exchanging.pass_on(0, &subject, DEEP).await;
    assert_refused("a fact about the subject", &denied, "invalid_target", "denied");
    let delegated = exchanging.pass_on(0, &subject, BACK).await.text("access_token");
    assert!(claims(&delegated)["provider"].is_string(), "a fact about the service");
    assert_eq!(exchanging.pass_on(1, &delegated, DEEP).await.status, 200);
}
