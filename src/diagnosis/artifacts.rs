//! What artifacts come to when nothing is wrong with them.

use super::{Diagnosis, Outcome};
use crate::observation::artifact::{Artifact, CheckResult, Yardstick};

/// Gives a diagnosis without a cause the verdict on the artifacts that were verified: `ok` where at least one of them could be
/// held against a record, `inconclusive` where none could.
pub fn judge_artifacts(diagnosis: &mut Diagnosis, artifacts: &[Artifact]) {
    if diagnosis.verdict.cause.is_some() {
        return;
    }
    // A well-formed file may hold anything.
    let held = |artifact: &&Artifact| {
        artifact
            .checks
            .iter()
            .any(|check| check.yardstick != Yardstick::Format && !matches!(check.result, CheckResult::Open(_)))
    };
    let checked = artifacts.iter().filter(held).count();
    let verdict = &mut diagnosis.verdict;
    (verdict.outcome, verdict.summary) = match (checked, artifacts.len()) {
        (0, 0) => (Outcome::Inconclusive, "Nothing that was given is an artifact that could be verified.".to_owned()),
        (0, all) => {
            let what = if all == 1 { "The artifact".to_owned() } else { format!("None of the {all} artifacts") };
            let could = if all == 1 { "could not be" } else { "could be" };
            (
                Outcome::Inconclusive,
                format!(
                    "{what} {could} held against a record: give go.sum, a module cache or a checksum database, too."
                ),
            )
        }
        (checked, all) if checked == all && all == 1 => (Outcome::Ok, "The artifact is as it is on record.".to_owned()),
        (checked, all) if checked == all => (Outcome::Ok, format!("All {all} artifacts are as they are on record.")),
        (checked, all) => {
            let rest = all.saturating_sub(checked);
            (
                Outcome::Ok,
                format!(
                    "{checked} of {all} artifacts are as they are on record; {rest} could not be held against any."
                ),
            )
        }
    };
}
