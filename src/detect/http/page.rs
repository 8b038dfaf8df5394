//! Pages for people where a program's answer is due: a filter's, a log-in portal's.

use super::super::attempt::segment_at;
use super::super::trust::Speaker;
use super::chain::{host_of, is_redirect, target};
use super::leads::{is_filter_address, is_portal_page, sends_to};
use super::{Asked, Trouble};
use crate::finding::{Code, Confidence, Evidence, Fault};
use crate::go::target::RequestKind;
use crate::observation::{Case, Connection, Exchange, Marks};
use crate::reference::{PageKind, PageMark, PageView, Reference, Role};
use crate::types::Direction;

/// Packets of the client cited that a forged answer kept from the server.
const UNANSWERED: usize = 16;
/// Words of filters' pages. One alone may stand on any page.
const FILTER_WORDS: [&str; 19] = [
    "access to this web site",
    "access to this website",
    "access to this site",
    "access to this page",
    "access to the requested",
    "site is blocked",
    "site has been blocked",
    "page has been blocked",
    "request has been blocked",
    "blocked by your",
    "blocked by the network",
    "web filter",
    "webfilter",
    "content filter",
    "url filter",
    "category:",
    "acceptable use",
    "internet usage policy",
    "network administrator",
];
/// Words in the address of a log-in page.
const LOGIN_WORDS: [&str; 9] = ["login", "logon", "portal", "captive", "hotspot", "splash", "welcome", "guest", "wifi"];
/// Words in the address of a service's own single sign-on.
const SIGN_ON_WORDS: [&str; 8] =
    ["oauth", "saml", "openid", "oidc", "/authorize", "redirect_uri=", "client_id=", "microsoftonline"];

/// Whether the body is a page, by its own look; by its type where it cannot be unpacked.
pub(super) fn is_html(exchange: &Exchange) -> bool {
    let Some(body) = content(exchange) else {
        return exchange.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().contains("text/html"));
    };
    let body = body.trim_ascii_start();
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let head = String::from_utf8_lossy(body.get(..512).unwrap_or(body)).to_ascii_lowercase();
    head.starts_with('<')
        && ["<html", "<!doctype html", "<head", "<body", "<title"].iter().any(|tag| head.contains(tag))
}

/// The body's beginning, content coding undone; `None` for codings that are not read.
pub(super) fn content(exchange: &Exchange) -> Option<&[u8]> {
    (!exchange.body_is_coded).then_some(exchange.body_head.as_slice())
}

/// Whether the host is a public service that answers programs only, and whose own error pages are known. Other public
/// module proxies stand behind content networks with pages of their own.
pub(super) fn is_public_endpoint(reference: &Reference, host: &str) -> bool {
    reference.host(host).is_some_and(|host| {
        host.operator == "google" && matches!(host.role, Role::ModuleProxy | Role::ChecksumDatabase)
    })
}

fn with_view<T>(exchange: &Exchange, look: impl FnOnce(&PageView<'_>) -> T) -> T {
    let headers: Vec<(&str, &str)> =
        exchange.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = content(exchange).unwrap_or_default();
    look(&PageView {
        status: exchange.status.unwrap_or(0),
        reason: &exchange.reason,
        headers: &headers,
        body,
        location: None,
    })
}

/// Whether the answer is no ordinary one, so that marks may be looked for in it.
fn is_suspicious(one: &Asked<'_>) -> bool {
    match one.exchange.status {
        Some(200..300) => one.is_protocol() && is_html(one.exchange),
        Some(_) => true,
        None => false,
    }
}

fn mark<'r>(reference: &'r Reference, exchange: &Exchange) -> Option<&'r PageMark> {
    with_view(exchange, |view| reference.page_mark(view))
}

/// Whether somebody else than the service may have answered. A public endpoint for programs never has pages for people: one
/// that comes is not its own, whatever the certificate.
fn may_be_foreign(reference: &Reference, one: &Asked<'_>) -> bool {
    one.speaker.may_be_another() || is_public_endpoint(reference, &one.host)
}

/// Whether the page is the far side's own, though it may look like a filter's.
pub(super) fn is_innocent(reference: &Reference, exchange: &Exchange) -> bool {
    with_view(exchange, |view| reference.innocent_page(view).is_some())
}

/// What a chain of redirects ends with, where that was recorded.
pub(super) fn last<'c>(one: &Asked<'c>) -> Option<&'c Exchange> {
    one.after.last().map(|(_, exchange)| *exchange).filter(|page| page.status.is_some() && !is_redirect(page))
}

pub(super) fn seen(page: &Exchange) -> Option<Evidence> {
    page.response.map(|at| Evidence::segment("page", at, page.flow, "what the redirect leads to"))
}

/// Where TLS vouches for the service itself, a page alone does not prove another's hand.
fn bounded(one: &Asked<'_>, confidence: Confidence) -> Confidence {
    if one.speaker.may_be_another() { confidence } else { confidence.min(Confidence::Moderate) }
}

/// Whether an address is that of a log-in page.
pub(super) fn is_log_in(url: &str) -> bool {
    let folded = url.to_ascii_lowercase();
    let address = folded.split(['?', '#']).next().unwrap_or_default();
    LOGIN_WORDS.iter().chain(&["sso", "signin", "sign_in", "sign-in", "auth"]).any(|word| address.contains(word))
        || is_sign_on(&folded)
}

fn is_sign_on(folded: &str) -> bool {
    SIGN_ON_WORDS.iter().any(|word| folded.contains(word))
}

/// A log-in portal: by its marks, or by a redirect away from the host to a page for people.
pub(super) fn portal(case: &Case, reference: &Reference, one: &Asked<'_>) -> Option<Trouble> {
    if !is_suspicious(one) || !may_be_foreign(reference, one) {
        return None;
    }
    let fault = one.interferer(case);
    let location = target(one.exchange);
    let page = last(one);
    let own = mark(reference, one.exchange);
    let marked = own.or_else(|| page.and_then(|page| mark(reference, page)));
    let blocks = |mark: &PageMark| mark.kind == PageKind::BlockPage;
    if own.is_some_and(blocks) || page.is_some_and(|page| filter_words(page) >= 2) {
        return None; // a filter, too, may show its page at a host of its own
    }
    if let Some(mark) = marked.filter(|mark| mark.kind == PageKind::CaptivePortal) {
        let what = format!("the log-in page of {}", mark.who);
        let confidence = bounded(one, Confidence::Strong);
        let mut trouble = Trouble::new(Code::HttpCaptivePortal, fault, confidence, "portal", what).of_whole_chain();
        trouble.details.push(("mark", mark.id.clone()));
        trouble.details.extend(location.map(|location| ("location", super::shown(&location))));
        trouble.more.extend(page.and_then(seen));
        return Some(trouble);
    }
    if let Some(trouble) = portal_page(one, fault) {
        return Some(trouble);
    }
    let location = location?;
    if is_filter_address(&location, &one.exchange.url) && !page.is_some_and(is_portal_page) {
        return None;
    }
    let target = host_of(&location)?;
    let folded = location.to_ascii_lowercase();
    let address = folded.split(['?', '#']).next().unwrap_or_default();
    // Mirrors redirect to the same file elsewhere, services to their own sign-on. Encrypted, nobody but who ends TLS can
    // redirect, and who that is was not seen.
    let file = one.exchange.url.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let same_file = !file.is_empty() && address.ends_with(&file);
    let hidden = one.speaker == Speaker::Unseen && !is_public_endpoint(reference, &one.host);
    if hidden || !one.is_protocol() || same_file || is_sign_on(&folded) || same_organization(&target, &one.host) {
        return None;
    }
    let html = page.is_some_and(|page| is_html(page) && page.status.is_some_and(|status| status < 400));
    let looks = LOGIN_WORDS.iter().any(|word| address.contains(word));
    let confidence = match (html, looks) {
        (true, true) => Confidence::Strong,
        (true, false) | (false, true) => Confidence::Moderate,
        (false, false) => return None,
    };
    let status = one.exchange.status.unwrap_or(0);
    let what = format!("a redirect ({status}) to {target}");
    let mut trouble =
        Trouble::new(Code::HttpCaptivePortal, fault, bounded(one, confidence), "redirect", what).of_whole_chain();
    trouble = trouble.or("a log-in of the service itself at another operator's site");
    trouble.details.push(("location", super::shown(&location)));
    trouble.more.extend(page.filter(|_| html).and_then(seen));
    Some(trouble)
}

/// A log-in page in the answer's own place, or one that sends a browser to it.
fn portal_page(one: &Asked<'_>, fault: Fault) -> Option<Trouble> {
    let sent = sends_to(one.exchange, &one.host).filter(|url| !is_filter_address(url, &one.exchange.url));
    if !one.is_protocol() || one.kind() == Some(RequestKind::Git) || !(sent.is_some() || is_portal_page(one.exchange)) {
        return None;
    }
    let status = one.exchange.status.unwrap_or(0);
    let what = match sent.as_deref().and_then(host_of) {
        Some(to) => format!("a page ({status}) that sends browsers to the log-in at {to}"),
        None => format!("a log-in page of a network ({status})"),
    };
    let mut trouble = Trouble::new(Code::HttpCaptivePortal, fault, bounded(one, Confidence::Moderate), "portal", what)
        .or("a log-in of the service itself");
    trouble.details.extend(sent.map(|url| ("location", super::shown(&url))));
    Some(trouble)
}

/// How many of a filter's words a page has.
fn filter_words(page: &Exchange) -> usize {
    if !is_html(page) {
        return 0;
    }
    let body = String::from_utf8_lossy(content(page).unwrap_or_default()).to_ascii_lowercase();
    FILTER_WORDS.iter().filter(|word| body.contains(**word)).count()
}

/// What shows that another than the server sent an answer in clear: never one sign alone.
fn forged<'c>(case: &'c Case, one: &Asked<'_>) -> Option<(&'c Connection, Marks)> {
    if one.speaker != Speaker::Anybody || one.is_proxied(case) {
        return None;
    }
    let connection = case.connection(one.exchange.flow)?;
    let marks = case.marks(connection, &segment_at(connection, one.exchange.response?)?);
    // Two contents for one place are told as such.
    (marks.classes() >= 2 && connection.conflicts.is_empty()).then_some((connection, marks))
}

/// A filter's page: by its marks, or by what it says.
pub(super) fn block(case: &Case, reference: &Reference, one: &Asked<'_>) -> Option<Trouble> {
    if !is_suspicious(one) || !may_be_foreign(reference, one) {
        return None;
    }
    let fault = one.interferer(case);
    let status = one.exchange.status.unwrap_or(0);
    let page = last(one);
    let marked = mark(reference, one.exchange).or_else(|| page.and_then(|page| mark(reference, page)));
    // Inside of a tunnel a proxy says nothing, unless it intercepts.
    let proxy = one.is_proxied(case) && one.speaker.may_be_another();
    let by_proxy = |mark: &PageMark| mark.kind == PageKind::ProxyError && status == 403 && proxy;
    if let Some(mark) = marked.filter(|mark| mark.kind == PageKind::BlockPage || by_proxy(mark)) {
        let what = format!("a page of {} ({status})", mark.who);
        let confidence = bounded(one, Confidence::Strong);
        let mut trouble = Trouble::new(Code::HttpBlockPage, fault, confidence, "block_page", what).of_whole_chain();
        trouble.details.push(("mark", mark.id.clone()));
        trouble.details.extend(mark.country.clone().map(|country| ("country", country)));
        trouble.more.extend(page.and_then(seen));
        return Some(trouble);
    }
    if let Some(page) = page.filter(|page| marked.is_none() && one.is_protocol() && filter_words(page) >= 2) {
        let to = host_of(&page.url).unwrap_or_default();
        let what = format!("a redirect ({status}) to a page at {to} that speaks of a filter");
        let confidence = bounded(one, Confidence::Strong);
        let mut trouble = Trouble::new(Code::HttpBlockPage, fault, confidence, "redirect", what).of_whole_chain();
        trouble.more.extend(seen(page));
        return Some(trouble.or("a filter in front of the service that is the service's own"));
    }
    if let Some(trouble) = led_to_filter(reference, one, fault, page).filter(|_| marked.is_none()) {
        return Some(trouble);
    }
    let page_status = matches!(status, 200 | 403 | 451) || filter_words(one.exchange) >= 2;
    // Repositories have pages of their own, and git and import path discovery talk to those.
    let protocol = one.is_protocol() && one.kind() != Some(RequestKind::Git);
    if marked.is_some() || !page_status || !protocol || !is_html(one.exchange) || is_innocent(reference, one.exchange) {
        return None;
    }
    let words = filter_words(one.exchange);
    // Module proxies of the public answer programs, in plain text; a private one may have any server's page of refusal.
    let public = is_public_endpoint(reference, &one.host);
    let inside = matches!(one.speaker, Speaker::Interceptor(_));
    let forged = forged(case, one);
    if words < 2 && forged.is_none() && !((public || inside) && (status != 200 || words == 1)) {
        return None;
    }
    let what = format!("a page that speaks of a filter ({status})");
    let what = if words == 0 { format!("a page for people ({status})") } else { what };
    let mut trouble = Trouble::new(Code::HttpBlockPage, fault, Confidence::Moderate, "block_page", what)
        .or("a filter in front of the service that is the service's own");
    trouble.details.extend(one.exchange.header("content-type").map(|kind| ("content_type", kind.to_owned())));
    if let Some((connection, marks)) = forged {
        trouble.confidence = Confidence::Strong;
        trouble.details.push(("marks", marks.words()));
        // The server's own packets would show that it was asked.
        let asked =
            connection.segments.towards(Direction::ToServer).filter(|segment| Some(segment.at) >= one.exchange.request);
        let asked = asked.take(UNANSWERED);
        trouble.more.extend(asked.map(|kept| Evidence::segment("unanswered", kept.at, connection.flow, "")));
    }
    Some(trouble)
}

/// A redirect, or a page that sends browsers, to the address of a filter's notice.
fn led_to_filter(reference: &Reference, one: &Asked<'_>, fault: Fault, page: Option<&Exchange>) -> Option<Trouble> {
    let redirect = target(one.exchange).filter(|location| is_filter_address(location, &one.exchange.url));
    let sent = sends_to(one.exchange, &one.host).filter(|url| is_filter_address(url, &one.exchange.url));
    let location = redirect.or(sent)?;
    let to = host_of(&location)?;
    let hidden = one.speaker == Speaker::Unseen && !is_public_endpoint(reference, &one.host);
    let own = is_sign_on(&location.to_ascii_lowercase()) || same_organization(&to, &one.host);
    if hidden || own || !one.is_protocol() || one.kind() == Some(RequestKind::Git) {
        return None;
    }
    let file = one.exchange.url.rsplit('/').next().unwrap_or_default();
    let address = location.split(['?', '#']).next().unwrap_or_default();
    if page.is_some_and(|page| !is_html(page)) || (!file.is_empty() && address.ends_with(file)) {
        return None; // the very file, at a place with an odd name
    }
    let status = one.exchange.status.unwrap_or(0);
    let what = format!("a redirect ({status}) to what reads like a filter's notice at {to}");
    let mut trouble =
        Trouble::new(Code::HttpBlockPage, fault, bounded(one, Confidence::Moderate), "redirect", what).of_whole_chain();
    trouble.details.push(("location", super::shown(&location)));
    trouble.more.extend(page.and_then(seen));
    Some(trouble.or("a filter in front of the service that is the service's own"))
}

/// Whether two names share their last two labels. Public suffixes of two labels only make this more lenient.
pub(super) fn same_organization(one: &str, other: &str) -> bool {
    let last_two = |name: &str| {
        let labels: Vec<&str> = name.rsplit('.').take(2).collect();
        labels.join(".").to_ascii_lowercase()
    };
    let is_address = |name: &str| name.parse::<std::net::IpAddr>().is_ok();
    if is_address(one) || is_address(other) { one == other } else { last_two(one) == last_two(other) }
}
