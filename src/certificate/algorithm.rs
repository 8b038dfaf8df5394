//! Signature algorithms and public keys by name (RFC 3279, RFC 4055, RFC 5758, RFC 8410, RFC 9881).

use super::der::{BIT_STRING, INTEGER, OID, Reader, SEQUENCE, bits, context_constructed, dotted};
use std::fmt;

/// A hash function under a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "their names say all")]
pub enum Hash {
    Md2,
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Md2 => "MD2",
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA1",
            Self::Sha224 => "SHA224",
            Self::Sha256 => "SHA256",
            Self::Sha384 => "SHA384",
            Self::Sha512 => "SHA512",
        })
    }
}

/// How a certificate is signed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5.
    Rsa(Hash),
    /// RSASSA-PSS with this hash throughout and a salt as long as the hash; `None` for other parameters, which Go
    /// does not know.
    RsaPss(Option<Hash>),
    /// ECDSA.
    Ecdsa(Hash),
    /// DSA, which Go does not verify.
    Dsa(Hash),
    /// Ed25519.
    Ed25519,
    /// Ed448, which Go does not know.
    Ed448,
    /// ML-DSA with its parameter set: 44, 65 or 87.
    MlDsa(u8),
    /// Another, by its object identifier.
    Other(String),
}

impl SignatureAlgorithm {
    /// Reads the content of an `AlgorithmIdentifier`.
    pub(super) fn read(content: &[u8]) -> Option<Self> {
        let mut fields = Reader::new(content);
        let oid = fields.read(OID)?.content;
        Some(match oid {
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last] => match last {
                2 => Self::Rsa(Hash::Md2),
                4 => Self::Rsa(Hash::Md5),
                5 => Self::Rsa(Hash::Sha1),
                10 => Self::RsaPss(fields.read(SEQUENCE).and_then(|parameters| pss_hash(parameters.content))),
                11 => Self::Rsa(Hash::Sha256),
                12 => Self::Rsa(Hash::Sha384),
                13 => Self::Rsa(Hash::Sha512),
                14 => Self::Rsa(Hash::Sha224),
                _ => Self::Other(dotted(oid)),
            },
            [0x2b, 0x0e, 0x03, 0x02, 0x1d] => Self::Rsa(Hash::Sha1),
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01] => Self::Ecdsa(Hash::Sha1),
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, last] => match last {
                1 => Self::Ecdsa(Hash::Sha224),
                2 => Self::Ecdsa(Hash::Sha256),
                3 => Self::Ecdsa(Hash::Sha384),
                4 => Self::Ecdsa(Hash::Sha512),
                _ => Self::Other(dotted(oid)),
            },
            [0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x03] => Self::Dsa(Hash::Sha1),
            [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, last] => match last {
                1 => Self::Dsa(Hash::Sha224),
                2 => Self::Dsa(Hash::Sha256),
                17 => Self::MlDsa(44),
                18 => Self::MlDsa(65),
                19 => Self::MlDsa(87),
                _ => Self::Other(dotted(oid)),
            },
            [0x2b, 0x65, 0x70] => Self::Ed25519,
            [0x2b, 0x65, 0x71] => Self::Ed448,
            _ => Self::Other(dotted(oid)),
        })
    }

    /// Whether Go refuses it as insecure whatever the key (`x509.InsecureAlgorithmError`: MD2, MD5 and SHA-1).
    #[must_use]
    pub const fn is_weak(&self) -> bool {
        matches!(
            self,
            Self::Rsa(Hash::Md2 | Hash::Md5 | Hash::Sha1)
                | Self::Ecdsa(Hash::Md2 | Hash::Md5 | Hash::Sha1)
                | Self::Dsa(Hash::Md2 | Hash::Md5 | Hash::Sha1)
        )
    }

    /// Whether some version of Go up to 1.27 verifies it (`checkSignature` in crypto/x509/x509.go).
    #[must_use]
    pub const fn is_known_to_go(&self) -> bool {
        !matches!(
            self,
            Self::RsaPss(None)
                | Self::Dsa(_)
                | Self::Ed448
                | Self::Other(_)
                | Self::Rsa(Hash::Sha224 | Hash::Md2)
                | Self::Ecdsa(Hash::Sha224)
        )
    }
}

/// The name in RFC 3279, 4055, 5758 or 9881, as OpenSSL prints it too: `sha256WithRSAEncryption`.
impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(hash) => write!(f, "{}WithRSAEncryption", hash.to_string().to_ascii_lowercase()),
            Self::RsaPss(_) => f.write_str("rsassaPss"),
            Self::Ecdsa(hash) => write!(f, "ecdsa-with-{hash}"),
            Self::Dsa(hash) => write!(f, "dsa-with-{}", hash.to_string().to_ascii_lowercase()),
            Self::Ed25519 => f.write_str("ed25519"),
            Self::Ed448 => f.write_str("ed448"),
            Self::MlDsa(set) => write!(f, "ml-dsa-{set}"),
            Self::Other(oid) => f.write_str(oid),
        }
    }
}

/// The hash of RSASSA-PSS-params (RFC 4055 §3.1) if they are of the three kinds that Go takes.
fn pss_hash(parameters: &[u8]) -> Option<Hash> {
    let mut fields = Reader::new(parameters);
    let hash = hash_of(fields.read(context_constructed(0))?.enter().read(SEQUENCE)?.content)?;
    let mut mask = fields.read(context_constructed(1))?.enter().read(SEQUENCE)?.enter();
    let mgf1 = mask.read(OID)?.content == [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08];
    let mask_hash = hash_of(mask.read(SEQUENCE)?.content)?;
    let salt = fields.read(context_constructed(2))?.enter().read(INTEGER)?.content;
    let fits = match hash {
        Hash::Sha256 => salt == [32],
        Hash::Sha384 => salt == [48],
        Hash::Sha512 => salt == [64],
        _ => false,
    };
    (mgf1 && mask_hash == hash && fits).then_some(hash)
}

fn hash_of(algorithm: &[u8]) -> Option<Hash> {
    match Reader::new(algorithm).read(OID)?.content {
        [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 1] => Some(Hash::Sha256),
        [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 2] => Some(Hash::Sha384),
        [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 3] => Some(Hash::Sha512),
        _ => None,
    }
}

/// What kind of public key a certificate holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA.
    Rsa,
    /// RSA for PSS only, which Go does not know as a key.
    RsaPss,
    /// ECDSA on the NIST curve of this size: 224, 256, 384 or 521.
    Ecdsa(u16),
    /// DSA.
    Dsa,
    /// Ed25519.
    Ed25519,
    /// Ed448.
    Ed448,
    /// ML-DSA with its parameter set: 44, 65 or 87.
    MlDsa(u8),
    /// Another algorithm, or another curve, by its object identifier.
    Other(String),
}

/// A certificate's public key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Its algorithm.
    pub kind: KeyKind,
    /// Its size in bits, where that is a question (RSA modulus, curve).
    pub bits: Option<u32>,
}

/// `RSA 2048`, `ECDSA P-256`, `Ed25519`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            KeyKind::Rsa => "RSA",
            KeyKind::RsaPss => "RSA-PSS",
            KeyKind::Ecdsa(size) => return write!(f, "ECDSA P-{size}"),
            KeyKind::Dsa => "DSA",
            KeyKind::Ed25519 => "Ed25519",
            KeyKind::Ed448 => "Ed448",
            KeyKind::MlDsa(set) => return write!(f, "ML-DSA-{set}"),
            KeyKind::Other(oid) => oid,
        };
        match self.bits {
            Some(bits) => write!(f, "{kind} {bits}"),
            None => f.write_str(kind),
        }
    }
}

/// A `SubjectPublicKeyInfo` taken apart.
pub(super) struct PublicKey<'a> {
    pub(super) key: Key,
    /// The octets of its subjectPublicKey.
    pub(super) octets: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// Reads the content of a `SubjectPublicKeyInfo`.
    pub(super) fn read(content: &'a [u8]) -> Option<Self> {
        let mut fields = Reader::new(content);
        let mut algorithm = fields.read(SEQUENCE)?.enter();
        let octets = bits(fields.read(BIT_STRING)?.content)?;
        let oid = algorithm.read(OID)?.content;
        let (kind, size) = match oid {
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01] => (KeyKind::Rsa, modulus_bits(octets)),
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a] => (KeyKind::RsaPss, modulus_bits(octets)),
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01] => match algorithm.read(OID).map(|curve| curve.content) {
                Some([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]) => (KeyKind::Ecdsa(256), Some(256)),
                Some([0x2b, 0x81, 0x04, 0x00, 0x21]) => (KeyKind::Ecdsa(224), Some(224)),
                Some([0x2b, 0x81, 0x04, 0x00, 0x22]) => (KeyKind::Ecdsa(384), Some(384)),
                Some([0x2b, 0x81, 0x04, 0x00, 0x23]) => (KeyKind::Ecdsa(521), Some(521)),
                Some(curve) => (KeyKind::Other(dotted(curve)), None),
                None => (KeyKind::Other(dotted(oid)), None),
            },
            [0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01] => (KeyKind::Dsa, None),
            [0x2b, 0x65, 0x70] => (KeyKind::Ed25519, None),
            [0x2b, 0x65, 0x71] => (KeyKind::Ed448, None),
            [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 17] => (KeyKind::MlDsa(44), None),
            [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 18] => (KeyKind::MlDsa(65), None),
            [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 19] => (KeyKind::MlDsa(87), None),
            _ => (KeyKind::Other(dotted(oid)), None),
        };
        Some(Self { key: Key { kind, bits: size }, octets })
    }
}

/// The length of the modulus of an `RSAPublicKey` (RFC 8017 §A.1.1).
fn modulus_bits(key: &[u8]) -> Option<u32> {
    let modulus = Reader::new(key).read(SEQUENCE)?.enter().read(INTEGER)?.content;
    let zeros = modulus.iter().take_while(|&&octet| octet == 0).count();
    let (_, significant) = modulus.split_at_checked(zeros)?;
    let first = significant.first()?;
    u32::try_from(significant.len()).ok()?.checked_mul(8)?.checked_sub(first.leading_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_have_the_names_of_their_rfcs() {
        for (oid, name, weak) in [
            (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b][..], "sha256WithRSAEncryption", false),
            (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05], "sha1WithRSAEncryption", true),
            (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04], "md5WithRSAEncryption", true),
            (&[0x2b, 0x0e, 0x03, 0x02, 0x1d], "sha1WithRSAEncryption", true),
            (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01], "ecdsa-with-SHA1", true),
            (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02], "ecdsa-with-SHA256", false),
            (&[0x2b, 0x65, 0x70], "ed25519", false),
            (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x11], "ml-dsa-44", false),
            (&[0x2a, 0x03], "1.2.3", false),
        ] {
            let der = [&[OID, u8::try_from(oid.len()).unwrap()], oid].concat();
            let algorithm = SignatureAlgorithm::read(&der).unwrap();
            assert_eq!((algorithm.to_string().as_str(), algorithm.is_weak()), (name, weak));
        }
    }

    #[test]
    fn rfc4055_pss_parameters_that_are_absent_are_not_known_to_go() {
        let der = [OID, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
        let algorithm = SignatureAlgorithm::read(&der).unwrap();
        assert_eq!(algorithm, SignatureAlgorithm::RsaPss(None));
        assert!(!algorithm.is_known_to_go());
    }

    #[test]
    fn the_modulus_is_counted_without_leading_zeros() {
        assert_eq!(modulus_bits(&[SEQUENCE, 4, INTEGER, 2, 0, 0xff]), Some(8));
        assert_eq!(modulus_bits(&[SEQUENCE, 3, INTEGER, 1, 0x01]), Some(1));
        assert_eq!(modulus_bits(&[SEQUENCE, 2, INTEGER, 0]), None);
    }
}
