//! X.509 certificates: their facts, and how Go's crypto/x509 judges a chain of them.
//!
//! [`Certificate::parse`] never fails: a field that cannot be read leaves all others in place. [`judge`] looks for a
//! path from the leaf to one of the [`Roots`] and holds every reason for which Go would refuse it apart: time, name,
//! signatures, order, missing and superfluous certificates. Both are pure functions over bytes; time is the caller's.

mod algorithm;
mod constraints;
#[cfg(test)]
mod cross_check;
mod der;
mod extensions;
mod facts;
mod hostname;
mod judgement;
mod known;
mod name;
mod path;
mod pem;
mod roots;
mod signature;
#[cfg(test)]
pub(crate) mod testing;
mod time;

pub use algorithm::{Hash, Key, KeyKind, SignatureAlgorithm};
pub use constraints::NameConstraints;
pub use extensions::{BasicConstraints, Extensions, KeyUsage, SubjectName};
pub use facts::{Certificate, Facts, Unparsable};
pub use hostname::{NameCheck, covers};
pub use judgement::{Judgement, MissingIntermediate, Order, Path, Refusal, Time, Unverifiable, judge};
pub use known::{Known, KnownIntermediates, NoneKnown};
pub use roots::{Roots, RootsError};
pub use time::ValidityTime;

/// The DER of every certificate in a PEM text.
///
/// # Errors
/// When a block does not end or is not base64.
pub(crate) fn certificates_in_pem(text: &[u8]) -> Result<Vec<Vec<u8>>, RootsError> {
    pem::certificates(text)
}

/// A Name (DER) as an RFC 4514 string; `None` when it is no SEQUENCE.
pub(crate) fn rfc4514(name: &[u8]) -> Option<String> {
    der::content(name).map(|content| name::read(content).text)
}
