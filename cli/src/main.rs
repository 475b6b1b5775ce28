#![doc = include_str!("../README.md")]

mod cli;
mod dev;
mod doctor;
mod exit;
mod explain;
mod http;
mod inject;
mod key;
mod output;
mod policy;
mod secret_argument;
mod sibling;
mod token;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, the rest is a wrong command line; clap knows which stream each belongs to.
            let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
            match secret_argument::without_tokens(&error.to_string(), arguments) {
                Some(message) => eprint!("{message}"),
                None => drop(error.print()),
            }
            return if error.use_stderr() { exit::Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("symbolon: {error:#}");
            exit::of(&error).into()
        }
    }
}

fn run(cli: cli::Cli) -> anyhow::Result<exit::Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build()?;
    runtime.block_on(async {
        match cli.command {
            cli::Command::Dev(options) => dev::run(options).await,
            cli::Command::Doctor(options) => doctor::run(&options).await,
            cli::Command::Explain(options) => explain::run(options).await,
            cli::Command::Inject(options) => inject::run(&options),
            cli::Command::Key(command) => key::run(command).await,
            cli::Command::Policy(command) => policy::run(command).await,
            cli::Command::Token(token::TokenCommand::Inspect(options)) => token::inspect::run(&options),
            cli::Command::Token(token::TokenCommand::Get(options)) => token::get::run(&options).await,
        }
    })
}
