//! DNS over TCP: each message follows its length in two bytes (RFC 1035 §4.2.2, RFC 7766 §8).

/// Cuts one direction of a TCP stream into DNS messages. Holds at most one message, 64 KiB.
#[derive(Debug, Default)]
pub(crate) struct TcpFraming {
    buffer: Vec<u8>,
    stopped: bool,
}

impl TcpFraming {
    /// Takes the next bytes of the stream and calls `each` with every message that they complete, in order.
    /// Messages of length 0 are skipped.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) {
        if self.stopped {
            return;
        }
        while !self.buffer.is_empty() && !bytes.is_empty() {
            let wanted = match self.buffer.first_chunk() {
                None => 1,
                Some(prefix) => (2 + usize::from(u16::from_be_bytes(*prefix))).saturating_sub(self.buffer.len()),
            };
            let (taken, rest) = bytes.split_at(wanted.min(bytes.len()));
            self.buffer.extend_from_slice(taken);
            bytes = rest;
            self.complete(&mut each);
        }
        while let Some((prefix, rest)) = bytes.split_first_chunk() {
            let Some((message, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*prefix))) else { break };
            if !message.is_empty() {
                each(message);
            }
            bytes = rest;
        }
        // What is left is shorter than one message.
        self.buffer.extend_from_slice(bytes);
    }

    /// Hands over the buffered message if it is whole.
    fn complete(&mut self, each: &mut impl FnMut(&[u8])) {
        if let Some((prefix, message)) = self.buffer.split_first_chunk()
            && message.len() >= usize::from(u16::from_be_bytes(*prefix))
        {
            if !message.is_empty() {
                each(message);
            }
            self.buffer.clear();
        }
    }

    /// The stream has a hole: where the next message begins cannot be known any more, so reading stops for good.
    pub(crate) fn gap(&mut self) {
        self.stopped = true;
    }

    /// Whether a hole ended the reading.
    #[cfg(test)]
    pub(crate) const fn stopped(&self) -> bool {
        self.stopped
    }

    /// The message that was not completed, as far as it came, without its length.
    #[cfg(test)]
    pub(crate) fn partial(&self) -> Option<&[u8]> {
        self.buffer.get(2..).filter(|message| !message.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(framing: &mut TcpFraming, bytes: &[u8], into: &mut Vec<Vec<u8>>) {
        framing.push(bytes, |message| into.push(message.to_vec()));
    }

    #[test]
    fn messages_come_whole_wherever_the_stream_is_cut() {
        let stream = b"\x00\x03abc\x00\x00\x00\x01d\x00\x02ef";
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let (mut framing, mut out) = (TcpFraming::default(), Vec::new());
                collect(&mut framing, &stream[..first], &mut out);
                collect(&mut framing, &stream[first..second], &mut out);
                collect(&mut framing, &stream[second..], &mut out);
                assert_eq!(out, [b"abc".as_slice(), b"d", b"ef"], "cut at {first} and {second}");
                assert_eq!(framing.partial(), None);
            }
        }
    }

    #[test]
    fn a_hole_stops_it_and_keeps_the_rest() {
        let (mut framing, mut out) = (TcpFraming::default(), Vec::new());
        collect(&mut framing, b"\x00\x05ab", &mut out);
        framing.gap();
        collect(&mut framing, b"cde\x00\x01x", &mut out);
        assert!(out.is_empty() && framing.stopped());
        assert_eq!(framing.partial(), Some(b"ab".as_slice()));
    }

    #[test]
    fn it_holds_one_message_at_most() {
        let (mut framing, mut out) = (TcpFraming::default(), Vec::new());
        for _ in 0..200_000 {
            collect(&mut framing, b"\xff", &mut out);
        }
        assert_eq!(out.len(), 200_000 / 65_537);
        assert!(framing.buffer.len() <= 65_537);
    }
}
