//! Proxies that cannot be reached, or are spoken to in the wrong protocol.

use super::*;
use crate::finding::{Confidence, Fault};
use crate::observation::RecordType;

const LOG: &str = "go: a@v1: Get \"https://proxy.golang.org/a\": proxyconnect tcp: dial tcp 10.44.0.8:3128: connect: connection refused\n";

#[test]
fn a_proxy_that_refuses_is_unreachable() {
    // By the environment, by the log, by both.
    for (env, log) in [(ENV, ""), ("", LOG), (ENV, LOG)] {
        let mut scene = Scene::new();
        if !env.is_empty() {
            scene.env(env);
        }
        scene.log(log);
        let tcp = scene.connect(PROXY);
        scene.syn(&tcp);
        scene.refuse(&tcp, 62);
        let found = finding(&scene, Code::ProxyUnreachable);
        assert_eq!((found.fault, found.confidence()), (Fault::ProxyUpstream, Confidence::Proven));
        assert_eq!((found.subject.address, found.subject.port), (Some("10.44.0.8".parse().unwrap()), Some(3128)));
        cites(&found, &[1, 2]);
    }
}

#[test]
fn a_proxy_that_does_not_answer_is_unreachable() {
    let mut scene = Scene::new();
    scene.env(ENV);
    let tcp = scene.connect(PROXY);
    scene.syn(&tcp);
    calm(&scene);
    scene.after_ms(1_000).syn(&tcp);
    scene.after_ms(2_000).syn(&tcp);
    let found = finding(&scene, Code::ProxyUnreachable);
    assert_eq!(found.confidence(), Confidence::Strong);
    cites(&found, &[1, 2, 3]);
    // ICMP says so.
    let mut scene = Scene::new();
    scene.env(ENV);
    let tcp = scene.connect(PROXY);
    scene.syn(&tcp);
    scene.icmp_about(0, "192.168.1.1", 3, 1);
    cites(&finding(&scene, Code::ProxyUnreachable), &[1, 2]);
}

#[test]
fn a_proxy_on_the_client_itself_is_judged_by_gos_words() {
    let say = |env: &str, cause: &str| {
        let mut scene = Scene::new();
        scene.env(env).log(&format!("go: a@v1: Get \"https://proxy.golang.org/a\": {cause}\n"));
        scene
    };
    let refused = "dial tcp 127.0.0.1:7890: connect: connection refused";
    for (env, cause) in [
        ("HTTPS_PROXY=http://127.0.0.1:7890\n", format!("proxyconnect tcp: {refused}")),
        ("HTTPS_PROXY=http://localhost:7890\n", format!("proxyconnect tcp: {refused}")),
        (
            "HTTPS_PROXY=socks5://127.0.0.1:7890\n",
            format!("socks connect tcp 127.0.0.1:7890->proxy.golang.org:443: {refused}"),
        ),
    ] {
        let found = finding(&say(env, &cause), Code::ProxyUnreachable);
        assert_eq!(found.confidence(), Confidence::Strong, "{cause}");
    }
    let words = "socks connect tcp 127.0.0.1:7890->proxy.golang.org:443: unexpected protocol version 72";
    finding(&say("HTTPS_PROXY=socks5://127.0.0.1:7890\n", words), Code::ProxyWrongScheme);
    let words = "proxyconnect tcp: tls: first record does not look like a TLS handshake";
    finding(&say("HTTPS_PROXY=https://127.0.0.1:7890\n", words), Code::ProxyWrongScheme);
    // Words that leave open what happened, and words about another proxy.
    calm(&say("HTTPS_PROXY=http://127.0.0.1:7890\n", "proxyconnect tcp: EOF"));
    calm(&say("HTTPS_PROXY=http://127.0.0.1:7891\n", &format!("proxyconnect tcp: {refused}")));
}

#[test]
fn a_proxy_that_answers_once_is_reachable() {
    let mut scene = Scene::new();
    scene.env(ENV);
    let tcp = scene.connect(PROXY);
    scene.syn(&tcp);
    scene.refuse(&tcp, 62);
    let mut tcp = exchange(&mut scene, PROXY, CONNECT, &[b"HTTP/1.1 200 OK\r\n\r\n"]);
    inside(&mut scene, &mut tcp);
    calm(&scene);
}

#[test]
fn a_proxy_whose_name_is_unknown_is_unreachable() {
    let env = "HTTPS_PROXY=http://old-proxy.corp.example:3128\n";
    let mut scene = Scene::new();
    scene.env(env);
    let question = scene.ask("old-proxy.corp.example", RecordType::A);
    let v6 = scene.ask("old-proxy.corp.example", RecordType::AAAA);
    scene.answer_as(&question, &[], 3, 63, true);
    scene.answer_as(&v6, &[], 3, 63, true);
    let found = finding(&scene, Code::ProxyUnreachable);
    assert_eq!(found.confidence(), Confidence::Strong);
    cites(&found, &[1, 2, 3, 4]);
    // No IPv6 address, and the recording ends.
    let mut scene = Scene::new();
    scene.env(env);
    scene.ask("old-proxy.corp.example", RecordType::A);
    let v6 = scene.ask("old-proxy.corp.example", RecordType::AAAA);
    scene.answer(&v6, &[]);
    calm(&scene);
    // It resolves.
    let mut scene = Scene::new();
    scene.env(env);
    let question = scene.ask("old-proxy.corp.example", RecordType::A);
    scene.answer(&question, &["10.44.0.8"]);
    calm(&scene);
}

#[test]
fn a_recording_from_the_proxys_far_side_accuses_nobody() {
    let mut scene = Scene::new();
    scene.env("HTTPS_PROXY=http://proxy.corp.example:3128\n");
    scene.client = "10.44.0.8".parse().unwrap();
    let question = scene.ask(NAME, RecordType::A);
    scene.answer(&question, &["142.250.74.113"]);
    let tcp = scene.connect("142.250.74.113:443");
    scene.syn(&tcp);
    scene.after_ms(1_000).syn(&tcp);
    calm(&scene);
}

#[test]
fn tls_to_a_plain_port_is_the_wrong_scheme() {
    let mut scene = Scene::new();
    scene.env("HTTPS_PROXY=https://10.44.0.8:3128\n");
    let mut tcp = scene.connect(PROXY);
    scene.open(&mut tcp);
    scene.hello(&mut tcp, "10.44.0.8");
    let answer = scene.last_frame() + 1;
    scene.server_sends(&mut tcp, 8, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let found = finding(&scene, Code::ProxyWrongScheme);
    assert_eq!((found.fault, found.confidence()), (Fault::Client, Confidence::Proven));
    cites(&found, &[4, answer]);
    assert!(found.remedy[0].command.as_deref().unwrap().ends_with("=http://10.44.0.8:3128"));
    // Without the environment go's words name the way.
    scene.go.env = None;
    scene.log("go: a@v1: Get \"https://proxy.golang.org/a\": proxyconnect tcp: tls: first record does not look like a TLS handshake\n");
    cites(&finding(&scene, Code::ProxyWrongScheme), &[answer]);
}

#[test]
fn socks_to_an_http_port_is_the_wrong_scheme() {
    let env = "HTTPS_PROXY=socks5://10.44.0.8:3128\n";
    let mut scene = Scene::new();
    scene.env(env);
    exchange(&mut scene, PROXY, &[5, 1, 0], &[b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"]);
    let found = finding(&scene, Code::ProxyWrongScheme);
    assert_eq!(found.confidence(), Confidence::Proven);
    cites(&found, &[4, 5]);
    assert!(found.remedy[0].command.as_deref().unwrap().contains("=http://"));
    // It hangs up at the greeting, or waits for the end of a line.
    let mut scene = Scene::new();
    scene.env(env);
    let mut tcp = exchange(&mut scene, PROXY, &[5, 1, 0], &[]);
    scene.server_sends(&mut tcp, 1, &[]);
    let found = finding(&scene, Code::ProxyWrongScheme);
    assert_eq!(found.confidence(), Confidence::Moderate);
    cites(&found, &[5]);
    let mut scene = Scene::new();
    scene.env(env);
    let mut tcp = exchange(&mut scene, PROXY, &[5, 1, 0], &[]);
    scene.server_sends(&mut tcp, 0, &[]);
    later(&mut scene, 1_000);
    calm(&scene);
    later(&mut scene, 9_000);
    cites(&finding(&scene, Code::ProxyWrongScheme), &[4]);
}

#[test]
fn http_to_a_socks_or_tls_port_is_the_wrong_scheme() {
    let tor = b"HTTP/1.0 501 Tor is not an HTTP Proxy\r\nContent-Type: text/html\r\n\r\n";
    let go = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    for (answer, better) in [
        (&[5, 0xff][..], "socks5://"),
        (&tor[..], "socks5://"),
        (&go[..], "https://"),
        (&[0x15, 3, 1, 0, 2, 2, 0x46][..], "https://"),
    ] {
        let mut scene = Scene::new();
        scene.env(ENV);
        let mut tcp = exchange(&mut scene, PROXY, CONNECT, &[answer]);
        scene.server_sends(&mut tcp, 1, &[]);
        let found = finding(&scene, Code::ProxyWrongScheme);
        assert_eq!(found.confidence(), Confidence::Proven, "{better}");
        cites(&found, &[4, 5]);
        assert!(found.remedy[0].command.as_deref().unwrap().contains(better), "{:?}", found.remedy);
        assert_eq!(assess(&scene).found.len(), 1, "said once");
    }
    // Hung up, where SOCKS servers listen.
    let mut scene = Scene::new();
    scene.env("HTTPS_PROXY=http://10.44.0.8:1080\n");
    let mut tcp = exchange(&mut scene, "10.44.0.8:1080", CONNECT, &[]);
    scene.server_sends(&mut tcp, 1, &[]);
    assert_eq!(finding(&scene, Code::ProxyWrongScheme).confidence(), Confidence::Moderate);
}

#[test]
fn a_proxy_that_spoke_the_protocol_once_speaks_it() {
    let mut scene = Scene::new();
    scene.env("HTTPS_PROXY=http://10.44.0.8:1080\n");
    let mut tcp = exchange(&mut scene, "10.44.0.8:1080", CONNECT, &[b"HTTP/1.1 200 OK\r\n\r\n"]);
    inside(&mut scene, &mut tcp);
    let mut tcp = exchange(&mut scene, "10.44.0.8:1080", CONNECT, &[]);
    scene.server_sends(&mut tcp, 1, &[]);
    calm(&scene);
    // Garbage where a hole of the recording hides the beginning, and words without packets.
    let mut scene = Scene::new();
    scene.env(ENV);
    scene.log("go: a@v1: Get \"https://proxy.golang.org/a\": proxyconnect tcp: EOF\n");
    calm(&scene);
}

#[test]
fn a_proxy_that_hangs_up_at_connect_is_of_no_use() {
    let hung_up = |proxy: &str, env: &str, log: &str| {
        let mut scene = Scene::new();
        scene.env(env).log(log);
        let mut tcp = exchange(&mut scene, proxy, CONNECT, &[]);
        scene.server_sends(&mut tcp, 1, &[]);
        scene
    };
    let failed = "go: a@v1: Get \"https://proxy.golang.org/a\": EOF\n";
    let scene = hung_up(PROXY, ENV, failed);
    let found = finding(&scene, Code::ProxyUnreachable);
    assert_eq!((found.fault, found.confidence()), (Fault::ProxyUpstream, Confidence::Moderate));
    assert!(found.not_excluded.len() >= 2);
    cites(&found, &[4, 5]);
    // Where TLS is spoken by custom, that is what it expects.
    let scene = hung_up("10.44.0.8:8443", "HTTPS_PROXY=http://10.44.0.8:8443\n", failed);
    let found = finding(&scene, Code::ProxyWrongScheme);
    assert_eq!((found.fault, found.confidence()), (Fault::Client, Confidence::Moderate));
    // Another connection was answered.
    let mut scene = hung_up(PROXY, ENV, failed);
    let mut tcp = exchange(&mut scene, PROXY, CONNECT, &[b"HTTP/1.1 200 OK\r\n\r\n"]);
    inside(&mut scene, &mut tcp);
    calm(&scene);
}

#[test]
fn a_proxy_that_never_answers_connect_is_told_from_a_slow_one() {
    let mut scene = Scene::new();
    scene.env(ENV).log("go: a@v1: Get \"https://proxy.golang.org/a\": EOF\n");
    let mut tcp = exchange(&mut scene, PROXY, CONNECT, &[]);
    scene.server_sends(&mut tcp, 16, &[]);
    later(&mut scene, 9_000);
    calm(&scene);
    later(&mut scene, 30_000);
    assert_eq!(finding(&scene, Code::ProxyUnreachable).confidence(), Confidence::Moderate);
    scene.server_sends(&mut tcp, 8, b"HTTP/1.1 200 OK\r\n\r\n");
    inside(&mut scene, &mut tcp);
    calm(&scene);
}

#[test]
fn a_web_server_that_answers_connect_with_a_page_is_no_proxy() {
    const PAGE: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 18\r\n\r\n<html>Hello</html>";
    let mut scene = Scene::new();
    scene.env(ENV);
    let mut tcp = exchange(&mut scene, PROXY, CONNECT, &[PAGE]);
    scene.hello(&mut tcp, NAME);
    scene.server_sends(&mut tcp, 1, &[]);
    let found = finding(&scene, Code::ProxyWrongScheme);
    assert_eq!((found.fault, found.confidence()), (Fault::Client, Confidence::Proven));
    assert!(found.summary.contains("web server"), "{}", found.summary);
    // Headers of no meaning on a tunnel that opens.
    let mut scene = Scene::new();
    scene.env(ENV);
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n";
    let mut tcp = exchange(&mut scene, PROXY, CONNECT, &[head]);
    inside(&mut scene, &mut tcp);
    calm(&scene);
}
