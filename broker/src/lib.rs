#![doc = include_str!("../README.md")]

mod app;
mod attest;
mod audit;
mod claims;
pub mod cli;
pub mod config;
mod crowd;
mod findings;
mod grants;
mod groups;
mod inquiry;
mod inspect;
mod issue;
mod kept;
mod keys;
mod limits;
mod metrics;
mod mint;
mod own_tokens;
mod pins;
mod plan;
mod policies;
mod presented;
mod proofs;
mod proxies;
mod record;
mod refusal;
mod reload;
mod resources;
mod revoke;
mod routes;
mod store;
mod subject;
mod unrecorded;
mod upkeep;

pub use app::{Addresses, App, StartError};
pub use plan::Plan;

pub(crate) use symbolon_program::chain as error_chain;
