use super::message::{ALPN, certificate_list, extension};
use super::*;
use crate::observation::{CertificateId, Outcome, Sighting, Veil};
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
        self.seq += 1;
        record(23, &keys.seal(self.seq - 1, kind, content, 0))
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
    assert_eq!((alone.client_records.len(), alone.decrypted), (1, true));
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
    assert!(extension(&[0, 4, 0, 16, 0, 9], ALPN).is_none());
}

#[test]
fn records_are_found_again_in_the_middle_of_a_segment() {
    let mut server = sealer(4);
    let records: Vec<_> = (0..4).map(|at| server.seal(23, &[b'a' + at; 300])).collect();
    let stream = records.concat();
    for (from, to) in [(0, 10), (0, 330), (20, 400), (310, 700), (200, 650)] {
        let (mut session, _, mut sink) = run(&handshake());
        session.data(ToClient, AT, &stream[..from], &keys(), &mut sink);
        session.gap(ToClient, AT, (to - from) as u64, Veil::Gap);
        session.data(ToClient, AT, &stream[to..to + 200], &keys(), &mut sink);
        session.data(ToClient, AT, &stream[to + 200..], &keys(), &mut sink);
        let plain = session.take_plain();
        let first = to.div_ceil(322);
        let expected: Vec<_> = (first..4).map(|at| vec![b'a' + u8::try_from(at).unwrap(); 300]).collect();
        assert_eq!(said(&plain, ToClient), expected, "hole from {from} to {to}");
    }
}

#[test]
fn where_the_server_hello_is_missing_the_records_tell_the_suite() {
    // Only the client was recorded.
    let mut client = sealer(3);
    let hello_and_finished = [handshake()[0].clone(), handshake()[2].clone()];
    let mut parts = hello_and_finished.to_vec();
    parts.push((ToServer, client.seal(23, b"GET /")));
    let (session, plain, _) = run(&parts);
    assert_eq!(plain, [data(ToServer, b"GET /")]);
    assert!(!session.has_wrong_secrets());
    let seen = session.into_handshake(FlowId(0), AT, |_| Some(Veil::Gap));
    assert_eq!((seen.decrypted, seen.outcome, seen.server_hello), (true, Outcome::Completed, None));
    assert_eq!(seen.certificates, Sighting::Hidden(Veil::Gap));
    // The server's first segment is missing, and so is its flight.
    let (mut session, _, mut sink) = run(&hello_and_finished[..1]);
    session.gap(ToClient, AT, 1_000, Veil::Gap);
    for (direction, bytes) in [(ToServer, hello_and_finished[1].1.clone()), (ToClient, sealer(4).seal(23, b"200"))] {
        session.data(direction, AT, &bytes, &keys(), &mut sink);
    }
    assert_eq!(session.take_plain(), [data(ToClient, b"200")]);
    // Records that nothing opens end the trying.
    let mut parts = vec![(ToServer, hello())];
    parts.extend((0..20).map(|_| (ToServer, sealer(9).seal(23, b"?"))));
    let (session, plain, _) = run(&parts);
    assert!(plain.is_empty() && !session.is_being_decrypted());
}

#[test]
fn what_only_looks_like_a_record_does_not_end_the_reading() {
    let mut server = sealer(4);
    let (mut session, _, mut sink) = run(&handshake());
    server.seq = 3;
    session.gap(ToClient, AT, 50, Veil::Gap);
    session.data(ToClient, AT, &[&[9; 40][..], &[23, 3, 3, 0, 60], &[9; 100]].concat(), &keys(), &mut sink);
    session.data(ToClient, AT, &[&[9; 7][..], &server.seal(23, b"found")].concat(), &keys(), &mut sink);
    assert_eq!(said(&session.take_plain(), ToClient), [b"found"]);
}

/// A session with everything in it that changes keys or splits messages: early data, tickets, updates, padding.
fn eventful() -> Vec<(Direction, Vec<u8>)> {
    let (mut client, mut server) = (sealer(3), sealer(4));
    let mut parts = handshake();
    let next = |secret: &[u8; 32]| -> [u8; 32] {
        schedule::next_secret(Suite::of(0x1301).unwrap(), secret).unwrap().try_into().unwrap()
    };
    let ticket = message(4, &[7; 90]);
    parts.push((
        ToClient,
        [server.seal(22, &ticket[..40]), server.seal(22, &[&ticket[40..], &ticket].concat())].concat(),
    ));
    parts.push((ToServer, client.seal(23, b"GET /1")));
    parts.push((ToServer, client.seal(22, &message(24, &[1]))));
    client = Sealer { secret: next(&client.secret), seq: 0 };
    parts.push((ToClient, [server.seal(23, b"200 1"), server.seal(23, b"")].concat()));
    parts.push((ToServer, client.seal(23, b"GET /2")));
    // A certificate on request, after the handshake: nobody takes it for the server's.
    parts.push((ToClient, server.seal(22, &message(13, &[0, 0, 0]))));
    parts.push((ToServer, client.seal(22, &[message(11, &[0; 4]), message(20, &[0; 32])].concat())));
    parts.push((ToClient, server.seal(22, &message(24, &[0]))));
    server = Sealer { secret: next(&server.secret), seq: 0 };
    parts.push((ToClient, server.seal(23, b"200 2")));
    parts.push((ToClient, server.seal(21, &[1, 0])));
    parts
}

fn said(plain: &[Plain], direction: Direction) -> Vec<Vec<u8>> {
    let of = |it: &Plain| match it {
        Plain::Data(to, _, bytes) if *to == direction => Some(bytes.clone()),
        _ => None,
    };
    plain.iter().filter_map(of).collect()
}

#[test]
fn rfc_8446_4_6_messages_after_the_handshake_change_keys_and_nothing_else() {
    let (session, plain, sink) = run(&eventful());
    assert_eq!(said(&plain, ToServer), [b"GET /1", b"GET /2"]);
    assert_eq!(said(&plain, ToClient), [b"200 1", b"200 2"]);
    assert_eq!((plain.len(), sink.0.len()), (5, 2));
    let seen = session.into_handshake(FlowId(0), AT, |_| None);
    assert_eq!((seen.outcome, seen.alerts.len()), (Outcome::Completed, 0));
}

#[test]
fn whatever_bit_is_flipped_what_is_opened_was_said() {
    let parts = eventful();
    let whole = run(&parts).1;
    for at in 0..parts.len() {
        for bit in 0..parts[at].1.len() * 8 {
            // The hello is in clear and long: a part of it will do.
            if at == 0 && bit % 61 != 0 {
                continue;
            }
            let mut damaged = parts.clone();
            damaged[at].1[bit / 8] ^= 1 << (bit % 8);
            let (session, plain, sink) = run(&damaged);
            for direction in [ToServer, ToClient] {
                let all = said(&whole, direction);
                let mut rest = all.iter();
                for piece in said(&plain, direction) {
                    assert!(rest.any(|known| *known == piece), "part {at} bit {bit}: {piece:?}");
                }
            }
            assert!(sink.0.is_empty() || sink.0 == [b"leaf".to_vec(), b"ca".to_vec()], "part {at} bit {bit}");
            // In clear, one bit makes another version of it.
            let seen = session.into_handshake(FlowId(0), AT, |_| None);
            let in_clear = at == 0 || (at == 1 && bit / 8 < server_hello().len());
            assert!(in_clear || seen.certificates != Sighting::Absent, "part {at} bit {bit}");
        }
    }
}

#[test]
fn whatever_bit_of_a_secret_is_flipped_what_is_opened_was_said() {
    let parts = eventful();
    let whole = run(&parts).1;
    let labels = ["CLIENT_HANDSHAKE", "SERVER_HANDSHAKE", "CLIENT", "SERVER"];
    for bit in 0..4 * 256 {
        let mut keys = KeyLog::default();
        for (at, label) in labels.into_iter().enumerate() {
            let mut secret = [u8::try_from(at + 1).unwrap(); 32];
            if bit / 256 == at {
                secret[bit % 256 / 8] ^= 1 << (bit % 8);
            }
            let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
            let end = if at < 2 { "" } else { "_0" };
            keys.add(format!("{label}_TRAFFIC_SECRET{end} {} {hex}", "09".repeat(32)).as_bytes());
        }
        let (mut session, mut sink) = (Session::default(), Sink::default());
        for (direction, bytes) in &parts {
            session.data(*direction, AT, bytes, &keys, &mut sink);
        }
        let plain = session.take_plain();
        for direction in [ToServer, ToClient] {
            let (told, all) = (said(&plain, direction), said(&whole, direction));
            let wrong = bit / 256 == if direction == ToServer { 2 } else { 3 };
            assert!(if wrong { told.is_empty() } else { told == all }, "bit {bit}");
        }
        assert_eq!(sink.0.is_empty(), bit / 256 == 1, "bit {bit}");
        let seen = session.into_handshake(FlowId(0), AT, |_| None);
        assert!(seen.decrypted && seen.certificates != Sighting::Absent, "bit {bit}");
        // The client's Finished is not read without its secret, but what follows it is.
        assert_eq!(seen.outcome, Outcome::Completed, "bit {bit}");
    }
}

#[test]
fn rfc_8879_compressed_certificates_are_hidden_and_not_absent() {
    let mut parts = handshake();
    let flight = [message(8, &[0, 0]), message(25, &[0, 2, 0, 0, 9]), message(15, b"proof"), message(20, &[0; 32])];
    parts[1] = (ToClient, [server_hello(), record(20, &[1]), sealer(2).seal(22, &flight.concat())].concat());
    let seen = run(&parts).0.into_handshake(FlowId(0), AT, |_| None);
    assert_eq!((seen.outcome, seen.certificates), (Outcome::Completed, Sighting::Hidden(Veil::Encrypted)));
}

#[test]
fn certificates_in_a_hole_are_hidden_and_not_absent() {
    // The record that holds them is damaged, and Finished is in another one.
    let mut parts = handshake();
    let mut server = sealer(2);
    let flight = flight();
    let finished = flight.len() - 36;
    let mut first = server.seal(22, &flight[..finished]);
    first[20] ^= 1;
    parts[1] = (ToClient, [server_hello(), record(20, &[1]), first, server.seal(22, &flight[finished..])].concat());
    let (session, _, sink) = run(&parts);
    assert!(sink.0.is_empty());
    let seen = session.into_handshake(FlowId(0), AT, |_| None);
    assert_eq!((seen.decrypted, seen.certificates), (true, Sighting::Hidden(Veil::Encrypted)));
}

/// A hello that offers early data, with the early secret `06…` in the key log.
fn early(parts: &[(Direction, Vec<u8>)]) -> (Session, Vec<Plain>) {
    let mut keys = keys();
    keys.add(format!("CLIENT_EARLY_TRAFFIC_SECRET {} {}", "09".repeat(32), "06".repeat(32)).as_bytes());
    let (mut session, mut sink) = (Session::default(), Sink::default());
    for (direction, bytes) in parts {
        session.data(*direction, AT, bytes, &keys, &mut sink);
    }
    let plain = session.take_plain();
    (session, plain)
}

/// The handshake with early data, which the server takes or does not.
fn early_handshake(taken: bool) -> Vec<(Direction, Vec<u8>)> {
    let mut offer = go_hello("a.example", &[0x0904], false);
    // The last of the extensions is followed by an empty one, and the length before them all is set anew.
    offer.extend([0, 42, 0, 0]);
    let before = 2 + 32 + 33;
    let suites = usize::from(u16::from_be_bytes([offer[before], offer[before + 1]]));
    let at = before + 2 + suites + 2;
    let length = u16::try_from(offer.len() - at - 2).unwrap().to_be_bytes();
    offer[at..at + 2].copy_from_slice(&length);
    let extensions: &[u8] = if taken { &[0, 4, 0, 42, 0, 0] } else { &[0, 0] };
    let flight = [message(8, extensions), message(20, &[0; 32])].concat();
    let (mut early, mut client) = (sealer(6), sealer(1));
    let request = early.seal(23, b"GET /early");
    let end = if taken { early.seal(22, &message(5, &[])) } else { Vec::new() };
    vec![
        (ToServer, record(22, &message(1, &offer))),
        (ToServer, [record(20, &[1]), request].concat()),
        (ToClient, [server_hello(), record(20, &[1]), sealer(2).seal(22, &flight)].concat()),
        (ToServer, [end, client.seal(22, &message(20, &[0; 32]))].concat()),
        (ToServer, sealer(3).seal(23, b"GET /late")),
    ]
}

#[test]
fn rfc_8446_4_2_10_early_data_count_where_the_server_takes_them() {
    let (session, plain) = early(&early_handshake(true));
    assert_eq!(plain, [data(ToServer, b"GET /early"), data(ToServer, b"GET /late")]);
    let seen = session.into_handshake(FlowId(0), AT, |_| None);
    assert_eq!((seen.outcome, seen.client_records.len()), (Outcome::Completed, 2));
    let (session, plain) = early(&early_handshake(false));
    assert_eq!(plain, [data(ToServer, b"GET /late")]);
    assert!(!session.has_wrong_secrets());
}

#[test]
fn early_data_without_their_secret_are_passed_over() {
    for taken in [true, false] {
        let (session, plain, _) = run(&early_handshake(taken));
        assert_eq!(said(&plain, ToServer), [b"GET /late"]);
        assert!(!session.has_wrong_secrets());
        assert_eq!(session.into_handshake(FlowId(0), AT, |_| None).outcome, Outcome::Completed);
    }
    // Early data alone are no answer to anything.
    let alone = &early_handshake(true)[..2];
    assert_eq!(run(alone).0.into_handshake(FlowId(0), AT, |_| None).outcome, Outcome::Incomplete);
    let mut session = Session::default();
    for (direction, bytes) in alone {
        session.data(*direction, AT, bytes, &KeyLog::default(), &mut Sink::default());
    }
    let seen = session.into_handshake(FlowId(0), AT, |_| None);
    assert_eq!((seen.outcome, seen.alerts.len()), (Outcome::Incomplete, 0));
}
