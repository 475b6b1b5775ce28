//! Foreign verifiers that keep running across a rotation: every algorithm, the old tokens and the new ones.
//! Not here: verifiers of ours.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use josekit::jwk::Jwk;
use josekit::jws::{ES256, EdDSA, JwsVerifier, PS256, RS256};
use serde_json::Value;
use symbolon_e2e::http::Call;
use symbolon_e2e::process::wait_for;
use symbolon_e2e::ring::{ALGORITHMS, Ring, audience, key_id};

const BY_HAND: &str = "rotate_every: 1h, lead: 2s, retain: 1h";

/// A foreign verifier that runs.
struct Verifier {
    child: Child,
    tokens: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Verifier {
    fn start(mut command: Command, ring: &Ring) -> Self {
        let audiences = ALGORITHMS.map(audience).join(",");
        command.args([&format!("{}/.well-known/jwks.json", ring.broker.url), &ring.broker.url, &audiences]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (tokens, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, tokens, answers }
    }

    fn verify(&mut self, token: &str) -> Value {
        writeln!(self.tokens, "{token}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("the verifier said `{answer}`"))
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pyjwt_follows_a_rotation_of_every_algorithm() {
    follow(super::pyjwt()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joserfc_follows_a_rotation_of_every_algorithm() {
    follow(super::joserfc()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jwcrypto_follows_a_rotation_of_every_algorithm() {
    follow(super::jwcrypto()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn npm_jose_follows_a_rotation_of_every_algorithm() {
    follow(super::npm_jose()).await;
}

async fn follow(command: Command) {
    let ring = Ring::start(300, BY_HAND).await;
    let mut verifier = Verifier::start(command, &ring);
    let mut expect = |tokens: &[String], when: &str| {
        for (token, algorithm) in tokens.iter().zip(ALGORITHMS) {
            let answer = verifier.verify(token);
            assert_eq!(
                (&answer["verified"], &answer["alg"]),
                (&true.into(), &algorithm.into()),
                "{when}: {answer}"
            );
        }
    };
    let old = tokens(&ring).await;
    expect(&old, "before");
    rotate(&ring, &old).await;
    let new = tokens(&ring).await;
    expect(&new, "new keys");
    expect(&old, "old keys, which are still published");
    for token in &new {
        for tampered in super::tampered(token) {
            assert_eq!(verifier.verify(&tampered)["verified"], false, "{tampered}");
        }
    }
}

/// A `kid` is the thumbprint of its key (RFC 7638), by their reckoning too.
#[tokio::test]
async fn foreign_libraries_name_every_key_as_we_do() {
    let ring = Ring::start(300, BY_HAND).await;
    for command in [super::joserfc(), super::jwcrypto()] {
        let mut verifier = Verifier::start(command, &ring);
        for algorithm in ALGORITHMS {
            let token = ring.token(algorithm).await;
            assert_eq!(verifier.verify(&token)["thumbprint"], key_id(&token), "{algorithm}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn josekit_verifies_every_algorithm_across_a_rotation() {
    let ring = Ring::start(300, BY_HAND).await;
    let old = tokens(&ring).await;
    rotate(&ring, &old).await;
    for token in old.iter().chain(&tokens(&ring).await) {
        let verifier = josekit_verifier(&ring, token).await;
        let (payload, _) = josekit::jwt::decode_with_verifier(token, &*verifier).unwrap();
        assert_eq!(payload.issuer(), Some(ring.broker.url.as_str()));
        for tampered in super::tampered(token) {
            assert!(josekit::jwt::decode_with_verifier(&tampered, &*verifier).is_err(), "{tampered}");
        }
    }
}

async fn josekit_verifier(ring: &Ring, token: &str) -> Box<dyn JwsVerifier> {
    let answer = Call::get("/.well-known/jwks.json").send(ring.broker.address).await.unwrap().json();
    let kid = key_id(token);
    let key = answer["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid.as_str()).unwrap();
    let jwk = Jwk::from_bytes(key.to_string()).unwrap();
    match key["alg"].as_str().unwrap() {
        "ES256" => Box::new(ES256.verifier_from_jwk(&jwk).unwrap()),
        "EdDSA" => Box::new(EdDSA.verifier_from_jwk(&jwk).unwrap()),
        "RS256" => Box::new(RS256.verifier_from_jwk(&jwk).unwrap()),
        "PS256" => Box::new(PS256.verifier_from_jwk(&jwk).unwrap()),
        other => panic!("{other}"),
    }
}

async fn tokens(ring: &Ring) -> Vec<String> {
    let mut tokens = Vec::new();
    for algorithm in ALGORITHMS {
        tokens.push(ring.token(algorithm).await);
    }
    tokens
}

/// Publishes the next keys and waits until they sign.
async fn rotate(ring: &Ring, before: &[String]) {
    assert_eq!(ring.admin(Call::form("/v1/keys/rotate", &[])).await.status, 200);
    for (algorithm, before) in ALGORITHMS.iter().zip(before) {
        wait_for("the next key signs", Duration::from_secs(30), async || {
            key_id(&ring.token(algorithm).await) != key_id(before)
        })
        .await;
    }
}
