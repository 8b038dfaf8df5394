//! Resolvers that fail, refuse, or do not answer.

use std::collections::BTreeSet;

use super::view::{NOERROR, Name, Names, REFUSED, SERVFAIL};
use crate::finding::{Code, Confidence, Evidence, Fault, Finding, NotAssessed};
use crate::observation::{Answer, Case, Connection, End, Lookup, Opening, RecordType, Veil};
use crate::packet::IcmpKind;
use crate::types::{Direction, Span};

/// go waits five seconds for each answer (resolv.conf(5), `timeout`); silence shorter than this proves nothing.
const PATIENCE: Span = Span::from_millis(4_500);

/// Judges names that got no usable answer from anybody.
pub(super) fn assess(case: &Case, name: &Name<'_>) -> Option<Finding> {
    if name.has_address() {
        return None;
    }
    let truncated = name.answers().find(|(_, answer)| answer.truncated);
    if let Some((lookup, answer)) = truncated {
        return tcp_blocked(case, name, lookup, answer);
    }
    // That there is no address of one family says nothing about the other.
    let of_no_use = |answer: &Answer| matches!(answer.rcode, SERVFAIL | REFUSED);
    let settled_types: BTreeSet<RecordType> =
        name.answers().filter(|(_, answer)| !of_no_use(answer)).map(|(lookup, _)| lookup.record_type).collect();
    let lookups: Vec<&Lookup> = name
        .for_addresses()
        .filter(|lookup| lookup.query.is_some() && !settled_types.contains(&lookup.record_type))
        .collect();
    if lookups.is_empty() || name.answers().any(|(_, answer)| answer.rcode != NOERROR && !of_no_use(answer)) {
        return None;
    }
    let answers = || lookups.iter().flat_map(|lookup| &lookup.answers);
    let refused = answers().any(|answer| answer.rcode == REFUSED);
    let failed = answers().any(|answer| answer.rcode == SERVFAIL);
    let others_fine = others_resolve(case, name);
    let (code, what) = match (failed, refused) {
        (true, _) => (Code::DnsServfail, "fails to resolve"),
        (false, true) => (Code::DnsRefused, "refuses to resolve"),
        (false, false) => {
            // A recording that goes on until go fails may hold nothing after the last question's five seconds.
            let settled = lookups.iter().all(|lookup| is_settled(case, lookup))
                || (case.go.failed() == Some(true) && lookups.iter().any(|lookup| is_settled(case, lookup)));
            let settled = settled && lookups.iter().all(|lookup| lookup.error.is_none());
            // Without any answer in the recording it may simply lack that direction.
            let one_way = case.lookups.iter().all(|lookup| lookup.answers.is_empty())
                && case.health.two_sided == 0
                && !case.health.one_sided.is_empty();
            if !settled || one_way || was_answered_unseen(case, name) {
                return None;
            }
            (Code::DnsTimeout, "gives no answer to questions for")
        }
    };
    let mut resolvers: Vec<String> = lookups.iter().map(|lookup| lookup.resolver.ip().to_string()).collect();
    resolvers.sort();
    resolvers.dedup();
    let summary = match (resolvers.as_slice(), others_fine) {
        ([resolver], true) => {
            format!("The resolver {resolver} {what} {}, while it answers for other names.", name.name)
        }
        ([resolver], false) => format!("The resolver {resolver} {what} {}.", name.name),
        _ => format!("Each of the resolvers {} {what} {}.", resolvers.join(" and "), name.name),
    };
    let confidence = if others_fine || code != Code::DnsTimeout { Confidence::Strong } else { Confidence::Moderate };
    let questions = lookups.iter().filter_map(|lookup| lookup.query.as_ref());
    let mut evidence = answers()
        .map(|answer| Evidence::frame("answer", answer.at, ""))
        .chain(questions.map(|query| Evidence::frame("question", query.at, "")));
    let first = evidence.next()?;
    let rest: Vec<Evidence> = evidence.collect();
    let mut finding = Finding::new(code, Fault::Network, confidence, name.subject(), first, summary)
        .with_evidence(rest)
        .with_class(resolvers.join(" "))
        .with_list("resolvers", resolvers.iter().cloned())
        .with_reference("RFC 1035 §4.1.1");
    finding = if others_fine {
        finding
            .excluding("the resolver is down", "it answers for other names in the same recording")
            .not_excluding("a filter that makes this one name fail")
            .not_excluding("the name's own servers, or DNSSEC, fail for that resolver")
    } else {
        finding.not_excluding("the path to the resolver, not the resolver itself")
    };
    Some(finding.with_remedy(
        "Ask the resolver's operator; try another resolver to see whether it is the resolver or the name.",
        Some(&format!("dig @9.9.9.9 {}", name.name)),
    ))
}

/// The question waited long enough for its answer, or go asked again.
fn is_settled(case: &Case, lookup: &Lookup) -> bool {
    let Some(query) = &lookup.query else { return false };
    case.recording.until().is_some_and(|last| last.since(query.at.time) >= PATIENCE)
        || case.lookups.iter().any(|other| {
            (&other.name, other.record_type, other.client.ip())
                == (&lookup.name, lookup.record_type, lookup.client.ip())
                && other.query.as_ref().is_some_and(|later| later.at.time.since(query.at.time) >= PATIENCE)
        })
        || case.go.has_dns_timeout(&lookup.name)
}

/// Another name got an address from one of the same resolvers.
fn others_resolve(case: &Case, name: &Name<'_>) -> bool {
    case.lookups.iter().any(|other| {
        other.name != name.name
            && name.lookups.iter().any(|lookup| lookup.resolver.ip() == other.resolver.ip())
            && other.answers.iter().any(|answer| answer.addresses().next().is_some())
    })
}

/// A truncated answer whose repetition over TCP does not come through (RFC 7766 §5).
fn tcp_blocked(case: &Case, name: &Name<'_>, lookup: &Lookup, answer: &Answer) -> Option<Finding> {
    let over_tcp: Vec<_> = case
        .connections
        .iter()
        .filter(|connection| connection.server.port() == 53 && connection.server.ip() == lookup.resolver.ip())
        .filter(|connection| connection.client.ip() == name.client && connection.first.time >= answer.at.time)
        .collect();
    let first = over_tcp.first()?;
    // A last try that the recording's end cut short proves nothing.
    if over_tcp.iter().any(|connection| connection.bytes.to_client > 0)
        || !over_tcp.iter().any(|connection| has_failed(case, connection))
    {
        return None;
    }
    let how = match &first.opening {
        Opening::Unanswered { .. } => "is not answered",
        Opening::Refused { .. } => "is refused",
        Opening::Established { .. } => "opens and stays silent, or is cut off",
        Opening::Unseen(_) => return None,
    };
    let summary = format!(
        "The answer for {} is too long for a datagram, and the repetition over TCP to {} {how}.",
        name.name,
        lookup.resolver.ip()
    );
    let finding = Finding::new(
        Code::DnsTcpBlocked,
        Fault::Network,
        Confidence::Strong,
        name.subject(),
        Evidence::frame("truncated_answer", answer.at, ""),
        summary,
    )
    .with_class(lookup.resolver.ip().to_string())
    .with_remedy("Let TCP port 53 to the resolver pass: DNS needs it as well as UDP.", None)
    .with_reference("RFC 7766 §5");
    let mut finding = finding.with_evidence(name.questions());
    for connection in over_tcp {
        for segment in connection.segments.iter().take(12) {
            finding.cite(Evidence::segment("tcp_attempt", segment.at, connection.flow, ""));
        }
    }
    for (_, other) in name.answers().filter(|(_, other)| other.truncated) {
        finding.cite(Evidence::frame("truncated_answer", other.at, ""));
    }
    Some(finding.with_evidence(name.questions()))
}

/// The connection was refused or cut off, or waited in vain for long enough.
fn has_failed(case: &Case, connection: &Connection) -> bool {
    let waited = case.recording.until().is_some_and(|last| last.since(connection.first.time) >= PATIENCE);
    match &connection.opening {
        Opening::Refused { .. } => true,
        Opening::Unanswered { syns } => syns.len() > 1 || waited || !connection.icmp.is_empty(),
        Opening::Established { .. } => {
            waited || matches!(connection.end, End::Reset { direction: Direction::ToClient, .. } | End::Closed)
        }
        Opening::Unseen(_) => false,
    }
}

/// The client shook hands with the name after it had asked: an answer came that the recording does not hold.
fn was_answered_unseen(case: &Case, name: &Name<'_>) -> bool {
    case.handshakes.iter().any(|handshake| {
        handshake.tunnel.is_none()
            && handshake.server_name.seen().is_some_and(|server_name| server_name == name.name)
            && case.connection(handshake.flow).is_some_and(|connection| {
                connection.client.ip() == name.client
                    && name
                        .for_addresses()
                        .filter_map(|lookup| lookup.query.as_ref())
                        .any(|query| query.at.time <= connection.first.time)
            })
    })
}

/// Questions at the end of the recording whose answers may have come after it.
pub(super) fn unsettled(case: &Case, names: &Names<'_>) -> Vec<NotAssessed> {
    names
        .iter()
        .filter(|name| name.answers().next().is_none())
        .filter(|name| {
            name.for_addresses()
                .any(|lookup| lookup.query.is_some() && lookup.error.is_none() && !is_settled(case, lookup))
        })
        .map(|name| NotAssessed {
            code: Code::DnsTimeout,
            subject: name.subject(),
            veil: Veil::EndOfCapture,
            hint: "record until go has given up (10 seconds after the question)".to_owned(),
        })
        .collect()
}

/// Whether an ICMP error says that nothing listens where a question went.
pub(super) fn nothing_listens(case: &Case, lookup: &Lookup) -> Option<crate::types::Moment> {
    let error = case.icmp.get(lookup.error?)?;
    (error.kind == IcmpKind::PortUnreachable && error.from == lookup.resolver.ip()).then_some(error.at)
}
