//! The tree below one signed head: nodes that are proven by hashing up to its root.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use super::Item;
use crate::artifact::dirhash::Sha256;
use crate::artifact::tlog::{self, Head, Tile};

/// Why a head is not borne out by the tiles at hand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Unproven {
    /// These tiles are not there.
    Missing(Vec<Tile>),
    /// These tiles do not hash to its root.
    Contradicted(Vec<Tile>),
}

/// Tiles at hand, read when they are needed.
#[derive(Debug)]
pub(super) struct Tiles<'a> {
    files: &'a BTreeMap<Tile, Vec<Item>>,
    read: RefCell<HashMap<Tile, Vec<Option<Vec<Sha256>>>>>,
}

impl<'a> Tiles<'a> {
    pub(super) fn new(files: &'a BTreeMap<Tile, Vec<Item>>) -> Self {
        Self { files, read: RefCell::default() }
    }

    /// The contents of the files for exactly that tile, `None` for each that is malformed.
    pub(super) fn exact(&self, tile: Tile) -> Vec<Option<Vec<Sha256>>> {
        if let Some(known) = self.read.borrow().get(&tile) {
            return known.clone();
        }
        let items = self.files.get(&tile).map(Vec::as_slice).unwrap_or_default();
        let read: Vec<_> =
            items.iter().map(|item| item.content.read().ok().and_then(|content| tlog::nodes(tile, &content))).collect();
        self.read.borrow_mut().insert(tile, read.clone());
        read
    }

    /// What might be the first nodes of a tile: from files as wide as it is first, then from wider ones.
    fn candidates(&self, tile: Tile) -> Vec<Vec<Sha256>> {
        let widest = Tile { width: 256, ..tile };
        let mut candidates: Vec<Vec<Sha256>> = Vec::new();
        for (known, _) in self.files.range(tile..=widest) {
            for nodes in self.exact(*known).into_iter().flatten() {
                let nodes = nodes.get(..usize::from(tile.width)).map(<[Sha256]>::to_vec);
                candidates.extend(nodes.filter(|nodes| !candidates.contains(nodes)));
            }
        }
        candidates
    }
}

/// The tree of a head, as far as it is proven.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub(super) head: Head,
    tiles: &'a Tiles<'a>,
    /// The first nodes of tiles, by level and number.
    proven: RefCell<HashMap<(u32, u64), Vec<Sha256>>>,
}

/// Ways to choose among differing files of the tiles at an edge that are tried.
const MAX_CHOICES: usize = 64;

impl<'a> Tree<'a> {
    /// Proves a head with the tiles at its right edge.
    pub(super) fn prove(head: Head, tiles: &'a Tiles<'a>) -> Result<Self, Unproven> {
        let edge: Vec<Tile> = tlog::edge(head.size).collect();
        let candidates: Vec<Vec<Vec<Sha256>>> = edge.iter().map(|tile| tiles.candidates(*tile)).collect();
        let missing: Vec<Tile> =
            edge.iter().zip(&candidates).filter(|(_, found)| found.is_empty()).map(|(tile, _)| *tile).collect();
        if !missing.is_empty() {
            return Err(Unproven::Missing(missing));
        }
        let ways = candidates.iter().fold(1_usize, |ways, found| ways.saturating_mul(found.len())).min(MAX_CHOICES);
        for way in 0..ways {
            let mut rest = way;
            let chosen: Vec<Vec<Sha256>> = candidates
                .iter()
                .filter_map(|found| {
                    let choice = found.get(rest.checked_rem(found.len())?).cloned();
                    rest = rest.checked_div(found.len())?;
                    choice
                })
                .collect();
            if tlog::root(&chosen) == head.root {
                let proven = edge.iter().map(|tile| (tile.level, tile.number)).zip(chosen).collect();
                return Ok(Self { head, tiles, proven: RefCell::new(proven) });
            }
        }
        Err(Unproven::Contradicted(edge))
    }

    /// So many first nodes of a tile, if the tiles at hand prove them.
    pub(super) fn nodes(&self, tile: Tile) -> Option<Vec<Sha256>> {
        let width = usize::from(tile.width);
        let place = (tile.level, tile.number);
        let of = |nodes: &Vec<Sha256>| nodes.get(..width).map(<[Sha256]>::to_vec);
        if let Some(known) = self.proven.borrow().get(&place).and_then(of) {
            return Some(known);
        }
        let above = self.above(tile)?;
        let full = Tile { width: 256, ..tile };
        let found = self.tiles.candidates(full).into_iter().find(|nodes| tlog::of_full(nodes) == Some(above))?;
        let nodes = of(&found);
        self.proven.borrow_mut().insert(place, found);
        nodes
    }

    /// The node that stands for a full tile, if it is proven.
    pub(super) fn above(&self, tile: Tile) -> Option<Sha256> {
        let nodes = self.head.size.checked_shr(8_u32.checked_mul(tile.level.checked_add(1)?)?)?;
        if tile.number >= nodes || tile.level >= 7 {
            return None;
        }
        let place = u16::try_from(tile.number & 0xff).ok()?;
        let parent = Tile { level: tile.level.checked_add(1)?, number: tile.number >> 8, width: place.checked_add(1)? };
        self.nodes(parent)?.last().copied()
    }

    /// The proven nodes of that place, however many.
    pub(super) fn known(&self, tile: Tile) -> Option<Vec<Sha256>> {
        self.proven.borrow().get(&(tile.level, tile.number)).cloned()
    }

    /// The root of a smaller tree, if the tiles at hand prove it.
    pub(super) fn root_of(&self, size: u64) -> Result<Sha256, Vec<Tile>> {
        let (mut nodes, mut missing) = (Vec::new(), Vec::new());
        for tile in tlog::edge(size) {
            match self.nodes(tile) {
                Some(found) => nodes.push(found),
                None => missing.push(tile),
            }
        }
        if missing.is_empty() { Ok(tlog::root(&nodes)) } else { Err(missing) }
    }

    /// The hash of a record, if the tiles at hand prove it.
    pub(super) fn record(&self, id: u64) -> Result<Sha256, Tile> {
        let width = u16::try_from(id & 0xff).unwrap_or(0).saturating_add(1);
        let tile = Tile { level: 0, number: id >> 8, width };
        self.nodes(tile).and_then(|nodes| nodes.last().copied()).ok_or(tile)
    }
}
