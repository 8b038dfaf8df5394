//! The walls of ARCHITECTURE.md, checked: who may use whom, how long a file may be, and that no finding is without its
//! detector, its explanation and its recording.

#![expect(clippy::unwrap_used, reason = "what cannot be read fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use goprobe::detect;
use goprobe::finding::Code;
use goprobe::finding::explain::explain;

/// The rooms, each with those that it may use. `cli` may use all of them; nobody uses `cli`.
const MAY_USE: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("source", &["types"]),
    ("packet", &["source", "types"]),
    ("certificate", &["types"]),
    ("go", &["types"]),
    ("observation", &["certificate", "go", "packet", "types"]),
    ("flow", &["observation", "packet", "types"]),
    ("protocol", &["observation", "types"]),
    ("observe", &["certificate", "flow", "observation", "packet", "protocol", "types"]),
    ("reference", &["certificate", "types"]),
    ("artifact", &["go", "observation", "reference", "types"]),
    ("probe", &["certificate", "go", "observation", "protocol", "reference", "types"]),
    ("scope", &["go", "observation", "reference", "types"]),
    ("analyzer", &["flow", "go", "observation", "observe", "packet", "reference", "scope", "source", "types"]),
    ("capture", &["packet", "scope", "source", "types"]),
    ("finding", &["observation", "types"]),
    ("detect", &["certificate", "finding", "go", "observation", "packet", "reference", "types"]),
    ("diagnosis", &["finding", "observation", "types"]),
    ("report", &["certificate", "diagnosis", "finding", "go", "observation", "types"]),
];

/// Lines that a file may have, its tests apart.
const LENGTH: usize = 500;

/// Codes whose detectors are still to come. Entries only go.
const NOT_BUILT: &[&str] = &[
    "env.go_not_found",
    "env.go_shadowed",
    "env.goroot_mismatch",
    "env.gopath_conflict",
    "env.toolchain_too_old",
    "env.toolchain_switch",
    "env.proxy_misread",
    "env.goproxy_no_fallback",
    "env.private_module_leak",
    "env.sumdb_disabled",
    "env.insecure",
    "env.shell_startup",
    "env.ide_environment",
    "env.package_source",
    "env.dockerfile_cache",
    "env.no_trust_store",
];

/// Codes of files, not of recordings: tests/verify.rs has them.
const OF_FILES: &[&str] = &["artifact.sdk_mismatch", "artifact.sdk_signature", "artifact.cache_modified"];

#[test]
fn no_room_uses_one_that_it_may_not() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !matches!(source.room.as_str(), "cli" | "lib" | "main")) {
        let Some(allowed) = allowed.get(source.room.as_str()) else {
            wrong.push(format!("{} is a room without a line in the table", source.room));
            continue;
        };
        for used in source.uses() {
            if used != source.room && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{} uses {used}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_edge_of_the_table_is_unused_and_none_leads_back() {
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources() {
        used.entry(source.room.clone()).or_default().extend(source.uses());
    }
    for (at, (room, allowed)) in MAY_USE.iter().enumerate() {
        let uses = used.get(*room).unwrap_or_else(|| panic!("there is no room {room}"));
        for other in *allowed {
            assert!(uses.contains(*other), "{room} does not use {other} any more: take it off the table");
            assert!(MAY_USE[..at].iter().any(|(earlier, _)| earlier == other), "{room} stands above {other}");
        }
    }
}

#[test]
fn files_have_one_duty_and_few_lines() {
    let mut wrong = Vec::new();
    for source in sources() {
        if source.lines > LENGTH {
            wrong.push(format!("{}: {} lines", source.path, source.lines));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_the_command_line_prints_and_reads_the_clock() {
    for source in sources().iter().filter(|source| source.room != "cli") {
        for word in ["println!", "eprintln!", "print!(", "eprint!(", "SystemTime", "Instant::now"] {
            // Whoever waits for answers must know when to give up.
            let waits = source.room == "probe" && word == "Instant::now";
            assert!(waits || !source.code.contains(word), "{} has {word}", source.path);
        }
    }
}

#[test]
fn only_the_room_that_asks_has_sockets() {
    for source in sources().iter().filter(|source| !matches!(source.room.as_str(), "probe" | "capture")) {
        for word in ["UdpSocket", "TcpStream", "tokio::", "hickory_resolver", "tokio_rustls"] {
            assert!(!source.code.contains(word), "{} has {word}", source.path);
        }
    }
}

#[test]
fn detectors_do_no_input_or_output() {
    for source in sources().iter().filter(|source| matches!(source.room.as_str(), "detect" | "diagnosis" | "finding")) {
        for word in ["std::fs", "std::net::TcpStream", "std::net::UdpSocket", "std::env", "std::process"] {
            assert!(!source.code.contains(word), "{} has {word}", source.path);
        }
    }
}

#[test]
fn every_code_has_an_explanation_and_a_detector_or_an_excuse() {
    let detected: BTreeSet<Code> = detect::ALL.iter().flat_map(|detector| detector.codes).copied().collect();
    let mut wrong = Vec::new();
    for code in Code::ALL {
        let id = code.id();
        assert!(explain(*code).sections().all(|(_, text)| !text.is_empty()), "{id} is not explained");
        if detected.contains(code) == NOT_BUILT.contains(&id) {
            wrong.push(id);
        }
    }
    assert!(wrong.is_empty(), "a detector, or an entry in NOT_BUILT: {wrong:#?}");
    for id in NOT_BUILT {
        assert!(Code::parse(id).is_some(), "{id} is no code");
    }
}

#[test]
fn every_code_with_a_detector_has_a_recording_or_is_of_files() {
    let detected: BTreeSet<Code> = detect::ALL.iter().flat_map(|detector| detector.codes).copied().collect();
    let expected: BTreeSet<String> = cases().into_iter().flat_map(|case| case.expected).collect();
    let mut wrong = Vec::new();
    for code in detected {
        if !expected.contains(code.id()) && !OF_FILES.contains(&code.id()) {
            wrong.push(code.id());
        }
    }
    assert!(wrong.is_empty(), "no recording in captures/ expects: {wrong:#?}");
}

#[test]
fn every_recording_says_what_it_is_and_names_real_codes() {
    let cases = cases();
    assert!(cases.len() > 50, "{} cases", cases.len());
    for Case { path, expected, text } in cases {
        for key in ["title", "made_by", "command", "network", "licence", "outcome"] {
            assert!(text.get(key).is_some(), "{} has no {key}", path.display());
        }
        assert!(expected.iter().all(|code| Code::parse(code).is_some()), "{}: {expected:?}", path.display());
        let recording = fs::read_dir(&path).unwrap().any(|entry| entry.unwrap().file_name() == "capture.pcap");
        assert!(recording, "{} has no recording", path.display());
    }
}

/// A file of the crate without its tests.
struct Source {
    /// Below `src`.
    path: String,
    room: String,
    lines: usize,
    /// Without comments.
    code: String,
}

impl Source {
    /// The rooms that its code names.
    fn uses(&self) -> BTreeSet<String> {
        let mut used = BTreeSet::new();
        for (at, mark) in self.code.match_indices("crate::") {
            let name: String =
                self.code[at + mark.len()..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            used.insert(name);
        }
        used.remove("");
        used
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    files.sort();
    let tests_only = ["tests.rs", "testing.rs", "samples.rs", "fixtures.rs", "cross_check.rs", "build.rs"];
    files
        .iter()
        .filter_map(|file| {
            let below = file.strip_prefix(&root).unwrap();
            let name = below.file_name().unwrap().to_str().unwrap();
            let in_tests = below.components().any(|part| part.as_os_str() == "tests");
            if in_tests || tests_only.contains(&name) {
                return None;
            }
            let room = below.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
            let text = fs::read_to_string(file).unwrap();
            let end =
                text.find("#[cfg(test)]\nmod tests {").or_else(|| text.find("#[cfg(test)]\npub(crate) mod tests {"));
            let text = &text[..end.unwrap_or(text.len())];
            let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            Some(Source {
                path: below.to_str().unwrap().to_owned(),
                room: room.to_owned(),
                lines: text.lines().count(),
                code: code.join("\n"),
            })
        })
        .collect()
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// A folder in `captures/`.
struct Case {
    path: PathBuf,
    expected: Vec<String>,
    text: toml::Table,
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let folders = |path: &Path| {
        let mut folders: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        folders.retain(|path| path.is_dir());
        folders.sort();
        folders
    };
    folders(&root)
        .iter()
        .flat_map(|family| folders(family))
        .map(|path| {
            let text: toml::Table = fs::read_to_string(path.join("case.toml")).unwrap().parse().unwrap();
            let list = text.get("expect").and_then(toml::Value::as_array).cloned().unwrap_or_default();
            let expected = list.iter().filter_map(|code| code.as_str().map(str::to_owned)).collect();
            Case { path, expected, text }
        })
        .collect()
}
