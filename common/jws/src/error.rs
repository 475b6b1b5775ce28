//! Why a compact JWS was refused.
//! Not here: what a refusal means to a caller; `symbolon-token` and `symbolon-proof` map it to reason codes.

use crate::{Algorithm, JwkError, strict_json::StrictJsonError};

/// Why a compact JWS was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// The text is longer than [`MAX_TOKEN_BYTES`](crate::MAX_TOKEN_BYTES); it was not looked at.
    #[error("the token is {length} bytes long, the limit is {}", crate::MAX_TOKEN_BYTES)]
    TooLarge {
        /// Its length in bytes.
        length: usize,
    },
    /// A compact JWS has three parts (RFC 7515 §7.1); a JWE has five.
    #[error("a compact JWS has three parts separated by dots")]
    NotThreeParts,
    /// A part is not canonical base64url.
    #[error("the {part} is not canonical base64url")]
    Encoding {
        /// `header`, `payload` or `signature`.
        part: &'static str,
    },
    /// The header is not a strict JSON object.
    #[error("the header is refused: {0}")]
    Header(#[source] StrictJsonError),
    /// A header member has a wrong type or an impossible value.
    #[error("the header member `{member}` is malformed")]
    HeaderMember {
        /// The member's name.
        member: &'static str,
    },
    /// The header names an algorithm that nobody may use here, such as `none` or `HS256`.
    #[error("the algorithm `{name}` is not supported")]
    UnsupportedAlgorithm {
        /// The beginning of the name, escaped.
        name: String,
    },
    /// The header names another algorithm than that of the key (RFC 8725 §3.1).
    #[error("the token says {found}, its key is for {expected}")]
    AlgorithmMismatch {
        /// The key's algorithm.
        expected: Algorithm,
        /// The header's algorithm.
        found: Algorithm,
    },
    /// The header asks for an extension by `crit`; we implement none (RFC 7515 §4.1.11).
    #[error("the header has critical extensions, none is supported")]
    CriticalExtension,
    /// The header has a member that belongs to another format (`b64`, `enc`, `zip`).
    #[error("the header member `{member}` is not supported")]
    UnsupportedMember {
        /// The member's name.
        member: &'static str,
    },
    /// The header brings or names its own key (`jwk`, `jku`, `x5u`, `x5c`); a key comes from the issuer only (RFC 8725 §3.10).
    #[error("the header brings its own key in `{member}`")]
    KeyInHeader {
        /// The member's name.
        member: &'static str,
    },
    /// The header names another key than the one it is verified with.
    #[error("the header's `kid` is not that of the key")]
    KeyIdMismatch,
    /// A proof carries its public key in `jwk`, and this one does not.
    #[error("the header has no `jwk`")]
    EmbeddedKeyMissing,
    /// The key in `jwk` is refused.
    #[error("the key in the header is refused: {0}")]
    EmbeddedKey(#[source] JwkError),
    /// The signature does not verify.
    #[error("the signature does not verify")]
    BadSignature,
    /// The payload is not strict JSON of the expected form.
    #[error("the payload is refused: {0}")]
    Payload(#[source] StrictJsonError),
}

impl JwsError {
    /// Whether the refusal is a failure of ours; it never is: each follows from the presented bytes.
    #[must_use]
    pub fn is_our_fault(&self) -> bool {
        false
    }
}

/// The beginning of a stranger's text, escaped so that it can stand in a message or log line.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_default).collect()
}
