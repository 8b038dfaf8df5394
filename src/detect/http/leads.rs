//! Pages and addresses that lead people to a log-in or to a filter's notice.

use super::chain::host_of;
use super::page::{content, is_html, is_log_in, same_organization};
use crate::observation::Exchange;

/// Words in the address of a filter's notice.
const BLOCK_WORDS: [&str; 8] =
    ["block", "deny", "denied", "webfilter", "urlfilter", "violation", "restricted", "category="];
/// Words of portals' pages. One alone may stand on any page.
const PORTAL_WORDS: [&str; 14] = [
    "wifi",
    "wi-fi",
    "wlan",
    "guest",
    "hotspot",
    "captive",
    "portal",
    "voucher",
    "terms of use",
    "terms and conditions",
    "terms of service",
    "connect to the internet",
    "internet access",
    "network access",
];
/// What a page with a form has.
const FORM: [&str; 3] = ["<form", "type=\"password\"", "type=password"];
/// What scripts say before the address that they lead to.
const SCRIPTS: [&str; 4] = ["window.location", "location.href", "location.replace", "document.location"];

/// Whether an address that was given in place of the one that was asked for is that of a filter's notice.
pub(super) fn is_filter_address(url: &str, asked: &str) -> bool {
    let (folded, asked) = (url.to_ascii_lowercase(), asked.to_ascii_lowercase());
    // What follows the question mark often holds the address that was asked for, whose words say nothing: modules and
    // their repositories are called "blockchain", too.
    let own = folded.split("url=").next().unwrap_or_default();
    BLOCK_WORDS.iter().any(|word| own.contains(word) && !asked.contains(word))
}

/// Whether a page is a network's log-in: a form, and words about the network.
pub(super) fn is_portal_page(exchange: &Exchange) -> bool {
    let Some(body) = text(exchange) else { return false };
    FORM.iter().any(|part| body.contains(part)) && PORTAL_WORDS.iter().filter(|word| body.contains(**word)).count() >= 2
}

/// The address elsewhere to which a page sends a browser at once, by a refresh or a script.
pub(super) fn sends_to(exchange: &Exchange, host: &str) -> Option<String> {
    let body = text(exchange)?;
    let refresh = body
        .split_once("http-equiv")
        .filter(|(_, rest)| rest.trim_start_matches(['=', '"', '\'', ' ']).starts_with("refresh"));
    let refreshed = refresh.and_then(|(_, rest)| rest.split_once("url=")).map(|(_, url)| url);
    let script = || SCRIPTS.iter().find_map(|word| body.split_once(word)).map(|(_, rest)| rest);
    let rest = refreshed.or_else(script)?;
    let rest = rest.get(rest.find("http")?..)?;
    // A link further down is not what the script says.
    let end = rest.find(['"', '\'', '>', '<', ' ', ';', ')'])?;
    let url = rest.get(..end)?.to_owned();
    let to = host_of(&url)?;
    (!same_organization(&to, host) && (is_log_in(&url) || is_filter_address(&url, &exchange.url))).then_some(url)
}

fn text(exchange: &Exchange) -> Option<String> {
    is_html(exchange).then(|| String::from_utf8_lossy(content(exchange).unwrap_or_default()).to_ascii_lowercase())
}
