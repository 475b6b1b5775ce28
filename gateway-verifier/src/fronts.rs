//! The ways in: each translates a request, calls the judge, and translates its decision.
//! Not here: the decision.

pub mod proxy;
mod renewal;
