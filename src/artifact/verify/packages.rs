//! Go as others package it, by their own sums. These come the same way as the packages and are signed elsewhere if at all:
//! they show damage and mistakes, and no attacker who changed both.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::compare::list;
use super::goroot::{Found, is_compiled, some};
use crate::artifact::dirhash::FileDifference;
use crate::artifact::sdk;
use crate::observation::artifact::{Check, Difference, Yardstick};

/// Where dpkg keeps what it knows.
const DPKG: &str = "var/lib/dpkg/info";
/// Bytes that a list of sums may have: a Packages file of all of Debian has some 60 MB.
const MAX_LIST: u64 = 256 << 20;
/// What sums of a package's own are worth.
const WORTH: &str = "shows damage, not malice";

/// Where distributions and package managers install what they built themselves; go.dev's archives go elsewhere.
const FOREIGN: [&str; 7] =
    ["/usr/lib", "/usr/lib64", "/usr/share", "/nix/store", "/gnu/store", "/snap", "/opt/local/lib"];

/// Whether an installed Go is somebody else's build by its place: where packages are installed, in a keg of Homebrew's, or
/// with its source apart from its programs.
pub(super) fn is_foreign(folder: &Path) -> bool {
    let Ok(own) = fs::canonicalize(folder) else { return false };
    let brewed = own.parent().is_some_and(|keg| keg.join("INSTALL_RECEIPT.json").is_file());
    let apart = fs::canonicalize(own.join("src")).is_ok_and(|source| !source.starts_with(&own));
    brewed || apart || FOREIGN.iter().any(|place| own.starts_with(place))
}

/// The files of an installed Go against the sums of the Debian packages that own them; nothing where none does.
pub(super) fn of_dpkg(folder: &Path, found: &Found) -> Option<Check> {
    let own = fs::canonicalize(folder).ok()?;
    let root = own.ancestors().find(|root| root.join(DPKG).is_dir())?;
    let lists = fs::read_dir(root.join(DPKG)).ok()?.flatten().map(|entry| entry.path());
    let mut lists: Vec<PathBuf> = lists.filter(|path| is_list(path)).collect();
    lists.sort();
    // Where its files really lie: Debian keeps the source apart.
    let places: BTreeMap<PathBuf, &String> =
        found.files.iter().filter_map(|(name, path)| Some((fs::canonicalize(path).ok()?, name))).collect();
    let (mut owners, mut owned) = (Vec::new(), BTreeSet::new());
    let (mut difference, mut unread) = (FileDifference::default(), Vec::new());
    for path in lists {
        let Ok(text) = fs::read_to_string(&path) else {
            unread.push(path.display().to_string());
            continue;
        };
        // Not its manual pages and changelogs, which lie elsewhere and are often left out.
        let of_go = |file: &str| Path::new(file).components().any(|part| Some(part.as_os_str()) == own.file_name());
        let sums: Vec<(PathBuf, &str)> = text
            .lines()
            .filter_map(|line| line.split_once("  "))
            .filter(|(_, file)| of_go(file))
            .map(|(sum, file)| (root.join(file), sum))
            .collect();
        if !sums.iter().any(|(file, _)| places.contains_key(file)) {
            continue;
        }
        for (file, sum) in sums {
            let shown = file.display().to_string();
            match md5(&file) {
                Some(Ok(own)) if own == sum => {}
                Some(Ok(_)) => difference.changed.push(shown),
                Some(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                    difference.missing.push(shown);
                }
                Some(Err(error)) => unread.push(format!("{shown}: {error}")),
                None => {
                    return Some(Check::open(
                        Yardstick::Copy,
                        path.display().to_string(),
                        "MD5 needs OpenPGP built in",
                    ));
                }
            }
            owned.insert(file);
        }
        owners.push(path.display().to_string());
    }
    let with = owners.join(", ");
    if owners.is_empty() {
        return None;
    }
    let added = places.iter().filter(|(place, name)| is_compiled(name) && !owned.contains(*place));
    difference.added = added.map(|(place, _)| place.display().to_string()).collect();
    Some(if difference != FileDifference::default() {
        let mut differs = Difference { fault: "changed_goroot", ..Difference::default() };
        list(&mut differs, &difference, &"dpkg's own sums");
        Check::differs(Yardstick::Copy, owners.swap_remove(0), differs)
    } else if unread.is_empty() {
        Check::agrees(Yardstick::Copy, format!("{with} (MD5: {WORTH})"))
    } else {
        Check::open(Yardstick::Copy, with, format!("cannot be read: {}", some(&unread)))
    })
}

/// The sums of a package of Go.
fn is_list(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with("golang-") && name.ends_with(".md5sums")
}

/// MD5 of a file, in lower-case hex; nothing where this goprobe cannot make it.
#[cfg(feature = "openpgp")]
fn md5(path: &Path) -> Option<std::io::Result<String>> {
    use std::io::Read as _;

    let mut hasher = pgp::crypto::hash::HashAlgorithm::Md5.new_hasher().ok()?;
    let mut read = || {
        let mut file = fs::File::open(path)?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(()),
                length => hasher.update(buffer.get(..length).unwrap_or_default()),
            }
        }
    };
    let done = read();
    Some(done.map(|()| crate::artifact::dirhash::hex(&hasher.finalize())))
}

#[cfg(not(feature = "openpgp"))]
fn md5(_: &Path) -> Option<std::io::Result<String>> {
    None
}

/// A package against the lists beside it; nothing for what is no package.
pub(super) fn package(path: &Path, sha256: &str) -> Option<Check> {
    let name = path.file_name()?.to_str()?;
    if let Some(bottle) = sdk::bottle_name(name) {
        let found = beside(path, |name| name.ends_with("bottle_manifest.json"), |text| of_manifest(text, &bottle));
        return Some(listed(found, sha256, "no manifest of Homebrew's that lists it lies beside it"));
    }
    if sdk::is_deb(name) {
        let is_list =
            |list: &str| list.ends_with("Packages") || list.ends_with(".changes") || list.ends_with(".buildinfo");
        let found = beside(path, is_list, |text| of_debian(text, name));
        return Some(listed(found, sha256, "no Packages or .changes file that lists it lies beside it"));
    }
    None
}

fn listed(found: Option<(String, String)>, sha256: &str, why: &str) -> Check {
    match found {
        Some((list, expected)) if expected == sha256 => {
            Check::agrees(Yardstick::ReleaseList, format!("{list} (which lies beside it: {WORTH})"))
        }
        Some((list, expected)) => Check::equal(Yardstick::ReleaseList, list, &expected, sha256),
        None => Check::open(Yardstick::ReleaseList, "", why),
    }
}

/// What a list beside a file says of it: the list, and the hash.
fn beside(
    path: &Path,
    is_list: impl Fn(&str) -> bool,
    read: impl Fn(&str) -> Option<String>,
) -> Option<(String, String)> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut lists: Vec<PathBuf> = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    lists.retain(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(&is_list));
    lists.sort();
    lists.into_iter().find_map(|list| {
        let small = fs::metadata(&list).is_ok_and(|about| about.is_file() && about.len() <= MAX_LIST);
        let text = small.then(|| fs::read_to_string(&list).ok()).flatten()?;
        Some((list.display().to_string(), read(&text)?.to_ascii_lowercase()))
    })
}

/// The SHA-256 of a bottle, of an OCI index as Homebrew publishes it (`sh.brew.bottle.digest`).
fn of_manifest(text: &str, bottle: &str) -> Option<String> {
    let index: Value = serde_json::from_str(text).ok()?;
    index.get("manifests")?.as_array()?.iter().find_map(|manifest| {
        let annotations = manifest.get("annotations")?;
        let named = annotations.get("org.opencontainers.image.ref.name")?.as_str()? == bottle;
        named.then(|| annotations.get("sh.brew.bottle.digest")?.as_str().map(str::to_owned)).flatten()
    })
}

/// The SHA-256 of a package, of a Packages file or of the Checksums-Sha256 of a .changes file (deb822).
fn of_debian(text: &str, name: &str) -> Option<String> {
    let is_sha256 = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let line = text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        matches!(fields.as_slice(), [hash, _, file] if *file == name && is_sha256(hash))
            .then(|| fields.first().copied())
    });
    let stanza = || {
        text.split("\n\n").find_map(|stanza| {
            let field = |key: &str| stanza.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
            let file = field("Filename:")?;
            (file.rsplit('/').next() == Some(name)).then(|| field("SHA256:")).flatten()
        })
    };
    line.flatten().or_else(stanza).filter(|hash| is_sha256(hash)).map(str::to_owned)
}
