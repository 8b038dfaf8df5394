//! Installed Gos against an archive or the toolchain module of their version, and toolchains that go unpacked itself.
//!
//! What counts is what go runs or compiles. An archive has more than that (`api`, `doc`, `test`), and people leave it out; an
//! installed Go gets more than it came with (build caches, tools that were built, programs in `bin`).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use super::compare::{good_files, list};
use super::{Outcome, Records, packages};
use crate::artifact::collect::Inventory;
use crate::artifact::dirhash::{self, FileDifference, FileHashes, Sha256, finished};
use crate::artifact::gosum::{Match, Part, judge};
use crate::artifact::module::ModuleVersion;
use crate::artifact::sdk;
use crate::artifact::zip::Archive;
use crate::observation::artifact::{Artifact, ArtifactKind, Check, CheckResult, Difference, Origin, Yardstick};

/// Bytes that an archive of Go may unpack to, and that are hashed of it.
const MAX_UNPACKED: u64 = 2 << 30;
/// Folders above each other in an installed Go.
const MAX_DEPTH: usize = 64;
/// Files in it: a release has some 15,000.
const MAX_FILES: usize = 500_000;
/// Names that a sentence gives.
const NAMED: usize = 5;
/// What go compiles (go/build), apart from which nothing that is added to its source has an effect.
const COMPILED: [&str; 20] = [
    "go", "s", "S", "sx", "c", "cc", "cpp", "cxx", "h", "hh", "hpp", "hxx", "m", "f", "F", "for", "f90", "swig",
    "swigcxx", "syso",
];

/// The hashes of files, by their names below the folder `go`.
type Hashes = BTreeMap<String, Sha256>;

/// An installed Go.
pub(super) fn goroot(folder: &Path, inventory: &Inventory, outcome: &Outcome, records: &Records) -> Artifact {
    if let Some(module) = toolchain(folder) {
        return unpacked(folder, &module, outcome, records);
    }
    let version = sdk::goroot_version(folder).unwrap_or_default();
    let mut artifact = Artifact {
        kind: ArtifactKind::Goroot,
        name: version.clone(),
        origin: Origin::Path(folder.display().to_string()),
        hash: None,
        bytes: 0,
        checks: Vec::new(),
    };
    let found = Found::below(folder);
    let package = packages::of_dpkg(folder, &found);
    let foreign = package.is_some() || packages::is_foreign(folder);
    match release(&version, platform(folder).as_deref(), inventory, outcome) {
        Ok(good) => artifact.checks.extend(held(folder, &found, &good, foreign, &mut artifact.bytes)),
        // A distribution's own list takes the place of an archive.
        Err(_) if package.is_some() => {}
        Err(why) => artifact.checks.push(Check::open(Yardstick::Copy, "", why)),
    }
    artifact.checks.extend(package);
    artifact
}

/// The module that a folder of a module cache is the toolchain of.
fn toolchain(folder: &Path) -> Option<ModuleVersion> {
    let folder = std::path::absolute(folder).ok()?;
    let (path, host) = sdk::TOOLCHAIN.rsplit_once('/').map(|(host, name)| (name, host))?;
    let version = folder.file_name()?.to_str()?.strip_prefix(path)?.strip_prefix('@')?;
    folder
        .parent()?
        .ends_with(host)
        .then(|| ModuleVersion { path: sdk::TOOLCHAIN.to_owned(), version: version.to_owned() })
}

/// A toolchain that go unpacked. In its zip go.mod files are called `_go.mod`; go copies each of them to its own name
/// (cmd/go/internal/toolchain/select.go), and without these copies it hashes as the zip does.
fn unpacked(folder: &Path, module: &ModuleVersion, outcome: &Outcome, records: &Records) -> Artifact {
    let name = module.to_string();
    let mut artifact = Artifact {
        kind: ArtifactKind::ModuleTree,
        name: name.clone(),
        origin: Origin::Path(folder.display().to_string()),
        hash: None,
        bytes: 0,
        checks: Vec::new(),
    };
    let (files, bytes) = match dirhash::hash_tree(folder, &name) {
        Ok(read) => read,
        Err(error) => {
            artifact.checks.push(Check::open(Yardstick::Copy, "", format!("cannot be read: {error}")));
            return artifact;
        }
    };
    let mut files = without_copies(&files);
    let h1 = files.h1();
    let mut checks = on_record(module, &h1, records);
    for other in outcome.artifacts.iter().filter(|other| other.name == name) {
        let yardstick = match other.kind {
            ArtifactKind::ModuleZip => Yardstick::Copy,
            ArtifactKind::ZipHash => Yardstick::ZipHash,
            _ => continue,
        };
        if let (Some(hash), Origin::Path(path)) = (&other.hash, &other.origin)
            && !is_wrong(other)
        {
            checks.push(Check::equal(yardstick, path, hash, &h1));
        }
    }
    if checks.is_empty() {
        checks.push(Check::open(Yardstick::Copy, "", "nothing that was given has a hash of it"));
    }
    if let Some((good, path)) = good_files(module, &outcome.artifacts) {
        let difference = files.difference(&good);
        for check in &mut checks {
            if let CheckResult::Differs(known) = &mut check.result {
                list(known, &difference, &path);
            }
        }
    }
    (artifact.hash, artifact.bytes, artifact.checks) = (Some(h1), bytes, checks);
    artifact
}

fn without_copies(files: &FileHashes) -> FileHashes {
    let all: BTreeMap<&str, &Sha256> = files.iter().collect();
    let mut kept = FileHashes::default();
    for (name, hash) in files.iter() {
        let original = name.strip_suffix("go.mod").filter(|folder| folder.ends_with('/'));
        let original = original.and_then(|folder| all.get(format!("{folder}_go.mod").as_str()));
        if original != Some(&hash) {
            kept.push(name.to_owned(), *hash);
        }
    }
    kept
}

fn on_record(module: &ModuleVersion, h1: &str, records: &Records) -> Vec<Check> {
    let mut checks = Vec::new();
    for (path, sum) in &records.go_sums {
        match judge(sum.lines(module, Part::Zip), h1) {
            Match::Agrees(line) | Match::Differs(line) => {
                checks.push(Check::equal(Yardstick::GoSum, format!("{path}:{}", line.number), &line.hash, h1));
            }
            _ => {}
        }
    }
    for record in records.of(module).filter(|record| record.proven && !record.refuted) {
        if let Some(expected) = &record.zip {
            checks.push(Check::equal(Yardstick::SumdbRecord, &record.named, expected, h1));
        }
    }
    checks
}

fn is_wrong(artifact: &Artifact) -> bool {
    artifact.checks.iter().any(|check| match &check.result {
        CheckResult::Differs(difference) => difference.fault != "odd_zip",
        _ => false,
    })
}

/// The files that lie below a folder, by their names there.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) files: BTreeMap<String, PathBuf>,
    /// What could not be read, as it is told.
    pub(super) unread: Vec<String>,
}

impl Found {
    /// Links are followed, as distributions put the source of their Go elsewhere, but in no circle.
    pub(super) fn below(folder: &Path) -> Self {
        let mut found = Self::default();
        let mut seen = 0_usize;
        let mut open = vec![(folder.to_owned(), String::new(), Vec::new())];
        while let Some((folder, prefix, mut above)) = open.pop() {
            let place = fs::canonicalize(&folder).unwrap_or_else(|_| folder.clone());
            if above.len() > MAX_DEPTH || above.contains(&place) {
                continue;
            }
            above.push(place);
            let entries = fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
            let entries = match entries {
                Ok(entries) => entries,
                Err(error) => {
                    found.unread.push(format!("{}: {error}", folder.display()));
                    continue;
                }
            };
            seen = seen.saturating_add(entries.len());
            if seen > MAX_FILES {
                found.unread.push(format!("{}: more than {MAX_FILES} files", folder.display()));
                break;
            }
            for entry in entries {
                let path = entry.path();
                let Ok(name) = entry.file_name().into_string() else {
                    found.unread.push(format!("{}: a name that is not UTF-8", path.display()));
                    continue;
                };
                // A link that leads nowhere is as good as no file.
                let Ok(kind) = fs::metadata(&path) else { continue };
                if kind.is_dir() {
                    open.push((path, format!("{prefix}{name}/"), above.clone()));
                } else if kind.is_file() {
                    found.files.insert(format!("{prefix}{name}"), path);
                } else {
                    found.unread.push(format!("{}: neither file nor folder", path.display()));
                }
            }
        }
        found.unread.sort();
        found
    }
}

/// The files of a release, and where they come from.
struct Release {
    files: Hashes,
    path: String,
    /// Whether a record has its hash.
    known: bool,
    /// Whether it has all files that an archive has: a toolchain module may lack tests.
    whole: bool,
}

/// Holds an installed Go against a release.
fn held(folder: &Path, found: &Found, good: &Release, foreign: bool, bytes: &mut u64) -> Vec<Check> {
    let path = &good.path;
    let mut unread = found.unread.clone();
    let mut difference = FileDifference::default();
    let mut told = Vec::new();
    for (name, hash) in &good.files {
        let Some(place) = found.files.get(name) else {
            if is_used(name) {
                difference.missing.push(name.clone());
            }
            continue;
        };
        match dirhash::hash_file(place) {
            Ok((own, length)) => {
                *bytes = bytes.saturating_add(length);
                if own != *hash {
                    match only_chooses_toolchains(name, place) {
                        Some(told_of) => told.push(told_of),
                        None => difference.changed.push(name.clone()),
                    }
                }
            }
            Err(error) => unread.push(format!("{}: {error}", place.display())),
        }
    }
    let more: Vec<&String> = found.files.keys().filter(|name| !good.files.contains_key(*name)).collect();
    let built = |name: &str| {
        let tool = name.strip_prefix("pkg/tool/").and_then(|rest| rest.split_once('/')).map(|(_, tool)| tool);
        let source = tool.map(|tool| format!("src/cmd/{}/", tool.trim_end_matches(".exe")));
        source
            .is_some_and(|source| good.files.range(source.clone()..).next().is_some_and(|it| it.0.starts_with(&source)))
    };
    let (added, other): (Vec<&String>, Vec<&String>) = more.into_iter().partition(|name| {
        (is_compiled(name) && (good.whole || !is_test(name))) || (name.starts_with("pkg/tool/") && !built(name))
    });
    difference.added = added.into_iter().cloned().collect();
    let other: Vec<String> =
        other.into_iter().filter(|name| name.starts_with("bin/") || name.starts_with("pkg/tool/")).cloned().collect();
    if !other.is_empty() {
        told.push(format!("no part of the release, and not held against anything: {}", some(&other)));
    }
    if !unread.is_empty() {
        told.push(format!("cannot be read: {}", some(&unread)));
    }
    let mut checks = Vec::new();
    if difference == FileDifference::default() {
        // Nothing was compared where nothing could be read.
        if *bytes > 0 {
            checks.push(Check::agrees(Yardstick::Copy, path));
        }
    } else if foreign {
        let count = difference.changed.len().saturating_add(difference.missing.len());
        told.push(format!(
            "{count} files are not as go.dev released them; by its place {} is a distribution's own build, which need not be \
             as they are",
            folder.display()
        ));
    } else {
        let mut differs = Difference { fault: "changed_goroot", ..Difference::default() };
        list(&mut differs, &difference, path);
        if !good.known {
            differs.note.push_str(", which no record is known of either");
        }
        checks.push(Check::differs(Yardstick::Copy, path, differs));
    }
    checks.extend(told.into_iter().map(|why| Check::open(Yardstick::Copy, path, why)));
    checks
}

/// Some names of a list.
pub(super) fn some(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMED);
    let first = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{first} and {more} more") } else { first }
}

fn is_test(name: &str) -> bool {
    name.contains("/testdata/") || name.ends_with("_test.go")
}

/// Whether go would compile a file.
pub(super) fn is_compiled(name: &str) -> bool {
    let folder = ["src/", "pkg/include/"].iter().any(|folder| name.starts_with(folder));
    let (path, file) = name.rsplit_once('/').unwrap_or(("", name));
    let ignored = |name: &str| name.starts_with(['_', '.']);
    let extension = file.rsplit_once('.').map(|(_, extension)| extension);
    folder
        && extension.is_some_and(|extension| COMPILED.contains(&extension))
        && !ignored(file)
        && !path.split('/').any(|part| part == "testdata" || ignored(part))
}

/// Whether programs that people build could come out otherwise without a file of a release. The source of go's own tools
/// is left out by many.
fn is_used(name: &str) -> bool {
    let source = is_compiled(name) && !is_test(name) && !name.starts_with("src/cmd/");
    source || ["bin/", "pkg/tool/"].iter().any(|folder| name.starts_with(folder))
}

/// go.env holds defaults that whoever installs Go may set. Where it says nothing new but how toolchains are chosen, that is
/// told and is no change of Go: which proxy and which database are asked is another matter.
fn only_chooses_toolchains(name: &str, place: &Path) -> Option<String> {
    if name != "go.env" {
        return None;
    }
    let text = fs::read_to_string(place).ok()?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (own, mut kept): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with("GOTOOLCHAIN="));
    kept.sort_unstable();
    let defaults = ["GOPROXY=https://proxy.golang.org,direct", "GOSUMDB=sum.golang.org"];
    (kept == defaults).then(|| format!("go.env was changed: it sets {}", own.join(", ")))
}

/// `linux-amd64`, by the folder that its tools lie in.
fn platform(folder: &Path) -> Option<String> {
    let tools = fs::read_dir(folder.join("pkg/tool")).ok()?;
    let mut names: Vec<String> = tools.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names.first().map(|name| name.replacen('_', "-", 1))
}

/// The release of that version that is trusted most, or why there is none.
fn release(version: &str, platform: Option<&str>, inventory: &Inventory, outcome: &Outcome) -> Result<Release, String> {
    let fits = |rest: Option<&str>| match (rest.and_then(|rest| rest.strip_prefix('.')), platform) {
        (Some(rest), Some(platform)) => rest == platform,
        (Some(rest), None) => rest != "src",
        _ => false,
    };
    let mut why = format!("neither an archive nor a toolchain module of {version} was given");
    let mut candidates: Vec<(&Path, &Artifact)> = Vec::new();
    for path in &inventory.releases {
        let place = path.display().to_string();
        let origin = Origin::Path(place);
        let Some(artifact) = outcome.artifacts.iter().find(|it| it.origin == origin) else { continue };
        let name = sdk::released_name(&artifact.name).unwrap_or_else(|| artifact.name.clone());
        let stem = [".tar.gz", ".zip"].iter().find_map(|kind| name.strip_suffix(kind)).unwrap_or_default();
        if fits(stem.strip_prefix(version)) {
            candidates.push((path, artifact));
        }
    }
    let agrees = |artifact: &Artifact| artifact.checks.iter().any(|check| check.result == CheckResult::Agrees);
    candidates.sort_by_key(|(_, artifact)| !agrees(artifact));
    for (path, artifact) in candidates {
        if is_wrong(artifact) {
            why = format!("{} is itself not as it was released", path.display());
            continue;
        }
        let read = if artifact.name.ends_with(".zip") { of_zip(path) } else { of_tar(path) };
        match read {
            Ok(files) if !files.is_empty() => {
                let path = path.display().to_string();
                return Ok(Release { files, path, known: agrees(artifact), whole: true });
            }
            Ok(_) => why = format!("{} holds nothing in a folder `go`", path.display()),
            Err(error) => why = format!("cannot read {}: {error}", path.display()),
        }
    }
    let prefix = format!("{}@v0.0.1-", sdk::TOOLCHAIN);
    let mut modules = outcome.artifacts.iter().filter(|it| it.kind == ArtifactKind::ModuleZip && it.hash.is_some());
    let module = modules.find(|it| {
        let version = it.name.strip_prefix(&prefix).and_then(|name| name.strip_prefix(version));
        fits(version) && !is_wrong(it)
    });
    let files = module.and_then(|zip| good_files(&ModuleVersion::parse(&zip.name)?, &outcome.artifacts));
    let (Some(module), Some((files, path))) = (module, files) else { return Err(why) };
    let files = files.iter().map(|(name, hash)| (plain(dirhash::without_prefix(name)), *hash)).collect();
    let recorded = [Yardstick::GoSum, Yardstick::SumdbRecord];
    let known = module.checks.iter().any(|it| recorded.contains(&it.yardstick) && it.result == CheckResult::Agrees);
    Ok(Release { files, path, known, whole: false })
}

/// In a toolchain module go.mod files are called `_go.mod`.
fn plain(name: &str) -> String {
    match name.rsplit_once('/') {
        Some((folder, "_go.mod")) => format!("{folder}/go.mod"),
        None if name == "_go.mod" => "go.mod".to_owned(),
        _ => name.to_owned(),
    }
}

fn of_tar(path: &Path) -> io::Result<Hashes> {
    let unpacked = flate2::read::MultiGzDecoder::new(File::open(path)?).take(MAX_UNPACKED);
    let mut archive = tar::Archive::new(unpacked);
    let mut files = Hashes::new();
    let mut buffer = vec![0; 256 << 10];
    for entry in archive.entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let mut context = Context::new(&SHA256);
        loop {
            let read = entry.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            context.update(buffer.get(..read).unwrap_or_default());
        }
        if let Some(name) = below_go(&entry.path_bytes()) {
            files.insert(name, finished(context));
        }
    }
    Ok(files)
}

fn of_zip(path: &Path) -> io::Result<Hashes> {
    let broken = |error: &dyn std::fmt::Debug| io::Error::other(format!("{error:?}"));
    let mut archive = Archive::open(File::open(path)?).map_err(|error| broken(&error))?;
    let mut files = Hashes::new();
    let mut left = MAX_UNPACKED;
    for entry in archive.entries().to_vec() {
        left = left.checked_sub(entry.unpacked).ok_or_else(|| io::Error::other("it unpacks to too much"))?;
        if let Some(name) = below_go(&entry.name) {
            let mut context = Context::new(&SHA256);
            archive.unpack(&entry, |piece| context.update(piece)).map_err(|error| broken(&error))?;
            files.insert(name, finished(context));
        }
    }
    Ok(files)
}

/// The name of a file in the folder `go` of an archive.
fn below_go(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?.strip_prefix("go/")?;
    (!name.is_empty() && !name.ends_with('/')).then(|| name.to_owned())
}
