//! `goprobe capture` with a real go, in a closed network of namespaces: needs root and what `tests/lab/setup` installs, and
//! fails without. `GOPROBE_LAB=off` leaves these tests out, and says so on the real standard error.
//!
//! `LIVE=all cargo test --test live` runs every case of the lab, `LIVE=tls,live/direct-git …` those that are named; without, a
//! choice of them that takes a minute.

#![cfg(all(target_os = "linux", feature = "capture"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::Uid;

/// What each change is tried with.
const CHOICE: &[&str] = &[
    "clean/direct-tls13",
    "clean/connect-proxy",
    "clean/ipv6",
    "cert/missing-intermediate-tls13",
    "dns/tcp-blocked",
    "proxy/wrong-scheme-silent",
    "tls/sni-reset-early",
    "tls/residual-block",
    "live/",
];

/// Versions of go whose programs are tried, beside the one in the PATH. They differ in how functions begin, in their tables
/// and in how arguments are passed.
const VERSIONS: &[&str] = &["1.27.3", "1.25.5", "1.24.11", "1.22.10", "1.21.13", "1.19"];

fn lab() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab")
}

/// Whether the lab is switched off; what is not tried for it is said.
fn is_off(what: &str) -> bool {
    let off = std::env::var("GOPROBE_LAB").is_ok_and(|value| value == "off");
    if off {
        let _ = writeln!(std::io::stderr(), "LEFT OUT, as GOPROBE_LAB=off says: {what}");
    }
    off
}

/// Without what the lab needs nothing is proven.
fn need(there: bool, what: &str) {
    assert!(there, "{what}; tests/lab/setup, as root, installs what is needed, GOPROBE_LAB=off leaves this out");
}

#[test]
fn live_runs_are_judged_as_their_cases_say() {
    if is_off("goprobe capture in the hostile network") {
        return;
    }
    need(Uid::effective().is_root(), "network namespaces need root");
    need(go("1.27.3").is_some(), "there is no go");
    let wanted = std::env::var("LIVE").unwrap_or_default();
    let mut command = Command::new(lab().join("live"));
    match wanted.as_str() {
        "all" => {}
        "" => drop(command.args(CHOICE)),
        names => drop(command.args(names.split(','))),
    }
    let output = command.env("GOPROBE", env!("CARGO_BIN_EXE_goprobe")).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    for line in said.lines().filter(|line| line.contains("SKIPPED")) {
        let _ = writeln!(std::io::stderr(), "{line}");
    }
    println!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// The go of a version, if it is there.
fn go(version: &str) -> Option<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/lab/go-{version}/go/bin/go"));
    installed.exists().then_some(installed)
}

/// Builds the client, with what the linker is told beside; `None` where that go cannot.
fn client(go: &Path, folder: &Path, linker: &str, mode: &str) -> Option<PathBuf> {
    let program = folder.join("client");
    let output = Command::new(go)
        .args(["build", "-ldflags", linker, "-buildmode", mode, "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(lab().join("client"))
        .envs([("GOTOOLCHAIN", "local"), ("GOFLAGS", ""), ("GOPROXY", "off"), ("CGO_ENABLED", "0"), ("GOENV", "off")])
        .env("GOCACHE", Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab/gocache"))
        .output()
        .unwrap();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let _ = writeln!(std::io::stderr(), "LEFT OUT: {} cannot build {linker} {mode}: {said}", go.display());
    }
    output.status.success().then_some(program)
}

/// How many sessions' secrets a recording holds, by their client randoms.
fn sessions(recording: &Path) -> usize {
    let bytes = std::fs::read(recording).unwrap();
    let randoms: BTreeSet<&[u8]> = bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let mut words = line.split(|byte| *byte == b' ');
            let (label, random, secret) = (words.next()?, words.next()?, words.next()?);
            let known = label.ends_with(b"CLIENT_RANDOM") || label.ends_with(b"_SECRET_0");
            (known && random.len() == 64 && secret.len() >= 64).then_some(random)
        })
        .collect();
    randoms.len()
}

#[test]
fn no_secret_of_a_busy_program_is_missed() {
    if is_off("secrets of Go programs") {
        return;
    }
    let gos: Vec<PathBuf> = VERSIONS.iter().filter_map(|version| go(version)).collect();
    need(!gos.is_empty(), "there is no go");
    let folder = tempfile::TempDir::new().unwrap();
    let mut tried = 0;
    for go in &gos {
        for (linker, mode, versions) in
            [("", "default", &["1.3", "1.2"][..]), ("-s -w", "default", &["1.3"]), ("-s -w", "pie", &["1.3"])]
        {
            let Some(program) = client(go, folder.path(), linker, mode) else { continue };
            for version in versions {
                let file = folder.path().join("kept.pcapng");
                let output = Command::new(env!("CARGO_BIN_EXE_goprobe"))
                    .args(["capture", "--no-probe", "--no-packets", "-w"])
                    .arg(&file)
                    .arg("--")
                    .arg(&program)
                    .args(["60", *version])
                    .output()
                    .unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                let what = format!("{} {linker} {mode} TLS {version}", go.display());
                need(!said.contains("forbids to trace"), &said);
                assert_eq!(output.status.code(), Some(0), "{what}: {said}");
                assert_eq!(output.stdout, b"60\n", "{what}: {said}");
                assert_eq!(sessions(&file), 60, "{what}: {said}");
                tried += 1;
            }
        }
    }
    assert!(tried > 0, "no go could build anything");
    println!("{tried} programs of {} toolchains", gos.len());
}

#[test]
fn a_program_that_outlives_the_command_goes_on_without_a_breakpoint() {
    if is_off("a daemon that a command leaves behind") {
        return;
    }
    let found = VERSIONS.iter().find_map(|version| go(version));
    need(found.is_some(), "there is no go");
    let folder = tempfile::TempDir::new().unwrap();
    let program = found.and_then(|go| client(&go, folder.path(), "", "default")).unwrap();
    let said = folder.path().join("said");
    let line = format!("{} 60 1.3 >{} 2>&1 & sleep 0.3; exit 3", program.display(), said.display());
    let output = Command::new(env!("CARGO_BIN_EXE_goprobe"))
        .args(["capture", "--no-probe", "--no-packets", "--discard", "--", "sh", "-c", &line])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let told = || std::fs::read_to_string(&said).unwrap_or_default();
    assert_eq!(told(), "", "goprobe waited for what its command left behind");
    for _ in 0..600 {
        if !told().is_empty() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(told(), "60\n");
}
