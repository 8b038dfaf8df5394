//! Artifacts that were held against records: what each difference means.

mod disk;
mod wire;

pub(super) use self::wire::{confirmed, held_against, same};

use std::collections::BTreeMap;

use super::fetched_elsewhere;
use crate::detect::subject;
use crate::finding::{Assessment, Code, Confidence, Evidence, Fault, Finding, NotAssessed, Severity, Subject};
use crate::observation::artifact::{Artifact, ArtifactKind, Check, CheckResult, Difference, Origin, Yardstick};
use crate::observation::{Case, Veil};
use crate::reference::Reference;

/// Names of files that a summary gives.
const NAMED: usize = 3;

/// What the artifacts of a case come to.
#[derive(Debug, Default)]
pub(super) struct Verified {
    /// What could not be told, and what is wrong with files where there is no recording.
    pub(super) assessment: Assessment,
    /// What is wrong with what a recording shows, or what lies beside it. go may have said so itself.
    pub(super) seen: Vec<Finding>,
}

pub(super) fn assess(case: &Case, reference: &Reference) -> Verified {
    let mut verified = Verified::default();
    let recorded = case.recording.packets > 0 || case.go.log.is_some() || case.go.exit.is_some();
    for artifact in &case.artifacts {
        let mut wrong: BTreeMap<(Code, bool), Vec<(&Check, &Difference)>> = BTreeMap::new();
        for check in &artifact.checks {
            match &check.result {
                CheckResult::Agrees => {}
                CheckResult::Differs(difference) if recorded && wire::says_nothing(case, difference) => {}
                CheckResult::Differs(_) if wire::is_told_of_the_file(artifact, check) => {}
                CheckResult::Differs(difference)
                    if wire::may_have_another_key(case, reference, artifact, difference) =>
                {
                    let why = "signed by a key that is not known here; go's settings (--go-env) tell which it goes by";
                    verified.assessment.not_assessed.push(open(artifact, check, why));
                }
                CheckResult::Differs(difference) => {
                    let mut code = Some(code(artifact.kind, check.yardstick));
                    if recorded && matches!(artifact.origin, Origin::Path(_)) {
                        code = code.and_then(|code| disk::code(case, artifact, difference, code));
                    }
                    let idle = difference.fault == "odd_zip";
                    if let Some(code) = code {
                        wrong.entry((code, idle)).or_default().push((check, difference));
                    }
                }
                CheckResult::Open(why) if !recorded => {
                    verified.assessment.not_assessed.push(open(artifact, check, why));
                }
                CheckResult::Open(_) => {}
            }
        }
        if recorded && wrong.is_empty() {
            verified.assessment.not_assessed.extend(wire::unjudged(artifact));
        }
        for ((code, _), checks) in wrong {
            let found = finding(case, artifact, code, &checks);
            if recorded { verified.seen.extend(found) } else { verified.assessment.found.extend(found) }
        }
    }
    verified.seen = wire::joined(std::mem::take(&mut verified.seen));
    verified
}

fn open(artifact: &Artifact, check: &Check, why: &str) -> NotAssessed {
    NotAssessed {
        code: code(artifact.kind, check.yardstick),
        subject: Subject { module: artifact.module().map(str::to_owned), ..Subject::default() },
        veil: Veil::NotGiven,
        hint: why.to_owned(),
    }
}

/// What a difference is called.
const fn code(kind: ArtifactKind, yardstick: Yardstick) -> Code {
    match (kind, yardstick) {
        (ArtifactKind::SumdbLookup | ArtifactKind::SumdbHead | ArtifactKind::SumdbTile, _) => {
            Code::ArtifactSumdbUntrusted
        }
        (ArtifactKind::SdkArchive, Yardstick::OpenPgp) => Code::ArtifactSdkSignature,
        (ArtifactKind::SdkArchive | ArtifactKind::Goroot, _) => Code::ArtifactSdkMismatch,
        (ArtifactKind::ModuleTree, _) | (ArtifactKind::ModuleZip, Yardstick::ZipHash) => Code::ArtifactCacheModified,
        (ArtifactKind::ModuleZip, Yardstick::Format) => Code::ArtifactInvalidZip,
        _ => Code::ArtifactChecksumMismatch,
    }
}

fn finding(case: &Case, artifact: &Artifact, code: Code, checks: &[(&Check, &Difference)]) -> Option<Finding> {
    let (first, difference) = checks.first()?;
    let of_wire = matches!(artifact.origin, Origin::Exchange(_));
    let fault = match (code, difference.fault) {
        (Code::ArtifactCacheModified, _) | (_, "vendored_files" | "odd_zip" | "stale_head" | "changed_goroot") => {
            Fault::Client
        }
        (Code::ArtifactInvalidZip, _) if of_wire => Fault::Upstream,
        _ if of_wire => Fault::Interference,
        _ => Fault::Altered,
    };
    // A database has one key; who signs releases has several in turn.
    let another_key = code == Code::ArtifactSdkSignature && difference.fault == "unknown_key";
    let confidence = match difference.fault {
        "unproven_record" | "stale_head" => Confidence::Moderate,
        _ if another_key => Confidence::Moderate,
        // Without a record either copy may be the right one.
        _ if of_wire && checks.iter().all(|(check, _)| check.yardstick == Yardstick::Copy) => Confidence::Moderate,
        // Sure is what came, not who made it so.
        _ if of_wire => Confidence::Strong,
        _ => Confidence::Proven,
    };
    let evidence = place(case, artifact)?;
    let summary = summary(artifact, code, checks);
    let mut finding = Finding::new(code, fault, confidence, about(case, artifact), evidence, summary)
        .with_evidence(checks.iter().filter_map(|(check, _)| record(case, artifact, check)))
        .with_evidence(wire::transfers(case, artifact, checks))
        .with_text("kind", artifact.kind.name())
        .with_list("against", checks.iter().map(|(check, _)| named(check)))
        .with_class(class(artifact, difference));
    let agreeing: Vec<String> = artifact
        .checks
        .iter()
        .filter(|check| check.result == CheckResult::Agrees && check.yardstick != Yardstick::Format)
        .map(named)
        .collect();
    if !agreeing.is_empty() {
        finding = finding.with_list("agrees_with", agreeing);
    }
    if !difference.fault.is_empty() {
        finding = finding.with_text("fault", difference.fault);
    }
    for (key, value) in [("expected", &difference.expected), ("found", &difference.found)] {
        if let Some(value) = value {
            finding = finding.with_text(key, value.clone());
        }
    }
    if let Some(files) = checks.iter().map(|(_, difference)| difference).find(|it| has_files(it)) {
        for (key, names) in [("changed", &files.changed), ("added", &files.added), ("missing", &files.missing)] {
            if !names.is_empty() {
                finding = finding.with_list(key, names.iter().cloned());
            }
        }
    }
    finding = match (difference.fault, code) {
        ("odd_zip", _) => finding.with_severity(Severity::Low),
        ("stale_head", _) => finding.with_severity(Severity::Medium),
        _ => finding,
    };
    if of_wire {
        finding = wire::told(finding, case, artifact);
    }
    if difference.fault == "unproven_record" {
        finding = finding.not_excluding("that the database's answer is the altered one");
    }
    if matches!(artifact.kind, ArtifactKind::SdkArchive | ArtifactKind::Goroot) {
        finding = finding.with_text("name", artifact.name.clone());
    }
    if another_key {
        finding = finding.not_excluding("another key of the same signer, which was not given");
    }
    if difference.fault == "stale_head" {
        finding = finding.not_excluding("files that were put together from several machines");
    }
    if code == Code::ArtifactChecksumMismatch && first.yardstick != Yardstick::SumdbRecord {
        let doubt = match first.yardstick {
            Yardstick::GoSum => "a go.sum line that was wrong from the start",
            _ => "that the other copy is the changed one",
        };
        finding = finding.not_excluding(doubt);
    }
    Some(advised(finding, code, difference.fault))
}

const fn has_files(difference: &Difference) -> bool {
    !(difference.changed.is_empty() && difference.added.is_empty() && difference.missing.is_empty())
}

/// The stable class of the fault: what is on record and what was found, or the kind of fault and what it is about.
fn class(artifact: &Artifact, difference: &Difference) -> String {
    match (&difference.expected, &difference.found) {
        (Some(expected), Some(found)) => format!("{} {expected} {found}", artifact.name),
        _ => format!("{} {}", artifact.name, difference.fault),
    }
}

/// The artifact itself.
fn place(case: &Case, artifact: &Artifact) -> Option<Evidence> {
    let hash = artifact.hash.clone().unwrap_or_default();
    match &artifact.origin {
        Origin::Path(path) => {
            let (path, line) =
                if artifact.kind == ArtifactKind::GoSum { without_line(path) } else { (path.as_str(), "") };
            let note = if line.is_empty() { hash } else { format!("line {line}: {hash}") };
            Some(Evidence::path(artifact.kind.name(), path, note))
        }
        Origin::Exchange(index) => {
            let exchange = case.exchanges.get(*index)?;
            let at = exchange.completed.or(exchange.response).or(exchange.request)?;
            Some(Evidence::segment(artifact.kind.name(), at, exchange.flow, hash))
        }
    }
}

/// A path and the line behind it.
fn without_line(place: &str) -> (&str, &str) {
    let split =
        place.rsplit_once(':').filter(|(_, line)| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit()));
    split.unwrap_or((place, ""))
}

/// What it contradicts, where that has a place.
fn record(case: &Case, artifact: &Artifact, check: &Check) -> Option<Evidence> {
    let note = match &check.result {
        CheckResult::Differs(difference) => difference.expected.clone().unwrap_or_default(),
        _ => String::new(),
    };
    let with = check.with.strip_prefix("go.mod in ").unwrap_or(&check.with);
    match check.yardstick {
        Yardstick::Copy if with.contains("://") => {
            let other = case.artifacts.iter().find(|it| wire::url(case, it) == Some(with))?;
            place(case, other).map(|evidence| Evidence { role: "record", note, ..evidence })
        }
        Yardstick::GoSum | Yardstick::ZipHash | Yardstick::Copy | Yardstick::OpenPgp
            if with.contains(['/', '\\', '.']) =>
        {
            let (path, line) = without_line(with);
            let note = if line.is_empty() { note } else { format!("line {line}: {note}") };
            Some(Evidence::path("record", path, note))
        }
        Yardstick::SumdbRecord => {
            place(case, lookup(case, artifact)?).map(|evidence| Evidence { role: "record", note, ..evidence })
        }
        _ => None,
    }
}

/// The database's answer about the module of an artifact: of what came, the one that came as well.
fn lookup<'c>(case: &'c Case, artifact: &Artifact) -> Option<&'c Artifact> {
    let came = |it: &Artifact| matches!(it.origin, Origin::Exchange(_));
    let all = case.artifacts.iter().filter(|it| it.kind == ArtifactKind::SumdbLookup && it.name == artifact.name);
    all.max_by_key(|it| came(it) == came(artifact))
}

/// Module, and where it came over the wire the far end.
fn about(case: &Case, artifact: &Artifact) -> Subject {
    let module = artifact.module().map(str::to_owned);
    let Origin::Exchange(index) = artifact.origin else { return Subject { module, ..Subject::default() } };
    // What a module proxy relays is the database's all the same; who served it stands beside.
    if let Some(database) = wire::relayed_database(case, artifact) {
        return Subject { module, host: Some(database), ..Subject::default() };
    }
    let exchange = case.exchanges.get(index);
    let connection = exchange.and_then(|exchange| case.connection(exchange.flow));
    let host = exchange.and_then(|exchange| exchange.host()).map(str::to_ascii_lowercase);
    match connection {
        // A proxy's address is not that of who answered behind it.
        Some(connection) if subject::is_proxy(case, connection) => Subject { module, host, ..Subject::default() },
        Some(connection) => Subject { module, ..subject::subject(host, connection) },
        None => Subject { module, host, ..Subject::default() },
    }
}

fn named(check: &Check) -> String {
    let yardstick = match check.yardstick {
        Yardstick::Format | Yardstick::Copy | Yardstick::SumdbRecord => return check.with.clone(),
        Yardstick::GoSum => "go.sum line",
        Yardstick::ZipHash => "stored hash",
        Yardstick::HeadSignature => "signature by",
        Yardstick::Inclusion => "inclusion of",
        Yardstick::Consistency => "consistency with",
        Yardstick::SignedTree => "",
        Yardstick::ReleaseList => "the list of releases",
        Yardstick::OpenPgp => "signature",
    };
    format!("{yardstick} {}", check.with).trim().to_owned()
}

fn called(artifact: &Artifact) -> String {
    let name = &artifact.name;
    match artifact.kind {
        ArtifactKind::ModuleZip => format!("The zip of {name}"),
        ArtifactKind::GoMod => format!("The go.mod of {name}"),
        ArtifactKind::ZipHash => format!("The stored hash of {name}"),
        ArtifactKind::ModuleTree => format!("The unpacked {name}"),
        ArtifactKind::Vendored => format!("The vendored {name}"),
        ArtifactKind::GoSum => format!("The go.sum line of {name}"),
        ArtifactKind::SumdbLookup => format!("The database's answer about {name}"),
        ArtifactKind::SumdbHead | ArtifactKind::SumdbTile => format!("The database's {name}"),
        ArtifactKind::SdkArchive => name.clone(),
        ArtifactKind::Goroot => format!("The installed {name}"),
    }
}

fn summary(artifact: &Artifact, code: Code, checks: &[(&Check, &Difference)]) -> String {
    let called = called(artifact);
    let against: Vec<String> = checks.iter().map(|(check, _)| named(check)).collect();
    let against = against.join(", ");
    let Some((_, difference)) = checks.first() else { return called };
    if matches!(code, Code::ArtifactInvalidZip | Code::ArtifactSumdbUntrusted | Code::ArtifactSdkSignature) {
        let verb = match difference.fault {
            "forked_log" => "belongs to a forked log",
            "tampered_tile" => "contradicts the signed tree",
            "stale_head" => "is stale",
            "altered_lookup" => "was altered",
            "unknown_key" => "is signed by an unknown key",
            "wrong_signature" => "has a wrong signature",
            "odd_zip" => "is odd in what go does not look at, its contents are not",
            _ if code == Code::ArtifactInvalidZip => "breaks the rules for module zips",
            _ => "cannot be trusted",
        };
        return format!("{called} {verb}: {}.", difference.note);
    }
    let files = checks.iter().map(|(_, difference)| difference).find(|it| has_files(it)).map(|files| {
        let lists = [("changed", &files.changed), ("added", &files.added), ("missing", &files.missing)];
        let parts: Vec<String> = lists
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| {
                let more = if names.len() > NAMED { ", …" } else { "" };
                format!("{what}: {}{more}", names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", "))
            })
            .collect();
        format!(" Files {}.", parts.join("; "))
    });
    let hashes = match (&difference.expected, &difference.found) {
        (Some(expected), Some(found)) => format!(": {found}, and on record is {expected}"),
        _ if difference.note.is_empty() => String::new(),
        _ => format!(": {}", difference.note),
    };
    format!("{called} does not match {against}{hashes}.{}", files.unwrap_or_default())
}

fn advised(finding: Finding, code: Code, fault: &str) -> Finding {
    match (code, fault) {
        (_, "vendored_files") => finding
            .with_remedy("Vendor anew, and look at what changes.", Some("go mod vendor && git diff vendor"))
            .with_reference("https://go.dev/ref/mod#vendoring"),
        (Code::ArtifactCacheModified, _) => finding
            .with_remedy(
                "Look at the changed files, then remove the module cache and download again.",
                Some("go mod verify; go clean -modcache"),
            )
            .with_reference("https://go.dev/ref/mod#go-mod-verify"),
        (Code::ArtifactSumdbUntrusted, _) => finding
            .with_remedy("Keep the files. Ask the database again over another network, and compare.", None)
            .with_reference("Go: golang.org/x/mod/sumdb/client.go"),
        (Code::ArtifactInvalidZip, _) => finding
            .with_remedy("Download it again, and compare.", Some("go clean -modcache && go mod download"))
            .with_reference("https://go.dev/ref/mod#zip-files"),
        (Code::ArtifactSdkMismatch | Code::ArtifactSdkSignature, _) => finding
            .with_remedy("Do not use it. Download it again from https://go.dev/dl/, and compare.", None)
            .with_reference("https://go.dev/dl/?mode=json&include=all"),
        _ => fetched_elsewhere(finding).with_reference("https://go.dev/ref/mod#authenticating"),
    }
}
