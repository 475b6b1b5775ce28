//! The sidecar's side: its program looks, and this prints what it found.
//! Not here: the checks.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use crate::exit::Exit;
use crate::output::{self, Format};
use crate::sibling;

/// Looks. The exit code is the sidecar's: 0 all fine, 1 something failed, 3 invalid configuration, 69 broker unreachable.
pub(super) async fn run(config: &Path, format: Format) -> anyhow::Result<Exit> {
    let form = if format == Format::Table { "table" } else { "json" };
    let arguments = ["doctor", "--output", form, "--config"].map(OsStr::new);
    let arguments = [arguments.as_slice(), &[config.as_os_str()]].concat();
    let (exit, said) = sibling::ask("symbolon-sidecar", &arguments).await?;
    if said.is_empty() {
        // It has said why on the standard error.
        return Ok(if exit == Exit::Ok { Exit::Failed } else { exit });
    }
    let said = String::from_utf8(said).context("symbolon-sidecar answered with what is no text")?;
    if format == Format::Table {
        output::line(said.trim_end_matches('\n'))?;
    } else {
        let report: Value =
            serde_json::from_str(&said).context("symbolon-sidecar answered with what is no JSON")?;
        output::document(format, &report, "")?;
    }
    Ok(exit)
}
