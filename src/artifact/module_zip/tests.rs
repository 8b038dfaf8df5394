use std::io::{Cursor, Write as _};

use super::*;
use crate::artifact::testing::{Zip, zip_of};

mod odd;

fn read(zip: &[u8], module: &str) -> ModuleZip {
    let module = ModuleVersion::parse(module);
    ModuleZip::read(Cursor::new(zip), zip.len() as u64, module.as_ref())
}

fn broken(zip: &[u8], module: &str) -> String {
    read(zip, module).breaches.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_valid_zip_names_itself_and_has_gos_hash() {
    let go_mod = "module example.com/m\n\ngo 1.13\n";
    let m = "package m\n\nfunc Foo() int { return 42 }\n";
    let hello =
        "package main\n\nimport (\n  \"fmt\"\n  \"example.com/m\"\n)\n\nfunc main() {\n  fmt.Println(m.Foo())\n}\n";
    let bytes = zip_of(&[
        ("example.com/m@v1.0.0/go.mod", go_mod),
        ("example.com/m@v1.0.0/m.go", m),
        ("example.com/m@v1.0.0/cmd/hello/hello.go", hello),
    ]);
    let zip = ModuleZip::read(Cursor::new(&bytes), bytes.len() as u64, None);
    assert_eq!(zip.breaches, []);
    assert_eq!(zip.module.unwrap().to_string(), "example.com/m@v1.0.0");
    // golang.org/x/mod/zip/testdata/unzip/simple.txt has this hash.
    assert_eq!(zip.h1.as_deref(), Some("h1:tpqYOOmuilagXzyqoJ3roUjp8gneQeTv5YVpL6BG7/k="));
    assert_eq!(zip.unpacked, (go_mod.len() + m.len() + hello.len()) as u64);
}

#[test]
fn each_rule_for_names_is_told() {
    for (name, rule) in [
        ("noprefix", "path does not have prefix \"example.com/m@v1.0.0/\""),
        ("example.com/m@v1.0.0/../../etc/passwd", "invalid path element \"..\""),
        ("example.com/m@v1.0.0/a/../../b", "file path is not clean"),
        ("example.com/m@v1.0.0/a/./b", "file path is not clean"),
        ("example.com/m@v1.0.0//etc/passwd", "malformed file path"),
        ("example.com/m@v1.0.0/a\\b", "invalid char"),
        ("example.com/m@v1.0.0/c:", "invalid char"),
        ("example.com/m@v1.0.0/AUX.txt", "disallowed as path element component on Windows"),
        ("example.com/m@v1.0.0/sub/go.mod", "go.mod file not in module root directory"),
        ("example.com/m@v1.0.0/GO.MOD", "go.mod files must have lowercase names"),
        ("example.com/m@v1.0.0/A.GO", "case-insensitive file name collision: \"a.go\" and \"A.GO\""),
        ("example.com/m@v1.0.0/a.go", "multiple entries for file \"a.go\""),
        ("example.com/m@v1.0.0/a.go/b", "entry \"a.go\" is both a file and a directory"),
        ("example.com/m@v1.0.0/stra\u{df}e\n", "invalid char"),
    ] {
        let bytes = zip_of(&[("example.com/m@v1.0.0/a.go", "package a\n"), (name, "x")]);
        assert!(
            broken(&bytes, "example.com/m@v1.0.0").contains(rule),
            "{name}: {}",
            broken(&bytes, "example.com/m@v1.0.0")
        );
    }
    let twins = zip_of(&[("a.b/m@v1.0.0/\u{17f}.go", ""), ("a.b/m@v1.0.0/s.go", ""), ("a.b/m@v1.0.0/\u{e9}", "")]);
    assert!(broken(&twins, "a.b/m@v1.0.0").contains("collision"));
    let names_of_others = zip_of(&[("other.com/m@v1.0.0/a.go", "")]);
    assert!(broken(&names_of_others, "example.com/m@v1.0.0").starts_with("it is of "));
}

#[test]
fn links_and_devices_are_told_as_what_go_unpacks_and_nobody_writes() {
    for (mode, rule) in [(0o120_777, "symbolic link"), (0o060_666, "not a regular file"), (0o100_644, "")] {
        let mut zip = Zip::default();
        zip.add_mode("a.b/m@v1.0.0/a", b"/etc/passwd", mode);
        let zip = read(&zip.finish(), "a.b/m@v1.0.0");
        assert_eq!((zip.breaches, zip.irregular.len()), (vec![], usize::from(!rule.is_empty())));
        assert!(zip.irregular.iter().all(|it| it.rule == rule));
    }
}

#[test]
fn sizes_must_be_true_and_bounded() {
    let name = "a.b/m@v1.0.0/a";
    for (declared, rule) in [(3, "larger than declared (3 bytes)"), (40, "smaller than declared (40 bytes)")] {
        let mut zip = Zip::default();
        zip.add_lying(name, b"0123456789", declared);
        let refusal = broken(&zip.finish(), "a.b/m@v1.0.0");
        assert!(refusal.contains(rule), "{refusal}");
        assert_eq!(read(&zip.finish(), "a.b/m@v1.0.0").h1, None);
    }
    let mut bomb = Zip::default();
    (0..3).for_each(|at| bomb.add_lying(&format!("{name}{at}"), b"0", 200 << 20));
    assert!(broken(&bomb.finish(), "a.b/m@v1.0.0").contains("total uncompressed size of module contents too large"));
    let mut large = Zip::default();
    large.add_lying("a.b/m@v1.0.0/go.mod", b"0", (16 << 20) + 1);
    assert!(broken(&large.finish(), "a.b/m@v1.0.0").contains("go.mod file too large"));
    let whole = ModuleZip::read(Cursor::new(b""), MAX_ZIP + 1, None);
    assert!(whole.breaches[0].rule.contains("module zip file is too large"));
}

#[test]
fn entries_that_share_bytes_are_told_and_a_bomb_of_them_is_refused() {
    let mut zip = Zip::default();
    zip.add("a.b/m@v1.0.0/a", &[7; 4000]);
    zip.again("a.b/m@v1.0.0/b");
    let told = read(&zip.finish(), "a.b/m@v1.0.0");
    assert_eq!(told.breaches, []);
    assert!(told.irregular.iter().any(|it| it.rule == "overlaps with the entry \"a.b/m@v1.0.0/a\""));
    // Empty blocks cost time and make nothing: 1 MiB of them, 600 times.
    let mut bomb = Zip::default();
    bomb.add_with("a.b/m@v1.0.0/a", b"", |header| {
        header.data = [b"\0\0\0\xff\xff".repeat(210_000), b"\x03\0".to_vec()].concat();
        header.packed = u32::try_from(header.data.len()).unwrap();
    });
    (0..600).for_each(|at| bomb.again(&format!("a.b/m@v1.0.0/b{at}")));
    assert!(broken(&bomb.finish(), "a.b/m@v1.0.0").contains("its entries overlap"));
}

#[test]
fn every_changed_bit_of_a_zip_is_found() {
    let mut zip = Zip::default();
    (0..9).for_each(|at| zip.add(&format!("a.b/m@v1.0.0/{at}.go"), b"package a\n"));
    let bytes = zip.finish();
    let good = read(&bytes, "a.b/m@v1.0.0");
    assert_eq!(good.oddities, []);
    // Behind its end a deflate stream is filled up to a whole byte, with bits that mean nothing.
    let headers = memchr::memmem::find_iter(&bytes, b"PK").map(|at| at.wrapping_sub(1)).collect::<Vec<_>>();
    for at in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[at / 8] ^= 1 << (at % 8);
        let zip = read(&changed, "a.b/m@v1.0.0");
        if zip.breaches.is_empty() && zip.h1 == good.h1 {
            assert_eq!(zip.files, good.files);
            assert!(!(zip.irregular.is_empty() && zip.oddities.is_empty()) || headers.contains(&(at / 8)), "bit {at}");
        }
    }
}

#[test]
fn what_is_no_zip_is_said_to_be_none() {
    for bytes in [&b""[..], b"<html>", b"PK\x05\x06", &[0; 70_000]] {
        assert!(broken(bytes, "a.b/m@v1.0.0").contains("not a valid zip file"), "{:?}", bytes.len());
    }
    let empty = zip_of(&[]);
    let zip = read(&empty, "a.b/m@v1.0.0");
    assert_eq!((zip.breaches.len(), zip.h1.as_deref()), (0, Some("h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")));
    // Cut anywhere, it is refused and nothing panics.
    let bytes = zip_of(&[("a.b/m@v1.0.0/a.go", &"package a\n".repeat(100))]);
    for length in 0..bytes.len() {
        assert!(!broken(&bytes[..length], "a.b/m@v1.0.0").is_empty(), "{length}");
    }
}

#[test]
fn bytes_before_the_archive_are_stepped_over_as_go_does() {
    let bytes = zip_of(&[("a.b/m@v1.0.0/a.go", "package a\n")]);
    let good = read(&bytes, "a.b/m@v1.0.0").h1;
    let mut led = b"#!/bin/sh\n".to_vec();
    led.write_all(&bytes).unwrap();
    assert_eq!(read(&led, "a.b/m@v1.0.0").h1, good);
}

#[test]
fn hostile_bytes_do_not_panic() {
    let bytes = zip_of(&[("a.b/m@v1.0.0/a.go", &"package a\n".repeat(30)), ("a.b/m@v1.0.0/b", "x")]);
    let mut state = 1_u64;
    for _ in 0..20_000 {
        let mut changed = bytes.clone();
        for _ in 0..3 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(state >> 33).unwrap() % changed.len();
            changed[at] = state.to_le_bytes()[3];
        }
        read(&changed, "a.b/m@v1.0.0");
    }
}

/// The sections of a txtar archive, the comment first, under an empty name.
fn txtar(text: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut sections = vec![(String::new(), Vec::new())];
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let name =
            std::str::from_utf8(line).ok().and_then(|line| line.trim_end().strip_prefix("-- ")?.strip_suffix(" --"));
        match name {
            Some(name) => sections.push((name.trim().to_owned(), Vec::new())),
            None => sections.last_mut().unwrap().1.extend(line),
        }
    }
    sections
}

/// File name, module, comment, files.
type Case = (String, ModuleVersion, String, Vec<(String, Vec<u8>)>);

/// The cases of golang.org/x/mod/zip, which are not part of the project.
fn cases(folder: &str) -> Vec<Case> {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/artifacts/xmod/zip_testdata").join(folder);
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("skipped: {} is not there", folder.display());
        return Vec::new();
    };
    let mut cases = Vec::new();
    for file in files {
        let path = file.unwrap().path();
        let mut sections = txtar(&std::fs::read(&path).unwrap());
        let comment = String::from_utf8_lossy(&sections.remove(0).1).into_owned();
        let value = |key: &str| {
            let line = comment.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.map(|value| value.split("  #").next().unwrap().trim().to_owned()).unwrap_or_default()
        };
        let module = ModuleVersion { path: value("path"), version: value("version") };
        cases.push((path.file_name().unwrap().to_string_lossy().into_owned(), module, comment.clone(), sections));
    }
    cases
}

fn packed(files: &[(String, Vec<u8>)], prefix: &str) -> Vec<u8> {
    let mut zip = Zip::default();
    files.iter().for_each(|(name, content)| zip.add(&format!("{prefix}{name}"), content));
    zip.finish()
}

fn line_of<'a>(comment: &'a str, key: &str) -> Option<&'a str> {
    comment.lines().find_map(|line| line.strip_prefix(key))
}

#[test]
fn the_cases_of_check_zip_get_their_verdicts() {
    for (name, module, _, mut sections) in cases("check_zip") {
        let want = String::from_utf8(sections.remove(0).1).unwrap();
        let bytes = packed(&sections, "");
        let zip = ModuleZip::read(Cursor::new(&bytes), bytes.len() as u64, Some(&module));
        let invalid: Vec<String> =
            want.split("invalid:\n").nth(1).unwrap_or_default().lines().map(str::to_owned).collect();
        let told: Vec<String> = zip.breaches.iter().map(ToString::to_string).collect();
        assert_eq!(told, invalid, "{name}");
    }
}

#[test]
fn the_cases_of_unzip_and_create_get_their_verdicts() {
    for (folder, outer) in [("unzip", true), ("create", false)] {
        for (name, module, comment, sections) in cases(folder) {
            let prefix = if outer { String::new() } else { format!("{module}/") };
            let bytes = packed(&sections, &prefix);
            let zip = ModuleZip::read(Cursor::new(&bytes), bytes.len() as u64, Some(&module));
            let told: Vec<String> = zip.breaches.iter().map(ToString::to_string).collect();
            if let Some(error) = line_of(&comment, "wantErr=") {
                // A path that is not UTF-8 cannot come this far.
                let error = if error.contains("invalid UTF-8") { "malformed module path" } else { error };
                let error = error.replace("version \"v1.0.0+bad\" is not canonical", "is not canonical");
                let known = told.iter().any(|told| told.replace("\\'", "'").contains(&error.replace("\\'", "'")));
                assert!(known, "{folder}/{name}: {told:?} without {error}");
            } else if outer {
                assert_eq!(told, Vec::<String>::new(), "{folder}/{name}");
                assert_eq!(zip.h1.as_deref(), line_of(&comment, "hash="), "{folder}/{name}");
            }
        }
    }
}

#[test]
fn a_zip_of_another_module_is_told_once() {
    let bytes = zip_of(&[("example.com/n@v1.0.0/a.go", "package n\n"), ("example.com/n@v1.0.0/b.go", "package n\n")]);
    assert_eq!(broken(&bytes, "example.com/m@v1.0.0"), "it is of example.com/n@v1.0.0, not of example.com/m@v1.0.0");
    let bytes = zip_of(&[("a.png", "1"), ("b.png", "2")]);
    assert_eq!(broken(&bytes, "example.com/m@v1.0.0"), "none of its entries lies below example.com/m@v1.0.0/");
    assert!(read(&bytes, "").breaches[0].rule.contains("none of its entries is called MODULE@VERSION/"));
}

/// A disk that fails behind so many bytes.
struct Failing(Cursor<Vec<u8>>, u64);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.0.position() < self.1 { Err(std::io::Error::other("the disk fails")) } else { self.0.read(buffer) }
    }
}

impl Seek for Failing {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn what_cannot_be_read_breaks_no_rule() {
    let mut content = vec![0; 600 << 10];
    let mut state = 1_u32;
    for byte in &mut content {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = state.to_be_bytes()[0];
    }
    let mut zip = Zip::default();
    zip.add("example.com/m@v1.0.0/a", &content);
    let bytes = zip.finish();
    // Nothing of it, or its directory alone.
    for fails in [u64::MAX, 1] {
        let zip = ModuleZip::read(Failing(Cursor::new(bytes.clone()), fails), bytes.len() as u64, None);
        assert_eq!((zip.breaches, zip.h1, zip.unread.as_deref()), (vec![], None, Some("the disk fails")), "{fails}");
    }
    assert_eq!(read(&bytes, "").unread, None);
}
