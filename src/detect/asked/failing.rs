//! Names that the configured resolvers have no usable answer for, and names that do not exist.

use super::view::{Named, asked_of, said};
use crate::finding::{Citation, Code, Confidence, Evidence, Fault, Finding, Subject};
use crate::observation::probe::{Failure, NameAnswer, ProbeId};

const SERVFAIL: u16 = 2;
const REFUSED: u16 = 5;

pub(super) fn assess(name: &Named<'_>) -> Option<Finding> {
    let local: Vec<(ProbeId, &NameAnswer)> = name.local().collect();
    // Of a name in the hosts file go asks nobody.
    if local.is_empty()
        || name.is_overridden()
        || local.iter().any(|(_, it)| it.first().is_some_and(|reply| reply.addresses().next().is_some()))
    {
        return None;
    }
    if let Some(finding) = nonexistent(name, &local) {
        return Some(finding);
    }
    let usable = |answer: &NameAnswer| answer.first().is_some_and(|reply| !matches!(reply.rcode, SERVFAIL | REFUSED));
    if local.iter().any(|(_, answer)| usable(answer)) {
        return None;
    }
    let has = |code: u16| local.iter().any(|(_, it)| it.first().is_some_and(|reply| reply.rcode == code));
    let silent = |wanted: &[Failure]| {
        local.iter().all(|(_, it)| it.failure.as_ref().is_some_and(|failure| wanted.contains(failure)))
    };
    let (code, fault, what) = if has(SERVFAIL) {
        (Code::DnsServfail, Fault::Network, "fails (SERVFAIL)")
    } else if has(REFUSED) {
        (Code::DnsRefused, Fault::Network, "refuses (REFUSED)")
    } else if silent(&[Failure::Unreachable]) {
        return unreachable(&local);
    } else if silent(&[Failure::Refused, Failure::Unreachable]) {
        return no_resolver(&local);
    } else if local.iter().all(|(_, it)| !matches!(it.failure, Some(Failure::Timeout))) {
        // It was not silent, and what it was is nothing to accuse anybody of.
        return None;
    } else {
        (Code::DnsTimeout, Fault::Network, "gives no answer")
    };
    let resolvers = resolvers(&local);
    let mut evidence = cited(&local);
    let first = evidence.next()?;
    let mut finding = Finding::new(
        code,
        fault,
        if code == Code::DnsTimeout && !name.exists() { Confidence::Moderate } else { Confidence::Strong },
        name.subject(),
        first,
        format!("Asked about {}, {} {what}.", name.name, resolvers.join(" and ")),
    )
    .with_evidence(evidence)
    .with_class(resolvers.join(" "))
    .with_list("resolvers", resolvers)
    .with_reference("RFC 1035 §4.1.1");
    finding = if name.exists() {
        finding
            .excluding("the name's own servers fail", "others resolve it at the same time")
            .with_evidence(name.testimony())
            .not_excluding("the path to the resolver, not the resolver itself")
    } else {
        finding.not_excluding("nothing on this network answers, or the name's own servers fail")
    };
    Some(finding.with_remedy(
        "Ask the resolver's operator; try another resolver to see whether it is the resolver or the name.",
        Some(&format!("dig @9.9.9.9 {}", name.name)),
    ))
}

/// Everybody denies it who can be believed.
fn nonexistent(name: &Named<'_>, local: &[(ProbeId, &NameAnswer)]) -> Option<Finding> {
    let (id, denial) = local.iter().find(|(_, it)| it.first().is_some_and(|reply| reply.is_denial()))?;
    if name.exists() {
        return None;
    }
    let everybody = name.denied_by_honest();
    let strangers = name.answers.len() > local.len();
    // Strangers who were asked and could not be believed leave it open.
    if everybody.is_none() && strangers {
        return None;
    }
    let first = Evidence::probe("denial", *id, format!("{}: {}", asked_of(denial), said(denial.first())));
    let confidence = if everybody.is_some() { Confidence::Proven } else { Confidence::Moderate };
    let summary = format!("{} does not exist, as far as can be told: {}.", name.name, said(denial.first()));
    let finding = Finding::new(Code::DnsNxdomain, Fault::Client, confidence, name.subject(), first, summary)
        .with_evidence(cited(local).filter(|item| item.citation != Citation::Probe(id.0)))
        .with_class(said(denial.first()))
        .with_remedy("Check the spelling in GOPROXY, in the module path or in go.mod; a private name needs the company's resolver (VPN).", None)
        .with_reference("RFC 2308");
    Some(match everybody {
        Some(id) => {
            finding.excluding("a filtering resolver", format!("honest resolvers deny the name, too (probe {})", id.0))
        }
        None => finding.not_excluding("a filtering resolver, or another network that knows the name"),
    })
}

/// This machine, or a router, has no way to the resolvers.
fn unreachable(local: &[(ProbeId, &NameAnswer)]) -> Option<Finding> {
    let resolvers = resolvers(local);
    let mut evidence = cited(local);
    let first = evidence.next()?;
    let address = local.first().and_then(|(_, answer)| answer.question.server).map(|server| server.ip());
    let subject = Subject { host: None, address, port: Some(53), module: None };
    let summary = format!(
        "There is no way from this machine to its resolver {}: the network is unreachable.",
        resolvers.join(" and ")
    );
    Some(
        Finding::new(Code::NetUnreachable, Fault::Network, Confidence::Strong, subject, first, summary)
            .with_evidence(evidence)
            .with_remedy(
                "Look whether this machine is connected: its link, its address and its default route.",
                Some("ip address; ip route"),
            )
            .with_reference("RFC 1122 §3.2.2.1"),
    )
}

fn no_resolver(local: &[(ProbeId, &NameAnswer)]) -> Option<Finding> {
    let resolvers = resolvers(local);
    let mut evidence = cited(local);
    let first = evidence.next()?;
    let address = local.first().and_then(|(_, answer)| answer.question.server).map(|server| server.ip());
    let subject = Subject { host: None, address, port: Some(53), module: None };
    let summary =
        format!("Nothing listens at the resolver {}: its host says that the port is closed.", resolvers.join(" and "));
    Some(
        Finding::new(Code::DnsNoResolver, Fault::Client, Confidence::Proven, subject, first, summary)
            .with_evidence(evidence)
            .with_remedy("Point the client to a resolver that exists: /etc/resolv.conf on Linux, in containers the runtime's DNS setting. Without any nameserver line go asks 127.0.0.1.", Some("cat /etc/resolv.conf"))
            .with_reference("RFC 1122 §3.2.2.1"),
    )
}

fn resolvers(local: &[(ProbeId, &NameAnswer)]) -> Vec<String> {
    let servers = local.iter().filter_map(|(_, answer)| answer.question.server);
    let mut resolvers: Vec<String> = servers.map(|server| server.ip().to_string()).collect();
    resolvers.sort();
    resolvers.dedup();
    resolvers
}

fn cited(local: &[(ProbeId, &NameAnswer)]) -> impl Iterator<Item = Evidence> {
    local.iter().map(|(id, answer)| {
        let what = answer.failure.as_ref().map_or_else(|| said(answer.first()), ToString::to_string);
        Evidence::probe("answer", *id, format!("{}: {what}", asked_of(answer)))
    })
}
