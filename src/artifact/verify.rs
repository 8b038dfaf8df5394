//! Everything that was found is held against everything else: hashes first, by several threads, then comparisons.

mod compare;
mod facts;
mod goroot;
mod others;
mod packages;
mod releases;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::collect::Inventory;
use super::download::Downloaded;
use super::gosum::{GoSum, GoSumError};
use super::module::ModuleVersion;
use super::note::VerifierKey;
use super::sumdb::{self, Item, Record, Store, Verified};
use super::zip::Archive;
use crate::observation::artifact::{Artifact, ArtifactKind, Check, Origin, Yardstick};
use crate::reference::Releases;
use crate::types::Timestamp;

pub use facts::{Facts, Place};

/// Why verification cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A go.sum cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A go.sum is malformed.
    #[error("cannot use {path}: {source}")]
    GoSum {
        /// Which.
        path: PathBuf,
        /// Why.
        source: GoSumError,
    },
}

/// What verification goes by, beside what was found.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Keys of checksum databases.
    pub keys: Vec<VerifierKey>,
    /// Parts of databases that lie nowhere on a disk.
    pub stores: Vec<Store>,
    /// What came over the wire.
    pub downloaded: Downloaded,
    /// The module and version of what does not say it itself.
    pub module: Option<ModuleVersion>,
    /// What is known of Go's releases.
    pub releases: Releases,
    /// Blocks of keys that are trusted to sign releases, whatever their fingerprints.
    pub signing_keys: Vec<Vec<u8>>,
    /// The time at which signatures that end, or are dated in the future, are judged.
    pub judged: Option<Timestamp>,
    /// Threads that hash; 0 for as many as there are processors.
    pub threads: usize,
}

/// A module whose bytes were verified: its hash is on record, in a go.sum or proven in a checksum database, and nothing that
/// is known of it disagrees. Only [`run`] makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifiedModule {
    module: ModuleVersion,
    h1: String,
    by: Vec<(Yardstick, String)>,
}

impl VerifiedModule {
    /// Which module.
    #[must_use]
    pub const fn module(&self) -> &ModuleVersion {
        &self.module
    }

    /// Its hash.
    #[must_use]
    pub fn h1(&self) -> &str {
        &self.h1
    }

    /// The records that have this hash.
    #[must_use]
    pub fn by(&self) -> &[(Yardstick, String)] {
        &self.by
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Every artifact with its checks, in the order of their kinds and names.
    pub artifacts: Vec<Artifact>,
    /// The modules that are verified.
    pub modules: Vec<VerifiedModule>,
}

/// Records that hashes are held against.
#[derive(Debug, Default)]
pub(super) struct Records {
    go_sums: Vec<(String, GoSum)>,
    databases: Vec<Verified>,
}

impl Records {
    /// The records that databases have of a module.
    fn of<'a>(&'a self, module: &'a ModuleVersion) -> impl Iterator<Item = &'a Record> {
        self.databases.iter().flat_map(|database| database.records.get(module)).flatten()
    }
}

/// Verifies all of it. `progress` is told how many of how many artifacts are hashed, from any thread.
///
/// # Errors
/// When a go.sum cannot be read. Every other fault is a fact about an artifact.
pub fn run(
    inventory: &Inventory,
    settings: &Settings,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Outcome, VerifyError> {
    let mut records = Records::default();
    for path in &inventory.go_sums {
        let text = std::fs::read(path).map_err(|source| VerifyError::Read { path: path.clone(), source })?;
        let sum = GoSum::parse(&text).map_err(|source| VerifyError::GoSum { path: path.clone(), source })?;
        records.go_sums.push((path.display().to_string(), sum));
    }
    let stores = stores(inventory, settings);
    records.databases = stores.iter().map(|store| sumdb::verify(store, &settings.keys)).collect();
    let tasks = facts::tasks(inventory, settings.module.as_ref());
    let mut facts = parallel(&tasks, settings.threads, progress, facts::gather);
    facts.extend(settings.downloaded.facts.iter().cloned());
    let mut outcome = compare::all(facts, &records);
    let keys = keys(inventory, settings);
    let archives =
        parallel(&inventory.releases, settings.threads, progress, |path| releases::archive(path, settings, &keys));
    outcome.artifacts.extend(archives);
    let releases = settings.downloaded.releases.iter();
    outcome.artifacts.extend(releases.map(|release| releases::downloaded(release, settings)));
    for folder in &inventory.goroots {
        let installed = goroot::goroot(folder, inventory, &outcome, &records);
        outcome.artifacts.push(installed);
    }
    outcome.artifacts.extend(inventory.unreadable.iter().map(|(path, why)| unread(path, why)));
    let lonely = outcome.artifacts.is_empty();
    outcome.artifacts.extend(others::go_sums(&records, lonely));
    outcome.artifacts.extend(others::vendors(inventory, &outcome));
    outcome.artifacts.extend(records.databases.into_iter().flat_map(|database| database.artifacts));
    outcome
        .artifacts
        .sort_by(|one, other| (one.kind, &one.name, &one.origin).cmp(&(other.kind, &other.name, &other.origin)));
    Ok(outcome)
}

/// What was found and could not be looked at.
fn unread(path: &Path, why: &str) -> Artifact {
    let kind = match path.extension().and_then(|extension| extension.to_str()) {
        Some("zip") => ArtifactKind::ModuleZip,
        Some("mod") => ArtifactKind::GoMod,
        Some("ziphash") => ArtifactKind::ZipHash,
        Some("sum") => ArtifactKind::GoSum,
        _ => ArtifactKind::ModuleTree,
    };
    // A tree's name is half of its module's: that would be another module.
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Artifact {
        kind,
        name: if name.contains('@') { String::new() } else { name },
        origin: Origin::Path(path.display().to_string()),
        hash: None,
        bytes: 0,
        checks: vec![Check::open(Yardstick::Format, "", format!("{}: {why}", path.display()))],
    }
}

#[cfg(feature = "openpgp")]
use super::openpgp::Keys;

/// Without OpenPGP there are no keys.
#[cfg(not(feature = "openpgp"))]
struct Keys;

/// The keys that may sign releases: those that were named as such, and of those that lie among the rest the known ones.
#[cfg(feature = "openpgp")]
fn keys(inventory: &Inventory, settings: &Settings) -> Keys {
    let mut keys = Keys::default();
    for block in &settings.signing_keys {
        keys.add(block, None);
    }
    let known: Vec<&str> = settings.releases.signers().iter().map(|signer| signer.fingerprint.as_str()).collect();
    for path in &inventory.keys {
        if let Ok(block) = std::fs::read(path) {
            keys.add(&block, Some(&known));
        }
    }
    keys
}

#[cfg(not(feature = "openpgp"))]
fn keys(_: &Inventory, _: &Settings) -> Keys {
    Keys
}

/// The modules that are given, as far as places, archives and go.sum lines name them: those that a checksum database can be
/// asked about.
#[must_use]
pub fn modules(inventory: &Inventory, settings: &Settings) -> std::collections::BTreeSet<ModuleVersion> {
    let lists = [&inventory.zips, &inventory.mods, &inventory.zip_hashes, &inventory.trees];
    let placed = lists.into_iter().flatten().filter_map(|placed| {
        let own = || {
            let archive = Archive::open(File::open(&placed.path).ok()?).ok()?;
            let name = String::from_utf8_lossy(&archive.entries().first()?.name).into_owned();
            let (path, rest) = name.split_once('@')?;
            ModuleVersion::parse(&format!("{path}@{}", rest.split('/').next()?))
        };
        placed.module.clone().or_else(|| settings.module.clone()).or_else(own)
    });
    let sums = inventory.go_sums.iter().filter_map(|path| GoSum::parse(&std::fs::read(path).ok()?).ok());
    let lines = sums.flat_map(|sum| sum.iter().map(|(module, ..)| module.clone()).collect::<Vec<_>>());
    placed.chain(lines).collect()
}

/// The databases, each with all that there is of it.
#[must_use]
pub fn stores(inventory: &Inventory, settings: &Settings) -> Vec<Store> {
    let mut stores: Vec<Store> = Vec::new();
    let mut add = |store: Store| match stores.iter_mut().find(|known| known.name == store.name) {
        Some(known) => known.merge(store),
        None if store.is_empty() => {}
        None => stores.push(store),
    };
    for (name, folders) in &inventory.databases {
        let name = others::database_name(name, folders, &settings.keys);
        folders.iter().map(|folder| Store::read(folder, &name)).for_each(&mut add);
    }
    for path in &inventory.notes {
        add(others::loose_note(path));
    }
    settings.stores.iter().chain(&settings.downloaded.stores).cloned().for_each(add);
    stores.sort_by(|one, other| one.name.cmp(&other.name));
    stores
}

/// Does the same to all, by several threads, and keeps their order.
fn parallel<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    progress: &(dyn Fn(usize, usize) + Sync),
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        wanted => wanted,
    };
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let worker = || {
        let mut results = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return results };
            results.push((index, work(item)));
            progress(done.fetch_add(1, Ordering::Relaxed).saturating_add(1), items.len());
        }
    };
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(items.len())).map(|_| scope.spawn(worker)).collect();
        let mut results = worker();
        for other in others {
            match other.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

impl From<(&str, Vec<u8>)> for Item {
    fn from((path, bytes): (&str, Vec<u8>)) -> Self {
        Self { origin: Origin::Path(path.to_owned()), content: sumdb::Content::Bytes(bytes) }
    }
}

#[cfg(test)]
mod tests;
