//! What the endpoints of the module proxy's and the checksum database's protocol serve.

use super::super::trust::Speaker;
use super::chain::{MOST, host_of, is_redirect, target};
use super::page::{content, is_html, is_innocent, is_log_in, is_public_endpoint, last, seen};
use super::{Asked, Trouble};
use crate::finding::{Code, Confidence, Fault};
use crate::go::GoErrorKind;
use crate::go::target::RequestKind;
use crate::observation::{Case, Exchange};
use crate::reference::Reference;

/// What to do about a log-in that go cannot fill in.
const LOG_IN: (&str, Option<&str>) = (
    "The server wants a log-in that go cannot fill in: give go a token for it, in a .netrc file or by GOAUTH.",
    Some("go help goauth"),
);
/// What to do about an import path whose host does not know it.
pub(super) const NO_META: (&str, Option<&str>) = (
    "Check the import path; its host must answer `?go-get=1` with a go-import meta tag. Without GOPROXY=direct a module proxy may know it all the same.",
    Some("go help importpath"),
);
/// What to do about redirects that go does not follow.
const REDIRECTS: (&str, Option<&str>) =
    ("Have the server's operator mend its redirects; `curl -sSIL` on the URL shows them all.", None);

/// A success with something else than what the endpoint serves, or a redirect to it.
pub(super) fn unexpected(case: &Case, reference: &Reference, one: &Asked<'_>) -> Option<Trouble> {
    if let Some(trouble) = endless(case, one).or_else(|| to_plain(case, one)).or_else(|| discovery(case, one)) {
        return Some(trouble);
    }
    let kind = one.kind().filter(|_| one.is_protocol())?;
    if one.exchange.method == "HEAD" {
        return None;
    }
    let target = target(one.exchange);
    let (page, what) = if one.exchange.status == Some(200) {
        let what = wrong(kind, one.exchange).map(str::to_owned);
        (None, what.or_else(|| other_version(kind, one))?)
    } else {
        let target = target.as_deref()?;
        let to = host_of(target).unwrap_or_default();
        match last(one) {
            Some(page) if page.status == Some(200) => {
                let what = wrong(kind, page)?;
                let place = if is_log_in(&page.url) || is_log_in(target) { "the log-in of " } else { "" };
                (Some(page), format!("a redirect to {place}{to}, where {what} comes,"))
            }
            Some(_) => return None,
            // Where the redirect leads cannot be read; go says that it was no answer.
            None if not_understood(case, one) => (None, format!("a redirect to something else at {to}")),
            None => return None,
        }
    };
    let public = is_public_endpoint(reference, &one.host);
    // A public service does not change its mind about its protocol: in clear somebody answers in its place.
    let fault = match one.speaker {
        Speaker::Interceptor(_) => one.interferer(case),
        Speaker::Anybody if public && !is_innocent(reference, one.exchange) => one.interferer(case),
        _ if public => Fault::Upstream,
        _ => Fault::Client,
    };
    let confidence = if not_understood(case, one) { Confidence::Strong } else { Confidence::Moderate };
    let mut trouble = Trouble::new(Code::HttpUnexpectedContent, fault, confidence, "answer", what).of_whole_chain();
    if one.speaker.may_be_another() {
        trouble = trouble.or("a log-in page of the network");
    }
    trouble = trouble.or("a server that is set up wrongly");
    trouble.details.extend(one.exchange.header("content-type").map(|kind| ("content_type", kind.to_owned())));
    trouble.more.extend(page.and_then(seen));
    if page.is_some_and(|page| is_log_in(&page.url)) || target.as_deref().is_some_and(is_log_in) {
        trouble.advice = Some(LOG_IN);
    }
    Some(trouble)
}

/// Import path discovery that ends at a page without `go-import` (cmd/go/internal/vcs `parseMetaGoImports`), as go says.
fn discovery(case: &Case, one: &Asked<'_>) -> Option<Trouble> {
    let missed = one.complaint(case).is_some_and(|error| error.kind.innermost() == &GoErrorKind::NoGoImportMeta);
    if one.kind() != Some(RequestKind::GoGet) || !missed || !one.before.is_empty() {
        return None;
    }
    let page = last(one);
    let at = page.map_or(one.exchange.url.as_str(), |page| page.url.as_str());
    let log_in = page.is_some() && is_log_in(at);
    let to = page.and_then(|page| host_of(&page.url)).map(|to| {
        let place = if log_in { "the log-in of " } else { "" };
        format!("a redirect to {place}{to} and ")
    });
    let what = format!("{}a page without a go-import meta tag", to.unwrap_or_default());
    let fault = if log_in { Fault::Client } else { Fault::Server };
    let mut trouble =
        Trouble::new(Code::HttpUnexpectedContent, fault, Confidence::Strong, "answer", what).of_whole_chain();
    trouble = trouble.or("an import path that is misspelt");
    trouble.more.extend(page.and_then(seen));
    trouble.advice = Some(if log_in { LOG_IN } else { NO_META });
    Some(trouble)
}

/// Redirects without an end.
fn endless(case: &Case, one: &Asked<'_>) -> Option<Trouble> {
    let followed = one.after.len();
    let stopped = one.complaint(case).is_some_and(|error| error.kind.innermost() == &GoErrorKind::TooManyRedirects);
    let end = one.after.last().is_some_and(|(_, exchange)| is_redirect(exchange));
    // go makes ten requests and gives up: nine followed the first.
    if !end || !one.before.is_empty() || !(followed + 1 >= MOST || stopped) {
        return None;
    }
    let round = one.after.iter().any(|(_, exchange)| exchange.url == one.exchange.url);
    let what = if round { "redirects that lead back to where they began," } else { "redirects without an end" };
    let confidence = if stopped { Confidence::Strong } else { Confidence::Moderate };
    let mut trouble = Trouble::new(Code::HttpUnexpectedContent, Fault::Server, confidence, "redirect", what);
    trouble = trouble.of_whole_chain();
    trouble.advice = Some(REDIRECTS);
    Some(trouble)
}

/// A redirect from https to http, which go does not follow (cmd/go/internal/web `checkRedirect`) unless GOINSECURE says so.
fn to_plain(case: &Case, one: &Asked<'_>) -> Option<Trouble> {
    let target = target(one.exchange).filter(|target| target.starts_with("http://"))?;
    let refused = one
        .complaint(case)
        .is_some_and(|error| matches!(error.kind.innermost(), GoErrorKind::RedirectToInsecure { .. }));
    if !one.exchange.url.starts_with("https://") || !one.after.is_empty() || !refused || one.request.is_none() {
        return None;
    }
    let to = host_of(&target).unwrap_or_default();
    let what = format!("a redirect to plain http at {to}, which go does not follow,");
    let mut trouble =
        Trouble::new(Code::HttpUnexpectedContent, Fault::Server, Confidence::Strong, "redirect", what).of_whole_chain();
    trouble.details.push(("location", super::shown(&target)));
    trouble.advice = Some(if is_log_in(&target) { LOG_IN } else { REDIRECTS });
    Some(trouble)
}

/// Whether go says that it could not read this host's answer.
fn not_understood(case: &Case, one: &Asked<'_>) -> bool {
    case.go.errors().iter().any(|error| {
        let same = error.host.as_deref() == Some(one.host.as_str())
            || error.url.as_deref().is_some_and(|url| one.exchange.url.starts_with(url));
        same && matches!(error.kind.innermost(), GoErrorKind::InvalidProxyResponse { .. })
    })
}

/// Information about another version than was asked for, which go does not take (cmd/go/internal/modfetch `proxyRepo.Stat`).
fn other_version(kind: RequestKind, one: &Asked<'_>) -> Option<String> {
    let asked = one.request.as_ref().filter(|_| kind == RequestKind::Info)?.version.as_deref()?;
    let object = serde_json::from_slice::<serde_json::Value>(content(one.exchange)?).ok()?;
    let keys = object.as_object()?;
    let (_, given) = keys.iter().find(|(key, _)| key.eq_ignore_ascii_case("version"))?;
    let given = given.as_str().filter(|given| *given != asked)?;
    // Branches and short hashes are asked for as well, and answered with a version.
    let canonical = |version: &str| {
        version.strip_prefix('v').is_some_and(|rest| {
            rest.split(['.', '-', '+']).take(3).filter(|part| part.parse::<u64>().is_ok()).count() == 3
        })
    };
    canonical(asked)
        .then(|| format!("the version {}", given.chars().filter(|c| !c.is_control()).take(40).collect::<String>()))
}

/// What came, where it is not what the endpoint serves. In doubt nothing is wrong: only the first bytes are at hand.
fn wrong(kind: RequestKind, exchange: &Exchange) -> Option<&'static str> {
    if is_html(exchange) {
        return Some("an HTML page");
    }
    let body = content(exchange)?;
    let empty = (exchange.complete && exchange.body_bytes == 0).then_some("nothing");
    let starts = |what: &[u8]| body.trim_ascii_start().starts_with(what);
    // Nothing of the body is beyond what was kept.
    let whole = exchange.complete
        && exchange.header("content-encoding").is_none()
        && usize::try_from(exchange.body_bytes).is_ok_and(|all| all == body.len());
    match kind {
        RequestKind::Info | RequestKind::Latest if body.is_empty() => empty,
        RequestKind::Info | RequestKind::Latest if !starts(b"{") => Some("no JSON object"),
        RequestKind::Info | RequestKind::Latest => {
            let object = serde_json::from_slice::<serde_json::Value>(body).ok();
            // Go reads the keys without regard to case (encoding/json).
            let version = |object: &serde_json::Value| {
                object.as_object().is_some_and(|keys| keys.keys().any(|key| key.eq_ignore_ascii_case("version")))
            };
            match object {
                Some(object) if !version(&object) => Some("a JSON object without a version"),
                None if whole => Some("broken JSON"),
                _ => None,
            }
        }
        RequestKind::Mod | RequestKind::List if starts(b"{") => Some("a JSON object"),
        RequestKind::Mod if body.is_empty() => empty,
        RequestKind::SumdbLatest if !body.is_empty() => {
            (!starts(b"go.sum database tree")).then_some("no tree head of a checksum database")
        }
        // `PK`: APPNOTE.TXT 4.3.7.
        RequestKind::Zip | RequestKind::ToolchainZip if body.len() < 2 => empty,
        RequestKind::Zip | RequestKind::ToolchainZip => (!body.starts_with(b"PK")).then_some("no zip"),
        RequestKind::SumdbLookup if body.is_empty() => empty,
        RequestKind::SumdbLookup => {
            (!body.first().is_some_and(u8::is_ascii_digit)).then_some("no record of a checksum database")
        }
        _ => None,
    }
}
