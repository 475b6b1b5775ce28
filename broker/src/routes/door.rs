//! What all endpoints that take a form do first: limits, then headers, then a body of limited size and time.
//! Not here: what the form means.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, ORIGIN};
use http::{Extensions, HeaderMap, Request};
use secrecy::SecretString;
use symbolon_daemon::Clock;
use symbolon_http::server::ConnectionInfo;
use symbolon_identity::{DecisionId, Origin, Timestamp};
use symbolon_jws::{CryptoError, random_bytes};
use symbolon_wire::{TokenForm, header};
use tokio::time::timeout;

use super::error;
use crate::limits::{Admission, Gate};
use crate::presented::Presented;
use crate::proxies::Proxies;
use crate::refusal::{Refusal, Scheme};

/// The largest body; one assertion of 16 KiB, two tokens, and room for the rest.
const MAX_BODY: usize = 64 * 1024;
/// The longest a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);
/// The longest a whole request may take to be answered.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(15);
const FORM: &str = "application/x-www-form-urlencoded";

/// Lets forms in.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    gate: Arc<Gate>,
    proxies: Arc<Proxies>,
    clock: Arc<dyn Clock>,
}

/// A form that was let in; it counts as under way until this is dropped.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) presented: Presented,
    _admission: Admission,
}

impl Door {
    /// A door with these limits.
    pub(crate) fn new(gate: Arc<Gate>, proxies: Arc<Proxies>, clock: Arc<dyn Clock>) -> Self {
        Self { gate, proxies, clock }
    }

    /// A fresh decision id.
    ///
    /// # Errors
    /// [`CryptoError`] if the random generator fails.
    pub(super) fn next_id(&self) -> Result<DecisionId, CryptoError> {
        let now = Timestamp::from_secs_saturating(self.clock.unix_seconds());
        Ok(DecisionId::new(Origin::Broker, now, random_bytes()?))
    }

    /// Lets a request in under an id of its own.
    ///
    /// # Errors
    /// [`Refusal`] if the limits are reached, or the request is no form.
    pub(super) async fn enter(&self, request: Request<Body>) -> Result<Entered, Refusal> {
        let id = self.next_id()?;
        let connection = connection(request.extensions())?;
        let source = self.source(&connection, request.headers());
        self.enter_as(id, (connection, source), request).await
    }

    /// Lets a request without a body in, on a connection that no proxy stands before.
    ///
    /// # Errors
    /// [`Refusal`] if the limits are reached.
    pub(super) fn admit(&self, connection: &ConnectionInfo) -> Result<Admission, Refusal> {
        self.gate.arrive(connection, None)?.begin()
    }

    /// The address that a request comes from, if that can be told.
    pub(super) fn source(&self, connection: &ConnectionInfo, headers: &HeaderMap) -> Option<IpAddr> {
        self.proxies.source(connection, headers)
    }

    /// Lets a request in under an id that it has already.
    ///
    /// # Errors
    /// As [`Door::enter`].
    pub(super) async fn enter_as(
        &self,
        id: DecisionId,
        (connection, source): (ConnectionInfo, Option<IpAddr>),
        request: Request<Body>,
    ) -> Result<Entered, Refusal> {
        let arrival = self.gate.arrive(&connection, source)?;
        let presented = present(id, (connection, source), request).await?;
        Ok(Entered { presented, _admission: arrival.begin()? })
    }

    /// Waits for an answer, but not for ever.
    ///
    /// # Errors
    /// That of the answer, or [`Refusal::TimedOut`].
    pub(super) async fn in_time<T, E: From<Refusal>>(
        &self,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        timeout(ANSWER_TIME, answer).await.unwrap_or_else(|_| Err(Refusal::TimedOut.into()))
    }
}

/// The answer to any other method than POST.
pub(super) async fn method_not_allowed() -> Response {
    error::method_not_allowed()
}

/// The facts about the connection of a request.
pub(super) fn connection(extensions: &Extensions) -> Result<ConnectionInfo, Refusal> {
    let known = extensions.get::<ConnectionInfo>().cloned();
    known.ok_or(Refusal::Malformed("the connection is not known"))
}

async fn present(
    id: DecisionId,
    (connection, source): (ConnectionInfo, Option<IpAddr>),
    request: Request<Body>,
) -> Result<Presented, Refusal> {
    let (head, body) = request.into_parts();
    if head.uri.query().is_some() {
        return Err(Refusal::Malformed("parameters belong in the body"));
    }
    check_headers(&head.headers)?;
    let proof = proof(&head.headers)?;
    let body = match timeout(BODY_TIME, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) if is_too_large(&error) => return Err(Refusal::TooLarge),
        Ok(Err(_)) | Err(_) => return Err(Refusal::Malformed("the body did not arrive")),
    };
    Ok(Presented { id, form: TokenForm::parse(&body)?, connection, source, proof })
}

fn check_headers(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(ORIGIN) {
        return Err(Refusal::OriginNotAllowed);
    }
    if let Some(value) = headers.get(AUTHORIZATION) {
        return Err(Refusal::AuthorizationHeader(Scheme::of(value.as_bytes())));
    }
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(Refusal::Malformed("the body is encoded"));
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case(FORM) { Ok(()) } else { Err(Refusal::Malformed("the body is not a form")) }
}

/// RFC 9449 §4.3: exactly one header, if any.
fn proof(headers: &HeaderMap) -> Result<Option<SecretString>, Refusal> {
    let mut proofs = headers.get_all(header::DPOP).iter();
    match (proofs.next(), proofs.next()) {
        (None, _) => Ok(None),
        (Some(proof), None) => {
            let text = proof.to_str().map_err(|_| Refusal::ProofHeader)?;
            Ok(Some(SecretString::from(text)))
        }
        (Some(_), Some(_)) => Err(Refusal::ProofHeader),
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        source = error.source();
    }
    false
}
