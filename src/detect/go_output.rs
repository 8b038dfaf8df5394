//! Ties a finding to the line of go's output that it explains.

use crate::finding::{Evidence, Finding, Severity};
use crate::observation::Case;

/// Sets the go error that a finding explains: the first one about the same host or address. Where that error is about the
/// finding's host, the module that it names is the one that was wanted.
pub(super) fn tie(finding: &mut Finding, case: &Case) {
    if finding.severity >= Severity::Low
        && finding.go_error.is_none()
        && let Some(error) = case.go.error_about(finding.subject.host.as_deref(), finding.subject.address)
    {
        finding.go_error = Some(error.text.clone());
        finding.cite(Evidence::log(error.line, error.text.clone()));
    }
    if finding.subject.module.is_none()
        && let Some(text) = &finding.go_error
        && let Some(error) = case.go.errors().iter().find(|error| error.text == *text)
        && error.host.is_some()
        && error.host == finding.subject.host
    {
        finding.subject.module.clone_from(&error.module);
    }
}
