//! Who can have said what stands in a connection: whoever holds the path where it is in clear, and inside TLS only whoever
//! holds the certificate's key.

use crate::certificate::{Certificate, Judgement, Known, KnownIntermediates, Path, judge};
use crate::observation::{Case, Connection, Sighting};
use crate::reference::Reference;

/// Public intermediates, and those that other servers of the recording sent.
pub(super) struct Everywhere<'c> {
    reference: &'c Reference,
    seen: Vec<&'c Certificate>,
}

impl<'c> Everywhere<'c> {
    /// All that are known where this recording was made.
    pub(super) fn of(case: &'c Case, reference: &'c Reference) -> Self {
        Self { reference, seen: case.certificates.iter().collect() }
    }
}

impl KnownIntermediates for Everywhere<'_> {
    fn by_subject<'a>(&'a self, subject_der: &[u8]) -> Vec<Known<'a>> {
        let theirs = self.seen.iter().filter(|seen| seen.subject_der() == subject_der);
        let mut known: Vec<Known<'a>> = theirs.filter_map(|seen| Known::seen(seen)).collect();
        known.extend(self.reference.known_intermediates(subject_der));
        known
    }
}

/// Who speaks in the server's place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Speaker {
    /// Anybody on the path: it is in clear.
    Anybody,
    /// The server: its chain leads to a public root and is for the host. Nobody on the way can write there.
    Server,
    /// Whoever a private authority signed for, and no interceptor is indicated: in all likelihood the company's own server.
    Private,
    /// An interceptor, by the name of its product or of its authority.
    Interceptor(String),
    /// It cannot be told: the certificates were not seen, or nobody knows their issuer.
    Unseen,
}

impl Speaker {
    /// Who speaks inside a connection to a host; `secure` says that it is TLS.
    ///
    /// Asked of connections in which requests were answered, so that the client has taken the chain.
    pub(super) fn of(case: &Case, reference: &Reference, connection: &Connection, host: &str, secure: bool) -> Self {
        if !secure {
            return Self::Anybody;
        }
        let Some(handshake) = case.handshakes_in(connection.flow).next() else { return Self::Unseen };
        let (Sighting::Seen(ids), Some(at)) = (&handshake.certificates, handshake.certificates_at) else {
            return Self::Unseen;
        };
        let chain: Vec<&Certificate> = ids.iter().filter_map(|id| case.certificate(*id)).collect();
        if chain.is_empty() {
            return Self::Unseen;
        }
        let judgement = judge(&chain, Some(host), at.time, reference.roots(), &Everywhere::of(case, reference));
        Self::judged(reference, &chain, &judgement, host)
    }

    fn judged(reference: &Reference, chain: &[&Certificate], judgement: &Judgement, host: &str) -> Self {
        let private = match &judgement.path {
            Path::Verified { .. } if judgement.go_accepts() => return Self::Server,
            // GOINSECURE takes what is expired or for another name.
            Path::Verified { .. } | Path::VerifiedWithKnown { .. } => return Self::Private,
            Path::UnknownIssuer { ca_issuers, akin_root, public_marks, .. }
                if ca_issuers.is_some() || akin_root.is_some() || *public_marks =>
            {
                return Self::Unseen;
            }
            Path::BrokenSignature { .. } | Path::Unverifiable { .. } => return Self::Unseen,
            Path::PrivateRoot { root, .. } => root.clone(),
            Path::UnknownIssuer { issuer, .. } => issuer.clone(),
            Path::SelfSignedLeaf => "a certificate that signed itself".to_owned(),
        };
        let mut issuers = chain.iter().filter_map(|one| one.facts()).filter_map(|facts| facts.issuer.as_ref());
        match issuers.find_map(|issuer| reference.interceptor(issuer)) {
            Some(known) => Self::Interceptor(known.vendor.clone()),
            None if reference.host(host).is_some() => Self::Interceptor(format!("the authority \"{private}\"")),
            None => Self::Private,
        }
    }

    /// Whether somebody between client and server may have said it.
    pub(super) const fn may_be_another(&self) -> bool {
        !matches!(self, Self::Server | Self::Private)
    }
}
