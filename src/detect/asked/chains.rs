//! The chains that addresses showed, judged like those of a recording: each probe becomes a handshake, and what the
//! detector of certificates says of it cites the probe.

use std::net::IpAddr;

use crate::certificate::{Certificate, judge};
use crate::detect::cert;
use crate::detect::trust::Everywhere;
use crate::finding::{Citation, Evidence, Fault, Finding};
use crate::go::GoRun;
use crate::observation::probe::{Failure, PresentedChain, Probe};
use crate::observation::{
    Case, CertificateId, Connection, End, Handshake, Opening, Outcome, Relevance, Segments, Sighting,
};
use crate::reference::Reference;
use crate::types::{Both, FlowId, FrameNo, Moment};

/// Judges them, but for those at addresses that a lie led to: what is shown there is not the name's server's fault.
pub(super) fn assess(case: &Case, reference: &Reference, misled: &[IpAddr]) -> Vec<Finding> {
    let asked: Vec<(&Probe, &PresentedChain)> = case
        .probes
        .iter()
        .filter_map(|probe| Some((probe, probe.chain()?)))
        .filter(|(_, chain)| !chain.certificates.is_empty() && !misled.contains(&chain.address.ip()))
        .collect();
    if asked.is_empty() {
        return Vec::new();
    }
    let shown = recorded(case, reference, &asked);
    let mut found = (cert::DETECTOR.assess)(&shown, reference).found;
    let via: Vec<u32> = asked.iter().filter(|(_, chain)| chain.via.is_some()).map(|(probe, _)| probe.id.0).collect();
    for finding in &mut found {
        // Behind a proxy the address is the proxy's, and whoever intercepts there is in all likelihood the proxy.
        let behind =
            |item: &Evidence| matches!(item.citation, Citation::Frame { at, .. } if via.contains(&at.frame.number));
        if finding.evidence().iter().all(behind) {
            finding.subject.address = None;
            if finding.fault == Fault::Interference {
                finding.fault = Fault::ProxyPolicy;
            }
        }
        finding.summary = finding.summary.replace("the recording was made at", "it was shown at");
        let evidence: Vec<Evidence> = finding.evidence().to_vec();
        finding.replace_evidence(evidence.into_iter().map(|item| match item.citation {
            Citation::Frame { at, .. } => Evidence { citation: Citation::Probe(at.frame.number), ..item },
            _ => item,
        }));
    }
    found
}

/// The probes as a recording of what go would have met.
fn recorded(case: &Case, reference: &Reference, asked: &[(&Probe, &PresentedChain)]) -> Case {
    let everywhere = Everywhere::of(case, reference);
    let mut shown = Case {
        go: GoRun { env: case.go.env.clone(), version: case.go.version, ..GoRun::default() },
        ..Case::default()
    };
    for (flow, (probe, chain)) in (0..).map(FlowId).zip(asked) {
        let at = Moment { time: probe.at, frame: FrameNo { file: 0, number: probe.id.0 } };
        let certificates: Vec<&Certificate> = chain.certificates.iter().collect();
        let judgement = judge(&certificates, Some(&chain.name), probe.at, reference.roots(), &everywhere);
        let ids = chain.certificates.iter().map(|certificate| add(&mut shown.certificates, certificate)).collect();
        shown.connections.push(connection(flow, chain, at));
        shown.handshakes.push(Handshake {
            flow,
            layer: 0,
            tunnel: None,
            server_name: Sighting::Seen(chain.name.clone()),
            hello: None,
            retry: None,
            server_hello: None,
            certificates: Sighting::Seen(ids),
            certificates_at: Some(at),
            alerts: Vec::new(),
            not_tls: None,
            client_records: Vec::new(),
            record_open: false,
            // What go would do, had it the public roots and those that were given.
            outcome: if judgement.go_accepts() { Outcome::Completed } else { Outcome::RejectedByClient },
            decrypted: true,
        });
    }
    shown
}

fn add(pool: &mut Vec<Certificate>, certificate: &Certificate) -> CertificateId {
    let place = pool.iter().position(|known| known == certificate).unwrap_or_else(|| {
        pool.push(certificate.clone());
        pool.len() - 1
    });
    CertificateId(u32::try_from(place).unwrap_or(u32::MAX))
}

fn connection(flow: FlowId, chain: &PresentedChain, at: Moment) -> Connection {
    let client = match chain.address {
        std::net::SocketAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
        std::net::SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    Connection {
        flow,
        client,
        server: chain.address,
        first: at,
        last: at,
        packets: Both::default(),
        bytes: Both::default(),
        acknowledged: Both::default(),
        opening: Opening::Established { syn: at, syn_ack: at, syns: 1 },
        end: if chain.failure == Some(Failure::Reset) { End::Unknown } else { End::Closed },
        fin: Both::default(),
        ttls: Both::default(),
        initial_seq: Both::default(),
        segments: Segments::default(),
        gaps: Both::default(),
        retransmissions: Both::default(),
        conflicts: Vec::new(),
        icmp: Vec::new(),
        names: vec![chain.name.clone()],
        relevance: Relevance::Go,
        tunnel: None,
    }
}
