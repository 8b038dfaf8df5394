//! Writes pcapng (draft-ietf-opsawg-pcapng): what a recording is kept in.

use std::io::{self, Write};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const DECRYPTION_SECRETS: u32 = 10;
/// Secrets type "TLS key log" (§4.7).
const TLS_KEY_LOG: u32 = 0x544c_534b;

const COMMENT: u16 = 1;
const SECTION_OS: u16 = 3;
const SECTION_APPLICATION: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const INTERFACE_RESOLUTION: u16 = 9;
const INTERFACE_FILTER: u16 = 11;
const STATISTICS_RECEIVED: u16 = 4;
const STATISTICS_DROPPED: u16 = 5;
/// Times count 10⁻⁹ seconds.
const NANOSECONDS: u8 = 9;

/// The longest option: its length has 16 bits, and it is padded to 32.
const MAX_OPTION: usize = 65_532;

/// A file of one section and one interface, being written.
pub(super) struct Writer<W> {
    out: W,
    block: Vec<u8>,
}

/// What is said of the interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Interface {
    /// LINKTYPE number.
    pub(super) link_type: u16,
    /// Longest packet that is recorded.
    pub(super) snap_length: u32,
    /// Name of the device.
    pub(super) name: String,
    /// What the kernel lets through, in the words of pcap-filter(7).
    pub(super) filter: String,
}

impl<W: Write> Writer<W> {
    /// Begins a file. The comments say what was recorded.
    pub(super) fn new(out: W, comments: &[String]) -> io::Result<Self> {
        let mut writer = Self { out, block: Vec::new() };
        writer.begin(SECTION_HEADER);
        writer.put(&0x1a2b_3c4d_u32.to_le_bytes());
        writer.put(&[1, 0, 0, 0]); // version 1.0
        writer.put(&u64::MAX.to_le_bytes()); // length of the section: not told
        for comment in comments {
            writer.option(COMMENT, comment.as_bytes());
        }
        writer.option(SECTION_OS, std::env::consts::OS.as_bytes());
        writer.option(SECTION_APPLICATION, concat!("goprobe ", env!("CARGO_PKG_VERSION")).as_bytes());
        writer.end_options();
        writer.finish()?;
        Ok(writer)
    }

    /// Describes the interface; packets come after it.
    pub(super) fn interface(&mut self, interface: &Interface) -> io::Result<()> {
        self.begin(INTERFACE_DESCRIPTION);
        self.put(&interface.link_type.to_le_bytes());
        self.put(&[0, 0]);
        self.put(&interface.snap_length.to_le_bytes());
        self.option(INTERFACE_NAME, interface.name.as_bytes());
        self.option(INTERFACE_RESOLUTION, &[NANOSECONDS]);
        if !interface.filter.is_empty() {
            self.option(INTERFACE_FILTER, &[b"\0", interface.filter.as_bytes()].concat());
        }
        self.end_options();
        self.finish()
    }

    /// Adds TLS secrets, in the NSS key log format. They belong before the packets that they open.
    pub(super) fn secrets(&mut self, key_log: &[u8]) -> io::Result<()> {
        self.begin(DECRYPTION_SECRETS);
        self.put(&TLS_KEY_LOG.to_le_bytes());
        self.put(&length_of(key_log).to_le_bytes());
        self.put_padded(key_log);
        self.finish()
    }

    /// Adds a packet, recorded so many nanoseconds after 1970, that had `original` bytes.
    pub(super) fn packet(&mut self, time: u64, original: u32, bytes: &[u8], comments: &[String]) -> io::Result<()> {
        self.begin(ENHANCED_PACKET);
        self.put(&0_u32.to_le_bytes());
        let [high, low] = halves(time);
        self.put(&high.to_le_bytes());
        self.put(&low.to_le_bytes());
        self.put(&length_of(bytes).to_le_bytes());
        self.put(&original.to_le_bytes());
        self.put_padded(bytes);
        for comment in comments {
            self.option(COMMENT, comment.as_bytes());
        }
        if !comments.is_empty() {
            self.end_options();
        }
        self.finish()
    }

    /// Adds the kernel's figures for the interface.
    pub(super) fn statistics(&mut self, time: u64, received: u64, dropped: u64) -> io::Result<()> {
        self.begin(INTERFACE_STATISTICS);
        self.put(&0_u32.to_le_bytes());
        let [high, low] = halves(time);
        self.put(&high.to_le_bytes());
        self.put(&low.to_le_bytes());
        self.option(STATISTICS_RECEIVED, &received.to_le_bytes());
        self.option(STATISTICS_DROPPED, &dropped.to_le_bytes());
        self.end_options();
        self.finish()
    }

    /// Hands on what is held back.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// The destination.
    #[cfg(test)]
    fn into_inner(self) -> W {
        self.out
    }

    fn begin(&mut self, kind: u32) {
        self.block.clear();
        self.put(&kind.to_le_bytes());
        self.put(&[0; 4]); // the length, when it is known
    }

    fn put(&mut self, bytes: &[u8]) {
        self.block.extend_from_slice(bytes);
    }

    fn put_padded(&mut self, bytes: &[u8]) {
        self.put(bytes);
        self.block.resize(self.block.len().next_multiple_of(4), 0);
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        let value = value.get(..MAX_OPTION).unwrap_or(value);
        self.put(&code.to_le_bytes());
        self.put(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
        self.put_padded(value);
    }

    fn end_options(&mut self) {
        self.put(&[0; 4]);
    }

    fn finish(&mut self) -> io::Result<()> {
        let length = u32::try_from(self.block.len() + 4).map_err(io::Error::other)?.to_le_bytes();
        self.put(&length);
        if let Some(place) = self.block.get_mut(4..8) {
            place.copy_from_slice(&length);
        }
        self.out.write_all(&self.block)
    }
}

fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// The upper and the lower half of a time (§4.3).
fn halves(time: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = time.to_be_bytes();
    [u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])]
}

#[cfg(test)]
mod tests {
    use tempfile::NamedTempFile;

    use super::*;
    use crate::source::{Input, Reader, Record, Secrets};

    fn written(build: impl FnOnce(&mut Writer<Vec<u8>>) -> io::Result<()>) -> (Vec<Input>, NamedTempFile) {
        let mut writer = Writer::new(Vec::new(), &["command: go get".to_owned(), "ü".repeat(40_000)]).unwrap();
        build(&mut writer).unwrap();
        let bytes = writer.into_inner();
        assert_eq!(bytes.len() % 4, 0);
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        (Input::open_all(&[file.path().to_owned()]).unwrap(), file)
    }

    fn interface(name: &str, filter: &str) -> Interface {
        Interface { link_type: 276, snap_length: 262_144, name: name.to_owned(), filter: filter.to_owned() }
    }

    #[test]
    fn it_is_read_back_as_it_was_written() {
        let times = [0, 1_600_000_000_123_456_789, u64::from(u32::MAX), 4_000_000_000_000_000_001];
        let key_log = b"CLIENT_RANDOM 00 01\n";
        let (inputs, _file) = written(|writer| {
            writer.secrets(key_log)?;
            writer.interface(&interface("any", "tcp"))?;
            for (at, time) in times.into_iter().enumerate() {
                let words = ["one".to_owned(), "zwölf".to_owned()];
                writer.packet(time, 1_500, &vec![7; at], words.get(..at % 3).unwrap())?;
            }
            writer.statistics(times[3], 5, 3)?;
            writer.flush()
        });
        let mut reader = Reader::new(&inputs);
        let (mut frames, mut notes) = (Vec::new(), Vec::new());
        while let Some(record) = reader.next() {
            match record {
                Record::Frame(frame) => {
                    frames.push((frame.time.nanos() as u64, frame.bytes.to_vec(), frame.original_length, frame.link));
                }
                Record::Note(note) => notes.push((note.frame.map(|frame| frame.number), note.text.to_owned())),
                Record::Secret(_) => {}
            }
        }
        let wanted: Vec<_> = times.into_iter().enumerate().map(|(at, time)| (time, vec![7; at], 1_500, 276)).collect();
        assert_eq!(frames, wanted);
        assert_eq!(notes[0], (None, "command: go get".to_owned()));
        assert!(notes[1].1.len() > 65_000 && notes[1].1.starts_with("üü"), "what is too long for an option is cut");
        let at_frames: Vec<_> = notes.iter().filter(|(frame, _)| frame.is_some()).cloned().collect();
        let of = |frame, text: &str| (Some(frame), text.to_owned());
        assert_eq!(at_frames, [of(2, "one"), of(3, "one"), of(3, "zwölf")]);
        let summary = reader.summary();
        assert_eq!(summary.dropped, Some(3));
        assert_eq!((summary.damaged, summary.damage.len()), (0, 0));
        let mut secrets = Secrets::new(&inputs);
        assert_eq!(secrets.next().unwrap().key_log, key_log);
        assert!(secrets.next().is_none());
    }

    #[test]
    fn a_file_without_packets_is_one() {
        for (inputs, _file) in [written(|_| Ok(())), written(|writer| writer.interface(&interface("", "")))] {
            let mut reader = Reader::new(&inputs);
            while let Some(record) = reader.next() {
                assert!(matches!(record, Record::Note(_)));
            }
            assert_eq!(reader.summary().damaged, 0);
        }
    }

    #[test]
    fn a_file_that_ends_anywhere_is_read_up_to_there() {
        let mut writer = Writer::new(Vec::new(), &[]).unwrap();
        writer.interface(&interface("eth0", "")).unwrap();
        let start = writer.out.len();
        writer.packet(1, 4, b"abcd", &[]).unwrap();
        let one = writer.out.len();
        writer.packet(2, 4, b"efgh", &[]).unwrap();
        let bytes = writer.into_inner();
        let file = NamedTempFile::new().unwrap();
        for length in start..bytes.len() {
            std::fs::write(file.path(), bytes.get(..length).unwrap()).unwrap();
            let inputs = Input::open_all(&[file.path().to_owned()]).unwrap();
            let mut reader = Reader::new(&inputs);
            let mut frames = 0;
            while let Some(record) = reader.next() {
                frames += usize::from(matches!(record, Record::Frame(_)));
            }
            assert_eq!(frames, usize::from(length >= one), "{length} bytes");
        }
    }
}
