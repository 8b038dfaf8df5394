//! Real artifacts beside the project, which is not theirs.

use std::path::{Path, PathBuf};

/// What lies there under that name; `None`, and a word of it, where it does not.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/artifacts").join(name);
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}
