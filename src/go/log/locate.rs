//! Where in an error the module, the URL, the cause and the addresses stand.

use std::net::SocketAddr;

use crate::go::text::limited;

/// `path@version` in the text, without `/go.mod`. The path's first element has a dot, as download paths do.
pub(super) fn module(text: &str) -> Option<String> {
    text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '(' | ')' | ',')).find_map(|word| {
        let word = word.trim_end_matches(':');
        let (path, version) = word.split_once('@')?;
        let version = version.strip_suffix("/go.mod").unwrap_or(version);
        let first = path.split('/').next()?;
        let plausible = first.contains('.')
            && !path.contains(':')
            && !version.is_empty()
            && !version.contains([':', '/', '@'])
            && word.len() <= 600;
        plausible.then(|| format!("{path}@{version}"))
    })
}

/// A request that the text names, and what it says went wrong with it.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) url: &'a str,
    pub(super) cause: &'a str,
    /// Whether the cause came out of net/http's transport, where a CONNECT's reason phrase would stand.
    pub(super) transport: bool,
}

/// The innermost request of the text: the last `Get "URL": CAUSE`, `read "URL": CAUSE` or `reading URL: CAUSE`. Up to
/// Go 1.13 the URL of `Get` had no quotes.
pub(super) fn request(text: &str) -> Option<Request<'_>> {
    const MARKERS: [(&str, bool); 4] = [("Get ", true), ("Head ", true), ("read \"", false), ("reading http", false)];
    let rightmost = |(marker, transport): (&str, bool)| {
        text.rmatch_indices(marker).find_map(|(at, _)| {
            let word = text.get(at..)?.split_once([' ', '"'])?.1;
            let word = word.strip_prefix('"').unwrap_or(word);
            word.starts_with("http").then_some((at, word, transport))
        })
    };
    let (_, rest, transport) = MARKERS.into_iter().filter_map(rightmost).max_by_key(|&(at, ..)| at)?;
    let (url, cause) = rest.split_once("\": ").or_else(|| rest.split_once(": "))?;
    (!url.contains(char::is_whitespace)).then_some(Request { url, cause, transport })
}

/// The first absolute http URL in the text, without what punctuation surrounds it.
pub(super) fn first_url(text: &str) -> Option<&str> {
    urls(text).next()
}

/// All absolute http URLs in the text.
pub(super) fn urls(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("://").filter_map(move |(at, _)| {
        let (before, _) = text.split_at(at);
        let scheme = ["https", "http"].into_iter().find(|scheme| before.ends_with(scheme))?;
        let url = text.get(at.checked_sub(scheme.len())?..)?;
        let end =
            url.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '(' | ')' | ',' | '|' | '`'));
        let url = url.split_at(end.unwrap_or(url.len())).0.trim_end_matches([':', '.', ';']);
        Some(limited(url, 2_000))
    })
}

/// The socket addresses of `read tcp A->B: ...` or of `dial tcp B: ...`.
#[derive(Clone, Copy, Default)]
pub(super) struct Sockets {
    pub(super) local: Option<SocketAddr>,
    pub(super) remote: Option<SocketAddr>,
}

/// The addresses behind `dial NETWORK `, `read NETWORK ` and their like, at the start of `text`.
pub(super) fn sockets(text: &str) -> Sockets {
    let word = limited(text, 200).split(char::is_whitespace).next().unwrap_or_default();
    let word = word.strip_suffix(':').unwrap_or(word);
    match word.split_once("->") {
        Some((local, remote)) => Sockets { local: address(local), remote: address(remote) },
        None => Sockets { local: None, remote: address(word) },
    }
}

/// `IP:port`; a zone is dropped.
pub(super) fn address(text: &str) -> Option<SocketAddr> {
    let Some((before, after)) = text.split_once('%') else { return text.parse().ok() };
    let (_, port) = after.split_once(']')?;
    format!("{before}]{port}").parse().ok()
}
