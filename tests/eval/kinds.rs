//! What the words of others' truths are in goprobe's codes, and which findings follow from which. Data.

/// A kind of cause.
pub(crate) struct Kind {
    /// `family/kind`, as the truth has it.
    name: &'static str,
    /// The codes that name it, the nearest first.
    pub(crate) codes: &'static [&'static str],
    /// The outcome and who can act, by the table of the contract.
    pub(crate) outcome: &'static str,
    pub(crate) who: &'static str,
}

const fn kind(name: &'static str, codes: &'static [&'static str], outcome: &'static str, who: &'static str) -> Kind {
    Kind { name, codes, outcome, who }
}

/// A kind that is not listed is printed as such and judged by nothing.
const KINDS: &[Kind] = &[
    kind("artifact/body_cut", &["tcp.reset_injected", "http.truncated_body"], "blocked", "network"),
    kind("artifact/sumdb_unreachable", &["artifact.sumdb_unreachable"], "blocked", "network"),
    kind("artifact/sumdb_wrong_hash", &["artifact.checksum_mismatch"], "blocked", "network"),
    kind("artifact/zip_tampered", &["artifact.checksum_mismatch"], "blocked", "network"),
    kind("cert/expired", &["cert.expired"], "misconfigured", "server"),
    kind("cert/interception_ca", &["cert.interception"], "blocked", "network"),
    kind("cert/missing_intermediate", &["cert.missing_intermediate"], "misconfigured", "server"),
    kind("cert/name_mismatch", &["cert.name_mismatch"], "misconfigured", "server"),
    kind("cert/private_ca_unknown", &["cert.unknown_authority"], "misconfigured", "client"),
    kind("cert/self_signed", &["cert.self_signed"], "misconfigured", "server"),
    kind("cert/wrong_order", &["cert.misordered_chain"], "ok", ""),
    kind("dns/bogus_address", &["dns.bogon_answer"], "blocked", "network"),
    kind("dns/forged_answer", &["dns.hijacked_answer"], "blocked", "network"),
    kind("dns/forged_nxdomain", &["dns.forged_nxdomain"], "blocked", "network"),
    kind("dns/race_injection", &["dns.injected_answer"], "blocked", "network"),
    kind("dns/servfail", &["dns.servfail"], "misconfigured", "network"),
    kind("dns/timeout", &["dns.timeout"], "misconfigured", "network"),
    kind("dns/transparent_proxy", &["dns.intercepted_resolver"], "ok", ""),
    kind("http/block_page_403", &["http.block_page"], "blocked", "network"),
    kind("http/captive_portal_302", &["http.captive_portal"], "blocked", "network"),
    kind("http/server_error_500", &["http.server_error"], "upstream", "upstream"),
    kind("proxy/connect_403", &["proxy.connect_denied"], "blocked", "proxy"),
    kind("proxy/connect_407", &["proxy.auth_required"], "misconfigured", "client"),
    kind("proxy/https_scheme_to_plain_port", &["proxy.wrong_scheme"], "misconfigured", "client"),
    kind("proxy/noproxy_not_matching", &["proxy.not_excluded"], "misconfigured", "client"),
    kind("proxy/refused", &["proxy.unreachable"], "upstream", "proxy"),
    kind("proxy/tls_interception", &["cert.interception"], "blocked", "proxy"),
    kind("tcp/ip_blocked", &["net.address_blackhole"], "blocked", "network"),
    kind("tcp/mtu_blackhole", &["net.mtu_blackhole"], "misconfigured", "network"),
    kind("tcp/syn_rst", &["tcp.refusal_injected"], "blocked", "network"),
    kind("tls/alert_injected", &["tls.alert_injected"], "blocked", "network"),
    kind("tls/fin_injected", &["tls.sni_closed"], "blocked", "network"),
    kind("tls/http_plaintext_reply", &["tls.not_tls"], "blocked", "network"),
    kind("tls/large_clienthello_drop", &["tls.clienthello_intolerance"], "blocked", "network"),
    kind("tls/residual_block", &["tls.residual_block", "tls.sni_reset"], "blocked", "network"),
    kind("tls/server_alert", &["tls.server_alert"], "misconfigured", "server"),
    kind("tls/sni_drop", &["tls.sni_blackhole"], "blocked", "network"),
    kind("tls/sni_rst", &["tls.sni_reset"], "blocked", "network"),
];

/// The kind of that name.
pub(crate) fn of(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// What may be said instead where TLS is not read: less, and still true.
const UNREAD: &[(&str, &[&str])] = &[
    ("cert.interception", &["cert.unknown_authority", "cert.rejected_by_client"]),
    ("cert.missing_intermediate", &["cert.unknown_authority", "cert.rejected_by_client"]),
    ("cert.self_signed", &["cert.unknown_authority", "cert.rejected_by_client"]),
    ("http.block_page", &["http.forbidden", "http.unexpected_content"]),
    ("http.unexpected_content", &["artifact.invalid_zip"]),
];

/// What stands beside a cause as its consequence: true, and no second accusation.
const CONSEQUENCES: &[(&str, &[&str])] = &[
    ("dns.injected_answer", AT_THE_WRONG_ADDRESS),
    ("dns.hijacked_answer", AT_THE_WRONG_ADDRESS),
    ("dns.bogon_answer", AT_THE_WRONG_ADDRESS),
    ("dns.local_override", AT_THE_WRONG_ADDRESS),
    ("proxy.unreachable", &["dns.nxdomain", "tcp.connection_refused", "net.address_blackhole", "net.unreachable"]),
    ("proxy.bypassed", &["net.address_blackhole", "net.unreachable", "tcp.connection_refused"]),
    ("tcp.reset_injected", &["http.truncated_body"]),
    ("tcp.data_injected", &["http.forbidden", "http.truncated_body"]),
];

/// What meets a client where a lie led it.
const AT_THE_WRONG_ADDRESS: &[&str] =
    &["tcp.connection_refused", "net.address_blackhole", "net.unreachable", "cert.name_mismatch"];

/// Kinds whose truth names the proxy, or the name that was asked, while a finding names what was wanted, or the resolver.
const ELSEWHERE: &[&str] = &["proxy", "dns/transparent_proxy"];

/// A finding about this kind of cause need not name the host that the truth names.
pub(crate) fn is_placed_elsewhere(kind: &str) -> bool {
    ELSEWHERE.iter().any(|one| kind == *one || kind.split('/').next() == Some(one))
}

/// `said` is what is left of `code` when TLS is not read.
pub(crate) fn is_all_that_is_seen_of(said: &str, code: &str) -> bool {
    UNREAD.iter().any(|(whole, less)| is_of(code, whole) && less.contains(&said))
}

/// `said` follows from `code`.
pub(crate) fn follows_from(said: &str, code: &str) -> bool {
    CONSEQUENCES.iter().any(|(cause, effects)| is_of(code, cause) && effects.contains(&said))
}

/// A selector is a code or a family.
pub(crate) fn is_of(code: &str, selector: &str) -> bool {
    selector.is_empty() || code == selector || code.split('.').next() == Some(selector)
}

#[cfg(test)]
mod tests {
    use goprobe::finding::Code;

    use super::*;

    #[test]
    fn every_code_in_the_tables_exists() {
        let of_kinds = KINDS.iter().flat_map(|kind| kind.codes);
        let pairs = UNREAD.iter().chain(CONSEQUENCES);
        let codes = of_kinds.chain(pairs.flat_map(|(code, others)| others.iter().chain([code])));
        for code in codes {
            assert!(Code::parse(code).is_some(), "{code}");
        }
    }
}
