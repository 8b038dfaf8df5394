//! Proxies: what they refuse, whether they can be reached, and settings that send a host the wrong way.

mod answers;
mod known;
mod reach;
mod route;
mod scheme;

use super::Detector;
use crate::finding::{Assessment, Code};
use crate::observation::Case;
use crate::reference::Reference;

pub(super) const DETECTOR: Detector = Detector {
    codes: &[
        Code::ProxyConnectDenied,
        Code::ProxyAuthRequired,
        Code::ProxyUpstreamError,
        Code::ProxyUnreachable,
        Code::ProxyWrongScheme,
        Code::ProxyNotExcluded,
        Code::ProxyBypassed,
    ],
    assess,
};

fn assess(case: &Case, reference: &Reference) -> Assessment {
    let mut found = answers::assess(case, reference);
    found.extend(reach::unreachable(case));
    found.extend(scheme::assess(case));
    found.extend(route::bypassed(case, reference));
    Assessment { found, not_assessed: Vec::new() }
}

#[cfg(test)]
mod tests;
