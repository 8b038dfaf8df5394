//! A proxy's URL, read as Go's net/url does, without its secrets in what is shown.

use std::fmt;

use crate::go::advice::GoVersion;
use crate::go::text::redacted;

/// The address of a proxy. User name and password are neither in `Debug` nor in `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    scheme: String,
    host: String,
    port: Option<u16>,
    path: String,
    userinfo: Option<String>,
    rewritten: bool,
}

impl ProxyUrl {
    /// Reads the value of a proxy variable as the newest Go does; `None` for the values that it ignores.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        Self::for_version(value, None)
    }

    /// Reads the value of a proxy variable (httpproxy `parseProxy`). A value that is no URL, that has no scheme or no
    /// host, and up to Go 1.22 one with another scheme than http, https and socks5, is read again with `http://` in front.
    #[must_use]
    pub fn for_version(value: &str, version: Option<GoVersion>) -> Option<Self> {
        if value.is_empty() {
            return None;
        }
        let any_scheme = version.is_none_or(|version| version.at_least(23, 0));
        let read = parse(value);
        let bogus = match &read {
            None => true,
            Some(url) if any_scheme => url.scheme.is_empty() || url.host.is_empty(),
            Some(url) => !matches!(url.scheme.as_str(), "http" | "https" | "socks5"),
        };
        if bogus && let Some(mut again) = parse(&format!("http://{value}")) {
            again.rewritten = true;
            return Some(again);
        }
        read
    }

    /// Lower case: `http`, `https`, `socks5`, `socks5h`, or something unknown that Go speaks to as to an HTTP proxy.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Name or address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port that is dialled: the one given, else that of the scheme.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.scheme.as_str() {
            "https" => 443,
            "socks5" | "socks5h" => 1080,
            _ => 80,
        })
    }

    /// Whether a user name is given; Go sends it at once with the Basic scheme, or in the SOCKS negotiation.
    #[must_use]
    pub const fn has_credentials(&self) -> bool {
        self.userinfo.is_some()
    }

    /// Whether Go speaks SOCKS5 to it.
    #[must_use]
    pub fn is_socks(&self) -> bool {
        matches!(self.scheme.as_str(), "socks5" | "socks5h")
    }

    /// Whether Go read the value with `http://` in front. Usual for `host:port`.
    #[must_use]
    pub const fn scheme_was_missing(&self) -> bool {
        self.rewritten
    }

    /// Whether what Go dials is plainly not what the value's author meant: the host that Go reads is a piece of a
    /// scheme (`http://user:p#ss@host` is read as `http://http://user:p`, host `http`), or there is none.
    #[must_use]
    pub fn is_misread(&self) -> bool {
        let names_a_scheme = matches!(self.host.as_str(), "http" | "https" | "socks5" | "socks5h");
        self.host.is_empty() || (self.rewritten && (self.path.starts_with("//") || names_a_scheme))
    }
}

/// Without user information, as Go would print the URL.
impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        if self.has_credentials() {
            f.write_str("***@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        // What Go takes for the path of a misread value may hold the rest of a password.
        if self.is_misread() { f.write_str("/***") } else { f.write_str(&redacted(&self.path)) }
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({self})")
    }
}

/// Go's `url.Parse`, as far as proxy variables need it. `None` where it gives an error.
fn parse(value: &str) -> Option<ProxyUrl> {
    if value.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return None;
    }
    let before_fragment = value.split('#').next()?;
    let (scheme, rest) = scheme(before_fragment)?;
    let mut url = ProxyUrl {
        scheme: scheme.to_ascii_lowercase(),
        host: String::new(),
        port: None,
        path: String::new(),
        userinfo: None,
        rewritten: false,
    };
    let rest = rest.split('?').next()?;
    let Some(after) = rest.strip_prefix("//") else {
        if scheme.is_empty() && !rest.starts_with('/') && rest.split('/').next()?.contains(':') {
            return None; // "first path segment in URL cannot contain colon"
        }
        rest.clone_into(&mut url.path);
        return Some(url);
    };
    let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
    path.clone_into(&mut url.path);
    let host_port = match authority.rsplit_once('@') {
        Some((userinfo, host)) => {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b);
            if !userinfo.bytes().all(allowed) {
                return None;
            }
            url.userinfo = Some(userinfo.to_owned());
            host
        }
        None => authority,
    };
    let (host, port) = if let Some(bracketed) = host_port.strip_prefix('[') {
        let (host, port) = bracketed.rsplit_once(']')?;
        (host, port)
    } else {
        let colon = host_port.rfind(':').unwrap_or(host_port.len());
        let (host, port) = host_port.split_at(colon);
        // Names take no other ASCII than this (net/url shouldEscape, encodeHost).
        if !host.bytes().all(|b| b >= 0x80 || b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]<>\"%".contains(&b)) {
            return None;
        }
        (host, port)
    };
    url.port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some("") => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        _ => return None,
    };
    host.clone_into(&mut url.host);
    Some(url)
}

/// Go's `getScheme`: `None` for a text that begins with a colon.
fn scheme(text: &str) -> Option<(&str, &str)> {
    for (at, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at == 0 => return None,
            ':' => {
                let (scheme, rest) = text.split_at(at);
                return Some((scheme, rest.strip_prefix(':')?));
            }
            _ => break,
        }
    }
    Some(("", text))
}
