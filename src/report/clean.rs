//! What stands between hostile text and a reader: control and bidirectional characters, lengths, secrets.

use crate::go::redacted;

/// Characters kept of a name, an address, a path.
pub(crate) const NAME: usize = 255;
/// Characters kept of a sentence, a note, a line of a log, a URL.
pub(crate) const TEXT: usize = 2_000;

/// One line that is safe to show: white space becomes spaces, what controls a terminal or turns the direction of writing
/// becomes U+FFFD, secrets become `***`, and what is longer than `limit` characters ends in an ellipsis.
pub(crate) fn line(text: &str, limit: usize) -> String {
    let bounded = text.char_indices().nth(limit.saturating_mul(4)).and_then(|(end, _)| text.get(..end)).unwrap_or(text);
    let mut shown = without_secrets(&bounded.chars().map(harmless).collect::<String>());
    if bounded.len() < text.len() || shown.chars().nth(limit).is_some() {
        shown = shown.chars().take(limit.saturating_sub(1)).chain(['…']).collect();
    }
    shown
}

fn harmless(c: char) -> char {
    match c {
        '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        // Soft hyphen, marks of direction, joiners and other characters without a shape of their own.
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}' => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// Without secrets as [`redacted`] knows them, and without those in a bare `user:password@host`.
fn without_secrets(text: &str) -> String {
    let text = redacted(text);
    let mut safe = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (token, after) = split_token(rest);
        push_token(&mut safe, token);
        rest = after;
    }
    safe
}

/// The next token and what follows it; a run of separators is a token as well.
fn split_token(text: &str) -> (&str, &str) {
    let separates = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | ',' | ';' | '|');
    let first = text.chars().next().is_some_and(separates);
    let end = text.find(|c| separates(c) != first).unwrap_or(text.len());
    text.split_at(end)
}

/// Appends a token, without user information if it is no URL: `HTTPS_PROXY=user:password@host` begins after the equals
/// sign, and `path@version` has no colon before the sign.
fn push_token(safe: &mut String, token: &str) {
    let start = token.find('=').map_or(0, |at| at.saturating_add(1));
    let (head, rest) = token.split_at(start);
    let authority = rest.find(['/', '?', '#']).and_then(|end| rest.get(..end)).unwrap_or(rest);
    let user = authority.rfind('@').filter(|end| authority.get(..*end).is_some_and(|user| user.contains(':')));
    match user.filter(|_| !token.contains("://")) {
        Some(end) => {
            safe.push_str(head);
            safe.push_str("***");
            safe.push_str(rest.get(end..).unwrap_or_default());
        }
        None => safe.push_str(token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_or_turns_the_text() {
        assert_eq!(line("a\u{1b}[2Jb", TEXT), "a\u{fffd}[2Jb");
        assert_eq!(line("evil\u{202e}gro.gnalog", TEXT), "evil\u{fffd}gro.gnalog");
        assert_eq!(line("one\n\ttwo\u{2028}three\u{9b}31m", TEXT), "one  two three\u{fffd}31m");
        assert_eq!(line("zero\u{200b}width\u{feff}", TEXT), "zero\u{fffd}width\u{fffd}");
        assert_eq!(line("谷歌 ünïcödé", TEXT), "谷歌 ünïcödé");
    }

    #[test]
    fn long_text_ends_in_an_ellipsis() {
        assert_eq!(line("abcdef", 6), "abcdef");
        assert_eq!(line("abcdefg", 6), "abcde…");
        assert_eq!(line(&"é".repeat(1_000_000), 10).chars().count(), 10);
    }

    #[test]
    fn passwords_of_proxies_do_not_show() {
        for (given, shown) in [
            ("http://user:pw@squid:3128", "http://***@squid:3128"),
            ("HTTPS_PROXY=http://user:p@w@squid:3128/", "HTTPS_PROXY=http://***@squid:3128/"),
            ("HTTPS_PROXY=user:pw@squid:3128", "HTTPS_PROXY=***@squid:3128"),
            ("http://user:p/w@squid:3128", "http://***@squid:3128"),
            ("parse \"http://user:pw@squid:x\": invalid port", "parse \"http://***@squid:x\": invalid port"),
            ("https://token@git.example/x", "https://***@git.example/x"),
            ("a,http://u:p@one,http://u:p@two", "a,http://***@one,http://***@two"),
            ("Proxy-Authorization: Basic dXNlcjpwdw==", "Proxy-Authorization: ***"),
            ("sent authorization: Bearer abc def", "sent authorization: ***"),
        ] {
            assert_eq!(line(given, TEXT), shown);
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "go: github.com/pkg/errors@v0.9.1: Get \"https://proxy.golang.org/github.com/pkg/errors/@v/v0.9.1.info\": EOF",
            "https://proxy.corp.example:8443/rsc.io/quote/@v/list",
            "http://[2001:db8::1]:3128/a/@v/list",
            "read tcp 192.168.1.23:42568->142.250.74.113:443: read: connection reset by peer",
            "rsc.io/quote@v1.5.2",
            "the header Authorization is not repeated",
        ] {
            assert_eq!(line(text, TEXT), text);
        }
    }
}
