//! What is known of a recording beforehand: `case.toml` of our own ones, `truth.json` of others'.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::kinds;

/// Something that is wrong in a recording.
pub(crate) struct Cause {
    /// In the words of the truth.
    pub(crate) label: String,
    /// The codes that name it; any of them does. None: nobody has said yet which code a kind means.
    pub(crate) codes: Vec<String>,
    /// The host and the address that it is about, where the truth says so.
    pub(crate) host: Option<String>,
    pub(crate) address: Option<String>,
    /// Frames that prove it, in the view of whoever made the recording.
    pub(crate) proof: BTreeSet<u64>,
}

/// Findings that must not be made.
pub(crate) struct Ban {
    /// A code or a family; empty is all of them.
    pub(crate) selector: String,
    /// At these hosts alone; none is all.
    pub(crate) hosts: Vec<String>,
}

/// What is true of a recording.
pub(crate) struct Truth {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) causes: Vec<Cause>,
    pub(crate) bans: Vec<Ban>,
    /// The outcomes that are right; empty if the truth does not say.
    pub(crate) outcomes: Vec<String>,
    /// Who can act; empty if the truth does not say.
    pub(crate) who: Vec<String>,
    /// Frames that the path injected, or dropped of the client's.
    pub(crate) acts: BTreeSet<u64>,
}

impl Truth {
    /// The recording itself, under whatever form it was kept.
    pub(crate) fn recording(&self) -> Result<PathBuf> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        files.retain(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("capture.")));
        files.sort();
        files.into_iter().next().with_context(|| format!("no recording in {}", self.folder.display()))
    }

    /// Secrets lie beside the recording.
    pub(crate) fn has_keys(&self) -> bool {
        self.folder.join("keys.log").exists()
    }
}

#[derive(Deserialize)]
struct Own {
    outcome: String,
    expect: Vec<String>,
    forbid: Vec<String>,
    injected_frames: Vec<u64>,
    dropped_frames: Vec<u64>,
}

/// The recordings of tests/lab in a folder, in order of their names.
pub(crate) fn own(captures: &Path) -> Result<Vec<Truth>> {
    let mut all = Vec::new();
    for family in folders(captures)? {
        for folder in folders(&family)? {
            let case: Own = toml::from_str(&fs::read_to_string(folder.join("case.toml"))?)
                .with_context(|| format!("{}/case.toml", folder.display()))?;
            let acts: BTreeSet<u64> = case.injected_frames.into_iter().chain(case.dropped_frames).collect();
            let cause = |code: String| Cause {
                label: code.clone(),
                codes: vec![code],
                host: None,
                address: None,
                proof: BTreeSet::new(),
            };
            all.push(Truth {
                name: format!("{}/{}", name(&family), name(&folder)),
                causes: case.expect.into_iter().map(cause).collect(),
                bans: case.forbid.into_iter().map(|selector| Ban { selector, hosts: Vec::new() }).collect(),
                outcomes: vec![case.outcome],
                who: Vec::new(),
                acts,
                folder,
            });
        }
    }
    Ok(all)
}

/// The recordings by others beside this repository; none where there are none.
pub(crate) fn foreign(root: &Path) -> Result<Vec<Truth>> {
    let shared = root.join("../shared/scenarios");
    if !shared.is_dir() {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for folder in folders(&shared)? {
        let Ok(text) = fs::read(folder.join("truth.json")) else { continue };
        let truth: Value = serde_json::from_slice(&text).with_context(|| folder.display().to_string())?;
        let known: Vec<_> = list(&truth["causes"]).map(|cause| kinds::of(&kind(cause))).collect();
        let quiet = truth["expect_finding"] == false;
        let words = |pick: fn(&kinds::Kind) -> &'static str| -> Vec<String> {
            if known.iter().any(Option::is_none) {
                return Vec::new();
            }
            known.iter().flatten().map(|kind| pick(kind).to_owned()).collect()
        };
        all.push(Truth {
            name: name(&folder),
            causes: list(&truth["causes"]).map(cause).collect(),
            bans: list(&truth["must_not_report"]).filter_map(Value::as_str).flat_map(ban).collect(),
            outcomes: if quiet { vec!["ok".to_owned()] } else { words(|kind| kind.outcome) },
            who: if quiet { Vec::new() } else { words(|kind| kind.who) },
            acts: if quiet {
                BTreeSet::new()
            } else {
                frames(&truth["middlebox"]["injected"]).chain(frames(&truth["middlebox"]["dropped_client"])).collect()
            },
            folder,
        });
    }
    Ok(all)
}

fn cause(truth: &Value) -> Cause {
    let text = |key: &str| truth[key].as_str().map(str::to_owned);
    let label = kind(truth);
    let text = |key: &str| text(key).filter(|_| !kinds::is_placed_elsewhere(&label));
    let (host, address) = (text("target_name"), text("target_ip"));
    Cause {
        codes: kinds::of(&label)
            .map(|kind| kind.codes.iter().map(|code| (*code).to_owned()).collect())
            .unwrap_or_default(),
        label,
        host,
        address,
        proof: frames(&truth["packets"]).collect(),
    }
}

fn kind(cause: &Value) -> String {
    let text = |key: &str| cause[key].as_str().unwrap_or("?");
    format!("{}/{}", text("family"), text("kind"))
}

/// `tls/*`, `cert/interception_ca`, `*/* for a or b`. A kind that nobody has given a code bans nothing.
fn ban(text: &str) -> Vec<Ban> {
    let (what, hosts) = text.split_once(" for ").unwrap_or((text, ""));
    let hosts: Vec<String> = hosts.split(" or ").filter(|host| !host.is_empty()).map(str::to_owned).collect();
    let selectors: Vec<String> = match what.split_once('/') {
        Some(("*", _)) => vec![String::new()],
        // What goprobe says of addresses as such is TCP's there.
        Some(("tcp", "*")) => vec!["tcp".to_owned(), "net".to_owned()],
        Some((family, "*")) => vec![family.to_owned()],
        _ => kinds::of(what).and_then(|kind| kind.codes.first()).map(|code| (*code).to_owned()).into_iter().collect(),
    };
    selectors.into_iter().map(|selector| Ban { selector, hosts: hosts.clone() }).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn frames(value: &Value) -> impl Iterator<Item = u64> {
    list(value).filter_map(Value::as_u64)
}

fn folders(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(path).with_context(|| path.display().to_string())?;
    let mut folders: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    folders.retain(|path| path.is_dir());
    folders.sort();
    Ok(folders)
}

fn name(folder: &Path) -> String {
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
