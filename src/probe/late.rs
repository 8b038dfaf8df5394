//! Which answers to datagrams may have overtaken another one, so that it is worth waiting for that.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::observation::probe::{NXDOMAIN, NameAnswer, Oracle, Transport};
use crate::types::Span;

/// How long after a question its second answer is waited for: resolvers that have to ask others first take seconds.
pub(super) const WINDOW: Span = Span::from_seconds(5);
/// The first comes within this part of the time that the server needs otherwise: of a round trip, half.
const EARLY: i64 = 2;
/// A question over TCP takes two round trips.
const EARLY_BESIDE_TCP: i64 = 4;

/// Whether the first answer to a datagram came from where nobody is, says otherwise than an answer to the same question that is
/// harder to forge, or came sooner than its server is.
pub(super) fn is_suspicious(answer: &NameAnswer, all: &[&NameAnswer]) -> bool {
    let Some(first) = answer.first().filter(|_| answer.question.transport == Transport::Udp) else { return false };
    if answer.question.oracle == Oracle::Nobody {
        return true;
    }
    let same = |other: &&&NameAnswer| {
        other.question.name == answer.question.name && other.question.record_type == answer.question.record_type
    };
    let harder = all.iter().filter(same).filter(|other| other.question.transport != Transport::Udp);
    let own = said(answer);
    let differs = harder.map(|other| said(other)).any(|other| match (&own, &other) {
        (Some(own), Some(other)) => own.is_disjoint(other) && (own.len(), other.len()) != (0, 0),
        _ => false,
    });
    let server = |other: &&&NameAnswer| {
        other.question.server.map(|server| server.ip()) == answer.question.server.map(|server| server.ip())
            && other.question != answer.question
    };
    let early = all.iter().filter(server).any(|other| {
        let Some(usual) = other.first().map(|reply| reply.after.nanos()) else { return false };
        match other.question.transport {
            // Another name takes the same way; the same one may be forged as well.
            Transport::Udp if other.question.part != answer.question.part => {
                first.after.nanos() < usual.checked_div(EARLY).unwrap_or(0)
            }
            Transport::Tcp => first.after.nanos() < usual.checked_div(EARLY_BESIDE_TCP).unwrap_or(0),
            _ => false,
        }
    });
    differs || early
}

/// The addresses that the first reply gives, none for a denial; `None` where it says nothing.
fn said(answer: &NameAnswer) -> Option<BTreeSet<IpAddr>> {
    let first = answer.first().filter(|reply| matches!(reply.rcode, 0 | NXDOMAIN) && !reply.truncated)?;
    Some(first.addresses().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::probe::{NameQuestion, Part, Reply};
    use crate::observation::{Record, RecordData, RecordType, Section};

    fn answer(oracle: Oracle, transport: Transport, part: Part, after_ms: i64, last: u8) -> NameAnswer {
        let name = if part == Part::Target { "a.example" } else { "b.example" };
        let server = Some("192.168.1.1:53".parse().unwrap());
        let record = Record {
            section: Section::Answer,
            name: name.to_owned(),
            record_type: RecordType::A,
            ttl: 60,
            data: RecordData::A([203, 0, 113, last].into()),
        };
        let reply = Reply {
            after: Span::from_millis(after_ms),
            from: "192.168.1.1:53".parse().unwrap(),
            rcode: 0,
            authoritative: false,
            truncated: false,
            authenticated: false,
            edns: true,
            records: vec![record],
        };
        let question =
            NameQuestion { name: name.to_owned(), record_type: RecordType::A, part, oracle, server, transport };
        NameAnswer { question, replies: vec![reply], failure: None, path: Vec::new() }
    }

    #[test]
    fn what_differs_or_is_early_or_comes_from_nobody_is_waited_behind() {
        use Transport::{Tcp, Udp};
        let asked = |after_ms, last| answer(Oracle::System, Udp, Part::Target, after_ms, last);
        let suspicious = |answer: &NameAnswer, others: &[NameAnswer]| {
            is_suspicious(answer, &others.iter().chain([answer]).collect::<Vec<_>>())
        };
        assert!(suspicious(&answer(Oracle::Nobody, Udp, Part::Control, 9, 1), &[]));
        assert!(!suspicious(&asked(9, 1), &[]));
        assert!(suspicious(&asked(9, 1), &[answer(Oracle::System, Tcp, Part::Target, 20, 2)]));
        assert!(!suspicious(&asked(9, 1), &[answer(Oracle::System, Tcp, Part::Target, 20, 1)]));
        assert!(suspicious(&asked(4, 1), &[answer(Oracle::System, Udp, Part::Control, 20, 7)]));
        assert!(!suspicious(&answer(Oracle::System, Tcp, Part::Target, 1, 1), &[asked(9, 2)]));
    }
}
