//! Downloads in recorded traffic, from packets to findings.

use std::io::Write as _;

use crate::artifact::dirhash::go_mod_h1;
use crate::artifact::module_zip::ModuleZip;
use crate::artifact::note::tests::Signer;
use crate::artifact::testing::zip_of;
use crate::artifact::tlog::tests::Log;
use crate::finding::{Code, Confidence, Detail, Fault, Finding};
use crate::observation::artifact::{ArtifactKind, CheckResult, Origin};
use crate::testing::{Scene, cited};

const ENV: &str = "GOPROXY=http://modules.corp.example\n";
const ZIP: &str = "/example.com/x/@v/v1.0.0.zip";
const MOD: &str = "/example.com/x/@v/v1.0.0.mod";
const SUMDB: &str = "/sumdb/log.example";
const GO_MOD: &str = "module example.com/x\n";

fn zip(content: &str) -> Vec<u8> {
    zip_of(&[("example.com/x@v1.0.0/go.mod", GO_MOD), ("example.com/x@v1.0.0/x.go", content)])
}

fn h1(zip: &[u8]) -> String {
    ModuleZip::read(std::io::Cursor::new(zip), zip.len() as u64, None).h1.unwrap()
}

/// A run of go whose module proxy relays a checksum database with this key.
fn run(signer: Option<&Signer>) -> Scene {
    let mut scene = Scene::new();
    let key = signer.map(|signer| format!("GOSUMDB={}\n", signer.text)).unwrap_or_default();
    scene.env(&format!("{ENV}{key}"));
    scene
}

/// An answer over plain HTTP, with its frames: head and two halves of the body.
fn answer(scene: &mut Scene, path: &str, head: &str, body: &[u8]) -> [u32; 3] {
    let mut tcp = scene.connect("10.44.0.20:80");
    scene.open(&mut tcp);
    scene.client_sends(&mut tcp, 8, format!("GET {path} HTTP/1.1\r\nHost: modules.corp.example\r\n\r\n").as_bytes());
    let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len());
    scene.server_sends(&mut tcp, 8, head.as_bytes());
    let (first, second) = body.split_at(body.len() / 2);
    scene.server_sends(&mut tcp, 8, first);
    scene.server_sends(&mut tcp, 8, second);
    let last = scene.last_frame();
    [last - 2, last - 1, last]
}

fn plain(scene: &mut Scene, path: &str, body: &[u8]) -> [u32; 3] {
    answer(scene, path, "200 OK", body)
}

/// A database's answer about the module, and its log.
fn lookup(signer: &Signer, recorded: &[u8]) -> (String, Log) {
    let record = format!(
        "example.com/x v1.0.0 {}\nexample.com/x v1.0.0/go.mod {}\n",
        h1(recorded),
        go_mod_h1(GO_MOD.as_bytes())
    );
    let log = Log { records: vec!["first\n".to_owned(), record] };
    (format!("1\n{}\n{}", log.records[1], signer.sign(&log.head())), log)
}

/// The database as go asks it: lookup, then the tiles of the tree.
fn database(scene: &mut Scene, signer: &Signer, recorded: &[u8], tiles: bool) -> [u32; 3] {
    let (note, log) = lookup(signer, recorded);
    let frames = plain(scene, &format!("{SUMDB}/lookup/example.com/x@v1.0.0"), note.as_bytes());
    for (tile, content) in log.tiles().into_iter().filter(|_| tiles) {
        plain(scene, &format!("{SUMDB}/{tile}"), &content);
    }
    frames
}

fn artifacts(scene: &Scene) -> Vec<Finding> {
    scene.findings().into_iter().filter(|finding| finding.code.id().starts_with("artifact.")).collect()
}

fn text<'f>(finding: &'f Finding, key: &str) -> &'f str {
    match finding.details.get(key) {
        Some(Detail::Text(text)) => text,
        other => panic!("{key}: {other:?}"),
    }
}

#[test]
fn bytes_that_a_proven_record_contradicts_are_told_without_a_word_of_go() {
    let signer = Signer::new("log.example", 1);
    let mut scene = run(Some(&signer));
    let served = plain(&mut scene, ZIP, &zip("package evil\n"));
    let record = database(&mut scene, &signer, &zip("package x\n"), true);
    let found = artifacts(&scene);
    assert_eq!(found.len(), 1, "{found:?}");
    let finding = &found[0];
    assert_eq!((finding.code, finding.fault), (Code::ArtifactChecksumMismatch, Fault::Interference));
    assert_eq!(finding.confidence(), Confidence::Strong);
    assert_eq!(finding.subject.module.as_deref(), Some("example.com/x@v1.0.0"));
    assert_eq!(text(finding, "found"), h1(&zip("package evil\n")));
    assert_eq!(text(finding, "expected"), h1(&zip("package x\n")));
    assert_eq!(text(finding, "served_by"), "modules.corp.example at 10.44.0.20:80, without TLS");
    let frames = cited(finding);
    assert!(served.iter().chain(&record).all(|frame| frames.contains(frame)), "{served:?} {record:?} {frames:?}");
}

#[test]
fn what_is_as_on_record_is_neither_accused_nor_open() {
    let signer = Signer::new("log.example", 1);
    let mut scene = run(Some(&signer));
    plain(&mut scene, MOD, GO_MOD.as_bytes());
    plain(&mut scene, ZIP, &zip("package x\n"));
    database(&mut scene, &signer, &zip("package x\n"), true);
    assert!(artifacts(&scene).is_empty());
    assert!(!scene.not_assessed().contains(&Code::ArtifactChecksumMismatch));
    let case = scene.case();
    assert_eq!(case.artifacts.len(), 4, "{:?}", case.artifacts);
    for artifact in &case.artifacts {
        assert!(matches!(artifact.origin, Origin::Exchange(_)));
        assert!(artifact.checks.iter().all(|check| check.result == CheckResult::Agrees), "{artifact:?}");
    }
}

#[test]
fn without_a_record_it_is_said_that_nothing_could_be_told() {
    let mut scene = run(None);
    plain(&mut scene, ZIP, &zip("package evil\n"));
    assert!(artifacts(&scene).is_empty());
    assert!(scene.not_assessed().contains(&Code::ArtifactChecksumMismatch));
}

#[test]
fn a_record_that_no_tile_proves_accuses_moderately() {
    let signer = Signer::new("log.example", 1);
    let mut scene = run(Some(&signer));
    plain(&mut scene, ZIP, &zip("package evil\n"));
    database(&mut scene, &signer, &zip("package x\n"), false);
    let found = artifacts(&scene);
    assert_eq!(found[0].confidence(), Confidence::Moderate);
    assert!(found[0].not_excluded.iter().any(|doubt| doubt.contains("database's answer")), "{found:?}");
    // Where go took it, or complains of that very answer, the record proves nothing.
    scene.go.exit = Some(0);
    assert!(artifacts(&scene).is_empty());
    scene.go.exit = Some(1);
    scene.log("go: example.com/x@v1.0.0: verifying module: example.com/x@v1.0.0: cannot authenticate record data in server response\n");
    let codes: Vec<_> = artifacts(&scene).iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::ArtifactSumdbUntrusted]);
}

#[test]
fn a_foreign_signature_is_told_where_it_is_known_which_key_go_goes_by() {
    let (own, other) = (Signer::new("log.example", 1), Signer::new("log.example", 2));
    let shown = |env: Option<&Signer>, exit| {
        let mut scene = run(env);
        scene.go.exit = Some(exit);
        database(&mut scene, &other, &zip("package x\n"), true);
        artifacts(&scene)
    };
    let found = shown(Some(&own), 1);
    assert_eq!(found.iter().map(|finding| finding.code).collect::<Vec<_>>(), [Code::ArtifactSumdbUntrusted]);
    assert_eq!(text(&found[0], "fault"), "unknown_key");
    // go took it: it goes by another key than what was given says.
    assert!(shown(Some(&own), 0).is_empty());
    assert!(shown(None, 1).is_empty());
    assert!(shown(Some(&other), 1).is_empty());
}

#[test]
fn an_altered_tile_is_told_once_with_all_that_hangs_on_it() {
    let signer = Signer::new("log.example", 1);
    let mut scene = run(Some(&signer));
    database(&mut scene, &signer, &zip("package x\n"), false);
    let forged = plain(&mut scene, &format!("{SUMDB}/tile/8/0/000.p/2"), &[0; 64]);
    let found = artifacts(&scene);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].code, text(&found[0], "fault")), (Code::ArtifactSumdbUntrusted, "tampered_tile"));
    assert!(cited(&found[0]).contains(&forged[2]));
}

#[test]
fn an_altered_record_is_told_with_the_tile_that_knows_better() {
    let signer = Signer::new("log.example", 1);
    let shown = |altered: bool, tiles: bool| {
        let mut scene = run(Some(&signer));
        let record = format!("example.com/x v1.0.0 {}\n", h1(&zip("package x\n")));
        let log = Log { records: vec!["first\n".to_owned(), record.clone()] };
        let answered = if altered { record.replace("h1:", "h1:AAAA") } else { record };
        let note = format!("1\n{answered}\n{}", signer.sign(&log.head()));
        let mut frames = plain(&mut scene, &format!("{SUMDB}/lookup/example.com/x@v1.0.0"), note.as_bytes()).to_vec();
        for (tile, content) in log.tiles().into_iter().filter(|_| tiles) {
            frames.extend(plain(&mut scene, &format!("{SUMDB}/{tile}"), &content));
        }
        (artifacts(&scene), frames)
    };
    let (found, frames) = shown(true, true);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].code, text(&found[0], "fault")), (Code::ArtifactSumdbUntrusted, "altered_lookup"));
    assert_eq!(found[0].subject.host.as_deref(), Some("log.example"));
    assert!(found[0].summary.ends_with("It came from modules.corp.example at 10.44.0.20:80, without TLS."));
    let cited = cited(&found[0]);
    assert!(frames.iter().all(|frame| cited.contains(frame)), "{frames:?} in {cited:?}");
    assert!(shown(false, true).0.is_empty());
    // Without a tile there is nothing that it contradicts.
    assert!(shown(true, false).0.is_empty());
}

#[test]
fn a_record_that_lies_in_the_cache_as_well_is_one_and_what_came_is_cited() {
    let (good, evil) = (zip("package x\n"), zip("package evil\n"));
    let signer = Signer::new("log.example", 1);
    let mut scene = run(Some(&signer));
    plain(&mut scene, ZIP, &evil);
    let frames = database(&mut scene, &signer, &good, true);
    let disk = tempfile::tempdir().unwrap();
    let store = disk.path().join("cache/download/sumdb/log.example/lookup/example.com");
    std::fs::create_dir_all(&store).unwrap();
    std::fs::write(store.join("x@v1.0.0"), lookup(&signer, &good).0).unwrap();
    scene.disk.add(&disk.path().join("cache")).unwrap();
    let lookups = scene.case().artifacts.iter().filter(|it| it.kind == ArtifactKind::SumdbLookup).count();
    let found = artifacts(&scene);
    assert_eq!((lookups, found.len()), (2, 1), "{found:?}");
    assert_eq!(found[0].summary.matches("log.example record 1").count(), 1, "{}", found[0].summary);
    let cited = cited(&found[0]);
    assert!(frames.iter().all(|frame| cited.contains(frame)), "{frames:?} in {cited:?}");
}

#[test]
fn a_fork_is_told_with_both_of_its_sides() {
    let signer = Signer::new("log.example", 1);
    let shown = |first: &str| {
        let mut scene = run(Some(&signer));
        let of = |name: &str| format!("example.com/{name} v1.0.0 {}\n", h1(&zip("package x\n")));
        let one = Log { records: vec!["first\n".to_owned(), of("x")] };
        let other = Log { records: vec![first.to_owned(), of("x"), of("y")] };
        let mut frames = Vec::new();
        for (name, id, log) in [("x", 1, &one), ("y", 2, &other)] {
            let note = format!("{id}\n{}\n{}", of(name), signer.sign(&log.head()));
            frames.extend(plain(&mut scene, &format!("{SUMDB}/lookup/example.com/{name}@v1.0.0"), note.as_bytes()));
        }
        for (tile, content) in other.tiles() {
            frames.extend(plain(&mut scene, &format!("{SUMDB}/{tile}"), &content));
        }
        (artifacts(&scene), frames)
    };
    let (found, frames) = shown("forked\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].code, text(&found[0], "fault")), (Code::ArtifactSumdbUntrusted, "forked_log"));
    let cited = cited(&found[0]);
    assert!(frames.iter().all(|frame| cited.contains(frame)), "{frames:?} in {cited:?}");
    assert!(shown("first\n").0.is_empty());
}

#[test]
fn a_head_that_was_asked_for_before_a_newer_one_is_no_fault() {
    let signer = Signer::new("log.example", 1);
    let mut scene = run(Some(&signer));
    let old = Log { records: vec!["first\n".to_owned()] };
    plain(&mut scene, &format!("{SUMDB}/latest"), signer.sign(&old.head()).as_bytes());
    database(&mut scene, &signer, &zip("package x\n"), true);
    assert!(artifacts(&scene).is_empty(), "{:?}", artifacts(&scene));
}

#[test]
fn pages_in_the_place_of_artifacts_are_left_to_whom_they_belong() {
    let signer = Signer::new("log.example", 1);
    let mut scene = run(Some(&signer));
    let page = b"<html><title>Access denied</title></html>";
    for path in [ZIP, MOD, "/sumdb/log.example/lookup/example.com/x@v1.0.0"] {
        plain(&mut scene, path, page);
    }
    assert!(artifacts(&scene).is_empty(), "{:?}", artifacts(&scene));
}

#[test]
fn a_download_with_a_hole_is_open_and_not_wrong() {
    let signer = Signer::new("log.example", 1);
    let mut scene = run(Some(&signer));
    database(&mut scene, &signer, &zip("package x\n"), true);
    let body = zip("package x\n");
    let mut tcp = scene.connect("10.44.0.20:80");
    scene.open(&mut tcp);
    scene.client_sends(&mut tcp, 8, format!("GET {ZIP} HTTP/1.1\r\nHost: modules.corp.example\r\n\r\n").as_bytes());
    scene.server_sends(&mut tcp, 8, format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes());
    scene.server_sends(&mut tcp, 8, &body[..body.len() / 2]);
    assert!(!artifacts(&scene).iter().any(|finding| finding.code != Code::ArtifactSumdbUnreachable));
    let case = scene.case();
    let zip = case.artifacts.iter().find(|artifact| artifact.kind == ArtifactKind::ModuleZip).unwrap();
    assert!(matches!(&zip.checks[0].result, CheckResult::Open(why) if why.contains("broke off after")), "{zip:?}");
    assert!(scene.not_assessed().contains(&Code::ArtifactChecksumMismatch));
}

#[test]
fn a_zip_behind_a_redirect_is_known_and_must_be_the_one_that_was_asked_for() {
    let signer = Signer::new("log.example", 1);
    let shown = |asked: &str| {
        let mut scene = run(Some(&signer));
        answer(&mut scene, asked, "302 Found\r\nLocation: http://modules.corp.example/store/4711", b"moved");
        plain(&mut scene, "/store/4711", &zip("package evil\n"));
        database(&mut scene, &signer, &zip("package x\n"), true);
        artifacts(&scene).into_iter().map(|finding| (finding.code, finding.subject.module)).collect::<Vec<_>>()
    };
    let told = |code, module: &str| (code, Some(module.to_owned()));
    assert_eq!(shown(ZIP), [told(Code::ArtifactChecksumMismatch, "example.com/x@v1.0.0")]);
    let other = shown("/example.com/y/@v/v1.2.0.zip");
    assert_eq!(other, [told(Code::ArtifactInvalidZip, "example.com/y@v1.2.0")]);
}

#[test]
fn content_codings_that_go_undoes_are_undone() {
    let signer = Signer::new("log.example", 1);
    let mut scene = run(Some(&signer));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(GO_MOD.as_bytes()).unwrap();
    answer(&mut scene, MOD, "200 OK\r\nContent-Encoding: gzip", &encoder.finish().unwrap());
    database(&mut scene, &signer, &zip("package x\n"), true);
    let case = scene.case();
    let file = case.artifacts.iter().find(|artifact| artifact.kind == ArtifactKind::GoMod).unwrap();
    assert_eq!(file.hash, Some(go_mod_h1(GO_MOD.as_bytes())));
    assert!(artifacts(&scene).is_empty());
}

#[test]
fn a_body_that_unpacks_to_more_than_it_may_is_not_held() {
    let mut scene = run(None);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    (0..17).for_each(|_| encoder.write_all(&zeros).unwrap());
    answer(&mut scene, MOD, "200 OK\r\nContent-Encoding: gzip", &encoder.finish().unwrap());
    let case = scene.case();
    assert!(
        matches!(&case.artifacts[0].checks[0].result, CheckResult::Open(why) if why.contains("larger than 16 MiB"))
    );
    assert!(artifacts(&scene).is_empty());
}

#[test]
fn what_go_says_is_held_against_the_bytes_in_the_recording() {
    let (good, evil) = (zip("package x\n"), zip("package evil\n"));
    let said = |served: &[u8]| {
        let mut scene = run(None);
        scene.log(&format!(
            "verifying example.com/x@v1.0.0: checksum mismatch\n\tdownloaded: {}\n\tgo.sum:     {}\n\nSECURITY ERROR\n",
            h1(&evil),
            h1(&good)
        ));
        plain(&mut scene, ZIP, served);
        let mut found = artifacts(&scene);
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    };
    let same = said(&evil);
    assert_eq!((same.confidence(), same.fault), (Confidence::Strong, Fault::Interference));
    assert!(same.excluded.iter().any(|item| item.alternative.contains("on this machine")));
    // What came was right: something on this machine made it what go saw.
    let right = said(&good);
    assert_eq!((right.confidence(), right.fault), (Confidence::Moderate, Fault::Unknown));
    let neither = said(&zip("package third\n"));
    assert_eq!((neither.confidence(), neither.fault), (Confidence::Moderate, Fault::Interference));
}

#[test]
fn what_other_programs_download_is_not_looked_at() {
    let mut scene = Scene::new();
    plain(&mut scene, "/pictures/all.zip", &zip("package x\n"));
    assert!(scene.case().artifacts.is_empty());
}

/// A folder with what the module cache holds of the module, and with the project's go.sum.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(go_mod: &str, zip: &[u8]) -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        let entry = disk.0.path().join("cache/download/example.com/x/@v");
        std::fs::create_dir_all(&entry).unwrap();
        std::fs::write(entry.join("v1.0.0.mod"), go_mod).unwrap();
        std::fs::write(entry.join("v1.0.0.zip"), zip).unwrap();
        disk
    }

    /// The findings about a run with this disk beside it.
    fn found(&self, scene: &mut Scene, recorded: &[u8]) -> Vec<Finding> {
        let sum = format!(
            "example.com/x v1.0.0 {}\nexample.com/x v1.0.0/go.mod {}\n",
            h1(recorded),
            go_mod_h1(GO_MOD.as_bytes())
        );
        let go_sum = self.0.path().join("go.sum");
        std::fs::write(&go_sum, sum).unwrap();
        scene.disk.add(&self.0.path().join("cache")).unwrap();
        scene.disk.go_sums = vec![go_sum];
        artifacts(scene)
    }
}

#[test]
fn a_file_that_came_as_on_record_and_is_no_more_was_changed_here() {
    let good = zip("package x\n");
    let mut scene = run(None);
    plain(&mut scene, MOD, GO_MOD.as_bytes());
    plain(&mut scene, ZIP, &good);
    let found = Disk::new("module example.com/x // more\n", &good).found(&mut scene, &good);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].code, found[0].fault), (Code::ArtifactCacheModified, Fault::Client));
}

#[test]
fn a_file_that_came_as_it_lies_there_is_told_once_as_it_came() {
    let (good, evil) = (zip("package x\n"), zip("package evil\n"));
    let mut scene = run(None);
    plain(&mut scene, ZIP, &evil);
    let found = Disk::new(GO_MOD, &evil).found(&mut scene, &good);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].code, found[0].fault), (Code::ArtifactChecksumMismatch, Fault::Interference));
    assert!(found[0].details.contains_key("served_by"));
}

#[test]
fn what_go_took_from_the_cache_accuses_no_network() {
    let (good, evil) = (zip("package x\n"), zip("package evil\n"));
    let said = format!(
        "verifying example.com/x@v1.0.0: checksum mismatch\n\tdownloaded: {}\n\tgo.sum:     {}\n\nSECURITY ERROR\n",
        h1(&evil),
        h1(&good)
    );
    let mut scene = run(None);
    scene.log(&said);
    let found = Disk::new(GO_MOD, &evil).found(&mut scene, &good);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].code, found[0].fault), (Code::ArtifactChecksumMismatch, Fault::Client));
    // Something came, encrypted: it may have been that.
    let mut scene = run(None);
    scene.log(&said);
    let mut tcp = scene.connect("10.44.0.20:80");
    scene.tls13_session(&mut tcp, "modules.corp.example");
    let found = Disk::new(GO_MOD, &evil).found(&mut scene, &good);
    assert_eq!(found[0].fault, Fault::Interference);
}

#[test]
fn of_two_copies_without_a_record_neither_is_accused_for_sure() {
    let mut scene = run(None);
    plain(&mut scene, ZIP, &zip("package x\n"));
    plain(&mut scene, ZIP, &zip("package other\n"));
    let found = artifacts(&scene);
    assert!(!found.is_empty());
    assert!(found.iter().all(|finding| finding.confidence() == Confidence::Moderate), "{found:?}");
}

#[test]
fn what_came_is_not_accused_for_a_file_that_differs_from_it() {
    let mut scene = run(None);
    plain(&mut scene, ZIP, &zip("package x\n"));
    let disk = Disk::new(GO_MOD, &zip("package other\n"));
    scene.disk.add(&disk.0.path().join("cache")).unwrap();
    let found = artifacts(&scene);
    assert_eq!(found.iter().map(|finding| finding.fault).collect::<Vec<_>>(), [Fault::Client], "{found:?}");
}
