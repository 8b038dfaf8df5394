//! Recordings with keys that lack packets, or parts of them: what is read of them is what was said, and what is found in
//! them is nothing that the whole recording does not show.

#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/pipeline.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::allow_attributes, reason = "shared by several tests")]
mod pipeline;
#[path = "support/wire.rs"]
#[allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::allow_attributes, reason = "shared by several tests")]
mod wire;

use std::path::PathBuf;

use goprobe::observation::{Case, Exchange, HttpProtocol};
use pipeline::{Captured, Setting};
use wire::Dice;

/// The bytes of an Ethernet frame before the payload of TCP over IPv4; `None` for other frames and for those without one.
fn payload_at(bytes: &[u8]) -> Option<usize> {
    let is_tcp = bytes.get(12..14)? == [8, 0] && *bytes.get(23)? == 6;
    let ip = usize::from(*bytes.get(14)? & 15) * 4;
    let tcp = usize::from(*bytes.get(14 + ip + 12)? >> 4) * 4;
    let at = 14 + ip + tcp;
    (is_tcp && at < bytes.len()).then_some(at)
}

/// The ways in which a recording may lack something.
const KINDS: [&str; 5] = ["packets lost", "many packets lost", "payloads cut", "one direction only", "ends early"];

fn holed(frames: &[Captured], dice: &mut Dice, kind: usize) -> Vec<Captured> {
    let mut frames = frames.to_vec();
    match kind {
        0 | 1 => {
            let one_in = [25, 5][kind];
            frames.retain(|frame| payload_at(&frame.bytes).is_none() || dice.below(one_in) > 0);
        }
        2 => {
            for frame in &mut frames {
                if let Some(at) = payload_at(&frame.bytes).filter(|_| dice.below(12) == 0) {
                    let length = at + dice.below(frame.bytes.len() - at);
                    frame.bytes.truncate(length);
                }
            }
        }
        3 => {
            let client = [192, 168, 1, 23];
            let keeps_client = dice.below(2) == 0;
            frames.retain(|frame| {
                payload_at(&frame.bytes).is_none() || (frame.bytes.get(26..30) == Some(&client)) == keeps_client
            });
        }
        _ => frames.truncate(dice.below(frames.len())),
    }
    frames
}

/// Flips bits of what TLS protects: behind the header of an encrypted record.
fn flipped(frames: &[Captured], dice: &mut Dice) -> Vec<Captured> {
    let mut frames = frames.to_vec();
    let protected = |bytes: &[u8]| {
        let at = payload_at(bytes)?;
        let record = bytes[at..].windows(3).position(|start| start == [0x17, 3, 3])?;
        Some(at + record + 5).filter(|from| *from < bytes.len())
    };
    let places: Vec<(usize, usize)> =
        (0..frames.len()).filter_map(|index| Some((index, protected(&frames[index].bytes)?))).collect();
    if places.is_empty() {
        return frames; // nothing in it was encrypted
    }
    for _ in 0..=dice.below(4) {
        let (index, from) = places[dice.below(places.len())];
        let bytes = &mut frames[index].bytes;
        let place = from + dice.below(bytes.len() - from);
        bytes[place] ^= 1 << dice.below(8);
    }
    frames
}

fn with_keys() -> Vec<PathBuf> {
    let folders: Vec<PathBuf> =
        pipeline::own_captures().into_iter().filter(|folder| folder.join("keys.log").exists()).collect();
    assert!(folders.len() >= 14, "recordings with keys are missing: {}", folders.len());
    folders
}

fn brief(exchange: &Exchange) -> String {
    format!("{:?}", Exchange { body_head: Vec::new(), ..exchange.clone() })
}

/// Every exchange is one of the whole recording's, as far as it is known.
fn invents_nothing(whole: &Case, part: &Case, what: &str) {
    for exchange in &part.exchanges {
        let fits = |known: &Exchange| {
            (exchange.method.is_empty() || exchange.method == known.method)
                && (exchange.url.is_empty() || exchange.url == known.url)
                && (exchange.status.is_none() || exchange.status == known.status)
                && (!exchange.complete || exchange.body_bytes == known.body_bytes)
                && exchange.protocol == known.protocol
        };
        assert!(whole.exchanges.iter().any(fits), "{what}: {}", brief(exchange));
        let blamed = exchange.error.as_deref().is_none_or(|error| {
            error.contains("a hole") || whole.exchanges.iter().any(|it| it.error.as_deref() == Some(error))
        });
        assert!(blamed, "{what}: {:?}", exchange.error);
    }
    for handshake in &part.handshakes {
        let fits = whole.handshakes.iter().any(|known| {
            handshake.server_name.seen().is_none_or(|name| Some(name) == known.server_name.seen())
                && (handshake.layer == 0 || handshake.layer == known.layer)
        });
        assert!(fits, "{what}: {handshake:?}");
    }
}

#[test]
fn what_is_read_of_a_recording_with_holes_was_said() {
    let mut dice = Dice::new(11);
    let schema = pipeline::schema();
    let mut read = 0;
    for folder in with_keys() {
        let (setting, frames) = (Setting::of(&folder), pipeline::frames(&folder.join("capture.pcap")));
        let whole = setting.case_of_frames(&frames);
        for round in 0..60 {
            let kind = round % KINDS.len();
            let case = setting.case_of_frames(&holed(&frames, &mut dice, kind));
            let what = format!("{}, {} ({round})", pipeline::name_of(&folder), KINDS[kind]);
            invents_nothing(&whole, &case, &what);
            read += case.exchanges.len();
            if round < KINDS.len() {
                assert_eq!(pipeline::breaks(&schema, &setting.report(&case)), None, "{what}");
            }
        }
    }
    assert!(read > 2_000, "holes must not hide everything: {read} exchanges");
}

#[test]
fn what_is_read_of_damaged_records_was_said() {
    let mut dice = Dice::new(12);
    for folder in with_keys() {
        let (setting, frames) = (Setting::of(&folder), pipeline::frames(&folder.join("capture.pcap")));
        let whole = setting.case_of_frames(&frames);
        for round in 0..40 {
            let case = setting.case_of_frames(&flipped(&frames, &mut dice));
            invents_nothing(&whole, &case, &format!("{} ({round})", pipeline::name_of(&folder)));
        }
    }
}

/// Nobody is to blame for what the recording lacks.
#[test]
fn a_download_that_worked_is_not_blamed_on_anybody_for_holes() {
    let mut dice = Dice::new(13);
    for folder in with_keys().into_iter().filter(|folder| pipeline::name_of(folder).starts_with("clean/")) {
        let (setting, frames) = (Setting::of(&folder), pipeline::frames(&folder.join("capture.pcap")));
        for round in 0..60 {
            let kind = round % KINDS.len();
            let report = setting.report(&setting.case_of_frames(&holed(&frames, &mut dice, kind)));
            let what = format!("{}, {} ({round})", pipeline::name_of(&folder), KINDS[kind]);
            assert!(report["verdict"]["cause"].is_null(), "{what}: {}", report["findings"]);
        }
    }
}

/// What the client says in clear is read though nothing is known of what the proxy answers, and the reverse.
#[test]
fn tunnels_are_followed_in_either_direction_alone() {
    for name in ["clean/socks5-keys", "clean/connect-proxy"] {
        let folder = pipeline::own_captures().into_iter().find(|it| it.ends_with(name)).unwrap();
        let (setting, frames) = (Setting::of(&folder), pipeline::frames(&folder.join("capture.pcap")));
        let half = |by_client: bool| {
            let from = |frame: &&Captured| (frame.bytes.get(26..30) == Some(&[192, 168, 1, 23])) == by_client;
            setting.case_of_frames(&frames.iter().filter(from).cloned().collect::<Vec<_>>())
        };
        let client = half(true);
        assert_eq!(client.handshakes.len(), 3, "{name}");
        for handshake in &client.handshakes {
            assert_eq!(handshake.server_name.seen().unwrap(), "proxy.golang.org", "{name}");
            let tunnel = &client.exchanges[handshake.tunnel.unwrap()];
            assert_eq!(
                (tunnel.url.as_str(), tunnel.status, tunnel.flow),
                ("proxy.golang.org:443", None, handshake.flow)
            );
        }
        let server = half(false);
        assert!(server.exchanges.iter().all(|it| it.url.is_empty() && it.request.is_none()), "{name}");
        assert!(server.handshakes.iter().all(|it| it.server_hello.is_some() && it.server_name.seen().is_none()));
        for case in [client, server] {
            assert!(setting.report(&case)["verdict"]["cause"].is_null(), "{name}");
        }
    }
}

#[test]
fn clear_text_between_layers_is_told_apart() {
    let folder = pipeline::own_captures().into_iter().find(|it| it.ends_with("clean/socks5-keys")).unwrap();
    let setting = Setting::of(&folder);
    let case = setting.case_of_frames(&pipeline::frames(&folder.join("capture.pcap")));
    let socks: Vec<usize> =
        (0..case.exchanges.len()).filter(|&index| case.exchanges[index].protocol == HttpProtocol::Socks).collect();
    let tunnels: Vec<usize> = case.handshakes.iter().filter_map(|handshake| handshake.tunnel).collect();
    assert_eq!((socks.len(), tunnels.len()), (3, 3));
    for handshake in &case.handshakes {
        let tunnel = &case.exchanges[handshake.tunnel.unwrap()];
        assert_eq!((tunnel.flow, tunnel.url.as_str()), (handshake.flow, "proxy.golang.org:443"));
    }
}
