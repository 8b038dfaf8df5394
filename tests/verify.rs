//! `goprobe verify` as people run it: exit statuses, reports, and go itself as the measure.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what cannot be done fails the test, and what is skipped is said"
)]

#[path = "support/artifacts.rs"]
mod artifacts;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use artifacts::shared;

fn goprobe(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_goprobe"));
    let output = command.arg("verify").args(arguments).env_remove("GOSUMDB").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn json(arguments: &[&str]) -> (Option<i32>, Value) {
    let (status, out, _) = goprobe(&[arguments, &["--format", "json"]].concat());
    (status, serde_json::from_str(&out).unwrap())
}

fn codes(report: &Value) -> Vec<String> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_cannot_be_held_against_anything_ends_with_three() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("go.sum"), "example.com/m v1.0.0 h1:AAAA=\n").unwrap();
    let path = folder.path().to_str().unwrap();
    let (status, report) = json(&[path]);
    assert_eq!((status, report["verdict"]["outcome"].as_str()), (Some(3), Some("inconclusive")));
    assert_eq!(report["run"]["mode"], "verify");
    assert!(!report["not_assessed"].as_array().unwrap().is_empty());
    assert_eq!(report["not_assessed"][0]["why"], "not_given");
}

#[test]
fn malformed_arguments_end_with_two() {
    let folder = tempfile::tempdir().unwrap();
    let sum = folder.path().join("go.sum");
    fs::write(&sum, "one two\n").unwrap();
    let sum = sum.to_str().unwrap();
    let here = folder.path().to_str().unwrap();
    for arguments in [
        &[sum][..],
        &[here, "--module", "nonsense"],
        &[here, "--sumdb", here],
        &[here, "--sumdb", "https://me:secret@sum.golang.org"],
        &[here, "--sumdb-key", "a+b+c"],
    ] {
        let (status, out, error) = goprobe(arguments);
        assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}: {error}");
        assert!(!error.is_empty());
    }
}

#[test]
fn a_page_in_the_place_of_a_zip_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let zip = folder.path().join("example.com/m/@v/v1.0.0.zip");
    fs::create_dir_all(zip.parent().unwrap()).unwrap();
    fs::write(&zip, "<html>no</html>").unwrap();
    let (status, report) = json(&[folder.path().to_str().unwrap()]);
    assert_eq!((status, codes(&report)), (Some(1), vec!["artifact.invalid_zip".to_owned()]));
    let finding = &report["findings"][0];
    assert_eq!(finding["subject"]["module"], "example.com/m@v1.0.0");
    assert_eq!(finding["evidence"][0]["path"].as_str(), zip.to_str());
    assert!(finding["summary"].as_str().unwrap().contains("not a valid zip file"));
}

#[test]
fn a_report_is_the_same_twice_but_for_the_clock() {
    let Some(modules) = shared("modules") else { return };
    let once = || {
        let (_, mut report) = json(&[modules.to_str().unwrap()]);
        report["run"]["started"] = Value::Null;
        report["run"]["finished"] = Value::Null;
        report.to_string()
    };
    assert_eq!(once(), once());
}

#[test]
fn real_modules_lookups_and_go_sums_agree() {
    let (Some(modules), Some(sums), Some(database)) =
        (shared("modules"), shared("gosum"), shared("sumdb/sum.golang.org"))
    else {
        return;
    };
    let mut paths = vec![modules, PathBuf::from("--sumdb"), database];
    for file in fs::read_dir(sums).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sum") {
            paths.push(path);
        }
    }
    let (status, report) = json(&paths.iter().map(|path| path.to_str().unwrap()).collect::<Vec<_>>());
    assert_eq!((status, codes(&report)), (Some(0), vec![]));
    let artifacts = report["artifacts"].as_array().unwrap();
    let proven = artifacts.iter().filter(|artifact| {
        artifact["kind"] == "sumdb_lookup"
            && artifact["checks"].as_array().unwrap().iter().all(|check| check["result"] == "agrees")
    });
    assert_eq!(proven.count(), 462);
}

/// The go of the lab, if it was set up.
fn go() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab/go-1.27.3/go/bin/go");
    if !path.is_file() {
        println!("skipped: {} is not there (tests/lab/setup)", path.display());
        return None;
    }
    Some(path)
}

/// A project whose modules go downloaded into a cache of its own.
struct Downloaded {
    folder: tempfile::TempDir,
    go: PathBuf,
    proxy: PathBuf,
}

impl Downloaded {
    fn new() -> Option<Self> {
        let (go, proxy) = (go()?, shared("modules")?.canonicalize().unwrap());
        let this = Self { folder: tempfile::tempdir().unwrap(), go, proxy };
        let project = this.project();
        fs::create_dir_all(&project).unwrap();
        let requires = "require (\n\tgithub.com/pkg/errors v0.9.1\n\tgithub.com/BurntSushi/toml v0.3.1\n)\n";
        fs::write(project.join("go.mod"), format!("module example.com/p\n\ngo 1.21\n\n{requires}")).unwrap();
        let main = "package main\n\nimport (\n\t_ \"github.com/BurntSushi/toml\"\n\t_ \"github.com/pkg/errors\"\n)\n\nfunc main() {}\n";
        fs::write(project.join("main.go"), main).unwrap();
        assert!(this.go(&["mod", "tidy"]), "go mod tidy");
        assert!(this.go(&["mod", "vendor"]), "go mod vendor");
        Some(this)
    }

    fn project(&self) -> PathBuf {
        self.folder.path().join("p")
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("mod")
    }

    fn go(&self, arguments: &[&str]) -> bool {
        let mut command = Command::new(&self.go);
        command.args(arguments).current_dir(self.project()).env_clear().env("HOME", self.folder.path());
        command.env("GOMODCACHE", self.cache()).env("GOCACHE", self.folder.path().join("build"));
        command.env("GOPROXY", format!("file://{}", self.proxy.display()));
        command.envs([("GOSUMDB", "off"), ("GOTOOLCHAIN", "local"), ("GOFLAGS", "-mod=mod -modcacherw")]);
        let output = command.output().unwrap();
        output.status.success()
    }

    /// What goprobe says, and whether go agrees.
    fn judged(&self) -> (Option<i32>, Vec<String>, bool) {
        let (status, report) = json(&[self.project().to_str().unwrap(), self.cache().to_str().unwrap()]);
        (status, codes(&report), self.go(&["mod", "verify"]))
    }
}

#[test]
fn goprobe_and_go_mod_verify_agree_on_a_real_cache() {
    let Some(downloaded) = Downloaded::new() else { return };
    assert_eq!(downloaded.judged(), (Some(0), vec![], true));
    let cache = downloaded.cache();
    let entry = cache.join("cache/download/github.com/pkg/errors/@v/v0.9.1");
    let (zip, hash) = (entry.with_extension("1.zip"), entry.with_extension("1.ziphash"));
    let tree = cache.join("github.com/pkg/errors@v0.9.1");
    // A file of the tree, one more in it, one less; a byte of the zip's contents; the stored hash.
    let change = |path: &Path, work: &dyn Fn()| {
        let before = fs::read(path).ok();
        work();
        let judged = downloaded.judged();
        match before {
            Some(bytes) => fs::write(path, bytes).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        judged
    };
    let file = tree.join("errors.go");
    let told = change(&file, &|| fs::write(&file, "package errors // other\n").unwrap());
    assert_eq!(told, (Some(1), vec!["artifact.cache_modified".to_owned()], false));
    let more = tree.join("more.go");
    let told = change(&more, &|| fs::write(&more, "package errors\n").unwrap());
    assert_eq!(told, (Some(1), vec!["artifact.cache_modified".to_owned()], false));
    let less = tree.join("stack.go");
    let told = change(&less, &|| fs::remove_file(&less).unwrap());
    assert_eq!(told, (Some(1), vec!["artifact.cache_modified".to_owned()], false));
    let told = change(&zip, &|| {
        let mut bytes = fs::read(&zip).unwrap();
        // In the content of the first entry, behind its header, name and extra field.
        let body = 30 + usize::from(bytes[26]) + usize::from(bytes[28]);
        bytes[body + 8] ^= 1;
        fs::write(&zip, bytes).unwrap();
    });
    assert_eq!((told.0, told.2), (Some(1), false), "{told:?}");
    let told = change(&hash, &|| fs::write(&hash, "h1:AAAA=").unwrap());
    assert_eq!((told.0, told.2), (Some(1), false), "{told:?}");
    assert_eq!(downloaded.judged(), (Some(0), vec![], true));
}

/// Writes a file and the folders above it.
fn put(root: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

const NAME: &str = "example.com/m@v1.0.0";
const GO_MOD: &str = "module example.com/m\n";

/// A module zip, its files stored as they are, and its hash.
fn module_zip(source: &str) -> (Vec<u8>, String) {
    let (mut body, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in [("a.go", source), ("go.mod", GO_MOD)] {
        let name = format!("{NAME}/{name}");
        let (length, offset) = (u32::try_from(content.len()).unwrap(), u32::try_from(body.len()).unwrap());
        let mut header = [[20, 0, 0, 0, 0, 0, 0, 0], [0; 8]].concat();
        header.truncate(10);
        let mut crc = flate2::Crc::new();
        crc.update(content.as_bytes());
        header.extend(crc.sum().to_le_bytes());
        header.extend([length.to_le_bytes(), length.to_le_bytes()].concat());
        header.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        header.extend([0, 0]);
        body.extend([b"PK\x03\x04", &header[..], name.as_bytes(), content.as_bytes()].concat());
        directory
            .extend([b"PK\x01\x02\x14\x00", &header[..], &[0; 10], &offset.to_le_bytes(), name.as_bytes()].concat());
    }
    let (start, length) = (u32::try_from(body.len()).unwrap(), u32::try_from(directory.len()).unwrap());
    let end = [b"PK\x05\x06\0\0\0\0\x02\0\x02\0", &length.to_le_bytes()[..], &start.to_le_bytes(), &[0, 0]].concat();
    let mut files = goprobe::artifact::dirhash::FileHashes::default();
    for (name, content) in [("a.go", source), ("go.mod", GO_MOD)] {
        files.push(format!("{NAME}/{name}"), goprobe::artifact::dirhash::sha256(content.as_bytes()));
    }
    ([body, directory, end].concat(), files.h1())
}

#[test]
fn what_is_no_module_is_not_accused_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let photos = put(root, "photos.zip", "no zip");
    put(root, "fortran.mod", "x");
    put(root, "bad/go.sum", "one two\n");
    let (status, out, error) = goprobe(&[root.to_str().unwrap()]);
    assert_eq!(status, Some(3), "{out}");
    assert!(error.contains("2 files with names like"), "{error}");
    assert!(error.contains("malformed go.sum:1"), "{error}");
    assert_eq!(goprobe(&[root.to_str().unwrap(), "-q"]).2, "");
    assert_eq!(goprobe(&[photos.to_str().unwrap()]).0, Some(1));
    assert_eq!(goprobe(&["/dev/null"]).0, Some(2));
}

#[test]
fn what_was_extracted_is_held_against_go_sum() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let (zip, h1) = module_zip("package m\n");
    for name in ["v1.0.0.zip", "v1.0.0.zip-2"] {
        put(root, &format!("out/proxy.golang.org/example.com/m/@v/{name}"), &zip);
    }
    put(root, "out/proxy.golang.org/example.com/m/@v/v1.0.0.zip.incomplete", "PK");
    put(root, "out/proxy.golang.org/example.com/m/@v/v1.0.0.mod", GO_MOD);
    // What a server said in refusing is no artifact.
    let refused = ["proxy.golang.org/example.com/@v/v1.0.0.zip", "sum.golang.org/lookup/example.com/m@v1.0.0"];
    let list = refused.map(|path| format!("{{\"path\":\"{path}\",\"status\":404}}\n")).concat();
    refused.iter().for_each(|path| drop(put(root, &format!("out/{path}"), "not found")));
    put(root, "out/manifest.jsonl", list);
    let sum = put(root, "go.sum", format!("example.com/m v1.0.0 {h1}\n"));
    let given = [root.join("out"), PathBuf::from("--go-sum"), sum];
    let given: Vec<&str> = given.iter().map(|path| path.to_str().unwrap()).collect();
    let (status, report) = json(&given);
    assert_eq!((status, codes(&report)), (Some(0), vec![]));
    assert_eq!(report["verdict"]["summary"], "All 3 artifacts are as they are on record.");
    // Another answer of the same name, with other bytes.
    let other = put(root, "out/proxy.golang.org/example.com/m/@v/v1.0.0.zip-3", module_zip("package evil\n").0);
    let (status, report) = json(&given);
    assert_eq!((status, codes(&report)), (Some(1), vec!["artifact.checksum_mismatch".to_owned()]));
    assert_eq!(report["findings"][0]["evidence"][0]["path"].as_str(), other.to_str());
    // What is left out by an option is not said to be right.
    let (status, report) = json(&[&given[..], &["--allow", "artifact"]].concat());
    assert_eq!((status, codes(&report)), (Some(0), vec![]));
    assert!(report["verdict"]["summary"].as_str().unwrap().contains("--allow"), "{}", report["verdict"]["summary"]);
}

#[test]
fn a_zip_of_another_module_is_told_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let zip = put(folder.path(), "x.zip", module_zip("package m\n").0);
    let (status, report) = json(&[zip.to_str().unwrap(), "--module", "example.com/n@v1.0.0"]);
    assert_eq!((status, codes(&report)), (Some(1), vec!["artifact.invalid_zip".to_owned()]));
    let summary = report["findings"][0]["summary"].as_str().unwrap();
    assert!(summary.contains("it is of example.com/m@v1.0.0, not of example.com/n@v1.0.0"), "{summary}");
    assert!(!summary.contains("prefix"), "{summary}");
}

#[test]
fn a_setting_of_gosumdb_is_a_key_only_in_its_first_word() {
    let folder = tempfile::tempdir().unwrap();
    let zip = put(folder.path(), "x.zip", module_zip("package m\n").0);
    let run = |value: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_goprobe"));
        let output = command.arg("verify").arg(&zip).env("GOSUMDB", value).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for value in ["off", "", "sum.golang.org https://me:secret@mirror.example/a+b", "sum.golang.google.cn"] {
        assert_eq!(run(value).0, Some(3), "{value}");
    }
    let (status, error) = run("a+b+c https://me:secret@db.example");
    assert_eq!(status, Some(2));
    assert!(error.contains("GOSUMDB") && !error.contains("secret"), "{error}");
}

#[test]
fn a_file_that_is_given_twice_is_no_copy_of_itself() {
    let folder = tempfile::tempdir().unwrap();
    let zip = put(folder.path(), "x/x.zip", module_zip("package m\n").0);
    let other = folder.path().join("x/../x/x.zip");
    let given = [folder.path(), &zip, &other].map(|path| path.to_str().unwrap());
    let (status, report) = json(&given);
    assert_eq!((status, report["artifacts"].as_array().unwrap().len()), (Some(3), 1));
}
