//! Experiments in networks that are made up, and what is concluded of them.

use super::*;
use crate::detect::asked;
use crate::finding::{Code, Confidence, Detail, Fault, Finding};
use crate::observation::probe::{Hop, Probe, ProbeId, Told};
use crate::reference::Reference;
use crate::testing::Scene;
use crate::types::{Span, Timestamp};

const NAME: &str = "proxy.golang.org";
const OWN: &str = "142.250.74.113:443";
const OTHER: &str = "142.250.74.145:443";
const SIX: &str = "[2607:f8b0:4004:c1b::8d]:443";
const NEUTRAL: &str = "93.184.215.14:443";
/// Routers before the far end.
const ROUTERS: u8 = 8;

const AFTER: Span = Span::from_millis(9);

/// What becomes of an attempt: how it ends, how much of it is acknowledged, and whether ICMP says that hops ran out.
type Fate = (Ending, u32, bool);

fn answered() -> Fate {
    (Ending::Answered { after: AFTER }, u32::MAX, false)
}

fn reset() -> Fate {
    (Ending::Reset { after: AFTER }, 0, false)
}

fn silent(acknowledged: u32) -> Fate {
    (Ending::Silent { after: AFTER }, acknowledged, false)
}

fn unanswered() -> Fate {
    (Ending::Unanswered { after: AFTER }, 0, false)
}

fn alert(description: u8) -> Fate {
    (Ending::Alert { description, after: AFTER }, u32::MAX, false)
}

fn expired() -> Fate {
    (Ending::Silent { after: AFTER }, 0, true)
}

/// What an honest far end does: servers do not know each other's names, and what expires does not arrive.
fn honest(aim: &Aim) -> Fate {
    let strange = aim.place == Place::Neutral && aim.part != Part::Control;
    match aim.ttl {
        Some(ttl) if ttl <= ROUTERS => expired(),
        _ if aim.shape == Shape::NotTls => (Ending::NotTls { head: b"HTTP/1.0 400".to_vec(), after: AFTER }, 18, false),
        _ if strange => alert(112),
        _ => answered(),
    }
}

/// The hello with the name reaches a box between two routers.
fn reaches(aim: &Aim, hop: u8) -> bool {
    aim.name.as_deref() == Some(NAME) && aim.ttl.is_none_or(|ttl| ttl >= hop)
}

struct Outcome {
    log: Log,
    asked: asked::Asked,
}

impl Outcome {
    fn only(&self) -> &Finding {
        let found = &self.asked.assessment.found;
        assert_eq!(found.len(), 1, "{found:#?}");
        &found[0]
    }

    fn refutes(&self, code: Code) -> bool {
        self.asked.refuted.iter().any(|refuted| refuted.code == code && refuted.host == NAME)
    }

    fn place(&self) -> &str {
        match self.only().details.get("place") {
            Some(Detail::Text(text)) => text,
            other => panic!("{other:?}"),
        }
    }
}

fn experiment(own: &[&str]) -> Experiment {
    Experiment {
        name: NAME.to_owned(),
        own: own.iter().map(|address| address.parse().unwrap()).collect(),
        control: "example.com".to_owned(),
        neutral: Some(NEUTRAL.parse().unwrap()),
        hello: GoHello::default(),
        seed: 7,
        with_hops: true,
    }
}

fn run_as(experiment: &Experiment, network: &dyn Fn(&Aim, &Log) -> Fate) -> Outcome {
    let (log, told) = carry_out(experiment, network);
    let mut case = Scene::new().case();
    let probe = |(id, told)| Probe { id: ProbeId(id), at: Timestamp::from_seconds(0), took: AFTER, told };
    case.probes = (1..).zip(told).map(probe).collect();
    Outcome { log, asked: asked::assess(&case, &Reference::builtin().unwrap()) }
}

fn carry_out(experiment: &Experiment, network: &dyn Fn(&Aim, &Log) -> Fate) -> (Log, Vec<Told>) {
    let mut log = Log::default();
    let mut told: Vec<Told> = Vec::new();
    for turn in 0.. {
        assert!(turn < 60, "it does not end: {:?}", experiment.next(&log));
        match experiment.next(&log) {
            Next::Done => break,
            Next::Sweep(address) => {
                let far = matches!(network(&experiment.target(address, Place::Own), &log).0, Ending::Unanswered { .. });
                let hop = |ttl| Hop {
                    ttl,
                    expired: ttl <= ROUTERS,
                    router: (ttl <= ROUTERS).then(|| IpAddr::from([10, 255, 0, ttl])),
                    reached: ttl > ROUTERS && !far,
                };
                let sweep = HopSweep { address, hops: (1..=12).map(hop).collect() };
                log.sweeps.push(sweep.clone());
                told.push(Told::Hops(sweep));
            }
            Next::Try(aims) => {
                let before = log.clone();
                for aim in aims {
                    let (ending, acknowledged, expired) = network(&aim, &before);
                    let bytes = 1_538;
                    let attempt = HelloAttempt {
                        aim,
                        go: "go1.27".to_owned(),
                        bytes,
                        connected: ending.connected().then_some(AFTER),
                        acknowledged: Some(acknowledged.min(bytes)),
                        repeated: Some(0),
                        expired,
                        ending,
                    };
                    log.attempts.push(attempt.clone());
                    told.push(Told::Hello(attempt));
                }
            }
        }
    }
    (log, told)
}

fn run(own: &[&str], network: impl Fn(&Aim) -> Fate) -> Outcome {
    run_as(&experiment(own), &|aim, _| network(aim))
}

#[test]
fn what_works_takes_one_attempt() {
    let outcome = run(&[OWN, OTHER], honest);
    assert_eq!(outcome.log.attempts.len(), 1);
    assert_eq!(outcome.asked, asked::Asked::default());
}

#[test]
fn a_reset_because_of_the_name_is_proven_and_placed() {
    let outcome = run(&[OWN, OTHER], |aim| match honest(aim) {
        fate if aim.hides_ends => fate,
        _ if reaches(aim, 4) => reset(),
        fate => fate,
    });
    let finding = outcome.only();
    assert_eq!((finding.code, finding.fault), (Code::TlsSniReset, Fault::Interference), "{finding:#?}");
    assert_eq!(finding.confidence(), Confidence::Proven);
    assert_eq!(outcome.place(), "between hop 3 (10.255.0.3) and hop 4 (10.255.0.4)");
    assert_eq!(finding.details.get("position"), Some(&Detail::Text("beside the path: the hello goes on".to_owned())));
    assert!(outcome.refutes(Code::TlsClienthelloIntolerance) && outcome.refutes(Code::TlsServerReset));
    assert!(!outcome.refutes(Code::TlsSniReset));
    // One address suffices; the name's other one is left alone.
    assert!(outcome.log.attempts.iter().all(|attempt| attempt.aim.address != OTHER.parse().unwrap()));
}

#[test]
fn a_block_that_outlasts_its_trigger_is_not_taken_for_one_of_the_address() {
    let network = |aim: &Aim, log: &Log| {
        let touched = log.attempts.iter().any(|it| it.aim.address == aim.address && reaches(&it.aim, 4));
        if touched && aim.ttl.is_none_or(|ttl| ttl >= 4) || reaches(aim, 4) { reset() } else { honest(aim) }
    };
    for own in [&[OWN, OTHER][..], &[OWN]] {
        let outcome = run_as(&experiment(own), &network);
        let finding = outcome.only();
        assert_eq!((finding.code, finding.fault), (Code::TlsSniReset, Fault::Interference), "{own:?} {finding:#?}");
        assert_eq!(finding.subject.address, Some(OWN.parse::<SocketAddr>().unwrap().ip()));
    }
    // The same where the block lets nobody connect any more, and the handshakes before have set it off already.
    let closed = |aim: &Aim, log: &Log| {
        let touched = log.attempts.iter().any(|it| it.aim.address == aim.address && reaches(&it.aim, 4));
        if touched || aim.place == Place::Own {
            unanswered()
        } else if reaches(aim, 4) {
            reset()
        } else {
            honest(aim)
        }
    };
    let outcome = run_as(&experiment(&[OWN]), &closed);
    assert_eq!((outcome.only().code, outcome.only().fault), (Code::TlsSniReset, Fault::Interference));
    assert!(outcome.log.attempts.len() < 9, "{}", outcome.log.attempts.len());
}

#[test]
fn in_the_path_resets_hide_nothing_and_copied_hops_come_late() {
    // The hello is swallowed at hop 4; the reset has as many hops to go as the hello had left, and needs three to come back.
    let outcome = run(&[OWN], |aim| match aim.ttl {
        _ if !reaches(aim, 4) => honest(aim),
        Some(ttl) if ttl < 7 => silent(0),
        _ if aim.hides_ends => silent(0),
        _ => reset(),
    });
    assert_eq!((outcome.only().code, outcome.only().confidence()), (Code::TlsSniReset, Confidence::Proven));
    assert_eq!(outcome.place(), "behind hop 3 (10.255.0.3), at hop 7 (10.255.0.7) at the furthest");
}

#[test]
fn a_server_that_resets_a_name_is_not_called_the_path() {
    let outcome = run(&[OWN], |aim| match aim.place {
        Place::Own if reaches(aim, 9) => {
            if aim.hides_ends {
                silent(1_538)
            } else {
                reset()
            }
        }
        _ => honest(aim),
    });
    let finding = outcome.only();
    assert_eq!((finding.code, finding.fault), (Code::TlsServerReset, Fault::Server), "{finding:#?}");
    assert_eq!(finding.confidence(), Confidence::Strong);
    assert!(outcome.refutes(Code::TlsSniReset));
}

#[test]
fn strangers_that_reset_every_name_they_do_not_serve_prove_nothing() {
    let outcome = run(&[OWN], |aim| match aim.place {
        Place::Neutral if aim.part != Part::Control => reset(),
        Place::Own if reaches(aim, 9) => {
            if aim.hides_ends {
                silent(1_538)
            } else {
                reset()
            }
        }
        _ => honest(aim),
    });
    assert_eq!((outcome.only().code, outcome.only().fault), (Code::TlsServerReset, Fault::Server));
}

#[test]
fn a_server_of_which_one_half_is_broken_is_not_called_the_path() {
    // Beneath a balancer one backend resets; the name meets it at first.
    let outcome = run_as(&experiment(&[OWN]), &|aim, log| match aim.part {
        Part::Target if aim.place == Place::Own && aim.ttl.is_none() && log.attempts.len() % 3 != 1 => reset(),
        _ => honest(aim),
    });
    let accused = outcome.asked.assessment.found.iter().find(|it| it.fault == Fault::Interference);
    assert_eq!(accused, None);
}

#[test]
fn a_server_that_does_not_know_the_name_says_so() {
    let outcome = run(&[OWN], |aim| if aim.part == Part::Target { alert(112) } else { honest(aim) });
    assert_eq!((outcome.only().code, outcome.only().fault), (Code::TlsServerAlert, Fault::Server));
}

#[test]
fn a_hello_that_vanishes_because_of_the_name() {
    let outcome = run(&[OWN], |aim| if reaches(aim, 4) { silent(0) } else { honest(aim) });
    let finding = outcome.only();
    assert_eq!((finding.code, finding.confidence()), (Code::TlsSniBlackhole, Confidence::Proven));
    assert_eq!(outcome.place(), "between hop 3 (10.255.0.3) and hop 4 (10.255.0.4)");
    assert!(outcome.refutes(Code::NetMtuBlackhole) && outcome.refutes(Code::TlsHandshakeTimeout));
}

#[test]
fn a_server_that_takes_a_name_and_says_nothing_is_not_called_the_path() {
    let outcome = run(&[OWN], |aim| match aim.place {
        Place::Own if reaches(aim, 9) => silent(u32::MAX),
        _ => honest(aim),
    });
    let finding = outcome.only();
    assert_eq!((finding.code, finding.fault), (Code::TlsHandshakeTimeout, Fault::Unknown), "{finding:#?}");
    assert!(!outcome.refutes(Code::TlsSniBlackhole));
    assert!(!finding.details.contains_key("place"), "what the server has was kept by nobody: {finding:#?}");
}

#[test]
fn the_property_that_is_not_tolerated_is_named() {
    let ml_dsa = |aim: &Aim| !matches!(aim.shape, Shape::WithoutMlDsa | Shape::Classic | Shape::NotTls);
    let large = |aim: &Aim| !matches!(aim.shape, Shape::WithoutPostQuantum | Shape::Classic | Shape::NotTls);
    for (refused, class) in [(&ml_dsa as &dyn Fn(&Aim) -> bool, "ML-DSA"), (&large, "post-quantum key share")] {
        let outcome = run(&[OWN], |aim| match honest(aim) {
            (_, _, false) if refused(aim) => reset(),
            fate => fate,
        });
        let finding = outcome.only();
        assert_eq!((finding.code, finding.confidence()), (Code::TlsClienthelloIntolerance, Confidence::Proven));
        // Everybody's server meets it: it is the network.
        assert_eq!((finding.class.as_str(), finding.fault), (class, Fault::Interference), "{finding:#?}");
        assert!(outcome.refutes(Code::TlsSniReset));
        let here = run(&[OWN], |aim| if aim.place == Place::Own && refused(aim) { reset() } else { honest(aim) });
        assert_eq!(here.only().fault, Fault::Server);
    }
}

#[test]
fn what_passes_in_small_segments_is_a_matter_of_size() {
    for (acknowledged, way) in [(0, "to"), (u32::MAX, "from")] {
        let outcome = run(&[OWN], |aim| {
            let large = matches!(aim.shape, Shape::Go | Shape::WithoutMlDsa | Shape::TwoRecords | Shape::TwoSegments);
            if large && aim.max_segment.is_none() { silent(acknowledged) } else { honest(aim) }
        });
        let finding = outcome.only();
        assert_eq!((finding.code, finding.confidence()), (Code::NetMtuBlackhole, Confidence::Proven), "{finding:#?}");
        assert!(finding.summary.contains(&format!("packets {way} 142")), "{}", finding.summary);
        assert!(outcome.refutes(Code::TlsClienthelloIntolerance) && outcome.refutes(Code::TlsSniBlackhole));
    }
}

#[test]
fn an_address_that_answers_no_syn_while_others_do() {
    let own: SocketAddr = OWN.parse().unwrap();
    let outcome = run(&[OWN, OTHER], |aim| if aim.address == own { unanswered() } else { honest(aim) });
    let finding = outcome.only();
    assert_eq!((finding.code, finding.confidence()), (Code::NetAddressBlackhole, Confidence::Strong));
    assert_eq!(finding.not_excluded, ["the server at that address is down"]);
    assert_eq!(finding.details.get("last_hop"), Some(&Detail::Number(8)));
    let dead = run(&[OWN, OTHER], |_| unanswered());
    assert_eq!(dead.only().confidence(), Confidence::Weak, "nothing answers at all");
}

#[test]
fn an_address_that_is_reset_whatever_is_sent() {
    let own: SocketAddr = OWN.parse().unwrap();
    let by_path = run(&[OWN], |aim| match aim.ttl {
        _ if aim.address != own || aim.hides_ends => honest(aim),
        Some(ttl) if ttl < 4 => expired(),
        _ => reset(),
    });
    let finding = by_path.only();
    assert_eq!((finding.code, finding.fault), (Code::TcpResetInjected, Fault::Interference), "{finding:#?}");
    assert!(by_path.refutes(Code::TlsSniReset));
    let by_server = run(&[OWN], |aim| match aim.ttl {
        _ if aim.address != own => honest(aim),
        Some(ttl) if ttl <= ROUTERS => expired(),
        _ if aim.hides_ends => silent(0),
        _ => reset(),
    });
    let finding = by_server.only();
    assert_eq!((finding.code, finding.fault), (Code::TlsServerReset, Fault::Server), "{finding:#?}");
    assert!(finding.confidence() < Confidence::Proven);
}

#[test]
fn ipv6_that_fails_where_ipv4_works() {
    let outcome = run(&[SIX, OWN], |aim| if aim.address.is_ipv6() { unanswered() } else { honest(aim) });
    assert_eq!(outcome.only().code, Code::NetIpv6Broken);
    assert_eq!(outcome.log.attempts.len(), 3);
    let without = run(&[SIX, OWN], |aim| match aim.address.is_ipv6() {
        true => (Ending::Local("Network is unreachable".to_owned()), 0, false),
        false => honest(aim),
    });
    assert_eq!(without.asked, asked::Asked::default(), "a machine without IPv6 is not broken");
}

#[test]
fn what_fails_once_accuses_nobody() {
    let outcome = run_as(&experiment(&[OWN]), &|aim, log| if log.attempts.is_empty() { reset() } else { honest(aim) });
    assert_eq!(outcome.asked, asked::Asked::default());
}

#[test]
fn a_private_name_is_not_sent_to_strangers() {
    let experiment = Experiment { neutral: None, ..experiment(&[OWN]) };
    let outcome = run_as(&experiment, &|aim, _| if reaches(aim, 4) { reset() } else { honest(aim) });
    assert!(outcome.log.attempts.iter().all(|attempt| attempt.aim.address == OWN.parse().unwrap()));
    assert_eq!(outcome.only().code, Code::TlsSniReset, "the hop decides");
}

#[test]
fn no_experiment_takes_more_than_it_says() {
    // The nastiest network answers by lot.
    for seed in 0..200 {
        let network = |aim: &Aim, log: &Log| match draw(seed, log.attempts.len() as u64) % 6 {
            0 => reset(),
            1 => silent(0),
            2 => alert(80),
            3 => unanswered(),
            4 => silent(u32::MAX),
            _ => honest(aim),
        };
        let (log, _) = carry_out(&Experiment { seed, ..experiment(&[OWN, OTHER, SIX]) }, &network);
        let plain = log.attempts.iter().filter(|attempt| attempt.aim.ttl.is_none()).count();
        assert!(plain <= MOST_ATTEMPTS, "{plain}");
    }
}

#[test]
fn the_order_is_drawn_from_the_seed() {
    let orders: std::collections::BTreeSet<Vec<usize>> = (0..50).map(|seed| shuffled(seed, 4)).collect();
    assert!(orders.len() > 10);
    assert_eq!(shuffled(3, 4), shuffled(3, 4));
}
