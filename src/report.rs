//! Writes a diagnosis down: as JSON, as text for a person on call, as Markdown for a ticket.
//!
//! [`Report`] is the JSON of the contract as a type; every other format is a pure transform of it. It holds no secrets,
//! and no text that could drive a terminal.

mod artifacts;
mod bodies;
mod clean;
mod json;
mod markdown;
mod names;
mod observations;
mod schema;
mod text;
mod words;

#[cfg(test)]
pub(crate) mod samples;

pub use artifacts::{ArtifactRecord, CheckRecord, CheckState};
pub use bodies::{BodyRecord, Hole};
pub use json::{
    Capture, Confidence, Evidence, ExcludedAlternative, Finding, InputFile, Line, LogLine, OpenQuestion, Outcome,
    Remedy, Report, Rules, Run, Severity, Subject, Time, Tool, Value, Verdict, Who, Why,
};
pub use markdown::markdown;
pub use observations::{
    AlertRecord, AnswerRecord, CertificateRecord, ConnectionRecord, ExchangeRecord, HandshakeRecord, LookupRecord,
    Observations, ResourceRecord,
};
pub use schema::schema;
pub(crate) use text::paragraph;
pub use text::{Style, text};

use crate::finding::{Assessment, Code};
use crate::types::Timestamp;

/// How goprobe was run, and what on: what a report says beside the findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The subcommand.
    pub mode: &'static str,
    /// The command whose run was recorded.
    pub command: Option<Vec<String>>,
    /// Its exit status.
    pub exit_status: Option<i32>,
    /// `go1.27.3`.
    pub go_version: Option<String>,
    /// The recordings, in the order in which frames count them.
    pub inputs: Vec<Input>,
    /// When goprobe began, by the real clock.
    pub started: Timestamp,
    /// When it ended, by the real clock.
    pub finished: Timestamp,
    /// Version of the rules: the date of the newest entry.
    pub rules_version: String,
    /// SHA-256 of the rules, lower-case hex.
    pub rules_sha256: String,
    /// Limits of the recording: the parts after the dot of the `capture` codes.
    pub limits: Vec<&'static str>,
}

/// A recording that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Path as given; `-` is standard input.
    pub path: String,
    /// SHA-256 of the file as it is stored, compressed or not; lower-case hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// What limits a recording, by what the detectors say of it: the parts after the dot of the `capture` codes, once each.
#[must_use]
pub fn limits(assessments: &[Assessment]) -> Vec<&'static str> {
    let mut codes: Vec<Code> = assessments.iter().flat_map(|it| it.found.iter().map(|finding| finding.code)).collect();
    codes.retain(|code| code.family() == "capture");
    codes.sort();
    codes.dedup();
    codes.into_iter().map(Code::name).collect()
}
