//! The options at the end of a block (draft-ietf-opsawg-pcapng section 3.5).

use crate::source::endian::Endian;

const END: u16 = 0;
const COMMENT: u16 = 1;

/// One option, its value given by its place in the block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opt {
    pub(super) code: u16,
    pub(super) at: usize,
    pub(super) length: usize,
}

/// Walks over the options of a block; ends at the first one that does not fit.
#[derive(Clone, Copy)]
pub(super) struct Options {
    endian: Endian,
    at: usize,
    end: usize,
}

impl Options {
    /// From `at` to `end`, both counted from the beginning of the block.
    pub(super) const fn new(endian: Endian, at: usize, end: usize) -> Self {
        Self { endian, at, end }
    }

    pub(super) const fn endian(&self) -> Endian {
        self.endian
    }

    /// The next option of the block that `bytes` begins with.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Option<Opt> {
        let bytes = bytes.get(..self.end)?;
        let code = self.endian.u16(bytes, self.at)?;
        let length = usize::from(self.endian.u16(bytes, self.at.saturating_add(2))?);
        let at = self.at.saturating_add(4);
        if code == END || at.saturating_add(length) > self.end {
            self.at = self.end;
            return None;
        }
        self.at = at.saturating_add(length.next_multiple_of(4));
        Some(Opt { code, at, length })
    }
}

/// The place of a comment's text, if the option is one that says something.
pub(super) fn comment_in(option: Opt, bytes: &[u8]) -> Option<(usize, usize)> {
    if option.code != COMMENT {
        return None;
    }
    let text = bytes.get(option.at..option.at.checked_add(option.length)?)?;
    // Some writers count a terminating zero.
    let length = text.iter().rposition(|&byte| byte != 0)?.checked_add(1)?;
    Some((option.at, length))
}
