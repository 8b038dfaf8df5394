//! Chains that only the client saw.

use super::*;
use crate::observation::Veil;

const UNKNOWN: &str = "tls: failed to verify certificate: x509: certificate signed by unknown authority";

/// A TLS 1.3 handshake whose client sends a first record of that length: 19 bytes are an alert.
pub(super) fn tls13(scene: &mut Scene, host: &str, at: &str, length: usize) {
    let mut tcp = scene.connect(at);
    scene.open(&mut tcp);
    scene.hello(&mut tcp, host);
    scene.after_ms(30);
    scene.tls13_flight(&mut tcp, 2_400);
    scene.tls13_client_record(&mut tcp, length);
    scene.client_sends(&mut tcp, FIN, &[]);
    scene.after_ms(30);
    scene.server_sends(&mut tcp, FIN, &[]);
}

fn said(host: &str, words: &str) -> String {
    format!("go: example.com/x@v1.0.0: Get \"https://{host}/example.com/x/@v/v1.0.0.info\": {words}\n")
}

fn with_words(words: &str) -> Finding {
    let mut scene = Scene::new();
    scene.log(&said(PROXY, words));
    tls13(&mut scene, PROXY, PROXY_AT, 19);
    only(&scene)
}

#[test]
fn without_words_only_the_rejection_is_told_and_the_chain_is_an_open_question() {
    let mut scene = Scene::new();
    tls13(&mut scene, PROXY, PROXY_AT, 19);
    let finding = only(&scene);
    assert_eq!((finding.code, finding.fault), (Code::CertRejectedByClient, Fault::Unknown));
    assert_eq!(finding.confidence(), Confidence::Weak);
    let open = assessed(&scene).not_assessed;
    assert!(open.iter().any(|open| open.code == Code::CertMissingIntermediate && open.veil == Veil::Encrypted));
}

#[test]
fn an_accepted_chain_that_is_hidden_is_silent() {
    let mut scene = Scene::new();
    tls13(&mut scene, PROXY, PROXY_AT, 53);
    assert_eq!(codes(&scene), Vec::<&str>::new());
    // A race: one attempt was dropped, another accepted.
    tls13(&mut scene, PROXY, PROXY_AT, 19);
    assert_eq!(codes(&scene), Vec::<&str>::new());
}

#[test]
fn what_go_says_names_the_code_with_moderate_confidence() {
    let prefix = "tls: failed to verify certificate: x509: ";
    for (words, code) in [
        ("certificate signed by unknown authority", Code::CertUnknownAuthority),
        (
            "certificate has expired or is not yet valid: current time 2026-11-22T12:16:59Z is after 2026-11-20T12:05:25Z",
            Code::CertExpired,
        ),
        (
            "certificate has expired or is not yet valid: current time 2026-11-22T12:16:59Z is before 2026-11-24T12:05:25Z",
            Code::CertNotYetValid,
        ),
        ("certificate is valid for www.hosting.example, not proxy.golang.org", Code::CertNameMismatch),
        ("certificate relies on legacy Common Name field, use SANs instead", Code::CertNameMismatch),
    ] {
        let finding = with_words(&format!("{prefix}{words}"));
        assert_eq!((finding.code, finding.confidence()), (code, Confidence::Moderate), "{words}");
        assert!(finding.go_error.is_some() && !finding.not_excluded.is_empty());
    }
    assert_eq!(
        with_words("tls: failed to parse certificate from server: x509: negative serial number").code,
        Code::CertNegativeSerial
    );
}

#[test]
fn unknown_authority_leaves_its_causes_open_and_accuses_nobody() {
    let finding = with_words(UNKNOWN);
    assert_eq!((finding.code, finding.fault), (Code::CertUnknownAuthority, Fault::Unknown));
    assert!(finding.not_excluded.len() >= 4, "{:?}", finding.not_excluded);
}

#[test]
fn settings_that_lead_nowhere_speak_for_a_client_without_roots() {
    let told = |env: &str| {
        let mut scene = Scene::new();
        scene.log(&said(PROXY, UNKNOWN)).env(env);
        tls13(&mut scene, PROXY, PROXY_AT, 19);
        only(&scene)
    };
    let finding = told("SSL_CERT_FILE=/nonexistent/ca.crt\nSSL_CERT_DIR=/nonexistent\n");
    assert_eq!((finding.code, finding.fault), (Code::CertNoTrustStore, Fault::Client));
    assert_eq!(finding.confidence(), Confidence::Moderate);
    for env in [
        "SSL_CERT_FILE=/etc/ssl/ca.pem\nSSL_CERT_DIR=/nonexistent\n",
        "SSL_CERT_DIR=/nonexistent\n",
        "SSL_CERT_FILE=/nonexistent\nSSL_CERT_DIR=/etc/ssl/certs\n",
        "GOPROXY=https://proxy.golang.org\n",
    ] {
        assert_eq!(told(env).code, Code::CertUnknownAuthority, "{env}");
    }
    // A server that was accepted shows that there are roots.
    let mut scene = Scene::new();
    scene.log(&said(PROXY, UNKNOWN)).env("SSL_CERT_FILE=/nonexistent\n");
    tls13(&mut scene, PROXY, PROXY_AT, 19);
    tls13(&mut scene, GITHUB, GITHUB_AT, 53);
    assert_eq!(only(&scene).code, Code::CertUnknownAuthority);
}

#[test]
fn a_private_host_with_an_unknown_authority_is_the_clients_to_settle() {
    let mut scene = Scene::new();
    scene.log(&said(PRIVATE, UNKNOWN));
    tls13(&mut scene, PRIVATE, PRIVATE_AT, 19);
    let finding = only(&scene);
    assert_eq!((finding.code, finding.fault), (Code::CertUnknownAuthority, Fault::Client));
}

#[test]
fn a_candidate_root_speaks_against_an_empty_store() {
    let hint = " (possibly because of \"x509: ECDSA verification failure\" while trying to verify candidate authority certificate \"Corp Root\")";
    let finding = with_words(&format!("{UNKNOWN}{hint}"));
    assert!(finding.excluded.iter().any(|exclusion| exclusion.how.contains("Corp Root")), "{:?}", finding.excluded);
}

#[test]
fn a_public_server_next_door_is_interception_only_beside_others_far_away() {
    let told = |other_ttl: Option<u8>, ttl: u8| {
        let mut scene = Scene::new();
        scene.log(&said(PROXY, UNKNOWN)).honest(PROXY, &["142.250.74.113"]);
        if let Some(ttl) = other_ttl {
            let mut far = scene.connect(GITHUB_AT);
            far.ttl = ttl;
            scene.tls13_session(&mut far, GITHUB);
        }
        let mut tcp = scene.connect(PROXY_AT);
        tcp.ttl = ttl;
        scene.open(&mut tcp);
        scene.hello(&mut tcp, PROXY);
        scene.after_ms(30);
        scene.tls13_flight(&mut tcp, 2_400);
        scene.tls13_client_record(&mut tcp, 19);
        only(&scene)
    };
    let finding = told(Some(53), 63);
    assert_eq!((finding.code, finding.confidence()), (Code::CertInterception, Confidence::Moderate));
    for (other, ttl) in [(None, 63), (Some(64), 64), (Some(63), 63), (Some(53), 53)] {
        assert_eq!(told(other, ttl).code, Code::CertUnknownAuthority, "{other:?} {ttl}");
    }
}

#[test]
fn the_same_complaint_about_several_hosts_is_the_clock() {
    let words = "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2036-11-22T12:16:59Z is after 2027-01-20T12:05:25Z";
    let mut scene = Scene::new();
    scene.log(&format!("{}{}", said(PROXY, words), said(GITHUB, words)));
    tls13(&mut scene, PROXY, PROXY_AT, 19);
    tls13(&mut scene, GITHUB, GITHUB_AT, 19);
    assert!(assessed(&scene).found.iter().all(|finding| finding.fault == Fault::Client));
}

#[test]
fn words_about_something_else_speak_against_a_rejection() {
    let mut scene = Scene::new();
    scene.log(&said(PROXY, "context deadline exceeded"));
    tls13(&mut scene, PROXY, PROXY_AT, 19);
    assert_eq!(codes(&scene), Vec::<&str>::new());
}

#[test]
fn what_go_says_of_a_host_behind_tls_to_a_proxy_is_said_of_that_host() {
    for (env, words, codes) in [
        ("HTTPS_PROXY=https://proxy.corp.test:3128\n", said(PROXY, UNKNOWN), vec![Code::CertUnknownAuthority]),
        ("HTTPS_PROXY=https://proxy.corp.test:3128\n", said(PROXY, "proxyconnect tcp: EOF"), vec![]),
        // Without a proxy the words are about a connection that was not recorded.
        ("", said(PROXY, UNKNOWN), vec![]),
    ] {
        let mut scene = Scene::new();
        scene.env(env).log(&words);
        tls13(&mut scene, "proxy.corp.test", "198.51.100.8:3128", 53);
        let found = assessed(&scene).found;
        let seen: Vec<_> = found.iter().map(|finding| finding.code).collect();
        assert_eq!(seen, codes, "{words}");
        for finding in &found {
            assert_eq!(finding.subject.host.as_deref(), Some(PROXY));
            assert_eq!((finding.subject.port, finding.confidence()), (Some(443), Confidence::Moderate));
        }
    }
}

#[test]
fn a_proxy_whose_certificate_is_rejected_is_named_itself() {
    let mut scene = Scene::new();
    scene.env("HTTPS_PROXY=https://proxy.corp.test:3128\n");
    scene.log(&said(PROXY, &format!("proxyconnect tcp: {UNKNOWN}")));
    tls13(&mut scene, "proxy.corp.test", "198.51.100.8:3128", 19);
    let finding = only(&scene);
    assert_eq!((finding.code, finding.subject.host.as_deref()), (Code::CertUnknownAuthority, Some("proxy.corp.test")));
    assert_eq!((finding.subject.port, finding.confidence()), (Some(3128), Confidence::Moderate));
}
