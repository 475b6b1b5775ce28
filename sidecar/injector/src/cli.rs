//! The command line: what the program can be told, and which exit code each end has.
//! Nothing of a pod is decided here.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use symbolon_daemon::{Lifecycle, SystemClock, descriptors, ready_file, telemetry};
use symbolon_program::{ConfigCommand, Exit, ServeOptions, fail, parse};

use crate::admission_policy::{self, Part};
use crate::config::Native;
use crate::inject::{Circumstances, Selection};
use crate::injector::Injector;
use crate::reload::{self, Reloader};
use crate::render::{RenderError, Rendered, render};
use crate::{Config, Settings};

/// How long questions in flight may take to be answered after SIGTERM.
const GRACE: Duration = Duration::from_secs(15);
/// More than all manifests of a large installation.
const MAX_MANIFESTS: u64 = 64 * 1024 * 1024;

/// Gives pods their sidecar.
#[derive(Debug, Parser)]
#[command(name = "symbolon-injector", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the admission webhook.
    Webhook(ServeOptions),
    /// Prints manifests with sidecars in their pods.
    Render(RenderOptions),
    /// Prints an admission policy that does what the webhook does, and one that sees to it.
    AdmissionPolicy(PolicyOptions),
    /// Checks or describes the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, clap::Args)]
struct RenderOptions {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
    /// Manifests; `-` is the standard input. Several are printed one after another.
    #[arg(short, long = "filename", required = true)]
    filenames: Vec<PathBuf>,
    /// Which pods: those with the label, or all that do not decline, as in a namespace that is `enabled` or `enforced`.
    #[arg(long, value_enum, default_value_t)]
    selection: Selected,
}

#[derive(Debug, clap::Args)]
struct PolicyOptions {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
    /// Which of the two.
    #[arg(long, value_enum, default_value_t)]
    only: Only,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Selected {
    #[default]
    Labelled,
    Enabled,
    Enforced,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Only {
    #[default]
    Both,
    Mutating,
    Validating,
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match parse::<Cli>() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let done = match cli.command {
        Command::Webhook(options) => webhook(&options),
        Command::Render(options) => manifests(&options),
        Command::AdmissionPolicy(options) => policies(&options),
        Command::Config(ConfigCommand::Validate { config }) => validate(&config),
        Command::Config(ConfigCommand::Schema) => {
            return symbolon_program::schema::<Config>("Symbolon injector configuration");
        }
    };
    done.unwrap_or_else(|error| {
        let exit = if error.is::<Invalid>() { Exit::Invalid } else { Exit::Failed };
        fail("symbolon-injector", error.as_ref(), exit)
    })
}

/// What is wrong with the configuration, in words for its operator.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is not valid\n{0}")]
struct Invalid(String);

fn webhook(options: &ServeOptions) -> anyhow::Result<ExitCode> {
    options.begin().context("cannot tie our life to the parent's")?;
    let settings = read(&options.config)?;
    telemetry::init(settings.log)?;
    descriptors::check_limit(descriptors::raise_limit(), 256, 1);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(serve(options, settings))
}

async fn serve(options: &ServeOptions, settings: Settings) -> anyhow::Result<ExitCode> {
    let lifecycle = Lifecycle::with_signals(GRACE).context("cannot listen to signals")?;
    let injector = prepare(settings, lifecycle)?;
    let lifecycle = injector.lifecycle().clone();
    let (settings, metrics) = injector.replaceable();
    let addresses = injector.start()?;
    let reloader = Reloader { path: options.config.clone(), settings, metrics };
    lifecycle.spawn_background("reload", reloader.run(lifecycle.clone()));
    if let Some(path) = &options.ready_file {
        ready_file::write(path, &addresses)?;
    }
    Ok(lifecycle.run().await.exit_code())
}

fn manifests(options: &RenderOptions) -> anyhow::Result<ExitCode> {
    let settings = read(&options.config)?;
    let selection = match options.selection {
        Selected::Labelled => Selection::Labelled,
        Selected::Enabled => Selection::Enabled,
        Selected::Enforced => Selection::Enforced,
    };
    let circumstances = Circumstances { selection, native: settings.native != Native::Never };
    let mut all = Rendered::default();
    for path in &options.filenames {
        let text = text_of(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let rendered = render(&text, &settings, circumstances);
        let rendered =
            rendered.map_err(|error: RenderError| anyhow::anyhow!("{}: {error}", path.display()))?;
        if !all.text.is_empty() && !rendered.text.starts_with("---") {
            all.text.push_str(if all.text.ends_with('\n') { "---\n" } else { "\n---\n" });
        }
        all.text.push_str(&rendered.text);
        all.warnings.extend(rendered.warnings);
        all.injected += rendered.injected;
    }
    for warning in &all.warnings {
        writeln!(io::stderr(), "warning: {warning}")?;
    }
    print(&all.text)
}

fn policies(options: &PolicyOptions) -> anyhow::Result<ExitCode> {
    let settings = read(&options.config)?;
    let parts: &[Part] = match options.only {
        Only::Both => &[Part::Mutating, Part::Validating],
        Only::Mutating => &[Part::Mutating],
        Only::Validating => &[Part::Validating],
    };
    print(&admission_policy::documents(&settings, parts))
}

fn validate(path: &Path) -> anyhow::Result<ExitCode> {
    prepare(read(path)?, Lifecycle::new(GRACE))?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> anyhow::Result<Settings> {
    Ok(reload::read(path).map_err(|errors| Invalid(errors.to_string()))?)
}

fn prepare(settings: Settings, lifecycle: Lifecycle) -> anyhow::Result<Injector> {
    Injector::prepare(settings, lifecycle, Arc::new(SystemClock)).map_err(|error| {
        let invalid = error.is_invalid_configuration();
        let error = anyhow::Error::from(error);
        if invalid { Invalid(format!("{error:#}")).into() } else { error }
    })
}

fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    if path == Path::new("-") {
        io::stdin().take(MAX_MANIFESTS).read_to_string(&mut text)?;
    } else {
        std::fs::File::open(path)?.take(MAX_MANIFESTS).read_to_string(&mut text)?;
    }
    Ok(text)
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    io::stdout().write_all(text.as_bytes()).context("cannot write to the standard output")?;
    Ok(ExitCode::SUCCESS)
}
