//! Small writers of recordings, for tests.

use std::io::Write;

use tempfile::NamedTempFile;

use super::{Input, Reader, Record, Summary};

/// A file with these bytes, gone when the value is.
pub(crate) fn temporary(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A record that owns what it holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Owned {
    /// File, number, nanoseconds, link type, bytes, length on the wire.
    Frame(u16, u32, i64, u16, Vec<u8>, u32),
    Secret(Vec<u8>),
    /// The number of the frame, text.
    Note(Option<u32>, String),
}

/// Everything in these recordings, as one case.
pub(crate) fn read(files: &[&[u8]]) -> (Vec<Owned>, Summary) {
    let files: Vec<_> = files.iter().map(|bytes| temporary(bytes)).collect();
    let inputs: Vec<_> = files.iter().map(|file| Input::open(file.path()).unwrap()).collect();
    let mut reader = Reader::new(&inputs);
    let mut records = Vec::new();
    while let Some(record) = reader.next() {
        records.push(match record {
            Record::Frame(frame) => Owned::Frame(
                frame.no.file,
                frame.no.number,
                frame.time.nanos(),
                frame.link,
                frame.bytes.to_vec(),
                frame.original_length,
            ),
            Record::Secret(secret) => Owned::Secret(secret.key_log.to_vec()),
            Record::Note(note) => Owned::Note(note.frame.map(|no| no.number), note.text.to_owned()),
        });
    }
    (records, reader.summary())
}

/// The bytes of the frames only.
pub(crate) fn frames(records: &[Owned]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    for record in records {
        if let Owned::Frame(.., bytes, _) = record {
            frames.push(&bytes[..]);
        }
    }
    frames
}

/// Writes pcap.
pub(crate) struct PcapWriter {
    pub(crate) bytes: Vec<u8>,
    big: bool,
    modified: bool,
}

impl PcapWriter {
    pub(crate) fn little(network: u32) -> Self {
        Self::new(0xa1b2_c3d4, false, (2, 4), network)
    }

    pub(crate) fn new(magic: u32, big: bool, version: (u16, u16), network: u32) -> Self {
        let mut writer = Self { bytes: Vec::new(), big, modified: magic == 0xa1b2_cd34 };
        writer.u32(magic);
        writer.u16(version.0);
        writer.u16(version.1);
        for word in [0, 0, 65_535, network] {
            writer.u32(word);
        }
        writer
    }

    pub(crate) fn frame(&mut self, seconds: u32, fraction: u32, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).unwrap();
        self.header(seconds, fraction, length, length);
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn header(&mut self, seconds: u32, fraction: u32, captured: u32, original: u32) {
        for word in [seconds, fraction, captured, original] {
            self.u32(word);
        }
        if self.modified {
            self.bytes.extend_from_slice(&[0; 8]);
        }
    }

    fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
    }
}

/// Writes pcapng.
#[derive(Default)]
pub(crate) struct PcapngWriter {
    pub(crate) bytes: Vec<u8>,
    pub(crate) big: bool,
}

impl PcapngWriter {
    /// With one section and one interface of this link type, microseconds.
    pub(crate) fn begun(big: bool, link: u16) -> Self {
        let mut writer = Self { bytes: Vec::new(), big };
        writer.section(&[]);
        writer.interface(link, 0, &[]);
        writer
    }

    pub(crate) fn words(&self, words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| if self.big { word.to_be_bytes() } else { word.to_le_bytes() }).collect()
    }

    fn halves(&self, halves: &[u16]) -> Vec<u8> {
        halves.iter().flat_map(|half| if self.big { half.to_be_bytes() } else { half.to_le_bytes() }).collect()
    }

    fn options(&self, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (code, value) in options {
            bytes.extend(self.halves(&[*code, u16::try_from(value.len()).unwrap()]));
            bytes.extend_from_slice(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        if !options.is_empty() {
            bytes.extend_from_slice(&[0; 4]);
        }
        bytes
    }

    pub(crate) fn block(&mut self, kind: u32, body: &[u8]) {
        let length = u32::try_from(body.len().next_multiple_of(4) + 12).unwrap();
        let head = self.words(&[kind, length]);
        self.bytes.extend(head);
        self.bytes.extend_from_slice(body);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        let tail = self.words(&[length]);
        self.bytes.extend(tail);
    }

    pub(crate) fn section(&mut self, options: &[(u16, &[u8])]) {
        let mut body = self.words(&[0x1a2b_3c4d]);
        body.extend(self.halves(&[1, 0]));
        body.extend_from_slice(&[0xff; 8]);
        body.extend(self.options(options));
        self.block(0x0a0d_0d0a, &body);
    }

    pub(crate) fn interface(&mut self, link: u16, snap_length: u32, options: &[(u16, &[u8])]) {
        let mut body = self.halves(&[link, 0]);
        body.extend(self.words(&[snap_length]));
        body.extend(self.options(options));
        self.block(1, &body);
    }

    pub(crate) fn packet(&mut self, interface: u32, time: u64, bytes: &[u8], options: &[(u16, &[u8])]) {
        let length = u32::try_from(bytes.len()).unwrap();
        let [high, low] = [time >> 32, time & 0xffff_ffff].map(|half| u32::try_from(half).unwrap());
        let mut body = self.words(&[interface, high, low, length, length]);
        body.extend_from_slice(bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(self.options(options));
        self.block(6, &body);
    }

    pub(crate) fn secrets(&mut self, kind: u32, key_log: &[u8]) {
        let mut body = self.words(&[kind, u32::try_from(key_log.len()).unwrap()]);
        body.extend_from_slice(key_log);
        self.block(10, &body);
    }

    pub(crate) fn statistics(&mut self, interface: u32, options: &[(u16, &[u8])]) {
        let mut body = self.words(&[interface, 0, 0]);
        body.extend(self.options(options));
        self.block(5, &body);
    }
}
