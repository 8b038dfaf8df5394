//! The body of one answer as it passes by: counted, hashed, handed on, and not kept but for its beginning.

use ring::digest;

use crate::observation::Exchange;
use crate::observation::body::{Bodies, BodyId};

/// Bytes of a body that are kept.
pub(super) const MAX_BODY_HEAD: usize = 2_048;

/// What is known of a body on its way. The exchange that it belongs to is given with each step.
pub(super) struct Content {
    digest: Option<digest::Context>,
    bodies: Option<Bodies>,
    /// Its name at the sink, once it has begun.
    id: Option<BodyId>,
    whole: bool,
}

impl Content {
    /// A body of which nothing has come. It is hashed, and handed to `bodies`, if that is wanted.
    pub(super) fn new(digest: bool, bodies: Option<&Bodies>) -> Self {
        let digest = digest.then(|| digest::Context::new(&digest::SHA256));
        Self { digest, bodies: bodies.cloned(), id: None, whole: true }
    }

    /// Nothing of it is missing so far.
    pub(super) const fn is_whole(&self) -> bool {
        self.whole
    }

    /// Takes its next bytes.
    pub(super) fn take(&mut self, exchange: &mut Exchange, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        exchange.body_bytes = exchange.body_bytes.saturating_add(bytes.len() as u64);
        let room = MAX_BODY_HEAD.saturating_sub(exchange.body_head.len());
        exchange.body_head.extend(bytes.iter().take(room));
        if let Some(digest) = &mut self.digest {
            digest.update(bytes);
        }
        if let Some((bodies, id)) = self.begun(exchange) {
            bodies.borrow_mut().content(id, bytes);
        }
    }

    /// So many bytes of it are missing; `None`: an unknown number, and no more comes.
    pub(super) fn hole(&mut self, exchange: &mut Exchange, length: Option<u64>) {
        self.whole = false;
        exchange.body_bytes = exchange.body_bytes.saturating_add(length.unwrap_or(0));
        // A body of which nothing was seen does not begin with what will never come.
        if (length.is_some() || self.id.is_some())
            && let Some((bodies, id)) = self.begun(exchange)
        {
            bodies.borrow_mut().hole(id, length);
        }
    }

    /// No more of it comes, and the exchange says already whether all was seen.
    pub(super) fn end(&mut self, exchange: &mut Exchange) {
        let digest = self.digest.take();
        if let Some(digest) = digest.filter(|_| exchange.complete) {
            exchange.body_sha256 = digest.finish().as_ref().try_into().ok();
        }
        if let (Some(bodies), Some(id)) = (self.bodies.take(), self.id) {
            bodies.borrow_mut().end(id, exchange);
        }
    }

    fn begun(&mut self, exchange: &Exchange) -> Option<(&Bodies, BodyId)> {
        let bodies = self.bodies.as_ref()?;
        let id = *self.id.get_or_insert_with(|| bodies.borrow_mut().begin(exchange));
        Some((bodies, id))
    }
}
