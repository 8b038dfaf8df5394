//! From findings to the verdict.

use std::cmp::Reverse;

use super::{Circumstances, Diagnosis, Outcome, Overrides, Ranked, Verdict, Who, fingerprint, precedence, sentence};
use crate::finding::{Assessment, Citation, Code, Confidence, Evidence, Fault, Finding, NotAssessed};
use crate::observation::Veil;

/// Brings what the detectors say into order and names one cause.
///
/// Candidates for the cause are findings of severity medium and above that are not harmless and follow from no other.
/// Among them counts, in this order: whether go died of it; where go failed, whether it had an effect, and where go did not,
/// whether somebody interferes; whether it is known whose fault it is; whether more than one hint speaks for it; how bad it
/// is; how sure it is; and at last the order of [`crate::finding::Code::ALL`].
#[must_use]
pub fn diagnose(assessments: Vec<Assessment>, circumstances: &Circumstances, overrides: &Overrides) -> Diagnosis {
    let Assessment { found, not_assessed } = overrides.apply(assessments);
    let findings = dissolve(merged(found));
    let parents = parents(&findings);
    let order = ranking(&findings, &parents, circumstances);
    let cause = order.first().copied().filter(|index| eligible(&findings, &parents, *index));
    let mut place = vec![0; findings.len()];
    for (position, index) in order.iter().enumerate() {
        if let Some(slot) = place.get_mut(*index) {
            *slot = position;
        }
    }
    let mut slots: Vec<Option<Finding>> = findings.into_iter().map(Some).collect();
    let ranked: Vec<Ranked> = order
        .iter()
        .filter_map(|index| {
            let finding = slots.get_mut(*index)?.take()?;
            let parent = parents.get(*index).copied().flatten();
            Some(Ranked {
                fingerprint: fingerprint::of(&finding),
                root_cause: cause == Some(*index),
                consequence_of: parent.and_then(|parent| place.get(parent).copied()),
                finding,
            })
        })
        .collect();
    let not_assessed = open_questions(not_assessed, &ranked);
    let verdict = verdict(&ranked, &not_assessed, circumstances);
    Diagnosis { verdict, findings: ranked, not_assessed }
}

/// A total order of findings that does not depend on who spoke first.
fn by_content(one: &Finding, other: &Finding) -> std::cmp::Ordering {
    let key = |finding: &Finding| {
        let subject = &finding.subject;
        (
            finding.code,
            (subject.host.clone(), subject.address, subject.port),
            finding.class.clone(),
            Reverse(finding.confidence()),
            Reverse(finding.severity),
            subject.module.clone(),
        )
    };
    key(one)
        .cmp(&key(other))
        .then_with(|| first_citation(one).cmp(&first_citation(other)))
        .then_with(|| one.summary.cmp(&other.summary))
        .then_with(|| format!("{one:?}").cmp(&format!("{other:?}")))
}

/// Whether two findings are about the same thing. Which of several modules is named beside it makes no difference.
fn is_same(one: &Finding, other: &Finding) -> bool {
    let place = |finding: &Finding| (finding.subject.host.clone(), finding.subject.address, finding.subject.port);
    let named = one.subject.host.is_some() || one.subject.address.is_some();
    let same_module = named || one.subject.module == other.subject.module;
    one.code == other.code && place(one) == place(other) && same_module && one.class == other.class
}

/// Sorts, and folds findings about the same thing into the surer one, which keeps all the evidence.
fn merged(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by(by_content);
    let mut merged: Vec<Finding> = Vec::with_capacity(found.len());
    for finding in found {
        match merged.last_mut() {
            Some(last) if is_same(last, &finding) => {
                finding.evidence().iter().cloned().for_each(|evidence: Evidence| last.cite(evidence));
                last.severity = last.severity.max(finding.severity);
                last.go_error = last.go_error.take().or(finding.go_error);
                last.incidental &= finding.incidental;
            }
            _ => merged.push(finding),
        }
    }
    merged
}

/// Takes out the findings that are part of a lie's story, and gives what they cite to the lie.
fn dissolve(findings: Vec<Finding>) -> Vec<Finding> {
    let parents = parents(&findings);
    let causes: Vec<Option<usize>> = (0..findings.len())
        .map(|index| {
            let parent = parents.get(index).copied().flatten()?;
            precedence::dissolves(findings.get(parent)?, findings.get(index)?).then_some(parent)
        })
        .collect();
    let mut slots: Vec<Option<Finding>> = findings.into_iter().map(Some).collect();
    for (index, cause) in causes.iter().enumerate().filter_map(|(index, cause)| Some((index, (*cause)?))) {
        let Some(symptom) = slots.get_mut(index).and_then(Option::take) else { continue };
        if let Some(Some(cause)) = slots.get_mut(cause) {
            symptom.evidence().iter().cloned().for_each(|evidence| cause.cite(evidence));
            cause.go_error = cause.go_error.take().or(symptom.go_error);
        }
    }
    slots.into_iter().flatten().collect()
}

/// For each finding the one that it follows from: by the first line of the table that names a cause, then the better cause.
fn parents(findings: &[Finding]) -> Vec<Option<usize>> {
    let mut parents: Vec<Option<usize>> = vec![None; findings.len()];
    for (index, symptom) in findings.iter().enumerate() {
        let best = findings
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index && !descends(&parents, *other, index))
            .filter_map(|(other, cause)| Some((precedence::explains(cause, symptom)?, weight(cause), other)))
            .min();
        if let Some(slot) = parents.get_mut(index) {
            *slot = best.map(|(_, _, other)| other);
        }
    }
    parents
}

/// Whether `finding` follows from `ancestor` already.
fn descends(parents: &[Option<usize>], mut finding: usize, ancestor: usize) -> bool {
    while let Some(parent) = parents.get(finding).copied().flatten() {
        if parent == ancestor {
            return true;
        }
        finding = parent;
    }
    false
}

/// What makes one cause better than another; less is better.
fn weight(finding: &Finding) -> impl Ord + use<> {
    (
        finding.fault == Fault::Unknown,
        finding.confidence() == Confidence::Weak,
        Reverse(finding.severity),
        Reverse(finding.confidence()),
        finding.code,
    )
}

fn eligible(findings: &[Finding], parents: &[Option<usize>], index: usize) -> bool {
    parents.get(index).copied().flatten().is_none() && findings.get(index).is_some_and(precedence::can_be_cause)
}

/// Indices of the findings in the order in which they are told.
fn ranking(findings: &[Finding], parents: &[Option<usize>], circumstances: &Circumstances) -> Vec<usize> {
    let fatal: Vec<bool> = findings.iter().map(|finding| circumstances.died_of(finding)).collect();
    // What go died of may be the symptom; then it speaks for the cause of it.
    let speaks_for = |index: usize| {
        (0..findings.len())
            .any(|other| fatal.get(other) == Some(&true) && (other == index || descends(parents, other, index)))
    };
    let key = |index: usize, finding: &Finding| {
        let follows = parents.get(index).copied().flatten().is_some();
        let group = match (eligible(findings, parents, index), follows) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        };
        // Where go failed, interference without effect is not why; where it did not, interference is what is left to tell.
        let beside = match circumstances.failed() {
            true => precedence::had_no_effect(finding),
            false => finding.fault != Fault::Interference,
        };
        (group, !speaks_for(index), beside, weight(finding), index)
    };
    let mut keys: Vec<_> = findings.iter().enumerate().map(|(index, finding)| key(index, finding)).collect();
    keys.sort();
    keys.into_iter().map(|(_, _, _, _, index)| index).collect()
}

impl Circumstances {
    /// Whether the finding explains an error that go gave up with.
    fn died_of(&self, finding: &Finding) -> bool {
        let Some(text) = finding.go_error.as_deref().filter(|text| !text.is_empty()) else { return false };
        self.failed()
            && (self.errors.is_empty()
                || self.errors.iter().any(|error| error.contains(text) || text.contains(error.as_str())))
    }
}

/// Sorted, once each, and without what was found after all.
fn open_questions(mut items: Vec<NotAssessed>, ranked: &[Ranked]) -> Vec<NotAssessed> {
    items.retain(|item| {
        let asked = &item.subject;
        !ranked.iter().map(|known| &known.finding).any(|known| {
            let same_address = asked.host.is_some() || asked.address == known.subject.address;
            let same_module = asked.module.is_none() || asked.module == known.subject.module;
            known.code == item.code && known.subject.host == asked.host && same_address && same_module
        })
    });
    items.sort();
    items.dedup();
    items
}

fn verdict(ranked: &[Ranked], not_assessed: &[NotAssessed], circumstances: &Circumstances) -> Verdict {
    if let Some(cause) = ranked.iter().find(|ranked| ranked.root_cause) {
        // A single hint in a recording with gaps names a suspect, not somebody who must act. Copies leave nothing out.
        let gaps = ranked
            .iter()
            .any(|ranked| ranked.finding.code.family() == "capture" && ranked.finding.code != Code::CaptureDuplicated);
        let (outcome, who) = match cause.finding.confidence() {
            Confidence::Weak if gaps => Fault::Unknown.verdict(),
            _ => cause.finding.fault.verdict(),
        };
        return Verdict {
            outcome,
            cause: Some(cause.finding.code),
            who,
            fingerprint: Some(cause.fingerprint.clone()),
            summary: sentence::of(&cause.finding, &hosts(cause, ranked), circumstances.exit_status == Some(0)),
        };
    }
    // Encryption alone leaves no doubt where go succeeded or at least did not complain, and neither does a download without
    // a record beside it; a recording with holes does.
    let holes = not_assessed.iter().any(|item| !matches!(item.veil, Veil::Encrypted | Veil::NotGiven));
    let unexplained;
    let (outcome, summary) = if !circumstances.go_traffic {
        let unseen = "No traffic of the go command is in the recording, and nothing local explains why";
        unexplained = match circumstances.errors.last() {
            Some(error) => format!("{unseen}; go said: {error}"),
            None => format!("{unseen}."),
        };
        (Outcome::NoTraffic, unexplained.as_str())
    } else if circumstances.failed() && !answered(ranked, circumstances) {
        unexplained = match circumstances.errors.last() {
            Some(error) => format!("The go command failed, and the recording does not show why; go said: {error}"),
            None => "The go command failed, and the recording does not show why.".to_owned(),
        };
        (Outcome::Inconclusive, unexplained.as_str())
    } else if circumstances.exit_status.is_none() && holes {
        (Outcome::Inconclusive, "Nothing wrong was found, but the recording does not show everything that matters.")
    } else if ranked.iter().any(|ranked| {
        ranked.finding.fault == Fault::Harmless && ranked.finding.severity >= crate::finding::Severity::Medium
    }) {
        (
            Outcome::Ok,
            "The downloads of the go command are not hindered, though something handles its traffic on the way.",
        )
    } else {
        (Outcome::Ok, "The traffic of the go command was seen, and nothing that matters is wrong with it.")
    };
    Verdict { outcome, cause: None, who: Who::Unknown, fingerprint: None, summary: summary.to_owned() }
}

/// Whether go gave up for what a service rightly said, such as that it does not have the version.
fn answered(ranked: &[Ranked], circumstances: &Circumstances) -> bool {
    ranked.iter().map(|ranked| &ranked.finding).any(|finding| {
        finding.code == Code::HttpNotFound && finding.confidence() > Confidence::Weak && circumstances.died_of(finding)
    })
}

/// The hosts of all findings that tell the same as the cause, its own first.
fn hosts<'r>(cause: &'r Ranked, ranked: &'r [Ranked]) -> Vec<&'r str> {
    let same = |other: &&Ranked| {
        other.consequence_of.is_none()
            && (other.finding.code, other.finding.fault) == (cause.finding.code, cause.finding.fault)
    };
    let mut hosts: Vec<&str> = Vec::new();
    for host in
        std::iter::once(cause).chain(ranked.iter().filter(same)).filter_map(|it| it.finding.subject.host.as_deref())
    {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

fn first_citation(finding: &Finding) -> (u8, Option<crate::types::Moment>, String) {
    match finding.evidence().first().map(|evidence| &evidence.citation) {
        Some(Citation::Frame { at, .. }) => (0, Some(*at), String::new()),
        Some(other) => (1, None, format!("{other:?}")),
        None => (2, None, String::new()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::diagnosis::Level;
    use crate::finding::{Severity, Subject};
    use crate::types::{FrameNo, Moment, Timestamp};

    pub(crate) fn moment(number: u32) -> Moment {
        Moment { time: Timestamp::from_seconds(1_700_000_000), frame: FrameNo { file: 0, number } }
    }

    /// A finding with the fault that the contract's table gives to its code.
    pub(crate) fn finding(code: Code, host: &str, address: &str) -> Finding {
        let fault = match code.family() {
            "dns" | "tcp" | "tls" | "net" | "artifact" => Fault::Interference,
            "cert" => Fault::Server,
            "http" => Fault::Upstream,
            "proxy" => Fault::ProxyUpstream,
            _ => Fault::Client,
        };
        let fault = if code.severity() < Severity::Medium { Fault::Harmless } else { fault };
        let subject =
            Subject { host: Some(host.to_owned()), address: address.parse().ok(), port: Some(443), module: None };
        let evidence = Evidence::frame("packet", moment(1), "");
        Finding::new(code, fault, Confidence::Strong, subject, evidence, code.title())
    }

    const HOST: &str = "proxy.golang.org";
    const TRUE: &str = "142.250.74.113";
    const FALSE: &str = "93.46.8.89";

    fn failed() -> Circumstances {
        Circumstances { go_traffic: true, exit_status: Some(1), errors: Vec::new() }
    }

    fn told(found: Vec<Finding>, circumstances: &Circumstances) -> Diagnosis {
        diagnose(vec![Assessment { found, not_assessed: Vec::new() }], circumstances, &Overrides::default())
    }

    fn codes(diagnosis: &Diagnosis) -> Vec<&'static str> {
        diagnosis.findings.iter().map(|ranked| ranked.finding.code.id()).collect()
    }

    #[test]
    fn one_root_cause_leads_and_its_consequences_follow() {
        let diagnosis = told(
            vec![
                finding(Code::CaptureLossy, HOST, TRUE),
                finding(Code::HttpCaptivePortal, HOST, FALSE),
                finding(Code::DnsHijackedAnswer, HOST, FALSE),
            ],
            &failed(),
        );
        assert_eq!(codes(&diagnosis), ["dns.hijacked_answer", "http.captive_portal", "capture.lossy"]);
        assert_eq!(diagnosis.findings.iter().map(|ranked| ranked.root_cause).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(diagnosis.findings[1].consequence_of, Some(0));
        assert_eq!(diagnosis.findings[2].consequence_of, None);
        assert_eq!(diagnosis.verdict.outcome, Outcome::Blocked);
        assert_eq!(diagnosis.verdict.cause, Some(Code::DnsHijackedAnswer));
        assert_eq!(diagnosis.verdict.fingerprint.as_ref(), Some(&diagnosis.findings[0].fingerprint));
    }

    #[test]
    fn a_single_hint_accuses_nobody_where_the_recording_has_gaps() {
        let mut hint = finding(Code::TlsSniReset, HOST, TRUE);
        hint.set_confidence(Confidence::Weak);
        let whole = told(vec![hint.clone()], &failed()).verdict;
        assert_eq!((whole.outcome, whole.who), (Outcome::Blocked, Who::Network));
        let gaps = told(vec![hint.clone(), finding(Code::CaptureMidstream, HOST, TRUE)], &failed()).verdict;
        assert_eq!((gaps.outcome, gaps.who), (Outcome::Inconclusive, Who::Unknown));
        assert_eq!(gaps.cause, Some(Code::TlsSniReset));
        let twice = told(vec![hint, finding(Code::CaptureDuplicated, HOST, TRUE)], &failed()).verdict;
        assert_eq!((twice.outcome, twice.who), (Outcome::Blocked, Who::Network));
    }

    #[test]
    fn what_go_died_of_outranks_what_it_did_not_report() {
        let mut expired = finding(Code::CertExpired, "sum.golang.org", "142.251.36.17");
        expired.go_error = Some("x509: certificate has expired".to_owned());
        let worse = finding(Code::TlsSniReset, HOST, TRUE);
        let mut circumstances = failed();
        circumstances.errors = vec!["go: x: x509: certificate has expired or is not yet valid".to_owned()];
        assert_eq!(told(vec![worse.clone(), expired.clone()], &circumstances).verdict.cause, Some(Code::CertExpired));
        circumstances.exit_status = Some(0);
        assert_eq!(told(vec![worse, expired], &circumstances).verdict.cause, Some(Code::TlsSniReset));
    }

    #[test]
    fn a_symptom_that_go_died_of_speaks_for_its_cause() {
        let mut mismatch = finding(Code::CertNameMismatch, HOST, FALSE);
        mismatch.go_error = Some("x509: certificate is valid for".to_owned());
        let other = finding(Code::TlsSniReset, "github.com", "140.82.112.3");
        let diagnosis = told(vec![other, finding(Code::DnsHijackedAnswer, HOST, FALSE), mismatch], &failed());
        assert_eq!(diagnosis.verdict.cause, Some(Code::DnsHijackedAnswer));
    }

    #[test]
    fn what_happens_where_a_lie_led_to_is_part_of_the_lie() {
        let mut mismatch = finding(Code::CertNameMismatch, HOST, FALSE);
        mismatch.cite(Evidence::frame("leaf", moment(7), ""));
        let elsewhere = finding(Code::TlsSniReset, HOST, TRUE);
        let diagnosis = told(vec![finding(Code::DnsHijackedAnswer, HOST, FALSE), mismatch, elsewhere], &failed());
        assert_eq!(codes(&diagnosis), ["dns.hijacked_answer", "tls.sni_reset"]);
        assert!(diagnosis.findings[0].finding.evidence().iter().any(|evidence| evidence.role == "leaf"));
        // A denial led nowhere.
        let denial = finding(Code::DnsForgedNxdomain, HOST, "");
        let diagnosis = told(vec![denial, finding(Code::NetAddressBlackhole, HOST, TRUE)], &failed());
        assert_eq!(codes(&diagnosis), ["dns.forged_nxdomain", "net.address_blackhole"]);
    }

    #[test]
    fn interference_that_hindered_nothing_is_still_interference() {
        let lost = finding(Code::DnsInjectedAnswer, HOST, FALSE).with_severity(Severity::Medium);
        let fine = Circumstances { go_traffic: true, exit_status: Some(0), errors: Vec::new() };
        assert_eq!(told(vec![lost.clone()], &fine).verdict.outcome, Outcome::Blocked);
        let mut harmless = lost;
        harmless.fault = Fault::Harmless;
        let verdict = told(vec![harmless], &fine).verdict;
        assert_eq!((verdict.outcome, verdict.cause), (Outcome::Ok, None));
    }

    #[test]
    fn interference_without_effect_is_not_why_go_failed() {
        let lost = finding(Code::TcpResetInjected, HOST, TRUE).with_severity(Severity::Medium);
        let mut alert = finding(Code::TlsServerAlert, HOST, TRUE);
        alert.fault = Fault::Server;
        alert.set_confidence(Confidence::Moderate);
        let both = vec![lost, alert];
        assert_eq!(told(both.clone(), &failed()).verdict.cause, Some(Code::TlsServerAlert));
        let fine = Circumstances { go_traffic: true, exit_status: Some(0), errors: Vec::new() };
        assert_eq!(told(both, &fine).verdict.outcome, Outcome::Blocked);
    }

    #[test]
    fn low_findings_stand_beside_an_ok() {
        let fine = Circumstances { go_traffic: true, exit_status: Some(0), errors: Vec::new() };
        let low = finding(Code::CertMisorderedChain, HOST, TRUE);
        assert_eq!(told(vec![low], &fine).verdict.outcome, Outcome::Ok);
    }

    #[test]
    fn what_is_incidental_never_becomes_the_cause() {
        let mut agent = finding(Code::TlsSniReset, "telemetry.example", "198.51.100.9");
        agent.incidental = true;
        let diagnosis = told(vec![agent], &failed());
        assert_eq!((diagnosis.verdict.outcome, diagnosis.verdict.cause), (Outcome::Inconclusive, None));
        assert_eq!(codes(&diagnosis), ["tls.sni_reset"]);
    }

    #[test]
    fn without_a_cause_the_circumstances_decide() {
        let case = |go_traffic, exit_status, errors: &[&str]| {
            let errors = errors.iter().map(|text| (*text).to_owned()).collect();
            told(Vec::new(), &Circumstances { go_traffic, exit_status, errors }).verdict.outcome
        };
        assert_eq!(case(true, Some(0), &[]), Outcome::Ok);
        assert_eq!(case(true, None, &[]), Outcome::Ok);
        assert_eq!(case(true, Some(1), &[]), Outcome::Inconclusive);
        assert_eq!(case(true, None, &["go: x: EOF"]), Outcome::Inconclusive);
        assert_eq!(case(true, Some(0), &["go: warning"]), Outcome::Ok);
        assert_eq!(case(false, Some(1), &[]), Outcome::NoTraffic);
        assert_eq!(case(false, Some(0), &[]), Outcome::NoTraffic);
    }

    #[test]
    fn a_version_that_does_not_exist_is_nobodys_fault_and_not_a_riddle() {
        let mut missing = finding(Code::HttpNotFound, HOST, TRUE);
        let mut circumstances = failed();
        circumstances.errors = vec!["go: reading https://proxy.golang.org/x: 404 Not Found".to_owned()];
        assert_eq!(told(vec![missing.clone()], &circumstances).verdict.outcome, Outcome::Inconclusive);
        missing.go_error = Some("go: reading https://proxy.golang.org/x: 404 Not Found".to_owned());
        let verdict = told(vec![missing], &circumstances).verdict;
        assert_eq!((verdict.outcome, verdict.cause), (Outcome::Ok, None));
    }

    #[test]
    fn a_local_cause_needs_no_traffic() {
        let mut none = finding(Code::DnsNoResolver, HOST, "");
        none.fault = Fault::Client;
        let verdict = told(vec![none], &Circumstances { exit_status: Some(1), ..Circumstances::default() }).verdict;
        assert_eq!((verdict.outcome, verdict.who), (Outcome::Misconfigured, Who::Client));
    }

    #[test]
    fn holes_leave_a_doubt_and_encryption_does_not() {
        let question = |veil, exit_status| {
            let item = NotAssessed { code: Code::CertExpired, subject: Subject::default(), veil, hint: String::new() };
            let circumstances = Circumstances { go_traffic: true, exit_status, errors: Vec::new() };
            let assessment = Assessment { found: Vec::new(), not_assessed: vec![item.clone(), item] };
            diagnose(vec![assessment], &circumstances, &Overrides::default())
        };
        assert_eq!(question(Veil::Gap, None).verdict.outcome, Outcome::Inconclusive);
        assert_eq!(question(Veil::Gap, Some(0)).verdict.outcome, Outcome::Ok);
        assert_eq!(question(Veil::Encrypted, None).verdict.outcome, Outcome::Ok);
        assert_eq!(question(Veil::Encrypted, None).not_assessed.len(), 1);
        assert_eq!(question(Veil::NotGiven, None).verdict.outcome, Outcome::Ok);
    }

    #[test]
    fn a_finding_about_one_module_answers_no_question_about_another() {
        let module = |name: &str| Subject { module: Some(name.to_owned()), ..Subject::default() };
        let mut found = finding(Code::ArtifactChecksumMismatch, HOST, TRUE);
        found.subject = module("a@v1");
        let item = |name| NotAssessed {
            code: Code::ArtifactChecksumMismatch,
            subject: module(name),
            veil: Veil::NotGiven,
            hint: String::new(),
        };
        let assessment = Assessment { found: vec![found], not_assessed: vec![item("a@v1"), item("b@v1")] };
        let diagnosis = diagnose(vec![assessment], &failed(), &Overrides::default());
        assert_eq!(diagnosis.not_assessed, [item("b@v1")]);
    }

    #[test]
    fn every_fault_has_its_outcome() {
        let expected = [
            (Fault::Interference, Outcome::Blocked, Who::Network),
            (Fault::ProxyPolicy, Outcome::Blocked, Who::Proxy),
            (Fault::Network, Outcome::Misconfigured, Who::Network),
            (Fault::Client, Outcome::Misconfigured, Who::Client),
            (Fault::Server, Outcome::Misconfigured, Who::Server),
            (Fault::ProxyUpstream, Outcome::Upstream, Who::Proxy),
            (Fault::Upstream, Outcome::Upstream, Who::Upstream),
            (Fault::Unknown, Outcome::Inconclusive, Who::Unknown),
        ];
        for (fault, outcome, who) in expected {
            let mut cause = finding(Code::TlsSniReset, HOST, TRUE);
            cause.fault = fault;
            let verdict = told(vec![cause], &failed()).verdict;
            assert_eq!((verdict.outcome, verdict.who), (outcome, who), "{fault:?}");
            assert_eq!(verdict.cause, Some(Code::TlsSniReset));
        }
    }

    #[test]
    fn the_order_of_the_detectors_changes_nothing() {
        let found = vec![
            finding(Code::TlsSniReset, HOST, TRUE),
            finding(Code::TcpResetInjected, HOST, TRUE),
            finding(Code::TlsResidualBlock, HOST, TRUE),
            finding(Code::ArtifactSumdbUnreachable, "sum.golang.org", "142.251.36.17"),
            finding(Code::NetAddressBlackhole, "sum.golang.org", "142.251.36.17"),
            finding(Code::CaptureLossy, HOST, TRUE),
        ];
        let straight = told(found.clone(), &failed());
        let mut turned = found;
        for _ in 0..turned.len() {
            turned.rotate_left(1);
            assert_eq!(told(turned.clone(), &failed()), straight);
            let mut reversed = turned.clone();
            reversed.reverse();
            assert_eq!(told(reversed, &failed()), straight);
        }
    }

    #[test]
    fn the_same_thing_said_twice_is_said_once_with_all_evidence() {
        let one = finding(Code::TlsSniReset, HOST, TRUE);
        let two = finding(Code::TlsSniReset, HOST, TRUE).with_evidence([Evidence::frame("packet", moment(9), "")]);
        let diagnosis = told(vec![one, two], &failed());
        assert_eq!(diagnosis.findings.len(), 1);
        assert_eq!(diagnosis.findings[0].finding.evidence().len(), 2);
    }

    #[test]
    fn an_allowed_cause_leaves_the_stage() {
        let mut overrides = Overrides::default();
        overrides.add("dns", Level::Allow).unwrap();
        let found = vec![finding(Code::DnsHijackedAnswer, HOST, FALSE), finding(Code::CertNameMismatch, HOST, FALSE)];
        let diagnosis = diagnose(vec![Assessment { found, not_assessed: Vec::new() }], &failed(), &overrides);
        assert_eq!(diagnosis.verdict.cause, Some(Code::CertNameMismatch));
    }
}
