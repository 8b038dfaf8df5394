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
