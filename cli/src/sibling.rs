//! The programs that stand beside our own executable: found, and run for a command that is theirs.
//! Not here: programs that keep running (`dev/programs.rs`).

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context as _;
use tokio::process::Command;

use crate::exit::{Exit, Failure};

/// A program that stands beside our own executable.
pub(crate) fn find(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("our own executable cannot be found")?;
    let path = own.with_file_name(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(Failure::unavailable(format!("{} is missing: it has to stand beside `symbolon`", path.display()))
        .into())
}

/// What a program said on its standard output, and how it ended. Its standard error is ours.
pub(crate) async fn ask(name: &str, arguments: &[&std::ffi::OsStr]) -> anyhow::Result<(Exit, Vec<u8>)> {
    let mut command = Command::new(find(name)?);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn().with_context(|| format!("starting {name}"))?;
    let output = child.wait_with_output().await.with_context(|| format!("reading from {name}"))?;
    let code = output.status.code().and_then(|code| u8::try_from(code).ok());
    Ok((code.and_then(Exit::of_code).unwrap_or(Exit::Failed), output.stdout))
}
