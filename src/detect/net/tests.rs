//! Every code of the net family beside its nearest innocent look-alike, written packet by packet.

use crate::finding::{Code, Confidence, Fault, Severity};
use crate::observation::RecordType;
use crate::testing::{RTT_MS, Scene, cited};

const HOST: &str = "proxy.golang.org";
const SERVER: &str = "142.250.74.113:443";
const SERVER6: &str = "[2607:f8b0:4004:c1b::8d]:443";

fn scene() -> Scene {
    let mut scene = Scene::new();
    let question = scene.ask(HOST, RecordType::A);
    scene.answer(&question, &["142.250.74.113"]);
    let question = scene.ask(HOST, RecordType::AAAA);
    scene.answer(&question, &["2607:f8b0:4004:c1b::8d"]);
    scene
}

/// SYNs to an address, as the kernel repeats them, and how often.
fn knock(scene: &mut Scene, server: &str, times: usize) {
    let tcp = scene.connect(server);
    for pause in [0, 1_000, 2_000, 4_000, 8_000].into_iter().take(times) {
        scene.after_ms(pause).syn(&tcp);
    }
}

fn works(scene: &mut Scene, server: &str, name: &str) {
    let mut tcp = scene.connect(server);
    scene.tls13_session(&mut tcp, name);
}

#[test]
fn an_address_that_never_answers_while_others_do_is_a_blackhole() {
    let mut scene = scene();
    knock(&mut scene, SERVER, 5);
    knock(&mut scene, SERVER, 5);
    let last = scene.last_frame();
    works(&mut scene, "140.82.112.3:443", "github.com");
    let finding = scene.finding(Code::NetAddressBlackhole);
    assert_eq!((finding.fault, finding.confidence()), (Fault::Interference, Confidence::Strong));
    assert_eq!(cited(&finding), (last - 9..=last).collect::<Vec<u32>>());
    assert_eq!(scene.accused(), [Code::NetAddressBlackhole]);
}

#[test]
fn an_address_that_answers_in_the_end_is_none() {
    let mut scene = scene();
    knock(&mut scene, SERVER, 3);
    works(&mut scene, SERVER, HOST);
    assert_eq!(scene.accused(), []);
}

#[test]
fn a_recording_that_ends_with_the_syn_judges_nothing() {
    let mut scene = scene();
    knock(&mut scene, SERVER, 2);
    assert_eq!(scene.accused(), []);
    assert_eq!(scene.not_assessed(), [Code::NetAddressBlackhole]);
}

#[test]
fn the_clients_packets_alone_show_no_blackhole() {
    let mut scene = scene();
    knock(&mut scene, SERVER, 5);
    scene.forget_from("192.168.1.1".parse().unwrap());
    assert!(!scene.accused().contains(&Code::NetAddressBlackhole));
}

#[test]
fn icmp_tells_a_prohibition_from_a_missing_route() {
    for (code, fault) in [(13, Fault::Interference), (0, Fault::Network), (1, Fault::Network)] {
        let mut scene = scene();
        for _ in 0..3 {
            knock(&mut scene, SERVER, 1);
            scene.after_ms(5);
            scene.icmp_about(0, "10.0.0.1", 3, code);
        }
        let finding = scene.finding(Code::NetUnreachable);
        assert_eq!((finding.fault, finding.confidence()), (fault, Confidence::Proven), "code {code}");
        assert!(cited(&finding).contains(&scene.last_frame()));
        assert_eq!(scene.accused(), [Code::NetUnreachable]);
    }
}

#[test]
fn an_icmp_error_about_a_connection_that_works_is_nothing() {
    let mut scene = scene();
    knock(&mut scene, SERVER, 1);
    scene.icmp_about(0, "10.0.0.1", 3, 1);
    works(&mut scene, SERVER, HOST);
    assert_eq!(scene.accused(), []);
}

#[test]
fn icmp_from_the_client_itself_is_its_own_firewall() {
    let mut scene = scene();
    knock(&mut scene, SERVER, 1);
    scene.icmp_about(0, "192.168.1.23", 3, 3);
    let finding = scene.finding(Code::NetBlockedLocally);
    assert_eq!((finding.fault, finding.confidence()), (Fault::Client, Confidence::Strong));
    assert_eq!(scene.accused(), [Code::NetBlockedLocally]);
}

#[test]
fn a_refusal_by_the_clients_system_without_a_packet_is_local() {
    for words in ["operation not permitted", "no route to host"] {
        let mut scene = scene();
        scene.log(&format!(
            "go: example.com/m@v1.0.0: Get \"https://proxy.golang.org/example.com/m/@v/v1.0.0.info\": dial tcp 142.250.74.113:443: connect: {words}\n"
        ));
        let finding = scene.finding(Code::NetBlockedLocally);
        assert_eq!((finding.fault, finding.confidence()), (Fault::Client, Confidence::Strong), "{words}");
    }
}

#[test]
fn a_connection_that_fails_without_a_syn_is_held_back_by_the_client() {
    for words in ["connect: connection refused", "i/o timeout"] {
        let mut scene = scene();
        scene.log(&format!("go: x: Get \"https://proxy.golang.org/x\": dial tcp 142.250.74.113:443: {words}\n"));
        let finding = scene.finding(Code::NetBlockedLocally);
        assert_eq!((finding.fault, finding.confidence()), (Fault::Client, Confidence::Moderate), "{words}");
        // With TCP to others in it, the recording would hold the SYN.
        works(&mut scene, "140.82.112.3:443", "github.com");
        assert_eq!(scene.finding(Code::NetBlockedLocally).confidence(), Confidence::Strong, "{words}");
        // With the SYN, whatever became of it, the client has let it go.
        knock(&mut scene, SERVER, 1);
        assert!(!scene.accused().contains(&Code::NetBlockedLocally), "{words}");
    }
    // Without the question the recording may have begun later, or elsewhere.
    let mut scene = Scene::new();
    scene.log("go: x: Get \"https://proxy.golang.org/x\": dial tcp 142.250.74.113:443: i/o timeout\n");
    works(&mut scene, "140.82.112.3:443", "github.com");
    assert!(!scene.accused().contains(&Code::NetBlockedLocally));
}

#[test]
fn a_name_that_is_silent_over_both_families_is_no_matter_of_ipv6() {
    let mut scene = scene();
    knock(&mut scene, SERVER6, 5);
    knock(&mut scene, SERVER, 5);
    works(&mut scene, "140.82.112.3:443", "github.com");
    assert!(!scene.accused().contains(&Code::NetIpv6Broken));
}

#[test]
fn a_neighbour_that_is_not_there_is_no_firewall_of_the_client() {
    let mut scene = scene();
    scene.log("go: x: Get \"http://192.168.1.77:8081/x\": dial tcp 192.168.1.77:8081: connect: no route to host\n");
    let finding = scene.finding(Code::NetUnreachable);
    assert_eq!((finding.fault, finding.confidence()), (Fault::Server, Confidence::Moderate));
    assert_eq!(scene.accused(), [Code::NetUnreachable]);
}

#[test]
fn icmp_tells_the_hosts_own_firewall_from_one_on_the_way() {
    for (from, code, fault) in [
        ("142.250.74.113", 10, Fault::Server),
        ("142.250.74.113", 3, Fault::Server),
        ("10.0.0.1", 3, Fault::Interference),
    ] {
        let mut scene = scene();
        knock(&mut scene, SERVER, 1);
        scene.icmp_about(0, from, 3, code);
        assert_eq!(scene.finding(Code::NetUnreachable).fault, fault, "{from} {code}");
    }
}

#[test]
fn go_says_no_route_to_host_for_a_routers_icmp_too() {
    let mut scene = scene();
    knock(&mut scene, SERVER, 1);
    scene.icmp_about(0, "10.0.0.1", 3, 1);
    scene.log(
        "go: example.com/m@v1.0.0: Get \"https://proxy.golang.org/example.com/m/@v/v1.0.0.info\": dial tcp 142.250.74.113:443: connect: no route to host\n",
    );
    assert_eq!(scene.accused(), [Code::NetUnreachable]);
}

#[test]
fn ipv6_that_is_silent_or_refused_beside_ipv4_that_works_is_broken_and_no_great_matter() {
    for refused in [false, true] {
        let mut scene = scene();
        for _ in 0..3 {
            let tcp = scene.connect(SERVER6);
            scene.syn(&tcp);
            if refused {
                scene.after_ms(4).refuse(&tcp, 61);
            }
        }
        let last = scene.last_frame();
        scene.after_ms(300);
        works(&mut scene, SERVER, HOST);
        scene.after_ms(RTT_MS);
        works(&mut scene, SERVER, HOST);
        scene.after_ms(300);
        works(&mut scene, SERVER, HOST);
        let finding = scene.finding(Code::NetIpv6Broken);
        assert_eq!(finding.severity, Severity::Low, "refused: {refused}");
        assert!(cited(&finding).contains(&last));
        assert_eq!(scene.accused(), [], "refused: {refused}");
    }
}

#[test]
fn a_single_loser_of_the_race_between_the_families_is_nothing() {
    let mut scene = scene();
    knock(&mut scene, SERVER6, 1);
    scene.after_ms(300);
    works(&mut scene, SERVER, HOST);
    scene.after_ms(1_000);
    works(&mut scene, SERVER, HOST);
    assert!(scene.findings().is_empty(), "not even a remark");
}

#[test]
fn ipv6_that_times_out_with_repetitions_is_broken_where_ipv4_works() {
    let mut scene = scene();
    knock(&mut scene, SERVER6, 5);
    works(&mut scene, SERVER, HOST);
    assert_eq!(scene.finding(Code::NetIpv6Broken).severity, Severity::Low);
    assert_eq!(scene.accused(), []);
}

#[test]
fn that_another_machine_reaches_the_address_excuses_nothing() {
    let mut scene = scene();
    knock(&mut scene, SERVER, 5);
    let last = scene.last_frame();
    scene.client = [192, 168, 1, 99].into();
    works(&mut scene, SERVER, HOST);
    let finding = scene.finding(Code::NetAddressBlackhole);
    assert_eq!(cited(&finding), (last - 4..=last).collect::<Vec<u32>>());
    assert_eq!(scene.accused(), [Code::NetAddressBlackhole]);
}
