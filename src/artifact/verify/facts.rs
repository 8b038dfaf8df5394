//! What the artifacts of modules themselves say: read once, each by one thread.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::artifact::collect::Inventory;
use crate::artifact::dirhash::{self, FileHashes, Sha256};
use crate::artifact::module::ModuleVersion;
use crate::artifact::module_zip::{Breach, MAX_TEXT, ModuleZip};
use crate::observation::artifact::{ArtifactKind, Origin};

/// A file or folder to be read.
#[derive(Debug)]
pub(super) struct Task {
    kind: ArtifactKind,
    path: PathBuf,
    module: Option<ModuleVersion>,
}

/// Where an artifact is.
#[derive(Clone, Debug)]
pub enum Place {
    /// In a file or folder, which can be read again.
    Path(PathBuf),
    /// It was the body of an answer, and is gone.
    Answer {
        /// Index into [`Case::exchanges`](crate::observation::Case::exchanges).
        exchange: usize,
        /// What was asked for.
        url: String,
        /// The files of a zip, unless there were too many to be kept.
        files: Option<FileHashes>,
    },
}

impl Place {
    /// The file or folder.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            Self::Answer { .. } => None,
        }
    }

    /// The last part of its name.
    #[must_use]
    pub fn file_name(&self) -> String {
        match self {
            Self::Path(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Self::Answer { url, .. } => {
                let path = url.split(['?', '#']).next().unwrap_or_default();
                path.rsplit('/').next().unwrap_or_default().to_owned()
            }
        }
    }

    /// The same for the list of artifacts.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match self {
            Self::Path(path) => Origin::Path(path.display().to_string()),
            Self::Answer { exchange, .. } => Origin::Exchange(*exchange),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Answer { url, .. } => f.write_str(url),
        }
    }
}

/// What an artifact of a module says itself.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Zip, go.mod, tree or stored hash.
    pub kind: ArtifactKind,
    /// Where it is.
    pub place: Place,
    /// Which module it is of.
    pub module: Option<ModuleVersion>,
    /// Its `h1:` hash; of a `.ziphash` what it says.
    pub h1: Option<String>,
    /// SHA-256 of the go.mod at the top, of zips and trees; of a `.mod` file its own.
    pub go_mod: Option<Sha256>,
    /// Bytes that were read, those of zips unpacked.
    pub bytes: u64,
    /// Rules that it breaks.
    pub breaches: Vec<Breach>,
    /// What it must not have, though go takes it.
    pub irregular: Vec<Breach>,
    /// Fields nobody reads that contradict each other.
    pub oddities: Vec<Breach>,
    /// Why it could not be read.
    pub unread: Option<String>,
}

pub(super) fn tasks(inventory: &Inventory, module: Option<&ModuleVersion>) -> Vec<Task> {
    let lists = [
        (ArtifactKind::ModuleZip, &inventory.zips),
        (ArtifactKind::GoMod, &inventory.mods),
        (ArtifactKind::ZipHash, &inventory.zip_hashes),
        (ArtifactKind::ModuleTree, &inventory.trees),
    ];
    let mut tasks = Vec::new();
    for (kind, list) in lists {
        for placed in list {
            let module = placed.module.clone().or_else(|| module.cloned());
            tasks.push(Task { kind, path: placed.path.clone(), module });
        }
    }
    tasks
}

impl Facts {
    /// Nothing is known of it yet.
    #[must_use]
    pub const fn new(kind: ArtifactKind, place: Place, module: Option<ModuleVersion>) -> Self {
        Self {
            kind,
            place,
            module,
            h1: None,
            go_mod: None,
            bytes: 0,
            breaches: Vec::new(),
            irregular: Vec::new(),
            oddities: Vec::new(),
            unread: None,
        }
    }

    /// Takes over what a zip says. Its files are not kept here.
    pub fn read_zip(&mut self, zip: ModuleZip) {
        self.module = zip.module;
        self.h1 = zip.h1;
        self.go_mod = zip.go_mod;
        self.bytes = zip.unpacked;
        self.breaches = zip.breaches;
        self.irregular = zip.irregular;
        self.oddities = zip.oddities;
        self.unread = zip.unread;
    }

    /// Takes over the content of a go.mod file.
    pub fn read_go_mod(&mut self, bytes: &[u8]) {
        self.bytes = bytes.len() as u64;
        self.go_mod = Some(dirhash::sha256(bytes));
        self.h1 = Some(dirhash::go_mod_h1(bytes));
    }
}

pub(super) fn gather(task: &Task) -> Facts {
    let mut facts = Facts::new(task.kind, Place::Path(task.path.clone()), task.module.clone());
    let read = match task.kind {
        ArtifactKind::ModuleZip => zip(&mut facts, &task.path),
        ArtifactKind::GoMod => go_mod(&mut facts, &task.path),
        ArtifactKind::ZipHash => zip_hash(&mut facts, &task.path),
        _ => tree(&mut facts, &task.path),
    };
    if let Err(error) = read {
        facts.unread = Some(error.to_string());
    }
    facts
}

fn zip(facts: &mut Facts, path: &Path) -> std::io::Result<()> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    facts.read_zip(ModuleZip::read(file, size, facts.module.as_ref()));
    Ok(())
}

/// All of a small file.
fn whole(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(std::io::Error::other("larger than it may be")) } else { Ok(bytes) }
}

fn go_mod(facts: &mut Facts, path: &Path) -> std::io::Result<()> {
    facts.read_go_mod(&whole(path, MAX_TEXT)?);
    Ok(())
}

fn zip_hash(facts: &mut Facts, path: &Path) -> std::io::Result<()> {
    let bytes = whole(path, 4 << 10)?;
    facts.bytes = bytes.len() as u64;
    facts.h1 = Some(String::from_utf8_lossy(&bytes).trim().to_owned());
    Ok(())
}

fn tree(facts: &mut Facts, path: &Path) -> std::io::Result<()> {
    let prefix = facts.module.as_ref().map(ToString::to_string).unwrap_or_default();
    let (mut files, bytes) = dirhash::hash_tree(path, &prefix)?;
    facts.bytes = bytes;
    facts.h1 = Some(files.h1());
    facts.go_mod = files.get(&format!("{prefix}/go.mod")).copied();
    Ok(())
}

/// The files of a zip or a tree, read again: only where they are to be listed.
pub(super) fn files(facts: &Facts) -> Option<FileHashes> {
    let module = facts.module.as_ref()?;
    match (facts.kind, &facts.place) {
        (_, Place::Answer { files, .. }) => files.clone(),
        (kind, Place::Path(path)) => files_at(kind, path, module),
    }
}

/// The files of the zip or the tree that lies there.
pub(super) fn files_at(kind: ArtifactKind, path: &Path, module: &ModuleVersion) -> Option<FileHashes> {
    match kind {
        ArtifactKind::ModuleZip => {
            let file = File::open(path).ok()?;
            let size = file.metadata().ok()?.len();
            ModuleZip::read(file, size, Some(module)).files
        }
        ArtifactKind::ModuleTree => Some(dirhash::hash_tree(path, &module.to_string()).ok()?.0),
        _ => None,
    }
}
