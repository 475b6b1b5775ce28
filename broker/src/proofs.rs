//! Proof of possession at the token endpoint (RFC 9449 §5).
//! Not here: replays. A proof that passes is used up in the same commit as the answer it leads to.

use secrecy::ExposeSecret;
use symbolon_identity::Timestamp;
use symbolon_jws::Thumbprint;
use symbolon_proof::{CheckedProof, ProofExpectation};

use crate::presented::Presented;
use crate::refusal::Refusal;
use crate::store::Use;

/// Checks proofs for one token endpoint.
#[derive(Debug)]
pub(crate) struct Proofs {
    token_endpoint: String,
}

/// A key that the caller holds now; made only by [`Proofs::check`].
#[derive(Debug)]
pub(crate) struct ProvedKey {
    proof: CheckedProof,
}

impl Proofs {
    /// Takes proofs for this endpoint: the advertised one, also on the Unix socket, which has no URL of its own.
    pub(crate) fn new(token_endpoint: String) -> Self {
        Self { token_endpoint }
    }

    /// The key that the caller proves, if it sent a proof.
    ///
    /// # Errors
    /// [`Refusal::Proof`] if what it sent does not prove a key.
    pub(crate) fn check(&self, presented: &Presented, now: Timestamp) -> Result<Option<ProvedKey>, Refusal> {
        let Some(proof) = &presented.proof else { return Ok(None) };
        let expectation = ProofExpectation {
            method: "POST",
            targets: &[&self.token_endpoint],
            access_token: None,
            nonce: None,
        };
        let proof =
            symbolon_proof::check(proof.expose_secret(), &expectation, now).map_err(Refusal::Proof)?;
        Ok(Some(ProvedKey { proof }))
    }
}

impl ProvedKey {
    /// The key's thumbprint.
    pub(crate) fn thumbprint(&self) -> Thumbprint {
        self.proof.thumbprint()
    }

    /// The proof as something that is used up.
    pub(crate) fn once(&self) -> Use {
        Use::Proof {
            digest: symbolon_jws::sha256(&[b"proof\0".as_slice(), &self.proof.replay_id()].concat()),
            expires_at: self.proof.expires_at(),
        }
    }
}
