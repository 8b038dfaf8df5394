//! One question, several different answers: which of them was forged.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::view::{NOERROR, NXDOMAIN, Name, network, reached_beside, words};
use crate::finding::{Code, Confidence, Evidence, Fault, Finding, Severity};
use crate::observation::{Answer, Case, Lookup, RecordType, ResolverFacts, Section};
use crate::reference::Reference;
use crate::types::Moment;

/// What speaks against one of several answers.
#[derive(Default)]
struct Suspicion {
    /// Independent classes of evidence.
    classes: usize,
    words: Vec<String>,
}

impl Suspicion {
    fn add(&mut self, classes: usize, words: String) {
        self.classes += classes;
        self.words.push(words);
    }
}

/// Finds forged answers to a name's questions. Also returns where they stand, so that they are not judged a second time.
pub(super) fn assess(case: &Case, reference: &Reference, name: &Name<'_>) -> Option<(Vec<Finding>, Vec<Moment>)> {
    let mut forged: Vec<(&Lookup, &Answer, Suspicion, bool)> = Vec::new();
    let mut honest: Vec<(&Lookup, &Answer)> = Vec::new();
    for lookup in name.for_addresses() {
        let Some(split) = split(case, reference, lookup) else { continue };
        for (index, suspicion) in split {
            let Some(answer) = lookup.answers.get(index) else { continue };
            match suspicion {
                // Recorders with several queues swap packets: the clock says what came first.
                Some(suspicion) => {
                    let first = lookup.answers.iter().all(|other| answer.at <= other.at);
                    forged.push((lookup, answer, suspicion, first));
                }
                None => honest.push((lookup, answer)),
            }
        }
    }
    let classes = forged.iter().map(|(_, _, suspicion, _)| suspicion.classes).max()?;
    let strongest = forged.iter().find(|(_, _, suspicion, _)| suspicion.classes == classes)?;
    let effective = forged.iter().any(|(.., first)| *first);
    let confidence = match classes + usize::from(forged.len() > 1) {
        0 | 1 => Confidence::Moderate,
        2 => Confidence::Strong,
        _ => Confidence::Proven,
    };
    let resolver = strongest.0.resolver.ip();
    let summary = format!(
        "One question for {} got different answers; {} ({}) is forged: {}.{}",
        name.name,
        if effective { "the one that came first" } else { "the later one" },
        words(strongest.1),
        strongest.2.words.join("; "),
        if effective { "" } else { " It came too late to be taken." }
    );
    let addresses: BTreeSet<String> =
        forged.iter().flat_map(|(_, answer, ..)| answer.addresses()).map(|address| address.to_string()).collect();
    let first = forged.first()?;
    let wrong: Vec<IpAddr> = forged.iter().flat_map(|(_, answer, ..)| answer.addresses()).collect();
    let hindered = effective && !reached_beside(case, reference, name, &wrong);
    // A forgery that lost the race was thrown away by the client, and changed nothing.
    let fault = if effective { Fault::Interference } else { Fault::Harmless };
    let evidence = Evidence::frame("forged_answer", first.1.at, words(first.1));
    let mut finding = Finding::new(Code::DnsInjectedAnswer, fault, confidence, name.subject(), evidence, summary);
    for (lookup, answer, suspicion, _) in &forged {
        if let Some(query) = &lookup.query {
            finding.cite(Evidence::frame("question", query.at, ""));
        }
        finding.cite(Evidence::frame(
            "forged_answer",
            answer.at,
            format!("{}; {}", words(answer), suspicion.words.join("; ")),
        ));
    }
    for (_, answer) in &honest {
        finding.cite(Evidence::frame("other_answer", answer.at, words(answer)));
        if let Some(refused) = answer.refused {
            finding.cite(Evidence::frame("too_late", refused, "the client had closed its socket"));
        }
    }
    let wrong = strongest.1.addresses().next();
    if !hindered {
        finding = finding.with_severity(Severity::Medium);
    }
    finding = finding
        .excluding("a packet recorded twice, or a rotating pool of addresses", strongest.2.words.join("; "))
        .with_class(wrong.map_or_else(|| format!("rcode {}", strongest.1.rcode), network))
        .with_list("forged", addresses)
        .with_text("resolver", resolver.to_string())
        .with_remedy(
            "Ask by an encrypted transport (DNS over TLS or HTTPS), which nobody on the path can answer, and tell whoever runs the network.",
            Some("resolvectl dns-over-tls eth0 yes"),
        )
        .with_reference("RFC 5452 §3");
    let places = forged.iter().map(|(_, answer, ..)| answer.at).collect();
    let denied = forged_denial(name, &forged, confidence);
    Some((std::iter::once(finding).chain(denied).collect(), places))
}

/// What the forgery says, where it is that the name does not exist.
fn forged_denial(
    name: &Name<'_>,
    forged: &[(&Lookup, &Answer, Suspicion, bool)],
    confidence: Confidence,
) -> Option<Finding> {
    let mut denials = forged.iter().filter(|(_, answer, _, first)| *first && answer.rcode == NXDOMAIN);
    let (_, first, ..) = denials.next()?;
    Some(
        Finding::new(
            Code::DnsForgedNxdomain,
            Fault::Interference,
            confidence,
            name.subject(),
            Evidence::frame("denial", first.at, "NXDOMAIN"),
            format!("A forged answer says that {} does not exist; the resolver's own answer resolves it.", name.name),
        )
        .with_evidence(denials.map(|(_, answer, ..)| Evidence::frame("denial", answer.at, "NXDOMAIN")))
        .with_evidence(name.questions())
        .with_class("NXDOMAIN")
        .excluding("the name does not exist", "the resolver's own answer, which came later, resolves it")
        .with_remedy(
            "Ask by an encrypted transport (DNS over TLS or HTTPS), which nobody on the path can answer.",
            Some(&format!("dig +tls @9.9.9.9 {}", name.name)),
        )
        .with_reference("RFC 5452 §3"),
    )
}

/// Tells forged from other answers, where a lookup has different ones. `None` where nothing speaks against any of them.
fn split(case: &Case, reference: &Reference, lookup: &Lookup) -> Option<Vec<(usize, Option<Suspicion>)>> {
    let first = lookup.answers.first()?;
    if lookup.answers.iter().all(|answer| same(answer, first)) {
        return None;
    }
    let facts = case.resolvers.iter().find(|facts| facts.address == lookup.resolver);
    let mut suspicions: Vec<(usize, Suspicion)> = lookup
        .answers
        .iter()
        .enumerate()
        .map(|(index, answer)| (index, suspicion(reference, lookup, index, answer, facts)))
        .collect();
    let most = suspicions.iter().map(|(_, suspicion)| suspicion.classes).max()?;
    let least = suspicions.iter().map(|(_, suspicion)| suspicion.classes).min()?;
    // Each of two questions may have got an answer of its own: then one oddity is not enough.
    let repeated = lookup.query.as_ref().is_none_or(|query| query.repeats > 0);
    // Where the answers are equally odd, or not odd at all, nobody is accused; what is false by itself needs no honest rival.
    if most <= usize::from(repeated) || (most == least && lookup.answers.len() == 2 && least < 2) {
        return None;
    }
    suspicions.sort_by_key(|(index, _)| *index);
    Some(
        suspicions
            .into_iter()
            .map(|(index, suspicion)| {
                (index, (suspicion.classes > least || suspicion.classes == most).then_some(suspicion))
            })
            .collect(),
    )
}

/// Whether two answers say the same: rotation and subsets of one pool are no difference.
fn same(a: &Answer, b: &Answer) -> bool {
    if a.rcode != b.rcode {
        return false;
    }
    let (of_a, of_b): (BTreeSet<IpAddr>, BTreeSet<IpAddr>) = (a.addresses().collect(), b.addresses().collect());
    of_a == of_b || (!of_a.is_empty() && !of_b.is_empty() && !of_a.is_disjoint(&of_b))
}

/// What speaks against this answer, held against its rivals and the resolver's other answers.
fn suspicion(
    reference: &Reference,
    lookup: &Lookup,
    index: usize,
    answer: &Answer,
    facts: Option<&ResolverFacts>,
) -> Suspicion {
    let mut suspicion = Suspicion::default();
    let rivals = || lookup.answers.iter().enumerate().filter(move |(other, _)| *other != index).map(|(_, rival)| rival);
    let name = lookup.name.as_str();
    let public = |address: IpAddr| reference.special(address).is_none();
    let judged = reference.host(name).is_some();
    // What honest resolvers say, and what the operator owns, is not forged, however it is packed.
    let mut addresses = answer.addresses().peekable();
    if addresses.peek().is_some()
        && addresses.all(|address| {
            reference.honest_address(name, address) == Some(true)
                || reference.in_operator_ranges(name, address) == Some(true)
        })
    {
        return suspicion;
    }
    // A question sent once has one answer; one that was repeated may have got one each time.
    let once = lookup.query.as_ref().is_some_and(|query| query.repeats == 0);
    let query_edns = lookup.query.as_ref().is_some_and(|query| query.edns);
    // Shape: a resolver that speaks EDNS does so in every answer to a question with EDNS (RFC 6891 §7).
    if query_edns && !answer.edns && rivals().any(|rival| rival.edns) {
        suspicion.add(1, "it lacks the EDNS record that the resolver's own answer has".to_owned());
    }
    let usual = facts.and_then(ResolverFacts::usual_ttl);
    if let Some(usual) = usual.filter(|usual| usual.abs_diff(answer.ip.ttl) >= 2) {
        suspicion.add(1, format!("IP TTL {}, the resolver's other answers have {usual}", answer.ip.ttl));
    }
    for address in answer.addresses() {
        let rival_honest =
            rivals().flat_map(Answer::addresses).any(|other| reference.honest_address(name, other) == Some(true));
        if reference.known_bad_for(name, address).is_some() {
            suspicion.add(2, format!("{address} is a known false answer"));
        } else if judged && !public(address) {
            let rival_public = rivals().flat_map(Answer::addresses).any(public);
            suspicion.add(1 + usize::from(rival_public), format!("no public name has the address {address}"));
        } else if rival_honest && reference.in_operator_ranges(name, address) != Some(true) {
            suspicion.add(
                1 + usize::from(once),
                format!("{address} contradicts the honest answer that the other one gives"),
            );
        } else if reference.in_operator_ranges(name, address) == Some(false)
            && rivals().flat_map(Answer::addresses).any(|other| reference.in_operator_ranges(name, other) == Some(true))
        {
            suspicion.add(1, format!("{address} is outside the operator's ranges, the other answer inside"));
        }
    }
    let empty = answer.addresses().next().is_none();
    let rival_has = rivals().any(|rival| rival.addresses().next().is_some());
    let rival_right = rivals().flat_map(Answer::addresses).any(|other| {
        reference.honest_address(name, other) == Some(true) || reference.in_operator_ranges(name, other) == Some(true)
    });
    if empty && answer.rcode == NOERROR && rival_right && once {
        suspicion.add(1, "it has no address, and the other answer gives the right one".to_owned());
    }
    // A resolver that failed at first may well succeed when it is asked again.
    if empty && rival_has && answer.rcode != NOERROR && (once || answer.rcode == NXDOMAIN) {
        let authority = answer
            .records
            .iter()
            .any(|record| record.section == Section::Authority && record.record_type == RecordType::SOA);
        suspicion.add(if authority { 1 } else { 2 }, "it denies a name that the other answer resolves".to_owned());
    }
    suspicion
}
