//! The resolver itself: none at all, or somebody else in its place.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::failing::nothing_listens;
use super::view::{Name, Names};
use crate::finding::{Code, Confidence, Evidence, Fault, Finding, Subject};
use crate::go::GoErrorKind;
use crate::observation::{Case, Lookup};
use crate::reference::{Reference, Special};
use crate::types::Span;

/// An answer from a public resolver that took less than this did not leave the building.
const NEAR: Span = Span::from_millis(1);

pub(super) fn assess(case: &Case, reference: &Reference, names: &Names<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(no_resolver(case, names));
    found.extend(intercepted(case, reference, names));
    found
}

/// Nothing listens where questions go, or go was told of no resolver.
fn no_resolver(case: &Case, names: &Names<'_>) -> Option<Finding> {
    let unanswered: Vec<(&Lookup, _)> = names
        .iter()
        .flat_map(Name::for_addresses)
        .filter_map(|lookup| Some((lookup, nothing_listens(case, lookup)?)))
        .collect();
    let answered = names.iter().any(|name| name.answers().next().is_some());
    let subject = |resolver: IpAddr| Subject { host: None, address: Some(resolver), port: Some(53), module: None };
    let remedy = "Point the client to a resolver that exists: /etc/resolv.conf on Linux, in containers the runtime's DNS setting. Without any nameserver line go asks 127.0.0.1.";
    if let Some((lookup, at)) = unanswered.first()
        && !answered
    {
        let summary = format!(
            "Nothing listens at the resolver {}: its host answers with ICMP port unreachable.",
            lookup.resolver
        );
        let mut finding = Finding::new(
            Code::DnsNoResolver,
            Fault::Client,
            Confidence::Proven,
            subject(lookup.resolver.ip()),
            Evidence::frame("port_unreachable", *at, ""),
            summary,
        )
        .with_remedy(remedy, Some("cat /etc/resolv.conf"))
        .with_reference("RFC 1122 §3.2.2.1");
        for (lookup, at) in unanswered {
            if let Some(query) = &lookup.query {
                finding.cite(Evidence::frame("question", query.at, ""));
            }
            finding.cite(Evidence::frame("port_unreachable", at, ""));
        }
        return Some(finding);
    }
    let refused = case
        .go
        .errors()
        .iter()
        .find(|error| matches!(error.kind.innermost(), GoErrorKind::DnsRefused | GoErrorKind::DnsUnreachable))?;
    let unreachable = matches!(refused.kind.innermost(), GoErrorKind::DnsUnreachable);
    let resolver: SocketAddr = refused.resolver?;
    // A question in the recording would show what became of it.
    if answered || case.lookups.iter().any(|lookup| lookup.resolver == resolver) {
        return None;
    }
    let local = resolver.ip().is_loopback();
    let summary = match (unreachable, local) {
        (true, _) => format!("go asks {resolver}, and the client finds no way to that address."),
        (false, true) => format!(
            "go asks {resolver} and nothing listens there: no resolver is configured, or the local one is not running."
        ),
        (false, false) => format!("go asks {resolver} and nothing listens there."),
    };
    let finding = Finding::new(
        Code::DnsNoResolver,
        Fault::Client,
        if local { Confidence::Strong } else { Confidence::Moderate },
        subject(resolver.ip()),
        Evidence::log(refused.line, refused.text.clone()),
        summary,
    )
    .with_remedy(remedy, Some("cat /etc/resolv.conf"))
    .with_reference("Go: src/net/dnsconfig_unix.go, defaultNS");
    Some(finding.not_excluding("a local resolver that was down for a moment"))
}

/// Answers in the name of a resolver that cannot have given them.
fn intercepted(case: &Case, reference: &Reference, names: &Names<'_>) -> Vec<Finding> {
    let mut by_resolver: BTreeMap<SocketAddr, Vec<&Lookup>> = BTreeMap::new();
    for lookup in names.iter().flat_map(Name::for_addresses).filter(|lookup| !lookup.answers.is_empty()) {
        by_resolver.entry(lookup.resolver).or_default().push(lookup);
    }
    by_resolver.into_iter().filter_map(|(resolver, lookups)| impostor(case, reference, resolver, &lookups)).collect()
}

fn impostor(case: &Case, reference: &Reference, resolver: SocketAddr, lookups: &[&Lookup]) -> Option<Finding> {
    let facts = case.resolvers.iter().find(|facts| facts.address == resolver)?;
    let ttl = facts.usual_ttl()?;
    let at_client =
        lookups.iter().filter_map(|lookup| lookup.query.as_ref()).all(|query| matches!(query.ip.ttl, 64 | 128 | 255));
    let hops = [64_u8, 128, 255].into_iter().find(|initial| *initial >= ttl).map(|initial| initial - ttl)?;
    let unroutable = reference.special(resolver.ip()).is_some_and(Special::is_never_routed);
    let public = reference.public_resolver(resolver.ip());
    let (classes, why) = if unroutable {
        (3, format!("{} is an address where no resolver can be, and yet answers come", resolver.ip()))
    } else {
        let public = public?;
        let near = facts.min_rtt.is_some_and(|rtt| rtt < NEAR);
        if !at_client || hops > 1 {
            return None;
        }
        (
            1 + usize::from(near),
            format!(
                "answers of {} come with IP TTL {ttl}, from {hops} hops away, where none of its servers is",
                public.title
            ),
        )
    };
    let first = lookups.iter().find_map(|lookup| lookup.answers.first())?;
    let subject = Subject { host: None, address: Some(resolver.ip()), port: Some(resolver.port()), module: None };
    let mut finding = Finding::new(
        Code::DnsInterceptedResolver,
        // Who answers is not who was asked; whether the answers are lies is judged answer by answer.
        Fault::Harmless,
        Confidence::from_classes(classes),
        subject,
        Evidence::frame("answer", first.at, format!("IP TTL {ttl}")),
        format!("Something else than the resolver answers: {why}."),
    )
    .with_text("resolver", resolver.to_string())
    .with_number("ttl", ttl.into())
    .with_remedy(
        "Ask whoever runs the network: it redirects DNS. Use an encrypted transport to reach the resolver itself.",
        None,
    )
    .with_reference("RFC 8499 §6");
    for lookup in lookups {
        if let Some(query) = &lookup.query {
            finding.cite(Evidence::frame("question", query.at, ""));
        }
        for answer in &lookup.answers {
            finding.cite(Evidence::frame("answer", answer.at, format!("IP TTL {}", answer.ip.ttl)));
        }
    }
    if !unroutable {
        finding = finding.not_excluding("a resolver of that operator inside the local network");
    }
    Some(finding)
}
