//! Every folder of `captures/` says in its `case.toml` what must and what must not be found in it, and the files beside it
//! hold what is found today: `findings.json`, and `observations.json` for the smaller ones.
//!
//! `BLESS=1 cargo test --test captures` writes those anew; read their diff before you commit it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/golden.rs"]
#[allow(unreachable_pub, clippy::unwrap_used, clippy::allow_attributes, reason = "a test fails by panicking")]
mod golden;
#[path = "support/pipeline.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::allow_attributes, reason = "shared by several tests")]
mod pipeline;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use serde_json::Value;

/// Cases that cannot pass yet, and why. One that passes must be taken out.
const UNREACHED: &[(&str, &str)] = &[];

#[derive(Deserialize)]
struct Expectation {
    outcome: Option<String>,
    expect: Vec<String>,
    forbid: Vec<String>,
    expect_not_assessed: Vec<String>,
    injected_frames: Vec<u64>,
    dropped_frames: Vec<u64>,
}

/// What came of one case.
struct Result {
    name: String,
    /// What `case.toml` says and the report does not keep to.
    unmet: Vec<String>,
    /// What is wrong whatever `case.toml` says: the schema, the files beside the recording.
    broken: Vec<String>,
    /// Of the path's frames, how many are evidence of what was expected.
    cited: (usize, usize),
}

fn analyze(folder: &Path) -> Value {
    let file = |name: &str| folder.join(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_goprobe"));
    command.arg("analyze").arg(file("capture.pcap")).args(["--format", "json", "--observations"]);
    for (option, name) in [
        ("--go-log", "go.stderr"),
        ("--go-env", "env.txt"),
        ("--reference", "reference.json"),
        ("--ca", "root.pem"),
        ("--keylog", "keys.log"),
    ] {
        if file(name).exists() {
            command.arg(option).arg(file(name));
        }
    }
    if let Some(exit) = std::fs::read_to_string(file("go.exit")).unwrap().lines().next() {
        command.args(["--go-exit", exit.trim()]);
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1 | 3)), "{}: {stderr}", pipeline::name_of(folder));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn strings(values: &Value, key: &str) -> BTreeSet<String> {
    values.as_array().unwrap().iter().filter_map(|value| value[key].as_str()).map(str::to_owned).collect()
}

fn is_of(code: &str, selector: &str) -> bool {
    code == selector || code.split('.').next() == Some(selector)
}

fn judge(folder: &Path, schema: &jsonschema::Validator, bless: bool) -> Result {
    let expected: Expectation = toml::from_str(&std::fs::read_to_string(folder.join("case.toml")).unwrap()).unwrap();
    let report = analyze(folder);
    let mut unmet = Vec::new();
    if let Some(outcome) = expected.outcome.filter(|outcome| report["verdict"]["outcome"] != outcome.as_str()) {
        unmet.push(format!("outcome {} instead of {outcome}", report["verdict"]["outcome"]));
    }
    let found = strings(&report["findings"], "code");
    for code in expected.expect.iter().filter(|code| !found.contains(*code)) {
        unmet.push(format!("{code} is missing among {found:?}"));
    }
    let open = strings(&report["not_assessed"], "code");
    for code in expected.expect_not_assessed.iter().filter(|code| !open.contains(*code)) {
        unmet.push(format!("{code} is not among what could not be assessed: {open:?}"));
    }
    let mut evidence = BTreeSet::new();
    for finding in report["findings"].as_array().unwrap() {
        let code = finding["code"].as_str().unwrap();
        if expected.expect.iter().any(|wanted| wanted == code) {
            evidence.extend(finding["evidence"].as_array().unwrap().iter().filter_map(|item| item["frame"].as_u64()));
        } else if expected.forbid.iter().any(|selector| is_of(code, selector))
            && matches!(finding["severity"].as_str(), Some("medium" | "high" | "critical"))
        {
            unmet.push(format!("{code} is forbidden: {}", finding["summary"]));
        }
    }
    let acts: BTreeSet<u64> = expected.injected_frames.iter().chain(&expected.dropped_frames).copied().collect();
    let cited = (evidence.intersection(&acts).count(), acts.len());
    if cited.0 == 0 && cited.1 > 0 && !expected.expect.is_empty() {
        unmet.push(format!("none of the path's frames {acts:?} is among the evidence {evidence:?}"));
    }
    let mut broken: Vec<String> = pipeline::breaks(schema, &report).into_iter().collect();
    broken.extend(golden::hold(folder, &report, bless));
    Result { name: pipeline::name_of(folder), unmet, broken, cited }
}

#[test]
fn each_recording_shows_what_its_case_says() {
    let bless = std::env::var_os("BLESS").is_some();
    assert!(!(bless && std::env::var_os("CI").is_some()), "what is expected is not written anew where it is checked");
    let (folders, schema) = (pipeline::own_captures(), pipeline::schema());
    assert!(folders.len() >= 106, "recordings are missing: {}", folders.len());
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(folder) = folders.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = judge(folder, &schema, bless);
                    results.lock().unwrap().push(result);
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    assert_eq!(results.len(), folders.len());
    results.sort_by(|a, b| a.name.cmp(&b.name));
    let mut wrong = Vec::new();
    for Result { name, unmet, broken, cited } in &results {
        if cited.1 > 0 {
            println!("{name}: {} of {} frames of the path are evidence", cited.0, cited.1);
        }
        wrong.extend(broken.iter().map(|what| format!("{name}: {what}")));
        match UNREACHED.iter().find(|(known, _)| known == name) {
            None => wrong.extend(unmet.iter().map(|what| format!("{name}: {what}"))),
            Some((_, why)) if unmet.is_empty() => {
                wrong.push(format!("{name} passes now; take it out of UNREACHED ({why})"));
            }
            Some((_, why)) => println!("{name}: not reached yet: {why}"),
        }
    }
    let stale = UNREACHED.iter().filter(|(known, _)| !results.iter().any(|result| result.name == *known));
    wrong.extend(stale.map(|(known, _)| format!("{known} is in UNREACHED and has no recording")));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
