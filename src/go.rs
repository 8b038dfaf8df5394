//! Stub: what go printed and how it was set up.
/// A run of the go command.
#[derive(Debug, Default)]
pub struct GoRun {}
