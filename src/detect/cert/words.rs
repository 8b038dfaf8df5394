//! What go's words about a certificate say, where the chain itself cannot be seen.
//!
//! "signed by unknown authority" has five causes. What else the recording and the environment show may leave fewer.

use std::net::IpAddr;

use crate::detect::subject::{address_is_honest, called, judged_handshakes};
use crate::finding::{Code, Confidence, Evidence, Fault, Finding, Subject};
use crate::go::log::GitErrorKind;
use crate::go::{GoError, GoErrorKind};
use crate::observation::{Case, Connection, Opening, Outcome};
use crate::reference::{Reference, Special};

/// What the words mean, and what is left open.
pub(super) struct Meaning {
    pub(super) code: Code,
    pub(super) fault: Fault,
    pub(super) summary: String,
    pub(super) open: Vec<&'static str>,
    pub(super) excluded: Vec<(&'static str, String)>,
    pub(super) details: Vec<(&'static str, String)>,
    pub(super) settings: Vec<(&'static str, String)>,
}

impl Meaning {
    pub(super) fn new(code: Code, fault: Fault, summary: String) -> Self {
        let (open, excluded, details, settings) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { code, fault, summary, open, excluded, details, settings }
    }

    /// The finding that says so.
    pub(super) fn finding(self, confidence: Confidence, subject: Subject, evidence: Evidence) -> Finding {
        let mut finding = Finding::new(self.code, self.fault, confidence, subject, evidence, self.summary);
        for alternative in self.open {
            finding = finding.not_excluding(alternative);
        }
        for (alternative, how) in self.excluded {
            finding = finding.excluding(alternative, how);
        }
        for (key, value) in self.details {
            finding = finding.with_text(key, value);
        }
        for (key, value) in self.settings {
            finding.cite(Evidence::variable(key, value));
        }
        finding
    }

    pub(super) fn open(mut self, alternatives: &[&'static str]) -> Self {
        self.open.extend(alternatives);
        self
    }
}

const UNSEEN: &str = "the chain itself cannot be seen";
const INTERMEDIATE: &str = "the server does not send an intermediate certificate";
const INTERCEPTION: &str = "interception";
const SELF_SIGNED: &str = "a self-signed certificate";
const NO_ROOTS: &str = "a client without root certificates";
const PRIVATE: &str = "a private authority that the client does not know";

/// What go's words name, as far as they are specific. `direct` is the connection to the server itself; there is none behind
/// a proxy.
pub(super) fn meaning(
    case: &Case,
    reference: &Reference,
    error: &GoError,
    subject: &Subject,
    direct: Option<&Connection>,
) -> Option<Meaning> {
    let host = called(subject);
    let clock = others_say_the_same(case, error);
    let by_clock = |server: Fault| if clock.is_some() { Fault::Client } else { server };
    Some(match error.kind.innermost() {
        GoErrorKind::UnknownAuthority { hint } => unknown(case, reference, hint.as_deref(), subject, direct),
        GoErrorKind::GitError(GitErrorKind::CertificateNotVerified) => {
            let summary = format!("git does not accept the certificate of {host}; {UNSEEN}.");
            Meaning::new(Code::CertRejectedByClient, Fault::Unknown, summary).open(&[
                INTERMEDIATE,
                INTERCEPTION,
                SELF_SIGNED,
                "a certificate that has expired",
                NO_ROOTS,
            ])
        }
        GoErrorKind::GitError(GitErrorKind::NameMismatch) => {
            let summary = format!("git says that the certificate shown for {host} is for another name; {UNSEEN}.");
            Meaning::new(Code::CertNameMismatch, Fault::Server, summary)
                .open(&["a false DNS answer", "a log-in portal"])
        }
        GoErrorKind::OtherX509(complaint) => {
            let summary = format!("go rejects the certificate of {host} ({complaint}); {UNSEEN}.");
            Meaning::new(Code::CertRejectedByClient, Fault::Server, summary).open(&[INTERCEPTION])
        }
        GoErrorKind::SelfSigned => {
            let summary = format!("The certificate of {host} is self-signed, says git; {UNSEEN}.");
            Meaning::new(Code::CertSelfSigned, Fault::Server, summary).open(&[INTERCEPTION])
        }
        GoErrorKind::CertificateExpired { not_yet, .. } => {
            let (code, what) =
                if *not_yet { (Code::CertNotYetValid, "is not valid yet") } else { (Code::CertExpired, "has expired") };
            let also = clock.map(|other| format!(", as it does of {other}")).unwrap_or_default();
            let summary = format!("go says that a certificate of {host} {what}{also}; {UNSEEN}.");
            let open = if also.is_empty() { "the client's clock" } else { "the servers' certificates, each by itself" };
            Meaning::new(code, by_clock(Fault::Server), summary).open(&[open])
        }
        GoErrorKind::NameMismatch { valid_for, .. } => {
            let names = if valid_for.is_empty() { "no such name".to_owned() } else { valid_for.join(", ") };
            let summary = format!("go says that the certificate shown for {host} is for {names}; {UNSEEN}.");
            Meaning::new(Code::CertNameMismatch, Fault::Server, summary)
                .open(&["a false DNS answer", "a log-in portal"])
        }
        GoErrorKind::NoSubjectAlternativeName => {
            let summary = format!("go says that the certificate of {host} has no subject alternative names; {UNSEEN}.");
            Meaning::new(Code::CertNameMismatch, Fault::Server, summary).open(&[INTERCEPTION])
        }
        GoErrorKind::NegativeSerial => {
            let summary = format!("go says that a certificate of {host} has a negative serial number; {UNSEEN}.");
            Meaning::new(Code::CertNegativeSerial, Fault::Server, summary).open(&[INTERCEPTION])
        }
        GoErrorKind::InsecureAlgorithm { .. } => {
            let summary = format!("go says that a certificate of {host} is signed in a way that it refuses; {UNSEEN}.");
            Meaning::new(Code::CertWeakSignature, Fault::Server, summary).open(&[INTERCEPTION])
        }
        _ => return None,
    })
}

/// Another host of which go says the same: then it is hardly each server's own fault.
fn others_say_the_same<'c>(case: &'c Case, error: &GoError) -> Option<&'c str> {
    let same = |other: &&GoError| {
        other.host != error.host
            && std::mem::discriminant(other.kind.innermost()) == std::mem::discriminant(error.kind.innermost())
    };
    case.go.errors().iter().filter(same).find_map(|other| other.host.as_deref())
}

/// "signed by unknown authority".
fn unknown(
    case: &Case,
    reference: &Reference,
    hint: Option<&str>,
    subject: &Subject,
    direct: Option<&Connection>,
) -> Meaning {
    let host = called(subject);
    let candidate = hint
        .and_then(|hint| hint.split_once("candidate authority certificate "))
        .map(|(_, name)| name.trim_matches(|c: char| c == '"' || c == ')' || c.is_whitespace()).to_owned());
    let accepted = judged_handshakes(case).any(|(handshake, _)| {
        handshake.outcome == Outcome::Completed && handshake.server_hello.as_ref().is_some_and(|hello| !hello.resumed)
    });
    // A root at hand that bears the issuer's name, or a server that was accepted: then there are roots.
    if !accepted && candidate.is_none() {
        let settings = nowhere(case);
        if !settings.is_empty() {
            let summary = format!(
                "go does not know the authority that signed the certificate of {host}, and its settings name no place with root certificates; {UNSEEN}."
            );
            let mut meaning = Meaning::new(Code::CertNoTrustStore, Fault::Client, summary).open(&[
                INTERMEDIATE,
                INTERCEPTION,
                SELF_SIGNED,
                PRIVATE,
            ]);
            meaning.settings = settings;
            return meaning;
        }
    }
    let summary = format!("go does not know the authority that signed the certificate of {host}; {UNSEEN}.");
    let public = subject.host.as_deref().is_some_and(|host| reference.host(host).is_some());
    // A private name at a private address has an authority of its own more often than not.
    let private = !public && direct.is_some_and(|direct| is_private(reference, direct.server.ip()));
    let fault = if private { Fault::Client } else { Fault::Unknown };
    let mut meaning =
        Meaning::new(Code::CertUnknownAuthority, fault, summary).open(&[INTERMEDIATE, SELF_SIGNED, INTERCEPTION]);
    if let Some(candidate) = candidate {
        meaning.excluded.push((NO_ROOTS, format!("go found a root named \"{candidate}\", whose key did not sign it")));
        meaning.open.push("a root of the same name whose key was changed");
        meaning.details.push(("candidate", candidate));
    } else if accepted {
        meaning.excluded.push((NO_ROOTS, "the client accepted another server".to_owned()));
    } else {
        meaning.open.push(NO_ROOTS);
    }
    if let Some(near) = direct.and_then(|direct| too_near(case, reference, subject, direct)) {
        let (hops, others) = near;
        let how = format!("{host}'s packets come from {hops} hop(s) away, those of other public servers from {others}");
        meaning.summary = format!(
            "go does not know the authority that signed the certificate of {host}, and {how}: somebody nearer answers for it; {UNSEEN}."
        );
        meaning.code = Code::CertInterception;
        meaning.fault = Fault::Interference;
        meaning.details.push(("hops", hops.to_string()));
        meaning.open.push("a server of that operator inside this network");
    }
    meaning
}

fn is_private(reference: &Reference, address: IpAddr) -> bool {
    matches!(reference.special(address), Some(Special::Private | Special::Loopback | Special::LinkLocal))
}

/// The settings that leave go without roots, as far as their values tell: `SSL_CERT_FILE` replaces the list of files, and
/// `SSL_CERT_DIR` that of folders (Go: `src/crypto/x509/root_unix.go`).
fn nowhere(case: &Case) -> Vec<(&'static str, String)> {
    let Some(env) = &case.go.env else { return Vec::new() };
    let is_nowhere = |value: &str| {
        let folded = value.to_ascii_lowercase();
        folded == "/dev/null"
            || ["nonexist", "no-such", "does-not-exist", "nowhere", "missing"].iter().any(|word| folded.contains(word))
    };
    let Some(file) = env.ssl_cert_file().filter(|file| is_nowhere(file)) else { return Vec::new() };
    let folders = env.ssl_cert_dirs();
    if folders.iter().any(|folder| !is_nowhere(folder)) {
        return Vec::new();
    }
    let mut settings = vec![("SSL_CERT_FILE", file.to_owned())];
    if !folders.is_empty() {
        settings.push(("SSL_CERT_DIR", folders.join(":")));
    }
    settings
}

/// Hops to the server, and the fewest to other public servers, where the server of a known operator is much too near for
/// its right address. Without others to compare with nothing is said: user-mode networks rewrite every TTL.
fn too_near(case: &Case, reference: &Reference, subject: &Subject, connection: &Connection) -> Option<(u8, u8)> {
    let host = subject.host.as_deref()?;
    let own = connection.server.ip();
    if address_is_honest(reference, host, own) != Some(true) {
        return None;
    }
    let near = hops(connection).filter(|hops| *hops <= 2)?;
    let others = case
        .connections
        .iter()
        .filter(|other| other.server.ip() != own && reference.special(other.server.ip()).is_none())
        .filter_map(hops)
        .min()?;
    (others >= near.saturating_add(4)).then_some((near, others))
}

/// Routers between, by the TTL that the SYN-ACK and the rest arrived with; senders start at 64, 128 or 255.
fn hops(connection: &Connection) -> Option<u8> {
    if !matches!(connection.opening, Opening::Established { .. }) {
        return None;
    }
    let (ttl, _) = connection.ttls.to_client.first()?;
    let start = [64_u8, 128, 255].into_iter().find(|start| start >= ttl)?;
    start.checked_sub(*ttl)
}
