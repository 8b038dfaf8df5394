//! Recordings that are not what they promise: everything readable is yielded, and the rest is told.

use std::io::Write;

use proptest::prelude::*;

use crate::source::testing::{Owned, PcapWriter, PcapngWriter, frames, gzip, read, temporary};
use crate::source::{Fault, Input, Reader, Record, Secrets};

/// Twenty frames of 100 bytes, each beginning with its number, and where each record begins.
fn pcap() -> (Vec<u8>, Vec<usize>) {
    let mut writer = PcapWriter::little(1);
    let mut starts = Vec::new();
    for number in 0..20_u8 {
        starts.push(writer.bytes.len());
        writer.frame(1_700_000_000 + u32::from(number), 5, &[&[number][..], &[0x55; 99]].concat());
    }
    (writer.bytes, starts)
}

fn pcapng() -> (Vec<u8>, Vec<usize>) {
    let mut writer = PcapngWriter::begun(false, 1);
    let mut starts = Vec::new();
    for number in 0..20_u8 {
        starts.push(writer.bytes.len());
        writer.packet(0, 1_700_000_000_000_000, &[&[number][..], &[0x55; 99]].concat(), &[]);
    }
    (writer.bytes, starts)
}

/// The first bytes of the frames that are whole.
fn numbers(records: &[Owned]) -> Vec<u8> {
    frames(records).iter().filter(|bytes| bytes.len() == 100).map(|bytes| bytes[0]).collect()
}

fn without(lost: &[u8]) -> Vec<u8> {
    (0..20).filter(|number| !lost.contains(number)).collect()
}

#[test]
fn a_recording_that_is_cut_is_read_up_to_there() {
    for (bytes, starts) in [pcap(), pcapng()] {
        for cut in [1, 8, 15, 16, 17, 60, 115] {
            let (records, summary) = read(&[&bytes[..starts[12] + cut]]);
            assert_eq!(numbers(&records), (0..12).collect::<Vec<_>>());
            assert_eq!(summary.damaged, 1);
            assert_eq!(summary.damage[0].offset, starts[12] as u64);
            assert_eq!(summary.damage[0].what, Fault::CutShort);
        }
        assert_eq!(read(&[&bytes[..starts[12]]]).1.damaged, 0);
    }
}

#[test]
fn pcap_lengths_that_cannot_be_cost_one_record() {
    for length in [101, 99, 0, 1, 117, 5000, 300_000, 0x7fff_ffff, u32::MAX] {
        let (mut bytes, starts) = pcap();
        bytes[starts[7] + 8..starts[7] + 12].copy_from_slice(&length.to_le_bytes());
        let (records, summary) = read(&[&bytes]);
        assert_eq!(numbers(&records), without(&[7]), "captured length {length}");
        assert_eq!(summary.damaged, 1, "captured length {length}");
    }
}

#[test]
fn pcap_records_swallowed_by_a_long_one_are_found() {
    let (mut bytes, starts) = pcap();
    // Both lengths are wrong, so that nothing about the header is odd.
    for at in [8, 12] {
        bytes[starts[7] + at..starts[7] + at + 4].copy_from_slice(&1000_u32.to_le_bytes());
    }
    let (records, summary) = read(&[&bytes]);
    assert_eq!(numbers(&records), without(&[7]));
    assert_eq!((summary.damaged, summary.frames), (1, 20));
}

#[test]
fn pcap_with_a_hole_or_padding() {
    let (mut bytes, starts) = pcap();
    bytes[starts[3] - 50..starts[5] + 40].fill(0);
    let (records, summary) = read(&[&bytes]);
    assert_eq!(numbers(&records), without(&[3, 4, 5]));
    assert_eq!(summary.damaged, 1);
    let (mut bytes, _) = pcap();
    bytes.extend_from_slice(&[0; 5000]);
    let (records, summary) = read(&[&bytes]);
    assert_eq!((numbers(&records), summary.damaged), (without(&[]), 1));
    let (mut bytes, starts) = pcap();
    bytes.drain(starts[3] + 5..starts[4] + 9);
    assert_eq!(numbers(&read(&[&bytes]).0), without(&[3, 4]));
}

#[test]
fn pcap_oddities_of_other_writers_are_no_damage() {
    let mut writer = PcapWriter::little(1);
    writer.frame(1_700_000_000, 0, b"a");
    writer.frame(5, 0, b"clock set back by decades");
    writer.frame(1_700_000_000, 4_000_000_000, b"fraction above a second");
    writer.header(1_700_000_000, 0, 4, 1);
    writer.bytes.extend_from_slice(b"more");
    writer.header(1_700_000_000, 0, 0, 0);
    writer.frame(1_700_000_001, 0, b"z");
    let (records, summary) = read(&[&writer.bytes]);
    assert_eq!((frames(&records).len(), summary.damaged), (6, 0));
}

#[test]
fn pcapng_lengths_that_cannot_be_cost_one_block() {
    for length in [0_u32, 3, 11, 12, 136, 1320, 0x7fff_fff0, u32::MAX] {
        let (mut bytes, starts) = pcapng();
        bytes[starts[7] + 4..starts[7] + 8].copy_from_slice(&length.to_le_bytes());
        let (records, summary) = read(&[&bytes]);
        assert_eq!(numbers(&records), without(&[7]), "length {length}");
        assert_eq!(summary.damaged, 1, "length {length}");
        let (mut bytes, starts) = pcapng();
        bytes[starts[8] - 4..starts[8]].copy_from_slice(&length.to_le_bytes());
        let (records, summary) = read(&[&bytes]);
        assert_eq!(numbers(&records), without(&[]), "a wrong length at the end can be done without");
        assert_eq!((summary.damaged, summary.damage[0].offset), (1, starts[7] as u64));
    }
}

#[test]
fn pcapng_contents_that_exceed_their_block() {
    let (mut bytes, starts) = pcapng();
    bytes[starts[7] + 20..starts[7] + 24].copy_from_slice(&u32::MAX.to_le_bytes());
    let (records, summary) = read(&[&bytes]);
    assert_eq!(numbers(&records), without(&[]), "the original length tells how much is the packet");
    assert_eq!(summary.damaged, 1);
    let mut writer = PcapngWriter::begun(false, 1);
    for kind in [1, 2, 3, 5, 6, 10] {
        writer.block(kind, &[]);
        writer.block(kind, &[0, 0, 0]);
    }
    writer.packet(0, 1, b"still here", &[]);
    let (records, _) = read(&[&writer.bytes]);
    assert_eq!(frames(&records).last(), Some(&&b"still here"[..]));
}

#[test]
fn pcapng_with_a_damaged_first_header_or_unknown_version() {
    for big in [false, true] {
        let mut writer = PcapngWriter::begun(big, 1);
        writer.packet(0, 1, b"a", &[]);
        let mut bytes = writer.bytes.clone();
        bytes[4..8].copy_from_slice(&[0x7f; 4]);
        let (records, summary) = read(&[&bytes]);
        assert_eq!((frames(&records).len(), summary.damaged), (1, 1));
        let mut bytes = writer.bytes.clone();
        bytes[12..14].copy_from_slice(&[2, 2]);
        bytes.extend_from_slice(&writer.bytes);
        let (records, summary) = read(&[&bytes]);
        assert_eq!(frames(&records).len(), 1, "only that of the second section");
        assert_eq!(summary.damage[0].what, Fault::Version { major: 0x0202 });
    }
}

#[test]
fn damaged_compression_ends_the_recording() {
    let mut writer = PcapWriter::little(1);
    for number in 0..30_000_u32 {
        writer.frame(1000, 0, &number.wrapping_mul(0x9e37_79b9).to_le_bytes().repeat(9));
    }
    let packed = gzip(&writer.bytes);
    let mut flipped = packed.clone();
    let crc = flipped.len() - 6;
    flipped[crc] ^= 1;
    let (_, summary) = read(&[&flipped]);
    assert_eq!((summary.frames, summary.damaged), (30_000, 1), "the checksum comes last");
    assert!(matches!(summary.damage[0].what, Fault::Unreadable { .. }));
    let (_, summary) = read(&[&packed[..packed.len() / 2]]);
    assert!(summary.frames > 10_000 && summary.damaged > 0, "{summary:?}");
    let (_, summary) = read(&[&[&packed[..], b"trailing"].concat()]);
    assert_eq!((summary.frames, summary.damaged), (30_000, 1));
    let packed = zstd::encode_all(&writer.bytes[..], 1).unwrap();
    let (_, summary) = read(&[&packed[..packed.len() / 2]]);
    assert!(summary.frames > 5_000 && summary.damaged > 0, "{summary:?}");
}

#[test]
fn a_decompression_bomb_is_a_stream_like_any_other() {
    // 256 MiB of zeros behind one packet, in 256 KiB.
    let mut writer = PcapWriter::little(1);
    writer.frame(1000, 0, b"x");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&writer.bytes).unwrap();
    for _ in 0..64 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let (records, summary) = read(&[&encoder.finish().unwrap()]);
    assert_eq!((records.len(), summary.damaged), (1, 1));
}

#[test]
fn a_file_that_has_gone_or_changed_is_damage() {
    let (bytes, _) = pcap();
    let file = temporary(&bytes);
    let inputs = [Input::open(file.path()).unwrap()];
    std::fs::write(file.path(), b"something else altogether, and long enough").unwrap();
    let mut reader = Reader::new(&inputs);
    assert!(reader.next().is_none());
    assert_eq!(reader.summary().damaged, 1);
    drop(file);
    let mut reader = Reader::new(&inputs);
    assert!(reader.next().is_none() && reader.next().is_none());
    assert!(matches!(reader.summary().damage[0].what, Fault::Unreadable { .. }));
    assert!(inputs[0].sha256().is_err());
}

/// A change to a file.
#[derive(Clone, Debug)]
enum Change {
    Flip(prop::sample::Index, u8),
    Word(prop::sample::Index, u32),
    Cut(prop::sample::Index),
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<prop::sample::Index>;
    let word = prop_oneof![any::<u32>(), 0..600_u32, Just(0x0100_0000), Just(0xffff_fffc), Just(0x7fff_ffff)];
    prop_oneof![
        4 => (place(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        4 => (place(), word).prop_map(|(at, word)| Change::Word(at, word)),
        1 => place().prop_map(Change::Cut),
        1 => (place(), 1..200_usize).prop_map(|(at, count)| Change::Remove(at, count)),
        1 => (place(), prop::collection::vec(any::<u8>(), 1..100)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    // The file's own header stays: without it nothing is read.
    let from = 24;
    let at = |index: &prop::sample::Index, length: usize| from + index.index(length.saturating_sub(from).max(1));
    match change {
        Change::Flip(index, bit) => {
            let at = at(index, bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        Change::Word(index, word) => {
            let at = at(index, bytes.len()) & !3;
            if let Some(place) = bytes.get_mut(at..at + 4) {
                place.copy_from_slice(&word.to_le_bytes());
            }
        }
        Change::Cut(index) => bytes.truncate(at(index, bytes.len())),
        Change::Remove(index, count) => {
            let at = at(index, bytes.len()).min(bytes.len());
            bytes.drain(at..(at + count).min(bytes.len()));
        }
        Change::Insert(index, more) => {
            let at = at(index, bytes.len()).min(bytes.len());
            bytes.splice(at..at, more.iter().copied());
        }
    }
}

fn varied(big: bool) -> Vec<u8> {
    let mut writer = PcapngWriter::begun(big, 1);
    writer.interface(101, 96, &[(9, &[9]), (1, b"comment")]);
    writer.secrets(0x544c_534b, b"CLIENT_RANDOM 1 2");
    for number in 0..6_u8 {
        let options: &[(u16, &[u8])] = if number % 2 == 0 { &[(1, b"note"), (4, &[0; 8])] } else { &[] };
        writer.packet(u32::from(number % 2), 1 << 40, &[number; 50], options);
        writer.statistics(0, &[(5, &[0; 8])]);
        writer.block(3, &[20; 24]);
    }
    writer.big = !big;
    writer.section(&[(1, b"second")]);
    writer.interface(113, 0, &[]);
    writer.packet(0, 7, &[7; 70], &[]);
    writer.bytes
}

/// Reads to the end, and checks what holds for every file.
fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let file = temporary(bytes);
    let Ok(input) = Input::open(file.path()) else { return Ok(()) };
    let mut secrets = Secrets::new(std::slice::from_ref(&input));
    while secrets.next().is_some() {}
    let inputs = [input.clone(), input];
    let mut reader = Reader::new(&inputs);
    let mut last = [0; 2];
    let mut total = 0;
    while let Some(record) = reader.next() {
        match record {
            Record::Frame(frame) => {
                let last = &mut last[usize::from(frame.no.file)];
                prop_assert_eq!(frame.no.number, *last + 1);
                *last = frame.no.number;
                total += frame.bytes.len() as u64;
            }
            Record::Note(note) => {
                if let Some(no) = note.frame {
                    prop_assert_eq!(no.number, last[usize::from(no.file)]);
                }
                total += note.text.len() as u64;
            }
            Record::Secret(secret) => total += secret.key_log.len() as u64,
        }
    }
    prop_assert_eq!(reader.summary().frames, u64::from(last[0]) + u64::from(last[1]));
    prop_assert_eq!(last[0], last[1], "the same file twice is read the same way");
    // Each byte is lent at most a few times: records found again within a damaged one.
    prop_assert!(total <= 40 * 2 * (bytes.len() as u64 + 64), "{} from {}", total, bytes.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn changed_pcap_is_read_to_the_end(
        changes in prop::collection::vec(change(), 1..8),
        (magic, big) in (prop::sample::select(vec![0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34]), any::<bool>()),
    ) {
        let mut writer = PcapWriter::new(magic, big, (2, 4), 1);
        for number in 0..20_u8 {
            writer.frame(1_700_000_000 + u32::from(number), 5, &vec![number; usize::from(number) * 9]);
        }
        let mut bytes = writer.bytes;
        changes.iter().for_each(|change| apply(&mut bytes, change));
        check(&bytes)?;
    }

    #[test]
    fn changed_pcapng_is_read_to_the_end(changes in prop::collection::vec(change(), 1..8), big: bool) {
        let mut bytes = varied(big);
        changes.iter().for_each(|change| apply(&mut bytes, change));
        check(&bytes)?;
    }

    #[test]
    fn changed_compressions_are_read_to_the_end(changes in prop::collection::vec(change(), 1..4), kind in 0..3) {
        let plain = varied(false);
        let mut bytes = match kind {
            0 => gzip(&plain),
            1 => zstd::encode_all(&plain[..], 3).unwrap(),
            _ => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(&plain).unwrap();
                encoder.finish().unwrap()
            }
        };
        changes.iter().for_each(|change| apply(&mut bytes, change));
        check(&bytes)?;
    }

    #[test]
    fn arbitrary_bytes_behind_a_header_are_read_to_the_end(more in prop::collection::vec(any::<u8>(), 0..2000), ng: bool) {
        let mut bytes = if ng { PcapngWriter::begun(false, 1).bytes } else { PcapWriter::little(1).bytes };
        bytes.extend_from_slice(&more);
        check(&bytes)?;
    }
}
