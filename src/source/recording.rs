//! One input on its way through: records found in the window, counted, and lent out.

use super::input::{Format, Input};
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use super::summary::Fault;
use super::window::Window;
use super::{Frame, Note, Record, Secret, Summary};
use crate::types::{FrameNo, Timestamp};

/// A record that lies in the window, from the window's beginning. Good until the next step.
#[derive(Clone, Copy)]
pub(super) enum Found {
    Frame(FoundFrame),
    Secret { at: usize, length: usize },
    Note { about_frame: bool, at: usize, length: usize },
}

#[derive(Clone, Copy)]
pub(super) struct FoundFrame {
    pub(super) no: FrameNo,
    pub(super) time: Timestamp,
    link: u16,
    at: usize,
    length: u32,
    original_length: u32,
}

/// What is kept about an input while it is read.
pub(super) struct Log {
    file: u16,
    number: u32,
    pub(super) summary: Summary,
}

impl Log {
    pub(super) const fn new(file: u16, summary: Summary) -> Self {
        Self { file, number: 0, summary }
    }

    /// Counts and numbers a frame.
    #[inline]
    pub(super) fn frame(&mut self, time: Timestamp, link: u16, at: usize, length: u32, original_length: u32) -> Found {
        self.number = self.number.saturating_add(1);
        self.summary.count_frame(time, length, original_length);
        let no = FrameNo { file: self.file, number: self.number };
        Found::Frame(FoundFrame { no, time, link, at, length, original_length })
    }

    pub(super) fn damage(&mut self, offset: u64, what: Fault) {
        self.summary.damage(self.file, offset, what);
    }
}

enum Blocks {
    Pcap(Pcap),
    Pcapng(Pcapng),
    /// It could be read when it was opened, but not any more.
    Nothing,
}

/// An input being read.
pub(super) struct Recording {
    window: Window,
    blocks: Blocks,
    log: Log,
    /// The text of a comment that was not UTF-8, put right.
    text: String,
}

impl Recording {
    /// Begins to read. An input that has gone since is an empty one with a damage.
    pub(super) fn new(input: &Input, file: u16, capacity: usize, secrets_only: bool) -> Self {
        let mut log = Log::new(file, Summary::default());
        let stream = input.stream().unwrap_or_else(|error| {
            log.damage(0, Fault::Unreadable { reason: error.to_string() });
            Box::new(std::io::empty())
        });
        let mut window = Window::new(stream, capacity);
        let blocks = match input.format() {
            Format::Pcap(_) if secrets_only => Some(Blocks::Nothing),
            Format::Pcap(variant) => Pcap::new(variant, &mut window, &mut log).map(Blocks::Pcap),
            Format::Pcapng => Pcapng::new(secrets_only, &mut window).map(Blocks::Pcapng),
        };
        let blocks = blocks.unwrap_or_else(|| {
            log.damage(0, Fault::NotARecord);
            Blocks::Nothing
        });
        Self { window, blocks, log, text: String::new() }
    }

    /// Moves to the next record.
    #[inline]
    pub(super) fn advance(&mut self) -> Option<Found> {
        let found = match &mut self.blocks {
            Blocks::Pcap(pcap) => pcap.advance(&mut self.window, &mut self.log),
            Blocks::Pcapng(pcapng) => pcapng.advance(&mut self.window, &mut self.log),
            Blocks::Nothing => None,
        };
        match found {
            Some(Found::Note { at, length, .. }) => {
                self.text.clear();
                let comment = self.window.slice(at, length);
                if std::str::from_utf8(comment).is_err() {
                    self.text.push_str(&String::from_utf8_lossy(comment));
                }
            }
            None => {
                if let Some(error) = self.window.take_failure() {
                    let end = self.window.offset().saturating_add(self.window.held() as u64);
                    self.log.damage(end, Fault::Unreadable { reason: error.to_string() });
                }
            }
            Some(_) => {}
        }
        found
    }

    /// The record that [`Self::advance`] found last.
    #[inline]
    pub(super) fn record(&self, found: Found) -> Record<'_> {
        match found {
            Found::Frame(frame) => Record::Frame(Frame {
                no: frame.no,
                time: frame.time,
                link: frame.link,
                bytes: self.window.slice(frame.at, frame.length as usize),
                original_length: frame.original_length,
            }),
            Found::Secret { at, length } => Record::Secret(Secret { key_log: self.window.slice(at, length) }),
            Found::Note { about_frame, at, length } => Record::Note(Note {
                frame: about_frame.then_some(FrameNo { file: self.log.file, number: self.log.number }),
                text: std::str::from_utf8(self.window.slice(at, length)).unwrap_or(&self.text),
            }),
        }
    }

    pub(super) fn summary(&self) -> &Summary {
        &self.log.summary
    }
}
