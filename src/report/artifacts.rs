//! What was held against what, as JSON.

use schemars::JsonSchema;
use serde::Serialize;

use super::clean::{NAME, TEXT, line};
use crate::observation::artifact::{Artifact, CheckResult, Origin};
use crate::observation::{Case, Exchange};

/// An artifact with what it was held against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ArtifactRecord {
    /// `module_zip`, `go_mod`, `ziphash`, `module_tree`, `vendored_module`, `go_sum`, `sumdb_lookup`, `sumdb_head`, `sumdb_tile`,
    /// `sdk_archive`, `goroot`.
    pub kind: &'static str,
    /// `path@version`, a file name, a database's name and a place in it.
    pub name: String,
    /// Where it lies, with a line where it is one.
    pub path: Option<String>,
    /// The answer that it came with.
    pub answer: Option<AnswerRecord>,
    /// Its hash as it is compared.
    pub hash: Option<String>,
    /// Bytes that were looked at.
    pub bytes: u64,
    /// What it was held against.
    pub checks: Vec<CheckRecord>,
}

/// The answer that an artifact came with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AnswerRecord {
    /// The frame that completed it.
    pub frame: u32,
    /// Which of the recordings.
    pub file: u16,
    /// The TCP connection.
    pub flow: u32,
    /// What was asked for.
    pub url: String,
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckRecord {
    /// `format`, `go_sum`, `ziphash`, `sumdb_record`, `signature`, `inclusion`, `consistency`, `signed_tree`, `copy`, `release_list`,
    /// `openpgp`.
    pub against: &'static str,
    /// Which one: a file with its line, a record, a tree.
    pub with: String,
    /// How it came out.
    pub result: CheckState,
    /// What is on record, where that is a hash.
    pub expected: Option<String>,
    /// What differs, or why it could not be compared; empty where it agrees.
    pub note: String,
}

/// How a comparison came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// As it must be.
    Agrees,
    /// Not so.
    Differs,
    /// It could not be compared.
    NotAssessed,
}

impl ArtifactRecord {
    /// Writes down an artifact of a case.
    #[must_use]
    pub fn new(artifact: &Artifact, case: &Case) -> Self {
        let (path, answer) = match &artifact.origin {
            Origin::Path(path) => (Some(line(path, 4 * NAME)), None),
            Origin::Exchange(index) => (None, case.exchanges.get(*index).and_then(AnswerRecord::new)),
        };
        let checks = artifact.checks.iter().map(|check| {
            let (result, note) = match &check.result {
                CheckResult::Agrees => (CheckState::Agrees, String::new()),
                CheckResult::Open(why) => (CheckState::NotAssessed, why.clone()),
                CheckResult::Differs(difference) => {
                    let hashes = difference.expected.as_deref().zip(difference.found.as_deref());
                    let hashes = hashes.map(|(expected, found)| format!("{found} instead of {expected}"));
                    let parts = [hashes.unwrap_or_default(), difference.note.clone()];
                    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
                    (CheckState::Differs, parts.join("; "))
                }
            };
            let with = line(&check.with, 4 * NAME);
            let of_hashes = check.yardstick.is_hash();
            let expected = match &check.result {
                CheckResult::Agrees => artifact.hash.as_deref().filter(|_| of_hashes),
                CheckResult::Differs(difference) => difference.expected.as_deref(),
                CheckResult::Open(_) => None,
            };
            let expected = expected.map(|hash| line(hash, NAME));
            CheckRecord { against: check.yardstick.name(), with, result, expected, note: line(&note, TEXT) }
        });
        Self {
            kind: artifact.kind.name(),
            name: line(&artifact.name, 4 * NAME),
            path,
            answer,
            hash: artifact.hash.as_deref().map(|hash| line(hash, NAME)),
            bytes: artifact.bytes,
            checks: checks.collect(),
        }
    }
}

impl AnswerRecord {
    fn new(exchange: &Exchange) -> Option<Self> {
        let at = exchange.completed.or(exchange.response).or(exchange.request)?;
        let url = line(&exchange.url, TEXT);
        Some(Self { frame: at.frame.number, file: at.frame.file, flow: exchange.flow.0, url })
    }
}
