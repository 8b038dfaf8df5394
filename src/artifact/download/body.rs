//! A body on its way: kept until its end, its content coding undone, in bounded memory.

use std::io::{self, Read, Seek, SeekFrom, Write};

use flate2::write::MultiGzDecoder;
use tempfile::SpooledTempFile;

use crate::artifact::module::ModuleVersion;
use crate::artifact::module_zip::{MAX_TEXT, MAX_ZIP};
use crate::artifact::sumdb::MAX_FILE;
use crate::go::target::{ModuleRequest, RequestKind};
use crate::observation::Exchange;

/// Bytes of a body that are held before they go into a file.
const HELD: usize = 64 << 10;
/// Bytes at the start of a body of which nobody knows what it is.
const HEAD: usize = 512;

/// Whether a body is still wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Keep {
    On,
    Nothing,
}

/// A body that is taken.
#[derive(Debug)]
pub(super) struct Body {
    request: Option<ModuleRequest>,
    into: Into,
    /// The first bytes, until it is known what it is.
    head: Option<Vec<u8>>,
    lacks: Option<String>,
}

/// Where its bytes go.
#[derive(Debug)]
enum Into {
    Plain(Spool),
    Unzipped(Box<MultiGzDecoder<Spool>>),
    /// Its hash is all that is wanted, and known elsewhere.
    Nowhere,
}

/// All of a body.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) content: SpooledTempFile,
    pub(super) length: u64,
}

impl Body {
    /// One whose answer has this head; `None` when it is nothing that could be verified.
    pub(super) fn begin(exchange: &Exchange) -> Option<Self> {
        let request = ModuleRequest::from_url(&exchange.url);
        let limit = match request.as_ref().map(|request| request.kind) {
            None | Some(RequestKind::Zip | RequestKind::ToolchainZip) => MAX_ZIP,
            Some(RequestKind::Mod) => MAX_TEXT,
            Some(RequestKind::SumdbLookup | RequestKind::SumdbTile | RequestKind::SumdbLatest) => MAX_FILE,
            Some(RequestKind::SdkArchive) => 0,
            Some(_) => return None,
        };
        let spool = Spool { content: SpooledTempFile::new(HELD), length: 0, limit };
        let coding = exchange.header("content-encoding").unwrap_or_default().trim().to_ascii_lowercase();
        let (into, lacks) = match coding.as_str() {
            "" | "identity" if limit == 0 => (Into::Nowhere, None),
            "" | "identity" => (Into::Plain(spool), None),
            // What go asks for by itself, and undoes by itself (net/http, Transport.DisableCompression).
            "gzip" if limit > 0 => (Into::Unzipped(Box::new(MultiGzDecoder::new(spool))), None),
            other => (Into::Nowhere, Some(format!("it is coded as {other}"))),
        };
        let head = request.is_none().then(Vec::new);
        Some(Self { request, into, head, lacks })
    }

    /// What was asked for; `None` where the URL does not say.
    pub(super) const fn request(&self) -> Option<&ModuleRequest> {
        self.request.as_ref()
    }

    /// Says that something is missing: what is there proves nothing, and is dropped. The first reason stays.
    pub(super) fn lack(&mut self, why: String) {
        self.lacks.get_or_insert(why);
        self.into = Into::Nowhere;
    }

    /// Bytes that it holds, unpacked.
    pub(super) fn held(&self) -> u64 {
        match &self.into {
            Into::Plain(spool) => spool.length,
            Into::Unzipped(decoder) => decoder.get_ref().length,
            Into::Nowhere => 0,
        }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) -> Keep {
        let Some(mut head) = self.head.take() else {
            self.write(bytes);
            return Keep::On;
        };
        head.extend_from_slice(bytes);
        match begins_like_a_module(&head) {
            Some(true) => self.write(&head),
            Some(false) => return Keep::Nothing,
            None => self.head = Some(head),
        }
        Keep::On
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.lacks.is_some() {
            return;
        }
        let written = match &mut self.into {
            Into::Plain(spool) => spool.write_all(bytes),
            Into::Unzipped(decoder) => decoder.write_all(bytes),
            Into::Nowhere => Ok(()),
        };
        if let Err(error) = written {
            self.lack(error.to_string());
        }
    }

    /// All of it, or what is missing.
    pub(super) fn whole(self) -> Result<Whole, String> {
        if let Some(why) = self.lacks {
            return Err(why);
        }
        if self.head.is_some() {
            return Err("it is too short".to_owned());
        }
        let mut spool = match self.into {
            Into::Plain(spool) => spool,
            Into::Unzipped(decoder) => decoder.finish().map_err(|error| error.to_string())?,
            Into::Nowhere => Spool { content: SpooledTempFile::new(0), length: 0, limit: 0 },
        };
        spool.content.seek(SeekFrom::Start(0)).map_err(|error| error.to_string())?;
        Ok(Whole { content: spool.content, length: spool.length })
    }
}

impl Whole {
    pub(super) fn bytes(mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.content.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// A file that takes so much and no more: what unpacks to more is a bomb.
#[derive(Debug)]
struct Spool {
    content: SpooledTempFile,
    length: u64,
    limit: u64,
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.length.saturating_add(bytes.len() as u64);
        if length > self.limit {
            return Err(io::Error::other(format!("it is larger than {} MiB", self.limit >> 20)));
        }
        self.content.write_all(bytes)?;
        self.length = length;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a zip's first entry has a name as in module zips, `path@version/…`; `None` where more must come to tell.
fn begins_like_a_module(head: &[u8]) -> Option<bool> {
    const MARK: &[u8] = b"PK\x03\x04";
    if !head.starts_with(MARK.get(..head.len().min(MARK.len()))?) {
        return Some(false);
    }
    let length = match head.get(26..28) {
        Some([low, high]) => usize::from(u16::from_le_bytes([*low, *high])),
        _ => return None,
    };
    let name =
        head.get(30..30_usize.saturating_add(length)).or_else(|| head.get(30..).filter(|_| head.len() > HEAD))?;
    Some(ModuleVersion::of_entry(&String::from_utf8_lossy(name)).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_zip_is_known_by_its_first_name() {
        let mut zip = b"PK\x03\x04".to_vec();
        assert_eq!(begins_like_a_module(&zip), None);
        zip.resize(26, 0);
        zip.extend_from_slice(&[11, 0, 0, 0]);
        assert_eq!(begins_like_a_module(&zip), None);
        zip.extend_from_slice(b"a.b/c@v1.0");
        assert_eq!(begins_like_a_module(&zip), None);
        zip.push(b'/');
        assert_eq!(begins_like_a_module(&zip), Some(true));
        for other in [&b"<html>"[..], b"PK\x05\x06", b"P<"] {
            assert_eq!(begins_like_a_module(other), Some(false));
        }
        for other in [b"picture.png", b"npm/@vue/x/"] {
            zip.truncate(30);
            zip.extend_from_slice(other);
            assert_eq!(begins_like_a_module(&zip), Some(false));
        }
    }

    #[test]
    fn a_spool_takes_no_more_than_its_limit() {
        let mut spool = Spool { content: SpooledTempFile::new(8), length: 0, limit: 20 };
        spool.write_all(&[0; 20]).unwrap();
        assert!(spool.write_all(&[0]).is_err());
    }
}
