//! HTTP/2 (RFC 9113), read passively from both directions of a connection.

mod frame;
mod hpack;
mod huffman;

use std::collections::BTreeMap;

use self::frame::{Event, Frames};
use super::content::Content;
use super::h1::{self, Setting};
use crate::observation::body::Bodies;
use crate::observation::{Exchange, HttpProtocol};
use crate::protocol::text;
use crate::types::{Both, Direction, Moment};

/// Exchanges of one connection that are kept; reading stops after them.
const MAX_EXCHANGES: usize = 16_384;
/// Fields of one header block that are looked at, and their bytes.
const MAX_FIELDS: usize = 512;
const MAX_FIELD_BYTES: usize = 64 << 10;

const NO_ERROR: u32 = 0;
const CANCEL: u32 = 8;

/// What a connection's client says first (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether a client's first bytes are HTTP/2's, or the beginning of them.
pub(crate) fn starts_preface(bytes: &[u8]) -> bool {
    !bytes.is_empty() && (bytes.starts_with(PREFACE) || PREFACE.starts_with(bytes))
}

/// Reads one connection.
///
/// Where a hole hides header blocks, those after it cannot be read: the direction is left there, and nothing is guessed.
pub(crate) struct Session {
    setting: Setting,
    exchanges: Vec<Exchange>,
    streams: BTreeMap<u32, Stream>,
    sides: Both<Side>,
    bodies: Option<Bodies>,
}

/// A stream that a request opened.
struct Stream {
    index: usize,
    /// The answer's body.
    content: Content,
    /// It ended.
    over: bool,
    /// The client does not want the rest of it. The server may not know yet, and what it sends is read.
    cancelled: bool,
}

impl Stream {
    /// Nothing of it counts any more.
    fn leave(&mut self, exchange: &mut Exchange) {
        self.over = true;
        self.content.end(exchange);
    }
}

struct Side {
    frames: Frames,
    /// `None` when the table is not known any more.
    headers: Option<hpack::Decoder>,
}

/// The fields of a block, as far as they are wanted.
#[derive(Default)]
struct Fields {
    all: Vec<(String, Vec<u8>)>,
    bytes: usize,
}

impl Fields {
    fn add(&mut self, name: &[u8], value: &[u8]) {
        self.bytes = self.bytes.saturating_add(name.len()).saturating_add(value.len());
        if self.all.len() < MAX_FIELDS && self.bytes <= MAX_FIELD_BYTES {
            let name = String::from_utf8_lossy(name).into_owned();
            // Whether credentials were sent is a fact; which ones must not be held.
            let value = if name.contains("authorization") { Vec::new() } else { value.to_vec() };
            self.all.push((name, value));
        }
    }

    fn get(&self, name: &str) -> Option<&[u8]> {
        self.all.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice())
    }
}

impl Session {
    /// A session at the beginning of a connection.
    pub(crate) fn new(setting: Setting) -> Self {
        let side = |preface: &'static [u8]| Side { frames: Frames::new(preface), headers: Some(hpack::Decoder::new()) };
        Self {
            setting,
            exchanges: Vec::new(),
            streams: BTreeMap::new(),
            sides: Both { to_server: side(PREFACE), to_client: side(b"") },
            bodies: None,
        }
    }

    /// Hands the bodies of answers on.
    pub(crate) fn with_bodies(mut self, bodies: Option<&Bodies>) -> Self {
        self.bodies = bodies.cloned();
        self
    }

    /// Takes the next bytes of one direction.
    pub(crate) fn data(&mut self, direction: Direction, at: Moment, bytes: &[u8]) {
        let mut frames = std::mem::take(&mut self.sides.of_mut(direction).frames);
        frames.push(bytes, |event| self.event(direction, at, event));
        self.sides.of_mut(direction).frames = frames;
    }

    /// Takes note of a hole of `length` bytes in one direction. Inside of one DATA frame it is skipped.
    pub(crate) fn gap(&mut self, direction: Direction, length: u64) {
        let skipped = self.sides.of_mut(direction).frames.skip(length);
        if direction == Direction::ToServer {
            return;
        }
        if let Some(id) = skipped {
            if let Some((stream, exchange)) = self.stream(id) {
                stream.content.hole(exchange, Some(length));
            }
            return;
        }
        for stream in self.streams.values_mut().filter(|stream| !stream.over) {
            let Some(exchange) = self.exchanges.get_mut(stream.index) else { continue };
            if exchange.status.is_none() {
                exchange.error = Some("a hole in the recording hides the head of the answer".to_owned());
            }
            stream.content.hole(exchange, None);
            stream.leave(exchange);
        }
    }

    /// The sender of that direction closed it (FIN).
    pub(crate) fn closed(&mut self, direction: Direction) {
        if direction == Direction::ToServer || self.sides.to_client.frames.is_stopped() {
            return;
        }
        for stream in self.streams.values_mut().filter(|stream| !stream.over && !stream.cancelled) {
            let Some(exchange) = self.exchanges.get_mut(stream.index) else { continue };
            let error = if exchange.response.is_none() { "EOF" } else { "unexpected EOF" };
            exchange.error.get_or_insert_with(|| error.to_owned());
            stream.leave(exchange);
        }
        self.sides.to_client.frames.stop();
    }

    /// All exchanges, in the order in which they began.
    pub(crate) fn finish(mut self) -> Vec<Exchange> {
        for stream in self.streams.values_mut().filter(|stream| !stream.over) {
            if let Some(exchange) = self.exchanges.get_mut(stream.index) {
                stream.leave(exchange);
            }
        }
        self.exchanges
    }

    fn event(&mut self, direction: Direction, at: Moment, event: Event<'_>) {
        match (direction, event) {
            (_, Event::Headers { stream, block, end }) => {
                let side = self.sides.of_mut(direction);
                let mut fields = Fields::default();
                if let Some(decoder) = &mut side.headers
                    && decoder.decode(block, |name, value| fields.add(name, value)).is_none()
                {
                    side.headers = None;
                }
                let fields = side.headers.is_some().then_some(fields);
                match direction {
                    Direction::ToServer => self.request(stream, at, fields.as_ref()),
                    Direction::ToClient => self.response(stream, at, fields.as_ref(), end),
                }
            }
            (_, Event::Promise { block }) => {
                let side = self.sides.of_mut(direction);
                if side.headers.as_mut().is_some_and(|decoder| decoder.decode(block, |_, _| {}).is_none()) {
                    side.headers = None;
                }
            }
            (Direction::ToClient, Event::Data { stream, content }) => {
                if let Some((stream, exchange)) = self.stream(stream).filter(|(stream, _)| !stream.over) {
                    stream.content.take(exchange, content);
                }
            }
            (Direction::ToClient, Event::DataEnd { stream }) => self.end(stream, at),
            (_, Event::Reset { stream, code }) => self.reset(direction, stream, at, code),
            (Direction::ToClient, Event::GoAway { last, code }) => self.go_away(last, code),
            (Direction::ToServer, Event::Data { .. } | Event::DataEnd { .. } | Event::GoAway { .. }) => {}
        }
    }

    fn stream(&mut self, id: u32) -> Option<(&mut Stream, &mut Exchange)> {
        let stream = self.streams.get_mut(&id)?;
        let exchange = self.exchanges.get_mut(stream.index)?;
        Some((stream, exchange))
    }

    /// The stream of that number, begun where it is new. Servers' own streams (even numbers) are left out.
    fn open(&mut self, id: u32) -> Option<(&mut Stream, &mut Exchange)> {
        if id.is_multiple_of(2) {
            return None;
        }
        if !self.streams.contains_key(&id) {
            if self.exchanges.len() >= MAX_EXCHANGES {
                return None;
            }
            let content = Content::new(self.setting.digest, self.bodies.as_ref());
            self.streams.insert(id, Stream { index: self.exchanges.len(), content, over: false, cancelled: false });
            self.exchanges.push(self.setting.exchange(HttpProtocol::Http2));
        }
        self.stream(id)
    }

    fn request(&mut self, id: u32, at: Moment, fields: Option<&Fields>) {
        let setting = self.setting;
        let Some((_, exchange)) = self.open(id) else { return };
        if exchange.request.is_some() {
            return; // trailers
        }
        exchange.request = Some(at);
        let Some(fields) = fields else { return };
        let method = text(fields.get(":method").unwrap_or_default(), 32);
        let authority = fields.get(":authority").or_else(|| fields.get("host"));
        let target = match fields.get(":path") {
            Some(path) => path,
            None => authority.unwrap_or_default(),
        };
        let target = String::from_utf8_lossy(target);
        exchange.url = h1::url(&method, &target, authority, setting.secure, setting.server);
        exchange.method = method;
        exchange.credentials_sent = fields.get("proxy-authorization").is_some();
        exchange.user_agent = fields.get("user-agent").map(|value| text(value, h1::MAX_VALUE));
    }

    fn response(&mut self, id: u32, at: Moment, fields: Option<&Fields>, end: bool) {
        let Some((stream, exchange)) = self.open(id).filter(|(stream, _)| !stream.over) else { return };
        let status = fields.and_then(|fields| std::str::from_utf8(fields.get(":status")?).ok()?.parse().ok());
        if exchange.response.is_none() && !status.is_some_and(|status: u16| (100..200).contains(&status)) {
            exchange.response = Some(at);
            exchange.status = status;
            if let Some(fields) = fields {
                let headers: Vec<_> = fields.all.iter().map(|(name, value)| httparse::Header { name, value }).collect();
                exchange.headers = h1::kept(&headers);
            }
            if exchange.method == "HEAD" || matches!(status, Some(204 | 304)) {
                // What comes all the same is no body.
                stream.content.end(exchange);
            }
        }
        if end {
            self.end(id, at);
        }
    }

    /// The answer ended properly: all that was promised should be there.
    fn end(&mut self, id: u32, at: Moment) {
        let Some((stream, exchange)) = self.stream(id).filter(|(stream, _)| !stream.over) else { return };
        if stream.content.is_whole() && exchange.response.is_some() {
            let promised = exchange.header("content-length").and_then(|value| value.parse::<u64>().ok());
            let has_body = exchange.method != "HEAD" && !matches!(exchange.status, Some(204 | 304));
            if has_body && promised.is_some_and(|promised| promised > exchange.body_bytes) {
                exchange.error = Some("unexpected EOF".to_owned());
            } else {
                exchange.complete = true;
                exchange.completed = Some(at);
            }
        }
        stream.leave(exchange);
    }

    fn reset(&mut self, direction: Direction, id: u32, at: Moment, code: u32) {
        let Some((stream, exchange)) = self.stream(id).filter(|(stream, _)| !stream.over) else { return };
        if direction == Direction::ToServer && matches!(code, NO_ERROR | CANCEL) {
            stream.cancelled = true; // its right, and no error
            return;
        }
        if !stream.cancelled {
            exchange.error = match direction {
                Direction::ToServer => Some(format!("stream error: {}; sent by client", error_name(code))),
                Direction::ToClient => {
                    exchange.response.get_or_insert(at);
                    Some(format!("stream error: {}; received from server", error_name(code)))
                }
            };
        }
        stream.leave(exchange);
    }

    /// The server ends the connection: streams beyond the last one were not served, and with an error none goes on.
    fn go_away(&mut self, last: u32, code: u32) {
        for (id, stream) in &mut self.streams {
            if stream.over || stream.cancelled || (*id <= last && code == NO_ERROR) {
                continue;
            }
            if let Some(exchange) = self.exchanges.get_mut(stream.index) {
                exchange.error = Some(format!("GOAWAY: {}; received from server", error_name(code)));
                stream.leave(exchange);
            }
        }
    }
}

/// Error codes (RFC 9113 §7) by name, as Go writes them.
fn error_name(code: u32) -> String {
    let name = match code {
        NO_ERROR => "NO_ERROR",
        1 => "PROTOCOL_ERROR",
        2 => "INTERNAL_ERROR",
        3 => "FLOW_CONTROL_ERROR",
        4 => "SETTINGS_TIMEOUT",
        5 => "STREAM_CLOSED",
        6 => "FRAME_SIZE_ERROR",
        7 => "REFUSED_STREAM",
        CANCEL => "CANCEL",
        9 => "COMPRESSION_ERROR",
        10 => "CONNECT_ERROR",
        11 => "ENHANCE_YOUR_CALM",
        12 => "INADEQUATE_SECURITY",
        13 => "HTTP_1_1_REQUIRED",
        _ => return format!("unknown error code 0x{code:x}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests;
