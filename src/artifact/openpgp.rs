//! Detached OpenPGP signatures (RFC 9580) over releases of Go, by keys that are known by their fingerprints.
//!
//! Keys and subkeys are judged at the time of the signature, by what their owner last said of them: expired then, or
//! revoked, they sign nothing; what became of them later takes nothing away. A revocation that does not say that the key
//! was merely superseded or retired counts for all times. Revocations by others than the key itself are not looked at.
//!
//! A signature that is not wrong but proves nothing (by a broken hash, over text, past its own end) is told apart from a bad
//! one: the first accuses nobody.

use std::io::{Read, Seek, SeekFrom};

use pgp::armor::{BlockType, Dearmor};
use pgp::composed::{Deserializable as _, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{KeyFlags, Packet, PacketParser, RevocationCode, Signature, SignatureType, SubpacketData};
use pgp::types::{KeyDetails, Tag, VerifyingKey};

use crate::types::Timestamp;

/// Bytes that a signature or a key block may have.
const MAX_FILE: u64 = 4 << 20;
/// Signatures that are looked at in one file.
const MAX_SIGNATURES: usize = 16;
/// What begins an armored block (RFC 9580 §6.2).
const BEGIN: &[u8] = b"-----BEGIN PGP ";

/// Which key, where a signature does not say it.
const UNNAMED: &str = "that it does not name";

/// A signature that is good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// Fingerprint of the primary key, upper-case hex.
    pub primary: String,
    /// Fingerprint of the key that made it: the primary key or a subkey.
    pub key: String,
    /// When it was made, in seconds since 1970.
    pub time: u32,
}

/// Why a signature proves nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The file cannot be read.
    #[error("cannot read it: {0}")]
    Read(String),
    /// What lies there is no detached signature over a file.
    #[error("no signature: {0}")]
    Malformed(String),
    /// Nobody who is known made it.
    #[error("signed by the unknown key {key}{}", if *.newer { ", which may be a newer subkey than the key block has" } else { "" })]
    UnknownKey {
        /// Its fingerprint, or key ID.
        key: String,
        /// Whether a known key signs by subkeys, so that it may have got another one.
        newer: bool,
    },
    /// It is by a known key, and not wrong, but proves nothing.
    #[error("the signature by the key {key} {why}")]
    Unprovable {
        /// Its fingerprint.
        key: String,
        /// A broken hash, text, out of its own time.
        why: String,
    },
    /// The key could not sign then.
    #[error("the key {key} {why}")]
    Unusable {
        /// Its fingerprint.
        key: String,
        /// Expired, revoked, not bound to its primary key, not for signing.
        why: String,
    },
    /// It is not over these bytes.
    #[error("wrong signature: the key {0} signed other bytes")]
    Wrong(String),
}

/// Public keys.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<SignedPublicKey>);

impl Keys {
    /// Adds the keys of a key block, armored (any number of armored blocks, with anything around them) or not, whose primary
    /// keys have one of these fingerprints (upper-case hex), or all of them. Returns how many. What several blocks say of
    /// one key counts together, so that no older copy of it hides a revocation.
    pub fn add(&mut self, block: &[u8], fingerprints: Option<&[&str]>) -> usize {
        let mut added = 0_usize;
        for packets in blocks(block, BlockType::PublicKey) {
            let Ok(keys) = SignedPublicKey::from_bytes_many(packets.as_slice()) else { continue };
            for key in keys.flatten() {
                let name = name(&key.primary_key);
                if fingerprints.is_none_or(|known| known.contains(&name.as_str())) {
                    added = added.saturating_add(1);
                    self.merge(key);
                }
            }
        }
        added
    }

    fn merge(&mut self, key: SignedPublicKey) {
        let fingerprint = key.primary_key.fingerprint();
        let Some(known) = self.0.iter_mut().find(|known| known.primary_key.fingerprint() == fingerprint) else {
            self.0.push(key);
            return;
        };
        known.details.revocation_signatures.extend(key.details.revocation_signatures);
        known.details.direct_signatures.extend(key.details.direct_signatures);
        known.details.users.extend(key.details.users);
        for subkey in key.public_subkeys {
            let fingerprint = subkey.key.fingerprint();
            match known.public_subkeys.iter_mut().find(|known| known.key.fingerprint() == fingerprint) {
                Some(known) => known.signatures.extend(subkey.signatures),
                None => known.public_subkeys.push(subkey),
            }
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Verifies detached signatures over a file: one that is good suffices, in whatever order they come. `now`, in seconds
    /// since 1970, is the time at which signatures with an end of their own, or dated in the future, are judged.
    ///
    /// # Errors
    /// [`SignatureError`]: the most telling one, where there are several signatures.
    pub fn verify(
        &self,
        mut data: impl Read + Seek,
        signature: impl Read,
        now: Option<u32>,
    ) -> Result<Signed, SignatureError> {
        let mut bytes = Vec::new();
        let read = signature.take(MAX_FILE.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| SignatureError::Read(error.to_string()))?;
        let mut told = None;
        for signature in signatures(&bytes)? {
            match self.one(&mut data, &signature, now) {
                Ok(signed) => return Ok(signed),
                Err(error) => told = told.max(Some(error)),
            }
        }
        Err(told.unwrap_or_else(|| SignatureError::Malformed(what_it_is(&bytes).to_owned())))
    }

    fn one(
        &self,
        data: &mut (impl Read + Seek),
        signature: &Signature,
        now: Option<u32>,
    ) -> Result<Signed, SignatureError> {
        let malformed = |why: &str| SignatureError::Malformed(why.to_owned());
        if signature.config().is_none() {
            let (key, why) = (UNNAMED.to_owned(), "has a form that is not known".to_owned());
            return Err(SignatureError::Unprovable { key, why });
        }
        if !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
            return Err(malformed("it is not over a file"));
        }
        let time = signature.created().ok_or_else(|| malformed("it does not say when it was made"))?.as_secs();
        let mut told = None;
        for key in &self.0 {
            let primary = &key.primary_key;
            if is_issuer(signature, primary) {
                let judged = check(signature, primary, data)
                    .and_then(|()| usable(key, time))
                    .and_then(|own| signs(primary, own));
                match judged {
                    Ok(()) => return provable(signature, primary, now).map(|()| signed(key, primary, time)),
                    Err(error) => told = told.max(Some(error)),
                }
            }
            for subkey in key.public_subkeys.iter().filter(|subkey| is_issuer(signature, &subkey.key)) {
                let own = &subkey.key;
                let judged = check(signature, own, data)
                    .and_then(|()| usable(key, time))
                    .and_then(|_| subkey_usable(key, subkey, time));
                match judged {
                    Ok(()) => return provable(signature, own, now).map(|()| signed(key, own, time)),
                    Err(error) => told = told.max(Some(error)),
                }
            }
        }
        Err(told.unwrap_or_else(|| self.unknown(signature)))
    }

    fn unknown(&self, signature: &Signature) -> SignatureError {
        let issuers = signature.issuer_fingerprint().into_iter().map(|issuer| format!("{issuer:X}"));
        let ids = signature.issuer_key_id().into_iter().map(|id| format!("{id}").to_uppercase());
        let key = issuers.chain(ids).next().unwrap_or_else(|| UNNAMED.to_owned());
        let mut subkeys = self.0.iter().flat_map(|key| key.public_subkeys.iter().map(move |subkey| (key, subkey)));
        let newer = subkeys.any(|(key, subkey)| {
            binding(key, subkey).is_some_and(|binding| flags(binding).is_some_and(KeyFlags::sign))
        });
        SignatureError::UnknownKey { key, newer }
    }
}

/// The packets of a file: those of each armored block of that type, else the file itself.
fn blocks(bytes: &[u8], wanted: BlockType) -> Vec<Vec<u8>> {
    let begins: Vec<usize> = bytes
        .windows(BEGIN.len())
        .enumerate()
        .filter(|(at, text)| *text == BEGIN && (*at == 0 || bytes.get(at.wrapping_sub(1)) == Some(&b'\n')))
        .map(|(at, _)| at)
        .collect();
    if begins.is_empty() {
        return vec![bytes.to_vec()];
    }
    let ends = begins.iter().skip(1).copied().chain([bytes.len()]);
    let armored = begins.iter().zip(ends).filter_map(|(begin, end)| bytes.get(*begin..end));
    armored
        .filter_map(|armored| {
            let mut dearmor = Dearmor::new(armored);
            dearmor.read_header().ok()?;
            if dearmor.typ != Some(wanted) {
                return None;
            }
            let mut packets = Vec::new();
            // What could be read before an error is told by the packets themselves.
            let _ = dearmor.read_to_end(&mut packets);
            Some(packets)
        })
        .collect()
}

/// The signatures of a file.
fn signatures(bytes: &[u8]) -> Result<Vec<Signature>, SignatureError> {
    let malformed = |why: String| SignatureError::Malformed(why);
    if bytes.len() as u64 > MAX_FILE {
        return Err(malformed("it is larger than a signature may be".to_owned()));
    }
    let contains = |text: &str| memchr::memmem::find(bytes, text.as_bytes()).is_some();
    if contains("-----BEGIN PGP SIGNED MESSAGE-----") {
        return Err(malformed("it is a signed message, no signature over another file".to_owned()));
    }
    let (mut signatures, mut broken) = (Vec::new(), None);
    for block in blocks(bytes, BlockType::Signature) {
        for packet in PacketParser::new(block.as_slice()) {
            match packet {
                Ok(Packet::Signature(signature)) => signatures.push(signature),
                Ok(_) => {}
                Err(error) => broken = Some(error.to_string()),
            }
        }
    }
    if signatures.len() > MAX_SIGNATURES {
        return Err(malformed(format!("it has more than {MAX_SIGNATURES} signatures")));
    }
    match broken {
        Some(error) if signatures.is_empty() && what_it_is(bytes) == DAMAGED => {
            Err(malformed(format!("{DAMAGED}: {error}")))
        }
        _ => Ok(signatures),
    }
}

const DAMAGED: &str = "it is truncated or damaged";

/// What lies where a signature should.
fn what_it_is(bytes: &[u8]) -> &'static str {
    let text = String::from_utf8_lossy(bytes.get(..bytes.len().min(4 << 10)).unwrap_or_default());
    let start = text.trim_start().to_ascii_lowercase();
    if start.is_empty() {
        "the file is empty"
    } else if start.starts_with("<!doctype html") || start.starts_with("<html") || start.starts_with("<?xml") {
        "it is a web page"
    } else if text.contains("-----BEGIN PGP PUBLIC KEY BLOCK-----") {
        "it is a key block"
    } else {
        DAMAGED
    }
}

fn name(key: &impl KeyDetails) -> String {
    format!("{:X}", key.fingerprint())
}

fn signed(key: &SignedPublicKey, by: &impl KeyDetails, time: u32) -> Signed {
    Signed { primary: name(&key.primary_key), key: name(by), time }
}

/// The day of a time.
pub(crate) fn day(time: u32) -> String {
    Timestamp::from_seconds(time.into()).to_string().chars().take(10).collect()
}

/// Whether a signature says that this key made it. What it says is a hint only: it is verified with that key.
fn is_issuer(signature: &Signature, key: &impl KeyDetails) -> bool {
    let fingerprints = signature.issuer_fingerprint();
    if !fingerprints.is_empty() {
        return fingerprints.contains(&&key.fingerprint());
    }
    signature.issuer_key_id().contains(&&key.legacy_key_id())
}

fn check(signature: &Signature, key: &impl VerifyingKey, data: &mut (impl Read + Seek)) -> Result<(), SignatureError> {
    if let Some(hash @ (HashAlgorithm::Md5 | HashAlgorithm::Sha1 | HashAlgorithm::Ripemd160)) = signature.hash_alg() {
        let why = format!("rests on {hash}, which others can forge");
        return Err(SignatureError::Unprovable { key: name(key), why });
    }
    // Programs do not agree on what of a file that is no text such a signature covers.
    if signature.typ() == Some(SignatureType::Text) {
        let why = "was made over text: it does not cover every byte".to_owned();
        return Err(SignatureError::Unprovable { key: name(key), why });
    }
    data.seek(SeekFrom::Start(0)).map_err(|error| SignatureError::Read(error.to_string()))?;
    signature.verify(key, data).map_err(|error| match error {
        pgp::errors::Error::IO { source, .. } => SignatureError::Read(source.to_string()),
        pgp::errors::Error::Unsupported { message, .. } => {
            SignatureError::Unprovable { key: name(key), why: format!("cannot be checked: {message}") }
        }
        _ => SignatureError::Wrong(name(key)),
    })
}

/// Whether a right signature proves anything.
fn provable(signature: &Signature, key: &impl KeyDetails, now: Option<u32>) -> Result<(), SignatureError> {
    let not = |why: String| Err(SignatureError::Unprovable { key: name(key), why });
    let Some(now) = now else { return Ok(()) };
    let made = signature.created().map(|made| made.as_secs()).unwrap_or_default();
    if made > now {
        return not(format!("is dated {}, in the future", day(made)));
    }
    let lifetime = signature.signature_expiration_time().map(|lifetime| lifetime.as_secs()).unwrap_or_default();
    let end = made.saturating_add(lifetime);
    if lifetime > 0 && now >= end {
        return not(format!("was good until {} only", day(end)));
    }
    Ok(())
}

fn unusable(key: &impl KeyDetails, why: impl Into<String>) -> SignatureError {
    SignatureError::Unusable { key: name(key), why: why.into() }
}

/// Whether revocations forbid a signature of that time.
fn not_revoked<'a>(
    key: &impl KeyDetails,
    revocations: impl Iterator<Item = &'a Signature>,
    time: u32,
) -> Result<(), SignatureError> {
    for revocation in revocations {
        let soft = matches!(
            revocation.revocation_reason_code(),
            Some(RevocationCode::KeySuperseded | RevocationCode::KeyRetired)
        );
        match revocation.created().map(|created| created.as_secs()) {
            Some(since) if soft && since <= time => {
                return Err(unusable(key, format!("was given up on {}, before the signature", day(since))));
            }
            Some(_) if soft => {}
            _ => return Err(unusable(key, "is revoked, and what it signed before is not to be trusted either")),
        }
    }
    Ok(())
}

/// Whether a time lies before a key was made, or after it expired by its newest valid self-signature.
fn in_force(key: &impl KeyDetails, newest: &Signature, time: u32) -> Result<(), SignatureError> {
    let made = key.created_at().as_secs();
    if time < made {
        return Err(unusable(key, format!("was made on {}, after the signature", day(made))));
    }
    let lifetime = newest.key_expiration_time().map(|lifetime| lifetime.as_secs()).unwrap_or_default();
    let end = made.saturating_add(lifetime);
    if lifetime > 0 && time >= end {
        let text = "had expired at the time of the signature";
        return Err(unusable(key, format!("{text} ({}, made {})", day(end), day(time))));
    }
    Ok(())
}

/// What a key may do, where that is said.
fn flags(signature: &Signature) -> Option<&KeyFlags> {
    signature.config()?.hashed_subpackets().find_map(|packet| match &packet.data {
        SubpacketData::KeyFlags(flags) => Some(flags),
        _ => None,
    })
}

/// Whether a key is for signing; one that does not say what it is for may (RFC 9580 §5.2.3.29).
fn signs(key: &impl KeyDetails, newest: &Signature) -> Result<(), SignatureError> {
    if flags(newest).is_none_or(KeyFlags::sign) { Ok(()) } else { Err(unusable(key, "is not for signing files")) }
}

/// Whether a primary key could sign, or vouch for a subkey, at that time: its newest signature over itself.
fn usable(key: &SignedPublicKey, time: u32) -> Result<&Signature, SignatureError> {
    let primary = &key.primary_key;
    let revocations = key.details.revocation_signatures.iter().filter(|it| it.verify_key(primary).is_ok());
    not_revoked(primary, revocations, time)?;
    let direct = key.details.direct_signatures.iter().filter(|signature| signature.verify_key(primary).is_ok());
    let users = key.details.users.iter().flat_map(|user| {
        let own = user.signatures.iter().filter(|signature| signature.is_certification());
        own.filter(|signature| signature.verify_certification(primary, Tag::UserId, &user.id).is_ok())
    });
    let newest = direct.chain(users).max_by_key(|signature| signature.created());
    let newest = newest.ok_or_else(|| unusable(primary, "has no valid signature of its own"))?;
    in_force(primary, newest, time)?;
    Ok(newest)
}

/// The signatures of its primary key over a subkey.
fn over_subkey<'a>(
    key: &'a SignedPublicKey,
    subkey: &'a SignedPublicSubKey,
    kind: SignatureType,
) -> impl Iterator<Item = &'a Signature> {
    let of_kind = subkey.signatures.iter().filter(move |signature| signature.typ() == Some(kind));
    of_kind.filter(|signature| signature.verify_subkey_binding(&key.primary_key, &subkey.key).is_ok())
}

/// The newest signature that binds a subkey to its primary key.
fn binding<'a>(key: &'a SignedPublicKey, subkey: &'a SignedPublicSubKey) -> Option<&'a Signature> {
    over_subkey(key, subkey, SignatureType::SubkeyBinding).max_by_key(|signature| signature.created())
}

/// Whether a subkey belonged to its primary key and could sign at that time.
fn subkey_usable(key: &SignedPublicKey, subkey: &SignedPublicSubKey, time: u32) -> Result<(), SignatureError> {
    let own = &subkey.key;
    not_revoked(own, over_subkey(key, subkey, SignatureType::SubkeyRevocation), time)?;
    let newest = binding(key, subkey).ok_or_else(|| unusable(own, "is not bound to its primary key"))?;
    signs(own, newest)?;
    // Else somebody could claim another's signing key as a subkey of his own (RFC 9580 §10.1.5).
    let vouched =
        newest.embedded_signature().is_some_and(|it| it.verify_primary_key_binding(own, &key.primary_key).is_ok());
    if !vouched {
        return Err(unusable(own, "does not say itself that it belongs to its primary key"));
    }
    in_force(own, newest, time)
}

#[cfg(test)]
pub(crate) mod tests;
