//! The state folder of `symbolon dev`: given or temporary, for its owner only.
//! Not here: what is written into it (`configs.rs`).

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::exit::Failure;

/// The file by which a folder of ours is known again.
const MARKER: &str = ".symbolon-dev";

/// `sun_path` holds 108 bytes with its end; the longest socket name of ours needs 20.
const MAX_PATH: usize = 85;

/// A folder that holds everything one run writes.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Held while we run: two runs in one folder would take each other's sockets.
    _lock: fs::File,
    /// Removes the folder at the end, unless the user named it.
    _temporary: Option<tempfile::TempDir>,
}

impl Folder {
    /// Opens the named folder, or makes a temporary one.
    pub(crate) fn open(named: Option<&Path>) -> anyhow::Result<Self> {
        let (path, temporary) = if let Some(path) = named {
            (claim(path)?, None)
        } else {
            let folder = tempfile::Builder::new().prefix("symbolon-dev-").tempdir()?;
            (folder.path().to_owned(), Some(folder))
        };
        if path.as_os_str().len() > MAX_PATH {
            return Err(Failure::usage(format!(
                "{}: the path is too long for a Unix socket",
                path.display()
            ))
            .into());
        }
        Ok(Self { _lock: lock(&path)?, path, _temporary: temporary })
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file that anybody may read who may enter the folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.file(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    /// Writes a file unless it is there already.
    pub(crate) fn write_once(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.file(name);
        if path.exists() { Ok(path) } else { self.write(name, text) }
    }

    /// Writes a secret, which only its owner may read.
    pub(crate) fn write_secret(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.file(name);
        let opened = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
        written.with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}

fn lock(folder: &Path) -> anyhow::Result<fs::File> {
    let file =
        fs::File::create(folder.join("lock")).with_context(|| format!("writing to {}", folder.display()))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| Failure::usage(format!("{}: another `symbolon dev` runs there", folder.display())))?;
    Ok(file)
}

/// Makes the folder, or takes one that is ours alone.
fn claim(path: &Path) -> anyhow::Result<PathBuf> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("making {}", path.display()))?;
    let path = path.canonicalize()?;
    let metadata = fs::metadata(&path)?;
    let others_may_write = metadata.permissions().mode() & 0o022 != 0;
    if metadata.uid() != rustix::process::getuid().as_raw() || others_may_write {
        let message =
            format!("{}: the state folder has to be yours, and only you may write to it", path.display());
        return Err(Failure::usage(message).into());
    }
    mark(&path)?;
    Ok(path)
}

/// Marks an empty folder as ours, or finds the mark. What somebody else put into a folder is not ours to overwrite.
fn mark(folder: &Path) -> anyhow::Result<()> {
    let marker = folder.join(MARKER);
    if marker.is_file() {
        return Ok(());
    }
    if fs::read_dir(folder)?.next().is_some() {
        let message = format!(
            "{}: the folder is not empty and was not made by `symbolon dev`, which would overwrite files in it: name another",
            folder.display()
        );
        return Err(Failure::usage(message).into());
    }
    fs::write(&marker, "`symbolon dev` keeps its state here and overwrites files in this folder.\n")
        .with_context(|| format!("writing {}", marker.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_for_its_owner_only_and_a_policy_is_written_once() {
        let folder = Folder::open(None).unwrap();
        let secret = folder.write_secret("secret", "x").unwrap();
        assert_eq!(fs::metadata(secret).unwrap().permissions().mode() & 0o777, 0o600);
        folder.write_once("policies/a.cedar", "first").unwrap();
        let path = folder.write_once("policies/a.cedar", "second").unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "first");
    }

    #[test]
    fn one_folder_is_for_one_run_at_a_time() {
        let outer = tempfile::tempdir().unwrap();
        let first = Folder::open(Some(outer.path())).unwrap();
        assert!(Folder::open(Some(outer.path())).is_err());
        drop(first);
        assert!(Folder::open(Some(outer.path())).is_ok());
    }

    #[test]
    fn a_folder_with_files_of_somebody_else_is_refused_and_left_alone() {
        let outer = tempfile::tempdir().unwrap();
        fs::write(outer.path().join("broker.yaml"), "mine").unwrap();
        let refused = Folder::open(Some(outer.path())).unwrap_err();
        assert_eq!(crate::exit::of(&refused), crate::exit::Exit::Usage);
        assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 1);
        let ours = outer.path().join("ours");
        Folder::open(Some(&ours)).unwrap().write("broker.yaml", "ours").unwrap();
        assert!(Folder::open(Some(&ours)).is_ok(), "with its mark it is taken again");
    }

    #[test]
    fn a_folder_that_others_may_write_is_refused() {
        let outer = tempfile::tempdir().unwrap();
        let open = outer.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(Folder::open(Some(&open)).is_err());
    }
}
