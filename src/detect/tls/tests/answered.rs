//! Resets, closes, alerts and plain text after the hello.

use super::*;
use crate::finding::{Code, Confidence, Fault, Finding, Severity};
use crate::testing::{SERVER_TTL, cited, hello_record_with};

#[test]
fn resets_with_another_ttl_before_a_round_trip_are_a_reset_by_name() {
    let mut scene = scene();
    let mut forged = Vec::new();
    for _ in 0..3 {
        let tcp = greeted(&mut scene);
        forged.push(scene.last_frame());
        scene.after_ms(4).reset(&tcp, 118);
        forged.push(scene.last_frame());
    }
    let finding = scene.finding(Code::TlsSniReset);
    assert_eq!((finding.fault, finding.confidence()), (Fault::Interference, Confidence::Strong));
    assert_eq!(finding.severity, Severity::Critical);
    assert!(forged.iter().all(|frame| cited(&finding).contains(frame)), "hello's end and reset of each connection");
    assert_eq!(scene.accused(), [Code::TlsSniReset]);
}

#[test]
fn a_reset_with_the_servers_ttl_is_forged_when_no_packet_can_be_so_fast() {
    let mut scene = scene();
    for _ in 0..3 {
        let tcp = greeted(&mut scene);
        scene.after_ms(4).reset(&tcp, SERVER_TTL);
    }
    let finding = scene.finding(Code::TlsSniReset);
    assert_eq!(finding.confidence(), Confidence::Moderate);
}

#[test]
fn three_resets_at_other_sequence_numbers_with_rising_ttl_are_forged() {
    let mut scene = scene();
    let tcp = greeted(&mut scene);
    scene.after_ms(RTT_MS);
    for (step, offset) in [(0_u8, 0_u32), (1, 1_460), (2, 4_380)] {
        scene.tcp(&tcp, false, 90 + step, RST | ACK, tcp.server_seq + offset, tcp.client_seq, &[], false);
    }
    assert!(scene.finding(Code::TlsSniReset).confidence() >= Confidence::Moderate);
}

#[test]
fn go_1_22_sends_a_hello_of_one_segment_which_is_judged_alike() {
    let mut scene = scene();
    let tcp = small_greeted(&mut scene);
    scene.after_ms(4).reset(&tcp, 118);
    assert_eq!(scene.accused(), [Code::TlsSniReset]);
}

#[test]
fn another_name_that_passes_at_the_same_address_leaves_no_other_cause() {
    let mut scene = scene();
    for _ in 0..2 {
        let tcp = greeted(&mut scene);
        scene.after_ms(4).reset(&tcp, 118);
    }
    scene.after_ms(500);
    other_name_works(&mut scene, "storage.googleapis.com");
    assert_eq!(scene.finding(Code::TlsSniReset).confidence(), Confidence::Proven);
}

#[test]
fn a_forged_reset_after_the_server_hello_is_still_one_by_the_handshake() {
    let mut scene = scene();
    for _ in 0..2 {
        let mut tcp = greeted(&mut scene);
        scene.after_ms(RTT_MS);
        scene.tls13_flight(&mut tcp, 900);
        scene.reset(&tcp, 118);
    }
    let finding = scene.finding(Code::TlsSniReset);
    assert!(finding.not_excluded.iter().any(|open| open.contains("certificate")));
    assert_eq!(scene.accused(), [Code::TlsSniReset]);
}

#[test]
fn the_servers_own_reset_after_a_full_round_trip_accuses_nobody_on_the_path() {
    let mut scene = scene();
    for _ in 0..3 {
        let tcp = greeted(&mut scene);
        scene.after_ms(RTT_MS).reset(&tcp, SERVER_TTL);
    }
    let finding = scene.finding(Code::TlsServerReset);
    assert_eq!(finding.fault, Fault::Server);
    assert_eq!(scene.accused(), [Code::TlsServerReset]);
}

#[test]
fn a_server_behind_machines_with_different_ttls_is_no_forger() {
    let mut scene = scene();
    for ttl in [53, 57, 49] {
        let mut tcp = scene.connect(SERVER);
        tcp.ttl = ttl;
        scene.open(&mut tcp);
        scene.hello(&mut tcp, HOST);
        scene.after_ms(RTT_MS).reset(&tcp, 57);
    }
    assert_eq!(scene.accused(), [Code::TlsServerReset]);
}

#[test]
fn paths_that_differ_by_a_hop_or_two_are_no_mark() {
    let mut scene = scene();
    let tcp = greeted(&mut scene);
    scene.after_ms(RTT_MS).reset(&tcp, SERVER_TTL - 2);
    assert_eq!(scene.accused(), [Code::TlsServerReset]);
}

#[test]
fn a_slow_opening_does_not_make_the_servers_reset_too_early() {
    let mut scene = scene();
    let mut tcp = scene.connect(SERVER);
    scene.syn(&tcp);
    scene.after_ms(55);
    scene.syn_ack(&mut tcp);
    scene.client_sends(&mut tcp, ACK, &[]);
    scene.hello(&mut tcp, HOST);
    scene.after_ms(RTT_MS).reset(&tcp, SERVER_TTL);
    assert_eq!(scene.accused(), [Code::TlsServerReset]);
}

#[test]
fn a_genuine_reset_recorded_on_two_interfaces_is_no_volley() {
    let mut scene = scene();
    let tcp = greeted(&mut scene);
    scene.after_ms(RTT_MS).reset(&tcp, SERVER_TTL);
    scene.record_again();
    assert_eq!(scene.accused(), [Code::TlsServerReset]);
}

#[test]
fn resets_that_clean_up_are_nothing() {
    let mut scene = scene();
    let mut tcp = scene.connect(SERVER);
    scene.tls13_session(&mut tcp, HOST);
    scene.reset(&tcp, 118);
    scene.tcp(&tcp, true, 64, RST, tcp.client_seq, 0, &[], false);
    assert_eq!(scene.accused(), []);
}

#[test]
fn a_cancelled_handshake_is_nothing() {
    let mut scene = scene();
    let mut tcp = greeted(&mut scene);
    scene.client_sends(&mut tcp, FIN, &[]);
    scene.after_ms(RTT_MS);
    scene.tls13_flight(&mut tcp, 900);
    scene.tcp(&tcp, true, 64, RST, tcp.client_seq, 0, &[], false);
    assert_eq!(scene.accused(), []);
}

#[test]
fn a_forged_reset_off_the_sequence_number_stays_at_medium_and_an_unmarked_one_is_nothing() {
    for (ttl, expected) in [(118, vec![Code::TlsSniReset]), (SERVER_TTL, vec![])] {
        let mut scene = scene();
        let mut tcp = greeted(&mut scene);
        scene.after_ms(RTT_MS);
        scene.tcp(&tcp, false, ttl, RST, tcp.server_seq.wrapping_sub(70_000), 0, &[], false);
        scene.tls13_flight(&mut tcp, 900);
        scene.tls13_client_record(&mut tcp, 53);
        scene.after_ms(RTT_MS);
        scene.server_sends(&mut tcp, PSH, &record(23, &[9; 400]));
        scene.client_sends(&mut tcp, FIN, &[]);
        scene.server_sends(&mut tcp, FIN, &[]);
        assert_eq!(scene.accused(), expected, "TTL {ttl}");
        if ttl == 118 {
            assert_eq!(scene.finding(Code::TlsSniReset).severity, Severity::Medium);
        }
    }
}

#[test]
fn a_close_is_no_answer_to_the_hello_where_the_servers_stream_has_no_start() {
    for recorded in [true, false] {
        let mut scene = scene();
        let mut tcp = scene.connect(SERVER);
        scene.syn(&tcp);
        if recorded {
            scene.after_ms(RTT_MS).syn_ack(&mut tcp);
        } else {
            (tcp.client_seq, tcp.server_seq) = (tcp.client_seq + 1, tcp.server_seq + 1);
        }
        scene.hello(&mut tcp, HOST);
        scene.after_ms(RTT_MS).server_sends(&mut tcp, FIN, &[]);
        scene.client_sends(&mut tcp, FIN, &[]);
        assert_eq!(scene.accused(), Vec::from_iter(recorded.then_some(Code::TlsServerReset)));
    }
}

#[test]
fn a_recording_at_the_server_measures_no_round_trip_and_accuses_nobody() {
    let mut scene = scene();
    let mut tcp = scene.connect(SERVER);
    tcp.ttl = 64;
    scene.syn(&tcp);
    scene.syn_ack(&mut tcp);
    scene.after_ms(RTT_MS);
    scene.client_sends(&mut tcp, ACK, &[]);
    scene.hello(&mut tcp, HOST);
    scene.reset(&tcp, 64);
    scene.seen_with_ttl(scene.client, 53);
    assert_eq!(scene.accused(), [Code::TlsServerReset]);
}

#[test]
fn a_hello_that_only_fails_when_large_is_a_matter_of_its_shape() {
    let mut scene = scene();
    let tcp = greeted(&mut scene);
    scene.after_ms(4).reset(&tcp, 118);
    let mut tcp = small_greeted(&mut scene);
    scene.after_ms(RTT_MS);
    scene.tls13_flight(&mut tcp, 900);
    scene.tls13_client_record(&mut tcp, 53);
    assert_eq!(scene.accused(), [Code::TlsClienthelloIntolerance]);
}

#[test]
fn a_block_that_outlasts_its_reset_is_told_with_its_trigger() {
    let mut scene = scene();
    let tcp = greeted(&mut scene);
    scene.after_ms(4).reset(&tcp, 118);
    scene.after_ms(500);
    let mut caught = scene.connect(SERVER);
    scene.open(&mut caught);
    scene.hello(&mut caught, "sum.golang.org");
    scene.after_ms(4).reset(&caught, 118);
    let caught_frame = scene.last_frame();
    scene.after_ms(100_000);
    other_name_works(&mut scene, "sum.golang.org");
    let finding = scene.finding(Code::TlsResidualBlock);
    assert_eq!(finding.subject.host.as_deref(), Some(HOST));
    assert!(cited(&finding).contains(&caught_frame));
    assert!(!scene.findings().iter().any(|other| other.subject.host.as_deref() == Some("sum.golang.org")));
}

#[test]
fn a_block_may_also_swallow_or_refuse_the_next_syns() {
    for refused in [false, true] {
        let mut scene = scene();
        let tcp = greeted(&mut scene);
        scene.after_ms(4).reset(&tcp, 118);
        for _ in 0..2 {
            scene.after_ms(500);
            let tcp = scene.connect(SERVER);
            scene.syn(&tcp);
            if refused {
                scene.after_ms(4).refuse(&tcp, 118);
            } else {
                scene.after_ms(1_000).syn(&tcp);
                scene.after_ms(2_000).syn(&tcp);
            }
        }
        assert_eq!(scene.finding(Code::TlsResidualBlock).fault, Fault::Interference, "refused: {refused}");
    }
}

#[test]
fn a_server_that_goes_down_after_its_own_reset_leaves_no_block() {
    let mut scene = scene();
    let tcp = greeted(&mut scene);
    scene.after_ms(RTT_MS).reset(&tcp, SERVER_TTL);
    let tcp = scene.connect(SERVER);
    for _ in 0..3 {
        scene.after_ms(1_000).syn(&tcp);
    }
    assert!(!scene.accused().contains(&Code::TlsResidualBlock));
}

#[test]
fn a_forged_close_lacks_timestamps_and_the_servers_own_has_them() {
    for (ttl, millis, timestamps, code) in
        [(61, 4, false, Code::TlsSniClosed), (SERVER_TTL, RTT_MS, true, Code::TlsServerReset)]
    {
        let mut scene = scene();
        for _ in 0..2 {
            let mut tcp = greeted(&mut scene);
            scene.after_ms(millis).fin(&mut tcp, ttl, timestamps);
            let fin = scene.last_frame();
            scene.client_sends(&mut tcp, FIN, &[]);
            assert!(cited(&scene.finding(code)).contains(&fin));
        }
        assert_eq!(scene.accused(), [code]);
    }
}

#[test]
fn an_alert_is_the_servers_unless_it_is_marked() {
    for (ttl, millis, timestamps, code, fault) in [
        (61, 4, false, Code::TlsAlertInjected, Fault::Interference),
        (SERVER_TTL, RTT_MS, true, Code::TlsServerAlert, Fault::Server),
    ] {
        let mut scene = scene();
        let tcp = greeted(&mut scene);
        scene.after_ms(millis);
        scene.tcp(&tcp, false, ttl, PSH | ACK, tcp.server_seq, tcp.client_seq, &alert(2, 112), timestamps);
        let frame = scene.last_frame();
        let finding = scene.finding(code);
        assert_eq!(finding.fault, fault);
        assert!(finding.confidence() >= Confidence::Strong);
        assert!(cited(&finding).contains(&frame));
        assert_eq!(scene.accused(), [code]);
    }
}

#[test]
fn plain_text_instead_of_tls_is_reported_with_its_first_line() {
    let mut scene = scene();
    let mut tcp = greeted(&mut scene);
    scene.after_ms(RTT_MS);
    scene.server_sends(&mut tcp, PSH, b"HTTP/1.1 403 Forbidden\r\n\r\n<html>blocked</html>");
    let frame = scene.last_frame();
    scene.server_sends(&mut tcp, FIN, &[]);
    let finding = scene.finding(Code::TlsNotTls);
    assert_eq!(finding.fault, Fault::Interference);
    assert!(cited(&finding).contains(&frame));
    assert!(finding.summary.contains("403 Forbidden"));
}

#[test]
fn a_private_server_that_speaks_plain_http_is_set_up_wrongly() {
    let mut scene = Scene::new();
    scene.env("GOPROXY=https://proxy.corp.example");
    let question = scene.ask("proxy.corp.example", RecordType::A);
    scene.answer(&question, &["10.44.0.10"]);
    let mut tcp = scene.connect("10.44.0.10:443");
    scene.open(&mut tcp);
    scene.hello(&mut tcp, "proxy.corp.example");
    scene.after_ms(RTT_MS);
    scene.server_sends(&mut tcp, PSH, b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    assert_eq!(scene.finding(Code::TlsNotTls).fault, Fault::Server);
}

#[test]
fn a_forged_close_is_told_though_the_server_answers_afterwards() {
    for overtaken in [false, true] {
        let mut scene = scene();
        let mut tcp = greeted(&mut scene);
        scene.after_ms(4);
        // What overtook the answer on its way stands behind it in the stream.
        let ahead = if overtaken { 97 } else { 0 };
        scene.tcp(&tcp, false, 61, FIN | ACK, tcp.server_seq + ahead, tcp.client_seq, &[], false);
        let forged = scene.last_frame();
        scene.tcp(&tcp, true, 64, FIN | ACK, tcp.client_seq, tcp.server_seq + 1, &[], true);
        scene.after_ms(RTT_MS);
        scene.tls13_flight(&mut tcp, 900);
        scene.tcp(&tcp, true, 64, RST, tcp.client_seq, 0, &[], false);
        if overtaken {
            assert_eq!(scene.accused(), []);
        } else {
            assert_eq!(scene.accused(), [Code::TlsSniClosed]);
            assert!(cited(&scene.finding(Code::TlsSniClosed)).contains(&forged));
        }
    }
}

#[test]
fn resets_that_come_with_a_forged_close_or_alert_are_cited_with_it() {
    for alerts in [false, true] {
        let mut scene = scene();
        let mut tcp = greeted(&mut scene);
        scene.after_ms(4);
        if alerts {
            scene.tcp(&tcp, false, 61, PSH | ACK, tcp.server_seq, tcp.client_seq, &alert(2, 49), false);
            tcp.server_seq += 7;
        } else {
            scene.fin(&mut tcp, 61, false);
        }
        scene.tcp(&tcp, false, 61, RST, tcp.server_seq, 0, &[], false);
        let code = if alerts { Code::TlsAlertInjected } else { Code::TlsSniClosed };
        assert!(cited(&scene.finding(code)).contains(&scene.last_frame()), "{code:?}");
    }
}

/// A reset after the hello with this TTL, so late; the server speaks first, or another name works later.
fn reset_late(ttl: u8, millis: i64, server_speaks: bool, other_works: bool) -> Finding {
    let mut scene = scene();
    for _ in 0..2 {
        let mut tcp = greeted(&mut scene);
        scene.after_ms(millis);
        if server_speaks {
            acknowledge(&mut scene, &mut tcp);
        }
        scene.reset(&tcp, ttl);
    }
    if other_works {
        scene.after_ms(500);
        other_name_works(&mut scene, "storage.googleapis.com");
    }
    scene.findings().into_iter().find(|finding| finding.code.family() == "tls").unwrap()
}

#[test]
fn a_firewall_in_front_of_the_server_is_the_servers_own_matter() {
    // The same distance as the server's with another initial TTL, after a full round trip.
    let hops = 64 - SERVER_TTL;
    let finding = reset_late(255 - hops, RTT_MS + 1, false, false);
    assert_eq!(
        (finding.code, finding.fault, finding.confidence()),
        (Code::TlsServerReset, Fault::Server, Confidence::Weak)
    );
    assert!(finding.not_excluded.iter().any(|open| open.contains("as far away")));
    let nearest = [
        ("too early for the server", reset_late(255 - hops, 4, false, false)),
        ("from another distance", reset_late(91, RTT_MS + 1, false, false)),
        ("the server has the hello", reset_late(255 - hops, RTT_MS + 1, true, false)),
        ("another name passes", reset_late(255 - hops, RTT_MS + 1, false, true)),
    ];
    for (why, finding) in nearest {
        assert_eq!((finding.code, finding.fault), (Code::TlsSniReset, Fault::Interference), "{why}");
    }
}

#[test]
fn a_server_that_resets_instead_of_its_first_word_after_the_handshake_did_it_itself() {
    for (ttl, speaks, expected) in [
        (SERVER_TTL, false, vec![Code::TlsServerReset]),
        (SERVER_TTL, true, vec![]),
        (118, false, vec![Code::TcpResetInjected]),
    ] {
        let mut scene = scene();
        let mut tcp = greeted(&mut scene);
        scene.after_ms(RTT_MS);
        scene.tls13_flight(&mut tcp, 900);
        scene.tls13_client_record(&mut tcp, 53);
        scene.after_ms(RTT_MS);
        if speaks {
            scene.server_sends(&mut tcp, PSH, &record(23, &[9; 400]));
            scene.after_ms(RTT_MS);
        }
        scene.reset(&tcp, ttl);
        assert_eq!(scene.accused(), expected, "TTL {ttl}, the server speaks: {speaks}");
    }
}

#[test]
fn a_hello_without_ml_dsa_that_passes_shows_that_the_shape_is_not_tolerated() {
    for differs in [true, false] {
        let mut scene = scene();
        for _ in 0..2 {
            let tcp = greeted(&mut scene);
            scene.after_ms(4).reset(&tcp, 118);
        }
        let mut tcp = scene.connect("142.250.74.113:443");
        scene.open(&mut tcp);
        // As large as go 1.27's, but as go 1.25 writes it.
        let algorithms: &[u16] = if differs { &[0x0804] } else { &[0x0904, 0x0905, 0x0906, 0x0804] };
        scene.send_in_segments(&mut tcp, &hello_record_with(HOST, algorithms));
        scene.after_ms(RTT_MS);
        scene.tls13_flight(&mut tcp, 900);
        scene.tls13_client_record(&mut tcp, 53);
        let expected = if differs { Code::TlsClienthelloIntolerance } else { Code::TlsSniReset };
        assert_eq!(scene.accused(), [expected], "{algorithms:x?}");
    }
}

#[test]
fn packets_cut_after_96_bytes_still_tell_a_reset_at_the_hello_and_nothing_of_a_session_that_works() {
    for (ttl, expected) in
        [(Some(91), vec![Code::TlsSniReset]), (Some(SERVER_TTL), vec![Code::TlsServerReset]), (None, vec![])]
    {
        let mut scene = scene();
        for _ in 0..2 {
            let mut tcp = greeted(&mut scene);
            scene.after_ms(RTT_MS);
            match ttl {
                Some(ttl) => scene.reset(&tcp, ttl),
                None => {
                    scene.tls13_flight(&mut tcp, 900);
                    scene.tls13_client_record(&mut tcp, 53);
                }
            }
        }
        scene.snap = 96;
        assert_eq!(scene.accused(), expected, "TTL {ttl:?}");
    }
}

#[test]
fn an_alert_that_is_encrypted_is_told_in_gos_words() {
    for (words, expected) in [("remote error: tls: certificate required", vec![Code::TlsServerAlert]), ("EOF", vec![])]
    {
        let mut scene = scene();
        let mut tcp = scene.connect(SERVER);
        scene.tls13_session(&mut tcp, HOST);
        scene.log(&format!("go: example.com/m@v1.0.0: Get \"https://{HOST}/example.com/m/@v/v1.0.0.info\": {words}\n"));
        assert_eq!(scene.accused(), expected, "{words}");
    }
}

#[test]
fn on_a_short_way_time_does_not_place_a_firewall_in_front_of_the_server() {
    let mut scene = scene();
    for _ in 0..2 {
        let mut tcp = scene.connect(SERVER);
        scene.syn(&tcp);
        scene.after_ms(1).syn_ack(&mut tcp);
        scene.client_sends(&mut tcp, ACK, &[]);
        scene.hello(&mut tcp, HOST);
        scene.after_ms(3).reset(&tcp, 128 - (64 - SERVER_TTL) + 1);
    }
    assert_eq!(scene.accused(), [Code::TlsSniReset]);
}
