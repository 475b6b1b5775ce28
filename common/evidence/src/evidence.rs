//! What was collected: perhaps an assertion to send, perhaps only the connection itself.
//! It is not proof of anything: the broker attests it, nobody here does.

use secrecy::{ExposeSecret, SecretString};
use symbolon_identity::{ProviderName, Timestamp};

use crate::UnverifiedClaims;

/// The kind of a client assertion (RFC 7521 §4.2); its name on the wire is the sender's matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssertionType {
    /// A JWT that the platform signed (RFC 7523 §2.2).
    JwtBearer,
}

/// A signed statement of the platform, sent to the broker as client authentication.
#[derive(Debug)]
pub struct Assertion {
    kind: AssertionType,
    secret: SecretString,
}

impl Assertion {
    pub(crate) const fn new(kind: AssertionType, secret: SecretString) -> Self {
        Self { kind, secret }
    }

    /// What kind of assertion this is.
    #[must_use]
    pub const fn kind(&self) -> AssertionType {
        self.kind
    }

    /// The assertion itself, for the request to the broker and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.secret.expose_secret()
    }
}

/// Evidence of who this workload is, collected just now.
#[derive(Debug)]
pub struct Evidence {
    assertion: Option<Assertion>,
    trust_provider: Option<ProviderName>,
    written_at: Option<Timestamp>,
    unverified_claims: Option<UnverifiedClaims>,
}

impl Evidence {
    /// Evidence that consists of the connection to the broker's Unix socket.
    pub(crate) const fn connection(trust_provider: Option<ProviderName>) -> Self {
        Self { assertion: None, trust_provider, written_at: None, unverified_claims: None }
    }

    /// Evidence that is an assertion to send.
    pub(crate) const fn asserted(assertion: Assertion, trust_provider: Option<ProviderName>) -> Self {
        Self { assertion: Some(assertion), trust_provider, written_at: None, unverified_claims: None }
    }

    /// The same, last written at this time.
    pub(crate) fn written_at_time(self, written_at: Option<Timestamp>) -> Self {
        Self { written_at, ..self }
    }

    /// The same, saying this about itself.
    pub(crate) fn saying(self, unverified_claims: Option<UnverifiedClaims>) -> Self {
        Self { unverified_claims, ..self }
    }

    /// The assertion to send; none where the connection is the evidence.
    #[must_use]
    pub const fn assertion(&self) -> Option<&Assertion> {
        self.assertion.as_ref()
    }

    /// Which of several providers of the same issuer is meant; the broker refuses a wrong name.
    #[must_use]
    pub const fn trust_provider(&self) -> Option<&ProviderName> {
        self.trust_provider.as_ref()
    }

    /// When the platform last wrote this evidence, where that can be known: its age is a sign of health.
    #[must_use]
    pub const fn written_at(&self) -> Option<Timestamp> {
        self.written_at
    }

    /// What the assertion says about itself, for display and metrics and never for a decision.
    #[must_use]
    pub const fn unverified_claims(&self) -> Option<&UnverifiedClaims> {
        self.unverified_claims.as_ref()
    }
}
