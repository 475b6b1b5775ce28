//! The places where evidence can come from, and how a configuration names them.
//! Collecting happens in the file of each platform; here one is only chosen.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::Evidence;
use crate::oidc::{TokenFile, TokenFileConfig, TokenFileError};
use crate::unix::{UnixConfig, UnixPeer};

/// Where this workload's evidence comes from: exactly one source.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SourceConfig {
    /// The connection to the broker's Unix socket is the evidence.
    Unix(UnixConfig),
    /// A JWT that the platform keeps in a file.
    TokenFile(TokenFileConfig),
}

impl SourceConfig {
    /// The attestor of the broker that checks this evidence, by name.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unix(_) => "unix",
            Self::TokenFile(_) => "oidc",
        }
    }

    /// Whether the evidence is worth anything only over the broker's Unix socket.
    #[must_use]
    pub const fn needs_socket(&self) -> bool {
        matches!(self, Self::Unix(_))
    }
}

/// A source of evidence, ready to be asked again and again.
#[derive(Clone, Debug)]
pub enum Source {
    /// See [`crate::unix`].
    Unix(UnixPeer),
    /// See [`crate::oidc`].
    Oidc(TokenFile),
}

impl Source {
    /// The source that the configuration names; nothing is read yet.
    #[must_use]
    pub fn new(config: SourceConfig) -> Self {
        match config {
            SourceConfig::Unix(unix) => Self::Unix(UnixPeer::new(unix)),
            SourceConfig::TokenFile(file) => Self::Oidc(TokenFile::new(file)),
        }
    }

    /// Collects the evidence anew.
    ///
    /// # Errors
    /// The platform's evidence is not there, is not what it should be, or somebody else could have written it.
    pub async fn collect(&self) -> Result<Evidence, EvidenceError> {
        match self {
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
