//! Making signing keys on this machine.
//! The one place that generates keys; josekit makes them, our own code signs with them.

use josekit::JoseError;
use josekit::jwk::{Jwk, P_256};
use symbolon_jws::SigningKey;
use zeroize::Zeroizing;

use super::BadKey;

/// A new key and its private JWK, to be sealed.
#[derive(Debug)]
pub(super) struct Generated {
    pub(super) key: SigningKey,
    pub(super) private: Zeroizing<Vec<u8>>,
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GenerateError {
    /// The generator failed.
    #[error("the key generator failed")]
    Generator(#[from] JoseError),
    /// It made nothing that we sign with.
    #[error("the key generator made no usable key")]
    Unusable(#[from] BadKey),
}

/// A new ES256 key.
pub(super) fn generate() -> Result<Generated, GenerateError> {
    let private = Zeroizing::new(Jwk::generate_ec_key(P_256)?.to_string().into_bytes());
    let key = SigningKey::from_private_jwk(&private)?;
    Ok(Generated { key, private })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_signs_and_can_be_read_back() {
        let generated = generate().unwrap();
        let again = SigningKey::from_private_jwk(&generated.private).unwrap();
        assert_eq!(again.thumbprint(), generated.key.thumbprint());
        assert_eq!(generated.key.algorithm().as_str(), "ES256");
    }
}
