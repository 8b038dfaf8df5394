//! What the secrets of a key log open: handshake messages and alerts of TLS 1.3, Finished of TLS 1.2, and the bytes carried.

use std::rc::Rc;

use super::super::decrypt::{Opened, Opener};
use super::super::keylog::{KeyLog, SessionSecrets};
use super::super::record::{ALERT, APPLICATION_DATA, HANDSHAKE, Record};
use super::super::schedule::{self, Suite};
use super::{CERTIFICATE, CLIENT_RECORDS, CertificateSink, Session, TLS_1_3};
use crate::observation::{Alert, AlertContent, CertificateId};
use crate::types::{Direction, Moment};

const ENCRYPTED_EXTENSIONS: u8 = 8;
const FINISHED: u8 = 20;
const KEY_UPDATE: u8 = 24;
/// The alert that ends a direction.
const CLOSE_NOTIFY: u8 = 0;
/// The extension that names the application protocol (RFC 7301).
const ALPN: u16 = 16;

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

/// What is known of a session that can be decrypted.
#[derive(Debug, Default)]
pub(super) struct Secret {
    secrets: Option<Rc<SessionSecrets>>,
    /// The suite, or the secrets, are none that can be used.
    useless: bool,
    held: Vec<(Moment, Vec<u8>)>,
    plain: Vec<Plain>,
    alpn: Option<String>,
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
        !self.is_decrypted() && (wrong(&self.sides.to_server.protected) || wrong(&self.sides.to_client.protected))
    }

    pub(super) fn is_decrypted(&self) -> bool {
        self.sides.to_server.protected.works() || self.sides.to_client.protected.works()
    }

    /// Records may still be opened.
    pub(super) fn is_being_decrypted(&self) -> bool {
        let opens = |protected: &Protected| protected.opener.as_ref().is_some_and(|opener| !opener.gave_up());
        opens(&self.sides.to_server.protected) || opens(&self.sides.to_client.protected)
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
    pub(super) fn make_openers(&mut self, body: &[u8]) {
        let (Some(secrets), Some(chosen), Some(hello)) = (&self.secret.secrets, &self.server_hello, &self.hello) else {
            return;
        };
        let openers = Suite::of(chosen.cipher_suite).and_then(|suite| {
            if chosen.version >= TLS_1_3 {
                let client = (secrets.client_handshake.as_deref(), secrets.client_application.as_deref());
                let server = (secrets.server_handshake.as_deref(), secrets.server_application.as_deref());
                Some((Opener::tls13(suite, client.0, client.1), Opener::tls13(suite, server.0, server.1)))
            } else {
                let random = body.get(2..34)?.try_into().ok()?;
                let keys = schedule::key_block(suite, secrets.master.as_deref()?, &hello.random, random)?;
                let [client, server] = keys.map(|keys| Some(Opener::tls12(suite, keys)));
                Some((client, server))
            }
        });
        match openers {
            Some((client, server)) if client.is_some() || server.is_some() => {
                self.sides.to_server.protected.opener = client;
                self.sides.to_client.protected.opener = server;
            }
            _ => self.secret.useless = true,
        }
    }

    /// Records of the client that were recorded before the server's choice.
    pub(super) fn release_held(&mut self, sink: &mut dyn CertificateSink) {
        for (at, body) in std::mem::take(&mut self.secret.held) {
            let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
            let record = Record { kind: APPLICATION_DATA, length, body: &body, left: 0 };
            if !self.open(Direction::ToServer, at, &record, sink) {
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
        sink: &mut dyn CertificateSink,
    ) -> bool {
        if self.secret.secrets.is_none() || self.secret.useless {
            return false;
        }
        let Some(version) = self.server_hello.as_ref().map(|hello| hello.version) else {
            return self.hold(direction, at, record);
        };
        let side = self.sides.of_mut(direction);
        let is_protected = match record.kind {
            APPLICATION_DATA => true,
            ALERT | HANDSHAKE => version < TLS_1_3 && side.changed_cipher,
            _ => false,
        };
        let Some(opener) = side.protected.opener.as_mut().filter(|_| is_protected) else { return false };
        let overhead = opener.overhead() + 5;
        let end = side.position.saturating_sub(record.left as u64);
        let begin = end.saturating_sub(record.body.len() as u64 + 5);
        let Some(opened) = opener.open(record.kind, record.body) else {
            side.protected.hole = true;
            return false;
        };
        side.message_started = None;
        if let Some(length) = side.protected.missing(&opened, begin, overhead) {
            self.secret.plain.push(Plain::Gap(direction, at, length));
            self.sides.of_mut(direction).messages.forget();
        }
        let side = self.sides.of_mut(direction);
        side.encrypted = true;
        side.protected.hole = false;
        side.protected.opened_to = Some((end, opened.kind == APPLICATION_DATA));
        match direction {
            Direction::ToServer if self.client_records.len() < CLIENT_RECORDS => {
                self.client_records.push((at, record.length));
            }
            Direction::ToServer => {}
            Direction::ToClient => {
                self.server_encrypted_records = self.server_encrypted_records.saturating_add(1);
            }
        }
        self.opened(direction, at, opened, sink);
        true
    }

    /// Keeps a client's record until it is known what the server chose.
    fn hold(&mut self, direction: Direction, at: Moment, record: &Record<'_>) -> bool {
        let held = &mut self.secret.held;
        let bytes: usize = held.iter().map(|(_, body)| body.len()).sum();
        let room = held.len() < MAX_HELD && bytes + record.body.len() <= MAX_HELD_BYTES;
        let holds = direction == Direction::ToServer && record.kind == APPLICATION_DATA && room;
        if holds {
            held.push((at, record.body.to_vec()));
        }
        holds
    }

    fn opened(&mut self, direction: Direction, at: Moment, opened: Opened, sink: &mut dyn CertificateSink) {
        let side = self.sides.of_mut(direction);
        match opened.kind {
            HANDSHAKE => {
                let mut messages = std::mem::take(&mut side.messages);
                messages.push(&opened.content, |kind, body| self.secret_message(direction, at, kind, body, sink));
                self.sides.of_mut(direction).messages = messages;
            }
            ALERT => {
                // Once the server has answered, alerts are about the connection and not about the handshake; and a
                // handshake that is finished is closed in the usual way (RFC 8446 §6.1: close_notify, user_canceled).
                if matches!(*opened.content, [_, CLOSE_NOTIFY]) {
                    self.secret.plain.push(Plain::End(direction, at));
                }
                let client_finished = self.sides.to_server.protected.finished;
                let over = client_finished && self.sides.to_client.protected.spoke;
                if let [level, description] = *opened.content
                    && !over
                    && !(client_finished && matches!(description, 0 | 90))
                    && self.alerts.len() < 8
                {
                    let content = Some(AlertContent { level, description });
                    self.alerts.push(Alert { at, direction, content });
                }
            }
            APPLICATION_DATA => {
                side.protected.finished = true;
                side.protected.spoke = true;
                if !opened.content.is_empty() {
                    self.secret.plain.push(Plain::Data(direction, at, opened.content));
                }
            }
            _ => {}
        }
    }

    fn secret_message(
        &mut self,
        direction: Direction,
        at: Moment,
        kind: u8,
        body: &[u8],
        sink: &mut dyn CertificateSink,
    ) {
        let protected = &mut self.sides.of_mut(direction).protected;
        match (direction, kind) {
            (Direction::ToClient, ENCRYPTED_EXTENSIONS) => self.secret.alpn = chosen_protocol(body),
            (Direction::ToClient, CERTIFICATE) if self.certificates.is_none() && !protected.finished => {
                if let Some(chain) = certificate_list(body, sink) {
                    self.certificates = Some((chain, at));
                }
            }
            (_, FINISHED) => {
                protected.finished = true;
                if let Some(opener) = &mut protected.opener {
                    opener.finished();
                }
            }
            (_, KEY_UPDATE) => {
                if let Some(opener) = &mut protected.opener {
                    opener.key_update();
                }
            }
            _ => {}
        }
    }
}

impl Protected {
    /// What is missing before a record that was opened: `Some(None)` where it cannot be counted.
    fn missing(&self, opened: &Opened, begin: u64, overhead: u64) -> Option<Option<u64>> {
        if opened.missed == 0 {
            return None;
        }
        let counted = self.opened_to.filter(|(_, data)| *data && !opened.new_epoch).and_then(|(to, _)| {
            // All but what each record carries beside its content. Padding would be counted, too, but hardly anybody pads.
            begin.checked_sub(to)?.checked_sub(opened.missed.checked_mul(overhead)?)
        });
        Some(counted)
    }
}

/// The protocol in `EncryptedExtensions` (RFC 8446 §4.3.1, RFC 7301 §3.1).
fn chosen_protocol(body: &[u8]) -> Option<String> {
    let mut rest = body.get(2..)?;
    loop {
        let (head, after) = rest.split_at_checked(4)?;
        let [k1, k2, l1, l2] = *head else { return None };
        let (content, after) = after.split_at_checked(usize::from(u16::from_be_bytes([l1, l2])))?;
        if u16::from_be_bytes([k1, k2]) == ALPN {
            return content.get(3..).map(|name| String::from_utf8_lossy(name).into_owned());
        }
        rest = after;
    }
}

/// The certificates of a TLS 1.3 Certificate message (RFC 8446 §4.4.2). `None` where it is not whole.
fn certificate_list(body: &[u8], sink: &mut dyn CertificateSink) -> Option<Vec<CertificateId>> {
    let (context, rest) = body.split_first()?;
    let (mut entries, _) = vector24(rest.get(usize::from(*context)..)?)?;
    let mut chain = Vec::new();
    while !entries.is_empty() {
        let (der, rest) = vector24(entries)?;
        let (length, rest) = rest.split_at_checked(2)?;
        let extensions = u16::from_be_bytes(length.try_into().ok()?);
        entries = rest.get(usize::from(extensions)..)?;
        if !der.is_empty() {
            chain.push(der);
        }
    }
    Some(chain.into_iter().map(|der| sink.intern(der)).collect())
}

fn vector24(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(3)?;
    let [a, b, c] = *length else { return None };
    rest.split_at_checked(usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?)
}

#[cfg(test)]
mod tests;
