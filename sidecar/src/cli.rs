//! The command line: what the program can be told, and which exit code each end has.
//! Nothing of the sidecar itself is decided here.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use symbolon_config::{Environment, load, schema};
use symbolon_daemon::{Lifecycle, SystemClock, descriptors, parent, ready_file, telemetry};

use crate::{Config, Settings, Sidecar};

/// Exit codes: 0 ok, 1 failed, 3 invalid configuration, 64 usage.
const INVALID: u8 = 3;
const USAGE: u8 = 64;
/// How long requests in flight may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(25);
/// A sidecar is small: two threads carry tens of thousands of requests a second.
const WORKERS: usize = 2;

/// Gives an unchanged app its workload identity: takes plain requests, adds the token, sends them on.
#[derive(Debug, Parser)]
#[command(name = "symbolon-sidecar", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the sidecar.
    Run(Run),
    /// Checks or describes the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Args)]
struct Run {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
    /// Writes the addresses to this file as one JSON object, once it listens.
    #[arg(long)]
    ready_file: Option<PathBuf>,
    /// Ends when the process that started it ends.
    #[arg(long)]
    exit_with_parent: bool,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Does all that a start does, except to bind and to make a key.
    Validate {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Prints the JSON Schema of the configuration.
    Schema,
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
            // There is nobody left to tell if this fails.
            let _ = error.print();
            return code;
        }
    };
    let done = match cli.command {
        Command::Run(run) => run.run(),
        Command::Config(ConfigCommand::Validate { config }) => validate(&config),
        Command::Config(ConfigCommand::Schema) => print_schema(),
    };
    done.unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "symbolon-sidecar: {error:#}");
        let invalid = error.is::<Invalid>();
        if invalid { ExitCode::from(INVALID) } else { ExitCode::FAILURE }
    })
}

/// What is wrong with the configuration, in words for its operator.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is not valid\n{0}")]
struct Invalid(String);

impl Run {
    fn run(&self) -> anyhow::Result<ExitCode> {
        if self.exit_with_parent {
            parent::exit_with_parent().context("cannot tie our life to the parent's")?;
        }
        let settings = read(&self.config)?;
        telemetry::init(settings.log)?;
        // One in and one out.
        descriptors::check_limit(descriptors::raise_limit(), settings.connections(), 2);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        runtime.block_on(self.serve(settings))
    }

    async fn serve(&self, settings: Settings) -> anyhow::Result<ExitCode> {
        let lifecycle = Lifecycle::with_signals(GRACE).context("cannot listen to signals")?;
        let sidecar = prepare(settings, lifecycle)?;
        let lifecycle = sidecar.lifecycle().clone();
        let addresses = sidecar.start()?;
        if let Some(path) = &self.ready_file {
            ready_file::write(path, &addresses)?;
        }
        Ok(lifecycle.run().await.exit_code())
    }
}

fn validate(path: &Path) -> anyhow::Result<ExitCode> {
    let settings = read(path)?;
    // A key that is kept in a file is made by the first start, not by a check.
    crate::key::check(&settings.key).map_err(|error| invalid(&error.into()))?;
    prepare(Settings { key: crate::KeyConfig::default(), ..settings }, Lifecycle::new(GRACE))?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> anyhow::Result<Settings> {
    let loaded =
        load::<Config>(path, &Environment::of_process()).map_err(|errors| Invalid(errors.to_string()))?;
    Ok(Settings::new(&loaded).map_err(|errors| Invalid(errors.to_string()))?)
}

fn prepare(settings: Settings, lifecycle: Lifecycle) -> anyhow::Result<Sidecar> {
    Sidecar::prepare(settings, lifecycle, Arc::new(SystemClock))
        .map_err(|error| if error.is_invalid_configuration() { invalid(&error.into()) } else { error.into() })
}

fn invalid(error: &anyhow::Error) -> anyhow::Error {
    Invalid(format!("{error:#}")).into()
}

fn print_schema() -> anyhow::Result<ExitCode> {
    let schema = schema::<Config>("Symbolon sidecar configuration");
    let text = serde_json::to_string_pretty(&schema)?;
    writeln!(io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}
