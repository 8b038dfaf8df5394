//! The artifacts of each module held against records, against stored hashes, and against each other.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use super::facts::{self, Facts};
use super::{Outcome, Records, VerifiedModule};
use crate::artifact::dirhash::{FileDifference, FileHashes, go_mod_h1_of};
use crate::artifact::gosum::{Match, Part, judge};
use crate::artifact::module::ModuleVersion;
use crate::artifact::module_zip::Breach;
use crate::observation::artifact::{Artifact, ArtifactKind, Check, CheckResult, Difference, Origin, Yardstick};

/// Names that a list of changed files has at most.
const LISTED: usize = 50;
/// Broken rules that are told.
const TOLD: usize = 10;

/// All artifacts of modules.
pub(super) fn all(facts: Vec<Facts>, records: &Records) -> Outcome {
    let mut groups: BTreeMap<Option<ModuleVersion>, Vec<Facts>> = BTreeMap::new();
    for facts in facts {
        groups.entry(facts.module.clone()).or_default().push(facts);
    }
    let mut outcome = Outcome::default();
    for (module, members) in groups {
        match module {
            Some(module) => group(&module, &members, records, &mut outcome),
            None => outcome.artifacts.extend(members.iter().map(nameless)),
        }
    }
    outcome
}

/// What does not say of which module it is.
fn nameless(facts: &Facts) -> Artifact {
    let mut checks = own(facts, false);
    checks.push(Check::open(
        Yardstick::GoSum,
        "",
        "nothing says of which module and version it is (--module M@V does)",
    ));
    artifact(facts, facts.place.file_name(), checks)
}

fn group(module: &ModuleVersion, members: &[Facts], records: &Records, outcome: &mut Outcome) {
    let of = |kind| members.iter().filter(move |facts| facts.kind == kind);
    let copies: Vec<&Facts> =
        members.iter().filter(|it| matches!(it.kind, ArtifactKind::ModuleZip | ArtifactKind::ModuleTree)).collect();
    let mut judged: Vec<Judged<'_>> = copies.iter().map(|facts| Judged::new(module, facts, records)).collect();
    // The stored hash of the cache that each copy lies in; a tree's stands beside the zip it was unpacked from.
    let stored: Vec<&Facts> = of(ArtifactKind::ZipHash).collect();
    for copy in &mut judged {
        copy.hold_against_stored(&stored);
    }
    let good = judged
        .iter()
        .filter(|copy| copy.is_good())
        .max_by_key(|copy| (copy.trust(), copy.facts.kind == ArtifactKind::ModuleZip));
    let good: Option<(&Facts, u8)> = good.map(|copy| (copy.facts, copy.trust()));
    for copy in &mut judged {
        copy.hold_against_copies(&copies, good.map(|(facts, _)| facts));
        copy.list_files(good.map(|(facts, _)| facts));
    }
    let verified = judged.iter().find(|copy| copy.is_verified());
    if let Some((copy, h1)) = verified.and_then(|copy| Some((copy, copy.facts.h1.clone()?))) {
        outcome.modules.push(VerifiedModule { module: module.clone(), h1, by: copy.on_record() });
    }
    outcome.artifacts.extend(judged.into_iter().map(|copy| artifact(copy.facts, module.to_string(), copy.checks)));
    for facts in &stored {
        let mut checks = own(facts, false);
        checks.extend(on_record(module, facts, Part::Zip, records));
        // Copies were held against it; where one differs, that is told of the copy.
        let mut hashed = copies.iter().filter(|copy| copy.h1.is_some() && belong_together(copy, facts));
        if let Some(copy) = hashed.clone().find(|copy| copy.h1 == facts.h1) {
            checks.push(Check::agrees(Yardstick::Copy, copy.place.to_string()));
        } else if checks.is_empty() && hashed.next().is_none() {
            checks.push(Check::open(Yardstick::GoSum, "", "nothing that was given has a hash of it"));
        }
        outcome.artifacts.push(artifact(facts, module.to_string(), checks));
    }
    for facts in of(ArtifactKind::GoMod) {
        let mut checks = own(facts, false);
        checks.extend(on_record(module, facts, Part::GoMod, records));
        let zip = copies.iter().find(|copy| copy.go_mod.is_some() && copy.unread.is_none());
        if let (Some(zip), Some(own)) = (zip, facts.go_mod) {
            let theirs = zip.go_mod.unwrap_or_default();
            let with = format!("go.mod in {}", zip.place);
            checks.push(Check::equal(Yardstick::Copy, with, &go_mod_h1_of(theirs), &go_mod_h1_of(own)));
        }
        if checks.is_empty() {
            checks.push(Check::open(Yardstick::GoSum, "", "nothing that was given has a hash of it"));
        }
        outcome.artifacts.push(artifact(facts, module.to_string(), checks));
    }
}

/// A zip or tree under judgement.
struct Judged<'a> {
    facts: &'a Facts,
    checks: Vec<Check>,
}

impl<'a> Judged<'a> {
    fn new(module: &ModuleVersion, facts: &'a Facts, records: &Records) -> Self {
        let recorded = on_record(module, facts, Part::Zip, records);
        // What is on record as it is was made like that, and go takes it.
        let known = recorded.iter().any(|check| check.result == CheckResult::Agrees);
        let mut checks = own(facts, known);
        checks.extend(recorded);
        Self { facts, checks }
    }

    fn hold_against_stored(&mut self, stored: &[&Facts]) {
        let Some(h1) = &self.facts.h1 else { return };
        for hash in stored.iter().filter(|hash| belong_together(self.facts, hash)) {
            let Some(expected) = &hash.h1 else { continue };
            self.checks.push(Check::equal(Yardstick::ZipHash, hash.place.to_string(), expected, h1));
        }
    }

    /// Against another copy: the good one, or where none is known to be good, the first.
    fn hold_against_copies(&mut self, copies: &[&Facts], good: Option<&Facts>) {
        let Some(h1) = &self.facts.h1 else {
            if !self.has_hash_check() {
                self.checks.push(Check::open(Yardstick::GoSum, "", "its hash could not be made"));
            }
            return;
        };
        let other = good.or_else(|| copies.iter().copied().find(|copy| copy.h1.is_some()));
        let is_other = |facts: &&Facts| !std::ptr::eq(*facts, self.facts);
        let other = other.filter(is_other);
        let other = other.or_else(|| copies.iter().copied().find(|it| is_other(it) && it.h1.is_some()));
        if let Some((other, expected)) = other.and_then(|other| Some((other, other.h1.as_ref()?))) {
            // A good copy is not at fault for what others are.
            let at_fault = good.is_some_and(|good| std::ptr::eq(good, self.facts)) && expected != h1;
            if !at_fault {
                self.checks.push(Check::equal(Yardstick::Copy, other.place.to_string(), expected, h1));
            }
        }
        if !self.has_hash_check() {
            self.checks.push(Check::open(Yardstick::GoSum, "", "nothing that was given has a hash of it"));
        }
    }

    fn has_hash_check(&self) -> bool {
        self.checks.iter().any(|check| check.yardstick != Yardstick::Format)
    }

    fn differs(&self) -> bool {
        self.checks.iter().any(|check| match &check.result {
            CheckResult::Differs(difference) => difference.fault != "odd_zip",
            _ => false,
        })
    }

    /// 2 with a record of a checksum database or a go.sum, 1 with a stored hash, 0 without.
    fn trust(&self) -> u8 {
        let agrees = |yardstick| {
            self.checks.iter().any(|check| check.yardstick == yardstick && check.result == CheckResult::Agrees)
        };
        match (agrees(Yardstick::GoSum) || agrees(Yardstick::SumdbRecord), agrees(Yardstick::ZipHash)) {
            (true, _) => 2,
            (false, true) => 1,
            (false, false) => 0,
        }
    }

    fn is_good(&self) -> bool {
        self.facts.h1.is_some() && !self.differs() && self.trust() > 0
    }

    fn is_verified(&self) -> bool {
        self.facts.kind == ArtifactKind::ModuleZip && !self.differs() && !self.on_record().is_empty()
    }

    /// The records that have its hash: a database's only where they are proven.
    fn on_record(&self) -> Vec<(Yardstick, String)> {
        let agrees = self.checks.iter().filter(|check| check.result == CheckResult::Agrees);
        let records = agrees.filter(|check| matches!(check.yardstick, Yardstick::GoSum | Yardstick::SumdbRecord));
        records.map(|check| (check.yardstick, check.with.clone())).collect()
    }

    /// Where its hash differs, the files that do, if a good copy is at hand.
    fn list_files(&mut self, good: Option<&Facts>) {
        let differs = self.checks.iter().any(|check| {
            matches!(&check.result, CheckResult::Differs(difference) if difference.found == self.facts.h1 && difference.found.is_some())
        });
        let Some(good) = good.filter(|good| differs && good.h1 != self.facts.h1) else {
            return;
        };
        let (Some(ours), Some(theirs)) = (facts::files(self.facts), facts::files(good)) else { return };
        let difference = ours.difference(&theirs);
        for check in &mut self.checks {
            if let CheckResult::Differs(known) = &mut check.result
                && known.found == self.facts.h1
            {
                list(known, &difference, &good.place);
            }
        }
    }
}

/// Puts lists of files beside the hashes.
pub(super) fn list(into: &mut Difference, files: &FileDifference, good: &impl Display) {
    let first = |names: &[String]| names.iter().take(LISTED).cloned().collect();
    into.changed = first(&files.changed);
    into.added = first(&files.added);
    into.missing = first(&files.missing);
    into.note = format!(
        "{} changed, {} added, {} missing, compared with {good}",
        files.changed.len(),
        files.added.len(),
        files.missing.len(),
    );
}

/// What an artifact's own form says; `known`: its hash is on record.
fn own(facts: &Facts, known: bool) -> Vec<Check> {
    if let Some(why) = &facts.unread {
        return vec![Check::open(Yardstick::Format, "", format!("cannot be read: {why}"))];
    }
    let told = |breaches: &[Breach]| {
        let mut told: Vec<String> = breaches.iter().take(TOLD).map(ToString::to_string).collect();
        if let Some(rest) = breaches.len().checked_sub(TOLD).filter(|rest| *rest > 0) {
            told.push(format!("and {rest} more"));
        }
        told.join("; ")
    };
    let mut checks = Vec::new();
    if facts.kind == ArtifactKind::ModuleZip {
        let wrong =
            |fault, note| Check::differs(Yardstick::Format, RULES, Difference { fault, note, ..Difference::default() });
        if !facts.breaches.is_empty() {
            checks.push(wrong("invalid_zip", told(&facts.breaches)));
        } else if !facts.irregular.is_empty() {
            checks.push(wrong(if known { "odd_zip" } else { "invalid_zip" }, told(&facts.irregular)));
        } else if !facts.oddities.is_empty() {
            checks.push(wrong("odd_zip", told(&facts.oddities)));
        } else {
            checks.push(Check::agrees(Yardstick::Format, RULES));
        }
    }
    checks
}

const RULES: &str = "the rules of golang.org/x/mod/zip";

/// Against each go.sum and each record of a database.
fn on_record(module: &ModuleVersion, facts: &Facts, part: Part, records: &Records) -> Vec<Check> {
    let Some(h1) = &facts.h1 else { return Vec::new() };
    let mut checks = Vec::new();
    for (path, sum) in &records.go_sums {
        let with = |line: usize| format!("{path}:{line}");
        match judge(sum.lines(module, part), h1) {
            Match::NoLine => {}
            Match::Agrees(line) => checks.push(Check::agrees(Yardstick::GoSum, with(line.number))),
            Match::Differs(line) => checks.push(Check::equal(Yardstick::GoSum, with(line.number), &line.hash, h1)),
            Match::UnknownKind(line) => {
                checks.push(Check::open(Yardstick::GoSum, with(line.number), format!("unknown hash {}", line.hash)));
            }
        }
    }
    for record in records.of(module).filter(|record| !record.refuted) {
        let expected = if part == Part::Zip { &record.zip } else { &record.go_mod };
        let Some(expected) = expected else { continue };
        match (record.proven, expected == h1) {
            (true, _) => checks.push(Check::equal(Yardstick::SumdbRecord, &record.named, expected, h1)),
            (false, true) => {
                let why = "the hash is the same, but the record is not proven to be the log's";
                checks.push(Check::open(Yardstick::SumdbRecord, &record.named, why));
            }
            (false, false) => {
                let difference = Difference {
                    fault: "unproven_record",
                    expected: Some(expected.clone()),
                    found: Some(h1.clone()),
                    note: "the record itself is not proven to be the log's".to_owned(),
                    ..Difference::default()
                };
                checks.push(Check::differs(Yardstick::SumdbRecord, &record.named, difference));
            }
        }
    }
    checks
}

/// Whether a stored hash is that of a copy: beside the zip, or in the cache that holds the tree.
fn belong_together(copy: &Facts, stored: &Facts) -> bool {
    let (Some(copy), Some(stored)) = (copy.place.path(), stored.place.path()) else { return false };
    if copy.extension().is_some_and(|extension| extension == "zip") {
        return copy.with_extension("ziphash") == stored;
    }
    let cache = stored.ancestors().find(|folder| folder.ends_with("cache/download"));
    let root = cache.and_then(Path::parent).and_then(Path::parent);
    root.is_some_and(|root| copy.starts_with(root))
}

fn artifact(facts: &Facts, name: String, checks: Vec<Check>) -> Artifact {
    Artifact {
        kind: facts.kind,
        name,
        origin: facts.place.origin(),
        hash: facts.h1.clone(),
        bytes: facts.bytes,
        checks,
    }
}

/// The files of the copy of a module that is trusted most among these, for comparison with a vendored or installed one.
pub(super) fn good_files<'a>(
    module: &ModuleVersion,
    among: impl IntoIterator<Item = &'a Artifact>,
) -> Option<(FileHashes, String)> {
    let name = module.to_string();
    let copies = among.into_iter().filter(|it| {
        it.name == name
            && matches!(it.kind, ArtifactKind::ModuleZip | ArtifactKind::ModuleTree)
            && it.hash.is_some()
            && matches!(it.origin, Origin::Path(_))
    });
    // One that is itself wrong tells nothing of others.
    let wrong = |check: &Check| matches!(&check.result, CheckResult::Differs(it) if it.fault != "odd_zip");
    let sound = copies.filter(|artifact| !artifact.checks.iter().any(wrong));
    let agreeing =
        |artifact: &&Artifact| artifact.checks.iter().filter(|check| check.result == CheckResult::Agrees).count();
    let copy = sound.max_by_key(agreeing)?;
    let Origin::Path(path) = &copy.origin else { return None };
    Some((facts::files_at(copy.kind, Path::new(path), module)?, path.clone()))
}
