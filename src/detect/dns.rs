//! DNS: forged and lying answers, names denied, resolvers that fail, are missing or are impersonated.
//!
//! Order of thought: an address that shows a valid certificate for the name is the name's, whatever else is odd about it
//! (RFC 6125); then known lies, unroutable answers, and last contradiction with what honest resolvers say. Answers that
//! merely differ are not lies: operators answer by place.

mod denied;
mod elsewhere;
mod failing;
mod injected;
mod lying;
mod resolver;
mod view;

use super::Detector;
use crate::finding::{Assessment, Code};
use crate::observation::Case;
use crate::reference::Reference;
use view::Names;

pub(super) const DETECTOR: Detector = Detector {
    codes: &[
        Code::DnsInjectedAnswer,
        Code::DnsHijackedAnswer,
        Code::DnsBogonAnswer,
        Code::DnsForgedNxdomain,
        Code::DnsNxdomain,
        Code::DnsServfail,
        Code::DnsRefused,
        Code::DnsTimeout,
        Code::DnsTcpBlocked,
        Code::DnsNoResolver,
        Code::DnsLocalOverride,
        Code::DnsInterceptedResolver,
        Code::DnsUnexpectedRange,
    ],
    assess,
};

fn assess(case: &Case, reference: &Reference) -> Assessment {
    let names = Names::of(case, reference);
    let mut assessment = Assessment::default();
    for name in names.iter() {
        let injected = injected::assess(case, reference, name);
        // The forged one of two answers is judged as such; what single answers say is judged for the others.
        let forged = injected.as_ref().map(|(_, forged)| forged.as_slice()).unwrap_or_default();
        assessment.found.extend(lying::assess(case, reference, name, forged));
        if injected.is_none() {
            assessment.found.extend(denied::assess(case, reference, name).or_else(|| failing::assess(case, name)));
        }
        assessment.found.extend(injected.into_iter().flat_map(|(findings, _)| findings));
    }
    assessment.found.extend(elsewhere::assess(case, reference, &names));
    assessment.found.extend(resolver::assess(case, reference, &names));
    assessment.not_assessed.extend(failing::unsettled(case, &names));
    assessment
}

#[cfg(test)]
mod tests;
