//! A followed flow becomes a [`Connection`].

use crate::flow::Flow;
use crate::observation::{Connection, End, Opening, Relevance, Segments, Veil};
use crate::types::{Both, Direction};

/// Tells what is known of a flow that is over, or that the recording ends in.
pub(crate) fn connection<S>(flow: Flow<S>) -> (Connection, S) {
    let opening = opening(&flow);
    let end = end(&flow, &opening);
    let segments = flow.log.into_segments();
    let streams = flow.streams;
    let connection = Connection {
        flow: flow.id,
        client: flow.client,
        server: flow.server,
        first: flow.first,
        last: flow.last,
        packets: flow.packets,
        bytes: Both { to_server: streams.to_server.next_offset(), to_client: streams.to_client.next_offset() },
        acknowledged: Both { to_server: streams.to_server.acknowledged, to_client: streams.to_client.acknowledged },
        opening,
        end,
        fin: Both {
            to_server: streams.to_server.fin.map(|(_, at)| at),
            to_client: streams.to_client.fin.map(|(_, at)| at),
        },
        ttls: Both { to_server: ttls(&segments, Direction::ToServer), to_client: ttls(&segments, Direction::ToClient) },
        initial_seq: Both { to_server: streams.to_server.initial_seq, to_client: streams.to_client.initial_seq },
        segments,
        gaps: Both { to_server: streams.to_server.gaps, to_client: streams.to_client.gaps },
        retransmissions: Both {
            to_server: streams.to_server.retransmissions,
            to_client: streams.to_client.retransmissions,
        },
        conflicts: flow.conflicts,
        icmp: Vec::new(),
        names: Vec::new(),
        relevance: Relevance::Other,
        tunnel: None,
    };
    (connection, flow.state)
}

/// Which direction, if any, was not recorded although it must have carried packets.
pub(crate) fn unseen<S>(flow: &Flow<S>, direction: Direction) -> Option<Veil> {
    let stream = flow.streams.of(direction);
    let there = stream.acknowledged.is_some_and(|acknowledged| acknowledged > stream.next_offset());
    (*flow.packets.of(direction) == 0 || there).then_some(Veil::Gap)
}

/// One direction alone was recorded, of a connection that went on all the same.
pub(crate) fn is_one_sided<S>(flow: &Flow<S>) -> bool {
    let Both { to_server, to_client } = flow.packets;
    let went_on = |stream: &crate::flow::stream::Stream| stream.carried_data || stream.fin.is_some();
    (to_client == 0 && went_on(&flow.streams.to_server)) || (to_server == 0 && went_on(&flow.streams.to_client))
}

fn opening<S>(flow: &Flow<S>) -> Opening {
    // A refusal that came first ended the attempt, even where the host itself answers afterwards.
    if let Some(reset) = flow.refused.filter(|reset| flow.syn_ack.is_some_and(|syn_ack| *reset < syn_ack))
        && !flow.streams.to_server.carried_data
    {
        return Opening::Refused { syns: flow.syns.clone(), reset };
    }
    if let (Some(syn), Some(syn_ack)) = (flow.syns.iter().rfind(|syn| Some(**syn) < flow.syn_ack), flow.syn_ack) {
        return Opening::Established { syn: *syn, syn_ack, syns: flow.syn_count };
    }
    if flow.syns.is_empty() {
        let veil = if flow.syn_ack.is_some() { Veil::Gap } else { Veil::EndOfCapture };
        return Opening::Unseen(veil);
    }
    if let Some(reset) = flow.refused {
        return Opening::Refused { syns: flow.syns.clone(), reset };
    }
    if flow.packets.to_client == 0 && !flow.streams.to_server.carried_data && flow.streams.to_server.fin.is_none() {
        return Opening::Unanswered { syns: flow.syns.clone() };
    }
    Opening::Unseen(Veil::Gap)
}

fn end<S>(flow: &Flow<S>, opening: &Opening) -> End {
    let fins = [flow.streams.to_server.fin, flow.streams.to_client.fin];
    let first_fin = fins.iter().flatten().map(|(_, at)| *at).min();
    if let Some((direction, at)) = flow.reset {
        // A reset after a FIN cleans up; it did not end anything.
        return match first_fin {
            Some(fin) if fin < at => End::Closed,
            _ => End::Reset { direction, at },
        };
    }
    if first_fin.is_some() {
        return End::Closed;
    }
    match opening {
        Opening::Unanswered { .. } => End::Unanswered,
        Opening::Established { .. } => End::Open,
        Opening::Refused { .. } | Opening::Unseen(_) => {
            if flow.data_segments > 0 {
                End::Open
            } else {
                End::Unknown
            }
        }
    }
}

fn ttls(segments: &Segments, direction: Direction) -> Vec<(u8, u32)> {
    let mut counts: Vec<(u8, u32)> = Vec::new();
    for segment in segments.towards(direction).filter(|segment| !segment.flags.rst()) {
        match counts.iter_mut().find(|(ttl, _)| *ttl == segment.ip.ttl) {
            Some((_, count)) => *count += 1,
            None => counts.push((segment.ip.ttl, 1)),
        }
    }
    counts.sort_by_key(|(ttl, count)| (std::cmp::Reverse(*count), *ttl));
    counts
}
