//! The library's pipeline as `goprobe analyze` wires it, without the command line around it.

use std::path::{Path, PathBuf};

use goprobe::analyzer::{Analyzer, KeyLog, Options};
use goprobe::detect;
use goprobe::diagnosis::{Circumstances, Overrides, diagnose};
use goprobe::finding::Assessment;
use goprobe::go::GoRun;
use goprobe::go::env::GoEnv;
use goprobe::go::log::GoLog;
use goprobe::observation::{Case, Recording, Relevance};
use goprobe::reference::Reference;
use goprobe::reference::honest::HonestAnswers;
use goprobe::report::{self, Context, Input, Observations, Report};
use goprobe::source::{self, Frame, Reader, Record};
use goprobe::types::Timestamp;

/// What is known beside the packets.
pub struct Setting {
    pub reference: Reference,
    pub go: GoRun,
    /// Keep and judge all traffic, not only go's.
    pub everything: bool,
}

impl Setting {
    /// Nothing but the rules.
    pub fn bare() -> Self {
        Self { reference: Reference::builtin().unwrap(), go: GoRun::default(), everything: true }
    }

    /// What lies beside one of our own recordings.
    pub fn of(folder: &Path) -> Self {
        let text = |name: &str| std::fs::read(folder.join(name)).ok().map(|bytes| goprobe::go::decode(&bytes));
        let mut reference = Reference::builtin().unwrap();
        if let Some(honest) = text("reference.json") {
            reference = reference.with_honest(HonestAnswers::parse(&honest).unwrap());
        }
        if let Ok(pem) = std::fs::read(folder.join("root.pem")) {
            let roots = reference.roots().clone().with_pem(&pem).unwrap();
            reference = reference.with_roots(roots);
        }
        let env = text("env.txt").map(|text| GoEnv::parse(&text));
        let version = env.as_ref().and_then(GoEnv::go_version);
        let exit = text("go.exit").and_then(|text| text.lines().next().and_then(|line| line.trim().parse().ok()));
        let go = GoRun { log: text("go.stderr").map(|text| GoLog::parse(&text)), env, exit, version };
        Self { reference, go, everything: false }
    }

    /// An analyzer to push frames into.
    pub fn analyzer(&self) -> Analyzer<'_> {
        let options = Options { keep_all: true, judge_all: self.everything };
        Analyzer::new(&self.reference, self.go.clone(), options)
    }

    /// The facts of recordings.
    pub fn case(&self, files: &[PathBuf]) -> Result<Case, source::Error> {
        let inputs = source::Input::open_all(files)?;
        let mut reader = Reader::new(&inputs);
        let mut analyzer = self.analyzer().with_keys(secrets(files, &inputs));
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
        Ok(analyzer.finish(files, damage.collect(), summary.damaged))
    }

    /// The facts of frames that are in no file.
    pub fn case_of_frames(&self, frames: &[Captured]) -> Case {
        let mut analyzer = self.analyzer();
        for captured in frames {
            analyzer.push(&Record::Frame(captured.frame()));
        }
        analyzer.finish(Recording::default(), Vec::new(), 0)
    }

    /// The report of facts, with the observations, as JSON.
    pub fn report(&self, case: &Case) -> serde_json::Value {
        let assessments: Vec<Assessment> = detect::assess(case, &self.reference);
        let circumstances = Circumstances {
            go_traffic: case.lookups.iter().any(|lookup| lookup.relevance > Relevance::Other)
                || case.connections.iter().any(|connection| connection.relevance > Relevance::Other),
            exit_status: case.go.exit,
            errors: case.go.errors().iter().map(|error| error.text.clone()).collect(),
        };
        let limits = report::limits(&assessments);
        let diagnosis = diagnose(assessments, &circumstances, &Overrides::default());
        let observations = Observations::new(case, &diagnosis);
        let paths = case.recording.paths.iter();
        let context = Context {
            mode: "analyze",
            command: None,
            exit_status: case.go.exit,
            go_version: case.go.version.map(|version| version.to_string()),
            inputs: paths.map(|path| Input { path: path.clone(), sha256: "0".repeat(64), bytes: 0 }).collect(),
            started: Timestamp::from_seconds(0),
            finished: Timestamp::from_seconds(0),
            rules_version: self.reference.version(),
            rules_sha256: self.reference.sha256().to_owned(),
            limits,
        };
        let report = Report::new(&diagnosis, &case.recording, &context, Some(observations));
        serde_json::from_str(&report.json().unwrap()).unwrap()
    }
}

/// The TLS secrets in recordings, and those in key logs beside them: `FILE.keylog`.
fn secrets(files: &[PathBuf], inputs: &[source::Input]) -> KeyLog {
    let mut keys = KeyLog::default();
    let mut secrets = source::Secrets::new(inputs);
    while let Some(secret) = secrets.next() {
        keys.add(secret.key_log);
    }
    for file in files {
        let mut name = file.clone().into_os_string();
        name.push(".keylog");
        if let Ok(text) = std::fs::read(name) {
            keys.add(&text);
        }
    }
    keys
}

/// A frame with bytes of its own.
#[derive(Clone)]
pub struct Captured {
    pub no: goprobe::types::FrameNo,
    pub time: Timestamp,
    pub link: u16,
    pub bytes: Vec<u8>,
    pub original_length: u32,
}

impl Captured {
    pub fn frame(&self) -> Frame<'_> {
        Frame {
            no: self.no,
            time: self.time,
            link: self.link,
            bytes: &self.bytes,
            original_length: self.original_length,
        }
    }
}

/// All frames of a recording.
pub fn frames(file: &Path) -> Vec<Captured> {
    let inputs = source::Input::open_all([file]).unwrap();
    let mut reader = Reader::new(&inputs);
    let mut frames = Vec::new();
    while let Some(record) = reader.next() {
        if let Record::Frame(frame) = record {
            frames.push(Captured {
                no: frame.no,
                time: frame.time,
                link: frame.link,
                bytes: frame.bytes.to_vec(),
                original_length: frame.original_length,
            });
        }
    }
    frames
}

/// The folders of our own recordings, in order.
pub fn own_captures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect()
    };
    let mut all: Vec<PathBuf> = folders(&root).iter().flat_map(|family| folders(family)).collect();
    all.sort();
    all
}

/// `tls/sni-reset-early`.
pub fn name_of(folder: &Path) -> String {
    let mut parts = folder.components().rev().filter_map(|part| part.as_os_str().to_str());
    let (case, family) = (parts.next().unwrap(), parts.next().unwrap());
    format!("{family}/{case}")
}

/// The JSON Schema that every report keeps to.
pub fn schema() -> jsonschema::Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema/goprobe-1.schema.json");
    let schema: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

/// The first words about what a report breaks of the schema.
pub fn breaks(schema: &jsonschema::Validator, report: &serde_json::Value) -> Option<String> {
    schema.iter_errors(report).next().map(|error| format!("{} at {}", error, error.instance_path()))
}
