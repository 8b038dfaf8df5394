//! HTTP: what came instead of the answer, and what the service itself refuses.
//!
//! Judged are requests of the go command that can be read; where TLS hides them, go's own words at most. CONNECT and SOCKS
//! are the proxy family's.
//!
//! Who can have written an answer decides whose it is: inside TLS with a genuine certificate the service alone, in clear or
//! inside an interceptor's TLS whoever stands between. A redirect is judged by what it leads to.

mod answer;
mod chain;
mod format;
mod leads;
mod page;
mod said;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use self::chain::Redirects;
use super::Detector;
use super::subject::{is_proxy, subject};
use super::trust::Speaker;
use crate::finding::{Assessment, Code, Confidence, Detail, Evidence, Fault, Finding, Severity, Subject};
use crate::go::target::{ModuleRequest, RequestKind};
use crate::go::{GoError, GoErrorKind};
use crate::observation::{Case, Connection, Exchange, HttpProtocol, Relevance};
use crate::reference::Reference;
use crate::types::FlowId;

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

/// Exchanges that one finding cites at most, and modules that it names.
const CITED: usize = 16;

/// Hosts in connections of which it is judged who speaks there.
const SPEAKERS: usize = 4_096;

/// A request of the go command with all that is known of it.
struct Asked<'c> {
    exchange: &'c Exchange,
    connection: &'c Connection,
    host: String,
    /// What is asked for: by the URL, else by that of the request which was redirected here.
    request: Option<ModuleRequest>,
    /// Who can have answered.
    speaker: Speaker,
    /// The redirects that led here, the first request first.
    before: Vec<&'c Exchange>,
    /// What followed, each with its place in the case.
    after: Vec<(usize, &'c Exchange)>,
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
    /// What to do, where it is not what the code's other findings advise.
    advice: Option<(&'static str, Option<&'static str>)>,
    /// It tells what the redirect led to, too.
    whole_chain: bool,
}

impl Trouble {
    fn new(code: Code, fault: Fault, confidence: Confidence, role: &'static str, what: impl Into<String>) -> Self {
        let (alternatives, details, more) = (Vec::new(), Vec::new(), Vec::new());
        let what = what.into();
        Self { code, fault, confidence, role, what, alternatives, details, more, advice: None, whole_chain: false }
    }

    fn or(mut self, alternative: &'static str) -> Self {
        self.alternatives.push(alternative);
        self
    }

    fn of_whole_chain(mut self) -> Self {
        self.whole_chain = true;
        self
    }
}

fn assess(case: &Case, reference: &Reference) -> Assessment {
    let redirects = Redirects::of(case);
    let mut speakers = Speakers::new();
    let asked: Vec<(usize, Asked<'_>)> = (0..case.exchanges.len())
        .filter_map(|index| Some((index, asked(case, reference, &redirects, &mut speakers, index)?)))
        .collect();
    let mut successes: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, one) in asked.iter().filter(|(_, one)| succeeded(one.exchange)) {
        *successes.entry(&one.exchange.url).or_default() += 1;
    }
    let served: BTreeSet<Served<'_>> = asked.iter().filter_map(|(_, one)| one.served()).collect();
    let mut groups: BTreeMap<(Code, String), Vec<(&Asked<'_>, Trouble)>> = BTreeMap::new();
    let mut told: BTreeSet<usize> = BTreeSet::new();
    for (index, one) in &asked {
        if told.contains(index) {
            continue;
        }
        // What somebody else wrote in between is told although another attempt got through.
        let trouble = judge(case, reference, one)
            .filter(|trouble| !is_by_service(trouble.code) || !one.is_overcome(case, &successes));
        if let Some(trouble) = trouble {
            if trouble.whole_chain {
                told.extend(one.after.iter().map(|(index, _)| *index));
            }
            groups.entry((trouble.code, one.host.clone())).or_default().push((one, trouble));
        }
    }
    let mut assessment = Assessment::default();
    assessment.found.extend(groups.into_values().filter_map(|group| finding(case, &group, &served)));
    let read: Vec<&Asked<'_>> = asked.iter().map(|(_, one)| one).collect();
    said::assess(case, reference, &read, &mut assessment);
    assessment
}

/// Whether it is the service that answers so, and whoever asks again may get another answer.
const fn is_by_service(code: Code) -> bool {
    !matches!(code, Code::HttpBlockPage | Code::HttpCaptivePortal | Code::HttpUnexpectedContent)
}

/// Who speaks to a host in a connection, judged once.
type Speakers = BTreeMap<(FlowId, String), Speaker>;

/// What a module proxy was asked for and gave: kind, path, version.
type Served<'c> = (RequestKind, Option<&'c str>, Option<&'c str>);

/// Whether it was answered to the end, and well.
fn succeeded(exchange: &Exchange) -> bool {
    exchange.status.is_some_and(|status| (200..300).contains(&status)) && exchange.error.is_none() && exchange.complete
}

fn asked<'c>(
    case: &'c Case,
    reference: &Reference,
    redirects: &Redirects,
    speakers: &mut Speakers,
    index: usize,
) -> Option<Asked<'c>> {
    let exchange = case.exchanges.get(index)?;
    if exchange.is_connect() || exchange.protocol == HttpProtocol::Socks {
        return None;
    }
    let connection = case.connection(exchange.flow)?;
    let before: Vec<&Exchange> = redirects.before(case, index).into_iter().map(|(_, exchange)| exchange).collect();
    // Where a request of go is redirected to is go's as well, whatever its host.
    let origin = before.first().map_or(Some(connection), |first| case.connection(first.flow))?;
    if origin.relevance != Relevance::Go && connection.relevance != Relevance::Go {
        return None;
    }
    let host = exchange.host()?.to_ascii_lowercase();
    let first = before.first().and_then(|first| ModuleRequest::from_url(&first.url));
    let secure = exchange.url.starts_with("https://");
    let known = speakers.len();
    let speaker = match speakers.entry((exchange.flow, host.clone())) {
        Entry::Occupied(known) => known.get().clone(),
        // Nobody names so many hosts in earnest, and each costs the check of signatures.
        Entry::Vacant(_) if secure && known >= SPEAKERS => Speaker::Unseen,
        Entry::Vacant(new) => new.insert(Speaker::of(case, reference, connection, &host, secure)).clone(),
    };
    let request = first.or_else(|| ModuleRequest::from_url(&exchange.url));
    Some(Asked { exchange, connection, host, request, speaker, before, after: redirects.after(case, index) })
}

impl Asked<'_> {
    fn kind(&self) -> Option<RequestKind> {
        self.request.as_ref().map(|request| request.kind)
    }

    fn module(&self) -> Option<String> {
        self.request.as_ref().and_then(ModuleRequest::module_version)
    }

    /// What is asked for, whoever is asked.
    fn wanted(&self) -> Option<Served<'_>> {
        let request = self.request.as_ref()?;
        Some((request.kind, request.path.as_deref(), request.version.as_deref()))
    }

    /// The same, where it came.
    fn served(&self) -> Option<Served<'_>> {
        self.wanted().filter(|_| succeeded(self.exchange))
    }

    /// A protocol for programs is spoken there: never a page for people.
    fn is_protocol(&self) -> bool {
        self.kind().is_some_and(RequestKind::is_for_programs)
    }

    /// A proxy was asked in the host's place (RFC 9112 §3.2.2), or a proxy's tunnel carries it.
    fn is_proxied(&self, case: &Case) -> bool {
        is_proxy(case, self.connection)
    }

    /// Somebody between client and server says it: a proxy by its policy, or whoever holds the path.
    fn interferer(&self, case: &Case) -> Fault {
        if self.is_proxied(case) { Fault::ProxyPolicy } else { Fault::Interference }
    }

    /// The error with which go gave up over it. Go names the first URL of a chain where it tells a status, and the last
    /// where a request failed, as its `Location` had it.
    fn complaint<'c>(&self, case: &'c Case) -> Option<&'c GoError> {
        let target = chain::target(self.exchange);
        let around = self.before.iter().copied().chain(self.after.iter().map(|(_, exchange)| *exchange));
        let urls: Vec<&str> = std::iter::once(self.exchange)
            .chain(around)
            .map(|exchange| exchange.url.as_str())
            .chain(target.as_deref())
            .collect();
        let about = |error: &&GoError| match error.url.as_deref() {
            // `download go1.99.0 for linux/amd64: toolchain not available`: no URL, and one thing that was asked for.
            None if matches!(error.kind.innermost(), GoErrorKind::ToolchainNotAvailable { .. }) => {
                self.kind() == Some(RequestKind::ToolchainZip)
                    && error.text.split_whitespace().any(|word| self.exchange.url.contains(&format!("-{word}.")))
            }
            Some(asked) => urls.contains(&asked),
            // `Get "/path": stopped after 10 redirects` gives the last `Location` as it was.
            None => {
                error.kind.innermost() == &GoErrorKind::TooManyRedirects
                    && urls.iter().any(|url| {
                        let path =
                            url.split_once("://").and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..)));
                        path.is_some_and(|path| error.text.contains(&format!("\"{path}\"")))
                    })
            }
        };
        case.go.errors().iter().find(about)
    }

    /// Whether another attempt got the same thing, and go does not complain: it asks again by itself after some failures.
    fn is_overcome(&self, case: &Case, successes: &BTreeMap<&str, usize>) -> bool {
        let all = successes.get(self.exchange.url.as_str()).copied().unwrap_or(0);
        all > usize::from(succeeded(self.exchange)) && self.complaint(case).is_none()
    }
}

fn judge(case: &Case, reference: &Reference, one: &Asked<'_>) -> Option<Trouble> {
    answer::stream(one)
        .or_else(|| page::portal(case, reference, one))
        .or_else(|| page::block(case, reference, one))
        .or_else(|| answer::status(case, reference, one))
        .or_else(|| format::unexpected(case, reference, one))
        .or_else(|| answer::truncated(case, one))
}

fn place(case: &Case, one: &Asked<'_>) -> Subject {
    let mut subject = subject(Some(one.host.clone()), one.connection);
    subject.module = one.module();
    if one.is_proxied(case) {
        let (scheme, rest) = one.exchange.url.split_once("://").unwrap_or(("http", ""));
        let authority = rest.split('/').next().unwrap_or_default();
        let port = authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        subject.port = port.or(Some(if scheme == "https" { 443 } else { 80 }));
        subject.address = None;
    }
    subject
}

/// A URL for a reader. Queries of storage services hold signatures that open what is private.
fn shown(url: &str) -> String {
    match url.split_once('?') {
        Some((_, query)) if ["go-get=1", "mode=json", "m=text", "service=git-upload-pack"].contains(&query) => {
            url.to_owned()
        }
        Some((path, _)) => format!("{path}?…"),
        None => url.to_owned(),
    }
}

/// `302 to https://…`.
fn hop(exchange: &Exchange) -> String {
    let to = chain::target(exchange).map_or_else(|| "nowhere".to_owned(), |target| shown(&target));
    format!("{} to {to}", exchange.status.unwrap_or(0))
}

fn finding(case: &Case, group: &[(&Asked<'_>, Trouble)], served: &BTreeSet<Served<'_>>) -> Option<Finding> {
    // The surest of them speaks, and of equals the one that go complains about, by its URL or by its module.
    let (one, trouble) = group.iter().max_by_key(|(one, trouble)| {
        let module = one.module();
        let named = || module.is_some() && case.go.errors().iter().any(|error| error.module == module);
        let complaint = if one.complaint(case).is_some() { 2 } else { u8::from(named()) };
        (trouble.confidence, complaint, std::cmp::Reverse(one.exchange.request))
    })?;
    let at = one.exchange.response.or(one.exchange.request)?;
    let (host, what, url) = (&one.host, &trouble.what, shown(&one.exchange.url));
    let summary = match trouble.code {
        Code::HttpBlockPage => format!("Instead of {host}'s answer came {what}."),
        Code::HttpCaptivePortal => format!("Instead of {host}'s answer came {what}: log in to the network first."),
        Code::HttpUnexpectedContent => format!("{host} answers {what} to {url}."),
        Code::HttpTruncatedBody => format!("{host} sends {what} for {url}."),
        _ => format!("{host} answers {url}: {what}."),
    };
    let note = |what: &str| what.trim_end_matches(',').to_owned();
    let evidence = Evidence::segment(trouble.role, at, one.exchange.flow, note(what));
    let mut finding =
        Finding::new(trouble.code, trouble.fault, trouble.confidence, place(case, one), evidence, summary)
            .with_text("url", url)
            .with_class(format!("{} {}", trouble.code.name(), one.exchange.status.unwrap_or(0)));
    if let Some(status) = one.exchange.status {
        finding = finding.with_number("status", status.into());
    }
    for (key, value) in &trouble.details {
        finding.details.insert(key, Detail::Text(value.clone()));
    }
    let followed = one.after.iter().map(|(_, exchange)| *exchange).filter(|_| trouble.whole_chain);
    let redirects: Vec<&Exchange> = one
        .before
        .iter()
        .copied()
        .chain(std::iter::once(one.exchange))
        .chain(followed)
        .filter(|exchange| chain::is_redirect(exchange))
        .collect();
    if !redirects.is_empty() {
        let first = one.before.first().unwrap_or(&one.exchange);
        let hops = std::iter::once(shown(&first.url)).chain(redirects.iter().map(|exchange| hop(exchange)));
        finding = finding.with_list("redirects", hops);
    }
    for (other, theirs) in group.iter().take(CITED) {
        if let Some(at) = other.exchange.response.or(other.exchange.request) {
            finding.cite(Evidence::segment(theirs.role, at, other.exchange.flow, note(&theirs.what)));
        }
        theirs.more.iter().for_each(|evidence| finding.cite(evidence.clone()));
    }
    for exchange in redirects.iter().filter(|exchange| !std::ptr::eq(**exchange, one.exchange)) {
        if let Some(at) = exchange.response {
            finding.cite(Evidence::segment("redirect", at, exchange.flow, hop(exchange)));
        }
    }
    if let Some(at) = one.exchange.request {
        finding.cite(Evidence::segment("request", at, one.exchange.flow, ""));
    }
    let modules: BTreeSet<String> = group.iter().filter_map(|(other, _)| other.module()).collect();
    if modules.len() > 1 {
        finding = finding.with_list("modules", modules.into_iter().take(CITED));
    }
    for alternative in &trouble.alternatives {
        finding = finding.not_excluding(*alternative);
    }
    finding = by_speaker(finding, &one.speaker);
    if let Some(error) = one.complaint(case) {
        finding.cite(Evidence::log(error.line, error.text.clone()));
        finding.go_error = Some(error.text.clone());
    }
    // Where go got there all the same, by another proxy or another attempt, it hinders nobody. Without its exit status, what
    // another host gave tells.
    let elsewhere = || group.iter().any(|(other, _)| other.wanted().is_some_and(|wanted| served.contains(&wanted)));
    let got_there = case.go.failed() == Some(false) || (case.go.failed().is_none() && elsewhere());
    let by_service = matches!(finding.fault, Fault::Upstream | Fault::ProxyUpstream | Fault::Client | Fault::Server);
    if got_there && by_service {
        finding.severity = finding.severity.min(Severity::Low);
        finding.fault = Fault::Harmless;
    } else if got_there {
        finding.severity = finding.severity.min(Severity::Medium);
    }
    Some(match trouble.advice {
        Some((text, command)) => finding.with_remedy(text, command),
        None => remedy(finding),
    })
}

/// Who else can have written the answer.
fn by_speaker(finding: Finding, speaker: &Speaker) -> Finding {
    let by_service = !matches!(finding.fault, Fault::Interference | Fault::ProxyPolicy);
    match speaker {
        Speaker::Server if by_service => finding.excluding(
            "this network, or a filter in it",
            "it came inside of TLS with the server's genuine certificate, and nobody on the way can write there",
        ),
        // Without the certificate's key nothing can be written, but the connection can be ended.
        Speaker::Server if finding.code == Code::HttpTruncatedBody => finding,
        Speaker::Server => finding.not_excluding("the service itself: the certificate is genuine"),
        Speaker::Private => finding.not_excluding("an interceptor whose authority this machine trusts"),
        Speaker::Interceptor(who) if by_service => {
            finding.not_excluding(format!("an answer of {who}, which intercepts TLS here"))
        }
        Speaker::Interceptor(who) => {
            let how = format!("TLS to it is intercepted by {who}");
            finding.excluding("an answer of the service itself", how)
        }
        Speaker::Unseen => finding.not_excluding("an interceptor: the certificates were not seen"),
        Speaker::Anybody => finding,
    }
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
