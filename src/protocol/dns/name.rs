//! Domain names in messages (RFC 1035 §4.1.4): bounded, and never in a loop.

use std::fmt::Write as _;

/// Longest name in its wire form (RFC 1035 §2.3.4).
const MAX_WIRE: usize = 255;
/// Compression pointers followed for one name; honest names need a handful.
const MAX_JUMPS: u32 = 64;

/// A name as read from a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WireName {
    /// In presentation form with the case as sent, without trailing dot; the root is empty.
    pub(super) text: String,
    /// Offset of the byte after it in the message.
    pub(super) next: usize,
    /// It breaks the rules: longer than 255 bytes, or with a pointer that does not point backwards (RFC 1035 §4.1.4 asks
    /// for a *prior* occurrence), loops or leads nowhere. `text` is then what could be read.
    pub(super) odd: bool,
}

/// Reads the name that starts at `start`; `None` where not even its end can be found, because it is cut or uses a label
/// type other than the two of RFC 1035.
///
/// Bytes other than printable ASCII are shown as `\DDD`, a dot or backslash inside a label as `\.` and `\\`
/// (RFC 1035 §5.1, RFC 4343 §2.1).
pub(super) fn read(message: &[u8], start: usize) -> Option<WireName> {
    let mut name = WireName { text: String::with_capacity(32), next: 0, odd: false };
    let mut position = start;
    let mut next = None;
    let mut wire = 1_usize;
    let mut jumps = 0;
    loop {
        match label(message, position) {
            Some(Label::End) => {
                name.next = next.unwrap_or(position.checked_add(1)?);
                return Some(name);
            }
            Some(Label::Text(text)) => {
                wire = wire.saturating_add(text.len()).saturating_add(1);
                position = position.checked_add(1)?.checked_add(text.len())?;
                if wire <= MAX_WIRE {
                    if !name.text.is_empty() {
                        name.text.push('.');
                    }
                    push_label(&mut name.text, text);
                } else if next.is_none() {
                    // Only its end is looked for now.
                    name.odd = true;
                } else {
                    break;
                }
            }
            Some(Label::Pointer(target)) => {
                next = next.or(position.checked_add(2));
                jumps += 1;
                if jumps > MAX_JUMPS || name.odd && wire > MAX_WIRE {
                    break;
                }
                name.odd |= target >= position;
                position = target;
            }
            None => break,
        }
    }
    name.odd = true;
    name.next = next?;
    Some(name)
}

enum Label<'a> {
    End,
    Text(&'a [u8]),
    Pointer(usize),
}

fn label(message: &[u8], position: usize) -> Option<Label<'_>> {
    let (&first, rest) = message.get(position..)?.split_first()?;
    match first >> 6 {
        0b00 if first == 0 => Some(Label::End),
        0b00 => rest.get(..usize::from(first)).map(Label::Text),
        0b11 => Some(Label::Pointer(usize::from(u16::from_be_bytes([first & 0x3f, *rest.first()?])))),
        _ => None,
    }
}

fn push_label(text: &mut String, label: &[u8]) {
    if let Ok(plain) = std::str::from_utf8(label)
        && label.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'.' | b'\\'))
    {
        text.push_str(plain);
        return;
    }
    for &byte in label {
        match byte {
            b'.' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            byte if byte.is_ascii_graphic() => text.push(char::from(byte)),
            byte => {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\{byte:03}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(message: &[u8], start: usize) -> Option<String> {
        read(message, start).map(|name| name.text)
    }

    #[test]
    fn rfc_1035_4_1_4_pointers_share_suffixes() {
        let message = b"\x01F\x03ISI\x04ARPA\x00\x03FOO\xc0\x00\xc0\x06\x00";
        assert_eq!(text(message, 0).as_deref(), Some("F.ISI.ARPA"));
        let second = read(message, 12).unwrap();
        assert_eq!((second.text.as_str(), second.next, second.odd), ("FOO.F.ISI.ARPA", 18, false));
        assert_eq!(text(message, 18).as_deref(), Some("ARPA"));
        let root = read(message, 20).unwrap();
        assert_eq!((root.text.as_str(), root.next), ("", 21));
    }

    #[test]
    fn loops_end_and_the_message_goes_on_after_the_pointer() {
        for (message, read_as) in [
            (b"\xc0\x00".as_slice(), ""),
            (b"\xc0\x02\xc0\x00", ""),
            (b"\xc0\xff\x00", ""),
            (b"\xc0\x02\x03ab", ""),
            (b"\xc0\x02\x01a\x00", "a"),
        ] {
            let name = read(message, 0).unwrap();
            assert_eq!((name.text.as_str(), name.next, name.odd), (read_as, 2, true), "{message:?}");
        }
        let name = read(b"\x01a\xc0\x00", 0).unwrap();
        assert!(name.text.starts_with("a.a.a") && name.text.len() <= MAX_WIRE && name.next == 4 && name.odd);
    }

    #[test]
    fn cut_names_have_no_end() {
        for message in [b"\x03ab".as_slice(), b"\x02ab", b"\xc0", b"", b"\x01a\xc0"] {
            assert_eq!(read(message, 0), None, "{message:?}");
        }
        assert_eq!(read(b"", 7), None);
    }

    #[test]
    fn label_types_of_no_rfc_1035_are_refused() {
        assert_eq!(text(b"\x41a\x00", 0), None);
        assert_eq!(text(b"\x80\x00", 0), None);
    }

    #[test]
    fn names_end_at_255_bytes() {
        let mut longest = Vec::new();
        for _ in 0..127 {
            longest.extend_from_slice(b"\x01a");
        }
        longest.push(0);
        assert_eq!(read(&longest, 0).unwrap().next, 255);
        longest.insert(0, b'a');
        longest.insert(0, 1);
        let name = read(&longest, 0).unwrap();
        assert_eq!((name.next, name.odd, name.text.len()), (257, true, 2 * 127 - 1));
        // A pointer after too long a name is not followed.
        longest.truncate(256);
        longest.extend([0xc0, 0]);
        assert_eq!(read(&longest, 0).map(|name| (name.next, name.odd)), Some((258, true)));
    }

    #[test]
    fn odd_bytes_are_escaped() {
        assert_eq!(text(b"\x05a.b\\\x1b\x02\xc3\xbc\x00", 0).as_deref(), Some("a\\.b\\\\\\027.\\195\\188"));
    }
}
