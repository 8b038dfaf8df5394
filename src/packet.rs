//! From one frame to one [`Packet`]: link layers, tunnels, IP and its fragments, TCP, UDP and ICMP headers.
//!
//! Decoding never fails. What cannot be read is counted in [`Unread`], and what could be read before that point is
//! used. A packet that an ICMP error quotes is no packet: it is only named in [`Quoted`].

#[cfg(test)]
mod build;
mod decoder;
mod fragments;
mod icmp;
mod ip;
mod layer;
mod link;
mod metadata;
mod transport;
mod tunnel;
mod udp_tunnel;
mod wifi;

use std::net::{IpAddr, SocketAddr};

pub use decoder::Decoder;

/// One IP packet as it travelled, tunnels removed, fragments put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What the innermost IP header says.
    pub ip: Ip,
    /// What it carries.
    pub transport: Transport<'a>,
    /// Bytes of the packet that the recording does not hold (snap length), 0 when it is whole.
    pub missing: u32,
}

/// The facts of an IP header that tell one sending stack from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// IPv4 time to live or IPv6 hop limit, as it arrived.
    pub ttl: u8,
    /// IPv4 identification; 0 for IPv6.
    pub id: u16,
    /// The IPv4 "don't fragment" flag; false for IPv6.
    pub dont_fragment: bool,
    /// The reserved IPv4 flag bit (RFC 791 demands zero).
    pub reserved_bit: bool,
}

/// What an IP packet carries. Payloads are slices of the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport<'a> {
    /// A TCP segment.
    Tcp(Tcp<'a>),
    /// A UDP datagram.
    Udp(Udp<'a>),
    /// An ICMP or `ICMPv6` message.
    Icmp(Icmp),
    /// Something else, or a header that could not be read whole.
    Other,
}

/// A TCP segment (RFC 9293 §3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcp<'a> {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number, whether or not the ACK flag is set.
    pub ack: u32,
    /// Flags, the three reserved bits and NS included.
    pub flags: TcpFlags,
    /// Window, not scaled.
    pub window: u16,
    /// The options that matter here.
    pub options: TcpOptions,
    /// The payload as far as it was recorded.
    pub payload: &'a [u8],
    /// The payload's length as the IP header declares it; more than `payload.len()` where the frame was cut.
    pub declared: u32,
}

/// The twelve bits after the data offset of a TCP header: three reserved ones, NS, CWR, ECE, URG, ACK, PSH, RST, SYN, FIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TcpFlags(pub u16);

impl TcpFlags {
    /// FIN: no more data from the sender.
    pub const FIN: u16 = 0x001;
    /// SYN: the connection's first segment.
    pub const SYN: u16 = 0x002;
    /// RST: reset.
    pub const RST: u16 = 0x004;
    /// PSH: push.
    pub const PSH: u16 = 0x008;
    /// ACK: the acknowledgement number counts.
    pub const ACK: u16 = 0x010;
    /// The reserved bits.
    pub const RESERVED: u16 = 0xe00;

    /// Whether all of `bits` are set.
    #[must_use]
    pub const fn has(self, bits: u16) -> bool {
        self.0 & bits == bits
    }

    /// FIN is set.
    #[must_use]
    pub const fn fin(self) -> bool {
        self.has(Self::FIN)
    }

    /// SYN is set.
    #[must_use]
    pub const fn syn(self) -> bool {
        self.has(Self::SYN)
    }

    /// RST is set.
    #[must_use]
    pub const fn rst(self) -> bool {
        self.has(Self::RST)
    }

    /// ACK is set.
    #[must_use]
    pub const fn ack(self) -> bool {
        self.has(Self::ACK)
    }
}

/// TCP options (RFC 9293 §3.2, RFC 7323, RFC 2018); `None` where the option is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TcpOptions {
    /// Maximum segment size.
    pub mss: Option<u16>,
    /// Window scale shift.
    pub window_scale: Option<u8>,
    /// SACK permitted.
    pub sack_permitted: bool,
    /// Timestamp value and echo reply.
    pub timestamps: Option<(u32, u32)>,
    /// The first SACK block: left and right edge.
    pub sack: Option<(u32, u32)>,
    /// The second SACK block; the first may be a duplicate SACK (RFC 2883).
    pub second_sack: Option<(u32, u32)>,
}

/// A UDP datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Udp<'a> {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// The payload as far as it was recorded.
    pub payload: &'a [u8],
    /// The payload's declared length.
    pub declared: u32,
}

/// An ICMP message of either version, by its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// What it says.
    pub kind: IcmpKind,
    /// The packet that it is about, where it quotes one.
    pub quoted: Option<Quoted>,
}

/// What an ICMP message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpKind {
    /// Nothing listens at that UDP port (ICMP 3/3, `ICMPv6` 1/4).
    PortUnreachable,
    /// A policy forbids it (ICMP 3/9, 3/10, 3/13, `ICMPv6` 1/1, 1/5, 1/6).
    Prohibited,
    /// The network or host cannot be reached (other codes of ICMP 3 and `ICMPv6` 1).
    Unreachable,
    /// Too big and not to be fragmented; the next hop's MTU (0 where an old router does not tell).
    TooBig {
        /// In bytes.
        mtu: u32,
    },
    /// The hop limit ran out.
    TimeExceeded,
    /// Anything else: type and code.
    Other {
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u8,
    },
}

/// The head of a packet quoted inside an ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// IP protocol number of the quoted packet.
    pub protocol: u8,
    /// Its sender; port 0 where the ports were not quoted.
    pub source: SocketAddr,
    /// Its destination; port 0 where the ports were not quoted.
    pub destination: SocketAddr,
    /// Its TCP sequence number.
    pub seq: Option<u32>,
    /// So much of a TCP header was quoted that Wireshark takes it for a segment of its stream (16 bytes).
    pub has_header: bool,
    /// The DNS message id, when it was a UDP datagram from or to port 53 and that much was quoted.
    pub dns_id: Option<u16>,
}

/// What could not be read, and why. All counts are of frames or packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Unread {
    /// Frames of a link type that goprobe does not know.
    pub unknown_link: u64,
    /// Frames that carry no IP (ARP, STP, …): nothing wrong with them.
    pub not_ip: u64,
    /// Headers that contradict themselves or end too early though the frame was not cut.
    pub malformed: u64,
    /// Headers that the snap length cut.
    pub truncated: u64,
    /// Fragments whose packet never became whole.
    pub fragments: u64,
}
