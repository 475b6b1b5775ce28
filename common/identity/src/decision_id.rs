//! The id under which a decision can be looked up.
//! Not here: the decision.

use std::sync::Arc;

use crate::text::{bounded, text_impls};
use crate::{IdentityError, Timestamp};

/// Which program decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The broker: ids start with `b-`.
    Broker,
    /// The gateway verifier: ids start with `g-`.
    Gateway,
}

/// The id of one decision: `b-` or `g-` and 26 characters of Crockford's base 32 that sort by time.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DecisionId(Arc<str>);

const KIND: &str = "decision id";
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const DIGITS: usize = 26;

impl DecisionId {
    /// The id of a decision taken at `now`; `random` keeps ids of one second apart and must not be guessable.
    #[must_use]
    pub fn new(origin: Origin, now: Timestamp, random: [u8; 10]) -> Self {
        let mut bytes = [0_u8; 16];
        let (time, chance) = bytes.split_at_mut(6);
        let seconds = now.as_secs().to_be_bytes();
        time.copy_from_slice(seconds.split_at(2).1);
        chance.copy_from_slice(&random);
        let mut number = u128::from_be_bytes(bytes);
        let mut digits = [b'0'; DIGITS];
        for digit in digits.iter_mut().rev() {
            let index = usize::try_from(number & 31).unwrap_or_default();
            *digit = ALPHABET.get(index).copied().unwrap_or(b'0');
            number >>= 5;
        }
        let prefix = match origin {
            Origin::Broker => "b-",
            Origin::Gateway => "g-",
        };
        let text: String = prefix.chars().chain(digits.into_iter().map(char::from)).collect();
        Self(text.into())
    }

    /// Parses an id that a person pasted or a program sent.
    ///
    /// # Errors
    /// [`IdentityError`] if it is not `b-` or `g-` and 26 characters of the alphabet.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        bounded(KIND, text, 2 + DIGITS)?;
        let digits = text.strip_prefix("b-").or_else(|| text.strip_prefix("g-"));
        match digits {
            Some(digits) if digits.len() == DIGITS && digits.bytes().all(|byte| ALPHABET.contains(&byte)) => {
                Ok(Self(text.into()))
            }
            _ => Err(IdentityError::form(KIND, text, "it is `b-` or `g-` and 26 characters")),
        }
    }

    /// The program that decided.
    #[must_use]
    pub fn origin(&self) -> Origin {
        if self.0.starts_with("b-") { Origin::Broker } else { Origin::Gateway }
    }

    /// The whole id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_impls!(DecisionId, "decision id");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_and_sorts_by_time() {
        let at =
            |seconds| DecisionId::new(Origin::Broker, Timestamp::from_secs(seconds).unwrap(), [0xA5; 10]);
        let (early, late) = (at(1_700_000_000), at(1_700_000_001));
        assert!(early < late);
        assert_eq!(DecisionId::parse(early.as_str()).unwrap(), early);
        assert_eq!(early.origin(), Origin::Broker);
        assert_eq!(early.as_str().len(), 28);
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in ["", "b-", "x-00000000000000000000000000", "b-0000000000000000000000000U", "g-1/../2"] {
            assert!(DecisionId::parse(bad).is_err(), "{bad}");
        }
    }
}
