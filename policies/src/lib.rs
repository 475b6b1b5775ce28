#![doc = include_str!("../README.md")]

mod annotations;
mod compile;
mod conditions;
mod decision;
mod depth;
mod draft;
mod errors;
mod explain;
mod index;
mod lint;
mod question;
mod run_tests;
mod schema;
mod set;
mod source;
mod translate;
mod verdicts;
mod warnings;

#[cfg(test)]
mod tests;

pub use decision::{Decision, Denial, DenialKind, Notes, Permit, PolicyId, Shadow};
pub use draft::{Draft, DraftNotes};
pub use errors::{PolicyError, PolicyErrors, Position, Problem};
pub use explain::{Condition, Effect, ExplainedPolicy, Explanation, Verdict};
pub use lint::{Finding, Lint};
pub use question::{
    Action, Assurance, ClientFacts, Context, KubernetesFacts, LocalTime, LocalTimes, OidcFacts, PodFacts,
    PodPosture, Principal, Question, RequestFacts, Resource, Subject, TokenFacts, UnixFacts, UnknownTimeZone,
    User, Weekday, Workload,
};
pub use run_tests::{MalformedTests, TestOutcome, run_tests, untested};
pub use set::PolicySet;
pub use source::PolicyFile;
pub use warnings::{PolicyWarning, Warning};

/// The schema that policies are validated against, for editors and other tools.
pub const SCHEMA: &str = include_str!("../schema.cedarschema");
