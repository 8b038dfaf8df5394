//! The recording's own limits: what it cannot show, said once and plainly.

use super::Detector;
use crate::finding::{Assessment, Citation, Code, Confidence, Evidence, Fault, Finding, Subject};
use crate::observation::{Case, Relevance};
use crate::reference::Reference;
use crate::types::Moment;

pub(super) const DETECTOR: Detector = Detector {
    codes: &[
        Code::CaptureTruncated,
        Code::CaptureLossy,
        Code::CaptureDuplicated,
        Code::CaptureMidstream,
        Code::CaptureOneSided,
        Code::CaptureDamaged,
    ],
    assess,
};

fn assess(case: &Case, _: &Reference) -> Assessment {
    let health = &case.health;
    let mut found = Vec::new();
    let mut limit = |code: Code, places: &[Moment], summary: String, remedy: &str| {
        let mut evidence = places.iter().map(|at| Evidence::frame("limit", *at, ""));
        let first = evidence.next().unwrap_or_else(|| Evidence {
            role: "recording",
            citation: Citation::Path(case.recording.paths.first().cloned().unwrap_or_default()),
            note: String::new(),
        });
        found.push(
            Finding::new(code, Fault::Harmless, Confidence::Proven, Subject::default(), first, summary)
                .with_evidence(evidence)
                .with_remedy(remedy, None),
        );
    };
    if !health.cut_messages.is_empty() {
        let summary =
            format!("{} frames are cut by the snap length, some inside of messages that matter.", health.cut_frames);
        limit(Code::CaptureTruncated, &health.cut_messages, summary, "Record whole packets (tcpdump -s 0).");
    }
    if health.lost > 0 || case.recording.dropped > 0 {
        let summary = format!(
            "{} times data were acknowledged that the recording does not hold; the recorder counted {} drops.",
            health.lost, case.recording.dropped
        );
        limit(
            Code::CaptureLossy,
            &health.losses,
            summary,
            "Record with a larger buffer (tcpdump -B 65536) or a narrower filter.",
        );
    }
    if health.duplicates > 0 {
        let summary = format!("{} packets were recorded twice; the copies were left out.", health.duplicates);
        let places: Vec<Moment> = health.first_duplicate.into_iter().collect();
        limit(Code::CaptureDuplicated, &places, summary, "Record on one interface.");
    }
    // A connection of somebody else that is older than the recording limits nothing.
    let midstream: Vec<Moment> = health
        .midstream
        .iter()
        .copied()
        .filter(|at| {
            case.connections.iter().any(|connection| connection.first == *at && connection.relevance > Relevance::Other)
        })
        .collect();
    if !midstream.is_empty() {
        let summary = "Connections were already open when the recording began.".to_owned();
        limit(Code::CaptureMidstream, &midstream, summary, "Start recording before the command.");
    }
    if health.one_sided.len() as u64 > health.two_sided {
        let summary = "Of most connections only one direction was recorded.".to_owned();
        limit(
            Code::CaptureOneSided,
            &health.one_sided,
            summary,
            "Record where both directions pass, best at the client.",
        );
    }
    if health.damaged > 0 || health.unread.malformed > 0 {
        let what = health.damage.first().map(|damage| format!(" ({damage})")).unwrap_or_default();
        let summary = format!(
            "{} blocks of the recording cannot be read{what}, and {} packets contradict themselves; all others were used.",
            health.damaged, health.unread.malformed
        );
        limit(Code::CaptureDamaged, &[], summary, "Copy the recording again, or record again.");
    }
    Assessment { found, not_assessed: Vec::new() }
}

#[cfg(test)]
mod tests;
