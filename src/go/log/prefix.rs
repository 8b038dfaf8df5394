//! What other tools put in front of go's lines.

/// The line without time stamps, `BuildKit`, Compose and runner prefixes.
pub(super) fn stripped(line: &str) -> &str {
    let mut rest = line;
    for _ in 0..4 {
        let Some(shorter) = once(rest) else { break };
        rest = shorter;
    }
    rest
}

fn once(line: &str) -> Option<&str> {
    for mark in ["##[error]", "::error::", "stderr: ", "go : "] {
        if let Some(rest) = line.strip_prefix(mark) {
            return Some(rest);
        }
    }
    let (word, rest) = line.split_once(' ')?;
    // BuildKit: "#12 3.456 go: ...".
    if let Some(step) = word.strip_prefix('#')
        && all(step, |b| b.is_ascii_digit())
    {
        let (seconds, rest) = rest.split_once(' ')?;
        return all(seconds, |b| b.is_ascii_digit() || b == b'.').then_some(rest);
    }
    // "2026-11-22T10:00:00.123Z", "2026/11/22", "10:00:00.5", "[10:00:00]".
    let inner = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')).unwrap_or(word);
    let time = inner.starts_with(|c: char| c.is_ascii_digit())
        && (inner.contains(':') || inner.matches(['/', '-']).count() == 2)
        && all(inner, |b| b.is_ascii_digit() || b"TZ:./+-,".contains(&b));
    if time {
        return Some(rest);
    }
    // Compose: "app-1  | go: ...".
    let (name, rest) = line.split_once(" | ")?;
    let name = name.trim_end();
    (name.len() <= 40 && all(name, |b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))).then_some(rest)
}

fn all(text: &str, allowed: fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(allowed)
}

/// Whether the line, prefixes stripped, goes on with the error that `first` begins: go indents with tabs, some viewers
/// with blanks.
pub(super) fn continues(line: &str, first: &str) -> bool {
    let indent = |line: &str| line.len().saturating_sub(line.trim_start().len());
    (line.starts_with('\t') || line.starts_with("  ")) && !line.trim().is_empty() && indent(line) > indent(first)
}

/// Whether a line in no known words is an error of the go command all the same.
pub(super) fn is_go_error(text: &str) -> bool {
    const NEWS: [&str; 20] = [
        "downloading",
        "added",
        "upgraded",
        "downgraded",
        "removed",
        "finding",
        "found",
        "extracting",
        "creating",
        "copying",
        "to",
        "warning:",
        "switching",
        "trying",
        "accepting",
        "verifying",
        "no",
        "using",
        "upgrading",
        "retracted",
    ];
    let Some(rest) = text.strip_prefix("go: ") else { return false };
    let first = rest.split_whitespace().next().unwrap_or_default();
    let deprecated = rest.starts_with("module ") && rest.contains(" is deprecated");
    !NEWS.contains(&first) && !deprecated && rest.contains(": ")
}
