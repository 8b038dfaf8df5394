//! Text from elsewhere: decoding, cleaning and redaction, before anything else looks at it.

/// Text of a file or pipe. UTF-8 with or without a byte order mark; UTF-16 with one, as `PowerShell`'s `>` writes it;
/// invalid sequences become U+FFFD. Never fails.
#[must_use]
pub fn decode(bytes: &[u8]) -> String {
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = rest.chunks_exact(2).filter_map(|pair| <[u8; 2]>::try_from(pair).ok()).map(unit);
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Without terminal escape sequences (ECMA-48 CSI and OSC) and control characters other than tabs, at most `limit` bytes.
pub(super) fn clean(line: &str, limit: usize) -> String {
    let mut out = String::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if out.len() >= limit {
            out.push('…');
            break;
        }
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\t' => out.push(c),
            // Bidirectional controls reorder what a reader sees; they have no place in a log.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Steps over what follows an ESC.
fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            while let Some(&c) = chars.peek() {
                if !matches!(c, '\u{20}'..='\u{7e}') {
                    break;
                }
                chars.next();
                if matches!(c, '\u{40}'..='\u{7e}') {
                    break;
                }
            }
        }
        Some(']') => {
            // An operating system command ends with BEL or ESC \. One that does not end is no more than a stray ESC.
            let mut ahead = chars.clone();
            ahead.next();
            for _ in 0..256 {
                match ahead.next() {
                    Some('\u{7}') => {
                        *chars = ahead;
                        return;
                    }
                    Some('\u{1b}') => {
                        ahead.next();
                        *chars = ahead;
                        return;
                    }
                    Some(_) => {}
                    None => return,
                }
            }
        }
        _ => {}
    }
}

/// Header fields whose values are credentials.
const SECRET_FIELDS: [&str; 3] = ["authorization:", "cookie:", "private-token:"];

/// The text with what is secret in it replaced by `***`: the user information of URLs, and what follows
/// `Authorization:`, `Proxy-Authorization:`, `Cookie:` or `Private-Token:` on its line.
#[must_use]
pub fn redacted(text: &str) -> String {
    let text = redact_userinfo(text);
    // to_ascii_lowercase keeps every byte offset.
    let lower = text.to_ascii_lowercase();
    if !SECRET_FIELDS.iter().any(|field| lower.contains(field)) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let lower = line.to_ascii_lowercase();
        match SECRET_FIELDS.iter().filter_map(|field| Some(lower.find(field)? + field.len())).min() {
            Some(at) => {
                out.push_str(line.get(..at).unwrap_or_default());
                out.push_str(" ***");
                if line.ends_with('\n') {
                    out.push('\n');
                }
            }
            None => out.push_str(line),
        }
    }
    out
}

/// `scheme://user:password@host` to `scheme://***@host`, everywhere in the text.
fn redact_userinfo(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at.saturating_add(3));
        out.push_str(before);
        let authority_end =
            after.find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>' | ','));
        let word_end = after.find(|c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>')).unwrap_or(after.len());
        let authority = after.get(..authority_end.unwrap_or(after.len())).unwrap_or_default();
        // A password with an unescaped delimiter ends the authority early for a parser; it is a secret all the same.
        let userinfo = authority.rfind('@').or_else(|| {
            let word = after.get(..word_end)?;
            let at = word.rfind('@')?;
            let candidate = word.get(..at)?;
            (authority.contains(':')
                && !authority.contains("://")
                && !is_host_and_port(authority)
                && !candidate.contains("://"))
            .then_some(at)
        });
        if let Some(end) = userinfo {
            out.push_str("***");
            rest = after.get(end..).unwrap_or_default();
        } else {
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// Whether it reads `host:digits`.
fn is_host_and_port(authority: &str) -> bool {
    authority.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
        || authority.ends_with(']')
}

/// What stands between the first `start` and the next `end` after it.
pub(super) fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(inner, _)| inner)
}

/// What follows the first `start`, to the end of its line.
pub(super) fn rest_of_line<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.lines().next().map(str::trim)
}

/// At most `limit` bytes of it, cut at a character.
pub(super) fn limited(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    text.split_at(end).0
}

/// The host of an absolute URL, lower case, without brackets, port, user information or trailing dot.
pub(super) fn host_of_url(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host_port = authority.rsplit('@').next()?;
    let host =
        if let Some(v6) = host_port.strip_prefix('[') { v6.split(']').next()? } else { host_port.split(':').next()? };
    let host = host.trim_end_matches('.');
    (!host.is_empty() && host.len() <= 255 && !host.contains(char::is_whitespace)).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_shells_write() {
        assert_eq!(decode(b"go: a\n"), "go: a\n");
        assert_eq!(decode(b"\xef\xbb\xbfgo"), "go");
        assert_eq!(decode(b"\xff\xfeg\0o\0"), "go");
        assert_eq!(decode(b"\xfe\xff\0g\0o\0"), "go");
        assert_eq!(decode(b"a\xffb"), "a\u{fffd}b");
    }

    #[test]
    fn cleans_escapes_and_controls() {
        assert_eq!(clean("\u{1b}[31;1mgo:\u{1b}[0m x\u{1b}]0;title\u{7}y\0\u{8}\tz\u{202e}", 100), "go: xy\tz");
        assert_eq!(clean(&"é".repeat(100), 9), "ééééé…");
        assert_eq!(clean("\u{1b}", 100), "");
        assert_eq!(clean("\u{1b}]never ends", 100), "]never ends");
        assert_eq!(clean("\u{1b}[\u{1b}[31mx", 100), "x");
    }

    #[test]
    fn redacts_user_information() {
        assert_eq!(
            redacted("fatal: 'https://u:p@git.example/x': http://a"),
            "fatal: 'https://***@git.example/x': http://a"
        );
        assert_eq!(redacted("http://u:p@ss@h:1 and https://h/x@v1"), "http://***@h:1 and https://h/x@v1");
        assert_eq!(redacted("http://user:p#ss@h:3128"), "http://***@h:3128");
        assert_eq!(redacted("http://user:pa/ss@h:3128"), "http://***@h:3128");
        assert_eq!(redacted("https://proxy.example:8443/m@v1.0.0"), "https://proxy.example:8443/m@v1.0.0");
        assert_eq!(redacted("> Proxy-Authorization: Basic Zm9v\nnext"), "> Proxy-Authorization: ***\nnext");
    }

    #[test]
    fn finds_hosts() {
        assert_eq!(host_of_url("https://u@Proxy.Golang.ORG.:443/x").as_deref(), Some("proxy.golang.org"));
        assert_eq!(host_of_url("http://[2001:db8::1]:80/").as_deref(), Some("2001:db8::1"));
        assert_eq!(host_of_url("https://?x"), None);
        assert_eq!(host_of_url("x"), None);
    }
}
