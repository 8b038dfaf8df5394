//! Every certificate once, however many connections show it.

use hashbrown::HashMap;

use crate::certificate::Certificate;
use crate::observation::CertificateId;
use crate::protocol::tls::CertificateSink;

/// Different certificates kept. A recording with more is not about Go downloads any more.
const MOST: usize = 1 << 15;

/// The certificates of a case.
#[derive(Default)]
pub(crate) struct CertificatePool {
    by_der: HashMap<Box<[u8]>, CertificateId>,
    certificates: Vec<Certificate>,
}

impl CertificatePool {
    pub(crate) fn into_certificates(self) -> Vec<Certificate> {
        self.certificates
    }
}

impl CertificateSink for CertificatePool {
    fn intern(&mut self, der: &[u8]) -> CertificateId {
        if let Some(id) = self.by_der.get(der) {
            return *id;
        }
        let id = CertificateId(u32::try_from(self.certificates.len()).unwrap_or(u32::MAX));
        if self.certificates.len() < MOST {
            self.by_der.insert(der.into(), id);
            self.certificates.push(Certificate::parse(der));
        }
        id
    }
}
