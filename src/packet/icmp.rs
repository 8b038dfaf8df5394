//! ICMP (RFC 792, RFC 1191) and `ICMPv6` (RFC 4443), and the packets that their errors quote.

use std::net::{IpAddr, SocketAddr};

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};

use super::ip::{self, protocol};
use super::layer::{Layer, Stop};
use super::{Icmp, IcmpKind, Quoted};

/// An ICMP message.
pub(super) fn version_4(body: Layer<'_>) -> Result<Icmp, Stop> {
    let [kind, code, ..] = *body.head::<4>()?;
    let meaning = match (kind, code) {
        (3, 3) => IcmpKind::PortUnreachable,
        (3, 4) => IcmpKind::TooBig { mtu: next_hop_mtu(body, 6) & 0xffff },
        (3, 9 | 10 | 13) => IcmpKind::Prohibited,
        (3, _) => IcmpKind::Unreachable,
        (11, 0) => IcmpKind::TimeExceeded,
        _ => IcmpKind::Other { kind, code },
    };
    // Source quench, redirect and parameter problem quote as well.
    let quoted = if matches!(kind, 3 | 4 | 5 | 11 | 12) { quoted(body) } else { None };
    Ok(Icmp { kind: meaning, quoted })
}

/// An `ICMPv6` message.
pub(super) fn version_6(body: Layer<'_>) -> Result<Icmp, Stop> {
    let [kind, code, ..] = *body.head::<4>()?;
    let meaning = match (kind, code) {
        (1, 4) => IcmpKind::PortUnreachable,
        (1, 1 | 5 | 6) => IcmpKind::Prohibited,
        (1, _) => IcmpKind::Unreachable,
        (2, _) => IcmpKind::TooBig { mtu: next_hop_mtu(body, 4) },
        (3, 0) => IcmpKind::TimeExceeded,
        _ => IcmpKind::Other { kind, code },
    };
    let quoted = if matches!(kind, 1..=4) { quoted(body) } else { None };
    Ok(Icmp { kind: meaning, quoted })
}

/// The MTU stands in the second word: all of it in `ICMPv6`, its lower half in ICMP.
fn next_hop_mtu(body: Layer<'_>, at: usize) -> u32 {
    match body.bytes.get(at..8) {
        Some(&[a, b, c, d]) => u32::from_be_bytes([a, b, c, d]),
        Some(&[a, b]) => u16::from_be_bytes([a, b]).into(),
        _ => 0,
    }
}

/// The packet that is quoted behind the first eight bytes, as far as it is quoted.
fn quoted(body: Layer<'_>) -> Option<Quoted> {
    let quote = body.bytes.get(8..)?;
    let (source, destination, protocol, transport) = match quote.first()? >> 4 {
        4 => {
            let header = Ipv4HeaderSlice::from_slice(quote).ok()?;
            let behind = quote.get(header.slice().len()..)?;
            let transport = if header.fragments_offset().value() == 0 { behind } else { &[] };
            let (source, destination) = (header.source_addr().into(), header.destination_addr().into());
            (source, destination, header.protocol().0, transport)
        }
        6 => {
            let header = Ipv6HeaderSlice::from_slice(quote).ok()?;
            let behind = quote.get(header.slice().len()..)?;
            let (source, destination) = (header.source_addr().into(), header.destination_addr().into());
            let (protocol, transport) = version_6_transport(header.next_header().0, behind);
            (source, destination, protocol, transport)
        }
        _ => return None,
    };
    Some(named(source, destination, protocol, transport))
}

/// Protocol and transport header behind the extension headers; nothing of a transport where those are cut or the quoted
/// packet is a later fragment.
fn version_6_transport(next: u8, behind: &[u8]) -> (u8, &[u8]) {
    match ip::extensions(next, Layer::new(behind, behind.len()), true) {
        Ok(rest) if rest.fragment.is_none_or(|part| part.offset == 0) => (rest.protocol, rest.body.bytes),
        Ok(rest) => (rest.protocol, &[]),
        Err(_) => (next, &[]),
    }
}

fn named(source: IpAddr, destination: IpAddr, protocol: u8, transport: &[u8]) -> Quoted {
    const DNS: u16 = 53;
    let mut quoted = Quoted {
        protocol,
        source: SocketAddr::new(source, 0),
        destination: SocketAddr::new(destination, 0),
        seq: None,
        has_header: protocol == protocol::TCP && transport.len() >= 16,
        dns_id: None,
    };
    let (protocol::TCP | protocol::UDP | protocol::SCTP, [s0, s1, d0, d1, rest @ ..]) = (protocol, transport) else {
        return quoted;
    };
    let (from, to) = (u16::from_be_bytes([*s0, *s1]), u16::from_be_bytes([*d0, *d1]));
    quoted.source.set_port(from);
    quoted.destination.set_port(to);
    match (protocol, rest) {
        (protocol::TCP, [a, b, c, d, ..]) => quoted.seq = Some(u32::from_be_bytes([*a, *b, *c, *d])),
        (protocol::UDP, [_, _, _, _, a, b, ..]) if from == DNS || to == DNS => {
            quoted.dns_id = Some(u16::from_be_bytes([*a, *b]));
        }
        _ => {}
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::super::build::{CLIENT, SERVER, ipv4, ipv4_part, ipv6, join, tcp, udp};
    use super::*;

    fn layer(bytes: &[u8]) -> Layer<'_> {
        Layer::new(bytes, bytes.len())
    }

    #[test]
    fn codes_of_both_versions_by_meaning() {
        let kind = |version: fn(Layer<'_>) -> Result<Icmp, Stop>, kind, code| {
            version(layer(&[kind, code, 0, 0, 0, 0, 5, 0x14])).unwrap().kind
        };
        assert_eq!(kind(version_4, 3, 3), IcmpKind::PortUnreachable);
        for code in [9, 10, 13] {
            assert_eq!(kind(version_4, 3, code), IcmpKind::Prohibited);
        }
        assert_eq!(kind(version_4, 3, 1), IcmpKind::Unreachable);
        assert_eq!(kind(version_4, 3, 4), IcmpKind::TooBig { mtu: 1300 });
        assert_eq!(kind(version_4, 11, 0), IcmpKind::TimeExceeded);
        assert_eq!(kind(version_4, 11, 1), IcmpKind::Other { kind: 11, code: 1 });
        assert_eq!(kind(version_4, 8, 0), IcmpKind::Other { kind: 8, code: 0 });
        assert_eq!(kind(version_6, 1, 4), IcmpKind::PortUnreachable);
        for code in [1, 5, 6] {
            assert_eq!(kind(version_6, 1, code), IcmpKind::Prohibited);
        }
        assert_eq!(kind(version_6, 1, 3), IcmpKind::Unreachable);
        assert_eq!(kind(version_6, 2, 0), IcmpKind::TooBig { mtu: 1300 });
        assert_eq!(kind(version_6, 3, 0), IcmpKind::TimeExceeded);
        assert_eq!(version_4(layer(&[3, 3, 0])), Err(Stop::Malformed));
    }

    #[test]
    fn a_quoted_segment_is_named_by_ports_and_sequence_number() {
        let message = join(&[&[3, 3, 0, 0, 0, 0, 0, 0], &ipv4(6, &tcp(&[], b""))]);
        let quoted = version_4(layer(&message)).unwrap().quoted.unwrap();
        assert_eq!((quoted.protocol, quoted.source.port(), quoted.destination.port()), (6, CLIENT, SERVER));
        assert_eq!((quoted.seq, quoted.source.ip().to_string()), (Some(0x0102_0304), "10.0.0.1".into()));
    }

    #[test]
    fn a_quoted_question_is_named_by_its_id_when_long_enough() {
        let question = udp(1024, 53, &[0xab, 0xcd, 1, 0]);
        let message = join(&[&[1, 4, 0, 0, 0, 0, 0, 0], &ipv6(60, &join(&[&[17, 0, 0, 0, 0, 0, 0, 0], &question]))]);
        let quoted = |length| version_6(layer(&message[..length])).unwrap().quoted;
        assert_eq!(quoted(message.len()).unwrap().dns_id, Some(0xabcd));
        assert_eq!((quoted(64).unwrap().dns_id, quoted(64).unwrap().destination.port()), (None, 53));
        assert_eq!((quoted(57).unwrap().protocol, quoted(57).unwrap().destination.port()), (17, 0));
        assert_eq!(quoted(30), None);
    }

    #[test]
    fn a_quoted_later_fragment_has_no_ports() {
        let message = join(&[&[11, 1, 0, 0, 0, 0, 0, 0], &ipv4_part(17, 5, 1, &[1; 16])]);
        assert_eq!(version_4(layer(&message)).unwrap().quoted.unwrap().source.port(), 0);
    }
}
