//! Handshakes inside a proxy's tunnel: their far end is the name behind it.

use super::*;
use crate::finding::{Code, Fault};
use crate::observation::Outcome;

/// An open tunnel that has carried go's hello.
fn tunnelled(scene: &mut Scene) -> Tcp {
    scene.env("HTTPS_PROXY=http://proxy.corp.test:3128\n");
    let mut tcp = scene.connect("198.51.100.8:3128");
    scene.open(&mut tcp);
    scene.client_sends(&mut tcp, PSH, b"CONNECT proxy.golang.org:8443 HTTP/1.1\r\nHost: proxy.golang.org:8443\r\n\r\n");
    scene.after_ms(RTT_MS);
    scene.server_sends(&mut tcp, PSH, b"HTTP/1.1 200 Connection established\r\n\r\n");
    scene.hello(&mut tcp, HOST);
    scene.after_ms(RTT_MS);
    tcp
}

#[test]
fn a_proxy_that_closes_at_the_hello_is_not_the_server() {
    let mut scene = Scene::new();
    let mut tcp = tunnelled(&mut scene);
    scene.server_sends(&mut tcp, FIN | ACK, b"");
    scene.client_sends(&mut tcp, FIN | ACK, b"");
    let finding = scene.finding(Code::TlsServerReset);
    assert_eq!((finding.fault, finding.subject.host.as_deref()), (Fault::Unknown, Some(HOST)));
    assert_eq!((finding.subject.address, finding.subject.port), (None, Some(8443)), "the port that CONNECT asked for");
    assert_eq!(scene.case().handshakes[0].outcome, Outcome::Closed);
}

#[test]
fn silence_in_a_tunnel_is_told_with_all_that_is_open() {
    let mut scene = Scene::new();
    let mut tcp = tunnelled(&mut scene);
    scene.server_sends(&mut tcp, ACK, b"");
    scene.after_ms(10_000);
    scene.client_sends(&mut tcp, FIN | ACK, b"");
    let finding = scene.finding(Code::TlsHandshakeTimeout);
    assert_eq!(finding.fault, Fault::Unknown);
    assert!(finding.summary.starts_with("The proxy takes the ClientHello"), "{}", finding.summary);
    assert!(finding.not_excluded.iter().any(|open| open.contains("behind the proxy")));
}

#[test]
fn an_answer_that_was_recorded_before_the_hello_does_not_answer_it() {
    // The CONNECT is in a hole: the hello is held back until that is clear, and the proxy's answer is read first.
    let mut scene = scene();
    scene.env("HTTPS_PROXY=http://proxy.corp.test:3128\n");
    let mut tcp = scene.connect("198.51.100.8:3128");
    scene.open(&mut tcp);
    tcp.client_seq = tcp.client_seq.wrapping_add(80);
    scene.after_ms(RTT_MS);
    scene.server_sends(&mut tcp, PSH, b"HTTP/1.1 200 Connection established\r\n\r\n");
    scene.hello(&mut tcp, HOST);
    scene.after_ms(RTT_MS);
    scene.tls13_flight(&mut tcp, 900);
    scene.tls13_client_record(&mut tcp, 53);
    assert_eq!(scene.accused(), []);
    let case = scene.case();
    assert_eq!(case.handshakes[0].outcome, Outcome::Completed);
    assert_eq!((case.exchanges[0].method.as_str(), case.exchanges[0].url.as_str()), ("CONNECT", ""));
    assert_eq!(case.handshakes[0].tunnel, Some(0));
}
