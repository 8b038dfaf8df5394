//! From messages to facts: questions with their answers, requests with theirs.
//!
//! The folds of this room own the policy of what belongs together (time windows, duplicates, what is kept) and write
//! the types of [`crate::observation`]. They know no file formats and judge nothing.

pub(crate) mod dns;
