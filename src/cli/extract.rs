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
/// Bytes of one body that are gathered before its file is opened and they are written, and of all bodies together.
const MAX_PENDING: usize = 64 << 10;
const MAX_ALL_PENDING: usize = 4 << 20;
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
    /// Bytes that they have gathered.
    pending: usize,
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
    /// Bytes before that which are still to be written.
    pending: Vec<u8>,
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
            pending: 0,
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

    fn take(&mut self, id: BodyId, bytes: &[u8]) -> anyhow::Result<()> {
        let Some(body) = self.bodies.get_mut(&id).filter(|body| !body.over) else { return Ok(()) };
        if let Target::Wanted(components) = &body.target {
            body.target = Target::Made(create(&self.folder, components, &mut self.numbers)?);
        }
        body.pending.extend_from_slice(bytes);
        body.offset = body.offset.saturating_add(bytes.len() as u64);
        self.pending = self.pending.saturating_add(bytes.len());
        if body.pending.len() >= MAX_PENDING {
            self.write(id)?;
        } else if self.pending >= MAX_ALL_PENDING {
            self.bodies.values_mut().try_for_each(Body::write)?;
            self.pending = 0;
        }
        Ok(())
    }

    /// Writes what a body has gathered.
    fn write(&mut self, id: BodyId) -> anyhow::Result<()> {
        let Some(body) = self.bodies.get_mut(&id) else { return Ok(()) };
        self.pending = self.pending.saturating_sub(body.pending.len());
        body.write()
    }

    fn conclude(&mut self, id: BodyId, exchange: &Exchange) -> anyhow::Result<()> {
        self.write(id)?;
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
            let body = Body { target, offset: 0, pending: Vec::new(), holes: Vec::new(), missing: 0, over: false };
            self.bodies.insert(id, body);
        }
        id
    }

    fn content(&mut self, body: BodyId, bytes: &[u8]) {
        self.attempt(|this| this.take(body, bytes));
    }

    fn hole(&mut self, body: BodyId, length: Option<u64>) {
        self.attempt(|this| this.write(body));
        if let Some(body) = self.bodies.get_mut(&body) {
            body.skip(length);
        }
    }

    fn end(&mut self, body: BodyId, exchange: &Exchange) {
        self.attempt(|this| this.conclude(body, exchange));
    }
}

impl Body {
    fn write(&mut self) -> anyhow::Result<()> {
        let bytes = std::mem::take(&mut self.pending);
        match &self.target {
            Target::Made(place) if !bytes.is_empty() => {
                place.write(self.offset.saturating_sub(bytes.len() as u64), &bytes)
            }
            _ => Ok(()),
        }
    }

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

    /// Writes to the file, if it is still the one that was made.
    fn write(&self, offset: u64, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.path();
        let write = || {
            let mut file = OpenOptions::new().write(true).open(&path)?;
            if identity(&file)? != self.identity {
                return Err(io::Error::other("somebody replaced it"));
            }
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(bytes)
        };
        write().with_context(|| cannot_write(&path))
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

/// Makes the file for a body, and the folders that it lies in.
fn create(folder: &Path, components: &[String], numbers: &mut HashMap<PathBuf, u32>) -> anyhow::Result<Place> {
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
        Err(_) => File::create_new(incomplete(path)).and_then(|file| identity(&file)),
    };
    let (identity, number) = first_free(&wanted, from, make).with_context(|| cannot_write(&wanted))?;
    if number > 1 {
        if numbers.len() >= MAX_REMEMBERED {
            numbers.clear();
        }
        numbers.insert(wanted.clone(), number.saturating_add(1));
    }
    Ok(Place { wanted, number, identity })
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
