//! The stages of a gateway's route over the wire: conditions, policies, explanations, and what is refused at load.
//! Not here: what `verify` refuses, which is in `verifying`.

mod authorize;
mod claims;
mod explained;
mod load;
mod when;

use std::time::Duration;

use serde_json::{Value, json};
use symbolon_e2e::api::Api;
use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::issuer::TestIssuer;
use symbolon_e2e::process::wait_for;
use symbolon_e2e::programs::Gateway;

const ORDERS: &str = "https://orders.test";
const ISSUER: &str = "https://issuer.test/a";
const CALLER: &str = "spiffe://test.example/caller";
const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway with one route `orders`, or with a second one `open` that is public.
struct Staged {
    gateway: Gateway,
    api: Api,
    issuer: TestIssuer,
}

impl Staged {
    /// With these stages, each a line of YAML, and these policies.
    async fn start(stages: &[&str], policies: &str) -> Self {
        Self::with("", stages, &[], policies).await
    }

    /// With a section before the routes, the stages of both routes, and policies.
    async fn with(more: &str, orders: &[&str], open: &[&str], policies: &str) -> Self {
        let issuer = TestIssuer::new(ISSUER);
        let api = Api::start().await;
        let config = config(more, &api.address.to_string(), orders, open);
        let jwks = issuer.jwks().to_string();
        let files = [("a.json", jwks.as_str()), ("policies/calls.cedar", policies)];
        let gateway = Gateway::start(&config, &files).await;
        gateway.ready().await;
        Self { gateway, api, issuer }
    }

    /// A request with an honest token after a change of its claims.
    async fn call_as(&self, call: Call, change: impl FnOnce(&mut Value)) -> Answer {
        let mut claims = self.issuer.claims(ORDERS);
        change(&mut claims);
        let token = self.issuer.sign(&self.issuer.header(), &claims);
        self.send(call.bearer(&token)).await
    }

    /// A request with an honest token.
    async fn call(&self, path: &str) -> Answer {
        self.call_as(Call::get(path), |_| ()).await
    }

    async fn send(&self, call: Call) -> Answer {
        call.send(self.gateway.address).await.unwrap()
    }

    /// What the admin socket says about a refused request.
    async fn explain(&self, answer: &Answer) -> Value {
        let path = format!("/v1/decisions/{}", answer.text("decision_id"));
        let socket = self.gateway.folder.path().join("admin.sock");
        let explained = Call::get(&path).send(socket.as_path()).await.unwrap();
        assert_eq!(explained.status, 200, "{path}");
        explained.json()
    }

    async fn wait_for_metric(&self, line: &str) {
        wait_for(line, PATIENCE, async || self.metrics().await.contains(line)).await;
    }

    async fn metrics(&self) -> String {
        let answer = Call::get("/metrics").send(self.gateway.admin).await.unwrap();
        String::from_utf8_lossy(&answer.body).into_owned()
    }
}

/// The issuers and routes of a gateway. `{folder}` stands for its folder.
fn config(more: &str, api: &str, orders: &[&str], open: &[&str]) -> String {
    let list = |stages: &[&str]| match stages {
        [] => " []".to_owned(),
        stages => format!("\n      - {}", stages.join("\n      - ")),
    };
    format!(
        "issuers:\n\
         \x20 - {{ name: a, issuer: \"{ISSUER}\", jwks_file: {{folder}}/a.json, audiences: [\"{ORDERS}\"], binding: when_bound, trust_domain: test.example }}\n\
         {more}routes:\n\
         \x20 - name: orders\n\
         \x20   match: {{ path: /orders/** }}\n\
         \x20   resource: \"{ORDERS}\"\n\
         \x20   upstream: {{ url: \"http://{api}\" }}\n\
         \x20   stages:{orders}\n\
         \x20 - name: open\n\
         \x20   match: {{ path: /open/** }}\n\
         \x20   resource: \"{ORDERS}\"\n\
         \x20   upstream: {{ url: \"http://{api}\" }}\n\
         \x20   public: true\n\
         \x20   stages:{open}\n",
        orders = list(orders),
        open = list(open)
    )
}

fn assert_refused(what: &str, answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.text("code").as_str()), (status, code), "{what}");
    assert!(answer.text("decision_id").starts_with("g-"), "{what}");
}

/// The names and outcomes of the stages of a decision, in order.
fn steps(document: &Value) -> Vec<(String, String)> {
    let text = |stage: &Value, name: &str| stage[name].as_str().unwrap().to_owned();
    let stages = document["stages"].as_array().unwrap();
    stages.iter().map(|stage| (text(stage, "stage"), text(stage, "outcome"))).collect()
}

/// The one stage that ended the request.
fn stopped(document: &Value) -> &Value {
    let mut stopped =
        document["stages"].as_array().unwrap().iter().filter(|stage| stage["outcome"] == "stopped");
    let (one, more) = (stopped.next(), stopped.next());
    assert!(one.is_some() && more.is_none(), "{document}");
    one.unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn tenant(claims: &mut Value, name: &str) {
    claims["tenant"] = json!(name);
}
