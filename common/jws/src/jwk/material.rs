//! The numbers that make a public key, by type.
//! Not here: what the key is for.

use serde_json::{Map, Value};

use super::{JwkError, bytes};
use crate::{Algorithm, base64url, roca};

/// Members that hold a private or secret key in any key type (RFC 7518 §6.2.2, §6.3.2, §6.4.1; `priv` of AKP keys).
const PRIVATE: [&str; 10] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv", "seed"];

/// Whether any private member stands in a JWK of whatever type.
pub(crate) fn is_private(members: &Map<String, Value>) -> bool {
    PRIVATE.into_iter().any(|name| members.contains_key(name))
}

/// The NIST curves of RFC 7518 §6.2.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// The length of a coordinate and of a private key in bytes.
    pub(crate) const fn field_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    pub(crate) const fn algorithm(self) -> Algorithm {
        match self {
            Self::P256 => Algorithm::Es256,
            Self::P384 => Algorithm::Es384,
            Self::P521 => Algorithm::Es512,
        }
    }
}

/// A public key without its metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Material {
    Ec { curve: Curve, x: Vec<u8>, y: Vec<u8> },
    Ed25519 { x: Vec<u8> },
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

impl Material {
    pub(super) fn from_members(members: &Map<String, Value>) -> Result<Self, JwkError> {
        let text = |member: &'static str| {
            members.get(member).and_then(Value::as_str).ok_or(JwkError::Member { member })
        };
        match text("kty")? {
            "EC" => {
                let curve = match text("crv")? {
                    "P-256" => Curve::P256,
                    "P-384" => Curve::P384,
                    "P-521" => Curve::P521,
                    other => return Err(JwkError::UnknownCurve { curve: crate::error::shown(other) }),
                };
                let coordinate = |member| sized(members, member, curve.field_bytes());
                Ok(Self::Ec { curve, x: coordinate("x")?, y: coordinate("y")? })
            }
            "OKP" => match text("crv")? {
                "Ed25519" => Ok(Self::Ed25519 { x: sized(members, "x", 32)? }),
                other => Err(JwkError::UnknownCurve { curve: crate::error::shown(other) }),
            },
            "RSA" => {
                let (n, e) = (number(members, "n")?, number(members, "e")?);
                check_rsa(&n, &e)?;
                Ok(Self::Rsa { n, e })
            }
            other => Err(JwkError::UnknownKeyType { key_type: crate::error::shown(other) }),
        }
    }

    pub(crate) fn only_algorithm(&self) -> Option<Algorithm> {
        match self {
            Self::Ec { curve, .. } => Some(curve.algorithm()),
            Self::Ed25519 { .. } => Some(Algorithm::EdDsa),
            Self::Rsa { .. } => None,
        }
    }

    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        self.only_algorithm().map_or(algorithm.is_rsa(), |only| only == algorithm)
    }

    /// The members that RFC 7638 §3.2 and RFC 8037 §2 hash, in lexical order.
    pub(crate) fn required_members(&self) -> Vec<(&'static str, String)> {
        let encode = |bytes: &Vec<u8>| base64url::encode(bytes);
        match self {
            Self::Ec { curve, x, y } => vec![
                ("crv", curve.as_str().to_owned()),
                ("kty", "EC".to_owned()),
                ("x", encode(x)),
                ("y", encode(y)),
            ],
            Self::Ed25519 { x } => {
                vec![("crv", "Ed25519".to_owned()), ("kty", "OKP".to_owned()), ("x", encode(x))]
            }
            Self::Rsa { n, e } => vec![("e", encode(e)), ("kty", "RSA".to_owned()), ("n", encode(n))],
        }
    }
}

/// A member of exactly `length` bytes; coordinates keep their leading zeros (RFC 7518 §6.2.1.2).
fn sized(members: &Map<String, Value>, member: &'static str, length: usize) -> Result<Vec<u8>, JwkError> {
    let bytes = bytes(members, member)?;
    if bytes.len() == length { Ok(bytes) } else { Err(JwkError::Member { member }) }
}

/// A positive number without leading zeros (RFC 7518 §2, `Base64urlUInt`).
fn number(members: &Map<String, Value>, member: &'static str) -> Result<Vec<u8>, JwkError> {
    let bytes = bytes(members, member)?;
    if bytes.first().is_some_and(|first| *first != 0) { Ok(bytes) } else { Err(JwkError::Member { member }) }
}

fn check_rsa(n: &[u8], e: &[u8]) -> Result<(), JwkError> {
    let leading = n.first().map_or(8, |first| first.leading_zeros());
    let bits = n.len().saturating_mul(8).saturating_sub(usize::try_from(leading).unwrap_or(0));
    if !(2048..=8192).contains(&bits) {
        return Err(JwkError::ModulusSize { bits });
    }
    let exponent = e.iter().take(6).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    if e.len() > 5 || exponent < 3 || exponent & 1 == 0 || exponent >> 33 != 0 {
        return Err(JwkError::Exponent);
    }
    if roca::has_fingerprint(n) { Err(JwkError::Roca) } else { Ok(()) }
}
