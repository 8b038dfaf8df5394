//! `ClientHello` and `ServerHello`, and which Go writes which `ClientHello`.
//!
//! A `ClientHello` is read as far as its bytes go: Go puts the server name first, so half of a hello often has it.

use tls_parser::{SNIType, TlsExtension};
use tls_parser::{parse_tls_extension_alpn_content, parse_tls_extension_sni_content, parse_tls_handshake_server_hello};

use super::cipher::Order;
use crate::observation::{ClientHello, ServerHello};
use crate::types::Moment;

const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const ENCRYPT_THEN_MAC: u16 = 22;
const SESSION_TICKET: u16 = 35;
const PRE_SHARED_KEY: u16 = 41;
const SUPPORTED_VERSIONS: u16 = 43;
const KEY_SHARE: u16 = 51;

/// The random of a `ServerHello` that is a `HelloRetryRequest` (RFC 8446 §4.1.3).
const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Takes bytes off the front of a message, and says when they are used up.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (now, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(now)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes([*bytes.first()?, *bytes.last()?]))
    }

    /// A vector with a length of two bytes before it, as far as it is there.
    fn vector16(&mut self) -> Option<Self> {
        let length = usize::from(self.u16()?).min(self.0.len());
        self.take(length).map(Self)
    }

    fn vector8(&mut self) -> Option<Self> {
        let length = usize::from(self.u8()?);
        self.take(length).map(Self)
    }

    fn u16s(mut self) -> Vec<u16> {
        std::iter::from_fn(|| self.u16()).collect()
    }
}

/// A `ClientHello` and the name in it.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) hello: ClientHello,
    pub(super) server_name: Option<String>,
    /// The list of extensions was read to its end, so an absent name is really absent.
    pub(super) whole: bool,
}

/// Reads the body of a `ClientHello`, or its beginning. `None` when not even the version is there.
pub(super) fn client_hello(body: &[u8], started: Moment, at: Moment) -> Option<Parsed> {
    let mut reader = Reader(body);
    let legacy_version = reader.u16()?;
    // Recorders that cut packets after 96 bytes leave half of it.
    let seen = reader.take(reader.0.len().min(32))?;
    let mut random = [0; 32];
    random.iter_mut().zip(seen).for_each(|(to, from)| *to = *from);
    let mut parsed = Parsed {
        hello: ClientHello {
            at,
            started,
            bytes: 0,
            segments: 0,
            complete: false,
            legacy_version,
            random,
            alpn: Vec::new(),
            versions: vec![legacy_version],
            cipher_suites: Vec::new(),
            extensions: Vec::new(),
            groups: Vec::new(),
            key_shares: Vec::new(),
            signature_algorithms: Vec::new(),
            resumes: false,
            go: None,
        },
        server_name: None,
        whole: false,
    };
    parsed.whole = rest_of_hello(reader, &mut parsed).is_some();
    parsed.hello.go = go_version(&parsed.hello);
    Some(parsed)
}

/// Fills in what follows the random. `None` where the bytes end early.
fn rest_of_hello(mut reader: Reader<'_>, parsed: &mut Parsed) -> Option<()> {
    reader.vector8()?;
    parsed.hello.cipher_suites = reader.vector16()?.u16s();
    reader.vector8()?;
    if reader.0.is_empty() {
        return Some(()); // no extensions at all (RFC 5246 §7.4.1.2)
    }
    let declared = usize::from(reader.u16()?);
    let complete = reader.0.len() >= declared;
    let mut extensions = Reader(reader.0.get(..declared).unwrap_or(reader.0));
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let length = usize::from(extensions.u16()?);
        parsed.hello.extensions.push(kind);
        extension(kind, extensions.take(length)?, parsed);
    }
    complete.then_some(())
}

fn extension(kind: u16, content: &[u8], parsed: &mut Parsed) {
    let hello = &mut parsed.hello;
    let mut reader = Reader(content);
    match kind {
        SERVER_NAME => {
            if let Ok((_, TlsExtension::SNI(names))) = parse_tls_extension_sni_content(content) {
                parsed.server_name = names
                    .iter()
                    .find(|(kind, _)| *kind == SNIType::HostName)
                    .map(|(_, name)| String::from_utf8_lossy(name).trim_end_matches('.').to_ascii_lowercase());
            }
        }
        ALPN => {
            if let Ok((_, TlsExtension::ALPN(protocols))) = parse_tls_extension_alpn_content(content) {
                hello.alpn = protocols.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
            }
        }
        SUPPORTED_GROUPS => hello.groups = reader.vector16().map(Reader::u16s).unwrap_or_default(),
        SIGNATURE_ALGORITHMS => hello.signature_algorithms = reader.vector16().map(Reader::u16s).unwrap_or_default(),
        SUPPORTED_VERSIONS => {
            if let Some(versions) = reader.vector8().map(Reader::u16s).filter(|versions| !versions.is_empty()) {
                hello.versions = versions;
            }
        }
        KEY_SHARE => {
            let Some(mut shares) = reader.vector16() else { return };
            hello.key_shares = std::iter::from_fn(|| {
                let group = shares.u16()?;
                let length = shares.u16()?;
                shares.take(usize::from(length))?;
                Some((group, length))
            })
            .collect();
        }
        PRE_SHARED_KEY => hello.resumes = true,
        SESSION_TICKET => hello.resumes |= !content.is_empty(),
        _ => {}
    }
}

/// What a `ServerHello` says.
pub(super) enum Server {
    /// It chooses, also how a CBC suite is used (RFC 7366 §2).
    Chosen(ServerHello, Order),
    /// It asks for another hello.
    Retry,
}

/// Reads the body of a `ServerHello`. Whether it resumes is told by what follows.
pub(super) fn server_hello(body: &[u8], at: Moment) -> Option<Server> {
    let (_, hello) = parse_tls_handshake_server_hello(body).ok()?;
    if hello.random == RETRY_RANDOM {
        return Some(Server::Retry);
    }
    let mut version = hello.version.0;
    let mut alpn = None;
    let mut pre_shared = false;
    let mut order = Order::MacThenEncrypt;
    let mut extensions = Reader(hello.ext.unwrap_or_default());
    while let (Some(kind), Some(content)) = (extensions.u16(), extensions.vector16()) {
        match (kind, content.0) {
            (SUPPORTED_VERSIONS, [high, low]) => version = u16::from_be_bytes([*high, *low]),
            (ALPN, content) => {
                if let Ok((_, TlsExtension::ALPN(protocols))) = parse_tls_extension_alpn_content(content) {
                    alpn = protocols.first().map(|name| String::from_utf8_lossy(name).into_owned());
                }
            }
            (PRE_SHARED_KEY, _) => pre_shared = true,
            (ENCRYPT_THEN_MAC, []) => order = Order::EncryptThenMac,
            _ => {}
        }
    }
    let hello = ServerHello { at, version, cipher_suite: hello.cipher.0, alpn, resumed: pre_shared };
    Some(Server::Chosen(hello, order))
}

/// The order in which `crypto/tls` writes its extensions (`handshake_messages.go`, `clientHelloMsg.marshalMsg`), by version.
const ORDER_1_23: &[u16] = &[0, 11, 65281, 23, 18, 5, 10, 13, 50, 16, 43, 51];
const ORDER_1_21: &[u16] = &[0, 5, 10, 11, 13, 65281, 23, 16, 18, 43, 51];

/// The twelve to nineteen suites that the go command offers: all versions begin with these, without AES hardware with others.
pub(super) const SUITES: &[u16] = &[0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc009, 0xc013, 0xc00a, 0xc014];
const SUITES_WITHOUT_AES: &[u16] = &[0xcca9, 0xcca8, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xc009, 0xc013, 0xc00a, 0xc014];

/// The Go versions whose `crypto/tls` writes such a hello, measured on go 1.19 to 1.27; `None` when it is not Go's.
///
/// Programs may change parts of it; what is compared is what they rarely touch: order of extensions and of suites.
fn go_version(hello: &ClientHello) -> Option<&'static str> {
    let in_order = |order: &[u16]| {
        let mut rest = order.iter();
        // Tickets, keys and QUIC parameters may stand between or behind; what Go always writes must be in its order.
        let known: Vec<u16> = hello.extensions.iter().copied().filter(|kind| order.contains(kind)).collect();
        known.len() >= 6 && known.iter().all(|kind| rest.any(|wanted| wanted == kind))
    };
    let suites = hello.cipher_suites.starts_with(SUITES) || hello.cipher_suites.starts_with(SUITES_WITHOUT_AES);
    if !suites || hello.legacy_version != 0x0303 {
        return None;
    }
    // What no other stack leaves out or adds at this place: padding, GREASE, record size limit, compressed certificates.
    let foreign = |kind: &u16| matches!(kind, 21 | 22 | 27 | 28 | 17_513) || (kind & 0x0f0f == 0x0a0a);
    if hello.extensions.iter().any(foreign) {
        return None;
    }
    if in_order(ORDER_1_23) {
        let certificate_algorithms = hello.extensions.contains(&50);
        return Some(if hello.signature_algorithms.contains(&0x0904) {
            "1.27"
        } else if hello.groups.contains(&0x11eb) {
            "1.26"
        } else if certificate_algorithms {
            "1.25"
        } else if hello.cipher_suites.len() <= 13 {
            "1.24"
        } else {
            "1.23"
        });
    }
    in_order(ORDER_1_21).then_some(if hello.extensions.contains(&23) { "1.21-1.22" } else { "1.20 or older" })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{AT, extension_bytes, vector16};
    use super::*;

    fn go_hello(name: &str, signature_algorithms: &[u16]) -> Vec<u8> {
        super::super::testing::go_hello(name, signature_algorithms, true)
    }

    #[test]
    fn a_whole_hello_is_read_and_known_as_go_s() {
        let parsed = client_hello(&go_hello("Proxy.Example.", &[0x0904, 0x0804]), AT, AT).unwrap();
        assert!(parsed.whole);
        assert_eq!(parsed.server_name.as_deref(), Some("proxy.example"));
        assert_eq!(parsed.hello.alpn, ["h2", "http/1.1"]);
        assert_eq!(parsed.hello.versions, [0x0304, 0x0303]);
        assert_eq!(parsed.hello.key_shares, [(0x11ec, 1216), (29, 32)]);
        assert_eq!(parsed.hello.go, Some("1.27"));
        let older = client_hello(&go_hello("proxy.example", &[0x0804]), AT, AT).unwrap();
        assert_eq!(older.hello.go, Some("1.26"));
    }

    #[test]
    fn another_order_of_extensions_is_not_go_s() {
        let mut parsed = client_hello(&go_hello("proxy.example", &[0x0804]), AT, AT).unwrap();
        parsed.hello.extensions.swap(1, 4);
        assert_eq!(go_version(&parsed.hello), None);
        parsed.hello.extensions.swap(1, 4);
        parsed.hello.extensions.push(21);
        assert_eq!(go_version(&parsed.hello), None, "Go does not pad");
    }

    #[test]
    fn half_a_hello_still_has_the_name_and_says_that_it_is_not_whole() {
        let body = go_hello("proxy.example", &[0x0804]);
        let parsed = client_hello(&body[..200], AT, AT).unwrap();
        assert!(!parsed.whole);
        assert_eq!(parsed.server_name.as_deref(), Some("proxy.example"));
    }

    #[test]
    fn no_prefix_of_a_hello_panics() {
        let body = go_hello("proxy.example", &[0x0804]);
        for end in 0..body.len() {
            let parsed = client_hello(&body[..end], AT, AT);
            // A hello may end before its extensions (RFC 5246 §7.4.1.2); anywhere else the cut shows.
            assert!(parsed.is_none_or(|parsed| !parsed.whole || parsed.hello.extensions.is_empty()), "cut at {end}");
        }
    }

    #[test]
    fn a_retry_request_is_no_choice() {
        let body =
            [&[3, 3][..], &RETRY_RANDOM, &[0], &[0x13, 1], &[0], &vector16(&extension_bytes(43, &[3, 4]))].concat();
        assert!(matches!(server_hello(&body, AT), Some(Server::Retry)));
        let body = [&[3, 3][..], &[5; 32], &[0], &[0x13, 1], &[0], &vector16(&extension_bytes(43, &[3, 4]))].concat();
        let Some(Server::Chosen(hello, Order::MacThenEncrypt)) = server_hello(&body, AT) else { panic!("a choice") };
        assert_eq!((hello.version, hello.cipher_suite), (0x0304, 0x1301));
    }
}
