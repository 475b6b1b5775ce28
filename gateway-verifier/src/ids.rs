//! Ids of requests and decisions.
//! Not secrets, but a stranger must not guess the id of another's decision.

use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;
use symbolon_identity::{DecisionId, Origin, Timestamp};

/// Makes the ids of one process.
#[derive(Debug)]
pub struct Ids {
    process: u64,
    next: AtomicU64,
}

/// The random generator of the operating system failed.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random bytes")]
pub struct NoRandomness;

impl Ids {
    /// Starts a series that no other process shares.
    ///
    /// # Errors
    /// [`NoRandomness`] if the operating system gives none.
    pub fn start() -> Result<Self, NoRandomness> {
        let mut seed = [0_u8; 16];
        getrandom::fill(&mut seed).map_err(|_| NoRandomness)?;
        let seed = u128::from_le_bytes(seed);
        let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
        Ok(Self { process: half(seed), next: AtomicU64::new(half(seed >> 64)) })
    }

    /// The id of a forwarded request: unique, without a system call.
    #[must_use]
    pub fn request(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut text = [b'0'; 32];
        for (place, half) in text.chunks_exact_mut(16).zip([self.process, scatter(number)]) {
            for (index, digit) in place.iter_mut().rev().enumerate() {
                let nibble =
                    index.checked_mul(4).and_then(|shift| half.checked_shr(u32::try_from(shift).ok()?));
                *digit = hex(nibble.unwrap_or_default());
            }
        }
        HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("0"))
    }

    /// The id of a recorded decision; random, so that it cannot be guessed.
    #[must_use]
    pub fn decision(&self, now: Timestamp) -> DecisionId {
        let mut random = [0_u8; 10];
        if getrandom::fill(&mut random).is_err() {
            // A decision without an id would be worse than one with an id that can be guessed.
            let number = scatter(self.next.fetch_add(1, Ordering::Relaxed)).to_be_bytes();
            random.iter_mut().zip(number).for_each(|(place, byte)| *place = byte);
        }
        DecisionId::new(Origin::Gateway, now, random)
    }
}

/// The finaliser of splitmix64: one to one, so that numbers in a row stay different and look unrelated.
fn scatter(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn hex(nibble: u64) -> u8 {
    b"0123456789abcdef".get(usize::try_from(nibble & 15).unwrap_or_default()).copied().unwrap_or(b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_distinct_and_plain() {
        let ids = Ids::start().unwrap();
        let made: std::collections::BTreeSet<_> =
            (0..1_000).map(|_| ids.request().to_str().unwrap().to_owned()).collect();
        assert_eq!(made.len(), 1_000);
        assert!(made.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
        let now = Timestamp::from_secs(1_800_000_000).unwrap();
        assert_ne!(ids.decision(now), ids.decision(now));
        assert!(ids.decision(now).as_str().starts_with("g-"));
    }
}
