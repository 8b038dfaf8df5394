//! Redirects: where each leads, and what came of following it, as the go command does.

use std::collections::BTreeMap;

use crate::observation::{Case, Exchange};

/// Requests that go makes for one thing (net/http `defaultCheckRedirect` stops before the eleventh).
pub(super) const MOST: usize = 10;

/// Requests for the same thing among which the one that follows a redirect is sought.
const NEAR: usize = 64;

/// The redirects of a recording: which exchange follows which, by their places in [`Case::exchanges`].
pub(super) struct Redirects {
    next: BTreeMap<usize, usize>,
    previous: BTreeMap<usize, usize>,
}

impl Redirects {
    /// Finds them: after a redirect comes the same client's request for what its `Location` names.
    pub(super) fn of(case: &Case) -> Self {
        let mut redirects = Self { next: BTreeMap::new(), previous: BTreeMap::new() };
        let mut by_url: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, exchange) in case.exchanges.iter().enumerate().filter(|(_, exchange)| !exchange.is_connect()) {
            by_url.entry(comparable(&exchange.url)).or_default().push(index);
        }
        for (index, exchange) in case.exchanges.iter().enumerate() {
            let Some(target) = target(exchange) else { continue };
            let client = |exchange: &Exchange| case.connection(exchange.flow).map(|connection| connection.client.ip());
            let Some(candidates) = by_url.get(&comparable(&target)) else { continue };
            let request = |candidate: &usize| case.exchanges.get(*candidate).and_then(|other| other.request);
            let begin = candidates.partition_point(|candidate| request(candidate) <= exchange.response);
            let found = candidates.iter().skip(begin).take(NEAR).copied().find(|candidate| {
                let same = |other: &Exchange| client(other) == client(exchange);
                !redirects.previous.contains_key(candidate) && case.exchanges.get(*candidate).is_some_and(same)
            });
            if let Some(found) = found {
                redirects.next.insert(index, found);
                redirects.previous.insert(found, index);
            }
        }
        redirects
    }

    /// What followed an exchange, in order, each with its place.
    pub(super) fn after<'c>(&self, case: &'c Case, index: usize) -> Vec<(usize, &'c Exchange)> {
        self.walk(case, index, &self.next)
    }

    /// What led to an exchange, the first request first.
    pub(super) fn before<'c>(&self, case: &'c Case, index: usize) -> Vec<(usize, &'c Exchange)> {
        let mut hops = self.walk(case, index, &self.previous);
        hops.reverse();
        hops
    }

    fn walk<'c>(&self, case: &'c Case, mut at: usize, way: &BTreeMap<usize, usize>) -> Vec<(usize, &'c Exchange)> {
        let mut hops = Vec::new();
        while let Some(&next) = way.get(&at).filter(|_| hops.len() <= MOST) {
            let Some(exchange) = case.exchanges.get(next) else { break };
            hops.push((next, exchange));
            at = next;
        }
        hops
    }
}

/// Whether the answer sends the client elsewhere (RFC 9110 §15.4).
pub(super) const fn is_redirect(exchange: &Exchange) -> bool {
    matches!(exchange.status, Some(301 | 302 | 303 | 307 | 308))
}

/// Where a redirect leads, as an absolute URL (RFC 9110 §10.2.2).
pub(super) fn target(exchange: &Exchange) -> Option<String> {
    let location = exchange.header("location").filter(|_| is_redirect(exchange))?;
    resolved(&exchange.url, location)
}

/// A reference against an absolute URL (RFC 3986 §5.2).
fn resolved(base: &str, reference: &str) -> Option<String> {
    let reference = reference.trim();
    let scheme_ends = reference.find("://").filter(|at| !reference.get(..*at).unwrap_or("/").contains(['/', '?', '#']));
    if scheme_ends.is_some() {
        return Some(reference.to_owned());
    }
    let (scheme, rest) = base.split_once("://")?;
    if reference.starts_with("//") {
        return Some(format!("{scheme}:{reference}"));
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let whole = match reference.chars().next() {
        None => return Some(base.to_owned()),
        Some('/') => reference.to_owned(),
        Some('?') => format!("{path}{reference}"),
        Some('#') => return Some(format!("{scheme}://{authority}{path}")),
        Some(_) => format!("{}/{reference}", path.rsplit_once('/').map_or("", |(folder, _)| folder)),
    };
    let (path, query) = whole.find(['?', '#']).map_or((whole.as_str(), ""), |at| whole.split_at(at));
    Some(format!("{scheme}://{authority}{}{query}", without_dots(path)))
}

/// RFC 3986 §5.2.4.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let folder = path.ends_with("/.") || path.ends_with("/..");
    format!("/{}{}", kept.join("/"), if folder && !kept.is_empty() { "/" } else { "" })
}

/// The host of an absolute URL, lower case.
pub(super) fn host_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?.rsplit('@').next()?;
    let host = match authority.strip_prefix('[') {
        Some(literal) => literal.split(']').next()?,
        None => authority.split(':').next()?,
    };
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// A URL in the form in which two that ask for the same thing are equal: scheme and host in lower case, no port that goes
/// without saying, no fragment, no empty path.
fn comparable(url: &str) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (scheme, end) = (scheme.to_ascii_lowercase(), rest.find(['/', '?']).unwrap_or(rest.len()));
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let authority = authority.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
    let usual = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.strip_suffix(usual).unwrap_or(&authority);
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("{scheme}://{authority}{slash}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_as_rfc_3986_says() {
        let base = "https://h.example:8443/a/b/c?q#f";
        for (reference, expected) in [
            ("http://other.example/x", "http://other.example/x"),
            ("//other.example/x", "https://other.example/x"),
            ("/x?y", "https://h.example:8443/x?y"),
            ("d", "https://h.example:8443/a/b/d"),
            ("../d", "https://h.example:8443/a/d"),
            ("../../../d", "https://h.example:8443/d"),
            ("./", "https://h.example:8443/a/b/"),
            ("?z", "https://h.example:8443/a/b/c?z"),
            ("/login?next=https://h.example/x", "https://h.example:8443/login?next=https://h.example/x"),
            ("", base),
        ] {
            assert_eq!(resolved(base, reference).as_deref(), Some(expected), "{reference}");
        }
        assert_eq!(resolved("https://h.example", "d").as_deref(), Some("https://h.example/d"));
        assert_eq!(resolved("no url", "/x"), None);
    }

    #[test]
    fn what_asks_for_the_same_thing_is_equal() {
        for (one, other) in [
            ("HTTPS://H.example:443/a#b", "https://h.example/a"),
            ("http://h.example", "http://h.example:80/"),
            ("http://user@h.example?x", "http://h.example/?x"),
        ] {
            assert_eq!(comparable(one), comparable(other));
        }
        assert_ne!(comparable("https://h.example/a"), comparable("https://h.example/A"));
        assert_ne!(comparable("https://h.example:80/"), comparable("https://h.example/"));
    }
}
