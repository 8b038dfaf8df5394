//! Reads recordings: pcap and pcapng, plain or compressed, files or standard input, several as one case in time order.
//!
//! The only room that reads files. It yields [`Record`]s and knows nothing of what is in a frame.

use crate::types::{FrameNo, Timestamp};

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
    /// When.
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

/// A comment found in a pcapng file.
#[derive(Clone, Copy, Debug)]
pub struct Note<'a> {
    /// The frame that it was attached to, if it was one.
    pub frame: Option<FrameNo>,
    /// Its text, not trusted.
    pub text: &'a str,
}
