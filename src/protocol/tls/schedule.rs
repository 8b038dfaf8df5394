//! From logged secrets to record keys: HKDF-Expand-Label (RFC 8446 §7.1) and the PRF of TLS 1.2 (RFC 5246 §5).

use ring::{aead, hkdf, hmac};

use super::cipher::{AeadKey, CbcKey, Form, Order, RecordKey};

/// What a cipher suite means for keys and records.
#[derive(Clone, Copy)]
pub(super) struct Suite {
    cipher: Cipher,
    /// Secrets are expanded with SHA-384, not with SHA-256.
    sha384: bool,
}

#[derive(Clone, Copy)]
enum Cipher {
    Aead(&'static aead::Algorithm, Form),
    /// AES with a key of so many bytes, and the HMAC.
    Cbc(usize, hmac::Algorithm),
}

impl Suite {
    /// The suite of that number, in TLS 1.2 or 1.3 as it is of; `None` where it is not known here.
    pub(super) fn of(number: u16) -> Option<Self> {
        use Cipher::{Aead, Cbc};
        use Form::{ExplicitNonce, ImplicitNonce, Tls13};
        let (cipher, sha384) = match number {
            0x1301 => (Aead(&aead::AES_128_GCM, Tls13), false),
            0x1302 => (Aead(&aead::AES_256_GCM, Tls13), true),
            0x1303 => (Aead(&aead::CHACHA20_POLY1305, Tls13), false),
            0xc02b | 0xc02f | 0x009c | 0x009e => (Aead(&aead::AES_128_GCM, ExplicitNonce), false),
            0xc02c | 0xc030 | 0x009d | 0x009f => (Aead(&aead::AES_256_GCM, ExplicitNonce), true),
            0xcca8..=0xccaa => (Aead(&aead::CHACHA20_POLY1305, ImplicitNonce), false),
            0xc009 | 0xc013 | 0x002f | 0x0033 => (Cbc(16, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY), false),
            0xc00a | 0xc014 | 0x0035 | 0x0039 => (Cbc(32, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY), false),
            0xc023 | 0xc027 | 0x003c | 0x0067 => (Cbc(16, hmac::HMAC_SHA256), false),
            0x003d | 0x006b => (Cbc(32, hmac::HMAC_SHA256), false),
            0xc024 | 0xc028 => (Cbc(32, hmac::HMAC_SHA384), true),
            _ => return None,
        };
        Some(Self { cipher, sha384 })
    }

    /// It is of TLS 1.3.
    pub(super) const fn is_1_3(self) -> bool {
        matches!(self.cipher, Cipher::Aead(_, Form::Tls13))
    }

    const fn hash_length(self) -> usize {
        if self.sha384 { 48 } else { 32 }
    }
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// `HKDF-Expand-Label(secret, label, "", out.len())`.
fn expand_label(suite: Suite, secret: &[u8], label: &[u8], out: &mut [u8]) -> Option<()> {
    let algorithm = if suite.sha384 { hkdf::HKDF_SHA384 } else { hkdf::HKDF_SHA256 };
    let length = u16::try_from(out.len()).ok()?.to_be_bytes();
    let label_length = [u8::try_from(label.len() + 6).ok()?];
    let info = [&length[..], &label_length, b"tls13 ", label, &[0]];
    hkdf::Prk::new_less_safe(algorithm, secret).expand(&info, Length(out.len())).ok()?.fill(out).ok()
}

/// Key and IV of a traffic secret (RFC 8446 §7.3). `None` where the secret cannot be one of that suite.
pub(super) fn traffic_key(suite: Suite, secret: &[u8]) -> Option<RecordKey> {
    let Cipher::Aead(algorithm, form @ Form::Tls13) = suite.cipher else { return None };
    if secret.len() != suite.hash_length() {
        return None;
    }
    let mut key = vec![0; algorithm.key_len()];
    let mut iv = [0; 12];
    expand_label(suite, secret, b"key", &mut key)?;
    expand_label(suite, secret, b"iv", &mut iv)?;
    Some(RecordKey::Aead(Box::new(AeadKey::new(algorithm, form, &key, &iv)?)))
}

/// The traffic secret after a `KeyUpdate` (RFC 8446 §7.2).
pub(super) fn next_secret(suite: Suite, secret: &[u8]) -> Option<Vec<u8>> {
    let mut next = vec![0; suite.hash_length()];
    expand_label(suite, secret, b"traffic upd", &mut next)?;
    Some(next)
}

/// The PRF of TLS 1.2: `P_hash(secret, label + seed)`.
fn prf(suite: Suite, secret: &[u8], label: &[u8], seed: &[&[u8]], out: &mut [u8]) {
    let algorithm = if suite.sha384 { hmac::HMAC_SHA384 } else { hmac::HMAC_SHA256 };
    let key = hmac::Key::new(algorithm, secret);
    let seed = [label, &seed.concat()].concat();
    let mut a = hmac::sign(&key, &seed);
    for chunk in out.chunks_mut(suite.hash_length()) {
        let mut context = hmac::Context::with_key(&key);
        context.update(a.as_ref());
        context.update(&seed);
        for (to, from) in chunk.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        a = hmac::sign(&key, a.as_ref());
    }
}

/// The keys of TLS 1.2, the client's and the server's (RFC 5246 §6.3). An AEAD has no HMAC keys (RFC 5288 §3, RFC 7905 §2),
/// and `order` says nothing to it. `None` where the master secret cannot be one.
pub(super) fn key_block(
    suite: Suite,
    order: Order,
    master: &[u8],
    client: &[u8; 32],
    server: &[u8; 32],
) -> Option<[RecordKey; 2]> {
    let (mac_length, key_length, iv_length) = match suite.cipher {
        Cipher::Aead(_, Form::Tls13) => return None,
        Cipher::Aead(algorithm, form) => (0, algorithm.key_len(), form.iv_length()),
        Cipher::Cbc(length, mac) => (mac.digest_algorithm().output_len(), length, 0),
    };
    if master.len() != 48 {
        return None;
    }
    let mut block = vec![0; 2 * (mac_length + key_length + iv_length)];
    prf(suite, master, b"key expansion", &[server, client], &mut block);
    let (macs, rest) = block.split_at_checked(2 * mac_length)?;
    let (keys, ivs) = rest.split_at_checked(2 * key_length)?;
    let (macs, keys, ivs) =
        (macs.split_at_checked(mac_length)?, keys.split_at_checked(key_length)?, ivs.split_at_checked(iv_length)?);
    let side = |mac: &[u8], key: &[u8], iv: &[u8]| {
        Some(match suite.cipher {
            Cipher::Aead(algorithm, form) => RecordKey::Aead(Box::new(AeadKey::new(algorithm, form, key, iv)?)),
            Cipher::Cbc(_, algorithm) => RecordKey::Cbc(Box::new(CbcKey::new(order, key, algorithm, mac)?)),
        })
    };
    Some([side(macs.0, keys.0, ivs.0)?, side(macs.1, keys.1, ivs.1)?])
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            hex.chars().filter_map(|c| c.to_digit(16)).filter_map(|digit| u8::try_from(digit).ok()).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// RFC 8448 §3, `{client} derive write traffic keys for handshake data`.
    pub(in super::super) const CLIENT_HANDSHAKE: &str =
        "b3 ed db 12 6e 06 7f 35 a7 80 b3 ab f4 5e 2d 8f 3b 1a 95 07 38 f5 2e 96 00 74 6a 0e 27 a5 5a 21";

    fn expanded(secret: &str, label: &[u8], length: usize) -> Vec<u8> {
        let mut out = vec![0; length];
        expand_label(Suite::of(0x1301).unwrap(), &bytes(secret), label, &mut out).unwrap();
        out
    }

    #[test]
    fn rfc_8448_3_keys_of_the_handshake() {
        assert_eq!(expanded(CLIENT_HANDSHAKE, b"key", 16), bytes("db fa a6 93 d1 76 2c 5b 66 6a f5 d9 50 25 8d 01"));
        assert_eq!(expanded(CLIENT_HANDSHAKE, b"iv", 12), bytes("5b d3 c7 1b 83 6e 0b 76 bb 73 26 5f"));
        let server = "b6 7b 7d 69 0c c1 6c 4e 75 e5 42 13 cb 2d 37 b4 e9 c9 12 bc de d9 10 5d 42 be fd 59 d3 91 ad 38";
        assert_eq!(expanded(server, b"key", 16), bytes("3f ce 51 60 09 c2 17 27 d0 f2 e4 e8 6e e4 03 bc"));
        assert_eq!(expanded(server, b"iv", 12), bytes("5d 31 3e b2 67 12 76 ee 13 00 0b 30"));
    }

    #[test]
    fn rfc_8448_3_keys_of_application_data() {
        let client = "9e 40 64 6c e7 9a 7f 9d c0 5a f8 88 9b ce 65 52 87 5a fa 0b 06 df 00 87 f7 92 eb b7 c1 75 04 a5";
        assert_eq!(expanded(client, b"key", 16), bytes("17 42 2d da 59 6e d5 d9 ac d8 90 e3 c6 3f 50 51"));
        assert_eq!(expanded(client, b"iv", 12), bytes("5b 78 92 3d ee 08 57 90 33 e5 23 d9"));
    }

    #[test]
    fn the_prf_of_tls_1_2_gives_its_published_test_vector() {
        // The vector for TLS1.2PRF-SHA256 of the IETF TLS working group's list, 2009.
        let secret = bytes("9b be 43 6b a9 40 f0 17 b1 76 52 84 9a 71 db 35");
        let seed = bytes("a0 ba 9f 93 6c da 31 18 27 a6 f7 96 ff d5 19 8c");
        let mut out = [0; 100];
        prf(Suite::of(0xc02f).unwrap(), &secret, b"test label", &[&seed], &mut out);
        assert_eq!(out[..16], bytes("e3 f2 29 ba 72 7b e1 7b 8d 12 26 20 55 7c d4 53"));
    }

    #[test]
    fn secrets_of_the_wrong_length_make_no_key() {
        assert!(traffic_key(Suite::of(0x1302).unwrap(), &[1; 32]).is_none());
        assert!(traffic_key(Suite::of(0x1301).unwrap(), &[1; 48]).is_none());
        assert!(key_block(Suite::of(0xc030).unwrap(), Order::MacThenEncrypt, &[1; 32], &[0; 32], &[0; 32]).is_none());
        assert!(key_block(Suite::of(0xc013).unwrap(), Order::MacThenEncrypt, &[1; 49], &[0; 32], &[0; 32]).is_none());
    }

    #[test]
    fn suites_are_of_one_version() {
        assert!(traffic_key(Suite::of(0xc02f).unwrap(), &[1; 32]).is_none());
        assert!(key_block(Suite::of(0x1301).unwrap(), Order::MacThenEncrypt, &[1; 48], &[0; 32], &[0; 32]).is_none());
        assert!(Suite::of(0x000a).is_none(), "Triple DES");
    }
}
