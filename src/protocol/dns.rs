//! DNS messages (RFC 1035 §4), as far as they were recorded.
//!
//! The walk over header, questions and records is this module's own: hickory-proto reads a message whole or not at
//! all, and what an injector or a snap length leaves of one must not be lost. Record data is read by hickory-proto.

mod data;
mod name;
mod stream;

pub(crate) use self::stream::TcpFraming;

use self::name::WireName;
use crate::observation::{Record, RecordType, Section};

/// Bytes of text (names and data) kept of one message. A message of 64 KiB can demand many times its size by
/// compression; honest ones stay far below.
const MAX_TEXT: usize = 512 * 1024;
/// Names against the rules read in one message. What has more of them was made to cost time.
const MAX_ODD: u32 = 8;
/// Type OPT (RFC 6891 §6.1.1).
const OPT: u16 = 41;

/// A DNS message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the header")]
pub(crate) struct Message {
    /// Message id.
    pub(crate) id: u16,
    /// QR: it is a response.
    pub(crate) response: bool,
    /// Kind of query; 0 is the ordinary one.
    pub(crate) opcode: u8,
    /// AA.
    pub(crate) authoritative: bool,
    /// TC.
    pub(crate) truncated: bool,
    /// RD.
    pub(crate) recursion_desired: bool,
    /// RA.
    pub(crate) recursion_available: bool,
    /// Response code with the upper bits from an OPT record (RFC 6891 §6.1.3).
    pub(crate) rcode: u16,
    /// The first question; nobody sends a second (RFC 9619).
    pub(crate) question: Option<Question>,
    /// All records but OPT, in the order of the message.
    pub(crate) records: Vec<Record>,
    /// It carries an OPT record.
    pub(crate) edns: bool,
    /// It does not say what its header announces: it is cut, a part of it cannot be read, or bytes other than zeros follow its end.
    pub(crate) malformed: bool,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// The name, lower-case, without trailing dot; the root is empty.
    pub(crate) name: String,
    /// The name as it was sent, where that has upper-case letters.
    mixed_case: Option<String>,
    /// What is asked for.
    pub(crate) record_type: RecordType,
    /// Class; 1 is the internet.
    pub(crate) class: u16,
}

impl Question {
    /// The name with its letters as they were sent: resolvers that mix the case expect it back.
    #[cfg_attr(not(test), expect(dead_code, reason = "no detector holds the case against an answer yet"))]
    pub(crate) fn name_as_sent(&self) -> &str {
        self.mixed_case.as_deref().unwrap_or(&self.name)
    }
}

/// A position in a message.
struct Reader<'a> {
    message: &'a [u8],
    position: usize,
    /// Text that may still be kept.
    budget: usize,
    /// Names against the rules that may still come.
    odd: u32,
    malformed: bool,
}

impl Reader<'_> {
    fn u16(&mut self) -> Option<u16> {
        let bytes = self.message.get(self.position..)?.first_chunk()?;
        self.position += 2;
        Some(u16::from_be_bytes(*bytes))
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes = self.message.get(self.position..)?.first_chunk()?;
        self.position += 4;
        Some(u32::from_be_bytes(*bytes))
    }

    fn name(&mut self) -> Option<WireName> {
        let name = name::read(self.message, self.position)?;
        self.budget = self.budget.checked_sub(name.text.len())?;
        self.position = name.next;
        if name.odd {
            self.malformed = true;
            self.odd = self.odd.checked_sub(1)?;
        }
        Some(name)
    }

    /// A question; `Some(None)` where its name breaks the rules, so that it repeats nobody's question.
    fn question(&mut self) -> Option<Option<Question>> {
        let WireName { text: sent, odd, .. } = self.name()?;
        let record_type = RecordType(self.u16()?);
        let class = self.u16()?;
        let name = sent.to_ascii_lowercase();
        let mixed_case = (sent != name).then_some(sent);
        Some((!odd).then_some(Question { name, mixed_case, record_type, class }))
    }
}

/// Reads a message; `None` only where even its header of 12 bytes is not there.
///
/// Nothing that can be read is lost because something else cannot: a damaged record keeps its name and type as long as
/// its length leads on to the next, and the records before the damage stay.
pub(crate) fn parse(bytes: &[u8]) -> Option<Message> {
    let mut reader = Reader { message: bytes, position: 0, budget: MAX_TEXT, odd: MAX_ODD, malformed: false };
    let id = reader.u16()?;
    let [high, low] = reader.u16()?.to_be_bytes();
    let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
    let mut message = Message {
        id,
        response: high & 0x80 != 0,
        opcode: high >> 3 & 0x0f,
        authoritative: high & 0x04 != 0,
        truncated: high & 0x02 != 0,
        recursion_desired: high & 0x01 != 0,
        recursion_available: low & 0x80 != 0,
        rcode: u16::from(low & 0x0f),
        question: None,
        records: Vec::new(),
        edns: false,
        malformed: false,
    };
    let whole = sections(&mut reader, counts, &mut message).is_some();
    // Home routers pad their answers with zeros.
    let padding = bytes.get(reader.position..).unwrap_or_default();
    message.malformed = reader.malformed || !whole || padding.iter().any(|&byte| byte != 0);
    Some(message)
}

/// Everything after the header; `None` where it ended early.
fn sections(
    reader: &mut Reader<'_>,
    [questions, answers, authorities, additionals]: [u16; 4],
    message: &mut Message,
) -> Option<()> {
    for _ in 0..questions {
        let question = reader.question()?;
        message.question = message.question.take().or(question);
    }
    let sections = [(answers, Section::Answer), (authorities, Section::Authority), (additionals, Section::Additional)];
    for (count, section) in sections {
        for _ in 0..count {
            record(reader, section, message)?;
        }
    }
    Some(())
}

fn record(reader: &mut Reader<'_>, section: Section, message: &mut Message) -> Option<()> {
    let mut name = reader.name()?.text;
    name.make_ascii_lowercase();
    let record_type = reader.u16()?;
    let class = reader.u16()?;
    let ttl = reader.u32()?;
    let length = usize::from(reader.u16()?);
    let start = reader.position;
    let declared = start.checked_add(length)?;
    let end = declared.min(reader.message.len());
    reader.position = end;
    let cut = end < declared;
    if record_type == OPT {
        message.edns = true;
        message.rcode |= u16::from(ttl.to_be_bytes()[0]) << 4;
    } else {
        let (data, fits) = data::read(reader.message, start, end, record_type, class);
        reader.malformed |= !fits;
        reader.budget = reader.budget.checked_sub(text_length(&data))?;
        message.records.push(Record { section, name, record_type: RecordType(record_type), ttl, data });
    }
    (!cut).then_some(())
}

fn text_length(data: &crate::observation::RecordData) -> usize {
    use crate::observation::RecordData;
    match data {
        RecordData::Name(text) | RecordData::Other(text) => text.len(),
        RecordData::A(_) | RecordData::Aaaa(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::observation::RecordData;

    /// An answer as resolvers give it: CNAME, then A, SOA in the authority section, OPT last.
    pub(crate) const ANSWER: &[u8] = b"\x12\x67\x81\x80\x00\x01\x00\x02\x00\x01\x00\x01\
        \x05Proxy\x06golang\x03org\x00\x00\x01\x00\x01\
        \xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01C\xc0\x12\
        \xc0\x2e\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x8e\xfa\x4a\x71\
        \xc0\x12\x00\x06\x00\x01\x00\x00\x00\x05\x00\x18\xc0\x19\xc0\x19\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x05\
        \x00\x00\x29\x04\xd0\x01\x00\x00\x00\x00\x00";

    fn header(flags: u16, counts: [u16; 4]) -> Vec<u8> {
        let mut bytes = vec![0xab, 0xcd];
        bytes.extend(flags.to_be_bytes());
        for count in counts {
            bytes.extend(count.to_be_bytes());
        }
        bytes
    }

    #[test]
    fn an_answer_is_read_with_all_its_sections() {
        let message = parse(ANSWER).unwrap();
        assert!(message.response && message.recursion_desired && message.recursion_available && message.edns);
        assert!(!message.authoritative && !message.truncated && !message.malformed);
        assert_eq!((message.id, message.opcode, message.rcode), (0x1267, 0, 16), "the OPT record extends the code");
        let question = message.question.unwrap();
        assert_eq!(
            (question.name.as_str(), question.record_type, question.class),
            ("proxy.golang.org", RecordType::A, 1)
        );
        assert_eq!(question.name_as_sent(), "Proxy.golang.org");
        let record = |section, name: &str, kind, ttl, data| Record {
            section,
            name: name.to_owned(),
            record_type: RecordType(kind),
            ttl,
            data,
        };
        assert_eq!(
            message.records,
            [
                record(Section::Answer, "proxy.golang.org", 5, 60, RecordData::Name("c.golang.org".to_owned())),
                record(Section::Answer, "c.golang.org", 1, 5, RecordData::A([142, 250, 74, 113].into())),
                record(Section::Authority, "golang.org", 6, 5, RecordData::Other("org org 1 2 3 4 5".to_owned())),
            ]
        );
    }

    #[test]
    fn every_cut_keeps_what_came_before_it() {
        let whole = parse(ANSWER).unwrap();
        for length in 0..ANSWER.len() {
            let cut = parse(&ANSWER[..length]);
            assert_eq!(cut.is_some(), length >= 12, "{length}");
            let Some(cut) = cut else { continue };
            assert!(cut.malformed, "{length}");
            assert_eq!(cut.question.is_some(), length >= 12 + 22, "{length}");
            for (index, (kept, original)) in cut.records.iter().zip(&whole.records).enumerate() {
                assert_eq!(
                    (&kept.name, kept.record_type, kept.ttl),
                    (&original.name, original.record_type, original.ttl)
                );
                assert!(kept == original || index + 1 == cut.records.len(), "{length}: only the last one is cut");
            }
        }
    }

    #[test]
    fn refusals_of_twelve_bytes_are_whole() {
        let message = parse(&header(0x8185, [0; 4])).unwrap();
        assert_eq!((message.rcode, message.malformed, message.question), (5, false, None));
    }

    #[test]
    fn bytes_after_the_end_are_damage() {
        let mut bytes = ANSWER.to_vec();
        bytes.push(0);
        assert!(!parse(&bytes).unwrap().malformed, "zeros are padding");
        bytes.push(1);
        let message = parse(&bytes).unwrap();
        assert!(message.malformed);
        assert_eq!(message.records, parse(ANSWER).unwrap().records);
    }

    #[test]
    fn headers_may_promise_more_than_there_is() {
        let mut bytes = header(0x8180, [0, u16::MAX, u16::MAX, u16::MAX]);
        bytes.extend(b"\x01a\x00\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x01\x02\x03\x04");
        let message = parse(&bytes).unwrap();
        assert!(message.malformed && message.records.len() == 1);
        assert!(parse(&header(0, [u16::MAX; 4])).unwrap().malformed);
    }

    #[test]
    fn a_bad_record_does_not_hide_the_next() {
        let mut bytes = header(0x8180, [0, 2, 0, 0]);
        bytes.extend(b"\x01a\x00\x00\x05\x00\x01\x00\x00\x00\x01\x00\x02\xc0\x19");
        bytes.extend(b"\x01b\x00\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x01\x02\x03\x04");
        let message = parse(&bytes).unwrap();
        assert!(message.malformed);
        assert_eq!(message.records[0].data, RecordData::Name(String::new()));
        assert_eq!(message.records[1].data, RecordData::A([1, 2, 3, 4].into()));
    }

    #[test]
    fn compression_cannot_blow_up_the_text() {
        // One long name and thousands of records that point to it.
        let mut bytes = header(0x8180, [0, u16::MAX, 0, 0]);
        for _ in 0..3 {
            bytes.push(63);
            bytes.extend([0xff; 63]);
        }
        bytes.extend(b"\x00\xff\xf0\x00\x01\x00\x00\x00\x00\x00\x00");
        while bytes.len() < 65_000 {
            bytes.extend(b"\xc0\x0c\xff\xf0\x00\x01\x00\x00\x00\x00\x00\x00");
        }
        let message = parse(&bytes).unwrap();
        let text: usize = message.records.iter().map(|record| record.name.len() + text_length(&record.data)).sum();
        assert!(message.malformed && text <= MAX_TEXT && message.records.len() > 100);
    }

    #[test]
    fn damaged_questions_repeat_nothing_and_do_not_hide_the_answer() {
        let mut bytes = header(0x8180, [2, 1, 0, 0]);
        bytes.extend(b"\xc0\x0c\x00\x01\x00\x01\x01a\x00\x00\x01\x00\x01");
        bytes.extend(b"\xc0\x12\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x01\x02\x03\x04");
        let message = parse(&bytes).unwrap();
        assert!(message.malformed);
        assert_eq!(message.question.map(|question| question.name).as_deref(), Some("a"));
        assert_eq!(message.records[0].data, RecordData::A([1, 2, 3, 4].into()));
    }

    #[test]
    fn messages_full_of_loops_are_left_early() {
        let mut bytes = header(0x8180, [0, u16::MAX, 0, 0]);
        for _ in 0..5_000 {
            bytes.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x00");
        }
        assert_eq!(parse(&bytes).unwrap().records.len(), usize::try_from(MAX_ODD).unwrap());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_damage_panics(at in 0..ANSWER.len(), value: u8, kind in 0_u16..300, tail in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut bytes = ANSWER.to_vec();
            bytes[at] = value;
            bytes.extend(tail.iter());
            let _ = parse(&bytes);
            // Every record type over arbitrary data.
            let mut bytes = header(0x8180, [0, 1, 0, 0]);
            bytes.push(0);
            bytes.extend(kind.to_be_bytes());
            bytes.extend([0, 1, 0, 0, 0, 0, 0, u8::try_from(tail.len()).unwrap()]);
            bytes.extend(tail);
            prop_assert!(parse(&bytes).unwrap().records.len() <= 1);
        }
    }
}
