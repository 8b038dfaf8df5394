//! Pages for people where a program's answer is due: a filter's, a log-in portal's.

use super::{Asked, Trouble};
use crate::finding::{Code, Confidence, Evidence, Fault};
use crate::observation::{Case, Exchange};
use crate::reference::{PageKind, PageMark, PageView, Reference, Role};

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

/// Whether the body is a page, by its own look.
pub(super) fn is_html(exchange: &Exchange) -> bool {
    if exchange.body_is_coded {
        return exchange.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().contains("text/html"));
    }
    let body = exchange.body_head.trim_ascii_start();
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let head = String::from_utf8_lossy(body.get(..512).unwrap_or(body)).to_ascii_lowercase();
    head.starts_with('<')
        && ["<html", "<!doctype html", "<head", "<body", "<title"].iter().any(|tag| head.contains(tag))
}

/// Whether the host is a public service that answers programs only, and whose own error pages are known. Other public
/// module proxies stand behind content networks with pages of their own.
pub(super) fn is_public_endpoint(reference: &Reference, host: &str) -> bool {
    reference.host(host).is_some_and(|host| {
        host.operator == "google" && matches!(host.role, Role::ModuleProxy | Role::ChecksumDatabase)
    })
}

fn is_redirect(exchange: &Exchange) -> bool {
    matches!(exchange.status, Some(301 | 302 | 303 | 307 | 308))
}

fn with_view<T>(exchange: &Exchange, look: impl FnOnce(&PageView<'_>) -> T) -> T {
    let headers: Vec<(&str, &str)> =
        exchange.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    look(&PageView {
        status: exchange.status.unwrap_or(0),
        reason: &exchange.reason,
        headers: &headers,
        body: &exchange.body_head,
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

/// The page that a redirect led to, where it was recorded.
fn followed<'c>(case: &'c Case, location: &str, one: &Asked<'_>) -> Option<&'c Exchange> {
    let since = one.exchange.response;
    let same =
        |exchange: &&Exchange| exchange.url == location && exchange.response > since && exchange.status.is_some();
    case.exchanges.iter().find(same)
}

/// A log-in portal: by its marks, or by a redirect away from the host to a page for people.
pub(super) fn portal(case: &Case, reference: &Reference, one: &Asked<'_>) -> Option<Trouble> {
    if !is_suspicious(one) {
        return None;
    }
    let fault = one.interferer(case);
    let location = one.exchange.header("location").filter(|_| is_redirect(one.exchange));
    let page = location.and_then(|location| followed(case, location, one));
    let seen = |page: &Exchange| {
        page.response.map(|at| Evidence::segment("page", at, page.flow, "the page that the redirect leads to"))
    };
    let own = mark(reference, one.exchange);
    let marked = own.or_else(|| page.and_then(|page| mark(reference, page)));
    if own.is_some_and(|own| own.kind == PageKind::BlockPage) {
        return None;
    }
    if let Some(mark) = marked.filter(|mark| mark.kind == PageKind::CaptivePortal) {
        let what = format!("the log-in page of {}", mark.who);
        let mut trouble = Trouble::new(Code::HttpCaptivePortal, fault, Confidence::Strong, "portal", what);
        trouble.details.push(("mark", mark.id.clone()));
        trouble.details.extend(location.map(|location| ("location", location.to_owned())));
        trouble.more.extend(page.and_then(seen));
        return Some(trouble);
    }
    let location = location?;
    let target = host_of(location)?;
    let folded = location.to_ascii_lowercase();
    let address = folded.split(['?', '#']).next().unwrap_or_default();
    // Mirrors redirect to the same file elsewhere, services to their own sign-on; TLS cannot be redirected from outside.
    let file = one.exchange.url.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let same_file = !file.is_empty() && address.ends_with(&file);
    let own_sign_on = SIGN_ON_WORDS.iter().any(|word| folded.contains(word));
    let plain = one.exchange.url.starts_with("http://");
    if !plain || !one.is_protocol() || same_file || own_sign_on || same_organization(&target, &one.host) {
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
    let mut trouble = Trouble::new(Code::HttpCaptivePortal, fault, confidence, "redirect", what)
        .or("a log-in of the service itself at another operator's site");
    trouble.details.push(("location", location.to_owned()));
    trouble.more.extend(page.filter(|_| html).and_then(seen));
    Some(trouble)
}

/// A filter's page: by its marks, or by what it says.
pub(super) fn block(case: &Case, reference: &Reference, one: &Asked<'_>) -> Option<Trouble> {
    if !is_suspicious(one) {
        return None;
    }
    let fault = one.interferer(case);
    let status = one.exchange.status.unwrap_or(0);
    let location = one.exchange.header("location").filter(|_| is_redirect(one.exchange));
    let page = location.and_then(|location| followed(case, location, one));
    let marked = mark(reference, one.exchange).or_else(|| page.and_then(|page| mark(reference, page)));
    let by_proxy = |mark: &PageMark| mark.kind == PageKind::ProxyError && status == 403 && fault == Fault::ProxyPolicy;
    if let Some(mark) = marked.filter(|mark| mark.kind == PageKind::BlockPage || by_proxy(mark)) {
        let what = format!("a page of {} ({status})", mark.who);
        let mut trouble = Trouble::new(Code::HttpBlockPage, fault, Confidence::Strong, "block_page", what);
        trouble.details.push(("mark", mark.id.clone()));
        trouble.details.extend(mark.country.clone().map(|country| ("country", country)));
        let at = page.and_then(|page| Some((page.response?, page.flow)));
        trouble
            .more
            .extend(at.map(|(at, flow)| Evidence::segment("page", at, flow, "the page that the redirect leads to")));
        return Some(trouble);
    }
    let page_status = matches!(status, 200 | 403 | 451);
    let innocent = with_view(one.exchange, |view| reference.innocent_page(view).is_some());
    if marked.is_some() || !page_status || !one.is_protocol() || !is_html(one.exchange) || innocent {
        return None;
    }
    let body = String::from_utf8_lossy(&one.exchange.body_head).to_ascii_lowercase();
    let words = FILTER_WORDS.iter().filter(|word| body.contains(**word)).count();
    // Module proxies of the public answer programs, in plain text; a private one may have any server's page of refusal.
    let public = is_public_endpoint(reference, &one.host);
    if words < 2 && !(public && (status != 200 || words == 1)) {
        return None;
    }
    let what = format!("a page that speaks of a filter ({status})");
    let what = if words == 0 { format!("a page for people ({status})") } else { what };
    let mut trouble = Trouble::new(Code::HttpBlockPage, fault, Confidence::Moderate, "block_page", what)
        .or("a filter in front of the service that is the service's own");
    trouble.details.extend(one.exchange.header("content-type").map(|kind| ("content_type", kind.to_owned())));
    Some(trouble)
}

/// The host of an absolute URL, lower case.
fn host_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?.rsplit('@').next()?;
    let host = match authority.strip_prefix('[') {
        Some(literal) => literal.split(']').next()?,
        None => authority.split(':').next()?,
    };
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// Whether two names share their last two labels. Public suffixes of two labels only make this more lenient.
fn same_organization(one: &str, other: &str) -> bool {
    let last_two = |name: &str| {
        let labels: Vec<&str> = name.rsplit('.').take(2).collect();
        labels.join(".").to_ascii_lowercase()
    };
    let is_address = |name: &str| name.parse::<std::net::IpAddr>().is_ok();
    if is_address(one) || is_address(other) { one == other } else { last_two(one) == last_two(other) }
}
