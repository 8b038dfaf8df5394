//! What a connection's streams are about: tries which protocol it is, follows it, and follows what a proxy's tunnel or a
//! STARTTLS turns it into.

mod layer;

use std::net::SocketAddr;

use self::layer::{Layer, Place, Reader};
use super::certificates::CertificatePool;
use super::dns::Lookups;
use crate::flow::{Body, Piece};
use crate::observation::body::Bodies;
use crate::observation::{Connection, DnsTransport, End, Exchange, Handshake, IpMark, Outcome, Veil};
use crate::protocol::http::{coding, h1};
pub use crate::protocol::tls::KeyLog;
use crate::protocol::tls::Plain;
use crate::protocol::{Early, Progress, tls};
use crate::types::{Both, Direction, FlowId, Moment};

/// Bytes of an unknown protocol in which a `ClientHello` is looked for (STARTTLS and its kin come early).
const UPGRADE_WITHIN: u64 = 64 << 10;
/// Layers of one connection that are read: TLS to a proxy, TLS to the server inside of it, and what is said there make
/// three.
const MAX_LAYERS: usize = 4;
/// Tunnels of one connection that are followed, whichever layer they are opened in.
const MAX_TUNNELS: usize = 4;
/// Stands for a hole of unknown length in TLS: longer than any record (RFC 8446 §5.2).
const BEYOND_RECORD: u64 = 1 << 20;

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
    const fn setting(&self) -> h1::Setting {
        h1::Setting { flow: self.flow, server: self.server, secure: false, digest: true }
    }

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

/// The protocols of one connection, outer ones first: each layer but the last one is TLS, and what comes out of it is the
/// next one's. A tunnel makes the layer that it is opened in a new one.
pub(crate) struct Conversation {
    layers: Vec<Layer>,
    /// Tunnels opened so far.
    tunnels: usize,
    /// What was said in layers that are over.
    exchanges: Vec<Exchange>,
    /// TLS that is over.
    sessions: Vec<Followed>,
    /// The snap length cut something that would have been read.
    pub(crate) cut: Option<Moment>,
}

impl Default for Conversation {
    fn default() -> Self {
        let layers = vec![Layer::default()];
        Self { layers, tunnels: 0, exchanges: Vec::new(), sessions: Vec::new(), cut: None }
    }
}

/// A TLS session and where it ran.
struct Followed {
    session: Box<tls::Session>,
    depth: usize,
    tunnel: Option<usize>,
}

/// What came of a conversation.
pub(crate) struct Heard {
    pub(crate) exchanges: Vec<Exchange>,
    /// Outer ones first. Their `tunnel` counts in `exchanges`.
    pub(crate) handshakes: Vec<HeardHandshake>,
    /// Of so many handshakes there were secrets that open nothing.
    pub(crate) wrong_secrets: u64,
}

/// A handshake, before it is known how the connection ended.
pub(crate) struct HeardHandshake {
    pub(crate) handshake: Handshake,
    /// The server's side said something in that layer.
    answered: bool,
}

impl Conversation {
    /// Takes a piece of one direction's stream. Says whether more is wanted; if not, the rest may go by uncopied.
    pub(crate) fn piece(&mut self, heading: &Heading, piece: &Piece<'_>, sinks: &mut Sinks<'_, '_>) -> bool {
        match &piece.body {
            Body::Slice(bytes) => self.bytes(0, heading, piece.at, bytes, sinks),
            Body::Held(bytes) => self.bytes(0, heading, piece.at, bytes, sinks),
            Body::Gap { length, veil } => {
                let read =
                    !matches!(self.layers.first(), Some(Layer { reader: Reader::Over | Reader::Unknown(_), .. }));
                if *veil == Veil::Truncated && read {
                    self.cut.get_or_insert(piece.at);
                }
                self.hole(0, heading, piece.at, (Some(*length), *veil), sinks);
            }
        }
        !matches!(self.layers.first(), Some(Layer { reader: Reader::Over, .. }))
    }

    /// Nothing of that direction was recorded: what it said to a proxy's client is a hole.
    pub(crate) fn unrecorded(&mut self, heading: &Heading, at: Moment, sinks: &mut Sinks<'_, '_>) {
        if let Some(Layer { reader: Reader::Http1(_) | Reader::Socks(_), .. }) = self.layers.first() {
            self.hole(0, heading, at, (None, Veil::Gap), sinks);
        }
    }

    /// The connection was closed in that direction, as far as what is said inside TLS is concerned.
    pub(crate) fn closed_inside(&mut self, heading: &Heading, at: Moment) {
        if let Some(Layer { reader: Reader::Tls(_), .. }) = self.layers.first() {
            self.close(0, heading, at);
        }
    }

    /// The connection was closed or reset in that direction.
    pub(crate) fn closed(&mut self, direction: Direction, at: Moment) {
        match self.layers.first_mut().map(|layer| &mut layer.reader) {
            Some(Reader::Http1(session)) => session.closed(direction, at),
            Some(Reader::Socks(session)) => session.closed(direction, at),
            _ => {}
        }
    }

    /// All that was heard. `unseen` says which direction the recording lacks.
    pub(crate) fn finish(mut self, flow: FlowId, last: Moment, unseen: impl Fn(Direction) -> Option<Veil>) -> Heard {
        self.leave(0);
        // An inner one that cannot be opened is over before the outer one.
        self.sessions.sort_by_key(|followed| followed.depth);
        let wrong_secrets = self.sessions.iter().filter(|followed| followed.session.has_wrong_secrets()).count() as u64;
        let told = |Followed { session, depth, tunnel }: Followed| {
            let answered = session.was_answered();
            let mut handshake = session.into_handshake(flow, last, &unseen);
            handshake.layer = u8::try_from(depth).unwrap_or(u8::MAX);
            handshake.tunnel = tunnel;
            HeardHandshake { handshake, answered }
        };
        let handshakes = self.sessions.into_iter().map(told).collect();
        Heard { exchanges: self.exchanges, handshakes, wrong_secrets }
    }

    fn bytes(&mut self, depth: usize, heading: &Heading, at: Moment, bytes: &[u8], sinks: &mut Sinks<'_, '_>) {
        if bytes.is_empty() {
            return;
        }
        let direction = heading.direction;
        let alpn = self.alpn_beneath(depth);
        let Some(layer) = self.layers.get_mut(depth) else { return };
        let place = Place { setting: heading.setting(), alpn: alpn.as_deref(), bodies: sinks.bodies };
        layer.try_protocols(place, direction == Direction::ToServer, bytes);
        let progress = match &mut layer.reader {
            Reader::Tls(session) => {
                session.data(direction, at, bytes, sinks.keys, sinks.certificates);
                for plain in session.take_plain() {
                    self.plain(depth, heading, plain, sinks);
                }
                return;
            }
            Reader::Http1(session) => session.data(direction, at, bytes),
            Reader::Http2(session) => return session.data(direction, at, bytes),
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
                    layer.reader = Reader::Over;
                }
                return;
            }
            Reader::Fresh | Reader::Over => return,
        };
        match progress {
            Progress::Continues => {}
            Progress::Foreign => {
                layer.reader = Reader::Unknown(0);
                // A connection may turn to TLS after words in clear, as with STARTTLS.
                if direction == Direction::ToServer && tls::starts_client_hello(bytes) {
                    self.bytes(depth, heading, at, bytes, sinks);
                }
            }
            Progress::Tunnel { consumed } => {
                self.enter_tunnel(depth, heading, sinks);
                self.bytes(depth, heading, at, bytes.get(consumed..).unwrap_or_default(), sinks);
            }
        }
    }

    /// The layer becomes that of a tunnel.
    fn enter_tunnel(&mut self, depth: usize, heading: &Heading, sinks: &mut Sinks<'_, '_>) {
        let early = match self.layers.get_mut(depth).map(|layer| &mut layer.reader) {
            Some(Reader::Http1(session)) => session.take_early(),
            Some(Reader::Socks(session)) => session.take_early(),
            _ => Both::default(),
        };
        self.replace(depth, Layer::over());
        self.tunnels += 1;
        if self.tunnels > MAX_TUNNELS {
            return;
        }
        let tunnel = self.exchanges.iter().rposition(Exchange::is_connect);
        self.replace(depth, Layer { tunnel, ..Layer::default() });
        self.early(depth, heading, early, sinks);
    }

    /// What came out of the TLS in the layer of that depth goes to the next one.
    fn plain(&mut self, depth: usize, heading: &Heading, plain: Plain, sinks: &mut Sinks<'_, '_>) {
        let inside = depth + 1;
        if self.layers.len() == inside && inside < MAX_LAYERS {
            let tunnel = self.layers.get(depth).and_then(|layer| layer.tunnel);
            self.layers.push(Layer::in_tls(tunnel));
        }
        let towards = |direction| Heading { direction, ..*heading };
        match plain {
            Plain::Data(direction, at, bytes) => self.bytes(inside, &towards(direction), at, &bytes, sinks),
            Plain::Gap(direction, at, length) => {
                self.hole(inside, &towards(direction), at, (length, Veil::Gap), sinks);
            }
            Plain::End(direction, at) => self.close(inside, &towards(direction), at),
        }
    }

    /// The application protocol of the TLS that a layer runs in.
    fn alpn_beneath(&self, depth: usize) -> Option<String> {
        match &self.layers.get(depth.checked_sub(1)?)?.reader {
            Reader::Tls(session) if matches!(self.layers.get(depth)?.reader, Reader::Fresh) => {
                session.alpn().map(str::to_owned)
            }
            _ => None,
        }
    }

    /// Bytes of a tunnel that were recorded before the answer that opened it.
    fn early(&mut self, depth: usize, heading: &Heading, early: Both<Option<Early>>, sinks: &mut Sinks<'_, '_>) {
        for (direction, early) in [(Direction::ToServer, early.to_server), (Direction::ToClient, early.to_client)] {
            let Some(early) = early else { continue };
            let heading = Heading { direction, ..*heading };
            self.bytes(depth, &heading, early.at, &early.bytes, sinks);
            if early.hole {
                self.hole(depth, &heading, early.at, (Some(1), Veil::Gap), sinks);
            }
        }
    }

    /// So many bytes of a layer are missing, and the answer that opened a tunnel may be among them.
    fn hole(
        &mut self,
        depth: usize,
        heading: &Heading,
        at: Moment,
        missing: (Option<u64>, Veil),
        sinks: &mut Sinks<'_, '_>,
    ) {
        self.gap(depth, heading, at, missing, sinks.bodies);
        let opened = match self.layers.get(depth).map(|layer| &layer.reader) {
            Some(Reader::Http1(session)) => session.opened_in_hole(),
            Some(Reader::Socks(session)) => session.opened_in_hole(),
            _ => false,
        };
        if opened {
            self.enter_tunnel(depth, heading, sinks);
        }
    }

    /// So many bytes of a layer are missing; `None` where their number is not known.
    fn gap(
        &mut self,
        depth: usize,
        heading: &Heading,
        at: Moment,
        (length, veil): (Option<u64>, Veil),
        bodies: Option<&Bodies>,
    ) {
        let direction = heading.direction;
        let alpn = self.alpn_beneath(depth);
        let Some(layer) = self.layers.get_mut(depth) else { return };
        layer.begins_with_hole(Place { setting: heading.setting(), alpn: alpn.as_deref(), bodies });
        match &mut layer.reader {
            Reader::Tls(session) => session.gap(direction, at, length.unwrap_or(BEYOND_RECORD), veil),
            Reader::Http1(session) => session.gap(direction, at, length.unwrap_or(u64::MAX)),
            Reader::Http2(session) => session.gap(direction, length.unwrap_or(u64::MAX)),
            Reader::Socks(session) => session.gap(direction, at, length.unwrap_or(u64::MAX)),
            Reader::Dns(framing) => framing.of_mut(direction).gap(),
            Reader::Fresh | Reader::Unknown(_) | Reader::Over => {}
        }
    }

    /// The sender of a direction ends a layer, by a `close_notify` beneath it or by closing the connection.
    fn close(&mut self, depth: usize, heading: &Heading, at: Moment) {
        let direction = heading.direction;
        let Some(layer) = self.layers.get_mut(depth) else { return };
        if layer.is_left_at_close(direction, at) {
            return;
        }
        let holed = match &mut layer.reader {
            Reader::Tls(session) => session.has_hole(direction),
            Reader::Http1(session) => return session.closed(direction, at),
            Reader::Http2(session) => return session.closed(direction),
            Reader::Socks(session) => return session.closed(direction, at),
            Reader::Fresh | Reader::Unknown(_) | Reader::Dns(_) | Reader::Over => return,
        };
        // What ends in a hole of the recording is not cut short by anybody.
        if holed {
            self.gap(depth + 1, heading, at, (None, Veil::Gap), None);
        }
        self.close(depth + 1, heading, at);
    }

    fn replace(&mut self, depth: usize, next: Layer) {
        self.leave(depth);
        self.layers.push(next);
    }

    fn keep(&mut self, mut exchanges: Vec<Exchange>) {
        exchanges.iter_mut().for_each(coding::undo);
        self.exchanges.extend(exchanges);
    }

    /// Ends the layer of that depth and those inside of it.
    fn leave(&mut self, depth: usize) {
        let left = self.layers.split_off(depth.min(self.layers.len()));
        for (depth, Layer { reader, tunnel, .. }) in (depth..).zip(left) {
            match reader {
                Reader::Tls(session) => self.sessions.push(Followed { session, depth, tunnel }),
                Reader::Http1(session) => self.keep(session.finish()),
                Reader::Http2(session) => self.keep(session.finish()),
                Reader::Socks(session) => self.exchanges.extend(session.finish()),
                Reader::Fresh | Reader::Unknown(_) | Reader::Dns(_) | Reader::Over => {}
            }
        }
    }
}

/// Completes what TLS alone cannot tell: how the connection's end cut the innermost handshake short.
pub(crate) fn settle_outcome(handshakes: &mut [HeardHandshake], connection: &Connection) {
    let Some(HeardHandshake { handshake, answered }) = handshakes.last_mut() else { return };
    if handshake.outcome != Outcome::Incomplete || handshake.hello.is_none() {
        return;
    }
    let server_visible = connection.packets.to_client > 0;
    let server_closed_first = match (connection.fin.to_client, connection.fin.to_server) {
        (Some(server), Some(client)) => server < client,
        (Some(_), None) => true,
        (None, _) => false,
    };
    // On TCP itself the connection knows more: what was acknowledged and not recorded was said, too.
    let beneath = handshake.layer == 0 && handshake.tunnel.is_none() && connection.bytes.to_client > 0;
    let answered = handshake.server_hello.is_some() || *answered || beneath;
    if handshake.server_hello.is_none() && answered {
        return; // the server said something that the recording does not show
    }
    // Where the start of the server's stream is not known, what it said before its FIN may be missing.
    let from_start = handshake.layer > 0 || handshake.tunnel.is_some() || connection.initial_seq.to_client.is_some();
    handshake.outcome = match connection.end {
        End::Reset { direction: Direction::ToClient, .. } => Outcome::Reset,
        End::Closed if server_closed_first && from_start => Outcome::Closed,
        _ if !answered && server_visible => Outcome::Unanswered,
        _ => Outcome::Incomplete,
    };
}
