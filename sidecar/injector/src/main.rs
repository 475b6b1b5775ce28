//! The injector as a program.
//! Everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    symbolon_injector::cli::main()
}
