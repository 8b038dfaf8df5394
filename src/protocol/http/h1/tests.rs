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
    Session::new(Setting { flow: FlowId(3), server: "192.0.2.1:80".parse().unwrap(), secure: false, digest: true })
}

/// Plays pieces, frame by frame, and returns the session with what the last piece gave.
fn play(pieces: &[(Direction, &str)]) -> (Session, Progress) {
    let mut session = session();
    let mut progress = Progress::Continues;
    for (number, (direction, text)) in (1..).zip(pieces) {
        progress = session.data(*direction, at(number), text.as_bytes());
    }
    (session, progress)
}

fn sha256(bytes: &[u8]) -> Option<[u8; 32]> {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().ok()
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: proxy.test\r\nUser-Agent: Go-http-client/1.1\r\n\r\n";

#[test]
fn a_request_and_its_answer_make_one_exchange() {
    let (session, progress) = play(&[
        (ToServer, &GET[..10]),
        (ToServer, &GET[10..]),
        (ToClient, "HTTP/1.1 200 OK\r\nContent-Ty"),
        (ToClient, "pe: text/plain\r\nContent-Length: 5\r\n\r\nhe"),
        (ToClient, "llo"),
    ]);
    assert_eq!(progress, Progress::Continues);
    let [exchange] = session.exchanges() else { panic!() };
    assert_eq!(
        (exchange.method.as_str(), exchange.url.as_str(), exchange.flow),
        ("GET", "http://proxy.test/a", FlowId(3))
    );
    assert_eq!((exchange.request, exchange.response), (Some(at(1)), Some(at(4))));
    assert_eq!((exchange.status, exchange.reason.as_str()), (Some(200), "OK"));
    assert_eq!(exchange.header("content-type"), Some("text/plain"));
    assert_eq!((exchange.body_bytes, exchange.body_head.as_slice(), exchange.complete), (5, b"hello".as_slice(), true));
    assert_eq!((exchange.body_sha256, &exchange.error), (sha256(b"hello"), &None));
    assert_eq!((exchange.user_agent.as_deref(), exchange.credentials_sent), (Some("Go-http-client/1.1"), false));
}

#[test]
fn rfc_9112_9_3_2_pipelined_requests_are_paired_in_order() {
    let stream = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\r\n\
                  HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n\
                  HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    let requests = format!(
        "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nGET {GET}HEAD /3 HTTP/1.1\r\nHost: a\r\n\r\n{GET}"
    );
    let expected = [("POST", 200, 3), ("GET", 304, 0), ("HEAD", 200, 0), ("GET", 404, 0)];
    for cut in 0..stream.len() {
        let mut session = session();
        for byte in requests.as_bytes() {
            session.data(ToServer, at(1), &[*byte]);
        }
        session.data(ToClient, at(2), &stream.as_bytes()[..cut]);
        session.data(ToClient, at(3), &stream.as_bytes()[cut..]);
        let found: Vec<_> =
            session.exchanges().iter().map(|e| (e.method.as_str(), e.status.unwrap(), e.body_bytes)).collect();
        assert_eq!(found, expected, "{cut}");
        assert!(session.exchanges().iter().all(|exchange| exchange.complete && exchange.error.is_none()));
        assert_eq!(session.exchanges()[3].body_sha256, sha256(b""));
        assert_eq!(session.exchanges()[2].body_sha256, None, "the answer to HEAD has no body to hash");
    }
}

#[test]
fn a_body_until_close_is_complete_when_it_closes() {
    let (mut session, _) = play(&[(ToServer, GET), (ToClient, "HTTP/1.0 200 OK\r\n\r\n<html>"), (ToClient, "</html>")]);
    assert!(!session.exchanges()[0].complete);
    session.closed(ToClient, at(9));
    let exchange = &session.finish()[0];
    assert_eq!((exchange.complete, exchange.body_sha256), (true, sha256(b"<html></html>")));
}

#[test]
fn ends_too_early_are_errors() {
    for (answer, error) in [
        ("", "EOF"),
        ("HTTP/1.1 200", "unexpected EOF"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "unexpected EOF"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "unexpected EOF"),
    ] {
        let (mut session, _) = play(&[(ToServer, GET), (ToClient, answer)]);
        session.closed(ToClient, at(9));
        let exchange = &session.finish()[0];
        assert_eq!(
            (exchange.error.as_deref(), exchange.complete, exchange.body_sha256),
            (Some(error), false, None),
            "{answer}"
        );
    }
}

#[test]
fn connect_opens_a_tunnel() {
    let connect = "CONNECT proxy.golang.org:443 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic x\r\n\r\n";
    let (mut session, progress) =
        play(&[(ToServer, connect), (ToClient, "HTTP/1.1 200 Connection established\r\n\r\n")]);
    assert_eq!(progress, Progress::Tunnel { consumed: 39 });
    assert_eq!(session.data(ToServer, at(3), b"\x16\x03\x01"), Progress::Tunnel { consumed: 0 });
    assert_eq!(session.data(ToClient, at(4), b"\x16\x03\x03"), Progress::Tunnel { consumed: 0 });
    assert_eq!(session.take_early().to_server, None);
    let exchange = &session.finish()[0];
    assert_eq!((exchange.url.as_str(), exchange.status, exchange.complete), ("proxy.golang.org:443", Some(200), true));
    assert!(exchange.credentials_sent);
}

#[test]
fn tunnel_bytes_recorded_before_the_answer_are_handed_out() {
    let connect = "CONNECT a:443 HTTP/1.1\r\n\r\n";
    let (mut session, progress) = play(&[
        (ToServer, connect),
        (ToServer, "\x16\x03"),
        (ToServer, "\x01"),
        (ToClient, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nSSH-2"),
    ]);
    assert_eq!(progress, Progress::Tunnel { consumed: 38 });
    let early = Early { at: at(2), bytes: b"\x16\x03\x01".to_vec(), hole: false };
    assert_eq!(session.take_early(), Both { to_server: Some(early), to_client: None });
}

#[test]
fn a_refused_connect_is_followed_by_the_next() {
    let connect = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n";
    let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 2\r\n\r\nno";
    let (session, progress) =
        play(&[(ToServer, connect), (ToServer, connect), (ToClient, refusal), (ToClient, "HTTP/1.1 200 OK\r\n\r\n")]);
    assert_eq!(progress, Progress::Tunnel { consumed: 19 });
    let found: Vec<_> = session.exchanges().iter().map(|e| (e.status.unwrap(), e.body_bytes, e.request)).collect();
    assert_eq!(found, [(407, 2, Some(at(1))), (200, 0, Some(at(2)))]);
    assert_eq!(session.exchanges()[0].header("proxy-authenticate"), Some("Basic realm=\"x\""));
}

#[test]
fn answers_without_a_seen_request_stand_alone() {
    let (session, _) =
        play(&[(ToClient, "HTTP/1.1 302 Found\r\nLocation: http://portal.test/\r\nContent-Length: 0\r\n\r\n")]);
    let exchange = &session.exchanges()[0];
    assert_eq!(
        (exchange.method.as_str(), exchange.url.as_str(), exchange.request, exchange.status),
        ("", "", None, Some(302))
    );
    assert!(exchange.complete);
}

#[test]
fn an_answer_that_was_recorded_before_its_request_is_paired_by_time() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n";
    let urls = |times: [u32; 4]| {
        let mut session = session();
        let pieces = [
            (ToClient, format!("{answer}1")),
            (ToServer, get("/one")),
            (ToServer, get("/two")),
            (ToClient, format!("{answer}2")),
        ];
        for ((direction, text), time) in pieces.iter().zip(times) {
            session.data(*direction, at(time), text.as_bytes());
        }
        let paired = |exchange: &Exchange| (exchange.url.clone(), exchange.response.map(|at| at.frame.number));
        session.exchanges().iter().map(paired).collect::<Vec<_>>()
    };
    let url = |path: &str| format!("http://proxy.test{path}");
    assert_eq!(urls([2, 1, 3, 4]), [(url("/one"), Some(2)), (url("/two"), Some(4))]);
    // Begun after the answer: what that one belongs to was not recorded.
    assert_eq!(urls([1, 2, 3, 4]), [(String::new(), Some(1)), (url("/one"), Some(4)), (url("/two"), None)]);
}

#[test]
fn holes_inside_bodies_are_tolerated() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab";
    let next = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    let (mut session, _) = play(&[(ToServer, GET), (ToServer, GET), (ToClient, head)]);
    session.gap(ToClient, at(4), 5);
    session.data(ToClient, at(4), b"hij");
    assert_eq!(session.exchanges()[0].body_head, b"ab", "what comes after a hole is not the beginning");
    session.data(ToClient, at(5), next.as_bytes());
    let found: Vec<_> = session
        .exchanges()
        .iter()
        .map(|e| (e.status, e.body_bytes, e.complete, e.body_sha256, e.error.is_some()))
        .collect();
    assert_eq!(found, [(Some(200), 10, false, None, false), (Some(404), 0, true, sha256(b""), false)]);
}

const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

/// URL, status and whether a hole is blamed, of each exchange.
fn told(session: Session) -> Vec<(String, Option<u16>, bool)> {
    let blamed = |error: &Option<String>| error.as_ref().is_some_and(|error| error.contains("hole"));
    session.finish().into_iter().map(|it| (it.url, it.status, blamed(&it.error))).collect()
}

fn get(path: &str) -> String {
    GET.replace("/a ", &format!("{path} "))
}

#[test]
fn a_hole_that_hides_the_end_of_a_body_or_a_head_ends_that_and_not_the_next() {
    for (answer, bytes) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", 9),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab", 3),
        ("HTTP/1.1 200 OK\r\nContent-", 3),
    ] {
        let (mut session, _) = play(&[(ToServer, GET), (ToClient, answer)]);
        session.gap(ToClient, at(4), bytes);
        session.data(ToClient, at(5), b"the rest of it, HTTP/1.1 200 OK\r\n\r\n");
        session.data(ToServer, at(6), get("/b").as_bytes());
        session.data(ToClient, at(7), NOT_FOUND.as_bytes());
        let status = Some(200).filter(|_| answer.len() > 30);
        let expected =
            [("http://proxy.test/a".to_owned(), status, true), ("http://proxy.test/b".to_owned(), Some(404), false)];
        assert_eq!(told(session), expected, "{answer}");
    }
}

#[test]
fn an_answer_in_a_hole_is_not_made_up_for_by_the_next_ones() {
    // The answer to /a is in the hole; when it is noticed, /b was sent already.
    let (mut session, _) = play(&[(ToServer, GET), (ToServer, &get("/b"))]);
    session.gap(ToClient, at(3), 99);
    session.data(ToClient, at(3), NOT_FOUND.as_bytes());
    session.data(ToServer, at(4), get("/c").as_bytes());
    session.data(ToClient, at(5), NOT_FOUND.as_bytes());
    let url = |path: &str| format!("http://proxy.test{path}");
    let expected = [(url("/a"), None, true), (url("/b"), Some(404), false), (url("/c"), Some(404), false)];
    assert_eq!(told(session), expected);
}

#[test]
fn what_may_be_pipelined_or_lacks_requests_is_not_paired_across_a_hole() {
    let other = GET.replace("Go-http-client/1.1", "curl/8");
    let (mut session, _) = play(&[(ToServer, &other)]);
    session.gap(ToClient, at(2), 99);
    session.data(ToClient, at(3), NOT_FOUND.as_bytes());
    assert_eq!(told(session), [("http://proxy.test/a".to_owned(), None, true), (String::new(), Some(404), false)]);

    let (mut session, _) = play(&[(ToServer, GET), (ToClient, NOT_FOUND)]);
    session.gap(ToServer, at(3), 200);
    session.data(ToClient, at(4), NOT_FOUND.as_bytes());
    session.data(ToServer, at(5), get("/c").as_bytes());
    session.data(ToClient, at(6), NOT_FOUND.as_bytes());
    let url = |path: &str| format!("http://proxy.test{path}");
    let expected = [
        (url("/a"), Some(404), false),
        (String::new(), Some(404), false),
        (url("/c"), None, true),
        (String::new(), Some(404), false),
    ];
    assert_eq!(told(session), expected);
}

#[test]
fn requests_before_a_hole_in_the_client_s_direction_keep_their_answers() {
    let (mut session, _) = play(&[(ToServer, GET), (ToServer, &get("/b"))]);
    session.gap(ToServer, at(3), 200);
    session.data(ToClient, at(4), format!("{NOT_FOUND}{NOT_FOUND}").as_bytes());
    let url = |path: &str| format!("http://proxy.test{path}");
    assert_eq!(told(session), [(url("/a"), Some(404), false), (url("/b"), Some(404), false)]);
    // One that gets none is not said to be hidden: the server's side is whole.
    let (mut session, _) = play(&[(ToServer, GET)]);
    session.gap(ToServer, at(3), 200);
    assert_eq!(told(session), [(url("/a"), None, false)]);
}

#[test]
fn a_tunnel_whose_answer_is_in_a_hole_is_known_by_the_tls_in_it() {
    let connect = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n";
    for hello in [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(), b"GET / HTTP/1.1\r\n\r\n"] {
        let (mut session, _) = play(&[(ToServer, connect)]);
        session.data(ToServer, at(2), hello);
        session.gap(ToClient, at(3), 39);
        let progress = session.data(ToClient, at(3), b"\x16\x03\x03\x00\x7a\x02");
        let is_tls = hello[0] == 0x16;
        assert_eq!(progress, if is_tls { Progress::Tunnel { consumed: 0 } } else { Progress::Continues });
        assert_eq!(session.take_early().to_server.map(|early| early.at), Some(at(2)));
        assert_eq!(told(session)[0], ("a:443".to_owned(), None, true));
    }
}

#[test]
fn a_tunnel_whose_request_was_not_recorded_is_known_by_the_tls_in_it() {
    let mut session = session();
    let answer = b"HTTP/1.1 200 Connection established\r\n\r\n\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03";
    assert_eq!(session.data(ToClient, at(1), answer), Progress::Tunnel { consumed: 39 });
    let mut by_client = self::session();
    by_client.data(ToClient, at(1), b"HTTP/1.1 200 OK\r\n\r\n");
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    assert_eq!(by_client.data(ToServer, at(2), hello), Progress::Tunnel { consumed: 0 });
    assert_eq!(by_client.finish()[0].method, "CONNECT");
    let exchange = &session.finish()[0];
    assert_eq!((exchange.method.as_str(), exchange.url.as_str(), exchange.status), ("CONNECT", "", Some(200)));
    assert_eq!((exchange.complete, exchange.body_bytes, exchange.request), (true, 0, None));
}

#[test]
fn only_whole_first_lines_are_taken_for_heads_after_a_hole() {
    for piece in [
        "HTTP/1.1 2",
        "HTTP/1.1 abc \r\n\r\n",
        "HTTP/1.1 2000 \r\n\r\n",
        " HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
    ] {
        assert!(!begins_response(piece.as_bytes()), "{piece}");
    }
    for piece in ["GET /", "GET / HTTP/1.1", "get / HTTP/1.1\r\n", "GET /\r\n HTTP/1.1\r\n", "x GET / HTTP/1.1\r\n"] {
        assert!(!begins_request(piece.as_bytes()), "{piece}");
    }
    assert!(begins_response(b"HTTP/1.1 200\r\n\r\n") && begins_request(b"GET / HTTP/1.1\r\n"));
}

#[test]
fn rfc_9110_9_3_6_a_refused_connect_has_a_body_and_the_next_request_follows() {
    let connect = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n";
    let refusal =
        "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n4;why=policy\r\nno!!\r\n0\r\nX-T: 1\r\n\r\n";
    let (session, progress) = play(&[(ToServer, connect), (ToClient, refusal), (ToServer, GET), (ToClient, NOT_FOUND)]);
    assert_eq!(progress, Progress::Continues);
    let found: Vec<_> = session.exchanges().iter().map(|e| (e.status, e.body_bytes, e.complete)).collect();
    assert_eq!(found, [(Some(403), 4, true), (Some(404), 0, true)]);
}

#[test]
fn other_protocols_are_foreign() {
    for bytes in
        [b"\x16\x03\x01\x02".as_slice(), b"PRI * HTTP/2.0\r\n\r\n", b"SSH-2.0-x\r\n", b"GARBAGE / HTTP/1.1\r\n\r\n"]
    {
        assert_eq!(session().data(ToServer, at(1), bytes), Progress::Foreign, "{bytes:?}");
        assert_eq!(session().data(ToClient, at(1), bytes), Progress::Foreign, "{bytes:?}");
    }
}

#[test]
fn what_is_no_answer_to_a_request_is_quoted_as_go_does() {
    let mut session = session();
    session.data(ToServer, at(1), b"CONNECT a:443 HTTP/1.1\r\n\r\n");
    assert_eq!(session.data(ToClient, at(2), b"\x05\xff"), Progress::Continues);
    session.data(ToClient, at(3), b"HTTP/1.1 200 OK\r\n\r\n");
    let [exchange] = session.exchanges() else { panic!() };
    assert_eq!(exchange.error.as_deref(), Some("malformed HTTP response \"\\x05\\xff\""));
    assert_eq!(
        (exchange.response, exchange.status, exchange.body_head.as_slice()),
        (Some(at(2)), None, b"\x05\xff".as_slice())
    );
}

#[test]
fn heads_and_exchanges_are_bounded() {
    let mut session = session();
    session.data(ToServer, at(1), GET.as_bytes());
    session.data(ToClient, at(2), b"HTTP/1.1 200 OK\r\nX: ");
    for _ in 0..100 {
        session.data(ToClient, at(3), &[b'x'; 1_000]);
    }
    assert_eq!(session.exchanges()[0].error.as_deref(), Some("the head of the answer is too long"));
    assert!(session.responses.head.capacity() == 0 && session.exchanges()[0].body_head.len() <= MAX_BODY_HEAD);

    let mut session = Session::new(session.setting);
    for _ in 0..MAX_EXCHANGES + 10 {
        session.data(ToServer, at(1), b"GET / HTTP/1.1\r\n\r\n");
    }
    assert_eq!((session.exchanges().len(), session.waiting.len()), (MAX_EXCHANGES, MAX_EXCHANGES));
    assert_eq!(session.requests.state, State::Stopped);
}

#[test]
fn switching_protocols_is_the_end_of_http() {
    let (session, progress) =
        play(&[(ToServer, GET), (ToClient, "HTTP/1.1 101 Switching Protocols\r\n\r\n\x01\x02"), (ToServer, "\x05")]);
    assert_eq!((progress, session.exchanges().len(), session.exchanges()[0].complete), (Progress::Continues, 1, true));
    assert_eq!(session.exchanges()[0].error, None);
}

/// What a sink gets of the answers to these requests, and the exchanges.
fn taken(requests: &str, play: impl FnOnce(&mut Session)) -> (Vec<Taken>, Vec<Exchange>) {
    let (collector, bodies) = Collector::new();
    let mut session = session().with_bodies(Some(&bodies));
    session.data(ToServer, at(1), requests.as_bytes());
    play(&mut session);
    let exchanges = session.finish();
    let taken = collector.take().0;
    assert!(taken.iter().all(|body| body.end.is_some()), "each that begins ends");
    (taken, exchanges)
}

#[test]
fn bodies_are_handed_on_wherever_pieces_are_cut() {
    let stream = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n2\r\nde\r\n0\r\nT: r\r\n\r\n\
                  HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfour\
                  HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n\
                  HTTP/1.1 204 No Content\r\n\r\n\
                  HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n\
                  HTTP/1.1 200 OK\r\n\r\nuntil close";
    let requests = format!("{GET}{GET}HEAD /h HTTP/1.1\r\n\r\n{GET}{GET}GET /last HTTP/1.1\r\nHost: a\r\n\r\n");
    for cut in 0..stream.len() {
        let (taken, exchanges) = taken(&requests, |session| {
            let (before, after) = stream.as_bytes().split_at(cut);
            session.data(ToClient, at(2), before);
            session.data(ToClient, at(3), after);
            session.closed(ToClient, at(4));
        });
        let contents: Vec<_> = taken.iter().map(|body| body.bytes.as_slice()).collect();
        assert_eq!(contents, [&b"abcde"[..], b"four", b"until close"], "{cut}");
        assert_eq!(taken[2].url, "http://a/last");
        for body in &taken {
            assert_eq!((body.end, &body.holes), (Some((true, sha256(&body.bytes))), &Vec::new()), "{cut}");
            assert!(exchanges.iter().any(|it| it.body_sha256 == sha256(&body.bytes)));
        }
    }
}

#[test]
fn bodies_that_are_not_whole_end_so() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab";
    let (cut, _) = taken(GET, |session| {
        session.data(ToClient, at(2), head.as_bytes());
    });
    assert_eq!((cut[0].bytes.as_slice(), cut[0].end), (&b"ab"[..], Some((false, None))));
    let (holed, _) = taken(GET, |session| {
        session.data(ToClient, at(2), head.as_bytes());
        session.gap(ToClient, at(3), 6);
        session.data(ToClient, at(4), b"ij");
    });
    let body = &holed[0];
    assert_eq!((body.bytes.as_slice(), body.holes.as_slice()), (&b"abij"[..], &[(2, Some(6))][..]));
    assert_eq!(body.end, Some((false, None)));
    let (ended, _) = taken(GET, |session| {
        session.data(ToClient, at(2), head.as_bytes());
        session.gap(ToClient, at(3), 9);
        session.data(ToClient, at(4), b"ij");
    });
    assert_eq!((ended[0].bytes.as_slice(), ended[0].holes.as_slice()), (&b"ab"[..], &[(2, None)][..]));
}

#[test]
fn a_hole_of_unknown_length_ends_a_body_until_close() {
    let (taken, exchanges) = taken(GET, |session| {
        session.data(ToClient, at(2), b"HTTP/1.0 200 OK\r\n\r\nab");
        session.gap(ToClient, at(3), u64::MAX);
        session.data(ToClient, at(4), b"ij");
        session.closed(ToClient, at(5));
    });
    assert_eq!((taken[0].bytes.as_slice(), taken[0].holes.as_slice()), (&b"ab"[..], &[(2, None)][..]));
    assert_eq!((exchanges[0].body_bytes, exchanges[0].complete), (2, false));
    assert!(exchanges[0].error.as_ref().is_some_and(|error| error.contains("hole")));
}

proptest! {
    #[test]
    fn no_bytes_panic(pieces in proptest::collection::vec((any::<bool>(), 0_usize..8, proptest::collection::vec(any::<u8>(), 0..20), 0_u64..40), 0..30)) {
        let words = [GET, "HTTP/1.1 200 OK\r\n", "Content-Length: 7\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n", "3\r\nabc\r\n", "0\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\n\r\n", ""];
        let (collector, bodies) = Collector::new();
        let mut session = session().with_bodies(Some(&bodies));
        for (up, word, noise, hole) in pieces {
            let direction = if up { ToServer } else { ToClient };
            let bytes = [words[word].as_bytes(), if hole % 3 == 0 { noise.as_slice() } else { &[] }].concat();
            if hole == 1 {
                session.gap(direction, at(1), 2);
            }
            if let Progress::Tunnel { consumed } = session.data(direction, at(1), &bytes) {
                prop_assert!(consumed <= bytes.len());
            }
        }
        session.closed(ToClient, at(2));
        session.take_early();
        let exchanges = session.finish();
        for body in collector.take().0 {
            let (complete, hash) = body.end.unwrap();
            prop_assert!(!complete || (body.holes.is_empty() && hash == sha256(&body.bytes)));
            prop_assert!(hash.is_none() || exchanges.iter().any(|it| it.body_sha256 == hash));
        }
    }
}
