//! Base64url without padding (RFC 7515 §2), canonical: each value has exactly one spelling.
//! Not here: the standard alphabet, padding, line breaks; they are refused.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A text that is not canonical base64url: another alphabet, padding, white space, an impossible length or trailing bits that are not zero.
///
/// A second spelling of the same bytes would be a second hash of the same token (RFC 4648 §3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not canonical base64url")]
pub struct NotCanonical;

/// The base64url text of `bytes`.
#[must_use]
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a canonical base64url text.
///
/// # Errors
/// [`NotCanonical`] for any other spelling.
pub fn decode(text: &str) -> Result<Vec<u8>, NotCanonical> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| NotCanonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7515 Appendix C.
    #[test]
    fn the_example_of_rfc_7515_appendix_c_is_met() {
        assert_eq!(encode([3, 236, 255, 224, 193]), "A-z_4ME");
        assert_eq!(decode("A-z_4ME").unwrap(), [3, 236, 255, 224, 193]);
    }

    #[test]
    fn j19_second_spellings_are_refused() {
        let cases = [
            ("padding", "A-z_4ME="),
            ("padding of a short text", "Zg=="),
            ("standard alphabet", "A+z/4ME"),
            ("white space inside", "A-z_ 4ME"),
            ("line break at the end", "A-z_4ME\n"),
            ("NUL", "A-z_4ME\0"),
            ("trailing bits, two digits", "Zh"),
            ("trailing bits, three digits", "A-z_4MF"),
            ("length 1 mod 4", "A-z_4MEAA"),
            ("one digit", "A"),
            ("not ASCII", "A-z_4MÉ"),
        ];
        for (what, text) in cases {
            assert_eq!(decode(text), Err(NotCanonical), "{what}");
        }
    }
}
