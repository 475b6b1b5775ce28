//! The command line: what the program can be told, and which exit code each end has.
//! Nothing of the sidecar itself is decided here.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use symbolon_config::{Environment, load};
use symbolon_daemon::{Lifecycle, SystemClock, descriptors, ready_file, telemetry};
use symbolon_program::{ConfigCommand, Exit, ServeOptions, fail, parse};

use crate::doctor::{self, DoctorOptions, Outcome, Surroundings};
use crate::{Config, Settings, Sidecar};

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
    Run(ServeOptions),
    /// Looks whether a sidecar with this configuration would work here, and says what to do if not. Exit codes: 0 all fine,
    /// 1 something failed, 3 invalid configuration, 69 the broker cannot be reached.
    Doctor(DoctorOptions),
    /// Checks or describes the configuration.
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
    let done = match cli.command {
        Command::Run(options) => run(&options),
        Command::Doctor(options) => examine(&options),
        Command::Config(ConfigCommand::Validate { config }) => validate(&config),
        Command::Config(ConfigCommand::Schema) => {
            return symbolon_program::schema::<Config>("Symbolon sidecar configuration");
        }
    };
    done.unwrap_or_else(|error| {
        let exit = if error.is::<Invalid>() { Exit::Invalid } else { Exit::Failed };
        fail("symbolon-sidecar", error.as_ref(), exit)
    })
}

/// What is wrong with the configuration, in words for its operator.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is not valid\n{0}")]
struct Invalid(String);

fn run(options: &ServeOptions) -> anyhow::Result<ExitCode> {
    options.begin().context("cannot tie our life to the parent's")?;
    let settings = read(&options.config)?;
    telemetry::init(settings.log)?;
    // One in and one out.
    descriptors::check_limit(descriptors::raise_limit(), settings.connections(), 2);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(serve(options, settings))
}

async fn serve(options: &ServeOptions, settings: Settings) -> anyhow::Result<ExitCode> {
    let lifecycle = Lifecycle::with_signals(GRACE).context("cannot listen to signals")?;
    let sidecar = prepare(settings, lifecycle)?;
    let lifecycle = sidecar.lifecycle().clone();
    let addresses = sidecar.start()?;
    if let Some(path) = &options.ready_file {
        ready_file::write(path, &addresses)?;
    }
    Ok(lifecycle.run().await.exit_code())
}

fn examine(options: &DoctorOptions) -> anyhow::Result<ExitCode> {
    let settings = read(&options.config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let report = runtime.block_on(doctor::examine(&settings, &Surroundings::of_process(), &SystemClock));
    // A read that hangs is not waited for.
    runtime.shutdown_background();
    writeln!(std::io::stdout(), "{}", report.text(options.output))?;
    Ok(match report.outcome {
        Outcome::Ok => ExitCode::SUCCESS,
        Outcome::Failed => Exit::Failed.into(),
        Outcome::BrokerUnreachable => Exit::Unavailable.into(),
    })
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
