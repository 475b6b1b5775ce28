//! `symbolon-gateway`: the gateway verifier as a program.
//! Not here: anything but the way in.

use std::process::ExitCode;

fn main() -> ExitCode {
    symbolon_gateway_verifier::cli::main()
}
