//! The report to be pasted into a ticket.

use std::fmt::Write as _;

use super::json::{Finding, Outcome, Report};
use super::text::value;
use super::words;

/// The report as Markdown (`GitHub`'s dialect). Text from outside is escaped, so that it forms no markup, no HTML, no
/// mention and no link.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut page = String::new();
    let verdict = &report.verdict;
    let _ = writeln!(page, "## goprobe: {}\n\n{}\n", words::outcome(verdict.outcome), escaped(&verdict.summary));
    if verdict.outcome != Outcome::Ok && verdict.cause.is_some() {
        let _ = writeln!(page, "**Who can act:** {}\n", words::who(verdict.who));
    }
    for finding in &report.findings {
        section(&mut page, finding, report);
    }
    if !report.capture.limits.is_empty() || !report.not_assessed.is_empty() {
        let heading =
            if report.run.mode == "verify" { "What could not be checked" } else { "What the recording cannot show" };
        let _ = writeln!(page, "### {heading}\n");
        for limit in &report.capture.limits {
            let _ = writeln!(page, "- {}", words::limit(limit));
        }
        for item in &report.not_assessed {
            let why = words::why(item.why);
            let _ = writeln!(page, "- not judged: `{}` at {}: {why}", item.code, escaped(&words::place(&item.subject)));
        }
        page.push('\n');
    }
    footer(&mut page, report);
    page
}

fn section(page: &mut String, finding: &Finding, report: &Report) {
    let role = if finding.root_cause { " (root cause)" } else { "" };
    let _ = writeln!(page, "### `{}`{role}: {}\n", finding.code, finding.title);
    let _ = writeln!(page, "{}\n", escaped(&finding.summary));
    let (severity, confidence) = (words::severity(finding.severity), words::confidence(finding.confidence));
    let _ = writeln!(page, "- **Where:** {}", escaped(&words::place_of(finding)));
    let _ = writeln!(page, "- **Severity:** {severity}; **confidence:** {confidence}");
    if let Some(error) = &finding.go_error {
        let _ = writeln!(page, "- **Go said:** {}", code(error));
    }
    for (item, alike) in words::folded(finding) {
        let role = item.role.replace('_', " ");
        let note = if item.note.is_empty() { String::new() } else { format!(": {}", escaped(&item.note)) };
        let _ = writeln!(page, "- **Evidence:** {}, {role}{note}{alike}", escaped(&words::pointer(item, report)));
    }
    for filter in words::filters(&finding.evidence, report) {
        let _ = writeln!(page, "- **Wireshark:** {}", code(&filter));
    }
    for item in &finding.excluded {
        let _ = writeln!(page, "- **Excluded:** {} ({})", escaped(&item.alternative), escaped(&item.how));
    }
    for item in &finding.not_excluded {
        let _ = writeln!(page, "- **Not excluded:** {}", escaped(item));
    }
    for (key, item) in &finding.details {
        let _ = writeln!(page, "- {}: {}", escaped(key), escaped(&value(item)));
    }
    for remedy in &finding.remedy {
        let command = remedy.command.as_ref().map_or_else(String::new, |command| format!(" {}", code(command)));
        let _ = writeln!(page, "- **To do:** {}{command}", escaped(&remedy.text));
    }
    let _ = writeln!(page, "- fingerprint `{}`\n", finding.fingerprint);
}

fn footer(page: &mut String, report: &Report) {
    for input in &report.run.inputs {
        let _ = writeln!(page, "- {}: {} bytes, SHA-256 `{}`", escaped(&input.path), input.bytes, input.sha256);
    }
    let version = report.run.go_version.as_ref().map_or_else(String::new, |version| format!(", {}", escaped(version)));
    let (tool, rules) = (report.tool.version, &report.tool.rules.version);
    let _ = writeln!(page, "- goprobe {tool}, rules {}{version}", escaped(rules));
}

/// Text that means itself in Markdown and HTML, and that no ticket system turns into a mention or a link.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.replace("://", ":\u{0}").chars() {
        match c {
            '\u{0}' => safe.push_str("\\/\\/"),
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '@' => safe.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' => {
                safe.push('\\');
                safe.push(c);
            }
            c => safe.push(c),
        }
    }
    safe
}

/// A code span whose fence is longer than any run of backticks inside.
fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.saturating_add(1));
    format!("{fence} {text} {fence}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn a_ticket_has_the_verdict_the_proof_and_the_fingerprint() {
        let report = samples::blocked();
        let page = markdown(&report);
        assert!(page.starts_with("## goprobe: BLOCKED\n"), "{page}");
        assert!(page.contains("### `tls.sni_reset` (root cause): "), "{page}");
        assert!(page.contains("- **Wireshark:** ` frame.number in {41, 42} `"), "{page}");
        assert!(page.contains(report.verdict.fingerprint.as_ref().unwrap()), "{page}");
    }

    #[test]
    fn hostile_text_forms_no_markup() {
        let page = markdown(&samples::hostile());
        let outside: String =
            page.lines().filter(|line| !line.contains("**Go said:**") && !line.contains("**To do:**")).collect();
        assert!(!outside.contains("<script>"), "{page}");
        assert!(!outside.contains("[x](y)") && !outside.contains("http://"), "{page}");
        assert!(!page.contains("hunter2"), "{page}");
    }

    #[test]
    fn a_code_span_cannot_be_left() {
        assert_eq!(code("a"), "` a `");
        assert_eq!(code("a``b"), "``` a``b ```");
    }
}
