//! Hosts that go around the proxy.

use super::*;
use crate::finding::{Confidence, Fault};
use crate::observation::RecordType;

const DIRECT: &str = "142.250.74.113:443";

fn looked_up(env: &str) -> Scene {
    let mut scene = Scene::new();
    scene.env(env);
    let question = scene.ask(NAME, RecordType::A);
    scene.answer(&question, &["142.250.74.113"]);
    scene
}

/// Two SYNs (frames 3 and 4) that nobody answers.
fn shut(env: &str) -> Scene {
    let mut scene = looked_up(env);
    let tcp = scene.connect(DIRECT);
    scene.syn(&tcp);
    scene.after_ms(1_000).syn(&tcp);
    scene
}

#[test]
fn a_domain_in_no_proxy_takes_its_subdomains_along() {
    for no_proxy in ["golang.org", "org", "localhost,golang.org"] {
        let scene = shut(&format!("{ENV}NO_PROXY={no_proxy}\n"));
        let found = finding(&scene, Code::ProxyBypassed);
        assert_eq!((found.fault, found.severity), (Fault::Client, Severity::Medium), "{no_proxy}");
        assert_eq!(found.confidence(), Confidence::Strong);
        cites(&found, &[3, 4]);
    }
}

#[test]
fn a_public_host_that_no_proxy_names_and_that_is_shut_is_bypassed() {
    for no_proxy in ["proxy.golang.org", ".golang.org", "*.golang.org", "*"] {
        let scene = shut(&format!("{ENV}NO_PROXY={no_proxy}\n"));
        let found = finding(&scene, Code::ProxyBypassed);
        assert_eq!(found.confidence(), Confidence::Moderate, "{no_proxy}");
        cites(&found, &[3, 4]);
    }
}

#[test]
fn a_variable_that_go_does_not_read_is_named() {
    let found = finding(&shut("ALL_PROXY=socks5://10.44.0.8:1080\n"), Code::ProxyBypassed);
    assert!(found.summary.contains("ALL_PROXY"));
    let found = finding(&shut("HTTP_PROXY=http://10.44.0.8:3128\n"), Code::ProxyBypassed);
    assert!(found.summary.contains("HTTP_PROXY"));
}

#[test]
fn a_direct_way_that_is_cut_at_the_hello_is_bypassed() {
    let mut scene = looked_up(&format!("{ENV}NO_PROXY=golang.org\n"));
    let mut tcp = scene.connect(DIRECT);
    scene.open(&mut tcp);
    scene.hello(&mut tcp, NAME);
    let reset = scene.last_frame() + 1;
    scene.reset(&tcp, 118);
    cites(&finding(&scene, Code::ProxyBypassed), &[reset]);
}

#[test]
fn a_host_that_goes_direct_and_works_bypasses_nothing() {
    for no_proxy in ["golang.org", "proxy.golang.org", "*"] {
        let mut scene = looked_up(&format!("{ENV}NO_PROXY={no_proxy}\n"));
        let mut tcp = scene.connect(DIRECT);
        scene.tls13_session(&mut tcp, NAME);
        calm(&scene);
    }
    // Refused at first, working then.
    let mut scene = shut(&format!("{ENV}NO_PROXY=golang.org\n"));
    let mut tcp = scene.connect(DIRECT);
    scene.tls13_session(&mut tcp, NAME);
    calm(&scene);
}

#[test]
fn a_private_host_that_is_named_on_purpose_and_down_is_not_bypassed() {
    let mut scene = Scene::new();
    scene.env("GOPROXY=https://artifactory.corp.example\nHTTPS_PROXY=http://10.44.0.8:3128\nNO_PROXY=artifactory.corp.example\n");
    let question = scene.ask("artifactory.corp.example", RecordType::A);
    scene.answer(&question, &["10.44.0.20"]);
    let tcp = scene.connect("10.44.0.20:443");
    scene.syn(&tcp);
    scene.refuse(&tcp, 62);
    calm(&scene);
}

#[test]
fn without_environment_or_failure_nothing_is_bypassed() {
    let mut scene = shut("");
    calm(&scene);
    scene.go.env = None;
    calm(&scene);
    // One SYN at the end, and a question without an answer yet.
    let mut scene = looked_up(&format!("{ENV}NO_PROXY=golang.org\n"));
    let tcp = scene.connect(DIRECT);
    scene.syn(&tcp);
    calm(&scene);
    let mut scene = Scene::new();
    scene.env(&format!("{ENV}NO_PROXY=golang.org\n"));
    scene.ask(NAME, RecordType::A);
    calm(&scene);
    // One direction of everything.
    let mut scene = Scene::new();
    scene.env(&format!("{ENV}NO_PROXY=golang.org\n"));
    scene.ask(NAME, RecordType::A);
    let mut tcp = scene.connect(DIRECT);
    scene.syn(&tcp);
    tcp.client_seq += 1;
    tcp.server_seq += 1;
    scene.client_sends(&mut tcp, 0, &[]);
    scene.hello(&mut tcp, NAME);
    later(&mut scene, 9_000);
    calm(&scene);
}
