//! Bodies of HTTP/1 messages: where they end (RFC 9112 §6-7).

use super::head::MAX_HEAD;

/// Longest line of a chunk's size, extensions included.
const MAX_SIZE_LINE: usize = 4_096;

/// How a body is delimited, and how far it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    /// By its length: bytes still to come.
    Length(u64),
    /// By the end of the connection.
    UntilClose,
    /// In chunks.
    Chunked(Chunked),
}

/// Where in the chunked coding the stream stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Chunked {
    /// In the line with the chunk's size; what came of it.
    Size(Vec<u8>),
    /// In its data: bytes still to come.
    Data(u64),
    /// In the line end after the data; what came of it.
    DataEnd(Vec<u8>),
    /// In the trailer: the current line, and the bytes of those before it.
    Trailer(Vec<u8>, usize),
}

/// What came of a piece of a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fed {
    /// All of it belongs to the body, which goes on.
    More,
    /// The body ended after so many bytes of the piece.
    Done(usize),
    /// The chunked coding is broken.
    Broken,
}

impl Framing {
    /// The beginning of a chunked body.
    pub(super) const fn chunked() -> Self {
        Self::Chunked(Chunked::Size(Vec::new()))
    }

    /// Takes the next bytes and hands those of the content to `sink`.
    pub(super) fn feed(&mut self, bytes: &[u8], mut sink: impl FnMut(&[u8])) -> Fed {
        match self {
            Self::UntilClose => {
                sink(bytes);
                Fed::More
            }
            Self::Length(left) => {
                let (content, _) = split(bytes, *left);
                sink(content);
                *left = left.saturating_sub(content.len() as u64);
                if *left == 0 { Fed::Done(content.len()) } else { Fed::More }
            }
            Self::Chunked(chunked) => chunked.feed(bytes, sink),
        }
    }

    /// Skips a hole of `length` bytes (`u64::MAX`: nobody knows how many); false where what comes after it has no place.
    #[must_use]
    pub(super) const fn skip(&mut self, length: u64) -> bool {
        match self {
            Self::UntilClose => length < u64::MAX,
            Self::Length(left) | Self::Chunked(Chunked::Data(left)) if *left >= length => {
                *left -= length;
                true
            }
            _ => false,
        }
    }

    /// The body ended with a hole that [`Framing::skip`] skipped.
    pub(super) const fn is_done(&self) -> bool {
        matches!(self, Self::Length(0))
    }
}

impl Chunked {
    fn feed(&mut self, bytes: &[u8], mut sink: impl FnMut(&[u8])) -> Fed {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self {
                Self::Size(line) => {
                    let Some(after) = take_line(line, rest, MAX_SIZE_LINE) else { return Fed::Broken };
                    rest = after;
                    if line.ends_with(b"\n") {
                        *self = match chunk_size(line) {
                            None => return Fed::Broken,
                            Some(0) => Self::Trailer(Vec::new(), 0),
                            Some(size) => Self::Data(size),
                        };
                    }
                }
                Self::Data(left) => {
                    let (content, after) = split(rest, *left);
                    sink(content);
                    rest = after;
                    *left = left.saturating_sub(content.len() as u64);
                    if *left == 0 {
                        *self = Self::DataEnd(Vec::new());
                    }
                }
                Self::DataEnd(line) => {
                    let Some(after) = take_line(line, rest, 2) else { return Fed::Broken };
                    rest = after;
                    match line.as_slice() {
                        b"\r\n" | b"\n" => *self = Self::Size(Vec::new()),
                        b"\r" => {}
                        _ => return Fed::Broken,
                    }
                }
                Self::Trailer(line, before) => {
                    let Some(after) = take_line(line, rest, MAX_HEAD.saturating_sub(*before)) else {
                        return Fed::Broken;
                    };
                    rest = after;
                    match line.as_slice() {
                        b"\r\n" | b"\n" => return Fed::Done(bytes.len().saturating_sub(rest.len())),
                        line_end if line_end.ends_with(b"\n") => {
                            *before = before.saturating_add(line_end.len());
                            line.clear();
                        }
                        _ => {}
                    }
                }
            }
        }
        Fed::More
    }
}

/// Moves bytes from `rest` to `line` up to the line's end and returns what remains; `None` where it is too long.
fn take_line<'a>(line: &mut Vec<u8>, rest: &'a [u8], max: usize) -> Option<&'a [u8]> {
    let taken = memchr::memchr(b'\n', rest).map_or(rest.len(), |index| index.saturating_add(1));
    let (head, after) = rest.split_at_checked(taken)?;
    if line.len().saturating_add(head.len()) > max {
        return None;
    }
    line.extend_from_slice(head);
    Some(after)
}

/// The size at the beginning of a chunk (RFC 9112 §7.1), extensions ignored.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let size = line.split(|&byte| byte == b';').next()?;
    let size = std::str::from_utf8(size).ok()?.trim();
    // from_str_radix would take a sign.
    if !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(size, 16).ok()
}

fn split(bytes: &[u8], at: u64) -> (&[u8], &[u8]) {
    let at = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    bytes.split_at_checked(at).unwrap_or((bytes, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds pieces and returns the content and what the last piece gave.
    fn feed(mut framing: Framing, pieces: &[&[u8]]) -> (Vec<u8>, Fed) {
        let mut content = Vec::new();
        let mut fed = Fed::More;
        for piece in pieces {
            assert_eq!(fed, Fed::More);
            fed = framing.feed(piece, |bytes| content.extend_from_slice(bytes));
        }
        (content, fed)
    }

    #[test]
    fn chunks_are_put_together_wherever_they_are_cut() {
        let coded = b"4;ext=\"x\"\r\nWiki\r\n5\npedia\n0\r\nTrailer: x\r\n\r\n";
        for cut in 1..coded.len() {
            let (content, fed) = feed(Framing::chunked(), &[&coded[..cut], &coded[cut..]]);
            assert_eq!((content.as_slice(), fed), (b"Wikipedia".as_slice(), Fed::Done(coded.len() - cut)), "{cut}");
        }
        assert_eq!(feed(Framing::chunked(), &[b"0\r\n\r\nHTTP"]).1, Fed::Done(5));
    }

    #[test]
    fn broken_chunks_are_told() {
        for coded in [b"x\r\n".as_slice(), b"-1\r\n", b"+1\r\n", b"1\r\nab\r\n", b"10000000000000000\r\n"] {
            assert_eq!(feed(Framing::chunked(), &[coded]).1, Fed::Broken, "{coded:?}");
        }
        assert_eq!(feed(Framing::chunked(), &[&[b'0'; MAX_SIZE_LINE + 1]]).1, Fed::Broken);
        let endless = vec![b'a'; MAX_HEAD + 1];
        assert_eq!(feed(Framing::chunked(), &[b"0\r\n", &endless]).1, Fed::Broken);
    }

    #[test]
    fn lengths_end_exactly() {
        assert_eq!(feed(Framing::Length(3), &[b"ab", b"cd"]), (b"abc".to_vec(), Fed::Done(1)));
        assert_eq!(feed(Framing::UntilClose, &[b"ab", b"cd"]), (b"abcd".to_vec(), Fed::More));
    }

    #[test]
    fn holes_are_skipped_inside_content_only() {
        let mut length = Framing::Length(10);
        assert!(length.skip(10) && length.is_done() && !length.skip(1));
        let mut chunked = Framing::Chunked(Chunked::Data(10));
        assert!(chunked.skip(10) && !chunked.skip(1) && !chunked.is_done());
        assert_eq!(chunked.feed(b"\r\n0\r\n\r\n", |_| ()), Fed::Done(7));
        assert!(!Framing::chunked().skip(1));
        assert!(Framing::UntilClose.skip(1) && !Framing::UntilClose.skip(u64::MAX));
    }
}
