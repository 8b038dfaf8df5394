//! Captures of other projects, where they are at hand: as many frames as tshark reads.

use std::path::Path;

use crate::source::{Error, Input, Reader, Record};
use crate::types::{Span, Timestamp};

#[test]
fn as_many_frames_as_tshark() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures");
    let Ok(truths) = std::fs::read_dir(folder.join("truth")) else {
        println!("skipped: {} is missing", folder.display());
        return;
    };
    let mut truths: Vec<_> = truths.map(|entry| entry.unwrap().path()).collect();
    truths.sort();
    let mut different = Vec::new();
    for truth in &truths {
        let truth: serde_json::Value = serde_json::from_slice(&std::fs::read(truth).unwrap()).unwrap();
        let file = truth["file"].as_str().unwrap();
        let expected = truth["counts"]["frames"].as_u64().unwrap();
        let understood = truth["tshark"]["rc"] == 0;
        let input = match Input::open(folder.join("files").join(file)) {
            Ok(input) => input,
            Err(error) => {
                println!("{file:>100} {expected:6} {error}");
                assert!(matches!(error, Error::NotACapture { .. }) && !understood, "{error}");
                continue;
            }
        };
        assert_eq!(input.sha256().unwrap(), truth["container"]["sha256"].as_str().unwrap());
        let mut reader = Reader::new(&[input]);
        let (mut frames, mut others) = (0, 0);
        while let Some(record) = reader.next() {
            match record {
                Record::Frame(_) => frames += 1,
                Record::Secret(_) | Record::Note(_) => others += 1,
            }
        }
        let summary = reader.summary();
        let names = summary.link_type_names().join(" ");
        println!("{file:>100} {expected:6} {frames:6} {others:3} {names} {:?}", summary.damage);
        let cut = truth["counts"]["captured_short"].as_u64().unwrap();
        let links: Vec<u16> = serde_json::from_value(truth["container"]["linktypes"].clone()).unwrap_or_default();
        let mut seen = summary.link_types.clone();
        seen.sort_unstable();
        let same = frames == expected && summary.cut_frames == cut && seen == links && summary.damaged == 0;
        // tshark gives packets without a time the time 0, and lets fractions above a second overflow.
        let near = |time: Option<Timestamp>, truth: &serde_json::Value| match (time, truth.as_f64()) {
            (Some(time), Some(truth)) if truth > 0.0 => time.since(at(truth)).abs() < Span::from_nanos(2_000),
            _ => true,
        };
        let timely = near(summary.first, &truth["t_first"]) && near(summary.last, &truth["t_last"]);
        if understood && !(same && timely) || frames < expected {
            different.push(format!("{file}: {frames} for {expected}, {} and {}, {summary:?}", cut, truth["container"]));
        }
    }
    assert!(different.is_empty(), "{different:#?}");
    assert!(truths.len() > 200);
}

/// tshark's seconds, with their fraction.
#[expect(clippy::cast_possible_truncation, reason = "seconds since 1970 fit, to a microsecond")]
fn at(seconds: f64) -> Timestamp {
    Timestamp::from_nanos((seconds * 1e9) as i64)
}
