//! What the go command printed: its errors, requests and downloads, line by line.
//!
//! The text may be that of other tools around it: CI prefixes, time stamps, colours and git's own lines do no harm.
//! Every part that is kept is cleaned of control characters and of passwords, and is of limited length.

mod cause;
mod git;
mod kind;
mod locate;
mod phrases;
mod prefix;
mod tls;

use std::net::SocketAddr;

pub use kind::{Against, GitErrorKind, GoErrorKind};

use super::target::{ModuleRequest, RequestKind};
use super::text::{clean, host_of_url, limited, redacted};

/// Longest line that is kept, and longest text of an error, in bytes.
const LINE: usize = 16 * 1_024;
const ERROR: usize = 4 * 1_024;
/// Most lines that one error is put together from.
const GROUP: usize = 64;

/// A log, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoLog {
    lines: Vec<String>,
    errors: Vec<GoError>,
    requests: Vec<GoRequest>,
    progress: Vec<GoProgress>,
}

/// One error of the go command (or of git beneath it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoError {
    /// The line, from 1, on which it begins.
    pub line: u32,
    /// The whole text, continuation lines included.
    pub text: String,
    /// `path@version`, where one is named in the text or in the URL.
    pub module: Option<String>,
    /// The import path whose discovery failed (`unrecognized import path`).
    pub import_path: Option<String>,
    /// The URL that was asked; after redirects the last one.
    pub url: Option<String>,
    /// The URL's host, else the name that was looked up; lower case.
    pub host: Option<String>,
    /// The name that was looked up: a proxy's where the kind is [`GoErrorKind::ProxyConnect`].
    pub lookup: Option<String>,
    /// The far end of the connection: the proxy's where one is used, even if the text does not say so.
    pub address: Option<SocketAddr>,
    /// The near end, with which the connection can be found in a recording.
    pub local: Option<SocketAddr>,
    /// The resolver that was asked.
    pub resolver: Option<SocketAddr>,
    /// The proxy as `host:port`, where the text names it (SOCKS).
    pub proxy: Option<String>,
    /// Whether a request to the checksum database failed, or its answer was not believed.
    pub sumdb: bool,
    /// The innermost cause.
    pub kind: GoErrorKind,
}

impl GoError {
    /// Whether the proxy was dialled: its address stands beside the host that was wanted.
    #[must_use]
    pub const fn is_about_proxy(&self) -> bool {
        matches!(self.kind, GoErrorKind::ProxyConnect(_) | GoErrorKind::SocksError { .. })
    }

    /// What was asked, where the URL tells.
    #[must_use]
    pub fn request(&self) -> Option<ModuleRequest> {
        ModuleRequest::from_url(self.url.as_deref()?)
    }
}

/// A request that `go get -x` reports; one with a result and one without are two lines of one request.
#[derive(Clone, Debug, PartialEq)]
pub struct GoRequest {
    /// The line, from 1.
    pub line: u32,
    /// The URL.
    pub url: String,
    /// The status; `None` on the line that announces the request, and on errors.
    pub status: Option<u16>,
    /// How long it took.
    pub seconds: Option<f64>,
    /// The error, where one stands in place of the status.
    pub error: Option<GoErrorKind>,
}

impl Eq for GoRequest {}

/// A line of progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoProgress {
    /// The line, from 1.
    pub line: u32,
    /// What is reported.
    pub kind: ProgressKind,
    /// `path@version`.
    pub module: String,
}

/// What a line of progress reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressKind {
    /// `go: downloading M V`: a zip (or a toolchain) is asked for; nothing is said of its arrival.
    Downloading,
    /// `go: added M V`, `go: upgraded M V => W`, `go: downgraded M V => W`: all went well.
    Added,
}

impl GoLog {
    /// Reads the text; see [`super::decode`] for bytes.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut log =
            Self { lines: text.lines().map(|line| redacted(&clean(line, LINE))).collect(), ..Self::default() };
        let lines = std::mem::take(&mut log.lines);
        let mut rest = lines.as_slice();
        let mut number = 1_u32;
        while let Some((line, after)) = rest.split_first() {
            let taken = log.read(number, line, after);
            rest = after.get(taken..).unwrap_or_default();
            number = number.saturating_add(1).saturating_add(u32::try_from(taken).unwrap_or(u32::MAX));
        }
        log.lines = lines;
        log
    }

    /// Reads one line; says how many of those after it belong to it.
    fn read(&mut self, line: u32, text: &str, after: &[String]) -> usize {
        let content = prefix::stripped(text);
        if let Some(request) = trace(line, content) {
            self.requests.push(request);
            return 0;
        }
        if let Some(progress) = progress(line, content) {
            self.progress.push(progress);
            return 0;
        }
        let mut group = content.to_owned();
        let mut taken = 0_usize;
        // "SECURITY ERROR" on its own heads the paragraph that says what happened, or closes a mismatch already read.
        let heading = content.trim() == "SECURITY ERROR";
        for next in after.iter().take(GROUP) {
            let next = prefix::stripped(next);
            let belongs = if heading { !next.trim().is_empty() } else { prefix::continues(next, content) };
            if !belongs || group.len() > ERROR {
                break;
            }
            group.push('\n');
            group.push_str(next);
            taken = taken.saturating_add(1);
        }
        match error(line, &group) {
            Some(error) => {
                self.errors.push(error);
                taken
            }
            None => 0,
        }
    }

    /// All lines, cleaned and redacted; the first is line 1.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The line with that number, from 1.
    #[must_use]
    pub fn line(&self, number: u32) -> Option<&str> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.lines.get(index).map(String::as_str)
    }

    /// The errors in their order.
    #[must_use]
    pub fn errors(&self) -> &[GoError] {
        &self.errors
    }

    /// The requests that `-x` shows.
    #[must_use]
    pub fn requests(&self) -> &[GoRequest] {
        &self.requests
    }

    /// Downloads begun and modules added.
    #[must_use]
    pub fn progress(&self) -> &[GoProgress] {
        &self.progress
    }

    /// Every host that URLs and lookups of the log name, lower case, in the order of their first appearance; links to
    /// Go's own documentation are passed over.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        const MANUALS: [&str; 5] =
            ["://go.dev/doc", "://go.dev/ref", "://go.dev/s/", "://golang.org/s/", "://golang.org/doc"];
        let mut hosts: Vec<String> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let mut add = |host: String| {
            if seen.insert(host.clone()) {
                hosts.push(host);
            }
        };
        for line in &self.lines {
            for url in locate::urls(line).filter(|url| !MANUALS.iter().any(|manual| url.contains(manual))) {
                host_of_url(url).into_iter().for_each(&mut add);
            }
            for (at, _) in line.match_indices("lookup ").take(GROUP) {
                let Some((_, name)) = line.get(at..).and_then(|found| found.split_once(' ')) else { continue };
                let name = name.split([' ', ':']).next().unwrap_or_default().trim_end_matches('.');
                let plausible = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
                if plausible && name.len() <= 253 && name.contains('.') {
                    add(name.to_ascii_lowercase());
                }
            }
        }
        hosts
    }

    /// The far ends that errors name, each with the host that was asked there. The host is `None` where a proxy was
    /// dialled, as far as the text says so: the address is the proxy's then.
    #[must_use]
    pub fn addresses(&self) -> Vec<(Option<&str>, SocketAddr)> {
        let mut found = Vec::new();
        for error in &self.errors {
            let Some(address) = error.address else { continue };
            let pair = (error.host.as_deref().filter(|_| !error.is_about_proxy()), address);
            if !found.contains(&pair) {
                found.push(pair);
            }
        }
        found
    }
}

/// `# get URL`, `# get URL: STATUS (secs)`, `# get URL: ERROR`.
fn trace(line: u32, content: &str) -> Option<GoRequest> {
    let rest = content.strip_prefix("# get ").filter(|rest| rest.starts_with("http"))?;
    let Some((url, result)) = rest.split_once(": ") else {
        return Some(GoRequest {
            line,
            url: limited(rest.trim(), 2_000).to_owned(),
            status: None,
            seconds: None,
            error: None,
        });
    };
    let status = result.get(..3).filter(|_| result.len() == 3 || result.as_bytes().get(3) == Some(&b' '));
    let status = status.and_then(|code| code.parse().ok());
    let seconds = result.rsplit_once('(').and_then(|(_, time)| time.trim_end().strip_suffix("s)")?.parse().ok());
    let error = status.is_none().then(|| error(line, content).map_or(GoErrorKind::Other, |error| error.kind));
    Some(GoRequest { line, url: limited(url, 2_000).to_owned(), status, seconds, error })
}

fn progress(line: u32, content: &str) -> Option<GoProgress> {
    let mut words = content.strip_prefix("go: ")?.split_whitespace();
    let kind = match words.next()? {
        "downloading" => ProgressKind::Downloading,
        "added" | "upgraded" | "downgraded" => ProgressKind::Added,
        _ => return None,
    };
    let (path, mut version) = (words.next()?, words.next()?);
    if kind == ProgressKind::Added && words.next() == Some("=>") {
        version = words.next()?;
    }
    // A toolchain: "go: downloading go1.24.0 (linux/amd64)".
    let module = if version.starts_with('(') { path.to_owned() } else { format!("{path}@{version}") };
    Some(GoProgress { line, kind, module: limited(&module, 600).to_owned() })
}

/// The error that a line and its continuation lines hold.
fn error(line: u32, group: &str) -> Option<GoError> {
    let text = limited(group, ERROR);
    let mut facts = cause::Facts::default();
    let request = locate::request(text);
    let mut url = request.map(|request| request.url);
    let proxy_answer = text.split_once("invalid response from proxy \"").and_then(|(_, rest)| rest.split_once("\": "));
    let phrase = phrases::kind(text);
    let kind = if let Some((proxy, detail)) = proxy_answer {
        url = Some(proxy);
        Some(GoErrorKind::InvalidProxyResponse { detail: limited(detail, 200).to_owned() })
    } else if let Some(request) = request {
        // Whatever a phrase says, the cause's addresses are worth keeping.
        let cause = cause::status(request.cause).or_else(|| cause::kind(request.cause, &mut facts));
        phrase
            .or(cause)
            .or_else(|| cause::reason_phrase(request.cause).filter(|_| request.transport))
            .or(Some(GoErrorKind::Other))
    } else {
        phrase.or_else(|| cause::anywhere(text, &mut facts))
    };
    let kind = kind.or_else(|| prefix::is_go_error(text).then_some(GoErrorKind::Other))?;
    let url = url.or_else(|| locate::first_url(text)).map(|url| limited(url, 2_000).to_owned());
    let asked = url.as_deref().and_then(ModuleRequest::from_url);
    let of_sumdb = match &kind {
        GoErrorKind::SumdbUntrusted(_) | GoErrorKind::ChecksumMissing => true,
        GoErrorKind::InvalidProxyResponse { detail } => detail == phrases::NO_RECORD,
        _ => false,
    };
    let asked_sumdb = asked.as_ref().is_some_and(|asked| asked.kind.is_sumdb());
    let kind = if asked_sumdb && kind == GoErrorKind::Other { GoErrorKind::SumdbRequest } else { kind };
    let discovery =
        asked.as_ref().filter(|asked| asked.kind == RequestKind::GoGet).and_then(|asked| asked.path.clone());
    let import_path = super::text::between(text, "unrecognized import path \"", "\"");
    Some(GoError {
        line,
        module: locate::module(text).or_else(|| asked.and_then(|asked| asked.module_version())),
        import_path: import_path.map(|path| limited(path, 600).to_owned()).or(discovery),
        host: url.as_deref().and_then(host_of_url).or_else(|| facts.lookup.clone()),
        url,
        lookup: facts.lookup,
        address: facts.address,
        local: facts.local,
        resolver: facts.resolver,
        proxy: facts.proxy,
        sumdb: of_sumdb || asked_sumdb,
        kind,
        text: text.trim_end().to_owned(),
    })
}

#[cfg(test)]
mod tests;
