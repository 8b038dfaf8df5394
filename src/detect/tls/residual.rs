//! Blocks that outlast their trigger: after a forged reset at one name, the address stays closed for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::{
    Attempt, CITED, Case, Code, Evidence, Fate, Finding, Groups, Moment, confidence, group_subject, strongest,
};
use crate::detect::attempt::segment_at;
use crate::detect::subject::{called, is_incidental, judged_connections};
use crate::finding::{Citation, Fault};
use crate::observation::{Connection, Marks, Opening, Segment};
use crate::types::{FlowId, Span};

/// Residual blocks were seen to last 90 or 180 seconds.
const LASTS: Span = Span::from_seconds(180);
/// SYNs that make silence, of one connection or of several.
const SYNS: usize = 3;
/// A SYN that got no answer for so long gets none.
const PATIENCE: Span = Span::from_millis(250);
/// Hellos with the trigger's own name that vanish after its reset: one alone may have lost its reset.
const VANISHED: usize = 2;

/// What was caught in a block.
enum Caught<'a, 'c> {
    /// A handshake with another name.
    Handshake(&'a Attempt<'c>),
    /// A connection that did not even open.
    Opening(&'c Connection, &'c [Moment], Option<(Segment, Marks)>),
}

/// One finding for each address that a reset left blocked.
pub(super) fn assess(case: &Case, groups: &Groups<'_, '_>, all: &[Attempt<'_>]) -> Vec<Finding> {
    let mut triggers: BTreeMap<SocketAddr, (&Attempt<'_>, &Vec<&Attempt<'_>>)> = BTreeMap::new();
    for ((_, server, _), group) in groups {
        let Some(first) = group.iter().filter(|attempt| forged_resets(attempt).is_some()).min_by_key(|one| one.at())
        else {
            continue;
        };
        let known = triggers.entry(*server).or_insert((first, group));
        if first.at() < known.0.at() {
            *known = (first, group);
        }
    }
    triggers.values().filter_map(|(trigger, group)| blocked(case, trigger, group, all)).collect()
}

/// The resets of an attempt of which one at least is not the server's.
fn forged_resets<'a>(attempt: &'a Attempt<'_>) -> Option<&'a [(Segment, Marks)]> {
    match &attempt.fate {
        Fate::Reset { resets } if attempt.is_visible() && resets.iter().any(|(_, marks)| marks.any()) => Some(resets),
        _ => None,
    }
}

fn blocked<'c>(case: &'c Case, trigger: &Attempt<'c>, group: &[&Attempt<'c>], all: &[Attempt<'c>]) -> Option<Finding> {
    let within = |at: Moment| at > trigger.at() && at.time.since(trigger.at().time) <= LASTS;
    let elsewhere =
        |attempt: &&Attempt<'_>| attempt.connection.server == trigger.connection.server && attempt.host != trigger.host;
    // A name that is never answered at another time may be reset for its own sake. What resets one name and swallows the
    // next one's hello does not go by names.
    let passes = |host: &Option<String>| all.iter().any(|attempt| attempt.host == *host && attempt.passed());
    let vanished = |attempt: &Attempt<'_>| matches!(attempt.fate, Fate::HelloVanished { .. });
    let own =
        all.iter().filter(|attempt| !elsewhere(attempt) && attempt.connection.server == trigger.connection.server);
    let own: Vec<_> = own.filter(|attempt| within(attempt.at()) && vanished(attempt)).collect();
    let own = if own.len() >= VANISHED { own } else { Vec::new() };
    let handshakes = all
        .iter()
        .filter(elsewhere)
        .filter(|attempt| within(attempt.at()))
        .filter(|attempt| vanished(attempt) || (passes(&attempt.host) && forged_resets(attempt).is_some()))
        .chain(own)
        .map(Caught::Handshake);
    // The address did answer SYNs before the reset.
    let openings = judged_connections(case)
        .filter(|connection| connection.server == trigger.connection.server && within(connection.first))
        .filter_map(|connection| closed(case, connection));
    let openings: Vec<_> = openings.collect();
    let silent =
        openings.iter().map(|caught| if let Caught::Opening(_, syns, None) = caught { syns.len() } else { SYNS });
    let openings = if silent.sum::<usize>() >= SYNS { openings } else { Vec::new() };
    let caught: Vec<Caught<'_, '_>> = handshakes.chain(openings).collect();
    let first = caught.first()?;
    let subject = group_subject(case, group);
    let resets: Vec<_> = group.iter().filter_map(|attempt| Some((*attempt, forged_resets(attempt)?))).collect();
    let marks = strongest(resets.iter().flat_map(|(_, resets)| resets.iter().map(|(_, marks)| marks)));
    let how = match first {
        Caught::Handshake(attempt) if attempt.host == trigger.host => {
            "its repetitions on other connections vanish".to_owned()
        }
        Caught::Handshake(attempt) if vanished(attempt) => format!(
            "ClientHellos to the same address vanish, even for {}",
            attempt.host.as_deref().unwrap_or("another name")
        ),
        Caught::Handshake(attempt) => format!(
            "so is every connection to the same address, even for {}",
            attempt.host.as_deref().unwrap_or("another name")
        ),
        Caught::Opening(_, _, Some(_)) => "every connection attempt to the same address is refused".to_owned(),
        Caught::Opening(..) => "connection attempts to the same address get no answer".to_owned(),
    };
    let summary = format!("The ClientHello for {} is reset, and for a while afterwards {how}.", called(&subject));
    let sure = confidence(case, &marks, resets.len(), true);
    let (attempt, segment, noted) = resets
        .iter()
        .find_map(|(attempt, resets)| resets.first().map(|(segment, marks)| (*attempt, segment, marks)))?;
    let reset_at = |attempt: &Attempt<'_>, segment: &Segment, marks: &Marks| {
        Evidence::segment("forged_reset", segment.at, attempt.connection.flow, marks.words())
    };
    let start = reset_at(attempt, segment, noted);
    let mut finding = Finding::new(Code::TlsResidualBlock, Fault::Interference, sure, subject, start, summary);
    for (attempt, resets) in resets.iter().take(CITED) {
        attempt.cite_hello(&mut finding);
        resets.iter().take(8).for_each(|(segment, marks)| finding.cite(reset_at(attempt, segment, marks)));
    }
    for caught in caught.iter().take(CITED) {
        match caught {
            Caught::Handshake(attempt) => {
                attempt.cite_hello(&mut finding);
                for (segment, marks) in forged_resets(attempt).into_iter().flatten().take(8) {
                    finding.cite(reset_at(attempt, segment, marks));
                }
                if let Fate::HelloVanished { segments } = &attempt.fate {
                    for segment in segments {
                        finding.cite(Evidence::segment(
                            "client_hello",
                            segment.at,
                            attempt.connection.flow,
                            "repeated",
                        ));
                    }
                }
            }
            Caught::Opening(connection, syns, refusal) => {
                for syn in *syns {
                    finding.cite(Evidence::segment("unanswered_syn", *syn, connection.flow, ""));
                }
                if let Some((segment, marks)) = refusal {
                    finding.cite(Evidence::segment("forged_refusal", segment.at, connection.flow, marks.words()));
                }
            }
        }
    }
    // The address answers before or afterwards: neither it nor the other names are blocked for good.
    let over: Vec<&Attempt<'_>> = all.iter().filter(elsewhere).filter(|attempt| attempt.passed()).collect();
    for attempt in &over {
        let Some(hello) = &attempt.handshake.hello else { continue };
        for at in [hello.started, hello.at] {
            finding.cite(Evidence::segment(
                "passing_hello",
                at,
                attempt.connection.flow,
                "the address answers at another time",
            ));
        }
    }
    finding = match over.first() {
        Some(passing) => finding
            .excluding("the address is blocked for good", format!("it answers in frame {}", passing.at().frame.number)),
        None => finding.not_excluding("the server itself went down"),
    };
    finding.incidental = group.iter().all(|attempt| is_incidental(attempt.connection));
    Some(
        finding
            .excluding("the server itself does it", marks.words())
            .with_number("connections", i64::try_from(caught.len()).unwrap_or(i64::MAX))
            .with_remedy(
                "Wait three minutes before the next attempt, and show the frames to whoever runs the network.",
                None,
            )
            .with_reference("RFC 9293 §3.10.7"),
    )
}

/// A connection that the address did not let in: silence, or a refusal that it did not send.
fn closed<'a, 'c>(case: &'c Case, connection: &'c Connection) -> Option<Caught<'a, 'c>> {
    match &connection.opening {
        Opening::Unanswered { syns }
            if case.recording.until().is_some_and(|end| end.since(connection.first.time) >= PATIENCE) =>
        {
            Some(Caught::Opening(connection, syns, None))
        }
        Opening::Refused { syns, reset } => {
            let segment = segment_at(connection, *reset)?;
            let marks = case.marks(connection, &segment);
            marks.any().then_some(Caught::Opening(connection, syns, Some((segment, marks))))
        }
        _ => None,
    }
}

/// Removes findings about names that were only caught in the block that `block` tells of.
pub(super) fn absorb(found: &mut Vec<Finding>, block: &mut Finding) {
    let flows: BTreeSet<FlowId> = block.evidence().iter().filter_map(flow).collect();
    let part = |finding: &mut Finding| {
        matches!(finding.code, Code::TlsSniReset | Code::TlsSniBlackhole)
            && finding.subject.address == block.subject.address
            && finding.subject.host != block.subject.host
            && finding.evidence().iter().filter_map(flow).all(|flow| flows.contains(&flow))
    };
    let absorbed: Vec<Finding> = found.extract_if(.., part).collect();
    for finding in absorbed {
        finding.evidence().iter().cloned().for_each(|evidence| block.cite(evidence));
    }
}

fn flow(evidence: &Evidence) -> Option<FlowId> {
    match &evidence.citation {
        Citation::Frame { flow, .. } => *flow,
        _ => None,
    }
}
