#![doc = include_str!("../README.md")]

mod armed;
mod broker;
pub mod cli;
mod config;
mod credentials;
mod dice;
mod doctor;
mod evidence;
mod key;
mod listeners;
mod metrics;
mod renewals;
mod settings;
mod sidecar;
mod startup;
mod time;
mod turned_away;

pub use config::{
    AppAuthorization, BrokerConfig, Config, HealthConfig, KeyAlgorithm, KeyConfig, LimitsConfig,
    ListenConfig, LocalListen, UpstreamConfig,
};
pub use key::KeyError;
pub use settings::Settings;
pub use sidecar::{Addresses, Sidecar, StartError};
