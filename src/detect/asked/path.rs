//! Answers from where no resolver is: somebody on the way writes them.

use super::view::{Named, Names, asked_of, network, said};
use crate::finding::{Code, Confidence, Evidence, Fault, Finding, Severity, Subject};
use crate::observation::Case;
use crate::observation::probe::{NameAnswer, Oracle, Part, Probe, ProbeId};

/// Whether something answers in the place of every resolver, for a harmless name as well.
pub(super) fn is_intercepted(case: &Case) -> bool {
    case.probes.iter().filter_map(Probe::name).any(|answer| {
        let question = &answer.question;
        question.oracle == Oracle::Nobody && question.part == Part::Control && answer.first().is_some()
    })
}

/// Whoever answers for a harmless name as well answers for all: a resolver in the way. Whoever answers for the target alone
/// was set up against it.
pub(super) fn assess(case: &Case, names: &Names<'_>) -> Option<Finding> {
    let nobody: Vec<(ProbeId, &NameAnswer)> = case
        .probes
        .iter()
        .filter_map(|probe: &Probe| Some((probe.id, probe.name()?)))
        .filter(|(_, answer)| answer.question.oracle == Oracle::Nobody && answer.first().is_some())
        .collect();
    let control = nobody.iter().find(|(_, answer)| answer.question.part == Part::Control);
    let target = nobody.iter().find(|(_, answer)| answer.question.part == Part::Target);
    let asked_control = case
        .probes
        .iter()
        .filter_map(Probe::name)
        .any(|answer| answer.question.oracle == Oracle::Nobody && answer.question.part == Part::Control);
    match (control, target) {
        (Some((id, answer)), _) => {
            let honest = target.is_none_or(|(_, answer)| is_honest(names, answer));
            Some(intercepted(*id, answer, &nobody, honest))
        }
        (None, Some((id, answer))) if asked_control => {
            names.find(&answer.question.name).map(|name| injected(name, *id, answer))
        }
        _ => None,
    }
}

/// Whether the answer is one that honest resolvers give, or leads to where the name's key is.
fn is_honest(names: &Names<'_>, answer: &NameAnswer) -> bool {
    let Some(name) = names.find(&answer.question.name) else { return true };
    answer.first().is_some_and(|reply| {
        reply.addresses().any(|address| name.honest_addresses().any(|known| network(known) == network(address)))
    })
}

fn intercepted(id: ProbeId, answer: &NameAnswer, all: &[(ProbeId, &NameAnswer)], honest: bool) -> Finding {
    let server = answer.question.server;
    let subject = Subject { host: None, address: server.map(|server| server.ip()), port: Some(53), module: None };
    let fault = if honest { Fault::Harmless } else { Fault::Interference };
    let summary = format!(
        "Whatever resolver is asked, something on the way answers: even {}{}.",
        asked_of(answer),
        if honest { "; what it says is honest" } else { ", and what it says is false" }
    );
    let first = Evidence::probe("answer", id, format!("{}: {}", answer.question.name, said(answer.first())));
    let rest = all.iter().map(|(id, answer)| {
        Evidence::probe("answer", *id, format!("{}: {}", answer.question.name, said(answer.first())))
    });
    Finding::new(Code::DnsInterceptedResolver, fault, Confidence::Proven, subject, first, summary)
        .with_severity(Severity::Medium)
        .with_evidence(rest)
        .with_class("interception")
        .excluding(
            "a resolver at that address",
            "the address is reserved for documentation, and routed nowhere (RFC 5737)",
        )
        .with_remedy("Ask whoever runs the network; a resolver over TLS or HTTPS is not intercepted unnoticed.", None)
        .with_reference("RFC 5737 §3")
}

fn injected(name: &Named<'_>, id: ProbeId, answer: &NameAnswer) -> Finding {
    let summary = format!(
        "Answers for {} are forged on the way: {} answers {} for it, and stays silent for other names.",
        name.name,
        asked_of(answer),
        said(answer.first())
    );
    let first = Evidence::probe("forged_answer", id, said(answer.first()));
    let class = answer.first().and_then(|reply| reply.addresses().next()).map_or_else(|| said(answer.first()), network);
    let forged = answer.first().into_iter().flat_map(|reply| reply.addresses()).map(|address| address.to_string());
    Finding::new(Code::DnsInjectedAnswer, Fault::Interference, Confidence::Proven, name.subject(), first, summary)
        .with_class(class)
        .with_list("forged", forged)
        .excluding("a resolver in the way that answers for everything", "a control name gets no answer there")
        .with_reference("RFC 5737 §3")
}
