//! The manners of the command: exit codes, which stream gets what, closed pipes.

use std::process::{Command, Output, Stdio};

#[expect(clippy::expect_used, reason = "a command that does not start is a failed test")]
fn goprobe(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_goprobe"));
    command.args(arguments).stdin(Stdio::null()).output().expect("goprobe must start")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_and_version_are_data_and_a_success() {
    for arguments in [&["--help"][..], &["--version"], &["analyze", "--help"]] {
        let output = goprobe(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn usage_errors_end_with_two_and_leave_stdout_alone() {
    for arguments in [
        &[][..],
        &["analyze"],
        &["frobnicate"],
        &["analyze", "x.pcap", "--format", "yaml"],
        &["analyze", "x.pcap", "--deny", "tls.no_such_code"],
        &["analyze", "x.pcap", "--format", "sarif"],
        &["analyze", "x.pcap", "--probe"],
        &["analyze", "no/such/file.pcap"],
        &["explain", "tls.no_such_code"],
        &["capture", "--", "go", "get", "./..."],
        &["probe", "proxy.golang.org"],
        &["verify", "."],
        &["doctor"],
        &["export", "--to", "jira", "report.json"],
        &["rules", "update"],
    ] {
        let output = goprobe(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn an_unknown_code_is_named_before_any_file_is_read() {
    let output = goprobe(&["analyze", "no/such/file.pcap", "--allow", "tls.no_such_code"]);
    assert!(text(&output.stderr).contains("`tls.no_such_code`"), "{}", text(&output.stderr));
}

#[test]
fn what_is_to_come_says_so() {
    let output = goprobe(&["capture", "-i", "any", "--", "go", "get", "./..."]);
    assert!(text(&output.stderr).contains("does not have `capture` yet"), "{}", text(&output.stderr));
}

#[test]
fn explain_lists_every_code_as_json() {
    let output = goprobe(&["explain", "--all", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("valid JSON");
    let codes = document["codes"].as_array().expect("a list");
    assert_eq!(codes.len(), goprobe::finding::Code::ALL.len());
}

#[test]
fn explain_fits_a_page() {
    let output = goprobe(&["explain", "tls.sni_reset"]);
    let page = text(&output.stdout);
    assert!(page.starts_with("tls.sni_reset (critical)\n"), "{page}");
    assert!(page.lines().all(|line| line.chars().count() <= 100), "{page}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_goprobe"))
        .args(["explain", "--all", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("goprobe must start");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("goprobe must end");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}
