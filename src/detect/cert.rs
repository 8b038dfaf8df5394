//! Certificates: what is wrong with a chain, whose fault it is, and chains that only the client could see.
//!
//! go's words are the same for a missing intermediate, a private authority, interception, a self-signed certificate and an
//! empty trust store ("signed by unknown authority"). Only the chain tells them apart.

mod chain;
mod unseen;
mod validity;
mod words;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::Detector;
use super::subject::{handshake_subject, host_of, is_incidental, is_with_proxy, judged_handshakes};
use super::trust::Everywhere;
use crate::certificate::{Certificate, Judgement, judge};
use crate::finding::{Assessment, Code, Evidence, Subject};
use crate::go::log::GitErrorKind;
use crate::go::{GoError, GoErrorKind};
use crate::observation::{Case, CertificateId, Connection, Handshake, Outcome, Sighting};
use crate::reference::Reference;
use crate::types::{Direction, Moment};

pub(super) const DETECTOR: Detector = Detector {
    codes: &[
        Code::CertMissingIntermediate,
        Code::CertMisorderedChain,
        Code::CertSuperfluousCertificate,
        Code::CertExpired,
        Code::CertNotYetValid,
        Code::CertNameMismatch,
        Code::CertSelfSigned,
        Code::CertUnknownAuthority,
        Code::CertInterception,
        Code::CertWeakSignature,
        Code::CertNegativeSerial,
        Code::CertNoTrustStore,
        Code::CertRejectedByClient,
    ],
    assess,
};

/// One chain shown for one name at one address.
struct Shown<'c> {
    host: Option<String>,
    chain: Vec<&'c Certificate>,
    at: Moment,
    judgement: Judgement,
    handshakes: Vec<(&'c Handshake, &'c Connection)>,
    subject: Subject,
    /// It is the chain of a proxy that is spoken to over TLS.
    of_proxy: bool,
    /// git says that it does not take it.
    refused_by_git: bool,
}

impl Shown<'_> {
    fn subject(&self) -> Subject {
        self.subject.clone()
    }

    /// The client went on with it.
    fn accepted(&self) -> bool {
        !self.refused_by_git && self.handshakes.iter().any(|(handshake, _)| handshake.outcome == Outcome::Completed)
    }

    fn rejected(&self) -> bool {
        self.refused_by_git
            || self.handshakes.iter().any(|(handshake, _)| handshake.outcome == Outcome::RejectedByClient)
    }

    fn in_tunnel(&self) -> bool {
        self.handshakes.iter().any(|(handshake, _)| handshake.tunnel.is_some())
    }

    fn leaf(&self) -> Option<&Certificate> {
        self.chain.first().copied()
    }

    /// Where the chain was shown, and what the client did about it.
    fn evidence(&self) -> Vec<Evidence> {
        let mut evidence = Vec::new();
        for (handshake, connection) in &self.handshakes {
            if let Some(at) = handshake.certificates_at {
                evidence.push(Evidence::segment("certificates", at, connection.flow, ""));
            }
            for alert in handshake.alerts.iter().filter(|alert| alert.direction == Direction::ToServer) {
                evidence.push(Evidence::segment("client_alert", alert.at, connection.flow, "the client rejects it"));
            }
        }
        evidence
    }
}

/// Whether a client's rejection can be about the certificate: what can be read of its alert does not speak against it
/// (RFC 8446 §6.2, 42 to 46, 48 and 113).
fn may_be_over_certificate(handshake: &Handshake) -> bool {
    let mut readable = handshake
        .alerts
        .iter()
        .filter(|alert| alert.direction == Direction::ToServer)
        .filter_map(|alert| alert.content);
    readable.all(|content| matches!(content.description, 42..=46 | 48 | 113))
}

/// git's complaint about a host's certificate. Some of its TLS libraries finish the handshake before they judge the chain
/// (`curl` with GnuTLS), so that nothing on the wire says that it was refused.
fn refused_by_git<'c>(case: &'c Case, host: Option<&str>) -> Option<&'c GoError> {
    let about_certificate = |error: &&GoError| {
        matches!(
            error.kind.innermost(),
            GoErrorKind::GitError(GitErrorKind::CertificateNotVerified | GitErrorKind::NameMismatch)
        )
    };
    let mut errors = case.go.errors().iter().filter(about_certificate);
    errors.find(|error| error.host.is_some() && error.host.as_deref() == host)
}

/// Whether go names another reason for its failure with that host, and none about a certificate.
fn gave_up_otherwise(case: &Case, host: Option<&str>) -> bool {
    let mut about =
        case.go.errors().iter().filter(|error| error.host.is_some() && error.host.as_deref() == host).peekable();
    about.peek().is_some()
        && about.all(|error| {
            let kind = error.kind.innermost();
            !kind.is_certificate() && !matches!(kind, GoErrorKind::GitError(_) | GoErrorKind::Other)
        })
}

fn assess(case: &Case, reference: &Reference) -> Assessment {
    let everywhere = Everywhere::of(case, reference);
    let mut shown: BTreeMap<(Option<String>, SocketAddr, Vec<CertificateId>), Shown<'_>> = BTreeMap::new();
    let mut assessment = Assessment::default();
    for (handshake, connection) in judged_handshakes(case) {
        let Sighting::Seen(ids) = &handshake.certificates else { continue };
        let Some(at) = handshake.certificates_at.filter(|_| !ids.is_empty()) else { continue };
        let host = host_of(case, handshake, connection);
        let entry = shown.entry((host.clone(), connection.server, ids.clone())).or_insert_with(|| {
            let chain: Vec<&Certificate> = ids.iter().filter_map(|id| case.certificate(*id)).collect();
            // An address has many names: which one an unseen hello asked for is not known.
            let asked =
                host.as_deref().filter(|_| handshake.server_name.veil().is_none() || handshake.tunnel.is_some());
            let judgement = judge(&chain, asked, at.time, reference.roots(), &everywhere);
            let subject = handshake_subject(case, handshake, connection);
            let of_proxy = is_with_proxy(case, handshake, connection);
            let refused_by_git = refused_by_git(case, host.as_deref()).is_some();
            Shown { host, chain, at, judgement, handshakes: Vec::new(), subject, of_proxy, refused_by_git }
        });
        entry.handshakes.push((handshake, connection));
    }
    let shown: Vec<Shown<'_>> = shown.into_values().collect();
    for chain in &shown {
        let mut found = chain::assess(case, reference, chain, &shown);
        let incidental = chain.handshakes.iter().all(|(_, connection)| is_incidental(connection));
        found.iter_mut().for_each(|finding| finding.incidental = incidental);
        assessment.found.extend(found);
    }
    let (found, not_assessed) = unseen::assess(case, reference);
    assessment.found.extend(found);
    assessment.not_assessed.extend(not_assessed);
    assessment
}

#[cfg(test)]
mod tests;
