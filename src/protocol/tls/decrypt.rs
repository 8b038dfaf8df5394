//! Opens the protected records of one direction, given its keys (RFC 8446 §5.2, RFC 5246 §6.2.3.3).

use std::fmt;

use ring::aead;

use super::schedule::{self, RecordKey, Suite};

/// Sequence numbers that are tried beyond the expected one, where the recording lacks records.
const SEARCH: u64 = 64;
/// Records in a row that no key opens, after which there is no sense in trying on.
const GIVE_UP: u32 = 4;

/// The keys of one epoch: handshake or application data.
struct Epoch {
    /// The traffic secret; empty in TLS 1.2, which has no `KeyUpdate`.
    secret: Vec<u8>,
    keys: RecordKey,
    seq: u64,
}

/// A record that was opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    /// The real content type.
    pub(super) kind: u8,
    pub(super) content: Vec<u8>,
    /// Records under the same keys before it that were not opened, since the last that was.
    pub(super) missed: u64,
    /// It is the first one under the keys of application data, and the Finished before it was not seen.
    pub(super) new_epoch: bool,
}

/// Opens one direction's records in order.
pub(super) struct Opener {
    suite: Suite,
    present: Option<Epoch>,
    next: Option<Epoch>,
    /// Records are missing, or of a kind that there are no keys for.
    loose: bool,
    /// From the first record on there should have been a key for each.
    exact: bool,
    failures: u32,
    opened: u64,
    scratch: Vec<u8>,
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opener({} records)", self.opened)
    }
}

impl Opener {
    /// An opener for TLS 1.3, from the traffic secrets of a direction. `None` where none of them fits.
    pub(super) fn tls13(suite: Suite, handshake: Option<&[u8]>, application: Option<&[u8]>) -> Option<Self> {
        if !suite.is_1_3 {
            return None;
        }
        let epoch = |secret: Option<&[u8]>| {
            let secret = secret?.to_vec();
            Some(Epoch { keys: schedule::traffic_key(suite, &secret)?, secret, seq: 0 })
        };
        let (present, next) = (epoch(handshake), epoch(application));
        if present.is_none() && next.is_none() {
            return None;
        }
        let loose = present.is_none();
        Some(Self { suite, present, next, loose, exact: !loose, failures: 0, opened: 0, scratch: Vec::new() })
    }

    /// An opener for TLS 1.2.
    pub(super) fn tls12(suite: Suite, keys: RecordKey) -> Self {
        let present = Some(Epoch { secret: Vec::new(), keys, seq: 0 });
        Self { suite, present, next: None, loose: false, exact: true, failures: 0, opened: 0, scratch: Vec::new() }
    }

    /// The suite's records carry so many bytes beside their content, padding aside.
    pub(super) const fn overhead(&self) -> u64 {
        if self.suite.is_1_3 {
            17 // content type and tag
        } else if self.suite.explicit_nonce {
            24
        } else {
            16
        }
    }

    /// Some records will not come: the next one's number is not known.
    pub(super) const fn records_missing(&mut self) {
        (self.loose, self.exact) = (true, false);
    }

    /// It has opened nothing of what it should have opened: the keys are of another session.
    pub(super) const fn is_wrong(&self) -> bool {
        self.opened == 0 && (self.gave_up() || (self.exact && self.failures > 0))
    }

    /// It opened something.
    pub(super) const fn works(&self) -> bool {
        self.opened > 0
    }

    /// It will not open anything any more.
    pub(super) const fn gave_up(&self) -> bool {
        self.failures >= GIVE_UP
    }

    /// The sender's Finished has passed: what follows has the keys of application data.
    pub(super) fn finished(&mut self) {
        if let Some(next) = self.next.take() {
            self.present = Some(next);
        }
    }

    /// The sender's `KeyUpdate` has passed (RFC 8446 §4.6.3).
    pub(super) fn key_update(&mut self) {
        self.present = self.present.take().and_then(|epoch| {
            let secret = schedule::next_secret(self.suite, &epoch.secret)?;
            Some(Epoch { keys: schedule::traffic_key(self.suite, &secret)?, secret, seq: 0 })
        });
    }

    /// Opens a record. `None` where no key does.
    pub(super) fn open(&mut self, kind: u8, body: &[u8]) -> Option<Opened> {
        if self.gave_up() {
            return None;
        }
        let opened = self.search(kind, body);
        match opened {
            Some(_) => {
                (self.failures, self.loose) = (0, false);
                self.opened += 1;
            }
            None => {
                // The number of a record that is damaged is used up all the same; one of other keys has none.
                self.failures += 1;
                self.loose = true;
            }
        }
        opened
    }

    fn search(&mut self, kind: u8, body: &[u8]) -> Option<Opened> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let tries = if self.loose { SEARCH } else { 1 };
        let mut found = None;
        if let Some(epoch) = &self.present {
            let hit = (0..tries).find(|skip| epoch.opens(self.suite, skip, kind, body, &mut scratch));
            found = hit.map(|skip| (false, skip));
        }
        if let Some(epoch) = self.next.as_ref().filter(|_| found.is_none()) {
            let hit = (0..tries).find(|skip| epoch.opens(self.suite, skip, kind, body, &mut scratch));
            found = hit.map(|skip| (true, skip));
        }
        let opened = found.map(|(in_next, skip)| {
            if in_next {
                self.finished();
            }
            if let Some(epoch) = &mut self.present {
                epoch.seq = epoch.seq.saturating_add(skip + 1);
            }
            let (kind, length) = if self.suite.is_1_3 { inner(&scratch) } else { (kind, scratch.len()) };
            let content = scratch.get(..length).unwrap_or_default().to_vec();
            Opened { kind, content, missed: skip, new_epoch: in_next }
        });
        self.scratch = scratch;
        opened
    }
}

impl Epoch {
    /// Tries the record as the one that comes `skip` after the next; its content is in `out` afterwards.
    fn opens(&self, suite: Suite, skip: &u64, kind: u8, body: &[u8], out: &mut Vec<u8>) -> bool {
        self.try_open(suite, self.seq.saturating_add(*skip), kind, body, out).is_some()
    }

    fn try_open(&self, suite: Suite, seq: u64, kind: u8, body: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let mut nonce = self.keys.iv;
        let sealed = if suite.explicit_nonce {
            let (explicit, sealed) = body.split_at_checked(8)?;
            nonce.iter_mut().skip(4).zip(explicit).for_each(|(to, from)| *to = *from);
            sealed
        } else {
            nonce.iter_mut().skip(4).zip(seq.to_be_bytes()).for_each(|(to, from)| *to ^= from);
            body
        };
        let length = |length: usize| u16::try_from(length).ok().map(u16::to_be_bytes);
        let plain = sealed.len().checked_sub(suite.aead.tag_len())?;
        let additional = if suite.is_1_3 {
            [&[kind, 3, 3][..], &length(body.len())?].concat()
        } else {
            [&seq.to_be_bytes()[..], &[kind, 3, 3], &length(plain)?].concat()
        };
        out.clear();
        out.extend_from_slice(sealed);
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        self.keys.key.open_in_place(nonce, aead::Aad::from(additional), out).ok()?;
        out.truncate(plain);
        Some(())
    }
}

/// Content type and length of what a TLS 1.3 record holds: the last byte that is not padding is the type.
fn inner(plain: &[u8]) -> (u8, usize) {
    let end = plain.iter().rposition(|byte| *byte != 0);
    end.and_then(|end| plain.get(end).map(|kind| (*kind, end))).unwrap_or((0, 0))
}

#[cfg(test)]
mod tests {
    use super::super::schedule::tests::{CLIENT_HANDSHAKE, bytes};
    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    fn suite() -> Suite {
        Suite::of(0x1301).unwrap()
    }

    fn sealed(secret: &[u8], seq: u64, kind: u8, content: &[u8], padding: usize) -> Vec<u8> {
        let keys = schedule::traffic_key(suite(), secret).unwrap();
        let mut nonce = keys.iv;
        nonce[4..].iter_mut().zip(seq.to_be_bytes()).for_each(|(to, from)| *to ^= from);
        let mut body = [content, &[kind], &vec![0; padding]].concat();
        let length = u16::try_from(body.len() + 16).unwrap().to_be_bytes();
        let additional = aead::Aad::from([&[23, 3, 3][..], &length].concat());
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        keys.key.seal_in_place_append_tag(nonce, additional, &mut body).unwrap();
        body
    }

    #[test]
    fn rfc_8448_3_the_client_s_finished() {
        let mut opener = Opener::tls13(suite(), Some(&bytes(CLIENT_HANDSHAKE)), None).unwrap();
        let record = bytes(
            "75 ec 4d c2 38 cc e6 0b 29 80 44 a7 1e 21 9c 56 cc 77 b0 51 7f e9 b9 3c 7a 4b fc 44 d8 7f 38 f8 03 38 ac 98 fc 46 de b3 \
             84 bd 1c ae ac ab 68 67 d7 26 c4 05 46",
        );
        let opened = opener.open(23, &record).unwrap();
        assert_eq!((opened.kind, opened.missed), (22, 0));
        assert_eq!(opened.content[..6], [20, 0, 0, 32, 0xa8, 0xec]);
    }

    #[test]
    fn padding_is_no_content() {
        let mut opener = Opener::tls13(suite(), None, Some(&SECRET)).unwrap();
        let opened = opener.open(23, &sealed(&SECRET, 0, 23, b"GET", 40)).unwrap();
        assert_eq!((opened.kind, opened.content.as_slice()), (23, b"GET".as_slice()));
        let only_zeros = opener.open(23, &sealed(&SECRET, 1, 0, b"", 9)).unwrap();
        assert_eq!((only_zeros.kind, only_zeros.content.len()), (0, 0));
    }

    #[test]
    fn a_known_hole_is_skipped_and_an_unknown_one_is_looked_for() {
        let mut opener = Opener::tls13(suite(), Some(&SECRET), None).unwrap();
        assert!(opener.open(23, &sealed(&SECRET, 0, 23, b"a", 0)).is_some());
        opener.records_missing();
        assert_eq!(opener.open(23, &sealed(&SECRET, 9, 23, b"b", 0)).unwrap().missed, 8);
        assert_eq!(opener.open(23, &sealed(&SECRET, 10, 23, b"c", 0)).unwrap().missed, 0);
        // A damaged record uses its number up.
        let mut damaged = sealed(&SECRET, 11, 23, b"d", 0);
        damaged[0] ^= 1;
        assert!(opener.open(23, &damaged).is_none());
        assert_eq!(opener.open(23, &sealed(&SECRET, 12, 23, b"e", 0)).unwrap().missed, 1);
        opener.records_missing();
        assert!(opener.open(23, &sealed(&SECRET, 13 + SEARCH, 23, b"f", 0)).is_none(), "too far");
    }

    #[test]
    fn keys_change_after_finished_and_after_key_update() {
        let application = [9; 32];
        let mut opener = Opener::tls13(suite(), Some(&SECRET), Some(&application)).unwrap();
        assert!(opener.open(23, &sealed(&SECRET, 0, 22, b"fin", 0)).is_some());
        opener.finished();
        assert!(opener.open(23, &sealed(&application, 0, 23, b"a", 0)).is_some());
        opener.key_update();
        let next = schedule::next_secret(suite(), &application).unwrap();
        assert_eq!(opener.open(23, &sealed(&next, 0, 23, b"b", 0)).unwrap().content, b"b");
    }

    #[test]
    fn a_wrong_key_gives_up_soon_and_says_that_it_never_worked() {
        let mut opener = Opener::tls13(suite(), Some(&[1; 32]), Some(&[2; 32])).unwrap();
        for seq in 0..u64::from(GIVE_UP) {
            assert!(opener.open(23, &sealed(&SECRET, seq, 23, b"a", 0)).is_none());
        }
        assert!(opener.gave_up() && opener.is_wrong());
    }

    #[test]
    fn short_records_open_nothing() {
        for number in [0x1303, 0xc02f, 0xcca8] {
            let suite = Suite::of(number).unwrap();
            let keys = if suite.is_1_3 {
                schedule::traffic_key(suite, &SECRET).unwrap()
            } else {
                let [client, _] = schedule::key_block(suite, &[3; 48], &[1; 32], &[2; 32]).unwrap();
                client
            };
            for length in 0..30 {
                let mut opener =
                    Opener { suite, ..Opener::tls12(suite, RecordKey { key: keys.key.clone(), iv: keys.iv }) };
                assert!(opener.open(23, &vec![0; length]).is_none());
            }
        }
    }
}
