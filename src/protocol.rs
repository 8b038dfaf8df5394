//! From bytes to messages: DNS, HTTP/1 and SOCKS, read passively.
//!
//! Malformed traffic is data: nothing here fails. A reader takes what it can, says where it stopped and why, and its
//! memory is bounded whatever the bytes.

pub(crate) mod dns;
pub(crate) mod http;
pub(crate) mod socks;
pub(crate) mod tls;

use crate::types::Moment;

/// What came of a piece of a stream that was given to a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Progress {
    /// It was taken.
    Continues,
    /// The proxy opened the tunnel. The piece belongs to the tunnel from byte `consumed` on, and so does all that comes
    /// after it, in either direction. What the session holds of the tunnel already, it hands out as [`Early`].
    Tunnel {
        /// Bytes of this piece that belong to the session.
        consumed: usize,
    },
    /// The stream does not speak this protocol at all. The session made no exchange of it and is of no more use.
    Foreign,
}

/// Bytes of a tunnel that were recorded before the answer that opened it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Early {
    /// The first packet of them.
    pub(crate) at: Moment,
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
    /// The stream goes on with a hole, or was not kept to its end: `bytes` are its beginning only.
    pub(crate) hole: bool,
}

/// Bytes of a tunnel kept until it is open.
const MAX_EARLY: usize = 64 * 1024;

impl Early {
    /// Keeps `bytes` in `slot`, behind those that it has.
    fn keep(slot: &mut Option<Self>, at: Moment, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let early = slot.get_or_insert_with(|| Self { at, bytes: Vec::new(), hole: false });
        if early.hole {
            return;
        }
        let room = MAX_EARLY.saturating_sub(early.bytes.len());
        early.hole = bytes.len() > room;
        early.bytes.extend(bytes.iter().take(room));
    }
}

/// Bytes as they are quoted in errors, as Go's `%q` does: `"\x05\xff"`. At most the first line, and 64 bytes of it.
fn quote(bytes: &[u8]) -> String {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut text = String::from("\"");
    for byte in line.iter().take(64) {
        for escaped in std::ascii::escape_default(*byte).filter(|_| *byte != b'\'') {
            text.push(char::from(escaped));
        }
        if *byte == b'\'' {
            text.push('\'');
        }
    }
    text.push('"');
    text
}

/// Text from the wire: invalid UTF-8 and control characters replaced, at most `max` bytes.
fn text(bytes: &[u8], max: usize) -> String {
    let lossy = String::from_utf8_lossy(bytes.get(..max).unwrap_or(bytes));
    lossy.trim().chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
