//! What go itself says of artifacts and of the checksum database, and what they were held against.

mod verified;

use std::collections::BTreeSet;

use self::verified::Verified;
use super::Detector;
use super::subject::{connections_to, encrypted_answers};
use crate::finding::{Assessment, Code, Confidence, Evidence, Fault, Finding, Subject};
use crate::go::env::{GoEnv, ModuleSource};
use crate::go::log::Against;
use crate::go::target::{ModuleRequest, RequestKind};
use crate::go::{GoError, GoErrorKind};
use crate::observation::artifact::ArtifactKind;
use crate::observation::{Case, Exchange, Relevance};
use crate::reference::Reference;
use crate::types::Direction;

pub(super) const DETECTOR: Detector = Detector {
    codes: &[
        Code::ArtifactChecksumMismatch,
        Code::ArtifactSumdbUnreachable,
        Code::ArtifactSumdbUntrusted,
        Code::ArtifactInvalidZip,
        Code::ArtifactSdkMismatch,
        Code::ArtifactSdkSignature,
        Code::ArtifactCacheModified,
    ],
    assess,
};

/// Answers cited.
const CITED: usize = 8;
/// Segments of one body that are cited.
const BODY_SEGMENTS: usize = 64;

fn assess(case: &Case, reference: &Reference) -> Assessment {
    let mut known = BTreeSet::new();
    let Verified { mut assessment, mut seen } = verified::assess(case, reference);
    for error in case.go.errors() {
        let finding = match error.kind.innermost() {
            GoErrorKind::ChecksumMismatch { .. } => mismatch(case, error),
            GoErrorKind::ZipInvalid if !direct_only(case) => invalid_zip(case, error),
            GoErrorKind::SumdbUntrusted(complaint) => Some(untrusted(case, error, complaint)),
            GoErrorKind::ChecksumMissing => Some(untrusted(case, error, "checksum missing from sumdb response")),
            kind if error.sumdb && is_out_of_reach(kind) => unreachable(case, error),
            _ => None,
        };
        let Some(mut finding) = finding else { continue };
        if let Some(at) = seen.iter().position(|other| verified::same(&finding, other)) {
            finding = verified::confirmed(finding, seen.swap_remove(at));
        }
        if known.insert((finding.code, finding.subject.clone())) {
            finding.go_error = Some(error.text.clone());
            assessment.found.push(finding);
        }
    }
    assessment.found.extend(seen);
    assessment
}

/// The hosts that GOPROXY names; Go's own one where nothing is known of it.
fn module_proxies(case: &Case) -> Vec<String> {
    let named = case.go.env.as_ref().map(GoEnv::module_proxy_hosts).unwrap_or_default();
    if named.is_empty() && !direct_only(case) { vec!["proxy.golang.org".to_owned()] } else { named }
}

/// The module proxy that what came was served by, as far as names tell: with several that were asked, nobody is named.
fn serving_proxy(case: &Case) -> Option<String> {
    let all = module_proxies(case);
    let mut asked = all.iter().filter(|host| !connections_to(case, std::slice::from_ref(*host)).is_empty());
    match (asked.next(), asked.next()) {
        (Some(_), Some(_)) => None,
        (Some(one), None) => Some(one.clone()),
        (None, _) => all.first().cloned(),
    }
}

/// GOPROXY leads straight to repositories.
fn direct_only(case: &Case) -> bool {
    case.go.env.as_ref().is_some_and(|env| {
        env.get("GOPROXY").is_some()
            && env.goproxy().first().is_some_and(|first| matches!(first.source, ModuleSource::Direct))
    })
}

/// Bytes that are not those on record. Where a module proxy served them, somebody between its origin and here changed
/// them: proxies keep a version as they first saw it. A repository's own tag may simply have been moved.
fn mismatch(case: &Case, error: &GoError) -> Option<Finding> {
    let GoErrorKind::ChecksumMismatch { module, go_mod, downloaded, expected, against } = error.kind.innermost() else {
        return None;
    };
    let module = module.clone().or_else(|| error.module.clone());
    let private = module
        .as_deref()
        .and_then(|module| module.split_once('@'))
        .is_some_and(|(path, _)| case.go.env.as_ref().is_some_and(|env| env.bypasses_module_proxy(path)));
    let from_repository = private || direct_only(case);
    let recorded = match against {
        Against::GoSum => "go.sum".to_owned(),
        Against::Sumdb(name) => format!("the checksum database {name}"),
        Against::Unknown => "the record".to_owned(),
    };
    let what = if *go_mod { "go.mod file" } else { "archive" };
    let name = module.clone().unwrap_or_else(|| "a module".to_owned());
    let summary = format!(
        "The {what} of {name} that came has the hash {}, and {recorded} has {}.",
        downloaded.as_deref().unwrap_or("that go does not print"),
        expected.as_deref().unwrap_or("another one"),
    );
    let fault = if from_repository { Fault::Unknown } else { Fault::Interference };
    let host = if from_repository { None } else { serving_proxy(case) };
    let subject = Subject { host, address: None, port: None, module };
    let mut finding =
        Finding::new(Code::ArtifactChecksumMismatch, fault, Confidence::Moderate, subject, said(error), summary)
            .with_evidence(transfers(case, name.as_str(), *go_mod))
            .with_evidence(records(case, name.as_str(), against))
            .with_evidence(answers(case, |request, exchange| of_module(request, exchange, name.as_str())))
            .with_evidence(carriers(case, from_repository))
            .with_text("against", recorded)
            .with_text("file", what)
            .with_class(format!(
                "{} {}",
                expected.as_deref().unwrap_or_default(),
                downloaded.as_deref().unwrap_or_default()
            ))
            .not_excluding("a tag that was moved at the origin")
            .not_excluding("a mirror that keeps other bytes of this version")
            .with_reference("https://go.dev/ref/mod#authenticating");
    if let Some(hash) = downloaded {
        finding = finding.with_text("downloaded", hash.clone());
    }
    if let Some(hash) = expected {
        finding = finding.with_text("expected", hash.clone());
    }
    let kind = if *go_mod { ArtifactKind::GoMod } else { ArtifactKind::ModuleZip };
    finding = fetched_elsewhere(verified::held_against(finding, case, kind));
    Some(match against {
        // The database's records are signed and cannot be changed by a project.
        Against::Sumdb(_) => finding,
        _ => finding.not_excluding("a go.sum line that was wrong from the start"),
    })
}

/// With the advice to fetch a version from another place: from its repository, where the public proxy is what served it.
fn fetched_elsewhere(finding: Finding) -> Finding {
    let public = "proxy.golang.org";
    let proxy = if finding.subject.host.as_deref() == Some(public) { "direct" } else { "https://proxy.golang.org" };
    // It is for a shell, and a name may come from anywhere.
    let plain = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/+@".contains(&byte));
    let module = finding.subject.module.as_deref().filter(plain).map(|module| format!(" {module}")).unwrap_or_default();
    let command = format!("GOPROXY={proxy} GOFLAGS=-modcacherw GOMODCACHE=$(mktemp -d) go mod download -json{module}");
    finding.with_remedy(
        "Do not switch the check off. Fetch the version from another place, or over another network, and compare the hashes.",
        Some(&command),
    )
}

/// What came with success as an archive, and is none that go takes.
fn invalid_zip(case: &Case, error: &GoError) -> Option<Finding> {
    let module = error.module.clone();
    // What is no archive at all is the http family's.
    let something_else = case.exchanges.iter().any(|exchange| {
        let request = ModuleRequest::from_url(&exchange.url).filter(|request| request.kind == RequestKind::Zip);
        exchange.status == Some(200)
            && !exchange.body_head.starts_with(b"PK")
            && request.is_some_and(|request| request.module_version() == module)
    });
    if something_else {
        return None;
    }
    let host = serving_proxy(case);
    let name = module.clone().unwrap_or_else(|| "a module".to_owned());
    let complaint = error.text.lines().next().map_or("", broken_rule);
    let summary = format!("The archive of {name} that came is no module zip: {complaint}.");
    let seen = transfers(case, &name, false);
    let confidence = if seen.is_empty() { Confidence::Moderate } else { Confidence::Strong };
    let carried = carriers(case, false);
    let subject = Subject { host, address: None, port: None, module };
    let finding = Finding::new(Code::ArtifactInvalidZip, Fault::Upstream, confidence, subject, said(error), summary)
        .with_evidence(seen)
        .with_evidence(carried)
        .with_class("zip")
        .not_excluding("a module proxy or a cache before it that holds a broken file")
        .not_excluding("somebody on the way who changes what is transferred")
        .with_remedy(
            "Fetch the archive from another module proxy and compare; have the operator of this one throw its copy away.",
            Some("GOPROXY=https://proxy.golang.org GOMODCACHE=$(mktemp -d) go mod download -json"),
        )
        .with_reference("golang.org/x/mod/zip");
    Some(finding)
}

/// What go says of a zip, without what stands before it: `go: M@V: unzip FILE: `, `go: M@V: zip: `.
fn broken_rule(line: &str) -> &str {
    let unpacking = line.split_once("unzip ").and_then(|(_, rest)| rest.split_once(": "));
    unpacking.or_else(|| line.rsplit_once(": ")).map_or("", |(_, rule)| rule)
}

fn untrusted(case: &Case, error: &GoError, complaint: &str) -> Finding {
    let host = sumdb_host(case, error);
    let summary = format!("go does not believe what {host} answered: {complaint}.");
    let subject = Subject { host: Some(host.clone()), address: None, port: None, module: error.module.clone() };
    let own_key = case.go.env.as_ref().and_then(|env| env.get("GOSUMDB")).filter(|value| value.contains('+'));
    let mut finding = Finding::new(
        Code::ArtifactSumdbUntrusted,
        Fault::Interference,
        Confidence::Moderate,
        subject,
        said(error),
        summary,
    )
    .with_evidence(answers(case, |request, exchange| is_of_sumdb(request, exchange, &host)))
    .with_evidence(connections_to(case, std::slice::from_ref(&host)))
    .with_text("complaint", complaint.to_owned())
    .not_excluding("a mirror of the database that is broken")
    .with_remedy("Do not switch the database off. Ask it over another network, and compare.", Some("go env GOSUMDB"))
    .with_reference("Go: golang.org/x/mod/sumdb/client.go");
    if let Some(value) = own_key {
        finding.cite(Evidence::variable("GOSUMDB", value.to_owned()));
        finding = finding.not_excluding("a key in GOSUMDB that is not the database's");
    }
    finding
}

/// Its answer did not come. What stood in the way has a finding of its own where it can be seen.
fn unreachable(case: &Case, error: &GoError) -> Option<Finding> {
    let host = sumdb_host(case, error);
    let fault = match error.kind.innermost() {
        GoErrorKind::HttpStatus { code: 500..=599 | 429, .. } => Fault::Upstream,
        _ => Fault::Unknown,
    };
    let summary = format!(
        "The module came, and the checksum database ({host}) could not be asked for its hash: {}.",
        error.text.lines().next().and_then(|line| line.rsplit_once("\": ")).map_or("see go's output", |(_, end)| end)
    );
    let subject = Subject {
        host: Some(host.clone()),
        address: error.address.map(|at| at.ip()),
        port: None,
        module: error.module.clone(),
    };
    let subject = if case.go.proxies().is_empty() { subject } else { Subject { address: None, ..subject } };
    let failed = |request: &ModuleRequest, exchange: &Exchange| {
        let success = exchange.status.is_some_and(|status| (200..400).contains(&status)) && exchange.error.is_none();
        is_of_sumdb(request, exchange, &host) && !success
    };
    let cited = connections_to(case, std::slice::from_ref(&host));
    Some(
        Finding::new(Code::ArtifactSumdbUnreachable, fault, Confidence::Strong, subject, said(error), summary)
            .with_evidence(answers(case, failed))
            .with_evidence(cited)
            .with_remedy(
                "Mend the way to the database, or use a module proxy that mirrors it (as proxy.golang.org does). For private modules set GONOSUMDB or GOPRIVATE, and only for those.",
                Some("go env GONOSUMDB GOPRIVATE GOSUMDB"),
            )
            .with_reference("https://go.dev/ref/mod#checksum-database"),
    )
}

/// Whether the database, or the way to it, failed. One that answers "not found" was reached.
const fn is_out_of_reach(kind: &GoErrorKind) -> bool {
    match kind {
        GoErrorKind::HttpStatus { code, .. } => !matches!(code, 400 | 404 | 410),
        GoErrorKind::ChecksumMismatch { .. }
        | GoErrorKind::ChecksumMissing
        | GoErrorKind::SumdbUntrusted(_)
        | GoErrorKind::ChecksumDatabaseDisabled
        | GoErrorKind::InvalidProxyResponse { .. } => false,
        other => !other.is_local(),
    }
}

fn sumdb_host(case: &Case, error: &GoError) -> String {
    let settings = || case.go.env.as_ref().and_then(GoEnv::sumdb_host);
    error.host.clone().or_else(settings).unwrap_or_else(|| "sum.golang.org".to_owned())
}

fn said(error: &GoError) -> Evidence {
    Evidence::log(error.line, error.text.clone())
}

/// Where the bytes came over, as far as names tell.
fn carriers(case: &Case, from_repository: bool) -> Vec<Evidence> {
    if from_repository {
        return Vec::new();
    }
    let hosts = module_proxies(case);
    let mut cited = connections_to(case, &hosts);
    cited.extend(encrypted_answers(case, &hosts));
    cited
}

/// What the checksum database answered about a module, with the proofs.
fn records(case: &Case, module: &str, against: &Against) -> Vec<Evidence> {
    let Against::Sumdb(name) = against else { return Vec::new() };
    answers(case, |request, exchange| {
        is_of_sumdb(request, exchange, name)
            && exchange.status == Some(200)
            && (request.kind != RequestKind::SumdbLookup || request.module_version().as_deref() == Some(module))
    })
}

/// What else the module proxy said of the version.
fn of_module(request: &ModuleRequest, exchange: &Exchange, module: &str) -> bool {
    matches!(request.kind, RequestKind::Info | RequestKind::Mod)
        && request.module_version().as_deref() == Some(module)
        && exchange.status == Some(200)
}

/// Whether it asks the checksum database, itself or through that host.
fn is_of_sumdb(request: &ModuleRequest, exchange: &Exchange, host: &str) -> bool {
    let named = exchange.host().is_some_and(|asked| asked.eq_ignore_ascii_case(host));
    // Its name may have a path.
    let relayed = |name: &String| name == host || name.split('/').next() == Some(host);
    request.kind.is_sumdb() && (named || request.sumdb.as_ref().is_some_and(relayed))
}

/// The transfers of a module's archive, or of its go.mod, where they could be read.
fn transfers(case: &Case, module: &str, go_mod: bool) -> Vec<Evidence> {
    let wanted = |kind| match kind {
        RequestKind::Mod => go_mod,
        RequestKind::Zip | RequestKind::ToolchainZip => !go_mod,
        _ => false,
    };
    answers(case, |request, exchange| {
        wanted(request.kind) && request.module_version().as_deref() == Some(module) && exchange.status == Some(200)
    })
}

/// The last answers of the go command's exchanges that are wanted: where each begins, and where its body ends.
fn answers(case: &Case, wanted: impl Fn(&ModuleRequest, &Exchange) -> bool) -> Vec<Evidence> {
    let judged = |exchange: &&Exchange| {
        case.connection(exchange.flow).is_some_and(|connection| connection.relevance == Relevance::Go)
            && ModuleRequest::from_url(&exchange.url).is_some_and(|request| wanted(&request, exchange))
    };
    let found: Vec<&Exchange> = case.exchanges.iter().filter(judged).collect();
    let skipped = found.len().saturating_sub(CITED);
    found.into_iter().skip(skipped).flat_map(|exchange| transfer(case, exchange)).collect()
}

/// An answer: where it begins, the segments of its body, and where that ends.
fn transfer(case: &Case, exchange: &Exchange) -> Vec<Evidence> {
    let Some(at) = exchange.response.or(exchange.request) else { return Vec::new() };
    let what = match (exchange.status, &exchange.error) {
        (_, Some(error)) => error.clone(),
        (Some(status), None) => status.to_string(),
        (None, None) => "no answer".to_owned(),
    };
    let path = exchange.url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    let path = path.split('?').next().unwrap_or_default();
    let mut cited = vec![Evidence::segment("answer", at, exchange.flow, format!("{what} to /{path}"))];
    if let Some(end) = exchange.completed.filter(|end| *end != at) {
        let hash = exchange.body_sha256.map(|hash| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let hash = hash.map_or_else(String::new, |hash| format!(", SHA-256 {hash}"));
        let note = format!("{} byte(s){hash}", exchange.body_bytes);
        let segments = case.connection(exchange.flow).into_iter().flat_map(|connection| {
            connection.segments.towards(Direction::ToClient).filter(|segment| segment.length > 0)
        });
        let within = segments.map(|segment| segment.at).filter(|segment| *segment > at && *segment < end);
        for segment in within.take(BODY_SEGMENTS) {
            cited.push(Evidence::segment("body", segment, exchange.flow, ""));
        }
        cited.push(Evidence::segment("body", end, exchange.flow, note));
    }
    cited
}

#[cfg(test)]
mod tests;
