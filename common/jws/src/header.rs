//! The protected header of a JWS: the one that was read, and the one that will be signed.
//! Not here: whether the header is true. Everything in a read header is a hint until the signature is verified.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Algorithm, Jwk, JwsError, strict_json};

/// At most this many bytes make a `kid` or `typ`.
const TEXT_LIMIT: usize = 256;
/// Members that let a token choose its own key: never followed (RFC 8725 §3.10).
const FOREIGN_KEYS: [&str; 3] = ["jku", "x5u", "x5c"];

/// The header of a presented JWS (RFC 7515 §4).
#[derive(Debug, Clone)]
pub struct Header {
    algorithm: Algorithm,
    key_id: Option<String>,
    token_type: Option<String>,
    jwk: Option<Value>,
    foreign_key: Option<&'static str>,
}

impl Header {
    /// `alg`.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// `kid`: printable ASCII, at most 256 bytes.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// `typ` as it was sent.
    #[must_use]
    pub fn token_type(&self) -> Option<&str> {
        self.token_type.as_deref()
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, JwsError> {
        let mut members: Map<String, Value> = strict_json::from_slice(bytes).map_err(JwsError::Header)?;
        if members.contains_key("crit") {
            return Err(JwsError::CriticalExtension);
        }
        if let Some(member) = ["b64", "enc", "zip"].into_iter().find(|name| members.contains_key(*name)) {
            return Err(JwsError::UnsupportedMember { member });
        }
        let name = text(&members, "alg")?.ok_or(JwsError::HeaderMember { member: "alg" })?;
        let algorithm =
            name.parse().map_err(|_| JwsError::UnsupportedAlgorithm { name: crate::error::shown(name) })?;
        Ok(Self {
            algorithm,
            key_id: text(&members, "kid")?.map(str::to_owned),
            token_type: text(&members, "typ")?.map(str::to_owned),
            foreign_key: FOREIGN_KEYS.into_iter().find(|name| members.contains_key(*name)),
            jwk: members.remove("jwk"),
        })
    }

    /// Refuses a header that brings or names its own key.
    pub(crate) fn refuse_own_key(&self) -> Result<(), JwsError> {
        match (self.foreign_key, &self.jwk) {
            (Some(member), _) => Err(JwsError::KeyInHeader { member }),
            (None, Some(_)) => Err(JwsError::KeyInHeader { member: "jwk" }),
            (None, None) => Ok(()),
        }
    }

    /// The public key that a proof carries (RFC 9449 §4.2).
    pub(crate) fn embedded_key(&self) -> Result<Jwk, JwsError> {
        if let Some(member) = self.foreign_key {
            return Err(JwsError::KeyInHeader { member });
        }
        match &self.jwk {
            Some(Value::Object(members)) => Jwk::from_members(members).map_err(JwsError::EmbeddedKey),
            Some(_) => Err(JwsError::HeaderMember { member: "jwk" }),
            None => Err(JwsError::EmbeddedKeyMissing),
        }
    }
}

/// A short printable member, if it is there.
fn text<'a>(members: &'a Map<String, Value>, member: &'static str) -> Result<Option<&'a str>, JwsError> {
    match members.get(member) {
        None => Ok(None),
        Some(Value::String(text)) if is_plain(text) => Ok(Some(text)),
        Some(_) => Err(JwsError::HeaderMember { member }),
    }
}

/// `kid` reaches logs, caches and look-ups, so only short printable ASCII passes. Spaces do occur in the wild.
fn is_plain(text: &str) -> bool {
    text.len() <= TEXT_LIMIT && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// The header of a JWS that we sign; `alg` is added by the key.
#[derive(Debug, Clone, Copy)]
pub struct SigningHeader<'a> {
    token_type: &'a str,
    key_id: Option<&'a str>,
    embed_key: bool,
}

impl<'a> SigningHeader<'a> {
    /// A header with this `typ`; explicit types keep one kind of token from passing as another (RFC 8725 §3.11).
    #[must_use]
    pub const fn typed(token_type: &'a str) -> Self {
        Self { token_type, key_id: None, embed_key: false }
    }

    /// Adds `kid`.
    #[must_use]
    pub const fn with_key_id(self, key_id: &'a str) -> Self {
        Self { key_id: Some(key_id), ..self }
    }

    /// Adds the public key as `jwk`, as a proof of possession carries it (RFC 9449 §4.2).
    #[must_use]
    pub const fn with_embedded_key(self) -> Self {
        Self { embed_key: true, ..self }
    }

    pub(crate) fn to_json(self, algorithm: Algorithm, key: &Jwk) -> Result<Vec<u8>, serde_json::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            typ: &'a str,
            alg: Algorithm,
            #[serde(skip_serializing_if = "Option::is_none")]
            kid: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            jwk: Option<Jwk>,
        }
        serde_json::to_vec(&Wire {
            typ: self.token_type,
            alg: algorithm,
            kid: self.key_id,
            jwk: self.embed_key.then(|| key.bare()),
        })
    }
}
