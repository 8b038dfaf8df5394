//! Opens the protected records of one direction in order, given its keys, and knows when which keys are in use.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

use super::cipher::RecordKey;
use super::schedule::{self, Suite};

/// Numbers that are tried where the recording lacks records: so many, and one more for each [`SHORT`] bytes that are missing,
/// but not more than the last.
const SEARCH: u64 = 64;
const SHORT: u64 = 1024;
const SEARCH_MOST: u64 = 512;
/// The most that a record carries, and the most beside that where it is not known (RFC 5246 §6.2.3), header included.
const LONGEST: u64 = 1 << 14;
const MOST_OVERHEAD: u64 = 2048 + 5;
/// Numbers that are tried where records for which there are no keys stand before those for which there are.
const LOOK: u64 = 4;
/// Records in a row that no key opens, after which there is no sense in trying on.
const GIVE_UP: u32 = 4;
/// The same where records without keys are to be expected: a flight of certificates, or early data. Where records are missing,
/// too, each costs too many openings for that.
const GIVE_UP_BLIND: u32 = 256;
const GIVE_UP_BLIND_AND_LOOSE: u32 = 16;

/// What records are protected for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// 0-RTT (RFC 8446 §2.3).
    EarlyData,
    Handshake,
    /// In TLS 1.2, everything.
    Application,
}

/// The keys of one stage, or of one part of it.
struct Epoch {
    stage: Stage,
    /// The traffic secret; empty in TLS 1.2, which has no `KeyUpdate`.
    secret: Vec<u8>,
    keys: RecordKey,
    /// The number of the record that comes next.
    next: u64,
}

/// A record that was opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) stage: Stage,
    /// The real content type.
    pub(super) kind: u8,
    pub(super) content: Vec<u8>,
    /// Records under the same keys before it that were not opened, since the last that was.
    pub(super) missed: u64,
    /// It is the first one under its keys, and the message that announces them was not seen.
    pub(super) new_epoch: bool,
    /// See [`RecordKey::overhead`].
    pub(super) overhead: Option<u64>,
}

/// Opens one direction's records in order.
pub(super) struct Opener {
    suite: Suite,
    /// The keys in use, and behind them those that will be.
    epochs: VecDeque<Epoch>,
    /// Nothing was opened yet, and records may come first for which there are no keys.
    blind: bool,
    /// Records are missing.
    loose: bool,
    /// There should have been a key for each record from the first on.
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
    /// An opener for TLS 1.3, from a direction's traffic secrets in the order of their stages. `None` where none of them fits.
    pub(super) fn tls13(suite: Suite, secrets: &[(Stage, Option<&[u8]>)]) -> Option<Self> {
        let epoch = |(stage, secret): &(Stage, Option<&[u8]>)| Epoch::tls13(suite, *stage, secret.as_ref()?.to_vec());
        let epochs: VecDeque<Epoch> = secrets.iter().filter_map(epoch).collect();
        let last = epochs.back()?.stage;
        let complete = secrets.iter().take_while(|(stage, _)| *stage != last).count() + 1 == epochs.len();
        Some(Self::new(suite, epochs, complete))
    }

    /// An opener for TLS 1.2.
    pub(super) fn tls12(suite: Suite, keys: RecordKey) -> Self {
        Self::new(suite, VecDeque::from([Epoch::tls12(keys)]), true)
    }

    fn new(suite: Suite, epochs: VecDeque<Epoch>, exact: bool) -> Self {
        Self { suite, epochs, blind: !exact, loose: false, exact, failures: 0, opened: 0, scratch: Vec::new() }
    }

    /// Some records will not come: the next one's number is not known.
    pub(super) const fn records_missing(&mut self) {
        (self.loose, self.exact) = (true, false);
    }

    /// It has opened nothing of what it should have opened: the keys are of another session.
    pub(super) fn is_wrong(&self) -> bool {
        self.opened == 0 && (self.gave_up() || (self.exact && self.failures > 0))
    }

    /// It opened something.
    pub(super) const fn works(&self) -> bool {
        self.opened > 0
    }

    /// It will not open anything any more.
    pub(super) fn gave_up(&self) -> bool {
        let most = match (self.blind, self.loose) {
            (false, _) => GIVE_UP,
            (true, false) => GIVE_UP_BLIND,
            (true, true) => GIVE_UP_BLIND_AND_LOOSE,
        };
        self.epochs.is_empty() || self.failures >= most
    }

    /// The sender's last record of a stage has passed: its `EndOfEarlyData`, or its Finished.
    pub(super) fn stage_is_over(&mut self, stage: Stage) {
        if self.epochs.front().is_some_and(|epoch| epoch.stage == stage) {
            self.epochs.pop_front();
        }
    }

    /// The sender's `KeyUpdate` has passed (RFC 8446 §4.6.3).
    pub(super) fn key_update(&mut self) {
        if let Some(updated) = self.updated() {
            self.epochs.pop_front();
            self.epochs.push_front(updated);
        }
    }

    /// A renegotiation has led to other keys, which count after the next `ChangeCipherSpec` (RFC 5246 §7.1).
    pub(super) fn renegotiated(&mut self, suite: Suite, keys: RecordKey) {
        self.epochs.truncate(1);
        self.suite = suite;
        self.epochs.push_back(Epoch::tls12(keys));
    }

    /// The sender's `ChangeCipherSpec` of a renegotiation has passed.
    pub(super) fn cipher_changed(&mut self) {
        self.epochs.pop_front();
    }

    /// Opens a record. `None` where no key does. So many bytes lie between it and the last one that was opened, as far as is
    /// known: that many say how many records they may have been.
    pub(super) fn open(&mut self, kind: u8, body: &[u8], between: u64) -> Option<Opened> {
        if self.gave_up() {
            return None;
        }
        let mut content = std::mem::take(&mut self.scratch);
        let Some((at, number)) = self.find(kind, body, between, &mut content) else {
            self.scratch = content;
            self.failures += 1;
            // The number of a record that is damaged is used up all the same; one of other keys has none.
            self.loose |= !self.blind;
            return None;
        };
        self.epochs.drain(..at);
        (self.failures, self.loose, self.blind) = (0, false, false);
        self.opened += 1;
        let epoch = self.epochs.front_mut()?;
        let missed = number.saturating_sub(epoch.next);
        epoch.next = number.saturating_add(1);
        let kind = if self.suite.is_1_3() { unpadded(&mut content) } else { kind };
        let overhead = epoch.keys.overhead();
        Some(Opened { stage: epoch.stage, kind, content, missed, new_epoch: at > 0, overhead })
    }

    /// Which of the epochs opens the record, and as what number.
    fn find(&mut self, kind: u8, body: &[u8], between: u64, out: &mut Vec<u8>) -> Option<(usize, u64)> {
        let (skipped, tries) = match (self.loose, self.blind) {
            (true, _) => (self.fewest(between), (SEARCH + between / SHORT).min(SEARCH_MOST)),
            (false, true) => (0, LOOK),
            (false, false) => (0, 1),
        };
        for (at, epoch) in self.epochs.iter().enumerate() {
            let skipped = if at == 0 { skipped } else { 0 };
            if let Some(number) = epoch.keys.open(epoch.numbers(skipped, tries), kind, body, out) {
                return Some((at, number));
            }
        }
        // A KeyUpdate may be among what is missing.
        let updated = self.loose.then(|| self.updated()).flatten()?;
        let number = updated.keys.open(updated.numbers(0, tries), kind, body, out)?;
        self.epochs.insert(1, updated);
        Some((1, number))
    }

    /// So many records at least lie in that many bytes, a few less for what others may have put between them.
    fn fewest(&self, bytes: u64) -> u64 {
        let overhead = self.epochs.front().and_then(|epoch| epoch.keys.overhead());
        let longest = LONGEST + overhead.map_or(MOST_OVERHEAD, |overhead| overhead + 5);
        (bytes / longest).saturating_sub(u64::from(GIVE_UP))
    }

    /// What a `KeyUpdate` makes of the keys in use.
    fn updated(&self) -> Option<Epoch> {
        let epoch = self.epochs.front().filter(|epoch| epoch.stage == Stage::Application && self.suite.is_1_3())?;
        Epoch::tls13(self.suite, Stage::Application, schedule::next_secret(self.suite, &epoch.secret)?)
    }
}

impl Epoch {
    fn tls13(suite: Suite, stage: Stage, secret: Vec<u8>) -> Option<Self> {
        Some(Self { stage, keys: schedule::traffic_key(suite, &secret)?, secret, next: 0 })
    }

    const fn tls12(keys: RecordKey) -> Self {
        Self { stage: Stage::Application, secret: Vec::new(), keys, next: 0 }
    }

    const fn numbers(&self, skipped: u64, tries: u64) -> Range<u64> {
        let first = self.next.saturating_add(skipped);
        first..first.saturating_add(tries)
    }
}

/// Takes padding and content type off what a TLS 1.3 record holds: the last byte that is not padding is the type
/// (RFC 8446 §5.2). A record of padding alone has none.
fn unpadded(plain: &mut Vec<u8>) -> u8 {
    let end = plain.iter().rposition(|byte| *byte != 0);
    let kind = end.and_then(|end| plain.get(end).copied()).unwrap_or_default();
    plain.truncate(end.unwrap_or_default());
    kind
}

#[cfg(test)]
mod tests {
    use super::super::cipher::Order;
    use super::super::cipher::tests::pairs;
    use super::super::schedule::tests::{CLIENT_HANDSHAKE, bytes};
    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    fn suite() -> Suite {
        Suite::of(0x1301).unwrap()
    }

    fn sealed(secret: &[u8], seq: u64, kind: u8, content: &[u8], padding: usize) -> Vec<u8> {
        schedule::traffic_key(suite(), secret).unwrap().seal(seq, kind, content, padding)
    }

    fn opener(handshake: Option<&[u8]>, application: Option<&[u8]>) -> Opener {
        Opener::tls13(suite(), &[(Stage::Handshake, handshake), (Stage::Application, application)]).unwrap()
    }

    #[test]
    fn rfc_8448_3_the_client_s_finished() {
        let mut opener = opener(Some(&bytes(CLIENT_HANDSHAKE)), None);
        let record = bytes(
            "75 ec 4d c2 38 cc e6 0b 29 80 44 a7 1e 21 9c 56 cc 77 b0 51 7f e9 b9 3c 7a 4b fc 44 d8 7f 38 f8 03 38 ac 98 fc 46 de b3 \
             84 bd 1c ae ac ab 68 67 d7 26 c4 05 46",
        );
        let opened = opener.open(23, &record, 0).unwrap();
        assert_eq!((opened.kind, opened.missed), (22, 0));
        assert_eq!(opened.content[..6], [20, 0, 0, 32, 0xa8, 0xec]);
    }

    #[test]
    fn padding_is_no_content() {
        let mut opener = opener(None, Some(&SECRET));
        let opened = opener.open(23, &sealed(&SECRET, 0, 23, b"GET", 40), 0).unwrap();
        assert_eq!((opened.kind, opened.content.as_slice()), (23, b"GET".as_slice()));
        let only_zeros = opener.open(23, &sealed(&SECRET, 1, 0, b"", 9), 0).unwrap();
        assert_eq!((only_zeros.kind, only_zeros.content.len()), (0, 0));
    }

    #[test]
    fn a_known_hole_is_skipped_and_an_unknown_one_is_looked_for() {
        let mut opener = opener(Some(&SECRET), None);
        assert!(opener.open(23, &sealed(&SECRET, 0, 23, b"a", 0), 0).is_some());
        opener.records_missing();
        assert_eq!(opener.open(23, &sealed(&SECRET, 9, 23, b"b", 0), 0).unwrap().missed, 8);
        assert_eq!(opener.open(23, &sealed(&SECRET, 10, 23, b"c", 0), 0).unwrap().missed, 0);
        // A damaged record uses its number up.
        let mut damaged = sealed(&SECRET, 11, 23, b"d", 0);
        damaged[0] ^= 1;
        assert!(opener.open(23, &damaged, 0).is_none());
        assert_eq!(opener.open(23, &sealed(&SECRET, 12, 23, b"e", 0), 0).unwrap().missed, 1);
        opener.records_missing();
        assert!(opener.open(23, &sealed(&SECRET, 13 + SEARCH, 23, b"f", 0), 0).is_none(), "too far");
        assert!(opener.open(23, &sealed(&SECRET, 13 + SEARCH, 23, b"f", 0), SEARCH * 1400).is_some());
        // As many records as a gigabyte makes, long ones and some that are not.
        opener.records_missing();
        let number = 14 + SEARCH + (1 << 30) / ((1 << 14) + 22) + 500;
        assert!(opener.open(23, &sealed(&SECRET, number, 23, b"g", 0), 0).is_none());
        assert!(opener.open(23, &sealed(&SECRET, number, 23, b"g", 0), 1 << 30).is_some());
    }

    #[test]
    fn keys_change_after_finished_and_after_key_update() {
        let application = [9; 32];
        let mut opener = opener(Some(&SECRET), Some(&application));
        assert!(opener.open(23, &sealed(&SECRET, 0, 22, b"fin", 0), 0).is_some());
        opener.stage_is_over(Stage::Handshake);
        assert!(opener.open(23, &sealed(&application, 0, 23, b"a", 0), 0).is_some());
        opener.key_update();
        let next = schedule::next_secret(suite(), &application).unwrap();
        assert_eq!(opener.open(23, &sealed(&next, 0, 23, b"b", 0), 0).unwrap().content, b"b");
    }

    #[test]
    fn a_wrong_key_gives_up_soon_and_says_that_it_never_worked() {
        let mut opener = opener(Some(&[1; 32]), Some(&[2; 32]));
        for seq in 0..u64::from(GIVE_UP) {
            assert!(opener.open(23, &sealed(&SECRET, seq, 23, b"a", 0), 0).is_none());
        }
        assert!(opener.gave_up() && opener.is_wrong());
    }

    #[test]
    fn short_records_open_nothing() {
        for number in [0x1303, 0xc02f, 0xcca8, 0xc013] {
            for length in 0..60 {
                let suite = Suite::of(number).unwrap();
                let mut opener = if suite.is_1_3() {
                    Opener::tls13(suite, &[(Stage::Handshake, Some(&SECRET))]).unwrap()
                } else {
                    let keys = schedule::key_block(suite, Order::MacThenEncrypt, &[3; 48], &[1; 32], &[2; 32]);
                    let [client, _] = keys.unwrap();
                    Opener::tls12(suite, client)
                };
                assert!(opener.open(23, &vec![0; length], 0).is_none());
            }
        }
    }

    #[test]
    fn without_the_handshake_s_keys_the_data_are_opened_all_the_same() {
        // Go sends four records before its data, others hundreds with a long chain.
        let mut opener = opener(None, Some(&SECRET));
        for number in 0..40 {
            assert!(opener.open(23, &sealed(&[1; 32], number, 22, b"handshake", 0), 0).is_none());
        }
        assert!(!opener.is_wrong());
        let opened = opener.open(23, &sealed(&SECRET, 0, 23, b"a", 0), 0).unwrap();
        assert_eq!((opened.missed, opened.stage), (0, Stage::Application));
        for _ in 0..GIVE_UP {
            assert!(opener.open(23, b"damaged", 0).is_none());
        }
        assert!(opener.gave_up() && !opener.is_wrong());
    }

    #[test]
    fn without_the_data_s_keys_there_is_nothing_to_open_after_the_handshake() {
        let mut opener = opener(Some(&SECRET), None);
        assert!(opener.open(23, &sealed(&SECRET, 0, 22, b"fin", 0), 0).is_some());
        opener.stage_is_over(Stage::Handshake);
        assert!(opener.gave_up() && !opener.is_wrong());
    }

    #[test]
    fn early_data_without_keys_are_passed_over_and_nobody_calls_the_others_wrong() {
        let secrets = [(Stage::EarlyData, None), (Stage::Handshake, Some(&SECRET[..]))];
        let mut opener = Opener::tls13(suite(), &secrets).unwrap();
        for number in 0..20 {
            assert!(opener.open(23, &sealed(&[1; 32], number, 23, b"early", 0), 0).is_none());
        }
        assert!(!opener.is_wrong());
        assert_eq!(opener.open(23, &sealed(&SECRET, 0, 22, b"fin", 0), 0).unwrap().missed, 0);
    }

    #[test]
    fn each_stage_has_its_keys() {
        let secrets = [
            (Stage::EarlyData, Some(&[1; 32][..])),
            (Stage::Handshake, Some(&[2; 32][..])),
            (Stage::Application, Some(&[3; 32][..])),
        ];
        let mut opener = Opener::tls13(suite(), &secrets).unwrap();
        let mut next = |secret: u8, number| {
            let opened = opener.open(23, &sealed(&[secret; 32], number, 23, b"a", 0), 0).unwrap();
            opener.stage_is_over(opened.stage);
            (opened.stage, opened.new_epoch)
        };
        assert_eq!(next(1, 0), (Stage::EarlyData, false));
        assert_eq!(next(2, 0), (Stage::Handshake, false));
        assert_eq!(next(3, 0), (Stage::Application, false));
        // A server that refuses early data is given none of its own accord: the message that ends them is not sent.
        let mut opener = Opener::tls13(suite(), &secrets).unwrap();
        assert!(opener.open(23, &sealed(&[1; 32], 0, 23, b"early", 0), 0).is_some());
        assert!(opener.open(23, &sealed(&[2; 32], 0, 22, b"fin", 0), 0).unwrap().new_epoch);
    }

    #[test]
    fn a_lost_key_update_is_found_behind_the_hole() {
        let mut opener = opener(None, Some(&SECRET));
        assert!(opener.open(23, &sealed(&SECRET, 0, 23, b"a", 0), 0).is_some());
        let next = schedule::next_secret(suite(), &SECRET).unwrap();
        assert!(opener.open(23, &sealed(&next, 3, 23, b"b", 0), 0).is_none(), "no hole is known of");
        opener.records_missing();
        let opened = opener.open(23, &sealed(&next, 3, 23, b"b", 0), 0).unwrap();
        assert_eq!((opened.missed, opened.new_epoch), (3, true));
        assert_eq!(opener.open(23, &sealed(&next, 4, 23, b"c", 0), 0).unwrap().missed, 0);
    }

    #[test]
    fn a_hole_is_stepped_over_with_cbc_too() {
        for (sealer, key) in pairs() {
            let mut opener = Opener::tls12(Suite::of(0xc013).unwrap(), key);
            assert_eq!(opener.open(22, &sealer.seal(0, 22, b"fin", 0), 0).unwrap().content, b"fin");
            opener.records_missing();
            let opened = opener.open(23, &sealer.seal(9, 23, b"b", 3), 0).unwrap();
            assert_eq!((opened.missed, opened.overhead, opened.kind), (8, None, 23));
            assert_eq!(opener.open(23, &sealer.seal(10, 23, b"", 0), 0).unwrap().content, b"");
        }
    }

    #[test]
    fn rfc_5246_7_1_a_renegotiation_s_keys_count_after_change_cipher_spec() {
        let mut pairs = pairs();
        let ((new, new_key), (old, old_key)) = (pairs.pop().unwrap(), pairs.pop().unwrap());
        let mut opener = Opener::tls12(Suite::of(0xc013).unwrap(), old_key);
        assert!(opener.open(22, &old.seal(0, 22, b"hello", 0), 0).is_some());
        opener.renegotiated(Suite::of(0xc028).unwrap(), new_key);
        assert!(opener.open(20, &old.seal(1, 20, &[1], 0), 0).is_some());
        opener.cipher_changed();
        assert_eq!(opener.open(22, &new.seal(0, 22, b"fin", 0), 0).unwrap().missed, 0);
        opener.cipher_changed();
        assert!(opener.gave_up() && !opener.is_wrong(), "no keys for what follows");
    }
}
