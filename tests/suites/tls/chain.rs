//! A sidecar that fetches its token from a broker by TLS, and calls an API behind a gateway by TLS.

use std::fs;

use serde_json::json;
use symbolon_e2e::api::Api;
use symbolon_e2e::certificates::{Authority, Volume};
use symbolon_e2e::http::Call;
use symbolon_e2e::issuer::{KEY_ID, TestIssuer};
use symbolon_e2e::machine::{free_address, now};
use symbolon_e2e::process::{Process, wait_for};
use symbolon_e2e::programs::{Broker, Gateway};

use super::{ask, counts, new_connections_see};

const CI: &str = "https://ci.test";

/// A broker that takes tokens of an issuer, and speaks TLS.
async fn broker(authority: &Authority, volume: &Volume, ci: &TestIssuer) -> Broker {
    let rest = format!(
        "trust_providers:\n  - {{ name: ci, oidc: {{ issuer: \"{CI}\", keys: {{ jwks: {} }}, replay: key_bound }}, workload: '\"ci/\" + path(attested.subject)' }}\n",
        ci.jwks()
    );
    let policy = "@id(\"ci-orders\") permit (principal, action == Symbolon::Action::\"issue\", resource == Symbolon::Resource::\"orders\")\n\
                  when { context.key_bound && principal.provider == \"ci\" };\n";
    let jwks = TestIssuer::new("client").jwks().to_string();
    let broker = Broker::start_tls(volume, &[("client", &jwks)], &rest, policy).await;
    let metadata = Call::get("/.well-known/openid-configuration");
    let metadata = ask(authority, broker.address, metadata).await.unwrap();
    assert_eq!(metadata.text("token_endpoint"), format!("{}/oauth2/token", broker.url));
    broker
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_gets_its_token_and_reaches_the_api_over_tls_only() {
    let (authority, ci, api) = (Authority::new(), TestIssuer::new(CI), Api::start().await);
    let first = authority.pair();
    let (mut volume, gateways) = (Volume::new(&first), Volume::new(&authority.pair()));
    let broker = broker(&authority, &volume, &ci).await;
    let ca_file = authority.ca_file().display().to_string();
    let config = format!(
        "tls: {tls}\nkeys: {{ directory: {{folder}}/keys, ca_file: {ca_file} }}\n\
         issuers: [{{ name: broker, issuer: \"{issuer}\", dev: true, audiences: [\"https://orders.test\"] }}]\n\
         routes: [{{ name: orders, match: {{ path: /orders/** }}, resource: \"https://orders.test\", upstream: {{ url: \"http://{api}\" }}, stages: [{{ verify: {{ issuers: [broker], scopes: [\"orders:read\"] }} }}] }}]\n",
        tls = gateways.section(),
        issuer = broker.url,
        api = api.address,
    );
    let gateway = Gateway::start(&config, &[]).await;
    gateway.ready().await;

    let (folder, admin, door) = (tempfile::tempdir().unwrap(), free_address(), free_address());
    let claims = json!({"iss": CI, "sub": "team/repo", "aud": broker.url, "iat": now(), "exp": now() + 300});
    let evidence = folder.path().join("token");
    fs::write(&evidence, ci.sign(&json!({"alg": "ES256", "kid": KEY_ID}), &claims)).unwrap();
    let config = format!(
        "broker: {{ url: \"{url}\", ca_file: {ca_file} }}\nevidence: {{ token_file: {{ path: {evidence} }} }}\nlisten: {{ health: \"{admin}\" }}\n\
         upstreams: [{{ name: orders, listen: {{ tcp: \"{door}\", allow_any_local_process: true }}, target: \"https://{gateway}\", ca_file: {ca_file}, resource: \"https://orders.test\", required: true }}]\n",
        url = broker.url,
        evidence = evidence.display(),
        gateway = gateway.address,
    );
    let file = folder.path().join("sidecar.yaml");
    fs::write(&file, config).unwrap();
    let sidecar = Process::program("symbolon-sidecar", "run", &file);
    let call = || Call::get("/orders/1").send(door);
    let patience = std::time::Duration::from_secs(20);
    wait_for("the sidecar has its token", patience, async || {
        call().await.is_ok_and(|answer| answer.status == 200)
    })
    .await;
    let seen = call().await.unwrap().json();
    assert_eq!(seen["headers"]["x-workload-id"], json!(["spiffe://test.example/ci/team/repo"]), "{seen}");

    // The broker's certificate changes too; its Unix socket and its admin port never had one.
    let next = authority.pair();
    volume.publish(&next.certificate, &next.key);
    counts(
        broker.admin,
        "symbolon_http_certificate_reloads_total{listener=\"public\",outcome=\"loaded\"} 1\n",
    )
    .await;
    assert!(new_connections_see(&authority, broker.address, &next).await);
    let keys = Call::get("/.well-known/jwks.json").send(broker.socket().as_path()).await.unwrap();
    assert_eq!(keys.status, 200);
    drop(sidecar);
}
