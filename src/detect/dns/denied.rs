//! Names that are said not to exist, or to have no address.

use super::view::{NOERROR, NXDOMAIN, Name};
use crate::finding::{Code, Confidence, Evidence, Fault, Finding};
use crate::observation::{Answer, Case, RecordType, Section};
use crate::reference::Reference;

/// Judges denials: NXDOMAIN, or no address of either family (NODATA).
pub(super) fn assess(case: &Case, reference: &Reference, name: &Name<'_>) -> Option<Finding> {
    if name.has_address() {
        return None;
    }
    let denials: Vec<&Answer> = name
        .answers()
        .map(|(_, answer)| answer)
        .filter(|answer| {
            answer.rcode == NXDOMAIN || (answer.rcode == NOERROR && !answer.truncated && !answer.malformed)
        })
        .collect();
    let nxdomain = denials.iter().any(|answer| answer.rcode == NXDOMAIN);
    let types: std::collections::BTreeSet<RecordType> = name
        .for_addresses()
        .filter(|lookup| lookup.answers.iter().any(|answer| denials.iter().any(|denial| denial.at == answer.at)))
        .map(|lookup| lookup.record_type)
        .collect();
    // NODATA for one family says nothing: many names have only the other.
    if denials.is_empty() || (!nxdomain && !types.contains(&RecordType::A)) {
        return None;
    }
    // Another resolver's failure may be the last word, but a denial is an answer: go asks nobody else.
    let what = if nxdomain { "does not exist" } else { "has no address" };
    let honest = reference.honest_name(name.name);
    let exists = honest.is_some_and(|honest| honest.addresses().next().is_some());
    let denied_by_honest = honest.is_some_and(|honest| honest.is_conclusive() && honest.addresses().next().is_none());
    let known = reference.host(name.name).is_some_and(|host| host.judged && !host.name.starts_with("*."));
    let no_authority = denials.iter().all(|answer| {
        !answer
            .records
            .iter()
            .any(|record| record.section == Section::Authority && record.record_type == RecordType::SOA)
    });
    let first = denials.first()?;
    let evidence = Evidence::frame("denial", first.at, if nxdomain { "NXDOMAIN" } else { "no address" });
    let mut finding = if (exists || known) && !denied_by_honest {
        let classes = usize::from(exists) * 2 + usize::from(known && !exists) + usize::from(no_authority);
        let mut why =
            vec![if exists { "honest resolvers give it addresses" } else { "it is a host of Go's that exists" }];
        if no_authority {
            why.push("the answer lacks the SOA record that a true denial has");
        }
        Finding::new(
            Code::DnsForgedNxdomain,
            Fault::Interference,
            Confidence::from_classes(classes),
            name.subject(),
            evidence,
            format!("The resolver says that {} {what}, but {}.", name.name, why.join(", and ")),
        )
        .with_class(if nxdomain { "NXDOMAIN" } else { "NODATA" })
        .with_remedy(
            "Ask the resolver's operator whether the name is filtered; ask another resolver over an encrypted transport and compare.",
            Some(&format!("dig +tls @9.9.9.9 {}", name.name)),
        )
        .with_reference("RFC 2308 §2")
    } else {
        if !case.go.failed_on(name.name) {
            return None;
        }
        let confidence = if denied_by_honest { Confidence::Proven } else { Confidence::Moderate };
        let finding = Finding::new(
            Code::DnsNxdomain,
            Fault::Client,
            confidence,
            name.subject(),
            evidence,
            format!("The resolver says that {} {what}, and nothing contradicts it.", name.name),
        )
        .with_class(if nxdomain { "NXDOMAIN" } else { "NODATA" })
        .with_remedy("Check the spelling in GOPROXY, in the module path or in go.mod; a private name needs the company's resolver (VPN).", None)
        .with_reference("RFC 2308");
        if denied_by_honest {
            finding.excluding("a filtering resolver", "honest resolvers deny the name, too")
        } else {
            finding.not_excluding("a filtering resolver")
        }
    };
    finding.cite(Evidence::frame("denial", first.at, ""));
    for answer in denials {
        finding.cite(Evidence::frame("denial", answer.at, ""));
    }
    Some(finding.with_evidence(name.questions()))
}
