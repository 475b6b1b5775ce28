//! `symbolon dev`: the real programs on this machine, for development only, in one command.
//! Not here: anything that a production set-up uses.

mod banner;
mod client;
mod configs;
mod echo;
mod folder;
mod ports;
mod programs;
pub(crate) mod ready;
mod stack;
mod summary;
mod tap;
mod tour;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use symbolon_daemon::Lifecycle;

use crate::exit::{Exit, Failure};
use crate::output;
use stack::Stack;

/// The first port unless another is asked for; the tour takes free ones, so that it can run beside.
const DEFAULT_BASE: u16 = 8700;

/// Options of `symbolon dev`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  symbolon dev\n  symbolon dev --check\n  symbolon dev --state-dir ./state --port-base 0 --json"
)]
pub(crate) struct DevOptions {
    /// Keep everything in this folder, also after the end; a temporary one otherwise.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The first of the ports, 0 for any free ones [default: 8700, with --check 0].
    #[arg(long, value_name = "N")]
    port_base: Option<u16>,
    /// The loopback address to listen on.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// Print one JSON object when ready instead of the text.
    #[arg(long, conflicts_with = "check")]
    json: bool,
    /// Run the self-checking tour and exit: 0 only if every step did what it says.
    #[arg(long)]
    check: bool,
    /// End when the process that started this one ends.
    #[arg(long)]
    exit_with_parent: bool,
}

/// Runs everything until a signal ends it, or until the tour is over.
pub(crate) async fn run(options: DevOptions) -> anyhow::Result<Exit> {
    if !options.bind.is_loopback() {
        let message = format!("--bind {}: `symbolon dev` listens on loopback addresses only", options.bind);
        return Err(Failure::usage(message).into());
    }
    if options.exit_with_parent {
        symbolon_daemon::parent::exit_with_parent()?;
    }
    let lifecycle = Lifecycle::with_signals(Duration::from_secs(1))?;
    let running = lifecycle.clone().run();
    tokio::pin!(running);
    let started = Stack::start(&options, &lifecycle);
    let mut stack = tokio::select! {
        stack = started => stack?,
        _ = &mut running => return Ok(Exit::Failed),
    };
    let exit = tokio::select! {
        exit = serve(&options, &mut stack) => exit,
        _ = &mut running => {
            if !options.check {
                eprint!("{}", summary::text(&stack).await);
            }
            Ok(if options.check { Exit::Failed } else { Exit::Ok })
        }
    };
    stack.stop().await;
    exit
}

async fn serve(options: &DevOptions, stack: &mut Stack) -> anyhow::Result<Exit> {
    if options.check {
        return tour::run(stack).await;
    }
    if options.json {
        output::line(&serde_json::to_string(&stack.ready)?)?;
    } else {
        output::line(&banner::text(stack))?;
    }
    Err(stack.broken().await)
}
