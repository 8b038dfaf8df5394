//! The packets of one connection, kept for forensics: the first ones, the last ones, and a count of those between.

use std::collections::VecDeque;

use crate::observation::{Segment, Segments};

/// First packets kept of each connection: the opening, the hellos, the server's first flight.
const HEAD: usize = 64;
/// Last packets kept of each connection: resets and whatever came around them.
const TAIL: usize = 48;

/// Keeps the first and the last segments.
#[derive(Debug, Default)]
pub(crate) struct SegmentLog {
    head: Vec<Segment>,
    tail: VecDeque<Segment>,
    omitted: u64,
}

impl SegmentLog {
    pub(crate) fn push(&mut self, segment: Segment) {
        if self.head.len() < HEAD {
            self.head.push(segment);
            return;
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
            self.omitted += 1;
        }
        self.tail.push_back(segment);
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
