//! A listening Unix socket and its file.
//! Nobody can connect before the file has its mode, and nobody's live socket is taken away.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen as start, socket_with,
};
use tokio::net::UnixListener;

/// Connections that may wait in the kernel for us to accept them.
const BACKLOG: i32 = 1024;

/// Why there is no socket.
#[derive(Debug)]
pub(super) enum UnixError {
    InUse,
    NotASocket,
    Io(io::Error),
}

impl From<io::Error> for UnixError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<rustix::io::Errno> for UnixError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Io(error.into())
    }
}

/// A listening socket that removes its file when it goes.
#[derive(Debug)]
pub(super) struct UnixSocket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Device and inode of our file: another process may have put its own there since.
    file: (u64, u64),
    /// Held while we live, so that two starters cannot both find the same file stale.
    _lock: File,
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            // Best effort: a file that stays is stale and the next starter removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens at `path`, whose file gets `mode` before anybody can connect.
pub(super) fn listen(path: &Path, mode: u32) -> Result<UnixSocket, UnixError> {
    let lock = lock(path)?;
    remove_stale(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    // Between `bind` and `listen` a peer gets "connection refused", so the mode cannot come too late.
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    start(&socket, BACKLOG)?;
    let file = identity(path)?;
    let listener = UnixListener::from_std(socket.into())?;
    Ok(UnixSocket { listener, path: path.to_owned(), file, _lock: lock })
}

/// Takes the lock beside the socket. It ends with the process, whatever happens to it.
fn lock(path: &Path) -> Result<File, UnixError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let file = File::options().create(true).truncate(false).write(true).open(PathBuf::from(beside))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(UnixError::InUse),
        Err(fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Removes a socket file if nobody listens on it.
fn remove_stale(path: &Path) -> Result<(), UnixError> {
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !kind.is_socket() {
        return Err(UnixError::NotASocket);
    }
    match StdUnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(fs::remove_file(path)?),
        // Connected, or alive but too busy, or not ours to ask: somebody may be there.
        Ok(_) | Err(_) => Err(UnixError::InUse),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
