//! `goprobe probe` in the lab: see `tests/lab/README.md`. It needs root and what `tests/lab/setup` installs; what is missing is
//! said, on the real standard error, and skipped.
//!
//! `PROBE=all cargo test --test probe` runs every case, `PROBE=dead,geo …` those that are named; without, a choice of them.

#![cfg(all(target_os = "linux", feature = "probe", feature = "capture"))]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::Uid;

/// What each change is tried with.
const CHOICE: &[&str] = &[
    "honest",
    "forged-udp",
    "hijacking-resolver",
    "intercepted",
    "split-horizon",
    "private",
    "shape-sni-reset-beside",
    "shape-server-reset",
    "shape-ml-dsa",
];

fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: probe in network namespaces: {why}");
}

#[test]
fn the_network_is_told_as_it_is() {
    if !Uid::effective().is_root() {
        return skipped("it needs root");
    }
    if !Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab/go-1.27.3/go/bin/go").exists() {
        return skipped("it needs what tests/lab/setup installs");
    }
    for program in ["nsd", "unbound", "dnsmasq", "tshark"] {
        if !Command::new("sh")
            .args(["-c", &format!("command -v {program}")])
            .output()
            .is_ok_and(|it| it.status.success())
        {
            return skipped(&format!("there is no {program}"));
        }
    }
    if !Command::new("ip").args(["netns", "list"]).output().is_ok_and(|output| output.status.success()) {
        return skipped("there are no network namespaces");
    }
    let wanted = std::env::var("PROBE").unwrap_or_default();
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/probe"));
    match wanted.as_str() {
        "all" => {}
        "" => drop(command.args(CHOICE)),
        names => drop(command.args(names.split(','))),
    }
    let output = command.env("GOPROBE", env!("CARGO_BIN_EXE_goprobe")).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
