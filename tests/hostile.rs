//! Whatever a recording holds, goprobe ends, does not panic, and says something that keeps to its schema.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![expect(clippy::cast_possible_truncation, reason = "sizes of what the tests build are small")]

#[path = "support/pipeline.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::allow_attributes, reason = "shared by several tests")]
mod pipeline;
#[path = "support/wire.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::allow_attributes, reason = "shared by several tests")]
mod wire;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use goprobe::analyzer::{Analyzer, Options};
use goprobe::go::GoRun;
use goprobe::observation::{Answer, Recording};
use goprobe::reference::Reference;
use goprobe::source::Record;
use goprobe::types::Timestamp;
use pipeline::{Captured, Setting};
use wire::Dice;

/// Damages a file's bytes: headers of the container as well as packets.
fn damage_file(bytes: &mut Vec<u8>, dice: &mut Dice, kind: u32) {
    let length = bytes.len();
    match kind {
        0 => (0..=dice.below(20)).for_each(|_| bytes[dice.below(length)] ^= 1 << dice.below(8)),
        1 => bytes.truncate(dice.below(length)),
        2 => {
            for _ in 0..10 {
                bytes.swap(dice.below(length), dice.below(length));
            }
        }
        3 => {
            let start = dice.below(length);
            let block = bytes[start..length.min(start + 1 + dice.below(2_000))].to_vec();
            let at = dice.below(length);
            bytes.splice(at..at, block);
        }
        4 => {
            let absurd = [u32::MAX, 0x7fff_ffff, 0, 0x0004_0001][dice.below(4)];
            let at = dice.below(length - 4);
            bytes[at..at + 4].copy_from_slice(&absurd.to_le_bytes());
        }
        _ => {
            let start = dice.below(length);
            bytes.drain(start..length.min(start + 1 + dice.below(300)));
        }
    }
}

/// Damages packets and leaves the container whole, so that the inner readers meet it.
fn damage_frames(frames: &mut [Captured], dice: &mut Dice, kind: u32) {
    let count = frames.len();
    for _ in 0..=count / 4 {
        let at = dice.below(count);
        let other = frames[dice.below(count)].clone();
        let frame = &mut frames[at];
        let length = frame.bytes.len();
        match kind {
            0 => frame.bytes[dice.below(length)] ^= 1 << dice.below(8),
            1 => frame.bytes.truncate(dice.below(length)),
            2 => {
                let from = dice.below(length.min(other.bytes.len()));
                let bytes = [&frame.bytes[..from], &other.bytes[from..]].concat();
                frame.original_length = bytes.len() as u32;
                frame.bytes = bytes;
            }
            3 => {
                let field = length.saturating_sub(54).max(1);
                let place = (54 + dice.below(field)).min(length - 1);
                frame.bytes[place] = [0, 0xff, 0x7f, 0xc0][dice.below(4)];
            }
            4 => frame.time = other.time,
            _ => {
                frame.time = Timestamp::from_nanos(
                    [i64::MIN, i64::MAX, 0, -1, frame.time.nanos() ^ (1 << dice.below(63))][dice.below(5)],
                );
            }
        }
        if frame.bytes.is_empty() {
            frame.bytes.push(0);
        }
    }
}

#[test]
fn damaged_files_give_a_report_or_a_clear_refusal() {
    let (schema, folder) = (pipeline::schema(), tempfile::tempdir().unwrap());
    let mut dice = Dice::new(1);
    for case in pipeline::own_captures() {
        let (setting, original) = (Setting::of(&case), std::fs::read(case.join("capture.pcap")).unwrap());
        for kind in 0..6 {
            let mut bytes = original.clone();
            damage_file(&mut bytes, &mut dice, kind);
            let path = folder.path().join("damaged.pcap");
            std::fs::write(&path, &bytes).unwrap();
            match setting.case(std::slice::from_ref(&path)) {
                Ok(facts) => {
                    let report = setting.report(&facts);
                    let name = pipeline::name_of(&case);
                    assert_eq!(pipeline::breaks(&schema, &report), None, "{name}, damage {kind}");
                }
                Err(error) => assert!(error.to_string().contains("damaged.pcap"), "{error}"),
            }
        }
    }
}

#[test]
fn damaged_packets_give_a_report() {
    let schema = pipeline::schema();
    let mut dice = Dice::new(2);
    for case in pipeline::own_captures() {
        let (setting, original) = (Setting::of(&case), pipeline::frames(&case.join("capture.pcap")));
        for kind in 0..6 {
            let mut frames = original.clone();
            damage_frames(&mut frames, &mut dice, kind);
            let report = setting.report(&setting.case_of_frames(&frames));
            assert_eq!(pipeline::breaks(&schema, &report), None, "{}, damage {kind}", pipeline::name_of(&case));
        }
    }
}

fn analyze(file: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_goprobe"));
    let output = command.arg("analyze").arg(file).stdin(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn what_is_no_recording_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("empty.pcap", Vec::new()),
        ("zeros.pcap", vec![0; 1 << 20]),
        ("text.pcap", b"no recording".to_vec()),
        ("half-a-header.pcap", wire::pcap(&[])[..11].to_vec()),
        ("empty.pcap.gz", wire::gzip(b"")),
        ("zeros.pcap.zst", wire::zstd(&vec![0; 1 << 20])),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let (exit, stderr) = analyze(&path);
        assert_eq!(exit, Some(2), "{name}: {stderr}");
        assert!(stderr.contains(name), "{name}: {stderr}");
    }
}

#[test]
fn a_recording_without_a_packet_is_readable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nothing.pcap");
    std::fs::write(&path, wire::pcap(&[])).unwrap();
    assert_eq!(analyze(&path).0, Some(3), "no traffic");
}

/// 16 MiB of zeros in a few kilobytes, behind a header, are packets without content, or one of an absurd length.
#[test]
fn a_decompression_bomb_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.pcap.zst");
    let mut packed = zstd::Encoder::new(std::fs::File::create(&path).unwrap(), 1).unwrap();
    packed.write_all(&wire::pcap(&[])).unwrap();
    packed.write_all(&[0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).unwrap();
    let zeros = vec![0; 1 << 20];
    (0..16).for_each(|_| packed.write_all(&zeros).unwrap());
    packed.finish().unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 10_000);
    let setting = Setting::bare();
    let case = setting.case(std::slice::from_ref(&path)).unwrap();
    assert!(case.connections.is_empty() && case.health.damage.len() <= 8);
    assert_eq!(pipeline::breaks(&pipeline::schema(), &setting.report(&case)), None);
}

#[test]
fn a_flood_of_openings_stays_within_bounds() {
    let reference = Reference::builtin().unwrap();
    let mut analyzer = Analyzer::new(&reference, GoRun::default(), Options::default());
    let mut syn = wire::tcp(([10, 0, 0, 2], 1), ([203, 0, 113, 1], 443), wire::SYN, 1, 0, b"");
    let flood = 300_000_u32;
    for number in 1..=flood {
        let [a, b, c, d] = number.to_be_bytes();
        (syn.bytes[27], syn.bytes[28], syn.bytes[29]) = (a, b, c);
        (syn.bytes[34], syn.bytes[35]) = (c, d);
        syn.no.number = number;
        syn.time = Timestamp::from_nanos(i64::from(number) * 1_000);
        analyzer.push(&Record::Frame(syn.frame()));
    }
    let case = analyzer.finish(Recording::default(), Vec::new(), 0);
    assert_eq!(case.recording.flows, flood);
    assert!(case.connections.len() <= 20_000, "{}", case.connections.len());
    assert_eq!(case.health.not_kept, u64::from(flood) - case.connections.len() as u64);
}

/// Tunnels in tunnels, thousands of them in two packets.
#[test]
fn tunnels_inside_of_tunnels_end() {
    const ACK: u8 = 16;
    let (client, server) = (([10, 0, 0, 2], 40_000), ([203, 0, 113, 8], 3_128));
    let requests = b"CONNECT a.test:443 HTTP/1.1\r\n\r\n".repeat(1_900);
    let answers = b"HTTP/1.1 200 OK\r\n\r\n".repeat(1_900);
    let frames = [
        wire::tcp(client, server, wire::SYN, 99, 0, b""),
        wire::tcp(server, client, wire::SYN | ACK, 499, 100, b""),
        wire::tcp(client, server, ACK, 100, 500, &requests),
        wire::tcp(server, client, ACK, 500, 100 + requests.len() as u32, &answers),
    ];
    let setting = Setting::bare();
    let case = setting.case_of_frames(&frames);
    assert!((4..10).contains(&case.exchanges.len()), "{}", case.exchanges.len());
    assert_eq!(pipeline::breaks(&pipeline::schema(), &setting.report(&case)), None);
}

#[test]
fn names_that_point_at_themselves_end() {
    let head = |counts: [u16; 4]| {
        let words = [0x1234, 0x8180].into_iter().chain(counts);
        words.flat_map(u16::to_be_bytes).collect::<Vec<u8>>()
    };
    let question = b"\x05proxy\x06golang\x03org\0\0\x01\0\x01";
    let chain: Vec<u8> = (0..2_000_u16).flat_map(|step| (0xc000 | (12 + step * 2 + 2)).to_be_bytes()).collect();
    let setting = Setting::bare();
    let schema = pipeline::schema();
    for (name, message) in [
        ("a pointer to itself", [head([1, 0, 0, 0]), b"\xc0\x0c\0\x01\0\x01".to_vec()].concat()),
        ("two that point at each other", [head([1, 0, 0, 0]), b"\xc0\x0e\xc0\x0c\0\x01\0\x01".to_vec()].concat()),
        ("a chain of forward pointers", [head([1, 0, 0, 0]), chain].concat()),
        ("a pointer beyond the end", [head([1, 0, 0, 0]), b"\xff\xff\0\x01\0\x01".to_vec()].concat()),
        ("a label that lacks", [head([1, 0, 0, 0]), b"\x3fshort".to_vec()].concat()),
        ("many records that are not there", [head([1, 0xffff, 0xffff, 0xffff]), question.to_vec()].concat()),
        (
            "a record whose owner is its own data",
            [head([1, 1, 0, 0]), question.to_vec(), b"\xc0\x2d\0\x05\0\x01\0\0\0\x3c\0\x02\xc0\x2d".to_vec()].concat(),
        ),
        (
            "a length beyond the message",
            [head([1, 1, 0, 0]), question.to_vec(), b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\xff\xff\x01".to_vec()].concat(),
        ),
    ] {
        let frames = [wire::udp(([10, 0, 0, 53], 53), ([10, 0, 0, 2], 40_001), &message)];
        let case = setting.case_of_frames(&frames);
        let addresses = case.lookups.iter().flat_map(|lookup| &lookup.answers).flat_map(Answer::addresses);
        assert_eq!(addresses.count(), 0, "{name}");
        assert_eq!(pipeline::breaks(&schema, &setting.report(&case)), None, "{name}");
    }
}

#[test]
fn certificates_that_cannot_be_read_are_still_certificates() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/cert/expired-tls12");
    let (setting, mut frames) = (Setting::of(&folder), pipeline::frames(&folder.join("capture.pcap")));
    let whole = setting.case_of_frames(&frames);
    let chain = |case: &goprobe::observation::Case| {
        let seen = case.handshakes.iter().find_map(|handshake| handshake.certificates.seen());
        seen.map(|ids| ids.iter().map(|id| case.certificate(*id).unwrap().facts.is_ok()).collect::<Vec<_>>())
    };
    assert_eq!(chain(&whole), Some(vec![true; 2]));
    // Both outer tags of each certificate are lost, its length stays.
    for frame in &mut frames {
        let places: Vec<usize> =
            frame.bytes.windows(5).enumerate().filter(|(_, w)| *w == [0xa0, 3, 2, 1, 2]).map(|(at, _)| at).collect();
        places.into_iter().for_each(|at| frame.bytes[at - 8..at + 5].fill(0xff));
    }
    let case = setting.case_of_frames(&frames);
    assert_eq!(chain(&case), Some(vec![false; 2]));
    assert_eq!(pipeline::breaks(&pipeline::schema(), &setting.report(&case)), None);
}
