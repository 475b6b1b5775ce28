//! Evidence for the broker's `oidc` attestor: a JWT in a file that the platform keeps fresh.
//! The token is carried, not read: whether it is valid is for the broker to say.

use std::path::PathBuf;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use symbolon_identity::{ProviderName, Timestamp};

use crate::protected_file::{self, ProtectedFileError, Rules};
use crate::{Assertion, AssertionType, Evidence};

/// The broker reads no larger token than this.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Settings of the `token_file` source.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
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
    config: TokenFileConfig,
}

impl TokenFile {
    /// The source for these settings; the file need not exist yet.
    #[must_use]
    pub const fn new(config: TokenFileConfig) -> Self {
        Self { config }
    }

    /// Reads the token.
    ///
    /// # Errors
    /// The file cannot be read, is not safe to believe, or does not hold one compact JWT.
    pub async fn collect(&self) -> Result<Evidence, TokenFileError> {
        let path = self.config.path.clone();
        let read = move || protected_file::read(&path, Rules::integrity(MAX_TOKEN_BYTES));
        let contents = tokio::task::spawn_blocking(read).await.map_err(|_| TokenFileError::Interrupted)??;
        let written_at = Timestamp::from_secs(contents.modified_secs).ok();
        let token = compact_jwt(&contents.text, &self.config.path)?;
        let assertion = Assertion::new(AssertionType::JwtBearer, token);
        Ok(Evidence::asserted(assertion, self.config.provider.clone(), written_at))
    }
}

/// One compact JWT, by its shape only: so that a mistaken path does not send a private key to the broker.
fn compact_jwt(bytes: &SecretString, path: &std::path::Path) -> Result<SecretString, TokenFileError> {
    let text = bytes.expose_secret().trim_end_matches(['\n', '\r', ' ']);
    let mut parts = 0_usize;
    for part in text.split('.') {
        let plain = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if part.is_empty() || !plain {
            return Err(TokenFileError::NotACompactJwt(path.to_path_buf()));
        }
        parts += 1;
    }
    if parts == 3 {
        Ok(SecretString::from(text.to_owned()))
    } else {
        Err(TokenFileError::NotACompactJwt(path.to_path_buf()))
    }
}

/// Why the token file gave no evidence.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// The file is missing or not safe to believe.
    #[error(transparent)]
    File(#[from] ProtectedFileError),
    /// It holds something else.
    #[error("`{0}` does not hold one compact JWT")]
    NotACompactJwt(PathBuf),
    /// The program is stopping.
    #[error("reading the token file was interrupted")]
    Interrupted,
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    async fn collect(contents: &str) -> Result<Evidence, TokenFileError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, contents).unwrap();
        TokenFile::new(TokenFileConfig { path, provider: None }).collect().await
    }

    #[tokio::test]
    async fn a_token_is_handed_over_without_its_line_end() {
        let evidence = collect("aaa.bbb.c-_\n").await.unwrap();
        let assertion = evidence.assertion().unwrap();
        assert_eq!(assertion.expose(), "aaa.bbb.c-_");
        assert_eq!(assertion.kind(), AssertionType::JwtBearer);
        assert!(evidence.written_at().is_some());
    }

    #[tokio::test]
    async fn anything_but_one_compact_jwt_stays_at_home() {
        for wrong in ["", "-----BEGIN PRIVATE KEY-----", "a.b", "a.b.c.d", "a..c", "a.b.c\nd.e.f", "a.b.c d"]
        {
            let error = collect(wrong).await.unwrap_err();
            assert!(matches!(error, TokenFileError::NotACompactJwt(_)), "{wrong:?}: {error}");
        }
    }

    #[tokio::test]
    async fn a_token_is_read_again_at_each_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let source = TokenFile::new(TokenFileConfig { path: path.clone(), provider: None });
        for token in ["a.b.one", "a.b.two"] {
            fs::write(&path, token).unwrap();
            assert_eq!(source.collect().await.unwrap().assertion().unwrap().expose(), token);
        }
    }

    #[tokio::test]
    async fn the_debug_form_of_evidence_holds_no_token() {
        let evidence = collect("aaa.secretpart.ccc").await.unwrap();
        assert!(!format!("{evidence:?}").contains("secretpart"));
    }
}
