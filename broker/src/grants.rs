//! From a form to what is asked: parse, don't validate.
//! Not here: whether the caller may have it, or who the caller is.

mod client_credentials;

use symbolon_http::server::Peer;
use symbolon_identity::Scopes;
use symbolon_jws::sha256;
use symbolon_token::UnverifiedToken;
use symbolon_wire::{TokenForm, client_assertion_type, grant_type};

use secrecy::ExposeSecret;

use crate::presented::Presented;
use crate::refusal::Refusal;

pub(crate) use client_credentials::Target;

/// A token request that is well formed by its RFC.
#[derive(Debug)]
pub(crate) struct TokenRequest {
    /// Who asks, so far only by its own word.
    pub(crate) client: PresentedClient,
    /// What for.
    pub(crate) target: Target,
    /// Which scopes; none means the resource's default.
    pub(crate) scopes: Option<Scopes>,
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
        match form.grant_type.as_deref() {
            None => return Err(Refusal::Malformed("`grant_type` is missing")),
            Some(grant_type::CLIENT_CREDENTIALS) => {}
            Some(_) => return Err(Refusal::UnsupportedGrantType),
        }
        let on_socket = matches!(presented.connection.peer(), Peer::Unix(_));
        let client = PresentedClient {
            unverified_id: form.client_id.clone(),
            provider: form.trust_provider.clone(),
            credential: credential(form, on_socket)?,
        };
        let (target, scopes) = client_credentials::parse(form)?;
        Ok(Self { client, target, scopes })
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
            Ok(Credential::Assertion(Box::new(Assertion { token, digest: sha256(covered.as_bytes()) })))
        }
        (Some(_), Some(_)) => Err(Refusal::UnsupportedAssertionType),
    }
}

#[cfg(test)]
mod tests;
