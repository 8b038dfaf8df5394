//! Words that the formats for people share: verdicts, places, pointers to packets, display filters.

use super::json::{Confidence, Evidence, Finding, Outcome, Report, Severity, Subject, Value, Who, Why};

/// Frames named of those that say the same.
const ALIKE: usize = 8;
/// Frames that a display filter names.
const FRAMES: usize = 20;

pub(super) const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "OK",
        Outcome::Blocked => "BLOCKED",
        Outcome::Misconfigured => "MISCONFIGURED",
        Outcome::Upstream => "UPSTREAM",
        Outcome::Inconclusive => "INCONCLUSIVE",
        Outcome::NoTraffic => "NO TRAFFIC",
    }
}

pub(super) const fn who(who: Who) -> &'static str {
    match who {
        Who::Network => "whoever runs the network, or a network on the way",
        Who::Server => "whoever runs the server",
        Who::Proxy => "whoever runs the proxy",
        Who::Client => "the user or administrator of this client",
        Who::Upstream => "the service at the far end; here only waiting or another source helps",
        Who::Unknown => "it cannot be told",
    }
}

pub(super) const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

pub(super) const fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Weak => "weak",
        Confidence::Moderate => "moderate",
        Confidence::Strong => "strong",
        Confidence::Proven => "proven",
    }
}

pub(super) const fn why(why: Why) -> &'static str {
    match why {
        Why::Encrypted => "encrypted",
        Why::Gap => "missing from the recording",
        Why::Truncated => "cut by the snap length",
        Why::EndOfCapture => "outside of the recorded time",
        Why::NotGiven => "nothing was given that it could be held against",
    }
}

/// What would show what is hidden.
pub(super) const fn cure(why: Why) -> &'static str {
    match why {
        Why::Encrypted => "What go printed (--go-log) narrows it down.",
        Why::Gap => "Record both directions, on the client, without loss.",
        Why::Truncated => "Record whole packets (tcpdump -s 0).",
        Why::EndOfCapture => "Start recording before go and stop it after go has ended.",
        Why::NotGiven => {
            "Give what is missing, too: go.sum, the module cache, the checksum database's store (--sumdb); of releases a \
            fresh listing (goprobe rules update), the signature beside them and the key (--signing-key)."
        }
    }
}

/// What downloads in a recording can be held against.
pub(super) const GO_SUM: &str = "The project's go.sum (--go-sum FILE) tells what they should be; `goprobe capture` looks at it, \
    and at the module cache, by itself.";

/// What opens what is encrypted, and where it does not come from: crypto/tls writes secrets to `Config.KeyLogWriter` alone,
/// and the go command sets none.
pub(super) const KEYS: &str = "A key log (--keylog FILE) would show them. The go command writes none (it ignores SSLKEYLOGFILE, \
    unlike its git); a server of your own can, or a tool that reads the secrets from the running go.";

/// What a limit of the recording means.
pub(super) fn limit(limit: &str) -> &str {
    match limit {
        "truncated" => "Packets are cut by the snap length (record with -s 0).",
        "lossy" => "Packets that arrived are missing (record on the client, with a larger buffer).",
        "duplicated" => "Packets were recorded twice; the copies were left out.",
        "midstream" => "Connections are without their start (begin recording before go).",
        "one_sided" => "One direction alone was recorded.",
        "damaged" => "Parts of the recording cannot be read; the rest was used.",
        other => other,
    }
}

/// Host, address, port, module of a subject, as far as they are known.
pub(super) fn place(subject: &Subject) -> String {
    let port = subject.port.map(|port| format!("port {port}"));
    let (name, more) = match (&subject.host, &subject.address, &subject.module) {
        (Some(host), address, module) => (host.as_str(), [address.clone(), port, module.clone()]),
        (None, Some(address), module) => (address.as_str(), [None, port, module.clone()]),
        (None, None, Some(module)) => (module.as_str(), [None, port, None]),
        (None, None, None) => ("this run", [None, port, None]),
    };
    let more: Vec<String> = more.into_iter().flatten().collect();
    if more.is_empty() { name.to_owned() } else { format!("{name} ({})", more.join(", ")) }
}

/// The same of a finding: a file that is no module's has its name.
pub(super) fn place_of(finding: &Finding) -> String {
    match finding.details.get("name") {
        Some(Value::Text(name)) if finding.subject == Subject::default() => name.clone(),
        _ => place(&finding.subject),
    }
}

/// What an item points at: `frame 41 (+1.203 s)`, with the file where there are several.
pub(super) fn pointer(item: &Evidence, report: &Report) -> String {
    if let Some(frame) = item.frame {
        let file = (report.run.inputs.len() > 1)
            .then(|| item.file.and_then(|file| report.run.inputs.get(usize::from(file))))
            .flatten()
            .map_or_else(String::new, |input| format!("{} ", input.path));
        let time = item.time.zip(report.capture.first).map_or_else(String::new, |(time, first)| {
            let nanos = time.0.since(first.0).nanos();
            let sign = if nanos < 0 { '-' } else { '+' };
            let millis = nanos.unsigned_abs() / 1_000_000;
            format!(" ({sign}{}.{:03} s)", millis / 1_000, millis % 1_000)
        });
        return format!("{file}frame {frame}{time}");
    }
    if let Some(log) = item.log {
        return format!("go's output, line {}", log.line);
    }
    if let Some(probe) = item.probe {
        return format!("probe {probe}");
    }
    match (&item.path, &item.variable) {
        (Some(path), _) => format!("file {path}"),
        (None, Some(variable)) => format!("variable {variable}"),
        (None, None) => String::new(),
    }
}

/// The evidence of a finding without the line of go's output that is quoted anyway; what says the same in other frames, but
/// for its figures, is folded into the first of its kind: ` (also frames 23, 24)`.
pub(super) fn folded(finding: &Finding) -> Vec<(&Evidence, String)> {
    let shape = |item: &Evidence| item.note.replace(|c: char| c.is_ascii_digit(), "");
    let mut groups: Vec<(&Evidence, String, Vec<u32>)> = Vec::new();
    for item in &finding.evidence {
        if item.log.is_some() && Some(&item.note) == finding.go_error.as_ref() {
            continue;
        }
        let known = groups.iter_mut().find(|(first, note, _)| {
            first.role == item.role && first.file == item.file && first.log.is_none() && *note == shape(item)
        });
        match (known, item.frame) {
            (Some((_, _, frames)), Some(frame)) => frames.push(frame),
            _ => groups.push((item, shape(item), Vec::new())),
        }
    }
    groups.into_iter().map(|(first, _, frames)| (first, alike(&frames))).collect()
}

fn alike(frames: &[u32]) -> String {
    let shown: Vec<String> = frames.iter().take(ALIKE).map(u32::to_string).collect();
    match (shown.as_slice(), frames.len().saturating_sub(ALIKE)) {
        ([], _) => String::new(),
        ([one], _) => format!(" (also frame {one})"),
        (some, 0) => format!(" (also frames {})", some.join(", ")),
        (some, more) => format!(" (also frames {} and {more} more)", some.join(", ")),
    }
}

/// Wireshark display filters for the frames among the evidence, and for its connection when that is a single one.
///
/// `tcp.stream` counts within one file, so it is given only where there is no more than one.
pub(super) fn filters(evidence: &[Evidence], report: &Report) -> Vec<String> {
    let mut files: Vec<u16> = evidence.iter().filter_map(|item| item.file).collect();
    files.sort_unstable();
    files.dedup();
    let several = report.run.inputs.len() > 1;
    let mut filters = Vec::new();
    for file in files {
        let mut frames: Vec<u32> =
            evidence.iter().filter(|item| item.file == Some(file)).filter_map(|item| item.frame).collect();
        frames.sort_unstable();
        frames.dedup();
        frames.truncate(FRAMES);
        let list: Vec<String> = frames.iter().map(u32::to_string).collect();
        let filter = match list.as_slice() {
            [one] => format!("frame.number == {one}"),
            _ => format!("frame.number in {{{}}}", list.join(", ")),
        };
        let path = report.run.inputs.get(usize::from(file)).filter(|_| several).map(|input| input.path.as_str());
        filters.push(path.map_or_else(|| filter.clone(), |path| format!("{filter}   (in {path})")));
    }
    let mut flows: Vec<u32> = evidence.iter().filter_map(|item| item.flow).collect();
    flows.sort_unstable();
    flows.dedup();
    if let ([flow], false) = (flows.as_slice(), several) {
        filters.push(format!("tcp.stream eq {flow}"));
    }
    filters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;
    use crate::report::{InputFile, LogLine};

    fn frame(number: u32, file: u16, flow: Option<u32>) -> Evidence {
        Evidence { frame: Some(number), file: Some(file), flow, ..Evidence::default() }
    }

    #[test]
    fn filters_name_frames_once_and_the_connection_when_it_is_one() {
        let report = samples::blocked();
        let filters_of = |items: &[Evidence]| filters(items, &report);
        assert_eq!(filters_of(&[frame(7, 0, Some(3))]), ["frame.number == 7", "tcp.stream eq 3"]);
        assert_eq!(
            filters_of(&[frame(9, 0, Some(3)), frame(7, 0, Some(4)), frame(9, 0, None)]),
            ["frame.number in {7, 9}"]
        );
        let log = Evidence { log: Some(LogLine { input: 0, line: 1 }), ..Evidence::default() };
        assert!(filters_of(&[log]).is_empty());
    }

    #[test]
    fn what_says_the_same_is_folded_and_what_go_said_is_not_repeated() {
        let mut finding = samples::blocked().findings.swap_remove(0);
        let item = |number, note: &str| Evidence { role: "reset", note: note.to_owned(), ..frame(number, 0, None) };
        let quoted = LogLine { input: 0, line: 1 };
        finding.go_error = Some("EOF".to_owned());
        finding.evidence = vec![item(7, "5.1 ms early"), item(8, "4.9 ms early"), item(9, "no timestamps")];
        finding.evidence.push(Evidence { log: Some(quoted), note: "EOF".to_owned(), ..Evidence::default() });
        let folded: Vec<(Option<u32>, String)> =
            folded(&finding).into_iter().map(|(first, alike)| (first.frame, alike)).collect();
        assert_eq!(folded, [(Some(7), " (also frame 8)".to_owned()), (Some(9), String::new())]);
        assert_eq!(alike(&[1, 2, 3, 4, 5, 6, 7, 8, 9]), " (also frames 1, 2, 3, 4, 5, 6, 7, 8 and 1 more)");
    }

    #[test]
    fn several_files_have_a_filter_each_and_no_stream() {
        let mut report = samples::blocked();
        report.run.inputs.push(InputFile { path: "b.pcap".to_owned(), sha256: String::new(), bytes: 1 });
        let items = [frame(7, 0, Some(3)), frame(8, 1, Some(3))];
        assert_eq!(filters(&items, &report), ["frame.number == 7   (in a.pcapng)", "frame.number == 8   (in b.pcap)"]);
        assert_eq!(pointer(&items[1], &report), "b.pcap frame 8");
    }

    #[test]
    fn times_before_the_first_frame_are_negative() {
        let report = samples::blocked();
        let mut item = frame(1, 0, None);
        item.time = Some(crate::report::Time(samples::at(1, -1_500).time));
        assert_eq!(pointer(&item, &report), "frame 1 (-1.500 s)");
    }

    #[test]
    fn a_place_is_named_by_what_is_known() {
        assert_eq!(place(&Subject::default()), "this run");
        let subject = Subject { address: Some("2001:db8::1".to_owned()), port: Some(53), ..Subject::default() };
        assert_eq!(place(&subject), "2001:db8::1 (port 53)");
    }
}
