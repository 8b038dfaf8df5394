//! Every TCP code beside its nearest innocent look-alike, written packet by packet.

use crate::finding::{Code, Confidence, Fault, Severity};
use crate::observation::RecordType;
use crate::testing::{RTT_MS, SERVER_TTL, Scene, Tcp, cited, record};

const HOST: &str = "proxy.golang.org";
const SERVER: &str = "142.250.74.113:443";
const FIN: u16 = 1;
const RST: u16 = 4;
const PSH: u16 = 8;
const ACK: u16 = 16;

fn scene() -> Scene {
    let mut scene = Scene::new();
    let question = scene.ask(HOST, RecordType::A);
    scene.answer(&question, &["142.250.74.113"]);
    scene
}

/// A connection whose handshake is complete, in the middle of its work.
fn working(scene: &mut Scene) -> Tcp {
    let mut tcp = scene.connect(SERVER);
    scene.open(&mut tcp);
    scene.hello(&mut tcp, HOST);
    scene.after_ms(RTT_MS);
    scene.tls13_flight(&mut tcp, 900);
    scene.tls13_client_record(&mut tcp, 53);
    scene.after_ms(RTT_MS);
    scene.server_sends(&mut tcp, PSH, &record(23, &[9; 400]));
    scene.client_sends(&mut tcp, ACK, &[]);
    tcp
}

#[test]
fn a_host_that_refuses_after_a_round_trip_is_believed() {
    let mut scene = scene();
    for _ in 0..3 {
        let tcp = scene.connect(SERVER);
        scene.syn(&tcp);
        scene.after_ms(RTT_MS).refuse(&tcp, SERVER_TTL);
    }
    let finding = scene.finding(Code::TcpConnectionRefused);
    assert_eq!(finding.fault, Fault::Upstream);
    assert!(cited(&finding).contains(&scene.last_frame()));
    assert_eq!(scene.accused(), [Code::TcpConnectionRefused]);
}

#[test]
fn a_refusal_from_next_door_for_a_far_address_is_forged() {
    for ttl in [61, 58, 122] {
        let mut scene = scene();
        for _ in 0..3 {
            let tcp = scene.connect(SERVER);
            scene.syn(&tcp);
            scene.after_ms(4).refuse(&tcp, ttl);
        }
        let finding = scene.finding(Code::TcpRefusalInjected);
        assert_eq!(finding.fault, Fault::Interference);
        assert_eq!(scene.accused(), [Code::TcpRefusalInjected], "IP TTL {ttl}");
    }
}

#[test]
fn a_host_that_accepts_the_syn_that_was_refused_did_not_refuse_it() {
    let mut scene = scene();
    let mut tcp = scene.connect(SERVER);
    scene.syn(&tcp);
    scene.after_ms(4).refuse(&tcp, SERVER_TTL);
    let forged = scene.last_frame();
    scene.after_ms(RTT_MS);
    scene.syn_ack(&mut tcp);
    scene.tcp(&tcp, true, 64, RST, tcp.client_seq, 0, &[], false);
    let finding = scene.finding(Code::TcpRefusalInjected);
    assert!(finding.confidence() >= Confidence::Moderate);
    assert!(cited(&finding).contains(&forged));
    assert_eq!(scene.accused(), [Code::TcpRefusalInjected]);
}

#[test]
fn a_refusal_in_a_network_whose_public_hosts_are_near_is_believed() {
    let mut scene = scene();
    let mut near = scene.connect("140.82.112.3:443");
    near.ttl = 62;
    scene.tls13_session(&mut near, "github.com");
    let tcp = scene.connect(SERVER);
    scene.syn(&tcp);
    scene.after_ms(4).refuse(&tcp, 61);
    assert_eq!(scene.accused(), [Code::TcpConnectionRefused]);
}

#[test]
fn a_reset_in_the_middle_with_another_ttl_is_forged() {
    let mut scene = scene();
    let mut tcp = working(&mut scene);
    scene.client_sends(&mut tcp, PSH, &record(23, &[1; 80]));
    let kept = scene.last_frame();
    scene.after_ms(2).reset(&tcp, 118);
    let finding = scene.finding(Code::TcpResetInjected);
    assert_eq!((finding.fault, finding.confidence()), (Fault::Interference, Confidence::Moderate));
    assert!(cited(&finding).contains(&kept), "what it kept from the server, too");
    assert_eq!(scene.accused(), [Code::TcpResetInjected]);
}

#[test]
fn the_servers_own_reset_in_the_middle_is_a_fact_and_no_finding() {
    for flags in [RST, RST | ACK] {
        let mut scene = scene();
        let mut tcp = working(&mut scene);
        scene.client_sends(&mut tcp, PSH, &record(23, &[1; 80]));
        scene.after_ms(2);
        scene.tcp(&tcp, false, SERVER_TTL, flags, tcp.server_seq, tcp.client_seq, &[], false);
        assert_eq!(scene.accused(), [], "flags {flags}");
    }
}

#[test]
fn a_server_that_aborts_answers_what_is_still_on_its_way_with_more_resets() {
    for (later, honest) in [(RST, true), (RST | ACK, false)] {
        let mut scene = scene();
        let mut tcp = working(&mut scene);
        let acknowledged = tcp.server_seq;
        scene.client_sends(&mut tcp, PSH, &record(23, &[1; 80]));
        scene.after_ms(RTT_MS);
        // It had sent more, which the client had not acknowledged yet when it sent its own.
        scene.tcp(&tcp, false, SERVER_TTL, RST | ACK, acknowledged + 339, tcp.client_seq, &[], false);
        let seq = if honest { acknowledged } else { acknowledged + 1_799 };
        scene.after_ms(25).tcp(&tcp, false, SERVER_TTL, later, seq, 0, &[], false);
        assert_eq!(scene.accused().contains(&Code::TcpResetInjected), !honest);
    }
}

#[test]
fn a_nats_time_out_and_a_reset_after_the_close_are_nothing() {
    let mut scene = scene();
    let tcp = working(&mut scene);
    scene.after_ms(61_000).reset(&tcp, 63);
    let mut tcp = working(&mut scene);
    scene.server_sends(&mut tcp, FIN, &[]);
    scene.reset(&tcp, 63);
    scene.tcp(&tcp, true, 64, RST, tcp.client_seq, 0, &[], false);
    assert_eq!(scene.accused(), []);
}

#[test]
fn a_router_that_clears_its_table_after_the_clients_own_reset_forges_nothing() {
    let mut scene = scene();
    let mut tcp = working(&mut scene);
    scene.client_sends(&mut tcp, RST, &[]);
    scene.after_ms(18_000).reset(&tcp, 255);
    assert_eq!(scene.accused(), []);
}

#[test]
fn a_reset_that_the_client_ignored_stays_at_medium() {
    let mut scene = scene();
    let mut tcp = working(&mut scene);
    scene.tcp(&tcp, false, 118, RST, tcp.server_seq.wrapping_add(90_000), 0, &[], false);
    scene.after_ms(20);
    scene.server_sends(&mut tcp, PSH, &record(23, &[9; 400]));
    scene.client_sends(&mut tcp, FIN, &[]);
    scene.server_sends(&mut tcp, FIN, &[]);
    assert_eq!(scene.finding(Code::TcpResetInjected).severity, Severity::Medium);
}

#[test]
fn a_new_connection_on_the_same_ports_does_not_inherit_the_old_ones_reset() {
    let mut scene = scene();
    let mut tcp = working(&mut scene);
    scene.client_sends(&mut tcp, FIN, &[]);
    scene.after_ms(RTT_MS);
    scene.server_sends(&mut tcp, FIN, &[]);
    scene.reset(&tcp, SERVER_TTL);
    tcp.client_seq = 9_000_000;
    tcp.server_seq = 70_000_000;
    scene.after_ms(1_000);
    scene.tls13_session(&mut tcp, HOST);
    assert_eq!(scene.accused(), []);
}

fn asks_in_clear(scene: &mut Scene) -> Tcp {
    scene.env("GOPROXY=http://proxy.golang.org");
    let mut tcp = scene.connect("142.250.74.113:80");
    scene.open(&mut tcp);
    let request = b"GET /example.com/m/@v/list HTTP/1.1\r\nHost: proxy.golang.org\r\n\r\n";
    scene.client_sends(&mut tcp, PSH, request);
    tcp
}

const FORGED: &[u8] = b"HTTP/1.1 302 Found\r\nLocation: http://blocked.example/\r\nContent-Length: 0\r\n\r\n";
const HONEST: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\nv1.0.0\n";

#[test]
fn two_contents_for_one_place_in_the_stream_are_an_injection() {
    let mut scene = scene();
    let mut tcp = asks_in_clear(&mut scene);
    scene.after_ms(4);
    scene.tcp(&tcp, false, 118, PSH | ACK, tcp.server_seq, tcp.client_seq, FORGED, false);
    let forged = scene.last_frame();
    scene.after_ms(RTT_MS);
    scene.server_sends(&mut tcp, PSH, HONEST);
    let finding = scene.finding(Code::TcpDataInjected);
    assert_eq!((finding.fault, finding.severity), (Fault::Interference, Severity::Critical));
    assert!(finding.confidence() >= Confidence::Strong);
    assert_eq!(cited(&finding), [forged, forged + 1]);
}

#[test]
fn an_injection_that_comes_after_the_truth_stays_at_medium() {
    let mut scene = scene();
    let mut tcp = asks_in_clear(&mut scene);
    scene.after_ms(RTT_MS);
    let place = tcp.server_seq;
    scene.server_sends(&mut tcp, PSH, HONEST);
    scene.after_ms(4);
    scene.tcp(&tcp, false, 118, PSH | ACK, place, tcp.client_seq, FORGED, false);
    assert_eq!(scene.finding(Code::TcpDataInjected).severity, Severity::Medium);
}

#[test]
fn data_sent_again_in_other_portions_or_probed_for_are_no_contradiction() {
    let mut scene = scene();
    let mut tcp = asks_in_clear(&mut scene);
    scene.after_ms(RTT_MS);
    let place = tcp.server_seq;
    scene.server_sends(&mut tcp, PSH, HONEST);
    scene.after_ms(300);
    scene.tcp(&tcp, false, SERVER_TTL, ACK, place, tcp.client_seq, &HONEST[..20], true);
    scene.tcp(&tcp, false, SERVER_TTL, PSH | ACK, place + 20, tcp.client_seq, &HONEST[20..], true);
    scene.tcp(&tcp, false, SERVER_TTL, ACK, tcp.server_seq - 1, tcp.client_seq, &[0], true);
    assert_eq!(scene.accused(), []);
}

#[test]
fn a_transfer_whose_repetitions_stay_unanswered_is_stalled() {
    let mut scene = scene();
    let mut tcp = working(&mut scene);
    let seq = tcp.client_seq;
    let request = record(23, &[1; 80]);
    scene.client_sends(&mut tcp, PSH, &request);
    for pause in [300, 600, 1_200, 2_400, 4_800, 9_600] {
        scene.after_ms(pause);
        scene.tcp(&tcp, true, 64, PSH | ACK, seq, tcp.server_seq, &request, true);
    }
    let finding = scene.finding(Code::TcpStalled);
    assert!(finding.confidence() >= Confidence::Moderate);
    assert!(cited(&finding).contains(&scene.last_frame()));
    assert_eq!(scene.accused(), [Code::TcpStalled]);
}

#[test]
fn a_transfer_that_breaks_off_before_its_end_is_stalled_and_an_idle_one_is_not() {
    for (flags, expected) in [(0, vec![Code::TcpStalled]), (PSH, vec![])] {
        let mut scene = scene();
        let mut tcp = working(&mut scene);
        for _ in 0..11 {
            scene.server_sends(&mut tcp, 0, &[7; 1_448]);
            scene.client_sends(&mut tcp, ACK, &[]);
        }
        scene.server_sends(&mut tcp, flags, &[7; 1_448]);
        scene.client_sends(&mut tcp, ACK, &[]);
        scene.after_ms(14_000);
        scene.client_sends(&mut tcp, FIN, &[]);
        assert_eq!(scene.accused(), expected, "flags {flags}");
    }
}

#[test]
fn a_transfer_that_stops_within_a_record_is_stalled_whatever_its_flags() {
    for (sent, expected) in [(1_000, vec![Code::TcpStalled]), (1_405, vec![])] {
        let mut scene = scene();
        let mut tcp = working(&mut scene);
        scene.server_sends(&mut tcp, PSH, record(23, &[7; 1_400]).get(..sent).unwrap());
        scene.client_sends(&mut tcp, ACK, &[]);
        scene.after_ms(14_000);
        scene.client_sends(&mut tcp, FIN, &[]);
        let close = tcp.client_seq - 1;
        for pause in [250, 250, 500] {
            scene.after_ms(pause);
            scene.tcp(&tcp, true, 64, FIN | ACK, close, tcp.server_seq, &[], true);
        }
        assert_eq!(scene.accused(), expected, "{sent} bytes");
        if !expected.is_empty() {
            assert!(cited(&scene.finding(Code::TcpStalled)).contains(&scene.last_frame()));
        }
    }
}

#[test]
fn every_forged_refusal_of_a_volley_is_cited() {
    let mut scene = scene();
    let tcp = scene.connect("142.250.74.113:443");
    scene.syn(&tcp);
    scene.after_ms(4);
    let forged: Vec<u32> = (0..3)
        .map(|_| {
            scene.refuse(&tcp, 61);
            scene.after_ms(1);
            scene.last_frame()
        })
        .collect();
    let finding = scene.finding(Code::TcpRefusalInjected);
    assert!(forged.iter().all(|frame| cited(&finding).contains(frame)));
}

#[test]
fn keep_alive_probes_that_are_answered_show_a_live_connection() {
    for answered in [true, false] {
        let mut scene = scene();
        let mut tcp = working(&mut scene);
        for _ in 0..3 {
            scene.after_ms(15_000);
            scene.tcp(&tcp, true, 64, ACK, tcp.client_seq - 1, tcp.server_seq, &[], true);
            if answered {
                scene.after_ms(RTT_MS);
                scene.server_sends(&mut tcp, ACK, &[]);
            }
        }
        let expected = if answered { vec![] } else { vec![Code::TcpStalled] };
        assert_eq!(scene.accused(), expected, "answered: {answered}");
    }
}

#[test]
fn a_recording_that_ends_soon_judges_no_stall() {
    let mut scene = scene();
    let mut tcp = working(&mut scene);
    scene.server_sends(&mut tcp, 0, &[7; 1_448]);
    scene.after_ms(2_000);
    scene.client_sends(&mut tcp, ACK, &[]);
    assert_eq!(scene.accused(), []);
}

/// A download at a rate, of which every n-th segment is lost once and sent again a round trip later.
fn download(scene: &mut Scene, segments: u32, pause_ms: i64, lost_of: u32, flags: u16) {
    let mut tcp = working(scene);
    for number in 0..segments {
        scene.after_ms(pause_ms);
        let place = tcp.server_seq;
        if lost_of > 0 && number % lost_of == 1 {
            tcp.server_seq += 1_448;
            scene.server_sends(&mut tcp, 0, &[7; 1_448]);
            scene.tcp(&tcp, true, 64, ACK, tcp.client_seq, place, &[], true);
            scene.after_ms(RTT_MS);
            scene.tcp(&tcp, false, SERVER_TTL, ACK, place, tcp.client_seq, &[7; 1_448], true);
        } else {
            scene.server_sends(&mut tcp, flags, &[7; 1_448]);
        }
        scene.client_sends(&mut tcp, ACK, &[]);
    }
    scene.client_sends(&mut tcp, FIN, &[]);
    scene.server_sends(&mut tcp, FIN, &[]);
}

#[test]
fn a_flat_crawl_with_losses_that_do_not_account_for_it_is_throttled() {
    let mut scene = scene();
    download(&mut scene, 150, 120, 10, 0);
    download(&mut scene, 150, 120, 10, 0);
    let finding = scene.finding(Code::TcpThrottled);
    assert_eq!((finding.severity, finding.confidence()), (Severity::Medium, Confidence::Moderate));
    assert!(finding.not_excluded.iter().any(|open| open == "congestion"));
}

#[test]
fn neither_loss_at_full_speed_nor_a_slow_server_nor_a_short_transfer_is_throttled() {
    let cases = [(150, 4, 10, 0), (150, 120, 0, 0), (150, 120, 60, 0), (30, 120, 10, 0), (150, 120, 10, PSH)];
    for (segments, pause, lost_of, flags) in cases {
        let mut scene = scene();
        download(&mut scene, segments, pause, lost_of, flags);
        assert_eq!(scene.accused(), [], "{segments} segments every {pause} ms, one of {lost_of} lost");
    }
}

/// Most of a window is lost at once and sent again, each segment after its pause.
fn sent_again(scene: &mut Scene, pauses_ms: impl Iterator<Item = i64>) {
    let mut tcp = working(scene);
    let place = tcp.server_seq;
    tcp.server_seq = place + 60 * 1_448;
    scene.server_sends(&mut tcp, 0, &[7; 1_448]);
    for (number, pause) in (0_u32..60).zip(pauses_ms) {
        scene.after_ms(pause);
        scene.tcp(&tcp, false, SERVER_TTL, ACK, place + number * 1_448, tcp.client_seq, &[7; 1_448], true);
        scene.client_sends(&mut tcp, ACK, &[]);
    }
    scene.client_sends(&mut tcp, FIN, &[]);
}

#[test]
fn what_passes_a_policer_comes_evenly_and_what_is_lost_by_chance_in_fits_and_starts() {
    // Two at a time every quarter of a second, as after time-outs that a bucket sets.
    let policed = (0..60).map(|number| if number % 2 == 0 { 240 } else { 30 });
    let by_chance = [30, 30, 30, 30, 230, 430, 30, 30, 830, 1_630].into_iter().cycle();
    let pauses: [(Vec<i64>, Vec<Code>); 2] =
        [(policed.collect(), vec![Code::TcpThrottled]), (by_chance.take(60).collect(), vec![])];
    for (pauses, expected) in pauses {
        let mut scene = scene();
        sent_again(&mut scene, pauses.iter().copied());
        assert_eq!(scene.accused(), expected, "{pauses:?}");
    }
}

#[test]
fn a_stream_that_goes_on_from_the_number_of_a_reset_did_not_send_it() {
    // The reset, sent both ways with the server's own TTL, overtakes data that the server had sent before.
    let mut scene = scene();
    let mut tcp = working(&mut scene);
    let ahead = tcp.server_seq + 2_000;
    scene.tcp(&tcp, false, SERVER_TTL, RST | ACK, ahead, tcp.client_seq, &[], false);
    let reset = scene.last_frame();
    let sent = record(23, &[7; 995]);
    for _ in 0..3 {
        scene.server_sends(&mut tcp, PSH, &sent);
    }
    let went_on = scene.last_frame();
    scene.client_sends(&mut tcp, ACK, &[]);
    scene.after_ms(RTT_MS).reset(&tcp, SERVER_TTL);
    let finding = scene.finding(Code::TcpResetInjected);
    assert_eq!((finding.fault, finding.severity), (Fault::Interference, Severity::High));
    assert!([reset, went_on].iter().all(|frame| cited(&finding).contains(frame)));
    // An old connection's reset is at no place of this stream.
    let scene = scene_of_old_reset(&sent);
    assert_eq!(scene.accused(), []);
}

fn scene_of_old_reset(sent: &[u8]) -> Scene {
    let mut scene = scene();
    let mut tcp = working(&mut scene);
    scene.tcp(&tcp, false, SERVER_TTL, RST | ACK, tcp.server_seq + 1_234, tcp.client_seq, &[], false);
    for _ in 0..3 {
        scene.server_sends(&mut tcp, PSH, sent);
    }
    scene.client_sends(&mut tcp, ACK, &[]);
    scene
}

#[test]
fn a_recorders_copies_are_no_repetitions_of_the_server() {
    let mut scene = scene();
    download(&mut scene, 150, 120, 10, 0);
    download(&mut scene, 150, 120, 10, 0);
    let lost = |scene: &Scene| scene.finding(Code::TcpThrottled).summary;
    let once = lost(&scene);
    scene.record_each_again();
    assert_eq!(lost(&scene), once);
}
