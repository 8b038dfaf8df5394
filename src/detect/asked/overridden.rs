//! Addresses of the hosts file that are not the name's: go takes them and asks no resolver.

use std::net::IpAddr;

use super::view::{Names, Standing, network};
use crate::finding::{Code, Confidence, Evidence, Fault, Finding};
use crate::observation::Case;
use crate::observation::probe::ProbeId;
use crate::reference::Reference;

pub(super) fn assess(case: &Case, reference: &Reference, names: &Names<'_>) -> Vec<Finding> {
    let told = case.probes.iter().filter_map(|probe| Some((probe.id, probe.hosts_file()?)));
    told.filter_map(|(id, (name, addresses))| judge(reference, names, id, name, addresses)).collect()
}

fn judge(reference: &Reference, names: &Names<'_>, id: ProbeId, name: &str, addresses: &[IpAddr]) -> Option<Finding> {
    let named = names.find(name)?;
    let known = reference.host(name).is_some();
    // Of several addresses go takes one that works.
    if addresses.iter().any(|address| named.honest_addresses().any(|honest| honest == *address)) {
        return None;
    }
    let address = *addresses.first()?;
    let control = named.genuine().next();
    let standing = named.standing_of(address);
    let (confidence, what) = match standing {
        Some((_, Standing::Genuine)) => return None,
        // Where nobody proves to be the name, a wrong certificate may be the name's own.
        Some((_, Standing::Stranger(what))) if control.is_some() => {
            (Confidence::Proven, format!("the server there shows {what}"))
        }
        Some((_, Standing::Unproven(what))) if control.is_some() => {
            (Confidence::Strong, format!("the server there shows {what}"))
        }
        Some((_, Standing::Silent(failure))) if named.exists() => {
            (Confidence::Strong, format!("no TLS server is there ({failure})"))
        }
        None if named.exists() && reference.special(address).is_some() => {
            (Confidence::Strong, "no server can be there".to_owned())
        }
        _ => return None,
    };
    let honest: Vec<String> = named.honest_addresses().take(3).map(|address| address.to_string()).collect();
    let summary = format!(
        "The hosts file of this machine says that {name} is {address}: {what}. Honest answers are {}.",
        honest.join(", ")
    );
    let mut subject = named.subject();
    subject.address = Some(address);
    let evidence = Evidence::probe("hosts_file", id, format!("/etc/hosts gives {name} the address {address}"));
    let mut finding = Finding::new(Code::DnsLocalOverride, Fault::Client, confidence, subject, evidence, summary)
        .with_class(network(address))
        .with_evidence(standing.map(|(id, _)| Evidence::probe("identity", id, what)))
        .with_evidence(named.testimony())
        .excluding("a lie of a resolver", "go reads the hosts file first, and asks no resolver about the name")
        .with_remedy(
            "Take the line out of the hosts file, if it is not meant to be there.",
            Some(&format!("grep -n {name} /etc/hosts")),
        )
        .with_reference("hosts(5)");
    if let Some((id, chain)) = control {
        let how = format!("at {} the name's server shows the right one (probe {})", chain.address, id.0);
        finding = finding.excluding("the name's own server is set up wrongly", how);
    }
    if confidence < Confidence::Proven {
        finding = finding.not_excluding(if matches!(standing, Some((_, Standing::Unproven(_)))) {
            "a mirror of one's own, with a private authority, on purpose"
        } else {
            "a server of one's own at that address, on purpose, that is down"
        });
    } else if !known {
        finding = finding.not_excluding("a server of one's own for the name, on purpose");
        finding.set_confidence(Confidence::Strong);
    }
    Some(finding)
}
