//! The command line of `symbolon-gateway`.
//! Not here: what serving means (`app.rs`).

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use symbolon_config::Environment;
use symbolon_daemon::{Lifecycle, SystemClock, descriptors, telemetry};
use symbolon_program::{ConfigCommand, Exit, ServeOptions, parse};

use crate::app::{App, Read, Start};
use crate::config::GatewayConfig;
use crate::twins::CaseTwins;

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
    Serve(ServeOptions),
    /// Look at configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match parse::<Cli>() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match cli.command {
        Command::Serve(options) => serve(options),
        Command::Config(ConfigCommand::Validate { config }) => validate(&config),
        Command::Config(ConfigCommand::Schema) => {
            symbolon_program::schema::<GatewayConfig>("symbolon-gateway")
        }
    }
}

fn serve(options: ServeOptions) -> ExitCode {
    if let Err(error) = options.begin() {
        return fail(&error.into(), Exit::Failed);
    }
    let environment = Environment::of_process();
    let read = match Read::from(&options.config, &environment) {
        Ok(read) => read,
        Err(error) => return fail(&error, Exit::Invalid),
    };
    let start = Start { config: options.config, ready_file: options.ready_file, environment };
    match run(&start, read) {
        Ok(code) => code,
        Err(error) => fail(&error, Exit::Failed),
    }
}

fn run(start: &Start, read: Read) -> Result<ExitCode, anyhow::Error> {
    telemetry::init(read.config().log)?;
    // One in and one out.
    descriptors::check_limit(descriptors::raise_limit(), read.config().limits.connections, 2);
    for twins in CaseTwins::among(read.config()) {
        tracing::warn!(event.name = "config.case_twins", "{twins}");
    }
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
        for twins in CaseTwins::among(read.config()) {
            let _closed = writeln!(std::io::stderr(), "warning: {twins}");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { read.validate(Arc::new(SystemClock)) })
    });
    match valid {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, Exit::Invalid),
    }
}

fn fail(error: &anyhow::Error, exit: Exit) -> ExitCode {
    symbolon_program::fail("symbolon-gateway", error.as_ref(), exit)
}
