//! Chance, to keep many sidecars from asking the broker at the same moment.
//! Not for secrets: a small generator (splitmix64) that a test can seed.

use std::time::Duration;

/// A source of chance.
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    /// Dice that fall differently in each process.
    pub(crate) fn thrown() -> Self {
        // Without a random seed all sidecars would only be less spread out.
        Self::seeded(symbolon_jws::random_bytes::<8>().map(u64::from_le_bytes).unwrap_or_default())
    }

    pub(crate) const fn seeded(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A duration between `percent` per cent of `whole` and `whole` itself.
    pub(crate) fn between(&mut self, percent: u32, whole: Duration) -> Duration {
        let least = whole / 100 * percent.min(100);
        let range = u64::try_from(whole.saturating_sub(least).as_millis()).unwrap_or(u64::MAX);
        least + Duration::from_millis(self.roll() % range.saturating_add(1))
    }

    fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_falls_stays_between_the_bounds_and_differs() {
        let mut dice = Dice::seeded(7);
        let falls: Vec<_> = (0..1000).map(|_| dice.between(80, Duration::from_secs(10))).collect();
        assert!(falls.iter().all(|fall| (8..=10).contains(&fall.as_secs())), "{falls:?}");
        assert!(falls.windows(2).any(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn nothing_stays_nothing() {
        assert_eq!(Dice::seeded(1).between(50, Duration::ZERO), Duration::ZERO);
    }
}
