//! Transfers that crawl because the path drops what exceeds a rate.
//!
//! A policer shows in three things together: many segments are lost, the rate is flat, and it is far below what that loss
//! alone would leave, or as even as only a token bucket makes it. Random loss fails the last test: it slows a transfer down
//! to what Padhye's formula says, no further, and in fits and starts, by time-outs that double.

use super::{
    Case, Code, Confidence, Connection, Direction, Evidence, Fault, Finding, Opening, Segment, SegmentKind, Span,
    called,
};
use crate::detect::subject::{best_name, subject};
use crate::packet::TcpFlags;
use crate::types::Timestamp;

/// Shorter transfers say nothing about a rate.
const LASTS: Span = Span::from_seconds(5);
/// Smaller ones neither.
const BYTES: u64 = 48 << 10;
/// Losses in percent of the segments.
const LOSS_PERCENT: u64 = 5;
/// A segment this long is as long as the path takes them.
const FULL_SIZE: u32 = 1_200;
/// Lost segments at least.
const LOST: u64 = 4;
/// The rate is below what the loss leaves by this factor.
const BELOW: f64 = 3.0;
/// Above this a transfer does not crawl: bytes a second.
const CRAWL: f64 = 128.0 * 1024.0;
/// The whole of a flat transfer is slower than its parts by less than this factor.
const FLAT: f64 = 2.0;
/// Segments that show how even a rate is.
const EVEN_SEGMENTS: u64 = 24;
/// The largest distance of what came from what an even rate brings, times the root of the number of segments. Arrivals by
/// chance stay below it once in a hundred times (Kolmogorov's distribution), random loss with its time-outs less often.
const EVEN: f64 = 0.45;
/// A bucket that was full lets more pass at the beginning.
const BUCKET: f64 = 0.5;
/// Evidence cited.
const CITED: usize = 48;

/// A crawling transfer in figures.
struct Crawl {
    /// Bytes a second.
    rate: f64,
    /// What the loss alone would leave.
    possible: f64,
    lost: Vec<Segment>,
    segments: u64,
    /// What came came evenly.
    even: bool,
}

pub(super) fn assess(case: &Case, group: &[&Connection]) -> Option<Finding> {
    let crawls: Vec<(&Connection, Crawl)> =
        group.iter().filter_map(|connection| Some((*connection, crawl(case, connection)?))).collect();
    let (connection, worst) = crawls.first()?;
    let subject = subject(best_name(connection), connection);
    let fast = case.connections.iter().find(|other| {
        other.server.ip() != connection.server.ip()
            && other.client.ip() == connection.client.ip()
            && other.bytes.to_client >= BYTES
            && rate(other.segments.towards(Direction::ToClient), other.bytes.to_client)
                .is_some_and(|rate| rate > worst.rate * 5.0)
    });
    let below = worst.rate * BELOW < worst.possible;
    let how = if below {
        format!("which alone would leave {:.0} KB/s", worst.possible / 1e3)
    } else {
        "and the rest came at an even rate, which loss alone does not leave".to_owned()
    };
    let summary = format!(
        "The transfer from {} crawls at {:.1} KB/s: {} of {} segments seen were lost on the way, {how}.",
        called(&subject),
        worst.rate / 1e3,
        worst.lost.len(),
        worst.segments,
    );
    let signs = usize::from(crawls.len() > 1) + usize::from(fast.is_some()) + usize::from(worst.even);
    let sure = if signs >= 1 { Confidence::Moderate } else { Confidence::Weak };
    let first = worst.lost.first()?;
    let evidence = Evidence::segment("sent_again", first.at, connection.flow, "");
    let mut finding = Finding::new(Code::TcpThrottled, Fault::Interference, sure, subject, evidence, summary);
    for (connection, crawl) in &crawls {
        for segment in crawl.lost.iter().take(CITED) {
            finding.cite(Evidence::segment("sent_again", segment.at, connection.flow, ""));
        }
    }
    finding = match fast {
        Some(other) => finding.excluding(
            "the client's own line is slow",
            format!("a transfer from {} is more than five times as fast", other.server.ip()),
        ),
        None => finding.not_excluding("the client's own line is slow"),
    };
    Some(
        finding
            .excluding(
                "random loss",
                if below { "the rate is far below what the loss alone would leave" } else { "the rate is even" },
            )
            .not_excluding("congestion")
            .with_remedy("Repeat at another time of the day and from another network; ask the provider whether it limits this address.", None)
            .with_reference("RFC 7567 §4.2"),
    )
}

fn crawl(case: &Case, connection: &Connection) -> Option<Crawl> {
    if !matches!(connection.opening, Opening::Established { .. }) || connection.bytes.to_client < BYTES {
        return None;
    }
    let (Some(first), Some(last)) = (
        connection.segments.towards(Direction::ToClient).find(|segment| segment.length > 0),
        connection.segments.towards(Direction::ToClient).rfind(|segment| segment.length > 0),
    ) else {
        return None;
    };
    if last.at.time.since(first.at.time) < LASTS {
        return None;
    }
    let whole = rate(connection.segments.towards(Direction::ToClient), connection.bytes.to_client)?;
    let (head, tail) = &by_time(connection);
    let mut lost = late(head);
    lost.extend(late(tail));
    let segments = data(head).count() + data(tail).count();
    let (lost_count, segments) = (u64::try_from(lost.len()).ok()?, u64::try_from(segments).ok()?);
    if lost_count < LOST || lost_count * 100 < segments * LOSS_PERCENT {
        return None;
    }
    // A window that closes limits a transfer without any help, and so does a server that has little to send at a time.
    let window_closed =
        connection.segments.towards(Direction::ToServer).any(|segment| segment.window == 0 && !segment.flags.rst());
    let pushed = data(head).chain(data(tail)).filter(|segment| segment.flags.has(TcpFlags::PSH)).count();
    if window_closed || u64::try_from(pushed).ok()? * 2 > segments {
        return None;
    }
    // Between two requests nothing is to be sent; only what flows without being asked for again shows the path's rate.
    let (kept, took) = active(head).plus(active(tail));
    if took <= 0.0 {
        return None;
    }
    let flowing = kept / took;
    let largest = data(head).chain(data(tail)).map(|segment| segment.length).max()?;
    let rtt = seconds(case.shortest_rtt(connection)?).max(0.001);
    #[expect(clippy::cast_precision_loss, reason = "counts of packets are small")]
    let share = lost_count as f64 / segments as f64;
    let possible = padhye(f64::from(largest.min(1_460)), rtt, share);
    let even = is_even(connection);
    let crawls = flowing < CRAWL && (flowing * BELOW < possible || even);
    // A transfer that is much slower on the whole than where it flows has pauses.
    let flat = flowing < whole * FLAT;
    (crawls && flat).then_some(Crawl { rate: flowing, possible, lost, segments, even })
}

/// The first and the last segments as they came: a recorder with several queues writes them in another order.
fn by_time(connection: &Connection) -> (Vec<Segment>, Vec<Segment>) {
    let sorted = |segments: &[Segment]| {
        // A recorder's second copy of a packet is no repetition of the server's.
        let once = segments.iter().filter(|segment| segment.kind != SegmentKind::Duplicate);
        let mut segments: Vec<Segment> = once.copied().collect();
        segments.sort_by_key(|segment| segment.at.time);
        segments
    };
    (sorted(&connection.segments.head), sorted(&connection.segments.tail))
}

/// Whether data came as evenly as a token bucket lets them, from half a second after the first full-size segment on to the last.
fn is_even(connection: &Connection) -> bool {
    let full = |segment: &&Segment| segment.length >= FULL_SIZE;
    let came = || connection.segments.towards(Direction::ToClient);
    let (Some(start), Some(end)) = (came().find(full), came().rfind(full)) else { return false };
    // How much had come at each segment; what was not kept between the first and the last ones is known by its bytes.
    let (head, tail) = &by_time(connection);
    let sum = |segments: &[Segment]| data(segments).map(|segment| u64::from(segment.length)).sum::<u64>();
    let after = if connection.segments.omitted == 0 {
        sum(head)
    } else {
        connection.bytes.to_client.saturating_sub(sum(tail)).max(sum(head))
    };
    let mut progress = 0;
    let mut points: Vec<(f64, u64)> = Vec::new();
    for (part, begins) in [(head, 0), (tail, after)] {
        progress = progress.max(begins);
        for segment in data(part) {
            progress += u64::from(segment.length);
            points.push((seconds(segment.at.time.since(start.at.time)), progress));
        }
    }
    let until = seconds(end.at.time.since(start.at.time));
    points.retain(|(at, _)| (BUCKET..=until).contains(at));
    let (Some((first, least)), Some((last, most))) = (points.first().copied(), points.last().copied()) else {
        return false;
    };
    if last - first < seconds(LASTS) - BUCKET {
        return false;
    }
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more digits")]
    let share = |part: u64| part.saturating_sub(least) as f64 / most.saturating_sub(least).max(1) as f64;
    let farthest = points
        .iter()
        .map(|(at, progress)| (share(*progress) - (at - first) / (last - first)).abs())
        .fold(0.0_f64, f64::max);
    let count = most.saturating_sub(least) / u64::from(start.length);
    #[expect(clippy::cast_precision_loss, reason = "there are few segments")]
    let root = (count as f64).sqrt();
    count >= EVEN_SEGMENTS && farthest * root < EVEN
}

/// Bytes, and the seconds that they took.
#[derive(Clone, Copy)]
struct Flowing(f64, f64);

impl Flowing {
    fn plus(self, other: Self) -> (f64, f64) {
        (self.0 + other.0, self.1 + other.1)
    }
}

/// What came without a request in between.
fn active(segments: &[Segment]) -> Flowing {
    let mut flowing = Flowing(0.0, 0.0);
    let mut before: Option<Timestamp> = None;
    for segment in segments.iter().filter(|segment| segment.length > 0) {
        if segment.direction == Direction::ToServer {
            before = None;
            continue;
        }
        if let Some(before) = before {
            flowing.0 += f64::from(segment.length);
            flowing.1 += seconds(segment.at.time.since(before));
        }
        before = Some(segment.at.time);
    }
    flowing
}

fn data(segments: &[Segment]) -> impl DoubleEndedIterator<Item = &Segment> + Clone {
    segments.iter().filter(|segment| segment.direction == Direction::ToClient && segment.length > 0)
}

/// Segments that came after ones with higher numbers: they, or copies of them, were lost before.
fn late(segments: &[Segment]) -> Vec<Segment> {
    let mut highest: Option<u32> = None;
    let mut late = Vec::new();
    for segment in data(segments) {
        let end = segment.seq.wrapping_add(segment.length);
        match highest {
            Some(known) if segment.seq.wrapping_sub(known).cast_signed() < 0 => late.push(*segment),
            _ => {}
        }
        if highest.is_none_or(|known| end.wrapping_sub(known).cast_signed() > 0) {
            highest = Some(end);
        }
    }
    late
}

/// Bytes a second between the first and the last of these data segments.
fn rate<'s>(mut segments: impl DoubleEndedIterator<Item = &'s Segment>, bytes: u64) -> Option<f64> {
    let first = segments.find(|segment| segment.length > 0)?;
    let last = segments.rfind(|segment| segment.length > 0)?;
    let took = seconds(last.at.time.since(first.at.time));
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more digits")]
    let bytes = bytes as f64;
    (took > 0.0).then_some(bytes / took)
}

fn seconds(span: Span) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more digits")]
    let nanos = span.nanos() as f64;
    nanos / 1e9
}

/// Bytes a second that TCP reaches under random loss (Padhye et al., SIGCOMM 1998), with Linux's shortest time-out.
fn padhye(segment: f64, rtt: f64, loss: f64) -> f64 {
    let timeout = rtt + 0.2;
    let waits = timeout * (3.0 * (3.0 * loss / 8.0).sqrt()).min(1.0) * loss * (1.0 + 32.0 * loss * loss);
    segment / (rtt * (2.0 * loss / 3.0).sqrt() + waits)
}
