//! What HTTP proxies did when a tunnel to a host was asked of them.

use crate::finding::{Code, Confidence, Evidence, Fault, Finding, Subject};
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
            let has_credentials = |env: &crate::go::env::GoEnv| {
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
