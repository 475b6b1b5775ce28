//! `symbolon token inspect`: a token's header and claims for people, offline and redacted.
//! Not here: any verification; what it shows is what the token says of itself.

use std::path::PathBuf;

use secrecy::ExposeSecret as _;

use crate::exit::Exit;
use crate::output::{self, Format};

/// Options of `symbolon token inspect`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  symbolon token get --upstream notes | symbolon token inspect\n  symbolon token inspect /var/run/secrets/tokens/symbolon"
)]
pub(crate) struct InspectOptions {
    /// The file that holds the token; `-` is standard input. A token is never given as an argument.
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

/// Shows the token.
pub(crate) fn run(options: &InspectOptions) -> anyhow::Result<Exit> {
    let token = super::read(&options.file)?;
    let shown = symbolon_jws::inspect::inspect(token.expose_secret());
    output::document(options.output, &shown, &shown.to_string())?;
    Ok(Exit::Ok)
}
