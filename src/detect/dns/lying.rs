//! Single answers that lead elsewhere than to the name: unroutable, known to be false, or somebody else's address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::view::{Identity, Name, identity, network, reached_beside};
use crate::detect::subject::address_is_honest;
use crate::finding::{Code, Confidence, Detail, Evidence, Fault, Finding, Severity, Subject};
use crate::observation::{Answer, Case, Connection, Lookup, Opening, Outcome};
use crate::reference::{Reference, Special};
use crate::types::{Moment, Span};

/// go tries the other address family after 300 ms without an answer (`net.Dialer.FallbackDelay`).
const FALLBACK: Span = Span::from_millis(300);
/// Names that one address serves before it looks like a landing page for everything.
const UNRELATED: usize = 3;

/// Judges the addresses that a name was answered with.
pub(super) fn assess(case: &Case, reference: &Reference, name: &Name<'_>, forged: &[Moment]) -> Vec<Finding> {
    let mut by_address: BTreeMap<IpAddr, Vec<(&Lookup, &Answer)>> = BTreeMap::new();
    for (lookup, answer) in name.answers().filter(|(_, answer)| !forged.contains(&answer.at)) {
        for address in answer.addresses() {
            by_address.entry(address).or_default().push((lookup, answer));
        }
    }
    let mut lies: Vec<(IpAddr, Finding)> =
        by_address.keys().filter_map(|address| Some((*address, judge(case, reference, name, *address)?))).collect();
    let wrong: Vec<IpAddr> =
        lies.iter().filter(|(_, finding)| finding.fault == Fault::Interference).map(|(address, _)| *address).collect();
    // A poisoned AAAA beside a working A, or the reverse: interference that hindered nothing.
    if reached_beside(case, reference, name, &wrong) {
        for (_, finding) in lies.iter_mut().filter(|(_, finding)| finding.fault == Fault::Interference) {
            finding.severity = finding.severity.min(Severity::Medium);
        }
    }
    let mut findings: Vec<Finding> = Vec::new();
    for (address, mut finding) in lies {
        let answers = by_address.get(&address).map(Vec::as_slice).unwrap_or_default();
        for (lookup, answer) in answers {
            if let Some(query) = &lookup.query {
                finding.cite(Evidence::frame("question", query.at, ""));
            }
            finding.cite(Evidence::frame("answer", answer.at, format!("{address}, IP TTL {}", answer.ip.ttl)));
        }
        // The same liar takes the other address family away.
        if finding.code != Code::DnsUnexpectedRange {
            for (lookup, answer) in name.answers().filter(|(_, answer)| answer.addresses().next().is_none()) {
                if let Some(query) = &lookup.query {
                    finding.cite(Evidence::frame("question", query.at, ""));
                }
                finding.cite(Evidence::frame("empty_answer", answer.at, "no address"));
            }
        }
        match findings.iter_mut().find(|known| known.code == finding.code) {
            Some(known) => merge(known, &finding),
            None => findings.push(finding),
        }
    }
    findings
}

/// Several wrong addresses of one name are one lie.
fn merge(known: &mut Finding, more: &Finding) {
    let addresses = [known.subject.address, more.subject.address].into_iter().flatten().map(|one| one.to_string());
    match known.details.get_mut("addresses") {
        Some(Detail::List(list)) => list.extend(more.subject.address.map(|address| address.to_string())),
        _ => {
            known.details.insert("addresses", Detail::List(addresses.collect()));
        }
    }
    if more.confidence() > known.confidence() {
        known.set_confidence(more.confidence());
    }
    more.evidence().iter().cloned().for_each(|evidence| known.cite(evidence));
}

fn judge(case: &Case, reference: &Reference, name: &Name<'_>, address: IpAddr) -> Option<Finding> {
    if reference.honest_address(name.name, address) == Some(true) {
        return None;
    }
    let identity = identity(case, name.name, address);
    if let Some(special) = reference.special(address) {
        return bogon(case, reference, name, address, special, &identity);
    }
    if let Identity::Confirmed(_) = identity {
        return unexpected(reference, name, address, &identity);
    }
    let known = reference.known_bad_for(name.name, address);
    let honest = address_is_honest(reference, name.name, address);
    let shared = unrelated_names(case, reference, name, address);
    let contradicts_reference = reference.honest_address(name.name, address) == Some(false)
        && reference.honest_name(name.name).is_some_and(|honest| !honest.is_nxdomain());
    let dead = leads_nowhere(case, address);
    let portal = name
        .answers()
        .filter(|(_, answer)| answer.addresses().any(|other| other == address))
        .flat_map(|(_, answer)| answer.aliases())
        .find(|alias| reference.known_bad_name(alias).is_some());
    let mut reasons: Vec<String> = Vec::new();
    let mut classes = 0;
    if let Some(bad) = known {
        reasons.push(format!("{address} is known as {}", bad.describe()));
        classes += 2;
    }
    if let Some(alias) = portal {
        reasons.push(format!("the answer is an alias of {alias}"));
        classes += 2;
    }
    if let Identity::Contradicted { how, .. } = &identity {
        reasons.push(how.clone());
        classes += 1;
    }
    if honest == Some(false) {
        reasons.push(match contradicts_reference {
            true => "it is neither what honest resolvers answer nor in the operator's ranges".to_owned(),
            false => "it is outside the operator's ranges".to_owned(),
        });
        classes += 1 + usize::from(contradicts_reference);
    } else if contradicts_reference && honest.is_none() {
        reasons.push("it is not what honest resolvers answer".to_owned());
        classes += 1;
    }
    if shared.len() + 1 >= UNRELATED {
        reasons.push(format!("unrelated names have the same address: {}", shared.join(", ")));
        classes += 1;
    }
    let convicting = known.is_some()
        || portal.is_some()
        || (contradicts_reference
            && honest != Some(true)
            && (matches!(identity, Identity::Contradicted { .. })
                // An address that no list knows and that works is nobody's lie: something must have gone wrong there.
                || (honest == Some(false) && (dead || went_wrong(case, name.name, address)))))
        || (honest == Some(false)
            && (matches!(identity, Identity::Contradicted { .. }) || shared.len() + 1 >= UNRELATED));
    if honest == Some(true) || !convicting {
        return unexpected(reference, name, address, &identity);
    }
    let mut finding = Finding::new(
        Code::DnsHijackedAnswer,
        Fault::Interference,
        Confidence::from_classes(classes),
        with_address(name.subject(), address),
        first_answer(name, address)?,
        format!("{} was answered with {address}, which is not its address: {}.", name.name, reasons.join("; ")),
    )
    .with_class(network(address))
    .with_text("address", address.to_string())
    .with_text("resolver", resolvers(name));
    if let Identity::Contradicted { at: Some(at), how } = &identity {
        finding.cite(Evidence::frame("identity", *at, how.clone()));
        finding = finding.excluding("an address of the operator that is not on any list", how.clone());
    } else if known.is_none() {
        finding = finding.not_excluding("an address of the operator that is not on any list");
        if dead {
            finding = finding.excluding("a mirror that serves the name", "nothing serves it at that address");
        }
    }
    Some(
        finding
            .with_remedy(
                "Ask the resolver's operator; ask another resolver over an encrypted transport and compare.",
                Some(&format!("dig +tls @9.9.9.9 {}", name.name)),
            )
            .with_reference("RFC 8499 §6"),
    )
}

/// Whether go complained about the name, or no handshake for it at that address got an answer that the client took.
fn went_wrong(case: &Case, name: &str, address: IpAddr) -> bool {
    let mut tried = case
        .handshakes
        .iter()
        .filter(|handshake| handshake.tunnel.is_none())
        .filter(|handshake| handshake.server_name.seen().is_some_and(|server_name| server_name == name))
        .filter(|handshake| case.connection(handshake.flow).is_some_and(|connection| connection.server.ip() == address))
        .peekable();
    case.go.error_about(Some(name), None).is_some()
        || (tried.peek().is_some()
            && tried.all(|handshake| {
                // A hello at the end of a recording may have been answered after it.
                let repeated =
                    case.connection(handshake.flow).is_some_and(|connection| connection.retransmissions.to_server > 1);
                handshake.outcome == Outcome::RejectedByClient
                    || handshake.server_hello.is_none()
                        && match handshake.outcome {
                            Outcome::Reset | Outcome::Closed | Outcome::Alert => true,
                            Outcome::Unanswered => repeated,
                            _ => false,
                        }
            }))
}

pub(super) fn with_address(mut subject: Subject, address: IpAddr) -> Subject {
    subject.address = Some(address);
    subject
}

fn resolvers(name: &Name<'_>) -> String {
    let mut resolvers: Vec<String> = name.for_addresses().map(|lookup| lookup.resolver.ip().to_string()).collect();
    resolvers.sort();
    resolvers.dedup();
    resolvers.join(", ")
}

fn first_answer(name: &Name<'_>, address: IpAddr) -> Option<Evidence> {
    let (_, answer) = name.answers().find(|(_, answer)| answer.addresses().any(|other| other == address))?;
    Some(Evidence::frame("answer", answer.at, format!("{address}, IP TTL {}", answer.ip.ttl)))
}

/// A public name with an address that the public Internet does not have.
fn bogon(
    case: &Case,
    reference: &Reference,
    name: &Name<'_>,
    address: IpAddr,
    special: Special,
    identity: &Identity,
) -> Option<Finding> {
    let public = reference.host(name.name).is_some()
        || reference
            .honest_name(name.name)
            .is_some_and(|honest| honest.addresses().any(|ip| reference.special(ip).is_none()));
    // A private name may well have a private address (split horizon), and a local tunnel hands out fake ones that work.
    if !public {
        return None;
    }
    // Tunnels on this machine or the router answer like that, and are nobody's lie as long as they work.
    let tunnel = special == Special::Benchmarking;
    if tunnel && !matches!(identity, Identity::Contradicted { .. }) && !leads_nowhere(case, address) {
        return unexpected(reference, name, address, identity);
    }
    // A company's mirror of the name lies inside; as long as nothing says that it does not work, it is one.
    let inside = matches!(special, Special::Private | Special::Shared);
    let fails = leads_nowhere(case, address)
        || matches!(identity, Identity::Contradicted { .. })
        || case.go.error_about(Some(name.name), Some(address)).is_some()
        || case.handshakes.iter().any(|handshake| {
            !matches!(handshake.outcome, Outcome::Completed | Outcome::Incomplete)
                && handshake.server_name.seen().is_some_and(|server_name| server_name == name.name)
                && case.connection(handshake.flow).is_some_and(|connection| connection.server.ip() == address)
        });
    if matches!(identity, Identity::Confirmed(_)) || (inside && !fails) {
        return unexpected(reference, name, address, identity);
    }
    let exists = reference.honest_name(name.name).is_some_and(|honest| honest.addresses().next().is_some());
    let confidence = match (tunnel, exists) {
        (true, _) => Confidence::Moderate,
        (false, true) => Confidence::Proven,
        (false, false) => Confidence::Strong,
    };
    let summary = format!("{} is a public name, but was answered with {address} ({}).", name.name, special.describe());
    let finding = Finding::new(
        Code::DnsBogonAnswer,
        Fault::Interference,
        confidence,
        with_address(name.subject(), address),
        first_answer(name, address)?,
        summary,
    )
    .with_class(network(address))
    .with_text("address", address.to_string())
    .with_text("resolver", resolvers(name))
    .with_remedy(
        "Ask the resolver's operator (a filter or advertisement blocker answers like that); ask another resolver and compare.",
        Some(&format!("dig +tls @9.9.9.9 {}", name.name)),
    )
    .with_reference("RFC 6890");
    let finding = match tunnel {
        true => finding.not_excluding("a tunnel of this machine or its router (\"fake IP\") that does not work"),
        false => finding,
    };
    Some(if exists {
        finding.excluding("the name has no public address", "honest resolvers answer with public ones")
    } else {
        finding.not_excluding("a private mirror of the name on purpose (split horizon)")
    })
}

/// Outside the operator's known ranges, and nothing else wrong.
fn unexpected(reference: &Reference, name: &Name<'_>, address: IpAddr, identity: &Identity) -> Option<Finding> {
    let fake = reference.special(address) == Some(Special::Benchmarking);
    if reference.in_operator_ranges(name.name, address) != Some(false) && !fake {
        return None;
    }
    let mut finding = Finding::new(
        Code::DnsUnexpectedRange,
        Fault::Harmless,
        Confidence::Weak,
        with_address(name.subject(), address),
        first_answer(name, address)?,
        if fake {
            format!("{} was answered with {address}, as local tunnels (\"fake IP\") do.", name.name)
        } else {
            format!("{} was answered with {address}, outside the operator's known ranges.", name.name)
        },
    )
    .not_excluding("the list of ranges is not complete")
    .with_class(network(address));
    if let Identity::Confirmed(at) = identity {
        finding.cite(Evidence::frame("identity", *at, "the client accepted the certificate there"));
        finding =
            finding.excluding("a false address", "the client accepted the certificate that it shows for the name");
    }
    Some(finding)
}

/// Judged names of other operators that this client was given the same address for.
fn unrelated_names(case: &Case, reference: &Reference, name: &Name<'_>, address: IpAddr) -> Vec<String> {
    let operator = |name: &str| reference.host(name).map(|host| host.operator.clone());
    let mut others: Vec<String> = case
        .lookups
        .iter()
        .filter(|lookup| lookup.client.ip() == name.client && lookup.name != name.name)
        .filter(|lookup| lookup.answers.iter().any(|answer| answer.addresses().any(|other| other == address)))
        .filter(|lookup| operator(&lookup.name).is_none() || operator(&lookup.name) != operator(name.name))
        .filter(|lookup| !lookup.name.starts_with(name.name) && registrable(&lookup.name) != registrable(name.name))
        .map(|lookup| lookup.name.clone())
        .collect();
    others.sort();
    others.dedup_by(|a, b| registrable(a) == registrable(b));
    others
}

/// The last two labels: close enough to a registrable domain to tell names of one owner from those of several.
fn registrable(name: &str) -> &str {
    name.rmatch_indices('.').nth(1).map_or(name, |(dot, _)| name.split_at(dot + 1).1)
}

/// Connections to the address were tried and none was answered by a server.
pub(super) fn leads_nowhere(case: &Case, address: IpAddr) -> bool {
    let tried: Vec<&Connection> =
        case.connections.iter().filter(|connection| connection.server.ip() == address).collect();
    let went_on = |syn: &Moment| case.recording.until().is_some_and(|last| last.since(syn.time) >= FALLBACK);
    !tried.is_empty()
        && tried.iter().all(|connection| match &connection.opening {
            // A lone SYN at the end of a recording may have been answered after it, or is lost; go gives several up after
            // one SYN each where the other address family wins.
            Opening::Unanswered { syns } => syns.len() > 1 || (tried.len() > 1 && syns.iter().all(went_on)),
            Opening::Refused { .. } => true,
            Opening::Established { .. } | Opening::Unseen(_) => false,
        })
}
