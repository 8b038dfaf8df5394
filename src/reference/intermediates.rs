//! Public intermediate certificates: enough of each to name a missing one and to verify a signature with its key.
//!
//! The bundle is CCADB data (CDLA-Permissive-2.0), in `rules/intermediates.bin`: `GPI1`, then zstd over a count and eight
//! columns. [`compact`] makes it out of PEM, so it can be made again. The certificates themselves are not kept: what links
//! a bundled certificate to its own issuer is the CCADB's word.

use std::fmt::Write as _;
use std::io::Read as _;

use ring::digest::{SHA256, digest};
use x509_parser::extensions::ParsedExtension;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Name};

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
/// When there is no certificate in it.
pub fn compact(pem: &[u8]) -> Result<Vec<u8>, super::import::ImportError> {
    use super::import::ImportError::{NoCertificate, Pack};
    let mut list: Vec<Intermediate> = Pem::iter_from_buffer(pem).filter_map(|pem| read(&pem.ok()?)).collect();
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

fn read(pem: &Pem) -> Option<Intermediate> {
    let certificate = pem.parse_x509().ok()?;
    let key_id = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    });
    // A field that the format cannot hold would make the whole bundle unreadable.
    let field = |bytes: &[u8]| u16::try_from(bytes.len()).is_ok().then(|| Box::from(bytes));
    Some(Intermediate {
        subject_der: field(certificate.subject().as_raw())?,
        issuer_der: field(certificate.issuer().as_raw())?,
        spki_der: field(certificate.public_key().raw)?,
        key_id: field(key_id.unwrap_or_default())?,
        not_before: Timestamp::from_seconds(certificate.validity().not_before.timestamp()),
        not_after: Timestamp::from_seconds(certificate.validity().not_after.timestamp()),
        sha256: digest(&SHA256, &pem.contents).as_ref().try_into().ok()?,
    })
}

/// A distinguished name as an RFC 4514 string: last relative name first, special characters escaped (§2.1 to §2.4).
pub(crate) fn rfc4514(der: &[u8]) -> Option<String> {
    let (_, name) = X509Name::from_der(der).ok()?;
    let relative = |rdn: &x509_parser::x509::RelativeDistinguishedName<'_>| {
        let attributes: Vec<String> = rdn
            .iter()
            .map(|attribute| {
                let oid = attribute.attr_type().to_id_string();
                match (short_name(&oid), attribute.as_str()) {
                    (Some(short), Ok(value)) => format!("{short}={}", escaped(value)),
                    (short, Ok(value)) if !value.is_empty() => format!("{}={}", short.unwrap_or(&oid), escaped(value)),
                    (short, _) => format!("{}=#{}", short.unwrap_or(&oid), hex(attribute.attr_value().data)),
                }
            })
            .collect();
        attributes.join("+")
    };
    let mut parts: Vec<String> = name.iter_rdn().map(relative).collect();
    parts.reverse();
    Some(parts.join(","))
}

/// The attribute types that RFC 4514 §3 has a short name for.
fn short_name(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        _ => return None,
    })
}

fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut out = String::with_capacity(value.len());
    for (at, c) in value.chars().enumerate() {
        let special = matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\');
        if special || (at == 0 && matches!(c, ' ' | '#')) || (at == last && c == ' ') {
            out.push('\\');
        }
        if c == '\0' { out.push_str("\\00") } else { out.push(c) }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
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
