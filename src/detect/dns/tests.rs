//! For each code: it fires, its innocent look-alike stays quiet, and where the evidence is missing nothing is said.

mod answers;
mod failures;
mod resolvers;

use crate::finding::{Assessment, Citation, Code, Finding, Severity};
use crate::observation::RecordType;
use crate::testing::{Question, Scene};

const NAME: &str = "proxy.golang.org";
/// Google's, and what the reference answers.
const GOOD: &str = "142.250.74.113";
/// Google's, another one.
const OTHER_GOOD: &str = "142.250.74.99";
const GOOD_V6: &str = "2607:f8b0:4004:c1b::8d";
/// A public address of somebody else, on no list.
const FOREIGN: &str = "5.39.77.10";
/// In the pool of a known injector.
const POISON: &str = "93.46.8.89";
const NXDOMAIN: u16 = 3;
const SERVFAIL: u16 = 2;
const REFUSED: u16 = 5;

fn assess(scene: &Scene) -> Assessment {
    (super::DETECTOR.assess)(&scene.case(), &scene.reference)
}

#[track_caller]
fn finding(scene: &Scene, code: Code) -> Finding {
    let found = assess(scene).found;
    let codes: Vec<&str> = found.iter().map(|finding| finding.code.id()).collect();
    found.into_iter().find(|finding| finding.code == code).unwrap_or_else(|| panic!("{} not in {codes:?}", code.id()))
}

/// Nothing that matters is found.
#[track_caller]
fn calm(scene: &Scene) -> Assessment {
    let assessment = assess(scene);
    let bad: Vec<_> = assessment.found.iter().filter(|finding| finding.severity >= Severity::Medium).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assessment
}

#[track_caller]
fn cites(finding: &Finding, frames: &[u32]) {
    let cited: Vec<u32> = finding
        .evidence()
        .iter()
        .filter_map(|evidence| match &evidence.citation {
            Citation::Frame { at, .. } => Some(at.frame.number),
            _ => None,
        })
        .collect();
    for frame in frames {
        assert!(cited.contains(frame), "frame {frame} is not among {cited:?}");
    }
}

/// A and AAAA, as go asks.
fn ask(scene: &mut Scene, name: &str) -> (Question, Question) {
    (scene.ask(name, RecordType::A), scene.ask(name, RecordType::AAAA))
}

/// An honest answer to both.
fn answer(scene: &mut Scene, questions: &(Question, Question)) {
    scene.answer(&questions.0, &[GOOD]);
    scene.answer(&questions.1, &[GOOD_V6]);
}

/// A packet of somebody else, so that the recording goes on.
fn later(scene: &mut Scene, millis: i64) {
    scene.after_ms(millis);
    let client = std::net::SocketAddr::new(scene.client, 123);
    scene.udp(client, "192.0.2.123:123".parse().unwrap(), 64, &[0x23; 48]);
}

/// A TLS 1.3 session that go accepts, at an address.
fn works(scene: &mut Scene, address: &str) {
    let server = if address.contains(':') { format!("[{address}]:443") } else { format!("{address}:443") };
    let mut tcp = scene.connect(&server);
    scene.tls13_session(&mut tcp, NAME);
}
