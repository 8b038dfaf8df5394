//! `goprobe analyze`: recordings in, report out.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use anyhow::bail;

use super::args::{Analyze, Facts, Format};
use super::examine::{Disk, Examined, examine, now, overrides, present};
use super::exit::Exit;
use super::extract::{Extracted, Extraction};
use super::output;
use super::run_record::RunRecord;
use crate::observation::Relevance;
use crate::observation::body::Bodies;
#[cfg(feature = "probe")]
use crate::probe::Consent;
use crate::source::Input;
use crate::types::Span;

pub(super) fn run(args: &Analyze) -> anyhow::Result<Exit> {
    let started = now();
    refuse_unbuilt(args)?;
    let overrides = overrides(&args.report)?;
    let inputs = Input::open_all(&args.files)?;
    let record = RunRecord::of(&inputs);
    let extraction = args.extract.as_deref().map(Extraction::new).transpose()?;
    let extraction = extraction.map(|extraction| Rc::new(RefCell::new(extraction)));
    let bodies = extraction.as_ref().map(|extraction| Rc::clone(extraction) as Bodies);
    #[cfg_attr(not(feature = "probe"), expect(unused_mut, reason = "only answers of the network change it"))]
    let mut examined =
        examine(&inputs, &args.facts, record.as_ref(), b"", args.report.observations, bodies, Disk::Elsewhere)?;
    let wrong = examined.case.health.wrong_secrets;
    if wrong > 0 && !args.report.quiet {
        output::remark(&format!(
            "goprobe: the key log's secrets do not open {wrong} of the TLS connections they are for"
        ));
    }
    if let Some(age) = examined.age().filter(|age| age.is_days() && !args.report.quiet) {
        output::remark(&format!("goprobe: warning: the reference was {age}"));
    }
    #[cfg(feature = "probe")]
    if args.probe {
        if !args.report.quiet {
            output::remark("goprobe: asked is from this machine and now, not where and when the recording was made");
        }
        let manner = (args.report.quiet, args.report.verbose > 0);
        super::probe::ask_further(&mut examined, &args.facts, Consent::All, &overrides, manner)?;
    }
    let style = output::style(args.report.no_color, args.report.output.as_deref());
    let (data, exit) = present(&examined, &examined.diagnose(&overrides), &args.report, style, started)?;
    let delivered = output::deliver(&data, args.report.output.as_deref());
    if let Some(Extracted { summary, failure }) = extraction.map(|extraction| extraction.borrow_mut().finish()) {
        if !args.report.quiet {
            output::remark(&format!("goprobe: {summary}"));
        }
        failure.map_or(Ok(()), Err)?;
    }
    delivered?;
    if !args.report.quiet {
        if args.report.verbose > 0 {
            account(&examined, now().since(started)).iter().for_each(|line| output::remark(line));
        }
        if exit == Exit::Undecided {
            advice(&args.facts, record.is_some()).iter().for_each(|line| output::remark(line));
        }
    }
    Ok(exit)
}

/// What was read and judged, and how long it took: for `-v`.
fn account(examined: &Examined, took: Span) -> Vec<String> {
    let Examined { inputs, case, .. } = examined;
    let mut lines: Vec<String> = inputs
        .iter()
        .map(|input| format!("read {}: {} bytes, SHA-256 {}", input.path, input.bytes, input.sha256))
        .collect();
    let recording = &case.recording;
    let judged = case.connections.iter().filter(|connection| connection.relevance > Relevance::Other).count();
    lines.push(format!(
        "{} packets, {} TCP connections ({judged} judged), {} DNS questions, {} TLS handshakes, {} plain HTTP exchanges",
        recording.packets,
        recording.flows,
        case.lookups.len(),
        case.handshakes.len(),
        case.exchanges.len()
    ));
    let names = case.lookups.iter().filter(|it| it.relevance > Relevance::Other).map(|it| it.name.as_str());
    let servers = case.connections.iter().filter(|it| it.relevance > Relevance::Other).flat_map(|it| &it.names);
    let hosts: BTreeSet<&str> = names.chain(servers.map(String::as_str)).collect();
    lines.push(format!(
        "judged hosts: {}",
        if hosts.is_empty() { "none".to_owned() } else { Vec::from_iter(hosts).join(", ") }
    ));
    lines.push(format!("rules {}, SHA-256 {}", examined.rules_version, examined.rules_sha256));
    lines.push(format!("took {} ms", took.nanos() / 1_000_000));
    lines
}

/// What the user could add where nothing was decided.
fn advice(facts: &Facts, recorded: bool) -> Option<String> {
    let missing: Vec<&str> = [
        (facts.go_log.is_none() && !recorded, "--go-log (what go printed)"),
        (facts.go_env.is_none() && !recorded, "--go-env (text of `go env` and `env`)"),
        (facts.reference.is_none(), "--reference (honest DNS answers)"),
    ]
    .into_iter()
    .filter_map(|(missing, option)| missing.then_some(option))
    .collect();
    (!missing.is_empty()).then(|| format!("goprobe: it may help to give {}", missing.join(", ")))
}

/// Options whose feature is to come are refused where leaving it out would change the answer.
fn refuse_unbuilt(args: &Analyze) -> anyhow::Result<()> {
    let unbuilt = [
        (args.probe && !cfg!(feature = "probe"), "--probe: it was built without"),
        (args.report.format == Format::Html, "--format html"),
        (args.report.format == Format::Sarif, "--format sarif"),
    ];
    match unbuilt.into_iter().find(|(given, _)| *given) {
        Some((_, what)) => bail!("version {} does not have {what}", env!("CARGO_PKG_VERSION")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::{Args, Command};
    use crate::diagnosis::Circumstances;
    use crate::finding::Assessment;
    use crate::report::{Style, samples};
    use crate::types::Timestamp;

    fn args(line: &str) -> Box<Analyze> {
        let words = ["goprobe", "analyze", "a.pcap"].into_iter().chain(line.split_whitespace());
        match Args::try_parse_from(words).unwrap().command {
            Command::Analyze(analyze) => analyze,
            _ => panic!("not analyze"),
        }
    }

    fn examined() -> Examined {
        let diagnosis = samples::diagnosis();
        let found = diagnosis.findings.into_iter().map(|ranked| ranked.finding).collect();
        Examined {
            mode: "analyze",
            inputs: Vec::new(),
            case: samples::case(),
            assessments: vec![Assessment { found, not_assessed: diagnosis.not_assessed }],
            circumstances: Circumstances { go_traffic: true, exit_status: Some(1), errors: Vec::new() },
            command: None,
            go_version: None,
            rules_version: "2026-11-22".to_owned(),
            rules_sha256: "00".to_owned(),
            reference_asked: None,
        }
    }

    fn shown(line: &str) -> (String, Exit) {
        let args = args(line);
        let examined = examined();
        let overrides = overrides(&args.report).unwrap();
        let style = Style { color: false, width: 100 };
        present(&examined, &examined.diagnose(&overrides), &args.report, style, Timestamp::from_seconds(0)).unwrap()
    }

    #[test]
    fn each_format_carries_the_cause() {
        for format in ["text", "json", "jsonl", "markdown"] {
            let (data, exit) = shown(&format!("--format {format}"));
            assert!(data.contains("tls.sni_reset"), "{format}: {data}");
            assert_eq!(exit, Exit::Findings);
        }
    }

    #[test]
    fn observations_are_written_when_asked_for() {
        let of = |line| serde_json::from_str::<serde_json::Value>(&shown(line).0).unwrap()["observations"].clone();
        assert!(of("--format json").is_null());
        assert_eq!(of("--format json --observations")["lookups"][0]["type"], "A");
    }

    #[test]
    fn overrides_change_verdict_and_exit() {
        let (data, exit) = shown("--format json --allow tls");
        assert!(!data.contains("tls.sni_reset"));
        assert_eq!(exit, Exit::Undecided);
        assert_eq!(shown("--allow tls --fail-on low").1, Exit::Findings);
        assert_eq!(shown("--warn tls --fail-on medium").1, Exit::Undecided);
    }

    #[test]
    fn an_undecided_run_asks_for_what_was_not_given() {
        assert!(advice(&args("").facts, false).unwrap().contains("--go-log"));
        assert!(!advice(&args("--go-log l --go-env e").facts, false).unwrap().contains("--go-log"));
        assert_eq!(advice(&args("--go-log l --go-env e --reference r").facts, false), None);
    }

    #[test]
    fn unknown_codes_and_unbuilt_features_are_refused() {
        assert!(overrides(&args("--deny tls.no_such").report).is_err());
        for line in ["--format html", "--format sarif"] {
            assert!(refuse_unbuilt(&args(line)).is_err(), "{line}");
        }
        refuse_unbuilt(&args("--no-probe --extract x --no-color -q -v --all-traffic --keylog k")).unwrap();
    }

    #[test]
    fn the_age_of_a_reference_is_told_in_its_unit() {
        let mut examined = examined();
        let first = Timestamp::from_seconds(1_795_341_600);
        examined.case.recording.first = Some(first);
        let mut said = |minutes: i64| {
            examined.reference_asked = Some(Timestamp::from_nanos(first.nanos() + minutes * 60_000_000_000));
            examined.age().unwrap().to_string()
        };
        assert!(said(0).contains("the same minute"));
        assert!(said(-90).ends_with("90 minutes before the recording begins"));
        assert!(said(60 * 30).contains("30 hours after the recording begins; names may"));
        assert!(said(60 * 24 * 40).contains("40 days after"));
        let args = args("");
        let overrides = overrides(&args.report).unwrap();
        let said = |style| {
            present(&examined, &examined.diagnose(&overrides), &args.report, style, Timestamp::from_seconds(0))
                .unwrap()
                .0
        };
        let text = said(Style { color: false, width: 200 });
        assert!(text.contains("\nReference: asked 40 days after the recording begins"), "{text}");
    }

    #[test]
    fn the_same_input_gives_the_same_bytes_but_for_the_clock() {
        let without_clock = || {
            let mut document: serde_json::Value =
                serde_json::from_str(&shown("--format json --observations").0).unwrap();
            document["run"]["started"] = serde_json::Value::Null;
            document["run"]["finished"] = serde_json::Value::Null;
            document.to_string()
        };
        assert_eq!(without_clock(), without_clock());
    }
}
