//! Entries of `NO_PROXY` that Go reads otherwise than their author meant.

use std::net::IpAddr;

use super::no_proxy::{NoProxy, RuleKind, Target, contains, network, split_host_port};
use crate::go::text::redacted;

/// An entry that was probably meant otherwise for this host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoProxyMisread {
    /// The entry as it is written.
    pub entry: String,
    /// What its author overlooked.
    pub kind: MisreadKind,
}

/// How an entry misses the host, or takes it in against the author's intent.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum MisreadKind {
    /// The entry is an address or network that holds an address of the host, but Go compares these with targets given
    /// as addresses only, never with what a name resolves to. The host is proxied.
    AddressOfName {
        /// The host's address that the entry holds.
        address: IpAddr,
    },
    /// A URL where a host belongs (`http://example.com`). The host is proxied.
    UrlInsteadOfHost,
    /// Entries separated by something else than commas. The host is proxied.
    WrongSeparator {
        /// The separator.
        separator: char,
    },
    /// `.example.com` or `*.example.com` cover the subdomains, not the domain itself. The host is proxied.
    SubdomainsOnly,
    /// The entry holds for another port. The host is proxied.
    OtherPort {
        /// The entry's port.
        port: String,
    },
    /// The entry is the end of the name but begins in the middle of a label (`ple.com`). The host is proxied.
    MidLabel,
    /// A wildcard that Go does not know (`*example.com`, `proxy.*`, `10.44.*`). The host is proxied.
    UnknownWildcard,
    /// An address in brackets without a port. The host is proxied.
    BracketsWithoutPort,
    /// The entry names a domain, and with it all its subdomains, this host among them. The host goes direct.
    IncludesSubdomains,
    /// The entry is a single label such as `com` and covers everything beneath it. The host goes direct.
    WholeTopLevel,
}

impl MisreadKind {
    /// Whether the host goes direct because of the entry; else it is proxied in spite of it.
    #[must_use]
    pub const fn goes_direct(&self) -> bool {
        matches!(self, Self::IncludesSubdomains | Self::WholeTopLevel)
    }
}

/// The first entry of a `NO_PROXY` value that its author probably meant otherwise for `host`. `addresses` are those that
/// the host resolves to, as far as they are known. `None` where the value does what it says: the host is named, or
/// nothing in the value resembles it.
#[must_use]
pub fn explain_no_proxy(value: &str, host: &str, port: u16, addresses: &[IpAddr]) -> Option<NoProxyMisread> {
    let target = Target::new(host, port, None);
    if target.is_loopback() {
        return None;
    }
    let host = super::idna::to_ascii(host.trim_matches(['[', ']'])).to_ascii_lowercase();
    let rules = NoProxy::parse(value);
    if let Some(rule) = rules.matching(&target) {
        let RuleKind::Domain { suffix, apex: true, .. } = &rule.kind else { return None };
        let domain = suffix.strip_prefix('.').unwrap_or(suffix);
        let kind = if domain.contains('.') { MisreadKind::IncludesSubdomains } else { MisreadKind::WholeTopLevel };
        return (domain != host).then(|| NoProxyMisread { entry: rule.entry.clone(), kind });
    }
    let value = redacted(value);
    let entries = value.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries.into_iter().find_map(|entry| {
        let kind = misread(&entry.to_lowercase(), &host, port, addresses)?;
        Some(NoProxyMisread { entry: entry.to_owned(), kind })
    })
}

fn misread(entry: &str, host: &str, port: u16, addresses: &[IpAddr]) -> Option<MisreadKind> {
    // A list within an entry: would a piece of it have matched, or nearly so?
    if let Some(separator) = entry.chars().find(|c| matches!(c, ';' | '|') || c.is_whitespace()) {
        let meant =
            entry.split([';', '|']).flat_map(str::split_whitespace).any(|piece| means(piece, host, port, addresses));
        return meant.then_some(MisreadKind::WrongSeparator { separator });
    }
    if let Some((_, rest)) = entry.split_once("://") {
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        let authority = authority.rsplit('@').next().unwrap_or(authority);
        return means(authority, host, port, addresses).then_some(MisreadKind::UrlInsteadOfHost);
    }
    let literal: Option<IpAddr> = host.parse().ok();
    if let Some(RuleKind::Network { address, prefix }) = network(entry) {
        let held = addresses.iter().map(IpAddr::to_canonical).find(|&candidate| contains(address, prefix, candidate));
        return held.filter(|_| literal.is_none()).map(|address| MisreadKind::AddressOfName { address });
    }
    let bracketed = entry.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    let (name, entry_port) = split_host_port(entry).unwrap_or((entry, ""));
    if let Ok(address) = bracketed.unwrap_or(name).parse::<IpAddr>() {
        let address = address.to_canonical();
        return if literal.is_some_and(|literal| literal.to_canonical() == address) {
            Some(match bracketed {
                Some(_) => MisreadKind::BracketsWithoutPort,
                None => MisreadKind::OtherPort { port: entry_port.to_owned() },
            })
        } else {
            let held = literal.is_none() && addresses.iter().any(|candidate| candidate.to_canonical() == address);
            held.then_some(MisreadKind::AddressOfName { address })
        };
    }
    if !entry_port.is_empty() && entry_port != port.to_string() && covers(name, host) {
        return Some(MisreadKind::OtherPort { port: entry_port.to_owned() });
    }
    let parent = name.strip_prefix("*.").or_else(|| name.strip_prefix('.'));
    if parent == Some(host) {
        return Some(MisreadKind::SubdomainsOnly);
    }
    if name.contains('*') && parent.is_none_or(|parent| parent.contains('*')) {
        let texts = addresses.iter().map(ToString::to_string);
        let meant = wildcard(name, host) || texts.into_iter().any(|address| wildcard(name, &address));
        return meant.then_some(MisreadKind::UnknownWildcard);
    }
    // Two labels at least: the end of a name in one label is too often chance.
    (parent.is_none() && name.contains('.') && host.ends_with(name)).then_some(MisreadKind::MidLabel)
}

/// Whether the entry on its own matches the host, or would by one of the other misreadings.
fn means(piece: &str, host: &str, port: u16, addresses: &[IpAddr]) -> bool {
    let rules = NoProxy::parse(piece);
    let target = Target::new(host, port, None);
    if rules.matching(&target).is_some() {
        return true;
    }
    let simple = !piece.contains([';', '|']) && !piece.contains("://") && !piece.contains(char::is_whitespace);
    simple && misread(piece, host, port, addresses).is_some_and(|kind| kind != MisreadKind::MidLabel)
}

/// Whether a domain entry without its port takes the host.
fn covers(name: &str, host: &str) -> bool {
    let domain = name.strip_prefix("*.").or_else(|| name.strip_prefix('.')).unwrap_or(name);
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// Whether the pattern, with `*` for anything, is the whole text.
fn wildcard(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}
