//! Small values that every room shares: moments, frame numbers, flow numbers, directions.

use std::fmt;
use std::net::SocketAddr;

/// A moment in a recording: nanoseconds since 1970-01-01T00:00:00Z, as the recorder wrote it.
///
/// There is no `now()`: an analysis knows only the recording's clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From whole seconds since the Unix epoch; saturates at the ends of the range.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; negative when it is before it. Saturates.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

/// RFC 3339 in UTC with nine digits of fraction: `2026-11-22T10:00:00.123456789Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(1_000_000_000);
        let fraction = self.0.rem_euclid(1_000_000_000);
        let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z")
    }
}

/// The proleptic Gregorian date of a day count since 1970-01-01 (400-year eras beginning on 1 March).
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + (month <= 2) as i64, month, day)
}

/// A length of time in nanoseconds, negative when it runs backwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Span(i64);

impl Span {
    /// From nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From milliseconds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// From seconds.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// In nanoseconds.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Without its sign.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }
}

/// In the largest unit that keeps it readable: `830 µs`, `4.1 ms`, `12.5 s`.
impl fmt::Display for Span {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people, three digits of it")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0 as f64;
        match self.0.unsigned_abs() {
            0..1_000_000 => write!(f, "{:.0} µs", nanos / 1e3),
            1_000_000..1_000_000_000 => write!(f, "{:.1} ms", nanos / 1e6),
            _ => write!(f, "{:.1} s", nanos / 1e9),
        }
    }
}

/// A frame of one of the inputs, numbered from 1 as Wireshark does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FrameNo {
    /// Index into the list of inputs.
    pub file: u16,
    /// Number within that input, from 1.
    pub number: u32,
}

/// Where in a recording something was seen, and when.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Moment {
    /// When it was recorded.
    pub time: Timestamp,
    /// In which frame.
    pub frame: FrameNo,
}

/// A TCP connection, counted from 0 in the order of first packets, as Wireshark's `tcp.stream`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FlowId(pub u32);

/// The two ends of a connection, or of a question and its answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ends {
    /// Who began.
    pub client: SocketAddr,
    /// Who was called.
    pub server: SocketAddr,
}

/// Which way a packet of a connection goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Direction {
    /// From the side that opened the connection.
    ToServer,
    /// From the side that was called.
    ToClient,
}

impl Direction {
    /// The other way.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

/// One value for each direction of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Both<T> {
    /// Of what the client sends.
    pub to_server: T,
    /// Of what the server sends.
    pub to_client: T,
}

impl<T> Both<T> {
    /// The value of one direction.
    pub const fn of(&self, direction: Direction) -> &T {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    /// The value of one direction, to change it.
    pub const fn of_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_read_as_rfc_3339() {
        assert_eq!(Timestamp::from_nanos(0).to_string(), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(Timestamp::from_nanos(-1).to_string(), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(Timestamp::from_nanos(1_795_341_600_123_456_789).to_string(), "2026-11-22T10:00:00.123456789Z");
        assert_eq!(Timestamp::from_seconds(951_782_400).to_string(), "2000-02-29T00:00:00.000000000Z");
    }

    #[test]
    fn spans_choose_their_unit() {
        assert_eq!(Span::from_nanos(830_000).to_string(), "830 µs");
        assert_eq!(Span::from_nanos(4_100_000).to_string(), "4.1 ms");
        assert_eq!(Span::from_nanos(-12_500_000_000).to_string(), "-12.5 s");
    }
}
