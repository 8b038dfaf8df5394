//! HTTP, as it is seen on the wire.

mod content;
pub(crate) mod h1;
pub(crate) mod h2;
#[cfg(test)]
mod testing;
