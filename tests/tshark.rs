//! What is read inside TLS, held against what tshark reads with the same keys: requests, statuses, lengths, chains. The
//! recordings are not part of the repository: without `../shared/scenarios` beside it, or without tshark, there is nothing to
//! do.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ring::digest;
use serde_json::Value;

/// Where tshark reads less, and why.
const LESS: [(&str, &str); 3] = [
    ("body-cut-rst", "of a body that is cut short tshark shows no more than whole frames"),
    ("ok-client-to-server-only", "without the ServerHello tshark tries no suite"),
    ("ok-loss", "a lost record ends what tshark reads of a connection"),
];

/// An exchange: TCP stream, method, URL, status, and bytes of the body where both can tell.
type Exchange = (u64, String, String, Option<u64>);

/// What a program reads in a recording.
#[derive(Default)]
struct Read {
    exchanges: Vec<Exchange>,
    /// Lengths of HTTP/2 bodies, by TCP stream.
    bodies: BTreeMap<u64, Vec<u64>>,
    /// SHA-256 of the certificates shown, by TCP stream.
    chains: BTreeMap<u64, Vec<String>>,
}

#[test]
fn exchanges_and_chains_equal_what_tshark_reads_with_the_same_keys() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/scenarios");
    if !root.is_dir() || Command::new("tshark").arg("-v").stdout(Stdio::null()).status().is_err() {
        println!("skipped: no ../shared/scenarios, or no tshark");
        return;
    }
    let mut files: Vec<(String, PathBuf, PathBuf)> = Vec::new();
    for folder in std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()) {
        let keys = folder.join("keys.log");
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        let capture =
            entries.map(|entry| entry.unwrap().path()).find(|path| path.to_str().unwrap().contains("capture."));
        if let Some(capture) = capture.filter(|_| keys.exists()) {
            files.push((folder.file_name().unwrap().to_str().unwrap().to_owned(), capture, keys));
        }
    }
    files.sort();
    assert!(files.len() > 20, "{} recordings with keys", files.len());
    let (mut exchanges, mut chains, mut wrong) = (0, 0, Vec::new());
    for (name, capture, keys) in &files {
        let (mut ours, mut theirs) = (goprobe(capture, keys), tshark(capture, keys));
        ours.exchanges.sort();
        theirs.exchanges.sort();
        let same = ours.exchanges == theirs.exchanges && ours.bodies == theirs.bodies && ours.chains == theirs.chains;
        exchanges += theirs.exchanges.len();
        chains += theirs.chains.len();
        let less = LESS.iter().any(|(known, _)| known == name);
        if same && less {
            wrong.push(format!("{name}: tshark reads the same now: take it off the list"));
        } else if !same && !less {
            wrong.push(format!(
                "{name}:\n  exchanges {:?}\n  theirs    {:?}\n  bodies {:?}\n  theirs {:?}\n  chains {:?}\n  theirs {:?}",
                ours.exchanges, theirs.exchanges, ours.bodies, theirs.bodies, ours.chains, theirs.chains
            ));
        }
    }
    println!("{} recordings, {exchanges} exchanges, {chains} chains", files.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn goprobe(capture: &Path, keys: &Path) -> Read {
    let output = Command::new(env!("CARGO_BIN_EXE_goprobe"))
        .arg("analyze")
        .arg(capture)
        .arg("--keylog")
        .arg(keys)
        .args(["--format", "json", "--observations", "--all-traffic"])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut read = Read::default();
    for exchange in report["observations"]["exchanges"].as_array().unwrap() {
        let flow = exchange["flow"].as_u64().unwrap();
        let text = |key: &str| exchange[key].as_str().unwrap().to_owned();
        read.exchanges.push((flow, text("method"), text("url"), exchange["status"].as_u64()));
        if exchange["protocol"] == "h2" && exchange["status"].is_u64() {
            read.bodies.entry(flow).or_default().push(exchange["body_bytes"].as_u64().unwrap());
        }
    }
    read.bodies.values_mut().for_each(|lengths| lengths.sort_unstable());
    for handshake in report["observations"]["handshakes"].as_array().unwrap() {
        let flow = handshake["flow"].as_u64().unwrap();
        for certificate in handshake["certificates"].as_array().into_iter().flatten() {
            read.chains.entry(flow).or_default().push(certificate["sha256"].as_str().unwrap().to_owned());
        }
    }
    read
}

const FIELDS: [&str; 14] = [
    "tcp.stream",
    "http2.type",
    "http2.length",
    "http2.streamid",
    "http2.headers.method",
    "http2.headers.authority",
    "http2.headers.path",
    "http2.headers.status",
    "http.request.method",
    "http.request.full_uri",
    "http.response.code",
    "tls.handshake.certificate",
    "tcp.srcport",
    "http.request.uri",
];

/// Method and URL.
type Request = (String, String);

/// A stream of HTTP/2 with the bytes of its DATA frames.
#[derive(Default)]
struct Stream {
    request: Option<Request>,
    status: Option<u64>,
    bytes: u64,
}

fn tshark(capture: &Path, keys: &Path) -> Read {
    let mut command = Command::new("tshark");
    command.arg("-o").arg(format!("tls.keylog_file:{}", keys.display())).arg("-2").arg("-r").arg(capture);
    command.args(["-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=|"]);
    FIELDS.iter().for_each(|field| {
        command.args(["-e", field]);
    });
    let output = command.stderr(Stdio::null()).output().unwrap();
    let mut read = Read::default();
    // By TCP stream and HTTP/2 stream.
    let mut streams: BTreeMap<(u64, u64), Stream> = BTreeMap::new();
    // By TCP stream: what is said in HTTP/1.
    let mut plain: BTreeMap<u64, (Vec<Request>, Vec<u64>)> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let fields: BTreeMap<&str, Vec<&str>> = FIELDS
            .into_iter()
            .zip(line.split('\t'))
            .map(|(name, values)| (name, values.split('|').filter(|value| !value.is_empty()).collect()))
            .collect();
        let Some(flow) = fields["tcp.stream"].first().and_then(|flow| flow.parse().ok()) else { continue };
        let numbers = |name: &str| fields[name].iter().filter_map(|text| text.parse::<u64>().ok()).collect::<Vec<_>>();
        let (mut methods, mut hosts, mut paths) = (
            fields["http2.headers.method"].iter(),
            fields["http2.headers.authority"].iter(),
            fields["http2.headers.path"].iter(),
        );
        let mut statuses = numbers("http2.headers.status").into_iter();
        for ((kind, length), id) in
            numbers("http2.type").into_iter().zip(numbers("http2.length")).zip(numbers("http2.streamid"))
        {
            let stream = streams.entry((flow, id)).or_default();
            match kind {
                0 => stream.bytes += length,
                1 if stream.request.is_none() => {
                    if let (Some(method), Some(host), Some(path)) = (methods.next(), hosts.next(), paths.next()) {
                        stream.request = Some(((*method).to_owned(), format!("https://{host}{path}")));
                    }
                }
                1 => stream.status = stream.status.or_else(|| statuses.next()),
                _ => {}
            }
        }
        let (requests, answers) = plain.entry(flow).or_default();
        for (method, (full, target)) in fields["http.request.method"]
            .iter()
            .zip(fields["http.request.full_uri"].iter().zip(&fields["http.request.uri"]))
        {
            let url = if *method == "CONNECT" { target } else { full };
            requests.push(((*method).to_owned(), (*url).to_owned()));
        }
        answers.extend(numbers("http.response.code"));
        // The client's own certificates are no chain of the server's.
        for der in fields["tls.handshake.certificate"]
            .iter()
            .filter(|_| fields["tcp.srcport"].iter().any(|port| is_server(port)))
        {
            let bytes: Vec<u8> = der.replace(':', "").as_bytes().chunks(2).map(byte).collect();
            let sha256 = digest::digest(&digest::SHA256, &bytes);
            let hex = sha256.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            read.chains.entry(flow).or_default().push(hex);
        }
    }
    for ((flow, _), Stream { request, status, bytes }) in streams {
        let Some((method, url)) = request else { continue };
        read.exchanges.push((flow, method, url, status));
        if status.is_some() {
            read.bodies.entry(flow).or_default().push(bytes);
        }
    }
    read.bodies.values_mut().for_each(|lengths| lengths.sort_unstable());
    for (flow, (requests, answers)) in plain {
        let mut answers = answers.into_iter();
        read.exchanges.extend(requests.into_iter().map(|(method, url)| (flow, method, url, answers.next())));
    }
    read
}

/// Whether a port is one that the scenarios' servers and proxies listen on.
fn is_server(port: &str) -> bool {
    port.parse().is_ok_and(|port: u16| port < 32_768)
}

fn byte(digits: &[u8]) -> u8 {
    u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
}
