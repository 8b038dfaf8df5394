//! Module zips: the rules of golang.org/x/mod/zip, and the hashes of what is inside.
//!
//! What go takes breaks no rule here, and the reverse, with these exceptions. Links and devices, which its documentation
//! forbids and its code unpacks as files, and entries that share bytes are oddities: go makes a sound module of them, and
//! yet no program that writes module zips makes such. Entries that share so much that [`MAX_ZIP`] bytes would have to be
//! unpacked are refused as the bomb that they are. So are more entries than [`super::zip`] takes. What go
//! stumbles over later breaks nothing here: a name of 300 bytes that no file system holds, a folder called go.mod.

use std::collections::HashMap;
use std::io::{Read, Seek};

use ring::digest::{Context, SHA256};

use super::dirhash::{FileHashes, Sha256, finished};
use super::module::{self, ModuleVersion};
use super::zip::{Archive, Entry, ZipError};

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
    /// What a module zip must not have, though go takes it as plain content: links and devices, bytes that entries share.
    pub irregular: Vec<Breach>,
    /// What go does not look at and yet is wrong: headers that contradict each other. Contents are not affected.
    pub oddities: Vec<Breach>,
    /// Its files, if all of them could be read.
    pub files: Option<FileHashes>,
    /// Its `h1:` hash, if all files could be read.
    pub h1: Option<String>,
    /// SHA-256 of the go.mod at its top.
    pub go_mod: Option<Sha256>,
    /// Bytes that its files have.
    pub unpacked: u64,
    /// Why it could not be read to its end, which is no fault of the archive.
    pub unread: Option<String>,
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
                zip.fail("", "zip: ", &error);
                return zip;
            }
        };
        let entries = archive.entries().to_vec();
        let own = named(&entries);
        zip.module = expected.cloned().or_else(|| own.clone());
        match &zip.module {
            None => zip.refuse("", "it is no module's: none of its entries is called MODULE@VERSION/…"),
            Some(module) => {
                if let Err(rule) = module.check() {
                    zip.refuse("", rule);
                }
            }
        }
        // Said once, not of each entry. What else is wrong with it shows by its own name.
        let prefix = zip.module.as_ref().map(|module| format!("{module}/")).unwrap_or_default();
        let foreign = !entries.is_empty() && !entries.iter().any(|entry| entry.name.starts_with(prefix.as_bytes()));
        let prefix = if foreign {
            match &own {
                Some(own) => zip.refuse("", format!("it is of {own}, not of {}", prefix.trim_end_matches('/'))),
                None => zip.refuse("", format!("none of its entries lies below {prefix}")),
            }
            own.map(|own| format!("{own}/")).unwrap_or_default()
        } else {
            prefix
        };
        if archive.has_odd_end() {
            zip.remark("", "the record at its end contradicts the directory");
        }
        zip.check_idle(&entries);
        if zip.check(&entries, size, &prefix) {
            zip.hash(&mut archive, &entries);
        }
        zip
    }

    /// What cannot be read breaks no rule, nor does what is not looked at.
    fn fail(&mut self, entry: &str, what: &str, error: &ZipError) {
        match error {
            ZipError::Read(_) | ZipError::Entries => self.unread = Some(error.to_string()),
            _ => self.refuse(entry, format!("{what}{error}")),
        }
    }

    fn refuse(&mut self, entry: &str, rule: impl Into<String>) {
        self.broken = self.broken.saturating_add(1);
        if self.breaches.len() < MAX_BREACHES {
            self.breaches.push(Breach { entry: entry.to_owned(), rule: rule.into() });
        }
    }

    fn forbid(&mut self, entry: &str, rule: impl Into<String>) {
        if self.irregular.len() < MAX_BREACHES {
            self.irregular.push(Breach { entry: entry.to_owned(), rule: rule.into() });
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
                self.remark(&shown(entry), "one bit of its attributes differs from all other entries'");
            }
        }
    }

    /// Names, kinds and declared sizes. Whether it may be unpacked.
    fn check(&mut self, entries: &[Entry], size: u64, prefix: &str) -> bool {
        let mut known = Collisions::default();
        let mut left = Some(MAX_ZIP);
        for entry in entries {
            let before = left;
            left = left.and_then(|left| left.checked_sub(entry.unpacked));
            if before.is_some() && left.is_none() {
                let rule =
                    format!("total uncompressed size of module contents too large (max size is {MAX_ZIP} bytes)");
                self.refuse("", rule);
            }
            if let Err(rule) = check_entry(entry, prefix, &mut known) {
                self.refuse(&shown(entry), rule);
            }
            match (entry.mode_type, entry.is_folder()) {
                (0, _) | (0o100_000, false) | (0o040_000, true) => {}
                (0o120_000, _) => self.forbid(&shown(entry), "symbolic link"),
                _ => self.forbid(&shown(entry), "not a regular file"),
            }
        }
        // Nothing but shared bytes can make this more than the file has, which is no larger.
        let there = |entry: &Entry| entry.packed.min(size.saturating_sub(entry.offset));
        let packed = entries.iter().filter(|entry| !entry.is_folder()).map(there).fold(0, u64::saturating_add);
        if packed > MAX_ZIP {
            self.refuse("", format!("its entries overlap, and have {packed} bytes together"));
        }
        left.is_some() && packed <= MAX_ZIP
    }

    /// Reads all entries, in the order of their places.
    fn hash<R: Read + Seek>(&mut self, archive: &mut Archive<R>, entries: &[Entry]) {
        // Of entries with one name, as folders may be, Go looks at the last alone.
        let mut hashes: HashMap<&[u8], (&Entry, Sha256)> = HashMap::with_capacity(entries.len());
        hashes.extend(entries.iter().map(|entry| (entry.name.as_slice(), (entry, Sha256::default()))));
        let mut order: Vec<&mut (&Entry, Sha256)> = hashes.values_mut().collect();
        order.sort_by_key(|(entry, _)| (entry.offset, &entry.name));
        let mut whole = true;
        let mut before: Option<(u64, &Entry)> = None;
        for (entry, hash) in order {
            let mut context = Context::new(&SHA256);
            let read = archive.local(entry).and_then(|local| {
                archive.unpack_behind(&local, entry, |piece| context.update(piece))?;
                Ok(local)
            });
            let local = match read {
                Ok(local) => local,
                Err(error) => {
                    self.fail(&shown(entry), "", &error);
                    if self.unread.is_some() {
                        return;
                    }
                    whole = false;
                    continue;
                }
            };
            if !local.contradicts.is_empty() {
                self.remark(&shown(entry), format!("its two headers differ in {}", local.contradicts.join(", ")));
            }
            if let Some((_, other)) = before.filter(|(end, _)| *end > entry.offset) {
                self.forbid(&shown(entry), format!("overlaps with the entry \"{}\"", shown(other)));
            }
            let end = local.body.saturating_add(entry.packed);
            if before.is_none_or(|(known, _)| known < end) {
                before = Some((end, entry));
            }
            self.unpacked = self.unpacked.saturating_add(entry.unpacked);
            *hash = finished(context);
        }
        let mut files = FileHashes::default();
        for entry in entries {
            let (Ok(name), Some((_, hash))) = (std::str::from_utf8(&entry.name), hashes.get(entry.name.as_slice()))
            else {
                return;
            };
            files.push(name.to_owned(), *hash);
        }
        if !whole || files.iter().any(|(name, _)| name.contains('\n')) {
            return;
        }
        let go_mod = self.module.as_ref().map(|module| format!("{module}/go.mod"));
        self.go_mod = go_mod.and_then(|name| hashes.get(name.as_bytes()).map(|(_, hash)| *hash));
        self.h1 = Some(files.h1());
        self.files = Some(files);
    }
}

/// An entry's name for people.
fn shown(entry: &Entry) -> String {
    String::from_utf8_lossy(&entry.name).into_owned()
}

/// The module and version that the first names begin with.
fn named(entries: &[Entry]) -> Option<ModuleVersion> {
    entries.iter().find_map(|entry| ModuleVersion::of_entry(std::str::from_utf8(&entry.name).ok()?))
}

fn check_entry(entry: &Entry, prefix: &str, known: &mut Collisions) -> Result<(), String> {
    let Ok(name) = std::str::from_utf8(&entry.name) else { return Err("invalid UTF-8".to_owned()) };
    let name = name.strip_prefix(prefix).ok_or_else(|| format!("path does not have prefix \"{prefix}\""))?;
    let folder = entry.is_folder();
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
        // Those have equals and no single character as their upper case.
        '\u{390}' => '\u{1fd3}',
        '\u{3b0}' => '\u{1fe3}',
        '\u{fb05}' => '\u{fb06}',
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
