//! Which module lies where: the names of folders, and where these leave several readings what the files say.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use super::Placed;
use crate::artifact::extracted::MANIFEST;
use crate::artifact::module::{ModuleVersion, check_path};

/// Bytes of a file that are looked at to tell what it is.
pub(super) const HEAD: u64 = 4 << 10;
/// Files of a folder that are asked of which module they are.
const ASKED: usize = 8;

/// The first bytes of a file.
pub(super) fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

/// The module that the name of a zip's first entry begins with, by the zip's first bytes.
pub(super) fn module_of_zip(head: &[u8]) -> Option<ModuleVersion> {
    let length = head.starts_with(b"PK\x03\x04").then(|| head.get(26..28))??;
    let length = usize::from(u16::from_le_bytes([*length.first()?, *length.last()?]));
    let name = head.get(30..30_usize.checked_add(length)?)?;
    ModuleVersion::of_entry(std::str::from_utf8(name).ok()?)
}

/// The path in the `module` line of a go.mod.
fn module_line(head: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(head);
    let mut words =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).flat_map(str::split_whitespace);
    words.find(|word| *word == "module")?;
    Some(words.find(|word| *word != "(")?.trim_matches(['"', '`']).to_owned())
}

/// What a `@v` folder may be of: module paths, each with the folder that it begins in, the likeliest first.
fn readings(folder: &Path, root: &Path) -> Vec<(String, PathBuf)> {
    let Some(module) = folder.parent() else { return Vec::new() };
    let Some(names) = names(module) else { return Vec::new() };
    let reading = |from: usize| {
        let own = names.get(from..)?;
        let path = ModuleVersion::from_escaped(&own.join("/"), "v0.0.0")?.path;
        check_path(&path).ok()?;
        Some((path, module.ancestors().nth(own.len())?.to_owned()))
    };
    // Only go itself writes there.
    if let Some(only) = behind(&names, ["cache", "download"]).and_then(reading) {
        return vec![only];
    }
    let below = below(&names, root);
    let extracted = below.filter(|_| root.join(MANIFEST).is_file()).and_then(|below| below.checked_add(1));
    let mut readings = Vec::new();
    for reading in extracted.into_iter().chain(below).chain(0..names.len()).filter_map(reading) {
        if !readings.contains(&reading) {
            readings.push(reading);
        }
    }
    readings
}

/// Gives the files of `@v` folders their modules. Where a folder's name can be read in several ways, as below the folder of a
/// proxy's host, its zips and go.mod files choose, then what was chosen for other folders, then the likeliest is taken.
pub(super) fn assign(zips: &mut [Placed], mods: &mut [Placed], hashes: &mut [Placed], root: &Path) {
    let mut folders: BTreeMap<PathBuf, Vec<(String, PathBuf)>> = BTreeMap::new();
    for placed in zips.iter().chain(&*mods).chain(&*hashes).filter(|placed| placed.module.is_none()) {
        if let Some(folder) = cached_in(&placed.path).filter(|folder| !folders.contains_key(*folder)) {
            folders.insert(folder.to_owned(), readings(folder, root));
        }
    }
    let mut chosen: BTreeMap<PathBuf, String> = BTreeMap::new();
    let mut bases: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let mut asked: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let said = |placed: &Placed, is_zip: bool| {
        let head = head(&placed.path).ok()?;
        if is_zip { Some(module_of_zip(&head)?.path) } else { module_line(&head) }
    };
    for (placed, is_zip) in zips.iter().map(|it| (it, true)).chain(mods.iter().map(|it| (it, false))) {
        let Some(folder) = cached_in(&placed.path) else { continue };
        let Some(readings) = folders.get(folder).filter(|it| it.len() > 1 && !chosen.contains_key(folder)) else {
            continue;
        };
        let asked = asked.entry(folder.to_owned()).or_default();
        *asked = asked.saturating_add(1);
        let said = if *asked > ASKED { None } else { said(placed, is_zip) };
        if let Some((path, base)) = readings.iter().find(|(path, _)| said.as_ref() == Some(path)) {
            let count = bases.entry(base.clone()).or_default();
            *count = count.saturating_add(1);
            chosen.insert(folder.to_owned(), path.clone());
        }
    }
    for (folder, readings) in folders {
        let known = readings.iter().filter(|(_, base)| bases.contains_key(base));
        let best = known.max_by_key(|(_, base)| bases.get(base)).or_else(|| readings.first());
        if let Some((path, _)) = best {
            chosen.entry(folder).or_insert_with(|| path.clone());
        }
    }
    for (list, suffix) in [(zips, ".zip"), (mods, ".mod"), (hashes, ".ziphash")] {
        for placed in list.iter_mut().filter(|placed| placed.module.is_none()) {
            let path = cached_in(&placed.path).and_then(|folder| chosen.get(folder));
            placed.module = path.and_then(|path| {
                let version = ModuleVersion::from_escaped("x", stem(&placed.path, suffix)?)?.version;
                Some(ModuleVersion { path: path.clone(), version })
            });
        }
    }
}

/// The version in a file's name; of further bodies that `--extract` wrote, which get a number behind it, too.
fn stem<'a>(path: &'a Path, suffix: &str) -> Option<&'a str> {
    let name = path.file_name()?.to_str()?;
    unnumbered(name).unwrap_or(name).strip_suffix(suffix)
}

/// `v1.0.0.zip` of `v1.0.0.zip-2`.
pub(super) fn unnumbered(name: &str) -> Option<&str> {
    let (plain, number) = name.rsplit_once('-')?;
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(plain)
}

/// The `@v` folder that a file lies in.
fn cached_in(file: &Path) -> Option<&Path> {
    file.parent().filter(|folder| folder.ends_with("@v"))
}

/// Whether a folder has the name of a module and a version.
pub(super) fn is_versioned(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split_once('@').is_some_and(|(name, version)| !name.is_empty() && version.starts_with('v'))
}

/// The module that a folder of a module cache is the tree of.
pub(super) fn tree_of(folder: &Path, root: &Path) -> Option<ModuleVersion> {
    if !is_versioned(folder) {
        return None;
    }
    let names = names(folder)?;
    let module = |from: usize| {
        let joined = names.get(from..)?.join("/");
        let (path, version) = joined.split_once('@')?;
        ModuleVersion::from_escaped(path, version).filter(|module| module.check().is_ok())
    };
    let absolute = std::path::absolute(folder).ok()?;
    let cache = absolute.ancestors().find(|above| above.join("cache/download").is_dir());
    let in_cache = cache.and_then(self::names).map(|cache| cache.len());
    let marked = [in_cache, behind(&names, ["pkg", "mod"]), below(&names, root)];
    marked.into_iter().flatten().chain(0..names.len()).find_map(module)
}

/// Whether go has begun to unpack a module of a cache and has not finished (modfetch.DownloadDir).
pub(super) fn is_partial(tree: &Path, module: &ModuleVersion) -> bool {
    let Some((path, version)) = module.escaped() else { return false };
    let root = tree.ancestors().nth(path.split('/').count());
    root.is_some_and(|root| root.join(format!("cache/download/{path}/@v/{version}.partial")).exists())
}

/// Whether a folder is a checksum database's by what lies in it: many a folder has a `lookup`.
pub(super) fn is_database(folder: &Path) -> bool {
    let has = |child: &str| folder.join(child).exists();
    if folder.parent().is_some_and(|parent| parent.ends_with("sumdb")) {
        return has("lookup") || has("tile") || has("latest");
    }
    let is_lookup = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().contains("@v"));
    folder.join("tile/8").is_dir()
        || head(&folder.join("latest")).is_ok_and(|head| head.starts_with(b"go.sum database tree\n"))
        || first_file(&folder.join("lookup")).is_some_and(|file| is_lookup(&file))
}

/// The file that is come to by always going into the first folder.
fn first_file(folder: &Path) -> Option<PathBuf> {
    let mut folder = folder.to_owned();
    for _ in 0..HEAD {
        let below: Vec<fs::DirEntry> = fs::read_dir(&folder).ok()?.flatten().collect();
        let is_folder = |entry: &&fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        match below.iter().find(|entry| !is_folder(entry)) {
            Some(file) => return Some(file.path()),
            None => folder = below.first()?.path(),
        }
    }
    None
}

/// The names on the way to a place, from the root of the file system on.
fn names(path: &Path) -> Option<Vec<String>> {
    let path = std::path::absolute(path).ok()?;
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_str().map(str::to_owned)),
        _ => None,
    });
    names.collect()
}

/// How many names stand before what lies in these two folders.
fn behind(names: &[String], mark: [&str; 2]) -> Option<usize> {
    names.windows(2).rposition(|pair| pair == mark)?.checked_add(2)
}

/// How many stand before what lies below a folder.
fn below(names: &[String], root: &Path) -> Option<usize> {
    self::names(root).map(|root| root.len()).filter(|below| *below < names.len())
}
