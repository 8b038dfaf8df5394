//! The three shapes in which an environment is written down.

/// What was found, in the order of the text.
#[derive(Default)]
pub(super) struct Parsed {
    /// Name, value, line from 1.
    pub(super) variables: Vec<(String, String, u32)>,
    /// Whether the text comes from Windows.
    pub(super) windows: bool,
}

pub(super) fn variables(text: &str) -> Parsed {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{')
        && let Some(parsed) = json(text)
    {
        return parsed;
    }
    let mut parsed = Parsed::default();
    // /proc/PID/environ and `env -0` separate with NUL.
    let separator = if text.contains('\0') && !text.trim_end().contains('\n') { '\0' } else { '\n' };
    let mut lines = (1_u32..).zip(text.split(separator));
    while let Some((number, line)) = lines.next() {
        let mut line = line.trim_end_matches('\r').trim_start();
        for prefix in ["export ", "declare -x ", "typeset -x "] {
            line = line.strip_prefix(prefix).unwrap_or(line);
        }
        let set = line.strip_prefix("set ").or_else(|| line.strip_prefix("SET "));
        parsed.windows |= set.is_some();
        let Some((key, value)) = set.unwrap_or(line).split_once('=') else { continue };
        if !is_name(key) {
            continue;
        }
        parsed.windows |= key.eq_ignore_ascii_case("SYSTEMROOT");
        let mut value = value.to_owned();
        if set.is_none() && separator == '\n' && opens_quote(&value) {
            // A quoted value may go over lines; one that never closes is taken as it stands.
            let mut ahead = lines.clone();
            let mut whole = value.clone();
            for _ in 0..64 {
                let Some((_, more)) = ahead.next() else { break };
                whole.push('\n');
                whole.push_str(more);
                if !opens_quote(&whole) {
                    value = whole;
                    lines = ahead;
                    break;
                }
            }
        }
        parsed.variables.push((key.to_owned(), unquoted(&value), number));
    }
    parsed
}

/// `go env -json`: one object of strings. The line is that of the key in the text.
fn json(text: &str) -> Option<Parsed> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    let mut parsed = Parsed::default();
    for (key, value) in object {
        let Some(value) = value.as_str() else { continue };
        let quoted = format!("\"{key}\"");
        let line = (1_u32..).zip(text.lines()).find(|(_, line)| line.trim_start().starts_with(&quoted));
        parsed.windows |= key == "GOHOSTOS" && value == "windows";
        parsed.variables.push((key, value.to_owned(), line.map_or(1, |(number, _)| number)));
    }
    Some(parsed)
}

fn is_name(key: &str) -> bool {
    let start = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    start && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_()".contains(&b))
}

/// Whether the value begins with a quote that is not closed in it.
fn opens_quote(value: &str) -> bool {
    let Some(quote) = value.chars().next().filter(|c| matches!(c, '\'' | '"')) else { return false };
    let trimmed = value.trim_end();
    trimmed.len() < 2 || !trimmed.ends_with(quote)
}

/// Without the shell quotes in which `go env`, `export -p` and `declare` write values: `'it'\''s'`, `"a"`, `"a\"b"`.
fn unquoted(value: &str) -> String {
    let trimmed = value.trim_end();
    let inside = |quote: char| trimmed.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(inner) = inside('\'') {
        return inner.replace(r"'\''", "'").replace("'\"'\"'", "'");
    }
    if let Some(inner) = inside('"') {
        let mut out = String::with_capacity(inner.len());
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => out.extend(chars.next()),
                c => out.push(c),
            }
        }
        return out;
    }
    value.to_owned()
}
