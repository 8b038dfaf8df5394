//! Datagrams that the recorder saw twice.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::net::SocketAddr;

use hashbrown::DefaultHashBuilder;

use crate::observation::IpMark;
use crate::types::{Moment, Span, Timestamp};

/// A datagram recorded on two interfaces, or at both ends of a mirror port, comes twice within this time.
/// An injector that says the same twice differs in TTL or IP identification, or takes longer.
const WINDOW: Span = Span::from_millis(2);
/// Datagrams remembered at most, for recordings whose clock stands still.
const MAX_RECENT: usize = 256;

/// Tells recorded duplicates from datagrams that were sent twice.
#[derive(Debug, Default)]
pub(super) struct Duplicates {
    hasher: DefaultHashBuilder,
    recent: VecDeque<(Timestamp, u64)>,
    /// How many there were, and the first.
    pub(super) count: u64,
    pub(super) first: Option<Moment>,
}

impl Duplicates {
    /// Whether this is a datagram that was just seen: same addresses, ports, TTL, IP identification and bytes.
    pub(super) fn is_one(&mut self, at: Moment, ip: IpMark, ends: (SocketAddr, SocketAddr), payload: &[u8]) -> bool {
        let hash = self.hasher.hash_one((ends, ip.ttl, ip.id, payload));
        let near = |time: Timestamp| at.time.since(time).abs() <= WINDOW;
        while self.recent.front().is_some_and(|&(time, _)| !near(time)) || self.recent.len() >= MAX_RECENT {
            self.recent.pop_front();
        }
        let found = self.recent.iter().any(|&(time, other)| other == hash && near(time));
        if found {
            self.count += 1;
            self.first.get_or_insert(at);
        } else {
            self.recent.push_back((at.time, hash));
        }
        found
    }
}
