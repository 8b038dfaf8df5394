//! Whether the proxy is spoken to in its own language.

use super::known::{Proxy, proxies};
use crate::finding::{Code, Confidence, Evidence, Fault, Finding};
use crate::go::GoErrorKind;
use crate::go::log::GoError;
use crate::observation::{Case, Connection, End, Exchange, Handshake, HttpProtocol, Outcome};
use crate::types::{Direction, Moment, Span};

/// A SOCKS server answers the greeting at once; one that says nothing for so long waits for something else.
const PATIENCE: Span = Span::from_seconds(5);
/// Ports on which SOCKS servers listen by custom: IANA, Tor, common tunnels.
const SOCKS_PORTS: [u16; 5] = [1080, 9050, 9150, 7891, 10808];

/// Ports on which TLS is spoken by custom, proxies' own among them.
const TLS_PORTS: [u16; 5] = [443, 3129, 4443, 8443, 9443];

/// What a connection says about the proxy's language.
struct Sign {
    at: Moment,
    said: String,
    /// What go spoke, what the proxy does not do, and what would probably be right.
    spoken: &'static str,
    answer: &'static str,
    /// The scheme; empty where no scheme mends it.
    better: &'static str,
    /// The proxy answered in words of another protocol, rather than hanging up or waiting.
    certain: bool,
}

/// TLS to a plain port, HTTP to a SOCKS port, and the reverse of each.
pub(super) fn assess(case: &Case) -> Vec<Finding> {
    let proxies = proxies(case);
    let alone = proxies.len() == 1;
    proxies.iter().filter_map(|proxy| mismatch(case, proxy).or_else(|| by_words(case, proxy, alone))).collect()
}

/// What a web server is, and no proxy.
const WEB_SERVER: &str = "a web server answers there: to CONNECT it sends a page and opens no tunnel";

/// Whether CONNECT was answered with success and a page, as by a web server that does not know the method. No proxy sends a
/// body there (RFC 9110 §9.3.6), and no TLS server was met behind it.
pub(super) fn is_page(case: &Case, exchange: &Exchange) -> bool {
    let html = exchange.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
    let empty = exchange.header("content-length") == Some("0");
    let opened = |handshake: &Handshake| handshake.tunnel.is_some() && handshake.server_hello.is_some();
    exchange.is_connect()
        && exchange.protocol != HttpProtocol::Socks
        && exchange.status == Some(200)
        && html
        && !empty
        && !case.handshakes_in(exchange.flow).any(opened)
}

/// Whether an answer with a status is one in another protocol's name.
pub(super) fn is_foreign_status(exchange: &Exchange) -> bool {
    by_status(exchange).is_some()
}

fn mismatch(case: &Case, proxy: &Proxy<'_>) -> Option<Finding> {
    let mut signs: Vec<(Sign, Vec<Evidence>)> = Vec::new();
    // Where it answered properly even once, it speaks that protocol.
    let works = proxy.connections.iter().any(|connection| {
        case.exchanges_in(connection.flow).any(|exchange| {
            exchange.is_connect()
                && exchange.status.is_some()
                && by_status(exchange).is_none()
                && !is_page(case, exchange)
        })
    });
    for connection in proxy.connections.iter().filter(|_| !works) {
        let flow = connection.flow;
        for handshake in case.handshakes_in(flow).filter(|handshake| handshake.tunnel.is_none()) {
            let Some(sign) = over_tls(connection, handshake) else { continue };
            let hellos = handshake.hello.iter().flat_map(|hello| [hello.started, hello.at]);
            let hellos = hellos.map(|at| Evidence::segment("client_hello", at, flow, "TLS to the proxy itself"));
            signs.push((sign, hellos.collect()));
        }
        for exchange in case.exchanges_in(flow) {
            let Some(sign) = over_http_or_socks(case, connection, exchange) else { continue };
            let request = exchange.request.map(|at| Evidence::segment("request", at, flow, exchange.url.clone()));
            signs.push((sign, request.into_iter().collect()));
        }
    }
    let (best, _) = signs.iter().find(|(sign, _)| sign.certain).or_else(|| signs.first())?;
    let (spoken, answer, better, certain) = (best.spoken, best.answer, best.better, best.certain);
    let mut evidence = Vec::new();
    // The answers first: they are what proves it.
    for (sign, asked) in &signs {
        let flow = proxy.connections.iter().find(|connection| (connection.first..=connection.last).contains(&sign.at));
        let role = if sign.certain { "foreign_answer" } else { "silence" };
        evidence.push(match flow {
            Some(connection) => Evidence::segment(role, sign.at, connection.flow, sign.said.clone()),
            None => Evidence::frame(role, sign.at, sign.said.clone()),
        });
        evidence.extend(asked.iter().cloned());
    }
    let words = case.go.errors().iter().find(|error| {
        error.is_about_proxy()
            && matches!(
                error.kind.innermost(),
                GoErrorKind::MalformedHttp { .. } | GoErrorKind::NotTlsRecord | GoErrorKind::HttpResponseToHttpsClient
            )
    });
    let mut evidence = evidence.into_iter();
    let because = match &proxy.scheme {
        Some(scheme) => format!(" because {} says {scheme}://", proxy.variable),
        None => String::new(),
    };
    let summary = format!("go speaks {spoken} to the proxy {}{because}, but {answer}.", proxy.called());
    let confidence = if certain { Confidence::Proven } else { Confidence::Moderate };
    let mut finding =
        Finding::new(Code::ProxyWrongScheme, Fault::Client, confidence, proxy.subject(), evidence.next()?, summary)
            .with_evidence(evidence.take(48))
            .with_evidence(words.map(|error| Evidence::log(error.line, error.text.clone())));
    finding.cite(proxy.named_by.clone());
    if !certain {
        finding = finding
            .not_excluding("the proxy was failing at that moment")
            .not_excluding("the proxy, or a filter before it, hangs up instead of refusing");
    }
    finding = finding.with_class(spoken).with_reference("golang.org/x/net/http/httpproxy, Config.HTTPSProxy");
    if better.is_empty() {
        let text = format!("Write host and port of a proxy into {}: what listens there is none.", proxy.variable);
        return Some(finding.with_remedy(text, None));
    }
    let command = format!("export {}={better}://{}", proxy.variable, proxy.called());
    Some(finding.with_remedy(
        format!("Write the scheme that the proxy speaks, most often {better}://. The scheme is that of the way to the proxy, not of the pages."),
        Some(&command),
    ))
}

/// A proxy on the client itself is not in the recording: go's words must do.
fn by_words(case: &Case, proxy: &Proxy<'_>, alone: bool) -> Option<Finding> {
    if !proxy.connections.is_empty() {
        return None;
    }
    let about =
        |error: &&GoError| error.is_about_proxy() && (proxy.is_meant_by(error) || (alone && error.address.is_none()));
    let (error, spoken, better) = case.go.errors().iter().filter(about).find_map(|error| {
        let (spoken, better) = match error.kind.innermost() {
            GoErrorKind::NotTlsRecord | GoErrorKind::HttpResponseToHttpsClient => ("TLS", "http"),
            GoErrorKind::MalformedHttp { .. } => ("HTTP", "socks5"),
            GoErrorKind::SocksError { reason, .. } if reason.contains("unexpected protocol version") => {
                ("SOCKS", "http")
            }
            _ => return None,
        };
        Some((error, spoken, better))
    })?;
    let mut finding = Finding::new(
        Code::ProxyWrongScheme,
        Fault::Client,
        Confidence::Moderate,
        proxy.subject(),
        Evidence::log(error.line, error.text.clone()),
        format!("go speaks {spoken} to the proxy {}, and could not read its answer.", proxy.called()),
    )
    .with_class(spoken)
    .not_excluding("the proxy was failing at that moment")
    .with_remedy(
        format!("Write the scheme that the proxy speaks, most often {better}://. The scheme is that of the way to the proxy, not of the pages."),
        Some(&format!("export {}={better}://{}", proxy.variable, proxy.called())),
    )
    .with_reference("golang.org/x/net/http/httpproxy, Config.HTTPSProxy");
    finding.cite(proxy.named_by.clone());
    Some(finding)
}

fn over_tls(connection: &Connection, handshake: &Handshake) -> Option<Sign> {
    handshake.hello.as_ref()?;
    let (at, said, certain) = match handshake.outcome {
        Outcome::NotTls => {
            let not_tls = handshake.not_tls.as_ref()?;
            (not_tls.at, text_of(&not_tls.head), true)
        }
        Outcome::Closed if handshake.server_hello.is_none() => {
            (connection.fin.to_client?, "it closes".to_owned(), false)
        }
        Outcome::Reset if handshake.server_hello.is_none() => match connection.end {
            End::Reset { at, direction: Direction::ToClient } => (at, "it resets".to_owned(), false),
            _ => return None,
        },
        _ => return None,
    };
    Some(Sign { at, said, spoken: "TLS", answer: "it does not speak TLS on that port", better: "http", certain })
}

fn over_http_or_socks(case: &Case, connection: &Connection, exchange: &Exchange) -> Option<Sign> {
    if let Some((answer, better)) = by_status(exchange) {
        let said = exchange.reason.clone();
        return Some(Sign { at: exchange.response?, said, spoken: "HTTP", answer, better, certain: true });
    }
    if is_page(case, exchange) {
        let (at, said) = (exchange.response?, "200 with a page".to_owned());
        return Some(Sign { at, said, spoken: "HTTP", answer: WEB_SERVER, better: "", certain: true });
    }
    if exchange.status.is_some() || !exchange.is_connect() {
        return None;
    }
    let socks = exchange.protocol == HttpProtocol::Socks;
    let error = exchange.error.clone().unwrap_or_default();
    // Words of the other protocol. What merely was not recorded is no answer.
    if let Some(at) = exchange.response.filter(|_| error.starts_with("malformed")) {
        return Some(match (socks, exchange.body_head.first()) {
            (true, _) => Sign {
                at,
                said: error,
                spoken: "SOCKS",
                answer: "it does not speak SOCKS on that port",
                better: "http",
                certain: true,
            },
            (false, first) => Sign {
                at,
                said: error,
                spoken: "HTTP",
                answer: "it does not speak HTTP on that port",
                // A TLS alert or handshake record (RFC 8446 §5.1).
                better: if matches!(first, Some(0x15 | 0x16)) { "https" } else { "socks5" },
                certain: true,
            },
        });
    }
    if connection.bytes.to_client > 0 || connection.packets.to_client == 0 {
        return None;
    }
    let (at, said) = hung_up(case, connection).or_else(|| {
        let asked = exchange.request.filter(|_| socks && exchange.url.is_empty())?;
        let silent = case.recording.until().is_some_and(|last| last.since(asked.time) >= PATIENCE);
        silent.then(|| (asked, "it says nothing to the greeting".to_owned()))
    })?;
    match socks {
        true if exchange.url.is_empty() => Some(Sign {
            at,
            said,
            spoken: "SOCKS",
            answer: "it does not answer as a SOCKS server does",
            better: "http",
            certain: false,
        }),
        // Other proxies, too, hang up at a CONNECT that they dislike.
        false if SOCKS_PORTS.contains(&connection.server.port()) => Some(Sign {
            at,
            said,
            spoken: "HTTP",
            answer: "it hangs up without an answer, on a port where SOCKS servers listen",
            better: "socks5",
            certain: false,
        }),
        // Servers that expect TLS hang up at CONNECT without an alert (OpenSSL: `ssl/record`, "https proxy request").
        false if TLS_PORTS.contains(&connection.server.port()) => Some(Sign {
            at,
            said,
            spoken: "HTTP",
            answer: "it hangs up without an answer, on a port where TLS is spoken",
            better: "https",
            certain: false,
        }),
        _ => None,
    }
}

/// Whether another protocol than plain HTTP is spoken on that port by custom.
pub(super) fn has_custom(port: u16) -> bool {
    TLS_PORTS.contains(&port) || SOCKS_PORTS.contains(&port)
}

/// The proxy's own FIN or reset, with no mark of a forgery.
pub(super) fn hung_up(case: &Case, connection: &Connection) -> Option<(Moment, String)> {
    match connection.end {
        End::Reset { direction: Direction::ToClient, at } => {
            let segment = connection.segments.iter().find(|segment| segment.at == at)?;
            (!case.marks(connection, segment).any()).then(|| (at, "it resets".to_owned()))
        }
        _ => connection.fin.to_client.map(|at| (at, "it closes".to_owned())),
    }
}

/// Answers that say so themselves: Tor's, Go's, nginx's and Apache's.
fn by_status(exchange: &Exchange) -> Option<(&'static str, &'static str)> {
    let body = String::from_utf8_lossy(&exchange.body_head);
    match exchange.status? {
        501 if exchange.reason.contains("not an HTTP Proxy") => Some(("it says that it speaks SOCKS", "socks5")),
        400 if [
            "plain HTTP request was sent to HTTPS port",
            "HTTP request to an HTTPS server",
            "speaking plain HTTP to an SSL-enabled",
        ]
        .iter()
        .any(|words| body.contains(words)) =>
        {
            Some(("it says that it speaks TLS", "https"))
        }
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
