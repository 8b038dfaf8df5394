//! What is said inside TLS: HTTP/2 or HTTP/1, as ALPN or the first bytes tell.

use crate::observation::Exchange;
use crate::observation::body::Bodies;
use crate::protocol::Progress;
use crate::protocol::http::{h1, h2};
use crate::types::{Direction, Moment};

/// What is said inside TLS.
#[derive(Default)]
pub(super) struct Inner {
    reader: Reader,
    /// Where the client has left: what the server does not say any more after that cuts nothing short.
    client_left: Option<Moment>,
}

/// The reader of decrypted bytes.
#[derive(Default)]
enum Reader {
    /// Nothing was read yet.
    #[default]
    Fresh,
    Http1(Box<h1::Session>),
    Http2(Box<h2::Session>),
    /// Nothing that is known here.
    Unknown,
}

impl Inner {
    pub(super) fn data(
        &mut self,
        setting: h1::Setting,
        bodies: Option<&Bodies>,
        alpn: Option<&str>,
        direction: Direction,
        at: Moment,
        bytes: &[u8],
    ) {
        if matches!(self.reader, Reader::Fresh) {
            let to_server = direction == Direction::ToServer;
            self.reader = if alpn == Some("h2") || (to_server && bytes.len() >= 3 && h2::starts_preface(bytes)) {
                Reader::Http2(Box::new(h2::Session::new(setting).with_bodies(bodies)))
            } else if (to_server && h1::looks_like_request(bytes)) || (!to_server && h1::looks_like_response(bytes)) {
                Reader::Http1(Box::new(h1::Session::new(setting).with_bodies(bodies)))
            } else {
                Reader::Unknown
            };
        }
        match &mut self.reader {
            Reader::Http2(session) => session.data(direction, at, bytes),
            Reader::Http1(session) => match session.data(direction, at, bytes) {
                Progress::Continues => {}
                // A tunnel inside of TLS is not followed.
                Progress::Tunnel { .. } | Progress::Foreign => {}
            },
            Reader::Fresh | Reader::Unknown => {}
        }
    }

    /// So many bytes are missing; `None` where their number is not known.
    pub(super) fn gap(&mut self, direction: Direction, at: Moment, length: Option<u64>) {
        let length = length.unwrap_or(u64::MAX);
        match &mut self.reader {
            Reader::Http2(session) => session.gap(direction, length),
            Reader::Http1(session) => session.gap(direction, at, length),
            // What comes after a hole is the middle of something.
            Reader::Fresh => self.reader = Reader::Unknown,
            Reader::Unknown => {}
        }
    }

    /// The sender of that direction ends it, by a `close_notify` or by closing the connection.
    pub(super) fn closed(&mut self, direction: Direction, at: Moment) {
        // A FIN is told at the end only, and the client's own farewell may have been its answer.
        if direction == Direction::ToClient && self.client_left.is_some_and(|left| left < at) {
            return;
        }
        if direction == Direction::ToServer {
            self.client_left.get_or_insert(at);
        }
        match &mut self.reader {
            Reader::Http2(session) => session.closed(direction),
            Reader::Http1(session) => session.closed(direction, at),
            Reader::Fresh | Reader::Unknown => {}
        }
    }

    pub(super) fn finish(self) -> Vec<Exchange> {
        match self.reader {
            Reader::Http2(session) => session.finish(),
            Reader::Http1(session) => session.finish(),
            Reader::Fresh | Reader::Unknown => Vec::new(),
        }
    }
}
