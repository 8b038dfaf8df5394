//! From lists as their publishers offer them to entries for `rules/`: what `goprobe rules update` writes.

use ipnet::IpNet;
use ring::digest::{SHA256, digest};
use serde_json::Value;

use super::date::Date;
use super::ranges::parse_prefix;

/// Why a list could not be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It is not JSON.
    #[error("not JSON")]
    Json(#[from] serde_json::Error),
    /// It has no prefixes where they are expected.
    #[error("no address prefixes under {0}")]
    NoPrefixes(&'static str),
    /// It has no certificates.
    #[error("no certificates")]
    NoCertificate,
    /// The bundle could not be compressed.
    #[error("compress the bundle")]
    Pack(#[source] std::io::Error),
}

/// A `ranges.toml` with Google's ranges, out of `goog.json` and `cloud.json` of gstatic.com (one or both).
///
/// # Errors
/// When one of them is not such a list.
pub fn google(lists: &[&str], checked: Date) -> Result<String, ImportError> {
    let mut prefixes = Vec::new();
    for list in lists {
        let list: Value = serde_json::from_str(list)?;
        let entries = list.get("prefixes").and_then(Value::as_array).ok_or(ImportError::NoPrefixes("prefixes"))?;
        let both = entries.iter().flat_map(|entry| [entry.get("ipv4Prefix"), entry.get("ipv6Prefix")]);
        prefixes.extend(both.flatten().filter_map(Value::as_str).filter_map(parse_prefix));
    }
    operator("google", "Google", &["googleapis", "gcp"], &prefixes, "gstatic.com goog.json and cloud.json", checked)
}

/// A `ranges.toml` with GitHub's ranges, out of the answer of `api.github.com/meta`; the runners of Actions are left out.
///
/// # Errors
/// When it is not such an answer.
pub fn github(meta: &str, checked: Date) -> Result<String, ImportError> {
    let meta: Value = serde_json::from_str(meta)?;
    let lists = ["hooks", "web", "api", "git", "packages", "pages"].iter().filter_map(|key| meta.get(*key)?.as_array());
    let prefixes: Vec<IpNet> = lists.flatten().filter_map(Value::as_str).filter_map(parse_prefix).collect();
    let source = "api.github.com/meta: hooks, web, api, git, packages, pages (not the runners of actions)";
    operator("github", "GitHub", &[], &prefixes, source, checked)
}

/// The `intermediates.toml` that belongs to a bundle made by [`super::intermediates::compact`].
#[must_use]
pub fn bundle(packed: &[u8], count: usize, source: &str, checked: Date) -> String {
    let sha256: String = digest(&SHA256, packed).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "schema = 1\n\n[[bundle]]\nfile = \"intermediates.bin\"\ncount = {count}\nsha256 = \"{sha256}\"\n\
         source = {source:?}\nchecked = {checked}\n"
    )
}

fn operator(
    name: &str,
    title: &str,
    aliases: &[&str],
    prefixes: &[IpNet],
    source: &str,
    checked: Date,
) -> Result<String, ImportError> {
    if prefixes.is_empty() {
        return Err(ImportError::NoPrefixes("any key"));
    }
    let mut rows = String::new();
    let mut row = String::new();
    for prefix in IpNet::aggregate(&prefixes.to_vec()) {
        let item = format!(" \"{prefix}\",");
        if row.len() + item.len() > 115 {
            rows.push_str(&format!("   {row}\n"));
            row.clear();
        }
        row.push_str(&item);
    }
    rows.push_str(&format!("   {row}\n"));
    Ok(format!(
        "schema = 1\n\n[[operator]]\nname = {name:?}\ntitle = {title:?}\naliases = {aliases:?}\n\
         prefixes = [\n{rows}]\nsource = {source:?}\nchecked = {checked}\n"
    ))
}
