//! Each code, what looks like it and is innocent, and what cannot be read.

mod inside_tls;
mod leads;

use super::*;
use crate::observation::Veil;
use crate::testing::Scene;

const PSH: u16 = 8;
const FIN: u16 = 1;
const RST_ACK: u16 = 4;
/// A private module proxy over plain HTTP.
const PROXY: &str = "modules.corp.example";
const AT: &str = "10.44.0.12:80";
const INFO: &str = "/example.com/x/@v/v1.0.0.info";
const ZIP: &str = "/example.com/x/@v/v1.0.0.zip";

fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.env(&format!("GOPROXY=http://{PROXY}\n"));
    scene.go.exit = Some(1);
    scene
}

/// One request and one answer, in a connection of its own, closed afterwards.
fn exchange(scene: &mut Scene, at: &str, host: &str, path: &str, answer: &str) {
    exchange_of(scene, at, host, path, answer.as_bytes());
}

fn exchange_of(scene: &mut Scene, at: &str, host: &str, path: &str, answer: &[u8]) {
    let mut tcp = scene.connect(at);
    scene.open(&mut tcp);
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Go-http-client/1.1\r\n\r\n");
    scene.client_sends(&mut tcp, PSH, request.as_bytes());
    scene.after_ms(30);
    for part in answer.chunks(1_400) {
        scene.server_sends(&mut tcp, PSH, part);
    }
    scene.server_sends(&mut tcp, FIN, &[]);
    scene.client_sends(&mut tcp, FIN, &[]);
    scene.after_ms(5);
}

fn answer(status: &str, kind: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn redirect(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

fn found(scene: &Scene) -> Vec<Finding> {
    assess(&scene.case(), &scene.reference).found
}

fn codes(scene: &Scene) -> Vec<&'static str> {
    found(scene).iter().map(|finding| finding.code.id()).collect()
}

fn only(scene: &Scene) -> Finding {
    let mut found = found(scene);
    assert_eq!(found.len(), 1, "{:?}", found.iter().map(|finding| finding.code.id()).collect::<Vec<_>>());
    found.remove(0)
}

/// What one answer to the question for a version gives.
fn of(path: &str, answer: &str) -> Vec<&'static str> {
    let mut scene = scene();
    exchange(&mut scene, AT, PROXY, path, answer);
    codes(&scene)
}

const NONE: [&str; 0] = [];
const PAGE: &str =
    "<!DOCTYPE html>\n<html><head><title>Notice</title></head><body>Welcome. Please sign in.</body></html>";
const FILTER: &str = "<html><head><title>Notice</title></head><body>Access to this web site was blocked by your organization. Category: Software.</body></html>";
const JSON: &str = "{\"Version\":\"v1.0.0\",\"Time\":\"2026-01-02T03:04:05Z\"}";

#[test]
fn ordinary_answers_are_silent() {
    for (path, kind, body) in [
        (INFO, "application/json", JSON),
        ("/example.com/x/@latest", "application/json", "\n {\"version\":\"v1.0.0\"}"),
        ("/example.com/x/@v/list", "text/plain", ""),
        ("/example.com/x/@v/v1.0.0.mod", "text/plain", "// a comment\nmodule example.com/x\n"),
        (ZIP, "application/zip", "PK\u{3}\u{4}"),
        ("/sumdb/sum.golang.org/supported", "text/plain", ""),
        ("/sumdb/sum.golang.org/lookup/example.com/x@v1.0.0", "text/plain", "1234\nexample.com/x v1.0.0 h1:="),
        ("/example.com/x?go-get=1", "text/html", PAGE),
    ] {
        assert_eq!(of(path, &answer("200 OK", kind, body)), NONE, "{path}");
    }
}

#[test]
fn a_filters_page_is_one_by_its_mark_or_by_what_it_says() {
    let mut scene = scene();
    exchange(&mut scene, AT, PROXY, INFO, &answer("403 Forbidden", "text/html", FILTER));
    let finding = only(&scene);
    assert_eq!((finding.code, finding.fault), (Code::HttpBlockPage, Fault::Interference));
    assert_eq!(finding.confidence(), Confidence::Moderate);
    let marked = "<html><body>Powered By FortiGuard</body></html>";
    for status in ["403 Forbidden", "200 OK", "503 Service Unavailable"] {
        assert_eq!(of(INFO, &answer(status, "text/html", marked)), ["http.block_page"], "{status}");
    }
    assert_eq!(of(INFO, &redirect("http://notify.bluecoat.com/x")), ["http.block_page"]);
}

#[test]
fn a_servers_own_page_of_refusal_is_no_filters() {
    let nginx = "<html><head><title>403 Forbidden</title></head><body><center>nginx</center></body></html>";
    let cloudflare = "<html><head><title>Attention Required! | Cloudflare</title></head><body>Access to this website was blocked by your country. Category: x</body></html>";
    for body in [nginx, cloudflare] {
        assert_eq!(of(INFO, &answer("403 Forbidden", "text/html", body)), ["http.forbidden"]);
    }
    let plain = "blocked by your administrator. Category: x. Access to this site";
    assert_eq!(of(INFO, &answer("403 Forbidden", "text/plain", plain)), ["http.forbidden"]);
}

#[test]
fn google_answers_programs_in_plain_text_and_others_may_have_pages() {
    let bare = answer("403 Forbidden", "text/html", "<html><head><title>403</title></head><body>No.</body></html>");
    let google = answer(
        "403 Forbidden",
        "text/html",
        "<html><body><a href=//www.google.com/><span id=logo aria-label=Google></span></a></body></html>",
    );
    let waf = answer("403 Forbidden", "text/html", "<html><body>Sorry, your request has been blocked.</body></html>");
    for (host, at, page, code) in [
        ("proxy.golang.org", "142.250.74.113:80", &bare, "http.block_page"),
        ("proxy.golang.org", "142.250.74.113:80", &google, "http.forbidden"),
        ("goproxy.cn", "203.0.114.9:80", &bare, "http.forbidden"),
        ("goproxy.cn", "203.0.114.9:80", &waf, "http.forbidden"),
    ] {
        let mut scene = Scene::new();
        exchange(&mut scene, at, host, INFO, page);
        assert_eq!(codes(&scene), [code], "{host}");
    }
}

#[test]
fn behind_an_http_proxy_a_block_page_is_the_proxys_policy() {
    let mut scene = Scene::new();
    scene.env("GOPROXY=http://modules.corp.example\nHTTP_PROXY=http://10.0.0.8:3128\n");
    let path = format!("http://{PROXY}{INFO}");
    exchange(&mut scene, "10.0.0.8:3128", PROXY, &path, &answer("403 Forbidden", "text/html", FILTER));
    let finding = only(&scene);
    assert_eq!((finding.code, finding.fault), (Code::HttpBlockPage, Fault::ProxyPolicy));
    assert_eq!((finding.subject.address, finding.subject.port), (None, Some(80)));
}

#[test]
fn a_portal_redirects_elsewhere_to_a_page_for_people() {
    let mut scene = scene();
    let login = "http://login.portal.example/hotspot?continue=%2Fx";
    exchange(&mut scene, AT, PROXY, INFO, &redirect(login));
    exchange(
        &mut scene,
        "10.9.9.9:80",
        "login.portal.example",
        "/hotspot?continue=%2Fx",
        &answer("200 OK", "text/html", PAGE),
    );
    let finding = only(&scene);
    assert_eq!((finding.code, finding.fault), (Code::HttpCaptivePortal, Fault::Interference));
    assert_eq!(finding.confidence(), Confidence::Strong);
    assert!(finding.evidence().iter().any(|evidence| evidence.role == "redirect"));
    assert!(finding.evidence().iter().any(|evidence| evidence.role == "page"));
    // The page itself was not recorded: less sure.
    assert_eq!(of(INFO, &redirect("https://login.portal.example/hotspot")), ["http.captive_portal"]);
    let required = answer("511 Network Authentication Required", "text/html", PAGE);
    assert_eq!(of(INFO, &required), ["http.captive_portal"]);
}

#[test]
fn a_filter_may_show_its_page_at_a_host_of_its_own() {
    for (page, code) in [(FILTER, "http.block_page"), (PAGE, "http.captive_portal")] {
        let mut scene = scene();
        exchange(&mut scene, AT, PROXY, INFO, &redirect("http://notice.filter.example/login?url=x"));
        exchange(
            &mut scene,
            "10.9.9.9:80",
            "notice.filter.example",
            "/login?url=x",
            &answer("200 OK", "text/html", page),
        );
        assert_eq!(codes(&scene), [code]);
        assert!(only(&scene).evidence().iter().any(|evidence| evidence.role == "page"));
    }
}

#[test]
fn a_version_of_go_that_does_not_exist_is_not_found() {
    let path = "/golang.org/toolchain/@v/v0.0.1-go1.99.0.linux-amd64.zip";
    let missing = answer("404 Not Found", "text/plain", "not found");
    let words = "go: download go1.99.0 for linux/amd64: toolchain not available\n";
    let mut read = scene();
    read.log(words);
    exchange(&mut read, AT, PROXY, path, &missing);
    let finding = only(&read);
    assert_eq!((finding.code, finding.fault), (Code::HttpNotFound, Fault::Upstream));
    assert_eq!(finding.subject.module.as_deref(), Some("golang.org/toolchain@v0.0.1-go1.99.0.linux-amd64"));
    assert!(finding.go_error.is_some());
    // Another version that a proxy lacks is not what go died of.
    let mut other = scene();
    other.log(&words.replace("1.99.0", "1.98.0"));
    exchange(&mut other, AT, PROXY, path, &missing);
    assert_eq!(codes(&other), NONE);
    let mut unread = scene();
    unread.env("GOPROXY=https://proxy.golang.org\n");
    unread.log(words);
    let finding = only(&unread);
    assert_eq!((finding.code, finding.subject.host.as_deref()), (Code::HttpNotFound, Some("proxy.golang.org")));
}

#[test]
fn a_connection_that_ends_before_the_answer_counts_where_go_gave_up_over_it() {
    for (words, expected) in
        [("", &NONE[..]), ("EOF", &["http.truncated_body"]), ("unexpected EOF", &["http.truncated_body"])]
    {
        let mut scene = scene();
        if !words.is_empty() {
            scene.log(&format!("go: example.com/x@v1.0.0: Get \"http://{PROXY}{ZIP}\": {words}\n"));
        }
        let mut tcp = scene.connect(AT);
        scene.open(&mut tcp);
        scene.client_sends(&mut tcp, PSH, format!("GET {ZIP} HTTP/1.1\r\nHost: {PROXY}\r\n\r\n").as_bytes());
        scene.after_ms(40);
        scene.server_sends(&mut tcp, FIN, &[]);
        scene.client_sends(&mut tcp, FIN, &[]);
        assert_eq!(codes(&scene), expected, "{words}");
    }
}

#[test]
fn mirrors_storage_and_sign_on_are_no_portals() {
    for location in [
        "https://goproxy.example.net/example.com/x/@v/v1.0.0.info",
        "https://storage.example.net/blob/ab/abcdef?sig=1",
        "http://login.corp.example/sign-in",
        "https://login.microsoftonline.com/common/oauth2/authorize?client_id=1",
        "/login",
    ] {
        assert_eq!(of(INFO, &redirect(location)), NONE, "{location}");
    }
    // Import path discovery reads pages, and is redirected as people are.
    assert_eq!(of("/example.com/x?go-get=1", &redirect("https://login.portal.example/")), NONE);
}

#[test]
fn refusals_of_the_service_have_their_codes() {
    for (status, code) in [
        ("401 Unauthorized", "http.forbidden"),
        ("403 Forbidden", "http.forbidden"),
        ("429 Too Many Requests", "http.rate_limited"),
        ("500 Internal Server Error", "http.server_error"),
        ("502 Bad Gateway", "http.server_error"),
    ] {
        let mut scene = scene();
        exchange(&mut scene, AT, PROXY, INFO, &answer(status, "text/plain", "no"));
        let finding = only(&scene);
        assert_eq!((finding.code.id(), finding.fault), (code, Fault::Upstream), "{status}");
    }
}

#[test]
fn a_refusal_that_a_second_attempt_overcame_is_silent_and_a_fallback_makes_it_harmless() {
    let mut again = scene();
    exchange(&mut again, AT, PROXY, INFO, &answer("502 Bad Gateway", "text/plain", "no"));
    exchange(&mut again, AT, PROXY, INFO, &answer("200 OK", "application/json", JSON));
    assert_eq!(codes(&again), NONE);
    let mut fallback = scene();
    fallback.go.exit = Some(0);
    exchange(&mut fallback, AT, PROXY, INFO, &answer("403 Forbidden", "text/plain", "no"));
    let finding = only(&fallback);
    assert_eq!((finding.severity, finding.fault), (Severity::Low, Fault::Harmless));
}

#[test]
fn not_found_is_told_only_where_go_died_of_it() {
    let missing = answer("404 Not Found", "text/plain", "not found");
    assert_eq!(of(INFO, &missing), NONE);
    let log = |path: &str| {
        format!("go: example.com/x@v1.0.0: reading http://{PROXY}{path}: 404 Not Found\n\tserver response: not found\n")
    };
    let mut died = scene();
    died.log(&log(INFO));
    exchange(&mut died, AT, PROXY, INFO, &missing);
    // A prefix of the path, asked at the same time.
    exchange(&mut died, AT, PROXY, "/example.com/@v/v1.0.0.info", &missing);
    let finding = only(&died);
    assert_eq!((finding.code, finding.severity), (Code::HttpNotFound, Severity::Low));
    assert!(finding.go_error.is_some());
}

#[test]
fn the_doubled_requests_of_new_go_are_one_finding() {
    let mut scene = scene();
    for _ in 0..4 {
        exchange(&mut scene, AT, PROXY, INFO, &answer("403 Forbidden", "text/plain", "no"));
    }
    assert_eq!(only(&scene).code, Code::HttpForbidden);
}

#[test]
fn something_else_than_the_protocol_is_unexpected() {
    for (path, kind, body) in [
        (INFO, "text/html", PAGE),
        (INFO, "text/plain", "OK"),
        (INFO, "application/json", ""),
        ("/example.com/x/@v/list", "text/html", PAGE),
        ("/example.com/x/@v/v1.0.0.mod", "text/html", PAGE),
        (ZIP, "application/zip", "Rar!"),
        ("/sumdb/sum.golang.org/lookup/example.com/x@v1.0.0", "text/plain", "hello"),
    ] {
        let mut scene = scene();
        exchange(&mut scene, AT, PROXY, path, &answer("200 OK", kind, body));
        let finding = only(&scene);
        assert_eq!((finding.code, finding.fault), (Code::HttpUnexpectedContent, Fault::Client), "{path} {body}");
    }
    for (path, body) in [
        (INFO, "{\"error\":\"no such repository\"}"),
        (INFO, "{\"Version\":"),
        ("/example.com/x/@latest", "{}"),
        ("/example.com/x/@v/v1.0.0.mod", "{\"error\":\"no such repository\"}"),
        ("/example.com/x/@v/v1.0.0.mod", ""),
        ("/example.com/x/@v/list", "{\"error\":\"no such repository\"}"),
        ("/sumdb/sum.golang.org/latest", "{}"),
    ] {
        assert_eq!(of(path, &answer("200 OK", "application/json", body)), ["http.unexpected_content"], "{path} {body}");
    }
    // What is compressed in a way that is not read here cannot be judged by its first bytes.
    let coded = "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n\u{1f}abc";
    assert_eq!(of(INFO, coded), NONE);
}

#[test]
fn compressed_pages_are_unpacked() {
    let squeezed = |text: &str| {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut writer, text.as_bytes()).unwrap();
        writer.finish().unwrap()
    };
    for (status, path, text, kind, code) in [
        ("403 Forbidden", INFO, FILTER, "text/html", Some("http.block_page")),
        ("200 OK", INFO, JSON, "application/json", None),
        ("200 OK", INFO, PAGE, "application/json", Some("http.unexpected_content")),
    ] {
        let body = squeezed(text);
        let mut whole = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        whole.extend(body);
        let mut scene = scene();
        exchange_of(&mut scene, AT, PROXY, path, &whole);
        assert_eq!(codes(&scene), Vec::from_iter(code), "{text}");
    }
}

#[test]
fn a_module_that_is_asked_for_is_named_and_signatures_are_not() {
    let mut scene = scene();
    exchange(&mut scene, AT, PROXY, INFO, &answer("403 Forbidden", "text/plain", "no"));
    exchange(&mut scene, AT, PROXY, "/example.com/y/@v/v2.0.0.zip", &answer("403 Forbidden", "text/plain", "no"));
    exchange(&mut scene, AT, PROXY, "/example.com/z/@v/list", &answer("403 Forbidden", "text/plain", "no"));
    let finding = only(&scene);
    assert_eq!(finding.subject.module.as_deref(), Some("example.com/x@v1.0.0"));
    let modules = ["example.com/x@v1.0.0", "example.com/y@v2.0.0"].map(str::to_owned).to_vec();
    assert_eq!(finding.details.get("modules"), Some(&Detail::List(modules)));
    assert_eq!(shown("https://h/a?X-Goog-Signature=1"), "https://h/a?…");
    assert_eq!(shown("https://h/a?go-get=1"), "https://h/a?go-get=1");
}

#[test]
fn a_reset_in_the_middle_of_a_body_cuts_it_unless_the_client_had_left() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\nContent-Length: 5000\r\n\r\nPK\u{3}\u{4}abcdef";
    for left_before in [false, true] {
        let mut scene = scene();
        let mut tcp = scene.connect(AT);
        scene.open(&mut tcp);
        scene.client_sends(&mut tcp, PSH, format!("GET {ZIP} HTTP/1.1\r\nHost: {PROXY}\r\n\r\n").as_bytes());
        scene.server_sends(&mut tcp, PSH, cut.as_bytes());
        if left_before {
            scene.client_sends(&mut tcp, FIN, &[]);
        }
        scene.reset(&tcp, 53);
        assert_eq!(codes(&scene), if left_before { &NONE[..] } else { &["http.truncated_body"] });
    }
}

#[test]
fn who_has_hung_up_before_does_not_want_the_rest() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\nContent-Length: 5000\r\n\r\nPK\u{3}\u{4}abcdef";
    let mut scene = scene();
    let mut tcp = scene.connect(AT);
    scene.open(&mut tcp);
    scene.client_sends(&mut tcp, PSH, format!("GET {ZIP} HTTP/1.1\r\nHost: {PROXY}\r\n\r\n").as_bytes());
    scene.server_sends(&mut tcp, PSH, cut.as_bytes());
    scene.client_sends(&mut tcp, FIN, &[]);
    scene.after_ms(30);
    scene.server_sends(&mut tcp, FIN, &[]);
    assert_eq!(codes(&scene), NONE);
    // A stream of HTTP/2 that ends too early has ended before that.
    let mut case = scene.case();
    case.exchanges[0].protocol = HttpProtocol::Http2;
    case.exchanges[0].error = Some("unexpected EOF".to_owned());
    let found = assess(&case, &scene.reference).found;
    assert_eq!(found[0].code, Code::HttpTruncatedBody);
    assert!(found[0].summary.contains("the end of the stream"), "{}", found[0].summary);
    assert!(!found[0].not_excluded.iter().any(|open| open.contains("ends connections")));
}

#[test]
fn a_close_with_another_senders_marks_is_not_the_servers() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\nContent-Length: 5000\r\n\r\nPK\u{3}\u{4}abcdef";
    for (ttl, timestamps, fault) in [(53, true, Fault::Upstream), (118, false, Fault::Interference)] {
        let mut scene = scene();
        let mut tcp = scene.connect(AT);
        scene.open(&mut tcp);
        scene.client_sends(&mut tcp, PSH, format!("GET {ZIP} HTTP/1.1\r\nHost: {PROXY}\r\n\r\n").as_bytes());
        scene.server_sends(&mut tcp, PSH, cut.as_bytes());
        scene.fin(&mut tcp, ttl, timestamps);
        scene.client_sends(&mut tcp, FIN, &[]);
        let finding = only(&scene);
        assert_eq!((finding.code, finding.fault), (Code::HttpTruncatedBody, fault), "{ttl}");
    }
}

#[test]
fn a_proxy_that_wants_a_password_for_a_plain_url_is_the_proxy_familys() {
    let mut scene = Scene::new();
    scene.env("GOPROXY=http://modules.corp.example\nHTTP_PROXY=http://10.0.0.8:3128\n");
    let path = format!("http://{PROXY}{INFO}");
    let wanted = answer("407 Proxy Authentication Required", "text/html", PAGE);
    exchange(&mut scene, "10.0.0.8:3128", PROXY, &path, &wanted);
    assert_eq!(codes(&scene), NONE);
    let finding = scene.finding(Code::ProxyAuthRequired);
    assert_eq!((finding.subject.host.as_deref(), finding.subject.port), (Some(PROXY), Some(80)));
    // Asked again with a password, it lets the request pass.
    exchange(&mut scene, "10.0.0.8:3128", PROXY, &path, &answer("200 OK", "application/json", JSON));
    assert!(!scene.findings().iter().any(|finding| finding.code == Code::ProxyAuthRequired));
}

#[test]
fn a_body_that_its_sender_cut_is_told_and_one_that_the_recording_cuts_is_not() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\nContent-Length: 5000\r\n\r\nPK\u{3}\u{4}abcdef";
    let mut scene_ = scene();
    exchange(&mut scene_, AT, PROXY, ZIP, cut);
    let finding = only(&scene_);
    assert_eq!((finding.code, finding.fault), (Code::HttpTruncatedBody, Fault::Upstream));
    assert!(finding.summary.contains("10 byte(s) of 5000"), "{}", finding.summary);
    // The recording ends in the middle.
    let mut open = scene();
    let mut tcp = open.connect(AT);
    open.open(&mut tcp);
    open.client_sends(&mut tcp, PSH, format!("GET {ZIP} HTTP/1.1\r\nHost: {PROXY}\r\n\r\n").as_bytes());
    open.server_sends(&mut tcp, PSH, cut.as_bytes());
    assert_eq!(codes(&open), NONE);
    // The client gives up.
    open.client_sends(&mut tcp, RST_ACK, &[]);
    assert_eq!(codes(&open), NONE);
}

#[test]
fn other_programs_and_tunnels_are_not_judged() {
    let mut scene = Scene::new();
    exchange(
        &mut scene,
        "203.0.114.7:80",
        "www.other.example",
        "/x/@v/v1.0.0.info",
        &answer("403 Forbidden", "text/html", FILTER),
    );
    let mut tcp = scene.connect("203.0.114.8:3128");
    scene.open(&mut tcp);
    scene.client_sends(&mut tcp, PSH, b"CONNECT proxy.golang.org:443 HTTP/1.1\r\nHost: proxy.golang.org:443\r\n\r\n");
    scene.server_sends(&mut tcp, PSH, answer("403 Forbidden", "text/html", FILTER).as_bytes());
    assert_eq!(codes(&scene), NONE);
}

#[test]
fn behind_tls_gos_words_count_with_moderate_confidence_and_leave_the_page_open() {
    let told = |words: &str| {
        let mut scene = Scene::new();
        scene.log(&format!("go: example.com/x@v1.0.0: {words}\n"));
        let mut tcp = scene.connect("142.250.74.113:443");
        scene.tls13_session(&mut tcp, "proxy.golang.org");
        assess(&scene.case(), &scene.reference)
    };
    let url = "https://proxy.golang.org/example.com/x/@v/v1.0.0.info";
    for (words, code, fault) in [
        (format!("reading {url}: 500 Internal Server Error"), Code::HttpServerError, Fault::Upstream),
        (format!("reading {url}: 429 Too Many Requests"), Code::HttpRateLimited, Fault::Upstream),
        (format!("reading {url}: 403 Forbidden"), Code::HttpForbidden, Fault::Unknown),
        (
            format!("reading {url}: 403 Forbidden\n\tserver response: a token is needed"),
            Code::HttpForbidden,
            Fault::Upstream,
        ),
        (format!("reading {url}: 404 Not Found"), Code::HttpNotFound, Fault::Upstream),
    ] {
        let assessment = told(&words);
        assert_eq!(assessment.found.len(), 1, "{words}");
        let finding = &assessment.found[0];
        assert_eq!((finding.code, finding.fault, finding.confidence()), (code, fault, Confidence::Moderate), "{words}");
        assert!(assessment.not_assessed.iter().any(|open| open.veil == Veil::Encrypted));
    }
    let insecure = |to: &str| format!("Get \"{to}\": redirected from secure URL {url} to insecure URL {to}");
    for (words, code) in [
        (insecure("http://hotspot.example/login?continue=x"), "http.captive_portal"),
        (insecure("http://files.example/x"), "http.unexpected_content"),
        (format!("Get \"{url}\": stopped after 10 redirects"), "http.unexpected_content"),
        (
            format!("Get \"{url}\": http2: Transport received GOAWAY from server ErrCode:ENHANCE_YOUR_CALM"),
            "http.stream_error",
        ),
        (
            format!(
                "Get \"{url}\": http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR, debug=\"\""
            ),
            "http.stream_error",
        ),
    ] {
        let assessment = told(&words);
        assert_eq!(assessment.found.iter().map(|finding| finding.code.id()).collect::<Vec<_>>(), [code], "{words}");
        assert_eq!(assessment.found[0].subject.host.as_deref(), Some("proxy.golang.org"), "{words}");
        assert!(assessment.found[0].evidence().len() > 1, "the connection is cited");
    }
    for words in [format!("Get \"{url}\": context deadline exceeded"), format!("Get \"{url}\": Forbidden")] {
        assert!(told(&words).found.is_empty(), "{words}");
    }
}

#[test]
fn behind_tls_the_close_itself_tells_whose_it_is() {
    let url = "https://proxy.golang.org/example.com/x/@v/v1.0.0.zip";
    let told = |words: &str, ttl: u8, timestamps: bool, client_first: bool, reset: bool| {
        let mut scene = Scene::new();
        scene.go.exit = Some(1);
        scene.log(&format!("go: example.com/x@v1.0.0: {words}\n"));
        let mut tcp = scene.connect("142.250.74.113:443");
        scene.open(&mut tcp);
        scene.hello(&mut tcp, "proxy.golang.org");
        scene.after_ms(30);
        scene.tls13_flight(&mut tcp, 900);
        scene.tls13_client_record(&mut tcp, 53);
        scene.after_ms(30);
        scene.server_sends(&mut tcp, PSH, &crate::testing::record(23, &[9; 400]));
        if client_first {
            scene.client_sends(&mut tcp, FIN, &[]);
        }
        if reset {
            scene.reset(&tcp, ttl);
        } else {
            scene.fin(&mut tcp, ttl, timestamps);
            scene.client_sends(&mut tcp, FIN, &[]);
        }
        let found = assess(&scene.case(), &scene.reference).found;
        found.first().map(|finding| (finding.code.id(), finding.fault))
    };
    let body = format!("read \"{url}\": unexpected EOF");
    let broken =
        format!("read \"{url}\": read tcp 192.168.1.23:40001->142.250.74.113:443: read: connection reset by peer");
    let cut = |fault| Some(("http.truncated_body", fault));
    assert_eq!(told(&body, 53, true, false, false), cut(Fault::Unknown));
    assert_eq!(told(&body, 118, false, false, false), cut(Fault::Interference));
    assert_eq!(told(&format!("Get \"{url}\": EOF"), 118, false, false, false), cut(Fault::Interference));
    // The client had hung up already.
    assert_eq!(told(&format!("Get \"{url}\": EOF"), 118, false, true, false), None);
    assert_eq!(told(&broken, 53, false, false, true), cut(Fault::Unknown));
    // Of forged resets the tcp family tells.
    assert_eq!(told(&broken, 118, false, false, true), None);
}

#[test]
fn a_stream_error_of_http2_is_told_as_the_reader_names_it() {
    let mut scene = scene();
    exchange(&mut scene, AT, PROXY, ZIP, &answer("200 OK", "application/zip", "PK\u{3}\u{4}"));
    let mut case = scene.case();
    let change = |case: &mut Case, error: &str, complete: bool| {
        case.exchanges[0].protocol = HttpProtocol::Http2;
        case.exchanges[0].complete = complete;
        case.exchanges[0].error = Some(error.to_owned());
    };
    change(&mut case, "stream error: INTERNAL_ERROR", false);
    let found = assess(&case, &scene.reference).found;
    assert_eq!(found.iter().map(|finding| finding.code).collect::<Vec<_>>(), [Code::HttpStreamError]);
    for (error, complete) in [("RST_STREAM NO_ERROR", false), ("RST_STREAM CANCEL", true)] {
        change(&mut case, error, complete);
        assert!(assess(&case, &scene.reference).found.is_empty(), "{error}");
    }
}
