//! The files of a database as they are read: once each, by several threads.

use std::collections::BTreeMap;

use super::{Item, Store};
use crate::artifact::dirhash::{Sha256, hex, sha256};
use crate::artifact::note::{self, NoteError, VerifierKey};
use crate::artifact::tlog::{self, Head, Lookup, Tile};

/// Lookups that a thread is worth: verifying a signature takes some fifty microseconds.
const WORTH: usize = 64;

/// A file, and what was found in it.
#[derive(Debug)]
pub(super) struct Read<'a, T> {
    pub(super) item: &'a Item,
    pub(super) found: Result<T, Fault>,
    /// SHA-256, of what could be read.
    pub(super) hash: Option<String>,
    pub(super) bytes: u64,
}

/// Why nothing was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// There are no bytes, for this reason.
    Unread(String),
    /// The bytes break this rule.
    Malformed(String),
}

impl<'a, T> Read<'a, T> {
    pub(super) fn new(item: &'a Item, parse: impl FnOnce(&[u8]) -> Result<T, String>) -> Self {
        match item.content.read() {
            Err(why) => Self { item, found: Err(Fault::Unread(why.to_string())), hash: None, bytes: 0 },
            Ok(bytes) => Self {
                item,
                found: parse(&bytes).map_err(Fault::Malformed),
                hash: Some(hex(&sha256(&bytes))),
                bytes: bytes.len() as u64,
            },
        }
    }
}

/// What a note comes to.
pub(super) type Signed = Result<Head, NoteError>;

/// A lookup as it was read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) id: u64,
    pub(super) record: String,
    /// `None` where the answer ends with the record.
    pub(super) head: Option<Signed>,
}

/// All notes of a store.
#[derive(Debug)]
pub(super) struct Notes<'a> {
    pub(super) heads: Vec<Read<'a, Signed>>,
    pub(super) lookups: Vec<Read<'a, Answer>>,
}

impl<'a> Notes<'a> {
    pub(super) fn read(store: &'a Store, keys: &[VerifierKey]) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = store.lookups.len().div_ceil(threads).max(WORTH);
        let lookups = std::thread::scope(|scope| {
            let shares: Vec<_> = store
                .lookups
                .chunks(share)
                .map(|share| scope.spawn(|| share.iter().map(|(_, item)| answer(item, keys)).collect::<Vec<_>>()))
                .collect();
            let join = |share: std::thread::ScopedJoinHandle<'_, Vec<Read<'a, Answer>>>| {
                share.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            shares.into_iter().flat_map(join).collect()
        });
        let heads = store.heads.iter().map(|item| Read::new(item, |bytes| Ok(head_of(bytes, keys)))).collect();
        Self { heads, lookups }
    }

    /// The heads of answers, each with its answer's file.
    pub(super) fn answered(&self) -> impl Iterator<Item = (&'a Item, Head)> {
        self.lookups.iter().filter_map(|read| match read.found.as_ref().ok()?.head {
            Some(Ok(head)) => Some((read.item, head)),
            _ => None,
        })
    }

    /// All heads that are signed.
    pub(super) fn signed(&self) -> impl Iterator<Item = Head> {
        let heads = self.heads.iter().filter_map(|read| read.found.as_ref().ok()?.as_ref().ok().copied());
        heads.chain(self.answered().map(|(_, head)| head))
    }
}

fn answer<'a>(item: &'a Item, keys: &[VerifierKey]) -> Read<'a, Answer> {
    Read::new(item, |bytes| {
        let lookup = Lookup::parse(bytes)?;
        let head = (!lookup.note.is_empty()).then(|| head_of(lookup.note, keys));
        Ok(Answer { id: lookup.id, record: lookup.record.to_owned(), head })
    })
}

fn head_of(bytes: &[u8], keys: &[VerifierKey]) -> Signed {
    let text = note::open(bytes, keys)?;
    Head::parse(text).ok_or(NoteError::Malformed("a signed text that is no tree head"))
}

/// The tiles of a store.
#[derive(Debug)]
pub(super) struct Tiles<'a> {
    pub(super) hashes: BTreeMap<Tile, Vec<Read<'a, Vec<Sha256>>>>,
    /// Hashes of the records in data tiles.
    pub(super) data: BTreeMap<Tile, Vec<Read<'a, Vec<Sha256>>>>,
}

impl<'a> Tiles<'a> {
    pub(super) fn read(store: &'a Store) -> Self {
        let hashes = |tile: Tile, bytes: &[u8]| {
            tlog::nodes(tile, bytes).ok_or_else(|| format!("not {} hashes of 32 bytes", tile.width))
        };
        let data = |tile: Tile, bytes: &[u8]| Ok(tlog::data_nodes(tile, bytes)?);
        Self { hashes: each(&store.tiles, hashes), data: each(&store.data, data) }
    }

    /// What might be the first nodes of a tile: from files as wide as it is first, then from wider ones.
    pub(super) fn candidates(&self, tile: Tile) -> Vec<&[Sha256]> {
        let mut candidates: Vec<&[Sha256]> = Vec::new();
        for (_, files) in self.hashes.range(tile..=Tile { width: 256, ..tile }) {
            for read in files {
                let nodes = read.found.as_ref().ok().and_then(|nodes| nodes.get(..usize::from(tile.width)));
                candidates.extend(nodes.filter(|nodes| !candidates.contains(nodes)));
            }
        }
        candidates
    }
}

fn each<'a>(
    tiles: &'a BTreeMap<Tile, Vec<Item>>,
    parse: impl Fn(Tile, &[u8]) -> Result<Vec<Sha256>, String>,
) -> BTreeMap<Tile, Vec<Read<'a, Vec<Sha256>>>> {
    let read = |tile: Tile, items: &'a Vec<Item>| {
        let files = items.iter().map(|item| Read::new(item, |bytes| parse(tile, bytes))).collect();
        (tile, files)
    };
    tiles.iter().map(|(tile, items)| read(*tile, items)).collect()
}
