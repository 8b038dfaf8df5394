//! Addresses that cannot be reached at all: silence, ICMP errors, the client's own firewall, IPv6 alone.

mod resolvers;

use std::net::{IpAddr, SocketAddr};

use super::Detector;
use super::subject::{best_name, by_server, called, is_incidental, subject};
use super::tcp::over_ipv4;
use crate::finding::{Assessment, Code, Confidence, Evidence, Fault, Finding, NotAssessed, Severity, Subject};
use crate::go::GoErrorKind;
use crate::observation::{Case, Connection, IcmpError, Opening, Relevance, Veil};
use crate::packet::IcmpKind;
use crate::reference::Reference;
use crate::types::Span;

pub(super) const DETECTOR: Detector = Detector {
    codes: &[Code::NetAddressBlackhole, Code::NetUnreachable, Code::NetBlockedLocally, Code::NetIpv6Broken],
    assess,
};

/// Silence shorter than this, without a repeated SYN, proves nothing (RFC 6298: the first repetition comes after a second).
const PATIENCE: Span = Span::from_seconds(3);
/// go tries IPv4 after 300 ms without an answer over IPv6 (`net.Dialer.FallbackDelay`).
const FALLBACK: Span = Span::from_millis(300);
/// Evidence cited of each role.
const CITED: usize = 64;

fn assess(case: &Case, reference: &Reference) -> Assessment {
    let mut assessment = Assessment::default();
    let groups = by_server(case);
    for (server, group) in &groups {
        if let Some(mut finding) = unreachable(case, group)
            .or_else(|| silent(case, *server, group))
            .or_else(|| refused_over_ipv6(case, group))
            .or_else(|| lost_the_race(case, group))
        {
            finding.incidental = group.iter().all(|connection| is_incidental(connection));
            assessment.found.push(in_ipv6(case, finding, *server, group));
        } else if group.iter().any(|connection| is_unsettled(case, connection)) {
            assessment.not_assessed.push(NotAssessed {
                code: Code::NetAddressBlackhole,
                subject: group.first().map(|connection| subject(best_name(connection), connection)).unwrap_or_default(),
                veil: Veil::EndOfCapture,
                hint: "record until go has given up (30 seconds after the first SYN)".to_owned(),
            });
        }
    }
    let mut local = rejected_locally(case);
    for finding in blocked_locally(case, reference, &groups) {
        if !local.iter().any(|known| known.subject.address == finding.subject.address) {
            local.push(finding);
        }
    }
    assessment.found.retain(|finding| {
        finding.code != Code::NetUnreachable
            || !local.iter().any(|known| known.subject.address == finding.subject.address)
    });
    assessment.found.extend(local);
    assessment.found.extend(resolvers::assess(case, reference));
    assessment
}

/// SYNs without an answer for long enough to mean something.
fn is_silent(case: &Case, connection: &Connection) -> bool {
    let Opening::Unanswered { syns } = &connection.opening else { return false };
    let waited =
        syns.first().zip(case.recording.until()).is_some_and(|(first, last)| last.since(first.time) >= PATIENCE);
    syns.len() >= 3 || (syns.len() == 2 && waited)
}

/// A SYN whose answer may have come after the recording ended.
fn is_unsettled(case: &Case, connection: &Connection) -> bool {
    matches!(&connection.opening, Opening::Unanswered { .. })
        && !is_silent(case, connection)
        && case.recording.until().is_some_and(|last| last.since(connection.last.time) < PATIENCE)
}

fn silent(case: &Case, server: SocketAddr, group: &[&Connection]) -> Option<Finding> {
    let silent: Vec<_> = group.iter().filter(|connection| is_silent(case, connection)).collect();
    let first = silent.first()?;
    // An address that answered some connections is not a hole; residual blocks are judged with the hello that set them off.
    if group.iter().any(|connection| connection.packets.to_client > 0) {
        return None;
    }
    // In a recording of the client's packets alone nothing ever answers.
    let answered = answered_elsewhere(case, first, server);
    if !answered && case.health.two_sided == 0 && case.lookups.iter().all(|lookup| lookup.answers.is_empty()) {
        return None;
    }
    let subject = subject(best_name(first), first);
    let names: Vec<String> = {
        let mut names: Vec<String> = silent.iter().flat_map(|connection| connection.names.iter().cloned()).collect();
        names.sort();
        names.dedup();
        names
    };
    let syns: usize = silent
        .iter()
        .map(|connection| match &connection.opening {
            Opening::Unanswered { syns } => syns.len(),
            _ => 0,
        })
        .sum();
    let confidence = match (answered, silent.len() > 1) {
        (true, true) => Confidence::Strong,
        (true, false) | (false, true) => Confidence::Moderate,
        (false, false) => Confidence::Weak,
    };
    let summary =
        format!("{syns} SYNs to {} ({server}) on {} connection(s) are never answered.", called(&subject), silent.len());
    let mut evidence = silent.iter().flat_map(|connection| {
        let syns = match &connection.opening {
            Opening::Unanswered { syns } => syns.as_slice(),
            _ => &[],
        };
        syns.iter().map(|syn| Evidence::segment("unanswered_syn", *syn, connection.flow, ""))
    });
    let start = evidence.next()?;
    let rest: Vec<Evidence> = evidence.take(CITED).collect();
    let mut finding = Finding::new(Code::NetAddressBlackhole, Fault::Interference, confidence, subject, start, summary)
        .with_evidence(rest)
        .with_list("names", names)
        .with_number("syns", i64::try_from(syns).unwrap_or(i64::MAX))
        .not_excluding("the server is down")
        .with_remedy(
            "Ask whoever runs the network whether it drops packets to this address; try from another network.",
            None,
        )
        .with_reference("RFC 9293 §3.8.3");
    if answered {
        finding = finding.excluding("the client has no network", "other destinations answer in the same recording");
    } else {
        finding = finding.not_excluding("the client's network as a whole is down");
    }
    Some(finding)
}

/// Refusals over IPv6 beside IPv4 that works for the same host, whoever refuses.
fn refused_over_ipv6(case: &Case, group: &[&Connection]) -> Option<Finding> {
    if !over_ipv4(case, group) || group.iter().any(|one| matches!(one.opening, Opening::Established { .. })) {
        return None;
    }
    let refused: Vec<_> = group
        .iter()
        .filter_map(|connection| match &connection.opening {
            Opening::Refused { syns, reset } => Some((*connection, syns, *reset)),
            _ => None,
        })
        .collect();
    let (connection, _, reset) = refused.first()?;
    let subject = subject(best_name(connection), connection);
    let summary = format!("{} ({}) is refused.", called(&subject), connection.server);
    let start = Evidence::segment("refusal", *reset, connection.flow, "");
    let mut finding =
        Finding::new(Code::NetAddressBlackhole, Fault::Network, Confidence::Strong, subject, start, summary);
    for (connection, syns, reset) in refused.iter().take(CITED) {
        syns.iter().take(4).for_each(|syn| finding.cite(Evidence::segment("syn", *syn, connection.flow, "")));
        finding.cite(Evidence::segment("refusal", *reset, connection.flow, ""));
    }
    Some(finding)
}

/// Several connections over IPv6 that nothing answered before IPv4 took their place: one SYN each, since go gives the
/// loser up. A single one is ordinary loss, and an answer that comes late shows IPv6 at work.
fn lost_the_race(case: &Case, group: &[&Connection]) -> Option<Finding> {
    let first = group.first()?;
    let last = case.recording.until()?;
    let unanswered = |connection: &&Connection| match &connection.opening {
        Opening::Unanswered { syns } => syns.first().is_some_and(|syn| last.since(syn.time) >= FALLBACK),
        _ => false,
    };
    if group.len() < 2 || !group.iter().all(unanswered) || !over_ipv4(case, group) {
        return None;
    }
    let subject = subject(best_name(first), first);
    let mut syns = group.iter().flat_map(|connection| match &connection.opening {
        Opening::Unanswered { syns } => {
            syns.iter().map(|syn| Evidence::segment("unanswered_syn", *syn, connection.flow, "")).collect()
        }
        _ => Vec::new(),
    });
    let start = syns.next()?;
    let rest: Vec<Evidence> = syns.take(CITED).collect();
    let summary = format!("{} SYNs to {} are not answered.", rest.len() + 1, called(&subject));
    let finding =
        Finding::new(Code::NetAddressBlackhole, Fault::Network, Confidence::Moderate, subject, start, summary);
    Some(finding.with_evidence(rest))
}

/// Another destination of the same client answered, or its resolver did.
fn answered_elsewhere(case: &Case, connection: &Connection, server: SocketAddr) -> bool {
    let client = connection.client.ip();
    case.connections.iter().any(|other| {
        other.client.ip() == client
            && other.server.ip() != server.ip()
            && matches!(other.opening, Opening::Established { .. })
    }) || case.lookups.iter().any(|lookup| lookup.client.ip() == client && !lookup.answers.is_empty())
}

/// ICMP errors that quote the connection's own SYN and that nothing contradicts.
fn unreachable(case: &Case, group: &[&Connection]) -> Option<Finding> {
    let fatal = |error: &IcmpError| {
        matches!(error.kind, IcmpKind::Unreachable | IcmpKind::Prohibited | IcmpKind::PortUnreachable)
    };
    let errors: Vec<(&Connection, &IcmpError)> = group
        .iter()
        .filter(|connection| connection.packets.to_client == 0)
        .flat_map(|connection| connection.icmp.iter().filter_map(|index| Some((*connection, case.icmp.get(*index)?))))
        .filter(|(connection, error)| fatal(error) && error.quoted.destination == connection.server)
        .filter(|(connection, error)| error.from != connection.client.ip())
        .collect();
    let (connection, error) = *errors.first()?;
    if group.iter().any(|connection| connection.packets.to_client > 0) {
        return None;
    }
    let subject = subject(best_name(connection), connection);
    let prohibited = matches!(error.kind, IcmpKind::Prohibited);
    let words = if prohibited { "administratively prohibited" } else { "unreachable" };
    let by_host = error.from == connection.server.ip();
    let summary = format!("{} says that {} ({}) is {words}.", error.from, called(&subject), connection.server);
    // A port is the host's own business: who else speaks of it is a firewall that rejects.
    let fault = match (by_host, prohibited || error.kind == IcmpKind::PortUnreachable) {
        (true, _) => Fault::Server,
        (false, true) => Fault::Interference,
        (false, false) => Fault::Network,
    };
    let evidence = |error: &IcmpError, connection: &Connection| {
        Evidence::segment("icmp_error", error.at, connection.flow, format!("ICMP from {}: {words}", error.from))
    };
    let mut finding =
        Finding::new(Code::NetUnreachable, fault, Confidence::Proven, subject, evidence(error, connection), summary);
    for (connection, error) in errors.iter().take(CITED) {
        finding.cite(evidence(error, connection));
        if let Opening::Unanswered { syns } = &connection.opening {
            syns.iter().take(4).for_each(|syn| {
                finding.cite(Evidence::segment("syn", *syn, connection.flow, ""));
            });
        }
    }
    let whose = if by_host { "the host itself" } else { "a router or firewall on the way" };
    if by_host {
        finding = finding.not_excluding("a firewall on the way that answers in the host's name");
    }
    finding = finding
        .with_text("icmp_from", error.from.to_string())
        .with_text("sender", whose)
        .with_remedy(
            if by_host {
                "Ask whoever runs that host: its own firewall rejects the connection."
            } else if fault == Fault::Interference {
                "Ask whoever runs that router or firewall to let the address pass: it says itself that its policy forbids it."
            } else {
                "Ask whoever runs that router: it has no way to the address."
            },
            None,
        )
        .with_reference("RFC 792")
        .with_reference("RFC 4443 §3.1");
    Some(finding)
}

/// An IPv6 failure beside IPv4 that works is a matter of IPv6 and, where IPv4 carried the day, no great one.
fn in_ipv6(case: &Case, finding: Finding, server: SocketAddr, group: &[&Connection]) -> Finding {
    let IpAddr::V6(_) = server.ip() else { return finding };
    let names: Vec<&String> = group.iter().flat_map(|connection| &connection.names).collect();
    let over_v4: Vec<&Connection> = case
        .connections
        .iter()
        .filter(|other| other.server.is_ipv4() && matches!(other.opening, Opening::Established { .. }))
        .collect();
    let same_host = over_v4.iter().find(|other| other.names.iter().any(|name| names.contains(&name)));
    let any_v6 = case
        .connections
        .iter()
        .any(|other| other.server.is_ipv6() && matches!(other.opening, Opening::Established { .. }));
    // What fails over IPv4 as well is no matter of IPv6.
    let tried_over_v4 = case
        .connections
        .iter()
        .any(|other| other.server.is_ipv4() && other.names.iter().any(|name| names.contains(&name)));
    if any_v6 || (same_host.is_none() && (over_v4.is_empty() || tried_over_v4)) {
        return finding;
    }
    let summary = format!(
        "Connections to {} over IPv6 fail while IPv4 works{}.",
        called(&finding.subject),
        if same_host.is_some() { ", even for the same name" } else { "" }
    );
    let Some(first) = finding.evidence().first().cloned() else { return finding };
    let mut broken = Finding::new(
        Code::NetIpv6Broken,
        Fault::Network,
        finding.confidence().min(Confidence::Strong),
        finding.subject.clone(),
        first,
        summary,
    )
    .with_evidence(finding.evidence().iter().skip(1).cloned())
    .with_remedy("Mend IPv6 on this network, or take the AAAA answers or the IPv6 address away from the client.", None)
    .with_reference("RFC 8305");
    if let Some(other) = same_host {
        broken = broken.excluding("the server is down", format!("it answers over IPv4, {}", other.server));
        if other.bytes.to_client > 0 {
            broken = broken.with_severity(Severity::Low);
        }
    }
    broken
}

/// ICMP errors that the client sent to itself: its own firewall rejects what it wanted to send.
fn rejected_locally(case: &Case) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for error in &case.icmp {
        let own = error.from == error.to && error.quoted.source.ip() == error.from;
        let server = error.quoted.destination;
        let fatal = matches!(error.kind, IcmpKind::Unreachable | IcmpKind::Prohibited | IcmpKind::PortUnreachable);
        let answered = case.connections.iter().any(|one| one.server == server && one.packets.to_client > 0);
        let host = case
            .connections
            .iter()
            .filter(|one| one.server == server)
            .find_map(best_name)
            .or_else(|| {
                case.go.errors().iter().find(|said| said.address == Some(server)).and_then(|said| said.host.clone())
            })
            .or_else(|| {
                let leads = |lookup: &&crate::observation::Lookup| {
                    lookup.relevance > Relevance::Other
                        && lookup
                            .answers
                            .iter()
                            .flat_map(crate::observation::Answer::addresses)
                            .any(|to| to == server.ip())
                };
                case.lookups.iter().find(leads).map(|lookup| lookup.name.clone())
            });
        // A neighbour that does not answer ARP is reported by the system in the same way.
        let absent = error.kind == IcmpKind::Unreachable && is_near(case, server.ip());
        if !own || !fatal || absent || answered || host.is_none() || server.port() == 53 {
            continue;
        }
        let subject = Subject { host, address: Some(server.ip()), port: Some(server.port()), module: None };
        let evidence = Evidence::frame("icmp_error", error.at, "sent by the client to itself");
        if let Some(known) = found.iter_mut().find(|known| known.subject == subject) {
            known.cite(evidence);
            continue;
        }
        let summary =
            format!("The client's own firewall rejects the connection to {server}: it sends the ICMP error itself.");
        found.push(
            Finding::new(Code::NetBlockedLocally, Fault::Client, Confidence::Strong, subject, evidence, summary)
                .with_remedy(
                    "Look at the firewall and security policy of the client itself (nftables, iptables, endpoint protection, container network policy).",
                    Some("nft list ruleset"),
                )
                .with_reference("RFC 1122 §3.2.2.1"),
        );
    }
    found
}

/// The client's own system refused before a packet left: go says so, and no SYN is there although the recording would show it.
fn blocked_locally(case: &Case, reference: &Reference, groups: &[(SocketAddr, Vec<&Connection>)]) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for error in case.go.errors() {
        let denied = matches!(error.kind.innermost(), GoErrorKind::PermissionDenied);
        let no_route = matches!(error.kind.innermost(), GoErrorKind::NetworkUnreachable | GoErrorKind::NoRoute);
        // A firewall's reject reads like the host's own refusal, and its drop like silence, but for the SYN.
        let unsent = matches!(error.kind.innermost(), GoErrorKind::ConnectionRefused | GoErrorKind::DialTimeout);
        if !denied && !no_route && !unsent {
            continue;
        }
        let Some(address) = error.address else { continue };
        let mut tried = groups.iter().filter(|(server, _)| *server == address).flat_map(|(_, group)| group).peekable();
        let sent = tried.peek().is_some();
        if unsent && (sent || !leaves_a_gap(case, reference, address.ip())) {
            continue;
        }
        if tried.any(|connection| !connection.icmp.is_empty()) {
            continue;
        }
        let subject =
            Subject { host: error.host.clone(), address: Some(address.ip()), port: Some(address.port()), module: None };
        if found.iter().any(|finding| finding.subject == subject) {
            continue;
        }
        // Another destination, or the name's lookup, shows that the recording was made in the right place.
        let watched = case.lookups.iter().any(|lookup| lookup.query.is_some())
            || case.connections.iter().any(|other| other.relevance > Relevance::Other);
        let honest = reference.special(address.ip()).is_none();
        let tcp = case.connections.iter().any(|other| other.relevance > Relevance::Other);
        let confidence = if watched && !sent && (tcp || !unsent) { Confidence::Strong } else { Confidence::Moderate };
        // Without an answer to ARP or neighbour discovery the system says the same.
        let near = no_route && is_near(case, address.ip());
        let what = match error.kind.innermost() {
            GoErrorKind::NoRoute if near => "finds no neighbour for",
            GoErrorKind::NoRoute => "rejects",
            _ if denied => "does not permit",
            _ if unsent => "keeps back",
            _ => "has no route for",
        };
        let summary = format!(
            "The client's own system {what} the connection to {address}{}.",
            if sent { "" } else { ": no packet for it left the machine" }
        );
        // A missing route reads "network is unreachable". "No route to host" without a packet on a working network is a
        // firewall's reject, or a route made to say so.
        let policy =
            denied || unsent || (!sent && !near && watched && matches!(error.kind.innermost(), GoErrorKind::NoRoute));
        let (code, remedy) = if near && !policy {
            (
                Code::NetUnreachable,
                "Look whether that host is up: the client finds no such neighbour in its own network.",
            )
        } else if policy {
            (
                Code::NetBlockedLocally,
                "Look at the firewall and security policy of the client itself (nftables, iptables, SELinux, endpoint protection, container network policy).",
            )
        } else {
            (Code::NetUnreachable, "Look at the client's routes: it knows no way to that address.")
        };
        let mut finding = Finding::new(
            code,
            if near && !policy { Fault::Server } else { Fault::Client },
            if near && !policy { confidence.min(Confidence::Moderate) } else { confidence },
            subject,
            Evidence::log(error.line, error.text.clone()),
            summary,
        )
        .with_remedy(remedy, Some(if policy { "nft list ruleset" } else { "ip route get 203.0.113.1" }));
        if unsent {
            finding = finding.not_excluding("a recording that leaves out TCP, or the device that it goes through");
        } else if policy && !denied {
            finding = finding.not_excluding(
                "a route of the client that rejects this address, or a neighbour that does not answer ARP",
            );
        }
        if sent || !honest {
            finding = finding.not_excluding("the failure was reported by the network");
        }
        finding.go_error = Some(error.text.clone());
        found.push(finding);
    }
    found
}

/// Whether a SYN to that public address should be in the recording: the question that gave go the address is.
fn leaves_a_gap(case: &Case, reference: &Reference, address: IpAddr) -> bool {
    let answered = case.lookups.iter().any(|lookup| {
        lookup.query.is_some()
            && lookup.answers.iter().flat_map(crate::observation::Answer::addresses).any(|given| given == address)
    });
    answered && reference.special(address).is_none() && case.health.damaged == 0
}

/// Whether the address is in the client's own network, as far as can be told without its prefix length: /24 or /64.
fn is_near(case: &Case, address: IpAddr) -> bool {
    let bits = if address.is_ipv4() { 24 } else { 64 };
    let network = |address: IpAddr| ipnet::IpNet::new(address, bits).map(|network| network.trunc()).ok();
    let clients = case.lookups.iter().map(|lookup| lookup.client.ip());
    let clients = clients.chain(case.connections.iter().map(|connection| connection.client.ip()));
    clients.into_iter().any(|client| client.is_ipv4() == address.is_ipv4() && network(client) == network(address))
}

#[cfg(test)]
mod tests;
