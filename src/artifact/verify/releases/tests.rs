#![cfg(feature = "openpgp")]

use std::fs;

use super::*;
use crate::artifact::collect::Inventory;
use crate::artifact::openpgp::tests::{Maker, SIGNED};
use crate::artifact::verify::{Settings, run};
use crate::observation::artifact::CheckResult;
use crate::types::Timestamp;

const NAME: &str = "go1.99.1.linux-amd64.tar.gz";
const DATA: &[u8] = b"an archive of Go";

/// What is told of the signature of a file that lies in a folder with these others.
fn told(files: &[(&str, Vec<u8>)], signing_keys: &[Vec<u8>]) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(NAME), DATA).unwrap();
    files.iter().for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).unwrap());
    let mut inventory = Inventory::default();
    inventory.add(&folder.path().join(NAME)).unwrap();
    let judged = Some(Timestamp::from_seconds(i64::from(SIGNED) + 60));
    let settings = Settings { signing_keys: signing_keys.to_vec(), judged, ..Settings::default() };
    let outcome = run(&inventory, &settings, &|_, _| {}).unwrap();
    let checks = outcome.artifacts.iter().flat_map(|artifact| &artifact.checks);
    let check = checks.into_iter().find(|check| check.yardstick == Yardstick::OpenPgp).unwrap();
    match &check.result {
        CheckResult::Agrees => format!("agrees: {}", check.with.rsplit('/').next().unwrap()),
        CheckResult::Open(why) => format!("open: {why}"),
        CheckResult::Differs(difference) => format!("{}: {}", difference.fault, difference.note),
    }
}

#[test]
fn signatures_beside_archives_are_good_or_open_or_wrong() {
    let (maker, other) = (Maker::new(1), Maker::new(9));
    let asc = format!("{NAME}.asc");
    let keys = [maker.block()];
    let one = |bytes: Vec<u8>| told(&[(&asc, bytes)], &keys);
    let good = one(maker.sign(DATA));
    assert!(good.starts_with(&format!("agrees: {NAME}.asc by ")) && good.ends_with(", made 2024-07-01"), "{good}");
    assert!(one(maker.sign(b"other")).starts_with("wrong_signature: "));
    assert!(one(other.sign(DATA)).starts_with("unknown_key: signed by the unknown key "));
    assert_eq!(one(b"<html>".to_vec()), "malformed_signature: no signature: it is a web page");
    assert_eq!(one(Vec::new()), "malformed_signature: no signature: the file is empty");
    // Nothing that was not given is held against a release.
    assert_eq!(told(&[], &keys), "open: there is no signature beside it");
    assert_eq!(told(&[], &[]), "open: there is no signature beside it");
    let signed = [(asc.as_str(), maker.sign(DATA))];
    assert!(told(&signed, &[]).starts_with("open: the key that signs releases was not given"));
    assert!(told(&signed, &[b"<html>".to_vec()]).starts_with("open: there is no OpenPGP key in what was given"));
    // A signature by a subkey that an older key block has not.
    let (mut old, mut new) = (Maker::new(1), Maker::new(1));
    old.signing_subkey(2);
    new.signing_subkey(3);
    let unknown = told(&[(&asc, new.sign(DATA))], &[old.block()]);
    assert!(unknown.starts_with("open: ") && unknown.contains("may be a newer subkey"), "{unknown}");
    assert!(told(&[(&asc, new.sign(DATA))], &[old.block(), new.block()]).starts_with("agrees: "));
}
