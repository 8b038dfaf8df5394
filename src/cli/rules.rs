//! `goprobe rules`, and the seam to the reference room.

mod update;

use std::path::Path;

use serde_json::json;

use super::args::{PlainFormat, Rules, RulesCommand};
use super::exit::Exit;
use super::output;
use crate::reference::Reference;

/// The reference data as far as it is shown.
struct Listing {
    version: String,
    sha256: String,
    entries: Vec<Entry>,
}

/// An entry of it.
struct Entry {
    file: String,
    kind: String,
    name: String,
    source: String,
    checked: String,
}

pub(super) fn run(args: &Rules) -> anyhow::Result<Exit> {
    let data = match &args.command {
        RulesCommand::Check { folder, format } => checked(&listing(folder.as_deref())?, *format),
        RulesCommand::List { rules, format } => listed(&listing(rules.as_deref())?, *format),
        RulesCommand::Update { files, to, checked } => update::run(files, to.as_deref(), checked.as_deref())?,
    };
    output::deliver(&data, None)?;
    Ok(Exit::Clear)
}

/// Loads and validates. All mistakes come in one error.
fn listing(folder: Option<&Path>) -> anyhow::Result<Listing> {
    let reference = match folder {
        Some(folder) => Reference::with_overlay(folder),
        None => Reference::builtin(),
    }?;
    let entries = reference
        .entries()
        .iter()
        .map(|entry| Entry {
            file: entry.file.clone(),
            kind: entry.kind.clone(),
            name: entry.name.clone(),
            source: entry.provenance.source.clone(),
            checked: entry.provenance.checked.to_string(),
        })
        .collect();
    Ok(Listing { version: reference.version(), sha256: reference.sha256().to_owned(), entries })
}

fn checked(listing: &Listing, format: PlainFormat) -> String {
    let Listing { version, sha256, entries } = listing;
    match format {
        PlainFormat::Json => format!("{:#}\n", json!({"version": version, "sha256": sha256, "entries": entries.len()})),
        PlainFormat::Text => format!("{} entries are valid; version {version}, SHA-256 {sha256}\n", entries.len()),
    }
}

fn listed(listing: &Listing, format: PlainFormat) -> String {
    match format {
        PlainFormat::Json => {
            let entries: Vec<_> = listing
                .entries
                .iter()
                .map(|it| json!({"file": it.file, "kind": it.kind, "name": it.name, "source": it.source, "checked": it.checked}))
                .collect();
            let document = json!({"version": listing.version, "sha256": listing.sha256, "entries": entries});
            format!("{document:#}\n")
        }
        PlainFormat::Text => {
            let row =
                |it: &Entry| format!("{:<18} {:<14} {:<40} {}  {}\n", it.file, it.kind, it.name, it.checked, it.source);
            listing.entries.iter().map(row).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Listing {
        let entry = Entry {
            file: "hosts.toml".to_owned(),
            kind: "host".to_owned(),
            name: "proxy.golang.org".to_owned(),
            source: "Go source".to_owned(),
            checked: "2026-11-22".to_owned(),
        };
        Listing { version: "2026-11-22".to_owned(), sha256: "00".to_owned(), entries: vec![entry] }
    }

    #[test]
    fn entries_show_their_source_and_age() {
        let text = listed(&sample(), PlainFormat::Text);
        assert!(
            text.contains("proxy.golang.org") && text.contains("2026-11-22") && text.contains("Go source"),
            "{text}"
        );
        let document: serde_json::Value = serde_json::from_str(&listed(&sample(), PlainFormat::Json)).unwrap();
        assert_eq!(document["entries"][0]["checked"], "2026-11-22");
    }

    #[test]
    fn a_check_tells_how_much_was_checked() {
        assert_eq!(checked(&sample(), PlainFormat::Text), "1 entries are valid; version 2026-11-22, SHA-256 00\n");
    }
}
