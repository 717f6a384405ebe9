//! The `posthaste` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    posthaste::cli::run(std::env::args_os())
}
