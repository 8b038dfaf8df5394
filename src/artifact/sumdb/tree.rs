//! The tree below one signed head: nodes that are proven by hashing up to its root.

use std::cell::RefCell;
use std::collections::HashMap;

use super::read::Tiles;
use crate::artifact::dirhash::Sha256;
use crate::artifact::tlog::{self, Head, Subtrees, Tile};

/// Why a head is not borne out by the tiles at hand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Unproven {
    /// These tiles are not there.
    Missing(Vec<Tile>),
    /// These tiles do not hash to its root.
    Contradicted(Vec<Tile>),
}

type Proven<'a> = HashMap<(u32, u64), Option<&'a [Sha256]>>;

/// The tree of a head, as far as it is proven.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub(super) head: Head,
    tiles: &'a Tiles<'a>,
    /// The nodes of tiles as wide as they are in this tree, by level and number; `None` where they are not proven.
    proven: RefCell<Proven<'a>>,
    /// Of each level the tile at which a smaller tree was cut last: heads come sorted, and the next cut is near.
    cut: RefCell<HashMap<u32, (u64, Subtrees)>>,
}

/// Ways to choose among differing files of the tiles at an edge that are tried.
const MAX_CHOICES: usize = 64;

impl<'a> Tree<'a> {
    /// Proves a head with the tiles at its right edge.
    pub(super) fn prove(head: Head, tiles: &'a Tiles<'a>) -> Result<Self, Unproven> {
        let edge: Vec<Tile> = tlog::edge(head.size).collect();
        let candidates: Vec<Vec<&[Sha256]>> = edge.iter().map(|tile| tiles.candidates(*tile)).collect();
        let missing: Vec<Tile> =
            edge.iter().zip(&candidates).filter(|(_, found)| found.is_empty()).map(|(tile, _)| *tile).collect();
        if !missing.is_empty() {
            return Err(Unproven::Missing(missing));
        }
        let ways = candidates.iter().fold(1_usize, |ways, found| ways.saturating_mul(found.len())).min(MAX_CHOICES);
        let subtrees: Vec<Vec<Subtrees>> =
            candidates.iter().map(|found| found.iter().map(|nodes| Subtrees::new(nodes)).collect()).collect();
        for way in 0..ways {
            let mut rest = way;
            let choice: Vec<usize> = candidates
                .iter()
                .filter_map(|found| {
                    let choice = rest.checked_rem(found.len());
                    rest = rest.checked_div(found.len())?;
                    choice
                })
                .collect();
            let chosen = subtrees.iter().zip(&choice).filter_map(|(found, choice)| found.get(*choice));
            if tlog::root(chosen.zip(edge.iter().map(|tile| tile.width))) == head.root {
                let places = edge.iter().map(|tile| (tile.level, tile.number));
                let chosen = candidates.iter().zip(choice).map(|(found, choice)| found.get(choice).copied());
                let proven = RefCell::new(places.zip(chosen).collect());
                return Ok(Self { head, tiles, proven, cut: RefCell::default() });
            }
        }
        Err(Unproven::Contradicted(edge))
    }

    /// The first nodes of a tile, as many as it has, if the tiles at hand prove them.
    pub(super) fn nodes(&self, tile: Tile) -> Option<&'a [Sha256]> {
        self.known(tile)?.get(..usize::from(tile.width))
    }

    /// All nodes that the tree has in that place, if the tiles at hand prove them.
    pub(super) fn known(&self, tile: Tile) -> Option<&'a [Sha256]> {
        let place = (tile.level, tile.number);
        if let Some(known) = self.proven.borrow().get(&place) {
            return *known;
        }
        // The tiles at the edge are known from the start; all others are full.
        let found = self.above(tile).and_then(|above| {
            let full = self.tiles.candidates(Tile { width: 256, ..tile });
            full.into_iter().find(|nodes| tlog::of_full(nodes) == Some(above))
        });
        self.proven.borrow_mut().insert(place, found);
        found
    }

    /// The node that stands for a full tile, if it is proven.
    pub(super) fn above(&self, tile: Tile) -> Option<Sha256> {
        tile.in_tree(self.head.size).filter(|tile| tile.width == 256)?;
        self.nodes(tile.parent()?)?.last().copied()
    }

    /// The root of a smaller tree, if the tiles at hand prove it.
    pub(super) fn root_of(&self, size: u64) -> Result<Sha256, Vec<Tile>> {
        let missing: Vec<Tile> = tlog::edge(size).filter(|tile| self.nodes(*tile).is_none()).collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        let mut cut = self.cut.borrow_mut();
        for tile in tlog::edge(size) {
            if cut.get(&tile.level).is_none_or(|(number, _)| *number != tile.number) {
                let nodes = self.known(tile).unwrap_or_default();
                cut.insert(tile.level, (tile.number, Subtrees::new(nodes)));
            }
        }
        let edge = tlog::edge(size).filter_map(|tile| Some((&cut.get(&tile.level)?.1, tile.width)));
        Ok(tlog::root(edge))
    }

    /// The hash of a record, if the tiles at hand prove it.
    pub(super) fn record(&self, id: u64) -> Result<Sha256, Tile> {
        let tile = Tile::of_record(id);
        self.nodes(tile).and_then(|nodes| nodes.last().copied()).ok_or(tile)
    }
}
