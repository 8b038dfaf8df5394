//! Builds frames for the tests of this room.

use super::{Decoder, Packet, Transport, Unread};
use crate::source::Frame;
use crate::types::{FrameNo, Timestamp};

pub(super) const CLIENT: u16 = 40_000;
pub(super) const SERVER: u16 = 443;

pub(super) fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn half(value: usize) -> [u8; 2] {
    u16::try_from(value).unwrap().to_be_bytes()
}

pub(super) fn ether(kind: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&[2; 12], &kind.to_be_bytes(), payload])
}

pub(super) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_part(protocol, 0x4000, 7, payload)
}

/// `place` holds flags and offset as the header does.
pub(super) fn ipv4_part(protocol: u8, place: u16, id: u16, payload: &[u8]) -> Vec<u8> {
    let length = half(20 + payload.len());
    let head = [&[0x45, 0], &length[..], &id.to_be_bytes(), &place.to_be_bytes(), &[61, protocol, 0, 0]].concat();
    join(&[&head, &[10, 0, 0, 1], &[10, 0, 0, 2], payload])
}

pub(super) fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let address = |last| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    join(&[&[0x60, 0, 0, 0], &half(payload.len()), &[next, 58], &address(1), &address(2), payload])
}

/// SYN and ACK set, sequence number 0x01020304, window 0x1000.
pub(super) fn tcp(options: &[u8], payload: &[u8]) -> Vec<u8> {
    let offset = u8::try_from((20 + options.len()) / 4).unwrap() << 4;
    let ports = [CLIENT.to_be_bytes(), SERVER.to_be_bytes()].concat();
    let fixed = [1, 2, 3, 4, 5, 6, 7, 8, offset, 0x12, 0x10, 0, 0, 0, 0, 0];
    join(&[&ports, &fixed, options, payload])
}

pub(super) fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let length = half(8 + payload.len());
    join(&[&source.to_be_bytes(), &destination.to_be_bytes(), &length, &[0, 0], payload])
}

/// The packet that the tests of links and tunnels hide.
pub(super) fn segment() -> Vec<u8> {
    ipv4(6, &tcp(&[], b"hello"))
}

pub(super) fn segment_6() -> Vec<u8> {
    ipv6(6, &tcp(&[], b"hello"))
}

pub(super) fn frame(link: u16, bytes: &[u8]) -> Frame<'_> {
    let original_length = u32::try_from(bytes.len()).unwrap();
    Frame { no: FrameNo { file: 0, number: 1 }, time: Timestamp::from_seconds(1), link, bytes, original_length }
}

/// Ports of the packet, where it is TCP or UDP.
pub(super) fn packet_ports(packet: &Packet<'_>) -> Option<(u16, u16)> {
    match &packet.transport {
        Transport::Tcp(tcp) => Some((tcp.source_port, tcp.destination_port)),
        Transport::Udp(udp) => Some((udp.source_port, udp.destination_port)),
        Transport::Icmp(_) | Transport::Other => None,
    }
}

/// Ports of the packet in a frame.
pub(super) fn ports(link: u16, bytes: &[u8]) -> Option<(u16, u16)> {
    packet_ports(&Decoder::new().decode(&frame(link, bytes))?)
}

/// What a frame adds to the counts.
pub(super) fn unread(link: u16, bytes: &[u8]) -> Unread {
    let mut decoder = Decoder::new();
    decoder.decode(&frame(link, bytes));
    decoder.unread()
}
