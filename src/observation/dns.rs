//! Questions to DNS, the answers to each, and who answers.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{IpMark, Relevance};
use crate::types::{FlowId, Moment, Span};

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
    /// An ICMP error that quotes the question: index into [`super::Case::icmp`].
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
        addresses(&self.records)
    }

    /// The aliases it goes through.
    pub fn aliases(&self) -> impl Iterator<Item = &str> + '_ {
        aliases(&self.records)
    }
}

/// The addresses in the answer section, in its order.
pub(super) fn addresses(records: &[Record]) -> impl Iterator<Item = IpAddr> + '_ {
    records.iter().filter(|record| record.section == Section::Answer).filter_map(|record| match record.data {
        RecordData::A(address) => Some(IpAddr::V4(address)),
        RecordData::Aaaa(address) => Some(IpAddr::V6(address)),
        RecordData::Name(_) | RecordData::Other(_) => None,
    })
}

/// What the aliases lead to.
pub(super) fn aliases(records: &[Record]) -> impl Iterator<Item = &str> + '_ {
    records.iter().filter(|record| record.record_type == RecordType::CNAME).filter_map(|record| match &record.data {
        RecordData::Name(target) => Some(target.as_str()),
        _ => None,
    })
}
