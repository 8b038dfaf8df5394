//! What marks a packet as another stack's: facts about one segment held against the rest of its connection and the
//! other connections to the same address.
//!
//! No mark alone convicts anybody. A TTL differs behind load balancers, an early answer may be jitter; that is why each
//! mark says to which class of evidence it belongs, and why detectors count classes.

use super::{Case, Connection, Opening, Segment, SegmentKind};
use crate::types::{Direction, Moment, Span, Timestamp};

/// Hops by which a TTL must differ to be more than a changed path.
const TTL_DISTANCE: u8 = 3;
/// Hops by which the ways to neighbours may differ.
const HOPS_ALIKE: u8 = 2;
/// Share of the round-trip time below which an answer came too soon, in percent, where the time was measured at several
/// moments. Jitter is allowed for.
const EARLY_PERCENT: i64 = 75;
/// The same where all measurements are of one moment: a queue may have delayed them together.
const EARLY_PERCENT_ONCE: i64 = 50;
/// Measurements this far apart are of different moments.
const APART: Span = Span::from_millis(100);
/// Connections further apart than this may have taken other paths.
const SAME_PATH: Span = Span::from_seconds(600);
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

impl TtlMark {
    /// Whether both come from about as far away and differ in the TTL that their systems begin with (RFC 1700: 64, 128 or
    /// 255 is usual). Such is a firewall in front of the sender; an injector on the way is nearer.
    #[must_use]
    pub fn as_far(self) -> bool {
        let begins = |ttl: u8| [64_u8, 128, 255].into_iter().find(|initial| *initial >= ttl).unwrap_or(u8::MAX);
        let (seen, usual) = (begins(self.seen), begins(self.usual));
        seen != usual && (seen - self.seen).abs_diff(usual - self.usual) <= HOPS_ALIKE
    }
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
    /// It could not be compared in full: no other packet of the sender is known, or no round-trip time.
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

    /// Whether anything but its time speaks for another sender.
    #[must_use]
    pub fn any_but_early(&self) -> bool {
        self.classes() > usize::from(self.early.is_some())
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
        let rtt = self.round_trip(connection);
        let ttl = usual.filter(|usual| usual.abs_diff(segment.ip.ttl) >= TTL_DISTANCE);
        Marks {
            ttl: ttl.map(|usual| TtlMark { seen: segment.ip.ttl, usual }),
            early: rtt.and_then(|rtt| early(connection, segment, rtt)),
            volley: volley(connection, segment),
            sender_went_on: went_on(connection, segment),
            odd_header: odd_header(connection, segment),
            blind: usual.is_none() || rtt.is_none(),
        }
    }

    /// Whether a reset without ACK came too soon. Such a reset answers a packet and takes its sequence number from that
    /// packet's acknowledgement (RFC 9293 §3.10.7.1), so it cannot be sooner than a round trip after the client first
    /// acknowledged that much. Stacks that abort by themselves may send one at any time: a hint beside others only.
    #[must_use]
    pub fn early_reset(&self, connection: &Connection, reset: &Segment) -> Option<Early> {
        if !reset.flags.rst() || reset.flags.ack() {
            return None;
        }
        let trigger = connection
            .segments
            .towards(reset.direction.reversed())
            .find(|other| other.flags.ack() && other.ack == reset.seq && other.at < reset.at)?;
        self.round_trip(connection)?.early(reset.at.time.since(trigger.at.time))
    }

    /// The TTL of the server's own packets, other than `suspect` and what came with it; `None` when it is not known or varies.
    fn usual_ttl(&self, connection: &Connection, suspect: &Segment) -> Option<u8> {
        let timestamps = suspect_timestamps(connection);
        let is_syn_ack = |segment: &Segment| segment.flags.syn() && segment.flags.ack();
        let own = |segment: &&Segment| {
            let before = segment.at.time < suspect.at.time && segment.timestamps == timestamps;
            !segment.flags.rst() && segment.at != suspect.at && (is_syn_ack(segment) || before)
        };
        let here = connection.segments.towards(Direction::ToClient).filter(own).map(|segment| segment.ip.ttl);
        // Other connections to the same address that were really opened: several machines may answer there.
        let others = self
            .connections
            .iter()
            .filter(|other| other.server.ip() == connection.server.ip() && other.flow != connection.flow)
            .filter(|other| matches!(other.opening, Opening::Established { .. }))
            .filter(|other| other.first.time.since(connection.first.time).abs() <= SAME_PATH)
            .filter_map(|other| other.segments.towards(Direction::ToClient).find(|segment| is_syn_ack(segment)))
            .map(|segment| segment.ip.ttl);
        let mut seen: Vec<u8> = here.collect();
        let own = seen.first().copied();
        seen.extend(others);
        let (low, high) = (*seen.iter().min()?, *seen.iter().max()?);
        // Where the sender's own TTL varies as much, a path changes or several machines answer.
        (high - low < TTL_DISTANCE).then_some(own.unwrap_or(low))
    }

    /// The shortest round trip to a connection's server that was seen where the recording was made.
    #[must_use]
    pub fn shortest_rtt(&self, connection: &Connection) -> Option<Span> {
        self.round_trip(connection).map(|trip| trip.shortest)
    }

    /// The shortest round trip to a connection's server, as far as it was measured.
    fn round_trip(&self, connection: &Connection) -> Option<RoundTrip> {
        let openings = self
            .connections
            .iter()
            .filter(|other| other.server.ip() == connection.server.ip() && other.client.ip() == connection.client.ip())
            .filter_map(|other| Some((other.first.time, other.rtt()?)));
        let samples: Vec<(Timestamp, Span)> = openings.chain(acknowledged_after(connection)).collect();
        let shortest = samples.iter().map(|(_, rtt)| *rtt).min()?;
        let (first, last) = (samples.iter().map(|(at, _)| *at).min()?, samples.iter().map(|(at, _)| *at).max()?);
        Some(RoundTrip { shortest, several: last.since(first) >= APART })
    }
}

/// A measured round trip.
#[derive(Clone, Copy)]
struct RoundTrip {
    shortest: Span,
    /// It was measured at moments that no single queue explains.
    several: bool,
}

impl RoundTrip {
    /// Whether something that came `after` its trigger came too soon.
    fn early(self, after: Span) -> Option<Early> {
        let percent = if self.several { EARLY_PERCENT } else { EARLY_PERCENT_ONCE };
        let measurable = self.shortest >= SHORTEST_RTT;
        let soon = after.nanos().saturating_mul(100) < self.shortest.nanos().saturating_mul(percent);
        (measurable && soon).then_some(Early { after, rtt: self.shortest })
    }
}

/// How long the server took to acknowledge the client's data of one connection, each time by a bare acknowledgement.
fn acknowledged_after(connection: &Connection) -> Vec<(Timestamp, Span)> {
    let timestamps = suspect_timestamps(connection);
    let mut samples: Vec<(Timestamp, Span)> = Vec::new();
    let mut waiting: Option<(Timestamp, u32)> = None;
    for segment in connection.segments.iter() {
        match (segment.direction, waiting) {
            (Direction::ToServer, _) if segment.length > 0 => {
                let end = segment.seq.wrapping_add(segment.length);
                // What was sent again may be acknowledged for its first copy (Karn's rule).
                waiting = (segment.kind == SegmentKind::Regular).then_some((segment.at.time, end));
            }
            (Direction::ToClient, Some((sent, end))) => {
                let own = segment.length == 0 && segment.timestamps == timestamps && is_bare_ack(segment);
                if own && segment.ack.wrapping_sub(end).cast_signed() >= 0 {
                    samples.push((sent, segment.at.time.since(sent)));
                    waiting = None;
                }
            }
            _ => {}
        }
    }
    samples
}

fn is_bare_ack(segment: &Segment) -> bool {
    segment.flags.ack() && !segment.flags.rst() && !segment.flags.fin() && !segment.flags.syn()
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
fn early(connection: &Connection, segment: &Segment, rtt: RoundTrip) -> Option<Early> {
    // The first packet of the client's flight that it can answer: with data, else the SYN.
    let trigger = connection
        .segments
        .towards(Direction::ToServer)
        .filter(|other| other.at.time <= segment.at.time && other.kind == SegmentKind::Regular)
        .filter(|other| other.length > 0 || other.flags.syn())
        // What crossed the answer on the way is not what it answers.
        .filter(|other| !segment.flags.ack() || segment.ack.wrapping_sub(other.seq).cast_signed() > 0)
        .fold(None::<&Segment>, |trigger, other| match trigger {
            // Segments of one flight follow each other at once; the first one may be the trigger.
            Some(known) if known.length > 0 && other.at.time.since(known.at.time) < rtt.shortest => Some(known),
            _ => Some(other),
        })?;
    rtt.early(segment.at.time.since(trigger.at.time))
}

/// Resets of the same direction around this one that differ from each other.
fn volley(connection: &Connection, segment: &Segment) -> u32 {
    if !segment.flags.rst() {
        return 0;
    }
    let near: Vec<&Segment> = connection
        .segments
        .towards(segment.direction)
        .filter(|other| other.flags.rst() && other.kind != SegmentKind::Duplicate)
        .filter(|other| other.at.time.since(segment.at.time).abs() <= VOLLEY)
        .collect();
    let ttls = || near.iter().map(|other| other.ip.ttl);
    // One hop's difference is the same packet recorded on both sides of it.
    let steps = ttls().max().zip(ttls().min()).is_some_and(|(high, low)| high - low > 1);
    // A closed socket answers each packet with what that packet acknowledges: several numbers are no sign of several senders.
    let answers = |reset: &Segment| {
        connection
            .segments
            .towards(segment.direction.reversed())
            .any(|other| other.flags.ack() && other.ack == reset.seq && other.at < reset.at)
    };
    // A stack that aborts says so with a reset of its own, and answers with bare ones what is still on its way to it.
    let aborts = near.split_first().is_some_and(|(first, rest)| {
        first.flags.ack() && rest.iter().all(|reset| !reset.flags.ack() && answers(reset))
    });
    if !steps && (aborts || near.iter().all(|reset| answers(reset))) {
        return 1;
    }
    // Flags and windows differ between a stack's own resets, too (`tcp_send_active_reset` against `tcp_v4_send_reset`).
    let mut different: Vec<(u32, u8)> =
        near.iter().map(|other| (other.seq, if steps { other.ip.ttl } else { 0 })).collect();
    different.sort_unstable();
    different.dedup();
    u32::try_from(different.len()).unwrap_or(u32::MAX)
}

/// The sender's own next packet, where it shows that the sender knows nothing of this one.
fn went_on(connection: &Connection, segment: &Segment) -> Option<Moment> {
    let end = segment.seq.wrapping_add(segment.length);
    let ends = segment.flags.rst() || segment.flags.fin();
    if !ends {
        return None;
    }
    let client_closed = connection.fin.to_server.is_some_and(|fin| fin < segment.at);
    if client_closed {
        return None; // answers to the client's FIN are no sign of life
    }
    // Off the stream's own number it may be an old connection's, which says nothing about who sends now.
    let sent = |other: &Segment| {
        other.seq.wrapping_add(other.length).wrapping_add(u32::from(other.flags.syn()) + u32::from(other.flags.fin()))
    };
    let next = connection
        .segments
        .towards(segment.direction)
        .filter(|other| other.at < segment.at && !other.flags.rst())
        .map(sent)
        .reduce(|high, end| if end.wrapping_sub(high).cast_signed() > 0 { end } else { high });
    if next.is_some_and(|next| next != segment.seq) {
        return None;
    }
    connection
        .segments
        .towards(segment.direction)
        .filter(|other| other.at > segment.at && other.at.time.since(segment.at.time) <= WENT_ON)
        .filter(|other| !other.flags.rst() && !other.flags.fin() && other.kind != SegmentKind::Duplicate)
        .filter(|other| other.ip.ttl != segment.ip.ttl || other.timestamps != segment.timestamps || other.length > 0)
        .find(|other| {
            // A repetition of what came before it is none of its business, an answer to the SYN always is.
            let not_before = other.seq.wrapping_sub(end).cast_signed() >= 0;
            other.flags.syn() || (not_before && other.length > 0)
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
