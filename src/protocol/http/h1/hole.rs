//! Holes in the recording of a connection: what goes on after them, and what belongs together all the same.

use super::body::Framing;
use super::{Early, Session, State};
use crate::observation::Exchange;
use crate::protocol::tls;
use crate::types::{Direction, Moment};

const HIDDEN_HEAD: &str = "a hole in the recording hides the head of the answer";
const HIDDEN_ANSWER: &str = "a hole in the recording hides which answer is this request's";
/// How Go's client calls itself. It sends a request when the one before is answered, never earlier (Go:
/// `src/net/http/transport.go`, `persistConn`).
const GO: &str = "Go-http-client/";

/// What holes leave open.
#[derive(Debug)]
pub(super) struct Holes {
    requests: bool,
    responses: Option<Moment>,
    /// Answers that came since, and where each began.
    alone: Vec<(usize, Moment)>,
}

impl Holes {
    pub(super) const fn new() -> Self {
        Self { requests: false, responses: None, alone: Vec::new() }
    }

    /// Requests or answers may be missing: order alone pairs nothing any more.
    pub(super) const fn unpaired(&self) -> bool {
        self.requests || self.responses.is_some()
    }

    /// What a tunnel begins with whose opening is in a hole: the hole may reach into it.
    pub(super) fn before_tunnel(&self) -> Option<Early> {
        self.responses.map(|at| Early { at, bytes: Vec::new(), hole: true })
    }

    /// An answer without a request is the exchange of that index.
    pub(super) fn alone(&mut self, index: usize, began: Option<Moment>) {
        if self.unpaired() {
            self.alone.extend(began.map(|began| (index, began)));
        }
    }
}

impl Session {
    /// Takes note of a hole of `length` bytes in one direction; `u64::MAX` stands for a number that is not known. Inside a
    /// body whose end is known it is skipped.
    pub(crate) fn gap(&mut self, direction: Direction, at: Moment, length: u64) {
        match direction {
            Direction::ToServer => match &mut self.requests.state {
                State::Body(framing) => {
                    if !framing.skip(length) {
                        self.lose_requests();
                    } else if framing.is_done() {
                        self.requests.state = State::Head;
                    }
                }
                State::Held => {
                    self.early.get_or_insert_with(|| Early { at, bytes: Vec::new(), hole: true }).hole = true;
                }
                State::Tunnel | State::Stopped => {}
                State::Head | State::Lost => self.lose_requests(),
            },
            Direction::ToClient => match &mut self.responses.state {
                State::Body(framing) => {
                    let skipped = framing.skip(length);
                    let done = framing.is_done();
                    if let Some(current) = &mut self.current
                        && let Some(exchange) = self.exchanges.get_mut(current.index)
                    {
                        current.content.hole(exchange, skipped.then_some(length));
                    }
                    if !skipped {
                        self.finish_body(at, Some("a hole in the recording hides the end of the body"));
                        self.lose_responses(at);
                    } else if done {
                        self.finish_body(at, None);
                    }
                }
                State::Head => {
                    // A head that had begun is somebody's answer.
                    if !self.responses.head.is_empty() {
                        self.response_error(at, HIDDEN_HEAD.to_owned(), &[]);
                    }
                    self.lose_responses(at);
                }
                State::Held | State::Tunnel | State::Lost | State::Stopped => {}
            },
        }
    }

    /// A hole hides the answer to CONNECT, and the client goes on with TLS: it had leave to.
    pub(crate) fn opened_in_hole(&self) -> bool {
        self.requests.state == State::Held
            && self.responses.state == State::Lost
            && self.early.as_ref().is_some_and(|early| tls::starts_client_hello(&early.bytes))
    }

    /// What follows an answer without length whose request was not recorded is TLS: it opened a tunnel.
    pub(super) fn follow_unseen_connect(&mut self, direction: Direction, at: Moment, bytes: &[u8]) {
        let goes_on = match direction {
            Direction::ToServer => {
                matches!(self.requests.state, State::Head | State::Lost)
                    && self.requests.head.is_empty()
                    && tls::starts_client_hello(bytes)
            }
            Direction::ToClient => tls::starts_server_flight(bytes),
        };
        let Some(current) = self.current.as_ref().filter(|_| goes_on) else { return };
        if self.responses.state != State::Body(Framing::UntilClose) {
            return;
        }
        let Some(exchange) = self.exchanges.get_mut(current.index) else { return };
        let opens = exchange.method.is_empty()
            && exchange.request.is_none()
            && exchange.body_bytes == 0
            && matches!(exchange.status, Some(200..300));
        if opens {
            "CONNECT".clone_into(&mut exchange.method);
            exchange.complete = true;
            exchange.completed = Some(at);
            self.current = None;
            (self.requests.state, self.responses.state) = (State::Tunnel, State::Tunnel);
        }
    }

    fn lose_requests(&mut self) {
        self.requests.lose();
        self.holes.requests = true;
    }

    /// The hole may hold the answers to all that waits.
    fn lose_responses(&mut self, at: Moment) {
        self.responses.lose();
        self.holes.responses.get_or_insert(at);
        for index in std::mem::take(&mut self.waiting) {
            if let Some(exchange) = self.exchanges.get_mut(index) {
                exchange.error.get_or_insert_with(|| HIDDEN_HEAD.to_owned());
            }
        }
    }

    /// Pairs what came after a hole of the server's direction where that is no guess: no request is missing, the client is
    /// one that never has two requests on the way, and the answer is the first one after the request.
    pub(super) fn pair_across_holes(&mut self) {
        if !self.holes.unpaired() {
            return;
        }
        let requests = self.exchanges.iter().enumerate();
        let mut requests: Vec<(Moment, usize)> =
            requests.filter_map(|(place, exchange)| Some((exchange.request?, place))).collect();
        requests.sort_unstable();
        let alone = std::mem::take(&mut self.holes.alone);
        let mut merged = vec![false; self.exchanges.len()];
        for (index, began) in alone.into_iter().filter(|_| !self.holes.requests) {
            let before = requests.partition_point(|(request, _)| *request < began);
            let last = before.checked_sub(1).and_then(|last| requests.get(last));
            let (Some(&(_, place)), Some(answer)) = (last, self.exchanges.get(index).cloned()) else { continue };
            let Some(request) = self.exchanges.get_mut(place) else { continue };
            let by_go = request.user_agent.as_deref().is_some_and(|agent| agent.starts_with(GO));
            if request.response.is_some() || !by_go || matches!(request.method.as_str(), "HEAD" | "CONNECT") {
                continue;
            }
            *request = Exchange {
                method: std::mem::take(&mut request.method),
                url: std::mem::take(&mut request.url),
                request: request.request,
                credentials_sent: request.credentials_sent,
                user_agent: request.user_agent.take(),
                ..answer
            };
            if let Some(merged) = merged.get_mut(index) {
                *merged = true;
            }
        }
        let mut waits = vec![false; self.exchanges.len()];
        for index in &self.waiting {
            if let Some(waits) = waits.get_mut(*index) {
                *waits = true;
            }
        }
        for (exchange, waits) in self.exchanges.iter_mut().zip(waits) {
            if !waits && exchange.request.is_some() && exchange.response.is_none() {
                exchange.error.get_or_insert_with(|| HIDDEN_ANSWER.to_owned());
            }
        }
        let mut merged = merged.into_iter();
        self.exchanges.retain(|_| !merged.next().unwrap_or(false));
    }
}
