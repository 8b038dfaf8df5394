//! What the go command said and how it was set up, as typed facts.
//!
//! Pure functions over text: [`mod@log`] reads what go printed, [`mod@env`] its environment, [`proxy`] decides as Go does
//! which requests go through a proxy, [`resolv`] reads resolv.conf, [`target`] reads the URLs of the GOPROXY protocol, [`pattern`] matches
//! GOPRIVATE-style lists, and [`advice`] knows which GODEBUG switches a Go version has. The texts and rules rest on
//! the Go sources that each item names.

pub mod advice;
pub mod env;
pub mod log;
pub mod pattern;
pub mod proxy;
pub mod resolv;
mod run;
pub mod target;
mod text;

pub use log::{GoError, GoErrorKind};
pub use run::GoRun;
pub use text::{decode, redacted};
