use std::path::Path;

use super::*;
use crate::artifact::note::VerifierKey;
use crate::artifact::note::tests::{SUM_GOLANG_ORG, Signer};
use crate::artifact::tlog::tests::Log;
use crate::observation::artifact::{ArtifactKind, CheckResult};

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

#[test]
fn every_changed_bit_of_a_lookup_is_found() {
    let signer = signer();
    let mut store = store(&log(20), &signer, &[7]);
    let good = store.lookups[0].1.content.read().unwrap();
    for at in 0..good.len() * 8 {
        let mut changed = good.clone();
        changed[at / 8] ^= 1 << (at % 8);
        store.lookups[0].1 = item("db/lookup/x", changed);
        assert!(!faults(&verify(&store, std::slice::from_ref(&signer.key))).is_empty(), "bit {at}");
    }
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

#[test]
fn every_changed_bit_of_a_real_cache_is_found() {
    let Some(good) = real() else { return };
    let keys = [VerifierKey::parse(SUM_GOLANG_ORG).unwrap()];
    // A small part of the store is enough of a tree to be quick: one lookup, the head, all tiles.
    let mut store = good.clone();
    store.lookups.truncate(1);
    let lookup = store.lookups[0].1.content.read().unwrap();
    for at in (0..lookup.len() * 8).step_by(97) {
        let mut changed = lookup.clone();
        changed[at / 8] ^= 1 << (at % 8);
        let mut store = store.clone();
        store.lookups[0].1 = item("db/lookup/x", changed);
        assert!(!faults(&verify(&store, &keys)).is_empty(), "bit {at} of a lookup");
    }
    let places: Vec<_> = store.tiles.keys().copied().step_by(23).collect();
    for tile in places {
        let mut store = good.clone();
        let mut bytes = store.tiles[&tile][0].content.read().unwrap();
        let at = bytes.len() / 3;
        bytes[at] ^= 16;
        store.tiles.get_mut(&tile).unwrap()[0].content = Content::Bytes(bytes);
        assert!(!faults(&verify(&store, &keys)).is_empty(), "{tile}");
    }
}
