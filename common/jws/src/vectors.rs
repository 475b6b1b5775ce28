//! Published examples, and a hand that signs what [`SigningKey`](crate::SigningKey) would not.
//! Not here: any key that is used outside tests.

pub(crate) mod forged_rsa;
pub(crate) mod rfc7515;
pub(crate) mod rfc7517;
pub(crate) mod rfc8037;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

use crate::{VerifyingKey, base64url};

/// A P-256 key that signs any header over any payload.
pub(crate) struct Forger(EcdsaKeyPair);

impl Forger {
    pub(crate) fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    /// The uncompressed public point (SEC 1 §2.3.3).
    pub(crate) fn point(&self) -> Vec<u8> {
        self.0.public_key().as_ref().to_vec()
    }

    pub(crate) fn public_jwk(&self) -> crate::Jwk {
        let point = self.point();
        let (x, y) = (base64url::encode(&point[1..33]), base64url::encode(&point[33..]));
        let json = format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}","kid":"k1"}}"#);
        crate::Jwk::parse(json.as_bytes()).unwrap()
    }

    pub(crate) fn key(&self) -> VerifyingKey {
        VerifyingKey::from_jwk(&self.public_jwk()).unwrap()
    }

    /// A compact JWS with this header text, whatever it is, and a true signature.
    pub(crate) fn sign(&self, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", base64url::encode(header), base64url::encode(payload));
        let signature = self.0.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", base64url::encode(signature.as_ref()))
    }
}
