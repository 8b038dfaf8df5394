//! Addresses and names that stand for a lie: injected answers, block pages, landing pages, sinkholes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::Provenance;
use super::hosts::normal;
use super::ranges::{AddressIndex, parse_prefix};
use super::sheet::{Entry, Notes, Sheet};

/// What is known of a bad address or name.
#[derive(Clone, Debug)]
pub struct KnownBad {
    /// The pool that it belongs to.
    pub pool: String,
    /// What it is.
    pub kind: BadKind,
    /// Who gives it, for people.
    pub who: String,
    /// Two letters of ISO 3166, where it belongs to one country.
    pub country: Option<String>,
    /// Where that comes from.
    pub provenance: Provenance,
}

/// What a bad address or name is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BadKind {
    /// Given in injected answers; somebody else's address or nobody's.
    Poison,
    /// Serves a filter's page.
    BlockPage,
    /// Serves a log-in portal.
    Portal,
    /// Given instead of NXDOMAIN.
    NxdomainLanding,
    /// Collects the traffic of malware.
    Sinkhole,
}

const KINDS: &[(&str, BadKind)] = &[
    ("poison", BadKind::Poison),
    ("block_page", BadKind::BlockPage),
    ("portal", BadKind::Portal),
    ("nxdomain_landing", BadKind::NxdomainLanding),
    ("sinkhole", BadKind::Sinkhole),
];

/// All pools.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownTable {
    pools: Vec<KnownBad>,
    prefixes: Vec<(IpNet, usize)>,
    addresses: AddressIndex,
    names: BTreeMap<String, KnownBad>,
}

impl KnownTable {
    /// Adds the pools and names of a file that are not there yet.
    pub(super) fn read(&mut self, sheet: &Sheet<'_>, notes: &mut Notes) {
        let pools = sheet.entries("pool", notes, |entry| {
            let prefixes = entry.parsed("addresses", "an address or prefix", parse_prefix);
            let known = known(entry);
            Some((known?, prefixes?))
        });
        for (known, prefixes) in pools {
            if self.pools.iter().any(|pool| pool.pool == known.pool) {
                continue;
            }
            let at = self.pools.len();
            self.prefixes.extend(prefixes.into_iter().map(|prefix| (prefix, at)));
            self.pools.push(known);
        }
        self.addresses = AddressIndex::new(self.prefixes.iter().copied());
        let sets = sheet.entries("names", notes, |entry| {
            let names = entry.parsed("names", "a host name", |name| name.contains('.').then(|| normal(name)));
            let known = known(entry);
            Some((known?, names?))
        });
        for (known, names) in sets {
            for name in names {
                self.names.entry(name).or_insert_with(|| known.clone());
            }
        }
    }

    /// What is known of an address.
    pub(super) fn address(&self, address: IpAddr) -> Option<&KnownBad> {
        self.pools.get(self.addresses.find(address)?)
    }

    /// What is known of a name or of a name that it lies below.
    pub(super) fn name(&self, name: &str) -> Option<&KnownBad> {
        let name = normal(name);
        let mut rest = name.as_str();
        loop {
            if let Some(known) = self.names.get(rest) {
                return Some(known);
            }
            rest = rest.split_once('.')?.1;
        }
    }

    /// Every listed prefix with its pool.
    #[cfg(test)]
    pub(super) fn prefixes(&self) -> impl Iterator<Item = (IpNet, &KnownBad)> {
        self.prefixes.iter().filter_map(|(prefix, at)| Some((*prefix, self.pools.get(*at)?)))
    }
}

fn known(entry: &mut Entry<'_, '_>) -> Option<KnownBad> {
    let pool = entry.text("name");
    let kind = entry.word("kind", KINDS);
    let who = entry.text("who");
    let country = entry.optional_text("country").map(str::to_owned);
    if country.as_deref().is_some_and(|code| code.len() != 2 || !code.bytes().all(|byte| byte.is_ascii_uppercase())) {
        entry.mistake("`country` must be two capital letters of ISO 3166");
    }
    let provenance = entry.provenance(pool.unwrap_or_default());
    Some(KnownBad { pool: pool?.to_owned(), kind: kind?, who: who?.to_owned(), country, provenance: provenance? })
}
