//! For each limit of a recording: it is named, and recordings that merely look like it are not.

use crate::finding::{Assessment, Citation, Code, Confidence, Finding};
use crate::observation::{Case, RecordType};
use crate::reference::Reference;
use crate::testing::Scene;

const NAME: &str = "proxy.golang.org";
const SERVER: &str = "142.250.74.113:443";

fn assess(case: &Case) -> Assessment {
    (super::DETECTOR.assess)(case, &Reference::builtin().unwrap())
}

#[track_caller]
fn finding(case: &Case, code: Code) -> Finding {
    let found = assess(case).found;
    let codes: Vec<&str> = found.iter().map(|finding| finding.code.id()).collect();
    let finding = found
        .into_iter()
        .find(|finding| finding.code == code)
        .unwrap_or_else(|| panic!("{} not in {codes:?}", code.id()));
    assert_eq!(finding.confidence(), Confidence::Proven);
    finding
}

#[track_caller]
fn none(case: &Case) {
    let codes: Vec<&str> = assess(case).found.iter().map(|finding| finding.code.id()).collect();
    assert!(codes.is_empty(), "{codes:?}");
}

fn frames(finding: &Finding) -> Vec<u32> {
    finding
        .evidence()
        .iter()
        .filter_map(|evidence| match &evidence.citation {
            Citation::Frame { at, .. } => Some(at.frame.number),
            _ => None,
        })
        .collect()
}

fn clean() -> Scene {
    let mut scene = Scene::new();
    let question = scene.ask(NAME, RecordType::A);
    scene.answer(&question, &["142.250.74.113"]);
    let mut tcp = scene.connect(SERVER);
    scene.tls13_session(&mut tcp, NAME);
    scene
}

#[test]
fn a_clean_recording_has_no_limits() {
    none(&clean().case());
    none(&Scene::new().case());
}

#[test]
fn cut_messages_are_named_and_cut_payloads_are_not() {
    let mut scene = clean();
    scene.snap = 96;
    assert!(!frames(&finding(&scene.case(), Code::CaptureTruncated)).is_empty());
    // Long enough for all that is read.
    let mut scene = clean();
    scene.snap = 65_535;
    none(&scene.case());
}

#[test]
fn data_that_were_acknowledged_and_not_recorded_are_a_loss() {
    let mut scene = clean();
    let mut tcp = scene.connect(SERVER);
    scene.open(&mut tcp);
    scene.hello(&mut tcp, NAME);
    scene.after_ms(30).tls13_flight(&mut tcp, 900);
    tcp.server_seq += 2_896;
    scene.server_sends(&mut tcp, 8, &crate::testing::record(23, &[9; 400]));
    scene.client_sends(&mut tcp, 0, &[]);
    assert!(!frames(&finding(&scene.case(), Code::CaptureLossy)).is_empty());
    // The recorder's own count.
    let mut case = clean().case();
    case.recording.dropped = 3;
    finding(&case, Code::CaptureLossy);
}

#[test]
fn reordering_and_real_loss_are_no_loss_of_the_recording() {
    let mut scene = clean();
    let mut tcp = scene.connect(SERVER);
    scene.open(&mut tcp);
    scene.hello(&mut tcp, NAME);
    scene.after_ms(30).tls13_flight(&mut tcp, 900);
    scene.tls13_client_record(&mut tcp, 53);
    let mut ahead = tcp.clone();
    ahead.server_seq += 405;
    scene.server_sends(&mut ahead, 8, &crate::testing::record(23, &[9; 400]));
    // The client says what it lacks; then it comes.
    scene.client_sends(&mut tcp, 0, &[]);
    scene.server_sends(&mut tcp, 8, &crate::testing::record(23, &[8; 400]));
    tcp.server_seq = ahead.server_seq;
    scene.client_sends(&mut tcp, 0, &[]);
    none(&scene.case());
}

#[test]
fn keep_alive_probes_are_neither_copies_nor_loss() {
    let mut scene = clean();
    let mut tcp = scene.connect(SERVER);
    scene.open(&mut tcp);
    scene.hello(&mut tcp, NAME);
    scene.after_ms(30).tls13_flight(&mut tcp, 900);
    scene.tls13_client_record(&mut tcp, 53);
    scene.server_sends(&mut tcp, 8, &crate::testing::record(23, &[9; 400]));
    scene.client_sends(&mut tcp, 0, &[]);
    for _ in 0..3 {
        scene.after_ms(15_000);
        let mut probe = tcp.clone();
        probe.client_seq -= 1;
        scene.client_sends(&mut probe, 0, &[]);
        scene.after_ms(30);
        scene.server_sends(&mut tcp, 0, &[]);
    }
    none(&scene.case());
}

#[test]
fn packets_recorded_twice_are_named() {
    let mut case = clean().case();
    case.health.duplicates = 5;
    case.health.first_duplicate = Some(case.connections[0].first);
    let found = finding(&case, Code::CaptureDuplicated);
    assert_eq!(frames(&found), [3]);
    // Without a place the recording itself stands for it.
    case.health.first_duplicate = None;
    assert!(matches!(finding(&case, Code::CaptureDuplicated).evidence()[0].citation, Citation::Path(_)));
}

#[test]
fn a_retransmission_is_no_copy() {
    let mut scene = clean();
    let mut tcp = scene.connect(SERVER);
    scene.open(&mut tcp);
    let again = tcp.clone();
    scene.hello(&mut tcp, NAME);
    scene.after_ms(300);
    let mut repeated = again;
    scene.hello(&mut repeated, NAME);
    scene.after_ms(30).tls13_flight(&mut tcp, 900);
    scene.tls13_client_record(&mut tcp, 53);
    scene.server_sends(&mut tcp, 8, &crate::testing::record(23, &[9; 400]));
    none(&scene.case());
}

#[test]
fn a_connection_without_its_start_is_midstream() {
    let mut scene = clean();
    let question = scene.ask(NAME, RecordType::A);
    scene.answer(&question, &["142.250.74.113"]);
    let mut tcp = scene.connect(SERVER);
    scene.client_sends(&mut tcp, 8, &crate::testing::record(23, &[9; 400]));
    scene.after_ms(30).server_sends(&mut tcp, 8, &crate::testing::record(23, &[9; 400]));
    scene.client_sends(&mut tcp, 0, &[]);
    assert!(!frames(&finding(&scene.case(), Code::CaptureMidstream)).is_empty());
}

#[test]
fn somebody_elses_idle_connection_does_not_limit_the_recording() {
    let mut scene = clean();
    let mut tcp = scene.connect("198.51.100.7:22");
    scene.client_sends(&mut tcp, 8, &[1; 48]);
    scene.server_sends(&mut tcp, 8, &[2; 48]);
    none(&scene.case());
}

#[test]
fn one_direction_alone_is_named() {
    let mut scene = Scene::new();
    for _ in 0..3 {
        let mut tcp = scene.connect(SERVER);
        scene.syn(&tcp);
        tcp.client_seq += 1;
        tcp.server_seq += 1;
        scene.client_sends(&mut tcp, 0, &[]);
        scene.hello(&mut tcp, NAME);
    }
    assert!(!frames(&finding(&scene.case(), Code::CaptureOneSided)).is_empty());
    // SYNs that nobody answers are not one-sided: nothing was missed.
    let mut scene = clean();
    for _ in 0..3 {
        let tcp = scene.connect("142.250.74.99:443");
        scene.syn(&tcp);
        scene.after_ms(1_000).syn(&tcp);
    }
    none(&scene.case());
}

#[test]
fn damaged_blocks_and_packets_are_named() {
    let mut case = clean().case();
    case.health.damaged = 1;
    case.health.damage = vec!["a block of length 7".to_owned()];
    case.recording.paths = vec!["a.pcapng".to_owned()];
    let found = finding(&case, Code::CaptureDamaged);
    assert!(found.summary.contains("a block of length 7"));
    assert_eq!(found.evidence()[0].citation, Citation::Path("a.pcapng".to_owned()));
    let mut case = clean().case();
    case.health.unread.malformed = 2;
    finding(&case, Code::CaptureDamaged);
}
