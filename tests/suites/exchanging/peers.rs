//! A broker that asks another broker about its tokens, over their own endpoints: what was revoked there ends here.
//! Not here: what other issuers may answer (`opaque`).

use std::fs;

use rustix::process::Signal;
use serde_json::json;
use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::programs::Broker;

use super::{BACK, Exchanging, assert_refused, claims, local, said};

/// What the other broker has for ours, and who may ask about it there.
const APP: &str = "  - { name: app, audience: \"https://app.test\", scopes: [read], default_scopes: [read], binding: bearer_allowed }\n";
const POLICIES: &str = r#"
@id("local-app") permit (principal, action == Symbolon::Action::"issue", resource == Symbolon::Resource::"app")
when { principal has unix };
@id("our-broker-operates-app") permit (principal, action == Symbolon::Action::"operate", resource == Symbolon::Resource::"app")
when { principal has client && principal.client.id == "ours" };
"#;

struct Peers {
    ours: Exchanging,
    other: Broker,
}

impl Peers {
    /// Two brokers; the other one knows ours by its key set, under this client id.
    async fn start(client_id: &str) -> Self {
        let mut ours = Exchanging::start().await;
        let keys = Call::get("/.well-known/jwks.json").send(ours.broker.address).await.unwrap();
        let other = Broker::start_clients(&[("ours", &said(&keys))], APP, POLICIES).await;
        let issuer = format!(
            "subject_issuers:\n  - {{ name: other, issuer: \"{}\", dev: true, audiences: [\"https://app.test\"], introspection: {{ jwts: true, client_id: {client_id} }} }}\n",
            other.url
        );
        let path = ours.broker.folder.path().join("broker.yaml");
        let config = fs::read_to_string(&path).unwrap().replacen("subject_issuers:\n", &issuer, 1);
        fs::write(&path, config).unwrap();
        ours.broker.process.stop(Signal::TERM).await;
        ours.broker.restart().await;
        Self { ours, other }
    }

    /// A token of the other broker for our app.
    async fn token(&self) -> String {
        let fields = [("grant_type", "client_credentials"), ("resource", "https://app.test")];
        let answer = Call::form("/oauth2/token", &fields).send(self.other.socket().as_path()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", said(&answer));
        answer.text("access_token")
    }

    async fn pass_on(&self, token: &str) -> Answer {
        self.ours.pass_on(0, token, BACK).await
    }
}

#[tokio::test]
async fn what_another_broker_has_revoked_buys_nothing_here_from_then_on() {
    let peers = Peers::start("ours").await;
    let (token, spared) = (peers.token().await, peers.token().await);
    let answer = peers.pass_on(&token).await;
    assert_eq!(answer.status, 200, "{}", said(&answer));
    let after = claims(&answer.text("access_token"));
    assert_eq!(after["sub"], format!("other:{}", local()));
    let id = claims(&token)["jti"].clone();
    assert_eq!(after["lineage"], format!("other:{}", id.as_str().unwrap()));
    let order = Call::json("/v1/revocations", &json!({"kind": "jti", "value": id}));
    assert_eq!(order.send(peers.other.admin_socket().as_path()).await.unwrap().status, 200);
    assert_refused("revoked there", &peers.pass_on(&token).await, "invalid_request", "inactive");
    assert_eq!(peers.pass_on(&spared).await.status, 200);
    let metrics = said(&Call::get("/metrics").send(peers.ours.broker.admin).await.unwrap());
    assert!(metrics.contains("symbolon_broker_introspections_total{outcome=\"inactive\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_broker_that_the_other_one_does_not_know_gets_no_answer_and_believes_nothing() {
    let peers = Peers::start("stranger").await;
    let answer = peers.pass_on(&peers.token().await).await;
    assert_eq!((answer.status, answer.text("error").as_str()), (503, "temporarily_unavailable"));
    assert!(answer.text("error_description").starts_with("issuer_unavailable:"), "{}", said(&answer));
    assert!(!answer.header("retry-after").is_empty());
    // A token that does not verify is nobody's, and nobody is asked about it.
    let token = peers.token().await;
    let (covered, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{covered}.{}", "A".repeat(86));
    assert_refused("forged", &peers.pass_on(&forged).await, "invalid_request", "bad_signature");
}
