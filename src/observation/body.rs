//! Bodies of answers on their way: they are handed on as they arrive, and nobody before the sink holds them.

use std::cell::RefCell;
use std::collections::BTreeMap;
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

/// Several sinks that are one: each body goes to all of them.
#[derive(Debug)]
pub struct Several {
    sinks: Vec<Bodies>,
    begun: u64,
    under_way: BTreeMap<BodyId, Vec<BodyId>>,
}

impl Several {
    /// Joins them.
    #[must_use]
    pub const fn new(sinks: Vec<Bodies>) -> Self {
        Self { sinks, begun: 0, under_way: BTreeMap::new() }
    }

    /// Each sink, with the name that it gave to the body.
    fn each(&self, body: BodyId) -> impl Iterator<Item = (&Bodies, BodyId)> {
        self.sinks.iter().zip(self.under_way.get(&body).into_iter().flatten().copied())
    }
}

impl BodySink for Several {
    fn begin(&mut self, exchange: &Exchange) -> BodyId {
        let id = BodyId(self.begun);
        self.begun += 1;
        self.under_way.insert(id, self.sinks.iter().map(|sink| sink.borrow_mut().begin(exchange)).collect());
        id
    }

    fn content(&mut self, body: BodyId, bytes: &[u8]) {
        self.each(body).for_each(|(sink, id)| sink.borrow_mut().content(id, bytes));
    }

    fn hole(&mut self, body: BodyId, length: Option<u64>) {
        self.each(body).for_each(|(sink, id)| sink.borrow_mut().hole(id, length));
    }

    fn end(&mut self, body: BodyId, exchange: &Exchange) {
        self.each(body).for_each(|(sink, id)| sink.borrow_mut().end(id, exchange));
        self.under_way.remove(&body);
    }
}
