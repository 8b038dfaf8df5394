//! Recordings of other projects, held against what tshark reads in them. They are not part of the repository: without
//! `../shared/captures` beside it there is nothing to do.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the figures are what the reader of a test run wants")]

#[path = "support/pipeline.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::allow_attributes, reason = "shared by several tests")]
mod pipeline;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use goprobe::observation::{Answer, Case, Lookup, RecordData};
use goprobe::types::FlowId;
use pipeline::Setting;
use serde_json::Value;

/// Where another reading than tshark's is right, or comes only with decryption. An entry whose difference is gone must go, too.
const EXPLAINED: [(&str, &str, &str); 17] = [
    (
        "tls_DER-incomplete-header.pcap",
        "chain",
        "tshark cuts a certificate to what its DER says, not to what the list says",
    ),
    (
        "tls_DER-incomplete-content.pcap",
        "chain",
        "tshark cuts a certificate to what its DER says, not to what the list says",
    ),
    ("tls_DER-incomplete-header.pcap", "frames", "tshark ends at a damaged record header, goprobe finds the next one"),
    ("tls_DER-incomplete-content.pcap", "frames", "tshark ends at a damaged record header, goprobe finds the next one"),
    ("be__test901.pcapng", "frames", "tshark ends at a section of an unknown version, goprobe skips it"),
    ("le__test901.pcapng", "frames", "tshark ends at a section of an unknown version, goprobe skips it"),
    ("ja4__pcap__socks-https-example.pcap", "name", "tshark gives a number to a tunnel through SOCKS, too"),
    ("ja4__pcap__socks-https-example.pcap", "chain", "tshark gives a number to a tunnel through SOCKS, too"),
    ("ja4__pcap__socks-https-example.pcap", "stream", "tshark gives a number to a tunnel through SOCKS, too"),
    ("6in4tunnel.pcap", "streams", "tshark counts a connection that is only quoted in an ICMP error"),
    ("http__methods.pcap", "http", "request lines that RFC 9112 does not allow"),
    ("http__connect-with-smtp.pcap", "http", "a request line that RFC 9112 does not allow"),
    ("gre-erspan-vxlan.pcap", "http", "a request line that RFC 9112 does not allow"),
    ("ja4__pcap__socks-https-example.pcap", "hello", "tshark gives a number to a tunnel through SOCKS, too"),
    ("arkime__tests__pcap__tls13.pcap", "hello", "a draft of TLS 1.3 with another form of ServerHello"),
    ("tls13draft16-ff52.a01.pcap", "hello", "a draft of TLS 1.3 with another form of ServerHello"),
    ("ssl-v2.pcap", "chain", "SSL 2.0 is not read: Go does not speak it"),
];

/// Agreement with tshark, entry by entry.
#[derive(Default)]
struct Tally {
    same: u32,
    other: Vec<String>,
    explained: BTreeSet<usize>,
}

impl Tally {
    fn note(&mut self, file: &str, what: &str, ours: &str, theirs: &str) {
        let known = EXPLAINED
            .iter()
            .position(|(name, entry, _)| file.ends_with(name) && what.split(' ').next() == Some(*entry));
        if ours == theirs {
            self.same += 1;
        } else if let Some(index) = known {
            self.explained.insert(index);
        } else {
            self.other.push(format!("{file} {what}:\n    ours   {ours}\n    theirs {theirs}"));
        }
    }

    fn share(&self) -> f64 {
        let all = f64::from(self.same) + f64::from(u32::try_from(self.other.len()).unwrap());
        f64::from(self.same) / all.max(1.0)
    }

    fn print(&self, name: &str) {
        println!("{name}: {} of {} entries equal", self.same, self.same as usize + self.other.len());
        self.other.iter().for_each(|line| println!("  {line}"));
    }
}

#[derive(Default)]
struct Tallies {
    dns: Tally,
    sni: Tally,
    chains: Tally,
    hellos: Tally,
    http: Tally,
    streams: Tally,
    counts: Tally,
    out_of_scope: BTreeMap<&'static str, u32>,
}

fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures");
    if folder.join("files").is_dir() && folder.join("truth").is_dir() {
        return Some(folder);
    }
    println!("skipped: no ../shared/captures");
    None
}

fn list<'v>(value: &'v Value, key: &str) -> Vec<&'v str> {
    value[key].as_array().map(|items| items.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

fn sorted(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
}

fn port(end: &Value) -> Option<u16> {
    end.as_str()?.rsplit(':').next()?.parse().ok()
}

/// tshark writes IPv6 ends without brackets.
fn end(value: &Value) -> Option<SocketAddr> {
    let (address, port) = value.as_str()?.rsplit_once(':')?;
    let address: IpAddr = address.trim_matches(|c| c == '[' || c == ']').parse().ok()?;
    Some(SocketAddr::new(address, port.parse().ok()?))
}

/// Responses of one frame, in tshark's words.
fn dns(file: &str, truth: &Value, case: &Case, tallies: &mut Tallies) {
    let mut ours: BTreeMap<u32, Vec<(&Lookup, &Answer)>> = BTreeMap::new();
    for lookup in &case.lookups {
        for answer in &lookup.answers {
            ours.entry(answer.at.frame.number).or_default().push((lookup, answer));
        }
    }
    for entry in truth["dns"].as_array().unwrap() {
        let is_response = entry["response"].as_array().is_some_and(|all| all.iter().all(|one| one == true));
        if entry["kind"] != "dns" || !is_response {
            continue;
        }
        if list(entry, "opcode").iter().any(|code| *code != "0") {
            *tallies.out_of_scope.entry("DNS of other kinds than queries").or_default() += 1;
            continue;
        }
        if list(entry, "qname").iter().any(|name| name.eq_ignore_ascii_case("<name too long>")) {
            *tallies.out_of_scope.entry("DNS names that tshark does not read").or_default() += 1;
            continue;
        }
        if port(&entry["src"]) != Some(53) && port(&entry["dst"]) != Some(53) {
            *tallies.out_of_scope.entry("DNS on other ports").or_default() += 1;
            continue;
        }
        let frame = u32::try_from(entry["frame"].as_u64().unwrap()).unwrap();
        let found = ours.get(&frame).map(Vec::as_slice).unwrap_or_default();
        let records = |pick: fn(&RecordData, u16) -> Option<String>| {
            let all = found.iter().flat_map(|(_, answer)| &answer.records);
            sorted(all.filter_map(|record| pick(&record.data, record.record_type.0)))
        };
        let ours = format!(
            "rcode {} question {} A {} AAAA {} CNAME {}",
            sorted(found.iter().map(|(_, answer)| (answer.rcode & 15).to_string())),
            // tshark does not escape.
            sorted(found.iter().map(|(lookup, _)| format!(
                "{}/{}",
                lookup.name.replace('\\', ""),
                lookup.record_type.0
            ))),
            records(|data, _| if let RecordData::A(address) = data { Some(address.to_string()) } else { None }),
            records(|data, _| if let RecordData::Aaaa(address) = data { Some(address.to_string()) } else { None }),
            records(|data, kind| match data {
                RecordData::Name(name) if kind == 5 => Some(name.to_lowercase()),
                _ => None,
            }),
        );
        let names = list(entry, "qname").into_iter().zip(list(entry, "qtype")).map(|(name, kind)| {
            let name = if name == "<Root>" { "" } else { name };
            format!("{}/{kind}", name.to_lowercase())
        });
        let theirs = format!(
            "rcode {} question {} A {} AAAA {} CNAME {}",
            sorted(list(entry, "rcode").into_iter().map(str::to_owned)),
            sorted(names),
            sorted(list(entry, "a").into_iter().map(str::to_owned)),
            sorted(list(entry, "aaaa").into_iter().map(str::to_owned)),
            sorted(list(entry, "cname").into_iter().map(str::to_lowercase)),
        );
        let transport = entry["transport"].as_str().unwrap_or("?");
        tallies.dns.note(file, &format!("frame {frame} {transport} malformed={}", entry["malformed"]), &ours, &theirs);
    }
}

fn tls(file: &str, truth: &Value, case: &Case, tallies: &mut Tallies) {
    for entry in truth["tls"].as_array().unwrap() {
        let Some(stream) = entry["stream"].as_str().and_then(|stream| stream.strip_prefix("tcp:")) else {
            *tallies.out_of_scope.entry("QUIC and DTLS").or_default() += 1;
            continue;
        };
        let flow = FlowId(stream.parse().unwrap());
        let handshake = case.handshakes_in(flow).next();
        if let Some(theirs) = list(entry, "sni").first() {
            let ours = handshake.and_then(|handshake| handshake.server_name.seen());
            let ours = ours.map_or("-", String::as_str);
            tallies.sni.note(file, &format!("name in stream {stream}"), ours, &theirs.to_lowercase());
        }
        if let (Some(frame), Some(hello)) = (
            entry["client_hello_frames"].as_array().and_then(|frames| frames.first()),
            handshake.and_then(|handshake| handshake.hello.as_ref()),
        ) {
            let server = handshake.and_then(|handshake| handshake.server_hello.as_ref());
            let ours = format!(
                "frame {} ALPN {} version {} cipher {}",
                hello.at.frame.number,
                hello.alpn.join(" "),
                server.map_or_else(|| "-".to_owned(), |server| format!("{:#06x}", server.version)),
                server.map_or_else(|| "-".to_owned(), |server| format!("{:#06x}", server.cipher_suite)),
            );
            let text = |key: &str| entry[key].as_str().unwrap_or("-").to_owned();
            let alpn = list(entry, "alpn_offered").join(" ");
            let theirs = format!("frame {frame} ALPN {alpn} version {} cipher {}", text("version"), text("cipher"));
            tallies.hellos.note(file, &format!("hello in stream {stream}"), &ours, &theirs);
        }
        let chains = entry["certificates"].as_array().map(Vec::as_slice).unwrap_or_default();
        if let Some(chain) = chains.iter().find(|chain| chain["side"] == "server") {
            let theirs: Vec<&str> =
                chain["certs"].as_array().unwrap().iter().filter_map(|one| one["sha256"].as_str()).collect();
            let ids = handshake.and_then(|handshake| handshake.certificates.seen()).map(Vec::as_slice);
            let certificates = ids.unwrap_or_default().iter().filter_map(|id| case.certificate(*id));
            let ours: Vec<String> = certificates.map(|one| hex(&one.sha256)).collect();
            tallies.chains.note(file, &format!("chain in stream {stream}"), &ours.join(" "), &theirs.join(" "));
        }
    }
}

/// Requests and responses in clear.
fn http(file: &str, truth: &Value, case: &Case, tallies: &mut Tallies) {
    for entry in truth["http"].as_array().unwrap() {
        let (frame, stream) = (entry["frame"].as_u64().unwrap(), entry["stream"].as_str().unwrap());
        let flow = FlowId(stream.parse().unwrap());
        if case.icmp.iter().any(|error| u64::from(error.at.frame.number) == frame) {
            *tallies.out_of_scope.entry("HTTP quoted in ICMP errors").or_default() += 1;
            continue;
        }
        if entry["req"] == "M-SEARCH" {
            *tallies.out_of_scope.entry("SSDP").or_default() += 1;
            continue;
        }
        let ends = [end(&entry["src"]), end(&entry["dst"])];
        let ours = case.connection(flow).map(|connection| [Some(connection.client), Some(connection.server)]);
        if ours.is_none_or(|ours| ours != ends && ours != [ends[1], ends[0]]) {
            *tallies.out_of_scope.entry("HTTP over UDP").or_default() += 1;
            continue;
        }
        // tshark has a message where its body ends, goprobe where its head begins.
        let since = |at: goprobe::types::Moment| u64::from(at.frame.number) <= frame;
        let ours = case.exchanges_in(flow);
        let (ours, theirs) = if let Some(method) = entry["req"].as_str() {
            let ours = ours.filter(|exchange| exchange.request.is_some_and(since)).last();
            let path = entry["uri"].as_str().unwrap_or_default();
            let matches = ours
                .is_some_and(|exchange| exchange.method == method && exchange.url.contains(path.trim_end_matches('…')));
            let told = ours.map_or_else(|| "-".to_owned(), |exchange| format!("{} {}", exchange.method, exchange.url));
            (if matches { format!("{method} {path}") } else { told }, format!("{method} {path}"))
        } else {
            let ours = ours.filter(|exchange| exchange.response.is_some_and(since)).last();
            let ours = ours.and_then(|exchange| exchange.status);
            (
                ours.map_or_else(|| "-".to_owned(), |status| status.to_string()),
                entry["code"].as_str().unwrap_or("-").to_owned(),
            )
        };
        tallies.http.note(file, &format!("http in stream {stream} frame {frame}"), &ours, &theirs);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Streams have the numbers that Wireshark gives them.
fn streams(file: &str, truth: &Value, case: &Case, tallies: &mut Tallies) {
    let pair = |a: SocketAddr, b: SocketAddr| format!("{} {}", a.min(b), a.max(b));
    let ours = |stream: u64| {
        let connection = case.connection(FlowId(u32::try_from(stream).unwrap()));
        connection.map_or_else(|| "-".to_owned(), |connection| pair(connection.client, connection.server))
    };
    let mut seen = BTreeSet::new();
    let tls = truth["tls"].as_array().unwrap().iter().filter_map(|entry| {
        let stream = entry["stream"].as_str()?.strip_prefix("tcp:")?.parse::<u64>().ok()?;
        Some((stream, end(&entry["client"])?, end(&entry["server"])?, 0))
    });
    let resets = truth["rst"].as_array().unwrap().iter().filter_map(|entry| {
        Some((entry["stream"].as_u64()?, end(&entry["src"])?, end(&entry["dst"])?, entry["frame"].as_u64()?))
    });
    for (stream, a, b, frame) in tls.chain(resets) {
        if seen.insert((stream, a.min(b), a.max(b))) {
            tallies.streams.note(file, &format!("stream {stream} frame {frame}"), &ours(stream), &pair(a, b));
        }
    }
    if let Some(count) = truth["tcp_streams"].as_u64() {
        tallies.counts.note(file, "streams", &case.recording.flows.to_string(), &count.to_string());
    }
    let frames = truth["counts"]["frames"].as_u64().unwrap_or(0);
    tallies.counts.note(file, "frames", &case.recording.packets.to_string(), &frames.to_string());
}

#[test]
fn what_tshark_reads_goprobe_reads() {
    let Some(shared) = shared() else { return };
    let setting = Setting::bare();
    let mut tallies = Tallies::default();
    let mut files: Vec<PathBuf> = std::fs::read_dir(shared.join("files")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let mut refused = Vec::new();
    for path in &files {
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let case = match setting.case(std::slice::from_ref(path)) {
            Ok(case) => case,
            Err(error) => {
                refused.push((file, error.to_string()));
                continue;
            }
        };
        let Ok(truth) = std::fs::read(shared.join("truth").join(format!("{file}.json"))) else { continue };
        let truth: Value = serde_json::from_slice(&truth).unwrap();
        dns(&file, &truth, &case, &mut tallies);
        tls(&file, &truth, &case, &mut tallies);
        http(&file, &truth, &case, &mut tallies);
        streams(&file, &truth, &case, &mut tallies);
        setting.report(&case);
    }
    let all = [
        ("DNS responses", &tallies.dns, 400),
        ("server names", &tallies.sni, 400),
        ("certificate chains", &tallies.chains, 80),
        ("hellos", &tallies.hellos, 300),
        ("HTTP messages", &tallies.http, 300),
        ("stream numbers", &tallies.streams, 600),
        ("frame and stream counts", &tallies.counts, 400),
    ];
    all.iter().for_each(|(name, tally, _)| tally.print(name));
    for (name, what, why) in EXPLAINED {
        println!("explained: {name} {what}: {why}");
    }
    println!("{} files, out of scope: {:?}, refused: {refused:?}", files.len(), tallies.out_of_scope);
    for (name, tally, least) in all {
        assert!(tally.share() >= 0.99, "{name}: {:.4}", tally.share());
        assert!(tally.same >= least, "{name}: only {} were compared", tally.same);
    }
    let explained: BTreeSet<usize> = all.iter().flat_map(|(_, tally, _)| tally.explained.iter().copied()).collect();
    let stale: Vec<_> =
        (0..EXPLAINED.len()).filter(|index| !explained.contains(index)).map(|at| EXPLAINED[at]).collect();
    assert!(stale.is_empty(), "no difference any more: {stale:?}");
    refused.sort();
    let names: Vec<&str> = refused.iter().map(|(name, _)| name.rsplit("__").next().unwrap()).collect();
    assert_eq!(names, ["dns.pcap.xz", "tls_nss_example.pcap.keylog"], "all others can be read");
}

#[test]
fn an_unknown_compression_is_named_with_its_file() {
    let Some(shared) = shared() else { return };
    let file = shared.join("files/DNS-OARC+dnscap__src__test__dns.pcap.xz");
    let output =
        Command::new(env!("CARGO_BIN_EXE_goprobe")).arg("analyze").arg(&file).stdin(Stdio::null()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("dns.pcap.xz") && stderr.contains("looks like xz"), "{stderr}");
    assert!(output.stdout.is_empty());
}
