//! Which GODEBUG switches a Go version has: advice must name a switch that exists there.

use std::fmt;

/// A version of Go: `go1.27.3`, `go1.27rc1`, or a development tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GoVersion {
    /// 1.
    pub major: u16,
    /// 27 of `go1.27.3`.
    pub minor: u16,
    /// 3 of `go1.27.3`; 0 for `go1.27`, betas and release candidates.
    pub patch: u16,
}

impl GoVersion {
    /// A version by its numbers.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// Reads `go1.27.3`, `1.27`, `go1.27rc2`, `go1.27.3-custom`, `go version go1.27.3 linux/amd64`, and
    /// `devel go1.28-abc123`. `None` when no version is in the text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.split(|c: char| c.is_whitespace() || c == '"' || c == '\'').find_map(Self::from_word)
    }

    fn from_word(word: &str) -> Option<Self> {
        let numbers = word.strip_prefix("go").unwrap_or(word);
        let (major, rest) = leading_number(numbers)?;
        let (minor, rest) = leading_number(rest.strip_prefix('.')?)?;
        let patch = rest.strip_prefix('.').and_then(leading_number).map_or(0, |(patch, _)| patch);
        (major == 1).then_some(Self { major, minor, patch })
    }

    /// Whether it is `1.minor.patch` or later.
    #[must_use]
    pub const fn at_least(self, minor: u16, patch: u16) -> bool {
        self.minor > minor || (self.minor == minor && self.patch >= patch)
    }
}

/// As `go1.27.3`.
impl fmt::Display for GoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "go{}.{}", self.major, self.minor)?;
        if self.patch > 0 { write!(f, ".{}", self.patch) } else { Ok(()) }
    }
}

fn leading_number(text: &str) -> Option<(u16, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

/// A switch of GODEBUG: its name, the releases from which it exists, the minor version that removed it.
struct Switch {
    name: &'static str,
    /// Minor and patch of the first release that has it; more than one where it was added to older lines too.
    since: &'static [(u16, u16)],
    removed: Option<u16>,
}

const fn from(name: &'static str, since: &'static [(u16, u16)]) -> Switch {
    Switch { name, since, removed: None }
}

const fn until(name: &'static str, since: &'static [(u16, u16)], removed: u16) -> Switch {
    Switch { name, since, removed: Some(removed) }
}

/// Go's internal/godebugs/table.go and doc/godebug.md, as far as they touch the network (1.21.13 to 1.27.3, November 2026).
const SWITCHES: &[Switch] = &[
    from("netdns", &[(5, 0)]),
    from("netedns0", &[(21, 12), (22, 5), (23, 0)]),
    from("http2client", &[(6, 0)]),
    from("http2debug", &[(6, 0)]),
    from("tlsmlkem", &[(24, 0)]),
    from("tlssecpmlkem", &[(26, 0)]),
    from("tlssha1", &[(25, 0)]),
    from("tlsmaxrsasize", &[(21, 0)]),
    from("rsa1024min", &[(24, 0)]),
    from("x509negativeserial", &[(23, 0)]),
    from("x509usepolicies", &[(22, 0)]),
    from("x509sha256skid", &[(25, 0)]),
    from("x509rsacrt", &[(24, 0)]),
    from("x509sslcertoverrideplatform", &[(27, 0)]),
    from("x509usefallbackroots", &[(20, 0)]),
    from("multipathtcp", &[(21, 0)]),
    from("fips140", &[(24, 0)]),
    from("urlstrictcolons", &[(26, 0)]),
    from("toolchaintrace", &[(24, 0)]),
    from("cmdgonetlimit", &[(15, 0)]),
    until("tlskyber", &[(23, 0)], 24),
    until("x509sha1", &[(18, 0)], 24),
    until("tlsrsakex", &[(22, 0)], 27),
    until("tls3des", &[(23, 0)], 27),
    until("tls10server", &[(22, 0)], 27),
    until("tlsunsafeekm", &[(22, 0)], 27),
    until("x509keypairleaf", &[(23, 0)], 27),
];

/// Whether that version of Go acts upon the GODEBUG key. Unknown keys, `tlsmldsa` among them, exist nowhere.
#[must_use]
pub fn switch_exists(name: &str, version: GoVersion) -> bool {
    SWITCHES.iter().any(|switch| {
        // A patch release of an older line that has it says nothing about the lines between: 1.22.4 lacks what 1.21.12 has.
        let introduced = switch.since.iter().rfind(|(minor, _)| *minor <= version.minor);
        switch.name == name
            && introduced.is_some_and(|&(minor, patch)| version.at_least(minor, patch))
            && switch.removed.is_none_or(|removed| version.minor < removed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_wherever_they_stand() {
        for (text, expected) in [
            ("go1.27.3", Some((27, 3))),
            ("go version go1.27.3 linux/amd64", Some((27, 3))),
            ("go version go1.19.8 linux/amd64\n", Some((19, 8))),
            ("go1.27rc1", Some((27, 0))),
            ("1.22", Some((22, 0))),
            ("go1.24.11-custom X:boringcrypto", Some((24, 11))),
            ("go version devel go1.28-9ae4b1f Fri Nov 20 10:00:00 2026 +0000 linux/amd64", Some((28, 0))),
            ("devel +abc123", None),
            ("", None),
            ("go", None),
            ("go1.99999999", None),
        ] {
            assert_eq!(GoVersion::parse(text).map(|v| (v.minor, v.patch)), expected, "{text}");
        }
        assert_eq!(GoVersion::new(1, 27, 3).to_string(), "go1.27.3");
        assert_eq!(GoVersion::new(1, 27, 0).to_string(), "go1.27");
        assert!(GoVersion::new(1, 9, 0) < GoVersion::new(1, 10, 0));
    }

    #[test]
    fn switches_exist_where_they_do() {
        let at = |minor| GoVersion::new(1, minor, 0);
        for (name, first) in [
            ("tlsmlkem", 24),
            ("tlssecpmlkem", 26),
            ("tlssha1", 25),
            ("rsa1024min", 24),
            ("x509negativeserial", 23),
            ("x509sha256skid", 25),
            ("x509sslcertoverrideplatform", 27),
            ("fips140", 24),
            ("urlstrictcolons", 26),
        ] {
            assert!(switch_exists(name, at(first)), "{name} in 1.{first}");
            assert!(!switch_exists(name, at(first - 1)), "{name} before 1.{first}");
        }
        for (name, removed) in [
            ("tlskyber", 24),
            ("x509sha1", 24),
            ("tlsrsakex", 27),
            ("tls3des", 27),
            ("tls10server", 27),
            ("tlsunsafeekm", 27),
            ("x509keypairleaf", 27),
        ] {
            assert!(switch_exists(name, at(removed - 1)), "{name} before 1.{removed}");
            assert!(!switch_exists(name, at(removed)), "{name} in 1.{removed}");
        }
        assert!(!switch_exists("tlsmldsa", at(27)), "ML-DSA cannot be switched off");
        assert!(switch_exists("netdns", at(19)));
        assert!(switch_exists("netedns0", GoVersion::new(1, 21, 13)));
        assert!(!switch_exists("netedns0", GoVersion::new(1, 22, 4)));
        assert!(switch_exists("netedns0", at(27)));
    }
}
