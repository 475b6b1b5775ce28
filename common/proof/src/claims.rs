//! The claims of a DPoP proof (RFC 9449 §4.2), made and read in one form.
//! Not here: whether they fit a request.

use serde::{Deserialize, Serialize};

use symbolon_jws::{base64url, sha256};

/// `typ` of a DPoP proof.
pub(crate) const PROOF_TYPE: &str = "dpop+jwt";

#[derive(Serialize, Deserialize)]
pub(crate) struct ProofClaims {
    pub(crate) jti: String,
    pub(crate) htm: String,
    pub(crate) htu: String,
    pub(crate) iat: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ath: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nonce: Option<String>,
}

/// `ath`: the base64url SHA-256 of the access token (RFC 9449 §4.2).
pub(crate) fn token_hash(access_token: &str) -> ([u8; 32], String) {
    let hash = sha256(access_token.as_bytes());
    (hash, base64url::encode(hash))
}
