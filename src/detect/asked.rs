//! What the network says when it is asked, held against the reference: findings with probes as their evidence, and what of
//! the findings in a recording the answers contradict.
//!
//! Decisive is who holds the key of a certificate for the name. That an answer differs from another one's is none: names
//! have many addresses, and the nearest differs from place to place.

mod chains;
mod failing;
mod invented;
mod lies;
mod overridden;
mod path;
mod proxies;
mod shape;
mod unopened;
mod view;

use std::collections::BTreeMap;

use crate::finding::{Assessment, Code, Refutation};
use crate::observation::Case;
use crate::reference::Reference;
use crate::reference::honest::{HonestAnswers, HonestName};
use view::Names;

/// What the answers come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// What they show.
    pub assessment: Assessment,
    /// What they contradict.
    pub refuted: Vec<Refutation>,
}

/// Judges the probes of a case. Pure: the same answers give the same.
#[must_use]
pub fn assess(case: &Case, reference: &Reference) -> Asked {
    let names = Names::of(case, reference);
    let mut asked = Asked::default();
    let found = &mut asked.assessment.found;
    let intercepted = path::is_intercepted(case);
    for name in names.iter() {
        found.extend(lies::assess(reference, name, intercepted));
        found.extend(failing::assess(name));
        asked.refuted.extend(refuted(name));
    }
    found.extend(invented::assess(&invented::inventions(case)));
    found.extend(overridden::assess(case, reference, &names));
    found.extend(path::assess(case, &names));
    found.extend(proxies::assess(case));
    let misled: Vec<_> =
        found.iter().filter(|it| it.code.family() == "dns").filter_map(|it| it.subject.address).collect();
    found.extend(chains::assess(case, reference, &misled));
    let shape = shape::assess(case, &misled);
    found.extend(shape.found);
    asked.refuted.extend(shape.refuted);
    let unopened = unopened::assess(case, &misled, found);
    found.extend(unopened);
    found.extend(proxies::bypassed(case));
    asked
}

/// The honest answers, as a reference for later analyses: of those who cannot be written over on the way, of the zone's own
/// servers, and whatever proved to be the name's by its certificate. A name that nobody honest answered for is left out.
#[must_use]
pub fn honest(case: &Case, reference: &Reference) -> HonestAnswers {
    let mut names: BTreeMap<String, HonestName> = BTreeMap::new();
    for name in Names::of(case, reference).iter() {
        names.extend(name.honest_answer().map(|honest| (name.name.to_owned(), honest)));
    }
    HonestAnswers { asked: case.probes.first().map(|probe| probe.at), names, ..HonestAnswers::default() }
}

/// What was found about a name in a recording and does not hold.
fn refuted(name: &view::Named<'_>) -> Vec<Refutation> {
    let mut refuted = Vec::new();
    for (id, chain) in name.genuine() {
        for code in [Code::DnsHijackedAnswer, Code::DnsUnexpectedRange] {
            let why = format!(
                "asked again, {} proves to be {} by its certificate (probe {})",
                chain.address, name.name, id.0
            );
            refuted.push(Refutation { code, host: name.name.to_owned(), address: Some(chain.address.ip()), why });
        }
    }
    if let Some(id) = name.denied_by_honest() {
        let why = format!("honest resolvers deny the name, too (probe {})", id.0);
        refuted.push(Refutation { code: Code::DnsForgedNxdomain, host: name.name.to_owned(), address: None, why });
    }
    refuted
}

#[cfg(test)]
mod tests;
