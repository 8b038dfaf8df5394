//! What the artifacts of modules themselves say: read once, each by one thread.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::artifact::collect::Inventory;
use crate::artifact::dirhash::{self, FileHashes, Sha256};
use crate::artifact::module::ModuleVersion;
use crate::artifact::module_zip::{Breach, MAX_TEXT, ModuleZip};
use crate::observation::artifact::ArtifactKind;

/// A file or folder to be read.
#[derive(Debug)]
pub(super) struct Task {
    kind: ArtifactKind,
    path: PathBuf,
    module: Option<ModuleVersion>,
}

/// What an artifact of a module says itself.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Zip, go.mod, tree or stored hash.
    pub kind: ArtifactKind,
    /// Where it is.
    pub path: PathBuf,
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

pub(super) fn gather(task: &Task) -> Facts {
    let mut facts = Facts {
        kind: task.kind,
        path: task.path.clone(),
        module: task.module.clone(),
        h1: None,
        go_mod: None,
        bytes: 0,
        breaches: Vec::new(),
        oddities: Vec::new(),
        unread: None,
    };
    let read = match task.kind {
        ArtifactKind::ModuleZip => zip(&mut facts),
        ArtifactKind::GoMod => go_mod(&mut facts),
        ArtifactKind::ZipHash => zip_hash(&mut facts),
        _ => tree(&mut facts),
    };
    facts.unread = read.err().map(|error| error.to_string());
    facts
}

fn zip(facts: &mut Facts) -> std::io::Result<()> {
    let file = File::open(&facts.path)?;
    let size = file.metadata()?.len();
    let zip = ModuleZip::read(file, size, facts.module.as_ref());
    facts.module = zip.module;
    facts.h1 = zip.h1;
    facts.go_mod = zip.go_mod;
    facts.bytes = zip.unpacked;
    facts.breaches = zip.breaches;
    facts.oddities = zip.oddities;
    Ok(())
}

/// All of a small file.
fn whole(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(std::io::Error::other("larger than it may be")) } else { Ok(bytes) }
}

fn go_mod(facts: &mut Facts) -> std::io::Result<()> {
    let bytes = whole(&facts.path, MAX_TEXT)?;
    facts.bytes = bytes.len() as u64;
    facts.go_mod = Some(dirhash::sha256(&bytes));
    facts.h1 = Some(dirhash::go_mod_h1(&bytes));
    Ok(())
}

fn zip_hash(facts: &mut Facts) -> std::io::Result<()> {
    let bytes = whole(&facts.path, 4 << 10)?;
    facts.bytes = bytes.len() as u64;
    facts.h1 = Some(String::from_utf8_lossy(&bytes).trim().to_owned());
    Ok(())
}

fn tree(facts: &mut Facts) -> std::io::Result<()> {
    let prefix = facts.module.as_ref().map(ToString::to_string).unwrap_or_default();
    let (mut files, bytes) = dirhash::hash_tree(&facts.path, &prefix)?;
    facts.bytes = bytes;
    facts.h1 = Some(files.h1());
    facts.go_mod = files.get(&format!("{prefix}/go.mod")).copied();
    Ok(())
}

/// The files of a zip or a tree, read again: only where they are to be listed.
pub(super) fn files(facts: &Facts) -> Option<FileHashes> {
    let module = facts.module.as_ref()?;
    match facts.kind {
        ArtifactKind::ModuleZip => {
            let file = File::open(&facts.path).ok()?;
            let size = file.metadata().ok()?.len();
            ModuleZip::read(file, size, Some(module)).files
        }
        ArtifactKind::ModuleTree => Some(dirhash::hash_tree(&facts.path, &module.to_string()).ok()?.0),
        _ => None,
    }
}
