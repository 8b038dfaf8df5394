//! Names that do not exist, and resolvers that have addresses for them all the same.

use std::net::{IpAddr, SocketAddr};

use super::view::{asked_of, network, said};
use crate::finding::{Code, Confidence, Evidence, Fault, Finding, Severity, Subject};
use crate::observation::Case;
use crate::observation::probe::{NameAnswer, Oracle, Part, Probe, ProbeId};

/// An address that a resolver has for a name that does not exist.
#[derive(Clone, Debug)]
pub(super) struct Invention<'c> {
    pub(super) id: ProbeId,
    pub(super) answer: &'c NameAnswer,
    pub(super) address: IpAddr,
    /// Who cannot be written over and denies the name; `None` where nobody was heard.
    pub(super) denied: Option<ProbeId>,
}

impl Invention<'_> {
    pub(super) fn resolver(&self) -> Option<SocketAddr> {
        self.answer.question.server
    }

    pub(super) fn evidence(&self) -> Evidence {
        let name = &self.answer.question.name;
        Evidence::probe(
            "nonexistent_name",
            self.id,
            format!("{}: {name} is {}", asked_of(self.answer), said(self.answer.first())),
        )
    }
}

/// What the configured resolvers invent. Beneath a name in question there may be a wildcard, so it is what they say of the
/// harmless name's sibling that counts; and that does exist as soon as somebody honest has an address for it.
pub(super) fn inventions(case: &Case) -> Vec<Invention<'_>> {
    let siblings: Vec<(ProbeId, &NameAnswer)> = case
        .probes
        .iter()
        .filter_map(|probe: &Probe| Some((probe.id, probe.name()?)))
        .filter(|(_, answer)| answer.question.part == Part::Sibling)
        .collect();
    let honest = |name: &str| {
        let name = name.to_owned();
        siblings.iter().filter(move |(_, answer)| {
            matches!(answer.question.oracle, Oracle::Trusted(_))
                && answer.question.transport.is_authenticated()
                && answer.question.name == name
        })
    };
    let is_controls = |name: &str| {
        case.probes.iter().filter_map(Probe::name).any(|answer| {
            answer.question.part == Part::Control
                && name.strip_suffix(&answer.question.name).is_some_and(|rest| rest.ends_with('.'))
        })
    };
    let local = siblings
        .iter()
        .filter(|(_, answer)| answer.question.oracle == Oracle::System && is_controls(&answer.question.name));
    local
        .filter_map(|(id, answer)| {
            let address = answer.first()?.addresses().next()?;
            let name = answer.question.name.as_str();
            if honest(name).any(|(_, it)| it.first().is_some_and(|reply| reply.addresses().next().is_some())) {
                return None;
            }
            let denied = honest(name).find(|(_, it)| it.first().is_some_and(|reply| reply.is_denial()));
            Some(Invention { id: *id, answer, address, denied: denied.map(|(id, _)| *id) })
        })
        .collect()
}

/// That a resolver invents hinders nothing as long as the names in question exist; but whoever mistypes one is led astray.
pub(super) fn assess(inventions: &[Invention<'_>]) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for invention in inventions {
        let name = &invention.answer.question.name;
        let subject = Subject { host: Some(name.clone()), address: Some(invention.address), ..Subject::default() };
        if let Some(known) = found.iter_mut().find(|known| known.subject.host == subject.host) {
            known.cite(invention.evidence());
            continue;
        }
        let resolver = invention.resolver().map(|server| server.ip().to_string()).unwrap_or_default();
        let summary = format!(
            "The resolver {resolver} has an address for names that do not exist: {name} is {}.",
            said(invention.answer.first())
        );
        let confidence = if invention.denied.is_some() { Confidence::Proven } else { Confidence::Moderate };
        let mut finding =
            Finding::new(Code::DnsHijackedAnswer, Fault::Harmless, confidence, subject, invention.evidence(), summary)
                .with_severity(Severity::Medium)
                .with_class(network(invention.address))
                .with_text("resolver", resolver)
                .with_text("address", invention.address.to_string())
                .with_remedy("Ask whoever runs the resolver to answer NXDOMAIN; or use another one.", None)
                .with_reference("RFC 8499 §6");
        finding = match invention.denied {
            Some(id) => finding
                .with_evidence([Evidence::probe("honest_answer", id, "denied")])
                .excluding("a name that exists", format!("honest resolvers deny it (probe {})", id.0)),
            None => finding.not_excluding("the name exists meanwhile"),
        };
        found.push(finding);
    }
    found
}
