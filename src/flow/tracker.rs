//! Finds the connection that a segment belongs to, and keeps what is known of it.
//!
//! Connections are numbered in the order of their first packets, as Wireshark's `tcp.stream`. A SYN with another initial
//! sequence number on the same addresses and ports is a new connection (port reuse).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use hashbrown::HashMap;

use super::log::SegmentLog;
use super::stream::{Data, Pieces, Stream};
use crate::observation::{Conflict, IpMark, Segment, SegmentKind};
use crate::packet::{Ip, Tcp, TcpFlags};
use crate::types::{Both, Direction, FlowId, Moment, Span};

/// How much a tracker holds at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections followed at the same time. Beyond it the ones idle the longest are given up.
    pub(crate) live: usize,
    /// Ended connections whose late packets are still known as theirs.
    pub(crate) remembered: usize,
    /// How long after its end a connection's late packets (a contradicting answer, a late reset) still matter.
    pub(crate) linger: Span,
    /// Ended connections that wait for late packets at the same time.
    pub(crate) lingering: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { live: 1 << 16, remembered: 1 << 17, linger: Span::from_seconds(20), lingering: 2_048 }
    }
}

/// Recorded within this time with the same header: the same packet, seen twice.
const DUPLICATE_WINDOW: Span = Span::from_millis(2);
/// SYNs kept of each connection.
const SYNS: usize = 32;
/// Resets and contradictions kept of each connection.
const ODDITIES: usize = 32;
/// Segments between two looks for ended connections.
const SWEEP_EVERY: u32 = 1 << 15;

/// Addresses and ports of both ends, the smaller end first, so that both directions find the same entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Key {
    low: (IpAddr, u16),
    high: (IpAddr, u16),
}

impl Key {
    fn new(ip: &Ip, tcp: &Tcp<'_>) -> Self {
        let source = SocketAddr::new(ip.source, tcp.source_port);
        Self::between(source, SocketAddr::new(ip.destination, tcp.destination_port))
    }

    fn between(a: SocketAddr, b: SocketAddr) -> Self {
        let (a, b) = ((a.ip(), a.port()), (b.ip(), b.port()));
        if a <= b { Self { low: a, high: b } } else { Self { low: b, high: a } }
    }
}

/// A connection as far as it was seen, with a reader's own state beside it.
#[derive(Debug)]
pub(crate) struct Flow<S> {
    pub(crate) id: FlowId,
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) first: Moment,
    pub(crate) last: Moment,
    pub(crate) packets: Both<u32>,
    /// Each SYN of the client.
    pub(crate) syns: Vec<Moment>,
    pub(crate) syn_count: u32,
    /// The first answer to the SYN.
    pub(crate) syn_ack: Option<Moment>,
    /// The SYN-ACK acknowledged the SYN that was seen.
    pub(crate) streams: Both<Stream>,
    pub(crate) log: SegmentLog,
    pub(crate) conflicts: Vec<Conflict>,
    /// The first reset that its receiver must have taken for valid, or that answered the SYN.
    pub(crate) reset: Option<(Direction, Moment)>,
    /// A reset that answered the SYN.
    pub(crate) refused: Option<Moment>,
    /// Data-bearing segments of both directions.
    pub(crate) data_segments: u32,
    pub(crate) state: S,
    key: Key,
    lingers: bool,
    /// The initial sequence numbers as the first packets give them, whether or not those are the SYNs.
    bases: Both<Option<u32>>,
}

impl<S> Flow<S> {
    /// Both ends said that they are done, or one reset the connection.
    fn ended(&self) -> bool {
        self.reset.is_some() || (self.streams.to_server.fin.is_some() && self.streams.to_client.fin.is_some())
    }

    /// Which way a packet from `source` goes.
    pub(crate) fn direction_from(&self, source: SocketAddr) -> Direction {
        if source == self.client { Direction::ToServer } else { Direction::ToClient }
    }
}

/// What one segment did.
#[derive(Debug)]
pub(crate) struct Step<'t, 'p, S> {
    pub(crate) flow: &'t mut Flow<S>,
    pub(crate) direction: Direction,
    /// What became readable, in order.
    pub(crate) pieces: Pieces<'p>,
    /// The segment was recorded before.
    pub(crate) duplicate: bool,
}

enum Entry {
    Live(usize),
    /// Ended and handed over; late packets are not a new connection.
    Over(u32),
    /// Only quoted in ICMP errors so far; the connection will have this number.
    Quoted(u32),
}

/// All connections of a recording.
pub(crate) struct Tracker<S> {
    limits: Limits,
    entries: HashMap<Key, Entry>,
    flows: Vec<Option<Box<Flow<S>>>>,
    free: Vec<usize>,
    over: VecDeque<(Key, u32)>,
    /// Ended connections that may still get late packets, in the order of their ends.
    lingering: VecDeque<(usize, FlowId)>,
    ended: Vec<Box<Flow<S>>>,
    next_id: u32,
    opened: u32,
    since_sweep: u32,
}

impl<S: Default> Tracker<S> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: HashMap::new(),
            flows: Vec::new(),
            free: Vec::new(),
            over: VecDeque::new(),
            lingering: VecDeque::new(),
            ended: Vec::new(),
            next_id: 0,
            opened: 0,
            since_sweep: 0,
        }
    }

    /// Connections seen so far.
    pub(crate) const fn count(&self) -> u32 {
        self.opened
    }

    /// Connections that have ended since the last call; their readers' state was not told about a flush yet.
    pub(crate) fn take_ended(&mut self) -> Vec<Box<Flow<S>>> {
        std::mem::take(&mut self.ended)
    }

    /// The live connection between these two ends, whichever opened it.
    pub(crate) fn between(&self, a: SocketAddr, b: SocketAddr) -> Option<&Flow<S>> {
        match self.entries.get(&Key::between(a, b))? {
            Entry::Live(slot) => self.flows.get(*slot)?.as_deref(),
            Entry::Over(_) | Entry::Quoted(_) => None,
        }
    }

    /// Takes a segment. `None` when it belongs to a connection that was handed over already.
    pub(crate) fn push<'p>(&mut self, at: Moment, ip: &Ip, tcp: &Tcp<'p>) -> Option<Step<'_, 'p, S>> {
        self.since_sweep += 1;
        if self.since_sweep >= SWEEP_EVERY {
            self.sweep(at);
        }
        let key = Key::new(ip, tcp);
        let opens = tcp.flags.syn() && !tcp.flags.ack();
        while self.lingering.len() > self.limits.lingering {
            let Some((slot, id)) = self.lingering.pop_front() else { break };
            if self.flows.get(slot).is_some_and(|flow| flow.as_deref().is_some_and(|flow| flow.id == id)) {
                self.hand_over(slot);
            }
        }
        let slot = match self.entries.get(&key) {
            Some(Entry::Live(slot)) => {
                let slot = *slot;
                let flow = self.flows.get(slot)?.as_deref()?;
                if opens && starts_anew(flow, ip, tcp) {
                    if let Some(old) = self.flows.get_mut(slot).and_then(Option::take) {
                        self.ended.push(old);
                    }
                    self.free.push(slot);
                    self.open(key, at, ip, tcp)
                } else {
                    slot
                }
            }
            Some(Entry::Over(_)) if !opens => return None,
            Some(Entry::Over(_) | Entry::Quoted(_)) | None => self.open(key, at, ip, tcp),
        };
        let flow = self.flows.get_mut(slot)?.as_deref_mut()?;
        let direction = flow.direction_from(SocketAddr::new(ip.source, tcp.source_port));
        let (pieces, duplicate) = flow.take(at, direction, ip, tcp);
        if flow.ended() && !flow.lingers {
            flow.lingers = true;
            self.lingering.push_back((slot, flow.id));
        }
        Some(Step { flow, direction, pieces, duplicate })
    }

    /// Hands over everything that is left, in the order of the connections' numbers.
    pub(crate) fn finish(&mut self) -> Vec<Box<Flow<S>>> {
        let mut rest = std::mem::take(&mut self.ended);
        rest.extend(self.flows.drain(..).flatten());
        self.entries.clear();
        rest.sort_by_key(|flow| flow.id);
        rest
    }

    fn open(&mut self, key: Key, at: Moment, ip: &Ip, tcp: &Tcp<'_>) -> usize {
        if self.flows.len() - self.free.len() >= self.limits.live {
            self.evict();
        }
        let source = SocketAddr::new(ip.source, tcp.source_port);
        let destination = SocketAddr::new(ip.destination, tcp.destination_port);
        let (client, server) = if is_from_client(tcp) { (source, destination) } else { (destination, source) };
        let id = match self.entries.get(&key) {
            Some(Entry::Quoted(id)) => FlowId(*id),
            _ => self.number(),
        };
        let flow = Box::new(Flow {
            id,
            client,
            server,
            first: at,
            last: at,
            packets: Both::default(),
            syns: Vec::new(),
            syn_count: 0,
            syn_ack: None,
            streams: Both::default(),
            log: SegmentLog::default(),
            conflicts: Vec::new(),
            reset: None,
            refused: None,
            data_segments: 0,
            state: S::default(),
            key,
            lingers: false,
            bases: Both::default(),
        });
        self.opened = self.opened.saturating_add(1);
        let slot = if let Some(slot) = self.free.pop() {
            if let Some(place) = self.flows.get_mut(slot) {
                *place = Some(flow);
            }
            slot
        } else {
            self.flows.push(Some(flow));
            self.flows.len() - 1
        };
        self.entries.insert(key, Entry::Live(slot));
        slot
    }

    fn number(&mut self) -> FlowId {
        let id = FlowId(self.next_id);
        self.next_id = self.next_id.saturating_add(1);
        id
    }

    /// Takes an ICMP error's quotation of a segment, with its header. Wireshark numbers connections that are only quoted
    /// so far, too.
    pub(crate) fn quoted(&mut self, a: SocketAddr, b: SocketAddr) {
        let key = Key::between(a, b);
        if self.entries.contains_key(&key) {
            return;
        }
        let id = self.number().0;
        self.entries.insert(key, Entry::Quoted(id));
        self.remember(key, id);
    }

    /// Forgets what is remembered for the longest time when it is too much.
    fn remember(&mut self, key: Key, id: u32) {
        self.over.push_back((key, id));
        while self.over.len() > self.limits.remembered {
            let Some((key, id)) = self.over.pop_front() else { break };
            if matches!(self.entries.get(&key), Some(Entry::Over(known) | Entry::Quoted(known)) if *known == id) {
                self.entries.remove(&key);
            }
        }
    }

    /// Hands over connections that ended a while ago.
    fn sweep(&mut self, now: Moment) {
        self.since_sweep = 0;
        let linger = self.limits.linger;
        let over = |flow: &Flow<S>| flow.ended() && now.time.since(flow.last.time) > linger;
        let slots: Vec<usize> = (0..self.flows.len())
            .filter(|slot| self.flows.get(*slot).is_some_and(|flow| flow.as_deref().is_some_and(over)))
            .collect();
        slots.into_iter().for_each(|slot| self.hand_over(slot));
        self.ended.sort_by_key(|flow| flow.id);
    }

    /// Hands over the quarter of the connections that were idle the longest.
    fn evict(&mut self) {
        let mut live: Vec<(Moment, usize)> = self
            .flows
            .iter()
            .enumerate()
            .filter_map(|(slot, flow)| flow.as_deref().map(|flow| (flow.last, slot)))
            .collect();
        live.sort_unstable();
        live.truncate(self.limits.live.div_ceil(4));
        live.into_iter().for_each(|(_, slot)| self.hand_over(slot));
        self.ended.sort_by_key(|flow| flow.id);
    }

    fn hand_over(&mut self, slot: usize) {
        let Some(flow) = self.flows.get_mut(slot).and_then(Option::take) else { return };
        self.free.push(slot);
        self.entries.insert(flow.key, Entry::Over(flow.id.0));
        self.remember(flow.key, flow.id.0);
        self.ended.push(flow);
    }
}

/// Whether the first packet seen of a connection comes from the side that opened it.
fn is_from_client(tcp: &Tcp<'_>) -> bool {
    if tcp.flags.syn() {
        return !tcp.flags.ack();
    }
    // Without the opening the well-known port is the server's; between two others the smaller one.
    let well_known = |port: u16| matches!(port, 53 | 80 | 443 | 853 | 1080 | 3128 | 8080 | 8443) || port < 1024;
    match (well_known(tcp.source_port), well_known(tcp.destination_port)) {
        (false, true) => true,
        (true, false) => false,
        _ => tcp.source_port >= tcp.destination_port,
    }
}

/// Whether a SYN opens another connection than the one known under its addresses and ports: its sequence number is not
/// the one that the sender's first packet, or the first acknowledgement of it, implies. So does Wireshark, and so a SYN
/// that was recorded after its answer finds the connection.
fn starts_anew<S>(flow: &Flow<S>, ip: &Ip, tcp: &Tcp<'_>) -> bool {
    let direction = flow.direction_from(SocketAddr::new(ip.source, tcp.source_port));
    flow.bases.of(direction).is_some_and(|base| base != tcp.seq)
}

impl<S> Flow<S> {
    fn take<'p>(&mut self, at: Moment, direction: Direction, ip: &Ip, tcp: &Tcp<'p>) -> (Pieces<'p>, bool) {
        let mark = IpMark { ttl: ip.ttl, id: ip.id, dont_fragment: ip.dont_fragment };
        let mut segment = Segment {
            at,
            direction,
            ip: mark,
            reserved_bit: ip.reserved_bit,
            flags: tcp.flags,
            seq: tcp.seq,
            ack: tcp.ack,
            window: tcp.window,
            length: tcp.declared,
            timestamps: tcp.options.timestamps.is_some(),
            sack: tcp.options.sack,
            kind: SegmentKind::Regular,
        };
        if self.recorded_before(&segment) {
            segment.kind = SegmentKind::Duplicate;
            self.log.push(segment);
            return (Pieces::None, true);
        }
        if tcp.flags.syn() {
            *self.bases.of_mut(direction) = Some(tcp.seq);
        } else {
            self.bases.of_mut(direction).get_or_insert(tcp.seq.wrapping_sub(1));
        }
        if tcp.flags.ack() {
            self.bases.of_mut(direction.reversed()).get_or_insert(tcp.ack.wrapping_sub(1));
        }
        self.last = at;
        let counter = self.packets.of_mut(direction);
        *counter = counter.saturating_add(1);
        let mut pieces = Pieces::None;
        if tcp.flags.syn() {
            self.take_syn(at, direction, tcp);
        }
        if tcp.flags.rst() {
            self.take_reset(at, direction, tcp);
            self.log.push(segment);
            return (pieces, false);
        }
        if tcp.flags.ack() {
            self.streams.of_mut(direction.reversed()).acknowledge(tcp.ack);
        }
        let data_seq = if tcp.flags.syn() { tcp.seq.wrapping_add(1) } else { tcp.seq };
        if tcp.declared > 0 {
            self.data_segments = self.data_segments.saturating_add(1);
            let data = Data { at, ip: mark, seq: data_seq, length: tcp.declared, bytes: tcp.payload };
            let (kind, conflict) = self.streams.of_mut(direction).push(direction, data, &mut pieces);
            segment.kind = kind;
            if let Some(conflict) = conflict.filter(|_| self.conflicts.len() < ODDITIES) {
                self.conflicts.push(conflict);
            }
        }
        if tcp.flags.fin() {
            self.streams.of_mut(direction).finished(data_seq.wrapping_add(tcp.declared), at);
        }
        self.log.push(segment);
        (pieces, false)
    }

    fn take_syn(&mut self, at: Moment, direction: Direction, tcp: &Tcp<'_>) {
        self.streams.of_mut(direction).opened(tcp.seq);
        if tcp.flags.ack() {
            if self.syn_ack.is_none() {
                self.syn_ack = Some(at);
            }
        } else {
            self.syn_count = self.syn_count.saturating_add(1);
            if self.syns.len() < SYNS {
                self.syns.push(at);
            }
        }
    }

    /// RFC 9293 §3.10.7, RFC 5961 §3.2: a reset counts at exactly the next sequence number; before the connection is
    /// established, when it acknowledges the SYN. One inside the window alone only draws a challenge acknowledgement.
    fn take_reset(&mut self, at: Moment, direction: Direction, tcp: &Tcp<'_>) {
        let unanswered = self.syn_ack.is_none() && !self.syns.is_empty();
        if direction == Direction::ToClient && unanswered && !self.streams.to_client.carried_data {
            let acknowledges_syn = tcp.flags.ack()
                && self.streams.to_server.initial_seq.is_none_or(|initial| tcp.ack == initial.wrapping_add(1));
            if acknowledges_syn && self.refused.is_none() {
                self.refused = Some(at);
            }
            if acknowledges_syn && self.reset.is_none() {
                self.reset = Some((direction, at));
            }
            return;
        }
        let stream = self.streams.of(direction);
        let valid = match stream.offset_of(tcp.seq) {
            // A receiver expects what it acknowledged last, what was sent last and is still to be acknowledged, or
            // (Linux, `tcp_validate_incoming`) the right edge of what it acknowledged selectively.
            Some(offset) => {
                offset == stream.next_offset()
                    || Some(offset) == stream.acknowledged
                    || offset == stream.highest
                    || stream.fin.is_some_and(|(fin, _)| offset == fin + 1)
            }
            None => true,
        };
        if valid && self.reset.is_none() {
            self.reset = Some((direction, at));
        }
    }

    /// The same packet once more: a recorder on several interfaces, or a mirror port that copies both ways.
    fn recorded_before(&self, new: &Segment) -> bool {
        let same = |old: &Segment| {
            old.direction == new.direction
                && (old.seq, old.ack, old.flags, old.window, old.length, old.ip.id, old.sack)
                    == (new.seq, new.ack, new.flags, new.window, new.length, new.ip.id, new.sack)
                && old.ip.ttl.abs_diff(new.ip.ttl) <= 1
        };
        // A bare acknowledgement or reset without an identification looks like the one before it and yet is another packet.
        let telling = new.ip.id != 0 || new.length > 0 || new.flags.has(TcpFlags::SYN) || new.flags.has(TcpFlags::FIN);
        telling
            && self
                .log
                .recent()
                .take(6)
                .take_while(|old| new.at.time.since(old.at.time).abs() <= DUPLICATE_WINDOW)
                .any(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::TcpOptions;
    use crate::types::{FrameNo, Timestamp};

    const CLIENT: &str = "192.0.2.1";
    const SERVER: &str = "198.51.100.2";

    struct Wire {
        tracker: Tracker<()>,
        number: u32,
        id: u16,
    }

    impl Wire {
        fn new() -> Self {
            Self { tracker: Tracker::new(Limits::default()), number: 0, id: 0 }
        }

        fn send(
            &mut self,
            from_client: bool,
            port: u16,
            flags: u16,
            seq: u32,
            ack: u32,
            payload: &[u8],
        ) -> Option<FlowId> {
            self.id += 1;
            self.send_as(self.id, from_client, port, flags, seq, ack, payload)
        }

        #[expect(clippy::too_many_arguments, reason = "a packet has that many fields")]
        fn send_as(
            &mut self,
            id: u16,
            from_client: bool,
            port: u16,
            flags: u16,
            seq: u32,
            ack: u32,
            payload: &[u8],
        ) -> Option<FlowId> {
            self.number += 1;
            let time = Timestamp::from_nanos(i64::from(self.number) * 1_000_000);
            let at = Moment { time, frame: FrameNo { file: 0, number: self.number } };
            let (a, b) = (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
            let (source, destination) = if from_client { (a, b) } else { (b, a) };
            let ip = Ip { source, destination, ttl: 64, id, dont_fragment: true, reserved_bit: false };
            let (source_port, destination_port) = if from_client { (port, 443) } else { (443, port) };
            let tcp = Tcp {
                source_port,
                destination_port,
                seq,
                ack,
                flags: TcpFlags(flags),
                window: 1000,
                options: TcpOptions::default(),
                payload,
                declared: u32::try_from(payload.len()).unwrap(),
            };
            self.tracker.push(at, &ip, &tcp).map(|step| step.flow.id)
        }

        fn one(mut self) -> Box<Flow<()>> {
            let mut flows = self.tracker.finish();
            assert_eq!(flows.len(), 1);
            flows.remove(0)
        }
    }

    const S: u16 = TcpFlags::SYN;
    const A: u16 = TcpFlags::ACK;
    const R: u16 = TcpFlags::RST;

    #[test]
    fn port_reuse_is_a_new_connection_and_a_repeated_syn_is_not() {
        let mut wire = Wire::new();
        assert_eq!(wire.send(true, 5000, S, 100, 0, b""), Some(FlowId(0)));
        assert_eq!(wire.send(true, 5000, S, 100, 0, b""), Some(FlowId(0)));
        assert_eq!(wire.send(true, 5000, S, 777, 0, b""), Some(FlowId(1)));
        let flows = wire.tracker.finish();
        assert_eq!(flows.iter().map(|flow| flow.syn_count).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn a_syn_recorded_after_its_answer_finds_the_connection_and_one_after_an_old_tail_does_not() {
        let mut wire = Wire::new();
        assert_eq!(wire.send(false, 5000, S | A, 900, 101, b""), Some(FlowId(0)));
        assert_eq!(wire.send(true, 5000, S, 100, 0, b""), Some(FlowId(0)));
        assert_eq!(wire.send(true, 6000, A, 4_000, 900, b"tail"), Some(FlowId(1)));
        assert_eq!(wire.send(true, 6000, S, 100, 0, b""), Some(FlowId(2)));
    }

    #[test]
    fn a_connection_only_quoted_so_far_has_its_number_already_and_is_not_counted() {
        let mut wire = Wire::new();
        for port in [7000, 7000, 7001] {
            wire.tracker.quoted(format!("10.0.0.2:{port}").parse().unwrap(), format!("{SERVER}:443").parse().unwrap());
        }
        assert_eq!(wire.tracker.count(), 0);
        assert_eq!(wire.send(true, 5000, S, 100, 0, b""), Some(FlowId(2)));
        let (a, b) = (format!("{CLIENT}:5001"), format!("{SERVER}:443"));
        wire.tracker.quoted(a.parse().unwrap(), b.parse().unwrap());
        assert_eq!(wire.send(true, 5001, S, 100, 0, b""), Some(FlowId(3)));
        assert_eq!(wire.tracker.count(), 2);
    }

    #[test]
    fn a_reset_counts_only_at_the_expected_sequence_number() {
        let mut wire = Wire::new();
        wire.send(true, 5000, S, 100, 0, b"");
        wire.send(false, 5000, S | A, 900, 101, b"");
        wire.send(true, 5000, A, 101, 901, b"hello");
        wire.send(false, 5000, R, 5_000, 0, b"");
        let live = wire.tracker.flows[0].as_ref().unwrap();
        assert_eq!(live.reset, None, "off the expected number it only draws a challenge");
        wire.send(false, 5000, R, 901, 0, b"");
        assert_eq!(wire.one().reset.unwrap().1.frame.number, 5);
    }

    #[test]
    fn a_refusal_must_acknowledge_the_syn() {
        let mut wire = Wire::new();
        wire.send(true, 5000, S, 100, 0, b"");
        wire.send(false, 5000, R | A, 0, 4_711, b"");
        assert_eq!(wire.tracker.flows[0].as_ref().unwrap().refused, None);
        wire.send(false, 5000, R | A, 0, 101, b"");
        assert_eq!(wire.one().refused.unwrap().frame.number, 3);
    }

    #[test]
    fn the_same_packet_recorded_twice_is_dropped_and_two_resets_without_identification_are_not() {
        let mut wire = Wire::new();
        wire.send_as(7, true, 5000, S, 100, 0, b"");
        wire.send_as(7, true, 5000, S, 100, 0, b"");
        wire.send_as(0, false, 5000, R, 0, 0, b"");
        wire.send_as(0, false, 5000, R, 0, 0, b"");
        let flow = wire.one();
        assert_eq!((flow.syn_count, flow.packets.to_server, flow.packets.to_client), (1, 1, 2));
    }

    #[test]
    fn a_connection_without_its_start_is_told_by_the_well_known_port() {
        let mut wire = Wire::new();
        wire.send(false, 5000, A, 900, 101, b"data");
        let flow = wire.one();
        assert_eq!((flow.server.port(), flow.client.port()), (443, 5000));
        assert!(flow.syns.is_empty());
    }

    #[test]
    fn ten_thousand_connections_stay_within_the_limit_and_keep_their_numbers() {
        let mut wire = Wire::new();
        wire.tracker.limits = Limits { live: 64, remembered: 128, linger: Span::from_seconds(1), lingering: 8 };
        for port in 1..=10_000u16 {
            wire.send(true, port, S, 1, 0, b"");
        }
        assert!(wire.tracker.flows.len() <= 64);
        assert!(wire.tracker.entries.len() <= 64 + 128 + 1);
        let flows = wire.tracker.finish();
        assert_eq!(flows.len(), 10_000, "each is handed over once");
        assert!(flows.iter().enumerate().all(|(index, flow)| flow.id.0 as usize == index));
    }
}
