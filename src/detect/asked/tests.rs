use std::net::{IpAddr, SocketAddr};

use super::*;
use crate::certificate::Certificate;
use crate::finding::{Citation, Confidence, Finding, Severity};
use crate::observation::probe::{
    Failure, NXDOMAIN, NameAnswer, NameQuestion, Oracle, Part, PresentedChain, Probe, ProbeId, Reply, Told, Transport,
};
use crate::observation::{Record, RecordData, RecordType, Section};
use crate::testing::Scene;
use crate::types::{Span, Timestamp};

const NAME: &str = "proxy.golang.org";
const TRUE: &str = "142.250.74.113";
const FALSE: &str = "195.66.10.20";

/// Answers of a network, in the order in which they are given.
struct Network {
    probes: Vec<Probe>,
    root: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

fn at() -> Timestamp {
    Timestamp::from_seconds(1_795_341_600)
}

impl Network {
    fn new() -> Self {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        Self { probes: Vec::new(), root: rcgen::CertifiedIssuer::self_signed(parameters, key).unwrap() }
    }

    fn push(&mut self, told: Told) {
        let id = ProbeId(u32::try_from(self.probes.len()).unwrap() + 1);
        self.probes.push(Probe { id, at: at(), took: Span::from_millis(9), told });
    }

    /// Each reply is its addresses; none at all is a denial.
    fn says(&mut self, oracle: Oracle, transport: Transport, replies: &[&[&str]]) -> &mut Self {
        self.says_of(NAME, Part::Target, oracle, transport, RecordType::A, replies)
    }

    fn says_of(
        &mut self,
        name: &str,
        part: Part,
        oracle: Oracle,
        transport: Transport,
        record_type: RecordType,
        replies: &[&[&str]],
    ) -> &mut Self {
        let server: Option<SocketAddr> = match &oracle {
            Oracle::System => Some("192.168.1.1:53".parse().unwrap()),
            Oracle::Trusted(_) | Oracle::Signed(_) => Some("1.1.1.1:53".parse().unwrap()),
            Oracle::Nobody => Some("192.0.2.53:53".parse().unwrap()),
            Oracle::Authoritative => None,
        };
        let reply = |addresses: &&[&str]| Reply {
            after: Span::from_millis(5),
            from: server.unwrap_or_else(|| "216.239.32.10:53".parse().unwrap()),
            rcode: if addresses.is_empty() { NXDOMAIN } else { 0 },
            authoritative: false,
            truncated: false,
            authenticated: false,
            edns: true,
            records: addresses.iter().map(|address| record(name, address)).collect(),
        };
        let question = NameQuestion { name: name.to_owned(), record_type, part, oracle, server, transport };
        let failure = replies.is_empty().then_some(Failure::Timeout);
        self.push(Told::Name(NameAnswer {
            question,
            replies: replies.iter().map(reply).collect(),
            failure,
            path: Vec::new(),
        }));
        self
    }

    /// An address shows a certificate for a name, signed by the root that counts as public or by itself.
    fn shows(&mut self, address: &str, name: &str, public: bool) -> &mut Self {
        let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2026, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2027, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = if public { parameters.signed_by(&key, &self.root) } else { parameters.self_signed(&key) }.unwrap();
        self.chain(address, vec![Certificate::parse(leaf.der())], None)
    }

    fn silent(&mut self, address: &str, failure: Failure) -> &mut Self {
        self.chain(address, Vec::new(), Some(failure))
    }

    fn chain(&mut self, address: &str, certificates: Vec<Certificate>, failure: Option<Failure>) -> &mut Self {
        let address = SocketAddr::new(address.parse().unwrap(), 443);
        let holds_key = failure.is_none();
        self.push(Told::Chain(PresentedChain {
            address,
            name: NAME.to_owned(),
            via: None,
            connected: Some(Span::from_millis(9)),
            certificates,
            holds_key,
            alpn: None,
            failure,
        }));
        self
    }

    /// Honest answers over ways that nobody can write over, and a server that proves itself.
    fn honest(&mut self) -> &mut Self {
        self.says(trusted(), Transport::Tls, &[&[TRUE]]).shows(TRUE, NAME, true)
    }

    fn asked(&self) -> (Asked, HonestAnswers) {
        let reference = Reference::builtin().unwrap();
        let roots = reference.roots().clone().with_pem(self.root.pem().as_bytes()).unwrap();
        let reference = reference.with_roots(roots);
        let mut case = Scene::new().case();
        case.probes.clone_from(&self.probes);
        (assess(&case, &reference), honest(&case, &reference))
    }

    fn found(&self) -> Vec<Finding> {
        self.asked().0.assessment.found
    }

    fn only(&self) -> Finding {
        let found = self.found();
        assert_eq!(found.len(), 1, "{found:#?}");
        found.into_iter().next().unwrap()
    }
}

fn trusted() -> Oracle {
    Oracle::Trusted("cloudflare".to_owned())
}

fn record(name: &str, address: &str) -> Record {
    let (record_type, data) = match address.parse().unwrap() {
        IpAddr::V4(v4) => (RecordType::A, RecordData::A(v4)),
        IpAddr::V6(v6) => (RecordType::AAAA, RecordData::Aaaa(v6)),
    };
    Record { section: Section::Answer, name: name.to_owned(), record_type, ttl: 60, data }
}

#[test]
fn an_honest_network_is_clean_and_its_answers_are_kept() {
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&[TRUE]]).honest();
    let (asked, honest) = network.asked();
    assert_eq!(asked.assessment.found, []);
    let kept = honest.name(NAME).unwrap();
    assert!(kept.has(TRUE.parse().unwrap()) && kept.rcode == "NOERROR");
    assert_eq!(honest.asked, Some(at()));
}

#[test]
fn an_address_with_somebody_elses_certificate_is_no_address_of_the_name() {
    let mut network = Network::new();
    network
        .says(Oracle::System, Transport::Udp, &[&[FALSE]])
        .says(Oracle::System, Transport::Tcp, &[&[FALSE]])
        .honest();
    network.shows(FALSE, "www.parked.example", true);
    let finding = network.only();
    assert_eq!((finding.code, finding.confidence()), (Code::DnsHijackedAnswer, Confidence::Proven));
    assert_eq!(finding.severity, Severity::Critical);
    assert!(finding.evidence().iter().all(|item| matches!(item.citation, Citation::Probe(_))));
    assert!(!network.asked().1.name(NAME).unwrap().has(FALSE.parse().unwrap()));
}

#[test]
fn without_a_server_that_proves_itself_a_wrong_certificate_accuses_nobody_of_lying() {
    // The name's own server, everywhere, shows the certificate of another: that is its fault.
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&[TRUE]]).says(trusted(), Transport::Tls, &[&[TRUE]]);
    network.shows(TRUE, "www.parked.example", true);
    assert_eq!(network.only().code, Code::CertNameMismatch);
}

#[test]
fn another_address_that_holds_the_key_is_the_names() {
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&["5.9.80.100"]]).honest().shows("5.9.80.100", NAME, true);
    let (asked, honest) = network.asked();
    assert_eq!(asked.assessment.found, []);
    assert!(honest.name(NAME).unwrap().has("5.9.80.100".parse().unwrap()));
    assert!(
        asked.refuted.iter().any(|it| it.code == Code::DnsHijackedAnswer && it.address == "5.9.80.100".parse().ok())
    );
}

#[test]
fn an_address_of_the_operator_that_stays_silent_is_no_lie() {
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&["142.250.1.1"]]).honest().silent("142.250.1.1", Failure::Timeout);
    assert_eq!(network.found(), []);
    // One that nobody knows, and that does not work, is suspect and no more.
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&[FALSE]]).honest().silent(FALSE, Failure::Timeout);
    assert_eq!(network.only().confidence(), Confidence::Moderate);
}

#[test]
fn of_two_replies_to_one_question_the_false_one_was_injected() {
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&["93.46.8.89"], &[TRUE]]).honest();
    let finding = network.only();
    assert_eq!((finding.code, finding.confidence()), (Code::DnsInjectedAnswer, Confidence::Proven));
    assert_eq!(finding.severity, Severity::Critical);
    // That comes too late changes nothing.
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&[TRUE], &["93.46.8.89"]]).honest();
    assert_eq!(network.only().severity, Severity::Medium);
    // Two that are both the name's are a rotation.
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&[TRUE], &["142.250.74.100"]]).honest();
    assert_eq!(network.found(), []);
}

#[test]
fn what_one_resolver_says_otherwise_over_tcp_was_forged_on_the_way() {
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&["93.46.8.89"]]).says(Oracle::System, Transport::Tcp, &[&[TRUE]]);
    network.honest();
    assert_eq!(network.only().code, Code::DnsInjectedAnswer);
    // Only strangers' answers are forged: go is not hindered.
    let mut network = Network::new();
    network
        .says(Oracle::System, Transport::Udp, &[&[TRUE]])
        .says(trusted(), Transport::Udp, &[&["93.46.8.89"]])
        .honest();
    network.says(trusted(), Transport::Tcp, &[&[TRUE]]);
    assert_eq!(network.only().severity, Severity::Medium);
}

#[test]
fn a_denied_name_that_is_served_exists() {
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&[]]).honest();
    let finding = network.only();
    assert_eq!((finding.code, finding.confidence()), (Code::DnsForgedNxdomain, Confidence::Proven));
    // That AAAA is missing beside an honest A is nobody's lie, whatever its code.
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&[TRUE]]).honest();
    network.says_of(NAME, Part::Target, trusted(), Transport::Tls, RecordType::AAAA, &[&["2607:f8b0:4004:c1b::8d"]]);
    network.says_of(NAME, Part::Target, Oracle::System, Transport::Udp, RecordType::AAAA, &[&[]]);
    assert_eq!(network.found(), []);
}

#[test]
fn what_everybody_denies_does_not_exist() {
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&[]]).says(trusted(), Transport::Tls, &[&[]]);
    let finding = network.only();
    assert_eq!((finding.code, finding.confidence()), (Code::DnsNxdomain, Confidence::Proven));
    let (asked, honest) = network.asked();
    assert!(asked.refuted.iter().any(|it| it.code == Code::DnsForgedNxdomain));
    assert!(honest.name(NAME).unwrap().is_nxdomain());
    // What strangers could not be asked for is open.
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&[]]);
    assert_eq!(network.only().confidence(), Confidence::Moderate);
}

#[test]
fn a_silent_resolver_is_told_from_a_silent_network() {
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[]).honest();
    assert_eq!((network.only().code, network.only().confidence()), (Code::DnsTimeout, Confidence::Strong));
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[]).says(trusted(), Transport::Tls, &[]);
    assert_eq!(network.only().confidence(), Confidence::Moderate);
    assert!(network.asked().1.names.is_empty());
}

#[test]
fn who_answers_where_nobody_is_stands_in_the_way() {
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&[TRUE]]).honest();
    network.says(Oracle::Nobody, Transport::Udp, &[&[TRUE]]);
    network.says_of("example.com", Part::Control, Oracle::Nobody, Transport::Udp, RecordType::A, &[&["93.184.215.14"]]);
    let finding = network.only();
    assert_eq!((finding.code, finding.fault), (Code::DnsInterceptedResolver, crate::finding::Fault::Harmless));
    // What it says is false: that is its lie, whomever it speaks for.
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&[FALSE]]).says(trusted(), Transport::Udp, &[&[FALSE]]);
    network.says(trusted(), Transport::Tcp, &[&[TRUE]]).honest().shows(FALSE, "www.parked.example", true);
    network.says(Oracle::Nobody, Transport::Udp, &[&[FALSE]]);
    network.says_of("example.com", Part::Control, Oracle::Nobody, Transport::Udp, RecordType::A, &[&["93.184.215.14"]]);
    let mut codes: Vec<Code> = network.found().iter().map(|finding| finding.code).collect();
    codes.sort();
    assert_eq!(codes, [Code::DnsHijackedAnswer, Code::DnsInterceptedResolver]);
    // For the target alone: a forger that was set up against it.
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&[TRUE]]).honest();
    network.says(Oracle::Nobody, Transport::Udp, &[&["93.46.8.89"]]);
    network.says_of("example.com", Part::Control, Oracle::Nobody, Transport::Udp, RecordType::A, &[]);
    assert_eq!(network.only().code, Code::DnsInjectedAnswer);
}

#[test]
fn what_a_proxy_says_is_the_proxys() {
    let behind = |failure: Failure, connected: bool| {
        let mut network = Network::new();
        network.silent("10.44.0.8", failure);
        if let Some(Probe { told: Told::Chain(chain), .. }) = network.probes.last_mut() {
            chain.via = Some("squid.corp:3128".to_owned());
            chain.connected = chain.connected.filter(|_| connected);
        }
        let finding = network.only();
        (finding.code, finding.subject.host.unwrap())
    };
    assert_eq!(behind(Failure::ProxyStatus(403), true), (Code::ProxyConnectDenied, NAME.to_owned()));
    assert_eq!(behind(Failure::ProxyStatus(407), true), (Code::ProxyAuthRequired, NAME.to_owned()));
    assert_eq!(behind(Failure::ProxyStatus(502), true), (Code::ProxyUpstreamError, NAME.to_owned()));
    assert_eq!(behind(Failure::Refused, false), (Code::ProxyUnreachable, "squid.corp".to_owned()));
}

#[test]
fn a_private_address_of_a_name_that_no_rule_knows_is_the_networks_business() {
    let mut network = Network::new();
    network.says_of(
        "nexus.example.net",
        Part::Target,
        Oracle::System,
        Transport::Udp,
        RecordType::A,
        &[&["10.44.0.20"]],
    );
    assert_eq!(network.found(), []);
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&["127.0.0.1"]]).honest();
    assert_eq!((network.only().code, network.only().confidence()), (Code::DnsBogonAnswer, Confidence::Proven));
}

/// What a network says of the harmless name's sibling, and what an honest resolver does.
fn sibling(network: &mut Network, local: &[&str], honest: &[&str]) {
    let system = Oracle::System;
    network.says_of("example.com", Part::Control, system, Transport::Udp, RecordType::A, &[&["93.184.215.14"]]);
    let name = "no-such-name.example.com";
    network.says_of(name, Part::Sibling, Oracle::System, Transport::Udp, RecordType::A, &[local]);
    network.says_of(name, Part::Sibling, trusted(), Transport::Tls, RecordType::A, &[honest]);
}

#[test]
fn who_has_an_address_for_what_does_not_exist_leads_astray() {
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&[TRUE]]).honest();
    sibling(&mut network, &[FALSE], &[]);
    let finding = network.only();
    assert_eq!((finding.code, finding.confidence()), (Code::DnsHijackedAnswer, Confidence::Proven));
    assert_eq!((finding.fault, finding.severity), (crate::finding::Fault::Harmless, Severity::Medium));
    // A denial, or an address that honest resolvers give as well, is no invention.
    for (local, honest) in [(&[][..], &[][..]), (&[FALSE], &[FALSE])] {
        let mut network = Network::new();
        network.says(Oracle::System, Transport::Udp, &[&[TRUE]]).honest();
        sibling(&mut network, local, honest);
        assert_eq!(network.found(), []);
    }
    // Nor is a wildcard beneath the name in question.
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&[TRUE]]).honest();
    network.says_of(
        "no-such-name.proxy.golang.org",
        Part::Sibling,
        Oracle::System,
        Transport::Udp,
        RecordType::A,
        &[&[FALSE]],
    );
    assert_eq!(network.found(), []);
}

#[test]
fn an_invented_address_is_not_the_names() {
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&[FALSE]]).honest().silent(FALSE, Failure::Timeout);
    sibling(&mut network, &[FALSE], &[]);
    let found = network.found();
    let lie = found.iter().find(|finding| finding.subject.host.as_deref() == Some(NAME)).unwrap();
    assert_eq!((lie.code, lie.confidence()), (Code::DnsHijackedAnswer, Confidence::Proven));
    assert!(lie.evidence().iter().any(|item| item.role == "nonexistent_name"));
    // An address that proves to be the name's is, whatever else it is given for.
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&["5.9.80.100"]]).honest().shows("5.9.80.100", NAME, true);
    sibling(&mut network, &["5.9.80.100"], &[]);
    assert!(network.found().iter().all(|finding| finding.subject.host.as_deref() != Some(NAME)));
}

#[test]
fn signatures_prove_an_answer_and_their_absence_nothing() {
    let signed = || Oracle::Signed("cloudflare".to_owned());
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&[]]).says(signed(), Transport::Tcp, &[&[TRUE]]);
    assert_eq!(network.only().code, Code::DnsForgedNxdomain);
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&[TRUE]]).honest().says(signed(), Transport::Tcp, &[]);
    assert_eq!(network.found(), []);
}

impl Network {
    fn hosts_file(&mut self, address: &str) -> &mut Self {
        self.push(Told::HostsFile { name: NAME.to_owned(), addresses: vec![address.parse().unwrap()] });
        self
    }

    fn unopened(&mut self, address: &str, failure: Failure) -> &mut Self {
        self.silent(address, failure);
        if let Some(Probe { told: Told::Chain(chain), .. }) = self.probes.last_mut() {
            chain.connected = None;
        }
        self
    }
}

#[test]
fn a_hosts_file_is_judged_by_who_is_there() {
    let mut network = Network::new();
    network.hosts_file(FALSE).honest().shows(FALSE, "www.parked.example", true);
    let finding = network.only();
    assert_eq!((finding.code, finding.confidence()), (Code::DnsLocalOverride, Confidence::Proven));
    for failure in [Failure::Refused, Failure::Timeout] {
        let mut network = Network::new();
        network.hosts_file("127.0.0.1").honest().unopened("127.0.0.1", failure);
        assert_eq!((network.only().code, network.only().confidence()), (Code::DnsLocalOverride, Confidence::Strong));
    }
    // The name's own address, or a mirror that holds a certificate for it, is as good as DNS.
    let mut network = Network::new();
    network.hosts_file(TRUE).honest();
    assert_eq!(network.found(), []);
    let mut network = Network::new();
    network.hosts_file("10.0.0.9").honest().shows("10.0.0.9", NAME, true);
    assert_eq!(network.found(), []);
    // Where nobody can say what is right, nobody is wrong.
    let mut network = Network::new();
    network.hosts_file("10.0.0.9").unopened("10.0.0.9", Failure::Refused);
    assert_eq!(network.only().code, Code::TcpConnectionRefused);
}

#[test]
fn what_does_not_open_says_what_it_can_by_itself() {
    let of = |failure: Failure, others: bool| {
        let mut network = Network::new();
        network.says(Oracle::System, Transport::Udp, &[&[TRUE]]).unopened(TRUE, failure);
        if others {
            network.says(trusted(), Transport::Tls, &[&[TRUE]]);
        }
        network.found().first().map(|finding| (finding.code, finding.confidence()))
    };
    assert_eq!(of(Failure::Timeout, true), Some((Code::NetAddressBlackhole, Confidence::Moderate)));
    assert_eq!(of(Failure::Timeout, false), None, "nothing at all answers");
    assert_eq!(of(Failure::Refused, true), Some((Code::TcpConnectionRefused, Confidence::Strong)));
    assert_eq!(of(Failure::Unreachable, true), Some((Code::NetUnreachable, Confidence::Strong)));
    assert_eq!(of(Failure::Forbidden, false), Some((Code::NetBlockedLocally, Confidence::Strong)));
    // Another address of the name works: go takes that.
    let mut network = Network::new();
    network.says(Oracle::System, Transport::Udp, &[&[TRUE]]).honest().unopened("142.250.1.1", Failure::Timeout);
    assert_eq!(network.found(), []);
}

#[test]
fn broken_ipv6_is_told_from_none() {
    let six = |failure: Failure| {
        let mut network = Network::new();
        network.says(Oracle::System, Transport::Udp, &[&[TRUE]]).honest().unopened("2607:f8b0:4004:c1b::8d", failure);
        network.found().first().map(|finding| (finding.code, finding.confidence(), finding.severity))
    };
    assert_eq!(six(Failure::Timeout), Some((Code::NetIpv6Broken, Confidence::Moderate, Severity::Low)));
    assert_eq!(six(Failure::Unreachable), None);
}

#[test]
fn resolvers_out_of_reach_are_told_from_silent_ones() {
    let of = |failures: &[Failure]| {
        let mut network = Network::new();
        for failure in failures {
            network.says(Oracle::System, Transport::Udp, &[]);
            if let Some(Probe { told: Told::Name(answer), .. }) = network.probes.last_mut() {
                answer.failure = Some(failure.clone());
            }
        }
        network.found().first().map(|finding| finding.code)
    };
    assert_eq!(of(&[Failure::Refused, Failure::Unreachable]), Some(Code::DnsNoResolver));
    assert_eq!(of(&[Failure::Unreachable]), Some(Code::NetUnreachable));
    assert_eq!(of(&[Failure::Timeout, Failure::Unreachable]), Some(Code::DnsTimeout));
    assert_eq!(of(&[Failure::Other("not a name".to_owned())]), None);
}

#[test]
fn a_host_that_only_the_proxy_leads_to_is_kept_from_it_by_mistake() {
    let mut network = Network::new();
    network.honest().probes.pop();
    network.unopened(TRUE, Failure::Timeout).shows("10.44.0.8", NAME, true);
    if let Some(Probe { told: Told::Chain(chain), .. }) = network.probes.last_mut() {
        chain.via = Some("squid.corp:3128".to_owned());
    }
    let settings = "HTTPS_PROXY=http://squid.corp:3128\nNO_PROXY=golang.org\n";
    let codes = |env: &str| {
        let reference = Reference::builtin().unwrap();
        let roots = reference.roots().clone().with_pem(network.root.pem().as_bytes()).unwrap();
        let mut case = Scene::new().case();
        case.probes.clone_from(&network.probes);
        case.go.env = Some(crate::go::env::GoEnv::parse(env));
        let found = assess(&case, &reference.with_roots(roots)).assessment.found;
        found.iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    assert!(codes(settings).contains(&Code::ProxyBypassed));
    assert!(!codes("").contains(&Code::ProxyBypassed));
}
