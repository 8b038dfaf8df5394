//! Answers inside of TLS: who can have written them decides whose they are. And redirects, from host to host.

use super::*;
use crate::certificate::Certificate;
use crate::certificate::testing::Authority;
use crate::testing::record;
use crate::types::FlowId;

const GOOGLE: &str = "proxy.golang.org";
const GOOGLE_AT: &str = "142.250.74.113:443";
const STORAGE: &str = "storage.googleapis.com";
const CORP: &str = "modules.corp.example";
const SSO: &str = "sso.corp.example";

/// The answers of a recording as they would stand inside of TLS. The scene has a handshake for each host, and the requests
/// in clear beside it.
struct Inside {
    scene: Scene,
    root: Authority,
}

impl Inside {
    fn new() -> Self {
        let root = Authority::root("Public Root");
        let mut scene = Scene::new();
        let reference = std::mem::replace(&mut scene.reference, Reference::builtin().unwrap());
        scene.reference = reference.with_roots(root.trusted());
        scene.env(&format!("GOPROXY=https://{CORP}\n"));
        scene.go.exit = Some(1);
        Self { scene, root }
    }

    /// A handshake in which the client takes the chain.
    fn handshake(&mut self, host: &'static str, chain: &[&Certificate]) -> &mut Self {
        let at = if host == GOOGLE { GOOGLE_AT } else { "203.0.114.7:443" };
        let scene = &mut self.scene;
        let mut tcp = scene.connect(at);
        scene.open(&mut tcp);
        scene.hello(&mut tcp, host);
        scene.after_ms(30);
        let chain: Vec<&[u8]> = chain.iter().map(|certificate| &*certificate.der).collect();
        scene.tls12_flight(&mut tcp, &chain);
        let key = record(22, &[&[16, 0, 0, 33][..], &[32; 33]].concat());
        scene.client_sends(&mut tcp, PSH, &[key, record(20, &[1]), record(22, &[7; 40])].concat());
        scene.after_ms(30);
        scene.server_sends(&mut tcp, PSH, &[record(20, &[1]), record(22, &[8; 40])].concat());
        scene.client_sends(&mut tcp, PSH, &record(23, &[9; 200]));
        scene.client_sends(&mut tcp, FIN, &[]);
        scene.server_sends(&mut tcp, FIN, &[]);
        self
    }

    fn genuine(&mut self, host: &'static str) -> &mut Self {
        let leaf = self.root.leaf(&[host], |_| {});
        self.handshake(host, &[&leaf])
    }

    fn signed_by(&mut self, authority: &str, host: &'static str) -> &mut Self {
        let authority = Authority::root(authority);
        let leaf = authority.leaf(&[host], |_| {});
        self.handshake(host, &[&leaf, &authority.certificate])
    }

    fn answers(&mut self, host: &str, path: &str, answer: &str) -> &mut Self {
        exchange(&mut self.scene, "203.0.114.9:80", host, path, answer);
        self
    }

    fn says(&mut self, words: &str) -> &mut Self {
        self.scene.log(&format!("go: example.com/x@v1.0.0: {words}\n"));
        self
    }

    fn case(&self) -> Case {
        let mut case = self.scene.case();
        let flows: Vec<(String, FlowId)> = case
            .handshakes
            .iter()
            .filter_map(|handshake| Some((handshake.server_name.seen()?.clone(), handshake.flow)))
            .collect();
        for exchange in &mut case.exchanges {
            let host = exchange.host().unwrap().to_owned();
            if let Some((_, flow)) = flows.iter().find(|(name, _)| *name == host) {
                exchange.flow = *flow;
                exchange.url = exchange.url.replacen("http://", "https://", 1);
            }
        }
        case
    }

    fn found(&self) -> Vec<Finding> {
        assess(&self.case(), &self.scene.reference).found
    }

    fn only(&self) -> Finding {
        let mut found = self.found();
        assert_eq!(found.len(), 1, "{:?}", found.iter().map(|finding| finding.code.id()).collect::<Vec<_>>());
        found.remove(0)
    }
}

fn is_open(finding: &Finding, alternative: &str) -> bool {
    finding.not_excluded.iter().any(|open| open.contains(alternative))
}

const WAF: &str = FILTER;
const FORTINET: &str = "<html><body>Powered By FortiGuard</body></html>";

#[test]
fn nobody_on_the_way_writes_inside_of_a_genuine_session() {
    for page in [WAF, FORTINET, PAGE] {
        let mut inside = Inside::new();
        inside.genuine(CORP).answers(CORP, INFO, &answer("403 Forbidden", "text/html", page));
        let finding = inside.only();
        assert_eq!((finding.code, finding.fault), (Code::HttpForbidden, Fault::Upstream), "{page}");
        assert!(finding.not_excluded.is_empty() && !finding.excluded.is_empty());
        assert_eq!(finding.subject.module.as_deref(), Some("example.com/x@v1.0.0"));
    }
    for status in ["451 Unavailable For Legal Reasons", "401 Unauthorized", "407 Proxy Authentication Required"] {
        let mut inside = Inside::new();
        inside.genuine(CORP).answers(CORP, INFO, &answer(status, "text/html", PAGE));
        assert_eq!(inside.only().code, Code::HttpForbidden, "{status}");
    }
}

#[test]
fn a_refusal_by_place_is_the_services_own_and_a_filters_page_at_googles_endpoint_is_not() {
    let by_place = "<!DOCTYPE html><html><a href=//www.google.com/><span id=logo aria-label=Google></span></a><p>Your client does not have permission to get URL</html>";
    for (page, code) in [(by_place, Code::HttpForbidden), (WAF, Code::HttpBlockPage), (FORTINET, Code::HttpBlockPage)] {
        let mut inside = Inside::new();
        inside.genuine(GOOGLE).answers(GOOGLE, INFO, &answer("403 Forbidden", "text/html", page));
        let finding = inside.only();
        assert_eq!(finding.code, code, "{page}");
        // The certificate speaks for the service, the page against it.
        assert_eq!(is_open(&finding, "the service itself"), code == Code::HttpBlockPage);
        assert!(code == Code::HttpForbidden || finding.confidence() == Confidence::Moderate);
    }
}

#[test]
fn inside_of_an_interceptors_tls_its_page_is_a_filters() {
    for (host, page, code) in [
        (GOOGLE, FORTINET, Code::HttpBlockPage),
        (GOOGLE, PAGE, Code::HttpBlockPage),
        (CORP, FORTINET, Code::HttpBlockPage),
        (GOOGLE, "no", Code::HttpForbidden),
    ] {
        let kind = if page.starts_with('<') { "text/html" } else { "text/plain" };
        let mut inside = Inside::new();
        inside.signed_by("Zscaler Root CA", host).answers(host, INFO, &answer("403 Forbidden", kind, page));
        let finding = inside.only();
        assert_eq!(finding.code, code, "{host} {page}");
        let named = |text: &str| text.contains("Zscaler");
        let told = finding.not_excluded.iter().any(|open| named(open))
            || finding.excluded.iter().any(|excluded| named(&excluded.how));
        assert!(told, "{finding:?}");
    }
}

#[test]
fn a_private_authority_is_a_companys_own_server_and_leaves_a_doubt() {
    let mut inside = Inside::new();
    inside.signed_by("Corp Root", CORP).answers(CORP, INFO, &answer("403 Forbidden", "text/html", WAF));
    let finding = inside.only();
    assert_eq!((finding.code, finding.fault), (Code::HttpForbidden, Fault::Upstream));
    assert!(is_open(&finding, "an interceptor whose authority this machine trusts"));
}

#[test]
fn without_the_certificates_the_doubt_is_told() {
    let mut inside = Inside::new();
    inside.genuine(CORP).answers(CORP, INFO, &answer("502 Bad Gateway", "text/plain", "no"));
    let mut case = inside.case();
    case.handshakes[0].certificates = crate::observation::Sighting::Hidden(Veil::Encrypted);
    let found = assess(&case, &inside.scene.reference).found;
    assert_eq!(found[0].code, Code::HttpServerError);
    assert!(is_open(&found[0], "the certificates were not seen"));
    assert!(!is_open(&inside.only(), "the certificates were not seen"));
}

#[test]
fn a_redirect_to_storage_is_followed_and_silent() {
    let mut inside = Inside::new();
    let target = format!("https://{STORAGE}/blob/ab?sig=secret");
    inside.genuine(CORP).genuine(STORAGE);
    inside.answers(CORP, ZIP, &redirect(&target));
    inside.answers(STORAGE, "/blob/ab?sig=secret", &answer("200 OK", "application/zip", "PK\u{3}\u{4}"));
    assert!(inside.found().is_empty(), "{:?}", inside.found());
}

#[test]
fn what_the_redirect_leads_to_is_judged_as_what_was_asked_for() {
    for (status, kind, body, code, host) in [
        ("403 Forbidden", "application/xml", "<Error/>", Code::HttpForbidden, STORAGE),
        ("503 Service Unavailable", "text/html", PAGE, Code::HttpServerError, STORAGE),
        ("200 OK", "text/html", PAGE, Code::HttpUnexpectedContent, CORP),
    ] {
        let mut inside = Inside::new();
        let target = format!("https://{STORAGE}/blob/ab?sig=secret");
        inside.genuine(CORP).genuine(STORAGE);
        inside.answers(CORP, ZIP, &redirect(&target));
        inside.answers(STORAGE, "/blob/ab?sig=secret", &answer(status, kind, body));
        let finding = inside.only();
        assert_eq!((finding.code, finding.subject.host.as_deref()), (code, Some(host)), "{status}");
        assert_eq!(finding.subject.module.as_deref(), Some("example.com/x@v1.0.0"));
        let Some(Detail::List(hops)) = finding.details.get("redirects") else { panic!("{finding:?}") };
        assert_eq!(hops.len(), 2);
        assert!(!format!("{finding:?}").contains("sig=secret"), "a signed URL opens what is private: {finding:?}");
    }
}

#[test]
fn a_companys_sign_on_is_no_portal_and_needs_credentials() {
    let mut inside = Inside::new();
    inside.genuine(CORP).genuine(SSO);
    inside.answers(CORP, INFO, &redirect(&format!("https://{SSO}/login?return_to=x")));
    inside.answers(SSO, "/login?return_to=x", &answer("200 OK", "text/html", PAGE));
    inside.says(&format!(
        "invalid response from proxy \"https://{CORP}\": invalid character '<' looking for beginning of value"
    ));
    let finding = inside.only();
    assert_eq!((finding.code, finding.fault), (Code::HttpUnexpectedContent, Fault::Client));
    assert!(finding.summary.contains("the log-in of sso.corp.example"), "{}", finding.summary);
    assert!(finding.remedy.iter().any(|remedy| remedy.text.contains(".netrc")));
    assert!(finding.evidence().iter().any(|evidence| evidence.role == "page"));
}

#[test]
fn an_interceptors_redirect_leads_to_a_portal() {
    let mut inside = Inside::new();
    inside.signed_by("Zscaler Root CA", GOOGLE);
    inside.answers(GOOGLE, INFO, &redirect("http://hotspot.example/login"));
    assert_eq!(inside.only().code, Code::HttpCaptivePortal);
}

#[test]
fn a_loop_is_the_servers_and_so_is_a_redirect_to_plain_http() {
    let mut inside = Inside::new();
    inside.genuine(CORP);
    for _ in 0..10 {
        inside.answers(CORP, INFO, &redirect(INFO));
    }
    inside.says(&format!("Get \"{INFO}\": stopped after 10 redirects"));
    let finding = inside.only();
    assert_eq!((finding.code, finding.fault), (Code::HttpUnexpectedContent, Fault::Server));
    assert!(finding.summary.contains("lead back"), "{}", finding.summary);
    assert!(finding.go_error.is_some());

    let mut inside = Inside::new();
    inside.genuine(CORP).answers(CORP, INFO, &redirect("http://files.corp.example/x"));
    assert!(inside.found().is_empty(), "where it leads was not recorded, and go does not complain");
    let insecure = format!(
        "Get \"http://files.corp.example/x\": redirected from secure URL https://{CORP}{INFO} to insecure URL http://files.corp.example/x"
    );
    inside.says(&insecure);
    let finding = inside.only();
    assert_eq!((finding.code, finding.fault), (Code::HttpUnexpectedContent, Fault::Server));
    assert!(finding.summary.contains("plain http"), "{}", finding.summary);
}

#[test]
fn one_redirect_more_than_none_is_no_loop() {
    let mut inside = Inside::new();
    inside.genuine(CORP);
    inside.answers(CORP, INFO, &redirect("/other"));
    inside.answers(CORP, "/other", &redirect(INFO));
    inside.answers(CORP, INFO, &answer("200 OK", "application/json", JSON));
    assert!(inside.found().is_empty(), "{:?}", inside.found());
}

#[test]
fn a_stream_error_in_a_genuine_session_is_the_services() {
    for (error, complete, expected) in [
        ("stream error: ENHANCE_YOUR_CALM; received from server", false, Some(Fault::Upstream)),
        ("GOAWAY: INTERNAL_ERROR; received from server", false, Some(Fault::Upstream)),
        ("stream error: PROTOCOL_ERROR; sent by client", false, Some(Fault::Upstream)),
        ("GOAWAY: NO_ERROR; received from server", false, None),
    ] {
        let mut inside = Inside::new();
        inside.genuine(CORP).answers(CORP, ZIP, &answer("200 OK", "application/zip", "PK"));
        let mut case = inside.case();
        case.exchanges[0].protocol = HttpProtocol::Http2;
        case.exchanges[0].complete = complete;
        case.exchanges[0].error = Some(error.to_owned());
        let found = assess(&case, &inside.scene.reference).found;
        assert_eq!(found.first().map(|finding| finding.fault), expected, "{error}");
        if let Some(finding) = found.first() {
            assert_eq!(is_open(finding, "the client's own HTTP/2"), error.contains("client"));
            assert!(!finding.excluded.is_empty());
        }
    }
}

#[test]
fn a_stream_that_go_asked_for_again_is_no_fault() {
    let mut inside = Inside::new();
    inside.genuine(CORP);
    inside.answers(CORP, INFO, &answer("200 OK", "application/json", JSON));
    inside.answers(CORP, INFO, &answer("200 OK", "application/json", JSON));
    let mut case = inside.case();
    case.exchanges[0].protocol = HttpProtocol::Http2;
    case.exchanges[0].complete = false;
    case.exchanges[0].error = Some("stream error: REFUSED_STREAM; received from server".to_owned());
    assert!(assess(&case, &inside.scene.reference).found.is_empty());
    case.exchanges[1].status = Some(500);
    assert!(!assess(&case, &inside.scene.reference).found.is_empty());
}

#[test]
fn a_public_service_behind_a_genuine_certificate_is_at_fault_itself() {
    let lookup = "/sumdb/sum.golang.org/lookup/example.com/x@v1.0.0";
    let mut inside = Inside::new();
    inside.genuine(GOOGLE).answers(GOOGLE, lookup, &answer("200 OK", "text/html", PAGE));
    let finding = inside.only();
    assert_eq!((finding.code, finding.fault), (Code::HttpUnexpectedContent, Fault::Upstream));
    assert_eq!(finding.subject.module.as_deref(), Some("example.com/x@v1.0.0"));
}

#[test]
fn hosts_whose_answers_are_encrypted_are_named_once_where_go_failed() {
    let open = |exit: Option<i32>| {
        let mut inside = Inside::new();
        inside.genuine(CORP).genuine(CORP).genuine(STORAGE);
        inside.scene.go.exit = exit;
        let open = assess(&inside.case(), &inside.scene.reference).not_assessed;
        open.into_iter().filter_map(|open| open.subject.host).collect::<Vec<_>>()
    };
    assert_eq!(open(Some(1)), [CORP, STORAGE]);
    assert_eq!(open(None), [CORP, STORAGE]);
    assert!(open(Some(0)).is_empty());
    let mut read = Inside::new();
    read.genuine(CORP).answers(CORP, INFO, &answer("200 OK", "application/json", JSON));
    assert!(assess(&read.case(), &read.scene.reference).not_assessed.is_empty());
}

#[test]
fn discovery_that_ends_at_a_page_for_people_is_told_where_go_says_so() {
    let path = "/x?go-get=1";
    let missed =
        format!("unrecognized import path \"{CORP}/x\": parse https://{CORP}{path}: no go-import meta tags ()");
    let page = answer("200 OK", "text/html", PAGE);
    let mut silent = Inside::new();
    silent.genuine(CORP).answers(CORP, path, &page);
    assert!(silent.found().is_empty());
    silent.says(&missed);
    let finding = silent.only();
    assert_eq!((finding.code, finding.fault), (Code::HttpUnexpectedContent, Fault::Server));

    let mut sign_in = Inside::new();
    sign_in.genuine(CORP).genuine(SSO);
    sign_in.answers(CORP, path, &redirect(&format!("https://{SSO}/users/sign_in")));
    sign_in.answers(SSO, "/users/sign_in", &page).says(&missed);
    let finding = sign_in.only();
    assert_eq!((finding.code, finding.fault), (Code::HttpUnexpectedContent, Fault::Client));
    assert!(finding.summary.contains("the log-in of sso.corp.example"), "{}", finding.summary);

    let mut unread = Inside::new();
    unread.genuine(CORP).says(&missed);
    assert_eq!((unread.only().code, unread.only().confidence()), (Code::HttpUnexpectedContent, Confidence::Moderate));
}

#[test]
fn a_filters_page_is_told_although_another_attempt_got_through() {
    let mut inside = Inside::new();
    inside.signed_by("Zscaler Root CA", GOOGLE);
    inside.answers(GOOGLE, INFO, &answer("403 Forbidden", "text/html", FORTINET));
    inside.answers(GOOGLE, INFO, &answer("200 OK", "application/json", JSON));
    assert_eq!(inside.only().code, Code::HttpBlockPage);
}

#[test]
fn what_another_proxy_gave_hinders_nobody() {
    let fell_back = |exit: Option<i32>, second: &str| {
        let mut inside = Inside::new();
        inside.scene.go.exit = exit;
        inside.genuine(CORP).genuine(GOOGLE);
        inside.answers(CORP, INFO, &answer("502 Bad Gateway", "text/plain", "no"));
        inside.answers(GOOGLE, INFO, &answer(second, "application/json", JSON));
        let found = inside.found();
        found.iter().find(|finding| finding.subject.host.as_deref() == Some(CORP)).unwrap().severity
    };
    assert_eq!(fell_back(None, "200 OK"), Severity::Low);
    assert_eq!(fell_back(Some(0), "200 OK"), Severity::Low);
    assert_eq!(fell_back(Some(1), "200 OK"), Severity::Medium);
    assert_eq!(fell_back(None, "500 Internal Server Error"), Severity::Medium);
}

#[test]
fn a_lookup_that_is_no_record_is_told_of_the_database_unless_it_was_read() {
    let said = "go: example.com/x@v1.0.0: verifying module: example.com/x@v1.0.0: malformed record data\n";
    let mut scene = Scene::new();
    scene.log(said).env("GOSUMDB=sums.corp.example+00000001+AAAA https://artifactory.corp.example/sums\n");
    scene.go.exit = Some(1);
    let finding = scene.finding(Code::HttpUnexpectedContent);
    assert_eq!(finding.subject.host.as_deref(), Some("artifactory.corp.example"));
    assert_eq!(finding.confidence(), Confidence::Moderate);
    // Where the page itself was seen, it is told of it alone.
    let mut scene = Scene::new();
    scene.log(said).env("GOPROXY=http://modules.corp.example\n");
    scene.go.exit = Some(1);
    let mut tcp = scene.connect("10.44.0.20:80");
    scene.open(&mut tcp);
    let path = "/sumdb/sum.golang.org/lookup/example.com/x@v1.0.0";
    scene.client_sends(&mut tcp, PSH, format!("GET {path} HTTP/1.1\r\nHost: modules.corp.example\r\n\r\n").as_bytes());
    let page = "<html><title>Welcome</title><body>the repository of artifacts</body></html>";
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n", page.len());
    scene.server_sends(&mut tcp, PSH, format!("{head}{page}").as_bytes());
    let found = scene.findings();
    let told: Vec<_> = found.iter().filter(|finding| finding.code == Code::HttpUnexpectedContent).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].subject.host.as_deref(), Some("modules.corp.example"));
}
