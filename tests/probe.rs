//! `goprobe probe` in the lab (tests/lab/README.md): needs root and what `tests/lab/setup` installs, and fails without.
//! `GOPROBE_LAB=off` leaves it out, and says so on the real standard error.
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
    "late-answer",
    "invents",
    "hosts-file",
    "bypassed",
    "shape-sni-reset-beside",
    "shape-server-reset",
    "shape-ml-dsa",
];

/// Without what the lab needs nothing is proven.
fn need(there: bool, what: &str) {
    assert!(there, "{what}; tests/lab/setup, as root, installs what is needed, GOPROBE_LAB=off leaves this out");
}

#[test]
fn the_network_is_told_as_it_is() {
    if std::env::var("GOPROBE_LAB").is_ok_and(|value| value == "off") {
        let _ = writeln!(std::io::stderr(), "LEFT OUT, as GOPROBE_LAB=off says: goprobe probe in the hostile network");
        return;
    }
    need(Uid::effective().is_root(), "network namespaces need root");
    let go = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab/go-1.27.3/go/bin/go");
    need(go.exists(), "there is no go");
    for program in ["nsd", "unbound", "dnsmasq", "tshark", "ip"] {
        let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
        need(found.is_ok_and(|output| output.status.success()), &format!("there is no {program}"));
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
