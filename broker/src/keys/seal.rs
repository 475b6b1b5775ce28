//! How signing keys rest: each sealed as a JWE by a key file or a passphrase.
//! Sealed things come from our own store only; nothing that a caller presents is ever opened here.

use std::fmt;

use josekit::jwe::{self, Dir, JweDecrypter, JweEncrypter, JweHeader, PBES2_HS512_A256KW};
use symbolon_config::Secret;
use symbolon_jws::base64url;
use zeroize::Zeroizing;

/// PBKDF2 rounds for a passphrase; josekit opens up to a million.
const ROUNDS: usize = 210_000;
const SALT_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
const LEAST_PASSPHRASE: usize = 16;
const ENCRYPTION: &str = "A256GCM";

/// What seals the signing keys.
pub(crate) enum Seal {
    /// 32 random bytes (JWE `dir`).
    Key(Zeroizing<[u8; KEY_BYTES]>),
    /// A passphrase (JWE `PBES2-HS512+A256KW`).
    Passphrase(Zeroizing<Vec<u8>>),
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Seal::Key([redacted])",
            Self::Passphrase(_) => "Seal::Passphrase([redacted])",
        })
    }
}

/// Why something cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    /// The sealing key is not 32 bytes.
    #[error("the sealing key is not 32 bytes in base64url or hexadecimal")]
    NotAKey,
    /// The passphrase is too short to keep anybody out.
    #[error("the sealing passphrase is shorter than {LEAST_PASSPHRASE} characters")]
    ShortPassphrase,
    /// It was sealed by another key or passphrase, or it was altered.
    #[error("it does not open: the sealing key or passphrase is another one, or the store was altered")]
    DoesNotOpen,
    /// The sealing itself failed.
    #[error("it could not be sealed")]
    Failed,
}

impl Seal {
    /// The seal of a key file's text.
    ///
    /// # Errors
    /// [`SealError::NotAKey`].
    pub(crate) fn from_key(text: &Secret) -> Result<Self, SealError> {
        let text = text.expose().trim();
        let decoded = if text.len() == 2 * KEY_BYTES { unhex(text) } else { unbase64(text) };
        let bytes = Zeroizing::new(decoded.ok_or(SealError::NotAKey)?);
        let key = <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).map_err(|_| SealError::NotAKey)?;
        Ok(Self::Key(Zeroizing::new(key)))
    }

    /// The seal of a passphrase.
    ///
    /// # Errors
    /// [`SealError::ShortPassphrase`].
    pub(crate) fn from_passphrase(text: &Secret) -> Result<Self, SealError> {
        let text = text.expose().trim_end_matches(['\r', '\n']);
        if text.chars().count() < LEAST_PASSPHRASE {
            return Err(SealError::ShortPassphrase);
        }
        Ok(Self::Passphrase(Zeroizing::new(text.as_bytes().to_vec())))
    }

    /// Seals `content` as a compact JWE.
    pub(super) fn seal(&self, content: &[u8]) -> Result<String, SealError> {
        let mut header = JweHeader::new();
        header.set_content_encryption(ENCRYPTION);
        let encrypter = self.encrypter().map_err(|_| SealError::Failed)?;
        jwe::serialize_compact(content, &header, &*encrypter).map_err(|_| SealError::Failed)
    }

    /// Opens what [`Seal::seal`] made.
    pub(super) fn open(&self, sealed: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let decrypter = self.decrypter().map_err(|_| SealError::DoesNotOpen)?;
        match jwe::deserialize_compact(sealed, &*decrypter) {
            Ok((content, _)) => Ok(Zeroizing::new(content)),
            Err(_) => Err(SealError::DoesNotOpen),
        }
    }

    fn encrypter(&self) -> Result<Box<dyn JweEncrypter>, josekit::JoseError> {
        Ok(match self {
            Self::Key(key) => Box::new(Dir.encrypter_from_bytes(key.as_slice())?),
            Self::Passphrase(passphrase) => {
                let mut encrypter = PBES2_HS512_A256KW.encrypter_from_bytes(passphrase.as_slice())?;
                encrypter.set_iter_count(ROUNDS);
                encrypter.set_salt_len(SALT_BYTES);
                Box::new(encrypter)
            }
        })
    }

    fn decrypter(&self) -> Result<Box<dyn JweDecrypter>, josekit::JoseError> {
        Ok(match self {
            Self::Key(key) => Box::new(Dir.decrypter_from_bytes(key.as_slice())?),
            Self::Passphrase(passphrase) => {
                Box::new(PBES2_HS512_A256KW.decrypter_from_bytes(passphrase.as_slice())?)
            }
        })
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let byte = |pair: &[u32]| match pair {
        [high, low] => u8::try_from(high << 4 | low).ok(),
        _ => None,
    };
    digits?.chunks(2).map(byte).collect()
}

/// Both alphabets, with or without padding: people make key files with `openssl rand -base64 32`.
fn unbase64(text: &str) -> Option<Vec<u8>> {
    let url: String = text
        .trim_end_matches('=')
        .chars()
        .map(|digit| match digit {
            '+' => '-',
            '/' => '_',
            other => other,
        })
        .collect();
    base64url::decode(&url).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(fill: u8) -> Seal {
        Seal::from_key(&Secret::from(base64url::encode([fill; 32]))).unwrap()
    }

    #[test]
    fn what_one_key_sealed_only_that_key_opens() {
        let sealed = key(1).seal(b"content").unwrap();
        assert_eq!(key(1).open(&sealed).unwrap().as_slice(), b"content");
        assert_eq!(key(2).open(&sealed).unwrap_err(), SealError::DoesNotOpen);
        assert!(!sealed.contains("content"));
    }

    #[test]
    fn a_passphrase_seals_too_and_a_key_does_not_open_it() {
        let phrase = |text: &str| Seal::from_passphrase(&Secret::from(text.to_owned()));
        let sealed = phrase("correct horse battery\n").unwrap().seal(b"content").unwrap();
        assert_eq!(phrase("correct horse battery").unwrap().open(&sealed).unwrap().as_slice(), b"content");
        assert!(phrase("incorrect horse battery").unwrap().open(&sealed).is_err());
        assert!(key(1).open(&sealed).is_err());
        assert_eq!(phrase("short").unwrap_err(), SealError::ShortPassphrase);
    }

    #[test]
    fn an_altered_seal_does_not_open() {
        let sealed = key(1).seal(b"content").unwrap();
        for place in [sealed.len() - 3, sealed.len() / 2, 3] {
            let mut altered = sealed.clone().into_bytes();
            altered[place] = if altered[place] == b'A' { b'B' } else { b'A' };
            assert!(key(1).open(&String::from_utf8(altered).unwrap()).is_err(), "{place}");
        }
    }

    #[test]
    fn a_key_file_is_32_bytes_in_a_common_spelling() {
        for good in
            ["ab".repeat(32), format!("{}\n", base64url::encode([7; 32])), format!("{}=", "A".repeat(43))]
        {
            assert!(Seal::from_key(&Secret::from(good.clone())).is_ok(), "{good}");
        }
        for bad in ["", "abc", &"zz".repeat(32), &"A".repeat(42), &"A".repeat(100)] {
            assert_eq!(
                Seal::from_key(&Secret::from(bad.to_owned())).unwrap_err(),
                SealError::NotAKey,
                "{bad}"
            );
        }
    }
}
