//! Go's hosts and who operates them.

use std::collections::BTreeMap;

use super::Provenance;
use super::ranges::Operators;
use super::sheet::{Notes, Place, Sheet};

/// A host, or all hosts below a suffix.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name in lower case, or `*.suffix`.
    pub name: String,
    /// The short name of who operates it.
    pub operator: String,
    /// What it is to Go.
    pub role: Role,
    /// What its operator's ranges say about its addresses.
    pub ranges: Coverage,
    /// Whether it is one of Go's hosts; `false` for names that are known only for their operator.
    pub judged: bool,
    /// Where that comes from.
    pub provenance: Provenance,
}

/// What a host is to the go command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Role {
    /// Serves the GOPROXY protocol.
    ModuleProxy,
    /// A checksum database.
    ChecksumDatabase,
    /// Serves Go itself.
    Toolchain,
    /// Version control.
    Vcs,
    /// Answers `?go-get=1`.
    Vanity,
    /// Where others redirect downloads to.
    Storage,
    /// Anything else.
    Site,
}

/// What an operator's ranges say about a host's addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coverage {
    /// Every address of the name lies in them.
    Complete,
    /// Most do; an address outside says nothing.
    Partial,
    /// There are none, or they say nothing.
    None,
}

const ROLES: &[(&str, Role)] = &[
    ("module_proxy", Role::ModuleProxy),
    ("checksum_database", Role::ChecksumDatabase),
    ("toolchain", Role::Toolchain),
    ("vcs", Role::Vcs),
    ("vanity", Role::Vanity),
    ("storage", Role::Storage),
    ("site", Role::Site),
];

const COVERAGES: &[(&str, Coverage)] =
    &[("complete", Coverage::Complete), ("partial", Coverage::Partial), ("none", Coverage::None)];

/// All hosts.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts {
    by_name: BTreeMap<String, Host>,
    places: Vec<(Place, String, Coverage)>,
}

impl Hosts {
    /// Adds the hosts of a file that are not there yet.
    pub(super) fn read(&mut self, sheet: &Sheet<'_>, notes: &mut Notes) {
        let entries = sheet.entries("host", notes, |entry| {
            let name = entry.parsed_text("name", "a host name in lower case, or *.suffix", |name| {
                let rest = name.strip_prefix("*.").unwrap_or(name);
                let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
                (name.contains('.') && !rest.is_empty() && rest.chars().all(fine)).then(|| name.to_owned())
            });
            let operator = entry.text("operator");
            let role = entry.word("role", ROLES);
            let ranges = entry.word("ranges", COVERAGES);
            let judged = entry.flag("judged", true);
            let provenance = entry.provenance(name.as_deref().unwrap_or_default());
            let host = Host {
                name: name?,
                operator: operator?.to_owned(),
                role: role?,
                ranges: ranges?,
                judged: judged?,
                provenance: provenance?,
            };
            Some((host, entry.place()))
        });
        for (host, place) in entries {
            self.places.push((place, host.operator.clone(), host.ranges));
            self.by_name.entry(host.name.clone()).or_insert(host);
        }
    }

    /// Notes hosts that rely on ranges that do not exist.
    pub(super) fn check(&mut self, operators: &Operators, notes: &mut Notes) {
        for (place, operator, coverage) in self.places.drain(..) {
            if coverage != Coverage::None && operators.named(&operator).is_none_or(super::ranges::Ranges::is_empty) {
                notes.mistake_at(&place, format!("operator `{operator}` has no ranges; write ranges = \"none\""));
            }
        }
    }

    /// The entry for a name: its own, else that of the longest suffix.
    pub(super) fn find(&self, name: &str) -> Option<&Host> {
        let name = normal(name);
        if let Some(host) = self.by_name.get(&name) {
            return Some(host);
        }
        let mut rest = name.as_str();
        while let Some((_, suffix)) = rest.split_once('.') {
            if let Some(host) = self.by_name.get(&format!("*.{suffix}")) {
                return Some(host);
            }
            rest = suffix;
        }
        None
    }

    /// All entries, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Host> {
        self.by_name.values()
    }
}

/// A name in lower case, without the root's dot.
pub(super) fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
