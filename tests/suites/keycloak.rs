//! Keycloak's tokens are exchanged for ours (RFC 8693), and what only looks like one is not.
//! Not here: exchange in general (`exchanging.rs`), and Keycloak as the one who takes our tokens.

mod wallet;

use serde_json::{Value, json};
use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::issuer::{KEY_ID, TestIssuer, decode, encode, random};
use symbolon_e2e::machine::now;
use symbolon_e2e::process::wait_for;
use symbolon_e2e::programs::Broker;
use wallet::Wallet;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const ORDERS: &str = "https://orders.shop.test";

/// Alice may be served, Bob not; who is who is what Keycloak says of them.
const POLICIES: &str = r#"
@id("shop-for-alice") permit (principal, action == Symbolon::Action::"exchange", resource == Symbolon::Resource::"shop-orders")
when { principal has client && principal.client.id == "shop" && context.subject.hasTag("user") && context.subject.getTag("user") == "alice" };
"#;

/// Our broker, which knows two realms: one that tells its access tokens apart by `typ`, and one as Keycloak is by default.
struct Shop {
    broker: Broker,
    client: TestIssuer,
}

impl Shop {
    async fn start(wallet: &Wallet) -> Self {
        let client = TestIssuer::new("shop");
        let config = format!(
            "\x20 - {{ name: shop-orders, audience: \"{ORDERS}\", scopes: [\"orders:read\", \"orders:write\"], default_scopes: [\"orders:read\"], binding: bearer_allowed }}\n\
             subject_issuers:\n\
             \x20 - {{ name: kc, issuer: \"{typed}\", dev: true, audiences: [\"https://app.test\"], claims: {{ user: claims.preferred_username }} }}\n\
             \x20 - {{ name: plain, issuer: \"{untyped}\", dev: true, audiences: [\"https://app.test\"], access_token_type: JWT, condition: 'claims.typ == \"Bearer\"', claims: {{ user: claims.preferred_username }} }}\n",
            typed = wallet.typed_issuer,
            untyped = wallet.untyped_issuer,
        );
        let keys = client.jwks().to_string();
        let broker = Broker::start_clients(&[("shop", &keys)], &config, POLICIES).await;
        Self { broker, client }
    }

    /// Exchanges a token as the registered client of the shop.
    async fn exchange(&self, subject: &str, kind: &str) -> Answer {
        let claims = json!({
            "iss": "shop", "sub": "shop", "aud": self.broker.url, "jti": encode(&random()), "iat": now(), "exp": now() + 60
        });
        let assertion = self.client.sign(&json!({"alg": "ES256", "kid": KEY_ID}), &claims);
        let form = [
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", &assertion),
            ("grant_type", EXCHANGE),
            ("subject_token", subject),
            ("subject_token_type", kind),
            ("resource", ORDERS),
        ];
        Call::form("/oauth2/token", &form).send(self.broker.address).await.unwrap()
    }

    async fn assert_refused(&self, what: &str, (subject, kind): (&str, &str), error: &str, code: &str) {
        let answer = self.exchange(subject, kind).await;
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!((answer.status, answer.text("error").as_str()), (400, error), "{what}: {said}");
        assert!(answer.text("error_description").starts_with(&format!("{code}:")), "{what}: {said}");
        assert!(answer.json().get("access_token").is_none(), "{what}");
    }
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&decode(token.split('.').nth(1).unwrap())).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_keycloak_becomes_ours_and_nothing_else_of_keycloaks_does() {
    let wallet = Wallet::fill().await;
    let shop = Shop::start(&wallet).await;
    for (subject, namespace) in [(&wallet.access_token, "kc"), (&wallet.untyped_access_token, "plain")] {
        becomes_ours(&shop, subject, namespace).await;
    }
    shop.assert_refused("Bob", (&wallet.bobs_access_token, ACCESS_TOKEN), "invalid_target", "denied").await;
    is_what_it_is(&shop, &wallet).await;
    is_untouched(&shop, &wallet).await;
    wait_for("the brief token has expired", std::time::Duration::from_secs(10), async || {
        claims(&wallet.brief_access_token)["exp"].as_u64().unwrap() <= now()
    })
    .await;
    let brief = (wallet.brief_access_token.as_str(), ACCESS_TOKEN);
    shop.assert_refused("X4 expired", brief, "invalid_request", "expired").await;
}

async fn becomes_ours(shop: &Shop, subject: &str, namespace: &str) {
    let answer = shop.exchange(subject, ACCESS_TOKEN).await;
    assert_eq!(answer.status, 200, "{namespace}: {}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.text("issued_token_type"), ACCESS_TOKEN);
    assert_eq!(
        (answer.text("token_type").as_str(), answer.text("scope").as_str()),
        ("Bearer", "orders:read")
    );
    let token = answer.text("access_token");
    let (before, after) = (claims(subject), claims(&token));
    let named = |claim: &str| json!(format!("{namespace}:{}", before[claim].as_str().unwrap()));
    let workload = json!("spiffe://test.example/client/shop");
    assert_eq!((&after["iss"], &after["aud"]), (&json!(shop.broker.url), &json!(ORDERS)));
    assert_eq!((&after["sub"], &after["lineage"]), (&named("sub"), &named("jti")));
    assert_eq!((&after["client_id"], &after["act"]), (&workload, &json!({"sub": workload})));
    assert_eq!(after["scope"], "orders:read");
    assert!(after["exp"].as_u64() <= before["exp"].as_u64(), "it outlives its subject: {after}");
    // Whose keys sign it: ours, as they are published.
    let header: Value = serde_json::from_slice(&decode(token.split('.').next().unwrap())).unwrap();
    let keys = Call::get("/.well-known/jwks.json").send(shop.broker.address).await.unwrap().json();
    assert!(keys["keys"].as_array().unwrap().iter().any(|key| key["kid"] == header["kid"]), "{header}");
    assert_eq!(header["typ"], "at+jwt");
}

/// A token for others, of another kind or of another realm buys nothing.
async fn is_what_it_is(shop: &Shop, wallet: &Wallet) {
    for (what, subject, kind, code) in [
        ("another audience", &wallet.other_audience, ACCESS_TOKEN, "wrong_audience"),
        ("X1 another realm", &wallet.other_realm, ACCESS_TOKEN, "unknown_issuer"),
        ("X8 an ID token as an access token", &wallet.id_token, ACCESS_TOKEN, "wrong_type"),
        ("X8 an ID token as a JWT", &wallet.id_token, JWT, "wrong_type"),
        ("X8 an ID token as such", &wallet.id_token, ID_TOKEN, "wrong_type"),
        ("X8 an access token as an ID token", &wallet.access_token, ID_TOKEN, "wrong_type"),
        ("an access token without its type", &wallet.untyped_here, ACCESS_TOKEN, "wrong_type"),
        ("a refresh token", &wallet.refresh_token, ACCESS_TOKEN, "alg_not_allowed"),
        ("X8 where types are not told apart", &wallet.untyped_id_token, ACCESS_TOKEN, "mapping_failed"),
    ] {
        shop.assert_refused(what, (subject, kind), "invalid_request", code).await;
    }
}

/// Whatever is changed breaks the signature.
async fn is_untouched(shop: &Shop, wallet: &Wallet) {
    let parts = |token: &str| -> [String; 3] {
        token.split('.').map(ToOwned::to_owned).collect::<Vec<_>>().try_into().unwrap()
    };
    let [header, payload, signature] = parts(&wallet.access_token);
    let [_, other_payload, other_signature] = parts(&wallet.other_realm);
    let changed = |claim: &str, value: Value| {
        let mut claims = claims(&wallet.access_token);
        claims[claim] = value;
        encode(claims.to_string().as_bytes())
    };
    let mut bent = decode(&signature);
    bent[40] ^= 1;
    let longer = changed("exp", json!(now() + 3000));
    let root = changed("sub", json!("root"));
    let moved = {
        let mut claims = claims(&wallet.other_realm);
        claims["iss"] = json!(wallet.typed_issuer);
        encode(claims.to_string().as_bytes())
    };
    let none = encode(br#"{"alg":"none","typ":"at+jwt"}"#);
    for (what, token, code) in [
        ("another signature", format!("{header}.{payload}.{}", encode(&bent)), "bad_signature"),
        ("a longer life", format!("{header}.{longer}.{signature}"), "bad_signature"),
        ("another subject", format!("{header}.{root}.{signature}"), "bad_signature"),
        ("another realm's, moved here", format!("{header}.{moved}.{other_signature}"), "bad_signature"),
        (
            "another realm's, under our header",
            format!("{header}.{other_payload}.{other_signature}"),
            "unknown_issuer",
        ),
        ("no signature", format!("{header}.{payload}."), "bad_signature"),
        ("alg none", format!("{none}.{payload}."), "alg_not_allowed"),
    ] {
        shop.assert_refused(what, (&token, ACCESS_TOKEN), "invalid_request", code).await;
    }
}
