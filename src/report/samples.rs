//! Hand-made reports for the tests of this room.

use super::{Context, Input, Observations, Report};
use crate::diagnosis::{Circumstances, Diagnosis, Overrides, diagnose};
use crate::finding::{Assessment, Code, Confidence, Evidence, Fault, Finding, NotAssessed, Subject};
use crate::go::GoRun;
use crate::observation::{
    Alert, AlertContent, Answer, Case, ClientHello, Connection, DnsTransport, End, Exchange, Handshake, Health,
    HttpProtocol, IpMark, Lookup, Opening, Outcome, Query, Record, RecordData, RecordType, Recording, Relevance,
    Section, Segments, ServerHello, Sighting, Veil,
};
use crate::types::{Both, Direction, FlowId, FrameNo, Moment, Span, Timestamp};

const START: i64 = 1_795_341_600_000_000_000;

pub(crate) fn at(number: u32, millis: i64) -> Moment {
    let time = Timestamp::from_nanos(START + Span::from_millis(millis).nanos());
    Moment { time, frame: FrameNo { file: 0, number } }
}

pub(crate) fn context() -> Context {
    Context {
        mode: "analyze",
        command: Some(["go", "get", "./..."].map(str::to_owned).to_vec()),
        exit_status: Some(1),
        go_version: Some("go1.27.3".to_owned()),
        inputs: vec![Input { path: "a.pcapng".to_owned(), sha256: "ab".repeat(32), bytes: 81_234 }],
        started: Timestamp::from_seconds(1_795_341_700),
        finished: Timestamp::from_seconds(1_795_341_701),
        rules_version: "2026-11-22".to_owned(),
        rules_sha256: "0f".repeat(32),
        limits: vec!["truncated"],
    }
}

fn recording() -> Recording {
    Recording {
        stopped: None,
        paths: vec!["a.pcap".to_owned()],
        packets: 412,
        bytes: 81_234,
        first: Some(at(1, 0).time),
        last: Some(at(412, 4_000).time),
        dropped: 0,
        link_types: vec!["ETHERNET".to_owned()],
        flows: 7,
    }
}

fn subject(host: &str, address: &str) -> Subject {
    Subject { host: Some(host.to_owned()), address: address.parse().ok(), port: Some(443), module: None }
}

fn reset_by_name() -> Finding {
    let mut finding = Finding::new(
        Code::TlsSniReset,
        Fault::Interference,
        Confidence::Proven,
        subject("proxy.golang.org", "142.250.74.113"),
        Evidence::segment("client_hello", at(41, 1_203), FlowId(3), "names proxy.golang.org"),
        "The connection was reset 4.1 ms after the TLS hello, sooner than the server can answer (34.0 ms).",
    )
    .with_evidence([Evidence::segment("forged_reset", at(42, 1_207), FlowId(3), "IP TTL 118, server's is 53")])
    .with_evidence([Evidence::log(2, "go: … read: connection reset by peer")])
    .excluding("the server resets every connection", "SNI www.google.com completed at the same address, frame 97")
    .not_excluding("large ClientHello not tolerated")
    .with_number("reset_ttl", 118)
    .with_remedy("Use a mirror that is not blocked.", Some("go env -w GOPROXY=https://goproxy.cn,direct"))
    .with_remedy("Ask whoever runs the network to let the name pass.", None)
    .with_reference("RFC 8446 §4.1.2");
    finding.go_error = Some("read: connection reset by peer".to_owned());
    finding
}

fn failed() -> Circumstances {
    Circumstances { go_traffic: true, exit_status: Some(1), errors: Vec::new() }
}

pub(crate) fn diagnosis() -> Diagnosis {
    let echo = Finding::new(
        Code::TlsSniClosed,
        Fault::Interference,
        Confidence::Moderate,
        subject("proxy.golang.org", "142.250.74.113"),
        Evidence::segment("syn", at(60, 2_000), FlowId(4), ""),
        "A reply in the name of the same address was forged.",
    );
    let chain = Finding::new(
        Code::CertMisorderedChain,
        Fault::Harmless,
        Confidence::Proven,
        subject("goproxy.io", "43.152.12.7"),
        Evidence::segment("certificates", at(80, 2_500), FlowId(5), ""),
        "The intermediate stands before the leaf's issuer.",
    );
    let hidden = NotAssessed {
        code: Code::CertMissingIntermediate,
        subject: Subject { host: Some("sum.golang.org".to_owned()), ..Subject::default() },
        veil: Veil::Encrypted,
        hint: String::new(),
    };
    let assessments = vec![
        Assessment { found: vec![chain, echo], not_assessed: vec![hidden] },
        Assessment { found: vec![reset_by_name()], not_assessed: Vec::new() },
    ];
    diagnose(assessments, &failed(), &Overrides::default())
}

pub(crate) fn blocked() -> Report {
    Report::new(&diagnosis(), &recording(), &context(), None)
}

pub(crate) fn nothing() -> Report {
    let diagnosis = diagnose(Vec::new(), &Circumstances::default(), &Overrides::default());
    let context = Context {
        command: None,
        exit_status: None,
        go_version: None,
        inputs: Vec::new(),
        limits: Vec::new(),
        ..context()
    };
    Report::new(&diagnosis, &Recording::default(), &context, None)
}

/// Every text that can come from outside carries an escape sequence, markup, a turned direction and a password.
pub(crate) const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{202e}<script>|`*_[x](y)\n# http://user:hunter2@squid:3128 Proxy-Authorization: Basic aHVudGVyMg==";

pub(crate) fn hostile() -> Report {
    let mut finding = Finding::new(
        Code::HttpBlockPage,
        Fault::Interference,
        Confidence::Weak,
        Subject { host: Some(HOSTILE.to_owned()), address: None, port: None, module: Some(HOSTILE.to_owned()) },
        Evidence::frame("answer", at(1, 0), HOSTILE),
        HOSTILE,
    )
    .excluding(HOSTILE, HOSTILE)
    .not_excluding(HOSTILE)
    .with_text("title", HOSTILE)
    .with_list("titles", [HOSTILE.to_owned()])
    .with_remedy(HOSTILE, Some(HOSTILE))
    .with_evidence([Evidence::variable(HOSTILE, HOSTILE), Evidence::log(1, HOSTILE)]);
    finding.go_error = Some(HOSTILE.to_owned());
    let hidden = NotAssessed {
        code: Code::CertExpired,
        subject: Subject { host: Some(HOSTILE.to_owned()), ..Subject::default() },
        veil: Veil::Gap,
        hint: String::new(),
    };
    let assessment = Assessment { found: vec![finding], not_assessed: vec![hidden] };
    let diagnosis = diagnose(vec![assessment], &failed(), &Overrides::default());
    let context = Context {
        command: Some(vec![HOSTILE.to_owned()]),
        go_version: Some(HOSTILE.to_owned()),
        inputs: vec![Input { path: HOSTILE.to_owned(), sha256: "00".repeat(32), bytes: 0 }],
        ..context()
    };
    Report::new(&diagnosis, &recording(), &context, None)
}

fn mark(ttl: u8) -> IpMark {
    IpMark { ttl, id: 0, dont_fragment: true }
}

fn lookup() -> Lookup {
    let record = |record_type, data| Record {
        section: Section::Answer,
        name: "proxy.golang.org".to_owned(),
        record_type,
        ttl: 300,
        data,
    };
    Lookup {
        name: "proxy.golang.org".to_owned(),
        record_type: RecordType::A,
        id: 4_711,
        transport: DnsTransport::Udp,
        client: "10.0.0.2:40001".parse().unwrap(),
        resolver: "[2001:db8::53]:53".parse().unwrap(),
        query: Some(Query { at: at(1, 0), ip: mark(64), edns: true, repeats: 0 }),
        answers: vec![Answer {
            at: at(2, 12),
            ip: mark(61),
            rcode: 0,
            authoritative: false,
            recursion_available: true,
            truncated: false,
            edns: true,
            has_question: true,
            records: vec![
                record(RecordType::A, RecordData::A("142.250.74.113".parse().unwrap())),
                record(RecordType(65), RecordData::Other("1 . alpn=h2".to_owned())),
            ],
            length: 61,
            refused: None,
            malformed: false,
        }],
        flow: None,
        error: None,
        relevance: Relevance::Go,
    }
}

fn connection(flow: u32, end: End, tunnel: Option<usize>) -> Connection {
    Connection {
        fin: Both::default(),
        ttls: Both::default(),
        flow: FlowId(flow),
        client: "10.0.0.2:51000".parse().unwrap(),
        server: "[2607:f8b0:4004:c1b::8d]:443".parse().unwrap(),
        first: at(3, 20),
        last: at(42, 1_207),
        packets: Both { to_server: 4, to_client: 3 },
        bytes: Both { to_server: 2_000, to_client: 0 },
        acknowledged: Both { to_server: None, to_client: None },
        opening: Opening::Established { syn: at(3, 20), syn_ack: at(4, 54), syns: 1 },
        end,
        initial_seq: Both { to_server: None, to_client: None },
        segments: Segments::default(),
        gaps: Both::default(),
        retransmissions: Both::default(),
        conflicts: Vec::new(),
        icmp: Vec::new(),
        names: Vec::new(),
        relevance: Relevance::Go,
        tunnel,
    }
}

fn handshake() -> Handshake {
    Handshake {
        flow: FlowId(3),
        layer: 0,
        tunnel: None,
        server_name: Sighting::Seen("proxy.golang.org".to_owned()),
        hello: Some(ClientHello {
            at: at(41, 1_203),
            started: at(40, 1_203),
            bytes: 1_526,
            segments: 2,
            complete: true,
            legacy_version: 0x0303,
            random: [0; 32],
            alpn: vec!["h2".to_owned(), "http/1.1".to_owned()],
            versions: vec![0x0304, 0x0303],
            cipher_suites: vec![0x1301],
            extensions: Vec::new(),
            groups: Vec::new(),
            key_shares: Vec::new(),
            signature_algorithms: Vec::new(),
            resumes: false,
            go: Some("1.27"),
        }),
        retry: None,
        server_hello: Some(ServerHello {
            at: at(43, 1_240),
            version: 0x0304,
            cipher_suite: 0x1301,
            alpn: None,
            resumed: false,
        }),
        certificates: Sighting::Hidden(Veil::Encrypted),
        certificates_at: None,
        alerts: vec![
            Alert {
                at: at(44, 1_241),
                direction: Direction::ToServer,
                content: Some(AlertContent { level: 2, description: 42 }),
            },
            Alert { at: at(45, 1_242), direction: Direction::ToClient, content: None },
        ],
        not_tls: None,
        client_records: Vec::new(),
        record_open: false,
        outcome: Outcome::Reset,
        decrypted: false,
    }
}

pub(crate) fn case() -> Case {
    let reset = End::Reset { direction: Direction::ToClient, at: at(42, 1_207) };
    Case {
        resolvers: Vec::new(),
        recording: recording(),
        health: Health::default(),
        lookups: vec![lookup()],
        connections: vec![connection(3, reset, None), connection(4, reset, Some(0))],
        handshakes: vec![handshake()],
        exchanges: vec![Exchange {
            credentials_sent: false,
            user_agent: None,
            flow: FlowId(4),
            protocol: HttpProtocol::Http1,
            method: "CONNECT".to_owned(),
            url: "proxy.golang.org:443".to_owned(),
            request: Some(at(50, 1_500)),
            response: Some(at(51, 1_510)),
            completed: Some(at(51, 1_510)),
            status: Some(403),
            reason: "Filtered".to_owned(),
            headers: vec![("content-type".to_owned(), "text/html".to_owned())],
            body_bytes: 120,
            body_head: Vec::new(),
            body_is_coded: false,
            body_sha256: Some([0x5a; 32]),
            complete: true,
            error: None,
        }],
        artifacts: Vec::new(),
        icmp: Vec::new(),
        certificates: Vec::new(),
        probes: Vec::new(),
        go: GoRun::default(),
    }
}

pub(crate) fn with_observations() -> Report {
    let (case, diagnosis) = (case(), diagnosis());
    Report::new(&diagnosis, &case.recording, &context(), Some(Observations::new(&case, &diagnosis)))
}
