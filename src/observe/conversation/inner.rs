//! What is said inside TLS: HTTP/2 or HTTP/1, as ALPN or the first bytes tell.

use crate::observation::Exchange;
use crate::protocol::Progress;
use crate::protocol::http::{h1, h2};
use crate::types::{Direction, Moment};

/// The reader of decrypted bytes.
#[derive(Default)]
pub(super) enum Inner {
    /// Nothing was read yet.
    #[default]
    Fresh,
    Http1(Box<h1::Session>),
    Http2(Box<h2::Session>),
    /// Nothing that is known here.
    Unknown,
}

impl Inner {
    pub(super) fn data(
        &mut self,
        setting: h1::Setting,
        alpn: Option<&str>,
        direction: Direction,
        at: Moment,
        bytes: &[u8],
    ) {
        if matches!(self, Self::Fresh) {
            let to_server = direction == Direction::ToServer;
            *self = if alpn == Some("h2") || (to_server && bytes.len() >= 3 && h2::starts_preface(bytes)) {
                Self::Http2(Box::new(h2::Session::new(setting)))
            } else if (to_server && h1::looks_like_request(bytes)) || (!to_server && h1::looks_like_response(bytes)) {
                Self::Http1(Box::new(h1::Session::new(setting)))
            } else {
                Self::Unknown
            };
        }
        match self {
            Self::Http2(session) => session.data(direction, at, bytes),
            Self::Http1(session) => match session.data(direction, at, bytes) {
                Progress::Continues => {}
                // A tunnel inside of TLS is not followed.
                Progress::Tunnel { .. } | Progress::Foreign => {}
            },
            Self::Fresh | Self::Unknown => {}
        }
    }

    /// So many bytes are missing; `None` where their number is not known.
    pub(super) fn gap(&mut self, direction: Direction, at: Moment, length: Option<u64>) {
        let length = length.unwrap_or(u64::MAX);
        match self {
            Self::Http2(session) => session.gap(direction, length),
            Self::Http1(session) => session.gap(direction, at, length),
            // What comes after a hole is the middle of something.
            Self::Fresh => *self = Self::Unknown,
            Self::Unknown => {}
        }
    }

    pub(super) fn closed(&mut self, direction: Direction, at: Moment) {
        match self {
            Self::Http2(session) => session.closed(direction),
            Self::Http1(session) => session.closed(direction, at),
            Self::Fresh | Self::Unknown => {}
        }
    }

    pub(super) fn finish(self) -> Vec<Exchange> {
        match self {
            Self::Http2(session) => session.finish(),
            Self::Http1(session) => session.finish(),
            Self::Fresh | Self::Unknown => Vec::new(),
        }
    }
}
