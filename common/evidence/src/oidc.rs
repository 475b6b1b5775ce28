//! Evidence for the broker's `oidc` attestor: a JWT in a file that the platform keeps fresh.
//! The token is carried, not read: whether it is valid is for the broker to say.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use symbolon_identity::{ProviderName, Timestamp};
use tokio::sync::Semaphore;

use crate::protected_file::{self, Contents, ProtectedFileError, Rules};
use crate::{Assertion, AssertionType, Evidence};

/// The broker reads no larger token than this.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// A read that hangs cannot be called back: callers that gave up waiting must not pile up threads.
const MAX_READS: usize = 4;

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
    config: TokenFileConfig,
    reads: Arc<Semaphore>,
}

impl TokenFile {
    /// The source for these settings; the file need not exist yet.
    #[must_use]
    pub fn new(config: TokenFileConfig) -> Self {
        Self { config, reads: Arc::new(Semaphore::new(MAX_READS)) }
    }

    /// Reads the token. Takes as long as the file system does: a caller that has better to do sets a timeout.
    ///
    /// # Errors
    /// The file cannot be read, is not safe to believe, or does not hold one compact JWT.
    pub async fn collect(&self) -> Result<Evidence, TokenFileError> {
        let contents = self.read().await?;
        let written_at = Timestamp::from_secs(contents.modified_secs).ok();
        let token = compact_jwt(&contents.text, &self.config.path)?;
        let assertion = Assertion::new(AssertionType::JwtBearer, token);
        Ok(Evidence::asserted(assertion, self.config.provider.clone(), written_at))
    }

    async fn read(&self) -> Result<Contents, TokenFileError> {
        let permit = Arc::clone(&self.reads).acquire_owned().await;
        let permit = permit.map_err(|_| TokenFileError::Interrupted)?;
        let path = self.config.path.clone();
        let read = move || {
            let _until_read = permit;
            protected_file::read(&path, Rules::integrity(MAX_TOKEN_BYTES))
        };
        Ok(tokio::task::spawn_blocking(read).await.map_err(|_| TokenFileError::Interrupted)??)
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

    #[test]
    fn reads_that_hang_do_not_pile_up_when_their_callers_give_up() {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().max_blocking_threads(1).build().unwrap();
        let (free, stuck) = std::sync::mpsc::channel::<()>();
        runtime.spawn_blocking(move || stuck.recv());
        let source = TokenFile::new(TokenFileConfig { path: "/nowhere/token".into(), provider: None });
        let waiting = runtime.block_on(async {
            for _ in 0..20 {
                let wait = std::time::Duration::from_millis(2);
                assert!(tokio::time::timeout(wait, source.collect()).await.is_err());
            }
            MAX_READS - source.reads.available_permits()
        });
        assert_eq!(waiting, MAX_READS);
        drop(free);
        let answer = runtime.block_on(source.collect());
        assert!(matches!(answer, Err(TokenFileError::File(_))), "{answer:?}");
    }

    #[tokio::test]
    async fn the_debug_form_of_evidence_holds_no_token() {
        let evidence = collect("aaa.secretpart.ccc").await.unwrap();
        assert!(!format!("{evidence:?}").contains("secretpart"));
    }
}
