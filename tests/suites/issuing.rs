//! The token endpoint over the wire: what buys a token, what does not, and what the answers look like.
//! Not here: the gateway.

mod assertions;
mod discovery;
mod forms;
mod proofs;

use serde_json::{Value, json};
use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::issuer::{TestIssuer, decode, encode, random};
use symbolon_e2e::machine::{now, uid};
use symbolon_e2e::programs::Broker;

const CLIENT: &str = "tester";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// One source may have an eighth of these under way; a hundred at once are wanted below.
const LIMITS: &str = "limits: { concurrent_requests: 2048 }\n";

/// A broker and the key of its registered client.
struct Issuing {
    broker: Broker,
    client: TestIssuer,
}

impl Issuing {
    async fn start() -> Self {
        let client = TestIssuer::new(CLIENT);
        let broker = Broker::start(CLIENT, &client.jwks().to_string(), LIMITS).await;
        Self { broker, client }
    }

    /// The claims of an honest assertion (RFC 7523 §3).
    fn assertion_claims(&self) -> Value {
        json!({
            "iss": CLIENT, "sub": CLIENT, "aud": self.broker.url, "jti": encode(&random()),
            "iat": now(), "exp": now() + 60
        })
    }

    fn assertion(&self) -> String {
        self.client
            .sign(&json!({"alg": "ES256", "typ": "JWT", "kid": "test-key-1"}), &self.assertion_claims())
    }

    /// Asks for `notes` on the TCP port.
    async fn present(&self, assertion: &str) -> Answer {
        self.tcp(&[("client_assertion_type", JWT_BEARER), ("client_assertion", assertion)]).await
    }

    /// Asks on the TCP port, with these fields beside grant and resource.
    async fn tcp(&self, fields: &[(&str, &str)]) -> Answer {
        let usual = [("grant_type", "client_credentials"), ("resource", "https://notes.test")];
        Call::form("/oauth2/token", &[&usual, fields].concat()).send(self.broker.address).await.unwrap()
    }

    /// Asks over the socket, with exactly these fields.
    async fn socket(&self, fields: &[(&str, &str)]) -> Answer {
        Call::form("/oauth2/token", fields).send(self.broker.socket().as_path()).await.unwrap()
    }
}

/// Checks an OAuth error (RFC 6749 §5.2).
fn assert_refused(answer: &Answer, status: u16, error: &str, code: &str) {
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!((answer.status, answer.text("error").as_str()), (status, error), "{said}");
    assert!(answer.text("error_description").starts_with(code), "{said}");
    assert!(answer.json().get("access_token").is_none());
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("www-authenticate").is_empty(), status != 401, "{:?}", answer.headers);
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&decode(token.split('.').nth(1).unwrap())).unwrap()
}

fn header(token: &str) -> Value {
    serde_json::from_slice(&decode(token.split('.').next().unwrap())).unwrap()
}

#[tokio::test]
async fn an_assertion_buys_a_token_of_the_documented_form() {
    let issuing = Issuing::start().await;
    let answer = issuing.present(&issuing.assertion()).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!((answer.text("token_type").as_str(), answer.text("scope").as_str()), ("Bearer", "notes:read"));
    let token = answer.text("access_token");
    let (header, claims) = (header(&token), claims(&token));
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
    let workload = json!("spiffe://test.example/client/tester");
    assert_eq!((&claims["sub"], &claims["client_id"]), (&workload, &workload));
    assert_eq!((&claims["iss"], &claims["scope"]), (&json!(issuing.broker.url), &json!("notes:read")));
    assert!(
        claims["aud"] == "https://notes.test" || claims["aud"] == json!(["https://notes.test"]),
        "{claims}"
    );
    let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert!(life <= 300 && answer.json()["expires_in"].as_u64().unwrap() <= life, "{claims}");
    assert!(claims["jti"].is_string() && claims["nbf"].is_u64() && claims.get("cnf").is_none(), "{claims}");
    let mut names: Vec<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let profile = ["aud", "client_id", "exp", "iat", "iss", "jti", "nbf", "scope", "sub"];
    assert_eq!(names, profile, "nothing else is told about anybody");
    let published = Call::get("/.well-known/jwks.json").send(issuing.broker.address).await.unwrap().json();
    assert!(published["keys"].as_array().unwrap().iter().any(|key| key["kid"] == header["kid"]));
    assert!(
        published["keys"].as_array().unwrap().iter().all(|key| key.get("d").is_none()),
        "a private key is published"
    );
}

#[tokio::test]
async fn the_socket_needs_no_assertion_and_the_port_does() {
    let issuing = Issuing::start().await;
    let fields = [("grant_type", "client_credentials"), ("resource", "https://notes.test")];
    let answer = issuing.socket(&fields).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let expected = format!("spiffe://test.example/local/uid/{}", uid());
    assert_eq!(claims(&answer.text("access_token"))["sub"], expected);
    assert_refused(&issuing.tcp(&[]).await, 401, "invalid_client", "evidence_missing");
}

#[tokio::test]
async fn a_denial_is_on_record_and_explained_on_the_admin_socket_only() {
    let issuing = Issuing::start().await;
    let fields =
        [("grant_type", "client_credentials"), ("resource", "https://notes.test"), ("scope", "notes:write")];
    let answer = issuing.socket(&fields).await;
    assert_refused(&answer, 400, "access_denied", "denied");
    let id = answer.text("decision_id");
    assert!(id.starts_with("b-"), "{id}");
    let path = format!("/v1/decisions/{id}");
    let recorded = Call::get(&path).send(issuing.broker.admin_socket().as_path()).await.unwrap();
    assert_eq!((recorded.status, recorded.text("outcome").as_str()), (200, "denied"));
    let explained = recorded.json()["near_misses"].to_string();
    assert!(explained.contains("local-notes") && explained.contains("notes:write"), "{}", recorded.json());
    for place in [issuing.broker.address, issuing.broker.admin] {
        assert_eq!(Call::get(&path).send(place).await.unwrap().status, 404);
    }
    let attestation = Call::get(&path).send(issuing.broker.socket().as_path()).await.unwrap();
    assert!(attestation.json().get("near_misses").is_none(), "{}", attestation.json());
    let metrics = Call::get("/metrics").send(issuing.broker.address).await.unwrap();
    assert_eq!(metrics.status, 404, "metrics are on the admin port only");
}

#[tokio::test]
async fn discovery_names_what_there_is() {
    let issuing = Issuing::start().await;
    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
        let answer = Call::get(path).send(issuing.broker.address).await.unwrap();
        let document = answer.json();
        assert_eq!(document["issuer"], issuing.broker.url, "{path}");
        assert_eq!(document["token_endpoint"], format!("{}/oauth2/token", issuing.broker.url));
        assert!(document.get("authorization_endpoint").is_none());
        assert!(document["token_endpoint_auth_methods_supported"].to_string().contains("private_key_jwt"));
        assert!(document["dpop_signing_alg_values_supported"].to_string().contains("ES256"));
    }
}
