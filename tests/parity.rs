//! What a recording is kept in, and how it comes in, changes nothing in what is found.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/pipeline.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::allow_attributes, reason = "shared by several tests")]
mod pipeline;
#[path = "support/wire.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::allow_attributes, reason = "shared by several tests")]
mod wire;

use std::path::{Path, PathBuf};

use pipeline::{Captured, Setting};
use serde_json::Value;
use wire::Dice;

/// Orders that are tried with each recording.
const ROUNDS: u32 = 4;

/// A report without what names the file.
fn content(setting: &Setting, case: &goprobe::observation::Case) -> Value {
    let mut report = setting.report(case);
    report["run"]["inputs"] = Value::Null;
    report["capture"]["link_types"] = Value::Null;
    report
}

fn content_of(setting: &Setting, path: PathBuf) -> Value {
    content(setting, &setting.case(&[path]).unwrap())
}

/// The first path at which two documents differ.
fn difference(a: &Value, b: &Value, path: &str) -> Option<String> {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() => {
            a.iter().find_map(|(key, value)| difference(value, b.get(key)?, &format!("{path}.{key}")))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(at, (a, b))| difference(a, b, &format!("{path}[{at}]")))
        }
        _ => (a != b).then(|| format!("{path}: {a} and {b}")),
    }
}

#[test]
fn every_container_and_compression_gives_the_same_report() {
    let folder = tempfile::tempdir().unwrap();
    for case in pipeline::own_captures() {
        let (setting, original) = (Setting::of(&case), case.join("capture.pcap"));
        let (name, expected) = (pipeline::name_of(&case), content_of(&setting, original.clone()));
        if expected["capture"]["limits"].as_array().is_some_and(|limits| limits.iter().any(|limit| limit == "damaged"))
        {
            // What is cut off is lost when a file is written anew.
            continue;
        }
        let frames = pipeline::frames(&original);
        let (plain, next) = (std::fs::read(&original).unwrap(), wire::pcapng(&frames));
        for (file, bytes) in [
            ("a.pcap", wire::pcap(&frames)),
            ("a.pcap.gz", wire::gzip(&plain)),
            ("a.pcap.zst", wire::zstd(&plain)),
            ("a.pcapng.gz", wire::gzip(&next)),
            ("a.pcapng", next),
        ] {
            let path = folder.path().join(file);
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(difference(&expected, &content_of(&setting, path), ""), None, "{name} as {file}");
        }
        let pushed = content(&setting, &setting.case_of_frames(&frames));
        assert_eq!(difference(&expected, &pushed, ""), None, "{name} frame by frame");
    }
}

/// Frames as a recorder with several queues may write them: up to two places off.
fn shuffled(frames: &[Captured], dice: &mut Dice) -> Vec<Captured> {
    let mut frames = frames.to_vec();
    for at in (0..frames.len()).step_by(3) {
        let end = frames.len().min(at + 3);
        for place in at..end {
            frames.swap(place, at + dice.below(end - at));
        }
    }
    for (number, frame) in (1..).zip(&mut frames) {
        frame.no.number = number;
    }
    frames
}

fn verdict(setting: &Setting, frames: &[Captured]) -> String {
    let report = setting.report(&setting.case_of_frames(frames));
    let verdict = &report["verdict"];
    format!("{} {} {}", verdict["outcome"], verdict["cause"], verdict["who"])
}

#[test]
fn packets_slightly_out_of_order_give_the_same_verdict() {
    let mut dice = Dice::new(3);
    let mut wrong = Vec::new();
    for case in pipeline::own_captures() {
        let (setting, frames) = (Setting::of(&case), pipeline::frames(&case.join("capture.pcap")));
        let expected = verdict(&setting, &frames);
        for _ in 0..ROUNDS {
            let found = verdict(&setting, &shuffled(&frames, &mut dice));
            if found != expected {
                wrong.push(format!("{}: {found} instead of {expected}", pipeline::name_of(&case)));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_recording_in_parts_gives_the_same_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/tls/sni-reset-early");
    let (setting, frames) = (Setting::of(&case), pipeline::frames(&case.join("capture.pcap")));
    let parts: Vec<PathBuf> = frames
        .chunks(11)
        .enumerate()
        .map(|(number, part)| {
            let path = folder.path().join(format!("part-{number}.pcap"));
            std::fs::write(&path, wire::pcap(part)).unwrap();
            path
        })
        .collect();
    let report = setting.report(&setting.case(&parts).unwrap());
    assert_eq!(report["verdict"]["cause"], "tls.sni_reset");
    let evidence = report["findings"][0]["evidence"].as_array().unwrap();
    assert!(
        evidence.iter().any(|item| item["file"] == 1 && item["frame"] == 1),
        "frame 12 is the first of the second file"
    );
}
