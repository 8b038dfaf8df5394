//! Blocks that outlast their trigger.

use super::*;
use crate::finding::Code;
use crate::testing::cited;

/// The hello for `HOST` is reset by the path.
fn triggered(scene: &mut Scene) -> u32 {
    let tcp = greeted(scene);
    scene.after_ms(4).reset(&tcp, 118);
    scene.last_frame()
}

/// A hello that vanishes with its repetitions.
fn vanishes(scene: &mut Scene, name: &str) -> u32 {
    let mut tcp = scene.connect(SERVER);
    scene.open(&mut tcp);
    scene.hello(&mut tcp, name);
    for pause in [300, 600, 1_200, 2_400] {
        scene.after_ms(pause);
        repeat_hello(scene, &tcp, name);
    }
    scene.after_ms(2_000);
    scene.last_frame()
}

#[test]
fn another_names_hello_that_vanishes_after_the_reset_is_caught_in_the_block() {
    let mut scene = scene();
    let trigger = triggered(&mut scene);
    scene.after_ms(1_000);
    let last = vanishes(&mut scene, "modules.test");
    let finding = scene.finding(Code::TlsResidualBlock);
    assert_eq!(finding.subject.host.as_deref(), Some(HOST));
    assert!([trigger, last].iter().all(|frame| cited(&finding).contains(frame)));
}

#[test]
fn one_hello_of_the_same_name_may_have_lost_its_reset_and_two_have_not() {
    for (count, blocked) in [(1, false), (2, true)] {
        let mut scene = scene();
        triggered(&mut scene);
        for _ in 0..count {
            vanishes(&mut scene, HOST);
        }
        assert_eq!(scene.accused().contains(&Code::TlsResidualBlock), blocked, "{count}");
    }
}

#[test]
fn attempts_that_are_given_up_at_once_count_together_and_late_ones_not_at_all() {
    for (attempts, wait_ms, blocked) in [(3, 400, true), (2, 400, false), (3, 50, false)] {
        let mut scene = scene();
        triggered(&mut scene);
        scene.after_ms(1_000);
        for _ in 0..attempts {
            let tcp = scene.connect(SERVER);
            scene.syn(&tcp);
        }
        scene.after_ms(wait_ms);
        let mut other = scene.connect("5.9.80.100:443");
        scene.tls13_session(&mut other, "goproxy.io");
        assert_eq!(
            scene.accused().contains(&Code::TlsResidualBlock),
            blocked,
            "{attempts} attempts, {wait_ms} ms before the end"
        );
    }
}
