//! The facts: what a recording shows, as plain data, before anything is concluded from it.
//!
//! The waist of the pipeline. Everything before it exists to write these types, everything after it only reads them.
//! "Absent" and "could not be seen" are different facts and have different types ([`Sighting`]).

mod alert;
pub mod artifact;
pub mod body;
mod dns;
mod marks;
pub mod probe;
mod recording;
mod sighting;
mod tls;

use std::net::{IpAddr, SocketAddr};

pub use alert::alert_name;
pub use dns::{Answer, DnsTransport, Lookup, Query, Record, RecordData, RecordType, ResolverFacts, Section};
pub use marks::{Early, Marks, TtlMark};
pub use recording::{Health, Recording};
pub use sighting::{Sighting, Veil};
pub use tls::{Alert, AlertContent, ClientHello, Handshake, NotTls, Outcome, ServerHello};

use crate::certificate::Certificate;
use crate::go::GoRun;
use crate::packet::{IcmpKind, Quoted, TcpFlags};
use crate::types::{Both, Direction, FlowId, Moment, Span};

/// All that is known of one run of the go command.
#[derive(Debug, Default)]
pub struct Case {
    /// What was recorded, in figures.
    pub recording: Recording,
    /// What the recording cannot show.
    pub health: Health,
    /// DNS questions with all answers to each, in the order of their first frame.
    pub lookups: Vec<Lookup>,
    /// Whom DNS questions went to, by address, lookups that are not kept included.
    pub resolvers: Vec<ResolverFacts>,
    /// TCP connections, by [`FlowId`].
    pub connections: Vec<Connection>,
    /// TLS handshakes, by [`FlowId`]; of one connection the outer ones first.
    pub handshakes: Vec<Handshake>,
    /// HTTP requests with their answers, CONNECT and SOCKS among them, in the order of their first frame.
    pub exchanges: Vec<Exchange>,
    /// Artifacts with all that they were held against.
    pub artifacts: Vec<artifact::Artifact>,
    /// ICMP errors.
    pub icmp: Vec<IcmpError>,
    /// Every certificate seen, once. [`CertificateId`] counts in here.
    pub certificates: Vec<Certificate>,
    /// What the network said when it was asked, in that order.
    pub probes: Vec<probe::Probe>,
    /// What go printed and how it was set up.
    pub go: GoRun,
}

/// Whether something belongs to the go command.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Relevance {
    /// Nothing ties it to go.
    #[default]
    Other,
    /// Its `ClientHello` looks like Go's: some Go program's, not necessarily the go command's.
    GoShaped,
    /// It names, or leads to, a host of Go, of the go log or of go's environment.
    Go,
}

/// The marks that an IP header leaves: they tell one sending stack from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IpMark {
    /// TTL or hop limit on arrival.
    pub ttl: u8,
    /// IPv4 identification.
    pub id: u16,
    /// "Don't fragment" was set.
    pub dont_fragment: bool,
}

/// A TCP connection, from its first packet to the end of the recording.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its number.
    pub flow: FlowId,
    /// Who opened it.
    pub client: SocketAddr,
    /// Who was called.
    pub server: SocketAddr,
    /// Its first packet.
    pub first: Moment,
    /// Its last packet.
    pub last: Moment,
    /// Packets each way, recorded duplicates left out.
    pub packets: Both<u32>,
    /// Bytes of each stream, retransmissions counted once; holes that were acknowledged are included.
    pub bytes: Both<u64>,
    /// How far the receiver acknowledged each stream, in bytes; `None` where it never did.
    pub acknowledged: Both<Option<u64>>,
    /// How it began.
    pub opening: Opening,
    /// How it ended.
    pub end: End,
    /// The first FIN of each side.
    pub fin: Both<Option<Moment>>,
    /// TTLs of each side's packets, resets left out, with how often each was seen; the commonest first.
    pub ttls: Both<Vec<(u8, u32)>>,
    /// Initial sequence number of each stream, where known.
    pub initial_seq: Both<Option<u32>>,
    /// Its packets: the first ones and the last ones.
    pub segments: Segments,
    /// Holes in the streams.
    pub gaps: Both<Vec<Gap>>,
    /// Segments sent again.
    pub retransmissions: Both<u32>,
    /// Different contents for the same sequence range.
    pub conflicts: Vec<Conflict>,
    /// ICMP errors about it: indices into [`Case::icmp`].
    pub icmp: Vec<usize>,
    /// Names that DNS, CONNECT, the reference or the go log tie to the address, best first.
    pub names: Vec<String>,
    /// Whether it is go's.
    pub relevance: Relevance,
    /// The proxy request that turns it, or was to turn it, into a tunnel: index into [`Case::exchanges`].
    pub tunnel: Option<usize>,
}

/// How a TCP connection began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// SYN and SYN-ACK were seen.
    Established {
        /// The SYN that was answered.
        syn: Moment,
        /// The answer.
        syn_ack: Moment,
        /// SYNs sent before the answer; more than one makes `rtt` unreliable.
        syns: u32,
    },
    /// SYNs and no answer of any kind.
    Unanswered {
        /// Each of them.
        syns: Vec<Moment>,
    },
    /// A reset answered the SYN.
    Refused {
        /// Each SYN.
        syns: Vec<Moment>,
        /// The reset.
        reset: Moment,
    },
    /// The start was not recorded, or one direction was not.
    Unseen(Veil),
}

/// How a TCP connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// FIN both ways, or a FIN and nothing that contradicts it.
    Closed,
    /// A reset that arrived at the other side as valid (RFC 5961: exactly the next sequence number).
    Reset {
        /// Where the reset travels to: [`Direction::ToClient`] when it claims to come from the server.
        direction: Direction,
        /// Where the reset stands.
        at: Moment,
    },
    /// No answer to the SYN.
    Unanswered,
    /// It was open when the recording ended.
    Open,
    /// It cannot be told.
    Unknown,
}

/// The first and the last packets of a connection. What lies between them is counted.
#[derive(Clone, Debug, Default)]
pub struct Segments {
    /// The first ones.
    pub head: Vec<Segment>,
    /// Packets between `head` and `tail` that were not kept.
    pub omitted: u64,
    /// The last ones, resets and whatever came around them among them.
    pub tail: Vec<Segment>,
}

impl Segments {
    /// All kept segments in order of arrival.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Segment> + Clone {
        self.head.iter().chain(self.tail.iter())
    }

    /// The kept segments of one direction.
    pub fn towards(&self, direction: Direction) -> impl DoubleEndedIterator<Item = &Segment> + Clone {
        self.iter().filter(move |segment| segment.direction == direction)
    }
}

/// One TCP packet, as far as it matters afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it stands.
    pub at: Moment,
    /// Which way it went.
    pub direction: Direction,
    /// Its IP marks.
    pub ip: IpMark,
    /// The reserved IPv4 flag bit.
    pub reserved_bit: bool,
    /// TCP flags.
    pub flags: TcpFlags,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Window, not scaled.
    pub window: u16,
    /// Payload bytes, as declared.
    pub length: u32,
    /// It carries the timestamps option.
    pub timestamps: bool,
    /// Its first SACK block.
    pub sack: Option<(u32, u32)>,
    /// What it is to its stream.
    pub kind: SegmentKind,
}

/// What a segment is to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    /// It continues the stream, or carries no data.
    Regular,
    /// All of its data had been seen before.
    Retransmission,
    /// It lies beyond a hole.
    OutOfOrder,
    /// The same packet was recorded a second time.
    Duplicate,
}

/// A hole in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Offset from the stream's first byte.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// The receiver acknowledged it: the bytes arrived there and the recording lacks them. Otherwise they never arrived.
    pub acknowledged: bool,
    /// Where it was noticed.
    pub at: Moment,
}

/// Two different contents for the same sequence range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Which way the data went.
    pub direction: Direction,
    /// Offset of the first differing byte from the stream's first byte.
    pub offset: u64,
    /// The segment that came first, whose bytes the receiver took.
    pub first: Moment,
    /// Its IP marks.
    pub first_ip: IpMark,
    /// The segment that contradicts it.
    pub second: Moment,
    /// Its IP marks.
    pub second_ip: IpMark,
}

/// Counts in [`Case::certificates`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CertificateId(pub u32);

/// Protocol of an [`Exchange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpProtocol {
    /// HTTP/1.0 or 1.1, CONNECT among it.
    Http1,
    /// HTTP/2.
    Http2,
    /// SOCKS 4, 4a or 5, written as a CONNECT.
    Socks,
}

/// A request and its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The connection it runs in.
    pub flow: FlowId,
    /// Protocol.
    pub protocol: HttpProtocol,
    /// Method; empty when the request was not seen.
    pub method: String,
    /// Absolute URL; `host:port` for CONNECT. Never with user information.
    pub url: String,
    /// The request's first packet.
    pub request: Option<Moment>,
    /// The packet that completed the answer's head.
    pub response: Option<Moment>,
    /// The packet that completed the whole answer, its body included.
    pub completed: Option<Moment>,
    /// The request carried `Proxy-Authorization`, or a SOCKS user name: whether, never which.
    pub credentials_sent: bool,
    /// The request's `User-Agent`.
    pub user_agent: Option<String>,
    /// Status code; for SOCKS its reply code.
    pub status: Option<u16>,
    /// Reason phrase.
    pub reason: String,
    /// Headers of the answer that matter, names lower-case. No credentials.
    pub headers: Vec<(String, String)>,
    /// Bytes of the answer's body after transfer coding.
    pub body_bytes: u64,
    /// The body's first bytes, its content coding undone where that can be.
    pub body_head: Vec<u8>,
    /// They are still in the coding that the header `content-encoding` names.
    pub body_is_coded: bool,
    /// SHA-256 of the whole body.
    pub body_sha256: Option<[u8; 32]>,
    /// The answer was seen to its end.
    pub complete: bool,
    /// What went wrong in the protocol, in its own words.
    pub error: Option<String>,
}

impl Exchange {
    /// The first header of that (lower-case) name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The host that it asks, without a port.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().filter(|authority| !authority.is_empty())?;
        match authority.strip_prefix('[') {
            Some(literal) => literal.split_once(']').map(|(host, _)| host),
            None => Some(authority.rsplit_once(':').map_or(authority, |(host, _)| host)),
        }
    }

    /// Whether it asks a proxy for a tunnel.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.method == "CONNECT"
    }
}

/// An ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// Where it stands.
    pub at: Moment,
    /// Who sent it.
    pub from: IpAddr,
    /// To whom.
    pub to: IpAddr,
    /// Its IP marks.
    pub ip: IpMark,
    /// What it says.
    pub kind: IcmpKind,
    /// About which packet.
    pub quoted: Quoted,
}

impl Connection {
    /// Round-trip time of the opening, as seen where the recording was made; `None` when the SYN was sent more than once.
    #[must_use]
    pub const fn rtt(&self) -> Option<Span> {
        match self.opening {
            Opening::Established { syn, syn_ack, syns: 1 } => Some(syn_ack.time.since(syn.time)),
            _ => None,
        }
    }
}

impl Case {
    /// The connection of that number.
    #[must_use]
    pub fn connection(&self, flow: FlowId) -> Option<&Connection> {
        let index = self.connections.binary_search_by_key(&flow, |connection| connection.flow).ok()?;
        self.connections.get(index)
    }

    /// The TLS handshakes inside that connection, outer ones first.
    pub fn handshakes_in(&self, flow: FlowId) -> impl Iterator<Item = &Handshake> {
        let from = self.handshakes.partition_point(|handshake| handshake.flow < flow);
        self.handshakes.iter().skip(from).take_while(move |handshake| handshake.flow == flow)
    }

    /// The exchanges inside that connection.
    pub fn exchanges_in(&self, flow: FlowId) -> impl Iterator<Item = &Exchange> {
        self.exchanges.iter().filter(move |exchange| exchange.flow == flow)
    }

    /// A certificate by its id.
    #[must_use]
    pub fn certificate(&self, id: CertificateId) -> Option<&Certificate> {
        self.certificates.get(usize::try_from(id.0).ok()?)
    }
}
