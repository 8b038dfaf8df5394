//! `ClientHello`s as go's `crypto/tls` writes them, byte for byte but for what is drawn by lot: random, session id, key shares.
//!
//! A hello of another TLS library is no control for go's: what a path does to a hello depends on its size, its order and the
//! codepoints in it. So go's own is rebuilt, and one property changed at a time. The keys in it are well-formed and belong to
//! nobody: no handshake is ever completed with them.

use ring::rand::{SecureRandom as _, SystemRandom};

use crate::go::env::GoEnv;
use crate::observation::{Case, ClientHello, Relevance};

/// `ServerName` and the other extensions that go writes (Go: src/crypto/tls/common.go).
const SERVER_NAME: u16 = 0;
const STATUS_REQUEST: u16 = 5;
const SUPPORTED_GROUPS: u16 = 10;
const POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SCT: u16 = 18;
const EXTENDED_MASTER_SECRET: u16 = 23;
const SUPPORTED_VERSIONS: u16 = 43;
const CERTIFICATE_ALGORITHMS: u16 = 50;
const KEY_SHARE: u16 = 51;
const RENEGOTIATION_INFO: u16 = 65_281;

const X25519: u16 = 29;
const X25519_MLKEM768: u16 = 0x11ec;
const X25519_KYBER768: u16 = 0x6399;

/// Extensions in the order of `clientHelloMsg.marshalMsg` (Go: `src/crypto/tls/handshake_messages.go`): since 1.23, and before.
const ORDER: &[u16] = &[0, 11, 65_281, 23, 18, 5, 10, 13, 50, 16, 43, 51];
const ORDER_1_22: &[u16] = &[0, 5, 10, 11, 13, 65_281, 23, 16, 18, 43, 51];

/// Suites that go offers where the processor has AES (Go: `src/crypto/tls/cipher_suites.go`): 1.24 dropped those in the middle.
const SUITES: &[u16] = &[0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc009, 0xc013, 0xc00a, 0xc014];
const SUITES_1_23: &[u16] = &[0x009c, 0x009d, 0x002f, 0x0035, 0xc012, 0x000a];
const SUITES_TLS_1_3: &[u16] = &[0x1301, 0x1302, 0x1303];

const ML_DSA: &[u16] = &[0x0904, 0x0905, 0x0906];
const SIGNATURES: &[u16] = &[0x0804, 0x0403, 0x0807, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0503, 0x0603];
/// With SHA-1: from 1.25 on in certificates only.
const SHA_1: &[u16] = &[0x0201, 0x0203];
const CURVES: &[u16] = &[X25519, 23, 24, 25];

/// The newest go whose hello was recorded; what is newer is taken to write the same.
const NEWEST: u32 = 27;
/// The last go with a small hello.
const CLASSIC: u32 = 22;

/// What go writes into its hello, but for the name and the lot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GoHello {
    /// Whose it is: `go1.27`, `as recorded`.
    pub of: String,
    suites: Vec<u16>,
    extensions: Vec<u16>,
    groups: Vec<u16>,
    shares: Vec<u16>,
    signatures: Vec<u16>,
    certificate_signatures: Vec<u16>,
    alpn: Vec<String>,
    versions: Vec<u16>,
}

impl Default for GoHello {
    fn default() -> Self {
        Self::of_minor(NEWEST)
    }
}

impl GoHello {
    /// The hello of a go, from its version (`go1.24.11`, with or without `go`) and its GODEBUG. Versions that are not known write
    /// as the nearest that is.
    #[must_use]
    pub fn of_go(version: &str, godebug: &str) -> Self {
        let minor = version.trim().trim_start_matches("go").split('.').nth(1);
        // "27rc1", "27-devel".
        let minor = minor.map(|text| text.chars().take_while(char::is_ascii_digit).collect::<String>());
        let hello = Self::of_minor(minor.and_then(|text| text.parse().ok()).unwrap_or(NEWEST));
        let says = |wanted: &str| godebug.split(',').any(|setting| setting.trim() == wanted);
        if says("tlsmlkem=0") {
            hello.without_post_quantum()
        } else if says("tlssecpmlkem=0") {
            let mut hello = hello;
            hello.groups.retain(|group| !matches!(group, 0x11eb | 0x11ed));
            hello
        } else {
            hello
        }
    }

    /// The hello of the go that has these settings.
    #[must_use]
    pub fn of_settings(env: &GoEnv) -> Self {
        let version = env.go_version().map(|version| version.to_string()).unwrap_or_default();
        Self::of_go(&version, env.get("GODEBUG").unwrap_or_default())
    }

    /// The hello that the recorded go sent; without one, that of a go with these settings.
    #[must_use]
    pub fn of_case(case: &Case, env: &GoEnv) -> Self {
        let gos = case.handshakes.iter().filter(|handshake| {
            case.connection(handshake.flow).is_some_and(|connection| connection.relevance == Relevance::Go)
        });
        gos.filter_map(|handshake| Self::recorded(handshake.hello.as_ref()?))
            .next()
            .unwrap_or_else(|| Self::of_settings(env))
    }

    fn of_minor(minor: u32) -> Self {
        let list = |parts: &[&[u16]]| parts.concat();
        let signatures = match minor {
            0..=24 => list(&[SIGNATURES, SHA_1]),
            25 | 26 => list(&[SIGNATURES]),
            _ => list(&[ML_DSA, SIGNATURES]),
        };
        let extensions = match minor {
            0..=22 => ORDER_1_22.to_vec(),
            23 | 24 => ORDER.iter().copied().filter(|kind| *kind != CERTIFICATE_ALGORITHMS).collect(),
            _ => ORDER.to_vec(),
        };
        Self {
            of: format!("go1.{}", minor.clamp(21, NEWEST)),
            suites: if minor < 24 {
                list(&[SUITES, SUITES_1_23, SUITES_TLS_1_3])
            } else {
                list(&[SUITES, SUITES_TLS_1_3])
            },
            extensions,
            groups: match minor {
                0..=23 => CURVES.to_vec(),
                24 | 25 => list(&[&[X25519_MLKEM768], CURVES]),
                _ => list(&[&[X25519_MLKEM768, 0x11eb, 0x11ed], CURVES]),
            },
            shares: if minor < 24 { vec![X25519] } else { vec![X25519_MLKEM768, X25519] },
            certificate_signatures: list(&[&signatures, SHA_1]),
            signatures,
            alpn: vec!["h2".to_owned(), "http/1.1".to_owned()],
            versions: vec![0x0304, 0x0303],
        }
    }

    /// The hello that a recording shows. `None` where it is not go's, not whole, or holds what cannot be written anew.
    #[must_use]
    pub fn recorded(hello: &ClientHello) -> Option<Self> {
        let shares: Vec<u16> = hello.key_shares.iter().map(|(group, _)| *group).collect();
        let known = hello.extensions.iter().all(|kind| ORDER.contains(kind));
        let writable = shares.iter().all(|group| share_length(*group).is_some());
        if !(hello.complete && hello.go.is_some() && known && writable && !hello.resumes) {
            return None;
        }
        Some(Self {
            of: "go's, as recorded".to_owned(),
            suites: hello.cipher_suites.clone(),
            extensions: hello.extensions.clone(),
            groups: hello.groups.clone(),
            shares,
            certificate_signatures: [hello.signature_algorithms.as_slice(), SHA_1].concat(),
            signatures: hello.signature_algorithms.clone(),
            alpn: hello.alpn.clone(),
            versions: hello.versions.clone(),
        })
    }

    /// The same without post-quantum key shares and groups, as `GODEBUG=tlsmlkem=0` makes it.
    #[must_use]
    pub fn without_post_quantum(&self) -> Self {
        let mut hello = self.clone();
        hello.groups.retain(|group| !is_post_quantum(*group));
        hello.shares.retain(|group| !is_post_quantum(*group));
        hello
    }

    /// The same without ML-DSA among the signature algorithms. No setting of go's does that.
    #[must_use]
    pub fn without_ml_dsa(&self) -> Self {
        let mut hello = self.clone();
        hello.signatures.retain(|algorithm| !ML_DSA.contains(algorithm));
        hello.certificate_signatures.retain(|algorithm| !ML_DSA.contains(algorithm));
        hello
    }

    /// The small hello that go wrote up to 1.22.
    #[must_use]
    pub fn classic() -> Self {
        Self::of_minor(CLASSIC)
    }

    /// Whether it has a post-quantum key share.
    #[must_use]
    pub fn is_post_quantum(&self) -> bool {
        self.shares.iter().any(|group| is_post_quantum(*group))
    }

    /// Whether it offers ML-DSA signatures.
    #[must_use]
    pub fn has_ml_dsa(&self) -> bool {
        self.signatures.iter().any(|algorithm| ML_DSA.contains(algorithm))
    }

    /// The handshake message, without a record around it. `lot` fills what is drawn.
    pub(super) fn message(&self, name: Option<&str>, lot: &mut dyn FnMut(&mut [u8])) -> Vec<u8> {
        let mut random = [0; 32];
        let mut session = [0; 32];
        lot(&mut random);
        lot(&mut session);
        let mut extensions = Vec::new();
        for kind in &self.extensions {
            if *kind == SERVER_NAME && name.is_none() {
                continue;
            }
            let content = self.extension(*kind, name.unwrap_or_default(), lot);
            extensions.extend(kind.to_be_bytes());
            extensions.extend(vector16(&content));
        }
        let body =
            [&[3, 3][..], &random, &[32], &session, &list16(&self.suites), &[1, 0], &vector16(&extensions)].concat();
        let [_, length @ ..] = u32::try_from(body.len()).unwrap_or(0).to_be_bytes();
        [&[1][..], &length, &body].concat()
    }

    /// RFC 8446 §4.2 and what it refers to.
    fn extension(&self, kind: u16, name: &str, lot: &mut dyn FnMut(&mut [u8])) -> Vec<u8> {
        match kind {
            SERVER_NAME => vector16(&[&[0][..], &vector16(name.as_bytes())].concat()),
            POINT_FORMATS => vec![1, 0],
            RENEGOTIATION_INFO => vec![0],
            STATUS_REQUEST => vec![1, 0, 0, 0, 0],
            SUPPORTED_GROUPS => list16(&self.groups),
            SIGNATURE_ALGORITHMS => list16(&self.signatures),
            CERTIFICATE_ALGORITHMS => list16(&self.certificate_signatures),
            ALPN => {
                let names = self.alpn.iter().flat_map(|name| vector8(name.as_bytes()));
                vector16(&names.collect::<Vec<u8>>())
            }
            SUPPORTED_VERSIONS => vector8(&be(&self.versions)),
            KEY_SHARE => {
                let mut shares = Vec::new();
                for group in &self.shares {
                    shares.extend(group.to_be_bytes());
                    shares.extend(vector16(&share(*group, lot)));
                }
                vector16(&shares)
            }
            EXTENDED_MASTER_SECRET | SCT => Vec::new(),
            _ => Vec::new(),
        }
    }
}

/// Fills from the system's randomness; leaves zeros where there is none, which no server minds.
pub(super) fn system_lot(bytes: &mut [u8]) {
    let _ = SystemRandom::new().fill(bytes);
}

/// A message in one record, with the version that go writes there (RFC 8446 §5.1), or in two with the cut at `cut`.
pub(super) fn records(message: &[u8], cut: Option<usize>) -> Vec<u8> {
    let parts = match cut.and_then(|cut| message.split_at_checked(cut)) {
        Some((first, second)) => vec![first, second],
        None => vec![message],
    };
    parts.into_iter().flat_map(|part| [&[22, 3, 1][..], &vector16(part)].concat()).collect()
}

const fn is_post_quantum(group: u16) -> bool {
    matches!(group, 0x11eb..=0x11ed | X25519_KYBER768)
}

/// Bytes of a key share, where one can be drawn.
const fn share_length(group: u16) -> Option<usize> {
    match group {
        X25519 => Some(32),
        X25519_MLKEM768 | X25519_KYBER768 => Some(1_216),
        _ => None,
    }
}

fn share(group: u16, lot: &mut dyn FnMut(&mut [u8])) -> Vec<u8> {
    let mut curve = vec![0; 32];
    lot(&mut curve);
    match group {
        // draft-ietf-tls-ecdhe-mlkem §4.1: the ML-KEM key comes first; in the older draft of Kyber it came last.
        X25519_MLKEM768 => [lattice_key(lot), curve].concat(),
        X25519_KYBER768 => [curve, lattice_key(lot)].concat(),
        _ => curve,
    }
}

/// An ML-KEM-768 encapsulation key that passes the checks of FIPS 203 §7.2: 768 coefficients of twelve bits below the modulus,
/// and a seed.
fn lattice_key(lot: &mut dyn FnMut(&mut [u8])) -> Vec<u8> {
    const MODULUS: u16 = 3_329;
    let mut drawn = vec![0; 768 * 2];
    lot(&mut drawn);
    let mut coefficients = drawn.chunks_exact(2).map(|pair| match pair {
        [low, high] => u16::from_le_bytes([*low, *high]) % MODULUS,
        _ => 0,
    });
    let mut key = Vec::with_capacity(1_184);
    while let (Some(one), Some(two)) = (coefficients.next(), coefficients.next()) {
        let [low, middle, high, _] = (u32::from(one) | u32::from(two) << 12).to_le_bytes();
        key.extend([low, middle, high]);
    }
    let mut seed = [0; 32];
    lot(&mut seed);
    key.extend(seed);
    key
}

fn be(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

fn list16(values: &[u16]) -> Vec<u8> {
    vector16(&be(values))
}

fn vector16(content: &[u8]) -> Vec<u8> {
    [&u16::try_from(content.len()).unwrap_or(0).to_be_bytes(), content].concat()
}

fn vector8(content: &[u8]) -> Vec<u8> {
    [&[u8::try_from(content.len()).unwrap_or(0)], content].concat()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::Path;

    use super::*;
    use crate::packet::{Decoder, Transport};
    use crate::protocol::tls::testing::read_hello;
    use crate::source::{Input, Reader, Record};

    /// All first flights of clients in a recording that begin as a hello does, put together from their segments.
    fn hellos(file: &Path) -> Vec<Vec<u8>> {
        let mut reader = Reader::new(&[Input::open(file).unwrap()]);
        let mut decoder = Decoder::new();
        let mut streams: HashMap<_, (u32, Vec<u8>)> = HashMap::new();
        let mut order = Vec::new();
        while let Some(record) = reader.next() {
            let Record::Frame(frame) = record else { continue };
            let Some(packet) = decoder.decode(&frame) else { continue };
            let Transport::Tcp(tcp) = packet.transport else { continue };
            let key = (packet.ip.source, tcp.source_port, packet.ip.destination, tcp.destination_port);
            if tcp.payload.starts_with(&[22, 3, 1]) && !streams.contains_key(&key) {
                order.push(key);
                streams.insert(key, (tcp.seq, Vec::new()));
            }
            if let Some((start, bytes)) = streams.get_mut(&key)
                && tcp.seq.wrapping_sub(*start) as usize == bytes.len()
            {
                bytes.extend(tcp.payload);
            }
        }
        let whole = order.iter().filter_map(|key| {
            let bytes = &streams[key].1;
            let length = 5 + usize::from(u16::from_be_bytes([*bytes.get(3)?, *bytes.get(4)?]));
            Some(bytes.get(..length)?.to_vec())
        });
        whole.collect()
    }

    /// The hello with what is drawn by lot made zero: random, session id, key shares.
    fn blank(record: &[u8]) -> Vec<u8> {
        let mut bytes = record.to_vec();
        let number = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        bytes[11..43].fill(0);
        bytes[44..76].fill(0);
        let mut at = 76;
        at += 2 + usize::from(number(&bytes, at));
        at += 1 + usize::from(bytes[at]) + 2;
        while at < bytes.len() {
            let (kind, length) = (number(&bytes, at), usize::from(number(&bytes, at + 2)));
            at += 4;
            let mut share = at + 2;
            while kind == KEY_SHARE && share < at + length {
                let size = usize::from(number(&bytes, share + 2));
                bytes[share + 4..share + 4 + size].fill(0);
                share += 4 + size;
            }
            at += length;
        }
        bytes
    }

    /// Whether a recorded hello is rebuilt exactly, from the version that wrote it and from what was read of it.
    fn compare(what: &str, record: &[u8], go: &GoHello) {
        let (hello, name) = read_hello(&record[9..]);
        let name = name.as_deref();
        for built in [go, &GoHello::recorded(&hello).expect(what)] {
            let bytes = records(&built.message(name, &mut system_lot), None);
            assert_eq!(bytes.len(), record.len(), "{what}");
            assert_ne!(bytes, record, "{what}: the lot is drawn anew");
            assert!(blank(&bytes) == blank(record), "{what}, {}", built.of);
        }
    }

    #[test]
    fn hellos_of_our_recordings_are_rebuilt_byte_for_byte() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
        for (folder, version, size) in [
            ("clean/go122", "go1.22.10", 286),
            ("clean/go124", "go1.24.11", 1_496),
            ("clean/direct-tls13", "go1.27.3", 1_538),
        ] {
            let hellos = hellos(&root.join(folder).join("capture.pcap"));
            assert!(!hellos.is_empty(), "{folder}");
            for record in &hellos {
                compare(folder, record, &GoHello::of_go(version, ""));
            }
            assert!(hellos.iter().any(|record| record.len() == size), "{folder}");
        }
    }

    #[test]
    fn hellos_of_other_recordings_are_rebuilt_byte_for_byte() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/scenarios/go-versions");
        if !folder.is_dir() {
            println!("skipped: {} is missing", folder.display());
            return;
        }
        for (file, version, godebug) in [
            ("kl1.21.13", "go1.21.13", ""),
            ("cap-1.22.10", "go1.22.10", ""),
            ("cap-1.23.9", "1.23.9", ""),
            ("kl1.24.11", "go1.24.11", ""),
            ("cap-1.25.5", "go1.25.5", ""),
            ("cap-1.26.6", "go1.26.6", ""),
            ("cap-1.27.3", "go1.27.3", ""),
            ("kl1273t12", "go1.27.3", ""),
            ("klproxy", "go1.27.3", ""),
            ("cap-nomlkem", "go1.27.3", "tlsmlkem=0"),
            ("cap-nosecp", "go1.27.3", "netdns=go,tlssecpmlkem=0"),
        ] {
            let hellos = hellos(&folder.join(format!("{file}.pcap")));
            assert!(!hellos.is_empty(), "{file}");
            for record in hellos {
                compare(file, &record, &GoHello::of_go(version, godebug));
            }
        }
    }

    #[test]
    fn one_property_is_changed_and_no_other() {
        let go = GoHello::of_go("go1.27.3", "");
        let mut zeros = |bytes: &mut [u8]| bytes.fill(0);
        let mut read = |hello: &GoHello| read_hello(&hello.message(Some("proxy.golang.org"), &mut zeros)[4..]).0;
        let whole = read(&go);
        let small = read(&go.without_post_quantum());
        assert_eq!((small.key_shares.as_slice(), small.groups.as_slice()), (&[(29, 32)][..], CURVES));
        assert_eq!(small.signature_algorithms, whole.signature_algorithms);
        assert_eq!(small.extensions, whole.extensions);
        let older = read(&go.without_ml_dsa());
        assert_eq!(older.signature_algorithms, SIGNATURES);
        assert_eq!((older.key_shares, older.groups), (whole.key_shares, whole.groups));
        assert_eq!(read(&go.without_ml_dsa().without_post_quantum()).go, Some("1.25"));
        assert_eq!(read(&GoHello::classic()).go, Some("1.21-1.22"));
        assert!(go.is_post_quantum() && go.has_ml_dsa() && !GoHello::classic().is_post_quantum());
    }

    #[test]
    fn without_a_name_there_is_no_extension_for_it() {
        let message = GoHello::default().message(None, &mut system_lot);
        let (hello, name) = read_hello(&message[4..]);
        assert_eq!((name, hello.extensions.contains(&SERVER_NAME)), (None, false));
    }

    #[test]
    fn versions_that_are_not_known_write_as_the_newest() {
        for version in ["", "devel", "go1.28.1", "go1.27rc2", "1.27-custom"] {
            assert_eq!(GoHello::of_go(version, ""), GoHello::default(), "{version}");
        }
        assert_eq!(GoHello::of_go("go1.24rc1", ""), GoHello::of_go("go1.24.11", ""));
    }

    #[test]
    fn two_records_hold_the_same_message() {
        let message = GoHello::default().message(Some("a.example"), &mut system_lot);
        let two = records(&message, Some(100));
        assert_eq!(two[..5], [22, 3, 1, 0, 100]);
        assert_eq!(two[105..108], [22, 3, 1]);
        assert_eq!([&two[5..105], &two[110..]].concat(), message);
    }

    #[test]
    fn coefficients_of_lattice_keys_are_below_the_modulus() {
        let key = lattice_key(&mut system_lot);
        assert_eq!(key.len(), 1_184);
        for three in key[..1_152].chunks_exact(3) {
            let both = u32::from(three[0]) | u32::from(three[1]) << 8 | u32::from(three[2]) << 16;
            assert!(both & 0xfff < 3_329 && both >> 12 < 3_329);
        }
    }
}
