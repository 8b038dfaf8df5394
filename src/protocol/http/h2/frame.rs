//! Frames of HTTP/2 (RFC 9113 §4, §6), however they are split over records. DATA is handed on as it comes.

/// The longest frame but DATA, and the longest header block, that are put together.
const MAX_BLOCK: usize = 256 << 10;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY_FRAME: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// What the frames of a direction say.
pub(super) enum Event<'a> {
    /// A header block, whole.
    Headers { stream: u32, block: &'a [u8], end: bool },
    /// The header block of a promised request: it counts for the table only.
    Promise { block: &'a [u8] },
    /// A part of a body.
    Data { stream: u32, content: &'a [u8] },
    /// The body's end.
    DataEnd { stream: u32 },
    /// `RST_STREAM`.
    Reset { stream: u32, code: u32 },
    /// `GOAWAY`.
    GoAway { last: u32, code: u32 },
}

#[derive(Default)]
enum State {
    /// Before the end of the preface: what is still to come of it.
    Preface(&'static [u8]),
    #[default]
    Header,
    /// A frame that is put together in `pending`.
    Payload(Header),
    /// In a DATA frame; its padding's length is still to come.
    PadLength(Header),
    /// In a DATA frame: bytes left of the content and of the padding.
    Data { header: Header, content: usize, padding: usize },
    /// A frame of no interest: bytes left.
    Ignored(usize),
    /// After a hole: where frames begin is unknown.
    Lost,
    /// Nothing more can be read.
    Stopped,
}

#[derive(Clone, Copy)]
struct Header {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Header {
    const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A header block that CONTINUATION frames go on with.
struct Block {
    stream: u32,
    end: bool,
    promise: bool,
    fragments: Vec<u8>,
}

/// Cuts one direction's bytes into frames.
#[derive(Default)]
pub(super) struct Frames {
    state: State,
    pending: Vec<u8>,
    block: Option<Block>,
}

impl Frames {
    pub(super) const fn new(preface: &'static [u8]) -> Self {
        let state = if preface.is_empty() { State::Header } else { State::Preface(preface) };
        Self { state, pending: Vec::new(), block: None }
    }

    /// Nothing is read, for good or until frames are found again.
    pub(super) const fn is_stopped(&self) -> bool {
        matches!(self.state, State::Stopped | State::Lost)
    }

    pub(super) fn stop(&mut self) {
        *self = Self { state: State::Stopped, pending: Vec::new(), block: None };
    }

    /// Skips a hole. The stream in whose DATA it lies; `None` where it lies elsewhere, and reading stops until
    /// [`Frames::resume`] finds frames again.
    pub(super) fn skip(&mut self, length: u64) -> Option<u32> {
        if let State::Data { header, content, .. } = &mut self.state
            && let Some(left) = usize::try_from(length).ok().and_then(|length| content.checked_sub(length))
        {
            *content = left;
            return Some(header.stream);
        }
        if !matches!(self.state, State::Stopped) {
            self.stop();
            self.state = State::Lost;
        }
        None
    }

    /// After a hole: goes on where a record of TLS holds nothing but whole frames, or ends in a DATA frame. Senders put
    /// frames into records of their own, and bytes that are none hardly pass. True where it went on.
    pub(super) fn resume(&mut self, record: &[u8], is_known: impl Fn(u32) -> bool) -> bool {
        let found = matches!(self.state, State::Lost) && are_frames(record, is_known);
        if found {
            self.state = State::Header;
        }
        found
    }

    /// Takes bytes and calls `take` with what they say.
    pub(super) fn push(&mut self, bytes: &[u8], mut take: impl FnMut(Event<'_>)) {
        let mut rest = bytes;
        // A frame may end without any byte left, and even begin so.
        while self.step(&mut rest, &mut take) {}
    }

    /// One step; false where bytes are needed.
    fn step(&mut self, rest: &mut &[u8], take: &mut impl FnMut(Event<'_>)) -> bool {
        match self.state {
            State::Preface(expected) => {
                let count = expected.len().min(rest.len());
                let (now, after) = rest.split_at_checked(count).unwrap_or_default();
                *rest = after;
                match expected.strip_prefix(now) {
                    None => self.stop(),
                    Some([]) => self.state = State::Header,
                    Some(more) => self.state = State::Preface(more),
                }
                count > 0
            }
            State::Header => {
                if !self.collect(rest, 9) {
                    return false;
                }
                let header = header(&self.pending);
                self.pending.clear();
                match header {
                    Some(header) => self.begin(header),
                    None => self.stop(),
                }
                true
            }
            State::Payload(header) => {
                if !self.collect(rest, header.length) {
                    return false;
                }
                let payload = std::mem::take(&mut self.pending);
                self.state = State::Header;
                if self.frame(header, &payload, take).is_none() {
                    self.stop();
                }
                true
            }
            State::PadLength(header) => {
                let Some((padding, after)) = rest.split_first() else { return false };
                *rest = after;
                let padding = usize::from(*padding);
                match (header.length - 1).checked_sub(padding) {
                    Some(content) => self.state = State::Data { header, content, padding },
                    None => self.stop(),
                }
                true
            }
            State::Data { header, content, padding } => {
                let (now, after) = rest.split_at_checked(content.min(rest.len())).unwrap_or_default();
                let left = content - now.len();
                if !now.is_empty() {
                    take(Event::Data { stream: header.stream, content: now });
                }
                *rest = after;
                self.state = State::Data { header, content: left, padding };
                if left > 0 {
                    return false;
                }
                if header.has(END_STREAM) {
                    take(Event::DataEnd { stream: header.stream });
                }
                self.state = State::Ignored(padding);
                true
            }
            State::Ignored(left) => {
                let (now, after) = rest.split_at_checked(left.min(rest.len())).unwrap_or_default();
                *rest = after;
                let left = left - now.len();
                self.state = if left == 0 { State::Header } else { State::Ignored(left) };
                left == 0
            }
            State::Lost | State::Stopped => false,
        }
    }

    /// Moves bytes to `pending` until it has `length` of them.
    fn collect(&mut self, rest: &mut &[u8], length: usize) -> bool {
        let wanted = length.saturating_sub(self.pending.len()).min(rest.len());
        let (now, after) = rest.split_at_checked(wanted).unwrap_or_default();
        self.pending.extend_from_slice(now);
        *rest = after;
        self.pending.len() >= length
    }

    fn begin(&mut self, header: Header) {
        // Between the parts of a header block nothing else may stand (RFC 9113 §6.10).
        if self.block.is_some() != (header.kind == CONTINUATION) {
            return self.stop();
        }
        self.state = match header.kind {
            DATA if header.has(PADDED) && header.length == 0 => State::Stopped,
            DATA if header.has(PADDED) => State::PadLength(header),
            DATA => State::Data { header, content: header.length, padding: 0 },
            HEADERS | RST_STREAM | PUSH_PROMISE | GOAWAY | CONTINUATION if header.length <= MAX_BLOCK => {
                State::Payload(header)
            }
            HEADERS | PUSH_PROMISE | CONTINUATION => State::Stopped,
            _ => State::Ignored(header.length),
        };
    }

    /// Reads a whole frame; `None` where it breaks the rules.
    fn frame(&mut self, header: Header, payload: &[u8], take: &mut impl FnMut(Event<'_>)) -> Option<()> {
        match header.kind {
            HEADERS | PUSH_PROMISE => {
                let promise = header.kind == PUSH_PROMISE;
                let mut fragment = unpadded(header, payload)?;
                if promise {
                    fragment = fragment.get(4..)?;
                } else if header.has(PRIORITY) {
                    fragment = fragment.get(5..)?;
                }
                let end = !promise && header.has(END_STREAM);
                self.block = Some(Block { stream: header.stream, end, promise, fragments: fragment.to_vec() });
            }
            CONTINUATION => {
                let block = self.block.as_mut().filter(|block| block.stream == header.stream)?;
                if block.fragments.len() + payload.len() > MAX_BLOCK {
                    return None;
                }
                block.fragments.extend_from_slice(payload);
            }
            RST_STREAM => take(Event::Reset { stream: header.stream, code: number(payload.get(..4)?)? }),
            GOAWAY => {
                let last = number(payload.get(..4)?)? & 0x7fff_ffff;
                take(Event::GoAway { last, code: number(payload.get(4..8)?)? });
            }
            _ => {}
        }
        if header.has(END_HEADERS)
            && matches!(header.kind, HEADERS | PUSH_PROMISE | CONTINUATION)
            && let Some(block) = self.block.take()
        {
            let fragments = block.fragments.as_slice();
            take(if block.promise {
                Event::Promise { block: fragments }
            } else {
                Event::Headers { stream: block.stream, block: fragments, end: block.end }
            });
        }
        Some(())
    }
}

/// Whether bytes are frames that follow on each other, by all that a frame's header must keep to (RFC 9113 §4.1, §6).
fn are_frames(bytes: &[u8], is_known: impl Fn(u32) -> bool) -> bool {
    let mut rest = bytes;
    let mut in_block = false;
    while !rest.is_empty() {
        let Some((head, after)) = rest.split_at_checked(9) else { return false };
        let Some(header) = header(head).filter(|_| head.get(5).is_some_and(|byte| byte & 0x80 == 0)) else {
            return false;
        };
        if in_block != (header.kind == CONTINUATION) || !is_plausible(header, &is_known) {
            return false;
        }
        in_block = matches!(header.kind, HEADERS | PUSH_PROMISE | CONTINUATION) && !header.has(END_HEADERS);
        match after.get(header.length..) {
            Some(next) => rest = next,
            None => return header.kind == DATA,
        }
    }
    !bytes.is_empty() && !in_block
}

fn is_plausible(header: Header, is_known: impl Fn(u32) -> bool) -> bool {
    let Header { length, kind, flags, stream } = header;
    let only = |allowed: u8| flags & !allowed == 0;
    let requests = !stream.is_multiple_of(2);
    match kind {
        DATA => only(END_STREAM | PADDED) && is_known(stream) && length <= MAX_BLOCK,
        HEADERS => only(END_STREAM | END_HEADERS | PADDED | PRIORITY) && requests && length <= MAX_BLOCK,
        PRIORITY_FRAME => only(0) && length == 5 && stream != 0,
        RST_STREAM => only(0) && length == 4 && requests,
        SETTINGS => only(END_STREAM) && length.is_multiple_of(6) && stream == 0,
        PUSH_PROMISE => only(END_HEADERS | PADDED) && requests && length <= MAX_BLOCK,
        PING => only(END_STREAM) && length == 8 && stream == 0,
        GOAWAY => only(0) && (8..=MAX_BLOCK).contains(&length) && stream == 0,
        WINDOW_UPDATE => only(0) && length == 4,
        CONTINUATION => only(END_HEADERS) && requests && length <= MAX_BLOCK,
        _ => false,
    }
}

fn header(bytes: &[u8]) -> Option<Header> {
    let [a, b, c, kind, flags, s1, s2, s3, s4] = *bytes else { return None };
    let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
    Some(Header { length, kind, flags, stream: u32::from_be_bytes([s1, s2, s3, s4]) & 0x7fff_ffff })
}

fn unpadded(header: Header, payload: &[u8]) -> Option<&[u8]> {
    if !header.has(PADDED) {
        return Some(payload);
    }
    let (padding, content) = payload.split_first()?;
    content.get(..content.len().checked_sub(usize::from(*padding))?)
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}
