//! The places where evidence can come from, and how a configuration names them.
//! Collecting happens in the file of each platform; which one `auto` means is found in `choice.rs`.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::Evidence;
use crate::jwt_file::TokenFileError;
use crate::kubernetes::{KubernetesConfig, ProjectedToken};
use crate::oidc::{TokenFile, TokenFileConfig};
use crate::unix::{UnixConfig, UnixPeer};

/// Where this workload's evidence comes from: exactly one source.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SourceConfig {
    /// The projected service account token at its usual place if it is there, else the connection to the broker's
    /// socket if one is configured.
    Auto,
    /// The service account token that the kubelet projects into the pod.
    Kubernetes(KubernetesConfig),
    /// The connection to the broker's Unix socket is the evidence.
    Unix(UnixConfig),
    /// A JWT that the platform keeps in a file.
    TokenFile(TokenFileConfig),
}

impl SourceConfig {
    /// Whether the evidence is worth anything only over the broker's Unix socket.
    #[must_use]
    pub const fn needs_socket(&self) -> bool {
        matches!(self, Self::Unix(_))
    }
}

/// A source of evidence, ready to be asked again and again.
#[derive(Clone, Debug)]
pub enum Source {
    /// See [`crate::kubernetes`].
    Kubernetes(ProjectedToken),
    /// See [`crate::unix`].
    Unix(UnixPeer),
    /// See [`crate::oidc`].
    Oidc(TokenFile),
}

impl Source {
    /// The attestor of the broker that checks this evidence, by name.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Kubernetes(_) => "kubernetes",
            Self::Unix(_) => "unix",
            Self::Oidc(_) => "oidc",
        }
    }

    /// The file that the evidence is read from, if it comes from one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Kubernetes(token) => Some(token.path()),
            Self::Unix(_) => None,
            Self::Oidc(file) => Some(file.path()),
        }
    }

    /// Collects the evidence anew.
    ///
    /// # Errors
    /// The platform's evidence is not there, is not what it should be, or somebody else could have written it.
    pub async fn collect(&self) -> Result<Evidence, EvidenceError> {
        match self {
            Self::Kubernetes(token) => Ok(token.collect().await?),
            Self::Unix(peer) => Ok(peer.collect()),
            Self::Oidc(file) => Ok(file.collect().await?),
        }
    }
}

/// Why there is no evidence now.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The token file gave none.
    #[error(transparent)]
    TokenFile(#[from] TokenFileError),
}
