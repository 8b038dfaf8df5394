//! NSS key logs (draft-ietf-tls-keylogfile): the secrets of TLS sessions, by client random.
//!
//! A line is a label, the client random and the secret, both in hex. Nothing of it is ever shown: not by `Debug`, not in a
//! report.

use std::fmt;
use std::rc::Rc;

use hashbrown::HashMap;

/// Sessions whose secrets are kept. A key log with more is not about the recording at hand.
const MOST: usize = 1 << 20;
/// The longest secret: the output of SHA-384, or a master secret, which is as long (RFC 8446 §7.1, RFC 5246 §8.1).
const MAX_SECRET: usize = 48;

/// The secrets of one TLS session, as far as they were logged.
#[derive(Default)]
pub(super) struct SessionSecrets {
    /// `CLIENT_RANDOM`: the master secret of TLS 1.2 and older.
    pub(super) master: Option<Box<[u8]>>,
    /// `CLIENT_EARLY_TRAFFIC_SECRET`.
    pub(super) client_early: Option<Box<[u8]>>,
    /// `CLIENT_HANDSHAKE_TRAFFIC_SECRET`.
    pub(super) client_handshake: Option<Box<[u8]>>,
    /// `SERVER_HANDSHAKE_TRAFFIC_SECRET`.
    pub(super) server_handshake: Option<Box<[u8]>>,
    /// `CLIENT_TRAFFIC_SECRET_0`.
    pub(super) client_application: Option<Box<[u8]>>,
    /// `SERVER_TRAFFIC_SECRET_0`.
    pub(super) server_application: Option<Box<[u8]>>,
}

impl SessionSecrets {
    /// There are secrets of TLS 1.3, those of early data apart.
    pub(super) const fn has_traffic_secrets(&self) -> bool {
        self.client_handshake.is_some()
            || self.server_handshake.is_some()
            || self.client_application.is_some()
            || self.server_application.is_some()
    }
}

impl fmt::Debug for SessionSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecrets(..)")
    }
}

/// TLS secrets from key logs: what decrypts the sessions of a recording.
#[derive(Default)]
pub struct KeyLog {
    sessions: HashMap<[u8; 32], Rc<SessionSecrets>>,
    bad_lines: u64,
}

impl fmt::Debug for KeyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyLog({} sessions, {} bad lines)", self.sessions.len(), self.bad_lines)
    }
}

impl KeyLog {
    /// Takes the text of a key log. Comments, empty lines and labels of other secrets are passed over; what cannot be read is
    /// counted. Where a secret is given twice, the first counts.
    pub fn add(&mut self, text: &[u8]) {
        for line in text.split(|byte| *byte == b'\n') {
            let line = line.trim_ascii();
            if !line.is_empty() && !line.starts_with(b"#") && self.line(line).is_none() {
                self.bad_lines += 1;
            }
        }
    }

    /// Lines that are no secret, no comment and not empty.
    #[must_use]
    pub const fn bad_lines(&self) -> u64 {
        self.bad_lines
    }

    /// Sessions that secrets are known of.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// The secrets of the session with that client random.
    pub(super) fn of(&self, client_random: &[u8; 32]) -> Option<Rc<SessionSecrets>> {
        self.sessions.get(client_random).cloned()
    }

    fn line(&mut self, line: &[u8]) -> Option<()> {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (label, random, secret) = (words.next()?, words.next()?, words.next()?);
        if !label.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_') {
            return None;
        }
        let secret = hex(secret)?;
        let random = hex(random)?;
        let slot: fn(&mut SessionSecrets) -> &mut Option<Box<[u8]>> = match label {
            b"CLIENT_RANDOM" => |secrets| &mut secrets.master,
            b"CLIENT_EARLY_TRAFFIC_SECRET" => |secrets| &mut secrets.client_early,
            b"CLIENT_HANDSHAKE_TRAFFIC_SECRET" => |secrets| &mut secrets.client_handshake,
            b"SERVER_HANDSHAKE_TRAFFIC_SECRET" => |secrets| &mut secrets.server_handshake,
            b"CLIENT_TRAFFIC_SECRET_0" => |secrets| &mut secrets.client_application,
            b"SERVER_TRAFFIC_SECRET_0" => |secrets| &mut secrets.server_application,
            _ => return Some(()),
        };
        let random: [u8; 32] = random.try_into().ok()?;
        if words.next().is_some() || !(32..=MAX_SECRET).contains(&secret.len()) {
            return None;
        }
        if self.sessions.len() >= MOST && !self.sessions.contains_key(&random) {
            return Some(());
        }
        let secrets = Rc::get_mut(self.sessions.entry(random).or_default())?;
        slot(secrets).get_or_insert_with(|| secret.into_boxed_slice());
        Some(())
    }
}

fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.chunks(2).map(|pair| match pair {
        [high, low] => Some((digit(*high)? << 4) | digit(*low)?),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(label: &str, random: &str, secret: &str) -> String {
        format!("{label} {} {}\n", random.repeat(32), secret.repeat(32))
    }

    #[test]
    fn each_label_has_its_secret_and_others_are_passed_over() {
        let text = [
            "# written by a test\r\n\r\n".to_owned(),
            line("CLIENT_HANDSHAKE_TRAFFIC_SECRET", "Ab", "01"),
            line("SERVER_HANDSHAKE_TRAFFIC_SECRET", "aB", "02"),
            line("CLIENT_TRAFFIC_SECRET_0", "ab", "03"),
            line("SERVER_TRAFFIC_SECRET_0", "ab", "04"),
            line("SERVER_TRAFFIC_SECRET_0", "ab", "05"),
            line("EXPORTER_SECRET", "ab", "06"),
            line("EARLY_EXPORTER_SECRET", "ab", "06"),
            line("CLIENT_EARLY_TRAFFIC_SECRET", "ab", "08"),
            line("CLIENT_RANDOM", "cd", "07"),
        ]
        .concat();
        let mut log = KeyLog::default();
        log.add(text.as_bytes());
        assert_eq!((log.sessions(), log.bad_lines()), (2, 0));
        let secrets = log.of(&[0xab; 32]).unwrap();
        assert_eq!(secrets.client_early.as_deref(), Some(&[8; 32][..]));
        assert_eq!(secrets.client_handshake.as_deref(), Some(&[1; 32][..]));
        assert_eq!(secrets.server_handshake.as_deref(), Some(&[2; 32][..]));
        assert_eq!(secrets.client_application.as_deref(), Some(&[3; 32][..]));
        assert_eq!(secrets.server_application.as_deref(), Some(&[4; 32][..]), "the first one counts");
        assert_eq!(log.of(&[0xcd; 32]).unwrap().master.as_deref(), Some(&[7; 32][..]));
        assert!(log.of(&[0; 32]).is_none());
    }

    #[test]
    fn bad_lines_are_counted() {
        let mut log = KeyLog::default();
        for bad in ["CLIENT_RANDOM", "CLIENT_RANDOM abc def", "\u{0}\u{1}", "hello, world 12 34", "CLIENT_RANDOM 0g 11"]
        {
            log.add(bad.as_bytes());
        }
        log.add(line("CLIENT_RANDOM", "ab", "0102030405060708").as_bytes());
        log.add(b"CLIENT_RANDOM 0101 0202\xff\n");
        assert_eq!((log.sessions(), log.bad_lines()), (0, 7));
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut log = KeyLog::default();
        log.add(line("CLIENT_RANDOM", "ab", "7e").as_bytes());
        let secrets = log.of(&[0xab; 32]).unwrap();
        assert!(!format!("{log:?} {secrets:?}").contains("7e"));
        assert!(!format!("{log:?} {secrets:?}").contains("126"));
    }
}
