//! The suites: each file runs real programs, or looks at the whole workspace.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod architecture;
mod conformance;
mod crash;
mod deploy;
mod descriptors;
mod dev;
mod doctor;
mod exchanging;
mod explained;
mod inject;
mod interop;
mod issuing;
mod josekit;
mod jwks_outage;
mod keycloak;
mod kubernetes;
mod policies;
mod readme;
mod refused;
mod revoking;
mod rotation;
mod scripts;
mod stages;
mod streaming;
mod tls;
mod verifying;
