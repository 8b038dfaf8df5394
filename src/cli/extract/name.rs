//! Names of files for bodies. URLs are hostile: whatever one says, the name stays below the folder, and can be written on
//! every file system, typed into a shell and read on a terminal.

use ring::digest;

use crate::types::FlowId;

/// What a file is called whose body was not seen whole.
pub(super) const INCOMPLETE: &str = ".incomplete";

/// Bytes of a component, so that numbers and [`INCOMPLETE`] fit behind it (`NAME_MAX` is 255).
const MAX_COMPONENT: usize = 200;
/// Components of a path, and its bytes. `PATH_MAX` is 4096, of which the folder may need some; a module's path is seldom
/// deeper than twelve.
const MAX_DEPTH: usize = 24;
const MAX_PATH: usize = 1_000;
/// What of a component that is too long stays before the hash of all of it.
const KEPT: usize = 120;

/// The folders below which the body of that URL belongs and, last, its name.
pub(super) fn components(url: &str, flow: FlowId) -> Vec<String> {
    if url.is_empty() {
        return vec!["unknown".to_owned(), format!("flow-{}", flow.0)];
    }
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (host, target) =
        rest.split_at_checked(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len())).unwrap_or((rest, ""));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut components = vec![component(&host.to_ascii_lowercase(), ":")];
    components.extend(path.strip_prefix('/').unwrap_or(path).split('/').map(|segment| component(segment, "")));
    if path.is_empty() || path.ends_with('/') {
        components.pop();
        components.push("index".to_owned());
    }
    if !query.is_empty()
        && let Some(last) = components.pop()
    {
        components.push(bounded(format!("{last}?{}", encoded(query, "")), query));
    }
    let mut length = 0_usize;
    let within = components.iter().take_while(|component| {
        length = length.saturating_add(component.len()).saturating_add(1);
        length <= MAX_PATH
    });
    if within.count().min(MAX_DEPTH) < components.len() { flattened(components, url) } else { components }
}

/// As many of the folders as there is room for, and in the name a hash for those that there is none for.
fn flattened(mut components: Vec<String>, url: &str) -> Vec<String> {
    let name = components.pop().unwrap_or_default();
    let mut length = KEPT.saturating_mul(2);
    components.truncate(MAX_DEPTH.saturating_sub(1));
    components.retain(|component| {
        length = length.saturating_add(component.len()).saturating_add(1);
        length <= MAX_PATH
    });
    components.push(shortened(&name, url));
    components
}

/// One name that is neither empty nor hidden nor an option nor a way up.
fn component(text: &str, also: &str) -> String {
    let mut name = encoded(text, also);
    if let Some(first @ ('.' | '-' | '~')) = name.chars().next() {
        name.replace_range(..1, &format!("%{:02X}", u32::from(first)));
    }
    if name.is_empty() {
        return "_".to_owned();
    }
    bounded(name, text)
}

/// Not longer than may be, and not ending in what marks an incomplete body.
fn bounded(name: String, text: &str) -> String {
    match name.strip_suffix(INCOMPLETE) {
        _ if name.len() > MAX_COMPONENT => shortened(&name, text),
        Some(stem) => format!("{stem}%2E{}", INCOMPLETE.trim_start_matches('.')),
        None => name,
    }
}

/// The beginning of a name, and a hash of all that it stands for.
fn shortened(name: &str, text: &str) -> String {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let hash: String = hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{}~{hash}", name.get(..KEPT).unwrap_or(name))
}

/// Percent-encoded (RFC 3986 §2.1) but for what means nothing to file systems, shells and terminals, and for what is
/// encoded already. `!` and `@` stay: module proxies write them (golang.org/ref/mod#goproxy-protocol).
fn encoded(text: &str, also: &str) -> String {
    let mut name = String::with_capacity(text.len());
    let mut bytes = text.as_bytes().iter();
    while let Some(byte) = bytes.next() {
        let c = char::from(*byte);
        let digits = bytes.as_slice().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        if c.is_ascii_alphanumeric() || "-._~!@+=,".contains(c) || also.contains(c) || (c == '%' && digits) {
            name.push(c);
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    fn path(url: &str) -> String {
        components(url, FlowId(7)).join("/")
    }

    #[test]
    fn urls_become_paths() {
        for (url, expected) in [
            (
                "https://proxy.golang.org/example.com/lab/@v/v1.0.0.zip",
                "proxy.golang.org/example.com/lab/@v/v1.0.0.zip",
            ),
            (
                "http://Proxy.Test:3000/github.com/!burnt!sushi/toml/@v/list",
                "proxy.test:3000/github.com/!burnt!sushi/toml/@v/list",
            ),
            ("https://a.test/x/y?go-get=1&b=/../c", "a.test/x/y?go-get=1%26b=%2F..%2Fc"),
            ("https://a.test", "a.test/index"),
            ("https://a.test/", "a.test/index"),
            ("https://a.test?q", "a.test/index?q"),
            ("https://a.test/x/?", "a.test/x/index"),
            ("http://[2001:db8::1]:8080/x", "%5B2001:db8::1%5D:8080/x"),
            ("proxy.golang.org:443", "proxy.golang.org:443/index"),
            ("", "unknown/flow-7"),
            ("https://a.test/x%2fy%zz", "a.test/x%2fy%25zz"),
        ] {
            assert_eq!(path(url), expected, "{url}");
        }
    }

    #[test]
    fn hostile_urls_stay_below_the_folder() {
        for (url, expected) in [
            ("http://../../etc/passwd", "%2E./%2E./etc/passwd"),
            ("http://..", "%2E./index"),
            ("http://./x", "%2E/x"),
            ("http:///etc/passwd", "_/etc/passwd"),
            ("http://h//etc//passwd", "h/_/etc/_/passwd"),
            ("http://h/a/../../../b", "h/a/%2E./%2E./%2E./b"),
            ("http://h/.ssh/-rf/~root/.", "h/%2Essh/%2Drf/%7Eroot/%2E"),
            ("http://h\\..\\x/y", "h/%5C..%5Cx/y"),
            ("http://h/a\0b\n\u{1b}[2J", "h/a%00b%0A%1B%5B2J"),
            ("http://h/\u{202e}谷/$(x)`y`", "h/%E2%80%AE%E8%B0%B7/%24%28x%29%60y%60"),
            ("http://h/x.incomplete", "h/x%2Eincomplete"),
            ("http://h/.incomplete", "h/%2Eincomplete"),
            ("http://h/x?.incomplete", "h/x?%2Eincomplete"),
            ("http://C:/x", "c:/x"),
            ("://", "_/index"),
            ("/../x", "_/%2E./x"),
        ] {
            assert_eq!(path(url), expected, "{url:?}");
        }
    }

    #[test]
    fn what_is_too_long_or_too_deep_is_cut_and_told_apart() {
        let long = |end: &str| path(&format!("http://h/{}{end}", "a".repeat(8_000)));
        assert!(long("").len() < 200 && long("") != long("b"), "{}", long(""));
        let deep = |end: &str| components(&format!("http://h/{}{end}", "d/".repeat(4_000)), FlowId(0));
        assert_eq!(deep("x").len(), MAX_DEPTH);
        assert_ne!(deep("x"), deep("y"));
        let wide = components(&format!("http://h/{}", format!("{}/", "w".repeat(190)).repeat(20)), FlowId(0));
        assert!(wide.join("/").len() <= MAX_PATH, "{wide:?}");
        assert_eq!(components(&format!("http://h/{}x", "d/".repeat(MAX_DEPTH - 2)), FlowId(0)).len(), MAX_DEPTH);
    }

    fn check(url: &str) -> Result<(), TestCaseError> {
        let components = components(url, FlowId(1));
        prop_assert!(components.len() >= 2 && components.len() <= MAX_DEPTH);
        for name in &components {
            let path = Path::new(name);
            prop_assert!(
                matches!(path.components().collect::<Vec<_>>().as_slice(), [Component::Normal(_)]),
                "{}",
                name
            );
            prop_assert!(name.len() + "-65536".len() + INCOMPLETE.len() <= 255);
            let harmless = |byte: u8| byte.is_ascii_graphic() && !b"/\\\"'$`&|;<>*()[]{}#".contains(&byte);
            prop_assert!(name.bytes().all(harmless), "{}", name);
            prop_assert!(!name.starts_with(['.', '-', '~']) && !name.ends_with(INCOMPLETE));
        }
        prop_assert!(components.join("/").len() <= MAX_PATH);
        Ok(())
    }

    proptest! {
        #[test]
        fn every_url_stays_below_the_folder(url in any::<String>(), host in "[./a:\\\\]{0,9}", path in "(/|\\.|%|a|\\?|-|\\.incomplete){0,400}") {
            check(&url)?;
            check(&format!("http://{host}/{path}"))?;
            check(&format!("http://{url}/{url}?{url}"))?;
        }
    }
}
