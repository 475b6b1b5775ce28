//! `symbolon token`: look at a token offline, or get one from the running sidecar.
//! Not here: verifying tokens, which is the gateway's work.

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
