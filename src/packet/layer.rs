//! What the layers of a frame hand to each other.

use super::Ip;

/// How deep packets may lie in each other; what nests deeper is not opened.
pub(super) const DEPTH: u8 = 8;

/// One level deeper, while that is allowed.
pub(super) const fn deeper(depth: u8) -> Result<u8, Stop> {
    match depth.checked_sub(1) {
        Some(depth) => Ok(depth),
        None => Err(Stop::Malformed),
    }
}

/// Why a frame, or what lies in it, could not be read further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The link type is not known.
    UnknownLink,
    /// It carries no IP.
    NotIp,
    /// A header contradicts itself or what is around it.
    Malformed,
    /// A header goes on where the recorded bytes end.
    Short,
}

/// The bytes of one layer as far as they were recorded, and how many there were on the wire (at least as many).
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) wire: usize,
}

impl<'a> Layer<'a> {
    /// `wire` is what a header claims; a recording can hold more than it claims (padding that the caller keeps).
    #[inline]
    pub(super) fn new(bytes: &'a [u8], wire: usize) -> Self {
        Self { bytes, wire: wire.max(bytes.len()) }
    }

    /// Bytes that the recording does not hold.
    #[inline]
    pub(super) const fn missing(self) -> usize {
        self.wire.saturating_sub(self.bytes.len())
    }

    /// Why `needed` bytes are not there.
    #[cold]
    pub(super) const fn short(self, needed: usize) -> Stop {
        if needed > self.wire { Stop::Malformed } else { Stop::Short }
    }

    /// The first `N` bytes.
    #[inline]
    pub(super) fn head<const N: usize>(self) -> Result<&'a [u8; N], Stop> {
        self.bytes.first_chunk().ok_or_else(|| self.short(N))
    }

    /// The first `N` bytes and what follows them.
    #[inline]
    pub(super) fn split<const N: usize>(self) -> Result<(&'a [u8; N], Self), Stop> {
        match self.bytes.split_first_chunk() {
            Some((head, bytes)) => Ok((head, Self { bytes, wire: self.wire.saturating_sub(N) })),
            None => Err(self.short(N)),
        }
    }

    /// What follows the first `length` bytes.
    #[inline]
    pub(super) fn skip(self, length: usize) -> Result<Self, Stop> {
        match self.bytes.get(length..) {
            Some(bytes) => Ok(Self { bytes, wire: self.wire.saturating_sub(length) }),
            None => Err(self.short(length)),
        }
    }

    /// The layer as a header inside it declares its length: what lies behind is padding or a trailer.
    #[inline]
    pub(super) fn limit(self, declared: usize) -> Self {
        Self { bytes: self.bytes.get(..declared).unwrap_or(self.bytes), wire: declared }
    }
}

/// An IP packet, its headers read up to the transport.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram<'a> {
    pub(super) ip: Ip,
    /// IP protocol number of `body`.
    pub(super) protocol: u8,
    pub(super) body: Layer<'a>,
    /// What went wrong behind the IP header, to be counted.
    pub(super) trouble: Option<Stop>,
}

/// A part of an IP packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'a> {
    pub(super) ip: Ip,
    /// IP protocol number of what the whole packet carries; for IPv6 that of the first fragment counts.
    pub(super) protocol: u8,
    /// IPv4 or IPv6 identification.
    pub(super) id: u32,
    /// Where in the packet's payload it belongs, in bytes.
    pub(super) offset: usize,
    /// More fragments follow.
    pub(super) more: bool,
    pub(super) body: Layer<'a>,
    /// How much deeper its packet may nest.
    pub(super) depth: u8,
}

/// What the innermost IP header turned out to head.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'a> {
    /// A whole packet.
    Datagram(Datagram<'a>),
    /// A part of one.
    Fragment(Fragment<'a>),
}

/// The result of every layer.
pub(super) type Reading<'a> = Result<Found<'a>, Stop>;
