//! `goprobe capture`: a command in, its recording and the report out. The command's own streams and status stay its own.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

#[cfg(feature = "probe")]
use super::args::AskAbout;
use super::args::{Capture, Format};
use super::examine::{Disk, described, examine, facts, now, overrides, present};
use super::exit::Exit;
use super::go_settings::{as_lines, go_env, relevant};
use super::output;
use super::run_record::{RunRecord, randoms};
use crate::capture::{Armed, DEFAULT_FILTER, Ended, Error, Identity, Plan};
use crate::diagnosis::Diagnosis;
use crate::finding::Citation;
#[cfg(feature = "probe")]
use crate::probe::Consent;
use crate::source::Input;

/// goprobe itself failed.
const FAILED: u8 = 125;
/// The command is there and cannot be run.
const NOT_EXECUTABLE: u8 = 126;
/// There is no such command.
const NOT_FOUND: u8 = 127;

/// Recordings that are kept in the state folder; older ones go when a new one comes.
const KEPT: usize = 10;

pub(super) fn run(args: &Capture) -> ExitCode {
    match record_and_judge(args) {
        Ok(code) => code.into(),
        Err(error) => {
            output::complain(&error);
            for line in advice(&error) {
                output::remark(&line);
            }
            let own = if args.report.fail_on.is_some() { Exit::Failed.code() } else { FAILED };
            let code = match error.downcast_ref::<Error>() {
                Some(Error::Start(_, reason)) if reason.kind() == io::ErrorKind::NotFound => NOT_FOUND,
                Some(Error::Start(..)) => NOT_EXECUTABLE,
                _ => own,
            };
            code.into()
        }
    }
}

/// What to do about an error.
fn advice(error: &anyhow::Error) -> Vec<String> {
    match error.downcast_ref::<Error>() {
        Some(Error::Forbidden(_)) => {
            let program =
                std::env::current_exe().map_or_else(|_| "goprobe".to_owned(), |path| path.display().to_string());
            vec![
                format!("goprobe: allow it once and for all with: sudo setcap cap_net_raw+ep {program}"),
                "goprobe: or record no packets (--no-packets): then TLS secrets, what the command prints and its status \
                 are all there is to judge by"
                    .to_owned(),
            ]
        }
        _ => Vec::new(),
    }
}

fn record_and_judge(args: &Capture) -> anyhow::Result<u8> {
    let started = now();
    refuse_unbuilt(args)?;
    let overrides = overrides(&args.report)?;
    // What would fail afterwards had better fail before the command does its work.
    facts(&args.facts)?;
    let identity = match &args.user {
        Some(user) => Some(Identity::named(user)?),
        None => Identity::behind_sudo(|name| std::env::var_os(name))?,
    };
    let say = |line: &str| {
        if !args.report.quiet {
            output::remark(&format!("goprobe: {line}"));
        }
    };
    if identity.is_some() && args.user.is_none() && std::env::var_os("SUDO_COMMAND").is_some() {
        say("sudo removes variables such as HTTPS_PROXY and GOPROXY from the environment; `sudo -E` keeps them");
    }
    let filter = args.filter.clone().unwrap_or_else(|| default_filter(|name| std::env::var(name).ok()));
    let device = args.interface.as_deref().unwrap_or("any");
    let armed = Armed::new((!args.no_packets).then_some(device), &filter, identity.as_ref())?;

    if let Some(file) = args.report.output.as_deref().filter(|file| *file != Path::new("-")) {
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(file)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }

    let mut environment = environment(identity.as_ref());
    let private =
        tempfile::Builder::new().prefix("goprobe-").tempdir().context("there is no room for what is private")?;
    let foreign = (!args.no_keys).then(|| ForeignKeys::new(private.path(), &mut environment));
    let file = match (&args.write, args.discard) {
        (Some(file), _) => file.clone(),
        (None, true) => private.path().join("recording.pcapng"),
        (None, false) => in_state(&environment)?,
    };
    let mut recorded = armed.run(Plan {
        command: args.command.clone(),
        environment: environment.clone(),
        keys: !args.no_keys,
        file,
        about: about(args),
    })?;
    let stopped = now();
    recorded.owners.randoms.extend(randoms(&recorded.key_log));
    if let Some(foreign) = foreign {
        let (log, shared) = foreign.read();
        // Into a file of the user's own other programs may write, too.
        if !shared {
            recorded.owners.randoms.extend(randoms(&log));
        }
        recorded.key_log.extend(log);
    }
    recorded.shortcomings.iter().for_each(|line| say(line));

    let status = match recorded.ended {
        Ended::Exited(status) => u8::try_from(status).unwrap_or(FAILED),
        Ended::Killed(signal) => u8::try_from(signal.saturating_add(128)).unwrap_or(FAILED),
    };
    let mut record = RunRecord::new(
        args.command.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        status.into(),
        relevant(&[go_env(&args.command, &environment).unwrap_or_default(), as_lines(&environment)].concat()),
        crate::go::decode(&recorded.printed),
        &recorded.owners,
    );
    record.stopped = recorded.to_its_end.then(|| stopped.nanos());
    let inputs = Input::open_all([recorded.file()])?;
    let mut examined =
        examine(&inputs, &args.facts, Some(&record), &recorded.key_log, args.report.observations, None, Disk::Here)?;
    examined.mode = "capture";
    #[cfg(feature = "probe")]
    if !args.no_probe {
        let consent = match args.probe {
            AskAbout::Go => Consent::GoHosts,
            AskAbout::All => Consent::All,
        };
        let manner = (args.report.quiet, args.report.verbose > 0);
        super::probe::ask_further(&mut examined, &args.facts, consent, &overrides, manner)?;
    }
    let diagnosis = examined.diagnose(&overrides);
    let mut completed = Ok(());
    if args.discard {
        examined.inputs.iter_mut().for_each(|input| "(discarded)".clone_into(&mut input.path));
    } else {
        completed = recorded.complete(&record.comments()?, &comments(&diagnosis));
        examined.inputs = described(&Input::open_all([recorded.file()])?)?;
    }

    let style = output::style_of(args.report.no_color, args.report.output.as_deref(), io::stderr().is_terminal());
    let (data, exit) = present(&examined, &diagnosis, &args.report, style, started)?;
    match args.report.output.as_deref() {
        Some(file) => output::deliver(&data, Some(file))?,
        None => io::stderr().write_all(data.as_bytes()).context("cannot write to standard error")?,
    }
    if !args.discard {
        let file = recorded.file().display();
        say(&match completed {
            Ok(()) => format!("the recording, with its TLS secrets, is in {file}"),
            Err(error) => {
                format!("the recording, without what goprobe knows beside the packets, is in {file}: {error}")
            }
        });
    }
    Ok(if args.report.fail_on.is_some() { exit.code() } else { status })
}

/// Options whose feature is to come are refused where leaving it out would change the answer.
fn refuse_unbuilt(args: &Capture) -> anyhow::Result<()> {
    let unbuilt = [
        (args.report.format == Format::Html, "--format html"),
        (args.report.format == Format::Sarif, "--format sarif"),
    ];
    match unbuilt.into_iter().find(|(given, _)| *given) {
        Some((_, what)) => anyhow::bail!("version {} does not have {what}", env!("CARGO_PKG_VERSION")),
        None => Ok(()),
    }
}

/// The command's environment: ours, with what belongs to its user.
fn environment(identity: Option<&Identity>) -> Vec<(OsString, OsString)> {
    let own = identity.map(Identity::variables).into_iter().flatten();
    let mut variables: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    variables.extend(own.map(|(key, value)| (key.into(), value)));
    variables.into_iter().collect()
}

fn variable<'e>(environment: &'e [(OsString, OsString)], name: &str) -> Option<&'e OsStr> {
    environment.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_os_str())
}

/// Everything that may matter, but not the session that shows it: over ssh, each line shown would be a packet to record.
fn default_filter(variable: impl Fn(&str) -> Option<String>) -> String {
    let connection = variable("SSH_CONNECTION").unwrap_or_default();
    match connection.split(' ').collect::<Vec<_>>().as_slice() {
        [client, port, _, _]
            if client.parse::<std::net::IpAddr>().is_ok() && port.parse::<u16>().is_ok_and(|port| port > 0) =>
        {
            format!("({DEFAULT_FILTER}) and not (host {client} and tcp port {port})")
        }
        _ => DEFAULT_FILTER.to_owned(),
    }
}

/// The key log of children that are no Go programs: OpenSSL, GnuTLS and NSS write one where the environment says so. The go
/// command itself does not.
struct ForeignKeys {
    file: PathBuf,
    /// It is the user's.
    shared: bool,
    /// Bytes of it that are older than the command.
    before: u64,
}

impl ForeignKeys {
    const VARIABLE: &str = "SSLKEYLOGFILE";

    fn new(folder: &Path, environment: &mut Vec<(OsString, OsString)>) -> Self {
        if let Some(file) = variable(environment, Self::VARIABLE) {
            let file = PathBuf::from(file);
            let before = std::fs::metadata(&file).map_or(0, |about| about.len());
            return Self { file, shared: true, before };
        }
        let file = folder.join("keys.log");
        environment.retain(|(key, _)| key != Self::VARIABLE);
        environment.push((Self::VARIABLE.into(), file.clone().into()));
        Self { file, shared: false, before: 0 }
    }

    /// What was written into it, and whether it is the user's.
    fn read(self) -> (Vec<u8>, bool) {
        let Ok(bytes) = std::fs::read(&self.file) else { return (Vec::new(), self.shared) };
        let new = usize::try_from(self.before).ok().and_then(|before| bytes.get(before..));
        (new.unwrap_or_default().to_vec(), self.shared)
    }
}

/// A new file in the user's state folder, in which the newest few recordings stay.
fn in_state(environment: &[(OsString, OsString)]) -> anyhow::Result<PathBuf> {
    let state = variable(environment, "XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || variable(environment, "HOME").map(|home| Path::new(home).join(".local/state"));
    let folder = state.or_else(home).context("there is no HOME to keep the recording in; give -w or --discard")?;
    let folder = folder.join("goprobe");
    let cannot = || format!("cannot keep recordings in {}; give -w or --discard", folder.display());
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).with_context(cannot)?;
    let mut old: Vec<PathBuf> = std::fs::read_dir(&folder)
        .with_context(cannot)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "pcapng"))
        .collect();
    // Their names begin with the time.
    old.sort();
    for path in old.iter().rev().skip(KEPT - 1) {
        let _ = std::fs::remove_file(path);
    }
    Ok(folder.join(format!("{}-{}.pcapng", now().nanos() / 1_000_000, std::process::id())))
}

/// What the file says of itself.
fn about(args: &Capture) -> Vec<String> {
    let words: Vec<_> = args.command.iter().map(|word| word.to_string_lossy()).collect();
    let mut lines = vec![format!("command: {}", words.join(" "))];
    for file in ["/etc/resolv.conf", "/etc/nsswitch.conf"] {
        if let Ok(text) = std::fs::read_to_string(file) {
            let text: Vec<&str> =
                text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).collect();
            lines.push(format!("{file}:\n{}", text.join("\n")));
        }
    }
    lines
}

/// goprobe's words at the packets that prove something.
fn comments(diagnosis: &Diagnosis) -> BTreeMap<u32, Vec<String>> {
    let mut comments: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for finding in diagnosis.findings.iter().map(|ranked| &ranked.finding) {
        for evidence in finding.evidence() {
            if let Citation::Frame { at, .. } = evidence.citation {
                let role = evidence.role.replace('_', " ");
                let note = if evidence.note.is_empty() { String::new() } else { format!(": {}", evidence.note) };
                comments
                    .entry(at.frame.number)
                    .or_default()
                    .push(format!("goprobe: {}: {role}{note}", finding.code.id()));
            }
        }
    }
    comments
}
