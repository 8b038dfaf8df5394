//! Headers that the recorder put before the link layer.

use super::layer::{Layer, Reading, Stop, deeper};
use super::{ip, link};

/// Per-Packet Information: version 0, flags, length and link type in little-endian order.
pub(super) fn ppi(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    let [version, _, low, high, kind @ ..] = *layer.head::<8>()?;
    if version != 0 {
        return Err(Stop::Malformed);
    }
    let kind = u16::try_from(u32::from_le_bytes(kind)).map_err(|_| Stop::UnknownLink)?;
    link::other(kind, layer.skip(u16::from_le_bytes([low, high]).into())?, deeper(depth)?)
}

/// Apple's PKTAP: header length, record type (1: a packet follows) and link type, in the recording host's order, which
/// is little-endian on every machine that writes it.
pub(super) fn pktap(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    const HEADER: u32 = 108;
    let [l0, l1, l2, l3, r0, r1, r2, r3, kind @ ..] = *layer.head::<12>()?;
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    if length < HEADER {
        return Err(Stop::Malformed);
    }
    if u32::from_le_bytes([r0, r1, r2, r3]) != 1 {
        return Err(Stop::NotIp);
    }
    let kind = u16::try_from(u32::from_le_bytes(kind)).map_err(|_| Stop::UnknownLink)?;
    let rest = layer.skip(usize::try_from(length).unwrap_or(usize::MAX))?;
    link::other(kind, rest, deeper(depth)?)
}

/// Linux netfilter log: address family, version 0, resource, then attributes in the recording host's byte order, one
/// of which is the packet.
pub(super) fn nflog(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    let ([family, version, ..], attributes) = layer.split::<4>()?;
    match (family, version) {
        (2 | 10, 0) => {}
        (_, 0) => return Err(Stop::NotIp),
        _ => return Err(Stop::Malformed),
    }
    match nflog_payload(attributes, u16::from_le_bytes).or_else(|_| nflog_payload(attributes, u16::from_be_bytes)) {
        Ok(payload) => ip::any(payload, depth),
        Err(stop) => Err(stop),
    }
}

fn nflog_payload(mut layer: Layer<'_>, order: fn([u8; 2]) -> u16) -> Result<Layer<'_>, Stop> {
    const PAYLOAD: u16 = 9;
    loop {
        let ([l0, l1, k0, k1], rest) = layer.split::<4>()?;
        let body = usize::from(order([*l0, *l1])).checked_sub(4).ok_or(Stop::Malformed)?;
        if order([*k0, *k1]) == PAYLOAD {
            return Ok(rest.limit(body));
        }
        layer = rest.skip(body.next_multiple_of(4))?;
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::{CLIENT, SERVER, ether, join, ports, segment, unread};

    #[test]
    fn what_a_recorder_puts_in_front_is_skipped() {
        let inner = ether(0x0800, &segment());
        assert_eq!(ports(192, &join(&[&[0, 0, 10, 0, 1, 0, 0, 0, 9, 9], &inner])), Some((CLIENT, SERVER)));
        let pktap = join(&[&[108, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0], &[0; 96], &inner]);
        assert_eq!(ports(258, &pktap), Some((CLIENT, SERVER)));
        assert_eq!(ports(149, &pktap), Some((CLIENT, SERVER)));
    }

    #[test]
    fn nflog_attributes_are_walked_in_both_byte_orders() {
        let packet = segment();
        let length = u16::try_from(packet.len() + 4).unwrap();
        let little = join(&[&[2, 0, 0, 0, 5, 0, 1, 0, 9, 0, 0, 0], &length.to_le_bytes(), &[9, 0], &packet]);
        let big = join(&[&[2, 0, 0, 0, 0, 5, 0, 1, 9, 0, 0, 0], &length.to_be_bytes(), &[0, 9], &packet]);
        assert_eq!(ports(239, &little), Some((CLIENT, SERVER)));
        assert_eq!(ports(239, &big), Some((CLIENT, SERVER)));
    }

    #[test]
    fn headers_of_headers_end() {
        let nested = [0, 0, 8, 0, 192, 0, 0, 0].repeat(1_000);
        assert_eq!(unread(192, &nested).malformed, 1);
    }
}
