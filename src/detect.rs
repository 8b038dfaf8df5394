//! Facts held against the reference: every detector is a pure function from a [`Case`] to an [`Assessment`].
//!
//! No detector reads another's findings, parses bytes, or does I/O. Adding a finding is one file here, one line in
//! [`ALL`], a [`Code`] and its explanation. What is the cause and what its consequence is told in [`crate::diagnosis`].

mod artifact;
pub mod asked;
mod attempt;
mod capture;
mod cert;
mod dns;
mod go_output;
mod http;
mod net;
mod proxy;
mod subject;
mod tcp;
mod tls;
mod trust;

use crate::finding::{Assessment, Code};
use crate::observation::Case;
use crate::reference::Reference;

/// One detector: the codes it can give and the function that gives them.
pub struct Detector {
    /// Every code that `assess` may find or decline to judge.
    pub codes: &'static [Code],
    /// Pure: the same case and reference give the same assessment.
    pub assess: fn(&Case, &Reference) -> Assessment,
}

/// All detectors. Their order means nothing.
pub const ALL: &[Detector] = &[
    capture::DETECTOR,
    dns::DETECTOR,
    net::DETECTOR,
    tcp::DETECTOR,
    tls::DETECTOR,
    cert::DETECTOR,
    proxy::DETECTOR,
    http::DETECTOR,
    artifact::DETECTOR,
];

/// What all detectors say, each finding tied to the line of go's output that it explains.
#[must_use]
pub fn assess(case: &Case, reference: &Reference) -> Vec<Assessment> {
    let mut assessments: Vec<Assessment> = ALL.iter().map(|detector| (detector.assess)(case, reference)).collect();
    for finding in assessments.iter_mut().flat_map(|assessment| &mut assessment.found) {
        go_output::tie(finding, case);
        subject::doubt_address(finding, case, reference);
    }
    assessments
}
