use ring::aead;

use super::*;
use crate::observation::{Outcome, Sighting, Veil};
use crate::protocol::tls::testing::{AT, go_hello};
use crate::types::FlowId;

use Direction::{ToClient, ToServer};

/// The sending side of a direction.
struct Sealer {
    secret: [u8; 32],
    seq: u64,
}

impl Sealer {
    fn seal(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        let keys = schedule::traffic_key(Suite::of(0x1301).unwrap(), &self.secret).unwrap();
        let mut nonce = keys.iv;
        nonce[4..].iter_mut().zip(self.seq.to_be_bytes()).for_each(|(to, from)| *to ^= from);
        self.seq += 1;
        let mut body = [content, &[kind]].concat();
        let head = [&[23, 3, 3][..], &u16::try_from(body.len() + 16).unwrap().to_be_bytes()].concat();
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        keys.key.seal_in_place_append_tag(nonce, aead::Aad::from(&head), &mut body).unwrap();
        [head, body].concat()
    }
}

fn sealer(secret: u8) -> Sealer {
    Sealer { secret: [secret; 32], seq: 0 }
}

fn keys() -> KeyLog {
    let labels = [
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
    ];
    let mut log = KeyLog::default();
    for (label, secret) in labels.into_iter().zip(["01", "02", "03", "04"]) {
        log.add(format!("{label} {} {}", "09".repeat(32), secret.repeat(32)).as_bytes());
    }
    log
}

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

fn hello() -> Vec<u8> {
    record(22, &message(1, &go_hello("a.example", &[0x0904], true)))
}

fn server_hello() -> Vec<u8> {
    record(22, &message(2, &[&[3, 3][..], &[5; 32], &[0, 0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4]].concat()))
}

/// `EncryptedExtensions` with h2, and two certificates, the first with an extension.
fn flight() -> Vec<u8> {
    let certificates = [&[0, 0, 0, 19, 0, 0, 4][..], b"leaf", &[0, 3, 9, 9, 9], &[0, 0, 2], b"ca", &[0, 0]].concat();
    let extensions = [0, 9, 0, 16, 0, 5, 0, 3, 2, b'h', b'2'];
    [message(8, &extensions), message(11, &certificates), message(15, b"proof"), message(20, &[0; 32])].concat()
}

fn run(parts: &[(Direction, Vec<u8>)]) -> (Session, Vec<Plain>, Sink) {
    let (mut session, mut sink, keys) = (Session::default(), Sink::default(), keys());
    for (direction, bytes) in parts {
        session.data(*direction, AT, bytes, &keys, &mut sink);
    }
    let plain = session.take_plain();
    (session, plain, sink)
}

fn handshake() -> Vec<(Direction, Vec<u8>)> {
    vec![
        (ToServer, hello()),
        (ToClient, [server_hello(), record(20, &[1]), sealer(2).seal(22, &flight())].concat()),
        (ToServer, [record(20, &[1]), sealer(1).seal(22, &message(20, &[0; 32]))].concat()),
    ]
}

fn data(direction: Direction, bytes: &[u8]) -> Plain {
    Plain::Data(direction, AT, bytes.to_vec())
}

#[test]
fn rfc_8446_4_4_2_certificates_are_read_and_data_is_handed_on() {
    let (mut client, mut server) = (sealer(3), sealer(4));
    let mut parts = handshake();
    // A ticket, and data of which the client's half is recorded in two pieces.
    let request = client.seal(23, b"GET /");
    parts.push((ToServer, request[..9].to_vec()));
    parts.push((ToServer, request[9..].to_vec()));
    parts.push((ToClient, [server.seal(22, &message(4, b"ticket")), server.seal(23, b"200")].concat()));
    parts.push((ToClient, server.seal(21, &[1, 0])));
    let (session, plain, sink) = run(&parts);
    assert_eq!(plain, [data(ToServer, b"GET /"), data(ToClient, b"200"), Plain::End(ToClient, AT)]);
    assert_eq!((session.alpn(), session.has_wrong_secrets()), (Some("h2"), false));
    assert_eq!(sink.0, [b"leaf".to_vec(), b"ca".to_vec()]);
    let seen = session.into_handshake(FlowId(0), AT, |_| None);
    assert_eq!(seen.certificates, Sighting::Seen(vec![CertificateId(0), CertificateId(1)]));
    assert_eq!((seen.outcome, seen.decrypted, seen.alerts.len()), (Outcome::Completed, true, 0));
}

#[test]
fn data_of_the_server_may_come_before_the_client_s_finished() {
    let mut parts = handshake();
    parts.insert(2, (ToClient, sealer(4).seal(23, b"early")));
    assert_eq!(run(&parts).1, [data(ToClient, b"early")]);
}

#[test]
fn an_alert_is_read_and_says_who_gave_up() {
    let mut parts = handshake();
    parts[2] = (ToServer, sealer(1).seal(21, &[2, 42]));
    let seen = run(&parts).0.into_handshake(FlowId(0), AT, |_| None);
    assert_eq!(seen.outcome, Outcome::RejectedByClient);
    assert_eq!(seen.alerts[0].content, Some(AlertContent { level: 2, description: 42 }));
    // A server that refuses the client's certificate does so after the client has finished.
    let mut parts = handshake();
    parts.push((ToClient, sealer(4).seal(21, &[2, 116])));
    assert_eq!(run(&parts).0.into_handshake(FlowId(0), AT, |_| None).outcome, Outcome::Alert);
}

#[test]
fn after_a_retry_request_hellos_in_clear_follow_on_change_cipher_spec() {
    let random = ring::digest::digest(&ring::digest::SHA256, b"HelloRetryRequest");
    let retry = [&[3, 3][..], random.as_ref(), &[0, 0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4]];
    let mut parts = handshake();
    parts.insert(1, (ToClient, [record(22, &message(2, &retry.concat())), record(20, &[1])].concat()));
    parts.insert(2, (ToServer, [record(20, &[1]), hello()].concat()));
    let seen = run(&parts).0.into_handshake(FlowId(0), AT, |_| None);
    assert_eq!((seen.outcome, seen.decrypted, seen.retry), (Outcome::Completed, true, Some(AT)));
    assert_eq!(seen.client_records.len(), 1, "the second hello is none");
}

#[test]
fn records_before_the_server_s_choice_wait_for_it() {
    let mut parts = handshake();
    parts.swap(1, 2);
    parts.push((ToServer, sealer(3).seal(23, b"GET /")));
    let (session, plain, _) = run(&parts);
    assert_eq!(plain, [data(ToServer, b"GET /")]);
    assert_eq!(session.into_handshake(FlowId(0), AT, |_| None).client_records.len(), 2);
    let alone = run(&[(ToServer, hello()), parts[1].clone()]).0.into_handshake(FlowId(0), AT, |_| None);
    assert_eq!((alone.client_records.len(), alone.decrypted), (1, false));
}

#[test]
fn a_hole_is_counted_in_bytes_of_what_it_hides() {
    let mut server = sealer(4);
    let records: Vec<_> = (0..4).map(|_| server.seal(23, &[b'x'; 100])).collect();
    let (mut session, _, mut sink) = run(&[handshake(), vec![(ToClient, records[0].clone())]].concat());
    session.gap(ToClient, AT, records[1].len() as u64 + 40, Veil::Gap);
    assert!(session.has_hole(ToClient));
    // The rest of the third record tells nothing; the fourth is found again.
    session.data(ToClient, AT, &records[2][40..], &keys(), &mut sink);
    session.data(ToClient, AT, &records[3], &keys(), &mut sink);
    assert_eq!(session.take_plain(), [Plain::Gap(ToClient, AT, Some(200)), data(ToClient, &[b'x'; 100])]);
    assert!(!session.has_hole(ToClient));
    // A hole within one record.
    let last = server.seal(23, &[b'y'; 50]);
    session.data(ToClient, AT, &last[..20], &keys(), &mut sink);
    session.gap(ToClient, AT, 30, Veil::Gap);
    session.data(ToClient, AT, &[&last[50..], &server.seal(23, b"z")].concat(), &keys(), &mut sink);
    assert_eq!(session.take_plain(), [Plain::Gap(ToClient, AT, Some(50)), data(ToClient, b"z")]);
}

#[test]
fn broken_certificate_messages_have_no_certificates() {
    let whole = [&[0, 0, 0, 9, 0, 0, 4][..], b"leaf", &[0, 0]].concat();
    let mut sink = Sink::default();
    assert_eq!(certificate_list(&whole, &mut sink).unwrap().len(), 1);
    for end in 0..whole.len() {
        assert!(certificate_list(&whole[..end], &mut sink).is_none(), "cut at {end}");
    }
    assert!(chosen_protocol(&[0, 4, 0, 16, 0, 9]).is_none());
}
