//! What is no artifact of one module: go.sum files among themselves, vendor directories, loose notes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::compare::{good_files, list};
use super::{Outcome, Records};
use crate::artifact::collect::Inventory;
use crate::artifact::dirhash::{FileDifference, hash_tree, without_prefix};
use crate::artifact::gosum::{Match, Part, judge};
use crate::artifact::module::ModuleVersion;
use crate::artifact::note::VerifierKey;
use crate::artifact::sumdb::{Content, Item, Store};
use crate::observation::artifact::{Artifact, ArtifactKind, Check, Difference, Origin, Yardstick};

/// go.sum files against databases and against each other: one artifact for each file, one for each line that differs.
///
/// `lonely`: nothing else was given, and what could not be done is said.
pub(super) fn go_sums(records: &Records, lonely: bool) -> Vec<Artifact> {
    let mut artifacts = Vec::new();
    for (index, (path, sum)) in records.go_sums.iter().enumerate() {
        let (mut by_database, mut by_others, mut agreed, mut checks) = (0_usize, 0_usize, Vec::new(), Vec::new());
        for (module, part, lines) in sum.iter() {
            let mut differing = Vec::new();
            let Some(own) = lines.iter().find(|line| line.hash.starts_with("h1:")) else { continue };
            for record in records.of(module).filter(|record| record.proven) {
                let expected = if part == Part::Zip { &record.zip } else { &record.go_mod };
                let Some(expected) = expected else { continue };
                match judge(lines, expected) {
                    Match::Agrees(_) => by_database = by_database.saturating_add(1),
                    _ => differing.push(Check::equal(Yardstick::SumdbRecord, &record.named, expected, &own.hash)),
                }
            }
            for (other, theirs) in records.go_sums.iter().take(index) {
                let theirs = theirs.lines(module, part);
                match theirs.iter().find(|line| judge(lines, &line.hash) != Match::NoLine) {
                    Some(_) if theirs.iter().any(|line| matches!(judge(lines, &line.hash), Match::Agrees(_))) => {
                        by_others = by_others.saturating_add(1);
                        if !agreed.contains(other) {
                            agreed.push(other.clone());
                        }
                    }
                    Some(line) => {
                        let with = format!("{other}:{}", line.number);
                        differing.push(Check::equal(Yardstick::GoSum, with, &line.hash, &own.hash));
                    }
                    None => {}
                }
            }
            if !differing.is_empty() {
                artifacts.push(Artifact {
                    kind: ArtifactKind::GoSum,
                    name: module.to_string(),
                    origin: Origin::Path(format!("{path}:{}", own.number)),
                    hash: Some(own.hash.clone()),
                    bytes: 0,
                    checks: differing,
                });
            }
        }
        if by_database > 0 {
            checks.push(Check::agrees(Yardstick::SumdbRecord, format!("{by_database} records")));
        }
        if by_others > 0 {
            checks.push(Check::agrees(Yardstick::GoSum, agreed.join(", ")));
        }
        if checks.is_empty() {
            if !lonely {
                continue;
            }
            let why = "neither an artifact nor a checksum database was given that has one of its modules";
            checks.push(Check::open(Yardstick::SumdbRecord, "", why));
        }
        artifacts.push(Artifact {
            kind: ArtifactKind::GoSum,
            name: "go.sum".to_owned(),
            origin: Origin::Path(path.clone()),
            hash: None,
            bytes: 0,
            checks,
        });
    }
    artifacts
}

/// Each module of each vendor directory against a copy of it. Only a part of a module is vendored: what is missing says
/// nothing.
pub(super) fn vendors(inventory: &Inventory, outcome: &Outcome) -> Vec<Artifact> {
    let mut artifacts = Vec::new();
    let mut by_name: HashMap<&str, Vec<&Artifact>> = HashMap::new();
    if !inventory.vendors.is_empty() {
        outcome.artifacts.iter().for_each(|copy| by_name.entry(copy.name.as_str()).or_default().push(copy));
    }
    for folder in &inventory.vendors {
        let list = folder.join("modules.txt");
        let list = match std::fs::read(&list) {
            Ok(list) => String::from_utf8_lossy(&list).into_owned(),
            Err(error) => {
                let check = Check::open(Yardstick::Copy, "", format!("{} cannot be read: {error}", list.display()));
                artifacts.push(unheld(folder, "vendor", check));
                continue;
            }
        };
        let modules = vendored(&list);
        for (path, module) in &modules {
            let place = folder.join(path);
            if !place.is_dir() {
                let why = format!("{path} is not there, though modules.txt lists packages of it");
                artifacts.push(unheld(&place, path, Check::open(Yardstick::Copy, "", why)));
            } else if let Some(module) = module {
                let nested: Vec<String> = modules
                    .iter()
                    .filter_map(|(other, _)| other.strip_prefix(path.as_str())?.strip_prefix('/').map(str::to_owned))
                    .collect();
                let copies = by_name.get(module.to_string().as_str()).map(Vec::as_slice).unwrap_or_default();
                artifacts.push(vendored_module(&place, module, &nested, copies));
            } else {
                let why = format!("{path} is replaced by a folder: no module is known that it could be held against");
                artifacts.push(unheld(&place, path, Check::open(Yardstick::Copy, "", why)));
            }
        }
    }
    artifacts
}

/// What lies in a vendor directory and is not held against anything.
fn unheld(place: &Path, name: &str, check: Check) -> Artifact {
    Artifact {
        kind: ArtifactKind::Vendored,
        name: name.to_owned(),
        origin: Origin::Path(place.display().to_string()),
        hash: None,
        bytes: 0,
        checks: vec![check],
    }
}

/// The modules of a modules.txt that packages are listed of: their path in the folder, and what lies there, which is no
/// module where a folder replaces it. Requirements and replacements without an effect have no packages
/// (cmd/go/internal/modcmd/vendor.go).
fn vendored(list: &str) -> Vec<(String, Option<ModuleVersion>)> {
    let mut modules = Vec::new();
    let mut last = None;
    for line in list.lines() {
        let Some(line) = line.strip_prefix("# ") else {
            if !line.starts_with('#') && !line.trim().is_empty() {
                modules.extend(last.take());
            }
            continue;
        };
        let fields: Vec<&str> = line.split_whitespace().collect();
        let of = |path: &str, version: &str| ModuleVersion { path: path.to_owned(), version: version.to_owned() };
        last = match fields.as_slice() {
            [path, version] => Some(((*path).to_owned(), Some(of(path, version)))),
            [path, _, "=>", other, version] => Some(((*path).to_owned(), Some(of(other, version)))),
            [path, _, "=>", ..] => Some(((*path).to_owned(), None)),
            _ => None,
        };
    }
    modules.sort();
    modules.dedup();
    modules
}

fn vendored_module(place: &Path, module: &ModuleVersion, nested: &[String], copies: &[&Artifact]) -> Artifact {
    let mut bytes = 0;
    let check = match (hash_tree(place, &module.to_string()), good_files(module, copies.iter().copied())) {
        (Err(error), _) => Check::open(Yardstick::Copy, "", format!("cannot be read: {error}")),
        (_, None) => Check::open(Yardstick::Copy, "", "no sound copy of the module was given"),
        (Ok((files, length)), Some((good, path))) => {
            bytes = length;
            let inside = |name: &str| {
                nested.iter().any(|other| name.strip_prefix(other.as_str()).is_some_and(|rest| rest.starts_with('/')))
            };
            let theirs: HashMap<&str, _> = good.iter().map(|(name, hash)| (without_prefix(name), hash)).collect();
            let mut difference = FileDifference::default();
            for (name, hash) in files.iter().map(|(name, hash)| (without_prefix(name), hash)) {
                match theirs.get(name) {
                    _ if inside(name) => {}
                    None => difference.added.push(name.to_owned()),
                    Some(known) if *known != hash => difference.changed.push(name.to_owned()),
                    Some(_) => {}
                }
            }
            difference.changed.sort();
            difference.added.sort();
            if difference == FileDifference::default() {
                Check::agrees(Yardstick::Copy, path)
            } else {
                let mut found = Difference { fault: "vendored_files", ..Difference::default() };
                list(&mut found, &difference, &path);
                Check::differs(Yardstick::Copy, path, found)
            }
        }
    };
    Artifact {
        kind: ArtifactKind::Vendored,
        name: module.to_string(),
        origin: Origin::Path(place.display().to_string()),
        hash: None,
        bytes,
        checks: vec![check],
    }
}

/// The name of the database that folders belong to: their own where a key has it, else the one key's that there is beside
/// the usual.
pub(super) fn database_name(name: &str, folders: &[PathBuf], keys: &[VerifierKey]) -> String {
    if keys.iter().any(|key| key.name() == name) {
        return name.to_owned();
    }
    let signers = folders.iter().map(|folder| Store::read(folder, name));
    let signers =
        signers.flat_map(|store| store.heads.into_iter().chain(store.lookups.into_iter().map(|(_, item)| item)));
    let mut signers = signers.filter_map(|item| signer(&item.content.read().ok()?));
    signers.find(|signer| keys.iter().any(|key| key.name() == signer)).unwrap_or_else(|| name.to_owned())
}

/// Who signed a note, by the first name beneath it.
fn signer(note: &[u8]) -> Option<String> {
    let note = std::str::from_utf8(note).ok()?;
    let (_, signatures) = note.rsplit_once("\n\n")?;
    Some(signatures.strip_prefix("\u{2014} ")?.split(' ').next()?.to_owned())
}

/// A signed head or a lookup that lies alone.
pub(super) fn loose_note(path: &Path) -> Store {
    let content = Content::File(path.to_owned());
    // What cannot be read stays open as a head.
    let bytes = content.read().unwrap_or_else(|_| HEAD.to_vec());
    let item = Item { origin: Origin::Path(path.display().to_string()), content };
    let mut store = Store { name: signer(&bytes).unwrap_or_else(|| "sum.golang.org".to_owned()), ..Store::default() };
    if bytes.starts_with(HEAD) {
        store.heads.push(item);
        return store;
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut fields = text.lines().nth(1).unwrap_or_default().split_whitespace();
    if let (Some(module), Some(version)) = (fields.next(), fields.next()) {
        let version = version.strip_suffix("/go.mod").unwrap_or(version);
        let module = ModuleVersion { path: module.to_owned(), version: version.to_owned() };
        store.lookups.push((module, item));
    } else {
        let why = "not looked at: an answer of a checksum database that names no module";
        store.strays.push((path.display().to_string(), item, why.to_owned()));
    }
    store
}

/// What a signed head begins with.
const HEAD: &[u8] = b"go.sum database tree\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_txt_tells_what_lies_where() {
        let list = "## workspace\n# a.b/c v1.0.0\n## explicit; go 1.20\na.b/c\na.b/c/d\n# a.b/c v0.9.0\n## explicit\n\
                    # a.b/old v1.0.0 => a.b/new v2.0.0\na.b/old\n# a.b/local v1.0.0 => ../local\na.b/local\n\
                    # a.b/unused v1.0.0\n## explicit\n# a.b/c v0.8.0 => a.b/fork v1.0.0\n# a.b/any => a.b/else v3.0.0\n";
        let modules: Vec<String> = vendored(list)
            .into_iter()
            .map(|(path, module)| format!("{path} {}", module.map_or_else(String::new, |module| module.to_string())))
            .collect();
        assert_eq!(modules, ["a.b/c a.b/c@v1.0.0", "a.b/local ", "a.b/old a.b/new@v2.0.0"]);
    }
}
