//! A token that its issuer vouched for when it was asked (RFC 7662 §2.2).
//! Not here: asking; the answer has to come from the issuer's own endpoint.

use serde_json::{Map, Value};
use symbolon_identity::Timestamp;

use crate::claims::text;
use crate::{Claims, Expectations, TokenError, TokenHash, TokenType};

/// What the issuer of a token said about it, held against the same expectations as a JWT.
///
/// It holds for the moment in which it was asked: the issuer may take the token back in the next one.
#[derive(Debug, Clone)]
pub struct IntrospectedToken {
    claims: Claims,
    hash: TokenHash,
}

impl IntrospectedToken {
    /// Checks the members of an answer that says `"active": true`.
    ///
    /// The caller answers for two things: that the answer came from the expected issuer, and that it is about the token
    /// with this hash. An answer without `iss` is of the issuer that was asked; all other claims are required as in a
    /// JWT.
    ///
    /// # Errors
    /// [`TokenError`] naming the first thing that does not fit.
    pub fn check(
        mut members: Map<String, Value>,
        hash: TokenHash,
        expectations: &Expectations<'_>,
        now: Timestamp,
    ) -> Result<Self, TokenError> {
        members.remove("active");
        members.entry("iss").or_insert_with(|| expectations.issuer.into());
        let claims = Claims::read(&members)?;
        check_token_type(&members, &claims)?;
        expectations.check(Some(TokenType::AccessToken), &claims, now)?;
        Ok(Self { claims, hash })
    }

    /// What the issuer says.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The token's hash.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        self.hash
    }
}

/// `token_type` is how an access token is used (RFC 6749 §7.1). An endpoint answers about refresh tokens too, and
/// nothing else tells them apart: so what has none is no access token. One that is bound to a key names the key.
fn check_token_type(members: &Map<String, Value>, claims: &Claims) -> Result<(), TokenError> {
    match text(members, "token_type")? {
        None => Err(TokenError::MissingClaim { claim: "token_type" }),
        Some(kind) if kind.eq_ignore_ascii_case("Bearer") => Ok(()),
        Some(kind) if kind.eq_ignore_ascii_case("DPoP") => {
            let is_bound = claims.confirmation.is_some_and(|confirmation| confirmation.jkt.is_some());
            if is_bound { Ok(()) } else { Err(TokenError::MissingClaim { claim: "cnf" }) }
        }
        Some(_) => Err(TokenError::WrongType),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use symbolon_identity::Audience;

    use super::*;
    use crate::AudienceRule;

    fn check(change: impl FnOnce(&mut Map<String, Value>)) -> Result<IntrospectedToken, TokenError> {
        let now = Timestamp::from_secs(1_800_000_000).unwrap();
        let audience = Audience::parse("https://app.test").unwrap();
        let answer = json!({
            "active": true, "sub": "alice", "aud": ["https://app.test"], "exp": 1_800_000_300, "scope": "a b",
            "client_id": "app", "token_type": "Bearer"
        });
        let Value::Object(mut members) = answer else { panic!("it is an object") };
        change(&mut members);
        let expected = Expectations::access_token("https://idp.test", AudienceRule::Contains(&audience));
        IntrospectedToken::check(members, TokenHash::of("t"), &expected, now)
    }

    fn with(member: &str, value: Value) -> Result<IntrospectedToken, TokenError> {
        check(|members| {
            members.insert(member.to_owned(), value);
        })
    }

    #[test]
    fn an_answer_is_read_like_a_token_of_who_was_asked() {
        let token = check(|_| ()).unwrap();
        let claims = token.claims();
        assert_eq!((claims.issuer.as_str(), claims.subject.as_str()), ("https://idp.test", "alice"));
        assert_eq!(claims.scopes.as_str(), "a b");
        assert!(!claims.extra.contains_key("active"));
        assert!(with("iss", json!("https://idp.test")).is_ok());
    }

    #[test]
    fn what_a_token_must_say_an_answer_must_say_too() {
        for claim in ["sub", "aud", "exp", "token_type"] {
            let found = check(|members| drop(members.remove(claim)));
            assert_eq!(found.unwrap_err(), TokenError::MissingClaim { claim });
        }
        assert_eq!(with("iss", json!("https://idp.test/")).unwrap_err(), TokenError::WrongIssuer);
        assert_eq!(with("iss", Value::Null).unwrap_err(), TokenError::Claim { claim: "iss" });
        assert_eq!(with("aud", json!("https://other.test")).unwrap_err(), TokenError::WrongAudience);
        assert!(matches!(with("exp", json!(1_800_000_000)).unwrap_err(), TokenError::Expired { .. }));
        assert!(matches!(with("exp", json!(1_900_000_000)).unwrap_err(), TokenError::LifetimeTooLong { .. }));
        assert!(matches!(with("nbf", json!(1_800_000_200)).unwrap_err(), TokenError::NotYetValid { .. }));
    }

    #[test]
    fn how_a_token_is_used_must_fit_what_is_said_of_it() {
        let key = json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"});
        assert_eq!(with("token_type", json!("DPoP")).unwrap_err(), TokenError::MissingClaim { claim: "cnf" });
        let bound = check(|members| {
            members.insert("token_type".to_owned(), json!("dpop"));
            members.insert("cnf".to_owned(), key.clone());
        });
        assert!(bound.unwrap().claims().confirmation.is_some());
        assert_eq!(with("token_type", json!("N_A")).unwrap_err(), TokenError::WrongType);
        assert_eq!(with("token_type", json!(1)).unwrap_err(), TokenError::Claim { claim: "token_type" });
        assert_eq!(with("cnf", json!({"kid": "x"})).unwrap_err(), TokenError::UnsupportedConfirmation);
    }
}
