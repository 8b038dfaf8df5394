//! What a recording shows and what the network says when it is asked become one story.

use crate::finding::{Assessment, Confidence, Exclusion, Fault, Finding, Refutation, Severity};

/// Joins the findings of a recording with those of the answers, and takes back what the answers contradict.
///
/// The same code about the same host is one finding: it keeps the recording's words and place, has the evidence of both, and
/// is as sure as the surer one, if the answers exclude what was left open. What is contradicted stays as a remark, with the
/// reason, as long as the recording's own evidence is strong: an answer of today does not undo what was recorded then.
#[must_use]
pub fn joined(mut recorded: Vec<Assessment>, asked: Assessment, refuted: &[Refutation]) -> Vec<Assessment> {
    for assessment in &mut recorded {
        assessment.found.retain_mut(|finding| {
            let about = refuted.iter().find(|refutation| is_about(refutation, finding));
            about.is_none_or(|refutation| survives(finding, refutation))
        });
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

/// Whether anything of a contradicted finding is left.
fn survives(finding: &mut Finding, refutation: &Refutation) -> bool {
    if finding.confidence() < Confidence::Strong {
        return false;
    }
    finding.set_confidence(Confidence::Weak);
    finding.severity = finding.severity.min(Severity::Low);
    finding.fault = Fault::Harmless;
    finding.excluded.push(Exclusion { alternative: "that it still is so".to_owned(), how: refutation.why.clone() });
    true
}
