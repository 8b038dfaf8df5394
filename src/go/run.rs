//! One run of the go command: what it printed, how it was set up, how it ended.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::advice::{GoVersion, switch_exists};
use super::env::{GoEnv, SumDb};
use super::log::{GoError, GoErrorKind, GoLog};
use super::proxy::ProxyFunc;

/// What is known of a run of the go command. Each part may be missing.
#[derive(Clone, Debug, Default)]
pub struct GoRun {
    /// What it printed.
    pub log: Option<GoLog>,
    /// Its environment.
    pub env: Option<GoEnv>,
    /// Its exit status.
    pub exit: Option<i32>,
    /// Its version, from the environment or by its TLS hello.
    pub version: Option<GoVersion>,
}

impl GoRun {
    /// The errors it printed, in their order.
    #[must_use]
    pub fn errors(&self) -> &[GoError] {
        self.log.as_ref().map_or(&[], GoLog::errors)
    }

    /// Whether it is known to have failed: by its exit status, else by its output. `None` when neither is known.
    #[must_use]
    pub fn failed(&self) -> Option<bool> {
        self.exit.map(|exit| exit != 0).or_else(|| self.log.as_ref().map(|log| !log.errors().is_empty()))
    }

    /// Every host that its output or its settings name: URLs and lookups, module proxies, the checksum database, proxies.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        let mut hosts: BTreeSet<String> = self.log.iter().flat_map(GoLog::hosts).collect();
        hosts.extend(self.set_hosts());
        hosts.extend(self.proxies().into_iter().map(|(host, _)| host));
        hosts.retain(|host| host.parse::<IpAddr>().is_err());
        hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect()
    }

    /// The module proxies and the checksum database that its settings name.
    fn set_hosts(&self) -> Vec<String> {
        let Some(env) = &self.env else { return Vec::new() };
        let mut hosts = env.module_proxy_hosts();
        if env.get("GOSUMDB").is_some() && !matches!(env.gosumdb(), SumDb::Off) {
            hosts.extend(env.sumdb_host());
        }
        hosts
    }

    /// Addresses that its output or its settings name, each with the host it stands for, where that is said.
    #[must_use]
    pub fn addresses(&self) -> Vec<(IpAddr, Option<String>)> {
        let mut addresses: Vec<(IpAddr, Option<String>)> = self
            .log
            .iter()
            .flat_map(|log| log.addresses().into_iter().map(|(host, address)| (address.ip(), host.map(str::to_owned))))
            .collect();
        // Where a proxy was dialled the text names the wanted host and the proxy's address.
        if !self.proxies().is_empty() {
            addresses.iter_mut().for_each(|(_, host)| *host = None);
        }
        let set = self.set_hosts().into_iter().chain(self.proxies().into_iter().map(|(host, _)| host));
        addresses.extend(set.filter_map(|host| Some((host.parse().ok()?, None))));
        addresses
    }

    /// Host and port of the proxies in its environment.
    #[must_use]
    pub fn proxies(&self) -> Vec<(String, u16)> {
        let Some(env) = &self.env else { return Vec::new() };
        ProxyFunc::for_version(env, self.version)
            .proxies()
            .map(|(_, url)| (url.host().to_ascii_lowercase(), url.port()))
            .collect()
    }

    /// Whether the host is one of those proxies.
    #[must_use]
    pub fn is_proxy_host(&self, host: &str) -> bool {
        self.proxies().iter().any(|(proxy, _)| proxy == host)
    }

    /// Whether its output or settings name that host.
    #[must_use]
    pub fn names_host(&self, host: &str) -> bool {
        self.hosts().iter().any(|known| known == host)
    }

    /// The host that its output ties to that far end.
    #[must_use]
    pub fn host_of(&self, address: SocketAddr) -> Option<String> {
        if !self.proxies().is_empty() {
            return None;
        }
        self.errors()
            .iter()
            .find(|error| error.address == Some(address) && !error.is_about_proxy())
            .and_then(|error| error.host.clone())
    }

    /// The first error about a host, else about an address.
    #[must_use]
    pub fn error_about(&self, host: Option<&str>, address: Option<IpAddr>) -> Option<&GoError> {
        let about_host =
            |error: &&GoError| host.is_some() && (error.host.as_deref() == host || error.lookup.as_deref() == host);
        let about_address = |error: &&GoError| address.is_some() && error.address.map(|known| known.ip()) == address;
        let errors = || self.errors().iter();
        errors()
            .find(|error| about_host(error) && about_address(error))
            .or_else(|| errors().find(about_host))
            .or_else(|| errors().find(about_address))
    }

    /// Whether an error says that it failed because of that name.
    #[must_use]
    pub fn failed_on(&self, name: &str) -> bool {
        self.errors().iter().any(|error| {
            (error.host.as_deref() == Some(name) || error.lookup.as_deref() == Some(name))
                && matches!(error.kind.innermost(), GoErrorKind::NoSuchHost | GoErrorKind::GitError(_))
        })
    }

    /// Whether it gave up waiting for an answer about that name.
    #[must_use]
    pub fn has_dns_timeout(&self, name: &str) -> bool {
        self.errors().iter().any(|error| {
            (error.host.as_deref() == Some(name) || error.lookup.as_deref() == Some(name))
                && matches!(error.kind.innermost(), GoErrorKind::DnsTimeout)
        })
    }

    /// The names that, by its own words, the certificate shown for `wanted` is for.
    #[must_use]
    pub fn name_mismatch_of(&self, wanted: &str) -> Option<String> {
        self.errors().iter().find_map(|error| match error.kind.innermost() {
            GoErrorKind::NameMismatch { valid_for, wanted: name } if name.eq_ignore_ascii_case(wanted) => {
                Some(if valid_for.is_empty() { "other names".to_owned() } else { valid_for.join(", ") })
            }
            _ => None,
        })
    }

    /// Whether this go has a GODEBUG switch; an unknown version is taken for the newest.
    #[must_use]
    pub fn has_switch(&self, name: &str) -> bool {
        self.version
            .map_or_else(|| switch_exists(name, GoVersion::new(1, 27, 0)), |version| switch_exists(name, version))
    }
}
