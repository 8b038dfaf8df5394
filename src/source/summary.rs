//! What a reading came to: counts, and where the recordings are damaged.

use std::borrow::Cow;

use super::link_type_name;
use crate::types::Timestamp;

/// Damaged places that are described one by one; more are only counted.
const DAMAGE_LISTED: usize = 64;
/// Link types that are listed; a recording with more is not an honest one.
const LINK_TYPES_LISTED: usize = 64;

/// What has been read so far, of one input or of all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Frames yielded.
    pub frames: u64,
    /// Their recorded bytes.
    pub bytes: u64,
    /// Frames of which fewer bytes were recorded than travelled (snap length).
    pub cut_frames: u64,
    /// The earliest time of a frame.
    pub first: Option<Timestamp>,
    /// The latest time of a frame.
    pub last: Option<Timestamp>,
    /// Frames that the recorder saw and lost, where the recording says so: per interface the larger of what its last
    /// Interface Statistics Block and its packets' drop counts claim. pcap never says.
    pub dropped: Option<u64>,
    /// Packets that the recorder's filter let through, by the Interface Statistics Blocks.
    pub filter_accepted: Option<u64>,
    /// Link types that the headers of the recordings declare, in order of appearance, each once (at most 64).
    pub link_types: Vec<u16>,
    /// The first damaged places, in order within each input.
    pub damage: Vec<Damage>,
    /// How many damaged places there are, listed or not.
    pub damaged: u64,
}

impl Summary {
    /// The names of the link types ([`link_type_name`]), each once.
    #[must_use]
    pub fn link_type_names(&self) -> Vec<Cow<'static, str>> {
        let mut names = Vec::with_capacity(self.link_types.len());
        for name in self.link_types.iter().map(|&link| link_type_name(link)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    #[inline]
    pub(super) fn count_frame(&mut self, time: Timestamp, length: u32, original_length: u32) {
        self.frames += 1;
        self.bytes += u64::from(length);
        self.cut_frames += u64::from(length < original_length);
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        self.last = self.last.max(Some(time));
    }

    pub(super) fn declare(&mut self, link: u16) {
        if self.link_types.len() < LINK_TYPES_LISTED && !self.link_types.contains(&link) {
            self.link_types.push(link);
        }
    }

    pub(super) fn damage(&mut self, file: u16, offset: u64, what: Fault) {
        self.damaged = self.damaged.saturating_add(1);
        if self.damage.len() < DAMAGE_LISTED {
            self.damage.push(Damage { file, offset, what });
        }
    }

    /// Puts the summary of a later input behind this one.
    pub(super) fn append(&mut self, other: &Self) {
        self.frames = self.frames.saturating_add(other.frames);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.cut_frames = self.cut_frames.saturating_add(other.cut_frames);
        self.first = self.first.into_iter().chain(other.first).min();
        self.last = self.last.max(other.last);
        self.dropped = added(self.dropped, other.dropped);
        self.filter_accepted = added(self.filter_accepted, other.filter_accepted);
        for &link in &other.link_types {
            self.declare(link);
        }
        let room = DAMAGE_LISTED.saturating_sub(self.damage.len());
        self.damage.extend(other.damage.iter().take(room).cloned());
        self.damaged = self.damaged.saturating_add(other.damaged);
    }
}

fn added(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (one, other) => one.or(other),
    }
}

/// A place where a recording is not what its format promises.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// Index into the list of inputs.
    pub file: u16,
    /// Where, in bytes from the beginning of the recording after decompression.
    pub offset: u64,
    /// What is wrong there.
    pub what: Fault,
}

/// What is wrong with a damaged place. What can be read after it is read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The recording ends before the record or block does.
    #[error("the recording ends in the middle of a record")]
    CutShort,
    /// No sane packet header is where one must be.
    #[error("not a record header")]
    NotARecord,
    /// A pcapng block's length cannot be (draft-ietf-opsawg-pcapng section 3.1).
    #[error("a block of {length} bytes cannot be")]
    BlockLength {
        /// The length that it claims.
        length: u32,
    },
    /// The two lengths of a pcapng block differ (draft-ietf-opsawg-pcapng section 3.1).
    #[error("a block begins with length {first} and ends with length {second}")]
    BlockLengths {
        /// The length before the block's body.
        first: u32,
        /// The length behind it.
        second: u32,
    },
    /// A pcapng block is too short for what it must hold, or an inner length exceeds it.
    #[error("the contents of a block of type {kind:#010x} exceed it")]
    BlockContents {
        /// The block's type.
        kind: u32,
    },
    /// A packet of an interface that no Interface Description Block of its section describes.
    #[error("a packet of interface {interface}, which is not described")]
    UnknownInterface {
        /// The interface's number in its section.
        interface: u32,
    },
    /// A section describes more interfaces than are kept.
    #[error("too many interfaces")]
    TooManyInterfaces,
    /// A section of a major version other than 1; its blocks are skipped.
    #[error("a section of pcapng version {major}, which nobody has defined")]
    Version {
        /// The major version that it claims.
        major: u16,
    },
    /// The operating system or the decompressor could not read on.
    #[error("cannot be read any further: {reason}")]
    Unreadable {
        /// In their words.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_counted_beyond_what_is_listed() {
        let mut summary = Summary::default();
        for offset in 0..1000 {
            summary.damage(0, offset, Fault::CutShort);
        }
        let mut total = Summary::default();
        total.append(&summary);
        total.append(&summary);
        assert_eq!((total.damage.len(), total.damaged), (DAMAGE_LISTED, 2000));
    }

    #[test]
    fn summaries_add_up() {
        let mut one = Summary { dropped: Some(2), ..Summary::default() };
        one.count_frame(Timestamp::from_seconds(5), 60, 60);
        one.declare(12);
        let mut other = Summary::default();
        other.count_frame(Timestamp::from_seconds(3), 60, 61);
        other.declare(101);
        other.declare(1);
        one.append(&other);
        assert_eq!((one.frames, one.bytes, one.cut_frames, one.dropped), (2, 120, 1, Some(2)));
        assert_eq!((one.first, one.last), (Some(Timestamp::from_seconds(3)), Some(Timestamp::from_seconds(5))));
        assert_eq!(one.link_type_names(), ["RAW", "ETHERNET"]);
    }
}
