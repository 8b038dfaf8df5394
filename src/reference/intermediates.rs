//! Public intermediate certificates: enough of each to name a missing one and to verify a signature with its key.
//!
//! The bundle is CCADB data (CDLA-Permissive-2.0), in `rules/intermediates.bin`: `GPI1`, then zstd over a count and eight
//! columns. [`compact`] makes it out of PEM, so it can be made again. The certificates themselves are not kept: what links
//! a bundled certificate to its own issuer is the CCADB's word.

use std::io::Read as _;

use crate::certificate::{Certificate, Known, certificates_in_pem, rfc4514};
use crate::types::Timestamp;

const MAGIC: &[u8] = b"GPI1";
/// What a bundle unpacks to at most; the real one is 1 MB.
const LIMIT: u64 = 64 << 20;
const LEVEL: i32 = 19;

/// A public intermediate certificate.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub struct Intermediate {
    /// Its subject, DER.
    pub subject_der: Box<[u8]>,
    /// Its `SubjectPublicKeyInfo`, DER.
    pub spki_der: Box<[u8]>,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
    /// SHA-256 of the certificate.
    pub sha256: [u8; 32],
    /// Its issuer, DER.
    pub issuer_der: Box<[u8]>,
    /// Its subject key identifier; empty where it has none.
    pub key_id: Box<[u8]>,
}

impl Intermediate {
    /// Its subject as an RFC 4514 string.
    #[must_use]
    pub fn name(&self) -> String {
        rfc4514(&self.subject_der).unwrap_or_default()
    }
}

impl<'a> From<&'a Intermediate> for Known<'a> {
    fn from(known: &'a Intermediate) -> Self {
        Self {
            subject_der: &known.subject_der,
            issuer_der: &known.issuer_der,
            spki_der: &known.spki_der,
            key_id: Some(&*known.key_id).filter(|id| !id.is_empty()),
            not_before: known.not_before,
            not_after: known.not_after,
            sha256: Some(known.sha256),
            certificate: None,
        }
    }
}

/// The bundle, sorted by subject.
#[derive(Clone, Debug, Default)]
pub struct Intermediates(Vec<Intermediate>);

impl Intermediates {
    /// Reads a bundle that [`compact`] made; `None` when it is anything else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let packed = bytes.strip_prefix(MAGIC)?;
        let mut unpacked = Vec::new();
        zstd::stream::read::Decoder::new(packed).ok()?.take(LIMIT).read_to_end(&mut unpacked).ok()?;
        let mut reader = Reader(&unpacked);
        let count = usize::try_from(reader.number::<4>()?).ok()?;
        // Every certificate takes far more than one byte, so a lying count is found out before anything is reserved.
        if count > unpacked.len() {
            return None;
        }
        let mut column = |_: &str| (0..count).map(|_| reader.bytes()).collect::<Option<Vec<_>>>();
        let (subjects, issuers, spkis, ids) = (column("subject")?, column("issuer")?, column("spki")?, column("id")?);
        let mut list = Vec::with_capacity(count);
        for (((subject_der, issuer_der), spki_der), key_id) in subjects.into_iter().zip(issuers).zip(spkis).zip(ids) {
            let seconds = |reader: &mut Reader<'_>| Some(Timestamp::from_seconds(reader.number::<8>()?.cast_signed()));
            let not_before = seconds(&mut reader)?;
            let not_after = seconds(&mut reader)?;
            let sha256 = reader.take(32)?.try_into().ok()?;
            list.push(Intermediate { subject_der, spki_der, not_before, not_after, sha256, issuer_der, key_id });
        }
        (reader.0.is_empty() && list.is_sorted()).then_some(Self(list))
    }

    /// The certificates with this subject (DER); several where a name has several keys or was certified again.
    pub fn by_subject(&self, subject_der: &[u8]) -> impl Iterator<Item = &Intermediate> {
        let from = self.0.partition_point(|known| *known.subject_der < *subject_der);
        self.0.iter().skip(from).take_while(move |known| *known.subject_der == *subject_der)
    }

    /// The certificate with this SHA-256.
    #[must_use]
    pub fn by_sha256(&self, sha256: &[u8; 32]) -> Option<&Intermediate> {
        self.0.iter().find(|known| known.sha256 == *sha256)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Intermediate> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Packs the certificates of a PEM file; what is no certificate is left out. The same PEM gives the same bytes.
///
/// # Errors
/// When there is no certificate in it, or the PEM itself is damaged.
pub fn compact(pem: &[u8]) -> Result<Vec<u8>, super::import::ImportError> {
    use super::import::ImportError::{NoCertificate, Pack};
    let found = certificates_in_pem(pem).map_err(|_| NoCertificate)?;
    let mut list: Vec<Intermediate> = found.iter().filter_map(|der| read(der)).collect();
    list.sort();
    list.dedup();
    let count = u32::try_from(list.len()).ok().filter(|&count| count > 0).ok_or(NoCertificate)?;
    let mut out = count.to_be_bytes().to_vec();
    let columns: [fn(&Intermediate) -> &[u8]; 4] =
        [|one| &one.subject_der, |one| &one.issuer_der, |one| &one.spki_der, |one| &one.key_id];
    for column in columns {
        for field in list.iter().map(column) {
            out.extend(u16::try_from(field.len()).map_err(|_| NoCertificate)?.to_be_bytes());
            out.extend(field);
        }
    }
    for one in &list {
        for time in [one.not_before, one.not_after] {
            out.extend(time.nanos().div_euclid(1_000_000_000).to_be_bytes());
        }
        out.extend(one.sha256);
    }
    let mut packed = MAGIC.to_vec();
    packed.extend(zstd::bulk::compress(&out, LEVEL).map_err(Pack)?);
    Ok(packed)
}

fn read(der: &[u8]) -> Option<Intermediate> {
    let certificate = Certificate::parse(der);
    let facts = certificate.facts()?;
    // A field that the format cannot hold would make the whole bundle unreadable.
    let field = |bytes: &[u8]| u16::try_from(bytes.len()).is_ok().then(|| Box::<[u8]>::from(bytes));
    let needed = |bytes: &[u8]| if bytes.is_empty() { None } else { field(bytes) };
    Some(Intermediate {
        subject_der: needed(certificate.subject_der())?,
        issuer_der: needed(certificate.issuer_der())?,
        spki_der: needed(certificate.spki_der())?,
        key_id: field(facts.extensions.subject_key_id.as_deref().unwrap_or_default())?,
        not_before: facts.not_before?.timestamp(),
        not_after: facts.not_after?.timestamp(),
        sha256: certificate.sha256,
    })
}

/// The unread rest of an unpacked bundle.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number<const N: usize>(&mut self) -> Option<u64> {
        Some(self.take(N)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn bytes(&mut self) -> Option<Box<[u8]>> {
        let length = usize::try_from(self.number::<2>()?).ok()?;
        self.take(length).map(Box::from)
    }
}
