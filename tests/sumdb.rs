//! `goprobe verify --sumdb`: a checksum database that the tests build with a key of their own, in folders and behind a server
//! that is honest, or lies, or is silent.

#![cfg(feature = "probe")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "what cannot be done fails the test, and what hangs is timed"
)]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use goprobe::artifact::tlog::Tile;
use goprobe::certificate::Roots;
use goprobe::go::env::GoEnv;
use goprobe::probe::fetch::{Limits, Mirror, MirrorError, Unfetched};
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::Value;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

const DB: &str = "log.example";
const SIZE: usize = 700;

/// A database in memory.
#[derive(Clone)]
struct Log {
    records: Vec<String>,
    key: Arc<Ed25519KeyPair>,
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    digest(&SHA256, &parts.concat()).as_ref().try_into().unwrap()
}

impl Log {
    fn new(size: usize) -> Self {
        let record = |at| {
            let hash = STANDARD.encode(sha256(&[format!("{at}").as_bytes()]));
            format!("example.com/m{at} v1.0.0 h1:{hash}\nexample.com/m{at} v1.0.0/go.mod h1:{hash}\n")
        };
        let key = Arc::new(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap());
        Self { records: (0..size).map(record).collect(), key }
    }

    fn public(&self) -> Vec<u8> {
        [&[1], self.key.public_key().as_ref()].concat()
    }

    fn key_hash(&self) -> [u8; 4] {
        *sha256(&[DB.as_bytes(), b"\n", &self.public()]).first_chunk().unwrap()
    }

    fn vkey(&self) -> String {
        format!("{DB}+{:08x}+{}", u32::from_be_bytes(self.key_hash()), STANDARD.encode(self.public()))
    }

    fn level(&self, level: u32, size: usize) -> Vec<[u8; 32]> {
        let mut nodes: Vec<_> = self.records[..size].iter().map(|it| sha256(&[&[0], it.as_bytes()])).collect();
        for _ in 0..8 * level {
            nodes = nodes.chunks_exact(2).map(|pair| sha256(&[&[1], &pair[0], &pair[1]])).collect();
        }
        nodes
    }

    /// RFC 6962 §2.1.
    fn head(&self, size: usize) -> String {
        fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
            match leaves {
                [] => sha256(&[]),
                [one] => *one,
                many => {
                    let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
                    sha256(&[&[1], &root(left), &root(right)])
                }
            }
        }
        let text = format!("go.sum database tree\n{size}\n{}\n", STANDARD.encode(root(&self.level(0, size))));
        let signature = [&self.key_hash()[..], self.key.sign(text.as_bytes()).as_ref()].concat();
        format!("{text}\n\u{2014} {DB} {}\n", STANDARD.encode(signature))
    }

    fn lookup(&self, at: usize, size: usize) -> String {
        format!("{at}\n{}\n{}", self.records[at], self.head(size))
    }

    fn tile(&self, tile: Tile) -> Option<Vec<u8>> {
        let from = usize::try_from(tile.number).unwrap() * 256;
        let nodes = self.level(tile.level, self.records.len());
        Some(nodes.get(from..from + usize::from(tile.width))?.concat())
    }

    /// What a server that has the whole log answers.
    fn answer(&self, path: &str) -> Answer {
        let body = if path == "latest" {
            Some(self.head(self.records.len()).into_bytes())
        } else if let Some(module) = path.strip_prefix("lookup/example.com/m") {
            let at = module.strip_suffix("@v1.0.0").and_then(|at| at.parse::<usize>().ok());
            // Each answer has seen the log at another time.
            at.filter(|at| *at < self.records.len())
                .map(|at| self.lookup(at, (at + 1 + 37 * (at % 3)).min(self.records.len())).into_bytes())
        } else {
            Tile::parse(path).and_then(|tile| self.tile(tile))
        };
        body.map_or(Answer::Status(404), Answer::Body)
    }
}

fn text_of(answer: Answer) -> String {
    let Answer::Body(body) = answer else { panic!("no body") };
    String::from_utf8(body).unwrap()
}

enum Answer {
    Body(Vec<u8>),
    Page(&'static str),
    Status(u16),
    /// Chunks without end.
    Endless,
    /// Nothing at all.
    Silence,
}

/// A server on this machine.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

type Handler = Arc<dyn Fn(&str) -> Answer + Send + Sync>;

impl Server {
    fn start(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        Self::serve(Arc::new(answer), None)
    }

    fn serve(answer: Handler, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let host = if tls.is_some() { "localhost" } else { "127.0.0.1" };
        let url = format!("{scheme}://{host}:{}", listener.local_addr().unwrap().port());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, heard, tls) = (Arc::clone(&answer), Arc::clone(&heard), tls.clone());
                std::thread::spawn(move || match tls {
                    Some(tls) => {
                        converse(StreamOwned::new(ServerConnection::new(tls).unwrap(), stream), &*answer, &heard)
                    }
                    None => converse(stream, &*answer, &heard),
                });
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> BTreeSet<String> {
        self.asked.lock().unwrap().iter().cloned().collect()
    }
}

/// One connection: requests until the other side leaves.
fn converse(stream: impl Read + Write, answer: &dyn Fn(&str) -> Answer, heard: &Mutex<Vec<String>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut request = String::new();
        stream.read_line(&mut request).ok().filter(|length| *length > 0)?;
        let mut line = String::new();
        while stream.read_line(&mut line).ok()? > 2 {
            line.clear();
        }
        let path = request.split(' ').nth(1).unwrap().trim_start_matches('/').to_owned();
        heard.lock().unwrap().push(path.clone());
        let stream = stream.get_mut();
        let mut send = |status: &str, kind: &str, body: &[u8]| {
            let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), body].concat()).ok()
        };
        match answer(&path) {
            Answer::Body(body) => send("200 OK", "text/plain", &body)?,
            Answer::Page(kind) => send("200 OK", kind, b"<!DOCTYPE html><html>Please log in</html>")?,
            Answer::Status(status) => send(&format!("{status} so"), "text/plain", b"not this one")?,
            Answer::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").ok()?;
                loop {
                    stream.write_all(&[b"1000\r\n".as_slice(), &[b'x'; 0x1000], b"\r\n"].concat()).ok()?;
                }
            }
            Answer::Silence => std::thread::sleep(Duration::from_secs(3600)),
        }
    }
}

/// Runs `goprobe verify` on a go.sum with these modules of a log.
fn verify(
    log: &Log,
    modules: &[usize],
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> (Option<i32>, Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = modules.iter().map(|at| log.records[*at].as_str()).collect();
    std::fs::write(folder.path().join("go.sum"), lines).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_goprobe"));
    command.arg("verify").arg(folder.path()).args(["--sumdb-key", &log.vkey(), "--format", "json"]).args(arguments);
    for name in ["GOSUMDB", "GOPRIVATE", "GONOSUMDB", "GOFLAGS", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    let output = command.env("GOENV", "off").envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{text}"));
    (output.status.code(), report, text)
}

/// Checks of what belongs to the database.
fn checks(report: &Value) -> impl Iterator<Item = &Value> {
    let artifacts = report["artifacts"].as_array().unwrap().iter();
    artifacts
        .filter(|it| it["kind"].as_str().unwrap().starts_with("sumdb"))
        .flat_map(|it| it["checks"].as_array().unwrap())
}

/// What is found, by the word for the fault.
fn faults(report: &Value) -> BTreeSet<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    let word = |finding: &Value| finding["details"]["fault"].as_str().or(finding["code"].as_str()).map(str::to_owned);
    findings.filter_map(word).collect()
}

/// Reasons for what could not be assessed.
fn open(report: &Value) -> BTreeSet<String> {
    let open = checks(report).filter(|check| check["result"] == "not_assessed");
    open.map(|check| check["note"].as_str().unwrap().to_owned()).collect()
}

fn set<const N: usize>(words: [&str; N]) -> BTreeSet<String> {
    words.into_iter().map(str::to_owned).collect()
}

const ASKED: [usize; 6] = [0, 3, 255, 256, 600, 699];

#[test]
fn an_honest_server_proves_everything_with_the_tiles_that_are_needed() {
    let log = Log::new(SIZE);
    let served = log.clone();
    let server = Server::start(move |path| served.answer(path));
    let (status, report, told) = verify(&log, &ASKED, &["--sumdb", &server.url], &[]);
    assert_eq!((status, faults(&report), open(&report)), (Some(0), set([]), set([])), "{told}");
    let proven = report["artifacts"].as_array().unwrap().iter().filter(|it| {
        it["kind"] == "sumdb_lookup" && it["checks"].as_array().unwrap().iter().all(|check| check["result"] == "agrees")
    });
    assert_eq!(proven.count(), ASKED.len());
    assert!(told.contains(&format!("goprobe: {}: asking about 6 modules", server.url)), "{told}");
    let tiles: BTreeSet<String> = server.asked().into_iter().filter(|path| path.starts_with("tile")).collect();
    assert_eq!(tiles, set(["tile/8/0/000", "tile/8/0/001", "tile/8/0/002.p/188", "tile/8/1/000.p/2"]));
    assert_eq!(server.asked().len(), ASKED.len() + 1 + 4);
}

#[test]
fn below_a_proxy_the_path_has_the_name() {
    let log = Log::new(20);
    let served = log.clone();
    let server = Server::start(move |path| match path.strip_prefix("x/sumdb/log.example/") {
        Some(path) => served.answer(path),
        None => Answer::Status(500),
    });
    let url = format!("{}/x/sumdb/log.example/", server.url);
    let (status, report, told) = verify(&log, &[3], &["--sumdb", &url, "-q"], &[]);
    assert_eq!((status, open(&report), told.as_str()), (Some(0), set([]), ""));
}

#[test]
fn a_narrow_tile_that_is_gone_is_taken_from_the_full_one() {
    let (log, grown) = (Log::new(SIZE), Log::new(1000));
    let served = log.clone();
    let server = Server::start(move |path| match Tile::parse(path) {
        Some(tile) if tile.width < 256 && tile.level == 0 => Answer::Status(404),
        Some(tile) => grown.tile(tile).map_or(Answer::Status(404), Answer::Body),
        None => served.answer(path),
    });
    let (status, report, _) = verify(&log, &[600], &["--sumdb", &server.url], &[]);
    // What stands in the full tile behind the signed head is nobody's word.
    assert_eq!((status, faults(&report)), (Some(0), set([])));
    assert_eq!(open(&report), set(["the signed heads at hand cover a part of it alone"]));
}

#[test]
fn each_lie_is_told_by_its_name() {
    let log = Log::new(SIZE);
    let lie = |path: &'static str, change: fn(&Log, Answer) -> Answer| {
        let served = log.clone();
        let server = Server::start(move |asked| match served.answer(asked) {
            answer if asked.starts_with(path) => change(&served, answer),
            answer => answer,
        });
        let (status, report, _) = verify(&log, &[3, 600], &["--sumdb", &server.url], &[]);
        assert_eq!(status, Some(1), "{path}");
        faults(&report)
    };
    let altered =
        lie("lookup/example.com/m3@", |_, answer| Answer::Body(text_of(answer).replace("h1:", "h1:A").into_bytes()));
    assert_eq!(altered, set(["altered_lookup"]));
    let other_module = lie("lookup/example.com/m3@", |log, _| Answer::Body(log.lookup(4, SIZE).into_bytes()));
    assert_eq!(other_module, set(["altered_lookup"]));
    let tile = lie("tile/8/0/000", |_, answer| {
        let Answer::Body(mut body) = answer else { panic!("no body") };
        body[3 * 32] ^= 1;
        Answer::Body(body)
    });
    assert_eq!(tile, set(["tampered_tile"]));
    let edge = lie("tile/8/0/002.p/188", |_, answer| {
        let Answer::Body(mut body) = answer else { panic!("no body") };
        body[0] ^= 1;
        Answer::Body(body)
    });
    assert_eq!(edge, set(["tampered_tile"]));
    let short = lie("tile/8/0/000", |_, answer| {
        let Answer::Body(body) = answer else { panic!("no body") };
        Answer::Body(body[..body.len() - 1].to_vec())
    });
    assert_eq!(short, set(["tampered_tile"]));
    let stale = lie("latest", |log, _| Answer::Body(log.head(100).into_bytes()));
    assert_eq!(stale, set(["stale_head"]));
    let other_key = lie("lookup/example.com/m3@", |log, _| {
        let other = Log { key: Arc::new(Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap()), ..log.clone() };
        Answer::Body(other.lookup(3, SIZE).into_bytes())
    });
    assert_eq!(other_key, set(["unknown_key"]));
    let forged =
        lie("lookup/example.com/m3@", |_, answer| Answer::Body(text_of(answer).replace("\n4\n", "\n5\n").into_bytes()));
    assert_eq!(forged, set(["wrong_signature"]));
    let fork = lie("lookup/example.com/m3@", |log, _| {
        let mut fork = log.clone();
        fork.records[3] = fork.records[3].replace("h1:", "h1:A");
        Answer::Body(fork.lookup(3, 300).into_bytes())
    });
    assert!(fork.contains("forked_log"), "{fork:?}");
}

#[test]
fn who_does_not_answer_leaves_it_open() {
    let log = Log::new(SIZE);
    let answered = |answer: fn() -> Answer| {
        let server = Server::start(move |_| answer());
        let (status, report, _) = verify(&log, &[3], &["--sumdb", &server.url], &[]);
        assert_eq!((status, faults(&report)), (Some(3), set([])));
        open(&report)
    };
    let has = |open: &BTreeSet<String>, words: &str| assert!(open.iter().any(|it| it.contains(words)), "{open:?}");
    has(&answered(|| Answer::Status(404)), "not in the log, as 127.0.0.1 says (404)");
    has(&answered(|| Answer::Status(410)), "not in the log, as 127.0.0.1 says (410)");
    has(&answered(|| Answer::Status(500)), "the server answers 500");
    has(&answered(|| Answer::Status(302)), "which is not followed");
    has(&answered(|| Answer::Page("text/html; charset=utf-8")), "an HTML page came in its place");
    has(&answered(|| Answer::Page("text/plain")), "an HTML page came in its place");
    has(&answered(|| Answer::Endless), "the answer is longer than it may be");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (status, report, _) = verify(&log, &[3], &["--sumdb", &format!("http://{nobody}")], &[]);
    assert_eq!(status, Some(3));
    has(&open(&report), "the server could not be asked: refused");
}

#[test]
fn a_page_in_the_place_of_one_answer_spoils_no_other() {
    let log = Log::new(SIZE);
    let served = log.clone();
    let server = Server::start(move |path| match path {
        "lookup/example.com/m3@v1.0.0" => Answer::Page("text/html"),
        other => served.answer(other),
    });
    let (status, report, _) = verify(&log, &[3, 600], &["--sumdb", &server.url], &[]);
    assert_eq!((status, faults(&report)), (Some(0), set([])));
    assert_eq!(open(&report), set(["an HTML page came in its place"]));
}

#[test]
fn limits_hold_for_time_requests_and_bytes() {
    let silent = Server::start(|_| Answer::Silence);
    let quick = Limits { answer: Duration::from_millis(200), all: Duration::from_millis(900), ..Limits::default() };
    let mirror = |server: &Server, limits| Mirror::new(&server.url, &GoEnv::default(), Roots::none(), limits).unwrap();
    let paths: Vec<String> = (0..100).map(|at| format!("lookup/a@v1.0.{at}")).collect();
    let began = Instant::now();
    let answers = mirror(&silent, quick).fetch(&paths).unwrap();
    assert!(began.elapsed() < Duration::from_secs(3));
    assert!(answers[0].as_ref().unwrap_err().to_string().contains("no answer"), "{:?}", answers[0]);
    assert_eq!(answers[99], Err(Unfetched::Silent));
    let one = Limits { answer: Duration::from_secs(5), all: Duration::from_millis(300), ..Limits::default() };
    assert_eq!(mirror(&silent, one).fetch(&paths).unwrap()[0], Err(Unfetched::Limit));
    let plain = Server::start(|path| Answer::Body(vec![b'x'; path.len()]));
    let few = Limits { requests: 3, bytes: 16, ..Limits::default() };
    let mut few = mirror(&plain, few);
    let answers = few.fetch(&["a".repeat(16), "a".repeat(17)]).unwrap();
    assert_eq!(answers, [Ok(vec![b'x'; 16]), Err(Unfetched::Long)]);
    let answers = few.fetch(&["a".to_owned(), "b".to_owned()]).unwrap();
    assert_eq!(answers, [Ok(vec![b'x']), Err(Unfetched::Limit)]);
    for (path, wrong) in [("a b", true), ("a\r\nb", true), ("a?b", true), ("a/!b@v1.0.0+incompatible", false)] {
        let answer = mirror(&plain, Limits::default()).fetch(&[path.to_owned()]).unwrap();
        assert_eq!(answer[0].is_err(), wrong, "{path:?}");
    }
}

#[test]
fn private_modules_are_told_to_nobody() {
    let log = Log::new(SIZE);
    let served = log.clone();
    let server = Server::start(move |path| served.answer(path));
    for variable in ["GOPRIVATE", "GONOSUMDB"] {
        let (status, report, told) =
            verify(&log, &[3, 600], &["--sumdb", &server.url], &[(variable, "other.example,*.com/m600")]);
        assert_eq!((status, faults(&report)), (Some(0), set([])));
        let why = "not asked: GONOSUMDB or GOPRIVATE has the pattern *.com/m600, so go does not ask either";
        assert_eq!(open(&report), set([why]));
        assert!(told.contains("asking about 1 module, and not about 1 that are private"), "{told}");
    }
    assert!(!server.asked().iter().any(|path| path.contains("m600")));
}

#[test]
fn a_folders_lookups_are_proven_with_a_servers_tiles() {
    let log = Log::new(SIZE);
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join(DB);
    std::fs::create_dir_all(store.join("lookup/example.com")).unwrap();
    std::fs::write(store.join("lookup/example.com/m40@v1.0.0"), log.lookup(40, 290)).unwrap();
    let served = log.clone();
    let server = Server::start(move |path| served.answer(path));
    let (status, report, _) = verify(&log, &[3], &["--sumdb", store.to_str().unwrap(), "--sumdb", &server.url], &[]);
    assert_eq!((status, faults(&report), open(&report)), (Some(0), set([]), set([])));
    assert!(!server.asked().contains("lookup/example.com/m40@v1.0.0"));
}

#[test]
fn over_tls_the_certificate_counts() {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::default();
    ca.distinguished_name.push(rcgen::DnType::CommonName, "The company");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let root = ca.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::from_params(&ca, &ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let mut leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
        .unwrap();
    let log = Log::new(SIZE);
    let served = log.clone();
    let server = Server::serve(Arc::new(move |path: &str| served.answer(path)), Some(Arc::new(config)));
    let (status, report, _) = verify(&log, &[3], &["--sumdb", &server.url], &[]);
    assert_eq!((status, faults(&report)), (Some(3), set([])));
    assert!(open(&report).iter().any(|why| why.contains("--ca adds one")), "{:?}", open(&report));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, root.pem()).unwrap();
    let (status, report, told) =
        verify(&log, &[3, 600], &["--sumdb", &server.url, "--ca", file.to_str().unwrap()], &[]);
    assert_eq!((status, faults(&report), open(&report)), (Some(0), set([]), set([])), "{told}");
}

#[test]
fn proxies_of_the_environment_are_asked_and_those_that_cannot_be_are_named() {
    let log = Log::new(SIZE);
    let served = log.clone();
    let proxy = Server::start(move |path| match path.strip_prefix("http://sum.company.example/") {
        Some(path) => served.answer(path),
        None => Answer::Status(502),
    });
    let url = ["--sumdb", "http://sum.company.example"];
    let (status, report, told) = verify(&log, &[3], &url, &[("HTTP_PROXY", &proxy.url)]);
    assert_eq!((status, open(&report)), (Some(0), set([])), "{told}");
    assert!(told.contains(&format!("through the proxy {}", proxy.url)), "{told}");
    let (status, report, _) = verify(&log, &[3], &url, &[("HTTP_PROXY", "socks5://127.0.0.1:1")]);
    assert_eq!(status, Some(3));
    assert!(open(&report).contains("not asked: goprobe does not speak to the proxy socks5://127.0.0.1:1"));
}

#[test]
fn urls_that_cannot_be_asked_are_refused() {
    let mirror = |url: &str| Mirror::new(url, &GoEnv::default(), Roots::none(), Limits::default()).map(|_| ());
    for wrong in ["https://", "ftp://a", "https://a b", "https://a/b?c", "https://a:port", "http://[a]/", "a"] {
        assert_eq!(mirror(wrong), Err(MirrorError::Url), "{wrong}");
    }
    assert_eq!(mirror("https://me:secret@a/b"), Err(MirrorError::Credentials));
    for right in ["https://sum.golang.org", "http://[::1]:8080/", "https://proxy.golang.org/sumdb/sum.golang.org/"] {
        assert_eq!(mirror(right), Ok(()), "{right}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_goprobe"))
        .args(["verify", env!("CARGO_MANIFEST_DIR"), "--sumdb", "https://me:secret@a"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("secret@"));
}
