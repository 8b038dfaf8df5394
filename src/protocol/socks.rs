//! SOCKS 4, 4a and 5 (RFC 1928, RFC 1929), read passively. User names and passwords are never kept.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Early, Progress, quote, text, tls};
use crate::observation::{Exchange, HttpProtocol};
use crate::types::{Both, Direction, FlowId, Moment};

/// Bytes of one message that are held while it is not whole: greeting, user and password, request.
const MAX_MESSAGE: usize = 1_024;

/// Whether the stream of a client that begins like this can be SOCKS: a version 5 greeting, or a version 4 request.
pub(crate) fn looks_like_socks(bytes: &[u8]) -> bool {
    match *bytes {
        [5] | [4] => true,
        [5, methods, ..] => methods > 0 && bytes.len() <= 2 + usize::from(methods),
        [4, command, ..] => matches!(command, 1 | 2),
        _ => false,
    }
}

/// Reads one connection to a SOCKS proxy up to its tunnel.
#[derive(Debug)]
pub(crate) struct Session {
    phase: Phase,
    exchange: Option<Exchange>,
    flow: FlowId,
    buffers: Both<Buffer>,
    /// It turned out to be another protocol before there was an exchange.
    foreign: bool,
    /// A hole hides how it went on.
    holed: Option<Moment>,
}

/// What was recorded of one direction and not read yet.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    began: Option<Moment>,
    hole: bool,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// The client's greeting (RFC 1928 §3), or its version 4 request.
    Greeting,
    /// The method that the proxy chose.
    Method,
    /// User and password (RFC 1929).
    Credentials,
    /// What the proxy thinks of them.
    Verdict,
    /// The request (RFC 1928 §4).
    Request,
    /// The reply (RFC 1928 §6).
    Reply,
    /// The reply of version 4.
    Reply4,
    /// Everything belongs to the tunnel.
    Tunnel,
    /// Nothing more is read.
    Stopped,
}

impl Phase {
    /// Who speaks in it.
    const fn speaker(self) -> Option<Direction> {
        match self {
            Self::Greeting | Self::Credentials | Self::Request => Some(Direction::ToServer),
            Self::Method | Self::Verdict | Self::Reply | Self::Reply4 => Some(Direction::ToClient),
            Self::Tunnel | Self::Stopped => None,
        }
    }
}

/// What a message turned out to be.
enum Step {
    /// It is not whole.
    More,
    /// It took so many bytes, and then comes the next phase.
    Next(usize, Phase),
    /// It is none of the protocol.
    Foreign,
}

impl Session {
    /// A session at the beginning of a connection.
    pub(crate) fn new(flow: FlowId) -> Self {
        let buffers = Both { to_server: Buffer::default(), to_client: Buffer::default() };
        Self { phase: Phase::Greeting, exchange: None, flow, buffers, foreign: false, holed: None }
    }

    /// Takes the next bytes of one direction.
    pub(crate) fn data(&mut self, direction: Direction, at: Moment, bytes: &[u8]) -> Progress {
        // The client goes on with TLS: whatever the hole hides, the proxy has opened the tunnel.
        let hello = direction == Direction::ToServer && tls::starts_client_hello(bytes);
        if self.opened_in_hole() || (self.holed.is_some() && hello && self.buffers.to_server.bytes.is_empty()) {
            self.phase = Phase::Tunnel;
        }
        match self.phase {
            Phase::Tunnel => return Progress::Tunnel { consumed: 0 },
            Phase::Stopped if self.foreign => return Progress::Foreign,
            Phase::Stopped => return Progress::Continues,
            _ => {}
        }
        let buffer = self.buffers.of_mut(direction);
        if buffer.hole {
            return Progress::Continues;
        }
        buffer.began.get_or_insert(at);
        buffer.bytes.extend_from_slice(bytes);
        self.advance(at);
        match self.phase {
            Phase::Tunnel => {
                // What is left of this piece is the caller's; what came in pieces before it waits in `take_early`.
                let buffer = self.buffers.of_mut(direction);
                let mine = buffer.bytes.len().min(bytes.len());
                buffer.bytes.truncate(buffer.bytes.len().saturating_sub(mine));
                Progress::Tunnel { consumed: bytes.len().saturating_sub(mine) }
            }
            Phase::Stopped if self.foreign => Progress::Foreign,
            Phase::Stopped => {
                self.buffers = Both { to_server: Buffer::default(), to_client: Buffer::default() };
                Progress::Continues
            }
            _ => {
                let buffer = self.buffers.of_mut(direction);
                // The speaker's message is shorter than that; the other side may send ahead (RFC 1928 does not forbid it).
                let max = if self.phase.speaker() == Some(direction) { MAX_MESSAGE } else { super::MAX_EARLY };
                buffer.hole = buffer.bytes.len() > max;
                buffer.bytes.truncate(max);
                Progress::Continues
            }
        }
    }

    /// Reads what there is.
    fn advance(&mut self, at: Moment) {
        while let Some(speaker) = self.phase.speaker() {
            if self.holed.is_some() && self.phase == Phase::Verdict && !self.buffers.to_server.bytes.is_empty() {
                self.phase = Phase::Request; // the hole holds the verdict, too
                continue;
            }
            match self.step(speaker, at) {
                Step::More => break,
                Step::Next(used, phase) => {
                    let buffer = self.buffers.of_mut(speaker);
                    buffer.bytes.drain(..used.min(buffer.bytes.len()));
                    buffer.began = Some(at);
                    self.phase = phase;
                }
                Step::Foreign => {
                    self.phase = Phase::Stopped;
                    self.foreign = self.exchange.is_none();
                }
            }
        }
    }

    /// A hole hides what the proxy said last, and the client has gone on with TLS.
    pub(crate) fn opened_in_hole(&self) -> bool {
        self.holed.is_some() && self.phase != Phase::Tunnel && tls::starts_client_hello(&self.buffers.to_server.bytes)
    }

    fn step(&mut self, speaker: Direction, at: Moment) -> Step {
        let buffer = self.buffers.of_mut(speaker);
        let bytes = std::mem::take(&mut buffer.bytes);
        let began = buffer.began.unwrap_or(at);
        let step = if bytes.is_empty() { Some(Step::More) } else { self.read(&bytes, began, at) };
        self.buffers.of_mut(speaker).bytes = bytes;
        step.unwrap_or(Step::More)
    }

    /// Reads one message at the start of `bytes`; `None` where it is not whole.
    fn read(&mut self, bytes: &[u8], began: Moment, at: Moment) -> Option<Step> {
        let first = *bytes.first()?;
        Some(match (self.phase, first) {
            (Phase::Greeting, 5) => {
                let methods = usize::from(*bytes.get(1)?);
                bytes.get(2..2 + methods)?;
                self.begin(began);
                Step::Next(2 + methods, Phase::Method)
            }
            (Phase::Greeting, 4) => return self.request4(bytes, began),
            (Phase::Method, 5) => match *bytes.get(1)? {
                0 => Step::Next(2, Phase::Request),
                2 => Step::Next(2, Phase::Credentials),
                0xff => self.refuse(2, at, "no acceptable authentication method"),
                _ => self.refuse(2, at, "an authentication method that cannot be followed"),
            },
            (phase, 1) if phase == Phase::Credentials || (phase == Phase::Request && self.holed.is_some()) => {
                let user = usize::from(*bytes.get(1)?);
                let password = usize::from(*bytes.get(2 + user)?);
                bytes.get(..3 + user + password)?;
                if let Some(exchange) = &mut self.exchange {
                    exchange.credentials_sent = true;
                }
                Step::Next(3 + user + password, Phase::Verdict)
            }
            // RFC 1929 says 1; proxies exist that answer with 5.
            (Phase::Verdict, 1 | 5) => match *bytes.get(1)? {
                0 => Step::Next(2, Phase::Request),
                _ => self.refuse(2, at, "user name or password not accepted"),
            },
            (Phase::Request, 5) if has_known_address(bytes) => {
                let command = *bytes.get(1)?;
                let (host, after) = address(bytes, 3)?;
                let port = u16::from_be_bytes([*bytes.get(after)?, *bytes.get(after + 1)?]);
                self.ask(command, &host, port);
                Step::Next(after + 2, Phase::Reply)
            }
            (Phase::Reply, 5) if has_known_address(bytes) || bytes.get(1) != Some(&0) => {
                let code = *bytes.get(1)?;
                // Some proxies send no address with an error.
                let end = address(bytes, 3).map(|(_, after)| after + 2).filter(|&end| end <= bytes.len());
                let end = if code == 0 { end? } else { end.unwrap_or(bytes.len()) };
                Step::Next(end, self.reply(code, reply_words(code), code == 0, at))
            }
            (Phase::Reply4, 0) => {
                let code = *bytes.get(1)?;
                bytes.get(..8)?;
                Step::Next(8, self.reply(code, reply4_words(code), code == 90, at))
            }
            (Phase::Greeting, _) => Step::Foreign,
            // After a hole, what does not fit is the middle of something.
            _ if self.holed.is_some() => Step::Foreign,
            (phase, _) => {
                let who = if phase.speaker() == Some(Direction::ToClient) { "answer" } else { "request" };
                let protocol = if super::http::h1::looks_like_response(bytes) { " (HTTP)" } else { "" };
                let words = format!("malformed SOCKS {who} {}{protocol}", quote(bytes));
                if let Some(exchange) = &mut self.exchange {
                    if phase.speaker() == Some(Direction::ToClient) {
                        exchange.response = Some(at);
                        exchange.body_head = bytes.to_vec();
                        exchange.body_head.truncate(MAX_MESSAGE);
                    }
                    exchange.error = Some(if phase == Phase::Credentials {
                        "malformed SOCKS credentials".to_owned()
                    } else {
                        words
                    });
                }
                Step::Foreign
            }
        })
    }

    fn begin(&mut self, at: Moment) {
        self.exchange.get_or_insert_with(|| Exchange {
            flow: self.flow,
            protocol: HttpProtocol::Socks,
            method: "CONNECT".to_owned(),
            url: String::new(),
            request: Some(at),
            response: None,
            completed: None,
            credentials_sent: false,
            user_agent: None,
            status: None,
            reason: String::new(),
            headers: Vec::new(),
            body_bytes: 0,
            body_head: Vec::new(),
            body_is_coded: false,
            body_sha256: None,
            complete: false,
            error: None,
        });
    }

    /// A request of version 4, or of 4a where the address is 0.0.0.x and a name follows.
    fn request4(&mut self, bytes: &[u8], began: Moment) -> Option<Step> {
        let &[_, command, high, low, a, b, c, d, ..] = bytes else { return None };
        let user = bytes.get(8..)?;
        let user_end = memchr::memchr(0, user)?;
        let mut end = 9 + user_end;
        let host = if [a, b, c] == [0, 0, 0] && d != 0 {
            let name = bytes.get(end..)?;
            let length = memchr::memchr(0, name)?;
            end += length + 1;
            text(name.get(..length)?, 255)
        } else {
            Ipv4Addr::new(a, b, c, d).to_string()
        };
        self.begin(began);
        self.ask(command, &host, u16::from_be_bytes([high, low]));
        if let Some(exchange) = &mut self.exchange {
            exchange.credentials_sent = user_end > 0;
        }
        Some(Step::Next(end, Phase::Reply4))
    }

    fn ask(&mut self, command: u8, host: &str, port: u16) {
        let Some(exchange) = &mut self.exchange else { return };
        exchange.url = format!("{host}:{port}");
        exchange.method = match command {
            1 => "CONNECT",
            2 => "BIND",
            3 => "UDP ASSOCIATE",
            _ => "UNKNOWN",
        }
        .to_owned();
    }

    fn reply(&mut self, code: u8, words: &str, granted: bool, at: Moment) -> Phase {
        let Some(exchange) = &mut self.exchange else { return Phase::Stopped };
        exchange.response = Some(at);
        exchange.completed = Some(at);
        exchange.status = Some(u16::from(code));
        words.clone_into(&mut exchange.reason);
        exchange.complete = true;
        if granted && exchange.is_connect() { Phase::Tunnel } else { Phase::Stopped }
    }

    /// The proxy ends it before there was a request.
    fn refuse(&mut self, used: usize, at: Moment, words: &str) -> Step {
        if let Some(exchange) = &mut self.exchange {
            exchange.response = Some(at);
            exchange.completed = Some(at);
            words.clone_into(&mut exchange.reason);
            exchange.error = Some(words.to_owned());
        }
        Step::Next(used, Phase::Stopped)
    }

    /// Takes note of a hole in one direction: the messages are too short to go on after one.
    pub(crate) fn gap(&mut self, direction: Direction, at: Moment, _length: u64) {
        match self.phase.speaker() {
            None => {}
            Some(speaker) if speaker == direction => {
                self.holed.get_or_insert(at);
                *self.buffers.of_mut(direction) = Buffer::default();
                if let Some(exchange) = &mut self.exchange {
                    exchange.error = Some("a hole in the recording hides the SOCKS messages".to_owned());
                }
                // What the client says next is told by its beginning.
                self.phase = match self.phase {
                    Phase::Method | Phase::Verdict => Phase::Request,
                    _ => Phase::Stopped,
                };
                self.foreign = self.exchange.is_none();
                self.advance(at);
            }
            Some(_) => self.buffers.of_mut(direction).hole = true,
        }
    }

    /// The sender of that direction closed it.
    pub(crate) fn closed(&mut self, direction: Direction, _at: Moment) {
        if direction == Direction::ToClient && self.phase.speaker().is_some() && self.holed.is_none() {
            self.phase = Phase::Stopped;
            if let Some(exchange) = &mut self.exchange {
                exchange.error = Some("EOF".to_owned());
            }
        }
    }

    /// After [`Progress::Tunnel`]: what was recorded of the tunnel before the reply that opened it.
    pub(crate) fn take_early(&mut self) -> Both<Option<Early>> {
        let mut take = |direction| {
            let Buffer { bytes, began, hole } = std::mem::take(self.buffers.of_mut(direction));
            let at = began.filter(|_| hole || !bytes.is_empty())?;
            Some(Early { at, bytes, hole })
        };
        let early = Both { to_server: take(Direction::ToServer), to_client: take(Direction::ToClient) };
        // The hole may reach into the tunnel.
        let unseen = self.exchange.as_ref().is_some_and(|exchange| exchange.status.is_none());
        let holed = self.holed.filter(|_| unseen).map(|at| Early { at, bytes: Vec::new(), hole: true });
        Both { to_client: holed.or(early.to_client), ..early }
    }

    /// The exchange, if there was one.
    pub(crate) fn finish(self) -> Option<Exchange> {
        self.exchange
    }
}

/// Whether the address of a request or reply is of a type that RFC 1928 knows, or has not come yet.
fn has_known_address(bytes: &[u8]) -> bool {
    matches!(bytes.get(3), None | Some(1 | 3 | 4))
}

/// An address (RFC 1928 §5) that begins with its type at `at`, and the offset after it. IPv6 in brackets.
fn address(bytes: &[u8], at: usize) -> Option<(String, usize)> {
    let rest = bytes.get(at + 1..)?;
    Some(match *bytes.get(at)? {
        1 => (IpAddr::V4(Ipv4Addr::from(*rest.first_chunk::<4>()?)).to_string(), at + 5),
        3 => {
            let length = usize::from(*rest.first()?);
            (text(rest.get(1..1 + length)?, 255), at + 2 + length)
        }
        4 => (format!("[{}]", Ipv6Addr::from(*rest.first_chunk::<16>()?)), at + 17),
        _ => return None,
    })
}

/// Reply codes (RFC 1928 §6).
const fn reply_words(code: u8) -> &'static str {
    match code {
        0 => "succeeded",
        1 => "general SOCKS server failure",
        2 => "connection not allowed by ruleset",
        3 => "Network unreachable",
        4 => "Host unreachable",
        5 => "Connection refused",
        6 => "TTL expired",
        7 => "Command not supported",
        8 => "Address type not supported",
        _ => "unassigned",
    }
}

/// Reply codes of version 4.
const fn reply4_words(code: u8) -> &'static str {
    match code {
        90 => "request granted",
        91 => "request rejected or failed",
        92 => "request rejected because SOCKS server cannot connect to identd on the client",
        93 => "request rejected because the client program and identd report different user-ids",
        _ => "unassigned",
    }
}

#[cfg(test)]
mod tests;
