//! Renewals at the gateway that must not succeed, and what a right one does: one by one, by hand.

use std::time::Duration;

use serde_json::{Value, json};
use symbolon_e2e::http::{Answer, Call, raw};
use symbolon_e2e::issuer::{TestIssuer, encode, random};
use symbolon_e2e::machine::{moment, now};
use symbolon_e2e::programs::Gateway;
use symbolon_e2e::sockets::{Echo, handshake};
use symbolon_identity::Timestamp;
use symbolon_jws::Algorithm;
use symbolon_proof::{ProofKey, ProofRequest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::refused::{CHAT, ISSUER, gateway};

const RENEW: &str = "/.well-known/symbolon/streams/renew";

/// A gateway, and a workload with its key.
struct Scene {
    gateway: Gateway,
    issuer: TestIssuer,
    key: ProofKey,
    _api: Echo,
}

impl Scene {
    async fn start() -> Self {
        let (api, issuer) = (Echo::start().await, TestIssuer::new(ISSUER));
        let gateway = gateway(&api, &issuer).await;
        let key = ProofKey::generate(Algorithm::Es256).unwrap();
        Self { gateway, issuer, key, _api: api }
    }

    /// A token of the workload's key that lives for so many seconds, after a change.
    fn token(&self, life: u64, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.issuer.claims(CHAT);
        claims["exp"] = json!(now() + life);
        claims["cnf"] = json!({"jkt": self.key.thumbprint().to_string()});
        claims["act"] = json!({"sub": "spiffe://test.example/actor"});
        change(&mut claims);
        self.issuer.sign(&self.issuer.header(), &claims)
    }

    fn proof(&self, key: &ProofKey, method: &str, path: &str, token: &str) -> String {
        let target = format!("http://{}{path}", self.gateway.address);
        let request = ProofRequest { method, target_uri: &target, access_token: Some(token), nonce: None };
        key.prove(&request, Timestamp::from_secs(now()).unwrap()).unwrap()
    }

    /// Opens a socket, and says what the gateway calls it.
    async fn open(&self, token: &str) -> (TcpStream, String) {
        let proof = self.proof(&self.key, "GET", "/chat", token);
        let extra = format!("Authorization: DPoP {token}\r\nDPoP: {proof}\r\n");
        let mut socket = TcpStream::connect(self.gateway.address).await.unwrap();
        socket.write_all(handshake("/chat", self.gateway.address, &extra).as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        let id = head.lines().find_map(|line| line.strip_prefix("symbolon-stream: ")).unwrap();
        (socket, id.to_owned())
    }

    async fn renew(&self, id: &str, token: &str) -> Answer {
        self.renew_with(&self.key, id, token).await
    }

    async fn renew_with(&self, key: &ProofKey, id: &str, token: &str) -> Answer {
        let proof = self.proof(key, "POST", RENEW, token);
        self.send(Call::post(RENEW, "text/plain", "").header("symbolon-stream", id), token, &proof).await
    }

    async fn send(&self, call: Call, token: &str, proof: &str) -> Answer {
        let call = call.header("authorization", &format!("DPoP {token}")).header("dpop", proof);
        call.send(self.gateway.address).await.unwrap()
    }
}

/// What is refused has one answer, whatever is known of the id.
fn assert_unknown(what: &str, answer: &Answer) {
    assert_eq!((answer.status, answer.text("code").as_str()), (404, "stream_unknown"), "{what}");
    let members = answer.json();
    let names: Vec<&String> = members.as_object().unwrap().keys().collect();
    assert_eq!(names, ["type", "title", "status", "code", "decision_id"], "{what}");
}

fn other(claims: &mut Value, name: &str, value: Value) {
    claims[name] = value;
}

#[tokio::test]
async fn a_stolen_id_is_worth_nothing_and_its_owner_may_not_change() {
    let scene = Scene::start().await;
    let (_socket, id) = scene.open(&scene.token(60, |_| ())).await;
    let stranger = ProofKey::generate(Algorithm::Es256).unwrap();
    let jkt = json!({"jkt": stranger.thumbprint().to_string()});
    let foreign = [
        (
            "another workload",
            scene.token(60, |claims| other(claims, "sub", json!("spiffe://test.example/thief"))),
        ),
        ("another client", scene.token(60, |claims| other(claims, "client_id", json!("thief")))),
        ("another audience", scene.token(60, |claims| other(claims, "aud", json!("https://other.test")))),
        (
            "one audience more",
            scene.token(60, |claims| other(claims, "aud", json!([CHAT, "https://other.test"]))),
        ),
        (
            "another actor",
            scene.token(60, |claims| other(claims, "act", json!({"sub": "spiffe://test.example/thief"}))),
        ),
        ("no actor", scene.token(60, |claims| drop(claims.as_object_mut().unwrap().remove("act")))),
        (
            "an expired token",
            scene.token(60, |claims| {
                (claims["iat"], claims["exp"]) = (json!(now() - 400), json!(now() - 100));
            }),
        ),
        ("garbage", "a.b.c".to_owned()),
    ];
    for (what, token) in &foreign {
        assert_unknown(what, &scene.renew(&id, token).await);
    }
    let own_key = scene.token(60, |claims| other(claims, "cnf", jkt));
    assert_unknown("another key", &scene.renew_with(&stranger, &id, &own_key).await);
    let good = scene.token(60, |_| ());
    assert_unknown("no such id", &scene.renew(&"0".repeat(32), &good).await);
    assert_unknown("no id at all", &scene.renew("x", &good).await);
    let narrow = scene.renew(&id, &scene.token(60, |claims| other(claims, "scope", json!("other")))).await;
    assert_eq!((narrow.status, narrow.text("code").as_str()), (403, "insufficient_scope"));
    let thief = scene.renew_with(&stranger, &id, &good).await;
    assert_eq!((thief.status, thief.text("code").as_str()), (401, "binding_mismatch"));
    assert_eq!(scene.renew(&id, &good).await.status, 204, "and the owner still can");
    let hurried = scene.renew(&id, &good).await;
    assert_eq!((hurried.status, hurried.text("code").as_str()), (429, "rate_limited"));
}

#[tokio::test]
async fn no_token_that_a_stream_rests_on_is_forgotten_for_a_newer_one() {
    let scene = Scene::start().await;
    let token = || scene.token(60, |claims| other(claims, "jti", json!(encode(&random()))));
    let (_socket, id) = scene.open(&token()).await;
    let pause = || tokio::time::sleep(Duration::from_millis(1100));
    let mut last = String::new();
    for _ in 0..8 {
        last = token();
        assert_eq!(scene.renew(&id, &last).await.status, 204);
        pause().await;
    }
    let ninth = scene.renew(&id, &token()).await;
    assert_eq!((ninth.status, ninth.text("code").as_str()), (429, "rate_limited"));
    assert_eq!(scene.renew(&id, &last).await.status, 204, "the same token is not one more");
}

#[tokio::test]
async fn audiences_are_the_same_only_if_each_is_among_the_others() {
    let scene = Scene::start().await;
    let with = |list: [&str; 2]| scene.token(60, |claims| other(claims, "aud", json!(list)));
    let (_socket, id) = scene.open(&with([CHAT, CHAT])).await;
    assert_unknown("one more", &scene.renew(&id, &with([CHAT, "https://other.test"])).await);
    assert_eq!(scene.renew(&id, &with([CHAT, CHAT])).await.status, 204);
}

#[tokio::test]
async fn streams_of_a_key_that_its_issuer_withdraws_end_at_once() {
    let scene = Scene::start().await;
    let (mut socket, _) = scene.open(&scene.token(60, |_| ())).await;
    let keys = scene.gateway.folder.path().join("a.json");
    std::fs::write(&keys, TestIssuer::new(ISSUER).jwks().to_string()).unwrap();
    // An unknown key has the set read again.
    let mut said = Vec::new();
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": "unheard-of"});
    let unknown = scene.issuer.sign(&header, &scene.issuer.claims(CHAT));
    let ask = async {
        loop {
            let call = Call::get("/chat").bearer(&unknown);
            drop(call.send(scene.gateway.address).await);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        () = ask => {}
        read = tokio::time::timeout(Duration::from_secs(40), socket.read_to_end(&mut said)) => drop(read.unwrap()),
    }
    assert!(said.ends_with(b"\x03\xf0revoked"), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test]
async fn a_renewal_is_a_post_without_a_body_and_with_a_proof_of_its_own() {
    let scene = Scene::start().await;
    let token = scene.token(60, |_| ());
    let (_socket, id) = scene.open(&token).await;
    let renewal = |body: &str| Call::post(RENEW, "text/plain", body).header("symbolon-stream", &id);
    let refused = |answer: &Answer, status: u16, code: &str| {
        assert_eq!((answer.status, answer.text("code").as_str()), (status, code));
    };
    let proof = scene.proof(&scene.key, "POST", RENEW, &token);
    refused(&scene.send(renewal("x"), &token, &proof).await, 400, "malformed_request");
    refused(
        &scene.send(Call::get(RENEW).header("symbolon-stream", &id), &token, &proof).await,
        404,
        "route_not_found",
    );
    refused(&renewal("").send(scene.gateway.address).await.unwrap(), 401, "token_missing");
    for (method, path) in [("GET", "/chat"), ("POST", "/chat"), ("GET", RENEW)] {
        let wrong = scene.proof(&scene.key, method, path, &token);
        refused(&scene.send(renewal(""), &token, &wrong).await, 401, "proof_invalid");
    }
    assert_unknown("two ids", &scene.send(renewal("").header("symbolon-stream", &id), &token, &proof).await);
    assert_eq!(scene.send(renewal(""), &token, &proof).await.status, 204);
    refused(&scene.send(renewal(""), &token, &proof).await, 401, "proof_replayed");
    let huge = format!(
        "POST {RENEW} HTTP/1.1\r\nHost: {}\r\nSymbolon-Stream: {}\r\n\r\n",
        scene.gateway.address,
        "a".repeat(100_000)
    );
    assert!(raw(scene.gateway.address, huge.as_bytes()).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn a_renewed_stream_ends_with_its_new_token_and_its_name_with_it() {
    let scene = Scene::start().await;
    let (mut socket, id) = scene.open(&scene.token(3, |_| ())).await;
    let exp = now() + 6;
    let renewed = scene.renew(&id, &scene.token(0, |claims| other(claims, "exp", json!(exp)))).await;
    assert_eq!(renewed.status, 204, "{}", renewed.json());
    let mut said = Vec::new();
    socket.read_to_end(&mut said).await.unwrap();
    let late = moment().as_secs_f64() - Duration::from_secs(exp).as_secs_f64();
    assert!((-0.01..=1.0).contains(&late), "closed {late} s after the end of the second token");
    assert!(said.ends_with(b"\x03\xf0token_expired"), "{}", String::from_utf8_lossy(&said));
    assert_unknown("an ended stream", &scene.renew(&id, &scene.token(60, |_| ())).await);
}

#[tokio::test]
async fn a_stream_that_nobody_renews_ends_with_its_token() {
    let scene = Scene::start().await;
    let exp = now() + 3;
    let (mut socket, _) = scene.open(&scene.token(0, |claims| other(claims, "exp", json!(exp)))).await;
    let mut said = Vec::new();
    socket.read_to_end(&mut said).await.unwrap();
    let late = moment().as_secs_f64() - Duration::from_secs(exp).as_secs_f64();
    assert!((-0.01..=1.0).contains(&late), "closed {late} s after the end of the token");
}

#[tokio::test]
async fn a_refused_renewal_is_explained_and_names_its_caller() {
    let scene = Scene::start().await;
    let (_socket, id) = scene.open(&scene.token(60, |_| ())).await;
    let thief = scene.token(60, |claims| other(claims, "sub", json!("spiffe://test.example/thief")));
    let refused = scene.renew(&id, &thief).await;
    let path = format!("/v1/decisions/{}", refused.text("decision_id"));
    let socket = scene.gateway.folder.path().join("admin.sock");
    let document = Call::get(&path).send(socket.as_path()).await.unwrap().json();
    assert_eq!(document["reason"], "stream_unknown", "{document}");
    assert_eq!(document["facts"]["token"]["subject"], "spiffe://test.example/thief", "{document}");
    assert_eq!(document["facts"]["request"], format!("POST {RENEW}"), "{document}");
    assert!(!document.to_string().contains(&id), "{document}");
    let narrow = scene.renew(&id, &scene.token(60, |claims| other(claims, "scope", json!("other")))).await;
    let path = format!("/v1/decisions/{}", narrow.text("decision_id"));
    let document = Call::get(&path).send(socket.as_path()).await.unwrap().json();
    assert_eq!(document["target"], "chat", "{document}");
    assert!(document["near_misses"][0]["failed"][0]["expected"].as_str().unwrap().contains("orders:read"));
}

#[tokio::test]
async fn streams_of_an_issuer_that_is_removed_end_at_once() {
    let scene = Scene::start().await;
    let (mut socket, _) = scene.open(&scene.token(60, |_| ())).await;
    let file = scene.gateway.folder.path().join("gateway.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(ISSUER, "https://issuer.test/b")).unwrap();
    let mut said = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), socket.read_to_end(&mut said)).await.unwrap().unwrap();
    assert!(said.ends_with(b"\x03\xf0revoked"), "{}", String::from_utf8_lossy(&said));
}
