//! The Huffman code of HPACK (RFC 7541 Appendix B). It is canonical, so the lengths of its codes are the whole of it.

/// Length of each symbol's code in bits; the last one is EOS.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12,
    10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6,
    5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22,
    22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20,
    22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28,
    27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28,
    27, 27, 27, 27, 27, 26, 30,
];
const EOS: u16 = 256;
const LONGEST: usize = 30;

/// The code, by length: the first code of each length and where its symbols begin.
pub(super) struct Code {
    symbols: Vec<u16>,
    /// First code, number of codes and offset of their symbols.
    lengths: [(u32, u32, usize); LONGEST + 1],
}

impl Code {
    pub(super) fn new() -> Self {
        let mut symbols: Vec<u16> = (0..=EOS).collect();
        let length_of = |symbol: u16| LENGTHS.get(usize::from(symbol)).copied().unwrap_or_default();
        symbols.sort_by_key(|symbol| (length_of(*symbol), *symbol));
        let mut lengths = [(0, 0, 0); LONGEST + 1];
        let (mut code, mut offset) = (0_u32, 0_usize);
        for (length, slot) in (0_u8..).zip(lengths.iter_mut()) {
            let count = LENGTHS.iter().filter(|other| **other == length).count();
            let codes = u32::try_from(count).unwrap_or_default();
            *slot = (code, codes, offset);
            code = (code + codes) << 1;
            offset += count;
        }
        Self { symbols, lengths }
    }

    /// Decodes a string. `None` where it is not one: EOS in it, or padding that is not the beginning of EOS (§5.2).
    pub(super) fn decode(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(bytes.len());
        let (mut code, mut length) = (0_u32, 0_usize);
        for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |place| u32::from(byte >> place & 1))) {
            code = code << 1 | bit;
            length += 1;
            let (first, count, offset) = self.lengths.get(length)?;
            let Some(index) = code.checked_sub(*first).filter(|index| index < count) else { continue };
            let symbol = self.symbols.get(offset.checked_add(usize::try_from(index).ok()?)?)?;
            out.push(u8::try_from(*symbol).ok()?);
            (code, length) = (0, 0);
        }
        (length < 8 && code == (1 << length) - 1).then_some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_7541_c_4_and_c_6_strings() {
        let code = Code::new();
        let decode = |bytes: &[u8]| code.decode(bytes).map(|text| String::from_utf8(text).unwrap());
        let www = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(decode(&www).unwrap(), "www.example.com");
        assert_eq!(decode(&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]).unwrap(), "no-cache");
        assert_eq!(decode(&[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xa9, 0x7d, 0x7f]).unwrap(), "custom-key");
        assert_eq!(decode(&[0x64, 0x02]).unwrap(), "302");
        assert_eq!(decode(&[]).unwrap(), "");
    }

    #[test]
    fn every_symbol_of_a_full_code_is_reached() {
        // Kraft's sum of a complete prefix code is 1.
        let sum: u64 = LENGTHS.iter().map(|length| 1_u64 << (30 - length)).sum();
        assert_eq!(sum, 1 << 30);
    }

    #[test]
    fn padding_and_eos_are_checked() {
        let code = Code::new();
        assert!(code.decode(&[0xff, 0xff, 0xff, 0xff]).is_none(), "EOS");
        assert!(code.decode(&[0xff]).is_none(), "a whole byte of padding");
        assert!(code.decode(&[0x00]).is_none(), "padding of zeros");
    }
}
