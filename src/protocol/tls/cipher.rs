//! What opens one record: an AEAD (RFC 8446 §5.2, RFC 5246 §6.2.3.3), or AES-CBC with an HMAC (RFC 5246 §6.2.3.2, RFC 7366).
//!
//! Nothing comes out of here that tag or HMAC do not vouch for.

use std::ops::Range;

use aes::{Aes128Dec, Aes256Dec};
use cbc::Decryptor;
use cbc::cipher::{Array, BlockModeDecrypt, InnerIvInit, KeyInit};
use ring::{aead, hmac};

/// The length of an AES block, of an IV, and so of what every CBC record begins with.
const BLOCK: usize = 16;

/// A key and what else opens the records of one direction.
pub(super) enum RecordKey {
    Aead(Box<AeadKey>),
    Cbc(Box<CbcKey>),
}

/// How an AEAD is put to use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// RFC 8446 §5.2 and §5.3.
    Tls13,
    /// AES-GCM in TLS 1.2: each record carries 8 bytes of its nonce (RFC 5288 §3).
    ExplicitNonce,
    /// ChaCha20-Poly1305 in TLS 1.2 (RFC 7905 §2).
    ImplicitNonce,
}

impl Form {
    /// Bytes of the key block, or of the expanded secret, that nonces are made of.
    pub(super) const fn iv_length(self) -> usize {
        if matches!(self, Self::ExplicitNonce) { 4 } else { 12 }
    }
}

pub(super) struct AeadKey {
    form: Form,
    key: aead::LessSafeKey,
    iv: [u8; 12],
}

impl AeadKey {
    /// `None` where lengths do not fit.
    pub(super) fn new(algorithm: &'static aead::Algorithm, form: Form, key: &[u8], iv: &[u8]) -> Option<Self> {
        if iv.len() != form.iv_length() {
            return None;
        }
        let mut padded = [0; 12];
        padded.iter_mut().zip(iv).for_each(|(to, from)| *to = *from);
        Some(Self { form, key: aead::LessSafeKey::new(aead::UnboundKey::new(algorithm, key).ok()?), iv: padded })
    }

    fn open(&self, number: u64, kind: u8, body: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let mut nonce = self.iv;
        let sealed = if self.form == Form::ExplicitNonce {
            let (explicit, sealed) = body.split_at_checked(8)?;
            nonce.iter_mut().skip(4).zip(explicit).for_each(|(to, from)| *to = *from);
            sealed
        } else {
            nonce.iter_mut().skip(4).zip(number.to_be_bytes()).for_each(|(to, from)| *to ^= from);
            body
        };
        let plain = sealed.len().checked_sub(self.key.algorithm().tag_len())?;
        out.clear();
        out.extend_from_slice(sealed);
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        if self.form == Form::Tls13 {
            let [high, low] = u16::try_from(body.len()).ok()?.to_be_bytes();
            self.key.open_in_place(nonce, aead::Aad::from([kind, 3, 3, high, low]), out).ok()?;
        } else {
            self.key.open_in_place(nonce, aead::Aad::from(pseudo_header(number, kind, plain)?), out).ok()?;
        }
        out.truncate(plain);
        Some(())
    }
}

/// Which is computed over the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    /// The HMAC is within what is encrypted (RFC 5246 §6.2.3.2).
    MacThenEncrypt,
    /// The HMAC follows what is encrypted (RFC 7366 §3).
    EncryptThenMac,
}

pub(super) struct CbcKey {
    order: Order,
    cipher: Aes,
    mac: hmac::Key,
}

enum Aes {
    Of128(Box<Aes128Dec>),
    Of256(Box<Aes256Dec>),
}

impl CbcKey {
    /// `None` where the key is none of AES.
    pub(super) fn new(order: Order, key: &[u8], algorithm: hmac::Algorithm, mac: &[u8]) -> Option<Self> {
        let cipher = match key.len() {
            16 => Aes::Of128(Box::new(Aes128Dec::new_from_slice(key).ok()?)),
            32 => Aes::Of256(Box::new(Aes256Dec::new_from_slice(key).ok()?)),
            _ => return None,
        };
        Some(Self { order, cipher, mac: hmac::Key::new(algorithm, mac) })
    }

    fn open(&self, numbers: Range<u64>, kind: u8, body: &[u8], out: &mut Vec<u8>) -> Option<u64> {
        let mac_length = self.mac.algorithm().digest_algorithm().output_len();
        match self.order {
            Order::MacThenEncrypt => {
                self.decrypt(body, out)?;
                let (content, mac) = out.split_at_checked(out.len().checked_sub(mac_length)?)?;
                let number = self.vouched(numbers, kind, content, mac)?;
                let length = content.len();
                out.truncate(length);
                Some(number)
            }
            Order::EncryptThenMac => {
                let (sealed, mac) = body.split_at_checked(body.len().checked_sub(mac_length)?)?;
                let number = self.vouched(numbers, kind, sealed, mac)?;
                self.decrypt(sealed, out)?;
                Some(number)
            }
        }
    }

    /// The first of the numbers for which the HMAC is right.
    fn vouched(&self, mut numbers: Range<u64>, kind: u8, content: &[u8], mac: &[u8]) -> Option<u64> {
        numbers.find(|number| {
            pseudo_header(*number, kind, content.len()).is_some_and(|header| {
                let mut context = hmac::Context::with_key(&self.mac);
                context.update(&header);
                context.update(content);
                context.sign().as_ref() == mac
            })
        })
    }

    /// Decrypts what follows the IV, and takes the padding off: bytes that each say how many others there are.
    fn decrypt(&self, body: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let (iv, sealed) = body.split_at_checked(BLOCK)?;
        if sealed.is_empty() || sealed.len() % BLOCK != 0 {
            return None;
        }
        let iv = Array::try_from(iv).ok()?;
        out.clear();
        out.extend_from_slice(sealed);
        let (blocks, _) = Array::slice_as_chunks_mut(out);
        match &self.cipher {
            Aes::Of128(cipher) => Decryptor::inner_iv_init(&**cipher, &iv).decrypt_blocks(blocks),
            Aes::Of256(cipher) => Decryptor::inner_iv_init(&**cipher, &iv).decrypt_blocks(blocks),
        }
        let padding = *out.last()?;
        let length = out.len().checked_sub(usize::from(padding) + 1)?;
        if out.get(length..)?.iter().any(|byte| *byte != padding) {
            return None;
        }
        out.truncate(length);
        Some(())
    }
}

/// What tag and HMAC of TLS 1.2 cover beside the content (RFC 5246 §6.2.3.1).
fn pseudo_header(number: u64, kind: u8, length: usize) -> Option<[u8; 13]> {
    let mut header = [0, 0, 0, 0, 0, 0, 0, 0, kind, 3, 3, 0, 0];
    let (front, back) = (number.to_be_bytes(), u16::try_from(length).ok()?.to_be_bytes());
    header.iter_mut().zip(front).for_each(|(to, from)| *to = from);
    header.iter_mut().skip(11).zip(back).for_each(|(to, from)| *to = from);
    Some(header)
}

impl RecordKey {
    /// Opens a record as the first of the numbers that fits it, which is returned; its content is in `out` then.
    pub(super) fn open(&self, mut numbers: Range<u64>, kind: u8, body: &[u8], out: &mut Vec<u8>) -> Option<u64> {
        match self {
            Self::Aead(key) => numbers.find(|number| key.open(*number, kind, body, out).is_some()),
            Self::Cbc(key) => key.open(numbers, kind, body, out),
        }
    }

    /// So many bytes does each record carry beside its content. `None` where it depends on the content: padding of whole
    /// blocks. That of TLS 1.3 is left out of the account, since hardly anybody pads.
    pub(super) const fn overhead(&self) -> Option<u64> {
        match self {
            Self::Aead(key) => Some(match key.form {
                Form::Tls13 => 17, // content type and tag
                Form::ExplicitNonce => 24,
                Form::ImplicitNonce => 16,
            }),
            Self::Cbc(_) => None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use aes::{Aes128Enc, Aes256Enc};
    use cbc::Encryptor;
    use cbc::cipher::BlockModeEncrypt;

    use super::*;

    impl RecordKey {
        /// Seals as the other end does; padding is of TLS 1.3.
        pub(in super::super) fn seal(&self, number: u64, kind: u8, content: &[u8], padding: usize) -> Vec<u8> {
            let Self::Aead(aead_key) = self else { panic!("no AEAD") };
            let AeadKey { form, key, iv } = &**aead_key;
            let mut nonce = *iv;
            let (mut body, explicit) = if *form == Form::ExplicitNonce {
                nonce[4..].copy_from_slice(&[6; 8]);
                (content.to_vec(), vec![6; 8])
            } else {
                nonce[4..].iter_mut().zip(number.to_be_bytes()).for_each(|(to, from)| *to ^= from);
                (content.to_vec(), Vec::new())
            };
            let nonce = aead::Nonce::assume_unique_for_key(nonce);
            let additional = if *form == Form::Tls13 {
                body = [content, &[kind], &vec![0; padding]].concat();
                [&[23, 3, 3][..], &u16::try_from(body.len() + 16).unwrap().to_be_bytes()].concat()
            } else {
                pseudo_header(number, kind, content.len()).unwrap().to_vec()
            };
            key.seal_in_place_append_tag(nonce, aead::Aad::from(additional), &mut body).unwrap();
            [explicit, body].concat()
        }
    }

    /// The other end of a [`CbcKey`].
    pub(in super::super) struct CbcSealer {
        pub(in super::super) order: Order,
        pub(in super::super) key: Vec<u8>,
        pub(in super::super) mac: hmac::Key,
    }

    impl CbcSealer {
        fn mac(&self, number: u64, kind: u8, content: &[u8]) -> Vec<u8> {
            let header = pseudo_header(number, kind, content.len()).unwrap();
            hmac::sign(&self.mac, &[&header[..], content].concat()).as_ref().to_vec()
        }

        /// With so many blocks of padding more than needed.
        pub(in super::super) fn seal(&self, number: u64, kind: u8, content: &[u8], more: usize) -> Vec<u8> {
            let mut inner = content.to_vec();
            if self.order == Order::MacThenEncrypt {
                inner.extend(self.mac(number, kind, content));
            }
            let padding = BLOCK - 1 - inner.len() % BLOCK + more * BLOCK;
            inner.extend(vec![u8::try_from(padding).unwrap(); padding + 1]);
            let mut sealed = [&[0x5a; BLOCK][..], &self.encrypted(&inner)].concat();
            if self.order == Order::EncryptThenMac {
                sealed.extend(self.mac(number, kind, &sealed));
            }
            sealed
        }

        fn encrypted(&self, plain: &[u8]) -> Vec<u8> {
            let (mut out, iv) = (plain.to_vec(), Array::from([0x5a; BLOCK]));
            let (blocks, _) = Array::slice_as_chunks_mut(&mut out);
            if self.key.len() == 16 {
                let cipher = Aes128Enc::new_from_slice(&self.key).unwrap();
                Encryptor::inner_iv_init(cipher, &iv).encrypt_blocks(blocks);
            } else {
                let cipher = Aes256Enc::new_from_slice(&self.key).unwrap();
                Encryptor::inner_iv_init(cipher, &iv).encrypt_blocks(blocks);
            }
            out
        }
    }

    /// Every suite's manner, with both orders.
    pub(in super::super) fn pairs() -> Vec<(CbcSealer, RecordKey)> {
        let mut pairs = Vec::new();
        for order in [Order::MacThenEncrypt, Order::EncryptThenMac] {
            for (key, algorithm) in [
                (vec![1; 16], hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
                (vec![2; 16], hmac::HMAC_SHA256),
                (vec![3; 32], hmac::HMAC_SHA384),
            ] {
                let opener = RecordKey::Cbc(Box::new(CbcKey::new(order, &key, algorithm, &[9; 20]).unwrap()));
                pairs.push((CbcSealer { order, key, mac: hmac::Key::new(algorithm, &[9; 20]) }, opener));
            }
        }
        pairs
    }

    #[test]
    fn rfc_3602_4_aes_in_cbc_mode() {
        // Case #2: 32 bytes with AES-128. Padding is not part of the vector, so only that it is missing is seen here.
        let key = b"\xc2\x86\x69\x6d\x88\x7c\x9a\xa0\x61\x1b\xbb\x3e\x20\x25\xa4\x5a";
        let body = b"\x56\x2e\x17\x99\x6d\x09\x3d\x28\xdd\xb3\xba\x69\x5a\x2e\x6f\x58\
            \xd2\x96\xcd\x94\xc2\xcc\xcf\x8a\x3a\x86\x30\x28\xb5\xe1\xdc\x0a\
            \x75\x86\x60\x2d\x25\x3c\xff\xf9\x1b\x82\x66\xbe\xa6\xd6\x1a\xb1";
        let key = CbcKey::new(Order::MacThenEncrypt, key, hmac::HMAC_SHA256, b"").unwrap();
        let mut out = Vec::new();
        assert!(key.decrypt(body, &mut out).is_none(), "the last byte is 0x1f, and not all of 32 bytes are");
        assert_eq!(out, (0..32).collect::<Vec<u8>>());
    }

    #[test]
    fn rfc_5246_6_2_3_2_content_of_any_length_comes_back_with_any_padding() {
        for (sealer, key) in pairs() {
            for length in (0..70).chain([1 << 14]) {
                let content: Vec<u8> = (0..length).map(|at: usize| u8::try_from(at % 251).unwrap()).collect();
                for more in [0, 1, 14] {
                    let body = sealer.seal(5, 23, &content, more);
                    let mut out = Vec::new();
                    assert_eq!(key.open(5..6, 23, &body, &mut out), Some(5), "{:?} {length}", sealer.order);
                    assert_eq!(out, content);
                }
            }
        }
    }

    #[test]
    fn number_kind_and_every_bit_of_a_record_are_vouched_for() {
        for (sealer, key) in pairs() {
            let mut out = Vec::new();
            let body = sealer.seal(5, 23, b"GET / HTTP/1.1", 1);
            assert_eq!(key.open(0..64, 23, &body, &mut out), Some(5), "the number is looked for");
            assert_eq!(key.open(6..64, 23, &body, &mut out), None);
            assert_eq!(key.open(5..6, 22, &body, &mut out), None);
            for bit in 0..body.len() * 8 {
                let mut damaged = body.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(key.open(0..64, 23, &damaged, &mut out), None, "{:?} bit {bit}", sealer.order);
            }
        }
    }

    #[test]
    fn wrong_padding_opens_nothing_though_the_hmac_is_right() {
        for (sealer, key) in pairs() {
            let mac = sealer.mac(0, 23, b"content of 16 by");
            let mut inner = [b"content of 16 by".as_slice(), &mac].concat();
            let padding = BLOCK - 1 - inner.len() % BLOCK + BLOCK;
            inner.extend(vec![u8::try_from(padding).unwrap(); padding + 1]);
            let at = inner.len() - padding;
            inner[at] ^= 1;
            let sealed = [&[0x5a; BLOCK][..], &sealer.encrypted(&inner)].concat();
            let body = match sealer.order {
                Order::MacThenEncrypt => sealed,
                Order::EncryptThenMac => [&sealed[..], &sealer.mac(0, 23, &sealed)].concat(),
            };
            assert_eq!(key.open(0..1, 23, &body, &mut Vec::new()), None);
        }
    }

    #[test]
    fn records_cut_anywhere_open_nothing() {
        for (sealer, key) in pairs() {
            let body = sealer.seal(0, 23, b"GET / HTTP/1.1", 0);
            for end in 0..body.len() {
                assert_eq!(key.open(0..64, 23, &body[..end], &mut Vec::new()), None, "cut at {end}");
            }
        }
    }
}
