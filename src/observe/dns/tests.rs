use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::packet::Quoted;
use crate::types::{FrameNo, Timestamp};

const CLIENT: &str = "10.0.0.2:40001";
const RESOLVER: &str = "10.0.0.53:53";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn at(micros: i64) -> Moment {
    let number = u32::try_from(micros + 1).unwrap();
    Moment { time: Timestamp::from_nanos(micros * 1000), frame: FrameNo { file: 0, number } }
}

fn ip(ttl: u8, id: u16) -> IpMark {
    IpMark { ttl, id, dont_fragment: false }
}

fn question(id: u16, name: &str) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

fn with_opt(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[11] += 1;
    bytes.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    bytes
}

fn answer(id: u16, name: &str, last: u8) -> Vec<u8> {
    let mut bytes = question(id, name);
    bytes[2] = 0x81;
    bytes[3] = 0x80;
    bytes[7] = 1;
    bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, last]);
    bytes
}

/// A lookup table with shorthands for datagrams of one client and one resolver.
struct Bench(Lookups<'static>);

impl Bench {
    fn new() -> Self {
        Self(Lookups::new(false, |name| name.ends_with("golang.org")))
    }

    fn asks(&mut self, micros: i64, payload: &[u8]) -> &mut Self {
        let number = u16::try_from(micros % 65_521).unwrap();
        self.0.message(
            at(micros),
            ip(64, number),
            address(CLIENT),
            address(RESOLVER),
            DnsTransport::Udp,
            None,
            payload,
            false,
        );
        self
    }

    fn answers(&mut self, micros: i64, mark: IpMark, payload: &[u8]) -> &mut Self {
        self.0.message(at(micros), mark, address(RESOLVER), address(CLIENT), DnsTransport::Udp, None, payload, false);
        self
    }

    fn unreachable(
        &mut self,
        micros: i64,
        index: usize,
        from: &str,
        source: &str,
        destination: &str,
        dns_id: Option<u16>,
    ) {
        let from: IpAddr = from.parse().unwrap();
        let quoted = Quoted {
            protocol: 17,
            source: address(source),
            destination: address(destination),
            seq: None,
            has_header: false,
            dns_id,
        };
        let error =
            IcmpError { at: at(micros), from, to: from, ip: ip(64, 0), kind: IcmpKind::PortUnreachable, quoted };
        self.0.icmp(index, &error);
    }

    fn done(self) -> Folded {
        self.0.finish()
    }
}

#[test]
fn all_answers_to_one_question_are_kept_in_order() {
    let mut bench = Bench::new();
    bench.asks(0, &question(7, "proxy.golang.org")).answers(500, ip(39, 1), &answer(7, "proxy.golang.org", 1)).answers(
        20_000,
        ip(61, 2),
        &answer(7, "PROXY.golang.org", 2),
    );
    let folded = bench.done();
    let [lookup] = folded.lookups.as_slice() else { panic!("{:?}", folded.lookups) };
    assert_eq!((lookup.name.as_str(), lookup.record_type, lookup.id), ("proxy.golang.org", RecordType::A, 7));
    assert_eq!((lookup.client, lookup.resolver, lookup.relevance), (address(CLIENT), address(RESOLVER), Relevance::Go));
    assert_eq!(lookup.query.as_ref().map(|query| (query.at, query.repeats, query.edns)), Some((at(0), 0, false)));
    let ttls: Vec<_> =
        lookup.answers.iter().map(|answer| (answer.ip.ttl, answer.addresses().next().unwrap())).collect();
    assert_eq!(ttls, [(39, "192.0.2.1".parse().unwrap()), (61, "192.0.2.2".parse().unwrap())]);
    let resolver = &folded.resolvers[0];
    assert_eq!((resolver.questions, resolver.answered, resolver.answers), (1, 1, 2));
    assert_eq!(resolver.min_rtt, Some(Span::from_nanos(500_000)));
    assert_eq!(resolver.ttls.iter().collect::<Vec<_>>(), [(&39, &1), (&61, &1)]);
    assert_eq!((resolver.first, resolver.last), (at(0), at(20_000)));
}

#[test]
fn the_question_sent_again_is_a_repeat_and_spoils_the_round_trip_time() {
    let mut bench = Bench::new();
    bench.asks(0, &question(7, "a.test")).asks(5_000_000, &question(7, "a.test"));
    bench.answers(5_000_100, ip(61, 2), &answer(7, "a.test", 2));
    bench.asks(30_000_000, &question(7, "a.test"));
    let folded = bench.done();
    assert_eq!(folded.lookups.len(), 2, "after the window it is a new lookup");
    assert_eq!(folded.lookups[0].query.as_ref().unwrap().repeats, 1);
    assert_eq!(
        (folded.resolvers[0].questions, folded.resolvers[0].answered, folded.resolvers[0].min_rtt),
        (2, 1, None)
    );
}

#[test]
fn the_same_packet_twice_is_a_duplicate() {
    let mut bench = Bench::new();
    let (asked, said) = (question(7, "a.test"), answer(7, "a.test", 1));
    bench.asks(0, &asked);
    bench.answers(1_000, ip(61, 9), &said).answers(1_900, ip(61, 9), &said);
    let folded = bench.done();
    assert_eq!((folded.lookups[0].answers.len(), folded.duplicates, folded.first_duplicate), (1, 1, Some(at(1_900))));
}

#[test]
fn the_same_words_in_another_packet_are_no_duplicate() {
    let said = answer(7, "a.test", 1);
    for (mark, micros) in [(ip(62, 9), 1_100), (ip(61, 10), 1_100), (ip(61, 9), 3_100)] {
        let mut bench = Bench::new();
        bench.asks(0, &question(7, "a.test")).answers(1_000, ip(61, 9), &said).answers(micros, mark, &said);
        let folded = bench.done();
        assert_eq!((folded.lookups[0].answers.len(), folded.duplicates), (2, 0), "{mark:?} {micros}");
    }
}

#[test]
fn answers_without_a_seen_question_share_a_lookup() {
    let mut bench = Bench::new();
    bench.answers(0, ip(61, 1), &answer(7, "a.test", 1)).answers(10, ip(40, 2), &answer(7, "a.test", 2));
    bench.answers(20, ip(61, 3), &answer(8, "a.test", 1));
    let folded = bench.done();
    let shape: Vec<_> = folded.lookups.iter().map(|lookup| (lookup.query.is_some(), lookup.answers.len())).collect();
    assert_eq!(shape, [(false, 2), (false, 1)]);
    assert_eq!((folded.resolvers[0].questions, folded.resolvers[0].answers), (0, 3));
}

#[test]
fn an_answer_recorded_before_its_question_finds_it() {
    let mut bench = Bench::new();
    bench.answers(0, ip(61, 1), &answer(7, "a.test", 1)).asks(50, &question(7, "a.test"));
    let folded = bench.done();
    assert_eq!((folded.lookups.len(), folded.lookups[0].query.as_ref().map(|query| query.at)), (1, Some(at(50))));
}

#[test]
fn answers_to_another_question_or_id_are_others() {
    let mut bench = Bench::new();
    bench.asks(0, &question(7, "a.test"));
    bench.answers(10, ip(61, 1), &answer(7, "b.test", 1)).answers(20, ip(61, 2), &answer(6, "a.test", 1));
    let folded = bench.done();
    let shape: Vec<_> =
        folded.lookups.iter().map(|lookup| (lookup.name.as_str(), lookup.id, lookup.answers.len())).collect();
    assert_eq!(shape, [("a.test", 7, 0), ("b.test", 7, 1), ("a.test", 6, 1)]);
}

#[test]
fn a_bare_refusal_goes_by_id_and_ports() {
    let mut bench = Bench::new();
    bench.asks(0, &question(7, "a.test")).answers(10, ip(61, 1), &[0, 7, 0x81, 0x85, 0, 0, 0, 0, 0, 0, 0, 0]);
    let folded = bench.done();
    assert_eq!(folded.lookups.len(), 1);
    let answer = &folded.lookups[0].answers[0];
    assert_eq!((answer.rcode, answer.has_question, answer.malformed, answer.length), (5, false, false, 12));
}

#[test]
fn edns_of_answers_is_measured_against_questions_with_edns() {
    let mut bench = Bench::new();
    bench.asks(0, &with_opt(question(7, "a.test"))).answers(10, ip(61, 1), &with_opt(answer(7, "a.test", 1)));
    bench.answers(20, ip(40, 1), &answer(7, "a.test", 9));
    bench.asks(30, &question(8, "a.test")).answers(40, ip(61, 1), &answer(8, "a.test", 1));
    let folded = bench.done();
    assert_eq!((folded.resolvers[0].edns_asked, folded.resolvers[0].edns_answers), (2, 1));
    assert!(folded.lookups[0].query.as_ref().unwrap().edns && !folded.lookups[1].query.as_ref().unwrap().edns);
}

#[test]
fn a_closed_socket_refuses_the_late_answer() {
    for id in [Some(7), None] {
        let mut bench = Bench::new();
        bench.asks(0, &question(7, "a.test"));
        bench.answers(10, ip(40, 1), &answer(7, "a.test", 1)).answers(900, ip(61, 2), &answer(7, "a.test", 2));
        bench.unreachable(950, 0, "10.0.0.9", RESOLVER, CLIENT, id);
        bench.unreachable(960, 0, "10.0.0.2", RESOLVER, CLIENT, id);
        let refused: Vec<_> = bench.done().lookups[0].answers.iter().map(|answer| answer.refused).collect();
        assert_eq!(refused, [None, Some(at(960))]);
    }
}

#[test]
fn errors_about_a_question_mark_its_lookup() {
    let mut bench = Bench::new();
    bench.asks(0, &question(7, "a.test")).asks(1, &question(8, "a.test"));
    bench.unreachable(20, 3, "10.0.0.53", CLIENT, RESOLVER, Some(7));
    bench.unreachable(30, 4, "10.0.0.53", CLIENT, RESOLVER, Some(7));
    bench.unreachable(40, 5, "10.0.0.53", CLIENT, RESOLVER, Some(99));
    let errors: Vec<_> = bench.done().lookups.iter().map(|lookup| lookup.error).collect();
    assert_eq!(errors, [Some(3), None]);
}

#[test]
fn ports_say_who_asks_and_contradictions_count_as_unread() {
    let mut bench = Bench::new();
    bench.asks(0, &answer(7, "a.test", 1)).answers(1, ip(61, 1), &question(7, "a.test"));
    bench.asks(2, b"short").asks(3, &[0; 12]);
    let mut update = question(9, "a.test");
    update[2] = 0x28;
    bench.asks(4, &update);
    let folded = bench.done();
    assert_eq!((folded.lookups.len(), folded.unread), (0, 5));

    // Both ends use port 53: the QR bit decides.
    let mut lookups = Lookups::new(true, |_| false);
    let (one, two) = (address("10.0.0.1:53"), address("10.0.0.2:53"));
    lookups.message(at(0), ip(64, 1), one, two, DnsTransport::Udp, None, &question(7, "a.test"), false);
    lookups.message(at(9), ip(64, 2), two, one, DnsTransport::Udp, None, &answer(7, "a.test", 1), false);
    let folded = lookups.finish();
    assert_eq!((folded.lookups.len(), folded.lookups[0].client, folded.lookups[0].answers.len()), (1, one, 1));
}

#[test]
fn multicast_dns_is_no_lookup() {
    let mut lookups = Lookups::new(true, |_| true);
    let (one, two) = (address("10.0.0.1:5353"), address("224.0.0.251:5353"));
    lookups.message(at(0), ip(64, 1), one, two, DnsTransport::Udp, None, &question(7, "a.local"), false);
    let folded = lookups.finish();
    assert!(folded.lookups.is_empty() && folded.resolvers.is_empty());
}

#[test]
fn connections_keep_their_lookups_apart() {
    let mut lookups = Lookups::new(true, |_| false);
    let (client, resolver) = (address(CLIENT), address(RESOLVER));
    for flow in [0, 1] {
        let flow = Some(FlowId(flow));
        lookups.message(at(0), ip(64, 1), client, resolver, DnsTransport::Tcp, flow, &question(7, "a.test"), false);
        lookups.message(at(9), ip(64, 2), resolver, client, DnsTransport::Tcp, flow, &answer(7, "a.test", 1), false);
    }
    let folded = lookups.finish();
    let flows: Vec<_> = folded.lookups.iter().map(|lookup| (lookup.flow, lookup.answers.len())).collect();
    assert_eq!(flows, [(Some(FlowId(0)), 1), (Some(FlowId(1)), 1)]);
    assert_eq!(folded.duplicates, 0, "streams have no duplicates");
}

#[test]
fn floods_of_other_names_are_counted_and_relevant_ones_kept() {
    let mut bench = Bench::new();
    let flood = i64::try_from(MAX_OTHERS).unwrap() + 70_000;
    for number in 0..flood {
        bench.asks(number, &question(7, &format!("n{number}.test")));
    }
    bench.asks(flood, &question(8, "sum.golang.org"));
    let folded = bench.done();
    assert_eq!((folded.lookups.len(), folded.not_kept), (MAX_OTHERS + 1, 70_000));
    assert_eq!(folded.lookups.last().unwrap().name, "sum.golang.org");
    assert_eq!(folded.resolvers[0].questions, u64::try_from(flood).unwrap() + 1);
}

#[test]
fn a_flood_of_answers_is_counted() {
    let mut bench = Bench::new();
    bench.asks(0, &question(7, "a.test"));
    for number in 0..100 {
        bench.answers(number, ip(61, 1), &answer(7, "a.test", u8::try_from(number).unwrap()));
    }
    let folded = bench.done();
    assert_eq!((folded.lookups[0].answers.len(), folded.not_kept), (MAX_ANSWERS, 36));
}

#[test]
fn relevant_messages_that_are_cut_are_listed() {
    let mut bench = Bench::new();
    for (micros, name) in [(0, "proxy.golang.org"), (1, "a.test")] {
        let bytes = answer(7, name, 1);
        bench.0.message(
            at(micros),
            ip(1, 1),
            address(RESOLVER),
            address(CLIENT),
            DnsTransport::Udp,
            None,
            &bytes[..bytes.len() - 1],
            true,
        );
    }
    let folded = bench.done();
    assert_eq!((folded.cut, folded.lookups[0].answers[0].malformed), (vec![at(0)], true));
}

proptest! {
    #[test]
    fn no_messages_panic(messages in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..60), any::<bool>(), 0_i64..20_000_000), 0..20)) {
        let mut bench = Bench::new();
        for (payload, asked, micros) in &messages {
            if *asked {
                bench.asks(*micros, payload);
            } else {
                bench.answers(*micros, ip(1, 1), payload);
            }
        }
        let folded = bench.done();
        prop_assert!(folded.lookups.len() <= messages.len());
    }
}
