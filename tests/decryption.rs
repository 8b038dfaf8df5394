//! Recordings with key logs, opened: what is inside TLS is what was said there, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use goprobe::analyzer::{Analyzer, KeyLog, Options};
use goprobe::go::GoRun;
use goprobe::observation::{Case, Exchange, Handshake, Outcome, Recording, Sighting};
use goprobe::reference::Reference;
use goprobe::source::{Input, Reader, Secrets};

fn folder(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures").join(case)
}

static REFERENCE: LazyLock<Reference> = LazyLock::new(|| Reference::builtin().unwrap());

fn analyzed(recording: &Path, keys: &[u8]) -> Case {
    let inputs = Input::open_all([recording]).unwrap();
    let mut log = KeyLog::default();
    log.add(keys);
    let mut analyzer = Analyzer::new(&REFERENCE, GoRun::default(), Options::default()).with_keys(log);
    let mut reader = Reader::new(&inputs);
    while let Some(record) = reader.next() {
        analyzer.push(&record);
    }
    analyzer.finish(Recording::default(), Vec::new(), 0)
}

fn opened(case: &str) -> Case {
    let keys = std::fs::read(folder(case).join("keys.log")).unwrap();
    analyzed(&folder(case).join("capture.pcap"), &keys)
}

/// A recording with its secrets in it, and those: `tests/decryption/NAME.pcapng`, made by `tests/lab/inside.py`.
fn inside(name: &str) -> (PathBuf, String) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decryption").join(name).with_extension("pcapng");
    let mut keys = String::new();
    let mut secrets = Secrets::new(&Input::open_all([&file]).unwrap());
    while let Some(secret) = secrets.next() {
        keys.push_str(std::str::from_utf8(secret.key_log).unwrap());
    }
    (file, keys)
}

fn opened_inside(name: &str) -> Case {
    let (file, keys) = inside(name);
    analyzed(&file, keys.as_bytes())
}

/// `GET https://… 200 17`, in order of the URLs.
fn told(case: &Case) -> Vec<String> {
    let line = |it: &Exchange| {
        let status = it.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        format!("{} {} {status} {}", it.method, it.url, it.body_bytes)
    };
    let mut lines: Vec<String> = case.exchanges.iter().map(line).collect();
    lines.sort();
    lines
}

fn chains(case: &Case) -> Vec<usize> {
    case.handshakes.iter().map(|it| it.certificates.seen().map_or(0, Vec::len)).collect()
}

#[test]
fn http_2_inside_tls_1_3_is_read_whole() {
    let case = opened("clean/direct-tls13-keys");
    let base = "GET https://proxy.golang.org/example.com";
    let expected = [
        format!("{base}/@v/v1.0.0.info 404 10"),
        format!("{base}/@v/v1.0.0.info 404 10"),
        format!("{base}/lab/@v/v1.0.0.info 404 10"),
        format!("{base}/lab/@v/v1.0.0.info 404 10"),
        format!("{base}/lab/greeting/@v/list 200 7"),
        format!("{base}/lab/greeting/@v/v1.0.0.info 200 50"),
        format!("{base}/lab/greeting/@v/v1.0.0.mod 200 41"),
        format!("{base}/lab/greeting/@v/v1.0.0.zip 200 515"),
    ];
    assert_eq!(told(&case), expected);
    assert_eq!(chains(&case), [2, 2, 2]);
    for handshake in &case.handshakes {
        assert!(handshake.decrypted && handshake.alerts.is_empty(), "{handshake:?}");
        assert_eq!(handshake.outcome, Outcome::Completed);
    }
    let zip = case.exchanges.iter().find(|it| it.url.ends_with(".zip")).unwrap();
    assert!(zip.complete && zip.body_sha256.is_some() && zip.body_head.starts_with(b"PK\x03\x04"));
}

/// Figures of tshark 4.0 with the same key logs: requests, and certificates by handshake.
#[test]
fn each_recording_with_keys_is_opened_as_far_as_tshark_opens_it() {
    let cases: [(&str, usize, &[usize]); 10] = [
        ("artifact/sumdb-mismatch-keys", 9, &[2, 2, 2]),
        ("artifact/sumdb-unavailable-keys", 9, &[2, 2, 2, 2]),
        ("artifact/sumdb-untrusted-keys", 9, &[2, 2, 2, 2]),
        ("cert/missing-intermediate-tls13-keys", 0, &[1, 1, 1]),
        ("clean/direct-tls12-cbc-keys", 8, &[2, 2, 2]),
        ("clean/direct-tls13-keys", 8, &[2, 2, 2]),
        ("clean/sumdb-keys", 11, &[2, 2, 2]),
        ("http/forbidden-h2-keys", 6, &[2, 2, 2]),
        ("http/server-error-h2-keys", 3, &[2, 2, 2]),
        ("http/stream-error-keys", 6, &[2, 2, 2]),
    ];
    for (name, exchanges, certificates) in cases {
        let case = opened(name);
        assert_eq!(case.exchanges.len(), exchanges, "{name}");
        assert!(case.exchanges.iter().all(|it| it.method == "GET" && it.status.is_some()), "{name}");
        assert_eq!(chains(&case), certificates, "{name}");
        assert!(case.handshakes.iter().all(|it| it.decrypted), "{name}");
        assert_eq!(case.health.wrong_secrets, 0, "{name}");
    }
}

#[test]
fn what_the_server_says_is_told_in_its_words() {
    let case = opened("http/stream-error-keys");
    let errors: Vec<_> = case.exchanges.iter().filter_map(|it| it.error.as_deref()).collect();
    assert_eq!(errors, ["stream error: INTERNAL_ERROR; received from server"]);
    let case = opened("cert/missing-intermediate-tls13-keys");
    for handshake in &case.handshakes {
        assert_eq!(handshake.outcome, Outcome::RejectedByClient);
        let alert = handshake.alerts[0].content.unwrap();
        assert_eq!((alert.level, alert.description), (2, 42), "bad_certificate, as Go says it");
    }
}

#[test]
fn wrong_secrets_open_nothing_and_are_counted() {
    let keys = std::fs::read_to_string(folder("clean/direct-tls13-keys/keys.log")).unwrap();
    let turned = |line: &str| {
        let (rest, secret) = line.rsplit_once(' ').unwrap();
        format!("{rest} {}", secret.chars().rev().collect::<String>())
    };
    let wrong: Vec<String> = keys.lines().map(turned).collect();
    let case = analyzed(&folder("clean/direct-tls13-keys/capture.pcap"), wrong.join("\n").as_bytes());
    let without = analyzed(&folder("clean/direct-tls13-keys/capture.pcap"), b"");
    assert!(case.exchanges.is_empty() && case.handshakes.iter().all(|it| !it.decrypted));
    assert_eq!(case.health.wrong_secrets, 3);
    assert_eq!(without.health.wrong_secrets, 0);
    for (with, without) in case.handshakes.iter().zip(&without.handshakes) {
        assert_eq!((with.outcome, &with.alerts), (without.outcome, &without.alerts));
        assert!(with.client_records.starts_with(&without.client_records));
    }
    assert!(case.handshakes.iter().all(|it| matches!(it.certificates, Sighting::Hidden(_))));
}

#[test]
fn secrets_never_show() {
    let keys = std::fs::read_to_string(folder("clean/direct-tls13-keys/keys.log")).unwrap();
    let mut log = KeyLog::default();
    log.add(keys.as_bytes());
    let shown = format!("{log:?} {:?}", opened("clean/direct-tls13-keys"));
    for secret in keys.lines().filter_map(|line| line.rsplit(' ').next()) {
        assert!(!shown.contains(&secret[..16]));
    }
}

/// What of a handshake depends on how the session came to be.
fn handshakes(case: &Case) -> Vec<String> {
    let line = |it: &Handshake| {
        let chain = match &it.certificates {
            Sighting::Seen(chain) => format!("{} certificates", chain.len()),
            Sighting::Absent => "no certificate".to_owned(),
            Sighting::Hidden(veil) => format!("{veil:?}"),
        };
        let resumed = if it.server_hello.as_ref().unwrap().resumed { ", resumed" } else { "" };
        let retry = if it.retry.is_some() { ", retried" } else { "" };
        let alerts = it.alerts.iter().filter_map(|alert| alert.content).map(|alert| format!(", {}", alert.description));
        format!("{:?}, {chain}{resumed}{retry}{}", it.outcome, alerts.collect::<String>())
    };
    case.handshakes.iter().map(line).collect()
}

/// All CBC suites, twice: with encrypt-then-MAC and the extended master secret (RFC 7366, RFC 7627), and with neither. To the
/// secrets in a key log the latter makes no difference.
#[test]
fn every_cbc_suite_of_tls_1_2_is_opened_with_either_order_of_mac_and_encryption() {
    let suites = [
        0xc009, 0xc00a, 0xc023, 0xc024, 0xc013, 0xc014, 0xc027, 0xc028, 0x2f, 0x35, 0x3c, 0x3d, 0x33, 0x39, 0x67, 0x6b,
    ];
    for name in ["tls12-cbc", "tls12-cbc-mac-then-encrypt"] {
        let case = opened_inside(name);
        let chosen: Vec<u16> =
            case.handshakes.iter().map(|it| it.server_hello.as_ref().unwrap().cipher_suite).collect();
        assert_eq!(chosen, suites, "{name}");
        assert_eq!(told(&case), vec!["GET https://127.0.0.1/list 200 7"; 16], "{name}");
        assert!(case.exchanges.iter().all(|it| it.complete && it.body_head == b"v1.0.0\n"), "{name}");
        assert_eq!(handshakes(&case), vec!["Completed, 2 certificates"; 16], "{name}");
    }
}

/// What tshark 4.0 reads of each recording with the secrets in it: requests with status and length of the body. Where it reads
/// less, the figures are those of the server, which wrote the answers: tshark passes over answers that end with the connection,
/// and over all that follows on post-handshake authentication.
#[test]
fn sessions_of_openssl_are_opened_whatever_becomes_of_their_keys() {
    let answers = |all: &[&str]| {
        let mut lines: Vec<_> = all.iter().map(|it| format!("GET https://inside.lab.example/{it}")).collect();
        lines.sort();
        lines
    };
    let four = ["one 200 3", "two 200 3", "three 200 5"];
    let cases: [(&str, Vec<String>, &[&str]); 8] = [
        (
            "tls12-renegotiation",
            answers(&[&four[..], &four[..], &["four - 0", "four - 0"]].concat()),
            &["Completed, 2 certificates"; 4],
        ),
        (
            "tls13-early-data",
            answers(&["full 200 4", "resumed 200 7", "early 200 5", "late 200 4", "again 200 5"]),
            &[
                "Completed, 2 certificates",
                "Completed, no certificate, resumed",
                "Completed, no certificate, resumed",
                "Completed, 2 certificates",
            ],
        ),
        ("tls13-key-update", answers(&[&four[..], &["four 200 4"]].concat()), &["Completed, 2 certificates"]),
        ("post-handshake-authentication", answers(&four[..2]), &["Completed, 2 certificates"]),
        (
            "tls12-resumption",
            vec!["GET https://127.0.0.1/list 200 7".to_owned(); 8],
            &["Completed, 2 certificates", "Completed, no certificate, resumed"],
        ),
        (
            "tls13-padding",
            vec!["GET https://127.0.0.1/list 200 2100".to_owned(); 2],
            &["Completed, 2 certificates", "Completed, 2 certificates"],
        ),
        ("tls13-retry", vec!["GET https://127.0.0.1/list 200 7".to_owned()], &["Completed, 2 certificates, retried"]),
        (
            "client-certificates",
            vec!["GET https://127.0.0.1/list 200 7".to_owned(); 2],
            &[
                "Completed, 2 certificates",
                "Alert, 2 certificates, 40",
                "Completed, 2 certificates",
                "Alert, 2 certificates, 116",
            ],
        ),
    ];
    for (name, exchanges, sessions) in cases {
        let case = opened_inside(name);
        assert_eq!(told(&case), exchanges, "{name}");
        let seen = handshakes(&case);
        assert_eq!(seen, sessions.iter().copied().cycle().take(seen.len()).collect::<Vec<_>>(), "{name}");
        assert_eq!(case.health.wrong_secrets, 0, "{name}");
    }
}

/// RFC 5246 §7.4.1.1: go ends the connection, and still its handshake was in order.
#[test]
fn go_refuses_to_renegotiate() {
    let case = opened_inside("go-refuses-renegotiation");
    assert_eq!(told(&case), ["GET https://127.0.0.1/lab.example/module/@v/list - 0"]);
    assert_eq!(handshakes(&case), ["Completed, 2 certificates"]);
}

/// All recordings with their secrets: those of `captures/` and those of `tests/decryption/`.
fn all_with_secrets() -> Vec<(String, PathBuf, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decryption")).unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        let (file, keys) = inside(&name);
        all.push((name, file, keys));
    }
    for name in ["http/stream-error-keys", "clean/direct-tls13-keys", "clean/direct-tls12-cbc-keys"] {
        let keys = std::fs::read_to_string(folder(name).join("keys.log")).unwrap();
        all.push((name.to_owned(), folder(name).join("capture.pcap"), keys));
    }
    all.sort();
    all
}

/// Whether nothing is told that is not in the whole; less may be.
fn invents_nothing(less: &Case, whole: &Case, what: &str) {
    for exchange in &less.exchanges {
        let fits = |known: &&Exchange| {
            (exchange.method.is_empty() || (exchange.method == known.method && exchange.url == known.url))
                && (exchange.status.is_none() || exchange.status == known.status)
                && (!exchange.complete || exchange.status.is_none() || exchange.body_sha256 == known.body_sha256)
        };
        assert!(whole.exchanges.iter().any(|known| fits(&known)), "{what} makes {exchange:?}");
        let error = exchange.error.as_deref().unwrap_or("a hole");
        let honest =
            error.contains("a hole") || whole.exchanges.iter().any(|known| known.error.as_deref() == Some(error));
        assert!(honest, "{what} makes {error}");
    }
    // What is in clear is as the damage made it; what was decrypted is not.
    let is_1_3 = |it: &&Handshake| it.server_hello.as_ref().is_some_and(|hello| hello.version == 0x0304);
    for handshake in less.handshakes.iter().filter(is_1_3) {
        let fits = |known: &Handshake| match (&handshake.certificates, &known.certificates) {
            (Sighting::Seen(less), Sighting::Seen(whole)) => less.len() == whole.len(),
            (Sighting::Absent, Sighting::Absent) | (Sighting::Hidden(_), _) => true,
            _ => false,
        };
        assert!(whole.handshakes.iter().any(fits), "{what} makes {:?}", handshake.certificates);
    }
}

/// Key logs with some of the secrets: what they open is a part of the whole, and it is not said that they were wrong.
#[test]
fn a_part_of_the_secrets_opens_a_part() {
    for (name, file, keys) in all_with_secrets() {
        let whole = analyzed(&file, keys.as_bytes());
        let labels: BTreeSet<&str> = keys.lines().filter_map(|line| line.split(' ').next()).collect();
        for part in ["HANDSHAKE", "TRAFFIC_SECRET_0", "CLIENT_", "SERVER_", "EARLY"] {
            let some: Vec<&str> = keys.lines().filter(|line| line.split(' ').next().unwrap().contains(part)).collect();
            let case = analyzed(&file, some.join("\n").as_bytes());
            invents_nothing(&case, &whole, &format!("{name} with {part}"));
            assert_eq!(case.health.wrong_secrets, 0, "{name} with {part} of {labels:?}");
            // What is said early is not read without the server's word on it, nor TLS 1.2 without its master secret.
            let all = !labels.contains("CLIENT_RANDOM") && !labels.contains("CLIENT_EARLY_TRAFFIC_SECRET");
            if part == "TRAFFIC_SECRET_0" && all {
                assert_eq!(told(&case), told(&whole), "{name}");
            }
        }
    }
}

#[test]
fn secrets_of_another_session_open_nothing_and_those_of_the_others_still_do() {
    for (name, file, keys) in all_with_secrets() {
        let whole = analyzed(&file, keys.as_bytes());
        let randoms: Vec<&str> = keys.lines().filter_map(|line| line.split(' ').nth(1)).collect();
        let Some(first) = randoms.iter().find(|random| random.len() == 64) else { continue };
        for digits in [["0", "1"], ["a", "b"]] {
            let swapped: Vec<String> = keys
                .lines()
                .map(|line| match line.rsplit_once(' ') {
                    Some((rest, secret)) if rest.contains(first) => {
                        format!("{rest} {}", secret.replace(digits[0], digits[1]))
                    }
                    _ => line.to_owned(),
                })
                .collect();
            let case = analyzed(&file, swapped.join("\n").as_bytes());
            invents_nothing(&case, &whole, &name);
            assert_eq!(case.health.wrong_secrets, 1, "{name}");
            let closed = case.handshakes.iter().filter(|it| !it.decrypted).count();
            assert_eq!(closed, 1 + whole.handshakes.iter().filter(|it| !it.decrypted).count(), "{name}");
        }
        // Longer by a half: those of SHA-256 are as long as SHA-384's then, and those are too long for anything.
        let longer: Vec<String> = keys.lines().map(|line| line.to_owned() + &"0".repeat(32)).collect();
        let case = analyzed(&file, longer.join("\n").as_bytes());
        assert!(case.handshakes.iter().all(|it| !it.decrypted), "{name}");
        invents_nothing(&case, &whole, &name);
    }
}

/// Where the packets' TCP payload lies in a recording: each with its frame before it. Other damage moves segments about, which
/// is for the reassembly to see through.
fn payloads(bytes: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    let u32_at = |at: usize| bytes.get(at..at + 4).map(|it| u32::from_le_bytes(it.try_into().unwrap()) as usize);
    let is_pcapng = u32_at(0) == Some(0x0a0d_0d0a);
    let mut at = if is_pcapng { 0 } else { 24 };
    while let (Some(kind), Some(block)) = (u32_at(at), u32_at(at + 4)) {
        let (start, length, next) = match (is_pcapng, u32_at(at + 8), u32_at(at + 20)) {
            (false, Some(length), _) => (at + 16, length, at + 16 + length),
            (true, _, Some(length)) if kind == 6 => (at + 28, length, at + block),
            _ => (at, 0, at + block),
        };
        // Ethernet, IPv4 and TCP with timestamps.
        if bytes.get(start + 12..start + 14) == Some(&[8, 0]) && bytes.get(start + 23) == Some(&6) {
            places.extend((66..length).map(|byte| start + byte));
        }
        at = next;
    }
    places
}

/// Flips a bit here and there of what is said, or of a secret; or cuts the recording.
#[test]
fn damaged_bytes_invent_nothing() {
    for (name, file, keys) in all_with_secrets() {
        let whole = analyzed(&file, keys.as_bytes());
        let bytes = std::fs::read(&file).unwrap();
        let places = payloads(&bytes);
        assert!(places.len() > 2_000, "{name}");
        let copy = tempfile::NamedTempFile::new().unwrap();
        for round in 0..120_usize {
            // A step that is prime to the length visits all parts of the file.
            let place = places[(round * 7_919) % places.len()];
            let mut damaged = bytes.clone();
            damaged[place] ^= 1 << (round % 8);
            std::fs::write(copy.path(), &damaged).unwrap();
            invents_nothing(&analyzed(copy.path(), keys.as_bytes()), &whole, &format!("{name}: byte {place}"));
            std::fs::write(copy.path(), &bytes[..place]).unwrap();
            invents_nothing(&analyzed(copy.path(), keys.as_bytes()), &whole, &format!("{name}: cut at {place}"));
            let mut turned = keys.clone().into_bytes();
            let place = (round * 7_919) % turned.len();
            turned[place] = if turned[place] == b'0' { b'1' } else { b'0' };
            invents_nothing(&analyzed(&file, &turned), &whole, &format!("{name}: digit {place} of the key log"));
        }
    }
}
