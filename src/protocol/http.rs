//! HTTP, as it is seen on the wire.

pub(crate) mod coding;
pub(crate) mod h1;
pub(crate) mod h2;
