//! Which source of evidence is used, and why: what the configuration names, or what is here.
//! It looks whether a file exists and never into it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::kubernetes::{KubernetesConfig, ProjectedToken, TOKEN_FILE};
use crate::oidc::TokenFile;
use crate::unix::{UnixConfig, UnixPeer};
use crate::{Source, SourceConfig};

/// A source of evidence and why it is this one.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The source.
    pub source: Source,
    /// Why this one.
    pub reason: Reason,
}

/// Why a source of evidence was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The configuration names it.
    Configured,
    /// `auto`, and the token that a kubelet projects is there.
    TokenIsThere(PathBuf),
    /// `auto`, there is no such token, and the broker has a socket on this machine.
    SocketIsConfigured(PathBuf),
}

/// `auto`, and there is nothing to choose.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`evidence: auto` finds none: there is no projected service account token at `{token_file}`, and no socket of the broker is configured"
)]
pub struct NoSource {
    /// Where a token was looked for.
    pub token_file: PathBuf,
}

impl Source {
    /// The source that the configuration names, or for `auto` the one that fits the place; nothing is read yet.
    ///
    /// A token that exists and cannot be read is chosen too: to fall back to another identity would hide the fault.
    ///
    /// # Errors
    /// `auto`, and neither a token nor a socket is there.
    pub fn choose(config: &SourceConfig, socket: Option<&Path>) -> Result<Choice, NoSource> {
        choose(config, socket, Path::new(TOKEN_FILE))
    }
}

fn choose(config: &SourceConfig, socket: Option<&Path>, token_file: &Path) -> Result<Choice, NoSource> {
    let configured = |source| Ok(Choice { source, reason: Reason::Configured });
    match config {
        SourceConfig::Unix(unix) => configured(Source::Unix(UnixPeer::new(unix.clone()))),
        SourceConfig::TokenFile(file) => configured(Source::Oidc(TokenFile::new(file.clone()))),
        SourceConfig::Kubernetes(token) => configured(Source::Kubernetes(ProjectedToken::new(token.clone()))),
        SourceConfig::Auto if is_there(token_file) => {
            let config = KubernetesConfig { token_file: token_file.to_owned(), provider: None };
            let reason = Reason::TokenIsThere(token_file.to_owned());
            Ok(Choice { source: Source::Kubernetes(ProjectedToken::new(config)), reason })
        }
        SourceConfig::Auto => {
            let socket = socket.ok_or_else(|| NoSource { token_file: token_file.to_owned() })?;
            let reason = Reason::SocketIsConfigured(socket.to_owned());
            Ok(Choice { source: Source::Unix(UnixPeer::new(UnixConfig::default())), reason })
        }
    }
}

/// Whether there is anything, be it a link that leads nowhere or a folder that is closed to us.
fn is_there(path: &Path) -> bool {
    match path.symlink_metadata() {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configured => f.write_str("the configuration names it"),
            Self::TokenIsThere(path) => write!(f, "`auto`, and `{}` exists", path.display()),
            Self::SocketIsConfigured(path) => write!(
                f,
                "`auto`, there is no projected token, and the broker's socket is `{}`",
                path.display()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_takes_the_projected_token_if_there_is_one_even_if_it_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        let socket = Some(Path::new("/run/attest.sock"));
        let choice = choose(&SourceConfig::Auto, socket, &token).unwrap();
        assert!(matches!(choice.source, Source::Unix(_)), "{choice:?}");
        assert!(choice.reason.to_string().contains("/run/attest.sock"));
        std::os::unix::fs::symlink("..data/token", &token).unwrap();
        let choice = choose(&SourceConfig::Auto, socket, &token).unwrap();
        assert_eq!(choice.reason, Reason::TokenIsThere(token.clone()));
        assert!(matches!(choice.source, Source::Kubernetes(file) if file.path() == token));
    }

    #[test]
    fn auto_without_anything_says_what_it_looked_for() {
        let error = choose(&SourceConfig::Auto, None, Path::new("/nowhere/token")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/token") && error.contains("socket"), "{error}");
    }

    #[test]
    fn what_is_configured_is_taken_whether_it_is_there_or_not() {
        let config = SourceConfig::Kubernetes(KubernetesConfig::default());
        let choice = choose(&config, Some(Path::new("/run/attest.sock")), Path::new("/nowhere")).unwrap();
        assert_eq!(choice.reason, Reason::Configured);
        assert!(matches!(choice.source, Source::Kubernetes(file) if file.path() == Path::new(TOKEN_FILE)));
    }
}
