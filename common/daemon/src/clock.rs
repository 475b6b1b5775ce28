//! The wall clock of a program, behind a trait so that tests can hold it still.
//! Not a timer: delays and deadlines use `tokio::time`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Tells the time since the Unix epoch.
pub trait Clock: std::fmt::Debug + Send + Sync + 'static {
    /// The time since the Unix epoch, with the clock's full precision.
    fn since_epoch(&self) -> Duration;

    /// Whole seconds since the Unix epoch.
    fn unix_seconds(&self) -> u64 {
        self.since_epoch().as_secs()
    }
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    // A clock set before 1970 reads as 1970: every token is then "not yet valid", which refuses.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    fn since_epoch(&self) -> Duration {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }
}

/// A clock that moves only when it is told to.
#[derive(Debug)]
pub struct FixedClock {
    seconds: AtomicU64,
}

impl FixedClock {
    /// A clock that stands at `unix_seconds`.
    #[must_use]
    pub const fn at(unix_seconds: u64) -> Self {
        Self { seconds: AtomicU64::new(unix_seconds) }
    }

    /// Puts the clock to `unix_seconds`.
    pub fn set(&self, unix_seconds: u64) {
        self.seconds.store(unix_seconds, Ordering::SeqCst);
    }

    /// Moves the clock forward by the whole seconds of `by`.
    pub fn advance(&self, by: Duration) {
        self.seconds.fetch_add(by.as_secs(), Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn since_epoch(&self) -> Duration {
        Duration::from_secs(self.seconds.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let clock = FixedClock::at(1_000);
        assert_eq!(clock.unix_seconds(), 1_000);
        clock.advance(Duration::from_millis(2_900));
        assert_eq!(clock.unix_seconds(), 1_002);
        clock.set(5);
        assert_eq!(clock.unix_seconds(), 5);
    }

    #[test]
    fn the_system_clock_is_past_the_year_2024() {
        assert!(SystemClock.unix_seconds() > 1_704_067_200);
    }
}
