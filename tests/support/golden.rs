//! What is found today, in files beside the recordings: a change of it is seen, and is either blessed or a mistake.

use std::path::Path;

use serde_json::{Map, Value, json};

/// Observations are kept of recordings with fewer packets.
const SMALL: u64 = 120;

/// Compares a report with the files in a folder, or writes those. Says what differs.
pub fn hold(folder: &Path, report: &Value, bless: bool) -> Vec<String> {
    let small = report["capture"]["packets"].as_u64().is_some_and(|packets| packets < SMALL);
    let observations = small.then(|| layout(&report["observations"], 0, 2));
    let files = [("findings.json", Some(layout(&findings(report), 0, 3))), ("observations.json", observations)];
    files.into_iter().filter_map(|(name, text)| file(&folder.join(name), name, text, bless)).collect()
}

fn file(path: &Path, name: &str, text: Option<String>, bless: bool) -> Option<String> {
    let text = text.map(|text| text + "\n");
    let kept = std::fs::read_to_string(path).ok();
    if kept == text {
        return None;
    }
    if bless {
        match text {
            Some(text) => std::fs::write(path, text).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
        return None;
    }
    let (kept, text) = (kept.unwrap_or_default(), text.unwrap_or_default());
    let (mut old, mut new) = (kept.lines(), text.lines());
    loop {
        match (old.next(), new.next()) {
            (Some(old), Some(new)) if old == new => {}
            (old, new) => {
                let [old, new] = [old, new].map(|line| line.unwrap_or("(the end)").trim());
                return Some(format!("{name} differs (BLESS=1 writes it):\n    kept  {old}\n    found {new}"));
            }
        }
    }
}

/// The verdict and the findings without words, times and remedies.
fn findings(report: &Value) -> Value {
    let verdict = &report["verdict"];
    let list = |value: &Value, pick: fn(&Value) -> Value| -> Value {
        value.as_array().unwrap().iter().map(pick).collect::<Vec<_>>().into()
    };
    json!({
        "verdict": {"outcome": verdict["outcome"], "cause": verdict["cause"], "who": verdict["who"]},
        "findings": list(&report["findings"], |finding| json!({
            "code": finding["code"],
            "severity": finding["severity"],
            "confidence": finding["confidence"],
            "subject": finding["subject"],
            "evidence": evidence(&finding["evidence"]),
            "excluded": finding["excluded"].as_array().unwrap().iter().map(|one| one["alternative"].clone()).collect::<Vec<_>>(),
            "not_excluded": finding["not_excluded"],
        })),
        "not_assessed": list(&report["not_assessed"], |open| json!({"code": open["code"], "subject": open["subject"], "why": open["why"]})),
    })
}

/// Frames, lines and variables by their role.
fn evidence(items: &Value) -> Value {
    let mut roles: Map<String, Value> = Map::new();
    for item in items.as_array().unwrap() {
        let places = ["frame", "log", "path", "variable", "probe"].map(|key| &item[key]);
        let place = places.into_iter().find(|place| !place.is_null()).unwrap();
        let place = match (place["line"].is_null(), item["path"].as_str()) {
            // Wherever the recordings lie.
            (_, Some(path)) => json!(Path::new(path).file_name().unwrap().to_str().unwrap()),
            (true, None) => place.clone(),
            (false, None) => json!(format!("line {}", place["line"])),
        };
        let role = roles.entry(item["role"].as_str().unwrap()).or_insert_with(|| json!([]));
        role.as_array_mut().unwrap().push(place);
    }
    roles.into()
}

/// JSON with a line for everything down to a depth, and what is deeper on that line.
fn layout(value: &Value, depth: usize, lines: usize) -> String {
    let (start, end) = ("  ".repeat(depth + 1), "  ".repeat(depth));
    match value {
        Value::Array(items) if depth < lines && !items.is_empty() => {
            let items: Vec<String> =
                items.iter().map(|item| format!("{start}{}", layout(item, depth + 1, lines))).collect();
            format!("[\n{}\n{end}]", items.join(",\n"))
        }
        Value::Object(entries) if depth < lines && !entries.is_empty() => {
            let entry = |(key, value): (&String, &Value)| {
                format!("{start}{}: {}", Value::from(key.as_str()), layout(value, depth + 1, lines))
            };
            format!("{{\n{}\n{end}}}", entries.iter().map(entry).collect::<Vec<_>>().join(",\n"))
        }
        other => other.to_string(),
    }
}
