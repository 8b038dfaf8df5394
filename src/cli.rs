//! The command line: arguments, files, exit codes. The only room that prints, and the only one that reads the real clock.

mod analyze;
mod args;
#[cfg(all(feature = "capture", target_os = "linux"))]
mod capture;
mod downloads;
mod examine;
mod exit;
mod explain;
mod extract;
#[cfg(any(feature = "probe", all(feature = "capture", target_os = "linux")))]
mod go_settings;
#[cfg(feature = "probe")]
mod mirror;
mod output;
#[cfg(feature = "probe")]
mod probe;
mod rules;
#[cfg_attr(
    not(all(feature = "capture", target_os = "linux")),
    expect(dead_code, reason = "only `capture` makes them, but every goprobe reads them")
)]
mod run_record;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Parser;

use args::{Args, Command, Unbuilt};
pub use exit::Exit;

/// Runs goprobe with the arguments of a process, the first of which is its name, and says how it is to exit.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => {
            // Help and version go to stdout and are a success, all else is a usage error; a closed pipe is neither.
            let _ = error.print();
            return if error.use_stderr() { Exit::Failed } else { Exit::Clear }.into();
        }
    };
    let outcome = match &args.command {
        Command::Analyze(analyze) => analyze::run(analyze),
        Command::Explain(explain) => explain::run(explain),
        Command::Rules(rules) => rules::run(rules),
        #[cfg(all(feature = "capture", target_os = "linux"))]
        Command::Capture(capture) => return capture::run(capture),
        #[cfg(not(all(feature = "capture", target_os = "linux")))]
        Command::Capture(_) => Err(anyhow!("this goprobe was built without `capture`; it runs on Linux only")),
        #[cfg(feature = "probe")]
        Command::Probe(probe) => probe::run(probe),
        #[cfg(not(feature = "probe"))]
        Command::Probe(_) => Err(anyhow!("this goprobe was built without `probe`: it asks nobody")),
        Command::Verify(verify) => verify::run(verify),
        Command::Doctor(rest) => unbuilt("doctor", rest),
        Command::Export(rest) => unbuilt("export", rest),
    };
    match outcome {
        Ok(exit) => exit,
        Err(error) if output::is_closed_pipe(&error) => Exit::Clear,
        Err(error) => {
            output::complain(&error);
            Exit::Failed
        }
    }
    .into()
}

fn unbuilt(name: &str, _: &Unbuilt) -> anyhow::Result<Exit> {
    let version = env!("CARGO_PKG_VERSION");
    Err(anyhow!(
        "goprobe {version} does not have `{name}` yet; `goprobe analyze` reads what tcpdump or Wireshark recorded"
    ))
}
