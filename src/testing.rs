//! Scenes for tests: packets written byte by byte and led through the whole pipeline, so that a detector's test sees the
//! same facts that a recording would give.
//!
//! ```ignore
//! let mut scene = Scene::new();
//! let dns = scene.ask("proxy.golang.org", RecordType::A);
//! scene.answer(&dns, &["142.250.74.113"]);
//! let mut tcp = scene.connect("142.250.74.113:443").open();
//! scene.hello(&mut tcp, "proxy.golang.org");
//! scene.after_ms(4).reset(&mut tcp, 118);
//! let case = scene.case();
//! ```

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use crate::analyzer::{Analyzer, Options};
use crate::artifact::collect::Inventory;
use crate::artifact::download::Downloads;
use crate::artifact::recorded;
use crate::finding::{Citation, Code, Fault, Finding, Severity};
use crate::go::GoRun;
use crate::go::env::GoEnv;
use crate::go::log::GoLog;
use crate::observation::body::Bodies;
use crate::observation::{Case, RecordType, Recording};
use crate::reference::Reference;
use crate::scope::Owners;
use crate::source::{Frame, Record};
use crate::types::{FrameNo, Timestamp};

/// TTL of packets that leave the recorded client.
pub(crate) const CLIENT_TTL: u8 = 64;
/// TTL with which a far server's packets arrive: eleven hops.
pub(crate) const SERVER_TTL: u8 = 53;
/// TTL with which the resolver's packets arrive.
pub(crate) const RESOLVER_TTL: u8 = 63;
/// Round trip to a far server, in milliseconds.
pub(crate) const RTT_MS: i64 = 30;

const FIN: u16 = 1;
const SYN: u16 = 2;
const RST: u16 = 4;
const PSH: u16 = 8;
const ACK: u16 = 16;

/// One end's view of a TCP connection being written.
#[derive(Clone, Debug)]
pub(crate) struct Tcp {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    /// Next sequence number of the client.
    pub(crate) client_seq: u32,
    /// Next sequence number of the server.
    pub(crate) server_seq: u32,
    /// TTL of the server's packets.
    pub(crate) ttl: u8,
}

/// A question that was asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) client: SocketAddr,
    pub(crate) resolver: SocketAddr,
    pub(crate) id: u16,
    pub(crate) name: String,
    pub(crate) record_type: RecordType,
}

/// A recording being written, with what is known beside it.
pub(crate) struct Scene {
    frames: Vec<(i64, Vec<u8>)>,
    now: i64,
    ports: u16,
    ids: u16,
    pub(crate) client: IpAddr,
    pub(crate) resolver: SocketAddr,
    pub(crate) reference: Reference,
    pub(crate) go: GoRun,
    /// What the recorder knew of whose connections they are.
    pub(crate) owners: Owners,
    /// TTL of the client's packets where they are recorded.
    pub(crate) client_ttl: u8,
    /// Bytes of each frame that are recorded.
    pub(crate) snap: usize,
    /// What lies on the disk beside the recording.
    pub(crate) disk: Inventory,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self {
            frames: Vec::new(),
            now: 0,
            ports: 40_000,
            ids: 100,
            client: IpAddr::from([192, 168, 1, 23]),
            resolver: SocketAddr::from(([192, 168, 1, 1], 53)),
            reference: Reference::builtin().unwrap(),
            go: GoRun::default(),
            owners: Owners::default(),
            client_ttl: CLIENT_TTL,
            snap: usize::MAX,
            disk: Inventory::default(),
        }
    }

    /// What go printed.
    pub(crate) fn log(&mut self, text: &str) -> &mut Self {
        self.go.log = Some(GoLog::parse(text));
        self
    }

    /// go's environment, `KEY=value` lines.
    pub(crate) fn env(&mut self, text: &str) -> &mut Self {
        self.go.env = Some(GoEnv::parse(text));
        self
    }

    /// What honest resolvers answer, as the reference file says it.
    pub(crate) fn honest(&mut self, name: &str, addresses: &[&str]) -> &mut Self {
        let list =
            |v6: bool| -> Vec<&&str> { addresses.iter().filter(|address| address.contains(':') == v6).collect() };
        let json = serde_json::json!({"schema": "goprobe-reference/1",
            "names": {name: {"rcode": "NOERROR", "CNAME": [], "A": list(false), "AAAA": list(true)}}});
        let honest = crate::reference::honest::HonestAnswers::parse(&json.to_string()).unwrap();
        let reference = std::mem::replace(&mut self.reference, Reference::builtin().unwrap());
        self.reference = reference.with_honest(honest);
        self
    }

    /// Lets time pass.
    pub(crate) fn after_ms(&mut self, millis: i64) -> &mut Self {
        self.now += millis * 1_000_000;
        self
    }

    /// Asks with EDNS, as go does; the question leaves now.
    pub(crate) fn ask(&mut self, name: &str, record_type: RecordType) -> Question {
        self.ports += 1;
        self.ids += 1;
        let client = SocketAddr::new(self.client, self.ports);
        let question = Question { client, resolver: self.resolver, id: self.ids, name: name.to_owned(), record_type };
        let opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
        let head = dns_head(question.id, 0x0100, [1, 0, 0, 1]);
        let message = [head, dns_question(name, record_type), opt.to_vec()].concat();
        self.udp(client, self.resolver, self.client_ttl, &message);
        self.after_ms(1);
        question
    }

    /// The resolver's honest-looking answer: EDNS, its own TTL.
    pub(crate) fn answer(&mut self, question: &Question, addresses: &[&str]) {
        self.answer_as(question, addresses, 0, RESOLVER_TTL, true);
    }

    /// An answer with an rcode, an IP TTL, and with or without EDNS. A negative one has no SOA.
    pub(crate) fn answer_as(&mut self, question: &Question, addresses: &[&str], rcode: u16, ttl: u8, edns: bool) {
        let records: Vec<u8> = addresses.iter().flat_map(|address| address_record(address.parse().unwrap())).collect();
        let count = u16::try_from(addresses.len()).unwrap();
        let opt: &[u8] = if edns { &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0] } else { &[] };
        let head = dns_head(question.id, 0x8180 | rcode, [1, count, 0, u16::from(edns)]);
        let message = [head, dns_question(&question.name, question.record_type), records, opt.to_vec()].concat();
        self.udp(question.resolver, question.client, ttl, &message);
    }

    /// Any DNS message in answer to a question: flags, counts and what follows the question.
    pub(crate) fn answer_raw(&mut self, question: &Question, flags: u16, counts: [u16; 4], rest: &[u8], ttl: u8) {
        let mut message = dns_head(question.id, flags, counts);
        if counts[0] == 1 {
            message.extend(dns_question(&question.name, question.record_type));
        }
        message.extend(rest);
        self.udp(question.resolver, question.client, ttl, &message);
    }

    /// An SOA record for the authority section of an honest denial (one record).
    pub(crate) fn soa() -> Vec<u8> {
        let data = [0_u8, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5];
        [&[0_u8, 0, 6, 0, 1, 0, 0, 0, 60, 0, 22][..], &data].concat()
    }

    /// A connection from a new port; nothing is sent yet.
    pub(crate) fn connect(&mut self, server: &str) -> Tcp {
        self.ports += 1;
        let server: SocketAddr = server.parse().unwrap();
        let client =
            SocketAddr::new(if server.is_ipv6() { "fd00::23".parse().unwrap() } else { self.client }, self.ports);
        Tcp { client, server, client_seq: 1_000_000, server_seq: 5_000_000, ttl: SERVER_TTL }
    }

    /// SYN, SYN-ACK after a round trip, ACK.
    pub(crate) fn open(&mut self, tcp: &mut Tcp) {
        self.syn(tcp);
        self.after_ms(RTT_MS);
        self.syn_ack(tcp);
        self.client_sends(tcp, ACK, &[]);
    }

    /// A SYN, or its repetition.
    pub(crate) fn syn(&mut self, tcp: &Tcp) {
        self.tcp(tcp, true, self.client_ttl, SYN, tcp.client_seq, 0, &[], true);
    }

    /// The server's answer to the SYN; both sequence numbers move on.
    pub(crate) fn syn_ack(&mut self, tcp: &mut Tcp) {
        tcp.client_seq += 1;
        self.tcp(tcp, false, tcp.ttl, SYN | ACK, tcp.server_seq, tcp.client_seq, &[], true);
        tcp.server_seq += 1;
    }

    /// A segment of the client; its sequence number moves on.
    pub(crate) fn client_sends(&mut self, tcp: &mut Tcp, flags: u16, payload: &[u8]) {
        self.tcp(tcp, true, self.client_ttl, flags | ACK, tcp.client_seq, tcp.server_seq, payload, true);
        tcp.client_seq += u32::try_from(payload.len()).unwrap() + u32::from(flags & FIN);
    }

    /// A segment of the server; its sequence number moves on.
    pub(crate) fn server_sends(&mut self, tcp: &mut Tcp, flags: u16, payload: &[u8]) {
        self.tcp(tcp, false, tcp.ttl, flags | ACK, tcp.server_seq, tcp.client_seq, payload, true);
        tcp.server_seq += u32::try_from(payload.len()).unwrap() + u32::from(flags & FIN);
    }

    /// A reset in the server's name at the expected sequence number, with any TTL.
    pub(crate) fn reset(&mut self, tcp: &Tcp, ttl: u8) {
        self.tcp(tcp, false, ttl, RST, tcp.server_seq, 0, &[], false);
    }

    /// A refusal of the SYN, with any TTL.
    pub(crate) fn refuse(&mut self, tcp: &Tcp, ttl: u8) {
        self.tcp(tcp, false, ttl, RST | ACK, 0, tcp.client_seq + 1, &[], false);
    }

    /// A FIN in the server's name, with any TTL and with or without TCP timestamps.
    pub(crate) fn fin(&mut self, tcp: &mut Tcp, ttl: u8, timestamps: bool) {
        self.tcp(tcp, false, ttl, FIN | ACK, tcp.server_seq, tcp.client_seq, &[], timestamps);
        tcp.server_seq += 1;
    }

    /// Any segment.
    #[expect(clippy::too_many_arguments, reason = "a packet has that many fields")]
    pub(crate) fn tcp(
        &mut self,
        tcp: &Tcp,
        from_client: bool,
        ttl: u8,
        flags: u16,
        seq: u32,
        ack: u32,
        payload: &[u8],
        timestamps: bool,
    ) {
        let (source, destination) = if from_client { (tcp.client, tcp.server) } else { (tcp.server, tcp.client) };
        let options: &[u8] = if timestamps { &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2] } else { &[] };
        let offset = u16::try_from((20 + options.len()) / 4).unwrap() << 12;
        let segment = [
            &source.port().to_be_bytes()[..],
            &destination.port().to_be_bytes(),
            &seq.to_be_bytes(),
            &ack.to_be_bytes(),
            &(offset | flags).to_be_bytes(),
            &64_240_u16.to_be_bytes(),
            &[0, 0, 0, 0],
            options,
            payload,
        ]
        .concat();
        self.ip(source.ip(), destination.ip(), ttl, 6, &segment);
    }

    /// Go 1.27's `ClientHello` for a name, in as many segments as it takes.
    pub(crate) fn hello(&mut self, tcp: &mut Tcp, name: &str) {
        self.send_in_segments(tcp, &hello_record(name));
    }

    /// Client bytes in segments of at most 1448.
    pub(crate) fn send_in_segments(&mut self, tcp: &mut Tcp, bytes: &[u8]) {
        for part in bytes.chunks(1_448) {
            self.client_sends(tcp, PSH, part);
        }
    }

    /// A TLS 1.2 server flight with these certificates, and the end of the flight.
    pub(crate) fn tls12_flight(&mut self, tcp: &mut Tcp, certificates: &[&[u8]]) {
        let entries: Vec<u8> = certificates.iter().flat_map(|der| [&length24(der.len()), *der].concat()).collect();
        let list = [&length24(entries.len())[..], &entries].concat();
        let flight = [message(2, &server_hello(0x0303)), message(11, &list), message(14, &[])].concat();
        for part in flight.chunks(8_000) {
            let bytes = record(22, part);
            for segment in bytes.chunks(1_448) {
                self.server_sends(tcp, PSH, segment);
            }
        }
    }

    /// A TLS 1.3 server flight: a `ServerHello` and `encrypted` bytes of what cannot be read.
    pub(crate) fn tls13_flight(&mut self, tcp: &mut Tcp, encrypted: usize) {
        let bytes = [record(22, &message(2, &server_hello(0x0304))), record(20, &[1]), record(23, &vec![7; encrypted])]
            .concat();
        for segment in bytes.chunks(1_448) {
            self.server_sends(tcp, PSH, segment);
        }
    }

    /// The client's first encrypted TLS 1.3 record: 19 bytes are an alert, 53 or 69 a Finished.
    pub(crate) fn tls13_client_record(&mut self, tcp: &mut Tcp, length: usize) {
        self.client_sends(tcp, PSH, &[record(20, &[1]), record(23, &vec![3; length])].concat());
    }

    /// A handshake that completes, and a clean close.
    pub(crate) fn tls13_session(&mut self, tcp: &mut Tcp, name: &str) {
        self.open(tcp);
        self.hello(tcp, name);
        self.after_ms(RTT_MS);
        self.tls13_flight(tcp, 900);
        self.tls13_client_record(tcp, 53);
        self.after_ms(RTT_MS);
        self.server_sends(tcp, PSH, &record(23, &[9; 400]));
        self.client_sends(tcp, FIN, &[]);
        self.after_ms(RTT_MS);
        self.server_sends(tcp, FIN, &[]);
    }

    /// A UDP datagram.
    pub(crate) fn udp(&mut self, source: SocketAddr, destination: SocketAddr, ttl: u8, payload: &[u8]) {
        let length = u16::try_from(payload.len() + 8).unwrap();
        let ports =
            [source.port().to_be_bytes(), destination.port().to_be_bytes(), length.to_be_bytes(), [0, 0]].concat();
        self.ip(source.ip(), destination.ip(), ttl, 17, &[ports, payload.to_vec()].concat());
    }

    /// An ICMP error (IPv4) that quotes the first 28 bytes of the packet recorded `back` frames ago.
    pub(crate) fn icmp_about(&mut self, back: usize, from: &str, kind: u8, code: u8) {
        let quoted = self.frames[self.frames.len() - 1 - back].1[14..].to_vec();
        let message = [&[kind, code, 0, 0, 0, 0, 0, 0][..], &quoted[..quoted.len().min(48)]].concat();
        let to = IpAddr::from(<[u8; 4]>::try_from(&quoted[12..16]).unwrap());
        self.ip(from.parse().unwrap(), to, 62, 1, &message);
    }

    fn ip(&mut self, source: IpAddr, destination: IpAddr, ttl: u8, protocol: u8, payload: &[u8]) {
        self.ids = self.ids.wrapping_add(1);
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let length = u16::try_from(20 + payload.len()).unwrap();
                frame.extend([8, 0, 0x45, 0]);
                frame.extend(length.to_be_bytes());
                frame.extend(self.ids.to_be_bytes());
                frame.extend([0x40, 0, ttl, protocol, 0, 0]);
                frame.extend(source.octets());
                frame.extend(destination.octets());
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
                frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
                frame.extend([protocol, ttl]);
                frame.extend(source.octets());
                frame.extend(destination.octets());
            }
            _ => panic!("both ends speak one version of IP"),
        }
        frame.extend(payload);
        self.frames.push((self.now, frame));
        self.now += 20_000;
    }

    /// What all detectors find.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let case = self.case();
        crate::detect::assess(&case, &self.reference).into_iter().flat_map(|assessment| assessment.found).collect()
    }

    /// The codes that could not be judged.
    pub(crate) fn not_assessed(&self) -> Vec<Code> {
        let case = self.case();
        let all = crate::detect::assess(&case, &self.reference);
        all.into_iter().flat_map(|assessment| assessment.not_assessed).map(|missing| missing.code).collect()
    }

    /// The finding of that code; all codes are shown where there is none.
    pub(crate) fn finding(&self, code: Code) -> Finding {
        let findings = self.findings();
        let codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
        findings.into_iter().find(|finding| finding.code == code).unwrap_or_else(|| panic!("{code:?} among {codes:?}"))
    }

    /// The codes of what matters: nothing below severity medium, nothing harmless.
    pub(crate) fn accused(&self) -> Vec<Code> {
        let matters = |finding: &Finding| finding.severity >= Severity::Medium && finding.fault != Fault::Harmless;
        self.findings().into_iter().filter(matters).map(|finding| finding.code).collect()
    }

    /// Records the last frame once more, a little later, as a recorder on several interfaces does.
    pub(crate) fn record_again(&mut self) {
        let (_, bytes) = self.frames.last().unwrap().clone();
        self.frames.push((self.now, bytes));
        self.now += 20_000;
    }

    /// Records every frame twice.
    pub(crate) fn record_each_again(&mut self) {
        self.frames =
            self.frames.drain(..).flat_map(|(at, bytes)| [(at, bytes.clone()), (at + 20_000, bytes)]).collect();
    }

    /// Leaves out what one side sent, as a recorder on an asymmetric path does.
    pub(crate) fn forget_from(&mut self, address: IpAddr) {
        let IpAddr::V4(address) = address else { panic!("only IPv4 here") };
        self.frames.retain(|(_, frame)| frame[26..30] != address.octets());
    }

    /// Leaves out the first frames, as a recorder that was started late does.
    pub(crate) fn forget_first(&mut self, frames: usize) {
        self.frames.drain(..frames);
    }

    /// Sets the TTL with which all packets of one side arrive, as a recorder elsewhere on the path sees it.
    pub(crate) fn seen_with_ttl(&mut self, address: IpAddr, ttl: u8) {
        let IpAddr::V4(address) = address else { panic!("only IPv4 here") };
        for (_, frame) in self.frames.iter_mut().filter(|(_, frame)| frame[26..30] == address.octets()) {
            frame[22] = ttl;
        }
    }

    /// Frames so far: the number of the last one.
    pub(crate) fn last_frame(&self) -> u32 {
        u32::try_from(self.frames.len()).unwrap()
    }

    /// Leads everything through the pipeline.
    pub(crate) fn case(&self) -> Case {
        let downloads = Rc::new(RefCell::new(Downloads::default()));
        let mut analyzer =
            Analyzer::new(&self.reference, self.go.clone(), Options { keep_all: true, judge_all: false })
                .with_owners(self.owners.clone())
                .with_bodies(Rc::clone(&downloads) as Bodies);
        for (number, (time, bytes)) in (1..).zip(&self.frames) {
            let no = FrameNo { file: 0, number };
            let time = Timestamp::from_nanos(1_795_341_600_000_000_000 + time);
            let original_length = u32::try_from(bytes.len()).unwrap();
            let bytes = &bytes[..bytes.len().min(self.snap)];
            analyzer.push(&Record::Frame(Frame { no, time, link: 1, bytes, original_length }));
        }
        let mut case = analyzer.finish(Recording::default(), Vec::new(), 0);
        let downloaded = downloads.borrow_mut().finish(&case);
        recorded::verify(&mut case, downloaded, &self.disk, &self.reference).unwrap();
        case
    }
}

/// The frames that a finding cites, sorted.
pub(crate) fn cited(finding: &Finding) -> Vec<u32> {
    let frame = |evidence: &crate::finding::Evidence| match evidence.citation {
        Citation::Frame { at, .. } => Some(at.frame.number),
        _ => None,
    };
    let mut frames: Vec<u32> = finding.evidence().iter().filter_map(frame).collect();
    frames.sort_unstable();
    frames.dedup();
    frames
}

fn dns_head(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    [id, flags].into_iter().chain(counts).flat_map(u16::to_be_bytes).collect()
}

fn dns_question(name: &str, record_type: RecordType) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend(record_type.0.to_be_bytes());
    bytes.extend([0, 1]);
    bytes
}

fn address_record(address: IpAddr) -> Vec<u8> {
    let (kind, data) = match address {
        IpAddr::V4(v4) => (1_u16, v4.octets().to_vec()),
        IpAddr::V6(v6) => (28, v6.octets().to_vec()),
    };
    let length = u16::try_from(data.len()).unwrap();
    [&[0xc0, 0x0c][..], &kind.to_be_bytes(), &[0, 1, 0, 0, 1, 44], &length.to_be_bytes(), &data].concat()
}

/// A TLS record.
pub(crate) fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &u16::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &length24(body.len()), body].concat()
}

fn length24(length: usize) -> [u8; 3] {
    let [_, a, b, c] = u32::try_from(length).unwrap().to_be_bytes();
    [a, b, c]
}

fn server_hello(version: u16) -> Vec<u8> {
    let extension = [&43_u16.to_be_bytes()[..], &[0, 2], &version.to_be_bytes()].concat();
    let extensions: Vec<u8> = if version == 0x0304 {
        [&u16::try_from(extension.len()).unwrap().to_be_bytes()[..], &extension].concat()
    } else {
        Vec::new()
    };
    let suite = if version == 0x0304 { [0x13, 1] } else { [0xc0, 0x2f] };
    [&[3, 3][..], &[5; 32], &[0], &suite, &[0], &extensions].concat()
}

/// A record with Go 1.27's `ClientHello` for a name: two segments.
pub(crate) fn hello_record(name: &str) -> Vec<u8> {
    hello_record_with(name, &[0x0904, 0x0905, 0x0906, 0x0804])
}

/// The same with these signature algorithms.
pub(crate) fn hello_record_with(name: &str, algorithms: &[u16]) -> Vec<u8> {
    record(22, &message(1, &crate::protocol::tls::testing::go_hello(name, algorithms, true)))
}

/// A record with a small `ClientHello` like Go's with `tlsmlkem=0`: one segment.
pub(crate) fn small_hello_record(name: &str) -> Vec<u8> {
    record(22, &message(1, &crate::protocol::tls::testing::go_hello(name, &[0x0804], false)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Opening, Outcome};

    #[test]
    fn a_scene_becomes_the_facts_that_it_describes() {
        let mut scene = Scene::new();
        let question = scene.ask("proxy.golang.org", RecordType::A);
        scene.answer(&question, &["142.250.74.113"]);
        let mut tcp = scene.connect("142.250.74.113:443");
        scene.tls13_session(&mut tcp, "proxy.golang.org");
        let case = scene.case();
        assert_eq!(case.lookups[0].answers[0].addresses().next(), Some("142.250.74.113".parse().unwrap()));
        assert!(matches!(case.connections[0].opening, Opening::Established { syns: 1, .. }));
        assert_eq!(case.handshakes[0].outcome, Outcome::Completed);
        assert_eq!(case.handshakes[0].hello.as_ref().unwrap().segments, 2);
        assert_eq!(case.handshakes[0].server_name.seen().unwrap(), "proxy.golang.org");
    }
}
