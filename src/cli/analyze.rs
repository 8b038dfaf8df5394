//! `goprobe analyze`: recordings in, report out.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};

use super::args::{Analyze, Facts, Format, ReportOptions};
use super::exit::Exit;
use super::extract::{Extracted, Extraction};
use super::output;
use crate::analyzer::{Analyzer, KeyLog, Options};
use crate::detect;
use crate::diagnosis::{Circumstances, Level, Overrides, diagnose};
use crate::finding::Assessment;
use crate::go::GoRun;
use crate::go::env::GoEnv;
use crate::go::log::GoLog;
use crate::observation::body::Bodies;
use crate::observation::{Case, Recording, Relevance};
use crate::reference::Reference;
use crate::reference::honest::HonestAnswers;
use crate::report::{self, Context, Input, Observations, Report};
use crate::source::{self, Reader, Secrets};
use crate::types::{Span, Timestamp};

/// What was found out about a recording: all that the report is made of.
#[derive(Debug)]
pub(super) struct Examined {
    /// The recordings that were read.
    pub(super) inputs: Vec<Input>,
    /// The facts.
    pub(super) case: Case,
    /// What the detectors say of them.
    pub(super) assessments: Vec<Assessment>,
    /// Whether go was seen, and how it fared.
    pub(super) circumstances: Circumstances,
    /// The command whose run was recorded.
    pub(super) command: Option<Vec<String>>,
    /// `go1.27.3`.
    pub(super) go_version: Option<String>,
    /// Version of the rules in use.
    pub(super) rules_version: String,
    /// Their SHA-256.
    pub(super) rules_sha256: String,
}

pub(super) fn run(args: &Analyze) -> anyhow::Result<Exit> {
    let started = now();
    refuse_unbuilt(args)?;
    let overrides = overrides(&args.report)?;
    let (examined, extracted) = examine(&args.files, &args.facts, args.report.observations, args.extract.as_deref())?;
    let wrong = examined.case.health.wrong_secrets;
    if wrong > 0 && !args.report.quiet {
        output::remark(&format!(
            "goprobe: the key log's secrets do not open {wrong} of the TLS connections they are for"
        ));
    }
    let (data, exit) = present(&examined, &overrides, &args.report, started)?;
    let delivered = output::deliver(&data, args.report.output.as_deref());
    if let Some(Extracted { summary, failure }) = extracted {
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
            advice(&args.facts).iter().for_each(|line| output::remark(line));
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
fn advice(facts: &Facts) -> Option<String> {
    let missing: Vec<&str> = [
        (facts.go_log.is_none(), "--go-log (what go printed)"),
        (facts.go_env.is_none(), "--go-env (text of `go env` and `env`)"),
        (facts.reference.is_none(), "--reference (honest DNS answers)"),
    ]
    .into_iter()
    .filter_map(|(missing, option)| missing.then_some(option))
    .collect();
    (!missing.is_empty()).then(|| format!("goprobe: it may help to give {}", missing.join(", ")))
}

/// From recordings to what the detectors say: source, analyzer, reference and detectors, one after the other. Bodies are
/// written below a folder on the way.
fn examine(
    files: &[PathBuf],
    facts: &Facts,
    keep_all: bool,
    extract: Option<&Path>,
) -> anyhow::Result<(Examined, Option<Extracted>)> {
    let reference = reference(facts)?;
    let go = go_run(facts)?;
    let inputs = source::Input::open_all(files)?;
    let keys = keys(&inputs, &facts.keylog)?;
    let mut reader = Reader::new(&inputs);
    let options = Options { keep_all, judge_all: facts.all_traffic };
    let mut analyzer = Analyzer::new(&reference, go, options).with_keys(keys);
    let extraction = extract.map(Extraction::new).transpose()?.map(|extraction| Rc::new(RefCell::new(extraction)));
    if let Some(extraction) = &extraction {
        analyzer = analyzer.with_bodies(Rc::clone(extraction) as Bodies);
    }
    while let Some(record) = reader.next() {
        analyzer.push(&record);
    }
    let summary = reader.summary();
    let files = Recording {
        dropped: summary.dropped.unwrap_or(0),
        link_types: summary.link_type_names().into_iter().map(std::borrow::Cow::into_owned).collect(),
        paths: inputs.iter().map(|input| input.path().display().to_string()).collect(),
        ..Recording::default()
    };
    let damage = summary.damage.iter().take(8).map(|damage| format!("{} at offset {}", damage.what, damage.offset));
    let case = analyzer.finish(files, damage.collect(), summary.damaged);
    let extracted = extraction.map(|extraction| extraction.borrow_mut().finish());
    let inputs = inputs
        .iter()
        .map(|input| {
            Ok(Input {
                path: input.path().display().to_string(),
                sha256: input.sha256()?.to_owned(),
                bytes: input.bytes(),
            })
        })
        .collect::<Result<Vec<_>, source::Error>>()?;
    let examined = Examined {
        inputs,
        assessments: detect::assess(&case, &reference),
        circumstances: circumstances(&case),
        command: None,
        go_version: case.go.version.map(|version| version.to_string()),
        rules_version: reference.version(),
        rules_sha256: reference.sha256().to_owned(),
        case,
    };
    Ok((examined, extracted))
}

/// The secrets that open TLS: those in the recordings and those of key logs.
fn keys(inputs: &[source::Input], files: &[PathBuf]) -> anyhow::Result<KeyLog> {
    let mut keys = KeyLog::default();
    let mut secrets = Secrets::new(inputs);
    while let Some(secret) = secrets.next() {
        keys.add(secret.key_log);
    }
    for path in files {
        let (bad, sessions) = (keys.bad_lines(), keys.sessions());
        keys.add(&std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?);
        if keys.sessions() == sessions && keys.bad_lines() > bad {
            bail!("{} is no key log in NSS format: not one of its lines is a secret", path.display());
        }
    }
    Ok(keys)
}

/// The rules, with what is known of this case.
fn reference(facts: &Facts) -> anyhow::Result<Reference> {
    let mut reference = match &facts.rules {
        Some(folder) => Reference::with_overlay(folder),
        None => Reference::builtin(),
    }?;
    if let Some(path) = &facts.reference {
        let honest = HonestAnswers::parse(&text(path)?).with_context(|| format!("cannot use {}", path.display()))?;
        reference = reference.with_honest(honest);
    }
    let mut roots = reference.roots().clone();
    for path in &facts.ca {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        roots = roots.with_pem(&bytes).with_context(|| format!("cannot read the roots of {}", path.display()))?;
    }
    Ok(reference.with_roots(roots))
}

/// What is known of the run of go.
fn go_run(facts: &Facts) -> anyhow::Result<GoRun> {
    let log = facts.go_log.as_deref().map(text).transpose()?.map(|text| GoLog::parse(&text));
    let env = facts.go_env.as_deref().map(text).transpose()?.map(|text| GoEnv::parse(&text));
    let version = env.as_ref().and_then(GoEnv::go_version);
    Ok(GoRun { log, env, exit: facts.go_exit, version })
}

fn text(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(crate::go::decode(&bytes))
}

/// Whether go was seen, and how it fared.
fn circumstances(case: &Case) -> Circumstances {
    Circumstances {
        go_traffic: case.lookups.iter().any(|lookup| lookup.relevance > Relevance::Other)
            || case.connections.iter().any(|connection| connection.relevance > Relevance::Other),
        exit_status: case.go.exit,
        errors: case.go.errors().iter().map(|error| error.text.clone()).collect(),
    }
}

/// From what the detectors say to the report in the format asked for, and how to exit.
fn present(
    examined: &Examined,
    overrides: &Overrides,
    options: &ReportOptions,
    started: Timestamp,
) -> anyhow::Result<(String, Exit)> {
    let diagnosis = diagnose(examined.assessments.clone(), &examined.circumstances, overrides);
    let observations = options.observations.then(|| Observations::new(&examined.case, &diagnosis));
    let context = Context {
        mode: "analyze",
        command: examined.command.clone(),
        exit_status: examined.circumstances.exit_status,
        go_version: examined.go_version.clone(),
        inputs: examined.inputs.clone(),
        started,
        finished: now(),
        rules_version: examined.rules_version.clone(),
        rules_sha256: examined.rules_sha256.clone(),
        limits: report::limits(&examined.assessments),
    };
    let report = Report::new(&diagnosis, &examined.case.recording, &context, observations);
    let data = match options.format {
        Format::Json => report.json()?,
        Format::Jsonl => report.json_lines()?,
        Format::Markdown => report::markdown(&report),
        Format::Text => report::text(&report, output::style(options.no_color, options.output.as_deref())),
        Format::Html | Format::Sarif => bail!("this version of goprobe does not have that format yet"),
    };
    Ok((data, Exit::of(&report, options.fail_on.into())))
}

/// Options whose feature is to come are refused where leaving it out would change the answer.
fn refuse_unbuilt(args: &Analyze) -> anyhow::Result<()> {
    let unbuilt = [
        (args.probe, "--probe: the network is not asked yet"),
        (args.report.format == Format::Html, "--format html"),
        (args.report.format == Format::Sarif, "--format sarif"),
    ];
    match unbuilt.into_iter().find(|(given, _)| *given) {
        Some((_, what)) => bail!("version {} does not have {what}", env!("CARGO_PKG_VERSION")),
        None => Ok(()),
    }
}

fn overrides(options: &ReportOptions) -> anyhow::Result<Overrides> {
    let mut overrides = Overrides::default();
    overrides.min_confidence = options.min_confidence.map(Into::into);
    for (names, level) in [(&options.allow, Level::Allow), (&options.warn, Level::Warn), (&options.deny, Level::Deny)] {
        for name in names {
            overrides.add(name, level)?;
        }
    }
    Ok(overrides)
}

/// The real time, for `run.started` and `run.finished` alone.
#[expect(clippy::disallowed_methods, reason = "when goprobe ran is a fact of the run, not of the analysis")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::{Args, Command};
    use crate::report::samples;

    fn args(line: &str) -> Box<Analyze> {
        let words = ["goprobe", "analyze", "a.pcap"].into_iter().chain(line.split_whitespace());
        match Args::try_parse_from(words).unwrap().command {
            Command::Analyze(analyze) => analyze,
            _ => panic!("not analyze"),
        }
    }

    fn shown(line: &str) -> (String, Exit) {
        let args = args(line);
        let diagnosis = samples::diagnosis();
        let found = diagnosis.findings.into_iter().map(|ranked| ranked.finding).collect();
        let examined = Examined {
            inputs: Vec::new(),
            case: samples::case(),
            assessments: vec![Assessment { found, not_assessed: diagnosis.not_assessed }],
            circumstances: Circumstances { go_traffic: true, exit_status: Some(1), errors: Vec::new() },
            command: None,
            go_version: None,
            rules_version: "2026-11-22".to_owned(),
            rules_sha256: "00".to_owned(),
        };
        let overrides = overrides(&args.report).unwrap();
        present(&examined, &overrides, &args.report, Timestamp::from_seconds(0)).unwrap()
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
        assert!(advice(&args("").facts).unwrap().contains("--go-log"));
        assert!(!advice(&args("--go-log l --go-env e").facts).unwrap().contains("--go-log"));
        assert_eq!(advice(&args("--go-log l --go-env e --reference r").facts), None);
    }

    #[test]
    fn unknown_codes_and_unbuilt_features_are_refused() {
        assert!(overrides(&args("--deny tls.no_such").report).is_err());
        for line in ["--probe", "--format html", "--format sarif"] {
            assert!(refuse_unbuilt(&args(line)).is_err(), "{line}");
        }
        refuse_unbuilt(&args("--no-probe --extract x --no-color -q -v --all-traffic --keylog k")).unwrap();
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
