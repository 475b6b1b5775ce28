//! The sidecar as a program.
//! Everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    symbolon_sidecar::cli::main()
}
