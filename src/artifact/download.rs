//! Artifacts among the bodies of answers: taken as they pass, each verified as soon as it is whole.
//!
//! What counts is the URL, or, behind a redirect, that the body is a zip which begins like a module's. An archive's
//! directory stands at its end, so each body waits for it in an unlinked file; memory holds little of it.

mod body;

use std::collections::{BTreeMap, HashMap};

use self::body::{Body, Keep};
use super::dirhash::Sha256;
use super::module::ModuleVersion;
use super::module_zip::{Breach, ModuleZip};
use super::sumdb::{Content, Item, Store};
use super::verify::{Facts, Place};
use crate::go::env::{GoEnv, SumDb};
use crate::go::target::{ModuleRequest, RequestKind};
use crate::observation::artifact::{ArtifactKind, Origin};
use crate::observation::body::{BodyId, BodySink};
use crate::observation::{Case, Exchange, Relevance};
use crate::types::{FlowId, Moment};

/// Bodies that are taken at once. What comes beside them is not.
const MAX_BODIES: usize = 512;
/// Bytes of bodies that are kept at once, unpacked: a recording may hold bombs.
const MAX_SPOOLED: u64 = 4 << 30;
/// Things that are taken out of a recording.
const MAX_TAKEN: usize = 100_000;
/// Bytes of files of checksum databases that are kept.
const MAX_KEPT: usize = 64 << 20;
/// Names of files that are kept for comparison.
const MAX_NAMES: usize = 200_000;

/// Takes what can be verified out of the bodies of answers.
#[derive(Debug, Default)]
pub struct Downloads {
    begun: u64,
    bodies: BTreeMap<BodyId, Body>,
    /// Bytes that they hold.
    spooled: u64,
    taken: Vec<Taken>,
    /// Bytes of files of checksum databases, and names of files, among what was taken.
    kept: usize,
    names: usize,
}

/// All that was downloaded in a recording by the go command.
#[derive(Clone, Debug, Default)]
pub struct Downloaded {
    /// Module zips and go.mod files.
    pub facts: Vec<Facts>,
    /// What was seen of checksum databases.
    pub stores: Vec<Store>,
    /// Archives and installers of releases.
    pub releases: Vec<DownloadedRelease>,
}

impl Downloaded {
    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.stores.is_empty() && self.releases.is_empty()
    }
}

/// An archive or installer of a release that was downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadedRelease {
    /// Its file name.
    pub name: String,
    /// Index into [`Case::exchanges`].
    pub exchange: usize,
    /// Its SHA-256, or why there is none.
    pub sha256: Result<Sha256, String>,
    /// Bytes of it that came.
    pub bytes: u64,
}

/// What tells exchanges apart.
type Key = (FlowId, Option<Moment>, Option<Moment>, String);

fn key(exchange: &Exchange) -> Key {
    (exchange.flow, exchange.request, exchange.response, exchange.url.clone())
}

/// Something that was taken out of an answer.
#[derive(Debug)]
struct Taken {
    key: Key,
    what: What,
}

#[derive(Debug)]
enum What {
    Facts(Facts),
    /// The name that its URL has for the database, the path beneath its address, and its content.
    Sumdb(String, String, Vec<u8>),
    Release(DownloadedRelease),
}

impl BodySink for Downloads {
    fn begin(&mut self, exchange: &Exchange) -> BodyId {
        let id = BodyId(self.begun);
        self.begun += 1;
        if exchange.status == Some(200)
            && self.bodies.len() < MAX_BODIES
            && self.taken.len() < MAX_TAKEN
            && let Some(body) = Body::begin(exchange)
        {
            self.bodies.insert(id, body);
        }
        id
    }

    fn content(&mut self, body: BodyId, bytes: &[u8]) {
        let Some(taken) = self.bodies.get_mut(&body) else { return };
        let before = taken.held();
        if taken.take(bytes) == Keep::Nothing {
            self.bodies.remove(&body);
            return;
        }
        self.spooled = self.spooled.saturating_add(taken.held()).saturating_sub(before);
        if self.spooled > MAX_SPOOLED {
            self.spooled = self.spooled.saturating_sub(taken.held());
            taken.lack("more was under way at once than is kept".to_owned());
        }
    }

    fn hole(&mut self, body: BodyId, length: Option<u64>) {
        if let Some(body) = self.bodies.get_mut(&body) {
            self.spooled = self.spooled.saturating_sub(body.held());
            body.lack(match length {
                Some(length) => format!("the recording lacks {length} bytes of it"),
                None => "the recording lacks the rest of it".to_owned(),
            });
        }
    }

    fn end(&mut self, body: BodyId, exchange: &Exchange) {
        let Some(mut body) = self.bodies.remove(&body) else { return };
        self.spooled = self.spooled.saturating_sub(body.held());
        if !exchange.complete {
            body.lack(format!("it broke off after {} bytes", exchange.body_bytes));
        }
        if let Some(what) = self.verified(body, exchange) {
            self.taken.push(Taken { key: key(exchange), what });
        }
    }
}

impl Downloads {
    /// What an answer's body is, now that all of it came that ever will.
    fn verified(&mut self, body: Body, exchange: &Exchange) -> Option<What> {
        let request = body.request().cloned();
        let kind = request.as_ref().map_or(RequestKind::Zip, |request| request.kind);
        let module = request.as_ref().and_then(module);
        let place = Place::Answer { exchange: 0, url: exchange.url.clone(), files: None };
        match kind {
            RequestKind::Zip | RequestKind::ToolchainZip => {
                let mut facts = Facts::new(ArtifactKind::ModuleZip, place, module);
                match body.whole() {
                    // What does not even begin like a zip has a name of its own: a page, an error.
                    Ok(file) if !exchange.body_head.starts_with(b"PK") && file.length > 0 => return None,
                    Ok(file) => {
                        let mut zip = ModuleZip::read(file.content, file.length, facts.module.as_ref());
                        if request.is_none() && zip.module.is_none() {
                            return None;
                        }
                        let files = zip.files.take().filter(|files| files.len().saturating_add(self.names) < MAX_NAMES);
                        self.names = self.names.saturating_add(files.as_ref().map_or(0, |files| files.len()));
                        if let Place::Answer { files: kept, .. } = &mut facts.place {
                            *kept = files;
                        }
                        facts.read_zip(zip);
                        // Tools of mirrors write headers that contradict each other; nobody reads those fields.
                        facts.oddities.clear();
                    }
                    // Nobody knows what it would have been.
                    Err(_) if request.is_none() => return None,
                    Err(why) => facts.unread = Some(why),
                }
                Some(What::Facts(facts))
            }
            RequestKind::Mod => {
                let mut facts = Facts::new(ArtifactKind::GoMod, place, module);
                match body.whole().and_then(|file| file.bytes().map_err(|error| error.to_string())) {
                    // A page in its place has a name of its own, too.
                    Ok(bytes) if !is_go_mod(&bytes) => return None,
                    Ok(bytes) => facts.read_go_mod(&bytes),
                    Err(why) => facts.unread = Some(why),
                }
                Some(What::Facts(facts))
            }
            RequestKind::SumdbLookup | RequestKind::SumdbTile | RequestKind::SumdbLatest => {
                let request = request?;
                let path = below_database(&request, &exchange.url)?;
                // A part of it proves nothing: it counts as not seen.
                let bytes = body.whole().ok()?.bytes().ok()?;
                self.kept = self.kept.saturating_add(bytes.len());
                (self.kept <= MAX_KEPT).then_some(What::Sumdb(request.sumdb?, path, bytes))
            }
            RequestKind::SdkArchive => {
                let sha256 =
                    body.whole().and_then(|_| exchange.body_sha256.ok_or_else(|| "it was not hashed".to_owned()));
                let name = request?.path?;
                Some(What::Release(DownloadedRelease { name, exchange: 0, sha256, bytes: exchange.body_bytes }))
            }
            _ => None,
        }
    }

    /// All that was taken out of the go command's traffic, once the whole recording was read.
    #[must_use]
    pub fn finish(&mut self, case: &Case) -> Downloaded {
        let places: HashMap<Key, usize> =
            case.exchanges.iter().enumerate().map(|(index, exchange)| (key(exchange), index)).collect();
        let mut downloaded = Downloaded::default();
        for Taken { key, what } in std::mem::take(&mut self.taken) {
            let judged = case.connection(key.0).is_some_and(|connection| connection.relevance == Relevance::Go);
            let Some(&index) = places.get(&key).filter(|_| judged) else { continue };
            match what {
                What::Facts(mut facts) => {
                    if let Place::Answer { exchange, .. } = &mut facts.place {
                        *exchange = index;
                    }
                    if ModuleRequest::from_url(&key.3).is_none() {
                        redirected(&mut facts, case, &key.3);
                    }
                    downloaded.facts.push(facts);
                }
                What::Sumdb(host, path, bytes) => {
                    let name = database(&host, case.go.env.as_ref());
                    let known = downloaded.stores.iter_mut().find(|store| store.name == name);
                    let item = Item { origin: Origin::Exchange(index), content: Content::Bytes(bytes) };
                    match known {
                        Some(store) => store.add(&path, item),
                        None => {
                            let mut store = Store { name, ..Store::default() };
                            store.add(&path, item);
                            downloaded.stores.push(store);
                        }
                    }
                }
                What::Release(release) => downloaded.releases.push(DownloadedRelease { exchange: index, ..release }),
            }
        }
        downloaded
    }
}

/// Whether a line begins with the directive that every go.mod has (golang.org/x/mod/modfile).
fn is_go_mod(bytes: &[u8]) -> bool {
    bytes.split(|byte| *byte == b'\n').any(|line| line.trim_ascii_start().starts_with(b"module"))
}

/// The module that a request is about, where its names are valid.
fn module(request: &ModuleRequest) -> Option<ModuleVersion> {
    let module = ModuleVersion { path: request.path.clone()?, version: request.version.clone()? };
    module.check().is_ok().then_some(module)
}

/// A zip that some storage served must be the one that the redirect was about.
fn redirected(facts: &mut Facts, case: &Case, url: &str) {
    let mut from = case.exchanges.iter().filter(|exchange| exchange.header("location") == Some(url));
    let asked = from.find_map(|exchange| module(&ModuleRequest::from_url(&exchange.url)?));
    if let (Some(asked), Some(found)) = (asked, &facts.module)
        && asked != *found
    {
        let rule = format!("it is of {found}, and asked for was {asked}");
        facts.breaches.push(Breach { entry: String::new(), rule });
        facts.module = Some(asked);
    }
}

/// The path beneath a database's address, as its client writes it.
fn below_database(request: &ModuleRequest, url: &str) -> Option<String> {
    match request.kind {
        RequestKind::SumdbLatest => Some("latest".to_owned()),
        RequestKind::SumdbLookup => {
            let (path, version) = module(request)?.escaped()?;
            Some(format!("lookup/{path}@{version}"))
        }
        _ => {
            let path = url.split(['?', '#']).next()?;
            let (_, tile) = path.rsplit_once("/tile/")?;
            Some(format!("tile/{tile}"))
        }
    }
}

/// The name of the database that go asks under that name or host.
fn database(host: &str, env: Option<&GoEnv>) -> String {
    if host == "sum.golang.google.cn" {
        return "sum.golang.org".to_owned();
    }
    if let Some(env) = env
        && let SumDb::On { name, .. } = env.gosumdb()
        && env.sumdb_host().is_some_and(|known| known.eq_ignore_ascii_case(host))
    {
        return name;
    }
    host.to_owned()
}

#[cfg(test)]
mod tests;
