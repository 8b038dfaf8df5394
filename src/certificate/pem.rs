//! Certificates out of PEM text (RFC 7468), with whatever stands around them.

use super::roots::RootsError;

const BEGINNINGS: [&str; 3] =
    ["-----BEGIN CERTIFICATE-----", "-----BEGIN TRUSTED CERTIFICATE-----", "-----BEGIN X509 CERTIFICATE-----"];

/// The DER of every certificate in `text`, in its order. OpenSSL's "trusted" form has more bytes after the certificate.
pub(super) fn certificates(text: &[u8]) -> Result<Vec<Vec<u8>>, RootsError> {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines().map(str::trim);
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if !BEGINNINGS.contains(&line.trim_start_matches('\u{feff}')) {
            continue;
        }
        let number = found.len().saturating_add(1);
        let mut encoded = String::new();
        loop {
            match lines.next() {
                None => return Err(RootsError::Unended { number }),
                Some(line) if line.starts_with("-----END ") => break,
                Some(line) if line.contains(':') => encoded.clear(), // a header of RFC 1421
                Some(line) => encoded.push_str(line),
            }
        }
        found.push(decode(&encoded).ok_or(RootsError::Base64 { number })?);
    }
    Ok(found)
}

/// Base64 (RFC 4648 §4) with blanks allowed; `None` for any other character and for a length that cannot be.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut group, mut count) = (0_u32, 0_u8);
    let mut characters = text.bytes().filter(|character| !character.is_ascii_whitespace());
    for character in characters.by_ref() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => break,
            _ => return None,
        };
        group = group << 6 | u32::from(value);
        count += 1;
        if count == 4 {
            let [_, a, b, c] = group.to_be_bytes();
            out.extend([a, b, c]);
            (group, count) = (0, 0);
        }
    }
    if characters.any(|character| character != b'=') {
        return None;
    }
    let [a, b, ..] = (group << (32 - 6 * u32::from(count)).min(31)).to_be_bytes();
    match count {
        0 => {}
        2 => out.push(a),
        3 => out.extend([a, b]),
        _ => return None,
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4648_10_vectors() {
        for (text, expected) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob"), ("Zm 9v\tYmFy", "foobar")]
        {
            assert_eq!(decode(text).unwrap(), expected.as_bytes(), "{text}");
        }
        assert_eq!(decode("Zg").unwrap(), b"f", "missing padding is forgiven");
        for text in ["Z", "Zm9v!", "Zg==Zg=="] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn several_certificates_and_text_around_them() {
        let text = "\u{feff}-----BEGIN CERTIFICATE-----\r\nZm9v\r\n-----END CERTIFICATE-----\r\nsubject=x\n\
                    -----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n\
                    -----BEGIN TRUSTED CERTIFICATE-----\nZm9v\nYmFy\n-----END TRUSTED CERTIFICATE-----";
        assert_eq!(certificates(text.as_bytes()).unwrap(), [b"foo".to_vec(), b"foobar".to_vec()]);
    }

    #[test]
    fn damage_is_named_by_number() {
        let text = b"-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n?";
        assert_eq!(certificates(text), Err(RootsError::Unended { number: 2 }));
        let text = [&text[..], b"\n-----END CERTIFICATE-----\n"].concat();
        assert_eq!(certificates(&text), Err(RootsError::Base64 { number: 2 }));
    }
}
