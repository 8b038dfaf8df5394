//! Holds a report against the truth.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::kinds::{follows_from, is_all_that_is_seen_of, is_of};
use crate::truth::{Cause, Truth};

/// What a finding is worth.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Worth {
    /// It names what the truth names, where the truth places it.
    Right,
    /// It names what can be seen of that where TLS is not read: less, and true.
    Part,
    /// It follows from what the truth names.
    Consequence,
    /// Of low severity or none, so that it accuses nobody; or beside a cause that has no code yet.
    Remark,
    /// All else: what the truth denies, and what it does not know of.
    Wrong,
}

/// What a part of the verdict is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    Right,
    /// It says that it does not know, or less than is true.
    Open,
    Wrong,
}

/// A finding and its worth.
pub(crate) struct Said {
    pub(crate) code: String,
    pub(crate) confidence: String,
    pub(crate) worth: Worth,
    pub(crate) host: String,
}

/// A cause of the truth.
pub(crate) struct Known {
    /// Its nearest code, or the truth's word where it has none.
    pub(crate) code: String,
    /// How well it was found.
    pub(crate) found: Option<Worth>,
    pub(crate) has_code: bool,
}

/// A report, judged.
pub(crate) struct Judgement {
    pub(crate) name: String,
    /// Whether the run was read with its TLS secrets, if there are any.
    pub(crate) unread: bool,
    pub(crate) causes: Vec<Known>,
    pub(crate) said: Vec<Said>,
    /// The verdict's cause, outcome, and who can act, each none where the truth does not say.
    pub(crate) cause: Option<Standing>,
    pub(crate) outcome: Option<Standing>,
    pub(crate) who: Option<Standing>,
    pub(crate) verdict: String,
    /// The code of the verdict's cause.
    pub(crate) named: Option<String>,
    /// Frames that the path injected or dropped: how many are evidence of what is right, and which are not.
    pub(crate) acts: (usize, BTreeSet<u64>),
    /// Frames that prove it in the view of the recording's maker, likewise.
    pub(crate) proof: (usize, BTreeSet<u64>),
}

/// Judges the report of a recording, read with its secrets or (`unread`) without those that there are.
pub(crate) fn judge(truth: &Truth, report: &Value, unread: bool) -> Judgement {
    let unseen = unread || !truth.has_keys();
    let findings: Vec<&Value> = report["findings"].as_array().into_iter().flatten().collect();
    let mut evidence = BTreeSet::new();
    let mut said = Vec::new();
    for finding in &findings {
        let worth = worth(truth, finding, unseen);
        if worth <= Worth::Consequence {
            let items = finding["evidence"].as_array().into_iter().flatten();
            evidence.extend(items.filter_map(|item| item["frame"].as_u64()));
        }
        said.push(Said {
            code: text(finding, "code").to_owned(),
            confidence: text(finding, "confidence").to_owned(),
            worth,
            host: text(&finding["subject"], "host").to_owned(),
        });
    }
    let causes = truth.causes.iter().map(|cause| Known {
        code: cause.codes.first().unwrap_or(&cause.label).clone(),
        found: findings.iter().filter_map(|finding| names(cause, finding, unseen)).min(),
        has_code: !cause.codes.is_empty(),
    });
    let cited = |frames: &BTreeSet<u64>| {
        let open: BTreeSet<u64> = frames.difference(&evidence).copied().collect();
        (frames.len().saturating_sub(open.len()), open)
    };
    let proof: BTreeSet<u64> = truth.causes.iter().flat_map(|cause| &cause.proof).copied().collect();
    let verdict = &report["verdict"];
    let (outcome, who, named) = (text(verdict, "outcome"), text(verdict, "who"), verdict["cause"].as_str());
    Judgement {
        name: truth.name.clone(),
        unread,
        cause: truth.causes.iter().all(|cause| !cause.codes.is_empty()).then(|| cause(truth, named, unseen)),
        outcome: one_of(&truth.outcomes, outcome, "inconclusive"),
        who: one_of(&truth.who, who, "unknown"),
        verdict: format!("{outcome}, {}, {who}", named.unwrap_or("no cause")),
        named: named.map(str::to_owned),
        acts: cited(&if truth.causes.is_empty() { BTreeSet::new() } else { truth.acts.clone() }),
        proof: cited(&proof),
        causes: causes.collect(),
        said,
    }
}

fn one_of(right: &[String], said: &str, open: &str) -> Option<Standing> {
    let right: Vec<&String> = right.iter().filter(|right| !right.is_empty()).collect();
    let standing = match said {
        _ if right.iter().any(|right| *right == said) => Standing::Right,
        _ if said == open => Standing::Open,
        _ => Standing::Wrong,
    };
    (!right.is_empty()).then_some(standing)
}

/// No cause is right where nothing is wrong, or nothing that matters.
fn cause(truth: &Truth, named: Option<&str>, unseen: bool) -> Standing {
    let quiet = truth.causes.is_empty()
        || truth.outcomes.iter().any(|outcome| matches!(outcome.as_str(), "ok" | "inconclusive"));
    match named {
        None if quiet => Standing::Right,
        None => Standing::Open,
        Some(code) => match truth.causes.iter().filter_map(|cause| says(cause, code, unseen)).min() {
            Some(Worth::Right) => Standing::Right,
            Some(_) => Standing::Open,
            None => Standing::Wrong,
        },
    }
}

fn worth(truth: &Truth, finding: &Value, unseen: bool) -> Worth {
    let code = text(finding, "code");
    if let Some(worth) = truth.causes.iter().filter_map(|cause| names(cause, finding, unseen)).min() {
        return worth;
    }
    if matches!(text(finding, "severity"), "info" | "low") {
        return Worth::Remark;
    }
    let host = finding["subject"]["host"].as_str();
    let denied = truth.bans.iter().any(|ban| {
        let here = ban.hosts.is_empty() || host.is_some_and(|host| ban.hosts.iter().any(|one| one == host));
        here && is_of(code, &ban.selector)
    });
    // Where nobody has said which code a cause means, only what the truth denies can be told to be wrong.
    if !denied && truth.causes.iter().any(|cause| cause.codes.is_empty()) {
        return Worth::Remark;
    }
    let follows = truth.causes.iter().flat_map(|cause| &cause.codes).any(|cause| follows_from(code, cause));
    if follows && !denied { Worth::Consequence } else { Worth::Wrong }
}

/// Whether, and how well, the finding names this cause at its place.
fn names(cause: &Cause, finding: &Value, unseen: bool) -> Option<Worth> {
    let worth = says(cause, text(finding, "code"), unseen)?;
    let subject = &finding["subject"];
    let (host, address) = (subject["host"].as_str(), subject["address"].as_str());
    let unplaced = (cause.host.is_none() && cause.address.is_none()) || (host.is_none() && address.is_none());
    let same = |said: Option<&str>, known: &Option<String>| said.is_some() && said == known.as_deref();
    (unplaced || same(host, &cause.host) || same(address, &cause.address)).then_some(worth)
}

fn says(cause: &Cause, code: &str, unseen: bool) -> Option<Worth> {
    if cause.codes.iter().any(|right| right == code) {
        return Some(Worth::Right);
    }
    let part = unseen && cause.codes.iter().any(|right| is_all_that_is_seen_of(code, right));
    part.then_some(Worth::Part)
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;
    use crate::truth::Ban;

    fn truth(code: &str) -> Truth {
        let cause = Cause {
            label: "a/kind".to_owned(),
            codes: vec![code.to_owned()],
            host: Some("a.example".to_owned()),
            address: Some("192.0.2.1".to_owned()),
            proof: BTreeSet::from([7]),
        };
        Truth {
            name: "case".to_owned(),
            folder: PathBuf::new(),
            causes: vec![cause],
            bans: vec![Ban { selector: "cert".to_owned(), hosts: Vec::new() }],
            outcomes: vec!["blocked".to_owned()],
            who: vec!["network".to_owned()],
            acts: BTreeSet::from([3, 4]),
        }
    }

    fn judged(truth: &Truth, code: &str, severity: &str, host: &str, frame: u64) -> Judgement {
        let finding = json!({"code": code, "severity": severity, "confidence": "strong", "subject": {"host": host}, "evidence": [{"frame": frame}]});
        judge(
            truth,
            &json!({"findings": [finding], "verdict": {"outcome": "blocked", "cause": code, "who": "unknown"}}),
            true,
        )
    }

    fn worth_of(truth: &Truth, code: &str, severity: &str, host: &str) -> Worth {
        judged(truth, code, severity, host, 3).said[0].worth
    }

    #[test]
    fn a_finding_is_right_only_at_the_host_that_the_truth_names() {
        let truth = truth("tls.sni_reset");
        assert_eq!(worth_of(&truth, "tls.sni_reset", "critical", "a.example"), Worth::Right);
        assert_eq!(worth_of(&truth, "tls.sni_reset", "critical", "b.example"), Worth::Wrong);
        assert_eq!(worth_of(&truth, "tls.sni_closed", "high", "a.example"), Worth::Wrong);
        assert_eq!(worth_of(&truth, "http.not_found", "low", "a.example"), Worth::Remark);
    }

    #[test]
    fn a_consequence_that_the_truth_denies_is_wrong() {
        let mut truth = truth("dns.hijacked_answer");
        assert_eq!(worth_of(&truth, "tcp.connection_refused", "high", "a.example"), Worth::Consequence);
        assert_eq!(worth_of(&truth, "cert.name_mismatch", "high", "a.example"), Worth::Wrong);
        truth.bans.clear();
        assert_eq!(worth_of(&truth, "cert.name_mismatch", "high", "a.example"), Worth::Consequence);
    }

    #[test]
    fn beside_a_kind_without_a_code_only_what_is_denied_is_wrong() {
        let mut truth = truth("");
        truth.causes.iter_mut().for_each(|cause| cause.codes.clear());
        assert_eq!(worth_of(&truth, "tls.sni_reset", "critical", "a.example"), Worth::Remark);
        assert_eq!(worth_of(&truth, "cert.expired", "high", "a.example"), Worth::Wrong);
        assert_eq!(judged(&truth, "tls.sni_reset", "critical", "a.example", 3).cause, None);
    }

    #[test]
    fn less_than_is_true_leaves_the_cause_open() {
        let truth = truth("cert.interception");
        let judgement = judged(&truth, "cert.unknown_authority", "high", "a.example", 3);
        assert_eq!((judgement.said[0].worth, judgement.cause), (Worth::Part, Some(Standing::Open)));
        assert_eq!((judgement.outcome, judgement.who), (Some(Standing::Right), Some(Standing::Open)));
    }

    #[test]
    fn frames_count_as_cited_where_a_finding_that_is_not_wrong_cites_them() {
        let truth = truth("tls.sni_reset");
        let judgement = judged(&truth, "tls.sni_reset", "critical", "a.example", 3);
        assert_eq!((judgement.acts, judgement.proof), ((1, BTreeSet::from([4])), (0, BTreeSet::from([7]))));
        assert_eq!(judged(&truth, "tls.sni_reset", "critical", "b.example", 3).acts.0, 0);
    }
}
