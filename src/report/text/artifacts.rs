//! What was checked against what, as a table.

use std::collections::BTreeMap;

use super::page::Page;
use crate::report::artifacts::{ArtifactRecord, CheckRecord, CheckState};

/// Modules that are shown side by side.
const SHOWN: usize = 5;

/// One line for each kind of artifact and each thing that it was held against: how many agree, differ, are open.
pub(super) fn table(page: &mut Page, artifacts: &[ArtifactRecord]) {
    let mut rows: BTreeMap<(usize, &str, &str), [usize; 3]> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    for artifact in artifacts {
        for check in &artifact.checks {
            if !order.contains(&artifact.kind) {
                order.push(artifact.kind);
            }
            let place = order.iter().position(|kind| *kind == artifact.kind).unwrap_or(0);
            let row = rows.entry((place, artifact.kind, check.against)).or_default();
            let [agrees, differs, open] = row;
            let count = match check.result {
                CheckState::Agrees => agrees,
                CheckState::Differs => differs,
                CheckState::NotAssessed => open,
            };
            *count = count.saturating_add(1);
        }
    }
    if rows.is_empty() {
        return;
    }
    page.heading("Checked");
    page.verbatim("  ", &format!("{:<20} {:<32} {:>7} {:>8} {:>5}", "what", "against", "agree", "differ", "open"));
    for ((_, kind, against), [agrees, differs, open]) in rows {
        let row =
            format!("{:<20} {:<32} {agrees:>7} {differs:>8} {open:>5}", shown_kind(kind), shown_yardstick(against));
        page.verbatim("  ", &row);
    }
}

/// The copies and the records of each module that they disagree about, side by side.
pub(super) fn copies(page: &mut Page, artifacts: &[ArtifactRecord]) {
    let mut groups: BTreeMap<(&str, &str), Vec<&ArtifactRecord>> = BTreeMap::new();
    for artifact in artifacts {
        if let Some(part) = part(artifact.kind) {
            groups.entry((artifact.name.as_str(), part)).or_default().push(artifact);
        }
    }
    groups.retain(|_, members| members.iter().any(|member| disagrees(member)));
    if groups.is_empty() {
        return;
    }
    page.heading("Side by side");
    for ((name, part), members) in groups.iter().take(SHOWN) {
        page.verbatim("  ", &format!("{name}, {part}"));
        let mut rows: Vec<(String, String)> = Vec::new();
        let mut add = |hash: Option<&String>, place: String| {
            let row = (hash.map_or("unreadable", String::as_str).to_owned(), place);
            if !rows.contains(&row) {
                rows.push(row);
            }
        };
        members.iter().for_each(|member| add(member.hash.as_ref(), place(member)));
        for check in members.iter().flat_map(|member| &member.checks).filter(|check| check.expected.is_some()) {
            match check.against {
                "go_sum" => add(check.expected.as_ref(), format!("go.sum: {}", check.with)),
                "sumdb_record" => add(check.expected.as_ref(), check.with.clone()),
                _ => {}
            }
        }
        let width = rows.iter().map(|(hash, _)| hash.len()).max().unwrap_or(0);
        for (hash, place) in rows {
            page.verbatim("    ", &format!("{hash:<width$}  {place}"));
        }
    }
    if let Some(rest) = groups.len().checked_sub(SHOWN).filter(|rest| *rest > 0) {
        page.verbatim("  ", &format!("… and {rest} more (--format json has all)"));
    }
}

/// What of a module has a hash of its own in go.sum.
fn part(kind: &str) -> Option<&'static str> {
    match kind {
        "module_zip" | "module_tree" | "ziphash" => Some("zip"),
        "go_mod" => Some("go.mod"),
        _ => None,
    }
}

fn disagrees(artifact: &ArtifactRecord) -> bool {
    let by_hash = |check: &CheckRecord| check.result == CheckState::Differs && check.expected.is_some();
    artifact.checks.iter().any(by_hash)
}

fn place(artifact: &ArtifactRecord) -> String {
    let kind = match artifact.kind {
        "module_tree" => "unpacked: ",
        "ziphash" => "stored at download: ",
        _ => "",
    };
    match (&artifact.path, &artifact.answer) {
        (_, Some(answer)) => format!("on the wire, frame {}: {}", answer.frame, answer.url),
        (Some(path), None) => format!("{kind}{path}"),
        (None, None) => kind.to_owned(),
    }
}

/// How much of what was downloaded is as it is on record; `None` where nothing could be read.
pub(super) fn downloads(artifacts: &[ArtifactRecord]) -> Option<String> {
    let of_wire = artifacts.iter().filter(|it| it.answer.is_some() && part(it.kind).is_some());
    let (mut all, mut good, mut bad) = (0_usize, 0_usize, 0_usize);
    for artifact in of_wire {
        let on_record = |check: &&CheckRecord| matches!(check.against, "go_sum" | "sumdb_record");
        let has = |state| artifact.checks.iter().filter(on_record).any(|check| check.result == state);
        all = all.saturating_add(1);
        if has(CheckState::Differs) {
            bad = bad.saturating_add(1);
        } else if has(CheckState::Agrees) {
            good = good.saturating_add(1);
        }
    }
    let open = all.saturating_sub(good).saturating_sub(bad);
    let parts = [(good, "as on record"), (bad, "not as on record"), (open, "without a record at hand")];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0).map(|(count, how)| format!("{count} {how}"));
    let what = if all == 1 { "zip or go.mod file" } else { "zips and go.mod files" };
    (all > 0).then(|| format!("{all} {what} of modules: {}", parts.collect::<Vec<_>>().join(", ")))
}

/// How much was looked at.
pub(super) fn summary(artifacts: &[ArtifactRecord]) -> String {
    let bytes: u64 = artifacts.iter().map(|artifact| artifact.bytes).fold(0, u64::saturating_add);
    let plural = if artifacts.len() == 1 { "" } else { "s" };
    format!("{} artifact{plural}, {bytes} bytes of content", artifacts.len())
}

fn shown_kind(kind: &str) -> &str {
    match kind {
        "module_zip" => "module zips",
        "go_mod" => "go.mod files",
        "ziphash" => "stored hashes",
        "module_tree" => "unpacked modules",
        "vendored_module" => "vendored modules",
        "go_sum" => "go.sum files",
        "sumdb_lookup" => "sumdb lookups",
        "sumdb_head" => "sumdb tree heads",
        "sumdb_tile" => "sumdb tiles",
        "sdk_archive" => "Go releases",
        "goroot" => "installed Gos",
        other => other,
    }
}

fn shown_yardstick(yardstick: &str) -> &str {
    match yardstick {
        "format" => "the rules of their format",
        "go_sum" => "go.sum",
        "ziphash" => "the hash stored at download",
        "sumdb_record" => "the checksum database's record",
        "signature" => "the checksum database's key",
        "inclusion" => "the signed tree (inclusion)",
        "consistency" => "the newest head (consistency)",
        "signed_tree" => "a signed tree",
        "copy" => "another copy",
        "release_list" => "the list of releases",
        "openpgp" => "the OpenPGP signature",
        other => other,
    }
}
