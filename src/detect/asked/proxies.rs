//! What HTTP proxies did when a tunnel to a host was asked of them.

use crate::finding::{Code, Confidence, Evidence, Fault, Finding, Subject};
use crate::go::env::GoEnv;
use crate::observation::Case;
use crate::observation::probe::{Failure, PresentedChain, Probe, ProbeId};

pub(super) fn assess(case: &Case) -> Vec<Finding> {
    let asked = case.probes.iter().filter_map(|probe: &Probe| Some((probe.id, probe.chain()?)));
    let mut found: Vec<Finding> = Vec::new();
    for (id, chain) in asked {
        let Some(proxy) = &chain.via else { continue };
        let Some(finding) = judge(case, id, chain, proxy) else { continue };
        match found.iter_mut().find(|known| known.code == finding.code && known.subject == finding.subject) {
            Some(known) => finding.evidence().iter().cloned().for_each(|evidence| known.cite(evidence)),
            None => found.push(finding),
        }
    }
    found
}

fn judge(case: &Case, id: ProbeId, chain: &PresentedChain, proxy: &str) -> Option<Finding> {
    let target = &chain.name;
    let (code, fault, what) = match (chain.connected, chain.failure.as_ref()?) {
        (None, failure @ (Failure::Refused | Failure::Timeout | Failure::Unreachable)) => {
            return Some(unreachable(id, chain, proxy, failure));
        }
        (_, Failure::ProxyStatus(407)) => {
            // The password of the settings was not sent; that it is asked for says nothing.
            let has_credentials = |env: &GoEnv| {
                [env.https_proxy(), env.http_proxy()].into_iter().flatten().any(|(_, url)| url.has_credentials())
            };
            if case.go.env.as_ref().is_some_and(has_credentials) {
                return None;
            }
            (Code::ProxyAuthRequired, Fault::Client, "wants a name and a password (407)".to_owned())
        }
        (_, Failure::ProxyStatus(status @ 502..=504)) => {
            (Code::ProxyUpstreamError, Fault::ProxyUpstream, format!("cannot reach it ({status})"))
        }
        (_, Failure::ProxyStatus(status @ 400..)) => {
            (Code::ProxyConnectDenied, Fault::ProxyPolicy, format!("refuses the tunnel ({status})"))
        }
        _ => return None,
    };
    let subject = Subject { host: Some(target.clone()), ..Subject::default() };
    let summary = format!("Asked for a tunnel to {target}, the proxy {proxy} {what}.");
    Some(
        Finding::new(
            code,
            fault,
            Confidence::Proven,
            subject,
            Evidence::probe("proxy_answer", id, what.clone()),
            summary,
        )
        .with_text("proxy", proxy)
        .with_text("target", target.clone())
        .with_class(format!("{proxy} {what}"))
        .excluding(
            "the server itself refuses",
            "the answer to CONNECT is the proxy's own; the server was never reached",
        )
        .with_remedy("Ask the proxy's administrators; NO_PROXY exempts hosts that can be reached without it.", None)
        .with_reference("RFC 9110 §9.3.6"),
    )
}

/// Hosts that NO_PROXY keeps from the proxy, whose direct way fails while the proxy leads there.
pub(super) fn bypassed(case: &Case) -> Vec<Finding> {
    let Some((variable, value)) = case.go.env.as_ref().and_then(GoEnv::no_proxy) else { return Vec::new() };
    let chains = || case.probes.iter().filter_map(|probe: &Probe| Some((probe.id, probe.chain()?)));
    let mut found: Vec<Finding> = Vec::new();
    for (id, chain) in chains().filter(|(_, chain)| chain.via.is_some() && chain.holds_key) {
        let direct: Vec<_> = chains().filter(|(_, it)| it.via.is_none() && it.name == chain.name).collect();
        let Some((_, first)) = direct.first() else { continue };
        if direct.iter().any(|(_, it)| it.holds_key) {
            continue;
        }
        let proxy = chain.via.as_deref().unwrap_or_default();
        let reason = format!("{variable} takes it out of the proxy ({value})");
        let subject =
            Subject { host: Some(chain.name.clone()), port: Some(first.address.port()), ..Subject::default() };
        let summary = format!(
            "{} goes around the proxy and cannot be reached directly, while the proxy {proxy} leads there: {reason}.",
            chain.name
        );
        let failed = direct.iter().map(|(id, it)| {
            let why = it.failure.as_ref().map(ToString::to_string).unwrap_or_default();
            Evidence::probe("direct", *id, format!("{}: {why}", it.address))
        });
        found.push(
            Finding::new(
                Code::ProxyBypassed,
                Fault::Client,
                Confidence::Strong,
                subject,
                Evidence::variable(variable, reason.clone()),
                summary,
            )
            .with_evidence(failed)
            .with_evidence([Evidence::probe("through_proxy", id, format!("{proxy} leads to {}", chain.name))])
            .with_class(variable)
            .excluding("the host itself is down", format!("through the proxy it answers (probe {})", id.0))
            .not_excluding("the host is meant to go direct, and the network stops it")
            .with_remedy(
                "Keep to NO_PROXY what really must go direct: a bare domain there takes all of its subdomains along.",
                Some("env | grep -i _proxy"),
            )
            .with_reference("golang.org/x/net/http/httpproxy, Config.NoProxy"),
        );
    }
    found
}

fn unreachable(id: ProbeId, chain: &PresentedChain, proxy: &str, failure: &Failure) -> Finding {
    let host = proxy.rsplit_once(':').map_or(proxy, |(host, _)| host);
    let subject = Subject {
        host: host.parse::<std::net::IpAddr>().is_err().then(|| host.to_owned()),
        address: Some(chain.address.ip()),
        port: Some(chain.address.port()),
        module: None,
    };
    let confidence = if *failure == Failure::Timeout { Confidence::Strong } else { Confidence::Proven };
    let summary = format!("The proxy {proxy} cannot be reached at {}: {failure}.", chain.address);
    let evidence = Evidence::probe("connection", id, failure.to_string());
    Finding::new(Code::ProxyUnreachable, Fault::ProxyUpstream, confidence, subject, evidence, summary)
        .with_class(failure.to_string())
        .with_remedy(
            "Check host and port in the proxy variable; ask the proxy's administrators whether it runs.",
            Some("env | grep -i _proxy"),
        )
}
