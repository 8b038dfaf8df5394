//! From lists as their publishers offer them to entries for `rules/`: what `goprobe rules update` writes.

use ipnet::IpNet;
use ring::digest::{SHA256, digest};
use serde_json::Value;

use super::date::Date;
use super::ranges::parse_prefix;
use super::releases::{Releases, is_line};

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
    /// It is none of the lists that can be imported.
    #[error(
        "{0}: wanted is a listing of go.dev/dl (?mode=json), goog.json, cloud.json, GitHub's meta, or PEM certificates"
    )]
    Unknown(&'static str),
    /// A listing of releases has no file with a SHA-256, or one that is malformed.
    #[error("no listing of releases: {0}")]
    Releases(String),
    /// A listing says otherwise than what is known.
    #[error("it contradicts what is known, and nothing of it was imported: {}", .0.join("; "))]
    Contradiction(Vec<String>),
    /// The bundle could not be compressed.
    #[error("compress the bundle")]
    Pack(#[source] std::io::Error),
}

/// Contradictions that are named.
const NAMED: usize = 5;
/// What an imported listing of releases is called: the shipped lists stay beside it.
const RELEASES: &str = "go.dev/dl, imported";

/// What a file is, by its form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Listing {
    /// The answer of `go.dev/dl/?mode=json`.
    Releases,
    /// `goog.json` or `cloud.json` of gstatic.com.
    Google,
    /// The answer of `api.github.com/meta`.
    GitHub,
    /// Certificates as PEM, such as the CCADB's intermediates.
    Certificates,
}

/// Tells what a file is.
///
/// # Errors
/// [`ImportError::Unknown`] with what it seems to be.
pub fn recognise(bytes: &[u8]) -> Result<Listing, ImportError> {
    let text = String::from_utf8_lossy(bytes);
    if text.contains("-----BEGIN CERTIFICATE-----") {
        return Ok(Listing::Certificates);
    }
    let Ok(value) = serde_json::from_str::<Value>(&text) else {
        let page = text.trim_start().starts_with('<');
        return Err(ImportError::Unknown(if page { "it is a web page" } else { "it is neither JSON nor PEM" }));
    };
    let has = |key: &str| value.get(key).is_some_and(Value::is_array);
    match &value {
        Value::Array(versions) if versions.iter().any(|version| version.get("files").is_some()) => {
            Ok(Listing::Releases)
        }
        _ if has("prefixes") => Ok(Listing::Google),
        _ if has("git") && has("web") => Ok(Listing::GitHub),
        _ => Err(ImportError::Unknown("it is other JSON")),
    }
}

/// The `[[list]]` of a `releases.toml`, out of the answer of `go.dev/dl/?mode=json`, and how many files are in it. Files of
/// old releases without SHA-256 are left out.
///
/// # Errors
/// When it is not such an answer, and when it has another hash for a file that is `known`: one of the two was changed.
pub fn releases(listing: &str, known: &Releases, from: &str, checked: Date) -> Result<(String, usize), ImportError> {
    let malformed = |why: &str| ImportError::Releases(why.to_owned());
    let listing: Value = serde_json::from_str(listing)?;
    let versions = listing.as_array().ok_or_else(|| malformed("no array of versions"))?;
    let files = versions.iter().filter_map(|version| version.get("files")?.as_array()).flatten();
    let mut found = std::collections::BTreeMap::new();
    let mut contradictions = Vec::new();
    for file in files {
        let field = |name: &str| file.get(name).and_then(Value::as_str);
        let name = field("filename").ok_or_else(|| malformed("a file without a name"))?;
        let hash = field("sha256").unwrap_or_default().to_ascii_lowercase();
        if hash.is_empty() {
            continue;
        }
        let line = format!("{hash} {name}");
        if !is_line(&line) || name.contains(['/', '\\', '"']) || name.chars().any(char::is_control) {
            return Err(ImportError::Releases(format!("{name:?} with SHA-256 {hash:?}")));
        }
        if let Some(listed) = known.find(name).filter(|listed| listed.sha256 != hash) {
            contradictions.push(format!("{name} has SHA-256 {hash}, and in {} it has {}", listed.list, listed.sha256));
        }
        if let Some(before) = found.insert(name.to_owned(), hash.clone()).filter(|before| *before != hash) {
            contradictions.push(format!("{name} has both SHA-256 {before} and {hash}"));
        }
    }
    if !contradictions.is_empty() {
        let more = contradictions.len().saturating_sub(NAMED);
        contradictions.truncate(NAMED);
        if more > 0 {
            contradictions.push(format!("and {more} more"));
        }
        return Err(ImportError::Contradiction(contradictions));
    }
    if found.is_empty() {
        return Err(malformed("no file with a SHA-256"));
    }
    let lines: String = found.iter().map(|(name, hash)| format!("{hash} {name}\n")).collect();
    let source = format!("https://go.dev/dl/?mode=json, from {from}");
    let toml = format!(
        "[[list]]\nname = {RELEASES:?}\nsource = {source:?}\nchecked = {checked}\nfiles = \"\"\"\n{lines}\"\"\"\n"
    );
    Ok((toml, found.len()))
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
