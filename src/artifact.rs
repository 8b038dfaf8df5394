//! Holds downloaded artifacts against what is on record of them: module zips, go.mod files, unpacked trees, go.sum, the
//! checksum database, Go's own releases.
//!
//! Everything given is compared with everything given. What was checked, against what and how it came out is written
//! down as facts ([`crate::observation::artifact`]); what they mean is judged elsewhere. Nothing is asked of the network.

pub mod collect;
pub mod dirhash;
pub mod download;
mod extracted;
pub mod gosum;
pub mod module;
pub mod module_zip;
pub mod note;
#[cfg(feature = "openpgp")]
pub mod openpgp;
pub mod recorded;
pub mod sdk;
pub mod sumdb;
pub mod tlog;
pub mod verify;
pub mod zip;

#[cfg(test)]
pub(crate) mod testing;
