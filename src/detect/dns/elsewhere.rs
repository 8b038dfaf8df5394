//! Addresses that no answer to the name's own question gave: the hosts file, another local setting, a search suffix.

use std::net::IpAddr;

use super::lying::{leads_nowhere, with_address};
use super::view::{Identity, Names, identity, network};
use crate::detect::attempt::segment_at;
use crate::detect::subject::{address_is_honest, is_proxy};
use crate::finding::{Code, Confidence, Evidence, Fault, Finding, Subject};
use crate::observation::{Case, Connection, Opening, Relevance};
use crate::reference::Reference;

/// Connections cited, and SYNs of each.
const CITED: usize = 16;

pub(super) fn assess(case: &Case, reference: &Reference, names: &Names<'_>) -> Vec<Finding> {
    let mut found = hosts_file(case, reference, names);
    let by_search = by_search_suffix(case, reference);
    found.extend(by_search);
    found
}

/// go's direct connections, each with the name that it is for.
fn direct(case: &Case) -> impl Iterator<Item = (String, &Connection)> {
    case.connections
        .iter()
        .filter(|connection| connection.relevance == Relevance::Go && !is_proxy(case, connection))
        .filter(|connection| speaks_tls_at_once(case, connection))
        .filter_map(|connection| {
            let server_name =
                case.handshakes_in(connection.flow).find_map(|handshake| handshake.server_name.seen().cloned());
            Some((server_name.or_else(|| case.go.host_of(connection.server))?, connection))
        })
}

/// Whether the hello, if there is one, is the first thing said: behind a request to a proxy, seen or not, the address is
/// the proxy's.
fn speaks_tls_at_once(case: &Case, connection: &Connection) -> bool {
    case.handshakes_in(connection.flow).filter_map(|handshake| handshake.hello.as_ref()).all(|hello| {
        let first = segment_at(connection, hello.started);
        let begins = connection.initial_seq.to_server.map(|initial| initial.wrapping_add(1));
        first.is_some_and(|first| Some(first.seq) == begins)
    })
}

/// Connections for a name whose lookup would have been seen and was not, to an address that is not the name's.
fn hosts_file(case: &Case, reference: &Reference, names: &Names<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    // A snap length that cuts every DNS message leaves no lookup to be seen.
    if case.lookups.is_empty() && case.health.cut_frames > 0 {
        return found;
    }
    let mut suspects: Vec<(String, IpAddr, u16, Option<Evidence>)> = Vec::new();
    for (host, connection) in direct(case) {
        let evidence =
            Evidence::segment("connection", connection.first, connection.flow, format!("to {}", connection.server));
        suspects.push((host, connection.server.ip(), connection.server.port(), Some(evidence)));
    }
    // Where a proxy is dialled, the address beside the wanted host is the proxy's.
    let direct_errors = || case.go.errors().iter().filter(|error| !error.is_about_proxy());
    for error in direct_errors() {
        if let (Some(host), Some(address)) = (&error.host, error.address) {
            suspects.push((host.clone(), address.ip(), address.port(), None));
        }
    }
    for (host, address, port, evidence) in suspects {
        let proxied = case.go.proxies().iter().any(|(proxy, proxy_port)| {
            // A proxy's name that was not looked up in the recording may have any address.
            *proxy_port == port && proxy.parse::<IpAddr>().map_or(true, |known| known == address)
        });
        if host.parse::<IpAddr>().is_ok() || names.find(&host).is_some() || proxied || case.go.is_proxy_host(&host) {
            continue;
        }
        // Nothing of the kind may be concluded where DNS was not recorded, or the name's own lookup came before.
        let looked_up =
            case.lookups.iter().any(|lookup| lookup.name == host || lookup.name.starts_with(&format!("{host}.")));
        let special = reference.special(address).is_some();
        let public = reference.host(&host).is_some();
        let contradicts = match address_is_honest(reference, &host, address) {
            Some(true) => stale(case, reference, &host, address),
            Some(false) => true,
            None => special && public,
        };
        let by_words = direct_errors().find(|error| {
            error.host.as_deref() == Some(host.as_str()) && error.address.is_some_and(|known| known.ip() == address)
        });
        if looked_up
            || !contradicts
            || found.iter().any(|finding| finding.subject.host.as_deref() == Some(host.as_str()))
        {
            continue;
        }
        let confirmed = matches!(identity(case, &host, address), Identity::Confirmed(_));
        let evidence = evidence.or_else(|| by_words.map(|error| Evidence::log(error.line, error.text.clone())));
        let Some(evidence) = evidence else { continue };
        let other_lookups = !case.lookups.is_empty();
        let foreign = matches!(identity(case, &host, address), Identity::Contradicted { .. });
        let classes =
            1 + usize::from(other_lookups) + usize::from(by_words.is_some() || special) + usize::from(foreign);
        let subject = Subject { host: Some(host.clone()), address: Some(address), port: Some(port), module: None };
        let summary = format!(
            "go connects to {host} at {address}, which is not its address, and no DNS answer says so: the hosts file or another local setting does."
        );
        let mut finding = Finding::new(
            Code::DnsLocalOverride,
            if confirmed { Fault::Harmless } else { Fault::Client },
            Confidence::from_classes(classes).min(Confidence::Strong),
            subject,
            evidence,
            summary,
        )
        .with_class(network(address))
        .with_remedy(
            "Look for the name in the hosts file and in local resolver settings.",
            Some(&format!("getent hosts {host}")),
        )
        .with_reference("hosts(5)");
        finding = if other_lookups {
            finding.excluding("the recording missed DNS", "other names are looked up in it")
        } else {
            finding.not_excluding("a DNS answer before the recording began, or one from a local or encrypted resolver")
        };
        for (_, connection) in
            direct(case).filter(|(name, one)| *name == host && one.server.ip() == address).take(CITED)
        {
            finding.cite(Evidence::segment("connection", connection.first, connection.flow, ""));
            if let Opening::Unanswered { syns } = &connection.opening {
                for syn in syns.iter().take(CITED) {
                    finding.cite(Evidence::segment("unanswered_syn", *syn, connection.flow, ""));
                }
            }
        }
        found.push(finding);
    }
    found
}

/// An address of the operator that honest resolvers do not give and where nothing is: as old entries of a hosts file are.
fn stale(case: &Case, reference: &Reference, host: &str, address: IpAddr) -> bool {
    reference.honest_address(host, address) == Some(false)
        && reference.honest_name(host).is_some_and(|honest| honest.addresses().next().is_some())
        && leads_nowhere(case, address)
        // A recording that holds answers to others may have begun after this one's.
        && case.lookups.is_empty()
}

/// A public name that was looked up beneath a search suffix whose wildcard has an address for everything.
fn by_search_suffix(case: &Case, reference: &Reference) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for lookup in case.lookups.iter().filter(|lookup| lookup.relevance == Relevance::Go) {
        if reference.is_go_host(&lookup.name) || case.go.names_host(&lookup.name) {
            continue;
        }
        for (host, connection) in direct(case).filter(|(_, connection)| connection.client.ip() == lookup.client.ip()) {
            let address = connection.server.ip();
            let Some(suffix) = lookup.name.strip_prefix(host.as_str()).and_then(|rest| rest.strip_prefix('.')) else {
                continue;
            };
            let Some(answer) = lookup.answers.iter().find(|answer| answer.addresses().any(|given| given == address))
            else {
                continue;
            };
            // Where the name itself was answered with the address, the suffix has no part in it.
            let by_itself = case.lookups.iter().any(|other| {
                other.name == host && other.answers.iter().any(|own| own.addresses().any(|given| given == address))
            });
            if by_itself
                || address_is_honest(reference, &host, address) == Some(true)
                || matches!(identity(case, &host, address), Identity::Confirmed(_))
            {
                continue;
            }
            let evidence = Evidence::frame("answer", answer.at, format!("{} is {address}", lookup.name));
            if let Some(known) = found.iter_mut().find(|known| known.subject.host.as_deref() == Some(host.as_str())) {
                known.cite(evidence);
                continue;
            }
            let subject =
                Subject { host: Some(host.clone()), port: Some(connection.server.port()), ..Subject::default() };
            let mut finding = Finding::new(
                Code::DnsLocalOverride,
                Fault::Client,
                Confidence::Strong,
                with_address(subject, address),
                evidence,
                format!("go connects to {host} at {address}, which is the address of {}: the search domain {suffix} was added to the name, and it answers for everything.", lookup.name),
            )
            .with_class(network(address))
            .with_text("search_domain", suffix)
            .with_remedy(
                "Take the search domain out of resolv.conf, or lower ndots; in containers, the runtime's DNS settings.",
                Some("grep -E '^(search|options)' /etc/resolv.conf"),
            )
            .with_reference("resolv.conf(5), search and ndots")
            .not_excluding("a mirror of the host beneath the search domain, on purpose");
            if let Some(query) = &lookup.query {
                finding.cite(Evidence::frame("question", query.at, lookup.name.clone()));
            }
            finding.cite(Evidence::segment("connection", connection.first, connection.flow, ""));
            found.push(finding);
        }
    }
    found
}
