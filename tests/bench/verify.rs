//! How fast modules are verified, beside what the same bytes cost at least: `cargo bench --bench verify`.
//!
//! One thread. Of each kind of content the bytes are hashed in memory with the same SHA-256 (`ring`), read from their files and
//! hashed, and inflated without anything else; then goprobe hashes the tree and verifies the zip. With paths behind `--`,
//! these are verified as `goprobe verify` does it, by all threads, with the most memory that it took.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "it measures, and what cannot be measured ends it"
)]

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::io::{Cursor, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use goprobe::artifact::collect::Inventory;
use goprobe::artifact::dirhash::hash_tree;
use goprobe::artifact::module_zip::ModuleZip;
use goprobe::artifact::verify::{self, Settings};
use ring::digest::{SHA256, digest};

const MODULE: &str = "example.com/m@v1.0.0";
const ROUNDS: u32 = 5;

fn main() {
    let paths: Vec<PathBuf> = std::env::args().skip(1).filter(|it| !it.starts_with("--")).map(PathBuf::from).collect();
    if paths.is_empty() {
        content("4,000 files of 6 KiB", 4000, 6 << 10);
        content("24 files of 1 MiB", 24, 1 << 20);
    } else {
        whole(&paths);
    }
}

fn content(what: &str, files: usize, length: usize) {
    let files: Vec<(String, String)> =
        (0..files).map(|at| (format!("d{}/f{at}.go", at % 16), source(at, length))).collect();
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in &files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let deflated: Vec<Vec<u8>> = files.iter().map(|(_, text)| deflate(text.as_bytes())).collect();
    let zip = zip(&files, &deflated);
    let bytes: usize = files.iter().map(|(_, text)| text.len()).sum();
    println!("{what}, {} MB, packed {} MB", bytes / 1_000_000, zip.len() / 1_000_000);
    let hash = |bytes: &[u8]| {
        black_box(digest(&SHA256, bytes));
    };
    let memory = measure(|| files.iter().for_each(|(_, text)| hash(text.as_bytes())));
    let plain = measure(|| files.iter().for_each(|(name, _)| hash(&fs::read(folder.path().join(name)).unwrap())));
    let mut buffer = Vec::new();
    let inflate = measure(|| {
        for packed in &deflated {
            buffer.clear();
            DeflateDecoder::new(packed.as_slice()).read_to_end(&mut buffer).unwrap();
        }
    });
    let tree = measure(|| assert_eq!(hash_tree(folder.path(), MODULE).unwrap().0.len(), files.len()));
    let verified = measure(|| {
        let zip = ModuleZip::read(Cursor::new(&zip), zip.len() as u64, None);
        assert!(zip.breaches.is_empty() && zip.h1.is_some());
    });
    let line = |what: &str, took: Duration, least: Option<Duration>| {
        let share =
            least.map(|least| format!(", {:.0} % of the least", 100.0 * least.as_secs_f64() / took.as_secs_f64()));
        let speed = f64::from(u32::try_from(bytes).unwrap()) / 1e6 / took.as_secs_f64();
        println!("  {what:<28} {speed:>6.0} MB/s{}", share.unwrap_or_default());
    };
    line("SHA-256 in memory", memory, None);
    line("SHA-256 of files read whole", plain, None);
    line("inflate", inflate, None);
    line("tree", tree, Some(plain));
    line("zip", verified, Some(memory + inflate));
}

/// The least time of some rounds.
fn measure(mut work: impl FnMut()) -> Duration {
    let round = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..ROUNDS).map(round).min().unwrap()
}

/// Text that packs about as well as Go does.
fn source(seed: usize, length: usize) -> String {
    const WORDS: [&str; 12] =
        ["func", "return", "err", "if", "nil", "string", "range", "struct", "interface", "switch", "append", "len"];
    let mut state = seed as u64 + 1;
    let mut text = String::with_capacity(length + 32);
    while text.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = state >> 33;
        let word = WORDS[usize::try_from(pick % 12).unwrap()];
        let name = pick >> 4 & 0x3ff;
        let _ = write!(text, "{word} v{name:x}{}", if pick & 7 == 0 { "\n\t" } else { " " });
    }
    text
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zip(files: &[(String, String)], deflated: &[Vec<u8>]) -> Vec<u8> {
    let (mut body, mut directory) = (Vec::new(), Vec::new());
    for ((name, text), packed) in files.iter().zip(deflated) {
        let name = format!("{MODULE}/{name}");
        let mut crc = flate2::Crc::new();
        crc.update(text.as_bytes());
        let numbers = [crc.sum(), u32::try_from(packed.len()).unwrap(), u32::try_from(text.len()).unwrap()];
        let mut fields = b"\x14\0\0\0\x08\0\0\0\0\0".to_vec();
        numbers.iter().for_each(|number| fields.extend(number.to_le_bytes()));
        fields.extend(u32::try_from(name.len()).unwrap().to_le_bytes());
        let offset = u32::try_from(body.len()).unwrap();
        body.extend([b"PK\x03\x04", &fields[..], name.as_bytes(), packed].concat());
        directory
            .extend([b"PK\x01\x02\x14\x03", &fields[..], &[0; 10], &offset.to_le_bytes(), name.as_bytes()].concat());
    }
    let count = u16::try_from(files.len()).unwrap().to_le_bytes();
    let [length, offset] = [directory.len(), body.len()].map(|number| u32::try_from(number).unwrap().to_le_bytes());
    [&body[..], &directory, b"PK\x05\x06\0\0\0\0", &count, &count, &length, &offset, &[0, 0]].concat()
}

/// All that is found there, by all threads.
fn whole(paths: &[PathBuf]) {
    let start = Instant::now();
    let mut inventory = Inventory::default();
    paths.iter().for_each(|path| inventory.add(path).unwrap());
    println!("found in {:?}", start.elapsed());
    let outcome = verify::run(&inventory, &Settings::default(), &|_, _| {}).unwrap();
    let bytes: u64 = outcome.artifacts.iter().map(|artifact| artifact.bytes).sum();
    let (took, megabytes) = (start.elapsed(), bytes / 1_000_000);
    println!(
        "{} artifacts, {megabytes} MB, {} modules verified in {took:?}",
        outcome.artifacts.len(),
        outcome.modules.len()
    );
    let status = fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("{line}"));
}
