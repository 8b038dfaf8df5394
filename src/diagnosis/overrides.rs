//! What the user wants to hear: `--allow`, `--warn`, `--deny` and `--min-confidence`, applied before the verdict.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::finding::{Assessment, Code, Confidence, Finding, Severity};

/// What becomes of a finding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// It is not reported.
    Allow,
    /// Its severity is low.
    Warn,
    /// Its severity is high at least.
    Deny,
}

impl Level {
    const fn option(self) -> &'static str {
        match self {
            Self::Allow => "--allow",
            Self::Warn => "--warn",
            Self::Deny => "--deny",
        }
    }
}

/// One code, or a family of them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Selector {
    /// That code.
    Code(Code),
    /// All codes before whose dot this stands.
    Family(&'static str),
}

/// Why an override cannot be taken.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverrideError {
    /// No such thing.
    #[error("there is no finding or family of findings named `{0}`; `goprobe explain --all` lists them")]
    Unknown(String),
    /// It is said twice, differently.
    #[error("`{name}` is given to {first} and to {second}")]
    Contradiction {
        /// Code or family.
        name: String,
        /// One option.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
}

impl Selector {
    /// Reads a code (`tls.sni_reset`) or a family (`tls`).
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, OverrideError> {
        if let Some(code) = Code::parse(text) {
            return Ok(Self::Code(code));
        }
        let family = Code::ALL.iter().map(|code| code.family()).find(|family| *family == text);
        family.map(Self::Family).ok_or_else(|| OverrideError::Unknown(text.to_owned()))
    }
}

/// All overrides of a run. What is said of a code beats what is said of its family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    levels: BTreeMap<Selector, Level>,
    /// Findings below this are not reported.
    pub min_confidence: Option<Confidence>,
}

impl Overrides {
    /// Adds one.
    ///
    /// # Errors
    /// When the name is unknown, or was given another level before.
    pub fn add(&mut self, name: &str, level: Level) -> Result<(), OverrideError> {
        match self.levels.insert(Selector::parse(name)?, level) {
            Some(before) if before != level => Err(OverrideError::Contradiction {
                name: name.to_owned(),
                first: before.option(),
                second: level.option(),
            }),
            _ => Ok(()),
        }
    }

    /// What is said of a code.
    #[must_use]
    pub fn level(&self, code: Code) -> Option<Level> {
        self.levels.get(&Selector::Code(code)).or_else(|| self.levels.get(&Selector::Family(code.family()))).copied()
    }

    /// Applies them: some findings go, some change their severity.
    pub(super) fn apply(&self, assessments: Vec<Assessment>) -> Assessment {
        let mut all = Assessment::default();
        for assessment in assessments {
            all.found.extend(assessment.found.into_iter().filter_map(|finding| self.keep(finding)));
            all.not_assessed
                .extend(assessment.not_assessed.into_iter().filter(|item| self.level(item.code) != Some(Level::Allow)));
        }
        all
    }

    fn keep(&self, mut finding: Finding) -> Option<Finding> {
        if self.min_confidence.is_some_and(|least| finding.confidence() < least) {
            return None;
        }
        match self.level(finding.code) {
            Some(Level::Allow) => return None,
            Some(Level::Warn) => finding.severity = Severity::Low,
            Some(Level::Deny) => finding.severity = finding.severity.max(Severity::High),
            None => {}
        }
        Some(finding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::story::tests::finding;

    fn kept(overrides: &Overrides, finding: Finding) -> Option<Severity> {
        overrides.keep(finding).map(|finding| finding.severity)
    }

    #[test]
    fn a_code_beats_its_family() {
        let mut overrides = Overrides::default();
        overrides.add("dns", Level::Allow).unwrap();
        overrides.add("dns.timeout", Level::Deny).unwrap();
        overrides.add("tls", Level::Warn).unwrap();
        let at = |code| finding(code, "h", "192.0.2.1");
        assert_eq!(kept(&overrides, at(Code::DnsServfail)), None);
        assert_eq!(kept(&overrides, at(Code::DnsTimeout)), Some(Severity::High));
        assert_eq!(kept(&overrides, at(Code::TlsSniReset)), Some(Severity::Low));
        assert_eq!(kept(&overrides, at(Code::CertExpired)), Some(Severity::High));
    }

    #[test]
    fn deny_does_not_soften_what_is_critical() {
        let mut overrides = Overrides::default();
        overrides.add("tls.sni_reset", Level::Deny).unwrap();
        assert_eq!(kept(&overrides, finding(Code::TlsSniReset, "h", "192.0.2.1")), Some(Severity::Critical));
    }

    #[test]
    fn what_is_less_sure_than_demanded_goes() {
        let overrides = Overrides { min_confidence: Some(Confidence::Strong), ..Overrides::default() };
        let mut doubtful = finding(Code::TlsSniReset, "h", "192.0.2.1");
        doubtful.set_confidence(Confidence::Moderate);
        assert_eq!(kept(&overrides, doubtful.clone()), None);
        doubtful.set_confidence(Confidence::Strong);
        assert!(kept(&overrides, doubtful).is_some());
    }

    #[test]
    fn unknown_names_and_contradictions_are_refused() {
        let mut overrides = Overrides::default();
        assert_eq!(overrides.add("tls.nothing", Level::Deny), Err(OverrideError::Unknown("tls.nothing".to_owned())));
        overrides.add("tls", Level::Deny).unwrap();
        overrides.add("tls", Level::Deny).unwrap();
        let error = overrides.add("tls", Level::Allow).unwrap_err();
        assert_eq!(error.to_string(), "`tls` is given to --deny and to --allow");
    }
}
