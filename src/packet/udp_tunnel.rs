//! Packets inside UDP datagrams: VXLAN and VXLAN-GPE, Geneve, GTP-U, Teredo.
//!
//! A port number proves nothing, so a header must be faultless and the packet behind it readable; else the datagram
//! stays what it is.

use super::ip;
use super::layer::{Found, Layer, deeper};
use super::link;

const VXLAN: u16 = 4789;
/// What Linux used before the number was assigned.
const VXLAN_LINUX: u16 = 8472;
const VXLAN_GPE: u16 = 4790;
const GENEVE: u16 = 6081;
const GTP_U: u16 = 2152;
const TEREDO: u16 = 3544;

/// The packet inside a UDP datagram, where its ports and its bytes say that there is one.
#[inline]
pub(super) fn inner(body: Layer<'_>, depth: u8) -> Option<Found<'_>> {
    let [s0, s1, d0, d1, ..] = *body.bytes.first_chunk::<8>()?;
    let (source, destination) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
    if matches!(destination, VXLAN | VXLAN_LINUX | VXLAN_GPE | GENEVE | GTP_U | TEREDO) || source == TEREDO {
        return open(destination, body, depth);
    }
    None
}

fn open(destination: u16, body: Layer<'_>, depth: u8) -> Option<Found<'_>> {
    let depth = deeper(depth).ok()?;
    let ([_, _, _, _, l0, l1, _, _], payload) = body.split::<8>().ok()?;
    let payload = match usize::from(u16::from_be_bytes([*l0, *l1])).checked_sub(8) {
        Some(length) if length <= payload.wire => payload.limit(length),
        _ => payload,
    };
    match destination {
        VXLAN | VXLAN_LINUX => vxlan(payload, depth),
        VXLAN_GPE => vxlan_gpe(payload, depth),
        GENEVE => geneve(payload, depth),
        GTP_U => gtp_u(payload, depth),
        _ => teredo(payload, depth),
    }
}

/// RFC 7348 §5; the group policy extension uses the top flag, three more and the two bytes behind.
fn vxlan(payload: Layer<'_>, depth: u8) -> Option<Found<'_>> {
    match payload.split::<8>().ok()? {
        ([0x08, 0, 0, 0, .., 0] | [0x88, .., 0], rest) => link::ethernet(rest, depth).ok(),
        _ => None,
    }
}

/// Its extension that names what follows (draft-ietf-nvo3-vxlan-gpe §3): version 0, flags for a valid identifier and a
/// next protocol.
fn vxlan_gpe(payload: Layer<'_>, depth: u8) -> Option<Found<'_>> {
    match payload.split::<8>().ok()? {
        ([0x0c, 0, 0, 1 | 2, .., 0], rest) => ip::any(rest, depth).ok(),
        ([0x0c, 0, 0, 3, .., 0], rest) => link::ethernet(rest, depth).ok(),
        _ => None,
    }
}

/// RFC 8926 §3.4: version 0, the length of options in words, two flags, `EtherType`, network identifier.
fn geneve(payload: Layer<'_>, depth: u8) -> Option<Found<'_>> {
    let ([first, flags, high, low, .., reserved], rest) = payload.split::<8>().ok()?;
    if first & 0xc0 != 0 || flags & 0x3f != 0 || *reserved != 0 {
        return None;
    }
    let rest = rest.skip(usize::from(first & 0x3f) * 4).ok()?;
    match u16::from_be_bytes([*high, *low]) {
        0x6558 => link::ethernet(rest, depth).ok(),
        0x0800 | 0x86dd => ip::any(rest, depth).ok(),
        _ => None,
    }
}

/// 3GPP TS 29.281 §5.1: version 1, protocol type 1, message type 255 (G-PDU), a length that fits, extension headers.
fn gtp_u(payload: Layer<'_>, depth: u8) -> Option<Found<'_>> {
    let ([flags, 255, l0, l1, ..], rest) = payload.split::<8>().ok()? else { return None };
    if flags & 0xf8 != 0x30 || usize::from(u16::from_be_bytes([*l0, *l1])) != rest.wire {
        return None;
    }
    if flags & 0x07 == 0 {
        return ip::any(rest, depth).ok();
    }
    let ([_, _, _, next], mut rest) = rest.split::<4>().ok()?;
    let mut next = if flags & 0x04 == 0 { 0 } else { *next };
    while next != 0 {
        let [words] = *rest.head::<1>().ok()?;
        let length = usize::from(words) * 4;
        next = *rest.bytes.get(length.checked_sub(1)?)?;
        rest = rest.skip(length).ok()?;
    }
    ip::any(rest, depth).ok()
}

/// RFC 4380 §5.1.1: an authentication and an origin indication may stand before the IPv6 packet, which fills the rest.
fn teredo(mut payload: Layer<'_>, depth: u8) -> Option<Found<'_>> {
    if let [0, 1, identifier, value, ..] = *payload.bytes {
        payload = payload.skip(4 + usize::from(identifier) + usize::from(value) + 9).ok()?;
    }
    if let [0, 0, ..] = payload.bytes {
        payload = payload.skip(8).ok()?;
    }
    let [first, _, _, _, l0, l1, ..] = *payload.head::<8>().ok()?;
    if first >> 4 != 6 || usize::from(u16::from_be_bytes([l0, l1])).checked_add(40)? != payload.wire {
        return None;
    }
    ip::any(payload, depth).ok()
}

#[cfg(test)]
mod tests {
    use super::super::build::{CLIENT, SERVER, ether, ipv4, join, ports, segment, segment_6, udp};

    fn through(port: u16, payload: &[u8]) -> Option<(u16, u16)> {
        ports(101, &ipv4(17, &udp(50_000, port, payload)))
    }

    const INNER: Option<(u16, u16)> = Some((CLIENT, SERVER));

    #[test]
    fn vxlan_on_its_ports() {
        let packet = join(&[&[8, 0, 0, 0, 0, 0, 1, 0], &ether(0x0800, &segment())]);
        assert_eq!(through(4789, &packet), INNER);
        assert_eq!(through(8472, &packet), INNER);
        assert_eq!(through(4788, &packet), Some((50_000, 4788)));
        assert_eq!(through(4790, &join(&[&[12, 0, 0, 1, 0, 0, 1, 0], &segment()])), INNER);
        assert_eq!(through(4790, &join(&[&[12, 0, 0, 3, 0, 0, 1, 0], &ether(0x86dd, &segment_6())])), INNER);
    }

    #[test]
    fn a_tunnel_must_be_addressed() {
        let packet = join(&[&[8, 0, 0, 0, 0, 0, 1, 0], &ether(0x0800, &segment())]);
        assert_eq!(ports(101, &ipv4(17, &udp(4789, 53, &packet))), Some((4789, 53)));
    }

    #[test]
    fn false_tunnels_stay_datagrams() {
        for payload in [
            join(&[&[8, 0, 0, 1, 0, 0, 1, 0], &ether(0x0800, &segment())]),
            join(&[&[8, 0, 0, 0, 0, 0, 1, 0], &ether(0x0806, &[0; 28])]),
            vec![8, 0, 0, 0],
            vec![],
        ] {
            for port in [4789, 8472, 6081, 2152, 3544] {
                assert_eq!(through(port, &payload), Some((50_000, port)), "{payload:02x?}");
            }
        }
    }

    #[test]
    fn geneve_with_options() {
        let options = join(&[&[2, 0x40, 0x65, 0x58, 0, 0, 1, 0], &[1; 8], &ether(0x0800, &segment())]);
        assert_eq!(through(6081, &options), INNER);
        assert_eq!(through(6081, &join(&[&[0, 0, 0x86, 0xdd, 0, 0, 1, 0], &segment_6()])), INNER);
        assert_eq!(through(6081, &join(&[&[0x40, 0, 8, 0, 0, 0, 1, 0], &segment()])), Some((50_000, 6081)));
    }

    #[test]
    fn gtp_u_with_extension_headers() {
        let packet = segment();
        let length = |more: usize| u16::try_from(packet.len() + more).unwrap().to_be_bytes();
        assert_eq!(through(2152, &join(&[&[0x30, 255], &length(0), &[0; 4], &packet])), INNER);
        let extended = [0, 0, 0, 0, 0, 0, 0, 0x85, 1, 9, 9, 0];
        assert_eq!(through(2152, &join(&[&[0x34, 255], &length(8), &extended, &packet])), INNER);
        assert_eq!(through(2152, &join(&[&[0x30, 255], &length(1), &[0; 4], &packet])), Some((50_000, 2152)));
        let endless = [0, 0, 0, 0, 0, 0, 0, 0x85, 0, 9, 9, 0];
        assert_eq!(through(2152, &join(&[&[0x34, 255], &length(8), &endless, &packet])), Some((50_000, 2152)));
    }

    #[test]
    fn teredo_from_and_to_its_port_with_indications() {
        let origin = [0, 0, 1, 2, 3, 4, 5, 6];
        let authentication = [0, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0];
        for front in [&[][..], &origin, &authentication, &join(&[&authentication, &origin])] {
            let packet = join(&[front, &segment_6()]);
            assert_eq!(through(3544, &packet), INNER);
            assert_eq!(ports(101, &ipv4(17, &udp(3544, 50_000, &packet))), INNER);
        }
        assert_eq!(through(3544, &join(&[&segment_6(), &[0]])), Some((50_000, 3544)));
    }
}
