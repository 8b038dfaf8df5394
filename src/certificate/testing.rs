//! Certificates for the tests, made on the spot.

use super::der::{BIT_STRING, SEQUENCE};
use super::{Certificate, Roots};
use crate::types::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SigningKey as _, date_time_ymd,
};

/// 2026-11-22T10:00:00Z, within the validity of everything made here unless a test says otherwise.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_795_341_600);

/// A certificate authority.
pub(crate) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pub(crate) certificate: Certificate,
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2030, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params
}

impl Authority {
    /// A root of this name.
    pub(crate) fn root(name: &str) -> Self {
        let (params, key) = (authority_params(name), KeyPair::generate().unwrap());
        let certificate = Certificate::parse(params.self_signed(&key).unwrap().der());
        Self { params, key, certificate }
    }

    /// An authority under this one, changed by `tweak`.
    pub(crate) fn authority(&self, name: &str, tweak: impl FnOnce(&mut CertificateParams)) -> Self {
        let (mut params, key) = (authority_params(name), KeyPair::generate().unwrap());
        tweak(&mut params);
        let certificate = Certificate::parse(params.signed_by(&key, &self.issuer()).unwrap().der());
        Self { params, key, certificate }
    }

    /// The certificate of that authority with which it vouches for itself, as a root.
    pub(crate) fn self_signed(other: &Self) -> Certificate {
        Certificate::parse(other.params.self_signed(&other.key).unwrap().der())
    }

    /// A certificate of this authority for the name and key of another.
    pub(crate) fn cross_sign(&self, other: &Self) -> Certificate {
        Certificate::parse(other.params.signed_by(&other.key, &self.issuer()).unwrap().der())
    }

    /// A leaf for `names`, changed by `tweak`; its common name is the first of them.
    pub(crate) fn leaf(&self, names: &[&str], tweak: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let common_name = names.first().cloned().unwrap_or_else(|| "leaf".into());
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = date_time_ymd(2026, 10, 1);
        params.not_after = date_time_ymd(2027, 1, 1);
        params.use_authority_key_identifier_extension = true;
        tweak(&mut params);
        let key = KeyPair::generate().unwrap();
        Certificate::parse(params.signed_by(&key, &self.issuer()).unwrap().der())
    }

    /// The certificate with its signed part changed and signed anew by this authority.
    pub(crate) fn resign(&self, certificate: &Certificate, change: impl FnOnce(&mut Vec<u8>)) -> Certificate {
        let mut tbs = certificate.tbs_der().to_vec();
        change(&mut tbs);
        let signature = self.key.sign(&tbs).unwrap();
        let algorithm = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
        let signature = wrap(BIT_STRING, &[&[0], &signature[..]].concat());
        Certificate::parse(&wrap(SEQUENCE, &[&tbs[..], &algorithm, &signature].concat()))
    }

    /// Its certificate as the only trusted root.
    pub(crate) fn trusted(&self) -> Roots {
        Roots::none().with_pem(&self.certificate.der).unwrap()
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

/// An element with a two-octet length.
fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82, high, low], content].concat()
}

/// The place of `needle` in `bytes`.
pub(crate) fn position(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).position(|window| window == needle).unwrap()
}
