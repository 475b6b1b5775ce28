#![doc = include_str!("../README.md")]

mod decision_id;
mod error;
mod issuer;
mod names;
mod reason;
mod scope;
mod text;
mod timestamp;
mod workload;

pub use decision_id::{DecisionId, Origin};
pub use error::IdentityError;
pub use issuer::IssuerUrl;
pub use names::{
    Audience, ClientId, GroupName, IssuerName, KeyId, LocalTimeName, ProviderName, ResourceName, RouteName,
    TokenId, UpstreamName,
};
pub use reason::ReasonCode;
pub use scope::{Scope, Scopes};
pub use timestamp::Timestamp;
pub use workload::{TrustDomain, WorkloadId};
