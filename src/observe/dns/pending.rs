//! Which questions an answer may belong to.

use std::collections::VecDeque;
use std::net::SocketAddr;

use hashbrown::HashMap;

use crate::observation::RecordType;
use crate::types::{FlowId, Moment};

/// Questions remembered at most; the oldest is forgotten first.
const MAX_PENDING: usize = 65_536;
/// Questions of one socket and id looked through at most.
const MAX_CHAIN: usize = 64;

/// What question and answer have in common, the question itself apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Socket {
    pub(super) client: SocketAddr,
    pub(super) resolver: SocketAddr,
    pub(super) flow: Option<FlowId>,
    pub(super) id: u16,
}

/// A question that was asked, or that an answer repeats.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) socket: Socket,
    pub(super) name: String,
    pub(super) record_type: RecordType,
    /// When it was sent, last; `None` while only answers to it were seen.
    pub(super) asked: Option<Moment>,
    /// Times it was sent.
    pub(super) sent: u32,
    /// It carried an OPT record.
    pub(super) edns: bool,
    /// The first answer to it.
    pub(super) answered: Option<Moment>,
    /// Index of its lookup, where that is kept.
    pub(super) lookup: Option<usize>,
    /// The question before it of the same socket.
    previous: Option<u64>,
}

impl Entry {
    pub(super) const fn new(socket: Socket, name: String, record_type: RecordType) -> Self {
        Self {
            socket,
            name,
            record_type,
            asked: None,
            sent: 0,
            edns: false,
            answered: None,
            lookup: None,
            previous: None,
        }
    }
}

/// The latest questions, found by socket. Numbers count entries from the first one ever added.
#[derive(Debug, Default)]
pub(super) struct Pending {
    entries: VecDeque<Entry>,
    /// Number of the oldest entry that is still there.
    oldest: u64,
    newest: HashMap<Socket, u64>,
}

impl Pending {
    pub(super) fn add(&mut self, mut entry: Entry) {
        if self.entries.len() >= MAX_PENDING
            && let Some(gone) = self.entries.pop_front()
        {
            if self.newest.get(&gone.socket) == Some(&self.oldest) {
                self.newest.remove(&gone.socket);
            }
            self.oldest += 1;
        }
        let number = self.oldest + self.entries.len() as u64;
        entry.previous = self.newest.insert(entry.socket, number);
        self.entries.push_back(entry);
    }

    fn get(&self, number: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(number.checked_sub(self.oldest)?).ok()?)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Entry> {
        self.entries.get_mut(usize::try_from(number.checked_sub(self.oldest)?).ok()?)
    }

    /// The questions of a socket with their numbers, the latest first.
    pub(super) fn of(&self, socket: &Socket) -> impl Iterator<Item = (u64, &Entry)> {
        let mut next = self.newest.get(socket).copied();
        std::iter::from_fn(move || {
            let number = next?;
            let entry = self.get(number)?;
            next = entry.previous;
            Some((number, entry))
        })
        .take(MAX_CHAIN)
    }

    /// The latest `count` entries, the latest first.
    pub(super) fn latest(&self, count: usize) -> impl Iterator<Item = &Entry> {
        self.entries.iter().rev().take(count)
    }
}
