//! What the secrets of a key log open: handshake messages, alerts, and the bytes carried.

mod message;

use std::rc::Rc;

use super::super::cipher::{Order, RecordKey};
use super::super::decrypt::{Opened, Opener, Stage};
use super::super::keylog::{KeyLog, SessionSecrets};
use super::super::record::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, Record};
use super::super::schedule::{self, Suite};
use super::{CLIENT_RECORDS, CertificateSink, Flight, Session, TLS_1_3};
use crate::observation::{Alert, AlertContent};
use crate::types::{Direction, Moment};

const TLS_1_2: u16 = 0x0303;
/// The alert that ends a direction.
const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;
const NO_RENEGOTIATION: u8 = 100;

/// Records of the client that are kept until the server's choice is known, and their bytes.
const MAX_HELD: usize = 16;
const MAX_HELD_BYTES: usize = 64 << 10;

/// Application data, or a hole in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    /// Bytes in order.
    Data(Direction, Moment, Vec<u8>),
    /// So many bytes are missing; `None` where their number is not known.
    Gap(Direction, Moment, Option<u64>),
    /// The sender has said all that it will say (`close_notify`, RFC 8446 §6.1).
    End(Direction, Moment),
}

/// The protected records of one side.
#[derive(Debug, Default)]
pub(super) struct Protected {
    opener: Option<Opener>,
    /// Where the last record that was opened ends in the stream, and whether it carried application data.
    opened_to: Option<(u64, bool)>,
    /// Something is missing since then.
    hole: bool,
    /// Its Finished has passed, or what comes only after it.
    pub(super) finished: bool,
    /// Application data was read.
    spoke: bool,
}

impl Protected {
    pub(super) fn works(&self) -> bool {
        self.opener.as_ref().is_some_and(Opener::works)
    }

    pub(super) fn records_missing(&mut self) {
        self.hole = true;
        if let Some(opener) = &mut self.opener {
            opener.records_missing();
        }
    }

    fn gave_up(&self) -> bool {
        self.opener.as_ref().is_some_and(Opener::gave_up)
    }
}

/// What became of data that the client sent before the server had answered (RFC 8446 §4.2.10).
#[derive(Debug)]
enum Early {
    /// The server has not said yet whether it takes them.
    Open(Vec<Plain>),
    Taken,
    /// The server has not read them, so nobody was told.
    Refused,
}

impl Default for Early {
    fn default() -> Self {
        Self::Open(Vec::new())
    }
}

/// Whether the suite is found out by trying, where the `ServerHello` was not seen.
#[derive(Debug, PartialEq, Eq)]
enum Guess {
    /// So many records may still be tried: each costs hundreds of openings.
    Left(u8),
    Right,
}

impl Default for Guess {
    fn default() -> Self {
        Self::Left(8)
    }
}

/// What is known of a session that can be decrypted.
#[derive(Debug, Default)]
pub(super) struct Secret {
    secrets: Option<Rc<SessionSecrets>>,
    /// The suite, or the secrets, are none that can be used.
    useless: bool,
    /// There are secrets of another length than the suite's are.
    misfit: bool,
    held: Vec<(Moment, Vec<u8>)>,
    guess: Guess,
    /// There was no room to hold all of them.
    held_not_all: bool,
    early: Early,
    plain: Vec<Plain>,
    alpn: Option<String>,
    /// There are certificates in a form that is not read.
    compressed: bool,
    /// The client random of a renegotiation.
    renegotiates: Option<[u8; 32]>,
}

impl Session {
    /// The application data since the last call.
    pub(crate) fn take_plain(&mut self) -> Vec<Plain> {
        std::mem::take(&mut self.secret.plain)
    }

    /// The application protocol that the server chose.
    pub(crate) fn alpn(&self) -> Option<&str> {
        self.secret.alpn.as_deref().or_else(|| self.server_hello.as_ref()?.alpn.as_deref())
    }

    /// That direction's application data has a hole at its end.
    pub(crate) fn has_hole(&self, direction: Direction) -> bool {
        let side = self.sides.of(direction);
        side.protected.hole || side.protected.gave_up() || side.over
    }

    /// There are secrets for this session, and they open nothing of it though records came.
    pub(crate) fn has_wrong_secrets(&self) -> bool {
        let wrong = |protected: &Protected| protected.opener.as_ref().is_some_and(Opener::is_wrong);
        let misfit = self.secret.misfit && self.secret.useless;
        !self.is_decrypted()
            && (misfit || wrong(&self.sides.to_server.protected) || wrong(&self.sides.to_client.protected))
    }

    pub(super) fn is_decrypted(&self) -> bool {
        self.sides.to_server.protected.works() || self.sides.to_client.protected.works()
    }

    /// The server's certificates would be seen if it had sent some in its flight.
    pub(super) fn shows_certificates(&self) -> bool {
        let server = &self.sides.to_client;
        let closed = server.flight == Flight::Holed && server.veil.is_none();
        server.protected.works() && !self.secret.compressed && !closed
    }

    /// Records may still be opened.
    pub(super) fn is_being_decrypted(&self) -> bool {
        let opens = |protected: &Protected| protected.opener.as_ref().is_some_and(|opener| !opener.gave_up());
        let guesses = self.version().is_none() && matches!(self.secret.guess, Guess::Left(1..));
        (guesses && self.secret.secrets.is_some())
            || opens(&self.sides.to_server.protected)
            || opens(&self.sides.to_client.protected)
    }

    pub(super) fn keep_what_can_be_opened(&mut self) {
        let wanted = self.secret.secrets.is_some() && !self.secret.useless;
        for side in [&mut self.sides.to_server, &mut self.sides.to_client] {
            side.records.keep(wanted && !side.protected.gave_up());
        }
    }

    pub(super) fn ask_for_secrets(&mut self, keys: &KeyLog) {
        if let Some(hello) = &self.hello
            && self.secret.secrets.is_none()
        {
            self.secret.secrets = keys.of(&hello.random);
        }
    }

    /// The server has chosen, in the `ServerHello` of that body: from secrets become keys.
    pub(super) fn make_openers(&mut self, body: &[u8], order: Order) {
        let (Some(secrets), Some(chosen), Some(hello)) = (&self.secret.secrets, &self.server_hello, &self.hello) else {
            return;
        };
        if self.secret.guess == Guess::Right {
            return;
        }
        let suite = Suite::of(chosen.cipher_suite).filter(|suite| suite.is_1_3() == (chosen.version >= TLS_1_3));
        let (client, server) = match suite {
            Some(suite) if suite.is_1_3() => {
                self.secret.misfit = secrets.has_traffic_secrets();
                openers_of(secrets, suite, self.offers_early_data())
            }
            Some(suite) if chosen.version == TLS_1_2 => {
                self.secret.misfit = secrets.master.is_some();
                let opener = |keys| Opener::tls12(suite, keys);
                keys_of(secrets, suite, order, &hello.random, body)
                    .map(|[client, server]| (opener(client), opener(server)))
                    .unzip()
            }
            _ => (None, None),
        };
        self.secret.useless = client.is_none() && server.is_none();
        self.sides.to_server.protected.opener = client;
        self.sides.to_client.protected.opener = server;
        if self.secret.held_not_all {
            self.sides.to_server.protected.records_missing();
        }
    }

    /// A protected record has come, and the `ServerHello` has not: which suite of TLS 1.3 opens it tells which was chosen. In
    /// TLS 1.2 nothing does, since keys need the server's random.
    fn guess(&mut self, direction: Direction, record: &Record<'_>) {
        let Guess::Left(left) = self.secret.guess else { return };
        let may_be_early = direction == Direction::ToServer && self.offers_early_data();
        let Some(secrets) = self.secret.secrets.as_ref().filter(|_| left > 0 && !may_be_early) else { return };
        if !secrets.has_traffic_secrets() {
            return;
        }
        self.secret.guess = Guess::Left(left - 1);
        let openers = |suite| {
            let (mut client, mut server) = openers_of(secrets, suite, self.offers_early_data());
            client.iter_mut().chain(&mut server).for_each(Opener::records_missing);
            (client, server)
        };
        for suite in [0x1301, 0x1302, 0x1303].into_iter().filter_map(Suite::of) {
            let (client, server) = openers(suite);
            let trial = if direction == Direction::ToServer { client } else { server };
            if trial.and_then(|mut trial| trial.open(record.kind, record.body, 0)).is_some() {
                let (client, server) = openers(suite);
                self.secret.guess = Guess::Right;
                self.sides.to_server.protected.opener = client;
                self.sides.to_client.protected.opener = server;
                self.sides.to_client.flight.hole();
                return;
            }
        }
    }

    /// The version in use, as the server said or as was found out.
    pub(super) fn version(&self) -> Option<u16> {
        let guessed = (self.secret.guess == Guess::Right).then_some(TLS_1_3);
        self.server_hello.as_ref().map(|hello| hello.version).or(guessed)
    }

    pub(super) fn is_1_3(&self) -> bool {
        self.version().is_some_and(|version| version >= TLS_1_3)
    }

    /// Records of the client that were recorded before the server's choice.
    pub(super) fn release_held(&mut self, keys: &KeyLog, sink: &mut dyn CertificateSink) {
        for (at, body) in std::mem::take(&mut self.secret.held) {
            let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
            let record = Record { kind: APPLICATION_DATA, length, body: &body, left: 0 };
            if !self.open(Direction::ToServer, at, &record, keys, sink) {
                self.client_record(at, length);
            }
        }
    }

    pub(super) fn count_held(&mut self) {
        for (at, body) in std::mem::take(&mut self.secret.held) {
            self.client_record(at, u16::try_from(body.len()).unwrap_or(u16::MAX));
        }
    }

    /// Opens a record. False where it is to be read as it stands.
    pub(super) fn open(
        &mut self,
        direction: Direction,
        at: Moment,
        record: &Record<'_>,
        keys: &KeyLog,
        sink: &mut dyn CertificateSink,
    ) -> bool {
        if self.secret.secrets.is_none() || self.secret.useless {
            return false;
        }
        if self.version().is_none() && record.kind == APPLICATION_DATA {
            self.guess(direction, record);
            if self.version().is_some() {
                self.release_held(keys, sink);
            }
        }
        let Some(version) = self.version() else { return self.hold(direction, at, record) };
        let side = self.sides.of_mut(direction);
        let is_protected = match record.kind {
            APPLICATION_DATA => true,
            ALERT | HANDSHAKE | CHANGE_CIPHER_SPEC => version < TLS_1_3 && side.changed_cipher,
            _ => false,
        };
        let Some(opener) = side.protected.opener.as_mut().filter(|_| is_protected) else { return false };
        let end = side.position.saturating_sub(record.left as u64);
        let begin = end.saturating_sub(record.body.len() as u64 + 5);
        let between = side.protected.opened_to.map_or(0, |(to, _)| begin.saturating_sub(to));
        let Some(opened) = opener.open(record.kind, record.body, between) else {
            side.protected.hole = true;
            side.flight.hole();
            return false;
        };
        side.message_started = None;
        if opened.missed > 0 || opened.new_epoch {
            side.flight.hole();
            side.messages.forget();
        }
        if let Some(length) = side.protected.missing(&opened, begin) {
            self.hand_on(opened.stage, Plain::Gap(direction, at, length));
        }
        let side = self.sides.of_mut(direction);
        side.encrypted = true;
        side.protected.hole = false;
        side.protected.opened_to = Some((end, opened.kind == APPLICATION_DATA));
        match direction {
            Direction::ToServer if opened.stage == Stage::EarlyData => {}
            Direction::ToServer if self.client_records.len() < CLIENT_RECORDS => {
                self.client_records.push((at, record.length));
            }
            Direction::ToServer => {}
            Direction::ToClient => {
                self.server_encrypted_records = self.server_encrypted_records.saturating_add(1);
            }
        }
        self.opened(direction, at, opened, keys, sink);
        true
    }

    /// Keeps a client's record until it is known what the server chose.
    fn hold(&mut self, direction: Direction, at: Moment, record: &Record<'_>) -> bool {
        if direction == Direction::ToClient || record.kind != APPLICATION_DATA {
            return false;
        }
        let held = &mut self.secret.held;
        let bytes: usize = held.iter().map(|(_, body)| body.len()).sum();
        let room = held.len() < MAX_HELD && bytes + record.body.len() <= MAX_HELD_BYTES;
        if room {
            held.push((at, record.body.to_vec()));
        }
        self.secret.held_not_all |= !room;
        room
    }

    /// Hands on what was read. Early data wait until it is clear that the server reads them, too.
    fn hand_on(&mut self, stage: Stage, plain: Plain) {
        match &mut self.secret.early {
            Early::Open(held) if stage == Stage::EarlyData => {
                let length = |plain: &Plain| if let Plain::Data(_, _, bytes) = plain { bytes.len() } else { 0 };
                if held.len() < MAX_HELD && held.iter().map(length).sum::<usize>() <= MAX_HELD_BYTES {
                    held.push(plain);
                } else if let Plain::Data(direction, at, _) = plain {
                    held.truncate(MAX_HELD);
                    held.push(Plain::Gap(direction, at, None));
                }
            }
            Early::Refused if stage == Stage::EarlyData => {}
            _ => self.secret.plain.push(plain),
        }
    }

    /// The server takes the early data, or it does not.
    fn settle_early_data(&mut self, taken: bool) {
        if let Early::Open(held) = &mut self.secret.early {
            if taken {
                self.secret.plain.append(held);
            }
            self.secret.early = if taken { Early::Taken } else { Early::Refused };
        }
    }

    fn opened(
        &mut self,
        direction: Direction,
        at: Moment,
        opened: Opened,
        keys: &KeyLog,
        sink: &mut dyn CertificateSink,
    ) {
        let is_1_3 = self.is_1_3();
        let side = self.sides.of_mut(direction);
        match opened.kind {
            HANDSHAKE => {
                let mut messages = std::mem::take(&mut side.messages);
                messages.push(&opened.content, |kind, body| {
                    if is_1_3 {
                        self.secret_message(direction, at, kind, body, sink);
                    } else {
                        self.renegotiation(direction, at, kind, body, keys);
                    }
                });
                self.sides.of_mut(direction).messages = messages;
            }
            CHANGE_CIPHER_SPEC => {
                if let Some(opener) = &mut side.protected.opener {
                    opener.cipher_changed();
                }
            }
            ALERT => self.secret_alert(direction, at, &opened.content),
            APPLICATION_DATA => {
                if opened.stage != Stage::EarlyData {
                    side.protected.finished = true;
                    side.protected.spoke = true;
                }
                if !opened.content.is_empty() {
                    self.hand_on(opened.stage, Plain::Data(direction, at, opened.content));
                }
            }
            _ => {}
        }
    }

    fn secret_alert(&mut self, direction: Direction, at: Moment, content: &[u8]) {
        let [level, description] = *content else { return };
        if description == CLOSE_NOTIFY {
            self.secret.plain.push(Plain::End(direction, at));
        }
        // After the handshake, alerts are about the connection. In TLS 1.3 a client has finished before the server has judged
        // its certificate. A handshake that is finished is closed in the usual way (RFC 8446 §6.1), and who will not
        // renegotiate says so (RFC 5246 §7.2.2).
        let (client, server) = (&self.sides.to_server.protected, &self.sides.to_client.protected);
        let over = client.finished && if self.is_1_3() { server.spoke } else { server.finished };
        let usual = client.finished && matches!(description, CLOSE_NOTIFY | USER_CANCELED | NO_RENEGOTIATION);
        if !over && !usual && self.alerts.len() < 8 {
            self.alerts.push(Alert { at, direction, content: Some(AlertContent { level, description }) });
        }
    }
}

impl Protected {
    /// What is missing before a record that was opened: `Some(None)` where it cannot be counted.
    fn missing(&self, opened: &Opened, begin: u64) -> Option<Option<u64>> {
        if opened.missed == 0 {
            return None;
        }
        let counted = self.opened_to.filter(|(_, data)| *data && !opened.new_epoch).and_then(|(to, _)| {
            let overhead = opened.overhead?.checked_add(5)?;
            begin.checked_sub(to)?.checked_sub(opened.missed.checked_mul(overhead)?)
        });
        Some(counted)
    }
}

/// What opens the client's and the server's records of TLS 1.3.
fn openers_of(secrets: &SessionSecrets, suite: Suite, early: bool) -> (Option<Opener>, Option<Opener>) {
    let client = [
        (Stage::EarlyData, secrets.client_early.as_deref()),
        (Stage::Handshake, secrets.client_handshake.as_deref()),
        (Stage::Application, secrets.client_application.as_deref()),
    ];
    let server = [
        (Stage::Handshake, secrets.server_handshake.as_deref()),
        (Stage::Application, secrets.server_application.as_deref()),
    ];
    let client = if early { &client[..] } else { &client[1..] };
    (Opener::tls13(suite, client), Opener::tls13(suite, &server))
}

/// The keys of TLS 1.2, the client's and the server's, after a `ServerHello` of that body.
fn keys_of(
    secrets: &SessionSecrets,
    suite: Suite,
    order: Order,
    client_random: &[u8; 32],
    server_hello: &[u8],
) -> Option<[RecordKey; 2]> {
    let server_random = server_hello.get(2..34)?.try_into().ok()?;
    schedule::key_block(suite, order, secrets.master.as_deref()?, client_random, server_random)
}

#[cfg(test)]
mod tests;
