//! Holds the lookups, heads and tiles of a database against each other.

use std::collections::HashMap;

use super::heads::{Heads, Standing};
use super::read::{Answer, Fault, Notes, Read, Signed, Tiles};
use super::{Record, Store, Verified};
use crate::artifact::dirhash::{Sha256, hex};
use crate::artifact::module::ModuleVersion;
use crate::artifact::note::{NoteError, VerifierKey};
use crate::artifact::tlog::{self, Head, Tile};
use crate::observation::artifact::{Artifact, ArtifactKind, Check, CheckResult, Difference, Origin, Yardstick};

/// Tiles that are named where several are missing or wrong.
const NAMED: usize = 4;

/// Verifies everything that a store holds with those of the keys that are the database's own.
///
/// What go's client takes is taken, and what it refuses is not (golang.org/x/mod/sumdb, `Client`). Without a key of that name
/// nothing is proven, and all that hangs on signatures is left open.
#[must_use]
pub fn verify(store: &Store, keys: &[VerifierKey]) -> Verified {
    let keys: Vec<VerifierKey> = keys.iter().filter(|key| key.name() == store.name).cloned().collect();
    let tiles = Tiles::read(store);
    let notes = Notes::read(store, &keys);
    let heads = Heads::of(&notes, &tiles);
    let judge = Judge { store, keys: &keys, heads: &heads };
    let mut verified = Verified::default();
    for read in &notes.heads {
        verified.artifacts.push(judge.head(read, &notes));
    }
    for ((module, _), read) in store.lookups.iter().zip(&notes.lookups) {
        let (artifact, record) = judge.lookup(module, read);
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
    verified.artifacts.extend(judge.strays());
    verified
}

struct Judge<'a> {
    store: &'a Store,
    keys: &'a [VerifierKey],
    heads: &'a Heads<'a>,
}

impl Judge<'_> {
    fn head(&self, read: &Read<'_, Signed>, notes: &Notes<'_>) -> Artifact {
        let mut name = format!("{} head", self.store.name);
        let checks = match &read.found {
            Err(fault) => vec![unread(Yardstick::HeadSignature, "", fault, "altered_head")],
            Ok(signed) => {
                let mut checks = vec![self.signature(signed, "altered_head")];
                if let Ok(head) = signed {
                    name = format!("{} head of {} records", self.store.name, head.size);
                    checks.push(self.consistency(head));
                    checks.extend(stale(head, read, notes));
                }
                checks
            }
        };
        artifact(ArtifactKind::SumdbHead, name, read, checks)
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
        match self.heads.standing(head) {
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
            // Which of them is wrong is told of the tiles.
            Some(Standing::Contradicted(tiles)) => {
                let why = format!("these tiles do not hash to the signed root: {}", listed(tiles));
                Check::open(Yardstick::Consistency, with, why)
            }
        }
    }

    fn lookup(&self, module: &ModuleVersion, read: &Read<'_, Answer>) -> (Artifact, Option<Record>) {
        let name = module.to_string();
        let answer = match &read.found {
            Ok(answer) => answer,
            Err(fault) => {
                let check = unread(Yardstick::Format, "a lookup's answer", fault, "altered_lookup");
                return (artifact(ArtifactKind::SumdbLookup, name, read, vec![check]), None);
            }
        };
        let signature = match &answer.head {
            Some(signed) => self.signature(signed, "altered_lookup"),
            None => Check::open(Yardstick::HeadSignature, "", "it ends without the signed head that databases send"),
        };
        let (zip, go_mod, about) = about(module, answer);
        // The gravest fault comes first: a fork is the database's own.
        let mut checks = vec![signature];
        if let Some(Ok(head)) = &answer.head {
            checks.push(self.consistency(head));
        }
        checks.push(about);
        checks.push(match &answer.head {
            Some(Err(_)) => Check::open(Yardstick::Inclusion, format!("record {}", answer.id), "no signed head"),
            Some(Ok(head)) => self.inclusion(answer, Some(head)),
            None => self.inclusion(answer, None),
        });
        let agrees = |yardstick| {
            let mut checks = checks.iter();
            checks.any(|check| check.yardstick == yardstick && check.result == CheckResult::Agrees)
        };
        let refuted = checks.iter().any(|check| matches!(check.result, CheckResult::Differs(_)));
        let record = Record {
            id: answer.id,
            named: format!("{} record {}", self.store.name, answer.id),
            zip,
            go_mod,
            proven: !refuted && agrees(Yardstick::HeadSignature) && agrees(Yardstick::Inclusion),
            refuted,
        };
        (artifact(ArtifactKind::SumdbLookup, name, read, checks), Some(record))
    }

    /// Whether the log holds the record. As go does it, the newest tree that is known is asked, which may know of records
    /// that the answer's own head does not.
    fn inclusion(&self, answer: &Answer, head: Option<&Head>) -> Check {
        let tree = self.heads.tree_for(head);
        let size = tree.map(|tree| tree.head.size).max(head.map(|head| head.size)).unwrap_or(0);
        let with = format!("record {} of {size}", answer.id);
        let wrong = |expected, note: &str| {
            let found = Some(hex(&tlog::record_hash(answer.record.as_bytes())));
            let difference =
                Difference { fault: "altered_lookup", expected, found, note: note.to_owned(), ..Difference::default() };
            Check::differs(Yardstick::Inclusion, with.clone(), difference)
        };
        if head.is_some() && answer.id >= self.heads.largest() {
            return wrong(None, "no signed tree has a record of that number");
        }
        let Some(tree) = tree.filter(|tree| answer.id < tree.head.size) else {
            return Check::open(Yardstick::Inclusion, with, "the tiles at hand prove no tree that holds it");
        };
        match tree.record(answer.id) {
            Ok(hash) if hash == tlog::record_hash(answer.record.as_bytes()) => {
                Check::agrees(Yardstick::Inclusion, with)
            }
            Ok(hash) => wrong(Some(hex(&hash)), "the log holds another record under that number"),
            Err(tile) => Check::open(Yardstick::Inclusion, with, format!("not proven by the tiles at hand: {tile}")),
        }
    }

    /// Every tile file, held against the proven nodes of its place.
    fn tiles(&self, tiles: &Tiles<'_>) -> Vec<Artifact> {
        let suspects = self.heads.suspects();
        let of = |files: &[Read<'_, Vec<Sha256>>], tile: Tile, name: &str, suspects: &Suspects| {
            let artifacts: Vec<Artifact> = files
                .iter()
                .map(|read| {
                    let check = match &read.found {
                        Err(fault) => unread(Yardstick::Format, "a tile", fault, "tampered_tile"),
                        Ok(nodes) => self.tile(tile, nodes, suspects),
                    };
                    artifact(ArtifactKind::SumdbTile, format!("{} {name}", self.store.name), read, vec![check])
                })
                .collect();
            artifacts
        };
        let hashes = tiles.hashes.iter().flat_map(|(tile, files)| of(files, *tile, &tile.to_string(), &suspects));
        let nobody = Suspects::new();
        let data = tiles.data.iter().flat_map(|(tile, files)| {
            let name = tile.to_string().replacen("tile/8/0/", "tile/8/data/", 1);
            of(files, *tile, &name, &nobody)
        });
        hashes.chain(data).collect()
    }

    fn tile(&self, tile: Tile, nodes: &[Sha256], suspects: &Suspects) -> Check {
        let mut why = "no signed head at hand covers it";
        for tree in self.heads.trees_over(tile) {
            let with = format!("the signed tree of {} records", tree.head.size);
            let wrong = |note: String| {
                let difference = Difference { fault: "tampered_tile", note, ..Difference::default() };
                Check::differs(Yardstick::SignedTree, with.clone(), difference)
            };
            let Some(inside) = tile.in_tree(tree.head.size) else { continue };
            let proven = tree.known(tile).unwrap_or_default();
            if let Some(at) = proven.iter().zip(nodes).position(|(one, other)| one != other) {
                return wrong(format!("hash {at} of the tile is not the signed tree's"));
            }
            if proven.len() >= nodes.len() {
                return Check::agrees(Yardstick::SignedTree, with);
            }
            if let (256, Some(above)) = (tile.width, tree.above(tile)) {
                return if tlog::of_full(nodes) == Some(above) {
                    Check::agrees(Yardstick::SignedTree, with)
                } else {
                    wrong("the tile does not hash to the signed tree's".to_owned())
                };
            }
            why = match (inside.width < tile.width, tile.width) {
                (true, _) => "the signed heads at hand cover a part of it alone",
                (_, 256) => "the tiles above it, which would prove it, are not at hand",
                _ => "the full tile of that place and those above it, which would prove it, are not at hand",
            };
        }
        match suspects.get(&(tile.level, tile.number)) {
            Some((head, edge)) if edge.width <= tile.width => {
                let note = format!(
                    "with the other tiles at the edge of the signed tree of {} records, it does not hash to its root",
                    head.size
                );
                let difference = Difference { fault: "tampered_tile", note, ..Difference::default() };
                Check::differs(Yardstick::SignedTree, format!("the signed tree of {} records", head.size), difference)
            }
            _ => Check::open(Yardstick::SignedTree, "", why),
        }
    }

    /// What lies between them and is not looked at.
    fn strays(&self) -> impl Iterator<Item = Artifact> {
        self.store.strays.iter().map(|(place, item, why)| Artifact {
            kind: if place.starts_with("tile") { ArtifactKind::SumdbTile } else { ArtifactKind::SumdbLookup },
            name: format!("{} {place}", self.store.name),
            origin: item.origin.clone(),
            hash: None,
            bytes: 0,
            checks: vec![Check::open(Yardstick::Format, "", why.clone())],
        })
    }
}

/// Places of tiles that contradict a head, with it and the tile that it needs there.
type Suspects = HashMap<(u32, u64), (Head, Tile)>;

/// What was found nothing in: left open where there are no bytes, wrong where they break a rule.
fn unread(yardstick: Yardstick, with: &str, fault: &Fault, word: &'static str) -> Check {
    match fault {
        Fault::Unread(why) => Check::open(yardstick, with, why.clone()),
        Fault::Malformed(rule) => {
            let note = format!("malformed: {rule}");
            Check::differs(yardstick, with, Difference { fault: word, note, ..Difference::default() })
        }
    }
}

/// Whether an answer is about the module that it was asked for, and the hashes that it gives: those of go.sum lines, of
/// which go takes the first `h1:` (modfetch `checkSumDB`). Other lines of the record say nothing to go.
fn about(module: &ModuleVersion, answer: &Answer) -> (Option<String>, Option<String>, Check) {
    let with = format!("record {}", answer.id);
    let hash = |suffix: &str| {
        let start = format!("{} {}{suffix} ", module.path, module.version);
        let mut hashes = answer.record.lines().filter_map(|line| line.strip_prefix(&start));
        hashes.find(|hash| hash.starts_with("h1:")).map(str::to_owned)
    };
    let (zip, go_mod) = (hash(""), hash("/go.mod"));
    let check = if zip.is_none() && go_mod.is_none() {
        let note = "checksum missing from sumdb response: no line is about the version".to_owned();
        let difference = Difference { fault: "altered_lookup", note, ..Difference::default() };
        Check::differs(Yardstick::Format, with, difference)
    } else {
        Check::agrees(Yardstick::Format, with)
    };
    (zip, go_mod, check)
}

/// Whether a head that is told as the latest is older than what lookups at the same place have seen.
fn stale(head: &Head, read: &Read<'_, Signed>, notes: &Notes<'_>) -> Option<Check> {
    let beside = |origin: &Origin| match (&read.item.origin, origin) {
        (Origin::Path(head), Origin::Path(lookup)) => head
            .strip_suffix("latest")
            .and_then(|root| lookup.strip_prefix(root))
            .is_some_and(|below| below.starts_with("lookup")),
        (Origin::Exchange(_), Origin::Exchange(_)) => true,
        _ => false,
    };
    let newer = notes.answered().filter(|(_, newer)| newer.size > head.size);
    let newest = newer.filter(|(item, _)| beside(&item.origin)).map(|(_, newer)| newer.size).max()?;
    let note = format!("a head of {} records, while lookups beside it have seen {newest}", head.size);
    let difference = Difference { fault: "stale_head", note, ..Difference::default() };
    Some(Check::differs(Yardstick::Consistency, format!("the head of {newest} records"), difference))
}

fn listed(tiles: &[Tile]) -> String {
    let mut names: Vec<String> = tiles.iter().take(NAMED).map(Tile::to_string).collect();
    if let Some(rest) = tiles.len().checked_sub(NAMED).filter(|rest| *rest > 0) {
        names.push(format!("{rest} more"));
    }
    names.join(", ")
}

fn artifact<T>(kind: ArtifactKind, name: String, read: &Read<'_, T>, checks: Vec<Check>) -> Artifact {
    Artifact { kind, name, origin: read.item.origin.clone(), hash: read.hash.clone(), bytes: read.bytes, checks }
}
