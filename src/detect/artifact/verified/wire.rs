//! What came over the wire: who served it, and what only looks wrong there.

use super::disk;
use crate::detect::artifact::transfer;
use crate::detect::subject;
use crate::finding::{Code, Confidence, Detail, Evidence, Fault, Finding, NotAssessed, Subject};
use crate::go::target::ModuleRequest;
use crate::go::{GoError, GoErrorKind};
use crate::observation::artifact::{Artifact, ArtifactKind, Check, CheckResult, Difference, Origin, Yardstick};
use crate::observation::{Case, Exchange, Veil};
use crate::reference::Reference;

/// Tiles and answers of the other side of a fork that are cited.
const FORK: usize = 6;

/// Whether a difference is none in a recording: a tree head that was asked for before a newer one came, an answer that is
/// no answer of a database at all, which the family `http` tells, and a record that no tile proves here, where go has proven
/// it or complains of the very record.
pub(super) fn says_nothing(case: &Case, difference: &Difference) -> bool {
    let of_database = |error: &GoError| {
        matches!(error.kind.innermost(), GoErrorKind::SumdbUntrusted(_) | GoErrorKind::ChecksumMissing)
    };
    match difference.fault {
        "stale_head" => true,
        "altered_lookup" => difference.note.starts_with("malformed"),
        "unproven_record" => case.go.exit == Some(0) || case.go.errors().iter().any(of_database),
        _ => false,
    }
}

/// Whether what came only differs from a file on this machine: that is told of the file.
pub(super) fn is_told_of_the_file(artifact: &Artifact, check: &Check) -> bool {
    matches!(artifact.origin, Origin::Exchange(_)) && check.yardstick == Yardstick::Copy && !check.with.contains("://")
}

/// Whether a note may be signed by the key that go goes by all the same: nothing says which that is, or go took it.
pub(super) fn may_have_another_key(
    case: &Case,
    reference: &Reference,
    artifact: &Artifact,
    difference: &Difference,
) -> bool {
    let told = case.go.env.as_ref().is_some_and(|env| env.get("GOSUMDB").is_some())
        || reference.honest().sumdb_key.is_some()
        || case.go.errors().iter().any(|error| matches!(error.kind.innermost(), GoErrorKind::SumdbUntrusted(_)));
    difference.fault == "unknown_key"
        && matches!(artifact.origin, Origin::Exchange(_))
        && (!told || case.go.exit == Some(0))
}

/// An artifact of the wire that no record could be held against.
pub(super) fn unjudged(artifact: &Artifact) -> Option<NotAssessed> {
    let of_module = matches!(artifact.kind, ArtifactKind::ModuleZip | ArtifactKind::GoMod);
    if !of_module || !matches!(artifact.origin, Origin::Exchange(_)) {
        return None;
    }
    let on_record = |yardstick| matches!(yardstick, Yardstick::GoSum | Yardstick::SumdbRecord);
    let agrees =
        artifact.checks.iter().any(|check| on_record(check.yardstick) && matches!(check.result, CheckResult::Agrees));
    if agrees {
        return None;
    }
    let mut reasons = artifact.checks.iter().filter_map(|check| match &check.result {
        CheckResult::Open(why) => Some(why.clone()),
        _ => None,
    });
    Some(NotAssessed {
        code: Code::ArtifactChecksumMismatch,
        subject: Subject { module: artifact.module().map(str::to_owned), ..Subject::default() },
        veil: Veil::NotGiven,
        hint: reasons.next().unwrap_or_else(|| "nothing that was given has a hash of it".to_owned()),
    })
}

/// Findings about one database are one: its notes, tiles and answers hang together.
pub(super) fn joined(found: Vec<Finding>) -> Vec<Finding> {
    let mut joined: Vec<Finding> = Vec::new();
    for finding in found {
        let same = |other: &&mut Finding| {
            finding.code == Code::ArtifactSumdbUntrusted
                && other.code == finding.code
                && other.subject.host == finding.subject.host
        };
        match joined.iter_mut().find(same) {
            Some(known) => finding.evidence().iter().for_each(|evidence| known.cite(evidence.clone())),
            None => joined.push(finding),
        }
    }
    joined
}

/// Says who served it, and who else may have made it what it is.
pub(super) fn told(finding: Finding, case: &Case, artifact: &Artifact) -> Finding {
    let Some(exchange) = exchange(case, artifact) else { return finding };
    let served_by = served_by(case, exchange);
    let mut finding = finding.with_text("served_by", served_by.clone()).with_text("url", exchange.url.clone());
    if relayed_database(case, artifact).is_some() {
        finding.summary = format!("{} It came from {served_by}.", finding.summary);
    }
    let doubts: &[&str] = match finding.code {
        Code::ArtifactChecksumMismatch => &["a mirror that keeps other bytes of this version"],
        Code::ArtifactSumdbUntrusted => &["a mirror of the database that is broken"],
        Code::ArtifactInvalidZip => &[
            "a module proxy or a cache before it that holds a broken file",
            "somebody on the way who changes what is transferred",
        ],
        _ => &[],
    };
    doubts.iter().for_each(|doubt| doubted(&mut finding, doubt));
    finding
}

/// Adds an alternative that is not excluded, once.
fn doubted(finding: &mut Finding, doubt: &str) {
    if !finding.not_excluded.iter().any(|known| known == doubt) {
        finding.not_excluded.push(doubt.to_owned());
    }
}

/// The packets that carried it, and those of the record that it contradicts.
pub(super) fn transfers(case: &Case, artifact: &Artifact, checks: &[(&Check, &Difference)]) -> Vec<Evidence> {
    let of_database = checks.iter().any(|(check, _)| check.yardstick == Yardstick::SumdbRecord);
    let record = super::lookup(case, artifact).filter(|_| of_database);
    // Which of the tiles was altered a root does not tell: those that nothing bears out.
    let by_tiles = checks.iter().any(|(_, difference)| difference.fault == "tampered_tile");
    let doubtful = |it: &&Artifact| {
        it.kind == ArtifactKind::SumdbTile && it.checks.iter().any(|check| check.result != CheckResult::Agrees)
    };
    let tiles = case.artifacts.iter().filter(|_| by_tiles).filter(doubtful);
    let by_log = checks.iter().any(|(check, _)| check.yardstick == Yardstick::Inclusion);
    let proof = record.or(Some(artifact).filter(|_| by_log)).and_then(|lookup| proof(case, lookup));
    let forked = checks.iter().any(|(_, difference)| difference.fault == "forked_log");
    let other_side = case.artifacts.iter().filter(|_| forked).filter(|it| is_other_side(case, artifact, it)).take(FORK);
    let cited = [Some(artifact), record, proof].into_iter().flatten().chain(tiles).chain(other_side);
    let mut exchanges: Vec<&Exchange> = Vec::new();
    for exchange in cited.filter_map(|it| exchange(case, it)) {
        if !exchanges.iter().any(|known| std::ptr::eq(*known, exchange)) {
            exchanges.push(exchange);
        }
    }
    exchanges.into_iter().flat_map(|exchange| transfer(case, exchange)).collect()
}

/// The tile with the hash of a lookup's record, where the log proves it.
fn proof<'c>(case: &'c Case, lookup: &Artifact) -> Option<&'c Artifact> {
    let check = lookup.checks.iter().find(|check| check.yardstick == Yardstick::Inclusion)?;
    if matches!(check.result, CheckResult::Open(_)) {
        return None;
    }
    let id: u64 = check.with.strip_prefix("record ")?.split(' ').next()?.parse().ok()?;
    let start = tile_of(id);
    let holds = |it: &&Artifact| {
        let rest = url(case, it).and_then(|url| url.split_once(&start)).map(|(_, rest)| rest);
        it.kind == ArtifactKind::SumdbTile
            && database(case, it) == database(case, lookup)
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(".p/"))
    };
    case.artifacts.iter().find(holds)
}

/// Where the hash of a record stands (golang.org/x/mod/sumdb/tlog `Tile.Path`), but for the tile's width.
fn tile_of(id: u64) -> String {
    let mut number = id >> 8;
    let mut path = format!("{:03}", number % 1000);
    while number >= 1000 {
        number /= 1000;
        path = format!("x{:03}/{path}", number % 1000);
    }
    format!("/tile/8/0/{path}")
}

/// What shows that a head belongs to another log: tiles, and answers with the head that these bear out.
fn is_other_side(case: &Case, artifact: &Artifact, it: &Artifact) -> bool {
    let borne_out = |check: &Check| {
        check.yardstick == Yardstick::Consistency
            && check.with.starts_with("the tiles of ")
            && check.result == CheckResult::Agrees
    };
    let shows = match it.kind {
        ArtifactKind::SumdbTile => true,
        ArtifactKind::SumdbLookup | ArtifactKind::SumdbHead => it.checks.iter().any(borne_out),
        _ => false,
    };
    shows && exchange(case, it).is_some() && database(case, it) == database(case, artifact)
}

/// The checksum database that an answer is of, by what was asked for.
fn database(case: &Case, artifact: &Artifact) -> Option<String> {
    ModuleRequest::from_url(url(case, artifact)?)?.sumdb
}

/// The checksum database in whose name another host gave that answer.
pub(super) fn relayed_database(case: &Case, artifact: &Artifact) -> Option<String> {
    let request = ModuleRequest::from_url(url(case, artifact)?)?;
    let host = request.sumdb.filter(|_| request.kind.is_sumdb())?.split('/').next()?.to_owned();
    (host != request.host).then_some(host)
}

/// Address, certificate and proxy of who answered.
fn served_by(case: &Case, exchange: &Exchange) -> String {
    let host = exchange.host().unwrap_or("the server");
    let Some(connection) = case.connection(exchange.flow) else { return host.to_owned() };
    let leaf = case
        .handshakes
        .iter()
        .filter(|handshake| handshake.flow == exchange.flow)
        .max_by_key(|handshake| handshake.layer)
        .and_then(|handshake| handshake.certificates.seen()?.first())
        .and_then(|id| case.certificate(*id));
    let issuer = leaf.and_then(|leaf| leaf.facts()?.issuer.clone());
    let shown = match issuer {
        Some(issuer) => format!("with a certificate by {issuer}"),
        None if exchange.url.starts_with("https:") => "with a certificate that was not seen".to_owned(),
        None => "without TLS".to_owned(),
    };
    if subject::is_proxy(case, connection) {
        format!("{host}, {shown}, through the proxy {}", connection.server)
    } else {
        format!("{host} at {}, {shown}", connection.server)
    }
}

fn exchange<'c>(case: &'c Case, artifact: &Artifact) -> Option<&'c Exchange> {
    match artifact.origin {
        Origin::Exchange(index) => case.exchanges.get(index),
        Origin::Path(_) => None,
    }
}

/// What was asked for when it came.
pub(super) fn url<'c>(case: &'c Case, artifact: &Artifact) -> Option<&'c str> {
    exchange(case, artifact).map(|exchange| exchange.url.as_str())
}

/// Whether what go said and what was seen are one thing.
pub(in super::super) fn same(said: &Finding, seen: &Finding) -> bool {
    let about = said.subject.module.is_some() && said.subject.module == seen.subject.module;
    said.code == seen.code && (about || said.code == Code::ArtifactSumdbUntrusted)
}

/// What go said, with what the recording shows of it.
pub(in super::super) fn confirmed(mut said: Finding, seen: Finding) -> Finding {
    said.set_confidence(said.confidence().max(seen.confidence()));
    seen.evidence().iter().for_each(|evidence| said.cite(evidence.clone()));
    if said.code == Code::ArtifactSumdbUntrusted {
        said.summary = format!("{} {}", said.summary, seen.summary);
    }
    for (key, value) in seen.details {
        said.details.entry(key).or_insert(value);
    }
    seen.not_excluded.iter().for_each(|doubt| doubted(&mut said, doubt));
    said
}

/// Holds what go said of a module's bytes against those in the recording.
pub(in super::super) fn held_against(mut said: Finding, case: &Case, kind: ArtifactKind) -> Finding {
    let text = |key| match said.details.get(key) {
        Some(Detail::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let (downloaded, expected) = (text("downloaded"), text("expected"));
    let with_hash = |hash: &Option<String>| {
        let copies =
            case.artifacts.iter().filter(|it| it.kind == kind && it.module() == said.subject.module.as_deref());
        copies.filter(|it| it.hash.is_some() && it.hash == *hash).find(|it| exchange(case, it).is_some())
    };
    let (same, true_one) = (with_hash(&downloaded), with_hash(&expected));
    if let Some(copy) = same {
        let evidence = super::place(case, copy);
        said.subject = super::about(case, copy);
        said = told(said, case, copy).with_evidence(evidence).excluding(
            "the bytes were changed on this machine after they came",
            "those in the recording have the hash that go computed",
        );
        said.set_confidence(Confidence::Strong);
    } else if let Some(copy) = true_one {
        let evidence = super::place(case, copy);
        said = said.with_evidence(evidence).not_excluding(
            "a disk, or a program on this machine, that changed the bytes: those in the recording are as on record",
        );
        said.fault = Fault::Unknown;
    } else if let Some((module, hash)) = said.subject.module.clone().zip(downloaded)
        && let Some(file) = disk::taken_from_cache(case, kind, &module, &hash)
    {
        said = said.with_evidence([file]).not_excluding("an earlier download that was changed on its way");
        said.subject.host = None;
        said.summary.push_str(" Nothing was downloaded: go took it from the module cache.");
        said.fault = Fault::Client;
    }
    said
}
