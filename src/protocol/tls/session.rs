//! One TLS handshake, followed from both sides until nothing more can be read of it.

use tls_parser::{TlsMessageHandshake, parse_tls_handshake_msg_certificate};

use super::hello;
use super::keylog::KeyLog;
use super::record::{self, Messages, Met, Record, Records};
use crate::observation::{
    Alert, AlertContent, CertificateId, ClientHello, Handshake, NotTls, Outcome, ServerHello, Sighting, Veil,
};
use crate::types::{Both, Direction, FlowId, Moment};

mod opened;

pub(crate) use opened::Plain;
use opened::{Protected, Secret};

/// Handshake message types (RFC 8446 §4, RFC 5246 §7.4).
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const SERVER_HELLO_DONE: u8 = 14;

/// Encrypted records of the client whose lengths are kept: enough for an alert, a Finished and a request.
const CLIENT_RECORDS: usize = 4;
/// Bytes kept of what came instead of TLS: a block page's head and the start of its text.
const NOT_TLS_HEAD: usize = 2048;
/// A TLS 1.3 record that can only be an alert by its length: 2 bytes, a content type, a 16-byte tag (RFC 8446 §5.2).
const ENCRYPTED_ALERT: u16 = 19;
const TLS_1_3: u16 = 0x0304;
/// The extension with which a client offers data before the server's answer, and a server takes them (RFC 8446 §4.2.10).
const EARLY_DATA: u16 = 42;

/// Where certificates are put, so that each is kept once.
pub(crate) trait CertificateSink {
    /// The number of a certificate, given its DER bytes.
    fn intern(&mut self, der: &[u8]) -> CertificateId;
}

/// How much was read of a side's handshake messages, up to the one that ends them: what is not there was not sent, or not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Flight {
    #[default]
    Underway,
    Holed,
    Whole,
}

impl Flight {
    fn hole(&mut self) {
        if *self == Self::Underway {
            *self = Self::Holed;
        }
    }

    fn end(&mut self) {
        if *self == Self::Underway {
            *self = Self::Whole;
        }
    }
}

#[derive(Debug, Default)]
struct Side {
    records: Records,
    messages: Messages,
    /// What follows is encrypted.
    encrypted: bool,
    /// It sent a `ChangeCipherSpec`.
    changed_cipher: bool,
    /// The first packet of the message being collected.
    message_started: Option<Moment>,
    pieces: u32,
    /// What hid a part of it.
    veil: Option<Veil>,
    /// A part of its stream is missing, if only inside of encrypted data.
    holed: bool,
    /// Alert records after which nothing of this side matters.
    over: bool,
    flight: Flight,
    /// Bytes of the stream so far, holes included.
    position: u64,
    protected: Protected,
}

/// A TLS handshake being followed.
#[derive(Debug, Default)]
pub(crate) struct Session {
    sides: Both<Side>,
    server_name: Option<Sighting<String>>,
    hello: Option<ClientHello>,
    /// Half a hello, read when it became clear that the rest would not come.
    retry: Option<Moment>,
    hellos: u32,
    server_hello: Option<ServerHello>,
    certificates: Option<(Vec<CertificateId>, Moment)>,
    server_done: bool,
    alerts: Vec<Alert>,
    not_tls: Option<NotTls>,
    client_records: Vec<(Moment, u16)>,
    server_encrypted_records: u32,
    secret: Secret,
}

impl Session {
    /// Takes bytes in order. `keys` are asked once, for the client's random.
    pub(crate) fn data(
        &mut self,
        direction: Direction,
        at: Moment,
        bytes: &[u8],
        keys: &KeyLog,
        sink: &mut dyn CertificateSink,
    ) {
        if let Some(not_tls) = self.not_tls.as_mut().filter(|_| direction == Direction::ToClient) {
            let room = NOT_TLS_HEAD.saturating_sub(not_tls.head.len());
            not_tls.head.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
            return;
        }
        if self.is_over() {
            self.sides.of_mut(direction).records.skim(bytes);
            return;
        }
        // What the server said before the hello answers something else, that was not recorded.
        let before_hello = self.hello.as_ref().is_some_and(|hello| at < hello.started);
        if direction == Direction::ToClient
            && before_hello
            && self.sides.to_client.position == 0
            && !super::starts_server_flight(bytes)
        {
            return;
        }
        let side = self.sides.of_mut(direction);
        side.position = side.position.saturating_add(bytes.len() as u64);
        let Some(mut input) = side.records.resume(bytes).filter(|_| !side.over) else { return };
        if side.message_started.is_none() {
            side.message_started = Some(at);
            side.pieces = 0;
        }
        side.pieces += 1;
        side.records.bytes += bytes.len() as u64;
        loop {
            let mut records = std::mem::take(&mut self.sides.of_mut(direction).records);
            let goes_on = records.read(&mut input, |met| match met {
                Met::Record(record) => {
                    self.record(direction, at, &record, keys, sink);
                    true
                }
                Met::NotTls => {
                    self.foreign_bytes(direction, at, bytes);
                    false
                }
                Met::Needed => false,
            });
            let side = self.sides.of_mut(direction);
            side.records = records;
            let over = side.over;
            self.keep_what_can_be_opened();
            if !goes_on || over {
                return;
            }
        }
    }

    /// A hole in one direction.
    pub(crate) fn gap(&mut self, direction: Direction, at: Moment, length: u64, veil: Veil) {
        if direction == Direction::ToServer && self.hello.is_none() {
            self.read_half_hello(at, Some(veil));
        }
        let side = self.sides.of_mut(direction);
        side.position = side.position.saturating_add(length);
        side.protected.records_missing();
        side.flight.hole();
        side.holed = true;
        side.records.gap(length, veil);
        if side.records.lost.is_some() {
            side.messages.forget();
            side.message_started = None;
            side.veil.get_or_insert(veil);
        }
    }

    /// Nothing more can be learned but where records end: both sides are encrypted and the client has spoken, or one of them has given up.
    fn is_over(&self) -> bool {
        !self.is_being_decrypted()
            && self.sides.to_server.encrypted
            && self.sides.to_client.encrypted
            && self.client_records.len() >= CLIENT_RECORDS.min(2)
            && self.server_encrypted_records > 0
    }

    /// The server's side said something, be it in a hole.
    pub(crate) fn was_answered(&self) -> bool {
        self.sides.to_client.position > 0 || self.not_tls.is_some()
    }

    /// The bytes of the client's first flight as far as they came, record headers included.
    pub(crate) fn into_handshake(
        mut self,
        flow: FlowId,
        last: Moment,
        unseen: impl Fn(Direction) -> Option<Veil>,
    ) -> Handshake {
        if self.hello.is_none() {
            self.read_half_hello(last, None);
        }
        self.count_held();
        let client_veil =
            self.sides.to_server.veil.or_else(|| unseen(Direction::ToServer)).unwrap_or(Veil::EndOfCapture);
        let server_veil =
            self.sides.to_client.veil.or_else(|| unseen(Direction::ToClient)).unwrap_or(Veil::EndOfCapture);
        let certificates_at = self.certificates.as_ref().map(|(_, at)| *at);
        let outcome = self.outcome();
        let decrypted = self.is_decrypted();
        let shows_certificates = self.shows_certificates();
        Handshake {
            flow,
            layer: 0,
            tunnel: None,
            server_name: self.server_name.unwrap_or(Sighting::Hidden(client_veil)),
            certificates: match (self.certificates, &self.server_hello) {
                (Some((chain, _)), _) => Sighting::Seen(chain),
                (None, Some(hello)) if hello.resumed => Sighting::Absent,
                (None, Some(hello)) if hello.version >= TLS_1_3 && !shows_certificates => {
                    Sighting::Hidden(Veil::Encrypted)
                }
                (None, Some(_)) if self.sides.to_client.flight == Flight::Whole => Sighting::Absent,
                (None, _) => Sighting::Hidden(server_veil),
            },
            certificates_at,
            hello: self.hello,
            retry: self.retry,
            server_hello: self.server_hello,
            alerts: self.alerts,
            not_tls: self.not_tls,
            client_records: self.client_records,
            record_open: self.sides.to_client.records.is_open(),
            outcome,
            decrypted,
        }
    }

    /// What TLS alone tells; resets, closes and silence are the connection's to tell.
    fn outcome(&self) -> Outcome {
        if self.not_tls.is_some() && self.server_hello.is_none() {
            return Outcome::NotTls;
        }
        let fatal =
            |alert: &&Alert| alert.content.is_none_or(|content| content.description != 0 && content.description != 90);
        match self.alerts.iter().find(fatal).map(|alert| alert.direction) {
            Some(Direction::ToServer) => return Outcome::RejectedByClient,
            Some(Direction::ToClient) => return Outcome::Alert,
            None => {}
        }
        let is_1_3 = self.is_1_3();
        let finished = if is_1_3 && self.sides.to_server.protected.works() {
            self.sides.to_server.protected.finished
        } else if is_1_3 {
            // Early data come before the server has said anything (RFC 8446 §2.3).
            let chosen = self.server_hello.as_ref().filter(|_| self.offers_early_data()).map(|hello| hello.at);
            self.client_records.iter().any(|(at, _)| chosen.is_none_or(|chosen| *at >= chosen))
        } else {
            self.sides.to_server.changed_cipher && self.sides.to_client.changed_cipher
        };
        if finished { Outcome::Completed } else { Outcome::Incomplete }
    }

    fn record(
        &mut self,
        direction: Direction,
        at: Moment,
        record: &Record<'_>,
        keys: &KeyLog,
        sink: &mut dyn CertificateSink,
    ) {
        if self.open(direction, at, record, keys, sink) {
            return;
        }
        // After a retry request, hellos in clear follow on it (RFC 8446 §D.4).
        let before_hellos = self.retry.is_some() && self.server_hello.is_none();
        let side = self.sides.of_mut(direction);
        match record.kind {
            record::CHANGE_CIPHER_SPEC => {
                let again = std::mem::replace(&mut side.changed_cipher, true);
                // In TLS 1.3 it means nothing, but everything after it is encrypted all the same.
                side.encrypted = !before_hellos;
                if direction == Direction::ToClient
                    && let Some(hello) = self.server_hello.as_mut().filter(|hello| hello.version < TLS_1_3)
                {
                    side.flight.end();
                    // RFC 5246 §7.3: the abbreviated handshake has no certificate.
                    let nothing_before = self.certificates.is_none() && !self.server_done;
                    hello.resumed |= !again && nothing_before && side.flight == Flight::Whole;
                }
            }
            record::ALERT => self.alert(direction, at, record),
            record::HANDSHAKE if !side.encrypted => {
                let mut messages = std::mem::take(&mut side.messages);
                messages.push(record.body, |kind, body| self.message(direction, at, kind, body, keys, sink));
                let side = self.sides.of_mut(direction);
                side.messages = messages;
                if side.messages.unfinished().is_empty() {
                    side.message_started = None;
                }
            }
            record::APPLICATION_DATA | record::HANDSHAKE => {
                side.encrypted = true;
                side.message_started = None;
                match direction {
                    Direction::ToServer => self.client_record(at, record.length),
                    Direction::ToClient => {
                        self.server_encrypted_records = self.server_encrypted_records.saturating_add(1);
                    }
                }
            }
            _ => {}
        }
    }

    /// An encrypted record of the client: in TLS 1.3 its length tells an alert from a Finished.
    fn client_record(&mut self, at: Moment, length: u16) {
        let is_1_3 = self.is_1_3();
        let first = self.client_records.is_empty() && !self.sides.to_server.holed && !self.offers_early_data();
        if is_1_3 && first && length == ENCRYPTED_ALERT {
            self.alerts.push(Alert { at, direction: Direction::ToServer, content: None });
        }
        if self.client_records.len() < CLIENT_RECORDS {
            self.client_records.push((at, length));
        }
    }

    fn alert(&mut self, direction: Direction, at: Moment, record: &Record<'_>) {
        let side = self.sides.of_mut(direction);
        let content = match *record.body {
            [level, description] if !side.encrypted || record.length == 2 => Some(AlertContent { level, description }),
            _ => None,
        };
        // An encrypted alert of TLS 1.2 comes after the handshake: it is the usual close_notify.
        if content.is_some() && self.alerts.len() < 8 {
            self.alerts.push(Alert { at, direction, content });
        }
    }

    fn message(
        &mut self,
        direction: Direction,
        at: Moment,
        kind: u8,
        body: &[u8],
        keys: &KeyLog,
        sink: &mut dyn CertificateSink,
    ) {
        match (direction, kind) {
            (Direction::ToServer, CLIENT_HELLO) => {
                self.client_hello(at, body);
                self.ask_for_secrets(keys);
            }
            (Direction::ToClient, SERVER_HELLO) => match hello::server_hello(body, at) {
                Some(hello::Server::Retry) => self.retry = Some(at),
                Some(hello::Server::Chosen(chosen, order)) => {
                    let is_1_3 = chosen.version >= TLS_1_3;
                    self.server_hello = Some(chosen);
                    if is_1_3 {
                        self.sides.to_client.encrypted = true;
                    }
                    self.make_openers(body, order);
                    self.release_held(keys, sink);
                }
                None => {}
            },
            (Direction::ToClient, CERTIFICATE) if self.certificates.is_none() => {
                if let Some(chain) = certificate_list(body, sink) {
                    self.certificates = Some((chain, at));
                }
            }
            (Direction::ToClient, SERVER_HELLO_DONE) => {
                self.server_done = true;
                self.sides.to_client.flight.end();
            }
            _ => {}
        }
    }

    fn offers_early_data(&self) -> bool {
        self.hello.as_ref().is_some_and(|hello| hello.extensions.contains(&EARLY_DATA))
    }

    fn client_hello(&mut self, at: Moment, body: &[u8]) {
        self.hellos += 1;
        if self.hellos > 1 {
            return; // the answer to a retry request, or a renegotiation: the first one counts
        }
        let side = &self.sides.to_server;
        let started = side.message_started.unwrap_or(at);
        let Some(mut parsed) = hello::client_hello(body, started, at) else { return };
        parsed.hello.complete = true;
        parsed.hello.segments = side.pieces;
        parsed.hello.bytes = u32::try_from(body.len() + 4 + 5).unwrap_or(u32::MAX);
        self.server_name = Some(parsed.server_name.map_or(Sighting::Absent, Sighting::Seen));
        self.hello = Some(parsed.hello);
    }

    /// Reads what came of a hello whose rest will not come.
    fn read_half_hello(&mut self, at: Moment, veil: Option<Veil>) {
        let side = &self.sides.to_server;
        let (in_record, in_message) = (side.records.unfinished(), side.messages.unfinished());
        let half = if in_message.is_empty() {
            in_record.get(5..).unwrap_or_default().to_vec()
        } else {
            [in_message, in_record.get(5..).unwrap_or_default()].concat()
        };
        let [CLIENT_HELLO, _, _, _, body @ ..] = half.as_slice() else { return };
        let started = side.message_started.unwrap_or(at);
        let Some(mut parsed) = hello::client_hello(body, started, at) else { return };
        parsed.hello.segments = side.pieces;
        // The record says how long it is, however little of it was recorded.
        let declared =
            in_record.get(3..5).map_or(0, |length| length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)));
        parsed.hello.bytes = u32::try_from(half.len().max(declared) + 5).unwrap_or(u32::MAX);
        let veil = side.veil.or(veil).unwrap_or(Veil::EndOfCapture);
        self.server_name = Some(parsed.server_name.map_or(Sighting::Hidden(veil), Sighting::Seen));
        self.hello = Some(parsed.hello);
    }

    /// Bytes that are no record. Before the server's first record they are its answer; later the stream is out of step.
    fn foreign_bytes(&mut self, direction: Direction, at: Moment, bytes: &[u8]) {
        let nothing_before = self.server_hello.is_none() && self.retry.is_none() && self.alerts.is_empty();
        if direction == Direction::ToClient && nothing_before && !self.sides.to_client.holed {
            let head = bytes.get(..NOT_TLS_HEAD.min(bytes.len())).unwrap_or_default().to_vec();
            self.not_tls = Some(NotTls { at, head });
        } else {
            let side = self.sides.of_mut(direction);
            side.over = !side.records.look_again();
            side.protected.records_missing();
        }
    }
}

/// The certificates of a TLS 1.2 Certificate message (RFC 5246 §7.4.2), as far as they are whole.
fn certificate_list(body: &[u8], sink: &mut dyn CertificateSink) -> Option<Vec<CertificateId>> {
    match parse_tls_handshake_msg_certificate(body) {
        Ok((_, TlsMessageHandshake::Certificate(list))) => {
            Some(list.cert_chain.iter().filter(|raw| !raw.data.is_empty()).map(|raw| sink.intern(raw.data)).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
