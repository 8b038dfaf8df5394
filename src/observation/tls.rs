//! TLS handshakes: hellos, alerts, and what became of each.

use super::{CertificateId, Sighting};
use crate::types::{Direction, FlowId, Moment};

/// A TLS handshake as far as it is visible.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The connection it runs in.
    pub flow: FlowId,
    /// In how many other TLS sessions it runs: 0 where the network sees it.
    pub layer: u8,
    /// The proxy request whose tunnel it runs in: index into [`super::Case::exchanges`]. Without one, its far end is the
    /// connection's.
    pub tunnel: Option<usize>,
    /// The name that the client asked for, lower-case.
    pub server_name: Sighting<String>,
    /// What the client offered.
    pub hello: Option<ClientHello>,
    /// The second hello after a `HelloRetryRequest`.
    pub retry: Option<Moment>,
    /// What the server chose.
    pub server_hello: Option<ServerHello>,
    /// The server's certificates as they were sent, leaf first.
    pub certificates: Sighting<Vec<CertificateId>>,
    /// The packet that completed the certificates.
    pub certificates_at: Option<Moment>,
    /// Alerts that can be read, and records that are alerts by their length.
    pub alerts: Vec<Alert>,
    /// What came instead of a TLS record, first bytes of it.
    pub not_tls: Option<NotTls>,
    /// The first encrypted records that the client sent after the `ServerHello`: lengths of their payloads.
    pub client_records: Vec<(Moment, u16)>,
    /// The last record of the server is not complete: more of it was to come.
    pub record_open: bool,
    /// How it went.
    pub outcome: Outcome,
    /// Its records could be decrypted.
    pub decrypted: bool,
}

/// A `ClientHello` (RFC 8446 §4.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The packet that completed it, or the last that carried a part of it.
    pub at: Moment,
    /// The packet that it starts in.
    pub started: Moment,
    /// Bytes of its records, headers included; as far as it came when it is not complete.
    pub bytes: u32,
    /// TCP segments that it took.
    pub segments: u32,
    /// All of it was seen.
    pub complete: bool,
    /// `legacy_version` of the message.
    pub legacy_version: u16,
    /// Client random.
    pub random: [u8; 32],
    /// Application protocols offered.
    pub alpn: Vec<String>,
    /// Versions offered (`supported_versions`, else the legacy version).
    pub versions: Vec<u16>,
    /// Cipher suites offered.
    pub cipher_suites: Vec<u16>,
    /// Extension types in the order sent.
    pub extensions: Vec<u16>,
    /// Groups offered.
    pub groups: Vec<u16>,
    /// Key shares: group and length.
    pub key_shares: Vec<(u16, u16)>,
    /// Signature algorithms.
    pub signature_algorithms: Vec<u16>,
    /// It offers a pre-shared key or a session ticket with content: a resumption.
    pub resumes: bool,
    /// The Go versions whose `crypto/tls` writes this hello, e.g. `1.27`.
    pub go: Option<&'static str>,
}

/// A `ServerHello` (RFC 8446 §4.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// The packet that completed it.
    pub at: Moment,
    /// The version chosen.
    pub version: u16,
    /// The cipher suite chosen.
    pub cipher_suite: u16,
    /// The application protocol, where it is in clear (TLS 1.2).
    pub alpn: Option<String>,
    /// The server resumed a session: there is no certificate to expect.
    pub resumed: bool,
}

/// An alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Where it stands.
    pub at: Moment,
    /// Who sent it: [`Direction::ToServer`] is the client's.
    pub direction: Direction,
    /// Level and description, unless it is encrypted.
    pub content: Option<AlertContent>,
}

/// A readable alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertContent {
    /// 2 is fatal.
    pub level: u8,
    /// RFC 8446 §6.
    pub description: u8,
}

/// What came instead of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTls {
    /// Where it stands.
    pub at: Moment,
    /// Its first bytes.
    pub head: Vec<u8>,
}

/// How a TLS handshake went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client finished it, as far as can be seen.
    Completed,
    /// The client gave up after the server's flight: an alert of its own, or what must be one.
    RejectedByClient,
    /// An alert from the server's side.
    Alert,
    /// A reset.
    Reset,
    /// The server's side closed the connection.
    Closed,
    /// Nothing came back.
    Unanswered,
    /// Something else than TLS came back.
    NotTls,
    /// It stopped half way, or cannot be seen to its end.
    Incomplete,
}
