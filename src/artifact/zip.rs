//! The outside of a zip file as Go reads it (APPNOTE 6.3, archive/zip/reader.go): its directory at the end, and each
//! entry's bytes.
//!
//! No crate reads it, since the raw fields of both headers, declared sizes, duplicates and Go's own leniencies are what is
//! judged. Where releases of Go differ, this is Go 1.27.

use std::io::{self, Read, Seek, SeekFrom};

use flate2::{Crc, Decompress, FlushDecompress, Status};

/// Bytes of the file that are held at a time.
const HELD: usize = 256 << 10;
/// Bytes that are unpacked at a time.
const CHUNK: usize = 64 << 10;
/// Entries of an archive. No file of 500 MiB that anybody made on purpose has more.
const MAX_ENTRIES: usize = 1 << 20;

const LOCAL: [u8; 4] = *b"PK\x03\x04";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
const END64: [u8; 4] = *b"PK\x06\x06";
const LOCATOR64: [u8; 4] = *b"PK\x06\x07";
const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";
/// Bytes of the record at the end, without its comment.
const END_LENGTH: usize = 22;

/// Why an archive or an entry cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ZipError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It is no zip, or a damaged one.
    #[error("{0}")]
    Format(&'static str),
    /// An entry unpacks to another length than its directory says.
    #[error("uncompressed size is {got} than declared ({declared} bytes)")]
    Size {
        /// What the directory says.
        declared: u64,
        /// `larger` or `smaller`.
        got: &'static str,
    },
    /// An entry has another CRC-32 than its directory says.
    #[error("checksum error: the content has another CRC-32 than declared")]
    Crc,
    /// Go reads stored and deflated entries alone.
    #[error("unsupported compression algorithm {0}")]
    Method(u16),
    /// More entries than will be looked at; Go has no such limit.
    #[error("more than {MAX_ENTRIES} entries")]
    Entries,
}

/// An entry of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, as bytes.
    pub name: Vec<u8>,
    /// Compression method.
    pub method: u16,
    /// CRC-32; 0 is not checked, as in Go, unless it stands behind the bytes once more.
    pub crc: u32,
    /// Bytes that it takes in the file.
    pub packed: u64,
    /// Bytes that it unpacks to.
    pub unpacked: u64,
    /// Where its local header stands; past the end of any file where that is nowhere.
    pub offset: u64,
    /// Type bits of the Unix mode, where the maker's system has such: 0 for none.
    pub mode_type: u32,
    /// What the local header says, too: version needed, flags, method, time, date.
    pub shared: [u16; 5],
    /// What the directory alone says and nobody needs: version made by, disk, internal and external attributes.
    pub idle: [u32; 4],
}

impl Entry {
    /// Whether it is a folder: such an entry has no bytes, whatever else is said of it.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.name.ends_with(b"/")
    }

    /// Whether its CRC-32 and sizes stand behind its bytes, too (bit 3).
    #[must_use]
    pub fn has_descriptor(&self) -> bool {
        self.flags() & 8 != 0
    }

    fn flags(&self) -> u16 {
        let [_, flags, ..] = self.shared;
        flags
    }
}

/// What stands before an entry's bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Local {
    /// Where its bytes begin.
    pub body: u64,
    /// In which fields it contradicts the directory.
    pub contradicts: Vec<&'static str>,
}

/// An archive whose directory was read.
#[derive(Debug)]
pub struct Archive<R> {
    window: Window<R>,
    entries: Vec<Entry>,
    odd_end: bool,
    inflater: Decompress,
    output: Vec<u8>,
}

impl<R: Read + Seek> Archive<R> {
    /// Reads the directory.
    ///
    /// # Errors
    /// When it cannot be read or is none.
    pub fn open(source: R) -> Result<Self, ZipError> {
        let mut window = Window::new(source)?;
        let (entries, odd_end) = directory(&mut window)?;
        Ok(Self { window, entries, odd_end, inflater: Decompress::new(false), output: vec![0; CHUNK] })
    }

    /// The entries in the order of the directory.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether the record at the end of the file contradicts itself or the directory in a field that nobody needs.
    #[must_use]
    pub const fn has_odd_end(&self) -> bool {
        self.odd_end
    }

    /// The header before the bytes of an entry.
    ///
    /// # Errors
    /// When there is none where the directory says.
    pub fn local(&mut self, entry: &Entry) -> Result<Local, ZipError> {
        let missing = || ZipError::Format("an entry without its local header");
        let header = self.window.exact(entry.offset, 30)?.ok_or_else(missing)?;
        if !header.starts_with(&LOCAL) {
            return Err(missing());
        }
        let fields = Fields(header);
        let shared = [4, 6, 8, 10, 12].map(|at| fields.u16(at));
        let names = ["version needed", "flags", "method", "time", "date"];
        let mut contradicts: Vec<&'static str> = names
            .into_iter()
            .zip(shared.iter().zip(entry.shared))
            .filter(|(_, (one, other))| **one != *other)
            .map(|(name, _)| name)
            .collect();
        let (crc, packed, unpacked) = (fields.u32(14), fields.u32(18), fields.u32(22));
        let (name_length, extra) = (u64::from(fields.u16(26)), u64::from(fields.u16(28)));
        // They may stand behind the bytes instead; sizes beyond 32 bits stand in an extra field.
        let deferred = entry.has_descriptor() && (crc, packed, unpacked) == (0, 0, 0);
        let same = |one: u32, other: u64| one == u32::MAX || u64::from(one) == other;
        let agree = crc == entry.crc && same(packed, entry.packed) && same(unpacked, entry.unpacked);
        if !deferred && !agree {
            contradicts.push("CRC-32 or size");
        }
        let body = entry.offset.saturating_add(30).saturating_add(name_length).saturating_add(extra);
        let name = self.window.exact(entry.offset.saturating_add(30), entry.name.len())?;
        if name_length != entry.name.len() as u64 || name != Some(entry.name.as_slice()) {
            contradicts.push("name");
        }
        Ok(Local { body, contradicts })
    }

    /// Hands an entry's content on, piece by piece: never more than its declared size.
    ///
    /// # Errors
    /// When it cannot be unpacked, or its size or CRC-32 is not what the directory says. Pieces were handed on before that.
    pub fn unpack(&mut self, entry: &Entry, sink: impl FnMut(&[u8])) -> Result<(), ZipError> {
        let local = self.local(entry)?;
        self.unpack_behind(&local, entry, sink)
    }

    /// The same where its local header was read before.
    ///
    /// # Errors
    /// As for [`Archive::unpack`].
    pub fn unpack_behind(&mut self, local: &Local, entry: &Entry, mut sink: impl FnMut(&[u8])) -> Result<(), ZipError> {
        if entry.is_folder() {
            return if entry.unpacked == 0 { Ok(()) } else { Err(ZipError::Format("a folder with content")) };
        }
        // A packed size that is too large does no harm where the content ends by itself; a negative one is none, for Go.
        let packed = if entry.packed > i64::MAX as u64 { u64::MAX } else { entry.packed };
        let (mut at, end) = (local.body, local.body.saturating_add(packed).min(self.window.size));
        let mut crc = Crc::new();
        let mut left = entry.unpacked;
        let mut take = |piece: &[u8]| {
            left = left
                .checked_sub(piece.len() as u64)
                .ok_or(ZipError::Size { declared: entry.unpacked, got: "larger" })?;
            crc.update(piece);
            sink(piece);
            Ok::<(), ZipError>(())
        };
        match entry.method {
            0 => {
                while at < end {
                    let piece = self.window.some(at, end)?;
                    take(piece)?;
                    at = at.saturating_add(piece.len() as u64);
                }
            }
            8 => {
                self.inflater.reset(false);
                loop {
                    let input = if at < end { self.window.some(at, end)? } else { &[] };
                    let (read, written) = (self.inflater.total_in(), self.inflater.total_out());
                    let status = self.inflater.decompress(input, &mut self.output, FlushDecompress::None);
                    let status = status.map_err(|_| ZipError::Format("a damaged deflate stream"))?;
                    let used = self.inflater.total_in().saturating_sub(read);
                    let made = usize::try_from(self.inflater.total_out().saturating_sub(written)).unwrap_or(0);
                    take(self.output.get(..made).unwrap_or_default())?;
                    at = at.saturating_add(used);
                    if status == Status::StreamEnd {
                        break;
                    }
                    if used == 0 && made == 0 {
                        return Err(ZipError::Format("a deflate stream without its end"));
                    }
                }
            }
            other => return Err(ZipError::Method(other)),
        }
        if left > 0 {
            return Err(ZipError::Size { declared: entry.unpacked, got: "smaller" });
        }
        let sum = crc.sum();
        let right = if entry.has_descriptor() {
            sum == entry.crc && self.descriptor(local.body.saturating_add(packed))? == entry.crc
        } else {
            sum == entry.crc || entry.crc == 0
        };
        if right { Ok(()) } else { Err(ZipError::Crc) }
    }

    /// The CRC-32 behind an entry's bytes; a mark may stand before it.
    fn descriptor(&mut self, at: u64) -> Result<u32, ZipError> {
        let cut = || ZipError::Format("an entry without the record behind its bytes");
        let marked = self.window.exact(at, 4)?.ok_or_else(cut)? == DESCRIPTOR;
        let at = if marked { at.saturating_add(4) } else { at };
        Ok(Fields(self.window.exact(at, 12)?.ok_or_else(cut)?).u32(0))
    }
}

/// The entries of the directory that the end of the file names, and whether that record contradicts itself.
fn directory<R: Read + Seek>(window: &mut Window<R>) -> Result<(Vec<Entry>, bool), ZipError> {
    let tail_length = window.size.min(65 << 10);
    let tail_start = window.size.saturating_sub(tail_length);
    let tail = window.exact(tail_start, usize::try_from(tail_length).unwrap_or(0))?.ok_or_else(no_zip)?;
    let mut marks = memchr::memmem::rfind_iter(tail, &END).filter(|at| tail.len().saturating_sub(*at) >= END_LENGTH);
    let at = marks.next().ok_or_else(no_zip)?;
    let end = tail.get(at..).unwrap_or_default();
    let fields = Fields(end);
    let one_disk = fields.u32(4) == 0 && fields.u16(8) == fields.u16(10);
    let (comment, rest) = (usize::from(fields.u16(20)), end.len().saturating_sub(END_LENGTH));
    if comment > rest {
        return Err(ZipError::Format("a zip file with a cut comment"));
    }
    let mut end_offset = tail_start.saturating_add(at as u64);
    let (mut records, mut length, mut offset) =
        (u64::from(fields.u16(10)), u64::from(fields.u32(12)), u64::from(fields.u32(16)));
    if (records == 0xffff || length == 0xffff_ffff || offset == 0xffff_ffff)
        && let Some(found) = end64(window, end_offset)?
    {
        (end_offset, records, length, offset) = found;
    }
    if offset > i64::MAX as u64 {
        return Err(no_zip());
    }
    // The directory stands before its end; what it says of its place may be off, and all other places with it.
    let mut start = end_offset.checked_sub(length).filter(|start| *start < window.size).ok_or_else(no_zip)?;
    // Some writers give the directory's length wrong; where a directory stands at the plain offset, that is it.
    if start > offset && matches!(entry(window, &mut offset.clone()), Ok(Some(_))) {
        start = offset;
    }
    let shift = start.wrapping_sub(offset);
    let mut at = start;
    let mut entries = Vec::new();
    while let Some(mut entry) = entry(window, &mut at)? {
        if entries.len() >= MAX_ENTRIES {
            return Err(ZipError::Entries);
        }
        entry.offset = entry.offset.wrapping_add(shift);
        entries.push(entry);
    }
    // The count is kept in 16 bits and wraps around.
    let counted = (entries.len() as u64) & 0xffff == records & 0xffff;
    let odd = !one_disk || at.checked_sub(start) != Some(length) || comment != rest;
    if counted {
        Ok((entries, odd))
    } else {
        Err(ZipError::Format("not a valid zip file: its directory has another count of entries"))
    }
}

const fn no_zip() -> ZipError {
    ZipError::Format("not a valid zip file")
}

type End64 = (u64, u64, u64, u64);

/// The zip64 end of the directory: where it stands, records, length and offset.
fn end64<R: Read + Seek>(window: &mut Window<R>, end: u64) -> Result<Option<End64>, ZipError> {
    let Some(at) = end.checked_sub(20) else { return Ok(None) };
    let Some(locator) = window.exact(at, 20)?.filter(|bytes| bytes.starts_with(&LOCATOR64)) else { return Ok(None) };
    let fields = Fields(locator);
    let at = fields.u64(8);
    // First disk of one disk, or it is no zip64.
    if fields.u32(4) != 0 || fields.u32(16) != 1 || at > i64::MAX as u64 {
        return Ok(None);
    }
    let end = window.exact(at, 56)?.filter(|bytes| bytes.starts_with(&END64));
    let fields = Fields(end.ok_or(ZipError::Format("not a valid zip file: no zip64 directory"))?);
    Ok(Some((at, fields.u64(32), fields.u64(40), fields.u64(48))))
}

/// The entry that stands there; `None` where there is none, or a malformed one: the count says whether that is the end.
fn entry<R: Read + Seek>(window: &mut Window<R>, at: &mut u64) -> Result<Option<Entry>, ZipError> {
    let body = at.saturating_add(46);
    let Some(header) = window.exact(*at, 46)?.filter(|bytes| bytes.starts_with(&CENTRAL)) else {
        return if *at == window.size { Err(no_zip()) } else { Ok(None) };
    };
    let fields = Fields(header);
    let system = fields.u16(4) >> 8;
    let (name, extra, comment) = (fields.u16(28), fields.u16(30), fields.u16(32));
    let attributes = fields.u32(38);
    let mut entry = Entry {
        name: Vec::new(),
        method: fields.u16(10),
        crc: fields.u32(16),
        packed: u64::from(fields.u32(20)),
        unpacked: u64::from(fields.u32(24)),
        offset: u64::from(fields.u32(42)),
        shared: [6, 8, 10, 12, 14].map(|at| fields.u16(at)),
        idle: [u32::from(fields.u16(4)), u32::from(fields.u16(34)), u32::from(fields.u16(36)), attributes],
        // Unix and macOS keep the mode in the upper half.
        mode_type: if matches!(system, 3 | 19) { attributes >> 16 & 0o170_000 } else { 0 },
    };
    let length = usize::from(name) + usize::from(extra) + usize::from(comment);
    let Some(rest) = window.exact(body, length)? else {
        return if body == window.size { Err(no_zip()) } else { Ok(None) };
    };
    let (name, rest) = rest.split_at_checked(usize::from(name)).unwrap_or_default();
    entry.name = name.to_vec();
    *at = body.saturating_add(length as u64);
    let whole = zip64(&mut entry, rest.get(..usize::from(extra)).unwrap_or_default());
    Ok(whole.is_some().then_some(entry))
}

/// Fields that do not fit in 32 bits stand in an extra field, of several in the last; `None` when one lacks its numbers.
fn zip64(entry: &mut Entry, mut extra: &[u8]) -> Option<()> {
    const LARGE: u64 = 0xffff_ffff;
    let (unpacked, packed) = (entry.unpacked == LARGE, entry.packed == LARGE);
    while extra.len() >= 4 {
        let fields = Fields(extra);
        let (tag, length) = (fields.u16(0), usize::from(fields.u16(2)));
        let Some((field, rest)) = extra.get(4..).and_then(|rest| rest.split_at_checked(length)) else { break };
        extra = rest;
        if tag != 1 {
            continue;
        }
        let mut numbers = field.chunks_exact(8).map(|bytes| Fields(bytes).u64(0));
        let offset = entry.offset == LARGE;
        for (large, value) in
            [(unpacked, &mut entry.unpacked), (packed, &mut entry.packed), (offset, &mut entry.offset)]
        {
            if large {
                *value = numbers.next()?;
            }
        }
    }
    Some(())
}

/// Little-endian numbers at places; 0 where there are no such bytes.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        self.0.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.bytes(at))
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes(at))
    }
}

/// A part of a file that is at hand.
#[derive(Debug)]
struct Window<R> {
    source: R,
    size: u64,
    held: Vec<u8>,
    start: u64,
}

impl<R: Read + Seek> Window<R> {
    fn new(mut source: R) -> io::Result<Self> {
        let size = source.seek(SeekFrom::End(0))?;
        Ok(Self { source, size, held: Vec::new(), start: 0 })
    }

    /// What stands there, as much as is at hand: nothing at the end of the file.
    fn some(&mut self, at: u64, end: u64) -> io::Result<&[u8]> {
        let held_end = self.start.saturating_add(self.held.len() as u64);
        if at < self.start || at >= held_end {
            self.fill(at, HELD)?;
        }
        let from = usize::try_from(at.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let length = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
        let rest = self.held.get(from..).unwrap_or_default();
        Ok(rest.get(..length).unwrap_or(rest))
    }

    /// So many bytes; `None` when the file ends before.
    fn exact(&mut self, at: u64, length: usize) -> io::Result<Option<&[u8]>> {
        let end = at.saturating_add(length as u64);
        if end > self.size {
            return Ok(None);
        }
        let held_end = self.start.saturating_add(self.held.len() as u64);
        if at < self.start || end > held_end {
            self.fill(at, length.max(HELD))?;
        }
        let from = usize::try_from(at.saturating_sub(self.start)).unwrap_or(usize::MAX);
        Ok(self.held.get(from..).and_then(|rest| rest.get(..length)))
    }

    fn fill(&mut self, at: u64, length: usize) -> io::Result<()> {
        self.held.clear();
        self.start = at;
        self.source.seek(SeekFrom::Start(at))?;
        (&mut self.source).take(length as u64).read_to_end(&mut self.held)?;
        Ok(())
    }
}
