//! Which finding explains which other: one table, read from top to bottom.
//!
//! A line says: where the cause stands, a symptom at the place that `scope` names is its consequence. The most specific
//! cause wins, and an untrusted layer masks what lies above it.

use std::net::IpAddr;

use crate::finding::{Code, Confidence, Detail, Fault, Finding, Severity};

/// A set of codes.
enum Set {
    Codes(&'static [Code]),
    Families(&'static [&'static str]),
}

/// How the places of cause and symptom must belong together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scope {
    /// The same host; where one of them has no host, the same address.
    Host,
    /// The same host or the same address.
    Place,
    /// An address that the cause led to; a symptom without address has the same host.
    LedTo,
    /// An IPv6 address of the same host, or the same address.
    OverIpv6,
    /// The whole run.
    Anywhere,
}

/// How sure the cause must be against the symptom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Against {
    /// It does not matter.
    Any,
    /// At least as sure as the symptom.
    NotSurer,
    /// Surer than the symptom.
    LessSure,
}

struct Line {
    cause: Set,
    symptom: Set,
    scope: Scope,
    against: Against,
}

const fn line(cause: &'static [Code], symptom: &'static [Code], scope: Scope) -> Line {
    Line { cause: Set::Codes(cause), symptom: Set::Codes(symptom), scope, against: Against::Any }
}

const fn over(cause: &'static [Code], symptom: &'static [&'static str], scope: Scope) -> Line {
    Line { cause: Set::Codes(cause), symptom: Set::Families(symptom), scope, against: Against::Any }
}

const fn rivals(cause: &'static [Code], symptom: &'static [Code], against: Against) -> Line {
    Line { cause: Set::Codes(cause), symptom: Set::Codes(symptom), scope: Scope::Place, against }
}

use Code as C;

/// Answers that lead to a wrong address, or deny a right one.
const LIES: &[Code] =
    &[C::DnsLocalOverride, C::DnsInjectedAnswer, C::DnsHijackedAnswer, C::DnsForgedNxdomain, C::DnsBogonAnswer];
/// No usable answer at all.
const NO_ANSWER: &[Code] = &[C::DnsNxdomain, C::DnsServfail, C::DnsRefused, C::DnsTimeout];
/// What the path forges in a server's name.
const FORGED: &[Code] = &[
    C::TlsSniReset,
    C::TlsSniClosed,
    C::TlsAlertInjected,
    C::TcpResetInjected,
    C::TcpDataInjected,
    C::TcpRefusalInjected,
];
const SNI: &[Code] = &[C::TlsSniReset, C::TlsSniBlackhole, C::TlsSniClosed];

/// The table. For a symptom the first line that finds a cause counts.
const TABLE: &[Line] = &[
    // DNS: a lie explains all that happens where it led to, and the other oddities of the same name.
    line(&[C::DnsNoResolver], NO_ANSWER, Scope::Anywhere),
    line(&[C::DnsNoResolver], &[C::ProxyUnreachable, C::ArtifactSumdbUnreachable], Scope::Anywhere),
    over(LIES, &["net", "tcp", "tls", "cert", "http", "artifact"], Scope::LedTo),
    line(LIES, &[C::ProxyUnreachable], Scope::Host),
    line(&[C::DnsLocalOverride], &[C::DnsHijackedAnswer, C::DnsBogonAnswer], Scope::Host),
    line(
        &[C::DnsInjectedAnswer],
        &[C::DnsHijackedAnswer, C::DnsForgedNxdomain, C::DnsBogonAnswer, C::DnsInterceptedResolver],
        Scope::Host,
    ),
    line(&[C::DnsHijackedAnswer], &[C::DnsBogonAnswer, C::DnsForgedNxdomain], Scope::Host),
    line(LIES, &[C::DnsInterceptedResolver, C::DnsUnexpectedRange], Scope::Host),
    line(LIES, NO_ANSWER, Scope::Host),
    line(&[C::DnsTcpBlocked], NO_ANSWER, Scope::Host),
    line(&[C::DnsInterceptedResolver], NO_ANSWER, Scope::Host),
    // Proxies: what is said about the proxy is more specific than what is said about its address.
    line(&[C::NetBlockedLocally, C::TcpRefusalInjected], &[C::ProxyUnreachable], Scope::Place),
    line(
        &[C::ProxyUnreachable],
        &[C::NetAddressBlackhole, C::NetUnreachable, C::TcpConnectionRefused, C::TcpStalled],
        Scope::Place,
    ),
    line(&[C::ProxyUnreachable], NO_ANSWER, Scope::Host),
    line(
        &[C::ProxyWrongScheme],
        &[
            C::ProxyUnreachable,
            C::TlsNotTls,
            C::TlsHandshakeTimeout,
            C::TlsServerReset,
            C::TlsServerAlert,
            C::HttpUnexpectedContent,
        ],
        Scope::Place,
    ),
    over(&[C::ProxyBypassed], &["net", "tcp", "tls"], Scope::Place),
    line(&[C::ProxyBypassed], NO_ANSWER, Scope::Host),
    line(
        &[C::ProxyNotExcluded],
        &[C::ProxyConnectDenied, C::ProxyAuthRequired, C::ProxyUpstreamError, C::HttpForbidden, C::CertInterception],
        Scope::Place,
    ),
    line(
        &[C::ProxyConnectDenied, C::ProxyAuthRequired],
        &[C::HttpForbidden, C::HttpBlockPage, C::HttpUnexpectedContent],
        Scope::Place,
    ),
    // The network below TLS.
    line(&[C::NetBlockedLocally], &[C::NetAddressBlackhole, C::NetUnreachable, C::TcpConnectionRefused], Scope::Place),
    line(&[C::NetIpv6Broken], &[C::NetAddressBlackhole, C::NetUnreachable, C::TcpConnectionRefused], Scope::OverIpv6),
    line(&[C::NetUnreachable], &[C::NetAddressBlackhole], Scope::Place),
    line(&[C::TcpRefusalInjected], &[C::TcpConnectionRefused], Scope::Place),
    // TLS: shape or size of the hello against the name in it goes by how sure each is; in doubt nobody is accused.
    rivals(&[C::NetMtuBlackhole], SNI, Against::NotSurer),
    rivals(SNI, &[C::NetMtuBlackhole], Against::LessSure),
    rivals(&[C::TlsClienthelloIntolerance], SNI, Against::NotSurer),
    rivals(SNI, &[C::TlsClienthelloIntolerance], Against::LessSure),
    rivals(&[C::NetMtuBlackhole], &[C::TlsClienthelloIntolerance], Against::LessSure),
    rivals(&[C::TlsClienthelloIntolerance], &[C::NetMtuBlackhole], Against::NotSurer),
    line(&[C::TlsSniReset], &[C::TlsSniBlackhole, C::TlsSniClosed], Scope::Host),
    line(&[C::TlsSniBlackhole], &[C::TlsSniClosed], Scope::Host),
    line(&[C::TlsResidualBlock], SNI, Scope::Host),
    line(
        &[C::TlsSniReset, C::TlsSniBlackhole, C::TlsSniClosed, C::TlsResidualBlock],
        &[
            C::TcpResetInjected,
            C::TcpRefusalInjected,
            C::TcpConnectionRefused,
            C::NetAddressBlackhole,
            C::TcpStalled,
            C::TlsServerReset,
        ],
        Scope::Place,
    ),
    line(
        &[C::TlsAlertInjected],
        &[C::TlsServerAlert, C::TlsServerReset, C::TcpDataInjected, C::TcpResetInjected],
        Scope::Place,
    ),
    line(
        &[C::TlsClienthelloIntolerance],
        &[C::TcpResetInjected, C::TcpStalled, C::TlsServerReset, C::TlsServerAlert],
        Scope::Place,
    ),
    line(&[C::NetMtuBlackhole], &[C::TcpStalled, C::TcpThrottled], Scope::Place),
    over(&[C::TlsNotTls], &["http"], Scope::Place),
    line(&[C::TlsNotTls], &[C::TcpDataInjected, C::TcpResetInjected], Scope::Place),
    Line {
        cause: Set::Families(&["net", "tcp", "tls"]),
        symptom: Set::Codes(&[C::TlsHandshakeTimeout]),
        scope: Scope::Place,
        against: Against::Any,
    },
    // HTTP: a filter's or a portal's page explains the oddities of the answer that carried it.
    line(
        &[C::HttpCaptivePortal],
        &[C::HttpBlockPage, C::CertSelfSigned, C::CertNameMismatch, C::CertUnknownAuthority, C::CertInterception],
        Scope::Place,
    ),
    line(
        &[C::HttpCaptivePortal, C::HttpBlockPage],
        &[
            C::HttpForbidden,
            C::HttpServerError,
            C::HttpNotFound,
            C::HttpUnexpectedContent,
            C::HttpTruncatedBody,
            C::TcpDataInjected,
            C::TcpResetInjected,
            C::ArtifactInvalidZip,
            C::ArtifactChecksumMismatch,
        ],
        Scope::Place,
    ),
    line(
        &[C::TcpDataInjected],
        &[
            C::TcpResetInjected,
            C::HttpForbidden,
            C::HttpNotFound,
            C::HttpServerError,
            C::HttpUnexpectedContent,
            C::HttpTruncatedBody,
            C::ArtifactInvalidZip,
        ],
        Scope::Place,
    ),
    line(
        &[C::TcpResetInjected, C::TcpStalled, C::NetMtuBlackhole, C::HttpStreamError],
        &[C::HttpTruncatedBody],
        Scope::Place,
    ),
    line(&[C::TcpResetInjected, C::TcpThrottled], &[C::TcpStalled], Scope::Place),
    line(
        &[C::HttpTruncatedBody, C::HttpUnexpectedContent],
        &[C::ArtifactInvalidZip, C::ArtifactChecksumMismatch],
        Scope::Host,
    ),
    // Certificates: who made the chain is more specific than what is wrong with it.
    line(
        &[C::CertInterception],
        &[
            C::CertUnknownAuthority,
            C::CertSelfSigned,
            C::CertMissingIntermediate,
            C::CertMisorderedChain,
            C::CertSuperfluousCertificate,
            C::CertNameMismatch,
            C::CertExpired,
            C::CertNotYetValid,
            C::CertWeakSignature,
            C::CertNegativeSerial,
            C::CertNoTrustStore,
            C::CertRejectedByClient,
        ],
        Scope::Host,
    ),
    line(
        &[C::CertNoTrustStore],
        &[C::CertUnknownAuthority, C::CertRejectedByClient, C::EnvNoTrustStore],
        Scope::Anywhere,
    ),
    line(&[C::CertMissingIntermediate, C::CertSelfSigned], &[C::CertUnknownAuthority], Scope::Host),
    line(
        &[
            C::CertMissingIntermediate,
            C::CertExpired,
            C::CertNotYetValid,
            C::CertNameMismatch,
            C::CertSelfSigned,
            C::CertUnknownAuthority,
            C::CertWeakSignature,
            C::CertNegativeSerial,
        ],
        &[C::CertRejectedByClient],
        Scope::Host,
    ),
    // The checksum database is out of reach for whatever reason its host is.
    Line {
        cause: Set::Families(&["dns", "net", "tcp", "tls", "cert", "proxy", "http"]),
        symptom: Set::Codes(&[C::ArtifactSumdbUnreachable]),
        scope: Scope::Host,
        against: Against::Any,
    },
    line(
        &[C::HttpBlockPage, C::HttpCaptivePortal, C::HttpUnexpectedContent],
        &[C::ArtifactSumdbUntrusted],
        Scope::Host,
    ),
    line(&[C::ArtifactChecksumMismatch, C::ArtifactSumdbUntrusted], &[C::ArtifactInvalidZip], Scope::Host),
];

/// The line of the table, counted from 0, by which `symptom` follows from `cause`.
pub(super) fn explains(cause: &Finding, symptom: &Finding) -> Option<usize> {
    if cause.code == symptom.code || !can_be_cause(cause) || had_no_effect(cause) {
        return None;
    }
    // Nobody forges packets because of a hosts file.
    if cause.code == Code::DnsLocalOverride && FORGED.contains(&symptom.code) && symptom.fault == Fault::Interference {
        return None;
    }
    TABLE.iter().position(|line| {
        line.cause.holds(cause.code)
            && line.symptom.holds(symptom.code)
            && line.against.allows(cause.confidence(), symptom.confidence())
            && line.scope.joins(cause, symptom)
    })
}

/// Whether the symptom is told as part of its cause alone: what happens at an address that a lie led to is nobody's doing
/// there, and by itself would accuse the wrong one. What a filter or portal says at that address stands, since it tells who lied.
pub(super) fn dissolves(cause: &Finding, symptom: &Finding) -> bool {
    LIES.contains(&cause.code)
        && !(cause.code == Code::DnsLocalOverride && FORGED.contains(&symptom.code))
        && matches!(symptom.code.family(), "net" | "tcp" | "tls" | "cert")
        && addresses(cause).iter().any(|address| addresses(symptom).contains(address))
}

/// Whether the verdict may rest on it: it matters, it is not harmless, and it is about the go command's own traffic.
pub(super) fn can_be_cause(finding: &Finding) -> bool {
    finding.severity >= Severity::Medium && finding.fault != Fault::Harmless && !finding.incidental
}

/// Interference below its code's own severity is interference without effect: it explains no failure.
pub(super) fn had_no_effect(finding: &Finding) -> bool {
    finding.fault == Fault::Interference
        && finding.severity <= Severity::Medium
        && finding.code.severity() > Severity::Medium
}

impl Set {
    fn holds(&self, code: Code) -> bool {
        match self {
            Self::Codes(codes) => codes.contains(&code),
            Self::Families(families) => families.contains(&code.family()),
        }
    }
}

impl Against {
    fn allows(self, cause: Confidence, symptom: Confidence) -> bool {
        match self {
            Self::Any => true,
            Self::NotSurer => cause >= symptom,
            Self::LessSure => cause > symptom,
        }
    }
}

impl Scope {
    fn joins(self, cause: &Finding, symptom: &Finding) -> bool {
        let (causes, symptoms) = (hosts(cause), hosts(symptom));
        let hosts_known = !causes.is_empty() && !symptoms.is_empty();
        let same_host = causes.iter().any(|host| symptoms.iter().any(|other| host.eq_ignore_ascii_case(other)));
        let (there, here) = (addresses(cause), addresses(symptom));
        let same_address = there.iter().any(|address| here.contains(address));
        match self {
            Self::Host => same_host || !hosts_known && same_address,
            Self::Place => same_host || same_address,
            Self::LedTo if here.is_empty() || there.is_empty() => same_host,
            Self::LedTo => same_address,
            Self::OverIpv6 => same_address || same_host && here.iter().any(IpAddr::is_ipv6),
            Self::Anywhere => true,
        }
    }
}

/// The hosts that a finding is about: its subject's, and those that its details name as `target` or `proxy`.
fn hosts(finding: &Finding) -> Vec<&str> {
    let named = ["target", "proxy"].into_iter().filter_map(|key| match finding.details.get(key) {
        Some(Detail::Text(name)) => Some(host_of(name)),
        _ => None,
    });
    finding.subject.host.as_deref().into_iter().chain(named).collect()
}

/// The host of `host`, `host:port` or `scheme://host:port`.
fn host_of(text: &str) -> &str {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    match text.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => text,
    }
}

/// The addresses that a finding is about: its subject's, and those that its details list as `addresses` or `forged`.
fn addresses(finding: &Finding) -> Vec<IpAddr> {
    let listed = ["addresses", "forged"].into_iter().filter_map(|key| match finding.details.get(key) {
        Some(Detail::List(list)) => Some(list),
        _ => None,
    });
    finding.subject.address.into_iter().chain(listed.flatten().filter_map(|text| text.parse().ok())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::story::tests::finding;

    const HOST: &str = "proxy.golang.org";
    const TRUE: &str = "142.250.74.113";
    const FALSE: &str = "93.46.8.89";

    fn holds(cause: &Finding, symptom: &Finding) {
        assert!(explains(cause, symptom).is_some(), "{} must explain {}", cause.code.id(), symptom.code.id());
        assert!(explains(symptom, cause).is_none(), "{} must not explain {}", symptom.code.id(), cause.code.id());
    }

    fn strangers(one: &Finding, other: &Finding) {
        assert!(explains(one, other).is_none(), "{} must not explain {}", one.code.id(), other.code.id());
        assert!(explains(other, one).is_none(), "{} must not explain {}", other.code.id(), one.code.id());
    }

    #[test]
    fn an_unreachable_proxy_beats_what_its_address_does() {
        let proxy = finding(C::ProxyUnreachable, "squid.corp.example", "10.44.0.8");
        let mut hole = finding(C::NetAddressBlackhole, "", "10.44.0.8");
        hole.subject.host = None;
        holds(&proxy, &hole);
        holds(&proxy, &finding(C::TcpConnectionRefused, "squid.corp.example", "10.44.0.8"));
        holds(&proxy, &finding(C::DnsNxdomain, "squid.corp.example", "10.44.0.8"));
        strangers(&proxy, &finding(C::NetAddressBlackhole, HOST, TRUE));
    }

    #[test]
    fn a_bypassed_proxy_beats_the_failure_of_the_direct_connection() {
        let bypassed = finding(C::ProxyBypassed, HOST, TRUE);
        for code in [C::NetAddressBlackhole, C::TcpConnectionRefused, C::NetUnreachable, C::DnsTimeout] {
            holds(&bypassed, &finding(code, HOST, TRUE));
        }
        strangers(&bypassed, &finding(C::NetAddressBlackhole, "github.com", "140.82.112.3"));
    }

    #[test]
    fn whatever_befalls_the_checksum_database_beats_its_being_out_of_reach() {
        let mut sumdb = finding(C::ArtifactSumdbUnreachable, "sum.golang.org", "142.251.36.17");
        for code in [C::DnsTimeout, C::NetAddressBlackhole, C::TcpResetInjected, C::TlsSniReset, C::HttpBlockPage] {
            holds(&finding(code, "sum.golang.org", "142.251.36.17"), &sumdb);
            strangers(&finding(code, HOST, TRUE), &sumdb);
        }
        sumdb.subject.address = None;
        holds(&finding(C::NetAddressBlackhole, "sum.golang.org", "142.251.36.17"), &sumdb);
    }

    #[test]
    fn a_dns_lie_masks_what_happens_where_it_led_to_and_nothing_else() {
        for lie in LIES {
            let lie = finding(*lie, HOST, FALSE);
            for code in [C::NetAddressBlackhole, C::TcpConnectionRefused, C::TlsServerReset, C::CertNameMismatch] {
                holds(&lie, &finding(code, HOST, FALSE));
                strangers(&lie, &finding(code, HOST, TRUE));
            }
        }
        let forged = finding(C::TlsSniReset, HOST, FALSE);
        holds(&finding(C::DnsHijackedAnswer, HOST, FALSE), &forged);
        // A hosts file makes nobody forge anything.
        strangers(&finding(C::DnsLocalOverride, HOST, FALSE), &forged);
        let forged = finding(C::DnsInjectedAnswer, HOST, "").with_list("forged", [FALSE.to_owned()]);
        holds(&forged, &finding(C::TlsNotTls, HOST, FALSE));
        strangers(&forged, &finding(C::TlsNotTls, HOST, TRUE));
    }

    #[test]
    fn a_lie_without_effect_explains_nothing() {
        let lost = finding(C::DnsInjectedAnswer, HOST, FALSE).with_severity(Severity::Medium);
        strangers(&lost, &finding(C::NetAddressBlackhole, HOST, FALSE));
    }

    #[test]
    fn among_lies_about_a_name_the_most_specific_stands() {
        let injected = finding(C::DnsInjectedAnswer, HOST, FALSE);
        for code in
            [C::DnsHijackedAnswer, C::DnsForgedNxdomain, C::DnsBogonAnswer, C::DnsTimeout, C::DnsUnexpectedRange]
        {
            holds(&injected, &finding(code, HOST, FALSE));
        }
        holds(&finding(C::DnsHijackedAnswer, HOST, FALSE), &finding(C::DnsUnexpectedRange, HOST, FALSE));
    }

    #[test]
    fn a_block_page_beats_the_odd_answer_that_carried_it() {
        holds(&finding(C::HttpBlockPage, HOST, TRUE), &finding(C::HttpUnexpectedContent, HOST, TRUE));
        holds(&finding(C::HttpBlockPage, HOST, TRUE), &finding(C::HttpForbidden, HOST, TRUE));
        holds(&finding(C::TlsNotTls, HOST, TRUE), &finding(C::HttpBlockPage, HOST, TRUE));
    }

    #[test]
    fn a_reset_by_name_beats_its_echoes() {
        for code in [C::TcpResetInjected, C::TcpStalled, C::TlsHandshakeTimeout] {
            holds(&finding(C::TlsSniReset, HOST, TRUE), &finding(code, HOST, TRUE));
            strangers(&finding(C::TlsSniReset, HOST, TRUE), &finding(code, "github.com", "140.82.112.3"));
        }
        holds(&finding(C::TlsResidualBlock, HOST, TRUE), &finding(C::NetAddressBlackhole, HOST, TRUE));
        // A block that outlasts its trigger says more than the trigger alone.
        holds(&finding(C::TlsResidualBlock, HOST, TRUE), &finding(C::TlsSniReset, HOST, TRUE));
    }

    #[test]
    fn name_against_shape_goes_by_confidence_and_doubt_accuses_nobody() {
        let mut name = finding(C::TlsSniReset, HOST, TRUE);
        let mut shape = finding(C::TlsClienthelloIntolerance, HOST, TRUE);
        name.set_confidence(Confidence::Strong);
        shape.set_confidence(Confidence::Moderate);
        holds(&name, &shape);
        shape.set_confidence(Confidence::Strong);
        holds(&shape, &name);
    }

    #[test]
    fn interception_beats_what_is_wrong_with_its_chain() {
        for code in [C::CertUnknownAuthority, C::CertSelfSigned, C::CertMissingIntermediate, C::CertNegativeSerial] {
            holds(&finding(C::CertInterception, HOST, TRUE), &finding(code, HOST, TRUE));
            strangers(&finding(C::CertInterception, "github.com", "140.82.112.3"), &finding(code, HOST, TRUE));
        }
    }

    #[test]
    fn a_harmless_interception_explains_nothing() {
        let mut trusted = finding(C::CertInterception, HOST, TRUE).with_severity(Severity::Medium);
        trusted.fault = Fault::Harmless;
        strangers(&trusted, &finding(C::CertNegativeSerial, HOST, TRUE));
    }

    #[test]
    fn broken_ipv6_explains_ipv6_and_not_ipv4() {
        let broken = finding(C::NetIpv6Broken, HOST, "2607:f8b0:4004:c1b::8d");
        holds(&broken, &finding(C::NetAddressBlackhole, HOST, "2607:f8b0:4004:c1b::8e"));
        strangers(&broken, &finding(C::NetAddressBlackhole, HOST, TRUE));
    }

    #[test]
    fn a_proxy_that_was_not_excluded_is_found_through_its_target() {
        let missed = finding(C::ProxyNotExcluded, "git.corp.example", "10.44.0.9");
        let denied = finding(C::ProxyConnectDenied, "squid.corp.example", "10.44.0.8")
            .with_text("target", "git.corp.example:443");
        holds(&missed, &denied);
    }

    #[test]
    fn no_two_lines_contradict_each_other_for_equally_sure_findings() {
        for one in Code::ALL {
            for other in Code::ALL {
                let (cause, symptom) = (finding(*one, HOST, "2001:db8::1"), finding(*other, HOST, "2001:db8::1"));
                let both = explains(&cause, &symptom).is_some() && explains(&symptom, &cause).is_some();
                assert!(!both || one == other, "{} and {} explain each other", one.id(), other.id());
                assert!(explains(&cause, &cause).is_none(), "{} explains itself", one.id());
            }
        }
    }
}
