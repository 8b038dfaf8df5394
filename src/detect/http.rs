//! HTTP: what came instead of the answer, and what the service itself refuses.
//!
//! Judged are requests of the go command that can be read; where TLS hides them, go's own words at most. CONNECT and SOCKS
//! are the proxy family's.

mod format;
mod page;
mod said;

use std::collections::BTreeMap;

use super::Detector;
use super::subject::{is_proxy, subject};
use crate::finding::{Assessment, Code, Confidence, Detail, Evidence, Fault, Finding, Severity, Subject};
use crate::go::GoErrorKind;
use crate::go::target::{ModuleRequest, RequestKind};
use crate::observation::{Case, Connection, End, Exchange, HttpProtocol, Relevance};
use crate::reference::Reference;
use crate::types::Direction;

pub(super) const DETECTOR: Detector = Detector {
    codes: &[
        Code::HttpBlockPage,
        Code::HttpCaptivePortal,
        Code::HttpForbidden,
        Code::HttpRateLimited,
        Code::HttpServerError,
        Code::HttpNotFound,
        Code::HttpStreamError,
        Code::HttpTruncatedBody,
        Code::HttpUnexpectedContent,
    ],
    assess,
};

/// Exchanges that one finding cites at most.
const CITED: usize = 16;

/// A request of the go command with all that is known of it.
struct Asked<'c> {
    exchange: &'c Exchange,
    connection: &'c Connection,
    host: String,
    request: Option<ModuleRequest>,
}

/// What is wrong with one answer.
struct Trouble {
    code: Code,
    fault: Fault,
    confidence: Confidence,
    role: &'static str,
    what: String,
    alternatives: Vec<&'static str>,
    details: Vec<(&'static str, String)>,
    /// Further packets that show it.
    more: Vec<Evidence>,
}

impl Trouble {
    fn new(code: Code, fault: Fault, confidence: Confidence, role: &'static str, what: impl Into<String>) -> Self {
        let (alternatives, details, more) = (Vec::new(), Vec::new(), Vec::new());
        Self { code, fault, confidence, role, what: what.into(), alternatives, details, more }
    }

    fn or(mut self, alternative: &'static str) -> Self {
        self.alternatives.push(alternative);
        self
    }
}

fn assess(case: &Case, reference: &Reference) -> Assessment {
    let asked: Vec<Asked<'_>> = case.exchanges.iter().filter_map(|exchange| asked(case, exchange)).collect();
    let mut groups: BTreeMap<(Code, String), Vec<(&Asked<'_>, Trouble)>> = BTreeMap::new();
    for one in &asked {
        if let Some(fault) = judge(case, reference, one, &asked) {
            groups.entry((fault.code, one.host.clone())).or_default().push((one, fault));
        }
    }
    let mut assessment = Assessment::default();
    assessment.found.extend(groups.into_values().filter_map(|group| finding(case, &group)));
    let read: Vec<&str> = asked.iter().map(|one| one.host.as_str()).collect();
    said::assess(case, &read, &mut assessment);
    assessment
}

fn asked<'c>(case: &'c Case, exchange: &'c Exchange) -> Option<Asked<'c>> {
    if exchange.is_connect() || exchange.protocol == HttpProtocol::Socks {
        return None;
    }
    let connection = case.connection(exchange.flow).filter(|connection| connection.relevance == Relevance::Go)?;
    let host = exchange.host()?.to_ascii_lowercase();
    Some(Asked { exchange, connection, host, request: ModuleRequest::from_url(&exchange.url) })
}

impl Asked<'_> {
    fn kind(&self) -> Option<RequestKind> {
        self.request.as_ref().map(|request| request.kind)
    }

    /// The module proxy's or the checksum database's protocol: never a page for people.
    fn is_protocol(&self) -> bool {
        self.kind().is_some_and(|kind| kind != RequestKind::GoGet)
    }

    /// A proxy was asked in the host's place (RFC 9112 §3.2.2), or a proxy's tunnel carries it.
    fn is_proxied(&self, case: &Case) -> bool {
        is_proxy(case, self.connection)
    }

    /// Somebody between client and server says it: a proxy by its policy, or whoever holds the path.
    fn interferer(&self, case: &Case) -> Fault {
        if self.is_proxied(case) { Fault::ProxyPolicy } else { Fault::Interference }
    }
}

fn judge(case: &Case, reference: &Reference, one: &Asked<'_>, all: &[Asked<'_>]) -> Option<Trouble> {
    stream(one)
        .or_else(|| page::portal(case, reference, one))
        .or_else(|| page::block(case, reference, one))
        .or_else(|| status(case, one, all))
        .or_else(|| format::unexpected(case, reference, one))
        .or_else(|| truncated(one))
}

/// HTTP/2 told apart by what the reader of the protocol says (RFC 9113 §5.4).
fn stream(one: &Asked<'_>) -> Option<Trouble> {
    let error = one.exchange.error.as_deref()?;
    let folded = error.to_ascii_lowercase();
    let named = ["stream error", "rst_stream", "goaway"].iter().any(|word| folded.contains(word));
    // NO_ERROR ends what is complete already, or announces a restart (RFC 9113 §8.1, §6.8).
    if one.exchange.protocol != HttpProtocol::Http2 || !named || folded.contains("no_error") || one.exchange.complete {
        return None;
    }
    Some(
        Trouble::new(Code::HttpStreamError, Fault::Upstream, Confidence::Strong, "stream_error", error)
            .or("a proxy or load balancer in front of the service"),
    )
}

/// Refusals and failures that the answer's status tells.
fn status(case: &Case, one: &Asked<'_>, all: &[Asked<'_>]) -> Option<Trouble> {
    let status = one.exchange.status?;
    one.request.as_ref()?;
    let later = |other: &&Asked<'_>| {
        other.exchange.url == one.exchange.url
            && other.exchange.status.is_some_and(|status| (200..300).contains(&status))
    };
    if all.iter().any(|other| later(&other)) {
        return None;
    }
    let reason = &one.exchange.reason;
    let what = if reason.is_empty() { status.to_string() } else { format!("{status} {reason}") };
    let proxied = one.is_proxied(case);
    let (code, fault) = match status {
        401 | 403 | 451 => (Code::HttpForbidden, Fault::Upstream),
        404 | 410 if died_of(case, one, status) => (Code::HttpNotFound, Fault::Upstream),
        429 => (Code::HttpRateLimited, Fault::Upstream),
        // A gateway between speaks for itself.
        502..=504 if proxied => (Code::HttpServerError, Fault::ProxyUpstream),
        500..=599 if status != 511 => (Code::HttpServerError, Fault::Upstream),
        _ => return None,
    };
    let confidence = if proxied { Confidence::Moderate } else { Confidence::Strong };
    let mut fault = Trouble::new(code, fault, confidence, "answer", what);
    fault.details.extend(one.exchange.header("retry-after").map(|value| ("retry_after", value.to_owned())));
    Some(if code == Code::HttpForbidden { fault.or("a filter that answers with a plain refusal") } else { fault })
}

/// Whether go gave up with this very status of this host. That a prefix of the path, or the first proxy of several, does not
/// know a module is the ordinary course of things.
fn died_of(case: &Case, one: &Asked<'_>, status: u16) -> bool {
    case.go.errors().iter().any(|error| {
        let same = error.url.as_deref() == Some(one.exchange.url.as_str())
            || error.url.is_none() && error.host.as_deref() == Some(one.host.as_str());
        same && matches!(error.kind.innermost(), GoErrorKind::HttpStatus { code, .. } if *code == status)
    })
}

/// An answer that was cut short by whoever sent it. One that the recording cuts short says nothing.
fn truncated(one: &Asked<'_>) -> Option<Trouble> {
    let exchange = one.exchange;
    if exchange.complete || exchange.status.is_none_or(|status| !(200..300).contains(&status)) {
        return None;
    }
    let promised: Option<u64> = exchange.header("content-length").and_then(|value| value.trim().parse().ok());
    let reset = matches!(one.connection.end, End::Reset { direction: Direction::ToClient, .. })
        && promised.is_some_and(|promised| exchange.body_bytes < promised)
        && one.connection.gaps.to_client.is_empty();
    let said = exchange.error.as_deref();
    // Without a FIN it is the recording that ends there.
    let ended = said == Some("unexpected EOF") && one.connection.fin.to_client.is_some();
    if !(ended || said == Some("broken chunked coding") || reset) {
        return None;
    }
    let of = promised.map(|promised| format!(" of {promised}")).unwrap_or_default();
    let how = if reset { "a reset" } else { "the end of the connection" };
    let what = format!("{} byte(s){of}, then {how}", exchange.body_bytes);
    let mut fault = Trouble::new(Code::HttpTruncatedBody, Fault::Upstream, Confidence::Strong, "cut_answer", what)
        .or("something on the path that ends connections");
    fault.details.push(("received_bytes", exchange.body_bytes.to_string()));
    fault.details.extend(promised.map(|promised| ("promised_bytes", promised.to_string())));
    if let Some(fin) = one.connection.fin.to_client {
        fault.more.push(Evidence::segment("end", fin, exchange.flow, ""));
    }
    Some(fault)
}

fn place(case: &Case, one: &Asked<'_>) -> Subject {
    let mut subject = subject(Some(one.host.clone()), one.connection);
    if one.is_proxied(case) {
        let (scheme, rest) = one.exchange.url.split_once("://").unwrap_or(("http", ""));
        let authority = rest.split('/').next().unwrap_or_default();
        let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        subject.port = port.or(Some(if scheme == "https" { 443 } else { 80 }));
        subject.address = None;
    }
    subject
}

fn finding(case: &Case, group: &[(&Asked<'_>, Trouble)]) -> Option<Finding> {
    // The surest of them speaks, and of equals the one that go complains about.
    let complains =
        |one: &Asked<'_>| case.go.errors().iter().any(|error| error.url.as_deref() == Some(one.exchange.url.as_str()));
    let (one, fault) = group
        .iter()
        .max_by_key(|(one, fault)| (fault.confidence, complains(one), std::cmp::Reverse(one.exchange.request)))?;
    let at = one.exchange.response.or(one.exchange.request)?;
    let host = &one.host;
    let summary = match fault.code {
        Code::HttpBlockPage => format!("Instead of {host}'s answer came {}.", fault.what),
        Code::HttpCaptivePortal => {
            format!("Instead of {host}'s answer came {}: log in to the network first.", fault.what)
        }
        Code::HttpUnexpectedContent => format!("{host} answers {} to {}.", fault.what, one.exchange.url),
        Code::HttpTruncatedBody => format!("{host} sends {} for {}.", fault.what, one.exchange.url),
        _ => format!("{host} answers {}: {}.", one.exchange.url, fault.what),
    };
    let evidence = Evidence::segment(fault.role, at, one.exchange.flow, fault.what.clone());
    let mut finding = Finding::new(fault.code, fault.fault, fault.confidence, place(case, one), evidence, summary)
        .with_text("url", one.exchange.url.clone())
        .with_class(format!("{} {}", fault.code.name(), one.exchange.status.unwrap_or(0)));
    if let Some(status) = one.exchange.status {
        finding = finding.with_number("status", status.into());
    }
    for (key, value) in &fault.details {
        finding.details.insert(key, Detail::Text(value.clone()));
    }
    for (other, theirs) in group.iter().take(CITED) {
        if let Some(at) = other.exchange.response.or(other.exchange.request) {
            finding.cite(Evidence::segment(theirs.role, at, other.exchange.flow, theirs.what.clone()));
        }
        theirs.more.iter().for_each(|evidence| finding.cite(evidence.clone()));
    }
    if let Some(at) = one.exchange.request {
        finding.cite(Evidence::segment("request", at, one.exchange.flow, ""));
    }
    for alternative in &fault.alternatives {
        finding = finding.not_excluding(*alternative);
    }
    let said = case.go.errors().iter().find(|error| error.url.as_deref() == Some(one.exchange.url.as_str()));
    if let Some(error) = said {
        finding.cite(Evidence::log(error.line, error.text.clone()));
        finding.go_error = Some(error.text.clone());
    }
    // Where go got there all the same, by another proxy or another attempt, it hinders nobody.
    let by_service = matches!(finding.fault, Fault::Upstream | Fault::ProxyUpstream | Fault::Client);
    if case.go.failed() == Some(false) && by_service {
        finding.severity = finding.severity.min(Severity::Low);
        finding.fault = Fault::Harmless;
    } else if case.go.failed() == Some(false) {
        finding.severity = finding.severity.min(Severity::Medium);
    }
    Some(remedy(finding))
}

/// What to do about it.
fn remedy(finding: Finding) -> Finding {
    let (text, command, reference) = match finding.code {
        Code::HttpBlockPage => (
            "Have the filter's owner allow the host, or set GOPROXY to a mirror that is allowed.",
            Some("go env -w GOPROXY=https://goproxy.example,direct"),
            "RFC 9110 §15.5.4",
        ),
        Code::HttpCaptivePortal => ("Open a web page in a browser on this network and log in.", None, "RFC 8910"),
        Code::HttpForbidden => (
            "Give go credentials for the host (a .netrc file or GOAUTH), or check that this account may read the module.",
            Some("go help goauth"),
            "RFC 9110 §15.5.4",
        ),
        Code::HttpRateLimited => ("Wait, or ask with credentials or through a caching proxy.", None, "RFC 6585 §4"),
        Code::HttpServerError => {
            ("Try again later; add a second proxy to GOPROXY with `|` for the meantime.", None, "RFC 9110 §15.6")
        }
        Code::HttpNotFound => (
            "Check path and version; for a private module set GOPRIVATE, so that go asks its repository.",
            Some("go help private"),
            "RFC 9110 §15.5.5",
        ),
        Code::HttpStreamError => ("Try again; GODEBUG=http2client=0 makes go use HTTP/1.1.", None, "RFC 9113 §5.4"),
        Code::HttpTruncatedBody => ("Try again; if it persists, ask the service's operator.", None, "RFC 9112 §8"),
        _ => (
            "Check the URL in GOPROXY: it must be the root of a module proxy, not of a web page.",
            Some("go env GOPROXY"),
            "https://go.dev/ref/mod#goproxy-protocol",
        ),
    };
    finding.with_remedy(text, command).with_reference(reference)
}

#[cfg(test)]
mod tests;
