//! goprobe reads recordings of failed Go downloads and names the cause.
//!
//! The library is one pipeline: [`source`] yields frames, [`packet`] decodes them, `flow` puts TCP streams
//! together, `protocol` reads DNS, TLS, HTTP and proxy messages, `observe` folds those into the facts of
//! [`observation`]; [`detect`] holds facts against the [`mod@reference`], [`diagnosis`] tells one story, and [`report`]
//! writes it down. ARCHITECTURE.md has the map.

pub mod analyzer;
pub mod artifact;
#[cfg(all(feature = "capture", target_os = "linux"))]
pub mod capture;
pub mod certificate;
pub mod cli;
pub mod detect;
pub mod diagnosis;
pub mod finding;
pub(crate) mod flow;
pub mod go;
pub mod observation;
pub(crate) mod observe;
pub mod packet;
#[cfg(feature = "probe")]
pub mod probe;
pub(crate) mod protocol;
pub mod reference;
pub mod report;
pub mod scope;
pub mod source;
#[cfg(test)]
pub(crate) mod testing;
pub mod types;
