//! Handshake messages under encryption: those of TLS 1.3, and the renegotiations of TLS 1.2.

use super::super::super::decrypt::Stage;
use super::super::super::hello;
use super::super::super::keylog::KeyLog;
use super::super::super::schedule::Suite;
use super::super::{CERTIFICATE, CLIENT_HELLO, CertificateSink, EARLY_DATA, Flight, SERVER_HELLO, Session};
use super::{TLS_1_2, keys_of};
use crate::observation::CertificateId;
use crate::types::{Direction, Moment};

const END_OF_EARLY_DATA: u8 = 5;
const ENCRYPTED_EXTENSIONS: u8 = 8;
const FINISHED: u8 = 20;
const KEY_UPDATE: u8 = 24;
/// RFC 8879.
const COMPRESSED_CERTIFICATE: u8 = 25;
/// The extension that names the application protocol (RFC 7301).
pub(super) const ALPN: u16 = 16;

impl Session {
    /// A handshake message of TLS 1.3.
    pub(super) fn secret_message(
        &mut self,
        direction: Direction,
        at: Moment,
        kind: u8,
        body: &[u8],
        sink: &mut dyn CertificateSink,
    ) {
        let side = self.sides.of_mut(direction);
        match (direction, kind) {
            (Direction::ToClient, ENCRYPTED_EXTENSIONS) => {
                self.secret.alpn = extension(body, ALPN)
                    .and_then(|content| content.get(3..))
                    .map(|name| String::from_utf8_lossy(name).into_owned());
                self.settle_early_data(extension(body, EARLY_DATA).is_some());
            }
            (Direction::ToClient, CERTIFICATE) if self.certificates.is_none() && side.flight != Flight::Whole => {
                if let Some(chain) = certificate_list(body, sink) {
                    self.certificates = Some((chain, at));
                }
            }
            (Direction::ToClient, COMPRESSED_CERTIFICATE) => self.secret.compressed = true,
            (Direction::ToServer, END_OF_EARLY_DATA) => {
                if let Some(opener) = &mut side.protected.opener {
                    opener.stage_is_over(Stage::EarlyData);
                }
                self.settle_early_data(true);
            }
            (_, FINISHED) => {
                side.protected.finished = true;
                side.flight.end();
                if let Some(opener) = &mut side.protected.opener {
                    opener.stage_is_over(Stage::Handshake);
                }
            }
            (_, KEY_UPDATE) => {
                if let Some(opener) = &mut side.protected.opener {
                    opener.key_update();
                }
            }
            _ => {}
        }
    }

    /// A handshake message of TLS 1.2 under encryption: Finished, or a second handshake, whose facts are not those of the
    /// first one but whose keys open what follows (RFC 5246 §7.4.1.1).
    pub(super) fn renegotiation(&mut self, direction: Direction, at: Moment, kind: u8, body: &[u8], keys: &KeyLog) {
        match (direction, kind) {
            (_, FINISHED) => self.sides.of_mut(direction).protected.finished = true,
            (Direction::ToServer, CLIENT_HELLO) => {
                self.secret.renegotiates = body.get(2..34).and_then(|random| random.try_into().ok());
            }
            (Direction::ToClient, SERVER_HELLO) => {
                let Some(random) = self.secret.renegotiates.take() else { return };
                let Some(hello::Server::Chosen(chosen, order)) = hello::server_hello(body, at) else { return };
                let Some(suite) = Suite::of(chosen.cipher_suite).filter(|_| chosen.version == TLS_1_2) else { return };
                let keys = keys.of(&random).and_then(|secrets| keys_of(&secrets, suite, order, &random, body));
                let Some([client, server]) = keys else { return };
                for (side, keys) in [(&mut self.sides.to_server, client), (&mut self.sides.to_client, server)] {
                    if let Some(opener) = &mut side.protected.opener {
                        opener.renegotiated(suite, keys);
                    }
                }
            }
            _ => {}
        }
    }
}

/// An extension in `EncryptedExtensions` (RFC 8446 §4.3.1).
pub(super) fn extension(body: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut rest = body.get(2..)?;
    loop {
        let (head, after) = rest.split_at_checked(4)?;
        let [k1, k2, l1, l2] = *head else { return None };
        let (content, after) = after.split_at_checked(usize::from(u16::from_be_bytes([l1, l2])))?;
        if u16::from_be_bytes([k1, k2]) == wanted {
            return Some(content);
        }
        rest = after;
    }
}

/// The certificates of a TLS 1.3 Certificate message (RFC 8446 §4.4.2). `None` where it is not whole.
pub(super) fn certificate_list(body: &[u8], sink: &mut dyn CertificateSink) -> Option<Vec<CertificateId>> {
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
