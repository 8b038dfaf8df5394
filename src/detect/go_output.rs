//! Ties a finding to the line of go's output that it explains.

use crate::finding::{Evidence, Finding, Severity};
use crate::observation::Case;

/// Sets the go error that a finding explains: the first one about the same host or address.
pub(super) fn tie(finding: &mut Finding, case: &Case) {
    if finding.severity < Severity::Low || finding.go_error.is_some() {
        return;
    }
    let Some(error) = case.go.error_about(finding.subject.host.as_deref(), finding.subject.address) else { return };
    finding.go_error = Some(error.text.clone());
    finding.cite(Evidence::log(error.line, error.text.clone()));
}
