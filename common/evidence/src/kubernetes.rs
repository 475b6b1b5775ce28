//! Evidence for the broker's `kubernetes` attestor: the service account token that the kubelet projects into the pod.
//! Nothing is asked of the API server, and nothing that the token says is believed: the broker does both.
//!
//! The kubelet writes a new token at 80 % of the life of the old one, or after 24 hours if that is earlier, and publishes
//! it by exchanging the `..data` link. So the file is opened anew at each use, and its age tells whether the kubelet still
//! does its work ([`crate::Freshness`]). A `subPath` mount would never see a new token.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_identity::ProviderName;

use crate::Evidence;
use crate::jwt_file::{JwtFile, TokenFileError};

/// Where the token is unless the configuration says otherwise; the injector mounts it there, in the sidecar only.
pub const TOKEN_FILE: &str = "/var/run/secrets/symbolon/token";

/// Settings of the `kubernetes` source.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct KubernetesConfig {
    /// The projected service account token. Its only audience has to be the broker's issuer URL.
    pub token_file: PathBuf,
    /// Which of the broker's providers of that cluster's issuer is meant, if there are several.
    pub provider: Option<ProviderName>,
}

impl Default for KubernetesConfig {
    fn default() -> Self {
        Self { token_file: TOKEN_FILE.into(), provider: None }
    }
}

/// A projected service account token, read anew at each use.
#[derive(Clone, Debug)]
pub struct ProjectedToken {
    file: JwtFile,
    provider: Option<ProviderName>,
}

impl ProjectedToken {
    /// The source for these settings; the file need not exist yet.
    #[must_use]
    pub fn new(config: KubernetesConfig) -> Self {
        Self { file: JwtFile::new(config.token_file), provider: config.provider }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Reads the token. Takes as long as the file system does: a caller that has better to do sets a timeout.
    ///
    /// # Errors
    /// The file cannot be read, is not safe to believe, or does not hold one compact JWT.
    pub async fn collect(&self) -> Result<Evidence, TokenFileError> {
        self.file.collect(self.provider.as_ref()).await
    }
}

#[cfg(test)]
mod tests;
