//! Facts held against those that another implementation (Python's `cryptography`) read from public captures.

use super::Certificate;
use super::der::{Reader, SEQUENCE, hex};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// What differs between a certificate and its description, as `field: ours / theirs`.
fn differences(certificate: &Certificate, expected: &Value) -> Vec<String> {
    let Some(facts) = certificate.facts() else {
        return if expected["parse_error"].is_null() { vec!["unparsable".into()] } else { vec![] };
    };
    let mut differences = Vec::new();
    let mut compare = |field: &str, ours: Value| {
        if !expected[field].is_null() && expected[field] != ours {
            differences.push(format!("{field}: {ours} / {}", expected[field]));
        }
    };
    let time =
        |time: Option<super::ValidityTime>| time.map(|time| time.to_string().replace(".000000000Z", "+00:00")).into();
    compare("subject", facts.subject.clone().into());
    compare("issuer", facts.issuer.clone().into());
    compare("serial", facts.serial.clone().into());
    compare("not_before", time(facts.not_before));
    compare("not_after", time(facts.not_after));
    compare("self_issued", facts.self_issued.into());
    compare("ca", facts.is_ca().into());
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate.spki_der());
    compare("spki_sha256", hex(digest.as_ref()).into());
    if expected["sig_alg"] != "Unknown OID" {
        compare("sig_alg", facts.signature_algorithm.as_ref().map(ToString::to_string).into());
    }
    if !expected["aia_issuers"].is_null() {
        compare("aia_issuers", facts.extensions.ca_issuers.clone().into());
    }
    if let Some(names) = expected["san"].as_array() {
        // Names of other kinds are listed there too.
        let theirs: Vec<&str> = names.iter().filter_map(Value::as_str).filter(|name| !name.starts_with('<')).collect();
        let ours: Vec<String> = facts.extensions.names.iter().map(ToString::to_string).collect();
        if ours.iter().any(|name| !theirs.contains(&name.as_str())) || (theirs.len() == names.len() && ours != theirs) {
            differences.push(format!("san: {ours:?} / {theirs:?}"));
        }
    }
    differences
}

/// The descriptions in the truth files by SHA-256.
fn descriptions(truth: &Path) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for file in std::fs::read_dir(truth).unwrap() {
        let text = std::fs::read(file.unwrap().path()).unwrap();
        let Ok(document) = serde_json::from_slice::<Value>(&text) else { continue };
        for stream in document["tls"].as_array().into_iter().flatten() {
            for chain in stream["certificates"].as_array().into_iter().flatten() {
                for certificate in chain["certs"].as_array().into_iter().flatten() {
                    all.insert(certificate["sha256"].as_str().unwrap().to_owned(), certificate.clone());
                }
            }
        }
    }
    all
}

/// Every run of bytes in a file that might be a certificate in one piece.
fn candidates(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts = memchr::memchr_iter(SEQUENCE, bytes);
    starts.filter_map(|at| {
        let rest = bytes.get(at..).filter(|rest| matches!(rest, [_, 0x82, _, _, SEQUENCE, 0x81 | 0x82, ..]))?;
        Reader::new(rest).any().map(|element| element.full).filter(|full| full.len() < 10_000)
    })
}

#[test]
fn certificates_in_public_captures_read_as_others_read_them() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures");
    if !shared.is_dir() {
        println!("skipped: no captures at {}", shared.display());
        return;
    }
    let descriptions = descriptions(&shared.join("truth"));
    let mut seen = BTreeMap::new();
    for file in std::fs::read_dir(shared.join("files")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for der in candidates(&bytes) {
            let certificate = Certificate::parse(der);
            let sha256 = hex(&certificate.sha256);
            if let Some(expected) = descriptions.get(&sha256) {
                seen.entry(sha256).or_insert_with(|| differences(&certificate, expected));
            }
        }
    }
    let wrong: Vec<_> = seen.iter().filter(|(_, differences)| !differences.is_empty()).collect();
    println!("{} of {} certificates lie in one piece", seen.len(), descriptions.len());
    assert!(seen.len() > 20);
    assert!(wrong.is_empty(), "{wrong:#?}");
}
