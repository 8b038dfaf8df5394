//! What became of one TLS handshake: the stage machine of a connection from its `ClientHello` on.
//!
//! Told apart by acknowledgements and by who spoke first, never by go's words: "TLS handshake timeout" alone has four causes.

use crate::observation::{
    Alert, Case, Connection, End, Handshake, Marks, Opening, Outcome, Segment, SegmentKind, Sighting, Veil,
};
use crate::types::{Direction, Moment, Span};

/// Silence shorter than this, without a repetition, proves nothing.
const PATIENCE: Span = Span::from_seconds(3);
/// A path or a server that swallows a hello swallows its repetitions, too.
const REPETITIONS: usize = 2;

/// How a handshake went, as far as the packets tell.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// It was completed. Resets in the server's name that changed nothing are listed.
    Completed { ignored: Vec<(Segment, Marks)> },
    /// The client rejected what the server showed.
    Rejected,
    /// A reset in the server's name, before the server said anything.
    Reset { resets: Vec<(Segment, Marks)> },
    /// A FIN in the server's name, before the server said anything.
    Closed { fin: Segment, marks: Marks },
    /// An alert in the server's name instead of a `ServerHello`.
    Alert { alert: Alert, marks: Marks, segment: Option<Segment> },
    /// Something else than TLS.
    NotTls { at: Moment, marks: Marks },
    /// The hello and its repetitions were never acknowledged, not even in part.
    HelloVanished { segments: Vec<Segment> },
    /// Only the first part of the hello was acknowledged.
    HelloCut { segments: Vec<Segment> },
    /// A later, smaller part of the hello arrived; the full-size one before it did not.
    HelloTooBig { segments: Vec<Segment>, sack: Segment },
    /// The server has the hello and says nothing.
    Silent { hello: Moment, acknowledged: Option<Segment> },
    /// Of the server's flight only small parts after a hole arrived.
    FlightTooBig { small: Vec<Segment> },
    /// The server began to answer and the rest did not come, or a reset or close cut it off.
    Interrupted { resets: Vec<(Segment, Marks)> },
    /// The recording does not show it.
    Unseen,
}

/// Tells a handshake's fate.
pub(super) fn fate(case: &Case, handshake: &Handshake, connection: &Connection) -> Fate {
    let resets = || resets_after_hello(case, handshake, connection);
    if connection.packets.to_client == 0 || matches!(connection.opening, Opening::Refused { .. }) {
        return Fate::Unseen;
    }
    if handshake.outcome != Outcome::Completed
        && let Some(fin) = closed_before_answer(handshake, connection)
    {
        return Fate::Closed { fin, marks: case.marks(connection, &fin) };
    }
    match handshake.outcome {
        Outcome::Completed if cut_off(case, connection, handshake) => Fate::Interrupted { resets: resets() },
        Outcome::Completed => Fate::Completed { ignored: resets_before_completion(case, handshake, connection) },
        Outcome::RejectedByClient => Fate::Rejected,
        Outcome::Alert => alert(case, handshake, connection),
        Outcome::NotTls => handshake.not_tls.as_ref().map_or(Fate::Unseen, |not_tls| Fate::NotTls {
            at: not_tls.at,
            marks: marks_at(case, connection, not_tls.at),
        }),
        Outcome::Reset if handshake.server_hello.is_none() => Fate::Reset { resets: resets() },
        Outcome::Reset => Fate::Interrupted { resets: resets() },
        Outcome::Closed if handshake.server_hello.is_none() => {
            let fin = connection.segments.towards(Direction::ToClient).find(|segment| segment.flags.fin()).copied();
            // A proxy that ends a tunnel before the hello has arrived does not mean the hello, however soon that is.
            let marks = |fin: &Segment| {
                let meant = handshake.tunnel.is_none() || is_of_hello(handshake, connection, fin);
                if meant { case.marks(connection, fin) } else { Marks::default() }
            };
            // Where a page came instead of a tunnel there is nobody to answer a hello.
            let tunnel = handshake.tunnel.and_then(|index| case.exchanges.get(index));
            let kind = tunnel.and_then(|connect| connect.header("content-type"));
            let fin = fin.filter(|_| !kind.is_some_and(|kind| kind.starts_with("text/html")));
            fin.map_or(Fate::Unseen, |fin| Fate::Closed { fin, marks: marks(&fin) })
        }
        Outcome::Closed => Fate::Interrupted { resets: Vec::new() },
        Outcome::Unanswered | Outcome::Incomplete => silence(case, handshake, connection),
    }
}

/// Whether the segment acknowledges some of the hello.
fn is_of_hello(handshake: &Handshake, connection: &Connection, segment: &Segment) -> bool {
    let Some(hello) = &handshake.hello else { return false };
    let first = segment_at(connection, hello.started);
    first.is_none_or(|first| segment.ack.wrapping_sub(first.seq).cast_signed() > 0)
}

/// A FIN in the server's name at the very place where its answer begins, though the answer came, too.
fn closed_before_answer(handshake: &Handshake, connection: &Connection) -> Option<Segment> {
    let (hello, answer) = (handshake.hello.as_ref()?, handshake.server_hello.as_ref()?);
    let to_client = || connection.segments.towards(Direction::ToClient);
    let fin =
        *to_client().find(|segment| segment.flags.fin() && segment.at > hello.started && segment.at < answer.at)?;
    // A FIN that overtook the data before it ends nothing that is still to come.
    to_client()
        .filter(|other| other.at > fin.at && other.length > 0)
        .all(|other| other.seq.wrapping_sub(fin.seq).cast_signed() >= 0)
        .then_some(fin)
}

/// Whether a reset of the server itself came instead of its first word after the handshake.
fn cut_off(case: &Case, connection: &Connection, handshake: &Handshake) -> bool {
    let (End::Reset { direction: Direction::ToClient, at }, Some((finished, _))) =
        (connection.end, handshake.client_records.first())
    else {
        return false;
    };
    handshake.layer == 0
        && at > *finished
        && connection.fin.to_server.is_none_or(|fin| fin > at)
        && at.time.since(finished.time) < PATIENCE
        && segment_at(connection, at).is_some_and(|reset| !case.marks(connection, &reset).any())
        && !connection
            .segments
            .towards(Direction::ToClient)
            .any(|segment| segment.length > 0 && segment.at > *finished && segment.at < at)
}

fn alert(case: &Case, handshake: &Handshake, connection: &Connection) -> Fate {
    let from_server = handshake.alerts.iter().find(|alert| alert.direction == Direction::ToClient).copied();
    let Some(alert) = from_server else { return Fate::Unseen };
    let segment = segment_at(connection, alert.at);
    let marks = segment.map(|segment| case.marks(connection, &segment)).unwrap_or_default();
    Fate::Alert { alert, marks, segment }
}

fn marks_at(case: &Case, connection: &Connection, at: Moment) -> Marks {
    segment_at(connection, at).map(|segment| case.marks(connection, &segment)).unwrap_or_default()
}

/// The kept segment that stands in that frame.
pub(super) fn segment_at(connection: &Connection, at: Moment) -> Option<Segment> {
    connection.segments.iter().find(|segment| segment.at == at).copied()
}

/// Resets in the server's name from the hello on, recorded twice or not.
fn resets_after_hello(case: &Case, handshake: &Handshake, connection: &Connection) -> Vec<(Segment, Marks)> {
    let Some(hello) = &handshake.hello else { return Vec::new() };
    connection
        .segments
        .towards(Direction::ToClient)
        .filter(|segment| segment.flags.rst() && segment.at > hello.started)
        .map(|segment| (*segment, case.marks(connection, segment)))
        .collect()
}

/// Resets that the client did not take, between its hello and the end of the handshake.
fn resets_before_completion(case: &Case, handshake: &Handshake, connection: &Connection) -> Vec<(Segment, Marks)> {
    let Some(done) = handshake.client_records.first().map(|(at, _)| *at).or(handshake.certificates_at) else {
        return Vec::new();
    };
    let mut resets = resets_after_hello(case, handshake, connection);
    resets.retain(|(segment, marks)| segment.at < done && marks.any());
    resets
}

/// What the client sent after its hello and nobody ever acknowledged: what follows a forged end did not arrive either.
pub(super) fn unanswered(handshake: &Handshake, connection: &Connection) -> Vec<Segment> {
    let Some(hello) = &handshake.hello else { return Vec::new() };
    let Some(first) = segment_at(connection, hello.started) else { return Vec::new() };
    let arrived = connection.segments.towards(Direction::ToClient).any(|segment| {
        let through = segment.ack.wrapping_sub(first.seq).cast_signed();
        segment.length == 0 && !segment.flags.rst() && !segment.flags.fin() && through > 0
    });
    if arrived {
        return Vec::new();
    }
    connection.segments.towards(Direction::ToServer).filter(|segment| segment.at > hello.at).copied().collect()
}

/// The hello's segments as the log has them, repetitions included.
fn hello_segments(handshake: &Handshake, connection: &Connection) -> Vec<Segment> {
    let Some(hello) = &handshake.hello else { return Vec::new() };
    let Some(first) = segment_at(connection, hello.started) else { return Vec::new() };
    let within = |segment: &&Segment| {
        let offset = segment.seq.wrapping_sub(first.seq);
        segment.length > 0 && offset < hello.bytes.max(1)
    };
    connection.segments.towards(Direction::ToServer).filter(within).copied().collect()
}

fn silence(case: &Case, handshake: &Handshake, connection: &Connection) -> Fate {
    let Some(hello) = handshake.hello.as_ref() else { return Fate::Unseen };
    let segments = hello_segments(handshake, connection);
    let Some(initial) = connection.initial_seq.to_server else { return Fate::Unseen };
    // The first by number: recorders swap packets.
    let Some(first) = segments.iter().min_by_key(|segment| segment.seq.wrapping_sub(initial)).copied() else {
        return Fate::Unseen;
    };
    let repeated = segments.iter().filter(|segment| segment.seq == first.seq).count() > REPETITIONS
        || connection.retransmissions.to_server as usize >= REPETITIONS;
    let waited = connection.last.time.since(hello.at.time) >= PATIENCE
        || case.recording.until().is_some_and(|last| last.since(hello.at.time) >= PATIENCE);
    if !repeated && !waited {
        return Fate::Unseen;
    }
    if matches!(connection.end, End::Reset { direction: Direction::ToClient, .. }) {
        return Fate::Unseen;
    }
    let begin = u64::from(first.seq.wrapping_sub(initial).wrapping_sub(1));
    let end = begin + u64::from(hello.bytes);
    let acknowledged = connection.acknowledged.to_server.unwrap_or(0);
    let sack_of_hello = connection.segments.towards(Direction::ToClient).find(|segment| {
        segment
            .sack
            .is_some_and(|(left, _)| left.wrapping_sub(first.seq) > 0 && left.wrapping_sub(first.seq) < hello.bytes)
    });
    // What is lost inside TLS to a proxy is lost whatever it is: the hello has no part in it.
    if handshake.layer > 0 && acknowledged < end {
        return Fate::Unseen;
    }
    if acknowledged <= begin {
        if let Some(sack) = sack_of_hello {
            return Fate::HelloTooBig { segments, sack: *sack };
        }
        return Fate::HelloVanished { segments };
    }
    if acknowledged < end {
        return Fate::HelloCut { segments };
    }
    let acknowledged = connection
        .segments
        .towards(Direction::ToClient)
        .find(|segment| segment.flags.ack() && u64::from(segment.ack.wrapping_sub(initial).wrapping_sub(1)) >= end)
        .copied();
    let tail = connection
        .segments
        .towards(Direction::ToClient)
        .any(|segment| segment.length > 0 && segment.kind == SegmentKind::OutOfOrder);
    let hole = connection.gaps.to_client.iter().any(|gap| !gap.acknowledged);
    if tail && hole && handshake.layer == 0 {
        let small = connection.segments.towards(Direction::ToClient).filter(|segment| !segment.flags.rst());
        return Fate::FlightTooBig { small: small.copied().collect() };
    }
    if handshake.outcome == Outcome::Unanswered {
        return Fate::Silent { hello: hello.at, acknowledged };
    }
    if hole || matches!(handshake.certificates, Sighting::Hidden(Veil::EndOfCapture)) {
        return Fate::Interrupted { resets: Vec::new() };
    }
    Fate::Unseen
}
