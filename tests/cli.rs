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
        &["capture"],
        &["capture", "go", "get", "./..."],
        &["probe"],
        &["probe", "no//path"],
        &["verify"],
        &["verify", "no/such/file.zip"],
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
#[cfg(feature = "probe")]
fn a_dry_run_says_whom_it_would_ask_and_keeps_private_names_from_strangers() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let env = folder.path().join("env");
    std::fs::write(&env, "GOPRIVATE=git.example.net\nGOSUMDB=off\n").expect("a file");
    let env = env.to_str().expect("a path");
    let output = goprobe(&["probe", "--dry-run", "--go-env", env, "git.example.net/team/mod", "goproxy.io"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let plan = text(&output.stdout);
    let asked =
        |name: &str, who: &str| plan.lines().any(|line| line.contains(who) && line.contains(&format!("A of {name}")));
    assert!(asked("goproxy.io", "cloudflare") && asked("goproxy.io", "from the root"), "{plan}");
    assert!(asked("git.example.net", "the configured resolver"), "{plan}");
    assert!(!asked("git.example.net", "cloudflare") && !asked("git.example.net", "from the root"), "{plan}");
    assert!(plan.contains("No public resolver is asked about git.example.net: GOPRIVATE covers it"), "{plan}");
    assert!(plan.contains("the budget is at most 140.0 s and 2212 packets"), "{plan}");
}

#[test]
fn what_is_to_come_says_so() {
    let output = goprobe(&["doctor"]);
    assert!(text(&output.stderr).contains("does not have `doctor` yet"), "{}", text(&output.stderr));
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
fn the_page_of_all_codes_is_current() {
    let output = goprobe(&["explain", "--all", "--format", "markdown"]);
    let page = text(&output.stdout);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/codes.md"), &page).expect("docs/codes.md");
        return;
    }
    assert!(include_str!("../docs/codes.md") == page, "BLESS=1 cargo test --test cli writes it");
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

#[test]
fn the_report_in_the_readme_is_what_goprobe_says() {
    let folder = "captures/tls/sni-reset-early";
    let recording = format!("{folder}/capture.pcap");
    let facts = ["--go-log", "go.stderr", "--go-env", "env.txt", "--reference", "reference.json", "--ca", "root.pem"];
    let mut arguments = vec!["analyze".to_owned(), recording, "--go-exit".to_owned(), "1".to_owned()];
    for pair in facts.as_chunks::<2>().0 {
        arguments.extend([pair[0].to_owned(), format!("{folder}/{}", pair[1])]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = goprobe(&arguments);
    assert_eq!(output.status.code(), Some(1));
    let report = text(&output.stdout);
    if std::env::var_os("BLESS").is_some() {
        let readme = include_str!("../README.md");
        let (before, rest) = readme.split_once("```\n").expect("a block");
        let (_, after) = rest.split_once("```\n").expect("its end");
        std::fs::write("README.md", format!("{before}```\n{report}```\n{after}")).expect("README.md");
        return;
    }
    assert!(include_str!("../README.md").contains(&report), "BLESS=1 writes it:\n{report}");
}

#[test]
fn quiet_and_verbose_change_remarks_and_not_the_report() {
    let run = |option: &str| goprobe(&["analyze", "captures/clean/direct-tls13/capture.pcap", option]);
    let (plain, quiet, verbose) = (run("--no-probe"), run("-q"), run("-v"));
    assert!(plain.stderr.is_empty() && quiet.stderr.is_empty());
    assert!(text(&verbose.stderr).contains("judged hosts: proxy.golang.org"), "{}", text(&verbose.stderr));
    assert!(plain.stdout == quiet.stdout && plain.stdout == verbose.stdout);
}
