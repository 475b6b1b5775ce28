//! The `symbolon-broker` program.
//! Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    symbolon_broker::cli::run()
}
