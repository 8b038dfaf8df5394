//! The rules of `NO_PROXY` (golang.org/x/net/http/httpproxy `config.init` and its matchers).

use std::net::IpAddr;

use super::idna::to_ascii;
use crate::go::advice::GoVersion;
use crate::go::text::redacted;

/// One entry of `NO_PROXY` and what Go makes of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoProxyRule {
    /// The entry as it is written, blanks trimmed.
    pub entry: String,
    /// Its place in the list, from 0, empty entries counted.
    pub index: usize,
    /// What it matches.
    pub kind: RuleKind,
}

/// What a rule matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RuleKind {
    /// `*` on its own: everything. The other entries have no meaning then.
    All,
    /// Targets given as an IP address inside the network, never names that resolve to one.
    Network {
        /// The network's address.
        address: IpAddr,
        /// Its length in bits.
        prefix: u8,
    },
    /// Targets given as this IP address, never names that resolve to it.
    Address {
        /// The address.
        address: IpAddr,
        /// The only port, where one is given.
        port: Option<String>,
    },
    /// Names by their end.
    Domain {
        /// With its leading dot, ASCII, lower case.
        suffix: String,
        /// The only port, where one is given.
        port: Option<String>,
        /// Whether the domain itself matches too; false for `.example.com` and `*.example.com`.
        apex: bool,
    },
    /// Nothing: Go ignores it (`:1`).
    Ignored,
}

/// All entries of `NO_PROXY` in their order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NoProxy {
    rules: Vec<NoProxyRule>,
}

/// A request's target, prepared for comparing.
#[derive(Clone, Debug)]
pub struct Target {
    /// ASCII, as Go compares it with `localhost`: case kept.
    written: String,
    host: String,
    port: String,
    address: Option<IpAddr>,
    /// Whether Go takes the target for an IP address, so that domain rules pass it over.
    literal: bool,
}

impl Target {
    /// `host` with or without brackets, `port` as dialled; `version` decides about addresses with zones.
    #[must_use]
    pub fn new(host: &str, port: u16, version: Option<GoVersion>) -> Self {
        let host = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
        let written = to_ascii(host);
        let fixed = version.is_none_or(|v| v.at_least(24, 1) || (v.minor == 23 && v.at_least(23, 7)));
        let bare = match written.split_once('%') {
            Some((bare, zone)) if fixed && !zone.is_empty() && bare.contains(':') => bare,
            _ => written.as_str(),
        };
        let address = bare.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        Self {
            host: written.trim().to_ascii_lowercase(),
            port: port.to_string(),
            address,
            literal: fixed && address.is_some(),
            written,
        }
    }

    /// `localhost` or a loopback address: never proxied.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.written == "localhost" || self.address.is_some_and(|address| address.is_loopback())
    }
}

impl NoProxy {
    /// Reads the variable's value. Entries are split at commas, and a lone `*` makes all others void.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        // A URL is no rule, but some write one, password and all.
        let value = redacted(value);
        let rules = value.split(',').enumerate().filter_map(|(index, part)| {
            let entry = part.trim();
            (!entry.is_empty()).then(|| NoProxyRule { entry: entry.to_owned(), index, kind: RuleKind::of(entry) })
        });
        let mut rules: Vec<NoProxyRule> = rules.collect();
        if let Some(all) = rules.iter().position(|rule| rule.kind == RuleKind::All) {
            rules = vec![rules.swap_remove(all)];
        }
        Self { rules }
    }

    /// The rules that count.
    #[must_use]
    pub fn rules(&self) -> &[NoProxyRule] {
        &self.rules
    }

    /// The rule that sends the target direct; address rules are asked before domain rules, as in Go.
    #[must_use]
    pub fn matching(&self, target: &Target) -> Option<&NoProxyRule> {
        let by_address = |rule: &&NoProxyRule| !matches!(rule.kind, RuleKind::Domain { .. });
        let address = self.rules.iter().filter(by_address).find(|rule| rule.kind.matches(target));
        address.or_else(|| self.rules.iter().find(|rule| rule.kind.matches(target)))
    }
}

impl RuleKind {
    fn of(entry: &str) -> Self {
        let entry = entry.to_lowercase();
        if entry == "*" {
            return Self::All;
        }
        if let Some(network) = network(&entry) {
            return network;
        }
        let (host, port) = match split_host_port(&entry) {
            Some((host, port)) => (host, Some(port.to_owned()).filter(|port| !port.is_empty())),
            None => (entry.as_str(), None),
        };
        if host.is_empty() {
            return Self::Ignored;
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            return Self::Address { address: address.to_canonical(), port };
        }
        let host = if host.starts_with("*.") { host.strip_prefix('*').unwrap_or(host) } else { host };
        let apex = !host.starts_with('.');
        let suffix = to_ascii(&if apex { format!(".{host}") } else { host.to_owned() });
        Self::Domain { suffix, port, apex }
    }

    fn matches(&self, target: &Target) -> bool {
        let same_port = |port: &Option<String>| port.as_ref().is_none_or(|port| *port == target.port);
        match self {
            Self::All => true,
            Self::Network { address, prefix } => target.address.is_some_and(|asked| contains(*address, *prefix, asked)),
            Self::Address { address, port } => target.address == Some(*address) && same_port(port),
            Self::Domain { suffix, port, apex } => {
                let bare = suffix.strip_prefix('.').unwrap_or(suffix);
                !target.literal && (target.host.ends_with(suffix) || (*apex && target.host == bare)) && same_port(port)
            }
            Self::Ignored => false,
        }
    }
}

/// Whether the network holds the address; both canonical (no IPv4 in IPv6).
#[must_use]
pub(super) fn contains(network: IpAddr, prefix: u8, address: IpAddr) -> bool {
    let shift = |bits: u8| u32::from(bits.saturating_sub(prefix));
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (network.to_bits() ^ address.to_bits()).checked_shr(shift(32)).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            (network.to_bits() ^ address.to_bits()).checked_shr(shift(128)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

/// Go's `net.ParseCIDR`.
pub(super) fn network(entry: &str) -> Option<RuleKind> {
    let (address, prefix) = entry.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let prefix: u8 = prefix.parse().ok()?;
    match (address, address.to_canonical()) {
        (IpAddr::V4(_), address) if prefix <= 32 => Some(RuleKind::Network { address, prefix }),
        (IpAddr::V6(_), address @ IpAddr::V4(_)) if (96..=128).contains(&prefix) => {
            Some(RuleKind::Network { address, prefix: prefix.saturating_sub(96) })
        }
        (address @ IpAddr::V6(_), _) if prefix <= 128 => Some(RuleKind::Network { address, prefix }),
        _ => None,
    }
}

/// Go's `net.SplitHostPort`: `None` where it gives an error.
pub(super) fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (before, port) = text.rsplit_once(':')?;
    if let Some(inner) = before.strip_prefix('[') {
        let host = inner.strip_suffix(']')?;
        return (!host.contains(['[', ']']) && !port.contains(['[', ']'])).then_some((host, port));
    }
    (!before.contains(':') && !text.contains(['[', ']'])).then_some((before, port))
}
