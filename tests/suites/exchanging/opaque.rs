//! Opaque subject tokens: which issuer is asked, what its answer has to say, and who may guess (RFC 7662).
//! Not here: issuers that cannot answer (`opaque_outages`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::introspection::{OpaqueIssuer, Reply};
use symbolon_e2e::issuer::{decode, encode, random};
use symbolon_e2e::machine::now;

use super::{ACCESS_TOKEN, BACK, DEEP, Exchanging, ID_TOKEN, JWT, assert_refused, claims, said, workload};

/// A broker that asks an issuer about tokens that begin with `vault_`.
pub(super) struct Asking {
    pub(super) exchanging: Exchanging,
    pub(super) vault: OpaqueIssuer,
}

impl Asking {
    pub(super) async fn start() -> Self {
        Self::start_with(
            "token_prefix: vault_, client_id: symbolon, inactive_per_minute: 1000, requests_per_second: 1000",
        )
        .await
    }

    /// With this section `introspection`.
    pub(super) async fn start_with(introspection: &str) -> Self {
        let vault = OpaqueIssuer::start().await;
        let issuers = format!(
            "  - {{ name: vault, issuer: \"{}\", dev: true, audiences: [\"https://app.test\"], claims: {{ team: claims.team }}, introspection: {{ {} }} }}\n",
            vault.url(),
            introspection.replace("{endpoint}", &vault.endpoint())
        );
        let exchanging = Exchanging::start_among(&issuers, "", "").await;
        Self { exchanging, vault }
    }

    /// A fresh opaque token about which the issuer says this.
    pub(super) fn token(&self, reply: Reply) -> String {
        let token = format!("vault_{}", encode(&random()));
        self.vault.says(&token, reply);
        token
    }

    pub(super) fn good_token(&self) -> String {
        self.token(Reply::Json(good()))
    }

    /// Exchanges a token as the middle service.
    pub(super) async fn pass_on(&self, token: &str) -> Answer {
        self.exchanging.pass_on(0, token, BACK).await
    }

    /// What operators read about an answer.
    pub(super) async fn record(&self, answer: &Answer) -> String {
        let path = format!("/v1/decisions/{}", answer.text("decision_id"));
        let recorded = Call::get(&path).send(self.exchanging.broker.admin_socket().as_path()).await.unwrap();
        assert_eq!(recorded.status, 200);
        said(&recorded)
    }

    pub(super) async fn metrics(&self) -> String {
        said(&Call::get("/metrics").send(self.exchanging.broker.admin).await.unwrap())
    }
}

/// What an honest issuer says of an active token.
pub(super) fn good() -> Value {
    json!({
        "active": true, "sub": "alice", "aud": "https://app.test", "iat": now(), "exp": now() + 120,
        "client_id": "app", "scope": "openid", "token_type": "Bearer", "team": "shop", "username": "Alice"
    })
}

/// The same with one member changed; null takes it away.
pub(super) fn but(member: &str, value: Value) -> Value {
    let mut answer = good();
    if value.is_null() {
        answer.as_object_mut().unwrap().remove(member);
    } else {
        answer[member] = value;
    }
    answer
}

#[tokio::test]
async fn what_only_its_issuer_can_read_is_exchanged_as_its_issuer_says() {
    let asking = Asking::start().await;
    let token = asking.good_token();
    let answer = asking.pass_on(&token).await;
    assert_eq!(answer.status, 200, "{}", said(&answer));
    let after = claims(&answer.text("access_token"));
    assert_eq!((&after["sub"], &after["act"]), (&json!("vault:alice"), &json!({"sub": workload("middle")})));
    assert_eq!((&after["aud"], &after["scope"]), (&json!(BACK), &json!("back:read")));
    assert!(after["exp"].as_u64().unwrap() <= now() + 120, "it outlives its subject: {after}");
    // The next exchange of the same token has the same root.
    let again = claims(&asking.pass_on(&token).await.text("access_token"));
    assert_eq!(again["lineage"], after["lineage"]);
    assert_eq!(asking.vault.asked(&token), 2, "an answer was kept");
    let metrics = asking.metrics().await;
    assert!(metrics.contains("symbolon_broker_introspections_total{outcome=\"active\"} 2"), "{metrics}");
    assert!(metrics.contains("symbolon_broker_introspection_seconds_count 2"), "{metrics}");
}

#[tokio::test]
async fn the_issuer_is_asked_as_a_client_with_our_own_key() {
    let asking = Asking::start().await;
    let token = asking.good_token();
    assert_eq!(asking.pass_on(&token).await.status, 200);
    assert_eq!(asking.pass_on(&token).await.status, 200);
    let questions = asking.vault.questions();
    let ids: Vec<Value> = questions
        .iter()
        .map(|question| {
            assert_eq!(question.form["token"], token);
            assert_eq!(question.form["token_type_hint"], "access_token");
            assert_eq!((question.form.len(), question.authorization.as_str()), (4, ""), "{question:?}");
            let assertion = &question.form["client_assertion"];
            let header: Value =
                serde_json::from_slice(&decode(assertion.split('.').next().unwrap())).unwrap();
            assert_eq!(
                (&header["alg"], &header["typ"]),
                (&json!("ES256"), &json!("client-authentication+jwt"))
            );
            let claims = claims(assertion);
            let names = (&claims["iss"], &claims["sub"], &claims["aud"]);
            assert_eq!(names, (&json!("symbolon"), &json!("symbolon"), &json!(asking.vault.url())));
            assert!(claims["exp"].as_u64().unwrap() <= now() + 60);
            claims["jti"].clone()
        })
        .collect();
    assert_ne!(ids[0], ids[1], "each question is authenticated anew");
    // An assertion is no token of ours, though our key signed it.
    let assertion = &questions[0].form["client_assertion"];
    let answer = asking.pass_on(assertion).await;
    assert_refused("an assertion", &answer, "invalid_request", "unknown_issuer");
}

#[tokio::test]
async fn a_shared_secret_comes_from_a_file_and_goes_into_a_header() {
    // The key set of a client stands in the folder already; any text of a file will do as a secret.
    let file = "${file:{folder}/middle.jwks.json}";
    let asking = Asking::start_with(&format!(
        "token_prefix: vault_, endpoint: \"{{endpoint}}\", client_id: \"a:b\", authentication: {{ client_secret: \"{file}\" }}"
    ))
    .await;
    assert_eq!(asking.pass_on(&asking.good_token()).await.status, 200);
    let question = asking.vault.questions().remove(0);
    let sent = question.authorization.strip_prefix("Basic ").expect("it is in the header").to_owned();
    let folder = asking.exchanging.broker.folder.path();
    let expected = std::fs::read_to_string(folder.join("middle.jwks.json")).unwrap();
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded("a:b"), encoded(expected.trim_end()));
    assert_eq!(sent, STANDARD.encode(pair));
    assert_eq!(question.form.len(), 2, "{question:?}");
}

#[tokio::test]
async fn a_token_is_nowhere_but_where_it_belongs() {
    let asking = Asking::start().await;
    let (good, bad) = (asking.good_token(), asking.token(Reply::Raw(500, "text/plain", "no".to_owned())));
    let answers = [asking.pass_on(&good).await, asking.pass_on(&bad).await];
    assert_eq!([answers[0].status, answers[1].status], [200, 503]);
    let mut written = asking.exchanging.broker.process.log().into_bytes();
    written.extend(asking.record(&answers[1]).await.into_bytes());
    written.extend(said(&answers[1]).into_bytes());
    for entry in std::fs::read_dir(asking.exchanging.broker.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("broker.db"))
            && path.is_file()
        {
            written.extend(std::fs::read(path).unwrap());
        }
    }
    for token in [&good, &bad] {
        let bytes = token.as_bytes();
        assert!(!written.windows(bytes.len()).any(|window| window == bytes), "a token was written down");
    }
}

#[tokio::test]
async fn what_the_issuer_says_has_to_be_what_a_jwt_has_to_say() {
    let asking = Asking::start().await;
    let cases = [
        ("not active", json!({"active": false}), "inactive"),
        ("not active, whatever else", but("active", json!(false)), "inactive"),
        ("no exp", but("exp", Value::Null), "malformed"),
        ("exp as a text", but("exp", json!("1900000000")), "malformed"),
        ("exp in the past", but("exp", json!(now() - 1)), "expired"),
        ("a life too long", but("exp", json!(now() + 100_000)), "lifetime_too_long"),
        ("not yet valid", but("nbf", json!(now() + 600)), "not_yet_valid"),
        ("another issuer", but("iss", json!("https://evil.test")), "unknown_issuer"),
        ("its issuer with a slash", but("iss", json!(format!("{}/", asking.vault.url()))), "unknown_issuer"),
        ("no aud", but("aud", Value::Null), "malformed"),
        ("another audience", but("aud", json!("https://other.test")), "wrong_audience"),
        ("no sub", but("sub", Value::Null), "malformed"),
        ("sub as a number", but("sub", json!(7)), "malformed"),
        ("a refresh token", but("token_type", json!("refresh_token")), "wrong_type"),
        ("perhaps a refresh token", but("token_type", Value::Null), "malformed"),
        ("said to be bound, to nothing", but("token_type", json!("DPoP")), "malformed"),
        ("bound in another way", but("cnf", json!({"kid": "x"})), "malformed"),
        ("no claim that a mapping needs", but("team", Value::Null), "mapping_failed"),
        ("a subject that is no word", but("sub", json!("a b")), "mapping_failed"),
        ("may_act of somebody else", but("may_act", json!({"sub": workload("second")})), "actor_not_allowed"),
        (
            "four actors already",
            but("act", json!({"sub": "a", "act": {"sub": "b", "act": {"sub": "c", "act": {"sub": "d"}}}})),
            "actor_chain_too_long",
        ),
        ("for a resource of somebody else", but("aud", json!(DEEP)), "subject_not_addressed"),
    ];
    for (what, answer, code) in cases {
        let token = asking.token(Reply::Json(answer));
        assert_refused(what, &asking.pass_on(&token).await, "invalid_request", code);
        assert_eq!(asking.vault.asked(&token), 1, "{what}");
    }
    let rival = asking.token(Reply::Json(but("team", json!("rivals"))));
    assert_refused("denied by its claims", &asking.pass_on(&rival).await, "invalid_target", "denied");
    for (what, good) in [
        ("its own iss", but("iss", json!(asking.vault.url()))),
        ("several audiences", but("aud", json!(["https://other.test", "https://app.test"]))),
        ("may_act of the caller", but("may_act", json!({"sub": workload("middle")}))),
        ("a token_type in small letters", but("token_type", json!("bearer"))),
    ] {
        let answer = asking.pass_on(&asking.token(Reply::Json(good))).await;
        assert_eq!(answer.status, 200, "{what}: {}", said(&answer));
    }
}

#[tokio::test]
async fn its_actors_are_its_issuers_and_a_scope_of_the_same_resource_only_shrinks() {
    let asking = Asking::start().await;
    let acted = asking.token(Reply::Json(but("act", json!({"sub": workload("second")}))));
    let after = claims(&asking.pass_on(&acted).await.text("access_token"));
    let earlier = json!({"sub": workload("second"), "iss": asking.vault.url()});
    assert_eq!(after["act"], json!({"sub": workload("middle"), "act": earlier}));
    // The second service operates what this token is for, and asks for the same again.
    let mut narrow = but("aud", json!(BACK));
    narrow["scope"] = json!("back:read");
    let token = asking.token(Reply::Json(narrow));
    let wide = [
        ("subject_token", token.as_str()),
        ("subject_token_type", ACCESS_TOKEN),
        ("resource", BACK),
        ("scope", "back:write"),
    ];
    let answer = asking.exchanging.exchange(1, &wide).await;
    assert_refused("a wider scope", &answer, "invalid_scope", "scope_exceeds_subject");
    assert_eq!(asking.exchanging.pass_on(1, &token, BACK).await.status, 200);
}

#[tokio::test]
async fn nobody_is_asked_about_what_is_not_its_own() {
    let asking = Asking::start().await;
    let mine = asking.good_token();
    let cases = [
        ("another prefix", "other_1234567890", ACCESS_TOKEN),
        ("the prefix in capitals", "VAULT_1234567890", ACCESS_TOKEN),
        ("the form of a JWS", "vault_a.b.c", ACCESS_TOKEN),
        ("the form of a JWE", "vault_a.b.c.d.e", ACCESS_TOKEN),
        ("what no bearer token has", "vault_\"x\"", ACCESS_TOKEN),
        ("said to be a JWT", &mine, JWT),
        ("said to be an ID token", &mine, ID_TOKEN),
    ];
    for (what, token, kind) in cases {
        let fields = [("subject_token", token), ("subject_token_type", kind), ("resource", BACK)];
        let answer = asking.exchanging.exchange(0, &fields).await;
        assert_refused(what, &answer, "invalid_request", "malformed");
    }
    let long = format!("vault_{}", "a".repeat(4096));
    assert_refused("too long", &asking.pass_on(&long).await, "invalid_request", "malformed");
    assert!(asking.vault.questions().is_empty(), "{:?}", asking.vault.questions());
    // Its subject would be one of another issuer, and such an actor has no name in our tokens.
    let subject = asking.exchanging.front_token().await;
    let fields = [
        ("subject_token", subject.as_str()),
        ("subject_token_type", ACCESS_TOKEN),
        ("actor_token", &mine),
        ("actor_token_type", ACCESS_TOKEN),
        ("resource", BACK),
    ];
    let answer = asking.exchanging.exchange(0, &fields).await;
    assert_refused("an opaque actor", &answer, "invalid_request", "actor_not_allowed");
    assert!(asking.vault.questions().is_empty());
}

#[tokio::test]
async fn without_an_issuer_that_is_asked_a_text_that_is_no_jwt_is_malformed() {
    let exchanging = Exchanging::start().await;
    for token in ["vault_1234567890", "a", "not.a.jwt"] {
        let answer = exchanging.pass_on(0, token, BACK).await;
        assert_refused(token, &answer, "invalid_request", "malformed");
    }
}

#[tokio::test]
async fn what_was_revoked_by_its_lineage_or_its_subject_buys_nothing_more() {
    let asking = Asking::start().await;
    let named = asking.token(Reply::Json(but("jti", json!("stolen"))));
    let unnamed = asking.good_token();
    let minted = [asking.pass_on(&named).await, asking.pass_on(&unnamed).await];
    let lineages = minted.map(|answer| claims(&answer.text("access_token"))["lineage"].clone());
    assert_eq!(lineages[0], "vault:stolen");
    assert!(!lineages[1].as_str().unwrap().contains(&unnamed));
    for (token, lineage) in [(&named, &lineages[0]), (&unnamed, &lineages[1])] {
        let order = Call::json("/v1/revocations", &json!({"kind": "lineage", "value": lineage}));
        let socket = asking.exchanging.broker.admin_socket();
        assert_eq!(order.send(socket.as_path()).await.unwrap().status, 200);
        assert_refused("its lineage", &asking.pass_on(token).await, "invalid_request", "revoked");
    }
    assert_eq!(asking.pass_on(&asking.good_token()).await.status, 200, "others of its subject go on");
    // And its issuer takes a token back at once: no answer is kept.
    let taken = asking.good_token();
    assert_eq!(asking.pass_on(&taken).await.status, 200);
    asking.vault.says(&taken, Reply::Json(json!({"active": false})));
    assert_refused("its issuer", &asking.pass_on(&taken).await, "invalid_request", "inactive");
}

#[tokio::test]
async fn who_guesses_is_held_back_and_nobody_else() {
    let asking =
        Asking::start_with("token_prefix: vault_, client_id: symbolon, inactive_per_minute: 3").await;
    // The minute of the clock may end once on the way.
    let mut guesses = 0;
    let refused = loop {
        let answer = asking.pass_on(&format!("vault_guess-{guesses}")).await;
        if answer.status != 400 {
            break answer;
        }
        assert_refused("a guess", &answer, "invalid_request", "inactive");
        guesses += 1;
        assert!(guesses <= 6, "nobody holds it back");
    };
    assert_eq!((refused.status, refused.text("error").as_str()), (429, "temporarily_unavailable"));
    assert!(refused.text("error_description").starts_with("rate_limited:"));
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(asking.vault.questions().len(), guesses, "the last one was asked about");
    let subject = asking.token(Reply::Json(but("aud", json!(BACK))));
    assert_eq!(asking.exchanging.pass_on(1, &subject, DEEP).await.status, 200);
}
