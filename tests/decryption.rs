//! Recordings with key logs, opened: what is inside TLS is what was said there, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use goprobe::analyzer::{Analyzer, KeyLog, Options};
use goprobe::go::GoRun;
use goprobe::observation::{Case, Exchange, Outcome, Recording, Sighting};
use goprobe::reference::Reference;
use goprobe::source::{Input, Reader};

fn folder(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("captures").join(case)
}

fn analyzed(recording: &Path, keys: &[u8]) -> Case {
    let reference = Reference::builtin().unwrap();
    let inputs = Input::open_all([recording]).unwrap();
    let mut log = KeyLog::default();
    log.add(keys);
    let mut analyzer = Analyzer::new(&reference, GoRun::default(), Options::default()).with_keys(log);
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
    let cases: [(&str, usize, &[usize]); 9] = [
        ("artifact/sumdb-mismatch-keys", 9, &[2, 2, 2]),
        ("artifact/sumdb-unavailable-keys", 9, &[2, 2, 2, 2]),
        ("artifact/sumdb-untrusted-keys", 9, &[2, 2, 2, 2]),
        ("cert/missing-intermediate-tls13-keys", 0, &[1, 1, 1]),
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

/// A proxy that is spoken to over TLS: its handshake, CONNECT inside of it, and in the tunnel the server's.
#[test]
fn tls_inside_of_tls_is_read_layer_by_layer() {
    let case = opened("clean/https-proxy-keys");
    assert_eq!(case.handshakes.len(), 6);
    for pair in case.handshakes.chunks(2) {
        let [outer, inner] = pair else { panic!() };
        assert_eq!((outer.flow, outer.layer, outer.tunnel), (inner.flow, 0, None));
        assert_eq!(outer.server_name.seen().unwrap(), "proxy.corp.example");
        assert_eq!((inner.layer, inner.server_name.seen().unwrap().as_str()), (1, "proxy.golang.org"));
        let connect = &case.exchanges[inner.tunnel.unwrap()];
        assert_eq!(
            (connect.flow, connect.status, connect.url.as_str()),
            (inner.flow, Some(200), "proxy.golang.org:443")
        );
        assert!([outer, inner].iter().all(|it| it.outcome == Outcome::Completed && it.decrypted));
        assert_eq!(case.connection(outer.flow).unwrap().names[0], "proxy.corp.example");
    }
    assert_eq!(chains(&case), [2; 6]);
    let told = told(&case);
    let direct = self::told(&opened("clean/direct-tls13-keys"));
    let inside: Vec<_> = told.iter().filter(|line| line.starts_with("GET")).cloned().collect();
    assert_eq!((told.len(), inside), (11, direct), "what go asks is the same, whichever way it goes");
}

/// The secrets of one layer open that one.
#[test]
fn each_layer_needs_its_own_secrets() {
    let keys = std::fs::read_to_string(folder("clean/https-proxy-keys/keys.log")).unwrap();
    let whole = opened("clean/https-proxy-keys");
    let randoms = |layer: u8| -> Vec<String> {
        let hellos = whole.handshakes.iter().filter(|it| it.layer == layer).map(|it| it.hello.as_ref().unwrap());
        hellos.map(|hello| hello.random.iter().map(|byte| format!("{byte:02x}")).collect()).collect()
    };
    let of = |layer: u8| -> String {
        let wanted = randoms(layer);
        keys.lines()
            .filter(|line| wanted.iter().any(|random| line.contains(random)))
            .map(|line| format!("{line}\n"))
            .collect()
    };
    let recording = folder("clean/https-proxy-keys/capture.pcap");
    let outer = analyzed(&recording, of(0).as_bytes());
    let state: Vec<_> = outer.handshakes.iter().map(|it| (it.layer, it.decrypted)).collect();
    assert_eq!(state, [(0, true), (1, false), (0, true), (1, false), (0, true), (1, false)]);
    assert!(outer.exchanges.len() == 3 && outer.exchanges.iter().all(Exchange::is_connect));
    let inner = analyzed(&recording, of(1).as_bytes());
    assert!(inner.exchanges.is_empty() && inner.handshakes.len() == 3);
    assert_eq!((outer.health.wrong_secrets, inner.health.wrong_secrets), (0, 0));
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

#[test]
fn damaged_bytes_invent_nothing() {
    for name in ["http/stream-error-keys", "clean/direct-tls13-keys"] {
        let keys = std::fs::read(folder(name).join("keys.log")).unwrap();
        let bytes = std::fs::read(folder(name).join("capture.pcap")).unwrap();
        let whole = opened(name);
        let key = |it: &Exchange| (it.method.clone(), it.url.clone(), it.status);
        let known: BTreeSet<_> = whole.exchanges.iter().map(key).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        for round in 0..150_usize {
            // A step that is prime to the length visits all parts of the file.
            let place = 24 + (round * 7_919) % (bytes.len() - 24);
            let mut damaged = bytes.clone();
            damaged[place] ^= 1 << (round % 8);
            std::fs::write(file.path(), &damaged).unwrap();
            for exchange in &analyzed(file.path(), &keys).exchanges {
                let (method, url, status) = key(exchange);
                let fits = |known: &(String, String, Option<u16>)| {
                    (method.is_empty() || method == known.0)
                        && (url.is_empty() || url == known.1)
                        && (status.is_none() || status == known.2)
                };
                assert!(known.iter().any(fits), "{name}: byte {place} makes {method} {url} {status:?}");
                let error = exchange.error.as_deref().unwrap_or("a hole");
                let honest =
                    error.contains("a hole") || whole.exchanges.iter().any(|it| it.error.as_deref() == Some(error));
                assert!(honest, "{name}: byte {place} makes {error}");
            }
        }
    }
}
