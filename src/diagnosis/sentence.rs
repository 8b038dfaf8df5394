//! The verdict's one sentence: the host and the cause, for somebody who knows neither the codes nor TLS.

use crate::finding::{Citation, Code, Confidence, Detail, Fault, Finding};

/// Hosts that are named before the rest is only counted.
const HOSTS: usize = 2;

/// What the cause comes to. `hosts` are those of all findings of the same kind, the cause's own first; `spared` says that go
/// got what it wanted all the same.
pub(super) fn of(cause: &Finding, hosts: &[&str], spared: bool) -> String {
    let mut sentence = plain(cause, &place(cause, hosts), hosts.len() > 1);
    if cause.confidence() == Confidence::Weak {
        sentence.push_str(", as far as a single hint can tell");
    }
    if spared {
        sentence.push_str("; go got what it wanted all the same");
    }
    sentence.push('.');
    sentence
}

fn place(cause: &Finding, hosts: &[&str]) -> String {
    match hosts {
        [one] if cause.details.contains_key("doubtful_address") => {
            let address = detail(cause, "doubtful_address").unwrap_or_default();
            format!("{one} at {address}, which is no address of it,")
        }
        [] => {
            let subject = &cause.subject;
            let address = subject.address.map(|address| address.to_string());
            let file = || match &cause.evidence().first()?.citation {
                Citation::Path(path) => Some(path.clone()),
                _ => None,
            };
            address.or_else(|| subject.module.clone()).or_else(file).unwrap_or_else(|| "the host".to_owned())
        }
        [one] => (*one).to_owned(),
        [one, other] => format!("{one} and {other}"),
        _ => {
            let (shown, rest) = hosts.split_at(HOSTS.min(hosts.len()));
            format!("{} and {} more hosts", shown.join(", "), rest.len())
        }
    }
}

#[expect(clippy::too_many_lines, reason = "one line for each code")]
fn plain(cause: &Finding, at: &str, several: bool) -> String {
    use Code as C;
    let (fault, subject) = (cause.fault, &cause.subject);
    let address = subject.address.filter(|_| !several && subject.host.is_some());
    let to = address.map_or_else(|| "a wrong address".to_owned(), |address| address.to_string());
    let port = subject.port.unwrap_or(443);
    let proxy = detail(cause, "proxy").map_or_else(|| "The proxy".to_owned(), |proxy| format!("The proxy {proxy}"));
    let status = detail(cause, "status").map_or_else(String::new, |status| format!(" ({status})"));
    let issued = detail(cause, "product").or_else(|| detail(cause, "authority"));
    let by = issued.as_deref().map_or_else(String::new, |by| format!(" ({})", common_name(by)));
    match cause.code {
        C::DnsInjectedAnswer => format!("Somebody on the path injects forged DNS answers for {at}"),
        C::DnsHijackedAnswer => format!("DNS sends go to {to} instead of {at}: the answer is a lie"),
        C::DnsBogonAnswer => {
            format!("DNS answers {at} with {to}, which is no public address: the name is blocked there")
        }
        C::DnsForgedNxdomain => format!("DNS says that {at} does not exist, though it does: the name is blocked there"),
        C::DnsNxdomain => format!("The name {at} does not exist, as far as DNS can tell"),
        C::DnsServfail => format!("The DNS resolver fails to look up {at}"),
        C::DnsRefused => format!("The DNS resolver refuses to look up {at}"),
        C::DnsTimeout => format!("The DNS resolver does not answer when asked for {at}"),
        C::DnsTcpBlocked => format!("The DNS answer for {at} needs TCP, and DNS over TCP does not get through"),
        C::DnsNoResolver => format!("This machine has no working DNS resolver: nothing listens at {at}"),
        C::DnsLocalOverride => format!("A setting on this machine, not DNS, sends {at} to {to}"),
        C::DnsInterceptedResolver => format!("DNS questions to {at} are answered by something else"),
        C::NetAddressBlackhole => format!("Nothing answers at {at}: every connection attempt vanishes on the way"),
        C::NetUnreachable if fault == Fault::Interference => format!("The network prohibits connections to {at}"),
        C::NetUnreachable => format!("The network has no way to {at}"),
        C::NetBlockedLocally => format!("This machine's own firewall or policy refuses connections to {at}"),
        C::NetIpv6Broken => format!("IPv6 to {at} does not work from here, while IPv4 does"),
        C::NetMtuBlackhole => format!("Full-size packets to {at} vanish on the way, so that TLS hangs"),
        C::TcpConnectionRefused => format!("{at} refuses the connection itself: nothing listens on port {port}"),
        C::TcpRefusalInjected => format!("Somebody on the path refuses connections to {at} in its name"),
        C::TcpResetInjected => format!("Somebody on the path cuts connections to {at} with forged resets"),
        C::TcpDataInjected => format!("Somebody on the path puts forged data into connections to {at}"),
        C::TcpStalled => format!("The transfer from {at} stops half-way and does not go on"),
        C::TcpThrottled => format!("The transfer from {at} is throttled on the way"),
        C::TlsSniReset => format!("Somebody on the path resets TLS connections to {at} because of the server name"),
        C::TlsSniBlackhole => format!("Somebody on the path drops TLS hellos that name {at}"),
        C::TlsSniClosed => format!("Somebody on the path closes TLS connections to {at} because of the server name"),
        C::TlsResidualBlock => format!("Somebody on the path keeps {at} blocked for a while after a TLS hello"),
        C::TlsClienthelloIntolerance => {
            format!("Something on the path does not let Go's large TLS hello to {at} through")
        }
        C::TlsAlertInjected => format!("Somebody on the path ends TLS connections to {at} with forged alerts"),
        C::TlsServerAlert if fault == Fault::Unknown => {
            format!("The TLS handshake with {at} is refused with an alert, and the recording cannot show by whom")
        }
        C::TlsServerAlert => format!("{at} itself refuses the TLS handshake with an alert"),
        C::TlsServerReset if cause.details.contains_key("tunnel") => {
            format!("TLS connections to {at} are reset behind the proxy, and the recording cannot show by whom")
        }
        C::TlsServerReset if fault == Fault::Unknown => {
            format!("TLS connections to {at} end at the TLS hello, and the recording cannot show who ends them")
        }
        C::TlsServerReset => format!("{at} itself ends the connection at the TLS hello"),
        C::TlsNotTls if fault == Fault::Interference => {
            format!("Something on the path answers TLS to {at} with plain text")
        }
        C::TlsNotTls => format!("{at} answers TLS with plain text: it does not speak TLS on port {port}"),
        C::TlsHandshakeTimeout if fault == Fault::Server => {
            format!("{at} takes the connection and never answers the TLS hello")
        }
        C::TlsHandshakeTimeout => format!("The TLS handshake with {at} gets stuck, and it cannot be told why"),
        C::CertMissingIntermediate => {
            let missing =
                detail(cause, "missing").map_or_else(String::new, |name| format!(", \"{}\"", common_name(&name)));
            format!("{at} does not send the intermediate certificate that its chain needs{missing}")
        }
        C::CertExpired if fault == Fault::Client => {
            format!(
                "Several servers' certificates, that of {at} among them, look expired: the clock of this machine is suspect"
            )
        }
        C::CertNotYetValid if fault == Fault::Client => {
            format!(
                "Several servers' certificates, that of {at} among them, look not valid yet: the clock of this machine is suspect"
            )
        }
        C::CertExpired => format!("The certificate of {at} has expired"),
        C::CertNotYetValid => format!("The certificate of {at} is not valid yet"),
        C::CertNameMismatch => format!("{at} shows a certificate for another name{}", shown_for(cause)),
        C::CertSelfSigned => format!("{at} shows a self-signed certificate, which go does not trust"),
        C::CertUnknownAuthority if fault == Fault::Client => {
            format!("This machine does not know the authority that signed the certificate of {at}{by}")
        }
        C::CertUnknownAuthority if fault == Fault::Unknown => {
            format!("go does not know who signed the certificate of {at}, and encryption hides the certificate itself")
        }
        C::CertUnknownAuthority => format!("The certificate of {at} was not signed by the authority that it names{by}"),
        C::CertInterception if fault == Fault::ProxyPolicy => {
            format!("The proxy intercepts TLS to {at} with an authority that go does not trust{by}")
        }
        C::CertInterception => {
            format!("Somebody on the path intercepts TLS to {at} with an authority of their own{by}")
        }
        C::CertWeakSignature => format!("The certificate chain of {at} uses a signature that Go refuses"),
        C::CertNegativeSerial => format!("A certificate of {at} has a negative serial number, which Go refuses"),
        C::CertNoTrustStore => {
            format!("This machine has no usable root certificates, so go trusts no server, {at} included")
        }
        C::CertRejectedByClient => {
            format!("go rejects the certificate of {at}, and encryption hides the certificate itself")
        }
        C::ProxyConnectDenied => format!("{proxy} denies connections to {at}{status}"),
        C::ProxyAuthRequired if detail(cause, "proxy") == cause.subject.host => {
            format!("{proxy} wants a user name and password{status}")
        }
        C::ProxyAuthRequired => format!("{proxy} wants a user name and password before it connects to {at}{status}"),
        C::ProxyUpstreamError => format!("{proxy} cannot reach {at}{status}"),
        C::ProxyUnreachable => format!("The proxy {at} cannot be reached"),
        C::ProxyWrongScheme => {
            format!("The proxy {at} is spoken to in the wrong protocol: the proxy variable's scheme is wrong")
        }
        C::ProxyNotExcluded => format!("{at} was meant to be reached directly, but NO_PROXY does not say so to Go"),
        C::ProxyBypassed => format!("go connects to {at} directly, past the proxy that it needs"),
        C::HttpBlockPage => format!("A filter answers in place of {at}"),
        C::HttpCaptivePortal => format!("A log-in portal answers in place of {at}: log in to the network first"),
        C::HttpForbidden => format!("{at} itself refuses access{status}"),
        C::HttpRateLimited => format!("{at} limits the rate of requests{status}"),
        C::HttpServerError if fault == Fault::ProxyUpstream => {
            format!("The proxy answers for {at}, which it cannot reach or understand{status}")
        }
        C::HttpServerError => format!("{at} itself fails{status}"),
        C::HttpNotFound => format!("{at} does not have what go asks for{status}"),
        C::HttpStreamError => format!("{at} aborts its answers (HTTP/2 stream error)"),
        C::HttpTruncatedBody if fault == Fault::Interference => {
            format!("Somebody on the path cuts answers of {at} short")
        }
        C::HttpTruncatedBody => format!("Answers of {at} are cut short"),
        C::HttpUnexpectedContent => {
            format!("{at} answers with something that no module proxy or checksum database sends")
        }
        C::ArtifactSumdbUnreachable => {
            format!("The checksum database {at} cannot be reached, while the module proxy works")
        }
        C::ArtifactSumdbUntrusted => format!("An answer of the checksum database {at} cannot be trusted"),
        C::ArtifactSdkMismatch | C::ArtifactSdkSignature if subject.host.is_none() => {
            let name = detail(cause, "name").unwrap_or_else(|| at.to_owned());
            match (cause.code, fault) {
                (C::ArtifactSdkMismatch, Fault::Client) => format!("The installed {name} is not the released one"),
                (C::ArtifactSdkMismatch, _) => format!("{name} is not the released file"),
                _ => format!("The signature of {name} does not prove who made it"),
            }
        }
        C::ArtifactCacheModified => format!("What the module cache holds of {at} was changed after download"),
        C::ArtifactChecksumMismatch if fault == Fault::Client => {
            format!("What the module cache holds of {at} is not what was recorded for that version")
        }
        C::ArtifactChecksumMismatch => match &subject.module {
            Some(module) => format!("What came for {module} is not what was recorded for that version"),
            None => "A downloaded module is not what was recorded for its version".to_owned(),
        },
        code => format!("{}: {at}", capitalised(code.title())),
    }
}

/// The names that the certificate is for, the first of them.
fn shown_for(cause: &Finding) -> String {
    let Some(Detail::List(names)) = cause.details.get("names") else { return String::new() };
    match names.as_slice() {
        [] => String::new(),
        [one] => format!(", {one}"),
        [one, ..] => format!(", {one} among others"),
    }
}

fn detail(cause: &Finding, key: &str) -> Option<String> {
    match cause.details.get(key)? {
        Detail::Text(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Detail::Number(number) => Some(number.to_string()),
        Detail::List(list) => list.first().cloned(),
        Detail::Flag(_) => None,
    }
}

/// The common name of an RFC 4514 string, or all of it.
fn common_name(name: &str) -> &str {
    let value = name.split(',').find_map(|part| part.trim().strip_prefix("CN="));
    value.filter(|value| !value.ends_with('\\')).unwrap_or(name)
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::story::tests::finding;

    const HOST: &str = "proxy.golang.org";

    fn told(code: Code) -> String {
        of(&finding(code, HOST, "93.46.8.89"), &[HOST], false)
    }

    #[test]
    fn every_cause_makes_one_sentence_that_names_the_host() {
        for code in Code::ALL {
            let sentence = told(*code);
            assert!(sentence.ends_with('.') && !sentence.contains(".."), "{sentence}");
            assert!(!sentence.contains(". "), "one sentence: {sentence}");
            assert!(sentence.len() < 160, "{sentence}");
            assert!(sentence.contains(HOST) || code.family() == "artifact", "{}: {sentence}", code.id());
        }
    }

    #[test]
    fn a_sentence_says_whose_fault_it_is() {
        assert_eq!(
            told(Code::TlsSniReset),
            "Somebody on the path resets TLS connections to proxy.golang.org because of the server name."
        );
        assert_eq!(
            told(Code::DnsHijackedAnswer),
            "DNS sends go to 93.46.8.89 instead of proxy.golang.org: the answer is a lie."
        );
        assert!(told(Code::TlsServerAlert).starts_with("proxy.golang.org itself "));
    }

    #[test]
    fn figures_of_the_case_are_used_where_there_are_any() {
        let denied = finding(Code::ProxyConnectDenied, HOST, "10.0.0.8")
            .with_text("proxy", "squid.corp.example")
            .with_number("status", 403);
        assert_eq!(
            of(&denied, &[HOST], false),
            "The proxy squid.corp.example denies connections to proxy.golang.org (403)."
        );
        let missing = finding(Code::CertMissingIntermediate, HOST, "192.0.2.1")
            .with_list("missing", ["CN=WR2,O=Google Trust Services,C=US".to_owned()]);
        assert!(of(&missing, &[HOST], false).ends_with("that its chain needs, \"WR2\"."));
    }

    #[test]
    fn several_hosts_share_a_sentence() {
        let cause = finding(Code::DnsInjectedAnswer, HOST, "93.46.8.89");
        assert!(of(&cause, &[HOST, "b.example"], false).ends_with("for proxy.golang.org and b.example."));
        assert!(of(&cause, &[HOST, "b", "c", "d"], false).ends_with("for proxy.golang.org, b and 2 more hosts."));
        let cause = finding(Code::DnsHijackedAnswer, HOST, "93.46.8.89");
        assert!(!of(&cause, &[HOST, "b.example"], false).contains("93.46.8.89"));
    }

    #[test]
    fn doubt_and_harmlessness_are_said() {
        let mut cause = finding(Code::TlsSniReset, HOST, "192.0.2.1");
        cause.set_confidence(Confidence::Weak);
        assert!(of(&cause, &[HOST], false).ends_with(", as far as a single hint can tell."));
        assert!(of(&cause, &[HOST], true).ends_with("; go got what it wanted all the same."));
    }
}
