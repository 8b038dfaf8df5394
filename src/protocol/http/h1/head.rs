//! Heads of HTTP/1 messages (RFC 9112 §2-3): what is kept of them, and what never is.

use std::net::SocketAddr;

use httparse::{Header, ParserConfig};

use super::body::Framing;
use crate::protocol::text;

/// Longest head that is read, start line included.
pub(super) const MAX_HEAD: usize = 64 * 1024;
/// Headers read where a message has few, and at most.
const HEADERS: [usize; 2] = [64, 2_048];
/// Longest URL kept, in bytes.
const MAX_URL: usize = 8_192;
/// Longest header value or reason kept, in bytes.
pub(in super::super) const MAX_VALUE: usize = 512;
/// Headers kept of one answer, and headers named `x-…` among them.
const MAX_KEPT: usize = 24;
const MAX_PRODUCT: usize = 12;

/// Headers of an answer that tell who gave it and why.
const TELLING: [&str; 15] = [
    "server",
    "via",
    "location",
    "content-type",
    "content-length",
    "content-encoding",
    "proxy-authenticate",
    "www-authenticate",
    "retry-after",
    "proxy-status",
    "proxy-connection",
    "cache-status",
    "date",
    "age",
    "cf-ray",
];
/// Parts of names of `x-…` headers that may carry secrets.
const SECRET: [&str; 9] = ["token", "auth", "key", "secret", "session", "cookie", "csrf", "xsrf", "passw"];

/// Request methods that are recognised at the beginning of a stream (RFC 9110 §9, RFC 5789, `WebDAV`, those of git
/// hosts, too).
const METHODS: [&[u8]; 14] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"CONNECT ",
    b"OPTIONS ",
    b"TRACE ",
    b"PATCH ",
    b"PROPFIND ",
    b"PROPPATCH ",
    b"REPORT ",
    b"MKCOL ",
    b"SEARCH ",
];

/// Whether the stream of a client that begins like this can be HTTP/1: a known method, or the beginning of one.
pub(crate) fn looks_like_request(bytes: &[u8]) -> bool {
    !bytes.is_empty() && METHODS.iter().any(|method| bytes.starts_with(method) || method.starts_with(bytes))
}

/// Whether the stream of a server that begins like this can be HTTP/1: `HTTP/1.`, or the beginning of it.
pub(crate) fn looks_like_response(bytes: &[u8]) -> bool {
    const VERSION: &[u8] = b"HTTP/1.";
    !bytes.is_empty() && (bytes.starts_with(VERSION) || VERSION.starts_with(bytes))
}

/// Whether a piece in the middle of a client's stream begins with a request beyond doubt: its whole first line is there.
pub(super) fn begins_request(piece: &[u8]) -> bool {
    let line = piece.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    METHODS.iter().any(|method| line.starts_with(method))
        && (line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0"))
        && line.len() < piece.len()
}

/// Whether a piece in the middle of a server's stream begins with an answer beyond doubt: version and status are there.
pub(super) fn begins_response(piece: &[u8]) -> bool {
    let Some((version, rest)) = piece.split_at_checked(9) else { return false };
    matches!(version, b"HTTP/1.0 " | b"HTTP/1.1 ")
        && matches!(*rest, [b'1'..=b'5', b, c, end, ..] if b.is_ascii_digit() && c.is_ascii_digit() && matches!(end, b' ' | b'\r' | b'\n'))
}

/// What is kept of a request's head.
#[derive(Debug)]
pub(super) struct RequestHead {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) credentials_sent: bool,
    pub(super) user_agent: Option<String>,
    /// How its body is delimited; `None` where it has none.
    pub(super) framing: Option<Framing>,
}

/// The head of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ResponseHead {
    /// Status code.
    pub(crate) status: u16,
    /// Reason phrase.
    pub(crate) reason: String,
    /// Headers that tell who gave the answer and why, names lower-case. Never cookies or credentials.
    pub(crate) headers: Vec<(String, String)>,
    /// Offset of the body's first byte.
    pub(crate) body_start: usize,
    /// How the body is delimited if there is one; `None` where its length is given as 0.
    pub(super) framing: Option<Framing>,
}

/// Reads the head of an answer; `None` where it is not whole or not HTTP/1.
pub(crate) fn parse_response_head(bytes: &[u8]) -> Option<ResponseHead> {
    let mut config = ParserConfig::default();
    config
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_multiple_spaces_in_response_status_delimiters(true)
        .ignore_invalid_headers_in_responses(true);
    for count in HEADERS {
        let mut headers = vec![httparse::EMPTY_HEADER; count];
        let mut response = httparse::Response::new(&mut headers);
        match config.parse_response(&mut response, bytes) {
            Ok(httparse::Status::Complete(body_start)) => {
                return Some(ResponseHead {
                    status: response.code?,
                    reason: text(response.reason.unwrap_or_default().as_bytes(), MAX_VALUE),
                    headers: kept(response.headers),
                    body_start,
                    framing: framing(response.headers).unwrap_or(Some(Framing::UntilClose)),
                });
            }
            Err(httparse::Error::TooManyHeaders) => {}
            Ok(httparse::Status::Partial) | Err(_) => return None,
        }
    }
    None
}

/// Reads the head of a request to `server`.
pub(super) fn parse_request_head(bytes: &[u8], secure: bool, server: SocketAddr) -> Option<RequestHead> {
    let mut config = ParserConfig::default();
    config.allow_multiple_spaces_in_request_line_delimiters(true).ignore_invalid_headers_in_requests(true);
    for count in HEADERS {
        let mut headers = vec![httparse::EMPTY_HEADER; count];
        let mut request = httparse::Request::new(&mut headers);
        match config.parse_request(&mut request, bytes) {
            Ok(httparse::Status::Complete(_)) => {
                let method = request.method?;
                let find = |name: &str| request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
                return Some(RequestHead {
                    method: text(method.as_bytes(), 32),
                    url: url(method, request.path?, find("host").map(|header| header.value), secure, server),
                    credentials_sent: find("proxy-authorization").is_some(),
                    user_agent: find("user-agent").map(|header| text(header.value, MAX_VALUE)),
                    framing: framing(request.headers).flatten(),
                });
            }
            Err(httparse::Error::TooManyHeaders) => {}
            Ok(httparse::Status::Partial) | Err(_) => return None,
        }
    }
    None
}

/// The absolute URL of a request (RFC 9112 §3.3), without user information.
pub(in super::super) fn url(
    method: &str,
    target: &str,
    host: Option<&[u8]>,
    secure: bool,
    server: SocketAddr,
) -> String {
    let target = text(target.as_bytes(), MAX_URL);
    if method == "CONNECT" {
        return without_userinfo(&target).to_owned();
    }
    if target.contains("://") && !target.starts_with('/') {
        return absolute(&target);
    }
    let (scheme, port) = if secure { ("https", 443) } else { ("http", 80) };
    let host = host.map(|value| text(value, MAX_VALUE)).filter(|host| !host.is_empty());
    let host = host.unwrap_or_else(|| if server.port() == port { bare(server) } else { server.to_string() });
    let host = without_userinfo(&host);
    let host = host.strip_suffix(&format!(":{port}")).unwrap_or(host);
    // `OPTIONS *` is about the server as a whole.
    let path = if target == "*" { "" } else { &target };
    format!("{scheme}://{host}{path}")
}

fn bare(server: SocketAddr) -> String {
    match server {
        SocketAddr::V4(server) => server.ip().to_string(),
        SocketAddr::V6(server) => format!("[{}]", server.ip()),
    }
}

/// A URL with scheme and authority, its user information removed and a default port with it.
fn absolute(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let authority = without_userinfo(authority);
    let default = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "\0",
    };
    format!("{scheme}://{}{path}", authority.strip_suffix(default).unwrap_or(authority))
}

fn without_userinfo(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// How a message's body is delimited (RFC 9112 §6.3): `None` where no header says it, `Some(None)` for a length of 0.
fn framing(headers: &[Header<'_>]) -> Option<Option<Framing>> {
    let values = |name: &'static str| {
        headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .filter_map(|header| std::str::from_utf8(header.value).ok())
    };
    if let Some(coding) = values("transfer-encoding").next_back() {
        let last = coding.rsplit(',').next().unwrap_or_default().trim();
        return Some(Some(if last.eq_ignore_ascii_case("chunked") { Framing::chunked() } else { Framing::UntilClose }));
    }
    // Lists of equal lengths are one length (RFC 9110 §8.6); of unequal ones the first is as good as any.
    let length =
        values("content-length").flat_map(|value| value.split(',')).find_map(|value| value.trim().parse().ok())?;
    Some((length > 0).then_some(Framing::Length(length)))
}

/// The headers that tell something, names lower-case.
pub(in super::super) fn kept(headers: &[Header<'_>]) -> Vec<(String, String)> {
    let mut kept = Vec::new();
    let mut products = 0;
    for header in headers {
        let name = header.name.to_ascii_lowercase();
        let product = name.starts_with("x-") && name.len() <= 64 && !SECRET.iter().any(|part| name.contains(part));
        if kept.len() >= MAX_KEPT || !(TELLING.contains(&name.as_str()) || product && products < MAX_PRODUCT) {
            continue;
        }
        products += usize::from(product);
        let mut value = text(header.value, MAX_VALUE);
        if name == "location" {
            value = absolute(&value);
        }
        kept.push((name, value));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(head: &str) -> RequestHead {
        parse_request_head(head.as_bytes(), false, "192.0.2.1:8080".parse().unwrap()).unwrap()
    }

    #[test]
    fn rfc_9112_3_2_every_form_of_target_gives_an_absolute_url() {
        for (head, url) in [
            ("GET /a?b HTTP/1.1\r\nHost: proxy.test\r\n\r\n", "http://proxy.test/a?b"),
            ("GET / HTTP/1.1\r\nHost: proxy.test:80\r\n\r\n", "http://proxy.test/"),
            ("GET / HTTP/1.1\r\nHost: proxy.test:3000\r\n\r\n", "http://proxy.test:3000/"),
            ("GET / HTTP/1.0\r\n\r\n", "http://192.0.2.1:8080/"),
            ("GET http://u:p@proxy.test:80/a@b HTTP/1.1\r\nHost: other\r\n\r\n", "http://proxy.test/a@b"),
            ("GET / HTTP/1.1\r\nHost: u:p@proxy.test\r\n\r\n", "http://proxy.test/"),
            ("OPTIONS * HTTP/1.1\r\nHost: proxy.test\r\n\r\n", "http://proxy.test"),
            ("CONNECT u:p@proxy.test:443 HTTP/1.1\r\nHost: x\r\n\r\n", "proxy.test:443"),
            ("GET /x?u=http://a HTTP/1.1\r\nHost: h\r\n\r\n", "http://h/x?u=http://a"),
        ] {
            assert_eq!(request(head).url, url, "{head}");
        }
        let secure = parse_request_head(b"GET / HTTP/1.1\r\nHost: a:443\r\n\r\n", true, "[::1]:443".parse().unwrap());
        assert_eq!(secure.unwrap().url, "https://a/");
        let bare = parse_request_head(b"GET / HTTP/1.0\r\n\r\n", true, "[::1]:443".parse().unwrap());
        assert_eq!(bare.unwrap().url, "https://[::1]/");
    }

    #[test]
    fn credentials_are_noticed_and_not_kept() {
        let head = request(
            "CONNECT a:443 HTTP/1.1\r\nProxy-Authorization: Basic c2VjcmV0\r\nUser-Agent: Go-http-client/1.1\r\n\r\n",
        );
        assert!(head.credentials_sent);
        assert_eq!(head.user_agent.as_deref(), Some("Go-http-client/1.1"));
        assert!(!format!("{head:?}").contains("c2VjcmV0"));
    }

    #[test]
    fn answers_keep_telling_headers_only() {
        let head = parse_response_head(
            b"HTTP/1.1 403 Forbidden by policy\r\nServer: squid\x07\r\nSet-Cookie: a=b\r\nX-Squid-Error: ERR 0\r\nX-Auth-Token: s\r\nAuthorization: s\r\n\
              Location: http://u:p@portal.test/login\r\nEtag: x\r\n\r\nbody",
        )
        .unwrap();
        assert_eq!((head.status, head.reason.as_str()), (403, "Forbidden by policy"));
        let names: Vec<_> = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert!(
            names.contains(&("x-squid-error", "ERR 0")) && names.contains(&("location", "http://portal.test/login"))
        );
        assert!(names.iter().all(|(name, _)| ["server", "x-squid-error", "location"].contains(name)), "{names:?}");
    }

    #[test]
    fn floods_of_headers_are_bounded() {
        let mut head = "HTTP/1.1 200 OK\r\n".to_owned();
        for number in 0..300 {
            head += &format!("X-{number}: {}\r\nVia: {number}\r\n", "v".repeat(600));
        }
        head += "\r\n";
        let head = parse_response_head(head.as_bytes()).unwrap();
        assert_eq!(head.headers.len(), MAX_KEPT);
        assert!(head.headers.iter().all(|(_, value)| value.len() <= MAX_VALUE));
        assert_eq!(head.headers.iter().filter(|(name, _)| name.starts_with("x-")).count(), MAX_PRODUCT);
    }

    #[test]
    fn sniffers_accept_beginnings() {
        for bytes in [b"G".as_slice(), b"GET ", b"CONNECT a", b"POST / HTTP/1.1"] {
            assert!(looks_like_request(bytes), "{bytes:?}");
        }
        for bytes in [b"".as_slice(), b"GETX", b"PRI * HTTP/2.0", b"\x16\x03\x01", b"\x05\x01\x00", b"get /"] {
            assert!(!looks_like_request(bytes), "{bytes:?}");
        }
        assert!(looks_like_response(b"HT") && looks_like_response(b"HTTP/1.0 200 OK"));
        assert!(!looks_like_response(b"") && !looks_like_response(b"HTTP/2 200") && !looks_like_response(b"SSH-2.0"));
    }

    #[test]
    fn unfinished_heads_are_none() {
        assert_eq!(parse_response_head(b"HTTP/1.1 200 OK\r\nA: b\r\n"), None);
        assert_eq!(parse_response_head(b"\x05\xff"), None);
        assert_eq!(parse_response_head(b"HTTP/1.1 400 Bad Request\r\n\r\nx").unwrap().body_start, 28);
    }
}
