//! Handshakes that something answered with a reset, a close, an alert or plain text.

use super::{
    Attempt, CITED, Case, Code, Confidence, Controls, Evidence, Fate, Finding, Marks, confidence, group_subject,
    is_new_style, is_proxy, mirror_remedy, segment_at, shape_remedy, strongest,
};
use crate::detect::subject::called;
use crate::finding::{Detail, Fault, Severity};
use crate::observation::{Segment, TtlMark, alert_name};
use crate::reference::Reference;
use crate::types::{Direction, Span};

/// On shorter ways what a device takes to answer is as long as the way, and its place cannot be told by its time.
const TELLING_RTT: Span = Span::from_millis(8);
/// Alerts by which a TLS server says that it does not know the name (RFC 6066 §3, RFC 8446 §6.2).
const UNRECOGNIZED_NAME: u8 = 112;

pub(super) fn assess(
    case: &Case,
    group: &[&Attempt<'_>],
    controls: &Controls<'_, '_>,
    reference: &Reference,
) -> Option<Finding> {
    let resets: Vec<_> = group
        .iter()
        .filter_map(|attempt| match &attempt.fate {
            Fate::Reset { resets } | Fate::Interrupted { resets } if !resets.is_empty() => {
                Some((*attempt, resets.as_slice()))
            }
            _ => None,
        })
        .collect();
    if !resets.is_empty() {
        return reset(case, group, controls, &resets);
    }
    for attempt in group {
        let finding = match &attempt.fate {
            Fate::Closed { fin, .. } => Some(closed(case, group, controls, fin)),
            Fate::Alert { .. } => Some(alert(case, group, controls, reference)),
            Fate::NotTls { .. } if !is_proxy(case, attempt.connection) => Some(not_tls(case, group, reference)),
            _ => None,
        };
        if finding.is_some() {
            return finding;
        }
    }
    ignored(case, group)
}

fn reset(
    case: &Case,
    group: &[&Attempt<'_>],
    controls: &Controls<'_, '_>,
    resets: &[(&Attempt<'_>, &[(Segment, Marks)])],
) -> Option<Finding> {
    let subject = group_subject(case, group);
    let host = called(&subject);
    let marks = strongest(resets.iter().flat_map(|(_, resets)| resets.iter().map(|(_, marks)| marks)));
    let forged = marks.any();
    // Who forges a reset did not see a hello that runs in TLS to a proxy: that is the connection's matter.
    if forged && !resets.iter().any(|(attempt, _)| attempt.is_visible()) {
        return None;
    }
    let in_tunnel = resets.iter().any(|(attempt, _)| attempt.in_tunnel());
    // Another TTL alone, after a full round trip, may be a firewall in front of the server.
    let ttl_alone = marks.classes() == 1 && marks.ttl.is_some();
    let at_leisure = ttl_alone && resets.iter().all(|(attempt, resets)| after_round_trip(case, attempt, resets));
    // As far away as the server, and as slow: what stands in front of it, with another system's initial TTL.
    // It keeps the hello to itself, whatever the name.
    let in_front = at_leisure
        && marks.ttl.is_some_and(TtlMark::as_far)
        && controls.other_name.is_none()
        && !resets.iter().any(|(attempt, resets)| server_spoke(attempt, resets));
    let forged = forged && !in_front;
    let (code, fault, sure, summary) = if controls.smaller.is_some() && controls.same.is_none() {
        let sure = if forged { Confidence::Strong } else { Confidence::Moderate };
        let summary = format!("Connections to {host} are reset when the ClientHello is large; a smaller one passes.");
        (Code::TlsClienthelloIntolerance, Fault::Interference, sure, summary)
    } else if forged {
        let connections = if at_leisure { 1 } else { resets.len() };
        let sure = confidence(case, &marks, connections, controls.other_name.is_some());
        let summary = format!("Resets that {host} did not send follow its ClientHello: {}.", marks.words());
        (Code::TlsSniReset, Fault::Interference, sure, summary)
    } else if in_front {
        let summary = format!(
            "What stands in front of {host} resets the connection at the ClientHello: after a full round trip, and from as far away as the server ({}).",
            marks.words()
        );
        (Code::TlsServerReset, Fault::Server, Confidence::Weak, summary)
    } else {
        let summary = if in_tunnel {
            format!("The proxy resets the tunnel to {host} at the ClientHello; what it met behind cannot be seen.")
        } else {
            format!("{host} resets the connection at the ClientHello; nothing about the reset points at anybody else.")
        };
        let fault = if in_tunnel || marks.blind { Fault::Unknown } else { Fault::Server };
        let sure = if marks.blind { Confidence::Weak } else { Confidence::Moderate };
        (Code::TlsServerReset, fault, sure, summary)
    };
    let first =
        resets.first().and_then(|(attempt, resets)| resets.first().map(|(segment, marks)| (attempt, segment, marks)));
    let role = if forged { "forged_reset" } else { "reset" };
    let evidence = |attempt: &Attempt<'_>, segment: &Segment, marks: &Marks| {
        Evidence::segment(role, segment.at, attempt.connection.flow, marks.words())
    };
    let start = first.map(|(attempt, segment, marks)| evidence(attempt, segment, marks))?;
    let mut finding = Finding::new(code, fault, sure, subject, start, summary);
    for (attempt, resets) in resets.iter().take(CITED) {
        attempt.cite_hello(&mut finding);
        resets.iter().take(8).for_each(|(segment, marks)| finding.cite(evidence(attempt, segment, marks)));
        if let Some(at) = resets.iter().find_map(|(_, marks)| marks.sender_went_on) {
            finding.cite(Evidence::segment("server_goes_on", at, attempt.connection.flow, ""));
        }
        if forged {
            attempt.cite_unanswered(&mut finding);
        }
    }
    if let Some(usual) = marks.ttl {
        finding = finding.with_number("reset_ttl", usual.seen.into()).with_number("server_ttl", usual.usual.into());
    }
    if let Some(early) = marks.early {
        finding =
            finding.with_number("reset_after_ns", early.after.nanos()).with_number("round_trip_ns", early.rtt.nanos());
    }
    if in_front {
        finding = finding.not_excluding("a filter on the path that is as far away as the server");
    } else if at_leisure {
        finding = finding.not_excluding("a firewall or balancer directly in front of the server");
    }
    if resets.iter().any(|(attempt, _)| attempt.passed()) && forged {
        finding = finding.not_excluding("the server's certificate, not the name, sets it off");
    }
    finding = finding.with_number("connections", i64::try_from(resets.len()).unwrap_or(i64::MAX));
    if in_tunnel {
        finding.details.insert("tunnel", Detail::Flag(true));
    }
    Some(shape(case, finish(finding, &marks), controls, group))
}

/// Names the alternatives that marks and controls exclude or leave open.
fn finish(mut finding: Finding, marks: &Marks) -> Finding {
    if marks.any() && finding.code != Code::TlsServerReset {
        finding = finding.excluding("the server itself does it", marks.words());
    } else if finding.code == Code::TlsServerReset && !marks.any() {
        finding = finding.not_excluding("a device close to the server that copies its TTL");
    }
    finding.with_reference("RFC 9293 §3.10.7").with_reference("RFC 8446 §4.1.2")
}

fn shape(case: &Case, mut finding: Finding, controls: &Controls<'_, '_>, group: &[&Attempt<'_>]) -> Finding {
    let host = finding.subject.host.clone();
    if let Some(other) = controls.other_name {
        let how = format!(
            "{} completed at the same address, frame {}",
            other.host.as_deref().unwrap_or("another name"),
            other.at().frame.number
        );
        finding = finding.excluding("the address is blocked, or the server answers nobody", how.clone());
        let same_shape = group.first().is_some_and(|attempt| attempt.bytes() < other.bytes() + super::SMALLER);
        finding = if same_shape {
            finding.excluding("the shape of Go's ClientHello is not tolerated", how)
        } else {
            finding.not_excluding("large ClientHello not tolerated")
        };
    } else if finding.code == Code::TlsClienthelloIntolerance {
        if let Some(small) = controls.smaller {
            finding.cite(Evidence::segment(
                "smaller_hello_passes",
                small.at(),
                small.connection.flow,
                format!("{} bytes", small.bytes()),
            ));
            finding = finding
                .excluding("the name is blocked", format!("the same name passes in frame {}", small.at().frame.number));
        }
    } else {
        if group.iter().any(|attempt| is_new_style(attempt)) {
            finding = finding.not_excluding("large or new-style ClientHello not tolerated");
        }
        finding = finding.not_excluding("every TLS connection to this address meets the same");
    }
    finding = match finding.fault {
        Fault::Interference | Fault::Network => mirror_remedy(
            finding.with_remedy(
                "Show this to whoever runs the network (firewall, filter, provider): the frames prove that the path does it, not the server.",
                None,
            ),
            host.as_deref(),
        ),
        _ => finding.with_remedy(
            "Ask the operator of the server, with the frames: its own answer to the ClientHello is the failure.",
            None,
        ),
    };
    shape_remedy(finding, case)
}

/// Whether every reset came no sooner than a server's own answer would.
fn after_round_trip(case: &Case, attempt: &Attempt<'_>, resets: &[(Segment, Marks)]) -> bool {
    let Some(rtt) = case.shortest_rtt(attempt.connection).filter(|rtt| *rtt >= TELLING_RTT) else { return false };
    resets.iter().all(|(segment, _)| {
        segment.at.time.since(attempt.at().time).nanos().saturating_mul(10) >= rtt.nanos().saturating_mul(9)
    })
}

/// Whether something else than a reset came between the hello and its resets.
fn server_spoke(attempt: &Attempt<'_>, resets: &[(Segment, Marks)]) -> bool {
    let last = resets.last().map(|(segment, _)| segment.at);
    attempt
        .connection
        .segments
        .towards(Direction::ToClient)
        .any(|segment| !segment.flags.rst() && segment.at > attempt.at() && last.is_some_and(|last| segment.at < last))
}

fn closed(case: &Case, group: &[&Attempt<'_>], controls: &Controls<'_, '_>, fin: &Segment) -> Finding {
    let subject = group_subject(case, group);
    let host = called(&subject);
    let closes: Vec<(&Attempt<'_>, &Segment, &Marks)> = group
        .iter()
        .filter_map(|attempt| match &attempt.fate {
            Fate::Closed { fin, marks } => Some((*attempt, fin, marks)),
            _ => None,
        })
        .collect();
    let visible = closes.iter().any(|(attempt, ..)| attempt.is_visible());
    let marks = if visible { strongest(closes.iter().map(|(_, _, marks)| *marks)) } else { Marks::default() };
    let flow = closes.first().map(|(attempt, ..)| attempt.connection.flow).unwrap_or(crate::types::FlowId(0));
    let (code, fault, sure, role, summary) = if marks.any() {
        (
            Code::TlsSniClosed,
            Fault::Interference,
            confidence(case, &marks, closes.len(), controls.other_name.is_some()),
            "forged_close",
            format!("A close that {host} did not send follows its ClientHello: {}.", marks.words()),
        )
    } else {
        let (fault, summary) = if closes.iter().any(|(attempt, ..)| attempt.in_tunnel()) {
            let summary = "The proxy closes the tunnel to HOST at the ClientHello; what it met behind cannot be seen.";
            (Fault::Unknown, summary)
        } else {
            let summary =
                "HOST closes the connection at the ClientHello; nothing about the close points at anybody else.";
            (if marks.blind { Fault::Unknown } else { Fault::Server }, summary)
        };
        let sure = if marks.blind { Confidence::Weak } else { Confidence::Moderate };
        (Code::TlsServerReset, fault, sure, "close", summary.replace("HOST", &host))
    };
    let mut finding =
        Finding::new(code, fault, sure, subject, Evidence::segment(role, fin.at, flow, marks.words()), summary);
    if closes.iter().any(|(attempt, ..)| attempt.in_tunnel()) {
        finding.details.insert("tunnel", Detail::Flag(true));
    }
    for (attempt, fin, marks) in closes.into_iter().take(CITED) {
        attempt.cite_hello(&mut finding);
        finding.cite(Evidence::segment(role, fin.at, attempt.connection.flow, marks.words()));
        if code == Code::TlsSniClosed {
            attempt.cite_resets(&mut finding);
            attempt.cite_unanswered(&mut finding);
        }
    }
    shape(case, finish(finding, &marks), controls, group)
}

fn alert(case: &Case, group: &[&Attempt<'_>], controls: &Controls<'_, '_>, reference: &Reference) -> Finding {
    let subject = group_subject(case, group);
    let host = called(&subject);
    let alerts: Vec<_> = group
        .iter()
        .filter_map(|attempt| match &attempt.fate {
            Fate::Alert { alert, marks, segment } => Some((*attempt, *alert, marks, *segment)),
            _ => None,
        })
        .collect();
    let before_hello =
        alerts.iter().all(|(attempt, ..)| attempt.handshake.server_hello.is_none() && attempt.is_visible());
    let marks = if before_hello { strongest(alerts.iter().map(|(_, _, marks, _)| *marks)) } else { Marks::default() };
    let description = alerts.first().and_then(|(_, alert, ..)| alert.content).map_or(0, |content| content.description);
    let what = format!("alert {description} ({})", alert_name(description));
    let (code, fault, sure, role, summary) = if marks.any() {
        let sure = confidence(case, &marks, alerts.len(), controls.other_name.is_some());
        let summary = format!("A TLS {what} that {host} did not send answers its ClientHello: {}.", marks.words());
        (Code::TlsAlertInjected, Fault::Interference, sure, "forged_alert", summary)
    } else {
        let seen_ttl = alerts.first().is_some_and(|(.., segment)| segment.is_some()) && !marks.blind;
        let (fault, sure) = match (seen_ttl, marks.blind) {
            (true, _) => (Fault::Server, Confidence::Strong),
            (false, false) => (Fault::Server, Confidence::Moderate),
            (false, true) => (Fault::Unknown, Confidence::Weak),
        };
        let summary = format!("{host} itself refuses the handshake with {what}.");
        (Code::TlsServerAlert, fault, sure, "alert", summary)
    };
    let Some((attempt, first, ..)) = alerts.first() else {
        return not_tls(case, group, reference);
    };
    let evidence = Evidence::segment(role, first.at, attempt.connection.flow, marks.words());
    let mut finding = Finding::new(code, fault, sure, subject, evidence, summary)
        .with_number("alert", description.into())
        .with_class(format!("alert {description}"));
    for (attempt, alert, marks, _) in alerts.iter().take(CITED) {
        attempt.cite_hello(&mut finding);
        finding.cite(Evidence::segment(role, alert.at, attempt.connection.flow, marks.words()));
        if code == Code::TlsAlertInjected
            && let Some(fin) = attempt.connection.fin.to_client
            && segment_at(attempt.connection, fin).is_some()
        {
            finding.cite(Evidence::segment("forged_close", fin, attempt.connection.flow, ""));
        }
        if code == Code::TlsAlertInjected {
            attempt.cite_resets(&mut finding);
            attempt.cite_unanswered(&mut finding);
        }
    }
    if code == Code::TlsServerAlert {
        finding = if marks.blind {
            finding.not_excluding("an alert forged on the path: the server's own IP TTL or round trip is not known")
        } else {
            finding
                .excluding(
                    "an alert forged on the path",
                    "it comes after a full round trip with the server's own IP TTL",
                )
                .not_excluding("a device in front of the server that speaks with its TTL")
        };
        if description == UNRECOGNIZED_NAME {
            finding = finding.with_remedy(
                format!("The server does not serve {host}: check the name in GOPROXY or the module path, or ask the server's operator for a certificate for it."),
                None,
            );
        }
    }
    finish(finding, &marks)
        .with_remedy(
            if code == Code::TlsServerAlert {
                "Ask the operator of the server what it refuses."
            } else {
                "Show the frames to whoever runs the network: the path answers in the server's name."
            },
            None,
        )
        .with_reference("RFC 8446 §6")
}

fn not_tls(case: &Case, group: &[&Attempt<'_>], reference: &Reference) -> Finding {
    let subject = group_subject(case, group);
    let host = called(&subject);
    let answers: Vec<_> = group
        .iter()
        .filter_map(|attempt| match &attempt.fate {
            Fate::NotTls { at, marks } => Some((*attempt, *at, marks)),
            _ => None,
        })
        .collect();
    let marks = strongest(answers.iter().map(|(_, _, marks)| *marks));
    let head = answers.first().and_then(|(attempt, ..)| attempt.handshake.not_tls.as_ref());
    let line = head.map(|not_tls| first_line(&not_tls.head)).unwrap_or_default();
    let sure = confidence(case, &marks, answers.len(), false).max(Confidence::Strong);
    // What is not TLS at all is proven to be none; who sent it is another question.
    let forged = marks.any();
    // A big operator's public service speaks TLS on that port and nothing else.
    let public = group_subject(case, group).host.is_some_and(|host| reference.host(&host).is_some());
    let fault = if forged || public || looks_like_a_page(head.map_or(&[], |not_tls| &not_tls.head)) {
        Fault::Interference
    } else {
        Fault::Server
    };
    let by_whom = if forged {
        format!("somebody on the path ({})", marks.words())
    } else {
        "something at that address".to_owned()
    };
    let summary = format!("To the ClientHello for {host}, {by_whom} answers in plain text: \"{line}\".");
    let (flow, at) = answers.first().map_or(
        (crate::types::FlowId(0), group.first().map_or(case_start(case), |attempt| attempt.at())),
        |(attempt, at, _)| (attempt.connection.flow, *at),
    );
    let evidence = Evidence::segment("plain_text", at, flow, line.clone());
    let mut finding =
        Finding::new(Code::TlsNotTls, fault, sure, subject, evidence, summary).with_text("first_line", line);
    for (attempt, at, marks) in answers.into_iter().take(CITED) {
        attempt.cite_hello(&mut finding);
        finding.cite(Evidence::segment("plain_text", at, attempt.connection.flow, marks.words()));
        if let Some(fin) = attempt.connection.fin.to_client {
            finding.cite(Evidence::segment("close", fin, attempt.connection.flow, ""));
        }
        if forged {
            attempt.cite_resets(&mut finding);
            attempt.cite_unanswered(&mut finding);
        }
    }
    if !forged {
        finding = finding.not_excluding("the server speaks plain HTTP on that port");
    }
    finish(finding, &marks)
        .with_remedy(
            "Open the address in plain HTTP to see whose page it is, and ask its owner; no setting of go can mend it.",
            None,
        )
        .with_reference("RFC 8446 §5.1")
}

const fn case_start(case: &Case) -> crate::types::Moment {
    let time = match case.recording.first {
        Some(time) => time,
        None => crate::types::Timestamp::from_nanos(0),
    };
    crate::types::Moment { time, frame: crate::types::FrameNo { file: 0, number: 1 } }
}

/// A forged reset that nobody took: the handshake went on.
fn ignored(case: &Case, group: &[&Attempt<'_>]) -> Option<Finding> {
    let ignored: Vec<_> = group
        .iter()
        .filter(|attempt| attempt.is_visible())
        .filter_map(|attempt| match &attempt.fate {
            Fate::Completed { ignored } if !ignored.is_empty() => Some((*attempt, ignored)),
            _ => None,
        })
        .collect();
    let (attempt, first) = ignored.first().and_then(|(attempt, resets)| Some((*attempt, resets.first()?)))?;
    let marks = strongest(ignored.iter().flat_map(|(_, resets)| resets.iter().map(|(_, marks)| marks)));
    let subject = group_subject(case, group);
    let summary = format!(
        "Resets that {} did not send follow its ClientHello ({}); they had no effect, because their sequence numbers do not fit.",
        called(&subject),
        marks.words()
    );
    let sure = confidence(case, &marks, ignored.len(), false);
    let evidence = Evidence::segment("forged_reset", first.0.at, attempt.connection.flow, first.1.words());
    let mut finding = Finding::new(Code::TlsSniReset, Fault::Interference, sure, subject, evidence, summary)
        .with_severity(Severity::Medium);
    for (attempt, resets) in ignored {
        attempt.cite_hello(&mut finding);
        for (segment, marks) in resets.iter().take(4) {
            finding.cite(Evidence::segment("forged_reset", segment.at, attempt.connection.flow, marks.words()));
        }
    }
    Some(finish(finding, &marks).not_excluding("the name plays no part in it"))
}

/// The first line of what came instead of TLS, fit for display.
fn first_line(head: &[u8]) -> String {
    let text = String::from_utf8_lossy(head);
    text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(80).collect()
}

/// HTTP or HTML: what filters answer with.
fn looks_like_a_page(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let refused = ["http/1.0 4", "http/1.1 4", "http/1.0 3", "http/1.1 3", "http/1.0 200", "http/1.1 200"];
    // "400 Bad Request" is how an ordinary web server answers TLS on its plain port.
    let ordinary = text.starts_with("http/1.1 400") || text.starts_with("http/1.0 400");
    !ordinary && (refused.iter().any(|start| text.starts_with(start)) || text.contains("<html"))
}
