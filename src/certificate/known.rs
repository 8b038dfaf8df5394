//! Intermediate certificates that are known though they were not sent.

use super::der;
use super::facts::Certificate;
use crate::types::Timestamp;

/// An intermediate certificate that was not sent with the chain.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Its subject's Name, DER.
    pub subject_der: &'a [u8],
    /// Its issuer's Name, DER.
    pub issuer_der: &'a [u8],
    /// Its `SubjectPublicKeyInfo`, DER.
    pub spki_der: &'a [u8],
    /// Its subjectKeyIdentifier.
    pub key_id: Option<&'a [u8]>,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// SHA-256 of its DER, where known.
    pub sha256: Option<[u8; 32]>,
    /// The certificate, where it was seen on the wire: then its signature is checked. `None` for an entry of a
    /// trusted list, whose word is taken for the link from it to its issuer.
    pub certificate: Option<&'a Certificate>,
}

impl<'a> Known<'a> {
    /// What to call it: its subject as an RFC 4514 string.
    #[must_use]
    pub fn name(&self) -> String {
        super::rfc4514(self.subject_der).unwrap_or_default()
    }

    /// A certificate that was seen elsewhere. `None` unless it is an authority whose fields could be read.
    #[must_use]
    pub fn seen(certificate: &'a Certificate) -> Option<Self> {
        let facts = certificate.facts()?;
        let complete =
            der::content(certificate.spki_der()).is_some() && der::content(certificate.issuer_der()).is_some();
        (facts.is_ca() && complete).then_some(Self {
            subject_der: certificate.subject_der(),
            issuer_der: certificate.issuer_der(),
            spki_der: certificate.spki_der(),
            key_id: facts.extensions.subject_key_id.as_deref(),
            not_before: facts.not_before?.timestamp(),
            not_after: facts.not_after?.timestamp(),
            sha256: Some(certificate.sha256),
            certificate: Some(certificate),
        })
    }
}

/// Where intermediates that were not sent are looked up: a shipped list, certificates seen elsewhere in a recording.
pub trait KnownIntermediates {
    /// All that have this subject (a Name, DER).
    fn by_subject<'a>(&'a self, subject_der: &[u8]) -> Vec<Known<'a>>;
}

/// Knows none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoneKnown;

impl KnownIntermediates for NoneKnown {
    fn by_subject<'a>(&'a self, _subject_der: &[u8]) -> Vec<Known<'a>> {
        Vec::new()
    }
}

/// Certificates seen elsewhere.
impl KnownIntermediates for &[&Certificate] {
    fn by_subject<'a>(&'a self, subject_der: &[u8]) -> Vec<Known<'a>> {
        self.iter().filter(|seen| seen.subject_der() == subject_der).filter_map(|seen| Known::seen(seen)).collect()
    }
}

/// Two sources, the first one's answers first.
impl<A: KnownIntermediates + ?Sized, B: KnownIntermediates + ?Sized> KnownIntermediates for (&A, &B) {
    fn by_subject<'a>(&'a self, subject_der: &[u8]) -> Vec<Known<'a>> {
        let mut all = self.0.by_subject(subject_der);
        all.extend(self.1.by_subject(subject_der));
        all
    }
}
