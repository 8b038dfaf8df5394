//! The name makes the difference: with another, the same hello passes at the same address.

use std::net::SocketAddr;

use super::{Numbered, Trial, cited, sure};
use crate::finding::{Code, Confidence, Fault, Finding};
use crate::observation::probe::{Ending, Part, Place, Shape};

/// Codes that say something else of the same failure.
const OTHERS: &[Code] =
    &[Code::TlsClienthelloIntolerance, Code::NetMtuBlackhole, Code::TlsHandshakeTimeout, Code::NetAddressBlackhole];
const BY_PATH: &[Code] = &[Code::TlsSniReset, Code::TlsSniBlackhole, Code::TlsSniClosed];

/// An address at which the name fails and another passes.
struct Differential<'c> {
    address: SocketAddr,
    place: Place,
    failed: Vec<Numbered<'c>>,
    passed: Numbered<'c>,
}

fn differentials<'c>(trial: &Trial<'c>) -> Vec<Differential<'c>> {
    let mut found: Vec<Differential<'_>> = Vec::new();
    for (_, attempt) in trial.of(|aim| aim.is_plain() && aim.part == Part::Target) {
        let (address, place) = (attempt.aim.address, attempt.aim.place);
        if found.iter().any(|known| known.address == address) {
            continue;
        }
        // At a stranger's server an alert is what a name deserves that it does not serve. What does not even open any more was
        // stopped before, or the address is in question.
        let stops = |(_, attempt): &Numbered<'_>| {
            attempt.stopped() || place != Place::Neutral && matches!(attempt.ending, Ending::Alert { .. })
        };
        let passes = trial.plain(Part::Target, address).any(|(_, attempt)| attempt.passed());
        let failed: Vec<_> = trial.plain(Part::Target, address).filter(stops).collect();
        let passed = trial.plain(Part::Control, address).find(|(_, attempt)| attempt.passed());
        if let Some(passed) = passed.filter(|_| !passes && !failed.is_empty()) {
            found.push(Differential { address, place, failed, passed });
        }
    }
    found.sort_by_key(|differential| differential.place);
    found
}

pub(super) fn conclude(trial: &Trial<'_>) -> Option<(Finding, Vec<Code>)> {
    let differentials = differentials(trial);
    let main = differentials.first()?;
    let (_, failure) = main.failed.first()?;
    let own = trial.of(|aim| aim.is_plain() && aim.part == Part::Target).next()?.1.aim.address;
    let strangers = differentials.iter().find(|it| it.place == Place::Neutral && tolerates(trial, it.address));
    let beneath = trial.answered_beneath();
    let birthplace = trial.birthplace();
    let early = birthplace.as_ref().filter(|place| place.before_server());
    // The far end's TCP acknowledges whatever its TLS thinks of it.
    let swallowed = matches!(failure.ending, Ending::Silent { .. })
        && main.failed.iter().all(|(_, attempt)| attempt.acknowledged == Some(0));
    let by_path = strangers.is_some() || beneath.is_some() || early.is_some() || swallowed;
    let code = match (&failure.ending, by_path) {
        (Ending::Reset { .. }, true) => Code::TlsSniReset,
        (Ending::Closed { .. }, true) => Code::TlsSniClosed,
        (Ending::Reset { .. } | Ending::Closed { .. }, false) => Code::TlsServerReset,
        (Ending::Silent { .. }, true) => Code::TlsSniBlackhole,
        (Ending::Silent { .. }, false) => Code::TlsHandshakeTimeout,
        (Ending::Alert { .. }, true) => Code::TlsAlertInjected,
        (Ending::Alert { .. }, false) => Code::TlsServerAlert,
        (Ending::NotTls { .. }, _) => Code::TlsNotTls,
        _ => return None,
    };
    let alone = birthplace.as_ref().is_some_and(super::Birthplace::at_server);
    let (fault, confidence) = match by_path {
        true => (
            Fault::Interference,
            sure(trial.of(|aim| aim.is_plain() && aim.part == Part::Target).filter(|(_, it)| it.stopped()).count()),
        ),
        false if alone || code == Code::TlsServerAlert => (Fault::Server, Confidence::Strong),
        false => (Fault::Unknown, Confidence::Moderate),
    };
    let other = main.passed.1.aim.name.as_deref().unwrap_or_default();
    let what = ending_in_words(&failure.ending);
    let whose = match (by_path, early) {
        (true, Some(place)) => format!("; it is done {}", place.words()),
        (true, None) => "; the path does it".to_owned(),
        (false, _) if alone => format!("; it is done at {}, or directly in front of it", main.address.ip()),
        (false, _) => String::new(),
    };
    let summary = format!(
        "Of two equal ClientHellos to {}, the one for {} meets {what} and the one for {other} is answered{whose}.",
        main.address.ip(),
        trial.about
    );
    let first = main.failed.first().copied().map(|attempt| cited("hello_fails", attempt))?;
    let mut finding = Finding::new(code, fault, confidence, trial.subject(own), first, summary);
    for differential in &differentials {
        differential.failed.iter().for_each(|attempt| finding.cite(cited("hello_fails", *attempt)));
        finding.cite(cited("other_name_passes", differential.passed));
    }
    finding = finding
        .excluding(
            "the address is blocked, or the server answers nobody",
            format!("{other} is answered at the same address (probe {})", main.passed.0.0),
        )
        .excluding(
            "the shape of Go's ClientHello is not tolerated",
            format!("the hello for {other} differs in nothing but the name (probe {})", main.passed.0.0),
        );
    if let Some(classic) = trial.shaped(Shape::Classic, main.address) {
        finding.cite(cited("smaller_hello", classic));
    }
    if let Some(stranger) = strangers {
        for nobodys in trial.plain(Part::Sibling, stranger.address) {
            finding.cite(cited("nobodys_name", nobodys));
        }
        finding = finding.excluding(
            "the server itself does it",
            format!(
                "{}, which has nothing to do with {}, does the same to that name and no other",
                stranger.address.ip(),
                trial.about
            ),
        );
    }
    if let Some((id, attempt)) = beneath {
        finding.cite(cited("answered_beneath", (id, attempt)));
        finding = finding.excluding(
            "the server itself does it",
            format!("with resets hidden from the connection, it answers (probe {})", id.0),
        );
    }
    if swallowed {
        finding = finding.excluding(
            "the server itself does it",
            "its TCP, which answered the SYN, acknowledges not one byte of the hello",
        );
    }
    if let Some(place) = &birthplace {
        finding = place.tell(finding);
        if place.before_server() {
            finding =
                finding.excluding("the server itself does it", "its way is longer than the one to whoever does it");
        }
    }
    if !by_path {
        finding = finding.not_excluding(if alone {
            "a firewall or balancer directly in front of the server"
        } else {
            "somebody on the path who acts on this name at this address alone"
        });
    }
    let mut refuted = OTHERS.to_vec();
    if by_path {
        refuted.extend([Code::TlsServerReset, Code::TlsServerAlert]);
    } else if alone {
        refuted.extend(BY_PATH);
    }
    Some((remedied(finding, by_path), refuted))
}

/// The server does not do the same to every name that it does not serve.
fn tolerates(trial: &Trial<'_>, address: SocketAddr) -> bool {
    trial.plain(Part::Sibling, address).any(|(_, attempt)| !attempt.stopped() && attempt.ending.connected())
}

fn remedied(finding: Finding, by_path: bool) -> Finding {
    let text = if by_path {
        "Show the probes to whoever runs the network (firewall, filter, provider): the path does it, and it does it because of the name."
    } else {
        "Ask the operator of the server: it answers other names and not this one."
    };
    finding.with_remedy(text, None).with_reference("RFC 6066 §3")
}

pub(super) fn ending_in_words(ending: &Ending) -> String {
    match ending {
        Ending::Reset { .. } => "a reset".to_owned(),
        Ending::Closed { .. } => "a close".to_owned(),
        Ending::Silent { .. } => "silence".to_owned(),
        Ending::Alert { description, .. } => format!("alert {description}"),
        Ending::NotTls { .. } => "an answer that is no TLS".to_owned(),
        other => other.to_string(),
    }
}
