//! Special-purpose addresses: what no public name has (RFC 6890 and the IANA registries).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::Provenance;
use super::ranges::parse_prefix;
use super::sheet::{Notes, Sheet};

/// Why an address is no public one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Special {
    /// `0.0.0.0` or `::`.
    Unspecified,
    /// The rest of `0.0.0.0/8`.
    ThisNetwork,
    /// Loopback.
    Loopback,
    /// Private (RFC 1918), unique local (RFC 4193) or site-local.
    Private,
    /// Link-local.
    LinkLocal,
    /// Carrier-grade NAT, `100.64.0.0/10`.
    Shared,
    /// Reserved for documentation.
    Documentation,
    /// `198.18.0.0/15`, which tunnels with made-up addresses use.
    Benchmarking,
    /// For protocols, not for hosts.
    Protocol,
    /// Teredo, `2001::/32`; a classic forged answer.
    Teredo,
    /// Discarded on purpose, `100::/64`.
    Discard,
    /// Not assigned, or no longer.
    Reserved,
    /// Multicast.
    Multicast,
    /// The limited broadcast address.
    Broadcast,
}

impl Special {
    /// What to call it in a sentence.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Unspecified => "the unspecified address",
            Self::ThisNetwork => "\"this network\"",
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::LinkLocal => "a link-local address",
            Self::Shared => "an address of carrier-grade NAT",
            Self::Documentation => "an address reserved for documentation",
            Self::Benchmarking => "an address reserved for benchmarks",
            Self::Protocol => "an address reserved for protocols",
            Self::Teredo => "a Teredo address",
            Self::Discard => "a discard-only address",
            Self::Reserved => "a reserved address",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "the broadcast address",
        }
    }

    /// Whether no network, private ones included, has a host there.
    #[must_use]
    pub const fn is_never_routed(self) -> bool {
        matches!(self, Self::Documentation | Self::Discard | Self::Reserved | Self::Multicast | Self::Broadcast)
    }
}

/// What a prefix means: a kind, or "look at the IPv4 address inside".
#[derive(Clone, Copy, Debug)]
enum Meaning {
    Kind(Special),
    Translated,
}

const MEANINGS: &[(&str, Meaning)] = &[
    ("unspecified", Meaning::Kind(Special::Unspecified)),
    ("this_network", Meaning::Kind(Special::ThisNetwork)),
    ("loopback", Meaning::Kind(Special::Loopback)),
    ("private", Meaning::Kind(Special::Private)),
    ("link_local", Meaning::Kind(Special::LinkLocal)),
    ("shared", Meaning::Kind(Special::Shared)),
    ("documentation", Meaning::Kind(Special::Documentation)),
    ("benchmarking", Meaning::Kind(Special::Benchmarking)),
    ("protocol", Meaning::Kind(Special::Protocol)),
    ("teredo", Meaning::Kind(Special::Teredo)),
    ("discard", Meaning::Kind(Special::Discard)),
    ("reserved", Meaning::Kind(Special::Reserved)),
    ("multicast", Meaning::Kind(Special::Multicast)),
    ("broadcast", Meaning::Kind(Special::Broadcast)),
    ("translated", Meaning::Translated),
];

/// All special-purpose prefixes.
#[derive(Clone, Debug, Default)]
pub(super) struct SpecialTable(Vec<(IpNet, Meaning, Provenance)>);

impl SpecialTable {
    /// Adds the prefixes of a file that are not there yet.
    pub(super) fn read(&mut self, sheet: &Sheet<'_>, notes: &mut Notes) {
        let entries = sheet.entries("special", notes, |entry| {
            let prefix = entry.parsed_text("prefix", "an address prefix", parse_prefix);
            let meaning = entry.word("kind", MEANINGS);
            let provenance = entry.provenance(&prefix.map(|prefix| prefix.to_string()).unwrap_or_default());
            Some((prefix?, meaning?, provenance?))
        });
        for (prefix, meaning, provenance) in entries {
            if !self.0.iter().any(|(known, ..)| *known == prefix) {
                self.0.push((prefix, meaning, provenance));
            }
        }
    }

    /// Why the address is no public one; `None` for a public one.
    pub(super) fn find(&self, address: IpAddr) -> Option<Special> {
        let address = address.to_canonical();
        let holding = self.0.iter().filter(|(prefix, ..)| prefix.contains(&address));
        let (prefix, meaning, _) = holding.max_by_key(|(prefix, ..)| prefix.prefix_len())?;
        match (meaning, address) {
            (Meaning::Kind(kind), _) => Some(*kind),
            (Meaning::Translated, IpAddr::V6(v6)) => self.find(IpAddr::V4(embedded(v6, prefix.prefix_len()))),
            (Meaning::Translated, IpAddr::V4(_)) => None,
        }
    }
}

/// The IPv4 address inside: after the prefix of 6to4 (RFC 3056 §2), at the end for NAT64 (RFC 6052 §2.2, /96).
fn embedded(address: Ipv6Addr, prefix: u8) -> Ipv4Addr {
    let shift = if prefix == 16 { 80 } else { 0 };
    let low = (u128::from(address) >> shift) & u128::from(u32::MAX);
    Ipv4Addr::from(u32::try_from(low).unwrap_or_default())
}

/// The IPv4 address in an address with the well-known prefix of NAT64, `64:ff9b::/96` (RFC 6052 §2.1).
pub(super) fn nat64(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = address else { return None };
    (u128::from(v6) >> 32 == 0x0064_ff9b_u128 << 64).then(|| embedded(v6, 96))
}

/// The last 32 bits of an IPv6 address as an IPv4 address.
pub(super) fn last_32_bits(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = address else { return None };
    Some(embedded(v6, 96))
}
