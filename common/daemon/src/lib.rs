#![doc = include_str!("../README.md")]

pub mod clock;
pub mod descriptors;
pub mod lifecycle;
pub mod metrics;
pub mod parent;
pub mod readiness;
pub mod ready_file;
pub mod telemetry;

pub use clock::{Clock, FixedClock, SystemClock};
pub use lifecycle::{Ended, Lifecycle};
pub use metrics::Registry;
pub use readiness::{BlockReady, Readiness};
