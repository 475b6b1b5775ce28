//! `symbolon token`: look at a token offline, or get one from the running sidecar.
//! Not here: verifying tokens, which is the gateway's work.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};

use crate::exit::Failure;
use crate::secret_argument;

pub(crate) mod get;
pub(crate) mod inspect;

/// A command about tokens.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum TokenCommand {
    /// Show a token's header and claims without verifying it; the signature is not shown.
    Inspect(inspect::InspectOptions),
    /// Print the token that the running sidecar holds for an upstream.
    Get(get::GetOptions),
}

/// No token of ours, nor of a platform, is longer.
const MAX_INPUT: u64 = 64 * 1024;

/// Reads a token from a file, or from standard input if that is called `-`; without the scheme that may stand before it.
pub(crate) fn read(file: &Path) -> anyhow::Result<SecretString> {
    if secret_argument::is_a_token(&file.to_string_lossy()) && !file.exists() {
        let message = "this looks like a token, not like the name of a file: pass it on standard input, because other users \
             and the shell's history can read arguments";
        return Err(Failure::usage(message).into());
    }
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(MAX_INPUT).read_to_string(&mut text)
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("opening {}", file.display()))?;
        opened.take(MAX_INPUT).read_to_string(&mut text)
    };
    read.with_context(|| format!("reading {}", file.display()))?;
    let text = SecretString::from(text);
    let token = text.expose_secret().trim();
    let token = token.strip_prefix("Bearer ").or_else(|| token.strip_prefix("DPoP ")).unwrap_or(token);
    Ok(token.trim().into())
}
