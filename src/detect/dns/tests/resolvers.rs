//! No resolver, and somebody else in the resolver's place.

use super::*;
use crate::finding::{Confidence, Fault};

#[test]
fn a_closed_port_is_no_resolver() {
    let mut scene = Scene::new();
    scene.ask(NAME, RecordType::A);
    scene.icmp_about(0, "192.168.1.1", 3, 3);
    let found = finding(&scene, Code::DnsNoResolver);
    assert_eq!((found.fault, found.confidence()), (Fault::Client, Confidence::Proven));
    cites(&found, &[1, 2]);
}

#[test]
fn no_resolver_is_configured_by_gos_own_words() {
    for resolver in ["[::1]:53", "127.0.0.1:53"] {
        let mut scene = Scene::new();
        let local = resolver.replace(":53", ":40001");
        scene.log(&format!(
            "go: a@v1: Get \"https://proxy.golang.org/a\": dial tcp: lookup proxy.golang.org on {resolver}: read udp {local}->{resolver}: read: connection refused\n"
        ));
        let found = finding(&scene, Code::DnsNoResolver);
        assert_eq!((found.fault, found.confidence()), (Fault::Client, Confidence::Strong), "{resolver}");
    }
}

#[test]
fn a_closed_port_beside_a_resolver_that_works_is_none() {
    let mut scene = Scene::new();
    scene.ask(NAME, RecordType::A);
    scene.icmp_about(0, "192.168.1.1", 3, 3);
    scene.resolver = "192.168.1.2:53".parse().unwrap();
    let questions = ask(&mut scene, NAME);
    answer(&mut scene, &questions);
    calm(&scene);
    // The client refuses a late second answer: that says nothing about the resolver.
    let mut scene = Scene::new();
    let question = scene.ask(NAME, RecordType::A);
    scene.answer(&question, &[GOOD]);
    scene.after_ms(50);
    scene.answer(&question, &[GOOD]);
    scene.icmp_about(0, "192.168.1.23", 3, 3);
    calm(&scene);
    // Other words, and none.
    let mut scene = Scene::new();
    scene.log(
        "go: a@v1: Get \"https://proxy.golang.org/a\": dial tcp 142.250.74.113:443: connect: connection refused\n",
    );
    calm(&scene);
}

/// A resolver's answer with an IP TTL after some time, in microseconds.
fn answered(resolver: &str, client_ttl: u8, ttl: u8, millis: i64) -> Scene {
    let mut scene = Scene::new();
    scene.client_ttl = client_ttl;
    scene.resolver = resolver.parse().unwrap();
    for name in [NAME, "sum.golang.org"] {
        let question = scene.ask(name, RecordType::A);
        scene.after_ms(millis);
        scene.answer_as(&question, &[GOOD], 0, ttl, true);
    }
    scene
}

#[test]
fn a_public_resolver_next_door_is_an_impostor() {
    for ttl in [63, 64, 127] {
        let scene = answered("8.8.8.8:53", 64, ttl, 0);
        let found = finding(&scene, Code::DnsInterceptedResolver);
        assert_eq!((found.fault, found.severity), (Fault::Harmless, Severity::Medium), "{ttl}");
        assert!(found.confidence() <= Confidence::Strong);
        cites(&found, &[2, 4]);
    }
    // Answers from an address where no host can be.
    let scene = answered("192.0.2.53:53", 64, 62, 20);
    assert_eq!(finding(&scene, Code::DnsInterceptedResolver).confidence(), Confidence::Strong);
}

#[test]
fn resolvers_that_are_where_they_should_be() {
    // A public one some hops away, and a local one next door.
    calm(&answered("8.8.8.8:53", 64, 57, 18));
    calm(&answered("8.8.8.8:53", 64, 118, 18));
    calm(&answered("192.168.1.1:53", 64, 64, 0));
    calm(&answered("127.0.0.53:53", 64, 64, 0));
}

#[test]
fn a_recording_at_a_router_tells_nothing_about_distance() {
    calm(&answered("8.8.8.8:53", 63, 63, 0));
}
