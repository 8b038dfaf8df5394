//! Go's table of functions, `.gopclntab` (runtime/symtab.go, debug/gosym/pclntab.go of the Go project): from a function's
//! name to its entry, in stripped programs, too.

/// The layouts of the table, by the magic number at its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Layout {
    /// Go 1.2 to 1.15.
    Go12,
    /// Go 1.16 and 1.17.
    Go116,
    /// Go 1.18 on: entries are offsets from the start of the text.
    Go118,
}

/// A table of functions of a 64-bit little-endian program.
#[derive(Clone, Copy)]
pub(super) struct Table<'t> {
    bytes: &'t [u8],
    layout: Layout,
    functions: usize,
}

/// Where a function begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entry {
    /// At an address of the program as it is linked.
    Address(u64),
    /// So many bytes after the start of the text.
    AfterText(u64),
}

impl<'t> Table<'t> {
    /// The table that begins with these bytes; `None` where none does.
    pub(super) fn at_start_of(bytes: &'t [u8]) -> Option<Self> {
        let [magic @ .., 0xff, 0xff, 0xff, 0, 0, quantum, 8] = bytes.first_chunk::<8>()? else { return None };
        let layout = match magic {
            [0xfb] => Layout::Go12,
            [0xfa] => Layout::Go116,
            [0xf0 | 0xf1] => Layout::Go118,
            _ => return None,
        };
        let functions = usize::try_from(word(bytes, 8)?).ok()?;
        // What is only like a table has not so many functions that its index would fit into it.
        let fits = functions.checked_mul(8).is_some_and(|index| index < bytes.len());
        (matches!(quantum, 1 | 4) && functions > 0 && fits).then_some(Self { bytes, layout, functions })
    }

    /// Where the first table in `bytes` begins.
    pub(super) fn position_in(bytes: &[u8]) -> Option<usize> {
        memchr::memmem::find_iter(bytes, b"\xff\xff\xff\0\0")
            .filter_map(|found| found.checked_sub(1))
            .find(|start| bytes.get(*start..).and_then(Table::at_start_of).is_some())
    }

    /// Where the function of that (full) name begins.
    pub(super) fn function(&self, name: &str) -> Option<Entry> {
        let names = match self.layout {
            Layout::Go12 => self.bytes,
            Layout::Go116 => self.behind_header(24)?,
            Layout::Go118 => self.behind_header(32)?,
        };
        let wanted = [b"\0", name.as_bytes(), b"\0"].concat();
        // Names are shared: the one offset is the function's.
        let offset = memchr::memmem::find(names, &wanted)? + 1;
        let offset = u32::try_from(offset).ok()?;
        let (index, table) = match self.layout {
            Layout::Go12 => (self.bytes.get(16..)?, self.bytes),
            Layout::Go116 => (self.behind_header(56)?, self.behind_header(56)?),
            Layout::Go118 => (self.behind_header(64)?, self.behind_header(64)?),
        };
        (0..self.functions).find_map(|at| match self.layout {
            Layout::Go12 | Layout::Go116 => {
                let function = usize::try_from(word(index, at.checked_mul(16)?.checked_add(8)?)?).ok()?;
                let address = word(table, function)?;
                (half(table, function.checked_add(8)?)? == offset).then_some(Entry::Address(address))
            }
            Layout::Go118 => {
                let function = usize::try_from(half(index, at.checked_mul(8)?.checked_add(4)?)?).ok()?;
                let entry = half(table, function)?;
                (half(table, function.checked_add(4)?)? == offset).then_some(Entry::AfterText(entry.into()))
            }
        })
    }

    /// The start of the text as the table itself says; `None` where it does not (before Go 1.18, and from 1.26).
    pub(super) fn text(&self) -> Option<u64> {
        match self.layout {
            Layout::Go118 => word(self.bytes, 24).filter(|text| *text != 0),
            Layout::Go12 | Layout::Go116 => None,
        }
    }

    /// What the offset in that field of the header leads to.
    fn behind_header(&self, field: usize) -> Option<&'t [u8]> {
        // The start of the text came in between in Go 1.18.
        self.bytes.get(usize::try_from(word(self.bytes, field)?).ok()?..)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 4] = ["go:buildid", "runtime.text", "crypto/tls.(*Config).writeKeyLog", "main.main"];
    const LAYOUTS: [Layout; 3] = [Layout::Go12, Layout::Go116, Layout::Go118];

    /// A table in which function `n` begins at 0x401000 + 0x100 n.
    fn table(layout: Layout, text: u64) -> Vec<u8> {
        let magic = match layout {
            Layout::Go12 => 0xfb,
            Layout::Go116 => 0xfa,
            Layout::Go118 => 0xf1,
        };
        let mut names = Vec::new();
        let offsets: Vec<u32> = NAMES
            .iter()
            .map(|name| {
                let at = u32::try_from(names.len()).unwrap();
                names.extend_from_slice(name.as_bytes());
                names.push(0);
                at
            })
            .collect();
        let count = NAMES.len() as u64;
        let header = |words: &[u64]| {
            let mut bytes = vec![magic, 0xff, 0xff, 0xff, 0, 0, 1, 8];
            words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
            bytes
        };
        let mut functions = Vec::new();
        match layout {
            Layout::Go12 => {
                let (names_at, functions_at) = (16 + 16 * count + 8, 16 + 16 * count + 8 + names.len() as u64);
                let mut bytes = header(&[count]);
                for (at, offset) in (0_u64..).zip(&offsets) {
                    bytes.extend((0x40_1000 + 0x100 * at).to_le_bytes());
                    bytes.extend((functions_at + 16 * at).to_le_bytes());
                    functions.extend((0x40_1000 + 0x100 * at).to_le_bytes());
                    functions.extend((u32::try_from(names_at).unwrap() + offset).to_le_bytes());
                    functions.extend([0; 4]);
                }
                bytes.extend([0; 8]);
                [bytes, names, functions].concat()
            }
            Layout::Go116 => {
                let names_at = 64;
                let table_at = names_at + names.len() as u64;
                let mut bytes = header(&[count, 0, names_at, 0, 0, 0, table_at]);
                bytes.extend(names);
                for (at, offset) in (0_u64..).zip(&offsets) {
                    bytes.extend((0x40_1000 + 0x100 * at).to_le_bytes());
                    bytes.extend((16 * count + 16 * at).to_le_bytes());
                    functions.extend((0x40_1000 + 0x100 * at).to_le_bytes());
                    functions.extend(offset.to_le_bytes());
                    functions.extend([0; 4]);
                }
                [bytes, functions].concat()
            }
            Layout::Go118 => {
                let names_at = 72;
                let table_at = names_at + names.len() as u64;
                let mut bytes = header(&[count, 0, text, names_at, 0, 0, 0, table_at]);
                bytes.extend(names);
                for (at, offset) in (0_u32..).zip(&offsets) {
                    bytes.extend((0x1000 + 0x100 * at).to_le_bytes());
                    bytes.extend((u32::try_from(8 * count).unwrap() + 8 * at).to_le_bytes());
                    functions.extend((0x1000 + 0x100 * at).to_le_bytes());
                    functions.extend(offset.to_le_bytes());
                }
                [bytes, functions].concat()
            }
        }
    }

    #[test]
    fn functions_are_found_by_name_in_every_layout() {
        for layout in LAYOUTS {
            let bytes = table(layout, 0x40_0000);
            let table = Table::at_start_of(&bytes).unwrap();
            for (at, name) in (0_u64..).zip(NAMES).skip(1) {
                let wanted = match layout {
                    Layout::Go118 => Entry::AfterText(0x1000 + 0x100 * at),
                    Layout::Go12 | Layout::Go116 => Entry::Address(0x40_1000 + 0x100 * at),
                };
                assert_eq!(table.function(name), Some(wanted), "{layout:?} {name}");
            }
            assert_eq!(table.function("writeKeyLog"), None, "{layout:?}: not a part of a name");
            assert_eq!(table.function("crypto/tls.(*Conn).Read"), None);
            assert_eq!(table.text(), (layout == Layout::Go118).then_some(0x40_0000));
        }
        assert_eq!(Table::at_start_of(&table(Layout::Go118, 0)).unwrap().text(), None, "Go 1.26 says nothing");
    }

    #[test]
    fn the_table_is_found_among_other_data() {
        let bytes = [vec![0xff; 33], b"\xf1\xff\xff\xff\0\0\x01\x08".to_vec(), table(Layout::Go118, 1)].concat();
        assert_eq!(Table::position_in(&bytes), Some(41), "the first is only like one: it has too many functions");
        assert_eq!(Table::position_in(&[]), None);
        assert_eq!(Table::position_in(b"\xff\xff\xff\0\0"), None);
    }

    #[test]
    fn what_is_no_table_of_a_known_kind_is_refused() {
        for (at, value) in [(0, 0xf5), (4, 1), (6, 3), (7, 4), (15, 0x7f)] {
            let mut bytes = table(Layout::Go116, 0);
            bytes[at] = value;
            assert!(Table::at_start_of(&bytes).is_none(), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn spoilt_tables_are_read_as_far_as_they_go(
            layout in 0_usize..3,
            changes in proptest::collection::vec((8_usize..256, any::<u64>()), 1..4),
            length in 0_usize..512,
        ) {
            let mut bytes = table(LAYOUTS[layout], 0x40_0000);
            for (at, value) in changes {
                if let Some(place) = bytes.get_mut(at..at + 8) {
                    place.copy_from_slice(&value.to_le_bytes());
                }
            }
            bytes.truncate(length);
            if let Some(table) = Table::at_start_of(&bytes) {
                let _ = table.function(NAMES[2]);
                let _ = table.text();
            }
            let _ = Table::position_in(&bytes);
        }
    }
}
