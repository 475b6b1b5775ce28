//! `symbolon doctor`: would a sidecar work here, by the sidecar's program; would the broker take this evidence, by the broker.
//! Not here: the checks of either, because only the sidecar collects evidence and only the broker judges it.

use std::path::PathBuf;

use crate::cli::Running;
use crate::exit::Exit;
use crate::output::Format;

mod broker;
mod claims;
mod report;
mod sidecar;

/// Options of `symbolon doctor`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "With --config run it as the sidecar's user and where the sidecar runs: evidence, network and environment are those of this process.\nWith --broker run it where the broker runs, as its user or root: the token goes to its admin socket, gets nothing there and is not shown.\n\nExamples:\n  symbolon doctor --config /etc/symbolon/sidecar.yaml\n  kubectl -n shop exec web-0 -c symbolon-sidecar -- cat /var/run/secrets/symbolon/token | symbolon doctor --broker --evidence -"
)]
pub(crate) struct DoctorOptions {
    /// Look at a sidecar: its configuration file.
    #[arg(long, value_name = "FILE", required_unless_present = "broker", conflicts_with = "broker")]
    config: Option<PathBuf>,
    /// Look at the broker: which trust provider would take the evidence, and why the others would not.
    #[arg(long)]
    broker: bool,
    #[command(flatten)]
    asked: Asked,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

/// What the broker is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Asked {
    /// A file with a token, `-` for standard input [default: the projected token if there is one here, else this process].
    #[arg(long, value_name = "FILE", requires = "broker")]
    evidence: Option<PathBuf>,
    /// The provider that the caller would name as `trust_provider`.
    #[arg(long, value_name = "NAME", requires = "broker")]
    provider: Option<String>,
    /// The broker's admin socket [default: /run/symbolon/admin.sock].
    #[arg(long, value_name = "SOCKET", requires = "broker")]
    broker_admin: Option<PathBuf>,
    #[command(flatten)]
    running: Running,
}

/// Looks. Exit codes: 0 all fine, 1 something failed, 2 the broker would refuse, 3 invalid configuration, 69 it cannot be asked.
pub(crate) async fn run(options: &DoctorOptions) -> anyhow::Result<Exit> {
    match &options.config {
        Some(config) => sidecar::run(config, options.output).await,
        None => broker::run(&options.asked, options.output).await,
    }
}
