//! Several recordings as one, in time order, without copying a frame.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::input::Input;
use super::recording::{Found, FoundFrame, Recording};
use super::{Record, Secret, Summary};
use crate::types::Timestamp;

/// The window of a recording; it grows for larger records.
const WINDOW: usize = 1 << 20;

/// The window for a look at the first frame.
const GLANCE: usize = 64 << 10;

/// Reads one or several inputs as one case.
///
/// Frames come in the order of their times; on ties the earlier input comes first. Within an input the order is that of
/// the recording, even where its clock jumps back. Secrets and notes come where they stand. An input is open only from
/// its first frame's time to its last one's, so that a row of rotated files needs no more memory than one of them.
pub struct Reader {
    inputs: Vec<Input>,
    slots: Vec<Slot>,
    /// The next frame of each input but the present one.
    heads: BinaryHeap<Reverse<(Timestamp, u16)>>,
    /// The input that lent the last record.
    present: Option<u16>,
}

enum Slot {
    /// Not begun.
    Waiting,
    /// Under way, with the frame that is its next, if it is not the present one.
    Open(Box<Recording>, Option<FoundFrame>),
    /// Read to its end.
    Done(Summary),
}

impl Reader {
    /// Begins to read. Inputs beyond the 65,536th are not read; [`Input::open_all`] refuses them.
    #[must_use]
    pub fn new(inputs: &[Input]) -> Self {
        let inputs = inputs.to_vec();
        let slots = inputs.iter().map(|_| Slot::Waiting).collect();
        // Only one head is needed to begin with a single input, and no look into it.
        let alone = inputs.len() == 1;
        let first = |(file, input)| Reverse((if alone { Timestamp::default() } else { begins(input) }, file));
        let heads = (0..=u16::MAX).zip(&inputs).map(first).collect();
        Self { inputs, slots, heads, present: None }
    }

    /// The next record; None at the end. Damage is skipped, and told in the [`Summary`].
    #[expect(clippy::should_implement_trait, reason = "the record is lent, which Iterator cannot say")]
    pub fn next(&mut self) -> Option<Record<'_>> {
        let (file, found) = self.advance()?;
        match self.slots.get(usize::from(file))? {
            Slot::Open(recording, _) => Some(recording.record(found)),
            Slot::Waiting | Slot::Done(_) => None,
        }
    }

    fn advance(&mut self) -> Option<(u16, Found)> {
        loop {
            let file = match self.present {
                Some(file) => file,
                None => {
                    let Reverse((_, file)) = self.heads.pop()?;
                    self.present = Some(file);
                    match self.slots.get_mut(usize::from(file))? {
                        Slot::Open(_, head) => {
                            if let Some(frame) = head.take() {
                                return Some((file, Found::Frame(frame)));
                            }
                        }
                        waiting => {
                            let input = self.inputs.get(usize::from(file))?;
                            *waiting = Slot::Open(Box::new(Recording::new(input, file, WINDOW, false)), None);
                        }
                    }
                    file
                }
            };
            let slot = self.slots.get_mut(usize::from(file))?;
            let Slot::Open(recording, head) = slot else { return None };
            match recording.advance() {
                Some(Found::Frame(frame)) => {
                    if self.heads.peek().is_some_and(|Reverse(other)| *other < (frame.time, file)) {
                        *head = Some(frame);
                        self.heads.push(Reverse((frame.time, file)));
                        self.present = None;
                    } else {
                        return Some((file, Found::Frame(frame)));
                    }
                }
                Some(found) => return Some((file, found)),
                None => {
                    let summary = recording.summary().clone();
                    *slot = Slot::Done(summary);
                    self.present = None;
                }
            }
        }
    }

    /// What has been read so far, of all inputs together.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut total = Summary::default();
        for file in 0..self.slots.len() {
            if let Some(summary) = self.summary_of(file) {
                total.append(summary);
            }
        }
        total
    }

    /// What has been read so far of one input; None if it has not begun.
    #[must_use]
    pub fn summary_of(&self, file: usize) -> Option<&Summary> {
        match self.slots.get(file)? {
            Slot::Waiting => None,
            Slot::Open(recording, _) => Some(recording.summary()),
            Slot::Done(summary) => Some(summary),
        }
    }
}

/// When the first frame of an input was recorded; the beginning of time if it has none.
fn begins(input: &Input) -> Timestamp {
    let mut recording = Recording::new(input, 0, GLANCE, false);
    while let Some(found) = recording.advance() {
        if let Found::Frame(frame) = found {
            return frame.time;
        }
    }
    Timestamp::from_nanos(i64::MIN)
}

/// The decryption secrets of all inputs, read before the frames because they may stand behind the packets they decrypt.
///
/// pcap holds none and is not read at all.
pub struct Secrets {
    inputs: Vec<Input>,
    next: usize,
    present: Option<Box<Recording>>,
}

impl Secrets {
    /// Begins to read.
    #[must_use]
    pub fn new(inputs: &[Input]) -> Self {
        Self { inputs: inputs.to_vec(), next: 0, present: None }
    }

    /// The next key log; None at the end.
    #[expect(clippy::should_implement_trait, reason = "the secret is lent, which Iterator cannot say")]
    pub fn next(&mut self) -> Option<Secret<'_>> {
        let found = loop {
            let Some(recording) = &mut self.present else {
                let input = self.inputs.get(self.next)?;
                self.next += 1;
                if input.may_hold_secrets() {
                    self.present = Some(Box::new(Recording::new(input, 0, WINDOW, true)));
                }
                continue;
            };
            match recording.advance() {
                Some(found) => break found,
                None => self.present = None,
            }
        };
        match self.present.as_ref()?.record(found) {
            Record::Secret(secret) => Some(secret),
            Record::Frame(_) | Record::Note(_) => None,
        }
    }
}
