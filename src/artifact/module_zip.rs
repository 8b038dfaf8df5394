//! Module zips: the rules of golang.org/x/mod/zip, and the hashes of what is inside.

use std::collections::HashMap;
use std::io::{Read, Seek};

use ring::digest::{Context, SHA256};

use super::dirhash::{FileHashes, Sha256, finished};
use super::module::{self, ModuleVersion};
use super::zip::{Archive, Entry, Local, ZipError};

/// Bytes that a module zip may have, packed and unpacked (zip.MaxZipFile).
pub const MAX_ZIP: u64 = 500 << 20;
/// Bytes that its go.mod and its LICENSE may have (zip.MaxGoMod, zip.MaxLICENSE).
pub const MAX_TEXT: u64 = 16 << 20;
/// Entries that an archive has before one that is unlike the others stands out.
const ALIKE: usize = 8;
/// Broken rules that are kept; their number is.
const MAX_BREACHES: usize = 100;

/// A rule that an archive breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The entry that breaks it, as far as its name can be shown; empty where it is the archive itself.
    pub entry: String,
    /// The rule, in Go's words where Go has it.
    pub rule: String,
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.entry.is_empty() { write!(f, "{}", self.rule) } else { write!(f, "{}: {}", self.entry, self.rule) }
    }
}

/// What a module zip holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleZip {
    /// The module and version that its names begin with.
    pub module: Option<ModuleVersion>,
    /// Rules that it breaks; none for a valid one.
    pub breaches: Vec<Breach>,
    /// How many it breaks.
    pub broken: usize,
    /// What go does not look at and yet contradicts itself: a header that was changed. Contents are not affected.
    pub oddities: Vec<Breach>,
    /// Its files, if all of them could be read.
    pub files: Option<FileHashes>,
    /// Its `h1:` hash, if all files could be read.
    pub h1: Option<String>,
    /// SHA-256 of the go.mod at its top.
    pub go_mod: Option<Sha256>,
    /// Bytes that its files have.
    pub unpacked: u64,
}

impl ModuleZip {
    /// Reads a whole archive. `expected` is what its names must begin with; without it they say themselves.
    ///
    /// What breaks a rule is noted and the rest is read all the same, but never more than [`MAX_ZIP`] bytes of content.
    pub fn read<R: Read + Seek>(source: R, size: u64, expected: Option<&ModuleVersion>) -> Self {
        let mut zip = Self { module: expected.cloned(), ..Self::default() };
        if size > MAX_ZIP {
            zip.refuse("", format!("module zip file is too large ({size} bytes; limit is {MAX_ZIP} bytes)"));
            return zip;
        }
        let mut archive = match Archive::open(source) {
            Ok(archive) => archive,
            Err(error) => {
                zip.refuse("", format!("zip: {error}"));
                return zip;
            }
        };
        let entries = archive.entries().to_vec();
        zip.module = expected.cloned().or_else(|| named(&entries));
        match &zip.module {
            None => zip.refuse("", "no entry names the module and its version (M@V/…)"),
            Some(module) => {
                if let Err(rule) = module.check() {
                    zip.refuse("", rule);
                }
            }
        }
        if archive.has_odd_end() {
            zip.remark("", "the record at its end contradicts the directory");
        }
        zip.check_idle(&entries);
        let unpackable = zip.check(&entries);
        let apart = zip.check_places(&mut archive, &entries);
        if unpackable && apart {
            zip.hash(&mut archive, &entries);
        }
        zip
    }

    fn refuse(&mut self, entry: &str, rule: impl Into<String>) {
        self.broken = self.broken.saturating_add(1);
        if self.breaches.len() < MAX_BREACHES {
            self.breaches.push(Breach { entry: entry.to_owned(), rule: rule.into() });
        }
    }

    fn remark(&mut self, entry: &str, rule: impl Into<String>) {
        if self.oddities.len() < MAX_BREACHES {
            self.oddities.push(Breach { entry: entry.to_owned(), rule: rule.into() });
        }
    }

    /// One entry that differs by a single bit from all others in a field that nobody reads.
    fn check_idle(&mut self, entries: &[Entry]) {
        let Some((first, second)) = entries.first().zip(entries.get(1)).filter(|_| entries.len() >= ALIKE) else {
            return;
        };
        let usual = if first.idle == second.idle { first } else { entries.last().unwrap_or(first) };
        let mut odd = entries.iter().filter(|entry| entry.idle != usual.idle);
        if let (Some(entry), None) = (odd.next(), odd.next()) {
            let bits: u32 = entry.idle.iter().zip(usual.idle).map(|(one, other)| (one ^ other).count_ones()).sum();
            if bits == 1 {
                self.remark(
                    &String::from_utf8_lossy(&entry.name),
                    "one bit of its attributes differs from all other entries'",
                );
            }
        }
    }

    /// Names, kinds and declared sizes. Whether it may be unpacked.
    fn check(&mut self, entries: &[Entry]) -> bool {
        let prefix = self.module.as_ref().map(|module| format!("{module}/")).unwrap_or_default();
        let mut known = Collisions::default();
        let mut left = Some(MAX_ZIP);
        for entry in entries {
            let shown = String::from_utf8_lossy(&entry.name).into_owned();
            let before = left;
            left = left.and_then(|left| left.checked_sub(entry.unpacked));
            if before.is_some() && left.is_none() {
                let rule =
                    format!("total uncompressed size of module contents too large (max size is {MAX_ZIP} bytes)");
                self.refuse("", rule);
            }
            if let Err(rule) = check_entry(entry, &prefix, &mut known) {
                self.refuse(&shown, rule);
            }
        }
        left.is_some()
    }

    /// Whether all entries have places of their own in the file.
    fn check_places<R: Read + Seek>(&mut self, archive: &mut Archive<R>, entries: &[Entry]) -> bool {
        let mut places = Vec::with_capacity(entries.len());
        let mut apart = true;
        let mut sorted: Vec<&Entry> = entries.iter().collect();
        sorted.sort_by_key(|entry| entry.offset);
        for entry in sorted {
            match archive.local(entry) {
                Ok(Local { body, contradicts }) => {
                    places.push((entry.offset, body.saturating_add(entry.packed), entry));
                    if !contradicts.is_empty() {
                        let rule = format!("its two headers differ in {}", contradicts.join(", "));
                        self.remark(&String::from_utf8_lossy(&entry.name), rule);
                    }
                }
                Err(error) => {
                    self.refuse(&String::from_utf8_lossy(&entry.name), error.to_string());
                    apart = false;
                }
            }
        }
        for ((_, end, one), (start, _, other)) in places.iter().zip(places.iter().skip(1)) {
            if end > start {
                let one = String::from_utf8_lossy(&one.name);
                self.refuse(&String::from_utf8_lossy(&other.name), format!("overlaps with the entry \"{one}\""));
                apart = false;
            }
        }
        apart
    }

    fn hash<R: Read + Seek>(&mut self, archive: &mut Archive<R>, entries: &[Entry]) {
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by_key(|index| entries.get(*index).map(|entry| entry.offset));
        let mut hashes: Vec<Option<Sha256>> = vec![None; entries.len()];
        for index in order {
            let Some(entry) = entries.get(index) else { continue };
            let mut context = Context::new(&SHA256);
            match archive.unpack(entry, |piece| context.update(piece)) {
                Ok(()) => self.unpacked = self.unpacked.saturating_add(entry.unpacked),
                Err(error) => {
                    let shown = String::from_utf8_lossy(&entry.name).into_owned();
                    self.refuse(&shown, error.to_string());
                    if matches!(error, ZipError::Read(_)) {
                        return;
                    }
                    continue;
                }
            }
            if let Some(slot) = hashes.get_mut(index) {
                *slot = Some(finished(context));
            }
        }
        let Some(hashes) = hashes.into_iter().collect::<Option<Vec<Sha256>>>() else { return };
        // Of entries with one name Go's hash takes the last one's content for each.
        let names = entries.iter().map(|entry| std::str::from_utf8(&entry.name));
        let Ok(names) = names.collect::<Result<Vec<&str>, _>>() else { return };
        if names.iter().any(|name| name.contains('\n')) {
            return;
        }
        let last: HashMap<&str, Sha256> = names.iter().copied().zip(hashes.iter().copied()).collect();
        let mut files = FileHashes::default();
        for name in &names {
            files.push((*name).to_owned(), last.get(name).copied().unwrap_or_default());
        }
        let go_mod = self.module.as_ref().map(|module| format!("{module}/go.mod"));
        self.go_mod = go_mod.and_then(|name| last.get(name.as_str()).copied());
        self.h1 = Some(files.h1());
        self.files = Some(files);
    }
}

/// The module and version that the first names begin with.
fn named(entries: &[Entry]) -> Option<ModuleVersion> {
    entries.iter().find_map(|entry| {
        let name = std::str::from_utf8(&entry.name).ok()?;
        let (path, rest) = name.split_once('@')?;
        let (version, _) = rest.split_once('/')?;
        ModuleVersion::parse(&format!("{path}@{version}"))
    })
}

fn check_entry(entry: &Entry, prefix: &str, known: &mut Collisions) -> Result<(), String> {
    let Ok(name) = std::str::from_utf8(&entry.name) else { return Err("invalid UTF-8".to_owned()) };
    let name = name.strip_prefix(prefix).ok_or_else(|| format!("path does not have prefix \"{prefix}\""))?;
    let folder = name.ends_with('/') || (name.is_empty() && entry.name.ends_with(b"/"));
    match (entry.mode_type, folder) {
        (0, _) | (0o100_000, false) | (0o040_000, true) => {}
        (0o120_000, _) => return Err("symbolic link".to_owned()),
        _ => return Err("not a regular file".to_owned()),
    }
    if folder && entry.unpacked > 0 {
        return Err("a directory with content".to_owned());
    }
    if name.is_empty() {
        return Ok(());
    }
    let name = name.strip_suffix('/').unwrap_or(name);
    if !is_clean(name) {
        return Err("file path is not clean".to_owned());
    }
    module::check_file_path(name)?;
    known.check(name, folder)?;
    if folder {
        return Ok(());
    }
    let base = name.rsplit('/').next().unwrap_or(name);
    if base.eq_ignore_ascii_case("go.mod") {
        if base != name {
            return Err("go.mod file not in module root directory".to_owned());
        }
        if name != "go.mod" {
            return Err("go.mod files must have lowercase names".to_owned());
        }
    }
    if matches!(name, "go.mod" | "LICENSE") && entry.unpacked > MAX_TEXT {
        return Err(format!("{name} file too large (max size is {MAX_TEXT} bytes)"));
    }
    Ok(())
}

/// Whether Go's `path.Clean` would leave it alone.
fn is_clean(path: &str) -> bool {
    if path == "." {
        return true;
    }
    let absolute = path.starts_with('/');
    let mut elements = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    let mut only_up = !absolute;
    (absolute && path == "/")
        || elements.all(|element| {
            only_up &= element == "..";
            !matches!(element, "" | ".") && (element != ".." || only_up)
        })
}

/// Finds names that are equal but for case, and names that are both a file's and a folder's.
#[derive(Debug, Default)]
struct Collisions(HashMap<String, (String, bool)>);

impl Collisions {
    fn check(&mut self, name: &str, folder: bool) -> Result<(), String> {
        let (mut name, mut folder) = (name, folder);
        loop {
            match self.0.get(&folded(name)) {
                Some((known, _)) if known != name => {
                    return Err(format!("case-insensitive file name collision: \"{known}\" and \"{name}\""));
                }
                Some((_, was_folder)) if *was_folder != folder => {
                    return Err(format!("entry \"{name}\" is both a file and a directory"));
                }
                Some(_) if !folder => return Err(format!("multiple entries for file \"{name}\"")),
                // Its parents are known, too.
                Some(_) => return Ok(()),
                None => {
                    self.0.insert(folded(name), (name.to_owned(), folder));
                }
            }
            let Some((parent, _)) = name.rsplit_once('/') else { return Ok(()) };
            (name, folder) = (parent, true);
        }
    }
}

/// The same for names that Unicode's simple case folding makes equal.
fn folded(name: &str) -> String {
    fn single(mut mapped: impl Iterator<Item = char>) -> Option<char> {
        mapped.next().filter(|_| mapped.next().is_none())
    }
    let fold = |c: char| match c {
        // It is upper-cased to `I` and yet no equal of it.
        '\u{131}' => c,
        _ if c.is_ascii() => c.to_ascii_lowercase(),
        _ => {
            let upper = single(c.to_uppercase()).unwrap_or(c);
            single(upper.to_lowercase()).unwrap_or(c)
        }
    };
    name.chars().map(fold).collect()
}

#[cfg(test)]
mod tests;
