//! Chains that the client saw and rejected, and the recording cannot show: TLS 1.3 without keys, or a hole.

use std::collections::BTreeMap;

use super::tls_subject;
use crate::detect::subject::{called, host_of, is_incidental, judged_handshakes};
use crate::finding::{Code, Confidence, Evidence, Fault, Finding, NotAssessed, Subject};
use crate::go::{GoError, GoErrorKind};
use crate::observation::{Case, Handshake, Outcome, Sighting, Veil};
use crate::types::{Direction, FlowId, Moment};

/// A rejection whose reason was not seen.
struct Rejection<'c> {
    flow: FlowId,
    handshake: &'c Handshake,
    alert: Option<Moment>,
}

pub(super) fn assess(case: &Case) -> (Vec<Finding>, Vec<NotAssessed>) {
    let mut groups: BTreeMap<Subject, (Vec<Rejection<'_>>, bool)> = BTreeMap::new();
    let mut hidden: BTreeMap<Subject, Veil> = BTreeMap::new();
    for (handshake, connection) in judged_handshakes(case) {
        let subject = tls_subject(host_of(case, handshake, connection), connection);
        let Sighting::Hidden(veil) = handshake.certificates else { continue };
        if handshake.server_hello.is_some() {
            hidden.insert(subject.clone(), veil);
        }
        if handshake.outcome != Outcome::RejectedByClient {
            continue;
        }
        let from_client = handshake.alerts.iter().find(|alert| alert.direction == Direction::ToServer);
        let entry = groups.entry(subject).or_insert_with(|| (Vec::new(), true));
        entry.0.push(Rejection { flow: connection.flow, handshake, alert: from_client.map(|alert| alert.at) });
        entry.1 &= is_incidental(connection);
    }
    let mut found = Vec::new();
    for (subject, (rejections, incidental)) in groups {
        // Another attempt that was accepted: this one was given up for another reason.
        let accepted = judged_handshakes(case).any(|(handshake, _)| {
            handshake.server_name.seen() == subject.host.as_ref() && handshake.outcome == Outcome::Completed
        });
        if accepted {
            continue;
        }
        if let Some(mut finding) = rejected(case, subject, &rejections) {
            finding.incidental = incidental;
            found.push(finding);
        }
    }
    let not_assessed = hidden
        .into_iter()
        .map(|(subject, veil)| NotAssessed { code: Code::CertMissingIntermediate, subject, veil, hint: hint(veil) })
        .collect();
    (found, not_assessed)
}

fn hint(veil: Veil) -> String {
    match veil {
        Veil::Encrypted => "TLS 1.3 encrypts the certificates: record with `goprobe capture`, which keeps the session's keys, or give a key log with --keylog".to_owned(),
        Veil::Truncated => "record whole packets".to_owned(),
        Veil::Gap => "record both directions without loss".to_owned(),
        Veil::EndOfCapture => "record to the end of the handshake".to_owned(),
    }
}

fn rejected(case: &Case, subject: Subject, rejections: &[Rejection<'_>]) -> Option<Finding> {
    let host = called(&subject);
    let said =
        case.go.errors().iter().find(|error| {
            error.kind.innermost().is_certificate() && (error.host.is_none() || error.host == subject.host)
        });
    let named = said.and_then(|error| by_words(error, &host));
    let first = rejections.first()?;
    let at = first.alert.or(first.handshake.server_hello.as_ref().map(|hello| hello.at))?;
    let (code, fault, summary, open) = named.unwrap_or_else(|| {
        (
            Code::CertRejectedByClient,
            Fault::Unknown,
            format!(
                "The client gives up right after the certificates of {host}, which cannot be seen: it rejected them."
            ),
            vec!["any fault of the chain", "interception", "a client without root certificates"],
        )
    });
    let readable = rejections.iter().any(|rejection| {
        rejection.handshake.alerts.iter().any(|alert| alert.direction == Direction::ToServer && alert.content.is_some())
    });
    let confidence = if said.is_some() || readable { Confidence::Moderate } else { Confidence::Weak };
    let evidence = Evidence::segment("client_alert", at, first.flow, "an alert of the client, by its length");
    let mut finding = Finding::new(code, fault, confidence, subject, evidence, summary)
        .with_remedy(
            "Make the chain visible: record again with `goprobe capture`, or look at it from the client's network.",
            Some(&format!("openssl s_client -connect {host}:443 -servername {host} -showcerts </dev/null")),
        )
        .with_reference("RFC 8446 §6.2");
    for rejection in rejections {
        if let Some(hello) = &rejection.handshake.server_hello {
            finding.cite(Evidence::segment("server_hello", hello.at, rejection.flow, ""));
            for at in flight(case, rejection, hello.at) {
                finding.cite(Evidence::segment(
                    "server_flight",
                    at,
                    rejection.flow,
                    "the certificates are in here, encrypted",
                ));
            }
        }
        if let Some(alert) = rejection.alert {
            finding.cite(Evidence::segment("client_alert", alert, rejection.flow, ""));
        }
    }
    for alternative in open {
        finding = finding.not_excluding(alternative);
    }
    if let Some(error) = said {
        finding.cite(Evidence::log(error.line, error.text.clone()));
        finding.go_error = Some(error.text.clone());
    }
    Some(finding)
}

/// The packets between the `ServerHello` and the client's alert: the certificates travel in them.
fn flight(case: &Case, rejection: &Rejection<'_>, hello: Moment) -> Vec<Moment> {
    let until = rejection.alert.unwrap_or(hello);
    let Some(connection) = case.connection(rejection.flow) else { return Vec::new() };
    let segments = connection.segments.towards(Direction::ToClient).filter(|segment| segment.length > 0);
    segments.map(|segment| segment.at).filter(|at| *at > hello && *at < until).take(8).collect()
}

/// What go's words name, as far as they are specific.
fn by_words(error: &GoError, host: &str) -> Option<(Code, Fault, String, Vec<&'static str>)> {
    let unseen = "the chain itself cannot be seen";
    Some(match error.kind.innermost() {
        GoErrorKind::UnknownAuthority { .. } => (
            Code::CertUnknownAuthority,
            Fault::Unknown,
            format!("go does not know the authority that signed the certificate of {host}; {unseen}."),
            vec![
                "the server does not send an intermediate certificate",
                "interception",
                "a self-signed certificate",
                "a client without root certificates",
            ],
        ),
        GoErrorKind::CertificateExpired { not_yet: false, .. } => (
            Code::CertExpired,
            Fault::Server,
            format!("go says that a certificate of {host} has expired; {unseen}."),
            vec!["the client's clock"],
        ),
        GoErrorKind::CertificateExpired { not_yet: true, .. } => (
            Code::CertNotYetValid,
            Fault::Server,
            format!("go says that a certificate of {host} is not valid yet; {unseen}."),
            vec!["the client's clock"],
        ),
        GoErrorKind::NameMismatch { valid_for, .. } => (
            Code::CertNameMismatch,
            Fault::Server,
            format!(
                "go says that the certificate shown for {host} is for {}; {unseen}.",
                if valid_for.is_empty() { "no such name".to_owned() } else { valid_for.join(", ") }
            ),
            vec!["a false DNS answer", "a log-in portal"],
        ),
        GoErrorKind::NoSubjectAlternativeName => (
            Code::CertNameMismatch,
            Fault::Server,
            format!("go says that the certificate of {host} has no subject alternative names; {unseen}."),
            vec!["interception"],
        ),
        GoErrorKind::NegativeSerial => (
            Code::CertNegativeSerial,
            Fault::Server,
            format!("go says that a certificate of {host} has a negative serial number; {unseen}."),
            vec!["interception"],
        ),
        GoErrorKind::InsecureAlgorithm { .. } => (
            Code::CertWeakSignature,
            Fault::Server,
            format!("go says that a certificate of {host} is signed in a way that it refuses; {unseen}."),
            vec!["interception"],
        ),
        _ => return None,
    })
}
