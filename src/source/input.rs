//! The files: opened, known by their first bytes, hashed; standard input is spooled.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ring::digest::{Context, SHA256};

use super::decompress::Compression;
use super::{Error, pcap, pcapng};

/// Bytes that are hashed or spooled at once.
const CHUNK: usize = 256 << 10;

/// A recording that can be read as often as needed: a file, or the spooled bytes of a stream.
///
/// A clone is the same recording. A file that grows is read up to the size that it had when it was opened, so that
/// every pass and the digest see the same bytes.
#[derive(Clone, Debug)]
pub struct Input(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    bytes: u64,
    /// The unlinked copy of what could be read only once.
    spool: Option<Arc<File>>,
    format: Format,
    digest: OnceLock<Result<String, io::ErrorKind>>,
}

/// The format of a recording, below its compression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    Pcap(pcap::Variant),
    Pcapng,
}

impl Input {
    /// Opens a recording; `-` is standard input. Pipes and the like are spooled to an unlinked temporary file first.
    ///
    /// # Errors
    /// When nothing of it can be read: there is no such file, it is empty, no capture file, or damaged from the start.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        if path.as_os_str() == "-" {
            return Self::spool(path, io::stdin().lock());
        }
        let failed = |source| Error::Open { path: path.into(), source };
        // Opening a pipe waits for its writer, as for any reader of it.
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(Error::Directory { path: path.into() });
        }
        if metadata.is_file() {
            Self::known(path, Arc::new(file), metadata.len(), None)
        } else {
            Self::spool(path, file)
        }
    }

    /// Opens several recordings as one case and begins to hash them in the background.
    ///
    /// # Errors
    /// As [`Input::open`], and when there are more than 65,535.
    pub fn open_all(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Vec<Self>, Error> {
        let inputs = paths.into_iter().map(Self::open).collect::<Result<Vec<_>, _>>()?;
        if inputs.len() > usize::from(u16::MAX) {
            return Err(Error::TooMany { count: inputs.len() });
        }
        let hashed = inputs.clone();
        // Without a thread, `sha256` does the work when it is asked.
        let _ = std::thread::Builder::new().name("hash".to_owned()).spawn(move || {
            for input in &hashed {
                input.digest();
            }
        });
        Ok(inputs)
    }

    /// The path as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The size of the file as it is on disk, or of the stream.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// The SHA-256 of the file as it is on disk, or of the stream, in lower-case hex. Waits for it where needed.
    ///
    /// # Errors
    /// When the file cannot be read to its end.
    pub fn sha256(&self) -> Result<&str, Error> {
        match self.digest() {
            Ok(digest) => Ok(digest),
            Err(kind) => Err(Error::Read { path: self.0.path.clone(), source: (*kind).into() }),
        }
    }

    fn digest(&self) -> &Result<String, io::ErrorKind> {
        self.0.digest.get_or_init(|| {
            let hashed = self.stored().and_then(|mut file| {
                let mut context = Context::new(&SHA256);
                copy(&mut file, &mut context, &mut io::sink())?;
                Ok(context)
            });
            hashed.map(hex).map_err(|error| error.kind())
        })
    }

    fn spool(path: &Path, mut stream: impl Read) -> Result<Self, Error> {
        let failed = |source| Error::Spool { path: path.into(), source };
        let mut file = tempfile::tempfile().map_err(failed)?;
        let mut context = Context::new(&SHA256);
        let bytes = copy(&mut stream, &mut context, &mut file).map_err(failed)?;
        Self::known(path, Arc::new(file), bytes, Some(hex(context)))
    }

    /// Makes sure of the format. A spooled file comes with its digest.
    fn known(path: &Path, file: Arc<File>, bytes: u64, spooled: Option<String>) -> Result<Self, Error> {
        let extent = Extent { file: Arc::clone(&file), at: 0, end: bytes };
        let format = recognise(path, extent)?;
        let spool = spooled.is_some().then_some(file);
        let digest = OnceLock::new();
        if let Some(spooled) = spooled {
            let _ = digest.set(Ok(spooled));
        }
        Ok(Self(Arc::new(Inner { path: path.into(), bytes, spool, format, digest })))
    }

    /// The bytes as they are stored, from the beginning.
    fn stored(&self) -> io::Result<Extent> {
        let file = match &self.0.spool {
            Some(file) => Arc::clone(file),
            None => Arc::new(File::open(&self.0.path)?),
        };
        Ok(Extent { file, at: 0, end: self.0.bytes })
    }

    /// The recording below its compression, from the beginning.
    pub(super) fn stream(&self) -> io::Result<Box<dyn Read + Send>> {
        let stored = self.stored()?;
        Compression::detect(&stored.beginning()?).reader(stored)
    }

    pub(super) fn format(&self) -> Format {
        self.0.format
    }

    /// Whether its format knows secrets.
    pub(super) fn may_hold_secrets(&self) -> bool {
        self.0.format == Format::Pcapng
    }
}

/// The format by the first bytes; names are never believed.
fn recognise(path: &Path, stored: Extent) -> Result<Format, Error> {
    let failed = |source| Error::Read { path: path.into(), source };
    let empty = stored.end == 0;
    let compression = Compression::detect(&stored.beginning().map_err(failed)?);
    let mut header = [0; pcap::FILE_HEADER];
    let mut length = 0;
    let mut stream = compression.reader(stored).map_err(failed)?;
    let failure = loop {
        match stream.read(header.get_mut(length..).unwrap_or_default()) {
            Ok(0) => break None,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Some(error),
        }
    };
    let header = header.get(..length).unwrap_or_default();
    if let Some(variant) = pcap::Variant::detect(header) {
        return if length == pcap::FILE_HEADER {
            Ok(Format::Pcap(variant))
        } else {
            Err(Error::HeaderCutShort { path: path.into(), offset: length as u64 })
        };
    }
    if header.starts_with(&pcapng::SECTION_HEADER) {
        return match header.get(8..12).map(pcapng::byte_order) {
            Some(Some(_)) => Ok(Format::Pcapng),
            Some(None) => Err(not_a_capture(path, header)),
            None => Err(Error::HeaderCutShort { path: path.into(), offset: length as u64 }),
        };
    }
    match failure {
        Some(source) if length < 4 => Err(Error::Decompress { path: path.into(), source }),
        _ if empty || length == 0 => Err(Error::Empty { path: path.into() }),
        _ if compression != Compression::Plain && Compression::detect(header) != Compression::Plain => {
            Err(Error::CompressedTwice { path: path.into() })
        }
        _ => Err(not_a_capture(path, header)),
    }
}

fn not_a_capture(path: &Path, beginning: &[u8]) -> Error {
    let looks_like = match beginning {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("xz data; decompress it first"),
        [b'B', b'Z', b'h', ..] => Some("bzip2 data; decompress it first"),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Some("a zip archive; unpack it first"),
        [b'7', b'z', 0xbc, 0xaf, ..] => Some("a 7-Zip archive; unpack it first"),
        [b's', b'n', b'o', b'o', b'p', 0, ..] => Some("a snoop recording; convert it with editcap"),
        [b'C', b'L', b'I', b'E', b'N', b'T', b'_', ..] | [b'S', b'E', b'R', b'V', b'E', b'R', b'_', ..] => {
            Some("a TLS key log; give it with --keylog")
        }
        [0x0a, 0x0d, 0x0d, 0x0a, ..] => Some("pcapng with a damaged section header"),
        text if !text.is_empty() && text.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~')) => {
            Some("text")
        }
        _ => None,
    };
    Error::NotACapture { path: path.into(), offset: 0, looks_like }
}

/// Copies and hashes to the end.
fn copy(from: &mut impl Read, context: &mut Context, to: &mut impl Write) -> io::Result<u64> {
    let mut chunk = vec![0; CHUNK];
    let mut total = 0;
    loop {
        let count = match from.read(&mut chunk) {
            Ok(0) => return Ok(total),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let bytes = chunk.get(..count).unwrap_or_default();
        context.update(bytes);
        to.write_all(bytes)?;
        total += count as u64;
    }
}

fn hex(context: Context) -> String {
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file up to the size that it had, with a place of its own in it.
struct Extent {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Extent {
    /// The first bytes, without moving on.
    fn beginning(&self) -> io::Result<Vec<u8>> {
        let mut beginning = Vec::with_capacity(6);
        let file = Arc::clone(&self.file);
        Self { file, at: 0, end: self.end.min(6) }.read_to_end(&mut beginning)?;
        Ok(beginning)
    }
}

impl Read for Extent {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let wanted = into.len().min(left);
        let count = read_at(&self.file, into.get_mut(..wanted).unwrap_or_default(), self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(unix)]
fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, at)
}

#[cfg(windows)]
fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, into, at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::{PcapWriter, gzip, temporary};

    #[test]
    fn size_and_digest_are_those_of_the_file_on_disk() {
        // FIPS 180-4's "abc" would be no capture; this digest is of the 24 bytes below, by sha256sum.
        let header = PcapWriter::little(1).bytes;
        let file = temporary(&header);
        let input = Input::open(file.path()).unwrap();
        assert_eq!(input.bytes(), 24);
        let expected = ring::digest::digest(&SHA256, &header);
        let expected: String = expected.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(input.sha256().unwrap(), expected);
        let packed = gzip(&header);
        let file = temporary(&packed);
        let [input] = &Input::open_all([file.path()]).unwrap()[..] else { panic!() };
        assert_eq!(input.bytes(), packed.len() as u64);
        assert_ne!(input.sha256().unwrap(), expected);
    }

    #[test]
    fn a_stream_is_spooled_whole_and_hashed() {
        let mut writer = PcapWriter::little(1);
        for _ in 0..2000 {
            writer.frame(7, 0, &[3; 700]);
        }
        let spooled = Input::spool(Path::new("-"), &writer.bytes[..]).unwrap();
        let file = temporary(&writer.bytes);
        let input = Input::open(file.path()).unwrap();
        assert_eq!(spooled.sha256().unwrap(), input.sha256().unwrap());
        assert_eq!(spooled.bytes(), input.bytes());
        let mut again = Vec::new();
        spooled.stream().unwrap().read_to_end(&mut again).unwrap();
        assert_eq!(again, writer.bytes);
        again.clear();
        spooled.stream().unwrap().read_to_end(&mut again).unwrap();
        assert_eq!(again.len(), writer.bytes.len(), "a second pass sees it all again");
    }

    #[test]
    fn what_is_no_capture_is_refused_with_its_name_and_place() {
        let refused = |bytes: &[u8]| Input::open(temporary(bytes).path()).unwrap_err();
        assert!(matches!(refused(b""), Error::Empty { .. }));
        assert!(matches!(refused(&gzip(b"")), Error::Empty { .. }));
        assert!(matches!(refused(b"hello, world\n"), Error::NotACapture { looks_like: Some("text"), .. }));
        let xz = refused(b"\xfd7zXZ\x00\x00\x04").to_string();
        assert!(xz.contains("not a capture file goprobe can read") && xz.contains("offset 0"), "{xz}");
        assert!(xz.contains("xz"), "{xz}");
        let header = PcapWriter::little(1).bytes;
        assert!(matches!(refused(&header[..23]), Error::HeaderCutShort { offset: 23, .. }));
        assert!(matches!(refused(&gzip(&gzip(&header))), Error::CompressedTwice { .. }));
        assert!(matches!(refused(&gzip(&header)[..12]), Error::Decompress { .. }));
        assert!(matches!(refused(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff]), Error::Decompress { .. }));
        assert!(matches!(refused(b"\x0a\x0d\x0d\x0a\0\0\0\x1c????????????????"), Error::NotACapture { .. }));
        assert!(matches!(refused(b"\x0a\x0d\x0d\x0a\0\0"), Error::HeaderCutShort { .. }));
        assert!(matches!(Input::open("/nonexistent/x.pcap").unwrap_err(), Error::Open { .. }));
        assert!(matches!(Input::open(std::env::temp_dir()).unwrap_err(), Error::Directory { .. }));
    }

    #[test]
    fn a_file_that_grows_is_read_as_it_was() {
        let mut writer = PcapWriter::little(1);
        writer.frame(1, 0, b"abc");
        let mut file = temporary(&writer.bytes);
        let input = Input::open(file.path()).unwrap();
        file.write_all(b"more").unwrap();
        let mut read = Vec::new();
        input.stream().unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, writer.bytes);
        assert!(input.sha256().is_ok());
    }
}
