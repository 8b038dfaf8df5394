//! Exit codes.

use std::process::ExitCode;

use crate::report::{Outcome, Report, Severity};

/// How goprobe ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// 0: nothing was found at or above the threshold.
    Clear,
    /// 1: there are findings at or above the threshold.
    Findings,
    /// 2: goprobe could not do it: usage, unreadable input, missing privilege.
    Failed,
    /// 3: nothing was found, but the outcome is inconclusive or there was no traffic.
    Undecided,
}

impl Exit {
    /// The status of the process.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Clear => 0,
            Self::Findings => 1,
            Self::Failed => 2,
            Self::Undecided => 3,
        }
    }

    /// What a report comes to, with the least severity that counts as found.
    pub(super) fn of(report: &Report, threshold: Severity) -> Self {
        if report.findings.iter().any(|finding| finding.severity >= threshold) {
            return Self::Findings;
        }
        match report.verdict.outcome {
            Outcome::Inconclusive | Outcome::NoTraffic => Self::Undecided,
            Outcome::Ok | Outcome::Blocked | Outcome::Misconfigured | Outcome::Upstream => Self::Clear,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn the_threshold_decides_what_counts_as_found() {
        let report = samples::blocked();
        assert_eq!(Exit::of(&report, Severity::Medium), Exit::Findings);
        assert_eq!(Exit::of(&report, Severity::Critical), Exit::Findings);
        let mut mild = report;
        mild.findings.retain(|finding| finding.severity == Severity::Low);
        mild.verdict.outcome = Outcome::Ok;
        assert_eq!(Exit::of(&mild, Severity::Medium), Exit::Clear);
        assert_eq!(Exit::of(&mild, Severity::Low), Exit::Findings);
        mild.verdict.outcome = Outcome::Inconclusive;
        assert_eq!(Exit::of(&mild, Severity::Medium), Exit::Undecided);
        assert_eq!(Exit::of(&samples::nothing(), Severity::Medium), Exit::Undecided);
    }

    #[test]
    fn the_numbers_are_those_of_the_contract() {
        assert_eq!([Exit::Clear, Exit::Findings, Exit::Failed, Exit::Undecided].map(Exit::code), [0, 1, 2, 3]);
    }
}
