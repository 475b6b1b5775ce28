//! Whether the clock goes on or has jumped: what was used must not be forgotten because a clock was set.
//! Not here: forgetting.

use std::time::Duration;

use symbolon_identity::Timestamp;
use tokio::time::Instant;

/// So far ahead of the steady clock the clock may be.
const AHEAD: Duration = Duration::from_mins(2);
/// So many looks in a row at a clock that is ahead, and it is believed: the machine may have slept.
const BELIEVED: u32 = 30;

/// Compares the clock with the steady clock, which cannot be set.
#[derive(Debug)]
pub(super) struct Pace {
    wall: Timestamp,
    steady: Instant,
    ahead: u32,
}

impl Pace {
    /// Begins to compare.
    pub(super) fn new(wall: Timestamp, steady: Instant) -> Self {
        Self { wall, steady, ahead: 0 }
    }

    /// Whether the clock has not run ahead since the last look that it passed.
    pub(super) fn is_plausible(&mut self, wall: Timestamp, steady: Instant) -> bool {
        let expected = self.wall.saturating_add(steady.saturating_duration_since(self.steady));
        if wall.saturating_since(expected) > AHEAD && self.ahead < BELIEVED {
            self.ahead = self.ahead.saturating_add(1);
            return false;
        }
        *self = Self::new(wall, steady);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds).unwrap()
    }

    #[test]
    fn a_clock_that_jumps_ahead_is_believed_only_after_a_while() {
        let start = Instant::now();
        let minute = |minutes: u64| start + Duration::from_mins(minutes);
        let mut pace = Pace::new(at(10_000), start);
        assert!(pace.is_plausible(at(10_060), minute(1)));
        assert!(!pace.is_plausible(at(14_000), minute(2)), "an hour ahead");
        assert!(pace.is_plausible(at(10_180), minute(3)), "and set right again");
        assert!(pace.is_plausible(at(9_000), minute(4)), "a clock that is late forgets nothing too early");
        let skipped = (5..100).take_while(|n| !pace.is_plausible(at(50_000 + 60 * n), minute(*n))).count();
        assert_eq!(skipped, 30);
    }
}
