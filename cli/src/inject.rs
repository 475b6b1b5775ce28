//! `symbolon inject`: sidecars in manifests, by the injector's own program.
//! Not here: what a pod gets or why it is refused, which only `symbolon-injector` knows.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Context as _;

use crate::exit::Exit;
use crate::sibling;

const INJECTOR: &str = "symbolon-injector";
const WAY_OUT: &str = "`symbolon inject` is the work of `symbolon-injector`, which is not installed here: put it beside \
                       `symbolon` from the same release, or run `symbolon-injector render` of its container image";

/// Options of `symbolon inject`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Standard input and output and the exit code are those of `symbolon-injector render`; `symbolon inject -- --help` prints its options.\n\nExamples:\n  symbolon inject --config injector.yaml -f deploy.yaml > injected.yaml\n  helm template shop ./shop | symbolon inject --config injector.yaml -f - | kubectl apply -f -"
)]
pub(crate) struct InjectOptions {
    /// What `symbolon-injector render` is given: `--config FILE -f MANIFESTS`, with `-` for standard input.
    #[arg(value_name = "ARGUMENTS", trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    arguments: Vec<OsString>,
}

/// Becomes that program, so that signals, streams and exit code need no carrying; comes back only if it cannot.
pub(crate) fn run(options: &InjectOptions) -> anyhow::Result<Exit> {
    let injector = sibling::find(INJECTOR).context(WAY_OUT)?;
    let failed = Command::new(&injector).arg("render").args(&options.arguments).exec();
    Err(failed).with_context(|| format!("starting {}", injector.display()))
}
