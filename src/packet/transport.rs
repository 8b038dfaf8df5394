//! TCP (RFC 9293) and UDP (RFC 768) headers. Checksums are not looked at: sending hosts leave them to the network card.

use super::layer::{Layer, Stop};
use super::{Tcp, TcpFlags, TcpOptions, Udp};

/// A length as the public types hold it.
#[inline]
pub(super) fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// A TCP segment. Where the options are cut those before the cut count, and `trouble` says so.
#[inline]
pub(super) fn tcp<'a>(body: Layer<'a>, trouble: &mut Option<Stop>) -> Result<Tcp<'a>, Stop> {
    let (head, after) = body.split::<20>()?;
    let [s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, f0, f1, w0, w1, ..] = *head;
    let header = usize::from(f0 >> 4) * 4;
    let Some(options_length) = header.checked_sub(20) else { return Err(Stop::Malformed) };
    if header > body.wire {
        return Err(Stop::Malformed);
    }
    let (recorded, payload) = match after.bytes.split_at_checked(options_length) {
        Some(split) => split,
        None => {
            *trouble = Some(Stop::Short);
            (after.bytes, &[][..])
        }
    };
    Ok(Tcp {
        source_port: u16::from_be_bytes([s0, s1]),
        destination_port: u16::from_be_bytes([d0, d1]),
        seq: u32::from_be_bytes([q0, q1, q2, q3]),
        ack: u32::from_be_bytes([a0, a1, a2, a3]),
        flags: TcpFlags(u16::from_be_bytes([f0 & 0x0f, f1])),
        window: u16::from_be_bytes([w0, w1]),
        options: options(recorded),
        payload,
        declared: length(body.wire.saturating_sub(header)),
    })
}

/// The options that matter, up to the end of the list, the first that makes no sense, or the cut.
#[inline]
fn options(bytes: &[u8]) -> TcpOptions {
    match *bytes {
        [] => TcpOptions::default(),
        // What nearly every segment of a connection carries: two no-operations and the timestamps.
        [1, 1, 8, 10, a, b, c, d, e, f, g, h] => TcpOptions {
            timestamps: Some((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))),
            ..TcpOptions::default()
        },
        _ => any_options(bytes),
    }
}

fn any_options(mut bytes: &[u8]) -> TcpOptions {
    let mut options = TcpOptions::default();
    while let [kind, rest @ ..] = bytes {
        match (kind, rest) {
            (0, _) => break,
            (1, _) => bytes = rest,
            (kind, [length, ..]) => {
                let Some((option, behind)) = bytes.split_at_checked((*length).into()) else { break };
                let [_, _, value @ ..] = option else { break };
                option_value(*kind, value, &mut options);
                bytes = behind;
            }
            (_, []) => break,
        }
    }
    options
}

/// Kinds of RFC 9293 §3.2, RFC 7323 §2.2 and §3.2, RFC 2018 §2 and §3.
fn option_value(kind: u8, value: &[u8], options: &mut TcpOptions) {
    match (kind, value) {
        (2, &[a, b]) => options.mss = Some(u16::from_be_bytes([a, b])),
        (3, &[shift]) => options.window_scale = Some(shift),
        (4, []) => options.sack_permitted = true,
        (5, _) => {
            let mut blocks = value.chunks_exact(8).filter_map(two_words);
            (options.sack, options.second_sack) = (blocks.next(), blocks.next());
        }
        (8, _) => options.timestamps = two_words(value),
        _ => {}
    }
}

fn two_words(value: &[u8]) -> Option<(u32, u32)> {
    match *value {
        [a, b, c, d, e, f, g, h] => Some((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))),
        _ => None,
    }
}

/// A UDP datagram. Its own length counts when it fits into the IP packet, else what IP says (a length of 0 is that of a
/// jumbogram, RFC 2675 §4, or of a large send that the network card was to cut).
#[inline]
pub(super) fn udp(body: Layer<'_>) -> Result<Udp<'_>, Stop> {
    let ([s0, s1, d0, d1, l0, l1, _, _], payload) = body.split::<8>()?;
    let payload = match usize::from(u16::from_be_bytes([*l0, *l1])).checked_sub(8) {
        Some(declared) if declared <= payload.wire => payload.limit(declared),
        _ => payload,
    };
    Ok(Udp {
        source_port: u16::from_be_bytes([*s0, *s1]),
        destination_port: u16::from_be_bytes([*d0, *d1]),
        payload: payload.bytes,
        declared: length(payload.wire),
    })
}

#[cfg(test)]
mod tests {
    use super::super::build;
    use super::*;

    fn layer(bytes: &[u8]) -> Layer<'_> {
        Layer::new(bytes, bytes.len())
    }

    fn read(bytes: &[u8]) -> Result<Tcp<'_>, Stop> {
        tcp(layer(bytes), &mut None)
    }

    #[test]
    fn rfc_9293_header() {
        let bytes = build::tcp(&[], b"abc");
        let tcp = read(&bytes).unwrap();
        assert_eq!((tcp.source_port, tcp.destination_port), (build::CLIENT, build::SERVER));
        assert_eq!((tcp.seq, tcp.ack, tcp.window), (0x0102_0304, 0x0506_0708, 0x1000));
        assert!(tcp.flags.has(TcpFlags::SYN | TcpFlags::ACK) && !tcp.flags.rst());
        assert_eq!((tcp.payload, tcp.declared), (&b"abc"[..], 3));
    }

    #[test]
    fn all_twelve_flags_are_kept() {
        let mut bytes = build::tcp(&[], b"");
        (bytes[12], bytes[13]) = (0x5f, 0xff);
        assert_eq!(read(&bytes).unwrap().flags, TcpFlags(0xfff));
    }

    #[test]
    fn options_of_a_syn() {
        let options = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7];
        let expected = TcpOptions {
            mss: Some(1460),
            window_scale: Some(7),
            sack_permitted: true,
            timestamps: Some((1, 2)),
            ..TcpOptions::default()
        };
        assert_eq!(read(&build::tcp(&options, b"")).unwrap().options, expected);
    }

    #[test]
    fn both_forms_of_timestamps_read_the_same() {
        let usual = build::tcp(&[1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 8], b"");
        let odd = build::tcp(&[8, 10, 0, 0, 0, 9, 0, 0, 0, 8, 1, 1], b"");
        assert_eq!(read(&usual).unwrap().options.timestamps, Some((9, 8)));
        assert_eq!(read(&usual).unwrap().options, read(&odd).unwrap().options);
    }

    #[test]
    fn unknown_options_are_skipped_and_two_sack_blocks_kept() {
        let mut options = vec![253, 4, 0, 0, 5, 26];
        options.extend([0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0]);
        let options = read(&build::tcp(&options, b"")).unwrap().options;
        assert_eq!((options.sack, options.second_sack), (Some((1, 2)), Some((3, 4))));
    }

    #[test]
    fn hostile_options_end_the_list() {
        for options in [[2, 0, 0, 0], [2, 1, 0, 0], [2, 200, 0, 0], [1, 1, 1, 2], [0, 2, 4, 5]] {
            assert_eq!(read(&build::tcp(&options, b"x")).unwrap().options, TcpOptions::default(), "{options:?}");
        }
    }

    #[test]
    fn a_header_that_contradicts_itself_is_malformed() {
        let mut bytes = build::tcp(&[], b"");
        bytes[12] = 0x40;
        assert_eq!(read(&bytes), Err(Stop::Malformed));
        bytes[12] = 0x60;
        assert_eq!(read(&bytes), Err(Stop::Malformed));
        assert_eq!(read(&bytes[..19]), Err(Stop::Malformed));
        assert_eq!(tcp(Layer::new(&bytes[..19], 60), &mut None), Err(Stop::Short));
    }

    #[test]
    fn options_beyond_the_snap_length_keep_the_segment() {
        let bytes = build::tcp(&[2, 4, 5, 0xb4, 1, 3, 3, 7], b"payload");
        let mut trouble = None;
        let segment = tcp(Layer::new(&bytes[..26], bytes.len()), &mut trouble).unwrap();
        assert_eq!((segment.options.mss, segment.options.window_scale), (Some(1460), None));
        assert_eq!((segment.payload, segment.declared, trouble), (&b""[..], 7, Some(Stop::Short)));
    }

    #[test]
    fn the_udp_length_counts_unless_it_is_nonsense() {
        let mut bytes = build::udp(1, 2, b"abcd");
        for (length, expected) in [(12, 4), (10, 2), (8, 0), (0, 4), (7, 4), (13, 4)] {
            bytes[5] = length;
            let udp = udp(layer(&bytes)).unwrap();
            assert_eq!((udp.payload.len(), udp.declared), (expected, u32::try_from(expected).unwrap()), "{length}");
        }
    }
}
