//! The last good key set on disk, so that a restart during an issuer's outage keeps verifying.
//! Not here: deciding whether it is still young enough (`key_set`).

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use symbolon_identity::{IssuerName, IssuerUrl, Timestamp};
use symbolon_jws::{JwkSet, random_bytes, strict_json};

/// The copy of one issuer's key set. The folder must belong to the program: who can write it can add keys.
#[derive(Debug)]
pub(crate) struct Copy {
    path: PathBuf,
    issuer: IssuerUrl,
    source: String,
}

/// What stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    issuer: IssuerUrl,
    source: String,
    fetched_at: Timestamp,
    keys: String,
}

impl Copy {
    pub(crate) fn new(directory: &Path, name: &IssuerName, issuer: IssuerUrl, source: String) -> Self {
        Self { path: directory.join(format!("{name}.jwks.json")), issuer, source }
    }

    /// The stored set with the time of its fetch; nothing if there is none, or it is of another issuer or source.
    pub(crate) fn read(&self) -> Option<(Vec<u8>, Timestamp)> {
        // Escaping can double the text of a set that is as large as allowed.
        let limit = u64::try_from(3 * JwkSet::MAX_BYTES).ok()?;
        let mut text = Vec::new();
        fs::File::open(&self.path).ok()?.take(limit).read_to_end(&mut text).ok()?;
        let stored: Stored = strict_json::from_slice(&text).ok()?;
        let ours = stored.issuer == self.issuer && stored.source == self.source;
        ours.then(|| (stored.keys.into_bytes(), stored.fetched_at))
    }

    /// Replaces the file as a whole: a crash leaves the old set or the new one, never half of one.
    pub(crate) fn write(&self, keys: &[u8], fetched_at: Timestamp) -> io::Result<()> {
        let keys =
            std::str::from_utf8(keys).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let stored = Stored {
            issuer: self.issuer.clone(),
            source: self.source.clone(),
            fetched_at,
            keys: keys.to_owned(),
        };
        let directory = self.path.parent().unwrap_or(Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let fresh = self.fresh_path()?;
        let replaced = write_new(&fresh, serde_json::to_string(&stored)?.as_bytes())
            .and_then(|()| fs::rename(&fresh, &self.path));
        if replaced.is_err() {
            // Best effort: what is left of it is never read.
            let _ = fs::remove_file(&fresh);
        }
        replaced?;
        fs::File::open(directory)?.sync_all()
    }

    /// A path of our own beside the file: two writers of one path would tear each other's text.
    fn fresh_path(&self) -> io::Result<PathBuf> {
        let random = u64::from_ne_bytes(random_bytes().map_err(io::Error::other)?);
        Ok(self.path.with_extension(format!("{random:016x}.new")))
    }
}

fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(directory: &Path, issuer: &str, source: &str) -> Copy {
        let name = IssuerName::parse("a").unwrap();
        Copy::new(directory, &name, IssuerUrl::parse(issuer).unwrap(), source.to_owned())
    }

    #[test]
    fn a_copy_comes_back_with_its_time_and_only_for_its_issuer_and_source() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("new/keys");
        let at = Timestamp::from_secs(1_800_000_000).unwrap();
        let ours = copy(&directory, "https://a.example", "discovery");
        assert!(ours.read().is_none());
        ours.write(b"{\"keys\":[]}", at).unwrap();
        ours.write(b"{\"keys\":[1]}", at).unwrap();
        assert_eq!(ours.read(), Some((b"{\"keys\":[1]}".to_vec(), at)));
        assert!(copy(&directory, "https://b.example", "discovery").read().is_none());
        assert!(copy(&directory, "https://a.example", "https://a.example/keys").read().is_none());
    }

    #[test]
    fn two_writers_at_once_leave_a_whole_copy_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = Timestamp::from_secs(1_800_000_000).unwrap();
        let texts = ["x".repeat(100_000), "y".repeat(10)];
        std::thread::scope(|scope| {
            for text in &texts {
                let ours = copy(folder.path(), "https://a.example", "discovery");
                scope.spawn(move || (0..20).for_each(|_| ours.write(text.as_bytes(), at).unwrap()));
            }
        });
        let (kept, _) = copy(folder.path(), "https://a.example", "discovery").read().unwrap();
        assert!(texts.iter().any(|text| text.as_bytes() == kept));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_copy_is_no_copy() {
        let folder = tempfile::tempdir().unwrap();
        let ours = copy(folder.path(), "https://a.example", "discovery");
        for damaged in ["", "{", "null", "{\"issuer\":\"https://a.example\"}"] {
            fs::write(folder.path().join("a.jwks.json"), damaged).unwrap();
            assert!(ours.read().is_none(), "{damaged}");
        }
    }
}
