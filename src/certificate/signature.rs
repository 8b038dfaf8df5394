//! Whether one key signed one certificate.

use super::algorithm::{Hash, KeyKind, PublicKey, SignatureAlgorithm};
use super::facts::Certificate;
use ring::signature as ring;

/// The outcome of checking a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signature {
    /// The key made it.
    Good,
    /// The key did not make it.
    Bad,
    /// It cannot be checked here: MD5, P-521, ML-DSA and what else ring does not do.
    Unchecked,
}

/// Checks the signature on `certificate` with the key in the content of a `SubjectPublicKeyInfo`.
pub(super) fn check(certificate: &Certificate, spki: &[u8]) -> Signature {
    let Some(algorithm) = certificate.facts().and_then(|facts| facts.signature_algorithm.as_ref()) else {
        return Signature::Unchecked;
    };
    let (Some(key), Some(signature)) = (PublicKey::read(spki), certificate.signature()) else {
        return Signature::Unchecked;
    };
    let verification: &dyn ring::VerificationAlgorithm = match (algorithm, &key.key.kind) {
        (SignatureAlgorithm::Rsa(hash), KeyKind::Rsa) => match (hash, key.key.bits.unwrap_or(0)) {
            (Hash::Sha1, 1024..=8192) => &ring::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
            (Hash::Sha256, 1024..=8192) => &ring::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
            (Hash::Sha384, 2048..=8192) => &ring::RSA_PKCS1_2048_8192_SHA384,
            (Hash::Sha512, 1024..=8192) => &ring::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
            _ => return Signature::Unchecked,
        },
        (SignatureAlgorithm::RsaPss(hash), KeyKind::Rsa) => match (hash, key.key.bits.unwrap_or(0)) {
            (Some(Hash::Sha256), 2048..=8192) => &ring::RSA_PSS_2048_8192_SHA256,
            (Some(Hash::Sha384), 2048..=8192) => &ring::RSA_PSS_2048_8192_SHA384,
            (Some(Hash::Sha512), 2048..=8192) => &ring::RSA_PSS_2048_8192_SHA512,
            _ => return Signature::Unchecked,
        },
        (SignatureAlgorithm::Ecdsa(hash), KeyKind::Ecdsa(curve)) => match (hash, curve) {
            (Hash::Sha256, 256) => &ring::ECDSA_P256_SHA256_ASN1,
            (Hash::Sha384, 256) => &ring::ECDSA_P256_SHA384_ASN1,
            (Hash::Sha256, 384) => &ring::ECDSA_P384_SHA256_ASN1,
            (Hash::Sha384, 384) => &ring::ECDSA_P384_SHA384_ASN1,
            _ => return Signature::Unchecked,
        },
        (SignatureAlgorithm::Ed25519, KeyKind::Ed25519) => &ring::ED25519,
        // A key of another algorithm cannot have made it (`signaturePublicKeyAlgoMismatchError` of crypto/x509).
        (
            SignatureAlgorithm::Rsa(_) | SignatureAlgorithm::RsaPss(_),
            KeyKind::Ecdsa(_) | KeyKind::Ed25519 | KeyKind::Ed448 | KeyKind::MlDsa(_),
        )
        | (SignatureAlgorithm::Ecdsa(_), KeyKind::Rsa | KeyKind::Ed25519 | KeyKind::Ed448 | KeyKind::MlDsa(_))
        | (SignatureAlgorithm::Ed25519, KeyKind::Rsa | KeyKind::Ecdsa(_) | KeyKind::Ed448 | KeyKind::MlDsa(_)) => {
            return Signature::Bad;
        }
        (SignatureAlgorithm::MlDsa(set), KeyKind::MlDsa(key_set)) if set == key_set => return Signature::Unchecked,
        (SignatureAlgorithm::MlDsa(_), KeyKind::Other(_)) => return Signature::Unchecked,
        (SignatureAlgorithm::MlDsa(_), _) => return Signature::Bad,
        _ => return Signature::Unchecked,
    };
    match ring::UnparsedPublicKey::new(verification, key.octets).verify(certificate.tbs_der(), signature) {
        Ok(()) => Signature::Good,
        Err(_) => Signature::Bad,
    }
}
