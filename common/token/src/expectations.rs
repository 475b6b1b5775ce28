//! What a verifier demands of a token.
//! Not here: which key belongs to the issuer; `symbolon-issuers` chooses it.

use std::time::Duration;

use symbolon_identity::{Audience, Timestamp};

use crate::{Claims, TokenError, TokenType};

/// The clock difference that is overlooked on `nbf` and `iat`; on `exp` none is.
pub const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);

/// Whom a token must be meant for (RFC 7519 §4.1.3). Audiences are compared byte by byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudienceRule<'a> {
    /// `aud` holds this one, perhaps beside others.
    Contains(&'a Audience),
    /// `aud` holds one of these, perhaps beside others.
    ContainsAny(&'a [Audience]),
    /// `aud` is exactly this one, as evidence must be: another receiver of it could otherwise present it here.
    Sole(&'a Audience),
    /// `aud` is exactly one of these.
    SoleAny(&'a [Audience]),
}

/// A claim that may be missing from a JWT, but not from this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequiredClaim {
    /// `jti`.
    TokenId,
    /// `iat`.
    IssuedAt,
    /// `nbf`.
    NotBefore,
    /// `client_id`.
    ClientId,
    /// `cnf`.
    Confirmation,
}

/// What a verifier demands of a token. `iss`, `sub`, `aud` and `exp` are always required.
#[derive(Debug, Clone, Copy)]
pub struct Expectations<'a> {
    /// The issuer that the key belongs to, exactly.
    pub issuer: &'a str,
    /// Whom the token must be meant for.
    pub audience: AudienceRule<'a>,
    /// The kinds that are accepted.
    pub token_types: &'a [TokenType],
    /// The longest life, from `iat` (or now) to `exp`.
    pub max_lifetime: Duration,
    /// The clock difference that is overlooked on `nbf` and `iat`.
    pub leeway: Duration,
    /// The claims that must be there beyond the ones that always must.
    pub required: &'a [RequiredClaim],
}

impl<'a> Expectations<'a> {
    /// Expects an access token (`at+jwt`) that lives at most an hour, with the default leeway.
    #[must_use]
    pub const fn access_token(issuer: &'a str, audience: AudienceRule<'a>) -> Self {
        Self {
            issuer,
            audience,
            token_types: &[TokenType::AccessToken],
            max_lifetime: Duration::from_hours(1),
            leeway: DEFAULT_LEEWAY,
            required: &[],
        }
    }

    pub(crate) fn check(
        &self,
        token_type: Option<TokenType>,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<TokenType, TokenError> {
        let token_type = token_type.filter(|found| self.token_types.contains(found));
        let token_type = token_type.ok_or(TokenError::WrongType)?;
        if claims.issuer.as_str() != self.issuer {
            return Err(TokenError::WrongIssuer);
        }
        self.check_audience(&claims.audiences)?;
        for claim in self.required {
            claim.check(claims)?;
        }
        check_time(claims, self.leeway, now)?;
        let lifetime = claims.expires_at.saturating_since(claims.issued_at.unwrap_or(now));
        if lifetime > self.max_lifetime {
            return Err(TokenError::LifetimeTooLong { lifetime, limit: self.max_lifetime });
        }
        Ok(token_type)
    }

    fn check_audience(&self, audiences: &[Audience]) -> Result<(), TokenError> {
        let meant = match (self.audience, audiences) {
            (AudienceRule::Contains(wanted), found) => found.contains(wanted),
            (AudienceRule::ContainsAny(wanted), found) => found.iter().any(|one| wanted.contains(one)),
            (AudienceRule::Sole(wanted), [found]) => wanted == found,
            (AudienceRule::SoleAny(wanted), [found]) => wanted.contains(found),
            (AudienceRule::Sole(_) | AudienceRule::SoleAny(_), _) => false,
        };
        if meant { Ok(()) } else { Err(TokenError::WrongAudience) }
    }
}

impl RequiredClaim {
    fn check(self, claims: &Claims) -> Result<(), TokenError> {
        let (claim, found) = match self {
            Self::TokenId => ("jti", claims.token_id.is_some()),
            Self::IssuedAt => ("iat", claims.issued_at.is_some()),
            Self::NotBefore => ("nbf", claims.not_before.is_some()),
            Self::ClientId => ("client_id", claims.client_id.is_some()),
            Self::Confirmation => ("cnf", claims.confirmation.is_some()),
        };
        if found { Ok(()) } else { Err(TokenError::MissingClaim { claim }) }
    }
}

/// RFC 7519 §4.1.4 to §4.1.6: `exp` is over at its second, `nbf` and `iat` must not lie in the future.
pub(crate) fn check_time(claims: &Claims, leeway: Duration, now: Timestamp) -> Result<(), TokenError> {
    if claims.expires_at <= now {
        return Err(TokenError::Expired { at: claims.expires_at });
    }
    let latest = now.saturating_add(leeway);
    if let Some(at) = claims.not_before.filter(|at| *at > latest) {
        return Err(TokenError::NotYetValid { at });
    }
    if let Some(at) = claims.issued_at.filter(|at| *at > latest) {
        return Err(TokenError::IssuedInTheFuture { at });
    }
    Ok(())
}
