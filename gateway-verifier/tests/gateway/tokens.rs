//! Which tokens open which route, and what the others are told.

use serde_json::{Value, json};
use symbolon_jws::{Algorithm, SigningKey, base64url};

use crate::harness::wire::Answer;
use crate::harness::{NOW, World};

/// Asserts a rejection in all that a client sees of it.
pub(crate) fn assert_rejected(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{answer:?}");
    assert_eq!(answer.headers("content-type"), ["application/problem+json"]);
    assert_eq!(answer.headers("cache-control"), ["no-store"]);
    let body = answer.json();
    assert!(body["decision_id"].as_str().unwrap().starts_with("g-"), "{body}");
    assert_eq!(body["status"], status);
    let challenges = answer.headers("www-authenticate");
    assert_eq!(
        challenges.is_empty(),
        status != 401 && code != "multiple_tokens" && code != "insufficient_scope",
        "{code}"
    );
    for challenge in challenges.iter().filter(|challenge| challenge.contains("error=")) {
        assert!(challenge.contains(&format!("error_description=\"{code}: ")), "{challenge}");
    }
    assert!(status != 503 || !answer.headers("retry-after").is_empty(), "{answer:?}");
}

#[tokio::test]
async fn a_good_token_with_its_proof_reaches_the_api_and_the_api_knows_who_calls() {
    let world = World::start().await;
    let token = world.mint().sign();
    let answer = world.call("GET", "/orders/7?page=2", &token).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["target"], "/orders/7?page=2");
    for (name, value) in [
        ("x-workload-id", "spiffe://example.com/shop"),
        ("x-workload-subject", "spiffe://example.com/shop"),
        ("x-workload-issuer", world.issuer.url().as_str()),
        ("x-workload-audience", "https://orders.internal"),
        ("x-workload-scope", "orders:read"),
        ("host", world.api.address.as_str()),
    ] {
        assert_eq!(answer.seen(name), [value], "{name}");
    }
    assert_eq!(answer.seen("x-request-id")[0].len(), 32);
    for credential in ["authorization", "dpop", "x-workload-actors"] {
        assert!(answer.seen(credential).is_empty(), "{credential}");
    }
    assert!(answer.headers("authorization").is_empty(), "an API cannot hand out a credential");
    world.end().await;
}

#[tokio::test]
async fn nothing_presented_is_a_challenge_without_an_error() {
    let world = World::start().await;
    let answer = world.send("GET", "/orders/7", "").await;
    assert_rejected(&answer, 401, "token_missing");
    let challenges = answer.headers("www-authenticate");
    assert_eq!(challenges.len(), 1, "only bound tokens are accepted here: {challenges:?}");
    assert!(challenges[0].starts_with("DPoP algs=\"ES256 "), "{challenges:?}");
    let metadata =
        "resource_metadata=\"https://orders.example.com/.well-known/oauth-protected-resource/orders\"";
    assert!(challenges[0].ends_with(metadata), "{challenges:?}");
    assert!(!challenges[0].contains("error"));
    let both = world.send("GET", "/billing", "").await.headers("www-authenticate");
    assert_eq!(both.len(), 2, "{both:?}");
    assert_eq!(world.api.seen(), 0);
    world.end().await;
}

#[tokio::test]
async fn every_bad_token_is_refused_with_its_own_code() {
    let world = World::start().await;
    let other = SigningKey::generate(Algorithm::Es256).unwrap();
    let now = world.now();
    let cases: Vec<(&str, String)> = vec![
        ("expired", world.mint().with("exp", NOW).sign()),
        ("expired", world.mint().with("iat", NOW - 900).with("nbf", NOW - 900).with("exp", NOW - 600).sign()),
        ("not_yet_valid", world.mint().with("nbf", NOW + 31).sign()),
        ("not_yet_valid", world.mint().with("iat", NOW + 31).sign()),
        ("lifetime_too_long", world.mint().with("exp", NOW + 3_601).sign()),
        ("wrong_audience", world.mint().with("aud", "https://other.internal").sign()),
        ("wrong_audience", world.mint().with("aud", "https://reports.internal").sign()),
        ("wrong_audience", world.mint().with("aud", "https://orders.internal/").sign()),
        ("wrong_audience", world.mint().with("aud", json!(["https://orders.internal.evil"])).sign()),
        ("malformed", world.mint().without("aud").sign()),
        ("malformed", world.mint().with("aud", json!([])).sign()),
        ("malformed", world.mint().without("exp").sign()),
        ("malformed", world.mint().with("exp", Value::Null).sign()),
        ("malformed", world.mint().with("exp", "soon").sign()),
        ("malformed", world.mint().without("sub").sign()),
        ("malformed", world.mint().with("cnf", json!({"unknown": "x"})).sign()),
        ("malformed", world.mint().with("sub", "shop\r\nX-Workload-Id: root").sign()),
        ("malformed", world.mint().with("sub", "sh\u{f6}p").sign()),
        ("malformed", "a.b.c".to_owned()),
        ("malformed", "e30.e30.".to_owned()),
        ("unknown_issuer", world.mint().with("iss", "https://evil.example").sign()),
        ("unknown_issuer", world.mint().with("iss", format!("{}/", world.issuer.url())).sign()),
        ("unknown_issuer", world.issuer.bearer(now).sign()),
        ("unknown_issuer", world.mint().without("iss").sign()),
        ("unknown_kid", world.mint().signed_by(&other).sign()),
        ("unknown_kid", world.mint().naming("../../etc/passwd").sign()),
        ("bad_signature", world.mint().signed_by(&other).naming(world.issuer.key.key_id()).sign()),
        ("wrong_type", world.mint().typed("JWT").sign()),
        ("wrong_type", world.mint().typed("logout+jwt").sign()),
        ("binding_mismatch", world.mint().without("cnf").sign()),
    ];
    for (number, (code, token)) in (0..).zip(cases) {
        if code == "unknown_kid" {
            // A fetch after the key was first asked for must say so, and fetches keep ten seconds apart.
            world.clock.set(NOW + 11 * (number - 23));
        }
        assert_rejected(&world.call("GET", "/orders/7", &token).await, 401, code);
    }
    assert_eq!(world.api.seen(), 0);
    world.end().await;
}

#[tokio::test]
async fn the_algorithm_is_the_keys_and_never_none_or_hmac() {
    let world = World::start().await;
    let good = world.mint().sign();
    let (_, rest) = good.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    let kid = world.issuer.key.key_id();
    for (header, code) in [
        (json!({"alg": "none", "typ": "at+jwt", "kid": kid}), "alg_not_allowed"),
        (json!({"alg": "None", "typ": "at+jwt", "kid": kid}), "alg_not_allowed"),
        (json!({"alg": "HS256", "typ": "at+jwt", "kid": kid}), "alg_not_allowed"),
        (json!({"alg": "ES384", "typ": "at+jwt", "kid": kid}), "alg_not_allowed"),
        (json!({"alg": "RS256", "typ": "at+jwt", "kid": kid}), "alg_not_allowed"),
        (json!({"alg": "", "typ": "at+jwt", "kid": kid}), "alg_not_allowed"),
        (json!({"alg": "ES256", "typ": "at+jwt", "kid": kid, "crit": ["exp"], "exp": 1}), "malformed"),
        (json!({"alg": "ES256", "typ": "at+jwt", "kid": kid, "b64": false}), "malformed"),
        (json!({"alg": "ES256", "typ": "at+jwt", "kid": kid, "jku": "http://169.254.169.254/"}), "malformed"),
        (json!({"alg": ["ES256"], "typ": "at+jwt"}), "malformed"),
    ] {
        for signature in [signature, ""] {
            let token = format!("{}.{payload}.{signature}", base64url::encode(header.to_string()));
            let answer = world.call("GET", "/orders/7", &token).await;
            assert_eq!(answer.status, 401, "{header}: {answer:?}");
            assert_eq!(answer.code(), code, "{header}");
        }
    }
    assert_eq!(world.api.seen(), 0);
    world.end().await;
}

#[tokio::test]
async fn a_token_of_one_route_does_not_open_another_also_when_it_is_cached() {
    let world = World::start().await;
    let token = world.mint().sign();
    assert_eq!(world.call("GET", "/orders/7", &token).await.status, 200);
    let answer = world.call("GET", "/orders/admin/7", &token).await;
    assert_rejected(&answer, 403, "insufficient_scope");
    assert!(answer.headers("www-authenticate")[0].ends_with("scope=\"orders:admin orders:read\""));
    assert_rejected(&world.call("GET", "/billing/7", &token).await, 401, "unknown_issuer");
    let wide = world.mint().with("scope", "orders:read orders:admin").sign();
    assert_eq!(world.call("GET", "/orders/admin/7", &wide).await.status, 200);
    world.end().await;
}

#[tokio::test]
async fn a_cached_token_dies_at_its_second() {
    let world = World::start().await;
    let token = world.mint().sign();
    assert_eq!(world.call("GET", "/orders/7", &token).await.status, 200);
    world.clock.set(NOW + 299);
    assert_eq!(world.call("GET", "/orders/7", &token).await.status, 200);
    world.clock.set(NOW + 300);
    assert_rejected(&world.call("GET", "/orders/7", &token).await, 401, "expired");
    world.end().await;
}

#[tokio::test]
async fn two_credentials_are_refused() {
    let world = World::start().await;
    let token = world.mint().sign();
    let one = format!("Authorization: DPoP {token}\r\n");
    for (target, more) in [
        ("/orders/7", format!("{one}{one}")),
        ("/orders/7", format!("{one}authorization: Bearer {token}\r\n")),
        ("/orders/7", format!("{one}Txn-Token: {token}\r\n")),
        ("/orders/7?access_token=x", one.clone()),
    ] {
        assert_rejected(&world.send("GET", target, &more).await, 400, "multiple_tokens");
    }
    world.end().await;
}

#[tokio::test]
async fn tokens_in_the_query_are_not_read() {
    let world = World::start().await;
    let token = world.issuer.bearer(world.now()).sign();
    assert_eq!(
        world.send("GET", "/billing/7", &format!("Authorization: Bearer {token}\r\n")).await.status,
        200
    );
    let answer = world.send("GET", &format!("/billing/7?access_token={token}"), "").await;
    assert_rejected(&answer, 401, "token_missing");
    world.end().await;
}

#[tokio::test]
async fn bearer_tokens_pass_only_where_they_are_allowed() {
    let world = World::start().await;
    let bearer = world.issuer.bearer(world.now()).sign();
    let authorization = format!("Authorization: Bearer {bearer}\r\n");
    assert_eq!(world.send("GET", "/billing/7", &authorization).await.status, 200);
    let as_bound = format!("Authorization: DPoP {bearer}\r\n");
    assert_rejected(&world.send("GET", "/billing/7", &as_bound).await, 401, "binding_mismatch");
    for garbage in ["Basic YTpi", "Bearer", "Bearer  a.b.c", "Bearer a.b.c, Bearer a.b.c", "Token x"] {
        let answer = world.send("GET", "/billing/7", &format!("Authorization: {garbage}\r\n")).await;
        assert_eq!(answer.status, 401, "{garbage}");
    }
    world.end().await;
}

#[tokio::test]
async fn an_optional_route_takes_nothing_for_anonymous_but_never_an_invalid_token() {
    let world = World::start().await;
    let anonymous = world.send("GET", "/optional/7", "X-Workload-Id: root\r\n").await;
    assert_eq!(anonymous.status, 200);
    assert!(anonymous.seen("x-workload-id").is_empty());
    let token = world.issuer.bearer(world.now()).sign();
    let known = world.send("GET", "/optional/7", &format!("Authorization: Bearer {token}\r\n")).await;
    assert_eq!(known.seen("x-workload-id"), ["spiffe://example.com/shop"]);
    let expired = world.issuer.bearer(world.now()).with("exp", NOW).sign();
    for credential in [
        format!("Authorization: Bearer {expired}\r\n"),
        "Authorization: Bearer x\r\n".to_owned(),
        "Authorization: Basic YTpi\r\n".to_owned(),
        "DPoP: x\r\n".to_owned(),
        "Txn-Token: x\r\n".to_owned(),
    ] {
        assert_eq!(world.send("GET", "/optional/7", &credential).await.status, 401, "{credential}");
    }
    world.end().await;
}

#[tokio::test]
async fn the_actor_is_who_calls_and_the_subject_is_for_whom() {
    let world = World::start().await;
    let act = json!({"sub": "spiffe://example.com/agent", "act": {"sub": "spiffe://example.com/shop"}});
    let token = world.mint().with("sub", "user-7").with("act", act).sign();
    let answer = world.call("GET", "/orders/7", &token).await;
    assert_eq!(answer.seen("x-workload-id"), ["spiffe://example.com/agent"]);
    assert_eq!(answer.seen("x-workload-subject"), ["user-7"]);
    assert_eq!(answer.seen("x-workload-actors"), ["spiffe://example.com/agent, spiffe://example.com/shop"]);
    let forged = world.mint().with("act", json!({"sub": "a, spiffe://example.com/admin"})).sign();
    assert_rejected(&world.call("GET", "/orders/7", &forged).await, 401, "malformed");
    world.end().await;
}

#[tokio::test]
async fn a_token_beyond_the_limit_is_refused_before_it_is_looked_at() {
    let world = World::start().await;
    let long = format!("Authorization: DPoP {}\r\n", "a".repeat(20_000));
    let answer = world.send("GET", "/orders/7", &long).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"));
    world.end().await;
}
