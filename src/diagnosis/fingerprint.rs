//! The stable name of a fault.

use ring::digest::{SHA256, digest};

use crate::finding::Finding;

/// `v1:` and the first 16 hex digits of SHA-256 over the code, the subject's host (else its address), its port and the
/// class of the fault, each written as a netstring (`length:text,`) so that no two faults can be spelled alike.
///
/// No times, frames, client ports or rotating addresses are in it: the same fault found tomorrow has the same name.
pub(super) fn of(finding: &Finding) -> String {
    let subject = &finding.subject;
    let place = match (&subject.host, subject.address) {
        (Some(host), _) => host.to_ascii_lowercase(),
        (None, Some(address)) => address.to_string(),
        (None, None) => String::new(),
    };
    let port = subject.port.map_or_else(String::new, |port| port.to_string());
    let text: String = [finding.code.id(), &place, &port, &finding.class]
        .iter()
        .map(|part| format!("{}:{part},", part.len()))
        .collect();
    let hex: String =
        digest(&SHA256, text.as_bytes()).as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("v1:{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::story::tests::finding;
    use crate::finding::Code;

    #[test]
    fn it_is_the_first_eight_bytes_of_the_hash_over_netstrings() {
        let fault = finding(Code::TlsSniReset, "proxy.golang.org", "142.250.74.113");
        // printf '13:tls.sni_reset,16:proxy.golang.org,3:443,0:,' | sha256sum
        assert_eq!(of(&fault), "v1:c4315401a64e533d");
    }

    #[test]
    fn an_address_that_rotates_changes_nothing_while_there_is_a_name() {
        let one = finding(Code::TlsSniReset, "proxy.golang.org", "142.250.74.113");
        let other = finding(Code::TlsSniReset, "Proxy.Golang.org", "142.250.74.49");
        assert_eq!(of(&one), of(&other));
        let (mut one, mut other) = (one, other);
        (one.subject.host, other.subject.host) = (None, None);
        assert_ne!(of(&one), of(&other));
    }

    #[test]
    fn neighbouring_fields_cannot_be_mistaken_for_each_other() {
        let one = finding(Code::DnsHijackedAnswer, "a.example", "192.0.2.1").with_class("x");
        let mut other = finding(Code::DnsHijackedAnswer, "a.example", "192.0.2.1").with_class("3,1:x");
        other.subject.port = Some(44);
        assert_ne!(of(&one), of(&other));
    }
}
