//! Handshakes that end in silence, and recordings that do not show enough.

use super::*;
use crate::finding::{Code, Confidence, Fault};
use crate::testing::cited;

#[test]
fn a_hello_that_vanishes_with_its_repetitions_is_a_blackhole_by_name() {
    let mut scene = scene();
    let mut hellos = Vec::new();
    for _ in 0..2 {
        let tcp = greeted(&mut scene);
        for pause in [300, 600, 1_200, 2_400] {
            scene.after_ms(pause);
            repeat_hello(&mut scene, &tcp, HOST);
            hellos.push(scene.last_frame());
        }
    }
    other_name_works(&mut scene, "storage.googleapis.com");
    let finding = scene.finding(Code::TlsSniBlackhole);
    assert_eq!((finding.fault, finding.confidence()), (Fault::Interference, Confidence::Proven));
    assert!(hellos.iter().all(|frame| cited(&finding).contains(frame)));
    assert_eq!(scene.accused(), [Code::TlsSniBlackhole]);
}

#[test]
fn a_hello_that_is_lost_and_passes_at_last_is_loss() {
    let mut scene = scene();
    let mut tcp = greeted(&mut scene);
    for pause in [300, 600, 1_200] {
        scene.after_ms(pause);
        repeat_hello(&mut scene, &tcp, HOST);
    }
    scene.after_ms(RTT_MS);
    scene.tls13_flight(&mut tcp, 900);
    scene.tls13_client_record(&mut tcp, 53);
    assert_eq!(scene.accused(), []);
}

#[test]
fn an_equal_hello_that_passes_at_the_same_address_makes_it_loss() {
    let mut scene = scene();
    let tcp = greeted(&mut scene);
    for pause in [300, 600, 1_200, 2_400] {
        scene.after_ms(pause);
        repeat_hello(&mut scene, &tcp, HOST);
    }
    other_name_works(&mut scene, HOST);
    assert_eq!(scene.accused(), []);
}

#[test]
fn a_recording_that_ends_after_a_second_judges_nothing() {
    let mut scene = scene();
    let tcp = greeted(&mut scene);
    scene.after_ms(1_000);
    repeat_hello(&mut scene, &tcp, HOST);
    assert_eq!(scene.accused(), []);
    assert_eq!(scene.not_assessed(), [Code::TlsHandshakeTimeout]);
}

#[test]
fn one_direction_alone_judges_nothing() {
    for forgotten in ["192.168.1.23", "142.250.74.113"] {
        let mut scene = scene();
        for _ in 0..3 {
            let mut tcp = scene.connect(SERVER);
            scene.tls13_session(&mut tcp, HOST);
        }
        scene.after_ms(20_000);
        other_name_works(&mut scene, "storage.googleapis.com");
        scene.forget_from(forgotten.parse().unwrap());
        assert_eq!(scene.accused(), [], "without {forgotten}");
    }
}

#[test]
fn a_recording_without_the_start_or_with_cut_frames_judges_nothing() {
    let mut scene = scene();
    let mut tcp = scene.connect(SERVER);
    scene.tls13_session(&mut tcp, HOST);
    scene.snap = 96;
    assert_eq!(scene.accused(), [], "cut");
    scene.snap = usize::MAX;
    for first in 1..12 {
        scene.forget_first(1);
        assert_eq!(scene.accused(), [], "without the first {first} frames");
    }
}

#[test]
fn only_the_first_segment_of_a_large_hello_arrives() {
    let mut scene = scene();
    for _ in 0..2 {
        let mut tcp = scene.connect(SERVER);
        scene.open(&mut tcp);
        let hello = hello_record(HOST);
        scene.client_sends(&mut tcp, ACK, &hello[..1_448]);
        let acknowledged = tcp.client_seq;
        scene.client_sends(&mut tcp, PSH, &hello[1_448..]);
        scene.after_ms(RTT_MS);
        scene.tcp(&tcp, false, 53, ACK, tcp.server_seq, acknowledged, &[], true);
        for pause in [300, 600, 1_200, 2_400] {
            scene.after_ms(pause);
            scene.tcp(&tcp, true, 64, PSH | ACK, acknowledged, tcp.server_seq, &hello[1_448..], true);
        }
    }
    let mut tcp = small_greeted(&mut scene);
    scene.after_ms(RTT_MS);
    scene.tls13_flight(&mut tcp, 900);
    scene.tls13_client_record(&mut tcp, 53);
    let finding = scene.finding(Code::TlsClienthelloIntolerance);
    assert_eq!(finding.confidence(), Confidence::Proven);
    assert_eq!(scene.accused(), [Code::TlsClienthelloIntolerance]);
}

#[test]
fn a_server_that_has_the_hello_and_says_nothing_is_a_mere_timeout() {
    let mut scene = scene();
    for _ in 0..3 {
        let mut tcp = greeted(&mut scene);
        scene.after_ms(RTT_MS);
        acknowledge(&mut scene, &mut tcp);
        scene.after_ms(10_000);
        scene.client_sends(&mut tcp, FIN, &[]);
    }
    let finding = scene.finding(Code::TlsHandshakeTimeout);
    assert_eq!(finding.fault, Fault::Unknown);
    assert_eq!(scene.accused(), [Code::TlsHandshakeTimeout]);
}

#[test]
fn a_flight_of_which_only_the_short_end_arrives_is_an_mtu_hole() {
    let mut scene = scene();
    let mut small = Vec::new();
    for _ in 0..3 {
        let mut tcp = greeted(&mut scene);
        scene.after_ms(RTT_MS);
        acknowledge(&mut scene, &mut tcp);
        small.push(scene.last_frame());
        tcp.server_seq += 2_896;
        scene.server_sends(&mut tcp, PSH, &[7; 700]);
        small.push(scene.last_frame());
        scene.after_ms(10_000);
        tcp.server_seq -= 3_596;
        scene.client_sends(&mut tcp, FIN, &[]);
    }
    let finding = scene.finding(Code::NetMtuBlackhole);
    assert_eq!((finding.fault, finding.confidence()), (Fault::Network, Confidence::Strong));
    assert!(small.iter().all(|frame| cited(&finding).contains(frame)));
    assert_eq!(scene.accused(), [Code::NetMtuBlackhole]);
}

#[test]
fn a_large_packet_that_is_lost_once_and_sent_again_is_plain_loss() {
    let mut scene = scene();
    let mut tcp = greeted(&mut scene);
    scene.after_ms(RTT_MS);
    let start = tcp.server_seq;
    scene.tls13_flight(&mut tcp, 2_500);
    let mut again = tcp.clone();
    again.server_seq = start;
    scene.after_ms(300);
    scene.tls13_flight(&mut again, 2_500);
    scene.tls13_client_record(&mut tcp, 53);
    scene.after_ms(RTT_MS);
    scene.server_sends(&mut tcp, PSH, &record(23, &[9; 400]));
    assert_eq!(scene.accused(), []);
}

#[test]
fn that_another_machines_hello_passes_excuses_nothing() {
    let mut scene = scene();
    for _ in 0..2 {
        let tcp = greeted(&mut scene);
        for pause in [300, 600, 1_200, 2_400] {
            scene.after_ms(pause);
            repeat_hello(&mut scene, &tcp, HOST);
        }
    }
    scene.client = [192, 168, 1, 99].into();
    other_name_works(&mut scene, HOST);
    assert_eq!(scene.accused(), [Code::TlsSniBlackhole]);
}
