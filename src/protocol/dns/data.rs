//! Record data in presentation format, read by hickory-proto where it knows the type.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::{Name, RData, RecordType as HickoryType};
use hickory_proto::serialize::binary::{BinDecoder, Restrict};

use super::name;
use crate::observation::RecordData;

/// Bytes of record data that an RFC 3597 text shows; what lies beyond is only counted in its length.
const MAX_GENERIC: usize = 1024;
/// Internet class (RFC 1035 §3.2.4).
const IN: u16 = 1;

/// Reads the data of a record, `message[start..end]`; false beside it says that it is not what its type demands.
/// It is then given as bytes (RFC 3597 §5).
pub(super) fn read(message: &[u8], start: usize, end: usize, record_type: u16, class: u16) -> (RecordData, bool) {
    let bytes = message.get(start..end).unwrap_or_default();
    let known = match record_type {
        1 if class == IN => <[u8; 4]>::try_from(bytes).ok().map(|octets| RecordData::A(Ipv4Addr::from(octets))),
        28 if class == IN => <[u8; 16]>::try_from(bytes).ok().map(|octets| RecordData::Aaaa(Ipv6Addr::from(octets))),
        // NS, MD, MF, CNAME, MB, MG, MR, PTR, DNAME: one name.
        2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 39 => {
            if let Some(mut name) = name::read(message, start).filter(|name| name.next == end) {
                name.text.make_ascii_lowercase();
                return (RecordData::Name(name.text), !name.odd);
            }
            None
        }
        _ if read_by_hickory(record_type) => presentation(message, start, end, record_type).map(RecordData::Other),
        _ => return (RecordData::Other(generic(bytes)), true),
    };
    // Updates (RFC 2136) carry records of class ANY and NONE without data.
    let fits = known.is_some() || bytes.is_empty() && class != IN;
    (known.unwrap_or_else(|| RecordData::Other(generic(bytes))), fits)
}

/// SOA, HINFO, MX, TXT, SRV, NAPTR, CERT, SSHFP, TLSA, SMIMEA, CSYNC, SVCB, HTTPS, CAA: what hickory-proto shows as
/// text. Other types it keeps as bytes, as [`generic`] does.
const fn read_by_hickory(record_type: u16) -> bool {
    matches!(record_type, 6 | 13 | 15 | 16 | 33 | 35 | 37 | 44 | 52 | 53 | 62 | 64 | 65 | 257)
}

fn presentation(message: &[u8], start: usize, end: usize, record_type: u16) -> Option<String> {
    let within = message.get(..end)?;
    let length = u16::try_from(end.checked_sub(start)?).ok()?;
    let mut decoder = BinDecoder::new(within).clone(u16::try_from(start).ok()?);
    let data = RData::read(&mut decoder, HickoryType::from(record_type), Restrict::new(length)).ok()?;
    Some(match data {
        RData::SOA(soa) => format!(
            "{} {} {} {} {} {} {}",
            dotless(&soa.mname),
            dotless(&soa.rname),
            soa.serial,
            soa.refresh,
            soa.retry,
            soa.expire,
            soa.minimum
        ),
        RData::MX(mx) => format!("{} {}", mx.preference, dotless(&mx.exchange)),
        RData::SRV(srv) => format!("{} {} {} {}", srv.priority, srv.weight, srv.port, dotless(&srv.target)),
        RData::TXT(txt) => quoted(txt.txt_data.iter().map(AsRef::as_ref)),
        RData::HINFO(hinfo) => quoted([&*hinfo.cpu, &*hinfo.os].into_iter()),
        // hickory-proto ends every list of values with a comma; RFC 9460 §2.1 does not.
        service @ (RData::SVCB(_) | RData::HTTPS(_)) => {
            plain(&service.to_string()).replace(", ", " ").trim_end_matches(',').to_owned()
        }
        other => plain(&other.to_string()),
    })
}

/// A name as this program writes them: lower-case, without trailing dot, never decoded from punycode.
fn dotless(name: &Name) -> String {
    let mut text = name.to_ascii();
    text.make_ascii_lowercase();
    if text.ends_with('.') {
        text.pop();
    }
    if text.is_empty() { ".".to_owned() } else { text }
}

/// Character strings in quotes (RFC 1035 §5.1).
fn quoted<'a>(strings: impl Iterator<Item = &'a [u8]>) -> String {
    let mut text = String::new();
    for string in strings {
        text.push_str(if text.is_empty() { "\"" } else { " \"" });
        for &byte in string {
            match byte {
                b'"' | b'\\' => {
                    text.push('\\');
                    text.push(char::from(byte));
                }
                b' '..=b'~' => text.push(char::from(byte)),
                _ => {
                    let _ = write!(text, "\\{byte:03}");
                }
            }
        }
        text.push('"');
    }
    text
}

/// Only printable ASCII; the rest as `\DDD`.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "\\{byte:03}");
        }
    }
    out
}

/// Data of an unknown type: `\# 4 0a000001` (RFC 3597 §5).
fn generic(bytes: &[u8]) -> String {
    let mut text = format!("\\# {}", bytes.len());
    if !bytes.is_empty() {
        text.push(' ');
    }
    text.reserve(bytes.len().min(MAX_GENERIC).saturating_mul(2));
    for byte in bytes.iter().take(MAX_GENERIC) {
        let digits = [byte >> 4, byte & 0x0f].map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or_default());
        text.extend(digits);
    }
    if bytes.len() > MAX_GENERIC {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(bytes: &[u8], record_type: u16) -> (String, bool) {
        match read(bytes, 0, bytes.len(), record_type, IN) {
            (RecordData::Other(text), fits) => (text, fits),
            (data, _) => panic!("{data:?}"),
        }
    }

    #[test]
    fn addresses_must_have_their_length() {
        assert_eq!(read(&[10, 0, 0, 1], 0, 4, 1, IN), (RecordData::A(Ipv4Addr::new(10, 0, 0, 1)), true));
        assert_eq!(other(&[10, 0, 0], 1), ("\\# 3 0a0000".to_owned(), false));
        assert_eq!(other(&[10, 0, 0, 1], 28), ("\\# 4 0a000001".to_owned(), false));
    }

    #[test]
    fn names_must_end_with_their_data() {
        assert_eq!(read(b"\x01A\x00", 0, 3, 5, IN), (RecordData::Name("a".to_owned()), true));
        assert!(!other(b"\x01a\x00\x00", 5).1);
        assert_eq!(read(b"\xc0\x00", 0, 2, 2, IN), (RecordData::Name(String::new()), false));
    }

    #[test]
    fn known_types_are_written_as_in_zone_files() {
        let soa =
            b"\x02ns\x00\x05Admin\x00\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x05";
        assert_eq!(other(soa, 6), ("ns admin 1 2 3 4 5".to_owned(), true));
        assert_eq!(other(b"\x00\x0a\x04mail\x07Example\x00", 15), ("10 mail.example".to_owned(), true));
        assert_eq!(other(b"\x00\x00\x00", 15), ("0 .".to_owned(), true));
        assert_eq!(other(b"\x05a\"b\x1b\\\x01c", 16), ("\"a\\\"b\\027\\\\\" \"c\"".to_owned(), true));
        assert_eq!(
            other(b"\x00\x01\x00\x00\x01\x00\x06\x02h2\x02h3\x00\x04\x00\x04\x01\x02\x03\x04", 65),
            ("1 . alpn=h2,h3 ipv4hint=1.2.3.4".to_owned(), true)
        );
        assert_eq!(other(b"\x00\x05issuepki.goog", 257), ("0 issue \"pki.goog\"".to_owned(), true));
    }

    #[test]
    fn rfc_3597_unknown_types_are_bytes() {
        assert_eq!(other(&[1, 2], 65280), ("\\# 2 0102".to_owned(), true));
        assert_eq!(other(&[], 65280), ("\\# 0".to_owned(), true));
        let (text, fits) = other(&vec![0xaa; 60_000], 65280);
        assert!(fits && text.len() < 3_000 && text.starts_with("\\# 60000 aa"));
    }

    #[test]
    fn an_update_has_records_without_data() {
        assert_eq!(read(&[], 0, 0, 1, 255), (RecordData::Other("\\# 0".to_owned()), true));
        assert!(!read(&[], 0, 0, 1, IN).1);
    }
}
