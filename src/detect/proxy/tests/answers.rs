//! What proxies answer to CONNECT and to SOCKS requests.

use super::*;
use crate::finding::{Confidence, Fault};

/// SOCKS5: greeting without a password, choice, request for `proxy.golang.org:443`, reply.
fn socks(scene: &mut Scene, reply: u8) -> Tcp {
    let mut tcp = scene.connect(PROXY);
    scene.open(&mut tcp);
    scene.client_sends(&mut tcp, 8, &[5, 1, 0]);
    scene.server_sends(&mut tcp, 8, &[5, 0]);
    let request = [&[5, 1, 0, 3, 16][..], NAME.as_bytes(), &[1, 0xbb]].concat();
    scene.client_sends(&mut tcp, 8, &request);
    scene.server_sends(&mut tcp, 8, &[5, reply, 0, 1, 0, 0, 0, 0, 0, 0]);
    tcp
}

#[test]
fn a_denied_tunnel_is_the_proxys_policy() {
    let mut scene = Scene::new();
    scene.env(ENV);
    let page = [b'x'; 600];
    let head = b"HTTP/1.1 403 Filtered\r\nContent-Type: text/html\r\nContent-Length: 1200\r\n\r\n";
    exchange(&mut scene, PROXY, CONNECT, &[head, &page, &page]);
    let found = finding(&scene, Code::ProxyConnectDenied);
    assert_eq!((found.fault, found.confidence()), (Fault::ProxyPolicy, Confidence::Proven));
    assert_eq!(found.subject.host.as_deref(), Some(NAME));
    // The request, the head, and the packet that completes the answer.
    cites(&found, &[4, 5, 7]);
}

#[test]
fn the_packet_that_completes_an_answer_is_known() {
    let completed = |parts: &[&[u8]]| {
        let mut scene = Scene::new();
        scene.env(ENV);
        exchange(&mut scene, PROXY, CONNECT, parts);
        scene.case().exchanges[0].completed.map(|at| at.frame.number)
    };
    assert_eq!(completed(&[b"HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\n", b"page"]), Some(6));
    assert_eq!(completed(&[b"HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\n", b"pa"]), None);
    assert_eq!(completed(&[b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"]), Some(5));
    assert_eq!(completed(&[b"HTTP/1.1 200 OK\r\n\r\n"]), Some(5));
    assert_eq!(
        completed(&[b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", b"0\r\n\r\n"]),
        Some(7)
    );
}

#[test]
fn a_page_that_the_client_does_not_wait_for_is_cited() {
    let mut scene = Scene::new();
    scene.env(ENV);
    let head = b"HTTP/1.1 403 Filtered\r\nContent-Length: 1200\r\n\r\n";
    let mut tcp = exchange(&mut scene, PROXY, CONNECT, &[head]);
    scene.client_sends(&mut tcp, 1, &[]);
    scene.server_sends(&mut tcp, 8, &[b'x'; 1200]);
    cites(&finding(&scene, Code::ProxyConnectDenied), &[5, 7]);
}

#[test]
fn a_socks_refusal_says_which_kind() {
    for (reply, code, fault) in [
        (2, Code::ProxyConnectDenied, Fault::ProxyPolicy),
        (1, Code::ProxyUpstreamError, Fault::ProxyUpstream),
        (3, Code::ProxyUpstreamError, Fault::ProxyUpstream),
        (4, Code::ProxyUpstreamError, Fault::ProxyUpstream),
        (5, Code::ProxyUpstreamError, Fault::ProxyUpstream),
        (7, Code::ProxyConnectDenied, Fault::ProxyPolicy),
        (9, Code::ProxyUpstreamError, Fault::ProxyUpstream),
    ] {
        let mut scene = Scene::new();
        scene.env("HTTPS_PROXY=socks5://10.44.0.8:3128\n");
        socks(&mut scene, reply);
        let found = finding(&scene, code);
        assert_eq!(found.fault, fault, "{reply}");
        cites(&found, &[4, 7]);
    }
}

#[test]
fn a_socks_server_that_wants_a_password_is_named() {
    let mut scene = Scene::new();
    scene.env("HTTPS_PROXY=socks5://10.44.0.8:3128\n");
    exchange(&mut scene, PROXY, &[5, 1, 0], &[&[5, 0xff]]);
    let found = finding(&scene, Code::ProxyAuthRequired);
    assert_eq!(found.fault, Fault::Client);
    cites(&found, &[4, 5]);
    assert!(!assess(&scene).found.iter().any(|finding| finding.code == Code::ProxyWrongScheme));
}

#[test]
fn tunnels_that_open_are_no_obstacle() {
    // Whatever happens inside of them.
    for complete in [true, false] {
        let mut scene = Scene::new();
        scene.env(ENV);
        let mut tcp = exchange(&mut scene, PROXY, CONNECT, &[b"HTTP/1.1 200 Connection established\r\n\r\n"]);
        if complete {
            inside(&mut scene, &mut tcp);
        } else {
            scene.hello(&mut tcp, NAME);
            scene.reset(&tcp, 62);
        }
        calm(&scene);
    }
    let mut scene = Scene::new();
    scene.env("HTTPS_PROXY=socks5://10.44.0.8:3128\n");
    let mut tcp = socks(&mut scene, 0);
    inside(&mut scene, &mut tcp);
    calm(&scene);
}

#[test]
fn two_proxies_are_told_apart() {
    let mut scene = Scene::new();
    scene.env("HTTPS_PROXY=http://10.44.0.8:3128\nHTTP_PROXY=http://10.44.0.9:8080\n");
    let mut tcp = exchange(&mut scene, PROXY, CONNECT, &[b"HTTP/1.1 200 OK\r\n\r\n"]);
    inside(&mut scene, &mut tcp);
    let tcp = scene.connect("10.44.0.9:8080");
    scene.syn(&tcp);
    scene.refuse(&tcp, 62);
    let found = finding(&scene, Code::ProxyUnreachable);
    assert_eq!(found.subject.port, Some(8080));
    assert_eq!(assess(&scene).found.len(), 1);
}

#[test]
fn a_password_that_is_missing_is_asked_for() {
    let wants = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"p\"\r\nContent-Length: 4\r\n\r\n";
    let mut scene = Scene::new();
    scene.env(ENV);
    exchange(&mut scene, PROXY, CONNECT, &[wants, b"page"]);
    let found = finding(&scene, Code::ProxyAuthRequired);
    assert_eq!((found.fault, found.confidence()), (Fault::Client, Confidence::Proven));
    cites(&found, &[4, 5, 6]);
    // A password that is wrong, in tinyproxy's words.
    let mut other = Scene::new();
    other.env("HTTPS_PROXY=http://builder:wrong@10.44.0.8:3128\n");
    exchange(&mut other, PROXY, CONNECT, &[b"HTTP/1.0 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"]);
    assert_eq!(finding(&other, Code::ProxyAuthRequired).fault, Fault::Client);
    // Asked for once and then given, as by helpers.
    let mut tcp = exchange(&mut scene, PROXY, CONNECT, &[b"HTTP/1.1 200 OK\r\n\r\n"]);
    inside(&mut scene, &mut tcp);
    calm(&scene);
}

#[test]
fn a_proxy_that_cannot_reach_the_host_is_upstream() {
    for status in ["500 Oops", "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"] {
        let mut scene = Scene::new();
        scene.env(ENV);
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        exchange(&mut scene, PROXY, CONNECT, &[head.as_bytes()]);
        let found = finding(&scene, Code::ProxyUpstreamError);
        assert_eq!((found.fault, found.severity), (Fault::ProxyUpstream, Severity::Medium));
        cites(&found, &[4, 5]);
        // A second try that works.
        let mut tcp = exchange(&mut scene, PROXY, CONNECT, &[b"HTTP/1.1 200 OK\r\n\r\n"]);
        inside(&mut scene, &mut tcp);
        calm(&scene);
    }
}

#[test]
fn a_request_without_its_answer_says_nothing() {
    let mut scene = Scene::new();
    scene.env(ENV);
    let tcp = exchange(&mut scene, PROXY, CONNECT, &[]);
    calm(&scene);
    // Hung up without a word: policy, failure and another protocol alike.
    scene.reset(&tcp, 53);
    calm(&scene);
    // The answer's head lies in a hole of the recording.
    let mut scene = Scene::new();
    scene.env(ENV);
    let mut tcp = exchange(&mut scene, PROXY, CONNECT, &[]);
    tcp.server_seq += 300;
    scene.server_sends(&mut tcp, 8, b"</html>");
    scene.client_sends(&mut tcp, 0, &[]);
    calm(&scene);
}

#[test]
fn a_host_that_was_meant_to_go_direct_is_not_excluded() {
    let request = b"CONNECT artifactory.corp.example:443 HTTP/1.1\r\nHost: artifactory.corp.example:443\r\n\r\n";
    let denied = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\n";
    let env = |no_proxy: &str| {
        format!(
            "GOPROXY=https://artifactory.corp.example\nHTTPS_PROXY=http://proxy.corp.example:3128\nNO_PROXY={no_proxy}\n"
        )
    };
    let scene_with = |no_proxy: &str, answer: &[&[u8]]| {
        let mut scene = Scene::new();
        scene.env(&env(no_proxy));
        let question = scene.ask("proxy.corp.example", crate::observation::RecordType::A);
        scene.answer(&question, &["10.44.0.8"]);
        exchange(&mut scene, PROXY, request, answer);
        scene
    };
    for misread in [
        "10.44.0.0/16",
        "https://artifactory.corp.example",
        "artifactory.corp.example:80",
        "localhost;artifactory.corp.example",
        "artifactory.*",
    ] {
        let found = finding(&scene_with(misread, &[denied, b"page"]), Code::ProxyNotExcluded);
        assert_eq!((found.fault, found.severity), (Fault::Client, Severity::Medium), "{misread}");
        assert_eq!(found.confidence(), Confidence::Strong, "{misread}");
        cites(&found, &[6, 7, 8]);
    }
    // A misreading that hinders nothing.
    calm(&scene_with("10.44.0.0/16", &[b"HTTP/1.1 200 OK\r\n\r\n"]));
    // Entries about others: the proxy's policy.
    for other in ["localhost,127.0.0.1", "repo.other.example", ""] {
        finding(&scene_with(other, &[denied, b"page"]), Code::ProxyConnectDenied);
    }
    // A private network that stands in every NO_PROXY says nothing about a public host.
    let mut scene = Scene::new();
    scene.env("HTTPS_PROXY=http://10.44.0.8:3128\nNO_PROXY=10.0.0.0/8,192.168.0.0/16\n");
    exchange(&mut scene, PROXY, CONNECT, &[denied, b"page"]);
    finding(&scene, Code::ProxyConnectDenied);
    // Without the environment it is what it looks like.
    let mut scene = scene_with("10.44.0.0/16", &[denied, b"page"]);
    scene.go.env = None;
    scene.log("go: a@v1: Get \"https://artifactory.corp.example/a\": Forbidden\n");
    finding(&scene, Code::ProxyConnectDenied);
}
