//! The command line of `symbolon-gateway`.
//! Not here: what serving means (`app.rs`).

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use symbolon_config::Environment;
use symbolon_daemon::{Lifecycle, SystemClock, parent, telemetry};

use crate::app::{App, Read, Start};
use crate::config::GatewayConfig;

const FAILED: u8 = 1;
const INVALID: u8 = 3;
const USAGE: u8 = 64;

/// Verifies workload tokens before an API.
#[derive(Debug, Parser)]
#[command(name = "symbolon-gateway", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until told to stop.
    Serve(Serve),
    /// Look at configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Args)]
struct Serve {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
    /// Write the addresses to this file as one JSON object, once ready.
    #[arg(long)]
    ready_file: Option<PathBuf>,
    /// End when the process that started us ends.
    #[arg(long)]
    exit_with_parent: bool,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Do all that start-up does, except to bind and to fetch.
    Validate {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Print the JSON Schema of the configuration.
    Schema,
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors.
            let code = if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
            let _closed = error.print();
            return code;
        }
    };
    match cli.command {
        Command::Serve(serve) => self::serve(serve),
        Command::Config(ConfigCommand::Validate { config }) => validate(&config),
        Command::Config(ConfigCommand::Schema) => schema(),
    }
}

fn serve(serve: Serve) -> ExitCode {
    // First of all, and from the main thread: the kernel ties the signal to the thread that asks.
    if serve.exit_with_parent
        && let Err(error) = parent::exit_with_parent()
    {
        return fail(&error.into(), FAILED);
    }
    let environment = Environment::of_process();
    let read = match Read::from(&serve.config, &environment) {
        Ok(read) => read,
        Err(error) => return fail(&error, INVALID),
    };
    let start = Start { config: serve.config, ready_file: serve.ready_file, environment };
    match run(&start, read) {
        Ok(code) => code,
        Err(error) => fail(&error, FAILED),
    }
}

fn run(start: &Start, read: Read) -> Result<ExitCode, anyhow::Error> {
    telemetry::init(read.config().log)?;
    let grace = read.config().limits.drain.as_duration();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let lifecycle = Lifecycle::with_signals(grace)?;
        let app = App::start(start, read, lifecycle, Arc::new(SystemClock))?;
        Ok(app.run().await.exit_code())
    })
}

fn validate(path: &std::path::Path) -> ExitCode {
    let environment = Environment::of_process();
    let valid = Read::from(path, &environment).and_then(|read| {
        for warning in read.warnings() {
            let _closed = writeln!(std::io::stderr(), "warning: {warning}");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { read.validate(Arc::new(SystemClock)) })
    });
    match valid {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, INVALID),
    }
}

fn schema() -> ExitCode {
    let schema = symbolon_config::schema::<GatewayConfig>("symbolon-gateway");
    let written = writeln!(std::io::stdout(), "{schema:#}");
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

/// Says what happened and why, cause by cause.
fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    let _closed = writeln!(std::io::stderr(), "symbolon-gateway: {error:#}");
    ExitCode::from(code)
}
