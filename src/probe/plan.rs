//! What is to be asked, in which order, and what it may cost: decided before the first packet, and printed by `--dry-run`.

mod trial;

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

pub use trial::{HelloQuestion, MOST_TRIED};

use super::target::{Host, Private, Settings};
use crate::observation::RecordType;
use crate::observation::probe::{NameQuestion, Oracle, Part, Transport};
use crate::reference::{Reference, Resolver};
use crate::types::Span;

/// Hosts of one run; of more, the first ones are asked about.
pub const MOST_HOSTS: usize = 6;
/// Addresses of one name with which a handshake is made.
pub const MOST_CHAINS: usize = 6;
/// What no name begins with.
const NO_SUCH: &str = "no-such-name";
const DNS: u16 = 53;
const DNS_OVER_TLS: u16 = 853;
const HTTPS: u16 = 443;

/// What a run may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// From the first question to the last answer.
    pub time: Span,
    /// Packets sent. Each question counts with the most that it may send.
    pub packets: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { time: Span::from_seconds(60), packets: 1_500 }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {} and {} packets", self.time, self.packets)
    }
}

/// What the user agrees to being asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Consent {
    /// Go's own public hosts, those that `rules/` names; never a name that is private.
    GoHosts,
    /// Every host of the case. Private names still go to the configured resolvers alone.
    All,
}

impl Consent {
    /// Whether it covers a host.
    #[must_use]
    pub fn covers(self, host: &Host, reference: &Reference) -> bool {
        match self {
            Self::All => true,
            Self::GoHosts => host.private.is_none() && reference.is_go_host(&host.name),
        }
    }
}

/// When a step's turn comes. The steps of a stage are asked together, a stage begins when the one before is done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stage {
    /// The configured resolvers: what go gets.
    Local,
    /// Everybody else who can be asked for names.
    Comparison,
    /// The addresses that were given.
    Addresses,
    /// The other way, where the one that go takes does not work.
    OtherWay,
    /// What is tried when it is still open why an address does not work.
    Experiments,
}

/// One question to the network. It prints itself as `--dry-run` shows it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Question {
    /// For the records of a name.
    Name(NameQuestion),
    /// For the addresses that the hosts file has for a name. Nothing is sent.
    HostsFile {
        /// The name.
        name: String,
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// For the certificates of every address that the answers give for a name: the configured resolvers' first.
    Chains {
        /// The name.
        name: String,
        /// The port.
        port: u16,
        /// Addresses that are known without asking: the hosts file's, the recording's.
        known: Vec<IpAddr>,
        /// How many handshakes at most.
        at_most: usize,
    },
    /// For the certificates that a host shows through an HTTP proxy.
    ChainVia {
        /// The name.
        name: String,
        /// The port.
        port: u16,
        /// The proxy's host.
        proxy: String,
        /// The proxy's port.
        proxy_port: u16,
    },
    /// What go's own first bytes meet at the name's addresses, and if they fail, on what that hangs.
    Hello(Box<HelloQuestion>),
}

impl Question {
    /// The most packets that it sends, acknowledgements included.
    #[must_use]
    pub fn cost(&self) -> u32 {
        match self {
            Self::HostsFile { .. } => 0,
            Self::Name(question) => match (&question.oracle, question.transport) {
                (Oracle::Authoritative, _) => 60,
                // The records, and keys and delegations of each zone above.
                (Oracle::Signed(_), _) => 40,
                (_, Transport::Udp) => 2,
                (_, Transport::Tcp) => 8,
                (_, Transport::Tls) => 14,
                (_, Transport::Https) => 20,
            },
            Self::Chains { at_most, .. } => u32::try_from(*at_most).unwrap_or(u32::MAX).saturating_mul(14),
            Self::ChainVia { .. } => 18,
            Self::Hello(question) => question.cost(),
        }
    }

    /// The name that it is about.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::Name(question) => &question.name,
            Self::HostsFile { name, .. } | Self::Chains { name, .. } | Self::ChainVia { name, .. } => name,
            Self::Hello(question) => &question.name,
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostsFile { name, addresses } => {
                let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                write!(f, "take from the hosts file that {name} is {} (nothing is sent)", addresses.join(", "))
            }
            Self::Name(question) => {
                let NameQuestion { name, record_type, part, oracle, server, transport } = question;
                match (oracle, server) {
                    (Oracle::System, Some(server)) => write!(f, "ask the configured resolver {server}")?,
                    (Oracle::Trusted(who), Some(server)) => write!(f, "ask {who} ({server})")?,
                    (Oracle::Signed(who), Some(server)) => {
                        write!(f, "ask {who} ({server}), and verify the signatures,")?;
                    }
                    (Oracle::Nobody, Some(server)) => write!(f, "ask {server}, where no resolver is,")?,
                    (Oracle::Authoritative, _) => f.write_str("ask the zone's own servers, from the root,")?,
                    (_, None) => f.write_str("ask")?,
                }
                let kind = match *record_type {
                    RecordType::AAAA => "AAAA",
                    _ => "A",
                };
                write!(f, " over {transport} for {kind} of {name}")?;
                match part {
                    Part::Target => Ok(()),
                    Part::Control => f.write_str(" (control)"),
                    Part::Sibling => f.write_str(" (a name that does not exist)"),
                }
            }
            Self::Chains { name, port, at_most, known } => {
                write!(
                    f,
                    "make a TLS handshake for {name} with each address answered, port {port}, at most {at_most}"
                )?;
                if known.is_empty() {
                    return Ok(());
                }
                let known: Vec<String> = known.iter().map(ToString::to_string).collect();
                write!(f, ", and with {}", known.join(", "))
            }
            Self::ChainVia { name, port, proxy, proxy_port } => {
                write!(f, "make a TLS handshake for {name}, port {port}, through the proxy {proxy}:{proxy_port}")
            }
            Self::Hello(question) => question.fmt(f),
        }
    }
}

/// A question and its turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Its turn.
    pub stage: Stage,
    /// The question.
    pub question: Question,
    /// The answers of the first stage may show the name to be the network's own; then strangers are not asked.
    pub unless_local: bool,
}

/// What is to be asked, and what it may cost.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// In the order in which they are asked.
    pub steps: Vec<Step>,
    /// What all of it may take.
    pub budget: Budget,
    /// Names that strangers are not asked about, and why.
    pub kept_private: Vec<(String, Private)>,
    /// Hosts and questions that were left out, and why.
    pub left_out: Vec<String>,
}

impl Plan {
    /// The plan for hosts: what go gets, what others say, and who answers at the addresses.
    #[must_use]
    pub fn of_hosts(hosts: &[Host], settings: &Settings, reference: &Reference, consent: Consent) -> Self {
        let mut plan = Self::default();
        let mut chosen: Vec<&Host> = Vec::new();
        for host in hosts {
            if !consent.covers(host, reference) {
                plan.left_out
                    .push(format!("{}: it is none of Go's public hosts, and nobody asked about it", host.name));
            } else if chosen.len() >= MOST_HOSTS {
                plan.left_out.push(format!("{}: only the first {MOST_HOSTS} hosts are asked about", host.name));
            } else {
                chosen.push(host);
            }
        }
        let mut names = BTreeSet::new();
        for host in &chosen {
            if host.via.is_none() && host.private != Some(Private::Address) && names.insert(host.name.as_str()) {
                if !host.overridden.is_empty() {
                    let (name, addresses) = (host.name.clone(), host.overridden.clone());
                    plan.push(Stage::Local, false, Question::HostsFile { name, addresses });
                    // Nobody else could say what is right, and go asks nobody.
                    if let Some(private) = &host.private {
                        plan.kept_private.push((host.name.clone(), private.clone()));
                        plan.addresses(host);
                        continue;
                    }
                }
                plan.local(&host.name, Part::Target, settings);
                match &host.private {
                    Some(private) => plan.kept_private.push((host.name.clone(), private.clone())),
                    None => plan.comparison(&host.name, reference, settings.ipv6_only),
                }
            }
            plan.addresses(host);
        }
        let public = chosen.iter().find(|host| host.via.is_none() && host.private.is_none());
        if let Some(first) = public {
            plan.controls(first, settings, reference);
        }
        plan.steps.sort_by_key(|step| step.stage);
        plan.fit();
        plan
    }

    /// The most packets that its steps send.
    #[must_use]
    pub fn packets(&self) -> u32 {
        self.steps.iter().map(|step| step.question.cost()).fold(0, u32::saturating_add)
    }

    fn push(&mut self, stage: Stage, unless_local: bool, question: Question) {
        if !self.steps.iter().any(|step| step.question == question) {
            self.steps.push(Step { stage, question, unless_local });
        }
    }

    fn ask(
        &mut self,
        stage: Stage,
        name: &str,
        part: Part,
        oracle: &Oracle,
        server: Option<SocketAddr>,
        how: &[(Transport, RecordType)],
    ) {
        // Only what was asked of strangers depends on what the network itself says.
        let unless_local = *oracle != Oracle::System && part == Part::Target;
        for (transport, record_type) in how {
            let question = NameQuestion {
                name: name.to_owned(),
                record_type: *record_type,
                part,
                oracle: oracle.clone(),
                server,
                transport: *transport,
            };
            self.push(stage, unless_local, Question::Name(question));
        }
    }

    /// As go asks: A and AAAA, each configured resolver; and once over TCP, which whoever forges datagrams seldom forges.
    fn local(&mut self, name: &str, part: Part, settings: &Settings) {
        for server in &settings.resolv.servers {
            let usual = if settings.resolv.use_tcp { Transport::Tcp } else { Transport::Udp };
            let mut how = vec![(usual, RecordType::A), (usual, RecordType::AAAA)];
            if part == Part::Target && usual == Transport::Udp {
                how.push((Transport::Tcp, RecordType::A));
            }
            if part != Part::Target {
                how.truncate(1);
            }
            self.ask(Stage::Local, name, part, &Oracle::System, Some(*server), &how);
        }
    }

    /// Two resolvers over ways of different strength, and the zone's own servers.
    fn comparison(&mut self, name: &str, reference: &Reference, six: bool) {
        use Transport::{Https, Tcp, Tls, Udp};
        let (a, aaaa) = (RecordType::A, RecordType::AAAA);
        let mut trusted = reference.trusted_resolvers().filter(|resolver| place(resolver, DNS, six).is_some());
        if let Some(resolver) = trusted.next() {
            self.trusted(name, resolver, six, &[(Udp, a), (Udp, aaaa), (Tcp, a), (Tls, a), (Tls, aaaa)]);
            let oracle = Oracle::Signed(resolver.name.clone());
            self.ask(Stage::Comparison, name, Part::Target, &oracle, place(resolver, DNS, six), &[(Tcp, a)]);
        }
        if let Some(resolver) = trusted.next() {
            self.trusted(name, resolver, six, &[(Udp, a), (Https, a), (Https, aaaa)]);
        }
        if !reference.root_servers().is_empty() {
            self.ask(Stage::Comparison, name, Part::Target, &Oracle::Authoritative, None, &[(Tcp, a)]);
        }
    }

    fn trusted(&mut self, name: &str, resolver: &Resolver, six: bool, how: &[(Transport, RecordType)]) {
        for (transport, record_type) in how {
            let port = match transport {
                Transport::Udp | Transport::Tcp => DNS,
                Transport::Tls if resolver.dot.is_some() => DNS_OVER_TLS,
                Transport::Https if resolver.doh.is_some() => HTTPS,
                Transport::Tls | Transport::Https => continue,
            };
            let oracle = Oracle::Trusted(resolver.name.clone());
            self.ask(
                Stage::Comparison,
                name,
                Part::Target,
                &oracle,
                place(resolver, port, six),
                &[(*transport, *record_type)],
            );
        }
    }

    /// What tells a lie about one name from a lying or broken network: a harmless name, names that do not exist (strangers are
    /// asked about the harmless one's sibling alone), and an address that cannot answer.
    fn controls(&mut self, host: &Host, settings: &Settings, reference: &Reference) {
        let six = settings.ipv6_only;
        let a = [(Transport::Udp, RecordType::A)];
        let control = reference.control_names().first();
        if let Some(control) = control {
            self.local(control, Part::Control, settings);
        }
        self.local(&format!("{NO_SUCH}.{}", host.name), Part::Sibling, settings);
        if let Some(control) = control {
            let sibling = format!("{NO_SUCH}.{control}");
            self.local(&sibling, Part::Sibling, settings);
            let over_tls = |resolver: &&Resolver| resolver.dot.is_some() && place(resolver, DNS, six).is_some();
            if let Some(resolver) = reference.trusted_resolvers().find(over_tls) {
                let oracle = Oracle::Trusted(resolver.name.clone());
                let how = [(Transport::Tls, RecordType::A)];
                self.ask(Stage::Comparison, &sibling, Part::Sibling, &oracle, place(resolver, DNS_OVER_TLS, six), &how);
            }
        }
        let nobody = reference.nobodys_addresses().iter().find(|address| address.is_ipv6() == six);
        if let Some(nobody) = nobody {
            let server = Some(SocketAddr::new(*nobody, DNS));
            self.ask(Stage::Comparison, &host.name, Part::Target, &Oracle::Nobody, server, &a);
            if let Some(control) = control {
                self.ask(Stage::Comparison, control, Part::Control, &Oracle::Nobody, server, &a);
            }
        }
    }

    fn addresses(&mut self, host: &Host) {
        if !host.secure {
            return;
        }
        let (name, port) = (host.name.clone(), host.port);
        match &host.via {
            Some((proxy, proxy_port)) if !host.in_clear => self.left_out.push(format!(
                "{name} through {proxy}:{proxy_port}: only proxies that are spoken to in clear HTTP are tried"
            )),
            Some((proxy, proxy_port)) => {
                let (proxy, proxy_port) = (proxy.clone(), *proxy_port);
                self.push(Stage::Addresses, false, Question::ChainVia { name, port, proxy, proxy_port });
            }
            None => {
                let known = host.overridden.iter().chain(&host.addresses).copied().collect();
                self.push(
                    Stage::Addresses,
                    false,
                    Question::Chains { name: name.clone(), port, known, at_most: MOST_CHAINS },
                );
                if let Some((proxy, proxy_port)) = host.passed_by.clone() {
                    self.push(Stage::OtherWay, false, Question::ChainVia { name, port, proxy, proxy_port });
                }
            }
        }
    }

    /// Leaves out what the budget does not hold: first what confirms others, then from the end.
    fn fit(&mut self) {
        while self.packets() > self.budget.packets {
            let confirms = |step: &Step| matches!(&step.question, Question::Name(question) if matches!(question.oracle, Oracle::Signed(_)));
            let place = self.steps.iter().rposition(confirms).or(self.steps.len().checked_sub(1));
            let Some(step) = place.map(|place| self.steps.remove(place)) else { return };
            self.left_out.push(format!("{}: the budget does not hold it", step.question));
        }
    }
}

/// An address of a resolver, of the family that is there.
fn place(resolver: &Resolver, port: u16, six: bool) -> Option<SocketAddr> {
    let addresses = &resolver.addresses;
    let address = addresses.iter().find(|address| address.is_ipv6() == six).or(addresses.first())?;
    Some(SocketAddr::new(*address, port))
}

/// As `--dry-run` prints it.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in (1..).zip(&self.steps) {
            writeln!(f, "{number:3}. {}", step.question)?;
        }
        for (name, why) in &self.kept_private {
            writeln!(f, "No public resolver is asked about {name}: {why}.")?;
        }
        for what in &self.left_out {
            writeln!(f, "Left out: {what}.")?;
        }
        let (count, packets) = (self.steps.len(), self.packets());
        writeln!(f, "{count} steps, no more than {packets} packets; the budget is {}.", self.budget)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::go::env::GoEnv;
    use crate::go::resolv::ResolvConf;
    use crate::probe::hello::GoHello;
    use crate::probe::target::Target;

    fn plan(target: &str, env: &str, consent: Consent) -> Plan {
        let reference = Reference::builtin().unwrap();
        let settings = Settings {
            env: GoEnv::parse(env),
            resolv: ResolvConf::parse("nameserver 192.168.1.1\n"),
            hosts: "10.0.0.9 goproxy.cn\n".to_owned(),
            ipv6_only: false,
        };
        let hosts = Target::parse(target).unwrap().hosts(&settings, &reference);
        Plan::of_hosts(&hosts, &settings, &reference, consent)
    }

    /// Who is asked about a name beside the configured resolvers.
    fn strangers(plan: &Plan) -> Vec<String> {
        let asked = plan.steps.iter().filter_map(|step| match &step.question {
            Question::Name(question) if question.oracle != Oracle::System => Some(question.name.clone()),
            _ => None,
        });
        asked.collect()
    }

    #[test]
    fn a_public_name_is_compared_over_every_way() {
        let plan = plan("proxy.golang.org", "", Consent::All);
        for transport in [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Https] {
            let asked = |step: &Step| matches!(&step.question, Question::Name(question) if matches!(question.oracle, Oracle::Trusted(_)) && question.transport == transport);
            assert!(plan.steps.iter().any(asked), "{transport}");
        }
        let text = plan.to_string();
        assert!(
            text.contains("ask the configured resolver 192.168.1.1:53 over UDP for AAAA of proxy.golang.org"),
            "{text}"
        );
        assert!(text.contains("from the root") && text.contains("192.0.2.53") && text.contains("(control)"), "{text}");
        assert!(text.contains("at most 60.0 s and 1500 packets"), "{text}");
        assert!(plan.steps.is_sorted_by_key(|step| step.stage));
    }

    #[test]
    fn strangers_are_not_told_of_private_names() {
        for (target, env) in [
            ("git.example.net/team/mod", "GOPRIVATE=git.example.net\nGOSUMDB=off\n"),
            ("https://nexus:8081", ""),
            ("a.example.net", "GONOPROXY=*.example.net\n"),
            ("rsc.io/quote", "GOPROXY=https://goproxy.example.net\nGOSUMDB=off\n"),
            ("rsc.io/quote", "HTTPS_PROXY=http://squid.example.net:3128\n"),
            ("10.0.0.9", ""),
        ] {
            let plan = plan(target, env, Consent::All);
            assert_eq!(strangers(&plan), Vec::<String>::new(), "{target} with {env}");
            assert!(!plan.steps.is_empty(), "{target}");
        }
    }

    #[test]
    fn consent_for_gos_hosts_covers_no_other() {
        let plan = plan("vanity.example.net/quote", "GOPROXY=https://goproxy.example.net,direct\n", Consent::GoHosts);
        let names: BTreeSet<&str> = plan.steps.iter().map(|step| step.question.subject()).collect();
        assert!(
            names.contains("sum.golang.org")
                && !names.contains("vanity.example.net")
                && !names.contains("goproxy.example.net")
        );
        assert!(plan.left_out.iter().any(|line| line.contains("vanity.example.net")), "{:?}", plan.left_out);
    }

    #[test]
    fn no_plan_is_dearer_than_its_budget() {
        let every = "GOPROXY=https://proxy.golang.org,https://goproxy.cn,https://goproxy.io,direct\n";
        let plan = plan("github.com/a/b", every, Consent::All);
        assert!(plan.packets() <= plan.budget.packets, "{}", plan.packets());
        let names: BTreeSet<&str> = plan.steps.iter().map(|step| step.question.subject()).collect();
        assert!(names.contains("goproxy.cn"), "{names:?}");
    }

    #[test]
    fn behind_a_proxy_names_are_its_business() {
        let plan = plan("proxy.golang.org", "HTTPS_PROXY=http://squid:3128\n", Consent::All);
        let asked: Vec<String> = plan.steps.iter().map(|step| step.question.to_string()).collect();
        assert!(asked.iter().any(|line| line.contains("through the proxy squid:3128")), "{asked:?}");
        assert!(!asked.iter().any(|line| line.contains("of proxy.golang.org")), "{asked:?}");
        assert!(asked.iter().any(|line| line.contains("for A of squid")), "{asked:?}");
    }

    #[test]
    fn where_there_is_no_ipv4_nobody_is_asked_over_it() {
        let reference = Reference::builtin().unwrap();
        let resolv = ResolvConf::parse("nameserver 2001:db8:1::53\n");
        let settings = Settings { resolv, ipv6_only: true, ..Settings::default() };
        let hosts = Target::parse("proxy.golang.org").unwrap().hosts(&settings, &reference);
        let plan = Plan::of_hosts(&hosts, &settings, &reference, Consent::All);
        let mut servers = plan.steps.iter().filter_map(|step| match &step.question {
            Question::Name(question) => question.server,
            _ => None,
        });
        assert!(servers.clone().count() > 10 && servers.all(|server| server.is_ipv6()), "{plan}");
    }

    #[test]
    fn strangers_hear_of_no_sibling_but_the_harmless_names() {
        let plan = plan("vanity.example.net", "", Consent::All);
        let asked: Vec<String> = strangers(&plan).into_iter().filter(|name| name.starts_with(NO_SUCH)).collect();
        assert_eq!(asked, ["no-such-name.example.com"]);
    }

    #[test]
    fn of_a_private_name_in_the_hosts_file_nobody_is_asked() {
        let reference = Reference::builtin().unwrap();
        let settings = Settings { hosts: "10.0.0.9 nexus\n".to_owned(), ..Settings::default() };
        let hosts = Target::parse("nexus:443").unwrap().hosts(&settings, &reference);
        let plan = Plan::of_hosts(&hosts, &settings, &reference, Consent::All);
        assert!(plan.steps.iter().all(|step| !matches!(step.question, Question::Name(_))), "{plan}");
        assert_eq!(plan.steps.len(), 2, "{plan}");
        // Nor does a stranger's server get to read the name in a hello.
        let tried = plan.with_experiments(&GoHello::default(), &reference, 1);
        let hello = |step: &Step| matches!(&step.question, Question::Hello(question) if !question.elsewhere);
        assert!(tried.steps.last().is_some_and(hello), "{tried}");
    }

    #[test]
    fn a_proxy_that_is_not_spoken_to_in_clear_is_left_alone() {
        let plan = plan("proxy.golang.org", "HTTPS_PROXY=socks5://squid:1080\n", Consent::All);
        assert!(plan.steps.iter().all(|step| !matches!(step.question, Question::ChainVia { .. })), "{plan}");
        assert!(plan.left_out.iter().any(|line| line.contains("squid:1080")), "{plan}");
    }

    #[test]
    fn what_the_hosts_file_says_is_tried_too() {
        let plan = plan("goproxy.cn", "", Consent::All);
        assert!(plan.to_string().contains("and with 10.0.0.9"), "{plan}");
    }

    #[test]
    fn gos_hello_is_tried_last_and_a_private_name_with_nobody_else() {
        let reference = Reference::builtin().unwrap();
        let with = |target: &str, env: &str| {
            let plan = plan(target, env, Consent::All);
            (plan.packets(), plan.with_experiments(&GoHello::default(), &reference, 0xfeed))
        };
        let (before, planned) = with("proxy.golang.org", "");
        let Some(Step { stage: Stage::Experiments, question: Question::Hello(question), .. }) = planned.steps.last()
        else {
            panic!("{planned}")
        };
        assert!(question.elsewhere && question.with_hops);
        assert!(planned.packets() <= before + 500 && planned.packets() <= planned.budget.packets, "{planned}");
        let text = planned.to_string();
        assert!(text.contains("the ClientHello of go1.27 for proxy.golang.org") && text.contains("0xfeed"), "{text}");
        let (_, private) = with("git.example.net/team/mod", "GOPRIVATE=git.example.net\nGOSUMDB=off\n");
        let elsewhere = |step: &Step| matches!(&step.question, Question::Hello(question) if question.elsewhere);
        assert!(!private.steps.iter().any(elsewhere), "{private}");
        assert!(!private.to_string().contains("example.com's server"), "{private}");
        let (_, many) = with("github.com/a/b", "GOPROXY=https://goproxy.cn,https://goproxy.io,direct\n");
        let tried = |step: &&Step| matches!(step.question, Question::Hello(_));
        assert_eq!(many.steps.iter().filter(tried).count(), MOST_TRIED);
    }
}
