//! Many findings, one ordered story: what is the cause, what follows from it, and who can act.
//!
//! Detectors do not see each other; here their findings meet. The order in which they arrive changes nothing.

mod artifacts;
mod asked;
mod fingerprint;
mod overrides;
mod precedence;
mod sentence;
mod story;

pub use artifacts::judge_artifacts;
pub use asked::joined;
pub use overrides::{Level, OverrideError, Overrides, Selector};
pub use story::diagnose;

use crate::finding::{Code, Fault, Finding, NotAssessed};

/// What the whole run comes to. It judges the network, not go's exit status.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// Go's traffic was seen and nothing that matters is wrong.
    Ok,
    /// Somebody on the path, or a proxy's policy, stops it.
    Blocked,
    /// A server, a proxy, the client or the network is set up wrongly.
    Misconfigured,
    /// The far side failed or refused.
    Upstream,
    /// Something failed and the recording does not show why.
    Inconclusive,
    /// Nothing of go was seen and nothing local explains why.
    NoTraffic,
}

/// Who can act.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Who {
    /// Whoever runs the network, or a network on the way.
    Network,
    /// Whoever runs the server.
    Server,
    /// Whoever runs the proxy.
    Proxy,
    /// The user of this machine.
    Client,
    /// The service at the far end.
    Upstream,
    /// It cannot be told, or there is nothing to do.
    Unknown,
}

/// The one verdict.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// What it comes to.
    pub outcome: Outcome,
    /// Code of the root-cause finding.
    pub cause: Option<Code>,
    /// Who can act.
    pub who: Who,
    /// Fingerprint of the root-cause finding.
    pub fingerprint: Option<String>,
    /// One sentence that the reader of a ticket understands. It may hold names from the wire.
    pub summary: String,
}

/// A finding in its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ranked {
    /// What was found.
    pub finding: Finding,
    /// It is the verdict's cause; true for one finding at most.
    pub root_cause: bool,
    /// Stable name of the fault, `v1:` and 16 hex digits.
    pub fingerprint: String,
    /// The finding that it follows from: an index into [`Diagnosis::findings`].
    pub consequence_of: Option<usize>,
}

/// The story.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnosis {
    /// Its end.
    pub verdict: Verdict,
    /// The root cause first, then what stands by itself, then consequences, then remarks.
    pub findings: Vec<Ranked>,
    /// What could not be judged.
    pub not_assessed: Vec<NotAssessed>,
}

/// What else is known of the run: all that a verdict needs beside the findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// Traffic of the go command was seen, be it a lone question.
    pub go_traffic: bool,
    /// Go's exit status, where it is known.
    pub exit_status: Option<i32>,
    /// Errors that go printed.
    pub errors: Vec<String>,
}

impl Circumstances {
    /// Whether go failed, as far as is known: by its exit status, else by what it printed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.exit_status.map_or(!self.errors.is_empty(), |status| status != 0)
    }
}

impl Outcome {
    /// The word that reports use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Blocked => "blocked",
            Self::Misconfigured => "misconfigured",
            Self::Upstream => "upstream",
            Self::Inconclusive => "inconclusive",
            Self::NoTraffic => "no_traffic",
        }
    }
}

impl Fault {
    /// What a cause with this fault makes of the verdict.
    #[must_use]
    pub const fn verdict(self) -> (Outcome, Who) {
        match self {
            Self::Interference => (Outcome::Blocked, Who::Network),
            Self::Altered => (Outcome::Blocked, Who::Unknown),
            Self::ProxyPolicy => (Outcome::Blocked, Who::Proxy),
            Self::Network => (Outcome::Misconfigured, Who::Network),
            Self::Client => (Outcome::Misconfigured, Who::Client),
            Self::Server => (Outcome::Misconfigured, Who::Server),
            Self::ProxyUpstream => (Outcome::Upstream, Who::Proxy),
            Self::Upstream => (Outcome::Upstream, Who::Upstream),
            Self::Unknown => (Outcome::Inconclusive, Who::Unknown),
            Self::Harmless => (Outcome::Ok, Who::Unknown),
        }
    }
}
