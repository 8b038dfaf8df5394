//! Forged and lying answers, denials, overrides.

use super::*;
use crate::finding::{Confidence, Fault};
use crate::testing::{RESOLVER_TTL, SERVER_TTL};

#[test]
fn a_race_is_an_injected_answer() {
    let mut scene = Scene::new();
    let question = scene.ask(NAME, RecordType::A);
    scene.answer_as(&question, &[POISON], 0, 118, false);
    scene.after_ms(10);
    scene.answer(&question, &[GOOD]);
    scene.icmp_about(0, "192.168.1.23", 3, 3);
    let found = finding(&scene, Code::DnsInjectedAnswer);
    assert_eq!((found.fault, found.severity), (Fault::Interference, Severity::Critical));
    assert!(found.confidence() >= Confidence::Strong);
    cites(&found, &[1, 2, 3]);
    assert!(!assess(&scene).found.iter().any(|finding| finding.code == Code::DnsHijackedAnswer), "said once");
}

#[test]
fn three_forged_answers_are_all_cited() {
    let mut scene = Scene::new();
    let question = scene.ask(NAME, RecordType::A);
    for (address, ttl) in [(POISON, 57), ("8.7.198.45", 91), ("59.24.3.173", 117)] {
        scene.answer_as(&question, &[address], 0, ttl, false);
    }
    scene.after_ms(20);
    scene.answer(&question, &[GOOD]);
    let found = finding(&scene, Code::DnsInjectedAnswer);
    assert_eq!(found.confidence(), Confidence::Proven);
    cites(&found, &[2, 3, 4]);
}

#[test]
fn two_different_known_lies_need_no_honest_answer() {
    let mut scene = Scene::new();
    let question = scene.ask(NAME, RecordType::A);
    scene.answer_as(&question, &[POISON], 0, 57, false);
    scene.answer_as(&question, &["8.7.198.45"], 0, 91, false);
    let found = finding(&scene, Code::DnsInjectedAnswer);
    cites(&found, &[2, 3]);
}

#[test]
fn a_copied_ttl_and_edns_do_not_hide_a_contradiction() {
    let mut scene = Scene::new();
    scene.honest(NAME, &[GOOD]);
    let question = scene.ask(NAME, RecordType::A);
    scene.answer(&question, &[FOREIGN]);
    scene.answer(&question, &[GOOD]);
    let found = finding(&scene, Code::DnsInjectedAnswer);
    assert!(found.confidence() >= Confidence::Strong);
    cites(&found, &[2]);
    // Without the reference the ranges say less, but the same.
    let mut blind = Scene::new();
    let question = blind.ask(NAME, RecordType::A);
    blind.answer(&question, &[FOREIGN]);
    blind.answer(&question, &[GOOD]);
    assert!(finding(&blind, Code::DnsInjectedAnswer).confidence() <= Confidence::Moderate);
}

#[test]
fn a_forgery_that_loses_the_race_hinders_nothing() {
    let mut scene = Scene::new();
    let question = scene.ask(NAME, RecordType::A);
    scene.answer(&question, &[GOOD]);
    scene.after_ms(10);
    scene.answer_as(&question, &[POISON], 0, 118, false);
    scene.icmp_about(0, "192.168.1.23", 3, 3);
    works(&mut scene, GOOD);
    let found = finding(&scene, Code::DnsInjectedAnswer);
    assert_eq!((found.fault, found.severity), (Fault::Harmless, Severity::Medium));
    cites(&found, &[3]);
}

#[test]
fn a_forged_denial_before_the_honest_answer_is_named_as_both() {
    let mut scene = Scene::new();
    let (a, aaaa) = ask(&mut scene, NAME);
    scene.answer_as(&a, &[], NXDOMAIN, 118, false);
    scene.answer_as(&aaaa, &[], NXDOMAIN, 118, false);
    scene.after_ms(10);
    answer(&mut scene, &(a, aaaa));
    cites(&finding(&scene, Code::DnsInjectedAnswer), &[3, 4]);
    cites(&finding(&scene, Code::DnsForgedNxdomain), &[3, 4]);
}

#[test]
fn a_forged_failure_before_the_honest_answer_is_injected() {
    let mut scene = Scene::new();
    let question = scene.ask(NAME, RecordType::A);
    scene.answer_as(&question, &[], SERVFAIL, RESOLVER_TTL, true);
    scene.answer(&question, &[GOOD]);
    cites(&finding(&scene, Code::DnsInjectedAnswer), &[2]);
}

#[test]
fn forged_v6_answers_beside_an_honest_empty_one_are_injected_or_unroutable() {
    let mut scene = Scene::new();
    let (a, aaaa) = ask(&mut scene, NAME);
    scene.answer(&a, &[GOOD]);
    scene.answer_as(&aaaa, &["2001::1"], 0, 118, false);
    scene.after_ms(10);
    scene.answer(&aaaa, &[]);
    works(&mut scene, GOOD);
    let found = assess(&scene).found;
    assert!(found.iter().any(|finding| finding.code == Code::DnsInjectedAnswer), "{found:#?}");
}

#[test]
fn two_answers_may_be_innocent() {
    // Recorded twice, and sent twice.
    let mut scene = Scene::new();
    let question = scene.ask(NAME, RecordType::A);
    scene.answer(&question, &[GOOD]);
    scene.answer(&question, &[GOOD]);
    scene.after_ms(300);
    scene.answer(&question, &[GOOD]);
    scene.icmp_about(0, "192.168.1.23", 3, 3);
    calm(&scene);
    // A pool that rotates, and a subset of it.
    let mut scene = Scene::new();
    scene.honest(NAME, &[GOOD]);
    let question = scene.ask(NAME, RecordType::A);
    scene.answer(&question, &[GOOD, OTHER_GOOD]);
    scene.answer(&question, &[OTHER_GOOD, GOOD]);
    scene.answer(&question, &[OTHER_GOOD]);
    calm(&scene);
    // Another part of the pool, from a neighbour of the resolver's.
    let mut scene = Scene::new();
    scene.honest(NAME, &[GOOD]);
    let question = scene.ask(NAME, RecordType::A);
    scene.answer(&question, &[GOOD]);
    scene.answer_as(&question, &[OTHER_GOOD], 0, RESOLVER_TTL - 3, false);
    calm(&scene);
}

#[test]
fn a_resolver_without_edns_is_no_forger() {
    let mut scene = Scene::new();
    for name in [NAME, "sum.golang.org"] {
        let question = scene.ask(name, RecordType::A);
        scene.answer_as(&question, &[GOOD], 0, RESOLVER_TTL, false);
    }
    calm(&scene);
}

#[test]
fn an_address_with_another_certificate_is_hijacked() {
    let mut scene = Scene::new();
    scene.honest(NAME, &[GOOD]);
    let (a, aaaa) = ask(&mut scene, NAME);
    scene.answer(&a, &[FOREIGN]);
    scene.answer(&aaaa, &[]);
    let codes = |scene: &Scene| assess(scene).found.iter().map(|found| found.code).collect::<Vec<_>>();
    assert_eq!(codes(&scene), [Code::DnsUnexpectedRange], "another address alone is no lie");
    scene.log(&format!("go: m@v1.0.0: Get \"https://{NAME}/m/@v/v1.0.0.info\": tls: failed to verify certificate: x509: certificate is valid for www.example.net, not {NAME}\n"));
    let found = finding(&scene, Code::DnsHijackedAnswer);
    assert_eq!(found.fault, Fault::Interference);
    cites(&found, &[1, 3, 4]);
    // A known false answer needs no reference.
    let mut scene = Scene::new();
    let question = scene.ask(NAME, RecordType::A);
    scene.answer(&question, &[POISON]);
    assert!(finding(&scene, Code::DnsHijackedAnswer).confidence() >= Confidence::Moderate);
}

#[test]
fn an_alias_of_a_filter_is_hijacked() {
    let Some(bad) = ["block.opendns.com", "blocked.dns.example", "forcesafesearch.google.com"]
        .into_iter()
        .find(|name| Scene::new().reference.known_bad_name(name).is_some())
    else {
        println!("skipped: the rules know none of these names");
        return;
    };
    let mut scene = Scene::new();
    let question = scene.ask(NAME, RecordType::A);
    let label: Vec<u8> = bad
        .split('.')
        .flat_map(|label| [&[u8::try_from(label.len()).unwrap()][..], label.as_bytes()].concat())
        .chain([0])
        .collect();
    let length = u16::try_from(label.len()).unwrap().to_be_bytes();
    let alias = [&[0xc0, 0x0c, 0, 5, 0, 1, 0, 0, 1, 44][..], &length, &label].concat();
    let address = [&label[..], &[0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 5, 39, 77, 10]].concat();
    scene.answer_raw(&question, 0x8180, [1, 2, 0, 0], &[alias, address].concat(), RESOLVER_TTL);
    cites(&finding(&scene, Code::DnsHijackedAnswer), &[2]);
}

#[test]
fn an_unlisted_address_that_serves_the_name_is_a_remark() {
    let mut scene = Scene::new();
    scene.honest(NAME, &[GOOD]);
    let question = scene.ask(NAME, RecordType::A);
    scene.answer(&question, &[FOREIGN]);
    works(&mut scene, FOREIGN);
    let assessment = calm(&scene);
    let remark = assessment.found.iter().find(|finding| finding.code == Code::DnsUnexpectedRange).unwrap();
    assert_eq!(remark.fault, Fault::Harmless);
    cites(remark, &[1, 2]);
    // Inside the ranges there is nothing to say.
    let mut scene = Scene::new();
    let question = scene.ask(NAME, RecordType::A);
    scene.answer(&question, &[OTHER_GOOD]);
    assert!(calm(&scene).found.is_empty());
}

#[test]
fn nothing_is_said_about_addresses_of_names_without_ranges() {
    let mut scene = Scene::new();
    scene.log("go: example.com/a@v1.0.0: Get \"https://example.com/\": EOF\n");
    let question = scene.ask("example.com", RecordType::A);
    scene.answer(&question, &[FOREIGN]);
    assert!(assess(&scene).found.is_empty());
}

#[test]
fn unroutable_answers_for_public_names_are_bogons() {
    for address in ["0.0.0.0", "127.0.0.1", "192.0.2.1", "::1", "2001::1", "::"] {
        let mut scene = Scene::new();
        let kind = if address.contains(':') { RecordType::AAAA } else { RecordType::A };
        let question = scene.ask(NAME, kind);
        scene.answer(&question, &[address]);
        let found = finding(&scene, Code::DnsBogonAnswer);
        assert_eq!((found.fault, found.severity), (Fault::Interference, Severity::High), "{address}");
        assert!(found.confidence() >= Confidence::Strong, "{address}");
        cites(&found, &[1, 2]);
        let mut sure = Scene::new();
        sure.honest(NAME, &[GOOD]);
        let question = sure.ask(NAME, kind);
        sure.answer(&question, &[address]);
        assert_eq!(finding(&sure, Code::DnsBogonAnswer).confidence(), Confidence::Proven, "{address}");
    }
}

#[test]
fn a_private_address_of_a_public_name_is_a_bogon_only_where_it_fails() {
    for address in ["10.10.10.10", "100.64.3.3", "fd00::9"] {
        let answered = || {
            let mut scene = Scene::new();
            scene.honest(NAME, &[GOOD]);
            let kind = if address.contains(':') { RecordType::AAAA } else { RecordType::A };
            let question = scene.ask(NAME, kind);
            scene.answer(&question, &[address]);
            scene
        };
        // It may be a company's mirror of the name.
        assert_eq!(answered().findings()[0].code, Code::DnsUnexpectedRange, "{address}");
        let mut fails = answered();
        let server = std::net::SocketAddr::new(address.parse().unwrap(), 443);
        let tcp = fails.connect(&server.to_string());
        fails.syn(&tcp);
        fails.after_ms(5).refuse(&tcp, SERVER_TTL);
        assert_eq!(finding(&fails, Code::DnsBogonAnswer).confidence(), Confidence::Proven, "{address}");
    }
}

#[test]
fn a_poisoned_family_beside_a_working_one_is_less_bad() {
    let mut scene = Scene::new();
    scene.honest(NAME, &[GOOD]);
    let (a, aaaa) = ask(&mut scene, NAME);
    scene.answer(&a, &[GOOD]);
    scene.answer(&aaaa, &["::1"]);
    works(&mut scene, GOOD);
    let found = finding(&scene, Code::DnsBogonAnswer);
    assert_eq!(found.severity, Severity::Medium);
    cites(&found, &[4]);
}

#[test]
fn a_poisoned_family_that_go_fell_for_is_bad_though_the_other_is_honest() {
    let mut scene = Scene::new();
    scene.honest(NAME, &[GOOD, GOOD_V6]);
    let questions = ask(&mut scene, NAME);
    scene.answer(&questions.0, &["10.66.6.6"]);
    scene.answer(&questions.1, &[GOOD_V6]);
    scene.log("go: x: Get \"https://proxy.golang.org/x\": dial tcp 10.66.6.6:443: i/o timeout");
    assert_eq!(finding(&scene, Code::DnsBogonAnswer).severity, Severity::High);
}

#[test]
fn a_poisoned_family_that_nobody_used_is_not_why_the_other_fails() {
    let mut scene = Scene::new();
    scene.honest(NAME, &[GOOD, GOOD_V6]);
    let questions = ask(&mut scene, NAME);
    scene.answer(&questions.0, &[GOOD]);
    scene.answer_as(&questions.1, &["2001::1f0d:4b21"], 0, 118, false);
    scene.answer(&questions.1, &[GOOD_V6]);
    let mut tcp = scene.connect("142.250.74.113:443");
    scene.open(&mut tcp);
    scene.hello(&mut tcp, NAME);
    scene.reset(&tcp, 118);
    scene.log("go: x: Get \"https://proxy.golang.org/x\": read tcp 192.168.1.23:40000->142.250.74.113:443: read: connection reset by peer");
    assert_eq!(finding(&scene, Code::DnsInjectedAnswer).severity, Severity::Medium);
}

#[test]
fn a_tunnels_address_is_a_bogon_where_nothing_answers_at_it() {
    let mut scene = Scene::new();
    let questions = ask(&mut scene, NAME);
    scene.answer(&questions.0, &["198.18.0.5"]);
    let tcp = scene.connect("198.18.0.5:443");
    for _ in 0..3 {
        scene.after_ms(1_000).syn(&tcp);
    }
    let found = finding(&scene, Code::DnsBogonAnswer);
    assert_eq!((found.fault, found.confidence()), (Fault::Interference, Confidence::Moderate));
}

#[test]
fn private_tunnelled_and_translated_addresses_may_be_right() {
    // Split horizon: a private name, which the public does not know.
    let mut scene = Scene::new();
    scene.env("GOPROXY=https://artifactory.corp.example/api/go\n");
    let question = scene.ask("artifactory.corp.example", RecordType::A);
    scene.answer(&question, &["10.44.0.20"]);
    calm(&scene);
    // A tunnel that hands out made-up addresses, and works.
    let mut scene = Scene::new();
    scene.honest(NAME, &[GOOD]);
    let question = scene.ask(NAME, RecordType::A);
    scene.answer(&question, &["198.18.0.7"]);
    works(&mut scene, "198.18.0.7");
    calm(&scene);
    // A private mirror that shows a certificate which the client accepts.
    let mut scene = Scene::new();
    let question = scene.ask(NAME, RecordType::A);
    scene.answer(&question, &["10.44.0.20"]);
    works(&mut scene, "10.44.0.20");
    calm(&scene);
    // NAT64 of the right address (142.250.74.113).
    let mut scene = Scene::new();
    scene.honest(NAME, &[GOOD]);
    let question = scene.ask(NAME, RecordType::AAAA);
    scene.answer(&question, &["64:ff9b::8efa:4a71"]);
    calm(&scene);
    // The same with a prefix of the network's own, and of an address that the reference does not list.
    for (address, honest) in [("2a0a:64::8efa:4a71", true), ("64:ff9b::8efa:4a63", true), ("64:ff9b::8efa:4a63", false)]
    {
        let mut scene = Scene::new();
        if honest {
            scene.honest(NAME, &[GOOD]);
        }
        let question = scene.ask(NAME, RecordType::AAAA);
        scene.answer(&question, &[address]);
        calm(&scene);
    }
    // Translated lies are lies.
    let mut scene = Scene::new();
    let question = scene.ask(NAME, RecordType::AAAA);
    scene.answer(&question, &["64:ff9b::7f00:1"]);
    finding(&scene, Code::DnsBogonAnswer);
}

#[test]
fn a_denied_go_host_is_a_forged_denial() {
    for rcode in [NXDOMAIN, 0] {
        let mut scene = Scene::new();
        scene.honest(NAME, &[GOOD]);
        let (a, aaaa) = ask(&mut scene, NAME);
        scene.answer_as(&a, &[], rcode, RESOLVER_TTL, false);
        scene.answer_as(&aaaa, &[], rcode, RESOLVER_TTL, false);
        let found = finding(&scene, Code::DnsForgedNxdomain);
        assert_eq!((found.fault, found.severity), (Fault::Interference, Severity::High));
        assert_eq!(found.confidence(), Confidence::Strong);
        cites(&found, &[1, 2, 3, 4]);
    }
    let mut blind = Scene::new();
    let (a, aaaa) = ask(&mut blind, NAME);
    blind.answer_raw(&a, 0x8183, [1, 0, 1, 0], &Scene::soa(), RESOLVER_TTL);
    blind.answer_raw(&aaaa, 0x8183, [1, 0, 1, 0], &Scene::soa(), RESOLVER_TTL);
    assert!(finding(&blind, Code::DnsForgedNxdomain).confidence() <= Confidence::Moderate);
}

#[test]
fn denials_that_hinder_nothing_are_no_findings() {
    // Search suffixes first, as with ndots:5.
    let mut scene = Scene::new();
    for suffix in ["default.svc.cluster.local", "corp.example"] {
        let (a, aaaa) = ask(&mut scene, &format!("{NAME}.{suffix}"));
        scene.answer_raw(&a, 0x8183, [1, 0, 1, 0], &Scene::soa(), RESOLVER_TTL);
        scene.answer_raw(&aaaa, 0x8183, [1, 0, 1, 0], &Scene::soa(), RESOLVER_TTL);
    }
    let questions = ask(&mut scene, NAME);
    answer(&mut scene, &questions);
    calm(&scene);
    // One family alone.
    for v4 in [true, false] {
        let mut scene = Scene::new();
        let (a, aaaa) = ask(&mut scene, NAME);
        scene.answer(&a, if v4 { &[GOOD] } else { &[] });
        scene.answer(&aaaa, if v4 { &[] } else { &[GOOD_V6] });
        calm(&scene);
    }
    // No IPv6, and the answer about IPv4 not recorded.
    let mut scene = Scene::new();
    let (_, aaaa) = ask(&mut scene, NAME);
    scene.answer(&aaaa, &[]);
    calm(&scene);
}

#[test]
fn a_name_that_nobody_knows_does_not_exist() {
    let log = "go: example.corp/a@v1.0.0: Get \"https://goproxy.example.corp/a\": dial tcp: lookup goproxy.example.corp on 192.168.1.1:53: no such host\n";
    let mut scene = Scene::new();
    scene.log(log);
    let (a, aaaa) = ask(&mut scene, "goproxy.example.corp");
    scene.answer_as(&a, &[], NXDOMAIN, RESOLVER_TTL, true);
    scene.answer_as(&aaaa, &[], NXDOMAIN, RESOLVER_TTL, true);
    let found = finding(&scene, Code::DnsNxdomain);
    assert_eq!((found.fault, found.confidence()), (Fault::Client, Confidence::Moderate));
    cites(&found, &[3, 4]);
    // go did not fail on it: a private path that is tried and left.
    let mut scene = Scene::new();
    scene.env("GOPROXY=https://goproxy.example.corp,direct\n");
    let (a, _) = ask(&mut scene, "goproxy.example.corp");
    scene.answer_as(&a, &[], NXDOMAIN, RESOLVER_TTL, true);
    calm(&scene);
    // Only the words, no answer in the recording.
    let mut scene = Scene::new();
    scene.log(log);
    calm(&scene);
}

#[test]
fn a_connection_without_a_lookup_to_a_wrong_address_is_an_override() {
    let mut scene = Scene::new();
    scene.honest(NAME, &[GOOD]);
    scene.log("go: a@v1: Get \"https://proxy.golang.org/a\": dial tcp 10.1.2.3:443: i/o timeout\n");
    let tcp = scene.connect("10.1.2.3:443");
    scene.syn(&tcp);
    scene.after_ms(1_000).syn(&tcp);
    let found = finding(&scene, Code::DnsLocalOverride);
    assert_eq!((found.fault, found.severity), (Fault::Client, Severity::Medium));
    cites(&found, &[1]);
    // Loopback is not recorded: go's words are enough.
    let mut scene = Scene::new();
    scene.log("go: a@v1: Get \"https://proxy.golang.org/a\": dial tcp 127.0.0.1:443: connect: connection refused\n");
    finding(&scene, Code::DnsLocalOverride);
    // A dead address of the operator that honest resolvers do not give.
    let mut scene = Scene::new();
    scene.honest(NAME, &[GOOD]);
    scene.log("go: a@v1: Get \"https://proxy.golang.org/a\": dial tcp 142.250.74.99:443: i/o timeout\n");
    let tcp = scene.connect("142.250.74.99:443");
    scene.syn(&tcp);
    scene.after_ms(1_000).syn(&tcp);
    assert!(finding(&scene, Code::DnsLocalOverride).confidence() <= Confidence::Moderate);
}

#[test]
fn lookups_before_the_recording_and_proxies_are_no_overrides() {
    // An answer before the recording began, to an address that serves the name.
    let mut scene = Scene::new();
    scene.honest(NAME, &[GOOD]);
    works(&mut scene, OTHER_GOOD);
    calm(&scene);
    // The same, dead, and nothing known from elsewhere.
    let mut scene = Scene::new();
    scene.log("go: a@v1: Get \"https://proxy.golang.org/a\": dial tcp 142.250.74.99:443: i/o timeout\n");
    let tcp = scene.connect("142.250.74.99:443");
    scene.syn(&tcp);
    scene.after_ms(1_000).syn(&tcp);
    calm(&scene);
    // The address beside the host is the proxy's, with and without the environment.
    for env in ["", "HTTPS_PROXY=http://10.44.0.8:3128\n"] {
        let mut scene = Scene::new();
        scene.honest(NAME, &[GOOD]);
        scene.env(env);
        scene.log("go: a@v1: Get \"https://proxy.golang.org/a\": proxyconnect tcp: dial tcp 10.44.0.8:3128: connect: connection refused\n");
        let tcp = scene.connect("10.44.0.8:3128");
        scene.syn(&tcp);
        scene.refuse(&tcp, 62);
        calm(&scene);
    }
    // A tunnel through a proxy by address.
    let mut scene = Scene::new();
    scene.honest(NAME, &[GOOD]).env("HTTPS_PROXY=http://10.44.0.8:3128\n");
    let mut tcp = scene.connect("10.44.0.8:3128");
    scene.open(&mut tcp);
    scene.client_sends(&mut tcp, 8, b"CONNECT proxy.golang.org:443 HTTP/1.1\r\nHost: proxy.golang.org:443\r\n\r\n");
    scene.server_sends(&mut tcp, 8, b"HTTP/1.1 200 OK\r\n\r\n");
    scene.hello(&mut tcp, NAME);
    scene.tls13_flight(&mut tcp, 900);
    scene.tls13_client_record(&mut tcp, 53);
    scene.server_sends(&mut tcp, 8, &crate::testing::record(23, &[9; 400]));
    calm(&scene);
}

#[test]
fn a_search_domain_that_answers_for_everything_is_an_override() {
    let mut scene = Scene::new();
    let question = scene.ask("proxy.golang.org.corp.example", RecordType::A);
    scene.answer(&question, &["10.1.2.3"]);
    let mut tcp = scene.connect("10.1.2.3:443");
    scene.open(&mut tcp);
    scene.hello(&mut tcp, NAME);
    let found = finding(&scene, Code::DnsLocalOverride);
    assert_eq!(found.fault, Fault::Client);
    cites(&found, &[1, 2, 3]);
    // It serves the name: nothing to say.
    let mut scene = Scene::new();
    let question = scene.ask("proxy.golang.org.corp.example", RecordType::A);
    scene.answer(&question, &["10.1.2.3"]);
    works(&mut scene, "10.1.2.3");
    calm(&scene);
}
