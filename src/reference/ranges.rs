//! Address ranges: who operates which addresses.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::Provenance;
use super::sheet::{Notes, Sheet};

/// An operator and the addresses that are known to be its own.
#[derive(Clone, Debug)]
pub struct Ranges {
    /// Its short name, as in `hosts.toml`.
    pub operator: String,
    /// Its name for people.
    pub title: String,
    /// Other short names that reference files use for it.
    pub aliases: Vec<String>,
    /// Where the list comes from; `None` for ranges that came with a reference file.
    pub provenance: Option<Provenance>,
    /// First and last address, sorted, disjoint.
    spans: Vec<(u128, u128)>,
}

impl Ranges {
    /// Ranges out of prefixes, in any order, overlapping or not.
    pub(super) fn new(operator: &str, prefixes: &[IpNet]) -> Self {
        let mut spans: Vec<(u128, u128)> = prefixes.iter().map(|prefix| bounds(*prefix)).collect();
        spans.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(spans.len());
        for (first, last) in spans {
            match merged.last_mut() {
                Some(previous) if first <= previous.1.saturating_add(1) => previous.1 = previous.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        let operator = operator.to_owned();
        Self { title: operator.clone(), operator, aliases: Vec::new(), provenance: None, spans: merged }
    }

    /// Whether the address is in one of the ranges.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.span_of(address).is_some()
    }

    /// Whether there is no range at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// How many addresses the range around this one has, less one.
    fn span_of(&self, address: IpAddr) -> Option<u128> {
        let number = number(address);
        let after = self.spans.partition_point(|(first, _)| *first <= number);
        let (first, last) = self.spans.get(after.checked_sub(1)?)?;
        (number <= *last).then(|| last.saturating_sub(*first))
    }
}

/// All operators.
#[derive(Clone, Debug, Default)]
pub(super) struct Operators(Vec<Ranges>);

impl Operators {
    /// Adds the operators of a file that are not there yet.
    pub(super) fn read(&mut self, sheet: &Sheet<'_>, notes: &mut Notes) {
        let entries = sheet.entries("operator", notes, |entry| {
            let name = entry.text("name");
            let title = entry.text("title");
            let aliases = entry.optional_texts("aliases");
            let prefixes = entry.parsed("prefixes", "an address prefix such as 192.0.2.0/24", parse_prefix);
            let provenance = entry.provenance(name.unwrap_or_default());
            let mut ranges = Ranges::new(name?, &prefixes?);
            (ranges.title, ranges.aliases, ranges.provenance) = (title?.to_owned(), aliases?, Some(provenance?));
            Some(ranges)
        });
        for ranges in entries {
            if self.named(&ranges.operator).is_none() {
                self.0.push(ranges);
            }
        }
    }

    /// Puts ranges in the place of the operator's of that name, or adds them.
    pub(super) fn replace(&mut self, mut ranges: Ranges) {
        match self.0.iter_mut().find(|known| known.operator == ranges.operator) {
            Some(known) => {
                ranges.title.clone_from(&known.title);
                ranges.aliases.clone_from(&known.aliases);
                *known = ranges;
            }
            None => self.0.push(ranges),
        }
    }

    /// An operator by its short name or one of its aliases.
    pub(super) fn named(&self, name: &str) -> Option<&Ranges> {
        let exact = self.0.iter().find(|ranges| ranges.operator == name);
        exact.or_else(|| self.0.iter().find(|ranges| ranges.aliases.iter().any(|alias| alias == name)))
    }

    /// Whose the address is; the narrowest range counts (GitHub's single addresses inside Microsoft's).
    pub(super) fn of(&self, address: IpAddr) -> Option<&Ranges> {
        let inside = self.0.iter().filter_map(|ranges| Some((ranges.span_of(address)?, ranges)));
        inside.min_by_key(|(size, _)| *size).map(|(_, ranges)| ranges)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Ranges> {
        self.0.iter()
    }
}

/// From addresses and prefixes to what was said of them; single addresses count before prefixes.
#[derive(Clone, Debug, Default)]
pub(super) struct AddressIndex {
    singles: Vec<(u128, usize)>,
    wide: Vec<(u128, u128, usize)>,
}

impl AddressIndex {
    /// An index over (prefix, index) pairs; of equal prefixes the first counts.
    pub(super) fn new(pairs: impl Iterator<Item = (IpNet, usize)>) -> Self {
        let mut index = Self::default();
        for (prefix, at) in pairs {
            match bounds(prefix) {
                (first, last) if first == last => index.singles.push((first, at)),
                (first, last) => index.wide.push((first, last, at)),
            }
        }
        index.singles.sort_by_key(|(address, _)| *address);
        index.singles.dedup_by_key(|(address, _)| *address);
        index.wide.sort_by_key(|(first, last, _)| last.saturating_sub(*first));
        index
    }

    /// What was said of the address.
    pub(super) fn find(&self, address: IpAddr) -> Option<usize> {
        let number = number(address);
        if let Ok(at) = self.singles.binary_search_by_key(&number, |(address, _)| *address) {
            return self.singles.get(at).map(|(_, at)| *at);
        }
        self.wide.iter().find(|(first, last, _)| (*first..=*last).contains(&number)).map(|(_, _, at)| *at)
    }
}

/// A prefix, or an address alone; bits behind the prefix length are dropped.
pub(super) fn parse_prefix(text: &str) -> Option<IpNet> {
    let net: IpNet = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    Some(net.trunc())
}

/// An address as a number; IPv4 addresses and IPv4-mapped IPv6 addresses (RFC 4291 §2.5.5.2) are the same.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => mapped(v4),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn mapped(address: Ipv4Addr) -> u128 {
    u128::from(address.to_ipv6_mapped())
}

fn bounds(prefix: IpNet) -> (u128, u128) {
    (number(prefix.network()), number(prefix.broadcast()))
}
