//! An issuer of test tokens that can sign anything, also what no honest issuer would.
//! Not here: our own signing code, so that a fault there cannot hide itself.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::machine::now;

/// The key id of every issuer's first key.
pub const KEY_ID: &str = "test-key-1";

/// An issuer with one ES256 key.
#[derive(Debug)]
pub struct TestIssuer {
    /// Its `iss`.
    pub url: String,
    key: EcdsaKeyPair,
}

impl TestIssuer {
    /// An issuer with a fresh key.
    ///
    /// # Panics
    /// If there is no randomness.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { url: url.to_owned(), key }
    }

    /// Its public key as a JWK.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let point = self.point();
        let (x, y) = point[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY_ID, "x": encode(x), "y": encode(y)})
    }

    /// Its key set.
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({"keys": [self.jwk()]})
    }

    /// The public key as an uncompressed point (SEC 1 §2.3.3).
    #[must_use]
    pub fn point(&self) -> &[u8] {
        self.key.public_key().as_ref()
    }

    /// The public key as `SubjectPublicKeyInfo` (RFC 5480 §2).
    #[must_use]
    pub fn spki(&self) -> Vec<u8> {
        const PREFIX: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
        [PREFIX, self.point()].concat()
    }

    /// The public key in PEM, with the given line end.
    #[must_use]
    pub fn pem(&self, line_end: &str) -> String {
        let body = STANDARD.encode(self.spki());
        let (first, rest) = body.split_at(64);
        let lines = ["-----BEGIN PUBLIC KEY-----", first, rest, "-----END PUBLIC KEY-----"];
        lines.iter().flat_map(|line| [*line, line_end]).collect()
    }

    /// The private key in PEM (PKCS #8, RFC 5958), for clients that are no part of this program.
    ///
    /// # Panics
    /// If the key cannot be written.
    #[must_use]
    pub fn private_pem(&self) -> String {
        let document = self.key.to_pkcs8v1().unwrap();
        let body = STANDARD.encode(document.as_ref());
        let lines: Vec<&str> =
            body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let label = "PRIVATE KEY";
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    }

    /// The header of an honest token.
    #[must_use]
    pub fn header(&self) -> Value {
        json!({"alg": "ES256", "typ": "at+jwt", "kid": KEY_ID})
    }

    /// The claims of an honest token.
    #[must_use]
    pub fn claims(&self, audience: &str) -> Value {
        json!({
            "iss": self.url, "sub": "spiffe://test.example/caller", "client_id": "spiffe://test.example/caller",
            "aud": audience, "iat": now(), "nbf": now(), "exp": now() + 300, "jti": format!("jti-{}", encode(&random())),
            "scope": "orders:read"
        })
    }

    /// An honest token.
    #[must_use]
    pub fn token(&self, audience: &str) -> String {
        self.sign(&self.header(), &self.claims(audience))
    }

    /// A token with any header and claims.
    #[must_use]
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// A token with any bytes as header and payload.
    #[must_use]
    pub fn sign_text(&self, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", encode(header.as_bytes()), encode(payload.as_bytes()));
        format!("{message}.{}", encode(&self.signature(message.as_bytes())))
    }

    /// The signature of any message.
    ///
    /// # Panics
    /// If there is no randomness.
    #[must_use]
    pub fn signature(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }
}

/// The token with the other signature of the same key over the same message: (r, n − s) for (r, s).
///
/// # Panics
/// If the token has no signature of P-256.
#[must_use]
pub fn twin(token: &str) -> String {
    let order = decode("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE");
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut signature = decode(signature);
    let mut borrow = 0;
    for (place, order) in signature[32..].iter_mut().zip(&order).rev() {
        let difference = 256 + i32::from(*order) - i32::from(*place) - borrow;
        borrow = i32::from(difference < 256);
        *place = u8::try_from(difference % 256).unwrap();
    }
    format!("{signed}.{}", encode(&signature))
}

/// Sixteen random bytes.
///
/// # Panics
/// If there is no randomness.
#[must_use]
pub fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

/// Base64url without padding (RFC 7515 §2).
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The inverse of [`encode`].
///
/// # Panics
/// If the text is not base64url.
#[must_use]
pub fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}
