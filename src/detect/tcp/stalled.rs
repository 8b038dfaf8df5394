//! Transfers that stop for good without a close, which is how filters freeze connections.

use super::{CITED, best_name, called, never_acknowledged, subject};
use crate::finding::{Code, Confidence, Evidence, Fault, Finding};
use crate::observation::{Case, Connection, End, Opening, Outcome, SegmentKind};
use crate::packet::TcpFlags;
use crate::types::{Direction, Moment, Span, Timestamp};

/// A transfer that has not moved for so long does not come back: go itself waits for ever.
const STALLED: Span = Span::from_seconds(10);
/// A segment this long is as long as the path takes them.
const FULL_SIZE: u32 = 1_200;
/// Evidence cited of what went before.
const CITED_BEFORE: usize = 16;

/// A transfer that stops for good without a close, after the handshake.
pub(super) fn assess(case: &Case, group: &[&Connection]) -> Option<Finding> {
    let end = case.recording.until()?;
    let stalled: Vec<(&Connection, Stall)> = group
        .iter()
        .filter(|connection| matches!(connection.opening, Opening::Established { .. }))
        .filter(|connection| {
            case.handshakes_in(connection.flow)
                .all(|handshake| handshake.layer > 0 || handshake.outcome == Outcome::Completed)
        })
        .filter_map(|connection| Some((*connection, stall(case, connection, end)?)))
        .collect();
    let (connection, stall) = stalled.first()?;
    let since = stall.since;
    let subject = subject(best_name(connection), connection);
    let summary = format!(
        "The transfer from {} stops after {} bytes and never goes on: {}.",
        called(&subject),
        connection.bytes.to_client,
        stall.how
    );
    let at_work = case.connections.iter().any(|other| {
        other.flow != connection.flow
            && other.client.ip() == connection.client.ip()
            && other.segments.towards(Direction::ToClient).any(|segment| segment.at > since && segment.length > 0)
    });
    let mut finding = Finding::new(
        Code::TcpStalled,
        Fault::Interference,
        Confidence::from_classes(stall.classes + usize::from(stalled.len() > 1) + usize::from(at_work))
            .min(Confidence::Strong),
        subject,
        Evidence::segment("last_progress", since, connection.flow, ""),
        summary,
    );
    for (connection, stall) in &stalled {
        // What was on its way when the last data came: nothing shows that it arrived.
        let trip = case.shortest_rtt(connection).unwrap_or_default();
        let last = connection.segments.towards(Direction::ToServer).filter(|segment| segment.at < stall.since);
        for segment in last.filter(|segment| stall.since.time.since(segment.at.time) < trip).take(CITED_BEFORE) {
            finding.cite(Evidence::segment("unanswered", segment.at, connection.flow, ""));
        }
        for segment in never_acknowledged(connection).iter().take(CITED) {
            finding.cite(Evidence::segment("unanswered", segment.at, connection.flow, ""));
        }
        for segment in connection.segments.iter().filter(|segment| segment.at > stall.since).take(CITED) {
            let role = if segment.direction == Direction::ToServer { "unanswered" } else { "repetition" };
            finding.cite(Evidence::segment(role, segment.at, connection.flow, ""));
        }
    }
    finding = if at_work {
        finding.excluding("the client's network as a whole is down", "other connections go on")
    } else {
        finding.not_excluding("the client's network as a whole went down")
    };
    Some(
        finding
            .with_number("bytes", i64::try_from(connection.bytes.to_client).unwrap_or(i64::MAX))
            .not_excluding("the server died")
            .with_remedy("Repeat from another network; if it stops at the same size there, it is the server.", None),
    )
}

/// A transfer that stopped.
struct Stall {
    /// When it made progress last.
    since: Moment,
    /// What shows that more was to come.
    how: &'static str,
    /// Independent signs of that.
    classes: usize,
}

/// When a connection made progress last, if something shows that more was to come and nothing came.
fn stall(case: &Case, connection: &Connection, end: Timestamp) -> Option<Stall> {
    if !matches!(connection.end, End::Open | End::Closed | End::Reset { direction: Direction::ToServer, .. }) {
        return None;
    }
    if connection.fin.to_client.is_some() || connection.segments.head.is_empty() || connection.bytes.to_client == 0 {
        return None;
    }
    let to_client = || connection.segments.towards(Direction::ToClient);
    let last = *to_client().rfind(|segment| segment.kind == SegmentKind::Regular && !segment.flags.rst())?;
    // Later acknowledgements show that the server is there and has nothing to say.
    let since = last.at;
    if end.since(since.time) < STALLED {
        return None;
    }
    let asked = connection.segments.towards(Direction::ToServer).filter(|segment| segment.at > since);
    let waited = connection.fin.to_server.is_none_or(|fin| fin.time.since(since.time) >= STALLED);
    let repeated =
        asked.clone().filter(|segment| segment.kind == SegmentKind::Retransmission && segment.length > 1).count();
    // Keep-alive probes take the last byte's number again (RFC 9293 §3.8.4).
    let probes = asked
        .clone()
        .filter(|segment| segment.length <= 1 && last.ack.wrapping_sub(segment.seq) == 1 && !segment.flags.fin())
        .count();
    let hole = connection.gaps.to_client.iter().any(|gap| !gap.acknowledged);
    let full_window = connection.segments.towards(Direction::ToServer).next_back().is_some_and(|last| last.window == 0);
    // A sender that has more to send does not set PSH on the segments before.
    let cut = last.length >= FULL_SIZE && !last.flags.has(TcpFlags::PSH) && !full_window;
    // The same of TLS: a record that has begun is sent to its end.
    let open = !full_window && case.handshakes_in(connection.flow).any(|handshake| handshake.record_open);
    // A host that is there acknowledges a close.
    let closes = asked.clone().filter(|segment| segment.flags.fin()).count();
    let (how, classes) = if repeated >= 3 {
        ("repetitions stay unanswered", 2)
    } else if probes >= 2 && waited {
        ("keep-alive probes stay unanswered", 2)
    } else if closes >= 3 && waited && (cut || open) {
        ("its last record announces more, and even the client's close stays unanswered", 2)
    } else if hole && waited {
        ("a hole in it is never filled", 1)
    } else if (cut || open) && waited {
        ("its last segment announces more", 1)
    } else {
        return None;
    };
    Some(Stall { since, how, classes })
}
