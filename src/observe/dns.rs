//! DNS messages folded into [`Lookup`]s: one question with every answer that claims to be for it.

mod duplicates;
mod pending;
mod resolvers;

use std::fmt;
use std::net::SocketAddr;

use self::duplicates::Duplicates;
use self::pending::{Entry, Pending, Socket};
use self::resolvers::Resolvers;
use crate::observation::{
    Answer, DnsTransport, IcmpError, IpMark, Lookup, Query, RecordData, RecordType, Relevance, ResolverFacts,
};
use crate::packet::IcmpKind;
use crate::protocol::dns::{self, Message, Question};
use crate::types::{FlowId, Moment, Span};

/// DNS (RFC 1035 §4.2).
pub(crate) const PORT: u16 = 53;
/// Multicast DNS and LLMNR (RFC 6762, RFC 4795): everyone answers there, so two answers mean nothing.
const MULTICAST_PORTS: [u16; 2] = [5353, 5355];
/// An answer belongs to a question that was sent at most so long ago, if there is one.
const WINDOW: Span = Span::from_seconds(10);
/// A recorder that swaps packets may show an answer so long before its question.
const SWAPPED: Span = Span::from_millis(100);
/// Lookups kept that nothing ties to go.
const MAX_OTHERS: usize = 8_192;
/// Memory that those may take, in bytes.
const MAX_OTHERS_MEMORY: usize = 64 * 1024 * 1024;
/// Answers kept of one lookup.
const MAX_ANSWERS: usize = 64;
/// Cut messages that are listed.
const MAX_CUT: usize = 1_000;
/// Questions looked through for an ICMP error that does not quote the message id.
const MAX_ICMP_SEARCH: usize = 256;

/// What [`Lookups`] found.
#[derive(Debug)]
pub(crate) struct Folded {
    /// The lookups in the order of their first frame.
    pub(crate) lookups: Vec<Lookup>,
    /// All resolvers, by address.
    pub(crate) resolvers: Vec<ResolverFacts>,
    /// Datagrams recorded twice and left out.
    pub(crate) duplicates: u64,
    /// The first of them.
    pub(crate) first_duplicate: Option<Moment>,
    /// Lookups, or answers beyond the first [`MAX_ANSWERS`], that were counted but not kept.
    pub(crate) not_kept: u64,
    /// Relevant messages that the snap length cut, at most the first [`MAX_CUT`].
    pub(crate) cut: Vec<Moment>,
    /// Messages to or from the DNS port that are no lookup: too short, without a readable question, or of another
    /// opcode.
    #[cfg_attr(not(test), expect(dead_code, reason = "what nobody asks for yet, kept honest by the tests"))]
    pub(crate) unread: u64,
}

/// Folds DNS messages into lookups.
///
/// A lookup is identified by client, resolver, message id, name and type. Its memory is bounded, lookups of relevant
/// names apart: those are always kept.
pub(crate) struct Lookups<'a> {
    keep_all: bool,
    relevant: Box<dyn Fn(&str) -> bool + 'a>,
    lookups: Vec<Lookup>,
    pending: Pending,
    resolvers: Resolvers,
    duplicates: Duplicates,
    others: usize,
    others_memory: usize,
    not_kept: u64,
    cut: Vec<Moment>,
    unread: u64,
}

impl fmt::Debug for Lookups<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookups").field("lookups", &self.lookups.len()).finish_non_exhaustive()
    }
}

impl<'a> Lookups<'a> {
    /// Keeps lookups of names for which `relevant` is true (lower-case, without trailing dot) and, unless `keep_all`
    /// asks for all, some thousands of others.
    pub(crate) fn new(keep_all: bool, relevant: impl Fn(&str) -> bool + 'a) -> Self {
        Self {
            keep_all,
            relevant: Box::new(relevant),
            lookups: Vec::new(),
            pending: Pending::default(),
            resolvers: Resolvers::default(),
            duplicates: Duplicates::default(),
            others: 0,
            others_memory: 0,
            not_kept: 0,
            cut: Vec::new(),
            unread: 0,
        }
    }

    /// Takes a DNS message as it travelled from `source` to `destination`: a datagram's payload, or one message out of
    /// a TCP stream. `cut` says that the snap length took a part of it.
    #[expect(clippy::too_many_arguments, reason = "the facts of one packet, each of another type")]
    pub(crate) fn message(
        &mut self,
        at: Moment,
        ip: IpMark,
        source: SocketAddr,
        destination: SocketAddr,
        transport: DnsTransport,
        flow: Option<FlowId>,
        payload: &[u8],
        cut: bool,
    ) {
        if [source, destination].iter().any(|end| MULTICAST_PORTS.contains(&end.port())) {
            return;
        }
        if transport == DnsTransport::Udp && self.duplicates.is_one(at, ip, (source, destination), payload) {
            return;
        }
        let Some(message) = dns::parse(payload) else {
            self.unread += 1;
            return;
        };
        let to_resolver = match (source.port() == PORT, destination.port() == PORT) {
            (false, true) => true,
            (true, false) => false,
            _ => !message.response,
        };
        // A response sent to the DNS port, or a question from it, is nobody's lookup.
        if to_resolver == message.response {
            self.unread += 1;
            return;
        }
        if cut && message.malformed && self.cut.len() < MAX_CUT {
            let name = message.question.as_ref().map_or("", |question| &question.name);
            if (self.relevant)(name) {
                self.cut.push(at);
            }
        }
        let flow = flow.filter(|_| transport == DnsTransport::Tcp);
        let (client, resolver) = if to_resolver { (source, destination) } else { (destination, source) };
        let socket = Socket { client, resolver, flow, id: message.id };
        if message.response {
            self.answer(at, ip, socket, transport, message, payload.len());
        } else {
            self.question(at, ip, socket, transport, message);
        }
    }

    fn question(&mut self, at: Moment, ip: IpMark, socket: Socket, transport: DnsTransport, message: Message) {
        let edns = message.edns;
        let Some(question) = message.question.filter(|_| message.opcode == 0) else {
            self.unread += 1;
            return;
        };
        let known = self.pending.of(&socket).find(|(_, entry)| {
            is_for(entry, &question)
                && match (entry.asked, entry.answered) {
                    (Some(asked), _) => at.time.since(asked.time).abs() <= WINDOW,
                    (None, answered) => answered.is_some_and(|answer| at.time.since(answer.time).abs() <= SWAPPED),
                }
        });
        let number = known.map(|(number, _)| number);
        let again = number.and_then(|number| self.pending.get_mut(number)).map(|entry| {
            let again = entry.asked.is_some();
            entry.asked = Some(at);
            entry.sent = entry.sent.saturating_add(1);
            entry.edns |= edns;
            (again, entry.lookup)
        });
        self.resolvers.question(socket.resolver, at, again.is_some_and(|(again, _)| again));
        let query = Query { at, ip, edns, repeats: 0 };
        match again {
            Some((_, lookup)) => {
                if let Some(lookup) = lookup.and_then(|index| self.lookups.get_mut(index)) {
                    match &mut lookup.query {
                        Some(query) => query.repeats = query.repeats.saturating_add(1),
                        None => lookup.query = Some(query),
                    }
                }
            }
            None => {
                let lookup = self.keep(&question.name, question.record_type, socket, transport, Some(query));
                let mut entry = Entry::new(socket, question.name, question.record_type);
                (entry.asked, entry.sent, entry.edns, entry.lookup) = (Some(at), 1, edns, lookup);
                self.pending.add(entry);
            }
        }
    }

    fn answer(
        &mut self,
        at: Moment,
        ip: IpMark,
        socket: Socket,
        transport: DnsTransport,
        message: Message,
        length: usize,
    ) {
        let question = message.question;
        let answer = Answer {
            at,
            ip,
            rcode: message.rcode,
            authoritative: message.authoritative,
            recursion_available: message.recursion_available,
            truncated: message.truncated,
            edns: message.edns,
            has_question: question.is_some(),
            records: message.records,
            length: u32::try_from(length).unwrap_or(u32::MAX),
            refused: None,
            malformed: message.malformed,
        };
        let number = self.asked(&socket, question.as_ref(), at);
        if number.is_none() && (message.opcode != 0 || question.is_none() && answer.malformed) {
            self.unread += 1;
            return;
        }
        let number = number.unwrap_or(u64::MAX);
        let entry = self.pending.get_mut(number);
        self.resolvers.answer(socket.resolver, &answer, entry.as_deref());
        let lookup = if let Some(entry) = entry {
            entry.answered.get_or_insert(at);
            entry.lookup
        } else {
            let (name, record_type) =
                question.map_or((String::new(), RecordType(0)), |question| (question.name, question.record_type));
            let lookup = self.keep(&name, record_type, socket, transport, None);
            let mut entry = Entry::new(socket, name, record_type);
            (entry.answered, entry.lookup) = (Some(at), lookup);
            self.pending.add(entry);
            lookup
        };
        let Some(lookup) = lookup.and_then(|index| self.lookups.get_mut(index)) else { return };
        if lookup.answers.len() >= MAX_ANSWERS {
            self.not_kept += 1;
            return;
        }
        if lookup.relevance == Relevance::Other {
            self.others_memory = self.others_memory.saturating_add(memory_of(&answer));
        }
        lookup.answers.push(answer);
    }

    /// The question that an answer belongs to: the same one within the window, else the same one at any time. An answer
    /// that does not repeat its question belongs to the latest of that socket and id.
    fn asked(&self, socket: &Socket, question: Option<&Question>, at: Moment) -> Option<u64> {
        let Some(question) = question else { return self.pending.of(socket).next().map(|(number, _)| number) };
        let near = |entry: &Entry| {
            entry.asked.or(entry.answered).is_some_and(|since| at.time.since(since.time).abs() <= WINDOW)
        };
        let mut same = self.pending.of(socket).filter(|(_, entry)| is_for(entry, question)).peekable();
        let latest = same.peek().map(|(number, _)| *number);
        same.find(|(_, entry)| near(entry)).map(|(number, _)| number).or(latest)
    }

    /// Makes a lookup if it is to be kept.
    fn keep(
        &mut self,
        name: &str,
        record_type: RecordType,
        socket: Socket,
        transport: DnsTransport,
        query: Option<Query>,
    ) -> Option<usize> {
        let relevance = if (self.relevant)(name) { Relevance::Go } else { Relevance::Other };
        if relevance == Relevance::Other {
            let room = self.others < MAX_OTHERS && self.others_memory < MAX_OTHERS_MEMORY;
            if !room && !self.keep_all {
                self.not_kept += 1;
                return None;
            }
            self.others += 1;
        }
        self.lookups.push(Lookup {
            name: name.to_owned(),
            record_type,
            id: socket.id,
            transport,
            client: socket.client,
            resolver: socket.resolver,
            query,
            answers: Vec::new(),
            flow: socket.flow,
            error: None,
            relevance,
        });
        self.lookups.len().checked_sub(1)
    }

    /// Takes the ICMP error of that index in [`crate::observation::Case::icmp`]: "port unreachable" from the client's
    /// host about an answer marks that answer as refused, any error about a question marks its lookup.
    pub(crate) fn icmp(&mut self, index: usize, error: &IcmpError) {
        /// IP protocol number of UDP.
        const UDP: u8 = 17;
        let quoted = error.quoted;
        if quoted.protocol != UDP {
            return;
        }
        if quoted.destination.port() == PORT
            && let Some(lookup) = self.quoted(quoted.source, quoted.destination, quoted.dns_id)
        {
            lookup.error.get_or_insert(index);
        } else if quoted.source.port() == PORT
            && error.kind == IcmpKind::PortUnreachable
            && error.from == quoted.destination.ip()
            && let Some(lookup) = self.quoted(quoted.destination, quoted.source, quoted.dns_id)
            && let Some(answer) =
                lookup.answers.iter_mut().rev().find(|answer| answer.refused.is_none() && answer.at <= error.at)
        {
            // Hosts answer at once, so it is about the latest answer before it.
            answer.refused = Some(error.at);
        }
    }

    fn quoted(&mut self, client: SocketAddr, resolver: SocketAddr, id: Option<u16>) -> Option<&mut Lookup> {
        let lookup = match id {
            Some(id) => {
                let socket = Socket { client, resolver, flow: None, id };
                self.pending.of(&socket).find_map(|(_, entry)| entry.lookup)
            }
            None => self.pending.latest(MAX_ICMP_SEARCH).find_map(|entry| {
                let Socket { client: asker, resolver: asked, flow, .. } = entry.socket;
                entry.lookup.filter(|_| asker == client && asked == resolver && flow.is_none())
            }),
        };
        self.lookups.get_mut(lookup?)
    }

    /// Everything that was found.
    pub(crate) fn finish(self) -> Folded {
        Folded {
            lookups: self.lookups,
            resolvers: self.resolvers.finish(),
            duplicates: self.duplicates.count,
            first_duplicate: self.duplicates.first,
            not_kept: self.not_kept,
            cut: self.cut,
            unread: self.unread,
        }
    }
}

fn is_for(entry: &Entry, question: &Question) -> bool {
    entry.record_type == question.record_type && entry.name == question.name
}

/// Roughly the memory that an answer takes.
fn memory_of(answer: &Answer) -> usize {
    let texts = answer.records.iter().map(|record| {
        record.name.len()
            + match &record.data {
                RecordData::Name(text) | RecordData::Other(text) => text.len(),
                RecordData::A(_) | RecordData::Aaaa(_) => 0,
            }
    });
    size_of_val(answer.records.as_slice()) + size_of::<Answer>() + texts.sum::<usize>()
}

#[cfg(test)]
mod tests;
