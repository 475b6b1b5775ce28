//! From the members of a JSON object to claims.
//! Not here: times and audiences compared with anything.

use serde_json::{Map, Value};
use symbolon_identity::{Audience, ClientId, IdentityError, Scopes, Timestamp, TokenId};

use super::Claims;
use crate::{Actor, Confirmation, Issuer, Subject, TokenError};

/// The most audiences of one token.
const MAX_AUDIENCES: usize = 32;
/// The claims that have a field of their own.
pub(super) const KNOWN: [&str; 12] =
    ["iss", "sub", "aud", "client_id", "iat", "nbf", "exp", "jti", "scope", "cnf", "act", "lineage"];

impl Claims {
    pub(crate) fn read(members: &Map<String, Value>) -> Result<Self, TokenError> {
        Ok(Self {
            issuer: Issuer::parse(required(text(members, "iss")?, "iss")?)?,
            subject: Subject::parse(required(text(members, "sub")?, "sub")?)?,
            audiences: audiences(required(members.get("aud"), "aud")?)?,
            client_id: word(members, "client_id", ClientId::parse)?,
            issued_at: time(members, "iat")?,
            not_before: time(members, "nbf")?,
            expires_at: required(time(members, "exp")?, "exp")?,
            token_id: word(members, "jti", TokenId::parse)?,
            scopes: word(members, "scope", Scopes::parse)?.unwrap_or_default(),
            confirmation: members.get("cnf").map(Confirmation::read).transpose()?,
            actor: members.get("act").map(Actor::read).transpose()?,
            lineage: word(members, "lineage", TokenId::parse)?,
            extra: members
                .iter()
                .filter(|(name, _)| !KNOWN.contains(&name.as_str()))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        })
    }
}

fn required<T>(value: Option<T>, claim: &'static str) -> Result<T, TokenError> {
    value.ok_or(TokenError::MissingClaim { claim })
}

/// A text claim; any other type, also `null`, is malformed.
pub(crate) fn text<'a>(
    members: &'a Map<String, Value>,
    claim: &'static str,
) -> Result<Option<&'a str>, TokenError> {
    match members.get(claim) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenError::Claim { claim }),
    }
}

fn word<T>(
    members: &Map<String, Value>,
    claim: &'static str,
    parse: fn(&str) -> Result<T, IdentityError>,
) -> Result<Option<T>, TokenError> {
    text(members, claim)?.map(parse).transpose().map_err(|_| TokenError::Claim { claim })
}

/// A `NumericDate` without fraction (RFC 7519 §2). What lies beyond the year 9999 is its end; a maximum lifetime
/// refuses it.
fn time(members: &Map<String, Value>, claim: &'static str) -> Result<Option<Timestamp>, TokenError> {
    match members.get(claim) {
        None => Ok(None),
        Some(value) => {
            let seconds = value.as_u64().ok_or(TokenError::Claim { claim })?;
            Ok(Some(Timestamp::from_secs_saturating(seconds)))
        }
    }
}

/// `aud` is one text or a list of texts (RFC 7519 §4.1.3).
fn audiences(value: &Value) -> Result<Vec<Audience>, TokenError> {
    let malformed = || TokenError::Claim { claim: "aud" };
    let parse =
        |value: &Value| value.as_str().and_then(|text| Audience::parse(text).ok()).ok_or_else(malformed);
    match value {
        Value::String(_) => Ok(vec![parse(value)?]),
        Value::Array(values) if (1..=MAX_AUDIENCES).contains(&values.len()) => {
            values.iter().map(parse).collect()
        }
        _ => Err(malformed()),
    }
}
