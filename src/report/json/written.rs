//! How a diagnosis becomes JSON: every text from outside is cleaned on this way.

use std::collections::BTreeMap;

use serde::Serialize as _;

use super::{
    Capture, Confidence, Evidence, ExcludedAlternative, Finding, InputFile, Line, LogLine, OpenQuestion, Outcome,
    Remedy, Report, Rules, Run, Severity, Subject, Time, Tool, ToolVersion, Value, Verdict, Who, Why,
};
use crate::diagnosis::{self, Diagnosis, Ranked};
use crate::finding::{self, Citation, Code, Detail};
use crate::observation::{Recording, Veil};
use crate::report::clean::{NAME, TEXT, line};
use crate::report::observations::Observations;
use crate::report::{Context, Input};

const SCHEMA: &str = "goprobe/1";

impl Report {
    /// Writes a diagnosis down. `observations` are put in where the user asked for them.
    #[must_use]
    pub fn new(
        diagnosis: &Diagnosis,
        recording: &Recording,
        context: &Context,
        observations: Option<Observations>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            tool: Tool {
                name: "goprobe",
                version: env!("CARGO_PKG_VERSION"),
                rules: Rules { version: context.rules_version.clone(), sha256: context.rules_sha256.clone() },
            },
            run: context.into(),
            capture: Capture {
                packets: recording.packets,
                bytes: recording.bytes,
                first: recording.first.map(Time),
                last: recording.last.map(Time),
                dropped: recording.dropped,
                link_types: recording.link_types.iter().map(|name| line(name, NAME)).collect(),
                flows: recording.flows,
                limits: context.limits.clone(),
            },
            verdict: (&diagnosis.verdict).into(),
            findings: diagnosis.findings.iter().map(|ranked| written(ranked, diagnosis)).collect(),
            not_assessed: open_questions(diagnosis),
            artifacts: None,
            observations,
        }
    }

    /// The JSON document, indented by one space, with a newline at its end. The same report gives the same bytes.
    ///
    /// # Errors
    /// None in practice: no type of a report can fail to be written.
    pub fn json(&self) -> serde_json::Result<String> {
        let mut bytes = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b" ");
        self.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))?;
        bytes.push(b'\n');
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// One finding a line.
    ///
    /// # Errors
    /// None in practice: no type of a report can fail to be written.
    pub fn json_lines(&self) -> serde_json::Result<String> {
        let mut lines = String::new();
        for finding in &self.findings {
            let tool = ToolVersion { version: self.tool.version };
            let line = Line { schema: SCHEMA, tool, run: &self.run, verdict: &self.verdict, finding };
            lines.push_str(&serde_json::to_string(&line)?);
            lines.push('\n');
        }
        Ok(lines)
    }
}

fn written(ranked: &Ranked, diagnosis: &Diagnosis) -> Finding {
    let finding = &ranked.finding;
    let mut details: BTreeMap<String, Value> =
        finding.details.iter().map(|(key, value)| ((*key).to_owned(), value.into())).collect();
    if let Some(cause) = ranked.consequence_of.and_then(|index| diagnosis.findings.get(index)) {
        details.insert("consequence_of".to_owned(), Value::Text(cause.fingerprint.clone()));
    }
    Finding {
        code: finding.code.id(),
        severity: finding.severity.into(),
        confidence: finding.confidence().into(),
        fingerprint: ranked.fingerprint.clone(),
        root_cause: ranked.root_cause,
        title: finding.code.title(),
        summary: line(&finding.summary, TEXT),
        subject: (&finding.subject).into(),
        evidence: finding.evidence().iter().map(Evidence::from).collect(),
        excluded: finding
            .excluded
            .iter()
            .map(|item| ExcludedAlternative { alternative: line(&item.alternative, TEXT), how: line(&item.how, TEXT) })
            .collect(),
        not_excluded: finding.not_excluded.iter().map(|text| line(text, TEXT)).collect(),
        details,
        go_error: finding.go_error.as_deref().map(|text| line(text, TEXT)),
        remedy: finding
            .remedy
            .iter()
            .map(|item| Remedy {
                text: line(&item.text, TEXT),
                command: item.command.as_deref().map(|command| line(command, TEXT)),
            })
            .collect(),
        references: finding.references.clone(),
    }
}

fn open_questions(diagnosis: &Diagnosis) -> Vec<OpenQuestion> {
    let mut questions: Vec<OpenQuestion> = diagnosis
        .not_assessed
        .iter()
        .map(|item| OpenQuestion {
            code: item.code.id(),
            subject: (&item.subject).into(),
            why: item.veil.into(),
            note: Some(line(&item.hint, TEXT)).filter(|note| item.veil == Veil::NotGiven && !note.is_empty()),
        })
        .collect();
    // Other hints are not part of the JSON: questions that differ in nothing else are one.
    questions.dedup();
    questions
}

impl From<&Context> for Run {
    fn from(context: &Context) -> Self {
        Self {
            mode: context.mode,
            command: context.command.as_ref().map(|words| words.iter().map(|word| line(word, TEXT)).collect()),
            exit_status: context.exit_status,
            go_version: context.go_version.as_deref().map(|version| line(version, NAME)),
            inputs: context.inputs.iter().map(InputFile::from).collect(),
            started: Time(context.started),
            finished: Time(context.finished),
            reference: None,
        }
    }
}

impl From<&Input> for InputFile {
    fn from(input: &Input) -> Self {
        Self { path: line(&input.path, 4 * NAME), sha256: input.sha256.clone(), bytes: input.bytes }
    }
}

/// Lower-case hex.
pub(in crate::report) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl From<&diagnosis::Verdict> for Verdict {
    fn from(verdict: &diagnosis::Verdict) -> Self {
        Self {
            outcome: verdict.outcome.into(),
            cause: verdict.cause.map(Code::id),
            fingerprint: verdict.fingerprint.clone(),
            who: verdict.who.into(),
            summary: line(&verdict.summary, TEXT),
        }
    }
}

impl From<&finding::Subject> for Subject {
    fn from(subject: &finding::Subject) -> Self {
        Self {
            host: subject.host.as_deref().map(|host| line(host, NAME)),
            address: subject.address.map(|address| address.to_string()),
            port: subject.port,
            module: subject.module.as_deref().map(|module| line(module, NAME)),
        }
    }
}

impl From<&finding::Evidence> for Evidence {
    fn from(evidence: &finding::Evidence) -> Self {
        let mut item = Self { role: evidence.role, note: line(&evidence.note, TEXT), ..Self::default() };
        match &evidence.citation {
            Citation::Frame { at, flow } => {
                item.frame = Some(at.frame.number);
                item.file = Some(at.frame.file);
                item.time = Some(Time(at.time));
                item.flow = flow.map(|flow| flow.0);
            }
            Citation::Log { input, line } => item.log = Some(LogLine { input: *input, line: *line }),
            Citation::Path(path) => item.path = Some(line(path, 4 * NAME)),
            Citation::Variable(name) => item.variable = Some(line(name, NAME)),
            Citation::Probe(number) => item.probe = Some(*number),
        }
        item
    }
}

impl From<&Detail> for Value {
    fn from(detail: &Detail) -> Self {
        match detail {
            Detail::Text(text) => Self::Text(line(text, TEXT)),
            Detail::Number(number) => Self::Number(*number),
            Detail::Flag(flag) => Self::Flag(*flag),
            Detail::List(list) => Self::List(list.iter().map(|text| line(text, TEXT)).collect()),
        }
    }
}

/// Writes the conversion between two enums of equal variants.
macro_rules! mirrors {
    ($($from:ty => $to:ident { $($variant:ident),+ })+) => {
        $(impl From<$from> for $to {
            fn from(value: $from) -> Self {
                match value { $(<$from>::$variant => Self::$variant,)+ }
            }
        })+
    };
}

mirrors! {
    diagnosis::Outcome => Outcome { Ok, Blocked, Misconfigured, Upstream, Inconclusive, NoTraffic }
    diagnosis::Who => Who { Network, Server, Proxy, Client, Upstream, Unknown }
    finding::Severity => Severity { Info, Low, Medium, High, Critical }
    finding::Confidence => Confidence { Weak, Moderate, Strong, Proven }
    Veil => Why { Encrypted, Gap, Truncated, EndOfCapture, NotGiven }
}
