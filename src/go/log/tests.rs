//! Texts as go 1.19 to 1.27, git and curl print them (recorded in November 2026), or as their sources write them.

mod own_words;

use super::*;
use crate::types::Timestamp;
use GoErrorKind as K;

const URL: &str = "https://proxy.golang.org/github.com/pkg/errors/@v/v0.9.1.info";

/// The only error of a `Get` that failed for that cause.
fn get(cause: &str) -> GoError {
    one(&format!("go: github.com/pkg/errors@v0.9.1: Get \"{URL}\": {cause}\n"))
}

fn one(text: &str) -> GoError {
    let log = GoLog::parse(text);
    assert_eq!(log.errors().len(), 1, "{text}: {:?}", log.errors());
    log.errors()[0].clone()
}

fn alert(name: &str, number: u8) -> K {
    K::RemoteAlert { name: name.to_owned(), number: Some(number) }
}

fn boxed(kind: K) -> Box<K> {
    Box::new(kind)
}

#[test]
fn causes_behind_a_request() {
    let unknown = || K::UnknownAuthority { hint: None };
    let mismatch = |valid_for: &[&str], wanted: &str| K::NameMismatch {
        valid_for: valid_for.iter().map(|&name| name.to_owned()).collect(),
        wanted: wanted.to_owned(),
    };
    let refused = |reason: &str| K::ConnectRefusedByProxy { reason: reason.to_owned() };
    let socks = |reason: &str, code| K::SocksError { reason: reason.to_owned(), code };
    for (cause, kind) in [
        ("dial tcp: lookup proxy.golang.org on 192.168.1.1:53: no such host", K::NoSuchHost),
        ("dial tcp: lookup proxy.golang.org: no such host", K::NoSuchHost),
        ("dial tcp: lookup proxy.golang.org on 192.168.1.1:53: server misbehaving", K::ServerMisbehaving),
        ("dial tcp: lookup proxy.golang.org: Temporary failure in name resolution", K::ServerMisbehaving),
        (
            "dial tcp: lookup proxy.golang.org on 192.168.1.1:53: read udp 192.168.1.23:51630->192.168.1.1:53: i/o timeout",
            K::DnsTimeout,
        ),
        ("dial tcp: lookup proxy.golang.org: i/o timeout", K::DnsTimeout),
        (
            "dial tcp: lookup proxy.golang.org on [::1]:53: read udp [::1]:51630->[::1]:53: read: connection refused",
            K::DnsRefused,
        ),
        (
            "dial tcp: lookup proxy.golang.org on 8.8.8.8:53: dial udp 8.8.8.8:53: connect: network is unreachable",
            K::DnsUnreachable,
        ),
        (
            "dial tcp: lookup proxy.golang.org on 8.8.8.8:53: write udp 10.0.0.2:9->8.8.8.8:53: write: operation not permitted",
            K::DnsNotPermitted,
        ),
        ("dial tcp: lookup proxy.golang.org on 8.8.8.8:53: cannot unmarshal DNS message", K::DnsMalformed),
        (
            "dial tcp: lookup proxy.golang.org on 8.8.8.8:53: dial tcp 8.8.8.8:53: connect: connection refused",
            K::DnsOverTcp(boxed(K::DnsRefused)),
        ),
        (
            "dial tcp: lookup proxy.golang.org on 8.8.8.8:53: read tcp 10.0.0.2:4->8.8.8.8:53: read: connection reset by peer",
            K::DnsOverTcp(boxed(K::ConnectionReset)),
        ),
        ("dial tcp 142.250.74.113:443: connect: connection refused", K::ConnectionRefused),
        ("dial tcp 142.250.74.113:443: connect: no route to host", K::NoRoute),
        ("dial tcp [2a00:1450:4001::1]:443: connect: network is unreachable", K::NetworkUnreachable),
        ("dial tcp [2a00:1450:4001::1]:443: connect: cannot assign requested address", K::AddressNotAvailable),
        ("dial tcp 142.250.74.113:443: connect: operation not permitted", K::PermissionDenied),
        ("dial tcp 142.250.74.113:443: connect: permission denied", K::PermissionDenied),
        ("dial tcp 142.250.74.113:443: i/o timeout", K::DialTimeout),
        ("dial tcp 142.250.74.113:443: connect: connection timed out", K::DialTimeout),
        (
            "dial tcp 1.2.3.4:443: connectex: No connection could be made because the target machine actively refused it.",
            K::ConnectionRefused,
        ),
        ("read tcp 192.168.1.23:42568->142.250.74.113:443: read: connection reset by peer", K::ConnectionReset),
        (
            "read tcp 10.0.0.2:1->1.2.3.4:443: wsarecv: An existing connection was forcibly closed by the remote host.",
            K::ConnectionReset,
        ),
        ("read tcp 10.0.0.2:1->1.2.3.4:443: i/o timeout", K::Timeout),
        ("write tcp 10.0.0.2:1->1.2.3.4:443: write: broken pipe", K::BrokenPipe),
        ("EOF", K::Eof),
        ("unexpected EOF", K::UnexpectedEof),
        ("net/http: TLS handshake timeout", K::TlsHandshakeTimeout),
        ("context deadline exceeded (Client.Timeout exceeded while awaiting headers)", K::Timeout),
        ("http2: client connection lost", K::ConnectionLost),
        ("remote error: tls: access denied", alert("access denied", 49)),
        ("remote error: tls: unrecognized name", alert("unrecognized name", 112)),
        ("remote error: tls: handshake failure", alert("handshake failure", 40)),
        ("remote error: tls: internal error", alert("internal error", 80)),
        ("remote error: tls: protocol version not supported", alert("protocol version not supported", 70)),
        ("http: server gave HTTP response to HTTPS client", K::HttpResponseToHttpsClient),
        ("tls: first record does not look like a TLS handshake", K::NotTlsRecord),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority", unknown()),
        ("x509: certificate signed by unknown authority", unknown()),
        (
            "tls: failed to verify certificate: x509: certificate signed by unknown authority (possibly because of \"x509: ECDSA verification failure\" while trying to verify candidate authority certificate \"Lab CA\")",
            K::UnknownAuthority {
                hint: Some("possibly because of \"x509: ECDSA verification failure\" while trying to verify candidate authority certificate \"Lab CA\"".to_owned()),
            },
        ),
        (
            "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-22T12:16:59Z is after 2026-11-20T12:05:25Z",
            K::CertificateExpired {
                not_yet: false,
                now: Some(Timestamp::from_seconds(1_795_349_819)),
                bound: Some(Timestamp::from_seconds(1_795_176_325)),
            },
        ),
        (
            "x509: certificate has expired or is not yet valid: current time 2026-11-22T20:16:59+08:00 is before 2027-01-01T00:00:00Z",
            K::CertificateExpired {
                not_yet: true,
                now: Some(Timestamp::from_seconds(1_795_349_819)),
                bound: Some(Timestamp::from_seconds(1_798_761_600)),
            },
        ),
        (
            "x509: certificate has expired or is not yet valid: ",
            K::CertificateExpired { not_yet: false, now: None, bound: None },
        ),
        (
            "tls: failed to verify certificate: x509: certificate is valid for www.hosting.example, *.hosting.example, not proxy.golang.org",
            mismatch(&["www.hosting.example", "*.hosting.example"], "proxy.golang.org"),
        ),
        ("x509: certificate is not valid for any names, but wanted to match proxy.golang.org", mismatch(&[], "proxy.golang.org")),
        (
            "tls: failed to verify certificate: x509: cannot validate certificate for 10.0.0.1 because it doesn't contain any IP SANs",
            K::NoSubjectAlternativeName,
        ),
        ("x509: certificate relies on legacy Common Name field, use SANs instead", K::NoSubjectAlternativeName),
        ("tls: failed to parse certificate from server: x509: negative serial number", K::NegativeSerial),
        (
            "x509: cannot verify signature: insecure algorithm SHA1-RSA",
            K::InsecureAlgorithm { algorithm: "SHA1-RSA".to_owned() },
        ),
        (
            "x509: certificate signed by unknown authority (possibly because of \"x509: cannot verify signature: insecure algorithm SHA1-RSA\" while trying to verify candidate authority certificate \"Old\")",
            K::InsecureAlgorithm { algorithm: "SHA1-RSA".to_owned() },
        ),
        (
            "x509: a root or intermediate certificate is not authorized to sign for this name: x",
            K::OtherX509("a root or intermediate certificate is not authorized to sign for this name: x".to_owned()),
        ),
        ("x509: no valid chains built", K::OtherX509("no valid chains built".to_owned())),
        (
            "stream error: stream ID 17; INTERNAL_ERROR; received from peer",
            K::StreamError { code: "INTERNAL_ERROR".to_owned(), from_peer: true },
        ),
        (
            "http2: server sent GOAWAY and closed the connection; LastStreamID=1999, ErrCode=NO_ERROR, debug=\"server_shutting_down\"",
            K::GoAway { code: "NO_ERROR".to_owned(), debug: Some("server_shutting_down".to_owned()) },
        ),
        ("proxyconnect tcp: dial tcp 10.44.0.8:3128: connect: connection refused", K::ProxyConnect(boxed(K::ConnectionRefused))),
        ("proxyconnect tcp: EOF", K::ProxyConnect(boxed(K::Eof))),
        ("proxyconnect tcp: tls: first record does not look like a TLS handshake", K::ProxyConnect(boxed(K::NotTlsRecord))),
        ("proxyconnect tcp: x509: certificate signed by unknown authority", K::ProxyConnect(boxed(unknown()))),
        ("proxyconnect tcp: dial tcp: lookup squid.corp.example on 10.44.0.2:53: no such host", K::ProxyConnect(boxed(K::NoSuchHost))),
        ("Forbidden", refused("Forbidden")),
        ("Forbidden by corporate policy: games", refused("Forbidden by corporate policy: games")),
        ("Proxy Authentication Required", refused("Proxy Authentication Required")),
        ("Bad Gateway", refused("Bad Gateway")),
        ("unknown status code", refused("unknown status code")),
        ("net/http: HTTP/1.x transport connection broken: malformed HTTP response \"\\x05\\xff\"", K::MalformedHttp { prefix: "\\x05\\xff".to_owned() }),
        ("malformed HTTP response \"\\x05\"", K::MalformedHttp { prefix: "\\x05".to_owned() }),
        (
            "redirected from secure URL https://a.example/x to insecure URL http://portal.example/login",
            K::RedirectToInsecure { to: "http://portal.example/login".to_owned() },
        ),
        ("stopped after 10 redirects", K::TooManyRedirects),
        (
            "http2: Transport received GOAWAY from server ErrCode:ENHANCE_YOUR_CALM",
            K::GoAway { code: "ENHANCE_YOUR_CALM".to_owned(), debug: None },
        ),
        ("socks connect tcp 10.0.0.8:1080->proxy.golang.org:443: unknown error host unreachable", socks("host unreachable", Some(4))),
        (
            "socks connect tcp 10.0.0.8:1080->proxy.golang.org:443: unknown error connection not allowed by ruleset",
            socks("connection not allowed by ruleset", Some(2)),
        ),
        (
            "socks connect tcp 10.0.0.8:1080->proxy.golang.org:443: unknown error general SOCKS server failure",
            socks("general SOCKS server failure", Some(1)),
        ),
        (
            "socks connect tcp 10.0.0.8:1080->proxy.golang.org:443: unexpected protocol version 72",
            socks("unexpected protocol version 72", None),
        ),
        (
            "socks connect tcp 10.0.0.8:1080->proxy.golang.org:443: dial tcp 10.0.0.8:1080: connect: connection refused",
            K::ProxyConnect(boxed(K::ConnectionRefused)),
        ),
        ("refusing to use HTTP_PROXY value in CGI environment; see golang.org/s/cgihttpproxy", K::CgiProxyRefused),
        ("context canceled", K::Other),
    ] {
        let error = get(cause);
        assert_eq!(error.kind, kind, "{cause}");
        assert_eq!(error.url.as_deref(), Some(URL), "{cause}");
        assert_eq!(error.host.as_deref(), Some("proxy.golang.org"), "{cause}");
        assert_eq!(error.module.as_deref(), Some("github.com/pkg/errors@v0.9.1"), "{cause}");
        assert!(!error.sumdb && error.line == 1);
    }
}

#[test]
fn addresses_are_kept_apart() {
    let dns = get(
        "dial tcp: lookup proxy.golang.org on 192.168.1.1:53: read udp 192.168.1.23:51630->192.168.1.1:53: i/o timeout",
    );
    assert_eq!(dns.resolver, "192.168.1.1:53".parse().ok());
    assert_eq!(dns.local, "192.168.1.23:51630".parse().ok());
    assert_eq!((dns.address, dns.lookup.as_deref()), (None, Some("proxy.golang.org")));
    let reset = get("read tcp 192.168.1.23:42568->142.250.74.113:443: read: connection reset by peer");
    assert_eq!((reset.local, reset.address), ("192.168.1.23:42568".parse().ok(), "142.250.74.113:443".parse().ok()));
    let v6 = get("dial tcp [2a00:1450:4001::1]:443: i/o timeout");
    assert_eq!(v6.address, "[2a00:1450:4001::1]:443".parse().ok());
    let zone = get("dial tcp [fe80::1%eth0]:443: i/o timeout");
    assert_eq!(zone.address, "[fe80::1]:443".parse().ok());
    let proxy = get("proxyconnect tcp: dial tcp: lookup Squid.corp.example on 10.44.0.2:53: no such host");
    assert_eq!(
        (proxy.host.as_deref(), proxy.lookup.as_deref()),
        (Some("proxy.golang.org"), Some("squid.corp.example"))
    );
    let socks = get("socks connect tcp 10.0.0.8:1080->proxy.golang.org:443: unknown error TTL expired");
    assert_eq!((socks.proxy.as_deref(), socks.address), (Some("10.0.0.8:1080"), "10.0.0.8:1080".parse().ok()));
    let log = GoLog::parse(&format!(
        "go: Get \"{URL}\": proxyconnect tcp: dial tcp 10.44.0.8:3128: i/o timeout\n{}\n",
        reset.text
    ));
    assert_eq!(
        log.addresses(),
        [(None, "10.44.0.8:3128".parse().unwrap()), (Some("proxy.golang.org"), "142.250.74.113:443".parse().unwrap())]
    );
}

#[test]
fn statuses_and_bodies() {
    let status = |code, reason: &str, body: Option<&str>| K::HttpStatus {
        code,
        reason: reason.to_owned(),
        body: body.map(str::to_owned),
    };
    let reading = |rest: &str| one(&format!("go: github.com/pkg/errors@v0.9.1: reading {URL}: {rest}\n"));
    assert_eq!(reading("403 Forbidden").kind, status(403, "Forbidden", None));
    assert_eq!(
        reading("404 Not Found\n\tserver response: not found: unknown revision").kind,
        status(404, "Not Found", Some("not found: unknown revision"))
    );
    assert_eq!(
        reading("410 Gone\n\tserver response:\n\tfirst\n\tsecond").kind,
        status(410, "Gone", Some("first\nsecond"))
    );
    let error = reading("500 Internal Server Error\n\tserver response: internal error\ngo: downloading x v1");
    assert_eq!(error.kind, status(500, "Internal Server Error", Some("internal error")));
    assert_eq!(error.url.as_deref(), Some(URL));
    let cut = one(&format!(
        "go: github.com/lab/bigmod@v1.0.0: read \"{URL}\": read tcp 10.0.0.2:5->1.2.3.4:443: read: connection reset by peer"
    ));
    assert_eq!((cut.kind, cut.local), (K::ConnectionReset, "10.0.0.2:5".parse().ok()));
    let h2 = one(&format!(
        "go: github.com/lab/bigmod@v1.0.0: read \"{URL}\": stream error: stream ID 7; INTERNAL_ERROR; received from peer"
    ));
    assert_eq!(h2.kind, K::StreamError { code: "INTERNAL_ERROR".to_owned(), from_peer: true });
    assert_eq!(one(&format!("go: x.y/z@v1: read \"{URL}\": unexpected EOF")).kind, K::UnexpectedEof);
    let portal = one(
        "go: github.com/pkg/errors@v0.9.1: invalid response from proxy \"http://goproxy.io\": invalid character '<' looking for beginning of value",
    );
    assert_eq!(
        portal.kind,
        K::InvalidProxyResponse { detail: "invalid character '<' looking for beginning of value".to_owned() }
    );
    assert_eq!((portal.url.as_deref(), portal.host.as_deref()), (Some("http://goproxy.io"), Some("goproxy.io")));
}

#[test]
fn wrapped_causes_are_unwrapped() {
    let vanity = one(
        "go: unrecognized import path \"go.vanity.example/kit\": https fetch: Get \"https://go.vanity.example/kit?go-get=1\": dial tcp 198.51.100.80:443: connect: connection refused",
    );
    assert_eq!(vanity.kind, K::ConnectionRefused);
    assert_eq!(vanity.import_path.as_deref(), Some("go.vanity.example/kit"));
    assert_eq!(vanity.host.as_deref(), Some("go.vanity.example"));
    let sumdb = one(
        "go: github.com/pkg/errors@v0.9.1: verifying module: github.com/pkg/errors@v0.9.1: Get \"https://sum.golang.org/lookup/github.com/pkg/errors@v0.9.1\": dial tcp 142.251.36.17:443: i/o timeout",
    );
    assert_eq!((&sumdb.kind, sumdb.sumdb, sumdb.host.as_deref()), (&K::DialTimeout, true, Some("sum.golang.org")));
    let relayed = one(
        "go: a.b/c@v1.0.0: verifying go.mod: a.b/c@v1.0.0/go.mod: reading https://p.example/sumdb/sum.golang.org/supported: 503 Service Unavailable",
    );
    assert!(relayed.sumdb);
    assert_eq!(relayed.module.as_deref(), Some("a.b/c@v1.0.0"));
    let odd = one("go: a.b/c@v1.0.0: verifying module: Get \"https://sum.golang.org/latest\": context canceled");
    assert_eq!(odd.kind, K::SumdbRequest);
    let meta = one(
        "go: unrecognized import path \"x.example/y\": parse https://x.example/y?go-get=1: no go-import meta tags ()",
    );
    assert_eq!((meta.kind, meta.url.as_deref()), (K::NoGoImportMeta, Some("https://x.example/y?go-get=1")));
    let nested = one(
        "go: example.com/m imports\n\tgithub.com/a/b requires\n\tgithub.com/c/d@v1.2.3: Get \"https://proxy.golang.org/github.com/c/d/@v/v1.2.3.mod\": EOF",
    );
    assert_eq!((nested.kind, nested.module.as_deref()), (K::Eof, Some("github.com/c/d@v1.2.3")));
    let old = one(
        "go: github.com/pkg/errors@v0.9.1: Get https://proxy.golang.org/github.com/pkg/errors/@v/v0.9.1.info: dial tcp: lookup proxy.golang.org on 1.1.1.1:53: no such host",
    );
    assert_eq!((old.kind, old.url.as_deref()), (K::NoSuchHost, Some(URL)));
    let build = one(&format!("main.go:4:2: github.com/pkg/errors@v0.9.1: Get \"{URL}\": EOF"));
    assert_eq!(build.kind, K::Eof);
}

#[test]
fn requests_and_progress() {
    let log = GoLog::parse(
        "# get https://proxy.golang.org/github.com/google/uuid/@v/v1.6.0.info\n\
         # get https://proxy.golang.org/github.com/google/uuid/@v/v1.6.0.info: 200 OK (0.119s)\n\
         go: downloading github.com/google/uuid v1.6.0\n\
         # get https://proxy.golang.org/github.com/@v/v1.6.0.info: 404 Not Found (0.154s)\n\
         # get https://p.example/x: Get \"https://p.example/x\": dial tcp 10.0.0.1:443: i/o timeout\n\
         go: added github.com/google/uuid v1.6.0\n\
         go: upgraded a.b/c v1.0.0 => v1.1.0\n\
         go: downloading go1.27.3 (linux/amd64)\n",
    );
    assert!(log.errors().is_empty());
    let requests: Vec<_> = log.requests().iter().map(|r| (r.line, r.status, r.seconds)).collect();
    assert_eq!(requests, [(1, None, None), (2, Some(200), Some(0.119)), (4, Some(404), Some(0.154)), (5, None, None)]);
    assert_eq!(log.requests()[3].error, Some(K::DialTimeout));
    assert_eq!(log.requests()[1].url, log.requests()[0].url);
    let progress: Vec<_> = log.progress().iter().map(|p| (p.line, p.kind, p.module.as_str())).collect();
    assert_eq!(
        progress,
        [
            (3, ProgressKind::Downloading, "github.com/google/uuid@v1.6.0"),
            (6, ProgressKind::Added, "github.com/google/uuid@v1.6.0"),
            (7, ProgressKind::Added, "a.b/c@v1.1.0"),
            (8, ProgressKind::Downloading, "go1.27.3"),
        ]
    );
    assert_eq!(log.hosts(), ["proxy.golang.org", "p.example"]);
}

#[test]
fn steps_keep_their_order() {
    let log = GoLog::parse(&format!(
        "--- step 1:  go get github.com/pkg/errors@v0.9.1\ngo: github.com/pkg/errors@v0.9.1: Get \"{URL}\": net/http: TLS handshake timeout\n--- step 2: GOPROXY=https://cdn.proxy.example go get github.com/pkg/errors@v0.9.1\ngo: downloading github.com/pkg/errors v0.9.1\n"
    ));
    assert_eq!(log.errors().len(), 1);
    assert_eq!((log.errors()[0].line, log.progress()[0].line), (2, 4));
    assert_eq!(log.line(3).map(|line| line.starts_with("--- step 2")), Some(true));
    assert_eq!(log.hosts(), ["proxy.golang.org", "cdn.proxy.example"]);
}

#[test]
fn other_tools_around_it() {
    for prefix in [
        "2026-11-22T10:00:00.1234567Z ",
        "#12 3.456 ",
        "\u{1b}[31m",
        "[10:00:00] ",
        "app-1  | ",
        "##[error]",
        "2026/11/22 10:00:00 ",
        "go : ",
        "Error: exit status 1: ",
    ] {
        let error = one(&format!("{prefix}go: github.com/pkg/errors@v0.9.1: Get \"{URL}\": EOF\u{1b}[0m\r\nexit 1\n"));
        assert_eq!(error.kind, K::Eof, "{prefix}");
    }
    for innocent in [
        "cat <<EOF\nEOF\n",
        "go: warning: \"all\" matched no packages\n",
        "go: module a.b/c is deprecated: use d\n",
        "go: finding module for package a.b/c\n",
        "PASS\nok  \ta.b/c\t0.1s\n",
        "Get in touch with us: EOF\n",
        "connection refused\n",
        "see https://go.dev/doc/modules: read it\n",
    ] {
        assert_eq!(GoLog::parse(innocent).errors(), [], "{innocent}");
        assert!(GoLog::parse(innocent).hosts().is_empty(), "{innocent}");
    }
}

#[test]
fn hostile_texts() {
    let megabyte = "go: ".repeat(250_000);
    let nested = format!("go: {}x", "proxyconnect tcp: ".repeat(50_000));
    let urls = "Get \"https://".repeat(80_000);
    let tabs = "go: x: y\n\t".repeat(20_000);
    for text in [
        "",
        "\n",
        "go: ",
        "go: :",
        "\0\0\0",
        "go: \u{fffd}\u{fffd}: Get \"",
        "Get \"https://\": ",
        "dial tcp: lookup",
        "dial tcp: lookup  on : ",
        "read tcp ->: ",
        "socks connect tcp",
        "x509: ",
        "x509: certificate is valid for , not ",
        "remote error: ",
        "stream error: ",
        "# get http: 99",
        "# get https://é: éé",
        "checksum mismatch",
        "invalid response from proxy \"",
        "reading https://a/: 4€3",
        megabyte.as_str(),
        nested.as_str(),
        urls.as_str(),
        tabs.as_str(),
    ] {
        let log = GoLog::parse(text);
        let _ = (log.hosts(), log.addresses());
        assert!(
            log.lines()
                .iter()
                .all(|line| line.len() <= LINE + 8 && !line.contains(|c: char| c.is_control() && c != '\t'))
        );
        assert!(log.errors().iter().all(|error| error.text.len() <= ERROR));
    }
}

/// The innermost kind of every recorded scenario, in the names of its folder, where the recordings are at hand.
#[test]
fn recorded_scenarios() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/scenarios");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: no scenarios at {}", folder.display());
        return;
    };
    for entry in entries.flatten() {
        let Ok(bytes) = std::fs::read(entry.path().join("go.stderr")) else { continue };
        let log = GoLog::parse(&crate::go::decode(&bytes));
        let name = entry.file_name().to_string_lossy().into_owned();
        let failed =
            !name.starts_with("ok-") && !["cert-wrong-order", "dns-transparent-proxy"].contains(&name.as_str());
        assert_eq!(!log.errors().is_empty(), failed, "{name}: {:?}", log.errors());
        for error in log.errors() {
            assert_ne!(error.kind, K::Other, "{name}: {}", error.text);
            assert!(error.module.is_some(), "{name}: {}", error.text);
        }
    }
}
