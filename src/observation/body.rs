//! Bodies of answers on their way: they are handed on as they arrive, and nobody before the sink holds them.

use std::cell::RefCell;
use std::fmt::Debug;
use std::rc::Rc;

use super::Exchange;

/// Names a body to the sink that gave it out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BodyId(pub u64);

/// Takes the bodies of answers, in clear or decrypted, after transfer coding and before content coding.
///
/// Several may be under way at once, even in one connection. Each that begins ends before the analysis does. The order of
/// the calls follows from the recording alone.
pub trait BodySink: Debug {
    /// A body begins. Empty ones never do. Of the exchange is there what came before it.
    fn begin(&mut self, exchange: &Exchange) -> BodyId;

    /// The next bytes of it, never more than the recording holds.
    fn content(&mut self, body: BodyId, bytes: &[u8]);

    /// So many bytes of it are missing, as the recording claims; `None`: an unknown number, and nothing comes after them.
    fn hole(&mut self, body: BodyId, length: Option<u64>);

    /// No more of it comes. The exchange says whether all was seen ([`Exchange::complete`]), and then its SHA-256.
    fn end(&mut self, body: BodyId, exchange: &Exchange);
}

/// A sink that the readers of all connections share.
pub type Bodies = Rc<RefCell<dyn BodySink>>;
