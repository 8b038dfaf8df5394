//! What lies on this machine's disk beside a recording: whether it came like that.

use crate::finding::{Code, Evidence};
use crate::observation::artifact::{Artifact, ArtifactKind, Difference, Origin};
use crate::observation::{Case, Relevance};
use crate::types::Direction;

/// How a file that is not as on record stands to what came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// It came like that.
    Echo,
    /// What came was as on record.
    ChangedSince,
    /// The recording does not show how it came.
    Unseen,
}

pub(super) fn standing(case: &Case, artifact: &Artifact, difference: &Difference) -> Standing {
    let came = |hash: &Option<String>| {
        let copies =
            case.artifacts.iter().filter(|it| it.name == artifact.name && is_zip(it.kind) == is_zip(artifact.kind));
        copies.filter(|it| matches!(it.origin, Origin::Exchange(_))).any(|it| it.hash.is_some() && it.hash == *hash)
    };
    if came(&artifact.hash) {
        Standing::Echo
    } else if came(&difference.expected) {
        Standing::ChangedSince
    } else {
        Standing::Unseen
    }
}

/// What a difference is called, given how the file came. Nothing where what came has it already.
pub(super) fn code(case: &Case, artifact: &Artifact, difference: &Difference, code: Code) -> Option<Code> {
    if code != Code::ArtifactChecksumMismatch || !is_of_cache(artifact.kind) {
        return Some(code);
    }
    match standing(case, artifact, difference) {
        Standing::Echo => None,
        Standing::ChangedSince => Some(Code::ArtifactCacheModified),
        Standing::Unseen => Some(code),
    }
}

/// The file of the module cache that has this hash, where nothing at all came in the recording.
pub(super) fn taken_from_cache(case: &Case, kind: ArtifactKind, module: &str, hash: &str) -> Option<Evidence> {
    let anything_came = case.connections.iter().any(|connection| {
        let mut segments = connection.segments.towards(Direction::ToClient);
        connection.relevance == Relevance::Go && segments.any(|segment| segment.length > 0)
    });
    let of_module = |it: &&Artifact| {
        is_of_cache(it.kind)
            && is_zip(it.kind) == is_zip(kind)
            && it.module() == Some(module)
            && it.hash.as_deref() == Some(hash)
            && matches!(it.origin, Origin::Path(_))
    };
    let file = case.artifacts.iter().filter(|_| !anything_came).find(of_module)?;
    super::place(case, file)
}

const fn is_of_cache(kind: ArtifactKind) -> bool {
    matches!(kind, ArtifactKind::ModuleZip | ArtifactKind::GoMod | ArtifactKind::ZipHash)
}

/// Of the two things of a module that have a hash on record, whether it is the zip.
const fn is_zip(kind: ArtifactKind) -> bool {
    matches!(kind, ArtifactKind::ModuleZip | ArtifactKind::ZipHash)
}
