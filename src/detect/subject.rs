//! What several families ask of a case: whose connection it is, what a finding about it is called.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::finding::{Detail, Evidence, Fault, Finding, Subject};
use crate::observation::{Case, Connection, Handshake, Lookup, Outcome, Relevance};
use crate::reference::Reference;
use crate::types::Direction;

/// Connections that are cited of those that may have carried what a finding is about.
const CITED: usize = 4;
/// Segments that are cited of those that carried answers which cannot be read.
const ENCRYPTED_SEGMENTS: usize = 32;

/// The handshakes that are judged, each with its connection.
pub(super) fn judged_handshakes(case: &Case) -> impl Iterator<Item = (&Handshake, &Connection)> {
    case.handshakes.iter().filter_map(|handshake| {
        let connection = case.connection(handshake.flow)?;
        (connection.relevance > Relevance::Other).then_some((handshake, connection))
    })
}

/// The connections that are judged.
pub(super) fn judged_connections(case: &Case) -> impl Iterator<Item = &Connection> {
    case.connections.iter().filter(|connection| connection.relevance > Relevance::Other)
}

/// The machine behind an address, as far as can be told: one has many IPv6 addresses in its network.
pub(super) fn machine(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(std::net::Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// The judged connections to each server, of each client by itself: that another machine gets through excuses nothing.
pub(super) fn by_server(case: &Case) -> Vec<(SocketAddr, Vec<&Connection>)> {
    let mut groups: BTreeMap<(SocketAddr, IpAddr), Vec<&Connection>> = BTreeMap::new();
    for connection in judged_connections(case) {
        groups.entry((connection.server, machine(connection.client.ip()))).or_default().push(connection);
    }
    groups.into_iter().map(|((server, _), group)| (server, group)).collect()
}

/// The host that a TLS handshake is for: its server name, else the target of its tunnel, else the best name of the address.
pub(super) fn host_of(case: &Case, handshake: &Handshake, connection: &Connection) -> Option<String> {
    handshake.server_name.seen().cloned().or_else(|| match handshake.tunnel {
        Some(index) => case.exchanges.get(index)?.host().map(str::to_ascii_lowercase),
        // Whether an unseen hello was for the proxy, or for a host behind it, is not known.
        None if handshake.server_name.veil().is_some() && is_proxy(case, connection) => None,
        None => best_name(connection),
    })
}

/// The subject of a finding about a handshake. Inside a tunnel the far end is the name, not the proxy.
pub(super) fn handshake_subject(case: &Case, handshake: &Handshake, connection: &Connection) -> Subject {
    let host = host_of(case, handshake, connection);
    let Some(index) = handshake.tunnel else { return subject(host, connection) };
    let target = case.exchanges.get(index).and_then(|exchange| exchange.url.rsplit_once(':'));
    let port = target.and_then(|(_, port)| port.parse().ok()).unwrap_or(443);
    Subject { host, address: None, port: Some(port), module: None }
}

/// Whether the handshake is with a proxy itself, whose tunnel then carries another.
pub(super) fn is_with_proxy(case: &Case, handshake: &Handshake, connection: &Connection) -> bool {
    handshake.tunnel.is_none() && is_proxy(case, connection)
}

/// The best name known for a connection's address.
pub(super) fn best_name(connection: &Connection) -> Option<String> {
    connection.names.first().cloned()
}

/// A finding's subject at a connection's far end.
pub(super) fn subject(host: Option<String>, connection: &Connection) -> Subject {
    Subject { host, address: Some(connection.server.ip()), port: Some(connection.server.port()), module: None }
}

/// The last connections to one of these hosts: by the hello of TLS, in clear by an answer.
pub(super) fn connections_to(case: &Case, hosts: &[String]) -> Vec<Evidence> {
    let encrypted = judged_handshakes(case).filter_map(|(handshake, connection)| {
        let name = handshake.server_name.seen().filter(|name| hosts.contains(name))?;
        Some((handshake.hello.as_ref()?.at, connection.flow, name.clone()))
    });
    let plain = case.exchanges.iter().filter_map(|exchange| {
        let judged = case.connection(exchange.flow).is_some_and(|connection| connection.relevance == Relevance::Go);
        let host = exchange.host()?.to_ascii_lowercase();
        (judged && !exchange.is_connect() && hosts.contains(&host)).then_some((exchange.response?, exchange.flow, host))
    });
    let mut cited: Vec<_> = encrypted.chain(plain).collect();
    cited.sort_by_key(|(at, ..)| *at);
    // The last ones are nearest to what go complains about.
    let skipped = cited.len().saturating_sub(CITED);
    cited
        .into_iter()
        .skip(skipped)
        .map(|(at, flow, host)| Evidence::segment("connection", at, flow, format!("to {host}")))
        .collect()
}

/// The segments in which one of these hosts answered what cannot be read.
pub(super) fn encrypted_answers(case: &Case, hosts: &[String]) -> Vec<Evidence> {
    let mut cited = Vec::new();
    for (handshake, connection) in judged_handshakes(case) {
        let named = handshake.server_name.seen().is_some_and(|name| hosts.contains(name));
        if !named || handshake.decrypted || handshake.outcome != Outcome::Completed {
            continue;
        }
        // The client's answer to the server's flight ends the handshake; what the server sends after it is data.
        let Some(hello) = handshake.server_hello.as_ref().map(|hello| hello.at) else { continue };
        let mut own = connection.segments.towards(Direction::ToServer).filter(|segment| segment.length > 0);
        let Some(finished) = own.find(|segment| segment.at > hello).map(|segment| segment.at) else { continue };
        let answers = connection.segments.towards(Direction::ToClient);
        let answers = answers.filter(|segment| segment.length > 0 && segment.at > finished);
        cited.extend(answers.map(|segment| (segment.at, connection.flow)));
    }
    cited.sort();
    let skipped = cited.len().saturating_sub(ENCRYPTED_SEGMENTS);
    let of = |(at, flow)| Evidence::segment("encrypted_answer", at, flow, "encrypted");
    cited.into_iter().skip(skipped).map(of).collect()
}

/// How a subject is called in a sentence: its name, else its address.
pub(super) fn called(subject: &Subject) -> String {
    match (&subject.host, subject.address) {
        (Some(host), _) => host.clone(),
        (None, Some(address)) => address.to_string(),
        (None, None) => "an unnamed host".to_owned(),
    }
}

/// Whether nothing but a Go-like hello ties this connection to go.
pub(super) fn is_incidental(connection: &Connection) -> bool {
    connection.relevance == Relevance::GoShaped
}

/// Whether the address belongs to a proxy that go's environment names, or that CONNECT was spoken to.
pub(super) fn is_proxy(case: &Case, connection: &Connection) -> bool {
    connection.tunnel.is_some()
        || case.go.proxies().iter().any(|(host, port)| {
            *port == connection.server.port()
                && (connection.names.iter().any(|name| name == host)
                    || host.parse::<IpAddr>().is_ok_and(|address| address == connection.server.ip()))
        })
}

/// Takes back whose fault it is where the address is not the host's and the recording does not show who said that it is:
/// what somebody else's server does says nothing of the host's.
pub(super) fn doubt_address(finding: &mut Finding, case: &Case, reference: &Reference) {
    let blames = matches!(finding.fault, Fault::Server | Fault::Upstream | Fault::Client);
    let at_address = matches!(finding.code.family(), "tcp" | "tls" | "cert" | "http");
    let (Some(host), Some(address)) = (finding.subject.host.as_deref(), finding.subject.address) else { return };
    let given = |lookup: &Lookup| lookup.answers.iter().any(|answer| answer.addresses().any(|given| given == address));
    if blames
        && at_address
        && address_is_honest(reference, host, address) == Some(false)
        && !case.lookups.iter().any(given)
        && !case.connections.iter().any(|connection| connection.server.ip() == address && is_proxy(case, connection))
    {
        finding.fault = Fault::Unknown;
        finding.not_excluded.push(format!(
            "{address} is not an address of {host}: an unseen DNS answer, or the hosts file, leads there"
        ));
        finding.details.insert("doubtful_address", Detail::Text(address.to_string()));
    }
}

/// Whether an honest answer, as far as one is known, says that the address is the host's.
pub(super) fn address_is_honest(reference: &Reference, host: &str, address: IpAddr) -> Option<bool> {
    match reference.honest_address(host, address) {
        Some(true) => Some(true),
        // A reference of another minute or place may give other addresses of the same operator.
        Some(false) => reference.in_operator_ranges(host, address).filter(|inside| *inside).or(Some(false)),
        None => reference.in_operator_ranges(host, address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Code, Confidence};
    use crate::observation::RecordType;
    use crate::testing::Scene;

    const HOST: &str = "proxy.golang.org";
    const TRUE: &str = "142.250.74.113";
    const FALSE: &str = "93.46.8.89";

    /// A connection that is refused at the second address, after DNS gave the first or nothing.
    fn refused(answered: Option<&str>, dialled: &str) -> Finding {
        let mut scene = Scene::new();
        scene.honest(HOST, &[TRUE]);
        scene.log(&format!("go: example.com/m@v1.0.0: Get \"https://{HOST}/example.com/m/@v/v1.0.0.info\": dial tcp {dialled}:443: connect: connection refused\n"));
        if let Some(address) = answered {
            let question = scene.ask(HOST, RecordType::A);
            scene.answer(&question, &[address]);
        }
        let tcp = scene.connect(&format!("{dialled}:443"));
        scene.syn(&tcp);
        scene.after_ms(30).refuse(&tcp, crate::testing::SERVER_TTL);
        scene.finding(Code::TcpConnectionRefused)
    }

    #[test]
    fn nobody_is_blamed_at_an_address_that_is_not_the_hosts_and_that_nobody_was_seen_to_give() {
        let finding = refused(None, FALSE);
        assert_eq!(finding.fault, Fault::Unknown);
        assert!(finding.confidence() < Confidence::Proven);
        assert!(finding.not_excluded.iter().any(|other| other.contains("hosts file")), "{finding:?}");
    }

    #[test]
    fn the_hosts_own_address_is_not_doubted_though_its_lookup_was_not_seen() {
        assert_eq!(refused(None, TRUE).fault, Fault::Upstream);
    }

    #[test]
    fn an_address_that_dns_gave_is_the_dns_detectors_business() {
        assert_eq!(refused(Some(FALSE), FALSE).fault, Fault::Upstream);
    }
}
