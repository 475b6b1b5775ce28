#![doc = include_str!("../README.md")]

mod answer;
mod appraisal;
mod decision;
mod error_code;
mod form;
mod key;
mod metadata;
mod problem;
mod stage;
pub mod status;
mod urlencoded;
mod vocabulary;

pub use answer::{TokenAnswer, TokenType};
pub use appraisal::{Appraisal, KeysSeen, ProviderAppraisal, ProviderVerdict};
pub use decision::{Atom, DecisionDocument, NearMiss, Outcome, OwnDecision, RecentDecision};
pub use error_code::{ErrorCode, OAuthError};
pub use form::{FormError, TokenForm};
pub use key::{KeyDocument, KeyList, KeyProblem, KeyState, RevokedKeyDocument};
pub use metadata::{ServerMetadata, well_known_inserted};
pub use problem::Problem;
pub use stage::{Stage, StageOutcome};
pub use vocabulary::{client_assertion_type, error_uri, grant_type, header, paths, token_type, urn};
