//! The chain of actors that a token was passed on by (RFC 8693 §4.1).
//! Not here: who may act for whom; policies say that.

use serde_json::{Map, Value};

use crate::claims::text;
use crate::{Issuer, Subject, TokenError};

/// Who acts, and for whom that one acted: `act`, outermost first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Who acts now (or acted, further down the chain).
    pub subject: Subject,
    /// The actor's issuer, if it is not the token's.
    pub issuer: Option<Issuer>,
    /// The one who acted before.
    pub earlier: Option<Box<Self>>,
}

impl Actor {
    /// The longest chain that is read.
    pub const MAX_CHAIN: usize = 16;

    /// The chain, the current actor first.
    pub fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |actor| actor.earlier.as_deref())
    }

    pub(crate) fn read(value: &Value) -> Result<Self, TokenError> {
        Self::read_at(value, 1)
    }

    fn read_at(value: &Value, depth: usize) -> Result<Self, TokenError> {
        let malformed = TokenError::Claim { claim: "act" };
        let members = value.as_object().ok_or_else(|| malformed.clone())?;
        if depth > Self::MAX_CHAIN {
            return Err(malformed);
        }
        let subject =
            text(members, "sub").map_err(|_| malformed.clone())?.ok_or_else(|| malformed.clone())?;
        let issuer = text(members, "iss").map_err(|_| malformed)?.map(Issuer::parse).transpose()?;
        let earlier = match members.get("act") {
            None => None,
            Some(earlier) => Some(Box::new(Self::read_at(earlier, depth.saturating_add(1))?)),
        };
        Ok(Self { subject: Subject::parse(subject)?, issuer, earlier })
    }

    pub(crate) fn write(&self) -> Value {
        let mut members = Map::new();
        members.insert("sub".to_owned(), self.subject.as_str().into());
        if let Some(issuer) = &self.issuer {
            members.insert("iss".to_owned(), issuer.as_str().into());
        }
        if let Some(earlier) = &self.earlier {
            members.insert("act".to_owned(), earlier.write());
        }
        Value::Object(members)
    }
}
