//! TCP connections from packets: which belong together, what their streams say, and what is lost of them.
//!
//! The tracker survives loss, reordering, overlap, retransmission, missing starts, one direction alone, wrapped sequence
//! numbers and port reuse. It knows no protocol: it hands on ordered pieces and honest gaps ([`stream::Piece`]) and keeps
//! for each packet the facts that forensics needs, within a fixed budget per connection.

pub(crate) mod log;
pub(crate) mod stream;
pub(crate) mod tracker;

pub(crate) use stream::{Body, Piece};
pub(crate) use tracker::{Flow, Limits, Tracker};
