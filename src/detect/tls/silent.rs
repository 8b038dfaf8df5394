//! Handshakes that end in silence. go's words are the same for all of them; the acknowledgements are not.

use super::{
    Attempt, CITED, Case, Code, Confidence, Controls, Evidence, Fate, Finding, Moment, group_subject, is_new_style,
    mirror_remedy, shape_remedy,
};
use crate::detect::subject::called;
use crate::finding::Fault;
use crate::observation::Segment;
use crate::types::FlowId;

/// What the attempts of a group have in common.
enum Silence {
    /// Nothing of the hello was acknowledged.
    Vanished,
    /// The hello's first part was acknowledged, the rest not.
    Cut,
    /// Full-size packets towards the server vanish.
    TooBigOut,
    /// Full-size packets towards the client vanish.
    TooBigIn,
    /// The server has the hello and says nothing.
    Mute,
}

pub(super) fn assess(case: &Case, group: &[&Attempt<'_>], controls: &Controls<'_, '_>) -> Option<Finding> {
    let mut lost: Vec<(FlowId, Segment, &'static str)> = Vec::new();
    let mut proof: Vec<(FlowId, Moment, &'static str, &'static str)> = Vec::new();
    let mut kind = None;
    let mut failed = 0_usize;
    for attempt in group {
        let flow = attempt.connection.flow;
        let this = match &attempt.fate {
            Fate::HelloVanished { segments } => {
                lost.extend(segments.iter().map(|segment| (flow, *segment, "client_hello")));
                Silence::Vanished
            }
            Fate::HelloCut { segments } => {
                lost.extend(segments.iter().map(|segment| (flow, *segment, "client_hello")));
                Silence::Cut
            }
            Fate::HelloTooBig { segments, sack } => {
                lost.extend(segments.iter().map(|segment| (flow, *segment, "client_hello")));
                proof.push((
                    flow,
                    sack.at,
                    "selective_acknowledgement",
                    "the small part arrived, the large one did not",
                ));
                Silence::TooBigOut
            }
            Fate::FlightTooBig { small } => {
                // Its answer to the SYN, its acknowledgements and the short segments: all that did arrive.
                proof.extend(small.iter().map(|segment| match (segment.length, segment.flags.syn()) {
                    (0, true) => (flow, segment.at, "syn_ack", ""),
                    (0, false) => (flow, segment.at, "acknowledgement", "small packets pass"),
                    _ => (flow, segment.at, "tail_of_server_flight", "a small segment after a hole that never closes"),
                }));
                Silence::TooBigIn
            }
            Fate::Silent { hello, acknowledged } => {
                proof.push((flow, *hello, "client_hello", ""));
                proof.extend(
                    acknowledged.iter().map(|ack| (flow, ack.at, "acknowledgement", "the server has the hello")),
                );
                Silence::Mute
            }
            _ => continue,
        };
        failed += 1;
        kind.get_or_insert(this);
    }
    let kind = kind?;
    if controls.same.is_some() {
        // The same hello passed at the same address: it was loss or load, not a rule.
        return None;
    }
    let lost = lost.into_iter().map(|(flow, segment, role)| (flow, segment.at, role, ""));
    let mut evidence = proof
        .into_iter()
        .chain(lost)
        .map(|(flow, at, role, note)| Evidence::segment(role, at, flow, note))
        .take(CITED * 2);
    let first = evidence.next()?;
    let finding = conclude(case, group, controls, &kind, failed, first);
    Some(finding.with_evidence(evidence))
}

fn conclude(
    case: &Case,
    group: &[&Attempt<'_>],
    controls: &Controls<'_, '_>,
    kind: &Silence,
    failed: usize,
    evidence: Evidence,
) -> Finding {
    let subject = group_subject(case, group);
    let host = called(&subject);
    let smaller = controls.smaller.filter(|_| controls.same.is_none());
    let two_segments = group.iter().any(|attempt| attempt.bytes() > 1_400);
    let repeated = failed > 1;
    match kind {
        Silence::Vanished if smaller.is_some() => intolerance(case, group, controls, evidence),
        Silence::Cut if controls.large.is_none() || smaller.is_some() => intolerance(case, group, controls, evidence),
        Silence::Vanished | Silence::Cut => {
            let cut = matches!(kind, Silence::Cut);
            let sure = match (controls.other_name.is_some(), repeated) {
                (true, true) => Confidence::Proven,
                (true, false) => Confidence::Strong,
                (false, true) => Confidence::Moderate,
                (false, false) => Confidence::Weak,
            };
            let summary = if cut {
                format!(
                    "TCP to {host} opens, but the end of its ClientHello and every repetition of it vanish on {failed} connection(s), while hellos as large with other names pass."
                )
            } else {
                format!(
                    "TCP to {host} opens, but its ClientHello and every repetition of it vanish: nothing is acknowledged on {failed} connection(s)."
                )
            };
            let mut finding =
                Finding::new(Code::TlsSniBlackhole, Fault::Interference, sure, subject, evidence, summary);
            if let Some(large) = controls.large {
                finding = finding.excluding(
                    "large ClientHellos do not get through",
                    format!("one of {} bytes passes in frame {}", large.bytes(), large.at().frame.number),
                );
            }
            if two_segments && !cut {
                finding = finding.excluding(
                    "full-size packets vanish (MTU)",
                    "the hello's small last segment is not acknowledged selectively either",
                );
            }
            finding = match controls.other_name {
                Some(other) => finding.excluding(
                    "the address or the server is down",
                    format!(
                        "{} completed at the same address, frame {}",
                        other.host.as_deref().unwrap_or("another name"),
                        other.at().frame.number
                    ),
                ),
                None => finding.not_excluding("the server went silent after the TCP handshake"),
            };
            let same_shape = controls.other_name.is_some_and(|other| {
                group.first().is_some_and(|attempt| attempt.bytes() < other.bytes() + super::SMALLER)
            });
            if group.iter().any(|attempt| is_new_style(attempt)) && !same_shape && controls.large.is_none() {
                finding = finding.not_excluding("large or new-style ClientHello not tolerated");
            }
            let host_name = finding.subject.host.clone();
            let finding = finding
                .with_remedy("Ask whoever runs the network whether it filters by TLS server name.", None)
                .with_reference("RFC 8446 §4.1.2");
            shape_remedy(mirror_remedy(finding, host_name.as_deref()), case)
        }
        Silence::TooBigOut | Silence::TooBigIn => {
            let way = if matches!(kind, Silence::TooBigIn) { "from" } else { "to" };
            let summary = format!(
                "Full-size packets {way} {host} vanish without a word while small ones pass: the path's MTU is smaller than it tells (path MTU black hole)."
            );
            let sure = if repeated { Confidence::Strong } else { Confidence::Moderate };
            Finding::new(Code::NetMtuBlackhole, Fault::Network, sure, subject, evidence, summary)
                .excluding("the name is filtered", "the hello was acknowledged and parts of the answer arrive")
                .not_excluding("random loss that happened to hit the large packets")
                .with_remedy(
                    "Lower the MTU of the interface (VPN, overlay, docker) or clamp the MSS on the router, and let ICMP \"packet too big\" pass.",
                    Some("ip link set dev eth0 mtu 1400"),
                )
                .with_reference("RFC 2923 §2.1")
                .with_reference("RFC 4821")
        }
        Silence::Mute => {
            let in_tunnel = group.iter().any(|attempt| attempt.in_tunnel());
            let summary = if in_tunnel {
                format!("The proxy takes the ClientHello for {host}, and nothing comes back through its tunnel.")
            } else {
                format!("{host} acknowledges the ClientHello and then says nothing.")
            };
            let mut finding = Finding::new(
                Code::TlsHandshakeTimeout,
                Fault::Unknown,
                Confidence::Moderate,
                subject,
                evidence,
                summary,
            )
            .not_excluding("a middlebox that terminates TCP and waits")
            .not_excluding("the server is overloaded or hangs")
            .with_remedy(
                "Ask the operator of the server; ask from another network to see whether it is the path.",
                None,
            );
            let how = "it was acknowledged to its last byte";
            finding = if in_tunnel {
                finding
                    .excluding("the hello is dropped before the proxy", how)
                    .not_excluding("the hello, or the answer to it, is dropped behind the proxy")
            } else {
                finding.excluding("the hello is dropped on the path", how)
            };
            if two_segments {
                finding = finding.not_excluding("all of the server's answer is full-size and vanishes (MTU)");
            }
            finding
        }
    }
}

/// Only the large hello fails, or its second segment is what vanishes.
fn intolerance(case: &Case, group: &[&Attempt<'_>], controls: &Controls<'_, '_>, evidence: Evidence) -> Finding {
    let subject = group_subject(case, group);
    let host = called(&subject);
    let cut = group.iter().any(|attempt| matches!(attempt.fate, Fate::HelloCut { .. }));
    let what = if cut {
        "only the first segment of its large ClientHello is ever acknowledged"
    } else {
        "its large ClientHello vanishes"
    };
    let then = if controls.smaller.is_some() { ", while a smaller one passes" } else { "" };
    let summary = format!("TCP to {host} opens, but {what}{then}.");
    let sure = match (cut, controls.smaller.is_some()) {
        (true, true) => Confidence::Proven,
        (false, true) => Confidence::Strong,
        // A filter that wants the whole hello before it looks for the name leaves the same traces.
        (true, false) => Confidence::Moderate,
        (false, false) => Confidence::Weak,
    };
    let mut finding =
        Finding::new(Code::TlsClienthelloIntolerance, Fault::Interference, sure, subject, evidence, summary);
    if let Some(small) = controls.smaller {
        let note = format!("{} bytes", small.bytes());
        finding.cite(Evidence::segment("smaller_hello_passes", small.at(), small.connection.flow, note));
        finding = finding
            .excluding("the name is filtered", format!("the same name passes in frame {}", small.at().frame.number));
    } else {
        finding = finding.not_excluding("a filter that reassembles the hello and drops its end");
    }
    finding = finding
        .with_remedy(
            "Have the device on the path updated: TLS 1.3 hellos with post-quantum key shares take two segments, and it must not drop the second.",
            None,
        )
        .with_reference("RFC 8446 §4.2.8");
    shape_remedy(finding, case)
}
