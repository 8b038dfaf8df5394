//! What marks a packet as another stack's: facts about one segment held against the rest of its connection and the
//! other connections to the same address.
//!
//! No mark alone convicts anybody. A TTL differs behind load balancers, an early answer may be jitter; that is why each
//! mark says to which class of evidence it belongs, and why detectors count classes.

use std::net::IpAddr;

use super::{Case, Connection, Opening, Segment, SegmentKind};
use crate::types::{Direction, Moment, Span};

/// Hops by which a TTL must differ to be more than a changed path.
const TTL_DISTANCE: u8 = 3;
/// Share of the round-trip time below which an answer came too soon, in percent. Jitter is allowed for.
const EARLY_PERCENT: i64 = 75;
/// Round trips shorter than this tell nothing: there jitter is as large as the time itself.
const SHORTEST_RTT: Span = Span::from_millis(2);
/// Resets within this time belong together.
const VOLLEY: Span = Span::from_millis(50);
/// A sender that goes on within this time after its own reset did not send it.
const WENT_ON: Span = Span::from_seconds(2);

/// A TTL that is not the sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TtlMark {
    /// As seen.
    pub seen: u8,
    /// What the sender's other packets have.
    pub usual: u8,
}

/// An answer that came sooner than a round trip allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Early {
    /// After the packet that it answers.
    pub after: Span,
    /// Shortest round trip seen to that address.
    pub rtt: Span,
}

/// All marks of one segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Another TTL, at least three hops off, while the sender's own does not vary.
    pub ttl: Option<TtlMark>,
    /// Too soon to have come from the address.
    pub early: Option<Early>,
    /// Resets that came together with it and differ in sequence number or TTL, itself included.
    pub volley: u32,
    /// The sender itself went on, at or beyond that sequence number, as if it had not sent it.
    pub sender_went_on: Option<Moment>,
    /// Header fields no usual stack writes, each in a few words.
    pub odd_header: Vec<&'static str>,
    /// Nothing could be compared: no other packet of the sender, no round-trip time.
    pub blind: bool,
}

impl Marks {
    /// How many independent classes of evidence speak for another sender.
    #[must_use]
    pub fn classes(&self) -> usize {
        usize::from(self.ttl.is_some())
            + usize::from(self.early.is_some())
            + usize::from(self.volley > 1)
            + usize::from(!self.odd_header.is_empty())
            // What no real stack does counts for more than one hint.
            + if self.sender_went_on.is_some() { 2 } else { 0 }
    }

    /// Whether anything speaks for another sender.
    #[must_use]
    pub fn any(&self) -> bool {
        self.classes() > 0
    }

    /// The marks in words, for a note at the packet.
    #[must_use]
    pub fn words(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        if let Some(TtlMark { seen, usual }) = self.ttl {
            words.push(format!("IP TTL {seen}, the server's is {usual}"));
        }
        if let Some(Early { after, rtt }) = self.early {
            words.push(format!("{after} after its trigger, the round trip takes {rtt}"));
        }
        if self.volley > 1 {
            words.push(format!("one of {} different resets at once", self.volley));
        }
        if self.sender_went_on.is_some() {
            words.push("the server went on afterwards".to_owned());
        }
        words.extend(self.odd_header.iter().map(|odd| (*odd).to_owned()));
        words.join("; ")
    }
}

impl Case {
    /// What marks `segment` of `connection`, a packet in the server's name, as somebody else's.
    #[must_use]
    pub fn marks(&self, connection: &Connection, segment: &Segment) -> Marks {
        let usual = self.usual_ttl(connection, segment);
        let rtt = self.shortest_rtt(connection.server.ip(), connection.client.ip());
        let ttl = usual.filter(|usual| usual.abs_diff(segment.ip.ttl) >= TTL_DISTANCE);
        Marks {
            ttl: ttl.map(|usual| TtlMark { seen: segment.ip.ttl, usual }),
            early: rtt.and_then(|rtt| early(connection, segment, rtt)),
            volley: volley(connection, segment),
            sender_went_on: went_on(connection, segment),
            odd_header: odd_header(connection, segment),
            blind: usual.is_none() && rtt.is_none(),
        }
    }

    /// The TTL of the server's own packets, other than `suspect` and what came with it; `None` when it is not known or varies.
    fn usual_ttl(&self, connection: &Connection, suspect: &Segment) -> Option<u8> {
        let own =
            |segment: &&Segment| !segment.flags.rst() && segment.at != suspect.at && segment.at.time < suspect.at.time;
        let mut seen: Vec<u8> = connection
            .segments
            .towards(Direction::ToClient)
            .filter(own)
            .filter(|segment| segment.flags.syn() || segment.timestamps == suspect_timestamps(connection))
            .map(|segment| segment.ip.ttl)
            .collect();
        if seen.is_empty() {
            // Nothing in this connection: other connections to the same address that were really opened.
            seen = self
                .connections
                .iter()
                .filter(|other| other.server.ip() == connection.server.ip() && other.flow != connection.flow)
                .filter(|other| matches!(other.opening, Opening::Established { .. }))
                .filter_map(|other| other.ttls.to_client.first().map(|(ttl, _)| *ttl))
                .collect();
        }
        let (low, high) = (seen.iter().min()?, seen.iter().max()?);
        // Where the sender's own TTL varies as much, a path changes or several machines answer.
        (high - low < TTL_DISTANCE).then_some(*low)
    }

    /// The shortest round trip seen between these two where the recording was made.
    #[must_use]
    pub fn shortest_rtt(&self, server: IpAddr, client: IpAddr) -> Option<Span> {
        self.connections
            .iter()
            .filter(|connection| connection.server.ip() == server && connection.client.ip() == client)
            .filter_map(Connection::rtt)
            .min()
    }
}

/// Whether the server's packets of this connection carry TCP timestamps, by its SYN-ACK.
fn suspect_timestamps(connection: &Connection) -> bool {
    connection
        .segments
        .towards(Direction::ToClient)
        .find(|segment| segment.flags.syn())
        .is_none_or(|segment| segment.timestamps)
}

/// Whether a segment came sooner after the client's data than the address can answer.
fn early(connection: &Connection, segment: &Segment, rtt: Span) -> Option<Early> {
    if rtt < SHORTEST_RTT {
        return None;
    }
    // The first packet of the client's flight that it can answer: with data, else the SYN.
    let trigger = connection
        .segments
        .towards(Direction::ToServer)
        .filter(|other| other.at.time <= segment.at.time && other.kind == SegmentKind::Regular)
        .filter(|other| other.length > 0 || other.flags.syn())
        .fold(None::<&Segment>, |trigger, other| match trigger {
            // Segments of one flight follow each other at once; the first one may be the trigger.
            Some(known) if known.length > 0 && other.at.time.since(known.at.time) < rtt => Some(known),
            _ => Some(other),
        })?;
    let after = segment.at.time.since(trigger.at.time);
    (after.nanos().saturating_mul(100) < rtt.nanos().saturating_mul(EARLY_PERCENT)).then_some(Early { after, rtt })
}

/// Resets of the same direction around this one that differ from each other.
fn volley(connection: &Connection, segment: &Segment) -> u32 {
    if !segment.flags.rst() {
        return 0;
    }
    // Flags and windows differ between a stack's own resets, too (`tcp_send_active_reset` against `tcp_v4_send_reset`).
    let mut different: Vec<(u32, u8)> = connection
        .segments
        .towards(segment.direction)
        .filter(|other| other.flags.rst() && other.at.time.since(segment.at.time).abs() <= VOLLEY)
        .map(|other| (other.seq, other.ip.ttl))
        .collect();
    different.sort_unstable();
    different.dedup();
    u32::try_from(different.len()).unwrap_or(u32::MAX)
}

/// The sender's own next packet, where it shows that the sender knows nothing of this one.
fn went_on(connection: &Connection, segment: &Segment) -> Option<Moment> {
    let ends = segment.flags.rst() || segment.flags.fin();
    if !ends {
        return None;
    }
    let client_closed = connection.fin.to_server.is_some_and(|fin| fin < segment.at);
    if client_closed {
        return None; // answers to the client's FIN are no sign of life
    }
    connection
        .segments
        .towards(segment.direction)
        .filter(|other| other.at > segment.at && other.at.time.since(segment.at.time) <= WENT_ON)
        .filter(|other| !other.flags.rst() && !other.flags.fin())
        .filter(|other| other.ip.ttl != segment.ip.ttl || other.timestamps != segment.timestamps || other.length > 0)
        .find(|other| {
            let not_before = other.seq.wrapping_sub(segment.seq).cast_signed() >= 0;
            not_before && (other.length > 0 || other.flags.syn())
        })
        .map(|other| other.at)
}

/// Header fields that give an injector away.
fn odd_header(connection: &Connection, segment: &Segment) -> Vec<&'static str> {
    let mut odd = Vec::new();
    if segment.reserved_bit || segment.flags.has(crate::packet::TcpFlags::RESERVED) {
        odd.push("reserved header bits are set");
    }
    if segment.flags.rst() && segment.length > 0 {
        odd.push("a reset with data");
    }
    let trigger = connection
        .segments
        .towards(segment.direction.reversed())
        .rfind(|other| other.at < segment.at && other.length > 0);
    if segment.ip.id != 0 && trigger.is_some_and(|trigger| trigger.ip.id == segment.ip.id) {
        odd.push("it copies the IP identification of the client's packet");
    }
    // Once both sides agreed on timestamps every segment but a reset carries them (RFC 7323 §3.2).
    let agreed = |direction: Direction| {
        connection.segments.towards(direction).any(|other| other.flags.syn() && other.timestamps)
    };
    if !segment.flags.rst() && !segment.timestamps && agreed(Direction::ToServer) && agreed(Direction::ToClient) {
        odd.push("no TCP timestamps though both sides use them");
    }
    odd
}
