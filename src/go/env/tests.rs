//! Values as `env`, `go env` and `go env -json` print them.

use super::*;

#[test]
fn the_three_shapes_say_the_same() {
    let plain = "GOPROXY=https://a.example,direct\nGOFLAGS=-modcacherw -mod=mod\nX='kept'\n";
    let unix = "GOPROXY='https://a.example,direct'\nGOFLAGS='-modcacherw -mod=mod'\n";
    let old = "GOPROXY=\"https://a.example,direct\"\nGOFLAGS=\"-modcacherw -mod=mod\"\n";
    let windows = "set GOPROXY=https://a.example,direct\r\nset GOFLAGS=-modcacherw -mod=mod\r\n";
    let json = "{\n\t\"GOFLAGS\": \"-modcacherw -mod=mod\",\n\t\"GOPROXY\": \"https://a.example,direct\"\n}\n";
    let export = "declare -x GOPROXY=\"https://a.example,direct\"\nexport GOFLAGS='-modcacherw -mod=mod'";
    let nul = "GOPROXY=https://a.example,direct\0GOFLAGS=-modcacherw -mod=mod\0";
    for text in [plain, unix, old, windows, json, export, nul] {
        let env = GoEnv::parse(text);
        assert_eq!(env.get("GOPROXY"), Some("https://a.example,direct"), "{text}");
        assert_eq!(env.goflags(), ["-modcacherw", "-mod=mod"], "{text}");
        assert_eq!(env.line_of("GOPROXY"), Some(if text == json { 3 } else { 1 }), "{text}");
    }
    assert_eq!(GoEnv::parse("set https_proxy=http://p\n").https_proxy().unwrap().0, "HTTPS_PROXY");
}

#[test]
fn quoting_is_undone() {
    let env =
        GoEnv::parse("A='it'\\''s'\nB=\"a\\\"b\"\nC='two\nlines'\nD=x=y\nE='open\n# no variable\nbad key=1\nF=\n=x\n");
    assert_eq!(env.get("A"), Some("it's"));
    assert_eq!(env.get("B"), Some("a\"b"));
    assert_eq!(env.get("C"), Some("two\nlines"));
    assert_eq!((env.get("D"), env.line_of("D")), (Some("x=y"), Some(5)));
    assert_eq!(env.get("E"), Some("'open"));
    assert_eq!(env.get("F"), Some(""));
    assert_eq!(env.keys().count(), 6);
}

#[test]
fn goproxy_lists() {
    let proxy = |url: &str, fallback| GoProxyEntry { source: ModuleSource::Proxy(url.to_owned()), fallback };
    let last = |source| GoProxyEntry { source, fallback: Fallback::End };
    for (value, expected) in [
        ("", vec![proxy("https://proxy.golang.org", Fallback::NotFound), last(ModuleSource::Direct)]),
        ("https://a|direct", vec![proxy("https://a", Fallback::AnyError), last(ModuleSource::Direct)]),
        ("off,https://a", vec![last(ModuleSource::Off)]),
        (
            "goproxy.cn, http://b/p ,",
            vec![proxy("https://goproxy.cn", Fallback::NotFound), proxy("http://b/p", Fallback::End)],
        ),
        ("file:///cache", vec![proxy("file:///cache", Fallback::End)]),
        ("ftp://a", vec![last(ModuleSource::Invalid("ftp://a".to_owned()))]),
        ("nonsense", vec![last(ModuleSource::Invalid("nonsense".to_owned()))]),
        (",,", vec![]),
    ] {
        assert_eq!(GoEnv::parse(&format!("GOPROXY={value}")).goproxy(), expected, "{value}");
    }
    let env = GoEnv::parse("GOPROXY=https://u:geheim@Proxy.Corp.example:8443/go,https://proxy.golang.org,direct");
    assert_eq!(env.module_proxy_hosts(), ["proxy.corp.example", "proxy.golang.org"]);
    assert!(!format!("{:?}", env.goproxy()).contains("geheim"));
    assert_eq!(GoEnv::default().module_proxy_hosts(), ["proxy.golang.org"]);
}

#[test]
fn checksum_database() {
    let on = |name: &str, key: Option<&str>, url: Option<&str>| SumDb::On {
        name: name.to_owned(),
        key: key.map(str::to_owned),
        url: url.map(str::to_owned),
    };
    for (value, expected, host) in [
        ("", on("sum.golang.org", None, None), Some("sum.golang.org")),
        ("off", SumDb::Off, None),
        (
            "sum.golang.google.cn",
            on("sum.golang.org", None, Some("https://sum.golang.google.cn")),
            Some("sum.golang.google.cn"),
        ),
        (
            "sum.golang.org+2e48+Acco",
            on("sum.golang.org", Some("sum.golang.org+2e48+Acco"), None),
            Some("sum.golang.org"),
        ),
        (
            "s.example/x+1+2 https://m.example",
            on("s.example/x", Some("s.example/x+1+2"), Some("https://m.example")),
            Some("m.example"),
        ),
    ] {
        let env = GoEnv::parse(&format!("GOSUMDB={value}"));
        assert_eq!(env.gosumdb(), expected, "{value}");
        assert_eq!(env.sumdb_host().as_deref(), host, "{value}");
    }
}

#[test]
fn private_modules() {
    let env = GoEnv::parse("GOPRIVATE=*.corp.example\nGONOSUMDB=\nGONOPROXY=none\n");
    assert!(!env.bypasses_module_proxy("git.corp.example/x"));
    assert!(!env.uses_sumdb("git.corp.example/x"));
    assert!(env.uses_sumdb("github.com/x/y"));
    let off = GoEnv::parse("GOSUMDB=off");
    assert!(!off.uses_sumdb("github.com/x/y"));
    assert!(off.uses_sumdb("golang.org/toolchain"));
}

#[test]
fn proxies_follow_gos_precedence() {
    let env = GoEnv::parse(
        "HTTPS_PROXY=\nhttps_proxy=http://lower:3128\nHTTP_PROXY=upper:8080\nhttp_proxy=lower:1\nno_proxy=x\n",
    );
    assert_eq!(
        env.https_proxy().map(|(key, url)| (key, url.host().to_owned())),
        Some(("https_proxy", "lower".to_owned()))
    );
    assert_eq!(env.http_proxy().map(|(key, url)| (key, url.port())), Some(("HTTP_PROXY", 8080)));
    assert_eq!(env.no_proxy(), Some(("no_proxy", "x")));
    assert_eq!(GoEnv::parse("ALL_PROXY=socks5://h").https_proxy(), None);
}

#[test]
fn other_settings() {
    let env = GoEnv::parse(
        "GODEBUG=tlsmlkem=0,netdns=go,tlsmlkem=1\nGOVERSION=go1.27.3\nSSL_CERT_DIR=/a:/b\nSSL_CERT_FILE=\nGOTOOLCHAIN=local\nGOINSECURE=x.example\n",
    );
    assert_eq!(env.godebug().get("tlsmlkem"), Some(&"1"));
    assert_eq!(env.go_version(), Some(GoVersion::new(1, 27, 3)));
    assert_eq!(env.ssl_cert_dirs(), ["/a", "/b"]);
    assert_eq!(env.ssl_cert_file(), None);
    assert_eq!(env.gotoolchain(), Some("local"));
    assert_eq!(env.goinsecure(), "x.example");
}

#[test]
fn secrets_are_not_shown() {
    let env = GoEnv::parse(
        "HTTPS_PROXY=http://geheim:12345/x@h:3128\nhttp_proxy=geheim@h\nGITHUB_TOKEN=geheim\nAWS_SECRET_ACCESS_KEY=geheim\nGOPROXY=https://geheim@h\nX=https://geheim:geheim@h\nNPM_API_KEY=geheim\n",
    );
    let shown = format!("{env:?} {:?}", env.keys().map(|key| env.get(key)).collect::<Vec<_>>());
    assert!(!shown.contains("geheim") && !shown.contains("12345"), "{shown}");
    assert_eq!(env.get("HTTPS_PROXY"), Some("http://***@h:3128"));
}

#[test]
fn hostile_texts() {
    for text in ["", "\0", "\0\0=\0", "{", "{\"A\":1}", "{\"A\":\"\u{0}", "A='", "set ", "=", "\u{feff}A=1"] {
        let _ = GoEnv::parse(text).goproxy();
    }
    let long = format!("NO_PROXY={}\n", "a,".repeat(500_000));
    assert_eq!(GoEnv::parse(&long).no_proxy().map(|(_, v)| v.len()), Some(1_000_000));
    let quotes = "A='x\n".repeat(20_000);
    assert_eq!(GoEnv::parse(&quotes).get("A"), Some("'x"));
    assert!(GoEnv::parse("[1,2]").is_empty());
}
