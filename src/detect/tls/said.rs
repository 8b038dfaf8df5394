//! Alerts that TLS 1.3 encrypts: go's own words tell of them.

use super::{Attempt, CITED, Case, Code, Confidence, Evidence, Fate, Finding, group_subject};
use crate::detect::subject::called;
use crate::finding::Fault;
use crate::go::log::GoErrorKind;
use crate::types::Direction;

/// The server refused the client after the handshake, as far as the client was concerned, had been completed: over a
/// certificate that it wanted, for instance (RFC 8446 §4.4.2.4).
pub(super) fn assess(case: &Case, group: &[&Attempt<'_>], all: &[Attempt<'_>]) -> Option<Finding> {
    let subject = group_subject(case, group);
    let error = case.go.error_about(subject.host.as_deref(), subject.address)?;
    let GoErrorKind::RemoteAlert { name, number } = error.kind.innermost() else { return None };
    // An alert in clear is what go means, wherever it came from.
    let host = group.first()?.host.as_deref();
    if all.iter().any(|other| other.host.as_deref() == host && matches!(other.fate, Fate::Alert { .. })) {
        return None;
    }
    let refused: Vec<&&Attempt<'_>> =
        group.iter().filter(|attempt| matches!(attempt.fate, Fate::Completed { .. }) && attempt.is_visible()).collect();
    let host = called(&subject);
    let summary = format!(
        "{host} itself ends the session with the alert \"{name}\" after the handshake: TLS encrypts it, go printed it."
    );
    let evidence = Evidence::log(error.line, error.text.clone());
    let mut finding =
        Finding::new(Code::TlsServerAlert, Fault::Server, Confidence::Moderate, subject, evidence, summary)
            .with_class(format!("alert {name}"))
            .excluding("an alert forged on the path", "it is encrypted, and go could open it")
            .with_remedy("Ask the operator of the server what it refuses.", None)
            .with_reference("RFC 8446 §6");
    if let Some(number) = number {
        finding = finding.with_number("alert", (*number).into());
    }
    for attempt in refused.iter().take(CITED) {
        attempt.cite_hello(&mut finding);
        let Some((finished, _)) = attempt.handshake.client_records.first() else { continue };
        let answers = attempt.connection.segments.towards(Direction::ToClient);
        for answer in answers.filter(|segment| segment.length > 0 && segment.at > *finished).take(2) {
            finding.cite(Evidence::segment("encrypted_answer", answer.at, attempt.connection.flow, ""));
        }
    }
    (!refused.is_empty()).then_some(finding)
}
