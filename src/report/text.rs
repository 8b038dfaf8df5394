//! The report for a person on call: one screen, the verdict first.

mod artifacts;
mod page;

use std::collections::BTreeMap;

use page::{Ink, Page};

pub use page::Style;

use super::json::{Finding, Outcome, Report, Severity, Subject, Value, Who, Why};
use super::words;

/// Findings beside the cause that are named before the rest is only counted.
const OTHERS: usize = 12;
/// Pieces of evidence that are shown of the cause.
const PROOF: usize = 10;

/// The report as plain text.
#[must_use]
pub fn text(report: &Report, style: Style) -> String {
    let mut page = Page::new(style);
    headline(&mut page, report);
    let (roots, others): (Vec<&Finding>, Vec<&Finding>) =
        report.findings.iter().partition(|finding| finding.root_cause);
    if let Some(cause) = roots.first() {
        explanation(&mut page, report, cause);
    }
    let (echoes, others): (Vec<&Finding>, Vec<&Finding>) =
        others.into_iter().partition(|finding| finding.details.contains_key("consequence_of"));
    brief(&mut page, "Follows from it", &echoes, report);
    brief(&mut page, if roots.is_empty() { "Findings" } else { "Also found" }, &others, report);
    let artifacts = report.artifacts.as_deref().unwrap_or_default();
    artifacts::copies(&mut page, artifacts);
    if report.run.mode == "verify" {
        artifacts::table(&mut page, artifacts);
    }
    blind_spots(&mut page, report);
    footer(&mut page, report);
    page.into_text()
}

/// A paragraph behind a lead, broken to the style's width; no text of a report, but in the same manner.
pub(crate) fn paragraph(lead: &str, text: &str, style: Style) -> String {
    let mut page = Page::new(style);
    page.item(lead, Ink::Plain, text);
    page.into_text()
}

fn headline(page: &mut Page, report: &Report) {
    let verdict = &report.verdict;
    let ink = match verdict.outcome {
        Outcome::Ok => Ink::Good,
        Outcome::Inconclusive | Outcome::NoTraffic => Ink::Warning,
        Outcome::Blocked | Outcome::Misconfigured | Outcome::Upstream => Ink::Bad,
    };
    page.item(&format!("{}: ", words::outcome(verdict.outcome)), ink, &verdict.summary);
    if verdict.who != Who::Unknown {
        page.item("Who can act: ", Ink::Bold, words::who(verdict.who));
    }
    if verdict.outcome == Outcome::NoTraffic {
        let advice = if report.run.mode == "probe" {
            "There was nobody to ask: `--dry-run` shows what would have been asked."
        } else if report.run.mode != "capture" {
            "Record on the machine that runs go, on the interface that it uses (-i any where in doubt), and start before go \
             does."
        } else if report.capture.link_types.is_empty() {
            "No packets were recorded: what the command printed is all there is."
        } else {
            "The command had all that it needed, or was set up to do without the network, or left the download to a \
             daemon or a container."
        };
        page.item("", Ink::Plain, advice);
        if report.capture.flows > 0 {
            let advice = "There is other traffic. If go uses a mirror or a proxy of your own, what go printed (--go-log) or its \
                          environment (--go-env) names it; --all-traffic judges everything.";
            page.item("", Ink::Plain, advice);
        }
    }
}

fn explanation(page: &mut Page, report: &Report, cause: &Finding) {
    let grade =
        format!("{} ({}, {})", cause.code, words::severity(cause.severity), words::confidence(cause.confidence));
    page.item("Cause: ", Ink::Bold, &format!("{grade} at {}", words::place_of(cause)));
    page.item("       ", Ink::Plain, &cause.summary);
    if let Some(error) = &cause.go_error {
        let line = cause.evidence.iter().find(|item| item.note == *error).and_then(|item| item.log.as_ref());
        let line = line.map_or_else(String::new, |log| format!(" (line {} of its output)", log.line));
        page.item("Go said: ", Ink::Bold, &format!("{error}{line}"));
    }
    page.heading("Proof");
    proofs(page, cause, report);
    for filter in words::filters(&cause.evidence, report) {
        page.verbatim("  Wireshark: ", &filter);
    }
    if !cause.excluded.is_empty() || !cause.not_excluded.is_empty() {
        page.heading("Other explanations");
        for item in &cause.excluded {
            page.item("  excluded: ", Ink::Plain, &format!("{} ({})", item.alternative, item.how));
        }
        for item in &cause.not_excluded {
            page.item("  possible: ", Ink::Warning, item);
        }
    }
    if !cause.remedy.is_empty() {
        page.heading("What to do");
        for (index, remedy) in cause.remedy.iter().enumerate() {
            page.item(&format!("  {}. ", index.saturating_add(1)), Ink::Plain, &remedy.text);
            if let Some(command) = &remedy.command {
                page.verbatim("     $ ", command);
            }
        }
    }
}

fn proofs(page: &mut Page, cause: &Finding, report: &Report) {
    let mut groups = words::folded(cause);
    // The most telling come first, and are shown in the order in which they happened.
    let all = groups.len();
    groups.truncate(PROOF);
    groups.sort_by_key(|(first, _)| (first.frame.is_none(), first.file, first.frame));
    for (first, alike) in &groups {
        let role = first.role.replace('_', " ");
        let text = if first.note.is_empty() { role } else { format!("{role}: {}", first.note) };
        page.item(&format!("  {}  ", words::pointer(first, report)), Ink::Faint, &format!("{text}{alike}"));
    }
    more(page, all, PROOF);
}

fn more(page: &mut Page, all: usize, shown: usize) {
    if let Some(rest) = all.checked_sub(shown).filter(|rest| *rest > 0) {
        page.item("  ", Ink::Plain, &format!("… and {rest} more (--format json has all)"));
    }
}

fn brief(page: &mut Page, title: &str, findings: &[&Finding], report: &Report) {
    if findings.is_empty() {
        return;
    }
    page.heading(title);
    for finding in findings.iter().take(OTHERS) {
        let ink = match finding.severity {
            Severity::Critical | Severity::High => Ink::Bad,
            Severity::Medium => Ink::Warning,
            Severity::Low | Severity::Info => Ink::Plain,
        };
        let first = finding.evidence.first().map(|item| words::pointer(item, report)).unwrap_or_default();
        let grade = format!("{}, {}", words::severity(finding.severity), words::confidence(finding.confidence));
        let place = words::place_of(finding);
        page.item(&format!("  {} ", finding.code), ink, &format!("({grade}) {place}: {} [{first}]", finding.summary));
    }
    more(page, findings.len(), OTHERS);
}

fn blind_spots(page: &mut Page, report: &Report) {
    let dropped = report.capture.dropped;
    if report.capture.limits.is_empty() && report.not_assessed.is_empty() && dropped == 0 {
        return;
    }
    page.heading(if report.run.mode == "verify" {
        "What could not be checked"
    } else {
        "What the recording cannot show"
    });
    for limit in &report.capture.limits {
        page.item("  ", Ink::Plain, words::limit(limit));
    }
    if dropped > 0 {
        page.item("  ", Ink::Plain, &format!("The recorder dropped {dropped} packets."));
    }
    for why in [Why::Encrypted, Why::Gap, Why::Truncated, Why::EndOfCapture, Why::NotGiven] {
        let items = report.not_assessed.iter().filter(|item| item.why == why);
        // Many modules may have nothing to be held against: what is missing is said once.
        if why == Why::NotGiven {
            let mut by_note: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for item in items {
                let note = item.note.as_deref().unwrap_or_else(|| words::why(why));
                let name = item.subject.module.clone().unwrap_or_else(|| item.code.to_owned());
                by_note.entry(note).or_default().push(name);
            }
            let some = !by_note.is_empty();
            for (note, names) in by_note {
                page.item("  Not judged: ", Ink::Plain, &format!("{} ({note}).", listed(names)));
            }
            if some {
                let cure = if report.run.mode == "verify" { words::cure(why) } else { words::GO_SUM };
                page.item("  ", Ink::Plain, cure);
            }
            continue;
        }
        // Whatever else is not judged of encrypted certificates, a reader wants to know whose they are.
        let (certificates, others): (Vec<_>, Vec<_>) =
            items.partition(|item| why == Why::Encrypted && item.code.starts_with("cert."));
        let (exchanges, others): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|item| why == Why::Encrypted && item.code.starts_with("http."));
        let place = |subject: &Subject| subject.host.clone().or_else(|| subject.address.clone());
        let whose = listed(certificates.iter().filter_map(|item| place(&item.subject)).collect());
        if !whose.is_empty() {
            let cure =
                if report.verdict.outcome == Outcome::Ok { String::new() } else { format!(" {}", words::cure(why)) };
            page.item("  ", Ink::Plain, &format!("The certificates of {whose}: TLS 1.3 encrypts them.{cure}"));
        }
        let whose = listed(exchanges.iter().filter_map(|item| place(&item.subject)).collect());
        if !whose.is_empty() {
            page.item("  ", Ink::Plain, &format!("What was asked of {whose}, and the answers: TLS encrypts them."));
        }
        // Below TLS nothing more is to be learned from what is said inside of it.
        let inside = |cause: &str| ["cert.", "http.", "artifact."].iter().any(|family| cause.starts_with(family));
        let wanted = report.verdict.outcome != Outcome::Ok && report.verdict.cause.is_none_or(inside);
        if wanted && !(certificates.is_empty() && exchanges.is_empty()) {
            page.item("  ", Ink::Plain, words::KEYS);
        }
        let names = others.iter().map(|item| match place(&item.subject) {
            Some(place) => format!("{} for {place}", item.code),
            None => item.code.to_owned(),
        });
        let names = listed(names.collect());
        if !names.is_empty() {
            let text = format!("{names} ({}). {}", words::why(why), words::cure(why));
            page.item("  Not judged: ", Ink::Plain, &text);
        }
    }
}

/// The first six of several names, once each, and how many more there are.
fn listed(mut names: Vec<String>) -> String {
    names.sort();
    names.dedup();
    let count = names.len();
    names.truncate(6);
    if let Some(rest) = count.checked_sub(names.len()).filter(|rest| *rest > 0) {
        names.push(format!("{rest} more"));
    }
    names.join(", ")
}

fn footer(page: &mut Page, report: &Report) {
    page.blank();
    let artifacts = report.artifacts.as_deref().unwrap_or_default();
    if report.run.mode == "verify" {
        page.item("Given: ", Ink::Faint, &artifacts::summary(artifacts));
        more_of_cause(page, report);
        return;
    }
    if let Some(line) = artifacts::downloads(artifacts) {
        page.item("Downloads: ", Ink::Faint, &line);
    }
    let capture = &report.capture;
    let figures = format!(
        "{} packets, {} TCP connections{}",
        capture.packets,
        capture.flows,
        report.run.go_version.as_ref().map_or_else(String::new, |version| format!(", {version}"))
    );
    // Who asked has no recording, unless one was analysed.
    let recorded = report.run.mode != "probe";
    let files: Vec<&str> = report.run.inputs.iter().map(|input| input.path.as_str()).collect();
    if recorded {
        let text = format!("{}{}{figures}", files.join(", "), if files.is_empty() { "" } else { ": " });
        page.item("Recording: ", Ink::Faint, &text);
    }
    if let Some(reference) = &report.run.reference {
        page.item("Reference: ", Ink::Faint, reference);
    }
    more_of_cause(page, report);
}

fn more_of_cause(page: &mut Page, report: &Report) {
    if let (Some(cause), Some(fingerprint)) = (report.verdict.cause, &report.verdict.fingerprint) {
        page.item("More: ", Ink::Faint, &format!("goprobe explain {cause}   (fingerprint {fingerprint})"));
    }
}

/// A value of `details` in one line.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        Value::List(list) => list.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn a_blocked_run_reads_from_the_verdict_down() {
        let expected = "\
BLOCKED: Somebody on the path resets TLS connections to proxy.golang.org because of the server name.
Who can act: whoever runs the network, or a network on the way
Cause: tls.sni_reset (critical, strong) at proxy.golang.org (142.250.74.113, port 443)
       The connection was reset 4.1 ms after the TLS hello, sooner than the server can answer (34.0
       ms).
Go said: read: connection reset by peer

Proof
  frame 41 (+1.203 s)  client hello: names proxy.golang.org
  frame 42 (+1.207 s)  forged reset: IP TTL 118, server's is 53
  go's output, line 2  go output: go: … read: connection reset by peer
  Wireshark: frame.number in {41, 42}
  Wireshark: tcp.stream eq 3

Other explanations
  excluded: the server resets every connection (SNI www.google.com completed at the same address,
            frame 97)
  possible: large ClientHello not tolerated

What to do
  1. Use a mirror that is not blocked.
     $ go env -w GOPROXY=https://goproxy.cn,direct
  2. Ask whoever runs the network to let the name pass.

Follows from it
  tls.sni_closed (high, moderate) proxy.golang.org (142.250.74.113, port 443): A reply in the name
      of the same address was forged. [frame 60 (+2.000 s)]

Also found
  cert.misordered_chain (low, proven) goproxy.io (43.152.12.7, port 443): The intermediate stands
      before the leaf's issuer. [frame 80 (+2.500 s)]

What the recording cannot show
  Packets are cut by the snap length (record with -s 0).
  The certificates of sum.golang.org: TLS 1.3 encrypts them. What go printed (--go-log) narrows it
  down.

Recording: a.pcapng: 412 packets, 7 TCP connections, go1.27.3
More: goprobe explain tls.sni_reset   (fingerprint FINGERPRINT)
";
        let report = samples::blocked();
        let expected = expected.replace("FINGERPRINT", report.verdict.fingerprint.as_ref().unwrap());
        // `item` folds runs of spaces inside a text.
        let expected = expected.replace("reset   (", "reset (");
        let shown = text(&report, Style::default());
        assert_eq!(shown, expected, "\n{shown}");
    }

    #[test]
    fn nothing_at_all_is_said_plainly() {
        let shown = text(&samples::nothing(), Style::default());
        assert!(shown.starts_with("NO TRAFFIC: "), "{shown}");
        assert!(!shown.contains("Cause"), "{shown}");
    }

    #[test]
    fn no_line_is_wider_than_asked_unless_it_is_to_be_copied() {
        for width in [40, 60, 100] {
            for line in text(&samples::blocked(), Style { color: false, width }).lines() {
                let copied = line.contains("Wireshark:") || line.contains("$ ") || line.starts_with("More:");
                assert!(page::columns(line) <= width || copied || !line.trim().contains(' '), "{width}: {line}");
            }
        }
    }

    #[test]
    fn hostile_text_drives_no_terminal_and_tells_no_secret() {
        let shown = text(&samples::hostile(), Style::default());
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{shown:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMg"), "{shown}");
        let json = samples::hostile().json().unwrap();
        assert!(!json.contains("hunter2") && !json.contains("aHVudGVyMg"), "{json}");
        assert!(!json.contains("\\u001b") && !json.contains('\u{202e}'), "{json}");
    }
}
