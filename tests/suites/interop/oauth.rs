//! Foreign OAuth clients, unmodified, against a broker and a gateway: each does what it is made for, and refuses or is
//! refused once something is altered.
//! Not here: what a client library does not look at (`exchanging`, `issuing`, `verifying`).

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use symbolon_e2e::api::Api;
use symbolon_e2e::http::Call;
use symbolon_e2e::issuer::{KEY_ID, TestIssuer};
use symbolon_e2e::machine::uid;
use symbolon_e2e::process::workspace;
use symbolon_e2e::programs::{Broker, Gateway};

const CLIENT: &str = "shop";
const WORKLOAD: &str = "spiffe://test.example/client/shop";
const FRONT: &str = "https://front.test";
const BACK: &str = "https://back.test";
const BOUND: &str = "https://bound.test";

const POLICIES: &str = r#"
@id("shop-buys") permit (principal, action == Symbolon::Action::"issue", resource)
when { principal has client && principal.client.id == "shop" };
@id("local-front") permit (principal, action == Symbolon::Action::"issue", resource == Symbolon::Resource::"front")
when { principal has unix };
@id("shop-operates-front") permit (principal, action == Symbolon::Action::"operate", resource == Symbolon::Resource::"front")
when { principal has client && principal.client.id == "shop" };
@id("shop-passes-on") permit (principal, action == Symbolon::Action::"exchange", resource == Symbolon::Resource::"back")
when { principal has client && principal.client.id == "shop" };
"#;

/// A broker with one registered client, and a gateway before an API.
struct Shop {
    broker: Broker,
    gateway: Gateway,
    client: TestIssuer,
    _api: Api,
}

impl Shop {
    async fn start() -> Self {
        let client = TestIssuer::new(CLIENT);
        let resource = |name: &str, binding: &str| {
            format!(
                "  - {{ name: {name}, audience: \"https://{name}.test\", scopes: [\"{name}:read\"], default_scopes: [\"{name}:read\"], binding: {binding} }}\n"
            )
        };
        let resources = [("front", "bearer_allowed"), ("back", "bearer_allowed"), ("bound", "dpop")]
            .map(|(name, binding)| resource(name, binding))
            .concat();
        let mut broker =
            Broker::start_clients(&[(CLIENT, &client.jwks().to_string())], &resources, POLICIES).await;
        // authlib signs for an hour.
        let path = broker.folder.path().join("broker.yaml");
        let named = format!("client_id: {CLIENT},");
        let longer = format!("{named} max_assertion_lifetime: 1h,");
        let config = std::fs::read_to_string(&path).unwrap();
        assert!(config.contains(&named));
        std::fs::write(&path, config.replace(&named, &longer)).unwrap();
        broker.process.kill();
        broker.restart().await;
        let api = Api::start().await;
        let route = |name: &str| {
            format!(
                "  - {{ name: {name}, match: {{ path: \"/{name}/**\" }}, resource: \"https://{name}.test\", upstream: {{ url: \"http://{}\" }}, stages: [{{ verify: {{ issuers: [broker], scopes: [\"{name}:read\"] }} }}] }}\n",
                api.address
            )
        };
        let config = format!(
            "issuers: [{{ name: broker, issuer: \"{}\", dev: true, audiences: [\"{FRONT}\", \"{BOUND}\"], binding: when_bound }}]\nroutes:\n{}{}",
            broker.url,
            route("front"),
            route("bound"),
        );
        let gateway = Gateway::start(&config, &[]).await;
        gateway.ready().await;
        Self { broker, gateway, client, _api: api }
    }

    /// What a client is told: also a token of the program that runs the tests, to pass on.
    async fn what(&self) -> Value {
        let gateway = self.gateway.address;
        let fields = [("grant_type", "client_credentials"), ("resource", FRONT)];
        let answer = Call::form("/oauth2/token", &fields).send(self.broker.socket().as_path()).await.unwrap();
        json!({
            "issuer": self.broker.url, "client_id": CLIENT, "client_key": self.client.private_pem(), "kid": KEY_ID,
            "resource": FRONT, "scope": "front:read", "target": BACK, "bound": BOUND, "bound_scope": "bound:read",
            "subject": answer.text("access_token"),
            "api": format!("http://{gateway}/bound/1"), "open_api": format!("http://{gateway}/front/1"),
        })
    }

    /// Lets a client run, and returns what it saw.
    async fn serves(&self, mut command: Command) -> Value {
        let what = self.what().await.to_string();
        let run = move || {
            let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            super::finish(piped.spawn().unwrap(), &what)
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    }
}

/// What every client that exchanges, asks and gives back has to have seen.
fn assert_passed_on(seen: &Value) {
    let local = format!("spiffe://test.example/local/uid/{}", uid());
    let introspected = json!({"active": true, "sub": local, "act": {"sub": WORKLOAD}});
    assert_eq!(seen["introspected"], introspected, "{seen}");
    assert_eq!(seen["after_revocation"], json!({"active": false}), "{seen}");
    assert_eq!(seen["sub"], WORKLOAD);
    let types = seen["types"].as_array().unwrap();
    assert_eq!(types.last().unwrap(), "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(types[0].as_str().unwrap().to_ascii_lowercase(), "bearer");
}

/// What every client with a key of its own has to have seen.
fn assert_bound(seen: &Value) {
    assert_eq!(seen["types"][1].as_str().unwrap().to_ascii_lowercase(), "dpop");
    assert_eq!(seen["echoed"]["headers"]["x-workload-id"], json!([WORKLOAD]), "{seen}");
    assert_eq!(seen["refused"]["proof_for_elsewhere"], "invalid_dpop_proof", "{seen}");
    assert_eq!(seen["refused"]["another_proof_key"], "invalid_token", "{seen}");
}

fn assert_altered_is_refused(seen: &Value) {
    assert_eq!(seen["refused"]["another_client_key"], "invalid_client", "{seen}");
    assert_eq!(seen["refused"]["altered_subject"], "invalid_request", "{seen}");
    assert_eq!(seen["refused"]["altered_introspected"], false, "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oauth4webapi_does_all_that_it_can_and_its_strict_checks_pass() {
    let shop = Shop::start().await;
    let seen = shop.serves(super::node("oauth4webapi.mjs", "oauth4webapi")).await;
    assert_passed_on(&seen);
    assert_bound(&seen);
    assert_altered_is_refused(&seen);
    assert_eq!(seen["refused"]["another_issuer"], "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED", "{seen}");
    assert_eq!(seen["refused"]["altered_token"], "OAUTH_INVALID_RESPONSE", "{seen}");
    assert_eq!(seen["refused"]["another_audience"], "OAUTH_JWT_CLAIM_COMPARISON_FAILED", "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openid_client_does_all_that_it_can() {
    let shop = Shop::start().await;
    let seen = shop.serves(super::node("openid_client.mjs", "openid-client")).await;
    assert_passed_on(&seen);
    assert_bound(&seen);
    assert_altered_is_refused(&seen);
    assert_eq!(seen["refused"]["another_issuer"], "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED", "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authlib_is_a_client_and_a_resource_server_of_ours() {
    let shop = Shop::start().await;
    let seen = shop.serves(super::python("authlib_client.py")).await;
    assert_passed_on(&seen);
    assert_altered_is_refused(&seen);
    assert_eq!(seen["refused"]["altered_token"], "invalid_token", "{seen}");
    assert_eq!(seen["refused"]["another_audience"], "invalid_token", "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go_oidc_verifies_what_x_oauth2_buys() {
    let shop = Shop::start().await;
    let program = super::cache().join("interop-go/interop");
    assert!(program.exists(), "{} is missing: run `scripts/setup tests`", program.display());
    let seen = shop.serves(Command::new(program)).await;
    assert_eq!(
        (&seen["sub"], &seen["status"], &seen["expiry"]),
        (&json!(WORKLOAD), &json!(200), &json!(true))
    );
    assert_eq!(seen["echoed"]["headers"]["x-workload-id"], json!([WORKLOAD]), "{seen}");
    let refused = &seen["refused"];
    let said = |name: &str| refused[name].as_str().unwrap_or_default().to_owned();
    assert!(said("another_issuer").contains("did not match"), "{seen}");
    assert!(said("altered_token").contains("failed to verify signature"), "{seen}");
    assert!(said("another_audience").contains("expected audience"), "{seen}");
    assert_eq!(refused["another_client_key"], "invalid_client", "{seen}");
    assert_eq!(refused["altered_at_the_api"], 401, "{seen}");
}

#[test]
fn the_go_client_is_the_one_of_this_tree() {
    let stamp = std::fs::read_to_string(super::cache().join("interop-go/source")).unwrap();
    let source = std::fs::read_to_string(workspace().join("tests/interop/go/main.go")).unwrap();
    assert!(stamp == source, "the Go client is of another source: run `scripts/setup tests`");
}
