use std::path::Path;

use super::*;
use crate::artifact::note::VerifierKey;
use crate::artifact::note::tests::{SUM_GOLANG_ORG, Signer};
use crate::artifact::tlog::tests::Log;
use crate::observation::artifact::{ArtifactKind, CheckResult, Yardstick};

const DB: &str = "log.example";

fn item(name: &str, bytes: impl Into<Vec<u8>>) -> Item {
    Item { origin: Origin::Path(name.to_owned()), content: Content::Bytes(bytes.into()) }
}

fn module(number: usize) -> ModuleVersion {
    ModuleVersion { path: format!("example.com/m{number}"), version: "v1.0.0".to_owned() }
}

fn record(number: usize) -> String {
    format!("example.com/m{number} v1.0.0 h1:zip{number}=\nexample.com/m{number} v1.0.0/go.mod h1:mod{number}=\n")
}

fn log(size: usize) -> Log {
    Log { records: (0..size).map(record).collect() }
}

fn answer(log: &Log, signer: &Signer, id: usize) -> String {
    format!("{id}\n{}\n{}", log.records[id], signer.sign(&log.head()))
}

/// A database of that many records, with lookups of these and all tiles.
fn store(log: &Log, signer: &Signer, ids: &[usize]) -> Store {
    let mut store = Store { name: DB.to_owned(), ..Store::default() };
    store.heads.push(item("db/latest", signer.sign(&log.head())));
    for id in ids {
        store.lookups.push((module(*id), item("db/lookup/x", answer(log, signer, *id))));
    }
    for (tile, content) in log.tiles() {
        store.tiles.entry(tile).or_default().push(item("tile", content));
    }
    store
}

fn signer() -> Signer {
    Signer::new(DB, 9)
}

fn faults(verified: &Verified) -> Vec<(ArtifactKind, &'static str)> {
    let mut faults = Vec::new();
    for artifact in &verified.artifacts {
        for check in &artifact.checks {
            if let CheckResult::Differs(difference) = &check.result {
                faults.push((artifact.kind, difference.fault));
            }
        }
    }
    faults.sort_unstable();
    faults.dedup();
    faults
}

fn open(verified: &Verified) -> usize {
    verified
        .artifacts
        .iter()
        .flat_map(|artifact| &artifact.checks)
        .filter(|check| matches!(check.result, CheckResult::Open(_)))
        .count()
}

#[test]
fn a_whole_database_holds() {
    let signer = signer();
    let store = store(&log(700), &signer, &[0, 255, 256, 512, 699]);
    let verified = verify(&store, std::slice::from_ref(&signer.key));
    assert_eq!((faults(&verified), open(&verified)), (vec![], 0));
    let records = &verified.records[&module(255)];
    assert!(records[0].proven);
    assert_eq!(records[0].zip.as_deref(), Some("h1:zip255="));
}

#[test]
fn without_tiles_or_key_the_proofs_stay_open() {
    let signer = signer();
    let mut store = store(&log(300), &signer, &[7]);
    let without_key = verify(&store, &[]);
    assert_eq!(faults(&without_key), []);
    assert!(open(&without_key) > 0 && !without_key.records[&module(7)][0].proven);
    store.tiles.clear();
    let without_tiles = verify(&store, std::slice::from_ref(&signer.key));
    assert_eq!(faults(&without_tiles), []);
    assert!(open(&without_tiles) > 0 && !without_tiles.records[&module(7)][0].proven);
}

#[test]
fn an_older_head_is_an_earlier_state_of_the_same_log() {
    let signer = signer();
    let (old, new) = (log(290), log(700));
    let mut store = store(&new, &signer, &[3]);
    store.lookups.push((module(280), item("db/lookup/x", answer(&old, &signer, 280))));
    let verified = verify(&store, std::slice::from_ref(&signer.key));
    assert_eq!((faults(&verified), open(&verified)), (vec![], 0));
}

#[test]
fn a_forked_log_is_told_from_everything_else() {
    let signer = signer();
    let (mut fork, new) = (log(290), log(700));
    fork.records[100] = "example.com/m100 v1.0.0 h1:evil=\n".to_owned();
    let mut store = store(&new, &signer, &[3]);
    store.lookups.push((module(100), item("db/lookup/x", answer(&fork, &signer, 100))));
    let verified = verify(&store, std::slice::from_ref(&signer.key));
    assert_eq!(faults(&verified), [(ArtifactKind::SumdbLookup, "forked_log")]);
    assert!(verified.records[&module(100)][0].refuted);
    // Of one size: the notes alone convict it.
    let mut twins = Store { name: DB.to_owned(), ..Store::default() };
    twins.heads.push(item("one", signer.sign(&fork.head())));
    twins.heads.push(item("other", signer.sign(&log(290).head())));
    let verified = verify(&twins, std::slice::from_ref(&signer.key));
    assert_eq!(faults(&verified), [(ArtifactKind::SumdbHead, "forked_log")]);
}

#[test]
fn a_tampered_tile_is_told_from_everything_else() {
    let signer = signer();
    let good = store(&log(700), &signer, &[3, 600]);
    for tile in good.tiles.keys() {
        let mut store = good.clone();
        let content = store.tiles.get_mut(tile).unwrap();
        let mut bytes = content[0].content.read().unwrap();
        bytes[40] ^= 4;
        content[0].content = Content::Bytes(bytes);
        let verified = verify(&store, std::slice::from_ref(&signer.key));
        let faults = faults(&verified);
        assert!(!faults.is_empty() && faults.iter().all(|(_, fault)| *fault == "tampered_tile"), "{tile}: {faults:?}");
    }
}

#[test]
fn a_stale_head_is_told_from_everything_else() {
    let signer = signer();
    let mut store = store(&log(700), &signer, &[3]);
    store.heads = vec![item("db/latest", signer.sign(&log(600).head()))];
    let verified = verify(&store, std::slice::from_ref(&signer.key));
    assert_eq!(faults(&verified), [(ArtifactKind::SumdbHead, "stale_head")]);
}

#[test]
fn an_altered_lookup_is_told_from_everything_else() {
    let signer = signer();
    let good = store(&log(300), &signer, &[7]);
    let text = String::from_utf8(good.lookups[0].1.content.read().unwrap()).unwrap();
    for (altered, fault) in [
        (text.replace("zip7=", "evil="), "altered_lookup"),
        (text.replacen("7\n", "8\n", 1), "altered_lookup"),
        (text.replacen("7\n", "300\n", 1), "altered_lookup"),
        (text.replace("/m7 ", "/m8 "), "altered_lookup"),
        (text.replace("\n300\n", "\n301\n"), "wrong_signature"),
        (Signer::new(DB, 10).sign("x\n"), "altered_lookup"),
        (answer(&log(300), &Signer::new(DB, 10), 7), "unknown_key"),
    ] {
        assert_ne!(altered, text);
        let mut store = good.clone();
        store.lookups[0].1 = item("db/lookup/x", altered);
        let verified = verify(&store, std::slice::from_ref(&signer.key));
        let found = faults(&verified);
        assert!(found.contains(&(ArtifactKind::SumdbLookup, fault)), "{fault}: {found:?}");
        assert!(verified.records.get(&module(7)).is_none_or(|records| !records[0].proven));
    }
}

/// Whether something is told about a store that is not as it was: a fault, or a reason why it could not be proven.
fn is_told(verified: &Verified) -> bool {
    !faults(verified).is_empty() || open(verified) > 0
}

fn changed(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[bit / 8] ^= 1 << (bit % 8);
    changed
}

#[test]
fn every_changed_bit_of_a_small_database_is_found() {
    let signer = signer();
    let keys = std::slice::from_ref(&signer.key);
    let log = log(6);
    let mut store = store(&log, &signer, &[3]);
    let data: Vec<u8> = log.records.iter().flat_map(|record| format!("{record}\n").into_bytes()).collect();
    let place = Tile::parse("tile/8/0/000.p/6").unwrap();
    store.data.entry(place).or_default().push(item("db/tile/8/data/000.p/6", data.clone()));
    assert!(!is_told(&verify(&store, keys)));
    let (lookup, head) = (store.lookups[0].1.content.read().unwrap(), store.heads[0].content.read().unwrap());
    let tile = store.tiles[&place][0].content.read().unwrap();
    let found = |store: &Store, what: &str, bit: usize, fault: bool| {
        let verified = verify(store, keys);
        assert!(if fault { !faults(&verified).is_empty() } else { is_told(&verified) }, "bit {bit} of the {what}");
    };
    for bit in 0..lookup.len() * 8 {
        let mut store = store.clone();
        store.lookups[0].1 = item("db/lookup/x", changed(&lookup, bit));
        found(&store, "lookup", bit, true);
    }
    for bit in 0..head.len() * 8 {
        let mut store = store.clone();
        store.heads[0] = item("db/latest", changed(&head, bit));
        found(&store, "head", bit, true);
    }
    for bit in 0..tile.len() * 8 {
        let mut store = store.clone();
        store.tiles.get_mut(&place).unwrap()[0] = item("db/tile", changed(&tile, bit));
        found(&store, "tile", bit, true);
    }
    for bit in 0..data.len() * 8 {
        let mut store = store.clone();
        store.data.get_mut(&place).unwrap()[0] = item("db/tile", changed(&data, bit));
        found(&store, "data tile", bit, true);
    }
}

fn of(verified: &Verified, kind: ArtifactKind, result: &CheckResult) -> usize {
    let artifacts = verified.artifacts.iter().filter(|it| it.kind == kind);
    artifacts.filter(|it| it.checks.iter().any(|check| check.result == *result)).count()
}

#[test]
fn tiles_of_several_widths_in_one_place_are_each_held_against_the_tree() {
    let signer = signer();
    let keys = std::slice::from_ref(&signer.key);
    let (log, grown) = (log(300), log(700));
    let tile = |path: &str| Tile::parse(path).unwrap();
    let mut store = store(&log, &signer, &[7]);
    for narrow in ["tile/8/0/000.p/3", "tile/8/0/001.p/9"] {
        store.tiles.entry(tile(narrow)).or_default().push(item("db/tile", log.tile(tile(narrow))));
    }
    assert!(!is_told(&verify(&store, keys)));
    // A wider tile stands for a narrower one; what lies beyond the signed head is not proven.
    store.tiles.remove(&tile("tile/8/0/001.p/44")).unwrap();
    store.tiles.entry(tile("tile/8/0/001")).or_default().push(item("db/tile", grown.tile(tile("tile/8/0/001"))));
    let verified = verify(&store, keys);
    assert_eq!((faults(&verified), open(&verified)), (vec![], 1));
    assert!(verified.records[&module(7)][0].proven);
    // Two files of one place, one of them wrong: the right one serves, the wrong one is told.
    let place = tile("tile/8/0/000");
    let wrong = changed(&store.tiles[&place][0].content.read().unwrap(), 77);
    store.tiles.get_mut(&place).unwrap().insert(0, item("db/tile", wrong));
    let verified = verify(&store, keys);
    assert_eq!(faults(&verified), [(ArtifactKind::SumdbTile, "tampered_tile")]);
    assert!(verified.records[&module(7)][0].proven);
}

#[test]
fn a_partial_tile_needs_the_full_one_or_its_own_head() {
    let signer = signer();
    let keys = std::slice::from_ref(&signer.key);
    let (old, new) = (log(290), log(700));
    let mut store = store(&new, &signer, &[3]);
    let place = Tile::parse("tile/8/0/001.p/34").unwrap();
    store.tiles.entry(place).or_default().push(item("db/tile", old.tile(place)));
    assert!(!is_told(&verify(&store, keys)));
    store.tiles.remove(&Tile { width: 256, ..place }).unwrap();
    assert_eq!(open(&verify(&store, keys)), 1);
    // The older head proves it, though nothing connects that head with the newer one.
    store.lookups.push((module(280), item("db/lookup/x", answer(&old, &signer, 280))));
    let verified = verify(&store, keys);
    assert_eq!(of(&verified, ArtifactKind::SumdbTile, &CheckResult::Agrees), store.tiles.len());
    assert!(verified.records[&module(280)][0].proven);
    assert_eq!((faults(&verified), open(&verified)), (vec![], 1));
}

#[test]
fn heads_beyond_the_tiles_stay_open_and_accuse_nobody() {
    let signer = signer();
    let keys = std::slice::from_ref(&signer.key);
    let mut store = store(&log(300), &signer, &[7]);
    store.heads = vec![item("db/latest", signer.sign(&log(5000).head()))];
    let verified = verify(&store, keys);
    assert_eq!(faults(&verified), []);
    assert!(open(&verified) > 0 && verified.records[&module(7)][0].proven);
}

#[test]
fn a_record_may_be_newer_than_its_answers_head_where_a_newer_one_is_known() {
    let signer = signer();
    let keys = std::slice::from_ref(&signer.key);
    let (old, new) = (log(290), log(700));
    let late = |id: usize, log: &Log| format!("{id}\n{}\n{}", new.records[id], signer.sign(&log.head()));
    let mut store = store(&new, &signer, &[3]);
    store.lookups.push((module(600), item("db/lookup/x", late(600, &old))));
    let verified = verify(&store, keys);
    assert!(!is_told(&verified) && verified.records[&module(600)][0].proven);
    store.heads.clear();
    store.lookups.remove(0);
    assert_eq!(faults(&verify(&store, keys)), [(ArtifactKind::SumdbLookup, "altered_lookup")]);
}

#[test]
fn an_answer_without_a_head_is_held_against_the_one_that_is_known() {
    let signer = signer();
    let mut store = store(&log(300), &signer, &[7]);
    for (record, found) in [(record(7), vec![]), (record(8), vec![(ArtifactKind::SumdbLookup, "altered_lookup")])] {
        store.lookups[0].1 = item("db/lookup/x", format!("7\n{record}\n"));
        let verified = verify(&store, std::slice::from_ref(&signer.key));
        assert_eq!(faults(&verified), found);
        assert!(open(&verified) > 0 && !verified.records[&module(7)][0].proven);
    }
}

#[test]
fn only_the_lines_about_the_version_count_and_of_them_the_first_h1() {
    let signer = signer();
    let mut log = log(300);
    log.records[7] =
        "x y\nexample.com/m7 v1.0.0 h2:a\nexample.com/m7 v1.0.0 h1:b\nexample.com/m7 v1.0.0 h1:c\n".to_owned();
    let mut store = store(&log, &signer, &[7]);
    let verified = verify(&store, std::slice::from_ref(&signer.key));
    assert!(!is_told(&verified));
    assert_eq!(verified.records[&module(7)][0].zip.as_deref(), Some("h1:b"));
    // The same with a line that the log does not have.
    let text = String::from_utf8(store.lookups[0].1.content.read().unwrap()).unwrap();
    store.lookups[0].1 = item("db/lookup/x", text.replacen("x y\n", "x y\nx y\n", 1));
    assert_eq!(
        faults(&verify(&store, std::slice::from_ref(&signer.key))),
        [(ArtifactKind::SumdbLookup, "altered_lookup")]
    );
}

#[test]
fn a_head_is_stale_beside_newer_lookups_alone() {
    let signer = signer();
    let keys = std::slice::from_ref(&signer.key);
    let mut store = store(&log(700), &signer, &[3]);
    let old = signer.sign(&log(600).head());
    store.heads = vec![item("kept/head of last year", old.clone()), item("other/latest", old)];
    assert!(!is_told(&verify(&store, keys)));
}

#[test]
fn what_cannot_be_read_stays_open_and_is_accused_of_nothing() {
    let signer = signer();
    let log = log(300);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let write = |name: &str, content: &[u8]| {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    write("lookup/example.com/m7@v1.0.0", answer(&log, &signer, 7).as_bytes());
    for (tile, content) in log.tiles() {
        write(&tile.to_string(), &content);
    }
    let read = || verify(&Store::read(root, DB), std::slice::from_ref(&signer.key));
    assert!(!is_told(&read()));
    // Empty, too long, not a file, not a name; a folder in the place of a file with something in it.
    write("latest", b"");
    write("lookup/example.com/m8@v1.0.0", &vec![b'x'; usize::try_from(MAX_FILE).unwrap() + 1]);
    write("lookup/example.com/.hidden", b"x");
    write("lookup/example.com/m9@v1.0.0/inside", b"x");
    write("tile/8/0/000.p/7", b"");
    write("tile/4/0/000", b"x");
    std::fs::create_dir_all(root.join("tile/8/0/000.p/9")).unwrap();
    std::fs::create_dir_all(root.join("tile/8/1/003.p")).unwrap();
    write("README", b"x");
    let verified = read();
    assert_eq!((faults(&verified), open(&verified)), (vec![], 7));
    assert!(verified.records[&module(7)][0].proven);
    let unread = verified.artifacts.iter().filter(|it| it.hash.is_none()).count();
    assert_eq!(unread, 7);
    assert_eq!(Store::read(&root.join("nowhere"), DB).strays.len(), 1);
}

#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_file_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("mkfifo").arg(folder.path().join("latest")).status();
    if made.is_ok_and(|status| status.success()) {
        let verified = verify(&Store::read(folder.path(), DB), &[signer().key]);
        assert_eq!((faults(&verified), open(&verified)), (vec![], 1));
    }
}

#[test]
fn the_tiles_that_are_wanted_are_those_that_suffice() {
    let signer = signer();
    let keys = std::slice::from_ref(&signer.key);
    let (old, new) = (log(290), log(700));
    let whole = store(&new, &signer, &[3, 600]);
    for heads in [&[&new][..], &[&old, &new], &[&log(1)], &[&log(256), &log(512)]] {
        let mut bare = Store { name: DB.to_owned(), ..Store::default() };
        for log in heads {
            bare.heads.push(item("head", signer.sign(&log.head())));
        }
        let newest = heads.last().unwrap();
        bare.lookups.push((module(0), item("lookup", answer(heads[0], &signer, 0))));
        let wanted = bare.wanted_tiles(keys);
        for tile in &wanted {
            bare.tiles.entry(*tile).or_default().push(item("tile", newest.tile(*tile)));
        }
        assert!(!is_told(&verify(&bare, keys)), "{wanted:?}");
        assert_eq!(bare.wanted_tiles(keys), []);
        for tile in &wanted {
            let mut less = bare.clone();
            less.tiles.remove(tile);
            assert!(is_told(&verify(&less, keys)), "{tile}");
        }
    }
    assert_eq!(whole.wanted_tiles(keys), []);
    assert_eq!(whole.signers().into_iter().collect::<Vec<_>>(), [DB]);
}

/// The module cache's own store of somebody, which is not part of the project.
fn real() -> Option<Store> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/artifacts/sumdb/sum.golang.org");
    if !root.is_dir() {
        println!("skipped: {} is not there", root.display());
        return None;
    }
    Some(Store::read(&root, "sum.golang.org"))
}

#[test]
fn all_lookups_of_a_real_cache_hold() {
    let Some(store) = real() else { return };
    let verified = verify(&store, &[VerifierKey::parse(SUM_GOLANG_ORG).unwrap()]);
    assert_eq!(faults(&verified), []);
    let proven = verified.records.values().flatten().filter(|record| record.proven).count();
    assert_eq!((verified.records.values().flatten().count(), proven), (462, 462));
    let tiles = verified.artifacts.iter().filter(|it| it.kind == ArtifactKind::SumdbTile);
    let unproven = tiles.filter(|it| !it.checks.iter().all(|check| check.result == CheckResult::Agrees)).count();
    assert_eq!(
        unproven,
        0,
        "{:#?}",
        verified
            .artifacts
            .iter()
            .filter(|it| !it.checks.iter().all(|check| check.result == CheckResult::Agrees))
            .take(5)
            .collect::<Vec<_>>()
    );
}

/// Signed notes that people have quoted, with what an independent verifier says of each.
#[test]
fn real_notes_are_believed_as_they_should_be() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/artifacts/sumdb/notes");
    let Ok(table) = std::fs::read_to_string(folder.join("VERIFIED.tsv")) else {
        println!("skipped: {} is not there", folder.display());
        return;
    };
    let keys = [VerifierKey::parse(SUM_GOLANG_ORG).unwrap()];
    let mut heads = 0;
    for (name, valid) in table.lines().skip(1).filter_map(|line| line.split_once('\t')) {
        let content = std::fs::read(folder.join(name)).unwrap();
        let is_lookup = name.starts_with("lookup");
        let store = |content: Vec<u8>| {
            let mut store = Store { name: "sum.golang.org".to_owned(), ..Store::default() };
            if is_lookup {
                let text = String::from_utf8_lossy(&content).into_owned();
                let mut words = text.lines().nth(1).unwrap_or("x y").split(' ').map(str::to_owned);
                let module = ModuleVersion { path: words.next().unwrap(), version: words.next().unwrap_or_default() };
                store.lookups.push((module, item("lookup", content)));
            } else {
                store.heads.push(item("head", content));
            }
            store
        };
        let signed = |content: Vec<u8>| {
            let verified = verify(&store(content), &keys);
            let mut checks = verified.artifacts[0].checks.iter();
            let signed = checks.any(|it| it.yardstick == Yardstick::HeadSignature && it.result == CheckResult::Agrees);
            signed && faults(&verified).is_empty()
        };
        assert_eq!(signed(content.clone()), valid == "True", "{name}");
        if valid == "True" {
            heads += 1;
            // A witness's own signature is nothing that a database's key speaks for, nor is a record without its log's tiles.
            let text = String::from_utf8(content.clone()).unwrap();
            let from = if is_lookup { text.find("go.sum database tree").unwrap() } else { 0 };
            let to = text.find("\u{2014} test.example").unwrap_or(text.len());
            for bit in (from * 8..to * 8).step_by(3) {
                assert!(!signed(changed(&content, bit)), "bit {bit} of {name}");
            }
        }
    }
    assert_eq!(heads, 10);
}

#[test]
fn every_changed_bit_of_a_real_cache_is_found() {
    let Some(good) = real() else { return };
    let keys = [VerifierKey::parse(SUM_GOLANG_ORG).unwrap()];
    let wanted = |lookup: usize, head: bool| {
        let mut part = Store { name: good.name.clone(), ..Store::default() };
        part.lookups.push(good.lookups[lookup].clone());
        part.heads.extend(good.heads.iter().filter(|_| head).cloned());
        for tile in part.wanted_tiles(&keys) {
            let wide = good.tiles.range(tile..=Tile { width: 256, ..tile }).next().unwrap();
            part.tiles.entry(*wide.0).or_default().extend(wide.1.iter().cloned());
        }
        part
    };
    // A lookup with its own tiles: every third bit of it, and bits all over the tiles.
    for at in (0..good.lookups.len()).step_by(97) {
        let part = wanted(at, false);
        assert!(faults(&verify(&part, &keys)).is_empty() && part.tiles.len() > 3);
        let lookup = part.lookups[0].1.content.read().unwrap();
        for bit in (0..lookup.len() * 8).step_by(13) {
            let mut store = part.clone();
            store.lookups[0].1 = item("lookup", changed(&lookup, bit));
            let verified = verify(&store, &keys);
            let proven = verified.records.values().flatten().any(|record| record.proven);
            assert!(is_told(&verified) && !proven, "bit {bit} of lookup {at}");
        }
        for tile in part.tiles.keys() {
            let bytes = part.tiles[tile][0].content.read().unwrap();
            for bit in (0..bytes.len() * 8).step_by(bytes.len() * 8 / 5) {
                let mut store = part.clone();
                store.tiles.get_mut(tile).unwrap()[0] = item("tile", changed(&bytes, bit));
                assert!(is_told(&verify(&store, &keys)), "bit {bit} of {tile}");
            }
        }
    }
    let part = wanted(0, true);
    let head = part.heads[0].content.read().unwrap();
    for bit in 0..head.len() * 8 {
        let mut store = part.clone();
        store.heads[0] = item("latest", changed(&head, bit));
        assert!(!faults(&verify(&store, &keys)).is_empty(), "bit {bit} of the head");
    }
}
