//! Pages and redirects that lead to a log-in or to a filter's notice, and what reads alike and is innocent.

use super::*;

const PORTAL: &str = "<html><head><title>Guest WiFi</title></head><body><form method=\"post\"><input type=\"password\">Accept the terms of use to connect to the internet.</form></body></html>";
const REFRESH: &str =
    "<html><head><meta http-equiv=\"refresh\" content=\"0; url=http://login.portal.example/hotspot\"></head></html>";
const SCRIPT: &str =
    "<html><head><script>window.location.replace('https://wifi.portal.example/login?mac=1');</script></head></html>";

#[test]
fn a_portal_may_answer_in_place() {
    for page in [PORTAL, REFRESH, SCRIPT] {
        assert_eq!(of(INFO, &answer("200 OK", "text/html", page)), ["http.captive_portal"], "{page}");
    }
    // The company's repository has a log-in, a refresh to itself, or a link to a portal.
    for page in [
        "<html><body><form action=/sign_in><input type=password></form></body></html>",
        "<html><head><meta http-equiv=\"refresh\" content=\"0; url=http://www.corp.example/login\"></head></html>",
        "<html><body><a href=\"http://login.portal.example/\">guest</a></body></html>",
    ] {
        assert_eq!(of(INFO, &answer("200 OK", "text/html", page)), ["http.unexpected_content"], "{page}");
    }
    // People's pages are no module proxy's.
    assert_eq!(of("/example.com/x?go-get=1", &answer("200 OK", "text/html", PORTAL)), NONE);
}

#[test]
fn a_redirect_to_a_filters_notice_is_no_portal() {
    for notice in [
        "http://10.44.0.30/webfilter/deny.php?policy=12",
        "http://warn.filter.example/blocked?url=http%3a%2f%2fx%2fv1.0.0.info",
    ] {
        let mut scene = scene();
        exchange(&mut scene, AT, PROXY, INFO, &redirect(notice));
        let finding = only(&scene);
        assert_eq!((finding.code, finding.fault), (Code::HttpBlockPage, Fault::Interference), "{notice}");
        assert_eq!(finding.confidence(), Confidence::Moderate);
    }
    // The module's own name, at a place where the file is called otherwise.
    let asked = "/github.com/lab/blockchain/@v/v1.0.0.info";
    let moved = "https://objects.example/github.com/lab/blockchain/4f1c";
    assert!(!of(asked, &redirect(moved)).contains(&"http.block_page"));
    // A file with such a word in its name, the company's own host, a sign-on, what was asked for beside other words.
    for place in [
        "https://cdn.example/blocklists/example.com/x/@v/v1.0.0.info",
        "http://blocked.corp.example/v",
        "http://sso.other.example/oauth/authorize?client_id=deny",
        "http://files.other.example/get?url=http%3a%2f%2fblock.example",
    ] {
        assert!(!of(INFO, &redirect(place)).contains(&"http.block_page"), "{place}");
    }
}

#[test]
fn a_filter_answers_with_any_status_and_a_server_in_its_own_words() {
    for status in ["503 Service Unavailable", "404 Not Found", "500 Internal Server Error"] {
        assert_eq!(of(INFO, &answer(status, "text/html", FILTER)), ["http.block_page"], "{status}");
    }
    let own = "<html><body><h1>503 Service Unavailable</h1><hr>nginx</body></html>";
    assert_eq!(of(INFO, &answer("503 Service Unavailable", "text/html", own)), ["http.server_error"]);
}

#[test]
fn a_status_without_a_code_of_its_own_is_told_where_go_died_of_it() {
    let told = |log: &str| {
        let mut scene = scene();
        scene.log(log);
        exchange(&mut scene, AT, PROXY, INFO, &answer("400 Bad Request", "text/plain", "no"));
        codes(&scene)
    };
    assert_eq!(
        told(&format!("go: example.com/x@v1.0.0: reading http://{PROXY}{INFO}: 400 Bad Request\n")),
        ["http.unexpected_content"]
    );
    assert_eq!(told(""), NONE);
}

#[test]
fn information_about_another_version_is_unexpected() {
    let other = JSON.replace("v1.0.0", "v9.9.9");
    assert_eq!(of(INFO, &answer("200 OK", "application/json", &other)), ["http.unexpected_content"]);
    for asked in ["/example.com/x/@v/master.info", "/example.com/x/@v/v1.info", "/example.com/x/@latest"] {
        assert_eq!(of(asked, &answer("200 OK", "application/json", JSON)), NONE, "{asked}");
    }
}
