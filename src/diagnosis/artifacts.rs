//! What artifacts come to when nothing is wrong with them.

use std::collections::BTreeSet;

use super::{Diagnosis, Outcome};
use crate::observation::artifact::{Artifact, Check, CheckResult, Origin, Yardstick};

/// Gives a diagnosis without a cause the verdict on the artifacts that were verified: `ok` where at least one of them could be
/// held against something, `inconclusive` where none could.
pub fn judge_artifacts(diagnosis: &mut Diagnosis, artifacts: &[Artifact]) {
    if diagnosis.verdict.cause.is_none() {
        let verdict = &mut diagnosis.verdict;
        (verdict.outcome, verdict.summary) = judged(artifacts);
    }
}

/// How far artifacts were held against something, and by what.
fn judged(artifacts: &[Artifact]) -> (Outcome, String) {
    let with = |is: &dyn Fn(&Check) -> bool| artifacts.iter().filter(|it| it.checks.iter().any(is)).count();
    let all = artifacts.len();
    // A well-formed file may hold anything.
    let checked = with(&|it| it.yardstick != Yardstick::Format && !matches!(it.result, CheckResult::Open(_)));
    let differing = with(&|it| matches!(it.result, CheckResult::Differs(_)));
    if all == 0 {
        return (Outcome::Inconclusive, "Nothing that was given is an artifact that could be verified.".to_owned());
    }
    if differing > 0 {
        let differ = counted(differing, all, "differs", "differ");
        let why = "only in what counts little, or was left out with --allow or --min-confidence";
        let outcome = if checked > 0 { Outcome::Ok } else { Outcome::Inconclusive };
        return (outcome, format!("{differ} from what was given or must be, but {why}."));
    }
    if checked == 0 {
        let none = if all == 1 { "The artifact".to_owned() } else { format!("None of the {all} artifacts") };
        let give = "could be held against a record: give go.sum, a module cache or a checksum database, too.";
        let give = if all == 1 { give.replacen("could", "could not", 1) } else { give.to_owned() };
        return (Outcome::Inconclusive, format!("{none} {give}"));
    }
    let recorded = recorded(artifacts);
    let (beside, open) = (checked.saturating_sub(recorded), all.saturating_sub(checked));
    let mut parts = Vec::new();
    if recorded > 0 {
        parts.push(format!("{} on record", counted(recorded, all, "is as it is", "are as they are")));
    }
    if beside > 0 {
        let what = if recorded > 0 { beside.to_string() } else { counted(beside, all, "", "").trim_end().to_owned() };
        let (agree, them) = if beside == 1 { ("agrees", "it") } else { ("agree", "them") };
        parts.push(format!("{what} {agree} with what lies beside, but no record that was given has {them}"));
    }
    if open > 0 {
        parts.push(format!("{open} could not be held against anything"));
    }
    (Outcome::Ok, format!("{}.", parts.join("; ")))
}

fn counted(count: usize, all: usize, one: &str, several: &str) -> String {
    match (count, all) {
        (_, 1) => format!("The artifact {one}"),
        (count, all) if count == all => format!("All {all} artifacts {several}"),
        (1, all) => format!("1 of {all} artifacts {one}"),
        (count, all) => format!("{count} of {all} artifacts {several}"),
    }
}

/// How many are on a record, or agree with something that is. What lies side by side may have been changed together.
fn recorded(artifacts: &[Artifact]) -> usize {
    let beside = |check: &Check| matches!(check.yardstick, Yardstick::ZipHash | Yardstick::Copy);
    let agrees = |check: &Check| check.result == CheckResult::Agrees;
    let on_record = |artifact: &&Artifact| {
        artifact.checks.iter().any(|it| !beside(it) && it.yardstick != Yardstick::Format && agrees(it))
    };
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for artifact in artifacts.iter().filter(on_record) {
        names.extend(artifact.module());
        if let Origin::Path(path) = &artifact.origin {
            paths.insert(path.as_str());
        }
    }
    let through = |artifact: &Artifact| {
        let known = artifact.module().is_some_and(|module| names.contains(module));
        artifact.checks.iter().any(|it| beside(it) && agrees(it) && (known || paths.contains(it.with.as_str())))
    };
    artifacts.iter().filter(|artifact| on_record(artifact) || through(artifact)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::artifact::{ArtifactKind, Difference};

    fn artifact(name: &str, checks: Vec<Check>) -> Artifact {
        let origin = Origin::Path(format!("/{name}"));
        Artifact { kind: ArtifactKind::ModuleZip, name: name.to_owned(), origin, hash: None, bytes: 0, checks }
    }

    fn on(yardstick: Yardstick) -> Check {
        Check::agrees(yardstick, "x")
    }

    #[test]
    fn a_record_is_told_from_what_lies_beside() {
        let (form, stored) = (on(Yardstick::Format), on(Yardstick::ZipHash));
        let alone = artifact("a.b/c@v1.0.0", vec![form.clone(), stored.clone()]);
        let summary = |list: &[Artifact]| judged(list).1;
        assert!(
            summary(std::slice::from_ref(&alone))
                .starts_with("The artifact agrees with what lies beside, but no record")
        );
        let sum = artifact("a.b/c@v1.0.0", vec![on(Yardstick::GoSum)]);
        assert_eq!(summary(&[alone.clone(), sum.clone()]), "All 2 artifacts are as they are on record.");
        let other = artifact("a.b/d@v1.0.0", vec![stored]);
        let open = artifact("a.b/e@v1.0.0", vec![form.clone(), Check::open(Yardstick::GoSum, "", "none")]);
        let all = summary(&[alone, sum, other, open.clone()]);
        assert!(all.starts_with("2 of 4 artifacts are as they are on record; 1 agrees with"), "{all}");
        assert!(all.ends_with("; 1 could not be held against anything."), "{all}");
        let (outcome, why) = judged(&[open]);
        assert_eq!(outcome, Outcome::Inconclusive);
        assert!(why.starts_with("The artifact could not be held against a record"), "{why}");
    }

    #[test]
    fn what_differs_is_never_said_to_be_as_on_record() {
        let wrong = Check::differs(Yardstick::GoSum, "go.sum:1", Difference::default());
        let (outcome, why) = judged(&[artifact("a.b/c@v1.0.0", vec![wrong])]);
        assert_eq!(outcome, Outcome::Ok);
        assert!(why.starts_with("The artifact differs from what was given or must be, but only"), "{why}");
    }
}
