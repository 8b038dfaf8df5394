//! Releases of Go as people verify them: lists, further downloads, signatures, installed ones, and lists imported anew.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "what cannot be done fails the test, and what is skipped is said"
)]

#[path = "support/artifacts.rs"]
mod artifacts;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;

use artifacts::shared;

fn goprobe(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_goprobe"));
    let output = command.args(arguments).env_remove("GOSUMDB").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Against what, how it came out, what is told.
type Checks = Vec<(String, String, String)>;

/// A folder, and what is found of what lies in it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Status, codes of the findings, and the checks of releases.
    fn verify(&self, names: &[&str], more: &[&str]) -> (Option<i32>, Vec<String>, Checks) {
        let paths: Vec<String> = names.iter().map(|name| self.path(name).display().to_string()).collect();
        let paths = paths.iter().map(String::as_str);
        let arguments: Vec<&str> =
            ["verify", "--format", "json"].into_iter().chain(paths).chain(more.iter().copied()).collect();
        let (status, out, error) = goprobe(&arguments);
        let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{error}"));
        let codes = report["findings"].as_array().unwrap().iter();
        let codes = codes.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect();
        let artifacts = report["artifacts"].as_array().unwrap().iter();
        let kinds = ["sdk_archive", "goroot", "module_tree"];
        let checks = artifacts
            .filter(|it| kinds.contains(&it["kind"].as_str().unwrap()))
            .flat_map(|artifact| artifact["checks"].as_array().unwrap().clone())
            .map(|check| {
                let text = |key: &str| check[key].as_str().unwrap().to_owned();
                (text("against"), text("result"), format!("{} {}", text("with"), text("note")).trim().to_owned())
            });
        (status, codes, checks.collect())
    }
}

/// The files of a release that never was.
fn release() -> BTreeMap<String, String> {
    let env = "# defaults\nGOPROXY=https://proxy.golang.org,direct\nGOSUMDB=sum.golang.org\nGOTOOLCHAIN=auto\n";
    let files = [
        ("VERSION", "go1.99.1\ntime 2026-11-01T00:00:00Z\n"),
        ("go.env", env),
        ("bin/go", "ELF go"),
        ("bin/gofmt", "ELF gofmt"),
        ("pkg/tool/linux_amd64/compile", "ELF compile"),
        ("src/go.mod", "module std\n"),
        ("src/cmd/go.mod", "module cmd\n"),
        ("src/cmd/pprof/pprof.go", "package main\n"),
        ("src/fmt/print.go", "package fmt\n"),
        ("src/fmt/fmt_test.go", "package fmt_test\n"),
        ("src/runtime/a.go", "package runtime\n"),
        ("test/a.go", "package main\n"),
        ("doc/README", "read me\n"),
    ];
    files.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

fn archive(files: &BTreeMap<String, String>) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("go/{name}"), text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The answer of `go.dev/dl/?mode=json` with these files.
fn listing(files: &[(&str, &str)]) -> Value {
    let files: Vec<Value> = files
        .iter()
        .map(|(name, hash)| {
            json!({"filename": name, "os": "linux", "arch": "amd64", "version": "go1.99.1", "sha256": hash, "size": 1,
                   "kind": "archive"})
        })
        .collect();
    json!([{"version": "go1.99.1", "stable": true, "files": files}])
}

const NAME: &str = "go1.99.1.linux-amd64.tar.gz";

/// A folder with the archive, and a rules folder that has it on a list.
fn known() -> (Folder, String) {
    let folder = Folder::new();
    let bytes = archive(&release());
    folder.write(NAME, &bytes);
    let list = folder.write("dl.json", listing(&[(NAME, &sha256(&bytes))]).to_string().as_bytes());
    let rules = folder.path("rules").display().to_string();
    let (status, out, error) = goprobe(&["rules", "update", &list, "--to", &rules, "--checked", "2026-11-20"]);
    assert_eq!(status, Some(0), "{error}");
    assert!(out.contains("releases.toml: 1 file of releases of Go") && out.contains("of 2026-11-20"), "{out}");
    (folder, rules)
}

fn of<'a>(checks: &'a [(String, String, String)], against: &str) -> Vec<(&'a str, &'a str)> {
    let those = checks.iter().filter(|(yardstick, ..)| yardstick == against);
    those.map(|(_, result, told)| (result.as_str(), told.as_str())).collect()
}

#[test]
fn a_release_is_on_a_list_or_not_or_wrong() {
    let (folder, rules) = known();
    let with_rules = ["--rules", rules.as_str()];
    let (status, codes, checks) = folder.verify(&[NAME], &with_rules);
    assert_eq!((status, codes), (Some(0), vec![]));
    assert_eq!(of(&checks, "release_list"), [("agrees", "go.dev/dl, imported of 2026-11-20")]);
    // No signature was given: that is told, and nothing wrong.
    let openpgp = of(&checks, "openpgp");
    assert!(openpgp[0].0 == "not_assessed" && openpgp[0].1.ends_with("there is no signature beside it"), "{openpgp:?}");
    // The shipped lists are older than it.
    let (status, codes, checks) = folder.verify(&[NAME], &[]);
    assert_eq!((status, codes), (Some(3), vec![]));
    assert!(of(&checks, "release_list")[0].1.contains("the newest of which is of 20"), "{checks:?}");
    // Changed on the way.
    let mut changed = archive(&release());
    changed.push(0);
    folder.write(NAME, &changed);
    let (status, codes, checks) = folder.verify(&[NAME], &with_rules);
    assert_eq!((status, codes), (Some(1), vec!["artifact.sdk_mismatch".to_owned()]));
    assert_eq!(of(&checks, "release_list")[0].0, "differs");
    // A page in its place.
    folder.write(NAME, b"<html>Please log in</html>");
    assert_eq!(folder.verify(&[NAME], &with_rules).1, ["artifact.sdk_mismatch"]);
}

#[test]
fn another_name_is_no_other_file() {
    let (folder, rules) = known();
    let bytes = archive(&release());
    let with_rules = ["--rules", rules.as_str()];
    for name in ["go.tar.gz", "go1.99.1.linux-amd64 (1).tar.gz", "go1.99.1.linux-amd64.tar.gz.2"] {
        folder.write(name, &bytes);
        let (status, codes, checks) = folder.verify(&[name], &with_rules);
        assert_eq!((status, codes), (Some(0), vec![]), "{name}");
        let told = of(&checks, "release_list");
        assert_eq!(told, [("agrees", "go.dev/dl, imported of 2026-11-20, as go1.99.1.linux-amd64.tar.gz")], "{name}");
    }
    // A further download is judged by the name of the first one.
    folder.write("go1.99.1.linux-amd64 (1).tar.gz", b"else");
    assert_eq!(folder.verify(&["go1.99.1.linux-amd64 (1).tar.gz"], &with_rules).1, ["artifact.sdk_mismatch"]);
    // An old release under the name of a new one, whether that is known or not.
    for name in ["go1.99.2.linux-amd64.tar.gz", "go1.27.0.linux-amd64.tar.gz"] {
        folder.write(name, &bytes);
        let (_, codes, checks) = folder.verify(&[name], &with_rules);
        assert_eq!(codes, ["artifact.sdk_mismatch"], "{name}");
        assert!(checks[0].2.contains("it is go1.99.1.linux-amd64.tar.gz"), "{checks:?}");
    }
    // Something else of that kind.
    let mut tar = GzEncoder::new(Vec::new(), Compression::fast());
    tar.write_all(b"go/VERSION").unwrap();
    folder.write("go.tar.gz", &tar.finish().unwrap());
    let (status, codes, _) = folder.verify(&["go.tar.gz"], &with_rules);
    assert_eq!((status, codes), (Some(3), vec![]));
}

#[cfg(unix)]
#[test]
fn an_installed_go_is_what_its_archive_has() {
    let (folder, rules) = known();
    let install = || {
        let _ = fs::remove_dir_all(folder.path("go"));
        for (name, text) in release() {
            folder.write(&format!("go/{name}"), text.as_bytes());
        }
    };
    let judged = |work: &dyn Fn(&Folder)| {
        install();
        work(&folder);
        let (status, codes, checks) = folder.verify(&["go", NAME], &["--rules", &rules]);
        assert_eq!(status, Some(i32::from(!codes.is_empty())), "{codes:?}");
        assert!(codes.iter().all(|code| code == "artifact.sdk_mismatch"), "{codes:?}");
        of(&checks, "copy").into_iter().map(|(result, told)| format!("{result} {told}")).collect::<Vec<_>>()
    };
    let write =
        |name: &'static str, text: &'static str| move |folder: &Folder| drop(folder.write(name, text.as_bytes()));
    let remove = |name: &'static str| {
        move |folder: &Folder| {
            let path = folder.path(name);
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        }
    };
    let agrees = |told: &[String]| told.len() == 1 && told[0].starts_with("agrees");
    assert!(agrees(&judged(&|_| {})));
    // What people and tools do.
    for work in [
        write("go/pkg/linux_amd64/fmt.a", "!<arch>"),
        write("go/notes.txt", "mine"),
        write("go/src/fmt/print.go.orig", "package fmt"),
        write("go/src/fmt/testdata/x.go", "package x"),
        write("go/src/fmt/_x.go", "package x"),
    ] {
        assert!(agrees(&judged(&work)));
    }
    for work in [remove("go/test"), remove("go/doc"), remove("go/src/cmd"), remove("go/src/fmt/fmt_test.go")] {
        assert!(agrees(&judged(&work)));
    }
    let linked = judged(&|folder| {
        fs::rename(folder.path("go/src"), folder.path("elsewhere")).unwrap();
        std::os::unix::fs::symlink(folder.path("elsewhere"), folder.path("go/src")).unwrap();
        std::os::unix::fs::symlink("..", folder.path("elsewhere/round")).unwrap();
    });
    assert!(agrees(&linked), "{linked:?}");
    fs::remove_dir_all(folder.path("elsewhere")).unwrap();
    // What is said, and is no change of Go.
    for (work, part) in [
        (write("go/bin/golangci-lint", "ELF"), "held against anything: bin/golangci-lint"),
        (write("go/pkg/tool/linux_amd64/pprof", "ELF"), "held against anything: pkg/tool/linux_amd64/pprof"),
        (
            write("go/go.env", "GOPROXY=https://proxy.golang.org,direct\nGOSUMDB=sum.golang.org\nGOTOOLCHAIN=local\n"),
            "it sets GOTOOLCHAIN=local",
        ),
    ] {
        let told = judged(&work);
        assert!(told[0].starts_with("agrees") && told[1].contains(part), "{told:?}");
    }
    // What is one.
    for (work, counts) in [
        (write("go/bin/go", "EVIL"), "1 changed, 0 added, 0 missing"),
        (write("go/src/fmt/print.go", "package fmt // x"), "1 changed, 0 added, 0 missing"),
        (write("go/VERSION", "go1.99.1 X:else\n"), "1 changed, 0 added, 0 missing"),
        (write("go/go.env", "GOPROXY=https://proxy.golang.org,direct\nGOSUMDB=off\n"), "1 changed, 0 added, 0 missing"),
        (write("go/go.env", ""), "1 changed, 0 added, 0 missing"),
        (write("go/src/fmt/more.go", "package fmt"), "0 changed, 1 added, 0 missing"),
        (write("go/src/fmt/more.s", "TEXT"), "0 changed, 1 added, 0 missing"),
        (write("go/pkg/tool/linux_amd64/else", "ELF"), "0 changed, 1 added, 0 missing"),
    ] {
        let told = judged(&work);
        assert!(told[0].starts_with("differs") && told[0].contains(counts), "{told:?}");
    }
    for work in [remove("go/src/fmt/print.go"), remove("go/bin/gofmt"), remove("go/pkg/tool/linux_amd64/compile")] {
        let told = judged(&work);
        assert!(told[0].starts_with("differs") && told[0].contains("0 changed, 0 added, 1 missing"), "{told:?}");
    }
    // An archive that is itself wrong accuses nobody.
    install();
    folder.write("go/bin/go", b"other");
    let mut other = release();
    other.insert("bin/go".to_owned(), "EVIL".to_owned());
    folder.write(NAME, &archive(&other));
    let (_, _, checks) = folder.verify(&["go", NAME], &["--rules", &rules]);
    let told = of(&checks, "copy");
    assert!(told[0].0 == "not_assessed" && told[0].1.ends_with("is itself not as it was released"), "{told:?}");
    // Nor does one that is cut off.
    let whole = archive(&release());
    folder.write(NAME, &whole[..whole.len() / 2]);
    let (_, codes, checks) = folder.verify(&["go", NAME], &[]);
    let told = of(&checks, "copy");
    assert!(codes.is_empty() && told[0].0 == "not_assessed" && told[0].1.contains("cannot read"), "{told:?}");
    // Without anything to hold it against.
    let (status, codes, _) = folder.verify(&["go"], &[]);
    assert_eq!((status, codes), (Some(3), vec![]));
}

/// A module zip as go.dev makes it of a release: without tests of the compiler, and with other names for go.mod files.
fn toolchain(files: &BTreeMap<String, String>) -> Vec<u8> {
    let mut zip = Stored::default();
    for (name, text) in files.iter().filter(|(name, _)| !name.starts_with("test/") && !name.starts_with("doc/")) {
        let name = name.strip_suffix("go.mod").map_or_else(|| name.clone(), |folder| format!("{folder}_go.mod"));
        zip.add(&format!("{TOOLCHAIN}/{name}"), text.as_bytes());
    }
    zip.finish()
}

const TOOLCHAIN: &str = "golang.org/toolchain@v0.0.1-go1.99.1.linux-amd64";

/// A zip whose files are not compressed.
#[derive(Default)]
struct Stored {
    body: Vec<u8>,
    directory: Vec<u8>,
    count: u16,
}

impl Stored {
    fn add(&mut self, name: &str, content: &[u8]) {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let size = u32::try_from(content.len()).unwrap().to_le_bytes();
        let length = u16::try_from(name.len()).unwrap().to_le_bytes();
        let fields = [&crc.sum().to_le_bytes()[..], &size, &size, &length, &[0, 0]].concat();
        let offset = u32::try_from(self.body.len()).unwrap().to_le_bytes();
        self.body.extend([b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0", &fields[..], name.as_bytes(), content].concat());
        let head = b"PK\x01\x02\x14\x03\x14\0\0\0\0\0\0\0\0\0";
        self.directory.extend([&head[..], &fields, &[0; 10], &offset, name.as_bytes()].concat());
        self.count += 1;
    }

    fn finish(self) -> Vec<u8> {
        let count = self.count.to_le_bytes();
        let size = u32::try_from(self.directory.len()).unwrap().to_le_bytes();
        let offset = u32::try_from(self.body.len()).unwrap().to_le_bytes();
        [&self.body[..], &self.directory, b"PK\x05\x06\0\0\0\0", &count, &count, &size, &offset, &[0, 0]].concat()
    }
}

#[test]
fn a_toolchain_that_go_unpacked_is_its_module() {
    let folder = Folder::new();
    let entry = "mod/cache/download/golang.org/toolchain/@v/v0.0.1-go1.99.1.linux-amd64.zip";
    folder.write(entry, &toolchain(&release()));
    for (name, text) in release().iter().filter(|(name, _)| !name.starts_with("test/") && !name.starts_with("doc/")) {
        folder.write(&format!("mod/{TOOLCHAIN}/{name}"), text.as_bytes());
        // go copies them to their own names, and leaves the others.
        if let Some(below) = name.strip_suffix("go.mod") {
            folder.write(&format!("mod/{TOOLCHAIN}/{below}_go.mod"), text.as_bytes());
        }
    }
    let (status, codes, checks) = folder.verify(&["mod"], &[]);
    assert_eq!((status, codes), (Some(0), vec![]));
    assert_eq!(of(&checks, "copy")[0].0, "agrees");
    for (name, text) in
        [("src/fmt/print.go", "package fmt // x"), ("src/go.mod", "module else\n"), ("src/x.go", "package x")]
    {
        let place = format!("mod/{TOOLCHAIN}/{name}");
        let before = fs::read(folder.path(&place)).ok();
        folder.write(&place, text.as_bytes());
        assert_eq!(folder.verify(&["mod"], &[]).1, ["artifact.cache_modified"], "{name}");
        match before {
            Some(bytes) => drop(folder.write(&place, &bytes)),
            None => fs::remove_file(folder.path(&place)).unwrap(),
        }
    }
    // Records of the module are as good for what was unpacked as for the zip.
    let tree = format!("mod/{TOOLCHAIN}");
    let h1 = hash_of(&folder, &tree);
    for (hash, codes, result) in
        [(h1.as_str(), vec![], "agrees"), ("h1:AAAA=", vec!["artifact.cache_modified"], "differs")]
    {
        folder.write("p/go.sum", format!("golang.org/toolchain v0.0.1-go1.99.1.linux-amd64 {hash}\n").as_bytes());
        let (_, told, checks) = folder.verify(&[&tree, "p/go.sum"], &[]);
        assert_eq!((told, of(&checks, "go_sum")[0].0), (codes.into_iter().map(str::to_owned).collect(), result));
    }
    // An installed Go against the module.
    for (name, text) in release() {
        folder.write(&format!("go/{name}"), text.as_bytes());
    }
    let (_, codes, checks) = folder.verify(&["go", entry], &[]);
    assert_eq!((codes, of(&checks, "copy")[0].0), (vec![], "agrees"));
    folder.write("go/bin/go", b"EVIL");
    let (_, codes, _) = folder.verify(&["go", entry], &[]);
    assert_eq!(codes, ["artifact.sdk_mismatch"]);
}

fn hash_of(folder: &Folder, name: &str) -> String {
    let (_, out, _) = goprobe(&["verify", "--format", "json", folder.path(name).to_str().unwrap()]);
    let report: Value = serde_json::from_str(&out).unwrap();
    report["artifacts"][0]["hash"].as_str().unwrap().to_owned()
}

#[test]
fn archives_for_windows_are_zips() {
    let folder = Folder::new();
    let mut zip = Stored::default();
    for (name, text) in release() {
        let name = name.replace("linux_amd64", "windows_amd64");
        zip.add(&format!("go/{name}"), text.as_bytes());
        folder.write(&format!("go/{name}"), text.as_bytes());
    }
    let bytes = zip.finish();
    for name in ["go1.99.1.windows-amd64.zip", "go1.99.1.windows-amd64 (1).zip"] {
        folder.write(name, &bytes);
        let (_, codes, checks) = folder.verify(&["go", name], &[]);
        assert_eq!((codes, of(&checks, "copy")[0].0), (vec![], "agrees"));
    }
    folder.write("go/bin/go", b"EVIL");
    assert_eq!(folder.verify(&["go", "go1.99.1.windows-amd64.zip"], &[]).1, ["artifact.sdk_mismatch"]);
    // Whatever it is called, an archive of Go is no module.
    folder.write("go.zip", &bytes);
    let (status, codes, checks) = folder.verify(&["go.zip"], &[]);
    assert_eq!((status, codes, of(&checks, "release_list")[0].0), (Some(3), vec![], "not_assessed"));
}

#[test]
fn packages_are_held_against_what_their_makers_say() {
    let folder = Folder::new();
    let bottle = "0123--go--1.99.1.x86_64_linux.bottle.1.tar.gz";
    folder.write(bottle, b"bottle");
    let open = folder.verify(&[bottle], &[]);
    assert!(open.0 == Some(3) && open.2[0].2.contains("no manifest"), "{open:?}");
    let manifest = |hash: &str| {
        let entry = |name: &str, hash: &str| json!({"annotations": {"org.opencontainers.image.ref.name": name, "sh.brew.bottle.digest": hash}});
        let entries = [entry("1.99.1.arm64_sonoma.1", &sha256(b"else")), entry("1.99.1.x86_64_linux.1", hash)];
        json!({"schemaVersion": 2, "manifests": entries}).to_string()
    };
    folder.write("4567--go-1.99.1-1.bottle_manifest.json", manifest(&sha256(b"bottle")).as_bytes());
    let good = folder.verify(&[bottle], &[]);
    assert!(good.0 == Some(0) && good.2[0].2.contains("shows damage, not malice"), "{good:?}");
    folder.write("4567--go-1.99.1-1.bottle_manifest.json", manifest(&sha256(b"else")).as_bytes());
    assert_eq!(folder.verify(&[bottle], &[]).1, ["artifact.sdk_mismatch"]);

    let deb = "golang-1.99-go_1.99.1-1_amd64.deb";
    folder.write(deb, b"package");
    assert_eq!(folder.verify(&[deb], &[]).0, Some(3));
    let lists = |hash: &str| {
        let changes =
            format!("Format: 1.8\nChecksums-Sha256:\n {} 9 other.deb\n {hash} 7 {deb}\nFiles:\n", sha256(b"x"));
        let packages = format!(
            "Package: other\nFilename: pool/o/other.deb\nSHA256: {}\n\nPackage: golang-1.99-go\nFilename: pool/g/{deb}\nSHA256: {hash}\n",
            sha256(b"x")
        );
        [("golang-1.99_1.99.1-1_amd64.changes", changes), ("Packages", packages)]
    };
    for (hash, status) in [(sha256(b"package"), 0), (sha256(b"else"), 1)] {
        for (name, text) in lists(&hash) {
            folder.write(name, text.as_bytes());
            assert_eq!(folder.verify(&[deb], &[]).0, Some(status), "{name}");
            fs::remove_file(folder.path(name)).unwrap();
        }
    }
}

/// Debian's Go has its source below /usr/share, and dpkg has the sums of both.
#[cfg(all(unix, feature = "openpgp"))]
#[test]
fn an_installed_package_is_held_against_its_own_sums() {
    let folder = Folder::new();
    folder.write("usr/lib/go-1.99/VERSION", b"go1.99.1");
    folder.write("usr/lib/go-1.99/bin/go", b"abc");
    folder.write("usr/share/go-1.99/src/runtime/a.go", b"");
    std::os::unix::fs::symlink("../../share/go-1.99/src", folder.path("usr/lib/go-1.99/src")).unwrap();
    // MD5 of `abc` and of nothing are in RFC 1321 §A.5.
    let go = format!(
        "{}  usr/lib/go-1.99/VERSION\n900150983cd24fb0d6963f7d28e17f72  usr/lib/go-1.99/bin/go\n{}  usr/share/doc/golang-1.99-go/copyright\n",
        md5(b"go1.99.1"),
        md5(b"left out")
    );
    folder.write("var/lib/dpkg/info/golang-1.99-go.md5sums", go.as_bytes());
    let source = "d41d8cd98f00b204e9800998ecf8427e  usr/share/go-1.99/src/runtime/a.go\n";
    folder.write("var/lib/dpkg/info/golang-1.99-src.md5sums", source.as_bytes());
    folder.write("var/lib/dpkg/info/other.md5sums", b"00000000000000000000000000000000  usr/lib/go-1.99/bin/go\n");
    let (status, codes, checks) = folder.verify(&["usr/lib/go-1.99"], &[]);
    assert_eq!((status, codes), (Some(0), vec![]), "{checks:?}");
    assert!(checks[0].2.ends_with("golang-1.99-src.md5sums (MD5: shows damage, not malice)"), "{checks:?}");
    // go.dev's archive of that version has other bytes, and that says nothing.
    let mut other = release();
    other.insert("bin/go".to_owned(), "as go.dev built it".to_owned());
    folder.write(NAME, &archive(&other));
    folder.write("usr/lib/go-1.99/pkg/tool/linux_amd64/compile", b"ELF");
    let (_, codes, checks) = folder.verify(&["usr/lib/go-1.99", NAME], &[]);
    assert_eq!(codes, Vec::<String>::new(), "{checks:?}");
    for (name, text, counts) in [
        ("usr/lib/go-1.99/bin/go", "EVIL", "1 changed, 0 added, 0 missing"),
        ("usr/share/go-1.99/src/runtime/b.go", "package runtime", "0 changed, 1 added, 0 missing"),
    ] {
        let before = fs::read(folder.path(name)).ok();
        folder.write(name, text.as_bytes());
        let (_, codes, checks) = folder.verify(&["usr/lib/go-1.99"], &[]);
        assert_eq!(codes, ["artifact.sdk_mismatch"]);
        assert!(checks[0].2.contains(counts), "{checks:?}");
        match before {
            Some(bytes) => drop(folder.write(name, &bytes)),
            None => fs::remove_file(folder.path(name)).unwrap(),
        }
    }
}

#[cfg(feature = "openpgp")]
fn md5(bytes: &[u8]) -> String {
    let hash = pgp::crypto::hash::HashAlgorithm::Md5.digest(bytes).unwrap();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_listing_that_contradicts_what_is_known_is_refused() {
    let (folder, rules) = known();
    let update = |text: &str| {
        let list = folder.write("list", text.as_bytes());
        goprobe(&["rules", "update", &list, "--to", &rules, "--checked", "2026-11-22"])
    };
    let before = fs::read_to_string(folder.path("rules/releases.toml")).unwrap();
    let hash = "0".repeat(64);
    for (text, part) in [
        // Against the shipped lists, against an earlier import, against itself.
        (listing(&[("go1.17.3.linux-amd64.tar.gz", &hash)]).to_string(), "in go.dev/dl of 2021-11-17 it has 550f984"),
        (listing(&[(NAME, &hash)]).to_string(), "in go.dev/dl, imported of 2026-11-20"),
        (listing(&[("a", &hash), ("a", &"1".repeat(64))]).to_string(), "a has both SHA-256"),
        (listing(&[("a", "12")]).to_string(), "\"a\" with SHA-256 \"12\""),
        (listing(&[("a b", &hash)]).to_string(), "\"a b\""),
        (listing(&[("a\"\"\"\n", &hash)]).to_string(), "with SHA-256"),
        (listing(&[("a", "")]).to_string(), "no file with a SHA-256"),
        ("<html>Please log in</html>".to_owned(), "it is a web page"),
        ("{}".to_owned(), "it is other JSON"),
        ("[]".to_owned(), "it is other JSON"),
        (String::new(), "neither JSON nor PEM"),
    ] {
        let (status, out, error) = update(&text);
        assert_eq!((status, out.as_str()), (Some(2), ""), "{text}");
        assert!(error.contains(part), "{error}");
        assert_eq!(fs::read_to_string(folder.path("rules/releases.toml")).unwrap(), before);
    }
    let (status, _, error) = update(&listing(&[("go1.99.2.linux-amd64.tar.gz", &hash)]).to_string());
    assert_eq!(status, Some(0), "{error}");
}

#[test]
fn lists_of_several_kinds_go_to_one_folder_and_stay_there() {
    let (folder, rules) = known();
    let google = folder.write("goog.json", br#"{"prefixes": [{"ipv4Prefix": "8.8.4.0/24"}]}"#);
    let github = folder.write("meta.json", br#"{"git": ["192.30.252.0/22"], "web": [], "hooks": []}"#);
    let update = |lists: &[&str]| goprobe(&[&["rules", "update", "--to", &rules], lists].concat());
    assert_eq!(update(&[&google]).0, Some(0));
    assert_eq!(update(&[&github, &google]).0, Some(0));
    let (status, out, _) = goprobe(&["rules", "list", "--rules", &rules]);
    assert_eq!(status, Some(0));
    for name in ["go.dev/dl, imported", "google", "github"] {
        let own = out.lines().filter(|line| line.contains(&rules) && line.contains(name)).count();
        assert_eq!(own, 1, "{name}: {out}");
    }
    assert_eq!(goprobe(&["rules", "check", &rules]).0, Some(0));
    // To standard output where there is one file of them.
    let (status, out, _) = goprobe(&["rules", "update", &google, &github]);
    assert!(status == Some(0) && out.contains("\nschema = 1\n") && out.matches("[[operator]]").count() == 2, "{out}");
    let list = folder.path("dl.json").display().to_string();
    let (status, _, error) = goprobe(&["rules", "update", &google, &list]);
    assert!(status == Some(2) && error.contains("--to DIR"), "{error}");
    // What somebody wrote himself is not written over.
    folder.write("rules/ranges.toml", b"schema = 1\n");
    let (status, _, error) = update(&[&google]);
    assert!(status == Some(2) && error.contains("written by somebody else"), "{error}");
    let (status, _, error) = goprobe(&["rules", "update", &google, "--checked", "yesterday"]);
    assert!(status == Some(2) && error.contains("no date"), "{error}");
}

/// Every hash of every list that is at hand: known, or the reason why it is not.
#[test]
fn public_lists_and_the_shipped_ones_agree() {
    let Some(lists) = shared("releases") else { return };
    let reference = goprobe::reference::Reference::builtin().unwrap();
    let releases = reference.releases();
    let read = |name: &str| fs::read_to_string(lists.join(name)).unwrap();
    let mut compared = 0;
    let mut differing = Vec::new();
    let mut without = 0;
    let mut compare = |file: &str, hash: &str| {
        if hash.len() != 64 {
            // Before 1.5.3 there were SHA-1 sums only.
            without += 1;
            return;
        }
        compared += 1;
        if releases.find(file).is_none_or(|known| known.sha256 != hash) {
            differing.push(format!("{file} {hash}"));
        }
    };
    // The website's own table, with each release once.
    let dl: Value = serde_json::from_str(&read("dl.json")).unwrap();
    let mut listed = Vec::new();
    for group in ["Stable", "Unstable", "Archive"] {
        for version in dl[group].as_array().into_iter().flatten() {
            let mut files = Vec::new();
            for file in version["Files"].as_array().unwrap() {
                let (name, hash) = (file["Filename"].as_str().unwrap(), file["ChecksumSHA256"].as_str().unwrap());
                compare(name, hash);
                files.push(json!({"filename": name, "sha256": hash}));
            }
            listed.push(json!({"version": version["Version"], "files": files}));
        }
    }
    let docker: Value = serde_json::from_str(&read("docker-library-versions.json")).unwrap();
    for version in docker.as_object().unwrap().values() {
        for arch in version["arches"].as_object().into_iter().flat_map(serde_json::Map::values) {
            if let (Some(url), Some(hash)) = (arch["url"].as_str(), arch["sha256"].as_str()) {
                compare(url.rsplit('/').next().unwrap(), hash);
            }
        }
    }
    for line in read("goenv_sha256.tsv").lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        compare(fields[1], fields[2]);
    }
    // goenv has two hashes that go.dev never had (the first is that of the same release for arm64), one of another release,
    // and one for two files.
    assert_eq!(
        differing,
        [
            "go1.13rc1.linux-armv6l.tar.gz be16145c9fa218340766b19edd175b109adab826155add2fd504430a751aaa19",
            "go1.14.7.linux-armv6l.tar.gz fe5b6f6e441f3cb7b53ebf1a010bbebcb720ac98124984cfe2e51d72b8a58c71",
            "go1.18beta1.freebsd-386.tar.gz d3ea61c33445c6f9cfa5543b199badf6a9953cfb8fa825986fd6f2cba4355e63",
            "go1.20rc1.freebsd-386.tar.gz 3a24e5b8f36fb70e602f8cfe3cd10ce75efe70f240707817a9379a1058929fba",
            "go1.20rc1.freebsd-amd64.tar.gz 3a24e5b8f36fb70e602f8cfe3cd10ce75efe70f240707817a9379a1058929fba",
        ]
    );
    println!("{compared} hashes compared, {without} files have none");
    assert!(compared > 4900, "{compared}");
    // The same table in the form of ?mode=json is imported as a whole.
    let folder = Folder::new();
    let list = folder.write("dl.json", Value::Array(listed).to_string().as_bytes());
    let rules = folder.path("rules").display().to_string();
    let (status, out, error) = goprobe(&["rules", "update", &list, "--to", &rules]);
    assert!(status == Some(0) && out.contains("2664 files of releases"), "{out}{error}");
}
