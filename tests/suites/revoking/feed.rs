//! Who may read the feed, and what it says.
//! Not here: what a gateway makes of it.

use std::sync::Arc;

use serde_json::{Value, json};
use symbolon_e2e::http::{Answer, Call};
use symbolon_e2e::issuer::{TestIssuer, decode};
use symbolon_e2e::machine::now;
use symbolon_e2e::programs::Broker;
use symbolon_identity::Timestamp;
use symbolon_jws::Algorithm;
use symbolon_proof::{ProofKey, ProofRequest};
use tokio::task::JoinSet;

use super::{FEED_POLICY, NOTES, local};

struct Reader {
    broker: Arc<Broker>,
    key: ProofKey,
}

impl Reader {
    async fn start(policies: &str) -> Self {
        let client = TestIssuer::new("tester").jwks().to_string();
        let broker = Broker::start_clients(&[("tester", &client)], "", policies).await;
        Self { broker: Arc::new(broker), key: ProofKey::generate(Algorithm::Es256).unwrap() }
    }

    fn audience(&self) -> String {
        format!("{}/v1/status", self.broker.url)
    }

    fn proof(&self, method: &str, target: &str, token: Option<&str>) -> String {
        let request = ProofRequest { method, target_uri: target, access_token: token, nonce: None };
        self.key.prove(&request, Timestamp::from_secs(now()).unwrap()).unwrap()
    }

    async fn buy(&self, resource: &str, with_proof: bool) -> Answer {
        let fields = [("grant_type", "client_credentials"), ("resource", resource)];
        let mut call = Call::form("/oauth2/token", &fields);
        if with_proof {
            call =
                call.header("dpop", &self.proof("POST", &format!("{}/oauth2/token", self.broker.url), None));
        }
        call.send(self.broker.socket().as_path()).await.unwrap()
    }

    async fn read(&self, token: &str, query: &str) -> Answer {
        let proof = self.proof("GET", &self.audience(), Some(token));
        let call = Call::get(&format!("/v1/status?{query}"));
        let call = call.header("authorization", &format!("DPoP {token}")).header("dpop", &proof);
        call.send(self.broker.address).await.unwrap()
    }
}

fn claims(page: &Answer) -> Value {
    let text = String::from_utf8_lossy(&page.body).into_owned();
    serde_json::from_slice(&decode(text.split('.').nth(1).unwrap())).unwrap()
}

#[tokio::test]
async fn the_feed_is_signed_and_tells_each_revocation_once() {
    let reader = Reader::start(FEED_POLICY).await;
    let token = reader.buy(&reader.audience(), true).await.text("access_token");
    let empty = reader.read(&token, "after=0").await;
    assert_eq!((empty.status, empty.header("content-type").as_str()), (200, "application/jwt"));
    let (header, said) =
        (decode(String::from_utf8_lossy(&empty.body).split('.').next().unwrap()), claims(&empty));
    assert!(String::from_utf8_lossy(&header).contains("symbolon-status+jwt"));
    assert_eq!((&said["seq"], &said["revocations"]), (&json!(0), &json!([])));
    assert_eq!((&said["iss"], &said["aud"]), (&json!(reader.broker.url), &json!(reader.audience())));
    let order =
        Call::json("/v1/revocations", &json!({"kind": "workload", "value": "spiffe://test.example/a"}));
    assert_eq!(order.send(reader.broker.admin_socket().as_path()).await.unwrap().status, 200);
    let said = claims(&reader.read(&token, "after=0&wait=10").await);
    assert_eq!(said["revocations"][0]["value"], "spiffe://test.example/a");
    let seq = said["seq"].as_u64().unwrap();
    let later = claims(&reader.read(&token, &format!("after={seq}")).await);
    assert_eq!((&later["seq"], &later["revocations"]), (&json!(seq), &json!([])));
    // A follower that has seen more than there is hears of it at once: the store was restored from an older one.
    let beyond = claims(&reader.read(&token, "after=1000&wait=20").await);
    assert_eq!((&beyond["seq"], &beyond["revocations"]), (&json!(seq), &json!([])));
}

#[tokio::test]
async fn only_a_bound_token_for_the_feed_opens_it() {
    let reader = Reader::start(FEED_POLICY).await;
    let unbound = reader.buy(&reader.audience(), false).await;
    assert_eq!((unbound.status, unbound.text("error").as_str()), (400, "invalid_dpop_proof"));
    let token = reader.buy(&reader.audience(), true).await.text("access_token");
    let other = reader.buy(NOTES, true).await.text("access_token");
    let place = reader.broker.address;
    let get = || Call::get("/v1/status?after=0");
    let proof = |token: &str| reader.proof("GET", &reader.audience(), Some(token));
    let spent = proof(&token);
    let fresh = get().header("authorization", &format!("DPoP {token}")).header("dpop", &spent);
    assert_eq!(fresh.clone().send(place).await.unwrap().status, 200);
    for (what, call) in [
        ("nothing", get()),
        ("a bearer token", get().bearer(&token)),
        ("no proof", get().header("authorization", &format!("DPoP {token}"))),
        ("the same proof again", fresh),
        (
            "a token for another resource",
            get().header("authorization", &format!("DPoP {other}")).header("dpop", &proof(&other)),
        ),
        (
            "a proof for another token",
            get().header("authorization", &format!("DPoP {token}")).header("dpop", &proof(&other)),
        ),
        (
            "a proof for another place",
            get()
                .header("authorization", &format!("DPoP {token}"))
                .header("dpop", &reader.proof("GET", "https://other.test/v1/status", Some(&token))),
        ),
        ("no token", get().header("authorization", "DPoP x").header("dpop", &proof("x"))),
    ] {
        let answer = call.send(place).await.unwrap();
        assert_eq!(answer.status, 401, "{what}: {}", String::from_utf8_lossy(&answer.body));
        assert!(answer.header("www-authenticate").starts_with("DPoP"), "{what}");
        assert!(!answer.text("error_description").is_empty(), "{what}");
    }
    for query in ["after=x", "before=1", "after=1&after=2"] {
        assert_eq!(reader.read(&token, query).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn policy_says_who_may_follow() {
    let reader = Reader::start("").await;
    let answer = reader.buy(&reader.audience(), true).await;
    assert_eq!((answer.status, answer.text("error").as_str()), (400, "access_denied"));
    assert!(local().starts_with("spiffe://"));
}

#[tokio::test]
async fn a_revoked_signing_key_is_in_the_feed_and_the_fresh_one_signs_it() {
    let key_of = |token: &str| -> Value {
        serde_json::from_slice::<Value>(&decode(token.split('.').next().unwrap())).unwrap()["kid"].clone()
    };
    let reader = Reader::start(FEED_POLICY).await;
    let stolen = reader.buy(&reader.audience(), true).await.text("access_token");
    let key = key_of(&stolen);
    let order = Call::form(&format!("/v1/keys/{}/revoke", key.as_str().unwrap()), &[]);
    assert_eq!(order.send(reader.broker.admin_socket().as_path()).await.unwrap().status, 200);
    assert_eq!(reader.read(&stolen, "after=0").await.status, 401, "its tokens open nothing here either");
    let token = reader.buy(&reader.audience(), true).await.text("access_token");
    let page = reader.read(&token, "after=0").await;
    let said = claims(&page);
    let told = &said["revocations"][0];
    assert_eq!((&told["kind"], &told["value"]), (&json!("kid"), &key), "{said}");
    assert_ne!(key_of(&String::from_utf8_lossy(&page.body)), key);
}

#[tokio::test]
async fn one_program_cannot_take_the_places_of_the_others() {
    let reader = Arc::new(Reader::start(FEED_POLICY).await);
    let token = reader.buy(&reader.audience(), true).await.text("access_token");
    let mut waiting = JoinSet::new();
    for _ in 0..5 {
        let (reader, token) = (Arc::clone(&reader), token.clone());
        waiting.spawn(async move { reader.read(&token, "after=0&wait=20").await });
    }
    let refused = waiting.join_next().await.unwrap().unwrap();
    assert_eq!((refused.status, refused.header("retry-after").as_str()), (503, "1"));
    let another =
        Reader { broker: Arc::clone(&reader.broker), key: ProofKey::generate(Algorithm::Es256).unwrap() };
    let token = another.buy(&another.audience(), true).await.text("access_token");
    assert_eq!(another.read(&token, "after=0").await.status, 200);
    let order =
        Call::json("/v1/revocations", &json!({"kind": "workload", "value": "spiffe://test.example/a"}));
    assert_eq!(order.send(reader.broker.admin_socket().as_path()).await.unwrap().status, 200);
    for told in waiting.join_all().await {
        assert_eq!(claims(&told)["revocations"][0]["value"], "spiffe://test.example/a");
    }
}
