//! Who intercepts TLS, told by the name of a certificate's issuer.

use super::Provenance;
use super::sheet::{Notes, Sheet};

/// An intercepting product.
#[derive(Clone, Debug)]
pub struct Interceptor {
    /// Its name for people.
    pub vendor: String,
    /// What it is.
    pub kind: InterceptorKind,
    /// Where that comes from.
    pub provenance: Provenance,
    patterns: Vec<Pattern>,
}

/// What an intercepting product is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InterceptorKind {
    /// A gateway or firewall of the network.
    Appliance,
    /// A proxy service.
    CloudProxy,
    /// A virus scanner on the client itself.
    Antivirus,
    /// A developer's tool on the client itself.
    DebuggingProxy,
    /// A filter for children or schools.
    Parental,
}

const KINDS: &[(&str, InterceptorKind)] = &[
    ("appliance", InterceptorKind::Appliance),
    ("cloud_proxy", InterceptorKind::CloudProxy),
    ("antivirus", InterceptorKind::Antivirus),
    ("debugging_proxy", InterceptorKind::DebuggingProxy),
    ("parental", InterceptorKind::Parental),
];

#[derive(Clone, Debug)]
struct Pattern {
    /// The attribute that it is for; `None`: CN, O or OU.
    attribute: Option<&'static str>,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    /// Whole words, in lower case; whether the last word may go on.
    Words { text: String, open: bool },
    /// A device serial with this prefix, in lower case.
    Serial(String),
}

impl Test {
    fn fits(&self, value: &str) -> bool {
        match self {
            Self::Words { text, open } => contains_words(value, text, *open),
            Self::Serial(prefix) => value.strip_prefix(prefix.as_str()).is_some_and(|rest| {
                let digits = rest.bytes().filter(u8::is_ascii_digit).count();
                rest.len() >= 10 && digits >= 4 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
            }),
        }
    }
}

/// All intercepting products, in the order in which they are tried.
#[derive(Clone, Debug, Default)]
pub(super) struct Interceptors(Vec<Interceptor>);

impl Interceptors {
    /// Adds the products of a file that are not there yet.
    pub(super) fn read(&mut self, sheet: &Sheet<'_>, notes: &mut Notes) {
        let entries = sheet.entries("interceptor", notes, |entry| {
            let vendor = entry.text("vendor");
            let kind = entry.word("kind", KINDS);
            let mut patterns = Vec::new();
            for (key, attribute) in [("any", None), ("cn", Some("cn")), ("o", Some("o")), ("ou", Some("ou"))] {
                for text in entry.optional_texts(key).unwrap_or_default() {
                    let lower = text.to_lowercase();
                    let open = lower.ends_with('*');
                    let text = lower.trim_end_matches('*').to_owned();
                    if text.len() < 4 || text.contains('*') {
                        entry.mistake(format!("`{lower}` in `{key}` must have four bytes and * only at its end"));
                    }
                    patterns.push(Pattern { attribute, test: Test::Words { text, open } });
                }
            }
            for prefix in entry.optional_texts("serials").unwrap_or_default() {
                patterns.push(Pattern { attribute: Some("cn"), test: Test::Serial(prefix.to_lowercase()) });
            }
            if patterns.is_empty() {
                entry.mistake("no pattern: write any, cn, o, ou or serials");
            }
            let provenance = entry.provenance(vendor.unwrap_or_default());
            Some(Interceptor { vendor: vendor?.to_owned(), kind: kind?, provenance: provenance?, patterns })
        });
        for entry in entries {
            if !self.0.iter().any(|known| known.vendor == entry.vendor) {
                self.0.push(entry);
            }
        }
    }

    /// The first product that a distinguished name (RFC 4514) fits.
    pub(super) fn find(&self, name: &str) -> Option<&Interceptor> {
        let attributes = attributes(name);
        self.0.iter().find(|interceptor| {
            interceptor.patterns.iter().any(|pattern| {
                let wanted = |kind: &str| match pattern.attribute {
                    Some(attribute) => kind == attribute,
                    None => matches!(kind, "cn" | "o" | "ou"),
                };
                attributes.iter().any(|(kind, value)| wanted(kind) && pattern.test.fits(value))
            })
        })
    }
}

/// Whether `needle` stands in `value` between characters that are neither letters nor digits.
fn contains_words(value: &str, needle: &str, open: bool) -> bool {
    value.match_indices(needle).any(|(at, _)| {
        let before = value.get(..at).and_then(|text| text.chars().next_back());
        let after = value.get(at + needle.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(char::is_alphanumeric) && (open || !after.is_some_and(char::is_alphanumeric))
    })
}

/// Types and values of an RFC 4514 string, both in lower case, escapes undone (RFC 4514 §2.4).
fn attributes(name: &str) -> Vec<(String, String)> {
    let mut parts: Vec<Vec<u8>> = vec![Vec::new()];
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        let literal = match byte {
            b'\\' => {
                let hex = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
                let mut ahead = bytes.clone();
                match (ahead.next(), ahead.next()) {
                    (Some(high), Some(low)) if hex(high).is_some() && hex(low).is_some() => {
                        bytes = ahead;
                        hex(high).unwrap_or(0) << 4 | hex(low).unwrap_or(0)
                    }
                    (Some(next), _) => {
                        bytes.next();
                        next
                    }
                    (None, _) => b'\\',
                }
            }
            b',' | b'+' | b';' => {
                parts.push(Vec::new());
                continue;
            }
            other => other,
        };
        if let Some(part) = parts.last_mut() {
            part.push(literal);
        }
    }
    let text = |part: Vec<u8>| String::from_utf8_lossy(&part).to_lowercase();
    let split =
        |part: String| part.split_once('=').map(|(kind, value)| (kind.trim().to_owned(), value.trim().to_owned()));
    parts.into_iter().map(text).filter_map(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4514_escapes_are_undone() {
        let expected = [("cn", "a,b"), ("o", "x + y"), ("ou", "é\\")];
        let got = attributes("CN=A\\,B, O=x \\2B y+OU=\\C3\\A9\\\\");
        assert_eq!(got.iter().map(|(kind, value)| (kind.as_str(), value.as_str())).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn hostile_names_do_not_panic() {
        for name in ["", "\\", "\\2", "CN=\\F", "=,=,=", "CN", "+++", "CN=\\zz", "CN=\\é"] {
            let _ = attributes(name);
        }
    }

    #[test]
    fn words_are_whole_unless_open() {
        assert!(contains_words("the squid proxy", "squid", false));
        assert!(!contains_words("squidward", "squid", false));
        assert!(contains_words("squidward", "squid", true));
        assert!(!contains_words("giantsquid", "squid", true));
        assert!(contains_words("ca.acme.goskope.com", "goskope.com", false));
    }

    #[test]
    fn serials_are_device_serials() {
        let serial = Test::Serial("fg".to_owned());
        assert!(serial.fits("fg100ftk20012345"));
        assert!(!serial.fits("fgeneral"));
        assert!(!serial.fits("fg rosebud authority 2024"));
        assert!(!serial.fits("fgabcdefghijkl"));
    }
}
