//! What a proxy answers to CONNECT, and to the SOCKS request that says the same.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::detect::subject::best_name;
use crate::finding::{Code, Confidence, Evidence, Fault, Finding, Subject};
use crate::go::proxy::misread::{MisreadKind, NoProxyMisread, explain_no_proxy};
use crate::observation::{Case, Exchange, HttpProtocol, Relevance};
use crate::reference::Reference;
use crate::reference::honest::HonestName;
use crate::types::Direction;

/// Segments of a proxy's page that are cited.
const PAGE_SEGMENTS: usize = 8;

/// What an answer means.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    Denied,
    WantsPassword,
    CannotReach,
}

pub(super) fn assess(case: &Case, reference: &Reference) -> Vec<Finding> {
    let mut groups: BTreeMap<(&str, Answer), Vec<&Exchange>> = BTreeMap::new();
    for exchange in case.exchanges.iter().filter(|exchange| exchange.is_connect() || wants_password_for_url(exchange)) {
        let judged = case.connection(exchange.flow).is_some_and(|connection| connection.relevance == Relevance::Go);
        if let Some(answer) = meaning(exchange).filter(|_| judged) {
            groups.entry((exchange.url.as_str(), answer)).or_default().push(exchange);
        }
    }
    groups
        .into_iter()
        // A proxy that wants a password once and then lets the same target pass is no obstacle.
        .filter(|((url, _), _)| {
            let passed = |other: &Exchange| if other.is_connect() { opened(other) } else { other.status < Some(400) };
            !case.exchanges.iter().any(|other| other.url == *url && other.status.is_some() && passed(other))
        })
        .filter_map(|((_, answer), exchanges)| refusal(case, reference, answer, &exchanges))
        .collect()
}

/// Whether a proxy that was given a whole URL, in clear, wants a password (RFC 9110 §15.5.8).
fn wants_password_for_url(exchange: &Exchange) -> bool {
    exchange.status == Some(407) && exchange.url.starts_with("http://")
}

/// The port that is asked for.
fn port_of(exchange: &Exchange) -> u16 {
    let (usual, rest) = exchange.url.strip_prefix("http://").map_or((443, exchange.url.as_str()), |rest| (80, rest));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(usual)
}

/// Whether a tunnel was opened.
fn opened(exchange: &Exchange) -> bool {
    match (exchange.protocol, exchange.status) {
        (HttpProtocol::Socks, Some(status)) => status == 0 || status == 90,
        (_, Some(status)) => (200..300).contains(&status),
        (_, None) => false,
    }
}

fn meaning(exchange: &Exchange) -> Option<Answer> {
    if opened(exchange) || super::scheme::is_foreign_status(exchange) {
        return None;
    }
    if exchange.protocol == HttpProtocol::Socks && exchange.status.is_none() {
        // The proxy ended it over the way to authenticate (RFC 1928 §3, RFC 1929 §2); other errors are of other causes.
        let words = ["no acceptable authentication method", "user name or password not accepted"];
        return words.contains(&exchange.reason.as_str()).then_some(Answer::WantsPassword);
    }
    let status = exchange.status?;
    if exchange.protocol == HttpProtocol::Socks {
        // RFC 1928 §6; SOCKS4: 91 rejected, 92 and 93 identd.
        return match status {
            // 7: the command, so CONNECT itself, is not served.
            2 | 7 | 91 => Some(Answer::Denied),
            92 | 93 => Some(Answer::WantsPassword),
            1..=89 => Some(Answer::CannotReach),
            _ => None,
        };
    }
    match status {
        // 401 is a server's, but some proxies say so where the password is wrong (tinyproxy).
        401 | 407 => Some(Answer::WantsPassword),
        500..=599 => Some(Answer::CannotReach),
        300..=499 => Some(Answer::Denied),
        _ => None,
    }
}

fn refusal(case: &Case, reference: &Reference, answer: Answer, exchanges: &[&Exchange]) -> Option<Finding> {
    let first = exchanges.first()?;
    let connection = case.connection(first.flow)?;
    let proxy = best_name(connection).unwrap_or_else(|| connection.server.ip().to_string());
    let asked = first.host().map(str::to_ascii_lowercase);
    let port = port_of(first);
    let said = match (first.status, first.reason.as_str()) {
        (Some(status), "") => status.to_string(),
        (Some(status), reason) => format!("{status} {reason}"),
        (None, reason) => reason.to_owned(),
    };
    // SOCKS may end before any host was asked for.
    let subject = match &asked {
        Some(target) => Subject { host: Some(target.clone()), address: None, port: Some(port), module: None },
        None => crate::detect::subject::subject(best_name(connection), connection),
    };
    let target = asked.unwrap_or_else(|| "any host".to_owned());
    let port = if first.url.is_empty() { String::new() } else { format!(":{port}") };
    let number = port_of(first);
    let misread = misread(case, reference, &target, number);
    let (code, fault, summary) = match answer {
        _ if misread.is_some() && answer != Answer::WantsPassword => (
            Code::ProxyNotExcluded,
            Fault::Client,
            format!(
                "{target} was meant to go direct, but Go sends it to the proxy {proxy}, which answers {said}: {}.",
                misread.as_ref().map(|misread| why(misread, &target)).unwrap_or_default()
            ),
        ),
        Answer::Denied => (
            Code::ProxyConnectDenied,
            Fault::ProxyPolicy,
            format!("The proxy {proxy} denies the connection to {target}{port}: {said}."),
        ),
        Answer::WantsPassword => (
            Code::ProxyAuthRequired,
            Fault::Client,
            format!("The proxy {proxy} wants authentication for {target}{port}: {said}."),
        ),
        Answer::CannotReach => (
            Code::ProxyUpstreamError,
            Fault::ProxyUpstream,
            format!("The proxy {proxy} cannot reach {target}{port}: {said}."),
        ),
    };
    let at = first.response.or(first.request)?;
    let mut finding = Finding::new(
        code,
        fault,
        Confidence::Proven,
        subject,
        Evidence::segment("proxy_answer", at, first.flow, said.clone()),
        summary,
    )
    .with_text("proxy", proxy.clone())
    .with_class(format!("{proxy} {}", first.status.map_or_else(|| first.reason.clone(), |status| status.to_string())))
    .excluding(
        "the server itself refuses",
        if first.is_connect() {
            "the answer to CONNECT is the proxy's own; the server was never reached"
        } else {
            "407 is what proxies alone answer"
        },
    );
    if let Some(status) = first.status {
        finding = finding.with_number("status", status.into());
    }
    for exchange in exchanges {
        if let Some(at) = exchange.response {
            finding.cite(Evidence::segment("proxy_answer", at, exchange.flow, said.clone()));
            // Its page goes on behind the head; the client may have hung up before its end.
            let last = !case.exchanges_in(exchange.flow).any(|other| other.response.is_some_and(|later| later > at));
            let rest = case.connection(exchange.flow).filter(|_| last).into_iter().flat_map(|connection| {
                connection.segments.towards(Direction::ToClient).filter(|segment| segment.length > 0 && segment.at > at)
            });
            for segment in rest.take(PAGE_SEGMENTS) {
                finding.cite(Evidence::segment("proxy_answer", segment.at, exchange.flow, "its page"));
            }
        }
        if let Some(at) = exchange.completed {
            finding.cite(Evidence::segment("proxy_answer", at, exchange.flow, said.clone()));
        }
        if let Some(at) = exchange.request {
            let role = if exchange.is_connect() { "connect_request" } else { "request" };
            finding.cite(Evidence::segment(role, at, exchange.flow, exchange.url.clone()));
        }
    }
    if let Some(misread) = misread.filter(|_| code == Code::ProxyNotExcluded) {
        let variable = case.go.env.as_ref().and_then(|env| env.no_proxy()).map_or("NO_PROXY", |(variable, _)| variable);
        finding.cite(Evidence::variable(variable, misread.entry.clone()));
        return Some(
            finding
                .with_text("entry", misread.entry.clone())
                .not_excluding("the host was meant to go through the proxy")
                .with_remedy(
                    format!("Name the host itself in {variable}: \"{target}\" covers it and its subdomains. Go never compares networks with what a name resolves to."),
                    Some(&format!("export NO_PROXY=\"$NO_PROXY,{target}\"")),
                )
                .with_reference("golang.org/x/net/http/httpproxy, Config.NoProxy"),
        );
    }
    Some(advise(finding, first, answer, &target))
}

fn advise(finding: Finding, exchange: &Exchange, answer: Answer, target: &str) -> Finding {
    match answer {
        Answer::Denied => finding
            .with_remedy(format!("Ask the proxy's administrators to allow CONNECT to {target}."), None)
            .with_reference("RFC 9110 §9.3.6"),
        Answer::WantsPassword => {
            let schemes: Vec<String> = exchange
                .headers
                .iter()
                .filter(|(name, _)| name == "proxy-authenticate")
                .filter_map(|(_, value)| value.split_whitespace().next().map(str::to_owned))
                .collect();
            let basic = schemes.is_empty() || schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic"));
            let finding = finding.with_list("schemes", schemes.clone());
            if basic {
                finding.with_remedy(
                    "Put user and password into the proxy variable; Go sends them at once with the Basic scheme.",
                    Some("export HTTPS_PROXY=http://USER:PASSWORD@proxy.example.com:3128"),
                )
            } else {
                finding.with_remedy(
                    format!("The proxy offers {} only, and Go speaks Basic only: run a local helper that authenticates (cntlm, px), and point HTTPS_PROXY at it.", schemes.join(", ")),
                    None,
                )
            }
            .with_reference("RFC 9110 §15.5.8")
        }
        Answer::CannotReach => finding
            .with_remedy(
                format!(
                    "Ask the proxy's administrators why it cannot reach {target} (its DNS, its firewall, the server)."
                ),
                None,
            )
            .with_reference("RFC 9110 §9.3.6"),
    }
}

/// The `NO_PROXY` entry that its author probably meant for this host.
pub(super) fn misread(case: &Case, reference: &Reference, host: &str, port: u16) -> Option<NoProxyMisread> {
    let env = case.go.env.as_ref()?;
    let (_, value) = env.no_proxy()?;
    let mut addresses: Vec<IpAddr> = case
        .lookups
        .iter()
        .filter(|lookup| lookup.name == host)
        .flat_map(|lookup| lookup.answers.iter().flat_map(crate::observation::Answer::addresses))
        .collect();
    addresses.extend(reference.honest_name(host).into_iter().flat_map(HonestName::addresses));
    explain_no_proxy(value, host, port, &addresses).filter(|misread| !misread.kind.goes_direct()).or_else(|| {
        // The proxy resolved the name, so its address was not seen; a private network in NO_PROXY beside a host that is
        // none of the public ones speaks for itself.
        let private = value.split(',').map(str::trim).find(|entry| is_private_network(entry))?;
        let internal = addresses.is_empty() && is_internal(case, reference, host);
        internal.then(|| NoProxyMisread {
            entry: private.to_owned(),
            kind: MisreadKind::AddressOfName { address: first_address(private) },
        })
    })
}

/// Whether a name is one of the local network: by its ending, because honest resolvers deny it, or because it is a
/// neighbour of the proxy.
fn is_internal(case: &Case, reference: &Reference, host: &str) -> bool {
    const ENDINGS: [&str; 7] = [".internal", ".local", ".lan", ".intranet", ".corp", ".home.arpa", ".private"];
    if reference.host(host).is_some() {
        return false;
    }
    let parent = |name: &str| name.split_once('.').map(|(_, parent)| parent.to_owned());
    let beside_proxy = case.go.proxies().iter().any(|(proxy, _)| {
        proxy.parse::<IpAddr>().is_err()
            && parent(proxy).is_some_and(|domain| domain.contains('.') && parent(host) == Some(domain))
    });
    beside_proxy
        || !host.contains('.')
        || ENDINGS.iter().any(|ending| host.ends_with(ending))
        || reference.honest_name(host).is_some_and(HonestName::is_nxdomain)
}

fn is_private_network(entry: &str) -> bool {
    entry.parse::<ipnet::Ipv4Net>().is_ok_and(|network| network.addr().is_private())
}

fn first_address(entry: &str) -> IpAddr {
    entry
        .parse::<ipnet::Ipv4Net>()
        .map_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), |network| IpAddr::V4(network.addr()))
}

/// What the author of the entry overlooked.
pub(super) fn why(misread: &NoProxyMisread, host: &str) -> String {
    let entry = &misread.entry;
    match &misread.kind {
        MisreadKind::AddressOfName { .. } => {
            format!(
                "\"{entry}\" in NO_PROXY matches targets that are given as addresses, never what a name resolves to"
            )
        }
        MisreadKind::UrlInsteadOfHost => format!("\"{entry}\" in NO_PROXY is a URL, where Go wants a host"),
        MisreadKind::WrongSeparator { separator } => {
            format!("NO_PROXY is separated by '{separator}', where Go wants commas")
        }
        MisreadKind::SubdomainsOnly => {
            format!("\"{entry}\" in NO_PROXY covers the subdomains of {host}, not {host} itself")
        }
        MisreadKind::OtherPort { port } => format!("\"{entry}\" in NO_PROXY holds for port {port} only"),
        MisreadKind::MidLabel => format!("\"{entry}\" in NO_PROXY begins in the middle of a label"),
        MisreadKind::UnknownWildcard => format!("\"{entry}\" in NO_PROXY has a wildcard that Go does not know"),
        MisreadKind::BracketsWithoutPort => format!("\"{entry}\" in NO_PROXY has brackets without a port"),
        MisreadKind::IncludesSubdomains => format!("\"{entry}\" in NO_PROXY covers {host}, too"),
        MisreadKind::WholeTopLevel => format!("\"{entry}\" in NO_PROXY covers everything beneath it"),
    }
}
