//! What became of a connection that was opened for the sake of its first bytes: go's own `ClientHello`, or one that differs from
//! it in a single property.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::Part;
use crate::types::Span;

/// How the first bytes of an attempt differ from what go sends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Shape {
    /// Not at all: one record, as the system cuts it into segments.
    Go,
    /// No post-quantum key share and groups.
    WithoutPostQuantum,
    /// No ML-DSA among the signature algorithms.
    WithoutMlDsa,
    /// The small hello of go 1.22.
    Classic,
    /// Two TLS records, cut within the server name.
    TwoRecords,
    /// A small first segment, cut within the server name.
    TwoSegments,
    /// Bytes that are no TLS.
    NotTls,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Go => "go's own ClientHello",
            Self::WithoutPostQuantum => "go's ClientHello without post-quantum key share",
            Self::WithoutMlDsa => "go's ClientHello without ML-DSA",
            Self::Classic => "the small ClientHello of go 1.22",
            Self::TwoRecords => "go's ClientHello in two records",
            Self::TwoSegments => "go's ClientHello with a small first segment",
            Self::NotTls => "bytes that are no TLS",
        })
    }
}

/// Whose address an attempt goes to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Place {
    /// The one that go would take for the name.
    Own,
    /// Another of the name's.
    Other,
    /// The control name's own server, which has nothing to do with the name.
    Neutral,
}

/// What an attempt sends, where to and how.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Aim {
    /// The name in question, whatever name is sent.
    pub about: String,
    /// Where.
    pub address: SocketAddr,
    /// Whose address that is.
    pub place: Place,
    /// The server name; `None` for a hello without one.
    pub name: Option<String>,
    /// The name in question, or one that nobody has a reason to touch.
    pub part: Part,
    /// The first bytes.
    pub shape: Shape,
    /// The largest TCP segment, where it is made smaller than the link's.
    pub max_segment: Option<u16>,
    /// After how many hops the first bytes expire. The TCP handshake before them goes all the way.
    pub ttl: Option<u8>,
    /// Resets and closes are hidden from the connection, so that it goes on after those that the server did not send.
    pub hides_ends: bool,
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.shape)?;
        match &self.name {
            Some(name) => write!(f, " for {name}")?,
            None if self.shape == Shape::NotTls => {}
            None => f.write_str(" without a name")?,
        }
        write!(f, " to {}", self.address)?;
        if let Some(segment) = self.max_segment {
            write!(f, " in segments of {segment} bytes at most")?;
        }
        if let Some(ttl) = self.ttl {
            write!(f, " with {ttl} hops to go")?;
        }
        if self.hides_ends {
            f.write_str(" with resets hidden")?;
        }
        Ok(())
    }
}

/// What an attempt came to. Times count from its first bytes, before these from its SYN.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Ending {
    /// A `ServerHello`, or the demand for another hello.
    Answered {
        /// When.
        after: Span,
    },
    /// A fatal alert instead.
    Alert {
        /// Its number (RFC 8446 §6.2).
        description: u8,
        /// When.
        after: Span,
    },
    /// RST.
    Reset {
        /// When.
        after: Span,
    },
    /// FIN, without a byte before it.
    Closed {
        /// When.
        after: Span,
    },
    /// Something that is no TLS.
    NotTls {
        /// The first bytes of it, 64 at most.
        head: Vec<u8>,
        /// When.
        after: Span,
    },
    /// Nothing came.
    Silent {
        /// For how long it was waited.
        after: Span,
    },
    /// No answer to SYN.
    Unanswered {
        /// For how long it was waited.
        after: Span,
    },
    /// RST to SYN.
    Refused {
        /// When.
        after: Span,
    },
    /// ICMP says that there is no way.
    Unreachable,
    /// This machine has no way there, or forbids it.
    Local(String),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { after } => write!(f, "ServerHello after {after}"),
            Self::Alert { description, after } => write!(f, "alert {description} after {after}"),
            Self::Reset { after } => write!(f, "reset after {after}"),
            Self::Closed { after } => write!(f, "closed after {after}"),
            Self::NotTls { after, .. } => write!(f, "something else than TLS after {after}"),
            Self::Silent { after } => write!(f, "silence for {after}"),
            Self::Unanswered { after } => write!(f, "no connection within {after}"),
            Self::Refused { after } => write!(f, "connection refused after {after}"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Local(why) => write!(f, "not sent: {why}"),
        }
    }
}

impl Ending {
    /// TCP did open.
    #[must_use]
    pub const fn connected(&self) -> bool {
        !matches!(self, Self::Unanswered { .. } | Self::Refused { .. } | Self::Unreachable | Self::Local(_))
    }

    /// A reset or a close, which may be forged.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        matches!(self, Self::Reset { .. } | Self::Closed { .. })
    }
}

/// An attempt and what it came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HelloAttempt {
    /// What was sent, where to.
    pub aim: Aim,
    /// Whose hello it is modelled on.
    pub go: String,
    /// Bytes sent.
    pub bytes: u32,
    /// How long TCP took to connect; `None` where it did not.
    pub connected: Option<Span>,
    /// How many of the bytes were acknowledged; `None` where this system does not tell.
    pub acknowledged: Option<u32>,
    /// Segments that were sent again.
    pub repeated: Option<u32>,
    /// ICMP said that the hops ran out.
    pub expired: bool,
    /// What it came to.
    pub ending: Ending,
}

impl HelloAttempt {
    /// The far end, whoever it is, took the hello and went on; or, for what is no TLS, said anything at all.
    #[must_use]
    pub const fn passed(&self) -> bool {
        match self.ending {
            Ending::Answered { .. } => true,
            Ending::Alert { .. } | Ending::NotTls { .. } => matches!(self.aim.shape, Shape::NotTls),
            _ => false,
        }
    }

    /// TCP opened, and the hello met nothing that speaks TLS.
    #[must_use]
    pub const fn stopped(&self) -> bool {
        match self.ending {
            Ending::Reset { .. } | Ending::Closed { .. } | Ending::Silent { .. } => true,
            Ending::NotTls { .. } => !matches!(self.aim.shape, Shape::NotTls),
            _ => false,
        }
    }

    /// It failed in a way that says something of the network or the far end.
    #[must_use]
    pub const fn failed(&self) -> bool {
        !self.passed() && !matches!(self.ending, Ending::Local(_))
    }

    /// All of its bytes arrived, as far as acknowledgements tell.
    #[must_use]
    pub fn all_acknowledged(&self) -> bool {
        self.acknowledged.is_some_and(|count| count >= self.bytes)
    }
}

/// The way to an address, found by SYNs that expire on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HopSweep {
    /// Where to.
    pub address: SocketAddr,
    /// What each number of hops came to, ascending.
    pub hops: Vec<Hop>,
}

/// What a SYN with so many hops to go came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hop {
    /// The number.
    pub ttl: u8,
    /// ICMP said that the hops ran out.
    pub expired: bool,
    /// Who said so, where this system tells.
    pub router: Option<IpAddr>,
    /// The far end answered, be it with a refusal.
    pub reached: bool,
}

impl fmt::Display for HelloAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.aim, self.ending)?;
        if let (Ending::Silent { .. }, Some(count)) = (&self.ending, self.acknowledged) {
            write!(f, ", {count} of {} bytes acknowledged", self.bytes)?;
        }
        f.write_str(if self.expired { ", and a router says that its hops ran out" } else { "" })
    }
}

impl Aim {
    /// Go's own hello, and nothing else about it changed.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.shape == Shape::Go && self.is_ordinary()
    }

    /// Sent as any connection sends, whatever its bytes.
    #[must_use]
    pub const fn is_ordinary(&self) -> bool {
        self.max_segment.is_none() && self.ttl.is_none() && !self.hides_ends
    }
}

impl HopSweep {
    /// How many hops away the far end is.
    #[must_use]
    pub fn distance(&self) -> Option<u8> {
        self.hops.iter().find(|hop| hop.reached).map(|hop| hop.ttl)
    }

    /// The router at a number of hops.
    #[must_use]
    pub fn router(&self, ttl: u8) -> Option<IpAddr> {
        self.hops.iter().find(|hop| hop.ttl == ttl)?.router
    }
}

impl fmt::Display for HopSweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the way to {}:", self.address)?;
        for hop in &self.hops {
            match hop.router {
                Some(router) => write!(f, " {} {router}", hop.ttl)?,
                None if hop.reached => write!(f, " {} reached", hop.ttl)?,
                None if hop.expired => write!(f, " {} ?", hop.ttl)?,
                None => write!(f, " {} -", hop.ttl)?,
            }
        }
        Ok(())
    }
}
