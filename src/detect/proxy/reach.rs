//! Whether the proxy can be reached.

use std::net::IpAddr;

use super::known::{Proxy, proxies};
use super::scheme;
use crate::finding::{Code, Confidence, Evidence, Fault, Finding};
use crate::go::GoErrorKind;
use crate::observation::{Case, Connection, End, HttpProtocol, Opening, RecordType};
use crate::types::{Direction, Span};

/// DNS response code (IANA).
const NXDOMAIN: u16 = 3;
/// How long a proxy may take to connect; go gives it a minute (Go: `src/net/http/transport.go`, `dialConn`).
const PATIENCE: Span = Span::from_seconds(30);

/// The proxy refuses, does not answer, or its name does not resolve.
pub(super) fn unreachable(case: &Case) -> Vec<Finding> {
    proxies(case)
        .iter()
        .filter_map(|proxy| {
            refused_or_silent(case, proxy)
                .or_else(|| mute(case, proxy))
                .or_else(|| unresolved(case, proxy))
                .or_else(|| by_words(case, proxy))
        })
        .collect()
}

fn refused_or_silent(case: &Case, proxy: &Proxy<'_>) -> Option<Finding> {
    let answers = |connection: &&&Connection| {
        connection.bytes.to_client > 0 || matches!(connection.opening, Opening::Established { .. })
    };
    if proxy.connections.iter().any(|connection| answers(&connection)) {
        return None;
    }
    let mut evidence: Vec<Evidence> = Vec::new();
    let (mut refused, mut silent, mut unreachable) = (0, 0, 0);
    for connection in &proxy.connections {
        match &connection.opening {
            Opening::Refused { syns, reset } => {
                refused += 1;
                evidence.push(Evidence::segment("refusal", *reset, connection.flow, "RST to the SYN"));
                evidence.extend(syns.iter().map(|syn| Evidence::segment("syn", *syn, connection.flow, "")));
            }
            Opening::Unanswered { syns } => {
                for error in connection.icmp.iter().filter_map(|index| case.icmp.get(*index)) {
                    unreachable += 1;
                    evidence.push(Evidence::segment(
                        "icmp_error",
                        error.at,
                        connection.flow,
                        format!("from {}", error.from),
                    ));
                }
                silent += usize::from(syns.len() >= 2);
                evidence.extend(syns.iter().map(|syn| Evidence::segment("syn", *syn, connection.flow, "")));
            }
            Opening::Established { .. } | Opening::Unseen(_) => {}
        }
    }
    let how = match (refused, unreachable, silent) {
        (1.., _, _) => "refuses the connection: nothing listens on that port",
        (0, 1.., _) => "cannot be reached, says ICMP",
        (0, 0, 1..) => "does not answer",
        _ => return None,
    };
    let mut evidence = evidence.into_iter();
    let first = evidence.next()?;
    let summary = format!("The proxy {} ({}) {how}.", proxy.called(), proxy.variable);
    let confidence = if refused > 0 || unreachable > 0 { Confidence::Proven } else { Confidence::Strong };
    let finding =
        Finding::new(Code::ProxyUnreachable, Fault::ProxyUpstream, confidence, proxy.subject(), first, summary)
            .with_evidence(evidence.take(64));
    Some(advise(finding, proxy, how))
}

/// It takes connections and answers no CONNECT: it hangs up, or stays silent for as long as go waits.
fn mute(case: &Case, proxy: &Proxy<'_>) -> Option<Finding> {
    if case.go.failed() == Some(false) || proxy.port.is_some_and(scheme::has_custom) {
        return None;
    }
    let mut evidence: Vec<Evidence> = Vec::new();
    let mut closed = false;
    for connection in &proxy.connections {
        if connection.bytes.to_client > 0 {
            return None;
        }
        let connects = case.exchanges_in(connection.flow);
        let asked = connects.filter(|exchange| exchange.is_connect() && exchange.protocol != HttpProtocol::Socks);
        for exchange in asked {
            let Some(request) = exchange.request else { continue };
            let end = scheme::hung_up(case, connection)
                .map(|(at, said)| Evidence::segment("close", at, connection.flow, said));
            let waited = case.recording.until().is_some_and(|last| last.since(request.time) >= PATIENCE);
            // A reset with the marks of a forgery is the path's.
            let reset = matches!(connection.end, End::Reset { direction: Direction::ToClient, .. });
            if end.is_none()
                && (!waited
                    || reset
                    || connection.fin.to_server.is_some_and(|own| own.time.since(request.time) < PATIENCE))
            {
                continue;
            }
            closed |= end.is_some();
            evidence.push(Evidence::segment("connect_request", request, connection.flow, exchange.url.clone()));
            evidence.extend(end);
        }
    }
    let how = if closed { "hangs up at CONNECT without an answer" } else { "does not answer CONNECT" };
    let mut evidence = evidence.into_iter();
    let first = evidence.next()?;
    let summary = format!("The proxy {} ({}) takes connections and {how}.", proxy.called(), proxy.variable);
    let finding = Finding::new(
        Code::ProxyUnreachable,
        Fault::ProxyUpstream,
        Confidence::Moderate,
        proxy.subject(),
        first,
        summary,
    )
    .with_evidence(evidence.take(64))
    .not_excluding("a port on which TLS or another protocol is expected")
    .not_excluding("a policy that hangs up instead of refusing");
    Some(advise(finding, proxy, how))
}

fn advise(mut finding: Finding, proxy: &Proxy<'_>, how: &str) -> Finding {
    finding.cite(proxy.named_by.clone());
    finding
        .with_class(how.to_owned())
        .with_remedy(
            format!("Check host and port in {}; ask the proxy's administrators whether it runs.", proxy.variable),
            Some("go env -json | grep -i proxy; env | grep -i _proxy"),
        )
        .with_reference("golang.org/x/net/http/httpproxy")
}

/// A proxy on the client itself is not in the recording: go's words must do.
fn by_words(case: &Case, proxy: &Proxy<'_>) -> Option<Finding> {
    if !proxy.connections.is_empty() {
        return None;
    }
    let (error, how) = case.go.errors().iter().filter(|error| proxy.is_meant_by(error)).find_map(|error| {
        let how = match error.kind.innermost() {
            GoErrorKind::ConnectionRefused => "refuses the connection: nothing listens on that port",
            GoErrorKind::DialTimeout => "does not answer",
            GoErrorKind::NoRoute | GoErrorKind::NetworkUnreachable => "cannot be reached, says the client's system",
            _ => return None,
        };
        Some((error, how))
    })?;
    let local = proxy.host == "localhost" || proxy.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let confidence = if local { Confidence::Strong } else { Confidence::Moderate };
    let finding = Finding::new(
        Code::ProxyUnreachable,
        Fault::ProxyUpstream,
        confidence,
        proxy.subject(),
        Evidence::log(error.line, error.text.clone()),
        format!("The proxy {} ({}) {how}.", proxy.called(), proxy.variable),
    )
    .not_excluding("a failure that the recording does not show");
    Some(advise(finding, proxy, how))
}

/// The proxy's name does not resolve: by the recording, else by go's words.
fn unresolved(case: &Case, proxy: &Proxy<'_>) -> Option<Finding> {
    if !proxy.connections.is_empty() || proxy.host.parse::<IpAddr>().is_ok() {
        return None;
    }
    let lookups: Vec<_> = case.lookups.iter().filter(|lookup| lookup.name == proxy.host).collect();
    let answered = lookups.iter().any(|lookup| lookup.answers.iter().any(|answer| answer.addresses().next().is_some()));
    let says = case.go.errors().iter().find(|error| {
        matches!(error.kind, GoErrorKind::ProxyConnect(_))
            && (error.lookup.as_deref() == Some(proxy.host.as_str())
                || error.host.as_deref() == Some(proxy.host.as_str()))
    });
    if answered || (lookups.is_empty() && says.is_none()) {
        return None;
    }
    // No IPv6 address is no denial: the answer about IPv4 may still come.
    let denied = lookups.iter().any(|lookup| {
        lookup.answers.iter().any(|answer| lookup.record_type == RecordType::A || answer.rcode == NXDOMAIN)
    });
    if !denied && says.is_none() {
        return None;
    }
    let mut evidence = lookups
        .iter()
        .flat_map(|lookup| {
            let question = lookup.query.as_ref().map(|query| Evidence::frame("question", query.at, ""));
            question.into_iter().chain(lookup.answers.iter().map(|answer| Evidence::frame("denial", answer.at, "")))
        })
        .chain(says.map(|error| Evidence::log(error.line, error.text.clone())));
    let first = evidence.next()?;
    let rest: Vec<Evidence> = evidence.collect();
    let how = "its name does not resolve";
    let summary = format!("The proxy {} ({}) cannot be reached: {how}.", proxy.called(), proxy.variable);
    let confidence = if denied { Confidence::Strong } else { Confidence::Moderate };
    let finding =
        Finding::new(Code::ProxyUnreachable, Fault::ProxyUpstream, confidence, proxy.subject(), first, summary)
            .with_evidence(rest)
            .not_excluding("the resolver, not the name, is at fault");
    Some(advise(finding, proxy, how))
}
