//! The program's clock as the rest of it reads it.
//! Not a timer.

use std::sync::Arc;
use std::time::Duration;

use symbolon_daemon::Clock;
use symbolon_identity::Timestamp;

/// Tells the time; clones share one clock.
#[derive(Debug, Clone)]
pub struct Now(Arc<dyn Clock>);

impl Now {
    /// Reads this clock.
    #[must_use]
    pub fn of(clock: Arc<dyn Clock>) -> Self {
        Self(clock)
    }

    /// The current second.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.moment().second()
    }

    /// The time to its last digit.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment(self.0.since_epoch())
    }
}

/// A moment since the epoch, for what ends within a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(Duration);

impl Moment {
    /// Its second.
    #[must_use]
    pub fn second(self) -> Timestamp {
        Timestamp::from_secs_saturating(self.0.as_secs())
    }

    /// How long it is until a later time begins; zero if that has begun.
    #[must_use]
    pub fn until(self, time: Timestamp) -> Duration {
        Duration::from_secs(time.as_secs()).saturating_sub(self.0)
    }
}
