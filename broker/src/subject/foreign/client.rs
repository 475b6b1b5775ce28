//! What we are for another issuer: a client that authenticates before it may ask.
//! Not here: the question.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use symbolon_config::Secret;
use symbolon_identity::{Audience, ClientId, IdentityError, IssuerUrl, Timestamp, TokenId};
use symbolon_issuers::{Authentication, Credential};
use symbolon_jws::{Algorithm, base64url, random_bytes};
use symbolon_token::{Claims, TokenType, sign};

use crate::config::{ClientAuthentication, IntrospectionConfig};
use crate::keys::SigningRing;
use crate::refusal::Refusal;

/// The life of an assertion; it is used at once.
const LIFETIME: Duration = Duration::from_mins(1);

/// We as a client of one issuer.
#[derive(Debug)]
pub(super) struct OwnClient {
    id: ClientId,
    issuer: Audience,
    proof: Proof,
}

#[derive(Debug)]
enum Proof {
    Key(Arc<SigningRing>),
    Secret(Secret),
}

impl OwnClient {
    /// The client that the configuration names, at this issuer.
    pub(super) fn of(
        config: &IntrospectionConfig,
        issuer: &IssuerUrl,
        keys: &Arc<SigningRing>,
    ) -> Result<Self, IdentityError> {
        let proof = match &config.authentication {
            ClientAuthentication::PrivateKeyJwt => Proof::Key(Arc::clone(keys)),
            ClientAuthentication::ClientSecret(secret) => Proof::Secret(secret.clone()),
        };
        Ok(Self { id: config.client_id.clone(), issuer: Audience::parse(issuer.as_str())?, proof })
    }

    /// What one question is authenticated with.
    ///
    /// # Errors
    /// [`Refusal`] if we cannot sign.
    pub(super) fn authentication(&self, now: Timestamp) -> Result<Authentication<'_>, Refusal> {
        let credential = match &self.proof {
            Proof::Key(keys) => Credential::Assertion(self.assertion(keys, now)?),
            Proof::Secret(secret) => Credential::Secret(SecretString::from(secret.expose())),
        };
        Ok(Authentication { client_id: self.id.as_str(), credential })
    }

    /// RFC 7523 §3, for the issuer alone. `typ` and an `iss` that is not ours keep it from passing for a token.
    fn assertion(&self, keys: &SigningRing, now: Timestamp) -> Result<SecretString, Refusal> {
        let end = now.saturating_add(LIFETIME);
        let id = base64url::encode(random_bytes::<16>()?);
        let claims = Claims {
            issued_at: Some(now),
            // INVARIANT: base64url is printable ASCII, which is all that a token id asks for.
            token_id: Some(TokenId::parse(&id).map_err(|_| symbolon_jws::CryptoError)?),
            ..Claims::new((&self.id).into(), (&self.id).into(), self.issuer.clone(), end)
        };
        let algorithm = Algorithm::Es256;
        let signer = keys.signer(algorithm).ok_or(Refusal::NoSigningKey(algorithm))?;
        let assertion = sign(&claims, TokenType::ClientAuthentication, &signer).map_err(Refusal::Signing)?;
        Ok(SecretString::from(assertion.expose()))
    }
}
