//! The private JWK: read, turned into a key pair, and written.
//! Not here: sealing it; the broker does that.

use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::SigningKeyError;
use super::pair::{self, Pair};
use crate::jwk::Material;
use crate::{CryptoError, Jwk, JwkError, base64url};

/// The members that we read; others (`x5c`, `key_ops` of the private half, …) do not matter to a signer.
#[derive(Deserialize)]
pub(super) struct PrivateJwk {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    r#use: Option<String>,
    d: Option<SecretString>,
    p: Option<SecretString>,
    q: Option<SecretString>,
    dp: Option<SecretString>,
    dq: Option<SecretString>,
    qi: Option<SecretString>,
}

impl PrivateJwk {
    pub(super) fn public(&self) -> Result<Jwk, SigningKeyError> {
        let members: Map<String, Value> = [
            ("kty", Some(&self.kty)),
            ("crv", self.crv.as_ref()),
            ("x", self.x.as_ref()),
            ("y", self.y.as_ref()),
            ("n", self.n.as_ref()),
            ("e", self.e.as_ref()),
            ("alg", self.alg.as_ref()),
            ("kid", self.kid.as_ref()),
            ("use", self.r#use.as_ref()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?.clone()))))
        .collect();
        Jwk::from_members(&members).map_err(SigningKeyError::Public)
    }

    pub(super) fn pair(&self, public: &Jwk) -> Result<Pair, SigningKeyError> {
        let d = number("d", self.d.as_ref())?;
        match public.material() {
            Material::Ec { curve, x, y } => {
                if d.len() != curve.field_bytes() {
                    return Err(SigningKeyError::PrivateMember { member: "d" });
                }
                let point = [&[4_u8], x.as_slice(), y.as_slice()].concat();
                EcdsaKeyPair::from_private_key_and_public_key(pair::ecdsa(*curve), &d, &point).map(Pair::Ec)
            }
            Material::Ed25519 { x } => {
                if d.len() != 32 {
                    return Err(SigningKeyError::PrivateMember { member: "d" });
                }
                Ed25519KeyPair::from_seed_and_public_key(&d, x).map(Pair::Ed25519)
            }
            Material::Rsa { n, e } => {
                let algorithm =
                    public.algorithm().ok_or(SigningKeyError::Public(JwkError::AlgorithmMissing))?;
                let encoding = pair::rsa(algorithm).ok_or(SigningKeyError::Mismatch)?;
                let components = KeyPairComponents {
                    public_key: PublicKeyComponents { n: n.as_slice(), e: e.as_slice() },
                    d: d.as_slice(),
                    p: &number("p", self.p.as_ref())?,
                    q: &number("q", self.q.as_ref())?,
                    dP: &number("dp", self.dp.as_ref())?,
                    dQ: &number("dq", self.dq.as_ref())?,
                    qInv: &number("qi", self.qi.as_ref())?,
                };
                RsaKeyPair::from_components(&components).map(|pair| Pair::Rsa(pair, encoding))
            }
        }
        .map_err(|_| SigningKeyError::Mismatch)
    }

    /// The private members that are there, for writing the key again.
    pub(super) fn secrets(&self) -> Vec<(&'static str, &str)> {
        [("d", &self.d), ("p", &self.p), ("q", &self.q), ("dp", &self.dp), ("dq", &self.dq), ("qi", &self.qi)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?.expose_secret())))
            .collect()
    }
}

fn number(member: &'static str, text: Option<&SecretString>) -> Result<Zeroizing<Vec<u8>>, SigningKeyError> {
    let refused = SigningKeyError::PrivateMember { member };
    let text = text.ok_or_else(|| refused.clone())?;
    base64url::decode(text.expose_secret()).map(Zeroizing::new).map_err(|_| refused)
}

/// Writes the public members and the private ones after them.
pub(super) fn render(public: &Jwk, secrets: &[(&str, &str)]) -> Result<SecretString, CryptoError> {
    let public = serde_json::to_string(public).map_err(|_| CryptoError)?;
    let mut json = public.strip_suffix('}').ok_or(CryptoError)?.to_owned();
    for (name, value) in secrets {
        // INVARIANT: the values were decoded from base64url, so that they need no escapes.
        json.extend([",\"", name, "\":\"", value, "\""]);
    }
    json.push('}');
    Ok(SecretString::from(json))
}
