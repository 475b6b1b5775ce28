//! The time, on two clocks at once: one that never jumps, for waiting, and the wall's, for what others stamped.
//! A machine that slept stands still on the first and not on the second, so a life is over when either says so.

use std::sync::Arc;
use std::time::Duration;

use symbolon_daemon::Clock;
use symbolon_identity::Timestamp;
use tokio::time::Instant;

/// One moment, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) tick: Instant,
    pub(crate) wall: Timestamp,
}

/// Where the sidecar reads the time.
#[derive(Clone, Debug)]
pub(crate) struct Time {
    clock: Arc<dyn Clock>,
}

impl Time {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }

    pub(crate) fn now(&self) -> Now {
        Now { tick: Instant::now(), wall: Timestamp::from_secs_saturating(self.clock.unix_seconds()) }
    }
}

/// When something is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    tick: Instant,
    wall: Timestamp,
}

impl End {
    /// The end of a life that began at `start`, at the latest.
    pub(crate) fn after(start: Now, life: Duration) -> Self {
        Self { tick: start.tick + life, wall: start.wall.saturating_add(life) }
    }

    /// How much is left, by the clock that says less; zero when it is over.
    pub(crate) fn left(self, now: Now) -> Duration {
        let by_tick = self.tick.saturating_duration_since(now.tick);
        by_tick.min(self.wall.saturating_since(now.wall))
    }
}
