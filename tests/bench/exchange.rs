//! Makes the keys and the forms that `tests/bench/exchange.py` sends: token exchanges, each with its own client assertion.
//! Not a part of any program: it signs as a client and an issuer of the benchmark's own.
//!
//! usage: `bench-exchange FOLDER keys` writes `client.jwk`, `client-jwks.json`, `idp.jwk` and `idp-jwks.json`;
//! `bench-exchange FOLDER forms NAME COUNT AUDIENCE [SUBJECT_TOKEN]` writes `NAME.txt`, one form a line, each with a
//! subject token of its own unless one is given; `bench-exchange FOLDER floor COUNT` verifies twice and signs once, so
//! many times, and nothing else.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use secrecy::ExposeSecret;
use symbolon_identity::{Scopes, Timestamp, TokenId};
use symbolon_jws::{Algorithm, SigningHeader, SigningKey, UnverifiedJws};
use symbolon_token::{Claims, Issuer, Subject, TokenType};
use url::form_urlencoded::Serializer;

const CLIENT: &str = "requester";
const IDP: &str = "https://idp.example";
const APP: &str = "https://app.example";
const ORDERS: &str = "https://orders.internal";
const USAGE: &str =
    "usage: bench-exchange FOLDER keys | floor COUNT | forms NAME COUNT AUDIENCE [SUBJECT_TOKEN]";
/// As long as both servers accept; forms are made just before they are sent.
const ASSERTION_LIFE: Duration = Duration::from_secs(590);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [folder, "keys"] => keys(&PathBuf::from(folder)),
        [folder, "floor", count] => floor(&PathBuf::from(folder), count.parse()?),
        [folder, "forms", name, count, audience] => {
            Forms { folder: folder.into(), audience, subject: None }.write(name, count.parse()?)
        }
        [folder, "forms", name, count, audience, subject] => {
            Forms { folder: folder.into(), audience, subject: Some(subject) }.write(name, count.parse()?)
        }
        _ => bail!(USAGE),
    }
}

fn keys(folder: &Path) -> Result<()> {
    for name in ["client", "idp"] {
        let key = SigningKey::generate(Algorithm::Es256)?;
        let set = serde_json::json!({ "keys": [key.public_jwk()] });
        std::fs::write(folder.join(format!("{name}-jwks.json")), set.to_string())?;
        std::fs::write(folder.join(format!("{name}.jwk")), key.to_private_jwk().expose_secret())?;
    }
    Ok(())
}

fn key(folder: &Path, name: &str) -> Result<SigningKey> {
    Ok(SigningKey::from_private_jwk(&std::fs::read(folder.join(format!("{name}.jwk")))?)?)
}

/// What all forms of a case have in common.
struct Forms<'a> {
    folder: PathBuf,
    audience: &'a str,
    subject: Option<&'a str>,
}

impl Forms<'_> {
    fn write(&self, name: &str, count: usize) -> Result<()> {
        let (client, idp) = (key(&self.folder, "client")?, key(&self.folder, "idp")?);
        let path = self.folder.join(format!("{name}.txt"));
        let mut lines = std::io::BufWriter::new(std::fs::File::create(path)?);
        for number in 0..count {
            let assertion = assertion(&client, self.audience, &format!("{name}-{number}"))?;
            let own = match self.subject {
                Some(_) => None,
                None => Some(subject_token(&idp, number)?),
            };
            let mut form = Serializer::new(String::new());
            form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
                .append_pair("subject_token", own.as_deref().or(self.subject).context("a subject token")?)
                .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
                .append_pair(
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                )
                .append_pair("client_assertion", &assertion);
            if own.is_some() {
                form.append_pair("resource", ORDERS).append_pair("scope", "orders:read");
            }
            writeln!(lines, "{}", form.finish())?;
        }
        Ok(())
    }
}

/// `private_key_jwt` (RFC 7523 §2.2).
fn assertion(client: &SigningKey, audience: &str, id: &str) -> Result<String> {
    let now = now()?;
    let expires = now.saturating_add(ASSERTION_LIFE);
    let mut claims = Claims::new(Issuer::parse(CLIENT)?, Subject::parse(CLIENT)?, audience.parse()?, expires);
    claims.issued_at = Some(now);
    claims.token_id = Some(TokenId::parse(id)?);
    Ok(symbolon_token::sign(&claims, TokenType::Jwt, client)?.expose().to_owned())
}

/// An access token of a user, with about as many claims as Keycloak's.
fn subject_token(idp: &SigningKey, number: usize) -> Result<String> {
    let now = now()?;
    let expires = now.saturating_add(Duration::from_mins(59));
    let user = format!("user-{}", number % 1000);
    let mut claims = Claims::new(Issuer::parse(IDP)?, Subject::parse(&user)?, APP.parse()?, expires);
    claims.client_id = Some("app".parse()?);
    claims.issued_at = Some(now);
    claims.token_id = Some(TokenId::parse(&format!("subject-{number}"))?);
    claims.scopes = Scopes::parse("openid profile")?;
    Ok(symbolon_token::sign(&claims, TokenType::AccessToken, idp)?.expose().to_owned())
}

/// What cannot be had for less: two ES256 tokens verified and one signed, with nothing around them.
fn floor(folder: &Path, count: usize) -> Result<()> {
    let client = key(folder, "client")?;
    let payload = vec![b'x'; 400];
    let header = SigningHeader::typed("JWT").with_key_id(client.key_id());
    let token = UnverifiedJws::parse(&client.sign(&header, &payload)?)?;
    for _ in 0..count {
        std::hint::black_box(token.verify(client.verifying_key())?);
        std::hint::black_box(token.verify(client.verifying_key())?);
        std::hint::black_box(client.sign(&header, &payload)?);
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a program of its own: this is its clock")]
fn now() -> Result<Timestamp> {
    Ok(Timestamp::from_secs(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?)
}
