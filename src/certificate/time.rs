//! The two times of a certificate's validity (RFC 5280 §4.1.2.5), read in every form that is in use.

use super::der::{Element, GENERALIZED_TIME, UTC_TIME};
use crate::types::Timestamp;
use std::fmt;

/// One end of a certificate's validity, to the second. It reaches beyond the range of [`Timestamp`] (the year 2262),
/// since "does not expire" is written 9999-12-31 (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ValidityTime(i64);

impl ValidityTime {
    /// From seconds since the Unix epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the Unix epoch.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// The same moment on the recording's scale; the end of that scale where it lies beyond.
    #[must_use]
    pub const fn timestamp(self) -> Timestamp {
        Timestamp::from_seconds(self.0)
    }

    /// Reads a `UTCTime` or `GeneralizedTime` element: with or without seconds, fractions and offset.
    pub(super) fn read(element: &Element<'_>) -> Option<Self> {
        let text = std::str::from_utf8(element.content).ok()?;
        let mut digits = Digits(text);
        let year = match element.tag {
            UTC_TIME => match digits.take(2)? {
                // RFC 5280 §4.1.2.5.1: 50 and above are of the twentieth century.
                short @ 50.. => short.checked_add(1900)?,
                short => short.checked_add(2000)?,
            },
            GENERALIZED_TIME => digits.take(4)?,
            _ => return None,
        };
        let (month, day) = (digits.take(2)?, digits.take(2)?);
        let hour = digits.take(2)?;
        let minute = digits.take(2).unwrap_or(0);
        let second = digits.take(2).unwrap_or(0);
        let offset = offset_seconds(digits.0.trim_start_matches(|c: char| c == '.' || c == ',' || c.is_ascii_digit()))?;
        // 60 is a leap second.
        if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
            return None;
        }
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let of_day = hour.checked_mul(3600)?.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
        let days = days_from_civil(year, month, day)?;
        days.checked_mul(86_400)?.checked_add(of_day)?.checked_sub(offset).map(Self)
    }
}

/// RFC 3339 in UTC, written as a [`Timestamp`] is: `9999-12-31T23:59:59.000000000Z`.
impl fmt::Display for ValidityTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, of_day) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000000000Z")
    }
}

/// Text that begins with decimal digits.
struct Digits<'a>(&'a str);

impl Digits<'_> {
    /// The number that the next `count` digits write; nothing is consumed where fewer stand there.
    fn take(&mut self, count: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(count)?;
        if !number.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        self.0 = rest;
        number.parse().ok()
    }
}

/// Seconds east of Greenwich of `Z`, `+hhmm`, `-hhmm`, or nothing (local time, taken as UTC).
fn offset_seconds(text: &str) -> Option<i64> {
    let (sign, rest) = match text.split_at_checked(1) {
        None => return Some(0),
        Some(("Z", "")) => return Some(0),
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        Some(_) => return None,
    };
    let mut digits = Digits(rest);
    let (hours, minutes) = (digits.take(2)?, digits.take(2)?);
    let seconds = hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?;
    if digits.0.is_empty() { seconds.checked_mul(sign) } else { None }
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a Gregorian date; eras of 400 years that begin on 1 March.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    era.checked_mul(146_097)?.checked_add(of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days.saturating_add(719_468);
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + (month <= 2) as i64, month, of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::der::Reader;

    fn read(tag: u8, text: &str) -> Option<String> {
        let mut der = vec![tag, u8::try_from(text.len()).unwrap()];
        der.extend_from_slice(text.as_bytes());
        Some(ValidityTime::read(&Reader::new(&der).any()?)?.to_string())
    }

    #[test]
    fn rfc5280_utc_time_splits_the_centuries_at_1950() {
        assert_eq!(read(UTC_TIME, "491231235959Z").unwrap(), "2049-12-31T23:59:59.000000000Z");
        assert_eq!(read(UTC_TIME, "500101000000Z").unwrap(), "1950-01-01T00:00:00.000000000Z");
    }

    #[test]
    fn rfc5280_generalized_time_reaches_the_year_9999() {
        assert_eq!(read(GENERALIZED_TIME, "99991231235959Z").unwrap(), "9999-12-31T23:59:59.000000000Z");
        assert_eq!(read(GENERALIZED_TIME, "00000101000000Z").unwrap(), "0000-01-01T00:00:00.000000000Z");
    }

    #[test]
    fn odd_forms_are_read() {
        assert_eq!(read(UTC_TIME, "1202290159Z").unwrap(), "2012-02-29T01:59:00.000000000Z");
        assert_eq!(read(UTC_TIME, "370116130016+0130").unwrap(), "2037-01-16T11:30:16.000000000Z");
        assert_eq!(read(UTC_TIME, "370116130016-0500").unwrap(), "2037-01-16T18:00:16.000000000Z");
        assert_eq!(read(GENERALIZED_TIME, "20240101000000.123Z").unwrap(), "2024-01-01T00:00:00.000000000Z");
        assert_eq!(read(GENERALIZED_TIME, "2024010112").unwrap(), "2024-01-01T12:00:00.000000000Z");
    }

    #[test]
    fn impossible_dates_are_not_read() {
        for text in ["240230000000Z", "241301000000Z", "240101240000Z", "", "Z", "2401", "240101000000X", "éééééé"]
        {
            assert_eq!(read(UTC_TIME, text), None, "{text}");
        }
        assert_eq!(read(0x0c, "240101000000Z"), None);
    }

    #[test]
    fn times_beyond_2262_saturate_on_the_recordings_scale() {
        assert_eq!(ValidityTime::from_seconds(i64::MAX).timestamp(), Timestamp::from_nanos(i64::MAX));
        assert_eq!(ValidityTime::from_seconds(1).timestamp(), Timestamp::from_nanos(1_000_000_000));
    }
}
