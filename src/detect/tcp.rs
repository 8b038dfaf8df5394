//! TCP: who refuses, who resets, who writes into a stream, and transfers that stop.

mod stalled;
mod throttled;

use super::Detector;
use super::attempt::segment_at;
use super::subject::{best_name, by_server, called, is_incidental, subject};
use crate::finding::{Assessment, Code, Confidence, Evidence, Fault, Finding};
use crate::observation::{Case, Connection, End, Marks, Opening, Outcome, Segment, SegmentKind};
use crate::reference::Reference;
use crate::types::{Direction, Moment, Span};

pub(super) const DETECTOR: Detector = Detector {
    codes: &[
        Code::TcpConnectionRefused,
        Code::TcpRefusalInjected,
        Code::TcpResetInjected,
        Code::TcpDataInjected,
        Code::TcpStalled,
        Code::TcpThrottled,
    ],
    assess,
};

/// Evidence cited of each role.
const CITED: usize = 48;
/// Resets so close to a forged one are of the same sender.
const TOGETHER: Span = Span::from_millis(5);
/// What comes of a forged reset comes within a round trip or two.
const ANSWERED: Span = Span::from_seconds(2);
/// A reset after this much silence on a connection older than half of it is a NAT's or a balancer's time-out.
const IDLE: Span = Span::from_seconds(60);
/// A host this few hops away is in the client's own network or at its provider.
const NEAR_HOPS: u8 = 6;

fn assess(case: &Case, reference: &Reference) -> Assessment {
    let mut assessment = Assessment::default();
    for (_, group) in by_server(case) {
        let findings = [
            refused(case, reference, &group),
            reset(case, &group),
            injected_data(case, &group),
            stalled::assess(case, &group),
            throttled::assess(case, &group),
        ];
        for mut finding in findings.into_iter().flatten() {
            finding.incidental = group.iter().all(|connection| is_incidental(connection));
            assessment.found.push(finding);
        }
    }
    assessment
}

/// Resets that answered SYNs: the host's own, or somebody else's.
fn refused(case: &Case, reference: &Reference, group: &[&Connection]) -> Option<Finding> {
    let refusals: Vec<(&Connection, &[Moment], Segment, Marks)> = group
        .iter()
        .filter_map(|connection| {
            let Opening::Refused { syns, reset } = &connection.opening else { return None };
            let segment = segment_at(connection, *reset)?;
            Some((*connection, syns.as_slice(), segment, case.marks(connection, &segment)))
        })
        .collect();
    let (connection, _, segment, _) = refusals.first()?;
    let subject = subject(best_name(connection), connection);
    let marks =
        refusals.iter().map(|(.., marks)| marks).max_by_key(|marks| marks.classes()).cloned().unwrap_or_default();
    // A SYN-ACK that comes after the reset: two stacks answered.
    let two_answers = refusals.iter().find_map(|(connection, _, reset, _)| {
        connection
            .segments
            .towards(Direction::ToClient)
            .find(|segment| segment.flags.syn() && segment.flags.ack() && segment.at > reset.at)
            .map(|segment| (connection.flow, segment.at))
    });
    let near = too_near(case, reference, connection, segment);
    let forged = marks.any() || two_answers.is_some() || near.is_some();
    let hindered = !over_ipv4(case, group);
    if !hindered && !marks.any() && two_answers.is_none() {
        return None; // told as a matter of IPv6, which a router nearby may refuse for everybody
    }
    let host = called(&subject);
    let (code, fault, confidence, role, summary) = if forged {
        let classes = marks.classes()
            + if two_answers.is_some() { 2 } else { 0 }
            + usize::from(near.is_some())
            + usize::from(refusals.len() > 1);
        let how = match (marks.any(), &near) {
            (true, _) => marks.words(),
            (false, Some(near)) => near.clone(),
            (false, None) => "the host itself answers, too".to_owned(),
        };
        let summary = format!("SYNs to {host} ({}) are refused by somebody on the path: {how}.", connection.server);
        (Code::TcpRefusalInjected, Fault::Interference, Confidence::from_classes(classes), "forged_refusal", summary)
    } else {
        let summary = format!("{host} ({}) refuses the connection: nothing listens on that port.", connection.server);
        let confidence = if marks.blind { Confidence::Moderate } else { Confidence::Strong };
        (Code::TcpConnectionRefused, Fault::Upstream, confidence, "refusal", summary)
    };
    let note = |segment: &Segment, marks: &Marks| {
        let words = marks.words();
        if words.is_empty() { format!("IP TTL {}", segment.ip.ttl) } else { words }
    };
    let mut finding = Finding::new(
        code,
        fault,
        confidence,
        subject,
        Evidence::segment(role, segment.at, connection.flow, note(segment, &marks)),
        summary,
    )
    .with_number("ttl", segment.ip.ttl.into());
    for (connection, syns, segment, marks) in refusals.iter().take(CITED) {
        syns.iter().take(4).for_each(|syn| finding.cite(Evidence::segment("syn", *syn, connection.flow, "")));
        finding.cite(Evidence::segment(role, segment.at, connection.flow, note(segment, marks)));
        let resets = connection.segments.towards(Direction::ToClient).filter(|other| other.flags.rst());
        for other in resets.filter(|other| other.at > segment.at).take(4) {
            finding.cite(Evidence::segment(role, other.at, connection.flow, ""));
        }
    }
    if let Some((flow, at)) = two_answers {
        finding.cite(Evidence::segment("own_answer", at, flow, "the host answers the same SYN"));
    }
    finding = if forged {
        finding
            .excluding("the host refuses", if two_answers.is_some() { "it accepts the same SYN".to_owned() } else { finding_reason(&marks, near.as_deref()) })
            .with_remedy("Ask whoever runs the network (firewall, provider) why it refuses connections to this address in its name.", None)
    } else {
        finding
            .not_excluding("a firewall in front of the host that refuses in its name")
            .with_remedy("Start the service, or correct host and port (GOPROXY, proxy variables).", None)
    };
    if !hindered {
        finding = finding.with_severity(crate::finding::Severity::Medium);
    }
    Some(finding.with_reference("RFC 9293 §3.10.7.1"))
}

fn finding_reason(marks: &Marks, near: Option<&str>) -> String {
    if marks.any() { marks.words() } else { near.unwrap_or_default().to_owned() }
}

/// A big operator's address that answers from next door, at a client that was recorded itself.
fn too_near(case: &Case, reference: &Reference, connection: &Connection, reset: &Segment) -> Option<String> {
    let host = best_name(connection)?;
    if reference.in_operator_ranges(&host, connection.server.ip()) != Some(true) {
        return None;
    }
    let at_client =
        connection.segments.towards(Direction::ToServer).all(|segment| matches!(segment.ip.ttl, 64 | 128 | 255));
    let initial = [64_u8, 128, 255].into_iter().find(|initial| *initial >= reset.ip.ttl)?;
    let hops = initial - reset.ip.ttl;
    // Where other public hosts are as near, nearness says nothing.
    let others_near = case.connections.iter().any(|other| {
        reference.special(other.server.ip()).is_none()
            && other.server.ip() != connection.server.ip()
            && matches!(other.opening, Opening::Established { .. })
            && other.ttls.to_client.first().is_some_and(|(ttl, _)| hops_of(*ttl) <= NEAR_HOPS)
    });
    (at_client && hops <= NEAR_HOPS && !others_near).then(|| {
        format!("IP TTL {} puts the sender {hops} hops away, which no server of this operator is", reset.ip.ttl)
    })
}

fn hops_of(ttl: u8) -> u8 {
    [64_u8, 128, 255].into_iter().find(|initial| *initial >= ttl).map_or(0, |initial| initial - ttl)
}

/// Forged resets outside of a TLS hello, which the TLS detectors judge.
fn reset(case: &Case, group: &[&Connection]) -> Option<Finding> {
    let resets: Vec<(&Connection, Segment, Marks, bool)> = group
        .iter()
        .filter(|connection| !judged_by_tls(case, connection) && !matches!(connection.opening, Opening::Refused { .. }))
        .filter_map(|connection| {
            let ended = match connection.end {
                End::Reset { direction: Direction::ToClient, at } => Some(at),
                _ => None,
            };
            // A server that was sent one, too, refuses with resets of its own what the client still sends.
            let effective =
                |reset: &Segment| ended.is_some_and(|at| at >= reset.at && at.time.since(reset.at.time) <= ANSWERED);
            let candidates = connection.segments.towards(Direction::ToClient).filter(|segment| segment.flags.rst());
            candidates
                .filter(|segment| !is_clean_up(connection, segment) && !in_handshake(case, connection, segment))
                .filter(|segment| segment.kind != SegmentKind::Duplicate)
                .map(|segment| {
                    // Only an answer can come too early; a server may reset an open connection whenever it likes.
                    let mut marks = case.marks(connection, segment);
                    marks.early = marks.any_but_early().then(|| case.early_reset(connection, segment)).flatten();
                    (*connection, *segment, marks, effective(segment))
                })
                .find(|(.., marks, _)| marks.any())
        })
        .collect();
    let (connection, segment, marks, _) =
        resets.iter().max_by_key(|(.., marks, effective)| (*effective, marks.classes()))?;
    let effective = resets.iter().any(|(.., effective)| *effective);
    let subject = subject(best_name(connection), connection);
    let summary = format!(
        "A reset in the name of {} was forged on the path ({}){}.",
        called(&subject),
        marks.words(),
        if effective {
            "; it ended the connection"
        } else {
            "; it had no effect, because its sequence number does not fit"
        }
    );
    let classes = marks.classes()
        + usize::from(resets.len() > 1)
        + usize::from(effective && client_answers_late_data(connection));
    let mut finding = Finding::new(
        Code::TcpResetInjected,
        Fault::Interference,
        Confidence::from_classes(classes),
        subject,
        Evidence::segment("forged_reset", segment.at, connection.flow, marks.words()),
        summary,
    );
    for (connection, segment, marks, _) in resets.iter().take(CITED) {
        finding.cite(Evidence::segment("forged_reset", segment.at, connection.flow, marks.words()));
        if let Some(at) = marks.sender_went_on {
            finding.cite(Evidence::segment("server_goes_on", at, connection.flow, ""));
        }
        let others = connection.segments.towards(Direction::ToClient).filter(|other| other.flags.rst());
        for other in others.filter(|other| other.at > segment.at).take(CITED) {
            let marks = case.marks(connection, other);
            if marks.any() || other.at.time.since(segment.at.time) <= TOGETHER {
                finding.cite(Evidence::segment("forged_reset", other.at, connection.flow, marks.words()));
            }
        }
        for kept in never_acknowledged(connection).iter().take(CITED) {
            finding.cite(Evidence::segment("unanswered", kept.at, connection.flow, ""));
        }
        if client_answers_late_data(connection) {
            let answers = connection.segments.towards(Direction::ToServer);
            for answer in answers.filter(|answer| answer.at > segment.at && answer.flags.rst()).take(CITED) {
                finding.cite(Evidence::segment("client_refuses_late_data", answer.at, connection.flow, ""));
            }
        }
    }
    if !effective {
        finding = finding.with_severity(crate::finding::Severity::Medium);
    }
    if let Some(ttl) = marks.ttl {
        finding = finding.with_number("reset_ttl", ttl.seen.into()).with_number("server_ttl", ttl.usual.into());
    }
    if marks.sender_went_on.is_some() || client_answers_late_data(connection) {
        finding = finding.excluding("the server itself reset the connection", "it went on sending");
    } else {
        finding = finding.not_excluding("a balancer or firewall in front of the server that cleans up its own table");
    }
    Some(
        finding
            .with_remedy("Ask whoever runs the network: the path ends transfers in the server's name.", None)
            .with_reference("RFC 5961 §3"),
    )
}

/// Whether a TLS handshake of this connection failed at its hello, which is judged there.
fn judged_by_tls(case: &Case, connection: &Connection) -> bool {
    case.handshakes_in(connection.flow).filter(|handshake| handshake.layer == 0).any(|handshake| {
        let at_hello = handshake.hello.is_some() && matches!(handshake.outcome, Outcome::Reset | Outcome::Alert);
        at_hello || (handshake.server_hello.is_none() && handshake.outcome != Outcome::Completed)
    })
}

/// Whether a segment came between a hello and the end of its handshake: the TLS detectors tell of it.
fn in_handshake(case: &Case, connection: &Connection, segment: &Segment) -> bool {
    case.handshakes_in(connection.flow).filter(|handshake| handshake.layer == 0).any(|handshake| {
        let done = handshake.client_records.first().map(|(at, _)| *at).or(handshake.certificates_at);
        let begun = handshake.hello.as_ref().is_some_and(|hello| segment.at > hello.started);
        begun && done.is_some_and(|done| segment.at < done)
    })
}

/// The client's data that the server never acknowledged, and what the client sent after them.
fn never_acknowledged(connection: &Connection) -> Vec<Segment> {
    let Some(initial) = connection.initial_seq.to_server else { return Vec::new() };
    let acknowledged = connection.acknowledged.to_server.unwrap_or(0);
    if acknowledged >= connection.bytes.to_server {
        return Vec::new();
    }
    connection
        .segments
        .towards(Direction::ToServer)
        .filter(|segment| !segment.flags.syn() && !segment.flags.rst())
        .filter(|segment| {
            let start = u64::from(segment.seq.wrapping_sub(initial).wrapping_sub(1));
            start + u64::from(segment.length) > acknowledged && (segment.length > 0 || start > acknowledged)
        })
        .copied()
        .collect()
}

/// Whether these are connections over IPv6 to a host that the same recording shows at work over IPv4.
pub(super) fn over_ipv4(case: &Case, group: &[&Connection]) -> bool {
    group.iter().all(|connection| connection.server.is_ipv6())
        && case.connections.iter().any(|other| {
            other.server.is_ipv4()
                && matches!(other.opening, Opening::Established { .. })
                && other.bytes.to_client > 0
                && other.names.iter().any(|name| group.iter().any(|connection| connection.names.contains(name)))
        })
}

/// A reset that only clears up: after a FIN of either side, or on a connection that nobody had used for a minute.
fn is_clean_up(connection: &Connection, reset: &Segment) -> bool {
    let after_fin = [connection.fin.to_server, connection.fin.to_client].iter().flatten().any(|fin| *fin < reset.at);
    let before = connection.segments.iter().rfind(|segment| segment.at < reset.at);
    let idle = before.is_some_and(|before| reset.at.time.since(before.at.time) >= IDLE);
    // Whatever comes after the client's own reset ends nothing; routers clear their tables like that.
    let gone =
        connection.segments.towards(Direction::ToServer).any(|segment| segment.flags.rst() && segment.at < reset.at);
    after_fin || idle || gone
}

/// After the reset the server's data went on and the client's system answered them with resets of its own.
fn client_answers_late_data(connection: &Connection) -> bool {
    let End::Reset { direction: Direction::ToClient, at } = connection.end else { return false };
    let late = connection
        .segments
        .towards(Direction::ToClient)
        .filter(|segment| segment.at > at && segment.length > 0)
        .count();
    let answers = connection
        .segments
        .towards(Direction::ToServer)
        .filter(|segment| segment.at > at && segment.flags.rst())
        .count();
    late >= 3 && answers >= 3
}

/// Two different contents for one sequence range, of which one is not the server's.
fn injected_data(case: &Case, group: &[&Connection]) -> Option<Finding> {
    let conflicts: Vec<_> = group
        .iter()
        .flat_map(|connection| connection.conflicts.iter().map(move |conflict| (*connection, conflict)))
        .filter(|(_, conflict)| conflict.direction == Direction::ToClient)
        .collect();
    let (connection, conflict) = *conflicts.first()?;
    let marks_of =
        |at: Moment| segment_at(connection, at).map(|segment| case.marks(connection, &segment)).unwrap_or_default();
    let (first, second) = (marks_of(conflict.first), marks_of(conflict.second));
    let (forged, marks, effective) = if second.classes() > first.classes() {
        (conflict.second, second, false)
    } else {
        (conflict.first, first, true)
    };
    let subject = subject(best_name(connection), connection);
    let different_senders = conflict.first_ip.ttl != conflict.second_ip.ttl || marks.any();
    let confidence = Confidence::from_classes(
        1 + marks.classes() + usize::from(different_senders) + usize::from(conflicts.len() > 1),
    );
    let why = if marks.any() { format!(": {}", marks.words()) } else { String::new() };
    let summary = format!(
        "Two different contents came for the same place in the stream from {}; {} is forged{why}.",
        called(&subject),
        if effective { "the one that arrived first" } else { "the later one, which had no effect," }
    );
    let mut finding = Finding::new(
        Code::TcpDataInjected,
        Fault::Interference,
        confidence,
        subject,
        Evidence::segment("forged_data", forged, connection.flow, marks.words()),
        summary,
    );
    for (connection, conflict) in conflicts.iter().take(CITED) {
        for at in [conflict.first, conflict.second] {
            let role = if at == forged { "forged_data" } else { "contradicting_data" };
            finding.cite(Evidence::segment(role, at, connection.flow, ""));
        }
        let resets = connection.segments.towards(Direction::ToClient).filter(|segment| segment.flags.rst());
        for reset in resets.filter(|reset| reset.at.time.since(conflict.first.time).abs() <= TOGETHER) {
            finding.cite(Evidence::segment("forged_reset", reset.at, connection.flow, ""));
        }
    }
    if !effective {
        finding = finding.with_severity(crate::finding::Severity::Medium);
    }
    if !different_senders {
        finding = finding.not_excluding("a faulty network card or a server that rewrote its answer");
    }
    Some(
        finding
            .with_remedy("Ask whoever runs the network: somebody on the path writes into connections.", None)
            .with_reference("RFC 9293 §3.4"),
    )
}

#[cfg(test)]
mod tests;
