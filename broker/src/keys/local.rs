//! Making signing keys on this machine.
//! The one place that generates keys; josekit makes them, our own code signs with them.

use std::fmt;

use josekit::JoseError;
use josekit::jwk::{Ed25519, Jwk, P_256};
use symbolon_jws::{Algorithm, SigningKey, SigningKeyError};
use zeroize::Zeroizing;

/// A key signs for a day or so and its tokens live for minutes: more bits would cost every signature and buy nothing.
const RSA_BITS: u32 = 2048;

/// A new key and its private JWK, to be sealed.
pub(super) struct Generated {
    pub(super) key: SigningKey,
    pub(super) private: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Generated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generated").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GenerateError {
    /// The generator failed.
    #[error("the key generator failed")]
    Generator(#[from] JoseError),
    /// It made nothing that we sign with.
    #[error("the key generator made no usable key")]
    Unusable(#[from] SigningKeyError),
    /// No token is signed with this algorithm.
    #[error("keys for {0} are not made here")]
    NotOffered(Algorithm),
}

/// A new key. One for RSA takes a tenth of a second or several: not on a thread that serves requests.
pub(super) fn generate(algorithm: Algorithm) -> Result<Generated, GenerateError> {
    let mut jwk = match algorithm {
        Algorithm::Es256 => Jwk::generate_ec_key(P_256)?,
        Algorithm::EdDsa => Jwk::generate_ed_key(Ed25519)?,
        Algorithm::Rs256 | Algorithm::Ps256 => Jwk::generate_rsa_key(RSA_BITS)?,
        Algorithm::Es384
        | Algorithm::Es512
        | Algorithm::Rs384
        | Algorithm::Rs512
        | Algorithm::Ps384
        | Algorithm::Ps512 => return Err(GenerateError::NotOffered(algorithm)),
    };
    jwk.set_algorithm(algorithm.as_str());
    let private = Zeroizing::new(jwk.to_string().into_bytes());
    let key = SigningKey::from_private_jwk(&private)?;
    Ok(Generated { key, private })
}

#[cfg(test)]
mod tests {
    use symbolon_jws::{SigningHeader, UnverifiedJws};

    use super::*;

    #[test]
    fn a_generated_key_signs_and_can_be_read_back() {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Ps256] {
            let generated = generate(algorithm).unwrap();
            let again = SigningKey::from_private_jwk(&generated.private).unwrap();
            assert_eq!(again.thumbprint(), generated.key.thumbprint());
            assert_eq!(again.key_id(), generated.key.thumbprint().to_string());
            assert_eq!(again.algorithm(), algorithm);
            let token = again.sign(&SigningHeader::typed("at+jwt"), b"{}").unwrap();
            UnverifiedJws::parse(&token).unwrap().verify(generated.key.verifying_key()).unwrap();
            assert!(!format!("{generated:?}").contains("private"), "{generated:?}");
        }
    }

    #[test]
    fn keys_that_no_resource_can_ask_for_are_not_made() {
        assert!(matches!(generate(Algorithm::Es512), Err(GenerateError::NotOffered(Algorithm::Es512))));
    }
}
