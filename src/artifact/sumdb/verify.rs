//! Holds the lookups, heads and tiles of a database against each other.

use std::collections::BTreeMap;

use super::tree::{Tiles, Tree, Unproven};
use super::{Item, Record, Store, Verified, all_agree};
use crate::artifact::dirhash::{hex, sha256};
use crate::artifact::gosum::{GoSum, Part};
use crate::artifact::module::ModuleVersion;
use crate::artifact::note::{self, NoteError, VerifierKey};
use crate::artifact::tlog::{self, Head, Lookup, Tile};
use crate::observation::artifact::{Artifact, ArtifactKind, Check, CheckResult, Difference, Yardstick};

/// Tiles that are named where several are missing or wrong.
const NAMED: usize = 4;

/// Verifies everything that a store holds with those of the keys that are the database's own.
///
/// Without a key of that name nothing is proven, and all that hangs on signatures is left open.
#[must_use]
pub fn verify(store: &Store, keys: &[VerifierKey]) -> Verified {
    let keys: Vec<VerifierKey> = keys.iter().filter(|key| key.name() == store.name).cloned().collect();
    let tiles = Tiles::new(&store.tiles);
    let notes = Notes::read(store, &keys);
    let heads = Heads::of(&notes, &tiles);
    let judge = Judge { store, keys: &keys, heads: &heads };
    let mut verified = Verified::default();
    for (item, read) in store.heads.iter().zip(&notes.heads) {
        verified.artifacts.push(judge.head(item, read, notes.newest_lookup()));
    }
    for ((module, item), read) in store.lookups.iter().zip(&notes.lookups) {
        let (artifact, record) = judge.lookup(module, item, read);
        verified.artifacts.push(artifact);
        if let Some(record) = record {
            let known = verified.records.entry(module.clone()).or_default();
            // What came lies in the cache as well: it is one record.
            if !known.contains(&record) {
                known.push(record);
            }
        }
    }
    verified.artifacts.extend(judge.tiles(&tiles));
    verified
}

/// What a note comes to.
type Signed = Result<Head, NoteError>;

/// A lookup as it was read.
struct Answer {
    id: u64,
    record: String,
    head: Signed,
}

/// All notes of a store.
struct Notes {
    heads: Vec<Result<Signed, String>>,
    lookups: Vec<Result<Answer, String>>,
}

impl Notes {
    fn read(store: &Store, keys: &[VerifierKey]) -> Self {
        let bytes = |item: &Item| item.content.read().map_err(|error| format!("cannot be read: {error}"));
        let heads = store.heads.iter().map(|item| Ok(head_of(&bytes(item)?, keys))).collect();
        let lookups = store
            .lookups
            .iter()
            .map(|(_, item)| {
                let bytes = bytes(item)?;
                let lookup = Lookup::parse(&bytes).map_err(|rule| format!("malformed: {rule}"))?;
                Ok(Answer { id: lookup.id, record: lookup.record.to_owned(), head: head_of(lookup.note, keys) })
            })
            .collect();
        Self { heads, lookups }
    }

    fn signed(&self) -> impl Iterator<Item = Head> {
        let heads = self.heads.iter().flatten().flatten();
        let lookups = self.lookups.iter().flatten().filter_map(|answer| answer.head.as_ref().ok());
        heads.chain(lookups).copied()
    }

    fn newest_lookup(&self) -> Option<Head> {
        self.lookups.iter().flatten().filter_map(|answer| answer.head.as_ref().ok()).max().copied()
    }
}

fn head_of(bytes: &[u8], keys: &[VerifierKey]) -> Signed {
    let text = note::open(bytes, keys)?;
    Head::parse(text).ok_or(NoteError::Malformed("a signed text that is no tree head"))
}

/// How a signed head stands to the others.
enum Standing {
    /// It is the one that the others are held against, or was proven to be an earlier state of it.
    Consistent,
    /// These tiles would be needed to tell.
    Open(Vec<Tile>),
    /// A head of the same log cannot have this root.
    Forked(Head),
    /// The tiles at hand do not hash to it.
    Contradicted(Vec<Tile>),
}

/// All signed heads of a store, and the trees that the tiles prove.
struct Heads<'a> {
    /// The tree of the largest head that the tiles bear out.
    base: Option<Tree<'a>>,
    /// Trees of heads that the base does not cover.
    others: BTreeMap<Head, Tree<'a>>,
    standing: BTreeMap<Head, Standing>,
}

impl<'a> Heads<'a> {
    fn of(notes: &Notes, tiles: &'a Tiles<'a>) -> Self {
        let mut all: Vec<Head> = notes.signed().collect();
        all.sort_by(|one, other| other.cmp(one));
        all.dedup();
        let mut heads = Self { base: None, others: BTreeMap::new(), standing: BTreeMap::new() };
        let twin = |head: &Head| all.iter().find(|other| other.size == head.size && other.root != head.root).copied();
        for head in &all {
            let standing = match twin(head) {
                Some(twin) => Standing::Forked(twin),
                None => heads.place(*head, tiles),
            };
            heads.standing.insert(*head, standing);
        }
        heads
    }

    /// Where a head belongs, given all larger ones.
    fn place(&mut self, head: Head, tiles: &'a Tiles<'a>) -> Standing {
        let Some(base) = &self.base else {
            return match Tree::prove(head, tiles) {
                Ok(tree) => {
                    self.base = Some(tree);
                    Standing::Consistent
                }
                Err(Unproven::Missing(missing)) => Standing::Open(missing),
                Err(Unproven::Contradicted(wrong)) => Standing::Contradicted(wrong),
            };
        };
        match base.root_of(head.size) {
            Ok(root) if root == head.root => Standing::Consistent,
            Ok(_) => Standing::Forked(base.head),
            Err(missing) => match Tree::prove(head, tiles) {
                Ok(tree) => {
                    self.others.insert(head, tree);
                    Standing::Open(missing)
                }
                Err(Unproven::Missing(_)) => Standing::Open(missing),
                Err(Unproven::Contradicted(wrong)) => Standing::Contradicted(wrong),
            },
        }
    }

    /// The tree to look a record up in, for an answer with that head.
    fn tree_for(&self, head: &Head) -> Option<&Tree<'a>> {
        match self.standing.get(head) {
            Some(Standing::Consistent) => self.base.as_ref(),
            _ => self.others.get(head),
        }
    }

    fn trees(&self) -> impl Iterator<Item = &Tree<'a>> {
        self.base.iter().chain(self.others.values())
    }
}

struct Judge<'a> {
    store: &'a Store,
    keys: &'a [VerifierKey],
    heads: &'a Heads<'a>,
}

impl Judge<'_> {
    fn head(&self, item: &Item, read: &Result<Signed, String>, lookup: Option<Head>) -> Artifact {
        let mut checks = Vec::new();
        let mut name = format!("{} head", self.store.name);
        match read {
            Err(why) => checks.push(Check::open(Yardstick::HeadSignature, "", why.clone())),
            Ok(signed) => {
                checks.push(self.signature(signed, "altered_head"));
                if let Ok(head) = signed {
                    name = format!("{} head of {} records", self.store.name, head.size);
                    checks.push(self.consistency(head));
                    if let Some(newer) = lookup.filter(|newer| newer.size > head.size) {
                        checks.push(stale(head, &newer));
                    }
                }
            }
        }
        artifact(ArtifactKind::SumdbHead, name, item, checks)
    }

    fn signature(&self, signed: &Signed, altered: &'static str) -> Check {
        let with = self.keys.first().map_or_else(String::new, |_| format!("the key of {}", self.store.name));
        let wrong = |fault, note: String| {
            Check::differs(Yardstick::HeadSignature, with.clone(), Difference { fault, note, ..Difference::default() })
        };
        match signed {
            Ok(_) => Check::agrees(Yardstick::HeadSignature, with),
            Err(error @ NoteError::Unverified { .. }) if self.keys.is_empty() => Check::open(
                Yardstick::HeadSignature,
                with,
                format!("the key of {} is not known: {error}", self.store.name),
            ),
            Err(error @ NoteError::Unverified { .. }) => wrong("unknown_key", error.to_string()),
            Err(error @ NoteError::Signature { .. }) => wrong("wrong_signature", error.to_string()),
            Err(error) => wrong(altered, error.to_string()),
        }
    }

    fn consistency(&self, head: &Head) -> Check {
        let base = self.heads.base.as_ref().map(|tree| tree.head);
        let with = match base {
            Some(base) if base != *head => format!("the head of {} records", base.size),
            _ => format!("the tiles of {} records", head.size),
        };
        let wrong = |fault, note| {
            let difference = Difference { fault, note, found: Some(hex(&head.root)), ..Difference::default() };
            Check::differs(Yardstick::Consistency, with.clone(), difference)
        };
        match self.heads.standing.get(head) {
            Some(Standing::Consistent) => Check::agrees(Yardstick::Consistency, with),
            None => Check::open(Yardstick::Consistency, with, "no signed head"),
            Some(Standing::Open(missing)) => {
                Check::open(Yardstick::Consistency, with, format!("missing: {}", listed(missing)))
            }
            Some(Standing::Forked(other)) => wrong(
                "forked_log",
                format!(
                    "two signed heads cannot belong to one log: {} records with root {}, and {} records",
                    head.size,
                    hex(&head.root),
                    other.size
                ),
            ),
            Some(Standing::Contradicted(tiles)) => {
                wrong("tampered_tile", format!("these tiles do not hash to the signed root: {}", listed(tiles)))
            }
        }
    }

    fn lookup(&self, module: &ModuleVersion, item: &Item, read: &Result<Answer, String>) -> (Artifact, Option<Record>) {
        let mut checks = Vec::new();
        let name = module.to_string();
        let answer = match read {
            Ok(answer) => answer,
            Err(why) => {
                let difference = Difference { fault: "altered_lookup", note: why.clone(), ..Difference::default() };
                checks.push(match why.starts_with("malformed") {
                    true => Check::differs(Yardstick::Format, "a lookup's answer", difference),
                    false => Check::open(Yardstick::Format, "a lookup's answer", why.clone()),
                });
                return (artifact(ArtifactKind::SumdbLookup, name, item, checks), None);
            }
        };
        checks.push(self.signature(&answer.head, "altered_lookup"));
        let (zip, go_mod, about) = about(module, answer);
        checks.push(about);
        match &answer.head {
            Ok(head) => {
                checks.push(self.consistency(head));
                checks.push(self.inclusion(answer, head));
            }
            Err(_) => {
                checks.push(Check::open(Yardstick::Inclusion, format!("record {}", answer.id), "no signed head"));
            }
        }
        let record = Record {
            id: answer.id,
            named: format!("{} record {}", self.store.name, answer.id),
            zip,
            go_mod,
            proven: all_agree(&checks),
            refuted: checks.iter().any(|check| matches!(check.result, CheckResult::Differs(_))),
        };
        (artifact(ArtifactKind::SumdbLookup, name, item, checks), Some(record))
    }

    fn inclusion(&self, answer: &Answer, head: &Head) -> Check {
        let with = format!("record {} of {}", answer.id, head.size);
        let wrong = |fault, expected, note: &str| {
            let found = Some(hex(&tlog::record_hash(answer.record.as_bytes())));
            let difference = Difference { fault, expected, found, note: note.to_owned(), ..Difference::default() };
            Check::differs(Yardstick::Inclusion, with.clone(), difference)
        };
        if answer.id >= head.size {
            return wrong("altered_lookup", None, "the signed tree has no record of that number");
        }
        let Some(tree) = self.heads.tree_for(head) else {
            return Check::open(Yardstick::Inclusion, with, "the tiles at hand prove no tree that holds it");
        };
        match tree.record(answer.id) {
            Ok(hash) if hash == tlog::record_hash(answer.record.as_bytes()) => {
                Check::agrees(Yardstick::Inclusion, with)
            }
            Ok(hash) => wrong("altered_lookup", Some(hex(&hash)), "the log holds another record under that number"),
            Err(tile) => Check::open(Yardstick::Inclusion, with, format!("not proven by the tiles at hand: {tile}")),
        }
    }

    /// Every tile file, held against the proven nodes of its place.
    fn tiles(&self, tiles: &Tiles<'_>) -> Vec<Artifact> {
        let mut artifacts = Vec::new();
        for (tile, items) in &self.store.tiles {
            for (item, nodes) in items.iter().zip(tiles.exact(*tile)) {
                let name = format!("{} {tile}", self.store.name);
                let check = match nodes {
                    None => Check::differs(
                        Yardstick::Format,
                        "a tile's size",
                        Difference {
                            fault: "tampered_tile",
                            note: format!("not {} hashes of 32 bytes", tile.width),
                            ..Difference::default()
                        },
                    ),
                    Some(nodes) => self.tile(*tile, &nodes),
                };
                artifacts.push(artifact(ArtifactKind::SumdbTile, name, item, vec![check]));
            }
        }
        for (name, item) in &self.store.strays {
            let note = "not the name of a tile".to_owned();
            let difference = Difference { fault: "malformed_tile", note, ..Difference::default() };
            let check = Check::differs(Yardstick::Format, "a tile's name", difference);
            artifacts.push(artifact(ArtifactKind::SumdbTile, format!("{} {name}", self.store.name), item, vec![check]));
        }
        artifacts
    }

    fn tile(&self, tile: Tile, nodes: &[[u8; 32]]) -> Check {
        let mut partly = false;
        for tree in self.heads.trees() {
            let with = format!("the signed tree of {} records", tree.head.size);
            let wrong = |note: String| {
                let difference = Difference { fault: "tampered_tile", note, ..Difference::default() };
                Check::differs(Yardstick::SignedTree, with.clone(), difference)
            };
            let proven = tree.nodes(tile).or_else(|| tree.known(tile)).unwrap_or_default();
            if let Some(at) = proven.iter().zip(nodes).position(|(one, other)| one != other) {
                return wrong(format!("hash {at} of the tile is not the signed tree's"));
            }
            if proven.len() >= nodes.len() {
                return Check::agrees(Yardstick::SignedTree, with);
            }
            partly |= !proven.is_empty();
            if let (256, Some(above)) = (tile.width, tree.above(tile)) {
                return if tlog::of_full(nodes) == Some(above) {
                    Check::agrees(Yardstick::SignedTree, with)
                } else {
                    wrong("the tile does not hash to the signed tree's".to_owned())
                };
            }
        }
        let why = if partly { "a signed head covers a part of it alone" } else { "no signed head at hand covers it" };
        Check::open(Yardstick::SignedTree, "", why)
    }
}

/// Whether an answer is about the module that it was asked for, and the hashes that it gives.
fn about(module: &ModuleVersion, answer: &Answer) -> (Option<String>, Option<String>, Check) {
    let with = format!("record {}", answer.id);
    let wrong = |note: String| {
        let difference = Difference { fault: "altered_lookup", note, ..Difference::default() };
        Check::differs(Yardstick::Format, with.clone(), difference)
    };
    let lines = match GoSum::parse(answer.record.as_bytes()) {
        Ok(lines) => lines,
        Err(error) => return (None, None, wrong(error.to_string())),
    };
    let hash = |part| lines.lines(module, part).first().map(|line| line.hash.clone());
    let (zip, go_mod) = (hash(Part::Zip), hash(Part::GoMod));
    let check = if zip.is_none() && go_mod.is_none() {
        wrong("checksum missing from sumdb response: no line is about the version".to_owned())
    } else {
        Check::agrees(Yardstick::Format, with)
    };
    (zip, go_mod, check)
}

fn stale(head: &Head, newer: &Head) -> Check {
    let note = format!("a head of {} records, while lookups beside it have seen {}", head.size, newer.size);
    let difference = Difference { fault: "stale_head", note, ..Difference::default() };
    Check::differs(Yardstick::Consistency, format!("the head of {} records", newer.size), difference)
}

fn listed(tiles: &[Tile]) -> String {
    let mut names: Vec<String> = tiles.iter().take(NAMED).map(Tile::to_string).collect();
    if let Some(rest) = tiles.len().checked_sub(NAMED).filter(|rest| *rest > 0) {
        names.push(format!("{rest} more"));
    }
    names.join(", ")
}

fn artifact(kind: ArtifactKind, name: String, item: &Item, checks: Vec<Check>) -> Artifact {
    let bytes = item.content.read().unwrap_or_default();
    let hash = Some(hex(&sha256(&bytes)));
    Artifact { kind, name, origin: item.origin.clone(), hash, bytes: bytes.len() as u64, checks }
}
