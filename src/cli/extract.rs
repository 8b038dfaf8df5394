//! `--extract DIR`: writes the bodies of answers to disk as they arrive.
//!
//! A body is written to `NAME.incomplete`, and gets its name once all of it was seen. Nothing is overwritten, and nothing is
//! written outside the folder, whatever a URL says and whatever lies in the folder already.

mod name;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use self::name::INCOMPLETE;
use crate::observation::Exchange;
use crate::observation::body::{BodyId, BodySink};
use crate::report::{BodyRecord, ExchangeRecord, Hole};

/// The list of what was written, in the order in which bodies ended.
const MANIFEST: &str = "manifest.jsonl";
/// Files open at once.
const MAX_OPEN: usize = 64;
/// Bytes gathered before they are written.
const BUFFER: usize = 32 << 10;
/// Holes that a file may have, and their bytes together. A file with holes claims a size that the recording need not have.
const MAX_HOLES: usize = 1_024;
const MAX_MISSING: u64 = 1 << 30;
/// Names of which it is remembered how many there are.
const MAX_REMEMBERED: usize = 4_096;

/// The bodies of a recording on their way to disk.
#[derive(Debug)]
pub(super) struct Extraction {
    folder: PathBuf,
    list: BufWriter<File>,
    list_path: PathBuf,
    begun: u64,
    bodies: BTreeMap<BodyId, Body>,
    handles: Handles,
    /// The number to try next for names that were taken. Only saves looking from the first one on.
    numbers: HashMap<PathBuf, u32>,
    written: u64,
    incomplete: u64,
    failure: Option<anyhow::Error>,
}

/// A body that has begun.
#[derive(Debug)]
struct Body {
    target: Target,
    /// Where in the file the next bytes belong.
    offset: u64,
    /// The file does not stand there.
    astray: bool,
    holes: Vec<Hole>,
    missing: u64,
    /// What still comes has no known place, or one that is too far off.
    over: bool,
}

/// Where a body is written to.
#[derive(Debug)]
enum Target {
    /// Nothing of it came yet: the folders that it belongs into and, last, its name.
    Wanted(Vec<String>),
    /// A file was made for it.
    Made(Place),
}

/// A file that was made for a body.
#[derive(Clone, Debug)]
struct Place {
    /// The name that it is to have, without a number.
    wanted: PathBuf,
    number: u32,
    identity: Identity,
}

/// What came of an extraction.
#[derive(Debug)]
pub(super) struct Extracted {
    /// For people: how much was written where.
    pub(super) summary: String,
    /// Why not all could be written.
    pub(super) failure: Option<anyhow::Error>,
}

impl Extraction {
    /// Begins to write below a folder, which is made if it is missing.
    pub(super) fn new(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let wanted = folder.join(MANIFEST);
        let (list, number) =
            first_free(&wanted, 1, |path| File::create_new(path)).with_context(|| cannot_write(&wanted))?;
        Ok(Self {
            folder: folder.to_owned(),
            list: BufWriter::new(list),
            list_path: numbered(&wanted, number),
            begun: 0,
            bodies: BTreeMap::new(),
            handles: Handles::default(),
            numbers: HashMap::new(),
            written: 0,
            incomplete: 0,
            failure: None,
        })
    }

    /// Ends it, after the analysis.
    pub(super) fn finish(&mut self) -> Extracted {
        self.attempt(|this| this.list.flush().with_context(|| cannot_write(&this.list_path)));
        let bodies = if self.written == 1 { "body" } else { "bodies" };
        let incomplete = if self.incomplete > 0 { format!(" ({} incomplete)", self.incomplete) } else { String::new() };
        let summary = format!("extracted {} {bodies}{incomplete} to {}", self.written, self.folder.display());
        Extracted { summary, failure: self.failure.take() }
    }

    /// Does it, unless something failed before: on a full disk nothing more is tried.
    fn attempt(&mut self, work: impl FnOnce(&mut Self) -> anyhow::Result<()>) {
        if self.failure.is_none() {
            self.failure = work(self).err();
        }
    }

    fn write(&mut self, id: BodyId, bytes: &[u8]) -> anyhow::Result<()> {
        let Some(body) = self.bodies.get_mut(&id).filter(|body| !body.over) else { return Ok(()) };
        if self.handles.of(id).is_none() {
            body.astray = body.offset > 0;
            let (place, file) = match &body.target {
                Target::Made(place) => (place.clone(), place.open()?),
                Target::Wanted(components) => create(&self.folder, components, &mut self.numbers)?,
            };
            self.handles.add(id, place.path(), file)?;
            body.target = Target::Made(place);
        }
        let Some((path, file)) = self.handles.of(id) else { return Ok(()) };
        let mut write = || {
            if std::mem::take(&mut body.astray) {
                file.seek(SeekFrom::Start(body.offset))?;
            }
            file.write_all(bytes)
        };
        write().with_context(|| cannot_write(path))?;
        body.offset = body.offset.saturating_add(bytes.len() as u64);
        Ok(())
    }

    fn conclude(&mut self, id: BodyId, exchange: &Exchange) -> anyhow::Result<()> {
        self.handles.close(id)?;
        let Some(Body { target: Target::Made(place), holes, .. }) = self.bodies.remove(&id) else { return Ok(()) };
        let whole = exchange.complete && holes.is_empty();
        let path = if whole { place.settle()? } else { place.path() };
        let below = path.strip_prefix(&self.folder).unwrap_or(&path);
        let below: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
        let line = BodyRecord::new(below.join("/"), holes, exchange).json_line()?;
        self.list.write_all(line.as_bytes()).with_context(|| cannot_write(&self.list_path))?;
        self.written += 1;
        self.incomplete += u64::from(!whole);
        Ok(())
    }
}

impl BodySink for Extraction {
    fn begin(&mut self, exchange: &Exchange) -> BodyId {
        let id = BodyId(self.begun);
        self.begun += 1;
        if self.failure.is_none() {
            let url = ExchangeRecord::from(exchange).url;
            let target = Target::Wanted(name::components(&url, exchange.flow));
            let body = Body { target, offset: 0, astray: false, holes: Vec::new(), missing: 0, over: false };
            self.bodies.insert(id, body);
        }
        id
    }

    fn content(&mut self, body: BodyId, bytes: &[u8]) {
        self.attempt(|this| this.write(body, bytes));
    }

    fn hole(&mut self, body: BodyId, length: Option<u64>) {
        if let Some(body) = self.bodies.get_mut(&body) {
            body.skip(length);
        }
    }

    fn end(&mut self, body: BodyId, exchange: &Exchange) {
        self.attempt(|this| this.conclude(body, exchange));
    }
}

impl Body {
    fn skip(&mut self, length: Option<u64>) {
        if self.over {
            return;
        }
        let missing = length.and_then(|length| self.missing.checked_add(length));
        let missing = missing.filter(|missing| *missing <= MAX_MISSING && self.holes.len() < MAX_HOLES);
        match (length, missing) {
            (Some(length), Some(missing)) => {
                self.holes.push(Hole { offset: self.offset, length: Some(length) });
                self.missing = missing;
                self.offset = self.offset.saturating_add(length);
                self.astray = true;
            }
            _ => {
                self.holes.push(Hole { offset: self.offset, length: None });
                self.over = true;
            }
        }
    }
}

impl Place {
    /// Where the body is until it is whole.
    fn path(&self) -> PathBuf {
        incomplete(&numbered(&self.wanted, self.number))
    }

    /// Opens the file again, if it is still the one that was made.
    fn open(&self) -> anyhow::Result<File> {
        let path = self.path();
        let open = || {
            let file = OpenOptions::new().write(true).open(&path)?;
            if identity(&file)? == self.identity { Ok(file) } else { Err(io::Error::other("somebody replaced it")) }
        };
        open().with_context(|| cannot_write(&path))
    }

    /// Gives a whole body its name, and says which that is.
    fn settle(&self) -> anyhow::Result<PathBuf> {
        let from = self.path();
        let ((), number) = first_free(&self.wanted, self.number, |to| match fs::hard_link(&from, to) {
            Ok(()) => fs::remove_file(&from),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
            // Not every file system has links. What is replaced then is the empty file that was just made.
            Err(_) => File::create_new(to).and_then(|_| fs::rename(&from, to)),
        })
        .with_context(|| cannot_write(&self.wanted))?;
        Ok(numbered(&self.wanted, number))
    }
}

/// The open files: not more than [`MAX_OPEN`], the one used last at the end.
#[derive(Debug, Default)]
struct Handles(Vec<(BodyId, PathBuf, BufWriter<File>)>);

impl Handles {
    fn of(&mut self, body: BodyId) -> Option<(&Path, &mut BufWriter<File>)> {
        let index = self.0.iter().rposition(|(open, ..)| *open == body)?;
        if index.saturating_add(1) < self.0.len() {
            let used = self.0.remove(index);
            self.0.push(used);
        }
        self.0.last_mut().map(|(_, path, file)| (path.as_path(), file))
    }

    /// Takes an open file in, for which the one that was longest without use is closed.
    fn add(&mut self, body: BodyId, path: PathBuf, file: File) -> anyhow::Result<()> {
        if self.0.len() >= MAX_OPEN
            && let Some((idle, ..)) = self.0.first()
        {
            self.close(*idle)?;
        }
        self.0.push((body, path, BufWriter::with_capacity(BUFFER, file)));
        Ok(())
    }

    fn close(&mut self, body: BodyId) -> anyhow::Result<()> {
        let Some(index) = self.0.iter().position(|(open, ..)| *open == body) else { return Ok(()) };
        let (_, path, mut file) = self.0.remove(index);
        file.flush().with_context(|| cannot_write(&path))
    }
}

/// Makes the file for a body, and the folders that it lies in.
fn create(folder: &Path, components: &[String], numbers: &mut HashMap<PathBuf, u32>) -> anyhow::Result<(Place, File)> {
    let Some((name, folders)) = components.split_last() else { anyhow::bail!("a body without a name") };
    let mut parent = folder.to_owned();
    for name in folders {
        let wanted = parent.join(name);
        let ((), number) =
            first_free(&wanted, 1, make_folder).with_context(|| format!("cannot make {}", wanted.display()))?;
        parent = numbered(&wanted, number);
    }
    let wanted = parent.join(name);
    let from = numbers.get(&wanted).copied().unwrap_or(1);
    let make = |path: &Path| match fs::symlink_metadata(path) {
        Ok(_) => Err(ErrorKind::AlreadyExists.into()),
        Err(_) => File::create_new(incomplete(path)).and_then(|file| Ok((identity(&file)?, file))),
    };
    let ((identity, file), number) = first_free(&wanted, from, make).with_context(|| cannot_write(&wanted))?;
    if number > 1 {
        if numbers.len() >= MAX_REMEMBERED {
            numbers.clear();
        }
        numbers.insert(wanted.clone(), number.saturating_add(1));
    }
    Ok((Place { wanted, number, identity }, file))
}

/// Makes a folder where none is yet. A link to one is none: it may lead anywhere.
fn make_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && fs::symlink_metadata(path)?.is_dir() => Ok(()),
        made => made,
    }
}

/// Tries a name, and with numbers behind it, until nobody has it.
fn first_free<T>(wanted: &Path, from: u32, mut make: impl FnMut(&Path) -> io::Result<T>) -> io::Result<(T, u32)> {
    let mut number = from;
    loop {
        match make(&numbered(wanted, number)) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && number < u32::MAX => number += 1,
            made => return made.map(|made| (made, number)),
        }
    }
}

/// `v1.0.0.zip`, `v1.0.0.zip-2`, `v1.0.0.zip-3`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    if number < 2 {
        return path.to_owned();
    }
    with_suffix(path, &format!("-{number}"))
}

fn incomplete(path: &Path) -> PathBuf {
    with_suffix(path, INCOMPLETE)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

/// Device and number of a file.
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(file: &File) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_: &File) -> io::Result<Identity> {
    Ok((0, 0))
}

#[cfg(test)]
mod tests;
