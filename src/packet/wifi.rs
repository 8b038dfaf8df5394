//! IEEE 802.11 data frames, alone or behind the radio's measurements.

use super::layer::{Layer, Reading, Stop};
use super::link;

/// A frame as it was sent.
pub(super) fn plain(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    data(layer, false, depth)
}

/// Behind a radiotap header (radiotap.org): version 0, length, a chain of bit fields, then values.
pub(super) fn radiotap(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    let [version, _, low, high, present @ ..] = *layer.head::<8>()?;
    if version != 0 {
        return Err(Stop::Malformed);
    }
    let rest = layer.skip(u16::from_le_bytes([low, high]).into())?;
    data(rest, radiotap_padded(layer.bytes, u32::from_le_bytes(present)), depth)
}

/// Whether the flags say that the 802.11 header is padded to four bytes.
fn radiotap_padded(bytes: &[u8], first: u32) -> bool {
    const TIME: u32 = 1;
    const FLAGS: u32 = 1 << 1;
    const ANOTHER: u32 = 1 << 31;
    if first & FLAGS == 0 {
        return false;
    }
    let mut words = bytes.get(4..).unwrap_or_default().chunks_exact(4);
    let mut at: usize = 4;
    while let Some(&[a, b, c, d]) = words.next() {
        at = at.saturating_add(4);
        if u32::from_le_bytes([a, b, c, d]) & ANOTHER == 0 {
            break;
        }
    }
    if first & TIME != 0 {
        at = at.next_multiple_of(8).saturating_add(8);
    }
    bytes.get(at).is_some_and(|flags| flags & 0x20 != 0)
}

/// Behind a Prism header, or an AVS header under the same link type.
pub(super) fn prism(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    let [a, b, c, d, length @ ..] = *layer.head::<8>()?;
    if [a, b] == [0x80, 0x21] {
        return avs(layer, depth);
    }
    // The header is in the byte order of the recording host, its first field is 0x44 (or 0x41 from some drivers).
    let length = match [a, b, c, d] {
        [0x44 | 0x41, 0, 0, 0] => u32::from_le_bytes(length),
        [0, 0, 0, 0x44 | 0x41] => u32::from_be_bytes(length),
        _ => return Err(Stop::Malformed),
    };
    data(layer.skip(usize::try_from(length).unwrap_or(usize::MAX))?, false, depth)
}

/// Behind an AVS header: magic and version, length, both in network order.
pub(super) fn avs(layer: Layer<'_>, depth: u8) -> Reading<'_> {
    let [_, _, _, _, length @ ..] = *layer.head::<8>()?;
    let length = u32::from_be_bytes(length);
    data(layer.skip(usize::try_from(length).unwrap_or(usize::MAX))?, false, depth)
}

/// A MAC frame (IEEE 802.11-2020 §9.2.4, §9.3.2.1); only data that is neither protected nor a later fragment has IP to
/// be read.
fn data(layer: Layer<'_>, padded: bool, depth: u8) -> Reading<'_> {
    const TO_AND_FROM_DS: u8 = 0x03;
    const PROTECTED: u8 = 0x40;
    const ORDER: u8 = 0x80;
    const NO_DATA: u8 = 0x40;
    const QOS: u8 = 0x80;

    let [control, flags] = *layer.head::<2>()?;
    if control & 0x0f != 0x08 || control & NO_DATA != 0 || flags & PROTECTED != 0 {
        return Err(Stop::NotIp);
    }
    let [.., sequence, _] = *layer.head::<24>()?;
    if sequence & 0x0f != 0 {
        return Err(Stop::NotIp);
    }
    let addresses = if flags & TO_AND_FROM_DS == TO_AND_FROM_DS { 30 } else { 24 };
    let mut length = addresses;
    let mut aggregated = false;
    if control & QOS != 0 {
        let [qos, _] = *layer.skip(addresses)?.head::<2>()?;
        aggregated = qos & 0x80 != 0;
        length = addresses + if flags & ORDER == 0 { 2 } else { 6 };
    }
    let length = if padded { length.next_multiple_of(4) } else { length };
    // Of an aggregate (A-MSDU) the first part is read: addresses and length stand before it.
    link::llc(layer.skip(if aggregated { length + 14 } else { length })?, depth)
}

#[cfg(test)]
mod tests {
    use super::super::build::{CLIENT, SERVER, join, ports, segment, unread};

    const SNAP: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];

    fn mac(control: u8, flags: u8, more: usize) -> Vec<u8> {
        join(&[&[control, flags], &[0; 22], &vec![0; more], &SNAP, &segment()])
    }

    #[test]
    fn data_frames_with_every_length_of_header() {
        for (control, flags, more) in [(8, 1, 0), (8, 3, 6), (0x88, 2, 2), (0x88, 0x83, 12)] {
            assert_eq!(ports(105, &mac(control, flags, more)), Some((CLIENT, SERVER)), "{control:x} {flags:x}");
        }
        let aggregate = join(&[&[0x88, 1], &[0; 22], &[0x80, 0], &[0; 14], &SNAP, &segment()]);
        assert_eq!(ports(105, &aggregate), Some((CLIENT, SERVER)));
    }

    #[test]
    fn management_and_protected_frames_are_no_ip() {
        for (control, flags) in [(0x80, 0), (0x48, 1), (0x08, 0x41), (0xc8, 1)] {
            assert_eq!(unread(105, &mac(control, flags, 2)).not_ip, 1, "{control:x} {flags:x}");
        }
    }

    #[test]
    fn headers_of_the_radio_are_skipped() {
        let plain = mac(8, 1, 0);
        assert_eq!(ports(127, &join(&[&[0, 0, 8, 0, 0, 0, 0, 0], &plain])), Some((CLIENT, SERVER)));
        let padded = mac(0x88, 1, 4);
        let flags = [0, 0, 17, 0, 3, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0x20];
        assert_eq!(ports(127, &join(&[&flags, &padded])), Some((CLIENT, SERVER)));
        assert_eq!(ports(119, &join(&[&[0x44, 0, 0, 0, 12, 0, 0, 0, 1, 1, 1, 1], &plain])), Some((CLIENT, SERVER)));
        let avs = join(&[&[0x80, 0x21, 0x10, 1, 0, 0, 0, 12, 1, 1, 1, 1], &plain]);
        assert_eq!(ports(163, &avs), Some((CLIENT, SERVER)));
        assert_eq!(ports(119, &avs), Some((CLIENT, SERVER)));
    }
}
