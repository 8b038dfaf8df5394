//! Wires the rooms together, from [`Record`]s to a [`Case`]. It owns no policy.

use std::net::SocketAddr;
use std::rc::Rc;

use crate::flow::{Flow, Limits, Tracker};
use crate::go::GoRun;
use crate::go::advice::GoVersion;
use crate::observation::body::Bodies;
use crate::observation::{
    Case, Connection, DnsTransport, End, Exchange, Gap, Handshake, Health, IcmpError, IpMark, Outcome, Recording,
    Segments,
};
use crate::observe::certificates::CertificatePool;
use crate::observe::connection::{connection, is_one_sided, unseen};
pub use crate::observe::conversation::KeyLog;
use crate::observe::conversation::{Conversation, Heading, Sinks, settle_outcome};
use crate::observe::dns::Lookups;
use crate::packet::{Decoder, Icmp, Packet, Tcp, Transport, Udp};
use crate::reference::Reference;
use crate::scope::{Owners, Scope};
use crate::source::{Frame, Record};
use crate::types::{Direction, FlowId, Moment, Timestamp};

/// Connections of others that are kept whole; ended ones beyond it lose their packets, and twice beyond it are counted only.
const OTHERS: usize = 8_192;
/// ICMP errors kept.
const ICMP_ERRORS: usize = 4_096;
/// Places kept of each limit of a recording.
const PLACES: usize = 16;

/// What to keep of a recording.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Keep the observations of all traffic, not only what is judged.
    pub keep_all: bool,
    /// Judge every connection and name.
    pub judge_all: bool,
}

/// Takes a recording's records one by one and makes a case of them.
pub struct Analyzer<'r> {
    reference: &'r Reference,
    go: GoRun,
    scope: Rc<Scope>,
    options: Options,
    decoder: Decoder,
    tracker: Tracker<Conversation>,
    lookups: Lookups<'r>,
    certificates: CertificatePool,
    connections: Vec<Connection>,
    handshakes: Vec<Handshake>,
    exchanges: Vec<Exchange>,
    icmp: Vec<IcmpError>,
    icmp_flows: Vec<(usize, FlowId)>,
    recording: Recording,
    health: Health,
    others: usize,
    keys: KeyLog,
    bodies: Option<Bodies>,
    owners: Owners,
}

impl<'r> Analyzer<'r> {
    /// An analyzer for one run of go.
    #[must_use]
    pub fn new(reference: &'r Reference, go: GoRun, options: Options) -> Self {
        let scope = Rc::new(Scope::new(reference, &go, options.judge_all));
        let judged = Rc::clone(&scope);
        Self {
            reference,
            go,
            scope,
            options,
            decoder: Decoder::new(),
            tracker: Tracker::new(Limits::default()),
            lookups: Lookups::new(options.keep_all, move |name| judged.base_name(reference, name).is_some()),
            certificates: CertificatePool::default(),
            connections: Vec::new(),
            handshakes: Vec::new(),
            exchanges: Vec::new(),
            icmp: Vec::new(),
            icmp_flows: Vec::new(),
            recording: Recording::default(),
            health: Health::default(),
            others: 0,
            keys: KeyLog::default(),
            bodies: None,
            owners: Owners::default(),
        }
    }

    /// With secrets that open TLS. They must be given before the first frame.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyLog) -> Self {
        self.keys = keys;
        self
    }

    /// With somebody who takes the bodies of answers as they arrive, judged or not.
    #[must_use]
    pub fn with_bodies(mut self, bodies: Bodies) -> Self {
        self.bodies = Some(bodies);
        self
    }

    /// With what is known of who owns which connection.
    #[must_use]
    pub fn with_owners(mut self, owners: Owners) -> Self {
        self.owners = owners;
        self
    }

    /// Takes one record. Frames must come in the order of the recording.
    pub fn push(&mut self, record: &Record<'_>) {
        if let Record::Frame(frame) = record {
            self.frame(frame);
        }
    }

    /// Ends the recording. The figures that only the reader of the files knows are given with it.
    #[must_use]
    pub fn finish(mut self, files: Recording, damage: Vec<String>, damaged: u64) -> Case {
        for flow in self.tracker.finish() {
            self.end_flow(*flow);
        }
        let dns = self.lookups.finish();
        self.recording.dropped = files.dropped;
        self.recording.stopped = files.stopped;
        self.recording.link_types = files.link_types;
        self.recording.paths = files.paths;
        self.recording.flows = self.tracker.count();
        self.health.unread = self.decoder.unread();
        self.health.damage = damage;
        self.health.damaged = damaged;
        self.health.duplicates += dns.duplicates;
        self.health.cut_messages.extend(dns.cut.into_iter().take(PLACES));
        self.health.first_duplicate = self.health.first_duplicate.into_iter().chain(dns.first_duplicate).min();
        self.health.not_kept += dns.not_kept;
        self.connections.sort_by_key(|connection| connection.flow);
        self.handshakes.sort_by_key(|handshake| handshake.flow);
        let exchanges = in_order(self.exchanges, &mut self.handshakes);
        let mut case = Case {
            recording: self.recording,
            health: self.health,
            lookups: dns.lookups,
            resolvers: dns.resolvers,
            connections: self.connections,
            handshakes: self.handshakes,
            exchanges,
            artifacts: Vec::new(),
            icmp: self.icmp,
            certificates: self.certificates.into_certificates(),
            probes: Vec::new(),
            go: self.go,
        };
        for (index, flow) in self.icmp_flows {
            if let Ok(place) = case.connections.binary_search_by_key(&flow, |connection| connection.flow)
                && let Some(connection) = case.connections.get_mut(place)
            {
                connection.icmp.push(index);
            }
        }
        tie_tunnels(&mut case);
        if case.go.version.is_none() {
            let hellos = case.handshakes.iter().filter_map(|handshake| handshake.hello.as_ref());
            case.go.version = hellos.filter_map(|hello| hello.go).find_map(GoVersion::parse);
        }
        self.scope.mark(&mut case, self.reference, &self.owners);
        case
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        let at = Moment { time: frame.time, frame: frame.no };
        self.recording.packets += 1;
        self.recording.bytes += u64::from(frame.original_length);
        self.recording.first = Some(self.recording.first.map_or(frame.time, |first: Timestamp| first.min(frame.time)));
        self.recording.last = Some(self.recording.last.map_or(frame.time, |last: Timestamp| last.max(frame.time)));
        if frame.bytes.len() < usize::try_from(frame.original_length).unwrap_or(usize::MAX) {
            self.health.cut_frames += 1;
        }
        let Some(packet) = self.decoder.decode(frame) else { return };
        let Packet { ip, transport, .. } = packet;
        let mark = IpMark { ttl: ip.ttl, id: ip.id, dont_fragment: ip.dont_fragment };
        match transport {
            Transport::Tcp(tcp) => {
                // The borrow of the decoder's packet ends before the flow's own work begins.
                segment(
                    &mut self.tracker,
                    &mut Sinks {
                        certificates: &mut self.certificates,
                        lookups: &mut self.lookups,
                        keys: &self.keys,
                        bodies: self.bodies.as_ref(),
                    },
                    &mut self.health,
                    at,
                    &ip,
                    &tcp,
                );
                for flow in self.tracker.take_ended() {
                    self.end_flow(*flow);
                }
            }
            Transport::Udp(udp) => {
                datagram(&mut self.lookups, &mut self.health, at, mark, (ip.source, ip.destination), &udp);
            }
            Transport::Icmp(Icmp { kind, quoted: Some(quoted) }) => {
                let error = IcmpError { at, from: ip.source, to: ip.destination, ip: mark, kind, quoted };
                self.icmp_error(error);
            }
            Transport::Icmp(_) | Transport::Other => {}
        }
    }

    fn icmp_error(&mut self, error: IcmpError) {
        if error.quoted.has_header && error.quoted.protocol == 6 {
            self.tracker.quoted(error.quoted.source, error.quoted.destination);
        }
        if self.icmp.len() >= ICMP_ERRORS {
            self.health.not_kept += 1;
            return;
        }
        let index = self.icmp.len();
        match error.quoted.protocol {
            6 => {
                if let Some(flow) = self.tracker.between(error.quoted.source, error.quoted.destination) {
                    self.icmp_flows.push((index, flow.id));
                }
            }
            17 => self.lookups.icmp(index, &error),
            _ => {}
        }
        self.icmp.push(error);
    }

    /// A connection is over, or the recording is: what was seen of it becomes facts.
    fn end_flow(&mut self, mut flow: Flow<Conversation>) {
        let (id, last) = (flow.id, flow.last);
        for direction in [Direction::ToServer, Direction::ToClient] {
            let pieces = flow.streams.of_mut(direction).flush(last).into_vec();
            let ip = IpMark { ttl: 0, id: 0, dont_fragment: false };
            let heading = Heading { flow: id, client: flow.client, server: flow.server, direction, ip };
            let mut sinks = Sinks {
                certificates: &mut self.certificates,
                lookups: &mut self.lookups,
                keys: &self.keys,
                bodies: self.bodies.as_ref(),
            };
            for piece in &pieces {
                flow.state.piece(&heading, piece, &mut sinks);
            }
            if *flow.packets.of(direction) == 0 {
                flow.state.unrecorded(&heading, last, &mut sinks);
            }
        }
        // Inside TLS only who closes first cuts something short; a client that leaves does not want the rest.
        let (client, server) = (&flow.streams.to_server.fin, &flow.streams.to_client.fin);
        let (client, server) = (client.map(|(_, at)| at), server.map(|(_, at)| at));
        let server = server.filter(|at| client.is_none_or(|client| *at <= client));
        for (direction, at) in [(Direction::ToClient, server), (Direction::ToServer, client)] {
            let ip = IpMark { ttl: 0, id: 0, dont_fragment: false };
            let heading = Heading { flow: id, client: flow.client, server: flow.server, direction, ip };
            if let Some(at) = at {
                flow.state.closed_inside(&heading, at);
            }
        }
        for direction in [Direction::ToServer, Direction::ToClient] {
            if flow.streams.of(direction).fin.is_some() {
                flow.state.closed(direction, last);
            }
        }
        self.note_limits(&flow);
        let veils = (unseen(&flow, Direction::ToServer), unseen(&flow, Direction::ToClient));
        let (mut connection, conversation) = connection(flow);
        let heard = conversation.finish(id, last, |direction| match direction {
            Direction::ToServer => veils.0,
            Direction::ToClient => veils.1,
        });
        self.health.wrong_secrets += heard.wrong_secrets;
        let mut handshakes = heard.handshakes;
        settle_outcome(&mut handshakes, &connection);
        let mut handshakes: Vec<Handshake> = handshakes.into_iter().map(|heard| heard.handshake).collect();
        if !self.keeps(&mut connection, &handshakes, &heard.exchanges) {
            self.health.not_kept += 1;
            return;
        }
        for handshake in &mut handshakes {
            handshake.tunnel = handshake.tunnel.map(|index| index + self.exchanges.len());
        }
        self.connections.push(connection);
        self.exchanges.extend(heard.exchanges);
        self.handshakes.extend(handshakes);
    }

    /// Whether a connection stays in the case. Others' beyond a measure do not, and lose their packets first.
    fn keeps(&mut self, connection: &mut Connection, handshakes: &[Handshake], exchanges: &[Exchange]) -> bool {
        let judged = |name: &str| self.scope.judges(self.reference, name);
        let named = handshakes.iter().filter_map(|handshake| handshake.server_name.seen()).any(|name| judged(name));
        let asked = exchanges.iter().filter_map(Exchange::host).any(judged);
        let clean =
            connection.end == End::Closed && handshakes.iter().all(|handshake| handshake.outcome == Outcome::Completed);
        let own = self.owners.are_of(connection, handshakes);
        if named || asked || own {
            self.others += usize::from(clean);
        } else {
            self.others += 1;
            if self.others > 2 * OTHERS && !self.options.keep_all {
                return false;
            }
        }
        // The packets of what went well and nobody asked about, or of the many thousandth success, tell nothing more.
        if clean && (self.others > OTHERS || !(named || asked || own)) {
            connection.segments = Segments::default();
        }
        true
    }

    fn note_limits(&mut self, flow: &Flow<Conversation>) {
        let health = &mut self.health;
        health.data_segments += u64::from(flow.data_segments);
        let midstream = flow.syns.is_empty() && flow.syn_ack.is_none();
        if midstream && flow.data_segments > 0 && health.midstream.len() < PLACES {
            health.midstream.push(flow.first);
        }
        if is_one_sided(flow) {
            if health.one_sided.len() < PLACES {
                health.one_sided.push(flow.first);
            }
        } else if flow.packets.to_server > 0 && flow.packets.to_client > 0 {
            health.two_sided += 1;
            for stream in [&flow.streams.to_server, &flow.streams.to_client] {
                // What was on its way when the recording began is not lost by it.
                let earlier = |gap: &&Gap| midstream && gap.offset == 0;
                let known = stream.gaps.iter().filter(|gap| gap.acknowledged && stream.carried_data);
                health.lost += u64::from(stream.lost).saturating_sub(known.clone().filter(earlier).count() as u64);
                let losses = known.filter(|gap| !earlier(gap)).map(|gap| gap.at);
                let room = PLACES.saturating_sub(health.losses.len());
                health.losses.extend(losses.take(room));
            }
        }
        if let Some(at) = flow.state.cut.filter(|_| health.cut_messages.len() < PLACES) {
            health.cut_messages.push(at);
        }
    }
}

/// A TCP segment finds its connection, and what it sets free its reader.
fn segment(
    tracker: &mut Tracker<Conversation>,
    sinks: &mut Sinks<'_, '_>,
    health: &mut Health,
    at: Moment,
    ip: &crate::packet::Ip,
    tcp: &Tcp<'_>,
) {
    let Some(step) = tracker.push(at, ip, tcp) else { return };
    if step.duplicate {
        health.duplicates += 1;
        health.first_duplicate.get_or_insert(at);
        return;
    }
    let flow = step.flow;
    let mark = IpMark { ttl: ip.ttl, id: ip.id, dont_fragment: ip.dont_fragment };
    let heading =
        Heading { flow: flow.id, client: flow.client, server: flow.server, direction: step.direction, ip: mark };
    let mut wanted = true;
    for piece in step.pieces {
        wanted = flow.state.piece(&heading, &piece, sinks);
    }
    if !wanted {
        flow.streams.to_server.stop_reading();
        flow.streams.to_client.stop_reading();
    }
}

fn datagram(
    lookups: &mut Lookups<'_>,
    health: &mut Health,
    at: Moment,
    mark: IpMark,
    (source, destination): (std::net::IpAddr, std::net::IpAddr),
    udp: &Udp<'_>,
) {
    if udp.source_port != 53 && udp.destination_port != 53 {
        return;
    }
    let cut = u64::from(udp.declared) > udp.payload.len() as u64;
    if cut && health.cut_messages.len() < PLACES {
        health.cut_messages.push(at);
    }
    let (source, destination) =
        (SocketAddr::new(source, udp.source_port), SocketAddr::new(destination, udp.destination_port));
    lookups.message(at, mark, source, destination, DnsTransport::Udp, None, udp.payload, cut);
}

/// The exchanges in the order of their first frame. The handshakes that count in them go along.
fn in_order(exchanges: Vec<Exchange>, handshakes: &mut [Handshake]) -> Vec<Exchange> {
    let mut exchanges: Vec<(usize, Exchange)> = exchanges.into_iter().enumerate().collect();
    exchanges.sort_by_key(|(_, exchange)| (exchange.request.or(exchange.response), exchange.flow));
    let mut places = vec![0; exchanges.len()];
    for (place, (index, _)) in exchanges.iter().enumerate() {
        if let Some(new) = places.get_mut(*index) {
            *new = place;
        }
    }
    for handshake in handshakes {
        handshake.tunnel = handshake.tunnel.and_then(|index| places.get(index).copied());
    }
    exchanges.into_iter().map(|(_, exchange)| exchange).collect()
}

/// Ties each connection through a proxy to the request that opened its tunnel.
fn tie_tunnels(case: &mut Case) {
    for (index, exchange) in case.exchanges.iter().enumerate() {
        if exchange.is_connect()
            && let Ok(place) = case.connections.binary_search_by_key(&exchange.flow, |connection| connection.flow)
            && let Some(connection) = case.connections.get_mut(place)
        {
            connection.tunnel = Some(index);
        }
    }
}
