//! What was seen, what was not there, and what could not be seen.

/// Why something could not be seen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Veil {
    /// It was encrypted and there are no keys.
    Encrypted,
    /// The recording has a hole there, or lacks that direction.
    Gap,
    /// The snap length cut it off.
    Truncated,
    /// The recording ends, or begins, before it.
    EndOfCapture,
    /// What it would be held against was not given.
    NotGiven,
}

/// A fact that may be hidden. There is no default: whoever writes one says which it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sighting<T> {
    /// It was seen.
    Seen(T),
    /// It would have been seen, and it was not there.
    Absent,
    /// It could not be seen.
    Hidden(Veil),
}

impl<T> Sighting<T> {
    /// The value, where it was seen.
    pub const fn seen(&self) -> Option<&T> {
        match self {
            Self::Seen(value) => Some(value),
            Self::Absent | Self::Hidden(_) => None,
        }
    }

    /// Why it could not be seen.
    pub const fn veil(&self) -> Option<Veil> {
        match self {
            Self::Hidden(veil) => Some(*veil),
            Self::Seen(_) | Self::Absent => None,
        }
    }
}
