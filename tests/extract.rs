//! `--extract`: what lies on disk afterwards is what was in the recording, and nothing else.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/pipeline.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::allow_attributes, reason = "shared by several tests")]
mod pipeline;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn analyze(recording: &Path, keys: Option<&Path>, into: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_goprobe"));
    command.arg("analyze").arg(recording).arg("--extract").arg(into).args(more);
    if let Some(keys) = keys.filter(|keys| keys.exists()) {
        command.arg("--keylog").arg(keys);
    }
    command.stdin(Stdio::null()).output().unwrap()
}

/// A recording of ours, with its keys.
fn extracted(case: &str, into: &Path, more: &[&str]) -> Output {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures").join(case);
    analyze(&folder.join("capture.pcap"), Some(&folder.join("keys.log")), into, more)
}

fn sha256(path: &Path) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, &fs::read(path).unwrap());
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All files below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(inside).unwrap() {
            let path = entry.unwrap().path();
            if fs::symlink_metadata(&path).unwrap().is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

fn lines(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("manifest.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Sorted `GET URL hash` of exchanges with a body.
fn bodies<'v>(exchanges: impl IntoIterator<Item = &'v Value>) -> Vec<String> {
    let told = exchanges.into_iter().filter(|it| it["body_bytes"] != 0 && it["method"] != "HEAD");
    let mut told: Vec<String> = told
        .map(|it| {
            format!("{} {} {} {} {}", it["method"], it["url"], it["body_bytes"], it["complete"], it["body_sha256"])
        })
        .collect();
    told.sort();
    told
}

/// Holds what lies in the folder against its list, and the list against the observations. The number of whole bodies.
fn agree(name: &str, folder: &Path, report: &Value) -> usize {
    let lines = lines(folder);
    let exchanges = report["observations"]["exchanges"].as_array().unwrap();
    assert_eq!(bodies(&lines), bodies(exchanges), "{name}");
    let listed: BTreeSet<PathBuf> = lines.iter().map(|line| folder.join(line["path"].as_str().unwrap())).collect();
    let mut there: BTreeSet<PathBuf> = files(folder).into_iter().collect();
    assert!(there.remove(&folder.join("manifest.jsonl")));
    assert_eq!(listed, there, "{name}");
    assert_eq!(listed.len(), lines.len(), "{name}: each has a file of its own");
    for line in &lines {
        let path = folder.join(line["path"].as_str().unwrap());
        let incomplete = path.extension().is_some_and(|extension| extension == "incomplete");
        assert_eq!(line["complete"], !incomplete, "{name}: {}", path.display());
        if !incomplete {
            assert_eq!(line["body_sha256"], sha256(&path), "{name}: {}", path.display());
        } else if line["holes"].as_array().unwrap().is_empty() {
            assert_eq!(line["body_bytes"], fs::metadata(&path).unwrap().len(), "{name}: {}", path.display());
        }
    }
    lines.iter().filter(|line| line["complete"] == true).count()
}

#[test]
fn a_zip_inside_tls_and_http_2_is_the_one_that_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let output = extracted("clean/direct-tls13-keys", folder.path(), &[]);
    let said = format!("goprobe: extracted 8 bodies to {}", folder.path().display());
    assert!(String::from_utf8_lossy(&output.stderr).contains(&said));
    let zip = folder.path().join("proxy.golang.org/example.com/lab/greeting/@v/v1.0.0.zip");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/clean/direct-tls13-keys/observations.json");
    let golden: Value = serde_json::from_slice(&fs::read(golden).unwrap()).unwrap();
    let sent = golden["exchanges"].as_array().unwrap().iter().find(|it| it["url"].as_str().unwrap().ends_with(".zip"));
    assert_eq!(sent.unwrap()["body_sha256"], sha256(&zip));
    let bytes = fs::read(&zip).unwrap();
    // APPNOTE.TXT 4.3.7 and 4.3.16: a local file header first, and the end of the central directory last.
    assert!(bytes.starts_with(b"PK\x03\x04") && bytes[bytes.len() - 22..].starts_with(b"PK\x05\x06"));
}

#[test]
fn a_zip_that_was_cut_short_is_marked() {
    let folder = tempfile::tempdir().unwrap();
    let output = extracted("http/truncated-zip", folder.path(), &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("extracted 4 bodies (1 incomplete) to "));
    let below = folder.path().join("artifactory.corp.example/example.com/lab/greeting/@v");
    assert!(
        fs::read(below.join("v1.0.0.zip.incomplete")).unwrap().starts_with(b"PK") && !below.join("v1.0.0.zip").exists()
    );
    assert!(below.join("v1.0.0.info").exists());
}

#[test]
fn the_same_recording_gives_the_same_files_and_the_same_list() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for folder in &folders {
        extracted("clean/sumdb-keys", folder.path(), &["-q"]);
    }
    let [one, two] = folders.each_ref().map(|folder| {
        let files = files(folder.path());
        files.iter().map(|path| (path.strip_prefix(folder).unwrap().to_owned(), sha256(path))).collect::<Vec<_>>()
    });
    assert!(one == two && one.len() > 5);
}

#[test]
fn the_report_is_the_same_with_and_without() {
    let folder = tempfile::tempdir().unwrap();
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/http/truncated-zip/capture.pcap");
    let plain = Command::new(env!("CARGO_BIN_EXE_goprobe")).arg("analyze").arg(&recording).arg("-q").output().unwrap();
    let with = analyze(&recording, None, folder.path(), &["-q"]);
    assert_eq!((plain.stdout, plain.status.code()), (with.stdout, with.status.code()));
    assert!(with.stderr.is_empty(), "-q: no remarks");
}

#[test]
fn what_cannot_be_written_is_named_and_ends_with_two() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let output = extracted("http/truncated-zip", &file, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains(file.to_str().unwrap()) && output.stdout.is_empty());
}

/// A limit on the size of files stands in for a disk that is full: it stops root, too.
#[cfg(unix)]
#[test]
fn a_full_disk_costs_the_files_and_not_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$@\"";
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/http/truncated-zip/capture.pcap");
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_goprobe"), "analyze"]).arg(&recording);
    let output = command.arg("--extract").arg(folder.path()).stdin(Stdio::null()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("extracted 0 bodies") && stderr.contains("cannot write"), "{stderr}");
    assert!(stderr.contains("artifactory.corp.example"), "the path is named: {stderr}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("Recording: "),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let names = files(folder.path());
    assert!(
        names.iter().all(|path| path.ends_with("manifest.jsonl") || path.to_string_lossy().ends_with(".incomplete"))
    );
}

#[test]
fn all_that_is_told_of_our_recordings_is_written() {
    let (mut whole, mut with_bodies) = (0, 0);
    for case in pipeline::own_captures() {
        let folder = tempfile::tempdir().unwrap();
        let keys = case.join("keys.log");
        let json = ["-q", "--format", "json", "--observations"];
        let output = analyze(&case.join("capture.pcap"), Some(&keys), folder.path(), &json);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let bodies = agree(&pipeline::name_of(&case), folder.path(), &report);
        (whole, with_bodies) = (whole + bodies, with_bodies + usize::from(bodies > 0));
    }
    println!("{whole} bodies of {with_bodies} recordings");
    assert!(whole > 100 && with_bodies > 20, "{whole} bodies of {with_bodies} recordings");
}

#[test]
fn all_that_is_told_of_recordings_of_others_is_written() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let recordings: Vec<PathBuf> = ["captures/files", "scenarios"]
        .iter()
        .map(|below| shared.join(below))
        .filter(|folder| folder.is_dir())
        .flat_map(|folder| files(&folder))
        .filter(|path| path.to_string_lossy().contains(".pcap"))
        .collect();
    if recordings.is_empty() {
        println!("skipped: no ../shared/captures and no ../shared/scenarios");
        return;
    }
    let (mut whole, mut read) = (0, 0);
    for recording in &recordings {
        let folder = tempfile::tempdir().unwrap();
        let named = recording.with_extension("keys");
        let keys = if named.exists() { named } else { recording.with_file_name("keys.log") };
        let json = ["-q", "--all-traffic", "--format", "json", "--observations"];
        let output = analyze(recording, Some(&keys), folder.path(), &json);
        if output.status.code() == Some(2) {
            println!("not read: {}", String::from_utf8_lossy(&output.stderr).trim_end());
            continue;
        }
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        whole += agree(&recording.display().to_string(), folder.path(), &report);
        read += 1;
    }
    println!("{whole} bodies of {read} recordings");
    assert!(whole > 100, "{whole} bodies of {read} recordings");
}
