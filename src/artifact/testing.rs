//! Builds archives for tests, valid ones and others.

use std::io::Write as _;

use flate2::Crc;
use flate2::write::DeflateEncoder;

/// A zip file under construction.
#[derive(Default, Clone)]
pub(crate) struct Zip {
    body: Vec<u8>,
    directory: Vec<u8>,
    count: u16,
    last: Option<Header>,
}

/// What is written of an entry; whatever is changed of it is written as it is.
#[derive(Clone, Default)]
pub(crate) struct Header {
    pub(crate) name: Vec<u8>,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) crc: u32,
    pub(crate) packed: u32,
    pub(crate) unpacked: u32,
    pub(crate) mode: u32,
    /// The extra field of the directory.
    pub(crate) extra: Vec<u8>,
    /// The packed bytes, and what stands behind them.
    pub(crate) data: Vec<u8>,
    offset: u32,
}

impl Zip {
    pub(crate) fn add(&mut self, name: &str, content: &[u8]) {
        self.add_with(name, content, |_| {});
    }

    pub(crate) fn add_mode(&mut self, name: &str, content: &[u8], mode: u32) {
        self.add_with(name, content, |header| header.mode = mode);
    }

    /// With another size in the directory than it has.
    pub(crate) fn add_lying(&mut self, name: &str, content: &[u8], declared: u32) {
        self.add_with(name, content, |header| header.unpacked = declared);
    }

    /// A second entry over the bytes of the last one.
    pub(crate) fn again(&mut self, name: &str) {
        let mut header = self.last.clone().unwrap();
        header.name = name.as_bytes().to_vec();
        self.list(&header);
    }

    /// An entry of which anything may be changed before it is written.
    pub(crate) fn add_with(&mut self, name: &str, content: &[u8], change: impl FnOnce(&mut Header)) {
        let mut encoder = DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        let mut crc = Crc::new();
        crc.update(content);
        let data = encoder.finish().unwrap();
        let mut header = Header {
            name: name.as_bytes().to_vec(),
            method: 8,
            crc: crc.sum(),
            packed: u32::try_from(data.len()).unwrap(),
            unpacked: u32::try_from(content.len()).unwrap(),
            data,
            offset: u32::try_from(self.body.len()).unwrap(),
            ..Header::default()
        };
        change(&mut header);
        self.body.extend(b"PK\x03\x04\x14\0");
        self.body.extend(header.fields());
        self.body.extend([0, 0]);
        self.body.extend(&header.name);
        self.body.extend(&header.data);
        self.list(&header);
        self.last = Some(header);
    }

    fn list(&mut self, header: &Header) {
        self.directory.extend(b"PK\x01\x02\x14\x03\x14\0");
        self.directory.extend(header.fields());
        self.directory.extend(u16::try_from(header.extra.len()).unwrap().to_le_bytes());
        self.directory.extend([0; 6]);
        self.directory.extend((header.mode << 16).to_le_bytes());
        self.directory.extend(header.offset.to_le_bytes());
        self.directory.extend(&header.name);
        self.directory.extend(&header.extra);
        self.count += 1;
    }

    pub(crate) fn finish(&self) -> Vec<u8> {
        let mut bytes = [&self.body[..], &self.directory].concat();
        bytes.extend(b"PK\x05\x06\0\0\0\0");
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(u32::try_from(self.directory.len()).unwrap().to_le_bytes());
        bytes.extend(u32::try_from(self.body.len()).unwrap().to_le_bytes());
        bytes.extend([0, 0]);
        bytes
    }
}

impl Header {
    /// Flags, method, time and date, CRC, both sizes, length of the name.
    fn fields(&self) -> Vec<u8> {
        let name = u16::try_from(self.name.len()).unwrap();
        [
            &self.flags.to_le_bytes()[..],
            &self.method.to_le_bytes(),
            &[0; 4],
            &self.crc.to_le_bytes(),
            &self.packed.to_le_bytes(),
            &self.unpacked.to_le_bytes(),
            &name.to_le_bytes(),
        ]
        .concat()
    }
}

/// A zip of these files.
pub(crate) fn zip_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = Zip::default();
    files.iter().for_each(|(name, content)| zip.add(name, content.as_bytes()));
    zip.finish()
}
