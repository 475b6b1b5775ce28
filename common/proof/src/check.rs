//! Checking a presented proof against the request it came with (RFC 9449 §4.3).
//! Not here: replays ([`ReplayWindow`](crate::ReplayWindow)) and the token's `cnf` (`symbolon-token`).

use std::time::Duration;

use subtle::ConstantTimeEq;
use symbolon_identity::Timestamp;
use symbolon_jws::{Thumbprint, UnverifiedJws, sha256};

use crate::ProofError;
use crate::claims::{PROOF_TYPE, ProofClaims, token_hash};
use crate::target::same_target;

/// The longest proof that is looked at.
pub const MAX_PROOF_BYTES: usize = 8_192;
/// How old a proof may be.
pub const MAX_AGE: Duration = Duration::from_mins(1);
/// How far in the future a proof may have been made, for clocks that differ.
pub const MAX_SKEW: Duration = Duration::from_secs(5);
/// The most bytes of a `jti`.
const MAX_ID_BYTES: usize = 256;

/// What the request says about itself, which the proof must repeat.
#[derive(Debug, Clone, Copy)]
pub struct ProofExpectation<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The absolute URIs under which the request may have been meant; one of them must fit.
    pub targets: &'a [&'a str],
    /// The access token sent with the request. At the token endpoint there is none, and an `ath` is then not looked at.
    pub access_token: Option<&'a str>,
    /// The nonce that the proof must carry, if one was asked for.
    pub nonce: Option<&'a str>,
}

/// A proof that fits its request: the sender holds the key with this thumbprint. Made only by [`check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedProof {
    thumbprint: Thumbprint,
    replay_id: [u8; 32],
    token_hash: Option<[u8; 32]>,
    expires_at: Timestamp,
}

impl CheckedProof {
    /// The thumbprint of the key that made the proof.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// A name of this proof for replay tables: SHA-256 over its key and `jti`, so that a re-signed twin has the same.
    #[must_use]
    pub fn replay_id(&self) -> [u8; 32] {
        self.replay_id
    }

    /// The SHA-256 of the access token that the proof was checked with.
    #[must_use]
    pub fn token_hash(&self) -> Option<[u8; 32]> {
        self.token_hash
    }

    /// The last second in which the proof would pass; replays need to be remembered no longer.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// Checks a proof: its own signature, its type, then method, target, time, token and nonce.
///
/// A proof that passes may still be a replay: ask a [`ReplayWindow`](crate::ReplayWindow) or the store next.
///
/// # Errors
/// [`ProofError`] naming the first thing that does not fit.
pub fn check(
    proof: &str,
    expectation: &ProofExpectation<'_>,
    now: Timestamp,
) -> Result<CheckedProof, ProofError> {
    if proof.len() > MAX_PROOF_BYTES {
        return Err(ProofError::TooLarge { length: proof.len() });
    }
    let (verified, jwk) = UnverifiedJws::parse(proof)?.verify_with_embedded_key()?;
    if verified.header().token_type() != Some(PROOF_TYPE) {
        return Err(ProofError::WrongType);
    }
    let claims: ProofClaims = verified.json()?;
    let issued_at = Timestamp::from_secs_saturating(claims.iat);
    check_time(issued_at, now)?;
    if claims.jti.is_empty() || claims.jti.len() > MAX_ID_BYTES {
        return Err(ProofError::Claim { claim: "jti" });
    }
    if claims.htm != expectation.method {
        return Err(ProofError::WrongMethod);
    }
    if !expectation.targets.iter().any(|target| same_target(&claims.htu, target)) {
        return Err(ProofError::WrongTarget);
    }
    let token_hash = check_token(claims.ath.as_deref(), expectation.access_token)?;
    if let Some(expected) = expectation.nonce
        && !claims.nonce.is_some_and(|nonce| nonce.as_bytes().ct_eq(expected.as_bytes()).into())
    {
        return Err(ProofError::WrongNonce);
    }
    let thumbprint = jwk.thumbprint();
    Ok(CheckedProof {
        thumbprint,
        replay_id: sha256(&[thumbprint.as_bytes(), claims.jti.as_bytes()].concat()),
        token_hash,
        expires_at: issued_at.saturating_add(MAX_AGE),
    })
}

fn check_time(issued_at: Timestamp, now: Timestamp) -> Result<(), ProofError> {
    if issued_at > now.saturating_add(MAX_SKEW) {
        return Err(ProofError::FromTheFuture { issued_at });
    }
    if issued_at.saturating_add(MAX_AGE) < now {
        return Err(ProofError::TooOld { issued_at });
    }
    Ok(())
}

fn check_token(ath: Option<&str>, access_token: Option<&str>) -> Result<Option<[u8; 32]>, ProofError> {
    let Some(access_token) = access_token else { return Ok(None) };
    let (hash, expected) = token_hash(access_token);
    let fits = ath.is_some_and(|ath| ath.as_bytes().ct_eq(expected.as_bytes()).into());
    if fits { Ok(Some(hash)) } else { Err(ProofError::WrongToken) }
}

#[cfg(test)]
mod tests;
