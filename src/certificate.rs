//! Stub.
/// A certificate.
#[derive(Debug)]
pub struct Certificate {}
