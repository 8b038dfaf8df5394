//! One direction of a TCP connection: puts segments in order, finds holes, overlaps and contradictions.
//!
//! Offsets count from the stream's first byte as 64-bit numbers, so wrapped sequence numbers need no care outside of
//! [`Stream::offset_of`].

use crate::observation::{Conflict, Gap, IpMark, SegmentKind, Veil};
use crate::types::{Direction, Moment, Span};

/// Bytes held back in one stream while a hole is open. Beyond it the hole is given up.
const HELD_BYTES: usize = 1 << 20;
/// Ranges held back in one stream while a hole is open.
const HELD_RANGES: usize = 4096;
/// Segments after which a hole that the receiver has acknowledged is taken for a loss of the recorder.
///
/// Recorders may swap packets of the two directions, so the first acknowledgement is no proof yet.
const PATIENCE_SEGMENTS: u32 = 16;
/// Time after which such a hole is taken for a loss.
const PATIENCE: Span = Span::from_millis(1_000);
/// Gaps kept in detail per stream.
const GAPS: usize = 32;
/// Segments whose first bytes are remembered, to notice different contents for the same range.
const REMEMBERED: usize = 8;
/// Bytes remembered of each.
const PREFIX: usize = 16;

/// A part of a stream, in order.
#[derive(Debug)]
pub(crate) struct Piece<'a> {
    /// The packet that carried it; for a gap, the one that showed it.
    pub(crate) at: Moment,
    pub(crate) body: Body<'a>,
}

/// Bytes, or the honest statement that there were some.
#[derive(Debug)]
pub(crate) enum Body<'a> {
    /// Bytes of the packet at hand.
    Slice(&'a [u8]),
    /// Bytes that had to wait for others.
    Held(Vec<u8>),
    /// Bytes that are not in the recording, or never arrived.
    Gap { length: u64, veil: Veil },
}

/// What a segment sets free, in order. Mostly nothing or one slice.
#[derive(Debug, Default)]
pub(crate) enum Pieces<'a> {
    #[default]
    None,
    One(Piece<'a>),
    Many(Vec<Piece<'a>>),
}

impl<'a> Pieces<'a> {
    fn add(&mut self, piece: Piece<'a>) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(piece),
            Self::One(first) => Self::Many(vec![first, piece]),
            Self::Many(mut pieces) => {
                pieces.push(piece);
                Self::Many(pieces)
            }
        };
    }

    /// All of them, in order, for those who want to see them twice.
    pub(crate) fn into_vec(self) -> Vec<Piece<'a>> {
        match self {
            Self::None => Vec::new(),
            Self::One(piece) => vec![piece],
            Self::Many(pieces) => pieces,
        }
    }
}

impl<'a> IntoIterator for Pieces<'a> {
    type Item = Piece<'a>;
    type IntoIter = std::iter::Chain<std::option::IntoIter<Piece<'a>>, std::vec::IntoIter<Piece<'a>>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, many) = match self {
            Self::None => (None, Vec::new()),
            Self::One(piece) => (Some(piece), Vec::new()),
            Self::Many(pieces) => (None, pieces),
        };
        one.into_iter().chain(many)
    }
}

/// Data beyond a hole.
#[derive(Debug)]
struct Held {
    offset: u64,
    length: u64,
    /// As recorded: shorter than `length` where the frame was cut, empty when nobody wants the bytes.
    bytes: Vec<u8>,
    at: Moment,
}

/// The beginning of a segment that was taken, to compare later ones with.
#[derive(Clone, Copy, Debug)]
struct Remembered {
    offset: u64,
    kept: usize,
    prefix: [u8; PREFIX],
    at: Moment,
    ip: IpMark,
}

/// A segment's data, as the stream wants to know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Data<'a> {
    pub(crate) at: Moment,
    pub(crate) ip: IpMark,
    /// Sequence number of its first byte.
    pub(crate) seq: u32,
    /// Length as declared.
    pub(crate) length: u32,
    /// As recorded.
    pub(crate) bytes: &'a [u8],
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// Sequence number of offset 0.
    base: Option<u32>,
    /// The SYN's sequence number, where it was seen.
    pub(crate) initial_seq: Option<u32>,
    /// All before this offset was handed on.
    next: u64,
    /// One past the highest byte seen.
    pub(crate) highest: u64,
    /// How far the receiver acknowledged.
    pub(crate) acknowledged: Option<u64>,
    /// Offset of the FIN and the packet that carried it.
    pub(crate) fin: Option<(u64, Moment)>,
    /// Data were seen.
    pub(crate) carried_data: bool,
    /// Nobody reads the bytes any more; order and holes are still tracked.
    pub(crate) unread: bool,
    pub(crate) retransmissions: u32,
    pub(crate) gaps: Vec<Gap>,
    /// Holes that the receiver acknowledged.
    pub(crate) lost: u32,
    held: Vec<Held>,
    held_bytes: usize,
    hole_since: Option<Moment>,
    hole_patience: u32,
    remembered: Vec<Remembered>,
    oldest_remembered: usize,
}

impl Stream {
    /// Fixes offset 0 behind a SYN.
    pub(crate) fn opened(&mut self, syn_seq: u32) {
        if !self.carried_data && self.initial_seq != Some(syn_seq) {
            self.initial_seq = Some(syn_seq);
            self.base = Some(syn_seq.wrapping_add(1));
        }
    }

    /// The offset of a sequence number, taken as the one nearest to what comes next; `None` before the stream's start.
    pub(crate) fn offset_of(&self, seq: u32) -> Option<u64> {
        let base = self.base?;
        let low = (self.next & 0xffff_ffff) as u32;
        let expected = base.wrapping_add(low);
        let distance = i64::from(seq.wrapping_sub(expected).cast_signed());
        self.next.checked_add_signed(distance)
    }

    /// The offset up to which all was handed on.
    pub(crate) const fn next_offset(&self) -> u64 {
        self.next
    }

    /// The receiver acknowledged up to `ack`.
    pub(crate) fn acknowledge(&mut self, ack: u32) {
        if self.base.is_none() {
            // Nothing was seen of this direction yet: what is acknowledged now is where it will go on.
            self.base = Some(ack);
        }
        let Some(mut offset) = self.offset_of(ack) else { return };
        if let Some((fin, _)) = self.fin {
            // The FIN takes a sequence number of its own, which is no byte of the stream.
            offset = offset.min(fin);
        }
        // An acknowledgement of what was never sent cannot be the receiver's: it would poison the count.
        if self.carried_data && offset > self.highest.saturating_add(1 << 30) {
            return;
        }
        self.acknowledged = Some(self.acknowledged.map_or(offset, |known| known.max(offset)));
    }

    /// Takes a FIN that stands at `seq`.
    pub(crate) fn finished(&mut self, seq: u32, at: Moment) {
        if self.fin.is_some() {
            return;
        }
        if self.base.is_none() {
            self.base = Some(seq);
        }
        if let Some(offset) = self.offset_of(seq) {
            self.fin = Some((offset, at));
            // Its acknowledgement may have been recorded before it.
            self.acknowledged = self.acknowledged.map(|known| if known == offset + 1 { offset } else { known });
        }
    }

    /// Takes a segment's data. Returns what it is to the stream, a contradiction if it shows one, and adds what can be handed on.
    pub(crate) fn push<'a>(
        &mut self,
        direction: Direction,
        data: Data<'a>,
        pieces: &mut Pieces<'a>,
    ) -> (SegmentKind, Option<Conflict>) {
        if self.base.is_none() {
            self.base = Some(data.seq);
        }
        self.carried_data = true;
        let Some(offset) = self.offset_of(data.seq) else { return (SegmentKind::Retransmission, None) };
        let end = offset.saturating_add(u64::from(data.length));
        let fresh = end > self.highest;
        self.highest = self.highest.max(end);
        if offset == self.next {
            self.remember(offset, data);
            self.hand_on(data.at, u64::from(data.length), Body::Slice(data.bytes), data.bytes.len(), pieces);
            self.drain(pieces);
            return (SegmentKind::Regular, None);
        }
        if offset > self.next {
            let kind = if fresh { SegmentKind::OutOfOrder } else { SegmentKind::Retransmission };
            self.hold(offset, data);
            self.give_up_lost_hole(data.at, pieces);
            return (kind, None);
        }
        let conflict = self.contradiction(direction, offset, data);
        if end <= self.next {
            // A one-byte segment just below the edge is a keep-alive probe (RFC 9293 §3.8.4), not sent again.
            if !(data.length <= 1 && end == self.next) {
                self.retransmissions += 1;
            }
            return (SegmentKind::Retransmission, conflict);
        }
        let known = usize::try_from(self.next - offset).unwrap_or(usize::MAX);
        let rest = data.bytes.get(known..).unwrap_or_default();
        self.hand_on(data.at, end - self.next, Body::Slice(rest), rest.len(), pieces);
        self.drain(pieces);
        (SegmentKind::Regular, conflict)
    }

    /// Hands on what is still held back, with the holes before it. The connection is over, or nobody will wait any longer.
    pub(crate) fn flush(&mut self, at: Moment) -> Pieces<'static> {
        let mut pieces = Pieces::None;
        while let Some(first) = self.held.first() {
            let (offset, seen_at) = (first.offset, first.at);
            self.give_up(offset, seen_at, &mut pieces);
            self.drain(&mut pieces);
        }
        // What was acknowledged, or lies before a FIN, and was never seen is missing at the end, too.
        let acknowledged = self.acknowledged.filter(|_| self.carried_data);
        let finished = self.fin.map(|(offset, _)| offset).filter(|_| self.initial_seq.is_some());
        if let Some(end) = acknowledged.max(finished).filter(|end| *end > self.next) {
            self.give_up(end, at, &mut pieces);
        }
        pieces
    }

    /// Frees the buffers; the figures stay.
    pub(crate) fn stop_reading(&mut self) {
        self.unread = true;
        for held in &mut self.held {
            held.bytes = Vec::new();
        }
        self.held_bytes = 0;
    }

    fn hand_on<'a>(&mut self, at: Moment, length: u64, body: Body<'a>, recorded: usize, pieces: &mut Pieces<'a>) {
        self.next = self.next.saturating_add(length);
        if self.unread {
            return;
        }
        if recorded > 0 {
            pieces.add(Piece { at, body });
        }
        let cut = length.saturating_sub(recorded as u64);
        if cut > 0 {
            pieces.add(Piece { at, body: Body::Gap { length: cut, veil: Veil::Truncated } });
        }
    }

    fn hold(&mut self, offset: u64, data: Data<'_>) {
        if self.held.is_empty() {
            self.hole_since = Some(data.at);
            self.hole_patience = PATIENCE_SEGMENTS;
        }
        let index = self.held.partition_point(|held| held.offset < offset);
        if self.held.get(index).is_some_and(|held| held.offset == offset && held.length >= u64::from(data.length)) {
            return;
        }
        let bytes = if self.unread { Vec::new() } else { data.bytes.to_vec() };
        self.held_bytes += bytes.len();
        self.held.insert(index, Held { offset, length: u64::from(data.length), bytes, at: data.at });
    }

    /// Hands on what a closed hole sets free.
    fn drain(&mut self, pieces: &mut Pieces<'_>) {
        let ready = self.held.iter().take_while({
            let mut next = self.next;
            move |held| {
                let fits = held.offset <= next;
                next = next.max(held.offset.saturating_add(held.length));
                fits
            }
        });
        let ready = ready.count();
        if ready == 0 {
            if self.held.is_empty() {
                self.hole_since = None;
            }
            return;
        }
        let freed: Vec<Held> = self.held.drain(..ready).collect();
        for held in freed {
            self.held_bytes = self.held_bytes.saturating_sub(held.bytes.len());
            let end = held.offset.saturating_add(held.length);
            if end <= self.next {
                continue;
            }
            let known = usize::try_from(self.next - held.offset).unwrap_or(usize::MAX);
            let mut bytes = held.bytes;
            let recorded = bytes.len().saturating_sub(known);
            bytes.drain(..known.min(bytes.len()));
            self.hand_on(held.at, end - self.next, Body::Held(bytes), recorded, pieces);
        }
        self.hole_since = self.held.first().map(|held| held.at);
        self.hole_patience = PATIENCE_SEGMENTS;
    }

    /// Gives up the first hole when the receiver has it and the recording does not, or when too much waits behind it.
    fn give_up_lost_hole(&mut self, at: Moment, pieces: &mut Pieces<'_>) {
        let Some(first) = self.held.first().map(|held| held.offset) else { return };
        let overfull = self.held_bytes > HELD_BYTES || self.held.len() > HELD_RANGES;
        let acknowledged = self.acknowledged.is_some_and(|acked| acked >= first);
        if acknowledged {
            self.hole_patience = self.hole_patience.saturating_sub(1);
        }
        let waited = self.hole_since.is_some_and(|since| at.time.since(since.time) > PATIENCE);
        if overfull || (acknowledged && (self.hole_patience == 0 || waited)) {
            self.give_up(first, at, pieces);
            self.drain(pieces);
        }
    }

    fn give_up(&mut self, until: u64, at: Moment, pieces: &mut Pieces<'_>) {
        let length = until.saturating_sub(self.next);
        if length == 0 {
            return;
        }
        let acknowledged = self.acknowledged.is_some_and(|acked| acked >= until);
        if self.gaps.len() < GAPS {
            self.gaps.push(Gap { offset: self.next, length, acknowledged, at });
        }
        if acknowledged {
            self.lost = self.lost.saturating_add(1);
        }
        self.next = until;
        if !self.unread {
            pieces.add(Piece { at, body: Body::Gap { length, veil: Veil::Gap } });
        }
    }

    fn remember(&mut self, offset: u64, data: Data<'_>) {
        let kept = data.bytes.len().min(PREFIX);
        let mut prefix = [0; PREFIX];
        if let (Some(to), Some(from)) = (prefix.get_mut(..kept), data.bytes.get(..kept)) {
            to.copy_from_slice(from);
        }
        let entry = Remembered { offset, kept, prefix, at: data.at, ip: data.ip };
        if self.remembered.len() < REMEMBERED {
            self.remembered.push(entry);
        } else {
            if let Some(oldest) = self.remembered.get_mut(self.oldest_remembered) {
                *oldest = entry;
            }
            self.oldest_remembered = (self.oldest_remembered + 1) % REMEMBERED;
        }
    }

    /// The first remembered segment that says something else for the same range.
    fn contradiction(&self, direction: Direction, offset: u64, data: Data<'_>) -> Option<Conflict> {
        if data.length <= 1 {
            return None; // a keep-alive probe repeats a byte with any content
        }
        self.remembered.iter().find_map(|known| {
            let start = known.offset.max(offset);
            let in_known = usize::try_from(start - known.offset).ok()?;
            let in_new = usize::try_from(start - offset).ok()?;
            let old = known.prefix.get(in_known..known.kept)?;
            let new = data.bytes.get(in_new..)?;
            let differs = old.iter().zip(new).position(|(a, b)| a != b)?;
            Some(Conflict {
                direction,
                offset: start + differs as u64,
                first: known.at,
                first_ip: known.ip,
                second: data.at,
                second_ip: data.ip,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::{FrameNo, Timestamp};

    const IP: IpMark = IpMark { ttl: 64, id: 0, dont_fragment: true };

    fn moment(number: u32) -> Moment {
        Moment { time: Timestamp::from_nanos(i64::from(number) * 1_000), frame: FrameNo { file: 0, number } }
    }

    fn data(number: u32, seq: u32, bytes: &[u8]) -> Data<'_> {
        Data { at: moment(number), ip: IP, seq, length: u32::try_from(bytes.len()).unwrap(), bytes }
    }

    fn collect(stream: &mut Stream, segments: &[(u32, &[u8])]) -> (Vec<u8>, u64) {
        let (mut bytes, mut missing) = (Vec::new(), 0);
        let mut take = |pieces: Pieces<'_>| {
            for piece in pieces.into_vec() {
                match piece.body {
                    Body::Slice(slice) => bytes.extend_from_slice(slice),
                    Body::Held(held) => bytes.extend_from_slice(&held),
                    Body::Gap { length, .. } => missing += length,
                }
            }
        };
        for (number, (seq, content)) in segments.iter().enumerate() {
            let mut pieces = Pieces::None;
            stream.push(Direction::ToServer, data(u32::try_from(number).unwrap() + 1, *seq, content), &mut pieces);
            take(pieces);
        }
        take(stream.flush(moment(1_000)));
        (bytes, missing)
    }

    fn opened(seq: u32) -> Stream {
        let mut stream = Stream::default();
        stream.opened(seq);
        stream
    }

    #[test]
    fn order_is_restored_across_a_wrapped_sequence_number() {
        let mut stream = opened(u32::MAX - 2);
        let (bytes, missing) = collect(&mut stream, &[(4, b"world"), (u32::MAX - 1, b"hello "), (4, b"world")]);
        assert_eq!((bytes.as_slice(), missing), (b"hello world".as_slice(), 0));
        assert_eq!(stream.retransmissions, 1);
    }

    #[test]
    fn a_hole_that_never_closes_is_a_gap_and_not_acknowledged() {
        let mut stream = opened(99);
        let (bytes, missing) = collect(&mut stream, &[(100, b"abc"), (110, b"xyz")]);
        assert_eq!((bytes.as_slice(), missing), (b"abcxyz".as_slice(), 7));
        assert!(!stream.gaps[0].acknowledged);
        assert_eq!(stream.lost, 0);
    }

    #[test]
    fn a_hole_that_the_receiver_acknowledged_is_a_loss_of_the_recorder() {
        let mut stream = opened(99);
        let mut pieces = Pieces::None;
        stream.push(Direction::ToServer, data(1, 105, b"x"), &mut pieces);
        stream.acknowledge(106);
        let late = Data { at: Moment { time: Timestamp::from_seconds(5), ..moment(2) }, ..data(2, 106, b"y") };
        stream.push(Direction::ToServer, late, &mut pieces);
        assert_eq!(stream.lost, 1);
        assert!(stream.gaps[0].acknowledged);
        assert_eq!(pieces.into_vec().len(), 3, "the gap and both bytes are handed on");
    }

    #[test]
    fn a_fin_that_was_recorded_after_its_acknowledgement_leaves_no_hole() {
        let mut stream = opened(99);
        stream.push(Direction::ToServer, data(1, 100, b"abc"), &mut Pieces::None);
        stream.acknowledge(104);
        stream.finished(103, moment(2));
        assert!(matches!(stream.flush(moment(3)), Pieces::None));
        assert!(stream.gaps.is_empty());
    }

    #[test]
    fn data_acknowledged_but_never_seen_at_the_end_are_missing() {
        let mut stream = opened(99);
        let mut pieces = Pieces::None;
        stream.push(Direction::ToServer, data(1, 100, b"abc"), &mut pieces);
        stream.acknowledge(200);
        stream.flush(moment(2));
        assert_eq!(stream.lost, 1);
        assert_eq!(stream.gaps[0].length, 97);
    }

    #[test]
    fn other_content_for_the_same_range_is_a_contradiction_and_the_first_wins() {
        let mut stream = opened(99);
        let mut pieces = Pieces::None;
        stream.push(Direction::ToClient, data(1, 100, b"HTTP/1.1 302"), &mut pieces);
        let (kind, conflict) = stream.push(Direction::ToClient, data(2, 100, b"HTTP/1.1 200 OK"), &mut pieces);
        assert_eq!(kind, SegmentKind::Regular, "its last bytes are new");
        let conflict = conflict.unwrap();
        assert_eq!((conflict.offset, conflict.first.frame.number, conflict.second.frame.number), (9, 1, 2));
    }

    #[test]
    fn the_same_content_again_and_a_keep_alive_byte_are_no_contradiction() {
        let mut stream = opened(99);
        let mut pieces = Pieces::None;
        stream.push(Direction::ToClient, data(1, 100, b"abcdef"), &mut pieces);
        assert_eq!(stream.push(Direction::ToClient, data(2, 100, b"abcd"), &mut pieces).1, None);
        assert_eq!(stream.push(Direction::ToClient, data(3, 105, b"\0"), &mut pieces).1, None);
        assert_eq!(stream.retransmissions, 1, "the keep-alive is not counted");
    }

    #[test]
    fn a_frame_cut_by_the_snap_length_leaves_a_gap_of_its_own_kind() {
        let mut stream = opened(99);
        let mut pieces = Pieces::None;
        stream.push(Direction::ToClient, Data { length: 1_000, ..data(1, 100, b"head") }, &mut pieces);
        let pieces = pieces.into_vec();
        assert!(matches!(pieces[1].body, Body::Gap { length: 996, veil: Veil::Truncated }));
    }

    proptest! {
        #[test]
        fn any_order_overlap_or_repetition_gives_the_same_bytes(
            content in proptest::collection::vec(any::<u8>(), 1..400),
            cuts in proptest::collection::vec((0usize..400, 1usize..60), 1..80),
            isn in any::<u32>(),
        ) {
            // Random cuts in random order, then the whole once more in small steps, so that nothing is missing.
            let base = isn.wrapping_add(1);
            let mut segments: Vec<(u32, &[u8])> = Vec::new();
            let whole = (0..content.len()).step_by(7).rev().map(|start| (start, 7));
            for (start, length) in cuts.into_iter().chain(whole) {
                let start = start % content.len();
                let end = (start + length).min(content.len());
                segments.push((base.wrapping_add(u32::try_from(start).unwrap()), &content[start..end]));
            }
            let mut stream = opened(isn);
            let (bytes, missing) = collect(&mut stream, &segments);
            prop_assert_eq!(bytes, content);
            prop_assert_eq!(missing, 0);
        }
    }
}
