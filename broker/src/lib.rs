#![doc = include_str!("../README.md")]

mod app;
mod attest;
mod audit;
pub mod cli;
pub mod config;
mod findings;
mod grants;
mod groups;
mod inquiry;
mod issue;
mod keys;
mod limits;
mod metrics;
mod mint;
mod plan;
mod policies;
mod presented;
mod proofs;
mod proxies;
mod record;
mod refusal;
mod reload;
mod repeats;
mod resources;
mod routes;
mod store;
mod subject;
mod upkeep;

pub use app::{Addresses, App, StartError};
pub use plan::Plan;

/// An error with its causes, on one line for logs.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // A transparent error repeats its cause.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
