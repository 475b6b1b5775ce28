//! Evidence for the broker's `oidc` attestor: a JWT in a file that the platform keeps fresh.
//! Which platform it is does not matter here; for Kubernetes there is `kubernetes.rs`.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use symbolon_identity::ProviderName;

use crate::Evidence;
use crate::jwt_file::{JwtFile, TokenFileError};

/// Settings of the `token_file` source.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct TokenFileConfig {
    /// The file that the platform writes, for example `/var/run/secrets/tokens/symbolon`.
    pub path: PathBuf,
    /// Which of the broker's providers of that issuer is meant, if there are several.
    #[serde(default)]
    pub provider: Option<ProviderName>,
}

/// A token file, read anew at each use: the platform rotates it behind our back.
#[derive(Clone, Debug)]
pub struct TokenFile {
    file: JwtFile,
    provider: Option<ProviderName>,
}

impl TokenFile {
    /// The source for these settings; the file need not exist yet.
    #[must_use]
    pub fn new(config: TokenFileConfig) -> Self {
        Self { file: JwtFile::new(config.path), provider: config.provider }
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
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_provider_goes_with_the_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "a.b.c").unwrap();
        let provider = Some(ProviderName::parse("ci").unwrap());
        let evidence = TokenFile::new(TokenFileConfig { path, provider }).collect().await.unwrap();
        assert_eq!(evidence.trust_provider().unwrap().as_str(), "ci");
    }
}
