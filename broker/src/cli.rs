//! The command line of `symbolon-broker`.
//! Not here: what serving means (`app`).

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use symbolon_config::{ConfigErrors, Environment};
use symbolon_daemon::descriptors;
use symbolon_program::{ConfigCommand, Exit, ServeOptions, fail, parse};

use crate::config::Config;
use crate::{App, Plan};

const NAME: &str = "symbolon-broker";

/// The token service: attests workloads and issues short-lived tokens.
#[derive(Debug, Parser)]
#[command(name = "symbolon-broker", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve tokens until told to stop.
    Serve(ServeOptions),
    /// Check or describe the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// Runs the command of this process's arguments.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match parse::<Cli>() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match cli.command {
        Command::Serve(arguments) => serve(&arguments),
        Command::Config(ConfigCommand::Validate { config }) => match load(&config) {
            Ok(plan) => {
                for warning in plan.warnings() {
                    let _ = writeln!(std::io::stderr(), "warning: {warning}");
                }
                rehearse(plan)
            }
            Err(errors) => invalid(&errors),
        },
        Command::Config(ConfigCommand::Schema) => {
            symbolon_program::schema::<Config>("symbolon-broker configuration")
        }
    }
}

fn load(path: &Path) -> Result<Plan, ConfigErrors> {
    Plan::load(path, &Environment::of_process())
}

/// What a start would say to what is there already.
fn rehearse(plan: Plan) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(NAME, &error, Exit::Unavailable),
    };
    match runtime.block_on(App::new(plan, None).rehearse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(NAME, &error, Exit::Invalid),
    }
}

fn serve(options: &ServeOptions) -> ExitCode {
    if let Err(error) = options.begin() {
        return fail(NAME, &error, Exit::Failed);
    }
    let plan = match load(&options.config) {
        Ok(plan) => plan,
        Err(errors) => return invalid(&errors),
    };
    if let Err(error) = symbolon_daemon::telemetry::init(plan.telemetry()) {
        return fail(NAME, &error, Exit::Failed);
    }
    descriptors::check_limit(descriptors::raise_limit(), plan.connections(), 1);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(NAME, &error, Exit::Unavailable),
    };
    match runtime.block_on(App::new(plan, options.ready_file.clone()).run()) {
        Ok(ended) => ended.exit_code(),
        Err(error) => {
            let cause = crate::error_chain(&error);
            tracing::error!(event.name = "start.failed", cause, "the broker cannot start");
            Exit::Unavailable.into()
        }
    }
}

fn invalid(errors: &ConfigErrors) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{errors}");
    Exit::Invalid.into()
}
