//! Calendar dates of rule entries, and RFC 3339 times of reference files.

use std::fmt;

use crate::types::Timestamp;

/// A day of the proleptic Gregorian calendar; prints as `YYYY-MM-DD`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// A date that exists; `None` for the 30th of February.
    #[must_use]
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let last = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return None,
        };
        (1..=last).contains(&day).then_some(Self { year, month, day })
    }

    /// Reads `YYYY-MM-DD`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (year, rest) = text.split_once('-')?;
        let (month, day) = rest.split_once('-')?;
        Self::new(digits(year, 4)?, u8::try_from(digits(month, 2)?).ok()?, u8::try_from(digits(day, 2)?).ok()?)
    }

    /// Days since 1970-01-01, negative before it.
    #[must_use]
    pub fn days(self) -> i64 {
        // Howard Hinnant's days_from_civil: years begin in March, so that the leap day is the last.
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        let year = i64::from(self.year) - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    /// The day's first moment, in UTC.
    #[must_use]
    pub fn midnight(self) -> Timestamp {
        Timestamp::from_seconds(self.days().saturating_mul(86_400))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// Reads an RFC 3339 date-time with any offset (RFC 3339 §5.6); digits beyond nanoseconds are dropped.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let date = Date::parse(date)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (time, rest) = rest.split_at_checked(8)?;
    let mut parts = time.split(':');
    let hour = digits(parts.next()?, 2).filter(|&hour| hour < 24)?;
    let minute = digits(parts.next()?, 2).filter(|&minute| minute < 60)?;
    let second = digits(parts.next()?, 2).filter(|&second| second <= 60)?;
    if parts.next().is_some() {
        return None;
    }
    let (nanos, offset) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(rest) => {
            let length = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (fraction, offset) = rest.split_at_checked(length).filter(|_| length > 0)?;
            (format!("{fraction:0<9}").get(..9)?.parse::<i64>().ok()?, offset)
        }
    };
    let seconds = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second) - offset_seconds(offset)?;
    let seconds = date.days().saturating_mul(86_400).saturating_add(seconds);
    Some(Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos)))
}

/// `Z` or `±hh:mm`, as seconds east of Greenwich.
fn offset_seconds(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) =
        text.strip_prefix('+').map(|rest| (1, rest)).or(text.strip_prefix('-').map(|rest| (-1, rest)))?;
    let (hours, minutes) = rest.split_once(':')?;
    let hours = digits(hours, 2).filter(|&hours| hours < 24)?;
    let minutes = digits(minutes, 2).filter(|&minutes| minutes < 60)?;
    Some(sign * (i64::from(hours) * 3_600 + i64::from(minutes) * 60))
}

/// Exactly `length` decimal digits.
fn digits(text: &str, length: usize) -> Option<u16> {
    (text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_exist_or_are_refused() {
        assert_eq!(Date::parse("2024-02-29").map(|date| date.to_string()).as_deref(), Some("2024-02-29"));
        for wrong in
            ["2023-02-29", "1900-02-29", "2026-13-01", "2026-1-01", "2026-01-00", "+026-01-01", "", "2026-01-01 "]
        {
            assert_eq!(Date::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn days_count_from_the_epoch() {
        assert_eq!(Date::parse("1970-01-01").unwrap().days(), 0);
        assert_eq!(Date::parse("2000-02-29").unwrap().midnight().to_string(), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(Date::parse("2026-11-22").unwrap().midnight().to_string(), "2026-11-22T00:00:00.000000000Z");
    }

    #[test]
    fn rfc_3339_times_with_any_offset() {
        let utc = |text: &str| parse_rfc3339(text).map(|time| time.to_string());
        assert_eq!(utc("2026-11-22T12:16:25Z").as_deref(), Some("2026-11-22T12:16:25.000000000Z"));
        assert_eq!(utc("2026-11-22T12:17:27.725153+00:00").as_deref(), Some("2026-11-22T12:17:27.725153000Z"));
        assert_eq!(utc("2026-11-22T00:30:00.5+01:00").as_deref(), Some("2026-11-21T23:30:00.500000000Z"));
        assert_eq!(utc("2026-11-22t12:00:00.1234567899-05:30").as_deref(), Some("2026-11-22T17:30:00.123456789Z"));
        for wrong in [
            "2026-11-22",
            "2026-11-22T12:16:25",
            "2026-11-22T25:00:00Z",
            "2026-11-22T12:16:25.Z",
            "2026-11-22T12:16:25+1:00",
            "é026-11-22T12:16:25Z",
            "",
        ] {
            assert_eq!(utc(wrong), None, "{wrong}");
        }
    }
}
