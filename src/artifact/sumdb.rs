//! A checksum database as far as it is at hand: lookups, heads and tiles, each verified with the others.
//!
//! Nothing is asked of anybody: what a proof needs and is not there leaves the proof open.

mod heads;
mod plan;
mod read;
mod tree;
mod verify;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::extracted;
use super::module::ModuleVersion;
use super::tlog::Tile;
use crate::observation::artifact::{Artifact, Origin};

pub use verify::verify;

/// Bytes that a file of a database may have. A full tile has 8 KiB; records and notes are smaller.
pub const MAX_FILE: u64 = 1 << 20;

/// The bytes of a file of a database, where to read them, or why there are none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// On a disk.
    File(PathBuf),
    /// In memory, from somewhere else.
    Bytes(Vec<u8>),
    /// It was wanted and is not there, for this reason.
    Absent(String),
}

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unread {
    /// The system does not give it.
    #[error("cannot be read: {0}")]
    System(#[from] io::Error),
    /// A folder, a pipe, a device.
    #[error("not read: it is no file")]
    NoFile,
    /// Longer than [`MAX_FILE`].
    #[error("not read: it is longer than 1 MiB")]
    Long,
    /// Go makes a file before it locks and fills it, and takes an empty one for none (modfetch `ReadCache`).
    #[error("the file is empty, which go takes for no file")]
    Empty,
    /// It was wanted and did not come.
    #[error("{0}")]
    Absent(String),
}

impl Content {
    /// All of it.
    ///
    /// # Errors
    /// [`Unread`].
    pub fn read(&self) -> Result<Vec<u8>, Unread> {
        use std::io::Read as _;
        let path = match self {
            Self::Bytes(bytes) => return Ok(bytes.clone()),
            Self::Absent(why) => return Err(Unread::Absent(why.clone())),
            Self::File(path) => path,
        };
        // A pipe would keep whoever opens it waiting.
        if !std::fs::metadata(path)?.is_file() {
            return Err(Unread::NoFile);
        }
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(MAX_FILE.saturating_add(1)).read_to_end(&mut bytes)?;
        match bytes.len() as u64 {
            0 => Err(Unread::Empty),
            length if length > MAX_FILE => Err(Unread::Long),
            _ => Ok(bytes),
        }
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
    /// Data tiles: the records themselves, by the place of their hashes.
    pub data: BTreeMap<Tile, Vec<Item>>,
    /// What lies where a lookup or a tile would and is not looked at: its path below the database's address, and why.
    pub strays: Vec<(String, Item, String)>,
}

impl Store {
    /// Whether nothing of it is at hand.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lookups.is_empty()
            && self.heads.is_empty()
            && self.tiles.is_empty()
            && self.data.is_empty()
            && self.strays.is_empty()
    }

    /// Reads what lies in a folder, in the places that a database's addresses give: `lookup/`, `tile/`, `latest`. What
    /// cannot be read is kept, and stays open.
    #[must_use]
    pub fn read(folder: &Path, name: &str) -> Self {
        let mut store = Self { name: name.to_owned(), ..Self::default() };
        let mut files = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(below) = folders.pop() {
            let listed = std::fs::read_dir(&below).and_then(|entries| {
                for entry in entries {
                    let entry = entry?;
                    let path = entry.path();
                    let is_folder = entry.file_type()?.is_dir() && !is_files_place(&place(&path, folder));
                    if is_folder { folders.push(path) } else { files.push(path) }
                }
                Ok(())
            });
            if let Err(error) = listed {
                let why = format!("a folder that cannot be read: {error}");
                store.strays.push((place(&below, folder), Item::file(below), why));
            }
        }
        files.sort();
        // What a recording did not show whole is nobody's fault.
        files.retain(|path| path.extension().is_none_or(|extension| extension != "incomplete"));
        let refusals = extracted::others(folder);
        if !refusals.is_empty() {
            files.retain(|path| std::path::absolute(path).is_ok_and(|path| !refusals.contains(&path)));
        }
        for path in files {
            let place = place(&path, folder);
            let place = further(&path, &place).unwrap_or(place);
            store.add(&place, Item::file(path));
        }
        store
    }

    /// Adds what stands under that path beneath the database's address. What is none of its files is left out.
    pub fn add(&mut self, path: &str, item: Item) {
        let (stray, why) = if path == "latest" {
            self.heads.push(item);
            return;
        } else if let Some(lookup) = path.strip_prefix("lookup/") {
            let named = lookup.rsplit_once('@').filter(|(_, version)| !version.contains('/'));
            match named.and_then(|(path, version)| ModuleVersion::from_escaped(path, version)) {
                Some(module) => {
                    self.lookups.push((module, item));
                    return;
                }
                None => (item, "not the name of a lookup"),
            }
        } else if path.starts_with("tile/") {
            let place = Tile::parse(path).map(|tile| (&mut self.tiles, tile));
            match place.or_else(|| Some((&mut self.data, Tile::parse_data(path)?))) {
                Some((tiles, tile)) => {
                    tiles.entry(tile).or_default().push(item);
                    return;
                }
                None => (item, "not the name of a tile of height 8, the only one that go asks for"),
            }
        } else {
            return;
        };
        self.strays.push((path.to_owned(), stray, format!("not looked at: {why}")));
    }

    /// Takes over what another source has of the same database.
    pub fn merge(&mut self, other: Self) {
        self.lookups.extend(other.lookups);
        self.heads.extend(other.heads);
        self.strays.extend(other.strays);
        for (tile, items) in other.tiles {
            self.tiles.entry(tile).or_default().extend(items);
        }
        for (tile, items) in other.data {
            self.data.entry(tile).or_default().extend(items);
        }
    }
}

impl Item {
    fn file(path: PathBuf) -> Self {
        Self { origin: Origin::Path(path.display().to_string()), content: Content::File(path) }
    }
}

/// A path below a folder, as a database's addresses are written.
fn place(path: &Path, folder: &Path) -> String {
    let below = path.strip_prefix(folder).unwrap_or(path);
    let names: Vec<_> = below.components().map(|name| name.as_os_str().to_string_lossy()).collect();
    names.join("/")
}

/// The place of a further answer to a lookup, which `--extract` gives a number, by what it is about.
fn further(path: &Path, place: &str) -> Option<String> {
    let (plain, number) = place.strip_prefix("lookup/")?.rsplit_once('-')?;
    let (name, version) = plain.rsplit_once('@')?;
    let module = ModuleVersion::from_escaped(name, version)?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let first = path.with_file_name(Path::new(plain).file_name()?);
    if !is_number || !first.is_file() {
        return None;
    }
    let answer = Content::File(path.to_owned()).read().ok()?;
    let about = format!("{} {} ", module.path, module.version);
    let text = String::from_utf8_lossy(&answer);
    text.lines().nth(1)?.starts_with(&about).then(|| format!("lookup/{plain}"))
}

/// Whether a folder stands where a file belongs.
fn is_files_place(place: &str) -> bool {
    place == "latest"
        || Tile::parse(place).or_else(|| Tile::parse_data(place)).is_some()
        || place.strip_prefix("lookup/").is_some_and(|name| name.contains('@'))
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
    /// Signature and inclusion were verified, and nothing of it is wrong: it is what everybody who uses the database sees.
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

#[cfg(test)]
mod tests;
