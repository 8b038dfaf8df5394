//! Frames and files made by hand.

use std::io::Write as _;

use goprobe::types::{FrameNo, Timestamp};

use super::pipeline::Captured;

pub const SYN: u8 = 2;

/// Pseudo-random numbers that are the same in every run (`SplitMix64`).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }
}

/// An Ethernet frame with an IPv4 packet.
fn frame(protocol: u8, source: [u8; 4], destination: [u8; 4], payload: &[u8]) -> Captured {
    let length = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let header = [0x45, 0, length[0], length[1], 0, 1, 0x40, 0, 64, protocol, 0, 0];
    let bytes = [&[0; 12][..], &[8, 0], &header, &source, &destination, payload].concat();
    let original_length = u32::try_from(bytes.len()).unwrap();
    let time = Timestamp::from_seconds(1_795_341_600);
    Captured { no: FrameNo { file: 0, number: 1 }, time, link: 1, bytes, original_length }
}

/// A UDP datagram.
pub fn udp(source: ([u8; 4], u16), destination: ([u8; 4], u16), payload: &[u8]) -> Captured {
    let length = u16::try_from(8 + payload.len()).unwrap();
    let ports = [source.1.to_be_bytes(), destination.1.to_be_bytes(), length.to_be_bytes(), [0, 0]].concat();
    frame(17, source.0, destination.0, &[&ports, payload].concat())
}

/// A TCP segment.
pub fn tcp(
    source: ([u8; 4], u16),
    destination: ([u8; 4], u16),
    flags: u8,
    seq: u32,
    ack: u32,
    payload: &[u8],
) -> Captured {
    let segment = [
        &source.1.to_be_bytes()[..],
        &destination.1.to_be_bytes(),
        &seq.to_be_bytes(),
        &ack.to_be_bytes(),
        &[0x50, flags, 0xfa, 0xf0, 0, 0, 0, 0],
        payload,
    ]
    .concat();
    frame(6, source.0, destination.0, &segment)
}

/// A pcap file with nanoseconds.
pub fn pcap(frames: &[Captured]) -> Vec<u8> {
    let link = frames.first().map_or(1, |frame| u32::from(frame.link));
    let mut bytes = [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, link].map(u32::to_le_bytes).concat();
    for frame in frames {
        let (seconds, nanos) =
            (frame.time.nanos().div_euclid(1_000_000_000), frame.time.nanos().rem_euclid(1_000_000_000));
        let words = [
            u32::try_from(seconds).unwrap(),
            u32::try_from(nanos).unwrap(),
            length(&frame.bytes),
            frame.original_length,
        ];
        bytes.extend(words.map(u32::to_le_bytes).concat());
        bytes.extend(&frame.bytes);
    }
    bytes
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}

/// A pcapng file of one section and one interface, with nanoseconds.
pub fn pcapng(frames: &[Captured]) -> Vec<u8> {
    let link = frames.first().map_or(1, |frame| frame.link);
    let mut bytes = block(0x0a0d_0d0a, &[&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat());
    let resolution = [9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend(block(1, &[&link.to_le_bytes()[..], &[0, 0], &262_144_u32.to_le_bytes(), &resolution].concat()));
    for frame in frames {
        let time = u64::try_from(frame.time.nanos()).unwrap();
        let (high, low) = (u32::try_from(time >> 32).unwrap(), u32::try_from(time & 0xffff_ffff).unwrap());
        let words = [0, high, low, length(&frame.bytes), frame.original_length].map(u32::to_le_bytes).concat();
        let padding = vec![0; frame.bytes.len().next_multiple_of(4) - frame.bytes.len()];
        bytes.extend(block(6, &[&words[..], &frame.bytes, &padding].concat()));
    }
    bytes
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let total = (length(body) + 12).to_le_bytes();
    [&kind.to_le_bytes()[..], &total, body, &total].concat()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}
