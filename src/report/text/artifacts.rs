//! What was checked against what, as a table.

use std::collections::BTreeMap;

use super::page::Page;
use crate::report::artifacts::{ArtifactRecord, CheckState};

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
