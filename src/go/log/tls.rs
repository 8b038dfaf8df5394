//! Texts of crypto/tls and crypto/x509.

use super::kind::GoErrorKind;
use crate::go::text::{between, limited, rest_of_line};
use crate::types::Timestamp;

/// crypto/tls/alert.go: text and number.
const ALERTS: [(&str, u8); 34] = [
    ("close notify", 0),
    ("unexpected message", 10),
    ("bad record MAC", 20),
    ("decryption failed", 21),
    ("record overflow", 22),
    ("decompression failure", 30),
    ("handshake failure", 40),
    ("bad certificate", 42),
    ("unsupported certificate", 43),
    ("revoked certificate", 44),
    ("expired certificate", 45),
    ("unknown certificate", 46),
    ("illegal parameter", 47),
    ("unknown certificate authority", 48),
    ("access denied", 49),
    ("error decoding message", 50),
    ("error decrypting message", 51),
    ("export restriction", 60),
    ("protocol version not supported", 70),
    ("insufficient security level", 71),
    ("internal error", 80),
    ("inappropriate fallback", 86),
    ("user canceled", 90),
    ("no renegotiation", 100),
    ("missing extension", 109),
    ("unsupported extension", 110),
    ("certificate unobtainable", 111),
    ("unrecognized name", 112),
    ("bad certificate status response", 113),
    ("bad certificate hash value", 114),
    ("unknown PSK identity", 115),
    ("certificate required", 116),
    ("no application protocol", 120),
    ("encrypted client hello required", 121),
];

/// `remote error: tls: NAME`, the text standing behind `remote error: `.
pub(super) fn remote_alert(text: &str) -> GoErrorKind {
    let line = text.lines().next().unwrap_or_default().trim();
    let name = line.strip_prefix("tls: ").unwrap_or(line);
    let numbered = between(name, "alert(", ")").and_then(|digits| digits.parse().ok());
    let known = ALERTS.iter().find(|(text, _)| *text == name).map(|&(_, number)| number);
    GoErrorKind::RemoteAlert { name: limited(name, 80).to_owned(), number: known.or(numbered) }
}

/// The cause in a text that crypto/tls or crypto/x509 wrote; `None` when they did not.
pub(super) fn cause(text: &str) -> Option<GoErrorKind> {
    if let Some((_, alert)) = text.split_once("remote error: ") {
        return Some(remote_alert(alert));
    }
    if text.contains("tls: first record does not look like a TLS handshake")
        || text.contains("tls: oversized record received")
    {
        return Some(GoErrorKind::NotTlsRecord);
    }
    if text.contains("x509: negative serial number") {
        return Some(GoErrorKind::NegativeSerial);
    }
    let (_, complaint) = text.split_once("x509: ")?;
    if let Some((_, after)) = complaint.split_once("insecure algorithm ") {
        let algorithm = after.split(|c: char| c.is_whitespace() || c == '"').next().unwrap_or_default();
        return Some(GoErrorKind::InsecureAlgorithm { algorithm: limited(algorithm, 40).to_owned() });
    }
    // "is not trusted" and "is not standards compliant" come from the verifier of macOS.
    if complaint.starts_with("certificate signed by unknown authority")
        || complaint.contains("certificate is not trusted")
    {
        let hint = between(complaint, "(", "\n").or_else(|| complaint.split_once('(').map(|(_, hint)| hint));
        let hint = hint.map(|hint| limited(hint.trim_end().trim_end_matches(')'), 300).to_owned());
        return Some(GoErrorKind::UnknownAuthority { hint });
    }
    if complaint.contains("certificate has expired or is not yet valid") || complaint.contains("certificate is expired")
    {
        return Some(expired(complaint));
    }
    if complaint.contains("certificate relies on legacy Common Name field")
        || complaint.contains("doesn't contain any IP SANs")
    {
        return Some(GoErrorKind::NoSubjectAlternativeName);
    }
    if let Some(wanted) = rest_of_line(complaint, "not valid for any names, but wanted to match ") {
        return Some(GoErrorKind::NameMismatch { valid_for: Vec::new(), wanted: name(wanted) });
    }
    if let Some((_, wanted)) = complaint.split_once(" names, but none matched ") {
        return Some(GoErrorKind::NameMismatch { valid_for: Vec::new(), wanted: name(wanted) });
    }
    if let Some(names) = rest_of_line(complaint, "certificate is valid for ")
        && let Some((valid_for, wanted)) = names.rsplit_once(", not ")
    {
        let valid_for = valid_for.split(", ").take(100).map(name).collect();
        return Some(GoErrorKind::NameMismatch { valid_for, wanted: name(wanted) });
    }
    Some(GoErrorKind::OtherX509(limited(complaint.lines().next().unwrap_or_default(), 300).to_owned()))
}

fn name(text: &str) -> String {
    limited(text.split_whitespace().next().unwrap_or_default(), 255).trim_end_matches([',', ';', ')']).to_owned()
}

fn expired(complaint: &str) -> GoErrorKind {
    let times = rest_of_line(complaint, "current time ");
    let (not_yet, times) = match times.map(|times| (times.split_once(" is before "), times.split_once(" is after "))) {
        Some((Some(times), _)) => (true, Some(times)),
        Some((None, Some(times))) => (false, Some(times)),
        _ => (false, None),
    };
    let time = |text: &str| text.split_whitespace().next().and_then(rfc_3339);
    GoErrorKind::CertificateExpired {
        not_yet,
        now: times.and_then(|(now, _)| time(now)),
        bound: times.and_then(|(_, bound)| time(bound)),
    }
}

/// RFC 3339 §5.6, whole seconds, any offset.
fn rfc_3339(text: &str) -> Option<Timestamp> {
    let number = |from: usize, to: usize| {
        text.get(from..to).filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?.parse::<i64>().ok()
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let zone = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let zone = zone.trim_end_matches([':', ',', ')', ';']);
    let offset = match zone.split_at_checked(1)? {
        ("Z", _) => 0,
        (sign @ ("+" | "-"), offset) => {
            let (hours, minutes) = offset.split_once(':')?;
            let seconds =
                hours.parse::<i32>().ok()?.checked_mul(60)?.checked_add(minutes.parse().ok()?)?.checked_mul(60)?;
            i64::from(if sign == "-" { seconds.checked_neg()? } else { seconds })
        }
        _ => return None,
    };
    let days = days_from_civil(year, month, day);
    let seconds = days.checked_mul(86_400)?.checked_add(hour * 3_600 + minute * 60 + second)?.checked_sub(offset)?;
    Some(Timestamp::from_seconds(seconds))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (years counted from March).
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_any_offset() {
        for (text, shown) in [
            ("2026-11-22T12:16:59Z", Some("2026-11-22T12:16:59.000000000Z")),
            ("2026-11-22T20:16:59+08:00", Some("2026-11-22T12:16:59.000000000Z")),
            ("2026-02-28T23:30:00-05:30", Some("2026-03-01T05:00:00.000000000Z")),
            ("2026-11-22T12:16:59.123Z", Some("2026-11-22T12:16:59.000000000Z")),
            ("1970-01-01T00:00:00Z", Some("1970-01-01T00:00:00.000000000Z")),
            ("2026-13-22T12:16:59Z", None),
            ("2026-11-22T12:16:59", None),
            ("9999-12-31T23:59:59+99999999999:00", None),
            ("é", None),
        ] {
            assert_eq!(rfc_3339(text).map(|t| t.to_string()).as_deref(), shown, "{text}");
        }
    }

    #[test]
    fn alerts_have_numbers() {
        for (text, number) in [
            ("tls: unrecognized name", Some(112)),
            ("tls: handshake failure", Some(40)),
            ("handshake failure", Some(40)),
            ("tls: access denied", Some(49)),
            ("tls: internal error", Some(80)),
            ("tls: protocol version not supported", Some(70)),
            ("tls: alert(117)", Some(117)),
            ("tls: alert(999)", None),
            ("tls: something new", None),
        ] {
            assert!(matches!(remote_alert(text), GoErrorKind::RemoteAlert { number: n, .. } if n == number), "{text}");
        }
    }
}
