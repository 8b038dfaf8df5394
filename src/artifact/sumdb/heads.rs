//! How the signed heads of a store stand to each other.

use std::collections::{BTreeMap, HashMap};

use super::read::{Notes, Tiles};
use super::tree::{Tree, Unproven};
use crate::artifact::tlog::{self, Head, Tile};

/// Trees beside the base that are asked about a tile.
const MOST_TREES: usize = 32;

/// How a signed head stands to the others.
#[derive(Debug)]
pub(super) enum Standing {
    /// It is the one that the others are held against, or was proven to be an earlier state of it.
    Consistent,
    /// These tiles would be needed to tell.
    Open(Vec<Tile>),
    /// A head of the same log cannot have this root.
    Forked(Head),
    /// These tiles at hand do not hash to it.
    Contradicted(Vec<Tile>),
}

/// All signed heads of a store, and the trees that the tiles prove.
#[derive(Debug, Default)]
pub(super) struct Heads<'a> {
    /// The tree of the largest head that the tiles bear out.
    pub(super) base: Option<Tree<'a>>,
    /// Trees that the tiles bear out, and do not connect with the base.
    others: BTreeMap<Head, Tree<'a>>,
    /// Which of them have a tile of that place at their right edge.
    edges: HashMap<(u32, u64), Vec<Head>>,
    standing: BTreeMap<Head, Standing>,
}

impl<'a> Heads<'a> {
    pub(super) fn of(notes: &Notes<'_>, tiles: &'a Tiles<'a>) -> Self {
        let mut all: Vec<Head> = notes.signed().collect();
        all.sort_by(|one, other| other.cmp(one));
        all.dedup();
        let mut heads = Self::default();
        for twins in all.chunk_by(|one, other| one.size == other.size) {
            for (at, head) in twins.iter().enumerate() {
                // Of one size there is one root: notes alone convict such a log.
                let standing = match twins.get(usize::from(at == 0)) {
                    Some(twin) => Standing::Forked(*twin),
                    None => heads.place(*head, tiles),
                };
                heads.standing.insert(*head, standing);
            }
        }
        heads
    }

    /// Where a head belongs, given all larger ones.
    fn place(&mut self, head: Head, tiles: &'a Tiles<'a>) -> Standing {
        let missing = match self.base.as_ref().map(|base| (base.head, base.root_of(head.size))) {
            None => None,
            Some((_, Ok(root))) if root == head.root => return Standing::Consistent,
            Some((base, Ok(_))) => return Standing::Forked(base),
            Some((_, Err(missing))) => Some(missing),
        };
        // Where nothing connects it with the base, the next larger tree may show a fork.
        if let Some((next, tree)) = self.others.first_key_value()
            && tree.root_of(head.size).is_ok_and(|root| root != head.root)
        {
            return Standing::Forked(*next);
        }
        match (Tree::prove(head, tiles), missing) {
            (Ok(tree), None) => {
                self.base = Some(tree);
                Standing::Consistent
            }
            (Ok(tree), Some(missing)) => {
                for tile in tlog::edge(head.size) {
                    self.edges.entry((tile.level, tile.number)).or_default().push(head);
                }
                self.others.insert(head, tree);
                Standing::Open(missing)
            }
            (Err(Unproven::Missing(_)), Some(missing)) | (Err(Unproven::Missing(missing)), None) => {
                Standing::Open(missing)
            }
            (Err(Unproven::Contradicted(wrong)), _) => Standing::Contradicted(wrong),
        }
    }

    pub(super) fn standing(&self, head: &Head) -> Option<&Standing> {
        self.standing.get(head)
    }

    /// The size of the largest head that is signed.
    pub(super) fn largest(&self) -> u64 {
        self.standing.last_key_value().map_or(0, |(head, _)| head.size)
    }

    /// The tree to look a record up in, for an answer with that head: go takes the newest that it knows.
    pub(super) fn tree_for(&self, head: Option<&Head>) -> Option<&Tree<'a>> {
        match head.map(|head| (head, self.standing.get(head))) {
            None | Some((_, Some(Standing::Consistent))) => self.base.as_ref(),
            Some((head, _)) => self.others.get(head),
        }
    }

    /// The trees that may prove a tile.
    pub(super) fn trees_over(&self, tile: Tile) -> impl Iterator<Item = &Tree<'a>> {
        let places = std::iter::successors(Some(tile), |tile| tile.parent());
        let heads = places.filter_map(|tile| self.edges.get(&(tile.level, tile.number))).flatten();
        self.base.iter().chain(heads.filter_map(|head| self.others.get(head)).take(MOST_TREES))
    }

    /// Tiles of which at least one does not belong to a signed tree, with that tree's head, the largest first.
    pub(super) fn suspects(&self) -> HashMap<(u32, u64), (Head, Tile)> {
        let mut suspects = HashMap::new();
        for (head, standing) in self.standing.iter().rev() {
            if let Standing::Contradicted(tiles) = standing {
                for tile in tiles {
                    suspects.entry((tile.level, tile.number)).or_insert((*head, *tile));
                }
            }
        }
        suspects
    }
}
