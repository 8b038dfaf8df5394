//! Neither name nor bytes make a difference: the address does, or its family.

use super::name::ending_in_words;
use super::{Trial, cited};
use crate::finding::{Code, Confidence, Fault, Finding, Severity};
use crate::observation::Case;
use crate::observation::probe::{Ending, HelloAttempt, Part, Place, Probe, Shape};

/// IPv6 fails where IPv4 works.
pub(super) fn family(case: &Case, trial: &Trial<'_>, four: &HelloAttempt) -> Option<Finding> {
    let fails = |attempt: &HelloAttempt| {
        attempt.failed() && attempt.aim.address.is_ipv6() && attempt.aim.place != Place::Neutral
    };
    let six: Vec<_> = trial.of(|aim| aim.is_plain() && aim.part == Part::Target).filter(|(_, it)| fails(it)).collect();
    let (id, first) = six.first().copied().filter(|_| six.len() > 1 && four.aim.address.is_ipv4())?;
    let summary = format!(
        "{} works over IPv4 ({}) and not over IPv6: to {}, {}.",
        trial.about,
        four.aim.address.ip(),
        first.aim.address.ip(),
        first.ending
    );
    let subject = trial.subject(first.aim.address);
    let start = cited("fails_over_ipv6", (id, first));
    let mut finding = Finding::new(Code::NetIpv6Broken, Fault::Network, Confidence::Strong, subject, start, summary)
        .with_severity(Severity::Low)
        .with_evidence(six.iter().map(|attempt| cited("fails_over_ipv6", *attempt)))
        .with_evidence(
            trial.of(|aim| aim.is_plain() && aim.address == four.aim.address).map(|it| cited("works_over_ipv4", it)),
        )
        .excluding("a single loss", "it fails twice, each time over all repetitions")
        .with_remedy("Mend IPv6, or switch it off: go tries both, and the broken one costs time.", None)
        .with_reference("RFC 8305 §5");
    let others = case
        .probes
        .iter()
        .filter_map(Probe::chain)
        .filter(|chain| chain.address.is_ipv6() && chain.name != trial.about);
    let (works, broken): (Vec<_>, Vec<_>) = others.partition(|chain| chain.connected.is_some());
    if works.is_empty() && broken.is_empty() {
        finding = finding.not_excluding("only this address is down");
        finding.set_confidence(Confidence::Moderate);
    } else if !works.is_empty() {
        return None;
    }
    Some(finding)
}

/// TCP does not open.
pub(super) fn unopened(case: &Case, trial: &Trial<'_>, first: &HelloAttempt) -> Option<Finding> {
    let address = first.aim.address;
    let chains = || case.probes.iter().filter_map(|probe| Some((probe.id, probe.chain()?)));
    let before = chains().find(|(_, chain)| chain.address == address && chain.connected.is_some());
    let own: Vec<_> = trial.plain(Part::Target, address).collect();
    if own.iter().any(|(_, attempt)| attempt.ending.connected()) {
        return None;
    }
    let others: Vec<_> = trial
        .of(|aim| aim.is_plain() && aim.place == Place::Other && aim.part == Part::Target)
        .filter(|(_, attempt)| attempt.passed() || attempt.failed())
        .collect();
    let neutral = trial.neutral().filter(|(_, attempt)| attempt.ending.connected());
    let works = others.iter().find(|(_, attempt)| attempt.ending.connected()).copied();
    // It did open a moment ago: what was said then may have closed it.
    let residual = before.is_some_and(|(_, chain)| chain.failure.is_some());
    if before.is_some() && !residual {
        return None;
    }
    let (code, fault, what) = match first.ending {
        _ if residual => {
            (Code::TlsResidualBlock, Fault::Interference, "opened, and after a handshake that failed it does not")
        }
        Ending::Refused { .. } => (Code::TcpConnectionRefused, Fault::Upstream, "refuses connections"),
        Ending::Unreachable => (Code::NetUnreachable, Fault::Network, "cannot be reached, as ICMP says"),
        _ => (Code::NetAddressBlackhole, Fault::Interference, "does not answer a single SYN"),
    };
    let elsewhere = match (&neutral, &works) {
        (_, Some((_, other))) => format!(", while {} of the same name does", other.aim.address.ip()),
        (Some((_, neutral)), None) => format!(", while {} answers", neutral.aim.address.ip()),
        (None, None) => String::new(),
    };
    let all = if others.is_empty() || works.is_some() { "" } else { ", nor does another of its addresses" };
    let summary = format!("{} ({}) {what}{all}{elsewhere}.", address.ip(), trial.about);
    let confidence = match (neutral.is_some() || works.is_some(), own.len() > 1) {
        (true, true) => Confidence::Strong,
        (true, false) => Confidence::Moderate,
        (false, _) => Confidence::Weak,
    };
    let start = cited("no_connection", own.first().copied()?);
    let mut finding = Finding::new(code, fault, confidence, trial.subject(address), start, summary)
        .with_evidence(
            own.iter().chain(&others).filter(|(_, it)| !it.ending.connected()).map(|it| cited("no_connection", *it)),
        )
        .with_evidence(neutral.iter().chain(works.iter()).map(|it| cited("connects_elsewhere", *it)));
    if let Some((id, _)) = neutral.or(works) {
        finding = finding.excluding("this machine has no network", format!("another address answers (probe {})", id.0));
    }
    if own.len() > 1 {
        finding =
            finding.excluding("a single loss", format!("{} connections with all their repetitions fail", own.len()));
    }
    if code == Code::NetAddressBlackhole
        && let Some((id, sweep)) = trial.sweeps.iter().find(|(_, sweep)| sweep.address == address)
        && let Some(hop) = sweep.hops.iter().rfind(|hop| hop.expired)
    {
        let router = hop.router.map(|router| format!(" ({router})")).unwrap_or_default();
        let note = format!("the last to speak is hop {}{router}", hop.ttl);
        finding.cite(crate::finding::Evidence::probe("way", *id, note));
        finding = finding.with_number("last_hop", hop.ttl.into());
    }
    finding = match first.ending {
        Ending::Refused { .. } => finding.not_excluding("a refusal that somebody on the path forged"),
        _ if works.is_some() || others.is_empty() => finding.not_excluding("the server at that address is down"),
        _ => finding.not_excluding("all servers of that name are down"),
    };
    Some(finding.with_remedy("Ask whoever runs the network whether it drops packets to that address.", None))
}

/// TCP opens, and whatever is sent fails.
pub(super) fn stopped(trial: &Trial<'_>, first: &HelloAttempt) -> Option<(Finding, Vec<Code>)> {
    let address = first.aim.address;
    let own: Vec<_> = trial.plain(Part::Target, address).collect();
    if own.iter().any(|(_, attempt)| attempt.passed()) {
        return None;
    }
    let neutral = trial.neutral();
    let elsewhere = neutral.is_some_and(|(_, attempt)| attempt.passed());
    let everywhere = neutral.is_some_and(|(_, attempt)| attempt.stopped());
    let not_tls = trial.of(|aim| aim.shape == Shape::NotTls).next();
    let control = trial.plain(Part::Control, address).next();
    let beneath = trial.answered_beneath();
    let birthplace = trial.birthplace();
    let early = birthplace.as_ref().filter(|place| place.before_server());
    let alone = birthplace.as_ref().is_some_and(super::Birthplace::at_server);
    let by_path = beneath.is_some() || early.is_some() || everywhere;
    let (code, fault, confidence) = match (&first.ending, by_path) {
        (Ending::Reset { .. } | Ending::Closed { .. }, true) => {
            let sure = if everywhere && beneath.is_none() && early.is_none() {
                Confidence::Strong
            } else {
                Confidence::Proven
            };
            (Code::TcpResetInjected, Fault::Interference, sure)
        }
        (Ending::Reset { .. } | Ending::Closed { .. }, false) => {
            let sure = if alone { Confidence::Strong } else { Confidence::Moderate };
            (Code::TlsServerReset, Fault::Server, sure)
        }
        (Ending::Alert { .. }, _) if elsewhere => (Code::TlsServerAlert, Fault::Server, Confidence::Moderate),
        (Ending::Alert { .. }, _) => (Code::TlsServerAlert, Fault::Unknown, Confidence::Weak),
        (Ending::NotTls { .. }, _) => (Code::TlsNotTls, Fault::Unknown, Confidence::Strong),
        (Ending::Silent { .. }, _) => (Code::TlsHandshakeTimeout, Fault::Unknown, Confidence::Moderate),
        _ => return None,
    };
    let whose = match (by_path, early) {
        (true, Some(place)) => format!("; it is done {}", place.words()),
        (true, None) => "; the path does it".to_owned(),
        (false, _) if alone => format!("; it is done at {}, or directly in front of it", address.ip()),
        (false, _) => String::new(),
    };
    let summary = format!(
        "Whatever ClientHello is sent to {} ({}) meets {}, whatever name is in it{whose}.",
        address.ip(),
        trial.about,
        ending_in_words(&first.ending)
    );
    let start = cited("hello_fails", own.first().copied()?);
    let mut finding = Finding::new(code, fault, confidence, trial.subject(address), start, summary)
        .with_evidence(own.iter().map(|it| cited("hello_fails", *it)))
        .with_evidence(control.iter().map(|it| cited("other_name_fails", *it)))
        .with_evidence(trial.shaped(Shape::Classic, address).iter().map(|it| cited("smaller_hello_fails", *it)))
        .with_evidence(not_tls.iter().map(|it| cited("no_tls", *it)))
        .with_evidence(neutral.iter().map(|it| cited("elsewhere", *it)));
    if let Some((id, attempt)) = beneath {
        finding.cite(cited("answered_beneath", (id, attempt)));
        finding =
            finding.excluding("the server itself does it", format!("with resets hidden, it answers (probe {})", id.0));
    }
    if let Some(place) = &birthplace {
        finding = place.tell(finding);
        if place.before_server() {
            finding =
                finding.excluding("the server itself does it", "its way is longer than the one to whoever does it");
        }
    }
    if let Some((id, _)) = control {
        finding =
            finding.excluding("the name is filtered", format!("another name fails just the same (probe {})", id.0));
    }
    if trial.shaped(Shape::Classic, address).is_some() {
        finding = finding.excluding("the shape of Go's ClientHello is not tolerated", "a small one fails, too");
    }
    if elsewhere {
        finding = finding.excluding("the network stops every TLS connection", "another server answers the same hello");
    }
    // Another name was tried after the name in question: it may have met what that set off.
    let clean = trial
        .of(|aim| aim.is_plain() && aim.place != Place::Own && aim.part == Part::Target)
        .any(|(_, it)| it.passed() || !it.stopped());
    let refuted = if !by_path && first.ending.is_cut() && !clean {
        finding = finding.not_excluding("the name is filtered, and the block outlasts its trigger");
        Vec::new()
    } else {
        vec![Code::TlsSniReset, Code::TlsSniBlackhole, Code::TlsSniClosed, Code::TlsClienthelloIntolerance]
    };
    if !by_path {
        finding = finding.not_excluding("a device in front of the server");
    }
    let text = if by_path {
        "Show the probes to whoever runs the network: the path ends connections to that address."
    } else {
        "Ask the operator of the server; ask from another network to see whether it is the path."
    };
    Some((finding.with_remedy(text, None).with_reference("RFC 9293 §3.10.7"), refuted))
}
