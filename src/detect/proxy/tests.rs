//! For each code: it fires, its innocent look-alike stays quiet, and where the evidence is missing nothing is said.

mod answers;
mod routes;
mod ways;

use crate::finding::{Assessment, Citation, Code, Finding, Severity};
use crate::testing::{Scene, Tcp};

const NAME: &str = "proxy.golang.org";
const PROXY: &str = "10.44.0.8:3128";
const ENV: &str = "HTTPS_PROXY=http://10.44.0.8:3128\n";
const CONNECT: &[u8] =
    b"CONNECT proxy.golang.org:443 HTTP/1.1\r\nHost: proxy.golang.org:443\r\nUser-Agent: Go-http-client/1.1\r\n\r\n";

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
fn calm(scene: &Scene) {
    let found = assess(scene).found;
    let bad: Vec<_> = found.iter().filter(|finding| finding.severity >= Severity::Medium).collect();
    assert!(bad.is_empty(), "{bad:#?}");
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

/// A connection to the proxy (frames 1 to 3 if it is the first) with a request, and what the proxy answers to it.
fn exchange(scene: &mut Scene, proxy: &str, request: &[u8], answer: &[&[u8]]) -> Tcp {
    let mut tcp = scene.connect(proxy);
    scene.open(&mut tcp);
    scene.client_sends(&mut tcp, 8, request);
    scene.after_ms(4);
    for part in answer {
        scene.server_sends(&mut tcp, 8, part);
    }
    tcp
}

/// A TLS session inside of a tunnel.
fn inside(scene: &mut Scene, tcp: &mut Tcp) {
    scene.hello(tcp, NAME);
    scene.after_ms(30);
    scene.tls13_flight(tcp, 900);
    scene.tls13_client_record(tcp, 53);
    scene.after_ms(30);
    scene.server_sends(tcp, 8, &crate::testing::record(23, &[9; 400]));
}

/// A packet of somebody else, so that the recording goes on.
fn later(scene: &mut Scene, millis: i64) {
    scene.after_ms(millis);
    let client = std::net::SocketAddr::new(scene.client, 123);
    scene.udp(client, "192.0.2.123:123".parse().unwrap(), 64, &[0x23; 48]);
}
