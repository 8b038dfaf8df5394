//! Resolvers that cannot be reached, by the words of ICMP or of go.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::finding::{Code, Confidence, Evidence, Fault, Finding, Subject};
use crate::go::GoErrorKind;
use crate::observation::{Case, IcmpError, Lookup, Relevance};
use crate::packet::IcmpKind;
use crate::reference::Reference;

pub(super) fn assess(case: &Case, reference: &Reference) -> Vec<Finding> {
    let mut found = out_of_reach(case, reference);
    found.extend(not_permitted(case));
    found
}

/// Questions that a router, a firewall or the client itself turned away, for names that nobody else resolved.
fn out_of_reach(case: &Case, reference: &Reference) -> Vec<Finding> {
    let mut turned_away: BTreeMap<SocketAddr, Vec<(&Lookup, &IcmpError)>> = BTreeMap::new();
    for lookup in case.lookups.iter().filter(|lookup| lookup.relevance == Relevance::Go) {
        let Some(error) = lookup.error.and_then(|index| case.icmp.get(index)) else { continue };
        let judged = reference.is_go_host(&lookup.name) || case.go.names_host(&lookup.name);
        let resolved = || {
            case.lookups.iter().any(|other| {
                (&other.name, other.client.ip()) == (&lookup.name, lookup.client.ip()) && !other.answers.is_empty()
            })
        };
        // From the host itself the same word says that nothing listens there.
        let closed = error.kind == IcmpKind::PortUnreachable && error.from == lookup.resolver.ip();
        let fatal = matches!(error.kind, IcmpKind::Prohibited | IcmpKind::Unreachable | IcmpKind::PortUnreachable);
        if judged && fatal && !closed && !resolved() {
            turned_away.entry(lookup.resolver).or_default().push((lookup, error));
        }
    }
    turned_away.into_iter().filter_map(|(resolver, errors)| turned_away_from(resolver, &errors)).collect()
}

fn turned_away_from(resolver: SocketAddr, errors: &[(&Lookup, &IcmpError)]) -> Option<Finding> {
    let (lookup, error) = errors.first()?;
    let local = error.from == lookup.client.ip();
    let (code, fault, words) = match (local, error.kind) {
        (true, IcmpKind::Unreachable) => (Code::DnsNoResolver, Fault::Client, "cannot be reached"),
        (true, _) => (Code::NetBlockedLocally, Fault::Client, "is forbidden by the client's own firewall"),
        // A port is the host's own business; who else speaks of it is a firewall.
        (false, IcmpKind::Prohibited | IcmpKind::PortUnreachable) => {
            (Code::NetUnreachable, Fault::Interference, "is administratively prohibited")
        }
        (false, _) => (Code::NetUnreachable, Fault::Network, "is unreachable"),
    };
    let summary = format!("{} says that the resolver {resolver} {words}; {} is not resolved.", error.from, lookup.name);
    let evidence =
        |error: &IcmpError| Evidence::frame("icmp_error", error.at, format!("ICMP from {}: {words}", error.from));
    let subject = Subject {
        host: Some(lookup.name.clone()),
        address: Some(resolver.ip()),
        port: Some(resolver.port()),
        module: None,
    };
    let mut finding = Finding::new(code, fault, Confidence::Proven, subject, evidence(error), summary)
        .with_text("icmp_from", error.from.to_string())
        .with_remedy(
            "Ask whoever runs that router or firewall to let DNS pass, or use a resolver inside of the network.",
            None,
        )
        .with_reference("RFC 792")
        .with_reference("RFC 4443 §3.1");
    for (lookup, error) in errors {
        if let Some(query) = &lookup.query {
            finding.cite(Evidence::frame("question", query.at, ""));
        }
        finding.cite(evidence(error));
    }
    Some(finding)
}

/// The system did not let go send its question.
fn not_permitted(case: &Case) -> Option<Finding> {
    let error = case.go.errors().iter().find(|error| matches!(error.kind.innermost(), GoErrorKind::DnsNotPermitted))?;
    let resolver = error.resolver?;
    if case.lookups.iter().any(|lookup| lookup.resolver == resolver && !lookup.answers.is_empty()) {
        return None;
    }
    let subject =
        Subject { host: error.lookup.clone(), address: Some(resolver.ip()), port: Some(resolver.port()), module: None };
    let mut finding = Finding::new(
        Code::NetBlockedLocally,
        Fault::Client,
        Confidence::Strong,
        subject,
        Evidence::log(error.line, error.text.clone()),
        format!("The client's own system does not permit questions to the resolver {resolver}."),
    )
    .with_remedy(
        "Look at the firewall and security policy of the client itself (nftables, iptables, SELinux, endpoint protection, container network policy).",
        Some("nft list ruleset"),
    );
    finding.go_error = Some(error.text.clone());
    Some(finding)
}

#[cfg(test)]
mod tests {
    use crate::finding::{Code, Fault};
    use crate::observation::RecordType;
    use crate::testing::{Scene, cited};

    const HOST: &str = "proxy.golang.org";

    fn turned_away(from: &str, code: u8) -> Scene {
        let mut scene = Scene::new();
        scene.ask(HOST, RecordType::A);
        scene.icmp_about(0, from, 3, code);
        scene.ask(HOST, RecordType::AAAA);
        scene.icmp_about(0, from, 3, code);
        scene
    }

    #[test]
    fn who_turns_a_question_away_is_told_by_the_error() {
        for (from, icmp, code, fault) in [
            ("84.116.211.9", 13, Code::NetUnreachable, Fault::Interference),
            ("84.116.211.9", 3, Code::NetUnreachable, Fault::Interference),
            ("84.116.211.9", 1, Code::NetUnreachable, Fault::Network),
            ("192.168.1.23", 13, Code::NetBlockedLocally, Fault::Client),
            ("192.168.1.23", 1, Code::DnsNoResolver, Fault::Client),
        ] {
            let scene = turned_away(from, icmp);
            let finding = scene.finding(code);
            assert_eq!((finding.fault, scene.accused()), (fault, vec![code]), "{from} {icmp}");
            assert_eq!(cited(&finding), [1, 2, 3, 4]);
        }
    }

    #[test]
    fn a_resolver_that_answers_in_the_end_or_another_one_excuses_it() {
        let mut scene = turned_away("84.116.211.9", 1);
        let question = scene.ask(HOST, RecordType::A);
        scene.answer(&question, &["142.250.74.113"]);
        assert_eq!(scene.accused(), []);
    }

    #[test]
    fn a_question_that_the_system_does_not_permit_is_blocked_locally() {
        let mut scene = Scene::new();
        scene.log("go: x: Get \"https://proxy.golang.org/x\": dial tcp: lookup proxy.golang.org on 192.168.1.1:53: write udp 192.168.1.23:4->192.168.1.1:53: write: operation not permitted");
        let finding = scene.finding(Code::NetBlockedLocally);
        assert_eq!((finding.fault, finding.subject.port), (Fault::Client, Some(53)));
    }
}
