//! The extensions that decide whether Go accepts a certificate (RFC 5280 §4.2).

use super::constraints::NameConstraints;
use super::der::{BIT_STRING, BOOLEAN, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, context, dotted};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A name that a certificate is for: a dNSName or iPAddress of its subjectAltName.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SubjectName {
    /// A DNS name or pattern, its letters as they stand in the certificate.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

/// The DNS name, or the address in the form of RFC 5952.
impl fmt::Display for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// basicConstraints (RFC 5280 §4.2.1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BasicConstraints {
    /// Whether it may certify others.
    pub ca: bool,
    /// How many intermediates may stand between it and the leaf.
    pub path_length: Option<u32>,
}

/// keyUsage (RFC 5280 §4.2.1.3): bit 15 of the number is the first bit, digitalSignature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyUsage(u16);

impl KeyUsage {
    /// Whether it may verify signatures on certificates (keyCertSign).
    #[must_use]
    pub const fn certificate_signing(self) -> bool {
        self.0 & 0x0400 != 0
    }

    /// The names of RFC 5280 for the bits that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        const NAMES: [&str; 9] = [
            "digitalSignature",
            "nonRepudiation",
            "keyEncipherment",
            "dataEncipherment",
            "keyAgreement",
            "keyCertSign",
            "cRLSign",
            "encipherOnly",
            "decipherOnly",
        ];
        NAMES
            .into_iter()
            .zip(0_u32..)
            .filter(move |(_, bit)| self.0.wrapping_shl(*bit) & 0x8000 != 0)
            .map(|(name, _)| name)
    }
}

/// What the extensions say. A field is `None`, false or empty where its extension is absent or could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// The dNSNames and iPAddresses of subjectAltName, in its order.
    pub names: Vec<SubjectName>,
    /// Whether there is a subjectAltName extension, whatever it holds.
    pub has_subject_alt_name: bool,
    /// basicConstraints.
    pub basic_constraints: Option<BasicConstraints>,
    /// keyUsage.
    pub key_usage: Option<KeyUsage>,
    /// Whether extKeyUsage allows serverAuth or anything; `None` without that extension, which allows all.
    pub server_auth: Option<bool>,
    /// subjectKeyIdentifier.
    pub subject_key_id: Option<Box<[u8]>>,
    /// The key identifier of authorityKeyIdentifier.
    pub authority_key_id: Option<Box<[u8]>>,
    /// The caIssuers URLs of authorityInfoAccess: where the issuer's certificate could be fetched. Go never does.
    pub ca_issuers: Vec<String>,
    /// nameConstraints.
    pub name_constraints: Option<NameConstraints>,
    /// Whether it holds signed certificate timestamps (RFC 6962 §3.3), as those of public authorities do.
    pub has_timestamps: bool,
    /// Whether certificatePolicies holds one of the CA/Browser Forum's (2.23.140.1.1 and 2.23.140.1.2.1 to .3), which
    /// publicly trusted certificates have to hold.
    pub has_public_policy: bool,
    /// Critical extensions that Go does not handle, by object identifier.
    pub unhandled_critical: Vec<String>,
}

impl Extensions {
    /// Reads the content of the Extensions SEQUENCE; names in `unread` what could not be read.
    pub(super) fn read(mut extensions: Reader<'_>, unread: &mut Vec<&'static str>) -> Self {
        let mut out = Self::default();
        while let Some(extension) = extensions.read(SEQUENCE) {
            let mut fields = extension.enter();
            let oid = fields.read(OID);
            let critical = fields.read(BOOLEAN).is_some_and(|flag| flag.content != [0]);
            let (Some(oid), Some(value)) = (oid, fields.read(OCTET_STRING)) else {
                unread.push("extension");
                continue;
            };
            let fault = match out.take(oid.content, value.content) {
                Taken::Read => None,
                Taken::Faulty(name) => Some(name),
                Taken::Unhandled => {
                    if critical {
                        out.unhandled_critical.push(dotted(oid.content));
                    }
                    None
                }
            };
            unread.extend(fault);
        }
        if !extensions.is_empty() {
            unread.push("extensions");
        }
        out
    }

    fn take(&mut self, oid: &[u8], value: &[u8]) -> Taken {
        let mut value = Reader::new(value);
        let (name, read) = match oid {
            [0x55, 0x1d, 0x0e] => ("subjectKeyIdentifier", self.take_subject_key_id(&mut value)),
            [0x55, 0x1d, 0x0f] => ("keyUsage", self.take_key_usage(&mut value)),
            [0x55, 0x1d, 0x11] => {
                self.has_subject_alt_name = true;
                let Some(others) = self.take_names(&mut value) else { return Taken::Faulty("subjectAltName") };
                // `processExtensions` of crypto/x509/parser.go: without a name of a kind that it reads.
                return if self.names.is_empty() && !others { Taken::Unhandled } else { Taken::Read };
            }
            [0x55, 0x1d, 0x13] => ("basicConstraints", self.take_basic_constraints(&mut value)),
            [0x55, 0x1d, 0x1e] => {
                let Some(constraints) = NameConstraints::read(&mut value) else {
                    return Taken::Faulty("nameConstraints");
                };
                let handled = !constraints.has_other_kinds;
                self.name_constraints = Some(constraints);
                return if handled { Taken::Read } else { Taken::Unhandled };
            }
            [0x55, 0x1d, 0x23] => ("authorityKeyIdentifier", self.take_authority_key_id(&mut value)),
            [0x55, 0x1d, 0x25] => ("extKeyUsage", self.take_extended_key_usage(&mut value)),
            [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x01] => ("authorityInfoAccess", self.take_access(&mut value)),
            [0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x02] => {
                self.has_timestamps = true;
                return Taken::Unhandled;
            }
            [0x55, 0x1d, 0x20] => ("certificatePolicies", self.take_policies(&mut value)),
            // policyMappings, cRLDistributionPoints, policyConstraints, inhibitAnyPolicy: Go handles them, and none of
            // them decides anything in a TLS handshake.
            [0x55, 0x1d, 0x1f | 0x21 | 0x24 | 0x36] => return Taken::Read,
            _ => return Taken::Unhandled,
        };
        if read.is_some() { Taken::Read } else { Taken::Faulty(name) }
    }

    fn take_subject_key_id(&mut self, value: &mut Reader<'_>) -> Option<()> {
        self.subject_key_id = Some(value.read(OCTET_STRING)?.content.into());
        Some(())
    }

    fn take_authority_key_id(&mut self, value: &mut Reader<'_>) -> Option<()> {
        let mut fields = value.read(SEQUENCE)?.enter();
        self.authority_key_id = fields.read(context(0)).map(|id| id.content.into());
        Some(())
    }

    fn take_key_usage(&mut self, value: &mut Reader<'_>) -> Option<()> {
        let (_, usage) = value.read(BIT_STRING)?.content.split_first()?;
        let octet = |at: usize| usage.get(at).copied().unwrap_or(0);
        self.key_usage = Some(KeyUsage(u16::from_be_bytes([octet(0), octet(1)])));
        Some(())
    }

    fn take_basic_constraints(&mut self, value: &mut Reader<'_>) -> Option<()> {
        let mut fields = value.read(SEQUENCE)?.enter();
        let ca = fields.read(BOOLEAN).is_some_and(|flag| flag.content != [0]);
        let path_length = match fields.read(INTEGER) {
            None => None,
            Some(length) if length.content.len() <= 4 => {
                Some(length.content.iter().fold(0_u32, |length, &octet| length << 8 | u32::from(octet)))
            }
            Some(_) => return None,
        };
        self.basic_constraints = Some(BasicConstraints { ca, path_length });
        Some(())
    }

    /// Returns whether names of other kinds that Go reads (rfc822Name, URI) are among them.
    fn take_names(&mut self, value: &mut Reader<'_>) -> Option<bool> {
        let mut names = value.read(SEQUENCE)?.enter();
        let (mut others, mut whole) = (false, true);
        while let Some(name) = names.any() {
            match name.tag {
                0x82 => {
                    // Go refuses the certificate where a name is no IA5String; what stands there is kept all the same.
                    whole &= name.content.is_ascii();
                    let text = String::from_utf8_lossy(name.content).into_owned();
                    self.names.push(SubjectName::Dns(text));
                }
                0x87 => match address(name.content) {
                    Some(address) => self.names.push(SubjectName::Ip(address)),
                    None => whole = false,
                },
                0x81 | 0x86 => others = true,
                _ => {}
            }
        }
        (whole && names.is_empty()).then_some(others)
    }

    fn take_extended_key_usage(&mut self, value: &mut Reader<'_>) -> Option<()> {
        let mut usages = value.read(SEQUENCE)?.enter();
        let mut server_auth = usages.is_empty(); // an empty list restricts nothing (`isValid` of verify.go)
        while let Some(usage) = usages.read(OID) {
            server_auth |= usage.content == [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01]
                || usage.content == [0x55, 0x1d, 0x25, 0x00];
        }
        self.server_auth = Some(server_auth);
        usages.is_empty().then_some(())
    }

    fn take_policies(&mut self, value: &mut Reader<'_>) -> Option<()> {
        let mut policies = value.read(SEQUENCE)?.enter();
        while let Some(policy) = policies.read(SEQUENCE) {
            let id = policy.enter().read(OID)?.content;
            self.has_public_policy |= matches!(id, [0x67, 0x81, 0x0c, 1, 1] | [0x67, 0x81, 0x0c, 1, 2, 1..=3]);
        }
        policies.is_empty().then_some(())
    }

    fn take_access(&mut self, value: &mut Reader<'_>) -> Option<()> {
        let mut descriptions = value.read(SEQUENCE)?.enter();
        while let Some(description) = descriptions.read(SEQUENCE) {
            let mut fields = description.enter();
            let method = fields.read(OID)?.content;
            if let Some(url) = fields.read(context(6))
                && method == [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02]
            {
                self.ca_issuers.push(String::from_utf8_lossy(url.content).into_owned());
            }
        }
        descriptions.is_empty().then_some(())
    }
}

/// What became of one extension.
enum Taken {
    Read,
    Faulty(&'static str),
    Unhandled,
}

/// An address of four or sixteen octets.
fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(v4).into());
    }
    <[u8; 16]>::try_from(octets).ok().map(|v6| Ipv6Addr::from(v6).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(oid: &[u8], value: &[u8]) -> Extensions {
        let mut out = Extensions::default();
        out.take(oid, value);
        out
    }

    #[test]
    fn rfc5280_4_2_1_3_key_usage_bits_are_named() {
        let usage = taken(&[0x55, 0x1d, 0x0f], &[BIT_STRING, 2, 1, 0x06]).key_usage.unwrap();
        assert!(usage.certificate_signing());
        assert_eq!(usage.names().collect::<Vec<_>>(), ["keyCertSign", "cRLSign"]);
        let usage = taken(&[0x55, 0x1d, 0x0f], &[BIT_STRING, 3, 7, 0x80, 0x80]).key_usage.unwrap();
        assert!(!usage.certificate_signing());
        assert_eq!(usage.names().collect::<Vec<_>>(), ["digitalSignature", "decipherOnly"]);
    }

    #[test]
    fn rfc5280_4_2_1_6_names_around_a_bad_one_are_kept() {
        let mut out = Extensions::default();
        let value = [SEQUENCE, 11, 0x82, 1, b'A', 0x87, 1, 9, 0x87, 4, 127, 0, 0, 1];
        let value = [&[value[0], 12][..], &value[2..]].concat();
        assert!(matches!(out.take(&[0x55, 0x1d, 0x11], &value), Taken::Faulty("subjectAltName")));
        assert_eq!(out.names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["A", "127.0.0.1"]);
    }

    #[test]
    fn rfc5280_4_2_1_12_any_usage_is_server_usage() {
        let oid = [0x55, 0x1d, 0x25];
        assert_eq!(taken(&oid, &[SEQUENCE, 6, OID, 4, 0x55, 0x1d, 0x25, 0x00]).server_auth, Some(true));
        assert_eq!(taken(&oid, &[SEQUENCE, 3, OID, 1, 0x2a]).server_auth, Some(false));
        assert_eq!(taken(&[0x55, 0x1d, 0x20], &[]).server_auth, None);
    }
}
