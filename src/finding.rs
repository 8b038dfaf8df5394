//! What is concluded: codes, how bad, how sure, and the evidence that every finding must cite.

mod code;
pub mod explain;

use std::collections::BTreeMap;
use std::net::IpAddr;

pub use code::Code;

use crate::observation::Veil;
use crate::observation::probe::ProbeId;
use crate::types::{FlowId, Moment};

/// How bad it is. Not how sure: see [`Confidence`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Nothing wrong by itself.
    Info,
    /// Worth mending some day.
    Low,
    /// It hinders, or will.
    Medium,
    /// It stops downloads.
    High,
    /// Somebody interferes, or the bytes are wrong.
    Critical,
}

/// How sure it is. Not how bad: see [`Severity`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Confidence {
    /// One hint.
    Weak,
    /// Two independent classes of evidence.
    Moderate,
    /// Three of them, or one that no real stack produces.
    Strong,
    /// No alternative is left.
    Proven,
}

impl Confidence {
    /// By the number of independent classes of evidence: one is weak, two moderate, three strong.
    #[must_use]
    pub const fn from_classes(classes: usize) -> Self {
        match classes {
            0 | 1 => Self::Weak,
            2 => Self::Moderate,
            _ => Self::Strong,
        }
    }

    /// One level less; `Weak` stays.
    #[must_use]
    pub const fn lowered(self) -> Self {
        match self {
            Self::Proven => Self::Strong,
            Self::Strong => Self::Moderate,
            Self::Moderate | Self::Weak => Self::Weak,
        }
    }
}

/// Where the thing that a finding is about went wrong, which settles outcome and who can act.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// Somebody on the path interferes.
    Interference,
    /// A proxy's own policy.
    ProxyPolicy,
    /// The network is set up wrongly.
    Network,
    /// The client is set up wrongly.
    Client,
    /// The server is set up wrongly.
    Server,
    /// The proxy, or what it wanted to reach, failed.
    ProxyUpstream,
    /// The far side failed or refused.
    Upstream,
    /// The bytes are not those on record, and nothing shows who changed them.
    Altered,
    /// It cannot be told who is to blame.
    Unknown,
    /// It hinders nothing and changes nothing, or is a remark.
    Harmless,
}

/// What a finding is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// Host name.
    pub host: Option<String>,
    /// Address.
    pub address: Option<IpAddr>,
    /// Port.
    pub port: Option<u16>,
    /// Module, `path@version`.
    pub module: Option<String>,
}

/// What a piece of evidence points at: exactly one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Citation {
    /// A frame, and the connection it belongs to.
    Frame {
        /// Where.
        at: Moment,
        /// In which connection.
        flow: Option<FlowId>,
    },
    /// A line of what go printed.
    Log {
        /// Which log, from 0.
        input: u32,
        /// Line, from 1.
        line: u32,
    },
    /// A file.
    Path(String),
    /// An environment variable.
    Variable(String),
    /// An answer to a probe.
    Probe(u32),
}

/// A piece of evidence and the role it plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// A word such as `client_hello`, `forged_reset`, `question`, `answer`.
    pub role: &'static str,
    /// What it points at.
    pub citation: Citation,
    /// What to see there. May be empty.
    pub note: String,
}

impl Evidence {
    /// A frame outside of TCP.
    pub fn frame(role: &'static str, at: Moment, note: impl Into<String>) -> Self {
        Self { role, citation: Citation::Frame { at, flow: None }, note: note.into() }
    }

    /// A frame of a TCP connection.
    pub fn segment(role: &'static str, at: Moment, flow: FlowId, note: impl Into<String>) -> Self {
        Self { role, citation: Citation::Frame { at, flow: Some(flow) }, note: note.into() }
    }

    /// A line of what go printed.
    pub fn log(line: u32, note: impl Into<String>) -> Self {
        Self { role: "go_output", citation: Citation::Log { input: 0, line }, note: note.into() }
    }

    /// An answer to a probe.
    pub fn probe(role: &'static str, id: ProbeId, note: impl Into<String>) -> Self {
        Self { role, citation: Citation::Probe(id.0), note: note.into() }
    }

    /// A file or folder.
    pub fn path(role: &'static str, path: impl Into<String>, note: impl Into<String>) -> Self {
        Self { role, citation: Citation::Path(path.into()), note: note.into() }
    }

    /// An environment variable.
    pub fn variable(name: &str, note: impl Into<String>) -> Self {
        Self { role: "setting", citation: Citation::Variable(name.to_owned()), note: note.into() }
    }
}

/// An alternative explanation that was looked at and does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exclusion {
    /// The alternative.
    pub alternative: String,
    /// What speaks against it.
    pub how: String,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// A sentence.
    pub text: String,
    /// A command that does it or shows more.
    pub command: Option<String>,
}

/// A measured or read value below a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Text.
    Text(String),
    /// A whole number; the key names the unit.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// Several texts.
    List(Vec<String>),
}

/// A finding. Made by [`Finding::new`], which demands evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    confidence: Confidence,
    /// Whose fault.
    pub fault: Fault,
    /// About what.
    pub subject: Subject,
    /// One or two sentences with the figures of this case.
    pub summary: String,
    evidence: Vec<Evidence>,
    /// Alternatives that do not hold.
    pub excluded: Vec<Exclusion>,
    /// Alternatives that may still hold.
    pub not_excluded: Vec<String>,
    /// Values, for machines.
    pub details: BTreeMap<&'static str, Detail>,
    /// The stable class of the fault, part of the fingerprint: an issuer's key, a wrong answer's network. No times, ports or frames.
    pub class: String,
    /// The line of go's output that it explains.
    pub go_error: Option<String>,
    /// It is about some Go program's traffic that nothing ties to the go command: never the verdict's cause.
    pub incidental: bool,
    /// What to do, best first.
    pub remedy: Vec<Remedy>,
    /// RFC sections, Go source files.
    pub references: Vec<&'static str>,
}

impl Finding {
    /// A finding with its first piece of evidence and the code's own severity.
    #[must_use]
    pub fn new(
        code: Code,
        fault: Fault,
        confidence: Confidence,
        subject: Subject,
        evidence: Evidence,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            code,
            severity: code.severity(),
            confidence,
            fault,
            subject,
            summary: summary.into(),
            evidence: vec![evidence],
            excluded: Vec::new(),
            not_excluded: Vec::new(),
            details: BTreeMap::new(),
            class: String::new(),
            go_error: None,
            incidental: false,
            remedy: Vec::new(),
            references: Vec::new(),
        }
    }

    /// How sure: never [`Confidence::Proven`] while an alternative is not excluded.
    #[must_use]
    pub fn confidence(&self) -> Confidence {
        if self.not_excluded.is_empty() { self.confidence } else { self.confidence.min(Confidence::Strong) }
    }

    /// Changes how sure it is.
    pub fn set_confidence(&mut self, confidence: Confidence) {
        self.confidence = confidence;
    }

    /// What proves it; never empty.
    #[must_use]
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    /// Adds evidence. What is cited already, in the same role, is not cited again.
    pub fn cite(&mut self, evidence: Evidence) {
        if !self.evidence.iter().any(|known| known.citation == evidence.citation && known.role == evidence.role) {
            self.evidence.push(evidence);
        }
    }

    /// Cites other things, in the same order. Without any, nothing changes: there is always evidence.
    pub fn replace_evidence(&mut self, evidence: impl Iterator<Item = Evidence>) {
        let evidence: Vec<Evidence> = evidence.collect();
        if !evidence.is_empty() {
            self.evidence = evidence;
        }
    }

    /// Adds evidence.
    #[must_use]
    pub fn with_evidence(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Self {
        evidence.into_iter().for_each(|item| self.cite(item));
        self
    }

    /// Sets a severity other than the code's own.
    #[must_use]
    pub const fn with_severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Names an alternative that does not hold.
    #[must_use]
    pub fn excluding(mut self, alternative: impl Into<String>, how: impl Into<String>) -> Self {
        self.excluded.push(Exclusion { alternative: alternative.into(), how: how.into() });
        self
    }

    /// Names an alternative that may still hold.
    #[must_use]
    pub fn not_excluding(mut self, alternative: impl Into<String>) -> Self {
        self.not_excluded.push(alternative.into());
        self
    }

    /// Adds a text for machines.
    #[must_use]
    pub fn with_text(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.details.insert(key, Detail::Text(value.into()));
        self
    }

    /// Adds a number for machines.
    #[must_use]
    pub fn with_number(mut self, key: &'static str, value: i64) -> Self {
        self.details.insert(key, Detail::Number(value));
        self
    }

    /// Adds a list for machines.
    #[must_use]
    pub fn with_list(mut self, key: &'static str, values: impl IntoIterator<Item = String>) -> Self {
        self.details.insert(key, Detail::List(values.into_iter().collect()));
        self
    }

    /// Sets the stable class of the fault.
    #[must_use]
    pub fn with_class(mut self, class: impl Into<String>) -> Self {
        self.class = class.into();
        self
    }

    /// Adds something to do.
    #[must_use]
    pub fn with_remedy(mut self, text: impl Into<String>, command: Option<&str>) -> Self {
        self.remedy.push(Remedy { text: text.into(), command: command.map(str::to_owned) });
        self
    }

    /// Adds a reference.
    #[must_use]
    pub fn with_reference(mut self, reference: &'static str) -> Self {
        self.references.push(reference);
        self
    }
}

/// A code that could not be judged for a subject, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotAssessed {
    /// Which code.
    pub code: Code,
    /// For what.
    pub subject: Subject,
    /// What hid the fact.
    pub veil: Veil,
    /// What would show it, for a reader; may be empty.
    pub hint: String,
}

/// What a detector says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assessment {
    /// What it found.
    pub found: Vec<Finding>,
    /// What it could not judge. What is neither found nor listed here was judged and is clear.
    pub not_assessed: Vec<NotAssessed>,
}

/// What was found in a recording and does not hold, by what the network said when it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refutation {
    /// The code in question.
    pub code: Code,
    /// The host that it was found for.
    pub host: String,
    /// The address, where only what was found about that one does not hold.
    pub address: Option<IpAddr>,
    /// What speaks against it, with the probe's number.
    pub why: String,
}
