//! pcap (draft-ietf-opsawg-pcap): a file header, then records one after another, with nothing to hold on to when a
//! length is wrong. A record is therefore weighed against its neighbours wherever it looks odd.

use super::MAX_RECORD;
use super::endian::Endian;
use super::recording::{Found, Log};
use super::summary::Fault;
use super::window::Window;
use crate::types::Timestamp;

/// The length of the file header.
pub(super) const FILE_HEADER: usize = 24;

/// The largest packet that ordinary recordings hold; libpcap and wiretap use the same bound.
const ORDINARY: u32 = 256 << 10;

/// How far apart in seconds two neighbouring packets may be before their headers are looked at twice: 30 days.
const NEAR: u32 = 30 * 86_400;

/// Above this length a record is not kept while the next one is looked at.
const HUGE: usize = 1 << 20;

/// Records that must follow one another for an odd one to be believed.
const FOLLOWED: u32 = 3;

/// Which kind of pcap, by the magic number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Variant {
    endian: Endian,
    nanoseconds: bool,
    /// Alexey Kuznetzov's format, with eight bytes more in each record.
    modified: bool,
}

impl Variant {
    pub(super) fn detect(header: &[u8]) -> Option<Self> {
        let (endian, nanoseconds, modified) = match *header.first_chunk()? {
            [0xd4, 0xc3, 0xb2, 0xa1] => (Endian::Little, false, false),
            [0xa1, 0xb2, 0xc3, 0xd4] => (Endian::Big, false, false),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Endian::Little, true, false),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Endian::Big, true, false),
            [0x34, 0xcd, 0xb2, 0xa1] => (Endian::Little, false, true),
            [0xa1, 0xb2, 0xcd, 0x34] => (Endian::Big, false, true),
            _ => return None,
        };
        Some(Self { endian, nanoseconds, modified })
    }
}

/// A pcap file at some place.
pub(super) struct Pcap {
    endian: Endian,
    /// Nanoseconds in a unit of the fraction.
    unit: u32,
    /// Fractions from here on are no fractions.
    second: u32,
    record_header: usize,
    /// The largest captured length that is taken without further proof.
    most: u32,
    /// Versions before 2.4 wrote the two lengths the other way round, some of the time.
    either_order: bool,
    link: u16,
    /// Bytes of the record that was yielded last; it is still in the window.
    pending: usize,
    /// When the last credible record was recorded.
    previous: Option<u32>,
    over: bool,
}

/// A record header as it is written.
#[derive(Clone, Copy)]
struct Header {
    seconds: u32,
    fraction: u32,
    captured: u32,
    original: u32,
}

impl Header {
    /// Padding, as of a file that was allocated ahead.
    const fn is_zero(self) -> bool {
        self.seconds | self.fraction | self.captured | self.original == 0
    }
}

impl Pcap {
    /// Reads the file header, whose length [`super::input`] has made sure of; None if the file has changed since.
    pub(super) fn new(variant: Variant, window: &mut Window, log: &mut Log) -> Option<Self> {
        let endian = variant.endian;
        if !window.has(FILE_HEADER) || Variant::detect(window.bytes()) != Some(variant) {
            return None;
        }
        let major = endian.u16(window.bytes(), 4)?;
        let minor = endian.u16(window.bytes(), 6)?;
        let snap_length = endian.u32(window.bytes(), 16)?;
        // The upper half tells the length of the frame check sequence.
        let [.., high, low] = endian.u32(window.bytes(), 20)?.to_be_bytes();
        let link = u16::from_be_bytes([high, low]);
        log.summary.declare(link);
        window.consume(FILE_HEADER);
        Some(Self {
            endian,
            unit: if variant.nanoseconds { 1 } else { 1000 },
            second: if variant.nanoseconds { 1_000_000_000 } else { 1_000_000 },
            record_header: if variant.modified { 24 } else { 16 },
            most: if snap_length as usize <= MAX_RECORD { snap_length.max(ORDINARY) } else { ORDINARY },
            either_order: (major, minor) < (2, 4) || major == 543,
            link,
            pending: 0,
            previous: None,
            over: false,
        })
    }

    /// The next record; None at the end.
    #[inline]
    pub(super) fn advance(&mut self, window: &mut Window, log: &mut Log) -> Option<Found> {
        let header_length = self.record_header;
        if self.pending > HUGE {
            // Both it and the next one would not fit.
            window.consume(std::mem::take(&mut self.pending));
        }
        if window.has(self.pending.saturating_add(header_length))
            && let Some(header) = self.header(window, self.pending)
            && self.is_sound(header)
            && window.has(self.pending.saturating_add(header_length).saturating_add(header.captured as usize))
        {
            return Some(self.take(header, window, log));
        }
        self.look_closer(window, log)
    }

    fn take(&mut self, header: Header, window: &mut Window, log: &mut Log) -> Found {
        window.consume(self.pending);
        self.pending = self.record_header.saturating_add(header.captured as usize);
        self.previous = Some(header.seconds);
        let nanos = i64::from(header.seconds) * 1_000_000_000 + i64::from(header.fraction) * i64::from(self.unit);
        log.frame(Timestamp::from_nanos(nanos), self.link, self.record_header, header.captured, header.original)
    }

    #[cold]
    fn look_closer(&mut self, window: &mut Window, log: &mut Log) -> Option<Found> {
        while !self.over {
            let at = self.pending;
            let fault = match self.header_there(window, at) {
                Some(header) if self.may_be(header) || self.is_large(header) => {
                    let next = at.saturating_add(self.record_header).saturating_add(header.captured as usize);
                    if !window.has(next) {
                        Fault::CutShort
                    } else if self.is_sound(header) || self.is_followed(window, next, FOLLOWED) {
                        return Some(self.take(header, window, log));
                    } else {
                        Fault::NotARecord
                    }
                }
                Some(_) => Fault::NotARecord,
                None if window.held() > at => Fault::CutShort,
                None => {
                    self.over = true;
                    return None;
                }
            };
            log.damage(window.offset().saturating_add(at as u64), fault);
            self.find_record(window);
        }
        None
    }

    /// Moves to the next place that can only be a record, or to the end.
    ///
    /// The search begins within the record that was yielded last: it may be its length that is wrong.
    fn find_record(&mut self, window: &mut Window) {
        window.consume(if self.pending == 0 { 1 } else { self.record_header });
        self.pending = 0;
        while let Some(header) = self.header_there(window, 0) {
            if header.captured > 0 && self.is_sound(header) && header.captured <= ORDINARY {
                let next = self.record_header.saturating_add(header.captured as usize);
                let was = self.previous.replace(header.seconds);
                // With nothing before it to compare with, two must follow.
                let followers = if was.is_some() { 1 } else { 2 };
                let found = window.has(next) && self.is_followed_soundly(window, next, followers);
                self.previous = was;
                if found {
                    return;
                }
            }
            window.consume(1);
        }
        self.over = true;
    }

    fn header_there(&self, window: &mut Window, at: usize) -> Option<Header> {
        if window.has(at.saturating_add(self.record_header)) { self.header(window, at) } else { None }
    }

    #[inline]
    fn header(&self, window: &Window, at: usize) -> Option<Header> {
        let header: &[u8; 16] = window.bytes().get(at..)?.first_chunk()?;
        let ([seconds, fraction, captured, original], _) = header.as_chunks::<4>() else { return None };
        let mut header = Header {
            seconds: self.endian.word(*seconds),
            fraction: self.endian.word(*fraction),
            captured: self.endian.word(*captured),
            original: self.endian.word(*original),
        };
        if self.either_order && header.captured > header.original {
            (header.captured, header.original) = (header.original, header.captured);
        }
        Some(header)
    }

    /// Nothing about it is odd.
    #[inline]
    fn is_sound(&self, header: Header) -> bool {
        header.captured <= self.most
            && header.captured <= header.original
            && header.original as usize <= MAX_RECORD
            && header.fraction < self.second
            && self.is_near(header)
            && !header.is_zero()
    }

    #[inline]
    fn is_near(&self, header: Header) -> bool {
        self.previous.is_none_or(|previous| header.seconds.abs_diff(previous) <= NEAR)
    }

    /// Odd, but other programs have written such headers: captured length above the original, a fraction of more than
    /// a second, a clock that jumps.
    fn may_be(&self, header: Header) -> bool {
        header.captured <= self.most && !header.is_zero()
    }

    /// Larger than recordings hold, but otherwise sound.
    fn is_large(&self, header: Header) -> bool {
        header.captured > self.most
            && header.captured as usize <= MAX_RECORD
            && header.captured <= header.original
            && header.fraction < self.second
    }

    /// Whether records, or the end of the file, follow at `at`.
    fn is_followed(&self, window: &mut Window, mut at: usize, records: u32) -> bool {
        for _ in 0..records {
            let Some(header) = self.header_there(window, at) else { return window.held() == at };
            if self.is_large(header) && self.is_near(header) {
                return true;
            }
            if !self.may_be(header) || header.original as usize > MAX_RECORD {
                return false;
            }
            at = at.saturating_add(self.record_header).saturating_add(header.captured as usize);
            if !window.has(at) {
                return self.is_sound(header);
            }
        }
        true
    }

    /// As [`Self::is_followed`], by records about which nothing is odd.
    fn is_followed_soundly(&self, window: &mut Window, mut at: usize, records: u32) -> bool {
        for _ in 0..records {
            let Some(header) = self.header_there(window, at) else { return window.held() == at };
            if !self.is_sound(header) {
                return false;
            }
            at = at.saturating_add(self.record_header).saturating_add(header.captured as usize);
        }
        true
    }
}
