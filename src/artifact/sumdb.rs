//! A checksum database as far as it is at hand: lookups, heads and tiles, each verified with the others.
//!
//! Nothing is asked of anybody: what a proof needs and is not there leaves the proof open.

mod tree;
mod verify;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::module::ModuleVersion;
use super::tlog::Tile;
use crate::observation::artifact::{Artifact, Check, CheckResult, Origin};

pub use verify::verify;

/// Bytes that a file of a database may have. A full tile has 8 KiB; records and notes are smaller.
pub const MAX_FILE: u64 = 1 << 20;

/// The bytes of a file of a database, or where to read them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// On a disk.
    File(PathBuf),
    /// In memory, from somewhere else.
    Bytes(Vec<u8>),
}

impl Content {
    /// All of it.
    ///
    /// # Errors
    /// When it cannot be read, or is longer than [`MAX_FILE`].
    pub fn read(&self) -> io::Result<Vec<u8>> {
        use std::io::Read as _;
        let path = match self {
            Self::Bytes(bytes) => return Ok(bytes.clone()),
            Self::File(path) => path,
        };
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(MAX_FILE.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE { Err(io::Error::other("longer than 1 MiB")) } else { Ok(bytes) }
    }
}

/// Something of a database, and where it comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Where it was found.
    pub origin: Origin,
    /// Its bytes.
    pub content: Content,
}

/// What is at hand of a database.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// The database's name, as its key has it.
    pub name: String,
    /// Answers to lookups. One module may have several.
    pub lookups: Vec<(ModuleVersion, Item)>,
    /// Signed heads, the newest that somebody saw.
    pub heads: Vec<Item>,
    /// Hash tiles, by their place; several may be of one place.
    pub tiles: BTreeMap<Tile, Vec<Item>>,
    /// Files that lie where a tile's would and have no tile's name.
    pub strays: Vec<(String, Item)>,
}

impl Store {
    /// Whether nothing of it is at hand.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lookups.is_empty() && self.heads.is_empty() && self.tiles.is_empty() && self.strays.is_empty()
    }

    /// Reads what lies in a folder, in the places that a database's addresses give: `lookup/`, `tile/`, `latest`.
    ///
    /// # Errors
    /// When the folder cannot be read. A file that cannot be is kept, and stays open.
    pub fn read(folder: &Path, name: &str) -> io::Result<Self> {
        let mut store = Self { name: name.to_owned(), ..Self::default() };
        let mut files = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                let list = if entry.file_type()?.is_dir() { &mut folders } else { &mut files };
                list.push(entry.path());
            }
        }
        files.sort();
        for path in files {
            let below = path.strip_prefix(folder).ok().and_then(Path::to_str).unwrap_or_default().to_owned();
            let item = Item { origin: Origin::Path(path.display().to_string()), content: Content::File(path) };
            store.add(&below, item);
        }
        Ok(store)
    }

    /// Adds what stands under that path beneath the database's address. What is none of its files is left out.
    pub fn add(&mut self, path: &str, item: Item) {
        if path == "latest" {
            self.heads.push(item);
        } else if let Some(lookup) = path.strip_prefix("lookup/") {
            let module = lookup.rsplit_once('@').and_then(|(path, version)| ModuleVersion::from_escaped(path, version));
            match module {
                Some(module) => self.lookups.push((module, item)),
                None => self.strays.push((path.to_owned(), item)),
            }
        } else if path.starts_with("tile/") && !path.starts_with("tile/8/data/") {
            match Tile::parse(path) {
                Some(tile) => self.tiles.entry(tile).or_default().push(item),
                None => self.strays.push((path.to_owned(), item)),
            }
        }
    }

    /// Takes over what another source has of the same database.
    pub fn merge(&mut self, other: Self) {
        self.lookups.extend(other.lookups);
        self.heads.extend(other.heads);
        self.strays.extend(other.strays);
        for (tile, items) in other.tiles {
            self.tiles.entry(tile).or_default().extend(items);
        }
    }
}

/// A record that a database has of a module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its number in the database.
    pub id: u64,
    /// Which database, and which record of it.
    pub named: String,
    /// The hash of the module's zip.
    pub zip: Option<String>,
    /// The hash of its go.mod.
    pub go_mod: Option<String>,
    /// Signature and inclusion were verified: it is what everybody who uses the database sees.
    pub proven: bool,
    /// Something of it is wrong: it says nothing.
    pub refuted: bool,
}

/// What came of verifying a database.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// Each lookup, head and tile with its checks.
    pub artifacts: Vec<Artifact>,
    /// Records by module, those that are open or refuted among them.
    pub records: BTreeMap<ModuleVersion, Vec<Record>>,
}

/// Whether all checks came out as they must, and at least one was made.
fn all_agree(checks: &[Check]) -> bool {
    !checks.is_empty() && checks.iter().all(|check| check.result == CheckResult::Agrees)
}

#[cfg(test)]
mod tests;
