//! Revocations on their way from the broker to a gateway that follows its feed, and what happens when it cannot.
//! Not here: who may revoke what (`exchanging::inspecting`).

mod feed;
mod streams;

use std::time::Duration;

use serde_json::{Value, json};
use symbolon_e2e::api::Api;
use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::issuer::TestIssuer;
use symbolon_e2e::machine::uid;
use symbolon_e2e::process::wait_for;
use symbolon_e2e::programs::{Broker, Gateway};
use tokio::time::Instant;

const FEED_POLICY: &str = r#"
@id("who-may-follow") permit (principal, action == Symbolon::Action::"issue", resource == Symbolon::Resource::"symbolon-status")
when { principal has unix };
"#;
const NOTES: &str = "https://notes.test";

/// A broker, and a gateway before an API that follows the broker's feed.
struct Revoking {
    broker: Broker,
    gateway: Gateway,
    api: Api,
}

impl Revoking {
    async fn start(more: &str) -> Self {
        Self::with_routes(more, "").await
    }

    /// The same with further routes.
    async fn with_routes(more: &str, routes: &str) -> Self {
        let client = TestIssuer::new("tester").jwks().to_string();
        let broker = Broker::start_clients(&[("tester", &client)], "", FEED_POLICY).await;
        let api = Api::start().await;
        let config = format!(
            "issuers: [{{ name: broker, issuer: \"{url}\", dev: true, audiences: [\"{NOTES}\"], binding: when_bound, revocations: {{ evidence: {{ unix: {{}} }}, socket: {socket}{more} }} }}]\n\
             routes:\n\x20 - {{ name: notes, match: {{ path: /notes/** }}, resource: \"{NOTES}\", upstream: {{ url: \"http://{api}\" }}, stages: [{{ verify: {{ issuers: [broker] }} }}] }}\n{routes}",
            url = broker.url,
            socket = broker.socket().display(),
            api = api.address,
        );
        let gateway = Gateway::start(&config, &[]).await;
        gateway.ready().await;
        Self { broker, gateway, api }
    }

    async fn token(&self) -> String {
        let fields = [("grant_type", "client_credentials"), ("resource", NOTES)];
        let call = Call::form("/oauth2/token", &fields);
        let answer = call.send(self.broker.socket().as_path()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.text("access_token")
    }

    async fn call(&self, token: &str) -> Answer {
        Call::get("/notes/1").bearer(token).send(self.gateway.address).await.unwrap()
    }

    async fn passes(&self, token: &str) {
        wait_for("the token passes", Duration::from_secs(10), async || self.call(token).await.status == 200)
            .await;
    }

    async fn operator(&self, order: &Value) {
        let call = Call::json("/v1/revocations", order);
        assert_eq!(call.send(self.broker.admin_socket().as_path()).await.unwrap().status, 200);
    }

    /// Waits until the token is refused as revoked, and says how long that took.
    async fn until_revoked(&self, token: &str) -> Duration {
        let from = Instant::now();
        wait_for("the gateway knows of it", Duration::from_secs(10), async || {
            // A call that is under way when the gateway hears of it is cut off, without an answer.
            let call = Call::get("/notes/1").bearer(token).send(self.gateway.address).await;
            call.is_ok_and(|answer| (answer.status, answer.text("code").as_str()) == (401, "revoked"))
        })
        .await;
        from.elapsed()
    }
}

fn local() -> String {
    format!("spiffe://test.example/local/uid/{}", uid())
}

#[tokio::test]
async fn a_revoked_token_is_refused_within_a_second_also_where_its_verdict_is_cached() {
    let revoking = Revoking::start("").await;
    let (token, other) = (revoking.token().await, revoking.token().await);
    for token in [&token, &other] {
        revoking.passes(token).await;
        assert_eq!(revoking.call(token).await.status, 200, "by its cached verdict");
    }
    let call = Call::form("/oauth2/revoke", &[("token", token.as_str())]);
    assert_eq!(call.send(revoking.broker.socket().as_path()).await.unwrap().status, 200);
    let took = revoking.until_revoked(&token).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(revoking.call(&other).await.status, 200, "another token of the same workload stands");
    let answer = revoking.call(&token).await;
    assert!(answer.header("www-authenticate").contains("invalid_token"));
}

#[tokio::test]
async fn what_an_operator_revokes_reaches_the_gateway_and_what_it_lifts_too() {
    let revoking = Revoking::start("").await;
    let token = revoking.token().await;
    revoking.passes(&token).await;
    revoking.operator(&json!({"kind": "workload", "value": local()})).await;
    let took = revoking.until_revoked(&token).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    revoking.operator(&json!({"kind": "workload", "value": local(), "lift": true})).await;
    revoking.passes(&token).await;
}

#[tokio::test]
async fn many_revocations_come_in_pages_and_all_count() {
    let revoking = Revoking::start("").await;
    let tokens = [revoking.token().await, revoking.token().await];
    revoking.passes(&tokens[0]).await;
    for nth in 0..200 {
        let value = format!("spiffe://test.example/{}/{nth}", "x".repeat(200));
        revoking.operator(&json!({"kind": "workload", "value": value})).await;
    }
    let call = Call::form("/oauth2/revoke", &[("token", tokens[1].as_str())]);
    assert_eq!(call.send(revoking.broker.socket().as_path()).await.unwrap().status, 200);
    revoking.until_revoked(&tokens[1]).await;
    // A gateway that starts now learns all of it before it lets anybody in.
    let config = std::fs::read_to_string(revoking.gateway.folder.path().join("gateway.yaml")).unwrap();
    assert!(config.contains("revocations"));
    let metrics = Call::get("/metrics").send(revoking.gateway.admin).await.unwrap();
    assert_eq!(metrics.status, 200);
    wait_for("all are known", Duration::from_secs(15), async || {
        let metrics = Call::get("/metrics").send(revoking.gateway.admin).await.unwrap();
        String::from_utf8_lossy(&metrics.body).contains("symbolon_gateway_revocations 201\n")
    })
    .await;
    // A changed issuer is followed from the beginning, and nothing is forgotten on the way.
    let path = revoking.gateway.folder.path().join("gateway.yaml");
    std::fs::write(&path, config.replace("revocations: {", "revocations: { max_stale: 20s,")).unwrap();
    let mut is_taken = false;
    for _ in 0..500 {
        let answer = revoking.call(&tokens[1]).await;
        assert_eq!((answer.status, answer.text("code").as_str()), (401, "revoked"));
        let metrics = Call::get("/metrics").send(revoking.gateway.admin).await.unwrap();
        is_taken |=
            String::from_utf8_lossy(&metrics.body).contains("config_reloads_total{outcome=\"taken\"} 1\n");
    }
    assert!(is_taken, "the configuration is taken meanwhile");
}

#[tokio::test]
async fn a_feed_that_is_away_too_long_is_an_outage_and_what_was_revoked_stays_so() {
    let mut revoking = Revoking::start(", max_stale: 3s").await;
    let (token, revoked) = (revoking.token().await, revoking.token().await);
    revoking.passes(&token).await;
    let call = Call::form("/oauth2/revoke", &[("token", revoked.as_str())]);
    assert_eq!(call.send(revoking.broker.socket().as_path()).await.unwrap().status, 200);
    revoking.until_revoked(&revoked).await;
    revoking.broker.process.kill();
    let reached = revoking.api.requests();
    wait_for("the news are too old", Duration::from_secs(10), async || {
        let answer = revoking.call(&token).await;
        (answer.status, answer.text("code").as_str()) == (503, "revocation_stale")
            && !answer.header("retry-after").is_empty()
    })
    .await;
    let answer = revoking.call(&revoked).await;
    assert_eq!((answer.status, answer.text("code").as_str()), (401, "revoked"));
    revoking.broker.restart().await;
    revoking.passes(&token).await;
    assert!(revoking.api.requests() > reached);
}

#[tokio::test]
async fn a_configuration_may_rather_accept_what_it_does_not_know() {
    let mut revoking = Revoking::start(", max_stale: 3s, on_stale: accept").await;
    let token = revoking.token().await;
    revoking.passes(&token).await;
    revoking.broker.process.kill();
    wait_for("the feed counts as stale", Duration::from_secs(15), async || {
        let metrics = Call::get("/metrics").send(revoking.gateway.admin).await.unwrap();
        String::from_utf8_lossy(&metrics.body).contains("symbolon_gateway_stale_revocation_feeds 1\n")
    })
    .await;
    assert_eq!(revoking.call(&token).await.status, 200);
}
