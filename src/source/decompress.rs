//! gzip, zstd and lz4, told apart by their first bytes and read as a stream.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder;

/// Compressed bytes that are read at once.
const CHUNK: usize = 256 << 10;

/// How a file is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Compression {
    Plain,
    /// RFC 1952, of any number of members.
    Gzip,
    /// RFC 8878, of any number of frames, skippable ones among them.
    Zstd,
    /// The lz4 frame format 1.6, of any number of frames.
    Lz4,
}

impl Compression {
    /// By the magic number at the beginning.
    pub(super) fn detect(beginning: &[u8]) -> Self {
        match beginning {
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0x04, 0x22, 0x4d, 0x18, ..] => Self::Lz4,
            _ => Self::Plain,
        }
    }

    /// The stream below the compression. Memory is bounded by the format: 32 KiB for gzip, 128 MiB for zstd (the
    /// library refuses larger windows), 8 MiB for lz4.
    pub(super) fn reader(self, file: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Plain => Box::new(file),
            Self::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(CHUNK, file))),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(CHUNK, file))?),
            Self::Lz4 => Box::new(Lz4(Some(FrameDecoder::new(BufReader::with_capacity(CHUNK, file))))),
        })
    }
}

/// Frame after frame: the decoder stops at the end of each.
struct Lz4<R: Read>(Option<FrameDecoder<R>>);

impl<R: BufRead> Read for Lz4<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(decoder) = &mut self.0 else { return Ok(0) };
            let count = decoder.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            let mut rest = match self.0.take() {
                Some(decoder) => decoder.into_inner(),
                None => return Ok(0),
            };
            if rest.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.0 = Some(FrameDecoder::new(rest));
        }
    }
}
