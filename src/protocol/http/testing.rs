//! A sink that keeps what it is given.

use std::cell::RefCell;
use std::rc::Rc;

use crate::observation::Exchange;
use crate::observation::body::{Bodies, BodyId, BodySink};

/// A body as it arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// The URL when it began.
    pub(super) url: String,
    pub(super) bytes: Vec<u8>,
    /// Offset among `bytes`, and length.
    pub(super) holes: Vec<(usize, Option<u64>)>,
    /// How it ended: whether complete, and the hash.
    pub(super) end: Option<(bool, Option<[u8; 32]>)>,
}

#[derive(Debug, Default)]
pub(super) struct Collector(pub(super) Vec<Taken>);

impl Collector {
    pub(super) fn new() -> (Rc<RefCell<Self>>, Bodies) {
        let collector = Rc::new(RefCell::new(Self::default()));
        (Rc::clone(&collector), collector)
    }

    fn of(&mut self, body: BodyId) -> &mut Taken {
        let taken = &mut self.0[usize::try_from(body.0).unwrap()];
        assert_eq!(taken.end, None, "nothing comes after the end");
        taken
    }
}

impl BodySink for Collector {
    fn begin(&mut self, exchange: &Exchange) -> BodyId {
        self.0.push(Taken { url: exchange.url.clone(), ..Taken::default() });
        BodyId(self.0.len() as u64 - 1)
    }

    fn content(&mut self, body: BodyId, bytes: &[u8]) {
        assert!(!bytes.is_empty());
        self.of(body).bytes.extend_from_slice(bytes);
    }

    fn hole(&mut self, body: BodyId, length: Option<u64>) {
        let taken = self.of(body);
        taken.holes.push((taken.bytes.len(), length));
    }

    fn end(&mut self, body: BodyId, exchange: &Exchange) {
        self.of(body).end = Some((exchange.complete, exchange.body_sha256));
    }
}
