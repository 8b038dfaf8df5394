//! Resolvers that fail, refuse, stay silent; DNS over TCP.

use super::*;
use crate::finding::{Confidence, Fault};
use crate::testing::RESOLVER_TTL;

#[test]
fn failing_and_refusing_resolvers_are_named() {
    for (rcode, code) in [(SERVFAIL, Code::DnsServfail), (REFUSED, Code::DnsRefused)] {
        let mut scene = Scene::new();
        for _ in 0..2 {
            let (a, aaaa) = ask(&mut scene, NAME);
            scene.answer_as(&a, &[], rcode, RESOLVER_TTL, true);
            scene.answer_as(&aaaa, &[], rcode, RESOLVER_TTL, true);
        }
        let found = finding(&scene, code);
        assert_eq!(
            (found.fault, found.severity, found.confidence()),
            (Fault::Network, Severity::Medium, Confidence::Strong)
        );
        cites(&found, &[3, 4, 7, 8]);
    }
}

#[test]
fn refusals_without_a_question_section_count() {
    let mut scene = Scene::new();
    let (a, aaaa) = ask(&mut scene, NAME);
    scene.answer_raw(&a, 0x8185, [0, 0, 0, 0], &[], RESOLVER_TTL);
    scene.answer_raw(&aaaa, 0x8185, [0, 0, 0, 0], &[], RESOLVER_TTL);
    cites(&finding(&scene, Code::DnsRefused), &[3, 4]);
}

#[test]
fn a_failure_that_a_second_try_or_resolver_mends_is_none() {
    for rcode in [SERVFAIL, REFUSED] {
        let mut scene = Scene::new();
        let (a, aaaa) = ask(&mut scene, NAME);
        scene.answer_as(&a, &[], rcode, RESOLVER_TTL, true);
        scene.answer_as(&aaaa, &[], rcode, RESOLVER_TTL, true);
        scene.resolver = "192.168.1.2:53".parse().unwrap();
        let questions = ask(&mut scene, NAME);
        answer(&mut scene, &questions);
        calm(&scene);
    }
    // Failures for other names, and answers without questions.
    let mut scene = Scene::new();
    let question = scene.ask("telemetry.vendor.example", RecordType::A);
    scene.answer_as(&question, &[], SERVFAIL, RESOLVER_TTL, true);
    calm(&scene);
}

#[test]
fn answers_without_questions_accuse_nobody_of_failing() {
    for rcode in [SERVFAIL, REFUSED] {
        let mut scene = Scene::new();
        let question = Question {
            client: "192.168.1.23:40001".parse().unwrap(),
            resolver: scene.resolver,
            id: 7,
            name: NAME.to_owned(),
            record_type: RecordType::A,
        };
        scene.answer_as(&question, &[], rcode, RESOLVER_TTL, true);
        calm(&scene);
        scene.answer(&question, &[GOOD]);
        calm(&scene);
    }
}

#[test]
fn silence_is_a_timeout() {
    let mut scene = Scene::new();
    ask(&mut scene, NAME);
    scene.after_ms(5_000);
    ask(&mut scene, NAME);
    later(&mut scene, 5_000);
    let found = finding(&scene, Code::DnsTimeout);
    assert_eq!((found.fault, found.confidence()), (Fault::Network, Confidence::Moderate));
    cites(&found, &[1, 2, 3, 4]);
    // All resolvers dead, other names answered by one of them.
    let mut scene = Scene::new();
    let question = scene.ask("github.com", RecordType::A);
    scene.answer(&question, &["140.82.121.4"]);
    ask(&mut scene, NAME);
    later(&mut scene, 6_000);
    assert_eq!(finding(&scene, Code::DnsTimeout).confidence(), Confidence::Strong);
}

#[test]
fn silence_that_proves_nothing() {
    // The recording ends with the question.
    let mut scene = Scene::new();
    ask(&mut scene, NAME);
    later(&mut scene, 500);
    let assessment = calm(&scene);
    assert!(assessment.not_assessed.iter().any(|not| not.code == Code::DnsTimeout));
    // The first of two resolvers is dead.
    let mut scene = Scene::new();
    ask(&mut scene, NAME);
    scene.after_ms(5_000);
    scene.resolver = "192.168.1.2:53".parse().unwrap();
    let questions = ask(&mut scene, NAME);
    answer(&mut scene, &questions);
    calm(&scene);
    // A recording of one direction.
    let mut scene = Scene::new();
    ask(&mut scene, NAME);
    let mut tcp = scene.connect("142.250.74.113:443");
    scene.syn(&tcp);
    tcp.client_seq += 1;
    tcp.server_seq += 1;
    scene.client_sends(&mut tcp, 0, &[]);
    scene.hello(&mut tcp, NAME);
    later(&mut scene, 9_000);
    calm(&scene);
    // The answers alone were left out: the client connected.
    let mut scene = Scene::new();
    ask(&mut scene, NAME);
    works(&mut scene, GOOD);
    later(&mut scene, 9_000);
    calm(&scene);
}

fn truncated(scene: &mut Scene) {
    let question = scene.ask(NAME, RecordType::A);
    scene.answer_raw(&question, 0x8380, [1, 0, 0, 0], &[], RESOLVER_TTL);
}

#[test]
fn truncation_without_tcp_is_blocked() {
    // Dropped.
    let mut scene = Scene::new();
    truncated(&mut scene);
    let tcp = scene.connect("192.168.1.1:53");
    scene.syn(&tcp);
    scene.after_ms(1_000).syn(&tcp);
    let found = finding(&scene, Code::DnsTcpBlocked);
    assert_eq!((found.fault, found.confidence()), (Fault::Network, Confidence::Strong));
    cites(&found, &[2, 3, 4]);
    // Refused.
    let mut scene = Scene::new();
    truncated(&mut scene);
    let tcp = scene.connect("192.168.1.1:53");
    scene.syn(&tcp);
    scene.refuse(&tcp, RESOLVER_TTL);
    cites(&finding(&scene, Code::DnsTcpBlocked), &[2, 3, 4]);
    // Cut off at the question.
    let mut scene = Scene::new();
    truncated(&mut scene);
    let mut tcp = scene.connect("192.168.1.1:53");
    scene.open(&mut tcp);
    scene.client_sends(&mut tcp, 8, &[0, 2, 1, 1]);
    scene.reset(&tcp, RESOLVER_TTL);
    cites(&finding(&scene, Code::DnsTcpBlocked), &[2, 7]);
}

#[test]
fn truncation_with_tcp_that_works_or_is_not_seen_is_none() {
    let mut scene = Scene::new();
    truncated(&mut scene);
    let mut tcp = scene.connect("192.168.1.1:53");
    scene.open(&mut tcp);
    let question =
        [&[0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], b"\x05proxy\x06golang\x03org\x00", &[0, 1, 0, 1]].concat();
    let answer = [
        &[0, 9, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0][..],
        b"\x05proxy\x06golang\x03org\x00",
        &[0, 1, 0, 1, 0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 142, 250, 74, 113],
    ]
    .concat();
    let framed = |message: &[u8]| [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat();
    scene.client_sends(&mut tcp, 8, &framed(&question));
    scene.server_sends(&mut tcp, 8, &framed(&answer));
    calm(&scene);
    // No attempt over TCP in the recording, or one at its very end.
    let mut scene = Scene::new();
    truncated(&mut scene);
    calm(&scene);
    let tcp = scene.connect("192.168.1.1:53");
    scene.syn(&tcp);
    calm(&scene);
}

#[test]
fn a_recording_that_ends_with_gos_failure_needs_nothing_after_the_last_question() {
    let mut scene = Scene::new();
    scene.ask(NAME, RecordType::A);
    scene.after_ms(5_000);
    scene.ask(NAME, RecordType::A);
    assert!(assess(&scene).found.is_empty());
    scene.log("go: x: something else\n");
    let mut case = scene.case();
    case.go.exit = Some(1);
    let found = (super::super::DETECTOR.assess)(&case, &scene.reference).found;
    assert_eq!(found.iter().map(|finding| finding.code).collect::<Vec<_>>(), [Code::DnsTimeout]);
}

#[test]
fn one_family_without_an_address_does_not_hide_that_the_other_fails() {
    for rcode in [Some(SERVFAIL), Some(REFUSED), None] {
        let mut scene = Scene::new();
        let questions = ask(&mut scene, NAME);
        scene.answer(&questions.1, &[]);
        if let Some(rcode) = rcode {
            scene.answer_as(&questions.0, &[], rcode, 64, true);
        }
        later(&mut scene, 6_000);
        let code = match rcode {
            Some(SERVFAIL) => Code::DnsServfail,
            Some(_) => Code::DnsRefused,
            None => Code::DnsTimeout,
        };
        let found = finding(&scene, code);
        cites(&found, &[1]);
    }
    // The name has no A, and nothing is known of its AAAA: a denial says more.
    let mut scene = Scene::new();
    let questions = ask(&mut scene, NAME);
    scene.answer_as(&questions.0, &[], NXDOMAIN, 64, true);
    later(&mut scene, 6_000);
    assert!(!assess(&scene).found.iter().any(|finding| finding.code == Code::DnsTimeout));
}
