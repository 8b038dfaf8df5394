//! Names with letters beyond ASCII, as Go writes them before it compares (golang.org/x/net/idna `Lookup`).

/// The ASCII form: labels with other letters become lower case and punycode (RFC 3492) behind `xn--`; ASCII names stay
/// as they are. Characters are not normalised, which matters for names typed with combining marks only.
#[must_use]
pub fn to_ascii(name: &str) -> String {
    if name.is_ascii() {
        return name.to_owned();
    }
    // RFC 3490 §3.1 counts three more characters as label separators.
    let labels = name.split(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}']);
    let encoded = labels.map(|label| {
        if label.is_ascii() {
            return label.to_ascii_lowercase();
        }
        let lower: Vec<char> = label.chars().flat_map(char::to_lowercase).collect();
        // A label has at most 63 octets; the quadratic encoder below is not for more.
        match (lower.len() <= 63).then(|| punycode(&lower)).flatten() {
            Some(code) => format!("xn--{code}"),
            None => label.to_owned(),
        }
    });
    encoded.collect::<Vec<_>>().join(".")
}

/// RFC 3492 §6.3. `None` on overflow.
fn punycode(label: &[char]) -> Option<String> {
    let mut out: String = label.iter().filter(|c| c.is_ascii()).collect();
    let basic = u32::try_from(out.len()).ok()?;
    if basic > 0 {
        out.push('-');
    }
    let (mut n, mut delta, mut bias, mut handled) = (128_u32, 0_u32, 72_u32, basic);
    while usize::try_from(handled).ok()? < label.len() {
        let next = label.iter().map(|&c| u32::from(c)).filter(|&c| c >= n).min()?;
        delta = delta.checked_add(next.checked_sub(n)?.checked_mul(handled.checked_add(1)?)?)?;
        n = next;
        for c in label.iter().map(|&c| u32::from(c)) {
            if c < n {
                delta = delta.checked_add(1)?;
            }
            if c != n {
                continue;
            }
            let mut q = delta;
            let mut k = 36_u32;
            loop {
                let threshold = k.saturating_sub(bias).clamp(1, 26);
                if q < threshold {
                    break;
                }
                let (span, above) = (36_u32.checked_sub(threshold)?, q.checked_sub(threshold)?);
                out.push(digit(threshold.checked_add(above.checked_rem(span)?)?)?);
                q = above.checked_div(span)?;
                k = k.checked_add(36)?;
            }
            out.push(digit(q)?);
            bias = adapt(delta, handled.checked_add(1)?, handled == basic)?;
            delta = 0;
            handled = handled.checked_add(1)?;
        }
        delta = delta.checked_add(1)?;
        n = n.checked_add(1)?;
    }
    Some(out)
}

/// RFC 3492 §6.1.
fn adapt(delta: u32, points: u32, first: bool) -> Option<u32> {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta = delta.checked_add(delta.checked_div(points)?)?;
    let mut k = 0_u32;
    while delta > 455 {
        delta /= 35;
        k = k.checked_add(36)?;
    }
    k.checked_add(delta.checked_mul(36)?.checked_div(delta.checked_add(38)?)?)
}

/// RFC 3492 §5: a to z, then 0 to 9.
fn digit(value: u32) -> Option<char> {
    char::from_digit(if value < 26 { value.checked_add(10)? } else { value.checked_sub(26)? }, 36)
}

#[cfg(test)]
mod tests {
    use super::to_ascii;

    #[test]
    fn rfc_3492_examples() {
        for (name, ascii) in [
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
            ("www.示例.com", "www.xn--fsq092h.com"),
            (".示例.com", ".xn--fsq092h.com"),
            ("Bücher.Example", "xn--bcher-kva.example"),
            ("münchen。de", "xn--mnchen-3ya.de"),
            ("他们为什么不说中文", "xn--ihqwcrb4cv8a8dqg056pqjye"),
            ("Plain.Example", "Plain.Example"),
        ] {
            assert_eq!(to_ascii(name), ascii);
        }
    }

    #[test]
    fn absurd_labels_stay_as_they_are() {
        let name = "é".repeat(10_000);
        assert_eq!(to_ascii(&name), name);
    }
}
