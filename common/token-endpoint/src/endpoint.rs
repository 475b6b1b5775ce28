//! Asking for a token: evidence and proof in, an answer out.
//! Not here: when to ask, and what to do with the answer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use symbolon_evidence::{AssertionType, Evidence, EvidenceError, Source};
use symbolon_http::client::{AddressPolicy, ClientError, ClientSetupError, Fetched, GuardedClient};
use symbolon_identity::{IssuerUrl, Scopes, Timestamp};
use symbolon_proof::{ProofKey, ProofKeyError, ProofRequest};
use symbolon_wire::{client_assertion_type, grant_type, header, paths};
use url::Url;

/// The broker's answers are small.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// How the broker is reached.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its issuer URL. The token endpoint is `<url>/oauth2/token`.
    pub issuer: IssuerUrl,
    /// Its attestation socket on this machine, if all requests go over it.
    pub socket: Option<PathBuf>,
    /// The only certificate authorities (PEM) that may vouch for it; without it, the public ones.
    pub ca_file: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
}

/// The token endpoint of one broker, asked by who holds a key.
#[derive(Debug)]
pub struct TokenEndpoint {
    client: GuardedClient,
    url: Url,
    source: Source,
    timeout: Duration,
    key: Arc<ProofKey>,
}

/// Why the broker cannot even be asked.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The HTTP client cannot be made.
    #[error("cannot set up the connection to the broker")]
    Client(#[from] ClientSetupError),
    /// The URL of the token endpoint is none.
    #[error("`{url}` is no URL of a token endpoint")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        #[source]
        source: url::ParseError,
    },
}

/// Why one question was not put, or got no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There is no evidence.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The evidence could not be collected in time.
    #[error("the evidence could not be collected in time")]
    EvidenceTimedOut,
    /// No proof could be made.
    #[error(transparent)]
    Proof(#[from] ProofKeyError),
    /// The proof cannot stand in a header.
    #[error("the proof cannot be sent")]
    NotAHeader,
    /// The broker could not be reached, or gave no whole answer.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl TokenEndpoint {
    /// The token endpoint of a broker. It is not called yet.
    ///
    /// # Errors
    /// The CA file cannot be used, or the URL is none.
    pub fn new(place: &Place, source: Source, key: Arc<ProofKey>) -> Result<Self, SetupError> {
        let url = place.issuer.join(paths::TOKEN);
        let url = Url::parse(&url).map_err(|source| SetupError::Url { url, source })?;
        let client = client(place, place.timeout, MAX_ANSWER_BYTES)?;
        Ok(Self { client, url, source, timeout: place.timeout, key })
    }

    /// Collects the evidence, if the platform hands it over in time.
    ///
    /// # Errors
    /// [`AskError`] if there is none.
    pub async fn evidence(&self) -> Result<Evidence, AskError> {
        let collected = tokio::time::timeout(self.timeout, self.source.collect()).await;
        Ok(collected.map_err(|_| AskError::EvidenceTimedOut)??)
    }

    /// Asks once for a token for `resource` (RFC 6749 §4.4.2, RFC 8707 §2, RFC 7521 §4.2).
    ///
    /// # Errors
    /// [`AskError`] if there is no answer. An answer of any status is one.
    pub async fn ask(
        &self,
        resource: &str,
        scopes: &Scopes,
        evidence: &Evidence,
        now: Timestamp,
    ) -> Result<Fetched, AskError> {
        // A proof for the advertised endpoint, whichever way the request goes (RFC 9449 §5).
        let request =
            ProofRequest { method: "POST", target_uri: self.url.as_str(), access_token: None, nonce: None };
        let proof = proof_header(&self.key, &request, now)?;
        Ok(self.client.post_form(&self.url, &form(resource, scopes, evidence), proof).await?)
    }
}

impl Place {
    /// A client for other requests to the same broker, which may take longer or answer more.
    ///
    /// # Errors
    /// The CA file cannot be used.
    pub fn client(&self, timeout: Duration, max_body: usize) -> Result<GuardedClient, ClientSetupError> {
        client(self, timeout, max_body)
    }
}

fn client(place: &Place, timeout: Duration, max_body: usize) -> Result<GuardedClient, ClientSetupError> {
    let addresses = AddressPolicy::public().allow_loopback().allow_private();
    let mut client = GuardedClient::builder().addresses(addresses).timeout(timeout).max_body(max_body);
    if let Some(path) = &place.ca_file {
        client = client.ca_file(path);
    }
    if let Some(path) = &place.socket {
        client = client.unix_socket(path);
    }
    client.build()
}

/// The `DPoP` header of a request.
///
/// # Errors
/// [`AskError`] if no proof can be made.
pub fn proof_header(
    key: &ProofKey,
    request: &ProofRequest<'_>,
    now: Timestamp,
) -> Result<HeaderMap, AskError> {
    let proof = HeaderValue::try_from(key.prove(request, now)?).map_err(|_| AskError::NotAHeader)?;
    Ok(HeaderMap::from_iter([(HeaderName::from_static(header::DPOP), proof)]))
}

fn form<'a>(resource: &'a str, scopes: &'a Scopes, evidence: &'a Evidence) -> Vec<(&'a str, &'a str)> {
    let mut pairs = vec![("grant_type", grant_type::CLIENT_CREDENTIALS), ("resource", resource)];
    if !scopes.is_empty() {
        pairs.push(("scope", scopes.as_str()));
    }
    if let Some(assertion) = evidence.assertion() {
        let kind = match assertion.kind() {
            AssertionType::JwtBearer => client_assertion_type::JWT_BEARER,
        };
        pairs.push(("client_assertion_type", kind));
        pairs.push(("client_assertion", assertion.expose()));
    }
    if let Some(provider) = evidence.trust_provider() {
        pairs.push(("trust_provider", provider.as_str()));
    }
    pairs
}
