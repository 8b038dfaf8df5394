//! Link layers: what a frame's link type says its first bytes are (the LINKTYPE_ values of the tcpdump registry).

use super::layer::{DEPTH, Layer, Reading, Stop, deeper};
use super::{ip, metadata, tunnel, wifi};

/// Reads a frame of link type `link`.
#[inline]
pub(super) fn read(link: u16, layer: Layer<'_>) -> Reading<'_> {
    match link {
        1 => ethernet(layer, DEPTH),
        _ => other(link, layer, DEPTH),
    }
}

/// Reads a frame of any link type, which may stand inside a header of the recorder.
pub(super) fn other(link: u16, layer: Layer<'_>, depth: u8) -> Reading<'_> {
    match link {
        // NULL, LOOP
        0 | 108 => loopback(layer, depth),
        // ETHERNET
        1 => ethernet(layer, depth),
        // IEEE802_5
        6 => token_ring(layer, depth),
        // SLIP: direction and 15 bytes for header compression
        8 => ip::any(layer.skip(16)?, depth),
        // PPP
        9 => ppp(layer, depth),
        // FDDI: frame control and two addresses
        10 => fddi(layer, depth),
        // RAW as some systems write it (12 and 14 are their DLT_RAW), RAW, IPV4, IPV6
        12 | 14 | 101 | 228 | 229 => ip::any(layer, depth),
        // PPP_HDLC
        50 => ppp_hdlc(layer, depth),
        // PPP_ETHER
        51 => pppoe(layer, depth),
        // ATM_RFC1483
        100 => llc(layer, depth),
        // C_HDLC
        104 => cisco_hdlc(layer, depth),
        // IEEE802_11, IEEE802_11_PRISM, IEEE802_11_RADIOTAP, IEEE802_11_AVS
        105 => wifi::plain(layer, depth),
        119 => wifi::prism(layer, depth),
        127 => wifi::radiotap(layer, depth),
        163 => wifi::avs(layer, depth),
        // LINUX_SLL, LINUX_SLL2
        113 => cooked(layer, depth),
        276 => cooked_2(layer, depth),
        // ARCNET_LINUX
        129 => arcnet(layer, depth),
        // PKTAP, and the number that Apple used before it had one
        149 | 258 => metadata::pktap(layer, depth),
        // PPI
        192 => metadata::ppi(layer, depth),
        // PPP_WITH_DIR
        204 => ppp(layer.skip(1)?, depth),
        // NFLOG
        239 => metadata::nflog(layer, depth),
        _ => Err(Stop::UnknownLink),
    }
}

/// Ethernet II and IEEE 802.3.
#[inline]
pub(super) fn ethernet(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    let ([.., high, low], rest) = layer.split::<14>()?;
    ether_type(u16::from_be_bytes([*high, *low]), rest, depth)
}

/// What an `EtherType` (IANA "IEEE 802 Numbers") names.
#[inline]
pub(super) fn ether_type(kind: u16, layer: Layer<'_>, depth: u8) -> Reading<'_> {
    match kind {
        0x0800 | 0x86dd => ip::any(layer, depth),
        _ => rarer_ether_type(kind, layer, depth),
    }
}

fn rarer_ether_type(mut kind: u16, mut layer: Layer<'_>, depth: u8) -> Reading<'_> {
    // IEEE 802.1Q and 802.1ad tags, and the numbers that were used for outer tags before the latter.
    while matches!(kind, 0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300) {
        let ([_, _, high, low], rest) = layer.split::<4>()?;
        (kind, layer) = (u16::from_be_bytes([*high, *low]), rest);
    }
    match kind {
        0x0800 | 0x86dd => ip::any(layer, depth),
        0..=1500 => llc(layer, deeper(depth)?),
        0x6558 => ethernet(layer, deeper(depth)?),
        0x8847 | 0x8848 => tunnel::mpls(layer, deeper(depth)?),
        0x8864 => pppoe(layer, depth),
        0x880b => ppp(layer, depth),
        _ => Err(Stop::NotIp),
    }
}

/// IEEE 802.2, mostly with SNAP (RFC 1042).
pub(super) fn llc(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    match layer.head::<3>()? {
        [0xaa, 0xaa, 0x03] => {
            let ([_, _, _, organization @ .., high, low], rest) = layer.split::<8>()?;
            match organization {
                [0, 0, 0] | [0, 0, 0xf8] => ether_type(u16::from_be_bytes([*high, *low]), rest, depth),
                _ => Err(Stop::NotIp),
            }
        }
        // IP has a service access point of its own.
        [0x06, 0x06, 0x03] => ip::any(layer.skip(3)?, depth),
        // Network layer protocol identifiers (ISO/IEC TR 9577).
        [0xfe, 0xfe, 0x03] => match layer.head::<4>()? {
            [.., 0xcc | 0x8e] => ip::any(layer.skip(4)?, depth),
            _ => Err(Stop::NotIp),
        },
        _ => Err(Stop::NotIp),
    }
}

/// BSD loopback: an address family in the byte order of the recording host (NULL) or of the network (LOOP).
fn loopback(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    let (family, rest) = layer.split::<4>()?;
    let family = u32::from_le_bytes(*family).min(u32::from_be_bytes(*family));
    match family {
        // AF_INET everywhere, then AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, macOS.
        2 | 10 | 24 | 28 | 30 => ip::any(rest, depth),
        _ => Err(Stop::NotIp),
    }
}

/// Linux "cooked" capture: 16 bytes in place of the device's header.
fn cooked(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    let (head, rest) = layer.split::<16>()?;
    let [_, _, device_high, device_low, .., high, low] = *head;
    cooked_payload(u16::from_be_bytes([device_high, device_low]), u16::from_be_bytes([high, low]), rest, depth)
}

/// The second version of it: 20 bytes, with the interface.
fn cooked_2(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    let (head, rest) = layer.split::<20>()?;
    let [high, low, _, _, _, _, _, _, device_high, device_low, ..] = *head;
    cooked_payload(u16::from_be_bytes([device_high, device_low]), u16::from_be_bytes([high, low]), rest, depth)
}

fn cooked_payload(device: u16, kind: u16, layer: Layer<'_>, depth: u8) -> Reading<'_> {
    match (device, kind) {
        // ARPHRD_NETLINK: the protocol is a netlink family.
        (824, _) => Err(Stop::NotIp),
        // ARPHRD_IEEE80211_RADIOTAP
        (803, _) => wifi::radiotap(layer, depth),
        // ARPHRD_IEEE80211
        (801, _) => wifi::plain(layer, depth),
        // ETH_P_802_2; the other small numbers are no EtherTypes either.
        (_, 4) => llc(layer, depth),
        (_, 0..=1500) => Err(Stop::NotIp),
        (_, kind) => ether_type(kind, layer, depth),
    }
}

/// PPP (RFC 1661 §2), with or without the address and control bytes of RFC 1662, its protocol number perhaps
/// compressed to one byte (RFC 1661 §6.5).
pub(super) fn ppp(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    let layer = match layer.bytes {
        [0xff, 0x03, ..] => layer.skip(2)?,
        _ => layer,
    };
    let [first] = *layer.head::<1>()?;
    let (protocol, rest) = if first & 1 == 1 {
        (u16::from(first), layer.skip(1)?)
    } else {
        let (protocol, rest) = layer.split::<2>()?;
        (u16::from_be_bytes(*protocol), rest)
    };
    match protocol {
        0x0021 | 0x0057 => ip::any(rest, depth),
        0x0281 | 0x0283 => tunnel::mpls(rest, deeper(depth)?),
        _ => Err(Stop::NotIp),
    }
}

fn ppp_hdlc(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    match layer.bytes {
        [0x0f | 0x8f, 0x00, ..] => cisco_hdlc(layer, depth),
        _ => ppp(layer, depth),
    }
}

/// PPPoE session (RFC 2516 §4): version 1, type 1, code 0.
fn pppoe(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    match layer.split::<6>()? {
        ([0x11, 0, ..], rest) => ppp(rest, depth),
        ([0x11, ..], _) => Err(Stop::NotIp),
        _ => Err(Stop::Malformed),
    }
}

/// Cisco HDLC: address, control, `EtherType`.
fn cisco_hdlc(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    let ([_, _, high, low], rest) = layer.split::<4>()?;
    match u16::from_be_bytes([*high, *low]) {
        0..=1500 => Err(Stop::NotIp),
        kind => ether_type(kind, rest, depth),
    }
}

/// FDDI: the top bits of the frame control tell LLC frames from management.
fn fddi(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    let ([control, ..], rest) = layer.split::<13>()?;
    if control & 0x30 == 0x10 { llc(rest, depth) } else { Err(Stop::NotIp) }
}

/// IEEE 802.5: a source address with its top bit set means that a route follows, its length in the first byte.
fn token_ring(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    let (head, rest) = layer.split::<14>()?;
    let [_, control, _, _, _, _, _, _, source, ..] = *head;
    if control & 0xc0 != 0x40 {
        return Err(Stop::NotIp);
    }
    if source & 0x80 == 0 {
        return llc(rest, depth);
    }
    let [route] = *rest.head::<1>()?;
    llc(rest.skip(usize::from(route & 0x1f))?, depth)
}

/// ARCNET as Linux records it: source, destination, two bytes of the driver, protocol; RFC 1201 adds a split flag and a
/// sequence number (behind four bytes more for awkward lengths), RFC 1051 nothing.
fn arcnet(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    let ([_, _, _, _, protocol], rest) = layer.split::<5>()?;
    match (protocol, rest.head::<1>()?) {
        (0xf0, _) => ip::any(rest, depth),
        (0xd4, [0xff]) => ip::any(rest.skip(7)?, depth),
        (0xd4, [0]) => ip::any(rest.skip(3)?, depth),
        _ => Err(Stop::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::{CLIENT, SERVER, ether, join, ports, segment, segment_6, unread};
    use super::super::{Unread, build};

    fn is_read(link: u16, bytes: &[u8]) {
        assert_eq!(ports(link, bytes), Some((CLIENT, SERVER)), "link type {link}: {bytes:02x?}");
    }

    #[test]
    fn ethernet_tags_nest_to_any_depth() {
        is_read(1, &ether(0x0800, &segment()));
        is_read(1, &ether(0x86dd, &segment_6()));
        let mut tagged = join(&[&[0, 1, 0x08, 0], &segment()]);
        for kind in [[0x81, 0x00], [0x88, 0xa8], [0x91, 0x00]].iter().cycle().take(30) {
            is_read(1, &ether(u16::from_be_bytes(*kind), &tagged));
            tagged = join(&[&[0, 1], kind, &tagged]);
        }
    }

    #[test]
    fn ieee_802_3_frames_carry_ip_behind_llc() {
        let snap = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &segment()]);
        is_read(1, &ether(u16::try_from(snap.len()).unwrap(), &snap));
        is_read(1, &ether(100, &join(&[&[6, 6, 3], &segment()])));
        is_read(100, &join(&[&[0xfe, 0xfe, 3, 0xcc], &segment()]));
        is_read(10, &join(&[&[0x50; 13], &snap]));
        is_read(6, &join(&[&[0x10, 0x40], &[0; 12], &snap]));
        is_read(6, &join(&[&[0x10, 0x40, 1, 1, 1, 1, 1, 1, 0x80, 1, 1, 1, 1, 1, 0x06, 0, 0, 0, 0, 0], &snap]));
    }

    #[test]
    fn raw_ip_tells_its_version_itself() {
        for link in [12, 14, 101, 228, 229] {
            is_read(link, &segment());
            is_read(link, &segment_6());
        }
    }

    #[test]
    fn loopback_families_are_known_in_both_byte_orders() {
        for family in [2_u32, 10, 24, 28, 30] {
            for head in [family.to_le_bytes(), family.to_be_bytes()] {
                is_read(0, &join(&[&head, &segment_6()]));
                is_read(108, &join(&[&head, &segment()]));
            }
        }
        assert_eq!(unread(0, &join(&[&[7, 0, 0, 0], &segment()])), Unread { not_ip: 1, ..Unread::default() });
    }

    #[test]
    fn cooked_captures_of_both_versions() {
        is_read(113, &join(&[&[0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0], &segment()]));
        is_read(113, &join(&[&[0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0x81, 0, 0, 5, 8, 0], &segment()]));
        let head = [0x86, 0xdd, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0];
        is_read(276, &join(&[&head, &segment_6()]));
        let netlink = [0, 4, 3, 0x38, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0];
        assert_eq!(unread(113, &join(&[&netlink, &segment()])), Unread { not_ip: 1, ..Unread::default() });
    }

    #[test]
    fn ppp_with_and_without_framing_and_compression() {
        for head in [&[0xff, 3, 0, 0x21][..], &[0, 0x21], &[0x21], &[0xff, 3, 0x21]] {
            is_read(9, &join(&[head, &segment()]));
            is_read(50, &join(&[head, &segment()]));
            is_read(204, &join(&[&[0], head, &segment()]));
            is_read(51, &join(&[&[0x11, 0, 0, 1, 0, 99], head, &segment()]));
            is_read(1, &ether(0x8864, &join(&[&[0x11, 0, 0, 1, 0, 99], head, &segment()])));
        }
        is_read(50, &join(&[&[0x0f, 0, 8, 0], &segment()]));
        is_read(104, &join(&[&[0x8f, 0, 0x86, 0xdd], &segment_6()]));
        assert_eq!(unread(9, &[0xff, 3, 0xc0, 0x21, 1, 1]).not_ip, 1);
    }

    #[test]
    fn slip_and_arcnet() {
        is_read(8, &join(&[&[0; 16], &segment()]));
        is_read(129, &join(&[&[1, 2, 0, 0, 0xf0], &segment()]));
        is_read(129, &join(&[&[1, 2, 0, 0, 0xd4, 0, 0, 9], &segment()]));
    }

    #[test]
    fn what_is_not_ip_is_told_from_what_is_broken() {
        assert_eq!(unread(1, &ether(0x0806, &[0; 28])), Unread { not_ip: 1, ..Unread::default() });
        assert_eq!(unread(1, &ether(0x0800, &[0x55; 40])), Unread { malformed: 1, ..Unread::default() });
        assert_eq!(unread(1, &[0; 13]), Unread { malformed: 1, ..Unread::default() });
        assert_eq!(unread(65_535, &segment()), Unread { unknown_link: 1, ..Unread::default() });
        let mut cut = build::frame(1, &[0; 13]);
        cut.original_length = 60;
        let mut decoder = super::super::Decoder::new();
        assert_eq!(decoder.decode(&cut), None);
        assert_eq!(decoder.unread(), Unread { truncated: 1, ..Unread::default() });
    }

    #[test]
    fn length_fields_cannot_make_the_decoder_recurse_without_end() {
        let nest = [0, 0, 0xaa, 0xaa, 3, 0, 0, 0].repeat(8_000);
        assert_eq!(unread(1, &ether(0, nest.get(2..).unwrap())).malformed, 1);
    }
}
