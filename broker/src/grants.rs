//! From a form to what is asked: parse, don't validate.
//! Not here: whether the caller may have it, or who the caller is.

mod targets;
mod token_exchange;

use symbolon_http::server::{ConnectionInfo, Peer};
use symbolon_identity::Scopes;
use symbolon_jws::sha256;
use symbolon_token::UnverifiedToken;
use symbolon_wire::{TokenForm, client_assertion_type, grant_type};

use secrecy::{ExposeSecret, SecretString};

use crate::presented::Presented;
use crate::refusal::Refusal;

pub(crate) use targets::Target;
pub(crate) use token_exchange::{
    ExchangeRequest, OpaquePresented, PresentedParty, PresentedToken, TokenKind,
};

/// A token request that is well formed by its RFC.
#[derive(Debug)]
pub(crate) struct TokenRequest {
    /// Who asks, so far only by its own word.
    pub(crate) client: PresentedClient,
    /// What for, at least one.
    pub(crate) targets: Vec<Target>,
    /// Which scopes; none means the resources' defaults.
    pub(crate) scopes: Option<Scopes>,
    /// On whose behalf; none if the caller asks for itself (RFC 6749 §4.4).
    pub(crate) exchange: Option<ExchangeRequest>,
}

/// A client as it presents itself.
#[derive(Debug)]
pub(crate) struct PresentedClient {
    /// `client_id`, if it was sent.
    pub(crate) unverified_id: Option<String>,
    /// `trust_provider`, if it was sent.
    pub(crate) provider: Option<String>,
    /// How it authenticates.
    pub(crate) credential: Credential,
}

/// What a client authenticates with.
#[derive(Debug)]
pub(crate) enum Credential {
    /// Its end of the Unix socket.
    Connection,
    /// A JWT (RFC 7523 §2.2).
    Assertion(Box<Assertion>),
}

/// A client assertion that is a JWT, whoever signed it.
#[derive(Debug)]
pub(crate) struct Assertion {
    /// The JWT.
    pub(crate) token: UnverifiedToken,
    /// The token as it was sent, for those who have to show it to its issuer.
    pub(crate) text: SecretString,
    /// SHA-256 over what its signature covers. Not over all of its bytes: an ECDSA signature has a second, equally
    /// valid form, under which the same evidence would count as new.
    pub(crate) digest: [u8; 32],
}

impl TokenRequest {
    /// Parses a request.
    ///
    /// # Errors
    /// [`Refusal`] naming the first thing that is not well formed or not offered.
    pub(crate) fn parse(presented: &Presented) -> Result<Self, Refusal> {
        let form = &presented.form;
        let is_exchange = match form.grant_type.as_deref() {
            None => return Err(Refusal::Malformed("`grant_type` is missing")),
            Some(grant_type::CLIENT_CREDENTIALS) => false,
            Some(grant_type::TOKEN_EXCHANGE) => true,
            Some(_) => return Err(Refusal::UnsupportedGrantType),
        };
        let client = PresentedClient::parse(presented)?;
        let exchange = is_exchange.then(|| token_exchange::parse(form)).transpose()?;
        Ok(Self { client, targets: targets::targets(form)?, scopes: targets::scopes(form)?, exchange })
    }
}

impl PresentedClient {
    /// Parses the part of a form by which a client authenticates, at whichever endpoint.
    ///
    /// # Errors
    /// [`Refusal`] if there is no evidence, or none that is well formed.
    pub(crate) fn parse(presented: &Presented) -> Result<Self, Refusal> {
        Self::of(&presented.form, &presented.connection)
    }

    /// The same of a form that came over this connection.
    ///
    /// # Errors
    /// As [`PresentedClient::parse`].
    pub(crate) fn of(form: &TokenForm, connection: &ConnectionInfo) -> Result<Self, Refusal> {
        let on_socket = matches!(connection.peer(), Peer::Unix(_));
        Ok(Self {
            unverified_id: form.client_id.clone(),
            provider: form.trust_provider.clone(),
            credential: credential(form, on_socket)?,
        })
    }
}

fn credential(form: &TokenForm, on_socket: bool) -> Result<Credential, Refusal> {
    match (form.client_assertion_type.as_deref(), &form.client_assertion) {
        (None, None) if on_socket => Ok(Credential::Connection),
        (None, None) => Err(Refusal::EvidenceMissing),
        (Some(_), None) | (None, Some(_)) => {
            Err(Refusal::Malformed("`client_assertion` and `client_assertion_type` go together"))
        }
        (Some(client_assertion_type::JWT_BEARER), Some(assertion)) => {
            let text = assertion.expose_secret();
            let token = UnverifiedToken::parse(text).map_err(Refusal::AssertionMalformed)?;
            let covered = text.rsplit_once('.').map_or(text, |(covered, _)| covered);
            let digest = sha256(covered.as_bytes());
            Ok(Credential::Assertion(Box::new(Assertion { token, text: assertion.clone(), digest })))
        }
        (Some(_), Some(_)) => Err(Refusal::UnsupportedAssertionType),
    }
}

#[cfg(test)]
mod tests;
