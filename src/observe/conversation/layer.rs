//! One layer of a connection: the protocol that is spoken on TCP, inside TLS, or inside a tunnel.

use crate::observation::body::Bodies;
use crate::protocol::http::{h1, h2};
use crate::protocol::{dns, socks, tls};
use crate::types::{Both, Direction, Moment};

/// The port of DNS over TCP.
const DNS: u16 = 53;

/// Who reads a layer.
#[derive(Default)]
pub(super) enum Reader {
    /// Nothing was seen yet.
    #[default]
    Fresh,
    /// Nothing known; bytes seen so far.
    Unknown(u64),
    Tls(Box<tls::Session>),
    Http1(Box<h1::Session>),
    Http2(Box<h2::Session>),
    Socks(Box<socks::Session>),
    Dns(Box<Both<dns::TcpFraming>>),
    /// Nothing more is read.
    Over,
}

/// What a reader must be told of the place where it begins.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) setting: h1::Setting,
    /// What the TLS beneath agreed on.
    pub(super) alpn: Option<&'a str>,
    /// Who takes the bodies of answers.
    pub(super) bodies: Option<&'a Bodies>,
}

/// A protocol and where it runs.
#[derive(Default)]
pub(super) struct Layer {
    pub(super) reader: Reader,
    /// It runs in TLS, and in no tunnel inside of that.
    pub(super) secure: bool,
    /// The request that opened the innermost tunnel it runs in: index among the conversation's exchanges.
    pub(super) tunnel: Option<usize>,
    /// Where the client has left: what the server does not say any more after that cuts nothing short.
    pub(super) client_left: Option<Moment>,
}

impl Layer {
    /// What runs in TLS, which runs in `tunnel`.
    pub(super) fn in_tls(tunnel: Option<usize>) -> Self {
        Self { secure: true, tunnel, ..Self::default() }
    }

    /// What is not read any more.
    pub(super) fn over() -> Self {
        Self { reader: Reader::Over, ..Self::default() }
    }

    /// Finds out what is spoken where that is not known yet.
    pub(super) fn try_protocols(&mut self, place: Place<'_>, to_server: bool, bytes: &[u8]) {
        let Place { mut setting, alpn, bodies } = place;
        let fresh = match self.reader {
            Reader::Fresh => true,
            Reader::Unknown(_) => false,
            _ => return,
        };
        setting.secure = self.secure;
        let hello = (to_server && tls::starts_client_hello(bytes)) || (!to_server && tls::starts_server_flight(bytes));
        // The preface begins like a request of a method that nobody has.
        let preface = to_server && bytes.len() >= 3 && h2::starts_preface(bytes);
        self.reader = if hello {
            Reader::Tls(Box::default())
        } else if !fresh {
            return;
        } else if self.secure && (preface || alpn == Some("h2")) {
            Reader::Http2(Box::new(h2::Session::new(setting).with_bodies(bodies)))
        } else if !self.secure && self.tunnel.is_none() && setting.server.port() == DNS {
            Reader::Dns(Box::default())
        } else if (to_server && h1::looks_like_request(bytes)) || (!to_server && h1::looks_like_response(bytes)) {
            Reader::Http1(Box::new(h1::Session::new(setting).with_bodies(bodies)))
        } else if to_server && socks::looks_like_socks(bytes) {
            Reader::Socks(Box::new(socks::Session::new(setting.flow)))
        } else {
            Reader::Unknown(0)
        };
    }

    /// Bytes are missing before anything was read. HTTP/2 is found again after them, other protocols are not.
    pub(super) fn begins_with_hole(&mut self, place: Place<'_>) {
        let Place { mut setting, alpn, bodies } = place;
        setting.secure = self.secure;
        if self.secure && matches!(self.reader, Reader::Fresh) {
            self.reader = match alpn {
                Some("h2") => Reader::Http2(Box::new(h2::Session::new(setting).with_bodies(bodies))),
                _ => Reader::Unknown(0),
            };
        }
    }

    /// Whether the client has closed, so that the server's close means nothing. Takes note of the client's.
    pub(super) fn is_left_at_close(&mut self, direction: Direction, at: Moment) -> bool {
        if direction == Direction::ToServer {
            self.client_left.get_or_insert(at);
            return false;
        }
        // A FIN is told at the end only, and the client's own farewell may have been its answer.
        self.client_left.is_some_and(|left| left < at)
    }
}
