//! The roots that are held as publicly trusted: Mozilla's, and those that the user adds.

use super::der::{self, Reader, SEQUENCE};
use super::facts::Certificate;
use super::{name, pem};

/// A set of trusted roots. It costs nothing to make: Mozilla's are compiled in and looked at only when asked for.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    mozilla: bool,
    added: Vec<Certificate>,
}

/// Why roots cannot be added. The texts read after "cannot read the roots: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RootsError {
    /// There is no certificate in it, PEM or DER.
    #[error("no certificate in it")]
    Empty,
    /// A PEM block has a beginning and no end.
    #[error("certificate {number} has no end line")]
    Unended {
        /// Counted from 1.
        number: usize,
    },
    /// A PEM block is not Base64.
    #[error("certificate {number} is not Base64")]
    Base64 {
        /// Counted from 1.
        number: usize,
    },
    /// A block is not a certificate, or has no subject or key.
    #[error("certificate {number} cannot be read as one")]
    Certificate {
        /// Counted from 1.
        number: usize,
    },
}

/// One trusted root. Its fields are the contents of the Name and `SubjectPublicKeyInfo` SEQUENCEs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Root<'a> {
    pub(super) subject: &'a [u8],
    pub(super) spki: &'a [u8],
    /// The certificate itself, of roots that were added; of Mozilla's only name and key are at hand.
    pub(super) certificate: Option<&'a Certificate>,
}

impl Root<'_> {
    /// Its subject as an RFC 4514 string.
    pub(super) fn name(&self) -> String {
        name::read(self.subject).text
    }
}

impl Roots {
    /// Mozilla's roots for servers, as the `webpki-roots` crate has them.
    ///
    /// Constraints that Mozilla lays on a root from outside are left out, since Go does not know of them.
    #[must_use]
    pub const fn mozilla() -> Self {
        Self { mozilla: true, added: Vec::new() }
    }

    /// No roots at all.
    #[must_use]
    pub const fn none() -> Self {
        Self { mozilla: false, added: Vec::new() }
    }

    /// Adds the certificates of a PEM text (any number, with any text around them), or a single one in DER.
    ///
    /// # Errors
    /// When there is no certificate, or one cannot be read.
    pub fn with_pem(mut self, bytes: &[u8]) -> Result<Self, RootsError> {
        let found =
            if Reader::new(bytes).read(SEQUENCE).is_some() { vec![bytes.to_vec()] } else { pem::certificates(bytes)? };
        if found.is_empty() {
            return Err(RootsError::Empty);
        }
        for (der, number) in found.iter().zip(1..) {
            // OpenSSL's trust settings may follow the certificate.
            let der = Reader::new(der).read(SEQUENCE).map_or(&**der, |certificate| certificate.full);
            let certificate = Certificate::parse(der);
            if certificate.subject_der().is_empty() || certificate.spki_der().is_empty() {
                return Err(RootsError::Certificate { number });
            }
            self.added.push(certificate);
        }
        Ok(self)
    }

    /// Whether a certificate's name and key are those of a root.
    #[must_use]
    pub fn holds(&self, certificate: &Certificate) -> bool {
        self.of(certificate).is_some()
    }

    /// The root with this certificate's name and key.
    pub(super) fn of<'a>(&'a self, certificate: &Certificate) -> Option<Root<'a>> {
        let spki = der::content(certificate.spki_der())?;
        self.by_subject(der::content(certificate.subject_der())?).find(|root| root.spki == spki)
    }

    /// The subject of a root that belongs to this organization.
    pub(super) fn of_organization(&self, organization: &str) -> Option<String> {
        let mut names = self.all().map(|root| name::read(root.subject));
        names.find(|name| name.organization.as_deref() == Some(organization)).map(|name| name.text)
    }

    /// The roots with this subject (the content of a Name); added ones first.
    pub(super) fn by_subject<'a>(&'a self, subject: &[u8]) -> impl Iterator<Item = Root<'a>> {
        self.all().filter(move |root| root.subject == subject)
    }

    fn all(&self) -> impl Iterator<Item = Root<'_>> {
        let mozilla = if self.mozilla { webpki_roots::TLS_SERVER_ROOTS } else { &[] };
        let mozilla = mozilla.iter().map(|anchor| Root {
            subject: anchor.subject.as_ref(),
            spki: anchor.subject_public_key_info.as_ref(),
            certificate: None,
        });
        let added = self.added.iter().filter_map(|certificate| {
            Some(Root {
                subject: der::content(certificate.subject_der())?,
                spki: der::content(certificate.spki_der())?,
                certificate: Some(certificate),
            })
        });
        added.chain(mozilla)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::algorithm::{KeyKind, PublicKey};

    #[test]
    fn roots_of_mozilla_have_a_name_and_a_key_that_can_be_checked() {
        let mut unchecked = Vec::new();
        for anchor in webpki_roots::TLS_SERVER_ROOTS {
            let name = name::read(&anchor.subject);
            assert!(name.whole && !name.text.is_empty());
            let key = PublicKey::read(&anchor.subject_public_key_info).unwrap().key;
            if !matches!(key.kind, KeyKind::Rsa | KeyKind::Ecdsa(256 | 384)) {
                unchecked.push(format!("{}: {key}", name.text));
            }
            assert_eq!(Roots::mozilla().by_subject(&anchor.subject).count(), 1, "{}", name.text);
        }
        // One of P-521 in 2026; more of what ring cannot do would make "unverifiable" a common answer.
        assert!(unchecked.len() <= 1, "{unchecked:?}");
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert_eq!(Roots::none().with_pem(b"").unwrap_err(), RootsError::Empty);
        assert_eq!(Roots::none().with_pem(b"hello").unwrap_err(), RootsError::Empty);
        let text = b"-----BEGIN CERTIFICATE-----\nZm9v\n-----END CERTIFICATE-----\n";
        assert_eq!(Roots::none().with_pem(text).unwrap_err(), RootsError::Certificate { number: 1 });
    }
}
