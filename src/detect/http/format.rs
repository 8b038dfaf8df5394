//! What the endpoints of the module proxy's and the checksum database's protocol serve.

use super::page::{is_html, is_public_endpoint};
use super::{Asked, Trouble};
use crate::finding::{Code, Confidence, Evidence, Fault};
use crate::go::GoErrorKind;
use crate::go::target::RequestKind;
use crate::observation::{Case, Exchange};
use crate::reference::Reference;

/// A success with something else than what the endpoint serves, or a redirect to it.
pub(super) fn unexpected(case: &Case, reference: &Reference, one: &Asked<'_>) -> Option<Trouble> {
    let kind = one.kind().filter(|_| one.is_protocol())?;
    if one.exchange.method == "HEAD" {
        return None;
    }
    let (page, what) = match one.exchange.status? {
        200 => (None, wrong(kind, one.exchange)?),
        301 | 302 | 303 | 307 | 308 => {
            let location = one.exchange.header("location")?;
            let page = case.exchanges.iter().find(|exchange| {
                exchange.url == location && exchange.status == Some(200) && exchange.response > one.exchange.response
            });
            match page {
                Some(page) => (Some(page), wrong(kind, page)?),
                // Where the redirect leads cannot be read; go says that it was no answer.
                None if not_understood(case, one) => (None, "a redirect to something else"),
                None => return None,
            }
        }
        _ => return None,
    };
    // A public service does not change its mind about its protocol: somebody answers in its place.
    let plain = one.exchange.url.starts_with("http://");
    let fault = if is_public_endpoint(reference, &one.host) && plain { one.interferer(case) } else { Fault::Client };
    let confidence = if not_understood(case, one) { Confidence::Strong } else { Confidence::Moderate };
    let mut trouble = Trouble::new(Code::HttpUnexpectedContent, fault, confidence, "answer", what)
        .or("a log-in page of the network")
        .or("a server that is set up wrongly");
    trouble.details.extend(one.exchange.header("content-type").map(|kind| ("content_type", kind.to_owned())));
    let at = page.and_then(|page| Some((page.response?, page.flow)));
    trouble.more.extend(at.map(|(at, flow)| Evidence::segment("page", at, flow, "what the redirect leads to")));
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

/// What came, where it is not what the endpoint serves. In doubt nothing is wrong: only the first bytes are at hand.
fn wrong(kind: RequestKind, exchange: &Exchange) -> Option<&'static str> {
    if is_html(exchange) {
        return Some("an HTML page");
    }
    if exchange.body_is_coded {
        return None;
    }
    let body = exchange.body_head.as_slice();
    let whole = exchange.complete && exchange.body_bytes == 0;
    let empty = whole.then_some("nothing");
    let starts = |what: &[u8]| body.trim_ascii_start().starts_with(what);
    match kind {
        RequestKind::Info | RequestKind::Latest if body.is_empty() => empty,
        RequestKind::Info | RequestKind::Latest => (!starts(b"{")).then_some("no JSON object"),
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
