//! Each feature of the formats, with bytes written here.

use std::io::Write;

use crate::source::testing::Owned::{Frame, Note, Secret};
use crate::source::testing::{PcapWriter, PcapngWriter, frames, gzip, read, temporary};
use crate::source::{Input, Secrets, link_type_name};
use crate::types::Timestamp;

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
const MODIFIED: u32 = 0xa1b2_cd34;
const TLSK: u32 = 0x544c_534b;

#[test]
fn pcap_in_both_resolutions_and_byte_orders() {
    for big in [false, true] {
        for (magic, unit) in [(MICROSECONDS, 1000), (NANOSECONDS, 1), (MODIFIED, 1000)] {
            let mut writer = PcapWriter::new(magic, big, (2, 4), 113);
            writer.frame(1_700_000_000, 999_999, b"first");
            writer.header(1_700_000_001, 0, 3, 1500);
            writer.bytes.extend_from_slice(b"cut");
            let (records, summary) = read(&[&writer.bytes]);
            let first = Frame(0, 1, 1_700_000_000_000_000_000 + 999_999 * unit, 113, b"first".to_vec(), 5);
            let second = Frame(0, 2, 1_700_000_001_000_000_000, 113, b"cut".to_vec(), 1500);
            assert_eq!(records, [first, second], "{magic:x} {big}");
            assert_eq!((summary.frames, summary.bytes, summary.cut_frames, summary.damaged), (2, 8, 1, 0));
            assert_eq!((summary.link_type_names().concat(), summary.dropped), ("LINUX_SLL".into(), None));
        }
    }
}

#[test]
fn pcap_link_type_is_below_the_length_of_the_check_sequence() {
    let mut writer = PcapWriter::little(0x2400_0001);
    writer.frame(1, 0, b"x");
    let (records, _) = read(&[&writer.bytes]);
    assert!(matches!(records[..], [Frame(_, _, _, 1, ..)]));
}

#[test]
fn pcap_before_2_4_has_its_lengths_in_either_order() {
    let mut writer = PcapWriter::new(MICROSECONDS, false, (2, 2), 1);
    writer.header(1, 0, 60, 2);
    writer.bytes.extend_from_slice(b"ab");
    writer.frame(2, 0, b"cde");
    let (records, summary) = read(&[&writer.bytes]);
    assert_eq!(frames(&records), [&b"ab"[..], b"cde"]);
    assert_eq!((summary.damaged, summary.cut_frames), (0, 1));
}

#[test]
fn files_without_a_packet_are_readable() {
    let (records, summary) = read(&[&PcapWriter::little(276).bytes]);
    assert!(records.is_empty());
    assert_eq!((summary.damaged, summary.link_types), (0, vec![276]));
    let mut writer = PcapngWriter::default();
    writer.section(&[]);
    let (records, summary) = read(&[&writer.bytes]);
    assert!(records.is_empty());
    assert_eq!((summary.damaged, summary.first), (0, None));
}

#[test]
fn pcapng_sections_have_their_own_byte_order_and_interfaces() {
    let mut writer = PcapngWriter::begun(false, 1);
    writer.interface(101, 0, &[(9, &[9])]);
    writer.packet(1, 1_700_000_000_000_000_007, b"nano", &[]);
    writer.packet(0, 1_700_000_000_000_008, b"micro", &[]);
    writer.big = true;
    writer.section(&[]);
    writer.interface(276, 0, &[(9, &[0x80 | 10]), (14, &(-5_i64).to_be_bytes())]);
    writer.packet(0, 1_700_000_010 * 1024 + 512, b"binary", &[]);
    writer.packet(1, 0, b"not described", &[]);
    let (records, summary) = read(&[&writer.bytes]);
    let expected = [
        Frame(0, 1, 1_700_000_000_000_000_007, 101, b"nano".to_vec(), 4),
        Frame(0, 2, 1_700_000_000_000_008_000, 1, b"micro".to_vec(), 5),
        Frame(0, 3, 1_700_000_005_500_000_000, 276, b"binary".to_vec(), 6),
    ];
    assert_eq!(records, expected);
    assert_eq!(summary.link_types, [1, 101, 276]);
    assert_eq!(summary.damaged, 1, "the last packet's interface belongs to the section before");
}

#[test]
fn pcapng_simple_and_obsolete_packets() {
    for big in [false, true] {
        let mut writer = PcapngWriter { big, ..PcapngWriter::default() };
        writer.section(&[]);
        writer.interface(1, 4, &[]);
        let mut body = writer.words(&[9]);
        body.extend_from_slice(b"only");
        writer.block(3, &body);
        let mut body = if big { vec![0, 0, 0, 3] } else { vec![0, 0, 3, 0] };
        body.extend(writer.words(&[0, 2_000_000, 3, 70]));
        body.extend_from_slice(b"old\0");
        body.extend(if big { [0, 1, 0, 2] } else { [1, 0, 2, 0] });
        body.extend_from_slice(b"hm\0\0");
        writer.block(2, &body);
        let mut body = writer.words(&[2]);
        body.extend_from_slice(b"ab");
        writer.block(3, &body);
        let (records, summary) = read(&[&writer.bytes]);
        let expected = [
            Frame(0, 1, 0, 1, b"only".to_vec(), 9),
            Frame(0, 2, 2_000_000_000, 1, b"old".to_vec(), 70),
            Note(Some(2), "hm".to_owned()),
            Frame(0, 3, 2_000_000_000, 1, b"ab".to_vec(), 2),
        ];
        assert_eq!(records, expected);
        assert_eq!((summary.damaged, summary.cut_frames, summary.dropped), (0, 2, Some(3)));
    }
}

#[test]
fn pcapng_comments_are_notes() {
    let mut writer = PcapngWriter::default();
    writer.section(&[(4, b"dumpcap"), (1, b"of the file"), (1, b"")]);
    writer.interface(1, 0, &[(1, b"of the interface\0")]);
    for _ in 0..3 {
        writer.interface(1, 0, &[]);
    }
    writer.packet(0, 0, b"a", &[(2, &[0; 4]), (1, b"one"), (1, "zw\u{f6}lf".as_bytes())]);
    writer.packet(0, 0, b"b", &[(1, b"l\xe4tin")]);
    let (records, summary) = read(&[&writer.bytes]);
    let note = |frame, text: &str| Note(frame, text.to_owned());
    let expected = [
        note(None, "of the file"),
        note(None, "of the interface"),
        Frame(0, 1, 0, 1, b"a".to_vec(), 1),
        note(Some(1), "one"),
        note(Some(1), "zw\u{f6}lf"),
        Frame(0, 2, 0, 1, b"b".to_vec(), 1),
        note(Some(2), "l\u{fffd}tin"),
    ];
    assert_eq!(records, expected);
    assert_eq!(summary.damaged, 0);
}

#[test]
fn pcapng_secrets_are_found_behind_the_packets_too() {
    let mut writer = PcapngWriter::begun(true, 1);
    writer.packet(0, 5, b"a", &[(1, b"c")]);
    writer.secrets(TLSK, b"CLIENT_RANDOM 00 11\n");
    writer.secrets(0x5747_4b4c, b"a WireGuard key");
    writer.block(0x0bad, b"private");
    writer.block(77, b"of the future");
    writer.secrets(TLSK, b"second");
    let (records, summary) = read(&[&writer.bytes]);
    let [_, _, Secret(first), Secret(second)] = &records[..] else { panic!("{records:?}") };
    assert_eq!((&first[..], &second[..]), (&b"CLIENT_RANDOM 00 11\n"[..], &b"second"[..]));
    assert_eq!(summary.damaged, 0);

    let files = [temporary(&PcapWriter::little(1).bytes), temporary(&writer.bytes), temporary(&gzip(&writer.bytes))];
    let mut secrets = Secrets::new(&Input::open_all(files.iter().map(tempfile::NamedTempFile::path)).unwrap());
    let mut found = Vec::new();
    while let Some(secret) = secrets.next() {
        assert!(!format!("{secret:?}").contains("CLIENT"), "a secret must not be printed");
        found.push(secret.key_log.len());
    }
    assert_eq!(found, [20, 6, 20, 6]);
}

#[test]
fn pcapng_losses_are_counted_once() {
    let mut writer = PcapngWriter::begun(false, 1);
    writer.interface(1, 0, &[]);
    let double = |value: u64| value.to_le_bytes();
    writer.packet(0, 1, b"a", &[(4, &double(3))]);
    writer.packet(0, 2, b"b", &[(4, &double(4))]);
    writer.statistics(0, &[(5, &double(2)), (7, &double(3)), (6, &double(10))]);
    writer.statistics(0, &[(5, &double(2)), (7, &double(8)), (6, &double(12))]);
    writer.statistics(1, &[(7, &double(100))]);
    let (_, summary) = read(&[&writer.bytes]);
    assert_eq!((summary.dropped, summary.filter_accepted, summary.damaged), (Some(110), Some(12), 0));
    let mut writer = PcapngWriter::begun(false, 1);
    writer.statistics(0, &[(5, &double(0))]);
    assert_eq!(read(&[&writer.bytes]).1.dropped, Some(0), "none lost is not the same as not known");
}

#[test]
fn compressions_are_told_by_their_first_bytes() {
    let mut writer = PcapWriter::little(1);
    for number in 0..5_000_u32 {
        writer.frame(1000 + number, 0, &number.to_le_bytes().repeat(50));
    }
    let plain = read(&[&writer.bytes]);
    assert_eq!(plain.1.frames, 5_000);
    let (front, back) = writer.bytes.split_at(77_777);
    let lz4 = |bytes: &[u8]| {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    let skippable = b"\x50\x2a\x4d\x18\x04\0\0\0skip";
    for packed in [
        [gzip(front), gzip(back)].concat(),
        [zstd(front), skippable.to_vec(), zstd(back)].concat(),
        [&skippable[..], &zstd(&writer.bytes)].concat(),
        [lz4(front), lz4(back)].concat(),
    ] {
        assert!(read(&[&packed]) == plain, "{:x?}", &packed[..4]);
    }
}

#[test]
fn several_inputs_are_one_case_in_time_order() {
    let mut one = PcapWriter::little(1);
    for seconds in [10, 20, 15, 30] {
        one.frame(seconds, 0, b"1");
    }
    let mut two = PcapngWriter::begun(false, 101);
    for seconds in [10_u64, 19, 40] {
        two.packet(0, seconds * 1_000_000, b"2", &[(1, b"note")]);
    }
    two.secrets(TLSK, b"key");
    let empty = PcapWriter::little(1);
    let (records, summary) = read(&[&one.bytes, &empty.bytes, &two.bytes]);
    let order: Vec<_> = records
        .iter()
        .map(|record| match record {
            Frame(file, number, nanos, ..) => (*file, *number, nanos / 1_000_000_000),
            Note(frame, _) => (77, frame.unwrap(), 0),
            Secret(_) => (88, 0, 0),
        })
        .collect();
    let expected = [
        (0, 1, 10),
        (2, 1, 10),
        (77, 1, 0),
        (2, 2, 19),
        (77, 2, 0),
        (0, 2, 20),
        (0, 3, 15),
        (0, 4, 30),
        (2, 3, 40),
        (77, 3, 0),
        (88, 0, 0),
    ];
    assert_eq!(order, expected);
    assert_eq!((summary.frames, summary.link_types.as_slice()), (7, &[1, 101][..]));
    assert_eq!(summary.first.map(Timestamp::nanos), Some(10_000_000_000));
    assert_eq!(summary.last.map(Timestamp::nanos), Some(40_000_000_000));
    assert_eq!(link_type_name(101), "RAW");
}

#[test]
fn records_larger_than_the_window_are_whole() {
    let large = vec![7; 3 << 20];
    let mut writer = PcapngWriter::begun(false, 1);
    writer.packet(0, 1, &large, &[(1, b"large")]);
    writer.packet(0, 2, b"small", &[]);
    let (records, summary) = read(&[&writer.bytes]);
    assert_eq!(frames(&records), [&large[..], b"small"]);
    assert_eq!((records.len(), summary.damaged), (3, 0));
    let mut writer = PcapWriter::little(1);
    writer.frame(1, 0, b"small");
    writer.frame(1, 0, &large);
    writer.frame(1, 0, &large);
    writer.frame(1, 0, b"small");
    let (records, summary) = read(&[&writer.bytes]);
    assert_eq!(frames(&records), [b"small", &large[..], &large[..], b"small"]);
    assert_eq!(summary.damaged, 0);
}
