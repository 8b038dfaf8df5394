//! Puts fragments of IPv4 (RFC 791 §3.2) and IPv6 (RFC 8200 §4.5) together, within bounds of count, bytes and time.
//!
//! What a packet's first fragment to bring a byte says, stays; a fragment that overlaps without being a repetition is
//! malformed (RFC 5722, RFC 1858).

use std::collections::VecDeque;
use std::net::IpAddr;

use hashbrown::HashMap;

use super::layer::{Fragment, Layer, Reading};
use super::{Ip, Unread, ip};
use crate::types::{Span, Timestamp};

/// How long parts of a packet are kept: the 30 seconds of Linux (`net.ipv4.ipfrag_time`).
const LIFE: Span = Span::from_seconds(30);
/// Parts that arrive so soon after their packet became whole are a second recording of the same parts.
const ECHO: Span = Span::from_millis(100);
/// How many whole packets are remembered for that.
const ECHOES: usize = 32;
/// Packets in parts at any time.
const MAX_PACKETS: usize = 1024;
/// Bytes kept at any time.
const MAX_BYTES: usize = 8 << 20;
/// Parts of one packet.
const MAX_PIECES: usize = 512;
/// The largest payload of an IP packet.
const MAX_PAYLOAD: usize = 65_535;

/// What tells the parts of one packet from those of others. IPv6 leaves the protocol out (RFC 8200 §4.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    protocol: Option<u8>,
}

/// A packet put together.
pub(super) struct Whole {
    ip: Ip,
    protocol: u8,
    depth: u8,
    bytes: Vec<u8>,
    /// More than `bytes.len()` where a part was cut.
    wire: usize,
}

impl Whole {
    /// Goes on reading behind its IP header.
    pub(super) fn read(&self) -> Reading<'_> {
        ip::resume(self.ip, self.protocol, Layer::new(&self.bytes, self.wire), self.depth)
    }

    /// Whether bytes are missing.
    pub(super) fn cut(&self) -> bool {
        self.bytes.len() < self.wire
    }
}

/// A stretch of a packet that is there: all of it declared, and recorded up to `recorded`.
#[derive(Clone, Copy)]
struct Piece {
    start: usize,
    recorded: usize,
    end: usize,
}

/// A packet that is not whole yet.
struct Partial {
    /// Tells it from an earlier one with the same key.
    serial: u64,
    since: Timestamp,
    first: Option<(Ip, u8)>,
    depth: u8,
    total: Option<usize>,
    /// In order, without overlap.
    pieces: Vec<Piece>,
    bytes: Vec<u8>,
    /// How many fragments brought something.
    fragments: u64,
}

/// What a fragment did to its packet.
enum Effect {
    Added,
    Repeated,
    Overlapped,
}

/// All packets that are not whole yet.
#[derive(Default)]
pub(super) struct Fragments {
    partial: HashMap<Key, Partial>,
    /// Keys by age, with the serial of the packet that they meant.
    order: VecDeque<(Key, u64)>,
    finished: VecDeque<(Key, Timestamp)>,
    serial: u64,
    bytes: usize,
    waiting: u64,
}

impl Fragments {
    /// Fragments whose packet is not whole yet.
    pub(super) const fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Takes a fragment; the packet, when that made it whole.
    pub(super) fn push(&mut self, fragment: &Fragment<'_>, time: Timestamp, unread: &mut Unread) -> Option<Whole> {
        self.forget_old(time, unread);
        let end = fragment.offset.checked_add(fragment.body.wire)?;
        let ragged = fragment.more && !fragment.body.wire.is_multiple_of(8);
        if ragged || end > MAX_PAYLOAD || fragment.body.wire == 0 {
            unread.malformed = unread.malformed.saturating_add(1);
            return None;
        }
        let key = Key {
            source: fragment.ip.source,
            destination: fragment.ip.destination,
            id: fragment.id,
            protocol: fragment.ip.source.is_ipv4().then_some(fragment.protocol),
        };
        if !self.partial.contains_key(&key) {
            if self.finished.iter().any(|(done, at)| *done == key && time.since(*at).abs() < ECHO) {
                return None;
            }
            self.begin(key, time, fragment.depth);
        }
        let partial = self.partial.get_mut(&key)?;
        let before = partial.bytes.len();
        let effect = partial.add(fragment, end);
        self.bytes = self.bytes.saturating_add(partial.bytes.len().saturating_sub(before));
        match effect {
            Effect::Added => {
                partial.fragments = partial.fragments.saturating_add(1);
                self.waiting = self.waiting.saturating_add(1);
            }
            Effect::Repeated => return None,
            Effect::Overlapped => unread.malformed = unread.malformed.saturating_add(1),
        }
        if !partial.is_whole() {
            self.keep_bounds(unread);
            return None;
        }
        let partial = self.remove(key)?;
        if self.finished.len() >= ECHOES {
            self.finished.pop_front();
        }
        self.finished.push_back((key, time));
        partial.into_whole()
    }

    fn begin(&mut self, key: Key, since: Timestamp, depth: u8) {
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        let empty =
            Partial { serial, since, first: None, depth, total: None, pieces: vec![], bytes: vec![], fragments: 0 };
        self.partial.insert(key, empty);
        self.order.push_back((key, serial));
    }

    fn remove(&mut self, key: Key) -> Option<Partial> {
        let partial = self.partial.remove(&key)?;
        self.bytes = self.bytes.saturating_sub(partial.bytes.len());
        self.waiting = self.waiting.saturating_sub(partial.fragments);
        Some(partial)
    }

    /// Gives up the packet that waits longest.
    fn forget_oldest(&mut self, unread: &mut Unread) {
        if let Some((key, _)) = self.order.pop_front()
            && let Some(partial) = self.remove(key)
        {
            unread.fragments = unread.fragments.saturating_add(partial.fragments);
        }
    }

    /// Gives up what waits too long. Packets that became whole leave their place in the order behind.
    fn forget_old(&mut self, now: Timestamp, unread: &mut Unread) {
        while let Some((key, serial)) = self.order.front() {
            match self.partial.get(key) {
                Some(partial) if partial.serial == *serial => {
                    if now.since(partial.since) <= LIFE {
                        return;
                    }
                    self.forget_oldest(unread);
                }
                _ => {
                    self.order.pop_front();
                }
            }
        }
    }

    fn keep_bounds(&mut self, unread: &mut Unread) {
        while self.partial.len() > MAX_PACKETS || self.bytes > MAX_BYTES {
            let Some((key, serial)) = self.order.front() else { return };
            if self.partial.get(key).is_some_and(|partial| partial.serial == *serial) {
                self.forget_oldest(unread);
            } else {
                self.order.pop_front();
            }
        }
        // Places of packets that became whole pile up behind one that waits.
        if self.order.len() > 4 * MAX_PACKETS {
            let partial = &self.partial;
            self.order.retain(|(key, serial)| partial.get(key).is_some_and(|one| one.serial == *serial));
        }
    }
}

impl Partial {
    /// Takes the bytes of `fragment`, which ends at `end`, where nothing is yet.
    fn add(&mut self, fragment: &Fragment<'_>, end: usize) -> Effect {
        let start = fragment.offset;
        if self.pieces.iter().any(|piece| piece.start == start && piece.end == end && self.same(piece, fragment)) {
            return Effect::Repeated;
        }
        let last = self.pieces.last().map_or(0, |piece| piece.end);
        let beyond = self.total.is_some_and(|total| end > total || (!fragment.more && end != total));
        if beyond || (!fragment.more && end < last) || self.pieces.len() >= MAX_PIECES {
            return Effect::Overlapped;
        }
        if !fragment.more {
            self.total = Some(end);
        }
        if start == 0 && self.first.is_none() {
            self.first = Some((fragment.ip, fragment.protocol));
        }
        let mut overlapped = false;
        let mut added = Vec::new();
        let mut at = start;
        for piece in &self.pieces {
            if piece.end <= at {
                continue;
            }
            if piece.start >= end {
                break;
            }
            overlapped = true;
            if piece.start > at {
                added.push((at, piece.start));
            }
            at = piece.end;
        }
        if at < end {
            added.push((at, end));
        }
        for (from, to) in added {
            self.fill(fragment, from, to);
        }
        self.pieces.sort_unstable_by_key(|piece| piece.start);
        if overlapped { Effect::Overlapped } else { Effect::Added }
    }

    /// Whether `fragment` says what is there already, as far as both were recorded.
    fn same(&self, piece: &Piece, fragment: &Fragment<'_>) -> bool {
        let there = self.bytes.get(piece.start..piece.recorded).unwrap_or_default();
        there.iter().zip(fragment.body.bytes).all(|(one, other)| one == other)
    }

    /// Copies what `fragment` holds of `from..to`.
    fn fill(&mut self, fragment: &Fragment<'_>, from: usize, to: usize) {
        let held = fragment.body.bytes;
        let first = from.saturating_sub(fragment.offset).min(held.len());
        let last = to.saturating_sub(fragment.offset).min(held.len());
        let new = held.get(first..last).unwrap_or_default();
        let recorded = from.saturating_add(new.len());
        if self.bytes.len() < recorded {
            self.bytes.resize(recorded, 0);
        }
        if let Some(place) = self.bytes.get_mut(from..recorded) {
            place.copy_from_slice(new);
        }
        self.pieces.push(Piece { start: from, recorded, end: to });
    }

    fn is_whole(&self) -> bool {
        let mut at = 0;
        for piece in &self.pieces {
            if piece.start != at {
                return false;
            }
            at = piece.end;
        }
        self.total == Some(at) && self.first.is_some()
    }

    /// Only what was recorded without a gap from the start can be read.
    fn into_whole(mut self) -> Option<Whole> {
        let (ip, protocol) = self.first?;
        let gap = self.pieces.iter().find(|piece| piece.recorded < piece.end);
        self.bytes.truncate(gap.map_or(MAX_PAYLOAD, |piece| piece.recorded));
        Some(Whole { ip, protocol, depth: self.depth, wire: self.total?, bytes: self.bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::{CLIENT, SERVER, frame, ipv4, ipv4_part, ipv6, join, packet_ports, segment, udp};
    use super::super::{Decoder, Packet, Transport, Unread};
    use super::*;

    const MORE: u16 = 0x2000;

    /// Feeds whole frames at their seconds; the last packet that came of them, by payload and time to live.
    fn feed(decoder: &mut Decoder, frames: &[(i64, Vec<u8>)]) -> Option<(Vec<u8>, u8)> {
        let mut last = None;
        for (second, bytes) in frames {
            let mut frame = frame(101, bytes);
            frame.time = Timestamp::from_seconds(*second);
            if let Some(Packet { ip, transport: Transport::Udp(udp), .. }) = decoder.decode(&frame) {
                last = Some((udp.payload.to_vec(), ip.ttl));
            }
        }
        last
    }

    /// A datagram with `payload` in parts of `size` bytes.
    fn parts(payload: &[u8], size: usize) -> Vec<Vec<u8>> {
        let datagram = udp(53, 9, payload);
        let count = datagram.chunks(size).len();
        let part = |(index, chunk): (usize, &[u8])| {
            let place = u16::try_from(index * size / 8).unwrap() | if index + 1 < count { MORE } else { 0 };
            ipv4_part(17, place, 77, chunk)
        };
        datagram.chunks(size).enumerate().map(part).collect()
    }

    #[test]
    fn parts_in_any_order_make_the_packet_of_the_first_fragment() {
        let payload: Vec<u8> = (0..100).collect();
        let mut all = parts(&payload, 24);
        all[0][8] = 33;
        for turn in 0..all.len() {
            let mut decoder = Decoder::new();
            all.rotate_left(turn);
            let frames: Vec<_> = all.iter().map(|part| (1, part.clone())).collect();
            assert_eq!(feed(&mut decoder, &frames), Some((payload.clone(), 33)));
            assert_eq!(decoder.unread(), Unread::default());
        }
    }

    #[test]
    fn rfc_8200_fragments_of_a_tunnelled_segment() {
        let inner = ipv4(4, &segment());
        let (one, two) = inner.split_at(32);
        let first = ipv6(44, &join(&[&[4, 0, 0, 1, 0, 0, 0, 9], one]));
        let second = ipv6(44, &join(&[&[4, 0, 0, 32, 0, 0, 0, 9], two]));
        let mut decoder = Decoder::new();
        assert_eq!(decoder.decode(&frame(101, &second)), None);
        assert_eq!(decoder.unread().fragments, 1);
        let packet = decoder.decode(&frame(101, &first)).unwrap();
        assert_eq!(packet_ports(&packet), Some((CLIENT, SERVER)));
        assert_eq!(decoder.unread(), Unread::default());
    }

    #[test]
    fn fragments_inside_fragments_are_put_together() {
        let inner = parts(&[7; 32], 24);
        let mut decoder = Decoder::new();
        let (one, two) = inner[1].split_at(24);
        let frames = [(1, ipv4(4, &inner[0])), (1, ipv4_part(4, MORE, 5, one)), (1, ipv4_part(4, 3, 5, two))];
        assert_eq!(feed(&mut decoder, &frames), Some((vec![7; 32], 61)));
    }

    #[test]
    fn the_first_to_come_wins_and_an_overlap_is_malformed() {
        let all = parts(&[1; 40], 24);
        let forged = ipv4_part(17, MORE | 1, 77, &[9; 16]);
        let mut decoder = Decoder::new();
        let frames = [(1, all[0].clone()), (1, forged), (1, all[1].clone())];
        assert_eq!(feed(&mut decoder, &frames), Some((vec![1; 40], 61)));
        assert_eq!(decoder.unread(), Unread { malformed: 1, ..Unread::default() });
    }

    #[test]
    fn a_packet_recorded_twice_is_no_overlap_and_leaves_nothing_behind() {
        let all = parts(&[1; 40], 24);
        let frames: Vec<_> = all.iter().flat_map(|part| [(1, part.clone()), (1, part.clone())]).collect();
        let mut decoder = Decoder::new();
        assert_eq!(feed(&mut decoder, &frames), Some((vec![1; 40], 61)));
        assert_eq!(decoder.unread(), Unread::default());
    }

    #[test]
    fn parts_are_given_up_after_their_life() {
        let all = parts(&[1; 40], 24);
        let mut decoder = Decoder::new();
        assert_eq!(feed(&mut decoder, &[(1, all[0].clone()), (32, all[1].clone())]), None);
        assert_eq!(decoder.unread(), Unread { fragments: 2, ..Unread::default() });
        assert!(feed(&mut decoder, &[(33, all[0].clone())]).is_some());
        assert_eq!(decoder.unread(), Unread { fragments: 1, ..Unread::default() });
    }

    #[test]
    fn parts_that_cannot_be_are_malformed() {
        for bytes in [ipv4_part(17, MORE, 1, &[0; 9]), ipv4_part(17, 0x1fff, 1, &[0; 8]), ipv4_part(17, 5, 1, &[])] {
            let mut decoder = Decoder::new();
            assert_eq!(feed(&mut decoder, &[(1, bytes)]), None);
            assert_eq!(decoder.unread(), Unread { malformed: 1, ..Unread::default() });
        }
    }

    #[test]
    fn a_part_beyond_the_end_is_not_taken() {
        let mut decoder = Decoder::new();
        let beyond = ipv4_part(17, 20, 77, &[9; 8]);
        let mut all = parts(&[1; 40], 24);
        all.insert(1, beyond);
        all.swap(0, 2);
        let frames: Vec<_> = all.into_iter().map(|part| (1, part)).collect();
        assert_eq!(feed(&mut decoder, &frames), Some((vec![1; 40], 61)));
        assert_eq!(decoder.unread(), Unread { malformed: 1, ..Unread::default() });
    }

    #[test]
    fn cut_parts_make_a_packet_that_is_cut() {
        let all = parts(&[1; 64], 40);
        let mut decoder = Decoder::new();
        let mut first = frame(101, &all[0][..44]);
        first.original_length = 60;
        assert_eq!(decoder.decode(&first), None);
        let packet = decoder.decode(&frame(101, &all[1])).unwrap();
        let Transport::Udp(udp) = packet.transport else { panic!("no datagram") };
        assert_eq!((udp.payload.len(), udp.declared, packet.missing), (16, 64, 48));
    }

    #[test]
    fn a_flood_stays_within_bounds() {
        let mut decoder = Decoder::new();
        let sent = 4 * u64::try_from(MAX_PACKETS).unwrap();
        for id in 0..sent {
            let bytes = ipv4_part(17, 0x1ff0, u16::try_from(id).unwrap(), &[0; 8]);
            decoder.decode(&frame(101, &bytes));
            assert!(decoder.fragments.partial.len() <= MAX_PACKETS && decoder.fragments.bytes <= MAX_BYTES);
        }
        assert_eq!(decoder.unread(), Unread { fragments: sent, ..Unread::default() });
        assert_eq!(
            decoder.fragments.bytes,
            decoder.fragments.partial.values().map(|one| one.bytes.len()).sum::<usize>()
        );
    }
}
