//! Whom a probe asks beside the hosts in question and the configured resolvers.

use std::net::IpAddr;

use super::sheet::{Entry, Notes, Sheet};
use super::{Reference, Resolver};

/// The lists of `probe.toml`, those of an overlay first.
#[derive(Clone, Debug, Default)]
pub(super) struct Probing {
    trusted: Vec<String>,
    roots: Vec<RootServer>,
    controls: Vec<String>,
    nobody: Vec<IpAddr>,
}

/// A root server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RootServer {
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

impl Probing {
    /// Adds the entries of a file that are not there yet.
    pub(super) fn read(&mut self, sheet: &Sheet<'_>, notes: &mut Notes) {
        let plain = |entry: &mut Entry<'_, '_>| {
            let name = entry.text("name");
            let known = entry.provenance(name.unwrap_or_default());
            known.and(name).map(str::to_owned)
        };
        let addressed = |entry: &mut Entry<'_, '_>| {
            let addresses = entry.parsed("addresses", "an address", |text| text.parse().ok());
            Some(RootServer { name: plain(entry)?, addresses: addresses? })
        };
        add(&mut self.trusted, sheet.entries("trusted", notes, plain));
        add(&mut self.controls, sheet.entries("control", notes, plain));
        for root in sheet.entries("root", notes, addressed) {
            if !self.roots.iter().any(|known| known.name == root.name) {
                self.roots.push(root);
            }
        }
        add(&mut self.nobody, sheet.entries("nobody", notes, addressed).into_iter().flat_map(|entry| entry.addresses));
    }
}

fn add<T: PartialEq>(list: &mut Vec<T>, more: impl IntoIterator<Item = T>) {
    for item in more {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}

impl Reference {
    /// The public resolvers that are held to be honest, best first.
    pub fn trusted_resolvers(&self) -> impl Iterator<Item = &Resolver> {
        self.probing.trusted.iter().filter_map(|name| self.resolvers.called(name))
    }

    /// The root servers, in the order in which they are tried.
    #[must_use]
    pub fn root_servers(&self) -> &[RootServer] {
        &self.probing.roots
    }

    /// Names that nobody has a reason to touch.
    #[must_use]
    pub fn control_names(&self) -> &[String] {
        &self.probing.controls
    }

    /// Addresses at which nothing serves names.
    #[must_use]
    pub fn nobodys_addresses(&self) -> &[IpAddr] {
        &self.probing.nobody
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_a_probe_asks_is_honest_encrypted_and_reachable() {
        let reference = Reference::builtin().unwrap();
        let trusted: Vec<&Resolver> = reference.trusted_resolvers().collect();
        assert!(trusted.len() >= 2);
        for resolver in trusted {
            assert!(!resolver.filters && resolver.dot.is_some() && resolver.doh.is_some(), "{}", resolver.name);
            assert!(!resolver.addresses.is_empty(), "{}", resolver.name);
        }
        assert_eq!(reference.root_servers().len(), 13);
        assert!(reference.root_servers().iter().all(|root| root.addresses.len() == 2));
        assert!(reference.nobodys_addresses().iter().all(|address| reference.special(*address).is_some()));
        assert!(reference.control_names().iter().all(|name| reference.host(name).is_none()));
    }
}
