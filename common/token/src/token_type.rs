//! The kinds of JWT that are told apart by `typ` (RFC 8725 §3.11).
//! Not here: DPoP proofs; `symbolon-proof` knows their type.

use std::fmt;
use std::str::FromStr;

/// A JWT's kind, as its `typ` header says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenType {
    /// `at+jwt`: an access token (RFC 9068 §2.1).
    AccessToken,
    /// `JWT`: anything; most platforms' evidence.
    Jwt,
    /// `JOSE`: allowed for JWT-SVIDs (JWT-SVID §2.3).
    Jose,
    /// `client-authentication+jwt`: a client's own assertion.
    ClientAuthentication,
    /// `symbolon-status+jwt`: a page of a revocation feed.
    Status,
    /// No `typ` at all, as Kubernetes sends it.
    Absent,
}

/// A text that names no [`TokenType`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a token type; use `at+jwt`, `JWT`, `JOSE`, `client-authentication+jwt` or `absent`")]
pub struct UnknownTokenType;

impl TokenType {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::AccessToken, Self::Jwt, Self::Jose, Self::ClientAuthentication, Self::Status, Self::Absent];

    /// The name in configuration: the `typ`, or `absent`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "at+jwt",
            Self::Jwt => "JWT",
            Self::Jose => "JOSE",
            Self::ClientAuthentication => "client-authentication+jwt",
            Self::Status => "symbolon-status+jwt",
            Self::Absent => "absent",
        }
    }

    /// The kind that a `typ` header says, if it is one of ours. Media types have no case, and their
    /// `application/` may be left out (RFC 7515 §4.1.9).
    #[must_use]
    pub(crate) fn of_header(typ: Option<&str>) -> Option<Self> {
        let Some(typ) = typ else { return Some(Self::Absent) };
        let short = match typ.split_at_checked("application/".len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
            _ => typ,
        };
        let named = |kind: &Self| *kind != Self::Absent && kind.as_str().eq_ignore_ascii_case(short);
        Self::ALL.into_iter().find(named)
    }
}

impl FromStr for TokenType {
    type Err = UnknownTokenType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownTokenType)
    }
}

impl fmt::Display for TokenType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_known_with_and_without_its_prefix_and_in_any_case() {
        for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/at+jwt"] {
            assert_eq!(TokenType::of_header(Some(typ)), Some(TokenType::AccessToken), "{typ}");
        }
        assert_eq!(TokenType::of_header(None), Some(TokenType::Absent));
        for typ in ["", "absent", "dpop+jwt", "logout+jwt", "at+jwt ", "application/", "text/at+jwt"] {
            assert_eq!(TokenType::of_header(Some(typ)), None, "{typ}");
        }
    }

    #[test]
    fn each_name_comes_back() {
        for kind in TokenType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
    }
}
