//! `goprobe rules update`: lists from files become entries of a rules folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, anyhow, bail};

use crate::reference::date::Date;
use crate::reference::import::{self, Listing};
use crate::reference::{Reference, intermediates};
use crate::types::Timestamp;

/// The first line of what is written: only such files are written again.
const MARK: &str = "# Made by `goprobe rules update`.";
/// The bundle beside `intermediates.toml`.
const BUNDLE: &str = "intermediates.bin";

/// What is to be written.
#[derive(Default)]
struct Made {
    /// By file: its entries, each with its heading.
    entries: BTreeMap<&'static str, Vec<String>>,
    bundle: Option<Vec<u8>>,
    /// What was read, for people.
    told: Vec<String>,
}

/// Imports the files; what is to be printed.
pub(super) fn run(files: &[PathBuf], to: Option<&Path>, checked: Option<&str>) -> anyhow::Result<String> {
    let checked = checked.map(|text| Date::parse(text).ok_or_else(|| anyhow!("`{text}` is no date YYYY-MM-DD")));
    let checked = checked.transpose()?;
    let reference = match to.filter(|to| to.is_dir()) {
        Some(folder) => Reference::with_overlay(folder),
        None => Reference::builtin(),
    }?;
    let made = read(files, &reference, checked)?;
    let Some(folder) = to else {
        if made.bundle.is_some() || made.entries.len() > 1 {
            bail!("these lists become several files: say where to put them with --to DIR");
        }
        let entries = made.entries.values().flatten();
        return Ok(entries.fold(format!("{MARK}\n\nschema = 1\n"), |text, entry| text + "\n" + entry));
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // All of it is made before any of it is written.
    let mut outputs: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for (name, entries) in made.entries {
        let path = folder.join(name);
        outputs.push((path.clone(), merged(&path, &entries)?.into_bytes()));
    }
    outputs.extend(made.bundle.map(|bundle| (folder.join(BUNDLE), bundle)));
    for (path, bytes) in &outputs {
        let draft = path.with_extension("part");
        let written = fs::write(&draft, bytes).and_then(|()| fs::rename(&draft, path));
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    let reference = Reference::with_overlay(folder)?;
    let told: String = made.told.iter().map(|line| format!("{line}\n")).collect();
    Ok(format!("{told}version {}; use it with --rules {}\n", reference.version(), folder.display()))
}

/// Reads all files; those of one kind that belong together become one entry.
fn read(files: &[PathBuf], reference: &Reference, checked: Option<Date>) -> anyhow::Result<Made> {
    let mut kinds: BTreeMap<Listing, Vec<(&Path, Vec<u8>)>> = BTreeMap::new();
    for path in files {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let kind = import::recognise(&bytes).with_context(|| format!("cannot import {}", path.display()))?;
        kinds.entry(kind).or_default().push((path, bytes));
    }
    let mut made = Made::default();
    for (kind, lists) in kinds {
        let names = lists.iter().map(|(path, _)| path.display().to_string()).collect::<Vec<_>>().join(", ");
        let context = || format!("cannot import {names}");
        if lists.len() > 1 && kind != Listing::Google {
            bail!("{names} are lists of one kind: give the newest");
        }
        let Some((path, bytes)) = lists.first() else { continue };
        let day = match checked {
            Some(day) => day,
            None => day_of(path)?,
        };
        let texts: Vec<String> = lists.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect();
        let text = texts.first().map(String::as_str).unwrap_or_default();
        let (file, entry, told) = match kind {
            Listing::Releases => {
                let from = path.file_name().unwrap_or_default().to_string_lossy();
                let (entry, count) = import::releases(text, reference.releases(), &from, day).with_context(context)?;
                (
                    "releases.toml",
                    entry,
                    format!("{count} {} of releases of Go", if count == 1 { "file" } else { "files" }),
                )
            }
            Listing::Google => {
                let lists: Vec<&str> = texts.iter().map(String::as_str).collect();
                ("ranges.toml", import::google(&lists, day).with_context(context)?, "ranges of Google".to_owned())
            }
            Listing::GitHub => {
                ("ranges.toml", import::github(text, day).with_context(context)?, "ranges of GitHub".to_owned())
            }
            Listing::Certificates => {
                let bundle = intermediates::compact(bytes).with_context(context)?;
                let count = intermediates::Intermediates::decode(&bundle).map_or(0, |read| read.len());
                let entry = import::bundle(&bundle, count, &format!("PEM, from {names}"), day);
                made.bundle = Some(bundle);
                ("intermediates.toml", entry, format!("{count} intermediate certificates"))
            }
        };
        made.told.push(format!("{file}: {told}, from {names} of {day}"));
        let entry = entry.strip_prefix("schema = 1\n\n").unwrap_or(&entry).to_owned();
        made.entries.entry(file).or_default().push(entry);
    }
    Ok(made)
}

/// The day on which a file was last written.
fn day_of(path: &Path) -> anyhow::Result<Date> {
    let context = || format!("cannot tell when {} was written: give --checked", path.display());
    let written = fs::metadata(path).and_then(|about| about.modified()).with_context(context)?;
    let seconds = written.duration_since(UNIX_EPOCH).with_context(context)?.as_secs();
    let text = Timestamp::from_seconds(i64::try_from(seconds)?).to_string();
    text.get(..10).and_then(Date::parse).with_context(context)
}

/// A file with its new entries: they stand in the place of earlier ones of the same name, the others stay.
fn merged(path: &Path, entries: &[String]) -> anyhow::Result<String> {
    let before = match fs::read_to_string(path) {
        Ok(text) if text.starts_with(MARK) => text,
        Ok(_) => bail!("{} was written by somebody else and is left alone: give another folder", path.display()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let name = |entry: &str| entry.lines().nth(1).map(str::to_owned);
    let mut kept: Vec<String> = before.split("\n[[").skip(1).map(|entry| format!("[[{}\n", entry.trim_end())).collect();
    kept.retain(|entry| !entries.iter().any(|new| name(new) == name(entry)));
    let all = kept.iter().chain(entries);
    Ok(all.fold(format!("{MARK}\n\nschema = 1\n"), |text, entry| text + "\n" + entry))
}
