//! The command line of `symbolon-broker`.
//! Not here: what serving means (`app`).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use symbolon_config::{ConfigErrors, Environment};

use crate::{App, Plan};

/// Exit code for a configuration or policy that is not valid.
const INVALID: u8 = 3;
/// Exit code for wrong usage.
const USAGE: u8 = 64;
/// Exit code for a start that failed: a socket, the store, or a key cannot be had.
const UNAVAILABLE: u8 = 69;

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
    Serve(Serve),
    /// Check or describe the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Args)]
struct Serve {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
    /// Write the addresses to this file once ready, as one JSON object.
    #[arg(long)]
    ready_file: Option<PathBuf>,
    /// End when the process that started this one ends.
    #[arg(long)]
    exit_with_parent: bool,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Do all that a start does, except listen; exit with 3 if something is wrong.
    Validate {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Print the JSON Schema of the configuration.
    Schema,
}

/// Runs the command of this process's arguments.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
            // Nothing to do about a closed terminal.
            let _ = error.print();
            return code;
        }
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
        Command::Config(ConfigCommand::Schema) => schema(),
    }
}

fn load(path: &Path) -> Result<Plan, ConfigErrors> {
    Plan::load(path, &Environment::of_process())
}

/// What a start would say to what is there already.
fn rehearse(plan: Plan) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed("cannot validate", &error, UNAVAILABLE),
    };
    match runtime.block_on(App::new(plan, None).rehearse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed("the broker would not start", &error, INVALID),
    }
}

fn serve(arguments: &Serve) -> ExitCode {
    // First thing, from the thread that lives as long as the process.
    if arguments.exit_with_parent
        && let Err(error) = symbolon_daemon::parent::exit_with_parent()
    {
        return failed("cannot follow the parent process", &error, 1);
    }
    let plan = match load(&arguments.config) {
        Ok(plan) => plan,
        Err(errors) => return invalid(&errors),
    };
    if let Err(error) = symbolon_daemon::telemetry::init(plan.telemetry()) {
        return failed("cannot log", &error, 1);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed("cannot start", &error, UNAVAILABLE),
    };
    match runtime.block_on(App::new(plan, arguments.ready_file.clone()).run()) {
        Ok(ended) => ended.exit_code(),
        Err(error) => {
            let cause = crate::error_chain(&error);
            tracing::error!(event.name = "start.failed", cause, "the broker cannot start");
            ExitCode::from(UNAVAILABLE)
        }
    }
}

fn schema() -> ExitCode {
    let schema = symbolon_config::schema::<crate::config::Config>("symbolon-broker configuration");
    match writeln!(std::io::stdout(), "{schema:#}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn invalid(errors: &ConfigErrors) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{errors}");
    ExitCode::from(INVALID)
}

fn failed(what: &str, error: &dyn std::error::Error, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{what}: {}", crate::error_chain(error));
    ExitCode::from(code)
}
