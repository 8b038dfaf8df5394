//! Answers that TLS hides and go's own words name.

use std::collections::BTreeSet;

use super::answer::{BALANCER, NO_TOOLCHAIN, around_end, forged};
use super::format::NO_META;
use super::page::is_public_endpoint;
use super::{Asked, remedy, shown};
use crate::detect::attempt::segment_at;
use crate::detect::subject::{connections_to, encrypted_answers, host_of, judged_handshakes};
use crate::finding::{Assessment, Code, Confidence, Detail, Evidence, Fault, Finding, NotAssessed, Severity, Subject};
use crate::go::env::GoEnv;
use crate::go::log::GitErrorKind;
use crate::go::target::RequestKind;
use crate::go::{GoError, GoErrorKind};
use crate::observation::{Case, End, Handshake, Outcome, Relevance, Veil};
use crate::reference::Reference;
use crate::types::Direction;

/// Who may have ended a connection.
const PATH: &[&str] = &["the server ended it", "something on the path that ends connections"];
/// Hosts of which it is said that their answers cannot be read.
const HOSTS: usize = 32;

/// What go says of an answer.
#[derive(Clone)]
struct Meaning {
    code: Code,
    fault: Fault,
    what: String,
    open: &'static [&'static str],
}

/// Findings from go's words about answers that could not be read, and the hosts whose answers cannot be.
pub(super) fn assess(case: &Case, reference: &Reference, read: &[&Asked<'_>], assessment: &mut Assessment) {
    let mut known: BTreeSet<(Code, Option<String>)> =
        assessment.found.iter().map(|finding| (finding.code, finding.subject.host.clone())).collect();
    for error in case.go.errors() {
        let Some((host, url)) = about(case, error).filter(|(host, url)| !is_read(read, error, host, url)) else {
            continue;
        };
        let ended = ended(case, error, &host);
        let said = || meaning(error, is_public_endpoint(reference, &host));
        let Some(mut meaning) = ended.as_ref().map(|(meaning, _)| meaning.clone()).or_else(said) else { continue };
        // Inside of a tunnel the proxy is the nearest that can end TLS.
        let tunnelled =
            |handshake: &Handshake| handshake.tunnel.is_some() && handshake.server_name.seen() == Some(&host);
        if ended.is_none() && meaning.fault == Fault::Interference && case.handshakes.iter().any(tunnelled) {
            meaning.fault = Fault::ProxyPolicy;
        }
        if !known.insert((meaning.code, Some(host.clone()))) {
            continue;
        }
        let port = url.split_once("://").map(|(scheme, _)| if scheme == "https" { 443 } else { 80 });
        let subject = Subject { host: Some(host.clone()), address: None, port, module: error.module.clone() };
        let summary = format!("go says that {host} answers {}; the answer itself cannot be read.", meaning.what);
        let evidence = Evidence::log(error.line, error.text.clone());
        let (code, status) = (meaning.code, status(error));
        let mut finding = Finding::new(code, meaning.fault, Confidence::Moderate, subject.clone(), evidence, summary)
            .with_evidence(connections_to(case, std::slice::from_ref(&host)))
            .with_evidence(encrypted_answers(case, std::slice::from_ref(&host)))
            .with_class(format!("{} {}", code.name(), status.unwrap_or(0)));
        ended.into_iter().flat_map(|(_, evidence)| evidence).for_each(|evidence| finding.cite(evidence));
        if url.contains("://") {
            finding = finding.with_text("url", shown(&url));
        }
        finding.details.extend(status.map(|status| ("status", Detail::Number(status.into()))));
        finding.go_error = Some(error.text.clone());
        for alternative in meaning.open {
            finding = finding.not_excluding(*alternative);
        }
        if case.go.failed() == Some(false) {
            finding.severity = finding.severity.min(Severity::Low);
            finding.fault = Fault::Harmless;
        }
        let advice = match error.kind.innermost() {
            GoErrorKind::ToolchainNotAvailable { .. } => Some(NO_TOOLCHAIN),
            GoErrorKind::NoGoImportMeta => Some(NO_META),
            _ => None,
        };
        assessment.found.push(match advice {
            Some((text, command)) => finding.with_remedy(text, command),
            None => remedy(finding),
        });
        let subject = Subject { module: None, ..subject };
        assessment.not_assessed.push(hidden(subject));
    }
    unread(case, read, assessment);
}

fn hidden(subject: Subject) -> NotAssessed {
    let hint = "the session's secrets (--keylog) show what was asked for and what was answered".to_owned();
    NotAssessed { code: Code::HttpBlockPage, subject, veil: Veil::Encrypted, hint }
}

/// Where go did not succeed, the hosts that it talked to and whose answers are encrypted, once each.
fn unread(case: &Case, read: &[&Asked<'_>], assessment: &mut Assessment) {
    if case.go.failed() == Some(false) {
        return;
    }
    let known: BTreeSet<String> = assessment.not_assessed.iter().filter_map(|open| open.subject.host.clone()).collect();
    let mut hosts: BTreeSet<String> = BTreeSet::new();
    for (handshake, connection) in judged_handshakes(case) {
        let encrypted = handshake.outcome == Outcome::Completed && !handshake.decrypted;
        if encrypted && connection.relevance == Relevance::Go {
            hosts.extend(host_of(case, handshake, connection));
        }
    }
    hosts.retain(|host| !known.contains(host) && !read.iter().any(|one| one.host == *host));
    for host in hosts.into_iter().take(HOSTS) {
        assessment.not_assessed.push(hidden(Subject {
            host: Some(host),
            address: None,
            port: Some(443),
            module: None,
        }));
    }
}

/// Where go's words are of a connection that ended, the one that the server's side ended first after its handshake, and
/// whose close that is. Of forged resets the tcp family tells.
fn ended(case: &Case, error: &GoError, host: &str) -> Option<(Meaning, Vec<Evidence>)> {
    let closed = match error.kind.innermost() {
        GoErrorKind::Eof | GoErrorKind::UnexpectedEof => true,
        // Of a body: before it comes there is nothing to cut.
        GoErrorKind::ConnectionReset if error.text.contains("read \"http") => false,
        _ => return None,
    };
    let ends = judged_handshakes(case).filter_map(|(handshake, connection)| {
        let asked = handshake.outcome == Outcome::Completed && host_of(case, handshake, connection)? == host;
        let end = match connection.end {
            End::Reset { direction: Direction::ToClient, at } if !closed => {
                let forged = segment_at(connection, at).is_some_and(|reset| case.marks(connection, &reset).any());
                Some(at).filter(|_| !forged)
            }
            _ => connection.fin.to_client.filter(|_| closed),
        };
        let end = end.filter(|end| connection.fin.to_server.is_none_or(|client| client > *end))?;
        asked.then(|| (forged(case, connection, end).filter(|_| closed), end, connection.flow))
    });
    let (marks, end, flow) = ends.max_by_key(|(marks, end, _)| (marks.is_some(), *end))?;
    let (fault, how, open): (_, _, &[&str]) = match &marks {
        Some(marks) => (Fault::Interference, format!(" by somebody on the path ({})", marks.words()), &[BALANCER]),
        None => (Fault::Unknown, String::new(), PATH),
    };
    let verb = if closed { "closed" } else { "reset" };
    let what = format!("with less than was due, and the connection is {verb} in its name{how}");
    let mut evidence = vec![Evidence::segment("end", end, flow, marks.map(|marks| marks.words()).unwrap_or_default())];
    if fault == Fault::Interference {
        evidence.extend(case.connection(flow).into_iter().flat_map(|connection| around_end(connection, end)));
    }
    Some((Meaning { code: Code::HttpTruncatedBody, fault, what, open }, evidence))
}

/// The host that an error is about, and its URL; of a redirect that go refused, those that redirected.
fn about(case: &Case, error: &GoError) -> Option<(String, String)> {
    if matches!(error.kind.innermost(), GoErrorKind::ToolchainNotAvailable { .. }) {
        // It was asked for at every module proxy; the last one's answer counted.
        let host = case.go.env.as_ref()?.module_proxy_hosts().pop()?;
        return Some((host.clone(), format!("https://{host}")));
    }
    let url = match error.kind.innermost() {
        GoErrorKind::RedirectToInsecure { .. } => {
            let (_, rest) = error.text.split_once("redirected from secure URL ")?;
            Some(rest.split(' ').next().unwrap_or_default().to_owned())
        }
        _ => error.url.clone(),
    };
    if error.sumdb && error.url.is_none() && matches!(error.kind, GoErrorKind::InvalidProxyResponse { .. }) {
        let host = case.go.env.as_ref().and_then(GoEnv::sumdb_host).unwrap_or_else(|| "sum.golang.org".to_owned());
        return Some((host.clone(), format!("https://{host}")));
    }
    let only = || {
        // The last `Location` may have been a path alone; with one proxy there is no doubt whose it was.
        let mut proxies = case.go.env.as_ref()?.module_proxy_hosts();
        let nameless =
            matches!(error.kind.innermost(), GoErrorKind::TooManyRedirects | GoErrorKind::InvalidProxyResponse { .. });
        proxies.pop().filter(|_| proxies.is_empty() && nameless)
    };
    let host = url.as_deref().and_then(super::chain::host_of).or_else(|| error.host.clone()).or_else(only)?;
    Some((host, url.unwrap_or_default()))
}

/// Whether the answer that go speaks of could be read, so that it has been judged.
fn is_read(read: &[&Asked<'_>], error: &GoError, host: &str, url: &str) -> bool {
    // A module proxy may have answered in the database's name.
    if error.sumdb && error.url.is_none() {
        let lookup = |one: &&Asked<'_>| one.request.as_ref().is_some_and(|it| it.kind == RequestKind::SumdbLookup);
        return read.iter().any(lookup);
    }
    let same = |one: &&&Asked<'_>| one.exchange.url == url || one.before.iter().any(|hop| hop.url == url);
    // Of a proxy's answers go names the proxy alone; a host that could be read in part only may hide this one.
    let named = url.split_once("://").is_some_and(|(_, rest)| rest.trim_end_matches('/').contains('/'));
    if named { read.iter().any(|one| same(&one)) } else { read.iter().any(|one| one.host == host) }
}

fn status(error: &GoError) -> Option<u16> {
    match error.kind.innermost() {
        GoErrorKind::HttpStatus { code, .. } | GoErrorKind::GitError(GitErrorKind::HttpStatus { code }) => Some(*code),
        _ => None,
    }
}

/// What a status means that could not be read; `plain` says that go shows a body in plain text.
fn by_status(code: u16, plain: bool, what: String) -> Option<Meaning> {
    const FILTER: &[&str] = &["a filter's page with that status"];
    const PROXY: &[&str] = &["a proxy or load balancer in front of the service"];
    let (code, fault, open) = match code {
        // Go shows bodies in plain text, as services write them for programs, and no pages.
        403 | 451 if !plain => (Code::HttpForbidden, Fault::Unknown, FILTER),
        401 | 403 | 451 => (Code::HttpForbidden, Fault::Upstream, PROXY),
        404 | 410 => (Code::HttpNotFound, Fault::Upstream, PROXY),
        407 => return None,
        429 => (Code::HttpRateLimited, Fault::Upstream, PROXY),
        // Whoever ends TLS says so; the service itself never does (RFC 6585 §6).
        511 => (Code::HttpCaptivePortal, Fault::Interference, FILTER),
        400..=499 => (Code::HttpUnexpectedContent, Fault::Upstream, PROXY),
        500..=599 => (Code::HttpServerError, Fault::Upstream, PROXY),
        _ => return None,
    };
    Some(Meaning { code, fault, what, open })
}

/// What it means. `public` says that the host is a public service that answers programs only.
fn meaning(error: &GoError, public: bool) -> Option<Meaning> {
    const PROXY: &[&str] = &["a proxy or load balancer in front of the service"];
    const PAGE: &[&str] = &["GOPROXY names something else than a module proxy", "a log-in portal", "a filter's page"];
    const NO_DATABASE: &[&str] =
        &["a module proxy that has a page for everything", "a log-in portal", "a filter's page"];
    const TRUSTED: &[&str] = &["an interceptor that this machine trusts"];
    let new = |code, fault, what: String, open| Some(Meaning { code, fault, what, open });
    match error.kind.innermost() {
        GoErrorKind::HttpStatus { code, reason, body } => {
            let what = format!("{code} {reason}");
            by_status(*code, body.is_some(), what)
        }
        // git shows people's words from the far side beside the status, whoever that is.
        GoErrorKind::GitError(GitErrorKind::HttpStatus { code }) => by_status(*code, false, format!("git with {code}")),
        GoErrorKind::GitError(GitErrorKind::AuthenticationRequired) => {
            by_status(401, false, "git with a demand for a log-in".to_owned())
        }
        GoErrorKind::GitError(GitErrorKind::RepositoryNotFound) => {
            by_status(404, false, "git that it does not have the repository".to_owned())
        }
        GoErrorKind::ToolchainNotAvailable { .. } => {
            new(Code::HttpNotFound, Fault::Upstream, "that it does not have this version of Go".to_owned(), PROXY)
        }
        GoErrorKind::StreamError { code, from_peer: true } if code != "NO_ERROR" => {
            new(Code::HttpStreamError, Fault::Upstream, format!("with a stream error {code}"), PROXY)
        }
        // A restart is no error, unless go could not ask again and gave up over it.
        GoErrorKind::GoAway { code, .. } => {
            new(Code::HttpStreamError, Fault::Upstream, format!("with GOAWAY {code}"), PROXY)
        }
        GoErrorKind::InvalidProxyResponse { detail } if error.sumdb => new(
            Code::HttpUnexpectedContent,
            Fault::Unknown,
            format!("what is no record of a checksum database ({detail})"),
            NO_DATABASE,
        ),
        GoErrorKind::InvalidProxyResponse { detail } => new(
            Code::HttpUnexpectedContent,
            Fault::Unknown,
            format!("what is not the module proxy's protocol ({detail})"),
            PAGE,
        ),
        GoErrorKind::RedirectToInsecure { to }
            if public && super::leads::is_filter_address(to, error.url.as_deref().unwrap_or_default()) =>
        {
            new(Code::HttpBlockPage, Fault::Interference, redirect_to(to), &["a server that is set up wrongly"])
        }
        // TLS was in order, so that the server itself redirects, or who is trusted in its place.
        GoErrorKind::RedirectToInsecure { to } if public && super::page::is_log_in(to) => {
            new(Code::HttpCaptivePortal, Fault::Interference, redirect_to(to), &["a server that is set up wrongly"])
        }
        GoErrorKind::RedirectToInsecure { to } => {
            new(Code::HttpUnexpectedContent, Fault::Server, redirect_to(to), TRUSTED)
        }
        GoErrorKind::NoGoImportMeta => new(
            Code::HttpUnexpectedContent,
            Fault::Server,
            "a page without a go-import meta tag".to_owned(),
            &["an import path that is misspelt", "a log-in page", "a filter's page"],
        ),
        GoErrorKind::TooManyRedirects => {
            new(Code::HttpUnexpectedContent, Fault::Server, "redirects without an end".to_owned(), TRUSTED)
        }
        // Of a body: before the headers go says EOF or names the failure of the connection.
        GoErrorKind::UnexpectedEof if error.text.contains("read \"http") => {
            new(Code::HttpTruncatedBody, Fault::Unknown, "with less than it promised".to_owned(), PATH)
        }
        _ => None,
    }
}

fn redirect_to(url: &str) -> String {
    format!("a redirect to plain http ({})", shown(url))
}
