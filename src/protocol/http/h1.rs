//! HTTP/1.0 and 1.1 (RFC 9110, RFC 9112), read passively from both directions of a connection, CONNECT included.

mod body;
mod head;
mod hole;
mod setting;

use std::collections::VecDeque;

pub(super) use self::head::{MAX_VALUE, kept, url};
pub(crate) use self::head::{looks_like_request, looks_like_response, parse_response_head};
pub(crate) use self::setting::Setting;

use self::body::{Fed, Framing};
use self::head::{MAX_HEAD, begins_request, begins_response, parse_request_head};
use super::super::{Early, Progress, quote};
use super::content::{Content, MAX_BODY_HEAD};
use crate::observation::body::Bodies;
use crate::observation::{Exchange, HttpProtocol};
use crate::types::{Both, Direction, Moment};

/// Exchanges of one connection that are kept; reading stops after them.
const MAX_EXCHANGES: usize = 16_384;

/// Reads one connection.
///
/// Requests and answers are paired by order (RFC 9112 §9.3.2). An answer whose request was not recorded is an exchange
/// without method and URL. After a hole the next head at the beginning of a piece is read again; where a hole leaves open
/// which answer is which request's, neither is given to the other.
pub(crate) struct Session {
    setting: Setting,
    exchanges: Vec<Exchange>,
    /// Exchanges whose final answer has not begun.
    waiting: VecDeque<usize>,
    /// Exchanges that began with their answer: a recorder may write packets out of order.
    overtaken: VecDeque<usize>,
    requests: Side,
    responses: Side,
    /// The answer whose body is being read.
    current: Option<Current>,
    early: Option<Early>,
    holes: hole::Holes,
    bodies: Option<Bodies>,
}

/// One direction of the connection.
#[derive(Debug)]
struct Side {
    state: State,
    /// The head as far as it came, and the packet that it began in.
    head: Vec<u8>,
    began: Option<Moment>,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Before or in a head.
    Head,
    /// In a body.
    Body(Framing),
    /// After the head of a CONNECT: what follows may be the tunnel's, or the next request.
    Held,
    /// Everything belongs to the tunnel.
    Tunnel,
    /// After a hole: where the next head begins is unknown.
    Lost,
    /// Nothing more can be read.
    Stopped,
}

struct Current {
    index: usize,
    content: Content,
}

impl Side {
    const fn new() -> Self {
        Self { state: State::Head, head: Vec::new(), began: None }
    }

    fn stop(&mut self) {
        self.state = State::Stopped;
        self.head = Vec::new();
    }

    fn lose(&mut self) {
        self.state = State::Lost;
        self.head = Vec::new();
    }

    /// After a hole: a piece of the stream that begins with a head goes on with it.
    fn resume(&mut self, piece: &[u8], is_head: fn(&[u8]) -> bool) {
        if self.state == State::Lost && is_head(piece) {
            self.state = State::Head;
        }
    }

    /// Moves bytes to the head until it is whole. Empty lines before it are skipped (RFC 9112 §2.2).
    fn take_head<'a>(&mut self, at: Moment, bytes: &'a [u8]) -> (HeadIs, &'a [u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.head.is_empty() {
                self.began = Some(at);
            }
            let taken = memchr::memchr(b'\n', rest).map_or(rest.len(), |index| index.saturating_add(1));
            let (line, after) = rest.split_at_checked(taken).unwrap_or((rest, &[]));
            if self.head.len().saturating_add(line.len()) > MAX_HEAD {
                return (HeadIs::TooLong, after);
            }
            self.head.extend_from_slice(line);
            rest = after;
            if matches!(self.head.as_slice(), b"\n" | b"\r\n") {
                self.head.clear();
            } else if self.head.ends_with(b"\n\n") || self.head.ends_with(b"\n\r\n") {
                return (HeadIs::Whole, rest);
            }
        }
        (HeadIs::Partial, rest)
    }

    /// The head does not look like one of this protocol. `\r` may begin an empty line.
    fn is_foreign(&self, looks_right: fn(&[u8]) -> bool) -> bool {
        !(self.head.is_empty() || self.head == b"\r" || looks_right(&self.head))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum HeadIs {
    Whole,
    Partial,
    TooLong,
}

impl Session {
    /// A session at the beginning of a connection, or wherever the recording begins.
    pub(crate) const fn new(setting: Setting) -> Self {
        Self {
            setting,
            exchanges: Vec::new(),
            waiting: VecDeque::new(),
            overtaken: VecDeque::new(),
            requests: Side::new(),
            responses: Side::new(),
            current: None,
            early: None,
            holes: hole::Holes::new(),
            bodies: None,
        }
    }

    /// Hands the bodies of answers on.
    pub(crate) fn with_bodies(mut self, bodies: Option<&Bodies>) -> Self {
        self.bodies = bodies.cloned();
        self
    }

    /// Takes the next bytes of one direction.
    pub(crate) fn data(&mut self, direction: Direction, at: Moment, bytes: &[u8]) -> Progress {
        if self.opened_in_hole() {
            (self.requests.state, self.responses.state) = (State::Tunnel, State::Tunnel);
        }
        self.follow_unseen_connect(direction, at, bytes);
        match direction {
            Direction::ToServer => self.requests(at, bytes),
            Direction::ToClient => self.responses(at, bytes),
        }
    }

    fn requests(&mut self, at: Moment, bytes: &[u8]) -> Progress {
        self.requests.resume(bytes, begins_request);
        let mut rest = bytes;
        while !rest.is_empty() {
            match &mut self.requests.state {
                State::Tunnel => return Progress::Tunnel { consumed: bytes.len().saturating_sub(rest.len()) },
                State::Lost | State::Stopped => break,
                State::Held => {
                    Early::keep(&mut self.early, at, rest);
                    break;
                }
                State::Body(framing) => match framing.feed(rest, |_| ()) {
                    Fed::More => break,
                    Fed::Done(used) => {
                        rest = rest.get(used..).unwrap_or_default();
                        self.requests.state = State::Head;
                    }
                    Fed::Broken => {
                        self.request_error(at, "broken chunked coding in the request".to_owned());
                        break;
                    }
                },
                State::Head => {
                    let (head, after) = self.requests.take_head(at, rest);
                    rest = after;
                    if self.requests.is_foreign(looks_like_request) {
                        return self.foreign_request(at);
                    }
                    match head {
                        HeadIs::Partial => break,
                        HeadIs::TooLong => {
                            self.request_error(at, "the head of the request is too long".to_owned());
                            break;
                        }
                        HeadIs::Whole => {
                            if !self.request(at) {
                                return self.foreign_request(at);
                            }
                        }
                    }
                }
            }
        }
        Progress::Continues
    }

    /// Reads the request whose head is whole; false where it is none.
    fn request(&mut self, at: Moment) -> bool {
        let Some(head) = parse_request_head(&self.requests.head, self.setting.secure, self.setting.server) else {
            return false;
        };
        let began = self.requests.began.unwrap_or(at);
        self.requests.head.clear();
        if self.exchanges.len() >= MAX_EXCHANGES {
            self.requests.stop();
            return true;
        }
        let answered = self.answered_before(began).filter(|_| head.method != "CONNECT");
        if answered.is_none() && !self.holes.unpaired() {
            self.waiting.push_back(self.exchanges.len());
        }
        self.requests.state = match head.framing {
            _ if head.method == "CONNECT" => State::Held,
            // A request without length has no body, whatever else it says (RFC 9112 §6.3 rule 7).
            Some(Framing::UntilClose) | None => State::Head,
            Some(framing) => State::Body(framing),
        };
        let index = answered.unwrap_or_else(|| {
            self.exchanges.push(self.setting.exchange(HttpProtocol::Http1));
            self.exchanges.len().saturating_sub(1)
        });
        if let Some(exchange) = self.exchanges.get_mut(index) {
            exchange.method = head.method;
            exchange.url = head.url;
            exchange.request = Some(began);
            exchange.credentials_sent = head.credentials_sent;
            exchange.user_agent = head.user_agent;
        }
        true
    }

    /// The first answer that came without a request, if it was sent after this one: the recorder wrote them in the wrong order.
    fn answered_before(&mut self, began: Moment) -> Option<usize> {
        let index = *self.overtaken.front()?;
        let answer = self.exchanges.get(index)?.response?;
        if began.time < answer.time { self.overtaken.pop_front() } else { None }
    }

    /// What the client says is no request: foreign to the protocol, or the end of what can be read.
    fn foreign_request(&mut self, at: Moment) -> Progress {
        if self.exchanges.is_empty() && self.responses.head.is_empty() {
            return Progress::Foreign;
        }
        let error = format!("malformed HTTP request {}", quote(&self.requests.head));
        self.request_error(at, error);
        Progress::Continues
    }

    fn request_error(&mut self, at: Moment, error: String) {
        let began = self.requests.began.unwrap_or(at);
        self.requests.stop();
        if self.exchanges.len() < MAX_EXCHANGES {
            self.exchanges.push(Exchange {
                request: Some(began),
                error: Some(error),
                ..self.setting.exchange(HttpProtocol::Http1)
            });
        }
    }

    fn responses(&mut self, at: Moment, bytes: &[u8]) -> Progress {
        self.responses.resume(bytes, begins_response);
        let mut rest = bytes;
        while !rest.is_empty() {
            self.follow_unseen_connect(Direction::ToClient, at, rest);
            match &mut self.responses.state {
                State::Tunnel => return Progress::Tunnel { consumed: bytes.len().saturating_sub(rest.len()) },
                State::Lost | State::Stopped | State::Held => break,
                State::Body(framing) => {
                    let (mut current, exchanges) = (self.current.as_mut(), &mut self.exchanges);
                    let fed = framing.feed(rest, |bytes| {
                        if let Some(current) = current.as_mut()
                            && let Some(exchange) = exchanges.get_mut(current.index)
                        {
                            current.content.take(exchange, bytes);
                        }
                    });
                    match fed {
                        Fed::More => break,
                        Fed::Done(used) => {
                            rest = rest.get(used..).unwrap_or_default();
                            self.finish_body(at, None);
                        }
                        Fed::Broken => {
                            self.finish_body(at, Some("broken chunked coding"));
                            self.responses.stop();
                            break;
                        }
                    }
                }
                State::Head => {
                    let (head, after) = self.responses.take_head(at, rest);
                    rest = after;
                    if self.responses.is_foreign(looks_like_response) {
                        return self.foreign_response(at, rest);
                    }
                    match head {
                        HeadIs::Partial => break,
                        HeadIs::TooLong => {
                            self.response_error(at, "the head of the answer is too long".to_owned(), &[]);
                            break;
                        }
                        HeadIs::Whole => {
                            if !self.response(at) {
                                return self.foreign_response(at, rest);
                            }
                        }
                    }
                }
            }
        }
        // The head of the answer may end its piece exactly.
        if self.responses.state == State::Tunnel {
            return Progress::Tunnel { consumed: bytes.len() };
        }
        Progress::Continues
    }

    /// Reads the answer whose head is whole; false where it is none.
    fn response(&mut self, at: Moment) -> bool {
        let Some(head) = parse_response_head(&self.responses.head) else { return false };
        self.responses.head.clear();
        // Interim answers announce the final one; 101 is the last that HTTP has to say.
        if (100..200).contains(&head.status) && head.status != 101 {
            return true;
        }
        let Some(index) = self.next_exchange() else {
            self.responses.stop();
            return true;
        };
        let Some(exchange) = self.exchanges.get_mut(index) else { return true };
        exchange.response = Some(at);
        exchange.status = Some(head.status);
        exchange.reason = head.reason;
        exchange.headers = head.headers;
        let connect = exchange.is_connect();
        if connect && (200..300).contains(&head.status) {
            exchange.complete = true;
            exchange.completed = Some(at);
            self.requests.state = State::Tunnel;
            self.responses.state = State::Tunnel;
            return true;
        }
        // RFC 9112 §6.3, rules 1 to 8.
        let without_body = exchange.method == "HEAD" || matches!(head.status, 101 | 204 | 304);
        match head.framing {
            _ if without_body => {
                exchange.complete = true;
                exchange.completed = Some(at);
            }
            framing => {
                let content = Content::new(self.setting.digest, self.bodies.as_ref());
                self.current = Some(Current { index, content });
                match framing {
                    Some(framing) => self.responses.state = State::Body(framing),
                    None => self.finish_body(at, None),
                }
            }
        }
        if head.status == 101 {
            self.requests.stop();
            self.responses.stop();
        }
        if connect && self.requests.state == State::Held {
            // The proxy refused: what the client sent on is its next request.
            self.requests.state = State::Head;
            if let Some(early) = self.early.take() {
                self.requests(early.at, &early.bytes);
                if early.hole {
                    self.requests.stop();
                }
            }
        }
        true
    }

    /// The exchange that the next answer belongs to; `None` where there are too many.
    fn next_exchange(&mut self) -> Option<usize> {
        if let Some(index) = self.waiting.pop_front() {
            return Some(index);
        }
        let index = self.exchanges.len();
        self.holes.alone(index, self.responses.began);
        (index < MAX_EXCHANGES).then(|| self.exchanges.push(self.setting.exchange(HttpProtocol::Http1)))?;
        if !self.holes.unpaired() {
            self.overtaken.push_back(index);
        }
        Some(index)
    }

    /// What the server says is no answer.
    fn foreign_response(&mut self, at: Moment, rest: &[u8]) -> Progress {
        if self.exchanges.is_empty() && self.requests.head.is_empty() {
            return Progress::Foreign;
        }
        // The words of net/http.
        let error = format!("malformed HTTP response {}", quote(&self.responses.head));
        self.response_error(at, error, rest);
        Progress::Continues
    }

    fn response_error(&mut self, at: Moment, error: String, rest: &[u8]) {
        if let Some(exchange) = self.next_exchange().and_then(|index| self.exchanges.get_mut(index)) {
            exchange.response = Some(self.responses.began.unwrap_or(at));
            exchange.error = Some(error);
            let bytes = self.responses.head.iter().chain(rest);
            exchange.body_head = bytes.take(MAX_BODY_HEAD).copied().collect();
        }
        self.responses.stop();
    }

    /// Ends the body being read; with an error, it is not complete.
    fn finish_body(&mut self, at: Moment, error: Option<&str>) {
        self.responses.state = State::Head;
        let Some(mut current) = self.current.take() else { return };
        let Some(exchange) = self.exchanges.get_mut(current.index) else { return };
        exchange.error = error.map(str::to_owned);
        exchange.complete = error.is_none() && current.content.is_whole();
        exchange.completed = error.is_none().then_some(at);
        current.content.end(exchange);
    }

    /// The sender of that direction closed it (FIN). A reset is not told: it ends nothing properly.
    pub(crate) fn closed(&mut self, direction: Direction, at: Moment) {
        if direction == Direction::ToServer {
            if self.requests.state != State::Tunnel {
                self.requests.stop();
            }
            return;
        }
        match &self.responses.state {
            State::Tunnel | State::Lost | State::Stopped => return,
            State::Body(Framing::UntilClose) => self.finish_body(at, None),
            State::Body(_) => self.finish_body(at, Some("unexpected EOF")),
            State::Head | State::Held => {
                let error = if self.responses.head.is_empty() { "EOF" } else { "unexpected EOF" };
                if let Some(exchange) = self.waiting.pop_front().and_then(|index| self.exchanges.get_mut(index)) {
                    exchange.error = Some(error.to_owned());
                    exchange.body_head = self.responses.head.iter().take(MAX_BODY_HEAD).copied().collect();
                }
            }
        }
        self.responses.stop();
    }

    /// After [`Progress::Tunnel`]: what was recorded of the tunnel before the answer that opened it. It comes before
    /// everything else of its direction.
    pub(crate) fn take_early(&mut self) -> Both<Option<Early>> {
        Both { to_server: self.early.take(), to_client: self.holes.before_tunnel() }
    }

    /// The exchanges so far.
    #[cfg(test)]
    pub(crate) fn exchanges(&self) -> &[Exchange] {
        &self.exchanges
    }

    /// All exchanges, in the order in which they began.
    pub(crate) fn finish(mut self) -> Vec<Exchange> {
        if let Some(mut current) = self.current.take()
            && let Some(exchange) = self.exchanges.get_mut(current.index)
        {
            current.content.end(exchange);
        }
        self.pair_across_holes();
        self.exchanges
    }
}

#[cfg(test)]
mod tests;
