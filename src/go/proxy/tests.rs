//! The tables of golang/net `http/httpproxy/proxy_test.go` (29181b8c), and values seen in runs of Go 1.21.13, 1.22.10 and 1.27.3.

use std::net::IpAddr;

use super::misread::{MisreadKind, explain_no_proxy};
use super::*;

fn env(pairs: &[(&str, &str)]) -> GoEnv {
    let text: String = pairs.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    GoEnv::parse(&text)
}

/// `None` for direct, else the proxy.
fn ask(env: &GoEnv, url: &str, version: Option<GoVersion>) -> Option<String> {
    let (scheme, rest) = url.split_once("://").unwrap();
    let authority = rest.split('/').next().unwrap();
    let (host, port) = match no_proxy::split_host_port(authority) {
        Some((host, port)) => (host, port.parse().unwrap()),
        None => (authority, 0),
    };
    match ProxyFunc::for_version(env, version).proxy_for(scheme, &host.replace("%25", "%"), port) {
        Decision::Via { url, .. } => Some(url.to_string()),
        Decision::Direct { .. } => None,
        Decision::Refused { .. } => Some("refused".to_owned()),
    }
}

#[test]
fn upstream_table_of_proxy_urls() {
    let none = "";
    for (http, https, cgi, url, expected) in [
        ("127.0.0.1:8080", "", false, "http://example.com", "http://127.0.0.1:8080"),
        ("cache.corp.example.com:1234", "", false, "http://example.com", "http://cache.corp.example.com:1234"),
        ("cache.corp.example.com", "", false, "http://example.com", "http://cache.corp.example.com"),
        ("localhost", "", false, "http://example.com", "http://localhost"),
        ("https://cache.corp.example.com", "", false, "http://example.com", "https://cache.corp.example.com"),
        ("http://127.0.0.1:8080", "", false, "http://example.com", "http://127.0.0.1:8080"),
        ("https://127.0.0.1:8080", "", false, "http://example.com", "https://127.0.0.1:8080"),
        ("socks5://127.0.0.1", "", false, "http://example.com", "socks5://127.0.0.1"),
        ("socks5h://127.0.0.1", "", false, "http://example.com", "socks5h://127.0.0.1"),
        ("foo://host", "", false, "http://example.com", "foo://host"),
        ("http.proxy.tld", "secure.proxy.tld", false, "http://insecure.tld/", "http://http.proxy.tld"),
        ("http.proxy.tld", "secure.proxy.tld", false, "https://secure.tld/", "http://secure.proxy.tld"),
        ("http.proxy.tld", "https://secure.proxy.tld", false, "https://secure.tld/", "https://secure.proxy.tld"),
        ("http.proxy.tld", "", false, "https://secure.tld/", none),
        ("http.proxy.tld", "", false, "ftp://insecure.tld/", none),
        ("http://10.1.2.3:8080", "", true, "http://example.com", "refused"),
        ("http://10.1.2.3:8080", "https://secure.proxy.tld", true, "https://secure.tld/", "https://secure.proxy.tld"),
        ("", "", true, "http://example.com", none),
        ("", "", false, "http://example.com", none),
    ] {
        let mut pairs = vec![("HTTP_PROXY", http), ("HTTPS_PROXY", https)];
        if cgi {
            pairs.push(("REQUEST_METHOD", "POST"));
        }
        let got = ask(&env(&pairs), url, None).unwrap_or_default();
        assert_eq!(got, expected, "HTTP_PROXY={http} HTTPS_PROXY={https} {url}");
    }
}

#[test]
fn upstream_table_of_exclusions() {
    for (no_proxy, url, proxied) in [
        ("example.com", "http://example.com", false),
        ("example.com", "http://foo.example.com", false),
        (".example.com", "http://example.com", true),
        ("ample.com", "http://example.com", true),
        (".foo.com", "http://example.com", true),
        (".示例.com", "http://www.示例.com", false),
        ("xn--fsq092h.com", "http://www.示例.com", false),
        ("示例.com", "http://www.xn--fsq092h.com", false),
        ("example.com", "http://[1000::%25.example.com]:123", true),
    ] {
        let got = ask(&env(&[("HTTP_PROXY", "proxy"), ("NO_PROXY", no_proxy)]), url, None);
        assert_eq!(got.is_some(), proxied, "{no_proxy} {url}");
    }
}

const MIXED: &str = "foobar.com, .barbaz.net, *.wildcard.io, 192.168.1.1, 192.168.1.2:81, 192.168.1.3:80, 10.0.0.0/30, \
                     2001:db8::52:0:1, [2001:db8::52:0:2]:443, [2001:db8::52:0:3]:80, 2002:db8:a::45/64";
const DIRECT: [&str; 14] = [
    "localhost",
    "127.0.0.1",
    "127.0.0.2",
    "[::1]",
    "192.168.1.1",
    "192.168.1.3",
    "10.0.0.2",
    "[2001:db8::52:0:1]",
    "[2001:db8::52:0:3]",
    "[2002:db8:a::123]",
    "www.barbaz.net",
    "foobar.com",
    "www.foobar.com",
    "nested.wildcard.io",
];
const PROXIED: [&str; 13] = [
    "[::2]",
    "192.168.1.2",
    "192.168.1.4",
    "[2001:db8::52:0:2]",
    "[fe80::424b:c8be:1643:a1b6]",
    "barbaz.net",
    "foofoobar.com",
    "baz.com",
    "localhost.net",
    "local.localhost",
    "barbarbaz.net",
    "wildcard.io",
    "awildcard.io",
];

#[test]
fn upstream_table_of_hosts() {
    let mixed = env(&[("HTTP_PROXY", "proxy"), ("NO_PROXY", MIXED)]);
    let with_invalid = env(&[("HTTP_PROXY", "proxy"), ("NO_PROXY", &format!(":1,{MIXED}"))]);
    let all = env(&[("HTTP_PROXY", "proxy"), ("NO_PROXY", &format!("{MIXED}, *"))]);
    for host in DIRECT {
        let url = format!("http://{host}");
        assert_eq!(ask(&mixed, &url, None), None, "{host}");
        assert_eq!(ask(&with_invalid, &url, None), None, "{host}");
        assert_eq!(ask(&all, &url, None), None, "{host}");
    }
    for host in PROXIED {
        let url = format!("http://{host}");
        assert!(ask(&mixed, &url, None).is_some(), "{host}");
        assert!(ask(&with_invalid, &url, None).is_some(), "{host}");
        assert_eq!(ask(&all, &url, None), None, "{host}");
    }
}

#[test]
fn exclusions_seen_in_runs() {
    for (no_proxy, api_direct, apex_direct) in [
        ("example.com", true, true),
        (" example.com ", true, true),
        ("EXAMPLE.COM", true, true),
        ("com", true, true),
        ("*", true, true),
        (".example.com", true, false),
        ("*.example.com", true, false),
        ("api.example.com:443", true, false),
        ("api.example.com:8443", false, false),
        ("127.0.0.0/8", false, false),
        ("http://example.com", false, false),
        ("example.com;foo", false, false),
        ("ple.com", false, false),
    ] {
        let env = env(&[("HTTPS_PROXY", "http://p:3128"), ("NO_PROXY", no_proxy)]);
        assert_eq!(ask(&env, "https://api.example.com", None).is_none(), api_direct, "{no_proxy}");
        assert_eq!(ask(&env, "https://example.com", None).is_none(), apex_direct, "{no_proxy}");
    }
}

#[test]
fn rules_that_changed_with_versions() {
    let (old, new) = (Some(GoVersion::new(1, 22, 10)), Some(GoVersion::new(1, 27, 3)));
    let socks = env(&[("HTTP_PROXY", "socks5h://10.0.0.1:1080")]);
    assert_eq!(ask(&socks, "http://example.com", new).as_deref(), Some("socks5h://10.0.0.1:1080"));
    assert_eq!(ask(&socks, "http://example.com", old).as_deref(), Some("http://socks5h/***"));
    let suffix = env(&[("HTTP_PROXY", "p"), ("NO_PROXY", "3.4,example.com")]);
    assert_eq!(ask(&suffix, "http://1.2.3.4", old), None);
    assert!(ask(&suffix, "http://1.2.3.4", new).is_some());
    assert_eq!(ask(&suffix, "http://[1000::%25.example.com]:123", old), None);
    assert!(ask(&suffix, "http://[1000::%25.example.com]:123", Some(GoVersion::new(1, 23, 9))).is_some());
}

#[test]
fn the_decision_names_its_reason() {
    let env = env(&[("https_proxy", "http://h:3128"), ("NO_PROXY", "a.example, .corp.example")]);
    let proxy = ProxyFunc::from_env(&env);
    let Decision::Direct { because: DirectBecause::Rule(rule) } = proxy.proxy_for("https", "git.corp.example", 0)
    else {
        panic!("not excluded");
    };
    assert_eq!((rule.entry.as_str(), rule.index), (".corp.example", 1));
    assert!(matches!(proxy.proxy_for("https", "x.org", 0), Decision::Via { variable: "https_proxy", .. }));
    assert_eq!(proxy.proxy_for("http", "x.org", 0), Decision::Direct { because: DirectBecause::NotSet });
    assert_eq!(proxy.proxy_for("https", "::1", 0), Decision::Direct { because: DirectBecause::Loopback });
    assert_eq!(
        proxy.proxies().map(|(v, u)| (v, u.host().to_owned())).collect::<Vec<_>>(),
        [("https_proxy", "h".to_owned())]
    );
}

#[test]
fn values_that_go_misreads() {
    for (value, host, port, misread) in [
        ("squid:3128", "squid", 3128, false),
        ("10.0.0.1:3128", "10.0.0.1", 3128, false),
        ("http://[2001:db8::1]:3128/", "2001:db8::1", 3128, false),
        ("HTTPS://H", "H", 443, false),
        ("socks5://h", "h", 1080, false),
        ("http://h:3128:x", "http", 80, true),
        ("http://user:p#ss@h:3128", "http", 80, true),
        ("http://user:pa/ss@h:3128", "http", 80, true),
        ("http:/h:3128", "http", 80, true),
        // Neither reading is an address, and the first one is no error: Go then dials a proxy without a name.
        ("a b", "", 80, true),
    ] {
        let url = ProxyUrl::parse(value).unwrap();
        assert_eq!((url.host(), url.port(), url.is_misread()), (host, port, misread), "{value}");
    }
    assert_eq!(ProxyUrl::parse(""), None);
    assert_eq!(ProxyUrl::parse("\u{7f}"), None);
}

#[test]
fn credentials_are_never_shown() {
    for value in [
        "http://geheim:hunter2@squid.corp.example:3128",
        "geheim:hunter2@squid.corp.example:3128",
        "socks5://geheim:hunter2@10.0.0.8",
        "http://geheim:hunter2#x@squid:3128",
        "http://geheim:hunter2/x@squid:3128",
        "http://geheim:x@hunter2@squid:3128",
    ] {
        let url = ProxyUrl::parse(value).unwrap();
        let env = env(&[("HTTPS_PROXY", value)]);
        let shown =
            format!("{url} {url:?} {env:?} {:?} {}", ProxyFunc::from_env(&env), env.get("HTTPS_PROXY").unwrap());
        assert!(!shown.contains("hunter2") && !shown.contains("geheim"), "{shown}");
    }
    assert!(ProxyUrl::parse("http://u:p@h").unwrap().has_credentials());
    let no_proxy = env(&[("NO_PROXY", "http://geheim:hunter2@example.com")]);
    let misread = explain_no_proxy(no_proxy.no_proxy().unwrap().1, "example.com", 443, &[]).unwrap();
    assert_eq!(misread.kind, MisreadKind::UrlInsteadOfHost);
    let direct = explain_no_proxy("http://geheim:hunter2@example.com", "example.com", 443, &[]).unwrap();
    let shown = format!("{misread:?} {direct:?} {:?} {no_proxy:?}", ProxyFunc::from_env(&no_proxy));
    assert!(!shown.contains("hunter2") && !shown.contains("geheim"), "{shown}");
}

#[test]
fn misread_exclusions() {
    use MisreadKind::*;
    let corp: &[IpAddr] = &["10.44.0.10".parse().unwrap()];
    let v6: &[IpAddr] = &["2001:db8::7".parse().unwrap()];
    let held = || Some(AddressOfName { address: corp[0] });
    for (value, host, addresses, expected) in [
        ("10.44.0.0/16", "proxy.corp.example", corp, held()),
        ("x.example,10.44.0.10", "proxy.corp.example", corp, held()),
        ("10.45.0.0/16", "proxy.corp.example", corp, None),
        ("10.44.0.0/16", "10.44.0.10", corp, None),
        ("2001:db8::/32", "proxy.corp.example", v6, Some(AddressOfName { address: v6[0] })),
        ("http://example.com", "example.com", &[], Some(UrlInsteadOfHost)),
        ("https://example.com:443/", "api.example.com", &[], Some(UrlInsteadOfHost)),
        ("http://example.org", "example.com", &[], None),
        ("example.com;foo", "example.com", &[], Some(WrongSeparator { separator: ';' })),
        ("localhost corp.example", "proxy.corp.example", &[], Some(WrongSeparator { separator: ' ' })),
        ("localhost 10.44.0.0/16", "proxy.corp.example", corp, Some(WrongSeparator { separator: ' ' })),
        ("localhost;other.example", "proxy.corp.example", corp, None),
        (".example.com", "example.com", &[], Some(SubdomainsOnly)),
        ("*.example.com", "example.com", &[], Some(SubdomainsOnly)),
        ("example.com:8443", "example.com", &[], Some(OtherPort { port: "8443".to_owned() })),
        ("10.44.0.10:8443", "10.44.0.10", &[], Some(OtherPort { port: "8443".to_owned() })),
        ("ple.com", "example.com", &[], Some(MidLabel)),
        ("*example.com", "api.example.com", &[], Some(UnknownWildcard)),
        ("10.44.*", "proxy.corp.example", corp, Some(UnknownWildcard)),
        ("proxy.*", "proxy.corp.example", &[], Some(UnknownWildcard)),
        ("[2001:db8::7]", "[2001:db8::7]", &[], Some(BracketsWithoutPort)),
        ("golang.org", "proxy.golang.org", &[], Some(IncludesSubdomains)),
        ("com", "example.com", &[], Some(WholeTopLevel)),
        ("golang.org", "golang.org", &[], None),
        ("*.golang.org", "proxy.golang.org", &[], None),
        ("*", "proxy.golang.org", &[], None),
        ("", "proxy.golang.org", corp, None),
        (":1", "proxy.golang.org", corp, None),
        ("127.0.0.0/8", "localhost", &[], None),
    ] {
        let got = explain_no_proxy(value, host, 443, addresses).map(|misread| misread.kind);
        assert_eq!(got, expected, "{value} for {host}");
    }
    let misread = explain_no_proxy("localhost, golang.org", "sum.golang.org", 443, &[]).unwrap();
    assert_eq!(misread.entry, "golang.org");
    assert!(misread.kind.goes_direct());
}
