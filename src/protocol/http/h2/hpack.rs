//! Decodes header blocks of HTTP/2 (RFC 7541), as a reader beside the two who talk.

use std::collections::VecDeque;

use super::huffman::Code;

/// The table's size before anybody says otherwise (RFC 9113 §6.5.2).
const DEFAULT_SIZE: usize = 4_096;
/// The largest table that is followed; the older entries of a larger one are unknown. Which size the decoding side allowed
/// need not be known: the encoder names it in the block (§4.2).
const MAX_SIZE: usize = 1 << 16;
/// An entry's cost beside its bytes (§4.1).
const ENTRY: usize = 32;

/// Names and values of the static table (Appendix A).
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

type Field = (Vec<u8>, Vec<u8>);

/// The decoder of one direction.
///
/// It may miss blocks, and goes on after them: indices count from the newest entry (§2.3.3), so that those which were added
/// since are known whatever was before. What an older one stands for is unknown, and never guessed.
pub(super) struct Decoder {
    code: Code,
    /// The newest entry first; `None` for one whose name is unknown.
    entries: VecDeque<Option<Field>>,
    size: usize,
    limit: usize,
    /// The table may hold more than `entries`.
    incomplete: bool,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { code: Code::new(), entries: VecDeque::new(), size: 0, limit: DEFAULT_SIZE, incomplete: false }
    }

    /// A block was missed: what the table holds is unknown from here on.
    pub(super) fn forget(&mut self) {
        self.entries.clear();
        self.size = 0;
        self.incomplete = true;
    }

    /// Reads a whole block and calls `take` with name and value of each field that is known. Says whether all were; a block
    /// that breaks the rules is known as far as it is read.
    pub(super) fn decode(&mut self, block: &[u8], take: impl FnMut(&[u8], &[u8])) -> bool {
        let whole = self.fields(block, take);
        if whole.is_none() {
            self.forget();
        }
        whole.unwrap_or(false)
    }

    fn fields(&mut self, block: &[u8], mut take: impl FnMut(&[u8], &[u8])) -> Option<bool> {
        let mut rest = block;
        let mut whole = true;
        while let Some(first) = rest.first().copied() {
            match first {
                0x80.. => {
                    let index = integer(&mut rest, 7)?;
                    match self.entry(index)? {
                        Some((name, value)) => take(name, value),
                        None => whole = false,
                    }
                }
                0x20..0x40 => {
                    let limit = integer(&mut rest, 5)?;
                    self.incomplete |= limit > MAX_SIZE;
                    self.limit = limit.min(MAX_SIZE);
                    self.evict(0);
                }
                _ => {
                    let indexed = first >= 0x40;
                    let field = self.literal(&mut rest, if indexed { 6 } else { 4 })?;
                    match &field {
                        Some((name, value)) => take(name, value),
                        None => whole = false,
                    }
                    if indexed {
                        self.insert(field);
                    }
                }
            }
        }
        Some(whole)
    }

    /// A literal field; `Some(None)` where the index of its name is unknown.
    fn literal(&self, rest: &mut &[u8], prefix: u8) -> Option<Option<Field>> {
        let index = integer(rest, prefix)?;
        let name =
            if index == 0 { Some(self.string(rest)?) } else { self.entry(index)?.map(|(name, _)| name.to_vec()) };
        let value = self.string(rest)?;
        Some(name.map(|name| (name, value)))
    }

    fn string(&self, rest: &mut &[u8]) -> Option<Vec<u8>> {
        let coded = rest.first()? & 0x80 != 0;
        let length = integer(rest, 7)?;
        let (bytes, after) = rest.split_at_checked(length)?;
        *rest = after;
        if coded { self.code.decode(bytes) } else { Some(bytes.to_vec()) }
    }

    /// The entry of that index; `Some(None)` where it is unknown, `None` where there can be none.
    fn entry(&self, index: usize) -> Option<Option<(&[u8], &[u8])>> {
        let index = index.checked_sub(1)?;
        if let Some((name, value)) = STATIC.get(index) {
            return Some(Some((name.as_bytes(), value.as_bytes())));
        }
        match self.entries.get(index.checked_sub(STATIC.len())?) {
            Some(Some((name, value))) => Some(Some((name, value))),
            Some(None) => Some(None),
            None => self.incomplete.then_some(None),
        }
    }

    fn insert(&mut self, field: Option<Field>) {
        let cost = cost(field.as_ref());
        self.evict(cost);
        if cost <= self.limit {
            self.size += cost;
            self.entries.push_front(field);
        }
    }

    /// Makes room for an entry that costs so much (§4.4).
    fn evict(&mut self, cost: usize) {
        while self.size.saturating_add(cost) > self.limit {
            let Some(field) = self.entries.pop_back() else { return };
            self.size = self.size.saturating_sub(self::cost(field.as_ref()));
        }
    }
}

/// What an entry takes (§4.1). One that is unknown takes more in truth, so that it may stay for longer here than there.
fn cost(field: Option<&Field>) -> usize {
    field.map_or(0, |(name, value)| name.len().saturating_add(value.len())).saturating_add(ENTRY)
}

/// An integer whose first `prefix` bits stand in the first byte (§5.1), below 2^28.
fn integer(rest: &mut &[u8], prefix: u8) -> Option<usize> {
    let (first, mut after) = rest.split_first()?;
    let mask = (1_usize << prefix) - 1;
    let mut value = usize::from(*first) & mask;
    if value == mask {
        for shift in [0, 7, 14, 21] {
            let (byte, next) = after.split_first()?;
            after = next;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                *rest = after;
                return Some(value);
            }
        }
        return None;
    }
    *rest = after;
    Some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            text.chars().filter_map(|c| c.to_digit(16)).filter_map(|digit| u8::try_from(digit).ok()).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    fn fields(decoder: &mut Decoder, block: &str) -> Option<Vec<String>> {
        let (whole, fields) = known(decoder, block);
        whole.then_some(fields)
    }

    /// Whether all fields of a block are known, and those that are.
    fn known(decoder: &mut Decoder, block: &str) -> (bool, Vec<String>) {
        let mut fields = Vec::new();
        let whole = decoder.decode(&hex(block), |name, value| {
            fields.push(format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
        });
        (whole, fields)
    }

    #[test]
    fn rfc_7541_c_4_requests() {
        let mut decoder = Decoder::new();
        let first = fields(&mut decoder, "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff").unwrap();
        assert_eq!(first, [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"]);
        let second = fields(&mut decoder, "8286 84be 5886 a8eb 1064 9cbf").unwrap();
        assert_eq!(second[3..], [":authority: www.example.com", "cache-control: no-cache"]);
        let third = fields(&mut decoder, "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf").unwrap();
        assert_eq!(third[2..], [":path: /index.html", ":authority: www.example.com", "custom-key: custom-value"]);
        assert_eq!(decoder.size, 164);
    }

    #[test]
    fn rfc_7541_c_5_evicts_when_the_table_is_full() {
        let mut decoder = Decoder::new();
        let block = "3fe1 01 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 \
                     3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d";
        let first = fields(&mut decoder, block).unwrap();
        assert_eq!((first[0].as_str(), first.len()), (":status: 302", 4));
        assert_eq!((decoder.size, decoder.limit), (222, 256));
        let second = fields(&mut decoder, "4803 3330 37c1 c0bf").unwrap();
        assert_eq!(second[..2], [":status: 307", "cache-control: private"]);
        assert_eq!(decoder.size, 222);
        assert!(fields(&mut decoder, "c2").is_none(), "evicted");
    }

    #[test]
    fn broken_blocks_are_refused() {
        for block in ["80", "3f", "ff ff ff ff ff 00", "40 05 61", "be", "00 81 00 00"] {
            assert!(fields(&mut Decoder::new(), block).is_none(), "{block}");
        }
    }

    #[test]
    fn rfc_7541_4_2_size_updates_may_come_in_twos() {
        let mut decoder = Decoder::new();
        fields(&mut decoder, "4001 6101 62").unwrap();
        // To nothing and back to 4096: the table was emptied between.
        assert_eq!(fields(&mut decoder, "20 3fe1 1f 82").unwrap(), [":method: GET"]);
        assert_eq!((decoder.entries.len(), decoder.limit), (0, 4_096));
        assert!(fields(&mut decoder, "be").is_none(), "no entry");
    }

    #[test]
    fn entries_older_than_a_missed_block_are_unknown_and_newer_ones_known() {
        let mut decoder = Decoder::new();
        fields(&mut decoder, "4001 6101 31").unwrap();
        decoder.forget();
        // The static table and literals need no other; 62 is unknown, and so is a name that it stands for.
        assert_eq!(
            known(&mut decoder, "82 be 0001 6201 32 7e01 33"),
            (false, vec![":method: GET".into(), "b: 2".into()])
        );
        // The one whose name is unknown was added, and now "c: 4" before it.
        assert_eq!(known(&mut decoder, "4001 6301 34 be"), (true, vec!["c: 4".into(), "c: 4".into()]));
        assert_eq!(known(&mut decoder, "be bf c0"), (false, vec!["c: 4".into()]));
    }

    #[test]
    fn of_a_table_larger_than_is_followed_the_newest_entries_are_known() {
        let mut decoder = Decoder::new();
        assert_eq!(known(&mut decoder, "3fe1ff7f 4001 6101 31 be"), (true, vec!["a: 1".into(), "a: 1".into()]));
        assert_eq!((decoder.limit, known(&mut decoder, "bf")), (MAX_SIZE, (false, vec![])));
    }

    proptest! {
        /// Whatever block is missed, no field gets a value that the encoder did not mean.
        #[test]
        fn a_missed_block_makes_no_wrong_value(missed in 0_usize..12, adds in proptest::collection::vec(0_usize..9, 12), sizes in proptest::collection::vec(0_u8..31, 12)) {
            let (mut whole, mut holed) = (Decoder::new(), Decoder::new());
            for (number, (add, size)) in adds.iter().zip(sizes).enumerate() {
                let mut block = if number % 5 == 3 { vec![0x20 | size] } else { Vec::new() };
                for _ in 0..*add {
                    block.extend([0x40, 1, b'n', 2, u8::try_from(number).unwrap(), size]);
                }
                // The whole table by index, as far as there is one.
                let mut told = Vec::new();
                prop_assert!(whole.decode(&block, |_, _| ()));
                let mut all = Vec::new();
                for index in 0..whole.entries.len().min(60) {
                    let one = [0x80 | (62 + u8::try_from(index).unwrap())];
                    prop_assert!(whole.decode(&one, |_, value| told.push(Some(value.to_vec()))));
                    all.push(one);
                }
                if number == missed {
                    holed.forget();
                    continue;
                }
                holed.decode(&block, |_, _| ());
                for (one, told) in all.iter().zip(&told) {
                    let mut value = None;
                    holed.decode(one, |_, found| value = Some(found.to_vec()));
                    prop_assert!(value.is_none() || value == *told);
                }
            }
        }

        #[test]
        fn no_bytes_make_it_panic_or_hold_much(blocks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..10)) {
            let mut decoder = Decoder::new();
            for block in blocks {
                let _ = decoder.decode(&block, |_, _| {});
                prop_assert!(decoder.size <= decoder.limit.max(DEFAULT_SIZE));
            }
        }
    }
}
