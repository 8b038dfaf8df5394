//! A buffer that slides over a stream, so that records can be handed out as slices of it.

use std::io::{self, Read};

/// The most bytes that are held at once: the largest record that is read, and what is looked at behind it.
pub(super) const LIMIT: usize = super::MAX_RECORD + (2 << 20);

/// A part of a stream: what has been read and is not yet done with.
pub(super) struct Window {
    from: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Where in the stream `buffer` begins.
    before: u64,
    ended: bool,
    failure: Option<io::Error>,
}

impl Window {
    pub(super) fn new(from: Box<dyn Read + Send>, capacity: usize) -> Self {
        Self { from, buffer: vec![0; capacity], start: 0, end: 0, before: 0, ended: false, failure: None }
    }

    /// Whether `wanted` bytes are there, reading on if they are not. At the end of the stream, and above [`LIMIT`], no.
    #[inline]
    pub(super) fn has(&mut self, wanted: usize) -> bool {
        self.end - self.start >= wanted || self.fill(wanted)
    }

    #[cold]
    fn fill(&mut self, wanted: usize) -> bool {
        if self.ended || wanted > LIMIT {
            return false;
        }
        let held = self.end - self.start;
        // A short rest is moved even where room is left: the next read is then a large one.
        if self.start + wanted > self.buffer.len() || held < self.buffer.len() / 8 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.before += self.start as u64;
            (self.start, self.end) = (0, held);
        }
        // Twice what is wanted: otherwise looking far ahead from every place in turn would move all of it every time.
        if wanted > self.buffer.len() / 2 {
            self.buffer.resize(wanted.saturating_mul(2).next_multiple_of(1 << 16), 0);
        }
        while self.end - self.start < wanted {
            match self.from.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(0) => {
                    self.ended = true;
                    return false;
                }
                Ok(count) => self.end = (self.end + count).min(self.buffer.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    self.ended = true;
                    return false;
                }
            }
        }
        true
    }

    /// What is held now.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// `length` bytes from `at`, empty where they are not held.
    #[inline]
    pub(super) fn slice(&self, at: usize, length: usize) -> &[u8] {
        self.bytes().get(at..at.saturating_add(length)).unwrap_or_default()
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        self.end - self.start
    }

    /// Is done with the first `count` bytes.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }

    /// Where in the stream the window begins.
    pub(super) fn offset(&self) -> u64 {
        self.before + self.start as u64
    }

    /// Why reading ended before the end of the stream, told once.
    pub(super) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, then fails.
    struct Trickle(u8);

    impl Read for Trickle {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.0 == 100 {
                return Err(io::Error::other("gone"));
            }
            into[0] = self.0;
            self.0 += 1;
            Ok(1)
        }
    }

    #[test]
    fn slides_and_grows() {
        let mut window = Window::new(Box::new(Trickle(0)), 8);
        assert!(window.has(8));
        window.consume(5);
        assert!(window.has(20), "grows above its capacity");
        assert_eq!(window.slice(0, 3), [5, 6, 7]);
        assert_eq!(window.offset(), 5);
        window.consume(20);
        assert_eq!(window.offset(), 25);
        assert!(!window.has(LIMIT + 1), "never above the limit");
        assert!(!window.has(100));
        assert_eq!(window.held(), 75, "what came before the failure is kept");
        assert_eq!(window.take_failure().unwrap().to_string(), "gone");
        assert!(window.take_failure().is_none());
        assert!(window.slice(70, 6).is_empty());
    }
}
