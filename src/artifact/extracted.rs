//! What `analyze --extract` wrote: bodies of all answers, also of those that are no artifacts.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The list of what was written.
pub(super) const MANIFEST: &str = "manifest.jsonl";

/// The bodies at or below a folder, or beside it, that are pages of errors and redirects, or are coded: by their absolute places.
pub(super) fn others(folder: &Path) -> HashSet<PathBuf> {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let Some(root) = absolute.ancestors().find(|above| above.join(MANIFEST).is_file()) else { return HashSet::new() };
    let names = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let lists = names.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(MANIFEST)));
    let texts = lists.filter_map(|path| fs::read_to_string(path).ok());
    let mut others = HashSet::new();
    for body in
        texts.flat_map(|text| text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<Value>>())
    {
        let is_plain = body.get("status").and_then(Value::as_u64) == Some(200)
            && body.get("content_encoding").is_none_or(Value::is_null);
        if let Some(path) = body.get("path").and_then(Value::as_str).filter(|_| !is_plain) {
            others.insert(root.join(path));
        }
    }
    others
}
