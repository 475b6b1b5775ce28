//! Ending together with the process that started us (`--exit-with-parent`).
//! Not supervision: nothing is restarted here.

use std::io;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// Asks the kernel to send this process SIGTERM when its parent ends.
///
/// Call it first thing in `main`, from the thread that lives as long as the process. The kernel means the
/// *thread* that started us: a parent must start its children from a thread that it keeps.
///
/// # Errors
/// When the kernel refuses, or when the parent ended while we asked (nobody is left to wait for).
pub fn exit_with_parent() -> io::Result<()> {
    let before = getppid();
    set_parent_process_death_signal(Some(Signal::TERM))?;
    // The signal is armed for the parent of this moment. If that changed in between, it has already ended.
    if getppid() == before {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::NotFound, "the parent process has already ended"))
    }
}
