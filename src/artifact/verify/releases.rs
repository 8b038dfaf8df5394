//! Archives and installers of Go: by the lists of releases, and by the OpenPGP signature beside them.
//!
//! A hash that no list has accuses nobody, as lists are older than some releases; neither does a signature that is not
//! there, or one by a key that was not given.

use std::path::Path;

use super::{Settings, packages};
use crate::artifact::dirhash::{self, hex};
use crate::artifact::download::DownloadedRelease;
use crate::artifact::sdk;
use crate::observation::artifact::{Artifact, ArtifactKind, Check, Difference, Origin, Yardstick};
use crate::reference::Releases;

/// The hash of an archive that came over the wire.
pub(super) fn downloaded(release: &DownloadedRelease, settings: &Settings) -> Artifact {
    let hash = release.sha256.as_ref().map(|sha256| hex(sha256));
    let check = match &hash {
        Err(why) => Check::open(Yardstick::ReleaseList, "", *why),
        Ok(sha256) => listed(&release.name, sha256, &settings.releases),
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

/// Hash and signature of an archive.
pub(super) fn archive(path: &Path, settings: &Settings, keys: &super::Keys) -> Artifact {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut artifact = Artifact {
        kind: ArtifactKind::SdkArchive,
        name,
        origin: Origin::Path(path.display().to_string()),
        hash: None,
        bytes: 0,
        checks: Vec::new(),
    };
    match dirhash::hash_file(path) {
        Err(error) => {
            artifact.checks.push(Check::open(Yardstick::ReleaseList, "", format!("cannot be read: {error}")));
            return artifact;
        }
        Ok((sha256, bytes)) => {
            let sha256 = hex(&sha256);
            // Packages are not Go's own: their sums are others', and they have no signature of their own.
            if let Some(check) = packages::package(path, &sha256) {
                artifact.checks.push(check);
            } else {
                artifact.checks.push(listed(&artifact.name, &sha256, &settings.releases));
                artifact.checks.push(signature(path, settings, keys));
            }
            (artifact.hash, artifact.bytes) = (Some(sha256), bytes);
        }
    }
    artifact
}

/// What the lists say of a file with that name and hash.
fn listed(name: &str, sha256: &str, releases: &Releases) -> Check {
    let wanted = sdk::released_name(name);
    let by_name = wanted.as_deref().and_then(|wanted| releases.find(wanted));
    if let Some(listed) = by_name.as_ref().filter(|listed| listed.sha256 == sha256) {
        return Check::agrees(Yardstick::ReleaseList, as_what(&listed.list, &listed.file, name));
    }
    if let Some(known) = releases.with_hash(sha256) {
        let other = wanted.as_deref().is_some_and(|wanted| !sdk::same_release(wanted, &known.file));
        if !other {
            return Check::agrees(Yardstick::ReleaseList, as_what(&known.list, &known.file, name));
        }
        let note = format!("it is {}, which was released with SHA-256 {sha256}", known.file);
        let difference = Difference { fault: "another_release", note, ..Difference::default() };
        return Check::differs(Yardstick::ReleaseList, known.list, difference);
    }
    match by_name {
        Some(listed) => Check::equal(Yardstick::ReleaseList, listed.list, &listed.sha256, sha256),
        None => {
            let newest =
                releases.newest().map(|date| format!(", the newest of which is of {date},")).unwrap_or_default();
            let why = format!("the lists of releases{newest} do not have it (`goprobe rules update` reads newer ones)");
            Check::open(Yardstick::ReleaseList, "", why)
        }
    }
}

/// A list, and the name of a file on it where it has another one here.
fn as_what(list: &str, file: &str, name: &str) -> String {
    if file == name { list.to_owned() } else { format!("{list}, as {file}") }
}

/// The signature beside a file: `F.asc`, for a further download also that of the first one.
fn signature(path: &Path, settings: &Settings, keys: &super::Keys) -> Check {
    let beside = |name: &str| path.with_file_name(format!("{name}.asc"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let own = beside(&name);
    let found = [Some(own.clone()), sdk::released_name(&name).map(|name| beside(&name))];
    match found.into_iter().flatten().find(|path| path.is_file()) {
        Some(signature) => signed(path, &signature, settings, keys),
        None => Check::open(Yardstick::OpenPgp, shown(&own), "there is no signature beside it"),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(feature = "openpgp")]
fn signed(path: &Path, signature: &Path, settings: &Settings, keys: &super::Keys) -> Check {
    use std::fs::File;
    use std::io::BufReader;

    use crate::artifact::openpgp::{SignatureError, day};

    let with = shown(signature);
    if keys.is_empty() {
        let why = if settings.signing_keys.is_empty() {
            "the key that signs releases was not given (--signing-key FILE)"
        } else {
            "there is no OpenPGP key in what was given as such"
        };
        return Check::open(Yardstick::OpenPgp, with, why);
    }
    let now = settings.judged.and_then(|now| u32::try_from(now.nanos() / 1_000_000_000).ok());
    let open = |path: &Path| File::open(path).map_err(|error| SignatureError::Read(error.to_string()));
    let verified = open(path).and_then(|data| keys.verify(BufReader::new(data), open(signature)?, now));
    let error = match verified {
        Ok(signed) => {
            let subkey = if signed.key == signed.primary { String::new() } else { format!(", subkey {}", signed.key) };
            let with = format!("{with} by {}{subkey}, made {}", signed.primary, day(signed.time));
            return Check::agrees(Yardstick::OpenPgp, with);
        }
        Err(error) => error,
    };
    let note = error.to_string();
    let fault = match error {
        // It may be as good as any.
        SignatureError::Read(_)
        | SignatureError::Unprovable { .. }
        | SignatureError::UnknownKey { newer: true, .. } => {
            return Check::open(Yardstick::OpenPgp, with, note);
        }
        SignatureError::UnknownKey { .. } => "unknown_key",
        SignatureError::Unusable { .. } => "unusable_key",
        SignatureError::Wrong(_) => "wrong_signature",
        SignatureError::Malformed(_) => "malformed_signature",
    };
    Check::differs(Yardstick::OpenPgp, with, Difference { fault, note, ..Difference::default() })
}

#[cfg(not(feature = "openpgp"))]
fn signed(_: &Path, signature: &Path, _: &Settings, _: &super::Keys) -> Check {
    Check::open(Yardstick::OpenPgp, shown(signature), "this goprobe was built without OpenPGP")
}

#[cfg(test)]
mod tests;
