//! What is known of each resolver over all its answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use hashbrown::HashMap;

use super::pending::Entry;
use crate::observation::{Answer, ResolverFacts};
use crate::types::Moment;

/// Resolvers counted at most.
const MAX_RESOLVERS: usize = 16_384;

/// Figures for each resolver.
#[derive(Debug, Default)]
pub(super) struct Resolvers {
    by_address: HashMap<SocketAddr, ResolverFacts>,
}

impl Resolvers {
    fn of(&mut self, address: SocketAddr, at: Moment) -> Option<&mut ResolverFacts> {
        if self.by_address.len() >= MAX_RESOLVERS && !self.by_address.contains_key(&address) {
            return None;
        }
        let facts = self.by_address.entry(address).or_insert_with(|| ResolverFacts {
            address,
            questions: 0,
            answered: 0,
            answers: 0,
            edns_asked: 0,
            edns_answers: 0,
            min_rtt: None,
            ttls: BTreeMap::new(),
            rcodes: BTreeMap::new(),
            first: at,
            last: at,
        });
        facts.first = facts.first.min(at);
        facts.last = facts.last.max(at);
        Some(facts)
    }

    /// Counts a question, or a repetition of one (`again`).
    pub(super) fn question(&mut self, resolver: SocketAddr, at: Moment, again: bool) {
        if let Some(facts) = self.of(resolver, at) {
            facts.questions += u64::from(!again);
        }
    }

    /// Counts an answer; `question` is as it was before the answer.
    pub(super) fn answer(&mut self, resolver: SocketAddr, answer: &Answer, question: Option<&Entry>) {
        let Some(facts) = self.of(resolver, answer.at) else { return };
        facts.answers += 1;
        *facts.ttls.entry(answer.ip.ttl).or_default() += 1;
        *facts.rcodes.entry(answer.rcode).or_default() += 1;
        let Some((entry, asked)) = question.and_then(|entry| Some((entry, entry.asked?))) else { return };
        facts.edns_asked += u64::from(entry.edns);
        facts.edns_answers += u64::from(entry.edns && answer.edns);
        if entry.answered.is_some() {
            return;
        }
        facts.answered += 1;
        let took = answer.at.time.since(asked.time);
        if entry.sent == 1 && took.nanos() >= 0 {
            facts.min_rtt = Some(facts.min_rtt.map_or(took, |least| least.min(took)));
        }
    }

    /// All of them, by address.
    pub(super) fn finish(self) -> Vec<ResolverFacts> {
        let mut all: Vec<_> = self.by_address.into_values().collect();
        all.sort_unstable_by_key(|facts| facts.address);
        all
    }
}
