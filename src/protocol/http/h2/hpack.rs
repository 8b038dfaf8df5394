//! Decodes header blocks of HTTP/2 (RFC 7541), as a reader beside the two who talk.

use std::collections::VecDeque;

use super::huffman::Code;

/// The table's size before anybody says otherwise (RFC 9113 §6.5.2).
const DEFAULT_SIZE: usize = 4_096;
/// The largest table that is followed. Which size the decoding side allowed need not be known: the encoder names it in the
/// block (§4.2).
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
pub(super) struct Decoder {
    code: Code,
    /// The newest entry first.
    entries: VecDeque<Field>,
    size: usize,
    limit: usize,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { code: Code::new(), entries: VecDeque::new(), size: 0, limit: DEFAULT_SIZE }
    }

    /// Reads a whole block and calls `take` with name and value of each field. `None` where the block breaks the rules: what the
    /// table holds is unknown then, and the decoder is of no more use.
    pub(super) fn decode(&mut self, block: &[u8], mut take: impl FnMut(&[u8], &[u8])) -> Option<()> {
        let mut rest = block;
        while let Some(first) = rest.first().copied() {
            match first {
                0x80.. => {
                    let index = integer(&mut rest, 7)?;
                    let (name, value) = self.entry(index)?;
                    take(name, value);
                }
                0x40.. => {
                    let (name, value) = self.literal(&mut rest, 6)?;
                    take(&name, &value);
                    self.insert(name, value);
                }
                0x20.. => {
                    self.limit = integer(&mut rest, 5).filter(|limit| *limit <= MAX_SIZE)?;
                    self.evict(0);
                }
                _ => {
                    let (name, value) = self.literal(&mut rest, 4)?;
                    take(&name, &value);
                }
            }
        }
        Some(())
    }

    fn literal(&self, rest: &mut &[u8], prefix: u8) -> Option<Field> {
        let index = integer(rest, prefix)?;
        let name = if index == 0 { self.string(rest)? } else { self.entry(index)?.0.to_vec() };
        Some((name, self.string(rest)?))
    }

    fn string(&self, rest: &mut &[u8]) -> Option<Vec<u8>> {
        let coded = rest.first()? & 0x80 != 0;
        let length = integer(rest, 7)?;
        let (bytes, after) = rest.split_at_checked(length)?;
        *rest = after;
        if coded { self.code.decode(bytes) } else { Some(bytes.to_vec()) }
    }

    fn entry(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let index = index.checked_sub(1)?;
        if let Some((name, value)) = STATIC.get(index) {
            return Some((name.as_bytes(), value.as_bytes()));
        }
        let (name, value) = self.entries.get(index.checked_sub(STATIC.len())?)?;
        Some((name, value))
    }

    fn insert(&mut self, name: Vec<u8>, value: Vec<u8>) {
        let cost = name.len().saturating_add(value.len()).saturating_add(ENTRY);
        self.evict(cost);
        if cost <= self.limit {
            self.size += cost;
            self.entries.push_front((name, value));
        }
    }

    /// Makes room for an entry that costs so much (§4.4).
    fn evict(&mut self, cost: usize) {
        while self.size.saturating_add(cost) > self.limit {
            let Some((name, value)) = self.entries.pop_back() else { return };
            self.size = self.size.saturating_sub(name.len() + value.len() + ENTRY);
        }
    }
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
        let mut fields = Vec::new();
        decoder.decode(&hex(block), |name, value| {
            fields.push(format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
        })?;
        Some(fields)
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
        for block in ["80", "3f", "ff ff ff ff ff 00", "40 05 61", "be", "3f e1 ff 7f", "00 81 00 00"] {
            assert!(fields(&mut Decoder::new(), block).is_none(), "{block}");
        }
    }

    proptest! {
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
