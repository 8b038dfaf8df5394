//! What must be asked of a database so that everything that it answers can be proven.

use std::collections::BTreeSet;

use super::Store;
use super::read::{Notes, Tiles};
use crate::artifact::note::{self, VerifierKey};
use crate::artifact::tlog::{self, Tile};

impl Store {
    /// The names beneath its notes, whether or not they have signed them.
    #[must_use]
    pub fn signers(&self) -> BTreeSet<String> {
        let items = self.heads.iter().chain(self.lookups.iter().map(|(_, item)| item));
        let notes = items.filter_map(|item| item.content.read().ok());
        notes.flat_map(|note| note::signers(&note).map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    /// The tiles that the proofs of its heads and lookups need and that it has not: those that prove the largest signed head,
    /// that every other head is an earlier state of that one, and that the records are in it. What no key of the database has
    /// signed needs no proof.
    #[must_use]
    pub fn wanted_tiles(&self, keys: &[VerifierKey]) -> Vec<Tile> {
        let keys: Vec<VerifierKey> = keys.iter().filter(|key| key.name() == self.name).cloned().collect();
        let notes = Notes::read(self, &keys);
        let sizes: BTreeSet<u64> = notes.signed().map(|head| head.size).collect();
        let largest = sizes.last().copied().unwrap_or(0);
        let records = notes.lookups.iter().filter_map(|read| read.found.as_ref().ok());
        let records = records.filter(|answer| !matches!(answer.head, Some(Err(_))));
        let mut wanted = BTreeSet::new();
        let nodes = sizes.into_iter().flat_map(tlog::edge).chain(records.map(|answer| Tile::of_record(answer.id)));
        for tile in nodes.chain(tlog::edge(largest)) {
            // A full tile is proven by the one above it, and so on up to one at the edge.
            for tile in std::iter::successors(Some(tile), |tile| tile.parent()) {
                let Some(inside) = tile.in_tree(largest) else { break };
                if !wanted.insert(inside) || inside.width < 256 {
                    break;
                }
            }
        }
        let tiles = Tiles::read(self);
        wanted.into_iter().filter(|tile| tiles.candidates(*tile).is_empty()).collect()
    }
}
