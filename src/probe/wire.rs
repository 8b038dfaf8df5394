//! DNS messages as go sends them, and what comes back.

use std::net::SocketAddr;

use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, Query};
use hickory_resolver::proto::rr::{Name, RecordType as Type};

use crate::observation::RecordType;
use crate::observation::probe::Reply;
use crate::protocol::dns::{Message, parse};
use crate::types::Span;

/// What go offers to take in a datagram (Go: `src/net/dnsclient_unix.go`, `maxDNSPacketSize`).
const PAYLOAD: u16 = 1_232;

/// A question.
pub(super) struct Asked {
    /// For hickory's transports.
    pub(super) request: DnsRequest,
    /// As bytes.
    pub(super) bytes: Vec<u8>,
    id: u16,
    name: String,
    record_type: RecordType,
}

impl Asked {
    /// A question as go puts it: EDNS0 with 1232 bytes, no cookie, recursion desired of resolvers. `None` for what is no name.
    pub(super) fn new(name: &str, record_type: RecordType, recursion: bool) -> Option<Self> {
        let mut fqdn = Name::from_ascii(name).ok()?;
        fqdn.set_fqdn(true);
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        options.edns_payload_len = PAYLOAD;
        options.recursion_desired = recursion;
        let request = DnsRequest::from_query(Query::query(fqdn, Type::from(record_type.0)), options);
        let bytes = request.to_vec().ok()?;
        let id = bytes.first_chunk().copied().map(u16::from_be_bytes)?;
        Some(Self { request, bytes, id, name: name.to_ascii_lowercase(), record_type })
    }

    /// The message, if it answers this question. Datagrams with another id or question are passed over, as go does.
    pub(super) fn answered_by(&self, bytes: &[u8]) -> Option<Message> {
        let message = parse(bytes).filter(|message| message.id == self.id)?;
        self.fits(&message).then_some(message)
    }

    /// The message, if it is about this question; over HTTPS ids are zero (RFC 8484 §4.1).
    pub(super) fn read(&self, bytes: &[u8]) -> Option<Message> {
        parse(bytes).filter(|message| self.fits(message))
    }

    fn fits(&self, message: &Message) -> bool {
        let question = message.question.as_ref();
        message.response
            && question.is_some_and(|question| question.name == self.name && question.record_type == self.record_type)
    }
}

/// A message as an observation. The AD bit is read here: recordings have no use for it.
pub(super) fn reply(message: Message, bytes: &[u8], from: SocketAddr, after: Span) -> Reply {
    Reply {
        after,
        from,
        rcode: message.rcode,
        authoritative: message.authoritative,
        truncated: message.truncated,
        authenticated: bytes.get(3).is_some_and(|flags| flags & 0x20 != 0),
        edns: message.edns,
        records: message.records,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_gos() {
        let asked = Asked::new("proxy.golang.org", RecordType::AAAA, true).unwrap();
        let message = parse(&asked.bytes).unwrap();
        assert!(message.recursion_desired && message.edns && !message.response && !message.malformed);
        assert_eq!(message.question.unwrap().record_type, RecordType::AAAA);
        // The last record is OPT: type, payload size, flags, no options (RFC 6891 §6.1.2).
        assert_eq!(asked.bytes[asked.bytes.len() - 11..], [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        assert!(!parse(&Asked::new("a.example", RecordType::A, false).unwrap().bytes).unwrap().recursion_desired);
        assert!(Asked::new(&"a".repeat(300), RecordType::A, true).is_none());
    }

    #[test]
    fn answers_to_other_questions_are_passed_over() {
        let asked = Asked::new("a.example", RecordType::A, true).unwrap();
        let answer = |id_bit: u8, name: &str| {
            let mut bytes = Asked::new(name, RecordType::A, true).unwrap().bytes;
            bytes[..2].copy_from_slice(&asked.bytes[..2]);
            bytes[0] ^= id_bit;
            bytes[2] |= 0x80;
            bytes
        };
        assert!(asked.answered_by(&answer(0, "a.example")).is_some());
        assert!(asked.answered_by(&answer(1, "a.example")).is_none());
        assert!(asked.answered_by(&answer(0, "b.example")).is_none());
        assert!(asked.answered_by(&asked.bytes).is_none(), "the question itself");
        assert!(asked.answered_by(&[]).is_none());
    }
}
