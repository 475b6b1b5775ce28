#![doc = include_str!("../README.md")]

pub mod kubernetes;
pub mod oidc;
pub mod unix;

mod choice;
mod evidence;
mod jwt_file;
mod source;
mod unverified;

pub use choice::{Choice, NoSource, Reason};
pub use evidence::{Assertion, AssertionType, Evidence};
pub use jwt_file::TokenFileError;
pub use kubernetes::KubernetesConfig;
pub use oidc::TokenFileConfig;
pub use source::{EvidenceError, Source, SourceConfig};
pub use symbolon_config::protected_file;
pub use unix::UnixConfig;
pub use unverified::{Freshness, Life, UnverifiedClaims, UnverifiedKubernetes, UnverifiedObject};
