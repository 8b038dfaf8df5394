use proptest::prelude::*;

use super::*;
use crate::types::{FrameNo, Timestamp};

use Direction::{ToClient, ToServer};

fn at(number: u32) -> Moment {
    Moment { time: Timestamp::from_seconds(i64::from(number)), frame: FrameNo { file: 0, number } }
}

/// Plays pieces, frame by frame, and returns the session with what the last piece gave.
fn play(pieces: &[(Direction, &[u8])]) -> (Session, Progress) {
    let mut session = Session::new(FlowId(3));
    let mut progress = Progress::Continues;
    for (number, (direction, bytes)) in (1..).zip(pieces) {
        progress = session.data(*direction, at(number), bytes);
    }
    (session, progress)
}

#[test]
fn rfc_1928_a_name_is_asked_for_and_the_tunnel_opens() {
    let (session, progress) = play(&[
        (ToServer, b"\x05\x01\x00"),
        (ToClient, b"\x05\x00"),
        (ToServer, b"\x05\x01\x00\x03\x10proxy.golang.org\x01\xbb"),
        (ToClient, b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00\x16\x03"),
    ]);
    assert_eq!(progress, Progress::Tunnel { consumed: 10 });
    let exchange = session.finish().unwrap();
    assert_eq!((exchange.method.as_str(), exchange.url.as_str()), ("CONNECT", "proxy.golang.org:443"));
    assert_eq!((exchange.status, exchange.reason.as_str(), exchange.complete), (Some(0), "succeeded", true));
    assert_eq!((exchange.request, exchange.response, exchange.flow), (Some(at(1)), Some(at(4)), FlowId(3)));
    assert_eq!((exchange.error, exchange.credentials_sent, exchange.protocol), (None, false, HttpProtocol::Socks));
}

#[test]
fn it_reads_whatever_the_pieces() {
    let client = b"\x05\x02\x00\x02\x01\x04user\x06secret\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbbHELLO";
    let server = b"\x05\x02\x01\x00\x05\x00\x00\x03\x04host\x01\xbbWORLD";
    for client_first in [true, false] {
        let mut session = Session::new(FlowId(0));
        let feed = |session: &mut Session, direction, bytes: &[u8]| {
            bytes
                .iter()
                .map(|byte| session.data(direction, at(1), &[*byte]))
                .position(|p| matches!(p, Progress::Tunnel { .. }))
        };
        let (opened, early) = if client_first {
            assert_eq!(feed(&mut session, ToServer, client), None);
            (feed(&mut session, ToClient, &server[..15]), Both { to_server: Some(b"HELLO".to_vec()), to_client: None })
        } else {
            assert_eq!(feed(&mut session, ToClient, server), None);
            (
                feed(&mut session, ToServer, &client[..client.len() - 5]),
                Both { to_server: None, to_client: Some(b"WORLD".to_vec()) },
            )
        };
        assert_eq!(opened, Some(if client_first { 14 } else { client.len() - 6 }));
        let taken = session.take_early();
        assert_eq!(taken.to_server.map(|early| early.bytes), early.to_server);
        assert_eq!(taken.to_client.map(|early| early.bytes), early.to_client);
        let exchange = session.finish().unwrap();
        assert_eq!(exchange.url, "[2001:db8::1]:443");
        assert!(exchange.credentials_sent && !format!("{exchange:?}").contains("secret"));
    }
}

#[test]
fn refusals_come_with_their_words() {
    let (session, progress) = play(&[
        (ToServer, b"\x05\x01\x00"),
        (ToClient, b"\x05\x00"),
        (ToServer, b"\x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb"),
        (ToClient, b"\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00"),
        (ToServer, b"\x16\x03\x01"),
    ]);
    assert_eq!(progress, Progress::Continues);
    let exchange = session.finish().unwrap();
    assert_eq!((exchange.status, exchange.reason.as_str()), (Some(2), "connection not allowed by ruleset"));
    assert_eq!(exchange.url, "192.0.2.1:443");
}

#[test]
fn proxies_that_want_credentials_say_so() {
    let (session, _) = play(&[(ToServer, b"\x05\x01\x00"), (ToClient, b"\x05\xff")]);
    let exchange = session.finish().unwrap();
    assert_eq!((exchange.status, exchange.error.as_deref()), (None, Some("no acceptable authentication method")));
    let (session, _) = play(&[
        (ToServer, b"\x05\x01\x02"),
        (ToClient, b"\x05\x02"),
        (ToServer, b"\x01\x01u\x01p"),
        (ToClient, b"\x01\x01"),
    ]);
    let exchange = session.finish().unwrap();
    assert_eq!(
        (exchange.credentials_sent, exchange.error.as_deref()),
        (true, Some("user name or password not accepted"))
    );
}

#[test]
fn version_4_and_4a() {
    let (session, progress) =
        play(&[(ToServer, b"\x04\x01\x01\xbb\xc0\x00\x02\x01\x00"), (ToClient, b"\x00\x5a\0\0\0\0\0\0")]);
    assert_eq!((progress, session.finish().unwrap().url.as_str()), (Progress::Tunnel { consumed: 8 }, "192.0.2.1:443"));
    let (session, progress) = play(&[
        (ToServer, b"\x04\x01\x01\xbb\x00\x00\x00\x01me\x00sum.golang.org\x00"),
        (ToClient, b"\x00\x5b\0\0\0\0\0\0"),
    ]);
    let exchange = session.finish().unwrap();
    assert_eq!((progress, exchange.url.as_str()), (Progress::Continues, "sum.golang.org:443"));
    assert_eq!((exchange.status, exchange.reason.as_str()), (Some(91), "request rejected or failed"));
    assert!(exchange.credentials_sent);
}

#[test]
fn http_on_either_side_is_told() {
    let (session, progress) = play(&[(ToServer, b"CONNECT a:443 HTTP/1.1\r\n")]);
    assert_eq!((progress, session.finish().is_none()), (Progress::Foreign, true));
    let (session, progress) = play(&[(ToServer, b"\x05\x01\x00"), (ToClient, b"HTTP/1.1 400 Bad Request\r\n\r\n")]);
    assert_eq!(progress, Progress::Continues);
    let exchange = session.finish().unwrap();
    assert_eq!(exchange.error.as_deref(), Some("malformed SOCKS answer \"HTTP/1.1 400 Bad Request\" (HTTP)"));
    assert_eq!((exchange.response, exchange.body_head.starts_with(b"HTTP/1.1 400")), (Some(at(2)), true));
}

#[test]
fn unknown_address_types_end_it() {
    let (session, _) =
        play(&[(ToServer, b"\x05\x01\x00"), (ToClient, b"\x05\x00"), (ToServer, b"\x05\x01\x00\x09\x00")]);
    assert_eq!(session.finish().unwrap().error.as_deref(), Some("malformed SOCKS request \"\\x05\\x01\\x00\\t\\x00\""));
}

#[test]
fn holes_and_ends_are_told() {
    let (mut session, _) = play(&[(ToServer, b"\x05\x01\x00")]);
    session.gap(ToClient, at(2), 2);
    assert!(session.finish().unwrap().error.unwrap().contains("hole"));
    let (mut session, _) = play(&[(ToServer, b"\x05\x01\x00")]);
    session.closed(ToClient, at(2));
    assert_eq!(session.finish().unwrap().error.as_deref(), Some("EOF"));
}

#[test]
fn a_tunnel_is_known_by_the_tls_in_it_whatever_a_hole_hides() {
    let request = b"\x05\x01\x00\x03\x06a.test\x01\xbb".as_slice();
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice();
    // The method, the verdict, the reply, or all that the proxy says.
    for (before, after) in [
        (vec![(ToServer, b"\x05\x01\x00".as_slice())], vec![request]),
        (vec![(ToServer, b"\x05\x02\x00\x02")], vec![b"\x01\x01u\x01p".as_slice(), request]),
        (vec![(ToServer, b"\x05\x01\x00"), (ToClient, b"\x05\x00"), (ToServer, request)], vec![]),
    ] {
        let (mut session, _) = play(&before);
        session.gap(ToClient, at(5), 2);
        for message in &after {
            assert_eq!(session.data(ToServer, at(6), message), Progress::Continues);
        }
        assert_eq!(session.data(ToServer, at(7), hello), Progress::Tunnel { consumed: 0 });
        let exchange = session.finish().unwrap();
        assert_eq!((exchange.url.as_str(), exchange.status), ("a.test:443", None), "{}", after.len());
        assert_eq!(exchange.credentials_sent, after.len() == 2);
        assert!(exchange.error.unwrap().contains("hole"));
    }
    // Without a hole a hello is no SOCKS message.
    let (mut session, _) = play(&[(ToServer, b"\x05\x01\x00"), (ToClient, b"\x05\x00")]);
    assert_eq!(session.data(ToServer, at(3), hello), Progress::Continues);
    assert!(session.finish().unwrap().error.unwrap().contains("malformed"));
}

#[test]
fn sniffing() {
    for bytes in [b"\x05".as_slice(), b"\x05\x01\x00", b"\x05\x02\x00", b"\x04\x01\x00\x50", b"\x04"] {
        assert!(looks_like_socks(bytes), "{bytes:?}");
    }
    for bytes in [b"".as_slice(), b"\x05\x00", b"\x05\x01\x00\x00", b"\x04\x09", b"GET", b"\x16\x03"] {
        assert!(!looks_like_socks(bytes), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(pieces in proptest::collection::vec((any::<bool>(), proptest::collection::vec(prop_oneof![0_u8..6, any::<u8>()], 0..40), any::<bool>()), 0..20)) {
        let mut session = Session::new(FlowId(0));
        for (up, bytes, hole) in pieces {
            let direction = if up { ToServer } else { ToClient };
            if hole && bytes.len() == 7 {
                session.gap(direction, at(1), 9);
            }
            if let Progress::Tunnel { consumed } = session.data(direction, at(1), &bytes) {
                prop_assert!(consumed <= bytes.len());
            }
            prop_assert!(session.buffers.to_server.bytes.len() <= 70_000 && session.buffers.to_client.bytes.len() <= 70_000);
        }
        session.take_early();
    }
}
