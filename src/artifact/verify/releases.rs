//! Releases of Go: archives by list and signature, installed ones against an archive or toolchain module.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use super::compare::list;
use super::{Outcome, Settings};
use crate::artifact::collect::Inventory;
use crate::artifact::dirhash::{self, FileDifference, FileHashes, Sha256, finished, hex};
use crate::artifact::download::DownloadedRelease;
use crate::artifact::module::ModuleVersion;
use crate::artifact::sdk;
use crate::artifact::zip::Archive;
use crate::observation::artifact::{Artifact, ArtifactKind, Check, Difference, Origin, Yardstick};

/// Bytes that an archive of Go may unpack to, and that are hashed of it.
const MAX_UNPACKED: u64 = 2 << 30;
/// Where files that nobody released would be compiled or run.
const LIVE: [&str; 3] = ["bin/", "src/", "pkg/tool/"];

/// The hash of an archive that came over the wire.
pub(super) fn downloaded(release: &DownloadedRelease, settings: &Settings) -> Artifact {
    let hash = release.sha256.as_ref().map(|sha256| hex(sha256));
    let check = match (&hash, settings.releases.find(&release.name)) {
        (Err(why), _) => Check::open(Yardstick::ReleaseList, "", *why),
        (Ok(sha256), Some(released)) => Check::equal(Yardstick::ReleaseList, released.list, &released.sha256, sha256),
        (Ok(_), None) => Check::open(Yardstick::ReleaseList, "", NOT_LISTED),
    };
    Artifact {
        kind: ArtifactKind::SdkArchive,
        name: release.name.clone(),
        origin: Origin::Exchange(release.exchange),
        hash: hash.ok(),
        bytes: release.bytes,
        checks: vec![check],
    }
}

const NOT_LISTED: &str = "the lists of releases do not have it: they may be older";

/// Hash and signature of an archive.
pub(super) fn archive(path: &Path, settings: &Settings, keys: &super::Keys) -> Artifact {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut checks = Vec::new();
    let (mut hash, mut bytes) = (None, 0);
    match dirhash::hash_file(path) {
        Err(error) => checks.push(Check::open(Yardstick::ReleaseList, "", format!("cannot be read: {error}"))),
        Ok((sha256, length)) => {
            let sha256 = hex(&sha256);
            checks.push(match settings.releases.find(&name) {
                Some(released) => Check::equal(Yardstick::ReleaseList, released.list, &released.sha256, &sha256),
                None => Check::open(Yardstick::ReleaseList, "", NOT_LISTED),
            });
            (hash, bytes) = (Some(sha256), length);
        }
    }
    let mut signature = path.as_os_str().to_owned();
    signature.push(".asc");
    let signature = PathBuf::from(signature);
    if signature.is_file() {
        checks.push(signed(path, &signature, keys));
    } else if !keys.is_empty() {
        checks.push(Check::open(
            Yardstick::OpenPgp,
            signature.display().to_string(),
            "there is no signature beside it",
        ));
    }
    Artifact {
        kind: ArtifactKind::SdkArchive,
        name,
        origin: Origin::Path(path.display().to_string()),
        hash,
        bytes,
        checks,
    }
}

#[cfg(feature = "openpgp")]
fn signed(path: &Path, signature: &Path, keys: &super::Keys) -> Check {
    use crate::artifact::openpgp::SignatureError;
    let with = signature.display().to_string();
    if keys.is_empty() {
        return Check::open(Yardstick::OpenPgp, with, "the key that signs releases was not given");
    }
    let open = |path: &Path| File::open(path).map_err(|error| SignatureError::Read(error.to_string()));
    let verified = open(path).and_then(|data| keys.verify(std::io::BufReader::new(data), open(signature)?));
    match verified {
        Ok((key, _)) => Check::agrees(Yardstick::OpenPgp, format!("{with} by {key}")),
        Err(SignatureError::Read(why)) => Check::open(Yardstick::OpenPgp, with, why),
        Err(error) => {
            let fault = match error {
                SignatureError::UnknownKey(_) => "unknown_key",
                SignatureError::Unusable { .. } => "unusable_key",
                SignatureError::Wrong(_) => "wrong_signature",
                _ => "malformed_signature",
            };
            Check::differs(
                Yardstick::OpenPgp,
                with,
                Difference { fault, note: error.to_string(), ..Difference::default() },
            )
        }
    }
}

#[cfg(not(feature = "openpgp"))]
fn signed(_: &Path, signature: &Path, _: &super::Keys) -> Check {
    Check::open(Yardstick::OpenPgp, signature.display().to_string(), "this goprobe was built without OpenPGP")
}

/// An installed Go against what was given of its version.
pub(super) fn goroot(folder: &Path, inventory: &Inventory, outcome: &Outcome) -> Artifact {
    let version = sdk::goroot_version(folder).unwrap_or_default();
    let mut artifact = Artifact {
        kind: ArtifactKind::Goroot,
        name: version.clone(),
        origin: Origin::Path(folder.display().to_string()),
        hash: None,
        bytes: 0,
        checks: Vec::new(),
    };
    let platform = platform(folder);
    let Some((good, path, whole)) = released(&version, platform.as_deref(), inventory, outcome) else {
        let why = format!("neither an archive nor a toolchain module of {version} was given");
        artifact.checks.push(Check::open(Yardstick::Copy, "", why));
        return artifact;
    };
    match dirhash::hash_tree(folder, "go") {
        Err(error) => artifact.checks.push(Check::open(Yardstick::Copy, path, format!("cannot be read: {error}"))),
        Ok((files, bytes)) => {
            artifact.bytes = bytes;
            artifact.checks.push(compared(&files, &good, whole, path));
        }
    }
    artifact
}

fn compared(files: &FileHashes, good: &BTreeMap<String, Sha256>, whole: bool, path: String) -> Check {
    let ours: BTreeMap<&str, &Sha256> =
        files.iter().map(|(name, hash)| (name.strip_prefix("go/").unwrap_or(name), hash)).collect();
    let mut difference = FileDifference::default();
    for (name, hash) in good {
        match ours.get(name.as_str()) {
            None => difference.missing.push(name.clone()),
            Some(own) if *own != hash => difference.changed.push(name.clone()),
            Some(_) => {}
        }
    }
    // A toolchain module leaves out much that an archive has; elsewhere people and tools may put what they like.
    let live = |name: &str| LIVE.iter().any(|folder| name.starts_with(folder));
    let tests = |name: &str| name.contains("/testdata/") || name.ends_with("_test.go");
    difference.added = ours
        .keys()
        .filter(|name| !good.contains_key(**name) && live(name) && (whole || !tests(name)))
        .map(|name| (*name).to_owned())
        .collect();
    if difference == FileDifference::default() {
        return Check::agrees(Yardstick::Copy, path);
    }
    let mut found = Difference { fault: "changed_goroot", ..Difference::default() };
    list(&mut found, &difference, &path);
    Check::differs(Yardstick::Copy, path, found)
}

/// `linux-amd64`, by the folder that its tools lie in.
fn platform(folder: &Path) -> Option<String> {
    let tools = std::fs::read_dir(folder.join("pkg/tool")).ok()?;
    let mut names: Vec<String> = tools.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names.first().map(|name| name.replacen('_', "-", 1))
}

/// The files of a release, where they come from, and whether they are all that an installation has.
type Release = (BTreeMap<String, Sha256>, String, bool);

fn released(version: &str, platform: Option<&str>, inventory: &Inventory, outcome: &Outcome) -> Option<Release> {
    let fits = |name: &str| {
        let rest = name.strip_prefix(version).and_then(|rest| rest.strip_prefix('.'));
        rest.is_some_and(|rest| platform.map_or(!rest.starts_with("src."), |platform| rest.starts_with(platform)))
    };
    for path in &inventory.releases {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if fits(name) {
            let files = if name.ends_with(".zip") { of_zip(path) } else { of_tar(path) };
            if let Some(files) = files.filter(|files| !files.is_empty()) {
                return Some((files, path.display().to_string(), true));
            }
        }
    }
    let mut modules = outcome.artifacts.iter().filter(|it| it.kind == ArtifactKind::ModuleZip);
    let module = modules
        .find(|it| it.name.strip_prefix("golang.org/toolchain@v0.0.1-").is_some_and(fits_module(version, platform)))?;
    let (files, path) = super::compare::good_files(&ModuleVersion::parse(&module.name)?, outcome)?;
    let files = files.iter().map(|(name, hash)| (plain(dirhash::without_prefix(name)), *hash)).collect();
    Some((files, path, false))
}

fn fits_module(version: &str, platform: Option<&str>) -> impl Fn(&str) -> bool {
    let (version, platform) = (version.to_owned(), platform.map(str::to_owned));
    move |name| match name.strip_prefix(&version).and_then(|rest| rest.strip_prefix('.')) {
        Some(rest) => platform.as_deref().is_none_or(|platform| rest == platform),
        None => false,
    }
}

/// In a toolchain module go.mod files are called `_go.mod`.
fn plain(name: &str) -> String {
    match name.rsplit_once('/') {
        Some((folder, "_go.mod")) => format!("{folder}/go.mod"),
        None if name == "_go.mod" => "go.mod".to_owned(),
        _ => name.to_owned(),
    }
}

fn of_tar(path: &Path) -> Option<BTreeMap<String, Sha256>> {
    let unpacked = flate2::read::MultiGzDecoder::new(File::open(path).ok()?).take(MAX_UNPACKED);
    let mut archive = tar::Archive::new(unpacked);
    let mut files = BTreeMap::new();
    let mut buffer = vec![0; 256 << 10];
    for entry in archive.entries().ok()? {
        let mut entry = entry.ok()?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8(entry.path_bytes().into_owned()).ok()?;
        let mut context = Context::new(&SHA256);
        loop {
            let read = entry.read(&mut buffer).ok()?;
            if read == 0 {
                break;
            }
            context.update(buffer.get(..read)?);
        }
        files.insert(name.strip_prefix("go/")?.to_owned(), finished(context));
    }
    Some(files)
}

fn of_zip(path: &Path) -> Option<BTreeMap<String, Sha256>> {
    let mut archive = Archive::open(File::open(path).ok()?).ok()?;
    let mut files = BTreeMap::new();
    let mut left = MAX_UNPACKED;
    for entry in archive.entries().to_vec() {
        left = left.checked_sub(entry.unpacked)?;
        if entry.name.ends_with(b"/") {
            continue;
        }
        let mut context = Context::new(&SHA256);
        archive.unpack(&entry, |piece| context.update(piece)).ok()?;
        let name = String::from_utf8(entry.name).ok()?;
        files.insert(name.strip_prefix("go/")?.to_owned(), finished(context));
    }
    Some(files)
}
