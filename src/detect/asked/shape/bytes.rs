//! The bytes make the difference: the same name passes with other ones, or with the same ones in smaller packets.

use super::name::ending_in_words;
use super::{Numbered, Trial, cited, sure};
use crate::finding::{Code, Confidence, Evidence, Fault, Finding};
use crate::observation::probe::{Ending, HelloAttempt, Part, Shape};

/// What the name is accused of elsewhere.
const BY_NAME: &[Code] = &[
    Code::TlsSniReset,
    Code::TlsSniBlackhole,
    Code::TlsSniClosed,
    Code::TlsServerReset,
    Code::TlsHandshakeTimeout,
    Code::NetMtuBlackhole,
    Code::TlsClienthelloIntolerance,
];

pub(super) fn conclude(trial: &Trial<'_>, first: &HelloAttempt) -> Option<(Finding, Vec<Code>)> {
    let address = first.aim.address;
    let failed: Vec<_> = trial.plain(Part::Target, address).collect();
    if failed.iter().any(|(_, attempt)| attempt.passed()) {
        // It comes and goes: no property of the bytes.
        return None;
    }
    let passes = |attempt: Option<Numbered<'_>>| attempt.is_some_and(|(_, attempt)| attempt.passed());
    let silent = matches!(first.ending, Ending::Silent { .. });
    let small = trial.in_small_segments(address);
    let finding = if silent && passes(small) {
        mtu(trial, first, &failed, small?)
    } else if passes(trial.shaped(Shape::Classic, address)) {
        intolerance(trial, first, &failed)
    } else {
        return None;
    }?;
    Some((finding, BY_NAME.to_vec()))
}

/// The same bytes pass in small segments.
fn mtu(trial: &Trial<'_>, first: &HelloAttempt, failed: &[Numbered<'_>], small: Numbered<'_>) -> Option<Finding> {
    let way = if first.all_acknowledged() { "from" } else { "to" };
    let summary = format!(
        "Full-size packets {way} {} vanish without a word: go's ClientHello for {} gets no answer, and in segments of {} bytes it does.",
        first.aim.address.ip(),
        trial.about,
        small.1.aim.max_segment.unwrap_or_default()
    );
    let mut finding = begin(Code::NetMtuBlackhole, Fault::Network, trial, failed, summary)?;
    finding.cite(cited("small_segments_pass", small));
    Some(
        finding
            .excluding("the name is filtered", format!("the same name passes (probe {})", small.0.0))
            .excluding("the shape of Go's ClientHello is not tolerated", "the same bytes pass in smaller packets")
            .excluding("random loss", "each of the failing hellos was repeated several times")
            .with_remedy(
                "Lower the MTU of the interface (VPN, overlay, docker) or clamp the MSS on the router, and let ICMP \"packet too big\" pass.",
                Some("ip link set dev eth0 mtu 1400"),
            )
            .with_reference("RFC 2923 §2.1"),
    )
}

/// Another hello passes with the same name.
fn intolerance(trial: &Trial<'_>, first: &HelloAttempt, failed: &[Numbered<'_>]) -> Option<Finding> {
    let address = first.aim.address;
    let (mut passing, mut failing) = (Vec::new(), Vec::new());
    for shape in [Shape::Classic, Shape::WithoutPostQuantum, Shape::WithoutMlDsa, Shape::TwoRecords, Shape::TwoSegments]
    {
        match trial.shaped(shape, address) {
            Some(attempt) if attempt.1.passed() => passing.push(attempt),
            Some(attempt) => failing.push(attempt),
            None => {}
        }
    }
    let has = |list: &[Numbered<'_>], shape| list.iter().any(|(_, attempt)| attempt.aim.shape == shape);
    let (what, class) = if has(&passing, Shape::WithoutMlDsa) && !has(&passing, Shape::WithoutPostQuantum) {
        ("its ML-DSA signature algorithms", "ML-DSA")
    } else if has(&passing, Shape::WithoutPostQuantum) && !has(&passing, Shape::WithoutMlDsa) {
        ("its post-quantum key share, or the size that this gives it", "post-quantum key share")
    } else if has(&passing, Shape::WithoutPostQuantum) {
        ("its size", "size")
    } else {
        ("what is new in it, not one thing alone", "new-style hello")
    };
    let neutral = trial.neutral();
    let everywhere = neutral.is_some_and(|(_, attempt)| attempt.stopped());
    let summary = format!(
        "Go's ClientHello for {} meets {} at {} because of {what}: with the same name, {} passes.",
        trial.about,
        ending_in_words(&first.ending),
        address.ip(),
        passing.first().map_or_else(String::new, |(_, attempt)| attempt.aim.shape.to_string())
    );
    let fault = if neutral.is_some_and(|(_, attempt)| attempt.passed()) { Fault::Server } else { Fault::Interference };
    let mut finding = begin(Code::TlsClienthelloIntolerance, fault, trial, failed, summary)?.with_class(class);
    passing.iter().for_each(|attempt| finding.cite(cited("other_shape_passes", *attempt)));
    failing.iter().for_each(|attempt| finding.cite(cited("other_shape_fails", *attempt)));
    if let Some(small) = trial.in_small_segments(address) {
        finding.cite(cited("small_segments", small));
        finding = if small.1.passed() {
            finding.excluding("the hello as such", "the same bytes pass in smaller packets")
        } else {
            finding.excluding("full-size packets vanish (MTU)", "in small segments it fails, too")
        };
    }
    if let Some((id, _)) = passing.first() {
        finding = finding.excluding("the name is blocked", format!("the same name passes (probe {})", id.0));
    }
    if let Some(neutral) = neutral {
        finding.cite(cited("elsewhere", neutral));
        let how = format!("probe {}", neutral.0.0);
        finding = if everywhere {
            finding.excluding("the server does not tolerate it", format!("a stranger's server meets the same ({how})"))
        } else {
            finding
                .excluding("the network does not tolerate it anywhere", format!("it passes to another server ({how})"))
        };
    }
    let text = if everywhere {
        "Have the device on the path updated: it must let hellos of two segments and with unknown codepoints through."
    } else {
        "Have the server, or the device in front of it, updated: it must take hellos of two segments and with unknown codepoints."
    };
    Some(finding.with_remedy(text, None).with_reference("RFC 8446 §4.1.2").with_reference("RFC 8446 §9.3"))
}

fn begin(code: Code, fault: Fault, trial: &Trial<'_>, failed: &[Numbered<'_>], summary: String) -> Option<Finding> {
    let (_, first) = failed.first()?;
    let evidence: Vec<Evidence> = failed.iter().map(|attempt| cited("hello_fails", *attempt)).collect();
    let confidence: Confidence = sure(failed.len());
    let start = evidence.first()?.clone();
    let finding = Finding::new(code, fault, confidence, trial.subject(first.aim.address), start, summary);
    Some(finding.with_evidence(evidence))
}
