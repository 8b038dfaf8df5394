//! Module paths and versions, and which names a file of a module may have (golang.org/x/mod/module, semver).

mod letters;

use std::fmt;

/// A module at a version, by the names that Go gives them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ModuleVersion {
    /// `github.com/BurntSushi/toml`.
    pub path: String,
    /// `v0.3.1`.
    pub version: String,
}

impl ModuleVersion {
    /// From `path@version`; `None` when a part is missing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (path, version) = text.split_once('@')?;
        let whole = !path.is_empty() && !version.is_empty();
        whole.then(|| Self { path: path.to_owned(), version: version.to_owned() })
    }

    /// Of the name of an entry of a module zip, `path@version/…`. Other zips have folders like `@vue`, too.
    #[must_use]
    pub fn of_entry(name: &str) -> Option<Self> {
        let (path, rest) = name.split_once('@')?;
        let (version, _) = rest.split_once('/')?;
        let number = version.strip_prefix('v')?.starts_with(|c: char| c.is_ascii_digit());
        (number && !path.ends_with('/')).then(|| Self::parse(&format!("{path}@{version}")))?
    }

    /// From the case-encoded halves of a file name in a module cache or a proxy's URL.
    #[must_use]
    pub fn from_escaped(path: &str, version: &str) -> Option<Self> {
        Some(Self { path: unescape(path)?, version: unescape(version)? })
    }

    /// The case-encoded path and version, `None` where a name cannot be encoded.
    #[must_use]
    pub fn escaped(&self) -> Option<(String, String)> {
        Some((escape(&self.path)?, escape(&self.version)?))
    }

    /// Whether path and version can be those of a module, and fit each other.
    ///
    /// # Errors
    /// The rule that they break, in Go's words.
    pub fn check(&self) -> Result<(), String> {
        let canonical = canonical(&self.version);
        if canonical.as_deref() != Some(&self.version) {
            let canonical = canonical.unwrap_or_default();
            return Err(format!("version \"{}\" is not canonical (should be \"{canonical}\")", self.version));
        }
        check_path(&self.path).map_err(|rule| format!("malformed module path \"{}\": {rule}", self.path))?;
        let (_, major) = split_major(&self.path).ok_or("invalid version")?;
        let own = self.version.split_once('.').map_or("", |(major, _)| major);
        let fits = match major.trim_end_matches("-unstable") {
            "" => matches!(own, "v0" | "v1") || self.version.ends_with("+incompatible"),
            ".v1" if self.version.starts_with("v0.0.0-") => true,
            wanted => wanted.get(1..) == Some(own),
        };
        let wanted = if major.is_empty() { "v0 or v1" } else { major.get(1..).unwrap_or_default() };
        if fits { Ok(()) } else { Err(format!("invalid version: should be {wanted}, not {own}")) }
    }
}

impl fmt::Display for ModuleVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.path, self.version)
    }
}

/// `!x` for each capital letter.
fn escape(text: &str) -> Option<String> {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '!' => return None,
            'A'..='Z' => escaped.extend(['!', character.to_ascii_lowercase()]),
            other if other.is_ascii() => escaped.push(other),
            _ => return None,
        }
    }
    Some(escaped)
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '!' => plain.push(characters.next().filter(char::is_ascii_lowercase)?.to_ascii_uppercase()),
            other if other.is_ascii() && !other.is_ascii_uppercase() => plain.push(other),
            _ => return None,
        }
    }
    (!plain.is_empty()).then_some(plain)
}

/// The canonical form of a semantic version (without build metadata but `+incompatible`); `None` when it is none.
fn canonical(version: &str) -> Option<String> {
    let rest = version.strip_prefix('v')?;
    let (rest, build) = rest.split_once('+').map_or((rest, None), |(rest, build)| (rest, Some(build)));
    let (numbers, pre) = rest.split_once('-').map_or((rest, None), |(numbers, pre)| (numbers, Some(pre)));
    let numeric = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'))
    };
    let word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let identifier = |part: &str| word(part) && (numeric(part) || !part.bytes().all(|byte| byte.is_ascii_digit()));
    let parts: Vec<&str> = numbers.split('.').collect();
    let whole = parts.len() == 3 || (pre.is_none() && build.is_none() && parts.len() < 3);
    let valid = whole
        && parts.iter().all(|part| numeric(part))
        && pre.is_none_or(|pre| pre.split('.').all(identifier))
        && build.is_none_or(|build| build.split('.').all(word));
    if !valid {
        return None;
    }
    let mut canonical = format!("v{numbers}{}", ".0".repeat(3_usize.saturating_sub(parts.len())));
    if let Some(pre) = pre {
        canonical.push('-');
        canonical.push_str(pre);
    }
    if build == Some("incompatible") {
        canonical.push_str("+incompatible");
    }
    Some(canonical)
}

/// A module path and its ending `/vN` or, for gopkg.in, `.vN`; `None` when that ending is malformed.
fn split_major(path: &str) -> Option<(&str, &str)> {
    let digits = |text: &str| text.bytes().rev().take_while(u8::is_ascii_digit).count();
    if path.starts_with("gopkg.in/") {
        let stem = path.strip_suffix("-unstable").unwrap_or(path);
        let at = stem.len().checked_sub(digits(stem))?;
        let prefix = stem.get(..at)?.strip_suffix(".v")?;
        let number = stem.get(at..)?;
        let valid = !number.is_empty() && (!number.starts_with('0') || number == "0");
        return valid.then(|| path.split_at(prefix.len()));
    }
    let tail = path.bytes().rev().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let number = path.get(path.len().checked_sub(tail)?..)?;
    let Some(prefix) = path.strip_suffix(number).and_then(|stem| stem.strip_suffix("/v")).filter(|_| tail > 0) else {
        return Some((path, ""));
    };
    let valid = !number.contains('.') && !number.starts_with('0') && number != "1";
    valid.then(|| path.split_at(prefix.len()))
}

/// What a path is checked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PathKind {
    Module,
    File,
}

/// Whether it can be a module's path (`module.CheckPath`).
///
/// # Errors
/// The rule that it breaks.
pub fn check_path(path: &str) -> Result<(), String> {
    elements(path, PathKind::Module)?;
    let first = path.split('/').next().unwrap_or_default();
    if !first.contains('.') {
        return Err("missing dot in first path element".to_owned());
    }
    if let Some(bad) = first.chars().find(|c| !matches!(c, '-' | '.' | '0'..='9' | 'a'..='z')) {
        return Err(format!("invalid char {bad:?} in first path element"));
    }
    split_major(path).map(|_| ()).ok_or_else(|| "invalid version".to_owned())
}

/// Whether it can be the name of a file in a module (`module.CheckFilePath`).
///
/// Letters are those of the Unicode version of Rust's library, as they are those of Go's there.
///
/// # Errors
/// The rule that it breaks.
pub fn check_file_path(path: &str) -> Result<(), String> {
    elements(path, PathKind::File).map_err(|rule| format!("malformed file path \"{path}\": {rule}"))
}

fn elements(path: &str, kind: PathKind) -> Result<(), String> {
    let broken = |rule: &str| Err(rule.to_owned());
    if path.is_empty() {
        return broken("empty string");
    }
    if path.starts_with('-') && kind == PathKind::Module {
        return broken("leading dash");
    }
    if path.contains("//") {
        return broken("double slash");
    }
    if path.ends_with('/') {
        return broken("trailing slash");
    }
    path.split('/').try_for_each(|element| check_element(element, kind))
}

fn check_element(element: &str, kind: PathKind) -> Result<(), String> {
    let broken = |rule: &str| Err(rule.to_owned());
    if element.is_empty() {
        return broken("empty path element");
    }
    if element.bytes().all(|byte| byte == b'.') {
        return Err(format!("invalid path element \"{element}\""));
    }
    if element.starts_with('.') && kind == PathKind::Module {
        return broken("leading dot in path element");
    }
    if element.ends_with('.') {
        return broken("trailing dot in path element");
    }
    let allowed = |c: &char| match kind {
        PathKind::Module => c.is_ascii_alphanumeric() || "-._~".contains(*c),
        PathKind::File if c.is_ascii() => c.is_ascii_alphanumeric() || "!#$%&()+,-.=@[]^_{}~ ".contains(*c),
        PathKind::File => letters::is_letter(*c),
    };
    if let Some(bad) = element.chars().find(|c| !allowed(c)) {
        return Err(format!("invalid char {bad:?}"));
    }
    let short = element.split('.').next().unwrap_or_default();
    if is_windows_device(short) {
        return Err(format!("\"{short}\" disallowed as path element component on Windows"));
    }
    let tilde = short.rsplit_once('~').map(|(_, digits)| digits);
    let short_name = tilde.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
    if kind == PathKind::Module && short_name {
        return broken("trailing tilde and digits in path element");
    }
    Ok(())
}

fn is_windows_device(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let numbered = ["COM", "LPT"]
        .iter()
        .any(|device| name.strip_prefix(device).is_some_and(|number| matches!(number.as_bytes(), [b'1'..=b'9'])));
    numbered || matches!(name.as_str(), "CON" | "PRN" | "AUX" | "NUL")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, version: &str) -> Result<(), String> {
        ModuleVersion { path: path.to_owned(), version: version.to_owned() }.check()
    }

    #[test]
    fn real_names_are_taken() {
        for (path, version) in [
            ("github.com/BurntSushi/toml", "v0.3.1"),
            ("gopkg.in/yaml.v3", "v3.0.1"),
            ("gopkg.in/check.v1", "v0.0.0-20161208181325-20d25e280405"),
            ("gopkg.in/src-d/go-git.v4-unstable", "v4.1.0"),
            ("github.com/docker/docker", "v20.10.7+incompatible"),
            ("github.com/go-chi/chi/v5", "v5.3.2"),
            ("golang.org/toolchain", "v0.0.1-go1.27.3.linux-amd64"),
            ("golang.org/x/mod", "v0.0.0-20190513183733-4bf6d317e70e"),
        ] {
            assert_eq!(check(path, version), Ok(()), "{path}@{version}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused_with_its_rule() {
        for (path, version, rule) in [
            ("cache", "v1.0.0", "missing dot in first path element"),
            ("example.com/m", "v2.0.0", "should be v0 or v1, not v2"),
            ("example.com/m/v2", "v3.0.0", "should be v2, not v3"),
            ("example.com/m", "v1.0.0+bad", "is not canonical (should be \"v1.0.0\")"),
            ("example.com/m", "v1", "is not canonical (should be \"v1.0.0\")"),
            ("example.com/m", "v1.0.0-01", "is not canonical"),
            ("example.com/m/v1", "v1.0.0", "invalid version"),
            ("example.com/../m", "v1.0.0", "invalid path element"),
            ("example.com/aux", "v1.0.0", "disallowed as path element component on Windows"),
            ("example.com/abc~1", "v1.0.0", "trailing tilde and digits"),
            ("Example.com/m", "v1.0.0", "in first path element"),
            ("example.com/m\u{e9}", "v1.0.0", "invalid char"),
        ] {
            let refusal = check(path, version).unwrap_err();
            assert!(refusal.contains(rule), "{path}@{version}: {refusal}");
        }
    }

    #[test]
    fn names_are_encoded_and_decoded() {
        let module = ModuleVersion::parse("github.com/BurntSushi/toml@v0.3.1-RC").unwrap();
        let (path, version) = module.escaped().unwrap();
        assert_eq!((path.as_str(), version.as_str()), ("github.com/!burnt!sushi/toml", "v0.3.1-!r!c"));
        assert_eq!(ModuleVersion::from_escaped(&path, &version), Some(module));
        assert_eq!(ModuleVersion::from_escaped("github.com/Burnt", "v1.0.0"), None);
        assert_eq!(ModuleVersion::from_escaped("a!", "v1.0.0"), None);
        assert_eq!(ModuleVersion::parse("a@"), None);
    }
}
