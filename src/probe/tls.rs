//! TLS whose certificates are recorded, or held to be right, by goprobe's own judgement.

use std::sync::{Arc, Mutex};

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::certificate::{Certificate, NoneKnown, Roots, judge};
use crate::observation::probe::Failure;
use crate::types::Timestamp;

/// Certificates of one handshake.
pub(super) type Shown = Arc<Mutex<Vec<Vec<u8>>>>;

/// How many certificates of a chain are kept, and how many bytes of each: a hostile server may send many.
const MOST_CERTIFICATES: usize = 16;
const MOST_BYTES: usize = 64 << 10;

/// Records the chain. With roots it demands that Go would take it; without, anything goes that holds its key.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    shown: Shown,
    demanded: Option<Roots>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(leaf).chain(others).take(MOST_CERTIFICATES);
        let chain: Vec<Vec<u8>> =
            chain.map(|der| der.as_ref().get(..der.len().min(MOST_BYTES)).unwrap_or_default().to_vec()).collect();
        if let Some(roots) = &self.demanded {
            let read: Vec<Certificate> = chain.iter().map(|der| Certificate::parse(der)).collect();
            let at = Timestamp::from_seconds(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
            let judgement = judge(&read.iter().collect::<Vec<_>>(), Some(&name.to_str()), at, roots, &NoneKnown);
            if !judgement.go_accepts() {
                return Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));
            }
        }
        if let Ok(mut shown) = self.shown.lock() {
            *shown = chain;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A client that records what it is shown. `demanded`: only chains to these roots will do.
pub(super) fn client(alpn: &[&str], demanded: Option<Roots>) -> Result<(ClientConfig, Shown), Failure> {
    let provider = Arc::new(ring::default_provider());
    let shown = Shown::default();
    let verifier = Arc::new(Verifier { provider: Arc::clone(&provider), shown: Arc::clone(&shown), demanded });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::Other(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok((config, shown))
}

/// What an error of the operating system, or of TLS inside it, says.
pub(super) fn failure(error: &std::io::Error) -> Failure {
    use std::io::ErrorKind as Kind;
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return match error {
            Error::AlertReceived(alert) => Failure::Alert(u8::from(*alert)),
            Error::InvalidMessage(_) => Failure::NotTls,
            Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => {
                Failure::WrongServer("the certificate is not for this resolver, or of no public authority".to_owned())
            }
            other => Failure::Other(other.to_string()),
        };
    }
    match error.kind() {
        Kind::TimedOut | Kind::WouldBlock => Failure::Timeout,
        Kind::ConnectionRefused => Failure::Refused,
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => Failure::Reset,
        Kind::UnexpectedEof => Failure::Closed,
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown | Kind::AddrNotAvailable => {
            Failure::Unreachable
        }
        Kind::PermissionDenied => Failure::Forbidden,
        _ => Failure::Other(error.to_string()),
    }
}
