//! The Merkle tree of a checksum database (RFC 6962 §2.1, golang.org/x/mod/sumdb/tlog): heads, records, tiles.
//!
//! A node `(level, number)` covers the leaves from `number << level` on, `1 << level` of them. A tile of height 8 at level
//! L holds 256 nodes of level 8 L; one at the right edge of a tree holds fewer.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::dirhash::{Sha256, sha256};

/// Levels of the tree in one tile.
const HEIGHT: u32 = 8;
/// Levels of tiles that a tree can have.
const LEVELS: u32 = 8;
/// Nodes in a full tile.
const FULL: usize = 1 << HEIGHT;
/// Bytes of a tree note's text.
const MAX_HEAD: usize = 1_000_000;
/// Records that a database can have: Go counts them in a signed 64-bit number.
const MAX_RECORDS: u64 = i64::MAX as u64;

/// How many records a database has, and the hash over all of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Head {
    /// Number of records.
    pub size: u64,
    /// Root hash.
    pub root: Sha256,
}

impl Head {
    /// Reads the text of a tree note (tlog `ParseTree`). What follows the third line is not looked at.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_HEAD {
            return None;
        }
        let mut lines = text.strip_prefix("go.sum database tree\n")?.split('\n');
        let (size, root) = (lines.next()?, lines.next()?);
        lines.next()?;
        Some(Self { size: number(size)?, root: STANDARD.decode(root).ok()?.try_into().ok()? })
    }
}

/// A decimal number in its one canonical form.
fn number(text: &str) -> Option<u64> {
    let value: u64 = text.parse().ok().filter(|value| *value <= MAX_RECORDS)?;
    (value.to_string() == text).then_some(value)
}

/// What a database answers to a lookup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lookup<'a> {
    /// Number of the record.
    pub id: u64,
    /// Its text: what is hashed into the log.
    pub record: &'a str,
    /// The signed tree head. It may be empty: go then takes the head that it knows.
    pub note: &'a [u8],
}

impl<'a> Lookup<'a> {
    /// Reads an answer (tlog `ParseRecord`).
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn parse(answer: &'a [u8]) -> Result<Self, &'static str> {
        let at = memchr::memchr(b'\n', answer).ok_or("no record number")?;
        let (id, rest) = answer.split_at(at);
        let rest = rest.get(1..).unwrap_or_default();
        // Go takes signs and zeros in front here.
        let id = std::str::from_utf8(id).ok().and_then(|id| id.parse::<i64>().ok());
        let id = id.and_then(|id| u64::try_from(id).ok()).ok_or("a record number that is none")?;
        let at = memchr::memmem::find(rest, b"\n\n").ok_or("no end of the record")?;
        let (record, note) = rest.split_at(at.saturating_add(1));
        let record = std::str::from_utf8(record).map_err(|_| "a record that is not UTF-8")?;
        if has_controls(record) {
            return Err("a record with control characters");
        }
        Ok(Self { id, record, note: note.get(1..).unwrap_or_default() })
    }
}

fn has_controls(text: &str) -> bool {
    text.chars().any(|c| c < ' ' && c != '\n')
}

/// The hashes of the records in a data tile (`tile/8/data/…`): each record is followed by an empty line.
///
/// # Errors
/// The rule that it breaks.
pub fn data_nodes(tile: Tile, content: &[u8]) -> Result<Vec<Sha256>, &'static str> {
    let mut rest = std::str::from_utf8(content).map_err(|_| "records that are not UTF-8")?;
    if has_controls(rest) {
        return Err("records with control characters");
    }
    let mut nodes = Vec::new();
    while !rest.is_empty() {
        let end = rest.find("\n\n").ok_or("a record without its end")?;
        let (record, after) = rest.split_at(end.saturating_add(1));
        nodes.push(record_hash(record.as_bytes()));
        rest = after.get(1..).unwrap_or_default();
    }
    if nodes.len() == usize::from(tile.width) { Ok(nodes) } else { Err("another number of records than it says") }
}

/// The hash of a record as a leaf of the tree.
#[must_use]
pub fn record_hash(record: &[u8]) -> Sha256 {
    sha256(&[&[0], record].concat())
}

fn node_hash(left: &Sha256, right: &Sha256) -> Sha256 {
    let mut both = [1; 65];
    let (_, nodes) = both.split_at_mut(1);
    for (byte, from) in nodes.iter_mut().zip(left.iter().chain(right)) {
        *byte = *from;
    }
    sha256(&both)
}

/// The hash of a complete subtree whose leaves these are; their number is a power of two.
fn subtree(nodes: &[Sha256]) -> Option<Sha256> {
    match nodes {
        [] => None,
        [one] => Some(*one),
        many => {
            let (left, right) = many.split_at(many.len() / 2);
            Some(node_hash(&subtree(left)?, &subtree(right)?))
        }
    }
}

/// Where a tile of hashes stands. Widths are up to 256. A data tile stands where the hashes of its records do, at level 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tile {
    /// Level of the tile: its nodes are of level 8 times that.
    pub level: u32,
    /// Its number in the level.
    pub number: u64,
    /// Its nodes.
    pub width: u16,
}

impl Tile {
    /// The node that stands for the whole tile: its place in the tile above, as the narrowest tile that ends with it. `None`
    /// at the top.
    #[must_use]
    pub fn parent(self) -> Option<Self> {
        let width = u16::try_from(self.number & 0xff).ok()?.checked_add(1)?;
        let level = self.level.checked_add(1).filter(|level| *level < LEVELS)?;
        Some(Self { level, number: self.number >> HEIGHT, width })
    }

    /// The tile of that place as a tree of that size has it: full, or at its right edge narrower. `None` where it has none.
    #[must_use]
    pub fn in_tree(self, size: u64) -> Option<Self> {
        let nodes = size >> HEIGHT.checked_mul(self.level)?;
        let width = nodes.checked_sub(self.number.checked_mul(256)?).filter(|width| *width > 0)?;
        Some(Self { width: u16::try_from(width.min(256)).ok()?, ..self })
    }

    /// The tile whose last node is the record of that number.
    #[must_use]
    pub fn of_record(id: u64) -> Self {
        Self { level: 0, number: id >> HEIGHT, width: u16::try_from(id & 0xff).unwrap_or(0).saturating_add(1) }
    }

    /// Reads the path of a data tile, `tile/8/data/x040/925.p/15`, as the place of its records' hashes.
    #[must_use]
    pub fn parse_data(path: &str) -> Option<Self> {
        Self::parse(&format!("tile/8/0/{}", path.strip_prefix("tile/8/data/")?))
    }

    /// Reads the path beneath a database's address, `tile/8/0/x040/925.p/15`. Tiles of other heights are none.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("tile/8/")?;
        let (level, rest) = rest.split_once('/')?;
        let (name, width) = match rest.split_once(".p/") {
            Some((name, width)) => (name, u16::try_from(number(width)?).ok().filter(|width| (1..256).contains(width))?),
            None => (rest, 256),
        };
        let mut tile = Self { level: u32::try_from(number(level)?).ok()?, number: 0, width };
        for group in name.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            let value = Some(digits).filter(|digits| digits.len() == 3)?.parse::<u64>().ok()?;
            tile.number = tile.number.checked_mul(1000)?.checked_add(value)?;
        }
        (tile.level < LEVELS && tile.to_string() == path).then_some(tile)
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/8/{}/", self.level)?;
        let mut groups = Vec::new();
        let mut rest = self.number;
        loop {
            groups.push(rest % 1000);
            rest /= 1000;
            if rest == 0 {
                break;
            }
        }
        while let Some(group) = groups.pop() {
            if groups.is_empty() { write!(f, "{group:03}")? } else { write!(f, "x{group:03}/")? }
        }
        if self.width < 256 { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

/// The nodes of a tile's file: 32 bytes each. `None` when its length is another one.
#[must_use]
pub fn nodes(tile: Tile, content: &[u8]) -> Option<Vec<Sha256>> {
    let (nodes, rest) = content.as_chunks::<32>();
    (rest.is_empty() && nodes.len() == usize::from(tile.width)).then(|| nodes.to_vec())
}

/// The tiles at the right edge of a tree of that size, with the widths that they have in it, lowest level first.
pub fn edge(size: u64) -> impl Iterator<Item = Tile> {
    (0..LEVELS).filter_map(move |level| {
        let nodes = size >> (HEIGHT * level);
        let width = u16::try_from(nodes % FULL as u64).ok().filter(|width| *width > 0)?;
        Some(Tile { level, number: nodes >> HEIGHT, width })
    })
}

/// The hashes over all complete subtrees of a tile, by their height.
#[derive(Clone, Debug)]
pub struct Subtrees(Vec<Vec<Sha256>>);

impl Subtrees {
    /// Over these nodes of a tile.
    #[must_use]
    pub fn new(nodes: &[Sha256]) -> Self {
        let above = |nodes: &Vec<Sha256>| {
            let (pairs, _) = nodes.as_chunks::<2>();
            let joined: Vec<Sha256> = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
            (!joined.is_empty()).then_some(joined)
        };
        Self(std::iter::successors(Some(nodes.to_vec()), above).collect())
    }

    /// The hash over the first nodes of the tile, so many, and over what stands to the right of them.
    fn join(&self, mut width: usize, mut right: Option<Sha256>) -> Option<Sha256> {
        while width > 0 {
            // Complete subtrees from the right to the left, the smallest first.
            let height = width.trailing_zeros();
            let left = self.0.get(height as usize)?.get((width >> height).checked_sub(1)?)?;
            right = Some(right.map_or(*left, |right| node_hash(left, &right)));
            width &= width.wrapping_sub(1);
        }
        right
    }
}

/// The root hash of a tree by the tiles at its edge, lowest level first, with their widths.
#[must_use]
pub fn root<'a>(edge: impl IntoIterator<Item = (&'a Subtrees, u16)>) -> Sha256 {
    let root = edge.into_iter().fold(None, |right, (tile, width)| tile.join(usize::from(width), right));
    root.unwrap_or_else(|| sha256(b""))
}

/// The hash over a full tile: the node that stands for it one level of tiles higher.
#[must_use]
pub fn of_full(nodes: &[Sha256]) -> Option<Sha256> {
    if nodes.len() == FULL { subtree(nodes) } else { None }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A log in memory: all tiles of a tree.
    #[derive(Default, Clone)]
    pub(crate) struct Log {
        pub(crate) records: Vec<String>,
    }

    impl Log {
        fn level(&self, level: u32) -> Vec<Sha256> {
            let mut nodes: Vec<Sha256> = self.records.iter().map(|record| record_hash(record.as_bytes())).collect();
            for _ in 0..level * HEIGHT {
                nodes = nodes.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
            }
            nodes
        }

        pub(crate) fn tile(&self, tile: Tile) -> Vec<u8> {
            let from = usize::try_from(tile.number).unwrap() * FULL;
            self.level(tile.level)[from..from + usize::from(tile.width)].concat()
        }

        /// Every tile of the tree, the edge ones with their widths.
        pub(crate) fn tiles(&self) -> Vec<(Tile, Vec<u8>)> {
            let size = self.records.len() as u64;
            let mut all: Vec<Tile> = edge(size).collect();
            for level in 0..2 {
                let full = size >> (HEIGHT * (level + 1));
                all.extend((0..full).map(|number| Tile { level, number, width: 256 }));
            }
            all.iter().map(|tile| (*tile, self.tile(*tile))).collect()
        }

        /// RFC 6962 §2.1, word by word.
        pub(crate) fn root(&self) -> Sha256 {
            fn hash(leaves: &[Sha256]) -> Sha256 {
                match leaves {
                    [] => sha256(b""),
                    [one] => *one,
                    many => {
                        let half = many.len().next_power_of_two() / 2;
                        node_hash(&hash(&many[..half]), &hash(&many[half..]))
                    }
                }
            }
            hash(&self.level(0))
        }

        pub(crate) fn head(&self) -> String {
            format!("go.sum database tree\n{}\n{}\n", self.records.len(), STANDARD.encode(self.root()))
        }
    }

    #[test]
    fn the_root_from_tiles_is_that_of_the_rfc() {
        for size in [1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 700, 1000] {
            let log = Log { records: (0..size).map(|number| format!("record {number}\n")).collect() };
            let tile = |tile| (Subtrees::new(&nodes(tile, &log.tile(tile)).unwrap()), tile.width);
            let edge: Vec<_> = edge(size).map(tile).collect();
            assert_eq!(root(edge.iter().map(|(tile, width)| (tile, *width))), log.root(), "{size}");
        }
        assert_eq!(root([]), sha256(b""));
    }

    #[test]
    fn tile_paths_come_back() {
        for (path, level, number, width) in [
            ("tile/8/0/x040/925.p/15", 0, 40925, 15),
            ("tile/8/2/000.p/159", 2, 0, 159),
            ("tile/8/1/159", 1, 159, 256),
            ("tile/8/0/x001/x234/067", 0, 1_234_067, 256),
        ] {
            let tile = Tile { level, number, width };
            assert_eq!(Tile::parse(path), Some(tile));
            assert_eq!(tile.to_string(), path);
        }
        for wrong in [
            "tile/8/0/40925",
            "tile/8/0/000.p/0",
            "tile/8/0/000.p/256",
            "tile/8/0/000.p/015",
            "tile/7/0/000",
            "tile/8/data/000",
            "tile/8/9/000",
            "tile/8/0/x000/001",
            "tile/8/0/+12",
            "tile/8/0/x999/x999/x999/x999/x999/x999/x999/999",
            "tile/8/0/",
        ] {
            assert_eq!(Tile::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_tiles_place_in_a_tree() {
        let tile = |path| Tile::parse(path).unwrap();
        assert_eq!(tile("tile/8/0/002").in_tree(700), Some(tile("tile/8/0/002.p/188")));
        assert_eq!(tile("tile/8/0/001.p/3").in_tree(700), Some(tile("tile/8/0/001")));
        assert_eq!(tile("tile/8/0/003").in_tree(768), None);
        assert_eq!(tile("tile/8/0/x999/x999/999").in_tree(1 << 62), Some(tile("tile/8/0/x999/x999/999")));
        assert_eq!(tile("tile/8/0/x040/925").parent(), Some(tile("tile/8/1/159.p/222")));
        assert_eq!(tile("tile/8/7/000").parent(), None);
        assert_eq!(Tile::of_record(255), tile("tile/8/0/000"));
        assert_eq!(Tile::of_record(256), tile("tile/8/0/001.p/1"));
        assert_eq!(Tile::parse_data("tile/8/data/001.p/7"), Some(tile("tile/8/0/001.p/7")));
    }

    #[test]
    fn data_tiles_are_the_records_behind_the_hashes() {
        let tile = Tile { level: 0, number: 0, width: 2 };
        let nodes = data_nodes(tile, b"a b c\nd e f\n\ng h i\n\n").unwrap();
        assert_eq!(nodes, [record_hash(b"a b c\nd e f\n"), record_hash(b"g h i\n")]);
        for wrong in ["", "a\n\n", "a\n\nb\n", "a\n\nb\n\nc\n\n", "a\n\nb\r\n\n"] {
            assert!(data_nodes(tile, wrong.as_bytes()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_tile_has_the_length_of_its_width() {
        let tile = Tile { level: 0, number: 0, width: 2 };
        assert!(nodes(tile, &[0; 64]).is_some());
        for length in [0, 32, 63, 65, 96] {
            assert!(nodes(tile, &vec![0; length]).is_none());
        }
    }

    #[test]
    fn heads_and_lookups_are_read_as_go_reads_them() {
        let root = STANDARD.encode([7; 32]);
        let head = Head::parse(&format!("go.sum database tree\n12\n{root}\nmore\n")).unwrap();
        assert_eq!((head.size, head.root), (12, [7; 32]));
        for wrong in ["012", "-1", "+1", "", "9223372036854775808"] {
            assert_eq!(Head::parse(&format!("go.sum database tree\n{wrong}\n{root}\n")), None, "{wrong}");
        }
        assert_eq!(Head::parse(&format!("go.sum database tree\n12\n{root}")), None);
        let lookup = Lookup::parse(b"5\na v1 h1:x\na v1/go.mod h1:y\n\nnote\n\nsigned").unwrap();
        assert_eq!((lookup.id, lookup.record), (5, "a v1 h1:x\na v1/go.mod h1:y\n"));
        assert_eq!(lookup.note, b"note\n\nsigned");
        for same in ["05\na\n\n", "+5\na\n\n"] {
            assert_eq!(Lookup::parse(same.as_bytes()).unwrap().id, 5);
        }
        for wrong in ["", "x\na\n\n", "5\n", "5\na\n", "-5\na\n\n", "5\na\rb\n\n", " 5\na\n\n"] {
            assert!(Lookup::parse(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
    }
}
