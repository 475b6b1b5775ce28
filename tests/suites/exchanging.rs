//! Token exchange over the wire (RFC 8693): whose tokens buy what, for whom, and how long the chain may be.
//! Not here: the gateway's use of it.

mod actors;
mod confirmed;
mod endpoints;
mod explained;
mod inspecting;
mod opaque;
mod opaque_outages;
mod peers;
mod subjects;
mod targets;

use serde_json::{Value, json};
use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::issuer::{TestIssuer, decode, encode, random};
use symbolon_e2e::jwks::JwksEndpoint;
use symbolon_e2e::machine::{now, uid};
use symbolon_e2e::programs::Broker;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const KEY_ID: &str = "test-key-1";
/// The client that is a service in the middle.
const CLIENT: &str = "middle";
const FRONT: &str = "https://front.test";
const BACK: &str = "https://back.test";
const DEEP: &str = "https://deep.test";

/// A broker with three services behind one another, three registered clients, and a foreign issuer of users.
struct Exchanging {
    broker: Broker,
    clients: Vec<TestIssuer>,
    users: TestIssuer,
    keys: JwksEndpoint,
}

impl Exchanging {
    async fn start() -> Self {
        Self::start_with("", "").await
    }

    async fn start_with(more_config: &str, more_policies: &str) -> Self {
        Self::start_among("", more_config, more_policies).await
    }

    /// With more entries of `subject_issuers`.
    async fn start_among(more_issuers: &str, more_config: &str, more_policies: &str) -> Self {
        let clients: Vec<TestIssuer> = [CLIENT, "second", "third"].map(TestIssuer::new).into();
        let users = TestIssuer::new("http://127.0.0.1:1/users");
        let mut keys = JwksEndpoint::new(&users.jwks().to_string());
        keys.up().await;
        let resource = |name: &str, more: &str| {
            format!(
                "  - {{ name: {name}, audience: \"https://{name}.test\", scopes: [\"{name}:read\", \"{name}:write\"], default_scopes: [\"{name}:read\"], binding: bearer_allowed{more} }}\n"
            )
        };
        let config = format!(
            "{front}{back}{deep}{borrowed}{bound}subject_issuers:\n\
             \x20 - {{ name: idp, issuer: \"{issuer}\", dev: true, keys: {{ jwks_uri: \"{uri}\" }}, audiences: [\"https://app.test\"], access_token_type: at+jwt, id_tokens: true, claims: {{ team: claims.team }} }}\n{more_issuers}\
             limits: {{ targets: 2, given_back_per_hour: 3 }}\n{more_config}",
            front = resource("front", ", claims: { provider: workload.provider }"),
            back = resource("back", ", claims: { provider: workload.provider }"),
            deep = resource("deep", ""),
            borrowed = resource("borrowed", ", exchange: impersonate"),
            bound = "  - { name: bound, audience: \"https://bound.test\", scopes: [\"bound:read\"], default_scopes: [\"bound:read\"] }\n\
                       \x20 - { name: one, audience: \"https://one.test\", scopes: [read, write], default_scopes: [read], binding: bearer_allowed }\n\
                       \x20 - { name: two, audience: \"https://two.test\", scopes: [read, write], default_scopes: [write], binding: bearer_allowed }\n",
            issuer = users.url,
            uri = keys.url(),
        );
        // The other clients stand in the section that `rest` continues: written as one more file of the broker's own.
        let second = clients[1].jwks().to_string();
        let third = clients[2].jwks().to_string();
        let broker = Broker::start_clients(
            &[(CLIENT, &clients[0].jwks().to_string()), ("second", &second), ("third", &third)],
            &config,
            &format!("{POLICIES}{more_policies}"),
        )
        .await;
        Self { broker, clients, users, keys }
    }

    fn assertion(&self, client: usize) -> String {
        let issuer = &self.clients[client];
        let claims = json!({
            "iss": issuer.url, "sub": issuer.url, "aud": self.broker.url, "jti": encode(&random()),
            "iat": now(), "exp": now() + 60
        });
        issuer.sign(&json!({"alg": "ES256", "kid": KEY_ID}), &claims)
    }

    /// Posts a form to an endpoint as one of the registered clients.
    async fn post(&self, client: usize, path: &str, fields: &[(&str, &str)]) -> Answer {
        let assertion = self.assertion(client);
        let evidence = [("client_assertion_type", JWT_BEARER), ("client_assertion", assertion.as_str())];
        Call::form(path, &[&evidence, fields].concat()).send(self.broker.address).await.unwrap()
    }

    /// Exchanges as one of the registered clients.
    async fn exchange(&self, client: usize, fields: &[(&str, &str)]) -> Answer {
        self.post(client, "/oauth2/token", &[&[("grant_type", EXCHANGE)], fields].concat()).await
    }

    /// Exchanges a token of one service for one of another.
    async fn pass_on(&self, client: usize, subject: &str, target: &str) -> Answer {
        self.exchange(
            client,
            &[("subject_token", subject), ("subject_token_type", ACCESS_TOKEN), ("resource", target)],
        )
        .await
    }

    /// A token for the front service of the local program that runs the tests: the subject of what follows.
    async fn front_token(&self) -> String {
        let fields =
            [("grant_type", "client_credentials"), ("resource", FRONT), ("scope", "front:read front:write")];
        let call = Call::form("/oauth2/token", &fields);
        let answer = call.send(self.broker.socket().as_path()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", said(&answer));
        answer.text("access_token")
    }

    /// The claims of an access token of a user, for our app.
    fn user_claims(&self) -> Value {
        let mut claims = self.users.claims("https://app.test");
        claims["sub"] = json!("alice");
        claims["client_id"] = json!("app");
        claims["scope"] = json!("openid");
        claims["team"] = json!("shop");
        claims
    }
}

/// The middle service operates the front, the second client the back; both may pass on.
const POLICIES: &str = r#"
@id("local-front") permit (principal, action == Symbolon::Action::"issue", resource == Symbolon::Resource::"front")
when { principal has unix };
@id("middle-operates-front") permit (principal, action == Symbolon::Action::"operate", resource == Symbolon::Resource::"front")
when { principal has client && principal.client.id == "middle" };
@id("second-operates-back") permit (principal, action == Symbolon::Action::"operate", resource == Symbolon::Resource::"back")
when { principal has client && principal.client.id == "second" };
@id("third-operates-deep") permit (principal, action == Symbolon::Action::"operate", resource == Symbolon::Resource::"deep")
when { principal has client && principal.client.id == "third" };
@id("pass-on") permit (principal, action == Symbolon::Action::"exchange", resource)
when { principal has client && !(context.subject.hasTag("team") && context.subject.getTag("team") == "rivals") };
@id("not-the-write-of-deep") forbid (principal, action == Symbolon::Action::"exchange", resource == Symbolon::Resource::"deep")
when { context.scope == "deep:write" };
@id("borrow") permit (principal, action == Symbolon::Action::"impersonate", resource == Symbolon::Resource::"borrowed")
when { principal has client && principal.client.id == "middle" };
"#;

fn said(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&decode(token.split('.').nth(1).unwrap())).unwrap()
}

/// Checks an OAuth error (RFC 8693 §2.2.2).
fn assert_refused(what: &str, answer: &Answer, error: &str, code: &str) {
    assert_eq!((answer.status, answer.text("error").as_str()), (400, error), "{what}: {}", said(answer));
    assert!(answer.text("error_description").starts_with(&format!("{code}:")), "{what}: {}", said(answer));
    assert!(answer.json().get("access_token").is_none());
    assert_eq!(answer.header("cache-control"), "no-store");
}

fn local() -> String {
    format!("spiffe://test.example/local/uid/{}", uid())
}

fn workload(client: &str) -> String {
    format!("spiffe://test.example/client/{client}")
}

#[tokio::test]
async fn a_service_passes_a_token_on_and_stays_visible() {
    let exchanging = Exchanging::start().await;
    let subject = exchanging.front_token().await;
    let answer = exchanging.pass_on(0, &subject, BACK).await;
    assert_eq!(answer.status, 200, "{}", said(&answer));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.text("issued_token_type"), ACCESS_TOKEN);
    assert_eq!((answer.text("token_type").as_str(), answer.text("scope").as_str()), ("Bearer", "back:read"));
    let (before, after) = (claims(&subject), claims(&answer.text("access_token")));
    assert!(answer.json()["expires_in"].as_u64().is_some_and(|life| (1..=300).contains(&life)));
    assert!(answer.json().get("refresh_token").is_none(), "{}", said(&answer));
    assert_eq!((&after["sub"], &after["aud"]), (&json!(local()), &json!(BACK)));
    assert_eq!(
        (&after["client_id"], &after["act"]),
        (&json!(workload(CLIENT)), &json!({"sub": workload(CLIENT)}))
    );
    assert_eq!(after["lineage"], before["jti"]);
    assert!(after["exp"].as_u64() <= before["exp"].as_u64(), "it outlives its subject: {after}");
    // The next service on the way: the chain grows at its front, the root stays.
    let next = exchanging.pass_on(1, &answer.text("access_token"), DEEP).await;
    assert_eq!(next.status, 200, "{}", said(&next));
    let chained = claims(&next.text("access_token"));
    assert_eq!(chained["act"], json!({"sub": workload("second"), "act": {"sub": workload(CLIENT)}}));
    assert_eq!((&chained["sub"], &chained["lineage"]), (&json!(local()), &before["jti"]));
}

#[tokio::test]
async fn an_exchange_is_on_record_with_whose_token_it_was() {
    let exchanging = Exchanging::start().await;
    let subject = exchanging.front_token().await;
    let denied = exchanging
        .exchange(
            0,
            &[
                ("subject_token", &subject),
                ("subject_token_type", ACCESS_TOKEN),
                ("resource", DEEP),
                ("scope", "deep:write"),
            ],
        )
        .await;
    assert_refused("a forbidden scope", &denied, "invalid_target", "denied");
    let path = format!("/v1/decisions/{}", denied.text("decision_id"));
    let recorded = Call::get(&path).send(exchanging.broker.admin_socket().as_path()).await.unwrap();
    assert_eq!(recorded.status, 200);
    let text = said(&recorded);
    assert!(text.contains("not-the-write-of-deep") && text.contains(&local()), "{text}");
    assert!(!text.contains(&subject), "a token is in the record");
}

#[tokio::test]
async fn the_metadata_names_the_grant_and_the_endpoints() {
    let exchanging = Exchanging::start().await;
    let place = exchanging.broker.address;
    let document = Call::get("/.well-known/oauth-authorization-server").send(place).await.unwrap().json();
    assert!(document["grant_types_supported"].as_array().unwrap().contains(&json!(EXCHANGE)));
    for (member, path) in [("introspection_endpoint", "introspect"), ("revocation_endpoint", "revoke")] {
        assert_eq!(document[member], format!("{}/oauth2/{path}", exchanging.broker.url));
    }
}
