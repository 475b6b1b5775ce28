//! The token exchange grant (RFC 8693 §2.1): whose token, who acts, what kind is wanted.
//! Not here: whether the tokens are any good (`subject`), or whether policy allows it.

use secrecy::{ExposeSecret, SecretString};
use symbolon_token::{OpaqueToken, TokenError, UnverifiedToken};
use symbolon_wire::{TokenForm, token_type};

use crate::refusal::{Party, Refusal};

/// What an exchange asks beyond the targets.
#[derive(Debug)]
pub(crate) struct ExchangeRequest {
    /// On whose behalf the token is wanted.
    pub(crate) subject: PresentedParty,
    /// Who acts; the authenticated caller itself if none is sent.
    pub(crate) actor: Option<PresentedParty>,
    /// The kind that is wanted.
    pub(crate) wanted: TokenKind,
}

/// A token that is presented as subject or actor.
#[derive(Debug)]
pub(crate) enum PresentedParty {
    /// A JWT.
    Jwt(Box<PresentedToken>),
    /// Something else that may be an access token.
    Opaque(OpaquePresented),
}

/// An access token, so the caller says, that only its issuer can read.
#[derive(Debug)]
pub(crate) struct OpaquePresented {
    /// The token.
    pub(crate) token: OpaqueToken,
    /// Why it is no JWT.
    pub(crate) not_a_jwt: TokenError,
}

/// A JWT that is presented as subject or actor, and what the caller says it is.
#[derive(Debug)]
pub(crate) struct PresentedToken {
    /// The token.
    pub(crate) token: UnverifiedToken,
    /// The same as it was sent, for an issuer that is asked about it.
    pub(crate) text: SecretString,
    /// Its kind, so far only by the caller's word.
    pub(crate) claimed: TokenKind,
}

/// The kinds of token that an exchange takes or makes (RFC 8693 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// An access token of its issuer.
    AccessToken,
    /// An `OpenID` Connect ID token.
    IdToken,
    /// Any JWT.
    Jwt,
}

impl TokenKind {
    pub(super) const ALL: [Self; 3] = [Self::AccessToken, Self::IdToken, Self::Jwt];

    /// The identifier on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => token_type::ACCESS_TOKEN,
            Self::IdToken => token_type::ID_TOKEN,
            Self::Jwt => token_type::JWT,
        }
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(Refusal::UnsupportedTokenType)
    }
}

/// The part of a form that only an exchange has.
pub(super) fn parse(form: &TokenForm) -> Result<ExchangeRequest, Refusal> {
    let wanted = match form.requested_token_type.as_deref().map(TokenKind::parse).transpose()? {
        None | Some(TokenKind::AccessToken) => TokenKind::AccessToken,
        Some(TokenKind::Jwt) => TokenKind::Jwt,
        Some(TokenKind::IdToken) => return Err(Refusal::UnsupportedTokenType),
    };
    let subject = presented(Party::Subject, form.subject_token.as_ref(), form.subject_token_type.as_deref())?;
    let actor = presented(Party::Actor, form.actor_token.as_ref(), form.actor_token_type.as_deref())?;
    Ok(ExchangeRequest {
        subject: subject.ok_or(Refusal::Malformed("`subject_token` is missing"))?,
        actor,
        wanted,
    })
}

/// RFC 8693 §2.1: a token and its type go together, always.
fn presented(
    party: Party,
    token: Option<&SecretString>,
    kind: Option<&str>,
) -> Result<Option<PresentedParty>, Refusal> {
    match (token, kind) {
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(Refusal::Malformed(match party {
            Party::Subject => "`subject_token` and `subject_token_type` go together",
            Party::Actor => "`actor_token` and `actor_token_type` go together",
        })),
        (Some(token), Some(kind)) => {
            let claimed = TokenKind::parse(kind)?;
            typed(token.expose_secret(), claimed)
                .map(Some)
                .map_err(|error| Refusal::PresentedMalformed { party, error })
        }
    }
}

/// Only an access token may be something else than a JWT.
fn typed(text: &str, claimed: TokenKind) -> Result<PresentedParty, TokenError> {
    let not_a_jwt = match UnverifiedToken::parse(text) {
        Ok(token) => {
            let text = SecretString::from(text);
            return Ok(PresentedParty::Jwt(Box::new(PresentedToken { token, text, claimed })));
        }
        Err(error) => error,
    };
    match OpaqueToken::parse(text) {
        Some(token) if claimed == TokenKind::AccessToken => {
            Ok(PresentedParty::Opaque(OpaquePresented { token, not_a_jwt }))
        }
        _ => Err(not_a_jwt),
    }
}
