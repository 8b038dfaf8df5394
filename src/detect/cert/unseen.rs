//! Chains that the client saw and rejected, and the recording cannot show: TLS 1.3 without keys, or a hole.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::words::{self, Meaning};
use super::{gave_up_otherwise, may_be_over_certificate, refused_by_git};
use crate::detect::subject::{called, handshake_subject, is_incidental, is_with_proxy, judged_handshakes, machine};
use crate::finding::{Code, Confidence, Evidence, Fault, Finding, NotAssessed, Subject};
use crate::observation::{Case, Handshake, Outcome, Sighting, Veil};
use crate::reference::Reference;
use crate::types::{Direction, FlowId, Moment};

/// A rejection whose reason was not seen.
struct Rejection<'c> {
    flow: FlowId,
    client: IpAddr,
    handshake: &'c Handshake,
    alert: Option<Moment>,
}

pub(super) fn assess(case: &Case, reference: &Reference) -> (Vec<Finding>, Vec<NotAssessed>) {
    let mut groups: BTreeMap<Subject, (Vec<Rejection<'_>>, bool)> = BTreeMap::new();
    let mut hidden: BTreeMap<Subject, Veil> = BTreeMap::new();
    for (handshake, connection) in judged_handshakes(case) {
        let subject = handshake_subject(case, handshake, connection);
        let Sighting::Hidden(veil) = handshake.certificates else { continue };
        if handshake.server_hello.is_some() {
            hidden.insert(subject.clone(), veil);
        }
        let rejected = handshake.outcome == Outcome::RejectedByClient && may_be_over_certificate(handshake);
        let by_git = handshake.outcome == Outcome::Completed && refused_by_git(case, subject.host.as_deref()).is_some();
        if !rejected && !by_git {
            continue;
        }
        let from_client = handshake.alerts.iter().find(|alert| alert.direction == Direction::ToServer);
        let entry = groups.entry(subject).or_insert_with(|| (Vec::new(), true));
        let (client, alert) = (machine(connection.client.ip()), from_client.map(|alert| alert.at));
        entry.0.push(Rejection { flow: connection.flow, client, handshake, alert });
        entry.1 &= is_incidental(connection);
    }
    let mut found = Vec::new();
    for (subject, (rejections, incidental)) in groups {
        // Another attempt that was accepted: this one was given up for another reason.
        let clients: BTreeSet<IpAddr> = rejections.iter().map(|rejection| rejection.client).collect();
        let accepted = judged_handshakes(case).any(|(handshake, connection)| {
            handshake.server_name.seen() == subject.host.as_ref()
                && handshake.outcome == Outcome::Completed
                && clients.contains(&machine(connection.client.ip()))
        });
        let accepted = accepted && refused_by_git(case, subject.host.as_deref()).is_none();
        if accepted || gave_up_otherwise(case, subject.host.as_deref()) {
            continue;
        }
        if let Some(mut finding) = rejected(case, reference, subject, &rejections) {
            finding.incidental = incidental;
            found.push(finding);
        }
    }
    found.extend(behind_proxy(case, reference));
    let not_assessed = hidden
        .into_iter()
        .map(|(subject, veil)| NotAssessed { code: Code::CertMissingIntermediate, subject, veil, hint: hint(veil) })
        .collect();
    (found, not_assessed)
}

fn hint(veil: Veil) -> String {
    match veil {
        Veil::Encrypted => "TLS 1.3 encrypts the certificates: give the session's secrets with --keylog".to_owned(),
        Veil::Truncated => "record whole packets".to_owned(),
        Veil::Gap => "record both directions without loss".to_owned(),
        Veil::EndOfCapture => "record to the end of the handshake".to_owned(),
        Veil::NotGiven => String::new(),
    }
}

fn rejected(case: &Case, reference: &Reference, subject: Subject, rejections: &[Rejection<'_>]) -> Option<Finding> {
    let host = called(&subject);
    let first = rejections.first()?;
    let connection = case.connection(first.flow)?;
    // Where the proxy's own certificate is meant, the host beside the words is the one that was wanted behind it.
    let to_proxy = is_with_proxy(case, first.handshake, connection);
    let said = case.go.errors().iter().find(|error| {
        let meant = if error.is_about_proxy() { to_proxy } else { error.host.is_none() || error.host == subject.host };
        meant && error.kind.innermost().is_certificate()
    });
    let said = said.or_else(|| refused_by_git(case, subject.host.as_deref()));
    let at = first.alert.or(first.handshake.server_hello.as_ref().map(|hello| hello.at))?;
    let direct = Some(connection).filter(|_| first.handshake.tunnel.is_none());
    let meaning =
        said.and_then(|error| words::meaning(case, reference, error, &subject, direct)).unwrap_or_else(|| {
            let summary = format!(
                "The client gives up right after the certificates of {host}, which cannot be seen: it rejected them."
            );
            Meaning::new(Code::CertRejectedByClient, Fault::Unknown, summary).open(&[
                "any fault of the chain",
                "interception",
                "a client without root certificates",
            ])
        });
    let readable = rejections.iter().any(|rejection| {
        rejection.handshake.alerts.iter().any(|alert| alert.direction == Direction::ToServer && alert.content.is_some())
    });
    let confidence = if said.is_some() || readable { Confidence::Moderate } else { Confidence::Weak };
    let evidence = Evidence::segment("client_alert", at, first.flow, "an alert of the client, by its length");
    let mut finding = advised(meaning.finding(confidence, subject, evidence), &host).with_reference("RFC 8446 §6.2");
    for rejection in rejections {
        if let Some(hello) = &rejection.handshake.server_hello {
            finding.cite(Evidence::segment("server_hello", hello.at, rejection.flow, ""));
            for at in flight(case, rejection, hello.at) {
                finding.cite(Evidence::segment(
                    "server_flight",
                    at,
                    rejection.flow,
                    "the certificates are in here, encrypted",
                ));
            }
        }
        if let Some(alert) = rejection.alert {
            finding.cite(Evidence::segment("client_alert", alert, rejection.flow, ""));
        }
        // Its alert is known by its length alone; that it hangs up at once says the same.
        if let Some(close) = case.connection(rejection.flow).and_then(|connection| connection.fin.to_server) {
            finding.cite(Evidence::segment("client_close", close, rejection.flow, ""));
        }
    }
    if let Some(error) = said {
        finding.cite(Evidence::log(error.line, error.text.clone()));
        finding.go_error = Some(error.text.clone());
    }
    Some(finding)
}

fn advised(finding: Finding, host: &str) -> Finding {
    finding.with_remedy(
        "Make the chain visible: give a key log (--keylog), or look at it from the client's network.",
        Some(&format!("openssl s_client -connect {host}:443 -servername {host} -showcerts </dev/null")),
    )
}

/// Complaints about hosts whose handshakes run in TLS to a proxy, where nothing of them can be seen: go's words alone.
fn behind_proxy(case: &Case, reference: &Reference) -> Vec<Finding> {
    let with_proxy = judged_handshakes(case).find(|(handshake, connection)| {
        handshake.outcome == Outcome::Completed && is_with_proxy(case, handshake, connection)
    });
    let Some((handshake, connection)) = with_proxy else { return Vec::new() };
    let mut found: Vec<Finding> = Vec::new();
    for error in case.go.errors().iter().filter(|error| !error.is_about_proxy()) {
        let Some(host) = error.host.clone().filter(|_| error.kind.innermost().is_certificate()) else { continue };
        let seen = case.handshakes.iter().any(|handshake| handshake.server_name.seen() == Some(&host));
        if seen || found.iter().any(|finding| finding.subject.host.as_ref() == Some(&host)) {
            continue;
        }
        let subject = Subject { host: Some(host.clone()), address: None, port: Some(443), module: None };
        let Some(meaning) = words::meaning(case, reference, error, &subject, None) else { continue };
        let evidence = Evidence::log(error.line, error.text.clone());
        let mut finding = advised(meaning.finding(Confidence::Moderate, subject, evidence), &host);
        if let Some(hello) = &handshake.server_hello {
            finding.cite(Evidence::segment("proxy_handshake", hello.at, connection.flow, "TLS to the proxy hides it"));
        }
        finding.go_error = Some(error.text.clone());
        found.push(finding);
    }
    found
}

/// The packets between the `ServerHello` and the client's alert: the certificates travel in them.
fn flight(case: &Case, rejection: &Rejection<'_>, hello: Moment) -> Vec<Moment> {
    let until = rejection.alert.unwrap_or(hello);
    let Some(connection) = case.connection(rejection.flow) else { return Vec::new() };
    let segments = connection.segments.towards(Direction::ToClient).filter(|segment| segment.length > 0);
    segments.map(|segment| segment.at).filter(|at| *at > hello && *at < until).take(8).collect()
}
