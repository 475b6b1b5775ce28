//! Foreign libraries: verifiers of our tokens (here), and whole OAuth clients (`oauth`).
//! Not here: josekit, which is linked (`josekit.rs`).

mod oauth;
mod oauthlib;
mod rotation;

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use symbolon_e2e::dev::Dev;
use symbolon_e2e::http::Call;
use symbolon_e2e::issuer::{decode, encode};
use symbolon_e2e::machine::cache;
use symbolon_e2e::process::workspace;

#[tokio::test]
async fn pyjwt_verifies_our_tokens_and_refuses_tampered_ones() {
    foreign_client(pyjwt).await;
}

#[tokio::test]
async fn npm_jose_verifies_our_tokens_and_refuses_tampered_ones() {
    foreign_client(npm_jose).await;
}

#[tokio::test]
async fn joserfc_verifies_our_tokens_and_refuses_tampered_ones() {
    foreign_client(joserfc).await;
}

#[tokio::test]
async fn jwcrypto_verifies_our_tokens_and_refuses_tampered_ones() {
    foreign_client(jwcrypto).await;
}

fn pyjwt() -> Command {
    python("verify.py")
}

fn joserfc() -> Command {
    python("verify_joserfc.py")
}

fn jwcrypto() -> Command {
    python("verify_jwcrypto.py")
}

fn npm_jose() -> Command {
    node("verify.mjs", "jose")
}

/// A script of `tests/interop/python`, with the packages that `scripts/setup` installs.
fn python(script: &str) -> Command {
    let python = cache().join("interop-python/bin/python");
    assert!(python.exists(), "{} is missing: run `scripts/setup tests`", python.display());
    let mut command = Command::new(&python);
    command.arg(workspace().join("tests/interop/python").join(script));
    command
}

/// A script of `tests/interop/node`, with the packages that `scripts/setup` installs.
fn node(script: &str, package: &str) -> Command {
    let packages = cache().join("interop-node");
    let is_there = packages.join("node_modules").join(package).exists();
    assert!(is_there, "{package} is missing: run `scripts/setup tests`");
    let mut command = Command::new("node");
    command.arg(workspace().join("tests/interop/node").join(script)).env("SYMBOLON_INTEROP_NODE", &packages);
    command
}

async fn foreign_client(command: impl Fn() -> Command) {
    let dev = Dev::shared().await;
    let call = Call::get("/v1/token?upstream=notes").header("symbolon-request", "true");
    let token = call.send(dev.address("sidecar.url")).await.unwrap().text("access_token");
    let issuer = dev.text("broker.url");
    let verify = |token: &str, audience: &str| {
        let mut command = command();
        command.args([&format!("{issuer}/.well-known/jwks.json"), issuer, audience]);
        run(command, token)
    };
    let good = verify(&token, "https://notes.internal");
    assert_eq!(good["verified"], true, "{good}");
    assert!(good["sub"].as_str().unwrap().starts_with("spiffe://dev.symbolon.local/"), "{good}");
    let other = verify(&token, "https://orders.internal");
    assert_eq!(other["verified"], false, "another audience: {other}");
    for tampered in tampered(&token) {
        let refused = verify(&tampered, "https://notes.internal");
        assert_eq!(refused["verified"], false, "{tampered}: {refused}");
    }
}

fn tampered(token: &str) -> [String; 3] {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    let mut claims: Value = serde_json::from_slice(&decode(payload)).unwrap();
    claims["sub"] = Value::from("spiffe://dev.symbolon.local/root");
    let mut other_signature = decode(signature);
    other_signature[40] ^= 1;
    [
        format!("{header}.{}.{signature}", encode(claims.to_string().as_bytes())),
        format!("{header}.{payload}.{}", encode(&other_signature)),
        format!("{}.{payload}.", encode(br#"{"alg":"none","typ":"at+jwt"}"#)),
    ]
}

fn run(mut command: Command, token: &str) -> Value {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(piped.spawn().unwrap(), token)
}

/// Tells a client what to do, and returns the JSON that it prints.
fn finish(mut child: Child, told: &str) -> Value {
    child.stdin.take().unwrap().write_all(told.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(said.trim())
        .unwrap_or_else(|_| panic!("{said}\n{}", String::from_utf8_lossy(&output.stderr)))
}
