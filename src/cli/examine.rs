//! From recordings to a report: what `analyze` and `capture` have in common.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};

use super::args::{Facts, Format, ReportOptions, Threshold};
use super::downloads;
use super::exit::Exit;
use super::run_record::RunRecord;
use crate::analyzer::{Analyzer, KeyLog, Options};
use crate::artifact::collect::Inventory;
use crate::artifact::download::Downloads;
use crate::artifact::recorded;
use crate::detect;
use crate::diagnosis::{Circumstances, Diagnosis, Level, Overrides, diagnose};
use crate::finding::Assessment;
use crate::go::GoRun;
use crate::go::env::GoEnv;
use crate::go::log::GoLog;
use crate::observation::body::{Bodies, Several};
use crate::observation::probe::Told;
use crate::observation::{Case, Recording, Relevance};
use crate::reference::Reference;
use crate::reference::honest::HonestAnswers;
use crate::report::{self, ArtifactRecord, Context, Input, Observations, Report, Style};
use crate::source::{self, Reader, Secrets};
use crate::types::{Span, Timestamp};

/// What was found out about a recording: all that the report is made of.
#[derive(Debug)]
pub(super) struct Examined {
    /// The subcommand.
    pub(super) mode: &'static str,
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
    /// When the honest answers in use were asked for.
    pub(super) reference_asked: Option<Timestamp>,
}

/// Where the disk is that go downloaded to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Disk {
    /// On this machine, and as go left it.
    #[cfg(all(feature = "capture", target_os = "linux"))]
    Here,
    /// Nobody knows.
    Elsewhere,
}

/// From recordings to what the detectors say: source, analyzer, reference and detectors, one after the other.
pub(super) fn examine(
    inputs: &[source::Input],
    facts: &Facts,
    record: Option<&RunRecord>,
    key_log: &[u8],
    keep_all: bool,
    bodies: Option<Bodies>,
    disk: Disk,
) -> anyhow::Result<Examined> {
    let reference = reference(facts)?;
    let mut go = go_run(facts)?;
    if let Some(record) = record {
        record.complete(&mut go);
    }
    let mut keys = keys(inputs, &facts.keylog)?;
    keys.add(key_log);
    let mut reader = Reader::new(inputs);
    let options = Options { keep_all, judge_all: facts.all_traffic };
    let mut analyzer = Analyzer::new(&reference, go, options)
        .with_keys(keys)
        .with_owners(record.map(RunRecord::owners).unwrap_or_default());
    let downloads = Rc::new(RefCell::new(Downloads::default()));
    let sinks = bodies.into_iter().chain([Rc::clone(&downloads) as Bodies]).collect();
    analyzer = analyzer.with_bodies(Rc::new(RefCell::new(Several::new(sinks))));
    while let Some(record) = reader.next() {
        analyzer.push(&record);
    }
    let summary = reader.summary();
    let files = Recording {
        dropped: summary.dropped.unwrap_or(0),
        stopped: record.and_then(RunRecord::stopped),
        link_types: summary.link_type_names().into_iter().map(std::borrow::Cow::into_owned).collect(),
        paths: inputs.iter().map(|input| input.path().display().to_string()).collect(),
        ..Recording::default()
    };
    let damage = summary.damage.iter().take(8).map(|damage| format!("{} at offset {}", damage.what, damage.offset));
    let mut case = analyzer.finish(files, damage.collect(), summary.damaged);
    let downloaded = downloads.borrow_mut().finish(&case);
    let mut inventory = match case.go.env.as_ref().filter(|_| disk != Disk::Elsewhere) {
        Some(env) => downloads::beside(&downloaded, env, &case.go),
        None => Inventory::default(),
    };
    if !downloaded.is_empty() {
        inventory.go_sums.extend(facts.go_sum.iter().cloned());
    }
    recorded::verify(&mut case, downloaded, &inventory, &reference)?;
    Ok(Examined {
        mode: "analyze",
        inputs: described(inputs)?,
        assessments: detect::assess(&case, &reference),
        circumstances: circumstances(&case),
        command: record.map(|record| record.command.clone()),
        go_version: case.go.version.map(|version| version.to_string()),
        rules_version: reference.version(),
        rules_sha256: reference.sha256().to_owned(),
        reference_asked: reference.honest().asked,
        case,
    })
}

/// The recordings as the report names them.
pub(super) fn described(inputs: &[source::Input]) -> Result<Vec<Input>, source::Error> {
    let described = inputs.iter().map(|input| {
        Ok(Input { path: input.path().display().to_string(), sha256: input.sha256()?.to_owned(), bytes: input.bytes() })
    });
    described.collect()
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

/// Whether what is given of a case can be read, before it comes to it.
#[cfg(all(feature = "capture", target_os = "linux"))]
pub(super) fn facts(facts: &Facts) -> anyhow::Result<()> {
    reference(facts)?;
    go_run(facts)?;
    keys(&[], &facts.keylog)?;
    Ok(())
}

/// The rules, with what is known of this case.
pub(super) fn reference(facts: &Facts) -> anyhow::Result<Reference> {
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
pub(super) fn go_run(facts: &Facts) -> anyhow::Result<GoRun> {
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
pub(super) fn circumstances(case: &Case) -> Circumstances {
    Circumstances {
        go_traffic: case.lookups.iter().any(|lookup| lookup.relevance > Relevance::Other)
            || case.connections.iter().any(|connection| connection.relevance > Relevance::Other)
            || case.probes.iter().any(|probe| !matches!(probe.told, Told::Skipped { .. })),
        exit_status: case.go.exit,
        errors: case.go.errors().iter().map(|error| error.text.clone()).collect(),
    }
}

impl Examined {
    /// How old the honest answers are beside the recording.
    pub(super) fn age(&self) -> Option<Age> {
        Some(Age(self.reference_asked?.since(self.case.recording.first?)))
    }

    /// What it all comes to.
    pub(super) fn diagnose(&self, overrides: &Overrides) -> Diagnosis {
        diagnose(self.assessments.clone(), &self.circumstances, overrides)
    }
}

/// From the recording's first packet to the moment when the reference was asked.
#[derive(Clone, Copy)]
pub(super) struct Age(Span);

impl Age {
    const fn minutes(self) -> i64 {
        self.0.abs().nanos() / 60_000_000_000
    }

    /// Answers of another day tell less: names get other addresses.
    pub(super) const fn is_days(self) -> bool {
        self.minutes() >= 1_440
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = if self.0.nanos() >= 0 { "after" } else { "before" };
        match self.minutes() {
            0 => return f.write_str("asked in the same minute as the recording begins"),
            minutes @ 1..=119 => write!(f, "asked {minutes} minutes {when} the recording begins")?,
            minutes @ 120..=2_879 => write!(f, "asked {} hours {when} the recording begins", minutes / 60)?,
            minutes => write!(f, "asked {} days {when} the recording begins", minutes / 1_440)?,
        }
        if self.is_days() { f.write_str("; names may have got other addresses meanwhile") } else { Ok(()) }
    }
}

/// From what the detectors say to the report in the format asked for, and how to exit.
pub(super) fn present(
    examined: &Examined,
    diagnosis: &Diagnosis,
    options: &ReportOptions,
    style: Style,
    started: Timestamp,
) -> anyhow::Result<(String, Exit)> {
    let observations = options.observations.then(|| Observations::new(&examined.case, diagnosis));
    let context = Context {
        mode: examined.mode,
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
    let mut report = Report::new(diagnosis, &examined.case.recording, &context, observations);
    report.run.reference = examined.age().map(|age| age.to_string());
    let artifacts = &examined.case.artifacts;
    if examined.mode == "verify" || !artifacts.is_empty() {
        report.artifacts =
            Some(artifacts.iter().map(|artifact| ArtifactRecord::new(artifact, &examined.case)).collect());
    }
    let data = match options.format {
        Format::Json => report.json()?,
        Format::Jsonl => report.json_lines()?,
        Format::Markdown => report::markdown(&report),
        Format::Text => report::text(&report, style),
        Format::Html | Format::Sarif => bail!("this version of goprobe does not have that format yet"),
    };
    Ok((data, Exit::of(&report, options.fail_on.unwrap_or(Threshold::Medium).into())))
}

pub(super) fn overrides(options: &ReportOptions) -> anyhow::Result<Overrides> {
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
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
