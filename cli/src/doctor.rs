//! `symbolon doctor`: has the sidecar's program look whether a sidecar would work here, and prints what it found.
//! Not here: the checks, which are the sidecar's, because only it collects evidence.

use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::Value;

use crate::exit::Exit;
use crate::output::{self, Format};
use crate::sibling;

/// Options of `symbolon doctor`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Run it as the sidecar's user and where the sidecar runs: evidence, network and environment are those of this process.\n\nExample:\n  symbolon doctor --config /etc/symbolon/sidecar.yaml"
)]
pub(crate) struct DoctorOptions {
    /// The sidecar's configuration file.
    #[arg(long)]
    config: PathBuf,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

/// Looks. The exit code is the sidecar's: 0 all fine, 1 something failed, 3 invalid configuration, 69 broker unreachable.
pub(crate) async fn run(options: &DoctorOptions) -> anyhow::Result<Exit> {
    let form = if options.output == Format::Table { "table" } else { "json" };
    let arguments = ["doctor", "--output", form, "--config"].map(OsStr::new);
    let arguments = [arguments.as_slice(), &[options.config.as_os_str()]].concat();
    let (exit, said) = sibling::ask("symbolon-sidecar", &arguments).await?;
    if said.is_empty() {
        // It has said why on the standard error.
        return Ok(if exit == Exit::Ok { Exit::Failed } else { exit });
    }
    let said = String::from_utf8(said).context("symbolon-sidecar answered with what is no text")?;
    if options.output == Format::Table {
        output::line(said.trim_end_matches('\n'))?;
    } else {
        let report: Value =
            serde_json::from_str(&said).context("symbolon-sidecar answered with what is no JSON")?;
        output::document(options.output, &report, "")?;
    }
    Ok(exit)
}
