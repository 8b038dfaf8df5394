//! What the network said when it was asked on purpose: questions and their answers, as plain data.
//!
//! Each is evidence of another kind than a frame: it shows what is the case now, not what happened then.

mod attempt;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

pub use attempt::{Aim, Ending, HelloAttempt, Hop, HopSweep, Place, Shape};

use super::{Record, RecordType, dns};
use crate::certificate::Certificate;
use crate::types::{Span, Timestamp};

/// Number of a probe within its case, from 1. Findings cite it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProbeId(pub u32);

/// One question to the network, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its number.
    pub id: ProbeId,
    /// When it was asked, by the clock of this machine.
    pub at: Timestamp,
    /// How long it took.
    pub took: Span,
    /// What was asked, and the answer.
    pub told: Told,
}

/// What was asked, and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Told {
    /// A name, asked of a resolver or of the zone's own servers.
    Name(NameAnswer),
    /// The certificates that an address shows for a name.
    Chain(PresentedChain),
    /// First bytes of go's, or nearly, and what an address made of them.
    Hello(HelloAttempt),
    /// The routers on the way to an address.
    Hops(HopSweep),
    /// The addresses that this machine's hosts file gives a name: they go before every resolver's.
    HostsFile {
        /// The name.
        name: String,
        /// Its addresses there.
        addresses: Vec<IpAddr>,
    },
    /// It was planned and not asked.
    Skipped {
        /// The question, as the plan prints it.
        question: String,
        /// Why not.
        why: Skip,
    },
}

/// Why a planned question was not asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Skip {
    /// The time or the packets that a run may take are used up.
    Budget,
    /// What was asked before has decided it.
    Decided,
    /// Nothing at all answers on this network.
    DeadNetwork,
    /// The answers so far say that the name is the network's own; strangers are not told of it.
    Private,
}

/// Who is asked about a name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Oracle {
    /// A resolver of resolv.conf, as go asks it.
    System,
    /// A public resolver that the rules hold to be honest, by its short name.
    Trusted(String),
    /// The same, for records whose DNSSEC signatures verify from the root's key on (RFC 4035); a reply without is none.
    Signed(String),
    /// The zone's own servers, found from the root.
    Authoritative,
    /// An address at which nothing serves names: whoever answers is on the way to it.
    Nobody,
}

/// How a DNS question travels when it is asked on purpose.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// In datagrams.
    Udp,
    /// Over TCP (RFC 7766).
    Tcp,
    /// DNS over TLS (RFC 7858), the resolver's certificate checked.
    Tls,
    /// DNS over HTTPS (RFC 8484), the resolver's certificate checked.
    Https,
}

impl Transport {
    /// Whether nobody on the way can write the answer.
    #[must_use]
    pub const fn is_authenticated(self) -> bool {
        matches!(self, Self::Tls | Self::Https)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Https => "HTTPS",
        })
    }
}

/// What part a question has in an experiment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Part {
    /// It is about the name in question.
    Target,
    /// It is about a name that nobody has a reason to touch.
    Control,
    /// It is about a name beside the target that does not exist.
    Sibling,
}

/// A question for the records of a name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NameQuestion {
    /// The name, lower-case, without trailing dot.
    pub name: String,
    /// What is asked for.
    pub record_type: RecordType,
    /// What it is asked for.
    pub part: Part,
    /// Who is asked.
    pub oracle: Oracle,
    /// Where. `None` for the zone's own servers, which are found on the way.
    pub server: Option<SocketAddr>,
    /// How.
    pub transport: Transport,
}

/// What came back for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAnswer {
    /// The question.
    pub question: NameQuestion,
    /// Every reply, in the order of arrival; the first is the one that a client takes. Over UDP the socket is kept open for
    /// a while after it.
    pub replies: Vec<Reply>,
    /// Why there is none, or why the exchange ended early.
    pub failure: Option<Failure>,
    /// Of questions to the zone's own servers: who referred to whom.
    pub path: Vec<Referral>,
}

/// One step from the root to the zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referral {
    /// Who was asked.
    pub server: SocketAddr,
    /// The zone that it referred to; that of the answer in the last step.
    pub zone: String,
}

/// A DNS message that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// How long after the question.
    pub after: Span,
    /// Who sent it.
    pub from: SocketAddr,
    /// Response code, extended bits of EDNS0 included.
    pub rcode: u16,
    /// AA: by an authority.
    pub authoritative: bool,
    /// TC: cut to fit a datagram.
    pub truncated: bool,
    /// AD: the resolver says that it verified DNSSEC signatures (RFC 4035 §3.2.3).
    pub authenticated: bool,
    /// It carried an OPT record.
    pub edns: bool,
    /// All records but OPT.
    pub records: Vec<Record>,
}

/// NOERROR (RFC 1035 §4.1.1).
pub const NOERROR: u16 = 0;
/// NXDOMAIN.
pub const NXDOMAIN: u16 = 3;

impl Reply {
    /// The addresses it gives, in its order.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        dns::addresses(&self.records)
    }

    /// The aliases it goes through.
    pub fn aliases(&self) -> impl Iterator<Item = &str> + '_ {
        dns::aliases(&self.records)
    }

    /// It says that there is no such name, or nothing of that type.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        self.rcode == NXDOMAIN || self.rcode == NOERROR && self.addresses().next().is_none()
    }
}

impl NameAnswer {
    /// The reply that a client takes.
    #[must_use]
    pub fn first(&self) -> Option<&Reply> {
        self.replies.first()
    }
}

/// What an address shows for a name when a TLS handshake is made with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentedChain {
    /// Where.
    pub address: SocketAddr,
    /// The server name that was asked for.
    pub name: String,
    /// The HTTP proxy that led there, as host and port; `None` for a connection of its own.
    pub via: Option<String>,
    /// How long TCP took to connect; `None` where it did not.
    pub connected: Option<Span>,
    /// The certificates, leaf first; empty where the handshake did not come to them.
    pub certificates: Vec<Certificate>,
    /// The server proved that it holds the leaf's key, which whoever copies a chain does not.
    pub holds_key: bool,
    /// `h2`, `http/1.1`, or nothing.
    pub alpn: Option<String>,
    /// Why the handshake did not end well.
    pub failure: Option<Failure>,
}

/// Why a question got no answer. A failed probe is an observation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// Nothing came.
    Timeout,
    /// RST to SYN, or ICMP "port unreachable".
    Refused,
    /// RST later.
    Reset,
    /// The other side closed.
    Closed,
    /// ICMP, or this machine's own routing table, says that there is no way.
    Unreachable,
    /// This machine forbids it.
    Forbidden,
    /// A fatal TLS alert, by its number.
    Alert(u8),
    /// The HTTP proxy gives no tunnel, with this status.
    ProxyStatus(u16),
    /// It does not speak TLS.
    NotTls,
    /// The resolver's own certificate is not for it.
    WrongServer(String),
    /// What came cannot be read.
    Malformed(String),
    /// Something else.
    Other(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no answer"),
            Self::Refused => f.write_str("refused"),
            Self::Reset => f.write_str("reset"),
            Self::Closed => f.write_str("closed by the other side"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Forbidden => f.write_str("forbidden by this machine"),
            Self::ProxyStatus(status) => write!(f, "the proxy answers {status}"),
            Self::Alert(number) => write!(f, "TLS alert {number}"),
            Self::NotTls => f.write_str("an answer that is not TLS"),
            Self::WrongServer(what) | Self::Malformed(what) | Self::Other(what) => f.write_str(what),
        }
    }
}

impl Probe {
    /// The answer about a name, if it is one.
    #[must_use]
    pub const fn name(&self) -> Option<&NameAnswer> {
        match &self.told {
            Told::Name(answer) => Some(answer),
            _ => None,
        }
    }

    /// What the hosts file says, if it is that.
    #[must_use]
    pub fn hosts_file(&self) -> Option<(&str, &[IpAddr])> {
        match &self.told {
            Told::HostsFile { name, addresses } => Some((name, addresses)),
            _ => None,
        }
    }

    /// The chain, if it is one.
    #[must_use]
    pub const fn chain(&self) -> Option<&PresentedChain> {
        match &self.told {
            Told::Chain(chain) => Some(chain),
            _ => None,
        }
    }

    /// The attempt with a hello, if it is one.
    #[must_use]
    pub const fn hello(&self) -> Option<&HelloAttempt> {
        match &self.told {
            Told::Hello(attempt) => Some(attempt),
            _ => None,
        }
    }

    /// The way to an address, if it is one.
    #[must_use]
    pub const fn hops(&self) -> Option<&HopSweep> {
        match &self.told {
            Told::Hops(sweep) => Some(sweep),
            _ => None,
        }
    }
}
