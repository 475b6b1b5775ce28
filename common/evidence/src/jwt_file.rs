//! A JWT in a file that the platform keeps fresh, read anew at each use; what all sources of that kind share.
//! The token is carried, not verified: whether it is valid is for the broker to say.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use symbolon_identity::{ProviderName, Timestamp};
use tokio::sync::Semaphore;

use crate::protected_file::{self, Contents, ProtectedFileError, Rules};
use crate::{Assertion, AssertionType, Evidence, UnverifiedClaims};

/// The broker reads no larger token than this.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// A read that hangs cannot be called back: callers that gave up waiting must not pile up threads.
const MAX_READS: usize = 4;

/// A file with one JWT.
#[derive(Clone, Debug)]
pub(crate) struct JwtFile {
    path: PathBuf,
    reads: Arc<Semaphore>,
}

impl JwtFile {
    /// The file at this path; it need not exist yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, reads: Arc::new(Semaphore::new(MAX_READS)) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the token as evidence for this provider of the broker.
    pub(crate) async fn collect(&self, provider: Option<&ProviderName>) -> Result<Evidence, TokenFileError> {
        let contents = self.read().await?;
        let written_at = Timestamp::from_secs(contents.modified_secs).ok();
        let token = compact_jwt(&contents.text, &self.path)?;
        let claims = UnverifiedClaims::of(token.expose_secret());
        let assertion = Assertion::new(AssertionType::JwtBearer, token);
        Ok(Evidence::asserted(assertion, provider.cloned()).written_at_time(written_at).saying(claims))
    }

    async fn read(&self) -> Result<Contents, TokenFileError> {
        let permit = Arc::clone(&self.reads).acquire_owned().await;
        let permit = permit.map_err(|_| TokenFileError::Interrupted)?;
        let path = self.path.clone();
        let read = move || {
            let _until_read = permit;
            protected_file::read(&path, Rules::integrity(MAX_TOKEN_BYTES))
        };
        Ok(tokio::task::spawn_blocking(read).await.map_err(|_| TokenFileError::Interrupted)??)
    }
}

/// One compact JWT, by its shape only: so that a mistaken path does not send a private key to the broker.
fn compact_jwt(bytes: &SecretString, path: &Path) -> Result<SecretString, TokenFileError> {
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

/// Why a token file gave no evidence.
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
        JwtFile::new(path).collect(None).await
    }

    #[tokio::test]
    async fn a_token_is_handed_over_without_its_line_end() {
        let evidence = collect("aaa.bbb.c-_\n").await.unwrap();
        let assertion = evidence.assertion().unwrap();
        assert_eq!(assertion.expose(), "aaa.bbb.c-_");
        assert_eq!(assertion.kind(), AssertionType::JwtBearer);
        assert!(evidence.written_at().is_some());
        // Not JSON inside: that is for the broker to refuse.
        assert!(evidence.unverified_claims().is_none());
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
        let source = JwtFile::new(path.clone());
        for token in ["a.b.one", "a.b.two"] {
            fs::write(&path, token).unwrap();
            assert_eq!(source.collect(None).await.unwrap().assertion().unwrap().expose(), token);
        }
    }

    #[test]
    fn reads_that_hang_do_not_pile_up_when_their_callers_give_up() {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().max_blocking_threads(1).build().unwrap();
        let (free, stuck) = std::sync::mpsc::channel::<()>();
        runtime.spawn_blocking(move || stuck.recv());
        let source = JwtFile::new("/nowhere/token".into());
        let waiting = runtime.block_on(async {
            for _ in 0..20 {
                let wait = std::time::Duration::from_millis(2);
                assert!(tokio::time::timeout(wait, source.collect(None)).await.is_err());
            }
            MAX_READS - source.reads.available_permits()
        });
        assert_eq!(waiting, MAX_READS);
        drop(free);
        let answer = runtime.block_on(source.collect(None));
        assert!(matches!(answer, Err(TokenFileError::File(_))), "{answer:?}");
    }

    #[tokio::test]
    async fn the_debug_form_of_evidence_holds_no_token() {
        let evidence = collect("aaa.secretpart.ccc").await.unwrap();
        assert!(!format!("{evidence:?}").contains("secretpart"));
    }
}
