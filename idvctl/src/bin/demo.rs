//! The whole loop once, in memory, built without the AWS SDK: `cargo demo`.

use std::process::ExitCode;

fn main() -> ExitCode {
    idvctl::demo::main(std::env::args().any(|argument| argument == "--json"))
}
