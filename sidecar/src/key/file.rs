//! Placing a key in its folder: whole or not at all, never over something else, never through a link.
//! What the file says, and whether it is believed, is decided in `key.rs`.
//!
//! The folder may be one that others can write: the kubelet makes an `emptyDir` root's with mode 0777 (in memory sticky as
//! well) and, with `fsGroup`, the group's. So there is no folder of our own to trust, and making one inside would change
//! nothing: whoever could exchange our file could exchange our folder. Instead the **file** carries the proof: it is created
//! by us (`O_EXCL`, mode 0400), relative to a folder that is opened once, and linked under its name, which follows no link and
//! replaces nothing; and it is read only if it belongs to us and to nobody else (`Rules::own_secret`). Others who can write
//! in the folder can make us lose the key, and the broker then sees a new one; they can never give us theirs.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags};

const DRAFT: &str = ".new";

/// The open folder of a key, and the key's name in it.
pub(super) struct KeyFolder<'a> {
    folder: OwnedFd,
    name: &'a str,
}

/// Whose key is in the place now.
pub(super) enum Placed {
    /// Ours.
    Ours,
    /// That of a process which was first, if it is not gone again: this is what came in our way.
    Theirs(io::Error),
}

impl<'a> KeyFolder<'a> {
    /// Opens the folder of this file.
    pub(super) fn of(path: &'a Path) -> io::Result<Self> {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Self { folder: rustix::fs::openat(CWD, folder, flags, Mode::empty())?, name })
    }

    /// Writes a key under a name of its own and links it into its place, so that nobody ever reads half of one.
    ///
    /// The number is chance and not the process id: in a container a restart has the same id as the process that was killed.
    pub(super) fn place(&self, number: u64, bytes: &[u8]) -> io::Result<Placed> {
        let draft = format!("{}.{number:016x}{DRAFT}", self.name);
        let placed = self.write(&draft, bytes).and_then(|file| self.link(&draft, &file));
        // It may be gone already: another process that found a key has no use for drafts.
        let _ = rustix::fs::unlinkat(&self.folder, &draft, AtFlags::empty());
        match placed {
            Ok(()) => Ok(Placed::Ours),
            Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {
                Ok(Placed::Theirs(error))
            }
            Err(error) => Err(error),
        }
    }

    fn write(&self, draft: &str, bytes: &[u8]) -> io::Result<File> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.folder, draft, flags, Mode::RUSR)?;
        let mut file = File::from(file);
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(file)
    }

    fn link(&self, draft: &str, file: &File) -> io::Result<()> {
        rustix::fs::linkat(&self.folder, draft, &self.folder, self.name, AtFlags::empty())?;
        // In a folder that others can write, the draft's name may have been given to another file meanwhile.
        let (ours, linked) = (
            rustix::fs::fstat(file)?,
            rustix::fs::statat(&self.folder, self.name, AtFlags::SYMLINK_NOFOLLOW)?,
        );
        if (ours.st_dev, ours.st_ino) == (linked.st_dev, linked.st_ino) {
            Ok(())
        } else {
            Err(io::Error::other("somebody exchanged the file while it was written"))
        }
    }

    /// Removes our draft, and those of processes that were killed. Once there is a key no draft is of use: a process
    /// that loses its own here finds the key in its place.
    pub(super) fn remove_drafts(&self) -> io::Result<()> {
        for entry in Dir::read_from(&self.folder)?.flatten() {
            if entry.file_name().to_str().is_ok_and(|other| is_draft(other, self.name)) {
                let _ = rustix::fs::unlinkat(&self.folder, entry.file_name(), AtFlags::empty());
            }
        }
        Ok(())
    }
}

/// Whether `other` is a draft of `name`.
fn is_draft(other: &str, name: &str) -> bool {
    let number = other.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
    let number = number.and_then(|rest| rest.strip_suffix(DRAFT)).unwrap_or_default();
    (1..=16).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_hexdigit())
}
