//! Whether a certificate is for a host: the rules of `VerifyHostname` in Go's crypto/x509/verify.go.

use super::extensions::SubjectName;
use super::facts::Facts;
use std::net::IpAddr;

/// Whether the leaf is for the host that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameCheck {
    /// It is.
    Ok,
    /// It is for these names only (perhaps none).
    Mismatch {
        /// Its DNS names and addresses.
        names: Vec<String>,
    },
    /// It has no subjectAltName at all; Go has not looked at the common name since 1.15.
    NoNames {
        /// The common name, for people.
        common_name: Option<String>,
    },
    /// No host is known, or the leaf could not be read.
    NotChecked,
}

/// Checks the leaf against a host name or an IP address (an IPv6 one with or without brackets).
pub(super) fn check(leaf: &Facts, host: &str) -> NameCheck {
    let names = &leaf.extensions.names;
    if !leaf.extensions.has_subject_alt_name {
        return NameCheck::NoNames { common_name: leaf.common_name.clone() };
    }
    if names.iter().any(|name| covers(name, host)) {
        return NameCheck::Ok;
    }
    NameCheck::Mismatch { names: names.iter().map(ToString::to_string).collect() }
}

/// Whether one name of a certificate covers a host: an address by equality, a DNS name without regard to case, a
/// pattern by its whole leftmost label.
#[must_use]
pub fn covers(name: &SubjectName, host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    match (name, bare.parse::<IpAddr>()) {
        // Go compares the addresses with net.IP.Equal, which takes ::ffff:a.b.c.d for a.b.c.d.
        (SubjectName::Ip(address), Ok(wanted)) => address.to_canonical() == wanted.to_canonical(),
        (SubjectName::Dns(pattern), Err(_)) => pattern_covers(pattern, host),
        _ => false,
    }
}

/// Whether a certificate's pattern covers a host name.
pub(super) fn pattern_covers(pattern: &str, host: &str) -> bool {
    if is_host_name(host, false) && is_host_name(pattern, true) {
        let host = host.strip_suffix('.').unwrap_or(host);
        let (mut wanted, mut given) = (host.split('.'), pattern.split('.'));
        if pattern.starts_with("*.") || pattern == "*" {
            wanted.next();
            given.next();
        }
        // `eq_by` is unstable; both have to end together.
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return true,
                (Some(wanted), Some(given)) if wanted.eq_ignore_ascii_case(given) => {}
                _ => return false,
            }
        }
    }
    !matches!(host, "" | ".") && !matches!(pattern, "" | ".") && host.eq_ignore_ascii_case(pattern)
}

/// `validHostname` of verify.go: letters, digits, underscores, hyphens except at the start of a label; in a pattern
/// also a leftmost label that is `*`; without one a final dot.
fn is_host_name(name: &str, pattern: bool) -> bool {
    let name = if pattern { name } else { name.strip_suffix('.').unwrap_or(name) };
    name.split('.').enumerate().all(|(at, label)| {
        (pattern && at == 0 && label == "*")
            || (!label.is_empty()
                && !label.starts_with('-')
                && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(pattern: &str, host: &str) -> bool {
        covers(&SubjectName::Dns(pattern.into()), host)
    }

    #[test]
    fn go_verify_hostname_patterns() {
        for (pattern, host, expected) in [
            ("proxy.golang.org", "proxy.golang.org", true),
            ("proxy.golang.org", "PROXY.golang.ORG", true),
            ("proxy.golang.org", "proxy.golang.org.", true),
            ("proxy.golang.org.", "proxy.golang.org.", true), // an invalid pattern, matched to the letter
            ("proxy.golang.org.", "proxy.golang.org", false),
            ("*.golang.org", "proxy.golang.org", true),
            ("*.golang.org", "golang.org", false),
            ("*.golang.org", "a.proxy.golang.org", false),
            ("p*.golang.org", "proxy.golang.org", false),
            ("proxy.*.org", "proxy.golang.org", false),
            ("*.*.org", "proxy.golang.org", false),
            ("*", "localhost", true),
            ("*", "golang.org", false),
            ("*.golang.org", "*.golang.org", true), // no valid host name, matched to the letter
            ("-a.org", "-a.org", true),
            ("a_b.org", "a_b.org", true),
            ("", "", false),
            (".", ".", false),
            ("*.golang.org", ".golang.org", false),
            ("golang.org", "xgolang.org", false),
        ] {
            assert_eq!(dns(pattern, host), expected, "{pattern} {host}");
        }
    }

    #[test]
    fn go_verify_hostname_addresses() {
        let ip = |name: &str, host| covers(&SubjectName::Ip(name.parse().unwrap()), host);
        assert!(ip("192.0.2.1", "192.0.2.1"));
        assert!(ip("2001:db8::1", "[2001:db8:0::1]"));
        assert!(ip("2001:db8::1", "2001:db8::1"));
        assert!(ip("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(!ip("192.0.2.1", "192.0.2.2"));
        assert!(!ip("192.0.2.1", "host.example"));
        assert!(!dns("192.0.2.1", "192.0.2.1"), "an address in a dNSName does not count");
    }
}
