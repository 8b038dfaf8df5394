//! Public resolvers.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Provenance;
use super::ranges::{AddressIndex, parse_prefix};
use super::sheet::{Notes, Sheet};

/// A public resolver service.
#[derive(Clone, Debug)]
pub struct Resolver {
    /// Its short name.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Who operates it.
    pub operator: String,
    /// Where it can be asked; those of its networks are not listed.
    pub addresses: Vec<IpAddr>,
    /// Whether it withholds names by design.
    pub filters: bool,
    /// Its name for DNS over TLS (RFC 7858).
    pub dot: Option<String>,
    /// Its URL for DNS over HTTPS (RFC 8484).
    pub doh: Option<String>,
    /// Where that comes from.
    pub provenance: Provenance,
}

/// All public resolvers.
#[derive(Clone, Debug, Default)]
pub(super) struct Resolvers {
    list: Vec<Resolver>,
    prefixes: Vec<(IpNet, usize)>,
    addresses: AddressIndex,
}

impl Resolvers {
    /// Adds the resolvers of a file that are not there yet.
    pub(super) fn read(&mut self, sheet: &Sheet<'_>, notes: &mut Notes) {
        let entries = sheet.entries("resolver", notes, |entry| {
            let name = entry.text("name");
            let title = entry.text("title");
            let operator = entry.text("operator");
            let prefixes = entry.parsed("addresses", "an address or prefix", parse_prefix);
            let filters = entry.flag("filters", false);
            let dot = entry.optional_text("dot").map(str::to_owned);
            let doh = entry.optional_text("doh").map(str::to_owned);
            let provenance = entry.provenance(name.unwrap_or_default());
            let (name, title, operator) = (name?.to_owned(), title?.to_owned(), operator?.to_owned());
            let prefixes = prefixes?;
            let single = |prefix: &&IpNet| prefix.prefix_len() == prefix.max_prefix_len();
            let addresses = prefixes.iter().filter(single).map(IpNet::addr).collect();
            let provenance = provenance?;
            let resolver = Resolver { name, title, operator, addresses, filters: filters?, dot, doh, provenance };
            Some((resolver, prefixes))
        });
        for (resolver, prefixes) in entries {
            if self.list.iter().any(|known| known.name == resolver.name) {
                continue;
            }
            let at = self.list.len();
            self.prefixes.extend(prefixes.into_iter().map(|prefix| (prefix, at)));
            self.list.push(resolver);
        }
        self.addresses = AddressIndex::new(self.prefixes.iter().copied());
    }

    /// The service that answers at an address.
    pub(super) fn at(&self, address: IpAddr) -> Option<&Resolver> {
        self.list.get(self.addresses.find(address)?)
    }

    /// The service with that short name.
    pub(super) fn called(&self, name: &str) -> Option<&Resolver> {
        self.list.iter().find(|resolver| resolver.name == name)
    }

    /// The service with that DNS over TLS name, or with that host in its DNS over HTTPS URL.
    pub(super) fn named(&self, host: &str) -> Option<&Resolver> {
        let host = super::hosts::normal(host);
        self.list.iter().find(|resolver| {
            let doh = resolver.doh.as_deref().and_then(|url| url.strip_prefix("https://")?.split('/').next());
            resolver.dot.as_deref() == Some(&host) || doh == Some(&host)
        })
    }
}
