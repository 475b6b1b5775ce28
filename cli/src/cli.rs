//! The command line of `symbolon`: its commands and what they share.
//! Not here: what a command does.

use std::path::PathBuf;

use crate::dev::DevOptions;
use crate::doctor::DoctorOptions;
use crate::explain::ExplainOptions;
use crate::inject::InjectOptions;
use crate::key::KeyCommand;
use crate::policy::PolicyCommand;
use crate::token::TokenCommand;

/// The operator's tool of Symbolon, the workload identity token broker.
#[derive(Debug, clap::Parser)]
#[command(
    name = "symbolon",
    version,
    propagate_version = true,
    after_help = "Exit codes: 0 ok or allowed, 1 failed, 2 denied, 3 invalid policy or configuration, 4 undetermined, 64 usage, 69 service unavailable."
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A command.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Run broker, sidecar and gateway on this machine, for development only.
    Dev(DevOptions),
    /// Look whether a sidecar would work here, and say what to do if not.
    Doctor(DoctorOptions),
    /// Tell why a request was allowed, denied or refused.
    Explain(ExplainOptions),
    /// Print manifests with sidecars in their pods, by the program `symbolon-injector`.
    Inject(InjectOptions),
    /// Look at the broker's signing keys and change them.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Check, test, try out and write policies.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Look at tokens and get them.
    #[command(subcommand)]
    Token(TokenCommand),
}

/// Which running programs a command talks to.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Running {
    /// The folder of a running `symbolon dev`; taken from the environment variable `SYMBOLON_DEV` if that is set.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

impl Running {
    /// The folder of a running `symbolon dev`, if one was named.
    pub(crate) fn state_dir(&self) -> Option<PathBuf> {
        let named = self.state_dir.clone();
        named
            .or_else(|| std::env::var_os("SYMBOLON_DEV").filter(|value| !value.is_empty()).map(PathBuf::from))
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_token_is_never_an_argument_value() {
        assert!(Cli::try_parse_from(["symbolon", "token", "inspect", "--token", "x"]).is_err());
        for parsed in [["symbolon", "token", "inspect", "-"], ["symbolon", "token", "inspect", "file"]] {
            assert!(Cli::try_parse_from(parsed).is_ok());
        }
    }
}
