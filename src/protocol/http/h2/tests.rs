use std::net::SocketAddr;

use proptest::prelude::*;
use ring::digest;

use super::super::testing::{Collector, Taken};
use super::*;
use crate::types::{FlowId, FrameNo, Timestamp};

use Direction::{ToClient, ToServer};

fn at(number: u32) -> Moment {
    Moment { time: Timestamp::from_seconds(i64::from(number)), frame: FrameNo { file: 0, number } }
}

fn session() -> Session {
    let server: SocketAddr = "192.0.2.1:443".parse().unwrap();
    Session::new(Setting { flow: FlowId(3), server, secure: true, digest: true })
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as literals that are not indexed.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let string = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    fields.iter().flat_map(|(name, value)| [vec![0], string(name), string(value)].concat()).collect()
}

fn request(path: &str) -> Vec<u8> {
    block(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "proxy.test"),
        (":path", path),
        ("user-agent", "Go-http-client/2.0"),
    ])
}

fn opening() -> Vec<u8> {
    [PREFACE, &frame(4, 0, 0, &[0, 2, 0, 0, 0, 0]), &frame(8, 0, 0, &[0, 0x40, 0, 0])].concat()
}

fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(1, 5, stream, &request(path))
}

fn answer(stream: u32, status: &str, flags: u8) -> Vec<u8> {
    frame(1, flags, stream, &block(&[(":status", status), ("content-type", "text/plain"), ("set-cookie", "a=b")]))
}

fn play(pieces: &[(Direction, Vec<u8>)]) -> Vec<Exchange> {
    let mut session = session();
    for (number, (direction, bytes)) in (1..).zip(pieces) {
        session.data(*direction, at(number), bytes);
    }
    session.finish()
}

fn sha256(bytes: &[u8]) -> Option<[u8; 32]> {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().ok()
}

#[test]
fn a_request_and_its_answer_make_one_exchange_wherever_they_are_cut() {
    let client = [opening(), get(1, "/m/@v/list")].concat();
    let server = [frame(4, 0, 0, &[]), answer(1, "200", 4), frame(0, 0, 1, b"v1.0"), frame(0, 1, 1, b".0\n")].concat();
    for cut in 0..client.len().max(server.len()) {
        let (c, s) = (cut.min(client.len()), cut.min(server.len()));
        let exchanges = play(&[
            (ToServer, client[..c].to_vec()),
            (ToServer, client[c..].to_vec()),
            (ToClient, server[..s].to_vec()),
            (ToClient, server[s..].to_vec()),
        ]);
        let [exchange] = exchanges.as_slice() else { panic!("cut at {cut}: {exchanges:?}") };
        assert_eq!((exchange.method.as_str(), exchange.url.as_str()), ("GET", "https://proxy.test/m/@v/list"));
        assert_eq!((exchange.status, exchange.complete, exchange.body_bytes), (Some(200), true, 7));
        assert_eq!((exchange.body_head.as_slice(), exchange.body_sha256), (&b"v1.0.0\n"[..], sha256(b"v1.0.0\n")));
        assert_eq!(exchange.headers, [("content-type".to_owned(), "text/plain".to_owned())], "no cookies");
        assert_eq!((exchange.user_agent.as_deref(), &exchange.error), (Some("Go-http-client/2.0"), &None));
        assert_eq!(exchange.protocol, HttpProtocol::Http2);
    }
}

#[test]
fn rfc_9113_6_2_padding_priority_and_continuation() {
    let fields = request("/a");
    let (head, tail) = fields.split_at(10);
    let padded = [&[3][..], &[0, 0, 0, 0, 16], head, &[0; 3]].concat();
    let client = [opening(), frame(1, 0x1 | 0x8 | 0x20, 1, &padded), frame(9, 4, 1, tail)].concat();
    let server = [answer(1, "100", 4), answer(1, "200", 4), frame(0, 0x9, 1, &[2, b'o', b'k', 0, 0])].concat();
    let exchanges = play(&[(ToServer, client), (ToClient, server)]);
    assert_eq!((exchanges[0].url.as_str(), exchanges[0].status), ("https://proxy.test/a", Some(200)));
    assert_eq!((exchanges[0].body_head.as_slice(), exchanges[0].complete), (&b"ok"[..], true));
}

#[test]
fn streams_are_told_apart_and_trailers_end_one() {
    let client = [opening(), get(1, "/a"), get(3, "/b")].concat();
    let server = [
        answer(3, "404", 4),
        answer(1, "200", 4),
        frame(0, 0, 1, b"a"),
        frame(0, 1, 3, b"not found"),
        frame(1, 5, 1, &block(&[("x-trailer", "1")])),
    ]
    .concat();
    let exchanges = play(&[(ToServer, client), (ToClient, server)]);
    let seen: Vec<_> = exchanges.iter().map(|it| (it.url.as_str(), it.status, it.body_bytes, it.complete)).collect();
    assert_eq!(seen, [("https://proxy.test/a", Some(200), 1, true), ("https://proxy.test/b", Some(404), 9, true)]);
}

#[test]
fn a_reset_of_the_server_is_an_error_and_a_cancel_of_the_client_is_none() {
    let client = [opening(), get(1, "/a"), get(3, "/b"), get(5, "/c")].concat();
    let exchanges = play(&[
        (ToServer, client),
        (ToClient, [answer(1, "200", 4), frame(0, 0, 1, b"PK"), frame(3, 0, 1, &[0, 0, 0, 2])].concat()),
        (ToServer, frame(3, 0, 3, &[0, 0, 0, 8])),
        (ToClient, [answer(3, "404", 4), frame(0, 1, 3, b"sent all the same")].concat()),
        (ToServer, frame(3, 0, 5, &[0, 0, 0, 1])),
        (ToClient, frame(3, 0, 5, &[0, 0, 0, 2])),
    ]);
    assert_eq!(exchanges[0].error.as_deref(), Some("stream error: INTERNAL_ERROR; received from server"));
    assert_eq!((exchanges[0].complete, exchanges[0].body_bytes, exchanges[0].body_sha256), (false, 2, None));
    assert_eq!((exchanges[1].error.as_deref(), exchanges[1].body_bytes), (None, 17));
    assert_eq!(exchanges[2].error.as_deref(), Some("stream error: PROTOCOL_ERROR; sent by client"));
}

#[test]
fn rfc_9113_6_8_goaway_leaves_what_it_names_to_be_finished() {
    let client = [opening(), get(1, "/a"), get(3, "/b")].concat();
    let graceful = [frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]), answer(1, "200", 5)].concat();
    let exchanges = play(&[(ToServer, client.clone()), (ToClient, graceful)]);
    assert!(exchanges[0].complete);
    assert_eq!(exchanges[1].error.as_deref(), Some("GOAWAY: NO_ERROR; received from server"));
    let angry = frame(7, 0, 0, &[0, 0, 0, 3, 0, 0, 0, 11, b'x']);
    let exchanges = play(&[(ToServer, client), (ToClient, angry)]);
    assert!(exchanges.iter().all(|it| it.error.as_deref() == Some("GOAWAY: ENHANCE_YOUR_CALM; received from server")));
}

#[test]
fn a_body_shorter_than_promised_is_no_complete_one() {
    let head = frame(1, 4, 1, &block(&[(":status", "200"), ("content-length", "10")]));
    let server = [head, frame(0, 1, 1, b"short")].concat();
    let exchanges = play(&[(ToServer, [opening(), get(1, "/a")].concat()), (ToClient, server)]);
    assert_eq!((exchanges[0].complete, exchanges[0].error.as_deref()), (false, Some("unexpected EOF")));
}

#[test]
fn holes_inside_data_are_counted_and_others_end_the_reading() {
    let mut session = session();
    session.data(ToServer, at(1), &[opening(), get(1, "/a"), get(3, "/b")].concat());
    session.data(ToClient, at(2), &[answer(1, "200", 4), frame(0, 1, 1, &[b'x'; 100])[..29].to_vec()].concat());
    session.gap(ToClient, 50);
    session.data(ToClient, at(3), &[b'x'; 30]);
    session.gap(ToClient, 1);
    session.data(ToClient, at(4), &answer(3, "200", 5));
    session.closed(ToClient);
    let exchanges = session.finish();
    assert_eq!((exchanges[0].body_bytes, exchanges[0].complete, exchanges[0].body_sha256), (100, false, None));
    assert_eq!((&exchanges[0].error, exchanges[1].status), (&None, None));
    assert_eq!(exchanges[1].error.as_deref(), Some("a hole in the recording hides the head of the answer"));
}

#[test]
fn headers_after_a_broken_block_are_unknown_and_not_guessed() {
    let client = [opening(), frame(1, 5, 1, &[0xff, 0xff]), get(3, "/b")].concat();
    let exchanges = play(&[(ToServer, client), (ToClient, [answer(1, "200", 5), answer(3, "200", 5)].concat())]);
    assert_eq!(exchanges.len(), 2);
    assert!(exchanges.iter().all(|it| it.method.is_empty() && it.url.is_empty() && it.status == Some(200)));
}

#[test]
fn a_stream_that_does_not_begin_at_its_beginning_is_not_read() {
    assert!(play(&[(ToServer, get(1, "/a"))]).is_empty());
    assert!(starts_preface(b"PRI * HT") && !starts_preface(b"GET / HTTP/1.1") && !starts_preface(b""));
}

#[test]
fn credentials_are_not_held() {
    let fields = block(&[
        (":method", "GET"),
        (":path", "/"),
        (":authority", "user:pw@a.test"),
        ("authorization", "Basic c2VjcmV0"),
    ]);
    let head =
        frame(1, 4, 1, &block(&[(":status", "401"), ("www-authenticate", "Basic"), ("authorization", "c2VjcmV0")]));
    let exchanges = play(&[(ToServer, [opening(), frame(1, 5, 1, &fields)].concat()), (ToClient, head)]);
    let shown = format!("{exchanges:?}");
    assert!(!shown.contains("c2VjcmV0") && !shown.contains("pw"), "{shown}");
    assert_eq!(exchanges[0].header("www-authenticate"), Some("Basic"));
}

/// What a sink gets of these pieces, and the exchanges.
fn taken(pieces: &[(Direction, Vec<u8>)], then: impl FnOnce(&mut Session)) -> (Vec<Taken>, Vec<Exchange>) {
    let (collector, bodies) = Collector::new();
    let mut session = session().with_bodies(Some(&bodies));
    for (number, (direction, bytes)) in (1..).zip(pieces) {
        session.data(*direction, at(number), bytes);
    }
    then(&mut session);
    let exchanges = session.finish();
    let taken = collector.take().0;
    assert!(taken.iter().all(|body| body.end.is_some()), "each that begins ends");
    (taken, exchanges)
}

#[test]
fn bodies_of_streams_that_are_interleaved_are_handed_on_wherever_pieces_are_cut() {
    let head = frame(1, 5, 5, &block(&[(":method", "HEAD"), (":path", "/c"), (":authority", "proxy.test")]));
    let client = [opening(), get(1, "/a"), get(3, "/b"), head, get(7, "/d")].concat();
    let server = [
        answer(1, "200", 4),
        frame(0, 0, 1, b"one"),
        answer(3, "200", 4),
        frame(0, 8, 3, &[2, b't', b'w', 0, 0]),
        answer(5, "200", 4),
        frame(0, 1, 5, b"not a body"),
        frame(0, 1, 1, b" more"),
        answer(7, "204", 5),
        frame(0, 1, 3, b"o"),
    ]
    .concat();
    for cut in 0..server.len() {
        let (before, after) = server.split_at(cut);
        let pieces = [(ToServer, client.clone()), (ToClient, before.to_vec()), (ToClient, after.to_vec())];
        let (taken, exchanges) = taken(&pieces, |_| ());
        let told: Vec<_> = taken.iter().map(|body| (body.url.as_str(), body.bytes.as_slice())).collect();
        assert_eq!(told, [("https://proxy.test/a", &b"one more"[..]), ("https://proxy.test/b", b"two")], "{cut}");
        for (body, exchange) in taken.iter().zip(&exchanges) {
            assert_eq!((body.end, exchange.body_sha256), (Some((true, sha256(&body.bytes))), sha256(&body.bytes)));
        }
    }
}

#[test]
fn bodies_that_are_not_whole_end_so() {
    let client = (ToServer, [opening(), get(1, "/a"), get(3, "/b")].concat());
    let begun = [answer(3, "200", 4), frame(0, 0, 3, b"b"), answer(1, "200", 4), frame(0, 1, 1, b"abcdef")].concat();
    let begun = (ToClient, begun[..begun.len() - 4].to_vec());
    let pieces = [client, begun];
    type Case = (fn(&mut Session), &'static [u8], &'static [(usize, Option<u64>)]);
    let cases: [Case; 6] = [
        (|_| (), b"ab", &[]),
        (|session| session.closed(ToClient), b"ab", &[]),
        (|session| session.gap(ToClient, 5), b"ab", &[(2, None)]),
        (
            |session| {
                session.gap(ToClient, 3);
                session.data(ToClient, at(9), b"f");
            },
            b"abf",
            &[(2, Some(3))],
        ),
        (|session| session.data(ToServer, at(9), &frame(3, 0, 1, &[0, 0, 0, 1])), b"ab", &[]),
        (|session| session.data(ToServer, at(9), &frame(3, 0, 1, &[0, 0, 0, 8])), b"ab", &[]),
    ];
    for (number, (rest, bytes, holes)) in cases.into_iter().enumerate() {
        let (taken, _) = taken(&pieces, rest);
        let [other, body] = taken.as_slice() else { panic!("{taken:?}") };
        assert_eq!((other.bytes.as_slice(), other.end), (&b"b"[..], Some((false, None))), "{number}");
        assert_eq!((body.bytes.as_slice(), body.holes.as_slice()), (bytes, holes), "{number}");
        assert_eq!(body.end, Some((false, None)), "{number}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(pieces in proptest::collection::vec((any::<bool>(), any::<u8>(), proptest::collection::vec(any::<u8>(), 0..300)), 0..20)) {
        let (collector, bodies) = Collector::new();
        let mut session = session().with_bodies(Some(&bodies));
        session.data(ToServer, at(0), &opening());
        for (to_server, kind, bytes) in pieces {
            let direction = if to_server { ToServer } else { ToClient };
            session.data(direction, at(1), &frame(kind % 10, kind, 1, &bytes));
            session.data(direction, at(1), &bytes);
            session.gap(direction, u64::from(kind));
        }
        session.closed(ToClient);
        session.finish();
        for body in collector.take().0 {
            let (complete, hash) = body.end.unwrap();
            prop_assert!(!complete || (body.holes.is_empty() && hash == sha256(&body.bytes)));
        }
    }

    #[test]
    fn a_flipped_bit_makes_no_second_exchange(place in 0_usize..600, bit in 0_u8..8) {
        let client = [opening(), get(1, "/m/@v/list")].concat();
        let server = [answer(1, "200", 4), frame(0, 1, 1, &[7; 300])].concat();
        let mut all = [client.clone(), server].concat();
        if let Some(byte) = all.get_mut(place) {
            *byte ^= 1 << bit;
        }
        let (client, server) = all.split_at(client.len());
        let exchanges = play(&[(ToServer, client.to_vec()), (ToClient, server.to_vec())]);
        // A flipped stream number makes two streams of one; more there cannot be.
        prop_assert!(exchanges.len() <= 2);
    }
}
