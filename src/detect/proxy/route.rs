//! Hosts that go around the proxy although only the proxy reaches them.

use std::net::IpAddr;

use super::answers::why;
use crate::detect::subject::best_name;
use crate::finding::{Code, Confidence, Evidence, Fault, Finding, Subject};
use crate::go::proxy::misread::explain_no_proxy;
use crate::go::proxy::{Decision, DirectBecause, ProxyFunc};
use crate::observation::{Case, Opening, Relevance};
use crate::reference::Reference;

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
    for (host, port, evidence) in failures(case) {
        let known = reference.host(&host).is_some() || case.go.names_host(&host);
        if case.go.is_proxy_host(&host)
            || !known
            || found.iter().any(|finding| finding.subject.host.as_deref() == Some(&host))
        {
            continue;
        }
        let scheme = if port == 80 { "http" } else { "https" };
        let Decision::Direct { because } = function.proxy_for(scheme, &host, port) else { continue };
        let (variable, reason) = match because {
            DirectBecause::Rule(_) => {
                let Some((variable, value)) = env.no_proxy() else { continue };
                let misread = explain_no_proxy(value, &host, port, &[]).filter(|misread| misread.kind.goes_direct());
                // A host that NO_PROXY names itself goes direct on purpose.
                let Some(misread) = misread else { continue };
                (variable, why(&misread, &host))
            }
            DirectBecause::NotSet => match (function.proxies().next(), all_proxy) {
                (Some((variable, _)), _) => (variable, format!("{variable} does not hold for {scheme} URLs")),
                (None, Some(variable)) => (variable, format!("Go does not read {variable}")),
                (None, None) => continue,
            },
            DirectBecause::Unreadable { variable } => {
                (variable, format!("the value of {variable} is no URL, and Go ignores it"))
            }
            DirectBecause::Loopback => continue,
        };
        found.push(finding(&host, port, variable, &reason, evidence));
    }
    found
}

fn finding(host: &str, port: u16, variable: &'static str, reason: &str, evidence: Vec<Evidence>) -> Finding {
    let subject = Subject { host: Some(host.to_owned()), address: None, port: Some(port), module: None };
    let summary = format!("{host} goes around the proxy and cannot be reached directly: {reason}.");
    Finding::new(
        Code::ProxyBypassed,
        Fault::Client,
        Confidence::Strong,
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

/// Hosts whose direct way fails, each with what shows it.
fn failures(case: &Case) -> Vec<(String, u16, Vec<Evidence>)> {
    let mut failures: Vec<(String, u16, Vec<Evidence>)> = Vec::new();
    for connection in case
        .connections
        .iter()
        .filter(|connection| connection.relevance == Relevance::Go && connection.tunnel.is_none())
    {
        let syns = match &connection.opening {
            Opening::Unanswered { syns } | Opening::Refused { syns, .. } => syns,
            Opening::Established { .. } | Opening::Unseen(_) => continue,
        };
        let works = case.connections.iter().any(|other| other.server == connection.server && other.bytes.to_client > 0);
        let Some(host) = best_name(connection).filter(|_| !works) else { continue };
        let mut evidence: Vec<Evidence> =
            syns.iter().map(|syn| Evidence::segment("direct_attempt", *syn, connection.flow, "")).collect();
        if let Opening::Refused { reset, .. } = connection.opening {
            evidence.push(Evidence::segment("refusal", reset, connection.flow, ""));
        }
        match failures.iter_mut().find(|(known, ..)| *known == host) {
            Some((.., known)) => known.extend(evidence),
            None => failures.push((host, connection.server.port(), evidence)),
        }
    }
    for lookup in case.lookups.iter().filter(|lookup| lookup.relevance == Relevance::Go && lookup.query.is_some()) {
        let resolved = case.lookups.iter().any(|other| {
            other.name == lookup.name && other.answers.iter().any(|answer| answer.addresses().next().is_some())
        });
        if resolved || lookup.name.parse::<IpAddr>().is_ok() {
            continue;
        }
        let mut evidence: Vec<Evidence> =
            lookup.query.iter().map(|query| Evidence::frame("direct_lookup", query.at, "")).collect();
        evidence.extend(lookup.answers.iter().map(|answer| Evidence::frame("denial", answer.at, "")));
        match failures.iter_mut().find(|(known, ..)| *known == lookup.name) {
            Some((.., known)) => known.extend(evidence),
            None => failures.push((lookup.name.clone(), 443, evidence)),
        }
    }
    failures
}
