//! Distinguished names as RFC 4514 strings.

use super::der::{BIT_STRING, Element, OID, Reader, SEQUENCE, SET, dotted, hex};
use std::borrow::Cow;

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];

/// What a Name element says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Name {
    /// The RFC 4514 string of what could be read.
    pub(super) text: String,
    /// The last commonName, as Go's `pkix.Name.CommonName`.
    pub(super) common_name: Option<String>,
    /// The last organizationName.
    pub(super) organization: Option<String>,
    /// Whether all of it could be read.
    pub(super) whole: bool,
}

/// Reads the content of a Name (the bytes inside its SEQUENCE).
///
/// The string is the one that RFC 4514 §2 describes, with the attribute names of its §3 and dotted numbers for all
/// others: the form that Python's `cryptography` prints too.
pub(super) fn read(content: &[u8]) -> Name {
    let mut sets = Reader::new(content);
    let mut name = Name { whole: true, ..Name::default() };
    let mut parts: Vec<String> = Vec::new();
    while let Some(set) = sets.read(SET) {
        let mut attributes = set.enter();
        let mut part = String::new();
        while let Some(attribute) = attributes.read(SEQUENCE) {
            let mut fields = attribute.enter();
            let (Some(kind), Some(value)) = (fields.read(OID), fields.any()) else {
                name.whole = false;
                continue;
            };
            if !part.is_empty() {
                part.push('+');
            }
            match short_name(kind.content) {
                Some(short) => part.push_str(short),
                None => part.push_str(&dotted(kind.content)),
            }
            part.push('=');
            match text_of(&value) {
                Some(text) => {
                    push_escaped(&mut part, &text);
                    if kind.content == COMMON_NAME {
                        name.common_name = Some(text.into_owned());
                    } else if kind.content == ORGANIZATION {
                        name.organization = Some(text.into_owned());
                    }
                }
                // RFC 4514 §2.4: a value without a string form is its encoding.
                None if value.tag == BIT_STRING => part.push_str(&format!("#{}", hex(value.content))),
                None => part.push_str(&format!("#{}", hex(value.full))),
            }
        }
        name.whole &= attributes.is_empty();
        parts.push(part);
    }
    name.whole &= sets.is_empty();
    parts.reverse();
    name.text = parts.join(",");
    name
}

/// The short names of RFC 4514 §3.
const fn short_name(oid: &[u8]) -> Option<&'static str> {
    Some(match oid {
        [0x55, 0x04, 0x03] => "CN",
        [0x55, 0x04, 0x06] => "C",
        [0x55, 0x04, 0x07] => "L",
        [0x55, 0x04, 0x08] => "ST",
        [0x55, 0x04, 0x09] => "STREET",
        [0x55, 0x04, 0x0a] => "O",
        [0x55, 0x04, 0x0b] => "OU",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19] => "DC",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01] => "UID",
        _ => return None,
    })
}

/// The text of a string element, `None` for anything else.
fn text_of<'a>(value: &Element<'a>) -> Option<Cow<'a, str>> {
    match value.tag {
        // UTF8String, NumericString, PrintableString, T61String, IA5String, UTCTime, GeneralizedTime, VisibleString,
        // GeneralString. What is not UTF-8 is ISO 8859-1, as Go reads T61String.
        0x0c | 0x12 | 0x13 | 0x14 | 0x16 | 0x17 | 0x18 | 0x1a | 0x1b => {
            Some(std::str::from_utf8(value.content).map_or_else(
                |_| Cow::Owned(value.content.iter().map(|&octet| char::from(octet)).collect()),
                Cow::Borrowed,
            ))
        }
        // UniversalString is UTF-32, BMPString is UTF-16, both big-endian.
        0x1c => {
            let points = value.content.as_chunks::<4>().0.iter().map(|&point| u32::from_be_bytes(point));
            Some(Cow::Owned(points.map(|point| char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()))
        }
        0x1e => {
            let units = value.content.as_chunks::<2>().0.iter().map(|&unit| u16::from_be_bytes(unit));
            Some(Cow::Owned(
                char::decode_utf16(units).map(|point| point.unwrap_or(char::REPLACEMENT_CHARACTER)).collect(),
            ))
        }
        _ => None,
    }
}

/// RFC 4514 §2.4: what has to be escaped, and nothing more.
fn push_escaped(out: &mut String, text: &str) {
    let last = text.chars().count().saturating_sub(1);
    for (at, c) in text.chars().enumerate() {
        match c {
            '\\' | '"' | '+' | ',' | ';' | '<' | '>' => out.push('\\'),
            '#' if at == 0 => out.push('\\'),
            ' ' if at == 0 || at == last => out.push('\\'),
            '\0' => {
                out.push_str("\\00");
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content of a Name with one attribute a set.
    fn name(attributes: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (oid, tag, value) in attributes {
            let wrap = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
            out.extend(wrap(SET, &wrap(SEQUENCE, &[wrap(OID, oid), wrap(*tag, value)].concat())));
        }
        out
    }

    #[test]
    fn rfc4514_2_1_writes_the_sets_in_reverse() {
        let der = name(&[(&[0x55, 4, 6], 0x13, b"US"), (&[0x55, 4, 10], 0x0c, b"A, Inc."), (COMMON_NAME, 0x0c, b"R")]);
        let read = read(&der);
        assert_eq!(read.text, r"CN=R,O=A\, Inc.,C=US");
        assert_eq!((read.common_name.as_deref(), read.whole), (Some("R"), true));
        assert_eq!(read.organization.as_deref(), Some("A, Inc."));
    }

    #[test]
    fn rfc4514_2_4_escapes() {
        for (value, expected) in [
            (&br#"a"+,;<>\b"#[..], r#"CN=a\"\+\,\;\<\>\\b"#),
            (b"#x#", r"CN=\#x#"),
            (b" x ", r"CN=\ x\ "),
            (b" ", r"CN=\ "),
            (b"a\0b", r"CN=a\00b"),
            (b"", "CN="),
        ] {
            assert_eq!(read(&name(&[(COMMON_NAME, 0x0c, value)])).text, expected);
        }
    }

    #[test]
    fn other_string_types_and_other_values() {
        assert_eq!(read(&name(&[(COMMON_NAME, 0x1e, &[0x01, 0x0d, 0, 0x61])])).text, "CN=\u{10d}a");
        assert_eq!(read(&name(&[(COMMON_NAME, 0x1c, &[0, 0, 0x01, 0x0d])])).text, "CN=\u{10d}");
        assert_eq!(read(&name(&[(COMMON_NAME, 0x14, &[0xe9])])).text, "CN=\u{e9}");
        assert_eq!(read(&name(&[(&[0x55, 4, 45], BIT_STRING, &[0, 0xa5])])).text, "2.5.4.45=#00a5");
        assert_eq!(read(&name(&[(&[0x55, 4, 5], 0x05, &[])])).text, "2.5.4.5=#0500");
    }

    #[test]
    fn what_stands_before_the_damage_is_read() {
        let mut der = name(&[(COMMON_NAME, 0x0c, b"R")]);
        der.extend([SET, 0x40]);
        assert_eq!(read(&der), Name { text: "CN=R".into(), common_name: Some("R".into()), ..Name::default() });
        assert_eq!(read(&[]), Name { whole: true, ..Name::default() });
    }
}
