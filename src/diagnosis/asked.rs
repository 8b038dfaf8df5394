//! What a recording shows and what the network says when it is asked become one story.

use crate::finding::{Assessment, Confidence, Exclusion, Fault, Finding, Refutation, Severity};

/// Joins the findings of a recording with those of the answers, and takes back what the answers contradict.
///
/// The same code about the same host is one finding: it keeps the recording's words and place, has the evidence of both, and
/// is as sure as the surer one, if the answers exclude what was left open. What is contradicted stays as a remark, with the
/// reason: an answer of today does not undo what was recorded then, but nobody is accused over it.
#[must_use]
pub fn joined(mut recorded: Vec<Assessment>, asked: Assessment, refuted: &[Refutation]) -> Vec<Assessment> {
    for finding in recorded.iter_mut().flat_map(|assessment| &mut assessment.found) {
        if let Some(refutation) = refuted.iter().find(|refutation| is_about(refutation, finding)) {
            take_back(finding, refutation);
        }
    }
    let mut new = Assessment { found: Vec::new(), not_assessed: asked.not_assessed };
    for finding in asked.found {
        let same = recorded.iter_mut().flat_map(|assessment| &mut assessment.found).find(|known| {
            known.code == finding.code
                && known.subject.host == finding.subject.host
                && (known.subject.host.is_some() || known.subject.address == finding.subject.address)
        });
        match same {
            Some(known) => confirm(known, &finding),
            None => new.found.push(finding),
        }
    }
    recorded.push(new);
    recorded
}

/// The same was found again, on purpose.
fn confirm(known: &mut Finding, asked: &Finding) {
    asked.evidence().iter().cloned().for_each(|evidence| known.cite(evidence));
    for exclusion in &asked.excluded {
        known.not_excluded.retain(|open| *open != exclusion.alternative);
        if !known.excluded.iter().any(|it| it.alternative == exclusion.alternative) {
            known.excluded.push(exclusion.clone());
        }
    }
    // What the answers, whose experiments are meant for it, do not leave open any more is closed.
    if asked.confidence() == Confidence::Proven {
        known.not_excluded.clear();
    }
    if asked.confidence() > known.confidence() {
        known.set_confidence(asked.confidence());
    }
}

fn is_about(refutation: &Refutation, finding: &Finding) -> bool {
    refutation.code == finding.code
        && finding.subject.host.as_deref() == Some(refutation.host.as_str())
        && (refutation.address.is_none() || refutation.address == finding.subject.address)
}

fn take_back(finding: &mut Finding, refutation: &Refutation) {
    finding.set_confidence(Confidence::Weak);
    finding.severity = finding.severity.min(Severity::Low);
    finding.fault = Fault::Harmless;
    finding.excluded.push(Exclusion { alternative: "that it is so".to_owned(), how: refutation.why.clone() });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::story::tests::finding;
    use crate::finding::{Citation, Code, Evidence};
    use crate::observation::probe::ProbeId;

    const HOST: &str = "proxy.golang.org";
    const FALSE: &str = "195.66.10.20";

    fn recorded(confidence: Confidence) -> Vec<Assessment> {
        let mut finding = finding(Code::DnsHijackedAnswer, HOST, FALSE).not_excluding("a mirror");
        finding.set_confidence(confidence);
        vec![Assessment { found: vec![finding], not_assessed: Vec::new() }]
    }

    fn found(assessments: &[Assessment]) -> Vec<&Finding> {
        assessments.iter().flat_map(|assessment| &assessment.found).collect()
    }

    #[test]
    fn what_is_found_again_on_purpose_is_one_finding_and_surer() {
        let mut again =
            finding(Code::DnsHijackedAnswer, HOST, FALSE).excluding("a mirror", "it shows another's certificate");
        again.set_confidence(Confidence::Proven);
        again.cite(Evidence::probe("identity", ProbeId(7), ""));
        let other = finding(Code::DnsHijackedAnswer, "sum.golang.org", FALSE);
        let asked = Assessment { found: vec![again, other], not_assessed: Vec::new() };
        let joined = joined(recorded(Confidence::Moderate), asked, &[]);
        let found = found(&joined);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].confidence(), Confidence::Proven);
        assert!(found[0].evidence().iter().any(|item| item.citation == Citation::Probe(7)));
        assert_eq!(found[1].subject.host.as_deref(), Some("sum.golang.org"));
    }

    #[test]
    fn what_the_answers_contradict_accuses_nobody_and_says_why() {
        let refuted = |address: &str| Refutation {
            code: Code::DnsHijackedAnswer,
            host: HOST.to_owned(),
            address: address.parse().ok(),
            why: "it holds the key (probe 3)".to_owned(),
        };
        let taken = joined(recorded(Confidence::Strong), Assessment::default(), &[refuted(FALSE)]);
        let taken = found(&taken)[0].clone();
        assert_eq!(
            (taken.severity, taken.fault, taken.confidence()),
            (Severity::Low, Fault::Harmless, Confidence::Weak)
        );
        assert!(taken.excluded.iter().any(|it| it.how.contains("probe 3")));
        let kept = joined(recorded(Confidence::Strong), Assessment::default(), &[refuted("192.0.2.1")]);
        assert_eq!(found(&kept)[0].confidence(), Confidence::Strong);
    }
}
