//! Whom a token is about.
//! Not here: subject and actor tokens of an exchange; there is no such grant yet.

use symbolon_token::Subject;

use crate::attest::Attested;

/// The subject of a token to be, verified. Made only here.
#[derive(Debug)]
pub(crate) struct VerifiedSubject {
    subject: Subject,
}

impl VerifiedSubject {
    /// With client credentials a caller acts for nobody but itself (RFC 9068 §2.2: `sub` is then the client).
    pub(crate) fn of_caller(attested: &Attested) -> Self {
        Self { subject: Subject::from(attested.workload()) }
    }

    /// The `sub`.
    pub(crate) fn as_claim(&self) -> &Subject {
        &self.subject
    }
}
