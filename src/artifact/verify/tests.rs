use std::fs;
use std::path::Path;

use super::*;
use crate::artifact::dirhash::go_mod_h1;
use crate::artifact::module_zip::ModuleZip;
use crate::artifact::testing::zip_of;
use crate::observation::artifact::{ArtifactKind, CheckResult};

const NAME: &str = "example.com/m@v1.0.0";
const GO_MOD: &str = "module example.com/m\n";

fn files(a: &str) -> Vec<(String, String)> {
    vec![
        (format!("{NAME}/go.mod"), GO_MOD.to_owned()),
        (format!("{NAME}/a.go"), a.to_owned()),
        (format!("{NAME}/b.go"), "package m\n".to_owned()),
    ]
}

fn zip(files: &[(String, String)]) -> Vec<u8> {
    zip_of(&files.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect::<Vec<_>>())
}

fn h1(zip: &[u8]) -> String {
    ModuleZip::read(std::io::Cursor::new(zip), zip.len() as u64, None).h1.unwrap()
}

/// A module cache with one module, and a project that uses it.
struct Cache(tempfile::TempDir);

impl Cache {
    fn new() -> Self {
        let cache = Self(tempfile::tempdir().unwrap());
        let good = zip(&files("package m // a\n"));
        let entry = "mod/cache/download/example.com/m/@v/v1.0.0";
        cache.write(&format!("{entry}.zip"), &good);
        cache.write(&format!("{entry}.mod"), GO_MOD.as_bytes());
        cache.write(&format!("{entry}.ziphash"), h1(&good).as_bytes());
        for (name, content) in files("package m // a\n") {
            cache.write(&format!("mod/{name}"), content.as_bytes());
        }
        let sum = format!(
            "example.com/m v1.0.0 {}\nexample.com/m v1.0.0/go.mod {}\n",
            h1(&good),
            go_mod_h1(GO_MOD.as_bytes())
        );
        cache.write("p/go.sum", sum.as_bytes());
        cache.write("p/vendor/modules.txt", b"# example.com/m v1.0.0\n## explicit\nexample.com/m\n");
        cache.write("p/vendor/example.com/m/a.go", b"package m // a\n");
        cache
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn verify(&self, paths: &[&str]) -> Outcome {
        let mut inventory = Inventory::default();
        paths.iter().for_each(|path| inventory.add(&self.0.path().join(path)).unwrap());
        run(&inventory, &Settings { threads: 2, ..Settings::default() }, &|_, _| {}).unwrap()
    }
}

/// What differs: kind of artifact, yardstick, changed files.
fn wrong(outcome: &Outcome) -> Vec<(ArtifactKind, Yardstick, String)> {
    let mut wrong = Vec::new();
    for artifact in &outcome.artifacts {
        for check in &artifact.checks {
            if let CheckResult::Differs(difference) = &check.result {
                let files = [&difference.changed, &difference.added, &difference.missing].map(|list| list.join(" "));
                wrong.push((artifact.kind, check.yardstick, files.join("|")));
            }
        }
    }
    wrong
}

#[test]
fn an_untouched_cache_agrees_with_everything() {
    let outcome = Cache::new().verify(&["mod", "p"]);
    assert_eq!(wrong(&outcome), []);
    assert!(outcome.artifacts.iter().all(|it| it.checks.iter().all(|check| check.result == CheckResult::Agrees)));
    assert_eq!(outcome.modules.len(), 1);
    assert_eq!(outcome.modules[0].module().to_string(), NAME);
    assert_eq!(outcome.modules[0].by().len(), 1);
    let kinds: std::collections::BTreeSet<_> = outcome.artifacts.iter().map(|it| it.kind).collect();
    assert_eq!(kinds.len(), 5, "{kinds:?}");
}

#[test]
fn a_module_that_is_on_no_record_is_not_verified() {
    let outcome = Cache::new().verify(&["mod"]);
    assert_eq!((wrong(&outcome), outcome.modules.len()), (vec![], 0));
}

#[test]
fn a_changed_tree_is_told_with_its_files() {
    let cache = Cache::new();
    cache.write(&format!("mod/{NAME}/a.go"), b"package m // evil\n");
    cache.write(&format!("mod/{NAME}/c.go"), b"package m\n");
    fs::remove_file(cache.0.path().join(format!("mod/{NAME}/b.go"))).unwrap();
    let outcome = cache.verify(&["mod"]);
    let wrong = wrong(&outcome);
    assert!(!wrong.is_empty());
    assert!(
        wrong.iter().all(|(kind, _, files)| *kind == ArtifactKind::ModuleTree && files == "a.go|c.go|b.go"),
        "{wrong:?}"
    );
}

#[test]
fn a_changed_zip_is_held_against_go_sum_and_its_stored_hash() {
    let cache = Cache::new();
    cache.write("mod/cache/download/example.com/m/@v/v1.0.0.zip", &zip(&files("package m // evil\n")));
    let outcome = cache.verify(&["mod", "p"]);
    let told: Vec<_> = wrong(&outcome).into_iter().map(|(kind, yardstick, _)| (kind, yardstick)).collect();
    for yardstick in [Yardstick::GoSum, Yardstick::ZipHash, Yardstick::Copy] {
        assert!(told.contains(&(ArtifactKind::ModuleZip, yardstick)), "{told:?}");
    }
    // The tree is still as it was, and is what the vendored files agree with.
    assert!(told.iter().all(|(kind, _)| *kind == ArtifactKind::ModuleZip), "{told:?}");
    assert_eq!(outcome.modules.len(), 0);
}

#[test]
fn a_stored_hash_that_was_changed_along_is_held_against_go_sum() {
    let cache = Cache::new();
    let evil = zip(&files("package m // evil\n"));
    let entry = "mod/cache/download/example.com/m/@v/v1.0.0";
    cache.write(&format!("{entry}.zip"), &evil);
    cache.write(&format!("{entry}.ziphash"), h1(&evil).as_bytes());
    let told: Vec<_> =
        wrong(&cache.verify(&["mod", "p"])).into_iter().map(|(kind, yardstick, _)| (kind, yardstick)).collect();
    assert!(told.contains(&(ArtifactKind::ZipHash, Yardstick::GoSum)), "{told:?}");
    assert!(told.contains(&(ArtifactKind::ModuleZip, Yardstick::GoSum)), "{told:?}");
}

#[test]
fn changed_go_mod_and_vendored_files_are_told() {
    let cache = Cache::new();
    cache.write("mod/cache/download/example.com/m/@v/v1.0.0.mod", b"module example.com/evil\n");
    cache.write("p/vendor/example.com/m/a.go", b"package m // evil\n");
    cache.write("p/vendor/example.com/m/new.go", b"package m\n");
    let told = wrong(&cache.verify(&["mod", "p"]));
    assert!(told.contains(&(ArtifactKind::GoMod, Yardstick::GoSum, "||".to_owned())), "{told:?}");
    assert!(told.contains(&(ArtifactKind::GoMod, Yardstick::Copy, "||".to_owned())), "{told:?}");
    assert!(told.contains(&(ArtifactKind::Vendored, Yardstick::Copy, "a.go|new.go|".to_owned())), "{told:?}");
}

#[test]
fn two_copies_and_two_records_contradict_each_other() {
    let cache = Cache::new();
    cache.write("a.zip", &zip(&files("package m // a\n")));
    cache.write("b.zip", &zip(&files("package m // b\n")));
    let told = wrong(&cache.verify(&["a.zip", "b.zip"]));
    assert!(told.iter().all(|(kind, yardstick, _)| (*kind, *yardstick) == (ArtifactKind::ModuleZip, Yardstick::Copy)));
    assert!(!told.is_empty());
    cache.write("q/go.sum", b"example.com/m v1.0.0 h1:AAAA=\n");
    let told = wrong(&cache.verify(&["p", "q"]));
    assert_eq!(
        told.iter().map(|(kind, yardstick, _)| (*kind, *yardstick)).collect::<Vec<_>>(),
        [(ArtifactKind::GoSum, Yardstick::GoSum)]
    );
}

#[test]
fn every_changed_bit_of_a_go_sum_line_is_found_or_is_about_something_else() {
    let cache = Cache::new();
    let good = fs::read(cache.0.path().join("p/go.sum")).unwrap();
    let hash_starts = good.windows(3).position(|window| window == b"h1:").unwrap();
    let line_ends = good.iter().position(|byte| *byte == b'\n').unwrap();
    for at in hash_starts + 3..line_ends {
        for bit in 0..8 {
            let mut changed = good.clone();
            changed[at] ^= 1 << bit;
            cache.write("p/go.sum", &changed);
            let mut inventory = Inventory::default();
            ["mod", "p"].iter().for_each(|path| inventory.add(&cache.0.path().join(path)).unwrap());
            match run(&inventory, &Settings { threads: 1, ..Settings::default() }, &|_, _| {}) {
                Ok(outcome) => assert!(!wrong(&outcome).is_empty(), "bit {bit} of byte {at}"),
                Err(error) => assert!(error.to_string().contains("malformed go.sum"), "{error}"),
            }
        }
    }
}

#[test]
fn an_installed_go_is_held_against_its_archive() {
    let cache = Cache::new();
    let content = [
        ("VERSION", "go1.99.1\ntime 2026\n"),
        ("src/runtime/a.go", "package runtime\n"),
        ("bin/go", "ELF"),
        ("go.env", "x"),
    ];
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, text) in content {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("go/{name}"), text.as_bytes()).unwrap();
        cache.write(&format!("goroot/{name}"), text.as_bytes());
    }
    cache.write("goroot/pkg/tool/linux_amd64/.keep", b"");
    fs::remove_file(cache.0.path().join("goroot/pkg/tool/linux_amd64/.keep")).unwrap();
    cache.write("go1.99.1.linux-amd64.tar.gz", &tar.into_inner().unwrap().finish().unwrap());
    let paths = ["goroot", "go1.99.1.linux-amd64.tar.gz"];
    assert_eq!(wrong(&cache.verify(&paths)), []);
    cache.write("goroot/bin/go", b"EVIL");
    cache.write("goroot/src/runtime/evil.go", b"package runtime\n");
    cache.write("goroot/notes.txt", b"mine\n");
    let told = wrong(&cache.verify(&paths));
    assert_eq!(told, [(ArtifactKind::Goroot, Yardstick::Copy, "bin/go|src/runtime/evil.go|".to_owned())]);
    assert_eq!(wrong(&cache.verify(&["goroot"])), []);
}

#[test]
fn a_release_is_held_against_the_list() {
    let cache = Cache::new();
    let name = "go1.17.3.linux-amd64.tar.gz";
    cache.write(name, b"not that one");
    let mut inventory = Inventory::default();
    inventory.add(&cache.0.path().join(name)).unwrap();
    let reference = crate::reference::Reference::builtin().unwrap();
    let settings = Settings { releases: reference.releases().clone(), ..Settings::default() };
    let outcome = run(&inventory, &settings, &|_, _| {}).unwrap();
    assert_eq!(wrong(&outcome)[0].1, Yardstick::ReleaseList);
}

#[test]
fn rebuilt_modules_agree_with_their_hashes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/artifacts");
    if !root.is_dir() {
        println!("skipped: {} is not there", root.display());
        return;
    }
    let mut inventory = Inventory::default();
    inventory.add(&root.join("modules")).unwrap();
    for file in fs::read_dir(root.join("gosum")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sum") {
            inventory.add(&path).unwrap();
        }
    }
    let outcome = run(&inventory, &Settings::default(), &|_, _| {}).unwrap();
    assert_eq!((wrong(&outcome), outcome.modules.len()), (vec![], 25));
    let good = fs::read(root.join("modules/github.com/pkg/errors/@v/v0.9.1.zip")).unwrap();
    let expected = h1(&good);
    for at in (0..good.len() * 8).step_by(1009) {
        let mut changed = good.clone();
        changed[at / 8] ^= 1 << (at % 8);
        let zip = ModuleZip::read(std::io::Cursor::new(&changed), changed.len() as u64, None);
        let found = !zip.breaches.is_empty()
            || !zip.irregular.is_empty()
            || !zip.oddities.is_empty()
            || zip.h1 != Some(expected.clone());
        // The last bits of a deflate stream may mean nothing.
        assert!(found || changed.get(at / 8 + 1..at / 8 + 3) == Some(b"PK"), "bit {at}");
    }
}

#[test]
fn a_link_in_a_zip_is_refused_unless_that_zip_is_on_record() {
    let folder = tempfile::tempdir().unwrap();
    let mut zip = crate::artifact::testing::Zip::default();
    zip.add_mode(&format!("{NAME}/link"), b"/etc/passwd", 0o120_777);
    let bytes = zip.finish();
    let path = folder.path().join("m.zip");
    fs::write(&path, &bytes).unwrap();
    let faults = |go_sum: Option<String>| {
        let mut inventory = Inventory::default();
        inventory.add(&path).unwrap();
        if let Some(hash) = go_sum {
            let sum = folder.path().join("go.sum");
            fs::write(&sum, format!("example.com/m v1.0.0 {hash}\n")).unwrap();
            inventory.add(&sum).unwrap();
        }
        let outcome = run(&inventory, &Settings::default(), &|_, _| {}).unwrap();
        let checks = outcome.artifacts.into_iter().flat_map(|artifact| artifact.checks);
        checks
            .filter_map(|check| match check.result {
                CheckResult::Differs(difference) => Some(difference.fault),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(faults(None), ["invalid_zip"]);
    assert_eq!(faults(Some(h1(&bytes))), ["odd_zip"]);
}

#[test]
fn a_wrong_copy_accuses_no_vendored_files() {
    let cache = Cache::new();
    cache.write("mod/cache/download/example.com/m/@v/v1.0.0.zip", &zip(&files("package m // evil\n")));
    fs::remove_dir_all(cache.0.path().join("mod/example.com")).unwrap();
    let outcome = cache.verify(&["mod", "p"]);
    assert!(wrong(&outcome).iter().all(|(kind, ..)| *kind == ArtifactKind::ModuleZip), "{:?}", wrong(&outcome));
    let vendored = outcome.artifacts.iter().find(|it| it.kind == ArtifactKind::Vendored).unwrap();
    assert!(matches!(vendored.checks[0].result, CheckResult::Open(_)));
}

#[test]
fn what_a_folder_replaces_is_neither_accused_nor_passed_over() {
    let cache = Cache::new();
    let list = "# example.com/m v1.0.0\n## explicit\nexample.com/m\n# example.com/m/sub v1.0.0 => ../sub\nexample.com/m/sub\n\
                # example.com/m v0.9.0 => example.com/fork v1.0.0\n";
    cache.write("p/vendor/modules.txt", list.as_bytes());
    cache.write("p/vendor/example.com/m/sub/a.go", b"package sub\n");
    let outcome = cache.verify(&["mod", "p"]);
    assert_eq!(wrong(&outcome), []);
    let open = outcome.artifacts.iter().filter(|it| matches!(it.checks[0].result, CheckResult::Open(_)));
    assert_eq!(open.map(|it| it.name.as_str()).collect::<Vec<_>>(), ["example.com/m/sub"]);
}
