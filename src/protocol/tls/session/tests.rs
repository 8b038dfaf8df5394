use super::*;
use crate::protocol::tls::testing::{AT, go_hello};

#[derive(Default)]
struct Sink(Vec<Vec<u8>>);

impl CertificateSink for Sink {
    fn intern(&mut self, der: &[u8]) -> CertificateId {
        self.0.push(der.to_vec());
        CertificateId(u32::try_from(self.0.len() - 1).unwrap())
    }
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &u16::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &u32::try_from(body.len()).unwrap().to_be_bytes()[1..], body].concat()
}

fn hello_record(name: &str) -> Vec<u8> {
    record(22, &message(1, &go_hello(name, &[0x0904], true)))
}

fn server_hello(version: u16) -> Vec<u8> {
    let extension = [&43_u16.to_be_bytes()[..], &[0, 2], &version.to_be_bytes()].concat();
    let extensions = [&u16::try_from(extension.len()).unwrap().to_be_bytes()[..], &extension].concat();
    record(22, &message(2, &[&[3, 3][..], &[5; 32], &[0, 0x13, 1, 0], &extensions].concat()))
}

fn certificates(list: &[&[u8]]) -> Vec<u8> {
    let entries: Vec<u8> =
        list.iter().flat_map(|der| [&u32::try_from(der.len()).unwrap().to_be_bytes()[1..], *der].concat()).collect();
    message(11, &[&u32::try_from(entries.len()).unwrap().to_be_bytes()[1..], &entries].concat())
}

fn run(parts: &[(Direction, &[u8])]) -> (Handshake, Sink) {
    let (mut session, mut sink) = (Session::default(), Sink::default());
    for (direction, bytes) in parts {
        session.data(*direction, AT, bytes, &KeyLog::default(), &mut sink);
    }
    (session.into_handshake(FlowId(0), AT, |_| None), sink)
}

use Direction::{ToClient, ToServer};

#[test]
fn a_hello_in_two_segments_is_one_hello() {
    let hello = hello_record("proxy.example");
    let (handshake, _) = run(&[(ToServer, &hello[..900]), (ToServer, &hello[900..])]);
    let seen = handshake.hello.unwrap();
    assert!(seen.complete);
    assert_eq!((seen.segments, seen.bytes as usize), (2, hello.len()));
    assert_eq!(handshake.server_name, Sighting::Seen("proxy.example".into()));
    assert_eq!(handshake.outcome, Outcome::Incomplete);
}

#[test]
fn half_a_hello_is_said_to_be_half() {
    let hello = hello_record("proxy.example");
    let (handshake, _) = run(&[(ToServer, &hello[..600])]);
    assert!(!handshake.hello.unwrap().complete);
    assert_eq!(handshake.server_name.seen().unwrap(), "proxy.example");
}

#[test]
fn certificates_of_tls_1_2_are_kept_in_order_and_those_of_1_3_are_hidden() {
    let flight =
        [server_hello(0x0303), record(22, &[certificates(&[b"leaf", b"ca"]), message(14, b"")].concat())].concat();
    let (handshake, sink) = run(&[(ToServer, &hello_record("a.example")), (ToClient, &flight)]);
    assert_eq!(handshake.certificates, Sighting::Seen(vec![CertificateId(0), CertificateId(1)]));
    assert_eq!(sink.0, [b"leaf".to_vec(), b"ca".to_vec()]);
    let (handshake, _) = run(&[(ToServer, &hello_record("a.example")), (ToClient, &server_hello(0x0304))]);
    assert_eq!(handshake.certificates, Sighting::Hidden(Veil::Encrypted));
}

#[test]
fn in_tls_1_3_a_first_record_of_nineteen_bytes_is_a_rejection_and_a_longer_one_is_not() {
    let flight = [server_hello(0x0304), record(20, &[1]), record(23, &[0; 900])].concat();
    for (length, outcome) in [(19, Outcome::RejectedByClient), (53, Outcome::Completed)] {
        let answer = [record(20, &[1]), record(23, &vec![0; length])].concat();
        let (handshake, _) = run(&[(ToServer, &hello_record("a.example")), (ToClient, &flight), (ToServer, &answer)]);
        assert_eq!(handshake.outcome, outcome, "{length} bytes");
    }
}

#[test]
fn alerts_say_who_sent_them() {
    let (handshake, _) = run(&[(ToServer, &hello_record("a.example")), (ToClient, &record(21, &[2, 112]))]);
    assert_eq!(handshake.outcome, Outcome::Alert);
    assert_eq!(handshake.alerts[0].content, Some(AlertContent { level: 2, description: 112 }));
    let flight = [server_hello(0x0303), record(22, &certificates(&[b"leaf"]))].concat();
    let (handshake, _) =
        run(&[(ToServer, &hello_record("a.example")), (ToClient, &flight), (ToServer, &record(21, &[2, 42]))]);
    assert_eq!(handshake.outcome, Outcome::RejectedByClient);
}

#[test]
fn plain_text_instead_of_a_server_hello_is_not_tls() {
    let (handshake, _) =
        run(&[(ToServer, &hello_record("a.example")), (ToClient, b"HTTP/1.1 403 "), (ToClient, b"Forbidden\r\n")]);
    assert_eq!(handshake.outcome, Outcome::NotTls);
    assert_eq!(handshake.not_tls.unwrap().head, b"HTTP/1.1 403 Forbidden\r\n");
}

#[test]
fn a_hole_in_the_server_s_flight_hides_its_certificates() {
    let (mut session, mut sink) = (Session::default(), Sink::default());
    session.data(ToServer, AT, &hello_record("a.example"), &KeyLog::default(), &mut sink);
    session.data(ToClient, AT, &server_hello(0x0303), &KeyLog::default(), &mut sink);
    session.gap(ToClient, AT, 2_000, Veil::Truncated);
    let handshake = session.into_handshake(FlowId(0), AT, |_| None);
    assert_eq!(handshake.certificates, Sighting::Hidden(Veil::Truncated));
}

#[test]
fn rfc_5246_7_3_a_session_is_resumed_where_nothing_stands_before_change_cipher_spec_and_nothing_is_missing() {
    let hello = hello_record("a.example");
    let end = [record(20, &[1]), record(22, &[9; 40])].concat();
    let (seen, _) =
        run(&[(ToServer, &hello), (ToClient, &[server_hello(0x0303), end.clone()].concat()), (ToServer, &end)]);
    assert_eq!((seen.certificates, seen.outcome), (Sighting::Absent, Outcome::Completed));
    assert!(seen.server_hello.unwrap().resumed);
    // The certificates may be in the hole.
    let (mut session, mut sink) = (Session::default(), Sink::default());
    session.data(ToServer, AT, &hello, &KeyLog::default(), &mut sink);
    session.data(ToClient, AT, &server_hello(0x0303), &KeyLog::default(), &mut sink);
    session.gap(ToClient, AT, 2_000, Veil::Gap);
    let done = [record(22, &message(14, b"")), end].concat();
    session.data(ToClient, AT, &done, &KeyLog::default(), &mut sink);
    let seen = session.into_handshake(FlowId(0), AT, |_| None);
    assert_eq!(seen.certificates, Sighting::Hidden(Veil::Gap));
    assert!(!seen.server_hello.unwrap().resumed);
}
