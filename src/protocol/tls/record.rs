//! TLS records (RFC 8446 §5.1) and the handshake messages in them, however both are split over segments.

use crate::observation::Veil;

/// The most that a record may carry: 2^14 and the expansion of old versions (RFC 5246 §6.2.3).
const MAX_RECORD: usize = (1 << 14) + 2048;
/// The longest handshake message that is put together. Certificate chains seen in the wild stay below a tenth of it.
const MAX_MESSAGE: usize = 1 << 18;

/// Content types.
pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION_DATA: u8 = 23;

/// A record as it is reported by [`Records::read`].
pub(super) struct Record<'a> {
    pub(super) kind: u8,
    /// Length as declared.
    pub(super) length: u16,
    /// Its content; empty for application data, unless it is kept.
    pub(super) body: &'a [u8],
    /// Bytes of the piece that lie behind it.
    pub(super) left: usize,
}

/// What [`Records::read`] met.
pub(super) enum Met<'a> {
    Record(Record<'a>),
    /// These bytes are not a TLS record.
    NotTls,
    /// The bytes are used up.
    Needed,
}

/// Cuts a byte stream into records. Whole records are handed on in place; split ones are put together.
#[derive(Debug, Default)]
pub(super) struct Records {
    pending: Vec<u8>,
    /// Bytes of an application-data record still to come.
    skipping: usize,
    /// The place in the stream is not known; the next piece that starts with a record header ends that.
    pub(super) lost: Option<Veil>,
    /// Bytes handed to the reader so far.
    pub(super) bytes: u64,
    /// Application data is wanted, too: there may be keys for it.
    keep: bool,
}

impl Records {
    /// A hole of `length` bytes. Inside of skipped application data it does no harm.
    pub(super) fn gap(&mut self, length: u64, veil: Veil) {
        if self.lost.is_none() && self.pending.is_empty() && self.skipping as u64 >= length {
            self.skipping -= usize::try_from(length).unwrap_or(self.skipping);
            return;
        }
        if self.lost.is_none()
            && let Header::Of { kind: APPLICATION_DATA, length: whole } = header(&self.pending)
            && let Some(left) = (u64::from(whole) + 5).checked_sub(self.pending.len() as u64 + length)
        {
            // The rest of the record says nothing without what is missing.
            self.pending.clear();
            self.skipping = usize::try_from(left).unwrap_or_default();
            return;
        }
        self.pending.clear();
        self.skipping = 0;
        self.lost = Some(veil);
    }

    /// From now on application data is wanted, or it is not.
    pub(super) fn keep(&mut self, keep: bool) {
        if self.keep
            && !keep
            && let Header::Of { kind: APPLICATION_DATA, length } = header(&self.pending)
        {
            self.skipping = (usize::from(length) + 5).saturating_sub(self.pending.len());
            self.pending.clear();
        }
        self.keep = keep;
    }

    /// A new piece of the stream starts: after a hole, tries to find the place again, and gives what is to be read. Where
    /// application data are wanted, a record may begin anywhere; else it is looked for at the front alone.
    pub(super) fn resume<'a>(&mut self, piece: &'a [u8]) -> Option<&'a [u8]> {
        if self.lost.is_none() {
            return Some(piece);
        }
        let looks = |at: &usize| piece.get(*at..).is_some_and(|rest| rest.starts_with(&[APPLICATION_DATA, 3, 3]));
        let mut places = memchr::memchr_iter(APPLICATION_DATA, piece).filter(|at| self.keep && looks(at));
        let found = Some(piece).filter(|piece| plausible(piece));
        let found = found.or_else(|| places.find_map(|at| piece.get(at..).filter(|rest| plausible(rest))))?;
        self.lost = None;
        Some(found)
    }

    /// The stream is out of step. Where application data are wanted, the place is looked for again; false where not.
    pub(super) fn look_again(&mut self) -> bool {
        if self.keep {
            self.lost = Some(Veil::Gap);
        }
        self.keep
    }

    /// What was collected of a record that is not complete.
    pub(super) fn unfinished(&self) -> &[u8] {
        &self.pending
    }

    /// Whether a record has begun and not come to its end.
    pub(super) fn is_open(&self) -> bool {
        self.skipping > 0 || !self.pending.is_empty()
    }

    /// Only follows where records begin and end.
    pub(super) fn skim(&mut self, piece: &[u8]) {
        let Some(mut input) = self.resume(piece) else { return };
        let mut goes_on = true;
        while goes_on {
            goes_on = self
                .read(&mut input, |met| match met {
                    Met::Record(_) => Some(true),
                    Met::Needed => Some(false),
                    Met::NotTls => None,
                })
                .unwrap_or_else(|| {
                    self.lost = Some(Veil::Gap);
                    false
                });
        }
    }

    /// Reads one record from the front of `input` and calls `take` with it; `input` moves on.
    pub(super) fn read<R>(&mut self, input: &mut &[u8], take: impl FnOnce(Met<'_>) -> R) -> R {
        if self.skipping > 0 {
            let step = self.skipping.min(input.len());
            self.skipping -= step;
            *input = input.get(step..).unwrap_or_default();
        }
        if input.is_empty() {
            return take(Met::Needed);
        }
        if self.pending.is_empty() {
            match header(input) {
                Header::Short => {}
                Header::Bad => return take(Met::NotTls),
                Header::Of { kind: APPLICATION_DATA, length } if !self.keep => {
                    let whole = 5 + usize::from(length);
                    self.skipping = whole.saturating_sub(input.len());
                    *input = input.get(whole..).unwrap_or_default();
                    let left = input.len();
                    return take(Met::Record(Record { kind: APPLICATION_DATA, length, body: &[], left }));
                }
                Header::Of { kind, length } => {
                    let whole = 5 + usize::from(length);
                    if let (Some(body), Some(rest)) = (input.get(5..whole), input.get(whole..)) {
                        let record = Record { kind, length, body, left: rest.len() };
                        *input = rest;
                        return take(Met::Record(record));
                    }
                }
            }
        }
        self.collect(input, take)
    }

    /// Goes on with a record that did not fit into one piece.
    fn collect<R>(&mut self, input: &mut &[u8], take: impl FnOnce(Met<'_>) -> R) -> R {
        loop {
            let wanted = match header(&self.pending) {
                Header::Short => 5,
                Header::Bad => {
                    self.pending.clear();
                    return take(Met::NotTls);
                }
                Header::Of { kind: APPLICATION_DATA, length } if !self.keep => {
                    self.pending.clear();
                    self.skipping = usize::from(length);
                    let step = self.skipping.min(input.len());
                    self.skipping -= step;
                    *input = input.get(step..).unwrap_or_default();
                    let left = input.len();
                    return take(Met::Record(Record { kind: APPLICATION_DATA, length, body: &[], left }));
                }
                Header::Of { kind, length } => {
                    let whole = 5 + usize::from(length);
                    if self.pending.len() >= whole {
                        let pending = std::mem::take(&mut self.pending);
                        let body = pending.get(5..whole).unwrap_or_default();
                        return take(Met::Record(Record { kind, length, body, left: input.len() }));
                    }
                    whole
                }
            };
            let step = wanted.saturating_sub(self.pending.len()).min(input.len());
            if step == 0 {
                return take(Met::Needed);
            }
            let (now, rest) = input.split_at(step);
            self.pending.extend_from_slice(now);
            *input = rest;
        }
    }
}

enum Header {
    Short,
    Bad,
    Of { kind: u8, length: u16 },
}

fn header(bytes: &[u8]) -> Header {
    match *bytes {
        [kind, major, minor, high, low, ..] => {
            let length = u16::from_be_bytes([high, low]);
            if matches!(kind, CHANGE_CIPHER_SPEC..=24) && major == 3 && minor <= 4 && usize::from(length) <= MAX_RECORD
            {
                Header::Of { kind, length }
            } else {
                Header::Bad
            }
        }
        [kind, ..] if !matches!(kind, CHANGE_CIPHER_SPEC..=24) => Header::Bad,
        [_, major, ..] if major != 3 => Header::Bad,
        _ => Header::Short,
    }
}

/// Whether bytes after a hole start with a record: its header, and the next one's where that is at hand.
fn plausible(piece: &[u8]) -> bool {
    let Header::Of { length, .. } = header(piece) else { return false };
    match piece.get(5 + usize::from(length)..) {
        Some(next) if !next.is_empty() => !matches!(header(next), Header::Bad),
        _ => true,
    }
}

/// Puts handshake messages together (RFC 8446 §4: type, 24-bit length, body).
#[derive(Debug, Default)]
pub(super) struct Messages {
    pending: Vec<u8>,
    /// A message was longer than anybody wants to hold.
    overlong: bool,
}

impl Messages {
    /// Adds a record's content and calls `take` with type and body of each message that is complete.
    pub(super) fn push(&mut self, content: &[u8], mut take: impl FnMut(u8, &[u8])) {
        if self.overlong {
            return;
        }
        if !self.pending.is_empty() {
            self.pending.extend_from_slice(content);
            let collected = std::mem::take(&mut self.pending);
            let rest = each(&collected, &mut take).to_vec();
            self.keep(&rest);
            return;
        }
        let rest = each(content, &mut take);
        self.keep(rest);
    }

    /// What was collected of a message that is not complete.
    pub(super) fn unfinished(&self) -> &[u8] {
        &self.pending
    }

    pub(super) fn forget(&mut self) {
        self.pending.clear();
    }

    fn keep(&mut self, rest: &[u8]) {
        if rest.len() > MAX_MESSAGE || message_length(rest).is_some_and(|length| length > MAX_MESSAGE) {
            self.overlong = true;
            self.pending = Vec::new();
        } else {
            self.pending.clear();
            self.pending.extend_from_slice(rest);
        }
    }
}

fn message_length(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [_, a, b, c, ..] => usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).ok(),
        _ => None,
    }
}

fn each<'a>(mut bytes: &'a [u8], take: &mut impl FnMut(u8, &[u8])) -> &'a [u8] {
    while let Some(length) = message_length(bytes) {
        let (Some(body), Some(rest)) = (bytes.get(4..4 + length), bytes.get(4 + length..)) else { break };
        take(bytes.first().copied().unwrap_or_default(), body);
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(records: &mut Records, mut input: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut seen = Vec::new();
        loop {
            let done = records.read(&mut input, |met| match met {
                Met::Record(record) => {
                    seen.push((record.kind, record.body.to_vec()));
                    false
                }
                Met::NotTls => {
                    seen.push((0, Vec::new()));
                    true
                }
                Met::Needed => true,
            });
            if done {
                return seen;
            }
        }
    }

    #[test]
    fn records_split_at_every_byte_are_the_same_records() {
        let stream =
            [[22, 3, 1, 0, 4, 14, 0, 0, 0].as_slice(), &[23, 3, 3, 0, 3, 9, 9, 9], &[21, 3, 3, 0, 2, 2, 42]].concat();
        let whole = read_all(&mut Records::default(), &stream);
        assert_eq!(whole, [(22, vec![14, 0, 0, 0]), (23, vec![]), (21, vec![2, 42])]);
        for cut in 1..stream.len() {
            let mut records = Records::default();
            let mut split = read_all(&mut records, &stream[..cut]);
            split.extend(read_all(&mut records, &stream[cut..]));
            assert_eq!(split, whole, "cut at {cut}");
        }
    }

    #[test]
    fn plain_text_is_told_at_the_first_byte() {
        assert_eq!(read_all(&mut Records::default(), b"H"), [(0, vec![])]);
    }

    #[test]
    fn a_hole_inside_skipped_data_does_no_harm_and_another_is_left_at_the_next_header() {
        let mut records = Records::default();
        read_all(&mut records, &[23, 3, 3, 0, 10, 1]);
        records.gap(9, Veil::Gap);
        assert_eq!(read_all(&mut records, &[21, 3, 3, 0, 2, 2, 42]), [(21, vec![2, 42])]);
        records.gap(100, Veil::Gap);
        assert!(records.resume(b"\x99garbage").is_none());
        assert!(records.resume(&[9, 23, 3, 3, 0, 1, 42]).is_none(), "nobody wants it");
        assert!(records.resume(&[21, 3, 3, 0, 2, 2, 42]).is_some());
    }

    #[test]
    fn wanted_data_are_found_in_the_middle_of_a_piece() {
        let mut records = Records::default();
        records.keep(true);
        let data = [23, 3, 3, 0, 1, 42, 23, 3, 3, 0, 9];
        for before in [&[][..], &[23], &[23, 3, 3, 0, 1, 42, 9], &[9, 23, 3, 3, 0xff, 0xff]] {
            records.lost = Some(Veil::Gap);
            assert_eq!(records.resume(&[before, &data].concat()), Some(&data[..]), "{before:?}");
        }
    }

    #[test]
    fn messages_split_over_records_are_put_together() {
        let mut messages = Messages::default();
        let mut seen = Vec::new();
        for part in [&[11, 0, 0, 3, 1][..], &[2], &[3, 14, 0, 0, 0]] {
            messages.push(part, |kind, body| seen.push((kind, body.to_vec())));
        }
        assert_eq!(seen, [(11, vec![1, 2, 3]), (14, vec![])]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_hold_much(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20)) {
            let (mut records, mut messages) = (Records::default(), Messages::default());
            for piece in pieces {
                for (_, body) in read_all(&mut records, &piece) {
                    messages.push(&body, |_, _| {});
                }
                prop_assert!(records.unfinished().len() <= MAX_RECORD + 5);
            }
        }
    }
}
