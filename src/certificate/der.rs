//! A forgiving reader of DER (X.690) elements, for certificates that others would throw away whole.

use std::ops::Range;

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The tag octet of a primitive context-specific element.
pub(super) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// The tag octet of a constructed context-specific element.
pub(super) const fn context_constructed(number: u8) -> u8 {
    0xa0 | number
}

/// One element: tag octet, the whole of it and its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) full: &'a [u8],
    pub(super) content: &'a [u8],
    /// Where the whole element begins in the bytes that the outermost reader was given.
    start: usize,
}

impl<'a> Element<'a> {
    /// Where it lies in the bytes that the outermost reader was given.
    pub(super) const fn range(&self) -> Range<usize> {
        self.start..self.start.saturating_add(self.full.len())
    }

    /// Reads what is inside.
    pub(super) const fn enter(&self) -> Reader<'a> {
        let header = self.full.len().saturating_sub(self.content.len());
        Reader { rest: self.content, at: self.start.saturating_add(header) }
    }
}

/// Reads elements one after the other. Lengths need not be minimal; indefinite lengths (BER) are not read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next element, whatever it is; `None` at the end and where no whole element follows.
    pub(super) fn any(&mut self) -> Option<Element<'a>> {
        let (&[tag, first], after) = self.rest.split_first_chunk::<2>()?;
        if tag & 0x1f == 0x1f {
            return None; // a tag number above 30: none occurs in a certificate
        }
        let (length, after) = match first {
            0..=0x7f => (usize::from(first), after),
            0x81..=0x84 => {
                let (octets, after) = after.split_at_checked(usize::from(first & 0x7f))?;
                (octets.iter().fold(0_usize, |length, &octet| length << 8 | usize::from(octet)), after)
            }
            _ => return None,
        };
        let (content, rest) = after.split_at_checked(length)?;
        let (full, _) = self.rest.split_at_checked(self.rest.len().checked_sub(rest.len())?)?;
        let element = Element { tag, full, content, start: self.at };
        self.at = self.at.saturating_add(full.len());
        self.rest = rest;
        Some(element)
    }

    /// The next element if it has this tag; else nothing is consumed.
    pub(super) fn read(&mut self, tag: u8) -> Option<Element<'a>> {
        if self.rest.first() == Some(&tag) { self.any() } else { None }
    }
}

/// The content of the element that `bytes` begins with.
pub(super) fn content(bytes: &[u8]) -> Option<&[u8]> {
    Reader::new(bytes).any().map(|element| element.content)
}

/// The octets of a BIT STRING's content that holds whole octets, as keys and signatures do: no bit of it is unused.
pub(super) fn bits(content: &[u8]) -> Option<&[u8]> {
    match content {
        [0, octets @ ..] => Some(octets),
        _ => None,
    }
}

/// An object identifier's content in dotted form: `2.5.4.3`.
pub(super) fn dotted(oid: &[u8]) -> String {
    let mut arcs: Vec<u128> = Vec::new();
    let mut arc = 0_u128;
    for &octet in oid {
        arc = arc.wrapping_shl(7) | u128::from(octet & 0x7f);
        if octet & 0x80 == 0 {
            if arcs.is_empty() {
                let first = (arc / 40).min(2);
                arcs.push(first);
                arc = arc.saturating_sub(first.saturating_mul(40));
            }
            arcs.push(arc);
            arc = 0;
        }
    }
    arcs.iter().map(u128::to_string).collect::<Vec<_>>().join(".")
}

/// Lower-case hexadecimal digits, two an octet.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_know_where_they_lie() {
        let bytes = [0x30, 0x07, 0x02, 0x01, 0x05, 0x04, 0x82, 0x00, 0x00];
        let outer = Reader::new(&bytes).any().unwrap();
        let mut inner = outer.enter();
        assert_eq!(inner.read(INTEGER).unwrap().range(), 2..5);
        assert!(inner.read(BOOLEAN).is_none());
        let long_form = inner.read(OCTET_STRING).unwrap();
        assert_eq!((long_form.range(), long_form.content), (5..9, &[][..]));
        assert!(inner.is_empty() && inner.any().is_none());
    }

    #[test]
    fn lengths_beyond_the_end_and_indefinite_ones_are_not_read() {
        assert!(Reader::new(&[0x30, 0x05, 0x00]).any().is_none());
        assert!(Reader::new(&[0x30, 0x80, 0x00, 0x00]).any().is_none());
        assert!(Reader::new(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00]).any().is_none());
        assert!(Reader::new(&[0x3f, 0x01, 0x00]).any().is_none());
        assert!(Reader::new(&[0x30]).any().is_none());
    }

    #[test]
    fn object_identifiers_are_dotted() {
        assert_eq!(dotted(&[0x55, 0x04, 0x03]), "2.5.4.3");
        assert_eq!(dotted(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01]), "1.2.840.113549.1.9.1");
        assert_eq!(dotted(&[0x88, 0x37, 0x03]), "2.999.3");
        assert_eq!(dotted(&[]), "");
    }
}
