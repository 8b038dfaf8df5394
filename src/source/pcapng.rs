//! pcapng (draft-ietf-opsawg-pcapng): sections of blocks, each section with its own byte order and interfaces.

mod interface;
mod options;

use interface::Interface;
use options::{Options, comment_in};

use super::MAX_RECORD;
use super::endian::Endian;
use super::recording::{Found, Log};
use super::summary::Fault;
use super::window::Window;

/// The type of a Section Header Block, the same in both byte orders (section 4.1).
pub(super) const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const NAMES: u32 = 4;
const STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const SECRETS: u32 = 10;
const CUSTOM: u32 = 0x0bad;
const CUSTOM_NOT_COPIED: u32 = 0x4000_0bad;

/// The secrets type of an NSS key log (section 4.7).
const TLS_KEY_LOG: u32 = 0x544c_534b;

/// Type, length and length again.
const FRAMING: usize = 12;

/// Interfaces that are kept in a section.
const INTERFACES: usize = 1 << 16;

/// Above this length a block is not kept while the next one is looked at.
const HUGE: usize = 1 << 20;

/// The byte order of a section, by the magic number behind its header's length.
pub(super) fn byte_order(magic: &[u8]) -> Option<Endian> {
    match magic {
        [0x4d, 0x3c, 0x2b, 0x1a, ..] => Some(Endian::Little),
        [0x1a, 0x2b, 0x3c, 0x4d, ..] => Some(Endian::Big),
        _ => None,
    }
}

/// A pcapng file at some place.
pub(super) struct Pcapng {
    endian: Endian,
    interfaces: Vec<Interface>,
    /// The section is of an unknown version.
    skipping: bool,
    secrets_only: bool,
    /// Bytes of the block that was read last; it is still in the window.
    pending: usize,
    /// What is left of its options, to be searched for comments, and the frame that they are about.
    comments: Option<(Options, bool)>,
    over: bool,
}

/// A block that has been found whole in the window.
#[derive(Clone, Copy)]
struct Block {
    kind: u32,
    length: usize,
}

impl Pcapng {
    /// Begins to read; None if the file is none any more.
    pub(super) fn new(secrets_only: bool, window: &mut Window) -> Option<Self> {
        // Known before the first block is read, in case its length is damaged.
        let endian = if window.has(FRAMING) { byte_order(window.slice(8, 4))? } else { return None };
        Some(Self {
            endian,
            interfaces: Vec::new(),
            skipping: false,
            secrets_only,
            pending: 0,
            comments: None,
            over: false,
        })
    }

    /// The next record; None at the end.
    pub(super) fn advance(&mut self, window: &mut Window, log: &mut Log) -> Option<Found> {
        loop {
            if let Some((options, about_frame)) = &mut self.comments {
                while let Some(option) = options.next(window.bytes()) {
                    if let Some((at, length)) = comment_in(option, window.bytes()) {
                        return Some(Found::Note { about_frame: *about_frame, at, length });
                    }
                }
                self.comments = None;
            }
            let block = self.next_block(window, log)?;
            let found = self.open(block, window, log);
            if found.is_some() {
                return found;
            }
        }
    }

    /// Moves the window to the next whole block.
    fn next_block(&mut self, window: &mut Window, log: &mut Log) -> Option<Block> {
        if self.pending > HUGE {
            // Both it and the next one would not fit.
            window.consume(std::mem::take(&mut self.pending));
        }
        while !self.over {
            let at = self.pending;
            match self.block_at(at, window) {
                Ok(Some(block)) => {
                    window.consume(at);
                    self.pending = block.length;
                    return Some(block);
                }
                Ok(None) => self.over = true,
                Err(fault) => {
                    let offset = window.offset().saturating_add(at as u64);
                    if let Some(block) = self.block_despite(&fault, at, window) {
                        log.damage(offset, fault);
                        window.consume(at);
                        self.pending = block.length;
                        return Some(block);
                    }
                    log.damage(offset, fault);
                    self.find_block(window);
                }
            }
        }
        None
    }

    /// The block at `at`, None at the end of the file.
    #[inline]
    fn block_at(&self, at: usize, window: &mut Window) -> Result<Option<Block>, Fault> {
        if !window.has(at.saturating_add(FRAMING)) {
            return if window.held() > at { Err(Fault::CutShort) } else { Ok(None) };
        }
        let (kind, endian, first) = self.framing(window, at).ok_or(Fault::NotARecord)?;
        let length = padded(first);
        if first < 12 || length > MAX_RECORD {
            return Err(Fault::BlockLength { length: first });
        }
        if !window.has(at.saturating_add(length)) {
            return Err(Fault::CutShort);
        }
        let second = endian.u32(window.bytes(), at.saturating_add(length).saturating_sub(4)).unwrap_or_default();
        if first != second {
            return Err(Fault::BlockLengths { first, second });
        }
        Ok(Some(Block { kind, length }))
    }

    /// Type, byte order and claimed length of what is at `at`.
    #[inline]
    fn framing(&self, window: &Window, at: usize) -> Option<(u32, Endian, u32)> {
        let block = window.bytes().get(at..)?;
        let endian = if block.starts_with(&SECTION_HEADER) { byte_order(block.get(8..12)?)? } else { self.endian };
        Some((endian.u32(block, 0)?, endian, endian.u32(block, 4)?))
    }

    /// Takes the first of two differing lengths for true if a whole block, or the end of the file, follows where it
    /// says, and none lies in between.
    #[cold]
    fn block_despite(&self, fault: &Fault, at: usize, window: &mut Window) -> Option<Block> {
        let Fault::BlockLengths { first, .. } = *fault else { return None };
        let (kind, ..) = self.framing(window, at)?;
        let length = padded(first);
        let next = at.saturating_add(length);
        let follows = match self.block_at(next, window) {
            Ok(block) => block.is_none_or(|block| is_known(block.kind)),
            Err(_) => false,
        };
        let holds = |inner: usize| inner.saturating_add(self.block_for_sure(inner, window)) <= next;
        let swallows = follows && (at.saturating_add(FRAMING)..next.saturating_sub(FRAMING)).any(holds);
        (is_known(kind) && follows && !swallows).then_some(Block { kind, length })
    }

    /// The length of what can only be a block; `usize::MAX` when it can be something else.
    fn block_for_sure(&self, at: usize, window: &mut Window) -> usize {
        match self.framing(window, at) {
            Some((kind, _, length)) if is_known(kind) && length > 12 && length % 4 == 0 => {
                self.block_at(at, window).ok().flatten().map_or(usize::MAX, |block| block.length)
            }
            _ => usize::MAX,
        }
    }

    /// Moves to the next place that can only be a block, or to the end.
    #[cold]
    fn find_block(&mut self, window: &mut Window) {
        // Within the block that was read last: it may be its length that is wrong.
        window.consume(if self.pending == 0 { 1 } else { FRAMING });
        self.pending = 0;
        while window.has(FRAMING) {
            if self.block_for_sure(0, window) < usize::MAX {
                return;
            }
            window.consume(1);
        }
        self.over = true;
    }

    /// Reads the block at the beginning of the window.
    #[inline]
    fn open(&mut self, block: Block, window: &Window, log: &mut Log) -> Option<Found> {
        if block.kind == SECTION {
            return self.open_section(block, window, log);
        }
        if self.skipping {
            return None;
        }
        let found = match block.kind {
            SECRETS => self.open_secrets(block, window, log),
            _ if self.secrets_only => return None,
            ENHANCED_PACKET => self.open_enhanced(block, window, log).map(Some),
            SIMPLE_PACKET => self.open_simple(block, window, log).map(Some),
            PACKET => self.open_packet(block, window, log).map(Some),
            INTERFACE => self.open_interface(block, window, log).map(|()| None),
            STATISTICS => self.open_statistics(block, window, log).map(|()| None),
            _ => return None,
        };
        found.unwrap_or_else(|fault| {
            log.damage(window.offset(), fault);
            None
        })
    }

    fn open_section(&mut self, block: Block, window: &Window, log: &mut Log) -> Option<Found> {
        let body = window.slice(8, block.length.saturating_sub(FRAMING));
        self.interfaces.clear();
        self.skipping = true;
        let Some(endian) = byte_order(body) else {
            log.damage(window.offset(), Fault::BlockContents { kind: SECTION });
            return None;
        };
        self.endian = endian;
        match endian.u16(body, 4) {
            Some(1) => {
                self.skipping = false;
                // Byte order, version and section length come before the options.
                self.comment_on(block, 8 + 16, false);
            }
            Some(major) => log.damage(window.offset(), Fault::Version { major }),
            None => log.damage(window.offset(), Fault::BlockContents { kind: SECTION }),
        }
        None
    }

    fn open_interface(&mut self, block: Block, window: &Window, log: &mut Log) -> Result<(), Fault> {
        let short = Fault::BlockContents { kind: INTERFACE };
        let link = self.endian.u16(window.bytes(), 8).filter(|_| block.length >= FRAMING + 8).ok_or(short.clone())?;
        let snap_length = self.endian.u32(window.bytes(), 12).ok_or(short)?;
        if self.interfaces.len() >= INTERFACES {
            return Err(Fault::TooManyInterfaces);
        }
        let options = Options::new(self.endian, 16, block.length.saturating_sub(4));
        self.interfaces.push(Interface::new(link, snap_length, options, window.bytes()));
        log.summary.declare(link);
        self.comment_on(block, 16, false);
        Ok(())
    }

    /// Section 4.3: interface, time in two halves, captured and original length, data, options.
    #[inline]
    fn open_enhanced(&mut self, block: Block, window: &Window, log: &mut Log) -> Result<Found, Fault> {
        let number = self.endian.u32(window.slice(0, block.length), 8).ok_or(SHORT_PACKET)?;
        self.open_timed(block, number, window, log)
    }

    /// Section A: the obsolete Packet Block has two bytes for the interface, and two for a count of lost packets.
    fn open_packet(&mut self, block: Block, window: &Window, log: &mut Log) -> Result<Found, Fault> {
        let number = self.endian.u16(window.slice(0, block.length), 8).ok_or(SHORT_PACKET)?;
        let drops = self.endian.u16(window.slice(0, block.length), 10).ok_or(SHORT_PACKET)?;
        let found = self.open_timed(block, u32::from(number), window, log)?;
        if drops != u16::MAX
            && let Some(interface) = self.interfaces.get_mut(usize::from(number))
        {
            interface.lost_before_packet(u64::from(drops), &mut log.summary.dropped);
        }
        Ok(found)
    }

    #[inline]
    fn open_timed(&mut self, block: Block, number: u32, window: &Window, log: &mut Log) -> Result<Found, Fault> {
        const DATA: usize = 28;
        let bytes = window.slice(0, block.length);
        let word = |at| self.endian.u32(bytes, at).ok_or(SHORT_PACKET);
        let (high, low) = (word(12)?, word(16)?);
        let (mut captured, original) = (word(20)?, word(24)?);
        let Some(room) = block.length.checked_sub(DATA + 4) else { return Err(SHORT_PACKET) };
        let Some(interface) = self.interfaces.get_mut(number as usize) else {
            return Err(Fault::UnknownInterface { interface: number });
        };
        if captured as usize > room {
            log.damage(window.offset(), Fault::BlockContents { kind: block.kind });
            captured = original.min(u32::try_from(room).unwrap_or_default());
        }
        let options = DATA.saturating_add(padded(captured));
        let end = block.length.saturating_sub(4);
        if options.saturating_add(4) <= end {
            let mut options = Options::new(self.endian, options, end);
            self.comments = Some((options, true));
            if block.kind == ENHANCED_PACKET {
                interface.read_packet_options(&mut options, window.bytes(), &mut log.summary.dropped);
            }
        }
        let time = interface.time(u64::from(high) << 32 | u64::from(low));
        Ok(log.frame(time, interface.link, DATA, captured, original))
    }

    /// Section 4.4: a packet of the first interface, without a time.
    fn open_simple(&mut self, block: Block, window: &Window, log: &mut Log) -> Result<Found, Fault> {
        const DATA: usize = 12;
        let original = self.endian.u32(window.slice(0, block.length), 8).ok_or(SHORT_PACKET)?;
        let Some(room) = block.length.checked_sub(DATA + 4) else { return Err(SHORT_PACKET) };
        let interface = self.interfaces.first().ok_or(Fault::UnknownInterface { interface: 0 })?;
        let snap_length = if interface.snap_length == 0 { u32::MAX } else { interface.snap_length };
        let captured = original.min(snap_length);
        let room = u32::try_from(room).unwrap_or_default();
        if captured > room {
            log.damage(window.offset(), Fault::BlockContents { kind: block.kind });
        }
        let time = log.summary.last.unwrap_or_default();
        Ok(log.frame(time, interface.link, DATA, captured.min(room), original))
    }

    fn open_statistics(&mut self, block: Block, window: &Window, log: &mut Log) -> Result<(), Fault> {
        let number = self.endian.u32(window.slice(0, block.length), 8);
        let number = number.filter(|_| block.length >= FRAMING + 12);
        let number = number.ok_or(Fault::BlockContents { kind: STATISTICS })?;
        let interface = self.interfaces.get_mut(number as usize);
        let interface = interface.ok_or(Fault::UnknownInterface { interface: number })?;
        let mut options = Options::new(self.endian, 8 + 12, block.length.saturating_sub(4));
        interface.read_statistics(&mut options, window.bytes(), &mut log.summary);
        self.comment_on(block, 8 + 12, false);
        Ok(())
    }

    fn open_secrets(&mut self, block: Block, window: &Window, log: &mut Log) -> Result<Option<Found>, Fault> {
        const DATA: usize = 16;
        let short = Fault::BlockContents { kind: SECRETS };
        let bytes = window.slice(0, block.length);
        let kind = self.endian.u32(bytes, 8).ok_or(short.clone())?;
        let length = self.endian.u32(bytes, 12).ok_or(short.clone())? as usize;
        let room = block.length.checked_sub(DATA + 4).ok_or(short.clone())?;
        if length > room {
            log.damage(window.offset(), short);
        }
        Ok((kind == TLS_KEY_LOG).then_some(Found::Secret { at: DATA, length: length.min(room) }))
    }

    fn comment_on(&mut self, block: Block, options: usize, about_frame: bool) {
        if !self.secrets_only {
            self.comments = Some((Options::new(self.endian, options, block.length.saturating_sub(4)), about_frame));
        }
    }
}

const SHORT_PACKET: Fault = Fault::BlockContents { kind: ENHANCED_PACKET };

/// To a multiple of four bytes.
#[inline]
const fn padded(length: u32) -> usize {
    (length as usize).saturating_add(3) & !3
}

const fn is_known(kind: u32) -> bool {
    matches!(
        kind,
        SECTION
            | INTERFACE
            | PACKET
            | SIMPLE_PACKET
            | NAMES
            | STATISTICS
            | ENHANCED_PACKET
            | SECRETS
            | CUSTOM
            | CUSTOM_NOT_COPIED
    )
}
