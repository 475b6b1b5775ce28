//! A request that may leave: it has its credential, and a proof that was made for it alone.
//! The only way to forward anything, and made only from a credential that can be used now.

use std::fmt;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, response};
use symbolon_http::forward::{Cleared, Kept, TrailerFilter, Upstream};
use symbolon_http::streams::Guard;
use symbolon_proof::{ProofKey, ProofKeyError, ProofRequest};
use symbolon_wire::{TokenType, header};

use crate::credentials::Credential;
use crate::renewals::{Renewals, StreamId};
use crate::settings::Target;
use crate::time::Now;

const DPOP: HeaderName = HeaderName::from_static(header::DPOP);

/// The right to send one request to one target.
pub(crate) struct Armed {
    target: Arc<Target>,
    authorization: HeaderValue,
    proof: Option<HeaderValue>,
    renewable: Renewable,
}

/// What is needed to keep a stream that may come of a request.
struct Renewable {
    credential: Arc<Credential>,
    renewals: Arc<Renewals>,
    id: Option<StreamId>,
}

/// Why a request could not be armed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArmError {
    /// The key failed.
    #[error(transparent)]
    Proof(#[from] ProofKeyError),
    /// The credential or the proof cannot stand in a header.
    #[error("the credential cannot be sent")]
    NotAHeader,
}

impl Armed {
    /// Puts credential and proof together for the request of this head (RFC 9449 §7.1, RFC 6750 §2.1).
    pub(crate) fn new(
        credential: &Arc<Credential>,
        renewals: &Arc<Renewals>,
        (key, target): (&ProofKey, &Arc<Target>),
        head: &Parts,
        now: Now,
    ) -> Result<Self, ArmError> {
        let scheme = credential.scheme();
        let proof = match scheme {
            TokenType::Bearer => None,
            TokenType::Dpop => {
                let request = ProofRequest {
                    method: head.method.as_str(),
                    target_uri: &target.proof_uri(head.uri.path()),
                    access_token: Some(credential.expose()),
                    nonce: None,
                };
                Some(secret_header(key.prove(&request, now.wall)?)?)
            }
        };
        let authorization = secret_header(format!("{} {}", scheme.scheme(), credential.expose()))?;
        let renewable =
            Renewable { credential: Arc::clone(credential), renewals: Arc::clone(renewals), id: None };
        Ok(Self { target: Arc::clone(target), authorization, proof, renewable })
    }
}

/// A value that hyper keeps out of its own logs and out of compression tables.
fn secret_header(text: String) -> Result<HeaderValue, ArmError> {
    let mut value = HeaderValue::try_from(text).map_err(|_| ArmError::NotAHeader)?;
    value.set_sensitive(true);
    Ok(value)
}

impl Cleared for Armed {
    fn upstream(&self) -> &Upstream {
        self.target.origin()
    }

    fn edit_request(&self, headers: &mut HeaderMap) {
        remove_credentials(headers);
        headers.insert(AUTHORIZATION, self.authorization.clone());
        if let Some(proof) = &self.proof {
            headers.insert(DPOP, proof.clone());
        }
    }

    /// The app's trailers pass but for credentials, as its header fields do.
    fn trailer_filter(&self) -> Option<TrailerFilter> {
        Some(remove_credentials)
    }

    fn edit_response(&mut self, headers: &mut HeaderMap) {
        // An API that echoes what it was sent does not get it through to the app.
        headers.remove(DPOP);
        self.renewable.id = StreamId::take(headers);
    }

    /// The app waits for itself, and the call ends with it.
    fn may_wait(&self) -> bool {
        true
    }

    fn opened(&mut self, _guard: Option<&Guard>, _answer: &mut response::Parts) -> Option<Kept> {
        let Renewable { credential, renewals, id } = &mut self.renewable;
        let open = renewals.open(id.take()?, Arc::clone(credential));
        Some(Box::new(open))
    }
}

/// Whether the app sent a credential of its own.
pub(crate) fn has_credentials(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION) || headers.contains_key(DPOP)
}

fn remove_credentials(headers: &mut HeaderMap) {
    headers.remove(AUTHORIZATION);
    headers.remove(DPOP);
}

impl fmt::Debug for Armed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Armed").field("target", &self.target).finish_non_exhaustive()
    }
}
