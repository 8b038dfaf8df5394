//! Reads recordings: pcap and pcapng, plain or compressed, files or standard input, several as one case in time order.
//!
//! The only room that reads files. It yields [`Record`]s and knows nothing of what is in a frame.
//!
//! [`Input::open`] makes sure that something can be read; from there on damage is data, and told in the [`Summary`].
//! Two passes are made: [`Secrets`] first, then [`Reader`].

mod decompress;
mod endian;
mod input;
mod link_type;
mod pcap;
mod pcapng;
mod reader;
mod recording;
mod summary;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod window;

use std::io;
use std::path::PathBuf;

pub use input::Input;
pub use link_type::link_type_name;
pub use reader::{Reader, Secrets};
pub use summary::{Damage, Fault, Summary};

use crate::types::{FrameNo, Timestamp};

/// The largest record or block that is read: 16 MiB, as in wiretap. A larger length is damage.
const MAX_RECORD: usize = 16 << 20;

/// Why nothing of an input can be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// The path as it was given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory was given.
    #[error("{} is a directory, not a capture file", path.display())]
    Directory {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The file can be opened, but not read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The path as it was given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A stream cannot be kept for the second pass.
    #[error("cannot spool {} to a temporary file", path.display())]
    Spool {
        /// The path as it was given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is nothing in it, not even a header.
    #[error("{} is empty: not a capture file goprobe can read (offset 0)", path.display())]
    Empty {
        /// The path as it was given.
        path: PathBuf,
    },
    /// It ends before its first header does.
    #[error("{} is cut short in its file header, at offset {offset}", path.display())]
    HeaderCutShort {
        /// The path as it was given.
        path: PathBuf,
        /// Where it ends, after decompression.
        offset: u64,
    },
    /// It is something else.
    #[error("{} is not a capture file goprobe can read (offset {offset}){}", path.display(), hint(*looks_like))]
    NotACapture {
        /// The path as it was given.
        path: PathBuf,
        /// Where that shows, after decompression.
        offset: u64,
        /// What it seems to be, and what to do about it.
        looks_like: Option<&'static str>,
    },
    /// Its compression is damaged so early that nothing comes out.
    #[error("cannot decompress {} from offset 0", path.display())]
    Decompress {
        /// The path as it was given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Below its compression is another one.
    #[error("{} is compressed twice (offset 0); decompress it once", path.display())]
    CompressedTwice {
        /// The path as it was given.
        path: PathBuf,
    },
    /// More inputs than frames can be numbered by.
    #[error("{count} inputs are more than 65535")]
    TooMany {
        /// How many were given.
        count: usize,
    },
}

fn hint(looks_like: Option<&str>) -> String {
    looks_like.map(|what| format!(": it looks like {what}")).unwrap_or_default()
}

/// One item of a recording.
#[derive(Debug)]
pub enum Record<'a> {
    /// A recorded frame.
    Frame(Frame<'a>),
    /// Decryption secrets in NSS key log format (a pcapng Decryption Secrets Block of type TLSK).
    Secret(Secret<'a>),
    /// A comment of the file, an interface or a packet.
    Note(Note<'a>),
}

/// A frame as the recorder saw it.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Which one.
    pub no: FrameNo,
    /// When. A pcapng Simple Packet Block has no time and is given the latest one before it in its file.
    pub time: Timestamp,
    /// Its link type (a LINKTYPE_ value of the tcpdump registry).
    pub link: u16,
    /// Its bytes as far as they were recorded.
    pub bytes: &'a [u8],
    /// Its length on the wire.
    pub original_length: u32,
}

/// Key-log text. It is never printed: `Debug` shows its length only.
#[derive(Clone, Copy)]
pub struct Secret<'a> {
    /// NSS key log lines.
    pub key_log: &'a [u8],
}

impl std::fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({} bytes)", self.key_log.len())
    }
}

/// A comment found in a pcapng file; that of a packet comes right behind the packet.
#[derive(Clone, Copy, Debug)]
pub struct Note<'a> {
    /// The frame that it was attached to, if it was one.
    pub frame: Option<FrameNo>,
    /// Its text, not trusted.
    pub text: &'a str,
}
