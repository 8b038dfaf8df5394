//! Signed notes (golang.org/x/mod/sumdb/note): a text, an empty line, and signatures over the text.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};

use super::dirhash::sha256;

/// Signatures that a note may have.
const MAX_SIGNATURES: usize = 100;
/// Bytes that a note may have; Go asks databases for less.
const MAX_NOTE: usize = 1 << 20;
/// What a signature line begins with.
const DASH: &str = "\u{2014} ";
/// The algorithm byte of Ed25519.
const ED25519_KEY: u8 = 1;

/// Why a text is no verifier key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not `NAME+HASH+BASE64`.
    #[error("malformed verifier key: not NAME+HASH+BASE64")]
    Malformed,
    /// The hash in it is that of another key.
    #[error("invalid verifier key: its hash is not that of name and key")]
    Hash,
    /// Not an Ed25519 key.
    #[error("unknown verifier algorithm {0}")]
    Algorithm(u8),
}

/// The key of a checksum database, as in GOSUMDB.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifierKey {
    name: String,
    hash: u32,
    key: [u8; 32],
}

impl VerifierKey {
    /// Reads `NAME+HASH+BASE64`.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, rest) = text.split_once('+').ok_or(KeyError::Malformed)?;
        let (hash, key) = rest.split_once('+').ok_or(KeyError::Malformed)?;
        let value = u32::from_str_radix(hash, 16).ok().filter(|_| hash.len() == 8 && !hash.starts_with('+'));
        let key = STANDARD.decode(key).map_err(|_| KeyError::Malformed)?;
        let (Some(value), Some((algorithm, bytes)), true) = (value, key.split_first(), is_name(name)) else {
            return Err(KeyError::Malformed);
        };
        let hashed = sha256(&[name.as_bytes(), b"\n", &key].concat());
        if hashed.first_chunk::<4>().map(|first| u32::from_be_bytes(*first)) != Some(value) {
            return Err(KeyError::Hash);
        }
        if *algorithm != ED25519_KEY {
            return Err(KeyError::Algorithm(*algorithm));
        }
        let key = bytes.try_into().map_err(|_| KeyError::Malformed)?;
        Ok(Self { name: name.to_owned(), hash: value, key })
    }

    /// The database's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Why a note cannot be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// It is none.
    #[error("malformed note: {0}")]
    Malformed(&'static str),
    /// A known key's signature is not over this text.
    #[error("invalid signature for key {name}+{hash:08x}")]
    Signature {
        /// The key's name.
        name: String,
        /// The key's hash.
        hash: u32,
    },
    /// No known key signed it.
    #[error("note has no verifiable signatures (signed by {})", .signers.join(", "))]
    Unverified {
        /// Names and hashes of the keys that signed it.
        signers: Vec<String>,
    },
}

/// Splits a note and verifies its signatures: its text, with the final newline.
///
/// # Errors
/// [`NoteError`], as Go's `note.Open`; and for two things that Go lets pass, though nobody who signs makes them: more than
/// 1 MiB, and base64 whose last bits, which say nothing, are not zero.
pub fn open<'a>(note: &'a [u8], keys: &[VerifierKey]) -> Result<&'a str, NoteError> {
    let malformed = NoteError::Malformed;
    if note.len() > MAX_NOTE {
        return Err(malformed("longer than 1 MiB"));
    }
    let note = std::str::from_utf8(note).map_err(|_| malformed("not UTF-8"))?;
    if note.chars().any(|c| c < ' ' && c != '\n') {
        return Err(malformed("control characters"));
    }
    let at = note.rfind("\n\n").ok_or(malformed("no signature block"))?;
    let (text, signatures) = note.split_at(at.saturating_add(1));
    let signatures = signatures.strip_prefix('\n').unwrap_or_default();
    let lines = signatures.strip_suffix('\n').ok_or(malformed("no signature block, or its last line is cut"))?;
    let mut verified = BTreeSet::new();
    let mut signers = Vec::new();
    for (number, line) in lines.split('\n').enumerate() {
        if number >= MAX_SIGNATURES {
            return Err(malformed("more than 100 signatures"));
        }
        let line = line.strip_prefix(DASH).ok_or(malformed("a signature line without its dash"))?;
        let (name, encoded) = line.split_once(' ').ok_or(malformed("a signature line without a signature"))?;
        let bytes = STANDARD.decode(encoded).map_err(|_| malformed("a signature that is not base64"))?;
        let (hash, signature) = bytes.split_first_chunk::<4>().ok_or(malformed("a signature that is too short"))?;
        if signature.is_empty() || !is_name(name) {
            return Err(malformed("a signature line without name or signature"));
        }
        let hash = u32::from_be_bytes(*hash);
        match keys.iter().find(|key| key.name == name && key.hash == hash) {
            None => signers.push(format!("{name}+{hash:08x}")),
            // A second signature by the same key is not looked at.
            Some(_) if !verified.insert((name, hash)) => {}
            Some(key) => UnparsedPublicKey::new(&ED25519, &key.key)
                .verify(text.as_bytes(), signature)
                .map_err(|_| NoteError::Signature { name: name.to_owned(), hash })?,
        }
    }
    if verified.is_empty() { Err(NoteError::Unverified { signers }) } else { Ok(text) }
}

/// The names beneath a text that may be a note, whether or not they have signed it.
pub fn signers(note: &[u8]) -> impl Iterator<Item = &str> {
    let (_, signatures) = std::str::from_utf8(note).ok().and_then(|note| note.rsplit_once("\n\n")).unwrap_or_default();
    signatures.lines().filter_map(|line| line.strip_prefix(DASH)?.split_once(' ')).map(|(name, _)| name)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+')
}

#[cfg(test)]
pub(super) mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    pub(crate) const SUM_GOLANG_ORG: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

    /// A key pair that signs notes.
    pub(crate) struct Signer {
        pair: Ed25519KeyPair,
        pub(crate) key: VerifierKey,
        /// The key as GOSUMDB has it.
        pub(crate) text: String,
    }

    impl Signer {
        pub(crate) fn new(name: &str, seed: u8) -> Self {
            let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
            let key = [&[ED25519_KEY], pair.public_key().as_ref()].concat();
            let hashed = sha256(&[name.as_bytes(), b"\n", &key].concat());
            let hash = u32::from_be_bytes(*hashed.first_chunk().unwrap());
            let text = format!("{name}+{hash:08x}+{}", STANDARD.encode(&key));
            Self { pair, key: VerifierKey::parse(&text).unwrap(), text }
        }

        pub(crate) fn line(&self, text: &str) -> String {
            let signature = [&self.key.hash.to_be_bytes()[..], self.pair.sign(text.as_bytes()).as_ref()].concat();
            format!("{DASH}{} {}\n", self.key.name, STANDARD.encode(signature))
        }

        pub(crate) fn sign(&self, text: &str) -> String {
            format!("{text}\n{}", self.line(text))
        }
    }

    #[test]
    fn the_key_of_sum_golang_org_is_what_it_says() {
        assert_eq!(VerifierKey::parse(SUM_GOLANG_ORG).unwrap().name(), "sum.golang.org");
        let other = SUM_GOLANG_ORG.replace("033de0ae", "033de0af");
        assert_eq!(VerifierKey::parse(&other), Err(KeyError::Hash));
        for wrong in ["", "a", "a+b", "a+00000000+", "a+00000000+AAAA", "a b+00000000+AQ=="] {
            assert!(VerifierKey::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_note_is_believed_for_one_known_signature_whoever_else_signed() {
        let (log, witness) = (Signer::new("log.example", 1), Signer::new("witness.example", 2));
        let text = "a text\n\nof two paragraphs\n";
        let note = format!("{text}\n{}{}", witness.line(text), log.line(text));
        assert_eq!(open(note.as_bytes(), std::slice::from_ref(&log.key)), Ok(text));
        let stranger = Signer::new("log.example", 3);
        let refused = open(note.as_bytes(), std::slice::from_ref(&stranger.key));
        assert!(matches!(refused, Err(NoteError::Unverified { signers }) if signers.len() == 2));
    }

    #[test]
    fn of_a_keys_signatures_the_first_counts() {
        let (log, witness) = (Signer::new("log.example", 1), Signer::new("witness.example", 2));
        let keys = std::slice::from_ref(&log.key);
        let (good, bad) = (log.line("a text\n"), log.line("other\n"));
        assert!(open(format!("a text\n\n{good}{bad}").as_bytes(), keys).is_ok());
        let note = format!("a text\n\n{bad}{good}");
        let wrong = open(note.as_bytes(), keys);
        assert!(matches!(wrong, Err(NoteError::Signature { .. })), "{wrong:?}");
        // A hundred signatures may be there, whoever made them.
        for (count, allowed) in [(99, true), (100, false)] {
            let note = format!("a text\n\n{}{good}", witness.line("a text\n").repeat(count));
            assert_eq!(open(note.as_bytes(), keys).is_ok(), allowed, "{count}");
        }
        // One key's name with another's hash is an unknown key.
        let other = Signer::new("log.example", 3);
        assert!(open(format!("a text\n\n{}{good}", other.line("a text\n")).as_bytes(), keys).is_ok());
    }

    #[test]
    fn every_changed_bit_is_found() {
        let log = Signer::new("log.example", 1);
        let note = log.sign("a text\n").into_bytes();
        for at in 0..note.len() * 8 {
            let mut changed = note.clone();
            changed[at / 8] ^= 1 << (at % 8);
            assert!(open(&changed, std::slice::from_ref(&log.key)).is_err(), "bit {at}");
        }
    }

    #[test]
    fn what_is_no_note_is_refused_with_its_rule() {
        let log = Signer::new("log.example", 1);
        let many = format!("t\n\n{}", log.line("t\n").repeat(101));
        let long = log.sign(&format!("{}\n", "x".repeat(MAX_NOTE)));
        for (note, rule) in [
            (many.as_str(), "more than 100 signatures"),
            (long.as_str(), "longer than 1 MiB"),
            ("text\n", "no signature block"),
            ("text\n\n", "no signature block"),
            ("text\n\n- a b\n", "without its dash"),
            ("text\r\n\r\n\u{2014} a AAAA\r\n", "control characters"),
            ("text\n\n\u{2014} a AAAAAAA=", "its last line is cut"),
            ("text\n\n\u{2014} a+b AAAAAAA=\n", "without name or signature"),
            ("text\n\n\u{2014} a AAAAAAB=\n", "not base64"),
            ("te\rxt\n\n\u{2014} a AAAA\n", "control characters"),
            ("text\n\n\u{2014} a AAAA\n", "too short"),
        ] {
            let error = open(note.as_bytes(), std::slice::from_ref(&log.key)).unwrap_err();
            assert!(error.to_string().contains(rule), "{error}");
        }
    }
}
