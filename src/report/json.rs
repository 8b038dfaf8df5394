//! The report as JSON: types that mirror the contract key by key.

mod written;

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

pub(super) use written::hex;

use super::artifacts::ArtifactRecord;
use super::observations::Observations;
use crate::finding::Code;
use crate::types::Timestamp;

/// A report. All keys are always there; what is not known is null.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "goprobe report")]
pub struct Report {
    /// Name and version of this format.
    #[schemars(extend("const" = "goprobe/1"))]
    pub schema: &'static str,
    /// What made the report.
    pub tool: Tool,
    /// The run of goprobe and the run that it is about.
    pub run: Run,
    /// The recording in figures.
    pub capture: Capture,
    /// What it all comes to.
    pub verdict: Verdict,
    /// Root cause first.
    pub findings: Vec<Finding>,
    /// What could not be judged.
    pub not_assessed: Vec<OpenQuestion>,
    /// What was held against what: in reports of `verify`, and where downloads could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<Vec<ArtifactRecord>>,
    /// The facts below the findings, where asked for.
    pub observations: Option<Observations>,
}

/// What made the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Tool {
    /// `goprobe`.
    #[schemars(extend("const" = "goprobe"))]
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The reference data.
    pub rules: Rules,
}

/// The reference data in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Rules {
    /// Date of the newest entry.
    pub version: String,
    /// SHA-256, lower-case hex.
    pub sha256: String,
}

/// The run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Run {
    /// Subcommand of goprobe.
    pub mode: &'static str,
    /// The command that was recorded.
    pub command: Option<Vec<String>>,
    /// Its exit status.
    pub exit_status: Option<i32>,
    /// Version of go, `go1.27.3`.
    pub go_version: Option<String>,
    /// The recordings.
    pub inputs: Vec<InputFile>,
    /// When goprobe began.
    pub started: Time,
    /// When goprobe ended.
    pub finished: Time,
    /// How old the honest answers are beside the recording, for those who read text.
    #[serde(skip)]
    #[schemars(skip)]
    pub reference: Option<String>,
}

/// A recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InputFile {
    /// Path as given; `-` is standard input.
    pub path: String,
    /// SHA-256 of the file, lower-case hex.
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// The recording in figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Capture {
    /// Frames.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Time of the earliest frame.
    pub first: Option<Time>,
    /// Time of the latest frame.
    pub last: Option<Time>,
    /// Frames that the recorder lost.
    pub dropped: u64,
    /// Link types by their names in the registry.
    pub link_types: Vec<String>,
    /// TCP connections.
    pub flows: u32,
    /// What the recording cannot show: `capture.*` codes without the family.
    pub limits: Vec<&'static str>,
}

/// What it all comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Verdict {
    /// It judges the network, not go's exit status.
    pub outcome: Outcome,
    /// Code of the root-cause finding.
    #[schemars(with = "Option<CodeId>")]
    pub cause: Option<&'static str>,
    /// Fingerprint of the root-cause finding.
    pub fingerprint: Option<String>,
    /// Who can act.
    pub who: Who,
    /// One sentence.
    pub summary: String,
}

/// What the run comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "crate::diagnosis::Outcome documents each")]
pub enum Outcome {
    Ok,
    Blocked,
    Misconfigured,
    Upstream,
    Inconclusive,
    NoTraffic,
}

/// Who can act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "crate::diagnosis::Who documents each")]
pub enum Who {
    Network,
    Server,
    Proxy,
    Client,
    Upstream,
    Unknown,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// What.
    #[schemars(with = "CodeId")]
    pub code: &'static str,
    /// How bad.
    pub severity: Severity,
    /// How sure; `proven` only when `not_excluded` is empty.
    pub confidence: Confidence,
    /// `v1:` and 16 hex digits: the same fault has the same fingerprint tomorrow.
    #[schemars(regex(pattern = r"^v1:[0-9a-f]{16}$"))]
    pub fingerprint: String,
    /// It is the verdict's cause; true for one finding at most.
    pub root_cause: bool,
    /// A few words.
    pub title: &'static str,
    /// One or two sentences with the figures of this case.
    pub summary: String,
    /// What it is about.
    pub subject: Subject,
    /// What proves it; never empty.
    #[schemars(length(min = 1))]
    pub evidence: Vec<Evidence>,
    /// Alternatives that do not hold.
    pub excluded: Vec<ExcludedAlternative>,
    /// Alternatives that may still hold.
    pub not_excluded: Vec<String>,
    /// Values by name. `consequence_of` is the fingerprint of the finding that this one follows from.
    pub details: BTreeMap<String, Value>,
    /// The text of go's output that it explains.
    pub go_error: Option<String>,
    /// What to do, best first.
    pub remedy: Vec<Remedy>,
    /// RFC sections, Go source files.
    pub references: Vec<&'static str>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "crate::finding::Severity documents each")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

/// How sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "crate::finding::Confidence documents each")]
pub enum Confidence {
    Weak,
    Moderate,
    Strong,
    Proven,
}

/// What a finding is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Subject {
    /// Host name.
    pub host: Option<String>,
    /// Address, RFC 5952.
    pub address: Option<String>,
    /// Port.
    pub port: Option<u16>,
    /// Module, `path@version`.
    pub module: Option<String>,
}

/// A piece of evidence. Exactly one of `frame`, `log`, `path`, `variable` and `probe` is not null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(transform = one_pointer)]
pub struct Evidence {
    /// The part that it plays: `client_hello`, `forged_reset`, `question`, `answer`, …
    pub role: &'static str,
    /// Frame, counted from 1 as Wireshark does.
    #[schemars(range(min = 1))]
    pub frame: Option<u32>,
    /// Index into `run.inputs`.
    pub file: Option<u16>,
    /// When the frame was recorded.
    pub time: Option<Time>,
    /// TCP connection, counted from 0 over all inputs.
    pub flow: Option<u32>,
    /// A line of what go printed.
    pub log: Option<LogLine>,
    /// A file.
    pub path: Option<String>,
    /// An environment variable.
    pub variable: Option<String>,
    /// An answer to a probe.
    pub probe: Option<u32>,
    /// What to see there.
    pub note: String,
}

/// Says in the schema what the types cannot: an item points at one thing.
fn one_pointer(schema: &mut Schema) {
    let pointers = ["frame", "log", "path", "variable", "probe"];
    let alternatives: Vec<serde_json::Value> = pointers
        .iter()
        .map(|pointer| serde_json::json!({"properties": {*pointer: {"not": {"type": "null"}}}}))
        .collect();
    schema.insert("oneOf".to_owned(), alternatives.into());
}

/// A line of what go printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LogLine {
    /// Which log, from 0.
    pub input: u32,
    /// Line, from 1.
    pub line: u32,
}

/// An alternative that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ExcludedAlternative {
    /// The alternative.
    pub alternative: String,
    /// What speaks against it.
    pub how: String,
}

/// A value of `details`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// Several texts.
    List(Vec<String>),
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Remedy {
    /// A sentence.
    pub text: String,
    /// A command.
    pub command: Option<String>,
}

/// What could not be judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OpenQuestion {
    /// Which code.
    #[schemars(with = "CodeId")]
    pub code: &'static str,
    /// For what.
    pub subject: Subject,
    /// What hid it.
    pub why: Why,
    /// Of an artifact what could not be held against what, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Why something could not be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "crate::observation::Veil documents each")]
pub enum Why {
    Encrypted,
    Gap,
    Truncated,
    EndOfCapture,
    NotGiven,
}

/// A line of `--format jsonl`: a finding with what stands beside it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "goprobe finding, one a line")]
pub struct Line<'a> {
    /// Name and version of this format.
    #[schemars(extend("const" = "goprobe/1"))]
    pub schema: &'static str,
    /// What made it.
    pub tool: ToolVersion,
    /// The run.
    pub run: &'a Run,
    /// What all findings of the run come to.
    pub verdict: &'a Verdict,
    /// The finding.
    #[serde(flatten)]
    pub finding: &'a Finding,
}

/// The tool in a [`Line`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ToolVersion {
    /// Its version.
    pub version: &'static str,
}

/// A moment, RFC 3339 in UTC with nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "RFC 3339 in UTC with nanoseconds.",
            "type": "string",
            "format": "date-time",
            "pattern": r"^-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$"
        })
    }
}

/// A finding code in the schema: one of [`Code::ALL`].
struct CodeId;

impl JsonSchema for CodeId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Code".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let codes: Vec<&str> = Code::ALL.iter().map(|code| code.id()).collect();
        json_schema!({"description": "What was found: `goprobe explain CODE`.", "type": "string", "enum": codes})
    }
}
