//! The facts: what a recording shows, as plain data, before anything is concluded from it.
//!
//! The waist of the pipeline. Everything before it exists to write these types, everything after it only reads them.
//! "Absent" and "could not be seen" are different facts and have different types ([`Sighting`]).

mod alert;
pub mod artifact;
pub mod body;
mod marks;
mod sighting;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub use alert::alert_name;
pub use marks::{Early, Marks, TtlMark};
pub use sighting::{Sighting, Veil};

use crate::certificate::Certificate;
use crate::go::GoRun;
use crate::packet::{IcmpKind, Quoted, TcpFlags, Unread};
use crate::types::{Both, Direction, FlowId, Moment, Span, Timestamp};

/// All that is known of one run of the go command.
#[derive(Debug)]
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
    /// What go printed and how it was set up.
    pub go: GoRun,
}

/// A recording in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// Frames read.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Time of the earliest frame.
    pub first: Option<Timestamp>,
    /// Time of the latest frame.
    pub last: Option<Timestamp>,
    /// When the recorder stopped, where that is known.
    pub stopped: Option<Timestamp>,
    /// Frames that the recorder says it lost.
    pub dropped: u64,
    /// Link types, by LINKTYPE name, in the order they were met.
    pub link_types: Vec<String>,
    /// The inputs, as they were named.
    pub paths: Vec<String>,
    /// TCP connections seen, whether or not they are kept in the case.
    pub flows: u32,
}

impl Recording {
    /// Until when there would have been frames, had there been something to record.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        self.last.map(|last| self.stopped.map_or(last, |stopped| stopped.max(last)))
    }
}

/// What the recording cannot show. Every list is bounded; the counts are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// What the decoders could not read.
    pub unread: Unread,
    /// Blocks or packets that cannot be read, described; at most a few.
    pub damage: Vec<String>,
    /// How many there were.
    pub damaged: u64,
    /// Frames cut by the snap length.
    pub cut_frames: u64,
    /// Messages that matter and that the snap length cut: where each continues.
    pub cut_messages: Vec<Moment>,
    /// Holes in streams that the receiver acknowledged though the recording does not hold the bytes: where each was noticed.
    pub losses: Vec<Moment>,
    /// How many such holes there were.
    pub lost: u64,
    /// Segments carrying data, as the measure for `lost`.
    pub data_segments: u64,
    /// Packets recorded twice, dropped before judging.
    pub duplicates: u64,
    /// The first of them.
    pub first_duplicate: Option<Moment>,
    /// Connections without their start.
    pub midstream: Vec<Moment>,
    /// Connections of which one direction alone was recorded, of those that carried data.
    pub one_sided: Vec<Moment>,
    /// Connections of which both directions were recorded.
    pub two_sided: u64,
    /// Connections and lookups that were counted but not kept, because there were too many.
    pub not_kept: u64,
    /// TLS sessions that a key log has secrets of which open none of their records.
    pub wrong_secrets: u64,
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

/// A DNS record type by number (IANA); shown as `A`, `AAAA`, `TYPE65`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RecordType(pub u16);

impl RecordType {
    /// An IPv4 address.
    pub const A: Self = Self(1);
    /// An IPv6 address.
    pub const AAAA: Self = Self(28);
    /// An alias.
    pub const CNAME: Self = Self(5);
    /// Start of authority.
    pub const SOA: Self = Self(6);
}

/// How a DNS message travelled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DnsTransport {
    /// In one datagram.
    Udp,
    /// In a TCP stream.
    Tcp,
}

/// A DNS question with all the answers it got. An answer to a question that was not seen is a lookup without `query`.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// The name, lower-case, without trailing dot; the root is empty.
    pub name: String,
    /// What was asked for.
    pub record_type: RecordType,
    /// Message id.
    pub id: u16,
    /// UDP or TCP.
    pub transport: DnsTransport,
    /// Who asked.
    pub client: SocketAddr,
    /// Who was asked.
    pub resolver: SocketAddr,
    /// The question, unless it was not recorded.
    pub query: Option<Query>,
    /// All answers, in order of arrival, recorded duplicates left out.
    pub answers: Vec<Answer>,
    /// The TCP connection that carried it.
    pub flow: Option<FlowId>,
    /// An ICMP error that quotes the question: index into [`Case::icmp`].
    pub error: Option<usize>,
    /// Whether go asked.
    pub relevance: Relevance,
}

/// A DNS question as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Where it stands.
    pub at: Moment,
    /// Its IP marks.
    pub ip: IpMark,
    /// It carried an EDNS0 OPT record.
    pub edns: bool,
    /// Times the very same question (id, ports) was sent again.
    pub repeats: u32,
}

/// A DNS answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Where it stands.
    pub at: Moment,
    /// Its IP marks.
    pub ip: IpMark,
    /// Response code, extended bits of EDNS0 included.
    pub rcode: u16,
    /// AA: by an authority.
    pub authoritative: bool,
    /// RA: by a resolver that recurses.
    pub recursion_available: bool,
    /// TC: cut to fit a datagram.
    pub truncated: bool,
    /// It carried an OPT record.
    pub edns: bool,
    /// It repeats the question (go ignores answers that do not).
    pub has_question: bool,
    /// All records but OPT.
    pub records: Vec<Record>,
    /// Bytes of the message.
    pub length: u32,
    /// The client's host answered it with ICMP "port unreachable": the socket was closed, it came too late.
    pub refused: Option<Moment>,
    /// The message could not be parsed to its end.
    pub malformed: bool,
}

/// One resolver over all questions that it got, kept or not: the measure for a single answer of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverFacts {
    /// Its address and port.
    pub address: SocketAddr,
    /// Questions sent to it, repetitions left out.
    pub questions: u64,
    /// Those that got an answer.
    pub answered: u64,
    /// All answers from it, those to unseen questions included.
    pub answers: u64,
    /// Answers to questions that carried an OPT record.
    pub edns_asked: u64,
    /// Those of them that carried one, too.
    pub edns_answers: u64,
    /// Shortest time from a question, sent once, to its first answer. A forged answer can be the shortest.
    pub min_rtt: Option<Span>,
    /// TTLs or hop limits that its answers arrived with, and how often.
    pub ttls: BTreeMap<u8, u64>,
    /// Its response codes, and how often.
    pub rcodes: BTreeMap<u16, u64>,
    /// The first packet from or to it.
    pub first: Moment,
    /// The last one.
    pub last: Moment,
}

/// Section of a DNS message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Section {
    /// The answer itself.
    Answer,
    /// Authority: SOA of a negative answer, referrals.
    Authority,
    /// Additional records.
    Additional,
}

/// A DNS record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where in the message.
    pub section: Section,
    /// Owner name, lower-case, without trailing dot.
    pub name: String,
    /// Type.
    pub record_type: RecordType,
    /// Seconds to live.
    pub ttl: u32,
    /// Content.
    pub data: RecordData,
}

/// Content of a DNS record, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordData {
    /// A record.
    A(Ipv4Addr),
    /// AAAA record.
    Aaaa(Ipv6Addr),
    /// CNAME, NS, PTR, DNAME: the target, lower-case, without trailing dot.
    Name(String),
    /// Anything else, in presentation format.
    Other(String),
}

impl ResolverFacts {
    /// The TTL that its answers usually arrive with; `None` where there are too few to tell, or no clear majority.
    #[must_use]
    pub fn usual_ttl(&self) -> Option<u8> {
        let (ttl, count) = self.ttls.iter().max_by_key(|(_, count)| **count)?;
        let all: u64 = self.ttls.values().sum();
        (count * 2 > all).then_some(*ttl)
    }
}

impl Answer {
    /// The addresses it gives, in its order.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.records.iter().filter(|record| record.section == Section::Answer).filter_map(|record| match record.data {
            RecordData::A(address) => Some(IpAddr::V4(address)),
            RecordData::Aaaa(address) => Some(IpAddr::V6(address)),
            RecordData::Name(_) | RecordData::Other(_) => None,
        })
    }

    /// The aliases it goes through.
    pub fn aliases(&self) -> impl Iterator<Item = &str> + '_ {
        self.records.iter().filter(|record| record.record_type == RecordType::CNAME).filter_map(|record| match &record
            .data
        {
            RecordData::Name(target) => Some(target.as_str()),
            _ => None,
        })
    }
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

/// A TLS handshake as far as it is visible.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The connection it runs in.
    pub flow: FlowId,
    /// In how many other TLS sessions it runs: 0 where the network sees it.
    pub layer: u8,
    /// The proxy request whose tunnel it runs in: index into [`Case::exchanges`]. Without one, its far end is the
    /// connection's.
    pub tunnel: Option<usize>,
    /// The name that the client asked for, lower-case.
    pub server_name: Sighting<String>,
    /// What the client offered.
    pub hello: Option<ClientHello>,
    /// The second hello after a `HelloRetryRequest`.
    pub retry: Option<Moment>,
    /// What the server chose.
    pub server_hello: Option<ServerHello>,
    /// The server's certificates as they were sent, leaf first.
    pub certificates: Sighting<Vec<CertificateId>>,
    /// The packet that completed the certificates.
    pub certificates_at: Option<Moment>,
    /// Alerts that can be read, and records that are alerts by their length.
    pub alerts: Vec<Alert>,
    /// What came instead of a TLS record, first bytes of it.
    pub not_tls: Option<NotTls>,
    /// The first encrypted records that the client sent after the `ServerHello`: lengths of their payloads.
    pub client_records: Vec<(Moment, u16)>,
    /// The last record of the server is not complete: more of it was to come.
    pub record_open: bool,
    /// How it went.
    pub outcome: Outcome,
    /// Its records could be decrypted.
    pub decrypted: bool,
}

/// A `ClientHello` (RFC 8446 §4.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The packet that completed it, or the last that carried a part of it.
    pub at: Moment,
    /// The packet that it starts in.
    pub started: Moment,
    /// Bytes of its records, headers included; as far as it came when it is not complete.
    pub bytes: u32,
    /// TCP segments that it took.
    pub segments: u32,
    /// All of it was seen.
    pub complete: bool,
    /// `legacy_version` of the message.
    pub legacy_version: u16,
    /// Client random.
    pub random: [u8; 32],
    /// Application protocols offered.
    pub alpn: Vec<String>,
    /// Versions offered (`supported_versions`, else the legacy version).
    pub versions: Vec<u16>,
    /// Cipher suites offered.
    pub cipher_suites: Vec<u16>,
    /// Extension types in the order sent.
    pub extensions: Vec<u16>,
    /// Groups offered.
    pub groups: Vec<u16>,
    /// Key shares: group and length.
    pub key_shares: Vec<(u16, u16)>,
    /// Signature algorithms.
    pub signature_algorithms: Vec<u16>,
    /// It offers a pre-shared key or a session ticket with content: a resumption.
    pub resumes: bool,
    /// The Go versions whose `crypto/tls` writes this hello, e.g. `1.27`.
    pub go: Option<&'static str>,
}

/// A `ServerHello` (RFC 8446 §4.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// The packet that completed it.
    pub at: Moment,
    /// The version chosen.
    pub version: u16,
    /// The cipher suite chosen.
    pub cipher_suite: u16,
    /// The application protocol, where it is in clear (TLS 1.2).
    pub alpn: Option<String>,
    /// The server resumed a session: there is no certificate to expect.
    pub resumed: bool,
}

/// An alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Where it stands.
    pub at: Moment,
    /// Who sent it: [`Direction::ToServer`] is the client's.
    pub direction: Direction,
    /// Level and description, unless it is encrypted.
    pub content: Option<AlertContent>,
}

/// A readable alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertContent {
    /// 2 is fatal.
    pub level: u8,
    /// RFC 8446 §6.
    pub description: u8,
}

/// What came instead of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTls {
    /// Where it stands.
    pub at: Moment,
    /// Its first bytes.
    pub head: Vec<u8>,
}

/// How a TLS handshake went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client finished it, as far as can be seen.
    Completed,
    /// The client gave up after the server's flight: an alert of its own, or what must be one.
    RejectedByClient,
    /// An alert from the server's side.
    Alert,
    /// A reset.
    Reset,
    /// The server's side closed the connection.
    Closed,
    /// Nothing came back.
    Unanswered,
    /// Something else than TLS came back.
    NotTls,
    /// It stopped half way, or cannot be seen to its end.
    Incomplete,
}

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
