//! `goprobe verify`: artifacts in, what they were held against and what differs out.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, anyhow, bail};

use super::args::{Facts, Format, Verify};
use super::examine::{self, Examined, now, overrides, present};
use super::exit::Exit;
use super::output;
use crate::artifact::collect::Inventory;
use crate::artifact::dirhash::{hash_file, hex};
use crate::artifact::module::ModuleVersion;
use crate::artifact::note::VerifierKey;
use crate::artifact::recorded::SUM_GOLANG_ORG;
use crate::artifact::verify::{self, Settings};
use crate::detect;
use crate::diagnosis::{Circumstances, judge_artifacts};
use crate::observation::Case;
use crate::reference::Reference;
use crate::report::Input;

/// Steps in which progress is shown.
const STEPS: usize = 200;

pub(super) fn run(args: &Verify) -> anyhow::Result<Exit> {
    let started = now();
    if matches!(args.report.format, Format::Html | Format::Sarif) {
        bail!("version {} does not have that format", env!("CARGO_PKG_VERSION"));
    }
    let overrides = overrides(&args.report)?;
    let known = Facts { rules: args.rules.clone(), ca: args.ca.clone(), ..Facts::default() };
    let reference = examine::reference(&known)?;
    let inventory = inventory(args)?;
    if !args.report.quiet {
        remark(&inventory);
    }
    let settings = Settings { judged: Some(started), ..settings(args, &reference)? };
    let settings = with_answers(args, &inventory, settings, &reference)?;
    let shown = Progress::new(!args.report.quiet && std::io::stderr().is_terminal());
    let outcome = verify::run(&inventory, &settings, &|done, all| shown.show(done, all));
    shown.end();
    let outcome = outcome?;
    let case = Case { artifacts: outcome.artifacts, ..Case::default() };
    let examined = Examined {
        mode: "verify",
        inputs: inputs(args)?,
        reference_asked: None,
        assessments: detect::assess(&case, &reference),
        circumstances: Circumstances::default(),
        command: None,
        go_version: None,
        rules_version: reference.version(),
        rules_sha256: reference.sha256().to_owned(),
        case,
    };
    let mut diagnosis = examined.diagnose(&overrides);
    judge_artifacts(&mut diagnosis, &examined.case.artifacts);
    let style = output::style(args.report.no_color, args.report.output.as_deref());
    let (data, exit) = present(&examined, &diagnosis, &args.report, style, started)?;
    output::deliver(&data, args.report.output.as_deref())?;
    if args.report.verbose > 0 && !args.report.quiet {
        let modules = outcome.modules.len();
        output::remark(&format!("{modules} modules verified; took {} ms", now().since(started).nanos() / 1_000_000));
    }
    Ok(exit)
}

/// What was given, found and sorted.
fn inventory(args: &Verify) -> anyhow::Result<Inventory> {
    let mut inventory = Inventory::default();
    for path in &args.paths {
        inventory.add(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    inventory.go_sums.extend(args.go_sum.iter().cloned());
    for database in args.sumdb.iter().filter(|database| url(database).is_none()) {
        add_database(&mut inventory, database)?;
    }
    inventory.dedup();
    Ok(inventory)
}

/// The settings with what the databases at URLs answer.
#[cfg(feature = "probe")]
fn with_answers(
    args: &Verify,
    inventory: &Inventory,
    mut settings: Settings,
    reference: &Reference,
) -> anyhow::Result<Settings> {
    for url in args.sumdb.iter().filter_map(|database| url(database)) {
        super::mirror::ask(&url, inventory, &mut settings, reference, args.report.quiet)?;
    }
    Ok(settings)
}

#[cfg(not(feature = "probe"))]
fn with_answers(args: &Verify, _: &Inventory, settings: Settings, _: &Reference) -> anyhow::Result<Settings> {
    if args.sumdb.iter().any(|database| url(database).is_some()) {
        bail!("cannot ask the URL of --sumdb: this goprobe was built without the feature `probe`");
    }
    Ok(settings)
}

/// What is no folder but asked over the network.
fn url(database: &Path) -> Option<String> {
    let text = database.to_string_lossy();
    (text.starts_with("http://") || text.starts_with("https://")).then(|| text.into_owned())
}

/// A database's folder, or one that holds such folders: `cache/download/sumdb`.
fn add_database(inventory: &mut Inventory, path: &Path) -> anyhow::Result<()> {
    let context = || format!("cannot read {}", path.display());
    let is_one = ["lookup", "tile", "latest"].iter().any(|name| path.join(name).exists());
    if is_one {
        let absolute = std::path::absolute(path).with_context(context)?;
        let name = absolute.file_name().unwrap_or_default().to_string_lossy().into_owned();
        inventory.add_database(path, &name);
        return Ok(());
    }
    let mut found = Inventory::default();
    found.add(path).with_context(context)?;
    if found.databases.is_empty() && found.notes.is_empty() {
        bail!("{} holds no checksum database: neither `lookup` nor `tile` nor `latest`", path.display());
    }
    inventory.notes.extend(found.notes);
    for (name, folders) in found.databases {
        folders.iter().for_each(|folder| inventory.add_database(folder, &name));
    }
    Ok(())
}

/// What is not looked at is said.
fn remark(inventory: &Inventory) {
    for path in &inventory.unknown {
        output::remark(&format!("goprobe: {} is nothing that can be verified", path.display()));
    }
    for (path, why) in &inventory.unreadable {
        output::remark(&format!("goprobe: {} was not looked at: {why}", path.display()));
    }
    if let Some(first) = inventory.ignored.first() {
        let count = inventory.ignored.len();
        let (what, were) = if count == 1 { ("file", "was") } else { ("files", "were") };
        output::remark(&format!(
            "goprobe: {count} {what} with names like a module's zip or go.mod ({}{}) {were} not looked at: neither a place in \
             an `@v` folder nor a name inside says of which module; what is named itself is looked at",
            first.display(),
            if count == 1 { "" } else { ", …" }
        ));
    }
}

fn settings(args: &Verify, reference: &Reference) -> anyhow::Result<Settings> {
    let mut keys = vec![VerifierKey::parse(SUM_GOLANG_ORG)?];
    for text in &args.sumdb_key {
        keys.insert(0, VerifierKey::parse(text).with_context(|| format!("cannot use the key {text}"))?);
    }
    // GOSUMDB may hold a key and an address; a name alone says nothing that is not known.
    let value = std::env::var("GOSUMDB").unwrap_or_default();
    if let Some(key) = value.split_whitespace().next().filter(|key| key.contains('+')) {
        keys.insert(0, VerifierKey::parse(key).with_context(|| format!("cannot use the key {key} of GOSUMDB"))?);
    }
    let module = args.module.as_deref().map(|text| {
        let module = ModuleVersion::parse(text).ok_or_else(|| anyhow!("`{text}` is not MODULE@VERSION"))?;
        module.check().map_err(|rule| anyhow!("`{text}`: {rule}"))?;
        Ok::<_, anyhow::Error>(module)
    });
    let read = |path: &PathBuf| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let signing_keys = args.signing_key.iter().map(read).collect::<anyhow::Result<_>>()?;
    Ok(Settings {
        keys,
        module: module.transpose()?,
        releases: reference.releases().clone(),
        signing_keys,
        ..Settings::default()
    })
}

/// The files that were named, as the report lists them. Folders have no hash; what lies in them is among the artifacts.
fn inputs(args: &Verify) -> anyhow::Result<Vec<Input>> {
    let files = args.paths.iter().chain(&args.go_sum).filter(|path| path.is_file());
    let described = files.map(|path| {
        let (sha256, bytes) = hash_file(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Input { path: path.display().to_string(), sha256: hex(&sha256), bytes })
    });
    described.collect()
}

/// A line on a terminal that says how far it is.
struct Progress {
    terminal: bool,
    last: AtomicUsize,
    line: Mutex<()>,
}

impl Progress {
    fn new(terminal: bool) -> Self {
        Self { terminal, last: AtomicUsize::new(0), line: Mutex::new(()) }
    }

    fn show(&self, done: usize, all: usize) {
        let step = done.saturating_mul(STEPS).checked_div(all).unwrap_or(0);
        if !self.terminal || self.last.fetch_max(step, Ordering::Relaxed) >= step {
            return;
        }
        if let Ok(_guard) = self.line.try_lock() {
            let _ = write!(std::io::stderr(), "\rverified {done} of {all}");
        }
    }

    fn end(&self) {
        if self.terminal && self.last.load(Ordering::Relaxed) > 0 {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}
