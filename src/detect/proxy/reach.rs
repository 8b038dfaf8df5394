//! Whether the proxy can be reached, and whether it is spoken to in its own language.

use std::net::IpAddr;

use crate::finding::{Code, Confidence, Evidence, Fault, Finding, Subject};
use crate::go::GoErrorKind;
use crate::observation::{Case, Connection, Exchange, HttpProtocol, Opening, Outcome};

/// A proxy of go's environment, with the connections to it.
struct Proxy<'c> {
    host: String,
    port: u16,
    scheme: String,
    variable: &'static str,
    connections: Vec<&'c Connection>,
}

fn proxies(case: &Case) -> Vec<Proxy<'_>> {
    let Some(env) = &case.go.env else { return Vec::new() };
    let function = crate::go::proxy::ProxyFunc::for_version(env, case.go.version);
    let mut proxies: Vec<Proxy<'_>> = Vec::new();
    for (variable, url) in function.proxies() {
        let host = url.host().to_ascii_lowercase();
        if proxies.iter().any(|known| known.host == host && known.port == url.port()) {
            continue;
        }
        let connections = case
            .connections
            .iter()
            .filter(|connection| connection.server.port() == url.port())
            .filter(|connection| {
                connection.names.contains(&host)
                    || host.parse::<IpAddr>().is_ok_and(|address| address == connection.server.ip())
            })
            .collect();
        proxies.push(Proxy { host, port: url.port(), scheme: url.scheme().to_owned(), variable, connections });
    }
    proxies
}

impl Proxy<'_> {
    fn subject(&self) -> Subject {
        Subject {
            host: Some(self.host.clone()).filter(|host| host.parse::<IpAddr>().is_err()),
            address: self
                .connections
                .first()
                .map(|connection| connection.server.ip())
                .or_else(|| self.host.parse().ok()),
            port: Some(self.port),
            module: None,
        }
    }
}

/// The proxy refuses, does not answer, or its name does not resolve.
pub(super) fn unreachable(case: &Case) -> Vec<Finding> {
    proxies(case)
        .iter()
        .filter_map(|proxy| refused_or_silent(case, proxy).or_else(|| unresolved(case, proxy)))
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
    let summary = format!("The proxy {}:{} ({}) {how}.", proxy.host, proxy.port, proxy.variable);
    let confidence = if refused > 0 || unreachable > 0 { Confidence::Proven } else { Confidence::Strong };
    let finding =
        Finding::new(Code::ProxyUnreachable, Fault::ProxyUpstream, confidence, proxy.subject(), first, summary)
            .with_evidence(evidence.take(64));
    Some(advise(finding, proxy, how))
}

fn advise(mut finding: Finding, proxy: &Proxy<'_>, how: &str) -> Finding {
    finding.cite(Evidence::variable(proxy.variable, format!("{}://{}:{}", proxy.scheme, proxy.host, proxy.port)));
    finding
        .with_class(how.to_owned())
        .with_remedy(
            format!("Check host and port in {}; ask the proxy's administrators whether it runs.", proxy.variable),
            Some("go env -json | grep -i proxy; env | grep -i _proxy"),
        )
        .with_reference("golang.org/x/net/http/httpproxy")
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
    let denied = lookups.iter().any(|lookup| !lookup.answers.is_empty());
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
    let summary = format!("The proxy {}:{} ({}) cannot be reached: {how}.", proxy.host, proxy.port, proxy.variable);
    let confidence = if denied { Confidence::Strong } else { Confidence::Moderate };
    let finding =
        Finding::new(Code::ProxyUnreachable, Fault::ProxyUpstream, confidence, proxy.subject(), first, summary)
            .with_evidence(rest)
            .not_excluding("the resolver, not the name, is at fault");
    Some(advise(finding, proxy, how))
}

/// TLS to a plain port, HTTP to a SOCKS port, and the reverse of each.
pub(super) fn wrong_scheme(case: &Case) -> Vec<Finding> {
    proxies(case).iter().filter_map(|proxy| mismatch(case, proxy)).collect()
}

fn mismatch(case: &Case, proxy: &Proxy<'_>) -> Option<Finding> {
    let mut evidence: Vec<Evidence> = Vec::new();
    let mut what = None;
    for connection in &proxy.connections {
        let flow = connection.flow;
        for handshake in case.handshakes_in(flow).filter(|_| connection.tunnel.is_none()) {
            let Some(hello) = &handshake.hello else { continue };
            let answer = match handshake.outcome {
                Outcome::NotTls => handshake.not_tls.as_ref().map(|not_tls| (not_tls.at, text_of(&not_tls.head))),
                Outcome::Closed if handshake.server_hello.is_none() => {
                    connection.fin.to_client.map(|at| (at, "it closes".to_owned()))
                }
                Outcome::Reset if handshake.server_hello.is_none() => match connection.end {
                    crate::observation::End::Reset { at, .. } => Some((at, "it resets".to_owned())),
                    _ => None,
                },
                _ => None,
            };
            if let Some((at, said)) = answer {
                evidence.push(Evidence::segment("plain_answer", at, flow, said));
                evidence.push(Evidence::segment("client_hello", hello.started, flow, "TLS to the proxy itself"));
                evidence.push(Evidence::segment("client_hello", hello.at, flow, "TLS to the proxy itself"));
                what.get_or_insert(("TLS", "it does not speak TLS on that port", "http"));
            }
        }
        for exchange in case.exchanges_in(flow).filter(|exchange| exchange.status.is_none()) {
            let Some(at) = exchange.response.or(exchange.request) else { continue };
            let Some(kind) = foreign(case, connection, exchange) else { continue };
            evidence.push(Evidence::segment("foreign_answer", at, flow, exchange.error.clone().unwrap_or_default()));
            what.get_or_insert(kind);
        }
    }
    let said = case.go.errors().iter().find(|error| {
        matches!(error.kind.innermost(), GoErrorKind::MalformedHttp { .. } | GoErrorKind::SocksError { .. })
            && !proxy.connections.is_empty()
            && matches!(error.kind.innermost(), GoErrorKind::MalformedHttp { .. })
    });
    if let (None, Some(error)) = (what, said) {
        what = Some(("HTTP", "it answers in another protocol", "socks5"));
        evidence.push(Evidence::log(error.line, error.text.clone()));
    }
    let (spoken, answer, better) = what?;
    let mut evidence = evidence.into_iter();
    let first = evidence.next()?;
    let certain = first.role == "plain_answer" && !first.note.starts_with("it ");
    let summary = format!(
        "go speaks {spoken} to the proxy {}:{} because {} says {}://, but {answer}.",
        proxy.host, proxy.port, proxy.variable, proxy.scheme
    );
    let confidence = if certain { Confidence::Proven } else { Confidence::Moderate };
    let mut finding = Finding::new(Code::ProxyWrongScheme, Fault::Client, confidence, proxy.subject(), first, summary)
        .with_evidence(evidence.take(48));
    finding.cite(Evidence::variable(proxy.variable, format!("{}://{}:{}", proxy.scheme, proxy.host, proxy.port)));
    if !certain {
        finding = finding.not_excluding("the proxy was failing at that moment");
    }
    Some(
        finding
            .with_class(proxy.scheme.clone())
            .with_remedy(
                format!("Write the scheme that the proxy speaks, most often {better}://. The scheme is that of the way to the proxy, not of the pages."),
                Some(&format!("export {}={better}://{}:{}", proxy.variable, proxy.host, proxy.port)),
            )
            .with_reference("golang.org/x/net/http/httpproxy, Config.HTTPSProxy"),
    )
}

/// A request whose answer was in another protocol.
fn foreign(
    _: &Case,
    connection: &Connection,
    exchange: &Exchange,
) -> Option<(&'static str, &'static str, &'static str)> {
    exchange.error.as_ref()?;
    if connection.bytes.to_client == 0 {
        return None;
    }
    match exchange.protocol {
        HttpProtocol::Socks => Some(("SOCKS", "it does not speak SOCKS on that port", "http")),
        HttpProtocol::Http1 if exchange.is_connect() => Some(("HTTP", "it does not speak HTTP on that port", "socks5")),
        _ => None,
    }
}

fn text_of(head: &[u8]) -> String {
    String::from_utf8_lossy(head)
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .take(80)
        .collect()
}
