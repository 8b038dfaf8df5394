//! The cause behind a request: texts of net, net/http, the bundled HTTP/2 and SOCKS clients.

use std::net::SocketAddr;

use super::kind::GoErrorKind;
use super::{locate, tls};
use crate::go::text::{between, limited, rest_of_line};

/// What a cause names besides its kind.
#[derive(Clone, Default)]
pub(super) struct Facts {
    pub(super) address: Option<SocketAddr>,
    pub(super) local: Option<SocketAddr>,
    pub(super) resolver: Option<SocketAddr>,
    pub(super) lookup: Option<String>,
    pub(super) proxy: Option<String>,
}

/// Where a cause may begin in a text that names no request.
const BEGINNINGS: [&str; 19] = [
    "proxyconnect tcp: ",
    "socks connect tcp",
    "dial tcp",
    "dial udp",
    "read tcp ",
    "read udp ",
    "write tcp ",
    "write udp ",
    "remote error: ",
    "tls: ",
    "x509: ",
    "net/http: ",
    "http: server gave",
    "http2: ",
    "stream error: ",
    "connection error: ",
    "malformed HTTP ",
    "redirected from secure URL ",
    "stopped after 10 redirects",
];

/// The kind of the first cause that stands anywhere in the text.
pub(super) fn anywhere(text: &str, facts: &mut Facts) -> Option<GoErrorKind> {
    let start = BEGINNINGS.iter().filter_map(|beginning| text.find(beginning)).min()?;
    kind(text.get(start..)?, facts)
}

/// The kind of the cause that the text is.
pub(super) fn kind(text: &str, facts: &mut Facts) -> Option<GoErrorKind> {
    let text = text.trim_start();
    if let Some(rest) = text.strip_prefix("proxyconnect tcp: ") {
        return Some(GoErrorKind::ProxyConnect(Box::new(kind(rest, facts).unwrap_or(GoErrorKind::Other))));
    }
    if let Some(rest) = text.strip_prefix("socks connect tcp") {
        return Some(socks(rest, facts));
    }
    if let Some(to) = text.strip_prefix("redirected from secure URL ") {
        let to = to.split_once(" to insecure URL ")?.1.split_whitespace().next().unwrap_or_default();
        return Some(GoErrorKind::RedirectToInsecure { to: limited(to, 2_000).to_owned() });
    }
    if let Some(rest) = text.strip_prefix("dial ") {
        return dial(rest, facts);
    }
    if text.starts_with("lookup ") {
        return Some(lookup(text, facts));
    }
    for operation in ["read ", "write "] {
        let Some((network, rest)) = text.strip_prefix(operation).and_then(|rest| rest.split_once(' ')) else {
            continue;
        };
        if network.starts_with("tcp") || network.starts_with("udp") {
            let sockets = locate::sockets(rest);
            facts.local = facts.local.or(sockets.local);
            facts.address = facts.address.or(sockets.remote);
            return Some(established(rest));
        }
    }
    if let Some(found) = http2(text).or_else(|| tls::cause(text)) {
        return Some(found);
    }
    let has = |needle: &str| text.contains(needle);
    if has("server gave HTTP response to HTTPS client") {
        return Some(GoErrorKind::HttpResponseToHttpsClient);
    }
    if has("TLS handshake timeout") {
        return Some(GoErrorKind::TlsHandshakeTimeout);
    }
    if let Some((_, rest)) = text.split_once("malformed HTTP ") {
        let prefix =
            between(rest, "\"", "\"").or_else(|| rest.split_once(' ').map(|(_, prefix)| prefix)).unwrap_or_default();
        return Some(GoErrorKind::MalformedHttp { prefix: limited(prefix, 64).to_owned() });
    }
    if has("stopped after 10 redirects") {
        return Some(GoErrorKind::TooManyRedirects);
    }
    if has("unexpected EOF") {
        return Some(GoErrorKind::UnexpectedEof);
    }
    let line = text.lines().next().unwrap_or_default().trim_end();
    if line == "EOF" || line.ends_with(": EOF") || line.starts_with("EOF ") || has("server closed idle connection") {
        return Some(GoErrorKind::Eof);
    }
    if has("context deadline exceeded")
        || has("Client.Timeout")
        || has("i/o timeout")
        || has("timeout awaiting response headers")
    {
        return Some(GoErrorKind::Timeout);
    }
    if has("connection reset by peer") || has("broken pipe") || has("forcibly closed") {
        return Some(established(text));
    }
    None
}

/// What stands behind `dial `.
fn dial(text: &str, facts: &mut Facts) -> Option<GoErrorKind> {
    let (network, rest) = text.split_at(text.find([' ', ':'])?);
    if let Some(cause) = rest.strip_prefix(": ") {
        return kind(cause, facts).or_else(|| connecting(cause));
    }
    let sockets = locate::sockets(rest.trim_start());
    facts.address = facts.address.or(sockets.remote);
    facts.local = facts.local.or(sockets.local);
    if network.starts_with("udp") || network.starts_with("tcp") { connecting(rest) } else { None }
}

/// `lookup HOST on SERVER: CAUSE`, `lookup HOST: CAUSE`.
fn lookup(text: &str, facts: &mut Facts) -> GoErrorKind {
    let rest = text.strip_prefix("lookup ").unwrap_or(text);
    let (name, mut rest) = rest.split_once(' ').unwrap_or((rest, ""));
    facts.lookup = Some(limited(name.trim_end_matches(':').trim_end_matches('.'), 255).to_ascii_lowercase());
    if let Some(after) = rest.strip_prefix("on ") {
        let (server, cause) = after.split_once(": ").unwrap_or((after, ""));
        facts.resolver = locate::address(server);
        rest = cause;
    }
    let rest = rest.trim_start();
    let has = |needle: &str| rest.contains(needle);
    if has("no such host") {
        return GoErrorKind::NoSuchHost;
    }
    if has("server misbehaving") || has("Temporary failure in name resolution") {
        return GoErrorKind::ServerMisbehaving;
    }
    if has("cannot unmarshal DNS message") || has("lame referral") || has("DNS response contained records") {
        return GoErrorKind::DnsMalformed;
    }
    let failed = connecting(rest);
    // The addresses of the exchange with the resolver are the resolver's, not the target's.
    let address = rest.split_once("udp ").or_else(|| rest.split_once("tcp "));
    if let Some(sockets) = address.map(|(_, sockets)| locate::sockets(sockets)) {
        facts.local = facts.local.or(sockets.local);
        facts.resolver = facts.resolver.or(sockets.remote);
    }
    let kind = match failed {
        Some(GoErrorKind::ConnectionRefused) => GoErrorKind::DnsRefused,
        Some(GoErrorKind::DialTimeout) => GoErrorKind::DnsTimeout,
        Some(GoErrorKind::NetworkUnreachable | GoErrorKind::NoRoute | GoErrorKind::AddressNotAvailable) => {
            GoErrorKind::DnsUnreachable
        }
        Some(GoErrorKind::PermissionDenied) => GoErrorKind::DnsNotPermitted,
        _ if rest.contains("tcp ") => established(rest),
        Some(other) => other,
        None if has("timeout") || has("timed out") || has("deadline exceeded") => GoErrorKind::DnsTimeout,
        None => GoErrorKind::Other,
    };
    if rest.contains("tcp ") { GoErrorKind::DnsOverTcp(Box::new(kind)) } else { kind }
}

/// What the system said to `connect`, in the words of Linux, macOS and Windows.
fn connecting(text: &str) -> Option<GoErrorKind> {
    let has = |needle: &str| text.contains(needle);
    Some(if has("connection refused") || has("actively refused") {
        GoErrorKind::ConnectionRefused
    } else if has("no route to host") || has("unreachable host") {
        GoErrorKind::NoRoute
    } else if has("network is unreachable") || has("unreachable network") || has("network is down") {
        GoErrorKind::NetworkUnreachable
    } else if has("cannot assign requested address")
        || has("can't assign requested address")
        || has("not valid in its context")
    {
        GoErrorKind::AddressNotAvailable
    } else if has("operation not permitted") || has("permission denied") || has("forbidden by its access permissions") {
        GoErrorKind::PermissionDenied
    } else if has("timeout") || has("timed out") || has("did not properly respond") || has("deadline exceeded") {
        GoErrorKind::DialTimeout
    } else if has("connection reset") || has("forcibly closed") {
        GoErrorKind::ConnectionReset
    } else {
        return None;
    })
}

/// What the system said to `read` or `write` on an established connection.
fn established(text: &str) -> GoErrorKind {
    let has = |needle: &str| text.contains(needle);
    if has("connection reset") || has("forcibly closed") {
        GoErrorKind::ConnectionReset
    } else if has("broken pipe") {
        GoErrorKind::BrokenPipe
    } else if has("connection abort") || has("aborted by the software") {
        GoErrorKind::ConnectionAborted
    } else if has("connection refused") {
        GoErrorKind::ConnectionRefused
    } else if has("timeout") || has("timed out") {
        GoErrorKind::Timeout
    } else if has("no route to host") {
        GoErrorKind::NoRoute
    } else if has("network is unreachable") {
        GoErrorKind::NetworkUnreachable
    } else if has("operation not permitted") || has("permission denied") {
        GoErrorKind::PermissionDenied
    } else if has("unexpected EOF") {
        GoErrorKind::UnexpectedEof
    } else if has("EOF") {
        GoErrorKind::Eof
    } else {
        GoErrorKind::Other
    }
}

/// `socks connect tcp PROXY->TARGET: CAUSE` (golang.org/x/net/internal/socks), what stands behind `tcp`.
fn socks(text: &str, facts: &mut Facts) -> GoErrorKind {
    let (pair, cause) = text.trim_start().split_once(": ").unwrap_or(("", text));
    if let Some((proxy, _)) = pair.split_once("->") {
        facts.proxy = Some(limited(proxy, 300).to_owned());
        facts.address = facts.address.or(locate::address(proxy));
    }
    const REPLIES: [(&str, u8); 8] = [
        ("general SOCKS server failure", 1),
        ("connection not allowed by ruleset", 2),
        ("network unreachable", 3),
        ("host unreachable", 4),
        ("connection refused", 5),
        ("TTL expired", 6),
        ("command not supported", 7),
        ("address type not supported", 8),
    ];
    let line = cause.lines().next().unwrap_or_default().trim();
    if let Some(reply) = line.strip_prefix("unknown error ") {
        let number = reply.strip_prefix("unknown code: ").and_then(|digits| digits.parse().ok());
        let code = REPLIES.iter().find(|(text, _)| *text == reply).map(|&(_, code)| code).or(number);
        return GoErrorKind::SocksError { reason: limited(reply, 100).to_owned(), code };
    }
    match kind(line, facts) {
        Some(inner) => GoErrorKind::ProxyConnect(Box::new(inner)),
        None => GoErrorKind::SocksError { reason: limited(line, 100).to_owned(), code: None },
    }
}

/// golang.org/x/net/http2, bundled with net/http.
fn http2(text: &str) -> Option<GoErrorKind> {
    if let Some((_, error)) = text.split_once("stream error: ") {
        let line = error.lines().next().unwrap_or_default();
        let code = line.split(';').nth(1).unwrap_or_default().trim();
        let from_peer = line.contains("received from peer");
        return Some(GoErrorKind::StreamError { code: limited(code, 60).to_owned(), from_peer });
    }
    if text.contains("server sent GOAWAY") {
        let code =
            text.split_once("ErrCode=").and_then(|(_, rest)| rest.split([',', ' ', '\n']).next()).unwrap_or_default();
        let debug = between(text, "debug=\"", "\"").filter(|debug| !debug.is_empty());
        return Some(GoErrorKind::GoAway {
            code: limited(code, 60).to_owned(),
            debug: debug.map(|debug| limited(debug, 200).to_owned()),
        });
    }
    // Of a connection's first request (http2 `setGoAway`).
    if let Some((_, rest)) = text.split_once("Transport received GOAWAY from server ErrCode:") {
        let code = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
        return Some(GoErrorKind::GoAway { code: limited(code, 60).to_owned(), debug: None });
    }
    if text.contains("http2: client connection lost") {
        return Some(GoErrorKind::ConnectionLost);
    }
    let code = rest_of_line(text, "connection error: ")?;
    Some(GoErrorKind::StreamError { code: limited(code, 60).to_owned(), from_peer: false })
}

/// `403 Forbidden\n\tserver response: TEXT`, as cmd/go/internal/web writes an answer that is no 200.
pub(super) fn status(text: &str) -> Option<GoErrorKind> {
    let line = text.lines().next()?.trim();
    let (code, reason) = line.split_at_checked(3)?;
    if !code.bytes().all(|b| b.is_ascii_digit()) || !(reason.is_empty() || reason.starts_with(' ')) {
        return None;
    }
    let body = text.split_once("server response:").map(|(_, body)| {
        let lines: Vec<&str> = body.lines().map(str::trim).filter(|line| !line.is_empty()).take(8).collect();
        limited(&lines.join("\n"), 1_000).to_owned()
    });
    Some(GoErrorKind::HttpStatus { code: code.parse().ok()?, reason: limited(reason.trim(), 100).to_owned(), body })
}

/// The reason phrase of a refused CONNECT: net/http shows nothing else of the answer. `None` for words of Go itself.
pub(super) fn reason_phrase(text: &str) -> Option<GoErrorKind> {
    let line = text.lines().next()?.trim();
    const GO: [&str; 9] = [
        "context canceled",
        "http:",
        "net/http:",
        "net:",
        "unsupported protocol scheme",
        "local error:",
        "no Host in request URL",
        "too many open files",
        "invalid ",
    ];
    let own = GO.iter().any(|start| line.starts_with(start)) || line.starts_with("dial ") || line.starts_with("tls:");
    let phrase = !line.is_empty() && !own && (line.starts_with(|c: char| c.is_uppercase()) || !line.contains(": "));
    phrase.then(|| GoErrorKind::ConnectRefusedByProxy { reason: limited(line, 200).to_owned() })
}
