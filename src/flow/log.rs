//! The packets of one connection, kept for forensics: the first ones, the last ones, and a count of those between.

use std::collections::VecDeque;

use crate::observation::{Segment, SegmentKind, Segments};

/// First packets kept of each connection: the opening, the hellos, the server's first flight.
const HEAD: usize = 64;
/// Last packets kept of each connection: resets and whatever came around them.
const TAIL: usize = 48;

/// Keeps the first and the last segments. A copy that a recorder on several interfaces made of each takes no room from
/// the packets themselves.
#[derive(Debug, Default)]
pub(crate) struct SegmentLog {
    head: Vec<Segment>,
    tail: VecDeque<Segment>,
    /// Those in `head` and in `tail` that are no copies.
    originals: (usize, usize),
    omitted: u64,
}

impl SegmentLog {
    pub(crate) fn push(&mut self, segment: Segment) {
        let original = |segment: &Segment| usize::from(segment.kind != SegmentKind::Duplicate);
        if self.originals.0 < HEAD && self.head.len() < 2 * HEAD {
            self.originals.0 += original(&segment);
            self.head.push(segment);
            return;
        }
        self.originals.1 += original(&segment);
        self.tail.push_back(segment);
        while self.originals.1 > TAIL || self.tail.len() > 2 * TAIL {
            let Some(oldest) = self.tail.pop_front() else { break };
            self.originals.1 -= original(&oldest);
            self.omitted += 1;
        }
    }

    /// The kept segments, newest first.
    pub(crate) fn recent(&self) -> impl Iterator<Item = &Segment> {
        self.tail.iter().rev().chain(self.head.iter().rev())
    }

    pub(crate) fn into_segments(self) -> Segments {
        let (mut head, mut tail) = (self.head, Vec::from(self.tail));
        head.shrink_to_fit();
        tail.shrink_to_fit();
        Segments { head, omitted: self.omitted, tail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::IpMark;
    use crate::packet::TcpFlags;
    use crate::types::{Direction, FrameNo, Moment, Timestamp};

    fn segment(number: u32, kind: SegmentKind) -> Segment {
        Segment {
            at: Moment { frame: FrameNo { file: 0, number }, time: Timestamp::from_nanos(number.into()) },
            direction: Direction::ToClient,
            ip: IpMark { ttl: 53, id: 1, dont_fragment: true },
            reserved_bit: false,
            flags: TcpFlags(TcpFlags::ACK),
            seq: number,
            ack: 1,
            window: 1,
            length: 1,
            timestamps: true,
            sack: None,
            kind,
        }
    }

    #[test]
    fn copies_take_no_room_and_many_of_them_are_bounded() {
        let mut log = SegmentLog::default();
        for number in 0..200 {
            log.push(segment(number, SegmentKind::Regular));
            log.push(segment(number, SegmentKind::Duplicate));
        }
        let kept = log.into_segments();
        let originals = |part: &[Segment]| part.iter().filter(|one| one.kind == SegmentKind::Regular).count();
        assert_eq!((originals(&kept.head), originals(&kept.tail)), (HEAD, TAIL));
        assert_eq!(kept.head.len() + kept.tail.len() + usize::try_from(kept.omitted).unwrap(), 400);
        let mut log = SegmentLog::default();
        (0..1_000).for_each(|number| log.push(segment(number, SegmentKind::Duplicate)));
        let kept = log.into_segments();
        assert_eq!((kept.head.len(), kept.tail.len()), (2 * HEAD, 2 * TAIL));
    }
}
