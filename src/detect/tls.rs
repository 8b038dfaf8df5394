//! TLS: what stops a handshake after the `ClientHello`, and whether it was the name, the shape, the path or the server.
//!
//! Attempts are grouped by name and address, since go opens several connections at once, and held against the other
//! attempts in the recording: another name at the same address, the same name with a smaller hello.

mod answered;
mod residual;
mod said;
mod silent;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use super::Detector;
use super::attempt::{Fate, fate, segment_at, unanswered};
use super::subject::{handshake_subject, host_of, is_incidental, is_proxy, judged_handshakes, machine};
use crate::finding::{Assessment, Code, Confidence, Evidence, Finding, NotAssessed, Subject};
use crate::observation::{Case, Connection, Handshake, Marks, Opening, Veil};
use crate::reference::Reference;
use crate::types::{Direction, FlowId, Moment};

pub(super) const DETECTOR: Detector = Detector {
    codes: &[
        Code::TlsSniReset,
        Code::TlsSniBlackhole,
        Code::TlsSniClosed,
        Code::TlsResidualBlock,
        Code::TlsClienthelloIntolerance,
        Code::TlsAlertInjected,
        Code::TlsServerAlert,
        Code::TlsServerReset,
        Code::TlsNotTls,
        Code::TlsHandshakeTimeout,
        Code::NetMtuBlackhole,
    ],
    assess,
};

/// Evidence cited of each role; the rest says nothing new.
const CITED: usize = 40;
/// Packets of one connection cited for what became of them.
const CITED_EACH: usize = 16;
/// A hello at least this much smaller is another shape.
const SMALLER: u32 = 200;

/// One attempt at a handshake.
struct Attempt<'c> {
    handshake: &'c Handshake,
    connection: &'c Connection,
    host: Option<String>,
    fate: Fate,
}

impl Attempt<'_> {
    /// The server said something to the hello.
    fn passed(&self) -> bool {
        self.handshake.server_hello.is_some()
    }

    /// The far end is behind a proxy.
    const fn in_tunnel(&self) -> bool {
        self.handshake.tunnel.is_some()
    }

    /// The network sees the hello: it does not run in another TLS session.
    const fn is_visible(&self) -> bool {
        self.handshake.layer == 0
    }

    fn bytes(&self) -> u32 {
        self.handshake.hello.as_ref().map_or(0, |hello| hello.bytes)
    }

    fn at(&self) -> Moment {
        self.handshake.hello.as_ref().map_or(self.connection.first, |hello| hello.started)
    }

    /// The hello as evidence: where it starts and where it ends.
    fn cite_hello(&self, finding: &mut Finding) {
        let Some(hello) = &self.handshake.hello else { return };
        let note = format!("{} bytes in {} segments", hello.bytes, hello.segments);
        for at in [hello.started, hello.at] {
            finding.cite(Evidence::segment("client_hello", at, self.connection.flow, note.clone()));
        }
    }

    /// Every reset in the server's name after the hello: who forged the rest of the answer sent them, too.
    fn cite_resets(&self, finding: &mut Finding) {
        let Some(hello) = &self.handshake.hello else { return };
        let resets = self.connection.segments.towards(Direction::ToClient).filter(|segment| segment.flags.rst());
        for reset in resets.filter(|segment| segment.at > hello.started).take(CITED_EACH) {
            finding.cite(Evidence::segment("forged_reset", reset.at, self.connection.flow, ""));
        }
    }

    /// What the client sent afterwards and nobody acknowledged: the path kept it, too.
    fn cite_unanswered(&self, finding: &mut Finding) {
        for segment in unanswered(self.handshake, self.connection).iter().take(CITED_EACH) {
            finding.cite(Evidence::segment("unanswered", segment.at, self.connection.flow, ""));
        }
    }
}

/// Attempts by name, address and client.
type Groups<'a, 'c> = BTreeMap<(Option<&'a str>, SocketAddr, IpAddr), Vec<&'a Attempt<'c>>>;

/// What other attempts in the recording say about a failing group.
struct Controls<'a, 'c> {
    /// Another name at the same address got an answer.
    other_name: Option<&'a Attempt<'c>>,
    /// The same name got an answer with a clearly smaller hello, or with one that lacks what is new in those that fail.
    smaller: Option<&'a Attempt<'c>>,
    /// The same name got an answer of the same client at the same address with an equal hello.
    same: Option<&'a Attempt<'c>>,
    /// Another name got an answer with a hello as large, anywhere beyond the client.
    large: Option<&'a Attempt<'c>>,
}

/// Attempts that got through, in their order, by what controls are looked up by. A recording may have very many.
struct Passed<'a, 'c> {
    by_host: HashMap<Option<&'a str>, Vec<&'a Attempt<'c>>>,
    by_server: HashMap<SocketAddr, Vec<&'a Attempt<'c>>>,
}

impl<'a, 'c> Passed<'a, 'c> {
    /// What a hello that the recording does not hold asked for, and how large it was, is not known: it is left out.
    fn of(all: &'a [Attempt<'c>]) -> Self {
        let mut passed = Self { by_host: HashMap::new(), by_server: HashMap::new() };
        for attempt in all.iter().filter(|attempt| attempt.passed() && attempt.handshake.hello.is_some()) {
            passed.by_host.entry(attempt.host.as_deref()).or_default().push(attempt);
            passed.by_server.entry(attempt.connection.server).or_default().push(attempt);
        }
        passed
    }
}

impl<'a, 'c> Controls<'a, 'c> {
    fn of(group: &[&'a Attempt<'c>], all: &'a [Attempt<'c>], passed: &Passed<'a, 'c>) -> Self {
        let host = group.first().and_then(|attempt| attempt.host.as_deref());
        let server = group.first().map(|attempt| attempt.connection.server);
        let client = |attempt: &Attempt<'_>| machine(attempt.connection.client.ip());
        let own = group.first().map(|attempt| client(attempt));
        let failing = group.iter().filter(|attempt| !attempt.passed());
        let size = failing.clone().map(|attempt| attempt.bytes()).min().unwrap_or(0);
        let news = failing.map(|attempt| news(attempt)).min().unwrap_or(0);
        let simpler = |attempt: &Attempt<'_>| attempt.bytes() + SMALLER < size || self::news(attempt) < news;
        // What happens to the hello to a proxy says nothing of those inside its tunnels, nor the reverse.
        let place = |attempt: &Attempt<'_>| (attempt.handshake.layer, attempt.in_tunnel());
        let here = group.first().map(|attempt| place(attempt));
        let there = server.and_then(|server| passed.by_server.get(&server)).map(Vec::as_slice).unwrap_or_default();
        let same_host = passed.by_host.get(&host).map(Vec::as_slice).unwrap_or_default();
        Self {
            other_name: there
                .iter()
                .find(|attempt| attempt.host.as_deref() != host && Some(place(attempt)) == here)
                .copied(),
            smaller: same_host.iter().find(|attempt| simpler(attempt)).copied(),
            large: all.iter().find(|attempt| {
                attempt.host.as_deref() != host
                    && attempt.passed()
                    && attempt.handshake.hello.is_some()
                    && !simpler(attempt)
                    && !attempt.in_tunnel()
            }),
            same: same_host
                .iter()
                .filter(|attempt| Some(client(attempt)) == own)
                .find(|attempt| !simpler(attempt) && Some(attempt.connection.server) == server)
                .copied(),
        }
    }
}

fn assess(case: &Case, reference: &Reference) -> Assessment {
    // Other programs' handshakes serve as controls, too.
    let all: Vec<Attempt<'_>> = case
        .handshakes
        .iter()
        .filter_map(|handshake| {
            let connection = case.connection(handshake.flow)?;
            let host = host_of(case, handshake, connection);
            Some(Attempt { handshake, connection, host, fate: fate(case, handshake, connection) })
        })
        .collect();
    let judged: HashSet<FlowId> = judged_handshakes(case).map(|(handshake, _)| handshake.flow).collect();
    let passed = Passed::of(&all);
    let mut groups: Groups<'_, '_> = BTreeMap::new();
    for attempt in all.iter().filter(|attempt| judged.contains(&attempt.handshake.flow)) {
        let client = machine(attempt.connection.client.ip());
        groups.entry((attempt.host.as_deref(), attempt.connection.server, client)).or_default().push(attempt);
    }
    let mut assessment = Assessment::default();
    for group in groups.values() {
        let controls = Controls::of(group, &all, &passed);
        let finding =
            answered::assess(case, group, &controls, reference).or_else(|| silent::assess(case, group, &controls));
        let finding = finding.or_else(|| said::assess(case, group, &all));
        match finding {
            Some(mut finding) => {
                finding.incidental = group.iter().all(|attempt| is_incidental(attempt.connection));
                assessment.found.push(finding);
            }
            None => assessment.not_assessed.extend(blind(case, group)),
        }
    }
    for mut finding in residual::assess(case, &groups, &all) {
        // What a block of the address does to others' names is told with the name that set it off.
        residual::absorb(&mut assessment.found, &mut finding);
        assessment.found.push(finding);
    }
    assessment
}

/// Go's hello was seen and nothing of what followed.
fn blind(case: &Case, group: &[&Attempt<'_>]) -> Option<NotAssessed> {
    let attempt = group.iter().find(|attempt| matches!(attempt.fate, Fate::Unseen))?;
    if group.iter().any(|attempt| attempt.passed()) {
        return None;
    }
    let one_way =
        attempt.connection.packets.to_client == 0 && !matches!(attempt.connection.opening, Opening::Unanswered { .. });
    Some(NotAssessed {
        code: Code::TlsHandshakeTimeout,
        subject: group_subject(case, group),
        veil: if one_way { Veil::Gap } else { Veil::EndOfCapture },
        hint: if one_way {
            "record both directions".to_owned()
        } else {
            "record until go has given up (10 seconds after the hello)".to_owned()
        },
    })
}

fn group_subject(case: &Case, group: &[&Attempt<'_>]) -> Subject {
    group
        .first()
        .map_or_else(Subject::default, |attempt| handshake_subject(case, attempt.handshake, attempt.connection))
}

/// The strongest marks among several packets.
fn strongest<'m>(marks: impl Iterator<Item = &'m Marks>) -> Marks {
    marks.max_by_key(|marks| marks.classes()).cloned().unwrap_or_default()
}

/// How sure marks make: what a real stack cannot do is strong by itself, and the same mark on several connections is
/// more than a coincidence.
fn confidence(case: &Case, marks: &Marks, connections: usize, differential: bool) -> Confidence {
    let repeated = usize::from(connections > 1 && marks.any());
    let mut confidence = Confidence::from_classes(marks.classes() + repeated + usize::from(differential));
    if differential && confidence == Confidence::Strong && marks.classes() >= 2 {
        confidence = Confidence::Proven;
    }
    if case.health.lost > 0 && case.health.lost * 1_000 > case.health.data_segments {
        confidence = confidence.lowered();
    }
    confidence
}

/// How much of what Go 1.24 and 1.27 brought a hello has: a post-quantum key share, ML-DSA signature algorithms.
fn news(attempt: &Attempt<'_>) -> usize {
    attempt.handshake.hello.as_ref().map_or(0, |hello| {
        usize::from(hello.groups.iter().any(|group| matches!(group, 0x11eb..=0x11ed | 0x6399)))
            + usize::from(hello.signature_algorithms.iter().any(|algorithm| matches!(algorithm, 0x0904..=0x0906)))
    })
}

/// Whether the failing hello has any of it.
fn is_new_style(attempt: &Attempt<'_>) -> bool {
    news(attempt) > 0
}

/// What to try when the hello's shape may be the reason, as far as this go has such a switch.
fn shape_remedy(finding: Finding, case: &Case) -> Finding {
    // Where a hello of the same shape passes with another name, a smaller one decides nothing.
    let settled = finding.excluded.iter().any(|excluded| excluded.alternative.contains("ClientHello"));
    if case.go.has_switch("tlsmlkem") && !settled {
        finding.with_remedy(
            "Repeat with a small ClientHello. If that works, the size is the reason and not the name; if not, nothing is decided.",
            Some("GODEBUG=tlsmlkem=0 go mod download"),
        )
    } else {
        finding
    }
}

/// Says whether another module proxy is a way out: only for hosts that a mirror can replace.
fn mirror_remedy(finding: Finding, host: Option<&str>) -> Finding {
    match host {
        Some("proxy.golang.org" | "sum.golang.org" | "storage.googleapis.com") => finding.with_remedy(
            "Until the network is mended, use a module proxy that it lets through, for instance one run by the company. GOSUMDB stays on: the checksum database still verifies what a mirror serves.",
            Some("go env -w GOPROXY=https://goproxy.example.com,direct"),
        ),
        _ => finding,
    }
}

#[cfg(test)]
mod tests;
