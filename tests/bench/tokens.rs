//! Makes the keys, tokens and proofs that `tests/bench/run.py` sends.
//! Not a part of any program: it signs as an issuer of the benchmark's own.
//!
//! usage: `bench-tokens FOLDER keys` writes `jwks.json`, `key.pem`, `issuer.jwk`, `proof.jwk`, `one.txt` and `many.txt`;
//! `bench-tokens FOLDER proofs TARGET_URI` writes `proofs.txt`, one fresh proof a line.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use symbolon_identity::{Scopes, Timestamp, TokenId};
use symbolon_jws::{Algorithm, SigningKey, base64url};
use symbolon_proof::{ProofKey, ProofRequest};
use symbolon_token::{Claims, Confirmation, Issuer, Subject, TokenType};

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://orders.internal";
const SUBJECT: &str = "spiffe://example.com/unix/checkout";
/// More than any case sends in one round, so that "uncached" never meets a token twice and no proof is repeated.
const MANY: usize = 150_000;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().context("usage: bench-tokens FOLDER keys|proofs")?);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("keys"), None) => keys_and_tokens(&folder),
        (Some("proofs"), Some(target)) => proofs(&folder, &target),
        _ => bail!("usage: bench-tokens FOLDER keys | FOLDER proofs TARGET_URI"),
    }
}

fn keys_and_tokens(folder: &Path) -> Result<()> {
    use secrecy::ExposeSecret;
    let issuer = SigningKey::generate(Algorithm::Es256)?;
    let proof = ProofKey::generate(Algorithm::Es256)?;
    let public = serde_json::to_value(issuer.public_jwk())?;
    std::fs::write(folder.join("jwks.json"), serde_json::json!({ "keys": [public] }).to_string())?;
    std::fs::write(folder.join("key.pem"), public_pem(&public)?)?;
    std::fs::write(folder.join("issuer.jwk"), issuer.to_private_jwk().expose_secret())?;
    std::fs::write(folder.join("proof.jwk"), proof.to_private_jwk().expose_secret())?;
    let mut many = std::io::BufWriter::new(std::fs::File::create(folder.join("many.txt"))?);
    for number in 0..MANY {
        writeln!(many, "{}", token(&issuer, number, None)?)?;
    }
    std::fs::write(folder.join("one.txt"), token(&issuer, MANY, None)?)?;
    Ok(())
}

fn proofs(folder: &Path, target: &str) -> Result<()> {
    let issuer = SigningKey::from_private_jwk(&std::fs::read(folder.join("issuer.jwk"))?)?;
    let proof = ProofKey::from_private_jwk(&std::fs::read(folder.join("proof.jwk"))?)?;
    let token = token(&issuer, 0, Some(Confirmation::to_key(proof.thumbprint())))?;
    let request =
        ProofRequest { method: "GET", target_uri: target, access_token: Some(token.as_str()), nonce: None };
    let mut lines = std::io::BufWriter::new(std::fs::File::create(folder.join("proofs.txt"))?);
    for _ in 0..MANY {
        writeln!(lines, "{token}\t{}", proof.prove(&request, now()?)?)?;
    }
    Ok(())
}

fn token(key: &SigningKey, number: usize, confirmation: Option<Confirmation>) -> Result<String> {
    let now = now()?;
    let expires = now.saturating_add(Duration::from_hours(6));
    let mut claims =
        Claims::new(Issuer::parse(ISSUER)?, Subject::parse(SUBJECT)?, AUDIENCE.parse()?, expires);
    claims.client_id = Some(SUBJECT.parse()?);
    claims.issued_at = Some(now);
    claims.token_id = Some(TokenId::parse(&format!("bench-{number}"))?);
    claims.scopes = Scopes::parse("orders:read")?;
    claims.confirmation = confirmation;
    Ok(symbolon_token::sign(&claims, TokenType::AccessToken, key)?.expose().to_owned())
}

/// `SubjectPublicKeyInfo` of a P-256 key in PEM (RFC 5480 §2), for servers that do not read JWKs.
fn public_pem(jwk: &serde_json::Value) -> Result<String> {
    const PREFIX: &str = "3059301306072a8648ce3d020106082a8648ce3d03010703420004";
    let mut der = Vec::new();
    for pair in PREFIX.as_bytes().chunks(2) {
        der.push(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
    }
    for member in ["x", "y"] {
        der.extend(base64url::decode(jwk[member].as_str().context("an EC key has x and y")?)?);
    }
    Ok(format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der)))
}

#[expect(clippy::disallowed_methods, reason = "a program of its own: this is its clock")]
fn now() -> Result<Timestamp> {
    Ok(Timestamp::from_secs(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?)
}
