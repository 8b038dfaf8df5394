//! What one certificate says (RFC 5280 §4.1), read field by field so that one bad field hides no other.

use super::algorithm::{Key, PublicKey, SignatureAlgorithm};
use super::der::{self, BIT_STRING, Element, INTEGER, Reader, SEQUENCE, context, context_constructed, hex};
use super::extensions::Extensions;
use super::name;
use super::time::ValidityTime;
use std::ops::Range;

/// A certificate as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Its bytes.
    pub der: Box<[u8]>,
    /// What it says.
    pub facts: Result<Facts, Unparsable>,
}

/// Why a certificate says nothing at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unparsable {
    /// There is no SEQUENCE of SEQUENCEs, or it is longer than the bytes at hand.
    #[error("not a certificate, or only a part of one")]
    NotACertificate,
}

/// What could be read of a certificate. A field is `None` where it could not be; [`Facts::unread`] names it then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// 1, 2 or 3.
    pub version: u8,
    /// The serial number in lower-case hexadecimal without leading zeros; `-` before it when it is negative.
    pub serial: Option<String>,
    /// Whether the serial number is negative, which Go refuses to parse since 1.23.
    pub negative_serial: bool,
    /// The subject as an RFC 4514 string; empty when the certificate has an empty subject.
    pub subject: Option<String>,
    /// The issuer as an RFC 4514 string.
    pub issuer: Option<String>,
    /// The subject's last commonName.
    pub common_name: Option<String>,
    /// The issuer's last commonName.
    pub issuer_common_name: Option<String>,
    /// The issuer's last organizationName.
    pub issuer_organization: Option<String>,
    /// Whether subject and issuer are the same bytes.
    pub self_issued: bool,
    /// From when it is valid.
    pub not_before: Option<ValidityTime>,
    /// Until when it is valid, that second included.
    pub not_after: Option<ValidityTime>,
    /// Its public key.
    pub key: Option<Key>,
    /// How it is signed.
    pub signature_algorithm: Option<SignatureAlgorithm>,
    /// What its extensions say.
    pub extensions: Extensions,
    /// Fields and extensions that could not be read, by their names in RFC 5280. Go refuses a certificate with any.
    pub unread: Vec<&'static str>,
    places: Places,
}

/// Where the parts lie in the DER.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Places {
    tbs: Range<usize>,
    subject: Range<usize>,
    issuer: Range<usize>,
    spki: Range<usize>,
    signature: Range<usize>,
}

impl Certificate {
    /// Reads a certificate. What follows it in `der` is kept but not read.
    #[must_use]
    pub fn parse(der: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, der);
        let sha256 = digest.as_ref().try_into().unwrap_or_default();
        Self { sha256, facts: Facts::read(der).ok_or(Unparsable::NotACertificate), der: der.into() }
    }

    /// The facts, if there are any.
    #[must_use]
    pub fn facts(&self) -> Option<&Facts> {
        self.facts.as_ref().ok()
    }

    /// Whether a leaf covers a host, as Go's `VerifyHostname` judges.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        self.facts().is_some_and(|facts| facts.extensions.names.iter().any(|name| super::covers(name, host)))
    }

    /// The names that a leaf is for.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.facts().map(|facts| facts.extensions.names.iter().map(ToString::to_string).collect()).unwrap_or_default()
    }

    /// The subject's Name as DER; empty where it could not be read.
    #[must_use]
    pub fn subject_der(&self) -> &[u8] {
        self.part(|places| &places.subject)
    }

    /// The issuer's Name as DER; empty where it could not be read.
    #[must_use]
    pub fn issuer_der(&self) -> &[u8] {
        self.part(|places| &places.issuer)
    }

    /// The `SubjectPublicKeyInfo` as DER; empty where it could not be read.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        self.part(|places| &places.spki)
    }

    /// The part that is signed, as DER.
    pub(super) fn tbs_der(&self) -> &[u8] {
        self.part(|places| &places.tbs)
    }

    /// The signature's octets.
    pub(super) fn signature(&self) -> Option<&[u8]> {
        der::content(self.part(|places| &places.signature)).and_then(der::bits)
    }

    fn part(&self, place: impl Fn(&Places) -> &Range<usize>) -> &[u8] {
        self.facts().and_then(|facts| self.der.get(place(&facts.places).clone())).unwrap_or_default()
    }
}

impl Facts {
    /// The key identifier of the authority that signed it, as hexadecimal digits.
    #[must_use]
    pub fn authority_key_id_hex(&self) -> Option<String> {
        self.extensions.authority_key_id.as_deref().map(hex)
    }

    /// Whether basicConstraints makes it an authority.
    #[must_use]
    pub fn is_ca(&self) -> bool {
        self.extensions.basic_constraints.is_some_and(|constraints| constraints.ca)
    }

    fn read(der: &[u8]) -> Option<Self> {
        let mut outer = Reader::new(der).read(SEQUENCE)?.enter();
        let tbs = outer.read(SEQUENCE)?;
        let mut unread = Vec::new();
        let mut places = Places { tbs: tbs.range(), ..Places::default() };

        let signature_algorithm = outer.read(SEQUENCE).and_then(|field| SignatureAlgorithm::read(field.content));
        match outer.read(BIT_STRING) {
            Some(signature) => places.signature = signature.range(),
            None => unread.push("signatureValue"),
        }
        if signature_algorithm.is_none() {
            unread.push("signatureAlgorithm");
        }

        let mut fields = tbs.enter();
        let version = fields
            .read(context_constructed(0))
            .and_then(|explicit| explicit.enter().read(INTEGER)?.content.last().copied())
            .map_or(1, |number| number.saturating_add(1));
        let serial = fields.read(INTEGER).filter(|serial| !serial.content.is_empty());
        if serial.is_none() {
            unread.push("serialNumber");
        }
        let _inner_algorithm = fields.read(SEQUENCE);

        let name = |place: &mut Range<usize>, unread: &mut Vec<_>, label, field: Option<Element<'_>>| {
            let read = field.map(|field| {
                *place = field.range();
                name::read(field.content)
            });
            if !read.as_ref().is_some_and(|name| name.whole) {
                unread.push(label);
            }
            read.map_or((None, None, None), |name| (Some(name.text), name.common_name, name.organization))
        };
        let (issuer, issuer_common_name, issuer_organization) =
            name(&mut places.issuer, &mut unread, "issuer", fields.read(SEQUENCE));
        let mut validity = fields.read(SEQUENCE).map(|validity| validity.enter());
        let mut time = |label| {
            let time = validity.as_mut().and_then(Reader::any).and_then(|time| ValidityTime::read(&time));
            if time.is_none() {
                unread.push(label);
            }
            time
        };
        let (not_before, not_after) = (time("notBefore"), time("notAfter"));
        let (subject, common_name, _) = name(&mut places.subject, &mut unread, "subject", fields.read(SEQUENCE));

        let spki = fields.read(SEQUENCE);
        if let Some(spki) = &spki {
            places.spki = spki.range();
        }
        let key = spki.and_then(|spki| PublicKey::read(spki.content)).map(|read| read.key);
        if key.is_none() {
            unread.push("subjectPublicKeyInfo");
        }

        // issuerUniqueID and subjectUniqueID, which nobody uses.
        fields.read(context(1));
        fields.read(context(2));
        let extensions = match fields.read(context_constructed(3)).map(|explicit| explicit.enter().read(SEQUENCE)) {
            Some(Some(sequence)) => Extensions::read(sequence.enter(), &mut unread),
            Some(None) => {
                unread.push("extensions");
                Extensions::default()
            }
            None => Extensions::default(),
        };
        if !fields.is_empty() {
            unread.push("tbsCertificate");
        }

        let self_issued = !places.subject.is_empty()
            && der.get(places.subject.clone()).is_some_and(|subject| Some(subject) == der.get(places.issuer.clone()));
        Some(Self {
            version,
            negative_serial: serial.is_some_and(|serial| serial.content.first().is_some_and(|first| first & 0x80 != 0)),
            serial: serial.map(|serial| serial_text(serial.content)),
            subject,
            issuer,
            common_name,
            issuer_common_name,
            issuer_organization,
            self_issued,
            not_before,
            not_after,
            key,
            signature_algorithm,
            extensions,
            unread,
            places,
        })
    }
}

/// A two's-complement integer in hexadecimal.
fn serial_text(content: &[u8]) -> String {
    let negative = content.first().is_some_and(|first| first & 0x80 != 0);
    let magnitude = if negative {
        let mut carry = true;
        let mut octets: Vec<u8> = content
            .iter()
            .rev()
            .map(|octet| {
                let (value, overflow) = (!octet).overflowing_add(u8::from(carry));
                carry = overflow;
                value
            })
            .collect();
        octets.reverse();
        hex(&octets)
    } else {
        hex(content)
    };
    let digits = match magnitude.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    if negative { format!("-{digits}") } else { digits.to_owned() }
}
