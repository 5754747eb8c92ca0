//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    idv_callback::cli::run()
}
