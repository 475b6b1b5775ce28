//! From a peer of our socket to the executable of that very process.
//! A bare process id is never trusted here: ids are reused, a pidfd is not.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use symbolon_http::server::{PeerCredentials, PidfdOrigin};

use super::digest::DigestError;

/// Why a process cannot be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    /// It ended before we had looked.
    #[error("the process at the other end has ended")]
    Ended,
    /// The kernel does not show what we need to know.
    #[error("the kernel does not show the process at the other end")]
    Hidden(#[source] io::Error),
    /// Its executable cannot be hashed.
    #[error("the executable at the other end cannot be read")]
    Executable(#[from] DigestError),
    /// The program is ending.
    #[error("reading the executable was interrupted")]
    Interrupted,
}

/// The executable of a peer, opened: what is read from it now is what the peer runs.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    /// Its path, if that path leads to this very file for us too.
    pub(super) path: Option<String>,
}

/// Opens the executable of a peer; none if there is no pidfd, if the peer lives in another pid namespace, or if the
/// kernel does not let us read it.
pub(super) fn open(peer: &PeerCredentials) -> Result<Option<Opened>, ProcessError> {
    let Some((_, origin)) = peer.pidfd() else { return Ok(None) };
    // SECURITY: a pidfd that was opened by number may be of a process that got the number of a peer that had ended.
    // Its user must then be the peer's: nobody gains the executable of another user, and within one user the
    // executable is no boundary anyway.
    let owner = match origin {
        PidfdOrigin::Socket => None,
        PidfdOrigin::Number => Some(peer.uid()),
    };
    open_as(|| peer.pinned_pid(), owner)
}

/// Opens the executable of the process that `pinned_pid` numbers, if it runs as `owner`.
fn open_as(
    pinned_pid: impl Fn() -> io::Result<Option<u32>>,
    owner: Option<u32>,
) -> Result<Option<Opened>, ProcessError> {
    // Without a number in our own namespace (another container, or already gone) there is nothing to look at.
    let Some(pid) = pinned_pid().map_err(ProcessError::Hidden)? else { return Ok(None) };
    let link = format!("/proc/{pid}/exe");
    let file = match File::open(&link) {
        Ok(file) => file,
        // Another user's process: only root or that user may look at it (ptrace access mode, proc(5)).
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ProcessError::Ended),
        Err(error) => return Err(ProcessError::Hidden(error)),
    };
    let path = fs::read_link(&link).ok().filter(|path| is_same_file(path, &file));
    let runs_as = effective_uid(pid)?;
    // SECURITY: the pidfd pins the process, not its number. If it still has this number now, the number was its own
    // all the time, and what we opened by that number is its executable. Without this second look a reused number
    // would lend another program's identity.
    if pinned_pid().map_err(ProcessError::Hidden)? != Some(pid) || owner.is_some_and(|owner| owner != runs_as)
    {
        return Err(ProcessError::Ended);
    }
    let path = path.and_then(|path| path.to_str().map(str::to_owned));
    Ok(Some(Opened { file, path }))
}

/// The second number of the line `Uid:` (proc(5)).
fn effective_uid(pid: u32) -> Result<u32, ProcessError> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ProcessError::Ended,
        _ if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => ProcessError::Ended,
        _ => ProcessError::Hidden(error),
    })?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).ok_or(ProcessError::Ended)
}

/// Whether a path leads to the opened file for us too. In another mount namespace the same path is another file, and
/// a deleted file has no path at all.
fn is_same_file(path: &Path, file: &File) -> bool {
    let (Ok(by_path), Ok(opened)) = (fs::metadata(path), file.metadata()) else { return false };
    (by_path.dev(), by_path.ino()) == (opened.dev(), opened.ino())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A copy of `cat`, which waits for as long as its standard input stays open.
    fn program(folder: &Path, extra: &[u8]) -> std::path::PathBuf {
        let path = folder.join("program");
        let mut bytes = fs::read("/bin/cat").unwrap();
        bytes.extend_from_slice(extra);
        File::create(&path).unwrap().write_all(&bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn start(path: &Path) -> Child {
        // Another test may fork between our writing the file and closing it; until its child runs another program
        // the file counts as being written (ETXTBSY).
        for _ in 0..100_000 {
            match Command::new(path).stdin(Stdio::piped()).stdout(Stdio::null()).spawn() {
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                started => return started.unwrap(),
            }
        }
        panic!("{} stays busy", path.display())
    }

    fn stop(mut child: Child) {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn look(child: &Child, owner: Option<u32>) -> Result<Option<Opened>, ProcessError> {
        open_as(|| Ok(Some(child.id())), owner)
    }

    #[test]
    fn what_is_opened_is_what_runs_also_after_the_path_leads_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = program(folder.path(), b"x");
        let child = start(&path);
        let found = look(&child, None).unwrap().unwrap();
        assert_eq!(found.path.as_deref(), path.to_str());
        fs::remove_file(&path).unwrap();
        program(folder.path(), b"another");
        let found = look(&child, None).unwrap().unwrap();
        assert_eq!(found.path, None);
        assert_eq!(found.file.metadata().unwrap().len(), fs::metadata("/bin/cat").unwrap().len() + 1);
        stop(child);
    }

    #[test]
    fn a_process_whose_number_was_given_away_is_not_told() {
        let folder = tempfile::tempdir().unwrap();
        let child = start(&program(folder.path(), b""));
        let looks = std::cell::Cell::new(0);
        let changes = || {
            looks.set(looks.get() + 1);
            Ok((looks.get() == 1).then(|| child.id()))
        };
        assert!(matches!(open_as(changes, None), Err(ProcessError::Ended)));
        stop(child);
    }

    #[test]
    fn a_process_of_another_user_is_not_the_peer_of_an_older_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let child = start(&program(folder.path(), b""));
        let us = rustix::process::geteuid().as_raw();
        assert!(look(&child, Some(us)).is_ok());
        assert!(matches!(look(&child, Some(us + 1)), Err(ProcessError::Ended)));
        stop(child);
    }

    #[test]
    fn a_deleted_program_has_a_hash_but_no_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = program(folder.path(), b"");
        let child = start(&path);
        fs::remove_file(&path).unwrap();
        assert_eq!(look(&child, None).unwrap().unwrap().path, None);
        stop(child);
    }
}
