//! Packets inside packets, by IP protocol number or label: IP in IP, GRE, ERSPAN, `EtherIP`, MPLS.

use super::ip::{self, protocol};
use super::layer::{Layer, Reading, Stop, deeper};
use super::link;

/// The packet inside an IP packet of that protocol; [`Stop::NotIp`] where there is none.
pub(super) fn inner(protocol: u8, body: Layer<'_>, depth: u8) -> Reading<'_> {
    match protocol {
        protocol::IPV4 | protocol::IPV6 => ip::any(body, deeper(depth)?),
        protocol::GRE => gre(body, deeper(depth)?),
        protocol::ETHERIP => match body.split::<2>()? {
            // RFC 3378: version 3, the rest zero.
            ([0x30, 0], rest) => link::ethernet(rest, deeper(depth)?),
            _ => Err(Stop::Malformed),
        },
        protocol::MPLS => mpls(body, deeper(depth)?),
        _ => Err(Stop::NotIp),
    }
}

/// GRE (RFC 2784, RFC 2890; version 1 of RFC 2637) and what its protocol type names.
fn gre(body: Layer<'_>, depth: u8) -> Reading<'_> {
    const CHECKSUM: u8 = 0x80;
    const ROUTING: u8 = 0x40;
    const KEY: u8 = 0x20;
    const SEQUENCE: u8 = 0x10;
    const ACKNOWLEDGEMENT: u8 = 0x80;

    let [flags, more, high, low] = *body.head::<4>()?;
    let mut length: usize = 4;
    let version = more & 0x07;
    if version > 1 {
        return Err(Stop::Malformed);
    }
    for (present, size) in [
        (flags & (CHECKSUM | ROUTING) != 0, 4),
        (flags & KEY != 0, 4),
        (flags & SEQUENCE != 0, 4),
        (version == 1 && more & ACKNOWLEDGEMENT != 0, 4),
    ] {
        length = if present { length.saturating_add(size) } else { length };
    }
    let mut rest = body.skip(length)?;
    if flags & ROUTING != 0 {
        rest = past_source_routes(rest)?;
    }
    match u16::from_be_bytes([high, low]) {
        // ERSPAN has a header of its own only when the sequence number is there (type II); type I has not.
        0x88be if flags & SEQUENCE == 0 => link::ethernet(rest, depth),
        0x88be => link::ethernet(rest.skip(8)?, depth),
        0x22eb => erspan_3(rest, depth),
        0..=1500 => Err(Stop::NotIp),
        kind => link::ether_type(kind, rest, depth),
    }
}

/// Source route entries (RFC 1701): address family, offset, length; an empty one ends them.
fn past_source_routes(mut layer: Layer<'_>) -> Result<Layer<'_>, Stop> {
    loop {
        let ([_, _, _, length], rest) = layer.split::<4>()?;
        layer = rest.skip(usize::from(*length))?;
        if *length == 0 {
            return Ok(layer);
        }
    }
}

/// ERSPAN type III: twelve bytes, and eight more where the last bit says so. Its frame type tells Ethernet from IP.
fn erspan_3(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    let (head, rest) = layer.split::<12>()?;
    let [first, .., kind, last] = *head;
    if first >> 4 != 2 {
        return Err(Stop::Malformed);
    }
    let rest = if last & 1 == 0 { rest } else { rest.skip(8)? };
    match kind >> 2 & 0x1f {
        0 => link::ethernet(rest, depth),
        2 => ip::any(rest, depth),
        _ => Err(Stop::NotIp),
    }
}

/// A stack of MPLS labels (RFC 3032). Nothing in it names what follows: the first four bits decide (RFC 4928 §3), and an
/// Ethernet pseudowire with or without control word (RFC 4448) is tried where they do not.
pub(super) fn mpls(mut layer: Layer<'_>, depth: u8) -> Reading<'_> {
    loop {
        let ([_, _, bottom, _], rest) = layer.split::<4>()?;
        layer = rest;
        if bottom & 1 != 0 {
            break;
        }
    }
    let [first] = *layer.head::<1>()?;
    match first >> 4 {
        4 | 6 if fits(layer) => ip::any(layer, depth).or_else(|stop| link::ethernet(layer, depth).map_err(|_| stop)),
        4 | 6 => link::ethernet(layer, depth).or_else(|_| ip::any(layer, depth)),
        0 => match layer.skip(4).and_then(|behind| link::ethernet(behind, depth)) {
            Ok(found) => Ok(found),
            Err(stop) => link::ethernet(layer, depth).map_err(|_| stop),
        },
        _ => link::ethernet(layer, depth),
    }
}

/// Whether the length in what looks like an IP header is there; the addresses of an Ethernet frame may look like one.
fn fits(layer: Layer<'_>) -> bool {
    match *layer.bytes {
        [first, _, high, low, ..] if first >> 4 == 4 => usize::from(u16::from_be_bytes([high, low])) <= layer.wire,
        [_, _, _, _, high, low, ..] => usize::from(u16::from_be_bytes([high, low])).saturating_add(40) <= layer.wire,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::{CLIENT, SERVER, ether, frame, ipv4, ipv6, join, ports, segment, segment_6};
    use super::super::{Decoder, Transport};

    fn is_read(bytes: &[u8]) {
        assert_eq!(ports(101, bytes), Some((CLIENT, SERVER)), "{bytes:02x?}");
    }

    #[test]
    fn ip_in_ip_of_both_versions() {
        is_read(&ipv4(4, &segment()));
        is_read(&ipv4(41, &segment_6()));
        is_read(&ipv6(4, &segment()));
        is_read(&ipv6(41, &segment_6()));
        is_read(&ipv4(97, &join(&[&[0x30, 0], &ether(0x0800, &segment())])));
    }

    #[test]
    fn gre_with_its_optional_fields() {
        is_read(&ipv4(47, &join(&[&[0, 0, 8, 0], &segment()])));
        is_read(&ipv4(47, &join(&[&[0xb0, 0, 0x86, 0xdd], &[0; 12], &segment_6()])));
        is_read(&ipv4(47, &join(&[&[0x20, 0, 0x65, 0x58, 0, 0, 1, 0], &ether(0x0800, &segment())])));
        is_read(&ipv4(47, &join(&[&[0x30, 0x81, 0x88, 0x0b], &[0; 12], &[0x21], &segment()])));
        is_read(&ipv4(47, &join(&[&[0x40, 0, 8, 0, 0, 0, 0, 0, 0, 2, 0, 4, 1, 1, 1, 1, 0, 0, 0, 0], &segment()])));
    }

    #[test]
    fn erspan_types_differ_in_their_header() {
        let mirrored = ether(0x0800, &segment());
        is_read(&ipv4(47, &join(&[&[0, 0, 0x88, 0xbe], &mirrored])));
        is_read(&ipv4(47, &join(&[&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1], &[0x10; 8], &mirrored])));
        let third = [0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        is_read(&ipv4(47, &join(&[&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1], &third, &[0], &mirrored])));
        is_read(&ipv4(47, &join(&[&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1], &third, &[1], &[0; 8], &mirrored])));
    }

    #[test]
    fn mpls_guesses_what_follows_the_labels() {
        let labels = [0, 0x10, 0, 64, 0, 0x20, 1, 64];
        for payload in [segment(), segment_6(), ether(0x0800, &segment()), join(&[&[0; 4], &ether(0x0800, &segment())])]
        {
            for kind in [0x8847, 0x8848] {
                let bytes = ether(kind, &join(&[&labels, &payload]));
                assert_eq!(ports(1, &bytes), Some((CLIENT, SERVER)), "{bytes:02x?}");
            }
        }
        let mut hidden = ether(0x0800, &segment());
        hidden[0] = 0x46;
        assert_eq!(ports(1, &ether(0x8847, &join(&[&labels, &hidden]))), Some((CLIENT, SERVER)));
    }

    #[test]
    fn nesting_is_opened_to_eight_levels() {
        let mut packet = segment();
        for _ in 0..8 {
            packet = ipv4(4, &packet);
        }
        is_read(&packet);
        packet = ipv4(4, &packet);
        assert_eq!(ports(101, &packet), None);
    }

    #[test]
    fn an_unreadable_inside_leaves_the_outer_packet() {
        let packet = ipv4(47, &[0, 0, 8, 0, 0x45, 0]);
        let mut decoder = Decoder::new();
        let read = decoder.decode(&frame(101, &packet)).map(|packet| packet.transport);
        assert_eq!(read, Some(Transport::Other));
        assert_eq!(decoder.unread().malformed, 1);
    }
}
