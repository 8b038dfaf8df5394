//! Connections that do not open, and what that says by itself: whether other destinations, other addresses of the name and the
//! other family work.
//!
//! Experiments say more; where something finer is known of a host, this is silent.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::finding::{Code, Confidence, Evidence, Fault, Finding, Severity, Subject};
use crate::observation::Case;
use crate::observation::probe::{Failure, NameAnswer, Oracle, PresentedChain, Probe, ProbeId, Transport};

type Numbered<'c> = (ProbeId, &'c PresentedChain);

/// Judges them, but for those at addresses that a lie led to, and for names of which `known` says more.
pub(super) fn assess(case: &Case, misled: &[IpAddr], known: &[Finding]) -> Vec<Finding> {
    let direct = case.probes.iter().filter_map(|probe| Some((probe.id, probe.chain()?)));
    let direct: Vec<Numbered<'_>> =
        direct.filter(|(_, chain)| chain.via.is_none() && !misled.contains(&chain.address.ip())).collect();
    let mut by_name: BTreeMap<(&str, u16), Vec<Numbered<'_>>> = BTreeMap::new();
    for (id, chain) in &direct {
        by_name.entry((chain.name.as_str(), chain.address.port())).or_default().push((*id, chain));
    }
    let mut found = Vec::new();
    for ((name, _), own) in by_name {
        let told = known.iter().any(|finding| {
            matches!(finding.code.family(), "net" | "tcp" | "tls") && finding.subject.host.as_deref() == Some(name)
        });
        if !told {
            found.extend(family(&direct, name, &own));
            found.extend(stopped(case, &direct, name, &own));
        }
    }
    found
}

const fn opened(chain: &PresentedChain) -> bool {
    chain.connected.is_some()
}

/// IPv6 fails where IPv4 works. That there is no way to IPv6 at all from this machine is no fault: go does not lose time by it.
fn family(direct: &[Numbered<'_>], name: &str, own: &[Numbered<'_>]) -> Option<Finding> {
    let six: Vec<&Numbered<'_>> = own.iter().filter(|(_, it)| it.address.is_ipv6()).collect();
    let silent = |it: &PresentedChain| !opened(it) && it.failure == Some(Failure::Timeout);
    let works = own.iter().find(|(_, it)| it.address.is_ipv4() && opened(it))?;
    let (id, first) = six.first()?;
    if !six.iter().all(|(_, it)| silent(it)) || direct.iter().any(|(_, it)| it.address.is_ipv6() && opened(it)) {
        return None;
    }
    let all = direct.iter().filter(|(_, it)| it.address.is_ipv6() && silent(it)).count();
    let confidence = if all > 1 { Confidence::Strong } else { Confidence::Moderate };
    let summary = format!(
        "{name} answers over IPv4 ({}) and not over IPv6: {} does not answer.",
        works.1.address.ip(),
        first.address.ip()
    );
    let evidence = Evidence::probe("unanswered", *id, first.address.to_string());
    let mut finding =
        Finding::new(Code::NetIpv6Broken, Fault::Network, confidence, subject(name, first), evidence, summary)
            .with_severity(Severity::Low)
            .with_evidence(six.iter().map(|(id, it)| Evidence::probe("unanswered", *id, it.address.to_string())))
            .with_evidence([Evidence::probe("answered", works.0, works.1.address.to_string())])
            .with_remedy("Mend IPv6, or switch it off: go tries both, and the broken one costs time.", None)
            .with_reference("RFC 8305 §5");
    if all == 1 {
        finding = finding.not_excluding("only this address is down");
    }
    Some(finding)
}

fn stopped(case: &Case, direct: &[Numbered<'_>], name: &str, own: &[Numbered<'_>]) -> Option<Finding> {
    let four: Vec<&Numbered<'_>> = own.iter().filter(|(_, it)| it.address.is_ipv4()).collect();
    // IPv6 alone may be missing here; of a name with both, IPv4 counts.
    let tried: Vec<&Numbered<'_>> = if four.is_empty() { own.iter().collect() } else { four };
    if own.iter().any(|(_, it)| opened(it)) {
        return None;
    }
    let (_, first) = tried.first()?;
    let same = tried.iter().all(|(_, it)| it.failure == first.failure);
    let elsewhere = elsewhere(case, direct, &tried);
    let addresses: Vec<String> = tried.iter().map(|(_, it)| it.address.ip().to_string()).collect();
    let (code, fault, what, sure) = match &first.failure {
        _ if !same => return None,
        // Silence of one is told from silence of all by somebody else who speaks.
        Some(Failure::Timeout) => {
            elsewhere.as_ref()?;
            let sure = if tried.len() > 1 { Confidence::Strong } else { Confidence::Moderate };
            (Code::NetAddressBlackhole, Fault::Interference, "does not answer", sure)
        }
        Some(Failure::Refused) => {
            (Code::TcpConnectionRefused, Fault::Upstream, "refuses connections", Confidence::Strong)
        }
        Some(Failure::Unreachable) => {
            let sure = if elsewhere.is_some() { Confidence::Strong } else { Confidence::Moderate };
            (Code::NetUnreachable, Fault::Network, "is unreachable, as the system says", sure)
        }
        Some(Failure::Forbidden) => {
            (Code::NetBlockedLocally, Fault::Client, "may not be connected to, as the system says", Confidence::Strong)
        }
        _ => return None,
    };
    let port = first.address.port();
    let while_other = elsewhere.as_ref().map(|(_, who)| format!(", while {who} answers")).unwrap_or_default();
    let summary = format!("{} ({name}, port {port}) {what}{while_other}.", addresses.join(" and "));
    let mut cited = tried.iter().map(|(id, it)| {
        let why = it.failure.as_ref().map(ToString::to_string).unwrap_or_default();
        Evidence::probe("no_connection", *id, format!("{}: {why}", it.address))
    });
    let start = cited.next()?;
    let mut finding = Finding::new(code, fault, sure, subject(name, first), start, summary)
        .with_evidence(cited)
        .with_list("addresses", addresses)
        .with_reference("RFC 9293 §3.10.7");
    if let Some((id, who)) = elsewhere {
        finding.cite(Evidence::probe("answers_elsewhere", id, who.clone()));
        finding = finding.excluding("this machine has no network", format!("{who} answers (probe {})", id.0));
    }
    finding = match code {
        Code::TcpConnectionRefused => finding.not_excluding("a refusal that somebody on the path forged"),
        Code::NetAddressBlackhole => finding.not_excluding("the server is down"),
        _ => finding,
    };
    let remedy = match code {
        Code::TcpConnectionRefused => "Check host and port; ask whoever runs the server whether it runs.",
        Code::NetBlockedLocally => {
            "Look at the firewall and security policy of this machine (nftables, iptables, SELinux, endpoint protection)."
        }
        _ => "Ask whoever runs the network whether it lets connections to that address through.",
    };
    Some(finding.with_remedy(remedy, None))
}

/// Somebody else on the way outside who answers: another host, else a resolver over a connection.
fn elsewhere(case: &Case, direct: &[Numbered<'_>], tried: &[&Numbered<'_>]) -> Option<(ProbeId, String)> {
    let new = |address: IpAddr| !tried.iter().any(|(_, it)| it.address.ip() == address);
    let host = direct.iter().find(|(_, it)| opened(it) && new(it.address.ip()) && !it.address.ip().is_loopback());
    let resolver = |answer: &NameAnswer| {
        let question = &answer.question;
        let far = matches!(question.oracle, Oracle::Trusted(_)) && question.transport != Transport::Udp;
        question.server.filter(|server| far && !answer.replies.is_empty() && new(server.ip()))
    };
    host.map(|(id, it)| (*id, format!("{} ({})", it.address.ip(), it.name))).or_else(|| {
        case.probes
            .iter()
            .filter_map(|probe: &Probe| Some((probe.id, resolver(probe.name()?)?)))
            .map(|(id, server)| (id, server.to_string()))
            .next()
    })
}

fn subject(name: &str, chain: &PresentedChain) -> Subject {
    Subject {
        host: name.parse::<IpAddr>().is_err().then(|| name.to_owned()),
        address: Some(chain.address.ip()),
        port: Some(chain.address.port()),
        module: None,
    }
}
