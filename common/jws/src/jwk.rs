//! One public key as a JWK (RFC 7517, RFC 7518 §6, RFC 8037 §2).
//! Not here: private keys ([`SigningKey`](crate::SigningKey)) and sets ([`JwkSet`](crate::JwkSet)).

mod error;
mod material;

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

pub use error::JwkError;
pub(crate) use material::{Curve, Material, is_private};

use crate::{Algorithm, Thumbprint, base64url, sha256, strict_json};

/// A public signature key with its optional `alg` and `kid`.
///
/// Its numbers have the right form and size; that they are a point on the curve is checked when a
/// [`VerifyingKey`](crate::VerifyingKey) is made of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Jwk {
    material: Material,
    algorithm: Option<Algorithm>,
    key_id: Option<String>,
}

impl Jwk {
    /// Parses a JWK from JSON text.
    ///
    /// # Errors
    /// [`JwkError`] if it is not strict JSON, or not an acceptable public signature key.
    pub fn parse(json: &[u8]) -> Result<Self, JwkError> {
        Self::from_members(&strict_json::from_slice(json).map_err(JwkError::Json)?)
    }

    /// Reads a JWK from the members of an object that strict JSON was read into.
    ///
    /// # Errors
    /// [`JwkError`] if it is not an acceptable public signature key.
    pub fn from_members(members: &Map<String, Value>) -> Result<Self, JwkError> {
        if is_private(members) {
            return Err(JwkError::PrivateMember);
        }
        let material = Material::from_members(members)?;
        check_purpose(members)?;
        let algorithm = match optional(members, "alg")? {
            None => None,
            Some(name) => Some(name.parse().map_err(JwkError::UnknownAlgorithm)?),
        };
        if let Some(algorithm) = algorithm
            && !material.fits(algorithm)
        {
            return Err(JwkError::WrongAlgorithm { algorithm });
        }
        Ok(Self { material, algorithm, key_id: optional(members, "kid")?.map(str::to_owned) })
    }

    pub(crate) fn new(material: Material, algorithm: Algorithm, key_id: Option<String>) -> Self {
        Self { material, algorithm: Some(algorithm), key_id }
    }

    pub(crate) fn material(&self) -> &Material {
        &self.material
    }

    /// `alg`, or the only algorithm that the key's type allows; none for an RSA key that does not say.
    #[must_use]
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm.or_else(|| self.material.only_algorithm())
    }

    /// `kid`.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The same key under another `kid`.
    #[must_use]
    pub fn with_key_id(self, key_id: impl Into<String>) -> Self {
        Self { key_id: Some(key_id.into()), ..self }
    }

    /// The key without `alg` and `kid`.
    #[must_use]
    pub(crate) fn bare(&self) -> Self {
        Self { material: self.material.clone(), algorithm: None, key_id: None }
    }

    /// The RFC 7638 thumbprint, which depends on the key alone.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        // RFC 7638 §3.2: the required members in lexical order, without spaces. Base64url needs no escapes.
        let members: Vec<String> = self
            .material
            .required_members()
            .into_iter()
            .map(|(name, value)| format!("\"{name}\":\"{value}\""))
            .collect();
        Thumbprint::from_bytes(sha256(format!("{{{}}}", members.join(",")).as_bytes()))
    }
}

/// `use` and `key_ops` must allow verification (RFC 7517 §4.2, §4.3).
fn check_purpose(members: &Map<String, Value>) -> Result<(), JwkError> {
    if optional(members, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(JwkError::NotForSignatures);
    }
    match members.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().any(|operation| operation == "verify") => Ok(()),
        Some(Value::Array(_)) => Err(JwkError::NotForSignatures),
        Some(_) => Err(JwkError::Member { member: "key_ops" }),
    }
}

fn optional<'a>(members: &'a Map<String, Value>, member: &'static str) -> Result<Option<&'a str>, JwkError> {
    match members.get(member) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= 256 => Ok(Some(text)),
        Some(_) => Err(JwkError::Member { member }),
    }
}

impl Serialize for Jwk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(kid) = &self.key_id {
            map.serialize_entry("kid", kid)?;
        }
        if let Some(alg) = self.algorithm {
            map.serialize_entry("use", "sig")?;
            map.serialize_entry("alg", &alg)?;
        }
        for (name, value) in self.material.required_members() {
            map.serialize_entry(name, &value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Jwk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Map::<String, Value>::deserialize(deserializer)?;
        Self::from_members(&members).map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwk")
            .field("key_id", &self.key_id)
            .field("algorithm", &self.algorithm)
            .field("thumbprint", &self.thumbprint())
            .finish_non_exhaustive()
    }
}

/// A required base64url member.
fn bytes(members: &Map<String, Value>, member: &'static str) -> Result<Vec<u8>, JwkError> {
    let text = members.get(member).and_then(Value::as_str).ok_or(JwkError::Member { member })?;
    base64url::decode(text).map_err(|_| JwkError::Member { member })
}

#[cfg(test)]
mod tests;
