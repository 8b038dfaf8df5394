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

#[derive(Clone)]
struct Header {
    name: Vec<u8>,
    crc: u32,
    packed: u32,
    unpacked: u32,
    offset: u32,
    mode: u32,
}

impl Zip {
    pub(crate) fn add(&mut self, name: &str, content: &[u8]) {
        self.put(name, content, u32::try_from(content.len()).unwrap(), 0);
    }

    pub(crate) fn add_mode(&mut self, name: &str, content: &[u8], mode: u32) {
        self.put(name, content, u32::try_from(content.len()).unwrap(), mode);
    }

    /// With another size in the directory than it has.
    pub(crate) fn add_lying(&mut self, name: &str, content: &[u8], declared: u32) {
        self.put(name, content, declared, 0);
    }

    /// A second entry over the bytes of the last one.
    pub(crate) fn again(&mut self, name: &str) {
        let mut header = self.last.clone().unwrap();
        header.name = name.as_bytes().to_vec();
        self.list(&header);
    }

    fn put(&mut self, name: &str, content: &[u8], unpacked: u32, mode: u32) {
        let mut encoder = DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        let packed = encoder.finish().unwrap();
        let mut crc = Crc::new();
        crc.update(content);
        let header = Header {
            name: name.as_bytes().to_vec(),
            crc: crc.sum(),
            packed: u32::try_from(packed.len()).unwrap(),
            unpacked,
            offset: u32::try_from(self.body.len()).unwrap(),
            mode,
        };
        self.body.extend(b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0");
        self.body.extend(header.sizes());
        self.body.extend([0, 0]);
        self.body.extend(&header.name);
        self.body.extend(packed);
        self.list(&header);
        self.last = Some(header);
    }

    fn list(&mut self, header: &Header) {
        self.directory.extend(b"PK\x01\x02\x14\x03\x14\0\0\0\x08\0\0\0\0\0");
        self.directory.extend(header.sizes());
        self.directory.extend([0; 8]);
        self.directory.extend((header.mode << 16).to_le_bytes());
        self.directory.extend(header.offset.to_le_bytes());
        self.directory.extend(&header.name);
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
    /// CRC, both sizes, length of the name.
    fn sizes(&self) -> Vec<u8> {
        let name = u16::try_from(self.name.len()).unwrap();
        [&self.crc.to_le_bytes()[..], &self.packed.to_le_bytes(), &self.unpacked.to_le_bytes(), &name.to_le_bytes()]
            .concat()
    }
}

/// A zip of these files.
pub(crate) fn zip_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = Zip::default();
    files.iter().for_each(|(name, content)| zip.add(name, content.as_bytes()));
    zip.finish()
}
