//! `symbolon token inspect`: a token's header and claims for people, offline and redacted.
//! Not here: any verification; what it shows is what the token says of itself.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::secret_argument;

/// No token of ours, nor of a platform, is longer.
const MAX_INPUT: u64 = 64 * 1024;

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
    if secret_argument::is_a_token(&options.file.to_string_lossy()) && !options.file.exists() {
        let message = "this looks like a token, not like the name of a file: pass it on standard input, because other users \
             and the shell's history can read arguments";
        return Err(Failure::usage(message).into());
    }
    let text = read(&options.file)?;
    let token = text.trim();
    let token = token.strip_prefix("Bearer ").or_else(|| token.strip_prefix("DPoP ")).unwrap_or(token).trim();
    let shown = symbolon_jws::inspect::inspect(token);
    output::document(options.output, &shown, &shown.to_string())?;
    Ok(Exit::Ok)
}

fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(MAX_INPUT).read_to_string(&mut text)
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("opening {}", file.display()))?;
        opened.take(MAX_INPUT).read_to_string(&mut text)
    };
    read.with_context(|| format!("reading {}", file.display()))?;
    Ok(text)
}
