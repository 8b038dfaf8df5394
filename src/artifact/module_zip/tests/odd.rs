//! Zips as no program writes them, and what go makes of each: found with go 1.27.3, and asked again where it is at hand.

use std::path::Path;
use std::process::Command;

use super::read;
use crate::artifact::module_zip::ModuleZip;
use crate::artifact::testing::{Header, Zip};

const MODULE: &str = "a.b/m@v1.0.0";

fn one(name: &str, content: &[u8], change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut zip = Zip::default();
    zip.add_with(&format!("{MODULE}/{name}"), content, change);
    zip.finish()
}

fn named(names: &[&str]) -> Vec<u8> {
    let mut zip = Zip::default();
    names.iter().for_each(|name| zip.add(&format!("{MODULE}/{name}"), b""));
    zip.finish()
}

/// An honest zip with numbers of its end record replaced: at which place, of how many bytes.
fn end(changes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = one("a", b"hello", |_| {});
    let record = bytes.len() - 22;
    for (at, value) in changes {
        bytes[record + at..record + at + value.len()].copy_from_slice(value);
    }
    bytes
}

/// An honest zip with a zip64 directory end: the disk of its locator, the count of disks, where it says that it stands.
fn zip64(disk: u32, disks: u32, place: Option<u64>) -> Vec<u8> {
    let mut bytes = one("a", b"hello", |_| {});
    let mut record = bytes.split_off(bytes.len() - 22);
    let at = bytes.len() as u64;
    let number = |at: usize| u64::from(u32::from_le_bytes(record[at..at + 4].try_into().unwrap()));
    let (length, offset) = (number(12), number(16));
    bytes.extend(b"PK\x06\x06");
    bytes.extend([0; 20]);
    [1, 1, length, offset].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    bytes.extend(b"PK\x06\x07");
    bytes.extend(disk.to_le_bytes());
    bytes.extend(place.unwrap_or(at).to_le_bytes());
    bytes.extend(disks.to_le_bytes());
    record[16..20].copy_from_slice(&[0xff; 4]);
    bytes.extend(record);
    bytes
}

/// A zip64 extra field.
fn large(numbers: &[u64]) -> Vec<u8> {
    let mut extra = [1_u16.to_le_bytes(), u16::try_from(numbers.len() * 8).unwrap().to_le_bytes()].concat();
    numbers.iter().for_each(|number| extra.extend(number.to_le_bytes()));
    extra
}

/// The record behind an entry's bytes.
fn behind(header: &mut Header, mark: &[u8], crc: u32) {
    header.flags = 8;
    let numbers = [crc, header.packed, header.unpacked].map(u32::to_le_bytes).concat();
    header.data.extend([mark, &numbers].concat());
}

/// What it is, the bytes, whether go takes it.
fn cases() -> Vec<(String, Vec<u8>, bool)> {
    const MARK: &[u8] = b"PK\x07\x08";
    const ALL: u32 = u32::MAX;
    let honest = || one("a", b"hello", |_| {});
    let with_comment = |length: u16, rest: &[u8]| [end(&[(20, &length.to_le_bytes())]), rest.to_vec()].concat();
    let mut cases = vec![
        ("plain", honest(), true),
        ("nothing", named(&[]), true),
        ("junk before", [&b"junk"[..], &honest()].concat(), true),
        ("front cut off", honest()[1..].to_vec(), false),
        ("a comment", with_comment(2, b"hi"), true),
        ("a cut comment", with_comment(3, b"hi"), false),
        ("bytes behind the comment", with_comment(1, b"hi"), true),
        ("an end within the comment", with_comment(22, &[&b"PK\x05\x06"[..], &[0; 18]].concat()), true),
        ("another count", end(&[(10, &[2, 0])]), false),
        ("another count on this disk", end(&[(8, &[2, 0])]), true),
        ("another disk", end(&[(4, &[1, 0])]), true),
        ("a directory without length", end(&[(12, &[0; 4])]), true),
        ("zip64", zip64(0, 1, None), true),
        ("zip64 on a second disk", zip64(1, 1, None), false),
        ("zip64 of two disks", zip64(0, 2, None), false),
        ("zip64 nowhere", zip64(0, 1, Some(1 << 40)), false),
        ("zip64 before the file", zip64(0, 1, Some(1 << 63)), false),
        ("CRC 0", one("a", b"hello", |it| it.crc = 0), true),
        ("another CRC", one("a", b"hello", |it| it.crc = 1), false),
        ("method 12", one("a", b"hello", |it| it.method = 12), false),
        ("method 12 of a folder", one("a/", b"", |it| it.method = 12), true),
        ("stored", one("a", b"hello", |it| (it.method, it.packed, it.data) = (0, 5, b"hello".to_vec())), true),
        ("a folder with packed bytes", one("a/", b"", |it| it.data = b"\xff\xff".to_vec()), true),
        ("a folder with content", one("a/", b"hello", |_| {}), false),
        ("a folder with a CRC", one("a/", b"", |it| it.crc = 1), true),
        (
            "bytes behind a deflate stream",
            one("a", b"hello", |it| (it.packed, it.data) = (it.packed + 2, [&it.data[..], b"xx"].concat())),
            true,
        ),
        ("a packed size past the end", one("a", b"hello", |it| it.packed = 1 << 20), true),
        ("a packed size too small", one("a", b"hello", |it| it.packed -= 1), false),
        ("a size too small", one("a", b"hello", |it| it.unpacked = 4), false),
        ("a size too large", one("a", b"hello", |it| it.unpacked = 6), false),
        ("a record behind", one("a", b"hello", |it| behind(it, MARK, it.crc)), true),
        ("a record behind without mark", one("a", b"hello", |it| behind(it, b"", it.crc)), true),
        ("a record behind with another CRC", one("a", b"hello", |it| behind(it, MARK, 1)), false),
        (
            "a record behind with CRC 0",
            one("a", b"hello", |it| {
                it.crc = 0;
                behind(it, MARK, 0);
            }),
            false,
        ),
        ("no record behind", one("a", b"hello", |it| it.flags = 8), false),
        ("no record behind a folder", one("a/", b"", |it| it.flags = 8), true),
        ("large sizes", one("a", b"hello", |it| (it.unpacked, it.extra) = (ALL, large(&[5]))), true),
        (
            "large sizes twice",
            one("a", b"hello", |it| (it.unpacked, it.extra) = (ALL, [large(&[6]), large(&[5])].concat())),
            true,
        ),
        ("large sizes without number", one("a", b"hello", |it| (it.unpacked, it.extra) = (ALL, large(&[]))), false),
        ("a negative packed size", one("a", b"hello", |it| (it.packed, it.extra) = (ALL, large(&[1 << 63]))), true),
        ("an extra field that is none", one("a", b"hello", |it| it.extra = b"\x01\0\xff\xff".to_vec()), true),
        ("a link", one("a", b"hello", |it| it.mode = 0o120_777), true),
        ("twin folders", named(&["d/", "d/", "d/x"]), true),
        ("twin files", named(&["a", "a"]), false),
        ("file and folder", named(&["d", "d/x"]), false),
    ]
    .into_iter()
    .map(|(what, bytes, taken)| (what.to_owned(), bytes, taken))
    .collect::<Vec<_>>();
    for (one, other, taken) in [
        ("k", "\u{212a}", false),
        ("s", "\u{17f}", false),
        ("\u{3c3}", "\u{3c2}", false),
        ("\u{df}", "\u{1e9e}", false),
        ("\u{390}", "\u{1fd3}", false),
        ("\u{fb05}", "\u{fb06}", false),
        ("i", "\u{130}", true),
        ("i", "\u{131}", true),
        ("\u{e9}", "e", true),
        ("d/a", "D/b", false),
    ] {
        cases.push((format!("{one} and {other}"), named(&[one, other]), taken));
    }
    for (name, taken) in [
        ("\u{4e2d}", true),
        ("e\u{301}", false),
        ("\u{2160}", false),
        ("\u{24b6}", false),
        ("\u{e31}", false),
        ("con.txt", false),
        ("COM0", true),
        ("a.", false),
        ("a ", true),
        ("abc~1", true),
        ("-a", true),
        ("sub/go.mod/", true),
        ("go.mod/", true),
        ("sub/GO.MOD", false),
        ("Go.mod", false),
        (".git/config", true),
        ("vendor/x/y.go", true),
    ] {
        cases.push((format!("the name {name:?}"), named(&[name]), taken));
    }
    cases
}

fn judged(bytes: &[u8]) -> ModuleZip {
    read(bytes, MODULE)
}

#[test]
fn odd_zips_are_judged_as_go_judges_them() {
    for (what, bytes, taken) in cases() {
        let zip = judged(&bytes);
        assert_eq!(zip.breaches.is_empty(), taken, "{what}: {:?}", zip.breaches);
        assert!(zip.h1.is_some() || !taken, "{what}");
    }
}

/// The go of the lab, if it was set up, is asked to download each.
#[test]
fn go_judges_odd_zips_the_same_and_has_the_same_hashes() {
    let go = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab/go-1.27.3/go/bin/go");
    if !go.is_file() {
        println!("skipped: {} is not there (tests/lab/setup)", go.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let served = folder.path().join("proxy/a.b/m/@v");
    std::fs::create_dir_all(&served).unwrap();
    std::fs::write(served.join("v1.0.0.info"), r#"{"Version":"v1.0.0"}"#).unwrap();
    std::fs::write(served.join("v1.0.0.mod"), "module a.b/m\n").unwrap();
    for (number, (what, bytes, taken)) in cases().into_iter().enumerate() {
        std::fs::write(served.join("v1.0.0.zip"), &bytes).unwrap();
        let mut command = Command::new(&go);
        command.args(["mod", "download", "-json", MODULE]).current_dir(folder.path()).env_clear();
        command.env("HOME", folder.path()).env("GOMODCACHE", folder.path().join(number.to_string()));
        command.env("GOPROXY", format!("file://{}", folder.path().join("proxy").display()));
        command.envs([("GOSUMDB", "off"), ("GOTOOLCHAIN", "local"), ("GOFLAGS", "-modcacherw")]);
        let output = command.output().unwrap();
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.success(), taken, "{what}: {told}");
        if taken {
            assert_eq!(told["Sum"].as_str(), judged(&bytes).h1.as_deref(), "{what}");
        }
    }
}
