//! Hosts that go around the proxy although only the proxy reaches them.

use std::net::IpAddr;

use super::answers::why;
use crate::detect::subject::best_name;
use crate::finding::{Code, Confidence, Evidence, Fault, Finding, Subject};
use crate::go::proxy::misread::explain_no_proxy;
use crate::go::proxy::{Decision, DirectBecause, ProxyFunc};
use crate::observation::{Case, Connection, End, Opening, Outcome, Relevance};
use crate::reference::Reference;
use crate::types::{Moment, Span};

/// go waits five seconds for each answer of a resolver, and longer for everything else.
const DNS_PATIENCE: Span = Span::from_millis(4_500);

/// Judges direct connections and lookups that fail while a proxy is set up for other hosts.
pub(super) fn bypassed(case: &Case, reference: &Reference) -> Vec<Finding> {
    let Some(env) = &case.go.env else { return Vec::new() };
    let function = ProxyFunc::for_version(env, case.go.version);
    let all_proxy =
        ["ALL_PROXY", "all_proxy"].into_iter().find(|key| env.get(key).is_some_and(|value| !value.is_empty()));
    if function.proxies().next().is_none() && all_proxy.is_none() {
        return Vec::new();
    }
    let mut found: Vec<Finding> = Vec::new();
    // Of a recording of one direction alone nothing can be said to have failed.
    if case.health.two_sided == 0 && !case.health.one_sided.is_empty() {
        return Vec::new();
    }
    for Failure { host, port, shut, evidence } in failures(case) {
        let known = reference.host(&host).is_some() || case.go.names_host(&host);
        if case.go.is_proxy_host(&host)
            || !known
            || found.iter().any(|finding| finding.subject.host.as_deref() == Some(&host))
        {
            continue;
        }
        let scheme = if port == 80 { "http" } else { "https" };
        let Decision::Direct { because } = function.proxy_for(scheme, &host, port) else { continue };
        let (variable, reason, confidence) = match because {
            DirectBecause::Rule(_) => {
                let Some((variable, value)) = env.no_proxy() else { continue };
                let misread = explain_no_proxy(value, &host, port, &[]).filter(|misread| misread.kind.goes_direct());
                match misread {
                    Some(misread) => (variable, why(&misread, &host), Confidence::Strong),
                    // A host of one's own is named on purpose. That a public one must go direct, where a proxy is set up
                    // and the direct way is shut, is rather a mistake.
                    None if reference.host(&host).is_some() && shut => {
                        (variable, format!("{variable} takes it out of the proxy ({value})"), Confidence::Moderate)
                    }
                    None => continue,
                }
            }
            DirectBecause::NotSet => match (function.proxies().next(), all_proxy) {
                (Some((variable, _)), _) => {
                    (variable, format!("{variable} does not hold for {scheme} URLs"), Confidence::Strong)
                }
                (None, Some(variable)) => (variable, format!("Go does not read {variable}"), Confidence::Strong),
                (None, None) => continue,
            },
            DirectBecause::Unreadable { variable } => {
                (variable, format!("the value of {variable} is no URL, and Go ignores it"), Confidence::Strong)
            }
            DirectBecause::Loopback => continue,
        };
        found.push(finding(&host, port, variable, &reason, confidence, evidence));
    }
    found
}

fn finding(
    host: &str,
    port: u16,
    variable: &'static str,
    reason: &str,
    confidence: Confidence,
    evidence: Vec<Evidence>,
) -> Finding {
    let subject = Subject { host: Some(host.to_owned()), address: None, port: Some(port), module: None };
    let summary = format!("{host} goes around the proxy and cannot be reached directly: {reason}.");
    Finding::new(
        Code::ProxyBypassed,
        Fault::Client,
        confidence,
        subject,
        Evidence::variable(variable, reason.to_owned()),
        summary,
    )
    .with_evidence(evidence)
    .with_class(variable)
    .not_excluding("the host is meant to go direct, and the network stops it")
    .with_remedy(
        "Set HTTPS_PROXY (and HTTP_PROXY), and keep to NO_PROXY what really must go direct: a bare domain there takes all of its subdomains along.",
        Some("env | grep -i _proxy"),
    )
    .with_reference("golang.org/x/net/http/httpproxy, Config.NoProxy")
}

/// A host whose direct way fails, with what shows it.
struct Failure {
    host: String,
    port: u16,
    /// The network does not let the connection through, rather than the name being wrong.
    shut: bool,
    evidence: Vec<Evidence>,
}

fn failures(case: &Case) -> Vec<Failure> {
    let mut failures: Vec<Failure> = Vec::new();
    let mut add = |host: String, port: u16, shut: bool, evidence: Vec<Evidence>| match failures
        .iter_mut()
        .find(|known| known.host == host)
    {
        Some(known) => {
            known.shut |= shut;
            known.evidence.extend(evidence);
        }
        None => failures.push(Failure { host, port, shut, evidence }),
    };
    for connection in case
        .connections
        .iter()
        .filter(|connection| connection.relevance == Relevance::Go && connection.tunnel.is_none())
    {
        let evidence = match &connection.opening {
            Opening::Unanswered { syns } if syns.len() > 1 || !connection.icmp.is_empty() => attempts(connection, syns),
            Opening::Refused { syns, reset } => {
                let mut evidence = attempts(connection, syns);
                evidence.push(Evidence::segment("refusal", *reset, connection.flow, ""));
                evidence
            }
            Opening::Established { .. } => broken_handshake(case, connection),
            Opening::Unanswered { .. } | Opening::Unseen(_) => Vec::new(),
        };
        let works = case.handshakes.iter().any(|handshake| {
            handshake.outcome == Outcome::Completed
                && case.connection(handshake.flow).is_some_and(|other| other.server == connection.server)
        }) || case.exchanges.iter().any(|exchange| {
            exchange.status.is_some()
                && case.connection(exchange.flow).is_some_and(|other| other.server == connection.server)
        });
        if let Some(host) = best_name(connection).filter(|_| !works && !evidence.is_empty()) {
            add(host, connection.server.port(), true, evidence);
        }
    }
    for lookup in case.lookups.iter().filter(|lookup| lookup.relevance == Relevance::Go && lookup.query.is_some()) {
        let resolved = case.lookups.iter().any(|other| {
            other.name == lookup.name && other.answers.iter().any(|answer| answer.addresses().next().is_some())
        });
        let waited = lookup
            .query
            .as_ref()
            .is_some_and(|query| case.recording.until().is_some_and(|last| last.since(query.at.time) >= DNS_PATIENCE));
        let failed = !lookup.answers.is_empty() || waited || case.go.has_dns_timeout(&lookup.name);
        if resolved || !failed || lookup.name.parse::<IpAddr>().is_ok() {
            continue;
        }
        let mut evidence: Vec<Evidence> =
            lookup.query.iter().map(|query| Evidence::frame("direct_lookup", query.at, "")).collect();
        evidence.extend(lookup.answers.iter().map(|answer| Evidence::frame("denial", answer.at, "")));
        add(lookup.name.clone(), 443, false, evidence);
    }
    failures
}

fn attempts(connection: &Connection, syns: &[Moment]) -> Vec<Evidence> {
    syns.iter().map(|syn| Evidence::segment("direct_attempt", *syn, connection.flow, "")).collect()
}

/// A hello that was answered with a reset or a close, or never.
fn broken_handshake(case: &Case, connection: &Connection) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    for handshake in case.handshakes_in(connection.flow).filter(|handshake| handshake.server_hello.is_none()) {
        let Some(hello) = &handshake.hello else { continue };
        let end = match (handshake.outcome, connection.end) {
            (Outcome::Reset, End::Reset { at, .. }) => Some(at),
            (Outcome::Closed, _) => connection.fin.to_client,
            (Outcome::Unanswered, _) if connection.last.time.since(hello.at.time) >= DNS_PATIENCE => None,
            _ => continue,
        };
        for at in [hello.started, hello.at] {
            evidence.push(Evidence::segment("direct_attempt", at, connection.flow, "its hello"));
        }
        evidence.extend(end.map(|at| Evidence::segment("refusal", at, connection.flow, "")));
    }
    evidence
}
