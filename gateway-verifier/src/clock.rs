//! The program's clock as the rest of it reads it.
//! Not a timer.

use std::sync::Arc;

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
        Timestamp::from_secs_saturating(self.0.unix_seconds())
    }
}
