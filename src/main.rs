//! The `goprobe` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    goprobe::cli::run(std::env::args_os())
}
