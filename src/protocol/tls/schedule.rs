//! From logged secrets to record keys: HKDF-Expand-Label (RFC 8446 §7.1) and the PRF of TLS 1.2 (RFC 5246 §5).

use ring::{aead, hkdf, hmac};

/// What a cipher suite means for keys and records.
#[derive(Clone, Copy)]
pub(super) struct Suite {
    pub(super) aead: &'static aead::Algorithm,
    /// SHA-384, not SHA-256.
    sha384: bool,
    /// It is of TLS 1.3.
    pub(super) is_1_3: bool,
    /// Each record carries 8 bytes of its nonce (RFC 5288 §3).
    pub(super) explicit_nonce: bool,
}

impl Suite {
    /// The suite of that number; `None` where it is not known here. Suites with CBC are not.
    pub(super) fn of(number: u16) -> Option<Self> {
        let (aead, sha384) = match number {
            0x1301 | 0xc02b | 0xc02f | 0x009c | 0x009e => (&aead::AES_128_GCM, false),
            0x1302 | 0xc02c | 0xc030 | 0x009d | 0x009f => (&aead::AES_256_GCM, true),
            0x1303 | 0xcca8 | 0xcca9 | 0xccaa => (&aead::CHACHA20_POLY1305, false),
            _ => return None,
        };
        let is_1_3 = matches!(number, 0x1301..=0x1303);
        let explicit_nonce = !is_1_3 && aead != &aead::CHACHA20_POLY1305;
        Some(Self { aead, sha384, is_1_3, explicit_nonce })
    }

    fn hash_length(self) -> usize {
        if self.sha384 { 48 } else { 32 }
    }
}

/// A key and what nonces are made of.
pub(super) struct RecordKey {
    pub(super) key: aead::LessSafeKey,
    pub(super) iv: [u8; 12],
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
    if secret.len() != suite.hash_length() {
        return None;
    }
    let mut key = vec![0; suite.aead.key_len()];
    let mut iv = [0; 12];
    expand_label(suite, secret, b"key", &mut key)?;
    expand_label(suite, secret, b"iv", &mut iv)?;
    Some(RecordKey { key: aead::LessSafeKey::new(aead::UnboundKey::new(suite.aead, &key).ok()?), iv })
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

/// The keys of TLS 1.2, the client's and the server's (RFC 5246 §6.3; no MAC keys: RFC 5288 §3, RFC 7905 §2).
pub(super) fn key_block(suite: Suite, master: &[u8], client: &[u8; 32], server: &[u8; 32]) -> Option<[RecordKey; 2]> {
    if master.len() != 48 || suite.is_1_3 {
        return None;
    }
    let key_length = suite.aead.key_len();
    let iv_length = if suite.explicit_nonce { 4 } else { 12 };
    let mut block = vec![0; 2 * (key_length + iv_length)];
    prf(suite, master, b"key expansion", &[server, client], &mut block);
    let (keys, ivs) = block.split_at_checked(2 * key_length)?;
    let side = |key: &[u8], iv_bytes: &[u8]| {
        let mut iv = [0; 12];
        iv.iter_mut().zip(iv_bytes).for_each(|(to, from)| *to = *from);
        Some(RecordKey { key: aead::LessSafeKey::new(aead::UnboundKey::new(suite.aead, key).ok()?), iv })
    };
    Some([side(keys.get(..key_length)?, ivs.get(..iv_length)?)?, side(keys.get(key_length..)?, ivs.get(iv_length..)?)?])
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
        assert!(key_block(Suite::of(0xc030).unwrap(), &[1; 32], &[0; 32], &[0; 32]).is_none());
        assert!(Suite::of(0xc013).is_none(), "a CBC suite");
    }
}
