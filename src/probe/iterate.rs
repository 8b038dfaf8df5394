//! From the root to the zone's own servers, question by question (RFC 1034 §5.3.3), over TCP where that works: whoever forges
//! datagrams for a name would forge these too.

use std::collections::VecDeque;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

use super::resolvers::{Heard, Manner, Server, ask};
use crate::observation::probe::{Failure, NOERROR, NXDOMAIN, Referral, Reply, Transport};
use crate::observation::{RecordData, RecordType, Section};

/// Questions of one iteration, servers' own names included. [`super::plan::Question::cost`] counts with it.
const MOST_QUESTIONS: u32 = 12;
/// Servers of one zone that are tried.
const MOST_SERVERS: usize = 2;
/// Aliases that are followed.
const MOST_ALIASES: u32 = 4;
/// Servers' names that are looked up within one another.
const DEPTH: u32 = 2;
const PORT: u16 = 53;
const NS: RecordType = RecordType(2);

/// What iteration came to.
pub(super) struct Iterated {
    /// The final answer with all records on the way to it; or why there is none.
    pub(super) heard: Heard,
    /// Who referred to whom.
    pub(super) path: Vec<Referral>,
    /// UDP as soon as one step had to go over it: whoever forges datagrams may have written its answer.
    pub(super) transport: Transport,
}

/// Asks the root for a name and follows.
pub(super) async fn iterate(roots: &[SocketAddr], name: &str, record_type: RecordType, manner: &Manner) -> Iterated {
    let mut walk = Walk { roots, manner, left: MOST_QUESTIONS, path: Vec::new(), transport: Transport::Tcp };
    let outcome = walk.resolve(name.to_owned(), record_type, DEPTH).await;
    let heard = match outcome {
        Ok(reply) => (vec![reply], None),
        Err(why) => (Vec::new(), Some(why)),
    };
    Iterated { heard, path: walk.path, transport: walk.transport }
}

struct Walk<'a> {
    roots: &'a [SocketAddr],
    manner: &'a Manner,
    left: u32,
    path: Vec<Referral>,
    transport: Transport,
}

type Outcome<'f> = Pin<Box<dyn Future<Output = Result<Reply, Failure>> + Send + 'f>>;

impl Walk<'_> {
    /// Boxed, since the names of servers are resolved within it.
    fn resolve(&mut self, name: String, record_type: RecordType, depth: u32) -> Outcome<'_> {
        Box::pin(async move {
            let mut aliases = Vec::new();
            let mut wanted = name;
            for _ in 0..=MOST_ALIASES {
                let mut reply = self.descend(&wanted, record_type, depth).await?;
                let target = alias(&reply, &wanted, record_type);
                reply.records.splice(0..0, aliases.iter().cloned());
                let Some(target) = target else { return Ok(reply) };
                aliases = reply.records.into_iter().filter(|record| record.section == Section::Answer).collect();
                wanted = target;
            }
            Err(Failure::Malformed("a chain of aliases without end".to_owned()))
        })
    }

    /// From the root down to who answers for the name itself.
    async fn descend(&mut self, name: &str, record_type: RecordType, depth: u32) -> Result<Reply, Failure> {
        let mut servers: VecDeque<SocketAddr> = self.roots.iter().copied().take(MOST_SERVERS).collect();
        let mut zone = String::new();
        let mut last = Failure::Timeout;
        while let Some(server) = servers.pop_front() {
            let reply = match self.question(server, name, record_type).await {
                Ok(reply) => reply,
                Err(why) => {
                    last = why;
                    continue;
                }
            };
            let referred = referral(&reply, &zone, name);
            let in_zone = referred.as_ref().map_or_else(|| zone.clone(), |(below, _)| below.clone());
            self.path.push(Referral { server, zone: in_zone });
            match referred {
                Some((below, names)) => {
                    zone = below;
                    servers = self.addresses(&reply, names, depth).await;
                    last = Failure::Other(format!("no server of {zone} has an address"));
                }
                None if matches!(reply.rcode, NOERROR | NXDOMAIN) => return Ok(reply),
                None => last = Failure::Other(format!("{server} answers with code {}", reply.rcode)),
            }
        }
        Err(last)
    }

    async fn question(&mut self, server: SocketAddr, name: &str, record_type: RecordType) -> Result<Reply, Failure> {
        let mut why = Failure::Other("it takes more questions than are allowed".to_owned());
        for transport in [Transport::Tcp, Transport::Udp] {
            let Some(left) = self.left.checked_sub(1) else { return Err(why) };
            self.left = left;
            let server = Server { address: server, transport, name: String::new(), path: String::new() };
            let (replies, failure) = ask(&server, name, record_type, self.manner).await;
            match replies.into_iter().next() {
                Some(reply) => {
                    if transport == Transport::Udp {
                        self.transport = Transport::Udp;
                    }
                    return Ok(reply);
                }
                None => why = failure.unwrap_or(Failure::Timeout),
            }
        }
        Err(why)
    }

    /// The servers' addresses: those that came with the referral, else the first that its names lead to.
    async fn addresses(&mut self, reply: &Reply, names: Vec<String>, depth: u32) -> VecDeque<SocketAddr> {
        let six = self.roots.first().is_some_and(SocketAddr::is_ipv6);
        let glue =
            reply.records.iter().filter(|record| names.contains(&record.name)).filter_map(|record| match record.data {
                RecordData::A(address) if !six => Some(SocketAddr::new(IpAddr::V4(address), PORT)),
                RecordData::Aaaa(address) if six => Some(SocketAddr::new(IpAddr::V6(address), PORT)),
                _ => None,
            });
        let family = if six { RecordType::AAAA } else { RecordType::A };
        let mut servers: VecDeque<SocketAddr> = glue.take(MOST_SERVERS).collect();
        if servers.is_empty() && depth > 0 {
            for name in names.into_iter().take(MOST_SERVERS) {
                if let Ok(found) = self.resolve(name, family, depth - 1).await {
                    servers.extend(found.addresses().map(|address| SocketAddr::new(address, PORT)).take(MOST_SERVERS));
                }
                if !servers.is_empty() {
                    break;
                }
            }
        }
        servers
    }
}

/// The name that an answer leads to without saying what its address is.
fn alias(reply: &Reply, name: &str, record_type: RecordType) -> Option<String> {
    let mut at = name.to_owned();
    let answers = || reply.records.iter().filter(|record| record.section == Section::Answer);
    for _ in 0..=MOST_ALIASES {
        if answers().any(|record| record.name == at && record.record_type == record_type) {
            return None;
        }
        match answers().find(|record| record.name == at && record.record_type == RecordType::CNAME).map(|it| &it.data) {
            Some(RecordData::Name(target)) => at.clone_from(target),
            _ => break,
        }
    }
    (at != name && reply.rcode == NOERROR).then_some(at)
}

/// The zone further down that a reply refers to, and the names of its servers.
fn referral(reply: &Reply, zone: &str, name: &str) -> Option<(String, Vec<String>)> {
    if reply.rcode != NOERROR || reply.records.iter().any(|record| record.section == Section::Answer) {
        return None;
    }
    let below = |upper: &str, lower: &str| {
        upper.is_empty() || lower == upper || lower.strip_suffix(upper).is_some_and(|rest| rest.ends_with('.'))
    };
    let mut found: Option<(String, Vec<String>)> = None;
    for record in reply.records.iter().filter(|record| record.section == Section::Authority && record.record_type == NS)
    {
        let RecordData::Name(server) = &record.data else { continue };
        // Whoever refers upwards, sideways or to itself does not lead to an answer.
        if record.name == zone || !below(zone, &record.name) || !below(&record.name, name) {
            continue;
        }
        match &mut found {
            Some((known, names)) if *known == record.name => names.push(server.clone()),
            Some(_) => {}
            None => found = Some((record.name.clone(), vec![server.clone()])),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Record;
    use crate::types::Span;

    fn reply(records: &[(Section, &str, RecordType, RecordData)]) -> Reply {
        let records = records.iter().map(|(section, name, record_type, data)| Record {
            section: *section,
            name: (*name).to_owned(),
            record_type: *record_type,
            ttl: 60,
            data: data.clone(),
        });
        Reply {
            after: Span::from_millis(1),
            from: "198.41.0.4:53".parse().unwrap(),
            rcode: NOERROR,
            authoritative: false,
            truncated: false,
            authenticated: false,
            edns: true,
            records: records.collect(),
        }
    }

    fn ns(zone: &'static str, server: &str) -> (Section, &'static str, RecordType, RecordData) {
        (Section::Authority, zone, NS, RecordData::Name(server.to_owned()))
    }

    #[test]
    fn a_referral_leads_down() {
        let org = reply(&[ns("org", "a0.org.example"), ns("org", "b0.org.example"), ns("com", "x.example")]);
        let (zone, names) = referral(&org, "", "proxy.golang.org").unwrap();
        assert_eq!((zone.as_str(), names.len()), ("org", 2));
        for (zone, refers_to) in [("org", "org"), ("golang.org", "org"), ("org", "com"), ("org", "ang.org")] {
            let refers_to: &'static str = refers_to;
            assert_eq!(
                referral(&reply(&[ns(refers_to, "x.example")]), zone, "proxy.golang.org"),
                None,
                "{zone} {refers_to}"
            );
        }
    }

    #[test]
    fn an_alias_is_followed_only_where_its_address_is_missing() {
        let cname =
            |name, target: &str| (Section::Answer, name, RecordType::CNAME, RecordData::Name(target.to_owned()));
        let a = |name| (Section::Answer, name, RecordType::A, RecordData::A([192, 0, 2, 1].into()));
        let open = reply(&[cname("a.example", "b.example"), cname("b.example", "c.example")]);
        assert_eq!(alias(&open, "a.example", RecordType::A).as_deref(), Some("c.example"));
        assert_eq!(alias(&reply(&[cname("a.example", "b.example"), a("b.example")]), "a.example", RecordType::A), None);
        assert_eq!(alias(&reply(&[a("a.example")]), "a.example", RecordType::A), None);
        assert_eq!(alias(&reply(&[]), "a.example", RecordType::A), None, "nothing of that type");
        let circle = reply(&[cname("a.example", "b.example"), cname("b.example", "a.example")]);
        assert!(alias(&circle, "a.example", RecordType::A).is_none_or(|at| at == "b.example"));
    }
}
