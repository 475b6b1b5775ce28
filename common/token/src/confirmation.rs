//! The key that a token is bound to (`cnf`, RFC 7800 §3.1).
//! Not here: proving that the caller holds it; `symbolon-proof` does.

use serde_json::{Map, Value};
use symbolon_jws::Thumbprint;

use crate::TokenError;

/// What the presenter of a token must hold. Both parts count if both are there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// The thumbprint of the DPoP key (RFC 9449 §6.1).
    pub jkt: Option<Thumbprint>,
    /// The SHA-256 of the client certificate (RFC 8705 §3.1).
    pub x5t_s256: Option<Thumbprint>,
}

impl Confirmation {
    /// A binding to a DPoP key.
    #[must_use]
    pub const fn to_key(thumbprint: Thumbprint) -> Self {
        Self { jkt: Some(thumbprint), x5t_s256: None }
    }

    /// A method that we cannot check is refused: the token would count as unbound.
    pub(crate) fn read(value: &Value) -> Result<Self, TokenError> {
        let malformed = || TokenError::Claim { claim: "cnf" };
        let members = value.as_object().filter(|members| !members.is_empty()).ok_or_else(malformed)?;
        let mut confirmation = Self::default();
        for (method, value) in members {
            let thumbprint = value.as_str().and_then(|text| Thumbprint::parse(text).ok());
            let slot = match method.as_str() {
                "jkt" => &mut confirmation.jkt,
                "x5t#S256" => &mut confirmation.x5t_s256,
                _ => return Err(TokenError::UnsupportedConfirmation),
            };
            *slot = Some(thumbprint.ok_or_else(malformed)?);
        }
        Ok(confirmation)
    }

    pub(crate) fn write(&self) -> Value {
        let mut members = Map::new();
        for (method, thumbprint) in [("jkt", self.jkt), ("x5t#S256", self.x5t_s256)] {
            if let Some(thumbprint) = thumbprint {
                members.insert(method.to_owned(), thumbprint.to_string().into());
            }
        }
        Value::Object(members)
    }
}
