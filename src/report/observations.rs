//! The facts as JSON (`--observations`): types that mirror the contract key by key, and how a case becomes them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::clean::{NAME, TEXT, line};
use super::json::{Time, Why, hex};
use super::names;
use crate::certificate::{Certificate, ValidityTime};
use crate::diagnosis::Diagnosis;
use crate::finding::Citation;
use crate::observation::{
    Alert, Answer, Case, Connection, DnsTransport, End, Exchange, Handshake, HttpProtocol, Lookup, Opening, Outcome,
    Record, RecordData, Section, Sighting, alert_name,
};
use crate::types::{Direction, FlowId, FrameNo, Moment};

/// The facts, each list in the order of the recording.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Observations {
    /// DNS questions with all their answers.
    pub lookups: Vec<LookupRecord>,
    /// TCP connections.
    pub connections: Vec<ConnectionRecord>,
    /// TLS handshakes.
    pub handshakes: Vec<HandshakeRecord>,
    /// HTTP requests with their answers.
    pub exchanges: Vec<ExchangeRecord>,
}

/// A DNS question with all its answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LookupRecord {
    /// Name, without trailing dot.
    pub name: String,
    /// `A`, `AAAA`, `TYPE65`.
    #[serde(rename = "type")]
    pub record_type: String,
    /// Message id.
    pub id: u16,
    /// `udp` or `tcp`.
    pub transport: &'static str,
    /// Address and port of the asker.
    pub client: String,
    /// Address and port of the asked.
    pub resolver: String,
    /// Frame of the question; null when it was not recorded.
    pub frame: Option<u32>,
    /// Its time.
    pub time: Option<Time>,
    /// All answers, in order of arrival.
    pub answers: Vec<AnswerRecord>,
}

/// A DNS answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AnswerRecord {
    /// Frame.
    pub frame: u32,
    /// Time.
    pub time: Time,
    /// `NOERROR`, `NXDOMAIN`, `RCODE24`.
    pub rcode: String,
    /// TTL or hop limit of the IP packet.
    pub ip_ttl: u8,
    /// The records of all sections but the question.
    pub records: Vec<ResourceRecord>,
}

/// A DNS record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ResourceRecord {
    /// `answer`, `authority` or `additional`.
    pub section: &'static str,
    /// Owner.
    pub name: String,
    /// `A`, `AAAA`, `TYPE65`.
    #[serde(rename = "type")]
    pub record_type: String,
    /// Seconds to live.
    pub ttl: u32,
    /// Content in presentation form.
    pub data: String,
}

/// A TCP connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ConnectionRecord {
    /// Its number.
    pub flow: u32,
    /// Address and port of the caller.
    pub client: String,
    /// Address and port of the called.
    pub server: String,
    /// First frame.
    pub first_frame: u32,
    /// Last frame.
    pub last_frame: u32,
    /// Bytes of the stream to the server.
    pub bytes_to_server: u64,
    /// Bytes of the stream to the client.
    pub bytes_to_client: u64,
    /// SYN and SYN-ACK were seen; null when the start was not recorded.
    pub opened: Option<bool>,
    /// `closed`, `reset_by_server`, `reset_by_client`, `reset_forged`, `unanswered`, `open` or `unknown`.
    pub end: &'static str,
    /// Address and port of the proxy, when it carries a tunnel through one.
    pub via_proxy: Option<String>,
}

/// A TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HandshakeRecord {
    /// The connection.
    pub flow: u32,
    /// The name that the client asked for.
    pub server_name: Option<String>,
    /// Frame that completed the `ClientHello`.
    pub client_hello_frame: Option<u32>,
    /// Bytes of its records.
    pub client_hello_bytes: Option<u32>,
    /// Application protocols offered.
    pub alpn: Option<Vec<String>>,
    /// Versions offered.
    pub versions: Option<Vec<String>>,
    /// Version chosen.
    pub server_version: Option<String>,
    /// Cipher suite chosen, by its IANA name.
    pub cipher_suite: Option<String>,
    /// The records could be decrypted.
    pub decrypted: bool,
    /// `completed`, `rejected_by_client`, `alert`, `reset`, `closed`, `unanswered`, `not_tls` or `incomplete`.
    pub outcome: &'static str,
    /// Alerts of both sides.
    pub alerts: Vec<AlertRecord>,
    /// The server's certificates in the order in which they were sent.
    pub certificates: Option<Vec<CertificateRecord>>,
    /// Which of these fields could not be seen, and why.
    pub hidden: Option<BTreeMap<String, Why>>,
}

/// A TLS alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AlertRecord {
    /// Frame.
    pub frame: u32,
    /// `client` or `server`.
    pub from: &'static str,
    /// `warning` or `fatal`; null when it is encrypted.
    pub level: Option<String>,
    /// Name of the description (RFC 8446 §6), `alert(7)` for unknown ones; null when it is encrypted.
    pub description: Option<String>,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CertificateRecord {
    /// SHA-256 of its DER, lower-case hex.
    pub sha256: String,
    /// Subject, RFC 4514; this and the next ones are null when they cannot be read.
    pub subject: Option<String>,
    /// Issuer, RFC 4514.
    pub issuer: Option<String>,
    /// Serial number, lower-case hex.
    pub serial: Option<String>,
    /// Beginning of its validity.
    #[schemars(with = "Option<Time>")]
    pub not_before: Option<String>,
    /// End of its validity; it may lie beyond the times that a recording can have.
    #[schemars(with = "Option<Time>")]
    pub not_after: Option<String>,
    /// Names that it covers.
    pub names: Vec<String>,
}

/// An HTTP request with its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ExchangeRecord {
    /// The connection.
    pub flow: u32,
    /// `http/1.1`, `h2` or `socks`.
    pub protocol: &'static str,
    /// Method; null when the request was not seen.
    pub method: Option<String>,
    /// Absolute URL; `host:port` for CONNECT.
    pub url: String,
    /// Status; for SOCKS its reply code.
    pub status: Option<u16>,
    /// Frame of the request.
    pub request_frame: Option<u32>,
    /// Frame that completed the answer's head.
    pub response_frame: Option<u32>,
    /// Bytes of the body after transfer coding, before content coding.
    pub body_bytes: u64,
    /// SHA-256 of the whole body, lower-case hex.
    pub body_sha256: Option<String>,
    /// Content type of the answer.
    pub content_type: Option<String>,
    /// The answer was seen to its end.
    pub complete: bool,
    /// What went wrong in the protocol.
    pub error: Option<String>,
}

impl Observations {
    /// The facts of a case. The diagnosis tells which resets were forged.
    #[must_use]
    pub fn new(case: &Case, diagnosis: &Diagnosis) -> Self {
        let forged = forged_packets(diagnosis);
        Self {
            lookups: case.lookups.iter().map(lookup).collect(),
            connections: case.connections.iter().map(|it| connection(it, &forged)).collect(),
            handshakes: case.handshakes.iter().map(|it| handshake(it, case)).collect(),
            exchanges: case.exchanges.iter().map(ExchangeRecord::from).collect(),
        }
    }
}

/// Packets that a finding cites as forged: its role says so.
fn forged_packets(diagnosis: &Diagnosis) -> Vec<(FlowId, FrameNo)> {
    let all = diagnosis.findings.iter().flat_map(|ranked| ranked.finding.evidence());
    all.filter(|evidence| evidence.role.starts_with("forged"))
        .filter_map(|evidence| match evidence.citation {
            Citation::Frame { at, flow: Some(flow) } => Some((flow, at.frame)),
            _ => None,
        })
        .collect()
}

fn lookup(lookup: &Lookup) -> LookupRecord {
    LookupRecord {
        name: line(&lookup.name, 4 * NAME),
        record_type: names::record_type(lookup.record_type).into_owned(),
        id: lookup.id,
        transport: match lookup.transport {
            DnsTransport::Udp => "udp",
            DnsTransport::Tcp => "tcp",
        },
        client: lookup.client.to_string(),
        resolver: lookup.resolver.to_string(),
        frame: lookup.query.as_ref().map(|query| query.at.frame.number),
        time: lookup.query.as_ref().map(|query| Time(query.at.time)),
        answers: lookup.answers.iter().map(answer).collect(),
    }
}

fn answer(answer: &Answer) -> AnswerRecord {
    AnswerRecord {
        frame: answer.at.frame.number,
        time: Time(answer.at.time),
        rcode: names::rcode(answer.rcode).into_owned(),
        ip_ttl: answer.ip.ttl,
        records: answer.records.iter().map(record).collect(),
    }
}

fn record(record: &Record) -> ResourceRecord {
    ResourceRecord {
        section: match record.section {
            Section::Answer => "answer",
            Section::Authority => "authority",
            Section::Additional => "additional",
        },
        name: line(&record.name, 4 * NAME),
        record_type: names::record_type(record.record_type).into_owned(),
        ttl: record.ttl,
        data: match &record.data {
            RecordData::A(address) => address.to_string(),
            RecordData::Aaaa(address) => address.to_string(),
            RecordData::Name(text) | RecordData::Other(text) => line(text, TEXT),
        },
    }
}

fn connection(connection: &Connection, forged: &[(FlowId, FrameNo)]) -> ConnectionRecord {
    ConnectionRecord {
        flow: connection.flow.0,
        client: connection.client.to_string(),
        server: connection.server.to_string(),
        first_frame: connection.first.frame.number,
        last_frame: connection.last.frame.number,
        bytes_to_server: connection.bytes.to_server,
        bytes_to_client: connection.bytes.to_client,
        opened: match connection.opening {
            Opening::Established { .. } => Some(true),
            Opening::Unanswered { .. } | Opening::Refused { .. } => Some(false),
            Opening::Unseen(_) => None,
        },
        end: match connection.end {
            End::Closed => "closed",
            End::Reset { at: Moment { frame, .. }, .. } if forged.contains(&(connection.flow, frame)) => "reset_forged",
            End::Reset { direction: Direction::ToClient, .. } => "reset_by_server",
            End::Reset { direction: Direction::ToServer, .. } => "reset_by_client",
            End::Unanswered => "unanswered",
            End::Open => "open",
            End::Unknown => "unknown",
        },
        via_proxy: connection.tunnel.map(|_| connection.server.to_string()),
    }
}

fn handshake(handshake: &Handshake, case: &Case) -> HandshakeRecord {
    // Cut within its fixed head it says nothing of what is listed here.
    let hello = handshake.hello.as_ref().filter(|hello| hello.complete || !hello.cipher_suites.is_empty());
    let chosen = handshake.server_hello.as_ref();
    HandshakeRecord {
        flow: handshake.flow.0,
        server_name: handshake.server_name.seen().map(|name| line(name, NAME)),
        client_hello_frame: hello.map(|hello| hello.at.frame.number),
        client_hello_bytes: hello.map(|hello| hello.bytes),
        alpn: hello.map(|hello| hello.alpn.iter().map(|name| line(name, NAME)).collect()),
        versions: hello.map(|hello| hello.versions.iter().map(|it| names::tls_version(*it).into_owned()).collect()),
        server_version: chosen.map(|chosen| names::tls_version(chosen.version).into_owned()),
        cipher_suite: chosen.map(|chosen| names::cipher_suite(chosen.cipher_suite).into_owned()),
        decrypted: handshake.decrypted,
        outcome: match handshake.outcome {
            Outcome::Completed => "completed",
            Outcome::RejectedByClient => "rejected_by_client",
            Outcome::Alert => "alert",
            Outcome::Reset => "reset",
            Outcome::Closed => "closed",
            Outcome::Unanswered => "unanswered",
            Outcome::NotTls => "not_tls",
            Outcome::Incomplete => "incomplete",
        },
        alerts: handshake.alerts.iter().map(alert).collect(),
        certificates: match &handshake.certificates {
            Sighting::Seen(ids) => Some(ids.iter().filter_map(|id| case.certificate(*id)).map(certificate).collect()),
            Sighting::Absent => Some(Vec::new()),
            Sighting::Hidden(_) => None,
        },
        hidden: hidden(handshake),
    }
}

fn hidden(handshake: &Handshake) -> Option<BTreeMap<String, Why>> {
    let unread = handshake.alerts.iter().any(|alert| alert.content.is_none()).then_some(Why::Encrypted);
    let fields = [
        ("server_name", handshake.server_name.veil().map(Why::from)),
        ("certificates", handshake.certificates.veil().map(Why::from)),
        ("alerts", unread),
    ];
    let hidden: BTreeMap<String, Why> =
        fields.into_iter().filter_map(|(field, why)| Some((field.to_owned(), why?))).collect();
    (!hidden.is_empty()).then_some(hidden)
}

fn alert(alert: &Alert) -> AlertRecord {
    AlertRecord {
        frame: alert.at.frame.number,
        from: match alert.direction {
            Direction::ToServer => "client",
            Direction::ToClient => "server",
        },
        level: alert.content.map(|content| match content.level {
            1 => "warning".to_owned(),
            2 => "fatal".to_owned(),
            other => other.to_string(),
        }),
        description: alert.content.map(|content| alert_name(content.description).into_owned()),
    }
}

impl From<&Exchange> for ExchangeRecord {
    fn from(exchange: &Exchange) -> Self {
        Self {
            flow: exchange.flow.0,
            protocol: match exchange.protocol {
                HttpProtocol::Http1 => "http/1.1",
                HttpProtocol::Http2 => "h2",
                HttpProtocol::Socks => "socks",
            },
            method: (!exchange.method.is_empty()).then(|| line(&exchange.method, NAME)),
            url: line(&exchange.url, TEXT),
            status: exchange.status,
            request_frame: exchange.request.map(|at| at.frame.number),
            response_frame: exchange.response.map(|at| at.frame.number),
            body_bytes: exchange.body_bytes,
            body_sha256: exchange.body_sha256.map(|hash| hex(&hash)),
            content_type: exchange.header("content-type").map(|value| line(value, NAME)),
            complete: exchange.complete,
            error: exchange.error.as_deref().map(|error| line(error, TEXT)),
        }
    }
}

/// What a certificate says.
fn certificate(certificate: &Certificate) -> CertificateRecord {
    let facts = certificate.facts();
    let time = |time: Option<ValidityTime>| time.map(|time| time.to_string());
    let text = |text: Option<&String>| text.map(|text| line(text, TEXT));
    CertificateRecord {
        sha256: hex(&certificate.sha256),
        subject: text(facts.and_then(|facts| facts.subject.as_ref())),
        issuer: text(facts.and_then(|facts| facts.issuer.as_ref())),
        serial: facts.and_then(|facts| facts.serial.clone()),
        not_before: time(facts.and_then(|facts| facts.not_before)),
        not_after: time(facts.and_then(|facts| facts.not_after)),
        names: certificate.names().iter().map(|name| line(name, NAME)).collect(),
    }
}
