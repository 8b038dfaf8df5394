//! Whole recordings, from bytes to records.

mod captures;
mod damage;
mod formats;
