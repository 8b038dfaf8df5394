//! The way from a frame to a packet, and the counts of what did not get there.

use super::fragments::{Fragments, Whole};
use super::ip::protocol;
use super::layer::{Datagram, Found, Fragment, Layer, Stop};
use super::transport::{length, tcp, udp};
use super::{Packet, Transport, Unread, icmp, link};
use crate::source::Frame;
use crate::types::Timestamp;

/// Reads frames of any link type, in capture order. It holds the fragments of packets that are not whole yet.
#[derive(Default)]
pub struct Decoder {
    pub(super) fragments: Fragments,
    /// The packet that the last fragment made whole: what was returned borrows from it.
    whole: Option<Whole>,
    unread: Unread,
}

impl Decoder {
    /// One that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The packet in `frame`, or the packet that `frame` completes as its last fragment.
    ///
    /// `None` where there is none yet (a fragment) or none at all; the reason is counted in [`Self::unread`]. Of nested
    /// packets it is the innermost that can be read, down to eight levels. Payloads are slices of the frame; only those
    /// of packets that came in fragments are slices of the decoder's own memory.
    #[inline]
    pub fn decode<'s>(&'s mut self, frame: &Frame<'s>) -> Option<Packet<'s>> {
        let layer = Layer::new(frame.bytes, usize::try_from(frame.original_length).unwrap_or(usize::MAX));
        match link::read(frame.link, layer) {
            Ok(Found::Datagram(datagram)) => Some(packet(datagram, layer.missing() != 0, &mut self.unread)),
            Ok(Found::Fragment(fragment)) => self.fragment(&fragment, frame.time),
            Err(stop) => {
                count(stop, layer.missing() != 0, &mut self.unread);
                None
            }
        }
    }

    /// What could not be read so far. Fragments still waiting for the rest of their packet are counted as unread.
    #[must_use]
    pub fn unread(&self) -> Unread {
        Unread { fragments: self.unread.fragments.saturating_add(self.fragments.waiting()), ..self.unread }
    }

    #[cold]
    fn fragment(&mut self, fragment: &Fragment<'_>, time: Timestamp) -> Option<Packet<'_>> {
        let mut whole = self.fragments.push(fragment, time, &mut self.unread)?;
        // What was put together may be a fragment again, of the packet inside a tunnel.
        while let Ok(Found::Fragment(inner)) = whole.read() {
            whole = self.fragments.push(&inner, time, &mut self.unread)?;
        }
        let whole = self.whole.insert(whole);
        match whole.read() {
            Ok(Found::Datagram(datagram)) => Some(packet(datagram, whole.cut(), &mut self.unread)),
            Ok(Found::Fragment(_)) => None,
            Err(stop) => {
                count(stop, whole.cut(), &mut self.unread);
                None
            }
        }
    }
}

/// Reads the transport header. `cut` says whether the recording holds less than there was.
#[inline]
fn packet<'a>(datagram: Datagram<'a>, cut: bool, unread: &mut Unread) -> Packet<'a> {
    let Datagram { ip, protocol, body, mut trouble } = datagram;
    let transport = match protocol {
        protocol::TCP => tcp(body, &mut trouble).map(Transport::Tcp),
        protocol::UDP => udp(body).map(Transport::Udp),
        protocol::ICMP if ip.source.is_ipv4() => icmp::version_4(body).map(Transport::Icmp),
        protocol::ICMPV6 if ip.source.is_ipv6() => icmp::version_6(body).map(Transport::Icmp),
        _ => Ok(Transport::Other),
    };
    let transport = transport.unwrap_or_else(|stop| {
        trouble = Some(stop);
        Transport::Other
    });
    if let Some(stop) = trouble {
        count(stop, cut, unread);
    }
    Packet { ip, transport, missing: length(body.missing()) }
}

#[cold]
fn count(stop: Stop, cut: bool, unread: &mut Unread) {
    let counter = match stop {
        Stop::UnknownLink => &mut unread.unknown_link,
        Stop::NotIp => &mut unread.not_ip,
        Stop::Short if cut => &mut unread.truncated,
        Stop::Malformed | Stop::Short => &mut unread.malformed,
    };
    *counter = counter.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};

    use super::super::build::{ether, frame, ipv4, ipv4_part, ipv6, join, segment, segment_6, tcp, udp};
    use super::*;

    /// Every known link type, and one that is not.
    const LINKS: [u16; 29] = [
        0, 1, 6, 8, 9, 10, 12, 14, 50, 51, 100, 101, 104, 105, 108, 113, 119, 127, 129, 149, 163, 192, 204, 228, 229,
        239, 258, 276, 147,
    ];

    #[test]
    fn payloads_are_slices_of_the_frame() {
        let bytes = ether(0x0800, &segment());
        let mut decoder = Decoder::new();
        let packet = decoder.decode(&frame(1, &bytes)).unwrap();
        let Transport::Tcp(tcp) = packet.transport else { panic!("no segment") };
        assert!(bytes.as_ptr_range().contains(&tcp.payload.as_ptr()));
    }

    #[test]
    fn a_quoted_packet_is_no_packet() {
        let bytes = ipv4(1, &join(&[&[3, 3, 0, 0, 0, 0, 0, 0], &segment()]));
        let mut decoder = Decoder::new();
        assert!(matches!(decoder.decode(&frame(101, &bytes)).unwrap().transport, Transport::Icmp(_)));
        // ICMPv6 inside IPv4 is neither.
        let bytes = ipv4(58, &[1; 16]);
        assert_eq!(decoder.decode(&frame(101, &bytes)).unwrap().transport, Transport::Other);
    }

    /// Frames that are nearly right, of every kind that this room reads.
    fn seeds() -> impl Strategy<Value = Vec<u8>> {
        let inner = ether(0x0800, &segment());
        let packets = vec![
            ipv4(6, &tcp(&[2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7], b"data")),
            ipv4_part(17, 0x2000, 9, &udp(53, 53, &[1; 24])),
            ipv4_part(17, 2, 9, &[1; 16]),
            ipv6(0, &join(&[&[44, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 1, 0, 0, 0, 1], &tcp(&[], b"abcd")])),
            ipv6(44, &join(&[&[6, 0, 0, 24, 0, 0, 0, 1], b"abcd"])),
            ipv4(17, &udp(1, 4789, &join(&[&[8, 0, 0, 0, 0, 0, 1, 0], &inner]))),
            ipv4(17, &udp(1, 6081, &join(&[&[0, 0, 0x65, 0x58, 0, 0, 1, 0], &inner]))),
            ipv4(17, &udp(1, 2152, &join(&[&[0x34, 255, 0, 57, 0, 0, 0, 0, 0, 0, 0, 0x85, 1, 9, 9, 0], &segment()]))),
            ipv4(17, &udp(3544, 1, &join(&[&[0, 0, 1, 2, 3, 4, 5, 6], &segment_6()]))),
            ipv4(47, &join(&[&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &inner])),
            ipv4(137, &join(&[&[0, 0, 1, 64, 0, 0, 0, 0], &inner])),
            ipv6(58, &join(&[&[1, 4, 0, 0, 0, 0, 0, 0], &ipv6(17, &udp(1, 53, &[1; 12]))])),
            ipv4(1, &join(&[&[3, 4, 0, 0, 0, 0, 5, 0], &segment()])),
        ];
        let fronts = vec![
            vec![],
            vec![2; 12].into_iter().chain([0x08, 0]).collect(),
            vec![2; 12].into_iter().chain([0x81, 0, 0, 1, 0x88, 0x47, 0, 0, 1, 64]).collect(),
            vec![2; 12].into_iter().chain([0x88, 0x64, 0x11, 0, 0, 1, 0, 60, 0, 0x21]).collect(),
            vec![2, 0, 0, 0],
            vec![0xff, 3, 0, 0x21],
            vec![0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0],
            vec![8, 1].into_iter().chain([0; 22]).chain([0xaa, 0xaa, 3, 0, 0, 0, 8, 0]).collect(),
            vec![0, 0, 8, 0, 0, 0, 0, 0, 8, 1]
                .into_iter()
                .chain([0; 22])
                .chain([0xaa, 0xaa, 3, 0, 0, 0, 8, 0])
                .collect(),
            vec![2, 0, 0, 0, 60, 0, 9, 0],
            vec![0, 0, 8, 0, 101, 0, 0, 0],
        ];
        (prop::sample::select(fronts), prop::sample::select(packets))
            .prop_map(|(front, packet)| join(&[&front, &packet]))
    }

    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5);
        let mutated =
            (seeds(), changes, prop_oneof![3 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)])
                .prop_map(|(mut bytes, changes, cut)| {
                    for (at, byte) in changes {
                        let at = at.index(bytes.len());
                        bytes[at] = byte;
                    }
                    bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
                    bytes
                });
        prop_oneof![4 => mutated, 1 => prop::collection::vec(any::<u8>(), 0..200)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_bytes_break_the_decoder(frames in prop::collection::vec((hostile(), 0_u32..80), 1..6)) {
            for link in LINKS {
                let mut decoder = Decoder::new();
                for (bytes, cut) in &frames {
                    let mut frame = frame(link, bytes);
                    frame.original_length = frame.original_length.saturating_add(cut.saturating_sub(40));
                    let lengths = match decoder.decode(&frame) {
                        Some(Packet { transport: Transport::Tcp(tcp), missing, .. }) => {
                            Some((tcp.payload.len(), tcp.declared, missing))
                        }
                        Some(Packet { transport: Transport::Udp(udp), missing, .. }) => {
                            Some((udp.payload.len(), udp.declared, missing))
                        }
                        _ => None,
                    };
                    if let Some((recorded, declared, missing)) = lengths {
                        let recorded = u32::try_from(recorded).unwrap();
                        assert!(recorded <= declared);
                        assert!(missing > 0 || recorded == declared);
                    }
                }
            }
        }
    }
}
