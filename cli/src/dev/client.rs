//! The registered client `curl`: its key pair, and the assertions that prove it (RFC 7523 §2.2).
//! Not here: the client's registration in the broker's configuration.

use std::path::Path;

use anyhow::Context as _;
use secrecy::ExposeSecret as _;
use symbolon_identity::Timestamp;
use symbolon_jws::{Algorithm, SigningHeader, SigningKey, base64url, random_bytes};

use super::folder::Folder;

/// The client's id.
pub(crate) const CLIENT_ID: &str = "curl";
/// Its private key in PEM, for `openssl`.
pub(crate) const KEY_FILE: &str = "curl-client.pem";
/// Its public key, for the broker.
pub(crate) const JWKS_FILE: &str = "curl-client.jwks.json";
const PRIVATE_JWK_FILE: &str = "curl-client.jwk";

/// The client with its key.
#[derive(Debug)]
pub(crate) struct Client {
    key: SigningKey,
}

impl Client {
    /// Reads the key from the folder, or makes it and writes it there in the forms that others read.
    pub(crate) fn in_folder(folder: &Folder) -> anyhow::Result<Self> {
        let path = folder.file(PRIVATE_JWK_FILE);
        let key = if path.exists() { read(&path)? } else { SigningKey::generate(Algorithm::EdDsa)? };
        folder.write_secret(PRIVATE_JWK_FILE, key.to_private_jwk().expose_secret())?;
        folder.write_secret(KEY_FILE, key.to_pkcs8_pem()?.expose_secret())?;
        let public = serde_json::json!({"keys": [key.public_jwk()]});
        folder.write(JWKS_FILE, &serde_json::to_string_pretty(&public)?)?;
        Ok(Self { key })
    }

    /// A fresh assertion for the broker.
    pub(crate) fn assertion(&self, issuer: &str, now: Timestamp) -> anyhow::Result<String> {
        let claims = serde_json::json!({
            "iss": CLIENT_ID,
            "sub": CLIENT_ID,
            "aud": issuer,
            "iat": now.as_secs(),
            "exp": now.as_secs().saturating_add(60),
            "jti": base64url::encode(random_bytes::<16>()?),
        });
        let header = SigningHeader::typed("JWT").with_key_id(self.key.key_id());
        Ok(self.key.sign(&header, claims.to_string().as_bytes())?)
    }
}

fn read(path: &Path) -> anyhow::Result<SigningKey> {
    let json = std::fs::read(path)?;
    SigningKey::from_private_jwk(&json).with_context(|| format!("{} is not a private key", path.display()))
}
