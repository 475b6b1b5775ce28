//! Reading a file whose writer becomes us: only root or we ourselves may have been able to write it.
//! It judges who could write (and, for keys, who could read), never what the file says.
//!
//! A federated credential in a file is an identity for whoever can place bytes there: a process that
//! runs us with more rights than it has can point the path, by a symbolic link, at a file that it
//! could not read itself (the lineage of CVE-2024-35255). So:
//!
//! * the file is a regular file, owned by root or by our user, and not writable by group or others;
//! * its folder is owned by root or by us, and not writable by others unless it is sticky, where
//!   nobody can replace what another owns;
//! * it is not a symbolic link, with **one** exception: the kubelet publishes a volume atomically by
//!   `name -> ..data/name` and `..data -> ..<timestamp>`. Exactly this pair is followed, step by step
//!   and relative to open folders: both links belong to root or to us, `..data` leads to a single
//!   name that starts with two dots, in the same folder, and that folder is held to the same rules.
//!   Whoever could make such a pair could write the file too, so following it gives nothing away;
//! * a secret of our own ([`Rules::own_secret`]) may lie in a folder that others can write, as an `emptyDir` of Kubernetes is:
//!   a private file that belongs to us was written by us, whoever can rename or remove it. They could at most give us
//!   back another secret of ours, or none;
//! * folders further up are the operator's own words (`/var/run` is a link to `/run` on most
//!   machines): links there are followed.
//!
//! All checks are made on open descriptors, so nothing can be exchanged between check and reading;
//! opening never blocks on a pipe, and no more than the limit is read.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use secrecy::SecretString;

const GROUP_OR_OTHERS_WRITE: u32 = 0o022;
const GROUP: u32 = 0o070;
const OTHERS: u32 = 0o007;
const STICKY: u32 = 0o1000;
const KUBELET_LINK: &str = "..data";

/// What a file has to satisfy before it is believed.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    max_bytes: usize,
    readers: Readers,
    own: bool,
}

/// Who may be able to read a file, beside root and ourselves.
#[derive(Clone, Copy, Debug)]
enum Readers {
    Anybody,
    /// Its group, if root owns the file.
    GroupOfRoots,
    Nobody,
}

impl Rules {
    /// Nobody but root and ourselves could have written the file.
    #[must_use]
    pub const fn integrity(max_bytes: usize) -> Self {
        Self { max_bytes, readers: Readers::Anybody, own: false }
    }

    /// As [`Rules::integrity`], and nobody else can read it either: for keys.
    #[must_use]
    pub const fn private(max_bytes: usize) -> Self {
        Self { max_bytes, readers: Readers::Nobody, own: false }
    }

    /// As [`Rules::private`], but a file that belongs to root may be read by its group: so Kubernetes (`fsGroup`) and
    /// distributions give a key to a program that is not root.
    #[must_use]
    pub const fn private_to_group(max_bytes: usize) -> Self {
        Self { max_bytes, readers: Readers::GroupOfRoots, own: false }
    }

    /// As [`Rules::private`], written by ourselves and by nobody else, in whatever folder: for keys that we made.
    #[must_use]
    pub const fn own_secret(max_bytes: usize) -> Self {
        Self { max_bytes, readers: Readers::Nobody, own: true }
    }

    /// What lets too many people read a file of this mode.
    const fn indiscretion(self, mode: u32, is_roots: bool) -> Option<&'static str> {
        match self.readers {
            Readers::Nobody if mode & (GROUP | OTHERS) != 0 => Some("group or others can read it"),
            Readers::GroupOfRoots if mode & OTHERS != 0 => Some(
                "everybody can read it: give it mode 0600, or 0640 with root as its owner (in Kubernetes `defaultMode: 0640` and an `fsGroup`)",
            ),
            Readers::GroupOfRoots if mode & GROUP != 0 && !is_roots => {
                Some("its group can read it: give it mode 0600, or root as its owner")
            }
            Readers::Anybody | Readers::GroupOfRoots | Readers::Nobody => None,
        }
    }
}

/// What was read.
#[derive(Debug)]
pub struct Contents {
    /// The whole text of the file.
    pub text: SecretString,
    /// When it was last written, in seconds since the epoch.
    pub modified_secs: u64,
}

/// Reads a file if it satisfies the rules. Blocks for as long as the file system takes.
///
/// # Errors
/// The file is not there, is too large, is not text, or somebody else could have written (or, for
/// private ones, read) it.
pub fn read(path: &Path, rules: Rules) -> Result<Contents, ProtectedFileError> {
    Opening { path, rules }.read()
}

struct Opening<'a> {
    path: &'a Path,
    rules: Rules,
}

impl Opening<'_> {
    fn read(&self) -> Result<Contents, ProtectedFileError> {
        let name = self.path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| self.unsafe_file("it names no file"))?;
        let parent = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let folder = self.open(CWD, parent, OFlags::DIRECTORY)?;
        self.check_folder(&folder)?;
        let entry = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW);
        let entry = entry.map_err(|error| self.io(error))?;
        if FileType::from_raw_mode(entry.st_mode) == FileType::Symlink {
            let published = self.kubelet_folder(&folder, name, &entry)?;
            self.check_folder(&published)?;
            self.read_in(&published, name)
        } else {
            self.read_in(&folder, name)
        }
    }

    /// Follows `name -> ..data/name`, `..data -> ..<timestamp>` and no other link.
    fn kubelet_folder(
        &self,
        folder: &OwnedFd,
        name: &str,
        entry: &Stat,
    ) -> Result<OwnedFd, ProtectedFileError> {
        let expected = format!("{KUBELET_LINK}/{name}");
        if self.link_target(folder, name)? != expected {
            return Err(self.unsafe_file("it is a symbolic link"));
        }
        let data = rustix::fs::statat(folder, KUBELET_LINK, AtFlags::SYMLINK_NOFOLLOW);
        let data = data.map_err(|error| self.io(error))?;
        let links_are_trusted = trusted_owner(entry) && trusted_owner(&data);
        let target = self.link_target(folder, KUBELET_LINK)?;
        let single = target.starts_with("..") && target.len() > 2 && !target.contains('/');
        if !links_are_trusted || !single {
            return Err(self.unsafe_file("its symbolic link is not one that the kubelet makes"));
        }
        self.open(folder, Path::new(&target), OFlags::DIRECTORY | OFlags::NOFOLLOW)
    }

    fn read_in(&self, folder: &OwnedFd, name: &str) -> Result<Contents, ProtectedFileError> {
        let file = self.open(folder, Path::new(name), OFlags::NOFOLLOW | OFlags::NONBLOCK)?;
        let stat = rustix::fs::fstat(&file).map_err(|error| self.io(error))?;
        self.check_file(&stat)?;
        let limit = u64::try_from(self.rules.max_bytes).unwrap_or(u64::MAX);
        let mut text = String::new();
        let mut reader = File::from(file).take(limit.saturating_add(1));
        reader
            .read_to_string(&mut text)
            .map_err(|source| ProtectedFileError::Unreadable { path: self.path.to_path_buf(), source })?;
        let text = SecretString::from(text);
        if secrecy::ExposeSecret::expose_secret(&text).len() > self.rules.max_bytes {
            return Err(self.unsafe_file("it is larger than the limit"));
        }
        Ok(Contents { text, modified_secs: u64::try_from(stat.st_mtime).unwrap_or(0) })
    }

    fn check_folder(&self, folder: &OwnedFd) -> Result<(), ProtectedFileError> {
        if self.rules.own {
            return Ok(());
        }
        let stat = rustix::fs::fstat(folder).map_err(|error| self.io(error))?;
        if !trusted_owner(&stat) {
            return Err(self.unsafe_file("its folder belongs to another user"));
        }
        if stat.st_mode & GROUP_OR_OTHERS_WRITE != 0 && stat.st_mode & STICKY == 0 {
            return Err(self.unsafe_file("others can write in its folder"));
        }
        Ok(())
    }

    fn check_file(&self, stat: &Stat) -> Result<(), ProtectedFileError> {
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.unsafe_file("it is not a regular file"));
        }
        if !trusted_owner(stat) || (self.rules.own && !is_ours(stat)) {
            return Err(self.unsafe_file("it belongs to another user"));
        }
        if stat.st_mode & GROUP_OR_OTHERS_WRITE != 0 {
            return Err(self.unsafe_file("group or others can write it"));
        }
        match self.rules.indiscretion(stat.st_mode, stat.st_uid == 0) {
            Some(why) => Err(self.unsafe_file(why)),
            None => Ok(()),
        }
    }

    fn open(&self, at: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd, ProtectedFileError> {
        let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC;
        rustix::fs::openat(at, path, flags, Mode::empty()).map_err(|error| self.io(error))
    }

    fn link_target(&self, folder: &OwnedFd, name: &str) -> Result<String, ProtectedFileError> {
        let target = rustix::fs::readlinkat(folder, name, Vec::new()).map_err(|error| self.io(error))?;
        target.into_string().map_err(|_| self.unsafe_file("its symbolic link is not text"))
    }

    fn io(&self, error: Errno) -> ProtectedFileError {
        ProtectedFileError::Unreadable { path: self.path.to_path_buf(), source: error.into() }
    }

    fn unsafe_file(&self, why: &'static str) -> ProtectedFileError {
        ProtectedFileError::Unsafe { path: self.path.to_path_buf(), why }
    }
}

/// Root can do everything anyway, and we cannot betray ourselves.
fn trusted_owner(stat: &Stat) -> bool {
    stat.st_uid == 0 || is_ours(stat)
}

fn is_ours(stat: &Stat) -> bool {
    stat.st_uid == rustix::process::geteuid().as_raw()
}

/// Why a file was not believed.
#[derive(Debug, thiserror::Error)]
pub enum ProtectedFileError {
    /// The file system said no.
    #[error("cannot read `{path}`")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It can be read, but somebody else could have written or read it, or it is not what it should be.
    #[error("refusing to read `{path}`: {why}")]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
}

#[cfg(test)]
mod tests;
