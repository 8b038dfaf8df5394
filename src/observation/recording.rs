//! The recording itself: how much it holds, and what it cannot show.

use crate::packet::Unread;
use crate::types::{Moment, Timestamp};

/// A recording in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// Frames read.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Time of the earliest frame.
    pub first: Option<Timestamp>,
    /// Time of the latest frame.
    pub last: Option<Timestamp>,
    /// When the recorder stopped, where that is known.
    pub stopped: Option<Timestamp>,
    /// Frames that the recorder says it lost.
    pub dropped: u64,
    /// Link types, by LINKTYPE name, in the order they were met.
    pub link_types: Vec<String>,
    /// The inputs, as they were named.
    pub paths: Vec<String>,
    /// TCP connections seen, whether or not they are kept in the case.
    pub flows: u32,
}

impl Recording {
    /// Until when there would have been frames, had there been something to record.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        self.last.map(|last| self.stopped.map_or(last, |stopped| stopped.max(last)))
    }
}

/// What the recording cannot show. Every list is bounded; the counts are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// What the decoders could not read.
    pub unread: Unread,
    /// Blocks or packets that cannot be read, described; at most a few.
    pub damage: Vec<String>,
    /// How many there were.
    pub damaged: u64,
    /// Frames cut by the snap length.
    pub cut_frames: u64,
    /// Messages that matter and that the snap length cut: where each continues.
    pub cut_messages: Vec<Moment>,
    /// Holes in streams that the receiver acknowledged though the recording does not hold the bytes: where each was noticed.
    pub losses: Vec<Moment>,
    /// How many such holes there were.
    pub lost: u64,
    /// Segments carrying data, as the measure for `lost`.
    pub data_segments: u64,
    /// Packets recorded twice, dropped before judging.
    pub duplicates: u64,
    /// The first of them.
    pub first_duplicate: Option<Moment>,
    /// Connections without their start.
    pub midstream: Vec<Moment>,
    /// Connections of which one direction alone was recorded, of those that carried data.
    pub one_sided: Vec<Moment>,
    /// Connections of which both directions were recorded.
    pub two_sided: u64,
    /// Connections and lookups that were counted but not kept, because there were too many.
    pub not_kept: u64,
    /// TLS sessions that a key log has secrets of which open none of their records.
    pub wrong_secrets: u64,
}
