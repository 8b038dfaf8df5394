//! What a connection's streams are about: tries which protocol it is, follows it, and follows what a proxy's tunnel or a
//! STARTTLS turns it into.

mod inner;

use std::net::SocketAddr;

use self::inner::Inner;
use super::certificates::CertificatePool;
use super::dns::Lookups;
use crate::flow::{Body, Piece};
use crate::observation::body::Bodies;
use crate::observation::{Connection, DnsTransport, End, Exchange, Handshake, IpMark, Outcome, Veil};
use crate::protocol::dns::TcpFraming;
use crate::protocol::http::h1;
pub use crate::protocol::tls::KeyLog;
use crate::protocol::tls::Plain;
use crate::protocol::{Early, Progress, socks, tls};
use crate::types::{Both, Direction, FlowId, Moment};

/// Bytes of an unknown protocol in which a `ClientHello` is looked for (STARTTLS and its kin come early).
const UPGRADE_WITHIN: u64 = 64 << 10;

/// Where bytes stand and who sent them.
#[derive(Clone, Copy)]
pub(crate) struct Heading {
    pub(crate) flow: FlowId,
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) direction: Direction,
    /// Marks of the packet at hand.
    pub(crate) ip: IpMark,
}

impl Heading {
    const fn source_and_destination(&self) -> (SocketAddr, SocketAddr) {
        match self.direction {
            Direction::ToServer => (self.client, self.server),
            Direction::ToClient => (self.server, self.client),
        }
    }
}

/// Where facts go that are not of one connection alone.
pub(crate) struct Sinks<'a, 'r> {
    pub(crate) certificates: &'a mut CertificatePool,
    pub(crate) lookups: &'a mut Lookups<'r>,
    /// Secrets that open TLS.
    pub(crate) keys: &'a KeyLog,
    /// Who takes the bodies of answers.
    pub(crate) bodies: Option<&'a Bodies>,
}

#[derive(Default)]
enum Reader {
    /// Nothing was seen yet, or nothing known; bytes seen so far.
    #[default]
    Fresh,
    Unknown(u64),
    Tls(Box<tls::Session>),
    Http(Box<h1::Session>),
    Socks(Box<socks::Session>),
    Dns(Box<Both<TcpFraming>>),
    Over,
}

/// The protocols of one connection, outer ones first.
#[derive(Default)]
pub(crate) struct Conversation {
    reader: Reader,
    /// The tunnel's request and whatever else was said in clear before.
    exchanges: Vec<Exchange>,
    handshake: Option<Box<tls::Session>>,
    /// What is said inside TLS, as far as it can be decrypted.
    inner: Inner,
    /// The last exchange opened a tunnel.
    tunnel: bool,
    /// The snap length cut something that would have been read.
    pub(crate) cut: Option<Moment>,
}

/// What came of a conversation.
pub(crate) struct Heard {
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) handshake: Option<Handshake>,
    /// There were secrets for the handshake that open nothing of it.
    pub(crate) wrong_secrets: bool,
}

impl Conversation {
    /// Takes a piece of one direction's stream. Says whether more is wanted; if not, the rest may go by uncopied.
    pub(crate) fn piece(&mut self, heading: &Heading, piece: &Piece<'_>, sinks: &mut Sinks<'_, '_>) -> bool {
        match &piece.body {
            Body::Slice(bytes) => self.bytes(heading, piece.at, bytes, sinks),
            Body::Held(bytes) => self.bytes(heading, piece.at, bytes, sinks),
            Body::Gap { length, veil } => self.gap(heading.direction, piece.at, *length, *veil),
        }
        !matches!(self.reader, Reader::Over)
    }

    /// The connection was closed in that direction, as far as what is said inside TLS is concerned.
    pub(crate) fn closed_inside(&mut self, direction: Direction, at: Moment) {
        if let Reader::Tls(session) = &self.reader {
            // What ends in a hole of the recording is not cut short by anybody.
            if session.has_hole(direction) {
                self.inner.gap(direction, at, None);
            }
            self.inner.closed(direction, at);
        }
    }

    /// The connection was closed or reset in that direction.
    pub(crate) fn closed(&mut self, direction: Direction, at: Moment) {
        match &mut self.reader {
            Reader::Http(session) => session.closed(direction, at),
            Reader::Socks(session) => session.closed(direction, at),
            _ => {}
        }
    }

    /// All that was heard. `unseen` says which direction the recording lacks.
    pub(crate) fn finish(mut self, flow: FlowId, last: Moment, unseen: impl Fn(Direction) -> Option<Veil>) -> Heard {
        let reader = std::mem::take(&mut self.reader);
        self.leave(reader);
        let wrong_secrets = self.handshake.as_ref().is_some_and(|session| session.has_wrong_secrets());
        let handshake = self.handshake.map(|session| session.into_handshake(flow, last, unseen));
        Heard { exchanges: self.exchanges, handshake, wrong_secrets }
    }

    fn bytes(&mut self, heading: &Heading, at: Moment, bytes: &[u8], sinks: &mut Sinks<'_, '_>) {
        if bytes.is_empty() {
            return;
        }
        let direction = heading.direction;
        if matches!(self.reader, Reader::Fresh | Reader::Unknown(_)) {
            self.try_protocols(heading, bytes, sinks.bodies);
        }
        let progress = match &mut self.reader {
            Reader::Tls(session) => {
                session.data(direction, at, bytes, sinks.keys, sinks.certificates);
                let setting = h1::Setting { flow: heading.flow, server: heading.server, secure: true, digest: true };
                for plain in session.take_plain() {
                    match plain {
                        Plain::Data(direction, at, bytes) => {
                            self.inner.data(setting, sinks.bodies, session.alpn(), direction, at, &bytes);
                        }
                        Plain::Gap(direction, at, length) => self.inner.gap(direction, at, length),
                        Plain::End(direction, at) => self.inner.closed(direction, at),
                    }
                }
                if session.is_over() {
                    self.end();
                }
                return;
            }
            Reader::Http(session) => session.data(direction, at, bytes),
            Reader::Socks(session) => session.data(direction, at, bytes),
            Reader::Dns(framing) => {
                let (source, destination) = heading.source_and_destination();
                let (flow, ip) = (Some(heading.flow), heading.ip);
                framing.of_mut(direction).push(bytes, |message| {
                    sinks.lookups.message(at, ip, source, destination, DnsTransport::Tcp, flow, message, false);
                });
                return;
            }
            Reader::Unknown(seen) => {
                *seen += bytes.len() as u64;
                if *seen > UPGRADE_WITHIN {
                    self.reader = Reader::Over;
                }
                return;
            }
            Reader::Fresh | Reader::Over => return,
        };
        match progress {
            Progress::Continues => {}
            Progress::Foreign => {
                let reader = std::mem::replace(&mut self.reader, Reader::Unknown(0));
                self.leave(reader);
                // A connection may turn to TLS after words in clear, as with STARTTLS.
                if direction == Direction::ToServer && tls::starts_client_hello(bytes) {
                    self.bytes(heading, at, bytes, sinks);
                }
            }
            Progress::Tunnel { consumed } => {
                let early = match &mut self.reader {
                    Reader::Http(session) => session.take_early(),
                    Reader::Socks(session) => session.take_early(),
                    _ => Both::default(),
                };
                let reader = std::mem::take(&mut self.reader);
                self.leave(reader);
                self.tunnel = true;
                self.early(heading, early, sinks);
                self.bytes(heading, at, bytes.get(consumed..).unwrap_or_default(), sinks);
            }
        }
    }

    /// Bytes of a tunnel that were recorded before the answer that opened it.
    fn early(&mut self, heading: &Heading, early: Both<Option<Early>>, sinks: &mut Sinks<'_, '_>) {
        for (direction, early) in [(Direction::ToServer, early.to_server), (Direction::ToClient, early.to_client)] {
            let Some(early) = early else { continue };
            self.bytes(&Heading { direction, ..*heading }, early.at, &early.bytes, sinks);
            if early.hole {
                self.gap(direction, early.at, 1, Veil::Gap);
            }
        }
    }

    fn try_protocols(&mut self, heading: &Heading, bytes: &[u8], bodies: Option<&Bodies>) {
        let to_server = heading.direction == Direction::ToServer;
        let fresh = matches!(self.reader, Reader::Fresh);
        let setting = h1::Setting { flow: heading.flow, server: heading.server, secure: false, digest: true };
        let hello = (to_server && tls::starts_client_hello(bytes)) || (!to_server && tls::starts_server_flight(bytes));
        self.reader = if hello {
            Reader::Tls(Box::default())
        } else if !fresh {
            return;
        } else if heading.server.port() == 53 {
            Reader::Dns(Box::default())
        } else if (to_server && h1::looks_like_request(bytes)) || (!to_server && h1::looks_like_response(bytes)) {
            Reader::Http(Box::new(h1::Session::new(setting).with_bodies(bodies)))
        } else if to_server && socks::looks_like_socks(bytes) {
            Reader::Socks(Box::new(socks::Session::new(heading.flow)))
        } else {
            Reader::Unknown(0)
        };
    }

    fn gap(&mut self, direction: Direction, at: Moment, length: u64, veil: Veil) {
        if veil == Veil::Truncated && !matches!(self.reader, Reader::Over | Reader::Unknown(_)) && self.cut.is_none() {
            self.cut = Some(at);
        }
        match &mut self.reader {
            Reader::Tls(session) => session.gap(direction, at, length, veil),
            Reader::Http(session) => session.gap(direction, at, length),
            Reader::Socks(session) => session.gap(direction, at, length),
            Reader::Dns(framing) => framing.of_mut(direction).gap(),
            Reader::Fresh | Reader::Unknown(_) | Reader::Over => {}
        }
    }

    fn end(&mut self) {
        let reader = std::mem::replace(&mut self.reader, Reader::Over);
        self.leave(reader);
    }

    fn leave(&mut self, reader: Reader) {
        match reader {
            Reader::Tls(session) => {
                self.exchanges.extend(std::mem::take(&mut self.inner).finish());
                self.handshake = Some(session);
            }
            Reader::Http(session) => self.exchanges.extend(session.finish()),
            Reader::Socks(session) => self.exchanges.extend(session.finish()),
            Reader::Fresh | Reader::Unknown(_) | Reader::Dns(_) | Reader::Over => {}
        }
    }
}

/// Completes what TLS alone cannot tell: how the connection's end cut the handshake short.
pub(crate) fn settle_outcome(handshake: &mut Handshake, connection: &Connection) {
    if handshake.outcome != Outcome::Incomplete || handshake.hello.is_none() {
        return;
    }
    let server_visible = connection.packets.to_client > 0;
    let server_closed_first = match (connection.fin.to_client, connection.fin.to_server) {
        (Some(server), Some(client)) => server < client,
        (Some(_), None) => true,
        (None, _) => false,
    };
    let answered = handshake.server_hello.is_some() || connection.bytes.to_client > 0;
    if handshake.server_hello.is_none() && answered {
        return; // the server said something that the recording does not show
    }
    handshake.outcome = match connection.end {
        End::Reset { direction: Direction::ToClient, .. } => Outcome::Reset,
        End::Closed if server_closed_first => Outcome::Closed,
        _ if !answered && server_visible => Outcome::Unanswered,
        _ => Outcome::Incomplete,
    };
}
