//! Answers of the configured resolvers that are not the name's, and who wrote them: the resolver, or somebody on the way.

use std::net::IpAddr;

use super::view::{Named, Standing, asked_of, network, said};
use crate::finding::{Code, Confidence, Evidence, Fault, Finding, Severity};
use crate::observation::RecordType;
use crate::observation::probe::{NOERROR, NameAnswer, Oracle, ProbeId, Reply, Transport};
use crate::reference::{Reference, Special};

/// What is wrong with one reply.
struct Lie {
    code: Code,
    address: Option<IpAddr>,
    why: String,
    /// The alternative that the certificates exclude, and how.
    excluded: Vec<(&'static str, String)>,
    not_excluded: Vec<&'static str>,
    confidence: Confidence,
    evidence: Vec<Evidence>,
}

/// `intercepted`: something in the way answers for every resolver and every name. Then what strangers say over UDP is its
/// word, not a forger's.
pub(super) fn assess(reference: &Reference, name: &Named<'_>, intercepted: bool) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    found.extend(injected(reference, name, intercepted));
    if found.is_empty() {
        found.extend(hijacked(reference, name));
    }
    found
}

/// A reply that somebody on the way wrote: it came beside another one, or the same resolver says otherwise where nobody can
/// write over it.
fn injected(reference: &Reference, name: &Named<'_>, intercepted: bool) -> Option<Finding> {
    let mut forged: Vec<(ProbeId, &NameAnswer, Lie, String)> = Vec::new();
    for (id, answer) in name.answers.iter().filter(|(_, answer)| answer.question.transport == Transport::Udp) {
        if answer.question.oracle == Oracle::Nobody {
            continue;
        }
        let honest =
            |reply: &Reply| lie(reference, name, answer, reply).is_none() && reply.addresses().next().is_some();
        let beside = answer.replies.iter().any(honest);
        for reply in &answer.replies {
            let Some(lie) = lie(reference, name, answer, reply) else { continue };
            if beside {
                forged.push((*id, answer, lie, "another reply to the same question is honest".to_owned()));
            } else if intercepted {
                continue;
            } else if let Some((other, how)) = elsewhere(reference, name, answer) {
                let mut lie = lie;
                lie.evidence.push(Evidence::probe("other_answer", other, how.clone()));
                forged.push((*id, answer, lie, how));
            }
        }
    }
    let (id, answer, lie, how) = forged.first()?;
    let effective = forged.iter().any(|(_, answer, ..)| {
        answer.question.oracle == Oracle::System
            && answer.first().is_some_and(|first| self::lie(reference, name, answer, first).is_some())
    });
    let proven =
        forged.iter().any(|(_, _, lie, _)| lie.confidence == Confidence::Proven) || name.genuine().next().is_some();
    let summary = format!(
        "Answers for {} are forged on the way: asked {}, the reply is {}; {how}. {}.",
        name.name,
        asked_of(answer),
        lie.address.map_or_else(|| "a denial".to_owned(), |address| address.to_string()),
        capital(&lie.why),
    );
    let first = Evidence::probe("forged_answer", *id, said(answer.first()));
    let fault = if effective { Fault::Interference } else { Fault::Harmless };
    let confidence = if proven { Confidence::Proven } else { Confidence::Strong };
    let addresses = forged.iter().filter_map(|(_, _, lie, _)| lie.address);
    let mut finding = Finding::new(Code::DnsInjectedAnswer, fault, confidence, name.subject(), first, summary)
        .with_class(lie.address.map_or_else(|| "NXDOMAIN".to_owned(), network))
        .with_list("forged", unique(addresses.map(|address| address.to_string())));
    for (id, answer, lie, _) in &forged {
        finding.cite(Evidence::probe("forged_answer", *id, format!("{}: {}", asked_of(answer), said(answer.first()))));
        lie.evidence.iter().cloned().for_each(|evidence| finding.cite(evidence));
    }
    finding = finding.with_evidence(name.testimony()).excluding(
        "another place's address of the same name",
        "the honest addresses hold the name's key, or come from who cannot be written over; the forged one neither",
    );
    if !effective {
        finding = finding.with_severity(Severity::Medium);
    }
    Some(with_remedy(finding, name.name))
}

/// An honest answer of the same resolver, over a way that is harder to write over.
fn elsewhere(reference: &Reference, name: &Named<'_>, answer: &NameAnswer) -> Option<(ProbeId, String)> {
    name.answers
        .iter()
        .filter(|(_, other)| {
            other.question.oracle == answer.question.oracle
                && other.question.record_type == answer.question.record_type
                && other.question.transport != Transport::Udp
                // Of the configured resolvers it must be the same one; a public service is one, whatever its port.
                && other.question.server.map(|server| server.ip()) == answer.question.server.map(|server| server.ip())
        })
        .find(|(_, other)| {
            other
                .first()
                .is_some_and(|reply| reply.addresses().next().is_some() && lie(reference, name, other, reply).is_none())
        })
        .map(|(id, other)| {
            (*id, format!("over {} the same resolver says {}", other.question.transport, said(other.first())))
        })
}

/// The configured resolvers' own lies, one finding for each kind.
fn hijacked(reference: &Reference, name: &Named<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let mut honest_too = false;
    for (id, answer) in name.local() {
        let Some(first) = answer.first() else { continue };
        let Some(lie) = lie(reference, name, answer, first) else {
            honest_too |= first.addresses().next().is_some();
            continue;
        };
        let resolver = answer.question.server.map(|server| server.ip().to_string()).unwrap_or_default();
        let evidence = Evidence::probe("answer", id, format!("{}: {}", asked_of(answer), said(Some(first))));
        if let Some(known) = found.iter_mut().find(|known| known.code == lie.code) {
            known.cite(evidence);
            lie.evidence.into_iter().for_each(|evidence| known.cite(evidence));
            if lie.confidence > known.confidence() {
                known.set_confidence(lie.confidence);
            }
            continue;
        }
        let summary = match lie.address {
            Some(address) => {
                format!(
                    "The resolver {resolver} answers {} with {address}, which is not its address: {}.",
                    name.name, lie.why
                )
            }
            None => format!("The resolver {resolver} denies {}: {}.", name.name, lie.why),
        };
        let mut subject = name.subject();
        subject.address = lie.address;
        let mut finding = Finding::new(lie.code, Fault::Interference, lie.confidence, subject, evidence, summary)
            .with_class(lie.address.map_or_else(|| said(Some(first)), network))
            .with_text("resolver", resolver)
            .with_evidence(lie.evidence)
            .with_evidence(name.testimony());
        if let Some(address) = lie.address {
            finding = finding.with_text("address", address.to_string());
        }
        for (alternative, how) in lie.excluded {
            finding = finding.excluding(alternative, how);
        }
        for alternative in lie.not_excluded {
            finding = finding.not_excluding(alternative);
        }
        found.push(with_remedy(finding, name.name));
    }
    // A lie in one family beside honest answers in the other, or of one resolver of several, need not hinder.
    if honest_too {
        found.iter_mut().for_each(|finding| finding.severity = finding.severity.min(Severity::Medium));
    }
    found
}

/// What is wrong with a reply; `None` where nothing is, or nothing that can be held against it.
fn lie(reference: &Reference, name: &Named<'_>, answer: &NameAnswer, reply: &Reply) -> Option<Lie> {
    let addresses: Vec<IpAddr> = reply.addresses().collect();
    if addresses.iter().any(|address| name.is_honest(reference, *address)) {
        return None;
    }
    match addresses.first() {
        Some(address) => elsewhere_led(reference, name, answer, *address),
        None => denial(reference, name, answer, reply),
    }
}

fn denial(reference: &Reference, name: &Named<'_>, answer: &NameAnswer, reply: &Reply) -> Option<Lie> {
    if !reply.is_denial() || reply.truncated || !name.has(answer.question.record_type) {
        return None;
    }
    // No address of one family is a choice: where A has one, AAAA may be left out, if need be with the wrong code (RFC 4074
    // §4.2). go takes the family that there is.
    let other_family = name.answers.iter().any(|(_, other)| {
        other.question.server == answer.question.server
            && other.question.record_type != answer.question.record_type
            && other.first().is_some_and(|first| first.addresses().next().is_some())
    });
    if other_family || reply.rcode == NOERROR && answer.question.record_type != RecordType::A {
        return None;
    }
    let known = reference.host(name.name).is_some();
    let serves = name.genuine().next();
    let mut lie = Lie {
        code: Code::DnsForgedNxdomain,
        address: None,
        why: "honest resolvers give it addresses".to_owned(),
        excluded: Vec::new(),
        not_excluded: Vec::new(),
        confidence: if known { Confidence::Strong } else { Confidence::Moderate },
        evidence: Vec::new(),
    };
    if let Some((id, chain)) = serves {
        lie.why = format!("it exists, and {} serves it", chain.address.ip());
        lie.evidence.push(Evidence::probe("identity", id, "it holds the key of a certificate for the name"));
        lie.excluded.push((
            "a name that no longer exists",
            format!("its server answers at {} (probe {})", chain.address, id.0),
        ));
        if known {
            lie.confidence = Confidence::Proven;
        }
    }
    if let Some(invention) = name.invention(answer) {
        lie.evidence.push(invention.evidence());
        lie.excluded.push((
            "a resolver that denies what it does not know",
            format!("it has an address for {}, which does not exist", invention.answer.question.name),
        ));
    }
    if !known {
        lie.not_excluded.push("a name that is withheld on purpose inside this network (split horizon)");
    }
    Some(lie)
}

/// An address that no honest answer has.
fn elsewhere_led(reference: &Reference, name: &Named<'_>, answer: &NameAnswer, address: IpAddr) -> Option<Lie> {
    let known = reference.host(name.name).is_some();
    let standing = name.standing_of(address);
    let control = name.genuine().next();
    let mut lie = Lie {
        code: Code::DnsHijackedAnswer,
        address: Some(address),
        why: String::new(),
        excluded: Vec::new(),
        not_excluded: Vec::new(),
        confidence: Confidence::Strong,
        evidence: Vec::new(),
    };
    if let Some((id, chain)) = control {
        lie.excluded.push((
            "a server whose own certificate is wrong",
            format!("at {} the name's server shows the right one (probe {})", chain.address, id.0),
        ));
    }
    if let Some(special) = reference.special(address) {
        // A private name may have a private address, and so may a mirror that a company sets up on purpose.
        if !known || (special == Special::Private && !name.exists()) {
            return None;
        }
        lie.code = Code::DnsBogonAnswer;
        lie.why = format!("it is {}, and the name is public", special.describe());
        lie.confidence = if name.exists() { Confidence::Proven } else { Confidence::Strong };
        if name.exists() {
            let given: Vec<String> = name.honest_addresses().take(3).map(|address| address.to_string()).collect();
            lie.excluded
                .push(("the name has no public address", format!("honest resolvers answer {}", given.join(", "))));
        } else {
            lie.not_excluded.push("a private mirror of the name on purpose (split horizon)");
        }
        return Some(lie);
    }
    let bad = reference.known_bad_for(name.name, address);
    if let Some(bad) = bad {
        lie.why = format!("it is known as {}", bad.describe());
        if control.is_some() {
            lie.confidence = Confidence::Proven;
        }
        return Some(lie);
    }
    // The answer to a name that does not exist is none to one that does.
    let invented = name
        .invention(answer)
        .filter(|it| it.address == address && standing.is_none_or(|(_, it)| *it != Standing::Genuine));
    if let Some(invention) = invented {
        lie.why = format!("the resolver has it for {}, too, which does not exist", invention.answer.question.name);
        lie.evidence.push(invention.evidence());
        lie.confidence = match (known, name.exists(), invention.denied) {
            (true, true, Some(_)) => Confidence::Proven,
            (true, ..) => Confidence::Strong,
            _ => Confidence::Moderate,
        };
        if !known {
            lie.not_excluded.push("a resolver that leads all names of this network to one place on purpose");
        } else if lie.confidence < Confidence::Proven {
            lie.not_excluded.push("honest answers were not to be had");
        }
        return Some(lie);
    }
    match standing {
        Some((id, Standing::Stranger(what))) => {
            // Without a server that shows the right one, the name's own server may be what is wrong.
            control?;
            lie.why = format!("a server is there that shows {what}, while the name's own servers prove who they are");
            lie.evidence.push(Evidence::probe("identity", id, what.clone()));
            lie.confidence = if known { Confidence::Proven } else { Confidence::Strong };
            if !known {
                lie.not_excluded.push("a server of this network's own for the name (split horizon)");
            }
            Some(lie)
        }
        Some((id, Standing::Unproven(what))) => {
            control.filter(|_| known)?;
            lie.why = format!("the server there shows {what}, while the name's own servers prove who they are");
            lie.evidence.push(Evidence::probe("identity", id, what.clone()));
            lie.not_excluded.push("interception of TLS to this address alone");
            Some(lie)
        }
        Some((id, Standing::Silent(failure))) => {
            control.filter(|_| reference.in_operator_ranges(name.name, address) == Some(false))?;
            lie.why = format!(
                "it is outside the operator's ranges, no honest resolver gives it, and no server of the name is there ({failure})"
            );
            lie.evidence.push(Evidence::probe("identity", id, failure.to_string()));
            lie.confidence = Confidence::Moderate;
            lie.not_excluded.push("an address of the operator that is not on any list, and does not work");
            Some(lie)
        }
        Some((_, Standing::Genuine)) | None => None,
    }
}

fn with_remedy(finding: Finding, name: &str) -> Finding {
    finding
        .with_remedy(
            "Ask whoever runs the resolver or the network; until then use a resolver over an encrypted transport, which nobody on the way can write over.",
            Some(&format!("dig +tls @9.9.9.9 {name}")),
        )
        .with_reference("RFC 8499 §6")
}

fn unique(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut values: Vec<String> = values.collect();
    values.sort();
    values.dedup();
    values
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
