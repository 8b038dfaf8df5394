//! Detached OpenPGP signatures (RFC 9580) over releases of Go, by keys that are known by their fingerprints.
//!
//! Keys and subkeys are judged at the time of the signature: expired then, or revoked, they sign nothing. A revocation that
//! does not say that the key was merely superseded or retired counts for all times.

use std::io::Read;

use pgp::composed::{Deserializable as _, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{RevocationCode, Signature, SignatureType};
use pgp::types::{KeyDetails, Tag};

/// Bytes that a signature or a key block may have.
const MAX_FILE: u64 = 4 << 20;

/// Why a signature proves nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// It is no detached signature over a file.
    #[error("malformed signature: {0}")]
    Malformed(String),
    /// Nobody who is known made it.
    #[error("signed by the unknown key {0}")]
    UnknownKey(String),
    /// It is not over these bytes.
    #[error("wrong signature by the key {0}")]
    Wrong(String),
    /// The key could not sign then.
    #[error("the key {key} {why}")]
    Unusable {
        /// Its fingerprint.
        key: String,
        /// Expired, revoked, not bound to its primary key, not for signing.
        why: &'static str,
    },
    /// The file cannot be read.
    #[error("cannot read it: {0}")]
    Read(String),
}

/// Public keys.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<SignedPublicKey>);

impl Keys {
    /// Adds the keys of a key block whose primary keys have one of these fingerprints (upper-case hex), or all of them.
    /// Returns how many.
    pub fn add(&mut self, block: &[u8], fingerprints: Option<&[&str]>) -> usize {
        let armored = block.windows(10).any(|text| text == b"-----BEGIN");
        let keys: Vec<SignedPublicKey> = if armored {
            match SignedPublicKey::from_armor_many(block) {
                Ok((keys, _)) => keys.flatten().collect(),
                Err(_) => Vec::new(),
            }
        } else {
            SignedPublicKey::from_bytes_many(block).map(|keys| keys.flatten().collect()).unwrap_or_default()
        };
        let before = self.0.len();
        self.0.extend(
            keys.into_iter()
                .filter(|key| fingerprints.is_none_or(|known| known.contains(&name(&key.primary_key).as_str()))),
        );
        self.0.len().saturating_sub(before)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Verifies a detached signature: the fingerprint of the primary key, and when it was made, in seconds since 1970.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, data: impl Read, signature: impl Read) -> Result<(String, u32), SignatureError> {
        let malformed = |error: &dyn std::fmt::Display| SignatureError::Malformed(error.to_string());
        let mut bytes = Vec::new();
        signature.take(MAX_FILE).read_to_end(&mut bytes).map_err(|error| SignatureError::Read(error.to_string()))?;
        let parsed = if bytes.starts_with(b"-----") {
            DetachedSignature::from_armor_single(bytes.as_slice()).map(|(signature, _)| signature)
        } else {
            DetachedSignature::from_bytes(bytes.as_slice())
        };
        let signature = parsed.map_err(|error| malformed(&error))?.signature;
        if signature.typ() != Some(SignatureType::Binary) {
            return Err(malformed(&"not a signature over a file"));
        }
        if !matches!(
            signature.hash_alg(),
            Some(
                HashAlgorithm::Sha256
                    | HashAlgorithm::Sha384
                    | HashAlgorithm::Sha512
                    | HashAlgorithm::Sha3_256
                    | HashAlgorithm::Sha3_512
            )
        ) {
            return Err(malformed(&"its hash algorithm is not to be trusted any more"));
        }
        let time = signature.created().ok_or_else(|| malformed(&"it has no time"))?.as_secs();
        for key in &self.0 {
            if is_issuer(&signature, &key.primary_key) {
                usable(key, time)?;
                check(&signature, &key.primary_key, data)?;
                return Ok((name(&key.primary_key), time));
            }
            for subkey in &key.public_subkeys {
                if is_issuer(&signature, &subkey.key) {
                    usable(key, time)?;
                    subkey_usable(key, subkey, time)?;
                    check(&signature, &subkey.key, data)?;
                    return Ok((name(&key.primary_key), time));
                }
            }
        }
        let issuers = signature.issuer_fingerprint().into_iter().map(|issuer| format!("{issuer:X}"));
        let ids = signature.issuer_key_id().into_iter().map(|id| format!("{id}").to_uppercase());
        Err(SignatureError::UnknownKey(issuers.chain(ids).next().unwrap_or_else(|| "that it does not name".to_owned())))
    }
}

fn name(key: &impl KeyDetails) -> String {
    format!("{:X}", key.fingerprint())
}

fn is_issuer(signature: &Signature, key: &impl KeyDetails) -> bool {
    let fingerprints = signature.issuer_fingerprint();
    if !fingerprints.is_empty() {
        return fingerprints.contains(&&key.fingerprint());
    }
    signature.issuer_key_id().contains(&&key.legacy_key_id())
}

fn check(signature: &Signature, key: &impl pgp::types::VerifyingKey, data: impl Read) -> Result<(), SignatureError> {
    signature.verify(key, data).map_err(|_| SignatureError::Wrong(name(key)))
}

fn unusable(key: &impl KeyDetails, why: &'static str) -> SignatureError {
    SignatureError::Unusable { key: name(key), why }
}

/// Whether a revocation forbids a signature of that time.
fn forbids(revocation: &Signature, time: u32) -> bool {
    let soft = matches!(
        revocation.revocation_reason_code(),
        Some(RevocationCode::KeySuperseded | RevocationCode::KeyRetired | RevocationCode::CertUserIdInvalid)
    );
    !soft || revocation.created().is_none_or(|created| created.as_secs() <= time)
}

/// Whether a time lies before a key was made, or after it expired by its newest valid self-signature.
fn in_force(key: &impl KeyDetails, newest: Option<&Signature>, time: u32) -> Result<(), SignatureError> {
    let made = key.created_at().as_secs();
    if time < made {
        return Err(unusable(key, "was made after the signature"));
    }
    let lifetime = newest.and_then(Signature::key_expiration_time).map(|lifetime| lifetime.as_secs());
    match lifetime.filter(|lifetime| *lifetime > 0) {
        Some(lifetime) if time >= made.saturating_add(lifetime) => {
            Err(unusable(key, "had expired at the time of the signature"))
        }
        _ => Ok(()),
    }
}

/// Whether a primary key could sign, or vouch for a subkey, at that time.
fn usable(key: &SignedPublicKey, time: u32) -> Result<(), SignatureError> {
    let primary = &key.primary_key;
    let revoked = key
        .details
        .revocation_signatures
        .iter()
        .any(|revocation| revocation.verify_key(primary).is_ok() && forbids(revocation, time));
    if revoked {
        return Err(unusable(primary, "is revoked"));
    }
    let direct = key.details.direct_signatures.iter().filter(|signature| signature.verify_key(primary).is_ok());
    let users = key.details.users.iter().flat_map(|user| {
        let own = user.signatures.iter().filter(|signature| signature.is_certification());
        own.filter(|signature| signature.verify_certification(primary, Tag::UserId, &user.id).is_ok())
    });
    let newest = direct.chain(users).max_by_key(|signature| signature.created());
    if newest.is_none() {
        return Err(unusable(primary, "has no valid signature of its own"));
    }
    in_force(primary, newest, time)
}

/// Whether a subkey belonged to its primary key and could sign at that time.
fn subkey_usable(key: &SignedPublicKey, subkey: &SignedPublicSubKey, time: u32) -> Result<(), SignatureError> {
    let primary = &key.primary_key;
    let valid = subkey.signatures.iter().filter(|it| it.verify_subkey_binding(primary, &subkey.key).is_ok());
    let (revocations, bindings): (Vec<&Signature>, Vec<&Signature>) =
        valid.partition(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation));
    if revocations.iter().any(|revocation| forbids(revocation, time)) {
        return Err(unusable(&subkey.key, "is revoked"));
    }
    let newest = bindings.into_iter().max_by_key(|signature| signature.created());
    let newest = newest.ok_or_else(|| unusable(&subkey.key, "is not bound to its primary key"))?;
    let vouched = newest
        .embedded_signature()
        .is_some_and(|embedded| embedded.verify_primary_key_binding(&subkey.key, primary).is_ok());
    if !newest.key_flags().sign() || !vouched {
        return Err(unusable(&subkey.key, "is not for signing"));
    }
    in_force(&subkey.key, Some(newest), time)
}
