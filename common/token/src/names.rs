//! Names that other systems chose and that we only compare: issuers and subjects.
//! Not here: names of our own (`symbolon-identity`); an [`Issuer`] may be a URL or, in a client's own assertion, a client id.

use std::fmt;
use std::sync::Arc;

use symbolon_identity::{ClientId, IssuerUrl, WorkloadId};

use crate::TokenError;

macro_rules! foreign_name {
    ($(#[$doc:meta])* $name:ident, $claim:literal, $limit:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name with this text, kept exactly.
            ///
            /// # Errors
            /// [`TokenError::Claim`] if it is empty, too long, or holds control characters.
            pub fn parse(text: &str) -> Result<Self, TokenError> {
                if text.is_empty() || text.len() > $limit || text.chars().any(char::is_control) {
                    return Err(TokenError::Claim { claim: $claim });
                }
                Ok(Self(text.into()))
            }

            /// The text, exactly as it was sent.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }
    };
}

foreign_name!(
    /// Who issued a token (`iss`, RFC 7519 §4.1.1), compared byte by byte.
    Issuer, "iss", 512
);
foreign_name!(
    /// Whom a token is about (`sub`, RFC 7519 §4.1.2), unique within its issuer only.
    Subject, "sub", 2048
);

impl From<&IssuerUrl> for Issuer {
    fn from(url: &IssuerUrl) -> Self {
        Self(url.as_str().into())
    }
}

impl From<&ClientId> for Issuer {
    fn from(client: &ClientId) -> Self {
        Self(client.as_str().into())
    }
}

impl From<&WorkloadId> for Subject {
    fn from(workload: &WorkloadId) -> Self {
        Self(workload.as_str().into())
    }
}

impl From<&ClientId> for Subject {
    fn from(client: &ClientId) -> Self {
        Self(client.as_str().into())
    }
}
