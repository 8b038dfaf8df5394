//! IPv4 (RFC 791) and IPv6 (RFC 8200) with its extension headers, down to the innermost packet.

use std::net::IpAddr;

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice, err};

use super::Ip;
use super::layer::{Datagram, Found, Fragment, Layer, Reading, Stop, deeper};
use super::{tunnel, udp_tunnel};

/// IP protocol numbers (IANA "Protocol Numbers").
pub(super) mod protocol {
    pub(in crate::packet) const HOP_BY_HOP: u8 = 0;
    pub(in crate::packet) const ICMP: u8 = 1;
    pub(in crate::packet) const IPV4: u8 = 4;
    pub(in crate::packet) const TCP: u8 = 6;
    pub(in crate::packet) const UDP: u8 = 17;
    pub(in crate::packet) const IPV6: u8 = 41;
    pub(in crate::packet) const ROUTING: u8 = 43;
    pub(in crate::packet) const FRAGMENT: u8 = 44;
    pub(in crate::packet) const GRE: u8 = 47;
    pub(in crate::packet) const AUTHENTICATION: u8 = 51;
    pub(in crate::packet) const ICMPV6: u8 = 58;
    pub(in crate::packet) const NO_NEXT_HEADER: u8 = 59;
    pub(in crate::packet) const DESTINATION: u8 = 60;
    pub(in crate::packet) const ETHERIP: u8 = 97;
    pub(in crate::packet) const SCTP: u8 = 132;
    pub(in crate::packet) const MOBILITY: u8 = 135;
    pub(in crate::packet) const MPLS: u8 = 137;
    pub(in crate::packet) const HIP: u8 = 139;
    pub(in crate::packet) const SHIM6: u8 = 140;
}

/// An IP packet of the version that its first four bits name.
#[inline]
pub(super) fn any(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    match layer.bytes.first().map(|first| first >> 4) {
        Some(4) => ipv4(layer, depth),
        Some(6) => ipv6(layer, depth),
        Some(_) => Err(Stop::Malformed),
        None => Err(layer.short(1)),
    }
}

#[inline]
fn ipv4(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    let header = match Ipv4HeaderSlice::from_slice(layer.bytes) {
        Ok(header) => header,
        Err(err::ipv4::HeaderSliceError::Len(length)) => return Err(layer.short(length.required_len)),
        Err(err::ipv4::HeaderSliceError::Content(_)) => return Err(Stop::Malformed),
    };
    let header_length = header.slice().len();
    let layer = match usize::from(header.total_len()) {
        // Recorded before the network card cut a large segment (TSO): the frame's length is all there is.
        0 => layer,
        total if total < header_length => return Err(Stop::Malformed),
        total => layer.limit(total),
    };
    let body = layer.skip(header_length)?;
    let ip = Ip {
        source: IpAddr::V4(header.source_addr()),
        destination: IpAddr::V4(header.destination_addr()),
        ttl: header.ttl(),
        id: header.identification(),
        dont_fragment: header.dont_fragment(),
        reserved_bit: header.slice().get(6).is_some_and(|flags| flags & 0x80 != 0),
    };
    let protocol = header.protocol().0;
    let (more, offset) = (header.more_fragments(), usize::from(header.fragments_offset().value()) * 8);
    if more || offset != 0 {
        return Ok(Found::Fragment(Fragment { ip, protocol, id: ip.id.into(), offset, more, body, depth }));
    }
    resume(ip, protocol, body, depth)
}

#[inline]
fn ipv6(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    let header = match Ipv6HeaderSlice::from_slice(layer.bytes) {
        Ok(header) => header,
        Err(err::ipv6::HeaderSliceError::Len(length)) => return Err(layer.short(length.required_len)),
        Err(err::ipv6::HeaderSliceError::Content(_)) => return Err(Stop::Malformed),
    };
    let protocol = header.next_header().0;
    let body = layer.skip(header.slice().len())?;
    let body = match usize::from(header.payload_length()) {
        // Large segments of the sending host, as with IPv4 (RFC 2675 jumbograms are written the same way).
        0 if protocol != protocol::NO_NEXT_HEADER => body,
        length => body.limit(length),
    };
    let ip = Ip {
        source: IpAddr::V6(header.source_addr()),
        destination: IpAddr::V6(header.destination_addr()),
        ttl: header.hop_limit(),
        id: 0,
        dont_fragment: false,
        reserved_bit: false,
    };
    resume(ip, protocol, body, depth)
}

/// Goes on behind an IP header, or behind the fragments of a packet that were put together.
#[inline]
pub(super) fn resume(ip: Ip, protocol: u8, body: Layer<'_>, depth: u8) -> Reading<'_> {
    let whole = Found::Datagram(Datagram { ip, protocol, body, trouble: None });
    match protocol {
        protocol::TCP => Ok(whole),
        protocol::UDP => Ok(udp_tunnel::inner(body, depth).unwrap_or(whole)),
        _ => resume_slowly(ip, protocol, body, depth),
    }
}

fn resume_slowly(ip: Ip, protocol: u8, body: Layer<'_>, depth: u8) -> Reading<'_> {
    let rest = match extensions(protocol, body, ip.source.is_ipv6()) {
        Ok(rest) => rest,
        Err(stop) => {
            let protocol = protocol::NO_NEXT_HEADER;
            return Ok(Found::Datagram(Datagram { ip, protocol, body, trouble: Some(stop) }));
        }
    };
    let Rest { protocol, body, fragment } = rest;
    if let Some(Position { id, offset, more }) = fragment {
        return Ok(Found::Fragment(Fragment { ip, protocol, id, offset, more, body, depth: deeper(depth)? }));
    }
    let inner = match protocol {
        protocol::TCP => Err(Stop::NotIp),
        protocol::UDP => udp_tunnel::inner(body, depth).ok_or(Stop::NotIp),
        _ => tunnel::inner(protocol, body, depth),
    };
    Ok(inner.unwrap_or_else(|stop| {
        let trouble = (stop != Stop::NotIp).then_some(stop);
        Found::Datagram(Datagram { ip, protocol, body, trouble })
    }))
}

/// Where the extension headers end.
pub(super) struct Rest<'a> {
    pub(super) protocol: u8,
    pub(super) body: Layer<'a>,
    /// Of a packet that is a part only.
    pub(super) fragment: Option<Position>,
}

/// A fragment's place (RFC 8200 §4.5).
#[derive(Clone, Copy)]
pub(super) struct Position {
    pub(super) id: u32,
    pub(super) offset: usize,
    pub(super) more: bool,
}

/// Skips extension headers (RFC 8200 §4, RFC 4302 §2.1, RFC 6275 §6.1.1) up to the transport or a part of it. IPv4
/// knows only the authentication header.
pub(super) fn extensions(mut protocol: u8, mut body: Layer<'_>, version_6: bool) -> Result<Rest<'_>, Stop> {
    loop {
        let length = match protocol {
            protocol::AUTHENTICATION => {
                let [_, length, ..] = *body.head::<8>()?;
                (usize::from(length) + 2) * 4
            }
            protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::DESTINATION
            | protocol::MOBILITY
            | protocol::HIP
            | protocol::SHIM6
                if version_6 =>
            {
                let [_, length, ..] = *body.head::<8>()?;
                (usize::from(length) + 1) * 8
            }
            protocol::FRAGMENT if version_6 => {
                let ([next, _, high, low, id @ ..], rest) = body.split::<8>()?;
                let place = u16::from_be_bytes([*high, *low]);
                let (offset, more) = (usize::from(place & 0xfff8), place & 1 != 0);
                (protocol, body) = (*next, rest);
                // A fragment that is the whole packet is no fragment (RFC 6946).
                if more || offset != 0 {
                    let fragment = Some(Position { id: u32::from_be_bytes(*id), offset, more });
                    return Ok(Rest { protocol, body, fragment });
                }
                continue;
            }
            _ => return Ok(Rest { protocol, body, fragment: None }),
        };
        let [next, ..] = *body.head::<1>()?;
        (protocol, body) = (next, body.skip(length)?);
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::{CLIENT, SERVER, ether, frame, ipv4, ipv4_part, ipv6, join, ports, segment, tcp};
    use super::super::{Decoder, Transport, Unread};

    #[test]
    fn rfc_791_fields_are_reported_as_they_arrived() {
        let packet = ipv4_part(6, 0xc000, 0x1234, &tcp(&[], b""));
        let mut decoder = Decoder::new();
        let ip = decoder.decode(&frame(101, &packet)).unwrap().ip;
        assert_eq!((ip.ttl, ip.id, ip.dont_fragment, ip.reserved_bit), (61, 0x1234, true, true));
        assert_eq!((ip.source.to_string(), ip.destination.to_string()), ("10.0.0.1".into(), "10.0.0.2".into()));
    }

    #[test]
    fn ethernet_padding_is_no_payload_but_a_total_length_of_zero_takes_all() {
        let mut packet = join(&[&ipv4(6, &tcp(&[], b"")), &[0; 6]]);
        let payload = |packet: &[u8]| match Decoder::new().decode(&frame(1, &ether(0x0800, packet))).unwrap().transport
        {
            Transport::Tcp(tcp) => (tcp.payload.len(), tcp.declared),
            _ => panic!("no segment"),
        };
        assert_eq!(payload(&packet), (0, 0));
        packet[2..4].fill(0);
        assert_eq!(payload(&packet), (6, 6));
    }

    #[test]
    fn options_of_ipv4_are_skipped() {
        let mut packet = ipv4(6, &join(&[&[1; 8], &tcp(&[], b"")]));
        packet[0] = 0x47;
        assert_eq!(ports(101, &packet), Some((CLIENT, SERVER)));
        packet[0] = 0x44;
        assert_eq!(ports(101, &packet), None);
    }

    #[test]
    fn rfc_8200_extension_headers_are_walked() {
        let segment = tcp(&[], b"x");
        let destination = join(&[&[6, 0, 0, 0, 0, 0, 0, 0], &segment]);
        let authentication = join(&[&[60, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &destination]);
        let atomic = join(&[&[51, 0, 0, 0, 1, 2, 3, 4], &authentication]);
        let routing = join(&[&[44, 1], &[0; 14], &atomic]);
        let all = join(&[&[43, 0, 0, 0, 0, 0, 0, 0], &routing]);
        for (next, body) in [(60, destination), (51, authentication), (44, atomic), (43, routing), (0, all)] {
            assert_eq!(ports(101, &ipv6(next, &body)), Some((CLIENT, SERVER)), "next header {next}");
        }
        for next in [50, 59] {
            let packet = ipv6(next, &segment);
            let mut decoder = Decoder::new();
            assert_eq!(decoder.decode(&frame(101, &packet)).unwrap().transport, Transport::Other);
            assert_eq!(decoder.unread(), Unread::default());
        }
    }

    #[test]
    fn an_extension_header_that_does_not_fit_leaves_the_packet_without_transport() {
        let packet = ipv6(0, &[6, 200, 0, 0, 0, 0, 0, 0]);
        let mut decoder = Decoder::new();
        assert_eq!(decoder.decode(&frame(101, &packet)).unwrap().transport, Transport::Other);
        assert_eq!(decoder.unread().malformed, 1);
    }

    #[test]
    fn what_the_snap_length_cut_is_missing() {
        let whole = ether(0x0800, &segment());
        let mut cut = frame(1, &whole[..56]);
        cut.original_length = u32::try_from(whole.len()).unwrap();
        let mut decoder = Decoder::new();
        let packet = decoder.decode(&cut).unwrap();
        let Transport::Tcp(tcp) = packet.transport else { panic!("no segment") };
        assert_eq!((packet.missing, tcp.payload, tcp.declared), (3, &b"he"[..], 5));
        assert_eq!(decoder.unread(), Unread::default());
    }
}
