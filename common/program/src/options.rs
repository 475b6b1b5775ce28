//! The options that all programs have.
//! Not here: what a program does with them.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use schemars::JsonSchema;
use symbolon_daemon::parent;

use crate::Exit;

/// Options of the command that runs a program.
#[derive(Debug, Clone, clap::Args)]
pub struct ServeOptions {
    /// The configuration file.
    #[arg(long)]
    pub config: PathBuf,
    /// Write the addresses to this file as one JSON object, once ready.
    #[arg(long)]
    pub ready_file: Option<PathBuf>,
    /// End when the process that started this one ends.
    #[arg(long)]
    exit_with_parent: bool,
}

/// Commands about the configuration.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum ConfigCommand {
    /// Do all that a start does, except to bind and to fetch; exit with 3 if something is wrong.
    Validate {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Print the JSON Schema of the configuration.
    Schema,
}

impl ServeOptions {
    /// Ties this process to its parent if that was asked for.
    ///
    /// Call it first of all, from the main thread: the kernel ties the signal to the thread that asks.
    ///
    /// # Errors
    /// When the kernel refuses, or the parent has ended.
    pub fn begin(&self) -> io::Result<()> {
        if self.exit_with_parent { parent::exit_with_parent() } else { Ok(()) }
    }
}

/// Reads the command line of this process.
///
/// # Errors
/// The exit code, after help, version or a complaint was printed.
pub fn parse<C: clap::Parser>() -> Result<C, ExitCode> {
    C::try_parse().map_err(|error| {
        // Help and version are answers, not errors.
        let code = if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS };
        // Nobody is left to tell if this fails.
        let _ = error.print();
        code
    })
}

/// Prints the JSON Schema of a configuration on the standard output.
#[must_use]
pub fn schema<C: JsonSchema>(title: &str) -> ExitCode {
    let schema = symbolon_config::schema::<C>(title);
    let written = writeln!(io::stdout(), "{schema:#}");
    if written.is_ok() { ExitCode::SUCCESS } else { Exit::Failed.into() }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        serve: ServeOptions,
    }

    #[test]
    fn a_configuration_is_needed_and_the_rest_is_not() {
        assert!(Cli::try_parse_from(["program"]).is_err());
        let cli = Cli::try_parse_from(["program", "--config", "a.yaml"]).unwrap();
        assert_eq!((cli.serve.ready_file, cli.serve.exit_with_parent), (None, false));
    }
}
